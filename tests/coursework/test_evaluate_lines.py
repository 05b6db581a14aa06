"""Evaluating module 12: every method at every noise level, its own count and the true one, and what is left out."""

import json
import sys
import warnings

import numpy as np
import pytest
import torch
from line_test_set import write_line_test_set

from course_lib import classical, data, expect, metrics, networks
from course_lib.coursework import cli
from course_lib.coursework.evaluate import evaluate_module, line_spectra

METRICS = ("fnr", "chamfer", "f1", "count_accuracy", "seconds")
SAMPLES = 50


class Oracle:
    """In place of DeepFreq: it knows the lines of the test set, and gives `count` of them, or as many as it is told."""

    def __init__(self, folder, count=1):
        self.truth = data.line_test_set(folder)[0].frequencies
        self.count, self.told = count, []

    def frequencies(self, signals, counts=None):
        if signals.shape[1] != SAMPLES:
            raise expect.InputError(f"expected signals of {SAMPLES} samples, got {signals.shape[1]}")
        self.told.append(counts)
        own = self.count if counts is None else counts[:, None]
        found = self.truth[: len(signals)]
        return found.masked_fill(torch.arange(found.shape[1]) >= own, torch.nan)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    folder = tmp_path / "data"
    folder.mkdir()
    write_line_test_set(folder)
    return folder


@pytest.fixture
def network(folder, monkeypatch):
    network = Oracle(folder)
    monkeypatch.setattr(networks, "deepfreq", lambda *_: network)
    return network


def evaluated(folder, *method, **options):
    out = folder.parent / "out.json"
    rows = evaluate_module("line_spectra", folder, out, method=list(method), **options)
    return {(r.setting, r.method, r.metric): r for r in rows}, json.loads(out.read_text())


def test_every_method_at_every_level_with_its_own_count_and_the_true_one(folder, network, capsys):
    rows, record = evaluated(folder)
    methods = [f"{name}{told}" for name in ("periodogram", "music", "esprit", "matrix_pencil", "sparse", "deepfreq")
               for told in ("", "_oracle")]  # fmt: skip
    settings = ["0dB", "20dB", "infdB"]
    assert list(rows) == [(s, method, metric) for s in settings for method in methods for metric in METRICS]
    assert {row.count for row in rows.values()} == {12}
    assert record["module"] == "12_line_spectra"
    assert set(record) == {"module", "data", "seed", "signals", "weights", "rows"}
    assert len(record["rows"]) == len(rows)
    for (setting, method, metric), row in rows.items():
        top = {"fnr": 100, "f1": 1, "count_accuracy": 1}.get(metric, np.inf)
        assert 0 <= row.value <= top, (setting, method, metric)
    for method in ("music", "esprit", "matrix_pencil"):  # exact without noise
        for told in ("", "_oracle"):
            assert rows["infdB", f"{method}{told}", "fnr"].value == 0
            assert rows["infdB", f"{method}{told}", "count_accuracy"].value == 1
            assert rows["infdB", f"{method}{told}", "chamfer"].value < 1e-5
            assert rows["0dB", f"{method}{told}", "chamfer"].value > 0.01
    assert rows["infdB", "sparse_oracle", "f1"].value > 0.95
    assert rows["infdB", "periodogram_oracle", "f1"].value < 0.95
    for name in ("periodogram", "music", "esprit", "matrix_pencil", "sparse"):
        assert rows["0dB", f"{name}_oracle", "count_accuracy"].value > rows["0dB", name, "count_accuracy"].value
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].split() == ["setting", "method", *METRICS, "signals"]
    assert len(lines) == 1 + len(settings) * len(methods)
    assert len({len(line) for line in lines}) == 1


def test_the_numbers_are_means_of_the_metrics_and_missed_lines_are_in_percent(folder, network):
    network.count = 2
    rows, _ = evaluated(folder, "deepfreq", "deepfreq_oracle")
    truth = network.truth
    found = truth.masked_fill(torch.arange(truth.shape[1]) >= 2, torch.nan)
    own = {metric: rows["20dB", "deepfreq", metric].value for metric in METRICS}
    count = data.line_counts(truth)
    missed = (count - 2).clamp(min=0) / count
    assert own["fnr"] == pytest.approx(float(100 * missed.mean()))
    assert 30 < own["fnr"] < 90
    assert own["f1"] == pytest.approx(float(metrics.f1(found, truth, SAMPLES).mean()))
    assert own["chamfer"] == pytest.approx(float(metrics.chamfer(found, truth).mean()))
    assert own["count_accuracy"] == pytest.approx(float((count <= 2).float().mean()))
    told = {metric: rows["20dB", "deepfreq_oracle", metric].value for metric in METRICS}
    assert (told["fnr"], told["f1"], told["chamfer"], told["count_accuracy"]) == (0, 1, 0, 1)


