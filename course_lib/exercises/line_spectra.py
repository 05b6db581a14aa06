"""The exercises of module 12: lines in noise, periodogram, covariance, MUSIC, ESPRIT, pictures of lines, misses."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch

from course_lib.exercises.calls import Arguments
from course_lib.exercises.drawing import complex_randn, off_by
from course_lib.exercises.exercise import Exercise, Mistake, Property
from course_lib.exercises.lab import Lab, OpenQuestion

TWO_PI = 2 * math.pi


# --- what the exercises share -------------------------------------------------------------------------


def _between(generator: torch.Generator, low: float, high: float, *shape: int) -> torch.Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _phases(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.polar(torch.ones(shape), TWO_PI * torch.rand(shape, generator=generator))


def _exponentials(frequencies: torch.Tensor, samples: int) -> torch.Tensor:
    """exp(2πi f n), one row a frequency."""
    n = torch.arange(samples, dtype=frequencies.dtype)
    return torch.exp(2j * math.pi * frequencies[..., None] * n)


def _grid(points: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return -0.5 + torch.arange(points, dtype=dtype) / points


def _wrap(frequencies):
    return frequencies - (frequencies + 0.5).floor()


def _energy(x):
    return x.abs().square().sum(dim=-1, keepdim=True)


# --- 1. lines in noise --------------------------------------------------------------------------------

RECORDS = ((3, 3, 16), (2, 2, 21), (4, 4, 12))  # batch, lines, samples
DECIBELS = ((4.0, 8.0), (-8.0, -4.0), (11.0, 15.0))  # away from 0, where factors of power and of amplitude agree


def _draw_record(generator: torch.Generator, index: int) -> Arguments:
    """Signals and noises whose power differs from row to row, so that one scale for all shows."""
    batch, lines, samples = RECORDS[index]
    frequencies = _between(generator, -0.5, 0.5, batch, lines).sort(dim=1).values
    amplitudes = complex_randn(generator, batch, lines) + 0.3
    noise = _between(generator, 0.4, 2.5, batch, 1) * complex_randn(generator, batch, samples)
    return frequencies, amplitudes, noise, float(_between(generator, *DECIBELS[index]))


def _sum_of_lines(frequencies, amplitudes, samples, *, turns=TWO_PI, first=0, sign=1, period=1):
    n = torch.arange(samples, dtype=frequencies.dtype) + first
    phase = sign * turns * frequencies[..., None] * n / period
    return (amplitudes[..., None] * torch.exp(1j * phase)).sum(dim=1)


def _noise_scale(s, noise, snr_db):
    return (_energy(s) / _energy(noise) / 10 ** (snr_db / 10)).sqrt()


def _noisy_lines(frequencies, amplitudes, noise, snr_db):
    """The lab's reference: lines, and noise scaled to an exact SNR in each signal."""
    s = _sum_of_lines(frequencies, amplitudes, noise.shape[1])
    return s + _noise_scale(s, noise, snr_db) * noise


def _other_signal(frequencies, amplitudes, noise, snr_db, make=_sum_of_lines, **changes):
    s = make(frequencies, amplitudes, noise.shape[1], **changes)
    return s + _noise_scale(s, noise, snr_db) * noise


def _other_scale(frequencies, amplitudes, noise, snr_db, scale):
    s = _sum_of_lines(frequencies, amplitudes, noise.shape[1])
    return s + scale(s, noise, snr_db) * noise


def _mean_power(x):
    return x.abs().square().mean(dim=-1, keepdim=True)


def _ten_for_twenty(frequencies, amplitudes, noise, snr_db):
    return _other_scale(
        frequencies, amplitudes, noise, snr_db, lambda s, z, snr: (_energy(s) / _energy(z)).sqrt() * 10 ** (-snr / 10)
    )


def _twenty_for_ten(frequencies, amplitudes, noise, snr_db):
    return _other_scale(
        frequencies, amplitudes, noise, snr_db, lambda s, z, snr: (_energy(s) / _energy(z) / 10 ** (snr / 20)).sqrt()
    )


def _no_root(frequencies, amplitudes, noise, snr_db):
    return _other_scale(
        frequencies, amplitudes, noise, snr_db, lambda s, z, snr: _energy(s) / _energy(z) * 10 ** (-snr / 10)
    )


def _noise_subtracted(frequencies, amplitudes, noise, snr_db):
    s = _sum_of_lines(frequencies, amplitudes, noise.shape[1])
    return s - _noise_scale(s, noise, snr_db) * noise


def _upside_down_snr(frequencies, amplitudes, noise, snr_db):
    return _noisy_lines(frequencies, amplitudes, noise, -snr_db)


def _natural_logarithm(frequencies, amplitudes, noise, snr_db, per=10):
    return _other_scale(
        frequencies,
        amplitudes,
        noise,
        snr_db,
        lambda s, z, snr: (_energy(s) / _energy(z) * math.exp(-snr / per)).sqrt(),
    )


def _not_decibels(frequencies, amplitudes, noise, snr_db):
    return _other_scale(
        frequencies, amplitudes, noise, snr_db, lambda s, z, snr: (_energy(s) / _energy(z)).sqrt() / snr
    )


def _noise_as_it_comes(frequencies, amplitudes, noise, snr_db):
    return _sum_of_lines(frequencies, amplitudes, noise.shape[1]) + noise


def _noise_not_measured(frequencies, amplitudes, noise, snr_db, per=1.0):
    return _other_scale(
        frequencies, amplitudes, noise, snr_db, lambda s, z, snr: (_mean_power(s) / per * 10 ** (-snr / 10)).sqrt()
    )


def _signal_not_measured(frequencies, amplitudes, noise, snr_db, unit=lambda z: 1.0):
    return _other_scale(frequencies, amplitudes, noise, snr_db, lambda s, z, snr: 10 ** (-snr / 20) / unit(z))


def _one_scale_for_all(frequencies, amplitudes, noise, snr_db):
    return _other_scale(
        frequencies,
        amplitudes,
        noise,
        snr_db,
        lambda s, z, snr: (_energy(s).sum() / _energy(z).sum() * 10 ** (-snr / 10)).sqrt(),
    )


def _deviations(frequencies, amplitudes, noise, snr_db, of_signal=True):
    def deviation(x):
        return x.std(dim=-1, keepdim=True)

    def scale(s, z, snr):
        above = deviation(s) if of_signal else _mean_power(s).sqrt()
        return above / deviation(z) * 10 ** (-snr / 20)

    return _other_scale(frequencies, amplitudes, noise, snr_db, scale)


def _sums_of_magnitudes(frequencies, amplitudes, noise, snr_db):
    return _other_scale(
        frequencies,
        amplitudes,
        noise,
        snr_db,
        lambda s, z, snr: s.abs().sum(1, True) / z.abs().sum(1, True) * 10 ** (-snr / 20),
    )


def _largest_magnitudes(frequencies, amplitudes, noise, snr_db):
    return _other_scale(
        frequencies,
        amplitudes,
        noise,
        snr_db,
        lambda s, z, snr: s.abs().amax(1, True) / z.abs().amax(1, True) * 10 ** (-snr / 20),
    )


def _squares_without_magnitude(frequencies, amplitudes, noise, snr_db):
    def scale(s, z, snr):
        return ((s**2).sum(1, True) / (z**2).sum(1, True) / 10 ** (snr / 10)).sqrt()

    return _other_scale(frequencies, amplitudes, noise, snr_db, scale)


def _noise_real(frequencies, amplitudes, noise, snr_db, measured=True):
    s = _sum_of_lines(frequencies, amplitudes, noise.shape[1])
    return s + _noise_scale(s, noise.real if measured else noise, snr_db) * noise.real


def _signal_scaled(frequencies, amplitudes, noise, snr_db):
    s = _sum_of_lines(frequencies, amplitudes, noise.shape[1])
    return s / _noise_scale(s, noise, snr_db) + noise


def _energy_of_amplitudes(frequencies, amplitudes, noise, snr_db):
    """Right for orthogonal lines alone."""
    return _other_scale(
        frequencies,
        amplitudes,
        noise,
        snr_db,
        lambda s, z, snr: (_energy(amplitudes) / _mean_power(z) * 10 ** (-snr / 10)).sqrt(),
    )


def _in_radians(frequencies, amplitudes, noise, snr_db):
    return _other_signal(frequencies, amplitudes, noise, snr_db, turns=1)


def _half_a_turn(frequencies, amplitudes, noise, snr_db):
    return _other_signal(frequencies, amplitudes, noise, snr_db, turns=math.pi)


def _turned_backwards(frequencies, amplitudes, noise, snr_db):
    return _other_signal(frequencies, amplitudes, noise, snr_db, sign=-1)


def _counted_from_one(frequencies, amplitudes, noise, snr_db):
    return _other_signal(frequencies, amplitudes, noise, snr_db, first=1)


