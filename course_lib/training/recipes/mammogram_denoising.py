"""Module 05: denoisers of X-ray counts, plain and dilated, with and without clean images.

A sample is a patch of a generated mammogram, its photons counted at a dose drawn anew, stabilised by Anscombe's
transform and divided by 2·√dose, so that air is 1 and the noise white with σ = 1/(2·√dose). Mean squared errors are
counted in units of σ²: otherwise the lowest dose would rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from course_lib.classical import anscombe, denoise_counts, expected_anscombe
from course_lib.data import mammogram, mammogram_files, read_mammogram
from course_lib.metrics import psnr
from course_lib.networks import DilatedCNN, denoise
from course_lib.physics import USUAL_DOSE, transmission, xray_counts
from course_lib.physics.xray import ELECTRONIC_NOISE
from course_lib.training.losses import LOSSES, mc_sure
from course_lib.training.own_images import own_images
from course_lib.training.recipe import Batch, Recipe

MAMMOGRAMS = 150  # of the training split, in memory
DOSE_SHARES = (1 / 400, 1 / 8)  # of the usual dose: the lowest and the highest
VALIDATION_SHARES = (16, 64, 256)  # parts of the usual dose
PATCH = 96  # pixels a side
DISPLAY = 4.0  # SSIM's constants are made for images that fill their range: ours are shown with this contrast
PLAIN = (1,) * 7

Images = list[torch.Tensor]


class Sample(NamedTuple):
    """Patches: what should be found, what is measured, its noise level, and a direction for SURE."""

    target: torch.Tensor
    noisy: torch.Tensor
    sigma: torch.Tensor
    direction: torch.Tensor


@cache
def training_images() -> Images:
    return [mammogram("train", index).image[0] for index in range(MAMMOGRAMS)]


@cache
def validation_images() -> torch.Tensor:
    """The middle of six breasts."""
    return torch.cat([mammogram("validation", index).image[..., 128:384, 16:272] for index in range(6)])


def batch(images: Callable[[], Images], generator: torch.Generator, size: int) -> Sample:
    """`size` patches, each at a dose of its own: as often between 1/400 and 1/200 as between 1/16 and 1/8."""
    pool = images()
    x = torch.stack([_patch(pool, generator) for _ in range(size)])
    low, high = (math.log(share) for share in DOSE_SHARES)
    doses = USUAL_DOSE * torch.exp(low + (high - low) * torch.rand(size, generator=generator))
    unit = 2 * doses.sqrt()[:, None, None, None]
    counts = torch.cat([xray_counts(x[i : i + 1], float(doses[i]), generator) for i in range(size)])
    target = expected_anscombe(doses[:, None, None, None] * transmission(x), ELECTRONIC_NOISE) / unit
    noisy = anscombe(counts, ELECTRONIC_NOISE) / unit
    return Sample(target, noisy, 1 / unit[:, 0, 0, 0], torch.randn(x.shape, generator=generator))


def _patch(pool: Images, generator: torch.Generator) -> torch.Tensor:
    """A patch of a random image, mirrored upside down or not; one that is all air is drawn again."""
    while True:
        image = pool[int(torch.randint(len(pool), (), generator=generator))]
        top, left = (int(torch.randint(side - PATCH + 1, (), generator=generator)) for side in image.shape[-2:])
        patch = image[:, top : top + PATCH, left : left + PATCH]
        if patch.amax() > 0:
            return patch.flip(-2) if torch.rand((), generator=generator) < 0.5 else patch


def squared_error(network: nn.Module, sample: Batch) -> torch.Tensor:
    """The mean squared error of each patch in units of σ², and the mean of these."""
    target, noisy, sigma, _ = sample
    error = (network(noisy).float() - target).square().mean(dim=(1, 2, 3))
    return (error / sigma.square()).mean()


def sure(network: nn.Module, sample: Batch) -> torch.Tensor:
    """The same, estimated without looking at the target."""
    _, noisy, sigma, direction = sample
    return (mc_sure(lambda y: network(y).float(), noisy, sigma, direction) / sigma.square()).mean()


def image_loss(name: str, network: nn.Module, sample: Batch) -> torch.Tensor:
    """One of `LOSSES`, on images with the contrast that they are shown with."""
    target, noisy, *_ = sample
    return LOSSES[name](DISPLAY * network(noisy).float(), DISPLAY * target)


def validate(images: Callable[[], torch.Tensor], network: nn.Module) -> dict[str, float]:
    """Mean PSNR in dB of the attenuation image at three parts of the usual dose; the noise is always the same."""
    device = next(network.parameters()).device
    x = images()
    found = {}
    for part in VALIDATION_SHARES:
        dose = USUAL_DOSE / part
        counts = xray_counts(x, dose, torch.Generator().manual_seed(part)).to(device)
        estimate = denoise_counts(counts, dose, lambda noisy, sigma: denoise(network, noisy).float())
        found[f"psnr_{part}"] = float(psnr(estimate.cpu(), x).mean())
    return found


def recipe(
    name: str,
    network: Callable[[], nn.Module] = DilatedCNN,
    loss: Callable[[nn.Module, Batch], torch.Tensor] = squared_error,
    *,
    steps: int = 3000,
    training: Callable[[], Images] = training_images,
    validation: Callable[[], torch.Tensor] = validation_images,
) -> Recipe:
    return Recipe(
        name=name, network=network, batch=partial(batch, training), loss=loss, validate=partial(validate, validation),
        steps=steps, batch_size=8, learning_rate=2e-3, warm_up=100,
        data=partial(on_own_data, name, network, loss, steps),
    )  # fmt: skip


# ── The user's own data ────────────────────────────────────────────────────────────────────────────────────────────


def on_own_data(
    name: str, network: Callable[[], nn.Module], loss: Callable[..., torch.Tensor], steps: int, folder: Path
) -> Recipe:
    """The same recipe on a folder of mammograms; see `training.own_images`."""
    training, validation = own_images(mammogram_files(folder), lambda path: read_mammogram(path).image[0], PATCH)
    return recipe(name, network, loss, steps=steps, training=lambda: training, validation=lambda: validation)


RECIPES = (
    recipe("mammogram_plain", partial(DilatedCNN, PLAIN)),
    recipe("mammogram_dilated"),
    recipe("mammogram_sure", loss=sure),
    *(recipe(f"mammogram_{name}", loss=partial(image_loss, name), steps=1500) for name in ("l1", "ssim", "mixed")),
)
