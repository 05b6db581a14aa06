"""A person's part of grading: a class roster, marks for open questions, overrides with a reason, late penalties.

They come in by CSV and are kept apart from the machine's results, so that grading again does not touch them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from course_lib import expect
from course_lib.coursework.grading.grade import Grade

MARKS_COLUMNS = ("student", "item", "points", "reason")
ROSTER_COLUMNS = ("student", "name", "id", "email")
LATE = "late"  # an item of the marks: a penalty in percent


@dataclass(frozen=True)
class Student:
    """One line of the roster: `student` is the name that the submission has."""

    student: str
    name: str
    id: str = ""
    email: str = ""


@dataclass
class Final:
    """One student's final result: points and status by item, and the total after a late penalty."""

    student: Student
    status: str
    points: dict[str, float] = field(default_factory=dict)
    of: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    penalty: float = 0.0
    grade: Grade | None = None

    @property
    def raw(self) -> float:
        return sum(self.points.values())

    @property
    def total(self) -> float:
        return round(self.raw * (1 - self.penalty / 100), 2)

    @property
    def most(self) -> int:
        return sum(self.of.values())


def read_rows(path: Path, columns: tuple[str, ...], needed: int) -> list[dict[str, str]]:
    """The rows of a CSV file with a header; the first `needed` columns must be there.

    Raises:
        InputError: no such file, not UTF-8 text, or a missing column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [c for c in columns[:needed] if c not in (reader.fieldnames or [])]
            if missing:
                raise expect.InputError(f"expected the columns {', '.join(columns)} in {path}, got no {missing[0]}")
            return [{c: (row.get(c) or "").strip() for c in columns} for row in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        raise expect.InputError(f"expected a CSV file, got {path}: {error}") from None


def read_roster(path: Path) -> list[Student]:
    """The class, in its order; every student once."""
    students = [Student(**row) for row in read_rows(path, ROSTER_COLUMNS, 2)]
    names = [s.student for s in students]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise expect.InputError(f"expected every student once in {path}, got {twice!r} twice")
    return students


def read_marks(path: Path) -> list[tuple[str, str, float, str]]:
    """(student, item, points, reason) of each row."""
    marks = []
    for number, row in enumerate(read_rows(path, MARKS_COLUMNS, 3), 2):
        try:
            points = float(row["points"])
            if not 0 <= points < 1e6:
                raise ValueError
        except ValueError:
            raise expect.InputError(f"expected points from 0 in {path}, line {number}, got {row['points']!r}") from None
        marks.append((row["student"], row["item"], points, row["reason"]))
    return marks


def finalise(
    grades: list[Grade], roster: list[Student] | None, marks: list[tuple[str, str, float, str]]
) -> list[Final]:
    """Put results, roster and marks together: every student of either list, and a status for every item.

    Raises:
        InputError: a mark for a student or an item that does not exist, beyond the item's points, or an override
            of a checked exercise without a reason.
    """
    by_name = {g.student: g for g in grades}
    if not grades:
        raise expect.InputError("expected graded submissions, got none: run `course grade` first")
    students = list(roster) if roster is not None else [Student(g.student, g.student) for g in grades]
    known = {s.student for s in students}
    students += [Student(g.student, g.student) for g in grades if g.student not in known]
    finals = {s.student: _machine(s, by_name.get(s.student), grades[0], roster is None or s.student in known)
              for s in students}  # fmt: skip
    checked = {e.function for e in grades[0].exercises}
    for student, item, points, reason in marks:
        if student not in finals:
            raise expect.InputError(f"expected a mark for a student of the class, got {student!r}")
        final = finals[student]
        if item == LATE:
            if points > 100:
                raise expect.InputError(f"expected a late penalty from 0 to 100 percent, got {points:g} for {student}")
            final.penalty = points
            continue
        if item not in final.of:
            raise expect.InputError(f"expected an item among {', '.join([*final.of, LATE])}, got {item!r}")
        if points > final.of[item]:
            raise expect.InputError(
                f"expected at most {final.of[item]} points for {item}, got {points:g} for {student}"
            )
        if item in checked and not reason:
            raise expect.InputError(f"expected a reason for the override of {item} for {student}, got none")
        final.points[item] = points
        final.statuses[item] = f"set by a person: {reason}" if reason else "marked"
    return list(finals.values())


def _machine(student: Student, grade: Grade | None, pattern: Grade, in_class: bool) -> Final:
    """The machine's part; a student without a submission has 0 everywhere, with that status."""
    final = Final(student, "nothing handed in" if grade is None else grade.status, grade=grade)
    if not in_class:
        final.status += ", not in the roster"
    for e in (grade or pattern).exercises:
        final.points[e.function] = e.points if grade else 0
        final.of[e.function] = e.of
        final.statuses[e.function] = e.status if grade else "nothing handed in"
    for a in (grade or pattern).open_answers:
        final.points[a.name], final.of[a.name] = 0, a.of
        final.statuses[a.name] = "waits for a person" if grade and a.answer else "no answer"
    return final
