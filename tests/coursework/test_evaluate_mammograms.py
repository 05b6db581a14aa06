"""`course evaluate mammogram_denoising`: the methods, what is looked for, and what is said of files that are none."""

import json

import numpy as np
import pytest
from PIL import Image

from course_lib import data, expect
from course_lib.coursework.evaluate import evaluate_module, mammogram_denoising
from course_lib.coursework.evaluate.mammogram_denoising import dose_share

METHODS = {"noisy", "wiener", "nlm", "anscombe_nlm", "dncnn", "dilated", "sure"}
SIZE = (256, 192)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two small breasts as MIAS has them, the first with its calcifications in `Info.txt`."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    folder = tmp_path / "mias"
    folder.mkdir()
    lines = ["A preamble.", "mdb002 D NORM"]
    for index in (0, 1):
        m = data.mammogram("test", index, SIZE)
        stored = (m.image[0, 0].numpy() * 255).round().astype(np.uint8)
        Image.fromarray(stored).save(folder / f"mdb00{index + 1}.pgm")
        if index == 0:
            for row, column, _ in m.calcifications.round().int().tolist():
                lines.append(f"mdb001 G CALC B {column} {SIZE[0] - 1 - row} 2")
    (folder / "Info.txt").write_text("\n".join(lines) + "\n")
    return folder


def evaluated(folder, **options):
    out = folder.parent / "out.json"
    rows = evaluate_module("mammogram_denoising", folder, out, **options)
    return {(r.method, r.setting, r.metric): r for r in rows}, json.loads(out.read_text())


def test_all_methods_and_metrics(folder, capsys):
    rows, written = evaluated(folder)
    assert {method for method, *_ in rows} == METHODS
    assert {setting for _, setting, _ in rows} == {"dose=1/16", "dose=1/64"}
    assert (written["module"], written["seed"]) == ("05_mammogram_denoising", 0)
    for (method, setting, metric), row in rows.items():
        assert row.count == (1 if metric in ("calcification_contrast", "detection_rate") else 2)
        assert np.isfinite(row.value), (method, setting, metric)
    for setting in ("dose=1/16", "dose=1/64"):
        value = {method: rows[method, setting, "psnr"].value for method in METHODS}
        assert min(value.values()) == value["noisy"]
        for method in METHODS - {"noisy"}:
            assert rows[method, setting, "epi"].value > rows["noisy", setting, "epi"].value
    assert rows["noisy", "dose=1/16", "psnr"].value > rows["noisy", "dose=1/64", "psnr"].value + 4
    contrast = {method: rows[method, "dose=1/16", "calcification_contrast"].value for method in METHODS}
    assert contrast["noisy"] == pytest.approx(1, abs=0.1)
    assert contrast["wiener"] < 0.9  # it blurs them
    printed = capsys.readouterr().out
    assert "calcification_contrast" in printed
    assert "detection_rate" in printed


def test_spots_are_looked_for_where_they_are(folder):
    """Mirrored places find nothing but chance: the coordinates count from below."""
    rows, _ = evaluated(folder, dose=["1"])
    right = rows["noisy", "dose=1", "detection_rate"].value
    info = folder / "Info.txt"
    lines = [line.split() for line in info.read_text().splitlines()]
    for words in lines:
        if "CALC" in words:
            words[5] = str(SIZE[0] - 1 - int(words[5]))
    info.write_text("\n".join(" ".join(words) for words in lines))
    rows, _ = evaluated(folder, dose=["1"])
    assert right > 0.6  # some are too faint for the detector without any noise
    assert rows["noisy", "dose=1", "detection_rate"].value < right - 0.4


def test_bad_files_are_named_and_the_others_used(folder, capsys):
    (folder / "broken.dcm").write_text("no DICOM")
    (folder / "tiny.png").write_bytes(b"")
    with (folder / "Info.txt").open("a") as info:
        info.write("mdb001 G CALC B 12\nmdb216 D CALC M *NOTE 3*\n")
    rows, _ = evaluated(folder, dose=["1/16"])
    said = capsys.readouterr().err
    assert "expected a DICOM file, got" in said
    assert "tiny.png" in said
    assert "got 'mdb001 G CALC B 12' in line" in said
    assert "1 findings of calcifications in" in said
    assert "used 2 of 4 images" in said
    assert rows["noisy", "dose=1/16", "psnr"].count == 2


def test_findings_outside_the_image_are_named(folder, capsys):
    (folder / "Info.txt").write_text("mdb001 G CALC B 5000 10 3\n")
    rows, _ = evaluated(folder, dose=["1/16"])
    assert "expected findings inside" in capsys.readouterr().err
    assert rows["noisy", "dose=1/16", "psnr"].count == 1


def test_without_findings_only_the_images_are_compared(folder):
    (folder / "Info.txt").unlink()
    rows, _ = evaluated(folder, dose=["1/16"])
    assert {metric for *_, metric in rows} == {"psnr", "ssim", "epi"}


@pytest.mark.parametrize(("text", "value"), [("1/16", 1 / 16), ("0.25", 0.25), ("2", 2.0), ("1/2000", 1 / 2000)])
def test_doses(text, value):
    assert dose_share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "0", "-1", "1/0", "1/", "nan", "half", "11", "1/3000"])
def test_what_is_no_dose(text, folder):
    with pytest.raises(expect.InputError, match="expected a dose as a part of the usual one from 1/2000 to 10"):
        evaluated(folder, dose=[text])


def test_a_breast_too_small_for_a_false_positive(folder, capsys, monkeypatch):
    monkeypatch.setattr(mammogram_denoising, "MINI_MIAS_MM", 0.01)
    rows, _ = evaluated(folder, dose=["1/16"])
    assert "cm² of breast: too little for 0.5 false positives a cm²" in capsys.readouterr().err
    assert {metric for *_, metric in rows} == {"psnr", "ssim", "epi", "calcification_contrast"}


def test_the_table_is_no_file_of_data(folder):
    with pytest.raises(expect.InputError, match="expected --out as a JSON file"):
        evaluate_module("05", folder, folder / "out.dcm")
