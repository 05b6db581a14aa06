"""Setting up: once, at once the second time, mended after an interruption. Nothing is installed here."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.coursework.modules import ROOT


@pytest.fixture
def make(tmp_path, monkeypatch):
    """make.py on an empty folder, with pip replaced by a note of what it was asked for."""
    monkeypatch.syspath_prepend(str(ROOT))
    import make

    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(make, "ROOT", tmp_path)
    monkeypatch.setattr(make, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(
        make, "PYTHON", tmp_path / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    )
    monkeypatch.setattr(make, "UNFINISHED", tmp_path / ".venv" / "course-install-unfinished")
    monkeypatch.setattr(make.shutil, "which", lambda name: None)
    make.asked, make.works = [], [True]
    real = subprocess.run

    def run(command, **options):
        if "install" in command:
            make.asked.append([str(c) for c in command])
            if make.works[0] is KeyboardInterrupt:
                raise KeyboardInterrupt
            return subprocess.CompletedProcess(command, 0 if make.works[0] else 1)
        if "venv" in command:
            command = [*command, "--without-pip"]
        return real(command, **options)

    monkeypatch.setattr(make.subprocess, "run", run)
    return make


def test_the_second_call_installs_nothing(make):
    make.set_up("student")
    make.set_up("student")
    assert len(make.asked) == 1
    assert "-c" in make.asked[0]
    assert make.asked[0][-1] == str(make.ROOT)
    overrides = make.VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    assert '"fetchNews": "false"' in overrides.read_text()


def test_a_set_up_for_tests_serves_a_student_and_not_the_other_way_round(make):
    make.set_up("student")
    make.set_up("dev")
    make.set_up("student")
    make.set_up("dev")
    assert [command[-1] for command in make.asked] == [str(make.ROOT), f"{make.ROOT}[dev]"]


def test_changed_dependencies_are_installed_into_what_is_there(make):
    make.set_up("student")
    keep = make.VENV / "keep"
    keep.touch()
    with (make.ROOT / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    make.set_up("student")
    assert len(make.asked) == 2
    assert keep.exists()


@pytest.mark.parametrize("ending", [False, KeyboardInterrupt])
def test_an_interrupted_installation_is_made_anew(make, ending, capsys):
    make.works[0] = ending
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        make.set_up("student")
    debris = make.VENV / "half-a-package"
    debris.touch()
    make.works[0] = True
    make.set_up("student")
    assert not debris.exists()
    assert not make.UNFINISHED.exists()
    assert make.is_ready("student")
    assert "making it anew" in capsys.readouterr().out


def test_an_environment_of_another_python_is_made_anew(make):
    make.set_up("student")
    make.PYTHON.unlink()
    make.set_up("student")
    assert len(make.asked) == 2
    assert make.PYTHON.exists()


def test_a_moved_folder_is_set_up_anew(make, monkeypatch, tmp_path):
    make.set_up("student")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        (moved / name).write_bytes((make.ROOT / name).read_bytes())
    monkeypatch.setattr(make, "ROOT", moved)
    make.set_up("student")
    assert len(make.asked) == 2


def test_a_folder_that_is_not_ours_is_left_alone(make, capsys):
    make.VENV.mkdir()
    (make.VENV / "thesis.txt").write_text("precious")
    with pytest.raises(SystemExit) as stopped:
        make.set_up("student")
    assert stopped.value.code == 2
    assert "move it away" in capsys.readouterr().err
    assert (make.VENV / "thesis.txt").read_text() == "precious"


def test_uv_is_asked_for_the_cpu_build_and_pip_steps_in_when_it_fails(make, monkeypatch):
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    monkeypatch.setattr(make.shutil, "which", lambda name: "/usr/bin/uv")
    with_uv, with_pip = make.installers("course")
    assert with_uv[:3] == ["uv", "pip", "install"]
    assert with_uv[with_uv.index("--torch-backend") + 1] == "cpu"
    assert with_pip[1:4] == ["-m", "pip", "install"]
    monkeypatch.setenv("UV_TORCH_BACKEND", "auto")
    assert "auto" in next(make.installers("course"))


def run_make(*arguments):
    return subprocess.run([sys.executable, str(ROOT / "make.py"), *arguments], capture_output=True, text=True)


def test_an_occupied_port_is_named_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = run_make("lab", "--port", str(port))
    assert run.returncode == 2
    assert run.stderr == (f"course: port {port} is occupied: give a free one with --port, or none to have one found\n")


def test_a_port_out_of_range():
    run = run_make("lab", "--port", "80")
    assert run.returncode == 2
    assert run.stderr == "course: expected a port from 1024 to 65535, got 80\n"


@pytest.mark.parametrize("version", [(3, 10, 1), (3, 14, 0)])
def test_another_python_is_told_which_one_is_wanted(make, monkeypatch, version, capsys):
    monkeypatch.setattr(make.sys, "version_info", version)
    with pytest.raises(SystemExit) as stopped:
        make.set_up("student")
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("course: expected Python 3.11, 3.12 or 3.13, found 3.1")
    assert len(said.splitlines()) == 1
    assert not make.VENV.exists()


def test_the_makefile_and_the_readme_name_the_same_commands():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(makefile.split(".PHONY:")[1].splitlines()[0].split())
    help_text = run_make("--help").stdout
    for target in targets:
        assert target in help_text
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in targets - {"setup"}:
        assert f"make {target}" in readme
    assert "python make.py lab" in readme
    assert "python make.py test" in readme


def test_no_file_names_a_registry_or_a_machine():
    """Nothing in the repository leads to one machine or to one package host."""
    import re

    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile("|".join(["pypi" + r"\.org", "download" + r"\.pytorch", "/ro" + "ot/", "/wo" + "rk/main"]))
    for name in listed.stdout.splitlines():
        text = (ROOT / name).read_bytes().decode("utf-8", errors="ignore")
        assert not pattern.search(text), f"{name}: {pattern.search(text)[0]}"
    assert Path(ROOT / "make.py").exists()
