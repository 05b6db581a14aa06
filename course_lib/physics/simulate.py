"""Whole measured populations: what a scanner would have recorded of many images, a new mask for each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Inexact

from course_lib import expect
from course_lib.physics.masks import line_mask
from course_lib.physics.mri import CoilSampling, FourierSampling
from course_lib.physics.noise import add_gaussian_noise

CENTRE = 0.32  # of all lines, over R: a fully sampled centre of .08 at R = 4 and .04 at R = 8, as in fastMRI
PHASE = 0.25  # radians: the standard deviation of each coefficient of the smooth phase


class Scan(NamedTuple):
    """Images and their measurements."""

    x: torch.Tensor
    """the complex ground truth, (batch, 1, height, width)"""
    y: torch.Tensor
    """k-space, centred, zero where nothing was measured; (batch, 1, height, width), or with coils
    (batch, 1, coils, height, width)"""
    mask: torch.Tensor
    """where k-space was measured, another mask for each image; (batch, 1, height, width), or with coils
    (batch, 1, 1, height, width)"""


def scan(
    images: Inexact[torch.Tensor, "batch 1 height width"],
    acceleration: float,
    generator: torch.Generator,
    *,
    centre_fraction: float | None = None,
    sigma: float = 0.0,
    sensitivities: Complex[torch.Tensor, "coils height width"] | None = None,
) -> Scan:
    """Measure each image, with a smooth phase of its own, along random phase-encode lines of its own.

    Args:
        images: magnitudes; or complex, to whose phase the new one is added.
        acceleration: R, from 1 to the number of lines.
        generator: the source of phases, masks and noise.
        centre_fraction: share of all lines in the central block; .32/R when not given.
        sigma: standard deviation of the noise in both parts of each measured sample, in the image's units.
        sensitivities: of the coils, see `coil_sensitivities`; one coil that sees everything alike when not given.

    Raises:
        InputError: as `line_mask`, `CoilSampling` and `add_gaussian_noise` do.
    """
    x = images * torch.exp(1j * smooth_phase(images.abs(), generator))
    mask = line_masks(len(images), tuple(images.shape[-2:]), acceleration, generator, centre_fraction)
    if sensitivities is not None:
        mask = mask[:, :, None]
    A = FourierSampling(mask) if sensitivities is None else CoilSampling(mask, sensitivities)
    return Scan(x, mask * add_gaussian_noise(A(x), sigma, generator), mask)


def line_masks(
    batch: int,
    shape: tuple[int, int],
    acceleration: float,
    generator: torch.Generator,
    centre_fraction: float | None = None,
) -> Bool[torch.Tensor, "batch 1 height width"]:
    """Random phase-encode lines, drawn anew for each image; see `line_mask`."""
    expect.count("the batch", batch)
    if centre_fraction is None:
        centre_fraction = CENTRE / expect.number("the acceleration", acceleration, least=1)
    masks = [line_mask(shape, acceleration, centre_fraction, generator) for _ in range(batch)]
    return torch.stack(masks)[:, None]


def smooth_phase(
    images: Float[torch.Tensor, "batch 1 height width"], generator: torch.Generator
) -> Float[torch.Tensor, "batch 1 height width"]:
    """A phase that varies slowly over each image, in radians: an offset, a slope and a bow.

    The magnetic field is never quite even, and precession turns the signal where it is off. The coefficients of
    1, u, v, u², uv and v², with u and v in [−1, 1], are independent and Gaussian, of standard deviation `PHASE`.
    """
    batch, _, height, width = expect.images("images", images).shape
    expect.generator(generator)
    v = torch.linspace(-1, 1, height, dtype=images.dtype)[:, None]
    u = torch.linspace(-1, 1, width, dtype=images.dtype)
    terms = torch.stack(torch.broadcast_tensors(torch.ones(()), u, v, u * u, u * v, v * v))
    coefficients = PHASE * torch.randn(batch, 1, len(terms), generator=generator, dtype=images.dtype)
    return torch.einsum("bct,thw->bchw", coefficients, terms).to(images.device)
