"""`course evaluate unet_segmentation`: what is held out, what is measured on it, in which unit, and what is told.

The networks that come with the course are put aside for two that say nothing; two tests train for two steps.
"""

import json
import math
import sys
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from course_lib import expect, training
from course_lib.coursework import cli
from course_lib.coursework.evaluate import Row, evaluate_module, table
from course_lib.coursework.evaluate.unet_segmentation import voxel_sides
from course_lib.networks import weights
from course_lib.training import find_recipe, recipes, save_weights, settling

METHODS = ("threshold", "fcn", "unet")
OVERLAPS, DISTANCES = ("dice", "iou", "pixel_accuracy"), ("hausdorff95", "asd")
NAMES = {"fcn": "fcn_segmentation", "unet": "unet_segmentation"}


def save(folder, name, bias):
    """Weights of a network whose probability of foreground is the same everywhere."""
    network = find_recipe(name).network()
    for key, parameter in network.named_parameters():
        torch.nn.init.constant_(parameter, bias if parameter.shape == (1,) else 0.0)
        assert key
    return save_weights(network, folder, find_recipe(name), steps=0, seconds=0.0, metrics={})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of images and labels; the FCN that is shipped finds everything, the U-Net nothing."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    (tmp_path / "shipped").mkdir()
    save(tmp_path / "shipped", NAMES["fcn"], 1.0)
    save(tmp_path / "shipped", NAMES["unet"], -1.0)
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(settling, "BATCHES", 2)
    for name in ("images", "labels"):
        (tmp_path / "data" / name).mkdir(parents=True)
    return tmp_path / "data"


def box(left=20, top=16):
    mask = np.zeros((64, 64), bool)
    mask[top : top + 24, left : left + 30] = True
    return mask


def image_of(mask):
    return np.where(mask, 180, 60).astype(np.uint8)


def write(folder, count=6, shift=0):
    """Bright boxes; the label of the last lies `shift` columns to the right of what the image shows."""
    for number in range(count):
        mask = box(left=10 + number)
        Image.fromarray(image_of(mask)).save(folder / "images" / f"{number}.png")
        label = np.roll(mask, shift if number == count - 1 else 0, axis=1)
        Image.fromarray(label.astype(np.uint8)).save(folder / "labels" / f"{number}.png")


def write_tiff(folder, name, mask, **options):
    tifffile.imwrite(folder / "images" / f"{name}.tif", image_of(mask), **options)
    tifffile.imwrite(folder / "labels" / f"{name}.tif", mask.astype(np.uint8))


def evaluated(folder, **options):
    out = folder.parent / "out.json"
    rows = evaluate_module("unet_segmentation", folder, out, **({"steps": 0} | options))
    return {(r.method, r.metric): r for r in rows}, json.loads(out.read_text())


def test_overlaps_and_distances_of_the_held_out_image_by_hand(folder, capsys):
    write(folder, shift=3)
    rows, record = evaluated(folder)
    assert set(rows) == {(method, metric) for method in METHODS for metric in (*OVERLAPS, *DISTANCES)}
    assert {row.setting for row in rows.values()} == {"held_out"}
    assert {row.count for row in rows.values()} == {1}
    value = {metric: rows["threshold", metric].value for metric in (*OVERLAPS, *DISTANCES)}
    assert value["dice"] == pytest.approx(27 / 30)
    assert value["iou"] == pytest.approx(27 / 33)
    assert value["pixel_accuracy"] == pytest.approx(1 - 6 * 24 / 64**2)
    assert value["hausdorff95"] == pytest.approx(3)
    assert 0 < value["asd"] < 3
    assert rows["fcn", "iou"].value == pytest.approx(24 * 30 / 64**2)  # it finds everything
    assert record["module"] == "06_unet_segmentation"
    assert set(record) == {"module", "data", "seed", "foreground", "voxel_mm", "steps", "weights", "rows"}
    out, err = capsys.readouterr()
    assert all(word in out for word in (*METHODS, *OVERLAPS, *DISTANCES))
    assert err.splitlines() == [
        f"course: held out: the last 1 of 6 images, {folder / 'images' / '5.png'}",
        "course: no held-out image tells the size of its pixels: distances are in pixels; --voxel-mm gives the size",
        "course: fcn: the weights that come with the course, which have learned from generated nerve tissue",
        "course: unet: the weights that come with the course, which have learned from generated nerve tissue",
        "course: threshold: the foreground is brighter than 0.472",
    ]


