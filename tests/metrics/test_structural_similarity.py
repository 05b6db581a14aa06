"""SSIM and MS-SSIM by formula: against scikit-image and torchmetrics, and their gradients."""

import pytest
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure, peak_signal_noise_ratio

from course_lib import data, metrics, physics
from course_lib.expect import InputError


@pytest.fixture(params=[0.02, 0.1, 0.4])
def pair(request, generator):
    clean = data.photographs(["cat", "coins", "brick"], size=192)
    noisy = physics.add_gaussian_noise(clean, request.param, generator)
    return noisy, clean


def test_ssim_is_scikit_images(pair):
    torch.testing.assert_close(metrics.ssim_map(*pair).mean(dim=(1, 2, 3)), metrics.ssim(*pair), atol=1e-5, rtol=0)


def test_psnr_is_torchmetrics(pair):
    theirs = peak_signal_noise_ratio(*pair, data_range=1.0, dim=(1, 2, 3), reduction="none")
    torch.testing.assert_close(metrics.psnr(*pair), theirs, atol=1e-4, rtol=0)


def test_ms_ssim_is_torchmetrics(pair):
    theirs = multiscale_structural_similarity_index_measure(
        *pair, data_range=1.0, reduction="none", normalize="relu", k1=0.01, k2=0.03
    )
    torch.testing.assert_close(metrics.ms_ssim(*pair), theirs, atol=1e-4, rtol=0)


def test_three_factors_are_two(pair):
    pair = [x.double() for x in pair]
    luminance, contrast, structure = metrics.ssim_factors(*pair)
    torch.testing.assert_close(luminance * contrast * structure, metrics.ssim_map(*pair), atol=1e-6, rtol=0)


def test_each_factor_sees_its_own_change():
    x = data.photographs(["cat"], size=64).double() * 0.5 + 0.2
    means = [(f - 1).abs().mean() for f in metrics.ssim_factors(x + 0.1, x)]
    assert means[0] > 0.005
    assert max(means[1:]) < 1e-9
    less_contrast = x.mean() + 0.5 * (x - x.mean())
    means = [(f - 1).abs().mean() for f in metrics.ssim_factors(less_contrast, x)]
    assert means[1] > 0.1
    assert means[2] < 0.02
    turned_round = 2 * x.mean() - x
    assert metrics.ssim_factors(turned_round, x)[2].mean() < -0.2


def test_equal_images_give_1():
    x = data.photographs(["cat"], size=96)
    torch.testing.assert_close(metrics.ssim_map(x, x), torch.ones(1, 1, 86, 86))
    torch.testing.assert_close(metrics.ms_ssim(x, x), torch.ones(1))


def test_gradients_by_finite_differences(generator):
    target = torch.rand(1, 1, 12, 12, generator=generator, dtype=torch.float64)
    estimate = (target + 0.1 * torch.randn(target.shape, generator=generator, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda e: metrics.ssim_map(e, target).mean(), estimate)

    target = torch.rand(1, 1, 96, 96, generator=generator, dtype=torch.float64)
    estimate = (target + 0.1 * torch.randn(target.shape, generator=generator, dtype=torch.float64)).requires_grad_()
    (gradient,) = torch.autograd.grad(metrics.ms_ssim(estimate, target).sum(), estimate)
    direction = torch.randn(target.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        ends = [metrics.ms_ssim(estimate + step * direction, target) for step in (-1e-5, 1e-5)]
    assert float((ends[1] - ends[0]) / 2e-5) == pytest.approx(float((gradient * direction).sum()), rel=1e-5)


def test_flat_images_have_a_gradient():
    x = torch.full((1, 1, 96, 96), 0.5, requires_grad=True)
    for loss in (metrics.ssim_map(x, torch.full_like(x, 0.4)).mean(), metrics.ms_ssim(x, torch.full_like(x, 0.4))):
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        assert torch.isfinite(gradient).all()
    opposite = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0))
    y = (1 - opposite).requires_grad_()
    (gradient,) = torch.autograd.grad(metrics.ms_ssim(y, opposite).sum(), y)
    assert torch.isfinite(gradient).all()


@pytest.mark.usefixtures("unchecked")
def test_bad_input():
    x = torch.zeros(1, 1, 90, 200)
    with pytest.raises(InputError, match="expected images of at least 96×96 pixels for MS-SSIM, got 90×200"):
        metrics.ms_ssim(x, x)
    with pytest.raises(InputError, match="expected images of at least 11×11 pixels for SSIM, got 8×8"):
        metrics.ssim_map(x[..., :8, :8], x[..., :8, :8])
    with pytest.raises(InputError, match="expected estimate and target of one shape"):
        metrics.ssim_map(x, x[..., :50])
