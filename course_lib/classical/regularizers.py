"""Regularisers: what is known about images, as a function with a proximal operator.

prox_{ηR}(v) = argmin_x ½‖x − v‖² + η R(x). Every `prox` takes v and the step η; `prox_and_value` gives R there too,
which costs a solver less than asking for it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Inexact

from course_lib import expect
from course_lib.classical.solution import squares
from course_lib.physics import LinearOperator


def soft_threshold(z: Inexact[torch.Tensor, "*shape"], threshold: float) -> Inexact[torch.Tensor, "*shape"]:
    """Shrink every magnitude by the threshold, not below 0, and keep sign or phase: prox of threshold·‖·‖₁.

    Args:
        z: real or complex, any shape.
        threshold: at least 0, in the units of z.
    """
    threshold = expect.number("the threshold", threshold, least=0)
    tiny = torch.finfo(z.dtype).tiny  # for 0/0, and so that the derivative at 0 is a number
    magnitude = squares(z).clamp(min=tiny).sqrt() if z.is_complex() else z.abs().clamp(min=tiny)
    return z * ((magnitude - threshold).clamp(min=0) / magnitude)


class Regularizer(ABC):
    """What a proximal method needs to know of R: its value, and its proximal operator."""

    @abstractmethod
    def value(self, x: torch.Tensor) -> float:
        """R(x)."""

    @abstractmethod
    def prox_and_value(self, v: torch.Tensor, step: float) -> tuple[torch.Tensor, float]:
        """x = prox_{ηR}(v) for the step η, and R(x)."""

    def prox(self, v: torch.Tensor, step: float) -> torch.Tensor:
        """prox_{ηR}(v) alone."""
        return self.prox_and_value(v, step)[0]


class NoRegularizer(Regularizer):
    """R(x) = 0."""

    def value(self, x: torch.Tensor) -> float:
        return 0.0

    def prox_and_value(self, v: torch.Tensor, step: float) -> tuple[torch.Tensor, float]:
        return v, 0.0


class NonNegative(Regularizer):
    """R(x) = 0 if every pixel is at least 0, else infinite: the prior knowledge f > 0 of deck 004."""

    def value(self, x: torch.Tensor) -> float:
        return float("inf") if (self._real(x) < 0).any() else 0.0

    def prox_and_value(self, v: torch.Tensor, step: float) -> tuple[torch.Tensor, float]:
        return self._real(v).clamp(min=0), 0.0

    def _real(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_complex():
            raise expect.InputError(f"NonNegative: expected real images, got {expect.describe(x)}")
        return x


class L1(Regularizer):
    """R(x) = λ‖W x‖₁ with an orthonormal W, such as `OrthogonalWavelet`; without W, λ‖x‖₁.

    The proximal operator is Wᴴ soft(W v, ηλ): soft thresholding of the coefficients.

    Args:
        weight: λ ≥ 0.
        transform: W, orthonormal.

    Raises:
        InputError: a negative weight, or a W that is not orthonormal: `Analysis` and `primal_dual` are for those.
    """

    def __init__(self, weight: float, transform: LinearOperator | None = None) -> None:
        self.weight = expect.number("the weight lambda", weight, least=0)
        if transform is not None:
            _check_orthonormal(transform)
        self.transform = transform

    def coefficients(self, x: torch.Tensor) -> torch.Tensor:
        """W x."""
        return x if self.transform is None else self.transform(x)

    def value(self, x: torch.Tensor) -> float:
        return self.weight * float(squares(self.coefficients(x)).sqrt().sum())

    def prox_and_value(self, v: torch.Tensor, step: float) -> tuple[torch.Tensor, float]:
        shrunk = soft_threshold(self.coefficients(v), step * self.weight)
        value = self.weight * float(squares(shrunk).sqrt().sum())
        return shrunk if self.transform is None else self.transform.adjoint(shrunk), value


def _check_orthonormal(W: LinearOperator) -> None:
    """Raise unless W is an operator that says so."""
    if not isinstance(W, LinearOperator):
        raise expect.InputError(f"expected the transform as a LinearOperator, got {expect.describe(W)}")
    if not W.orthonormal:
        raise expect.InputError(
            f"expected an orthonormal transform, got {type(W).__name__}: minimise with `Analysis` and `primal_dual`"
        )


class NuclearNorm(Regularizer):
    """R(X) = λ·(sum of singular values) of the matrix whose rows are the frames of a film (frames, ...).

    Args:
        weight: λ ≥ 0.
    """

    def __init__(self, weight: float) -> None:
        self.weight = expect.number("the weight lambda", weight, least=0)

    def value(self, x: torch.Tensor) -> float:
        return self.weight * float(torch.linalg.svdvals(x.flatten(1)).sum())

    def prox_and_value(self, v: torch.Tensor, step: float) -> tuple[torch.Tensor, float]:
        """Soft thresholding of the singular values."""
        left, values, right = torch.linalg.svd(v.flatten(1), full_matrices=False)
        kept = soft_threshold(values, step * self.weight)
        return ((left * kept) @ right).reshape(v.shape), self.weight * float(kept.sum())
