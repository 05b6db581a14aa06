"""What an iterative solver gives back: the image, how the objective fell, and whether it has converged."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch

from course_lib import expect
from course_lib.display.progress import progress_bar


class ConvergenceWarning(UserWarning):
    """A solver used up its iterations before its stopping rule was met."""


@dataclass(frozen=True)
class Solution:
    """The end of an iterative method.

    Attributes:
        x: the estimate.
        objective: values of the objective, at the start and after each iteration; a batch counts as one sum.
        converged: whether the stopping rule was met.
        stopped_by: the rule and the last value of what it watches, in words.
    """

    x: torch.Tensor
    objective: list[float]
    converged: bool
    stopped_by: str

    @property
    def iterations(self) -> int:
        """How many iterations were made."""
        return len(self.objective) - 1


class Monitor:
    """Keeps the history of one run, shows its progress, and decides when to stop.

    Args:
        name: of the method, for the bar and the warning.
        watched: what the rule watches, in words.
        iterations: the most iterations, at least 1.
        tolerance: the rule is met at or below it; 0 makes all iterations, without a warning at the end.
    """

    def __init__(self, name: str, watched: str, iterations: int, tolerance: float) -> None:
        self.name, self.watched = name, watched
        self.iterations = expect.count("the number of iterations", iterations)
        self.tolerance = expect.number("the tolerance", tolerance, least=0)
        self.objective: list[float] = []
        self.value = float("inf")
        self._bar = progress_bar(iterations, name)

    def start(self, objective: float) -> None:
        """Note the objective at the start."""
        self.objective.append(float(objective))

    def record(self, objective: float, value: float | None = None) -> bool:
        """Note one iteration; `value` is what the rule watches, where it was computed. True: stop now."""
        self.objective.append(float(objective))
        if value is not None:
            self.value = float(value)
        self._bar.update()
        if self.objective[-1] != self.objective[-1]:
            self._bar.close()
            raise expect.InputError(
                f"{self.name}: the objective became NaN in iteration {len(self.objective) - 1}: is the step too "
                "long, or are the data not finite?"
            )
        met = value is not None and self.value <= self.tolerance
        return len(self.objective) > self.iterations or (met and self.tolerance > 0)

    def solution(self, x: torch.Tensor) -> Solution:
        """The end; warns when the rule was not met."""
        self._bar.close()
        converged = self.value <= self.tolerance
        text = f"{self.watched} {self.value:.1e}, tolerance {self.tolerance:.1e}"
        if not converged and self.tolerance > 0:
            warnings.warn(
                f"{self.name} has not converged in {self.iterations} iterations: {text}",
                ConvergenceWarning,
                stacklevel=3,
            )
        return Solution(x, self.objective, converged, text)


def inner(a: torch.Tensor, b: torch.Tensor) -> float:
    """Re⟨a, b⟩ over all elements."""
    return float(torch.vdot(a.flatten(), b.flatten()).real)


def relative_change(new: torch.Tensor, old: torch.Tensor) -> float:
    """‖new − old‖ / ‖new‖, and 0 where both are 0."""
    change, size = norm(new - old), norm(new)
    return change / size if size > 0 else change


def squares(x: torch.Tensor) -> torch.Tensor:
    """|x|² of every entry; for complex numbers several times faster than abs(), which guards against overflow."""
    return (x * x.conj()).real if x.is_complex() else x.square()


def norm(x: torch.Tensor) -> float:
    """‖x‖ over all elements; the real view is many times faster than torch's norm of complex numbers."""
    return float(torch.linalg.vector_norm(torch.view_as_real(x) if x.is_complex() else x))
