"""Exact recovery of sparse vectors: the theory's curve, basis pursuit against linear programming, and where it ends."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import linprog, minimize_scalar

from course_lib import expect
from course_lib.classical.phase_transition import basis_pursuit, donoho_tanner, recovery_rate

DOUBLE = {"dtype": torch.float64}


def sparse_problem(seed: int, rows: int, columns: int, nonzero: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(rows, columns, generator=generator, **DOUBLE)
    x = torch.zeros(columns, **DOUBLE)
    x[torch.randperm(columns, generator=generator)[:nonzero]] = torch.randn(nonzero, generator=generator, **DOUBLE)
    return matrix, x


def statistical_dimension(share: float) -> float:
    """Of the descent cone of ‖·‖₁ at a vector with this share of non-zeros (Amelunxen, Lotz, McCoy and Tropp 2014)."""

    def value(tau: float) -> float:
        tail = quad(lambda u: (u - tau) ** 2 * math.exp(-(u**2) / 2), tau, math.inf)[0]
        return share * (1 + tau**2) + (1 - share) * math.sqrt(2 / math.pi) * tail

    return minimize_scalar(value, bounds=(0, 10), method="bounded").fun


def test_the_curve_is_where_the_statistical_dimension_says():
    """Another road to the same border: as many measurements as the cone has dimensions."""
    for delta in (0.05, 0.1, 0.3, 0.5, 0.7, 0.9):
        assert statistical_dimension(donoho_tanner(delta) * delta) == pytest.approx(delta, abs=1e-4)
    assert donoho_tanner(0.5) == pytest.approx(0.3855, abs=1e-3)
    curve = [donoho_tanner(delta / 20) for delta in range(1, 21)]
    assert curve == sorted(curve)
    assert curve[-1] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_basis_pursuit_equals_linear_programming(seed):
    """Below the transition, and above it, where the sparsest vector is not found but the least ℓ1 norm is."""
    for nonzero in (5, 20):
        matrix, x = sparse_problem(seed, 30, 60, nonzero)
        y = matrix @ x
        found = basis_pursuit(matrix, y, iterations=3000)
        both_signs = np.hstack([matrix.numpy(), -matrix.numpy()])
        program = linprog(np.ones(120), A_eq=both_signs, b_eq=y.numpy(), bounds=(0, None), method="highs")
        theirs = torch.from_numpy(program.x[:60] - program.x[60:])
        assert found.abs().sum().item() == pytest.approx(program.fun, rel=1e-4)
        assert (found - theirs).norm() <= 1e-3 * theirs.norm()
        torch.testing.assert_close(matrix @ found, y, rtol=0, atol=1e-10)
        assert ((found - x).norm() < 1e-3 * x.norm()) == (nonzero == 5)


def test_a_batch_is_solved_one_by_one():
    problems = [sparse_problem(seed, 20, 50, 4) for seed in range(3)]
    matrix = torch.stack([m for m, _ in problems])
    x = torch.stack([x for _, x in problems])
    found = basis_pursuit(matrix, (matrix @ x[..., None])[..., 0])
    for one, (m, true) in zip(found, problems, strict=True):
        torch.testing.assert_close(one, basis_pursuit(m, m @ true), rtol=0, atol=1e-10)


@pytest.mark.parametrize("delta", [0.2, 0.5, 0.8])
def test_exact_recovery_below_the_transition(delta):
    """Noiseless Gaussian measurements at half the curve's sparsity: relative error at most 1e-4."""
    rows = round(delta * 200)
    for seed in range(3):
        matrix, x = sparse_problem(seed, rows, 200, round(0.5 * donoho_tanner(delta) * rows))
        assert (basis_pursuit(matrix, matrix @ x) - x).norm() <= 1e-4 * x.norm()


@pytest.mark.parametrize(("delta", "columns"), [(0.1, 400), (0.3, 200), (0.5, 200), (0.7, 200), (0.9, 200)])
def test_half_of_the_problems_are_solved_within_a_twentieth_of_the_curve(delta, columns):
    """More than half at ρ − .05, fewer than half at ρ + .05: the 50 % curve lies between."""
    rho, generator = donoho_tanner(delta), torch.Generator().manual_seed(0)
    assert recovery_rate(delta, rho - 0.05, columns, 20, generator) > 0.5
    assert recovery_rate(delta, rho + 0.05, columns, 20, generator) < 0.5


def test_the_generator_decides():
    seeded = lambda: torch.Generator().manual_seed(1)  # noqa: E731
    assert recovery_rate(0.5, 0.38, 60, 20, seeded()) == recovery_rate(0.5, 0.38, 60, 20, seeded())
    assert recovery_rate(0.5, 0.0, 20, 5, seeded()) == 1  # the zero vector
    assert recovery_rate(0.5, 1.0, 60, 5, seeded()) == 0


def test_arguments_that_cannot_be_used(unchecked):
    for delta in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(expect.InputError, match="delta.* as a number above 0 to 1, got"):
            donoho_tanner(delta)
        with pytest.raises(expect.InputError, match="delta.* as a number above 0 to 1, got"):
            recovery_rate(delta, 0.2, 50, 5, torch.Generator())
    with pytest.raises(expect.InputError, match="rho"):
        recovery_rate(0.5, 1.2, 50, 5, torch.Generator())
    with pytest.raises(expect.InputError, match="number of columns"):
        recovery_rate(0.5, 0.2, 0, 5, torch.Generator())
    with pytest.raises(expect.InputError, match="number of trials"):
        recovery_rate(0.5, 0.2, 50, 0, torch.Generator())
    with pytest.raises(expect.InputError, match="torch.Generator"):
        recovery_rate(0.5, 0.2, 50, 5, 3)
