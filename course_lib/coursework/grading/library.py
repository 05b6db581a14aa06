"""The course's library as the sandbox sees it: without the answers, the references and the checks."""

from __future__ import annotations

import ast
import shutil
from importlib import import_module
from pathlib import Path

import course_lib
from course_lib.exercises import LABS, Lab
from course_lib.exercises.calls import AnswerIsAbsent

SOURCE = Path(course_lib.__file__).parent
ABSENT = AnswerIsAbsent.__name__
STUB = """
from course_lib.exercises.calls import {absent}


class _Exercise:
    def check(self, function): return None
    def or_reference(self, function): return function
    def hint(self, step=None): return None
    def reference(self, *arguments): raise {absent}("the course's reference")


{names}


def progress(): return None
"""


def without_answers(lab: Lab, folder: Path) -> Path:
    """Copy the library to `folder`, take a lab's answers out, and put a stub in place of its checks.

    A function or class that is an answer keeps its name and raises when it is called, so that whatever imports
    it still loads. The references and known mistakes are not in the copy at all.
    """
    target = folder / "course_lib"
    shutil.copytree(SOURCE, target, ignore=shutil.ignore_patterns("__pycache__", "coursework", "exercises"))
    exercises = target / "exercises"
    exercises.mkdir()
    (exercises / "__init__.py").write_text("", encoding="utf-8")
    for name in ("calls.py", "packing.py"):
        shutil.copy(SOURCE / "exercises" / name, exercises / name)
    names = "\n".join(f"{e.function} = _Exercise()" for e in lab.exercises)
    (exercises / f"{LABS[lab.module]}.py").write_text(STUB.format(absent=ABSENT, names=names), encoding="utf-8")
    for module, names in answers_by_module(lab).items():
        file = target.parent.joinpath(*module.split(".")).with_suffix(".py")
        file.write_text(_emptied(file.read_text(encoding="utf-8"), names), encoding="utf-8")
    return folder


def answers_by_module(lab: Lab) -> dict[str, set[str]]:
    """The module that defines each answer → the names there; what hands it on has it from there."""
    found: dict[str, set[str]] = {}
    for full_name in {name for exercise in lab.exercises for name in exercise.answers}:
        place, name = full_name.rsplit(".", 1)
        answer = getattr(import_module(place), name)
        found.setdefault(answer.__module__, set()).add(answer.__name__)
    return found


def _emptied(text: str, names: set[str]) -> str:
    """A module's text in which the functions and classes of these names raise when they are called."""
    tree = ast.parse(text)
    raising = f'from course_lib.exercises.calls import {ABSENT}\nraise {ABSENT}("this function is the answer itself")'
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            node.body, node.decorator_list = ast.parse(raising).body, []
        elif isinstance(node, ast.ClassDef) and node.name in names:
            node.body = ast.parse(f"def __new__(cls, *a, **k):\n    {raising.replace(chr(10), chr(10) + '    ')}").body
    return ast.unparse(ast.fix_missing_locations(tree))
