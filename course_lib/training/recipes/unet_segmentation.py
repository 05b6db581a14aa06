"""Module 06: membranes of nerve tissue from thirty sections, grey and white matter of brains in 2-D and 3-D.

A sample is a patch about a random place of a random section, bent, turned and brightened anew each time it is drawn.
Brains need less of it, for the training subjects are many; what changes is the scanner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import nn

from course_lib import expect
from course_lib.data import SegmentedImage, brain_tissue, centre_crop, nerve_tissue
from course_lib.metrics import dice
from course_lib.networks import FCN, InflatedUNet, UNet, VNet, WindowClassifier, load_weights, segment
from course_lib.training.augmentation import BRAINS, MEMBRANES, Augmentation
from course_lib.training.own_images import own_segmented_images
from course_lib.training.recipe import Batch, Recipe
from course_lib.training.segmentation_losses import LOSSES

SECTIONS = 30  # as in the challenge of 2012
PATCH = 128  # pixels a side
SUBJECTS = 1000  # of the training split
HEIGHTS_MM = range(-16, 56, 2)  # of a volume of cubes with sides of 2 mm
SLAB = 8  # slices of a 3-D patch
HEAD = slice(16, 112)  # of 128 pixels: what lies outside is air

# an image (1, height, width), and its label (1, height, width), 1 in the foreground
Sections = Sequence[tuple[Float[torch.Tensor, "1 height width"], Float[torch.Tensor, "1 height width"]]]


# ── Membranes, and the user's own images ────────────────────────────────────────────────────────────────────────────


@cache
def training_sections() -> Sections:
    return [(s.image[0], s.membrane[0]) for s in (nerve_tissue("train", index) for index in range(SECTIONS))]


@cache
def validation_sections() -> Sections:
    return [(s.image[0], s.membrane[0]) for s in (nerve_tissue("validation", index, (256, 256)) for index in range(8))]


def batch(
    sections: Callable[[], Sections],
    augmentation: Augmentation | None,
    patch: int,
    generator: torch.Generator,
    size: int,
) -> Batch:
    """`size` patches of images, and their labels."""
    pool = sections()
    drawn = [_patch(*pool[_chance(len(pool), generator)], augmentation, patch, generator) for _ in range(size)]
    return tuple(torch.stack(part) for part in zip(*drawn, strict=True))


def _patch(
    image: torch.Tensor, label: torch.Tensor, augmentation: Augmentation | None, patch: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A changed patch; it is cut with a margin, so that what is bent into it is tissue and no mirror image."""
    margin = 0 if augmentation is None else patch // 4
    sides = [min(patch + 2 * margin, side) for side in image.shape[-2:]]
    top, left = (_chance(whole - side + 1, generator) for whole, side in zip(image.shape[-2:], sides, strict=True))
    cut = (slice(None), slice(top, top + sides[0]), slice(left, left + sides[1]))
    if augmentation is None:
        return image[cut], label[cut]
    return augmentation(image[cut], label[cut], generator, (min(patch, sides[0]), min(patch, sides[1])))


def _chance(most: int, generator: torch.Generator) -> int:
    return int(torch.randint(most, (), generator=generator))


def overlap_and_entropy(network: nn.Module, sample: Batch, losses: Sequence[str] = ("bce", "dice")) -> torch.Tensor:
    """The sum of some of `LOSSES`. Cross-entropy tells every pixel where to go, Dice weighs the image as a whole."""
    image, label = sample
    p = network(image).float().sigmoid()
    label = centre_crop(label, tuple(p.shape[-2:]))  # windows look at what surrounds the middle
    return torch.stack([LOSSES[name](p, label) for name in losses]).sum()


def validate(sections: Callable[[], Sections], network: nn.Module) -> dict[str, float]:
    """The mean Dice overlap at a probability of one half."""
    device = next(network.parameters()).device
    found = [
        dice(segment(network, image[None].to(device)).cpu() > 0.5, label[None] > 0.5) for image, label in sections()
    ]
    return {"dice": float(torch.cat(found).mean())}


def recipe(
    name: str,
    network: Callable[[], nn.Module],
    *,
    training: Callable[[], Sections] = training_sections,
    validation: Callable[[], Sections] = validation_sections,
    augmentation: Augmentation | None = MEMBRANES,
    losses: Sequence[str] = ("bce", "dice"),
    patch: int = PATCH,
    steps: int = 1500,
    seed: int = 0,
) -> Recipe:
    return Recipe(
        name=name, network=network, batch=partial(batch, training, augmentation, patch),
        loss=partial(overlap_and_entropy, losses=tuple(losses)), validate=partial(validate, validation), seed=seed,
        steps=steps, batch_size=4, learning_rate=4e-3, warm_up=50, data=partial(on_own_data, name),
    )  # fmt: skip


def on_own_data(name: str, folder: Path, foreground: int | None = None) -> Recipe:
    """The same recipe on a folder with `images/` and `labels/`; see `data.segmented_images`.

    The last fifth of the images is for validation. What cannot be used is told on stderr, and left out.
    """
    return recipe_on_images(name, *own_segmented_images(folder, foreground))


