"""Networks of segmentation: dense equals window, skips carry detail, any size goes through."""

import pytest
import torch

from course_lib.expect import InputError
from course_lib.networks import FCN, InflatedUNet, UNet, VNet, WindowClassifier, segment


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return WindowClassifier().double()


@pytest.mark.parametrize("shape", [(33, 33), (40, 37), (50, 64)])
def test_dense_equals_the_sliding_window(classifier, shape):
    images = torch.rand(2, 1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    side = WindowClassifier.side
    windows = images.unfold(2, side, 1).unfold(3, side, 1)  # (batch, 1, rows, columns, side, side)
    rows, columns = windows.shape[2:4]
    with torch.no_grad():
        one_by_one = classifier.one_by_one(windows.reshape(-1, 1, side, side)).view(2, 1, rows, columns)
        dense = classifier(images)
        single = classifier.float().one_by_one(windows.float().reshape(-1, 1, side, side)).view(2, 1, rows, columns)
        single_dense = classifier(images.float())
    assert dense.shape == (2, 1, shape[0] - 32, shape[1] - 32)
    torch.testing.assert_close(dense, one_by_one, atol=1e-12, rtol=0)
    torch.testing.assert_close(single_dense, single, atol=1e-5, rtol=0)


def test_a_window_depends_on_all_of_its_pixels(classifier):
    windows = torch.rand(8, 1, 33, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (slope,) = torch.autograd.grad(classifier.one_by_one(windows.requires_grad_()).sum(), windows)
    assert (slope.abs().sum(0)[0] > 0).all()


def test_dense_refuses_what_holds_no_window(classifier, unchecked):
    with pytest.raises(InputError, match="at least 33×33"):
        classifier(torch.rand(1, 1, 32, 60))


NETWORKS = {
    "unet": lambda outputs: UNet(1, outputs, 4, 2, batch_norm=True),
    "fcn": lambda outputs: FCN(1, outputs, 4, 2),
    "fcn without skips": lambda outputs: FCN(1, outputs, 4, 2, skips=False),
    "vnet": lambda outputs: VNet(1, outputs, 4, 2),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_any_size_gives_probabilities(name, outputs):
    torch.manual_seed(0)
    network = NETWORKS[name](outputs).eval()
    sides = (7, 18, 13) if name == "vnet" else (18, 13)
    p = segment(network, torch.rand(2, 1, *sides))
    assert p.shape == (2, outputs, *sides)
    assert not p.requires_grad
    assert ((p >= 0) & (p <= 1)).all()
    if outputs > 1:
        torch.testing.assert_close(p.sum(1), torch.ones(2, *sides))


@pytest.mark.parametrize("name", NETWORKS)
def test_what_padding_adds_does_not_move_the_image(name):
    """A size that needs no padding gives exactly what the network gives."""
    torch.manual_seed(0)
    network = NETWORKS[name](1).eval()
    images = torch.rand(1, 1, *((8, 12, 16) if name == "vnet" else (12, 16)))
    with torch.no_grad():
        torch.testing.assert_close(segment(network, images), network(images).sigmoid())


@pytest.mark.parametrize("name", NETWORKS)
def test_wrong_sides_are_told(name):
    sides = (8, 12, 10) if name == "vnet" else (12, 10)
    with pytest.raises(InputError, match="divisible by 4, got .*12×10"):
        NETWORKS[name](1)(torch.rand(1, 1, *sides))


def finest_pattern(network):
    """How much of the result changes from pixel to pixel, as a checkerboard of zeros and ones does."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    board = ((rows + columns) % 2).float()[None, None]
    with torch.no_grad():
        found = network.eval()(board + 0.1 * torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)))
    inner = found[..., 8:-8, 8:-8]
    return (((board[..., 8:-8, 8:-8] - 0.5) * (inner - inner.mean())).mean().abs() / inner.std()).item()


def test_only_a_skip_from_the_finest_level_carries_single_pixels():
    torch.manual_seed(0)
    unet, fcn, coarse = (NETWORKS[name](1) for name in ("unet", "fcn", "fcn without skips"))
    assert finest_pattern(unet) > 0.1
    assert finest_pattern(fcn) < 0.02
    assert finest_pattern(coarse) < 0.02


def test_without_skips_the_score_is_as_smooth_as_its_coarsest_pixel():
    """Bilinear enlargement: the second difference is 0 between the centres of coarse pixels."""
    torch.manual_seed(0)
    network = NETWORKS["fcn without skips"](1).eval()
    with torch.no_grad():
        found = network(torch.rand(1, 1, 32, 32))[0, 0, :, 16]
    bends = (found[2:] - 2 * found[1:-1] + found[:-2]).abs()
    assert (bends > 1e-5).float().mean() < 0.6


def test_segment_refuses_grey_levels():
    with pytest.raises(InputError, match="divide images in grey levels by 255"):
        segment(NETWORKS["unet"](1), torch.full((1, 1, 8, 8), 200.0))


@pytest.mark.parametrize("wrong", [{"width": 0}, {"levels": 0}, {"inputs": 0}, {"outputs": 0}])
@pytest.mark.parametrize("kind", [FCN, UNet, VNet])
def test_wrong_numbers_are_told(kind, wrong):
    with pytest.raises(InputError, match="whole number from 1"):
        kind(**wrong)


def test_an_inflated_u_net_begins_as_the_one_of_slices():
    torch.manual_seed(0)
    flat = UNet(1, 3, 4, 2, batch_norm=True)
    flat(torch.rand(4, 1, 16, 16))  # statistics of its own
    deep = InflatedUNet(flat.eval()).eval()
    slices = torch.rand(5, 1, 12, 14)
    by_slice = segment(flat, slices)
    torch.testing.assert_close(segment(deep, slices.transpose(0, 1)[None])[0].transpose(0, 1), by_slice)


def test_an_inflated_u_net_can_learn_from_neighbours():
    torch.manual_seed(0)
    deep = InflatedUNet(UNet(1, 1, 4, 2, batch_norm=True).eval()).eval()
    kernels = {tuple(m.kernel_size) for m in deep.modules() if isinstance(m, torch.nn.Conv3d)}
    assert kernels == {(3, 3, 3), (1, 3, 3), (1, 1, 1)}
    volume = torch.rand(1, 1, 5, 16, 16)
    deep(volume).square().sum().backward()
    slopes = [
        m.weight.grad[:, :, 0].abs().sum()
        for m in deep.modules()
        if isinstance(m, torch.nn.Conv3d) and m.kernel_size[0] == 3
    ]
    assert len(slopes) == 4
    assert all(slope > 0 for slope in slopes)