def test_only_the_oracle_is_told_how_many_lines_there_are(folder, network):
    evaluated(folder, "deepfreq", "deepfreq_oracle")
    assert network.told[::2] == [None] * 3
    for told in network.told[1::2]:
        assert torch.equal(told, data.line_counts(network.truth))


def test_the_periodogram_and_the_subspace_methods_take_one_order(folder, monkeypatch):
    names = ("periodogram", "music", "esprit", "matrix_pencil")
    monkeypatch.setattr(classical, "aic", lambda signals: torch.full((len(signals),), 3))
    count = data.line_counts(data.line_test_set(folder)[0].frequencies)
    rows, _ = evaluated(folder, *names)
    for name in names:
        accuracy = rows["infdB", name, "count_accuracy"].value
        assert accuracy == pytest.approx(float((count == 3).float().mean()))


def test_no_method_is_asked_for_more_lines_than_it_resolves(folder, monkeypatch, capsys):
    """The criterion looks for up to 9 lines in 18 samples, windows of half of them resolve 8."""
    write_line_test_set(folder, samples=18, most_lines=8, least_lines=8)
    monkeypatch.setattr(classical, "aic", lambda signals: classical.mdl(signals).clamp(min=9))
    names = ("periodogram", "music", "esprit", "matrix_pencil")
    rows, _ = evaluated(folder, *names)
    assert len(rows) == 3 * len(names) * len(METRICS)
    assert rows["infdB", "esprit", "count_accuracy"].value == 1
    assert capsys.readouterr().err == ""


def test_methods_are_chosen_and_run_once_in_the_order_given(folder, monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(networks, "deepfreq", refuse)  # not asked for
    rows, record = evaluated(folder, "music_oracle", "esprit", "music_oracle")
    assert list(dict.fromkeys(method for _, method, _ in rows)) == ["music_oracle", "esprit"]
    assert "method" not in record


def test_the_first_signals_of_each_file(folder, network):
    rows, record = evaluated(folder, "esprit", "deepfreq", signals=5)
    assert {row.count for row in rows.values()} == {5}
    assert record["signals"] == 5
    counts = data.line_counts(network.truth)[:5]
    assert rows["0dB", "deepfreq", "count_accuracy"].value == pytest.approx(float((counts == 1).float().mean()))
    rows, _ = evaluated(folder, "esprit", signals=10**9)
    assert {row.count for row in rows.values()} == {12}


def test_signals_go_through_in_parts(folder, monkeypatch):
    names = ("music", "music_oracle", "esprit_oracle")
    whole, _ = evaluated(folder, *names)
    monkeypatch.setattr(line_spectra, "AT_ONCE", 5)
    parts, _ = evaluated(folder, *names)
    for key, row in whole.items():
        if key[2] != "seconds":
            assert parts[key].value == pytest.approx(row.value, abs=1e-5), key


def test_with_another_length_the_network_is_left_out(folder, network, capsys):
    write_line_test_set(folder, samples=40)
    rows, _ = evaluated(folder, "esprit_oracle", "deepfreq", "deepfreq_oracle")
    assert {method for _, method, _ in rows} == {"esprit_oracle"}
    assert rows["infdB", "esprit_oracle", "fnr"].value == 0
    assert capsys.readouterr().err.splitlines() == [
        f"course: {method} is left out at 0dB, 20dB, infdB: expected signals of 50 samples, got 40"
        for method in ("deepfreq", "deepfreq_oracle")
    ]


def test_a_method_that_refuses_one_level_is_left_out_there(folder, network, monkeypatch, capsys):
    seen = []

    def refuse(signals, counts):
        seen.append(signals)
        if len(seen) == 2:
            raise expect.InputError("expected fewer lines")
        return network.frequencies(signals, counts)

    monkeypatch.setattr(classical, "music", refuse)
    rows, _ = evaluated(folder, "esprit", "music_oracle")
    assert [setting for setting, method, metric in rows if (method, metric) == ("music_oracle", "f1")] == [
        "0dB", "infdB",
    ]  # fmt: skip
    assert len({setting for setting, method, _ in rows if method == "esprit"}) == 3
    assert capsys.readouterr().err == "course: music_oracle is left out at 20dB: expected fewer lines\n"


def test_what_has_not_converged_is_told(folder, monkeypatch, capsys):
    def tired(signals, counts):
        warnings.warn("two signals have not converged", classical.ConvergenceWarning, stacklevel=2)
        return classical.esprit(signals, counts)

    monkeypatch.setattr(classical, "music", tired)
    monkeypatch.setattr(line_spectra, "AT_ONCE", 5)
    evaluated(folder, "music")
    assert capsys.readouterr().err.splitlines() == [
        f"course: music at {setting}: two signals have not converged" for setting in ("0dB", "20dB", "infdB")
    ]


def test_signals_too_short_for_every_method(folder, capsys):
    write_line_test_set(folder, samples=4, most_lines=2, separation=0.5)
    values = np.load(folder / "f.npy")
    np.save(folder / "f.npy", np.repeat(values, 5, axis=1))  # ten lines in four samples
    with pytest.raises(
        expect.InputError, match="at least one of the methods can work on, .* 4 samples and up to 10 li"
    ):
        evaluated(folder, "esprit_oracle", "music_oracle", "periodogram_oracle")
    assert capsys.readouterr().err.count("is left out at 0dB, 20dB, infdB: expected") == 3
    assert not (folder.parent / "out.json").exists()


def test_what_cannot_be_used_is_told_and_the_rest_is_used(folder, capsys):
    (folder / "0.0dB.npy").write_bytes(b"no array")
    (folder / "xdB.npy").write_bytes(b"no array")
    rows, _ = evaluated(folder, "esprit")
    assert {setting for setting, _, _ in rows} == {"20dB", "infdB"}
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(", got ")[0] for line in lines] == [
        "course: expected a NumPy array (.npy)",
        "course: expected a file named by its signal-to-noise ratio, such as 5.0dB.npy",
    ]


