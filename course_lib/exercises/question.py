"""A question whose answer is a number: the self-test on the start page is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from course_lib.exercises.report import box


@dataclass(frozen=True)
class Question:
    """One question of a self-test.

    Attributes:
        answer: the right number.
        mistakes: wrong number → what to tell whoever gave it.
        read: where to read up.
    """

    number: int
    title: str
    answer: float
    mistakes: dict[float, str]
    read: str
    tolerance: float = 1e-3
    _state: dict = field(default_factory=dict, compare=False, repr=False)

    def check(self, given: object = ...) -> Verdict:
        """Judge a number, and remember the verdict for the score; `...` and None are blanks."""
        verdict = self._state["verdict"] = self._judge(given)
        return verdict

    @property
    def passed(self) -> bool:
        """Whether the last check was right."""
        return "verdict" in self._state and self._state["verdict"].status == "passed"

    def _judge(self, given: object) -> Verdict:
        if given is ... or given is None:
            return Verdict(self, "not attempted yet", "Put your number in place of the three dots.")
        try:
            value = float(given)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            return Verdict(self, "failed", f"expected one number, got {given!r}")
        if self._near(value, self.answer):
            return Verdict(self, "passed", "")
        for wrong, message in self.mistakes.items():
            if self._near(value, wrong):
                return Verdict(self, "failed", f"{message} Read up: {self.read}.")
        return Verdict(self, "failed", f"{value:g} is not it. Read up: {self.read}.")

    def _near(self, value: float, wanted: float) -> bool:
        return abs(value - wanted) <= self.tolerance * max(1.0, abs(wanted))


@dataclass(frozen=True)
class Verdict:
    """What the check of a question found."""

    question: Question
    status: str
    message: str

    @property
    def heading(self) -> str:
        return f"Question {self.question.number}, {self.question.title}: {self.status}"

    def __repr__(self) -> str:
        return self.heading + (f"\n  {self.message}" if self.message else "")

    def _repr_html_(self) -> str:
        return box(self.status, self.heading, [self.message])


@dataclass(frozen=True)
class Score:
    """The questions of a self-test, and how many were answered rightly."""

    questions: tuple[Question, ...]
    enough: int = 5

    def __repr__(self) -> str:
        right = sum(q.passed for q in self.questions)
        advice = (
            "You are ready to begin."
            if right >= self.enough
            else f"{self.enough} are enough to begin; the wrong ones name where to read up."
        )
        return f"{right} of {len(self.questions)} right. {advice}"
