"""Variance stabilisation: variance 1, an unbiased way back, and the literature's closed form."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from course_lib import classical, physics
from course_lib.classical import anscombe, inverse_anscombe
from course_lib.expect import InputError


@pytest.mark.parametrize("sigma", [0.0, 4.0])
@pytest.mark.parametrize("mean", [5.0, 30.0, 300.0, 20_000.0])
def test_the_variance_is_1_whatever_the_mean(mean, sigma, generator):
    counts = torch.poisson(torch.full((200_000,), mean, dtype=torch.float64), generator=generator)
    counts += sigma * torch.randn(counts.shape, generator=generator, dtype=torch.float64)
    assert anscombe(counts, sigma).var() == pytest.approx(1, abs=0.06 if mean < 20 else 0.02)


def expectation(mean, sigma):
    """E[anscombe] by brute force: scipy's Poisson, and a fine sum over the Gaussian."""
    k = np.arange(stats.poisson.ppf(1e-14, mean), stats.poisson.ppf(1 - 1e-14, mean) + 1)
    z, step = np.linspace(-9, 9, 4001, retstep=True)
    inside = 2 * np.sqrt(np.maximum(k[:, None] + sigma * z + 3 / 8 + sigma**2, 0))
    return stats.poisson.pmf(k, mean) @ inside @ stats.norm.pdf(z) * step


@pytest.mark.parametrize("sigma", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("mean", [0.05, 0.7, 3.0, 12.3, 150.0, 390.0, 450.0, 3000.0])
def test_the_inverse_is_exactly_unbiased(mean, sigma):
    value = torch.tensor([expectation(mean, sigma)], dtype=torch.float64)
    bound = 3e-3 if sigma < 4 else 2e-2  # of the closed form, beyond the table, with much electronic noise
    assert float(inverse_anscombe(value, sigma)) == pytest.approx(mean, abs=bound, rel=1e-4)


@pytest.mark.parametrize("sigma", [0.0, 4.0])
def test_the_expectation_is_the_inverse_turned_round(sigma):
    means = torch.tensor([0.05, 0.7, 3.0, 12.3, 150.0, 390.0, 450.0, 3000.0], dtype=torch.float64)
    found = classical.expected_anscombe(means, sigma)
    brute = torch.tensor([expectation(float(m), sigma) for m in means], dtype=torch.float64)
    torch.testing.assert_close(found, brute, atol=2e-4, rtol=1e-5)
    torch.testing.assert_close(inverse_anscombe(found, sigma), means, atol=5e-3, rtol=1e-4)


def test_the_algebraic_inverse_is_biased(generator):
    """By a quarter of a photon: the variance 1 of the transformed counts, over 4."""
    counts = torch.poisson(torch.full((400_000,), 10.0, dtype=torch.float64), generator=generator)
    average = anscombe(counts).mean()
    assert average.square() / 4 - 3 / 8 == pytest.approx(9.75, abs=0.03)
    assert float(inverse_anscombe(average)) == pytest.approx(10, abs=0.03)


def test_the_inverse_rises_and_ends_at_0():
    values = torch.linspace(0, 60, 4001, dtype=torch.float64)
    for sigma in (0.0, 4.0):
        found = inverse_anscombe(values, sigma)
        assert (found.diff() >= 0).all()
        assert found[0] == 0
    assert inverse_anscombe(torch.zeros(2, 1, 3, 3)).dtype == torch.float32


def test_the_closed_form_is_makitalo_and_fois_to_their_accuracy():
    """Its error for Poisson noise stays below a fiftieth of a photon."""
    means, roots = classical.anscombe_transform._expectations(0.0)
    error = classical.anscombe_transform._closed_form(means.clamp(min=2 * math.sqrt(3 / 8)), 0.0) - roots.square()
    assert error.abs().max() < 0.02


def test_denoising_counts_meets_white_noise_of_the_told_level(generator):
    x = 0.2 + 0.6 * torch.rand(1, 1, 1, 200, generator=generator).expand(1, 1, 500, 200)
    dose = physics.USUAL_DOSE / 16
    counts = physics.xray_counts(x, dose, generator)
    met = []

    def by_columns(image, sigma):
        met.append((image.std(dim=2).mean() / sigma, image.std(dim=2).std() / sigma))
        return image.mean(dim=2, keepdim=True).expand(image.shape)

    estimate = classical.denoise_counts(counts, dose, by_columns)
    (level, spread), *_ = met
    assert level == pytest.approx(1, abs=0.01)
    assert spread < 0.05  # as little as 500 numbers tell: columns do not differ
    plain = physics.attenuation_image(counts, dose).mean(dim=2)
    assert (estimate - x).abs().mean() < 1e-3
    assert (estimate - x).mean().abs() < (plain - x[:, :, 0]).mean().abs()  # the logarithm of noise is biased


def test_bad_input():
    with pytest.raises(InputError, match=r"expected counts of at least 0 for Anscombe's transform, got -2"):
        anscombe(torch.tensor([3.0, -2.0]))
    with pytest.raises(InputError, match=r"at least 0 \(or negative by 20 at most, with this electronic noise\)"):
        anscombe(torch.tensor([3.0, -50.0]), 2.0)
    assert torch.isfinite(anscombe(torch.tensor([3.0, -11.0]), 2.0)).all()
    with pytest.raises(InputError, match="expected mean counts of at least 0, got -1"):
        classical.expected_anscombe(torch.tensor([3.0, -1.0]))
    with pytest.raises(InputError, match="expected counts without NaN or infinity, got 1 of them"):
        anscombe(torch.tensor([3.0, math.nan]))
