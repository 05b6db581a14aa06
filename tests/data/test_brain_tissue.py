"""Tissue labels of deformed brains: they fit the image, they follow the subject, another scanner changes no label."""

import pytest
import torch

from course_lib.data import TISSUES, brain_population, brain_tissue, nerve_tissue
from course_lib.expect import InputError

HEIGHTS = (0, 10, 50)


def test_images_are_those_of_the_population():
    tissue = brain_tissue("validation", 1, HEIGHTS, 64)
    assert tissue.image.shape == (3, 1, 64, 64)
    assert tissue.labels.shape == (3, 64, 64)
    assert set(tissue.labels.unique().tolist()) == set(range(len(TISSUES)))
    from course_lib.data.population import SPLITS, brain_subject

    assert torch.equal(tissue.image, brain_subject(SPLITS["validation"].seeds[1], HEIGHTS, 64))
    assert brain_population("validation", 1, 1, 64, first=1).shape == (1, 1, 64, 64)


@pytest.mark.parametrize("index", range(3))
def test_labels_lie_where_the_image_shows_them(index):
    """White matter is brighter than grey in T1, in this subject's own image, and a shifted label fits worse."""
    tissue = brain_tissue("test", index, HEIGHTS)
    image, labels = tissue.image[:, 0], tissue.labels
    assert image[labels == 2].mean() > 1.05 * image[labels == 1].mean()

    def spread(labels):
        return sum(float(image[labels == k].var() * (labels == k).sum()) for k in range(3))

    assert spread(labels) < min(spread(labels.roll((4, 0), (1, 2))), spread(labels.roll((0, 4), (1, 2))))


def test_subjects_differ_and_another_scanner_changes_the_image_alone():
    one, other = (brain_tissue("train", index, HEIGHTS, 64) for index in (0, 1))
    assert (one.labels != other.labels).float().mean() > 0.03
    scanned = brain_tissue("train", 0, HEIGHTS, 64, other_scanner=True)
    assert torch.equal(scanned.labels, one.labels)
    assert (scanned.image - one.image).abs().mean() > 0.01
    assert scanned.image.amin() >= 0
    assert scanned.image.amax() <= 1
    assert torch.equal(scanned.image, brain_tissue("train", 0, HEIGHTS, 64, other_scanner=True).image)


def test_scanners_differ_in_noise_and_contrast():
    """Noise where the head is not; the brightness of grey matter over that of white."""
    brains = [brain_tissue("test", index, HEIGHTS, other_scanner=True) for index in range(12)]
    noise = torch.stack([brain.image[:, 0, 2:10].std() for brain in brains])
    ratio = torch.stack(
        [brain.image[:, 0][brain.labels == 1].mean() / brain.image[:, 0][brain.labels == 2].mean() for brain in brains]
    )
    assert noise.max() > 2 * noise.min()
    assert ratio.max() - ratio.min() > 0.1


def test_bad_arguments_are_told(unchecked):
    with pytest.raises(InputError, match="expected the split among train"):
        brain_tissue("trial", 0, HEIGHTS)
    with pytest.raises(InputError, match="below 1000, got 1000"):
        brain_tissue("test", 1000, HEIGHTS)
    with pytest.raises(InputError, match="at most 256"):
        brain_tissue("test", 0, HEIGHTS, 300)


def test_vesicles_are_the_small_organelles_and_rare():
    sections = [nerve_tissue("train", index, (256, 256)) for index in range(4)]
    share = torch.cat([s.vesicles for s in sections]).mean()
    assert 0.003 < share < 0.05
    for s in sections:
        assert s.vesicles.shape == s.membrane.shape
        assert not (s.vesicles[0, 0].bool() & ~s.organelles).any()
        assert not (s.vesicles * s.membrane).any()
