"""Read published MRI data as it is published: NIfTI volumes, and single-coil k-space of the fastMRI project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Complex, Float, Inexact

from course_lib import expect
from course_lib.data.readers import IMAGE_SUFFIXES, luminance, read_image

if TYPE_CHECKING:
    import h5py

NIFTI_SUFFIXES = (".nii", ".nii.gz")
FASTMRI_SUFFIXES = (".h5", ".hdf5")
DATA_SUFFIXES = (*IMAGE_SUFFIXES, *NIFTI_SUFFIXES, *FASTMRI_SUFFIXES)
NIFTI_SLICES = 10  # of a volume, unless more are asked for
MIDDLE = 0.6  # share of a volume's axial slices that is looked at: the ends show little anatomy


# in what nibabel, gzip and HDF5 say of a file that is cut off, or that was never one of theirs
_WRONG_CONTENT = ("truncat", "bytes", "mapped", "signature", "file type", "empty file", "gzip")


@dataclass(frozen=True)
class FastMRIVolume:
    """One fastMRI file, both parts divided by the maximum of the whole target volume.

    Attributes:
        kspace: complex64 (slices, 1, height, width), zero frequency at [height//2, width//2]. Its centred
            orthonormal inverse DFT, cropped around the centre, has the target as its magnitude.
        target: float32 (slices, 1, rows, columns), at least 0; 320×320 in the published files.
        published: whether the target is the file's own `reconstruction_esc`; if not, it was made from `kspace`.
    """

    kspace: Complex[torch.Tensor, "slices 1 height width"]
    target: Float[torch.Tensor, "slices 1 rows columns"]
    published: bool


def mri_files(folder: str | Path) -> list[Path]:
    """The images, NIfTI volumes and fastMRI files directly in `folder`, in alphabetical order.

    Raises:
        InputError: no such folder, one that cannot be read, or no such file in it.
    """
    wanted = "expected a folder of images (.png, …), NIfTI volumes (.nii, .nii.gz) or fastMRI files (.h5)"
    try:
        files = sorted(p for p in Path(folder).iterdir() if p.is_file() and p.name.lower().endswith(DATA_SUFFIXES))
    except OSError as error:
        raise expect.InputError(f"{wanted}, got {folder}: {error.strerror}") from None
    if not files:
        raise expect.InputError(f"{wanted}, got {folder}, where none was found")
    return files


def read_nifti_slices(path: str | Path, most: int = NIFTI_SLICES) -> Float[torch.Tensor, "slices 1 height width"]:
    """Axial slices of one NIfTI volume, evenly spaced over the middle 60 %.

    The volume is turned to the nearest of the axes right, anterior, superior (RAS). Of a volume with more
    than three dimensions (time, echoes) the first is read. Slices in which fewer than 1 % of the pixels exceed a
    tenth of the scale are left out. Pixels stay as they are, also where they are not square.

    Args:
        path: a .nii or .nii.gz file of magnitudes.
        most: how many slices to return at most, from 1.

    Returns:
        float32, at least 0, front of the head up, the person's left on the left. The scale is the 99.9th
        percentile of the volume, which becomes 1; the few voxels above it stay above 1.

    Raises:
        InputError: a file that is missing, no NIfTI or truncated; fewer than three dimensions; values that are
            NaN, complex, colours, or clearly negative, as in CT; nothing in the middle slices.
    """
    import nibabel
    from nibabel.imageglobals import LoggingOutputSuppressor

    most = expect.count("the number of slices", most)
    with readable(path, "NIfTI volume"), LoggingOutputSuppressor():  # what is wrong is told in our one line
        image = nibabel.load(path)
        if len(image.shape) < 3:
            raise expect.InputError(f"expected a volume of three dimensions or more, got {path} of shape {image.shape}")
        if image.get_data_dtype().kind not in "iuf":
            raise expect.InputError(f"expected real intensities, got {path} of dtype {image.get_data_dtype()}")
        if len(image.shape) > 3:
            image = image.slicer[(..., *[0] * (len(image.shape) - 3))]
        volume = image.get_fdata(dtype=np.float32, caching="unchanged")
        volume = nibabel.apply_orientation(volume, nibabel.io_orientation(image.affine))
    if not np.isfinite(volume).all():
        raise expect.InputError(f"expected intensities without NaN or infinity, got {path} with some")
    scale = np.percentile(volume, 99.9) if volume.size else 0.0
    if scale <= 0:
        raise expect.InputError(f"expected a volume with something in it, got {path} with (almost) nothing above 0")
    if volume.min() < -0.1 * scale:  # resampling leaves small negative values; CT has air at −1000
        raise expect.InputError(f"expected magnitudes of at least 0, got {path} with {volume.min():g}")
    count = volume.shape[2]
    margin = round((1 - MIDDLE) / 2 * count)
    filled = (volume > 0.1 * scale).mean(axis=(0, 1)) >= 0.01
    slices = [k for k in range(margin, max(margin + 1, count - margin)) if filled[k]]
    if not slices:
        raise expect.InputError(f"expected something in the middle axial slices, got {path} with empty ones")
    chosen = volume[:, :, _evenly(slices, most)] / np.float32(scale)
    upright = np.ascontiguousarray(chosen.transpose(2, 1, 0)[:, ::-1])  # rows from front to back
    return torch.from_numpy(upright).clamp(min=0)[:, None]


def read_fastmri(path: str | Path, most: int | None = None) -> FastMRIVolume:
    """One single-coil file of the fastMRI project (Zbontar et al. 2018).

    Args:
        path: an HDF5 file with `kspace`, complex (slices, height, width), and `reconstruction_esc`, real
            (slices, rows, columns). Without the latter the target is the magnitude of the fully sampled
            reconstruction, cropped to a square around its centre.
        most: how many evenly spaced slices to return at most; None for all.

    Raises:
        InputError: a file that is missing, no HDF5 or truncated; no `kspace`; parts of another shape or type; NaN;
            a target larger than k-space or without a positive value; k-space that was undersampled already.
    """
    import h5py

    with readable(path, "HDF5 file"), h5py.File(path, "r") as file:
        kspace = _part(file, "kspace", path, kinds="c", wanted="complex")
        if "mask" in file:  # only the files of the test and the challenge have one
            raise expect.InputError(f"expected fully sampled kspace, got {path} with a mask: undersampled already")
        published = "reconstruction_esc" in file
        if published:
            target = _part(file, "reconstruction_esc", path, kinds="iuf", wanted="real")
    if not published:
        side = min(kspace.shape[1:])
        target = centre_crop(_inverse_fourier(kspace).abs(), (side, side))
    if len(target) != len(kspace) or target.shape[1] > kspace.shape[1] or target.shape[2] > kspace.shape[2]:
        shapes = f"{tuple(target.shape)} beside {tuple(kspace.shape)}"
        raise expect.InputError(f"expected reconstruction_esc within kspace, got {path} with {shapes}")
    scale = target.max()
    if scale <= 0:
        raise expect.InputError(f"expected a target with values above 0, got {path} with at most {scale:g}")
    chosen = _evenly(range(len(kspace)), len(kspace) if most is None else expect.count("the number of slices", most))
    return FastMRIVolume(kspace[chosen][:, None] / scale, target[chosen][:, None] / scale, published)


def read_images(path: str | Path, most: int = NIFTI_SLICES) -> Inexact[torch.Tensor, "slices 1 height width"]:
    """What a fully sampled scan of one file shows: an image's grey, slices of a NIfTI volume, or of a fastMRI file.

    Args:
        path: of one of the kinds that `mri_files` lists.
        most: how many slices of a volume at most.

    Returns:
        float32, magnitudes of about 1 at most; complex64 with the measured phase for fastMRI, whose images keep
        the margins that its targets are cropped by.

    Raises:
        InputError: as `read_image`, `read_nifti_slices` and `read_fastmri` do.
    """
    name = Path(path).name.lower()
    if name.endswith(FASTMRI_SUFFIXES):
        return _inverse_fourier(read_fastmri(path, most).kspace)
    return read_nifti_slices(path, most) if name.endswith(NIFTI_SUFFIXES) else luminance(read_image(path))


def centre_crop(
    images: Inexact[torch.Tensor, "*batch height width"], shape: tuple[int, int]
) -> Inexact[torch.Tensor, "*batch rows columns"]:
    """The middle (rows, columns) of each image, as fastMRI crops: what is odd is left over below and on the right."""
    top, left = ((side - wanted) // 2 for side, wanted in zip(images.shape[-2:], shape, strict=True))
    if min(top, left) < 0 or min(shape) < 1:
        raise expect.InputError(f"expected a crop within {tuple(images.shape[-2:])}, got {tuple(shape)}")
    return images[..., top : top + shape[0], left : left + shape[1]]


def _inverse_fourier(kspace: torch.Tensor) -> torch.Tensor:
    """`physics.inverse_fourier`, written out because data come before physics."""
    plane = (-2, -1)
    images = torch.fft.ifft2(torch.fft.ifftshift(kspace, dim=plane), norm="ortho")
    return torch.fft.fftshift(images, dim=plane)


def _evenly(places: Sequence[int], most: int) -> list[int]:
    """At most `most` of the places: the middle of each of as many equal parts."""
    count = min(most, len(places))
    return [places[int((i + 0.5) * len(places) / count)] for i in range(count)]


def _part(file: h5py.File, name: str, path: str | Path, *, kinds: str, wanted: str) -> torch.Tensor:
    """One data set of an HDF5 file, (slices, height, width), in single precision."""
    import h5py

    if not isinstance(file.get(name), h5py.Dataset):
        found = ", ".join(sorted(file)[:5]) or "nothing"
        raise expect.InputError(f"expected a fastMRI file with the data set {name}, got {path} with {found}")
    part = file[name]
    if part.dtype.kind not in kinds or part.ndim != 3 or 0 in part.shape:
        raise expect.InputError(
            f"expected {name} as {wanted} numbers (slices, height, width) of a single coil, "
            f"got {path} with {part.dtype} of shape {part.shape}"
        )
    values = part[()].astype(np.complex64 if "c" in kinds else np.float32, copy=False)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise expect.InputError(f"expected {name} without NaN or infinity, got {path} with {bad} of them")
    return torch.from_numpy(values)


@contextmanager
def readable(path: str | Path, kind: str) -> Iterator[None]:
    """Whatever a decoder raises on a wrong or damaged file becomes one line that names the file."""
    try:
        yield
    except expect.InputError:
        raise
    except FileNotFoundError:
        raise expect.InputError(f"expected a readable {kind}, got {path}, which does not exist") from None
    except PermissionError:
        raise expect.InputError(f"expected a readable {kind}, got {path}: permission denied") from None
    except Exception as error:
        said = " ".join(str(error).split())[:120]
        wrong = isinstance(error, EOFError) or any(word in said.lower() for word in _WRONG_CONTENT)
        reason = "it is truncated, damaged or of another kind" if wrong else said or type(error).__name__
        raise expect.InputError(f"expected a readable {kind}, got {path}: {reason}") from None
