"""Studies: runs are made once, a stopped study goes on, and the record says what made it."""

import json

import pytest

from course_lib.expect import InputError
from course_lib.training import studies
from course_lib.training.studies import Study, mean_of, recorded_study, run_study


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "RECORDED", tmp_path / "docs")
    monkeypatch.setattr(studies, "UNFINISHED", tmp_path / "work")


def study(measure, **constants):
    runs = [{"images": n, "seed": seed} for n in (1, 3) for seed in (0, 1)]
    return Study(name="trial", question="How many?", runs=runs, measure=measure, constants={"steps": 5, **constants})


def test_a_stopped_study_goes_on_without_repeating(folders):
    made = []

    def measure(images, seed):
        made.append((images, seed))
        if len(made) == 3:
            raise KeyboardInterrupt
        return {"dice": images / 10 + seed / 100}

    with pytest.raises(KeyboardInterrupt):
        run_study(study(measure), show=lambda line: None)
    with pytest.raises(InputError, match="recorded study among \\(none yet\\), got 'trial'"):
        recorded_study("trial")
    path = run_study(study(measure), show=lambda line: None)
    assert made == [(1, 0), (1, 1), (3, 0), (3, 0), (3, 1)]
    record = recorded_study("trial")
    assert record == json.loads(path.read_text())
    assert record["question"] == "How many?"
    assert record["constants"] == {"steps": 5}
    assert len(record["commit"]) >= 7
    assert [row["seed"] for row in record["rows"]] == [0, 1, 0, 1]
    assert all(row["seconds"] >= 0 for row in record["rows"])
    assert mean_of(record["rows"], "dice", images=3) == pytest.approx(0.305)


def test_results_under_other_constants_are_not_taken(folders):
    def stop_at_three(images, seed):
        if images == 3:
            raise KeyboardInterrupt
        return {"dice": 0.0}

    with pytest.raises(KeyboardInterrupt):
        run_study(study(stop_at_three), show=lambda line: None)
    run_study(study(lambda images, seed: {"dice": 1.0}, width=8), show=lambda line: None)
    assert mean_of(recorded_study("trial")["rows"], "dice") == 1.0


def test_a_mean_over_nothing_is_told():
    with pytest.raises(InputError, match="expected rows with"):
        mean_of([{"images": 1, "dice": 0.5}], "dice", images=2)


@pytest.mark.parametrize("name", ["unet_augmentation", "unet_rare_foreground"])
def test_records_hold_three_seeds_of_every_setting(name):
    rows = recorded_study(name)["rows"]
    keys = ("images", "augmented") if name == "unet_augmentation" else ("loss",)
    for row in rows:
        seeds = [r["seed"] for r in rows if all(r[key] == row[key] for key in keys)]
        assert sorted(seeds) == [0, 1, 2]
