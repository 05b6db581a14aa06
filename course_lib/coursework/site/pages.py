"""Pages of lectures and labs: the stored notebook, with a row of links, and sliders that need no kernel."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output

from course_lib.coursework.modules import Module, header, measured, modules
from course_lib.coursework.notebooks import SLIDER, frames_of, text_of


def binder_link(repository: str | None, path: str) -> str | None:
    """Where Binder opens the notebook at `path`; None without a repository."""
    if repository is None:
        return None
    return f"https://mybinder.org/v2/gh/{repository}/HEAD?urlpath=lab/tree/{path}"


def lecture_page(module: Module, binder: str | None) -> str:
    """The lecture as it is stored, with links under its title."""
    name = f"{module.id}.ipynb"
    other = f"[The lab of this module](../labs/{module.id}/{name})"
    return _page(module.lecture.with_suffix(".ipynb"), f"../originals/lectures/{name}", other, binder)


def lab_page(module: Module, binder: str | None) -> str:
    """The lab as students get it, with links under its title."""
    name = f"{module.id}.ipynb"
    other = (
        f"[The lecture of this module](../../lectures/{name}) · `course start {module.number}` makes your own copy, "
        "and its checks answer there"
    )
    return _page(module.lab, f"../../originals/labs/{module.id}/{name}", other, binder)


def _page(path: Path, original: str, other: str, binder: str | None) -> str:
    notebook = nbformat.read(path, as_version=4)
    links = [f"{{download}}`Download this notebook <{original}>`"]
    links += [f"[Run it on Binder]({binder})"] if binder else []
    row = ":::{container} course-row\n" + " · ".join([*links, other]) + "\n:::"
    title, rest = re.match(r"(# .*\n)([\s\S]*)", notebook.cells[0].source).groups()
    notebook.cells[0].source = f"{title}\n{row}\n{rest}"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_as_shown(output) for output in cell.outputs]
            if SLIDER in cell.source and path.parent.name == "lectures":
                cell.outputs.append(new_output("display_data", {"text/html": slider(path)}))
    return text_of(notebook)


def slider(lecture: Path) -> str:
    """The slider of a lecture for a page without a kernel: controls that choose among stored pictures."""
    folder = frames_of(lecture.with_suffix(".py"))
    record = json.loads((folder / "player.json").read_text(encoding="utf-8"))
    controls, frames = record["controls"], record["frames"]
    start = 0
    for control in controls:
        start = start * len(control["positions"]) + control["start"]
    place = f"../_static/sliders/{lecture.stem}/"
    shown = json.dumps({"folder": place, "controls": controls, "frames": frames}, ensure_ascii=False)
    shown = shown.replace("</", "<\\/")  # nothing in it may end the script element
    rows = "".join(_control(f"slider-{i}", control) for i, control in enumerate(controls))
    return (
        f'<div class="course-slider" role="group" aria-label="slider">{rows}'
        f'<img src="{place}{frames[start]["file"]}" alt="{html.escape(frames[start]["alt"])}">'
        f'<p class="hint">{len(frames)} pictures, drawn when the notebook was built; in the notebook every position '
        f'is computed.</p><script type="application/json">{shown}</script></div>'
    )


def _control(name: str, control: dict) -> str:
    label, positions, start = html.escape(control["name"]), control["positions"], control["start"]
    if control["menu"]:
        options = "".join(
            f'<option value="{i}"{" selected" if i == start else ""}>{html.escape(words)}</option>'
            for i, words in enumerate(positions)
        )
        field = f'<select id="{name}" autocomplete="off">{options}</select><span></span>'
    else:
        words = html.escape(positions[start])
        field = (
            f'<input type="range" id="{name}" min="0" max="{len(positions) - 1}" value="{start}" step="1" '
            f'aria-valuetext="{words}" autocomplete="off"><output for="{name}">{words}</output>'
        )
    return f'<div class="control"><label for="{name}">{label}</label>{field}</div>'


def _as_shown(output: NotebookNode) -> NotebookNode:
    """An output with the one form that a page shows."""
    data = output.get("data", {})
    if "text/html" in data:
        output.data = NotebookNode({"text/html": data["text/html"]})
    return output


def index_cards() -> str:
    """One card for each module: its first picture, title, time, level and links."""
    return '<ul class="course-cards">\n' + "\n".join(_card(m) for m in modules()) + "\n</ul>"


def _card(module: Module) -> str:
    lecture, lab = header(module.lecture), header(module.solution)
    title = html.escape(lecture["title"])
    return (
        f'<li>{_first_picture(module)}<div class="text">'
        f'<p class="title"><a href="lectures/{module.id}.html">{module.number} · {title}</a></p>'
        f"<p>{lecture['level']} · lecture {lecture['minutes']} min, lab {lab['minutes']} min</p>"
        f"<p>runs in {measured(module.lecture)} and {measured(module.solution)}</p>"
        f'<p class="links"><a href="labs/{module.id}/{module.id}.html">{html.escape(lab["title"])}</a></p></div></li>'
    )


def _first_picture(module: Module) -> str:
    notebook = json.loads(module.lecture.with_suffix(".ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            found = re.search(r'<img src="[^"]*" alt="[^"]*"', "".join(output.get("data", {}).get("text/html", "")))
            if found:
                return found[0] + ">"
    return ""
