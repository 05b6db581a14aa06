"""`course evaluate compressed_sensing`: wavelets, total variation and dictionary learning."""

from __future__ import annotations

from pathlib import Path

from course_lib.coursework.evaluate.framework import Evaluation, Row
from course_lib.coursework.evaluate.reconstruction import (
    OPTIONS,
    TV_WEIGHT,
    reconstruction_rows,
    zero_filled_and_wavelet,
)


def measured_rows(folder: Path, seed: int, acceleration: list[float], mask: str, slices: int | None) -> list[Row]:
    """PSNR, SSIM, NMSE and seconds at each acceleration factor."""
    from course_lib import classical

    methods = {
        **zero_filled_and_wavelet(),
        "tv": lambda A, y, _: classical.tv_reconstruction(A, y, TV_WEIGHT).x,
        "dictionary": lambda A, y, generator: classical.dictionary_reconstruction(A, y, generator=generator).x,
    }
    return reconstruction_rows(folder, seed, methods, acceleration, mask, slices)


EVALUATION = Evaluation(measured_rows, OPTIONS)
