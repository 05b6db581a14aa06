"""The exercise mechanism on a small exercise of its own: every status, every diagnosis, and what must not happen."""

import json
import os
import textwrap
import types
from dataclasses import replace

import numpy as np
import pytest
import torch

from course_lib import expect
from course_lib.exercises import Exercise, Lab, Mistake, OpenQuestion, Property
from course_lib.exercises.calls import Outcome, run
from course_lib.exercises.packing import pack, unpack


def _mean_square(x):
    return x.square().mean()


def _sum_square(x):
    return x.square().sum()


def _root(x):
    return x.square().mean().sqrt()


def _crash(x):
    return x[1000]


def make_exercise() -> Exercise:
    return Exercise(
        number=1,
        function="mean_square",
        title="mean square",
        minutes=5,
        value_points=2,
        takes={"x": "float32 (samples,)"},
        returns="one number",
        draw=lambda generator, index: (torch.randn(7, generator=generator),),
        reference=_mean_square,
        answers=("course_lib.metrics.mse",),
        mistakes=(
            Mistake(_sum_square, "yours is a sum, not a mean"),
            Mistake(_root, "yours is the root of it"),
            Mistake(_crash, "you read beyond the end"),
        ),
        properties=(
            Property(
                "scaling",
                "Twice the signal should have four times the mean square.",
                lambda x: [(x,), (2 * x,)],
                lambda calls, values: (
                    None
                    if np.allclose(values[1], 4 * values[0], rtol=1e-3)
                    else f"it became {float(values[1] / values[0]):.2f} times as large"
                ),
            ),
        ),
        hints=("Square first.", "Then the mean."),
    )


@pytest.fixture
def exercise():
    return make_exercise()


def student(source: str, **notebook):
    """A function as a notebook defines it: in a namespace of its own, with source lines."""
    module = types.ModuleType("notebook")
    vars(module).update(torch=torch, np=np, **notebook)
    exec(compile(textwrap.dedent(source), "cell", "exec"), vars(module))
    return vars(module)["mean_square"]


RIGHT = {
    "torch": "def mean_square(x):\n    return (x**2).mean()",
    "python number": "def mean_square(x):\n    return sum(v * v for v in x.tolist()) / len(x)",
    "numpy number": "def mean_square(x):\n    return np.mean(x.numpy() ** 2)",
    "double precision": "def mean_square(x):\n    return x.double().square().mean()",
    "with a print and a warning": (
        "def mean_square(x):\n    import warnings; warnings.warn('look')\n    print('hi')\n    return x.dot(x) / 7"
    ),
    "helper": "def help_me(x):\n    return x * x\ndef mean_square(x):\n    return help_me(x).mean()",
}


@pytest.mark.parametrize("source", RIGHT.values(), ids=RIGHT)
def test_right_answers_in_any_form_pass(exercise, source):
    result = exercise.check(student(source))
    assert result.passed
    assert result.points == exercise.points == 3
    assert str(result).startswith("✓ Exercise 1, mean square: passed")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def mean_square(x):\n    return x.square().sum()", "yours is a sum, not a mean"),
        ("def mean_square(x):\n    return torch.sqrt((x**2).mean())", "yours is the root of it"),
        ("def mean_square(x):\n    y = x * 2\n    return y[1000]", "you read beyond the end"),
        ("def mean_square(x):\n    x.square().mean()", "expected one number, got None: is its `return` missing?"),
        ("def mean_square(x):\n    return np.array([1.0, 2.0])", "got a numpy array: stay with torch"),
        ("def mean_square(x):\n    return 'many'", "expected one number, got 'many'"),
        ("def mean_square(x):\n    return (x.mean(), x.mean())", "got a tuple of tensors: `torch.stack` makes one"),
        ("def mean_square(x):\n    return [x.square().mean()]", "got a list of tensors: return what is in it"),
        ("def mean_square(x):\n    return x.square().mean(),", "got a tuple of tensors: return what is in it"),
        ("def mean_square(x):\n    return x.clone().requires_grad_().square().mean()", "graph: end with `.detach()`"),
        ("def mean_square(x):\n    return x.requires_grad_().square().mean().detach()", "changes its argument `x`"),
        ("def mean_square(x):\n    return x.square()", "in this case it has shape (), and yours (7,)"),
        ("def mean_square(x):\n    return (x**2).mean() * float('nan')", "got 1 NaN or infinite of 1"),
        ("def mean_square(x):\n    return (x + 0j).square().mean()", "got complex numbers: take `.real`"),
        ("def mean_square(x):\n    return undefined_name", "NameError: name 'undefined_name' is not defined"),
        ("def mean_square(x):\n    return x.abs().mean()", "Here it became 2.00 times as large"),
        ("def mean_square(x):\n    return (x**2).mean() * 1.5", "the values differ: expected"),
        ("def mean_square():\n    return 1", "takes 0 positional arguments but 1 was given"),
        ("def mean_square(x):\n    x *= x\n    return x.mean()", "changes its argument `x`"),
        ("def mean_square(x):\n    return other(x)", "name 'other' is not defined"),
    ],
)
def test_wrong_answers_are_diagnosed(exercise, source, said):
    result = exercise.check(student(source))
    assert result.status == "failed"
    assert said.lower() in str(result).lower()
    assert "Traceback" not in str(result)
    assert result.points < exercise.points


