"""`course evaluate wiener_filtering`: the Wiener filter of the photographs' spectrum, and a bilateral filter."""

from __future__ import annotations

from pathlib import Path

from course_lib.coursework.evaluate.denoising import denoising_rows, noise_level
from course_lib.coursework.evaluate.framework import Evaluation, Row


def measured_rows(folder: Path, seed: int, sigma: list[str]) -> list[Row]:
    """PSNR and SSIM at each noise level; the spectrum is that of the course's training photographs."""
    from course_lib import classical, data

    levels = {text: noise_level(text) for text in sigma}
    data.image_files(folder)  # a wrong folder is told before the photographs are read
    spectrum = classical.power_spectrum(data.with_symmetries(data.photographs(data.TRAINING_PHOTOGRAPHS)))
    methods = {
        "noisy": lambda noisy, sigma: noisy,
        "wiener": lambda noisy, sigma: classical.wiener_denoise(noisy, spectrum, sigma),
        "bilateral": classical.bilateral,
    }
    return denoising_rows(folder, levels, seed, methods)


EVALUATION = Evaluation(measured_rows, {"sigma": ["25/255"]})
