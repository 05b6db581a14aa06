"""Speed, measured side by side in one run: python make.py bench.

Each pair is timed in turns (ours, theirs, ours, …), and the ratio of the medians is printed: a noisy machine
slows both. Nothing here can fail; the budgets are printed beside what was measured.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import convolve
from scipy.signal import fftconvolve

from course_lib import classical, data, physics
from course_lib.exercises import wiener_filtering as lab

SIGMA = 25 / 255


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def pair(name: str, ours: Callable[[], object], theirs: Callable[[], object], peer: str, runs: int = 11) -> None:
    ours(), theirs()  # warm up
    times = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    a, b = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name:<44}{1000 * a:>9.2f} ms   {peer:<30}{1000 * b:>9.2f} ms   ratio {a / b:.2f}")


def alone(name: str, function: Callable[[], object], budget: str, runs: int = 21) -> None:
    function()
    median = statistics.median(seconds(function) for _ in range(runs))
    print(f"{name:<44}{1000 * median:>9.2f} ms   {budget}")


def wiener() -> None:
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
    pair(
        "Wiener filter, 256 × 256", lambda: A(noisy), lambda: fftconvolve(padded, weights, "valid"), "scipy fftconvolve"
    )
    pair(
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
    pair(
        "linear MMSE matrix, 256 pixels",
        lambda: classical.linear_mmse(mean, covariance, SIGMA),
        lambda: covariance.numpy() @ np.linalg.inv(covariance.numpy() + identity),
        "numpy inverse",
    )


def slider() -> None:
    """The lecture's slider, in the kernel: two panels updated in place."""
    import nbformat

    from course_lib.coursework.modules import ROOT

    notebook = nbformat.read(ROOT / "lectures" / "01_wiener_filtering.ipynb", as_version=4)
    code = [c.source for c in notebook.cells if c.cell_type == "code"]
    last = next(i for i, source in enumerate(code) if "player = play(" in source)
    scope: dict = {}
    quiet = {"show_figure": lambda *a, **k: None, "show_images": lambda *a, **k: None, "claim": lambda *a, **k: None}
    with contextlib.redirect_stdout(io.StringIO()):
        for source in code[: last + 1]:
            exec(source, scope)
            scope |= quiet if "show_figure" in scope else {}
    player = scope["player"]
    levels = iter(list(range(1, 100)) * 2)

    def move() -> None:
        player.controls["level"].value = next(levels)

    alone("slider to picture in the kernel, lecture 01", move, "budget 100 ms")


def checks() -> None:
    for e in lab.LAB.exercises:
        alone(
            f"check of exercise {e.number}, passed", lambda e=e: e._judge_live(lambda *a, f=e.reference: f(*a)), "", 5
        )


if __name__ == "__main__":
    print(f"torch threads: {torch.get_num_threads()}")
    wiener()
    slider()
    checks()
