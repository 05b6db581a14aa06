"""Module 04's recipes: what a batch is, what twins share, and what the loss and the validation count."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import data, expect
from course_lib.training import all_recipes, find_recipe, train
from course_lib.training.recipes import blind_denoising as recipes

TWINS = [(name, f"bf_{name}") for name in ("dncnn", "unet_denoiser", "recurrent_cnn", "dense_denoiser")]


class Gentle(torch.nn.Module):
    """y scaled by a learned number."""

    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.ones(()))

    def forward(self, y):
        return self.factor * y


def ramp(height=80, width=100):
    """An image whose every patch can be told from every other."""
    return (torch.arange(height)[:, None] / height + torch.arange(width)[None, :] / width**2)[None] / 2


@pytest.mark.parametrize("twins", TWINS)
def test_twins_are_trained_alike(twins):
    one, other = map(find_recipe, twins)
    for name in ("loss", "steps", "batch_size", "seed", "warm_up", "learning_rate"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("batch", "validate"):
        parts = [(getattr(r, name).func, getattr(r, name).args) for r in (one, other)]
        assert parts[0] == parts[1]
    biases = [[n for n, _ in r.network().named_parameters() if "bias" in n] for r in (one, other)]
    assert biases[0]
    assert not biases[1]


def test_training_sees_no_photograph_that_is_tested_or_validated_on():
    assert not set(data.NETWORK_TEST_PHOTOGRAPHS) & set(data.NETWORK_TRAINING_PHOTOGRAPHS)
    assert len(recipes.training_images()) == len(data.NETWORK_TRAINING_PHOTOGRAPHS) * len(recipes.SCALES)
    wanted = data.whole_photographs(data.NETWORK_TRAINING_PHOTOGRAPHS, recipes.SCALES)
    assert all(torch.equal(a, b) for a, b in zip(recipes.training_images(), wanted, strict=True))
    assert torch.equal(recipes.validation_images(), data.photographs(data.NETWORK_VALIDATION_PHOTOGRAPHS, 256))
    assert recipes.HIGHEST_SIGMA <= 30 / 255
    assert {name for pair in TWINS for name in pair} <= set(all_recipes())


def test_a_batch_has_clean_patches_and_noise_of_many_levels(generator):
    clean, noisy = recipes.batch(lambda: [ramp()], generator, 400)
    assert clean.shape == noisy.shape == (400, 1, recipes.PATCH, recipes.PATCH)
    assert clean.dtype == torch.float32
    level = (noisy - clean).std(dim=(1, 2, 3)) / recipes.HIGHEST_SIGMA
    assert 0 < level.min() < 0.05
    assert 0.95 < level.max() < 1.05
    assert level.mean() == pytest.approx(0.5, abs=0.05)
    noise = (noisy - clean) / (noisy - clean).std(dim=(1, 2, 3), keepdim=True)
    assert noise.pow(4).mean() == pytest.approx(3, rel=0.02)  # Gaussian


def test_patches_come_from_everywhere_in_all_eight_positions(generator):
    image = ramp()
    clean, _ = recipes.batch(lambda: [image], generator, 300)
    seen = set()
    for patch in clean[:, 0]:
        down, right = (patch[1, 0] - patch[0, 0]).item(), (patch[0, 1] - patch[0, 0]).item()
        seen.add((abs(down) > abs(right), down > 0, right > 0))
    assert len(seen) == 8
    assert clean.min() < 0.02
    assert clean.max() > image.max() - 0.02
    assert len({round(float(patch.min()), 5) for patch in clean}) > 150


def test_a_batch_is_the_generators(generator):
    state = generator.get_state()
    first, other = (recipes.batch(lambda: [ramp()], generator, 3) for _ in range(2))
    again = recipes.batch(lambda: [ramp()], generator.set_state(state), 3)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])


def test_the_loss_counts_a_halved_error_alike_at_every_level():
    clean = torch.rand(2, 1, 8, 8)
    quiet, loud = clean + 0.02, clean + 0.4
    both = recipes.log_error(Gentle(), (clean, torch.stack([quiet[0], loud[1]])))
    wanted = torch.log(torch.tensor([0.02**2 + 1e-6, 0.4**2 + 1e-6])).mean()
    assert both.item() == pytest.approx(wanted.item(), abs=1e-3)


def test_validation_is_psnr_at_four_levels_and_always_the_same():
    images = torch.rand(2, 1, 96, 96)
    with torch.no_grad():
        found = recipes.validate(lambda: images, Gentle())
        assert found == recipes.validate(lambda: images, Gentle())
    assert list(found) == ["psnr_10", "psnr_30", "psnr_50", "psnr_90"]
    for sigma in (10, 30, 50, 90):
        assert found[f"psnr_{sigma}"] == pytest.approx(-20 * np.log10(sigma / 255), abs=0.2)


@pytest.mark.parametrize("name", [name for pair in TWINS for name in pair])
def test_every_recipe_learns(name):
    """A few steps on one picture lower the loss on a batch of it, with the batch's own statistics."""
    recipe = find_recipe(name)
    images = data.whole_photographs(["camera"], [0.25])
    small = replace(
        recipe, batch=lambda generator, size: recipes.batch(lambda: images, generator, size),
        validate=lambda network: {}, batch_size=2, warm_up=2, learning_rate=3e-3,
    )  # fmt: skip
    fixed = recipes.batch(lambda: images, torch.Generator().manual_seed(3), 8)
    trained = [train(small, steps=steps).network.train() for steps in (1, 40)]
    with torch.no_grad():
        after = [recipe.loss(network, fixed) for network in trained]
    assert after[1] < after[0] - 0.05
    assert torch.isfinite(after[1])


