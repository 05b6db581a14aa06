"""The cascade, the CNN that it is compared with, the U-Net, and complex numbers as channels."""

import copy

import pytest
import torch

from course_lib import expect, networks, physics
from course_lib.networks import DeepCascade, PlainCNN, ResidualCNN, UNet, UNetReconstruction
from course_lib.physics import simulate

SMALL = {"blocks": 2, "width": 4, "depth": 2}


@pytest.fixture
def measurements(generator):
    images = torch.rand(2, 1, 16, 16, generator=generator)
    return simulate.scan(images, 2, generator)


def test_channels_are_real_and_imaginary_part(generator, unchecked):
    for dtype, real in ((torch.complex64, torch.float32), (torch.complex128, torch.float64)):
        x = torch.randn(2, 1, 3, 5, generator=generator, dtype=dtype)
        channels = networks.complex_to_channels(x)
        assert channels.dtype == real
        assert torch.equal(channels[:, 0], x[:, 0].real)
        assert torch.equal(channels[:, 1], x[:, 0].imag)
        assert torch.equal(networks.channels_to_complex(channels), x)
    with pytest.raises(expect.InputError, match="expected a complex image, got .* float64"):
        networks.complex_to_channels(channels[:, :1])
    with pytest.raises(expect.InputError, match=r"expected the image of shape \(batch, 1, height, width\), got"):
        networks.complex_to_channels(x[:, 0])
    with pytest.raises(expect.InputError, match=r"expected the channels of shape \(batch, 2, height, width\), got"):
        networks.channels_to_complex(channels[:, :1])


@pytest.mark.parametrize("network", [DeepCascade(), PlainCNN(), UNetReconstruction()])
def test_networks_take_k_space_and_its_mask(network, measurements, unchecked):
    x, y, mask = measurements
    assert network(y, mask).shape == x.shape
    assert network(y, mask).dtype == torch.complex64
    # one mask for all images; and what stands outside the mask has no influence
    torch.testing.assert_close(network(y, mask[:1])[:1], network(y, mask)[:1])
    torch.testing.assert_close(network(torch.where(mask, y, 9.0), mask), network(y, mask))
    with pytest.raises(expect.InputError, match="expected k-space together with its mask"):
        network(y, None)
    with pytest.raises(expect.InputError, match="expected a mask with at least one sample"):
        network(y, torch.zeros_like(mask))
    with pytest.raises(expect.InputError, match="expected a mask of k-space's shape"):
        network(y, mask[..., :4])
    with pytest.raises(expect.InputError, match="expected k-space as complex"):
        network(y.abs(), mask)


def test_cascade_and_cnn_have_equally_many_parameters():
    count = {f: sum(p.numel() for p in f().parameters()) for f in (DeepCascade, PlainCNN)}
    assert abs(count[DeepCascade] / count[PlainCNN] - 1) < 0.01
    assert 4 * count[DeepCascade] < 5e6  # bytes of shipped weights


def test_every_step_of_the_noiseless_cascade_keeps_the_measurements(measurements):
    _, y, mask = measurements
    network = DeepCascade(**SMALL)
    steps = network.steps(y, mask)
    assert len(steps) == 3
    for image in steps:
        assert (mask * (physics.fourier(image) - y)).abs().max() < 1e-5
    assert torch.equal(steps[0], physics.FourierSampling(mask).adjoint(y))
    assert torch.equal(steps[-1], network(y, mask))
    # the plain CNN contradicts the scanner
    assert (mask * (physics.fourier(PlainCNN(**SMALL)(y, mask)) - y)).abs().max() > 1e-3


def test_cascade_is_the_cnns_with_the_layer_by_hand_between_them(measurements):
    _, y, mask = measurements
    network = DeepCascade(**SMALL, weight=3.0)
    x = physics.inverse_fourier(y)
    for cnn in network.cnns:
        x = networks.data_consistency(cnn(x), y, mask, 3.0)
    torch.testing.assert_close(network(y, mask), x)


