"""How well the lines of a spectrum are found: which ones, how many, and how exactly.

Frequencies are in cycles per sample, from −1/2 to 1/2, with NaN where a signal has fewer lines than others. They live
on a circle, and so do distances: 0.49 and −0.49 are 0.02 apart. Two definitions of "found" are in use:

- nearest: a line is found where any estimate lies within 1/(2N), N samples; one estimate may find two lines, and two
  estimates one. So the papers on PSnet and DeepFreq (Izacard and others 2019) define the false-negative rate.
- one-to-one: each estimate finds one line at most, and the pairs are made so that they are as many as possible.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from course_lib import expect
from course_lib.data import line_counts, wrap

FARTHEST = 0.5  # two frequencies cannot be farther apart on the circle

Estimates = Float[torch.Tensor, "batch estimates"]
Truth = Float[torch.Tensor, "batch lines"]
PerSignal = Float[torch.Tensor, " batch"]


def match_lines(estimates: Estimates, truth: Truth, tolerance: float) -> Int[torch.Tensor, "batch lines"]:
    """One-to-one matching: for each true line the column of its estimate, or −1 where it has none.

    Only pairs within the tolerance are made. Of all ways to make them it is one with the most pairs, and among those
    one with the least sum of distances.

    Args:
        estimates: frequencies, NaN where there is none, in any order.
        truth: the same for the true lines.
        tolerance: the largest distance within a pair, in cycles per sample, from 0.

    Raises:
        InputError: no real floating-point frequencies (batch, lines), two sizes of batch, infinity, or a frequency
            outside [−1/2, 1/2]; a tolerance below 0.
    """
    tolerance = expect.number("the tolerance", tolerance, least=0)
    distances = _distances(estimates, truth)
    # one pair more always costs less than it saves
    alone = 1 + FARTHEST * min(distances.shape[1:])
    near = distances <= tolerance
    costs = torch.where(near, distances, alone).cpu().numpy()
    partner = torch.full(distances.shape[:2], -1)
    for row, cost in enumerate(costs):
        lines, found = map(torch.from_numpy, linear_sum_assignment(cost))
        partner[row, lines] = found
    partner = partner.to(truth.device)
    paired = (partner >= 0) & near.gather(2, partner.clamp(min=0)[..., None])[..., 0]
    return torch.where(paired, partner, -1)[:, : truth.shape[1]]


def frequency_errors(estimates: Estimates, truth: Truth, samples: int) -> Float[torch.Tensor, "batch lines"]:
    """The distance of each true line from its estimate, one-to-one within 1/(2N); NaN where it has none.

    `x.nanmedian()` is a robust summary, and `x.square().nanmean().sqrt()` is the root mean square error, over the lines
    that are found. Errors beyond 1/(2N) do not enter it.
    """
    partner = match_lines(estimates, truth, _half_bin(samples))
    distances = _distances(estimates, truth)[:, : truth.shape[1]]
    own = distances.gather(2, partner.clamp(min=0)[..., None])[..., 0]
    return torch.where(partner >= 0, own, torch.nan).to(_dtype(estimates, truth))


def missed_lines(estimates: Estimates, truth: Truth, samples: int) -> Int[torch.Tensor, " batch"]:
    """False negatives: how many true lines are without an estimate, one-to-one within 1/(2N)."""
    pairs = _pairs(estimates, truth, samples)
    return line_counts(truth) - pairs


def spurious_lines(estimates: Estimates, truth: Truth, samples: int) -> Int[torch.Tensor, " batch"]:
    """False positives: how many estimates are without a true line, one-to-one within 1/(2N)."""
    pairs = _pairs(estimates, truth, samples)
    return line_counts(estimates) - pairs


def f1(estimates: Estimates, truth: Truth, samples: int) -> PerSignal:
    """F1 score of each signal, 2·pairs/(estimates + true lines), one-to-one within 1/(2N).

    From 0 to 1. Neither an estimate nor a line is agreement: 1.
    """
    pairs = _pairs(estimates, truth, samples)
    both = line_counts(estimates) + line_counts(truth)
    return torch.where(both > 0, 2 * pairs / both.clamp(min=1), 1.0).to(_dtype(estimates, truth))


def count_accuracy(estimates: Estimates, truth: Truth) -> PerSignal:
    """1 where there are as many estimates as true lines, else 0, wherever they lie; the mean over signals is a rate."""
    _check(estimates, truth)
    return (line_counts(estimates) == line_counts(truth)).to(_dtype(estimates, truth))


def false_negative_rate(estimates: Estimates, truth: Truth, samples: int) -> PerSignal:
    """The published rate: the share of a signal's true lines whose nearest estimate is farther than 1/(2N).

    From 0 to 1; papers print percent. Without a true line none is missed: 0. More estimates never make it larger, so
    it is to be read beside `false_positive_rate` or `f1`.
    """
    return _share_alone(_distances(estimates, truth), truth, samples).to(_dtype(estimates, truth))


def false_positive_rate(estimates: Estimates, truth: Truth, samples: int) -> PerSignal:
    """The share of a signal's estimates whose nearest true line is farther than 1/(2N). Without an estimate: 0."""
    return _share_alone(_distances(estimates, truth).mT, estimates, samples).to(_dtype(estimates, truth))


