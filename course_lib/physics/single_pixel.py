"""The single-pixel camera: one detector behind a mirror that shows a sequence of patterns (Duarte et al. 2008).

The patterns are 2-D Walsh functions, products of a row and a column of the Hadamard matrix in order of sequency
(number of sign changes), which plays the part of frequency.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float

from course_lib import expect
from course_lib.physics.masks import largest, weighted_draw
from course_lib.physics.operators import LinearOperator


def walsh_matrix(size: int) -> Float[torch.Tensor, "size size"]:
    """The orthonormal Hadamard matrix with row i changing its sign i times; symmetric and its own inverse.

    Args:
        size: a power of two.
    """
    expect.image_size(size)
    if size & (size - 1):
        raise expect.InputError(f"expected the side of Hadamard patterns as a power of two, got {size}")
    from scipy.linalg import hadamard

    natural = torch.from_numpy(hadamard(size)).double()
    sequency = (natural.diff(dim=1) != 0).sum(dim=1)
    return natural[sequency.argsort()] / size**0.5


class HadamardSampling(LinearOperator):
    """A x = the inner products of x with chosen orthonormal Walsh patterns; A Aᵀ is the identity.

    Args:
        mask: (size, size), True for the patterns shown; row and column are the sequencies, zero first.
    """

    def __init__(self, mask: Bool[torch.Tensor, "size size"]) -> None:
        self.mask = _square_mask(mask)
        super().__init__(tuple(mask.shape), (int(mask.sum()),))
        self._walsh = walsh_matrix(mask.shape[0])

    def _transform(self, x: torch.Tensor) -> torch.Tensor:
        walsh = self._walsh.to(x.device, x.dtype)
        return walsh @ x @ walsh

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._transform(x)[..., self.mask.to(x.device)]

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        coefficients = y.new_zeros(*y.shape[:-1], *self.domain_shape)
        coefficients[..., self.mask.to(y.device)] = y
        return self._transform(coefficients)

    def norm(self, iterations: int = 0, tolerance: float = 0.0) -> float:
        """1, exactly: the patterns are orthonormal."""
        return 1.0


class SplitHadamardSampling(LinearOperator):
    """What the detector sees: a mirror cannot show −1, so each pattern is shown as two, (1 + P)/2 and (1 − P)/2.

    P holds ±1. A x has shape (..., 2, patterns), light that is never negative for an image that is not; the sum
    of each pair is all the light of the image, and `difference` gives back the Walsh coefficients.

    Args:
        mask: as in `HadamardSampling`.
    """

    def __init__(self, mask: Bool[torch.Tensor, "size size"]) -> None:
        self.unsplit = HadamardSampling(mask)
        super().__init__(self.unsplit.domain_shape, (2, *self.unsplit.range_shape))

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        signed = self.domain_shape[0] * self.unsplit.forward(x)  # P x with entries ±1
        light = x.sum(dim=(-2, -1))[..., None]
        return torch.stack([light + signed, light - signed], dim=-2) / 2

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        spread = y.sum(dim=(-2, -1))[..., None, None] / 2
        return spread + self.domain_shape[0] / 2 * self.unsplit.adjoint(y[..., 0, :] - y[..., 1, :])

    def difference(self, y: torch.Tensor) -> torch.Tensor:
        """The measurements of `HadamardSampling`, from pairs (..., 2, patterns)."""
        y = self.checked_measurements(y, "difference")
        return (y[..., 0, :] - y[..., 1, :]) / self.domain_shape[0]


def sequency_mask(
    size: int, patterns: int, generator: torch.Generator | None = None, *, power: float = 3.0
) -> Bool[torch.Tensor, "size size"]:
    """Which Walsh patterns to show: the lowest sequencies, or a random draw that prefers them.

    Args:
        size: side of the image, a power of two.
        patterns: number of patterns, from 1 to size².
        generator: for a random draw, with a density (1 + row + column)^(−power); without it the patterns with the
            smallest sum of row and column are taken.
        power: how steeply the density falls, at least 0.
    """
    expect.count("the number of patterns", patterns)
    if patterns > expect.image_size(size) ** 2:
        raise expect.InputError(f"expected at most {size**2} patterns of {size}×{size} pixels, got {patterns}")
    sequency = torch.arange(size, dtype=torch.float64)
    total = 1 + sequency[:, None] + sequency[None, :]
    if generator is None:
        score = -total - (sequency[:, None] - sequency[None, :]).abs() / (4 * size)  # ties: the squarer pattern first
    else:
        expect.generator(generator)
        score = weighted_draw(-expect.number("the density's power", power, least=0) * total.log(), generator)
    return largest(score, patterns)


def _square_mask(mask: object) -> torch.Tensor:
    if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool or mask.ndim != 2 or len(set(mask.shape)) != 1:
        raise expect.InputError(f"expected a mask (size, size) of dtype bool, got {expect.describe(mask)}")
    if not mask.any():
        raise expect.InputError(f"expected a mask with at least one pattern, got none in {expect.describe(mask)}")
    return mask
