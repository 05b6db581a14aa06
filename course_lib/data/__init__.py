"""Clean images, all of them offline, and readers for a folder of your own."""

from course_lib.data.brain import brain_anatomy
from course_lib.data.photographs import (
    PHOTOGRAPHS,
    TEST_PHOTOGRAPHS,
    TRAINING_PHOTOGRAPHS,
    photographs,
    with_symmetries,
)
from course_lib.data.power_law import gaussian_images, power_law_spectrum
from course_lib.data.readers import image_files, read_image

__all__ = [
    "PHOTOGRAPHS", "TEST_PHOTOGRAPHS", "TRAINING_PHOTOGRAPHS", "brain_anatomy", "gaussian_images",
    "image_files", "photographs", "power_law_spectrum", "read_image", "with_symmetries",
]  # fmt: skip
