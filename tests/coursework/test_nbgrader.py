"""nbgrader on the same folders: validate, autograde, and points that are its own."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from course_lib.coursework.modules import ROOT, find_module
from course_lib.exercises import load_lab

MODULE = find_module("01")


@pytest.fixture
def api(tmp_path, monkeypatch):
    """nbgrader with the repository's configuration, on a course of two students in a folder of its own."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    shutil.copytree(MODULE.solution.parent, tmp_path / "solutions" / MODULE.id)
    handed_in = {"solved": MODULE.solution.with_suffix(".ipynb"), "blank": MODULE.lab}
    for student, notebook in handed_in.items():
        place = tmp_path / "work" / "submitted" / student / MODULE.id
        place.mkdir(parents=True)
        shutil.copy(notebook, place)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    config = PyFileConfigLoader("nbgrader_config.py", str(ROOT)).load_config()
    config.CourseDirectory.root = str(tmp_path)
    config.CourseDirectory.db_url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    return NbGraderAPI(config=config)


def test_autograde_gives_full_points_to_the_solution_and_none_to_a_blank(api):
    assert api.generate_assignment(MODULE.id)["success"]
    lab = load_lab(MODULE.id)
    for student, wanted in (("solved", sum(e.points for e in lab.exercises)), ("blank", 0)):
        result = api.autograde(MODULE.id, student)
        assert result["success"], result
        graded = api.get_submission(MODULE.id, student)
        assert graded["code_score"] == wanted
        assert graded["max_score"] == lab.points
        assert graded["needs_manual_grade"] == (student == "solved")  # an untouched answer is 0 by itself


def test_validate_passes_the_solution_and_names_what_a_blank_fails():
    from nbgrader.validator import Validator

    good = Validator().validate(str(MODULE.solution.with_suffix(".ipynb")))
    assert not good.get("failed")
    bad = Validator().validate(str(MODULE.lab))
    said = str(bad["failed"])
    assert "lab.power_spectrum.check(power_spectrum)" in said
    assert "not attempted yet" in said
