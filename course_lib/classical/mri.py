"""Reconstruction of images from undersampled k-space without learned networks."""

from __future__ import annotations

import torch
from jaxtyping import Inexact

from course_lib import expect
from course_lib.classical.fidelity import Fidelity
from course_lib.classical.proximal import as_fidelity, fista
from course_lib.classical.regularizers import L1
from course_lib.classical.solution import Solution
from course_lib.classical.total_variation import Analysis, primal_dual
from course_lib.classical.wavelets import MOST_LEVELS, OrthogonalWavelet, UndecimatedWavelet
from course_lib.physics import LinearOperator


def zero_filled(A: LinearOperator, y: Inexact[torch.Tensor, "..."]) -> Inexact[torch.Tensor, "..."]:
    """Aᴴ y: what is not measured counts as zero. The conventional reconstruction (deck 002), in one transform."""
    return A.adjoint(as_fidelity(A, y).y)


def wavelet_reconstruction(
    A: LinearOperator,
    data: Inexact[torch.Tensor, "..."] | Fidelity,
    weight: float,
    *,
    undecimated: bool = False,
    wavelet: str = "db4",
    levels: int | None = None,
    iterations: int = 500,
    tolerance: float = 1e-3,
) -> Solution:
    """Minimise D(A x) + λ‖W x‖₁ (Lustig, Donoho and Pauly 2007; decks 001 and 002).

    With the orthonormal transform by `fista`; with the undecimated one, whose norm is the mean of the orthonormal
    one over all shifts of the image, by `primal_dual`.

    Args:
        A: the forward operator, on images (height, width).
        data: y with Gaussian noise (then D is ½‖A x − y‖²), or a fidelity.
        weight: λ ≥ 0.
        undecimated: takes any image size and leaves no block marks, and costs more.
        wavelet: an orthogonal wavelet of PyWavelets.
        levels: number of scales; at most 4 when not given.
        iterations: the most iterations.
        tolerance: on the relative duality gap; with `undecimated` on the relative change, see `primal_dual`.
    """
    if not undecimated:
        W = OrthogonalWavelet(A.domain_shape, wavelet, levels)
        return fista(A, data, L1(weight, W), iterations=iterations, tolerance=tolerance)
    weight = expect.number("the weight lambda", weight, least=0)
    W = UndecimatedWavelet(A.domain_shape, wavelet, MOST_LEVELS if levels is None else levels)
    regularizer = Analysis(W, weight * W.shift_weights())
    return primal_dual(A, data, regularizer, iterations=iterations, tolerance=tolerance)
