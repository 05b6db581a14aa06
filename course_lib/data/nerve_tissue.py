"""Nerve tissue under the electron microscope, made up: cells, membranes between them, organelles, artefacts.

The model is the 2012 segmentation challenge of the *Drosophila* ventral nerve cord (Cardona and others 2010; Arganda-
Carreras and others 2015): sections of 512 × 512 pixels of 4 nm, thirty of them to learn from. What is taken from it:

- cells of very different size fill the plane, and only thin dark membranes part them,
- a membrane is some 10 nm thick; cut obliquely it is wide and pale,
- inside the cells lie mitochondria with a dark wall and dark folds, and vesicles: as dark as a membrane, and none,
- the illumination is uneven, and the beam charges the section: bright bands along the lines of the scan.

What is not there: a third dimension, synapses, stain that failed, and sections that are torn or folded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt, label

from course_lib import expect
from course_lib.data.power_law import gaussian_images, power_law_spectrum
from course_lib.data.splits import Split, generator_of

CELLS_A_MEGAPIXEL = 700
BEND = 14.0  # pixels: how far the plane is bent
THIN, WIDE = 2.5, 9.0  # width in pixels of a membrane cut straight and of one cut obliquely
CYTOPLASM, MEMBRANE = 0.66, 0.24  # grey values
GRAIN = 0.07  # standard deviation of the white noise
VESICLE_AREA = 70  # pixels: vesicles are rounds with a radius of 2.5 to 4.5, mitochondria are larger

Plane = Float[torch.Tensor, "height width"]


@dataclass(frozen=True)
class NerveTissue:
    """An image of nerve tissue, and what is where in it.

    Attributes:
        image: grey values in [0, 1], (1, 1, height, width).
        membrane: the label, 1 on membranes and 0 inside cells, (1, 1, height, width).
        cells: the cell that each pixel belongs to, (height, width); borders belong to the nearer one.
        organelles: where mitochondria and vesicles are, (height, width).
    """

    image: Float[torch.Tensor, "1 1 height width"]
    membrane: Float[torch.Tensor, "1 1 height width"]
    cells: Int[torch.Tensor, "height width"]
    organelles: Bool[torch.Tensor, "height width"]

    @property
    def vesicles(self) -> Float[torch.Tensor, "1 1 height width"]:
        """The label of the small organelles, those of less than 70 pixels: about 1.5 % of a section."""
        pieces, count = label(self.organelles.numpy())
        area = torch.from_numpy(pieces).flatten().bincount(minlength=count + 1)
        small = (area < VESICLE_AREA) & (torch.arange(count + 1) > 0)
        return small[torch.from_numpy(pieces)].float()[None, None]


def nerve_tissue(split: Split, index: int, size: tuple[int, int] = (512, 512)) -> NerveTissue:
    """One section of a split; the same arguments give the same image.

    Args:
        split: "train", "validation" or "test"; no section is in two of them. The course learns from the first thirty.
        index: which one, from 0.
        size: height and width in pixels of 4 nm, each from 64.

    Raises:
        InputError: another split, an index that it does not have, a size too small.
    """
    generator = generator_of(split, index)
    height, width = (expect.image_size(side, least=64) for side in size)
    cells, distance, width_here, darkness = _borders(height, width, generator)
    # dark in the middle, with a soft rim; an oblique cut spreads the same stain over a wider band
    profile = torch.sigmoid((width_here / 2 - distance) / 0.7)
    tissue = _cytoplasm(cells, generator)
    organelles, tissue = _organelles(cells, distance - width_here / 2, tissue, generator)
    tissue = tissue + (MEMBRANE - tissue) * profile * darkness
    image = _microscope(tissue, generator)
    membrane = (distance < width_here / 2).float()
    return NerveTissue(image[None, None], membrane[None, None], cells, organelles)


def _between(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _smooth(height: int, width: int, exponent: float, generator: torch.Generator, count: int = 1) -> torch.Tensor:
    """(count, height, width) Gaussian fields of unit deviation whose power falls with the frequency."""
    side = max(height, width)
    fields = gaussian_images(power_law_spectrum(side, exponent, 1.0, 0.0), count, generator)[:, 0].float()
    return fields[:, :height, :width]


def _borders(
    height: int, width: int, generator: torch.Generator
) -> tuple[Int[torch.Tensor, "h w"], Plane, Plane, Plane]:
    """Cells, and for each pixel the distance to the nearest border, that border's width, and how dark it is.

    A pixel belongs to the seed whose distance, less the seed's own radius, is the least: cells that begin at different
    times and grow equally fast (Johnson and Mehl 1939). The plane is bent before, so that borders are curved.
    """
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    bend = BEND * _smooth(height, width, 5.0, generator, 2) + _smooth(height, width, 3.0, generator, 2)
    place = torch.stack([rows + bend[0], columns + bend[1]], dim=-1)
    margin = 60
    area = (height + 2 * margin) * (width + 2 * margin)
    count = max(4, round(area * CELLS_A_MEGAPIXEL / 1e6))
    seeds = torch.rand(count, 2, generator=generator) * torch.tensor([height + 2 * margin, width + 2 * margin]) - margin
    radius = 26 * torch.rand(count, generator=generator).square()  # few cells are large
    cells = (torch.cdist(place.reshape(-1, 2), seeds) - radius).argmin(dim=1).reshape(height, width)
    pair = torch.full((height, width), -1)
    for axis in (0, 1):  # a border pixel knows the two cells that meet there
        there = cells.roll(-1, axis)
        meets = cells != there
        meets.select(axis, -1).fill_(False)
        pair[meets] = (cells.minimum(there) * count + cells.maximum(there))[meets]
    distance, nearest = distance_transform_edt((pair < 0).numpy(), return_indices=True)
    pairs, which = pair[tuple(torch.from_numpy(nearest).long())].unique(return_inverse=True)
    # each pair of neighbours has a membrane of its own, cut straight or obliquely
    oblique = torch.rand(len(pairs), generator=generator) ** 3
    widths = THIN + (WIDE - THIN) * oblique
    darkness = 1 - 0.62 * oblique - 0.15 * torch.rand(len(pairs), generator=generator)
    return cells, torch.from_numpy(distance).float(), widths[which], darkness[which]


def _cytoplasm(cells: Int[torch.Tensor, "height width"], generator: torch.Generator) -> Plane:
    """Each cell has a grey value of its own, and a fine texture."""
    own = 0.06 * torch.randn(int(cells.max()) + 1, generator=generator)
    texture = _smooth(*cells.shape, 1.6, generator)[0]
    return CYTOPLASM + own[cells] + 0.055 * texture


def _organelles(
    cells: Int[torch.Tensor, "height width"], inside: Plane, tissue: Plane, generator: torch.Generator
) -> tuple[Bool[torch.Tensor, "height width"], Plane]:
    """Mitochondria and vesicles, each in the free middle of a cell; none crosses a membrane."""
    height, width = tissue.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    taken = torch.zeros(height, width, dtype=torch.bool)
    free = torch.rand(60 * max(1, height * width // 50_000), 2, generator=generator)
    for u, v in free.tolist():
        row, column = int(u * height), int(v * width)
        room = float(inside[row, column])
        if room < 5 or taken[row, column]:
            continue
        mitochondrion = room > 12 and torch.rand((), generator=generator) < 0.7
        long = min(room - 2, _between(11, 24, generator)) if mitochondrion else _between(2.5, 4.5, generator)
        short = long * (_between(0.5, 0.9, generator) if mitochondrion else 1.0)
        angle = _between(0, math.pi, generator)
        y, x = rows - row, columns - column
        along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        r = torch.hypot(along / long, across / short)
        body = r < 1
        if bool((taken & body).any()):
            continue
        wall = torch.exp(-(((1 - r) * short / 1.3) ** 2))
        if mitochondrion:
            phase = _between(0, 6, generator)
            folds = torch.sigmoid(3 * (torch.sin(along * _between(0.7, 1.1, generator) + phase + 0.15 * across) - 0.3))
            dark = torch.maximum(wall, 0.75 * folds * (r < 0.85)) * 0.95
            tissue = tissue - 0.10 * body
        else:
            dark = wall * _between(0.5, 0.95, generator)
        tissue = tissue + (MEMBRANE - tissue) * dark * (r < 1.25)
        taken |= body
    return taken, tissue


def _microscope(tissue: Plane, generator: torch.Generator) -> Plane:
    """Blur, uneven illumination, charging, and the grain of few electrons."""
    height, width = tissue.shape
    offset = torch.arange(-3, 4)
    kernel = torch.exp(-(offset**2) / (2 * 0.8**2))
    kernel = kernel / kernel.sum()
    soft = F.pad(tissue[None, None], (3, 3, 3, 3), mode="reflect")
    soft = F.conv2d(F.conv2d(soft, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[0, 0]
    light, contrast = _smooth(height, width, 3.5, generator, 2)
    image = 0.5 + (soft - 0.5) * (1 + 0.12 * contrast) + 0.07 * light
    for _ in range(1 + int(torch.randint(0, 4, (), generator=generator))):
        row, thick = _between(0, height, generator), _between(2, 12, generator)
        begin, fade = _between(-0.3, 0.7, generator) * width, _between(40, 200, generator)
        band = torch.exp(-(((torch.arange(height) - row) / thick) ** 2))[:, None]
        tail = torch.sigmoid((torch.arange(width) - begin) / 12) * torch.exp(
            -(torch.arange(width) - begin).clamp(min=0) / (2 * fade)
        )
        image = image + _between(0.08, 0.25, generator) * band * tail
    return (image + GRAIN * torch.randn(height, width, generator=generator)).clamp(0, 1)
