"""Module 04: four denoisers and their bias-free twins, trained alike at low noise.

A sample is a patch of a photograph at one of four scales, mirrored and turned, with noise of its own and of a level
drawn anew. The highest level is 30/255: what a network does beyond it, nobody has shown it.

DnCNN has 17 convolutions of 32 channels, and no batch normalisation. With it and a learning rate of 0.002 the twin with
biases had learned nothing after 4,500 steps; the bias-free one ended, after 22,000, up to 0.2 dB behind ours.
How far the twin with biases fails beyond its noise depends on how they begin: drawn as PyTorch draws them, 10 dB behind
at 90/255; in a run that began with zeros 1 to 2 dB. The shipped weights learned with `--precision bf16-mixed`, three
quarters of an hour for each DnCNN and a minute or two for each of the others, on two cores.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch
from torch import nn

from course_lib.data import (
    NETWORK_TRAINING_PHOTOGRAPHS,
    NETWORK_VALIDATION_PHOTOGRAPHS,
    image_files,
    luminance,
    photographs,
    read_image,
    whole_photographs,
)
from course_lib.metrics import psnr
from course_lib.networks import DenseDenoiser, DnCNN, RecurrentCNN, UNetDenoiser
from course_lib.physics import add_gaussian_noise
from course_lib.training.own_images import own_images
from course_lib.training.recipe import Batch, Recipe

HIGHEST_SIGMA = 30 / 255
SCALES = (1.0, 0.7, 0.5, 0.35)
PATCH = 64  # pixels a side
VALIDATION_SIGMAS = (10, 30, 50, 90)  # of 255

Images = list[torch.Tensor]


@cache
def training_images() -> Images:
    return whole_photographs(NETWORK_TRAINING_PHOTOGRAPHS, SCALES)


@cache
def validation_images() -> torch.Tensor:
    return photographs(NETWORK_VALIDATION_PHOTOGRAPHS, size=256)


def batch(images: Callable[[], Images], generator: torch.Generator, size: int) -> Batch:
    """(clean, noisy): `size` patches; a larger image is drawn more often, in proportion to its side."""
    pool = images()
    sides = torch.tensor([float(image.numel()) ** 0.5 for image in pool])
    chosen = torch.multinomial(sides, size, replacement=True, generator=generator).tolist()
    clean = torch.stack([random_patch(pool[index], generator) for index in chosen])
    sigma = HIGHEST_SIGMA * torch.rand(size, 1, 1, 1, generator=generator)
    return clean, clean + sigma * torch.randn(clean.shape, generator=generator)


def random_patch(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A patch in one of its eight mirrored and turned positions."""
    top, left = (int(torch.randint(side - PATCH + 1, (), generator=generator)) for side in image.shape[-2:])
    turns, mirrored = divmod(int(torch.randint(8, (), generator=generator)), 2)
    patch = torch.rot90(image[:, top : top + PATCH, left : left + PATCH], turns, dims=(1, 2))
    return patch.flip(-1) if mirrored else patch


def log_error(network: nn.Module, samples: Batch) -> torch.Tensor:
    """The mean logarithm of each patch's mean squared error.

    The error itself would be ruled by the patches with most noise. Its logarithm counts a halved error alike at every
    level: PSNR in another unit. The small constant keeps patches without noise from ruling in turn.
    """
    clean, noisy = samples
    error = (network(noisy).float() - clean).square().mean(dim=(1, 2, 3))
    return torch.log(error + 1e-6).mean()


def validate(images: Callable[[], torch.Tensor], network: nn.Module) -> dict[str, float]:
    """Mean PSNR in dB at four noise levels, two of them beyond what is trained; the noise is always the same."""
    device = next(network.parameters()).device
    clean = images()
    found = {}
    for sigma in VALIDATION_SIGMAS:
        noisy = add_gaussian_noise(clean, sigma / 255, torch.Generator().manual_seed(sigma))
        found[f"psnr_{sigma}"] = float(psnr(network(noisy.to(device)).float(), clean.to(device)).mean())
    return found


def recipe(
    name: str,
    network: Callable[[], nn.Module],
    *,
    steps: int,
    learning_rate: float,
    training: Callable[[], Images] = training_images,
    validation: Callable[[], torch.Tensor] = validation_images,
) -> Recipe:
    same = {"steps": steps, "learning_rate": learning_rate}
    return Recipe(
        name=name, network=network, batch=partial(batch, training), loss=log_error,
        validate=partial(validate, validation), batch_size=18, warm_up=100, validate_every=2000,
        data=partial(on_own_data, name, network, same), **same,
    )  # fmt: skip


def twins(name: str, network: Callable[..., nn.Module], *, steps: int, learning_rate: float) -> tuple[Recipe, Recipe]:
    """The same network with and without additive constants, and all else alike."""
    return (
        recipe(name, partial(network, bias=True), steps=steps, learning_rate=learning_rate),
        recipe(f"bf_{name}", partial(network, bias=False), steps=steps, learning_rate=learning_rate),
    )


# ── The user's own data ────────────────────────────────────────────────────────────────────────────────────────────


def on_own_data(name: str, network: Callable[[], nn.Module], same: dict, folder: Path) -> Recipe:
    """The same recipe on a folder of images; see `training.own_images`."""
    training, validation = own_images(image_files(folder), lambda path: luminance(read_image(path))[0], PATCH)
    return recipe(name, network, **same, training=lambda: training, validation=lambda: validation)


RECIPES = (
    *twins("dncnn", DnCNN, steps=25_000, learning_rate=1e-3),
    *twins("unet_denoiser", UNetDenoiser, steps=800, learning_rate=1e-3),
    *twins("recurrent_cnn", RecurrentCNN, steps=800, learning_rate=1e-3),
    *twins("dense_denoiser", DenseDenoiser, steps=800, learning_rate=1e-3),
)
