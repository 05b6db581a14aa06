"""Build every notebook from its text, and find what is wrong with those that lie there.

Source (jupytext py:percent) → executed lecture or solution; solution → lab, by nbgrader's own preprocessors.
A lab is byte-identical on any machine. An executed notebook carries its source's hash, so that a stale one
is found.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_lib import expect
from course_lib.coursework import modules as registry
from course_lib.coursework.modules import ROOT, START_PAGE, Module, header, measured, modules_table
from course_lib.files import write_whole

MAX_BYTES = 1_000_000
MAX_CELL_LINES = 25
LEAST_ALT_WORDS = 8
CELL_TIMEOUT = 120
SOLUTION_ONLY = "solution-only"  # tag of cells that the lab leaves out, such as interpretations
SLIDER = "player = play("
PERSONAL = "personal"  # tag of cells whose output is the reader's own: executed, but stored without it
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
DATA_URI = re.compile(r'<img src="data:image/[a-z]+;base64,')


@dataclass(frozen=True)
class Problem:
    """Something wrong with a notebook: the file, the cell (its number from 1, or None), and what."""

    path: Path
    cell: int | None
    words: str

    def __str__(self) -> str:
        name = self.path.relative_to(ROOT).as_posix() if self.path.is_relative_to(ROOT) else str(self.path)
        return f"{name}{f', cell {self.cell}' if self.cell else ''}: {self.words}"


# --- building -----------------------------------------------------------------------------------------


def sources() -> list[Path]:
    """All texts that become notebooks, in order: the start page, lectures, solutions."""
    lectures = [ROOT / "lectures" / f"{START_PAGE}.py", *(m.lecture for m in registry.modules())]
    return [*lectures, *(m.solution for m in registry.modules() if m.solution.exists())]


def source_hash(source: Path) -> str:
    """SHA-256 of a notebook's text, the same with any line ends."""
    return hashlib.sha256(source.read_text(encoding="utf-8").encode()).hexdigest()


