"""Pictures, plots, sliders and claims. Importing this room sets the course's plotting style."""

from course_lib.display.claims import claim
from course_lib.display.figures import METHODS, Method, as_picture, method_style, overlay, show_figure, show_images
from course_lib.display.live_curve import LiveCurve
from course_lib.display.progress import progress_bar
from course_lib.display.sliders import Player, play

__all__ = [
    "METHODS", "LiveCurve", "Method", "Player", "as_picture", "claim", "method_style", "overlay", "play",
    "progress_bar", "show_figure", "show_images",
]  # fmt: skip
