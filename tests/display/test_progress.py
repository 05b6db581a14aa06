"""Progress bars: silent where nobody looks."""

import sys

import pytest
import torch

from course_lib.classical.solution import Monitor
from course_lib.display import progress_bar


@pytest.fixture
def terminal(monkeypatch):
    """A person in front of a terminal, and no notebook."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def test_shown_on_a_terminal(terminal):
    with progress_bar(3, "FISTA") as bar:
        assert not bar.disable
        assert (bar.total, bar.desc, bar.delay, bar.leave) == (3, "FISTA", 1, False)


def test_shown_in_a_notebook_where_stderr_is_no_terminal(terminal, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert progress_bar(3, "FISTA").disable
    monkeypatch.setitem(sys.modules, "ipykernel", pytest)
    bar = progress_bar(3, "FISTA")
    assert not bar.disable
    bar.close()


def test_silent_while_notebooks_are_built(terminal, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert progress_bar(3, "FISTA").disable


def test_short_work_writes_nothing(terminal, capfd):
    """A bar appears after a second at the earliest, and is gone at the end."""
    monitor = Monitor("FISTA", "relative change", 50, 0.5)
    monitor.start(1.0)
    for k in range(50):
        monitor.record(1 / (k + 1), 1.0 if k < 49 else 0.1)
    assert monitor.solution(torch.zeros(1)).converged
    out, err = capfd.readouterr()
    assert out == err == ""
