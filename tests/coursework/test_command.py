"""The `course` command, called as a program: good input, and every kind of bad input in one line."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from course_lib import data
from course_lib.coursework.modules import ROOT


def course(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "course_lib.coursework.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three good images (grey, colour, 16 bit) and four that cannot be used."""
    folder = tmp_path_factory.mktemp("images")
    cat, coins = ((data.photographs([name], size=96)[0, 0].numpy() * 255).astype(np.uint8) for name in ("cat", "coins"))
    Image.fromarray(cat).save(folder / "a cat.png")
    Image.fromarray(np.stack([coins, coins // 2, 255 - coins], -1)).save(folder / "colour.jpg", quality=95)
    (folder / "deep.pgm").write_bytes(b"P5\n96 96\n65535\n" + (cat.astype(">u2") * 257).tobytes())
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "a cat.png").read_bytes()[:300])
    Image.fromarray(np.zeros((1, 1), dtype=np.uint8)).save(folder / "pixel.png")
    (folder / "notes.txt").write_text("not looked at")
    return folder


def test_evaluate_writes_a_table_and_a_file(folder, tmp_path):
    out = tmp_path / "results.json"
    run = course("evaluate", "wiener_filtering", "--data", folder, "--out", out, "--sigma", "25/255", "--sigma", "0.2")
    assert run.returncode == 0, run.stderr
    record = json.loads(out.read_text())
    assert set(record) == {"module", "data", "seed", "rows"}
    assert record["module"] == "01_wiener_filtering"
    assert record["data"] == str(folder)
    rows = {(r["method"], r["setting"], r["metric"]): r for r in record["rows"]}
    assert len(rows) == len(record["rows"]) == 3 * 2 * 2
    assert {r["count"] for r in record["rows"]} == {3}
    assert {s for _, s, _ in rows} == {"sigma=25/255", "sigma=0.2"}
    for setting, noise in (("sigma=25/255", 20.17), ("sigma=0.2", 13.98)):
        assert rows["noisy", setting, "psnr"]["value"] == pytest.approx(noise, abs=0.1)
        for method in ("wiener", "bilateral"):
            assert rows[method, setting, "psnr"]["value"] > rows["noisy", setting, "psnr"]["value"] + 1.5
            assert rows[method, setting, "ssim"]["value"] > rows["noisy", setting, "ssim"]["value"]
    assert "sigma=25/255" in run.stdout
    # what could not be used is named, a line each, and counted
    lines = run.stderr.splitlines()
    assert [name for name in ("cut.png", "pixel.png", "text.png") if any(name in line for line in lines)] == [
        "cut.png", "pixel.png", "text.png",
    ]  # fmt: skip
    assert lines[-1] == "course: used 3 of 6 images"
    assert "Traceback" not in run.stderr


def test_evaluate_gives_the_same_numbers_again(folder, tmp_path):
    for name in ("one.json", "two.json"):
        assert course("evaluate", "01", "--data", folder, "--out", tmp_path / name).returncode == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert course("evaluate", "01", "--data", folder, "--out", tmp_path / "three.json", "--seed", "1").returncode == 0
    assert (tmp_path / "one.json").read_bytes() != (tmp_path / "three.json").read_bytes()


def test_evaluate_keeps_an_old_file_when_it_fails(folder, tmp_path):
    out = tmp_path / "results.json"
    out.write_text("precious")
    empty = tmp_path / "only bad"
    empty.mkdir()
    (empty / "text.png").write_text("no image")
    run = course("evaluate", "01", "--data", empty, "--out", out)
    assert run.returncode == 2
    assert "expected at least one usable image" in run.stderr
    assert out.read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["only bad", "results.json"]


def test_each_image_gets_its_own_noise(tmp_path):
    from course_lib.coursework.evaluate import denoising_rows

    grey = np.random.default_rng(0).integers(0, 255, (32, 32), dtype=np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(grey).save(tmp_path / name)
    seen = []
    denoising_rows(tmp_path, {"0.1": 0.1}, 0, {"look": lambda noisy, sigma: seen.append(noisy) or noisy})
    assert len(seen) == 2
    assert not (seen[0] == seen[1]).any()


def test_evaluate_does_not_write_over_what_is_no_result(folder, tmp_path):
    image = folder / "a cat.png"
    before = image.read_bytes()
    run = course("evaluate", "01", "--data", folder, "--out", image)
    assert run.returncode == 2
    assert image.read_bytes() == before
    if sys.platform != "win32":
        import os

        os.mkfifo(tmp_path / "pipe")
        assert course("evaluate", "01", "--data", folder, "--out", tmp_path / "pipe").returncode == 2
        assert (tmp_path / "pipe").is_fifo()
        (folder / "new\nline.png").write_text("x")
        run = course("evaluate", "01", "--data", folder, "--out", tmp_path / "r.json")
        assert "new\\nline.png" in run.stderr
        (folder / "new\nline.png").unlink()


BAD = {
    "unknown module": (
        ("start", "07"),
        "expected a module among 01_wiener_filtering, 02_compressed_sensing, 04_blind_denoising, "
        "05_mammogram_denoising, 06_unet_segmentation, 09_data_consistency_cascades, 12_line_spectra, got '07'",
    ),
    "no module": (("start",), "argument 'module'"),
    "unknown command": (("strat", "01"), "strat"),
    "unknown option": (("start", "01", "--upgrade"), "--upgrade"),
    "evaluate an unknown module": (("evaluate", "x", "--data", ".", "--out", "x.json"), "expected a module"),
    "missing folder": (("evaluate", "01", "--data", "nowhere", "--out", "x.json"), "nowhere, which does not exist"),
    "empty folder": (("evaluate", "01", "--data", "empty", "--out", "x.json"), "in empty, found none"),
    "a file for a folder": (("evaluate", "01", "--data", "file", "--out", "x.json"), "got the file file"),
    "negative noise": (("evaluate", "01", "--data", "empty", "--out", "x.json", "--sigma", "-5/255"), "got '-5/255'"),
    "noise beyond all sense": (("evaluate", "01", "--data", "empty", "--out", "x.json", "--sigma", "1e300"), "1e300"),
    "a huge seed": (("evaluate", "01", "--data", "empty", "--out", "x.json", "--seed", "9" * 20), "--seed"),
    "a folder name without end": (("evaluate", "01", "--data", "x" * 5000, "--out", "x.json"), "expected"),
    "a file name without end": (("evaluate", "01", "--data", "empty", "--out", "x" * 300), "File name too long"),
    "noise in grey levels": (
        ("evaluate", "04", "--data", "empty", "--out", "x.json", "--sigma", "25"),
        "got '25': in units where white is 1, that grey level is 25/255",
    ),
    "no network of the user's": (
        ("evaluate", "04", "--data", "file", "--out", "x.json", "--weights", "mine.safetensors"),
        "got the file file",
    ),
    "noise in words": (("evaluate", "01", "--data", "empty", "--out", "x.json", "--sigma", "some"), "got 'some'"),
    "noise that is none": (("evaluate", "01", "--data", "empty", "--out", "x.json", "--sigma", "nan"), "got 'nan'"),
    "division by zero": (("evaluate", "01", "--data", "empty", "--out", "x.json", "--sigma", "25/0"), "got '25/0'"),
    "no noise": (("evaluate", "01", "--data", "empty", "--out", "x.json", "--sigma", "0"), "from 0.0001 to 1, such as"),
    "out in no folder": (("evaluate", "01", "--data", "empty", "--out", "no/x.json"), "expected --out as a JSON file"),
    "out is a folder": (("evaluate", "01", "--data", "empty", "--out", "empty"), "expected --out as a JSON file"),
    "out is missing": (("evaluate", "01", "--data", "empty"), "--out"),
    "another module's option": (("evaluate", "01", "--data", "empty", "--out", "x.json", "--mask", "x"), "got --mask"),
    "noise for k-space": (("evaluate", "02", "--data", "empty", "--out", "x.json", "--sigma", "0.1"), "got --sigma"),
    "R in words": (("evaluate", "02", "--data", "empty", "--out", "x.json", "--acceleration", "x"), "--acceleration"),
    "R below 1": (("evaluate", "02", "--data", "empty", "--out", "x.json", "--acceleration", "0.5"), "got 0.5"),
    "no MRI files": (("evaluate", "02", "--data", "empty", "--out", "x.json"), "got empty, where none was found"),
    "seed in words": (("evaluate", "01", "--data", "empty", "--out", "x.json", "--seed", "one"), "--seed"),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_line_and_status_2(arguments, said, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    run = course(*arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert said in run.stderr
    assert run.stderr.startswith("course: ")
    assert len(run.stderr.strip().splitlines()) == 1, run.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no unreadable files of this kind")
def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """As root nothing is unreadable, so the system's refusal is put in its place."""
    from course_lib import expect

    path = tmp_path / "secret.png"
    Image.fromarray(np.zeros((16, 16), dtype=np.uint8)).save(path)

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(expect.InputError, match=r"secret.png: permission denied"):
        data.read_image(path)


def test_no_command_shows_the_help():
    run = course()
    assert run.returncode == 2
    assert "evaluate" in run.stdout


def test_machine():
    run = course("machine")
    assert run.returncode == 0
    for word in ("Python", "PyTorch", "Threads", "GPU", "Memory", "Data files", "Network"):
        assert word in run.stdout
    assert "Everything that the course needs is here." in run.stdout
