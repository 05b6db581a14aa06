"""The bundle that students get: lectures, labs and the library, without solutions, tests or the grading side."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from course_lib import expect
from course_lib.coursework.modules import ROOT, START_PAGE, Module

FILES = ["LICENSE", "LICENSE-TEXT", "CITATION.cff", "Makefile", "make.py", "pyproject.toml", "constraints.txt",
         "environment.yml", ".gitignore"]  # fmt: skip
NOT_FOR_STUDENTS = ("grading", "notebooks.py", "guide.py", "__pycache__")
README = """# Deep learning for signals and medical images

You need Python 3.11, 3.12 or 3.13 and pip.

    make lab              # or, without make: python make.py lab

sets everything up in this folder and opens JupyterLab on the start page, which gives you a copy of each lab in the
folder work/. Hand in that copy.
"""


def release(modules: list[Module], out: Path) -> list[str]:
    """Write the students' bundle into an empty folder, or into a zip file if `out` ends in .zip.

    Args:
        modules: the modules to hand out; the start page always comes along.
        out: a folder that does not exist or is empty, or a zip file.

    Returns:
        the files of the bundle, relative, in order.

    Raises:
        InputError: `out` holds something already, or an answer would be in the bundle (nothing is written).
    """
    if out.exists() and (out.suffix == ".zip" or not out.is_dir() or any(out.iterdir())):
        raise expect.InputError(f"expected a new folder or zip file for the release, got {out}, which is not empty")
    if not out.parent.is_dir():
        raise expect.InputError(f"expected --out in an existing folder, got {out}")
    with tempfile.TemporaryDirectory(prefix="course-release-") as name:
        bundle = Path(name) / "bundle"
        _fill(bundle, modules)
        _prove(bundle, modules)
        listed = sorted(p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file())
        if out.suffix == ".zip":
            shutil.move(shutil.make_archive(str(Path(name) / "release"), "zip", bundle), out)
        else:
            shutil.copytree(bundle, out, dirs_exist_ok=True)
    return listed


def _fill(bundle: Path, modules: list[Module]) -> None:
    for file in FILES:
        bundle.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, bundle / file)
    (bundle / "README.md").write_text(README, encoding="utf-8")
    shutil.copytree(
        ROOT / "course_lib", bundle / "course_lib", ignore=shutil.ignore_patterns(*NOT_FOR_STUDENTS, "*.pyc")
    )
    (bundle / "lectures").mkdir()
    for name in (START_PAGE, *(m.id for m in modules)):
        for suffix in (".py", ".ipynb"):
            shutil.copy(ROOT / "lectures" / f"{name}{suffix}", bundle / "lectures")
    for module in modules:
        (bundle / "labs" / module.id).mkdir(parents=True)
        shutil.copy(module.lab, bundle / "labs" / module.id)


def _prove(bundle: Path, modules: list[Module]) -> None:
    """No line that only an answer holds stands in a notebook, and no file of the grading side is there."""
    from course_lib.coursework.notebooks import answer_lines, lab_problems, unexecuted

    for part in ("solutions", "tests", "docs", "nbgrader_config.py", "course_lib/coursework/grading"):
        if (bundle / part).exists():
            raise expect.InputError(f"expected a release without {part}, got one with it")
    for module in modules:
        lab = bundle / "labs" / module.id / module.lab.name
        for problem in lab_problems(lab, module):
            raise expect.InputError(f"expected a lab as generated, got {module.lab.name}: {problem.words}")
        answers = answer_lines(unexecuted(module.solution))
        for file in bundle.rglob("*.ipynb"):
            text = file.read_text(encoding="utf-8")
            for line in answers:
                if len(line) > 40 and line in text and file.parent.name != "lectures":
                    raise expect.InputError(f"expected no answer in the release, got {line[:60]!r} in {file.name}")
