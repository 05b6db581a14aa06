"""Read a published test set of line spectra: the lines in `f.npy`, the signals at each noise level in `5.0dB.npy`, …

The form is that of DeepFreq's (Izacard, Mohan and Fernandez-Granda 2019). Nothing in these files is executed, and what
their headers say is believed only where a file is as long as that.
"""

from __future__ import annotations

import io
import math
import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Complex, Float

from course_lib import expect
from course_lib.data.line_spectra import wrap
from course_lib.data.mri_files import readable

SUFFIX = ".npy"
TRUTH = "f.npy"
ABSENT = -10.0  # what stands in f.npy where a signal has fewer lines
LONGEST_HEADER = 2**16  # bytes; it may promise that it is longer than the file
ROUNDING = 1e-6  # beyond ±1/2, as 32-bit arithmetic on a circle leaves it
SIGNALS_NAME = re.compile(r"([+-]?\d+\.?\d*|inf)dB\.npy", re.IGNORECASE)


@dataclass(frozen=True)
class LineTestSet:
    """Signals at several noise levels, and the lines that they all have.

    Attributes:
        frequencies: in [−1/2, 1/2) cycles per sample, ascending; NaN where a signal has fewer lines. Single precision,
            or double where the file has it.
        signals: by setting, such as "5dB" or "infdB", the lowest signal-to-noise ratio first; complex64.
    """

    frequencies: Float[torch.Tensor, "count lines"]
    signals: dict[str, Complex[torch.Tensor, "count samples"]]

    @property
    def samples(self) -> int:
        """N, the length of all signals."""
        return next(iter(self.signals.values())).shape[1]


def line_test_set(folder: str | Path, most: int | None = None) -> tuple[LineTestSet, list[str]]:
    """The test set in `folder`, and a line on each file that is left out.

    `f.npy` holds (signals, lines) real floating-point numbers: frequencies, and −10 where a signal has fewer lines.
    `0.0dB.npy`, `12.5dB.npy`, `infdB.npy`, … hold (signals, 2, N): real and imaginary parts. Lines may be as close as
    they like. Other files than .npy are of no concern.

    Args:
        folder: of .npy files.
        most: how many signals to read at most, the first ones; None for all.

    Returns:
        the usable files' signals, and the problems, in one line each. A file of signals is left out where it is
        damaged or truncated; has another shape or dtype, more or fewer signals than `f.npy`, or another N than most
        files; holds NaN, infinity, or a signal that is 0 throughout; or where its name tells no ratio, or the same one
        as another's.

    Raises:
        InputError: no such folder; no usable `f.npy`, which has at least one line for each signal; no usable signals.
    """
    if most is not None:
        expect.count("the number of signals", most)
    folder = Path(folder)
    files = _files(folder)
    frequencies = _read_frequencies(folder / TRUTH)
    count = len(frequencies)
    found: dict[float, list[tuple[Path, torch.Tensor]]] = defaultdict(list)
    problems = []
    for path in files:
        try:
            ratio, signals = _ratio(path), _read_signals(path, count, most)
        except expect.InputError as error:
            problems.append(str(error))
        else:
            found[ratio].append((path, signals))
    usable = []
    for ratio, same in sorted(found.items()):
        if len(same) == 1:
            usable.append((ratio, *same[0]))
        else:
            names = " and ".join(str(path) for path, _ in same)
            problems.append(f"expected one file of signals at {_setting(ratio)}, got {names}: none of them is used")
    if not usable:
        first = f"{len(files)} of which none can be used: {problems[0]}" if files else "none"
        raise expect.InputError(f"expected signals such as 5.0dB.npy in {folder}, got {first}")
    lengths = Counter(signals.shape[1] for _, _, signals in usable)
    samples = lengths.most_common(1)[0][0]  # of as frequent ones the first
    like = next(path for _, path, signals in usable if signals.shape[1] == samples)
    kept = {}
    for ratio, path, signals in usable:
        if signals.shape[1] == samples:
            kept[_setting(ratio)] = signals
        else:
            told = f"got {path} with {signals.shape[1]}"
            problems.append(f"expected signals of {samples} samples, as in {like.name}, {told}")
    return LineTestSet(frequencies[:most], kept), problems


