"""Read mammograms as they are published: DICOM files, and the images of MIAS with the findings in their `Info.txt`."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float

from course_lib import expect
from course_lib.data.readers import IMAGE_SUFFIXES, luminance, read_image

if TYPE_CHECKING:
    from pydicom import Dataset

DICOM_SUFFIXES = (".dcm", ".dicom")
MIAS_KINDS = ("CALC", "CIRC", "SPIC", "MISC", "ARCH", "ASYM")  # calcifications, then kinds of masses and distortions
TISSUES = (["F"], ["G"], ["D"])  # fatty, fatty-glandular, dense
MIAS_LINE = "mdb001 G CIRC B 535 425 197"


@dataclass(frozen=True)
class Finding:
    """What a radiologist marked: a kind, and a circle where the data set gives one.

    Attributes:
        kind: one of MIAS's, for example "CALC" for calcifications.
        circle: column from the left, height above the lower border, radius, in pixels; None where it is not told.
    """

    kind: str
    circle: tuple[float, float, float] | None


class MiasInfo(NamedTuple):
    """What `Info.txt` says: the findings by the image's name, and a line on each of its lines that cannot be read."""

    findings: dict[str, list[Finding]]
    problems: list[str]


@dataclass(frozen=True)
class MammogramFile:
    """An image in [0, 1], (1, 1, height, width), bright where tissue is dense; the pixels' side in mm, where known."""

    image: Float[torch.Tensor, "1 1 height width"]
    pixel_mm: float | None


def mammogram_files(folder: str | Path) -> list[Path]:
    """The images and DICOM files directly in `folder`, in alphabetical order.

    Raises:
        InputError: no such folder, one that cannot be read, or no such file in it.
    """
    suffixes = (*DICOM_SUFFIXES, *IMAGE_SUFFIXES)
    wanted = f"expected a folder of mammograms ({', '.join(suffixes)})"
    try:
        files = sorted(p for p in Path(folder).iterdir() if p.is_file() and p.suffix.lower() in suffixes)
    except OSError as error:
        raise expect.InputError(f"{wanted}, got {folder}: {error.strerror}") from None
    if not files:
        raise expect.InputError(f"{wanted}, got {folder}, where none was found")
    return files


def read_mammogram(path: str | Path) -> MammogramFile:
    """Read a DICOM file or an image; colours are taken as grey.

    Raises:
        InputError: a file that cannot be used; see `read_dicom` and `read_image`.
    """
    if Path(path).suffix.lower() in DICOM_SUFFIXES:
        return read_dicom(path)
    return MammogramFile(luminance(read_image(path)), None)


def read_dicom(path: str | Path) -> MammogramFile:
    """Read the one image of a DICOM file, as its tags say it is to be shown.

    Stored values go through the modality's rescaling and the first window or table for display, if there are any, and
    from the full range to [0, 1]. With the photometric interpretation MONOCHROME1 small values are bright: they are
    turned round.

    Raises:
        InputError: no DICOM, no pixels, pixels whose decoder is not installed (it says which package has it), more than
            one image, colour, or pixels that are not square.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a tag against the standard is no concern of the reader
            dataset = pydicom.dcmread(path)
            _check_kind(dataset, path)
            values = _shown_values(dataset)
    except expect.InputError:
        raise
    except InvalidDicomError:
        raise expect.InputError(f"expected a DICOM file, got {path}, which is none") from None
    except OSError as error:
        raise expect.InputError(f"expected a DICOM file, got {path}: {error.strerror or error}") from None
    except Exception as error:  # a damaged file can fail anywhere in the decoders
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise expect.InputError(f"expected a readable DICOM file, got {path}: {said}") from None
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = 1 - values
    return MammogramFile(torch.from_numpy(values.astype(np.float32))[None, None], _pixel_mm(dataset, path))


def _check_kind(dataset: Dataset, path: Path) -> None:
    """Raise unless there is one grey image that can be decoded here."""
    from pydicom.pixels import get_decoder

    if "PixelData" not in dataset:
        raise expect.InputError(f"expected a DICOM file with pixels, got {path} without any")
    if dataset.get("PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        raise expect.InputError(f"expected a grey image, got {path} with {dataset.get('PhotometricInterpretation')}")
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise expect.InputError(f"expected one image a file, got {path} with {dataset.NumberOfFrames}")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not (decoder := get_decoder(syntax)).is_available:
        packages = " or ".join(line.partition(" requires ")[2] for line in decoder.missing_dependencies)
        raise expect.InputError(f"expected a decoder for {syntax.name}, which {path} needs: install {packages}")


def _shown_values(dataset: Dataset) -> np.ndarray:
    """Pixels from 0 to 1 over the range that their bits can have."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    bits = int(dataset.BitsStored)
    ends = np.array([0, 2**bits - 1]) - (2 ** (bits - 1) if dataset.PixelRepresentation else 0)
    if "VOILUTSequence" in dataset:
        low, high = 0, 2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
    else:
        low, high = np.sort(apply_modality_lut(ends, dataset))
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    return np.clip((values - float(low)) / float(high - low), 0, 1)


