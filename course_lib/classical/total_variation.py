"""Regularisers that see an image through a transform that is not orthonormal, and the method that minimises them."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Inexact

from course_lib import expect
from course_lib.classical.fidelity import Fidelity
from course_lib.classical.proximal import as_fidelity, lipschitz
from course_lib.classical.regularizers import NonNegative, NoRegularizer
from course_lib.classical.solution import Monitor, Solution, norm, relative_change, squares
from course_lib.physics import FiniteDifferences, LinearOperator


def total_variation(images: Inexact[torch.Tensor, "*batch height width"]) -> Float[torch.Tensor, "*batch"]:
    """Isotropic total variation: Σ √(|row difference|² + |column difference|²) over the pixels of each image.

    There is no difference behind the last row and column. (Rudin, Osher and Fatemi 1992)
    """
    expect.tensor("images", images)
    differences = FiniteDifferences(tuple(images.shape[-2:]))(images)
    return torch.linalg.vector_norm(differences, dim=-3).sum(dim=(-2, -1))


class Analysis:
    """R(x) = Σ wᵢ‖(K x)ᵢ‖, for a linear K: total variation, or the ℓ1 norm of a redundant transform.

    Args:
        K: the transform.
        weight: λ ≥ 0, or a weight for each coefficient, of a shape that broadcasts to K x.
        grouped: dimension of K x whose entries count as one vector: −3 for isotropic total variation. None: each
            entry counts alone.
    """

    def __init__(self, K: LinearOperator, weight: float | torch.Tensor, grouped: int | None = None) -> None:
        self.K, self.grouped = K, grouped
        given = isinstance(weight, torch.Tensor)
        self.weight = weight if given else expect.number("the weight lambda", weight, least=0)
        if given and (expect.tensor("the weights lambda", weight) < 0).any():
            raise expect.InputError(f"expected weights lambda of at least 0, got {float(weight.min()):g}")

    def _sizes_and_weights(self, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        energies = squares(u) if self.grouped is None else squares(u).sum(dim=self.grouped, keepdim=True)
        sizes = energies.clamp(min=torch.finfo(energies.dtype).tiny).sqrt()  # the root has no derivative at 0
        return sizes, torch.as_tensor(self.weight, dtype=sizes.dtype, device=sizes.device)

    def value(self, Kx: torch.Tensor) -> float:
        sizes, weights = self._sizes_and_weights(Kx)
        return float((weights * sizes).sum())

    def project(self, u: torch.Tensor) -> torch.Tensor:
        """The nearest u with every ‖uᵢ‖ ≤ wᵢ: the proximal operator of R's conjugate."""
        sizes, weights = self._sizes_and_weights(u)
        return u * (weights / torch.maximum(sizes, weights).clamp(min=torch.finfo(sizes.dtype).tiny))


def primal_dual(
    A: LinearOperator,
    data: Inexact[torch.Tensor, "..."] | Fidelity,
    regularizer: Analysis,
    *,
    constraint: NoRegularizer | NonNegative | None = None,
    iterations: int = 500,
    tolerance: float = 1e-3,
    start: Inexact[torch.Tensor, "..."] | None = None,
    balance: float = 1.0,
) -> Solution:
    """Minimise D(A x) + R(K x) + G(x) with a variable u for each coefficient of K (Condat 2013, Vũ 2013).

        x⁺ = prox_{τG}(x − τ (Aᴴ∇D(A x) + Kᴴu)),     u⁺ = project(u + ς K(2x⁺ − x))

    with 1/τ = L/2 + ς‖K‖². Only the operators and their adjoints are used, no inverse. While x and u move at unlike
    speeds, ς is changed for the slower one's good, each time by less (Goldstein, Li and Yuan 2015).

    Args:
        A: the forward operator.
        data: y, or a fidelity.
        regularizer: R and K.
        constraint: G, such as `NonNegative()`.
        iterations: the most iterations.
        tolerance: on ‖x_k − x_{k−1}‖/‖x_k‖ and the same of u.
        start: x₀; Aᴴy/‖A‖² when not given.
        balance: ς‖K‖² over L/2 at the start. It changes the speed, not the answer.
    """
    D, G, K = as_fidelity(A, data), constraint or NoRegularizer(), regularizer.K
    L, K_norm = lipschitz(A, D), K.norm()
    balance, adaptation = expect.number("the balance", balance, above=0), 0.5
    monitor = Monitor("primal-dual", "relative change of x and u", iterations, tolerance)
    x = A.adjoint(D.y) * (D.curvature / L) if start is None else start
    x = G.prox(x, 1 / L)
    Ax, Kx = A(x), K(x)
    u = torch.zeros_like(Kx)
    monitor.start(D.value(Ax) + regularizer.value(Kx) + G.value(x))
    for _ in range(iterations):
        dual_step, step = balance * L / 2 / K_norm**2, 1 / (L / 2 + balance * L / 2)
        previous, K_previous, u_previous = x, Kx, u
        x = G.prox(x - step * (A.adjoint(D.gradient(Ax)) + K.adjoint(u)), step)
        Ax, Kx = A(x), K(x)
        u = regularizer.project(u + dual_step * (2 * Kx - K_previous))
        change = max(relative_change(x, previous), relative_change(u, u_previous))
        if monitor.record(D.value(Ax) + regularizer.value(Kx) + G.value(x), change):
            break
        primal, dual = norm(x - previous) / (step * L), 3 * norm(u - u_previous) / (dual_step * K_norm)  # 3: by trial
        if max(primal, dual) > 2 * min(primal, dual):
            balance *= 1 + adaptation if dual > primal else 1 / (1 + adaptation)
            adaptation *= 0.95
    return monitor.solution(x)


def tv_reconstruction(
    A: LinearOperator,
    data: Inexact[torch.Tensor, "..."] | Fidelity,
    weight: float,
    *,
    constraint: NoRegularizer | NonNegative | None = None,
    isotropic: bool = True,
    boundary: Literal["reflect", "periodic"] = "reflect",
    iterations: int = 500,
    tolerance: float = 1e-3,
    balance: float = 1.0,
) -> Solution:
    """Minimise D(A x) + λ·TV(x), by `primal_dual`.

    Args:
        A: the forward operator, on images (height, width).
        data: y with Gaussian noise (then D is ½‖A x − y‖²), or a fidelity.
        weight: λ ≥ 0.
        constraint: such as `NonNegative()`.
        isotropic: √(dx² + dy²) in every pixel; else |dx| + |dy|.
        boundary: of the differences.
        iterations, tolerance, balance: see `primal_dual`.
    """
    regularizer = Analysis(FiniteDifferences(A.domain_shape, boundary), weight, -3 if isotropic else None)
    return primal_dual(
        A, data, regularizer, constraint=constraint, iterations=iterations, tolerance=tolerance, balance=balance
    )
