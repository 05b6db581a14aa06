"""Proximal operators against their definition; ISTA and FISTA against scikit-learn, their bounds, and Poisson data."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from course_lib import classical, expect, physics
from course_lib.classical import (
    L1,
    ConvergenceWarning,
    KullbackLeibler,
    LeastSquares,
    NonNegative,
    NoRegularizer,
    NuclearNorm,
    OrthogonalWavelet,
)
from course_lib.physics import FourierSampling, MatrixOperator

DOUBLE = {"dtype": torch.float64}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lasso(
    seed: int = 0, rows: int = 40, columns: int = 80, complex_: bool = False
) -> tuple[MatrixOperator, torch.Tensor]:
    """A small sparse problem with noise."""
    generator = seeded(seed)
    dtype = torch.complex128 if complex_ else torch.float64
    A = MatrixOperator(torch.randn(rows, columns, generator=generator, dtype=dtype) / rows**0.5)
    x = torch.randn(columns, generator=generator, dtype=dtype) * (torch.rand(columns, generator=generator) < 0.1)
    return A, A(x) + 0.02 * torch.randn(rows, generator=generator, dtype=dtype)


def test_soft_threshold_by_hand():
    z = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    assert classical.soft_threshold(z, 1).tolist() == [-2, 0, 0, 0, 0, 0, 2]
    assert torch.equal(classical.soft_threshold(z, 0), z)
    w = torch.tensor([3 + 4j, 0.3 - 0.4j, 0j], dtype=torch.complex128)
    torch.testing.assert_close(classical.soft_threshold(w, 1), torch.tensor([2.4 + 3.2j, 0, 0], dtype=torch.complex128))
    assert torch.equal(classical.soft_threshold(w, 0), w)
    for dtype in (torch.float32, torch.float64, torch.complex64):
        assert classical.soft_threshold(z.to(dtype), 1).dtype == dtype
    # through autograd: slope 1 outside, 0 inside, and a number at zero
    z = torch.tensor([-3.0, -0.5, 0.0, 2.0], requires_grad=True)
    classical.soft_threshold(z, 1).sum().backward()
    assert z.grad.tolist() == [1, 0, 0, 1]
    w = w.clone().requires_grad_()
    classical.soft_threshold(w, 1).abs().sum().backward()
    assert torch.isfinite(w.grad).all()
    with pytest.raises(expect.InputError, match="^expected the threshold as a number from 0, got -1$"):
        classical.soft_threshold(w, -1)


@given(seed=st.integers(0, 10_000), step=st.floats(0.01, 3), weight=st.floats(0, 2), complex_=st.booleans())
def test_prox_minimises_its_definition(seed, step, weight, complex_):
    """½‖x − v‖² + ηR(x) is larger everywhere else: near by, far away, and along random lines."""
    generator = seeded(seed)
    dtype = torch.complex128 if complex_ else torch.float64
    v = torch.randn(4, 1, 4, 4, generator=generator, dtype=dtype)
    regularizers = [NoRegularizer(), L1(weight), L1(weight, OrthogonalWavelet((4, 4), "db2", 1)), NuclearNorm(weight)]
    for R in regularizers if complex_ else [*regularizers, NonNegative()]:
        x, value = R.prox_and_value(v, step)
        assert torch.equal(x, R.prox(v, step))
        assert value == pytest.approx(R.value(x), abs=1e-9)

        def objective(x, R=R):
            return 0.5 * (x - v).abs().square().sum().item() + step * R.value(x)

        least = objective(x)
        others = [
            x + size * torch.randn(v.shape, generator=generator, dtype=dtype)
            for size in (1e-3, 0.1, 2)
            for _ in range(5)
        ]
        for other in (v, torch.zeros_like(v), *others):
            assert least <= objective(other) + 1e-9


def test_prox_of_the_wavelet_norm_against_a_numerical_minimiser(generator):
    """Subgradient steps with a shrinking length come near the same point."""
    v = torch.randn(4, 4, generator=generator, **DOUBLE)
    R = L1(0.3, OrthogonalWavelet((4, 4), "haar", 2))
    x = v.clone().requires_grad_()
    for k in range(1000):
        objective = 0.5 * (x - v).square().sum() + 0.5 * 0.3 * R.transform(x).abs().sum()
        (slope,) = torch.autograd.grad(objective, x)
        x = (x - slope / (k + 2)).detach().requires_grad_()
    torch.testing.assert_close(x.detach(), R.prox(v, 0.5), rtol=0, atol=5e-3)


def test_nuclear_norm_counts_frames_as_rows(generator):
    film = torch.randn(5, 1, 3, 4, generator=generator, **DOUBLE)
    singular = torch.linalg.svdvals(film.reshape(5, 12))
    assert NuclearNorm(0.7).value(film) == pytest.approx(0.7 * singular.sum().item())
    shrunk = torch.linalg.svdvals(NuclearNorm(0.7).prox(film, 2.0).reshape(5, 12))
    torch.testing.assert_close(shrunk, (singular - 1.4).clamp(min=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("solver", [classical.ista, classical.fista])
@pytest.mark.parametrize("weight", [0.02, 0.2])
def test_equal_to_scikit_learn(solver, weight):
    A, y = lasso()
    found = solver(A, y, L1(weight), iterations=20_000, tolerance=1e-10)
    theirs = Lasso(alpha=weight / len(y), fit_intercept=False, tol=1e-14, max_iter=1_000_000).fit(
        A.matrix.numpy(), y.numpy()
    )
    torch.testing.assert_close(found.x, torch.from_numpy(theirs.coef_), rtol=0, atol=1e-6)
    assert found.converged
    assert found.stopped_by.startswith("relative duality gap")
    assert found.iterations == len(found.objective) - 1 < 20_000


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_histories_stay_under_their_bounds(seed, complex_):
    """F(x_k) − F* ≤ L‖x*‖²/2k for ISTA and 2L‖x*‖²/(k+1)² for FISTA without restart, at every iteration, from zero."""
    A, y = lasso(seed, complex_=complex_)
    R = L1(0.02)
    best = classical.fista(A, y, R, iterations=20_000, tolerance=1e-12)
    least, L, size = best.objective[-1], A.norm() ** 2, best.x.abs().square().sum().item()
    ista = classical.ista(A, y, R, iterations=400, tolerance=0)
    fista = classical.fista(A, y, R, iterations=400, tolerance=0, restart=False)
    k = torch.arange(1, 401, **DOUBLE)
    slow, fast = (torch.tensor(s.objective[1:], **DOUBLE) - least for s in (ista, fista))
    assert (slow <= L * size / (2 * k) + 1e-13).all()
    assert (fast <= 2 * L * size / (k + 1) ** 2 + 1e-13).all()
    assert (torch.tensor(ista.objective).diff() <= 1e-13).all()  # ISTA never rises
    assert fast[-1] < slow[-1]
    assert ista.objective[0] == pytest.approx(0.5 * y.abs().square().sum().item())


def test_the_step_of_the_threshold_is_the_step_times_the_weight():
    """One ISTA step from zero: soft(η Aᵀy, ηλ)."""
    A, y = lasso()
    one = classical.ista(A, y, L1(0.3), step=0.1, iterations=1, tolerance=0)
    torch.testing.assert_close(one.x, classical.soft_threshold(0.1 * A.adjoint(y), 0.03))


@pytest.mark.parametrize("seed", range(3))
def test_restart_never_hurts_the_end(seed):
    A, y = lasso(seed)
    for iterations in (100, 600):
        ends = [
            classical.fista(A, y, L1(0.01), iterations=iterations, tolerance=0, restart=restart).objective[-1]
            for restart in (True, False)
        ]
        assert ends[0] <= ends[1] * (1 + 1e-9)


@pytest.mark.parametrize("complex_", [False, True])
def test_the_duality_gap_bounds_the_distance_from_the_optimum(complex_):
    A, y = lasso(complex_=complex_)
    R = L1(0.05)
    least = classical.fista(A, y, R, iterations=20_000, tolerance=1e-12).objective[-1]
    gaps = []
    for iterations in (1, 3, 10, 30, 100, 500):
        found = classical.fista(A, y, R, iterations=iterations, tolerance=0)
        gaps.append(classical.duality_gap(A, y, R, found.x))
        assert gaps[-1] >= found.objective[-1] - least - 1e-12
    assert gaps[-1] < 1e-9 < gaps[0]
    # with a transform too: the wavelet problem on single-coil k-space
    F = FourierSampling(physics.variable_density_mask((8, 8), 2, seeded(0)))
    y = F(torch.rand(8, 8, generator=seeded(1), **DOUBLE))
    R = L1(0.05, OrthogonalWavelet((8, 8), "haar"))
    end = classical.fista(F, y, R, iterations=300, tolerance=0)
    assert abs(classical.duality_gap(F, y, R, end.x)) < 1e-10


def test_says_when_it_has_not_converged():
    A, y = lasso()
    with pytest.warns(ConvergenceWarning, match="^FISTA has not converged in 5 iterations: relative duality gap .*"):
        found = classical.fista(A, y, L1(0.02), iterations=5)
    assert not found.converged
    assert found.iterations == 5
    with pytest.warns(ConvergenceWarning, match="^ISTA has not converged in 3 iterations: relative change .*"):
        assert not classical.gradient_descent(A, y, iterations=3).converged


def test_gradient_descent_reaches_the_least_squares_solution(generator):
    matrix = torch.randn(30, 10, generator=generator, **DOUBLE)
    y = torch.randn(30, generator=generator, **DOUBLE)
    found = classical.gradient_descent(MatrixOperator(matrix), y, iterations=5000, tolerance=1e-13)
    torch.testing.assert_close(found.x, torch.linalg.lstsq(matrix, y).solution, rtol=0, atol=1e-8)
    # with weights: the closed form (AᵀWA)⁻¹AᵀWy
    weights = torch.rand(30, generator=generator, **DOUBLE) + 0.1
    weighted = classical.gradient_descent(
        MatrixOperator(matrix), LeastSquares(y, weights), iterations=20_000, tolerance=1e-12
    )
    closed = torch.linalg.solve(matrix.T @ (weights[:, None] * matrix), matrix.T @ (weights * y))
    torch.testing.assert_close(weighted.x, closed, rtol=0, atol=1e-8)


@given(seed=st.integers(0, 10_000), background=st.floats(0.5, 5))
def test_gradients_of_the_fidelities(seed, background):
    generator = seeded(seed)
    prediction = 6 * torch.rand(6, generator=generator, **DOUBLE) - 3
    counts = torch.poisson(3 * prediction.abs() + 1, generator=generator)
    counts[0] = 0
    weights = torch.rand(6, generator=generator, **DOUBLE) + 0.1
    for D in (LeastSquares(counts), LeastSquares(counts, weights), KullbackLeibler(counts, background)):
        small = 1e-6 * torch.eye(6, **DOUBLE)
        slopes = [(D.value(prediction + d) - D.value(prediction - d)) / 2e-6 for d in small]
        torch.testing.assert_close(D.gradient(prediction), torch.tensor(slopes, **DOUBLE), rtol=1e-6, atol=1e-6)
        # curvature bounds how fast the gradient changes
        other = 6 * torch.rand(6, generator=generator, **DOUBLE) - 3
        change = (D.gradient(prediction) - D.gradient(other)).norm()
        assert change <= D.curvature * (prediction - other).norm() * (1 + 1e-12)


def test_kullback_leibler_by_hand(generator):
    assert KullbackLeibler(torch.tensor([2.0, 0.0]), 1.0).value(torch.tensor([1.0, 3.0])) == pytest.approx(4)
    assert KullbackLeibler(torch.tensor([2.0]), 1.0).value(torch.tensor([3.0])) == pytest.approx(2 + 2 * math.log(0.5))
    y = torch.poisson(torch.full((8,), 5.0), generator=generator)
    assert KullbackLeibler(y, 1.0).value(y - 1) == pytest.approx(0, abs=1e-5)  # least where mean equals count


def test_the_right_fidelity_for_poisson_data_wins():
    """Rows of very unlike brightness: KL, and least squares with weights 1/σ², err less than plain least squares."""
    generator = seeded(0)
    brightness = torch.full((200, 1), 3.0, **DOUBLE)
    brightness[:8] = 100
    A = MatrixOperator(brightness * (torch.rand(200, 6, generator=generator) < 0.5))
    x = torch.rand(50, 6, generator=generator, **DOUBLE)
    counts = torch.poisson(A(x) + 5, generator=generator)
    fidelities = {
        "plain": LeastSquares(counts - 5),
        "weighted": LeastSquares(counts - 5, 1 / (A(x) + 5)),
        "KL": KullbackLeibler(counts, 5.0),
    }
    error = {}
    for name, D in fidelities.items():
        found = classical.fista(A, D, NonNegative(), iterations=4000, tolerance=1e-7)
        assert found.converged
        assert found.x.min() >= 0
        error[name] = (found.x - x).norm(dim=1).mean()
    assert error["KL"] < 0.8 * error["plain"]
    assert error["weighted"] < 0.8 * error["plain"]


def test_precision_and_batches_are_kept():
    A = MatrixOperator(torch.randn(8, 12, generator=seeded(0), **DOUBLE))
    for dtype in (torch.float32, torch.float64):
        y = torch.randn(3, 2, 8, generator=seeded(1), dtype=dtype)
        found = classical.fista(A, y, L1(0.1), iterations=500, tolerance=1e-5)
        assert found.x.dtype == dtype
        assert found.x.shape == (3, 2, 12)
    # the same as one by one
    alone = [classical.fista(A, row, L1(0.1), iterations=5000, tolerance=1e-10).x for row in y.flatten(0, 1)]
    together = classical.fista(A, y, L1(0.1), iterations=5000, tolerance=1e-10).x
    torch.testing.assert_close(together.flatten(0, 1), torch.stack(alone), rtol=0, atol=1e-5)


def test_arguments_that_cannot_be_used(unchecked):
    A, y = lasso()
    for make in (L1, NuclearNorm):
        for weight in (-1, float("nan"), "much"):
            with pytest.raises(expect.InputError, match="^expected the weight lambda as a number from 0, got [^\n]+$"):
                make(weight)
    for solver in (classical.ista, classical.fista):
        with pytest.raises(
            expect.InputError, match=r"^MatrixOperator.measurements: expected shape \(\.\.\., 40\), got .*$"
        ):
            solver(A, y[:-1], L1(0.1))
        with pytest.raises(
            expect.InputError, match="^expected the measurements without NaN or infinity, got 1 of them"
        ):
            solver(A, torch.where(y == y[3], float("nan"), y), L1(0.1))
        with pytest.raises(expect.InputError, match="^expected the measurements as a floating-point .* got a numpy.*$"):
            solver(A, y.numpy(), L1(0.1))
        for step in (0, -1, float("nan")):
            with pytest.raises(expect.InputError, match="^expected the step as a number above 0, got"):
                solver(A, y, L1(0.1), step=step)
        with pytest.raises(
            expect.InputError, match="^expected the number of iterations as a whole number from 1, got 0$"
        ):
            solver(A, y, L1(0.1), iterations=0)
        with pytest.raises(expect.InputError, match=r"^expected the start and the image of one shape, got "):
            solver(A, y, L1(0.1), start=torch.zeros(3, 3))
        with pytest.raises(expect.InputError, match="^expected the tolerance as a number from 0, got -1$"):
            solver(A, y, L1(0.1), tolerance=-1)
        with pytest.raises(expect.InputError, match="^F?ISTA: expected a step up to [12]/L = .*, got 1e[+]04$"):
            solver(A, y, L1(0.1), step=1e4)
    with pytest.raises(
        expect.InputError, match="^expected an operator that measures something, got MatrixOperator of norm 0$"
    ):
        classical.ista(MatrixOperator(torch.zeros(2, 2)), torch.zeros(2), L1(0.1))


def test_data_that_cannot_be_used(unchecked):
    y = torch.ones(3)
    with pytest.raises(expect.InputError, match="^expected real counts of at least 0, got .* with other values$"):
        KullbackLeibler(torch.tensor([1.0, -1, 2]), 1.0)
    with pytest.raises(expect.InputError, match="^expected real counts of at least 0, got .*complex64"):
        KullbackLeibler(y.to(torch.complex64), 1.0)
    with pytest.raises(expect.InputError, match="^expected at least one count, got none in .*$"):
        KullbackLeibler(torch.zeros(3), 1.0)
    for background in (0, -1, float("inf")):
        with pytest.raises(expect.InputError, match="^expected the background as a number above 0, got"):
            KullbackLeibler(y, background)
    for weights in (torch.tensor([1.0, -1, 1]), torch.zeros(3), y.to(torch.complex64)):
        with pytest.raises(expect.InputError, match="^expected real weights of at least 0, not all of them 0, got"):
            LeastSquares(y, weights)
    for weights in (torch.ones(4), torch.ones(2, 3)):
        with pytest.raises(expect.InputError, match=r"^expected weights of a shape that broadcasts to \(3,\), got"):
            LeastSquares(y, weights)
    with pytest.raises(expect.InputError, match="^expected weights without NaN"):
        LeastSquares(y, torch.tensor([1.0, 1, float("nan")]))