def _pixel_mm(dataset: Dataset, path: Path) -> float | None:
    """The side of a pixel: on the detector, or in the patient where the file says so."""
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    if not spacing:
        return None
    rows, columns = (float(s) for s in spacing)
    if not 0 < rows or abs(rows - columns) > 1e-3 * rows:
        raise expect.InputError(f"expected square pixels, got {path} with {rows:g} × {columns:g} mm")
    return rows


def breast_region(image: Float[torch.Tensor, "1 1 height width"]) -> Bool[torch.Tensor, "height width"]:
    """Where the breast is: the largest connected part that is brighter than Otsu's threshold (1979) for the logarithm.

    On the logarithm, because air is far darker than any tissue, and dense tissue not so far brighter than fat.
    """
    from skimage.filters import threshold_otsu
    from skimage.measure import label

    values = np.log(expect.images("image", image)[0, 0].numpy() + 0.01)
    if values.min() == values.max():
        raise expect.InputError("expected a mammogram, got an image that is the same everywhere")
    parts = label(values > threshold_otsu(values))
    return torch.from_numpy(parts == np.bincount(parts.flat)[1:].argmax() + 1)


def read_mias_info(path: str | Path) -> MiasInfo:
    """Read `Info.txt` of the MIAS data set (Suckling et al. 1994).

    A line has the image's name, a letter for the tissue, and the kind of finding or NORM; then B or M, and a circle, if
    there is one. Text above the table is passed over. An image may have several lines.

    Raises:
        InputError: a file that cannot be read, or without any line of that form.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise expect.InputError(f"expected MIAS's Info.txt, got {path}: {error.strerror}") from None
    findings: dict[str, list[Finding]] = {}
    problems = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or not (re.fullmatch(r"mdb\d+", words[0]) or words[1:2] in TISSUES):
            continue  # text, not the table
        found = _finding(words)
        if found is None:
            problems.append(f"expected a line such as {MIAS_LINE!r}, got {line.strip()!r} in line {number} of {path}")
        else:
            findings.setdefault(words[0], []).extend(found)
    if not findings:
        raise expect.InputError(f"expected lines such as {MIAS_LINE!r} in {path}, found none")
    return MiasInfo(findings, problems)


def _finding(words: list[str]) -> list[Finding] | None:
    """The finding in a line's words, in a list; an empty list for NORM, None for what is no such line."""
    if words[1:2] not in TISSUES:
        return None
    if words[2:] == ["NORM"]:
        return []
    if len(words) < 4 or words[2] not in MIAS_KINDS or words[3] not in ("B", "M"):
        return None
    place = words[4:]
    if not place or place[0].startswith("*"):  # "*NOTE 3*": all over the breast
        return [Finding(words[2], None)]
    try:
        column, height, radius = (float(word) for word in place)
    except ValueError:
        return None
    return [Finding(words[2], (column, height, radius))] if radius > 0 else None
