"""Grade submissions: run each in its sandbox, judge the arrays that come out, put down a result for each student."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import sys
import tempfile
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from course_lib import expect
from course_lib.coursework.grading import sandbox
from course_lib.coursework.grading.library import ABSENT, without_answers
from course_lib.coursework.grading.submissions import Submission, grade_id, source_of
from course_lib.coursework.modules import find_module
from course_lib.exercises import Exercise, Lab, load_lab
from course_lib.exercises.calls import Outcome
from course_lib.exercises.packing import pack
from course_lib.files import write_whole

MOST_RUNS = 12  # each run after the first leaves out a cell or a function that ended the one before
UNGRADED = "could not be graded"  # not the student's doing: such a result is made again by the next call
WORKER = Path(__file__).with_name("worker.py")


@dataclass
class ExerciseGrade:
    """One exercise of one student."""

    number: int
    function: str
    title: str
    status: str
    points: int
    of: int
    message: str = ""
    mistake: str = ""
    properties: dict[str, bool] = field(default_factory=dict)


@dataclass
class OpenAnswer:
    """One open question of one student, for a person to mark."""

    number: int
    name: str
    title: str
    answer: str
    of: int


@dataclass
class Grade:
    """Everything about one student's submission."""

    module: str
    student: str
    file: str
    status: str
    key: str
    exercises: list[ExerciseGrade]
    open_answers: list[OpenAnswer]
    notes: list[str]

    @property
    def points(self) -> int:
        return sum(e.points for e in self.exercises)


def key_of(submission: Submission, module: str, seed: str) -> str:
    """What a result depends on; a result with another key is graded again."""
    declarations = hashlib.sha256()
    for file in sorted((Path(__file__).parents[2] / "exercises").glob("*.py")):
        declarations.update(file.read_bytes())
    text = json.dumps([submission.student, submission.text, submission.problem, module, seed, declarations.hexdigest()])
    return hashlib.sha256(text.encode()).hexdigest()


def grade_one(
    submission: Submission, module: str, seed: str, unsafe: bool = False, limits: sandbox.Limits | None = None
) -> Grade:
    """Grade one submission. Nothing that it holds is believed, and nothing in it can stop the batch.

    Args:
        submission: the notebook's text, or why there is none.
        module: the lab's module id.
        seed: the secret from which the cases are drawn.
        unsafe: run the code without a sandbox.
        limits: what the sandbox may use.
    """
    lab = load_lab(module)
    key = key_of(submission, module, seed)
    if submission.problem:
        return _without_work(submission, lab, key, submission.problem)
    cells = json.loads(submission.text)["cells"]
    ids = [grade_id(cell) for cell in cells]
    known = {e.function for e in lab.exercises}
    code = [(i, source_of(c)) for i, c in enumerate(cells) if c["cell_type"] == "code"]
    if not known & set(ids) and not any(f"def {name}" in source for name in known for _, source in code):
        return _without_work(submission, lab, key, f"no exercise of {lab.title} is in it: is it another lab?")
    report = _run(code, lab, seed, unsafe, limits or sandbox.Limits())
    if not report.started:  # no cell of the student's ran, so it is not the student's doing: tried again next time
        why = f"{UNGRADED}: the sandbox did not start Python"
        return _without_work(submission, lab, "", why)
    notes = [f"cell {i + 1} was left out: {why}" for i, why in report.left_out.items() if isinstance(i, int)]
    release = json.loads(submission.text).get("metadata", {}).get("course", {})
    if isinstance(release, dict) and release.get("source_sha256") not in (None, current_release(module)):
        notes.append("it was made from another release of the lab")
    notes += [f"duplicated grade id {i}" for i in sorted({i for i in ids if i and ids.count(i) > 1})]
    exercises = [_judge(e, report, seed) for e in lab.exercises]
    return Grade(module, submission.student, submission.file, "graded", key, exercises, _open(lab, cells), notes)