def _files(folder: Path) -> list[Path]:
    """The .npy files that should hold signals, in alphabetical order; hidden ones are left out."""
    try:
        files = sorted(path for path in folder.iterdir() if path.name.lower().endswith(SUFFIX))
    except OSError as error:
        raise expect.InputError(
            f"expected a folder with {TRUTH} and signals such as 5.0dB.npy, got {folder}: {error.strerror}"
        ) from None
    return [path for path in files if not path.name.startswith(".") and path.name != TRUTH]


def _ratio(path: Path) -> float:
    """The signal-to-noise ratio in dB that a file's name tells."""
    found = SIGNALS_NAME.fullmatch(path.name)
    if found is None:
        raise expect.InputError(f"expected a file named by its signal-to-noise ratio, such as 5.0dB.npy, got {path}")
    return float(found[1]) + 0.0  # -0 is 0


def _setting(ratio: float) -> str:
    return f"{ratio:.15g}dB"


def _read_frequencies(path: Path) -> torch.Tensor:
    wanted = "expected frequencies, floating-point (signals, lines)"
    values = _read_array(path, wanted, lambda shape: len(shape) == 2 and min(shape) >= 1)
    absent = values == ABSENT
    wrong = values[~absent & ~(np.abs(values) <= 0.5 + ROUNDING)]  # NaN is wrong
    if wrong.size:
        raise expect.InputError(
            f"expected frequencies from -1/2 to 1/2 cycles per sample, or {ABSENT:g} for no line, got {path} with "
            f"{wrong[0]:g}"
        )
    without = np.flatnonzero(absent.all(axis=1))
    if without.size:
        raise expect.InputError(f"expected at least one line in each signal, got {path} with none in row {without[0]}")
    values = values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    frequencies = wrap(torch.from_numpy(np.where(absent, np.array(np.nan, values.dtype), values)))
    return frequencies.sort(dim=1).values  # NaN comes last


def _read_signals(path: Path, count: int, most: int | None) -> torch.Tensor:
    values = _read_array(
        path,
        f"expected real and imaginary parts of {count} signals, floating-point ({count}, 2, N)",
        lambda shape: len(shape) == 3 and shape[:2] == (count, 2) and shape[2] >= 2,
        most,
    )
    with np.errstate(over="ignore"):  # what single precision cannot hold is told as infinity
        parts = torch.from_numpy(np.ascontiguousarray(values.astype(np.float32).swapaxes(1, 2)))
    signals = torch.view_as_complex(parts)
    strange = int((~signals.isfinite()).any(dim=1).sum())
    if strange:
        raise expect.InputError(f"expected signals without NaN or infinity, got {path} with some in {strange} of them")
    zero = int((signals == 0).all(dim=1).sum())
    if zero:
        raise expect.InputError(f"expected signals that are not 0 throughout, got {path} with {zero} that are")
    return signals


def _read_array(
    path: Path, wanted: str, fits: Callable[[tuple[int, ...]], bool], most: int | None = None
) -> np.ndarray:
    """The first rows of an array of real floating-point numbers.

    numpy.load takes the memory that a header asks for before it reads; here the file must be as long as that.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise expect.InputError(f"{wanted}, got {path}, which is no file")
    with readable(path, "NumPy array"), open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on files of Python 2
        start = io.BytesIO(file.read(LONGEST_HEADER))
        shape, by_columns, dtype = _header(start, path)
        if dtype.kind != "f" or not fits(shape):
            raise expect.InputError(f"{wanted}, got {path} with {dtype} of shape {shape}")
        content = os.fstat(file.fileno()).st_size - start.tell()
        if content != math.prod(shape) * dtype.itemsize:
            told = f"got {path}, which is truncated or damaged: {content} bytes for {dtype} of shape {shape}"
            raise expect.InputError(f"expected a NumPy array as its header tells, {told}")
        rows = shape[0] if most is None else min(most, shape[0])
        if not by_columns:  # the rows lie one behind the other
            shape = (rows, *shape[1:])
        file.seek(start.tell())
        numbers = np.frombuffer(file.read(math.prod(shape) * dtype.itemsize), dtype)
        return numbers.reshape(shape, order="F" if by_columns else "C")[:rows]


def _header(start: io.BytesIO, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(start)
        return readers[version](start)
    except Exception:  # it raises whatever it meets
        raise expect.InputError(
            f"expected a NumPy array (.npy), got {path}, which is truncated, damaged or of another kind"
        ) from None
