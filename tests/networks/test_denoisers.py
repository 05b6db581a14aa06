"""Denoisers and their bias-free twins: one definition, no additive constant, and nothing else that differs."""

import pytest
import torch
from torch import nn

from course_lib import expect, networks
from course_lib.networks.denoisers import convolutions

KINDS = (networks.DnCNN, networks.UNetDenoiser, networks.RecurrentCNN, networks.DenseDenoiser)


def trained_a_little(network, generator):
    """Weights, biases and running statistics that are not those of the beginning."""
    for p in network.parameters():
        p.data += 0.1 * torch.randn(p.shape, generator=generator)
    network.train()
    for _ in range(3):
        network(torch.rand(2, 1, 12, 16, generator=generator))
    return network.eval()


def small(kind, bias, **options):
    return kind(width=4, bias=bias, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.1, 0.5, 3.0, 10.0])
def test_without_constants_a_brighter_image_gives_a_brighter_result(kind, alpha, generator):
    y = torch.rand(2, 1, 11, 14, generator=generator, dtype=torch.float64) - 0.3
    with torch.no_grad():
        f = trained_a_little(small(kind, bias=False), generator).double()
        torch.testing.assert_close(f(alpha * y), alpha * f(y), rtol=1e-5, atol=1e-9)
        g = trained_a_little(small(kind, bias=True), generator).double()
        assert (g(alpha * y) - alpha * g(y)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_batch_norm_has_no_constants_either(kind, batch_norm, generator):
    y = torch.rand(2, 1, 11, 14, generator=generator, dtype=torch.float64)
    f = trained_a_little(small(kind, bias=False, batch_norm=batch_norm), generator).double()
    assert any(isinstance(m, networks.BiasFreeBatchNorm2d) for m in f.modules()) == batch_norm
    assert not any(isinstance(m, nn.BatchNorm2d) for m in f.modules())
    with torch.no_grad():
        torch.testing.assert_close(f(4 * y), 4 * f(y), rtol=1e-5, atol=1e-9)
        assert f(torch.zeros_like(y)).abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_twins_differ_in_their_constants_alone(kind):
    one, other = (dict(small(kind, bias=bias).named_parameters()) for bias in (True, False))
    assert set(other) < set(one)
    assert all("bias" in name for name in set(one) - set(other))
    assert not any("bias" in name for name in other)
    assert all(one[name].shape == other[name].shape for name in other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(8, 8), (13, 9), (5, 21)])
