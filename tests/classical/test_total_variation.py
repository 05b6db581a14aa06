"""Total variation against loops, scikit-image and converged references; recovery of what is piecewise constant."""

import pytest
import torch
from skimage.restoration import denoise_tv_chambolle

from course_lib import classical, data, expect, physics
from course_lib.classical import (
    L1,
    Analysis,
    ConvergenceWarning,
    KullbackLeibler,
    NonNegative,
    OrthogonalWavelet,
    UndecimatedWavelet,
)
from course_lib.data.phantoms import Ellipse
from course_lib.physics import FiniteDifferences, FourierSampling, HadamardSampling, MatrixOperator

DOUBLE = {"dtype": torch.float64}


def noisy_blocks(size: int = 24) -> torch.Tensor:
    image = torch.zeros(size, size, **DOUBLE)
    image[4:14, 6:18] = 1
    image[10:20, 3:9] = 0.5
    return image + 0.1 * torch.randn(size, size, generator=torch.Generator().manual_seed(0), **DOUBLE)


def denoising(size: int) -> HadamardSampling:
    """All patterns: an orthonormal operator, so that ½‖A x − A b‖² = ½‖x − b‖²."""
    return HadamardSampling(torch.ones(size, size, dtype=torch.bool))


def test_total_variation_equals_a_loop(generator):
    for complex_ in (False, True):
        dtype = torch.complex128 if complex_ else torch.float64
        images = torch.randn(2, 1, 5, 4, generator=generator, dtype=dtype)
        for image, ours in zip(images[:, 0], classical.total_variation(images)[:, 0], strict=True):
            total = 0.0
            for i in range(5):
                for j in range(4):
                    down = abs(image[i + 1, j] - image[i, j]) if i < 4 else 0.0
                    right = abs(image[i, j + 1] - image[i, j]) if j < 3 else 0.0
                    total += (down**2 + right**2) ** 0.5
            assert ours.item() == pytest.approx(float(total))
    # a square of side 4 has the perimeter of a square, less the corner that both differences share
    square = torch.zeros(8, 8)
    square[2:6, 2:6] = 1
    assert classical.total_variation(square).item() == pytest.approx(14 + 2**0.5)
    # its derivative is a number on flat regions too
    flat = torch.ones(4, 4, requires_grad=True)
    classical.total_variation(flat).backward()
    assert torch.isfinite(flat.grad).all()


@pytest.mark.parametrize("grouped", [None, -3])
@pytest.mark.parametrize("complex_", [False, True])
def test_projection_is_the_nearest_feasible_point(grouped, complex_, generator):
    """By the variational inequality: ⟨u − p, q − p⟩ ≤ 0 for every feasible q."""
    dtype = torch.complex128 if complex_ else torch.float64
    weights = torch.rand(1, 6, 6, generator=generator, **DOUBLE)
    weights[0, 0] = 0
    for weight in (0.7, 0.0, weights):
        R = Analysis(FiniteDifferences((6, 6)), weight, grouped)
        u = torch.randn(2, 6, 6, generator=generator, dtype=dtype)
        p = R.project(u)

        def size(v):
            return v.abs() if grouped is None else v.abs().square().sum(-3, keepdim=True).sqrt()

        assert (size(p) - weight <= 1e-12).all()
        for _ in range(20):
            q = R.project(2 * torch.randn(2, 6, 6, generator=generator, dtype=dtype))
            assert ((u - p).conj() * (q - p)).sum().real <= 1e-12
        torch.testing.assert_close(R.project(p), p)
        # R is the support function of the feasible points
        assert R.value(u) >= (p.conj() * u).sum().real - 1e-9


