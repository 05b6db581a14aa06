"""Find each student's notebook in the layouts that nbgrader, Moodle, Canvas and a plain folder use."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from course_lib import expect
from course_lib.coursework.modules import Module

MAX_BYTES = 20_000_000
MOODLE = re.compile(r"^(?P<student>.+?)_(?P<number>\d+)_assignsubmission_file_?$")
CANVAS = re.compile(r"^(?P<student>.+?)_(?:LATE_)?(?P<number>\d+)_\d+_.+\.(ipynb|zip)$", re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """One student's work: the notebook's text, or why there is none."""

    student: str
    file: str
    text: str = ""
    problem: str = ""


def collect(folder: Path, module: Module) -> list[Submission]:
    """All submissions in a folder, in alphabetical order of the students.

    Layouts, recognised for each entry by itself: `student.ipynb` or `student.zip` (plain), Canvas's
    `student_123_456_lab.ipynb`, Moodle's `Full Name_123_assignsubmission_file/…`, nbgrader's
    `student/MODULE/lab.ipynb`, and `student/lab.ipynb`.

    Raises:
        InputError: no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise expect.InputError(f"expected a folder of submissions, got {folder}")
    found: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_dir():
            match = MOODLE.match(entry.name)
            student = f"{match['student']} ({match['number']})" if match else entry.name
            found.setdefault(student, []).extend(_notebooks(entry, module))
        elif entry.suffix.lower() in (".ipynb", ".zip"):
            match = CANVAS.match(entry.name)
            student = f"{match['student']} ({match['number']})" if match else entry.stem
            found.setdefault(student, []).append(entry)
    if not found:
        raise expect.InputError(f"expected submissions (.ipynb, .zip or a folder a student) in {folder}, found none")
    return [_read(student, files, folder) for student, files in sorted(found.items())]


def _notebooks(folder: Path, module: Module) -> list[Path]:
    """The files of one student's folder that may be the lab; nbgrader's subfolder of the module comes first."""
    own = folder / module.id
    root = own if own.is_dir() else folder
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in (".ipynb", ".zip"))
    return [p for p in files if ".ipynb_checkpoints" not in p.parts and not p.name.startswith(".")]


def _read(student: str, files: list[Path], root: Path) -> Submission:
    names = ", ".join(str(p.relative_to(root)) for p in files)
    if not files:
        return Submission(student, "", problem="nothing handed in")
    if len(files) > 1:
        return Submission(student, names, problem=f"{len(files)} files, expected one")
    path = files[0]
    if path.is_symlink() or not path.is_file():
        return Submission(student, names, problem="a link or no plain file, expected a notebook")
    try:
        if path.stat().st_size > MAX_BYTES:
            size = path.stat().st_size / 1e6
            return Submission(student, names, problem=f"{size:.0f} MB, expected at most {MAX_BYTES / 1e6:.0f}")
        data = path.read_bytes()
    except OSError as error:
        return Submission(student, names, problem=f"cannot be read: {error.strerror}")
    if path.suffix.lower() == ".zip":
        return _unzipped(student, names, data)
    return _checked(student, names, data)


def _unzipped(student: str, names: str, data: bytes) -> Submission:
    """The one notebook of a zip file; nothing is unpacked to disk, and a bomb is not unpacked at all."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = [
                i for i in archive.infolist()
                if i.filename.lower().endswith(".ipynb") and "__MACOSX" not in i.filename
                and ".ipynb_checkpoints" not in i.filename
            ]  # fmt: skip
            if len(inside) != 1:
                return Submission(student, names, problem=f"{len(inside)} notebooks in the zip file, expected one")
            if inside[0].file_size > MAX_BYTES:
                return Submission(student, names, problem="the notebook in the zip file is too large")
            with archive.open(inside[0]) as file:
                return _checked(student, names, file.read(MAX_BYTES + 1))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError):
        return Submission(student, names, problem="a damaged zip file")


def _checked(student: str, names: str, data: bytes) -> Submission:
    try:
        notebook = json.loads(data.decode("utf-8"))
        if notebook["nbformat"] < 4:
            return Submission(
                student, names, problem=f"notebook format {notebook['nbformat']}, expected 4: save it anew"
            )
        for cell in notebook["cells"]:
            if not isinstance(source_of(cell), str) or not isinstance(cell["cell_type"], str):
                raise TypeError
            grade_id(cell)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Submission(student, names, problem="not a notebook" if data.strip() else "an empty file")
    return Submission(student, names, text=json.dumps(notebook))


def source_of(cell: dict) -> str:
    """A cell's text: notebooks store it as one string or as a list of lines."""
    return "".join(cell["source"])


def grade_id(cell: dict) -> str:
    """A cell's nbgrader id, or ""."""
    return str(cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", ""))
