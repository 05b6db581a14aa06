"""The course's figures, as people see them who see fewer colours."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from course_lib.display import METHODS, figures, method_style
from course_lib.display.colour_vision import DEFICIENCIES, as_seen, confusable, difference, told_apart

PALETTE = [figures.BLACK, figures.ORANGE, figures.SKY, figures.GREEN, figures.BLUE, figures.VERMILION, figures.PURPLE]


def test_greys_stay_and_red_and_green_become_alike():
    for kind in DEFICIENCIES:
        np.testing.assert_allclose(as_seen("#808080", kind), 128 / 255, atol=2e-3)
        np.testing.assert_allclose(as_seen("#FFFFFF", kind), 1, atol=1e-5)
    red, green = (0.75, 0.25, 0.15), (0.45, 0.45, 0.05)
    assert difference(red, green) > 30
    assert difference(red, green, "deuteranopia") < 0.5 * difference(red, green)


@pytest.mark.parametrize("pair", list(combinations(PALETTE, 2)), ids=" ".join)
def test_the_palette_is_told_apart_with_every_kind_of_vision(pair):
    assert told_apart(*pair)


def test_no_two_methods_look_alike_without_colours():
    looks = [(m.linestyle, m.marker) for m in METHODS.values()]
    assert len(set(looks)) == len(looks)


def test_what_an_overlay_marks_is_told_apart():
    assert told_apart(figures.ORANGE, figures.SKY)
    assert told_apart("#FFFFFF", figures.ORANGE)
    assert told_apart("#FFFFFF", figures.SKY)


def test_confusable_lines_areas_and_maps_are_named():
    figure, (left, middle, right) = plt.subplots(1, 3)
    for colour, name in (("#B04020", "red"), ("#6B6A10", "green")):
        left.plot([0, 1], color=colour, label=name, linestyle="-")
        middle.bar([name], [1], color=colour, label=name)
    right.imshow(np.eye(3), cmap="hsv")
    assert confusable(figure) == [
        "the lines 'red' and 'green' differ by their colours alone",
        "the areas 'red' and 'green' differ by their colours alone",
        "the colour map hsv is not read without colours",
    ]
    plt.close(figure)


def test_another_line_style_is_enough_and_the_courses_methods_are_fine():
    figure, (left, right, maps) = plt.subplots(1, 3)
    left.plot([0, 1], color="#B04020", label="red")
    left.plot([1, 0], color="#6B6A10", label="green", linestyle="--")
    for k, name in enumerate(METHODS):
        right.plot([0, k], **method_style(name))
    for cmap in ("gray", "magma", "viridis", "RdBu_r", "PuOr"):
        maps.imshow(np.eye(3), cmap=cmap)
    assert confusable(figure) == []
    plt.close(figure)