@pytest.mark.parametrize("weight", [0.05, 0.2])
def test_denoising_equals_scikit_image(weight):
    b = noisy_blocks(16)
    A = denoising(16)
    found = classical.tv_reconstruction(A, A(b), weight, iterations=1000, tolerance=0)
    theirs = torch.from_numpy(denoise_tv_chambolle(b.numpy(), weight=weight, eps=1e-12, max_num_iter=20_000))
    torch.testing.assert_close(found.x, theirs, rtol=0, atol=2e-3)

    def objective(x):
        return (0.5 * (x - b).square().sum() + weight * classical.total_variation(x)).item()

    assert found.objective[-1] == pytest.approx(objective(found.x), rel=1e-9)
    assert objective(found.x) <= objective(theirs) * (1 + 1e-6)
    # strongly convex: nothing near by is better
    for scale in (1e-3, 1e-2):
        other = found.x + scale * torch.randn(16, 16, generator=torch.Generator().manual_seed(1), **DOUBLE)
        assert objective(other) > objective(found.x)


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("boundary", ["reflect", "periodic"])
def test_objective_reaches_a_converged_reference(isotropic, boundary):
    """Within 1e-3 after 200 iterations from any balance; the reference has five times as many, from another one."""
    A = FourierSampling(physics.variable_density_mask((16, 16), 2, torch.Generator().manual_seed(0)))
    y = A(noisy_blocks(16))
    options = {"isotropic": isotropic, "boundary": boundary, "tolerance": 0}
    reference = classical.tv_reconstruction(A, y, 0.05, iterations=1000, balance=1.0, **options).objective[-1]
    for balance in (0.1, 10.0):
        found = classical.tv_reconstruction(A, y, 0.05, iterations=200, balance=balance, **options)
        assert found.objective[-1] == pytest.approx(reference, rel=1e-3)


def test_wavelets_by_two_methods():
    """With an orthonormal transform FISTA and the primal–dual method minimise the same."""
    A = FourierSampling(physics.variable_density_mask((16, 16), 2, torch.Generator().manual_seed(0)))
    y, W = A(noisy_blocks(16)), OrthogonalWavelet((16, 16), "haar")
    one = classical.fista(A, y, L1(0.05, W), iterations=500, tolerance=0)
    two = classical.primal_dual(A, y, Analysis(W, 0.05), iterations=500, tolerance=0)
    assert two.objective[-1] == pytest.approx(one.objective[-1], rel=1e-6)
    torch.testing.assert_close(two.x, one.x, rtol=0, atol=1e-4)


def test_scale_of_the_operator_changes_nothing():
    """A → 100 A, y → 100 y, λ → 100² λ is the same problem, and takes the same steps."""
    matrix = torch.randn(40, 64, generator=torch.Generator().manual_seed(0), **DOUBLE)
    x = noisy_blocks(8 * 3)[8:16, 8:16].flatten()
    W = MatrixOperator(torch.eye(64, **DOUBLE).diff(dim=0))
    runs = []
    for scale in (1.0, 100.0):
        A = MatrixOperator(scale * matrix)
        runs.append(classical.primal_dual(A, A(x), Analysis(W, 0.1 * scale**2), iterations=200, tolerance=0))
    torch.testing.assert_close(runs[0].x, runs[1].x, rtol=0, atol=1e-9)


def test_piecewise_constant_phantom_is_recovered():
    """Noiseless points of k-space at R = 4 (deck 004): far below what zero-filling leaves."""
    skull, organ, hole = (
        Ellipse(0.6, 0.7, 0.85, 0, 0),
        Ellipse(0.4, 0.25, 0.3, 0.2, 0.2),
        Ellipse(-0.4, 0.2, 0.15, -0.3, -0.3),
    )
    phantom = data.ellipse_phantom(64, supersampling=1, ellipses=[skull, organ, hole])
    A = FourierSampling(physics.variable_density_mask((64, 64), 4, torch.Generator().manual_seed(0)))
    y = A(phantom)
    found = classical.tv_reconstruction(A, y, 1e-3, iterations=600, tolerance=0)
    error = (found.x - phantom).norm() / phantom.norm()
    assert error < 0.01
    assert (classical.zero_filled(A, y) - phantom).norm() / phantom.norm() > 20 * error