def recipe_on_images(name: str, training: list[SegmentedImage], validation: list[SegmentedImage]) -> Recipe:
    """The recipe `name` on images that have been read; of a volume every slice with foreground is a section."""
    sections, held = (
        [
            (image, mask.float())
            for found in part
            for image, mask in zip(found.image, found.mask, strict=True)
            if mask.any()
        ]
        for part in (training, validation)
    )
    side = min(min(image.shape[-2:]) for image, _ in sections)
    patch = min(PATCH, side // MULTIPLE * MULTIPLE)
    if patch < 2 * MULTIPLE:
        raise expect.InputError(f"expected images of at least {2 * MULTIPLE} pixels a side, got one with {side}")
    return recipe(name, NETWORKS[name], training=lambda: sections, validation=lambda: held, patch=patch)


MULTIPLE = 8
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "unet_segmentation": partial(UNet, 1, 1, 16, 3, batch_norm=True),
    "fcn_segmentation": partial(FCN, 1, 1, 16, 3),
    "fcn_without_skips": partial(FCN, 1, 1, 16, 3, skips=False),
    "window_classifier": WindowClassifier,
}


# ── Brains ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def brain_slices(augmentation: Augmentation, generator: torch.Generator, size: int) -> Batch:
    """`size` slices, each of another subject, and their labels as one channel for each of three classes."""
    drawn = []
    for _ in range(size):
        height = HEIGHTS_MM[_chance(len(HEIGHTS_MM), generator)]
        tissue = brain_tissue("train", _chance(SUBJECTS, generator), [height])
        drawn.append(augmentation(tissue.image[0, :, HEAD, HEAD], _one_hot(tissue.labels)[0, :, HEAD, HEAD], generator))
    return tuple(torch.stack(part) for part in zip(*drawn, strict=True))


def brain_volumes(augmentation: Augmentation, generator: torch.Generator, size: int) -> Batch:
    """`size` boxes of 8 slices, each of another subject."""
    drawn = []
    for _ in range(size):
        first = _chance(len(HEIGHTS_MM) - SLAB + 1, generator)
        tissue = brain_tissue("train", _chance(SUBJECTS, generator), HEIGHTS_MM[first : first + SLAB])
        box = (slice(None), slice(None), HEAD, HEAD)
        image, label = tissue.image.transpose(0, 1)[box], _one_hot(tissue.labels).transpose(0, 1)[box]
        drawn.append(augmentation(image.contiguous(), label.contiguous(), generator))
    return tuple(torch.stack(part) for part in zip(*drawn, strict=True))


def _one_hot(labels: torch.Tensor) -> torch.Tensor:
    """(slices, height, width) → (slices, 3, height, width)."""
    return F.one_hot(labels, 3).movedim(-1, 1).float()


def tissue_loss(network: nn.Module, sample: Batch) -> torch.Tensor:
    """Cross-entropy over three classes, and the Dice loss of each."""
    image, label = sample
    scores = network(image).float()
    return F.cross_entropy(scores, label) + LOSSES["dice"](scores.softmax(dim=1), label)


@cache
def _validation_brains() -> list:
    return [brain_tissue("validation", index, HEIGHTS_MM, other_scanner=True) for index in range(4)]


def tissue_labels(network: nn.Module, image: Float[torch.Tensor, "slices 1 128 128"]) -> torch.Tensor:
    """The most probable of the three classes in each voxel, (slices, 128, 128), by a 2-D or a 3-D network.

    Air around the head is left out, as in training, and gets the label 0. A V-Net, which normalises each volume by
    its own statistics, gets boxes as it has learned from; they overlap by half, and their probabilities are averaged.
    """
    head = image[..., HEAD, HEAD].to(next(network.parameters()).device)
    labels = torch.zeros(image[:, 0].shape, dtype=torch.long)
    if isinstance(network, VNet | InflatedUNet):
        from monai.inferers import sliding_window_inference

        box = (SLAB, *head.shape[-2:])
        volume = head.transpose(0, 1)[None]
        p = sliding_window_inference(volume, box, 4, partial(segment, network), overlap=0.5)[0].transpose(0, 1)
    else:
        p = segment(network, head)
    labels[:, HEAD, HEAD] = p.argmax(1).cpu()
    return labels


def tissue_dice(found: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Dice overlap of grey and white matter, each over the whole volume."""
    names = {"grey": 1, "white": 2}
    return {name: float(dice((found == k)[None, None], (labels == k)[None, None])) for name, k in names.items()}


def validate_tissue(network: nn.Module) -> dict[str, float]:
    """Mean Dice overlap over validation subjects from other scanners."""
    rows = [tissue_dice(tissue_labels(network, brain.image), brain.labels) for brain in _validation_brains()]
    return {f"dice_{name}": sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def inflated_brain() -> InflatedUNet:
    """A network of volumes that begins as the shipped network of slices."""
    return InflatedUNet(load_weights(brain_unet(), "unet_brain"))


def brain_unet() -> UNet:
    return UNet(1, 3, 16, 3, batch_norm=True)


def brain_recipe(
    name: str,
    network: Callable[[], nn.Module],
    draw: Callable[..., Batch],
    *,
    learning_rate: float = 4e-3,
    **numbers: int,
) -> Recipe:
    return Recipe(
        name=name, network=network, batch=partial(draw, BRAINS), loss=tissue_loss, validate=validate_tissue,
        learning_rate=learning_rate, warm_up=50, **numbers,
    )  # fmt: skip


RECIPES = (
    *(recipe(name, network) for name, network in NETWORKS.items()),
    brain_recipe("unet_brain", brain_unet, brain_slices, steps=800, batch_size=8),
    brain_recipe("inflated_brain", inflated_brain, brain_volumes, learning_rate=1e-3, steps=240, batch_size=4),
    brain_recipe("vnet_brain", partial(VNet, 1, 3, 16, 2), brain_volumes, steps=800, batch_size=4),
)
