"""Which modules there are, and where their files lie."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import course_lib
from course_lib import expect

ROOT = Path(course_lib.__file__).resolve().parents[1]
START_PAGE = "00_start_here"
TIMINGS = ROOT / "docs" / "timings.json"


@dataclass(frozen=True)
class Module:
    """One module: a lecture, and a lab with its solution."""

    id: str

    @property
    def number(self) -> str:
        return self.id.split("_")[0]

    @property
    def name(self) -> str:
        return self.id.split("_", 1)[1]

    @property
    def lecture(self) -> Path:
        return ROOT / "lectures" / f"{self.id}.py"

    @property
    def solution(self) -> Path:
        return ROOT / "solutions" / self.id / f"{self.id}.py"

    @property
    def lab(self) -> Path:
        return ROOT / "labs" / self.id / f"{self.id}.ipynb"


def modules() -> list[Module]:
    """All modules, in order: each lecture but the start page."""
    return [Module(p.stem) for p in sorted((ROOT / "lectures").glob("[0-9]*.py")) if p.stem != START_PAGE]


def find_module(text: str) -> Module:
    """The module that "01", "wiener_filtering" or "01_wiener_filtering" names.

    Raises:
        InputError: no module has that name.
    """
    for module in modules():
        if text in (module.id, module.number, module.name):
            return module
    known = ", ".join(module.id for module in modules())
    raise expect.InputError(f"expected a module among {known}, got {text!r}")


@cache
def header(source: Path) -> dict:
    """The `course` entry of a notebook source's own header: title, level, minutes, needs."""
    import yaml

    lines = source.read_text(encoding="utf-8").splitlines()
    end = lines.index("# ---", 1)
    entry = yaml.safe_load("\n".join(line[2:] for line in lines[1:end]))["jupyter"]["course"]
    missing = {"title", "level", "minutes", "needs"} - set(entry)
    if missing:
        raise expect.InputError(
            f"expected title, level, minutes and needs in the header of {source.name}, "
            f"got no {', '.join(sorted(missing))}"
        )
    return entry


def seconds(path: Path) -> float | None:
    """Measured seconds of a notebook on one thread, from docs/timings.json; None if never measured."""
    if not TIMINGS.exists() or not path.is_relative_to(ROOT):
        return None
    key = path.relative_to(ROOT).with_suffix(".ipynb").as_posix()
    return json.loads(TIMINGS.read_text(encoding="utf-8"))["seconds"].get(key)


def measured(path: Path) -> str:
    """Measured seconds in words."""
    value = seconds(path)
    return "not measured yet" if value is None else f"≈ {max(1, round(value))} s"


def modules_table(prefix: str) -> str:
    """The table of modules in Markdown, from the notebooks' own headers; `prefix` leads to the repository.

    On the start page (with a prefix) a lab's link leads to where the reader gets a copy of it: labs/ stays as it is.
    """
    rows = [
        "| module | lecture | lab | level | minutes: lecture, lab | measured: lecture, solved lab |",
        "|---|---|---|---|---|---|",
    ]
    for module in modules():
        lecture, lab = header(module.lecture), header(module.solution)
        place = "#Your-own-copy-of-a-lab" if prefix else f"labs/{module.id}/{module.id}.ipynb"
        rows.append(
            f"| {module.number} | [{lecture['title']}]({prefix}lectures/{module.id}.ipynb) "
            f"| [{lab['title']}]({place}) | {lecture['level']} "
            f"| {lecture['minutes']}, {lab['minutes']} "
            f"| {measured(module.lecture)}, {measured(module.solution)} |"
        )
    return "\n".join(rows)
