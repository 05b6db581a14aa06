"""What every evaluation is made of: rows of numbers, means over the files of a folder, and the table of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import expect
from course_lib.display.progress import say

if TYPE_CHECKING:
    import torch

Measured = Iterator[tuple[str, str, str, float]]  # method, setting, metric, value


@dataclass(frozen=True)
class Row:
    """One measured number: the mean of a metric over `count` images or signals."""

    method: str
    setting: str
    metric: str
    value: float
    count: int


@dataclass(frozen=True)
class Evaluation:
    """How one module is evaluated.

    Attributes:
        rows: called with the folder, the seed and every option; it checks the options first.
        options: the command's options that belong to this module, with their defaults. An option that is a list
            repeats, and its values are the rows' settings or methods; the others are written beside the rows.
        unit: what a mean is over, as the table has it.
    """

    rows: Callable[..., list[Row]]
    options: dict[str, object]
    unit: str = "images"


def averaged(files: list[Path], measure: Callable[[Path, int], Measured], unit: str = "file") -> list[Row]:
    """Measure each file, given with its place in the alphabet, and average over all images of all files.

    A file at which `measure` raises an InputError counts not at all; it is named on stderr.
    """
    from tqdm import tqdm

    values: dict[tuple[str, str, str], list[float]] = {}
    used = 0
    for index, path in enumerate(tqdm(files, unit=unit, disable=not sys.stderr.isatty(), leave=False)):
        try:
            found = list(measure(path, index))
        except expect.InputError as error:
            named = error if str(path) in str(error) else f"{path}: {error}"
            say(f"skipped: {named}")
            continue
        used += 1
        for method, setting, metric, value in found:
            values.setdefault((method, setting, metric), []).append(value)
    if used == 0:
        raise expect.InputError(f"expected at least one usable {unit} in {files[0].parent}, got {len(files)} unusable")
    if used < len(files):
        say(f"used {used} of {len(files)} {unit}s")
    return [Row(*key, sum(found) / len(found), len(found)) for key, found in values.items()]


def file_generator(seed: int, index: int) -> torch.Generator:
    """The randomness of the file at one place in the alphabet, from its beginning."""
    import torch

    return torch.Generator().manual_seed(seed * 1_000_003 + index)


def check_images(images: torch.Tensor, path: Path) -> None:
    """Raise unless the images of a file are large enough for SSIM."""
    from course_lib.metrics.image_quality import SSIM_WINDOW

    if min(images.shape[-2:]) < SSIM_WINDOW:
        size = f"{images.shape[-2]}×{images.shape[-1]}"
        raise expect.InputError(
            f"expected an image of at least {SSIM_WINDOW}×{SSIM_WINDOW} pixels, got {path} with {size}"
        )


def fraction(text: str) -> float:
    """The number that "25/255" or "0.1" says; NaN if it says none."""
    numerator, slash, denominator = text.partition("/")
    try:
        return float(numerator) / (float(denominator) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        return math.nan


def table(rows: list[Row], unit: str = "images") -> str:
    """The rows as text: a line for each method and setting, a column for each metric, and how many of the unit.

    A number that is a mean over fewer of them than others in its line has their count behind it.
    """
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines = []
    for setting, method in dict.fromkeys((row.setting, row.method) for row in rows):
        found = {row.metric: row for row in rows if (row.setting, row.method) == (setting, method)}
        most = max(row.count for row in found.values())
        lines.append([setting, method, *(_cell(found.get(metric), most) for metric in metrics), str(most)])
    lines.insert(0, ["setting", "method", *metrics, unit])
    least = [16, 14, *(max(10, len(metric) + 2) for metric in metrics), 8]
    widths = [max(width, *(len(line[k]) + 1 for line in lines)) for k, width in enumerate(least)]
    sides = ["<", "<", *">" * (len(widths) - 2)]
    return "\n".join(
        "".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
        for line in lines
    )


def _cell(row: Row | None, most: int) -> str:
    if row is None:
        return "–"
    number = f"{row.value:.3f}" if abs(row.value) >= 0.1 else f"{row.value:.2g}"
    return number if row.count == most else f"{number} ({row.count})"
