"""Proximal gradient methods: a step down the data fidelity, then the regulariser's proximal operator.

    v = x − η Aᴴ ∇D(A x),     x ← prox_{ηR}(v)

This is the iteration of decks 002, 003 and 004. The decks print prox_{λR}; the threshold that goes with a step η
is ηλ, step size times weight.
"""

from __future__ import annotations

import torch
from jaxtyping import Inexact

from course_lib import expect
from course_lib.classical.fidelity import Fidelity, LeastSquares
from course_lib.classical.regularizers import L1, NoRegularizer, Regularizer
from course_lib.classical.solution import Monitor, Solution, inner, norm, relative_change, squares
from course_lib.physics import LinearOperator

GAP_EVERY = 10  # iterations between two looks at the duality gap, which costs one adjoint


def gradient_descent(
    A: LinearOperator,
    data: Inexact[torch.Tensor, "..."] | Fidelity,
    *,
    step: float | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-6,
    start: Inexact[torch.Tensor, "..."] | None = None,
) -> Solution:
    """Minimise D(A x) alone, by x ← x − η Aᴴ ∇D(A x). Arguments as in `ista`."""
    return ista(A, data, NoRegularizer(), step=step, iterations=iterations, tolerance=tolerance, start=start)


def ista(
    A: LinearOperator,
    data: Inexact[torch.Tensor, "..."] | Fidelity,
    regularizer: Regularizer,
    *,
    step: float | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-4,
    start: Inexact[torch.Tensor, "..."] | None = None,
) -> Solution:
    """Minimise F(x) = D(A x) + R(x) by proximal gradient steps (Daubechies, Defrise and De Mol 2004).

    With step 1/L, L = curvature·‖A‖², the objective never rises and F(x_k) − F* ≤ L‖x₀ − x*‖²/(2k).

    Args:
        A: the forward operator.
        data: y, measured with Gaussian noise, or a fidelity such as `KullbackLeibler`.
        regularizer: R.
        step: η, from above 0 to below 2/L; 1/L when not given.
        iterations: the most iterations.
        tolerance: for least squares with `L1` on the duality gap over F; otherwise on ‖x_k − x_{k−1}‖/‖x_k‖.
        start: x₀; zero when not given.

    Returns:
        the `Solution`; a `ConvergenceWarning` is given when the tolerance was not reached.
    """
    return _proximal_gradient("ISTA", A, data, regularizer, step, iterations, tolerance, start, momentum=False)


def fista(
    A: LinearOperator,
    data: Inexact[torch.Tensor, "..."] | Fidelity,
    regularizer: Regularizer,
    *,
    step: float | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-4,
    start: Inexact[torch.Tensor, "..."] | None = None,
    restart: bool = True,
) -> Solution:
    """Minimise F(x) = D(A x) + R(x) by proximal gradient steps with momentum (Beck and Teboulle 2009).

    Each step starts from z = x_k + (t_{k−1} − 1)/t_k · (x_k − x_{k−1}), t_{k+1} = (1 + √(1 + 4t_k²))/2. Without
    restart F(x_k) − F* ≤ 2L‖x₀ − x*‖²/(k+1)². With restart the momentum is dropped whenever it points uphill
    (O'Donoghue and Candès 2015), which ends its ripples.

    Args as in `ista`; the step is at most 1/L.
    """
    return _proximal_gradient("FISTA", A, data, regularizer, step, iterations, tolerance, start, True, restart)


def _proximal_gradient(
    name: str,
    A: LinearOperator,
    data: torch.Tensor | Fidelity,
    R: Regularizer,
    step: float | None,
    iterations: int,
    tolerance: float,
    start: torch.Tensor | None,
    momentum: bool,
    restart: bool = False,
) -> Solution:
    D = as_fidelity(A, data)
    L = lipschitz(A, D)
    if not isinstance(R, Regularizer):
        raise expect.InputError(f"expected a regulariser such as L1(weight), got {expect.describe(R)}")
    step = 1 / L if step is None else expect.number("the step", step, above=0)
    longest, bound = (1.001 / L, "1/L") if momentum else (2 / L, "2/L")
    if step > longest:
        raise expect.InputError(f"{name}: expected a step up to {bound} = {longest:.3g}, got {step:.3g}")
    with_gap = isinstance(D, LeastSquares) and D.weights is None and isinstance(R, L1) and R.weight > 0
    monitor = Monitor(name, "relative duality gap" if with_gap else "relative change", iterations, tolerance)
    zero = torch.zeros_like(A.adjoint(D.y))
    x = zero if start is None else start.to(zero.dtype)
    expect.same_shape("the start", x, "the image", zero)
    Ax = A(x)
    z, Az, t = x, Ax, 1.0
    monitor.start(D.value(Ax) + R.value(x))
    for k in range(1, iterations + 1):
        previous, A_previous = x, Ax
        v = z - step * A.adjoint(D.gradient(Az))
        x, penalty = R.prox_and_value(v, step)
        Ax = A(x)
        moved, beta = x - previous, 0.0
        if momentum:
            if restart and inner(z - x, moved) > 0:  # the momentum pointed uphill
                t = 1.0
            t_next = (1 + (1 + 4 * t * t) ** 0.5) / 2
            beta, t = (t - 1) / t_next, t_next
        # A is linear, so A z needs no application of A
        z, Az = torch.add(x, moved, alpha=beta), torch.add(Ax, Ax - A_previous, alpha=beta)
        objective, watched = D.value(Ax) + penalty, None
        if not with_gap:
            watched = relative_change(x, previous)
        elif k == iterations or (tolerance > 0 and k % GAP_EVERY == 0):
            watched = duality_gap(A, D.y, R, x, Ax) / objective if objective > 0 else 0.0
        if monitor.record(objective, watched):
            break
    return monitor.solution(x)


def duality_gap(
    A: LinearOperator,
    y: Inexact[torch.Tensor, "..."],
    regularizer: L1,
    x: Inexact[torch.Tensor, "..."],
    Ax: Inexact[torch.Tensor, "..."] | None = None,
) -> float:
    """An upper bound of F(x) − F* for F(x) = ½‖A x − y‖² + λ‖W x‖₁, known without F*.

    Any θ with ‖W Aᴴθ‖_∞ ≤ λ bounds F* from below by −½‖θ‖² − Re⟨θ, y⟩; the residual, scaled until it satisfies
    this, is such a θ, and the best one at the solution.
    """
    residual = (A(x) if Ax is None else Ax) - y
    primal = 0.5 * norm(residual) ** 2 + regularizer.value(x)
    largest = float(squares(regularizer.coefficients(A.adjoint(residual))).max()) ** 0.5
    theta = residual * min(1.0, regularizer.weight / largest if largest > 0 else 1.0)
    dual = -0.5 * norm(theta) ** 2 - inner(theta, y)
    return primal - dual


def as_fidelity(A: LinearOperator, data: torch.Tensor | Fidelity) -> Fidelity:
    """The fidelity of measured data, with shapes and NaN checked against the operator."""
    fidelity = data if isinstance(data, Fidelity) else LeastSquares(data)
    A.checked_measurements(fidelity.y, "measurements")
    return fidelity


def lipschitz(A: LinearOperator, fidelity: Fidelity) -> float:
    """L: the gradient of D(A x) for x changes at most L times as much as x."""
    norm = A.norm()
    if norm == 0:
        raise expect.InputError(f"expected an operator that measures something, got {type(A).__name__} of norm 0")
    return fidelity.curvature * norm**2
