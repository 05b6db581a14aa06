"""`course evaluate compressed_sensing`: what is measured on which file, and what is said of files that are none.

The solvers are put aside for a quick one here, so that these tests are about the evaluation; the last one is not.
"""

import json
import math
import subprocess
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import h5py
import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import classical, data, expect, networks, physics
from course_lib.coursework.evaluate import EVALUATIONS, Row, averaged, evaluate_module, table
from course_lib.coursework.modules import ROOT
from course_lib.training import find_recipe, save_weights

METHODS = ("zero_filled", "wavelet", "tv", "dictionary")
METRICS = ("psnr", "ssim", "nmse", "seconds")


@pytest.fixture
def seen(monkeypatch):
    """Solvers that give the zero-filled image, and note what they were asked: (name, mask, y, generator's seed)."""
    calls = []

    def stand_in(name):
        def solve(A, y, weight=None, generator=None, **_):
            calls.append((name, A.mask, y, None if generator is None else generator.initial_seed()))
            return SimpleNamespace(x=A.adjoint(y))

        return solve

    for name in ("wavelet", "tv", "dictionary"):
        monkeypatch.setattr(classical, f"{name}_reconstruction", stand_in(name), raising=False)
    return calls


def brain(size=32):
    return data.brain_anatomy([20], size=192)["t1"][..., :: 192 // size, :: 192 // size]


def write_image(path, size=32):
    Image.fromarray((brain(size)[0, 0].numpy() * 255).astype(np.uint8)).save(path)


def write_scan(path, slices=2, published=True, shape=(48, 32), target=(24, 24)):
    generator = torch.Generator().manual_seed(slices)
    images = 1e-5 * torch.randn(slices, *shape, generator=generator, dtype=torch.complex64)
    top, left = (shape[0] - target[0]) // 2, (shape[1] - target[1]) // 2
    with h5py.File(path, "w") as file:
        file["kspace"] = physics.fourier(images).numpy()
        if published:
            file["reconstruction_esc"] = images.abs()[:, top : top + target[0], left : left + target[1]].numpy()


def evaluated(folder, **options):
    rows = evaluate_module("compressed_sensing", folder, folder.parent / "out.json", **options)
    return {(r.method, r.setting, r.metric): r for r in rows}, json.loads((folder.parent / "out.json").read_text())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")  # a slow machine's bar is no line of ours
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_a_folder_may_mix_kinds_and_holds_bad_files(folder, seen, capsys):
    write_image(folder / "a.png")
    grey = np.asarray(Image.open(folder / "a.png"))
    Image.fromarray(np.stack([grey, grey // 2, 255 - grey], -1)).save(folder / "b colour.png")
    write_scan(folder / "c.h5", slices=3)
    nibabel.save(nibabel.Nifti1Image(np.full((16, 20, 10), 7.0), np.eye(4)), folder / "d.nii.gz")
    (folder / "cut.h5").write_bytes((folder / "c.h5").read_bytes()[:3000])
    (folder / "cut.nii.gz").write_bytes((folder / "d.nii.gz").read_bytes()[:60])
    (folder / "text.png").write_text("no image")
    Image.fromarray(np.zeros((10, 20), np.uint8)).save(folder / "small.png")
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(folder / "black.png")
    (folder / "notes.txt").write_text("not looked at")
    rows, record = evaluated(folder)
    assert set(rows) == {(m, s, t) for m in METHODS for s in ("R=4", "R=8") for t in METRICS}
    assert {row.count for row in rows.values()} == {1 + 1 + 3 + 6}
    assert record["module"] == "02_compressed_sensing"
    assert record["mask"] == "random_lines"
    assert set(record) == {"module", "data", "seed", "mask", "slices", "rows"}
    assert all(set(row) == {"method", "setting", "metric", "value", "count"} for row in record["rows"])
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    for name, said in {
        "black.png": "expected images with something in them",
        "cut.h5": "expected a readable HDF5 file",
        "cut.nii.gz": "expected a readable NIfTI volume",
        "small.png": "expected an image of at least 11×11 pixels",
        "text.png": "expected an image",
    }.items():
        (line,) = [line for line in lines if name in line]
        assert line.startswith("course: skipped: ")
        assert said in line
    assert lines[-1] == "course: used 4 of 9 files"
    assert len(lines) == 6
    assert all(word in captured.out for word in (*METHODS, *METRICS, "R=4", "R=8"))


def test_the_numbers_of_an_image_are_those_worked_out_by_hand(folder, seen):
    write_image(folder / "a.png", size=64)
    rows, _ = evaluated(folder, acceleration=[4.0], seed=3)
    image = np.asarray(Image.open(folder / "a.png")) / 255
    mask = seen[0][1].numpy()
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image)))
    estimate = np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace * mask))))
    for method in METHODS:
        nmse = ((estimate - image) ** 2).sum() / (image**2).sum()
        assert rows[method, "R=4", "nmse"].value == pytest.approx(nmse, rel=1e-4)
        psnr = -10 * np.log10(((estimate - image) ** 2).mean())
        assert rows[method, "R=4", "psnr"].value == pytest.approx(psnr, abs=1e-3)
        assert rows[method, "R=4", "seconds"].value > 0


