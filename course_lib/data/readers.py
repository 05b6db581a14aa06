"""Read images from files of the user: PNG, JPEG, TIFF, PGM; grey or colour; 8 or 16 bit."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from course_lib import expect

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".ppm", ".pnm")


def image_files(folder: str | Path) -> list[Path]:
    """The image files directly in `folder`, in alphabetical order.

    Raises:
        InputError: no such folder, one that cannot be read, or no image file in it.
    """
    folder = Path(folder)
    if not folder.exists():
        raise expect.InputError(f"expected a folder of images, got {folder}, which does not exist")
    if not folder.is_dir():
        raise expect.InputError(f"expected a folder of images, got the file {folder}")
    try:
        if len(str(folder)) > 4000:
            raise OSError(36, "its name is too long")
        files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in IMAGE_SUFFIXES)
    except OSError as error:
        raise expect.InputError(f"expected a folder that can be read, got {folder}: {error.strerror}") from None
    if not files:
        raise expect.InputError(f"expected images ({', '.join(IMAGE_SUFFIXES)}) in {folder}, found none")
    return files


def read_image(path: str | Path) -> Float[torch.Tensor, "1 channel height width"]:
    """Read one image file.

    Args:
        path: a PNG, JPEG, TIFF or PGM/PPM file.

    Returns:
        float32 in [0, 1], (1, channel, height, width) with one channel (grey) or three (RGB). Transparency is
        dropped, a camera's orientation tag is followed, and 16-bit grey values and plain TIFF colours keep all bits.

    Raises:
        InputError: the file is missing, unreadable, truncated, no image, or a stack of several pages.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a tag that the decoder does not know is no concern of the reader
            array = _read_tiff(path) if path.suffix.lower() in (".tif", ".tiff") else _read_pillow(path)
    except expect.InputError:
        raise
    except FileNotFoundError:
        raise expect.InputError(f"expected an image file, got {path}, which does not exist") from None
    except PermissionError:
        raise expect.InputError(f"expected a file that can be read, got {path}: permission denied") from None
    except Exception as error:  # decoders raise whatever they like on a damaged file
        said = " ".join(str(error).split())[:120]
        reason = "it is truncated or damaged" if "truncat" in said.lower() else said or type(error).__name__
        raise expect.InputError(f"expected a readable image, got {path}: {reason}") from None
    values = to_unit_range(array, path)
    if values.ndim == 2:
        values = values[..., None]
    channels = values.shape[-1] if values.ndim == 3 else 0
    if channels in (2, 4):  # grey or RGB with transparency
        values = values[..., : channels - 1]
    elif channels not in (1, 3):
        raise expect.InputError(f"expected one grey or colour image, got {path} of shape {values.shape}")
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 0)))[None]


def _read_pillow(path: Path) -> np.ndarray:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if getattr(picture, "n_frames", 1) != 1:
                raise expect.InputError(f"expected one image a file, got {path} with {picture.n_frames}")
            picture.load()
            picture = ImageOps.exif_transpose(picture)
            if picture.mode in ("1", "LA", "La"):
                picture = picture.convert("L")
            elif picture.mode not in ("L", "RGB", "F") and not picture.mode.startswith("I"):
                picture = picture.convert("RGB")  # palette, CMYK, YCbCr, RGBA, …
            array = np.asarray(picture)
    except UnidentifiedImageError:
        raise expect.InputError(f"expected an image, got {path}, whose content is no image format") from None
    # Pillow opens 16-bit PGM as 32-bit integers
    return array.astype(np.uint16) if array.dtype == np.int32 and array.min() >= 0 else array


def _read_tiff(path: Path) -> np.ndarray:
    """Read a TIFF with all its bits; kinds of colour and compression that tifffile lacks are Pillow's."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it cannot read is told in our one line
    with tifffile.TiffFile(path) as tiff:
        if len(tiff.pages) != 1:
            raise expect.InputError(f"expected one image a file, got {path} with {len(tiff.pages)} pages")
        page = tiff.pages[0]
        kinds = tifffile.PHOTOMETRIC
        if page.photometric not in (kinds.MINISBLACK, kinds.MINISWHITE, kinds.RGB, kinds.PALETTE):
            return _read_pillow(path)
        try:
            array = page.asarray()
        except ValueError as error:
            if "imagecodecs" in str(error):
                return _read_pillow(path)
            raise
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            array = np.iinfo(array.dtype).max - array if array.dtype != bool else ~array
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
            array = np.moveaxis(page.colormap[:, array], 0, -1)
        elif page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and array.ndim == 3:
            array = np.moveaxis(array, 0, -1)
        orientation = page.tags.valueof(274) or 1
    return upright(array, int(orientation))


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image as its orientation tag (1 to 8) says."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def to_unit_range(array: np.ndarray, path: Path) -> np.ndarray:
    """Scale integers by their type's largest value; floating-point files must lie in [0, 1] already."""
    if array.dtype == bool:
        return array.astype(np.float32)
    if array.dtype in (np.uint8, np.uint16):
        return (array / np.float64(np.iinfo(array.dtype).max)).astype(np.float32)
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise expect.InputError(f"expected values without NaN or infinity, got {path} with some")
        if array.min() < 0 or array.max() > 1:
            raise expect.InputError(
                f"expected floating-point values from 0 to 1, got {path} with {array.min():g} to {array.max():g}"
            )
        return array.astype(np.float32)
    raise expect.InputError(f"expected 8 or 16 bit, got {path} with {array.dtype}")


def luminance(
    images: Float[torch.Tensor, "batch channel height width"],
) -> Float[torch.Tensor, "batch 1 height width"]:
    """Grey of colour images, by the luma weights of ITU-R BT.601; grey images stay as they are."""
    expect.images("images", images)
    weights = {1: [1.0], 3: [0.299, 0.587, 0.114]}.get(images.shape[1])
    if weights is None:
        raise expect.InputError(f"expected images with one channel or three, got {expect.describe(images)}")
    return torch.einsum("c,bchw->bhw", images.new_tensor(weights), images)[:, None]
