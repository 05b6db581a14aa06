"""Mammograms made from published statistics: outline, compressed thickness, parenchyma, masses, microcalcifications.

The image is the attenuation of the compressed breast, in the view from above: 0 is air, 1 lets `exp(-OPTICAL_DEPTH)`
of the photons through (`course_lib.physics.transmission`). What is taken from the literature:

- the texture is Gaussian with a power spectrum that falls as 1/frequency³ (Burgess 1999, and Heine and others),
- a mass has the profile (1 − r²/R²)^1.5 (Burgess, Jacobson and Judy 2001),
- microcalcifications come in clusters of 5 or more within a square centimetre and are 0.1 to 1 mm wide,
- a compressed breast is equally thick except near the skin, where its edge is round.

What is not there: the pectoral muscle of the oblique view, vessels, the nipple, scatter, and disease. A number measured
on these images is no clinical one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float

from course_lib import expect
from course_lib.data.power_law import gaussian_images, power_law_spectrum
from course_lib.data.splits import Split, generator_of

PIXEL_MM = 0.2  # as in mini-MIAS
EDGE_MM = 12.0  # from the skin to where the breast is as thick as between the plates
SKIN_MM = 1.5
FAT, GLAND, SKIN = 0.42, 0.24, 0.06  # attenuation of fat; how much gland and skin add to it
TEXTURE = 0.05  # standard deviation of the power-law texture
STRAND = 0.035  # what a strand adds where the tissue is glandular
MASS_MM, MASS_CONTRAST = (3.0, 8.0), (0.05, 0.12)  # radius
CLUSTER_MM, CLUSTER_COUNT = 5.0, (6, 15)  # radius of a cluster, calcifications in it
CALCIFICATION_MM, CALCIFICATION_CONTRAST = (0.25, 0.6), (0.05, 0.16)  # width at half of its height


@dataclass(frozen=True)
class Mammogram:
    """A mammogram, and what is where in it.

    Attributes:
        image: attenuation in [0, 1], (1, 1, height, width), 0.2 mm a pixel; the chest wall is the left border.
        breast: where the breast is.
        parenchyma: the part of full thickness, clear of masses and calcifications.
        masses: (count, 3), each one's row, column and radius in pixels.
        calcifications: (count, 3), each one's row, column and width at half of its height, in pixels.
    """

    image: Float[torch.Tensor, "1 1 height width"]
    breast: Bool[torch.Tensor, "height width"]
    parenchyma: Bool[torch.Tensor, "height width"]
    masses: Float[torch.Tensor, "masses 3"]
    calcifications: Float[torch.Tensor, "calcifications 3"]


def mammogram(
    split: Split,
    index: int,
    size: tuple[int, int] = (512, 384),
    *,
    lesions: bool = True,
) -> Mammogram:
    """The mammogram of one woman of a split; the same arguments give the same image.

    Args:
        split: "train", "validation" or "test"; no breast is in two of them.
        index: which one, from 0.
        size: height and width in pixels of 0.2 mm, each from 192.
        lesions: False leaves out masses and calcifications, and nothing else changes.

    Raises:
        InputError: another split, an index that it does not have, a size too small for a breast.
    """
    generator = generator_of(split, index)
    height, width = (expect.image_size(side, least=192) for side in size)
    place = _Places(height, width, generator)
    x = _tissue(place, generator)
    masses, calcifications = _masses(place, generator), _calcifications(place, generator)
    kept = place.depth > EDGE_MM
    if lesions:
        x = x + _mass_images(place, *masses) + _spots(place, *calcifications)
        kept &= _far_from(place, masses[0]) & _far_from(place, calcifications[0], 5.0)
    places = [p[0] if lesions else p[0][:0] for p in (masses, calcifications)]
    return Mammogram(x.clamp(0, 1)[None, None], place.depth > 0, kept, *places)


class _Places:
    """Where each pixel is: in mm from the chest wall's middle, below the skin, and around the nipple."""

    def __init__(self, height: int, width: int, generator: torch.Generator) -> None:
        self.height, self.width = height, width
        row = (torch.arange(height) - (height - 1) / 2) * PIXEL_MM
        column = torch.arange(width) * PIXEL_MM
        self.y, self.x = torch.meshgrid(row, column, indexing="ij")
        reach = width * PIXEL_MM * _between(0.78, 0.92, generator)
        half = height * PIXEL_MM / 2 * _between(0.8, 0.94, generator)
        angle = torch.atan2(self.y, self.x)
        outline = (angle.cos().abs() / reach) ** 2.3 + (angle.sin().abs() / half) ** 2.3
        ripple = sum(_between(-0.02, 0.02, generator) * torch.sin(n * angle) for n in (1, 2, 3))
        self.depth = outline ** (-1 / 2.3) * (1 + ripple) - torch.hypot(self.x, self.y)  # mm below the skin
        self.nipple = reach
        self.thickness = (1 - (1 - self.depth / EDGE_MM).clamp(0, 1) ** 2).sqrt()


