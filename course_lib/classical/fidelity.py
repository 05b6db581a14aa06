"""Data fidelity: how well predicted measurements A x fit the measured y (deck 004).

A fidelity is a function of the prediction p = A x. Its gradient for the image is Aᴴ applied to its gradient for p,
so a solver needs the operator once and the fidelity once.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Inexact

from course_lib import expect
from course_lib.classical.solution import norm, squares


class LeastSquares:
    """½ Σᵢ wᵢ |pᵢ − yᵢ|², for Gaussian noise; with weights wᵢ = 1/σᵢ² where the noise differs (deck 004's ‖·‖²_W).

    Args:
        y: measurements, real or complex.
        weights: w, at least 0, of a shape that broadcasts to y; 1 when not given.
    """

    def __init__(self, y: Inexact[torch.Tensor, "..."], weights: Float[torch.Tensor, "..."] | None = None) -> None:
        self.y = expect.tensor("the measurements", y)
        self.weights = weights
        if weights is not None:
            _weights(weights, y)

    @property
    def curvature(self) -> float:
        """The largest second derivative: the gradient for p has this Lipschitz constant."""
        return 1.0 if self.weights is None else float(self.weights.max())

    def value(self, prediction: torch.Tensor) -> float:
        residual = prediction - self.y
        return 0.5 * (norm(residual) ** 2 if self.weights is None else float((self.weights * squares(residual)).sum()))

    def gradient(self, prediction: torch.Tensor) -> torch.Tensor:
        residual = prediction - self.y
        return residual if self.weights is None else self.weights * residual


class KullbackLeibler:
    """Σᵢ pᵢ + b − yᵢ + yᵢ log(yᵢ / (pᵢ + b)), for photon counts y ~ Poisson(A x + b) (deck 004's KL).

    Below p = 0, where a step with momentum may look, it goes on along its tangent: convex, and with a gradient.

    Args:
        y: counts, real, at least 0.
        background: b, mean counts that come from elsewhere, above 0. It keeps the gradient's Lipschitz constant
            finite: max(y)/b².
    """

    def __init__(self, y: Float[torch.Tensor, "..."], background: float) -> None:
        self.y = expect.tensor("the counts", y)
        if y.is_complex() or (y < 0).any():
            raise expect.InputError(f"expected real counts of at least 0, got {expect.describe(y)} with other values")
        if not (y > 0).any():
            raise expect.InputError(f"expected at least one count, got none in {expect.describe(y)}")
        self.background = expect.number("the background", background, above=0)

    @property
    def curvature(self) -> float:
        """The largest second derivative, at p = 0."""
        return float(self.y.max()) / self.background**2

    def value(self, prediction: torch.Tensor) -> float:
        mean = prediction.clamp(min=0) + self.background
        divergence = mean - self.y + torch.xlogy(self.y, self.y / mean)
        return float((divergence + self.gradient(prediction) * prediction.clamp(max=0)).sum())

    def gradient(self, prediction: torch.Tensor) -> torch.Tensor:
        return 1 - self.y / (prediction.clamp(min=0) + self.background)


def _weights(weights: torch.Tensor, y: torch.Tensor) -> None:
    if expect.tensor("weights", weights).is_complex() or (weights < 0).any() or not (weights > 0).any():
        raise expect.InputError(
            f"expected real weights of at least 0, not all of them 0, got {expect.describe(weights)} with other values"
        )
    try:
        weights.expand(y.shape)
    except RuntimeError:
        raise expect.InputError(
            f"expected weights of a shape that broadcasts to {tuple(y.shape)}, got {tuple(weights.shape)}"
        ) from None


Fidelity = LeastSquares | KullbackLeibler