def test_light_is_never_negative():
    """Kullback–Leibler with the constraint x ≥ 0, on photon counts: no feasible image near by has a lower objective."""
    generator = torch.Generator().manual_seed(0)
    A = MatrixOperator((torch.rand(60, 16, generator=generator) < 0.5).double())
    x = torch.tensor([0.0] * 5 + [20.0] * 6 + [0.0] * 5, **DOUBLE)
    D = KullbackLeibler(torch.poisson(A(x) + 50, generator=generator), 50.0)
    R = Analysis(MatrixOperator(torch.eye(16, **DOUBLE).diff(dim=0)), 0.1)
    options = {"iterations": 3000, "tolerance": 1e-6}
    free = classical.primal_dual(A, D, R, **options)
    found = classical.primal_dual(A, D, R, constraint=NonNegative(), **options)
    assert found.converged
    assert found.x.min() >= 0 > free.x.min()
    assert (found.x - x).norm() < (free.x - x).norm() < 0.5 * x.norm()

    def objective(x):
        return D.value(A(x)) + R.value(R.K(x))

    assert found.objective[-1] == pytest.approx(objective(found.x))
    for scale in (0.01, 0.1, 1.0, 10.0):
        for _ in range(20):
            other = (found.x + scale * torch.randn(16, generator=generator, **DOUBLE)).clamp(min=0)
            assert objective(other) > objective(found.x) - 1e-6


def test_says_when_it_has_not_converged():
    A = denoising(8)
    with pytest.warns(
        ConvergenceWarning, match="^primal-dual has not converged in 4 iterations: relative change of x and u"
    ):
        found = classical.tv_reconstruction(A, A(noisy_blocks(24)[:8, :8]), 0.1, iterations=4)
    assert not found.converged
    assert len(found.objective) == 5


def test_precision_is_kept():
    W = UndecimatedWavelet((8, 8), "haar", 2)
    A = denoising(8)
    for dtype in (torch.float32, torch.float64):
        y = A(torch.rand(2, 1, 8, 8, dtype=dtype, generator=torch.Generator().manual_seed(0)))
        assert classical.tv_reconstruction(A, y, 0.1, iterations=3, tolerance=0).x.dtype == dtype
        assert (
            classical.primal_dual(A, y, Analysis(W, 0.1 * W.shift_weights()), iterations=3, tolerance=0).x.dtype
            == dtype
        )


def test_arguments_that_cannot_be_used(unchecked):
    A = denoising(8)
    y = A(torch.ones(8, 8))
    with pytest.raises(expect.InputError, match="^expected the weight lambda as a number from 0, got -1$"):
        classical.tv_reconstruction(A, y, -1)
    with pytest.raises(expect.InputError, match="^expected weights lambda of at least 0, got -1$"):
        Analysis(FiniteDifferences((8, 8)), torch.tensor([1.0, -1])[:, None, None])
    with pytest.raises(expect.InputError, match=r"^HadamardSampling.measurements: expected shape \(\.\.\., 64\), got"):
        classical.tv_reconstruction(A, y[:-1], 0.1)
    with pytest.raises(expect.InputError, match="^expected the measurements without NaN or infinity, got 64 of them"):
        classical.tv_reconstruction(A, y * float("nan"), 0.1)
    for balance in (0, -1):
        with pytest.raises(expect.InputError, match="^expected the balance as a number above 0, got"):
            classical.tv_reconstruction(A, y, 0.1, balance=balance)
    with pytest.raises(expect.InputError, match='^expected the boundary as "reflect" or "periodic", got \'zero\'$'):
        classical.tv_reconstruction(A, y, 0.1, boundary="zero")
    with pytest.raises(expect.InputError, match="^expected images as a floating-point torch.Tensor, got"):
        classical.total_variation(torch.ones(4, 4, dtype=torch.int64))
