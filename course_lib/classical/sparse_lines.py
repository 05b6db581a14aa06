"""Lines as a sparse sum: few, by way of the least sum of amplitudes, that explain a signal up to its noise.

    min_x ½‖y − A x‖² + λ Σ|x_g|

With x on a grid of frequencies this is the lasso; with lines anywhere it is the Beurling lasso, also called atomic-norm
soft thresholding. Neither is told the number of lines: λ decides, and the noise decides λ. Both shrink amplitudes. Of
lines nearer than about 2/N nothing is guaranteed, even without noise: others may have a smaller sum of amplitudes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float

from course_lib import expect
from course_lib.classical.periodogram import (
    Counts,
    Frequencies,
    Signals,
    ascending,
    checked_counts,
    checked_signals,
    frequency_grid,
    local_maxima,
    parabola_top,
)
from course_lib.classical.solution import ConvergenceWarning, squares
from course_lib.classical.subspace import sample_covariance
from course_lib.data.line_spectra import LineSpectra, wrap
from course_lib.display.progress import progress_bar

Levels = float | Float[torch.Tensor, " batch"]
PerSignal = Float[torch.Tensor, " batch"]

LEAST_LEVEL = 1e-4  # of a signal's root mean square: the noise is never taken to be less, or λ would be nothing
CALIBRATION = 500  # draws of white noise
FAINTEST = 0.2  # in units of λ/N: a line that is less after its shrinkage by λ/N is not counted,
FAINT = 1e-2  # nor is one that is 40 dB below the strongest of its signal
MERGED = 0.25  # in units of 1/N: entries on the grid that are no farther apart are one line
SUPPORT = 1e-2  # of a spectrum's largest entry: what is less is too faint,
UNSOLVED = 2e-2  # in units of λ/N: or a 0 that is not quite solved for
FINE = 32  # points of a grid in 1/N, on which the highest maximum of |η| is looked for
SWEEPS, STEPS = 2, 50  # over the amplitudes, and Newton steps, in a round of the grid-free method
LEAST_GAIN = 1e-12  # of the objective: Newton steps that all gain less end the slide
NEAR = 0.1  # in units of 1/N: lines that may be one
HALVINGS = 8  # of λ, where more lines were asked for than it lets through
TOGETHER = 64  # signals that are solved at once; more of them do not stay in the cache


def noise_level(signals: Signals) -> PerSignal:
    """σ of the noise in the real and in the imaginary part, from the smaller half of the covariance's eigenvalues.

    In windows of N/2 + 1 samples each line makes one eigenvalue large, and the others are noise. The mean of the
    smaller half is divided by what it is in white noise. For N = 50 it is about 5 % too large with one line, and up to
    35 % with ten; with more lines than N/4 it says nothing. It is for sums of lines alone, not for images.

    Args:
        signals: complex (batch, samples), at least 8 samples, none of them all zeros.
    """
    signals = checked_signals(signals, least=8)
    return (_smaller_half(signals) / _white(signals.shape[1])).sqrt().to(signals.real.dtype)


def universal_weight(sigma: Levels, samples: int) -> Levels:
    """λ = σ√(2N log N): about as high as noise alone makes |Σ_n z_n exp(−2πi f n)| at its highest frequency."""
    return sigma * math.sqrt(2 * expect.count("samples", samples, least=2) * math.log(samples))


def lasso_frequencies(
    signals: Signals,
    *,
    points: int = 1000,
    weight: Levels | None = None,
    sigma: Levels | None = None,
    counts: Counts | None = None,
) -> Frequencies:
    """Lines by ℓ1 on a grid: each cluster of `lasso_spectrum` is one line, at its centroid weighted by amplitude.

    A line between two points of the grid is split into both, and their centroid mends most of it. On a grid that is
    coarse against 1/N the pieces do not add up to the line, and more lines are found than there are.

    Args:
        signals: complex (batch, samples), at least 8 samples, none of them all zeros.
        points: of the grid −1/2 + k/points, at least 2N.
        weight: λ > 0, one for all signals or one for each; the universal weight of σ when not given.
        sigma: the noise level σ ≥ 0, one or one each, for that weight; `noise_level(signals)` when not given.
        counts: how many lines, one number for all or one for each: the strongest. Where λ lets fewer through, it is
            halved until they are enough (at most 8 times). Not given: all whose amplitude is at least λ/(5N) and at
            least 1 % of the strongest.

    Returns:
        (batch, most lines) cycles per sample, ascending, NaN at the end.
    """
    signals, weight = _checked(signals, weight, sigma)

    def solve(rows: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return _centroids(lasso_spectrum(signals[rows], weight, points=points), weight, signals.shape[1])

    return _strongest(signals, weight, counts, solve)


def lasso_spectrum(
    signals: Signals,
    weight: Levels | None = None,
    *,
    points: int = 1000,
    sigma: Levels | None = None,
    iterations: int = 60,
    tolerance: float = 1e-4,
) -> Complex[torch.Tensor, "batch points"]:
    """The lasso min_x ½‖y − A x‖² + λ‖x‖₁ over complex amplitudes x at frequencies −1/2 + k/points.

    Solved by a primal–dual interior-point method in about 15 Newton steps. Neighbours on a fine grid are almost equal,
    and proximal gradient steps (FISTA) need many thousands.

    Args:
        signals: y, complex (batch, samples), at least 8 samples, none of them all zeros.
        weight: λ > 0, one for all signals or one for each; the universal weight of σ when not given.
        points: of the grid, at least 2N.
        sigma: the noise level σ ≥ 0 for that weight; `noise_level(signals)` when not given.
        iterations: the most Newton steps.
        tolerance: on the duality gap over the objective, above 0.

    Returns:
        x, (batch, points). Entries that are 0 in the exact solution are small, not 0.
    """
    signals, weight = _checked(signals, weight, sigma)
    expect.count("the number of iterations", iterations)
    tolerance = expect.number("the tolerance", tolerance, above=0)
    if expect.count("points", points) < 2 * signals.shape[1]:
        raise expect.InputError(f"expected points of at least 2N = {2 * signals.shape[1]}, got {points}")
    # the discrete Fourier transform begins at frequency 0, this grid at −1/2
    y = signals.to(torch.complex128) * (-1.0) ** torch.arange(signals.shape[1])
    with progress_bar(len(y), "lasso", "signal") as bar:
        spectra, left = [], 0
        for some, weights in zip(y.split(TOGETHER), weight.split(TOGETHER), strict=True):
            solver = _InteriorPoint(some, weights, points)
            left += solver.run(iterations, tolerance)
            spectra.append(solver.solution)
            bar.update(len(some))
    if left:
        warnings.warn(
            f"the lasso of {left} signals of {len(y)} has not reached a relative duality gap of {tolerance:.0e} in "
            f"{iterations} steps",
            ConvergenceWarning,
            stacklevel=2,
        )
    return torch.cat(spectra).to(signals.dtype)


class _Cone(NamedTuple):
    """Points (t, x), t real and x complex, one for each frequency of the grid; those of the cone have t ≥ |x|."""

    t: torch.Tensor
    x: torch.Tensor

    def __add__(self, other: _Cone) -> _Cone:
        return _Cone(self.t + other.t, self.x + other.x)

    def __mul__(self, factor: torch.Tensor | float) -> _Cone:
        return _Cone(self.t * factor, self.x * factor)

    def mirrored(self) -> _Cone:
        return _Cone(self.t, -self.x)

    def dot(self, other: _Cone) -> torch.Tensor:
        return self.t * other.t + (self.x.conj() * other.x).real

    def depth(self) -> torch.Tensor:
        """t² − |x|²: 0 on the surface of the cone."""
        size = squares(self.x).sqrt()
        return (self.t - size) * (self.t + size)

    def product(self, other: _Cone) -> _Cone:
        """The Jordan product, by which s∘z = μ·(1, 0) says that s and z are complementary up to μ."""
        return _Cone(self.dot(other), self.t * other.x + other.t * self.x)

    def quotient(self, right: _Cone) -> _Cone:
        """The p with self∘p = right."""
        t = self.mirrored().dot(right) / self.depth()
        return _Cone(t, (right.x - t * self.x) / self.t)

    def reach(self, step: _Cone) -> PerSignal:
        """For each signal the largest α for which self + α·step is in the cone at all frequencies."""
        a, b, c = step.depth(), self.mirrored().dot(step), self.depth()  # aα² + 2bα + c ≥ 0
        root = (b * b - a * c).clamp(min=0).sqrt() - b
        never = (root <= 0) | (b * b < a * c)
        return torch.where(never, math.inf, c / torch.where(never, 1.0, root)).amin(dim=1)


class _InteriorPoint:
    """The lasso of a batch as a pair of cone problems, solved together.

    Primal: min ½‖θ‖² + λ Σ t_g with θ = y − A x and |x_g| ≤ t_g; dual: max Re⟨θ, y⟩ − ½‖θ‖² with |Aᴴθ|_g ≤ λ. With
    s = (t, x) and z = (λ, −Aᴴθ) in the cone, the duality gap is Σ s·z. Nesterov–Todd scaling and Mehrotra's corrector,
    as in CVXOPT (Vandenberghe 2010). x = Aᴴy/points and θ = 0 are a feasible start, since A Aᴴ is `points` times the
    identity; and every step stays feasible.
    """

    def __init__(self, y: torch.Tensor, weight: torch.Tensor, points: int) -> None:
        samples = y.shape[1]
        self.y, self.weight, self.points = y, weight, points
        self.rows = torch.arange(len(y))
        self.solution = y.new_zeros(len(y), points)
        n = torch.arange(samples)
        self.minus, self.plus = (n[:, None] - n) % points, (n[:, None] + n) % points
        x = self.adjoint(y) / points
        size = squares(x).sqrt()
        self.theta = torch.zeros_like(y)
        self.s = _Cone(size + size.mean(dim=1, keepdim=True), x)
        self.z = _Cone(weight[:, None].expand(size.shape).clone(), torch.zeros_like(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A x = Σ_g x_g exp(2πi g n/points)."""
        return torch.fft.ifft(x, norm="forward")[:, : self.y.shape[1]]

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft(y, self.points)

    def run(self, iterations: int, tolerance: float) -> int:
        """Fills `solution`; returns how many signals have not reached the tolerance."""
        left = 0
        for _ in range(iterations):
            failed = self.step()
            objective = 0.5 * squares(self.theta).sum(dim=1) + self.weight * squares(self.s.x).sqrt().sum(dim=1)
            gap = self.s.dot(self.z).sum(dim=1)
            self.solution[self.rows] = self.s.x
            met = gap <= tolerance * objective
            left += int((failed & ~met).sum())
            self.keep(~(met | failed))
            if not len(self.rows):
                break
        return left + len(self.rows)

    def keep(self, which: torch.Tensor) -> None:
        self.rows, self.y, self.weight, self.theta = (
            value[which] for value in (self.rows, self.y, self.weight, self.theta)
        )
        self.s, self.z = (_Cone(value.t[which], value.x[which]) for value in (self.s, self.z))

    def step(self) -> torch.Tensor:
        """One Newton step; True where rounding has made it impossible."""
        s, z = self.s, self.z
        # the scaling W = β(2qqᵀ − J), J = diag(1, −1, −1), makes W z = W⁻¹s = v; W² = β²(2wwᵀ − J)
        beta = (s.depth() / z.depth()) ** 0.25
        s_unit, z_unit = s * s.depth().rsqrt(), z * z.depth().rsqrt()
        w = (s_unit + z_unit.mirrored()) * (2 * (1 + s_unit.dot(z_unit))).rsqrt()
        q = _Cone(w.t + 1, w.x) * (2 * (w.t + 1)).rsqrt()

        def scaled(p: _Cone) -> _Cone:
            return (q * (2 * q.dot(p)) + p.mirrored() * -1) * beta

        def unscaled(p: _Cone) -> _Cone:
            return (q.mirrored() * (2 * q.mirrored().dot(p)) + p.mirrored() * -1) * (1 / beta)

        v = scaled(z)
        factor, failed = torch.linalg.cholesky_ex(self.system(beta**2, w))

        def direction(target: _Cone) -> tuple[torch.Tensor, _Cone, _Cone]:
            """The steps of θ, s and z for which (v + W⁻¹ds)∘(v + W dz) is `target` to first order."""
            p = scaled(v.quotient(target))
            right = self.y - self.theta - self.forward(s.x + p.x)
            step = torch.cholesky_solve(torch.cat([right.real, right.imag], dim=1)[..., None], factor)[..., 0]
            d_theta = torch.complex(*step.chunk(2, dim=1))
            dz = _Cone(torch.zeros_like(s.t), -self.adjoint(d_theta))
            ds = p + (w * (2 * w.dot(dz)) + dz.mirrored() * -1) * -(beta**2)
            return d_theta, ds, dz

        zero = v.product(v) * -1
        _, ds, dz = direction(zero)  # all the way to the solution, as if the surface were flat
        length = torch.minimum(s.reach(ds), z.reach(dz)).clamp(max=1)[:, None]
        gap = s.dot(z).sum(dim=1, keepdim=True)
        remaining = (s + ds * length).dot(z + dz * length).sum(dim=1, keepdim=True) / gap
        centre = remaining.clamp(0, 1) ** 3 * gap / self.points
        bend = unscaled(ds).product(scaled(dz))
        d_theta, ds, dz = direction(zero + bend * -1 + _Cone(centre.expand_as(v.t), torch.zeros_like(v.x)))
        length = (0.98 * torch.minimum(s.reach(ds), z.reach(dz))).clamp(max=1)[:, None]
        fine = (failed == 0) & d_theta.isfinite().all(dim=1) & length[:, 0].isfinite()
        d_theta, ds, dz = (
            d_theta.masked_fill(~fine[:, None], 0),
            *(_Cone(p.t.masked_fill(~fine[:, None], 0), p.x.masked_fill(~fine[:, None], 0)) for p in (ds, dz)),
        )
        self.theta, self.s, self.z = self.theta + d_theta * length, s + ds * length, z + dz * length
        return ~fine

    def system(self, scale: torch.Tensor, w: _Cone) -> torch.Tensor:
        """I + A W²Aᴴ on real and imaginary parts. A maps β²(c + 2w Re(w̄ c)), c = Aᴴh, to a Toeplitz matrix times h and
        a Hankel matrix times its conjugate."""
        same = torch.fft.ifft(scale * (1 + squares(w.x)), norm="forward")[:, self.minus]
        same.diagonal(dim1=1, dim2=2).add_(1)
        conjugate = torch.fft.ifft(scale * w.x**2, norm="forward")[:, self.plus]
        top = torch.cat([(same + conjugate).real, (conjugate - same).imag], dim=2)
        return torch.cat([top, torch.cat([(same + conjugate).imag, (same - conjugate).real], dim=2)], dim=1)


