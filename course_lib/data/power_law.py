"""Gaussian images with a given power spectrum: the population for which the Wiener filter is optimal."""

from __future__ import annotations

import torch
from jaxtyping import Float

from course_lib import expect


def power_law_spectrum(
    size: int, exponent: float = 2.0, std: float = 0.2, mean: float = 0.5
) -> Float[torch.Tensor, "size size"]:
    """Power spectrum E|x̂|² ∝ 1/|frequency|^exponent, for the unnormalised DFT with zero frequency first.

    Photographs have an exponent near 2 (Field 1987), mammograms near 3 (Burgess 1999).

    Args:
        size: pixels a side, from 2.
        exponent: how fast the power falls, from 0 (white) to 6.
        std: standard deviation of a pixel, in the image's units.
        mean: mean grey value; it is all of the power at zero frequency.

    Returns:
        float64 (size, size); its mean divided by size² is the mean square of a pixel.
    """
    expect.image_size(size)
    expect.number("the exponent", exponent, least=0, most=6)
    expect.number("std", std, above=0)
    expect.number("mean", mean)
    pixels = size * size
    frequency = torch.fft.fftfreq(size, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency[None, :])
    radius[0, 0] = 1.0  # replaced below: zero frequency holds the mean
    spectrum = radius**-exponent
    spectrum[0, 0] = 0.0
    spectrum *= pixels**2 * std**2 / spectrum.sum()
    spectrum[0, 0] = (pixels * mean) ** 2
    return spectrum


def gaussian_images(
    spectrum: Float[torch.Tensor, "height width"], count: int, generator: torch.Generator
) -> Float[torch.Tensor, "count 1 height width"]:
    """Draw Gaussian images whose power spectrum is `spectrum`, periodic at the borders.

    White noise is filtered with the spectrum's square root; the square root at zero frequency is added as a
    constant, the mean.

    Args:
        spectrum: E|x̂|² of the unnormalised DFT, symmetric under k → −k, at least 0.
        count: how many images, from 1.
        generator: the source of randomness.

    Returns:
        (count, 1, height, width) in the dtype of `spectrum`. Values are not clipped to [0, 1]: clipping
        would change the spectrum.
    """
    expect.tensor("spectrum", spectrum, dims=2, shape="(height, width)")
    expect.count("the count of images", count)
    expect.generator(generator)
    if spectrum.is_complex() or (spectrum < 0).any():
        raise expect.InputError(f"expected a real spectrum of at least 0, got {expect.describe(spectrum)}")
    height, width = spectrum.shape
    white = torch.randn(count, 1, height, width, generator=generator, dtype=spectrum.dtype)
    amplitude = (spectrum / (height * width)).sqrt()
    coefficients = torch.fft.fft2(white) * amplitude
    coefficients[..., 0, 0] = spectrum[0, 0].sqrt()
    return torch.fft.ifft2(coefficients).real
