"""A student's copy of a lab: never overwritten, brought up to date without losing an answer."""

import copy
import json

import pytest

from course_lib import expect
from course_lib.coursework import start as module
from course_lib.coursework.start import merge, start_lab


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The real labs, and a work folder of its own."""
    from course_lib.coursework.modules import ROOT

    labs = ROOT / "labs"
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr("course_lib.coursework.modules.ROOT", tmp_path)
    (tmp_path / "lectures").mkdir()
    (tmp_path / "lectures" / "01_wiener_filtering.py").write_text("")
    lab = tmp_path / "labs" / "01_wiener_filtering" / "01_wiener_filtering.ipynb"
    lab.parent.mkdir(parents=True)
    lab.write_bytes((labs / "01_wiener_filtering" / lab.name).read_bytes())
    return tmp_path


def _load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def _save(path, notebook):
    path.write_text(json.dumps(notebook), encoding="utf-8")


def _answer(notebook, grade_id):
    return next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


@pytest.mark.parametrize("name", ["01", "wiener_filtering", "01_wiener_filtering"])
def test_a_copy_is_made_once_and_never_overwritten(root, name):
    started = start_lab(name)
    assert started.path == root / "work" / "01_wiener_filtering" / "01_wiener_filtering.ipynb"
    started.path.write_text("my work")
    again = start_lab(name)
    assert started.path.read_text() == "my work"
    assert "stays as it is" in again.done
    assert repr(started) == repr(again)


def test_an_update_keeps_answers_and_added_cells_and_the_old_copy(root):
    path = start_lab("01").path
    mine = _load(path)
    _answer(mine, "power_spectrum")["source"] = ["def power_spectrum(images):\n", "    return 1"]
    _answer(mine, "mismatch_study")["source"] = "It costs 0.7 dB."
    at = mine["cells"].index(_answer(mine, "power_spectrum")) + 1
    mine["cells"].insert(at, {"cell_type": "code", "id": "mine", "metadata": {}, "source": "x = 1", "outputs": [],
                              "execution_count": 3})  # fmt: skip
    _save(path, mine)
    lab_path = root / "labs" / "01_wiener_filtering" / "01_wiener_filtering.ipynb"
    lab = _load(lab_path)
    lab["cells"][0]["source"] = "# A new title"
    lab["cells"].insert(1, {"cell_type": "markdown", "id": "new-cell", "metadata": {}, "source": "New text."})
    _save(lab_path, lab)

    before = path.read_bytes()
    started = start_lab("01", update=True)
    new = _load(path)
    assert new["cells"][0]["source"] == "# A new title"
    assert new["cells"][1]["source"] == "New text."
    assert "return 1" in "".join(_answer(new, "power_spectrum")["source"])
    assert _answer(new, "mismatch_study")["source"] == "It costs 0.7 dB."
    ids = [c["id"] for c in new["cells"]]
    assert ids[ids.index("mine") - 1] == _answer(new, "power_spectrum")["id"]
    assert (path.parent / "01_wiener_filtering.before_update_1.ipynb").read_bytes() == before
    assert "before_update_1" in started.done
    # nothing changed: nothing is written, no second backup
    assert start_lab("01", update=True).done == "is up to date"
    assert len(list(path.parent.iterdir())) == 2


def test_an_answer_whose_exercise_is_gone_is_kept_at_the_end(root):
    mine = _load(start_lab("01").path)
    _answer(mine, "wiener_gain")["source"] = "my gain"
    lab = copy.deepcopy(mine)
    lab["cells"] = [c for c in lab["cells"] if "wiener_gain" not in str(c["metadata"])]
    merged = merge(mine, lab)
    assert merged["cells"][-1]["source"] == "my gain"
    assert sum(c["source"] == "my gain" for c in merged["cells"]) == 1


def test_a_damaged_copy_is_left_as_it_is(root):
    path = start_lab("01").path
    for text in ("{ not json", "[]", '{"cells": 3, "metadata": {}}'):
        path.write_text(text)
        with pytest.raises(expect.InputError, match="damaged; it is left as it is"):
            start_lab("01", update=True)
        assert path.read_text() == text


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    from course_lib.coursework import files

    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(expect.InputError, match="No space left"):
        files.write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(expect.InputError, match="expected a folder that can be written to"):
        files.write_whole(tmp_path / "no" / "file.txt", "new")