def test_a_network_of_ones_own(folder, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(networks, "deepfreq", lambda *weights: asked.append(weights) or Oracle(folder))
    _, record = evaluated(folder, "deepfreq", weights="mine.safetensors")
    assert asked == [("mine.safetensors",)]
    assert record["weights"] == "mine.safetensors"
    assert capsys.readouterr().err == (
        "course: deepfreq: a representation of your own; its lines are counted with the weights that come with the "
        "course\n"
    )


BAD = {
    "no folder": (["--data", "nowhere"], "expected a folder with f.npy and signals such as 5.0dB.npy, got nowhere"),
    "no such method": (["--method", "fourier"], "expected --method among periodogram, periodogram_oracle, music,"),
    "signals": (["--signals", "0"], "expected --signals as a whole number from 1, got 0"),
    "no weights": (["--weights", "none"], "expected the name of shipped weights"),
    "weights for nothing": (
        ["--method", "music", "--weights", "none"], "expected --weights with deepfreq among the methods",
    ),
    "another's option": (["--sigma", "0.1"], "(--method, --signals, --weights), got --sigma"),
    "over data": (["--out", "new.npy"], "expected --out as a JSON file in an existing folder, got new.npy"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_line_and_status_2(folder, arguments, said, monkeypatch, capsys):
    out = folder.parent / "out.json"
    call = ["course", "evaluate", "12", "--method", "esprit", "--data", str(folder), "--out", str(out), *arguments]
    if "--weights" in arguments and "music" not in arguments:
        call += ["--method", "deepfreq"]
    monkeypatch.setattr(sys, "argv", call)
    monkeypatch.chdir(folder.parent)
    with pytest.raises(SystemExit) as exit:
        cli.main()
    printed, err = capsys.readouterr()
    assert (exit.value.code, printed) == (2, "")
    assert err.startswith("course: ")
    assert err.count("\n") == 1, err
    assert said in err
    assert not out.exists()


def test_a_truth_without_usable_signals_is_status_2(folder, monkeypatch, capsys):
    for path in folder.glob("*dB.npy"):
        path.write_bytes(b"damaged")
    out = folder.parent / "out.json"
    call = ["course", "evaluate", "line_spectra", "--data", str(folder), "--out", str(out), "--method", "esprit"]
    monkeypatch.setattr(sys, "argv", call)
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"course: expected signals such as 5.0dB.npy in {folder}, got 3 of which "
    )
    assert not out.exists()
