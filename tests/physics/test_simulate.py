"""Simulated scans: what was measured is what the operator measures, with a phase, a mask and noise of its own."""

import pytest
import torch

from course_lib import expect, physics
from course_lib.physics.simulate import PHASE, line_masks, scan, smooth_phase


@pytest.fixture
def images(generator):
    return torch.rand(6, 1, 32, 24, generator=generator)


def test_a_scan_is_the_operator_on_its_ground_truth(images, generator):
    x, y, mask = scan(images, 4, generator)
    assert x.dtype == y.dtype == torch.complex64
    torch.testing.assert_close(x.abs(), images)
    assert torch.equal(y, physics.FourierSampling(mask)(x))
    assert x.angle().std() > 0.1


def test_each_image_has_a_mask_of_its_own_with_the_lines_of_the_acceleration(images, generator):
    mask = scan(images, 4, generator).mask
    assert mask.shape == images.shape
    assert mask.dtype == torch.bool
    assert (mask[:, 0, 0].sum(-1) == 24 / 4).all()
    assert (mask == mask[:, :, :1]).all()  # whole lines
    assert len({tuple(m.flatten().tolist()) for m in mask}) > 1
    assert mask[:, 0, 0, 11:13].all()  # .08 of 24 lines around zero frequency at index 12
    wide = line_masks(3, (16, 100), 4, generator, centre_fraction=0.2)
    assert wide[..., 40:60].all()
    eight = line_masks(50, (2, 100), 8, generator)[:, 0, 0]
    assert eight[:, 48:52].all()  # .04
    assert not eight[:, 47].all()
    assert not eight[:, 52].all()


def test_phase_is_smooth_and_of_the_stated_spread(generator):
    images = torch.ones(400, 1, 16, 16, dtype=torch.float64)
    phase = smooth_phase(images, generator)
    assert phase.dtype == torch.float64
    # a polynomial of degree two: its third differences vanish, its second do not
    assert phase.diff(n=3, dim=-1).abs().max() < 1e-12
    assert phase.diff(n=3, dim=-2).abs().max() < 1e-12
    assert phase.diff(n=2, dim=-1).abs().max() > 1e-3
    assert phase.diff(dim=-1).diff(dim=-2).abs().max() > 1e-3
    corner = 6**0.5  # 1, u, v, u², uv and v² are all 1 or −1 there
    assert phase[:, 0, 0, 0].std().item() == pytest.approx(PHASE * corner, rel=0.1)
    centre = phase[:, 0, 7:9, 7:9].mean(dim=(1, 2))
    assert centre.std().item() == pytest.approx(PHASE, rel=0.1)


def test_noise_stands_only_in_measured_samples(images, generator):
    state = generator.get_state()
    clean = scan(images, 4, generator)
    generator.set_state(state)
    noisy = scan(images, 4, generator, sigma=0.1)
    assert torch.equal(noisy.x, clean.x)
    difference = noisy.y - clean.y
    assert (difference[~noisy.mask] == 0).all()
    parts = torch.view_as_real(difference[noisy.mask])
    assert parts.std().item() == pytest.approx(0.1, rel=0.1)


def test_coils_see_the_same_image_along_the_same_lines(images, generator):
    maps = physics.coil_sensitivities((32, 24), 4)
    state = generator.get_state()
    x, y, mask = scan(images, 4, generator, sensitivities=maps)
    generator.set_state(state)
    single = scan(images, 4, generator)
    assert torch.equal(x, single.x)
    assert torch.equal(mask[:, 0], single.mask)
    assert y.shape == (6, 1, 4, 32, 24)
    torch.testing.assert_close(y, mask * physics.fourier(maps * x[:, :, None]))


def test_randomness_comes_from_the_generator_alone(images, generator):
    state = generator.get_state()
    first, other = scan(images, 4, generator, sigma=0.1), scan(images, 4, generator, sigma=0.1)
    generator.set_state(state)
    again = scan(images, 4, generator, sigma=0.1)
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_wrong_arguments_are_named(images, generator, unchecked):
    for wrong in (0.5, 25):
        with pytest.raises(expect.InputError, match="expected (the|an) acceleration"):
            scan(images, wrong, generator)
    with pytest.raises(expect.InputError, match="expected images as"):
        scan(images[0], 4, generator)
    with pytest.raises(expect.InputError, match="expected a torch.Generator"):
        scan(images, 4, 0)
    with pytest.raises(expect.InputError, match="expected the noise level sigma"):
        scan(images, 4, generator, sigma=-1.0)
    with pytest.raises(expect.InputError, match="expected mask and sensitivities of one size"):
        scan(images, 4, generator, sensitivities=physics.coil_sensitivities((32, 32), 2))
    with pytest.raises(expect.InputError, match="expected the batch as a whole number from 1, got 0"):
        line_masks(0, (8, 8), 2, generator)
