"""Sums of complex exponentials: signals whose spectrum is a few lines.

The populations are those of DeepFreq (Izacard, Mohan and Fernandez-Granda 2019). Frequencies are in cycles per sample
and live on a circle: −1/2 and 1/2 are one frequency. Where signals of a batch have fewer lines than others, the rest
of their row is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int

from course_lib import expect

STEP = 0.05  # standard deviation of what lies between two lines beyond the least separation, in cycles per sample
LEAST_AMPLITUDE = 0.1
PROPOSALS = 32  # drawn at once for a line's place; the first that is far enough from all others is taken
ROUNDS = 100  # a walk that has not found a place in so many times PROPOSALS has walled itself in


@dataclass(frozen=True)
class LineSpectra:
    """The lines of a batch of signals.

    Attributes:
        frequencies: (batch, lines) in [−1/2, 1/2) cycles per sample, ascending; NaN where a signal has fewer lines.
        amplitudes: complex, of the same shape; 0 where there is no line.
    """

    frequencies: Float[torch.Tensor, "batch lines"]
    amplitudes: Complex[torch.Tensor, "batch lines"]

    @property
    def counts(self) -> Int[torch.Tensor, " batch"]:
        """How many lines each signal has."""
        return line_counts(self.frequencies)

    def signals(self, samples: int, dtype: torch.dtype = torch.complex64) -> Complex[torch.Tensor, "batch samples"]:
        """Σ_j a_j exp(2πi f_j n) for n = 0 … samples − 1, without noise."""
        expect.count("samples", samples)
        if not dtype.is_complex:
            raise expect.InputError(f"expected a complex dtype, got {str(dtype).replace('torch.', '')}")
        return (self.amplitudes[:, None, :] @ exponentials(self.frequencies, samples))[:, 0].to(dtype)


def line_counts(frequencies: Float[torch.Tensor, "batch lines"]) -> Int[torch.Tensor, " batch"]:
    """How many lines each signal has: the entries of its row that are not NaN."""
    return frequencies.isfinite().sum(dim=-1)


def exponentials(
    frequencies: Float[torch.Tensor, "batch lines"], samples: int
) -> Complex[torch.Tensor, "batch lines samples"]:
    """exp(2πi f n) for n = 0 … samples − 1; absent lines give 0."""
    n = torch.arange(samples, dtype=frequencies.dtype, device=frequencies.device)
    cycles = frequencies[..., None] * n
    present = frequencies.isfinite()[..., None]
    return torch.polar(present.to(cycles.dtype).expand_as(cycles), 2 * math.pi * torch.where(present, cycles, 0.0))


def wrap(frequencies: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
    """The same frequencies in [−1/2, 1/2): those of a sampled signal are known up to whole cycles per sample."""
    wrapped = frequencies - (frequencies + 0.5).floor()
    return torch.where(wrapped >= 0.5, -0.5, wrapped)  # a tiny negative number is rounded up to 1/2


def line_spectra(
    count: int,
    generator: torch.Generator,
    *,
    samples: int = 50,
    least_lines: int = 1,
    most_lines: int = 10,
    separation: float = 1.0,
) -> LineSpectra:
    """Draw lines as in the paper on DeepFreq.

    The number of lines is uniform. Their frequencies are a walk on the circle: the first is uniform, each next one
    lies ±(Δ + |w|) from the one before, w ~ N(0, 0.05²), and is drawn again where it comes closer than Δ to any other.
    An amplitude is 0.1 + |w|, w ~ N(0, 1), its phase uniform; then each signal is scaled to mean power 1.

    Args:
        count: how many signals, from 1.
        generator: the source of randomness.
        samples: N, which the separation and the scaling refer to; the signals may be computed at another length.
        least_lines: the fewest lines, from 1.
        most_lines: the most lines; they must have room to walk: at most half of N/separation.
        separation: N·Δ; below 1 the lines are closer than the periodogram resolves.

    Returns:
        frequencies in float64, amplitudes in complex128.
    """
    expect.count("the count of signals", count)
    expect.generator(generator)
    expect.count("samples", samples, least=2)
    expect.count("least_lines", least_lines)
    expect.count("most_lines", most_lines, least=least_lines)
    expect.number("the separation", separation, above=0)
    if most_lines > 1 and most_lines * separation > samples / 2:
        raise expect.InputError(
            f"expected at most {samples / 2 / separation:.0f} lines at separation {separation:g}/{samples}, "
            f"got {most_lines}"
        )
    lines = torch.randint(least_lines, most_lines + 1, (count,), generator=generator)
    present = torch.arange(most_lines) < lines[:, None]
    walk = _walk((count, most_lines), separation / samples, generator)
    frequencies = torch.where(present, walk, torch.nan).sort(dim=1).values  # NaN comes last
    size = LEAST_AMPLITUDE + torch.randn(walk.shape, generator=generator, dtype=torch.float64).abs()
    phase = 2 * math.pi * torch.rand(walk.shape, generator=generator, dtype=torch.float64)
    drawn = LineSpectra(frequencies, torch.polar(size * present, phase))
    power = drawn.signals(samples, torch.complex128).abs().square().mean(dim=1, keepdim=True)
    return LineSpectra(frequencies, drawn.amplitudes / power.sqrt())


def _walk(shape: tuple[int, int], separation: float, generator: torch.Generator) -> Float[torch.Tensor, "batch lines"]:
    """Frequencies on the circle, no two closer than `separation`; a walk without a way out begins anew."""
    walk = torch.full(shape, torch.nan, dtype=torch.float64)
    todo = torch.arange(shape[0])
    while len(todo):
        walk[todo] = _try_walk((len(todo), shape[1]), separation, generator)
        todo = todo[walk[todo].isnan().any(dim=1)]
    return walk


def _try_walk(
    shape: tuple[int, int], separation: float, generator: torch.Generator
) -> Float[torch.Tensor, "batch lines"]:
    walk = torch.full(shape, torch.nan, dtype=torch.float64)
    walk[:, 0] = torch.rand(shape[0], generator=generator, dtype=torch.float64) - 0.5
    for line in range(1, shape[1]):
        todo = torch.arange(shape[0])
        for _ in range(ROUNDS):
            step = STEP * torch.randn(len(todo), PROPOSALS, generator=generator, dtype=torch.float64)
            proposal = wrap(walk[todo, line - 1, None] + step + step.sign() * separation)
            distance = wrap(proposal[:, :, None] - walk[todo, None, :line]).abs().amin(dim=2)
            found, first = (distance >= separation).max(dim=1)  # the first of equals
            walk[todo[found], line] = proposal[found, first[found]]
            todo = todo[~found]
            if not len(todo):
                break
    return walk