def test_plain_cnn_is_the_cascade_without_the_layer(measurements):
    _, y, mask = measurements
    cascade, plain = DeepCascade(**SMALL, weight=0.0), PlainCNN(**SMALL)
    plain.load_state_dict(cascade.state_dict())
    torch.testing.assert_close(cascade(y, mask), plain(y, mask))
    assert len(plain.steps(y, mask)) == 3


def test_residual_cnn_sees_as_far_as_its_depth_says():
    cnn = ResidualCNN(width=4, depth=3).double()
    for layer in cnn.layers[::2]:
        torch.nn.init.constant_(layer.weight, 0.1)
        torch.nn.init.ones_(layer.bias)
    x = torch.zeros(1, 1, 15, 15, dtype=torch.complex128, requires_grad=True)
    cnn(x)[0, 0, 7, 7].real.backward()
    seen = (x.grad[0, 0] != 0).nonzero()
    assert seen.amin(0).tolist() == [4, 4]  # 1 + 2·depth pixels wide
    assert seen.amax(0).tolist() == [10, 10]


def test_gradients_reach_every_parameter_and_a_learned_weight(measurements):
    x, y, mask = measurements
    for network in (DeepCascade(**SMALL, weight=1.0, learned=True), PlainCNN(**SMALL), UNetReconstruction(4, 2)):
        (network(y, mask) - x).abs().square().mean().backward()
        assert all(p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_few_steps_of_training_lower_the_error(measurements):
    x, y, mask = measurements
    torch.manual_seed(0)
    network = DeepCascade(**SMALL)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)

    def error():
        return (network(y, mask) - x).abs().square().mean()

    before = float(error().detach())
    for _ in range(30):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert float(error().detach()) < 0.9 * before


def test_double_precision_is_kept(measurements):
    _, y, mask = measurements
    for network in (DeepCascade(**SMALL), PlainCNN(**SMALL), UNetReconstruction(4, 2)):
        double = copy.deepcopy(network).double()
        assert double(y.to(torch.complex128), mask).dtype == torch.complex128
        torch.testing.assert_close(
            double(y.to(torch.complex128), mask).to(torch.complex64), network(y, mask), atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("network", [DeepCascade(**SMALL), PlainCNN(**SMALL), UNetReconstruction(4, 2)])
def test_networks_run_in_mixed_precision(network, measurements):
    """Convolutions in bfloat16, transforms in single precision: torch.fft has no other."""
    x, y, mask = measurements
    with torch.autocast("cpu", torch.bfloat16):
        estimate = network(y, mask)
        (estimate - x).abs().square().mean().backward()
    assert estimate.dtype == torch.complex64
    torch.testing.assert_close(estimate, network(y, mask), rtol=0, atol=0.02)
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_unet_keeps_sizes_and_refuses_those_it_cannot_halve():
    unet = UNet(3, 5, width=4, levels=2)
    assert unet(torch.rand(2, 3, 8, 12)).shape == (2, 5, 8, 12)
    with pytest.raises(expect.InputError, match="expected sides divisible by 4, got 8×10"):
        unet(torch.rand(1, 3, 8, 10))


def test_unet_is_equivariant_to_shifts_by_its_coarsest_pixel(generator):
    """Inside, where no border reaches: a shift by 2^levels pixels moves the output alike, by one pixel does not."""
    unet = UNet(1, 1, width=4, levels=1).double()
    x = torch.zeros(1, 1, 40, 40, dtype=torch.float64)
    x[..., 16:24, 16:24] = torch.rand(8, 8, generator=generator, dtype=torch.float64)
    inside = (..., slice(12, 28), slice(12, 28))
    two, one = (unet(x.roll(shift, -1)).roll(-shift, -1) for shift in (2, 1))
    torch.testing.assert_close(two[inside], unet(x)[inside])
    assert (one - unet(x))[inside].abs().max() > 1e-4


@pytest.mark.parametrize("network", [DeepCascade, PlainCNN])
def test_sizes_that_are_none_are_refused(network, unchecked):
    for wrong in ({"blocks": 0}, {"width": 0}, {"depth": 1}, {"blocks": 2.5}):
        with pytest.raises(expect.InputError, match="as a whole number from"):
            network(**wrong)
