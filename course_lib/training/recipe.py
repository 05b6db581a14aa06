"""A recipe: all that it takes to make a network's weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_lib import expect

Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What makes a network's weights: everything that `course train NAME` needs, on one screen.

    The batch of a step depends on `seed` and the step alone, so a run that is stopped goes on as if it had not been.
    The optimiser is Adam (Kingma and Ba 2015); the learning rate rises for `warm_up` steps and falls to 0 as a half
    cosine (Loshchilov and Hutter 2017).

    Attributes:
        name: of the recipe and of its files, for example "cascade".
        network: makes the untrained network; torch's global seed is set before.
        batch: (generator, size) → tensors on the CPU, each with `size` samples along its first dimension; all
            randomness comes from the generator.
        loss: (network, batch) → a tensor without dimensions, the mean over the batch's samples. It calls `network`
            itself and no other of its methods: several processes wrap the call.
        validate: network → metrics on validation data that are always the same. The network is in evaluation mode,
            without gradients, and on the device that it is trained on: `next(network.parameters()).device`.
        steps: how many batches are learned from.
        batch_size: samples in a batch; where several processes train together, in the batch of each.
        learning_rate: the highest that the schedule reaches, above 0.
        seed: of the initial weights and of all batches.
        warm_up: steps until the learning rate is full; 0 for none.
        validate_every: steps between two validations; there is always one at the end.
        data: the same recipe on a folder of the user's data, for `--data`; None where there is no such thing.
        source: where the data come from; `--data` writes the folder's name here.
    """

    name: str
    network: Callable[[], nn.Module]
    batch: Callable[[torch.Generator, int], Batch]
    loss: Callable[[nn.Module, Batch], torch.Tensor]
    validate: Callable[[nn.Module], dict[str, float]]
    steps: int
    batch_size: int
    learning_rate: float
    seed: int = 0
    warm_up: int = 20
    validate_every: int = 500
    data: Callable[[Path], Any] | None = None  # it returns a Recipe
    source: str = "built in"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise expect.InputError(
                f"expected a recipe's name as letters, digits and underscores, got {expect.describe(self.name)}"
            )
        for name in ("steps", "batch_size", "validate_every"):
            expect.count(f"{name} of {self.name}", getattr(self, name))
        for name in ("seed", "warm_up"):
            expect.count(f"{name} of {self.name}", getattr(self, name), least=0)
        expect.number(f"learning_rate of {self.name}", self.learning_rate, above=0)

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0: a linear rise, then a half cosine down to 0."""
        rise = min(1.0, (step + 1) / (self.warm_up + 1))
        return self.learning_rate * rise * (1 + math.cos(math.pi * step / self.steps)) / 2
