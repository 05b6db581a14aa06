"""What a segmentation network learns to make small (decks 001 and 002), and two gradients written out.

p are probabilities and r labels, 1 where a pixel belongs to the class and 0 elsewhere, both (batch, class, *spatial).
A sum over pixels is one image's and one class's; the loss is a mean over images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float

from course_lib import expect

Maps = Float[torch.Tensor, "batch classes *spatial"]
Scalar = Float[torch.Tensor, ""]

EPSILON = 1e-6  # keeps 0/0, of a class that is nowhere and found nowhere, at a Dice of 1


def bce_loss(p: Maps, r: Maps) -> Scalar:
    """Binary cross-entropy, −Σ r·ln p + (1 − r)·ln(1 − p) over the number of pixels; deck 002 lacks the minus sign."""
    _check(p, r)
    return F.binary_cross_entropy(p, r)


def dice_loss(p: Maps, r: Maps, *, squared: bool = True) -> Scalar:
    """One minus the Dice overlap, D = 2·Σpr / (Σp² + Σr²) (Milletari et al. 2016), the mean over images and classes.

    Args:
        squared: deck 001's form; False leaves the squares out, D = 2·Σpr / (Σp + Σr), as deck 002 does.
    """
    _check(p, r)
    size = _sum(p.square() + r.square()) if squared else _sum(p + r)
    return 1 - ((2 * _sum(p * r) + EPSILON) / (size + EPSILON)).mean()


def generalized_dice_loss(p: Maps, r: Maps) -> Scalar:
    """One minus an overlap in which each class has the weight w = 1/(Σr)² (Sudre et al. 2017): small ones count more.

        GDL = 1 − 2·Σₗ wₗ·Σₙ rₗₙpₗₙ / Σₗ wₗ·Σₙ (rₗₙ + pₗₙ)

    A class that an image has not has the largest weight of those that it has.

    Args:
        p, r: with all classes, so two channels for foreground and background.
    """
    _check(p, r)
    # means for sums: the same ratio, and far above ε
    area, both, total = (values.flatten(2).mean(-1) for values in (r, p * r, p + r))
    w = torch.where(area > 0, 1 / area.clamp(min=1e-12).square(), 0.0)
    w = torch.where(area > 0, w, w.amax(dim=1, keepdim=True))
    overlap, size = (w * both).sum(dim=1), (w * total).sum(dim=1)
    return 1 - ((2 * overlap + EPSILON) / (size + EPSILON)).mean()


def dice_gradient(p: Maps, r: Maps) -> Maps:
    """∂D/∂p of the squared overlap D = 2·Σpr / (Σp² + Σr²), as deck 001 prints it: the loss goes down along it."""
    _check(p, r)
    size, overlap = (_sum(v)[..., None] for v in (p.square() + r.square(), p * r))
    shape = (*p.shape[:2], -1)
    p, r, whole = p.reshape(shape), r.reshape(shape), p.shape
    return (2 * (r * size - 2 * p * overlap) / size.square()).reshape(whole)


def generalized_dice_gradient(
    p: Float[torch.Tensor, "batch 1 *spatial"], r: Float[torch.Tensor, "batch 1 *spatial"]
) -> Float[torch.Tensor, "batch 1 *spatial"]:
    """∂GDL/∂p for foreground p and background 1 − p, of each image's own loss.

    Deck 001 prints −2 in place of the leading 2: the negative of this. A network that followed the printed one would
    learn to find everything but the object.
    """
    _check(p, r)
    shape = (*p.shape[:2], -1)
    p, r, whole = p.reshape(shape), r.reshape(shape), p.shape
    N = p.shape[-1]
    w1, w2 = (1 / area.sum(-1, keepdim=True).square() for area in (r, 1 - r))
    both = (p + r).sum(-1, keepdim=True)
    above = (w1**2 - w2**2) * ((p * r).sum(-1, keepdim=True) - r * both) + N * w2 * (w1 + w2) * (1 - 2 * r)
    return (2 * above / ((w1 - w2) * both + 2 * N * w2).square()).reshape(whole)


LOSSES: dict[str, Callable[[Maps, Maps], Scalar]] = {
    "bce": bce_loss,
    "dice": dice_loss,
    "generalized_dice": generalized_dice_loss,
}


def _sum(values: Maps) -> Float[torch.Tensor, "batch classes"]:
    """Over the pixels of each image and class."""
    return values.flatten(2).sum(-1)


def _check(p: Maps, r: Maps) -> None:
    """Raise unless p are probabilities and r has their shape."""
    expect.same_shape("p", expect.tensor("p", p), "r", expect.tensor("r", r))
    if p.ndim < 3:
        raise expect.InputError(f"expected p as (batch, class, *spatial), got {expect.describe(p)}")
    if p.amin() < 0 or p.amax() > 1:
        low, high = float(p.detach().amin()), float(p.detach().amax())
        raise expect.InputError(
            f"expected probabilities from 0 to 1, got {low:.3g} to {high:.3g}: apply a sigmoid or softmax to scores"
        )
