"""When ℓ1 minimisation recovers a sparse vector exactly: the border in theory, and an experiment to compare."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float

from course_lib import expect

EXACT = 1e-3  # largest relative error that counts as recovered; failures are near 1


def donoho_tanner(delta: float) -> float:
    """ρ = non-zeros/measurements up to which nearly all problems are solved, for many unknowns.

    The weak threshold of Donoho and Tanner (2009) for Gaussian measurements and unknowns of either sign, in the form
    ρ(δ) = max_z [1 − (2/δ)g(z)] / [1 + z² − 2g(z)], g(z) = (1 + z²)Φ(−z) − zφ(z) (Donoho, Maleki, Montanari 2009).

    Args:
        delta: δ = measurements/unknowns, from above 0 to 1.
    """
    delta = expect.number("the undersampling ratio delta", delta, above=0, most=1)
    z = torch.linspace(1e-6, 8, 20001, dtype=torch.float64)  # at 0 it would be 0/0 for delta = 1
    tail = 0.5 * torch.special.erfc(z / math.sqrt(2))
    g = (1 + z**2) * tail - z * torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return float(((1 - 2 / delta * g) / (1 + z**2 - 2 * g)).max())


def basis_pursuit(
    matrix: Float[torch.Tensor, "*batch rows columns"],
    y: Float[torch.Tensor, "*batch rows"],
    *,
    iterations: int = 500,
    weight: float = 0.1,
) -> Float[torch.Tensor, "*batch columns"]:
    """argmin ‖x‖₁ subject to A x = y, for a batch of problems at once, by Douglas–Rachford splitting.

    Two maps take turns: soft thresholding, and the projection onto A x = y.

    Args:
        matrix: A, with fewer rows than columns, rows independent.
        y: what A x must equal.
        iterations: how many.
        weight: threshold, in units of the largest entry of the least-energy solution; it changes the speed alone.
    """
    Q, R = torch.linalg.qr(matrix.mT)  # Aᵀ = Q R, so that A x = y is Qᵀ x = R⁻ᵀ y with orthonormal rows
    target = torch.linalg.solve_triangular(R.mT, y[..., None], upper=False)

    def project(x: torch.Tensor) -> torch.Tensor:
        return x + Q @ (target - Q.mT @ x)

    z = Q @ target
    threshold = weight * z.abs().amax(dim=-2, keepdim=True)
    x = z
    for _ in range(iterations):
        x = project(z)
        reflected = 2 * x - z
        z = z - x + reflected * (1 - threshold / reflected.abs().clamp(min=1e-30)).clamp(min=0)
    return project(z)[..., 0]


def recovery_rate(delta: float, rho: float, columns: int, trials: int, generator: torch.Generator) -> float:
    """Share of random sparse problems that `basis_pursuit` solves to a relative error of 1e-3.

    A is Gaussian, (δ·columns) × columns; ρ·δ·columns entries of x are ±1 at random, all other ones zero.

    Args:
        delta: δ = rows/columns, from above 0 to 1.
        rho: ρ = non-zeros/rows, from 0 to 1; below 0 it counts as 0.
        columns: number of unknowns.
        trials: number of problems.
        generator: the source of randomness.
    """
    expect.count("the number of columns", columns)
    expect.count("the number of trials", trials)
    expect.generator(generator)
    rows = max(1, round(expect.number("delta", delta, above=0, most=1) * columns))
    nonzero = max(0, round(expect.number("rho", rho, most=1) * rows))
    matrix = torch.randn(trials, rows, columns, generator=generator, dtype=torch.float64)
    sign = torch.randint(0, 2, (trials, columns), generator=generator).double() * 2 - 1
    place = torch.rand(trials, columns, generator=generator).argsort(dim=1).argsort(dim=1)
    x = sign * (place < nonzero)
    found = basis_pursuit(matrix, (matrix @ x[..., None])[..., 0])
    error = torch.linalg.vector_norm(found - x, dim=1) / torch.linalg.vector_norm(x, dim=1).clamp(min=1)
    return float((error < EXACT).double().mean())