def _tissue(place: _Places, generator: torch.Generator) -> torch.Tensor:
    """Fat, gland, texture and skin, times the share of the full thickness."""
    side = max(place.height, place.width)
    fields = gaussian_images(power_law_spectrum(side, 3.0, 1.0, 0.0), 2, generator)[:, 0].float()
    shape, texture = fields[:, : place.height, : place.width]
    # glandular tissue lies behind the nipple; its border follows the coarse part of a field of its own
    centre = place.nipple * _between(0.4, 0.55, generator)
    radius = place.nipple * _between(0.3, 0.5, generator)
    inside = 1 - torch.hypot(place.x - centre, place.y * 0.8) / radius
    gland = torch.sigmoid(4 * (inside + 0.7 * _coarse(shape)))
    strands = _strands(place, generator) * gland
    tissue = FAT + GLAND * gland + TEXTURE * texture + STRAND * strands
    skin = SKIN * torch.sigmoid((SKIN_MM - place.depth) / 0.3)
    return place.thickness * (tissue + skin)


def _coarse(field: torch.Tensor) -> torch.Tensor:
    """The part of a field that varies over some centimetres."""
    small = F.interpolate(field[None, None], size=(12, 9), mode="area")
    return F.interpolate(small, size=field.shape, mode="bicubic", align_corners=True)[0, 0]


def _strands(place: _Places, generator: torch.Generator) -> torch.Tensor:
    """Thin curves that run towards the nipple: where a random function, drawn out along the radius, is zero."""
    angle = torch.atan2(place.y, place.nipple - place.x) / math.pi  # about the nipple, from -1 to 1
    radius = torch.hypot(place.y, place.nipple - place.x) / place.nipple - 1
    noise = torch.randn(1, 1, 7, 90, generator=generator)
    there = torch.stack([angle, radius.clamp(-1, 1)], dim=-1)[None]
    value = F.grid_sample(noise, there, mode="bicubic", padding_mode="reflection", align_corners=True)[0, 0]
    return torch.exp(-((value / 0.12) ** 2))


def _masses(place: _Places, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """One or two masses: (row, column, radius) in pixels, and contrasts."""
    count = int(torch.randint(1, 3, (), generator=generator))
    radius = _uniform(count, MASS_MM, generator) / PIXEL_MM
    masses = torch.cat([_inside(place, count, generator), radius[:, None]], dim=1)
    return masses, _uniform(count, MASS_CONTRAST, generator)


def _calcifications(place: _Places, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Two clusters: (row, column, width) in pixels, and contrasts; wider ones have more."""
    found = []
    for centre in _inside(place, 2, generator):
        count = int(torch.randint(CLUSTER_COUNT[0], CLUSTER_COUNT[1] + 1, (), generator=generator))
        away = CLUSTER_MM / PIXEL_MM * torch.rand(count, generator=generator).sqrt()
        angle = 2 * math.pi * torch.rand(count, generator=generator)
        found.append(centre + torch.stack([away * angle.sin(), away * angle.cos()], dim=1))
    positions = torch.cat(found)
    share = torch.rand(len(positions), generator=generator)
    widths = _within(CALCIFICATION_MM, share) / PIXEL_MM
    return torch.cat([positions, widths[:, None]], dim=1), _within(CALCIFICATION_CONTRAST, share)


def _inside(place: _Places, count: int, generator: torch.Generator) -> torch.Tensor:
    """Rows and columns of pixels at least 8 mm within the part of full thickness."""
    deep = (place.depth > EDGE_MM + 8) & (place.x > 8)
    rows_columns = deep.nonzero()
    return rows_columns[torch.randint(len(rows_columns), (count,), generator=generator)].float()


def _distance(place: _Places, row_column: torch.Tensor) -> torch.Tensor:
    """In pixels."""
    rows, columns = torch.arange(place.height), torch.arange(place.width)
    return torch.hypot(rows[:, None] - row_column[0], columns[None, :] - row_column[1])


def _mass_images(place: _Places, masses: torch.Tensor, contrasts: torch.Tensor) -> torch.Tensor:
    return sum(
        contrast * (1 - (_distance(place, mass) / mass[2]).square()).clamp(min=0) ** 1.5
        for mass, contrast in zip(masses, contrasts, strict=True)
    )


def _spots(place: _Places, spots: torch.Tensor, contrasts: torch.Tensor) -> torch.Tensor:
    """Gaussians of the given widths at half of their height."""
    return sum(
        contrast * torch.exp(-4 * math.log(2) * (_distance(place, spot) / spot[2]).square())
        for spot, contrast in zip(spots, contrasts, strict=True)
    )


def _far_from(place: _Places, lesions: torch.Tensor, multiple: float = 1.0) -> torch.Tensor:
    """Pixels further from every lesion than a multiple of its size."""
    far = torch.ones(place.height, place.width, dtype=torch.bool)
    for lesion in lesions:
        far &= _distance(place, lesion) > multiple * lesion[2]
    return far


def _within(limits: tuple[float, float], share: torch.Tensor) -> torch.Tensor:
    return limits[0] + (limits[1] - limits[0]) * share


def _uniform(count: int, limits: tuple[float, float], generator: torch.Generator) -> torch.Tensor:
    return _within(limits, torch.rand(count, generator=generator))


def _between(low: float, high: float, generator: torch.Generator) -> float:
    return float(_uniform(1, (low, high), generator))
