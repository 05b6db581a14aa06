"""The data-consistency layer: a network's image, corrected by what the scanner has measured.

From an image x and measurements y the layer makes the image nearest to both (Schlemper et al. 2017; deck 001):

    argmin_v  ½‖v − x‖² + ½λ‖A v − y‖²     with   A = M F

F is unitary, so the problem falls apart into one for each sample of k-space, and each has a closed form. With
s = F x and y the measured k-space, zero elsewhere, the k-space of the output is

    s                      where nothing was measured,
    (s + λ y)/(1 + λ)      where y was measured; y itself for λ = ∞, data without noise.

The first line is easy to lose: (s + λ y)/(1 + λ) everywhere would shrink all that the network has filled in.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from jaxtyping import Bool, Complex, Float
from torch import nn

from course_lib import expect
from course_lib.physics import CoilSampling, LinearOperator, fourier, inverse_fourier
from course_lib.physics.mri import checked_mask

Image = Complex[torch.Tensor, "batch 1 height width"]
Kspace = Complex[torch.Tensor, "batch 1 height width"]
Mask = Bool[torch.Tensor, "#batch 1 height width"]

_PLANE = (-2, -1)
_TINY = 1e-30  # in place of 0 in a denominator: an image of zeros is solved by zeros


# ── The layer by hand, as on the slides ────────────────────────────────────────────────────────────────────────────


def data_consistency(x: Image, y: Kspace, mask: Mask, weight: float) -> Image:
    """f(x, y; λ) = Fᴴ Λ F x + λ/(1 + λ) Fᴴ M y, with Λ = 1/(1 + λ) on measured samples and 1 on the others.

    Args:
        x: the network's image.
        y: measured k-space, centred; what stands where the mask is false is not used.
        mask: True where k-space is measured.
        weight: λ ≥ 0; infinity for data without noise.
    """
    kept = _share_of_network(weight)
    return data_consistency_adjoint(x, mask, weight) + (1 - kept) * inverse_fourier(mask * y)


def data_consistency_adjoint(gradient: Image, mask: Mask, weight: float) -> Image:
    """∂f/∂x = Fᴴ Λ F, applied: it is self-adjoint, so it is its own backward pass. Eigenvalues 1 and 1/(1 + λ)."""
    Lambda = 1 - (1 - _share_of_network(weight)) * mask.to(gradient.real.dtype)
    return inverse_fourier(Lambda * fourier(gradient))


def data_consistency_weight_derivative(x: Image, y: Kspace, mask: Mask, weight: float) -> Image:
    """∂f/∂λ = Fᴴ M (y − F x)/(1 + λ)²: how the output moves with λ; no sample outside the mask does."""
    return inverse_fourier(mask * (y - fourier(x))) * _share_of_network(weight) ** 2


def _share_of_network(weight: float) -> float:
    """1/(1 + λ): how much of the network's own value a measured sample keeps."""
    return 1 / (1 + checked_weight(weight))


def checked_weight(weight: object) -> float:
    """λ as a float, if it is a number from 0 to infinity."""
    if isinstance(weight, float) and weight == math.inf:
        return weight
    return expect.number("the weight lambda", weight, least=0)


# ── The layer in a network ─────────────────────────────────────────────────────────────────────────────────────────


class Weight(nn.Module):
    """λ: fixed, or learned as λ = exp(θ), which is positive whatever θ the optimiser comes to.

    Args:
        value: λ at the start; above 0 where it is learned. Infinity stands for data without noise.
        learned: whether θ is a parameter.
    """

    def __init__(self, value: float = math.inf, *, learned: bool = False) -> None:
        super().__init__()
        self.fixed = checked_weight(value)
        if learned and not 0 < self.fixed < math.inf:
            raise expect.InputError(f"expected a finite weight lambda above 0 to learn from, got {value:g}")
        self.theta = nn.Parameter(torch.tensor(self.fixed).log()) if learned else None

    def forward(self) -> float | Float[torch.Tensor, ""]:
        return self.fixed if self.theta is None else self.theta.exp()

    def trust(self) -> float | Float[torch.Tensor, ""]:
        """λ/(1 + λ): the measured value's share, 1 for λ = ∞."""
        return 1 - 1 / (1 + self.fixed) if self.theta is None else self.theta.sigmoid()

    def extra_repr(self) -> str:
        return f"lambda={float(self()):.3g}"


class DataConsistency(nn.Module):
    """The layer for one coil; see the module's text for the problem that it solves.

    Args:
        weight: λ, from 0 to infinity (noiseless: measured samples are put back as they are).
        learned: whether λ is learned, from `weight`; see `Weight`.
    """

    def __init__(self, weight: float = math.inf, *, learned: bool = False) -> None:
        super().__init__()
        self.weight = Weight(weight, learned=learned)

    def forward(self, x: Image, y: Kspace, mask: Mask) -> Image:
        """The consistent image.

        Args:
            x: the network's image.
            y: measured k-space, centred.
            mask: True where k-space is measured, one for each image or one for all.

        Raises:
            InputError: shapes that differ, k-space that is not complex, a mask without a sample.
        """
        check_measurements(y, mask)
        expect.same_shape("the image", x, "k-space", y)
        return self.correct(x, *in_dft_order(y, mask))

    def correct(self, x: Image, s0: Kspace, measured: Mask) -> Image:
        """The same from `in_dft_order(y, mask)`, which a cascade needs only once for all of its layers."""
        s = torch.fft.fft2(x, norm="ortho")
        trust = self.weight.trust()
        if isinstance(trust, float) and trust == 1:
            return torch.fft.ifft2(torch.where(measured, s0, s), norm="ortho")
        Lambda = 1 - trust * measured.to(s.real.dtype)
        return torch.fft.ifft2(Lambda * s + trust * s0, norm="ortho")


