"""Phantoms made of ellipses: their image, sinogram and k-space belong together."""

import math

import pytest
import torch

from course_lib import expect
from course_lib.data.phantoms import (
    SHEPP_LOGAN,
    Ellipse,
    ellipse_kspace,
    ellipse_phantom,
    ellipse_sinogram,
    moving_phantom,
)

TILTED = [Ellipse(0.7, 0.4, 0.15, 0.2, -0.3, 30)]


@pytest.mark.parametrize("size", [64, 101])
def test_shepp_logan_has_its_values_and_its_place(size):
    image = ellipse_phantom(size)
    assert image.shape == (1, 1, size, size)
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1
    # up is up: the large grey disc lies above the centre, the three small ones below
    at = lambda x, y: image[0, 0, round(size // 2 - y * size / 2), round(size // 2 + x * size / 2)].item()  # noqa: E731
    assert at(0, 0.35) == pytest.approx(0.3, abs=1e-6)
    assert at(0, -0.35) == pytest.approx(0.2, abs=1e-6)
    assert at(0.22, 0) == at(-0.22, 0) == 0
    assert at(0.95, 0) == 0


def test_shepp_logan_looks_like_scikit_images():
    from skimage.data import shepp_logan_phantom

    theirs = torch.from_numpy(shepp_logan_phantom()).float()
    ours = ellipse_phantom(400)[0, 0]
    overlap = torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1]
    mirrored = torch.corrcoef(torch.stack([ours.flip(0).flatten(), theirs.flatten()]))[0, 1]
    assert overlap > 0.93
    assert overlap > mirrored + 0.05


def test_pixels_are_means_over_their_area():
    """The mass is the ellipse's area, and more points a pixel come nearer to the true means."""
    fine = ellipse_phantom(64, supersampling=32, ellipses=TILTED)
    assert fine.sum().item() == pytest.approx(0.7 * math.pi * 0.4 * 0.15 * 32**2, rel=1e-3)
    errors = [(ellipse_phantom(64, supersampling=s, ellipses=TILTED) - fine).norm() for s in (1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 4 * errors[2]
    edge = ellipse_phantom(64, ellipses=TILTED)
    assert ((edge > 0.01) & (edge < 0.69)).sum() > 20


@pytest.mark.parametrize("size", [256, 257])
def test_the_sinogram_holds_the_area_and_the_longest_chord(size):
    angles = torch.tensor([0.0, 0.5, math.radians(30), 2.0], dtype=torch.float64)
    sinogram = ellipse_sinogram(size, angles, ellipses=TILTED)
    assert sinogram.shape == (1, 1, 4, size)
    assert sinogram.dtype == torch.float64
    unit = size / 2
    mass = torch.full((4,), 0.7 * math.pi * 0.4 * 0.15 * unit**2, dtype=torch.float64)
    torch.testing.assert_close(sinogram.sum(-1)[0, 0], mass, rtol=5e-3, atol=0)
    # seen along its long axis (θ perpendicular to 30° + 90°, so 120°), the chord through the centre is 2a
    along = torch.tensor([math.radians(120)], dtype=torch.float64)
    wide = ellipse_sinogram(400, along, ellipses=[TILTED[0]._replace(x=0, y=0)])
    assert wide[0, 0, 0, 200].item() == pytest.approx(0.7 * 2 * 0.4 * 200)


def test_rows_and_columns_of_the_image_are_projections():
    angles = torch.tensor([0.0, math.pi / 2], dtype=torch.float64)
    image = ellipse_phantom(256, supersampling=8, ellipses=TILTED)[0, 0].double()
    sinogram = ellipse_sinogram(256, angles, ellipses=TILTED)[0, 0]
    assert (image.sum(0) - sinogram[0]).norm() < 0.01 * sinogram[0].norm()
    upwards = image.sum(1).flip(0).roll(1)  # t grows upwards at 90°, and row 128 stays
    assert (upwards - sinogram[1]).norm() < 0.01 * sinogram[1].norm()


def test_more_detectors_go_on_at_both_ends():
    angles = torch.tensor([0.4])
    few, many = ellipse_sinogram(32, angles), ellipse_sinogram(32, angles, detectors=48)
    assert many.shape == (1, 1, 1, 48)
    assert many.dtype == torch.float32
    torch.testing.assert_close(many[..., 8:40], few)
    assert many[..., :8].abs().sum() == 0


@pytest.mark.parametrize("size", [128, 129])
@pytest.mark.parametrize("ellipses", [SHEPP_LOGAN, TILTED])
def test_kspace_is_the_images_at_low_frequencies(size, ellipses):
    image = ellipse_phantom(size, supersampling=16, ellipses=ellipses)
    discrete = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(image, dim=(-2, -1)), norm="ortho"), dim=(-2, -1))
    exact = ellipse_kspace(size, ellipses=ellipses)
    assert exact.dtype == torch.complex64
    assert exact.shape == (1, 1, size, size)
    centre = slice(size // 2 - 6, size // 2 + 7)
    low, wanted = exact[..., centre, centre], discrete[..., centre, centre]
    assert (low - wanted).norm() < 5e-3 * wanted.norm()
    # far out pixels and ellipses differ: that is what makes it no inverse crime
    assert (exact - discrete)[..., 0, :].norm() > 0.05 * discrete[..., 0, :].norm()


def test_kspace_gives_the_image_back_but_for_ringing():
    image = ellipse_phantom(128)
    kspace = ellipse_kspace(128)
    back = torch.fft.ifft2(torch.fft.ifftshift(kspace, dim=(-2, -1)), norm="ortho")
    back = torch.fft.fftshift(back, dim=(-2, -1))
    inside = (slice(None), slice(None), slice(56, 72), slice(56, 72))
    assert (back.real - image)[inside].abs().mean() < 0.02
    assert (back.real - image).square().mean().sqrt() < 0.06


def test_the_heart_beats_and_the_vessel_fills():
    movie = moving_phantom(24, 64, period=8)
    assert movie.shape == (24, 1, 64, 64)
    assert movie.dtype == torch.float32
    assert 0 <= movie.min() <= movie.max() <= 1
    heart, vessel, elsewhere = movie[:, 0, 18:38, 26:38], movie[:, 0, 40, 35], movie[:, 0, :16]
    torch.testing.assert_close(heart[:8], heart[8:16])
    assert (heart[4] > 0.7).sum() < 0.7 * (heart[0] > 0.7).sum()  # it contracts
    assert (elsewhere == elsewhere[0]).all()
    peak = int(vessel.argmax())
    assert 0 < peak < 23
    assert (vessel[: peak + 1].diff() > 0).all()
    assert (vessel[peak:].diff() < 0).all()
    assert vessel[peak] - vessel[0] > 0.3


def test_without_the_heart_the_movie_is_of_rank_two():
    movie = moving_phantom(24, 64, period=1).double()  # one beat a frame: the heart stands still
    values = torch.linalg.svdvals(movie.flatten(1))
    assert values[1] > 1e-2 * values[0]
    assert values[2] < 1e-6 * values[0]


def test_arguments_that_cannot_be_used(unchecked):
    with pytest.raises(expect.InputError, match="expected a size"):
        ellipse_phantom(1)
    with pytest.raises(expect.InputError, match="expected supersampling as a whole number from 1, got 0"):
        ellipse_phantom(8, supersampling=0)
    with pytest.raises(expect.InputError, match="expected a list of data.Ellipse"):
        ellipse_phantom(8, ellipses=[(1, 1, 1, 0, 0, 0)])
    with pytest.raises(expect.InputError, match="semi-axes above 0"):
        ellipse_kspace(8, ellipses=[Ellipse(1, 0, 1, 0, 0)])
    with pytest.raises(expect.InputError, match="expected angles as a floating-point"):
        ellipse_sinogram(8, torch.arange(3))
    with pytest.raises(expect.InputError, match="expected detectors as a whole number from 1, got 0"):
        ellipse_sinogram(8, torch.zeros(3), detectors=0)
    with pytest.raises(expect.InputError, match="expected frames as a whole number from 1, got 0"):
        moving_phantom(0, 8)
    with pytest.raises(expect.InputError, match="expected period as a whole number from 1, got 0"):
        moving_phantom(3, 8, period=0)
