"""How many lines: the criteria as their papers write them, signals without noise, and how often the count is right."""

import math

import numpy as np
import pytest
import torch

from course_lib import classical, data, expect, physics

N = 50
CRITERIA = [classical.aic, classical.mdl, classical.sorte]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy(count: int, snr: float, seed: int, dtype=torch.complex128) -> tuple[torch.Tensor, torch.Tensor]:
    generator = seeded(seed)
    lines = data.line_spectra(count, generator)
    return physics.add_noise_at_snr(lines.signals(N, dtype), snr, generator), lines.counts


@pytest.mark.parametrize(("length", "most"), [(30, 10), (20, 15), (34, 17)])
@pytest.mark.parametrize("snr", [0.0, 10.0, 30.0])
def test_equal_the_papers_formulas(length, most, snr):
    x, _ = noisy(40, snr, 1)
    found = [criterion(x, window_length=length, most=most).tolist() for criterion in CRITERIA]
    columns = N - length + 1
    for row, R in enumerate(classical.sample_covariance(x, length).numpy()):
        eigenvalues = np.sort(np.linalg.eigvalsh(R))[::-1]
        aic, mdl = {}, {}
        for k in range(1, most + 1):  # Wax and Kailath, equations 16 and 17
            noise = eigenvalues[k:]
            geometric = np.prod(noise ** (1 / (length - k)))
            log_likelihood = columns * (length - k) * math.log(geometric / noise.mean())
            aic[k] = -2 * log_likelihood + 2 * k * (2 * length - k)
            mdl[k] = -log_likelihood + k * (2 * length - k) * math.log(columns) / 2
        gaps = [eigenvalues[i] - eigenvalues[i + 1] for i in range(length - 1)]
        sorte = {k: np.var(gaps[k:]) / np.var(gaps[k - 1 :]) for k in range(1, most + 1)}
        assert [values[row] for values in found] == [min(table, key=table.get) for table in (aic, mdl, sorte)]


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_without_noise_the_count_is_the_rank(criterion, dtype):
    for seed in range(3):
        lines = data.line_spectra(300, seeded(seed))
        for scale in (1.0, 1e-6, 1e6):
            found = criterion(scale * lines.signals(N, dtype), most=10)
            right = (found == lines.counts).float().mean()
            assert right == 1 if dtype == torch.complex128 else right > 0.97  # single: rounding is noise
    for K in range(1, 15):  # and without being told of ten
        f = (torch.arange(K, dtype=torch.float64) / K - 0.5)[None]
        x = data.LineSpectra(f, torch.ones(1, K, dtype=torch.complex128)).signals(N, dtype)
        assert criterion(x).tolist() == [K]


def test_the_count_is_right_as_often_as_measured():
    """In per cent of 1,000 signals, within some three standard errors of what the module says."""
    measured = {
        "aic": (15.4, 37.9, 71.6, 80.8, 82.8),
        "mdl": (14.4, 34.5, 76.5, 95.2, 97.1),
        "sorte": (16.0, 30.3, 62.6, 91.9, 99.8),
    }
    for place, snr in enumerate((0.0, 10.0, 20.0, 30.0, 50.0)):
        x, counts = noisy(1000, snr, 21)
        for name, wanted in measured.items():
            right = 100 * (getattr(classical, name)(x, most=10) == counts).float().mean().item()
            assert right == pytest.approx(wanted[place], abs=5)


def test_mdl_never_counts_more_than_aic_and_all_stay_in_their_range():
    for snr in (-10.0, 0.0, 20.0):
        x, _ = noisy(300, snr, 4)
        assert (classical.mdl(x) <= classical.aic(x)).all()
        for criterion in CRITERIA:
            for most in (1, 4):
                found = criterion(x, most=most)
                assert found.dtype == torch.int64
                assert (found >= 1).all()
                assert (found <= most).all()
            assert criterion(x).max() <= 21


@pytest.mark.parametrize("criterion", CRITERIA)
def test_short_signals(criterion):
    samples = 7 if criterion is classical.sorte else 3
    x = data.LineSpectra(torch.tensor([[0.2]]).double(), torch.ones(1, 1, dtype=torch.complex128))
    assert criterion(x.signals(samples, torch.complex128)).tolist() == [1]


def test_arguments_that_cannot_be_used(unchecked):
    x = torch.randn(3, N, dtype=torch.complex128, generator=seeded(0))
    for criterion in CRITERIA:
        for signals, message in (
            (x.real, r"expected signals as complex samples \(batch, samples\), got .*"),
            (x * math.nan, "expected signals without NaN or infinity, got 150 of them in .*"),
            (0 * x, "expected signals with some energy, got 3 of 3 with zeros only"),
            (x[:, :2], "expected signals of at least . samples, got 2"),
        ):
            with pytest.raises(expect.InputError, match=f"^{message}$"):
                criterion(signals)
        for options, message in (
            ({"window_length": 51}, "expected a window_length of at most the 50 samples, got 51"),
            ({"window_length": 35}, "expected a window_length of at most 34 for 50 samples, got 35: .*"),
            ({"window_length": 1}, "expected window_length as a whole number from 2, got 1"),
            ({"most": 0}, "expected most as a whole number from 1, got 0"),
            ({"most": 22}, "expected most as at most 21 with window_length 30, got 22"),
            ({"most": 8, "window_length": 8}, "expected most as at most . with window_length 8, got 8"),
        ):
            with pytest.raises(expect.InputError, match=f"^{message}$"):
                criterion(x, **options)
    with pytest.raises(expect.InputError, match="^expected window_length as a whole number from 4, got 3$"):
        classical.sorte(x, window_length=3)