def in_dft_order(y: Kspace, mask: Mask) -> tuple[Kspace, Mask]:
    """Measured k-space and mask as torch.fft orders them for an image whose centre is its middle pixel.

    With these the layer needs none of the four shifts of a centred transform.

    Returns:
        s0, zero where nothing was measured, whose ifft2 is the zero-filled image; and the mask.
    """
    s0 = _phase_of_centre(*y.shape[-2:], y.dtype, y.device) * torch.fft.ifftshift(mask * y, dim=_PLANE)
    return s0, torch.fft.ifftshift(mask, dim=_PLANE)


@cache
def _phase_of_centre(height: int, width: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """DFT(x) over ifftshift(F x): by the shift theorem exp(−2πi·c·k/n) in both directions, c = n//2 the centre."""
    phases = [
        torch.exp(-2j * torch.pi * (side // 2) * torch.arange(side, dtype=torch.float64) / side)
        for side in (height, width)
    ]
    return torch.outer(*phases).to(device, dtype)


def check_measurements(y: object, mask: object) -> None:
    """Raise unless y is k-space (batch, 1, height, width) and comes with a mask that fits it."""
    if mask is None:
        raise expect.InputError(f"expected k-space together with its mask, got {expect.describe(y)} and no mask")
    if not isinstance(y, torch.Tensor) or y.ndim != 4 or y.shape[1] != 1 or not y.is_complex():
        raise expect.InputError(f"expected k-space as complex (batch, 1, height, width), got {expect.describe(y)}")
    checked_mask(mask)
    if mask.ndim != 4 or mask.shape[1:] != y.shape[1:] or mask.shape[0] not in (1, len(y)):
        raise expect.InputError(f"expected a mask of k-space's shape {tuple(y.shape)}, got {expect.describe(mask)}")


class CoilDataConsistency(nn.Module):
    """The layer for several coils: A = (M F Sᵢ)ᵢ, whose AᴴA has no closed form to invert.

    (I + λAᴴA) v = x + λAᴴy is solved by conjugate gradients. The backward pass solves the same system once more
    instead of keeping the iterations: what the solver did to get there does not matter at the solution.

    Args:
        weight: λ, finite and from 0.
        learned: whether λ is learned; see `Weight`.
        iterations: the most iterations of a solve.
        tolerance: on the relative residual.
    """

    def __init__(
        self, weight: float = 1.0, *, learned: bool = False, iterations: int = 100, tolerance: float = 1e-6
    ) -> None:
        super().__init__()
        self.weight = Weight(expect.number("the weight lambda", weight, least=0), learned=learned)
        self.iterations = expect.count("the iterations", iterations)
        self.tolerance = expect.number("the tolerance", tolerance, above=0)

    def forward(self, x: Image, y: Complex[torch.Tensor, "batch 1 coils height width"], A: CoilSampling) -> Image:
        """The consistent image, for measurements y of the coils that `A` describes."""
        weight = self.weight()
        fixed = weight.detach() if isinstance(weight, torch.Tensor) else weight

        def solve(right: torch.Tensor) -> torch.Tensor:
            return solve_consistency(A, right, fixed, iterations=self.iterations, tolerance=self.tolerance)

        measured = A.adjoint(y)
        expect.same_shape("the image", x, "the adjoint of k-space", measured)
        right = x + weight * measured
        v = solve(right.detach())
        # at the solution the residual r is 0, and v + N⁻¹r has the derivatives of v: the implicit function theorem
        residual = right - (v + weight * A.normal(v))
        return v + _InverseOfNothing.apply(residual, solve)


class _InverseOfNothing(torch.autograd.Function):
    """N⁻¹r for r = 0; backwards N⁻¹g, for N is self-adjoint."""

    @staticmethod
    def forward(ctx, residual, solve):
        ctx.solve = solve
        return torch.zeros_like(residual)

    @staticmethod
    def backward(ctx, gradient):
        return ctx.solve(gradient), None


@torch.no_grad()
def solve_consistency(
    A: LinearOperator, right: Image, weight: float | torch.Tensor, *, iterations: int = 100, tolerance: float = 1e-6
) -> Image:
    """v with (I + λAᴴA) v = right, by conjugate gradients (Hestenes and Stiefel 1952), each image with its own steps.

    With ‖A‖ ≤ 1 the system's condition number is at most 1 + λ: some 20 iterations at λ = 10, and 60 at λ = 100.

    Args:
        A: the forward operator.
        right: the right-hand side.
        weight: λ, finite and from 0.
        iterations: the most iterations.
        tolerance: on the largest relative residual of an image.
    """
    v, residual, direction = torch.zeros_like(right), right, right
    energy = start = _energies(right)
    for _ in range(iterations):
        if (energy <= tolerance**2 * start).all():
            break
        image = direction + weight * A.normal(direction)
        length = energy / (direction.conj() * image).real.sum(dim=(1, 2, 3), keepdim=True).clamp(min=_TINY)
        v = v + length * direction
        residual = residual - length * image
        energy, previous = _energies(residual), energy
        direction = residual + energy / previous.clamp(min=_TINY) * direction
    return v


def _energies(x: Image) -> torch.Tensor:
    """‖x‖² of each image, (batch, 1, 1, 1)."""
    return x.abs().square().sum(dim=(1, 2, 3), keepdim=True)