@dataclass
class Report:
    """What came out of the sandbox: outcomes by exercise and call, and what was left out and why."""

    outcomes: dict[str, dict[int, Outcome]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    left_out: dict[int | str, str] = field(default_factory=dict)
    started: bool = False


def _run(code: list[tuple[int, str]], lab: Lab, seed: str, unsafe: bool, limits: sandbox.Limits) -> Report:
    """Run the cells and the functions; what ends a run is left out of the next one."""
    bwrap = None if unsafe else sandbox.bubblewrap()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="course-grade-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        library = without_answers(lab, folder / "library")
        (library / "worker.py").write_bytes(WORKER.read_bytes())
        task = folder / "task"
        task.mkdir()
        calls = _write_arrays(lab, seed, task)
        limits_of_calls = {
            e.function: {"closed": e.closed, "most_multiplications": e.most_multiplications} for e in lab.exercises
        }
        for _ in range(MOST_RUNS):
            record = {"cells": code, "calls": calls, "limits": limits_of_calls, "left_out": list(report.left_out)}
            (task / "task.json").write_text(json.dumps(record))
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o755 if path.is_dir() else 0o644)
            report.outcomes, report.missing, at = {}, set(), [None]
            places = {"/course": library, "/task": task} if bwrap else {}
            program = [sys.executable, "-c", _START.format(course="/course" if bwrap else str(library)),
                       "/task" if bwrap else str(task)]  # fmt: skip
            ending = sandbox.run(program, places, limits, lambda line, at=at: _read(line, report, at), bwrap=bwrap)
            report.started = at[0] is not None
            if at[0] == "all" or at[0] is None:
                break
            why = {"finished": "it ended the program", "died": "it ended the program", "silent": "it took too long",
                   "out of time": "the time was used up", "too much output": "it wrote too much"}  # fmt: skip
            report.left_out[at[0]] = why[ending.how]
    return report


_START = """
import runpy, sys
sys.path.insert(0, {course!r})
runpy.run_path({course!r} + "/worker.py", run_name="__main__")
"""


def _write_arrays(lab: Lab, seed: str, task: Path) -> dict[str, list]:
    """Put the arguments of all calls into a file of plain arrays; give the list of calls."""
    arrays: dict[str, np.ndarray] = {}
    calls = {e.function: [pack(call.arguments, arrays) for call in e.calls(seed)] for e in lab.exercises}
    np.savez(task / "arrays.npz", **arrays)
    return calls


def _read(line: bytes, report: Report, at: list) -> None:
    """Take in one line from the sandbox; what is malformed is passed over."""
    try:
        said = json.loads(line)
        if "cell" in said:
            at[0] = int(said["cell"])
        elif "exercise" in said:
            at[0] = str(said["exercise"])
        elif "missing" in said:
            report.missing.add(str(said["missing"]))
        elif said.get("all") == "done":
            at[0] = "all"
        elif "outcome" in said:
            arrays = said["arrays"]
            outcome = Outcome(
                arrays=None if arrays is None else tuple(_array(a) for a in arrays),
                kind=str(said["kind"])[:200],
                error=None if said["error"] is None else str(said["error"])[:500],
                error_type=str(said["error_type"])[:80],
                blank=bool(said["blank"]),
                changed=tuple(int(i) for i in said["changed"])[:8],
            )
            report.outcomes.setdefault(str(said["outcome"]), {})[int(said["call"])] = outcome
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, OverflowError, EOFError):
        return


def _array(text: str) -> np.ndarray:
    """An array from the sandbox: numbers only, and no larger than what was really sent."""
    data = base64.b64decode(text)
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("not a plain array")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "biufc" or math.prod(shape) * dtype.itemsize > len(data):
        raise ValueError("not an array of numbers")
    return np.load(io.BytesIO(data), allow_pickle=False)


def _judge(exercise: Exercise, report: Report, seed: str) -> ExerciseGrade:
    def zero(status: str, message: str) -> ExerciseGrade:
        nothing = {p.name: False for p in exercise.properties}
        return ExerciseGrade(exercise.number, exercise.function, exercise.title, status, 0, exercise.points, message,
                             properties=nothing)  # fmt: skip

    if exercise.function in report.left_out:
        return zero("stopped", f"calling the function was stopped: {report.left_out[exercise.function]}")
    if exercise.function in report.missing:
        return zero("missing", f"no function {exercise.function} is defined when all cells have run")
    calls = exercise.calls(seed)
    found = report.outcomes.get(exercise.function, {})
    if any(position not in found for position in range(len(calls))):
        return zero("not reached", "the run ended before this function was called")
    outcomes = [found[position] for position in range(len(calls))]
    if any(outcome.error_type == ABSENT for outcome in outcomes):
        return zero("delegates", "the function calls the library's own answer or reference")
    try:
        result = exercise.judge(calls, outcomes)
    except Exception as error:  # arrays may be anything: whatever they do to the judge, it is no right answer
        return zero("failed", f"the returned values cannot be compared ({type(error).__name__})")
    if result.status == "not attempted yet":
        return zero("not attempted", "the function is blank")
    kept = {p.name: p.name in result.kept for p in exercise.properties}
    return ExerciseGrade(exercise.number, exercise.function, exercise.title, result.status, result.points,
                         exercise.points, result.message, result.mistake, kept)  # fmt: skip


