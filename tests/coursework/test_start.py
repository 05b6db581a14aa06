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


def test_an_answer_whose_exercise_is_gone_is_kept(root):
    mine = _load(start_lab("01").path)
    _answer(mine, "wiener_gain")["source"] = "my gain"
    lab = copy.deepcopy(mine)
    lab["cells"] = [c for c in lab["cells"] if "wiener_gain" not in str(c["metadata"])]
    merged = merge(mine, lab)
    kept = [c for c in merged["cells"] if c["source"] == "my gain"]
    assert len(kept) == 1
    assert "nbgrader" not in kept[0]["metadata"]


def _extra(name: str) -> dict:
    return {"cell_type": "code", "id": name, "metadata": {}, "source": name, "outputs": [], "execution_count": None}


def test_an_answer_that_was_split_or_copied_keeps_all_its_parts(root):
    mine = _load(start_lab("01").path)
    first = _answer(mine, "wiener_gain")
    first["source"] = "first half"
    second = {**copy.deepcopy(first), "id": "split", "source": "second half"}
    mine["cells"].insert(mine["cells"].index(first) + 1, second)
    mine["cells"].append({**copy.deepcopy(first), "id": "draft", "source": "an old draft"})
    merged = merge(mine, _load(root / "labs" / "01_wiener_filtering" / "01_wiener_filtering.ipynb"))
    assert _answer(merged, "wiener_gain")["source"] == "first half"
    sources = ["".join(c["source"]) for c in merged["cells"]]
    assert sources[sources.index("first half") + 1] == "second half"
    assert "an old draft" in sources
    assert sum("wiener_gain" == c["metadata"].get("nbgrader", {}).get("grade_id") for c in merged["cells"]) == 1


def test_an_added_cell_stays_in_its_place_when_the_text_before_it_changes(root):
    """The build gives a changed text another id, so the cell before is not the anchor any more."""
    mine = _load(start_lab("01").path)
    lab = copy.deepcopy(mine)
    at = next(i for i, c in enumerate(mine["cells"]) if "What you should see" in "".join(c["source"]))
    mine["cells"].insert(at + 1, _extra("mine"))
    lab["cells"][at] |= {"id": "another", "source": "You should see something else."}
    merged = merge(mine, lab)
    place = [c["id"] for c in merged["cells"]].index("mine")
    assert abs(place - (at + 1)) <= 1


def test_nothing_is_lost_or_doubled_without_the_record_of_the_first_lab(root):
    mine = _load(start_lab("01").path)
    lab = copy.deepcopy(mine)
    mine["metadata"].pop("course")
    mine["cells"].insert(10, _extra("mine"))
    merged = merge(mine, lab)
    assert len(merged["cells"]) == len(lab["cells"]) + 1
    for cell in mine["cells"]:
        cell.pop("id")
    merged = merge(mine, lab)
    assert len(merged["cells"]) == len(lab["cells"]) + 1
    assert "mine" in [c["source"] for c in merged["cells"]]


def test_a_damaged_copy_is_left_as_it_is(root):
    path = start_lab("01").path
    for text in ("{ not json", "[]", '{"cells": 3, "metadata": {}}', '{"cells": [3], "metadata": {}}',
                 '{"cells": [{"metadata": null, "source": ""}], "metadata": {}}'):  # fmt: skip
        path.write_text(text)
        with pytest.raises(expect.InputError, match="damaged; it is left as it is"):
            start_lab("01", update=True)
        assert path.read_text() == text
    path.write_bytes(b"\xff\xfe not utf-8")
    with pytest.raises(expect.InputError, match="damaged"):
        start_lab("01", update=True)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    from course_lib import files

    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(expect.InputError, match="No space left"):
        files.write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(expect.InputError, match="expected a file that can be written"):
        files.write_whole(tmp_path / "no" / "file.txt", "new")


def test_a_link_stays_a_link_and_a_device_is_refused(tmp_path):
    from course_lib import files

    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    files.write_whole(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    for write in (lambda path: files.write_whole(path, "x"), files.check_writable):
        with pytest.raises(expect.InputError, match="which is none"):
            write(tmp_path)
