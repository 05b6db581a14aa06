"""Modules 01 and 04: noise is added to every image of a folder, and every method takes it away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import expect
from course_lib.coursework.evaluate.framework import Measured, Row, averaged, check_images, file_generator, fraction

if TYPE_CHECKING:
    import torch

    Denoiser = Callable[[torch.Tensor, float], torch.Tensor]

LEAST_SIGMA, MOST_SIGMA = 1e-4, 1.0  # in units of the range from black to white


def denoising_rows(folder: Path, levels: dict[str, float], seed: int, methods: dict[str, Denoiser]) -> list[Row]:
    """Add noise to every image of a folder, run every method, and average PSNR and SSIM over the images.

    The noise depends on the seed, the image's place in the alphabet, and the level: all methods meet the same.
    """
    from course_lib.data import image_files, read_image
    from course_lib.metrics import psnr, ssim
    from course_lib.physics import add_gaussian_noise

    def measure(path: Path, index: int) -> Measured:
        clean = read_image(path)
        check_images(clean, path)
        for setting, sigma in levels.items():
            noisy = add_gaussian_noise(clean, sigma, file_generator(seed, index))
            for method, denoise in methods.items():
                estimate = denoise(noisy, sigma)
                for metric, value in (("psnr", psnr), ("ssim", ssim)):
                    yield method, f"sigma={setting}", metric, float(value(estimate, clean))

    return averaged(image_files(folder), measure, "image")


def noise_level(text: str) -> float:
    """σ from "25/255" or "0.1".

    Raises:
        InputError: no number, or one outside [1e-4, 1]; above, it is one in grey levels.
    """
    wanted = f"expected a noise level from {LEAST_SIGMA:g} to {MOST_SIGMA:g}, such as 25/255 or 0.1"
    value = fraction(text)
    if MOST_SIGMA < value <= 255 and "/" not in text:
        raise expect.InputError(f"{wanted}, got {text!r}: in units where white is 1, that grey level is {text}/255")
    if not LEAST_SIGMA <= value <= MOST_SIGMA:
        raise expect.InputError(f"{wanted}, got {text!r}")
    return value
