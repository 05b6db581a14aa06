"""Module 06's recipes: patches with their labels, one screen of numbers, and the user's own folder."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import expect
from course_lib.data import SegmentedImage, nerve_tissue
from course_lib.networks import InflatedUNet, UNet, VNet
from course_lib.training import all_recipes, find_recipe, train
from course_lib.training.augmentation import BRAINS, MEMBRANES
from course_lib.training.recipes import unet_segmentation as recipes

NAMES = (
    "unet_segmentation",
    "fcn_segmentation",
    "fcn_without_skips",
    "window_classifier",
    "unet_brain",
    "vnet_brain",
    "inflated_brain",
)


@pytest.fixture(scope="module")
def sections():
    return [(s.image[0], s.membrane[0]) for s in (nerve_tissue("train", index, (96, 128)) for index in range(3))]


def test_all_are_listed():
    assert set(NAMES) <= set(all_recipes())


@pytest.mark.parametrize("augmentation", [None, MEMBRANES])
def test_a_batch_is_patches_with_their_labels(sections, augmentation, generator):
    image, label = recipes.batch(lambda: sections, augmentation, 64, generator, 6)
    assert image.shape == label.shape == (6, 1, 64, 64)
    assert set(label.unique().tolist()) == {0.0, 1.0}
    assert (image[label == 1]).mean() < image[label == 0].mean() - 0.05  # membranes are dark, in changed patches too
    again = recipes.batch(lambda: sections, augmentation, 64, torch.Generator().manual_seed(20), 6)
    assert torch.equal(image, again[0])


def test_a_patch_as_large_as_the_image_is_the_whole_image(sections, generator):
    image, label = recipes.batch(lambda: sections[:1], None, 128, generator, 1)
    assert torch.equal(image[0], sections[0][0])
    assert torch.equal(label[0], sections[0][1])


def test_patches_without_augmentation_are_cut_from_everywhere(generator):
    rows = torch.arange(40.0)[:, None].expand(40, 40)[None] / 40
    image, _ = recipes.batch(lambda: [(rows, rows)], None, 8, generator, 300)
    first = (image[:, 0, 0, 0] * 40).round()
    assert first.min() == 0
    assert first.max() == 32


@pytest.mark.parametrize(("draw", "shape"), [(recipes.brain_slices, (96, 96)), (recipes.brain_volumes, (8, 96, 96))])
def test_brains_come_with_three_classes(draw, shape, generator):
    image, label = draw(BRAINS, generator, 2)
    assert image.shape == (2, 1, *shape)
    assert label.shape == (2, 3, *shape)
    assert torch.equal(label.sum(1), torch.ones(2, *shape))
    assert label[:, 1].mean() > 0.03
    assert label[:, 2].mean() > 0.02


def test_the_losses_add_up(sections, generator):
    sample = recipes.batch(lambda: sections, None, 64, generator, 2)
    network = UNet(1, 1, 4, 2)
    both, bce, dice = (
        recipes.overlap_and_entropy(network, sample, losses) for losses in (("bce", "dice"), ("bce",), ("dice",))
    )
    assert both.item() == pytest.approx(bce.item() + dice.item(), rel=1e-5)


@pytest.mark.parametrize(
    "network",
    [UNet(1, 3, 4, 2), VNet(1, 3, 4, 2), InflatedUNet(UNet(1, 3, 4, 2, batch_norm=True))],
    ids=["2-D", "V-Net", "inflated"],
)
def test_a_network_labels_every_voxel_of_a_volume(network):
    image = torch.rand(7, 1, 128, 128)
    labels = recipes.tissue_labels(network.eval(), image)
    assert labels.shape == (7, 128, 128)
    assert (labels[:, [0, -1]] == 0).all()
    assert set(labels.unique().tolist()) <= {0, 1, 2}
    assert recipes.tissue_dice(labels, labels) == {"grey": 1.0, "white": 1.0}


def test_a_few_steps_learn(sections):
    small = replace(
        recipes.recipe("trial", partial(UNet, 1, 1, 4, 2, batch_norm=True), training=lambda: sections,
                       validation=lambda: sections, patch=64, steps=30),
        learning_rate=1e-2, warm_up=5,
    )  # fmt: skip
    result = train(small)
    assert result.metrics["dice"] > 0.4
    assert sum(result.history.losses[-5:]) < sum(result.history.losses[:5])


# ── The user's own folder ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path, sections):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for index in range(5):
        s = nerve_tissue("train", index, (96, 96))
        for kind, values in (("images", s.image), ("labels", s.membrane)):
            Image.fromarray((255 * values[0, 0].numpy()).astype(np.uint8)).save(tmp_path / kind / f"{index}.png")
    return tmp_path


@pytest.mark.parametrize("name", ["unet_segmentation", "fcn_segmentation"])
def test_own_images_are_split_by_image(folder, name, capsys):
    recipe = find_recipe(name).data(folder)
    assert recipe.name == name
    assert "held out: the last 1 of 5 images" in capsys.readouterr().err
    image, label = recipe.batch(torch.Generator().manual_seed(0), 3)
    assert image.shape == label.shape == (3, 1, 96, 96)
    result = train(replace(recipe, warm_up=1), steps=2)
    assert 0 <= result.metrics["dice"] <= 1


def test_what_cannot_be_used_is_told_and_the_rest_is_used(folder, capsys):
    (folder / "labels" / "2.png").unlink()
    recipe = find_recipe("unet_segmentation").data(folder)
    told = capsys.readouterr().err
    assert str(folder / "images" / "2.png") in told
    assert "the last 1 of 4 images" in told
    assert recipe.batch(torch.Generator().manual_seed(0), 2)[0].shape == (2, 1, 96, 96)


def test_a_single_image_is_too_few(folder):
    for path in sorted((folder / "images").iterdir())[1:]:
        path.unlink()
    with pytest.raises(expect.InputError, match="at least 2 usable images .* got 1"):
        find_recipe("unet_segmentation").data(folder)


def test_too_small_images_are_told():
    tiny = SegmentedImage("tiny", torch.rand(1, 1, 12, 40), torch.ones(1, 1, 12, 40, dtype=torch.bool), None)
    with pytest.raises(expect.InputError, match="at least 16 pixels a side, got one with 12"):
        recipes.recipe_on_images("unet_segmentation", [tiny], [tiny])


def test_of_volumes_the_slices_with_foreground_are_learned_from():
    mask = torch.zeros(6, 1, 32, 40, dtype=torch.bool)
    mask[2:4, :, 8:20, 8:20] = True
    volume = SegmentedImage("volume", torch.rand(6, 1, 32, 40), mask, (2.0, 1.0, 1.0))
    _, label = recipes.recipe_on_images("unet_segmentation", [volume], [volume]).batch(
        torch.Generator().manual_seed(0), 8
    )
    assert (label.flatten(1).sum(1) > 0).float().mean() > 0.8
