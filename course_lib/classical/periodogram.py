"""The periodogram: how much of each frequency a signal holds, and its peaks as an estimate of the lines.

What the estimators of lines have in common stands here too: the grid of frequencies, how many lines each signal is
said to have, and peaks. Frequencies are in cycles per sample on a circle, in [−1/2, 1/2), ascending in a row, and NaN
fills the rest of a row that has fewer lines than others.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Complex, Float, Int

from course_lib import expect
from course_lib.data.line_spectra import wrap

Signals = Complex[torch.Tensor, "batch samples"]
Frequencies = Float[torch.Tensor, "batch lines"]
Counts = int | Int[torch.Tensor, " batch"]


def _cosines(*weights: float) -> Callable[[int], Float[torch.Tensor, " samples"]]:
    """w[n] = Σ_k weights[k]·cos(2πkn/(N − 1)): the same read from both ends."""

    def window(samples: int) -> Float[torch.Tensor, " samples"]:
        turns = torch.arange(samples, dtype=torch.float64) / max(samples - 1, 1)
        return sum(weight * torch.cos(2 * math.pi * k * turns) for k, weight in enumerate(weights))

    return window


WINDOWS: dict[str, Callable[[int], Float[torch.Tensor, " samples"]]] = {
    "rectangular": _cosines(1.0),
    "hann": _cosines(0.5, -0.5),
    "hamming": _cosines(0.54, -0.46),
    "blackman": _cosines(0.42, -0.5, 0.08),
}


def frequency_grid(points: int, dtype: torch.dtype = torch.float64) -> Float[torch.Tensor, " points"]:
    """−1/2 + k/points for k = 0 … points − 1, in cycles per sample."""
    expect.count("points", points)
    return (torch.arange(points, dtype=torch.float64) / points - 0.5).to(dtype)


def periodogram(
    signals: Signals, points: int = 1024, window: str = "rectangular"
) -> Float[torch.Tensor, "batch points"]:
    """|Σ_n w[n] x[n] exp(−2πi f n)|² / (Σ_n w[n])² on the grid: a lone line of amplitude a peaks at |a|².

    Two lines closer than about 1/N merge into one peak. Zero padding (points > N) draws the same curve more finely, and
    resolves no more. A window lowers the side lobes of a strong line, and widens its peak.

    Args:
        signals: complex (batch, samples), N samples each.
        points: of the grid, at least N.
        window: one of `WINDOWS`.

    Returns:
        (batch, points), in the precision of the signals.
    """
    signals = checked_signals(signals)
    samples = signals.shape[1]
    expect.count("points", points)
    if points < samples:
        raise expect.InputError(f"expected at least as many points as the {samples} samples, got {points}")
    weights = _window(window, samples).to(signals.device)
    # exp(πin) moves frequency −1/2 to 0, where the discrete Fourier transform begins
    shift = 1.0 - 2.0 * (torch.arange(samples, device=signals.device) % 2)
    weighted = signals * (shift * weights / weights.sum()).to(signals.real.dtype)
    return torch.view_as_real(torch.fft.fft(weighted, n=points)).square().sum(dim=-1)


def spectrum_peaks(
    spectra: Float[torch.Tensor, "batch points"], counts: Counts, *, interpolate: bool = True
) -> Frequencies:
    """Where the highest local maxima of each spectrum lie.

    Args:
        spectra: (batch, points) on `frequency_grid(points)`, at least 3 points. The grid is a circle: its last point
            is a neighbour of its first.
        counts: how many of them: one number for all, or one for each.
        interpolate: move each from its grid point to the top of the parabola through it and its neighbours.

    Returns:
        (batch, largest count), ascending. Where there are fewer maxima than asked for, the rest of the row is NaN.
    """
    expect.tensor("spectra", spectra, dims=2, shape="(batch, points)")
    points = spectra.shape[1]
    if spectra.is_complex() or points < 3:
        raise expect.InputError(f"expected real spectra on at least 3 points, got {expect.describe(spectra)}")
    counts = checked_counts(counts, spectra, points // 2, f"as maxima of {points} points")
    maxima = local_maxima(spectra)
    height, place = spectra.masked_fill(~maxima, -math.inf).topk(int(counts.max()), dim=1)
    frequencies = frequency_grid(points, spectra.dtype).to(spectra.device)[place]
    if interpolate:
        frequencies = frequencies + parabola_top(spectra, place)[0] / points
    return ascending(torch.where(height > -math.inf, frequencies, math.nan), counts)


def periodogram_frequencies(
    signals: Signals, counts: Counts, *, points: int = 1024, window: str = "rectangular"
) -> Frequencies:
    """The lines as the highest peaks of the periodogram.

    Args:
        signals: complex (batch, samples).
        counts: how many lines, one number for all signals or one for each; at most N − 1.
        points: of the grid, at least N; the peaks are interpolated between them.
        window: one of `WINDOWS`.

    Returns:
        (batch, largest count) cycles per sample, in the precision of the signals.
    """
    signals = checked_signals(signals)
    samples = signals.shape[1]
    counts = checked_counts(counts, signals, samples - 1, f"in a periodogram of {samples} samples")
    return spectrum_peaks(periodogram(signals, points, window), counts)


def checked_signals(signals: object, *, least: int = 2) -> Signals:
    """The signals, if they are finite complex (batch, samples), and none of them all zeros."""
    signals = expect.signals("signals", signals, least=least)
    silent = int((signals == 0).all(dim=1).sum())
    if silent:
        raise expect.InputError(f"expected signals with some energy, got {silent} of {len(signals)} with zeros only")
    return signals


def checked_counts(counts: object, batch: torch.Tensor, most: int, where: str) -> Int[torch.Tensor, " batch"]:
    """How many lines each signal has, as int64 (batch,) on the device of `batch`.

    Args:
        counts: a whole number for all, or an integer tensor (batch,).
        batch: what the counts belong to; its first dimension is their number.
        most: the largest count that can be estimated.
        where: what sets this limit, for the message.
    """
    if torch.is_tensor(counts):
        whole = not (counts.is_floating_point() or counts.is_complex() or counts.dtype == torch.bool)
        if not whole or counts.shape != (len(batch),):
            raise expect.InputError(
                f"expected counts as whole numbers, one or a tensor of shape ({len(batch)},), "
                f"got {expect.describe(counts)}"
            )
        counts = counts.to(batch.device, torch.int64)
    else:
        counts = torch.full((len(batch),), expect.count("counts", counts, least=0), device=batch.device)
    if (least := int(counts.min())) < 0:
        raise expect.InputError(f"expected counts of at least 0, got {least}")
    if (largest := int(counts.max())) > most:
        raise expect.InputError(f"expected at most {most} lines {where}, got {largest}")
    return counts


def local_maxima(spectra: Float[torch.Tensor, "batch points"]) -> Bool[torch.Tensor, "batch points"]:
    """Above the point before, and not below the one after; of a level stretch that is its first point."""
    return (spectra > spectra.roll(1, dims=1)) & (spectra >= spectra.roll(-1, dims=1))


def parabola_top(
    spectra: Float[torch.Tensor, "batch points"], place: Int[torch.Tensor, "batch lines"]
) -> tuple[Float[torch.Tensor, "batch lines"], Float[torch.Tensor, "batch lines"]]:
    """The top of the parabola through each place and its two neighbours: its offset in grid steps, and its height."""
    points = spectra.shape[1]
    before, here, after = (spectra.gather(1, (place + k) % points) for k in (-1, 0, 1))
    bend = (2 * here - before - after).clamp(min=torch.finfo(spectra.dtype).tiny)
    offset = ((after - before) / (2 * bend)).clamp(-0.5, 0.5)
    return offset, here + offset * (after - before) / 4


def ascending(frequencies: Frequencies, counts: Int[torch.Tensor, " batch"]) -> Frequencies:
    """Keep the first `counts` of each row, bring them to [−1/2, 1/2), and sort them with NaN last."""
    kept = torch.arange(frequencies.shape[1], device=frequencies.device) < counts[:, None]
    return torch.where(kept, wrap(frequencies), math.nan).sort(dim=1).values


def _window(name: object, samples: int) -> Float[torch.Tensor, " samples"]:
    if not isinstance(name, str) or name not in WINDOWS:
        raise expect.InputError(f"expected window as one of {', '.join(WINDOWS)}, got {expect.describe(name)}")
    weights = WINDOWS[name](samples)
    if not weights.sum() > 1e-6:
        raise expect.InputError(f"expected more than {samples} samples for the {name} window, which is 0 at its ends")
    return weights