def test_the_failing_line_is_quoted_when_it_is_known(exercise, tmp_path):
    source = "def mean_square(x):\n    y = x * 2\n    return y.wrong_name()\n"
    (tmp_path / "cell.py").write_text(source)
    scope = {}
    exec(compile(source, str(tmp_path / "cell.py"), "exec"), scope)
    assert "(at the line `return y.wrong_name()`)" in exercise.check(scope["mean_square"]).message


BLANK = "def mean_square(x):\n    raise NotImplementedError()"


def test_a_blank_reads_as_blank_and_stops_nothing(exercise):
    result = exercise.check(student(BLANK))
    assert result.status == "not attempted yet"
    assert result.points == 0
    assert str(result).startswith("○ Exercise 1, mean square: not attempted yet")


@pytest.mark.parametrize(
    ("function", "changed"),
    [
        (lambda x: x.nansum(), ()),
        (lambda x: x.nan_to_num_(0).sum(), (0,)),
        (lambda x: x.mul_(2).nansum(), (0,)),
        (lambda x: x.fill_(float("nan")).nansum(), (0,)),
    ],
)
def test_an_argument_that_holds_nan_is_unchanged_unless_it_is_changed(function, changed):
    """NaN, which equals nothing, stands for what is absent."""
    assert run(function, (torch.tensor([1.0, float("nan"), 2.0]),)).changed == changed


def test_a_blank_helper_is_not_a_blank_answer(exercise):
    source = "def other(x):\n    raise NotImplementedError()\ndef mean_square(x):\n    return other(x)"
    result = exercise.check(student(source))
    assert result.status == "failed"
    assert "`other` is not written yet: solve its exercise first" in result.message


WEIRD = {
    "torch has no kernel for it": "def mean_square(x):\n    return torch.fft.fft(x).clamp(0, 1)",
    "half": "def mean_square(x):\n    return x.bfloat16()",
    "sparse": "def mean_square(x):\n    return x.to_sparse()",
    "meta": "def mean_square(x):\n    return x.to('meta')",
    "a list that holds itself": "def mean_square(x):\n    y = []\n    y.append(y)\n    return y",
    "an exception that does not print": (
        "class E(Exception):\n    def __str__(self): raise ValueError\ndef mean_square(x):\n    raise E"
    ),
    "exits": "import sys\ndef mean_square(x):\n    sys.exit()",
    "a generator": "def mean_square(x):\n    yield 1",
    "truth values": "def mean_square(x):\n    return x > 0",
    "one truth value": "def mean_square(x):\n    return bool((x > 0).any())",
    "a list of numbers": "def mean_square(x):\n    return x.tolist()",
}


@pytest.mark.parametrize("source", WEIRD.values(), ids=WEIRD)
def test_whatever_comes_back_is_a_failed_answer_and_no_crash(exercise, source):
    result = exercise.check(student(source))
    assert result.status == "failed"
    assert result.message


