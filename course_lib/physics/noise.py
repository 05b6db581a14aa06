"""Noise, with its randomness always handed in."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Inexact

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


def add_noise_at_snr(
    signals: Complex[torch.Tensor, "batch samples"],
    snr_db: float | Float[torch.Tensor, " batch"],
    generator: torch.Generator,
) -> Complex[torch.Tensor, "batch samples"]:
    """y = s + z with complex Gaussian noise that is scaled for 10 log10(‖s‖²/‖z‖²) to be exactly `snr_db`.

    So DeepFreq's test set is made (Izacard, Mohan and Fernandez-Granda 2019): every signal has one SNR, not on average.

    Args:
        signals: s, complex (batch, samples), none of them 0.
        snr_db: in decibels, one for all signals or one for each.
        generator: the source of randomness, on the device of `signals`.

    Raises:
        InputError: a signal of zeros, which has no signal-to-noise ratio.
    """
    expect.signals("signals", signals)
    expect.generator(generator)
    if not (torch.is_tensor(snr_db) and snr_db.ndim == 1):
        snr_db = expect.number("snr_db", snr_db)
    elif expect.tensor("snr_db", snr_db).is_complex() or len(snr_db) != len(signals):
        raise expect.InputError(
            f"expected snr_db as one number for each of {len(signals)} signals, got {expect.describe(snr_db)}"
        )
    energy = torch.view_as_real(signals).square().sum(dim=(1, 2))
    if (energy == 0).any():
        raise expect.InputError(f"expected signals with some energy, got {int((energy == 0).sum())} of zeros")
    parts = torch.view_as_real(signals)
    noise = torch.randn(parts.shape, generator=generator, dtype=parts.dtype, device=parts.device)
    ratio = torch.as_tensor(snr_db, dtype=parts.dtype, device=parts.device)
    scale = (energy / noise.square().sum(dim=(1, 2))).sqrt() * 10 ** (-ratio / 20)
    return signals + torch.view_as_complex(noise) * scale[:, None]
