"""An exercise, declared once: its cases, reference, properties, hints and known mistakes.

The one object checks a lab, gives hints, lets a stuck student go on, draws the cases of grading and writes
the instructor's guide.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from importlib import import_module

import numpy as np
import torch

from course_lib import expect
from course_lib.exercises.calls import DELEGATES, WITH_GRAPH, AnswerIsAbsent, Arguments, Outcome, close, run
from course_lib.exercises.report import Hint, Result, sentence

AUTOGRAD_IS_CUT_BY = (
    "`float(...)`, `.item()`, `.detach()`, `torch.tensor(...)` of a tensor, `torch.no_grad()` and NumPy cut it off. "
    "This costs no point, but later cells learn through the function, and go on with the course's."
)
VISIBLE_SEED = 0  # the lab's own cases; grading draws others from a secret seed
KEPT_SEEDS = 6
Value = np.ndarray | tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation that students really write, and what to tell whoever wrote it.

    Attributes:
        function: the wrong implementation; it may raise, if that is what happens: an answer that raises the same
            exception with the same words matches.
        message: the diagnosis, what is wrong and what to do, in at least eight words. It begins in lower case (but for
            names, symbols and code, which stay as they are) and has no full stop at its end: both are put in where it
            is shown as a sentence.
        also: the same mistake where a convention leaves a choice, with other numbers.
    """

    function: Callable[..., object]
    message: str
    also: tuple[Callable[..., object], ...] = ()

    @property
    def name(self) -> str:
        return self.function.__name__


@dataclass(frozen=True)
class Property:
    """Something that every right answer has, and that outputs alone can show.

    Attributes:
        name: a few words, for tables.
        statement: what should hold, in a whole sentence with its full stop.
        calls: from one case, the argument lists that the function is called with.
        holds: from those argument lists and the values that came back, None if the property holds, else the
            counter-example: words that complete a sentence which begins with "Here", with no full stop. There is one
            value for each list: a NumPy array, or a tuple of arrays where the function returned several. It is not
            asked where a call raised or gave no numbers, nor where they are complex without reason, NaN or infinite:
            the property fails there. It fails too where `holds` raises a ValueError, IndexError, TypeError or
            AttributeError, as it does for shapes that do not combine; any other exception is an error of the course.
        points: for this property alone, in grading.
    """

    name: str
    statement: str
    calls: Callable[..., list[Arguments]]
    holds: Callable[[list[Arguments], list[Value]], str | None]
    points: int = 1


