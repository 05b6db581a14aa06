"""The periodogram: scipy's, known side lobes, peaks on the circle, and what it cannot resolve."""

import math

import numpy as np
import pytest
import scipy.signal
import torch

from course_lib import classical, data, expect
from course_lib.classical.periodogram import local_maxima


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(batch: int, samples: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    return torch.randn(batch, samples, dtype=dtype, generator=seeded(seed))


def lines(frequencies: list[float], amplitudes: list[complex], samples: int) -> torch.Tensor:
    f = torch.tensor([frequencies], dtype=torch.float64)
    return data.LineSpectra(f, torch.tensor([amplitudes], dtype=torch.complex128)).signals(samples, torch.complex128)


@pytest.mark.parametrize("window", classical.WINDOWS)
@pytest.mark.parametrize(("samples", "points"), [(50, 1024), (50, 50), (41, 64), (3, 8)])
def test_equals_scipy(window, samples, points):
    x = noise(3, samples)
    name = {"rectangular": "boxcar"}.get(window, window)
    weights = scipy.signal.get_window(name, samples, fftbins=False)
    f, wanted = scipy.signal.periodogram(
        x.numpy(), window=weights, nfft=points, detrend=False, return_onesided=False, scaling="spectrum"
    )
    np.testing.assert_allclose(np.fft.fftshift(f), classical.frequency_grid(points), atol=1e-15)
    found = classical.periodogram(x, points, window)
    np.testing.assert_allclose(found, np.fft.fftshift(wanted, axes=1), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("points", [7, 8, 33])
def test_equals_the_sum_on_grids_of_odd_and_even_size(points):
    x = noise(2, 7, seed=1)
    n = torch.arange(7, dtype=torch.float64)
    waves = torch.exp(-2j * math.pi * classical.frequency_grid(points)[:, None] * n)
    torch.testing.assert_close(classical.periodogram(x, points), (x @ waves.T / 7).abs().square())


def test_a_lone_line_peaks_at_its_power_and_side_lobes_are_the_windows_own():
    a, f, samples, points = 3.0 - 4.0j, 0.1015625, 64, 8192  # f is a point of the grid
    x = lines([f], [a], samples)
    side_lobes = {"rectangular": -13.3, "hann": -31.5, "hamming": -42.5, "blackman": -58.1}
    for window, wanted in side_lobes.items():
        spectrum = classical.periodogram(x, points, window)
        assert spectrum.max() == pytest.approx(25, rel=1e-12)
        maxima = torch.sort(10 * torch.log10(spectrum[0][local_maxima(spectrum)[0]]))[0]
        assert float(maxima[-2] - maxima[-1]) == pytest.approx(wanted, abs=0.7)


@pytest.mark.parametrize("samples", [40, 20])
def test_lines_closer_than_a_bin_merge_and_further_ones_part(samples):
    for seed in range(5):
        phase = 2 * math.pi * torch.rand((), generator=seeded(seed)).item()
        for apart, resolved in ((0.5, False), (2.0, True)):
            # equal phases in the middle of the signal, where one line's main lobe adds to the other's
            f = [0.125 - apart / samples / 2, 0.125 + apart / samples / 2]
            turn = [np.exp(1j * (phase - math.pi * (samples - 1) * one)) for one in f]
            found = classical.periodogram_frequencies(lines(f, turn, samples), 2, points=4096)[0]
            near = (found - 0.125).abs() < 1.2 / samples
            assert bool(near.all()) == resolved
            if not resolved:
                assert (found[near] - 0.125).abs().item() < 1e-12  # one peak in the middle of the two


@pytest.mark.parametrize("seed", range(3))
def test_interpolation_finds_a_line_between_grid_points(seed):
    f = torch.rand(200, 1, generator=seeded(seed), dtype=torch.float64) - 0.5
    x = data.LineSpectra(f, torch.ones_like(f, dtype=torch.complex128)).signals(50, torch.complex128)
    error = data.wrap(classical.periodogram_frequencies(x, 1) - f).abs()
    assert error.max() < 1e-6
    on_grid = classical.spectrum_peaks(classical.periodogram(x), 1, interpolate=False)
    assert 0.4 / 1024 < data.wrap(on_grid - f).abs().max() <= 0.5 / 1024


def test_peaks_are_the_highest_maxima_of_a_circle():
    spectra = torch.tensor([
        [5.0, 1, 2, 1, 0, 3, 3, 0, 1, 4],  # around the end: 5 is a maximum, 4 is not
        [1.0, 1, 1, 1, 1, 1, 1, 1, 1, 1],  # level: none
        [0.0, 0, 9, 0, 0, 0, 0, 0, 8, 9],
    ])  # fmt: skip
    found = classical.spectrum_peaks(spectra, 3, interpolate=False)
    nan = math.nan
    wanted = torch.tensor([[-0.5, -0.3, 0.0], [nan, nan, nan], [-0.3, 0.4, nan]])
    torch.testing.assert_close(found, wanted, equal_nan=True)
    counts = torch.tensor([2, 1, 0])
    found = classical.spectrum_peaks(spectra, counts, interpolate=False)
    wanted = torch.tensor([[-0.5, 0.0], [nan, nan], [nan, nan]])
    torch.testing.assert_close(found, wanted, equal_nan=True)
    assert classical.spectrum_peaks(spectra, 0).shape == (3, 0)


@pytest.mark.parametrize("top", [-0.5, -0.4995, 0.123, 0.4996])
def test_a_parabola_s_top_is_found_exactly(top):
    distance = data.wrap(classical.frequency_grid(1000) - top)
    parabola = (1 - 1000 * distance.square())[None]
    found = classical.spectrum_peaks(parabola, 1)[0, 0]
    assert -0.5 <= found < 0.5
    assert data.wrap(found - top).abs() < 1e-12


def test_precision_is_kept():
    for dtype, real in ((torch.complex64, torch.float32), (torch.complex128, torch.float64)):
        x = noise(2, 50, dtype=dtype)
        assert classical.periodogram(x).dtype == real
        assert classical.periodogram_frequencies(x, 3).dtype == real
        assert classical.frequency_grid(4, real).tolist() == [-0.5, -0.25, 0.0, 0.25]


def test_arguments_that_cannot_be_used(unchecked):
    x = noise(3, 50)
    complex_samples = r"expected signals as complex samples \(batch, samples\), got a torch.Tensor of shape"
    floating = r"expected signals as a floating-point torch.Tensor \(batch, samples\), got a"
    for arguments, message in (
        ((x.real,), complex_samples + r" \(3, 50\) and dtype float64"),
        ((x[0],), floating + r" torch.Tensor of shape \(50,\) and dtype complex128"),
        ((x.numpy(),), floating + r" numpy.ndarray of shape \(3, 50\) and dtype complex128"),
        ((x * math.nan,), "expected signals without NaN or infinity, got 150 of them in a torch.Tensor .*"),
        ((x * torch.tensor([[1], [0], [1]]),), "expected signals with some energy, got 1 of 3 with zeros only"),
        ((x, 49), "expected at least as many points as the 50 samples, got 49"),
        ((x, 1e3), "expected points as a whole number from 1, got 1000.0"),
        ((x, 1024, "kaiser"), "expected window as one of rectangular, hann, hamming, blackman, got 'kaiser'"),
        ((x[:, :2], 64, "hann"), "expected more than 2 samples for the hann window, which is 0 at its ends"),
    ):
        with pytest.raises(expect.InputError, match=f"^{message}$"):
            classical.periodogram(*arguments)
    for counts, message in (
        (-1, "expected counts as a whole number from 0, got -1"),
        (2.0, "expected counts as a whole number from 0, got 2.0"),
        (True, "expected counts as a whole number from 0, got True"),
        (50, "expected at most 49 lines in a periodogram of 50 samples, got 50"),
        (torch.tensor([1, 2]), r"expected counts as whole numbers, one or a tensor of shape \(3,\), got .*"),
        (torch.ones(3), r"expected counts as whole numbers, one or a tensor of shape \(3,\), got .*"),
        (torch.tensor([1, 2, -3]), "expected counts of at least 0, got -3"),
    ):
        with pytest.raises(expect.InputError, match=f"^{message}$"):
            classical.periodogram_frequencies(x, counts)
    with pytest.raises(expect.InputError, match="^expected at most 5 lines as maxima of 10 points, got 6$"):
        classical.spectrum_peaks(torch.rand(1, 10), 6)
    for spectra in (torch.rand(1, 2), noise(1, 9)):
        with pytest.raises(expect.InputError, match="^expected real spectra on at least 3 points, got a torch.Tensor"):
            classical.spectrum_peaks(spectra, 1)
    with pytest.raises(expect.InputError, match="^expected points as a whole number from 1, got 0$"):
        classical.frequency_grid(0)
