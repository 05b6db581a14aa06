"""Noise, with its randomness always handed in."""

from __future__ import annotations

import torch
from jaxtyping import Float, Inexact

from course_lib import expect


def add_gaussian_noise(
    images: Inexact[torch.Tensor, "*shape"], sigma: float, generator: torch.Generator
) -> Inexact[torch.Tensor, "*shape"]:
    """y = x + z with independent z ~ N(0, σ²) in every pixel; in complex data, in each of the two parts.

    Args:
        images: x, any shape, real or complex (k-space).
        sigma: σ ≥ 0 in the units of `images`: for images in [0, 1], 25/255 is a usual value.
        generator: the source of randomness, on the device of `images`.

    Returns:
        y in the shape and dtype of `images`. It is not clipped: clipped noise is no longer Gaussian.
    """
    expect.tensor("images", images)
    sigma = expect.sigma(sigma, images if images.ndim == 4 and not images.is_complex() else None)
    expect.generator(generator)
    parts = torch.view_as_real(images) if images.is_complex() else images
    noise = torch.randn(parts.shape, generator=generator, dtype=parts.dtype, device=parts.device)
    return images + sigma * (torch.view_as_complex(noise) if images.is_complex() else noise)


def add_poisson_noise(
    images: Float[torch.Tensor, "*shape"], photons: float, generator: torch.Generator
) -> Float[torch.Tensor, "*shape"]:
    """Counted light, scaled back: Poisson(photons · x) / photons, of mean x and variance x / photons.

    Args:
        images: x, any shape, real, at least 0.
        photons: mean count where x is 1, above 0.
        generator: the source of randomness, on the device of `images`.
    """
    expect.tensor("images", images)
    photons = expect.number("the number of photons", photons, above=0)
    expect.generator(generator)
    if images.is_complex() or (images < 0).any():
        raise expect.InputError(f"expected images of at least 0, got {expect.describe(images)} with other values")
    return torch.poisson(images * photons, generator=generator) / photons
