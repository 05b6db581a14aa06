"""Noise of an exact signal-to-noise ratio: each signal has it, and the noise has no other structure."""

import math

import pytest
import torch
from scipy import stats

from course_lib import expect, physics
from course_lib.physics import add_noise_at_snr


@pytest.fixture
def signals(generator):
    return torch.randn(40, 50, dtype=torch.complex128, generator=generator) * torch.logspace(-3, 3, 40)[:, None]


def ratio(signals: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    """In decibels, by sums of its own."""
    signal, noise = ((x * x.conj()).real.sum(dim=1) for x in (signals, noisy - signals))
    return 10 * (signal / noise).log10()


@pytest.mark.parametrize("snr", [-10.0, 0, 30])
def test_every_signal_has_the_ratio_exactly(signals, generator, snr):
    noisy = add_noise_at_snr(signals, snr, generator)
    assert noisy.dtype == torch.complex128
    torch.testing.assert_close(
        ratio(signals, noisy), torch.full((40,), float(snr), dtype=torch.float64), rtol=0, atol=1e-9
    )


def test_a_ratio_for_each_signal(signals, generator):
    snr = torch.linspace(-5, 50, 40, dtype=torch.float64)
    torch.testing.assert_close(ratio(signals, add_noise_at_snr(signals, snr, generator)), snr, rtol=0, atol=1e-9)
    single = add_noise_at_snr(signals.to(torch.complex64), snr.float(), generator)
    assert single.dtype == torch.complex64
    torch.testing.assert_close(ratio(signals, single), snr, rtol=0, atol=1e-2)


def test_the_noise_is_white_circular_and_gaussian(generator):
    signals = torch.ones(4000, 50, dtype=torch.complex128)
    noise = add_noise_at_snr(signals, 0, generator) - signals
    parts = torch.view_as_real(noise)  # standard deviation 1/√2 each: power 1 in all
    assert stats.kstest(parts[..., 0].flatten()[::7].numpy(), stats.norm(scale=0.5**0.5).cdf).pvalue > 1e-3
    assert stats.kstest(parts[..., 1].flatten()[::7].numpy(), stats.norm(scale=0.5**0.5).cdf).pvalue > 1e-3
    covariance, pseudo = noise.mT @ noise.conj() / 4000, noise.mT @ noise / 4000
    assert (covariance - torch.eye(50)).abs().max() < 5 / 4000**0.5
    assert pseudo.abs().max() < 5 / 4000**0.5  # E z² = 0: no phase is preferred


def test_a_seed_is_a_noise(signals):
    first, again, other = (add_noise_at_snr(signals, 3, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_signals_are_left_as_they_are(signals, generator):
    before = signals.clone()
    add_noise_at_snr(signals, 3, generator)
    assert torch.equal(signals, before)


def test_bad_input(signals, generator, unchecked):
    def refused(message, *arguments):
        with pytest.raises(expect.InputError, match=f"^{message}$"):
            physics.add_noise_at_snr(*arguments)

    silent = signals.clone()
    silent[[3, 5]] = 0
    refused("expected signals with some energy, got 2 of zeros", silent, 3, generator)
    refused(r"expected signals as complex samples \(batch, samples\), got .*", signals.real, 3, generator)
    refused(r"expected signals as a floating-point torch.Tensor \(batch, samples\), got .*", signals[0], 3, generator)
    broken = signals.clone()
    broken[0, 0] = math.nan
    refused("expected signals without NaN or infinity, got 1 of them in .*", broken, 3, generator)
    refused("expected a torch.Generator, got 3", signals, 3, 3)
    refused("expected snr_db as a number, got inf", signals, math.inf, generator)
    refused("expected snr_db as a number, got 'high'", signals, "high", generator)
    refused("expected snr_db as one number for each of 40 signals, got .*", signals, torch.zeros(39), generator)
    refused("expected snr_db without NaN or infinity, got 40 .*", signals, torch.full((40,), math.nan), generator)
    refused(
        r"expected snr_db as a number, got a torch.Tensor of shape \(40, 1\) .*", signals, torch.zeros(40, 1), generator
    )
