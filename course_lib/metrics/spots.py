"""Are small bright spots still visible? A fixed detector, at a fixed rate of false positives.

The detector is the same for every image and method: how much a pixel's surroundings look like a spot. A threshold is
chosen where there is none, so that a stated number of false positives a square centimetre pass it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float

from course_lib import expect

SPOT_STD = 0.8  # pixels; between the narrowest and the widest calcifications of `data.mammogram`
REACH = 2  # pixels from where a spot is said to be

Images = Float[torch.Tensor, "batch channel height width"]
Region = Bool[torch.Tensor, "height width"]


def spot_response(images: Images) -> Images:
    """How much like a spot each pixel and its surroundings are: a Gaussian minus the mean of a 9×9 square.

    The weights add up to 0, so brightness does not count, and their squares to 1: white noise of level σ gives
    responses of level σ. Borders are mirrored.

    Args:
        images: at least 5 pixels a side.
    """
    expect.images("images", images)
    if min(images.shape[-2:]) < 5:
        raise expect.InputError(f"expected images of at least 5×5 pixels, got {tuple(images.shape[-2:])}")
    place = torch.arange(-4, 5, dtype=images.dtype, device=images.device)
    weights = torch.exp(-(place[:, None] ** 2 + place**2) / (2 * SPOT_STD**2))
    weights = weights - weights.mean()
    weights = (weights / weights.norm()).expand(images.shape[1], 1, -1, -1)
    return F.conv2d(F.pad(images, (4, 4, 4, 4), mode="reflect"), weights, groups=images.shape[1])


def false_positives(response: Images, region: Region) -> Float[torch.Tensor, " count"]:
    """The responses of all local maxima in a region without spots, the largest first.

    A local maximum is the largest of the 5×5 pixels around it.
    """
    response = _one(response)
    largest = F.max_pool2d(response[None, None], 5, stride=1, padding=2)[0, 0]
    return response[(response == largest) & region].sort(descending=True).values


def threshold_at(false: Float[torch.Tensor, " count"], area_cm2: float, rate: float) -> float:
    """The threshold that `rate` false positives a square centimetre pass.

    Args:
        false: responses where there is no spot, the largest first; those of several images are joined and sorted.
        area_cm2: of the regions that they come from.
        rate: false positives a cm², above 0.
    """
    allowed = math.floor(expect.number("the area", area_cm2, above=0) * expect.number("the rate", rate, above=0))
    if not 1 <= allowed <= len(false):
        raise expect.InputError(
            f"expected a rate that 1 to {len(false)} false positives pass on {area_cm2:.3g} cm², got {rate:g} a cm²"
        )
    return float(false.sort(descending=True).values[allowed - 1])


def detected(response: Images, spots: Float[torch.Tensor, "count 3"], threshold: float) -> Bool[torch.Tensor, " count"]:
    """Which spots are found: whose largest response within reach exceeds the threshold.

    Args:
        response: of one image.
        spots: row, column and radius of each; the reach is the radius, and 2 pixels at least.
        threshold: see `threshold_at`.
    """
    image = _one(response)
    reached = [disc(response, row, column, max(radius, REACH)) for row, column, radius in spots.tolist()]
    found = [image[pixels].max() > threshold for pixels in reached]
    return torch.stack(found) if found else torch.zeros(0, dtype=torch.bool)


def disc(images: Images, row: float, column: float, radius: float) -> Region:
    """The pixels of an image that are no further than `radius` from a place."""
    rows, columns = (torch.arange(n, device=images.device) for n in images.shape[-2:])
    return torch.hypot(rows[:, None] - row, columns[None, :] - column) <= radius


def spot_contrast(images: Images, spots: Float[torch.Tensor, "count 3"]) -> Float[torch.Tensor, " count"]:
    """How much brighter each spot is than what surrounds it: the mean of its disc minus that of a ring.

    Args:
        images: one image.
        spots: row, column and width of each; the disc has this diameter and one pixel at least, the ring lies 4 to 7
            pixels from the spot.
    """
    image = _one(images)
    found = []
    for row, column, width in spots.tolist():
        spot = disc(images, row, column, max(width / 2, 0.75))  # every place has a pixel's centre within 0.71
        ring = disc(images, row, column, 7.0) & ~disc(images, row, column, 4.0)
        found.append(image[spot].mean() - image[ring].mean())
    return torch.stack(found) if found else image.new_zeros(0)


def proportion_interval(found: int, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a rate by Wilson (1927).

    Args:
        found: how many of `count`.
        count: from 1. They are taken as independent; spots in one image are less so, and the interval is too short.
    """
    from scipy.stats import binomtest

    interval = binomtest(found, expect.count("the count", count)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _one(images: Images) -> torch.Tensor:
    """The (height, width) of one grey image."""
    if expect.images("images", images).shape[:2] != (1, 1):
        raise expect.InputError(f"expected one grey image, got {expect.describe(images)}")
    return images[0, 0]
