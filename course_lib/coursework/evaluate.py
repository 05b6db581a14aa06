"""Run a module's methods on a folder of the user's own data: a table on the screen, rows in a JSON file."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import expect
from course_lib.coursework.files import check_writable, write_whole
from course_lib.coursework.modules import find_module

if TYPE_CHECKING:
    import torch

    Denoiser = Callable[[torch.Tensor, float], torch.Tensor]


LEAST_SIGMA, MOST_SIGMA = 1e-4, 10.0  # in units of the range from black to white


@dataclass(frozen=True)
class Row:
    """One measured number: the mean of a metric over `count` images."""

    method: str
    setting: str
    metric: str
    value: float
    count: int


def evaluate_module(module: str, data: Path, out: Path, *, sigmas: list[str], seed: int) -> list[Row]:
    """Evaluate a module on the images in `data`, print a table, and write `out` as JSON.

    Everything is checked before the work begins, and `out` is written whole at the end or not at all. An
    image that cannot be used is named on stderr and skipped; `count` says how many were used.

    Raises:
        InputError: an unknown module, one without an evaluation, a bad noise level, a bad folder, no usable
            image, or an `out` that cannot be written.
    """
    name = find_module(module).id
    if name not in EVALUATIONS:
        raise expect.InputError(f"expected a module among {', '.join(EVALUATIONS)}, got {name!r}")
    from course_lib.data.readers import IMAGE_SUFFIXES

    levels = {text: noise_level(text) for text in sigmas}
    out = Path(out)
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() in IMAGE_SUFFIXES:
        raise expect.InputError(f"expected --out as a JSON file in an existing folder, got {out}")
    check_writable(out)
    if not 0 <= seed < 2**31:
        raise expect.InputError(f"expected --seed from 0 to {2**31 - 1}, got {seed}")
    rows = EVALUATIONS[name](Path(data), levels, seed)
    print(table(rows))
    record = {"module": name, "data": expect.one_line(str(data)), "rows": [asdict(row) for row in rows]}
    write_whole(out, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return rows


def noise_level(text: str) -> float:
    """σ from "25/255" or "0.1".

    Raises:
        InputError: no number, or one outside [1e-4, 10].
    """
    wanted = f"expected a noise level from {LEAST_SIGMA:g} to {MOST_SIGMA:g}, such as 25/255 or 0.1"
    try:
        numerator, _, denominator = text.partition("/")
        value = float(numerator) / (float(denominator) if denominator else 1.0)
    except (ValueError, ZeroDivisionError):
        raise expect.InputError(f"{wanted}, got {text!r}") from None
    if not (math.isfinite(value) and LEAST_SIGMA <= value <= MOST_SIGMA) or text.endswith("/"):
        raise expect.InputError(f"{wanted}, got {text!r}")
    return value


def denoising_rows(folder: Path, levels: dict[str, float], seed: int, methods: dict[str, Denoiser]) -> list[Row]:
    """Add noise to every image of a folder, run every method, and average PSNR and SSIM over the images.

    The noise depends on the seed, the image's place in the alphabet, and the level: all methods meet the same.
    """
    import torch

    from course_lib.metrics import psnr, ssim
    from course_lib.physics import add_gaussian_noise

    values: dict[tuple[str, str, str], list[float]] = {}
    for index, clean in usable_images(folder):
        for setting, sigma in levels.items():
            generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
            noisy = add_gaussian_noise(clean, sigma, generator)
            for method, denoise in methods.items():
                estimate = denoise(noisy, sigma)
                for metric, measure in (("psnr", psnr), ("ssim", ssim)):
                    key = (method, f"sigma={setting}", metric)
                    values.setdefault(key, []).append(float(measure(estimate, clean)))
    return [Row(*key, sum(found) / len(found), len(found)) for key, found in values.items()]


def usable_images(folder: Path) -> Iterator[tuple[int, torch.Tensor]]:
    """(place in the alphabet, image) for each image that can be used; the others are named on stderr."""
    from tqdm import tqdm

    from course_lib.data import image_files, read_image
    from course_lib.metrics.image_quality import SSIM_WINDOW

    files = image_files(folder)
    used = 0
    for index, path in enumerate(tqdm(files, unit="image", disable=not sys.stderr.isatty(), leave=False)):
        try:
            image = read_image(path)
            if min(image.shape[-2:]) < SSIM_WINDOW:
                size = f"{image.shape[-2]}×{image.shape[-1]}"
                raise expect.InputError(
                    f"expected an image of at least {SSIM_WINDOW}×{SSIM_WINDOW} pixels, got {path} with {size}"
                )
        except expect.InputError as error:
            tqdm.write(expect.one_line(f"course: skipped: {error}"), file=sys.stderr)
            continue
        used += 1
        yield index, image
    if used == 0:
        raise expect.InputError(f"expected at least one usable image in {folder}, got {len(files)} unusable")
    if used < len(files):
        print(f"course: used {used} of {len(files)} images", file=sys.stderr)


def table(rows: list[Row]) -> str:
    """The rows as text: a line for each method and setting, a column for each metric."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    values = {(row.setting, row.method, row.metric): row for row in rows}
    lines = [f"{'setting':<16}{'method':<12}" + "".join(f"{m:>10}" for m in metrics) + f"{'images':>8}"]
    for setting, method in dict.fromkeys((row.setting, row.method) for row in rows):
        found = [values[setting, method, metric] for metric in metrics]
        lines.append(
            f"{setting:<16}{method:<12}" + "".join(f"{row.value:>10.3f}" for row in found) + f"{found[0].count:>8}"
        )
    return "\n".join(lines)


def _wiener_filtering(folder: Path, levels: dict[str, float], seed: int) -> list[Row]:
    from course_lib import classical, data

    data.image_files(folder)  # a wrong folder is told before the photographs are read
    spectrum = classical.power_spectrum(data.with_symmetries(data.photographs(data.TRAINING_PHOTOGRAPHS)))
    methods = {
        "noisy": lambda noisy, sigma: noisy,
        "wiener": lambda noisy, sigma: classical.wiener_denoise(noisy, spectrum, sigma),
        "bilateral": classical.bilateral,
    }
    return denoising_rows(folder, levels, seed, methods)


EVALUATIONS = {"01_wiener_filtering": _wiener_filtering}