def test_what_a_function_sets_for_all_of_torch_is_set_back(exercise):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    changes = "torch.set_default_dtype(torch.float64); torch.manual_seed(0)"
    source = f"def mean_square(x):\n    {changes}\n    return (x**2).mean()"
    assert exercise.check(student(source)).passed
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), state)


def test_not_a_function(exercise):
    result = exercise.check(3.0)
    assert result.status == "failed"
    assert "expected the function mean_square(x), got 3.0" in result.message


def test_points_for_a_property_that_holds(exercise):
    result = exercise.check(student("def mean_square(x):\n    return x.square().sum()"))
    assert result.points == 1  # four times is right, the values are not
    assert "✗ values · ✓ scaling · 1 of 3 points" in str(result)


def test_variables_of_the_notebook_are_pointed_at(exercise):
    result = exercise.check(student("def mean_square(x):\n    return signal.square().mean()", signal=torch.ones(9)))
    assert result.message.startswith("Your function reads `signal` from the notebook: use its own arguments. ")


def test_calling_the_answer_does_not_count(exercise):
    from course_lib import metrics

    direct = student("def mean_square(x):\n    x = x[None, None, None]\n    return mse(x, 0 * x)[0]", mse=metrics.mse)
    by_room = student(
        "def mean_square(x):\n    x = x[None, None, None]\n    try:\n        return metrics.mse(x, 0 * x)[0]\n"
        "    except Exception:\n        return x.square().mean()",
        metrics=metrics,
    )
    inside = student(
        "def mean_square(x):\n    x = x[None, None, None]\n    return 10 ** (-metrics.psnr(x, 0 * x)[0] / 10)",
        metrics=metrics,
    )
    reference = student("def mean_square(x):\n    return ex.reference(x)", ex=exercise)
    handed_on = student("def mean_square(x):\n    return ex.or_reference(None)(x)", ex=exercise)
    for function in (direct, by_room, inside, reference, handed_on):
        result = exercise.check(function)
        assert result.status == "failed"
        assert "write out what it does" in result.message
        assert result.points == 0
    x = torch.ones(1, 1, 2, 2)
    assert metrics.mse(x, 0 * x).item() == 1  # open again


TORCH_ITSELF = {
    "by its name": "def mean_square(x):\n    return torch.dot(x, x) / len(x)",
    "by another name": "def mean_square(x):\n    return torch.ops.aten.dot(x, x) / len(x)",
    "as a method": "def mean_square(x):\n    return x.dot(x) / len(x)",
    "in another function": "def help_me(x):\n    return x @ x\ndef mean_square(x):\n    return help_me(x) / len(x)",
    "and the exception caught": (
        "def mean_square(x):\n    try:\n        return x.dot(x) / len(x)\n    except Exception:\n"
        "        return x.square().mean()"
    ),
}


@pytest.mark.parametrize("source", TORCH_ITSELF.values(), ids=TORCH_ITSELF)
def test_an_operator_of_torch_can_be_the_answer(exercise, source):
    closed = replace(exercise, closed=("dot",))
    assert exercise.check(student(source)).passed
    result = closed.check(student(source))
    assert (result.status, result.points) == ("failed", 0)
    assert "function calls torch's `dot`" in str(result)
    assert "write out what it does" in str(result)
    assert closed.check(student("def mean_square(x):\n    return x.square().mean()")).passed  # and others stay open


WORK = {
    "*": ("def mean_square(x):\n    return (x * x).mean()", 7),
    "mul": ("def mean_square(x):\n    return torch.mul(x, x).mean()", 7),
    "dot": ("def mean_square(x):\n    return x.dot(x) / len(x)", 7),
    "mv": ("def mean_square(x):\n    return (x[None] @ x)[0] / len(x)", 7),
    "mm": ("def mean_square(x):\n    return (x[None] @ x[:, None])[0, 0] / len(x)", 7),
    "bmm": ("def mean_square(x):\n    return (x[None, None] @ x[None, :, None])[0, 0, 0] / len(x)", 7),
    "outer": ("def mean_square(x):\n    return (x[:, None] @ x[None]).diag().mean()", 49),
    "conv": (
        "def mean_square(x):\n    return torch.nn.functional.conv1d(x[None, None], x[None, None])[0, 0, 0] / len(x)", 7
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "work"), WORK.values(), ids=WORK)
def test_multiplications_are_counted(exercise, source, work):
    assert replace(exercise, most_multiplications=work).check(student(source)).passed
    result = replace(exercise, most_multiplications=work - 1).check(student(source))
    assert result.status == "failed"
    assert f"it takes more than {work - 1:,} multiplications in one call" in result.message


