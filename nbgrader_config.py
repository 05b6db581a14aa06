"""nbgrader on this repository's folders: `nbgrader generate_assignment` gives the labs that lie in labs/."""

from nbconvert.preprocessors import TagRemovePreprocessor
from nbgrader import preprocessors as nbgrader

c = get_config()

c.CourseDirectory.course_id = "dl-signals-images"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "labs"
c.CourseDirectory.submitted_directory = "work/submitted"
c.CourseDirectory.autograded_directory = "work/autograded"
c.CourseDirectory.feedback_directory = "work/feedback"
# the folder of a lab also holds the solution's text: it must not be copied into the release
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "*.py"]

# cells tagged so hold the solution's interpretations, and no lab shows them
c.TagRemovePreprocessor.remove_cell_tags = {"solution-only"}
c.TagRemovePreprocessor.enabled = True
c.GenerateAssignment.preprocessors = [
    TagRemovePreprocessor,
    nbgrader.LockCells,
    nbgrader.ClearSolutions,
    nbgrader.ClearOutput,
    nbgrader.CheckCellMetadata,
    nbgrader.ComputeChecksums,
    nbgrader.SaveCells,
    nbgrader.ClearHiddenTests,
    nbgrader.ClearMarkScheme,
    nbgrader.ComputeChecksums,
    nbgrader.CheckCellMetadata,
]
