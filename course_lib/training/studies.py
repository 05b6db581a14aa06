"""Studies: what takes longer than a notebook may, measured once by `make studies` and recorded with seeds and commit.

A lecture shows such numbers as recorded. A study goes on where it was stopped, for each run's result is kept at once.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import course_lib
from course_lib import expect
from course_lib.files import write_whole

ROOT = Path(course_lib.__file__).resolve().parents[1]
RECORDED = Path(__file__).parent / "recorded"  # in the library, for students have no docs/
UNFINISHED = ROOT / "work" / "studies"

Settings = dict[str, object]
Row = dict[str, object]  # the settings of a run, and the metrics that it reached


@dataclass(frozen=True, kw_only=True)
class Study:
    """Many runs that answer one question.

    Attributes:
        name: of the study and its file.
        question: in one sentence.
        runs: the settings of each run, among them its "seed".
        measure: settings → metrics.
        constants: what is the same in all runs, for the record.
    """

    name: str
    question: str
    runs: Sequence[Settings]
    measure: Callable[..., dict[str, float]]
    constants: Settings


def run_study(study: Study, show: Callable[[str], None] = print) -> Path:
    """Make all runs that have no result yet, and write the record when none is left.

    Args:
        study: what to measure.
        show: called with a line for each run.

    Returns:
        the record, recorded/NAME.json in this room.

    Raises:
        InputError: a folder or disk that cannot be written to; results that are there already stay.
    """
    kept = UNFINISHED / f"{study.name}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    RECORDED.mkdir(parents=True, exist_ok=True)
    begun = {"constants": study.constants, "rows": []}
    if kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        begun = found if found["constants"] == json.loads(json.dumps(study.constants)) else begun
    rows = begun["rows"]
    for number, settings in enumerate(study.runs, 1):
        if any(settings.items() <= row.items() for row in rows):
            continue
        started = time.monotonic()
        row = settings | study.measure(**settings)
        rows.append(row | {"seconds": round(time.monotonic() - started, 1)})
        write_whole(kept, json.dumps(begun))
        show(f"{study.name} {number}/{len(study.runs)}: {row}")
    record = {
        "study": study.name,
        "question": study.question,
        "commit": _commit(),
        "torch": torch.__version__,
        **begun,
    }
    path = RECORDED / f"{study.name}.json"
    write_whole(path, json.dumps(record, indent=1) + "\n")
    kept.unlink()
    return path


def recorded_study(name: str) -> dict:
    """The record of a study: "question", "commit", "constants" and "rows".

    Raises:
        InputError: there is none of that name.
    """
    path = RECORDED / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECORDED.glob("*.json"))) or "(none yet)"
        raise expect.InputError(f"expected a recorded study among {known}, got {name!r}")
    return json.loads(path.read_text(encoding="utf-8"))


def mean_of(rows: Sequence[Row], metric: str, **settings: object) -> float:
    """The mean of a metric over all rows with these settings.

    Raises:
        InputError: there is no such row.
    """
    found = [row[metric] for row in rows if settings.items() <= row.items()]
    if not found:
        raise expect.InputError(f"expected rows with {settings}, got none")
    return sum(found) / len(found)


def _commit() -> str:
    """The commit that is checked out, marked where files have been changed since."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"
