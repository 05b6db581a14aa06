"""The curves that a frequency-representation module learns to draw."""

import math

import pytest
import torch

from course_lib.data import line_spectra
from course_lib.expect import InputError
from course_lib.training.frequency_labels import frequency_labels


def one_by_one(frequencies, samples, points):
    """The definition, a number at a time."""
    curve = [0.0] * points
    for k in range(points):
        for f in frequencies:
            if not math.isnan(f):
                distance = abs(k / points - 0.5 - f) % 1
                distance = min(distance, 1 - distance)
                curve[k] += math.exp(-((distance / (0.3 / samples)) ** 2))
    return curve


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_follow_their_definition(seed):
    lines = line_spectra(3, torch.Generator().manual_seed(seed))
    expected = torch.tensor([one_by_one(row, 50, 1000) for row in lines.frequencies.tolist()], dtype=torch.float64)
    torch.testing.assert_close(frequency_labels(lines.frequencies, 50), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("f", [-0.5, 0.4999, 0.499, -0.4995])
def test_a_bump_at_the_end_goes_on_at_the_beginning(f):
    """Turning a line by k grid points turns its label; the published code loses one of the two sides."""
    label = frequency_labels(torch.tensor([[f]], dtype=torch.float64), 50)
    middle = frequency_labels(torch.tensor([[f + 0.3 - (f > 0)]], dtype=torch.float64), 50)
    torch.testing.assert_close(label.roll(300, dims=1), middle, atol=1e-9, rtol=0)


def test_a_row_without_lines_is_zero_and_close_lines_add_up():
    none = frequency_labels(torch.full((1, 3), torch.nan), 50)
    assert (none == 0).all()
    twice = frequency_labels(torch.tensor([[0.1, 0.1]]), 50)
    torch.testing.assert_close(twice, 2 * frequency_labels(torch.tensor([[0.1, torch.nan]]), 50))


def test_labels_keep_the_dtype_and_take_other_sizes():
    f = torch.tensor([[0.25]])
    assert frequency_labels(f, 20, 64).shape == (1, 64)
    assert frequency_labels(f.double(), 20, 64).dtype == torch.float64
    wide, narrow = frequency_labels(f, 20, 64, width=0.6), frequency_labels(f, 20, 64, width=0.3)
    assert wide.sum() > narrow.sum()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((0, 64, 0.3), "samples"),
        ((50, 1, 0.3), "points"),
        ((50, 64, 0.0), "the width"),
        ((50, 64, math.nan), "the width"),
    ],
)
def test_labels_refuse(arguments, text):
    with pytest.raises(InputError, match=text):
        frequency_labels(torch.tensor([[0.1]]), *arguments)
