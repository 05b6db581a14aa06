"""Read images with their segmentations from two folders: files, TIFF stacks as ISBI 2012 has them, NIfTI volumes."""

from __future__ import annotations

import logging
import math
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float

from course_lib import expect
from course_lib.data.mri_files import NIFTI_SUFFIXES, readable
from course_lib.data.readers import IMAGE_SUFFIXES, luminance, read_image, to_unit_range, upright

if TYPE_CHECKING:
    import nibabel
    import tifffile

SUFFIXES = (*IMAGE_SUFFIXES, *NIFTI_SUFFIXES)
# what a name may end in, before its suffix, and still be the name of its partner; _0000 is nnU-Net's
ENDING = re.compile(r"[-_](image|volume|labels?|mask|seg|0000)$", re.IGNORECASE)
# dots per inch that programs write when nobody has measured: of screens, printers and scanners, and no size of a pixel
DEFAULT_DPI = (1, 72, 96, 100, 150, 200, 300, 400, 600, 1200)
TIFF_UNITS = {2: "inch", 3: "cm"}
MILLIMETRES = {
    "inch": 25.4, "cm": 10.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "\\u00b5m": 1e-3, "micron": 1e-3,
    "microns": 1e-3, "nm": 1e-6, "meter": 1e3,
}  # fmt: skip
LISTED = 8  # of the values of a label in a message
MOST_COMPRESSION = 2000  # no method of these formats reaches it: a header that asks for more memory is damaged


@dataclass(frozen=True)
class SegmentedImage:
    """An image, or a volume as its slices, and where its foreground is.

    Attributes:
        name: the image's path; a page of a stack has ", page 3" behind it, counted from 1.
        image: grey values in [0, 1]; an image has one slice.
        mask: True in the foreground.
        spacing_mm: the sides in mm of a voxel (slice, row, column), or of an image's pixel (row, column); None where
            the file does not tell them.
    """

    name: str
    image: Float[torch.Tensor, "slices 1 height width"]
    mask: Bool[torch.Tensor, "slices 1 height width"]
    spacing_mm: tuple[float, ...] | None


@dataclass(frozen=True)
class _File:
    """What is in a file: pages or slices (planes, height, width), the sides of a pixel, where a volume lies."""

    path: Path
    planes: np.ndarray
    spacing_mm: tuple[float, ...] | None = None
    affine: np.ndarray | None = None

    @property
    def is_volume(self) -> bool:
        return self.path.name.lower().endswith(NIFTI_SUFFIXES)


def segmented_images(folder: str | Path, foreground: int | None = None) -> tuple[list[SegmentedImage], list[str]]:
    """The images in `folder`/images with their labels in `folder`/labels, and a line on each thing that is wrong.

    Files are images as `read_image` reads them, TIFF stacks, whose pages are images, and NIfTI volumes, whose slices
    are axial, as `read_nifti_slices` turns them. Two files belong together when their names are the same without the
    suffix, or without the suffix and `ENDING`; or when there are no others. Colours become luminance; intensities of
    NIfTI are divided by their 99.9th percentile and clipped to 1. The sides of a pixel come from NIfTI's header, or
    from a TIFF's resolution where its unit is known and it is none of `DEFAULT_DPI`.

    Args:
        folder: of two folders, images and labels.
        foreground: the label's value in the foreground. If not given, a file's labels must be 0 and one other value.

    Returns:
        the usable images, in the order of the alphabet and of pages, and the problems, in one line each.

    Raises:
        InputError: one of the folders is missing or empty, or nothing in them can be used.
    """
    if foreground is not None:
        expect.count("the foreground's label", foreground, least=0)
    folder = Path(folder)
    pairs, problems = _pairs(_files(folder, "images"), _files(folder, "labels"))
    images: list[SegmentedImage] = []
    found: dict[int, Path] = {}  # foreground → the first label that has it
    pages: dict[Path, int] = {}
    for image_path, label_path in pairs:
        try:
            image, label = _read_image(image_path), _read_label(label_path)
            _check_pair(image, label)
            value = _foreground(label, foreground)
        except expect.InputError as error:
            problems.append(str(error))
            continue
        found.setdefault(value, label_path)
        if image_path.suffix.lower() in (".tif", ".tiff"):
            pages[image_path] = len(image.planes)
        if image.is_volume and image.spacing_mm is None:
            problems.append(
                f"expected a header with the sides of a voxel and their unit, got {image_path}: it is used, and "
                "distances in millimetres are left out"
            )
        images += _segmented(image, label, value, problems)
    if len(pairs) == 1 or any(count > 1 for count in pages.values()):  # a stack is what was meant
        single = [path for path, count in pages.items() if count == 1]
        problems += [f"expected a stack of pages, got {path} with one page: it is used as one image" for path in single]
    if len(found) > 1:
        told = ", ".join(f"{value} in {path}" for value, path in list(found.items())[:LISTED])
        problems.append(f"expected one value for the foreground, got {told}: --foreground chooses one for all files")
    if not images:
        first = f": {problems[0]}" if problems else ""
        raise expect.InputError(f"expected at least one usable image with its label in {folder}, got none{first}")
    return images, problems