def test_an_empty_prediction_has_no_distance_in_the_file(folder):
    """The U-Net finds nothing: infinitely far from everything, and JSON has no infinity."""
    write(folder)
    rows, record = evaluated(folder)
    assert rows["unet", "dice"].value == 0
    assert rows["unet", "asd"].value == math.inf
    written = {(row["method"], row["metric"]): row["value"] for row in record["rows"]}
    assert written["unet", "hausdorff95"] is written["unet", "asd"] is None
    assert written["threshold", "asd"] == 0


@pytest.mark.parametrize(("voxel_mm", "distance"), [("0.5", 1.5), ("7,0.25", 0.75), ("9,7,2", 6.0)])
def test_the_size_of_a_pixel_may_be_given(folder, capsys, voxel_mm, distance):
    write(folder, shift=3)
    rows, record = evaluated(folder, voxel_mm=voxel_mm)
    assert rows["threshold", "hausdorff95"].value == pytest.approx(distance)
    assert record["voxel_mm"] == voxel_mm
    assert "pixels" not in capsys.readouterr().err


def test_a_file_that_tells_its_size_is_believed(folder):
    for number in range(3):
        write_tiff(folder, number, box(left=10 + number), resolution=(508, 254), resolutionunit="inch")
    tifffile.imwrite(folder / "labels" / "2.tif", box(left=15).astype(np.uint8))
    for voxel_mm in (None, "11"):
        rows, _ = evaluated(folder, **({} if voxel_mm is None else {"voxel_mm": voxel_mm}))
        assert rows["threshold", "hausdorff95"].value == pytest.approx(3 * 0.05)


def test_pixels_and_millimetres_are_not_averaged(folder, capsys):
    """Of ten images two are held out, and the size of one is not known."""
    write(folder, 9)
    write_tiff(folder, 9, box(), resolution=(254, 254), resolutionunit="inch")
    rows, record = evaluated(folder)
    assert {metric: rows["threshold", metric].count for metric in (*OVERLAPS, *DISTANCES)} == {
        "dice": 2, "iou": 2, "pixel_accuracy": 2, "hausdorff95": 1, "asd": 1,
    }  # fmt: skip
    out, err = capsys.readouterr()
    left_out = folder / "images" / "8.png"
    assert f"course: left out of the distances, which are in mm: the size of a pixel is not known of {left_out}" in err
    assert "distances are in pixels" not in err
    lines = {line.split()[1]: line for line in out.splitlines()}
    assert lines["threshold"].split()[-5:] == ["0", "(1)", "0", "(1)", "2"]
    assert len({len(line) for line in lines.values()}) == 1
    rows, _ = evaluated(folder, voxel_mm="0.1")
    assert rows["threshold", "asd"].count == 2


def test_the_table_copes_with_what_was_not_measured():
    rows = [
        Row("a", "s", "dice", 0.5, 4), Row("b", "s", "dice", 0.5, 4), Row("b", "s", "asd", math.inf, 12345678),
        Row("a", "s", "hd", 1.0, 4),
    ]  # fmt: skip
    assert [line.split() for line in table(rows).splitlines()] == [
        ["setting", "method", "dice", "asd", "hd", "images"],
        ["s", "a", "0.500", "–", "1.000", "4"],
        ["s", "b", "0.500", "(4)", "inf", "–", "12345678"],
    ]