# --- the user's own images ----------------------------------------------------------------------------


def save(folder, name, size, channels=None):
    shape = size if channels is None else (*size, channels)
    array = np.random.default_rng(len(name)).integers(0, 255, shape, dtype=np.uint8)
    Image.fromarray(array).save(folder / name)


def test_own_images_are_split_by_file(tmp_path):
    for k in range(10):
        save(tmp_path, f"{k}.png", (70 + k, 90), channels=3 if k % 2 else None)
    recipe = find_recipe("bf_dncnn").data(tmp_path)
    training, validation = (f.args[0]() for f in (recipe.batch, recipe.validate))
    assert [tuple(image.shape) for image in training] == [(1, 70 + k, 90) for k in range(8)]
    assert validation.shape == (2, 1, 78, 78)
    clean, noisy = recipe.batch(torch.Generator().manual_seed(0), 5)
    assert clean.shape == noisy.shape == (5, 1, recipes.PATCH, recipes.PATCH)
    with torch.no_grad():
        found = recipe.validate(Gentle())
    assert set(found) == {"psnr_10", "psnr_30", "psnr_50", "psnr_90"}
    assert recipe.name == "bf_dncnn"
    assert recipe.steps == find_recipe("bf_dncnn").steps


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([(80, 80)], "expected at least 2 images in .*, one to learn from"),
        ([(80, 80), (63, 200)], r"expected images of at least 64×64 pixels, got .*1\.png with 63×200"),
        ([], "expected images"),
    ],
)
def test_folders_that_cannot_be_learned_from(sizes, said, tmp_path):
    for k, size in enumerate(sizes):
        save(tmp_path, f"{k}.png", size)
    with pytest.raises(expect.InputError, match=said):
        find_recipe("dncnn").data(tmp_path)


def test_a_file_that_is_no_image_is_named(tmp_path):
    save(tmp_path, "a.png", (80, 80))
    (tmp_path / "b.png").write_text("no image")
    with pytest.raises(expect.InputError, match="b.png"):
        find_recipe("dncnn").data(tmp_path)