def grid_free(
    signals: Signals, *, weight: Levels | None = None, sigma: Levels | None = None, counts: Counts | None = None
) -> Frequencies:
    """Lines by the Beurling lasso, with no grid: those of `beurling_lasso` that are not too faint.

    Args:
        signals: complex (batch, samples), at least 8 samples, none of them all zeros.
        weight: λ > 0, one for all signals or one for each; the universal weight of σ when not given.
        sigma: the noise level σ ≥ 0, one or one each, for that weight; `noise_level(signals)` when not given.
        counts: how many lines, one number for all or one for each: the strongest. Where λ lets fewer through, it is
            halved until they are enough (at most 8 times). Not given: all whose amplitude is at least λ/(5N) and at
            least 1 % of the strongest.

    Returns:
        (batch, most lines) cycles per sample, ascending, NaN at the end.
    """
    signals, weight = _checked(signals, weight, sigma)

    def solve(rows: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        lines = beurling_lasso(signals[rows], weight, tolerance=1e-2)
        return lines.frequencies, lines.amplitudes.abs()

    return _strongest(signals, weight, counts, solve)


def beurling_lasso(
    signals: Signals,
    weight: Levels | None = None,
    *,
    sigma: Levels | None = None,
    rounds: int = 100,
    tolerance: float = 1e-4,
) -> LineSpectra:
    """min ½‖y − Σ_j a_j e(f_j)‖² + λ Σ_j |a_j| over any number of lines, by sliding Frank–Wolfe.

    A round adds the frequency f where |η(f)| is largest, η(f) = Σ_n r_n exp(−2πi f n) of the residual r, and then
    slides all lines, amplitudes and frequencies, to a minimum (Denoyelle, Duval, Peyré and Soubies 2019; ADCG of Boyd,
    Schiebinger and Recht 2017). The lines are the solution exactly if |η| ≤ λ everywhere, with η(f_j) = λ a_j/|a_j|:
    η/λ is the dual certificate.

    Args:
        signals: y, complex (batch, samples), at least 8 samples, none of them all zeros.
        weight: λ > 0, one for all signals or one for each; the universal weight of σ when not given.
        sigma: the noise level σ ≥ 0 for that weight; `noise_level(signals)` when not given.
        rounds: the most rounds.
        tolerance: above 0; a signal is done when max |η| ≤ (1 + tolerance) λ.

    Returns:
        the lines, in the precision of the signals.
    """
    signals, weight = _checked(signals, weight, sigma)
    expect.count("the number of rounds", rounds)
    tolerance = expect.number("the tolerance", tolerance, above=0)
    y = signals.to(torch.complex128)
    lines = _Slide(y, weight, torch.zeros(len(y), 0, dtype=torch.float64), y.new_zeros(len(y), 0))
    rows, found = torch.arange(len(y)), []
    with progress_bar(len(y), "grid-free", "signal") as bar:
        for _ in range(rounds):
            frequency, height = _highest(lines.residual)
            done = height <= (1 + tolerance) * lines.weight
            found.append((rows[done], lines.f[done], lines.a[done]))
            bar.update(int(done.sum()))
            rows, lines = rows[~done], lines.rows(~done)
            if not len(rows):
                break
            lines = lines.swept(frequency[~done]).slid().merged().packed()
    if left := len(rows):
        found.append((rows, lines.f, lines.a))
        warnings.warn(
            f"the grid-free lasso of {left} signals of {len(y)} has not met its optimality condition to "
            f"{tolerance:.0e} in {rounds} rounds",
            ConvergenceWarning,
            stacklevel=2,
        )
    most = max(f.shape[1] for _, f, _ in found)
    frequencies, amplitudes = torch.full((len(y), most), math.nan, dtype=torch.float64), y.new_zeros(len(y), most)
    for some, f, a in found:
        frequencies[some, : f.shape[1]], amplitudes[some, : f.shape[1]] = f, a
    frequencies, order = wrap(frequencies.to(signals.real.dtype)).sort(dim=1)
    # the phase at the first sample, from that in the middle
    turn = -2 * math.pi * (y.shape[1] // 2) * frequencies.double().nan_to_num(nan=0.0)
    amplitudes = amplitudes.gather(1, order) * torch.polar(torch.ones_like(turn), turn)
    most = int(frequencies.isfinite().sum(dim=1).max())
    return LineSpectra(frequencies[:, :most], amplitudes[:, :most].to(signals.dtype))


def _highest(residual: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where |η| is highest on the circle, and how high: the best maximum on a fine grid, then Newton steps on |η|²."""
    points = FINE * residual.shape[1]
    size = squares(torch.fft.fft(residual, n=points))
    # lines that have been found are all of one height, λ: which point is highest depends on what is between the points
    tops = parabola_top(size, torch.arange(points).expand_as(size))[1]
    place = torch.where(local_maxima(size), tops, 0.0).argmax(dim=1)
    height = size.gather(1, place[:, None])[:, 0]
    turn = 2 * math.pi * _time(residual.shape[1])
    start = f = place.double() / points
    for _ in range(4):
        terms = residual * torch.polar(torch.ones((), dtype=f.dtype), -f[:, None] * turn)
        eta, first, second = (((-1j * turn) ** k * terms).sum(dim=1) for k in range(3))
        refined, better = f, squares(eta)
        slope, bend = (eta.conj() * first).real, squares(first) + (eta.conj() * second).real
        f = f + torch.where(bend < 0, -slope / bend, 0.0).clamp(-1 / points, 1 / points)
    return torch.where(better > height, refined, start), torch.maximum(better, height).sqrt()


class _Slide:
    """Lines on their way down the objective ½‖y − Σ a_j e(f_j)‖² + λ Σ|a_j|; f is NaN and a is 0 where there is none.

    Time counts from the middle of the samples, so that the phase and the frequency of a line hardly interact.
    """

    def __init__(self, y: torch.Tensor, weight: torch.Tensor, f: torch.Tensor, a: torch.Tensor) -> None:
        self.y, self.weight, self.f, self.a = y, weight, f, a
        self.turn = 2 * math.pi * _time(y.shape[1])
        angle = self.turn * torch.where(f.isfinite(), f, 0.0)[..., None]
        self.E = torch.polar(f.isfinite()[..., None].to(f.dtype).expand_as(angle), angle)
        self.residual = y - (a[:, None] @ self.E)[:, 0]
        self.objective = 0.5 * squares(self.residual).sum(dim=1) + weight * a.abs().sum(dim=1)

    def rows(self, which: torch.Tensor) -> _Slide:
        return _Slide(self.y[which], self.weight[which], self.f[which], self.a[which])

    def moved(self, f: torch.Tensor, a: torch.Tensor) -> _Slide:
        return _Slide(self.y, self.weight, f, a)

    def better(self, other: _Slide, slack: float = 0.0) -> _Slide:
        """For each signal the lines of `other` where its objective is lower, or higher by no more than the slack."""
        which = (other.objective < self.objective + slack * self.objective)[:, None]
        return self.moved(torch.where(which, other.f, self.f), torch.where(which, other.a, self.a))

    def swept(self, frequency: torch.Tensor) -> _Slide:
        """With one line more: minimised over one amplitude after the other, the new one first, and without those of 0.

        The minimum over one amplitude is the soft threshold of what the others leave of y at its frequency.
        """
        samples = self.y.shape[1]
        new = self.moved(
            torch.cat([frequency[:, None], self.f], 1), torch.cat([self.a.new_zeros(len(self.a), 1), self.a], 1)
        )
        a, r = new.a.clone(), new.residual
        for _ in range(SWEEPS):
            for j in range(a.shape[1]):
                e = new.E[:, j]
                before = a[:, j]
                left = before + (e.conj() * r).sum(dim=1) / samples
                size = left.abs()
                after = left * ((size - self.weight / samples).clamp(min=0) / size.clamp(min=1e-300))
                after = torch.where(new.f[:, j].isfinite(), after, 0)
                r = r - (after - before)[:, None] * e
                a[:, j] = after
        return self.moved(torch.where(a == 0, math.nan, new.f), a).packed()

    def slid(self) -> _Slide:
        """Damped Newton steps in amplitudes and frequencies together, each only where the objective falls."""
        here = self
        damping = torch.full_like(self.weight, 1e-3)
        for _ in range(STEPS):
            da, df = here.newton(damping)
            there = here.moved(here.f + df, here.a + da)
            lower = there.objective < here.objective
            gain = here.objective - there.objective
            damping = torch.where(lower, damping / 10, damping * 10).clamp(1e-12, 1e12)
            here = here.better(there)
            if not (lower & (gain > LEAST_GAIN * here.objective)).any() and (lower | (damping > 1e3)).all():
                break
        return here

    def newton(self, damping: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The step of amplitudes and of frequencies; 0 where the damped curvature has a negative direction."""
        a, lines, present = self.a, self.a.shape[1], self.f.isfinite()
        size = torch.where(present, a.abs(), 1.0)
        phase = torch.where(present, a / size, 1.0)
        D = 1j * self.turn * self.E  # the derivative of a line for its frequency, with amplitude 1
        J = torch.cat([self.E, 1j * self.E, a[..., None] * D], dim=1)
        first = (D.conj() @ self.residual[..., None])[..., 0]
        second = ((1j * self.turn * D).conj() @ self.residual[..., None])[..., 0]
        zero = torch.zeros_like(size)
        weight = torch.where(present, self.weight[:, None], 0.0)
        slope = (
            torch.cat([weight * phase.real, weight * phase.imag, zero], 1)
            - (J.conj() @ self.residual[..., None])[..., 0].real
        )
        H = (J.conj() @ J.mT).real
        scale = torch.where(present.repeat(1, 3), H.diagonal(dim1=1, dim2=2), 1.0)
        bend = weight / size
        # what Gauss–Newton leaves out: the curvature of |a| and that of the lines themselves
        blocks = [
            [bend * phase.imag**2, -bend * phase.real * phase.imag, -first.real],
            [-bend * phase.real * phase.imag, bend * phase.real**2, -first.imag],
            [-first.real, -first.imag, -(a.conj() * second).real],
        ]
        H = H + torch.cat([torch.cat([torch.diag_embed(b) for b in row], dim=2) for row in blocks], dim=1)
        H = H + torch.diag_embed(scale * damping[:, None] + (~present).repeat(1, 3))
        factor, failed = torch.linalg.cholesky_ex(H)
        step = torch.cholesky_solve(-slope[..., None], factor)[..., 0]
        step = torch.where(((failed == 0) & step.isfinite().all(dim=1))[:, None], step, 0.0)
        df = step[:, 2 * lines :]
        short = (0.25 / self.y.shape[1] / df.abs().amax(dim=1, keepdim=True).clamp(min=1e-300)).clamp(max=1)
        return torch.complex(step[:, :lines], step[:, lines : 2 * lines]) * short, df * short

    def merged(self) -> _Slide:
        """The two nearest lines of a signal made one where that does not raise the objective."""
        if self.f.shape[1] < 2:
            return self
        f, order = wrap(self.f).sort(dim=1)
        a = self.a.gather(1, order)
        after = torch.where(f.roll(-1, 1).isfinite(), f.roll(-1, 1), f[:, :1])  # the first follows the last
        apart = wrap(after - f).abs().nan_to_num(nan=1.0)
        apart = torch.where(f.isfinite() & (f.isfinite().sum(dim=1, keepdim=True) > 1), apart, 1.0)
        distance, j = apart.min(dim=1, keepdim=True)
        k = torch.where(j + 1 < f.isfinite().sum(dim=1, keepdim=True), j + 1, 0)
        share = a.gather(1, k).abs() / (a.gather(1, j).abs() + a.gather(1, k).abs()).clamp(min=1e-300)
        between = f.gather(1, j) + share * wrap(f.gather(1, k) - f.gather(1, j))
        near = distance < NEAR / self.y.shape[1]
        one = self.moved(
            torch.where(near, f.scatter(1, j, between).scatter(1, k, math.nan), f),
            torch.where(near, a.scatter_add(1, j, a.gather(1, k)).scatter(1, k, 0), a),
        )
        return self.better(one, slack=1e-13)

    def packed(self) -> _Slide:
        """Without columns that no signal needs."""
        f, a = torch.where(self.a == 0, math.nan, self.f), self.a
        order = f.isnan().to(torch.int8).argsort(dim=1, stable=True)[:, : int(f.isfinite().sum(dim=1).max())]
        return self.moved(f.gather(1, order), a.gather(1, order))


def _time(samples: int) -> Float[torch.Tensor, " samples"]:
    """Sample numbers that count from the middle; whole, so that a frequency may still be wrapped."""
    return torch.arange(samples, dtype=torch.float64) - samples // 2


def _checked(signals: object, weight: object, sigma: object) -> tuple[Signals, PerSignal]:
    """The signals and the λ of each, in double precision."""
    signals = checked_signals(signals, least=8)
    if weight is not None and sigma is not None:
        raise expect.InputError("expected the weight lambda or the noise level sigma, which sets it, not both")
    if weight is not None:
        return signals, _levels("the weight lambda", weight, signals, positive=True)
    level = noise_level(signals).double() if sigma is None else _levels("sigma", sigma, signals, positive=False)
    least = LEAST_LEVEL * squares(signals).double().mean(dim=1).sqrt()
    return signals, universal_weight(torch.maximum(level, least), signals.shape[1])


def _levels(name: str, value: object, signals: Signals, *, positive: bool) -> PerSignal:
    if not (torch.is_tensor(value) and value.ndim == 1):
        bound = {"above": 0} if positive else {"least": 0}
        return torch.full((len(signals),), expect.number(name, value, **bound), dtype=torch.float64)
    if value.is_complex() or len(value) != len(signals) or not (value > 0 if positive else value >= 0).all():
        raise expect.InputError(
            f"expected {name} as one number {'above' if positive else 'from'} 0 for each of {len(signals)} signals, "
            f"got {expect.describe(value)} with others"
        )
    return expect.tensor(name, value).double()


def _smaller_half(signals: Signals) -> PerSignal:
    """The mean of the smaller half of the eigenvalues of the covariance."""
    length = signals.shape[1] // 2 + 1
    values = torch.linalg.eigvalsh(sample_covariance(signals.to(torch.complex128), length))
    return values[:, : length // 2].mean(dim=1).clamp(min=0)


@lru_cache
def _white(samples: int) -> float:
    """What `_smaller_half` is on average in white noise of σ = 1."""
    noise = torch.randn(CALIBRATION, samples, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return float(_smaller_half(torch.view_as_complex(noise)).mean())


def _centroids(
    spectrum: Complex[torch.Tensor, "batch points"], weight: PerSignal, samples: int
) -> tuple[Frequencies, Float[torch.Tensor, "batch lines"]]:
    """Clusters of a spectrum on the circle: their centroids, and the sums of their sizes; NaN and 0 fill the rows."""
    points = spectrum.shape[1]
    size = squares(spectrum.to(torch.complex128)).sqrt()
    least = torch.maximum(SUPPORT * size.amax(dim=1), UNSOLVED * weight / samples)
    support = size > least[:, None]
    # a cluster covers its entries and the points after each, as far as the next entry may be
    covered = torch.stack([support.roll(k, 1) for k in range(max(1, round(MERGED * points / samples)))]).any(dim=0)
    starts = support & ~covered.roll(1, 1)
    number = starts.sum(dim=1, keepdim=True)
    cluster = starts.cumsum(dim=1)
    cluster = torch.where(cluster == 0, number, cluster)  # what begins the row belongs to the last, around the circle
    cluster = torch.where(support, cluster, 0)
    most = int(number.max())
    angle = (2 * math.pi * frequency_grid(points)).expand_as(size)
    zeros = size.new_zeros(len(size), most + 1)
    total = zeros.scatter_add(1, cluster, size)[:, 1:]
    centre = zeros.to(spectrum.dtype).to(torch.complex128).scatter_add(1, cluster, torch.polar(size, angle))[:, 1:]
    return torch.where(total > 0, wrap(centre.angle() / (2 * math.pi)), math.nan), total


def _strongest(
    signals: Signals,
    weight: PerSignal,
    counts: Counts | None,
    solve: Callable[[torch.Tensor, PerSignal], tuple[Frequencies, Float[torch.Tensor, "batch lines"]]],
) -> Frequencies:
    """The lines of `solve`, a function of rows and their λ: as many as counts says, or all that are not too faint."""
    samples = signals.shape[1]
    rows = torch.arange(len(signals))
    if counts is None:
        f, size = solve(rows, weight)
        f, size = f.double(), size.double()
        strongest = torch.nn.functional.pad(size, (0, 1)).amax(dim=1)  # there may be no line at all
        least = torch.maximum(FAINTEST * weight / samples, FAINT * strongest)
        f = torch.where((size > 0) & (size >= least[:, None]), f, math.nan)
        f = wrap(f.to(signals.real.dtype)).sort(dim=1).values  # in this order: 1/2 may come from rounding, too
        return f[:, : int(f.isfinite().sum(dim=1).max())]
    counts = checked_counts(counts, signals, samples // 2, f"by sparsity in {samples} samples")
    most = int(counts.max())
    found = torch.full((len(signals), most), math.nan, dtype=torch.float64)
    for halving in range(HALVINGS + 1):
        f, size = solve(rows, weight[rows] / 2**halving)
        f, size = (torch.nn.functional.pad(x.double(), (0, most), value=math.nan) for x in (f, size))
        size, order = size.nan_to_num(nan=0.0).topk(most, dim=1)
        found[rows] = torch.where(size > 0, f.gather(1, order), math.nan)
        rows = rows[(size > 0).sum(dim=1) < counts[rows]]
        if not len(rows):
            break
    return ascending(found.to(signals.real.dtype), counts)