def chamfer(estimates: Estimates, truth: Truth) -> PerSignal:
    """The published Chamfer distance of each signal, in cycles per sample.

    The distance to the nearest estimate, summed over true lines, plus the distance to the nearest true line, summed
    over estimates. A sum, no mean: more lines have a larger one. Where there is no estimate at all, each true line
    counts 1/2, the farthest that two frequencies can be apart, and so does each estimate where there is no line.
    """
    distances = _distances(estimates, truth)
    there, back = (_nearest(distances, truth), _nearest(distances.mT, estimates))
    return (there.nansum(dim=1) + back.nansum(dim=1)).to(_dtype(estimates, truth))


def _pairs(estimates: torch.Tensor, truth: torch.Tensor, samples: int) -> torch.Tensor:
    return (match_lines(estimates, truth, _half_bin(samples)) >= 0).sum(dim=1)


def _half_bin(samples: int) -> float:
    return 1 / (2 * expect.count("samples", samples))


def _share_alone(distances: torch.Tensor, lines: torch.Tensor, samples: int) -> torch.Tensor:
    """The share of the lines (dimension 1) that are farther than 1/(2N) from all others; that of none is 0."""
    alone = (_nearest(distances, lines) > _half_bin(samples)).sum(dim=1)  # NaN is not
    return alone.double() / line_counts(lines).clamp(min=1)


def _nearest(distances: torch.Tensor, lines: torch.Tensor) -> torch.Tensor:
    """The distance of each line (dimension 1) from the nearest of the others, 1/2 where there is none; NaN: no line."""
    nearest = distances.amin(dim=2)[:, : lines.shape[1]].clamp(max=FARTHEST)
    return torch.where(lines.isfinite(), nearest, torch.nan)


def _distances(estimates: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(batch, lines, estimates) on the circle in double precision, infinite where one is absent; 1 column at least."""
    _check(estimates, truth)
    estimates, truth = (
        x.double() if x.shape[1] else torch.full((len(x), 1), torch.nan, dtype=torch.float64, device=x.device)
        for x in (estimates, truth)
    )
    return wrap(truth[:, :, None] - estimates[:, None, :]).abs().nan_to_num(nan=torch.inf)


def _dtype(estimates: torch.Tensor, truth: torch.Tensor) -> torch.dtype:
    return torch.promote_types(estimates.dtype, truth.dtype)


def _check(estimates: object, truth: object) -> None:
    for name, value in (("the estimates", estimates), ("the truth", truth)):
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.ndim != 2 or not len(value):
            raise expect.InputError(
                f"expected {name} as real frequencies (batch, lines), NaN for none, got {expect.describe(value)}"
            )
        beyond = value[value.abs() > FARTHEST]
        if len(beyond):
            raise expect.InputError(
                f"expected {name} in cycles per sample from -1/2 to 1/2, got {beyond[0]:g}: data.wrap brings whole "
                "cycles back"
            )
    if len(estimates) != len(truth):
        raise expect.InputError(
            f"expected estimates and truth of as many signals, got {len(estimates)} and {len(truth)}"
        )
