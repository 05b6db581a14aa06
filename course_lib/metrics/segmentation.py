"""How well two masks agree: by overlap, by size, by the distance of their outlines, by what they part.

The formulas are the lectures' (Taha and Hanbury 2015; for the Rand error Arganda-Carreras and others 2015). None of
them says everything: overlap hardly sees an outline, distances do not see what is joined, and size sees no place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import binary_erosion, distance_transform_edt, label

from course_lib import expect

Masks = Bool[torch.Tensor, "batch 1 *spatial"]
PerMask = Float[torch.Tensor, " batch"]
Spacing = Sequence[float] | None


def dice(a: Masks, b: Masks) -> PerMask:
    """Dice coefficient of each pair of masks, 2|A∩B|/(|A| + |B|), from 0 to 1. Two empty masks agree: 1.

    Args:
        a: masks in 2-D or 3-D; the two arguments may be exchanged.
        b: of the same shape.

    Raises:
        InputError: another dtype than bool, another number of dimensions, two shapes.
    """
    both, only_a, only_b = _counts(a, b)
    return _share(2 * both, 2 * both + only_a + only_b)


def iou(a: Masks, b: Masks) -> PerMask:
    """Intersection over union of each pair of masks (Jaccard), |A∩B|/|A∪B| = Dice/(2 − Dice); arguments of `dice`."""
    both, only_a, only_b = _counts(a, b)
    return _share(both, both + only_a + only_b)


def pixel_accuracy(a: Masks, b: Masks) -> PerMask:
    """The share of the pixels on which both masks say the same. Arguments as in `dice`.

    Where there is little foreground, an empty mask reaches nearly 1.
    """
    _check(a, b)
    return (a == b).flatten(1).float().mean(dim=1)


def volume_similarity(a: Masks, b: Masks) -> PerMask:
    """1 − |FN − FP|/(2TP + FP + FN): how alike the sizes are, and no word about the place. Arguments as in `dice`.

    Two empty masks are alike: 1.
    """
    both, only_a, only_b = _counts(a, b)
    return _share(2 * both + 2 * torch.minimum(only_a, only_b), 2 * both + only_a + only_b)


def hausdorff(a: Masks, b: Masks, spacing: Spacing = None, percentile: float = 100.0) -> PerMask:
    """Hausdorff distance of the surfaces: the larger of the two largest distances from one to the other.

    The surface of a mask is made of its pixels that have a neighbour outside it, next to them along an axis; outside
    the image counts as outside. Two empty masks are 0 apart, an empty and another one infinitely far.

    Args:
        a: masks in 2-D or 3-D; the two arguments may be exchanged.
        b: of the same shape.
        spacing: from one pixel to the next along each spatial dimension, the result's unit; None is 1 for each.
        percentile: of the distances, in place of the largest: 95 is the robust form, which a single pixel far away
            does not decide.

    Raises:
        InputError: masks as in `dice`; a spacing of another length, or not above 0; a percentile outside (0, 100].
    """
    share = expect.number("the percentile", percentile, above=0, most=100) / 100
    return _from_distances(a, b, spacing, lambda there, back: max(np.quantile(there, share), np.quantile(back, share)))


def average_surface_distance(a: Masks, b: Masks, spacing: Spacing = None) -> PerMask:
    """Average symmetric surface distance: the mean of d(A, B) and d(B, A), each a mean over one surface.

    Surfaces, empty masks, arguments and errors as in `hausdorff`.
    """
    return _from_distances(a, b, spacing, lambda there, back: (there.mean() + back.mean()) / 2)


def rand_error(estimate: Masks, target: Masks) -> PerMask:
    """Adapted Rand error of what two membrane masks part: 0 is the same cells, near 1 is none of them.

    A cell is a connected part of what is not membrane; parts that touch at a corner alone are two. The error is 1 minus
    the F-score over pairs of pixels: of those that one mask puts into one cell, how many does the other? So a
    membrane that is a pixel too thick costs little, and one small gap costs two whole cells. As in the ISBI 2012
    challenge, pixels of the true membrane are left out; the estimated membrane counts as one more cell.

    Args:
        estimate: True on membranes.
        target: the truth; not to be exchanged with the estimate.

    Raises:
        InputError: masks as in `dice`; a target that is membrane everywhere.
    """
    from skimage.metrics import adapted_rand_error

    _check(estimate, target)
    if target.flatten(1).all(dim=1).any():
        raise expect.InputError("expected targets with a pixel that is not membrane, got one of membrane alone")
    pairs = zip(*(~x[:, 0].cpu().numpy() for x in (estimate, target)), strict=True)
    values = [adapted_rand_error(label(true)[0], label(found)[0])[0] for found, true in pairs]
    return torch.tensor(values, dtype=torch.float32, device=estimate.device)


def _check(a: torch.Tensor, b: torch.Tensor) -> None:
    for name, value in (("a", a), ("b", b)):
        wanted = "expected masks as a bool torch.Tensor (batch, 1, height, width) or (batch, 1, depth, height, width)"
        if isinstance(value, torch.Tensor) and value.dtype != torch.bool:
            told = "expected masks of dtype bool: compare probabilities with a threshold first"
            raise expect.InputError(f"{told}, got {name} as {expect.describe(value)}")
        if not isinstance(value, torch.Tensor) or value.ndim not in (4, 5) or value.shape[1] != 1 or not value.numel():
            raise expect.InputError(f"{wanted}, got {name} as {expect.describe(value)}")
    expect.same_shape("a", a, "b", b)


def _counts(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels of each pair that are in both masks, in `a` alone, in `b` alone."""
    _check(a, b)
    return tuple(x.flatten(1).sum(dim=1) for x in (a & b, a & ~b, b & ~a))


def _share(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    return torch.where(whole > 0, part / whole.clamp(min=1), 1.0)


def _from_distances(
    a: torch.Tensor, b: torch.Tensor, spacing: Spacing, number: Callable[[np.ndarray, np.ndarray], float]
) -> torch.Tensor:
    """Of each pair, a number from the distances of A's surface to B's and of B's to A's."""
    _check(a, b)
    steps = _steps(spacing, a.ndim - 2)
    values = []
    for one, other in zip(a[:, 0].cpu().numpy(), b[:, 0].cpu().numpy(), strict=True):
        if one.any() and other.any():
            surfaces = [mask & ~binary_erosion(mask) for mask in (one, other)]
            far = [distance_transform_edt(~surface, sampling=steps) for surface in surfaces]
            values.append(float(number(far[1][surfaces[0]], far[0][surfaces[1]])))
        else:
            values.append(math.inf if one.any() or other.any() else 0.0)
    return torch.tensor(values, dtype=torch.float32, device=a.device)


def _steps(spacing: Spacing, dims: int) -> tuple[float, ...]:
    if spacing is None:
        return (1.0,) * dims
    if not isinstance(spacing, Sequence) or isinstance(spacing, str) or len(spacing) != dims:
        raise expect.InputError(
            f"expected a spacing of {dims} numbers, one a dimension, got {expect.describe(spacing)}"
        )
    return tuple(expect.number("each spacing", step, above=0) for step in spacing)
