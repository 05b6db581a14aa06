"""`course train`: exit statuses, what it prints, and what it leaves in its folder."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_recipe import batch, network, tiny

from course_lib import expect
from course_lib.coursework import cli
from course_lib.coursework import train as module
from course_lib.coursework.modules import ROOT
from course_lib.networks import weights
from course_lib.networks.weights import load_weights, read_manifest
from course_lib.training import recipes as registry
from course_lib.training import train

TESTS = ROOT / "tests"


def on_folder(folder: Path):
    """The tiny recipe on numbers from a file."""
    file = folder / "numbers.txt"
    if not file.exists():
        raise expect.InputError(f"expected numbers.txt in {folder}, found none")
    scale = float(file.read_text())

    def scaled(generator, size):
        x, y = batch(generator, size)
        return x, scale * y

    return tiny(batch=scaled)


@pytest.fixture
def course(monkeypatch, capsys, tmp_path):
    """Call the command with the tiny recipe in the place of all others; the folder for work/ is a new one."""
    known = {"tiny": tiny(data=on_folder), "other": tiny(name="other", steps=7)}
    monkeypatch.setattr(registry, "all_recipes", lambda: known)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")  # a slow machine's bar is no line of ours

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["course", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        out, err = capsys.readouterr()
        return exit.value.code, out, err

    call.known = known
    return call


def test_it_trains_and_says_how_good_and_where(course, tmp_path):
    status, out, err = course("train", "tiny")
    folder = tmp_path / "work" / "training" / "tiny"
    mse = read_manifest(folder / "tiny.safetensors")["metrics"]["mse"]
    assert status == 0
    assert out.splitlines() == [
        f"validation after 40 of 40 steps: mse {mse:.4g}", f"weights: {folder / 'tiny.safetensors'}",
    ]  # fmt: skip
    assert err == ""
    assert sorted(p.name for p in folder.iterdir()) == ["checkpoint.pt", "tiny.json", "tiny.safetensors"]
    load_weights(network(), folder / "tiny.safetensors")
    assert read_manifest(folder / "tiny.safetensors")["steps"] == 40
    # a second call does not begin again over what is there
    before = (folder / "checkpoint.pt").read_bytes()
    status, out, err = course("train", "tiny")
    assert (status, out) == (2, "")
    assert err.endswith(f"got {folder}: go on with --resume, or choose another with --out\n")
    assert (folder / "checkpoint.pt").read_bytes() == before


def test_minutes_end_with_weights_and_a_line_and_resume_goes_on(course, tmp_path):
    out_folder = tmp_path / "a run"
    status, out, err = course("train", "tiny", "--minutes", "1e-9", "--out", out_folder, "--steps", "30")
    assert status == 0
    assert err == (
        f"course: stopped after 1 of 30 steps; go on with: course train tiny --resume --out '{out_folder}' --steps 30\n"
    )
    assert out.startswith("validation after 1 of 30 steps: mse ")
    assert read_manifest(out_folder / "tiny.safetensors")["steps"] == 1
    status, out, err = course("train", "tiny", "--resume", "--out", out_folder, "--steps", "30")
    assert (status, err) == (0, "")
    course("train", "tiny", "--out", tmp_path / "whole", "--steps", "30")
    resumed, whole = ((f / "tiny.safetensors").read_bytes() for f in (out_folder, tmp_path / "whole"))
    assert resumed == whole


def test_the_line_names_every_option_that_the_run_had(course):
    err = course("train", "tiny", "--minutes", "1e-9", "--precision", "bf16-mixed", "--accelerator", "cpu")[2]
    assert err.endswith("course train tiny --resume --accelerator cpu --precision bf16-mixed\n")


def test_ctrl_c_ends_with_status_130_and_how_to_go_on(course, tmp_path):
    def interrupted(times):
        def draw(generator, size):
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            return batch(generator, size)

        return replace(tiny(), batch=draw)

    again = "go on with: course train tiny --resume"
    course.known["tiny"] = interrupted(1)
    status, out, err = course("train", "tiny")
    assert (status, out, err) == (130, "", f"course: stopped after 1 of 40 steps; {again}\n")
    course.known["tiny"] = interrupted(2)
    status, out, err = course("train", "tiny", "--resume")
    kept = tmp_path / "work" / "training" / "tiny" / "checkpoint.pt"
    said = f"course: stopped within a step; the last checkpoint, {kept}, is intact; {again}\n"
    assert (status, out, err) == (130, "", said)
    course.known["tiny"] = tiny()
    assert course("train", "tiny", "--resume")[0] == 0


def test_it_learns_from_data_of_the_user(course, tmp_path):
    (tmp_path / "my scans").mkdir()
    (tmp_path / "my scans" / "numbers.txt").write_text("3.0")
    assert course("train", "tiny", "--data", tmp_path / "my scans", "--out", tmp_path / "mine")[0] == 0
    assert course("train", "tiny", "--out", tmp_path / "ours")[0] == 0
    mine, ours = (tmp_path / name / "tiny.safetensors" for name in ("mine", "ours"))
    assert read_manifest(mine)["data"] == "my scans"
    assert read_manifest(ours)["data"] == "built in"
    assert mine.read_bytes() != ours.read_bytes()
    status, _, err = course("train", "tiny", "--out", tmp_path / "mine", "--resume")
    assert status == 2
    assert "with source built in, got" in err


def test_the_foreground_is_chosen_from_the_labels_of_the_data(course, tmp_path):
    """It reaches the recipe only if it was given, and the line that says how to go on has it."""
    asked = []

    def labelled(folder: Path, foreground: int | None = None):
        asked.append(foreground)
        return tiny(name="labelled")

    course.known["labelled"] = tiny(name="labelled", data=labelled)
    again = ("--data", tmp_path, "--minutes", "1e-9", "--foreground", "0")
    status, _, err = course("train", "labelled", *again)
    assert status == 0
    assert err.endswith(f"course train labelled --resume --data {tmp_path} --foreground 0\n")
    assert course("train", "labelled", "--data", tmp_path, "--out", tmp_path / "all")[0] == 0
    assert asked == [0, None]
    status, out, err = course("train", "labelled", "--foreground", "0")
    assert (status, out) == (2, "")
    assert err == "course: expected --foreground beside --data, whose labels it chooses from, got it alone\n"


def test_a_loss_that_is_not_finite_has_status_2(course):
    course.known["tiny"] = tiny(loss=lambda network, batch: network(batch[0]).sum() * torch.nan)
    status, out, err = course("train", "tiny")
    assert (status, out) == (2, "")
    assert err == "course: expected a finite loss, got nan at step 1 of tiny; no checkpoint was written\n"


BAD = {
    "unknown recipe": (("nothing",), "expected a recipe among tiny, other, got 'nothing'"),
    "no such data": (("tiny", "--data", "nowhere"), "expected --data as a folder, got nowhere, which is none"),
    "a file for data": (("tiny", "--data", "file"), "expected --data as a folder, got file, which is none"),
    "wrong data": (("tiny", "--data", "empty"), "expected numbers.txt in empty, found none"),
    "data for a recipe without": (("other", "--data", "empty"), "expected a recipe that learns from --data, got other"),
    "foreground for a recipe without": (
        ("tiny", "--data", "empty", "--foreground", "1"),
        "expected a recipe that takes --foreground, got tiny",
    ),
    "out is a file": (("tiny", "--out", "file"), "expected a folder that can be written to, got file"),
    "out below a file": (("tiny", "--out", "file/x"), "expected a folder that can be written to, got file"),
    "out in the library": (("tiny", "--out", weights.SHIPPED), "expected --out outside the library, got"),
    "no step": (("tiny", "--steps", "0"), "expected steps of tiny as a whole number from 1, got 0"),
    "steps in words": (("tiny", "--steps", "many"), "--steps"),
    "no time": (("tiny", "--minutes", "0"), "expected minutes as a number above 0, got 0"),
    "unknown precision": (("tiny", "--precision", "3-bit"), "got '3-bit'"),
    "unknown accelerator": (("tiny", "--accelerator", "abacus"), "got 'abacus'"),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_line_and_status_2(arguments, said, course, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    status, out, err = course("train", *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.startswith("course: ")
    assert err.count("\n") == 1, err
    assert not list(tmp_path.rglob("checkpoint.pt"))


def test_without_a_name_the_recipes_are_listed(course, tmp_path, monkeypatch):
    course("train", "other", "--out", tmp_path / "shipped")
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")
    manifest = tmp_path / "shipped" / "other.json"
    record = json.loads(manifest.read_text()) | {"metrics": {"psnr": 36.54321}, "seconds": 3000.0}
    manifest.write_text(json.dumps(record))
    status, out, err = course("train")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "tiny      40 steps of   8 samples",
        "other      7 steps of   8 samples   shipped: psnr 36.54 after 50 min",
    ]


SCRIPT = f"""
import os, sys, time
sys.path.insert(0, {str(TESTS)!r})
from tiny_recipe import batch, tiny
from course_lib.coursework import cli
from course_lib.training import recipes

def slow(generator, size):
    time.sleep(float(os.environ["PAUSE"]))
    return batch(generator, size)

recipes.all_recipes = lambda: {{"tiny": tiny(batch=slow, steps=200)}}
cli.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to a whole console")
def test_a_process_that_gets_ctrl_c_keeps_what_it_has_learned(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    folder = tmp_path / "run"
    command = [sys.executable, tmp_path / "script.py", "train", "tiny", "--out", folder]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PAUSE": "0.05"}
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 60
    while not folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)  # of the ten that 200 steps take
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert out == ""
    assert re.fullmatch(
        rf"course: stopped after [1-9]\d* of 200 steps; go on with: course train tiny --resume --out {folder}\n", err
    )
    resumed, whole = train(tiny(steps=200), folder, resume=True), train(tiny(steps=200))
    assert resumed.history.losses == whole.history.losses
    for name, value in resumed.network.state_dict().items():
        assert torch.equal(value, whole.network.state_dict()[name])
