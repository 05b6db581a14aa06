"""Augmentation by MONAI: image and label are bent, turned and mirrored together, brightness changes in the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Float

from course_lib import expect

Pair = tuple[Float[torch.Tensor, "channel *kept"], Float[torch.Tensor, "classes *kept"]]

GRID = 32  # pixels between two places that move independently; Ronneberger et al. (2015) move 3×3 places


@dataclass(frozen=True)
class Augmentation:
    """How much may change; each change is drawn anew for each sample, uniformly up to these.

    Attributes:
        elastic: pixels that a point of a coarse grid moves; a smooth surface through them bends the image.
        turn: radians that the image is turned by.
        scale: share that its size changes by.
        mirror: whether it may be mirrored in its last two dimensions; squares are turned by quarter turns, too.
        contrast: share that the distance from the mean grey changes by.
        brightness: what is added to all grey values, in units from black to white.
        gamma: intensities are raised to a power between 1/(1 + gamma) and 1 + gamma.
        noise: the highest standard deviation of white noise.
    """

    elastic: float = 0.0
    turn: float = 0.0
    scale: float = 0.0
    mirror: bool = False
    contrast: float = 0.0
    brightness: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("elastic", "turn", "scale", "contrast", "brightness", "gamma", "noise"):
            expect.number(name, getattr(self, name), least=0, most=0.9 if name in ("scale", "contrast") else math.inf)

    def __call__(
        self,
        image: Float[torch.Tensor, "channel *spatial"],
        label: Float[torch.Tensor, "classes *spatial"],
        generator: torch.Generator,
        size: tuple[int, ...] | None = None,
    ) -> Pair:
        """One changed sample.

        Args:
            image: in [0, 1], of a picture; volumes are neither bent, turned nor scaled.
            label: 0 and 1, bent as the image is; each pixel takes the value of the nearest place.
            generator: the source of all randomness.
            size: height and width of the middle that is kept, taken after bending; None keeps all.

        Returns:
            image and label, of `size`; what is asked for beyond the border is mirrored there.
        """
        shape = tuple(image.shape[1:]) if size is None else tuple(size)
        changes = _changes(self, shape)
        changes.set_random_state(seed=int(torch.randint(2**31, (), generator=generator)))
        changed = changes({"image": image, "label": label})
        image, label = (changed[key].as_subclass(torch.Tensor) for key in ("image", "label"))
        return image.clamp(0, 1), label


MEMBRANES = Augmentation(
    elastic=10.0, turn=math.pi, scale=0.15, mirror=True, contrast=0.2, brightness=0.1, gamma=0.2, noise=0.02
)
BRAINS = Augmentation(contrast=0.2, brightness=0.05, gamma=0.6, noise=0.08)


@cache
def _changes(augmentation: Augmentation, size: tuple[int, ...]) -> Any:  # noqa: ANN401  monai is imported when used
    """MONAI's transforms, in the order that they are made in."""
    from monai import transforms as t

    a, both = augmentation, ("image", "label")
    found = []
    if len(size) == 2 and (a.elastic or a.turn or a.scale):
        how = {
            "prob": 1.0, "rotate_range": a.turn, "scale_range": (a.scale, a.scale), "spatial_size": size,
            "mode": ("bilinear", "nearest"), "padding_mode": "reflection",
        }  # fmt: skip
        # MONAI's coarse grid is not quite straight, by up to 1.5 pixels, also where nothing is to be bent
        bend = t.Rand2DElasticd(both, (GRID, GRID), (0, a.elastic), **how) if a.elastic else t.RandAffined(both, **how)
        found.append(bend)
    else:
        found.append(t.CenterSpatialCropd(both, size))
    if a.mirror:
        plane = (len(size) - 2, len(size) - 1)
        found += [t.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in plane]
        if size[-2] == size[-1]:
            found.append(t.RandRotate90d(both, prob=0.75, spatial_axes=plane))
    if a.contrast:
        found.append(t.RandScaleIntensityFixedMeand("image", prob=1.0, factors=a.contrast))
    if a.brightness:
        found.append(t.RandShiftIntensityd("image", offsets=a.brightness, prob=1.0))
    found.append(t.ThresholdIntensityd("image", threshold=0.0, above=True, cval=0.0))  # a power needs numbers from 0
    if a.gamma:
        found.append(t.RandAdjustContrastd("image", prob=1.0, gamma=(1 / (1 + a.gamma), 1 + a.gamma)))
    if a.noise:
        found.append(t.RandGaussianNoised("image", prob=1.0, std=a.noise))
    return t.Compose(found)