def test_another_librarys_function_and_layer_refuse_however_they_are_held(exercise):
    from scipy import linalg

    closed = replace(exercise, closed=("scipy.linalg.norm", "torch.nn.MSELoss", "no_such.library"))
    norm = "def mean_square(x):\n    import scipy\n    return scipy.linalg.norm(x.numpy()) ** 2 / len(x)"
    layer = student("def mean_square(x):\n    return loss(x, 0 * x)", loss=torch.nn.MSELoss())
    for function, name in ((student(norm), "scipy.linalg.norm"), (layer, "torch.nn.MSELoss")):
        assert exercise.check(function).passed
        result = closed.check(function)
        assert (result.status, result.points) == ("failed", 0)
        assert f"calls `{name}`" in result.message
    assert linalg.norm([3, 4]) == 5  # open again
    assert torch.nn.MSELoss()(torch.ones(2), torch.zeros(2)) == 1


def test_a_list_that_a_function_changes_is_told_and_stays_for_the_others():
    given = [1, 2, 3]
    outcome = run(lambda numbers: numbers.pop(), (given,))
    assert (given, outcome.changed) == ([1, 2, 3], (0,))


def test_what_lies_in_a_list_or_tuple_is_copied_and_watched_too():
    given = ([torch.ones(2), (1.5, torch.zeros(3))],)
    assert run(lambda parts: parts[1][1].add_(1), given).changed == (0,)
    assert run(lambda parts: parts.append(3) or 1, given).changed == (0,)
    assert run(lambda parts: parts[0] * parts[1][0], given).changed == ()
    assert torch.equal(given[0][1][1], torch.zeros(3))
    assert run(lambda *arguments: type(arguments[0][1]) is tuple, given).arrays[0] == 1


PACKED = [
    torch.tensor(2.0), torch.zeros(0, 3), torch.tensor([True, False]), torch.tensor([1 + 2j]).conj(),
    torch.tensor([float("nan"), float("inf")]), torch.arange(6).reshape(2, 3).T, (1.0, 1), [], (), None, "same", True,
    float("inf"), [(1, [torch.ones(2)]), torch.tensor(3)],
]  # fmt: skip


def same(found, wanted):
    if isinstance(wanted, (tuple, list)):
        return type(found) is type(wanted) and all(same(a, b) for a, b in zip(found, wanted, strict=True))
    if isinstance(wanted, torch.Tensor):
        return found.dtype == wanted.dtype and torch.allclose(found, wanted, rtol=0, atol=0, equal_nan=True)
    return type(found) is type(wanted) and found == wanted


@pytest.mark.parametrize("value", PACKED, ids=str)
def test_an_argument_comes_back_as_it_was_sent(value, tmp_path):
    arrays = {}
    text = json.dumps(pack((value,), arrays))
    np.savez(tmp_path / "arrays.npz", **arrays)
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as loaded:
        assert same(unpack(json.loads(text), loaded), (value,))


def test_what_json_cannot_hold_is_not_sent():
    for value in (np.float64(1), {"a": 1}, 1j, torch.float32):
        with pytest.raises(expect.InputError, match="expected a tensor, number, text, tuple or list as an argument"):
            pack([value], {})


def test_the_courses_own_functions_run_once_for_a_seed(exercise):
    counted = []
    counting = replace(exercise, reference=lambda x: counted.append(1) or _mean_square(x))
    for _ in range(3):
        assert counting.check(student(RIGHT["torch"])).passed
    assert len(counted) == counting.cases
    for seed in range(20):  # those of a batch of secret seeds are not all kept
        counting.calls(seed)
    assert len(counting._drawn) <= 6
    fewer = replace(counting, cases=1)  # a changed declaration draws anew
    assert len(fewer.calls(19)) < len(counting.calls(19))


