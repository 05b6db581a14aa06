"""Speed, measured side by side in one run: python make.py bench.

Each pair is timed in turns (ours, theirs, ours, …), and the ratio of the medians is printed: a noisy machine
slows both. Nothing here can fail; the budgets are printed beside what was measured. The pairs are written to
docs/benchmarks.md with the versions.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from cascade import cascade
from compressed_sensing import compressed_sensing
from denoisers import denoisers
from line_spectra import line_spectra
from radon import radon
from scipy.ndimage import convolve
from scipy.signal import fftconvolve
from segmentation import segmentation

from course_lib import classical, data, physics
from course_lib.exercises import wiener_filtering as lab

TABLE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PEERS = ("torch", "numpy", "scipy", "scikit-image", "sigpy", "pywavelets", "bm3d", "monai")

SIGMA = 25 / 255


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Row(NamedTuple):
    """One line of the table: what ours took, and what the peer took for the same."""

    name: str
    ours: float
    peer: str
    theirs: float
    unit: str = "ms"

    def __str__(self) -> str:
        ours, theirs = (f"{value:.4g} {self.unit}" for value in (self.ours, self.theirs))
        name = self.name.replace("|", "\\|")  # a bar would end the table's cell
        ratio = self.ours / self.theirs
        return f"| {name} | {ours} | {self.peer} | {theirs} | {ratio:.{2 if ratio >= 0.1 else 3}f} |"


def pair(name: str, ours: Callable[[], object], theirs: Callable[[], object], peer: str, runs: int = 11) -> Row:
    """Both in turns, and the medians of their times."""
    ours(), theirs()  # warm up
    times = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    a, b = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    return shown(Row(name, a, peer, b))


def shown(row: Row) -> Row:
    print(row, flush=True)
    return row


def write(rows: list[Row]) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in PEERS)
    TABLE.write_text(
        "# Benchmarks\n\n"
        "Written by `make bench`: each pair in turns on one machine, medians; below 1 is faster than the peer.\n\n"
        "| what | ours | peer | theirs | ratio |\n|---|---|---|---|---|\n"
        + "\n".join(map(str, rows))
        + f"\n\nThreads: {torch.get_num_threads()}. Versions: {versions}.\n",
        encoding="utf-8",
    )


def alone(name: str, function: Callable[[], object], budget: str, runs: int = 21) -> None:
    function()
    median = statistics.median(seconds(function) for _ in range(runs))
    print(f"{name:<44}{1000 * median:>9.2f} ms   {budget}")


def wiener() -> list[Row]:
    training = data.photographs()
    spectrum = classical.power_spectrum(data.with_symmetries(training))
    gain = classical.wiener_gain(spectrum, SIGMA)
    generator = torch.Generator().manual_seed(0)
    noisy = physics.add_gaussian_noise(data.photographs(["cat"]), SIGMA, generator)
    kernel = classical.gain_kernel(gain)[96:161, 96:161].contiguous()
    A = physics.CircularConvolution(gain)
    image = noisy[0, 0].numpy()
    padded = np.pad(image, 127, mode="wrap")
    weights = classical.gain_kernel(gain).numpy()
    filtered = pair(
        "Wiener filter, 256 × 256", lambda: A(noisy), lambda: fftconvolve(padded, weights, "valid"), "scipy fftconvolve"
    )
    mirrored = pair(
        "65 × 65 kernel, mirrored borders",
        lambda: classical.filter_symmetric(noisy, kernel),
        lambda: convolve(image, kernel.numpy(), mode="reflect"),
        "scipy.ndimage.convolve",
        runs=3,
    )
    patches = torch.rand(256, 256, dtype=torch.float64)
    covariance = patches @ patches.T / 256
    mean = torch.zeros(256, dtype=torch.float64)
    identity = SIGMA**2 * np.eye(256)
    matrix = pair(
        "linear MMSE matrix, 256 pixels",
        lambda: classical.linear_mmse(mean, covariance, SIGMA),
        lambda: covariance.numpy() @ np.linalg.inv(covariance.numpy() + identity),
        "numpy inverse",
    )
    return [filtered, mirrored, matrix]


def checks() -> None:
    for e in lab.LAB.exercises:
        alone(
            f"check of exercise {e.number}, passed", lambda e=e: e._judge_live(lambda *a, f=e.reference: f(*a)), "", 5
        )


if __name__ == "__main__":
    print(f"torch threads: {torch.get_num_threads()}")
    sensing = compressed_sensing(pair, lambda *row: shown(Row(*row)))
    rows = [*wiener(), *radon(pair), *sensing, *cascade(pair), *denoisers(pair), *segmentation(pair)]
    write([*rows, *line_spectra(pair)])
    checks()
