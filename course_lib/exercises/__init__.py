"""What the labs ask: one declaration per exercise, one file per module.

`from course_lib.exercises import wiener_filtering as lab` gives a lab's exercises by their function's name.
"""

from importlib import import_module

from course_lib.exercises.exercise import Exercise, Mistake, Property
from course_lib.exercises.lab import Lab, OpenQuestion
from course_lib.exercises.question import Question

#: module id → the file of this room that declares its lab
LABS = {
    "01_wiener_filtering": "wiener_filtering",
    "02_compressed_sensing": "compressed_sensing",
    "04_blind_denoising": "blind_denoising",
    "05_mammogram_denoising": "mammogram_denoising",
    "06_unet_segmentation": "unet_segmentation",
    "09_data_consistency_cascades": "data_consistency_cascades",
    "12_line_spectra": "line_spectra",
}


def load_lab(module: str) -> Lab:
    """The lab of a module id, for example "01_wiener_filtering"."""
    return import_module(f"course_lib.exercises.{LABS[module]}").LAB


__all__ = ["LABS", "Exercise", "Lab", "Mistake", "OpenQuestion", "Property", "Question", "load_lab"]
