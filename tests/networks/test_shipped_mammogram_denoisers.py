"""The shipped denoisers of module 05 on breasts that no network has learned from, by place and dose."""

from functools import cache, partial

import pytest
import torch

from course_lib import classical, data, metrics, networks, physics
from course_lib.training.recipes.mammogram_denoising import PLAIN, SEEDS

ROWS, COLUMNS = slice(128, 384), slice(32, 336)  # all lesions of these breasts, and a piece of the outline
BREASTS = range(6, 12)  # of the test split; the lecture shows the six before
PLACES = ("parenchyma", "calcifications", "outline")


@cache
def breasts():
    return [data.mammogram("test", index) for index in BREASTS]


@cache
def places(name):
    """The pixels of a place in each breast, in the window."""

    def near(m, spots, reach):
        found = torch.zeros_like(m.breast)
        for row, column, _ in spots.tolist():
            found |= metrics.disc(m.image, row, column, reach)
        return found

    masks = {
        "parenchyma": lambda m: m.parenchyma,
        "calcifications": lambda m: near(m, m.calcifications, 5),
        "outline": lambda m: m.breast & ~m.parenchyma & ~near(m, torch.cat([m.calcifications, m.masses]), 40),
    }
    return [masks[name](m)[ROWS, COLUMNS] for m in breasts()]


@cache
def spectrum():
    inside = torch.cat([data.mammogram("train", index).image[..., 128:384, 32:288] for index in range(12)])
    return classical.power_spectrum(data.with_symmetries(physics.transmission(inside).sqrt()))


@cache
def denoiser(name):
    if name == "wiener":
        return lambda y, sigma: classical.wiener_denoise(y, spectrum(), sigma)
    shape = (PLAIN,) if name.startswith("plain") else ()
    return partial(networks.denoise, networks.load_weights(networks.DilatedCNN(*shape), f"mammogram_{name}"))


@cache
def errors(name, part):
    dose, found = physics.USUAL_DOSE / part, []
    for seed, m in enumerate(breasts()):
        image = m.image[..., ROWS, COLUMNS]
        counts = physics.xray_counts(image, dose, torch.Generator().manual_seed(1000 * part + seed))
        if name == "noisy":
            estimate = physics.attenuation_image(counts, dose)
        else:
            estimate = classical.denoise_counts(counts, dose, denoiser(name))
        found.append((estimate - image)[0, 0])
    return found


def decibels(name, part, place=None):
    """Mean PSNR over the breasts, of the pixels of a place or of all."""
    masks = places(place) if place else [...] * len(BREASTS)
    psnr = [-10 * torch.log10(e[mask].square().mean()) for e, mask in zip(errors(name, part), masks, strict=True)]
    return torch.stack(psnr).mean().item()


@pytest.mark.parametrize("part", [16, 64])
def test_the_order_in_the_parenchyma_at_the_calcifications_and_along_the_outline(part):
    for place in PLACES:
        print(f"\n1/{part}, {place}: ", end="")
        print(
            *(f"{name} {decibels(name, part, place):.2f}" for name in ("noisy", "wiener", "plain", "dilated", "sure"))
        )
    assert decibels("noisy", part, "parenchyma") < decibels("wiener", part, "parenchyma") - 3
    assert decibels("dilated", part, "parenchyma") > decibels("wiener", part, "parenchyma") - 0.2
    for place in ("calcifications", "outline"):
        assert decibels("dilated", part, place) > decibels("wiener", part, place)


@pytest.mark.parametrize("part", [16, 64])
def test_learning_without_clean_images_costs_little(part):
    assert decibels("sure", part) > decibels("dilated", part) - 0.3


def test_dilation_pays_where_the_noise_is_strong():
    """Three seeds, equal parameters, steps and batches. Where the noise is weak both are about level."""
    gain = {}
    for part in (16, 64, 256, 1024):
        ends = [f"_{seed}" if seed else "" for seed in SEEDS]
        gain[part] = [decibels(f"dilated{end}", part) - decibels(f"plain{end}", part) for end in ends]
        print(f"\n1/{part}: {', '.join(f'{g:+.2f}' for g in gain[part])}")
    assert sum(gain[1024]) / 3 >= 0.2
    for part in (16, 64, 256):
        assert abs(sum(gain[part]) / 3) < 0.3


@pytest.mark.parametrize("name", ["plain", "dilated"])
def test_the_pairs_differ_in_the_seed_alone(name):
    manifests = [networks.read_manifest(f"mammogram_{name}{f'_{seed}' if seed else ''}") for seed in SEEDS]
    assert [m["seed"] for m in manifests] == list(SEEDS)
    assert (
        len({tuple(m[key] for key in ("steps", "batch_size", "learning_rate", "parameter_count")) for m in manifests})
        == 1
    )
