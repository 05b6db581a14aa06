"""For all tests: shapes in signatures are checked at run time, and nothing of nbgrader's is in the way."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.pop("NBGRADER_EXECUTION", None)

import jaxtyping

ROOMS = ["display", "data", "physics", "metrics", "classical", "networks", "training"]
jaxtyping.install_import_hook([f"course_lib.{room}" for room in ROOMS], "typechecker.check")

import pytest
import torch
from hypothesis import settings

settings.register_profile("course", deadline=None, max_examples=30, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=2000)
settings.load_profile("soak" if os.environ.get("COURSE_SOAK") else "course")


@pytest.fixture(autouse=True)
def initial_weights():
    """What torch draws without a generator, a network's first weights, is the same in every run."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20)


@pytest.fixture
def unchecked():
    """No check of shapes in signatures: a wrong argument meets the function's own, as a student's does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
