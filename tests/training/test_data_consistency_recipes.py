"""Module 09's recipes: what a batch is, and what the loss and the validation count."""

from dataclasses import replace

import h5py
import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import expect, physics
from course_lib.data.mri_files import centre_crop, read_fastmri
from course_lib.data.population import brain_population
from course_lib.metrics import psnr
from course_lib.networks import DeepCascade
from course_lib.physics.simulate import scan
from course_lib.training import find_recipe, train
from course_lib.training.recipes import data_consistency as recipes


def few():
    """A pool of few images in place of the recipe's, which takes seconds to make."""
    return brain_population("train", 3, 2, size=32)


class ZeroFilled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def forward(self, y, mask):
        return physics.FourierSampling(mask).adjoint(y)


def test_the_networks_are_trained_alike():
    cascade, cnn, unet = (find_recipe(name) for name in ("cascade", "cnn", "unet"))
    for name in ("loss", "steps", "batch_size", "seed", "warm_up"):
        assert getattr(cascade, name) == getattr(cnn, name) == getattr(unet, name)
    for name, function in (("batch", recipes.batch), ("validate", recipes.validate)):
        parts = [(getattr(r, name).func, getattr(r, name).args) for r in (cascade, cnn, unet)]
        assert parts[0] == parts[1] == parts[2]
        assert parts[0][0] is function
    count = [sum(p.numel() for p in recipe.network().parameters()) for recipe in (cascade, cnn)]
    assert abs(count[0] / count[1] - 1) < 0.01


def test_a_batch_has_a_new_mask_for_each_image_at_both_accelerations(generator):
    x, y, mask = recipes.batch(few, generator, 24)
    assert x.shape == y.shape == mask.shape == (24, 1, 32, 32)
    lines = mask[:, 0, 0].sum(-1)
    assert set(lines.tolist()) == {32 // 4, 32 // 8}
    assert len({tuple(m.tolist()) for m in mask[:, 0, 0]}) > 20
    assert torch.equal(y, physics.FourierSampling(mask)(x))
    assert len({round(float(image.abs().sum()), 3) for image in x}) > 3


def test_a_batch_is_the_generators(generator):
    state = generator.get_state()
    first, other = recipes.batch(few, generator, 2), recipes.batch(few, generator, 2)
    generator.set_state(state)
    for a, b, c in zip(first, recipes.batch(few, generator, 2), other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_loss_is_minus_the_psnr_of_the_complex_image(generator):
    scans = recipes.batch(few, generator, 3)
    x, y, mask = scans
    estimate = physics.FourierSampling(mask).adjoint(y)
    difference = torch.view_as_real(estimate - x)
    mean_square = difference.square().sum(dim=-1).mean(dim=(1, 2, 3))
    wanted = 10 * mean_square.log10().mean()
    torch.testing.assert_close(recipes.negative_psnr(ZeroFilled(), scans), wanted)
    network = DeepCascade(1, 2, 2)
    recipes.negative_psnr(network, scans).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_validation_is_the_mean_psnr_of_magnitudes_of_all_images():
    metrics = recipes.validate(few, ZeroFilled())
    assert set(metrics) == {"psnr_r4", "psnr_r8"}
    x, y, mask = scan(few(), 8, torch.Generator().manual_seed(8))
    estimate = physics.FourierSampling(mask).adjoint(y)
    assert metrics["psnr_r8"] == pytest.approx(float(psnr(estimate.abs(), x.abs()).mean()), rel=1e-5)
    assert metrics["psnr_r8"] < metrics["psnr_r4"]


# ── The user's own data ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path, generator):
    """Two images, a volume, and two fastMRI files, of different sizes."""
    for name, shape in (("a.png", (40, 36)), ("b.png", (32, 48))):
        Image.fromarray(torch.randint(1, 256, shape, generator=generator, dtype=torch.uint8).numpy()).save(
            tmp_path / name
        )
    volume = torch.rand(40, 36, 8, generator=generator).numpy()
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "c.nii.gz")
    for name in ("d.h5", "e.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["kspace"] = 1e-5 * torch.randn(3, 64, 34, dtype=torch.complex64, generator=generator).numpy()
    return tmp_path


def test_own_data_are_split_by_file_and_cropped_to_what_all_have(folder):
    training, validation = recipes.own_images(folder)
    assert training.dtype == validation.dtype == torch.complex64
    assert training.shape[1:] == validation.shape[1:] == (1, 32, 34)
    assert len(validation) == 3  # of the last file, the fifth of five
    assert len(training) > 2 + 3
    for images in (training, validation):
        torch.testing.assert_close(images.abs().amax(dim=(1, 2, 3)), torch.ones(len(images)))
    last = read_fastmri(folder / "e.h5").kspace
    wanted = centre_crop(physics.inverse_fourier(last), (32, 34))
    wanted = wanted / wanted.abs().amax(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(validation, wanted)


def test_every_recipe_learns_from_own_data(folder, tmp_path):
    for name in ("cascade", "cnn", "unet"):
        built_in = find_recipe(name)
        own = built_in.data(folder)
        assert (own.name, own.steps, own.learning_rate) == (name, built_in.steps, built_in.learning_rate)
    own = replace(find_recipe("cascade").data(folder), network=lambda: DeepCascade(1, 4, 2))
    result = train(own, steps=2)
    assert result.finished
    assert set(result.metrics) == {"psnr_r4", "psnr_r8"}


def test_own_data_that_cannot_be_used(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(expect.InputError, match="where none was found"):
        recipes.own_images(empty)
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(empty / "black.png")
    with pytest.raises(expect.InputError, match="^expected at least 2 files in .*empty, one to learn from"):
        recipes.own_images(empty)
    Image.fromarray(np.full((32, 32), 9, np.uint8)).save(empty / "grey.png")
    with pytest.raises(expect.InputError, match=r"^expected images with something in them, got .*black\.png"):
        recipes.own_images(empty)
