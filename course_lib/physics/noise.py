"""Noise, with its randomness always handed in."""

from __future__ import annotations

import torch
from jaxtyping import Float

from course_lib import expect


def add_gaussian_noise(
    images: Float[torch.Tensor, "*shape"], sigma: float, generator: torch.Generator
) -> Float[torch.Tensor, "*shape"]:
    """y = x + z with independent z ~ N(0, σ²) in every pixel.

    Args:
        images: x, any shape, real.
        sigma: σ ≥ 0 in the units of `images`: for images in [0, 1], 25/255 is a usual value.
        generator: the source of randomness, on the device of `images`.

    Returns:
        y in the shape and dtype of `images`. It is not clipped: clipped noise is no longer Gaussian.
    """
    expect.tensor("images", images)
    sigma = expect.sigma(sigma)
    expect.generator(generator)
    if images.is_complex():
        raise expect.InputError(f"expected real images, got {expect.describe(images)}")
    noise = torch.randn(images.shape, generator=generator, dtype=images.dtype, device=images.device)
    return images + sigma * noise