# ── Which files ────────────────────────────────────────────────────────────────────────────────────────────────────


def _files(folder: Path, name: str) -> list[Path]:
    """The files of one of the two folders, in alphabetical order; hidden ones are left out."""
    wanted = f"expected a folder {name} with images or volumes in {folder}"
    try:
        files = sorted(p for p in (folder / name).iterdir() if p.is_file() and p.name.lower().endswith(SUFFIXES))
    except FileNotFoundError:
        raise expect.InputError(f"{wanted}, found none") from None
    except OSError as error:
        raise expect.InputError(f"{wanted}, got: {error.strerror}") from None
    files = [path for path in files if not path.name.startswith(".")]
    if not files:
        raise expect.InputError(f"{wanted}, got one without any ({', '.join(SUFFIXES)})")
    return files


def _pairs(images: list[Path], labels: list[Path]) -> tuple[list[tuple[Path, Path]], list[str]]:
    """The images with their labels, and a line on each file that has no partner."""
    if len(images) == len(labels) == 1:
        return [(images[0], labels[0])], []
    pairs = []
    for name_of in (_stem, _short_stem):
        named: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
        for which, files in enumerate((images, labels)):
            for path in files:
                named[name_of(path)][which].append(path)
        new = [(own[0], partner[0]) for own, partner in named.values() if len(own) == len(partner) == 1]
        pairs += new
        taken = {path for pair in new for path in pair}
        images, labels = ([path for path in files if path not in taken] for files in (images, labels))
    problems = [_unpaired(path, "image", "label", named[_short_stem(path)][1]) for path in images]
    problems += [_unpaired(path, "label", "image", named[_short_stem(path)][0]) for path in labels]
    return sorted(pairs), problems


def _stem(path: Path) -> str:
    name = path.name
    suffix = next(s for s in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(s))
    return name[: -len(suffix)]


def _short_stem(path: Path) -> str:
    return ENDING.sub("", _stem(path))


def _unpaired(path: Path, kind: str, other: str, partners: list[Path]) -> str:
    """Why a file is left out: none has its name, or the names do not tell which is whose."""
    if not partners:
        return f"expected the {other} of the {kind} {path}, found none of that name"
    return f"expected one {other} to one {kind}, got several of the name of {path}"


# ── What is in them ────────────────────────────────────────────────────────────────────────────────────────────────


def _read_image(path: Path) -> _File:
    """Grey values in [0, 1]."""
    with _decoding(path, "image"):
        if path.name.lower().endswith(NIFTI_SUFFIXES):
            return _read_nifti_image(path)
        spacing = None
        if path.suffix.lower() in (".tif", ".tiff"):
            with _open_tiff(path) as tiff:
                spacing, pages = _tiff_spacing(tiff), _tiff_pages(tiff, path)
                if len(pages) > 1 or len(tiff.pages) > 1:
                    planes = [_grey_page(page, Path(f"{path}, page {number}")) for number, page in enumerate(pages, 1)]
                    return _File(path, _stacked(planes, path), spacing)
        return _File(path, luminance(read_image(path))[0].numpy(), spacing)


def _read_label(path: Path) -> _File:
    """Whole numbers, as they are stored."""
    with _decoding(path, "label"):
        if path.name.lower().endswith(NIFTI_SUFFIXES):
            label = _read_nifti(path, label=True)
        elif path.suffix.lower() in (".tif", ".tiff"):
            with _open_tiff(path) as tiff:
                label = _File(path, _stacked([_stored_page(page) for page in _tiff_pages(tiff, path)], path))
        else:
            label = _File(path, _stored_picture(path)[None])
        planes = label.planes
        if planes.dtype.kind not in "biuf":
            raise expect.InputError(f"expected whole numbers as labels, got {path} with {planes.dtype}")
        if planes.dtype.kind == "f":
            other = planes[~(np.abs(planes) < 2**53) | (planes != np.round(planes))]
            if other.size:
                raise expect.InputError(f"expected whole numbers as labels, got {_listed(other)} in {path}")
        return _File(path, planes.astype(np.int64), affine=label.affine)


