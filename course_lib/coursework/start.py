"""Give a student a copy of a lab to work in, and bring a changed lab into it without losing an answer."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path

from course_lib import expect
from course_lib.coursework.files import write_whole
from course_lib.coursework.modules import ROOT, find_module


@dataclass(frozen=True)
class Started:
    """Where the student's copy lies, and what was done to it."""

    path: Path
    done: str

    def __repr__(self) -> str:
        return f"your copy: {self.path.relative_to(ROOT).as_posix()}"

    def _repr_markdown_(self) -> str:
        place = self.path.relative_to(ROOT).as_posix()
        return f"**[Open your copy: {place}](../{place})**"


def start_lab(module: str, *, update: bool = False) -> Started:
    """Copy a lab into work/, where it is the student's own; an existing copy is never overwritten.

    Args:
        module: "01", "wiener_filtering" or "01_wiener_filtering".
        update: bring the present lab into an existing copy. Answers are kept by their grade id, cells that
            the student added stay behind the cell they followed, and the old copy is kept beside the new one.

    Raises:
        InputError: an unknown module; an update of a copy that is no notebook (it is left as it is).
    """
    found = find_module(module)
    lab = _read(found.lab)
    lab["metadata"].setdefault("course", {})["cells"] = [cell["id"] for cell in lab["cells"]]
    target = ROOT / "work" / found.id / found.lab.name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, _text(lab))
        return Started(target, "is your copy")
    if not update:
        return Started(target, "is already there and stays as it is")
    old_text = target.read_text(encoding="utf-8")
    merged = _text(merge(_read(target), lab))
    if merged == old_text:
        return Started(target, "is up to date")
    backup = _free_name(target)
    write_whole(backup, old_text)
    write_whole(target, merged)
    return Started(target, f"is up to date, with your answers; the old one is {backup.name}")


def merge(mine: dict, lab: dict) -> dict:
    """The lab's cells with the student's answers and added cells.

    Args:
        mine: the student's notebook, which remembers the ids of the lab that it began as.
        lab: the present lab.
    """
    original = set(mine["metadata"].get("course", {}).get("cells", []))
    answers = {_grade_id(c): c["source"] for c in mine["cells"] if _is_answer(c)}
    added: dict[str | None, list[dict]] = {}
    anchor = None
    for cell in mine["cells"]:
        if _grade_id(cell) or not original or cell.get("id") in original:
            anchor = _grade_id(cell) or cell.get("id")
        else:
            added.setdefault(anchor, []).append(cell)
    lost = {i: [] for i in answers if i not in {_grade_id(c) for c in lab["cells"]}}
    merged = copy.deepcopy(lab)
    merged["cells"] = added.pop(None, [])
    for cell in copy.deepcopy(lab["cells"]):
        if _is_answer(cell) and _grade_id(cell) in answers:
            cell["source"] = answers[_grade_id(cell)]
        merged["cells"].append(cell)
        merged["cells"] += added.pop(_grade_id(cell) or cell["id"], [])
    merged["cells"] += [c for c in mine["cells"] if _is_answer(c) and _grade_id(c) in lost]
    merged["cells"] += [cell for cells in added.values() for cell in cells]
    return merged


def _grade_id(cell: dict) -> str | None:
    return cell.get("metadata", {}).get("nbgrader", {}).get("grade_id")


def _is_answer(cell: dict) -> bool:
    return bool(cell.get("metadata", {}).get("nbgrader", {}).get("solution"))


def _read(path: Path) -> dict:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(notebook["cells"], list) or not isinstance(notebook["metadata"], dict):
            raise KeyError
    except FileNotFoundError:
        raise expect.InputError(f"expected the lab {path}, which does not exist: run `make notebooks`") from None
    except (ValueError, KeyError, TypeError):
        raise expect.InputError(f"expected a notebook, got {path}, which is damaged; it is left as it is") from None
    return notebook


def _text(notebook: dict) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _free_name(target: Path) -> Path:
    number = 1
    while (name := target.with_name(f"{target.stem}.before_update_{number}.ipynb")).exists():
        number += 1
    return name
