"""A folder of the user's images, made ready for a recipe that learns from patches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float

from course_lib import expect
from course_lib.data import centre_crop

Image = Float[torch.Tensor, "1 height width"]

VALIDATION_SHARE = 0.2


def held_out(count: int) -> int:
    """How many of the user's files, the last ones, are for validation: a fifth, and one at least."""
    return max(1, round(VALIDATION_SHARE * count))


def own_images(
    files: list[Path], read: Callable[[Path], Image], patch: int
) -> tuple[list[Image], Float[torch.Tensor, "batch 1 side side"]]:
    """Grey images to learn from, and of the last fifth central squares of one size to validate on.

    Args:
        files: in the alphabet's order.
        read: a file's image.
        patch: the least side in pixels.

    Raises:
        InputError: fewer than two files, one that cannot be read, is smaller than a patch, or is black.
    """
    if len(files) < 2:
        where = f" in {files[0].parent}" if files else ""
        raise expect.InputError(f"expected at least 2 images{where}, one to learn from and one to validate on")
    images = [read(path) for path in files]
    for path, image in zip(files, images, strict=True):
        if min(image.shape[-2:]) < patch:
            size = f"{image.shape[-2]}×{image.shape[-1]}"
            raise expect.InputError(f"expected images of at least {patch}×{patch} pixels, got {path} with {size}")
        if image.amax() <= 0:
            raise expect.InputError(f"expected images with something in them, got {path}, which is black")
    count = held_out(len(images))
    side = min(256, *(side for image in images[-count:] for side in image.shape[-2:]))
    return images[:-count], torch.stack([centre_crop(image, (side, side)) for image in images[-count:]])
