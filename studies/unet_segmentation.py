"""Module 06: what augmentation is worth with few images, and which loss finds what is rare."""

from __future__ import annotations

from functools import cache

import torch

from course_lib.data import NerveTissue, nerve_tissue
from course_lib.metrics import dice
from course_lib.networks import UNet, segment
from course_lib.training import train
from course_lib.training.augmentation import MEMBRANES
from course_lib.training.recipes.unet_segmentation import Sections, recipe
from course_lib.training.studies import Study

SEEDS = (0, 1, 2)
STEPS = 400
RARE_STEPS = 800  # after 400 the cross-entropy had found no vesicle at all
PATCH = 96
WIDTH = 8
THRESHOLDS = [k / 20 for k in range(1, 20)]


@cache
def sections(split: str, count: int, side: int) -> list[NerveTissue]:
    return [nerve_tissue(split, index, (side, side)) for index in range(count)]


def learn(training: Sections, validation: Sections, seed: int, steps: int = STEPS, **options: object) -> UNet:
    """A small U-Net."""
    made = recipe(
        "study", lambda: UNet(1, 1, WIDTH, 3, batch_norm=True), training=lambda: training,
        validation=lambda: validation, patch=PATCH, steps=steps, seed=seed, **options,
    )  # fmt: skip
    return train(made).network


def augmentation(images: int, augmented: bool, seed: int) -> dict[str, float]:
    """Dice of membranes on sections that no run has seen."""
    training = [(s.image[0], s.membrane[0]) for s in sections("train", images, 128)]
    test = sections("test", 8, 256)
    network = learn(training, training[:1], seed, augmentation=MEMBRANES if augmented else None)
    image, label = (torch.cat(part) for part in zip(*((s.image, s.membrane) for s in test), strict=True))
    return {"dice": float(dice(segment(network, image) > 0.5, label > 0.5).mean())}


def rare_foreground(loss: str, seed: int) -> dict[str, float]:
    """Dice of vesicles: at a probability of one half, and at the threshold that validation sections prefer."""
    training, validation, test = (
        [(s.image[0], s.vesicles[0]) for s in sections(split, count, 256)]
        for split, count in (("train", 30), ("validation", 8), ("test", 8))
    )
    network = learn(training, validation, seed, RARE_STEPS, losses=(loss,))

    def dices(part: Sections) -> dict[float, float]:
        image, label = (torch.stack(v) for v in zip(*part, strict=True))
        p = segment(network, image)
        return {t: float(dice(p > t, label > 0.5).mean()) for t in THRESHOLDS}

    on_validation, on_test = dices(validation), dices(test)
    best = max(on_validation, key=on_validation.get)
    return {"dice": on_test[0.5], "threshold": best, "dice_tuned": on_test[best]}


STUDIES = (
    Study(
        name="unet_augmentation",
        question="How much does augmentation add to the Dice overlap, with 1, 3, 10 and 30 training images?",
        runs=[
            {"images": n, "augmented": a, "seed": seed} for n in (1, 3, 10, 30) for a in (False, True) for seed in SEEDS
        ],
        measure=augmentation,
        constants={"steps": STEPS, "width": WIDTH, "training image": "128×128 pixels", "test": "8 of 256×256"},
    ),
    Study(
        name="unet_rare_foreground",
        question="Which loss finds vesicles, one or two pixels in a hundred?",
        runs=[{"loss": loss, "seed": seed} for loss in ("bce", "dice") for seed in SEEDS],
        measure=rare_foreground,
        constants={"steps": RARE_STEPS, "width": WIDTH, "training images": "30 of 256×256", "test": "8 of 256×256"},
    ),
)
