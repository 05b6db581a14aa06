"""The notebooks as they lie in the repository, and the checks that find what is wrong with one."""

import json
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest

from course_lib.coursework import modules, notebooks
from course_lib.coursework.notebooks import executed_problems, lab_of, lab_problems, text_of, unexecuted
from course_lib.exercises import LABS, load_lab

MODULES = modules.modules()
SOURCES = notebooks.sources()
RULES = [("≈ -?[0-9.]+(e[+-]?[0-9]+)?", "≈ NUMBER"), ('src="data:image/[a-z]+;base64,[^"]*"', "")]


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem + ":" + p.parent.parent.name)
def test_the_minutes_of_the_sections_add_up(source):
    text = source.read_text(encoding="utf-8")
    minutes = [int(m) for m in re.findall(r"^# ## .*\((\d+) minutes", text, re.MULTILINE)]
    if sum(minutes) > 20:
        assert abs(sum(minutes) - modules.header(source)["minutes"]) <= 5


def test_nothing_is_wrong_with_the_notebooks():
    """Stale, unexecuted, oversized, leaking, unlabelled: each would be named with file and cell."""
    assert [str(p) for p in notebooks.problems()] == []


def test_every_module_is_whole():
    for module in MODULES:
        assert module.lecture.exists()
        assert module.solution.exists()
        assert module.id in LABS


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.id)
def test_the_lab_has_a_cell_for_everything_that_is_declared(module):
    lab, notebook = load_lab(module.id), nbformat.read(module.lab, as_version=4)
    grading = {c.metadata.nbgrader.grade_id: c for c in notebook.cells if "nbgrader" in c.metadata}
    for e in lab.exercises:
        assert grading[e.function].metadata.nbgrader.solution
        assert "raise NotImplementedError()" in grading[e.function].source
        check = grading[f"check_{e.function}"]
        assert check.metadata.nbgrader.points == e.points
        assert check.source == f"lab.{e.function}.check({e.function})"
        title = next(c.source for c in notebook.cells if c.source.startswith(f"## Exercise {e.number} "))
        assert f"({e.minutes} minutes, {e.points} points)" in title
        for argument in e.takes:
            assert f"{argument}" in grading[e.function].source
        assert any(c.source == f"{e.function} = lab.{e.function}.or_reference({e.function})" for c in notebook.cells)
    for q in lab.open_questions:
        assert grading[q.name].metadata.nbgrader.points == q.points
        assert grading[q.name].source == "YOUR ANSWER HERE"
    assert notebook.cells[-2].source == "lab.progress()"
    assert not any(c.get("outputs") for c in notebook.cells)
    entry = modules.header(module.solution)
    assert abs(entry["minutes"] - lab.minutes) <= 10


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.id)
def test_nbgrader_generates_the_same_lab(module, tmp_path, monkeypatch):
    """`nbgrader generate_assignment` with the repository's own configuration."""
    import shutil

    from nbgrader.apps import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    shutil.copytree(module.solution.parent, tmp_path / "solutions" / module.id)
    config = PyFileConfigLoader("nbgrader_config.py", str(modules.ROOT)).load_config()
    config.CourseDirectory.root = str(tmp_path)
    monkeypatch.chdir(tmp_path)
    # nbgrader starts its database tool as a program
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    api = NbGraderAPI(config=config)
    result = api.generate_assignment(module.id)
    assert result["success"], result
    released = tmp_path / "labs" / module.id
    assert [p.name for p in released.iterdir()] == [module.lab.name]
    theirs = nbformat.read(released / module.lab.name, as_version=4)
    ours = nbformat.read(module.lab, as_version=4)
    assert [(c.cell_type, c.source, c.metadata) for c in theirs.cells] == [
        (c.cell_type, c.source, c.metadata) for c in ours.cells
    ]


def _texts(notebook) -> list[list[str]]:
    """All text outputs, without numbers after ≈, pictures, and outputs that are not compared."""
    result = []
    for cell in notebook.cells:
        outputs = []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = "".join(output.get("text", "")) + "".join(data.get("text/plain", "") + data.get("text/html", ""))
            for pattern, replacement in RULES:
                text = re.sub(pattern, replacement, text)
            outputs.append(text)
        ignored = "nbval-ignore-output" in cell.metadata.get("tags", [])
        result.append([] if ignored else outputs)
    return result


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem + ":" + p.parent.parent.name)
@pytest.mark.skipif(not os.environ.get("COURSE_SOAK"), reason="nbval runs all with one thread; two: make soak")
def test_the_same_text_with_two_threads(source):
    notebook = unexecuted(source)
    notebooks.execute(notebook, source.parent, threads=2)
    stored = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert _texts(notebook) == _texts(stored)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.id)
def test_the_unsolved_lab_runs_without_an_error_and_shows_0(module):
    lab = nbformat.read(module.lab, as_version=4)
    notebooks.execute(lab, module.lab.parent)
    total = len(load_lab(module.id).exercises)
    assert f"0 of {total} exercises passed, 0 of" in _progress(lab)
    assert all("not attempted yet" in _plain(c) for c in lab.cells if ".check(" in c.source)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.id)
