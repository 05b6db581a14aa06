"""The curve of the loss in a notebook: drawn again in place, silent where nobody looks."""

import html

import pytest
from IPython.utils.capture import capture_output
from tiny_recipe import tiny

from course_lib.display import LiveCurve, live_curve
from course_lib.training import train


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.setattr(live_curve, "_in_notebook", lambda: True)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)


def test_the_picture_follows_the_loss(notebook, monkeypatch):
    monkeypatch.setattr(live_curve, "SECONDS", 0.0)
    with capture_output():
        curve = LiveCurve("tiny", 100, [])
    pictures = set()
    for loss in (1.0, 0.5, 0.25):
        curve.add(loss)
        pictures.add(curve.picture.value)
    assert len(pictures) == 3
    text = html.unescape(curve.picture.value)
    assert "logarithmic scale" in text
    assert "0.583 after 3 of 100 steps" in text  # the plain mean of the first three
    assert "data:image/png" in text


def test_it_is_not_drawn_at_every_step(notebook):
    with capture_output():
        curve = LiveCurve("tiny", 100, [])
    curve.add(1.0)
    curve.add(0.5)
    assert curve.picture.value == ""
    curve.close()
    assert "after 2 of 100 steps" in curve.picture.value


def test_a_resumed_run_begins_with_what_came_before(notebook):
    with capture_output():
        curve = LiveCurve("tiny", 100, [3.0, 2.0])
    curve.add(1.0)
    curve.close()
    assert "2 after 3 of 100 steps" in curve.picture.value


def test_a_loss_below_zero_has_a_linear_scale(notebook):
    with capture_output():
        curve = LiveCurve("tiny", 100, [])
    curve.add(1.0)
    curve.add(-30.0)
    curve.close()
    assert "linear scale" in curve.picture.value
    assert curve._axes.get_ylim()[0] < -30


def test_the_running_mean_forgets():
    curve = LiveCurve("tiny", 1000, [])
    for _ in range(100):
        curve.add(1.0)
    for _ in range(200):
        curve.add(0.0)
    assert curve.means[99] == pytest.approx(1.0)
    assert 0 < curve.means[-1] < 1e-3


def test_it_is_silent_outside_notebooks_and_while_notebooks_are_built(notebook, monkeypatch, capsys):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert LiveCurve("tiny", 10, []).picture is None
    monkeypatch.delenv("TQDM_DISABLE")
    monkeypatch.setattr(live_curve, "_in_notebook", lambda: False)
    curve = LiveCurve("tiny", 10, [])
    assert curve.picture is None
    curve.close()
    train(tiny(steps=3))
    assert capsys.readouterr() == ("", "")


def test_training_shows_it(notebook, monkeypatch):
    made = []
    shown = LiveCurve.close
    monkeypatch.setattr(LiveCurve, "close", lambda self: made.append(self) or shown(self))
    with capture_output():
        train(tiny(steps=3))
    assert "after 3 of 3 steps" in made[0].picture.value
