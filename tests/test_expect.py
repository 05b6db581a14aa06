"""Arguments that cannot be used get one line: what was expected and what came."""

import numpy as np
import pytest
import torch

from course_lib import expect


@pytest.mark.parametrize(
    ("value", "came"),
    [
        (np.zeros((1, 1, 4, 4)), "numpy.ndarray of shape (1, 1, 4, 4) and dtype float64"),
        (torch.zeros(4, 4), "torch.Tensor of shape (4, 4) and dtype float32"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.int64), "dtype int64"),
        (torch.zeros(1, 1, 0, 4), "shape (1, 1, 0, 4)"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.complex64), "dtype complex64"),
        (torch.full((1, 1, 2, 2), float("nan")), "4 of them"),
        ([[1.0]], "a list of 1"),
        (None, "None"),
    ],
)
def test_images(value, came):
    with pytest.raises(expect.InputError) as error:
        expect.images("noisy", value)
    said = str(error.value)
    assert "expected noisy" in said
    assert came in said
    assert "\n" not in said


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1 dB", None, torch.ones(2)])
def test_sigma(value):
    with pytest.raises(expect.InputError, match="expected the noise level sigma as a number from 0, got"):
        expect.sigma(value)


def test_sigma_may_be_a_tensor_of_no_dimension():
    assert expect.sigma(torch.tensor(0.25)) == 0.25


def test_a_number_names_its_bounds():
    with pytest.raises(expect.InputError, match="expected x as a number from 0 to 6, got 7"):
        expect.number("x", 7, least=0, most=6)
    with pytest.raises(expect.InputError, match="expected x as a number above 0, got 0"):
        expect.number("x", 0, above=0)


@pytest.mark.parametrize("value", [1, 2.0, True, "64"])
def test_size(value):
    with pytest.raises(expect.InputError, match="expected a size as a whole number of pixels from 2"):
        expect.image_size(value)