def test_an_image_without_an_error_has_no_number_in_the_file(folder, monkeypatch):
    """Its PSNR is infinite, and JSON has no infinity."""
    rows = [Row("tv", "R=1", "psnr", math.inf, 1), Row("tv", "R=1", "ssim", 1.0, 1)]
    name = "02_compressed_sensing"
    monkeypatch.setitem(EVALUATIONS, name, replace(EVALUATIONS[name], rows=lambda *_, **__: rows))
    found, record = evaluated(folder)
    assert found["tv", "R=1", "psnr"].value == math.inf
    assert [row["value"] for row in record["rows"]] == [None, 1.0]


def test_means_are_over_images_not_over_files(folder):
    found = {"a": [1.0, 2.0, 3.0], "b": [], "c": [10.0]}

    def measure(path, index):
        assert path.name == "abc"[index]
        for value in found[path.name]:
            yield "tv", "R=4", "psnr", value
        if path.name == "b":
            raise expect.InputError("expected better")

    assert averaged([folder / name for name in found], measure) == [Row("tv", "R=4", "psnr", 4.0, 4)]


def test_all_methods_and_slices_of_a_file_meet_one_mask(folder, seen):
    write_scan(folder / "a.h5", slices=2, shape=(40, 100), target=(40, 40))
    write_scan(folder / "b.h5", slices=1, shape=(40, 100), target=(40, 40))
    evaluated(folder)
    masks = [mask for _, mask, _, _ in seen]
    assert len(masks) == 3 * 2 * (2 + 1)
    for mask, R, centre in ((masks[0], 4, 8), (masks[6], 8, 4)):
        assert (mask == mask[:1]).all()  # whole lines
        assert mask[0].sum() == round(100 / R)
        first = 50 - centre // 2
        assert mask[0, first : first + centre].all()
    assert all(torch.equal(mask, masks[0]) for mask in masks[:6])
    assert all(torch.equal(mask, masks[6]) for mask in masks[6:12])
    assert not torch.equal(masks[12], masks[0])  # another file, another mask
    for _, mask, y, _ in seen:
        assert y.shape == (1, 1, 40, 100)
        assert (y[..., ~mask] == 0).all()
        assert (y[..., mask] != 0).all()
    again = list(seen)
    seen.clear()
    evaluated(folder)
    assert all(torch.equal(a[1], b[1]) and a[3] == b[3] for a, b in zip(again, seen, strict=True))
    seen.clear()
    evaluated(folder, seed=1)
    assert not torch.equal(seen[0][1], masks[0])


def test_other_masks_and_accelerations(folder, seen):
    write_image(folder / "a.png")
    rows, record = evaluated(folder, acceleration=[3.0, 1.5], mask="variable_density_2d")
    assert {setting for _, setting, _ in rows} == {"R=3", "R=1.5"}
    assert record["mask"] == "variable_density_2d"
    mask = seen[0][1]
    assert mask.sum() == round(32 * 32 / 3)
    assert (mask != mask[:1]).any()
    assert (mask != mask[:, :1]).any()


def test_a_fully_sampled_scan_is_its_target(folder, seen):
    """The crop, the scale and the centring of k-space and target agree, also for odd and narrow k-space."""
    write_scan(folder / "a.h5", shape=(49, 31), target=(24, 25))
    write_scan(folder / "b.h5", shape=(40, 28), target=(28, 28))
    write_scan(folder / "c.h5", slices=3, published=False)
    rows, _ = evaluated(folder, acceleration=[1.0])
    assert rows["tv", "R=1", "nmse"].value < 1e-10
    assert rows["tv", "R=1", "ssim"].value == pytest.approx(1, abs=1e-5)
    assert rows["tv", "R=1", "psnr"].count == 7


def test_a_target_that_was_made_is_told(folder, seen, capsys):
    write_scan(folder / "a.h5", published=False)
    write_scan(folder / "b.h5")
    evaluated(folder, acceleration=[4.0])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"course: no reconstruction_esc in {folder / 'a.h5'}: its target is")


def test_slices_limits_every_volume(folder, seen):
    write_scan(folder / "a.h5", slices=5)
    nibabel.save(nibabel.Nifti1Image(np.full((16, 20, 60), 7.0), np.eye(4)), folder / "b.nii")
    for slices, count in ((None, 5 + 10), (2, 2 + 2), (100, 5 + 36)):
        rows, record = evaluated(folder, acceleration=[4.0], slices=slices)
        assert rows["tv", "R=4", "ssim"].count == count
        assert record["slices"] == slices


