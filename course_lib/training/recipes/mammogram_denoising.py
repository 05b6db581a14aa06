"""Module 05: denoisers of X-ray counts, plain and dilated, with and without clean images.

A sample is a patch of a generated mammogram, its photons counted at a dose drawn anew, stabilised by Anscombe's
transform and divided by 2·√dose, so that air is 1 and the noise white with σ = 1/(2·√dose). Mean squared errors are
divided by σ, for the best that can be reached grows about like σ: otherwise one end of the doses would rule.
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
DOSE_SHARES = (1 / 1024, 1 / 8)  # of the usual dose: the lowest and the highest
VALIDATION_SHARES = (16, 64, 256, 1024)  # parts of the usual dose
PATCH = 96  # pixels a side
WITH_CALCIFICATION = 0.25  # of the patches: calcifications are too small for chance to show them often
DISPLAY = 4.0  # SSIM's constants are made for images that fill their range: ours are shown with this contrast
PLAIN = (1,) * 4
STEPS = 4000
SURE_STEPS = 8000  # its gradient is noisier: after 2500 of 4000 steps it was 0.4 to 0.6 dB behind the supervised one
SEEDS = (0, 1, 2)  # plain against dilated is the mean of so many runs

Breasts = list[tuple[torch.Tensor, torch.Tensor]]  # an image (1, height, width); row and column of calcifications


class Sample(NamedTuple):
    """Patches: what should be found, what is measured, its noise level, and a direction for SURE."""

    target: torch.Tensor
    noisy: torch.Tensor
    sigma: torch.Tensor
    direction: torch.Tensor


@cache
def training_breasts() -> Breasts:
    breasts = [mammogram("train", index) for index in range(MAMMOGRAMS)]
    return [(breast.image[0], breast.calcifications[:, :2].round().int()) for breast in breasts]


@cache
def validation_images() -> torch.Tensor:
    """The middle of six breasts."""
    return torch.cat([mammogram("validation", index).image[..., 128:384, 16:272] for index in range(6)])


def batch(breasts: Callable[[], Breasts], generator: torch.Generator, size: int) -> Sample:
    """`size` patches, each at a dose of its own: as often between 1/1024 and 1/512 as between 1/16 and 1/8."""
    pool = breasts()
    x = torch.stack([_patch(pool, generator) for _ in range(size)])
    low, high = (math.log(share) for share in DOSE_SHARES)
    doses = USUAL_DOSE * torch.exp(low + (high - low) * torch.rand(size, generator=generator))
    unit = 2 * doses.sqrt()[:, None, None, None]
    counts = torch.cat([xray_counts(x[i : i + 1], float(doses[i]), generator) for i in range(size)])
    target = expected_anscombe(doses[:, None, None, None] * transmission(x), ELECTRONIC_NOISE) / unit
    noisy = anscombe(counts, ELECTRONIC_NOISE) / unit
    return Sample(target, noisy, 1 / unit[:, 0, 0, 0], torch.randn(x.shape, generator=generator))


def _patch(pool: Breasts, generator: torch.Generator) -> torch.Tensor:
    """A patch of a random image, mirrored upside down or not; one that is all air is drawn again."""

    def chance(most: int) -> int:
        return int(torch.randint(most, (), generator=generator))

    while True:
        image, spots = pool[chance(len(pool))]
        ends = [side - PATCH for side in image.shape[-2:]]
        corner = [chance(end + 1) for end in ends]
        if len(spots) and torch.rand((), generator=generator) < WITH_CALCIFICATION:
            about = spots[chance(len(spots))].tolist()
            corner = [min(max(place - chance(PATCH), 0), end) for place, end in zip(about, ends, strict=True)]
        patch = image[:, corner[0] : corner[0] + PATCH, corner[1] : corner[1] + PATCH]
        if patch.amax() > 0:
            return patch.flip(-2) if torch.rand((), generator=generator) < 0.5 else patch


def squared_error(network: nn.Module, sample: Batch) -> torch.Tensor:
    """The mean squared error of each patch over its σ, and the mean of these."""
    target, noisy, sigma, _ = sample
    error = (network(noisy, sigma).float() - target).square().mean(dim=(1, 2, 3))
    return (error / sigma).mean()


def sure(network: nn.Module, sample: Batch) -> torch.Tensor:
    """The same, estimated without looking at the target."""
    _, noisy, sigma, direction = sample
    return (mc_sure(lambda y: network(y, sigma).float(), noisy, sigma, direction) / sigma).mean()


def image_loss(name: str, network: nn.Module, sample: Batch) -> torch.Tensor:
    """One of `LOSSES`, on images with the contrast that they are shown with."""
    target, noisy, sigma, _ = sample
    return LOSSES[name](DISPLAY * network(noisy, sigma).float(), DISPLAY * target)


def validate(images: Callable[[], torch.Tensor], network: nn.Module) -> dict[str, float]:
    """Mean PSNR in dB of the attenuation image at three parts of the usual dose; the noise is always the same."""
    device = next(network.parameters()).device
    x = images()
    found = {}
    for part in VALIDATION_SHARES:
        dose = USUAL_DOSE / part
        counts = xray_counts(x, dose, torch.Generator().manual_seed(part)).to(device)
        estimate = denoise_counts(counts, dose, lambda noisy, sigma: denoise(network, noisy, sigma).float())
        found[f"psnr_{part}"] = float(psnr(estimate.cpu(), x).mean())
    return found


def recipe(
    name: str,
    network: Callable[[], nn.Module] = DilatedCNN,
    loss: Callable[[nn.Module, Batch], torch.Tensor] = squared_error,
    *,
    seed: int = 0,
    steps: int = STEPS,
    training: Callable[[], Breasts] = training_breasts,
    validation: Callable[[], torch.Tensor] = validation_images,
) -> Recipe:
    return Recipe(
        name=name, network=network, batch=partial(batch, training), loss=loss, validate=partial(validate, validation),
        seed=seed, steps=steps, batch_size=8, learning_rate=4e-3, warm_up=100,
        data=partial(on_own_data, name, network, loss, seed, steps),
    )  # fmt: skip


# ── The user's own data ────────────────────────────────────────────────────────────────────────────────────────────


def on_own_data(
    name: str, network: Callable[[], nn.Module], loss: Callable[..., torch.Tensor], seed: int, steps: int, folder: Path
) -> Recipe:
    """The same recipe on a folder of mammograms; see `training.own_images`."""
    training, validation = own_images(mammogram_files(folder), lambda path: read_mammogram(path).image[0], PATCH)
    nothing_known = [(image, torch.zeros(0, 2, dtype=torch.int)) for image in training]
    data = {"training": lambda: nothing_known, "validation": lambda: validation}
    return recipe(name, network, loss, seed=seed, steps=steps, **data)


def _comparison(seed: int) -> tuple[Recipe, Recipe]:
    """Plain and dilated from the same seed, and so on the same batches."""
    end = f"_{seed}" if seed else ""
    return (
        recipe(f"mammogram_plain{end}", partial(DilatedCNN, PLAIN), seed=seed),
        recipe(f"mammogram_dilated{end}", seed=seed),
    )


RECIPES = (
    *(one for seed in SEEDS for one in _comparison(seed)),
    recipe("mammogram_sure", loss=sure, steps=SURE_STEPS),
    *(recipe(f"mammogram_{name}", loss=partial(image_loss, name)) for name in ("l1", "ssim", "mixed")),
)
