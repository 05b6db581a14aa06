"""Tikhonov in closed form and by conjugate gradients, against SciPy and each other; Kaczmarz's rate."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import lsqr

from course_lib import classical, data, expect, metrics, physics
from course_lib.classical import ConvergenceWarning
from course_lib.physics import CoilSampling, FourierSampling, MatrixOperator

DOUBLE = {"dtype": torch.float64}
shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))


def system(seed: int, shape: tuple[int, int], complex_: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.complex128 if complex_ else torch.float64
    return torch.randn(shape, generator=generator, dtype=dtype), torch.randn(shape[0], generator=generator, dtype=dtype)


@given(seed=st.integers(0, 10_000), shape=shapes, weight=st.floats(1e-3, 10), complex_=st.booleans())
def test_push_through_identity(seed, shape, weight, complex_):
    """Aᴴ(AAᴴ + λI)⁻¹y = (AᴴA + λI)⁻¹Aᴴy, to 1e-10; and it is the minimiser: the gradient is zero."""
    matrix, y = system(seed, shape, complex_)
    dual = classical.tikhonov_closed_form(matrix, y, weight, "dual")
    primal = classical.tikhonov_closed_form(matrix, y, weight, "primal")
    assert (dual - primal).norm() <= 1e-10 * (1 + primal.norm())
    gradient = matrix.mH @ (matrix @ primal - y) + weight * primal
    assert gradient.norm() <= 1e-10 * (1 + (matrix.mH @ y).norm())


@given(seed=st.integers(0, 10_000), shape=shapes, weight=st.floats(1e-2, 10), complex_=st.booleans())
def test_conjugate_gradients_reach_the_closed_form(seed, shape, weight, complex_):
    matrix, y = system(seed, shape, complex_)
    found = classical.tikhonov(MatrixOperator(matrix), y, weight, tolerance=1e-12)
    assert found.converged
    closed = classical.tikhonov_closed_form(matrix, y, weight)
    assert (found.x - closed).norm() <= 1e-8 * (1 + closed.norm())
    assert (torch.tensor(found.objective, **DOUBLE).diff() <= 1e-9 * found.objective[0]).all()
    residual = matrix @ closed - y
    least = 0.5 * residual.abs().square().sum() + 0.5 * weight * closed.abs().square().sum()
    assert found.objective[-1] == pytest.approx(least.item(), rel=1e-9, abs=1e-9)


def test_equal_to_scipy():
    matrix, y = system(0, (30, 20), False)
    theirs = lsqr(matrix.numpy(), y.numpy(), damp=0.5**0.5, atol=1e-14, btol=1e-14)[0]
    ours = classical.tikhonov(MatrixOperator(matrix), y, 0.5, tolerance=1e-13).x
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=1e-9)


def test_without_weight_the_least_squares_solution_of_least_norm():
    for shape in ((30, 10), (10, 30)):
        matrix, y = system(1, shape, True)
        found = classical.tikhonov(MatrixOperator(matrix), y, 0.0, tolerance=1e-12)
        torch.testing.assert_close(found.x, torch.linalg.pinv(matrix) @ y, rtol=0, atol=1e-8)


def test_conjugate_gradients_solve_a_system(generator):
    root = torch.randn(20, 20, generator=generator, **DOUBLE)
    N, b = root @ root.T + 0.1 * torch.eye(20, **DOUBLE), torch.randn(20, generator=generator, **DOUBLE)
    found = classical.conjugate_gradients(lambda x: N @ x, b, iterations=200, tolerance=1e-12)
    x = torch.linalg.solve(N, b)
    torch.testing.assert_close(found.x, x, rtol=0, atol=1e-7)
    assert found.objective[0] == 0
    assert found.objective[-1] == pytest.approx((0.5 * x @ N @ x - b @ x).item())
    assert (torch.tensor(found.objective, **DOUBLE).diff() <= 1e-9).all()
    # as many steps as there are different eigenvalues
    two = torch.diag(torch.tensor([1.0, 1, 1, 5, 5], **DOUBLE))
    assert classical.conjugate_gradients(lambda x: two @ x, b[:5], tolerance=1e-10).iterations == 2
    # nothing to do
    zero = classical.conjugate_gradients(lambda x: N @ x, torch.zeros(20, **DOUBLE))
    assert zero.converged
    assert zero.x.abs().max() == 0
    with pytest.raises(expect.InputError, match="^conjugate gradients: expected no negative eigenvalue, got .*$"):
        classical.conjugate_gradients(lambda x: -x, b)
    with pytest.warns(ConvergenceWarning, match="^conjugate gradients has not converged in 3 iterations"):
        assert not classical.conjugate_gradients(lambda x: N @ x, b, iterations=3).converged


@pytest.mark.parametrize("weight", [0.0, 0.01, 1.0])
def test_on_a_single_coil_only_rescales_the_zero_filled_image(weight, generator):
    A = FourierSampling(physics.line_mask((16, 12), 3, 0.2, generator))
    y = A(torch.rand(2, 1, 16, 12, generator=generator, **DOUBLE))
    found = classical.tikhonov(A, y, weight, tolerance=1e-12)
    torch.testing.assert_close(found.x, classical.zero_filled(A, y) / (1 + weight), rtol=0, atol=1e-12)


def test_on_several_coils_beats_the_adjoint(generator):
    """R = 4 with eight coils: the coils' differences tell apart what the missing lines fold together."""
    brain = data.brain_anatomy([20], size=128)["t1"]
    A = CoilSampling(physics.line_mask((128, 128), 4, 0.08, generator), physics.coil_sensitivities((128, 128), 8))
    y = physics.add_gaussian_noise(A(brain), 0.005, generator)
    adjoint, found = A.adjoint(y), classical.tikhonov(A, y, 0.01, iterations=60, tolerance=1e-3)
    assert found.converged
    assert (metrics.psnr(found.x.abs(), brain) - metrics.psnr(adjoint.abs(), brain)).item() > 2