def test_or_reference(exercise, capsys):
    right, blank = student(RIGHT["torch"]), student(BLANK)
    assert exercise.or_reference(right) is right
    assert capsys.readouterr().out == ""
    assert exercise.or_reference(blank) is exercise.reference
    assert capsys.readouterr().out == (
        "Exercise 1 has not passed yet: the cells below go on with the course's mean_square.\n"
    )
    # the reference that now has the student's name is nobody's answer
    assert exercise.check(exercise.reference).status == "not attempted yet"
    assert exercise.or_reference(exercise.reference) is exercise.reference


def test_under_nbgrader_a_failure_raises_and_nobody_gets_the_reference(exercise, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    blank = student(BLANK)
    with pytest.raises(AssertionError, match="not attempted yet"):
        exercise.check(blank)
    with pytest.raises(AssertionError, match="not attempted yet"):
        exercise.check(exercise.reference)
    with pytest.raises(AssertionError, match="Yours is a sum"):
        exercise.check(student("def mean_square(x):\n    return x.square().sum()"))
    assert exercise.check(student(RIGHT["torch"])) is None
    assert exercise.result.passed
    assert exercise.or_reference(blank) is blank
    del os.environ["NBGRADER_EXECUTION"]


def test_hints_climb_and_can_be_read_again(exercise):
    assert [exercise.hint().text for _ in range(3)] == ["Square first.", "Then the mean.", "Then the mean."]
    assert exercise.hint(1).text == "Square first."
    assert "hint 1 of 2" in str(exercise.hint(1))
    with pytest.raises(expect.InputError, match="expected a hint from 1 to 2, got 3"):
        exercise.hint(3)


def test_progress(exercise):
    question = OpenQuestion(2, "why", "why so", 5, 4, ("because",))
    lab = Lab("09_test", "09 Test", (exercise,), (question,))
    assert lab.progress().summary == "0 of 1 exercises passed, 0 of 3 points"
    exercise.check(student("def mean_square(x):\n    return x.square().sum()"))
    assert lab.progress().summary == "0 of 1 exercises passed, 1 of 3 points"
    exercise.check(student(RIGHT["torch"]))
    assert lab.progress().summary == "1 of 1 exercises passed, 3 of 3 points"
    text = str(lab.progress())
    assert "✓ passed" in text
    assert "✎ marked by a person" in text
    exercise.forget()
    assert lab.progress().passed == 0


def test_rich_output_escapes_what_a_student_wrote(exercise):
    result = exercise.check(student("def mean_square(x):\n    raise ValueError('<script>alert(1)</script>')"))
    rich = result._repr_html_()
    assert "<script>" not in rich
    assert "&lt;script&gt;" in rich
    for piece in (rich, exercise.hint()._repr_html_(), Lab("x", "<b>", (exercise,)).progress()._repr_html_()):
        assert "color:" in piece
    assert "✗" in rich


def test_grading_cases_come_from_the_seed_and_from_nothing_else(exercise):
    def key(seed):
        return [call.arguments[0].tolist() for call in make_exercise().calls(seed)]

    assert key(5) == key(5)
    assert key(5) != key(6)
    assert len({str(k) for k in key(5)}) == 6  # three cases, and each once doubled


def test_judging_needs_nothing_but_outcomes(exercise):
    """What a sandbox sends out is judged without the student's code."""
    calls = exercise.calls(3)
    outcomes = [run(_mean_square, call.arguments) for call in calls]
    assert all(isinstance(o, Outcome) and isinstance(o.arrays[0], np.ndarray) for o in outcomes)
    assert exercise.judge(calls, outcomes).passed
    wrong = [run(_sum_square, call.arguments) for call in calls]
    assert exercise.judge(calls, wrong).mistake == "_sum_square"


def test_a_case_for_one_seed_does_not_answer_another(exercise):
    """Outputs learned by heart from the visible cases fail on others."""
    visible = {tuple(c.arguments[0].tolist()): _mean_square(*c.arguments) for c in exercise.calls(0)}

    def by_heart(x):
        return visible.get(tuple(x.tolist()), torch.tensor(0.0))

    assert exercise.check(by_heart).passed
    calls = exercise.calls(12345)
    assert not exercise.judge(calls, [run(by_heart, c.arguments) for c in calls]).passed
