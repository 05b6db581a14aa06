"""How well the frequencies of lines can be known at all, and the estimator that gets there.

The Cramér–Rao bound for several lines of unknown complex amplitudes in white Gaussian noise (Stoica and Nehorai 1989),
and nonlinear least squares from a starting point, which for such noise is maximum likelihood. With E(f) the matrix of
exponentials and P its orthogonal projection, both eliminate the amplitudes: what is left to explain is y − P y.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float

from course_lib import expect
from course_lib.classical.solution import squares
from course_lib.data.line_spectra import exponentials, wrap

DEPENDENT = 1e-9  # a line this near, relative to its length, to the span of the lines before it adds nothing
LONGEST_STEP = 0.25  # of 1/N: as far as a line moves in one step of `refine_lines`
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-12, 1e12
LEAST_STEP, LEAST_GAIN = 1e-12, 1e-11  # in cycles per sample, and of the misfit: at less a signal is done


def cramer_rao_bound(
    frequencies: Float[torch.Tensor, "batch lines"],
    amplitudes: Complex[torch.Tensor, "batch lines"],
    sigma: float | Float[torch.Tensor, " batch"],
    samples: int,
) -> Float[torch.Tensor, "batch lines"]:
    """The least standard deviation of each frequency that an unbiased estimator can have.

    The covariance of the frequencies is at least σ² [Re(Bᴴ (I − P) B)]⁻¹, where column j of B is the derivative of
    line j for its frequency, a_j 2πi n exp(2πi f_j n). For one line the bound on the variance is
    6·2σ²/((2π)² |a|² N (N² − 1)).

    Args:
        frequencies: in cycles per sample, (batch, lines), all different; NaN where there is no line.
        amplitudes: complex, of the same shape, not 0 where there is a line.
        sigma: σ ≥ 0 of the noise in each of the real and the imaginary part, one for all signals or one for each.
        samples: N; three real unknowns a line are at most the 2N real numbers measured.

    Returns:
        standard deviations in cycles per sample, (batch, lines); NaN where there is no line.

    Raises:
        InputError: shapes that differ, a line of amplitude 0, two lines of one frequency, too many lines for N.
    """
    present = _lines("frequencies", frequencies)
    expect.tensor("amplitudes", amplitudes, dims=2, shape="(batch, lines)")
    expect.same_shape("frequencies", frequencies, "amplitudes", amplitudes)
    expect.count("samples", samples, least=2)
    level = _levels(sigma, frequencies)
    if int(present.sum(dim=1).max()) * 3 > 2 * samples:
        raise expect.InputError(
            f"expected at most {2 * samples // 3} lines in {samples} samples (three real unknowns a line), got "
            f"{int(present.sum(dim=1).max())}"
        )
    if (missing := int((present & (amplitudes == 0)).sum())) > 0:
        raise expect.InputError(f"expected amplitudes other than 0 where there is a line, got {missing} of 0")
    f = frequencies.double()
    span = _orthonormal(f, samples)[0]
    if ((span.abs().amax(dim=1) == 0) & present).any():
        raise expect.InputError("expected frequencies that differ from each other, got two equal ones in a signal")
    B = _derivatives(f, samples) * amplitudes.to(torch.complex128)[:, None, :]
    B = _without(span, _without(span, B))  # the second time takes away what rounding has left
    # the square root of the Fisher information is more accurate than the information; an absent line has a row alone
    R = torch.linalg.qr(torch.cat([B.real, B.imag, torch.diag_embed((~present).double())], dim=1), mode="r").R
    inverse = torch.linalg.solve_triangular(R, torch.eye(R.shape[-1], dtype=R.dtype).expand_as(R), upper=True)
    deviation = level[:, None] * inverse.norm(dim=2)
    return torch.where(present, deviation, torch.nan).to(frequencies.dtype)


def line_amplitudes(
    signals: Complex[torch.Tensor, "batch samples"], frequencies: Float[torch.Tensor, "batch lines"]
) -> Complex[torch.Tensor, "batch lines"]:
    """The complex amplitudes that fit the signals best in least squares, given the frequencies; 0 for absent lines.

    Of two lines of one frequency the second gets amplitude 0.
    """
    present = _lines_of(signals, frequencies)
    span, R = _orthonormal(frequencies.double(), signals.shape[1])
    projected = span.mH @ signals.to(torch.complex128)[..., None]
    amplitudes = torch.linalg.solve_triangular(R, projected, upper=True)[..., 0]
    return torch.where(present, amplitudes, 0).to(signals.dtype)


def refine_lines(
    signals: Complex[torch.Tensor, "batch samples"],
    frequencies: Float[torch.Tensor, "batch lines"],
    *,
    iterations: int = 50,
) -> Float[torch.Tensor, "batch lines"]:
    """Nonlinear least squares, min_f ‖y − P(f) y‖², from a starting point: maximum likelihood for white noise.

    Gauss–Newton steps on the frequencies alone, with the amplitudes eliminated (variable projection, Golub and Pereyra
    1973, in Kaufman's form), damped as by Levenberg and Marquardt. A step is taken only where the fit gets better, so
    no signal ends with a worse one. It finds the nearest minimum: the start must be within about 1/(2N) of each line.

    Args:
        signals: y, complex (batch, samples), none of them 0.
        frequencies: where to start, (batch, lines), at most as many as samples; NaN where there is no line.
        iterations: the most steps.

    Returns:
        frequencies in [−1/2, 1/2), ascending, NaN at the end, computed in double precision and of the precision of
        `signals`.
    """
    present = _lines_of(signals, frequencies)
    expect.count("iterations", iterations)
    y, f = signals.to(torch.complex128), frequencies.double().clone()
    damping = torch.full((len(f),), FIRST_DAMPING, dtype=torch.float64)
    fit = _fit(y, f)
    active = torch.arange(len(f))
    for _ in range(iterations):
        step = _step(fit, damping[active])
        tried = _fit(fit.y, fit.f + step)
        better = tried.cost < fit.cost
        change = (tried.cost - fit.cost).abs() / fit.cost.clamp(min=torch.finfo(fit.cost.dtype).tiny)
        damping[active] = torch.where(better, damping[active] / 10, damping[active] * 10).clamp(min=LEAST_DAMPING)
        fit = _Fit(*(_where(better, new, old) for new, old in zip(tried, fit, strict=True)))
        f[active] = fit.f
        small = (step.nan_to_num().abs().amax(dim=1) < LEAST_STEP) | (change < LEAST_GAIN)
        go_on = ~(small | (damping[active] > MOST_DAMPING))
        active, fit = active[go_on], _Fit(*(value[go_on] for value in fit))
        if not len(active):
            break
    f = wrap(f.to(signals.real.dtype))  # in this order: 1/2 may come from rounding, too
    return torch.where(present, f, torch.nan).sort(dim=1).values


class _Fit(NamedTuple):
    """A batch of signals y, frequencies that are tried on them, E = Q R, Qᴴy, and what is left unexplained."""

    y: torch.Tensor
    f: torch.Tensor
    Q: torch.Tensor
    R: torch.Tensor
    projected: torch.Tensor
    residual: torch.Tensor
    cost: torch.Tensor


def _fit(y: torch.Tensor, f: torch.Tensor) -> _Fit:
    Q, R = _orthonormal(f, y.shape[1])
    projected = Q.mH @ y[..., None]
    residual = y - (Q @ projected)[..., 0]
    return _Fit(y, f, Q, R, projected, residual, squares(residual).sum(dim=1))


def _step(fit: _Fit, damping: torch.Tensor) -> torch.Tensor:
    """The damped Gauss–Newton step of the frequencies; NaN for absent lines."""
    samples = fit.y.shape[1]
    amplitudes = torch.linalg.solve_triangular(fit.R, fit.projected, upper=True)[..., 0]
    J = _without(fit.Q, _derivatives(fit.f, samples) * amplitudes[:, None, :])
    J, r = (torch.cat([x.real, x.imag], dim=1) for x in (J, fit.residual[..., None]))
    scale = J.norm(dim=1)
    scale = torch.where(scale > 0, scale, 1.0)  # an absent line, or one of amplitude 0, stays where it is
    J = J / scale[:, None, :]
    H = J.mT @ J + torch.diag_embed((damping + LEAST_DAMPING)[:, None].expand_as(fit.f))
    step = torch.linalg.solve(H, J.mT @ r)[..., 0] / scale
    longest = LONGEST_STEP / samples / step.abs().amax(dim=1, keepdim=True).clamp(min=1e-300)
    return torch.where(fit.f.isfinite(), step * longest.clamp(max=1.0), torch.nan)


def _where(which: torch.Tensor, yes: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
    return torch.where(which.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


def _derivatives(f: torch.Tensor, samples: int) -> torch.Tensor:
    """∂/∂f exp(2πi f n), (batch, samples, lines); time counts from the middle, which the projection does not see."""
    n = torch.arange(samples, dtype=f.dtype, device=f.device) - (samples - 1) / 2
    return 2j * math.pi * n[:, None] * exponentials(f, samples).mT


def _orthonormal(f: torch.Tensor, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """E = Q R: Q (batch, samples, lines) with columns of 0 for absent lines, R (batch, lines, lines) with rows of 1.

    A line that lies in the span of those before it counts as absent: two equal lines are one.
    """
    E, absent = exponentials(f, samples).mT, ~f.isfinite()
    while True:
        extra = torch.diag_embed(absent.to(E.dtype))  # an absent line gets a dimension of its own
        Q, R = torch.linalg.qr(torch.cat([E * ~absent[:, None, :], extra], dim=1))
        dependent = R.diagonal(dim1=-2, dim2=-1).abs() <= DEPENDENT * samples**0.5
        if not dependent.any():
            return Q[:, :samples], R
        absent = absent | dependent


def _without(Q: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """What of the columns is orthogonal to those of Q."""
    return columns - Q @ (Q.mH @ columns)


def _lines(name: str, frequencies: torch.Tensor) -> torch.Tensor:
    """Where there is a line; frequencies may be NaN, but not infinite."""
    if not (isinstance(frequencies, torch.Tensor) and frequencies.is_floating_point() and frequencies.ndim == 2):
        raise expect.InputError(
            f"expected {name} as a real torch.Tensor (batch, lines), got {expect.describe(frequencies)}"
        )
    if frequencies.isinf().any():
        raise expect.InputError(f"expected {name} without infinity (NaN where there is no line)")
    return frequencies.isfinite()


def _lines_of(signals: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    """Where there is a line, after checks of signals and of frequencies that belong to them."""
    expect.signals("signals", signals)
    present = _lines("frequencies", frequencies)
    if len(frequencies) != len(signals):
        raise expect.InputError(
            f"expected frequencies (batch, lines) of {len(signals)} signals, got {expect.describe(frequencies)}"
        )
    if (most := int(present.sum(dim=1).max()) if frequencies.shape[1] else 0) > signals.shape[1]:
        raise expect.InputError(f"expected at most {signals.shape[1]} lines, one a sample, got {most}")
    if (zeros := int((signals == 0).all(dim=1).sum())) > 0:
        raise expect.InputError(f"expected signals with some energy, got {zeros} of zeros")
    return present


def _levels(sigma: object, frequencies: torch.Tensor) -> torch.Tensor:
    """The noise level of each signal."""
    if not (torch.is_tensor(sigma) and sigma.ndim == 1):
        return torch.full((len(frequencies),), expect.sigma(sigma), dtype=torch.float64)
    expect.tensor("sigma", sigma)
    if len(sigma) != len(frequencies) or (sigma < 0).any():
        raise expect.InputError(f"expected sigma of at least 0, one for each of {len(frequencies)} signals")
    return sigma.double()
