"""Segmentation by one grey level: what a network has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float

from course_lib import expect

LEVELS = 256  # from the darkest to the brightest pixel: between any two neighbouring values of 8 bits lies one


@dataclass(frozen=True)
class Threshold:
    """A grey level, and the side of it on which the foreground is.

    Attributes:
        level: in the image's units.
        dark: whether the foreground is what is not brighter than the level; otherwise it is what is brighter.
    """

    level: float
    dark: bool

    def __call__(
        self, images: Float[torch.Tensor, "batch 1 height width"]
    ) -> Bool[torch.Tensor, "batch 1 height width"]:
        """The foreground's mask."""
        expect.images("images", images)
        return (images <= self.level) if self.dark else (images > self.level)


def best_threshold(
    images: Float[torch.Tensor, "_ 1 _ _"] | Sequence[Float[torch.Tensor, "_ 1 _ _"]],
    masks: Bool[torch.Tensor, "_ 1 _ _"] | Sequence[Bool[torch.Tensor, "_ 1 _ _"]],
) -> Threshold:
    """The level and the side with the largest mean Dice overlap. Of levels that are equally good it is the middle one.

    Args:
        images: (batch, 1, height, width); or a list of images of different sizes, each (slices, 1, height, width) and
            with one overlap over all its slices.
        masks: True in the foreground, in the shape of the images.

    Raises:
        InputError: no image, one without a mask of its size, other dtypes, NaN.
    """
    pairs = _pairs(images, masks)
    low, high = min(float(image.min()) for image, _ in pairs), max(float(image.max()) for image, _ in pairs)
    levels = low + (high - low) * (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    overlap = torch.stack([_overlaps(image, mask, levels) for image, mask in pairs]).mean(dim=0)
    side = int(overlap.amax(dim=1).argmax())
    best = (overlap[side] == overlap[side].max()).nonzero().flatten()
    return Threshold(float(levels[best[len(best) // 2]]), dark=bool(side))


def _overlaps(
    image: torch.Tensor, mask: torch.Tensor, levels: Float[torch.Tensor, " levels"]
) -> Float[torch.Tensor, "2 levels"]:
    """Dice overlap of what is brighter than each level, and of what is not."""
    place = torch.bucketize(image.double(), levels)  # how many levels the pixel is brighter than
    inside = torch.bincount(place[mask], minlength=len(levels) + 1).cumsum(0)
    everywhere = torch.bincount(place.flatten(), minlength=len(levels) + 1).cumsum(0)
    right = torch.stack([inside[-1] - inside[:-1], inside[:-1]])
    found = torch.stack([everywhere[-1] - everywhere[:-1], everywhere[:-1]])
    total = found + inside[-1]
    return torch.where(total > 0, 2 * right / total.clamp(min=1), 1.0).double()  # two empty masks agree


def _pairs(images: object, masks: object) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One image and its mask each, checked."""
    lists = [part.split(1) if isinstance(part, torch.Tensor) else list(part) for part in (images, masks)]
    if not lists[0] or len(lists[0]) != len(lists[1]):
        raise expect.InputError(f"expected a mask to each image, got {len(lists[1])} to {len(lists[0])} images")
    for image, mask in zip(*lists, strict=True):
        expect.images("images", image)
        if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool:
            raise expect.InputError(f"expected masks as bool torch.Tensors, got {expect.describe(mask)}")
        expect.same_shape("each image", image, "its mask", mask)
    return list(zip(*lists, strict=True))