def test_a_file_that_the_acceleration_does_not_fit_is_skipped_whole(folder, seen, capsys):
    write_image(folder / "narrow.png", size=16)
    write_image(folder / "wide.png", size=64)
    rows, _ = evaluated(folder, acceleration=[4.0, 20.0])
    assert {row.count for row in rows.values()} == {1}
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert f"{folder / 'narrow.png'}: expected an acceleration from 1 to 16, the number of lines, got 20" in told[0]


def test_a_method_that_cannot_finish_a_file_leaves_no_number_of_it(folder, seen, monkeypatch, capsys):
    write_image(folder / "a.png")
    write_image(folder / "b.png", size=64)

    def refuse(A, y, *_, **__):
        if A.domain_shape == (32, 32):
            raise expect.InputError("expected another size, got this one")
        return SimpleNamespace(x=A.adjoint(y))

    monkeypatch.setattr(classical, "tv_reconstruction", refuse)
    rows, _ = evaluated(folder)
    assert {row.count for row in rows.values()} == {1}
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"course: skipped: {folder / 'a.png'}: expected another size, got this one"


def test_what_has_not_converged_is_counted_in_one_line(folder, seen, monkeypatch, capsys):
    write_scan(folder / "a.h5", slices=3)

    def tired(A, y, *_, **__):
        warnings.warn("TV has not converged", classical.ConvergenceWarning, stacklevel=2)
        return SimpleNamespace(x=A.adjoint(y))

    monkeypatch.setattr(classical, "tv_reconstruction", tired)
    evaluated(folder)
    assert capsys.readouterr().err == "course: tv: 6 reconstructions ended before they had converged\n"


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        ("02", {"sigma": ["0.1"]}, r"02_compressed_sensing \(--acceleration, --mask, --slices\), got --sigma"),
        ("01", {"mask": "random_lines"}, r"01_wiener_filtering \(--sigma\), got --mask"),
        ("02", {"mask": "spiral"}, "--mask as random_lines or variable_density_2d, got 'spiral'"),
        ("02", {"acceleration": [0.5]}, "--acceleration as a number from 1, got 0.5"),
        ("02", {"acceleration": [float("nan")]}, "--acceleration as a number from 1, got nan"),
        ("02", {"slices": 0}, "--slices as a whole number from 1, got 0"),
        ("02", {"acceleration": [1e9]}, "at least one usable file"),
        ("03", {}, "expected a module among"),
    ],
)
def test_wrong_options_are_told_in_one_line(folder, seen, module, options, said):
    write_image(folder / "a.png")
    with pytest.raises(expect.InputError, match=said) as error:
        evaluate_module(module, folder, folder.parent / "out.json", **options)
    assert "\n" not in str(error.value)
    assert seen == []
    assert not (folder.parent / "out.json").exists()


def test_the_result_is_not_written_over_data(folder, seen):
    write_scan(folder / "a.h5")
    before = (folder / "a.h5").read_bytes()
    for name in ("a.h5", "new.nii.gz"):
        with pytest.raises(expect.InputError, match="expected --out as a JSON file"):
            evaluate_module("02", folder, folder / name)
    assert (folder / "a.h5").read_bytes() == before


def test_every_option_of_the_command_belongs_to_an_evaluation():
    import inspect

    from course_lib.coursework.cli import evaluate

    shared = {"module", "data", "out", "seed"}
    owned = {option for evaluation in EVALUATIONS.values() for option in evaluation.options}
    assert set(inspect.signature(evaluate).parameters) - shared == owned


def test_networks_meet_the_scans_of_the_other_methods(folder, monkeypatch):
    """Module 09: one table for images and scanners' files; λ and iterations of wavelets are module 02's."""
    write_image(folder / "a.png", size=64)
    write_scan(folder / "b.h5")
    rows = evaluate_module("09", folder, folder.parent / "out.json", acceleration=[4.0])
    level = {r.method: r.value for r in rows if r.metric == "psnr"}
    assert list(level) == ["zero_filled", "wavelet", "cnn", "cascade"]
    assert {r.count for r in rows} == {1 + 2}
    record = json.loads((folder.parent / "out.json").read_text())
    assert record["module"] == "09_data_consistency_cascades"
    assert record["weights"] is None