def _counted_from_the_middle(frequencies, amplitudes, noise, snr_db):
    return _other_signal(frequencies, amplitudes, noise, snr_db, first=-(noise.shape[1] // 2))


def _time_from_0_to_1(frequencies, amplitudes, noise, snr_db, less=0):
    return _other_signal(frequencies, amplitudes, noise, snr_db, period=noise.shape[1] - less)


def _phase_of_amplitude_lost(frequencies, amplitudes, noise, snr_db, part=torch.abs):
    return _noisy_lines(frequencies, part(amplitudes), noise, snr_db)


def _amplitudes_forgotten(frequencies, amplitudes, noise, snr_db):
    return _noisy_lines(frequencies, torch.ones_like(amplitudes), noise, snr_db)


def _cosines(frequencies, amplitudes, noise, snr_db):
    def make(f, a, samples):
        n = torch.arange(samples)
        return (a[..., None] * torch.cos(TWO_PI * f[..., None] * n)).sum(dim=1)

    return _other_signal(frequencies, amplitudes, noise, snr_db, make=make)


def _mean_of_lines(frequencies, amplitudes, noise, snr_db):
    return _noisy_lines(frequencies, amplitudes / amplitudes.shape[1], noise, snr_db)


def _noise_alone(frequencies, amplitudes, noise, snr_db):
    s = _sum_of_lines(frequencies, amplitudes, noise.shape[1])
    return _noise_scale(s, noise, snr_db) * noise


def _noise_forgotten(frequencies, amplitudes, noise, snr_db):
    return _sum_of_lines(frequencies, amplitudes, noise.shape[1])


def _real_result(frequencies, amplitudes, noise, snr_db):
    return _noisy_lines(frequencies, amplitudes, noise, snr_db).real


def _without_noise_and_with(frequencies, amplitudes, noise, snr_db):
    return [(frequencies, amplitudes, noise, 300.0), (frequencies, amplitudes, noise, snr_db)]


def _has_the_snr(calls, values):
    snr_db = calls[1][3]
    s, z = values[0], values[1] - values[0]
    with np.errstate(divide="ignore"):
        found = 10 * np.log10((np.abs(s) ** 2).sum(axis=1) / (np.abs(z) ** 2).sum(axis=1))
    worst = int(np.argmax(np.abs(found - snr_db)))
    if len(found) == len(calls[0][0]) and abs(found[worst] - snr_db) < 0.01:
        return None
    return f"signal {worst} has {found[worst]:.3g} dB in place of {snr_db:.3g}"


def _louder_noise(frequencies, amplitudes, noise, snr_db):
    factor = torch.linspace(2, 5, len(noise))[:, None]
    return [(frequencies, amplitudes, noise, snr_db), (frequencies, amplitudes, factor * noise, snr_db)]


def _nothing_changes(calls, values):
    off = off_by(values[1], values[0])
    return None if off < 1e-3 else f"the signals changed by {100 * off:.2g} % of the largest value"


def _a_quarter_turn(frequencies, amplitudes, noise, snr_db):
    f = torch.full_like(frequencies[:, :1], 0.25)
    return [(f, torch.full_like(f, 2) + 0j, noise, 300.0)]


def _goes_round_in_four(calls, values):
    wanted = 2 * np.array([1, 1j, -1, -1j])[np.arange(calls[0][2].shape[1]) % 4]
    found = values[0] + 0 * wanted
    if off_by(found, np.broadcast_to(wanted, found.shape)) < 1e-3:
        return None
    first = ", ".join(f"{v.real:.2g}{v.imag:+.2g}i" for v in np.round(found[0, :4], 2) + 0.0)
    return f"it begins {first}"


noisy_lines = Exercise(
    number=1,
    function="noisy_lines",
    title="lines in noise",
    minutes=11,
    value_points=2,
    takes={
        "frequencies": "float32 (batch, lines), in cycles per sample",
        "amplitudes": "complex64 (batch, lines)",
        "noise": "complex64 (batch, samples): noise of any strength, to be scaled",
        "snr_db": "one number: the signal-to-noise ratio of each signal, in dB",
    },
    returns="complex64 (batch, samples)",
    draw=_draw_record,
    reference=_noisy_lines,
    answers=("course_lib.physics.noise.add_noise_at_snr",),
    mistakes=(
        Mistake(
            _ten_for_twenty,
            "10 dB are a factor of 10 in *energy*, so √10 in what you multiply the noise by: 10^(−snr/20), or the root "
            "of the whole ratio",
        ),
        Mistake(
            _twenty_for_ten,
            "your ratio of energies is 10^(snr/20), which is the ratio of amplitudes: for energies it is 10^(snr/10)",
        ),
        Mistake(
            _no_root,
            "you multiply the noise by a ratio of energies: energies go with the square of the factor, so take the "
            "root",
        ),
        Mistake(
            _noise_subtracted,
            "you subtract the noise, or turn it: the factor c is real and above 0, and c·z is added as z comes",
        ),
        Mistake(
            _upside_down_snr,
            "your ratio is upside down: the more decibels, the weaker the noise",
        ),
        Mistake(
            _natural_logarithm,
            "decibels go by powers of 10, not of e: 10 ** (snr_db / 10)",
            also=(partial(_natural_logarithm, per=20),),
        ),
        Mistake(
            _not_decibels,
            "you divide by `snr_db` itself: turn decibels into a ratio of energies first, 10^(snr/10)",
        ),
        Mistake(
            _noise_as_it_comes,
            "you add the noise as it comes: scale it first, so that the ratio of the energies is the one asked for",
        ),
        Mistake(
            _noise_not_measured,
            "you take the noise to have a fixed power, such as 1: divide by the energy that *this* noise has",
            also=(partial(_noise_not_measured, per=2.0),),
        ),
        Mistake(
            _signal_not_measured,
            "you take the signal to have power 1: the ratio is to the energy that *this* signal has",
            also=tuple(
                partial(_signal_not_measured, unit=unit)
                for unit in (lambda z: _mean_power(z).sqrt(), lambda z: _energy(z).sqrt())
            ),
        ),
        Mistake(
            _one_scale_for_all,
            "you take one scale for the whole batch: each signal has its own energy, `.sum(dim=1, keepdim=True)`",
        ),
        Mistake(
            _deviations,
            "`std` subtracts the mean first, and a signal's mean belongs to its energy: sum |·|² itself",
            also=(partial(_deviations, of_signal=False),),
        ),
        Mistake(
            _sums_of_magnitudes,
            "you compare sums of magnitudes: an energy is the sum of *squared* magnitudes",
        ),
        Mistake(
            _largest_magnitudes,
            "you compare the largest values: an energy is the sum of squared magnitudes over all samples",
        ),
        Mistake(
            _squares_without_magnitude,
            "you square complex numbers, and their squares cancel: take the magnitude first, `.abs() ** 2`",
        ),
        Mistake(
            _energy_of_amplitudes,
            "you take Σ|a|² for the signal's power: lines overlap in so few samples, so measure the sum itself",
        ),
        Mistake(
            _noise_real,
            "your noise has a real part alone: complex noise has both, and both count in its energy",
            also=(partial(_noise_real, measured=False),),
        ),
        Mistake(_signal_scaled, "you scale the signal: leave it as it is, and scale the noise"),
        Mistake(
            _in_radians,
            "your frequency counts radians: here it counts cycles per sample, so the phase is 2π·f·n",
        ),
        Mistake(_half_a_turn, "a factor 2 is missing in the phase: one cycle is 2π, so it is 2π·f·n"),
        Mistake(_turned_backwards, "your lines turn backwards: the exponent is *plus* 2πi f n"),
        Mistake(_counted_from_one, "your first sample is n = 1: count from 0, as `torch.arange(samples)` does"),
        Mistake(_counted_from_the_middle, "your n = 0 lies in the middle of the signal: it is the first sample"),
        Mistake(
            _time_from_0_to_1,
            "you divide n by the number of samples: the frequency counts cycles per *sample*, so n is a whole number",
            also=(partial(_time_from_0_to_1, less=1),),
        ),
        Mistake(
            _phase_of_amplitude_lost,
            "you take a real amplitude: amplitudes are complex here, and carry each line's phase as they are",
            also=(partial(_phase_of_amplitude_lost, part=lambda a: a.real + 0j), partial(_phase_of_amplitude_lost,
                  part=torch.conj)),
        ),
        Mistake(_amplitudes_forgotten, "the amplitudes are missing: each line is a·exp(2πi f n)"),
        Mistake(_cosines, "your lines are cosines: a complex exponential has a sine in its imaginary part"),
        Mistake(_mean_of_lines, "you take the mean over the lines: the signal is their sum"),
        Mistake(_noise_alone, "you give the scaled noise alone: add it to the signal"),
        Mistake(_noise_forgotten, "you give the signal alone: the scaled noise is to be added"),
        Mistake(_real_result, "you give the real part alone: the signals are complex"),
    ),
    properties=(
        Property(
            "exact SNR", "Each signal should have the ratio of energies that is asked for.",
            _without_noise_and_with, _has_the_snr,
        ),
        Property(
            "any noise", "Louder noise should be scaled down again, in each signal by itself.",
            _louder_noise, _nothing_changes,
        ),
        Property(
            "a quarter turn",
            "At a quarter of a cycle per sample, a line of amplitude 2 without noise should be 2, 2i, "
            "−2, −2i, …", _a_quarter_turn, _goes_round_in_four,
        ),
    ),
    hints=(
        "First the signal: `n = torch.arange(noise.shape[1])`, then a·exp(2πi f n) in the shape (batch, lines, "
        "samples), and the sum over the lines.",
        "`frequencies[:, :, None] * n` has that shape, and `torch.exp(2j * torch.pi * ...)` takes it; `.sum(dim=1)`.",
        "The noise is multiplied by √(E_signal / Eoise / 10^(snr/10)), with an energy for each row: "
        "`s.abs().square().sum(dim=1, keepdim=True)`.",
    ),
)  # fmt: skip


# --- 2. the periodogram -------------------------------------------------------------------------------

SPECTRA = ((3, 12, 40), (2, 15, 64), (2, 10, 32))  # batch, samples, points


def _draw_signals(generator: torch.Generator, index: int) -> Arguments:
    batch, samples, points = SPECTRA[index]
    return complex_randn(generator, batch, samples), points


def _periodogram(signals, points):
    """The lab's reference: |(1/N) Σ y_n exp(−2πi f n)|² on the grid −1/2 + k/points."""
    transforms = torch.fft.fftshift(torch.fft.fft(signals, n=points), dim=-1)
    return (transforms.abs() / signals.shape[1]).square()


def _other_power(signals, points, power):
    return power(torch.fft.fftshift(torch.fft.fft(signals, n=points), dim=-1), signals.shape[1])


def _by_matrix(signals, frequencies, sign=-1, turns=TWO_PI):
    n = torch.arange(signals.shape[1])
    waves = torch.exp(1j * sign * turns * n[:, None] * frequencies)
    return (signals @ waves.to(signals.dtype)).abs().square() / signals.shape[1] ** 2


def _shift_forgotten(signals, points):
    return torch.fft.fft(signals, n=points).abs().square() / signals.shape[1] ** 2


def _shift_of_the_batch(signals, points):
    return torch.fft.fftshift(torch.fft.fft(signals, n=points)).abs().square() / signals.shape[1] ** 2


def _samples_shifted(signals, points, again=True):
    spectra = torch.fft.fft(torch.fft.fftshift(signals, dim=-1), n=points).abs().square() / signals.shape[1] ** 2
    return torch.fft.fftshift(spectra, dim=-1) if again else spectra


def _magnitude_not_squared(signals, points, power=lambda t, n: t.abs() / n):
    return _other_power(signals, points, power)


def _not_divided(signals, points):
    return _other_power(signals, points, lambda t, n: t.abs() ** 2)


def _divided_by_points(signals, points, power=lambda t, n: (t.abs() / t.shape[1]) ** 2):
    return _other_power(signals, points, power)


def _divided_by_batch(signals, points, power=lambda t: t.abs() ** 2 / len(t) ** 2):
    return _other_power(signals, points, lambda t, n: power(t))


def _divided_once(signals, points, power=lambda t, n: t.abs() ** 2 / n):
    return _other_power(signals, points, power)


def _mirrored_spectrum(signals, points, scale=True):
    spectra = torch.fft.fftshift(torch.fft.ifft(signals, n=points), dim=-1).abs().square() / signals.shape[1] ** 2
    return spectra * points**2 if scale else spectra


def _not_filled_up(signals, points, spectrum=_periodogram):
    return spectrum(signals, signals.shape[1])


def _along_the_batch(signals, points):
    return torch.fft.fftshift(torch.fft.fft(signals, n=points, dim=0), dim=0).abs().square() / signals.shape[1] ** 2


def _two_dimensions(signals, points):
    padded = torch.nn.functional.pad(signals, (0, points - signals.shape[1]))
    return torch.fft.fftshift(torch.fft.fft2(padded), dim=-1).abs().square() / signals.shape[1] ** 2


def _complex_square(signals, points):
    return _other_power(signals, points, lambda t, n: (t / n) ** 2)


def _real_part_squared(signals, points, part=torch.real):
    return _other_power(signals, points, lambda t, n: (part(t) / n) ** 2)


def _in_decibels(signals, points):
    return 10 * _periodogram(signals, points).log10()


def _largest_is_one(signals, points):
    spectra = _periodogram(signals, points)
    return spectra / spectra.amax(dim=1, keepdim=True)


def _sums_to_one(signals, points):
    spectra = _periodogram(signals, points)
    return spectra / spectra.sum(dim=1, keepdim=True)


def _mean_spectrum(signals, points):
    return _periodogram(signals, points).mean(dim=0)


def _spectrum_of_real_part(signals, points, part=torch.real):
    return _periodogram(part(signals) + 0j, points)


def _half_spectrum(signals, points):
    return torch.fft.rfft(signals, n=points).abs().square() / signals.shape[1] ** 2  # stops: complex samples


def _both_ends(signals, points):
    return _by_matrix(signals, torch.linspace(-0.5, 0.5, points))


def _from_zero_to_one(signals, points):
    return _by_matrix(signals, torch.linspace(0, 1, points))


def _spectrum_in_radians(signals, points):
    return _by_matrix(signals, _grid(points), turns=1)


def _hann_window(signals, points):
    return _periodogram(signals * torch.hann_window(signals.shape[1]), points)


def _shifted_by_one(signals, points, by=1):
    return _periodogram(signals, points).roll(by, dims=1)


def _stretched(signals, points):
    coarse = _periodogram(signals, signals.shape[1])[:, None]
    return torch.nn.functional.interpolate(coarse, size=points, mode="linear")[:, 0]


def _as_drawn(signals, points):
    return [(signals, points), (signals, 2 * points)]


def _mean_is_power(calls, values):
    for (signals, points), spectra in zip(calls, values, strict=True):
        wanted = signals.abs().square().mean(dim=1).numpy()
        found = signals.shape[1] * spectra.mean(axis=1)
        if off_by(found, wanted) > 1e-3:
            return f"at {points} frequencies it is {found[0]:.4g}, and |y|² has the mean {wanted[0]:.4g}"
    return None


def _on_the_grid(signals, points):
    frequency = -0.5 + (points // 2 + 3) / points
    line = 1.5j * _exponentials(torch.tensor([frequency]), signals.shape[1])
    return [(line.expand(len(signals), -1).clone(), points)]


def _stands_at_its_place(calls, values):
    signals, points = calls[0]
    place, height = int(np.argmax(values[0][0])), float(values[0][0].max())
    if place != points // 2 + 3 or values[0].shape[1] != points:
        return f"of {points} points the highest is number {place}, not {points // 2 + 3}"
    return None if abs(height / 2.25 - 1) < 1e-3 else f"it is {height:.4g} high, not 2.25"


def _moved_up(signals, points):
    wave = _exponentials(torch.tensor(3 / points), signals.shape[1])
    return [(signals, points), (signals * wave, points)]


def _rolls_up(calls, values):
    off = off_by(values[1], np.roll(values[0], 3, axis=1))
    return None if off < 1e-3 else f"the spectrum is off by up to {100 * off:.2g} % of its largest value"


periodogram = Exercise(
    number=2,
    function="periodogram",
    title="the periodogram",
    minutes=10,
    value_points=2,
    takes={
        "signals": "complex64 (batch, samples)",
        "points": "an even number: how many frequencies, at least as many as samples",
    },
    returns="float32 (batch, points): the power at the frequencies −1/2 + k/points",
    draw=_draw_signals,
    reference=_periodogram,
    answers=("course_lib.classical.periodogram.periodogram",),
    closed=("scipy.signal.periodogram", "scipy.signal.welch", "matplotlib.mlab.psd"),
    mistakes=(
        Mistake(
            _shift_forgotten,
            "your first frequency is 0: the grid begins at −1/2, so put the second half first, "
            "`torch.fft.fftshift(..., dim=-1)`",
        ),
        Mistake(
            _shift_of_the_batch,
            "`fftshift` without `dim` moves the signals of the batch too: `dim=-1` moves frequencies alone",
        ),
        Mistake(
            _samples_shifted,
            "you shift the samples before the transform: shift the frequencies after it",
            also=(partial(_samples_shifted, again=False),),
        ),
        Mistake(
            _magnitude_not_squared,
            "you give magnitudes: power is the *squared* magnitude",
            also=(
                partial(_magnitude_not_squared, power=lambda t, n: t.abs() / n**2),
                partial(_magnitude_not_squared, power=lambda t, n: t.abs()),
            ),
        ),
        Mistake(
            _not_divided,
            "the division by N is missing, the number of samples: divide the sum before you square it",
        ),
        Mistake(
            _divided_by_points,
            "you divide by the number of grid points: the zeros add nothing to the sum, so divide by N, the number of "
            "samples",
            also=(
                partial(_divided_by_points, power=lambda t, n: t.abs() ** 2 / (t.shape[1] * n)),
                partial(_divided_by_points, power=lambda t, n: t.abs() ** 2 / t.shape[1]),
                partial(_divided_by_points, power=lambda t, n: t.abs() ** 2 / (t.shape[1] * n**2)),
            ),
        ),
        Mistake(
            _divided_by_batch,
            "you divide by the number of signals, `len(signals)`: N is the number of samples, `signals.shape[1]`",
            also=(partial(_divided_by_batch, power=lambda t: t.abs() ** 2 / len(t)),),
        ),
        Mistake(
            _divided_once,
            "you divide by N after squaring: the mean over the samples comes first, so in all it is 1/N²",
            also=(
                partial(_divided_once, power=lambda t, n: t.abs() ** 2 / n**1.5),
                partial(_divided_once, power=lambda t, n: t.abs() ** 2 / n**3),
            ),
        ),
        Mistake(
            _mirrored_spectrum,
            "your exponent has the other sign, which mirrors the spectrum: a line at f is found by exp(−2πi f n), as "
            "in `torch.fft.fft`",
            also=(partial(_mirrored_spectrum, scale=False),),
        ),
        Mistake(
            _not_filled_up,
            "you give one frequency for each sample: `torch.fft.fft(signals, n=points)` appends zeros for a finer grid",
            also=(partial(_not_filled_up, spectrum=_shift_forgotten),),
        ),
        Mistake(_along_the_batch, "you transform along the batch: the samples are the last dimension, `dim=-1`"),
        Mistake(_two_dimensions, "you transform the batch too: each signal has its own spectrum, `torch.fft.fft`"),
        Mistake(_complex_square, "you square complex numbers: take the magnitude first, `.abs() ** 2`"),
        Mistake(
            _real_part_squared,
            "you square one part of the transform: |·|² is real² + imaginary²",
            also=(partial(_real_part_squared, part=torch.imag),),
        ),
        Mistake(_in_decibels, "you give decibels: here the power itself is wanted, without a logarithm"),
        Mistake(_largest_is_one, "you divide by the largest value: divide by N, so that signals can be compared"),
        Mistake(_sums_to_one, "you divide by the sum: divide by N, so that signals can be compared"),
        Mistake(_mean_spectrum, "you take the mean over the batch: each signal has a spectrum of its own"),
        Mistake(
            _spectrum_of_real_part,
            "you drop a part of the signals, so each line has a mirror image: transform the complex samples as they "
            "are",
            also=(
                partial(_spectrum_of_real_part, part=torch.abs), partial(_spectrum_of_real_part, part=torch.imag),
            ),
        ),
        Mistake(
            _half_spectrum,
            "`rfft` is for real samples, whose spectrum is symmetric: `torch.fft.fft` takes complex ones",
        ),
        Mistake(
            _both_ends,
            "your grid holds −1/2 and 1/2, which are one frequency: −1/2 + k/points ends one step before 1/2",
        ),
        Mistake(_from_zero_to_one, "your grid runs from 0 to 1: it is −1/2 + k/points, so it begins at −1/2"),
        Mistake(_spectrum_in_radians, "your frequencies count radians: a cycle is 2π, so the exponent is −2πi f n"),
        Mistake(_hann_window, "you put a window on the samples: here all of them count the same"),
        Mistake(
            _shifted_by_one,
            "your spectrum is one grid point aside: the first frequency is −1/2, and 0 stands at points/2",
            also=(partial(_shifted_by_one, by=-1),),
        ),
        Mistake(
            _stretched,
            "you interpolate between the frequencies of a short transform: append zeros to the samples, `n=points`",
        ),
    ),
    properties=(
        Property(
            "power", "N times the mean over the whole grid should be the mean of |y|², however fine the grid is.",
            _as_drawn, _mean_is_power,
        ),
        Property(
            "one line", "A line of amplitude 1.5i on the grid should have its maximum there, 1.5² high.",
            _on_the_grid, _stands_at_its_place,
        ),
        Property(
            "moved up", "Three grid steps more for all frequencies should move the spectrum round by three.",
            _moved_up, _rolls_up,
        ),
    ),
    hints=(
        "`torch.fft.fft(signals, n=points)` appends zeros, and gives the frequencies 0, 1/points, 2/points, … Where is "
        "−1/2 among them?",
        "The second half are the negative frequencies: `torch.fft.fftshift(..., dim=-1)` puts them first.",
        "`(torch.fft.fftshift(torch.fft.fft(signals, n=points), dim=-1).abs() / signals.shape[1]) ** 2`",
    ),
)  # fmt: skip


# --- 3. the covariance of windows ---------------------------------------------------------------------

STRETCHES = ((14, 5), (17, 6), (12, 4))  # samples, window


def _draw_stretch(generator: torch.Generator, index: int) -> Arguments:
    samples, window = STRETCHES[index]
    return complex_randn(generator, samples), window


def _forward(signal, window):
    x = signal.unfold(0, window, 1).T  # one window a column
    return x @ x.mH / x.shape[1]


def _and_backward(R):
    return (R + R.conj().flip(0, 1)) / 2


def _covariance(signal, window):
    """The lab's reference: the mean of x xᴴ over all windows, forward and backward."""
    return _and_backward(_forward(signal, window))


def _of_windows(signal, window, matrix):
    return _and_backward(matrix(signal.unfold(0, window, 1).T))


def _no_conjugate(signal, window):
    return _of_windows(signal, window, lambda x: x @ x.T / x.shape[1])


def _other_factor_conjugated(signal, window):
    return _of_windows(signal, window, lambda x: x.conj() @ x.T / x.shape[1])


def _forward_alone(signal, window):
    return _forward(signal, window)


def _backward_alone(signal, window):
    return _forward(signal, window).conj().flip(0, 1)


def _backward_not_conjugated(signal, window):
    R = _forward(signal, window)
    return (R + R.flip(0, 1)) / 2


def _backward_not_reversed(signal, window):
    R = _forward(signal, window)
    return (R + R.conj()) / 2


def _one_side_reversed(signal, window, side=0):
    R = _forward(signal, window)
    return (R + R.conj().flip(side)) / 2


def _not_halved(signal, window):
    return 2 * _covariance(signal, window)


def _parentheses_forgotten(signal, window):
    R = _forward(signal, window)
    return R + R.conj().flip(0, 1) / 2


def _real_exchange(signal, window, left=True):
    R, J = _forward(signal, window), torch.eye(window).flip(0)
    return (R + (J @ R.conj()) @ J) / 2 if left else (R + (R.conj() @ J).flip(0)) / 2  # stops: two dtypes


def _real_sum(signal, window):
    R = torch.zeros(window, window)
    for x in signal.unfold(0, window, 1):
        R += torch.outer(x, x.conj())  # stops: complex numbers do not fit in
    return _and_backward(R / (len(signal) - window + 1))


def _sum_over_windows(signal, window, by=lambda samples, window: 1):
    """Divided by another number than that of the windows, or by none."""
    count = len(signal) - window + 1
    return _covariance(signal, window) * count / by(len(signal), window)


def _over_one_less(signal, window):
    return _sum_over_windows(signal, window, lambda samples, window: samples - window)


def _other_windows(signal, window, places, count=None):
    x = torch.stack([signal[k : k + window] for k in places], dim=1)
    return _and_backward(x @ x.mH / (count or x.shape[1]))


def _windows_apart(signal, window):
    return _other_windows(signal, window, range(0, len(signal) - window + 1, window))


def _last_window_missing(signal, window, all_counted=False):
    count = len(signal) - window
    return _other_windows(signal, window, range(count), count + 1 if all_counted else None)


def _first_window_alone(signal, window):
    return _other_windows(signal, window, range(1))


def _round_the_end(signal, window):
    return _other_windows(torch.cat([signal, signal[: window - 1]]), window, range(len(signal)))


def _zeros_at_the_ends(signal, window, before=False):
    zeros = torch.zeros(window - 1, dtype=signal.dtype)
    longer = torch.cat([zeros, signal, zeros] if before else [signal, zeros])
    count = len(longer) - window + 1
    return _other_windows(longer, window, range(count))


def _rows_for_columns(signal, window):
    x = signal.unfold(0, window, 1)
    return _and_backward(x @ x.mH / x.shape[1])


def _another_rows_for_columns(signal, window):
    x = signal.unfold(0, window, 1)
    return _and_backward(x @ x.mH / x.shape[0])


def _windows_as_rows(signal, window):
    """Windows in the rows, and the products of the columns in the wrong order."""
    x = signal.unfold(0, window, 1)
    return _and_backward(x.mH @ x / x.shape[0])


def _mean_taken_off(signal, window, correction=1):
    return _of_windows(signal, window, lambda x: torch.cov(x, correction=correction))


def _mean_of_signal_off(signal, window):
    return _covariance(signal - signal.mean(), window)


def _by_lags(signal, window, unbiased=False):
    samples = len(signal)
    r = torch.stack([
        (signal[k:] * signal[: samples - k].conj()).sum() / (samples - k if unbiased else samples)
        for k in range(window)
    ])  # fmt: skip
    lags = torch.arange(window)[:, None] - torch.arange(window)
    return torch.where(lags >= 0, r[lags.abs()], r[lags.abs()].conj())


def _real_parts(signal, window):
    return _covariance(signal, window).real


def _magnitudes(signal, window):
    return _covariance(signal, window).abs()


def _covariance_of_real_part(signal, window):
    return _covariance(signal.real + 0j, window)


def _correlations(signal, window):
    R = _covariance(signal, window)
    d = R.diagonal().real.sqrt()
    return R / (d[:, None] * d)


def _another_window(signal, window, more=1):
    return _covariance(signal, window + more)


def _itself(signal, window):
    return [(signal, window)]


def _from_both_ends(calls, values):
    R = values[0]
    off = off_by(R, R.conj().T)
    if off > 1e-3:
        return f"R and its conjugate transpose differ by up to {100 * off:.0f} % of its largest value"
    off = off_by(R, R.conj()[::-1, ::-1])
    if off > 1e-3:
        return f"R and its conjugate with rows and columns reversed differ by up to {100 * off:.0f} %"
    return None


def _a_single_line(signal, window):
    return [(2 * _exponentials(torch.tensor(0.11), len(signal)), window)]


def _is_rank_one(calls, values):
    _, window = calls[0]
    n = np.arange(window)
    wanted = 4 * np.exp(2j * math.pi * 0.11 * (n[:, None] - n))
    off = off_by(values[0] + 0 * wanted, wanted)
    if off < 1e-3:
        return None
    return f"its second row begins with {complex(values[0][1, 0]):.3g}, not {wanted[1, 0]:.3g}"


def _every_sample(signal, window):
    """With a single spike, each diagonal entry counts the windows that hold it there."""
    spike = torch.zeros_like(signal)
    spike[window] = 3
    return [(spike, window)]


def _counts_the_windows(calls, values):
    signal, window = calls[0]
    count = len(signal) - window + 1
    wanted = np.array([float(9 * (window - j < count)) / count for j in range(window)])
    wanted = (wanted + wanted[::-1]) / 2
    found = np.diagonal(values[0])
    if len(found) == window and off_by(found, wanted) < 1e-3:
        return None
    return f"the first entry is {complex(found[0]).real:.4g}, not {wanted[0]:.4g}"


covariance = Exercise(
    number=3,
    function="covariance",
    title="the covariance of windows",
    minutes=12,
    value_points=2,
    takes={
        "signal": "complex64 (samples,)",
        "window": "a whole number: the length L of the windows",
    },
    returns="complex64 (window, window): the mean of x xᴴ, forward and backward",
    draw=_draw_stretch,
    reference=_covariance,
    answers=("course_lib.classical.subspace.sample_covariance",),
    mistakes=(
        Mistake(
            _no_conjugate,
            "the conjugate is missing: x xᴴ has x_j times the *conjugate* of x_k, so `x @ x.mH`, not `x @ x.T`",
        ),
        Mistake(
            _other_factor_conjugated,
            "your R is transposed: the conjugate belongs to the second factor, x_j·conj(x_k) in row j and column k",
            also=(_windows_as_rows,),
        ),
        Mistake(
            _forward_alone,
            "you take the windows forward alone: add J·conj(R)·J, whose rows and columns are reversed, and halve",
        ),
        Mistake(_backward_alone, "you give the backward half alone: it is the mean of both, (R + J·conj(R)·J)/2"),
        Mistake(
            _backward_not_conjugated,
            "your backward half is not conjugated: a line that is read backwards turns the other way, so J·conj(R)·J",
        ),
        Mistake(
            _backward_not_reversed,
            "your backward half is not reversed: J turns rows *and* columns round, `.flip(0, 1)`",
        ),
        Mistake(
            _one_side_reversed,
            "your backward half is reversed along one side alone: J stands on both sides, `.flip(0, 1)`",
            also=(partial(_one_side_reversed, side=1),),
        ),
        Mistake(
            _not_halved,
            "you add forward and backward: take half their sum (with parentheses around it)",
            also=(_parentheses_forgotten,),
        ),
        Mistake(
            _real_exchange,
            "torch multiplies matrices of one dtype alone, and your J is real: make it complex, or turn rows and "
            "columns round by `.flip(0, 1)`",
            also=(partial(_real_exchange, left=False),),
        ),
        Mistake(
            _real_sum,
            "you add complex numbers to a real matrix: `torch.zeros(window, window, dtype=signal.dtype)` takes them",
        ),
        Mistake(
            _sum_over_windows,
            "you divide by another number than that of the windows, or not at all: there are samples − window + 1 of "
            "them",
            also=(
                partial(_sum_over_windows, by=lambda samples, window: samples),
                partial(_sum_over_windows, by=lambda samples, window: window), _over_one_less,
            ),
        ),
        Mistake(
            _windows_apart,
            "your windows lie side by side: the next one begins a single sample later",
        ),
        Mistake(
            _last_window_missing,
            "the last window is missing: a window may begin at sample samples − window itself, and `range` stops "
            "before its end",
            also=(partial(_last_window_missing, all_counted=True),),
        ),
        Mistake(_first_window_alone, "you use the first window alone: take the mean over all of them"),
        Mistake(
            _round_the_end,
            "your last windows go on at the signal's beginning: take those alone that lie wholly inside it",
        ),
        Mistake(
            _zeros_at_the_ends,
            "you fill windows up with zeros: take those alone that lie wholly inside the signal",
            also=(partial(_zeros_at_the_ends, before=True),),
        ),
        Mistake(
            _rows_for_columns,
            "your matrix compares windows with each other, and has one row a window: R compares places *within* a "
            "window, so windows are columns in x xᴴ",
            also=(_another_rows_for_columns,),
        ),
        Mistake(
            _mean_taken_off,
            "`cov` subtracts the mean of each row, which takes a line near frequency 0 away: take the mean of x xᴴ as "
            "it is",
            also=(partial(_mean_taken_off, correction=0),),
        ),
        Mistake(
            _mean_of_signal_off,
            "you subtract the signal's mean, and with it a line at frequency 0: leave the samples as they are",
        ),
        Mistake(
            _by_lags,
            "you take one number for each lag: here every entry is a mean over windows of its own",
            also=(partial(_by_lags, unbiased=True),),
        ),
        Mistake(_real_parts, "you give the real part: R is complex, and its phases hold the frequencies"),
        Mistake(_magnitudes, "you give magnitudes: R is complex, and its phases hold the frequencies"),
        Mistake(_covariance_of_real_part, "you drop the signal's imaginary part: the samples are complex"),
        Mistake(_correlations, "you divide by the diagonal: the covariance is wanted, not correlations"),
        Mistake(
            _another_window,
            "your windows have another length: `start : start + window` are `window` samples, the end is left out",
            also=(partial(_another_window, more=-1),),
        ),
    ),
    properties=(
        Property(
            "from both ends", "R should be Hermitian, and the same when time is read backwards: R = J·conj(R)·J.",
            _itself, _from_both_ends,
        ),
        Property(
            "one line",
            "For a single line of amplitude 2 at 0.11, row j and column k should be 4·exp(2πi·0.11·(j − k)).",
            _a_single_line, _is_rank_one,
        ),
        Property(
            "every window",
            "For a single spike, the diagonal should count in how many windows it stands at each place.",
            _every_sample, _counts_the_windows,
        ),
    ),
    hints=(
        "How many windows of 3 samples has a signal of 5? Write them as columns: "
        "`x = torch.stack([signal[k : k + window] for k in range(...)], dim=1)`.",
        "Forward: `R = x @ x.mH / x.shape[1]`. `.mH` is the conjugate transpose.",
        "Backward: `R.conj().flip(0, 1)`, and half the sum of both.",
    ),
)  # fmt: skip


# --- what MUSIC and ESPRIT are drawn from -------------------------------------------------------------

SCENES = ((3, 10, 50), (4, 11, 61), (5, 13, 64))  # lines, window, points
NOISE = 0.5  # standard deviation in each of the two parts, for amplitudes near 1


def _draw_scene(generator: torch.Generator, index: int) -> tuple[torch.Tensor, int, int]:
    """The covariance of 64 samples of separated lines in noise, their number, and points of a grid."""
    lines, window, points = SCENES[index]
    place = torch.arange(lines) + _between(generator, 0.3, 0.7, lines)
    frequencies = -0.46 + 0.84 * place / lines  # a little to the left, so that a mirror image shows
    amplitudes = _between(generator, 0.8, 1.3, lines) * _phases(generator, lines)
    signal = (amplitudes[:, None] * _exponentials(frequencies, 64)).sum(dim=0)
    return _covariance(signal + NOISE * complex_randn(generator, 64) * math.sqrt(2), window), lines, points


def _split(covariance, lines):
    """Noise subspace and signal subspace; `eigh` puts the smallest eigenvalues first."""
    _, vectors = torch.linalg.eigh(covariance)
    return vectors[:, :-lines], vectors[:, -lines:]


def _in_white_noise(covariance, *rest):
    """Another unit, and more noise that is the same at all frequencies: the subspaces stay."""
    return [(covariance, *rest), (3 * covariance + 0.5 * torch.eye(len(covariance)), *rest)]


def _modulated(covariance, shift):
    wave = _exponentials(torch.tensor(shift), len(covariance))
    return wave[:, None] * covariance * wave.conj()


# --- 4. MUSIC -----------------------------------------------------------------------------------------


def _music_of(noise_subspace, points, *, grid=None, turns=TWO_PI, sign=1):
    f = _grid(points) if grid is None else grid
    n = torch.arange(noise_subspace.shape[0])
    a = torch.exp(1j * sign * turns * n[:, None] * f).to(noise_subspace.dtype)
    return 1 / (noise_subspace.mH @ a).abs().square().sum(dim=0)


def _music(covariance, lines, points):
    """The lab's reference: 1 / ‖Eᴴ a(f)‖² on the grid."""
    return _music_of(_split(covariance, lines)[0], points)


def _signal_for_noise(covariance, lines, points):
    return _music_of(_split(covariance, lines)[1], points)


def _one_minus_signal(covariance, lines, points):
    return (1 / _music_of(_split(covariance, lines)[1], points)) / len(covariance)


def _largest_first(covariance, lines, points):
    return _music_of(torch.linalg.eigh(covariance)[1][:, lines:], points)


def _too_few_vectors(covariance, lines, points, which=lambda v, lines: v[:, :lines]):
    return _music_of(which(torch.linalg.eigh(covariance)[1], lines), points)


def _one_line_too_many(covariance, lines, points, more=1):
    return _music_of(_split(covariance, lines + more)[0], points)


def _rows_of_vectors(covariance, lines, points, which=lambda v, lines: v[:-lines].T):
    return _music_of(which(torch.linalg.eigh(covariance)[1], lines), points)


def _eigenvectors_for_all(covariance, lines, points):
    return _music_of(torch.linalg.eigh(covariance)[1], points)


def _mirrored_music(covariance, lines, points):
    return _music_of(_split(covariance, lines)[0].conj(), points)


def _not_inverted(covariance, lines, points):
    return 1 / _music(covariance, lines, points)


def _root_of_music(covariance, lines, points):
    return _music(covariance, lines, points).sqrt()


def _music_squared(covariance, lines, points):
    return _music(covariance, lines, points).square()


def _music_in_radians(covariance, lines, points):
    return _music_of(_split(covariance, lines)[0], points, turns=1)


def _music_half_a_turn(covariance, lines, points):
    return _music_of(_split(covariance, lines)[0], points, turns=math.pi)


def _music_both_ends(covariance, lines, points):
    return _music_of(_split(covariance, lines)[0], points, grid=torch.linspace(-0.5, 0.5, points))


def _music_from_zero(covariance, lines, points):
    return _music_of(_split(covariance, lines)[0], points, grid=torch.arange(points) / points)


def _mean_of_vectors(covariance, lines, points):
    return _music(covariance, lines, points) * (len(covariance) - lines)


def _steering_of_length_one(covariance, lines, points):
    return _music(covariance, lines, points) * len(covariance)


def _music_largest_is_one(covariance, lines, points):
    P = _music(covariance, lines, points)
    return P / P.max()


def _music_in_decibels(covariance, lines, points, of_largest=False):
    P = _music(covariance, lines, points)
    return 10 * (P / P.max() if of_largest else P).log10()


def _weighted_vectors(covariance, lines, points):
    values, vectors = torch.linalg.eigh(covariance)
    return _music_of(vectors[:, :-lines] / values[:-lines].sqrt(), points)


def _waves(covariance, points):
    n = torch.arange(len(covariance))
    return torch.exp(2j * math.pi * n[:, None] * _grid(points)).to(covariance.dtype)


def _capon(covariance, lines, points):
    a = _waves(covariance, points)
    return 1 / (a.conj() * torch.linalg.solve(covariance, a)).sum(dim=0).real


def _bartlett(covariance, lines, points):
    a = _waves(covariance, points)
    return (a.conj() * (covariance @ a)).sum(dim=0).real


def _inverted_one_by_one(covariance, lines, points):
    return (1 / (_split(covariance, lines)[0].mH @ _waves(covariance, points)).abs().square()).sum(dim=0)


def _summed_before_squaring(covariance, lines, points):
    return 1 / (_split(covariance, lines)[0].mH @ _waves(covariance, points)).sum(dim=0).abs().square()


def _magnitudes_summed(covariance, lines, points):
    return 1 / (_split(covariance, lines)[0].mH @ _waves(covariance, points)).abs().sum(dim=0)


def _real_part_of_product(covariance, lines, points):
    return 1 / (_split(covariance, lines)[0].mH @ _waves(covariance, points)).real.square().sum(dim=0)


def _product_squared(covariance, lines, points):
    return 1 / ((_split(covariance, lines)[0].mH @ _waves(covariance, points)) ** 2).sum(dim=0)


def _draw_music(generator: torch.Generator, index: int) -> Arguments:
    """As many lines as there are, one fewer, and one more: who asks decides, not the eigenvalues."""
    covariance, lines, points = _draw_scene(generator, index)
    return covariance, lines + (0, -1, 1)[index], points


def _lines_counted_by_size(covariance, lines, points, share=0.1):
    values, vectors = torch.linalg.eigh(covariance)
    return _music_of(vectors[:, values < share * values.max()], points)


def _lines_counted_by_gap(covariance, lines, points):
    values, vectors = torch.linalg.eigh(covariance)
    return _music_of(vectors[:, : int(values.clamp(min=1e-9).log().diff().argmax()) + 1], points)


def _white_noise_does_not_count(calls, values):
    off = off_by(values[1], values[0])
    return None if off < 1e-2 else f"the result changed by up to {100 * off:.2g} % of its largest value"


def _turned_by_three(covariance, lines, points):
    return [(covariance, lines, points), (_modulated(covariance, 3 / points), lines, points)]


def _rolls_by_three(calls, values):
    off = off_by(values[1], np.roll(values[0], 3, axis=-1))
    return None if off < 1e-2 else f"the result is off by up to {100 * off:.2g} % of its largest value"


def _two_lines_beside_the_grid(covariance, lines, points):
    f = -0.5 + (torch.tensor([points // 4, points // 4 + points // 3]) + 0.05) / points  # not infinitely high
    a = _exponentials(f, len(covariance)).T
    return [(a @ a.mH + 0.1 * torch.eye(len(covariance)), 2, points)]


def _stand_out(calls, values):
    points = calls[0][2]
    places = [points // 4, points // 4 + points // 3]
    highest = sorted(np.argsort(values[0])[-2:].tolist())
    rest = np.delete(values[0], places)
    if highest == places and values[0][places].min() > 100 * np.abs(rest).max():
        return None
    if highest != places:
        return f"the lines are beside the points {places}, and the two highest points are {highest}"
    ratio = values[0][places].min() / np.abs(rest).max()
    return f"they stand out {ratio:.3g} times: does your grid begin at −1/2, also where `points` is odd?"


music_spectrum = Exercise(
    number=4,
    function="music_spectrum",
    title="MUSIC",
    minutes=13,
    value_points=2,
    takes={
        "covariance": "complex64 (window, window), Hermitian",
        "lines": "a whole number: how many lines, fewer than window",
        "points": "a whole number, even or odd: how many frequencies",
    },
    returns="float32 (points,): 1/‖Eᴴ a(f)‖² at the frequencies −1/2 + k/points",
    draw=_draw_music,
    reference=_music,
    answers=("course_lib.classical.subspace.music_spectrum", "course_lib.classical.subspace.music"),
    mistakes=(
        Mistake(
            _signal_for_noise,
            "you project on the signal subspace, and lines are *in* it: take the eigenvectors of the small "
            "eigenvalues, `vectors[:, :-lines]`",
            also=(_one_minus_signal,),
        ),
        Mistake(
            _largest_first,
            "`eigh` gives the *smallest* eigenvalues first: the noise subspace is `vectors[:, :-lines]`, all but the "
            "last ones",
        ),
        Mistake(
            _too_few_vectors,
            "your noise subspace has too few vectors: all but `lines` of them belong to it, `vectors[:, :-lines]`",
            also=(partial(_too_few_vectors, which=lambda v, lines: v[:, :1]),),
        ),
        Mistake(
            _one_line_too_many,
            "your noise subspace has one vector too few or too many: it has window − lines of them",
            also=(partial(_one_line_too_many, more=-1),),
        ),
        Mistake(
            _lines_counted_by_size,
            "you choose the noise subspace by the size of the eigenvalues: `lines` says how many belong to the signal",
            also=(
                partial(_lines_counted_by_size, share=0.2), partial(_lines_counted_by_size, share=0.3),
                _lines_counted_by_gap,
            ),
        ),
        Mistake(
            _rows_of_vectors,
            "you take rows of the eigenvectors' matrix: the vectors are its *columns*, `vectors[:, :-lines]`",
            also=(partial(_rows_of_vectors, which=lambda v, lines: v[:-lines].mH),),
        ),
        Mistake(
            _eigenvectors_for_all,
            "you take all eigenvectors, and every a(f) has the same length in all of them: take those of noise alone",
        ),
        Mistake(
            _mirrored_music,
            "your spectrum is mirrored: either E is not conjugated in Eᴴ a, or a(f) turns backwards, exp(−2πi f n)",
        ),
        Mistake(
            _not_inverted,
            "you give the squared length itself, which is smallest at a line: give one over it",
        ),
        Mistake(_root_of_music, "your length is not squared: 1/‖Eᴴ a‖², without a root"),
        Mistake(_music_squared, "you square once too often: 1/‖Eᴴ a‖² is one over the sum of squared magnitudes"),
        Mistake(
            _music_in_radians,
            "a factor 2π is missing: frequencies count cycles per sample, a(f) = exp(2πi f n)",
            also=(_music_half_a_turn,),
        ),
        Mistake(
            _music_both_ends,
            "your grid holds −1/2 and 1/2, which are one frequency: −1/2 + k/points ends one step before 1/2",
        ),
        Mistake(_music_from_zero, "your grid runs from 0 to 1: it is −1/2 + k/points, so it begins at −1/2"),
        Mistake(_mean_of_vectors, "you take the mean over the noise's eigenvectors: ‖·‖² is the sum"),
        Mistake(
            _steering_of_length_one,
            "your result is `window` times as large: a(f) has entries exp(2πi f n), not divided by √window, and 1 "
            "stands above the line",
        ),
        Mistake(
            _music_largest_is_one,
            "you divide by the largest value: how high a peak is tells how well it fits, so leave it",
        ),
        Mistake(
            _music_in_decibels,
            "you give decibels: here 1/‖Eᴴ a‖² itself is wanted, without a logarithm",
            also=(partial(_music_in_decibels, of_largest=True),),
        ),
        Mistake(
            _weighted_vectors,
            "you weight each vector by one over its eigenvalue, which is another method: here all count the same",
        ),
        Mistake(
            _capon,
            "you invert the whole covariance, which is Capon's method: MUSIC takes the eigenvectors of noise alone",
        ),
        Mistake(
            _bartlett,
            "aᴴRa is a smoothed periodogram, and resolves no more: take the eigenvectors of R first",
        ),
        Mistake(
            _inverted_one_by_one,
            "you invert for each vector and add then: add the squared magnitudes first, then one over the sum",
        ),
        Mistake(
            _summed_before_squaring,
            "you add complex numbers before you take magnitudes, so they cancel: square each magnitude, then add",
        ),
        Mistake(_magnitudes_summed, "you add magnitudes: ‖·‖² is the sum of *squared* magnitudes"),
        Mistake(
            _real_part_of_product,
            "you drop the imaginary part of Eᴴ a: |·|² is real² + imaginary²",
            also=(_product_squared,),
        ),
    ),
    properties=(
        Property(
            "two lines",
            "Two lines beside grid points, in white noise, should stand out more than 100 times as high as the rest.",
            _two_lines_beside_the_grid, _stand_out,
        ),
        Property(
            "white noise",
            "Another unit and more white noise should change nothing: 3·R + I/2 has the same eigenvectors.",
            _in_white_noise, _white_noise_does_not_count,
        ),
        Property(
            "moved up", "Three grid steps more for all frequencies should move the result round by three.",
            _turned_by_three, _rolls_by_three,
        ),
    ),
    hints=(
        "`values, vectors = torch.linalg.eigh(covariance)` gives real eigenvalues in *ascending* order; the columns of "
        "`vectors` are the eigenvectors. Which of them belong to noise?",
        "`n = torch.arange(len(covariance))[:, None]` and `f = -0.5 + torch.arange(points) / points`: then "
        "`torch.exp(2j * torch.pi * n * f)` has a(f) in its columns.",
        "`noise = vectors[:, :-lines]`, and `1 / (noise.mH @ a).abs().square().sum(dim=0)`.",
    ),
    tolerance=1e-2,
)  # fmt: skip


# --- 5. ESPRIT ----------------------------------------------------------------------------------------


def _draw_esprit(generator: torch.Generator, index: int) -> Arguments:
    covariance, lines, _ = _draw_scene(generator, index)
    return covariance, lines


def _turn(first, second):
    """The matrix that leads from all but the last samples to all but the first, by least squares."""
    return torch.linalg.lstsq(first, second).solution


def _cycles(matrix):
    return torch.linalg.eigvals(matrix).angle() / TWO_PI


def _esprit(covariance, lines):
    """The lab's reference: angles of the eigenvalues of the rotation between the two ends of the signal subspace."""
    E = _split(covariance, lines)[1]
    return _cycles(_turn(E[:-1], E[1:])).sort().values


def _total_least_squares(covariance, lines):
    E = _split(covariance, lines)[1]
    V = torch.linalg.svd(torch.cat([E[:-1], E[1:]], dim=1))[2].mH
    return _cycles(-V[:lines, lines:] @ torch.linalg.inv(V[lines:, lines:])).sort().values


def _of_signal_subspace(covariance, lines, frequencies):
    return frequencies(_split(covariance, lines)[1]).sort().values


def _angles(covariance, lines, factor=TWO_PI):
    return _esprit(covariance, lines) * factor


def _over_pi(covariance, lines):
    return _angles(covariance, lines, 2)


def _in_degrees(covariance, lines):
    return _angles(covariance, lines, 360)


def _half_times_pi(covariance, lines):
    return _angles(covariance, lines, math.pi**2)


def _sort_itself(covariance, lines):
    return _esprit(covariance, lines).sort()


def _eigenvalues_sorted(covariance, lines):
    E = _split(covariance, lines)[1]
    return torch.linalg.eigvals(_turn(E[:-1], E[1:])).sort().values  # stops: complex numbers have no order


def _turned_back(covariance, lines):
    return (-_esprit(covariance, lines)).sort().values


def _turned_back_in_order(covariance, lines):
    return -_esprit(covariance, lines)


def _noise_turned(covariance, lines, which=lambda v, lines: v[:, :lines]):
    E = which(torch.linalg.eigh(covariance)[1], lines)
    return _cycles(_turn(E[:-1], E[1:])).sort().values


def _not_sorted(covariance, lines):
    return _esprit(covariance, lines).flip(0)


def _as_eigvals_gives_them(covariance, lines):
    E = _split(covariance, lines)[1]
    return _cycles(_turn(E[:-1], E[1:]))


def _from_zero_to_one_cycles(covariance, lines):
    return (_esprit(covariance, lines) % 1).sort().values


def _product_for_least_squares(covariance, lines):
    return _of_signal_subspace(covariance, lines, lambda E: _cycles(E[:-1].mH @ E[1:]))


def _whole_products(covariance, lines):
    """An inverse of the wrong side: eigenvalues of U₁ᵀ in the place of U₁ᴴ."""
    return _of_signal_subspace(
        covariance, lines, lambda E: _cycles(torch.linalg.solve(E[:-1].T @ E[:-1], E[:-1].T @ E[1:]))
    )


def _few_rows(covariance, lines):
    return _of_signal_subspace(covariance, lines, lambda E: _cycles(torch.linalg.solve(E[:lines], E[1 : lines + 1])))


def _two_samples_on(covariance, lines):
    return _of_signal_subspace(covariance, lines, lambda E: _cycles(_turn(E[:-2], E[2:])))


def _rows_of_eigenvectors(covariance, lines):
    E = torch.linalg.eigh(covariance)[1][-lines:].T
    return _cycles(_turn(E[:-1], E[1:])).sort().values


def _hermitian_eigenvalues(covariance, lines):
    def frequencies(E):
        return torch.linalg.eigvalsh(_turn(E[:-1], E[1:])).to(E.dtype).angle() / TWO_PI

    return _of_signal_subspace(covariance, lines, frequencies)


def _entries_of_the_turn(covariance, lines):
    return _of_signal_subspace(covariance, lines, lambda E: _turn(E[:-1], E[1:]).diagonal().angle() / TWO_PI)


def _singular_values(covariance, lines):
    return _of_signal_subspace(covariance, lines, lambda E: torch.linalg.svdvals(_turn(E[:-1], E[1:])))


def _eigenvalues_themselves(covariance, lines):
    E = _split(covariance, lines)[1]
    return torch.linalg.eigvals(_turn(E[:-1], E[1:]))


def _magnitudes_of_eigenvalues(covariance, lines):
    return _of_signal_subspace(covariance, lines, lambda E: torch.linalg.eigvals(_turn(E[:-1], E[1:])).abs())


def _imaginary_parts(covariance, lines):
    return _of_signal_subspace(covariance, lines, lambda E: torch.linalg.eigvals(_turn(E[:-1], E[1:])).imag / TWO_PI)


def _covariance_turned(covariance, lines):
    """The rotation of the covariance itself, noise and all, and its strongest eigenvalues."""
    values = torch.linalg.eigvals(torch.linalg.lstsq(covariance[:-1, :-1], covariance[1:, :-1]).solution)
    return (values[values.abs().topk(lines).indices].angle() / TWO_PI).sort().values


def _solution_forgotten(covariance, lines):
    E = _split(covariance, lines)[1]
    return torch.linalg.eigvals(torch.linalg.lstsq(E[:-1], E[1:]))  # stops: a tuple of four


def _solved_as_square(covariance, lines):
    E = _split(covariance, lines)[1]
    return _cycles(torch.linalg.solve(E[:-1], E[1:]))  # stops: not square


def _inverted_as_square(covariance, lines):
    E = _split(covariance, lines)[1]
    return _cycles(torch.linalg.inv(E[:-1]) @ E[1:])  # stops: not square


def _known_frequencies(lines):
    return -0.43 + 0.83 * np.arange(lines) / lines + 0.01 * np.arange(lines) ** 2 / lines


def _exact_covariance(covariance, lines):
    """Also with a line whose eigenvalue is small beside the others."""
    a = _exponentials(torch.tensor(_known_frequencies(lines), dtype=torch.float32), len(covariance)).T
    weak = torch.ones(lines)
    weak[0] = 0.2
    white = torch.eye(len(covariance))
    return [(a @ a.mH + 0.2 * white, lines), ((weak * a) @ (weak * a).mH + 0.01 * white, lines)]


def _found_exactly(calls, values):
    wanted = _known_frequencies(calls[0][1])
    for value, which in zip(values, ("lines of one strength", "a line that is five times as weak"), strict=True):
        found = np.sort(value.ravel())
        if found.shape != wanted.shape or not np.abs(found - wanted).max() < 1e-4:
            shown = ["  ".join(f"{v:.5f}" for v in row) for row in (found, wanted)]
            return f"with {which} it finds {shown[0]} in place of {shown[1]}"
    return None


def _turned_up(covariance, lines):
    return [(covariance, lines), (_modulated(covariance, 0.05), lines)]


def _all_go_up(calls, values):
    off = np.abs(np.sort(values[1]) - np.sort(values[0]) - 0.05).max()
    return None if off < 1e-3 else f"one of them is off by {off:.3g}"


def _as_it_is(covariance, lines):
    return [(covariance, lines)]


def _in_order(calls, values):
    f = values[0]
    if f.shape != (calls[0][1],):
        return f"there are {f.shape} of them in place of ({calls[0][1]},)"
    if (np.abs(f) > 0.5).any():
        return f"one of them is {f[np.argmax(np.abs(f))]:.3f}"
    return None if (np.diff(f) > 0).all() else f"they are {'  '.join(f'{v:.3f}' for v in f)}"


esprit = Exercise(
    number=5,
    function="esprit",
    title="ESPRIT",
    minutes=13,
    value_points=2,
    takes={
        "covariance": "complex64 (window, window), Hermitian",
        "lines": "a whole number: how many lines, fewer than window",
    },
    returns="float32 (lines,): frequencies in cycles per sample, from −1/2 to 1/2, ascending",
    draw=_draw_esprit,
    reference=_esprit,
    answers=("course_lib.classical.subspace.esprit",),
    also_right=(_total_least_squares,),
    mistakes=(
        Mistake(
            _angles,
            "you give angles in another unit: the angle of an eigenvalue is 2π times the frequency in cycles, so "
            "divide it by 2π (with parentheses: `/ 2 * torch.pi` multiplies by π)",
            also=(_over_pi, _in_degrees, _half_times_pi),
        ),
        Mistake(
            _turned_back,
            "your frequencies have the other sign: U₁ Φ = U₂ with U₁ all rows but the last, and U₂ all but the first, "
            "and without a conjugate",
            also=(_turned_back_in_order,),
        ),
        Mistake(
            _noise_turned,
            "this is not the signal subspace: `eigh` gives the smallest eigenvalues first, so it is "
            "`vectors[:, -lines:]`",
            also=(partial(_noise_turned, which=lambda v, lines: v[:, lines:]),
                  partial(_noise_turned, which=lambda v, lines: v[:, :-lines])),
        ),
        Mistake(
            _not_sorted,
            "your frequencies are right, but not ascending: `.sort().values` at the end",
            also=(_as_eigvals_gives_them,),
        ),
        Mistake(_sort_itself, "`.sort()` gives the values and where they were: take `.sort().values`"),
        Mistake(
            _eigenvalues_sorted,
            "complex numbers have no order: take the angles of the eigenvalues first, and sort those",
        ),
        Mistake(
            _from_zero_to_one_cycles,
            "your frequencies run from 0 to 1: here they run from −1/2 to 1/2, as `angle()` gives them",
        ),
        Mistake(
            _product_for_least_squares,
            "U₁ᴴU₂ alone is not the solution: U₁ has lost a row, so its columns are no longer orthonormal; solve U₁Φ "
            "= U₂ by least squares",
        ),
        Mistake(
            _whole_products,
            "a conjugate is missing in your normal equations: Φ = (U₁ᴴU₁)⁻¹ U₁ᴴU₂ with `.mH`, not `.T`",
        ),
        Mistake(
            _few_rows,
            "you use as many rows as there are lines: all of them, by least squares, or noise decides",
        ),
        Mistake(
            _two_samples_on,
            "your two parts lie two samples apart: drop one row at each end, `[:-1]` and `[1:]`",
        ),
        Mistake(
            _rows_of_eigenvectors,
            "you take rows of the eigenvectors' matrix: the vectors are its *columns*, `vectors[:, -lines:]`",
        ),
        Mistake(
            _hermitian_eigenvalues,
            "`eigvalsh` and `eigh` are for Hermitian matrices, and Φ is none: `torch.linalg.eigvals`",
        ),
        Mistake(
            _entries_of_the_turn,
            "you read the diagonal of Φ: its frequencies are in its eigenvalues, `torch.linalg.eigvals`",
        ),
        Mistake(
            _singular_values,
            "you take singular values, which are real: the *eigenvalues* of Φ turn by 2πf",
        ),
        Mistake(
            _eigenvalues_themselves,
            "you give the eigenvalues: they are exp(2πi f), so take `.angle() / (2 * torch.pi)`",
        ),
        Mistake(
            _magnitudes_of_eigenvalues,
            "you take the magnitudes of the eigenvalues, which are near 1: the frequency is in their angle",
        ),
        Mistake(
            _imaginary_parts,
            "you take the imaginary parts of the eigenvalues: the frequency is in their angle, `.angle()`",
        ),
        Mistake(
            _covariance_turned,
            "you turn the covariance itself, noise and all: the eigenvectors of its largest eigenvalues come first",
        ),
        Mistake(
            _solution_forgotten,
            "`torch.linalg.lstsq` gives several things: what solves the equations is its `.solution`",
        ),
        Mistake(
            _solved_as_square,
            "`solve` and `inv` take square matrices, and U₁ has more rows than columns: `torch.linalg.lstsq(U1, "
            "U2).solution`, or `torch.linalg.pinv(U1) @ U2`",
            also=(_inverted_as_square,),
        ),
    ),
    properties=(
        Property(
            "exact", "With the exact covariance of known lines and white noise, the frequencies should be exact.",
            _exact_covariance, _found_exactly,
        ),
        Property(
            "moved up", "All frequencies raised by 0.05 cycles per sample should be found 0.05 higher.",
            _turned_up, _all_go_up,
        ),
        Property(
            "ascending", "The frequencies should lie between −1/2 and 1/2 and ascend.", _as_it_is, _in_order,
        ),
    ),
    hints=(
        "For one line the signal subspace is a(f): what do you multiply its rows but the last by, to get its rows but "
        "the first?",
        "`vectors = torch.linalg.eigh(covariance).eigenvectors`, `U = vectors[:, -lines:]`, and Φ solves `U[:-1] @ Phi "
        "= U[1:]` by least squares: "
        "`torch.linalg.lstsq(U[:-1], U[1:]).solution`.",
        "`torch.linalg.eigvals(Phi).angle() / (2 * torch.pi)`, and `.sort().values` of that.",
    ),
    tolerance=3e-4,
)  # fmt: skip


# --- 6. the representation that a network learns ------------------------------------------------------

PICTURES = ((3, 4, 10, 60), (2, 3, 12, 101), (4, 3, 16, 80))  # signals, lines, samples, points


def _draw_lines(generator: torch.Generator, index: int) -> Arguments:
    """Lines near both ends of the circle, and pairs so close that their bumps overlap; some rows are not full."""
    batch, lines, samples, _ = PICTURES[index]
    f = _between(generator, -0.4, 0.4, batch, lines)
    f[0, 0] = -0.5 + _between(generator, 0.05, 0.2) / samples
    f[1, 0] = 0.5 - _between(generator, 0.05, 0.2) / samples
    f[:, 1] = _between(generator, -0.3, 0.3, batch)
    f[:, 2] = f[:, 1] + _between(generator, 0.3, 0.5, batch) / samples
    f = f.sort(dim=1).values
    f[0 if index == 1 else -1, -1] = math.nan
    return f, samples, PICTURES[index][3]


def _round_the_circle(d):
    return d - d.round()


def _bumps(frequencies, samples, points, *, distance=_round_the_circle, bump=None, grid=None, width=0.3, join=None):
    """The bumps of all lines on the grid, added up; each part may be another one."""
    u = _grid(points) if grid is None else grid
    d = distance(u - frequencies[:, :, None])
    w = width if callable(width) else (lambda samples, points: width / samples)
    shape = bump or (lambda d, w: torch.exp(-((d / w) ** 2)))
    return (join or (lambda b: b.nansum(dim=1)))(shape(d, w(samples, points)))


def _representation(frequencies, samples, points):
    """The lab's reference: Σ_j exp(−d(u, f_j)²/w²) with w = 0.3/N, d on the circle."""
    return _bumps(frequencies, samples, points)


def _not_round_the_circle(frequencies, samples, points):
    return _bumps(frequencies, samples, points, distance=torch.abs)


def _one_side_lost(frequencies, samples, points, by=1):
    return _bumps(frequencies, samples, points, distance=lambda d: torch.minimum(d.abs(), (d + by).abs()))


def _remainder_alone(frequencies, samples, points):
    return _bumps(frequencies, samples, points, distance=lambda d: d % 1)


def _two_in_the_denominator(frequencies, samples, points):
    return _bumps(frequencies, samples, points, bump=lambda d, w: torch.exp(-(d**2) / (2 * w**2)))


def _other_exponent(frequencies, samples, points, bump=lambda d, w: torch.exp(-d.abs() / w)):
    return _bumps(frequencies, samples, points, bump=bump)


def _width_not_squared(frequencies, samples, points):
    return _bumps(frequencies, samples, points, bump=lambda d, w: torch.exp(-(d**2) / w))


def _parentheses_of_width(frequencies, samples, points, power=1):
    return _bumps(frequencies, samples, points, bump=lambda d, w: torch.exp(-(d**2) / 0.3 / samples**power))


def _highest_bump(frequencies, samples, points):
    return _bumps(frequencies, samples, points, join=lambda b: b.nan_to_num(0).amax(dim=1))


def _mean_of_bumps(frequencies, samples, points, of=torch.Tensor.nanmean):
    return _bumps(frequencies, samples, points, join=lambda b: of(b, dim=1))


def _product_of_bumps(frequencies, samples, points):
    return _bumps(frequencies, samples, points, join=lambda b: b.nan_to_num(1).prod(dim=1))


def _clipped(frequencies, samples, points):
    return _representation(frequencies, samples, points).clamp(max=1)


def _highest_is_one(frequencies, samples, points):
    r = _representation(frequencies, samples, points)
    return r / r.amax(dim=1, keepdim=True)


def _area_one(frequencies, samples, points, factor=lambda w: 1 / (w * math.sqrt(math.pi))):
    return _representation(frequencies, samples, points) * factor(0.3 / samples)


def _area_of_row_one(frequencies, samples, points):
    r = _representation(frequencies, samples, points)
    return r / r.sum(dim=1, keepdim=True)


def _width_of_a_bin(frequencies, samples, points):
    return _bumps(frequencies, samples, points, width=1.0)


def _width_not_over_samples(frequencies, samples, points, width=lambda samples, points: 0.3):
    return _bumps(frequencies, samples, points, width=width)


def _absent_at_zero(frequencies, samples, points):
    return _representation(frequencies.nan_to_num(0), samples, points)


def _absent_at_an_end(frequencies, samples, points):
    return _representation(frequencies.nan_to_num(-0.5), samples, points)


def _absent_everywhere(frequencies, samples, points):
    return _bumps(frequencies, samples, points, join=lambda b: b.nan_to_num(1).sum(dim=1))


def _row_of_nothing(frequencies, samples, points):
    """A sum that is NaN, and NaN made 0: the whole row is lost."""
    return _bumps(frequencies, samples, points, join=lambda b: b.sum(dim=1).nan_to_num(0))


def _grid_with_both_ends(frequencies, samples, points):
    return _bumps(frequencies, samples, points, grid=torch.linspace(-0.5, 0.5, points))


def _grid_from_zero(frequencies, samples, points):
    return _bumps(frequencies, samples, points, grid=torch.arange(points) / points)


def _middle_of_cells(frequencies, samples, points):
    return _bumps(frequencies, samples, points, grid=_grid(points) + 0.5 / points)


def _spikes(frequencies, samples, points):
    place = ((frequencies + 0.5) * points).round().nan_to_num(-1).long()
    marks = torch.nn.functional.one_hot(place % points, points) * (place >= 0)[..., None]
    return marks.sum(dim=1).clamp(max=1).float()


def _in_circles(frequencies, samples, points):
    return _bumps(frequencies, samples, points, distance=lambda d: TWO_PI * _round_the_circle(d))


def _rolled_up(frequencies, samples, points):
    return [
        (frequencies, samples, points), (_wrap(frequencies + 7 / points).sort(dim=1).values, samples, points)
    ]  # fmt: skip


def _rolls_by_seven(calls, values):
    off = off_by(values[1], np.roll(values[0], 7, axis=1))
    return None if off < 1e-3 else f"it is off by up to {100 * off:.2g} % of its largest value"


def _line_by_line(frequencies, samples, points):
    return [(frequencies, samples, points), *((f[:, None], samples, points) for f in frequencies.T)]


def _adds_up(calls, values):
    off = off_by(values[0], sum(values[1:]))
    return None if off < 1e-3 else f"the whole differs from the sum of its lines by up to {100 * off:.0f} %"


def _lines_on_the_grid(frequencies, samples, points):
    """One on the grid at the beginning of the circle, and its width is four grid steps."""
    f = torch.tensor([[-0.5], [-0.5 + (points // 2) / points]])
    return [(f, samples, 2 * round(10 * samples / 3 * 2))]


def _falls_as_it_should(calls, values):
    _, samples, points = calls[0]
    found = [float(values[0][0, k]) for k in (0, 4, -4)]
    wanted = [math.exp(-((4 * on / points * samples / 0.3) ** 2)) for on in (0, 1, 1)]
    if np.allclose(found, wanted, rtol=1e-3):
        return None
    shown = [", ".join(f"{v:.3g}" for v in row) for row in (found, wanted)]
    return f"a line at −1/2 has {shown[0]} there and four points before and after, not {shown[1]}"


representation = Exercise(
    number=6,
    function="representation",
    title="a picture of the lines",
    minutes=10,
    value_points=2,
    takes={
        "frequencies": "float32 (batch, lines), in cycles per sample; NaN where a signal has fewer lines",
        "samples": "a whole number: N, how many samples a signal has",
        "points": "a whole number: how many frequencies",
    },
    returns="float32 (batch, points): the sum of all bumps at the frequencies −1/2 + k/points",
    draw=_draw_lines,
    reference=_representation,
    answers=("course_lib.training.frequency_labels.frequency_labels",),
    mistakes=(
        Mistake(
            _not_round_the_circle,
            "your distance does not go round the circle: −1/2 and 1/2 are one frequency, so take d − round(d)",
        ),
        Mistake(
            _one_side_lost,
            "your distance goes round on one side alone: of d, d + 1 and d − 1 the nearest to 0, or d − round(d)",
            also=(partial(_one_side_lost, by=-1), _remainder_alone),
        ),
        Mistake(
            _two_in_the_denominator,
            "your exponent is −d²/(2w²): here the bump is exp(−d²/w²), without the 2",
        ),
        Mistake(
            _other_exponent,
            "your bump is another one: exp(−(d/w)²), with a minus, and d/w squared as a whole",
            also=(
                partial(_other_exponent, bump=lambda d, w: torch.exp(-2 * (d / w) ** 2)),
                partial(_other_exponent, bump=lambda d, w: torch.exp(-((d / (2 * w)) ** 2))),
                partial(_other_exponent, bump=lambda d, w: 1 / (1 + (d / w) ** 2)),
            ),
        ),
        Mistake(_width_not_squared, "the width is not squared: exp(−d²/w²) is the same as exp(−(d/w)²)"),
        Mistake(
            _parentheses_of_width,
            "parentheses are missing: `d**2 / 0.3 / samples` divides by N, where the width 0.3/N is what is divided "
            "by; `(d / (0.3 / samples)) ** 2`",
            also=(partial(_parentheses_of_width, power=2),),
        ),
        Mistake(
            _highest_bump,
            "you take the highest bump where bumps overlap: here they add up",
        ),
        Mistake(
            _mean_of_bumps,
            "you take the mean over the lines: they add up, or a bump would be lower the more lines there are",
            also=(partial(_mean_of_bumps, of=lambda b, dim: b.nan_to_num(0).mean(dim=dim)),),
        ),
        Mistake(_product_of_bumps, "you multiply the bumps: they add up, so a sum over the lines"),
        Mistake(_clipped, "you cut the sum off at 1: where bumps overlap it may be more"),
        Mistake(
            _highest_is_one,
            "you divide by the largest value: a bump is 1 high as it stands, and where two overlap the sum may be more",
        ),
        Mistake(
            _area_one,
            "your bump has the area 1: it is to have the height 1, so no factor before exp",
            also=(
                partial(_area_one, factor=lambda w: 1 / (w * math.sqrt(TWO_PI))), _area_of_row_one,
            ),
        ),
        Mistake(
            _width_not_over_samples,
            "your width is another one, or does not go with N: it is 0.3/N, three tenths of what the periodogram "
            "resolves",
            also=(
                partial(_width_not_over_samples, width=lambda samples, points: 0.3 / points), _width_of_a_bin,
                partial(_width_not_over_samples, width=lambda samples, points: 0.3 * samples / points),
            ),
        ),
        Mistake(
            _absent_at_zero,
            "you draw absent lines at 0: NaN means that there is none, so make their *bumps* 0, not their frequencies",
            also=(_absent_at_an_end,),
        ),
        Mistake(
            _absent_everywhere,
            "an absent line adds 1 everywhere in your picture: it adds nothing, so its bump is 0",
        ),
        Mistake(
            _row_of_nothing,
            "a NaN spreads over the whole sum, and you lose all lines of that signal: make the bumps 0 *before* the "
            "sum, or `nansum`",
        ),
        Mistake(
            _grid_with_both_ends,
            "your grid holds −1/2 and 1/2, which are one frequency: −1/2 + k/points ends one step before 1/2",
        ),
        Mistake(_grid_from_zero, "your grid begins at 0: it is −1/2 + k/points, so it begins at −1/2"),
        Mistake(_middle_of_cells, "your grid lies half a step aside: −1/2 + k/points for k = 0, 1, 2, …"),
        Mistake(_spikes, "you mark the nearest grid point: where between two of them a line lies is what a bump keeps"),
        Mistake(_in_circles, "a factor 2π is too many: distances are in cycles per sample here"),
    ),
    properties=(
        Property(
            "round the circle", "Seven grid steps more for all frequencies should move the picture round by seven.",
            _rolled_up, _rolls_by_seven,
        ),
        Property(
            "adds up", "The picture should be the sum of the pictures of single lines, and absent ones add nothing.",
            _line_by_line, _adds_up,
        ),
        Property(
            "width", "A bump should be 1 high at its line, and exp(−d²/w²) at the distance d, on both sides.",
            _lines_on_the_grid, _falls_as_it_should,
        ),
    ),
    hints=(
        "`u = -0.5 + torch.arange(points) / points` is the grid, and `d = u - frequencies[:, :, None]` has the shape "
        "(batch, lines, points). Which of d, d + 1, d − 1 is the distance on the circle?",
        "The one nearest to 0, which is `d - d.round()`. Then the bumps, `torch.exp(-(d / w) ** 2)` with w = "
        "0.3/samples.",
        "The bump of a NaN is NaN, and `bumps.nansum(dim=1)` leaves it out.",
    ),
    tolerance=3e-4,
)  # fmt: skip


# --- 7. from a picture to frequencies -----------------------------------------------------------------

MOUNTAINS = ((4, 48), (5, 61), (3, 40))  # lines, points
SUMMITS = 7


def _draw_peaks(generator: torch.Generator, index: int) -> Arguments:
    """Seven summits of different heights; one of the highest lies a little before −1/2.

    In case 1 its grid point is the circle's last one, in the others the first.
    """
    lines, points = MOUNTAINS[index]
    places = torch.arange(SUMMITS) / SUMMITS + _between(generator, -0.2, 0.2, SUMMITS) / SUMMITS - 0.5
    places[0] = -0.5 - (_between(generator, 0.15, 0.4) + 0.45 * (index == 1)) / points
    heights = torch.cat([torch.tensor([0.85]), 0.2 + 0.15 * torch.randperm(SUMMITS - 1, generator=generator)])
    heights = heights + _between(generator, 0, 0.04, SUMMITS)
    d = _round_the_circle(_grid(points)[:, None] - places)
    return (heights * torch.exp(-((d * points / 1.9) ** 2))).sum(dim=1) + 0.05, lines


def _summits(spectrum):
    return (spectrum > spectrum.roll(1)) & (spectrum > spectrum.roll(-1))


def _top(spectrum, place):
    """How far the parabola's top lies from its middle point, in grid steps."""
    before, here, after = (spectrum[(place + k) % len(spectrum)] for k in (-1, 0, 1))
    return (before - after) / (2 * (before - 2 * here + after))


def _highest(values, count):
    return values.topk(count).indices


def _lowest(values, count):
    return values.topk(count, largest=False).indices


def _ascending(frequencies):
    return frequencies.sort().values


def _of_summits(spectrum, lines, *, among=_summits, choose=_highest, offset=_top, finish=_wrap, order=_ascending):
    """The chain of the lab's reference: maxima, the highest of them, offset, frequency, order."""
    candidates = among(spectrum).nonzero()[:, 0]
    chosen = candidates[choose(spectrum[candidates], lines)]
    return order(finish(-0.5 + (chosen + offset(spectrum, chosen)) / len(spectrum)))


def _peaks(spectrum, lines):
    """The lab's reference: the highest local maxima on the circle, each moved to the top of its parabola."""
    return _of_summits(spectrum, lines)


def _highest_points(spectrum, lines, offset=_top):
    return _of_summits(spectrum, lines, among=torch.ones_like, offset=offset)


def _on_the_grid_alone(spectrum, lines):
    return _of_summits(spectrum, lines, offset=lambda spectrum, place: 0)


def _offset_backwards(spectrum, lines):
    return _of_summits(spectrum, lines, offset=lambda spectrum, place: -_top(spectrum, place))


def _offset_without_half(spectrum, lines, factor=2.0):
    return _of_summits(spectrum, lines, offset=lambda spectrum, place: factor * _top(spectrum, place))


def _offset_in_cycles(spectrum, lines):
    return _of_summits(spectrum, lines, offset=lambda spectrum, place: _top(spectrum, place) * len(spectrum))


def _offset_over_square(spectrum, lines):
    return _of_summits(spectrum, lines, offset=lambda spectrum, place: _top(spectrum, place) / len(spectrum))


def _parentheses_of_offset(spectrum, lines):
    def offset(spectrum, place):
        before, here, after = (spectrum[(place + k) % len(spectrum)] for k in (-1, 0, 1))
        return (before - after) / 2 * (before - 2 * here + after)

    return _of_summits(spectrum, lines, offset=offset)


def _beyond_the_end(spectrum, lines):
    def offset(spectrum, place):
        before, here, after = spectrum[place - 1], spectrum[place], spectrum[place + 1]  # stops: no such point
        return (before - after) / (2 * (before - 2 * here + after))

    return _of_summits(spectrum, lines, offset=offset)


def _places_in_the_list(spectrum, lines):
    """The highest of the maxima, by their numbers among the maxima."""
    place = spectrum[_summits(spectrum)].topk(lines).indices
    return _wrap(-0.5 + (place + _top(spectrum, place)) / len(spectrum)).sort().values


def _peaks_and_indices(spectrum, lines):
    return _peaks(spectrum, lines).sort()


def _centre_of_mass(spectrum, lines):
    def offset(spectrum, place):
        before, here, after = (spectrum[(place + k) % len(spectrum)] for k in (-1, 0, 1))
        return (after - before) / (before + here + after)

    return _of_summits(spectrum, lines, offset=offset)


def _of_logarithms(spectrum, lines):
    return _of_summits(spectrum, lines, offset=lambda spectrum, place: _top(spectrum.log(), place))


def _of_squares(spectrum, lines):
    return _of_summits(spectrum, lines, offset=lambda spectrum, place: _top(spectrum.square(), place))


def _inner_summits(spectrum):
    summits = _summits(spectrum)
    summits[0] = summits[-1] = False
    return summits


def _ends_left_out(spectrum, lines, offset=_top):
    return _of_summits(spectrum, lines, among=_inner_summits, offset=offset)


def _place_in_the_middle(spectrum, lines):
    """Compared as `spectrum[1:-1]`, and counted from its beginning."""
    return _of_summits(spectrum, lines, among=_inner_summits, offset=lambda spectrum, place: _top(spectrum, place) - 1)


def _ends_not_refined(spectrum, lines):
    def offset(spectrum, place):
        return torch.where((place == 0) | (place == len(spectrum) - 1), 0.0, _top(spectrum, place))

    return _of_summits(spectrum, lines, offset=offset)


def _not_brought_back(spectrum, lines):
    return _of_summits(spectrum, lines, finish=lambda f: f)


def _cut_off_at_the_end(spectrum, lines):
    return _of_summits(spectrum, lines, finish=lambda f: f.clamp(min=-0.5))


def _sorted_before_brought_back(spectrum, lines):
    return _wrap(_of_summits(spectrum, lines, finish=lambda f: f))


def _in_order_of_height(spectrum, lines, order=lambda f: f):
    return _of_summits(spectrum, lines, order=order)


def _lowest_summits(spectrum, lines):
    return _of_summits(spectrum, lines, choose=_lowest)


def _first_summits(spectrum, lines, last=False):
    def choose(values, count):
        return torch.arange(len(values))[-count:] if last else torch.arange(count)

    return _of_summits(spectrum, lines, choose=choose)


def _valleys(spectrum, lines):
    return _of_summits(spectrum, lines, among=lambda s: _summits(-s), choose=_lowest)


def _one_neighbour(spectrum, lines, side=1):
    return _of_summits(spectrum, lines, among=lambda s: s > s.roll(side))


def _grid_point_from_zero(spectrum, lines):
    return _of_summits(spectrum, lines, finish=lambda f: f + 0.5)


def _frequencies_of_fft(spectrum, lines):
    return _of_summits(spectrum, lines, finish=lambda f: _wrap(f + 0.5))


def _grid_to_both_ends(spectrum, lines):
    points = len(spectrum)
    return _of_summits(spectrum, lines, finish=lambda f: _wrap(-0.5 + (f + 0.5) * points / (points - 1)))


def _places_themselves(spectrum, lines):
    return _of_summits(spectrum, lines, finish=lambda f: (f + 0.5) * len(spectrum))


def _as_places_on_grid(spectrum, lines):
    place = _of_summits(spectrum, lines, offset=lambda s, p: 0, finish=lambda f: (f + 0.5) * len(spectrum))
    return place.round().long()


def _half_the_heights(spectrum, lines):
    return [(spectrum, lines), (2 * spectrum + 0.3, lines), (spectrum - 3, lines)]


def _stay_where_they_are(calls, values):
    off = max(float(np.abs(moved - values[0]).max()) for moved in values[1:])
    return None if off < 1e-4 else f"one of them moved by {off:.3g} cycles per sample"


def _rolled_spectrum(spectrum, lines):
    return [(spectrum, lines), (spectrum.roll(len(spectrum) // 3), lines)]


def _go_round(calls, values):
    spectrum, lines = calls[0]
    moved = values[0] + (len(spectrum) // 3) / len(spectrum)
    wanted = np.sort(moved - np.floor(moved + 0.5))
    off = float(np.abs(values[1] - wanted).max())
    if off < 1e-4 and values[0].shape == (lines,) and (np.diff(values[0]) > 0).all():
        return None
    shown = ["  ".join(f"{v:.3f}" for v in np.atleast_1d(row)) for row in (values[1], wanted)]
    return f"it gives {shown[0]} in place of {shown[1]}"


def _true_parabolas(spectrum, lines):
    points = len(spectrum)
    k = torch.arange(points, dtype=torch.float32)
    hills = [
        (height - (k - top) ** 2 / 4).clamp(min=0) for height, top in ((3.0, points / 3 + 0.21), (5, points / 2 + 3.4))
    ]
    low = torch.zeros(points)
    for top, height in ((7, 1.0), (17, 0.05), (19, 0.045), (29, 0.01)):
        low[top - 1 : top + 2] += height * torch.tensor([0.5, 1.0, 0.4])
    return [(hills[0] + hills[1], 2), (low, 4)]


def _tops_of_parabolas(calls, values):
    points = len(calls[0][0])
    wanted_of = (-0.5 + np.array([points / 3 + 0.21, points / 2 + 3.4]) / points, _peaks(*calls[1]).numpy())
    cases = ("", "with maxima of 100, 5, 4.5 and 1 %, two of them two points apart, ")
    for (spectrum, lines), value, wanted, which in zip(calls, values, wanted_of, cases, strict=True):
        if np.shape(value) != (lines,):
            return f"{which}it gives {np.size(value)} values in place of {lines}"
        off = float(np.abs(np.sort(value) - wanted).max()) * len(spectrum)
        if not off < 1e-2:
            return f"{which}one of them is off by {off:.2g} grid steps"
    return None


peaks = Exercise(
    number=7,
    function="peaks",
    title="from a picture to frequencies",
    minutes=13,
    value_points=2,
    takes={
        "spectrum": "float32 (points,): values at the frequencies −1/2 + k/points, a circle",
        "lines": "a whole number: how many of the highest local maxima; there are that many",
    },
    returns="float32 (lines,): frequencies in cycles per sample, in [−1/2, 1/2), ascending",
    draw=_draw_peaks,
    reference=_peaks,
    answers=("course_lib.classical.periodogram.spectrum_peaks",),
    mistakes=(
        Mistake(
            _highest_points,
            "you take the highest *points*, or compare with one neighbour alone, so slopes of a high maximum are among "
            "them: first those that are above both neighbours, joined by `&`, then the highest of these",
            also=(
                partial(_highest_points, offset=lambda spectrum, place: 0), _one_neighbour,
                partial(_one_neighbour, side=-1),
            ),
        ),
        Mistake(
            _on_the_grid_alone,
            "you give grid points: move each to the top of the parabola through it and its two neighbours",
        ),
        Mistake(
            _offset_backwards,
            "your parabola's top lies on the wrong side: it leans to the higher neighbour, (p − r)/(2(p − 2q + r))",
        ),
        Mistake(
            _offset_without_half,
            "your offset is twice or half of what it should be: (p − r)/(2(p − 2q + r)), p and r before and after",
            also=(partial(_offset_without_half, factor=0.5),),
        ),
        Mistake(
            _offset_in_cycles,
            "you add the offset to the frequency as it is: it counts grid steps, so divide it by `points`",
        ),
        Mistake(_offset_over_square, "you divide the offset by `points` twice: (k + offset)/points − 1/2"),
        Mistake(
            _parentheses_of_offset,
            "parentheses are missing: (p − r)/(2·(p − 2q + r)) has the whole product below the line",
        ),
        Mistake(
            _beyond_the_end,
            "the point after the last one is the first: `(place + 1) % len(spectrum)`, or take it from "
            "`spectrum.roll(-1)`",
        ),
        Mistake(
            _places_in_the_list,
            "`topk` of the maxima gives numbers in *their* list: look up which grid points these are, "
            "`maxima.nonzero()[:, 0][...]`",
        ),
        Mistake(_peaks_and_indices, "`.sort()` gives the values and where they were: take `.sort().values`"),
        Mistake(
            _centre_of_mass,
            "you take the centre of mass of three points: the top of the parabola through them is wanted",
        ),
        Mistake(
            _of_logarithms,
            "your parabola goes through other values: take the spectrum itself, without a logarithm or square",
            also=(_of_squares,),
        ),
        Mistake(
            _ends_left_out,
            "you leave out the ends: on a circle the first point and the last are neighbours, `.roll(1)` and "
            "`.roll(-1)`",
            also=(partial(_ends_left_out, offset=lambda spectrum, place: 0), _place_in_the_middle),
        ),
        Mistake(
            _ends_not_refined,
            "a maximum at an end is not moved, or cut off there: its parabola goes through the point on the other "
            "side, `% points`, and a little before −1/2 is a little below 1/2",
            also=(_cut_off_at_the_end,),
        ),
        Mistake(
            _not_brought_back,
            "a frequency of yours is below −1/2: on the circle it lies just below 1/2, so bring it back, and sort then",
        ),
        Mistake(
            _sorted_before_brought_back,
            "you sort too early: bring frequencies back to [−1/2, 1/2) first, and sort then",
        ),
        Mistake(
            _in_order_of_height,
            "your frequencies are in order of height, or descending: sort them, `.sort().values`",
            also=(
                partial(_in_order_of_height, order=lambda f: f.flip(0)),
                partial(_in_order_of_height, order=lambda f: f.sort(descending=True).values),
            ),
        ),
        Mistake(
            _lowest_summits,
            "you take the lowest of the maxima: `topk` gives the largest, and `argsort` the smallest first",
        ),
        Mistake(
            _first_summits,
            "you take maxima in the order of their frequencies: the *highest* are wanted",
            also=(partial(_first_summits, last=True),),
        ),
        Mistake(_valleys, "you look for minima: a local maximum is *above* both neighbours"),
        Mistake(
            _grid_point_from_zero,
            "your grid begins at 0: point k stands for −1/2 + k/points",
            also=(_frequencies_of_fft,),
        ),
        Mistake(
            _grid_to_both_ends,
            "you divide by points − 1: the grid is −1/2 + k/points, and ends one step before 1/2",
        ),
        Mistake(
            _places_themselves,
            "you give places on the grid: point k stands for the frequency −1/2 + k/points",
            also=(_as_places_on_grid,),
        ),
    ),
    properties=(
        Property(
            "parabolas", "The tops of parabolas should be found exactly, also those of low maxima close together.",
            _true_parabolas, _tops_of_parabolas,
        ),
        Property(
            "round the circle",
            "A spectrum that is moved round by a third should give frequencies moved by a third, and "
            "ascending ones.", _rolled_spectrum, _go_round,
        ),
        Property(
            "any height",
            "Twice the spectrum and 0.3 more, or 3 less (all negative), should give the same frequencies.",
            _half_the_heights, _stay_where_they_are,
        ),
    ),
    hints=(
        "`before, after = spectrum.roll(1), spectrum.roll(-1)` are the two neighbours of every point at once, round "
        "the circle.",
        "`maxima = (spectrum > before) & (spectrum > after)`, and `spectrum.masked_fill(~maxima, -torch.inf)"
        ".topk(lines).indices` are the places of the highest.",
        "With p, q, r the values before, at and after a maximum, its top lies (p − r)/(2(p − 2q + r)) grid steps "
        "further, and a step is 1/points. At the maxima p is `before[place]`. Bring back with `f - (f + 0.5).floor()`, "
        "and sort after that.",
    ),
)  # fmt: skip


# --- 8. what is missed --------------------------------------------------------------------------------

ANSWERS = ((8, 4, 4, 10), (9, 3, 5, 20), (7, 5, 3, 16))  # signals, true lines, estimates, samples


def _draw_answers(generator: torch.Generator, index: int) -> Arguments:
    """Estimates that are right, somewhat off, wrong and absent, on both sides of the circle's end.

    The first signal has a line that is found round the end. In the second, one estimate is near two lines, and a line
    is absent. The third has no estimate at all, and a line near 0. The fourth has
    fewer lines and estimates, in the fifth all is found, and the others are a mixture.
    """
    signals, lines, found, samples = ANSWERS[index]
    truth = torch.arange(lines) / lines - 0.38 + _between(generator, 0, 0.1, signals, lines) / lines
    columns = torch.arange(found) % lines
    sign = 2.0 * torch.randint(2, (signals, found), generator=generator) - 1
    size = torch.where(torch.rand(signals, found, generator=generator) < 0.5, 0.3, 0.8)
    estimates = truth[:, columns] + sign * (size + _between(generator, -0.05, 0.05, signals, found)) / samples
    truth[5:, 1:][torch.rand(signals - 5, lines - 1, generator=generator) < 0.3] = math.nan
    estimates[4:][torch.rand(signals - 4, found, generator=generator) < 0.2] = math.nan
    truth[0, -1], estimates[0, -1] = 0.5 - 0.1 / samples, -0.5 + 0.15 / samples
    truth[1, 1] = truth[1, 0] + 0.5 / samples
    estimates[1, 0] = truth[1, 0] + 0.2 / samples
    estimates[1, 1:] = truth[1, 0] - _between(generator, 0.8, 1.2, found - 1) / samples
    truth[1, 2] = math.nan
    truth[2, truth[2].abs().argmin()] = _between(generator, -0.2, 0.2) / samples
    estimates[2] = math.nan
    estimates[3, 0] = truth[3, 0] + 0.3 / samples
    estimates[3, -1] = math.nan
    truth[4, 3:] = math.nan
    estimates[4] = truth[4, columns] + 0.3 / samples
    truth[3, 1:] = truth[3, 1:].masked_fill(torch.arange(lines - 1) > index, math.nan)
    return _wrap(estimates).sort(dim=1).values, truth.sort(dim=1).values, samples


def _apart(estimates, truth, distance=_round_the_circle):
    """|distance| of each true line from each estimate: (batch, lines, estimates), NaN where one is absent."""
    return distance(truth[:, :, None] - estimates[:, None, :]).abs()


def _missed(estimates, truth, samples, *, distance=_round_the_circle, within=0.5):
    """Which lines are missed, and which are there, both (batch, lines)."""
    nearest = _apart(estimates, truth, distance).nan_to_num(math.inf).amin(dim=2)
    there = ~truth.isnan()
    return (nearest > within / samples) & there, there


def _false_negative_rate(estimates, truth, samples):
    """The lab's reference: the mean over signals of the share of lines without an estimate within 1/(2N)."""
    missed, there = _missed(estimates, truth, samples)
    return (missed.sum(dim=1) / there.sum(dim=1)).mean()


def _rate(missed, there):
    return (missed.sum(dim=1) / there.sum(dim=1)).mean()


def _another_limit(estimates, truth, samples, within=1.0):
    return _rate(*_missed(estimates, truth, samples, within=within))


def _limit_without_samples(estimates, truth, samples, within=0.5):
    return _rate(*_missed(estimates, truth, samples, within=within * samples))


def _not_on_the_circle(estimates, truth, samples, distance=torch.abs):
    return _rate(*_missed(estimates, truth, samples, distance=distance))


def _over_all_lines(estimates, truth, samples):
    missed, there = _missed(estimates, truth, samples)
    return missed.sum() / there.sum()


def _share_found(estimates, truth, samples):
    return 1 - _false_negative_rate(estimates, truth, samples)


def _in_percent(estimates, truth, samples):
    return 100 * _false_negative_rate(estimates, truth, samples)


def _share_of_false_estimates(estimates, truth, samples):
    missed, there = _missed(truth, estimates, samples)
    return (missed.sum(dim=1) / there.sum(dim=1).clamp(min=1)).mean()


def _least_over_lines(estimates, truth, samples):
    return (_apart(estimates, truth).nan_to_num(math.inf).amin(dim=1) > 0.5 / samples).float().mean()


def _sign_left(estimates, truth, samples):
    d = _round_the_circle(truth[:, :, None] - estimates[:, None, :]).nan_to_num(math.inf)
    there = ~truth.isnan()
    return _rate((d.amin(dim=2) > 0.5 / samples) & there, there)


def _values_forgotten(estimates, truth, samples):
    return (_apart(estimates, truth).nan_to_num(math.inf).min(dim=2) > 0.5 / samples).float().mean()  # stops: a pair


def _least_of_none(estimates, truth, samples, least=lambda d: d.min(dim=1).values):
    """Signal by signal, absent ones cut off: where there is no estimate there is no minimum."""
    rates = []
    for found, lines in zip(estimates, truth, strict=True):
        d = _round_the_circle(lines[~lines.isnan()][:, None] - found[~found.isnan()]).abs()
        rates.append((least(d) > 0.5 / samples).float().mean())
    return torch.stack(rates).mean()


def _lost_by_one_to_one(estimates, truth, samples):
    """Greedy, nearest pairs first: an estimate finds one line at most."""
    d = _apart(estimates, truth).nan_to_num(math.inf)
    shares = []
    for own, lines in zip(d, (~truth.isnan()).sum(dim=1).tolist(), strict=True):
        own, pairs = own.clone(), 0
        while own.min() <= 0.5 / samples:
            row, column = divmod(int(own.argmin()), own.shape[1])
            own[row], own[:, column], pairs = math.inf, math.inf, pairs + 1
        shares.append((lines - pairs) / lines)
    return sum(shares) / len(shares)


def _number_missing(estimates, truth, samples):
    lines, found = ((~f.isnan()).sum(dim=1) for f in (truth, estimates))
    return ((lines - found).clamp(min=0) / lines).mean()


def _place_by_place(estimates, truth, samples, rate=lambda d, limit, there: _rate(~(d <= limit) & there, there)):
    d = _round_the_circle(truth - estimates).abs()  # stops where there are not as many
    return rate(d, 0.5 / samples, ~truth.isnan())


def _nan_spreads(estimates, truth, samples):
    """The smallest of numbers with a NaN is NaN, and NaN is not greater than anything."""
    return _rate(_apart(estimates, truth).amin(dim=2) > 0.5 / samples, ~truth.isnan())


def _nan_misses(estimates, truth, samples, there_alone=True):
    """The other way round: what has a NaN among its distances is missed."""
    missed, there = ~(_apart(estimates, truth).amin(dim=2) <= 0.5 / samples), ~truth.isnan()
    return _rate(missed & there if there_alone else missed, there)


def _nan_at_zero(estimates, truth, samples, both=False):
    truth = truth.nan_to_num(0) if both else truth
    return _rate(*_missed(estimates.nan_to_num(0), truth, samples))


def _nan_spreads_over_columns(estimates, truth, samples):
    return (_apart(estimates, truth).amin(dim=2) > 0.5 / samples).float().mean()


def _distance_of_nan_zero(estimates, truth, samples):
    missed = _apart(estimates, truth).nan_to_num(0).amin(dim=2) > 0.5 / samples
    return _rate(missed, ~truth.isnan())


def _absent_lines_missed(estimates, truth, samples):
    nearest = _apart(estimates, truth).nan_to_num(math.inf).amin(dim=2)
    return (nearest > 0.5 / samples).float().mean(dim=1).mean()


def _absent_over_those_there(estimates, truth, samples):
    nearest = _apart(estimates, truth).nan_to_num(math.inf).amin(dim=2)
    return _rate(nearest > 0.5 / samples, ~truth.isnan())


def _over_all_columns(estimates, truth, samples):
    missed, _ = _missed(estimates, truth, samples)
    return missed.float().mean()


def _over_estimates(estimates, truth, samples):
    missed, _ = _missed(estimates, truth, samples)
    return (missed.sum(dim=1) / (~estimates.isnan()).sum(dim=1).clamp(min=1)).mean()


def _silent_signals_left_out(estimates, truth, samples):
    heard = ~estimates.isnan().all(dim=1)
    return _false_negative_rate(estimates[heard], truth[heard], samples)


def _silent_signals_found(estimates, truth, samples):
    heard = ~estimates.isnan().all(dim=1)
    missed, there = _missed(estimates, truth, samples)
    return _rate(missed & heard[:, None], there)


def _rate_of_each(estimates, truth, samples):
    missed, there = _missed(estimates, truth, samples)
    return missed.sum(dim=1) / there.sum(dim=1)


def _sum_of_rates(estimates, truth, samples):
    return _rate_of_each(estimates, truth, samples).sum()


def _number_missed(estimates, truth, samples, of=torch.sum):
    return of(_missed(estimates, truth, samples)[0].sum(dim=1).float())


def _any_missed(estimates, truth, samples):
    return _missed(estimates, truth, samples)[0].any(dim=1).float().mean()


def _farthest_estimate(estimates, truth, samples):
    farthest = _apart(estimates, truth).nan_to_num(-math.inf).amax(dim=2)
    there = ~truth.isnan()
    return _rate((farthest > 0.5 / samples) & there, there)


def _median_of_rates(estimates, truth, samples):
    return _rate_of_each(estimates, truth, samples).median()


def _mean_distance(estimates, truth, samples):
    nearest = _apart(estimates, truth).nan_to_num(math.inf).amin(dim=2)
    return nearest[nearest < math.inf].mean()


def _the_truth_and_nothing(estimates, truth, samples):
    near, apart = _wrap(truth + 0.48 / samples), torch.tensor([[-0.3, 0.0, 0.3], [-0.1, 0.2, math.nan]])
    return [
        (near, truth, samples), (torch.full_like(estimates, math.nan), truth, samples),
        (apart - 0.52 / samples, apart, samples),
    ]  # fmt: skip


def _all_and_none(calls, values):
    cases = ("all estimates 0.48/N aside", "no estimate", "all estimates 0.52/N aside")
    for value, said, wanted in zip(values, cases, (0, 1, 1), strict=True):
        if abs(float(value) - wanted) > 1e-4:
            return f"with {said} it is {float(value):.3g} in place of {wanted}"
    return None


def _all_moved(estimates, truth, samples):
    return [
        (estimates, truth, samples), *((_wrap(estimates + by), _wrap(truth + by), samples) for by in (0.31, -0.27))
    ]  # fmt: skip


def _stays(calls, values):
    worst = max(abs(float(v) - float(values[0])) for v in values)
    return None if worst < 1e-4 else f"it went from {float(values[0]):.3g} to another value, {worst:.3g} away"


def _each_signal(estimates, truth, samples):
    rows = [(estimates[k : k + 1], truth[k : k + 1], samples) for k in range(len(truth))]
    return [(estimates, truth, samples), *rows]


def _mean_over_signals(calls, values):
    each = [float(v) for v in values[1:]]
    wanted, found = sum(each) / len(each), float(values[0])
    if abs(found - wanted) > 1e-4:
        return f"one by one they have the mean {wanted:.3g}, and together {found:.3g}"
    silent = [v for (e, _, _), v in zip(calls[1:], each, strict=True) if e.isnan().all()]
    return None if all(abs(v - 1) < 1e-4 for v in silent) else f"a signal without any estimate has {silent[0]:.3g}"


false_negative_rate = Exercise(
    number=8,
    function="false_negative_rate",
    title="what is missed",
    minutes=12,
    value_points=2,
    takes={
        "estimates": "float32 (batch, estimates), in cycles per sample; NaN where there are fewer",
        "truth": "float32 (batch, lines), in cycles per sample; NaN where there are fewer, and at least one a signal",
        "samples": "a whole number: N, how many samples a signal has",
    },
    returns="one number from 0 to 1: the mean over the signals",
    draw=_draw_answers,
    reference=_false_negative_rate,
    answers=(
        "course_lib.metrics.lines.false_negative_rate", "course_lib.metrics.lines.match_lines",
        "course_lib.metrics.lines.missed_lines",
    ),
    mistakes=(
        Mistake(
            _another_limit,
            "your limit is another one: a line is found if an estimate lies within 1/(2N)",
            also=(
                partial(_another_limit, within=2.0), partial(_another_limit, within=0.25), _limit_without_samples,
            ),
        ),
        Mistake(
            _not_on_the_circle,
            "your distance does not go round the circle: 0.49 and −0.49 are 0.02 apart, so d − round(d)",
            also=(partial(_not_on_the_circle, distance=lambda d: torch.minimum(d.abs(), (d + 1).abs())),),
        ),
        Mistake(
            _over_all_lines,
            "you take the share of all lines of the batch: first the share in each signal, then the mean over signals",
        ),
        Mistake(_share_found, "you count what is found: the rate of false *negatives* counts what is missed"),
        Mistake(_in_percent, "you give percent: a share from 0 to 1 is wanted"),
        Mistake(
            _share_of_false_estimates,
            "you go from the estimates to the nearest line, which counts false estimates: for each *line* the nearest "
            "estimate",
            also=(_least_over_lines,),
        ),
        Mistake(
            _sign_left,
            "your distances have a sign, so the least of them is the most negative one: take `.abs()` first",
        ),
        Mistake(
            _values_forgotten,
            "`.min(dim=2)` gives the values and where they are: take `.min(dim=2).values`, or `.amin(dim=2)`",
        ),
        Mistake(
            _least_of_none,
            "a signal without any estimate has no nearest one, so `min` stops: all of its lines are missed",
            also=(
                partial(_least_of_none, least=lambda d: torch.stack([row.min() for row in d])),
                partial(_least_of_none, least=lambda d: torch.tensor([min(row.tolist()) for row in d])),
            ),
        ),
        Mistake(
            _lost_by_one_to_one,
            "you use each estimate once: that is a stricter rate; as published, one estimate may find two lines",
        ),
        Mistake(
            _number_missing,
            "you compare how many there are: a line counts as found where an estimate is *near* it",
        ),
        Mistake(
            _place_by_place,
            "you compare the first with the first, and so on: estimates may be more or fewer, so take all pairs, "
            "`truth[:, :, None] - estimates[:, None, :]`",
            also=(
                partial(_place_by_place, rate=lambda d, limit, there: (d > limit).float().mean()),
                partial(_place_by_place, rate=lambda d, limit, there: _rate(d > limit, there)),
            ),
        ),
        Mistake(
            _nan_spreads,
            "an absent estimate finds every line of its signal: NaN makes a minimum NaN, which is not greater than the "
            "limit; put infinity in the place of NaN before the minimum",
            also=(_distance_of_nan_zero, _nan_spreads_over_columns),
        ),
        Mistake(
            _nan_misses,
            "NaN makes a minimum NaN, so one absent estimate makes you miss every line of its signal: put infinity in "
            "the place of NaN before the minimum",
            also=(partial(_nan_misses, there_alone=False),),
        ),
        Mistake(
            _nan_at_zero,
            "you put absent estimates at 0, where they may find a line: put their *distances* at infinity",
        ),
        Mistake(
            _absent_lines_missed,
            "you count absent lines as missed: those that are NaN in `truth` do not count, above or below",
            also=(_absent_over_those_there,),
        ),
        Mistake(
            _over_all_columns,
            "you divide by the number of columns, or let absent lines count as lines at 0: each signal has a number of "
            "lines of its own, those that are not NaN",
            also=(partial(_nan_at_zero, both=True),),
        ),
        Mistake(_over_estimates, "you divide by the number of estimates: the share is of the true lines"),
        Mistake(
            _silent_signals_left_out,
            "you leave out the signals without an estimate: all of their lines are missed",
            also=(_silent_signals_found,),
        ),
        Mistake(_rate_of_each, "you give one rate for each signal: take their mean"),
        Mistake(_sum_of_rates, "you add the rates of the signals: take their mean"),
        Mistake(
            _number_missed,
            "you give how many lines are missed: divide by how many there are, in each signal",
            also=(partial(_number_missed, of=torch.mean),),
        ),
        Mistake(_any_missed, "you count the signals in which a line is missed: take the share of lines in each"),
        Mistake(_farthest_estimate, "you take the farthest estimate: a line is found if the *nearest* one is close"),
        Mistake(_median_of_rates, "you take the median over the signals: the mean is wanted"),
        Mistake(
            _mean_distance,
            "you give a mean distance: count the lines whose nearest estimate is farther than 1/(2N)",
        ),
    ),
    properties=(
        Property(
            "all and none",
            "With estimates 0.48/N beside all lines it should be 0; 0.52/N beside them, or with none, 1.",
            _the_truth_and_nothing, _all_and_none,
        ),
        Property(
            "round the circle", "It should stay when truth and estimates are moved round the circle together.",
            _all_moved, _stays,
        ),
        Property(
            "mean over signals", "It should be the mean of the signals' own rates, and 1 for one without estimates.",
            _each_signal, _mean_over_signals,
        ),
    ),
    hints=(
        "A line is compared with the *nearest* estimate, in whatever column. All pairs at once: `d = truth[:, :, None] "
        "- estimates[:, None, :]` has the shape (batch, lines, estimates), "
        "and `(d - d.round()).abs()` is the distance on the circle.",
        "A distance to an absent estimate is NaN: `.nan_to_num(torch.inf)`, then `.amin(dim=2)` is the nearest.",
        "`there = ~truth.isnan()` are the lines that count, and `((nearest > 0.5 / samples) & there).sum(dim=1) / "
        "there.sum(dim=1)` is each signal's share.",
    ),
)  # fmt: skip


LAB = Lab(
    module="12_line_spectra",
    title="12 Line spectra",
    exercises=(
        noisy_lines, periodogram, covariance, music_spectrum, esprit, representation, peaks, false_negative_rate,
    ),
    open_questions=(
        OpenQuestion(
            number=9,
            name="which_method",
            title="which method, and when?",
            minutes=19,
            points=4,
            marking=(
                "chooses by signal-to-noise ratio and purpose, with numbers from the tables: the network to find "
                "lines up to 20 or 30 dB, ESPRIT for exact frequencies above; says that the true count was given to "
                "all (1)",
                "explains the three ends: ESPRIT is exact for its model without noise, the periodogram keeps leakage "
                "and merged lines, and the network was trained on all noise levels and has limited precision (1)",
                "says what happens outside the training: another N is refused, and needs another network or cut "
                "signals; lines much closer than 1/N merge in its picture, while ESPRIT finds them at high SNR; "
                "measures one (1)",
                "says how one would notice without the truth: what a fit leaves over, eigenvalues, methods that "
                "disagree, half the samples, lines added on purpose; and that lines made up lower what is left over "
                "(1)",
            ),
        ),
    ),
)  # fmt: skip
progress = LAB.progress
