"""Module 09's recipes: what a batch is, and what the loss and the validation count."""

import pytest
import torch

from course_lib import physics
from course_lib.data.population import brain_population
from course_lib.metrics import psnr
from course_lib.networks import DeepCascade
from course_lib.physics.simulate import scan
from course_lib.training import find_recipe
from course_lib.training.recipes import data_consistency as recipes


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """A pool of few images in place of the recipe's, which takes seconds to make."""
    monkeypatch.setattr(recipes, "training_images", lambda: brain_population("train", 3, 2, size=32))
    monkeypatch.setattr(
        recipes, "validation_scans",
        lambda R: scan(brain_population("validation", 3, 2, size=32), R, torch.Generator().manual_seed(R)),
    )  # fmt: skip


class ZeroFilled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def forward(self, y, mask):
        return physics.FourierSampling(mask).adjoint(y)


def test_the_networks_are_trained_alike():
    cascade, cnn, unet = (find_recipe(name) for name in ("cascade", "cnn", "unet"))
    for name in ("batch", "loss", "validate", "steps", "batch_size", "seed", "warm_up"):
        assert getattr(cascade, name) == getattr(cnn, name) == getattr(unet, name)
    count = [sum(p.numel() for p in recipe.network().parameters()) for recipe in (cascade, cnn)]
    assert abs(count[0] / count[1] - 1) < 0.01


def test_a_batch_has_a_new_mask_for_each_image_at_both_accelerations(generator):
    x, y, mask = recipes.batch(generator, 24)
    assert x.shape == y.shape == mask.shape == (24, 1, 32, 32)
    lines = mask[:, 0, 0].sum(-1)
    assert set(lines.tolist()) == {32 // 4, 32 // 8}
    assert len({tuple(m.tolist()) for m in mask[:, 0, 0]}) > 20
    assert torch.equal(y, physics.FourierSampling(mask)(x))
    assert len({round(float(image.abs().sum()), 3) for image in x}) > 3


def test_a_batch_is_the_generators(generator):
    state = generator.get_state()
    first, other = recipes.batch(generator, 2), recipes.batch(generator, 2)
    generator.set_state(state)
    for a, b, c in zip(first, recipes.batch(generator, 2), other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_loss_is_minus_the_psnr_of_the_complex_image(generator):
    scans = recipes.batch(generator, 3)
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
    metrics = recipes.validate(ZeroFilled())
    assert set(metrics) == {"psnr_r4", "psnr_r8"}
    x, y, mask = recipes.validation_scans(8)
    estimate = physics.FourierSampling(mask).adjoint(y)
    assert metrics["psnr_r8"] == pytest.approx(float(psnr(estimate.abs(), x.abs()).mean()), rel=1e-5)
    assert metrics["psnr_r8"] < metrics["psnr_r4"]
