"""Lab 12: what its tables of answers cannot say."""

import numpy as np
import pytest
import torch
from judging import SEEDS, judge

from course_lib import physics
from course_lib.exercises import load_lab


def test_the_library_gives_what_lab_12_teaches():
    """As for lab 02. The library's functions take signals where the lab's take a covariance: those have no match."""
    from course_lib import classical, metrics
    from course_lib.training.frequency_labels import frequency_labels

    lab = load_lab("12_line_spectra")
    library = {
        "periodogram": classical.periodogram,
        "covariance": lambda signal, window: classical.sample_covariance(signal[None], window)[0],
        "representation": frequency_labels,
        "peaks": lambda spectrum, lines: classical.spectrum_peaks(spectrum[None], lines)[0],
        "false_negative_rate": lambda *arguments: metrics.false_negative_rate(*arguments).mean(),
    }
    for name, function in library.items():
        assert judge(lab[name], function).passed, str(judge(lab[name], function))


def test_music_and_esprit_of_the_library_are_those_of_lab_12():
    from course_lib import classical, data

    lab = load_lab("12_line_spectra")
    g = torch.Generator().manual_seed(4)
    lines = data.line_spectra(20, g, least_lines=3, most_lines=3)
    signals = physics.add_noise_at_snr(lines.signals(50), 20.0, g)
    spectra = classical.music_spectrum(signals, 3, points=500, window_length=20) / 20
    found = classical.esprit(signals, 3, window_length=20)
    for y, spectrum, f in zip(signals, spectra, found, strict=True):
        R = lab["covariance"].reference(y, 20)
        torch.testing.assert_close(lab["music_spectrum"].reference(R, 3, 500), spectrum, rtol=2e-3, atol=1e-3)
        torch.testing.assert_close(lab["esprit"].reference(R, 3), f, rtol=0, atol=2e-4)


def test_the_noise_of_lab_12_has_the_snr_of_the_library():
    """Both scale the same noise to the same numbers."""
    from course_lib import data

    lines = data.line_spectra(5, torch.Generator().manual_seed(3))
    clean = lines.signals(50)
    wanted = physics.add_noise_at_snr(clean, 7.0, torch.Generator().manual_seed(8))
    parts = torch.randn(5, 50, 2, generator=torch.Generator().manual_seed(8))
    made = load_lab("12_line_spectra")["noisy_lines"].reference(
        lines.frequencies.nan_to_num(0), lines.amplitudes.to(torch.complex64), torch.view_as_complex(parts), 7.0
    )
    torch.testing.assert_close(made.to(torch.complex64), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("periodogram", lambda signals, points: _scipy_periodogram(signals, points)),
        ("periodogram", lambda signals, points: torch.stack([_scipy_periodogram(y[None], points)[0] for y in signals])),
    ],
)
def test_scipy_is_no_answer_of_lab_12(name, function):
    result = load_lab("12_line_spectra")[name].check(function)
    assert result.status == "failed"
    assert "calls `scipy.signal.periodogram`" in result.message


def _scipy_periodogram(signals, points):
    from scipy import signal

    _, power = signal.periodogram(signals.numpy(), nfft=points, detrend=False, return_onesided=False)
    return torch.from_numpy(np.fft.fftshift(power, axes=1)).float() / signals.shape[1]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("noisy_lines", "physics.add_noise_at_snr(noise, snr_db, None)"),
        ("periodogram", "classical.periodogram(signals, points)"),
        ("covariance", "classical.sample_covariance(signal[None], window)[0]"),
        ("music_spectrum", "classical.music_spectrum(covariance, lines, points=points)[0]"),
        ("esprit", "classical.esprit(covariance, lines)[0]"),
        ("representation", "frequency_labels.frequency_labels(frequencies, samples, points)"),
        ("peaks", "classical.spectrum_peaks(spectrum[None], lines)[0]"),
        ("false_negative_rate", "metrics.false_negative_rate(estimates, truth, samples).mean()"),
    ],
)
def test_the_library_is_no_answer_of_lab_12(name, call):
    from course_lib import classical, metrics
    from course_lib.training import frequency_labels

    exercise = load_lab("12_line_spectra")[name]
    scope = {"classical": classical, "metrics": metrics, "physics": physics, "frequency_labels": frequency_labels}
    exec(f"def {exercise.signature}:\n    return {call}", scope)
    result = exercise.check(scope[name])
    assert result.status == "failed"
    assert "which is the answer itself" in result.message
    assert result.points == 0


def test_the_published_label_code_of_deepfreq_is_told_what_it_loses():
    """`np.minimum(a, b, c)` writes its result to c: the third distance is never looked at."""

    def published(frequencies, samples, points):
        d = np.arange(points) / points - 0.5 - frequencies.numpy()[:, :, None]
        d = np.minimum(np.abs(d), np.abs(d + 1), np.abs(d - 1))
        return torch.from_numpy(np.nansum(np.exp(-((d / (0.3 / samples)) ** 2)), axis=1))

    result = judge(load_lab("12_line_spectra")["representation"], published)
    assert result.mistake == "_one_side_lost"


def test_an_order_left_to_the_eigenvalues_is_told_so():
    """In which order they come is the solver's own; where they ascend by chance the answer would count as right."""

    def unsorted(covariance, lines):
        E = torch.linalg.eigh(covariance)[1][:, -lines:]
        return torch.linalg.eigvals(torch.linalg.pinv(E[:-1]) @ E[1:]).angle() / (2 * torch.pi)

    for seed in SEEDS:
        result = judge(load_lab("12_line_spectra")["esprit"], unsorted, seed)
        assert result.status == "failed"
        assert "ascend" in result.message