def _check_pair(image: _File, label: _File) -> None:
    """Raise unless a label has the kind, the size and the place of its image."""
    if image.is_volume != label.is_volume:
        raise expect.InputError(f"expected the label of a volume as a volume, got {image.path} and {label.path}")
    planes = "slices" if image.is_volume else "pages"
    if len(image.planes) != len(label.planes):
        counts = f"{len(image.planes)} in {image.path} and {len(label.planes)} in {label.path}"
        raise expect.InputError(f"expected as many {planes} in the label as in the image, got {counts}")
    sizes = ["×".join(map(str, file.planes.shape[1:])) for file in (image, label)]
    if sizes[0] != sizes[1]:
        told = f"{sizes[0]} in {image.path} and {sizes[1]} in {label.path}"
        raise expect.InputError(f"expected image and label of one size, got {told}")
    if image.affine is not None and label.affine is not None:
        ends = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        corners = ends * [*(side - 1 for side in reversed(image.planes.shape)), 1]
        apart = np.linalg.norm((corners @ (image.affine - label.affine).T)[:, :3], axis=1).max()
        if apart > 0.5 * np.linalg.norm(image.affine[:3, :3], axis=0).min():
            told = f"{image.path} and {label.path}, whose headers place them {apart:.3g} apart"
            raise expect.InputError(f"expected image and label in one place, got {told}")


def _foreground(label: _File, foreground: int | None) -> int:
    """The foreground's value, which some voxels of the label have and some have not."""
    values = np.unique(label.planes)
    if len(values) == 1:
        is_foreground = values[0] != 0 if foreground is None else values[0] == foreground
        raise _one_sided(f"{label.path}, where every label is {values[0]}", bool(is_foreground))
    if foreground is not None:
        if foreground not in values:
            told = f"{label.path}, whose labels are {_listed(values)}"
            raise expect.InputError(f"expected foreground with the label {foreground}, got {told}")
        return foreground
    if len(values) > 2 or 0 not in values:
        told = f"{_listed(values)} in {label.path}: --foreground chooses one"
        raise expect.InputError(f"expected labels of 0 and one other value, got {told}")
    return int(values[values != 0][0])


def _one_sided(name: str, is_foreground: bool) -> expect.InputError:
    what = "all foreground" if is_foreground else "empty: all background"
    return expect.InputError(f"expected foreground and background, got {name}: it is {what}")


def _segmented(image: _File, label: _File, foreground: int, problems: list[str]) -> list[SegmentedImage]:
    """The images of a file: a volume is one, and so is each page."""
    planes = torch.from_numpy(np.ascontiguousarray(image.planes))[:, None]
    masks = torch.from_numpy(label.planes == foreground)[:, None]
    if image.is_volume:
        return [SegmentedImage(str(image.path), planes, masks, image.spacing_mm)]
    images = []
    for page, (plane, mask) in enumerate(zip(planes.split(1), masks.split(1), strict=True), 1):
        place = f", page {page}" if len(planes) > 1 else ""
        if mask.all() or not mask.any():
            problems.append(str(_one_sided(f"{label.path}{place}", bool(mask.all()))))
            continue
        images.append(SegmentedImage(f"{image.path}{place}", plane.clone(), mask.clone(), image.spacing_mm))
    return images


def _listed(values: np.ndarray) -> str:
    """The first few of the values, for a message."""
    different = np.unique(values)
    return ", ".join(f"{value:g}" for value in different[:LISTED]) + (", …" if len(different) > LISTED else "")


def _stacked(planes: list[np.ndarray], path: Path) -> np.ndarray:
    shapes = list(dict.fromkeys(plane.shape for plane in planes))
    if len(shapes[0]) != 2:
        raise expect.InputError(f"expected one number a pixel, got {path} of shape {shapes[0]}")
    if len(shapes) > 1:
        told = " and ".join("×".join(map(str, shape)) for shape in shapes[:2])
        raise expect.InputError(f"expected pages of one size, got {path} with {told}")
    return np.stack(planes)


