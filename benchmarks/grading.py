"""Whole-process seconds of `course grade` beside `nbgrader autograde`, on the same lab and submissions, in one run.

python make.py bench runs this after run.py. The submissions are the solved lab, each for a student of its own.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from course_lib.coursework.modules import ROOT, find_module

STUDENTS, RUNS = 4, 3
MODULE = find_module("01")
SOLVED = MODULE.solution.with_suffix(".ipynb")
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


def seconds(*command: str, cwd: Path) -> float:
    start = time.perf_counter()
    run = subprocess.run(command, cwd=cwd, env=ENV, capture_output=True, text=True)
    spent = time.perf_counter() - start
    assert run.returncode == 0, run.stderr[-2000:]
    return spent


def course_grade(folder: Path, jobs: int) -> float:
    """A fresh batch each time, so that nothing is resumed."""
    out = Path(tempfile.mkdtemp(dir=folder))
    arguments = ["grade", MODULE.id, "--submissions", str(folder / "plain"), "--out", str(out), "--jobs", str(jobs)]
    return seconds(sys.executable, "-m", "course_lib.coursework.cli", *arguments, cwd=folder)


def nbgrader_autograde(folder: Path) -> float:
    shutil.rmtree(folder / "work" / "autograded", ignore_errors=True)
    return seconds(sys.executable, "-m", "nbgrader", "autograde", MODULE.id, "--force", cwd=folder)


def prepare(folder: Path) -> None:
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    shutil.copytree(MODULE.solution.parent, folder / "solutions" / MODULE.id)
    seconds(sys.executable, "-m", "nbgrader", "generate_assignment", MODULE.id, cwd=folder)
    (folder / "plain").mkdir()
    for i in range(STUDENTS):
        place = folder / "work" / "submitted" / f"student{i}" / MODULE.id
        place.mkdir(parents=True)
        shutil.copy(SOLVED, place)
        shutil.copy(SOLVED, folder / "plain" / f"student{i}.ipynb")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        times = {"course, 1 job": [], "course, 2 jobs": [], "nbgrader": []}
        for _ in range(RUNS):
            times["course, 1 job"].append(course_grade(folder, 1))
            times["course, 2 jobs"].append(course_grade(folder, 2))
            times["nbgrader"].append(nbgrader_autograde(folder))
    one, two, theirs = (statistics.median(t) for t in times.values())
    print(f"grading {STUDENTS} solved labs, medians of {RUNS}, {os.cpu_count()} cores")
    print(f"  course grade, 1 job {one:.1f} s, 2 jobs {two:.1f} s; nbgrader autograde {theirs:.1f} s")
    ratios = f"2 jobs over nbgrader {two / theirs:.2f}; 1 job over nbgrader {one / theirs:.2f}"
    print(f"  {ratios}; 2 jobs are {one / two:.2f} times as fast as 1")
    spent, own = one_submission()
    print(f"  one submission {spent:.1f} s, of which its own cells {own:.1f} s: {spent - own:.1f} s beyond them")


def one_submission() -> tuple[float, float]:
    """Seconds of one submission, and of its own cells within it."""
    from course_lib.coursework.grading import grade
    from course_lib.coursework.grading.submissions import Submission

    marks = {}
    read = grade._read

    def watch(line: bytes, report: object, at: list) -> None:
        name = "first" if b'"cell"' in line else "last" if b'"cells"' in line else ""
        marks.setdefault(name, time.perf_counter())
        read(line, report, at)

    grade._read = watch
    start = time.perf_counter()
    grade.grade_one(Submission("one", "", SOLVED.read_text(encoding="utf-8")), MODULE.id, "a secret seed")
    return time.perf_counter() - start, marks["last"] - marks["first"]


if __name__ == "__main__":
    main()
