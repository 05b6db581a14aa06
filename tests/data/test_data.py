"""Photographs, brain anatomy and power-law images."""

import pytest
import torch

from course_lib import data, expect


def test_training_and_test_photographs_are_apart_and_complete():
    training, test = set(data.TRAINING_PHOTOGRAPHS), set(data.TEST_PHOTOGRAPHS)
    assert not training & test
    assert training | test == set(data.PHOTOGRAPHS) - {"aerial", "ascent"}


def test_photographs_of_networks_are_apart_and_complete():
    parts = [
        set(data.NETWORK_TRAINING_PHOTOGRAPHS), set(data.NETWORK_VALIDATION_PHOTOGRAPHS),
        set(data.NETWORK_TEST_PHOTOGRAPHS),
    ]  # fmt: skip
    assert set.union(*parts) == set(data.PHOTOGRAPHS)
    assert sum(map(len, parts)) == len(data.PHOTOGRAPHS)
    # by content too: no photograph stands in two packages, or under two names
    small = data.photographs(sorted(data.PHOTOGRAPHS), size=64).flatten(1)
    likeness = torch.corrcoef(small).fill_diagonal_(0)
    assert likeness.max() < 0.7


def test_whole_photographs_keep_their_shapes_at_every_scale():
    images = data.whole_photographs(["cat", "ascent"], scales=[1, 0.5])
    assert [tuple(image.shape) for image in images] == [(1, 300, 451), (1, 150, 226), (1, 512, 512), (1, 256, 256)]
    assert all(0 <= image.min() < image.max() <= 1 for image in images)
    assert images[1].mean() == pytest.approx(images[0].mean().item(), abs=1e-3)
    for scale in (0, 1.5):
        with pytest.raises(expect.InputError, match="expected a scale as a number above 0 to 1"):
            data.whole_photographs(["cat"], scales=[scale])


@pytest.mark.parametrize("name", sorted(data.PHOTOGRAPHS))
def test_every_photograph_is_grey_square_and_has_contrast(name):
    image = data.photographs([name], size=64)
    assert image.shape == (1, 1, 64, 64)
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.02


def test_grey_weighs_the_colours_as_bt_601_does_and_scaling_down_smooths():
    import numpy as np
    from skimage import data as theirs

    rgb = theirs.astronaut()[256, 100] / 255
    wanted = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    assert data.photographs(["astronaut"], size=512)[0, 0, 256, 100].item() == pytest.approx(wanted, abs=1e-5)
    # without smoothing, texture folds back into a small image at full strength
    grass = data.photographs(["grass"], size=32)
    assert grass.std() < 0.6 * np.std(theirs.grass()[::16, ::16] / 255)


def test_a_photograph_belongs_to_the_caller():
    data.photographs(["cat"], size=32).zero_()
    assert data.photographs(["cat"], size=32).max() > 0


def test_unknown_photographs_are_named():
    with pytest.raises(expect.InputError, match="got dog, wolf"):
        data.photographs(["cat", "dog", "wolf"])
    with pytest.raises(expect.InputError, match="expected a list of photographs' names, got 'cat'"):
        data.photographs("cat")
    with pytest.raises(expect.InputError, match="expected a list of photographs' names"):
        data.photographs([])


def test_eight_symmetries_are_all_different_and_keep_the_pixels(unchecked):
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    all_eight = data.with_symmetries(image)
    assert len({tuple(x.flatten().tolist()) for x in all_eight}) == 8
    assert (all_eight.flatten(1).sort().values == image.flatten(1).sort().values).all()
    with pytest.raises(expect.InputError, match="expected square images"):
        data.with_symmetries(torch.zeros(1, 1, 3, 4))


def test_brain_slices_have_front_up_and_tissue_where_it_belongs():
    brain = data.brain_anatomy(heights_mm=(20,), size=192)
    t1, grey, white = (brain[name][0, 0] for name in ("t1", "grey_matter", "white_matter"))
    assert t1.shape == (192, 192)
    # 95 mm left of the middle is air, the middle of the slice is brain
    assert t1[96, 2] == 0
    assert t1[40:150, 40:150].mean() > 0.4
    # white matter is brighter than grey matter in T1
    assert t1[white > 0.8].mean() > t1[grey > 0.8].mean() + 0.05
    # the genu of the corpus callosum lies before the frontal horns: bright, then dark, then the bright thalami. Behind
    # the thalami lies the cerebellum or cortex, so the dark horns in the upper half tell front from back
    horns, mirrored = t1[72:92, 84:108], t1.flip(0)[72:92, 84:108]
    assert (horns < 0.45).float().mean() > (mirrored < 0.45).float().mean() + 0.1
    # left and right are nearly mirror images, front and back are not
    assert (t1 - t1.flip(1)).abs().mean() < (t1 - t1.flip(0)).abs().mean()


def test_brain_slices_out_of_range():
    with pytest.raises(expect.InputError, match="from -72 to 116"):
        data.brain_anatomy(heights_mm=(200,))
    with pytest.raises(expect.InputError, match="at most 256"):
        data.brain_anatomy(size=300)


def test_power_law_images_have_their_spectrum_mean_and_deviation(generator):
    spectrum = data.power_law_spectrum(32, exponent=2.5, std=0.15, mean=0.4)
    images = data.gaussian_images(spectrum, 4000, generator)
    assert images.mean() == pytest.approx(0.4, abs=1e-6)
    assert (images - 0.4).square().mean().sqrt() == pytest.approx(0.15, rel=0.01)
    measured = torch.fft.fft2(images).abs().square().mean(dim=(0, 1))
    ratio = (measured / spectrum).flatten()[1:]
    assert ratio.mean() == pytest.approx(1, rel=0.01)
    assert ratio.std() < 0.05  # each is a mean over 4000 draws


def test_power_falls_with_the_exponent():
    spectrum = data.power_law_spectrum(64, exponent=3.0)
    assert spectrum[0, 4] / spectrum[0, 8] == pytest.approx(8)


def test_spectra_that_are_none():
    with pytest.raises(expect.InputError, match="exponent"):
        data.power_law_spectrum(8, exponent=-1)
    with pytest.raises(expect.InputError, match="at least 0"):
        data.gaussian_images(-torch.ones(4, 4), 1, torch.Generator())
