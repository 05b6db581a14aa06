"""The brain at R = 4: what sparsity gains over zero-filling, with points and with lines."""

import pytest
import torch

from course_lib import classical, data, expect, metrics, physics
from course_lib.classical import KullbackLeibler
from course_lib.physics import CoilSampling, FourierSampling


@pytest.fixture(scope="module")
def brain() -> torch.Tensor:
    return data.brain_anatomy([5], size=256)["t1"]


def gain(A, brain, reconstruct) -> float:
    y = A(brain)
    before = metrics.psnr(classical.zero_filled(A, y).abs(), brain)
    return (metrics.psnr(reconstruct(y).abs(), brain) - before).item()


def test_with_points_five_decibels_over_zero_filled(brain):
    """2-D variable density, R = 4; weights from another slice (20 mm)."""
    A = FourierSampling(physics.variable_density_mask((256, 256), 4, torch.Generator().manual_seed(0)))
    assert gain(A, brain, lambda y: classical.wavelet_reconstruction(A, y, 3e-3, iterations=60, tolerance=0).x) >= 5
    assert gain(A, brain, lambda y: classical.tv_reconstruction(A, y, 3e-3, iterations=150, tolerance=0).x) >= 5


def test_with_lines_two_decibels_over_zero_filled(brain):
    """Lines undersample one direction only, so the aliasing piles up in it and looks less like noise."""
    for seed in (0, 1):
        A = FourierSampling(physics.line_mask((256, 256), 4, 0.08, torch.Generator().manual_seed(seed)))
        assert (
            gain(A, brain, lambda y, A=A: classical.tv_reconstruction(A, y, 5e-3, iterations=150, tolerance=0).x) >= 2
        )


def test_zero_filled_is_the_adjoint_of_what_was_measured(brain, generator):
    A = FourierSampling(physics.line_mask((256, 256), 4, 0.08, generator))
    y = A(brain)
    image = classical.zero_filled(A, y)
    torch.testing.assert_close(image, physics.inverse_fourier(y), rtol=0, atol=1e-5)
    torch.testing.assert_close(A(image), y, rtol=0, atol=1e-5)


def test_each_transform_minimises_its_objective(generator):
    """½‖A x − y‖² + λ‖W x‖₁: the last entry of the history is the objective at x, and x is no worse than others."""
    A = FourierSampling(physics.variable_density_mask((24, 20), 2, generator))
    x = torch.rand(24, 20, generator=generator, dtype=torch.float64)
    y = A(x)
    orthonormal = classical.OrthogonalWavelet((24, 20), "db2", 2)
    undecimated = classical.UndecimatedWavelet((24, 20), "db2", 2)
    for W, weights, redundant in ((orthonormal, 1.0, False), (undecimated, undecimated.shift_weights(), True)):
        found = classical.wavelet_reconstruction(
            A, y, 0.05, undecimated=redundant, wavelet="db2", levels=2, iterations=600, tolerance=0
        )

        def objective(x, W=W, weights=weights):
            return (0.5 * (A(x) - y).abs().square().sum() + 0.05 * (weights * W(x).abs()).sum()).item()

        assert found.objective[-1] == pytest.approx(objective(found.x), rel=1e-9)
        for scale in (1e-3, 1e-2, 0.1):
            for _ in range(5):
                assert objective(found.x + scale * torch.randn(24, 20, generator=generator)) > objective(found.x)
    assert classical.wavelet_reconstruction(A, y, 0.0, iterations=5, tolerance=0).x.shape == (24, 20)


def test_several_coils(generator):
    """With sensitivities the same solvers run, and gain more than on a single coil."""
    brain = data.brain_anatomy([5], size=64)["t1"]
    mask = physics.line_mask((64, 64), 4, 0.08, generator)
    coils = CoilSampling(mask, physics.coil_sensitivities((64, 64), 8))
    for A, least in ((coils, 4), (FourierSampling(mask), 0)):
        assert (
            gain(A, brain, lambda y, A=A: classical.wavelet_reconstruction(A, y, 1e-3, iterations=60, tolerance=0).x)
            >= least
        )


def test_a_mask_for_each_image(generator):
    """A batch with masks of its own equals its images one by one."""
    masks = torch.stack([physics.variable_density_mask((16, 16), 2, generator) for _ in range(2)])[:, None]
    x = torch.rand(2, 1, 16, 16, generator=generator, dtype=torch.float64)
    A = FourierSampling(masks)
    together = classical.wavelet_reconstruction(A, A(x), 0.01, wavelet="haar", iterations=300, tolerance=0).x
    for image, one, mask in zip(x, together, masks, strict=True):
        B = FourierSampling(mask[0])
        alone = classical.wavelet_reconstruction(B, B(image), 0.01, wavelet="haar", iterations=300, tolerance=0).x
        torch.testing.assert_close(one, alone, rtol=0, atol=1e-5)


def test_arguments_that_cannot_be_used(unchecked):
    A = FourierSampling(torch.ones(16, 16, dtype=torch.bool))
    y = A(torch.rand(1, 1, 16, 16))
    nan = y.clone()
    nan[0, 0, 3, 4] = float("nan")
    for solve in (
        lambda A, y: classical.wavelet_reconstruction(A, y, 0.1),
        lambda A, y: classical.wavelet_reconstruction(A, y, 0.1, undecimated=True),
        lambda A, y: classical.tv_reconstruction(A, y, 0.1),
        lambda A, y: classical.tikhonov(A, y, 0.1),
        classical.zero_filled,
    ):
        with pytest.raises(
            expect.InputError, match=r"^FourierSampling.measurements: expected shape .*16, 16\), got .*15\).*$"
        ):
            solve(A, y[..., :15])
        with pytest.raises(
            expect.InputError, match="^expected the measurements without NaN or infinity, got 1 of them in .*$"
        ):
            solve(A, nan)
        with pytest.raises(
            expect.InputError, match="^FourierSampling.measurements: expected complex measurements, got .*$"
        ):
            solve(A, y.real)
        with pytest.raises(
            expect.InputError, match="^expected the measurements as a floating-point torch.Tensor, got 3$"
        ):
            solve(A, 3)
    for undecimated in (False, True):
        with pytest.raises(expect.InputError, match="^expected the weight lambda as a number from 0, got -0.1$"):
            classical.wavelet_reconstruction(A, y, -0.1, undecimated=undecimated)
        with pytest.raises(expect.InputError, match="^expected the name of a wavelet"):
            classical.wavelet_reconstruction(A, y, 0.1, undecimated=undecimated, wavelet="no")
    with pytest.raises(expect.InputError, match="^FourierSampling.measurements: expected complex measurements, got"):
        classical.tv_reconstruction(A, KullbackLeibler(torch.ones(16, 16), 1.0), 0.1)
