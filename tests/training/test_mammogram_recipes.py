"""Module 05's recipes: what is measured at which dose, what each loss looks at, and the user's own mammograms."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import data, expect, networks, physics
from course_lib.training import all_recipes, find_recipe, train
from course_lib.training.recipes import mammogram_denoising as recipes

NAMES = [name for name in all_recipes() if name.startswith("mammogram")]
LOSSES = [name for name in NAMES if not name.endswith(("_1", "_2"))]  # without the other seeds of the same


@pytest.fixture(scope="module")
def breast():
    m = data.mammogram("train", 1)
    return [(m.image[0], m.calcifications[:, :2].round().int())]


def samples(breast, count, seed=0):
    return recipes.batch(lambda: breast, torch.Generator().manual_seed(seed), count)


def test_the_noise_is_white_and_of_the_told_level(breast):
    target, noisy, sigma, direction = samples(breast, 300)
    assert target.shape == noisy.shape == direction.shape == (300, 1, recipes.PATCH, recipes.PATCH)
    noise = (noisy - target) / sigma[:, None, None, None]
    photons = (1 / (2 * sigma)).square()[:, None, None, None] * target.square()
    assert noise[photons > 60].std() == pytest.approx(1, abs=0.01)
    assert noise.mean().abs() < 2e-3
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean()
    assert neighbours.abs() < 2e-3
    assert direction.std() == pytest.approx(1, abs=0.01)


def test_doses_are_drawn_evenly_in_their_logarithm(breast):
    share = (1 / (2 * samples(breast, 400).sigma)).square() / physics.USUAL_DOSE
    low, high = recipes.DOSE_SHARES
    assert low * 0.999 < share.min() < 1.3 * low
    assert high / 1.3 < share.max() < high * 1.001
    assert (share < (low * high) ** 0.5).float().mean() == pytest.approx(0.5, abs=0.08)


def test_no_patch_is_all_air(breast):
    target = samples(breast, 200).target
    assert (target.amin(dim=(1, 2, 3)) < 0.999).all()


def test_every_fourth_patch_is_cut_about_a_calcification(breast):
    """An image of nothing but spots of different brightness tells which of them a patch holds."""
    image, spots = torch.full((1, 512, 384), 0.1), torch.tensor([[5, 5], [400, 200], [300, 380]])
    for row, column in spots:
        image[:, row, column] = 0.9
    g = torch.Generator().manual_seed(0)
    held = [recipes._patch([(image, spots)], g) for _ in range(400)]
    assert {tuple(patch.shape) for patch in held} == {(1, recipes.PATCH, recipes.PATCH)}
    share = sum(bool(patch.amax() > 0.5) for patch in held) / 400
    by_chance = [recipes._patch([(image, spots[:0])], g) for _ in range(400)]
    at_random = sum(bool(patch.amax() > 0.5) for patch in by_chance) / 400
    assert share == pytest.approx(recipes.WITH_CALCIFICATION + (1 - recipes.WITH_CALCIFICATION) * at_random, abs=0.07)


def test_a_batch_is_the_generators(breast):
    first, again, other = samples(breast, 3, 5), samples(breast, 3, 5), samples(breast, 3, 6)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.noisy, other.noisy)


class Unchanged(torch.nn.Module):
    def forward(self, y, sigma):
        return y


def test_squared_errors_are_divided_by_the_noise_level(breast):
    sample = samples(breast, 100)
    wanted = sample.sigma.mean().item()  # of σ²/σ
    assert recipes.squared_error(Unchanged(), sample).item() == pytest.approx(wanted, rel=0.03)
    assert recipes.sure(Unchanged(), sample).item() == pytest.approx(wanted, rel=0.03)


def test_sure_never_looks_at_the_target(breast):
    sample = samples(breast, 4)
    network = networks.DilatedCNN((1, 1), 4)
    blind = sample._replace(target=torch.full_like(sample.target, torch.nan))
    assert recipes.sure(network, blind).item() == recipes.sure(network, sample).item()
    truth = recipes.squared_error(network, samples(breast, 150))
    assert recipes.sure(network, samples(breast, 150)).item() == pytest.approx(truth.item(), abs=0.05)


def test_what_is_compared_differs_in_one_thing_alone():
    plain, dilated, sure = (find_recipe(f"mammogram_{name}") for name in ("plain", "dilated", "sure"))
    for name in ("steps", "batch_size", "warm_up", "learning_rate"):
        assert len({getattr(find_recipe(r), name) for r in NAMES if r != "mammogram_sure"}) == 1
    assert sure.steps == 2 * dilated.steps  # and the rest is the same
    assert (sure.batch_size, sure.learning_rate, sure.seed) == (8, dilated.learning_rate, dilated.seed)
    for seed in recipes.SEEDS[1:]:
        pair = [find_recipe(f"mammogram_{name}_{seed}") for name in ("plain", "dilated")]
        assert [r.seed for r in pair] == [seed, seed]
        assert [r.network().dilations for r in pair] == [plain.network().dilations, dilated.network().dilations]
    sizes = [sum(p.numel() for p in r.network().parameters()) for r in (plain, dilated, sure)]
    assert len(set(sizes)) == 1
    assert plain.loss == dilated.loss
    assert plain.network().receptive_field == 9
    assert dilated.network().receptive_field == sure.network().receptive_field == 15


def test_training_and_validation_see_no_breast_in_common():
    training = torch.stack([image for image, _ in recipes.training_breasts()[:20]])
    validation = recipes.validation_images()
    assert len(recipes.training_breasts()) == recipes.MAMMOGRAMS
    assert validation.shape == (6, 1, 256, 256)
    for image in validation:
        assert ((training[..., 128:384, 16:272] - image).abs().mean(dim=(1, 2, 3)) > 0.01).all()


def test_validation_is_psnr_of_the_attenuation_image():
    images = 0.3 + 0.4 * torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    network = networks.DilatedCNN((1, 1), 4)
    for p in network.parameters():
        p.data.zero_()  # f(y) = y
    with torch.no_grad():
        found = recipes.validate(lambda: images, network)
        assert found == recipes.validate(lambda: images, network)
    for part in (16, 64, 256):  # beyond, the noise of the logarithm is no longer that of its slope
        noise = physics.attenuation_noise(images, physics.USUAL_DOSE / part)
        wanted = -10 * torch.log10(noise.square().mean(dim=(1, 2, 3))).mean()
        assert found[f"psnr_{part}"] == pytest.approx(wanted.item(), abs=0.5)


@pytest.mark.parametrize("name", LOSSES)
def test_every_recipe_learns(name, breast):
    """A few steps lower the loss on a batch, and leave finite weights."""
    recipe = find_recipe(name)
    small = replace(
        recipe, batch=partial(recipes.batch, lambda: breast), validate=lambda network: {}, batch_size=2, warm_up=2,
        learning_rate=3e-3,
    )  # fmt: skip
    fixed = samples(breast, 4, 3)
    trained = [train(small, steps=steps).network for steps in (1, 30)]
    with torch.no_grad():
        after = [recipe.loss(network, fixed) for network in trained]
    assert after[1] < 0.95 * after[0]
    assert torch.isfinite(after[1])


# --- the user's own mammograms ------------------------------------------------------------------------


def save(folder, name, size, value=None):
    array = np.random.default_rng(len(name)).integers(1, 255, size, dtype=np.uint8)
    Image.fromarray(array if value is None else np.full_like(array, value)).save(folder / name)


def test_own_mammograms_are_split_by_file(tmp_path):
    for k in range(6):
        save(tmp_path, f"{k}.png", (100 + k, 120))
    recipe = find_recipe("mammogram_sure").data(tmp_path)
    training, validation = (f.args[0]() for f in (recipe.batch, recipe.validate))
    assert [tuple(image.shape) for image, _ in training] == [(1, 100 + k, 120) for k in range(5)]
    assert validation.shape == (1, 1, 105, 105)
    assert recipe.loss == recipes.sure
    assert (recipe.name, recipe.steps) == ("mammogram_sure", find_recipe("mammogram_sure").steps)
    assert recipe.batch(torch.Generator().manual_seed(0), 3).noisy.shape == (3, 1, 96, 96)


def test_folders_that_cannot_be_learned_from(tmp_path):
    save(tmp_path, "0.png", (100, 100))
    recipe = find_recipe("mammogram_dilated")
    with pytest.raises(expect.InputError, match="expected at least 2 images in .*, one to learn from"):
        recipe.data(tmp_path)
    save(tmp_path, "1.png", (95, 200))
    with pytest.raises(expect.InputError, match=r"expected images of at least 96×96 pixels, got .*1\.png with 95×200"):
        recipe.data(tmp_path)
    save(tmp_path, "1.png", (100, 200), value=0)
    with pytest.raises(expect.InputError, match=r"got .*1\.png, which is black"):
        recipe.data(tmp_path)
    (tmp_path / "1.png").write_text("no image")
    with pytest.raises(expect.InputError, match="1.png"):
        recipe.data(tmp_path)
