"""Figures carry alternative text, claims their numbers, and sliders their pictures."""

import html
import json
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.utils.capture import capture_output

from course_lib import display, expect
from course_lib.display.claims import ClaimError


@pytest.fixture
def shell():
    """A running IPython, so that rich output is captured and not printed."""
    from IPython.testing.globalipapp import start_ipython

    start_ipython()


def _html(captured) -> str:
    return "".join(o.data.get("text/html", "") for o in captured.outputs)


def test_a_figure_is_shown_with_its_alt_text_and_closed(shell):
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    with capture_output() as captured:
        display.show_figure(figure, 'A line that "rises" from 1 to 2 & stops.')
    assert 'alt="A line that &quot;rises&quot; from 1 to 2 &amp; stops."' in _html(captured)
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("alt", ["", "Image", "a figure", None])
def test_alt_text_must_say_something(alt, unchecked):
    with pytest.raises(expect.InputError, match="expected alt text that says what is to be seen"):
        display.show_figure(plt.figure(), alt)
    plt.close("all")


def test_rows_of_images(shell):
    images = {"grey": torch.rand(1, 1, 8, 8), "colour": torch.rand(1, 3, 8, 8), "numpy": np.zeros((8, 8))}
    with capture_output() as captured:
        display.show_images(images, "Three small images of nothing in particular.")
    assert "data:image/webp" in _html(captured)
    with pytest.raises(expect.InputError, match="one grey or colour image"):
        display.show_images({"two": torch.rand(2, 1, 8, 8)}, "Two images in one batch.")
    with pytest.raises(expect.InputError, match="at least one image"):
        display.show_images({}, "No image at all here.")
    plt.close("all")


def test_methods_differ_by_more_than_colour():
    looks = [(m.linestyle, m.marker) for m in display.METHODS.values()]
    assert len(set(looks)) == len(looks)
    assert len({m.marker for m in display.METHODS.values()}) == len(looks)
    with pytest.raises(expect.InputError, match="expected a method among clean"):
        display.method_style("magic")


def test_a_claim_prints_its_number_after_a_sign_that_the_comparison_knows(shell):
    with capture_output() as captured:
        display.claim("gain over noisy", 6.4386, at_least=5, unit="dB", source="deck 000")
    output = captured.outputs[0]
    assert output.data["text/plain"] == "✓ gain over noisy: ≈ 6.44 dB (at least 5)"
    assert output.metadata["claim"] == {
        "statement": "gain over noisy", "value": 6.4386, "at_least": 5, "at_most": None, "unit": "dB",
        "source": "deck 000", "recorded": False,
    }  # fmt: skip


def test_a_false_claim_stops(unchecked):
    for bounds in ({"at_least": 7}, {"at_most": 6}, {"at_least": 0, "at_most": 6}):
        with pytest.raises(ClaimError, match=r"✗ gain: ≈ 6.44"):
            display.claim("gain", 6.4386, **bounds)
    for value in (float("nan"), float("inf"), None):
        with pytest.raises(expect.InputError, match="the value of the claim 'gain'"):
            display.claim("gain", value, at_least=0)
    with pytest.raises(expect.InputError, match="expected a bound"):
        display.claim("gain", 1.0)


def test_sanitizing_leaves_nothing_but_the_numbers():
    """The one rule of the notebook comparison hides numbers after ≈, and no bound or word."""
    import configparser

    from course_lib.coursework.modules import ROOT

    config = configparser.RawConfigParser()
    config.read(ROOT / "tests" / "nbval.cfg", encoding="utf-8")
    rule = config["approximate numbers"]
    line = "✓ x: ≈ -1.5e-07 dB (at least 5)"
    assert re.sub(rule["regex"], rule["replace"], line) == "✓ x: ≈ NUMBER dB (at least 5)"


def test_a_slider_draws_again_in_place_with_new_alt_text(shell):
    from ipywidgets import IntSlider

    figure, ax = plt.subplots()
    line = ax.plot([0, 1], [0, 1])[0]

    def draw(height):
        line.set_ydata([0, height])
        return f"A line that rises to the height {height}."

    with capture_output():
        player = display.play(figure, draw, height=IntSlider(1, 0, 5, description="height"))
    first = player.picture.value
    player.controls["height"].value = 3
    second = player.picture.value
    assert first != second
    assert "rises to the height 3." in html.unescape(second)
    assert len(figure.axes) == 1
    assert len(ax.lines) == 1


def test_sliders_must_have_a_label(shell):
    from ipywidgets import IntSlider

    with pytest.raises(expect.InputError, match="expected a description for the control 'height'"):
        display.play(plt.figure(), lambda height: "A figure with nothing in it.", height=IntSlider())
    plt.close("all")


def test_overlay_shows_right_missed_and_too_much_in_three_colours():
    image = torch.full((1, 1, 2, 2), 0.5)
    found = torch.tensor([[True, False], [True, False]])
    truth = torch.tensor([[True, True], [False, False]])
    picture = display.overlay(image, found, truth)
    assert picture.shape == (1, 3, 2, 2)
    right, missed, too_much, rest = (picture[0, :, i, j] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    assert right.min() > 0.85
    assert missed[0] > missed[2] + 0.5  # orange
    assert too_much[2] > too_much[0] + 0.3  # blue
    torch.testing.assert_close(rest, torch.full((3,), 0.3))


def test_overlay_refuses_masks_of_another_size(unchecked):
    with pytest.raises(expect.InputError, match=r"two masks of its size, got \(2, 2\), \(2, 3\), \(2, 2\)"):
        display.overlay(torch.zeros(2, 2), torch.zeros(2, 3), torch.zeros(2, 2))


def test_the_pictures_of_a_slider_are_a_grid_with_its_start(tmp_path):
    figure, ax = plt.subplots()
    weight = ipywidgets.FloatSlider(0.1, min=0.0, max=3.0, step=0.05, description="weight")
    weight.value = 0.1 + 0.2  # no multiple of the step, by rounding
    kind = ipywidgets.Dropdown(options=["points", "lines"], description="random")

    def draw(weight, kind):
        return f"A curve drawn with weight {weight:.2f} and random {kind}."

    display.Player(figure, draw, {"weight": weight, "kind": kind}).save_frames(tmp_path)
    plt.close(figure)
    record = json.loads((tmp_path / "player.json").read_text(encoding="utf-8"))
    first, second = record["controls"]
    assert [first["positions"][0], first["positions"][-1]] == ["0", "3"]
    assert first["positions"][first["start"]] == "0.3"
    assert (first["menu"], second["menu"], second["positions"]) == (False, True, ["points", "lines"])
    assert len(record["frames"]) == 2 * len(first["positions"]) == 40
    assert all((tmp_path / frame["file"]).stat().st_size > 100 for frame in record["frames"])
