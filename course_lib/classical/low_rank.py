"""Low rank plus sparse: a film as a background that hardly changes and what moves in it (deck 002's GRASP films)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex

from course_lib import expect
from course_lib.classical.proximal import as_fidelity
from course_lib.classical.regularizers import NuclearNorm, soft_threshold
from course_lib.classical.solution import Monitor, Solution, relative_change
from course_lib.physics import LinearOperator


@dataclass(frozen=True)
class LowRankPlusSparse(Solution):
    """A `Solution` with x = background + movement.

    Attributes:
        background: the part of low rank, L.
        movement: the part that is sparse in temporal frequency, S.
    """

    background: torch.Tensor
    movement: torch.Tensor


def low_rank_plus_sparse(
    A: LinearOperator,
    y: Complex[torch.Tensor, "frames ..."],
    rank_weight: float,
    sparse_weight: float,
    *,
    iterations: int = 200,
    tolerance: float = 1e-4,
) -> LowRankPlusSparse:
    """Minimise ½‖A(L + S) − y‖² + λ_L‖L‖_* + λ_S‖T S‖₁ by proximal gradient steps (Otazo, Candès, Sodickson 2015).

    ‖L‖_* is the sum of singular values of L written as frames × pixels; T is the orthonormal Fourier transform in
    time, in which what repeats is sparse. The step is 1/2, since L + S doubles the Lipschitz constant.

    Args:
        A: the forward operator, with a mask for each frame: masks (frames, 1, height, width).
        y: k-space (frames, 1, height, width).
        rank_weight: λ_L ≥ 0.
        sparse_weight: λ_S ≥ 0.
        iterations: the most iterations.
        tolerance: on the relative change of L + S.
    """
    D = as_fidelity(A, y)
    nuclear = NuclearNorm(rank_weight)
    sparse_weight = expect.number("the weight of the sparse part", sparse_weight, least=0)
    if len(y) < 2:
        raise expect.InputError(f"expected a film of at least 2 frames, got {len(y)}")
    step = 1 / (2 * A.norm() ** 2)
    L = A.adjoint(y)  # what stands still begins where it belongs; the objective is convex, but its last steps are slow
    S = torch.zeros_like(L)
    monitor = Monitor("low rank plus sparse", "relative change", iterations, tolerance)
    prediction = A(L + S)
    monitor.start(D.value(prediction) + nuclear.value(L))
    for _ in range(iterations):
        previous = L + S
        gradient = A.adjoint(D.gradient(prediction))
        L, rank_penalty = nuclear.prox_and_value(L - step * gradient, step)
        in_time = torch.fft.fft(S - step * gradient, dim=0, norm="ortho")
        in_time = soft_threshold(in_time, step * sparse_weight)
        S = torch.fft.ifft(in_time, dim=0, norm="ortho")
        prediction = A(L + S)
        objective = D.value(prediction) + rank_penalty + sparse_weight * float(in_time.abs().sum())
        if monitor.record(objective, relative_change(L + S, previous)):
            break
    found = monitor.solution(L + S)
    return LowRankPlusSparse(found.x, found.objective, found.converged, found.stopped_by, background=L, movement=S)
