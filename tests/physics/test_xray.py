"""X-ray counts: Beer and Lambert's law, Poisson's variance, and the noise of the image made from them."""

import math

import pytest
import torch

from course_lib import physics
from course_lib.expect import InputError
from course_lib.physics.xray import ELECTRONIC_NOISE, OPTICAL_DEPTH


def flat(attenuation, size=400):
    return torch.full((1, 1, size, size), attenuation)


def test_the_usual_dose_leaves_20_000_photons_behind_fat():
    behind_fat = physics.USUAL_DOSE * physics.transmission(flat(0.42, 2))
    torch.testing.assert_close(behind_fat, torch.full((1, 1, 2, 2), 20_000.0), rtol=0.03, atol=0)


@pytest.mark.parametrize("attenuation", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("electronic", [0.0, 10.0])
def test_counts_have_poissons_mean_and_variance(attenuation, electronic, generator):
    dose = 1000.0
    counts = physics.xray_counts(flat(attenuation), dose, generator, electronic)
    mean = dose * math.exp(-OPTICAL_DEPTH * attenuation)
    variance = mean + electronic**2
    pixels = counts.numel()
    assert abs(counts.mean() - mean) < 4 * math.sqrt(variance / pixels)
    assert counts.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / pixels) + 1e-3)
    if electronic == 0:
        assert torch.equal(counts, counts.round())


def test_a_quarter_of_the_dose_doubles_the_noise(generator):
    dense = flat(0.8)
    for dose in (physics.USUAL_DOSE, physics.USUAL_DOSE / 4):
        image = physics.attenuation_image(physics.xray_counts(dense, dose, generator), dose)
        predicted = physics.attenuation_noise(dense, dose)
        assert image.std() == pytest.approx(float(predicted[0, 0, 0, 0]), rel=0.02)
        assert abs(image.mean() - 0.8) < 5e-4
    whole, quarter = (physics.attenuation_noise(dense, physics.USUAL_DOSE / n, 0.0)[0, 0, 0, 0] for n in (1, 4))
    assert quarter / whole == pytest.approx(2)


def test_the_denser_the_noisier():
    image = torch.linspace(0, 1, 20).view(1, 1, 1, 20)
    noise = physics.attenuation_noise(image, 1000.0)
    assert (noise.diff() > 0).all()


def test_without_noise_the_image_comes_back():
    x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    counts = 5000 * physics.transmission(x)
    torch.testing.assert_close(physics.attenuation_image(counts, 5000.0), x)


def test_no_photon_is_taken_as_half_of_one():
    counts = torch.tensor([[[[-3.0, 0.0, 0.5]]]])
    image = physics.attenuation_image(counts, 100.0)
    torch.testing.assert_close(image, torch.full_like(image, math.log(200) / OPTICAL_DEPTH))


def test_the_default_detector_adds_its_noise(generator):
    counts = physics.xray_counts(flat(3.0), 1.0, generator)  # hardly any photon
    assert counts.std() == pytest.approx(ELECTRONIC_NOISE, rel=0.01)


def test_bad_input(generator):
    with pytest.raises(InputError, match="expected the dose as a number above 0, got 0"):
        physics.xray_counts(flat(0.5, 2), 0.0, generator)
    with pytest.raises(InputError, match="expected attenuation of at least 0, got a torch.Tensor of shape"):
        physics.xray_counts(flat(-0.1, 2), 100.0, generator)
    with pytest.raises(InputError, match="expected the electronic noise as a number from 0, got -1"):
        physics.xray_counts(flat(0.5, 2), 100.0, generator, -1.0)
    with pytest.raises(InputError, match="expected the counts without NaN or infinity"):
        physics.attenuation_image(flat(math.nan, 2), 100.0)
