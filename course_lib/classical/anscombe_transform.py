"""Variance stabilisation: counts whose noise depends on their mean become numbers whose noise does not.

Anscombe (1948) for Poisson noise, with Gaussian noise on top Murtagh, Starck and Bijaoui (1995); the way back is the
exact unbiased inverse of Mäkitalo and Foi (2011, 2013).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from jaxtyping import Float

from course_lib import expect
from course_lib.physics.xray import ELECTRONIC_NOISE, attenuation_image

LARGEST_IN_TABLE = 400.0  # photons; beyond, the closed form is right to 2e-5 of its value

Counts = Float[torch.Tensor, "*shape"]
Images = Float[torch.Tensor, "batch channel height width"]


def anscombe(counts: Counts, electronic_noise: float = 0.0) -> Counts:
    """2·√(counts + 3/8 + σₑ²): Gaussian to a good approximation, with variance 1 whatever the mean.

    Below some 4 photons the variance falls short of 1.

    Args:
        counts: any shape, in photons.
        electronic_noise: σₑ ≥ 0, the standard deviation of Gaussian noise on the counts, in photons.

    Raises:
        InputError: without electronic noise, counts below 0; with it, counts that it does not explain.
    """
    expect.tensor("counts", counts)
    sigma = expect.number("the electronic noise", electronic_noise, least=0)
    if (least := float(counts.min())) < -10 * sigma:
        allowed = f" (or negative by {10 * sigma:.3g} at most, with this electronic noise)" if sigma else ""
        raise expect.InputError(f"expected counts of at least 0{allowed} for Anscombe's transform, got {least:.4g}")
    return 2 * (counts + 3 / 8 + sigma**2).clamp(min=0).sqrt()


def expected_anscombe(mean_counts: Counts, electronic_noise: float = 0.0) -> Counts:
    """The mean of `anscombe` over noisy counts of the given mean: what a denoiser of transformed counts has to find.

    Args:
        mean_counts: any shape, at least 0, in photons.
        electronic_noise: as in `anscombe`.
    """
    expect.tensor("mean_counts", mean_counts)
    sigma = expect.number("the electronic noise", electronic_noise, least=0)
    if (mean_counts < 0).any():
        raise expect.InputError(f"expected mean counts of at least 0, got {float(mean_counts.min()):.4g}")
    means, roots = _expectations(sigma)
    m = mean_counts.double().cpu()
    # beyond the table, the closed form below turned round: its next term is one of 1/d
    far = 2 * (m + 1 / 8 + sigma**2 - math.sqrt(3 / 2) / 8 / m.clamp(min=1).sqrt()).clamp(min=0).sqrt()
    return torch.where(m <= LARGEST_IN_TABLE, _interpolated(m.sqrt(), roots, means), far).to(mean_counts)


def inverse_anscombe(values: Counts, electronic_noise: float = 0.0) -> Counts:
    """The mean count whose transformed noisy counts have the mean `values`: the exact unbiased inverse.

    The root bends what is averaged: E[2·√(counts + …)] < 2·√(E[counts] + …). Undoing the formula algebraically would
    leave counts a little too small. This one asks which mean count leads to the average that a denoiser has found.

    Args:
        values: denoised values of `anscombe`, any shape.
        electronic_noise: as in `anscombe`.

    Returns:
        mean counts of at least 0.
    """
    expect.tensor("values", values)
    sigma = expect.number("the electronic noise", electronic_noise, least=0)
    means, roots = _expectations(sigma)
    d = values.detach().double().cpu()
    table = _interpolated(d, means, roots).square()
    return torch.where(d <= means[-1], table, _closed_form(d.clamp(min=1.0), sigma)).to(values)


def denoise_counts(
    counts: Images,
    dose: float,
    denoise: Callable[[Images, float], Images],
    electronic_noise: float = ELECTRONIC_NOISE,
) -> Images:
    """Denoise X-ray counts by a method for white Gaussian noise, and make the attenuation image.

    Args:
        counts: what the detector read, (batch, channel, height, width), in photons.
        dose: photons a pixel through air.
        denoise: (noisy image, σ) → image. Its images are stabilised and divided by 2·√dose: air is 1, and σ is
            1/(2·√dose) everywhere.
        electronic_noise: σₑ ≥ 0 in photons.

    Returns:
        attenuation, (batch, channel, height, width).
    """
    unit = 2 * math.sqrt(expect.number("the dose", dose, above=0))
    stabilised = anscombe(expect.images("the counts", counts), electronic_noise) / unit
    return attenuation_image(inverse_anscombe(unit * denoise(stabilised, 1 / unit), electronic_noise), dose)


def _interpolated(at: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Piecewise linear through the points (x, y), x rising; constant to the left of them."""
    right = torch.searchsorted(x, at.contiguous()).clamp(1, len(x) - 1)
    share = ((at - x[right - 1]) / (x[right] - x[right - 1])).clamp(min=0)
    return y[right - 1] + share * (y[right] - y[right - 1])


def _closed_form(d: torch.Tensor, sigma: float) -> torch.Tensor:
    """Mäkitalo and Foi's approximation for many photons."""
    root = math.sqrt(3 / 2)
    return d**2 / 4 + root / 4 / d - 11 / 8 / d**2 + 5 * root / 8 / d**3 - 1 / 8 - sigma**2


@cache
def _expectations(sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """E[anscombe] for mean counts up to 400, and the roots of these: between its points a root is nearly straight."""
    from scipy.stats import poisson

    roots = np.linspace(0, math.sqrt(LARGEST_IN_TABLE), 1500)
    counts = np.arange(int(LARGEST_IN_TABLE + 10 * math.sqrt(LARGEST_IN_TABLE)))
    nodes = np.linspace(-8, 8, 1001)  # of the Gaussian; its root has a kink, which a fine sum takes best
    weights = np.exp(-(nodes**2) / 2)
    noisy = counts[:, None] + sigma * nodes
    transformed = 2 * np.sqrt(np.maximum(noisy + 3 / 8 + sigma**2, 0)) @ (weights / weights.sum())
    means = poisson.pmf(counts, roots[:, None] ** 2) @ transformed
    return torch.from_numpy(means), torch.from_numpy(roots)
