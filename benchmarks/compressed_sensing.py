"""Wavelet-ℓ1 and TV reconstruction of MRI against sigpy at the same objective value, and FISTA against ISTA.

A brain slice of 256 × 256 pixels, random lines at R = 4, one coil and eight. Both minimise the same function: Haar
wavelets on all scales, and periodic anisotropic differences, are the transforms of sigpy's apps. One number decides:
each solver makes as many iterations as it needs to come within 1 % of the least objective that any long run of
either has reached, and so many are timed, with all that a call sets up: operators, step sizes, sigpy's estimate of
the largest eigenvalue. The counts stand in the rows' names, ours first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import sigpy.mri.app
import torch

from course_lib import classical, data, physics
from course_lib.physics import CoilSampling, FourierSampling, LinearOperator

SIZE, ACCELERATION, WEIGHT = (256, 256), 4, 5e-3
NEAR = 1.01


class Problem(NamedTuple):
    """½‖A x − y‖² + λ‖K x‖₁, ours with so many iterations, and sigpy's app."""

    A: LinearOperator
    y: torch.Tensor
    K: LinearOperator
    ours: Callable[[int], classical.Solution]
    theirs: Callable[[int], sigpy.mri.app.App]
    long_run: int

    def objective(self, x: torch.Tensor) -> float:
        """In double precision, the same for both."""
        x, y = x.to(torch.complex128), self.y.to(torch.complex128)
        return float(0.5 * (self.A(x) - y).abs().square().sum() + WEIGHT * self.K(x).abs().sum())


def compressed_sensing(pair: Callable[..., object], row: Callable[..., object]) -> list[object]:
    """Four rows of `pair(name, ours, theirs, peer)`, and one of `row(name, ours, peer, theirs, unit)`."""
    image = data.brain_anatomy([5], size=SIZE[0])["t1"][0, 0]
    mask = physics.line_mask(SIZE, ACCELERATION, 0.08, torch.Generator().manual_seed(0))
    rows = []
    for coils in (1, 8):
        for name, problem in _problems(image, mask, coils).items():
            ours, theirs = _iterations(problem)
            rows.append(
                pair(
                    f"{name}, {coils} coil{'s' * (coils > 1)}, R = 4, within 1 %: {ours} and {theirs} iterations",
                    lambda p=problem, n=ours: p.ours(n),
                    lambda p=problem, n=theirs: p.theirs(n).run(),
                    f"sigpy {type(problem.theirs(1)).__name__}",
                    runs=3,
                )
            )
    return [*rows, _fista_against_ista(image, mask, 1e-3, row)]


def _problems(image: torch.Tensor, mask: torch.Tensor, coils: int) -> dict[str, Problem]:
    maps = physics.coil_sensitivities(SIZE, coils) if coils > 1 else torch.ones(1, *SIZE, dtype=torch.complex64)
    A = CoilSampling(mask, maps) if coils > 1 else FourierSampling(mask)
    y = A(image)
    k, s = y.reshape(coils, *SIZE).numpy(), maps.numpy()
    options = {"show_pbar": False}

    def wavelet(iterations: int) -> classical.Solution:
        return classical.wavelet_reconstruction(
            A, y, WEIGHT, wavelet="haar", levels=8, iterations=iterations, tolerance=0
        )

    def tv(iterations: int) -> classical.Solution:
        return classical.tv_reconstruction(
            A, y, WEIGHT, isotropic=False, boundary="periodic", iterations=iterations, tolerance=0
        )

    return {
        "wavelet-ℓ1": Problem(
            A, y, classical.OrthogonalWavelet(SIZE, "haar", 8), wavelet,
            lambda n: sigpy.mri.app.L1WaveletRecon(k, s, WEIGHT, wave_name="haar", max_iter=n, **options), 300,
        ),
        "TV": Problem(
            A, y, physics.FiniteDifferences(SIZE, "periodic"), tv,
            lambda n: sigpy.mri.app.TotalVariationRecon(k, s, WEIGHT, max_iter=n, **options), 1500,
        ),
    }  # fmt: skip


def _iterations(problem: Problem) -> tuple[int, int]:
    """How many iterations each makes to come near the least objective of long runs of both."""
    ours = problem.ours(problem.long_run).objective[1:]
    app = problem.theirs(problem.long_run)
    theirs = []
    while not app.alg.done() and (len(theirs) < 50 or theirs[-1] > NEAR * min(ours)):
        app.alg.update()
        theirs.append(problem.objective(torch.from_numpy(app.alg.x).reshape(SIZE)))
    least = min(*ours, *theirs)
    return tuple(next(k for k, value in enumerate(run, 1) if value <= NEAR * least) for run in (ours, theirs))


def _fista_against_ista(image: torch.Tensor, mask: torch.Tensor, gap: float, row: Callable[..., object]) -> object:
    """Iterations until (F − F*)/F* is at most `gap`."""
    A = FourierSampling(mask)
    R = classical.L1(WEIGHT, classical.OrthogonalWavelet(SIZE, "db4"))
    y = A(image)
    least = classical.fista(A, y, R, iterations=1000, tolerance=0).objective[-1]

    def needed(solver: Callable[..., classical.Solution]) -> int:
        history = solver(A, y, R, iterations=2500, tolerance=0).objective
        return next(k for k, value in enumerate(history) if value <= (1 + gap) * least)

    return row(
        f"FISTA, wavelet-ℓ1 to a relative gap of {gap:g}",
        needed(classical.fista),
        "ISTA",
        needed(classical.ista),
        "iterations",
    )


if __name__ == "__main__":
    from run import Row, pair, shown

    compressed_sensing(pair, lambda *row: shown(Row(*row)))
