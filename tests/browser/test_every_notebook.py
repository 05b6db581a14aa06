"""Every lecture and solved lab, run to the end in the browser (make soak)."""

import os

import pytest
from jupyter_page import errors, open_notebook, run_all

from course_lib.coursework.modules import ROOT
from course_lib.coursework.notebooks import sources

PATHS = [source.with_suffix(".ipynb").relative_to(ROOT).as_posix() for source in sources()]


@pytest.mark.skipif(not os.environ.get("COURSE_SOAK"), reason="every notebook in the browser: make soak")
@pytest.mark.parametrize("path", PATHS)
def test_it_runs_to_the_end(page, jupyterlab, path):
    open_notebook(page, jupyterlab, path)
    assert errors(run_all(page)) == []
    assert page.problems == []
