"""A picture that follows sliders: drawn once, then updated in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from course_lib import expect
from course_lib.display.figures import check_alt, img_tag, render

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
    display(player.widget)
    return player
