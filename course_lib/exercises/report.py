"""Results and hints as a student sees them: symbol, colour and text in Jupyter, plain text elsewhere."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_lib.exercises.exercise import Exercise

SYMBOLS = {"passed": "✓", "failed": "✗", "not attempted yet": "○"}
COLOURS = {"passed": "#00674B", "failed": "#B03A00", "not attempted yet": "#5F5F5F"}


def box(status: str, heading: str, lines: list[str]) -> str:
    """A box with a coloured edge; it sets its own colours, so that it reads in light and dark themes."""
    colour = COLOURS[status]
    body = "".join(f"<div style='margin-top:4px'>{with_code(line)}</div>" for line in lines if line)
    return (
        f"<div role='status' style='border-left:4px solid {colour};padding:6px 12px;background:#F7F7F7;"
        f"color:#1A1A1A'><b style='color:{colour}'>{SYMBOLS[status]} {html.escape(heading)}</b>{body}</div>"
    )


def with_code(line: str) -> str:
    """Escaped text in which `this` is set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(line))


def sentence(text: str) -> str:
    """With a capital at its beginning, unless it begins with a variable: `z` is not `Z`, b₂ not B₂, and λ not Λ."""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    letters = len(list(takewhile(str.isalpha, first)))
    is_variable = (letters == 1 and first != "a") or not first[:1].isascii()
    return text if is_variable else text[:1].upper() + text[1:]


def whole_sentence(text: str) -> str:
    """A message as a sentence, with a full stop where nothing else ends it."""
    return sentence(text) if text.endswith((".", "?", "!")) else sentence(text) + "."


@dataclass(frozen=True)
class Result:
    """What a check found.

    Attributes:
        status: "passed", "failed" or "not attempted yet".
        message: the diagnosis; of a passed one, what is to be known besides.
        value_right: the values agree with the reference.
        kept: names of the properties that hold.
        mistake: name of the known mistake that the outputs match, or "".
    """

    exercise: Exercise
    status: str
    message: str
    value_right: bool = False
    kept: tuple[str, ...] = ()
    mistake: str = ""

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    @property
    def points(self) -> int:
        """Points earned: for the values, and for each property that holds."""
        mine = self.exercise.value_points if self.value_right else 0
        return mine + sum(p.points for p in self.exercise.properties if p.name in self.kept)

    def after(self, before: str) -> Result:
        """The same result, with a sentence before its message."""
        return replace(self, message=f"{before}. {sentence(self.message)}")

    @property
    def heading(self) -> str:
        return f"Exercise {self.exercise.number}, {self.exercise.title}: {self.status}"

    @property
    def lines(self) -> list[str]:
        if self.status == "not attempted yet":
            return [sentence(self.message)]
        total = f"{self.points} of {self.exercise.points} points"
        if self.passed:
            if not self.exercise.properties:
                return [total, sentence(self.message)]
            return [f"the values are right, and so are: {', '.join(self.kept)} · {total}", sentence(self.message)]
        parts = [f"{'✓' if self.value_right else '✗'} values"]
        parts += [f"{'✓' if p.name in self.kept else '✗'} {p.name}" for p in self.exercise.properties]
        return [
            whole_sentence(self.message),
            f"{' · '.join(parts)} · {total}",
            f"Stuck? lab.{self.exercise.function}.hint() shows the next hint.",
        ]

    def __repr__(self) -> str:
        symbol = SYMBOLS[self.status]
        return "\n".join([f"{symbol} {self.heading}", *(f"  {line}" for line in self.lines if line)])

    def _repr_html_(self) -> str:
        return box(self.status, self.heading, self.lines)


@dataclass(frozen=True)
class Hint:
    """One step of an exercise's ladder of hints."""

    exercise: Exercise
    step: int

    @property
    def text(self) -> str:
        return self.exercise.hints[self.step - 1]

    @property
    def heading(self) -> str:
        return f"Exercise {self.exercise.number}, hint {self.step} of {len(self.exercise.hints)}"

    def __repr__(self) -> str:
        return f"{self.heading}: {self.text}"

    def _repr_html_(self) -> str:
        last = "" if self.step < len(self.exercise.hints) else "This is the last hint."
        return box("not attempted yet", self.heading, [self.text, last]).replace("○", "💡", 1)
