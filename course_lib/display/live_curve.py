"""A loss that is drawn while a network learns, in notebooks."""

from __future__ import annotations

import os
import time

import matplotlib.pyplot as plt

from course_lib.display.figures import GREY, img_tag, render

SECONDS = 2.0  # between two drawings, which take about a tenth of one
SCALES = {"log": "logarithmic", "linear": "linear"}
SMOOTHING = 0.05  # weight of the newest loss in the running mean


class LiveCurve:
    """The loss at every step and its running mean, drawn again every two seconds below the notebook's cell.

    It shows nothing where nobody looks: outside notebooks, and when TQDM_DISABLE is set, as it is while notebooks are
    built or compared.

    Args:
        name: of what is trained, for the title.
        total: how many steps there will be.
        losses: what came before, if a run goes on.
    """

    def __init__(self, name: str, total: int, losses: list[float]) -> None:
        self.name, self.total = name, total
        self.losses: list[float] = []
        self.means: list[float] = []
        self.picture = None
        self._drawn = time.monotonic()
        for loss in losses:
            self._note(loss)
        if _in_notebook() and not os.environ.get("TQDM_DISABLE"):
            self._open()

    def add(self, loss: float) -> None:
        """Note the loss of one more step."""
        self._note(loss)
        if self.picture is not None and time.monotonic() - self._drawn >= SECONDS:
            self.draw()

    def close(self) -> None:
        """Draw a last time; the picture stays."""
        if self.picture is not None and self.losses:
            self.draw()

    def draw(self) -> None:
        """Draw with all that is known now."""
        steps = range(1, len(self.losses) + 1)
        self._lines[0].set_data(steps, self.losses)
        self._lines[1].set_data(steps, self.means)
        scale = "log" if min(self.losses) > 0 else "linear"  # a loss in dB may be negative
        self._axes.set_yscale(scale)
        self._axes.relim()
        self._axes.autoscale_view(scalex=False)
        alt = (
            f"The loss of {self.name} against the step, on a {SCALES[scale]} scale, at each step and as a running "
            f"mean: {self.means[-1]:.3g} after {len(self.losses)} of {self.total} steps."
        )
        self.picture.value = img_tag(*render(self._figure), alt)
        self._drawn = time.monotonic()

    def _note(self, loss: float) -> None:
        before = self.means[-1] if self.means else loss
        weight = max(SMOOTHING, 1 / (len(self.losses) + 1))  # at first the plain mean
        self.losses.append(loss)
        self.means.append(before + weight * (loss - before))

    def _open(self) -> None:
        import ipywidgets
        from IPython.display import display

        self._figure, self._axes = plt.subplots(figsize=(6, 2.6))
        plt.close(self._figure)  # the notebook would show it a second time
        self._lines = [
            self._axes.plot([], [], color=GREY, linewidth=0.6, linestyle="-", label="each step")[0],
            self._axes.plot([], [], linestyle="-", label="running mean")[0],
        ]
        self._axes.set(title=f"{self.name} is learning", xlabel="step", ylabel="loss")
        self._axes.set_xlim(0, self.total)
        self._axes.legend()
        self.picture = ipywidgets.HTML()
        display(self.picture)


def _in_notebook() -> bool:
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
