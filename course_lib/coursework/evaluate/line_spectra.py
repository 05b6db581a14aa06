"""`course evaluate line_spectra`: estimators on a published test set, each with its own count and with the true one."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import expect
from course_lib.coursework.evaluate.framework import Evaluation, Row
from course_lib.display.progress import progress_bar, say

if TYPE_CHECKING:
    import torch

    from course_lib.networks import DeepFreq

    # signals and the true counts, or None where the method has to find them → frequencies
    Estimator = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]

ORACLE = "_oracle"  # behind a method's name: it is told how many lines there are
OWN_COUNT = ("periodogram", "music", "esprit", "matrix_pencil", "sparse", "deepfreq")
METHODS = tuple(name + told for name in OWN_COUNT for told in ("", ORACLE))
AT_ONCE = 1000  # signals


def measured_rows(folder: Path, seed: int, method: list[str], signals: int | None, weights: str | None) -> list[Row]:
    """False negatives, Chamfer distance, F1, right counts and seconds of each method at each signal-to-noise ratio.

    Without a name of a method all are run. The seed is not used: nothing here is random.
    """
    from course_lib.data import line_counts, line_test_set

    for name in method:
        if name not in METHODS:
            raise expect.InputError(f"expected --method among {', '.join(METHODS)}, got {name!r}")
    if signals is not None:
        expect.count("--signals", signals)
    chosen = tuple(dict.fromkeys(method)) or METHODS
    learned = any(name.startswith("deepfreq") for name in chosen)
    if weights is not None and not learned:
        raise expect.InputError(f"expected --weights with deepfreq among the methods, got {', '.join(chosen)}")
    network = _network(weights) if learned else None
    found, problems = line_test_set(folder, signals)
    for problem in problems:
        say(problem)
    estimators = {name: _estimators(network)[name.removesuffix(ORACLE)] for name in chosen}
    counts = line_counts(found.frequencies)
    rows = []
    left_out: dict[tuple[str, str], list[str]] = defaultdict(list)
    with progress_bar(len(found.signals) * len(estimators), "line spectra", "run") as bar:
        for setting, noisy in found.signals.items():
            for name, estimate in estimators.items():
                try:
                    frequencies, seconds, warned = _timed(estimate, noisy, counts if name.endswith(ORACLE) else None)
                except expect.InputError as error:
                    left_out[name, str(error)].append(setting)
                else:
                    for warning in warned:
                        say(f"{name} at {setting}: {warning}")
                    values = _measures(frequencies, found.frequencies, found.samples) | {"seconds": seconds}
                    rows += [Row(name, setting, metric, value, len(noisy)) for metric, value in values.items()]
                bar.update()
    for (name, why), settings in left_out.items():
        say(f"{name} is left out at {', '.join(settings)}: {why}")
    if not rows:
        raise expect.InputError(
            f"expected signals that at least one of the methods can work on, got {folder} with {found.samples} samples "
            f"and up to {int(counts.max())} lines"
        )
    return rows


def _network(weights: str | None) -> DeepFreq:
    from course_lib import networks

    if weights is None:
        return networks.deepfreq()
    network = networks.deepfreq(weights)
    say("deepfreq: a representation of your own; its lines are counted with the weights that come with the course")
    return network


def _estimators(network: DeepFreq | None) -> dict[str, Estimator]:
    """By name. The ℓ1 solution's support is its own count, DeepFreq has learned to count, the others take AIC's."""
    from course_lib import classical

    def counted(estimate: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Estimator:
        return lambda signals, counts: estimate(signals, _order(signals) if counts is None else counts)

    return {
        "periodogram": counted(classical.periodogram_frequencies),
        "music": counted(classical.music),
        "esprit": counted(classical.esprit),
        "matrix_pencil": counted(classical.matrix_pencil),
        "sparse": lambda signals, counts: classical.lasso_frequencies(signals, counts=counts),
        "deepfreq": lambda signals, counts: network.frequencies(signals, counts),
    }


def _order(signals: torch.Tensor) -> torch.Tensor:
    """How many lines by Akaike's criterion, and no more than windows of half the samples resolve.

    Of AIC, MDL and SORTE it led in F1, averaged over periodogram, MUSIC and ESPRIT and over 0, 5, 10, 20, 30 and 50 dB,
    on 1,000 generated signals of the paper's setting: 0.82, 0.80 and 0.80. From 20 dB on MDL is better.
    """
    from course_lib import classical

    return classical.aic(signals).clamp(max=max(1, signals.shape[1] // 2 - 1))


def _timed(
    estimate: Estimator, signals: torch.Tensor, counts: torch.Tensor | None
) -> tuple[torch.Tensor, float, list[str]]:
    """The estimates for all signals, wall time in seconds, and what was warned of on the way."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        started = time.perf_counter()
        frequencies = _in_parts(estimate, signals, counts)
        seconds = time.perf_counter() - started
    return frequencies, seconds, list(dict.fromkeys(str(warning.message) for warning in told))


def _in_parts(estimate: Estimator, signals: torch.Tensor, counts: torch.Tensor | None) -> torch.Tensor:
    """The estimates for all signals, `AT_ONCE` at a time."""
    import torch

    parts = [
        estimate(part, None if counts is None else counts[k * AT_ONCE : k * AT_ONCE + len(part)])
        for k, part in enumerate(signals.split(AT_ONCE))
    ]
    most = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, most - part.shape[1]), value=torch.nan) for part in parts])


def _measures(estimates: torch.Tensor, truth: torch.Tensor, samples: int) -> dict[str, float]:
    """Means over the signals; missed lines in percent."""
    from course_lib import metrics

    return {
        "fnr": 100 * float(metrics.false_negative_rate(estimates, truth, samples).mean()),
        "chamfer": float(metrics.chamfer(estimates, truth).mean()),
        "f1": float(metrics.f1(estimates, truth, samples).mean()),
        "count_accuracy": float(metrics.count_accuracy(estimates, truth).mean()),
    }


EVALUATION = Evaluation(measured_rows, {"method": [], "signals": None, "weights": None}, unit="signals")
