"""Run a module's methods on a folder of the user's own data: a table on the screen, rows in a JSON file.

Each module has a file here, which ends with its `EVALUATION`: what gives its rows, and the options that it takes. An
evaluation reads one file at a time, and a file that cannot be used is named on stderr and skipped. `EVALUATIONS` lists
them.
"""

from course_lib.coursework.evaluate.denoising import denoising_rows
from course_lib.coursework.evaluate.evaluations import EVALUATIONS, evaluate_module
from course_lib.coursework.evaluate.framework import Evaluation, Row, averaged, table

__all__ = ["EVALUATIONS", "Evaluation", "Row", "averaged", "denoising_rows", "evaluate_module", "table"]
