"""The library behind the course "Deep learning for signals and medical images".

Rooms, in the order in which data flows; a room imports only from rooms above it:

    display      pictures, plots, sliders, claims, progress bars
    data         clean signals and images: photographs, brains, breasts, nerve tissue, phantoms, sinusoids; readers
    physics      how they are measured: linear operators (MRI, CT, single pixel, blur), masks, noise, whole scans
    metrics      how good an estimate is: images, segmentations, spots, spectral lines
    classical    estimators without learned weights: from the Wiener filter to sparse and subspace methods; wavelets
    networks     estimators with learned weights; loading shipped weights
    training     how networks get their weights: the loop, losses, recipes, checkpoints, studies
    exercises    what the labs ask, with its checks, hints and known mistakes
    coursework   the `course` command: notebooks, site, labs, grading, evaluation, the machine check

Beside them lie two files that every room may use: `expect.py`, the checks of arguments, and `files.py`, which writes
files whole or not at all.

`import course_lib` is light: a room is loaded when it is first used.
"""

from importlib import import_module

__version__ = "0.1.0"

ROOMS = ("display", "data", "physics", "metrics", "classical", "networks", "training", "exercises", "coursework")


def __getattr__(name: str):
    if name in ROOMS:
        return import_module(f"course_lib.{name}")
    raise AttributeError(f"module 'course_lib' has no attribute {name!r}; its rooms are {', '.join(ROOMS)}")


def __dir__() -> list[str]:
    return [*ROOMS, "__version__"]
