"""Solvers with a linear answer: Tikhonov regularisation in closed form and by conjugate gradients; Kaczmarz."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Inexact

from course_lib import expect
from course_lib.classical.proximal import as_fidelity
from course_lib.classical.solution import Monitor, Solution, inner, norm
from course_lib.physics import LinearOperator


def tikhonov_closed_form(
    matrix: Inexact[torch.Tensor, "rows columns"],
    y: Inexact[torch.Tensor, " rows"],
    weight: float,
    form: Literal["primal", "dual"] = "dual",
) -> Inexact[torch.Tensor, " columns"]:
    """argmin_x ½‖A x − y‖² + ½λ‖x‖², by one solve (deck 004).

    dual: Aᴴ(AAᴴ + λI)⁻¹ y, a system as large as the measurements; primal: (AᴴA + λI)⁻¹ Aᴴ y, as large as the
    image. They are equal (the push-through identity); take the smaller one.

    Args:
        matrix: A, (rows, columns), real or complex.
        y: (rows,).
        weight: λ > 0.
        form: "dual" or "primal".
    """
    expect.tensor("matrix", matrix, dims=2, shape="(rows, columns)")
    expect.tensor("y", y, dims=1, shape="(rows,)")
    weight = expect.number("the weight lambda", weight, above=0)
    if form not in ("primal", "dual"):
        raise expect.InputError(f'expected the form as "primal" or "dual", got {form!r}')
    if len(y) != matrix.shape[0]:
        raise expect.InputError(f"expected y with {matrix.shape[0]} entries, one a row of A, got {len(y)}")
    dtype = torch.promote_types(matrix.dtype, y.dtype)
    matrix, y = matrix.to(dtype), y.to(dtype)
    rows, columns = matrix.shape
    if form == "dual":
        identity = torch.eye(rows, dtype=matrix.dtype, device=matrix.device)
        return matrix.mH @ torch.linalg.solve(matrix @ matrix.mH + weight * identity, y)
    identity = torch.eye(columns, dtype=matrix.dtype, device=matrix.device)
    return torch.linalg.solve(matrix.mH @ matrix + weight * identity, matrix.mH @ y)


def tikhonov(
    A: LinearOperator, y: Inexact[torch.Tensor, "..."], weight: float, *, iterations: int = 500, tolerance: float = 1e-5
) -> Solution:
    """argmin_x ½‖A x − y‖² + ½λ‖x‖² for any operator: (AᴴA + λI) x = Aᴴy by conjugate gradients.

    Where AAᴴ is the identity, as in single-coil MRI, the answer is Aᴴy/(1 + λ): the zero-filled image, rescaled.

    Args:
        A: the forward operator.
        y: measurements, (..., *range_shape).
        weight: λ ≥ 0; at 0 the least-squares solution of least norm is approached.
        iterations: the most iterations.
        tolerance: on ‖residual‖/‖Aᴴy‖ of the normal equations.
    """
    D = as_fidelity(A, y)
    weight = expect.number("the weight lambda", weight, least=0)

    def objective(x: torch.Tensor) -> float:
        return D.value(A(x)) + 0.5 * weight * float(x.abs().square().sum())

    return conjugate_gradients(
        lambda x: A.normal(x) + weight * x, A.adjoint(y), objective, iterations=iterations, tolerance=tolerance
    )


def conjugate_gradients(
    apply: Callable[[torch.Tensor], torch.Tensor],
    right: Inexact[torch.Tensor, "..."],
    objective: Callable[[torch.Tensor], float] | None = None,
    *,
    iterations: int = 500,
    tolerance: float = 1e-5,
) -> Solution:
    """Solve N x = b for a self-adjoint N with no negative eigenvalue (Hestenes and Stiefel 1952), from x = 0.

    Args:
        apply: x ↦ N x.
        right: b.
        objective: what to keep the history of; ½⟨x, N x⟩ − Re⟨b, x⟩ when not given.
        iterations: the most iterations.
        tolerance: on ‖b − N x‖/‖b‖.
    """
    x = torch.zeros_like(right)
    residual = direction = right
    energy = size = inner(right, right)
    monitor = Monitor("conjugate gradients", "relative residual", iterations, tolerance)
    value = objective or (lambda x: -0.5 * inner(x, right + residual))
    monitor.start(value(x))
    if size == 0:
        monitor.record(value(x), 0.0)
        return monitor.solution(x)
    exact = (8 * torch.finfo(right.dtype).eps) ** 2 * size  # below it the residual is rounding, and no direction
    for _ in range(iterations):
        image = apply(direction)
        curvature = inner(direction, image)
        if curvature <= 0:
            raise expect.InputError(
                f"conjugate gradients: expected no negative eigenvalue, got a direction of curvature {curvature:.1e}"
            )
        length = energy / curvature
        x = x + length * direction
        residual = residual - length * image
        energy, previous = inner(residual, residual), energy
        direction = residual + (energy / previous) * direction
        if monitor.record(value(x), (energy / size) ** 0.5) or energy <= exact:
            break
    return monitor.solution(x)


def kaczmarz(
    matrix: Inexact[torch.Tensor, "rows columns"],
    y: Inexact[torch.Tensor, " rows"],
    *,
    sweeps: int = 100,
    tolerance: float = 1e-6,
    start: Inexact[torch.Tensor, " columns"] | None = None,
    path: list[torch.Tensor] | None = None,
) -> Solution:
    """Project onto one equation after the other: x ← x + aᵢ* (yᵢ − aᵢ·x)/‖aᵢ‖² (Kaczmarz 1937; in CT: ART).

    For two lines that meet at an angle φ each sweep after the first brings x nearer to their crossing by cos²φ.
    For equations that contradict each other it circles instead, and does not converge.

    Args:
        matrix: A; no row may be zero.
        y: (rows,).
        sweeps: the most passes through all rows.
        tolerance: on ‖A x − y‖/‖y‖ after a sweep. The history holds ½‖A x − y‖².
        start: x₀; zero when not given.
        path: a list that gets x after each single projection, for a picture.
    """
    expect.tensor("matrix", matrix, dims=2, shape="(rows, columns)")
    expect.tensor("y", y, dims=1, shape="(rows,)")
    if len(y) != matrix.shape[0]:
        raise expect.InputError(f"expected y with {matrix.shape[0]} entries, one a row of A, got {len(y)}")
    dtype = torch.promote_types(matrix.dtype, y.dtype)
    matrix, y = matrix.to(dtype), y.to(dtype)
    energies = matrix.abs().square().sum(dim=1)
    if (energies == 0).any():
        raise expect.InputError("expected a matrix without zero rows: a zero row is no equation")
    x = y.new_zeros(matrix.shape[1]) if start is None else start
    scale = max(norm(y), torch.finfo(energies.dtype).tiny)
    monitor = Monitor("Kaczmarz", "relative residual", sweeps, tolerance)
    distance = norm(matrix @ x - y)
    monitor.start(0.5 * distance**2)
    for _ in range(sweeps):
        for row, value, energy in zip(matrix, y, energies, strict=True):
            x = x + row.conj() * (value - row @ x) / energy
            if path is not None:
                path.append(x)
        distance = norm(matrix @ x - y)
        if monitor.record(0.5 * distance**2, distance / scale):
            break
    return monitor.solution(x)
