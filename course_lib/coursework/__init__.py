"""The course's own side: notebooks are built and checked here, labs handed out, folders evaluated."""

from course_lib.coursework.machine import machine_check
from course_lib.coursework.start import start_lab

__all__ = ["machine_check", "start_lab"]