@contextmanager
def _decoding(path: Path, kind: str) -> Iterator[None]:
    """Nothing but one line on what is wrong leaves a decoder: no warning, no log, nothing that libtiff prints."""
    from nibabel.imageglobals import logger

    level = logger.level
    logger.setLevel(logging.CRITICAL)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with readable(path, kind), warnings.catch_warnings(), _closed_stderr():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _closed_stderr() -> Iterator[None]:
    """What a library in C writes to the process's stderr, past Python's, is dropped."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


# ── Images ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _stored_picture(path: Path, page: int = 0) -> np.ndarray:
    """Numbers as they stand in a file that Pillow reads: a palette's indices, not its colours."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if page == 0 and getattr(picture, "n_frames", 1) != 1 and picture.format != "TIFF":
                raise expect.InputError(f"expected one image a file, got {path} with {picture.n_frames}")
            picture.seek(page)
            kind = picture.tile[0].args if picture.tile else None
            picture = ImageOps.exif_transpose(picture)
            if picture.mode in ("LA", "PA", "La"):
                picture = picture.getchannel(0)
            elif not picture.mode.startswith(("1", "L", "P", "I", "F")) or picture.mode == "LAB":
                picture = picture.convert("RGB")
            array = np.asarray(picture)
    except UnidentifiedImageError:
        raise expect.InputError(f"expected an image, got {path}, whose content is no image format") from None
    if array.ndim == 3:
        if (array != array[..., :1]).any():
            raise expect.InputError(f"expected one number a pixel as label, got {path} with colours")
        array = array[..., 0]
    return _unstretched(array, kind)


def _unstretched(array: np.ndarray, kind: object) -> np.ndarray:
    """Undo what Pillow does to grey values of few bits, in PNG and PGM: it stretches them to 8 or 16."""
    if kind in ("L;2", "L;4"):
        return array // (85 if kind == "L;2" else 17)
    if isinstance(kind, tuple) and len(kind) == 2 and kind[0] == "L" and isinstance(kind[1], int):
        return np.round(array * (kind[1] / (65535 if array.dtype == np.int32 else 255))).astype(np.int64)
    return array


def _coloured_picture(path: Path, page: int) -> np.ndarray:
    """Luminance in [0, 1] of a page in colours, or of a kind of compression that tifffile lacks."""
    from PIL import Image

    with Image.open(path) as picture:
        picture.seek(page)
        if picture.mode == "1":
            picture = picture.convert("L")
        elif not picture.mode.startswith(("L", "I", "F")) or picture.mode == "LAB":
            picture = picture.convert("RGB")
        array = np.asarray(picture)
    values = torch.from_numpy(to_unit_range(np.atleast_3d(array), path)).movedim(-1, 0)
    return luminance(values[None, :3] if len(values) >= 3 else values[None, :1])[0, 0].numpy()


@dataclass(frozen=True)
class _Page:
    """A page of a TIFF, or a part of it: where a stack has one page for all."""

    path: Path
    number: int  # from 0
    page: tifffile.TiffPage
    part: np.ndarray | None = None

    @property
    def is_white_zero(self) -> bool:
        return int(self.page.photometric) == 0

    def stored(self) -> np.ndarray | None:
        """The values as stored and upright; None where Pillow has to decode them."""
        try:
            values = self.page.asarray() if self.part is None else self.part
        except ValueError as error:
            if "imagecodecs" in str(error):
                return None
            raise
        return upright(values, int(self.page.tags.valueof(274) or 1))


@contextmanager
def _open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """A TIFF whose chain of pages is whole.

    tifffile reads the pages of a truncated file as far as they are there; the chain then ends in no zero.
    """
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        damaged = expect.InputError(f"expected a readable TIFF, got {path}: it is truncated or damaged")
        if len(tiff.pages) == 0 or tiff.pages.next_page_offset is None:
            raise damaged
        tiff.filehandle.seek(tiff.pages.next_page_offset)
        if any(tiff.filehandle.read(tiff.tiff.offsetsize)):
            raise damaged
        yield tiff


def _check_memory(path: Path, needed: int) -> None:
    """Raise where a damaged header asks for far more memory than the file can fill."""
    if needed > MOST_COMPRESSION * path.stat().st_size:
        raise expect.InputError(f"expected a readable file, got {path}: it is truncated or damaged")


def _tiff_pages(tiff: tifffile.TiffFile, path: Path) -> list[_Page]:
    """Full pages, without thumbnails; ImageJ and tifffile may write one page for a whole stack."""
    pages = [_Page(path, number, page) for number, page in enumerate(tiff.pages) if not page.is_reduced]
    _check_memory(path, sum(page.page.nbytes for page in pages))
    if len(pages) != 1:
        return pages
    page, series = pages[0].page, tiff.series[0]
    if series.size <= page.size:
        return pages
    parts = series.asarray().reshape(-1, *page.shape)
    return [_Page(path, 0, page, part) for part in parts]


def _grey_page(page: _Page, name: Path) -> np.ndarray:
    """One page of a stack: grey values in [0, 1]."""
    import tifffile

    grey = page.page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
    values = page.stored() if grey else None
    if values is None:
        return _coloured_picture(page.path, page.number)
    if values.ndim == 3:  # grey with transparency
        values = values[..., 0]
    unit = to_unit_range(values, name)
    return 1 - unit if page.is_white_zero else unit


