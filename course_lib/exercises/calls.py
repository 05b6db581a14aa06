"""Run a student's function once and put down what came out, as plain arrays.

An `Outcome` holds no code and no student's object, so that it can leave a sandbox: everything that judges
(see `exercise.py`) looks at outcomes alone.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib import expect

Arguments = tuple[object, ...]
NAMES = {"a tensor": "tensors", "a number": "numbers", "a numpy array": "numpy arrays"}
WITH_GRAPH = " with autograd's graph"
DELEGATES = "your function calls {}, which is the answer itself: write out what it does"
UNWRITTEN = "`{}` is not written yet: solve its exercise first, or run the cell with its `or_reference`"


class AnswerIsAbsent(Exception):  # noqa: N818  graders read this name
    """The function called what would be the answer: a library's own function, or an operator of torch."""


class TooMuchWork(Exception):  # noqa: N818  students read this name
    """The function computes far more than it has to, as one does that goes over places in place of all at once."""

    def __init__(self, most: int) -> None:
        super().__init__(f"it takes more than {most:,} multiplications in one call")


@dataclass(frozen=True)
class Outcome:
    """What one call gave.

    Attributes:
        arrays: the returned value as NumPy arrays: one, or several if a tuple was returned; None if there is none.
        kind: the returned value in words: "a tensor", "a number", "a numpy array", "a list of tensors", …; with
            "autograd's graph" if it carries one that no argument brought.
        error: the exception in one line, with the student's own line of code; None if the call returned.
        error_type: its class name.
        blank: the function is still the unsolved stub.
        changed: the positions of arguments that the call overwrote.
    """

    arrays: tuple[np.ndarray, ...] | None = None
    kind: str = ""
    error: str | None = None
    error_type: str = ""
    blank: bool = False
    changed: tuple[int, ...] = ()


def run(
    function: Callable[..., object], arguments: Arguments, *, quiet: bool = False, closed: tuple[str, ...] = (),
    most_multiplications: int | None = None,
) -> Outcome:  # fmt: skip
    """Call `function` on copies of `arguments`; whatever it does, the answer is an `Outcome`.

    Args:
        function: a student's or the course's.
        arguments: what it is called with.
        quiet: what it prints and warns of is dropped.
        closed: what it may not reach, by whatever name it calls it: a part of the names of torch's operators
            ("conv"), or the full name of another library's function or layer ("monai.losses.DiceLoss").
        most_multiplications: how many it may take; None for any number.
    """
    copies = tuple(_copy(a) for a in arguments)
    silence = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
    try:
        with silence, warnings.catch_warnings(), _same_torch(), _limited(closed, most_multiplications) as reached:
            if quiet:
                warnings.simplefilter("ignore")
            value = function(*copies)
        if reached:  # also for a function that catches the exception
            raise reached[0]
        changed = tuple(i for i, (a, b) in enumerate(zip(arguments, copies, strict=True)) if not _same(a, b))
        arrays, kind = as_arrays(value)
        kind += WITH_GRAPH if _carries_graph(value) and not _carries_graph(arguments) else ""
    except (Exception, SystemExit) as error:
        line, own = _own_line(function, error)
        if isinstance(error, NotImplementedError) and not error.args:  # torch's own ones say something
            if own:
                return Outcome(blank=True)
            error = NotImplementedError(UNWRITTEN.format(traceback.extract_tb(error.__traceback__)[-1].name))
        return Outcome(error=_in_words(error) + line, error_type=type(error).__name__)
    return Outcome(arrays=arrays, kind=kind, changed=changed)


@contextlib.contextmanager
def _same_torch() -> Iterator[None]:
    """Whatever a function sets for all of torch is set back."""
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)


@contextlib.contextmanager
def _limited(closed: tuple[str, ...], most: int | None) -> Iterator[list[Exception]]:
    """While this lasts, what is closed and what is too much work raises; the list says what was met.

    `F.conv2d`, `nn.Conv2d` and `torch.ops.aten.conv2d` are all the operator `aten::convolution`.
    """
    reached: list[Exception] = []
    parts = [c for c in closed if "." not in c]
    with contextlib.ExitStack() as stack:
        if parts or most is not None:
            stack.enter_context(_Watched(parts, most, reached))
        stack.enter_context(_refused([c for c in closed if "." in c], reached))
        yield reached


class _Watched(TorchDispatchMode):
    """Sees every operator of torch that is called."""

    def __init__(self, parts: list[str], most: int | None, reached: list[Exception]) -> None:
        super().__init__()
        self.parts, self.most, self.reached, self.work = parts, most, reached, 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        name = operator._schema.name.split("::")[1]
        if any(part in name for part in self.parts):
            self._stop(AnswerIsAbsent(f"torch's `{name}`"))
        result = operator(*args, **(kwargs or {}))
        if self.most is not None:
            self.work += _multiplications(name, args, result)
            if self.work > self.most:
                self._stop(TooMuchWork(self.most))
        return result

    def _stop(self, error: Exception) -> None:
        self.reached.append(error)
        raise error


