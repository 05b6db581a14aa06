"""A population of brains made from one anatomy: smooth random deformations, each tissue's contrast, a bias field.

The anatomy is nilearn's, the average of 152 people, so an unseen subject is an unseen deformation of it, and no
other person. What was held out is therefore held out twice: by subject, and by height, for a slab of the head that
no training image shows any part of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int

from course_lib import expect
from course_lib.data.brain import brain_anatomy

FIELD_OF_VIEW_MM = 256  # usual for a head: 2 mm a pixel at 128 pixels
SLICE_GAP_MM = 2  # between the heights that slices are drawn from
WAVES = 6  # plane waves in each deformation
WAVELENGTH_MM = (60, 160)  # of each wave: no shorter than a lobe of the brain
REACH_MM = (10, 10, 4)  # the largest displacement to the right, to the front and upwards
TURN, SCALE = 0.09, 0.06  # the largest turn in radians (5°), and change in size
CONTRAST = 0.2  # the largest change of a tissue's intensity, as a share of it
BIAS = 0.15  # likewise, from the receiver's field, at the border of the field of view
TISSUES = ("other", "grey matter", "white matter")  # the labels 0, 1 and 2
GAMMA = (0.65, 1.55)  # another scanner's contrast: the exponent of all intensities
GRAIN = (0.02, 0.08)  # and the standard deviation of its noise


class Split(NamedTuple):
    """The subjects' seeds and the heights that one part of the population consists of."""

    seeds: range
    heights_mm: tuple[int, ...]


# Training stays clear of the held-out slab by more than twice the largest displacement upwards.
_SLAB = tuple(range(20, 31, SLICE_GAP_MM))
_HEIGHTS = (*range(-16, 11, SLICE_GAP_MM), *range(40, 59, SLICE_GAP_MM))
SPLITS = {
    "train": Split(range(0, 10_000), _HEIGHTS),
    "validation": Split(range(10_000, 11_000), _HEIGHTS),
    "test": Split(range(11_000, 12_000), _HEIGHTS),
    "held_out_slab": Split(range(12_000, 13_000), _SLAB),
}


def brain_population(
    split: Literal["train", "validation", "test", "held_out_slab"],
    subjects: int,
    slices: int = 4,
    size: int = 128,
    *,
    first: int = 0,
) -> Float[torch.Tensor, "images 1 size size"]:
    """T1-weighted slices of unseen deformations of the brain, `slices` of each subject, one subject after another.

    Args:
        split: "train", "validation", "test" (all three at the same heights, no subject in common), or
            "held_out_slab": subjects of its own, at heights from which no other split shows anything.
        subjects: how many subjects.
        slices: how many heights of each, drawn without repetition from the split's.
        size: pixels a side, for a field of view of 256 mm.
        first: the first subject, counted from 0 within the split.

    Returns:
        float32 in [0, 1], (subjects·slices, 1, size, size), the largest value of each slice 1; the front of the
        head up. The same arguments give the same images.

    Raises:
        InputError: another split, more subjects or slices than it has, a size outside 2 to 256.
    """
    seeds, heights = _split(split)
    expect.count("the number of subjects", subjects)
    expect.count("the first subject", first, least=0)
    if first + subjects > len(seeds):
        raise expect.InputError(f"expected at most the {len(seeds)} subjects of {split}, got {first + subjects}")
    if expect.count("the number of slices", slices) > len(heights):
        raise expect.InputError(f"expected at most {len(heights)} slices a subject, got {slices}")
    return torch.cat([_some_slices(seeds[first + i], heights, slices, size) for i in range(subjects)])


def _split(name: str) -> Split:
    if name not in SPLITS:
        raise expect.InputError(f"expected the split among {', '.join(SPLITS)}, got {expect.describe(name)}")
    return SPLITS[name]


def _some_slices(seed: int, heights: Sequence[int], slices: int, size: int) -> torch.Tensor:
    order = torch.randperm(len(heights), generator=torch.Generator().manual_seed(seed))
    return brain_subject(seed, [heights[i] for i in order[:slices]], size)


def brain_subject(seed: int, heights_mm: Sequence[float], size: int = 128) -> Float[torch.Tensor, "slices 1 size size"]:
    """Axial slices of the one subject that belongs to a seed.

    Args:
        seed: which subject; the same deformation, contrast and bias field in all of its slices.
        heights_mm: MNI z coordinates of the slices.
        size: pixels a side, for a field of view of 256 mm.

    Returns:
        float32 in [0, 1], (slices, 1, size, size).
    """
    return _subject(seed, heights_mm, size, torch.Generator().manual_seed(seed)).image


@dataclass(frozen=True)
class BrainTissue:
    """Slices of one subject, and the tissue of each pixel.

    Attributes:
        image: T1-weighted, float32 in [0, 1], (slices, 1, size, size).
        labels: 0 for everything else, 1 for grey and 2 for white matter, (slices, size, size): the one with the
            largest share of the pixel.
    """

    image: Float[torch.Tensor, "slices 1 size size"]
    labels: Int[torch.Tensor, "slices size size"]


