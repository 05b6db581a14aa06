"""The population: one anatomy, many subjects, and what is held out stays out."""

import pytest
import torch

from course_lib import expect
from course_lib.data import population
from course_lib.data.population import SPLITS, brain_population, brain_subject

REACH_UP = population.REACH_MM[2]


def test_images_are_in_their_range_and_are_all_different():
    images = brain_population("train", 3, 2, size=64)
    assert images.shape == (6, 1, 64, 64)
    assert images.dtype == torch.float32
    assert images.min() == 0
    torch.testing.assert_close(images.amax(dim=(1, 2, 3)), torch.ones(6))
    assert torch.cdist(images.flatten(1), images.flatten(1)).add(torch.eye(6) * 99).min() > 1
    # the head stands inside the image, with air around it
    assert (images[..., [0, -1], :] == 0).all()
    assert (images[..., [0, -1]] == 0).all()


def test_the_same_arguments_give_the_same_images_and_subjects_follow_each_other():
    images = brain_population("validation", 3, 2, size=32)
    assert torch.equal(images, brain_population("validation", 3, 2, size=32))
    assert torch.equal(images[2:], brain_population("validation", 2, 2, size=32, first=1))
    images.zero_()
    assert brain_population("validation", 3, 2, size=32).max() == 1


def test_no_subject_is_in_two_splits():
    seeds = [seed for split in SPLITS.values() for seed in split.seeds]
    assert len(seeds) == len(set(seeds))
    assert SPLITS["train"].heights_mm == SPLITS["validation"].heights_mm == SPLITS["test"].heights_mm


def test_training_shows_nothing_of_the_held_out_slab():
    """Not the slab's heights, and not what a deformation could carry there."""
    slab = SPLITS["held_out_slab"].heights_mm
    for height in SPLITS["train"].heights_mm:
        assert height + REACH_UP < min(slab) - REACH_UP or height - REACH_UP > max(slab) + REACH_UP


def test_training_images_do_not_change_with_the_slab(monkeypatch):
    """The same, on the images themselves: an anatomy whose slab is blank gives the same training images."""
    images = brain_population("train", 2, len(SPLITS["train"].heights_mm), size=32)
    blank = population._anatomy().clone()
    lowest = population._HEIGHTS[0] - 2 * REACH_UP
    slab = SPLITS["held_out_slab"].heights_mm
    blank[:, :, slab[0] - REACH_UP - lowest : slab[-1] + REACH_UP + 1 - lowest] = 0
    monkeypatch.setattr(population, "_anatomy", lambda: blank)
    assert torch.equal(brain_population("train", 2, len(SPLITS["train"].heights_mm), size=32), images)
    assert brain_population("held_out_slab", 1, 1, size=32).max() == 0


@pytest.mark.parametrize("seed", range(5))
def test_deformations_are_smooth_invertible_and_of_some_millimetres(seed):
    points = population._grid(torch.tensor([0.0, 1.0]), 60).double()

    def moved(points):
        generator = torch.Generator().manual_seed(seed)
        return points + population.displacement(points.float(), generator).double()

    distance = (moved(points) - points).norm(dim=-1)
    head = points[..., :2].norm(dim=-1) < 80
    assert 1 < distance[head].mean() < 12
    assert (moved(points) - points)[..., 2].abs().max() <= REACH_UP
    # no fold: the determinant of the in-plane Jacobian stays positive everywhere, by finite differences
    step = population.FIELD_OF_VIEW_MM / 60
    down, across = moved(points).diff(dim=1)[:, :, :-1] / -step, moved(points).diff(dim=2)[:, :-1] / step
    determinant = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
    assert determinant.min() > 0.3
    assert determinant.max() < 2


def test_without_a_deformation_it_is_the_anatomy(monkeypatch):
    from course_lib.data import brain_anatomy

    monkeypatch.setattr(population, "displacement", lambda points, generator: torch.zeros_like(points))
    monkeypatch.setattr(population, "CONTRAST", 0.0)
    monkeypatch.setattr(population, "BIAS", 0.0)
    monkeypatch.setattr(population, "FIELD_OF_VIEW_MM", 256)
    t1 = brain_anatomy((20,), 256)["t1"]
    torch.testing.assert_close(brain_subject(0, [20], 256), t1 / t1.max(), atol=1e-4, rtol=0)


def test_contrast_differs_between_subjects_and_not_within_one(monkeypatch):
    monkeypatch.setattr(population, "displacement", lambda points, generator: torch.zeros_like(points))
    monkeypatch.setattr(population, "BIAS", 0.0)
    _, grey, white = population._sample(population._grid(torch.tensor([0.0, 44.0]), 128))

    def ratios(seed):
        x = brain_subject(seed, [0, 44])[:, 0]
        return [
            float(slice_[g > 0.8].mean() / slice_[w > 0.95].mean()) for slice_, g, w in zip(x, grey, white, strict=True)
        ]

    values = torch.tensor([ratios(seed) for seed in range(6)])
    assert values[:, 0].std() > 0.05
    # grey to white of two slices of a subject: the anatomy's own ratio, times what is the subject's
    relative = values[:, 1] / values[:, 0]
    assert relative.std() < 0.2 * values[:, 0].std()


def test_bias_field_is_a_slope(monkeypatch):
    monkeypatch.setattr(population, "displacement", lambda points, generator: torch.zeros_like(points))
    x = brain_subject(1, [10])
    monkeypatch.setattr(population, "BIAS", 0.0)
    plain = brain_subject(1, [10])
    ratio = (x / plain)[0, 0][40:90, 45:85]
    assert ratio.max() / ratio.min() > 1.01
    assert ratio.diff(n=2, dim=0).abs().max() < 1e-5
    assert ratio.diff(n=2, dim=1).abs().max() < 1e-5


def test_wrong_arguments_are_named(unchecked):
    with pytest.raises(expect.InputError, match="expected the split among train, validation, test, held_out_slab, got"):
        brain_population("training", 1)
    with pytest.raises(expect.InputError, match="expected the number of subjects as a whole number from 1, got 0"):
        brain_population("train", 0)
    with pytest.raises(expect.InputError, match="expected at most the 1000 subjects of test, got 1001"):
        brain_population("test", 1, first=1000)
    with pytest.raises(expect.InputError, match="expected at most 6 slices a subject, got 7"):
        brain_population("held_out_slab", 1, 7)
    with pytest.raises(expect.InputError, match="expected a size of at most 256 pixels, got 300"):
        brain_population("test", 1, 1, size=300)
    with pytest.raises(expect.InputError, match="the subject's seed"):
        brain_subject(-1, [0])