def test_a_cascade_of_ones_own_takes_the_place_of_the_shipped_one(folder):
    write_image(folder / "a.png", size=32)
    network = networks.DeepCascade()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)  # it changes nothing
    path = save_weights(network, folder.parent, find_recipe("cascade"), steps=0, seconds=0.0, metrics={})
    rows = evaluate_module("09", folder, folder.parent / "out.json", acceleration=[4.0], weights=str(path))
    level = {r.method: r.value for r in rows if r.metric == "psnr"}
    assert level["cascade"] == pytest.approx(level["zero_filled"], abs=1e-3)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(expect.InputError, match="as its manifest describes it .*, got a damaged or another file"):
        evaluate_module("09", folder, folder.parent / "new.json", weights=str(path))
    with pytest.raises(expect.InputError, match="expected weights of this DeepCascade, got"):
        evaluate_module("09", folder, folder.parent / "new.json", weights=str(unet(folder)))
    assert not (folder.parent / "new.json").exists()


def unet(folder):
    recipe = find_recipe("unet")
    return save_weights(recipe.network(), folder.parent, recipe, steps=0, seconds=0.0, metrics={})


def test_blind_denoisers_meet_the_noise_of_the_others_in_grey_and_colour(folder, capsys):
    """Module 04, on a grey and a colour photograph and a file that is none."""
    for name, mode in (("hopper", "L"), ("cat", "RGB")):
        grey = (data.photographs([name], size=64)[0, 0].numpy() * 255).astype(np.uint8)
        Image.fromarray(grey).convert(mode).save(folder / f"{name}.png")
    (folder / "text.png").write_text("no image")
    rows = evaluate_module("blind_denoising", folder, folder.parent / "out.json", sigma=["30/255", "0.35"])
    level = {(r.method, r.setting): r.value for r in rows if r.metric == "psnr"}
    methods = ("noisy", "wiener", "nlm", "dncnn", "bf_dncnn")
    assert list(level) == [(m, s) for s in ("sigma=30/255", "sigma=0.35") for m in methods]
    assert {r.metric for r in rows} == {"psnr", "ssim"}
    assert {r.count for r in rows} == {2}
    assert "text.png" in capsys.readouterr().err
    assert level["noisy", "sigma=30/255"] == pytest.approx(-20 * math.log10(30 / 255), abs=0.2)
    for method in methods[1:]:
        assert level[method, "sigma=30/255"] > level["noisy", "sigma=30/255"] + 3
    assert level["bf_dncnn", "sigma=0.35"] > level["dncnn", "sigma=0.35"] + 3
    record = json.loads((folder.parent / "out.json").read_text())
    assert record["module"] == "04_blind_denoising"


def test_a_denoiser_of_ones_own_takes_the_place_of_bf_dncnn(folder):
    write_image(folder / "a.png", size=32)
    network = networks.DnCNN(bias=False)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)  # it takes nothing away
    path = save_weights(network, folder.parent, find_recipe("bf_dncnn"), steps=0, seconds=0.0, metrics={})
    rows = evaluate_module("04", folder, folder.parent / "out.json", sigma=["0.1"], weights=str(path))
    level = {r.method: r.value for r in rows if r.metric == "psnr"}
    assert level["bf_dncnn"] == pytest.approx(level["noisy"], abs=1e-4)
    assert level["dncnn"] > level["noisy"] + 1
    with pytest.raises(expect.InputError, match="expected weights of this DnCNN, got"):
        evaluate_module("04", folder, folder.parent / "new.json", weights=str(unet(folder)))


@pytest.mark.parametrize("sigma", ["25", "1.5", "255"])
def test_a_noise_level_in_grey_levels_is_explained(folder, sigma):
    for module in ("01", "04"):
        with pytest.raises(expect.InputError, match=f"where white is 1, that grey level is {sigma}/255"):
            evaluate_module(module, folder, folder.parent / "out.json", sigma=[sigma])
    assert not (folder.parent / "out.json").exists()


def test_small_numbers_stay_readable_in_the_table():
    text = table([Row("tv", "R=4", "psnr", 31.23456, 2), Row("tv", "R=4", "nmse", 0.000417, 2)])
    assert text.splitlines()[-1].split() == ["R=4", "tv", "31.235", "0.00042", "2"]


def test_the_command_with_the_real_solvers(folder):
    """As a user calls it; points of variable density, where sparsity helps by far."""
    write_image(folder / "a.png", size=64)
    out = folder.parent / "out.json"
    command = [sys.executable, "-m", "course_lib.coursework.cli", "evaluate", "compressed_sensing"]
    command += ["--data", folder, "--out", out, "--acceleration", "4", "--mask", "variable_density_2d", "--slices", "3"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    record = json.loads(out.read_text())
    assert (record["mask"], record["slices"]) == ("variable_density_2d", 3)
    psnr = {row["method"]: row["value"] for row in record["rows"] if row["metric"] == "psnr"}
    assert tuple(psnr) == METHODS
    assert {row["setting"] for row in record["rows"]} == {"R=4"}
    for method in ("wavelet", "tv", "dictionary"):
        assert psnr[method] > psnr["zero_filled"] + 1, method
    assert all(line.startswith("course: ") for line in run.stderr.splitlines())
