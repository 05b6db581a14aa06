"""Module 09: the cascade, and a CNN and a U-Net without data consistency, trained alike at R = 4 and R = 8.

Each training image is a slice of another brain than those it is validated on, with a phase and a mask of its own:
no network sees the same measurement twice. One network learns both accelerations, half of the images each.

The learning rates are the best on the validation brains after runs of 600 steps: of 0.001, 0.002 and 0.004 for the
cascade, of 0.00025 to 0.004 in steps of two for the CNN; the U-Net's was not tuned. Such runs are made by
`python benchmarks/learning_rates.py`. The shipped weights learned with `--precision bf16-mixed`, half an hour for each
network on two cores.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch
from torch import nn

from course_lib import expect
from course_lib.data.mri_files import centre_crop, mri_files, read_images
from course_lib.data.population import brain_population
from course_lib.metrics import psnr
from course_lib.networks import DeepCascade, PlainCNN, UNetReconstruction
from course_lib.physics.simulate import Scan, scan
from course_lib.training.own_images import held_out
from course_lib.training.recipe import Batch, Recipe

ACCELERATIONS = (4, 8)
SUBJECTS, SLICES = 300, 4  # a pool of 1200 training slices, in memory
SLICES_OF_A_FILE = 10


@cache
def training_images() -> torch.Tensor:
    return brain_population("train", SUBJECTS, SLICES)


@cache
def validation_images() -> torch.Tensor:
    return brain_population("validation", 8, 2)


def batch(images: Callable[[], torch.Tensor], generator: torch.Generator, size: int) -> Scan:
    """New measurements of `size` training slices, each at one of the accelerations."""
    pool = images()
    chosen = pool[torch.randint(len(pool), (size,), generator=generator)]
    factors = torch.randint(len(ACCELERATIONS), (size,), generator=generator)
    scans = [scan(chosen[i : i + 1], ACCELERATIONS[factors[i]], generator) for i in range(size)]
    return Scan(*map(torch.cat, zip(*scans, strict=True)))


def negative_psnr(network: nn.Module, scans: Batch) -> torch.Tensor:
    """Minus the mean PSNR in dB of the complex image, its phase included.

    The mean squared error at R = 8 is some ten times that at R = 4 and would drown it; in dB each image counts alike.
    """
    x, y, mask = scans
    error = (network(y, mask) - x).abs().square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(error).mean()


def validate(images: Callable[[], torch.Tensor], network: nn.Module) -> dict[str, float]:
    """Mean PSNR of magnitudes in dB, at each acceleration; the masks and phases are always the same."""
    scans = {R: scan(images(), R, torch.Generator().manual_seed(R)) for R in ACCELERATIONS}
    return {f"psnr_r{R}": mean_psnr(network, scans[R]) for R in scans}


def mean_psnr(network: nn.Module, scans: Scan) -> float:
    """Mean PSNR in dB of the magnitudes of the network's reconstructions, four at a time."""
    device = next(network.parameters()).device
    parts = zip(*(part.split(4) for part in scans), strict=True)
    values = [psnr(network(y.to(device), mask.to(device)).abs(), x.to(device).abs()) for x, y, mask in parts]
    return float(torch.cat(values).mean())


def recipe(
    name: str,
    network: Callable[[], nn.Module],
    learning_rate: float,
    training: Callable[[], torch.Tensor] = training_images,
    validation: Callable[[], torch.Tensor] = validation_images,
) -> Recipe:
    return Recipe(
        name=name, network=network, batch=partial(batch, training), loss=negative_psnr,
        validate=partial(validate, validation), steps=20_000, batch_size=1, learning_rate=learning_rate,
        validate_every=2000, data=partial(on_own_data, name, network, learning_rate),
    )  # fmt: skip


# ── The user's own data ────────────────────────────────────────────────────────────────────────────────────────────


def on_own_data(name: str, network: Callable[[], nn.Module], learning_rate: float, folder: Path) -> Recipe:
    """The same recipe on a folder of images, NIfTI volumes and fastMRI files: a file is a subject."""
    training, validation = own_images(folder)
    return recipe(name, network, learning_rate, lambda: training, lambda: validation)


def own_images(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices of the first files of a folder, in the alphabet's order, and of its last fifth, for validation.

    All are cropped around the centre to the sides that every file has, and each has a largest magnitude of 1.

    Raises:
        InputError: fewer than two files, or one that cannot be read.
    """
    files = mri_files(folder)
    if len(files) < 2:
        raise expect.InputError(f"expected at least 2 files in {folder}, one to learn from and one to validate on")
    read = [read_images(path, SLICES_OF_A_FILE) for path in files]
    sides = tuple(min(images.shape[dim] for images in read) for dim in (-2, -1))
    slices = [_at_full_scale(centre_crop(images, sides), path) for images, path in zip(read, files, strict=True)]
    count = held_out(len(files))
    return torch.cat(slices[:-count]), torch.cat(slices[-count:])


def _at_full_scale(images: torch.Tensor, path: Path) -> torch.Tensor:
    """The images that are not black, each divided by its largest magnitude, as complex numbers."""
    largest = images.abs().amax(dim=(1, 2, 3), keepdim=True)
    if not (largest > 0).any():
        raise expect.InputError(f"expected images with something in them, got {path} with black ones")
    seen = largest.flatten() > 0
    return (images[seen] / largest[seen]).to(torch.complex64)


RECIPES = (
    recipe("cascade", DeepCascade, 2e-3),
    recipe("cnn", PlainCNN, 5e-4),
    recipe("unet", UNetReconstruction, 1e-3),
)