def test_the_solved_lab_shows_all(module):
    stored = nbformat.read(module.solution.with_suffix(".ipynb"), as_version=4)
    total = len(load_lab(module.id).exercises)
    assert f"{total} of {total} exercises passed" in _progress(stored)


def _plain(cell) -> str:
    return "".join("".join(o.get("data", {}).get("text/plain", "")) for o in cell.get("outputs", []))


def _progress(notebook) -> str:
    return next(_plain(c) for c in notebook.cells if c.source == "lab.progress()")


# --- the checks find what they say --------------------------------------------------------------------


@pytest.fixture
def lecture(tmp_path):
    """A copy of a lecture and its source, to spoil."""
    source = MODULES[0].lecture
    for path in (source, source.with_suffix(".ipynb")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / source.name


def _spoil(source, change):
    path = source.with_suffix(".ipynb")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return [str(p) for p in executed_problems(path, source)]


def _first_figure(notebook):
    return next(
        (i, o) for i, c in enumerate(notebook["cells"], 1) for o in c.get("outputs", [])
        if "<img" in "".join(o.get("data", {}).get("text/html", ""))
    )  # fmt: skip


def test_a_stale_notebook_is_found(lecture):
    lecture.write_text(lecture.read_text(encoding="utf-8") + "# a new line\n", encoding="utf-8")
    assert "01_wiener_filtering.ipynb: stale" in str(executed_problems(lecture.with_suffix(".ipynb"), lecture)[0])


def test_a_missing_notebook_is_found(lecture):
    lecture.with_suffix(".ipynb").unlink()
    assert "missing or damaged" in str(executed_problems(lecture.with_suffix(".ipynb"), lecture)[0])


def test_an_unexecuted_cell_is_found(lecture):
    def change(notebook):
        notebook["cells"][3 - 1 + 2]["execution_count"] = None

    assert any("cell 5: never executed" in p for p in _spoil(lecture, change))


def test_an_oversized_notebook_is_found(lecture):
    def change(notebook):
        notebook["metadata"]["ballast"] = "x" * 1_000_000

    assert any("oversized" in p for p in _spoil(lecture, change))


def test_an_unlabelled_figure_is_found(lecture):
    def no_alt(notebook):
        _, output = _first_figure(notebook)
        html = "".join(output["data"]["text/html"])
        output["data"]["text/html"] = re.sub(r' alt="[^"]*"', "", html)

    number, _ = _first_figure(json.loads(lecture.with_suffix(".ipynb").read_text(encoding="utf-8")))
    assert any(f"cell {number}: unlabelled" in p for p in _spoil(lecture, no_alt))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"output_type": "display_data", "metadata": {}, "data": {"image/png": "aaaa"}}, "unlabelled: a figure"),
        ({"output_type": "stream", "name": "stderr", "text": "Warning"}, "writes to stderr"),
        ({"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}, "stops with ValueError"),
        ({"output_type": "stream", "name": "stdout", "text": "<object at 0x7f2d73f405e0>"}, "a memory address"),
    ],
)
def test_an_output_that_does_not_belong_there_is_found(lecture, output, said):
    def change(notebook):
        notebook["cells"][4]["outputs"] = [output]

    assert any(f"cell 5: {said}" in p or (said in p and "cell 5" in p) for p in _spoil(lecture, change))


@pytest.fixture
def lab(tmp_path):
    path = tmp_path / MODULES[0].lab.name
    path.write_bytes(MODULES[0].lab.read_bytes())
    return path


def test_a_leaking_lab_is_found(lab):
    notebook = json.loads(lab.read_text(encoding="utf-8"))
    notebook["cells"][4]["source"] = "    return transforms.abs().square().mean(dim=(0, 1))"
    lab.write_text(json.dumps(notebook), encoding="utf-8")
    found = [str(p) for p in lab_problems(lab, MODULES[0])]
    assert any("cell 5: leaking: the answer's line `return transforms" in p for p in found)
    assert any("not what the solution generates" in p for p in found)


def test_a_lab_with_an_output_is_found(lab):
    notebook = json.loads(lab.read_text(encoding="utf-8"))
    code = next(i for i, c in enumerate(notebook["cells"]) if c["cell_type"] == "code")
    notebook["cells"][code]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    lab.write_text(json.dumps(notebook), encoding="utf-8")
    assert any(f"cell {code + 1}: holds an output" in str(p) for p in lab_problems(lab, MODULES[0]))


def test_interpretations_and_answers_are_not_in_the_lab():
    for module in MODULES:
        solution = unexecuted(module.solution)
        assert len(notebooks.answer_lines(solution)) > 20
        text = text_of(lab_of(solution))
        assert "BEGIN SOLUTION" not in text
        assert "Interpretation." not in text
        assert text == text_of(lab_of(unexecuted(module.solution)))  # the same again
