"""Losses: their gradients by finite differences, and Stein's estimate against the truth."""

import pytest
import torch

from course_lib import classical, data, networks
from course_lib.training.losses import LOSSES, mc_sure


@pytest.fixture
def pair(generator):
    target = torch.rand(1, 1, 96, 96, generator=generator, dtype=torch.float64)
    return target + 0.1 * torch.randn(target.shape, generator=generator, dtype=torch.float64), target


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_by_finite_differences(name, pair, generator):
    loss = LOSSES[name]
    estimate, target = pair
    estimate.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(estimate, target), estimate)
    direction = torch.randn(target.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        less, more = (loss(estimate + step * direction, target) for step in (-1e-6, 1e-6))
    assert float((more - less) / 2e-6) == pytest.approx(float((gradient * direction).sum()), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_estimate_has_no_loss(name, pair):
    assert abs(float(LOSSES[name](pair[1], pair[1]))) < 1e-12
    assert float(LOSSES[name](*pair)) > 1e-3


def test_deck_001s_gradient_of_l1_is_the_sign(pair):
    estimate, target = pair
    estimate.requires_grad_()
    (gradient,) = torch.autograd.grad(LOSSES["l1"](estimate, target), estimate)
    torch.testing.assert_close(gradient * target.numel(), (estimate - target).sign().detach())


# --- Stein's unbiased risk estimate -------------------------------------------------------------------


@pytest.mark.parametrize("which", ["wiener", "network"])
@pytest.mark.parametrize("sigma", [0.05, 0.15])
def test_mc_sure_is_unbiased_over_200_draws(which, sigma, generator):
    """Within three standard errors of the true mean squared error."""
    clean = data.photographs(["cat"], size=32).double()
    spectrum = classical.power_spectrum(data.photographs(data.TRAINING_PHOTOGRAPHS, size=32)).double()
    network = networks.load_weights(networks.DnCNN(bias=True), "dncnn").double()
    denoise = {"wiener": lambda y: classical.wiener_filter(y, spectrum, sigma), "network": network}[which]
    differences = []
    with torch.no_grad():
        for _ in range(20):
            noise, direction = torch.randn(2, 10, 1, 32, 32, generator=generator, dtype=torch.float64)
            noisy = clean + sigma * noise
            error = (denoise(noisy) - clean).square().mean(dim=(1, 2, 3))
            differences.append(mc_sure(denoise, noisy, sigma, direction, epsilon=1e-4) - error)
    differences = torch.cat(differences)
    assert len(differences) == 200
    assert abs(differences.mean()) < 3 * differences.std() / 200**0.5
    assert differences.std() < 0.5 * sigma**2  # or it would say nothing


def test_mc_sure_of_two_denoisers_that_need_no_network(generator):
    """f(y) = y has the error σ², f(y) = 0 the image's power: both exact, for one number σ and for one an image."""
    clean = torch.rand(3, 1, 200, 200, generator=generator, dtype=torch.float64)
    levels = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    noisy = clean + levels[:, None, None, None] * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    direction = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    identity = mc_sure(lambda y: y, noisy, levels, direction)
    torch.testing.assert_close(identity, levels.square(), rtol=0.05, atol=0)
    nothing = mc_sure(torch.zeros_like, noisy, levels, direction)
    torch.testing.assert_close(nothing, clean.square().mean(dim=(1, 2, 3)), rtol=0.02, atol=0)
    one = mc_sure(lambda y: y, noisy[1:2], 0.2, direction[1:2])
    torch.testing.assert_close(one, identity[1:2])


def test_mc_sure_has_a_gradient(generator):
    """The best factor a in f(y) = a·y is found without the clean image: power/(power + σ²)."""
    clean = torch.randn(1, 1, 300, 300, generator=generator, dtype=torch.float64)
    noisy = clean + 0.5 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    direction = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    a = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)  # 1/(1 + 0.25)
    (slope,) = torch.autograd.grad(mc_sure(lambda y: a * y, noisy, 0.5, direction).sum(), a)
    assert abs(slope) < 0.02
    worse = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(mc_sure(lambda y: worse * y, noisy, 0.5, direction).sum(), worse)
    assert slope == pytest.approx(0.5, abs=0.05)  # 2(a(power + σ²) − power)