def brain_tissue(
    split: Literal["train", "validation", "test", "held_out_slab"],
    index: int,
    heights_mm: Sequence[float],
    size: int = 128,
    *,
    other_scanner: bool = False,
) -> BrainTissue:
    """T1-weighted slices of one deformed brain, with the grey and white matter that they show.

    The tissue maps are deformed with the image, so image and labels fit exactly: no expert's hand has drawn them, and
    no expert's disagreement is in them.

    Args:
        split: as in `brain_population`; its subjects are the same people.
        index: which subject of the split, from 0.
        heights_mm: MNI z coordinates of the slices; 2 mm apart they are a volume of cubes at 128 pixels.
        size: pixels a side, for a field of view of 256 mm.
        other_scanner: whether contrast and noise are another scanner's: intensities to a power between 0.65 and 1.55,
            and white noise of a standard deviation between 0.02 and 0.08, both drawn for the subject.

    Raises:
        InputError: another split, an index that it does not have, a size outside 2 to 256.
    """
    seeds = _split(split).seeds
    if expect.count("the index", index, least=0) >= len(seeds):
        raise expect.InputError(f"expected the index below {len(seeds)}, got {index}")
    generator = torch.Generator().manual_seed(seeds[index])
    tissue = _subject(seeds[index], heights_mm, size, generator)
    if not other_scanner:
        return tissue
    gamma, grain = (low + (high - low) * float(torch.rand((), generator=generator)) for low, high in (GAMMA, GRAIN))
    noise = torch.randn(tissue.image.shape, generator=generator)
    return BrainTissue((tissue.image**gamma + grain * noise).clamp(0, 1), tissue.labels)


def _subject(seed: int, heights_mm: Sequence[float], size: int, generator: torch.Generator) -> BrainTissue:
    expect.count("the subject's seed", seed, least=0)
    if expect.image_size(size) > 256:
        raise expect.InputError(f"expected a size of at most 256 pixels, got {size}")
    heights = torch.tensor(list(heights_mm), dtype=torch.float32)
    points = _grid(heights, size)
    t1, grey, white = _sample(points + displacement(points, generator))
    grey_gain, white_gain, *slope = _uniform(5, generator)
    x = t1 * (1 + CONTRAST * (grey_gain * grey + white_gain * white))
    x = x * (1 + BIAS * (points @ torch.stack(slope)) / (FIELD_OF_VIEW_MM / 2))
    x = (x / x.amax(dim=(1, 2), keepdim=True).clamp(min=1e-6))[:, None].clamp(0, 1)
    return BrainTissue(x, torch.stack([1 - grey - white, grey, white]).argmax(0))


def displacement(
    points: Float[torch.Tensor, "*batch 3"], generator: torch.Generator
) -> Float[torch.Tensor, "*batch 3"]:
    """How far a random subject's anatomy lies from the average's, in mm: a turn, a change of size, and plane waves.

    The waves' amplitudes add up to `REACH_MM`, so no point moves further than that by them; turn and size leave
    heights as they are.

    Args:
        points: (..., 3), in mm to the right, to the front and upwards.
        generator: the source of the subject's randomness.
    """
    turn, width, depth = _uniform(3, generator) * torch.tensor([TURN, SCALE, SCALE])
    matrix = torch.stack([turn.cos() * (1 + width) - 1, -turn.sin(), turn.sin(), turn.cos() * (1 + depth) - 1])
    across = torch.cat([points[..., :2] @ matrix.reshape(2, 2).T, torch.zeros_like(points[..., :1])], dim=-1)

    directions = F.normalize(torch.randn(WAVES, 3, generator=generator), dim=1)
    shortest, longest = WAVELENGTH_MM
    wavelengths = shortest + (longest - shortest) * torch.rand(WAVES, 1, generator=generator)
    phases = points @ (2 * torch.pi * directions / wavelengths).T
    offsets = 2 * torch.pi * torch.rand(WAVES, 3, generator=generator)
    waves = torch.cos(phases[..., None] + offsets).mean(dim=-2)
    return across + waves * torch.tensor(REACH_MM)


def _uniform(n: int, generator: torch.Generator) -> torch.Tensor:
    """n numbers, uniform in [-1, 1]."""
    return 2 * torch.rand(n, generator=generator) - 1


def _grid(heights: torch.Tensor, size: int) -> torch.Tensor:
    """Points (slices, size, size, 3) in mm from the centre of the image; z in MNI coordinates."""
    side = (torch.arange(size) - (size - 1) / 2) * (FIELD_OF_VIEW_MM / size)
    z, y, x = torch.meshgrid(heights, -side, side, indexing="ij")
    return torch.stack([x, y, z], dim=-1)


@cache
def _anatomy() -> torch.Tensor:
    """T1, grey and white matter as one volume (1, 3, heights, 256, 256), one millimetre a voxel."""
    lowest, highest = _HEIGHTS[0] - 2 * REACH_MM[2], _HEIGHTS[-1] + 2 * REACH_MM[2]
    maps = brain_anatomy(range(lowest, highest + 1), 256)
    return torch.stack([maps[name][:, 0] for name in ("t1", "grey_matter", "white_matter")])[None]


def _sample(points: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """T1, grey and white matter at points (..., 3) in mm, trilinear."""
    volume = _anatomy()
    depth, size = volume.shape[2], volume.shape[-1]
    lowest = _HEIGHTS[0] - 2 * REACH_MM[2]
    x, y, z = points.unbind(-1)
    # grid_sample counts from -1 at the first voxel to 1 at the last
    half = (size - 1) / 2
    place = torch.stack([x / half, -y / half, 2 * (z - lowest) / (depth - 1) - 1], dim=-1)
    return F.grid_sample(volume, place[None], align_corners=True)[0].unbind(0)
