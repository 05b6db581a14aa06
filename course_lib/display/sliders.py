"""A picture that follows sliders: drawn once, then updated in place."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from course_lib import expect
from course_lib.display.figures import check_alt, img_tag, render

FRAMES = "COURSE_SLIDER_FRAMES"  # the build sets it to a folder, for pages that have no kernel
MOST_FRAMES = 40

if TYPE_CHECKING:
    from ipywidgets import Widget
    from matplotlib.figure import Figure


class Player:
    """The controls and the picture that `play` made; `update()` draws with the controls' present values."""

    def __init__(self, figure: Figure, draw: Callable[..., str], controls: dict[str, Widget]) -> None:
        import ipywidgets

        self.figure, self.draw, self.controls = figure, draw, controls
        self.picture = ipywidgets.HTML()
        self.picture.add_class("course-picture")
        for name, control in controls.items():
            if not getattr(control, "description", ""):
                raise expect.InputError(f"expected a description for the control {name!r}, got none")
            control.style.description_width = "initial"
            control.layout.width = "28em"
            control.observe(self.update, names="value")
        self.widget = ipywidgets.VBox([*controls.values(), self.picture])
        self.update()
        # the panels stay where they are: to lay them out again would take longer than all else in a move
        figure.set_layout_engine("none")

    def update(self, change: object = None) -> None:
        """Draw again. The alt text that `draw` returns changes with the picture."""
        alt = check_alt(self.draw(**{name: control.value for name, control in self.controls.items()}))
        mime, data = render(self.figure)
        self.picture.value = img_tag(mime, data, alt)

    def save_frames(self, folder: Path) -> None:
        """Write the pictures for a grid of positions of all controls, and player.json that describes them."""
        counts = _thinned([len(positions(control)) for control in self.controls.values()])
        chosen = [_spread(positions(c), place(c), n) for c, n in zip(self.controls.values(), counts, strict=True)]
        frames = []
        for number, values in enumerate(product(*chosen)):
            drawn = {name: value for name, (_, value) in zip(self.controls, values, strict=True)}
            alt = check_alt(self.draw(**drawn))
            name = f"{number:02}.webp"
            (folder / name).write_bytes(render(self.figure, photographic=True)[1])
            frames.append({"file": name, "alt": alt})
        controls = [
            {
                "name": control.description,
                "menu": not hasattr(control, "readout"),
                "positions": [words for words, _ in kept],
                "start": kept.index(positions(control)[place(control)]),
            }
            for control, kept in zip(self.controls.values(), chosen, strict=True)
        ]
        record = {"controls": controls, "frames": frames}
        (folder / "player.json").write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
        self.update()


def positions(control: Widget) -> list[tuple[str, object]]:
    """All positions of a control, as (words, value)."""
    if hasattr(control, "options"):
        return list(zip(control._options_labels, control._options_values, strict=True))
    steps = round((control.max - control.min) / control.step)
    values = [round(control.min + i * control.step, 9) for i in range(steps + 1)]
    return [(f"{value:g}", value) for value in values]


def place(control: Widget) -> int:
    """Where a control stands among its `positions`; a sum of steps may have rounded its value."""
    values = [value for _, value in positions(control)]
    if hasattr(control, "options"):
        return values.index(control.value)
    return min(range(len(values)), key=lambda i: abs(values[i] - control.value))


def _thinned(counts: list[int]) -> list[int]:
    """How many positions each control keeps, so that all together make at most MOST_FRAMES pictures."""
    counts = list(counts)
    while math.prod(counts) > MOST_FRAMES:
        counts[counts.index(max(counts))] -= 1
    return counts


def _spread(places: list[tuple[str, object]], at: int, count: int) -> list[tuple[str, object]]:
    """`count` of the places, from the first to the last, with the one at index `at` among them."""
    wanted = [round(i * (len(places) - 1) / max(1, count - 1)) for i in range(count)]
    nearest = min(range(count), key=lambda i: abs(wanted[i] - at))
    wanted[nearest] = at
    return [places[i] for i in sorted(set(wanted))]


def play(figure: Figure, draw: Callable[..., str], **controls: Widget) -> Player:
    """Show `figure` below its controls, and draw it again whenever one is moved.

    Args:
        figure: a figure whose artists `draw` updates in place (`set_data`, not a new plot: that is what
            keeps a slider fluent).
        draw: called with each control's value by name; returns the new picture's alternative text.
        controls: ipywidgets with a description, for example
            `sigma=FloatSlider(description="σ", ...)`.
    """
    from IPython.display import display

    plt.close(figure)  # the notebook would show it a second time, without its sliders
    player = Player(figure, draw, controls)
    if os.environ.get(FRAMES):
        player.save_frames(Path(os.environ[FRAMES]))
    display(player.widget)
    return player
