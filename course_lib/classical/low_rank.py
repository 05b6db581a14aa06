"""Low rank plus sparse: a film as a background that hardly changes and what moves in it (deck 002's GRASP films)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex

from course_lib import expect
from course_lib.classical.proximal import as_fidelity, fista
from course_lib.classical.regularizers import L1, NuclearNorm, Regularizer
from course_lib.classical.solution import Solution
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


class TemporalFourier(LinearOperator):
    """T: the orthonormal Fourier transform along the first dimension, the frames. What repeats is sparse in it."""

    complex_domain = complex_range = orthonormal = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape, shape)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft(x, dim=-len(self.domain_shape), norm="ortho")

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return torch.fft.ifft(y, dim=-len(self.domain_shape), norm="ortho")


class _OfTheSum(LinearOperator):
    """(L, S) ↦ A(L + S), with both stacked in the first dimension. Its norm is √2 times that of A."""

    complex_domain = complex_range = True

    def __init__(self, A: LinearOperator) -> None:
        super().__init__(A.domain_shape, A.range_shape)
        self.A = A

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.A(x[0] + x[1])

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        image = self.A.adjoint(y)
        return torch.stack([image, image])

    def norm(self, iterations: int = 100, tolerance: float = 1e-6) -> float:
        return 2**0.5 * self.A.norm()


class _RankAndSparsity(Regularizer):
    """R(L, S) = λ_L‖L‖_* + λ_S‖T S‖₁: each part has a proximal operator of its own."""

    def __init__(self, rank_weight: float, sparse_weight: float, shape: tuple[int, ...]) -> None:
        self.of_background = NuclearNorm(rank_weight)
        self.of_movement = L1(sparse_weight, TemporalFourier(shape))

    def value(self, x: torch.Tensor) -> float:
        return self.of_background.value(x[0]) + self.of_movement.value(x[1])

    def prox_and_value(self, v: torch.Tensor, step: float) -> tuple[torch.Tensor, float]:
        background, rank = self.of_background.prox_and_value(v[0], step)
        movement, sparsity = self.of_movement.prox_and_value(v[1], step)
        return torch.stack([background, movement]), rank + sparsity


def low_rank_plus_sparse(
    A: LinearOperator,
    y: Complex[torch.Tensor, "frames ..."],
    rank_weight: float,
    sparse_weight: float,
    *,
    iterations: int = 300,
    tolerance: float = 1e-4,
) -> LowRankPlusSparse:
    """Minimise ½‖A(L + S) − y‖² + λ_L‖L‖_* + λ_S‖T S‖₁, by `fista` (Otazo, Candès and Sodickson 2015).

    ‖L‖_* is the sum of singular values of L written as frames × pixels; T is the Fourier transform in time.

    Args:
        A: the forward operator, with a mask for each frame: masks (frames, 1, height, width).
        y: k-space (frames, 1, height, width).
        rank_weight: λ_L ≥ 0.
        sparse_weight: λ_S ≥ 0.
        iterations: the most iterations.
        tolerance: on the relative change of L and S.
    """
    y = as_fidelity(A, y).y
    if y.ndim <= len(A.range_shape) or len(y) < 2:
        raise expect.InputError(f"expected a film of at least 2 frames, got {expect.describe(y)}")
    image = A.adjoint(y)
    regularizer = _RankAndSparsity(rank_weight, sparse_weight, tuple(image.shape))
    start = torch.stack([image, torch.zeros_like(image)])  # what stands still begins where it belongs
    found = fista(_OfTheSum(A), y, regularizer, iterations=iterations, tolerance=tolerance, start=start)
    background, movement = found.x
    return LowRankPlusSparse(
        background + movement, found.objective, found.converged, found.stopped_by, background, movement
    )
