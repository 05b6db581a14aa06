"""Every exercise of every lab: the solution passes, each known mistake fails with its own message, a blank is blank.

The answers that a lab has to tell apart, besides its known mistakes, lie in `answers/`, one file a lab.
"""

import inspect
import json
from importlib import import_module

import pytest
import torch
from judging import SEEDS, judge

from course_lib.exercises import LABS, load_lab
from course_lib.exercises.calls import AnswerIsAbsent, run
from course_lib.exercises.packing import pack, unpack

EXERCISES = [(lab, e) for lab in map(load_lab, LABS) for e in lab.exercises]
NAMES = [f"{lab.module}:{e.function}" for lab, e in EXERCISES]
MISTAKES = [(e, m, f) for _, e in EXERCISES for m in e.mistakes for f in (m.function, *m.also)]
ANSWERS = {module: import_module(f"answers.{name}") for module, name in LABS.items()}


def table(kind):
    """(module, exercise, function) for each function of the labs' tables of that kind; not every lab has each kind."""
    return [
        (module, name, function)
        for module, answers in ANSWERS.items()
        for name, functions in getattr(answers, kind, {}).items()
        for function in functions
    ]


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_declaration_is_complete(lab, exercise):
    assert len(exercise.mistakes) >= 3
    assert len(exercise.properties) >= 1
    assert len(exercise.hints) >= 3
    assert 5 <= exercise.minutes <= 25
    messages = [m.message for m in exercise.mistakes]
    assert len(set(messages)) == len(messages)
    assert all(len(m.split()) >= 8 for m in messages)
    assert lab[exercise.function] is exercise


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_words_of_a_declaration_fit_where_they_are_put(lab, exercise):
    """See the attributes in `exercise.py`: a statement ends, and a message or a noun phrase is gone on from."""
    assert list(exercise.takes) == list(inspect.signature(exercise.reference).parameters)
    assert all(p.statement.endswith((".", "…", "?")) for p in exercise.properties)
    assert not any(m.message.endswith(".") for m in exercise.mistakes)
    assert not exercise.returns.endswith(".")
    assert len(exercise.calls(0)[0].arguments) == len(exercise.takes)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_the_reference_passes_with_all_points(lab, exercise, seed):
    for answer in (exercise.reference, *exercise.also_right):
        result = judge(exercise, answer, seed)
        assert result.passed, str(result)
        assert result.points == exercise.points


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("exercise", "mistake", "function"), MISTAKES, ids=[f"{e.function}:{m.name}" for e, m, _ in MISTAKES]
)
def test_each_known_mistake_fails_with_its_own_message(exercise, mistake, function, seed):
    result = judge(exercise, function, seed)
    assert result.status == "failed"
    assert result.mistake == mistake.name
    assert result.message == mistake.message
    assert result.points < exercise.points
    assert not result.value_right


def _in_double_precision(value):
    if not isinstance(value, torch.Tensor) or value.dtype == torch.bool:
        return value
    return value.to(torch.complex128 if value.is_complex() else torch.float64)


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_blank_shape_nan_numpy_and_double(lab, exercise):
    def blank(*arguments):
        raise NotImplementedError

    def as_numpy(*arguments):
        value = exercise.reference(*arguments)
        return tuple(v.numpy() for v in value) if isinstance(value, tuple) else value[None].numpy()

    def nan(*arguments):
        value = exercise.reference(*arguments)
        return tuple(v * float("nan") for v in value) if isinstance(value, tuple) else value * float("nan")

    def one_more_dimension(*arguments):
        value = exercise.reference(*arguments)
        return tuple(v[None] for v in value) if isinstance(value, tuple) else value[None]

    def double(*arguments):
        return exercise.reference(*map(_in_double_precision, arguments))

    assert judge(exercise, blank).status == "not attempted yet"
    for function, said in [(nan, "NaN"), (as_numpy, "numpy array"), (one_more_dimension, "shape")]:
        result = judge(exercise, function)
        assert result.status == "failed"
        assert said in result.message, result.message
        assert result.points < exercise.points
    assert judge(exercise, double).passed


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_a_right_value_with_a_graph_or_in_a_list_is_diagnosed(lab, exercise):
    """Such a value stops later cells: a plot takes no graph, a formula no list."""

    def with_graph(*arguments):
        value = exercise.reference(*arguments)
        return tuple(v.requires_grad_() for v in value) if isinstance(value, tuple) else value.requires_grad_()

    def in_a_list(*arguments):
        value = exercise.reference(*arguments)
        return [(value,)] if isinstance(value, tuple) else [value]

    graph = "as in `nn.Conv2d`, are never trained" if exercise.differentiable else "end with `.detach()`"
    for function, said in [(with_graph, graph), (in_a_list, "got a list of")]:
        result = judge(exercise, function)
        assert result.status == "failed"
        assert said in result.message, result.message
        assert not result.value_right
        assert result.points < exercise.points


