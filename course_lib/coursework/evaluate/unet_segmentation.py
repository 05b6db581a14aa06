"""`course evaluate unet_segmentation`: learn from most images of a folder, and segment those that are held out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import expect
from course_lib.coursework.evaluate.framework import Evaluation, Row
from course_lib.display.progress import progress_bar, say

if TYPE_CHECKING:
    import torch
    from torch import nn

    from course_lib.data import SegmentedImage

    Segmentation = Callable[[torch.Tensor], torch.Tensor]  # (slices, 1, height, width) → its mask

RECIPES = {"fcn": "fcn_segmentation", "unet": "unet_segmentation"}
PERCENTILE = 95.0
NAMED = 8  # images in a message
SLICES = 4  # of a volume that a network segments at a time


def measured_rows(
    folder: Path, seed: int, foreground: int | None, voxel_mm: str | None, steps: int, weights: str | None
) -> list[Row]:
    """Threshold, FCN and U-Net: their overlap with the labels of the held-out images, and the distance of outlines.

    The held-out images are those on which `course train --data` validates, and nothing is chosen by them.
    """
    from course_lib import networks
    from course_lib.training import find_recipe
    from course_lib.training.own_images import own_segmented_images

    sides = voxel_sides(voxel_mm)
    expect.count("--steps", steps, least=0)
    own = None if weights is None else networks.load_weights(find_recipe(RECIPES["unet"]).network(), weights)
    training, held = own_segmented_images(folder, foreground)
    spacings = _spacings(held, sides)
    methods = _methods(training, seed, steps, own)
    values: dict[tuple[str, str], list[float]] = {}
    with progress_bar(len(methods) * len(held), "held out", "image") as bar:
        for image, spacing in zip(held, spacings, strict=True):
            for method, segment in methods.items():
                for metric, value in _measures(segment(image.image), image, spacing).items():
                    values.setdefault((method, metric), []).append(value)
                bar.update()
    order = list(methods)
    return [
        Row(method, "held_out", metric, sum(found) / len(found), len(found))
        for (method, metric), found in sorted(values.items(), key=lambda item: order.index(item[0][0]))
    ]


def voxel_sides(text: str | None) -> tuple[float, ...] | None:
    """The sides of a pixel in mm from "0.5", or (slice, row, column) from "3,0.9,0.9", or (row, column).

    Raises:
        InputError: not one, two or three numbers above 0.
    """
    if text is None:
        return None
    try:
        sides = tuple(float(side) for side in text.split(","))
    except ValueError:
        sides = ()
    if not 1 <= len(sides) <= 3 or not all(math.isfinite(side) and side > 0 for side in sides):
        raise expect.InputError(
            "expected --voxel-mm as the side of a pixel in mm, such as 0.5, or as row and column, or as slice, row and "
            f"column, such as 3,0.9,0.9, got {text!r}"
        )
    return sides


def _spacings(held: list[SegmentedImage], sides: tuple[float, ...] | None) -> list[tuple[float, ...] | None]:
    """For each image the voxel's sides in mm, all 1 where distances are in pixels, or None where there is no distance.

    Distances in pixels and in mm are never averaged: pixels are taken only where no image tells its sides.
    """
    found = [image.spacing_mm or _given(image, sides) for image in held]
    if not any(found):
        say("no held-out image tells the size of its pixels: distances are in pixels; --voxel-mm gives the size")
        return [(1.0,) * _dimensions(image) for image in held]
    without = [image.name for image, spacing in zip(held, found, strict=True) if spacing is None]
    if without:
        more = f" and {len(without) - NAMED} more" if len(without) > NAMED else ""
        names = ", ".join(without[:NAMED]) + more
        say(f"left out of the distances, which are in mm: the size of a pixel is not known of {names}")
    return [spacing and spacing[-_dimensions(image) :] for image, spacing in zip(held, found, strict=True)]


def _given(image: SegmentedImage, sides: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """What --voxel-mm says of an image."""
    dimensions = _dimensions(image)
    if sides is None or len(sides) == 1:
        return sides and sides * dimensions
    if len(sides) < dimensions:
        raise expect.InputError(f"expected --voxel-mm with one number or three for a volume, got two for {image.name}")
    return sides[-dimensions:]


def _dimensions(image: SegmentedImage) -> int:
    return 3 if len(image.image) > 1 else 2


def _methods(training: list[SegmentedImage], seed: int, steps: int, own: nn.Module | None) -> dict[str, Segmentation]:
    """Fitted to the training images, or learned before; `own` is a U-Net that takes the place of ours."""
    from course_lib import classical
    from course_lib.training import shipped_network

    trained: dict[str, nn.Module] = {}
    for method, name in RECIPES.items():
        if method == "unet" and own is not None:
            trained[method] = own
        elif steps > 0:
            trained[method] = _learn(name, training, seed, steps)
        else:
            trained[method] = shipped_network(name)
            say(f"{method}: the weights that come with the course, which have learned from generated nerve tissue")
    threshold = classical.best_threshold([image.image for image in training], [image.mask for image in training])
    say(f"threshold: the foreground is {'not ' if threshold.dark else ''}brighter than {threshold.level:.3f}")
    return {"threshold": threshold} | {method: _by(network) for method, network in trained.items()}


def _learn(name: str, training: list[SegmentedImage], seed: int, steps: int) -> nn.Module:
    """A network from scratch; it is validated on an image that it learns from, so that the others stay unseen."""
    from course_lib.training import train
    from course_lib.training.recipes.unet_segmentation import recipe_on_images

    result = train(replace(recipe_on_images(name, training, training[:1]), seed=seed), steps=steps)
    if result.interrupted:
        raise KeyboardInterrupt
    return result.network


def _by(network: nn.Module) -> Segmentation:
    """Where the probability of foreground is above one half; volumes go slice by slice."""
    import torch

    from course_lib import networks

    return lambda image: torch.cat([networks.segment(network, part) > 0.5 for part in image.split(SLICES)])


def _measures(found: torch.Tensor, image: SegmentedImage, spacing: tuple[float, ...] | None) -> dict[str, float]:
    """One number each for the whole image; a volume's overlap and distances are in 3-D."""
    from course_lib import metrics

    if _dimensions(image) == 3:
        masks = [mask.transpose(0, 1)[None] for mask in (found, image.mask)]  # slices are a dimension of space
    else:
        masks = [found, image.mask]
    values = {name: getattr(metrics, name)(*masks) for name in ("dice", "iou", "pixel_accuracy")}
    if spacing is not None:
        values["hausdorff95"] = metrics.hausdorff(*masks, spacing, PERCENTILE)
        values["asd"] = metrics.average_surface_distance(*masks, spacing)
    return {name: float(value) for name, value in values.items()}


EVALUATION = Evaluation(measured_rows, {"foreground": None, "voxel_mm": None, "steps": 300, "weights": None})
