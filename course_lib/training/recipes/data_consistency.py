"""Module 09: the cascade, and a CNN and a U-Net without data consistency, trained alike at R = 4 and R = 8.

Each training image is a slice of another brain than those it is validated on, with a phase and a mask of its own:
no network sees the same measurement twice. One network learns both accelerations, half of the images each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from course_lib.data.population import brain_population
from course_lib.metrics import psnr
from course_lib.networks import DeepCascade, PlainCNN, UNetReconstruction
from course_lib.physics.simulate import Scan, scan
from course_lib.training.recipe import Recipe

ACCELERATIONS = (4, 8)
SUBJECTS, SLICES = 150, 4  # a pool of 600 training slices, in memory


@cache
def training_images() -> torch.Tensor:
    return brain_population("train", SUBJECTS, SLICES)


@cache
def validation_scans(acceleration: int) -> Scan:
    images = brain_population("validation", 8, 2)
    return scan(images, acceleration, torch.Generator().manual_seed(acceleration))


def batch(generator: torch.Generator, size: int) -> Scan:
    """New measurements of `size` training slices, each at one of the accelerations."""
    images = training_images()
    chosen = images[torch.randint(len(images), (size,), generator=generator)]
    factors = torch.randint(len(ACCELERATIONS), (size,), generator=generator)
    scans = [scan(chosen[i : i + 1], ACCELERATIONS[factors[i]], generator) for i in range(size)]
    return Scan(*map(torch.cat, zip(*scans, strict=True)))


def negative_psnr(network: nn.Module, scans: Scan) -> torch.Tensor:
    """Minus the mean PSNR in dB of the complex image, its phase included.

    The mean squared error at R = 8 is some ten times that at R = 4 and would drown it; in dB each image counts alike.
    """
    x, y, mask = scans
    error = (network(y, mask) - x).abs().square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(error).mean()


def validate(network: nn.Module) -> dict[str, float]:
    """Mean PSNR of magnitudes in dB, at each acceleration."""
    return {f"psnr_r{R}": mean_psnr(network, validation_scans(R)) for R in ACCELERATIONS}


def mean_psnr(network: nn.Module, scans: Scan) -> float:
    """Mean PSNR in dB of the magnitudes of the network's reconstructions, four at a time."""
    device = next(network.parameters()).device
    parts = zip(*(part.split(4) for part in scans), strict=True)
    values = [psnr(network(y.to(device), mask.to(device)).abs(), x.to(device).abs()) for x, y, mask in parts]
    return float(torch.cat(values).mean())


def recipe(name: str, network: Callable[[], nn.Module], learning_rate: float) -> Recipe:
    return Recipe(
        name=name, network=network, batch=batch, loss=negative_psnr, validate=validate,
        steps=8000, batch_size=1, learning_rate=learning_rate, validate_every=1000,
    )  # fmt: skip


RECIPES = (
    recipe("cascade", DeepCascade, 3e-3),
    recipe("cnn", PlainCNN, 3e-3),
    recipe("unet", UNetReconstruction, 3e-3),
)
