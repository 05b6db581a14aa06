"""All exercises of one lab, and the student's progress through them."""

from __future__ import annotations

import html
from dataclasses import dataclass

from course_lib.exercises.exercise import Exercise
from course_lib.exercises.report import COLOURS, SYMBOLS


@dataclass(frozen=True)
class OpenQuestion:
    """A question that a person marks: `marking` tells that person what a full answer says."""

    number: int
    name: str
    title: str
    minutes: int
    points: int
    marking: tuple[str, ...]


@dataclass(frozen=True)
class Lab:
    """The exercises and open questions of one module, in the order of the notebook."""

    module: str
    title: str
    exercises: tuple[Exercise, ...]
    open_questions: tuple[OpenQuestion, ...] = ()

    @property
    def minutes(self) -> int:
        return sum(e.minutes for e in (*self.exercises, *self.open_questions))

    @property
    def points(self) -> int:
        return sum(e.points for e in (*self.exercises, *self.open_questions))

    def __getitem__(self, function: str) -> Exercise:
        return next(e for e in self.exercises if e.function == function)

    def progress(self) -> Progress:
        """The student's own table: what has passed in this session."""
        return Progress(self)


class Progress:
    """A snapshot of a lab's results, as a table."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.results = [exercise.result for exercise in lab.exercises]

    @property
    def passed(self) -> int:
        return sum(result.passed for result in self.results)

    @property
    def points(self) -> int:
        return sum(result.points for result in self.results)

    @property
    def summary(self) -> str:
        total = sum(e.points for e in self.lab.exercises)
        return f"{self.passed} of {len(self.results)} exercises passed, {self.points} of {total} points"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        rows = [
            (str(r.exercise.number), r.exercise.title, r.status, f"{r.points} of {r.exercise.points}")
            for r in self.results
        ]
        marked = "marked by a person"
        return rows + [(str(q.number), q.title, marked, f"– of {q.points}") for q in self.lab.open_questions]

    def __repr__(self) -> str:
        width = max(len(title) for _, title, _, _ in self._rows())
        lines = [f"Progress · {self.lab.title}"]
        for number, title, status, points in self._rows():
            lines.append(f"  {number:>2}  {title:<{width}}  {SYMBOLS.get(status, '✎')} {status:<18} {points}")
        return "\n".join([*lines, f"  {self.summary}"])

    def _repr_html_(self) -> str:
        cells = []
        for number, title, status, points in self._rows():
            colour = COLOURS.get(status, "#1A1A1A")
            shown = f"<b style='color:{colour}'>{SYMBOLS.get(status, '✎')}</b> {html.escape(status)}"
            cells.append(
                f"<tr><td>{number}</td><td style='text-align:left'>{html.escape(title)}</td>"
                f"<td style='text-align:left'>{shown}</td><td>{points}</td></tr>"
            )
        return (
            "<table style='background:#F7F7F7;color:#1A1A1A'>"
            f"<caption style='text-align:left'><b>Progress · {html.escape(self.lab.title)}</b></caption>"
            "<thead><tr><th>exercise</th><th>title</th><th>status</th><th>points</th></tr></thead>"
            f"<tbody>{''.join(cells)}</tbody></table><p><b>{html.escape(self.summary)}</b></p>"
        )