def test_images_of_any_size_keep_it(kind, size):
    assert small(kind, bias=False)(torch.rand(2, 1, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize("depth", [3, 5])
def test_a_pixel_sees_as_far_as_the_docstring_says(depth):
    """2·depth + 1 pixels a side, by the support of a gradient through positive weights."""
    f = networks.DnCNN(depth=depth, width=3, bias=False).eval()
    for p in f.parameters():
        p.data.abs_()
    y = torch.rand(1, 1, 31, 31, requires_grad=True)
    f(y)[0, 0, 15, 15].backward()
    seen = (y.grad[0, 0] != 0).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [2 * depth + 1] * 2


def test_the_shipped_shape_has_no_more_parameters_than_allowed():
    assert sum(p.numel() for p in networks.DnCNN(bias=False).parameters()) <= 140_000


def test_bias_free_batch_norm_by_its_definition_and_against_torch(generator):
    x = 2 * torch.randn(6, 3, 5, 7, generator=generator) + torch.tensor([1.0, -2.0, 0.5])[:, None, None]
    ours, torchs = networks.BiasFreeBatchNorm2d(3), nn.BatchNorm2d(3)
    scale = torch.tensor([0.5, 1.5, 2.0])
    ours.weight.data.copy_(scale)
    torchs.weight.data.copy_(scale)
    mean, deviation = x.mean(dim=(0, 2, 3)), (x.var(dim=(0, 2, 3), unbiased=False) + 1e-5).sqrt()
    put_back = (scale * mean / deviation)[:, None, None]  # what torch's has taken away
    torch.testing.assert_close(ours(x), torchs(x) + put_back, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.running_var, 0.9 + 0.1 * x.var(dim=(0, 2, 3), unbiased=False))
    before = ours.running_var.clone()
    ours.eval()
    torch.testing.assert_close(ours(3 * x), 3 * ours(x))
    assert torch.equal(before, ours.running_var)


def test_normalisation_stands_between_the_hidden_convolutions():
    kinds = [type(layer).__name__ for layer in convolutions([1, 4, 4, 1], bias=True, batch_norm=True)]
    assert kinds == ["Conv2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Conv2d"]
    assert convolutions([1, 4, 4, 1], bias=True, batch_norm=True)[2].bias is None  # the normalisation's shift is one
    assert convolutions([1, 4, 4, 1], bias=True, batch_norm=False)[2].bias is not None


def test_the_recurrent_cnn_shares_its_weights():
    once, often = (networks.RecurrentCNN(steps=steps, width=4, bias=False) for steps in (1, 6))
    assert sum(p.numel() for p in once.parameters()) == sum(p.numel() for p in often.parameters())


def test_channels_are_images_of_their_own(generator):
    f = small(networks.DnCNN, bias=True, depth=4).eval()
    colour = torch.rand(2, 3, 12, 9, generator=generator)
    found = networks.denoise(f, colour)
    assert found.shape == colour.shape
    assert not found.requires_grad
    for channel in range(3):
        torch.testing.assert_close(found[:, channel : channel + 1], f(colour[:, channel : channel + 1]).detach())


@pytest.mark.parametrize(
    ("noisy", "said"),
    [
        (
            torch.full((1, 1, 8, 8), 200.0),
            "where black is 0 and white is 1, got values up to 200: divide images in grey",
        ),
        (torch.rand(8, 8), r"expected noisy as a floating-point torch.Tensor \(batch, channel, height, width\)"),
        (torch.randint(0, 255, (1, 1, 8, 8), dtype=torch.uint8), "got a torch.Tensor .* dtype uint8"),
        (torch.full((1, 1, 8, 8), float("nan")), "without NaN or infinity"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.complex64), "as a real tensor"),
        ("image.png", "got 'image.png'"),
    ],
)
def test_images_that_cannot_be_denoised(noisy, said, unchecked):
    with pytest.raises(expect.InputError, match=said):
        networks.denoise(small(networks.DnCNN, bias=True), noisy)


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        (networks.DnCNN, {"depth": 1}, "the depth as a whole number from 2, got 1"),
        (networks.DnCNN, {"width": 0}, "the width as a whole number from 1, got 0"),
        (networks.RecurrentCNN, {"steps": 0}, "the steps as a whole number from 1, got 0"),
        (networks.DenseDenoiser, {"blocks": 0}, "the number of blocks as a whole number from 1, got 0"),
        (networks.UNetDenoiser, {"levels": 0}, "the levels as a whole number from 1, got 0"),
    ],
)
def test_networks_that_make_no_sense(kind, wrong, said, unchecked):
    with pytest.raises(expect.InputError, match=said):
        kind(bias=True, **wrong)


def test_bias_free_batch_norm_has_the_derivatives_of_its_definition(generator):
    x = torch.randn(3, 2, 4, 5, generator=generator, dtype=torch.float64) + 0.7
    norm = networks.BiasFreeBatchNorm2d(2).double()
    norm.weight.data.copy_(torch.tensor([0.6, 1.7]))

    def by_definition(x, weight):
        return x * (weight / (x.var(dim=(0, 2, 3), unbiased=False) + 1e-5).sqrt())[:, None, None]

    gradient = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    found, wanted = [], []
    for function, gradients in ((lambda x, weight: norm(x), found), (by_definition, wanted)):
        variable = x.clone().requires_grad_(True)
        norm.weight.grad = None
        function(variable, norm.weight).backward(gradient)
        gradients += [variable.grad, norm.weight.grad.clone()]
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
