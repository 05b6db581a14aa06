"""What a figure's colours look like to people who see fewer of them, and which lines they could not tell apart."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Machado, Oliveira and Fernandes (2009), table 1, severity 1: linear RGB as it is → as it is seen.
DEFICIENCIES = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
LEAST_DIFFERENCE = 10.0  # CIEDE2000: several times what is barely seen


def as_seen(colour: object, deficiency: str) -> np.ndarray:
    """A colour, or an array of colours (..., 3) in sRGB, as it is seen with one of DEFICIENCIES."""
    rgb = np.asarray(to_rgb(colour) if isinstance(colour, str) else colour, dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(DEFICIENCIES[deficiency]).T, 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


def difference(one: object, other: object, deficiency: str | None = None) -> float:
    """How different two colours are, CIEDE2000, with full colour vision or with a deficiency."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    if deficiency is not None:
        one, other = as_seen(one, deficiency), as_seen(other, deficiency)
    pair = [np.asarray(to_rgb(c) if isinstance(c, str) else c, dtype=float)[None, None] for c in (one, other)]
    return float(deltaE_ciede2000(*map(rgb2lab, pair))[0, 0])


def told_apart(one: object, other: object) -> bool:
    """Whether two colours differ clearly with every kind of colour vision."""
    return all(difference(one, other, kind) >= LEAST_DIFFERENCE for kind in (None, *DEFICIENCIES))


def confusable(figure: Figure) -> list[str]:
    """What somebody could not tell apart in a figure; empty if nothing.

    Named lines of one panel must differ in line style or marker, or clearly in colour; named bars and areas in
    colour or hatching. A colour map must grow steadily lighter or darker, or have two sides that differ clearly.
    """
    return [words for ax in figure.axes for words in (*_lines(ax), *_areas(ax), *_maps(ax))]


def _lines(ax: Axes) -> list[str]:
    named = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    return [
        f"the lines {a.get_label()!r} and {b.get_label()!r} differ by their colours alone"
        for a, b in combinations(named, 2)
        if (a.get_linestyle(), a.get_marker()) == (b.get_linestyle(), b.get_marker())
        and not told_apart(to_rgb(a.get_color()), to_rgb(b.get_color()))
    ]


def _areas(ax: Axes) -> list[str]:
    handles, labels = ax.get_legend_handles_labels()
    areas = {}
    for handle, label in zip(handles, labels, strict=True):
        patch = handle.patches[0] if hasattr(handle, "patches") and len(handle.patches) else handle
        if isinstance(patch, mpl.patches.Patch):
            areas[label] = (patch.get_hatch(), to_rgb(patch.get_facecolor()))
    return [
        f"the areas {a!r} and {b!r} differ by their colours alone"
        for a, b in combinations(areas, 2)
        if areas[a][0] == areas[b][0] and not told_apart(areas[a][1], areas[b][1])
    ]


def _maps(ax: Axes) -> list[str]:
    found = []
    for image in ax.get_images():
        if np.ndim(image.get_array()) == 2 and not _readable(image.cmap):
            found.append(f"the colour map {image.cmap.name} is not read without colours")
    return found


def _readable(cmap: mpl.colors.Colormap) -> bool:
    from skimage.color import rgb2lab

    colours = cmap(np.linspace(0, 1, 33))[:, :3]
    for kind in DEFICIENCIES:
        lightness = rgb2lab(as_seen(colours, kind)[None])[0, :, 0]
        halves = lightness[:17], lightness[16:]
        two_sides = difference(colours[2], colours[-3], kind) >= 2 * LEAST_DIFFERENCE
        if not _steady(lightness) and not (two_sides and all(map(_steady, halves))):
            return False
    return True


def _steady(lightness: np.ndarray) -> bool:
    steps = np.diff(lightness)
    return bool((steps > -0.5).all() or (steps < 0.5).all())
