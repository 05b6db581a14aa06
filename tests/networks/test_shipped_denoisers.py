"""The shipped denoisers of module 04 do what the lecture claims, on photographs that no training saw."""

from functools import cache

import pytest
import torch

from course_lib import data, metrics, networks, physics

OTHERS = {
    "unet_denoiser": networks.UNetDenoiser,
    "recurrent_cnn": networks.RecurrentCNN,
    "dense_denoiser": networks.DenseDenoiser,
}
NAMES = ("cat", "coins", "hopper", "motorcycle")


@cache
def trained(name):
    kind = OTHERS.get(name.removeprefix("bf_"), networks.DnCNN)
    return networks.load_weights(kind(bias=not name.startswith("bf_")), name)


@cache
def clean():
    return data.photographs(NAMES, size=256)


@cache
def noisy(level):
    return physics.add_gaussian_noise(clean(), level / 255, torch.Generator().manual_seed(1000 + level))


@cache
def quality(name, level):
    """Mean PSNR in dB on the four photographs."""
    return metrics.psnr(networks.denoise(trained(name), noisy(level)), clean()).mean().item()


def test_photographs_and_size():
    assert NAMES == data.NETWORK_TEST_PHOTOGRAPHS
    assert not set(NAMES) & {*data.NETWORK_TRAINING_PHOTOGRAPHS, *data.NETWORK_VALIDATION_PHOTOGRAPHS}
    assert sum(p.numel() for p in trained("bf_dncnn").parameters()) <= 140_000


def test_bf_dncnn_generalises_and_dncnn_does_not():
    """Trained on σ ≤ 30/255: at 90/255 at least 5 dB apart, at 10/255 and 20/255 within 0.4 dB."""
    for level in (10, 20):
        assert quality("bf_dncnn", level) >= quality("dncnn", level) - 0.4
    assert quality("bf_dncnn", 90) >= quality("dncnn", 90) + 5


@pytest.mark.parametrize("name", OTHERS)
def test_so_do_the_twins_of_other_architectures(name):
    assert quality(f"bf_{name}", 90) >= quality(name, 90) + 2
    assert quality(f"bf_{name}", 20) >= quality(name, 20) - 1
    assert quality(f"bf_{name}", 20) >= metrics.psnr(noisy(20), clean()).mean() + 4


@pytest.mark.parametrize("level", [10, 30, 50])
def test_blind_it_is_within_reach_of_bm3d_that_is_told_the_noise(level):
    bm3d = pytest.importorskip("bm3d").bm3d
    theirs = torch.stack([torch.from_numpy(bm3d(y[0].numpy(), level / 255)).float()[None] for y in noisy(level)])
    assert quality("bf_dncnn", level) >= metrics.psnr(theirs, clean()).mean() - 0.7


@pytest.mark.parametrize("alpha", [0.1, 0.3, 3.0, 10.0])
def test_a_brighter_image_is_the_same_image(alpha):
    y, f = noisy(30)[:1, :, :96, :96], trained("bf_dncnn")
    with torch.no_grad():
        assert (f(alpha * y) - alpha * f(y)).norm() <= 1e-5 * (alpha * f(y)).norm()
    linear_part, net_bias = networks.local_affine_map(f, y)
    assert net_bias.norm() <= 1e-5 * linear_part.norm()


def test_dncnns_net_bias_is_small_in_training_and_large_beyond():
    size = {s: networks.local_affine_map(trained("dncnn"), noisy(s)[:, :, :96, :96])[1].norm() for s in (10, 20, 90)}
    assert size[90] > 4 * size[20]
    assert size[90] > 4 * size[10]


def test_rows_sum_to_one_at_low_noise():
    y = noisy(10)[:, :, 64:192, 64:192]
    with torch.no_grad():
        sums = torch.func.jvp(trained("bf_dncnn"), (y,), (torch.ones_like(y),))[1]
    assert (sums - 1).abs().mean() < 0.05


@cache
def subspaces(name):
    """The axes that BF-DnCNN keeps of a patch of 24 × 24 pixels from the middle of a photograph, at three levels."""
    k = NAMES.index(name)
    axes = {}
    for level in (10, 30, 90):
        U, S, _ = torch.linalg.svd(networks.jacobian(trained("bf_dncnn"), noisy(level)[k : k + 1, :, 100:124, 100:124]))
        axes[level] = U[:, : round(networks.effective_dimension(S))]
    return axes


@pytest.mark.parametrize("name", NAMES)
def test_the_dimension_falls_with_the_noise(name):
    dimension = {level: axes.shape[1] for level, axes in subspaces(name).items()}
    assert dimension[10] > 1.3 * dimension[30]
    assert dimension[10] > 1.3 * dimension[90]


def test_subspaces_are_nested():
    """On average over the photographs 0.89; the cat has 0.84, random subspaces of these dimensions at most 0.6."""
    nested = [networks.nestedness(subspaces(name)[30], subspaces(name)[10]) for name in NAMES]
    assert sum(nested) / len(nested) >= 0.88
    assert min(nested) >= 0.8
    g = torch.Generator().manual_seed(0)
    for name in NAMES:
        inner, outer = (torch.linalg.qr(torch.randn(subspaces(name)[s].shape, generator=g)).Q for s in (30, 10))
        assert networks.nestedness(inner, outer) <= 0.6
