"""Augmentation: image and label change together, the generator decides all, nothing is added that is not asked for."""

import math

import pytest
import torch

from course_lib.data import nerve_tissue
from course_lib.expect import InputError
from course_lib.training.augmentation import BRAINS, MEMBRANES, Augmentation


@pytest.fixture(scope="module")
def pair():
    """Some rounds; the image shows its own label."""
    rows, columns = torch.meshgrid(torch.arange(128), torch.arange(96), indexing="ij")
    places = ((30, 20, 14), (70, 60, 22), (105, 25, 12))
    rounds = torch.stack([(rows - y) ** 2 + (columns - x) ** 2 < radius**2 for y, x, radius in places]).any(0)
    return rounds.float()[None], rounds.float()[None]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


SHAPES = {
    "elastic": Augmentation(elastic=8),
    "turned": Augmentation(turn=math.pi),
    "scaled": Augmentation(scale=0.3),
    "mirrored": Augmentation(mirror=True),
    "all": Augmentation(elastic=8, turn=1.0, scale=0.2, mirror=True),
}


@pytest.mark.parametrize("name", SHAPES)
def test_image_and_label_move_together(name, pair, generator):
    moved = 0.0
    for _ in range(5):
        image, label = SHAPES[name](*pair, generator)
        assert set(label.unique().tolist()) <= {0.0, 1.0}
        # bilinear and nearest differ by less than a half, apart from rounding
        assert ((image > 0.5) == (label > 0.5)).float().mean() > 0.995
        assert label.shape == pair[1].shape
        moved = max(moved, (label - pair[1]).abs().mean().item())
    assert moved > 0.05


@pytest.mark.parametrize("name", ["elastic", "turned", "scaled", "all"])
def test_the_size_asked_for_is_the_middle(name, pair, generator):
    image, label = SHAPES[name](*pair, generator, (64, 64))
    assert image.shape == label.shape == (1, 64, 64)
    kept = Augmentation()(*pair, generator, (64, 64))[1]
    assert torch.equal(kept, pair[1][:, 32:96, 16:80])


@pytest.mark.parametrize("augmentation", [Augmentation(contrast=0.3), Augmentation(brightness=0.2),
                                          Augmentation(gamma=0.5), Augmentation(noise=0.1)])  # fmt: skip
def test_brightness_changes_the_image_alone(augmentation, generator):
    section = nerve_tissue("train", 1, (96, 96))
    image, label = augmentation(section.image[0], section.membrane[0], generator)
    assert torch.equal(label, section.membrane[0])
    assert 1e-4 < (image - section.image[0]).abs().mean() < 0.3
    assert image.amin() >= 0
    assert image.amax() <= 1


def test_nothing_asked_for_is_nothing_changed(pair, generator):
    image, label = Augmentation()(*pair, generator)
    torch.testing.assert_close(image, pair[0], atol=1e-5, rtol=0)
    assert torch.equal(label, pair[1])


def test_the_generator_decides_all(pair):
    first, again, other = (MEMBRANES(*pair, torch.Generator().manual_seed(seed), (64, 64)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_the_global_randomness_is_left_alone(pair, generator):
    import numpy as np

    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    MEMBRANES(*pair, generator)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def test_volumes_keep_their_shape(generator):
    image = torch.rand(1, 6, 20, 24, generator=generator)
    label = torch.zeros(3, 6, 20, 24)
    label[0] = 1
    changed, kept = BRAINS(image, label, generator)
    assert changed.shape == image.shape
    assert torch.equal(kept, label)
    assert (changed - image).abs().mean() > 0.005


def test_stronger_bends_move_more():
    line = torch.zeros(1, 128, 128)
    line[:, :, 60:68] = 1

    def moved(elastic):
        generator = torch.Generator().manual_seed(5)
        labels = [Augmentation(elastic=elastic)(line, line, generator)[1] for _ in range(8)]
        return sum((label - line).abs().mean().item() for label in labels)

    assert moved(2) < moved(8) < moved(24)


@pytest.mark.parametrize("wrong", [{"elastic": -1.0}, {"scale": 0.95}, {"noise": math.nan}, {"gamma": "much"}])
def test_wrong_strengths_are_told(wrong, unchecked):
    with pytest.raises(InputError, match=f"expected {next(iter(wrong))} as a number"):
        Augmentation(**wrong)
