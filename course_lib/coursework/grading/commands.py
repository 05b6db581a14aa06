"""The instructor's part of the `course` command."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from course_lib import expect

Results = Annotated[Path, typer.Argument(help="the folder that `course grade` wrote")]
Marks = Annotated[Path | None, typer.Option("--marks", help="CSV: student,item,points,reason")]
Roster = Annotated[Path | None, typer.Option("--roster", help="CSV: student,name,id,email")]


def release(
    modules: Annotated[list[str], typer.Argument(help="modules to hand out, such as 01")],
    out: Annotated[Path, typer.Option("--out", help="a new folder, or a file that ends in .zip")],
) -> None:
    """Make the bundle that students get, without solutions, tests or the grading side."""
    from course_lib.coursework.grading.release import release as make
    from course_lib.coursework.modules import find_module

    listed = make([find_module(m) for m in modules], out)
    print(f"{out}: {len(listed)} files, no solution among them")


def grade(
    module: Annotated[str, typer.Argument(help="01, wiener_filtering or 01_wiener_filtering")],
    submissions: Annotated[Path, typer.Option("--submissions", help="a folder: one notebook, zip or folder a student")],
    out: Annotated[Path, typer.Option("--out", help="a folder for the results; an interrupted run goes on")],
    jobs: Annotated[int | None, typer.Option("--jobs", help="submissions at once (default: all cores)")] = None,
    seed_file: Annotated[Path | None, typer.Option("--seed-file", help="the secret of the cases")] = None,
    scheduler: Annotated[str | None, typer.Option("--scheduler", help="address of a Dask cluster")] = None,
    unsafe: Annotated[
        bool,
        typer.Option("--run-hostile-code-on-this-machine-without-a-sandbox", help="only for code that you wrote"),
    ] = False,
) -> None:
    """Grade a folder of submissions, each in a sandbox."""
    from course_lib.coursework.grading.grade import UNGRADED, grade_all
    from course_lib.coursework.grading.submissions import collect
    from course_lib.coursework.modules import find_module

    found = find_module(module)
    if jobs is not None and jobs < 1:
        raise expect.InputError(f"expected --jobs as a number from 1, got {jobs}")
    work = collect(submissions, found)
    out.mkdir(parents=True, exist_ok=True)
    seed = secret(seed_file or out / "secret_seed")
    grades = grade_all(work, found.id, seed, out, jobs=jobs, scheduler=scheduler, unsafe=unsafe)
    width = max(len(g.student) for g in grades)
    for g in grades:
        print(f"{g.student:<{width}}  {g.points:>3} of {sum(e.of for e in g.exercises)}  {g.status}")
    waiting = sum(bool(a.answer) for g in grades for a in g.open_answers)
    print(f"{len(grades)} submissions; {waiting} answers to open questions wait for a person, in {out / 'results'}")
    if any(g.status.startswith(UNGRADED) for g in grades):
        raise typer.Exit(1)


def _finals(out: Path, marks: Path | None, roster: Path | None) -> tuple:
    from course_lib.coursework.grading.grade import load_results
    from course_lib.coursework.grading.marks import finalise, read_marks, read_roster
    from course_lib.exercises import load_lab

    module, grades = load_results(out)
    finals = finalise(grades, read_roster(roster) if roster else None, read_marks(marks) if marks else [])
    return load_lab(module), finals


def grades(
    out: Results,
    marks: Marks = None,
    roster: Roster = None,
) -> None:
    """Put marks and roster to the results: tables for Canvas, Moodle and nbgrader, and a class summary."""
    from course_lib.coursework.grading.reports import summary_page, tables
    from course_lib.files import write_whole

    lab, finals = _finals(out, marks, roster)
    folder = out / "grades"
    folder.mkdir(exist_ok=True)
    for name, text in {**tables(finals, lab), "summary.html": summary_page(finals, lab)}.items():
        write_whole(folder / name, text)
    waiting = sum(s == "waits for a person" for f in finals for s in f.statuses.values())
    print(f"{folder}: {len(finals)} students; {waiting} open answers wait for a mark")


def feedback(
    out: Results,
    marks: Marks = None,
    roster: Roster = None,
) -> None:
    """Write one self-contained page for each student: what passed, the diagnosis, a hint, the next step."""
    from course_lib.coursework.grading.grade import place
    from course_lib.coursework.grading.reports import write_feedback

    lab, finals = _finals(out, marks, roster)
    written = write_feedback(finals, lab, out / "feedback", place)
    print(f"{out / 'feedback'}: {len(written)} pages")


def secret(path: Path) -> str:
    """The batch's secret; made once, readable by its owner alone, so that a second grading draws the same cases."""
    try:
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(16) + "\n")
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise expect.InputError(f"expected a seed file that can be read, got {path}: {error.strerror}") from None
    if len(text) < 8:
        raise expect.InputError(f"expected a secret of at least 8 letters in {path}, got {len(text)}")
    return text


def add_to(app: typer.Typer) -> None:
    """Give the `course` command the instructor's subcommands."""
    for function in (release, grade, grades, feedback):
        app.command()(function)
