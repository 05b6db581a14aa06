"""The instructor's commands as programs: release, grade, and what they say to bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from test_command import course
from test_grading import BLANK, SOLVED, needs_sandbox

from course_lib import expect
from course_lib.coursework.grading import release as module
from course_lib.coursework.grading.commands import secret
from course_lib.coursework.grading.submissions import Submission
from course_lib.coursework.modules import find_module


def test_a_release_holds_what_students_need_and_nothing_else(tmp_path):
    run = course("release", "01", "--out", tmp_path / "bundle")
    assert run.returncode == 0, run.stderr
    bundle = tmp_path / "bundle"
    for needed in ("README.md", "make.py", "constraints.txt", "lectures/00_start_here.ipynb",
                   "lectures/01_wiener_filtering.ipynb", "labs/01_wiener_filtering/01_wiener_filtering.ipynb",
                   "course_lib/classical/wiener.py", "course_lib/exercises/wiener_filtering.py"):  # fmt: skip
        assert (bundle / needed).is_file(), needed
    for kept in ("solutions", "tests", "docs", "nbgrader_config.py", "course_lib/coursework/grading", ".venv", "work"):
        assert not (bundle / kept).exists(), kept
    everything = "".join(p.read_text(encoding="utf-8") for p in bundle.rglob("*.ipynb"))
    assert "BEGIN SOLUTION" not in everything
    assert "Interpretation." not in everything
    # a student's commands work from it
    code = "import sys; sys.path.insert(0, '.'); from course_lib.coursework.cli import main; main()"
    started = subprocess.run([sys.executable, "-c", code, "start", "01"], cwd=bundle, capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
    assert (bundle / "work" / "01_wiener_filtering" / "01_wiener_filtering.ipynb").is_file()
    refused = subprocess.run([sys.executable, "-c", code, "grade", "01"], cwd=bundle, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "No such command" in refused.stderr


def test_a_release_as_a_zip_file(tmp_path):
    assert course("release", "wiener_filtering", "--out", tmp_path / "b.zip").returncode == 0
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert "labs/01_wiener_filtering/01_wiener_filtering.ipynb" in archive.namelist()
    again = course("release", "01", "--out", tmp_path / "b.zip")
    assert again.returncode == 2
    assert "which is not empty" in again.stderr


def test_a_leaking_lab_is_not_released(tmp_path, monkeypatch):
    """The proof finds an answer, and nothing is written."""
    real = shutil.copy

    def leak(source, target):
        real(source, target)
        if "labs" in str(target):
            path = target / "01_wiener_filtering.ipynb"
            notebook = json.loads(path.read_text(encoding="utf-8"))
            notebook["cells"][2]["source"] = "    return torch.fft.ifft2(filtered).real"
            path.write_text(json.dumps(notebook), encoding="utf-8")

    monkeypatch.setattr(module.shutil, "copy", leak)
    with pytest.raises(expect.InputError, match="expected a lab as generated"):
        module.release([find_module("01")], tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@needs_sandbox
def test_grading_a_folder(tmp_path):
    folder = tmp_path / "handed in"
    folder.mkdir()
    (folder / 'Zoë "Z" O\'Neil, 王.ipynb').write_text(json.dumps(SOLVED))
    (folder / "idle.ipynb").write_text(json.dumps(BLANK))
    (folder / "broken.ipynb").write_text("{")
    run = course("grade", "01", "--submissions", folder, "--out", tmp_path / "out")
    assert run.returncode == 0, run.stderr
    assert 'Zoë "Z" O\'Neil, 王   33 of 33  graded' in run.stdout
    assert "not a notebook" in run.stdout
    assert (tmp_path / "out" / "secret_seed").stat().st_mode & 0o077 == 0
    results = {p.name: p.read_bytes() for p in (tmp_path / "out" / "results").iterdir()}
    assert len(results) == 3
    again = course("grade", "01", "--submissions", folder, "--out", tmp_path / "out", "--jobs", "1")
    assert again.stdout == run.stdout
    assert again.stderr == ""  # nothing was graded a second time
    assert {p.name: p.read_bytes() for p in (tmp_path / "out" / "results").iterdir()} == results


@needs_sandbox
def test_a_batch_that_is_killed_goes_on_and_gives_the_same(tmp_path):
    """Eight submissions, a kill in the middle, a resume (make soak: two hundred)."""
    count = 200 if os.environ.get("COURSE_SOAK") else 8
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(count):
        (folder / f"s{i}.ipynb").write_text(json.dumps((SOLVED, BLANK)[i % 2]))
    (tmp_path / "seed").write_text("the same secret for both")
    arguments = ["grade", "01", "--submissions", folder, "--seed-file", tmp_path / "seed"]
    whole = course(*arguments, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "course_lib.coursework.cli", *map(str, arguments), "--out", str(tmp_path / "part")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    results = tmp_path / "part" / "results"
    for _ in range(600):
        if results.is_dir() and len(list(results.glob("*.json"))) >= count // 4:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list(results.glob("*.json")))
    assert 0 < done < count
    resumed = course(*arguments, "--out", tmp_path / "part")
    assert resumed.stdout.splitlines()[:-1] == whole.stdout.splitlines()[:-1]
    assert len(resumed.stderr.splitlines()) == count - done
    assert {p.name: p.read_text() for p in results.glob("*.json")} == {
        p.name: p.read_text() for p in (tmp_path / "whole" / "results").glob("*.json")
    }


@needs_sandbox
def test_a_dask_cluster_gives_the_same_as_a_serial_run(tmp_path):
    """On a local cluster of two workers."""
    from distributed import LocalCluster

    from course_lib.coursework.grading.grade import grade_all

    work = [Submission(f"s{i}", "f", json.dumps(nb)) for i, nb in enumerate((SOLVED, BLANK, SOLVED))]
    serial = grade_all(work, "01_wiener_filtering", "a secret seed", tmp_path / "serial", jobs=1)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        parallel = grade_all(work, "01_wiener_filtering", "a secret seed", tmp_path / "dask", scheduler=address)
    assert parallel == serial
    with pytest.raises(expect.InputError, match="expected a Dask scheduler at tcp://127.0.0.1:9, found none"):
        grade_all(work, "01_wiener_filtering", "x" * 9, tmp_path / "none", scheduler="tcp://127.0.0.1:9")


@needs_sandbox
def test_grades_and_feedback_after_grading(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "ada.ipynb").write_text(json.dumps(SOLVED))
    assert course("grade", "01", "--submissions", folder, "--out", out).returncode == 0
    (tmp_path / "m.csv").write_text("student,item,points,reason\nada,mismatch_study,4,\n")
    for _ in range(2):  # marks survive grading again
        run = course("grades", out, "--marks", tmp_path / "m.csv")
        assert run.returncode == 0, run.stderr
        assert "0 open answers wait" in run.stdout
        assert ",37,37" in (out / "grades" / "grades.csv").read_text()
        assert course("grade", "01", "--submissions", folder, "--out", out).returncode == 0
    run = course("feedback", out)
    assert run.returncode == 0, run.stderr
    (page,) = (out / "feedback").glob("*.html")
    assert "33 of 37 points" in page.read_text()
    bad = course("grades", folder)
    assert bad.returncode == 2
    assert "expected the results of one module" in bad.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("grade", "07", "--submissions", ".", "--out", "o"), "expected a module among"),
        (("grade", "01", "--submissions", "nowhere", "--out", "o"), "expected a folder of submissions, got nowhere"),
        (("grade", "01", "--submissions", "empty", "--out", "o"), "found none"),
        (("grade", "01", "--submissions", "empty", "--out", "o", "--jobs", "0"), "expected --jobs as a number from 1"),
        (("release", "07", "--out", "o"), "expected a module among"),
        (("release", "01", "--out", "full"), "which is not empty"),
        (("release", "01", "--out", "no/where"), "in an existing folder"),
    ],
)
def test_bad_input(arguments, said, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    run = course(*arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert said in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "full"]


def test_a_secret_is_made_once(tmp_path):
    first = secret(tmp_path / "seed")
    assert len(first) == 32
    assert secret(tmp_path / "seed") == first
    (tmp_path / "short").write_text("abc")
    with pytest.raises(expect.InputError, match="at least 8 letters"):
        secret(tmp_path / "short")