def _stored_page(page: _Page) -> np.ndarray:
    values = page.stored()
    if values is not None:
        return values[..., 0] if values.ndim == 3 and (values == values[..., :1]).all() else values
    values = _stored_picture(page.path, page.number)
    if page.is_white_zero:  # Pillow has turned it round
        return ~values if values.dtype == bool else np.iinfo(values.dtype).max - values
    return values


def _tiff_spacing(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """(row, column) in mm, if the resolution has a unit and is no default."""
    tags = tiff.pages[0].tags
    described = (tiff.imagej_metadata or {}).get("unit")
    unit = MILLIMETRES.get(str(described).lower() if described else TIFF_UNITS.get(tags.valueof(296)))
    pixels = [tags.valueof(code) for code in (283, 282)]  # per unit, as fractions
    if unit is None or any(p is None or 0 in p for p in pixels):
        return None
    sides = tuple(unit * denominator / numerator for numerator, denominator in pixels)
    dpi = [25.4 / side for side in sides]
    if any(all(abs(d - default) < 0.005 * default for d in dpi) for default in DEFAULT_DPI):
        return None
    return sides


# ── Volumes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _read_nifti(path: Path, *, label: bool = False) -> _File:
    """Numbers as they are stored, but for the header's scale, turned as `read_nifti_slices` turns them.

    Of an image with more than three dimensions the first volume is read; a label may not have more than one.
    """
    import nibabel

    volume = nibabel.load(path)
    if not isinstance(volume, nibabel.Nifti1Image):
        raise expect.InputError(f"expected a NIfTI volume, got {path}, a {type(volume).__name__}")
    if len(volume.shape) < 3 or 0 in volume.shape:
        raise expect.InputError(f"expected a volume of three dimensions, got {path} of shape {volume.shape}")
    if volume.get_data_dtype().kind not in "biuf":
        raise expect.InputError(f"expected real numbers, got {path} of dtype {volume.get_data_dtype()}")
    if label and any(side != 1 for side in volume.shape[3:]):
        raise expect.InputError(f"expected one label a voxel, got {path} of shape {volume.shape}")
    _check_memory(path, math.prod(map(int, volume.shape)) * volume.get_data_dtype().itemsize)
    if len(volume.shape) > 3:
        volume = volume.slicer[(..., *[0] * (len(volume.shape) - 3))]
    values, affine = np.asanyarray(volume.dataobj), volume.affine
    sides = None
    if np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 0:
        turn = nibabel.io_orientation(affine)
        affine = affine @ nibabel.orientations.inv_ornt_aff(turn, values.shape)
        values = nibabel.apply_orientation(values, turn)
        sides = _voxel_sides(volume, affine, path)
    else:  # there is no telling how it lies
        affine = None
    planes = values.transpose(2, 1, 0)[:, ::-1]  # rows from front to back
    return _File(path, planes, sides, affine)


def _voxel_sides(volume: nibabel.Nifti1Image, affine: np.ndarray, path: Path) -> tuple[float, ...] | None:
    """(slice, row, column) in mm; None where the header as it is in the file does not tell them."""
    import nibabel

    with nibabel.openers.Opener(path) as file:  # nibabel has put 1 for 0
        header = type(volume.header).from_fileobj(file, check=False)
    try:
        unit = {"mm": 1.0, "meter": 1e3, "micron": 1e-3}.get(header.get_xyzt_units()[0])
    except KeyError:  # a code that NIfTI has not
        unit = None
    told = header["pixdim"][1:4]
    if unit is None or not np.isfinite(told).all() or (told == 0).any():
        return None
    return tuple(float(side) * unit for side in np.linalg.norm(affine[:3, :3], axis=0)[::-1])


def _read_nifti_image(path: Path) -> _File:
    """Intensities in [0, 1], as `read_nifti_slices` scales them."""
    volume = _read_nifti(path)
    values = volume.planes.astype(np.float32)
    if not np.isfinite(values).all():
        raise expect.InputError(f"expected intensities without NaN or infinity, got {path} with some")
    scale = np.percentile(values, 99.9)
    if scale <= 0:
        raise expect.InputError(f"expected a volume with something in it, got {path} with (almost) nothing above 0")
    if values.min() < -0.1 * scale:  # resampling leaves small negative values; CT has air at −1000
        raise expect.InputError(f"expected intensities of at least 0, got {path} with {values.min():g}")
    return _File(path, (values / np.float32(scale)).clip(0, 1), volume.spacing_mm, volume.affine)