@dataclass(frozen=True)
class Call:
    """One call of the student's function.

    Attributes:
        arguments: what the function is called with.
        of: None for a case, else the property that the call belongs to.
        group: the case's index.
    """

    arguments: Arguments
    of: Property | None = None
    group: int = 0
    _known: dict = field(default_factory=dict, init=False, compare=False, repr=False)

    def outcome(self, function: Callable[..., object]) -> Outcome:
        """What a function of the course's own gives here, the reference or a known mistake: computed once."""
        if function not in self._known:
            self._known[function] = run(function, self.arguments, quiet=True)
        return self._known[function]


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lab.

    Attributes:
        number: its place in the lab, from 1.
        function: the name of the function to write.
        title: a few words.
        minutes: what a student needs, from 5 to 25.
        value_points: points for the right values; each property adds its own.
        takes: the exact name of each parameter, in order, with its shape and unit.
        returns: the result with its shape and unit, a noun phrase: it is read after "expected".
        draw: from a seeded generator and the case's index (0, 1, 2, …), the arguments of one call.
        reference: the right answer; open to read, for this is a course.
        answers: full names in the course's own library (`course_lib.…`) that would be the answer; a function that
            calls one does not count. Only what is the course's is found by such a name.
        mistakes: at least three wrong answers, each with its own message; the first one that gives the same on every
            case is told, so what is more special stands before what is more general.
        properties: what every right answer has, at least one.
        hints: a ladder of at least three, from a nudge to nearly the answer.
        closed: what is not the course's and would be the answer, by whatever way called: a part of the names of torch's
            operators ("conv"), or the full name of another library's function or layer ("monai.losses.DiceLoss").
        most_multiplications: how many one call may take; None for any number. In the sandbox of grading this and
            `closed` hold too.
        also_right: other answers that count as right, with other values.
        tolerance: relative difference from the reference that is still right.
        cases: how many cases are drawn; each is a call of its own, and each property is asked about each of them.
        differentiable: names of arguments that later cells differentiate by. An answer that autograd cannot go through
            has all its points, and is told so; `or_reference` then gives the reference.
    """

    number: int
    function: str
    title: str
    minutes: int
    value_points: int
    takes: dict[str, str]
    returns: str
    draw: Callable[[torch.Generator, int], Arguments]
    reference: Callable[..., object]
    answers: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    properties: tuple[Property, ...]
    hints: tuple[str, ...]
    closed: tuple[str, ...] = ()
    most_multiplications: int | None = None
    also_right: tuple[Callable[..., object], ...] = ()
    tolerance: float = 1e-4
    cases: int = 3
    differentiable: tuple[str, ...] = ()
    _state: dict = field(default_factory=dict, compare=False, repr=False)
    _drawn: dict = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def points(self) -> int:
        return self.value_points + sum(p.points for p in self.properties)

    @property
    def signature(self) -> str:
        return f"{self.function}({', '.join(self.takes)})"

    # --- what a student calls -------------------------------------------------------------------------

    def check(self, function: Callable[..., object]) -> Result | None:
        """Judge a student's function on the lab's cases, and remember the result for the progress table.

        Under nbgrader, which sets NBGRADER_EXECUTION, a pass is printed and anything else raises, so that
        nbgrader's own points work too.
        """
        if function is self.reference:
            text = f"the course's reference stands in here: run the cell that defines {self.function} again"
            result = Result(self, "not attempted yet", text)
        else:
            result = self._state["result"] = self._judge_live(function)
            if result.passed and (cut := self._cuts_autograd(function)):
                result = replace(result, message=f"{cut}: {AUTOGRAD_IS_CUT_BY}")
        if os.environ.get("NBGRADER_EXECUTION"):
            if not result.passed:
                raise AssertionError(str(result))
            print(result)
            return None  # nbgrader takes a cell's value for partial credit
        return result

    def or_reference(self, function: Callable[..., object]) -> Callable[..., object]:
        """The student's function if it passes, else the reference, with a note: a stuck student goes on.

        In grading (NBGRADER_EXECUTION is set) always the student's.
        """
        if function is self.reference or os.environ.get("NBGRADER_EXECUTION"):
            return function
        if self._judge_live(function).passed:
            cut = self._cuts_autograd(function)
            if not cut:
                return function
            print(f"{sentence(cut)}: the cells below go on with the course's {self.function}.")
            return self.reference
        print(f"Exercise {self.number} has not passed yet: the cells below go on with the course's {self.function}.")
        return self.reference

    def hint(self, step: int | None = None) -> Hint:
        """The next hint of the ladder; `hint(2)` shows the second one again."""
        if step is None:
            step = min(self._state.get("hint", 0) + 1, len(self.hints))
        if isinstance(step, bool) or not isinstance(step, int) or not 1 <= step <= len(self.hints):
            raise expect.InputError(f"expected a hint from 1 to {len(self.hints)}, got {expect.describe(step)}")
        self._state["hint"] = step
        return Hint(self, step)

    @property
    def result(self) -> Result:
        """The last result of `check` in this session; "not attempted yet" before the first."""
        return self._state.get("result") or Result(self, "not attempted yet", "")

    def forget(self) -> None:
        """Start over: no result, no hint shown."""
        self._state.clear()

    # --- cases and judgement, the same in a lab and in grading ----------------------------------------

    def calls(self, seed: int | str) -> list[Call]:
        """All calls that judge a function: `cases` cases, then each property on each case; the seed decides all.

        Those of the last few seeds are kept, with what the course's own functions gave for them.
        """
        if seed not in self._drawn:
            while len(self._drawn) >= KEPT_SEEDS:
                self._drawn.pop(next(iter(self._drawn)))
            self._drawn[seed] = self._calls_of(seed)
        return list(self._drawn[seed])

    def _calls_of(self, seed: int | str) -> list[Call]:
        calls = []
        for index in range(self.cases):
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}:{self.function}:{index}".encode()))
            case = self.draw(generator, index)
            calls.append(Call(case, group=index))
            for p in self.properties:
                calls += [Call(arguments, p, index) for arguments in p.calls(*case)]
        return sorted(calls, key=lambda call: call.of is not None)

    def judge(self, calls: Sequence[Call], outcomes: Sequence[Outcome]) -> Result:
        """Compare what came out with the reference, from the outcomes alone."""
        if any(outcome.blank for outcome in outcomes):
            return Result(self, "not attempted yet", "the line `raise NotImplementedError()` is still there")
        cases = [i for i, call in enumerate(calls) if call.of is None]
        wanted = {i: calls[i].outcome(self.reference) for i in cases}
        value_right = self._right([calls[i] for i in cases], [outcomes[i] for i in cases])
        failures = {p.name: self._counterexample(p, calls, outcomes) for p in self.properties}
        kept = tuple(name for name, failure in failures.items() if failure is None)
        changed = next((o.changed[0] for o in outcomes if o.changed), None)
        if value_right and len(kept) == len(self.properties) and changed is None:
            return Result(self, "passed", "", value_right=True, kept=kept)
        if changed is not None:  # later cells, and the exercise's own next call, would meet other numbers
            name = list(self.takes)[changed]
            text = f"your function changes its argument `{name}`: work on a copy (`{name}.clone()`), or later cells "
            return Result(self, "failed", f"{text}meet a changed {name}", kept=kept)
        if _evades([calls[i] for i in cases], [outcomes[i] for i in cases]):
            kept = ()
        mistake = self._known_mistake([calls[i] for i in cases], [outcomes[i] for i in cases])
        if mistake is not None:
            return Result(self, "failed", mistake.message, value_right, kept, mistake.name)
        message = self._structure_of_all([outcomes[i] for i in cases], wanted)
        failing = next((p for p in self.properties if failures[p.name] is not None), None)
        if not message and failing is not None:
            message = f"{failing.statement} Here {failures[failing.name]}"
        if not message:
            message = self._difference(cases, outcomes, wanted)
        return Result(self, "failed", message, value_right, kept)

    # --- how ------------------------------------------------------------------------------------------

    def _judge_live(self, function: Callable[..., object]) -> Result:
        if not callable(function):
            text = f"expected the function {self.signature}, got {expect.describe(function)}"
            return Result(self, "failed", text)
        calls = self.calls(VISIBLE_SEED)
        limits = {"closed": self.closed, "most_multiplications": self.most_multiplications}
        try:
            with self._answers_closed(function):
                outcomes = [run(function, c.arguments, quiet=i > 0, **limits) for i, c in enumerate(calls)]
        except Delegation as error:
            return Result(self, "failed", str(error))
        reached = next((o.error for o in outcomes if o.error_type == AnswerIsAbsent.__name__), None)
        if reached:
            return Result(self, "failed", DELEGATES.format(reached.removeprefix(f"{AnswerIsAbsent.__name__}: ")))
        result = self.judge(calls, outcomes)
        if result.status == "failed" and not result.mistake:
            names = self._notebook_variables(function)
            if names:
                result = result.after(f"Your function reads {names} from the notebook: use its own arguments")
        return result

    def _cuts_autograd(self, function: Callable[..., object]) -> str:
        """Where a right answer's gradients are not the reference's, in words; empty where they are, or not needed."""
        if not self.differentiable:
            return ""
        arguments = self.calls(VISIBLE_SEED)[0].arguments
        found, right = (self._gradients(f, arguments) for f in (function, self.reference))
        cut = [name for name in self.differentiable if name not in found or not _near(found[name], right[name])]
        if not cut:
            return ""
        names = ", ".join(f"`{name}`" for name in cut)
        partly = all(name in found and bool(found[name].any()) for name in cut)
        tail = " as it should, so the gradient is another: a part is cut off or changed on the way" if partly else ""
        return f"autograd does not come through your function to {names}{tail}"

    def _gradients(self, function: Callable[..., object], arguments: Arguments) -> dict[str, torch.Tensor]:
        """Of the sum of squares of what `function` returns, for the arguments that autograd reaches."""
        given = dict(zip(self.takes, arguments, strict=True))
        leaves = {name: torch.as_tensor(given[name]).clone().requires_grad_() for name in self.differentiable}
        try:
            with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
                squares = function(*(given | leaves).values()).abs().square().sum()
            found = torch.autograd.grad(squares, list(leaves.values()), allow_unused=True)
        except Exception:  # whatever a function does to a tensor that asks for gradients
            return {}
        return {name: value for name, value in zip(leaves, found, strict=True) if value is not None}

    def _right(self, calls: Sequence[Call], outcomes: Sequence[Outcome]) -> bool:
        for answer in (self.reference, *self.also_right):
            wanted = (call.outcome(answer) for call in calls)
            if all(self._fits(o, w) for o, w in zip(outcomes, wanted, strict=True)):
                return True
        return False

    def _fits(self, outcome: Outcome, right: Outcome) -> bool:
        return (
            outcome.arrays is not None
            and _kind_fits(outcome, right)
            and close(outcome.arrays, right.arrays, self.tolerance)
        )

    def _counterexample(self, p: Property, calls: Sequence[Call], outcomes: Sequence[Outcome]) -> str | None:
        for group in range(self.cases):
            mine = [i for i, call in enumerate(calls) if call.of is p and call.group == group]
            for i in mine:
                if outcomes[i].arrays is None:
                    return outcomes[i].error or f"the function returned {outcomes[i].kind}"
            values = [outcomes[i].arrays for i in mine]
            if any(np.iscomplexobj(a) for v in values for a in v) and not self._is_complex(calls):
                return "the returned numbers are complex"
            if not all(np.isfinite(a).all() for v in values for a in v):
                return "some of the returned numbers are NaN or infinite"
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                    told = p.holds([calls[i].arguments for i in mine], [v[0] if len(v) == 1 else v for v in values])
            except (ValueError, IndexError, TypeError, AttributeError):  # shapes that do not combine, several results
                told = f"the returned shapes are {', '.join(str(v[0].shape) for v in values)}"
            if told is not None:
                return told
        return None

    def _is_complex(self, calls: Sequence[Call]) -> bool:
        return any(np.iscomplexobj(a) for a in calls[0].outcome(self.reference).arrays)

    def _known_mistake(self, calls: Sequence[Call], outcomes: Sequence[Outcome]) -> Mistake | None:
        """The first known mistake that gives the same on every case."""
        for mistake in self.mistakes:
            for function in (mistake.function, *mistake.also):
                theirs = (call.outcome(function) for call in calls)
                if all(self._alike(o, t) for o, t in zip(outcomes, theirs, strict=True)):
                    return mistake
        return None

    def _structure_of_all(self, outcomes: Sequence[Outcome], wanted: dict[int, Outcome]) -> str:
        some_complex = any(np.iscomplexobj(a) for right in wanted.values() for a in right.arrays)
        pairs = zip(outcomes, wanted.values(), strict=True)
        messages = (self._structure(o, right, some_complex) for o, right in pairs)
        return next((message for message in messages if message), "")

    def _alike(self, outcome: Outcome, mistaken: Outcome) -> bool:
        if mistaken.error is not None:
            return outcome.error_type == mistaken.error_type and _gist(outcome) == _gist(mistaken)
        return (
            outcome.arrays is not None
            and mistaken.arrays is not None
            and close(outcome.arrays, mistaken.arrays, self.tolerance)
        )

    def _structure(self, outcome: Outcome, right: Outcome, some_complex: bool) -> str:
        """What is wrong before any value is compared: an error, the type, the shape, NaN.

        some_complex: the right result is complex in one of the cases.
        """
        if outcome.error is not None:
            return f"your function stops with {outcome.error}"
        if outcome.arrays is None:
            tail = ": is its `return` missing?" if outcome.kind == "None" else ""
            return f"expected {self.returns}, got {outcome.kind}{tail}"
        if not _kind_fits(outcome, right):
            tail = ""
            if "numpy" in outcome.kind:
                tail = ": stay with torch, or end with `torch.from_numpy(...)`"
            elif len(right.arrays) == 1 and len(outcome.arrays) > 1:
                tail = ": `torch.stack` makes one tensor of several, `torch.tensor` of numbers"
            elif _wrapped(outcome, right):
                tail = ": return what is in it, without brackets or a comma"
            elif WITH_GRAPH in outcome.kind:
                made = "parameters of its own, as in `nn.Conv2d`, are never trained: use the arguments as they are"
                detach = "end with `.detach()`, for later cells cannot plot it, nor go on from it"
                tail = f": {made if self.differentiable else detach}"
            return f"expected {self.returns}, got {outcome.kind}{tail}"
        for position, (a, b) in enumerate(zip(outcome.arrays, right.arrays, strict=True), 1):
            if a.shape != b.shape:
                which = f"number {position} of the tuple" if len(right.arrays) > 1 else "it"
                return f"expected {self.returns}; in this case {which} has shape {b.shape}, and yours {a.shape}"
            if np.iscomplexobj(a) and not np.iscomplexobj(b):
                rounding = "take `.real` where the rest is rounding error"
                tail = "of real arguments the result is real" if some_complex else rounding
                return f"expected {self.returns}, got complex numbers: {tail}"
            if not np.isfinite(a).all():
                return f"expected finite numbers, got {int((~np.isfinite(a)).sum())} NaN or infinite of {a.size}"
        return ""

    def _difference(self, cases: Sequence[int], outcomes: Sequence[Outcome], wanted: dict[int, Outcome]) -> str:
        """Where the values first differ most, with both numbers."""
        for i in cases:
            for a, b in zip(outcomes[i].arrays, wanted[i].arrays, strict=True):
                worst = np.unravel_index(np.argmax(np.abs(a - b)), b.shape)
                if not close((a,), (b,), self.tolerance):
                    where = f", most at {list(map(int, worst))}" if worst else ""
                    return f"the values differ{where}: expected {b[worst]:.5g}, got {a[worst]:.5g}"
        return "the values differ from the reference"

    def _notebook_variables(self, function: Callable[..., object]) -> str:
        code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
        names = [n for n in getattr(code, "co_names", ()) if isinstance(scope.get(n), (torch.Tensor, float, int))]
        return ", ".join(f"`{n}`" for n in names)

    @contextmanager
    def _answers_closed(self, function: Callable[..., object]) -> Iterator[None]:
        """While the student's function runs, the library's own answers refuse to be called."""
        scope, code = getattr(function, "__globals__", {}), getattr(function, "__code__", None)
        names = getattr(code, "co_names", ())
        if {"reference", "or_reference"} & set(names):
            raise Delegation("your function calls the course's reference: write out what it does")
        originals = {name: _library_function(name) for name in self.answers}
        for full_name, original in originals.items():
            if any(scope.get(used) is original for used in names):
                raise Delegation(DELEGATES.format(full_name))
        rooms = [module for key, module in list(sys.modules.items()) if key.startswith("course_lib.")]
        closed = [
            (room, full_name, original)
            for full_name, original in originals.items()
            for room in rooms
            if vars(room).get(full_name.rsplit(".", 1)[1]) is original
        ]
        called: list[str] = []
        for room, full_name, _ in closed:
            setattr(room, full_name.rsplit(".", 1)[1], _Refusal(full_name, called))
        try:
            yield
            if called:
                raise Delegation(DELEGATES.format(called[0]))
        finally:
            for room, full_name, original in closed:
                setattr(room, full_name.rsplit(".", 1)[1], original)


class Delegation(BaseException):
    """The student's function calls the answer. No `Exception`: a student's `except` must not swallow it."""


def _near(a: torch.Tensor, b: torch.Tensor) -> bool:
    return float((a - b).norm()) <= 1e-3 * float(b.norm())


def _library_function(full_name: str) -> Callable[..., object]:
    place, name = full_name.rsplit(".", 1)
    return getattr(import_module(place), name)


class _Refusal:
    """Stands where the answer stood: to call it, or to take anything from it, is to delegate."""

    def __init__(self, full_name: str, called: list[str]) -> None:
        vars(self).update(_full_name=full_name, _called=called)

    def __call__(self, *_: object, **__: object) -> None:
        self._called.append(self._full_name)  # also for whoever catches the exception
        raise Delegation(DELEGATES.format(self._full_name))

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
        self()


def _evades(calls: Sequence[Call], outcomes: Sequence[Outcome]) -> bool:
    """Whether the outputs say nothing: constants, unit matrices, or an argument handed back.

    Such answers may have properties (a constant lies between 0 and 1), and earn nothing by them.
    """
    if any(outcome.arrays is None for outcome in outcomes):
        return False
    numbers = [tuple(float(np.abs(a).sum()) for a in o.arrays) for o in outcomes]
    if all(a.size == 1 for o in outcomes for a in o.arrays):
        return len(set(numbers)) == 1  # the same number whatever is asked
    return all(_says_nothing(a, call) for call, o in zip(calls, outcomes, strict=True) for a in o.arrays)


def _says_nothing(array: np.ndarray, call: Call) -> bool:
    if array.size == 0 or not np.isfinite(array).all() or np.ptp(np.abs(array)) == 0:
        return True
    if array.ndim == 2 and array.shape[0] == array.shape[1] and np.array_equal(array, np.eye(len(array))):
        return True
    given = [a.numpy() for a in call.arguments if isinstance(a, torch.Tensor)]
    return any(a.shape == array.shape and np.allclose(a, array) for a in given)


def _kind_fits(outcome: Outcome, right: Outcome) -> bool:
    """A number may stand for a 0-dimensional tensor, also in a tuple; apart from that, tensors are asked for.

    A number where a tensor with dimensions is wanted differs from it in shape, which is compared elsewhere.
    """
    if len(outcome.arrays) != len(right.arrays) or "numpy" in outcome.kind or WITH_GRAPH in outcome.kind:
        return False
    if _wrapped(outcome, right):
        return False
    return "number" not in outcome.kind or any(b.ndim == 0 for b in right.arrays)


def _wrapped(outcome: Outcome, right: Outcome) -> bool:
    """Whether one result was asked for, and it lies in a list or tuple."""
    return len(right.arrays) == 1 and outcome.kind.startswith(("a list of", "a tuple of"))


def _gist(outcome: Outcome) -> str:
    """An error without the student's own line, which no two students share."""
    return (outcome.error or "").split(" (at the line")[0]