def write_volumes(folder, up=0, unit="mm"):
    """Three volumes of 8 slices, 2 mm apart; the label of the last lies `up` slices too high."""
    affine = np.diag([0.5, 0.5, 2.0, 1.0])
    for number in range(3):
        mask = np.zeros((32, 40, 8), bool)
        mask[8:20, 10:30, 2:5] = True
        shown = np.roll(mask, -up, axis=2) if number == 2 else mask
        for name, values in (("images", 1000 * shown + 10 * shown[0, 0]), ("labels", mask)):
            volume = nibabel.Nifti1Image(values.astype(np.uint16), affine)
            volume.header.set_xyzt_units(unit)
            nibabel.save(volume, folder / name / f"{number}.nii.gz")


@pytest.mark.parametrize(("unit", "voxel_mm", "slice_mm"), [("mm", None, 2.0), (0, None, 1.0), (0, "7,1,1", 7.0)])
def test_a_volume_is_one_image_and_distances_are_in_three_dimensions(folder, unit, voxel_mm, slice_mm, capsys):
    write_volumes(folder, up=1, unit=unit)
    rows, _ = evaluated(folder, **({} if voxel_mm is None else {"voxel_mm": voxel_mm}))
    assert rows["threshold", "dice"].count == 1
    assert rows["threshold", "dice"].value == pytest.approx(2 / 3)
    assert rows["threshold", "hausdorff95"].value == pytest.approx(slice_mm)
    assert rows["fcn", "iou"].value == pytest.approx(12 * 20 * 3 / (32 * 40 * 8))
    assert "2.nii.gz" in capsys.readouterr().err


def test_two_sides_do_not_do_for_a_volume(folder):
    write_volumes(folder, unit=0)
    with pytest.raises(expect.InputError, match="expected --voxel-mm with one number or three for a volume, got two"):
        evaluated(folder, voxel_mm="1,2")


def test_networks_learn_from_the_other_pages_of_a_stack(folder, capsys, monkeypatch):
    """In the form of ISBI 2012, with cells as the labels' 255 and membranes as 0; the last page of five is held out."""
    masks = np.stack([box(left=10 + page) for page in range(5)])
    tifffile.imwrite(folder / "images" / "train-volume.tif", 255 - image_of(masks))
    tifffile.imwrite(folder / "labels" / "train-labels.tif", np.where(masks, 0, 255).astype(np.uint8))
    module = recipes.unet_segmentation
    seen = {}

    def noted(name, training, validation, own=module.recipe_on_images):
        seen[name] = [image.name[-6:] for image in (*training, *validation)]
        return own(name, training, validation)

    monkeypatch.setattr(module, "recipe_on_images", noted)
    rows, record = evaluated(folder, steps=2, foreground=0)
    assert set(rows) == {(method, metric) for method in METHODS for metric in (*OVERLAPS, *DISTANCES)}
    assert rows["threshold", "dice"].value == 1
    assert all(0 <= rows[method, "dice"].value <= 1 for method in METHODS)
    assert seen == {name: ["page 1", "page 2", "page 3", "page 4", "page 1"] for name in NAMES.values()}
    assert (record["steps"], record["foreground"]) == (2, 0)
    err = capsys.readouterr().err
    assert f"held out: the last 1 of 5 images, {folder}/images/train-volume.tif, page 5\n" in err
    assert "threshold: the foreground is not brighter than 0.530" in err
    assert "weights that come with the course" not in err
    other, _ = evaluated(folder, steps=2, foreground=0, seed=1)
    assert other != rows