def test_kaczmarz_converges_as_fast_as_the_lines_angle_says():
    """Two lines at an angle φ: after the first sweep each one multiplies the error by cos²φ."""
    for phi in (0.2, 0.7, 1.2, math.pi / 2):
        matrix = torch.tensor([[1.0, 0], [math.cos(phi), math.sin(phi)]], **DOUBLE)
        truth = torch.tensor([0.3, -1.1], **DOUBLE)
        path = []
        classical.kaczmarz(matrix, matrix @ truth, sweeps=6, tolerance=0, path=path)
        assert len(path) == 12
        errors = [(x - truth).norm().item() for x in path[1::2]]
        for before, after in zip(errors, errors[1:], strict=False):
            assert after == pytest.approx(math.cos(phi) ** 2 * before, abs=1e-14)
    # each projection solves its equation
    for step, x in enumerate(path):
        assert (matrix[step % 2] @ (x - truth)).abs() < 1e-12


def test_kaczmarz_reaches_the_nearest_solution(generator):
    """From a start, the solution nearest to it: it moves only along the rows."""
    matrix, _ = system(2, (4, 9), True)
    start = torch.randn(9, generator=generator, dtype=torch.complex128)
    y = matrix @ torch.randn(9, generator=generator, dtype=torch.complex128)
    found = classical.kaczmarz(matrix, y, sweeps=5000, tolerance=1e-12, start=start)
    assert found.converged
    torch.testing.assert_close(found.x, start + torch.linalg.pinv(matrix) @ (y - matrix @ start), rtol=0, atol=1e-8)
    assert found.objective[-1] < 1e-20


def test_kaczmarz_says_that_contradictory_equations_have_no_solution():
    matrix = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    with pytest.warns(ConvergenceWarning, match="^Kaczmarz has not converged in 50 iterations: relative residual"):
        found = classical.kaczmarz(matrix, torch.tensor([1.0, 1, 3]), sweeps=50)
    assert not found.converged
    assert found.iterations == 50
    assert found.objective[-1] > 0.05


def test_arguments_that_cannot_be_used(unchecked):
    matrix, y = system(0, (4, 3), False)
    A = MatrixOperator(matrix)
    for weight in (-1, -1e-9, float("nan"), None):
        with pytest.raises(expect.InputError, match="^expected the weight lambda as a number above 0, got [^\n]+$"):
            classical.tikhonov_closed_form(matrix, y, weight)
        with pytest.raises(expect.InputError, match="^expected the weight lambda as a number from 0, got [^\n]+$"):
            classical.tikhonov(A, y, weight)
    with pytest.raises(expect.InputError, match="weight lambda"):
        classical.tikhonov_closed_form(matrix, y, 0)
    with pytest.raises(expect.InputError, match='^expected the form as "primal" or "dual", got \'both\'$'):
        classical.tikhonov_closed_form(matrix, y, 1.0, "both")
    for function in (lambda y: classical.tikhonov_closed_form(matrix, y, 1.0), lambda y: classical.kaczmarz(matrix, y)):
        with pytest.raises(expect.InputError, match="^expected y with 4 entries, one a row of A, got 3$"):
            function(y[:3])
        with pytest.raises(expect.InputError, match=r"^expected y as a floating-point torch.Tensor \(rows,\), got .*$"):
            function(y[None])
        with pytest.raises(expect.InputError, match="^expected y without NaN or infinity, got 4 of them in .*$"):
            function(y * float("nan"))
    with pytest.raises(expect.InputError, match="^MatrixOperator.measurements: expected shape .*4.*, got .*3.*$"):
        classical.tikhonov(A, y[:3], 1.0)
    with pytest.raises(expect.InputError, match="^expected a matrix without zero rows: .*$"):
        classical.kaczmarz(matrix * torch.tensor([1.0, 1, 0, 1])[:, None], y)
    with pytest.raises(expect.InputError, match="number of iterations as a whole number from 1, got 0"):
        classical.kaczmarz(matrix, y, sweeps=0)
