"""Modules 02 and 09: the k-space of every slice is undersampled, and every method reconstructs it."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import expect
from course_lib.coursework.evaluate.framework import Measured, Row, averaged, check_images, file_generator
from course_lib.display.progress import say

if TYPE_CHECKING:
    import torch

    from course_lib.physics import FourierSampling

    Reconstruction = Callable[[FourierSampling, torch.Tensor, torch.Generator], torch.Tensor]

# λ with the best mean PSNR among 0.0005, 0.001, … 0.016 on four brain slices (-20, 15, 30 and 45 mm, lines and points,
# R = 4 and 8)
WAVELET_WEIGHT, TV_WEIGHT = 8e-3, 8e-3
OPTIONS = {"acceleration": [4.0, 8.0], "mask": "random_lines", "slices": None}


def reconstruction_rows(
    folder: Path,
    seed: int,
    methods: dict[str, Reconstruction],
    acceleration: list[float],
    mask: str,
    slices: int | None,
) -> list[Row]:
    """Undersample the k-space of every slice, reconstruct, and compare magnitudes with the target's.

    The mask depends on the seed, the file's place in the alphabet, and R: all slices and methods meet the same.
    Images and volumes have their k-space simulated from the very pixels that the result is compared with, on the
    same grid and without noise: the inverse crime. fastMRI's was measured.
    """
    from course_lib.data.mri_files import centre_crop, mri_files
    from course_lib.display.progress import progress_bar
    from course_lib.metrics import nmse, psnr, ssim
    from course_lib.physics import FourierSampling, line_mask, variable_density_mask
    from course_lib.physics.simulate import CENTRE

    masks = {
        "random_lines": lambda shape, R, generator: line_mask(shape, R, CENTRE / R, generator),
        "variable_density_2d": variable_density_mask,
    }
    if mask not in masks:
        raise expect.InputError(f"expected --mask as {' or '.join(masks)}, got {mask!r}")
    accelerations = {f"R={R:g}": expect.number("--acceleration", R, least=1) for R in acceleration}
    if slices is not None:
        expect.count("--slices", slices)
    unfinished = Counter()

    def measure(path: Path, index: int) -> Measured:
        kspace, target = _scan(path, slices)
        check_images(target, path)
        if (target.amax(dim=(1, 2, 3)) <= 0).any():
            raise expect.InputError(f"expected images with something in them, got {path} with a black one")
        shape = tuple(kspace.shape[-2:])
        samples = {setting: masks[mask](shape, R, file_generator(seed, index)) for setting, R in accelerations.items()}
        with progress_bar(len(samples) * len(kspace), path.name, "slice") as bar:
            for setting, sampled in samples.items():
                A = FourierSampling(sampled)
                for y, x in zip((sampled * kspace).split(1), target.split(1), strict=True):
                    for method, reconstruct in methods.items():
                        estimate, seconds, converged = _timed(reconstruct, A, y, file_generator(seed, index))
                        estimate = centre_crop(estimate.abs(), tuple(x.shape[-2:]))
                        for metric, value in (("psnr", psnr), ("ssim", ssim), ("nmse", nmse)):
                            yield method, setting, metric, float(value(estimate, x))
                        yield method, setting, "seconds", seconds
                        unfinished[method] += not converged
                    bar.update()

    rows = averaged(mri_files(folder), measure)
    for method, count in unfinished.items():
        if count:
            say(f"{method}: {count} reconstructions ended before they had converged")
    return rows


def zero_filled_and_wavelet() -> dict[str, Reconstruction]:
    """The methods that both modules begin with."""
    from course_lib import classical

    return {
        "zero_filled": lambda A, y, _: classical.zero_filled(A, y),
        # undecimated, which takes images of any size
        "wavelet": lambda A, y, _: (
            classical.wavelet_reconstruction(A, y, WAVELET_WEIGHT, undecimated=True, wavelet="haar", iterations=200).x
        ),
    }


def _timed(
    reconstruct: Reconstruction, A: FourierSampling, y: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, float, bool]:
    """A reconstruction, its wall time in seconds, and whether it converged; its warnings are kept from the screen."""
    from course_lib.classical import ConvergenceWarning

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        started = time.perf_counter()
        estimate = reconstruct(A, y, generator)
        seconds = time.perf_counter() - started
    return estimate, seconds, not any(issubclass(warning.category, ConvergenceWarning) for warning in told)


def _scan(path: Path, slices: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """k-space (slices, 1, height, width) of one file, and the magnitudes that its reconstruction should have."""
    from course_lib.data import mri_files
    from course_lib.physics import fourier

    if path.name.lower().endswith(mri_files.FASTMRI_SUFFIXES):
        volume = mri_files.read_fastmri(path, slices)
        if not volume.published:
            say(f"no reconstruction_esc in {path}: its target is the magnitude of the fully sampled reconstruction")
        return volume.kspace, volume.target
    images = mri_files.read_images(path, mri_files.NIFTI_SLICES if slices is None else slices)
    return fourier(images), images
