"""What networks with several levels share: channels, convolutions, and sides that can be halved often enough."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import nn

from course_lib import expect
from course_lib.networks.normalisation import batch_norm_2d


def level_widths(inputs: int, outputs: int, width: int, levels: int) -> list[int]:
    """The channels of each level, the finest first: they double with every level down.

    Raises:
        InputError: a number of channels or levels that is no whole number from 1.
    """
    expect.count("the input's channels", inputs)
    expect.count("the output's channels", outputs)
    expect.count("the width", width)
    return [width * 2**level for level in range(1 + expect.count("the levels", levels))]


def check_sides(x: Float[torch.Tensor, "batch channel *spatial"], multiple: int) -> None:
    """Raise unless all sides can be halved as often as a network halves them."""
    if any(side % multiple for side in x.shape[2:]):
        sides = "×".join(map(str, x.shape[2:]))
        raise expect.InputError(f"expected sides divisible by {multiple}, got {sides}")


def two_convolutions(inputs: int, outputs: int, bias: bool, batch_norm: bool) -> nn.Sequential:
    """The block of each level: twice a 3×3 convolution, batch normalisation where wanted, and a ReLU."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers.append(nn.Conv2d(channels, outputs, 3, padding=1, bias=bias and not batch_norm))
        if batch_norm:
            layers.append(batch_norm_2d(outputs, bias=bias))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)
