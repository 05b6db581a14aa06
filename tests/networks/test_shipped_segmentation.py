"""The shipped networks of module 06 on sections and subjects that the lecture does not show."""

from functools import cache

import pytest
import torch

from course_lib import classical, data, metrics, networks
from course_lib.training import shipped_network
from course_lib.training.recipes import unet_segmentation as recipes

SECTIONS = range(6, 10)  # of the test split, whole ones; the lecture shows the six before
SUBJECTS = range(3, 6)
BRAINS = ("unet_brain", "vnet_brain", "inflated_brain")


@cache
def sections():
    found = [data.nerve_tissue("test", index) for index in SECTIONS]
    return torch.cat([s.image for s in found]), torch.cat([s.membrane for s in found]) > 0.5


@cache
def found(name):
    images, _ = sections()
    if name == "threshold":
        training = [data.nerve_tissue("train", index) for index in range(2)]
        masks = torch.cat([s.membrane for s in training]) > 0.5
        return classical.best_threshold(torch.cat([s.image for s in training]), masks)(images)
    network = shipped_network(name)
    return networks.segment(network, images) > 0.5


@cache
def dice(name):
    return metrics.dice(found(name), sections()[1]).mean().item()


def test_the_order_of_the_methods():
    order = ("threshold", "fcn_without_skips", "fcn_segmentation", "unet_segmentation")
    print({name: round(dice(name), 4) for name in order})
    assert dice("threshold") <= 0.75
    assert dice("threshold") + 0.05 < dice("fcn_without_skips")
    assert dice("fcn_without_skips") < dice("fcn_segmentation") < dice("unet_segmentation")
    assert dice("unet_segmentation") >= 0.9


def test_the_u_net_parts_more_cells_rightly():
    """What Dice does not see: which cells are joined."""
    error = {
        name: metrics.rand_error(found(name), sections()[1]).mean()
        for name in ("fcn_segmentation", "unet_segmentation")
    }
    assert error["unet_segmentation"] < error["fcn_segmentation"]


@cache
def brains():
    return [data.brain_tissue("test", index, recipes.HEIGHTS_MM, other_scanner=True) for index in SUBJECTS]


@cache
def tissue(name):
    """Dice of grey and white matter, the means over the subjects."""
    network = shipped_network(name)
    rows = [recipes.tissue_dice(recipes.tissue_labels(network, brain.image), brain.labels) for brain in brains()]
    return {kind: sum(row[kind] for row in rows) / len(rows) for kind in rows[0]}


def test_brain_tissue_of_unseen_subjects_and_scanners():
    mean = {name: sum(tissue(name).values()) / 2 for name in BRAINS}
    print({name: round(value, 4) for name, value in mean.items()})
    assert min(mean["unet_brain"], mean["inflated_brain"]) >= 0.9
    assert mean["inflated_brain"] >= mean["unet_brain"]  # three dimensions are not worse than two
    assert mean["vnet_brain"] >= mean["unet_brain"] - 0.03  # from scratch they are, at this budget


@pytest.mark.parametrize("name", BRAINS)
def test_both_tissues_are_found(name):
    assert min(tissue(name).values()) > 0.85
