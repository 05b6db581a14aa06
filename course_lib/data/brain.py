"""Brain anatomy with tissue maps: the average of 152 people that comes inside nilearn's wheel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from jaxtyping import Float

from course_lib import expect

LOWEST_MM, HIGHEST_MM = -72, 116  # the template's axial extent, in MNI coordinates
_MAPS = {"t1": "load_mni152_template", "grey_matter": "load_mni152_gm_template",
         "white_matter": "load_mni152_wm_template"}  # fmt: skip


def brain_anatomy(
    heights_mm: Sequence[int] = (-10, 5, 20, 35, 50), size: int = 192
) -> dict[str, Float[torch.Tensor, "batch 1 size size"]]:
    """Axial slices of the ICBM 2009a template (Fonov et al. 2011), one millimetre a pixel.

    It is one average of 152 people, smoother than any one of them: say "deformations of an average", not
    "subjects", of whatever is made from it.

    Args:
        heights_mm: MNI z coordinates of the slices, whole millimetres from -72 to 116.
        size: pixels a side, from 2 to 256; the head's centre is the image's centre, with air around it.

    Returns:
        "t1" (intensity), "grey_matter" and "white_matter" (probability), each float32 in [0, 1] and of
        shape (batch, 1, size, size). Front of the head up, the person's left on the left.

    Raises:
        InputError: a height or a size outside its range.
    """
    expect.image_size(size)
    if size > 256:
        raise expect.InputError(f"expected a size of at most 256 pixels, got {size}")
    heights_mm = list(heights_mm) if isinstance(heights_mm, Sequence | range) else [heights_mm]
    if not heights_mm or any(not isinstance(h, int) or not LOWEST_MM <= h <= HIGHEST_MM for h in heights_mm):
        raise expect.InputError(
            f"expected heights as whole millimetres from {LOWEST_MM} to {HIGHEST_MM}, got {heights_mm!r}"
        )
    return {name: torch.stack([_axial(name, h, size) for h in heights_mm])[:, None].clone() for name in _MAPS}


@cache
def _volume(name: str) -> np.ndarray:
    from nilearn import datasets

    return getattr(datasets, _MAPS[name])(resolution=1).get_fdata(dtype=np.float32)


def _axial(name: str, height_mm: int, size: int) -> Float[torch.Tensor, "size size"]:
    plane = _volume(name)[:, :, height_mm - LOWEST_MM].T[::-1]  # rows from front to back
    tall = max(0, size - plane.shape[0]), max(0, size - plane.shape[1])
    plane = np.pad(plane, [(tall[0] // 2, tall[0] - tall[0] // 2), (tall[1] // 2, tall[1] - tall[1] // 2)])
    top, left = (plane.shape[0] - size) // 2, (plane.shape[1] - size) // 2
    return torch.from_numpy(plane[top : top + size, left : left + size].copy()).clamp(0, 1)
