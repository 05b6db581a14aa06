"""A folder of the user's images, parted into those to learn from and those that are held out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float

from course_lib import expect
from course_lib.data import SegmentedImage, centre_crop, segmented_images
from course_lib.display.progress import say

Image = Float[torch.Tensor, "1 height width"]

VALIDATION_SHARE = 0.2


def held_out(count: int) -> int:
    """How many of the user's files, the last ones, are for validation: a fifth, and one at least."""
    return max(1, round(VALIDATION_SHARE * count))


def own_segmented_images(
    folder: Path, foreground: int | None = None
) -> tuple[list[SegmentedImage], list[SegmentedImage]]:
    """Images with labels to learn from, and the last fifth, which is held out.

    What cannot be used is told on stderr and left out, and so is which images are held out.

    Args:
        folder: with `images/` and `labels/`; see `data.segmented_images`.
        foreground: the label's value in the foreground, if it has several.

    Raises:
        InputError: fewer than two usable images, or what `data.segmented_images` refuses.
    """
    images, problems = segmented_images(folder, foreground)
    for problem in problems:
        say(problem)
    if len(images) < 2:
        raise expect.InputError(
            f"expected at least 2 usable images in {folder}, one to learn from and one to hold out, got {len(images)}"
        )
    count = held_out(len(images))
    training, held = images[:-count], images[-count:]
    which = f"{held[0].name} to {held[-1].name}" if count > 1 else held[0].name
    say(f"held out: the last {count} of {len(images)} images, {which}")
    return training, held


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
