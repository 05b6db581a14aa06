"""The package as a whole: light to import, one list of dependencies, rooms that name themselves."""

import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

import course_lib
from course_lib.coursework.modules import ROOT


def test_importing_the_package_is_light_and_brings_no_torch():
    code = "import sys, course_lib; print('torch' in sys.modules, 'numpy' in sys.modules, 'matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.split() == ["False"] * 3


def test_every_room_opens_on_first_use():
    for room in course_lib.ROOMS:
        assert getattr(course_lib, room).__name__ == f"course_lib.{room}"
    with pytest.raises(AttributeError, match="its rooms are display"):
        course_lib.cellar  # noqa: B018


def _project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _name(requirement: str) -> str:
    return re.split(r"[<>=!\[ ]", requirement)[0].lower()


def test_conda_users_get_the_same_dependencies():
    project = _project()
    wanted = dict.fromkeys(project["dependencies"])
    for extra in ("instructor", "site", "dev"):
        wanted |= dict.fromkeys(r for r in project["optional-dependencies"][extra] if not r.startswith(project["name"]))
    python = f"python{project['requires-python']}"
    assert _conda(ROOT / "environment.yml") == set(wanted) | {python, "pip"}


def test_binder_gets_the_dependencies_of_a_student():
    assert _conda(ROOT / ".binder" / "environment.yml") == set(_project()["dependencies"]) | {"python=3.12", "pip"}
    assert os.access(ROOT / ".binder" / "postBuild", os.X_OK) or os.name == "nt"


def _conda(path) -> set[str]:
    """The requirements of a conda environment, with PyPI's names."""
    conda = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    renamed = {
        "pytorch-cpu": "torch",
        "matplotlib-base": "matplotlib",
        "playwright-python": "playwright",
        "pytorch-lightning": "lightning-fabric",  # conda-forge has the one inside the other
    }
    entries = [entry for entry in conda if isinstance(entry, str)]
    by_pip = [requirement for entry in conda if isinstance(entry, dict) for requirement in entry["pip"]]
    names = [(_name(entry), entry) for entry in entries + by_pip]  # what conda-forge does not have comes by pip
    return {renamed.get(name, name) + entry[len(name) :] for name, entry in names}


def test_constraints_pin_every_dependency():
    pinned = {
        _name(line): line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    project = _project()
    for requirement in [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]:
        if not requirement.startswith(project["name"]):
            assert "==" in pinned[_name(requirement)], requirement


def test_every_student_dependency_is_used():
    names = {"pillow": "PIL", "scikit-image": "skimage", "scikit-learn": "sklearn", "pywavelets": "pywt",
             "lightning-fabric": "lightning_fabric"}  # fmt: skip
    text = "\n".join(
        p.read_text(encoding="utf-8")
        for p in [*ROOT.glob("course_lib/**/*.py"), *ROOT.glob("lectures/*.py"), ROOT / "make.py"]
    )
    for requirement in _project()["dependencies"]:
        module = names.get(_name(requirement), _name(requirement))
        assert re.search(rf"\b{module}\b", text), f"{requirement} is installed and not used"