def _truth(value):
    return value > 0.5 if not value.is_complex() else value.abs() > 0.5


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
@pytest.mark.parametrize(
    "changed",
    [
        _truth,
        lambda value: bool(_truth(value).any()),
        lambda value: [v for v in value.flatten()[:50]],
        lambda value: value.flatten()[:50].tolist(),
        lambda value: list(value) if value.dim() else [value, value],
        lambda value: (value, "text"),
    ],
    ids=["truth values", "one truth value", "a list of tensors", "a list of numbers", "rows", "words"],
)
def test_other_kinds_of_values_are_failed_answers_and_no_crash(lab, exercise, changed):
    def answer(*arguments):
        value = exercise.reference(*arguments)
        return tuple(changed(v) for v in value) if isinstance(value, tuple) else changed(value)

    result = judge(exercise, answer)
    assert result.status == "failed"
    assert result.message


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_answers_name_functions_that_exist_in_the_library(lab, exercise):
    """What another library has is kept away by `closed`, not by these names."""
    for name in exercise.answers:
        assert name.startswith("course_lib.")
        place, attribute = name.rsplit(".", 1)
        assert callable(getattr(import_module(place), attribute))


def _packed(value):
    arrays = {}
    return json.loads(json.dumps(pack(value, arrays))), arrays


def _assert_same(found, wanted):
    assert type(found) is type(wanted)
    if isinstance(wanted, torch.Tensor):
        assert found.dtype == wanted.dtype
        torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)
    elif isinstance(wanted, (tuple, list)):
        for a, b in zip(found, wanted, strict=True):
            _assert_same(a, b)
    else:
        assert found == wanted


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_every_argument_reaches_the_sandbox_as_it_is(lab, exercise):
    for call in exercise.calls("graded"):
        _assert_same(unpack(*_packed(call.arguments)), call.arguments)


@pytest.mark.parametrize("module", LABS)
def test_a_lab_fits_its_time(module):
    lab = load_lab(module)
    assert 5 <= len(lab.exercises) <= 8
    assert len(lab.open_questions) == 1
    assert 90 <= lab.minutes <= 120
    assert [e.number for e in (*lab.exercises, *lab.open_questions)] == list(range(1, len(lab.exercises) + 2))


def test_every_exercise_has_evasive_answers_and_other_ways():
    for module, answers in ANSWERS.items():
        names = {e.function for e in load_lab(module).exercises}
        assert set(answers.EVASIVE) == set(answers.OTHER_WAYS) == names


@pytest.mark.parametrize(("module", "name", "function"), table("EVASIVE"))
def test_an_answer_that_says_nothing_earns_nothing(module, name, function):
    result = judge(load_lab(module)[name], function, 5)
    assert result.status == "failed"
    assert result.points == 0


@pytest.mark.parametrize(("module", "name", "function"), table("OTHER_WAYS"))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_answer_written_in_another_way_passes(module, name, function, seed):
    result = judge(load_lab(module)[name], function, seed)
    assert result.passed, str(result)


# --- the self-test ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "name", "function"), table("NEARLY_RIGHT"))
@pytest.mark.parametrize("seed", SEEDS)
def test_nearly_right_answers_fail(module, name, function, seed):
    """They are right on most of the lab's own cases, and a fresh reader's first tries."""
    result = judge(load_lab(module)[name], function, seed)
    assert result.status == "failed", str(result)
    assert result.message


@pytest.mark.parametrize(("module", "name", "function"), table("DELEGATING"))
def test_what_is_closed_is_no_answer(module, name, function):
    """Its values are right; it fails in a lab and, since it is by `run`, in grading."""
    exercise = load_lab(module)[name]
    assert judge(exercise, function).passed
    result = exercise.check(function)
    exercise.forget()
    assert (result.status, result.points) == ("failed", 0)
    assert "which is the answer itself" in result.message
    case = exercise.calls("graded")[0].arguments
    assert run(function, case, closed=exercise.closed).error_type == AnswerIsAbsent.__name__
    assert run(function, case).arrays is not None