def _multiplications(name: str, args: tuple, result: object) -> int:
    """How many products a convolution, a matrix product or `*` takes; other operators count as none."""
    if name == "convolution":
        return result.numel() * args[1][0].numel()
    if name in ("mm", "bmm", "addmm", "baddbmm"):
        return result.numel() * args[-1].shape[-2]
    if name in ("mv", "addmv", "dot"):
        return result.numel() * args[-1].shape[-1]
    return result.numel() if name == "mul" else 0


@contextlib.contextmanager
def _refused(names: list[str], reached: list[Exception]) -> Iterator[None]:
    """While this lasts, other libraries' layers do not go forward, and their functions refuse to be called."""
    changed: list[tuple[object, str, object]] = []
    for name in names:
        place, attribute = name.rsplit(".", 1)
        try:
            found = getattr(import_module(place), attribute)
        except Exception:  # what cannot be loaded is nobody's answer; a sandbox may forbid what a library looks for
            continue

        def refuse(*_: object, _name: str = name, **__: object) -> None:
            reached.append(AnswerIsAbsent(f"`{_name}`"))
            raise reached[-1]

        if isinstance(found, type):  # so also what was made of it before
            where = [(found, "forward")]
        else:
            packages = (name.split(".")[0], "__main__")
            rooms = [m for key, m in list(sys.modules.items()) if key.split(".")[0] in packages]
            rooms = [m for m in rooms if isinstance(m, types.ModuleType)]
            where = [(room, key) for room in rooms for key, value in list(vars(room).items()) if value is found]
        changed += [(room, key, getattr(room, key)) for room, key in where]
        for room, key in where:
            setattr(room, key, refuse)
    try:
        yield
    finally:
        for room, key, original in changed:
            setattr(room, key, original)


def _in_words(error: BaseException) -> str:
    try:
        said = " ".join(str(error).split())[:200]
    except Exception:  # an exception of the student's own may not even print
        said = ""
    return f"{type(error).__name__}{': ' + said if said else ''}"


def as_arrays(value: object) -> tuple[tuple[np.ndarray, ...] | None, str]:
    """A returned value as (arrays, kind); arrays are None for what holds no numbers."""
    if isinstance(value, (tuple, list)) and value:
        parts = [as_arrays(part) for part in value]
        if all(arrays is not None and len(arrays) == 1 for arrays, _ in parts):
            kinds = " and ".join(sorted({NAMES.get(kind, kind) for _, kind in parts}))
            return tuple(arrays[0] for arrays, _ in parts), f"a {type(value).__name__} of {kinds}"
        return None, expect.describe(value)
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu().to_dense().resolve_conj().resolve_neg()
        plain = plain.float() if plain.dtype in (torch.bfloat16, torch.bool) else plain
        return (plain.numpy().copy(),), "a tensor"
    if isinstance(value, (bool, int, float, complex, np.number, np.bool_)):
        return (np.asarray(float(value) if isinstance(value, (bool, np.bool_)) else value),), "a number"
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return (value.astype(np.float32) if value.dtype.kind == "b" else value.copy(),), "a numpy array"
    return None, expect.describe(value)


def close(found: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...], tolerance: float) -> bool:
    """Whether all arrays agree: shape, real or complex, and value within `tolerance`, relative.

    Values far smaller than an array's largest may differ by 1 % of `tolerance` of that largest: single
    precision cannot do better in a Fourier transform.
    """
    if len(found) != len(wanted):
        return False
    for a, b in zip(found, wanted, strict=True):
        if a.shape != b.shape or np.iscomplexobj(a) != np.iscomplexobj(b):
            return False
        scale = float(np.abs(b).max()) if b.size else 0.0
        if not np.allclose(a, b, rtol=tolerance, atol=0.01 * tolerance * scale):
            return False
    return True


def _copy(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.clone()
    return type(value)([_copy(part) for part in value]) if isinstance(value, (list, tuple)) else value


def _same(before: object, after: object) -> bool:
    if isinstance(before, (list, tuple)):
        return type(before) is type(after) and len(before) == len(after) and all(map(_same, before, after))
    if not isinstance(before, torch.Tensor):
        return before is after or before == after
    if not isinstance(after, torch.Tensor):
        return False
    kept = before.shape == after.shape and before.requires_grad == after.requires_grad
    if not kept:
        return False
    after = after.detach()
    if torch.equal(before, after):
        return True
    return bool(((before == after) | (before.isnan() & after.isnan())).all())  # NaN stands for what is absent


def _carries_graph(value: object) -> bool:
    if isinstance(value, (tuple, list)):
        return any(isinstance(part, torch.Tensor) and part.requires_grad for part in value)
    return isinstance(value, torch.Tensor) and value.requires_grad


def _own_line(function: Callable[..., object], error: BaseException) -> tuple[str, bool]:
    """Where the student's function stopped: its own last line, and whether the error was raised right there."""
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    raw = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [i for i, frame in enumerate(raw) if frame.f_code is code]
    if not own:
        return "", False
    frame = frames[own[-1]]
    source = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
    return (f" (at the line `{source}`)" if source else ""), own[-1] == len(raw) - 1
