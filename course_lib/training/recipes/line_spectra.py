"""Module 12: the two modules of DeepFreq, its published first layer, and PSnet, in the setting of the paper.

Signals and noise are new at every step, so nothing is learned by heart; what a validation sees is never trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from jaxtyping import Float
from torch import nn

from course_lib.classical import spectrum_peaks
from course_lib.data import LineSpectra, line_counts, line_spectra
from course_lib.metrics import f1, false_negative_rate
from course_lib.networks import FrequencyCounting, FrequencyRepresentation, PSnet, load_weights
from course_lib.networks.frequency import SAMPLES
from course_lib.physics import add_noise_at_snr
from course_lib.training.frequency_labels import frequency_labels
from course_lib.training.recipe import Batch, Recipe

MOST_DB = 50.0
VALIDATION_DB = (0, 10, 30)
VALIDATION_SIGNALS = 1000
VALIDATION_SEED = 12_000  # of the lines; the noise has the next one


def batch(generator: torch.Generator, size: int) -> Batch:
    """Noisy signals, and their frequencies. The SNR is uniform from 0 to 50 dB."""
    lines = line_spectra(size, generator, samples=SAMPLES)
    snr_db = MOST_DB * torch.rand(size, generator=generator)
    return add_noise_at_snr(lines.signals(SAMPLES), snr_db, generator), lines.frequencies.float()


@cache
def validation() -> tuple[LineSpectra, dict[int, torch.Tensor]]:
    """Lines, and their noisy signals at each SNR."""
    lines = line_spectra(VALIDATION_SIGNALS, torch.Generator().manual_seed(VALIDATION_SEED), samples=SAMPLES)
    noise = torch.Generator().manual_seed(VALIDATION_SEED + 1)
    return lines, {db: add_noise_at_snr(lines.signals(SAMPLES), db, noise) for db in VALIDATION_DB}


# ── Representations ─────────────────────────────────────────────────────────────────────────────────────────────────


def distance_of_curves(network: nn.Module, sample: Batch) -> torch.Tensor:
    """The squared distance of the network's curve from bumps at the true frequencies."""
    signals, frequencies = sample
    curves = network(signals).float()
    return (curves - frequency_labels(frequencies, SAMPLES, curves.shape[1])).square().sum(dim=1).mean()


def validate_representation(network: nn.Module) -> dict[str, float]:
    """Lines that are missed, in percent, at each SNR; the number of lines is given."""
    device = next(network.parameters()).device
    lines, noisy = validation()
    missed = {}
    for db, signals in noisy.items():
        found = spectrum_peaks(network(signals.to(device)).float().cpu(), lines.counts)
        rate = false_negative_rate(found, lines.frequencies.float(), SAMPLES)
        missed[f"fnr_{db}db"] = 100 * float(rate.mean())
    return missed


def representation(name: str, network: Callable[[], nn.Module]) -> Recipe:
    """All representations learn from the same 1.3 million signals."""
    return Recipe(
        name=name, network=network, batch=batch, loss=distance_of_curves, validate=validate_representation,
        steps=20_000, batch_size=64, learning_rate=3e-3, warm_up=50, validate_every=2000,
    )  # fmt: skip


# ── Counting ────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def trained(name: str, device: torch.device) -> nn.Module:
    """A representation that comes with the course; counting learns from its curves and leaves it as it is."""
    return load_weights(NETWORKS[name](), name).to(device).requires_grad_(False)


def curves_of(name: str, signals: torch.Tensor) -> Float[torch.Tensor, "batch points"]:
    with torch.no_grad():
        return trained(name, signals.device)(signals).float()


def error_of_count(name: str, network: nn.Module, sample: Batch) -> torch.Tensor:
    """The squared error of the number of lines."""
    signals, frequencies = sample
    return (network(curves_of(name, signals)).float() - line_counts(frequencies)).square().mean()


def validate_counting(name: str, network: nn.Module) -> dict[str, float]:
    """At each SNR the share of right counts, and what F1 and missed lines (in percent) come of them."""
    device = next(network.parameters()).device
    lines, noisy = validation()
    truth = lines.frequencies.float()
    measured = {}
    for db, signals in noisy.items():
        curves = curves_of(name, signals.to(device))
        counts = network(curves).round().long().clamp(min=1).cpu()
        found = spectrum_peaks(curves.cpu(), counts)
        measured[f"count_accuracy_{db}db"] = float((counts == lines.counts).float().mean())
        measured[f"f1_{db}db"] = float(f1(found, truth, SAMPLES).mean())
        measured[f"fnr_{db}db"] = 100 * float(false_negative_rate(found, truth, SAMPLES).mean())
    return measured


def counting(name: str, representation: str) -> Recipe:
    return Recipe(
        name=name, network=FrequencyCounting, batch=batch, loss=partial(error_of_count, representation),
        validate=partial(validate_counting, representation), steps=10_000, batch_size=64, learning_rate=1e-3,
        warm_up=50, validate_every=2000,
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "frequency_representation": FrequencyRepresentation,
    "frequency_representation_free": partial(FrequencyRepresentation, transform="free"),
    "psnet": PSnet,
}
RECIPES = (
    *(representation(name, network) for name, network in NETWORKS.items()),
    counting("frequency_counting", "frequency_representation"),
    counting("psnet_counting", "psnet"),
)
