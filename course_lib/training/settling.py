"""Batch normalisation after the last step: statistics for the weights as they now are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from course_lib.networks import BiasFreeBatchNorm2d

BATCHES = 100


def settle(network: nn.Module, run_batch: Callable[[int], object]) -> None:
    """Average the statistics of batch normalisation anew, over 100 batches and without a step of the weights.

    While a network learns, they are running averages over some ten batches. What they are at the last step is chance;
    averaged over many, they are those of the data (Wu and Johnson 2021).

    Args:
        network: in training mode; one without such statistics is left alone.
        run_batch: called with 0, 1, …; each call runs another batch through the network.
    """
    kinds = (BiasFreeBatchNorm2d, nn.modules.batchnorm._BatchNorm)
    norms = [m for m in network.modules() if isinstance(m, kinds) and m.running_var is not None]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    with torch.no_grad():
        for index in range(BATCHES):
            for norm in norms:
                norm.momentum = 1 / (index + 1)  # a running average with this momentum is the plain mean
            run_batch(index)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