def test_a_network_of_ones_own_is_the_one_that_learned_from_the_others(folder, monkeypatch, capsys):
    """`course train` holds out the same images."""
    write(folder, 10)
    monkeypatch.setattr(sys, "argv", ["course", "train", NAMES["unet"], "--data", str(folder), "--foreground", "1",
                                      "--steps", "2", "--out", str(folder.parent / "mine")])  # fmt: skip
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 0
    own = folder.parent / "mine" / f"{NAMES['unet']}.safetensors"
    held = f"the last 2 of 10 images, {folder}/images/8.png to {folder}/images/9.png"
    assert held in capsys.readouterr().err
    rows, record = evaluated(folder, weights=str(own))
    assert held in capsys.readouterr().err
    assert record["weights"] == str(own)
    assert rows["fcn", "iou"].value == pytest.approx(24 * 30 / 64**2)  # the shipped one
    assert rows["unet", "dice"].value != 0  # not the shipped one, which finds nothing
    with pytest.raises(expect.InputError, match="expected weights of this UNet, got"):
        evaluated(folder, weights=str(folder.parent / "shipped" / f"{NAMES['fcn']}.safetensors"))


def test_ctrl_c_while_a_network_learns_ends_the_evaluation(folder, monkeypatch):
    write(folder)
    monkeypatch.setattr(training, "train", lambda *_, **__: SimpleNamespace(interrupted=True))
    with pytest.raises(KeyboardInterrupt):
        evaluated(folder, steps=2)
    assert not (folder.parent / "out.json").exists()


def test_what_cannot_be_used_is_told_and_the_others_are_used(folder, capsys):
    write(folder, 7)
    (folder / "images" / "0.png").write_bytes(b"no image")
    (folder / "labels" / "1.png").unlink()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(folder / "labels" / "2.png")
    Image.fromarray(box()[:50].astype(np.uint8)).save(folder / "labels" / "3.png")
    rows, _ = evaluated(folder)
    assert rows["threshold", "dice"].count == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(", got")[0] for line in lines[:4]] == [
        f"course: expected the label of the image {folder}/images/1.png, found none of that name",
        "course: expected an image",
        "course: expected foreground and background",
        "course: expected image and label of one size",
    ]
    assert lines[4] == f"course: held out: the last 1 of 3 images, {folder / 'images' / '6.png'}"
    assert all(line.startswith("course: ") for line in lines)


def test_one_image_is_too_few(folder):
    write(folder, 1)
    said = "expected at least 2 usable images in .*, one to learn from and one to hold out, got 1"
    with pytest.raises(expect.InputError, match=said):
        evaluated(folder)
    assert not (folder.parent / "out.json").exists()


@pytest.mark.parametrize(("text", "sides"), [("0.5", (0.5,)), ("3, 0.9,0.8", (3, 0.9, 0.8)), ("1,2", (1, 2))])
def test_sides_of_a_voxel(text, sides):
    assert voxel_sides(text) == sides


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "1,2,3,4", "one", "1,,2", "1;2"])
def test_what_are_no_sides(text, folder):
    write(folder)
    with pytest.raises(expect.InputError, match="expected --voxel-mm as the side of a pixel in mm, such as 0.5, or as"):
        evaluated(folder, voxel_mm=text)


BAD = {
    "no folder": (["--data", "nowhere"], "expected a folder images with images or volumes in nowhere, found none"),
    "no such label": (["--foreground", "9"], "got none: expected foreground with the label 9, got"),
    "negative label": (["--foreground", "-1"], "expected the foreground's label as a whole number from 0, got -1"),
    "steps": (["--steps", "-1"], "expected --steps as a whole number from 0, got -1"),
    "sides": (["--voxel-mm", "wide"], "expected --voxel-mm as the side of a pixel in mm"),
    "weights": (["--weights", "none"], "expected the name of shipped weights"),
    "another's option": (["--sigma", "0.1"], "(--foreground, --voxel-mm, --steps, --weights), got --sigma"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_line_and_status_2(folder, arguments, said, monkeypatch, capsys):
    write(folder)
    out = folder.parent / "out.json"
    call = ["course", "evaluate", "06", "--data", str(folder), "--out", str(out), *arguments]
    monkeypatch.setattr(sys, "argv", call)
    with pytest.raises(SystemExit) as exit:
        cli.main()
    printed, err = capsys.readouterr()
    assert (exit.value.code, printed) == (2, "")
    assert err.startswith("course: ")
    assert err.count("\n") == 1, err
    assert said in err
    assert not out.exists()
