"""The library behind the course "Deep learning for signals and medical images".

Rooms, in the order in which data flows; a room imports only from rooms above it:

    display      pictures, plots, sliders, claims
    data         clean images: photographs, brain anatomy, power-law noise; readers
    physics      how they are measured: linear operators, noise
    metrics      how good an estimate is: PSNR, SSIM
    classical    estimators without learned weights: Wiener, linear MMSE, bilateral
    networks     estimators with learned weights; loading shipped weights
    training     how networks get their weights: the loop, recipes, checkpoints
    exercises    what the labs ask, with its checks, hints and known mistakes
    coursework   notebooks, the `course` command, the machine check

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
