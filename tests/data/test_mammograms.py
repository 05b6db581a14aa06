"""The generator of mammograms: published statistics, and where things are."""

import math

import pytest
import torch

from course_lib.data import mammogram
from course_lib.data import mammograms as generator
from course_lib.data.splits import SPLITS
from course_lib.expect import InputError


@pytest.fixture(scope="module")
def images():
    return [mammogram("train", index) for index in range(6)]


@pytest.fixture(scope="module")
def without_lesions():
    return [mammogram("train", index, lesions=False) for index in range(6)]


def test_an_image_is_from_0_to_1_with_air_at_0(images):
    for m in images:
        assert m.image.shape == (1, 1, 512, 384)
        assert m.image.dtype == torch.float32
        assert (m.image[0, 0][~m.breast] == 0).all()
        assert m.image.amax() <= 1
        assert m.image[0, 0][m.parenchyma].amin() > 0.15
        assert 0.35 < m.image[0, 0][m.parenchyma].mean() < 0.75


def test_the_same_arguments_give_the_same_image_and_no_two_women_are_alike():
    a, again, b = mammogram("test", 4), mammogram("test", 4), mammogram("test", 5)
    assert torch.equal(a.image, again.image)
    assert torch.equal(a.calcifications, again.calcifications)
    assert (a.image - b.image).abs().mean() > 0.02
    seeds = [set(seeds) for seeds in SPLITS.values()]
    assert sum(map(len, seeds)) == len(set.union(*seeds))


def test_it_is_frozen():
    """The shipped weights have learned from these very images: a change here asks for new ones."""
    m = mammogram("train", 0)
    values = m.image[0, 0, 100:500:100, 50:300:100]
    assert values.shape == (4, 3)
    torch.testing.assert_close(values, FROZEN, atol=2e-4, rtol=0)
    assert len(m.calcifications) == 21


FROZEN = torch.tensor(
    [
        [0.37072, 0.71056, 0.33799],
        [0.48981, 0.65938, 0.68595],
        [0.52684, 0.65350, 0.63276],
        [0.49355, 0.46101, 0.25581],
    ]
)


def test_the_texture_has_a_power_spectrum_of_exponent_3(without_lesions):
    """From 0.15 to 0.7 cycles/mm, where Burgess fits mammograms, and beyond."""
    window = torch.hann_window(160, dtype=torch.float64)
    power = torch.zeros(160, 160, dtype=torch.float64)
    for m in without_lesions:
        patch = m.image[0, 0, 176:336, 60:220].double()
        power += torch.fft.fft2((patch - patch.mean()) * window[:, None] * window).abs().square()
    frequency = torch.fft.fftfreq(160, generator.PIXEL_MM, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency)
    for low, high in ((0.15, 0.7), (0.7, 2.2)):
        edges = torch.linspace(math.log(low), math.log(high), 9, dtype=torch.float64).exp()
        rings = [(radius >= a) & (radius < b) for a, b in zip(edges, edges[1:], strict=False)]
        x = torch.stack([radius[ring].log().mean() for ring in rings])
        y = torch.stack([power[ring].mean().log() for ring in rings])
        slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
        assert -3.4 < slope < -2.5


def test_the_breast_is_thinner_towards_the_skin(without_lesions):
    for m in without_lesions:
        row = m.image[0, 0, 256]
        skin = int(m.breast[256].nonzero().max())
        depths = [round(mm / generator.PIXEL_MM) for mm in (0.4, 3, 6, 12)]
        at = [row[skin - d - 3 : skin - d + 4].mean() for d in depths]
        assert at[0] < at[1] < at[3]
        assert at[1] < at[2]


def test_lesions_are_where_they_are_said_to_be(images, without_lesions):
    for m, plain in zip(images, without_lesions, strict=True):
        added = (m.image - plain.image)[0, 0]
        assert len(plain.masses) == len(plain.calcifications) == 0
        assert torch.equal(m.breast, plain.breast)
        assert (added[m.parenchyma].abs() < 1e-3).all()
        for row, column, width in m.calcifications:
            peak = added[round(float(row)), round(float(column))]
            assert peak > 0.5 * generator.CALCIFICATION_CONTRAST[0]
            assert 0.25 / 0.2 - 1e-4 <= width <= 0.6 / 0.2 + 1e-4
        for row, column, radius in m.masses:
            assert added[int(row), int(column)] >= generator.MASS_CONTRAST[0] - 1e-4
            assert 3 / 0.2 - 1e-3 <= radius <= 8 / 0.2 + 1e-3


def test_calcifications_come_in_clusters(images):
    """Five or more within a square centimetre, of which the circle has a radius of 5.6 mm."""
    for m in images:
        apart = torch.cdist(m.calcifications[:, :2], m.calcifications[:, :2]) * generator.PIXEL_MM
        assert ((apart < 11.3).sum(1) >= 5).all()


def test_a_mass_has_burgess_profile(images, without_lesions):
    row, column, radius = images[0].masses[0].tolist()  # no calcification lies in it
    added = (images[0].image - without_lesions[0].image)[0, 0, int(row)]
    for share in (0.3, 0.6, 0.9):
        away = int(share * radius)
        fall = (1 - (away / radius) ** 2) ** 1.5
        assert added[int(column) + away] / added[int(column)] == pytest.approx(fall, abs=1e-3)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("all", 0), "expected the split among train, validation, test, got 'all'"),
        (("test", 1000), "expected the index below 1000, got 1000"),
        (("test", -1), "expected the index as a whole number from 0, got -1"),
        (("test", 0, (64, 384)), "expected a size as a whole number of pixels from 192, got 64"),
    ],
)
def test_bad_input(arguments, said):
    with pytest.raises(InputError) as error:
        mammogram(*arguments)
    assert str(error.value) == said
