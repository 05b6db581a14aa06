"""Give a student a copy of a lab to work in, and bring a changed lab into it without losing an answer."""

from __future__ import annotations

import copy
import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from course_lib import expect
from course_lib.coursework.modules import ROOT, find_module
from course_lib.files import write_whole


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
    mine = _read(target)
    merged = _text(merge(mine, lab))
    if merged == _text(mine):
        return Started(target, "is up to date")
    backup = _free_name(target)
    write_whole(backup, target.read_text(encoding="utf-8"))
    write_whole(target, merged)
    return Started(target, f"is up to date, with your answers; the old one is {backup.name}")


def merge(mine: dict, lab: dict) -> dict:
    """The lab's cells with the student's answers and added cells; no cell of the student's is lost.

    An answer takes the place of the lab's cell with its grade id. Further cells with that id (a split or copied
    answer), answers whose exercise is gone, and cells that the student added become ordinary cells behind the
    nearest cell before them that the lab still has.

    Args:
        mine: the student's notebook, which remembers the ids of the lab that it began as.
        lab: the present lab.
    """
    began_as = set(mine["metadata"].get("course", {}).get("cells", []))
    texts = {_source(cell) for cell in lab["cells"]}
    present = {_key(cell) for cell in lab["cells"]}
    answers: dict[str, object] = {}
    behind: dict[str, list[dict]] = {}
    anchor = ""
    for cell in mine["cells"]:
        if _key(cell) in present and not (_is_answer(cell) and _grade_id(cell) in answers):
            anchor = _key(cell)
            if _is_answer(cell):
                answers[_grade_id(cell)] = cell["source"]
        elif _is_answer(cell) or not _was_given(cell, began_as, texts):
            behind.setdefault(anchor, []).append(_plain(cell))
    merged = copy.deepcopy(lab)
    merged["cells"] = behind.pop("", [])
    for cell in copy.deepcopy(lab["cells"]):
        if _is_answer(cell) and _grade_id(cell) in answers:
            cell["source"] = answers[_grade_id(cell)]
        merged["cells"] += [cell, *behind.pop(_key(cell), [])]
    return merged


def _was_given(cell: dict, began_as: set[str], texts: set[str]) -> bool:
    """Whether a cell came with the lab, now or when the copy began; in doubt it is the student's."""
    return bool(_grade_id(cell)) or cell.get("id") in began_as or _source(cell) in texts


def _plain(cell: dict) -> dict:
    """A cell as an ordinary one of the student's: a grade id belongs to one cell alone."""
    metadata = {k: v for k, v in cell["metadata"].items() if k != "nbgrader"}
    return {**cell, "metadata": metadata, "id": cell.get("id") or uuid.uuid4().hex[:8]}


def _key(cell: dict) -> str:
    """What makes a cell the same in two versions of a lab: its grade id, else its id."""
    return _grade_id(cell) or str(cell.get("id", ""))


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def _grade_id(cell: dict) -> str:
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))


def _is_answer(cell: dict) -> bool:
    return bool(cell["metadata"].get("nbgrader", {}).get("solution"))


def _read(path: Path) -> dict:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(notebook["metadata"], dict):
            raise TypeError
        for cell in notebook["cells"]:
            _source(cell), _is_answer(cell), _key(cell)  # raise for what is no cell
    except FileNotFoundError:
        raise expect.InputError(f"expected the lab {path}, which does not exist: run `make notebooks`") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise expect.InputError(f"expected a notebook, got {path}, which is damaged; it is left as it is") from None
    return notebook


def _text(notebook: dict) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _free_name(target: Path) -> Path:
    number = 1
    while (name := target.with_name(f"{target.stem}.before_update_{number}.ipynb")).exists():
        number += 1
    return name