def unexecuted(source: Path) -> NotebookNode:
    """The notebook of a source: generated parts filled in, cell ids that depend on nothing but the text."""
    import jupytext

    notebook = jupytext.read(source, fmt="py:percent")
    seen: set[str] = set()
    for cell in notebook.cells:
        for placeholder, text in _generated(source).items():
            cell.source = cell.source.replace(placeholder, text)
        cell.metadata = NotebookNode({k: v for k, v in sorted(cell.metadata.items()) if k in ("nbgrader", "tags")})
        base = (
            cell.metadata.get("nbgrader", {}).get("grade_id")
            or hashlib.sha256(f"{cell.cell_type}:{cell.source}".encode()).hexdigest()
        )
        name = base = re.sub(r"[^A-Za-z0-9_-]", "-", base)[:16]
        number = 1
        while name in seen:
            number += 1
            name = f"{base}-{number}"
        seen.add(name)
        cell.id = name
    notebook.metadata = NotebookNode(
        kernelspec=NotebookNode(KERNEL),
        language_info=NotebookNode(name="python"),
        course=NotebookNode(source_sha256=source_hash(source), **header(source)),
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _generated(source: Path) -> dict[str, str]:
    """What stands in a text in double braces, and what the build puts there."""
    entry = header(source)
    line = (
        f"**Level:** {entry['level']} · **Time:** {entry['minutes']} minutes · "
        f"**Runs in:** {measured(source)} on one thread · **Needs:** {entry['needs']}"
    )
    return {"{{header}}": line, "{{modules}}": modules_table("../")}


def execute(notebook: NotebookNode, folder: Path, *, threads: int | None = None, frames: Path | None = None) -> float:
    """Run all cells in place, in a fresh kernel, and give the seconds.

    Args:
        notebook: its cells get their outputs.
        folder: where its kernel runs.
        threads: how many threads it computes with; the machine's default if None.
        frames: the folder for the pictures of its sliders, if they are wanted; then colours are checked too.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    from nbclient import NotebookClient

    env = os.environ | {"TQDM_DISABLE": "1"}  # a progress bar is no output
    if frames:
        from course_lib.display.figures import CHECKED  # here, since it loads torch
        from course_lib.display.sliders import FRAMES

        env |= {FRAMES: str(frames), CHECKED: "1"}
    if threads:
        env |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT, kernel_name=KERNEL["name"], record_timing=False, coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    start = time.perf_counter()
    client.execute(env=env, stderr=subprocess.DEVNULL)  # the kernel's own log, not the cells' output
    seconds = time.perf_counter() - start
    _trim(notebook)
    return seconds


def _trim(notebook: NotebookNode) -> None:
    """Leave out what depends on the machine or the session."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = NotebookNode(name="python")
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        if PERSONAL in cell.metadata.get("tags", []):
            cell.outputs = []
        if "nbval-ignore-output" in cell.metadata.get("tags", []):  # a widget's model is not stored
            cell.outputs = [o for o in cell.outputs if not _is_widget(o)]


def _is_widget(output: NotebookNode) -> bool:
    return "application/vnd.jupyter.widget-view+json" in output.get("data", {})


def lab_of(solution: NotebookNode) -> NotebookNode:
    """The lab of a solution: answers cleared by nbgrader, interpretations and outputs left out."""
    from nbconvert.preprocessors import TagRemovePreprocessor
    from nbgrader import preprocessors as nbgrader
    from traitlets.config import Config

    lab = nbformat.from_dict(solution)
    lab = nbformat.reads(nbformat.writes(lab), as_version=4)
    config = Config({"TagRemovePreprocessor": {"remove_cell_tags": {SOLUTION_ONLY}, "enabled": True}})
    steps = [TagRemovePreprocessor, nbgrader.LockCells, nbgrader.ClearSolutions, nbgrader.ClearOutput,
             nbgrader.CheckCellMetadata, nbgrader.ComputeChecksums, nbgrader.ClearHiddenTests,
             nbgrader.ClearMarkScheme, nbgrader.ComputeChecksums, nbgrader.CheckCellMetadata]  # fmt: skip
    for step in steps:
        lab, _ = step(config=config).preprocess(lab, {})
    return lab


def text_of(notebook: NotebookNode) -> str:
    """The notebook as JSON, the same on any machine."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def build(*, force: bool = False) -> list[Path]:
    """Make every notebook, lab and generated page anew where it is out of date; give what was written.

    Raises:
        InputError: a notebook fails, writes to stderr, or has a problem that `problems` finds.
    """
    written = []
    for module in registry.modules():
        if module.solution.exists():
            module.lab.parent.mkdir(parents=True, exist_ok=True)
            written += _write_if_changed(module.lab, text_of(lab_of(unexecuted(module.solution))))
    for source in sources():
        target = source.with_suffix(".ipynb")
        notebook = unexecuted(source)
        old = _stored(target)
        if not force and old is not None and _same_code(old, notebook) and _frames_fit(notebook, source):
            _carry_outputs(old, notebook)
        else:
            _execute_or_say(notebook, source)
        written += _write_if_changed(target, text_of(notebook))
    for page, text in generated_pages().items():
        written += _write_if_changed(page, text)
    return written


def _execute_or_say(notebook: NotebookNode, source: Path) -> None:
    """Run a notebook, and keep the pictures of its slider."""
    from nbclient.exceptions import CellExecutionError

    with tempfile.TemporaryDirectory() as scratch:
        try:
            execute(notebook, source.parent, frames=Path(scratch))
        except CellExecutionError as error:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
            lines = [line for line in plain.splitlines() if line.strip()]
            raise expect.InputError(f"{source.relative_to(ROOT)} stopped: {lines[-1][:300]}") from None
        for number, cell in enumerate(notebook.cells, 1):
            for output in cell.get("outputs", []):
                if output.get("name") == "stderr":
                    said = " ".join(output["text"].split())[:300]
                    raise expect.InputError(f"{source.relative_to(ROOT)}, cell {number}, writes a warning: {said}")
        _keep_frames(Path(scratch), source)


def _keep_frames(scratch: Path, source: Path) -> None:
    target = frames_of(source)
    shutil.rmtree(target, ignore_errors=True)
    if (scratch / "player.json").exists():
        shutil.copytree(scratch, target)
        record = json.loads((target / "player.json").read_text(encoding="utf-8"))
        record = {"source_sha256": source_hash(source), **record}
        write_whole(target / "player.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def frames_of(source: Path) -> Path:
    """The folder with the pictures of a lecture's slider, for pages that have no kernel."""
    return ROOT / "docs" / "site" / "_static" / "sliders" / source.stem


def _stored(path: Path) -> NotebookNode | None:
    try:
        return nbformat.read(path, as_version=4)
    except Exception:  # missing or damaged: built anew either way
        return None


def _same_code(old: NotebookNode, new: NotebookNode) -> bool:
    """Whether the stored outputs belong to the present text; its generated lines may differ."""
    hashes = [n.metadata.get("course", {}).get("source_sha256") for n in (old, new)]
    return hashes[0] == hashes[1] and len(old.cells) == len(new.cells) and not _unexecuted_cells(old)


def _carry_outputs(old: NotebookNode, new: NotebookNode) -> None:
    for before, cell in zip(old.cells, new.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = before.outputs, before.execution_count


def _write_if_changed(path: Path, text: str) -> list[Path]:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return []
    write_whole(path, text)
    return [path]


def generated_pages() -> dict[Path, str]:
    """Pages with parts between `<!-- generated: NAME -->` and `<!-- end -->`, filled in."""
    from course_lib.coursework.guide import labs_guide

    parts = {"modules": modules_table(""), "labs": labs_guide()}
    pages = {}
    for page in (ROOT / "README.md", ROOT / "docs" / "instructors.md"):
        text = page.read_text(encoding="utf-8")
        for name, content in parts.items():
            pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
            text = pattern.sub(lambda m, c=content: f"{m[1]}{c}\n{m[2]}", text)
        pages[page] = text
    return pages


# --- finding problems ---------------------------------------------------------------------------------


def problems() -> list[Problem]:
    """All that is wrong with the notebooks, labs and generated pages of the repository."""
    found = []
    for source in sources():
        found += executed_problems(source.with_suffix(".ipynb"), source)
    for module in registry.modules():
        if not module.solution.exists():
            found.append(Problem(module.solution, None, "the module has a lecture and no solution"))
        else:
            found += lab_problems(module.lab, module)
    for page, text in generated_pages().items():
        if page.read_text(encoding="utf-8") != text:
            found.append(Problem(page, None, "its generated part is out of date: run `make notebooks`"))
    return found


def executed_problems(path: Path, source: Path) -> list[Problem]:
    """What is wrong with a lecture or solution: stale, unexecuted, oversized, unlabelled, noisy, too long."""
    notebook = _stored(path)
    if notebook is None:
        return [Problem(path, None, "missing or damaged: run `make notebooks`")]
    found = []
    if notebook.metadata.get("course", {}).get("source_sha256") != source_hash(source):
        found.append(Problem(path, None, f"stale: {source.name} has changed since; run `make notebooks`"))
    elif [c.source for c in notebook.cells] != [c.source for c in unexecuted(source).cells]:
        found.append(Problem(path, None, "its generated lines are out of date: run `make notebooks`"))
    if path.stat().st_size > MAX_BYTES:
        found.append(Problem(path, None, f"oversized: {path.stat().st_size:,} bytes, at most {MAX_BYTES:,}"))
    if not _frames_fit(notebook, source):
        found.append(Problem(path, None, "the pictures of its slider are missing or stale: run `make notebooks`"))
    alts = [alt for cell in notebook.cells for alt in _alts(cell)]
    found += [Problem(path, None, f"two pictures say the same: {a!r}") for a in sorted(set(alts)) if alts.count(a) > 1]
    found += [Problem(path, i, "never executed, so a comparison says nothing") for i in _unexecuted_cells(notebook)]
    for number, cell in enumerate(notebook.cells, 1):
        found += [Problem(path, number, words) for words in _cell_problems(cell)]
    return found


def _frames_fit(notebook: NotebookNode, source: Path) -> bool:
    """Whether the pictures of the notebook's slider, if it has one, belong to the present text."""
    if not any(SLIDER in cell.source for cell in notebook.cells):
        return True
    try:
        record = json.loads((frames_of(source) / "player.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return record["source_sha256"] == source_hash(source)


def _unexecuted_cells(notebook: NotebookNode) -> list[int]:
    return [
        number
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None
    ]


def _alts(cell: NotebookNode) -> list[str]:
    shown = "".join("".join(o.get("data", {}).get("text/html", "")) for o in cell.get("outputs", []))
    return re.findall(r'<img [^>]*alt="([^"]*)"', shown)


def _cell_problems(cell: NotebookNode) -> list[str]:
    if cell.cell_type == "markdown":
        bare = [alt for alt in re.findall(r"!\[([^\]]*)\]\(", cell.source) if len(alt.split()) < 4]
        return ["unlabelled: a picture without alternative text"] * len(bare)
    words = []
    lines = len(cell.source.splitlines())
    if lines > MAX_CELL_LINES and not cell.metadata.get("nbgrader", {}).get("solution"):
        words.append(f"{lines} lines of code, at most {MAX_CELL_LINES}: what belongs in course_lib?")
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if output.output_type == "error":
            words.append(f"stops with {output.get('ename')}")
        if output.get("name") == "stderr":
            words.append("writes to stderr")
        if any(mime.startswith("image/") for mime in data):
            words.append("unlabelled: a figure without alternative text; show it with display.show_figure")
        html = "".join(data.get("text/html", ""))
        for tag in re.findall(r"<img [^>]*>", html):
            alt = re.search(r'alt="([^"]*)"', tag)
            if alt is None or len(alt[1].split()) < LEAST_ALT_WORDS or not alt[1].endswith("."):
                words.append("unlabelled: a picture whose alternative text says too little")
        plain = "".join(data.get("text/plain", "")) + "".join(output.get("text", ""))
        if re.search(r"at 0x[0-9a-f]{6,}", plain):
            words.append("prints a memory address")
    return words


def lab_problems(path: Path, module: Module) -> list[Problem]:
    """What is wrong with a lab: not as generated, with outputs, leaking an answer, oversized."""
    lab = _stored(path)
    if lab is None:
        return [Problem(path, None, "missing or damaged: run `make notebooks`")]
    found = []
    solution = unexecuted(module.solution)
    if path.read_text(encoding="utf-8") != text_of(lab_of(solution)):
        found.append(Problem(path, None, "stale: not what the solution generates; run `make notebooks`"))
    if path.stat().st_size > MAX_BYTES:
        found.append(Problem(path, None, f"oversized: {path.stat().st_size:,} bytes, at most {MAX_BYTES:,}"))
    answers = answer_lines(solution)
    for number, cell in enumerate(lab.cells, 1):
        if cell.get("outputs"):
            found.append(Problem(path, number, "holds an output"))
        for line in cell.source.splitlines():
            if line.strip() in answers:
                found.append(Problem(path, number, f"leaking: the answer's line `{line.strip()[:60]}`"))
    return found


def answer_lines(solution: NotebookNode) -> set[str]:
    """Lines that only an answer holds: in solution regions, written answers and solution-only cells."""
    hidden, shown = set(), set()
    for cell in solution.cells:
        grading = cell.metadata.get("nbgrader", {})
        written = grading.get("solution") and cell.cell_type == "markdown"
        inside = written or SOLUTION_ONLY in cell.metadata.get("tags", [])
        region = False
        for line in cell.source.splitlines():
            if "BEGIN SOLUTION" in line or "END SOLUTION" in line:
                region = "BEGIN" in line
            elif region or inside:
                hidden.add(line.strip())
            else:
                shown.add(line.strip())
    return {line for line in hidden - shown if len(line) > 8}


# --- measuring ----------------------------------------------------------------------------------------


def measure() -> dict[str, float]:
    """Seconds of every notebook on one thread, kernel start included."""
    result = {}
    for source in sources():
        notebook = unexecuted(source)
        spent = execute(notebook, source.parent, threads=1)
        result[source.with_suffix(".ipynb").relative_to(ROOT).as_posix()] = round(spent, 1)
    return result