def _open(lab: Lab, cells: list[dict]) -> list[OpenAnswer]:
    texts = {grade_id(cell): source_of(cell) for cell in reversed(cells)}
    return [
        OpenAnswer(q.number, q.name, q.title, texts.get(q.name, "").replace("YOUR ANSWER HERE", "").strip(), q.points)
        for q in lab.open_questions
    ]


def _without_work(submission: Submission, lab: Lab, key: str, why: str) -> Grade:
    exercises = [
        ExerciseGrade(e.number, e.function, e.title, "no usable submission", 0, e.points, why) for e in lab.exercises
    ]
    open_answers = [OpenAnswer(q.number, q.name, q.title, "", q.points) for q in lab.open_questions]
    return Grade(lab.module, submission.student, submission.file, why, key, exercises, open_answers, [])


# --- a batch ------------------------------------------------------------------------------------------


def grade_all(
    submissions: list[Submission], module: str, seed: str, out: Path, *, jobs: int | None = None,
    scheduler: str | None = None, unsafe: bool = False,
) -> list[Grade]:  # fmt: skip
    """Grade a batch in parallel; a result that lies in `out` and is still valid is not made again.

    Each result is written when it is there, so an interrupted run goes on where it stopped.
    """
    if not unsafe:
        sandbox.bubblewrap()  # told before the work begins
    results = out / "results"
    results.mkdir(parents=True, exist_ok=True)
    grades: dict[str, Grade] = {}
    todo = []
    for submission in submissions:
        old = _stored(place(results, submission.student))
        if old is not None and old.key == key_of(submission, module, seed):
            grades[submission.student] = old
        else:
            todo.append(submission)
    if todo:
        with _executor(jobs, scheduler, len(todo)) as executor:
            futures = {executor.submit(grade_one, s, module, seed, unsafe): s for s in todo}
            for future in as_completed(futures):
                try:
                    grade = future.result()
                except Exception as error:  # a worker that died takes no other submission with it
                    why = f"{UNGRADED} ({type(error).__name__}): run the command again"
                    grade = _without_work(futures[future], load_lab(module), "", why)
                write_whole(place(results, grade.student), json.dumps(asdict(grade), indent=1, ensure_ascii=False))
                grades[grade.student] = grade
                print(f"{grade.student}: {grade.points} points, {grade.status}", file=sys.stderr)
    return [grades[s.student] for s in submissions]


def _executor(jobs: int | None, scheduler: str | None, tasks: int) -> Executor:
    if scheduler:
        try:
            from distributed import Client
        except ImportError:
            raise expect.InputError(
                "expected the package distributed for --scheduler: pip install distributed"
            ) from None
        try:
            return Client(scheduler, timeout=10).get_executor()
        except OSError:
            raise expect.InputError(f"expected a Dask scheduler at {scheduler}, found none") from None
    return ProcessPoolExecutor(min(jobs or os.cpu_count() or 1, tasks), mp_context=get_context("spawn"))


def place(results: Path, student: str) -> Path:
    """A file name that any student's name makes, and no two the same."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "_" for c in student)[:60]
    return results / f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:10]}.json"


def current_release(module: str) -> str:
    """What marks a lab's release: the hash of the text it is made from."""
    lab = json.loads(find_module(module).lab.read_text(encoding="utf-8"))
    return lab["metadata"]["course"]["source_sha256"]


def load_results(out: Path) -> tuple[str, list[Grade]]:
    """(module, grades) that lie in a folder of `course grade`, in alphabetical order of the students.

    Raises:
        InputError: there are none, or they are of several modules.
    """
    found = [_stored(path) for path in sorted((out / "results").glob("*.json"))]
    grades = sorted((g for g in found if g is not None), key=lambda g: g.student)
    modules = {g.module for g in grades}
    if len(modules) != 1:
        raise expect.InputError(f"expected the results of one module in {out}, got {len(modules)}: run `course grade`")
    return modules.pop(), grades


def _stored(path: Path) -> Grade | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["exercises"] = [ExerciseGrade(**e) for e in record["exercises"]]
        record["open_answers"] = [OpenAnswer(**a) for a in record["open_answers"]]
        return Grade(**record)
    except (OSError, ValueError, KeyError, TypeError):
        return None
