"""The self-test of the start page: its answers are right, and what each wrong one is told."""

import numpy as np
import pytest
import torch

from course_lib.exercises import self_test


@pytest.mark.parametrize("question", self_test.QUESTIONS, ids=lambda q: q.title)
def test_self_test(question):
    assert question.check(...).status == "not attempted yet"
    assert question.check(question.answer).status == "passed"
    assert question.check(torch.tensor(float(question.answer))).status == "passed"
    assert len(question.mistakes) >= 2
    for wrong, message in question.mistakes.items():
        verdict = question.check(wrong)
        assert verdict.status == "failed"
        assert message in verdict.message
        assert question.read in verdict.message
    assert question.check(-777).status == "failed"
    assert question.read in question.check(-777).message
    assert "expected one number" in question.check("a").message


def test_the_answers_of_the_self_test_are_right():
    """Each is computed, as its question is asked on the start page."""
    x = torch.tensor(2.0, requires_grad=True)
    (x**3).backward()
    wave = torch.tensor([0.0, 1.0, 0.0, -1.0] * 4)
    computed = {
        "power of a constant": abs(np.fft.fft(np.ones(8))[0]) ** 2,
        "frequency of a wave": float(torch.fft.rfft(wave).abs().argmax()) / len(wave),
        "variance of a sum": 4 * 2**2,
        "least squares": float(np.linalg.lstsq(np.array([[2.0], [1.0]]), np.array([3.0, 4.0]), rcond=None)[0][0]),
        "shape after broadcasting": (torch.ones(3, 4, 1, 4) * torch.ones(5, 1)).numel(),
        "a derivative by autograd": x.grad.item(),
        "decibels": 10 * np.log10(10**2),
        "a circular convolution": 1 + np.roll([1, 5, 7, 2], 1)[0],
    }
    assert {q.title: pytest.approx(computed[q.title]) for q in self_test.QUESTIONS} == {
        q.title: q.answer for q in self_test.QUESTIONS
    }
