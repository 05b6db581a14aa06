"""Which samples of k-space are measured: masks for Cartesian lines, single points, and spokes.

Masks are boolean (height, width), with zero frequency at [height//2, width//2]. The acceleration factor R is the
number of samples of the full grid over the number measured.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float

from course_lib import expect

Mask = Bool[torch.Tensor, "height width"]


def line_mask(
    shape: tuple[int, int],
    acceleration: float,
    centre_fraction: float = 0.0,
    generator: torch.Generator | None = None,
    *,
    kind: Literal["random", "equispaced"] = "random",
) -> Mask:
    """Whole columns of k-space: Cartesian MRI measures a line at a time, so one direction is always complete.

    A block of lines around zero frequency is always measured; the rest of the width/R lines is spread over the
    other columns, at random or at equal distances (as in fastMRI, Zbontar et al. 2018, but with an exact count).

    Args:
        shape: (height, width) of k-space; the lines are its columns.
        acceleration: R, from 1 to the number of lines; round(width/R) lines are measured.
        centre_fraction: share of all lines in the central block, from 0 to 1/R.
        generator: needed for random lines; with equispaced ones it chooses the first line, which without it
            falls on zero frequency.
        kind: "random" or "equispaced".

    Raises:
        InputError: an acceleration below 1 or above the number of lines, a centre larger than all lines that the
            acceleration leaves, another kind, no generator for random lines.
    """
    height, width = (expect.image_size(side) for side in shape)
    lines = _measured("lines", width, acceleration)
    centre = round(expect.number("the centre fraction", centre_fraction, least=0, most=1) * width)
    if centre > lines:
        raise expect.InputError(
            f"expected a central block within the {lines} lines of acceleration {acceleration:g}, got {centre} lines"
        )
    first = width // 2 - centre // 2
    column = torch.zeros(width, dtype=torch.bool)
    column[first : first + centre] = True
    others = (~column).nonzero().flatten()
    if kind == "random":
        expect.generator(generator)
        chosen = torch.randperm(len(others), generator=generator)[: lines - centre]
    elif kind == "equispaced":
        if generator is not None:
            expect.generator(generator)
        chosen = _evenly(len(others), lines - centre, int((others < width // 2).sum()), generator)
    else:
        raise expect.InputError(f'expected the kind of lines as "random" or "equispaced", got {kind!r}')
    column[others[chosen]] = True
    return column.expand(height, width).clone()


def variable_density_mask(
    shape: tuple[int, int],
    acceleration: float,
    generator: torch.Generator,
    *,
    centre_fraction: float = 0.06,
    power: float = 3.0,
) -> Mask:
    """Single points, denser where images have more power (Lustig, Donoho and Pauly 2007).

    Two directions are undersampled at once, which a 3-D scan allows. The density falls as (1 − r)^power with
    the distance r from zero frequency, 1 in the corners.

    Args:
        shape: (height, width) of k-space.
        acceleration: R, from 1 to the number of points; round(height·width/R) points are measured.
        generator: the source of randomness.
        centre_fraction: radius of the disc that is fully measured, as a share of half the shorter side.
        power: how steeply the density falls, at least 0 (uniform).

    Raises:
        InputError: an acceleration outside its range, or a central disc larger than what it leaves.
    """
    height, width = (expect.image_size(side) for side in shape)
    expect.generator(generator)
    points = _measured("points", height * width, acceleration)
    radius = expect.number("the centre fraction", centre_fraction, least=0, most=1)
    expect.number("the density's power", power, least=0)
    rows, columns = _frequencies(height), _frequencies(width)
    density = (1 - torch.hypot(rows[:, None], columns[None, :]) / math.sqrt(2)).clamp(min=1e-6) ** power
    pixels = torch.hypot(rows[:, None] * (height / 2), columns[None, :] * (width / 2))
    centre = pixels < radius * min(height, width) / 2
    if int(centre.sum()) > points:
        raise expect.InputError(
            f"expected a central disc within the {points} points of acceleration {acceleration:g}, "
            f"got {int(centre.sum())} points"
        )
    score = weighted_draw(density.log(), generator)
    score[centre] = math.inf
    return largest(score, points)


def radial_mask(shape: tuple[int, int], spokes: int, *, golden: bool = False, first: int = 0) -> Mask:
    """Spokes through zero frequency, rounded to the grid.

    Args:
        shape: (height, width) of k-space.
        spokes: number of spokes, at least 1.
        golden: turn each spoke by the golden angle, π·0.618…, from the one before, so that any run of
            consecutive spokes is nearly even (Winkelmann et al. 2007; GRASP); else equal angles.
        first: index of the first spoke of a golden run, for the frames of a film.
    """
    height, width = (expect.image_size(side) for side in shape)
    expect.count("the number of spokes", spokes)
    expect.count("the first spoke", first, least=0)
    index = torch.arange(first, first + spokes, dtype=torch.float64)
    angle = torch.pi * (index * (math.sqrt(5) - 1) / 2 if golden else index / spokes)
    reach = torch.linspace(-1, 1, 2 * max(height, width) + 1, dtype=torch.float64)
    rows = (angle.sin()[:, None] * reach * (height / 2)).round().long() + height // 2
    columns = (angle.cos()[:, None] * reach * (width / 2)).round().long() + width // 2
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[rows[inside], columns[inside]] = True
    return mask


def weighted_draw(
    log_density: Float[torch.Tensor, "height width"], generator: torch.Generator
) -> Float[torch.Tensor, "height width"]:
    """Scores of which the n largest are n points drawn without replacement, likelier where the density is higher.

    Gumbel's trick: the log-density plus noise.
    """
    uniform = torch.rand(log_density.shape, generator=generator, dtype=torch.float64).clamp(min=1e-300)
    return log_density - (-uniform.log()).log()


def largest(score: Float[torch.Tensor, "height width"], count: int) -> Mask:
    """True at the `count` largest scores."""
    mask = torch.zeros(score.shape, dtype=torch.bool)
    mask.view(-1)[score.flatten().topk(count).indices] = True
    return mask


def _measured(what: str, total: int, acceleration: float) -> int:
    """How many of `total` are measured at an acceleration."""
    wanted = f"expected an acceleration from 1 to {total}, the number of {what}"
    try:
        value = expect.number("the acceleration", acceleration)
    except expect.InputError:
        raise expect.InputError(f"{wanted}, got {expect.describe(acceleration)}") from None
    if not 1 <= value <= total:
        raise expect.InputError(f"{wanted}, got {value:g}")
    return max(1, round(total / value))


def _evenly(total: int, count: int, middle: int, generator: torch.Generator | None) -> torch.Tensor:
    """`count` places of `total` at equal distances; without a generator one of them is `middle`."""
    if count == 0:
        return torch.empty(0, dtype=torch.long)
    step = total / count
    start = middle % step if generator is None else float(torch.rand((), generator=generator)) * step
    return (start + step * torch.arange(count, dtype=torch.float64)).floor().long() % total


def _frequencies(side: int) -> torch.Tensor:
    """Centred frequencies as shares of the highest one, in [-1, 1]."""
    return (torch.arange(side, dtype=torch.float64) - side // 2) / (side / 2)
