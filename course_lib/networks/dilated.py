"""A residual CNN whose convolutions reach further than their nine weights: dilation (deck 001's lab)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import nn

from course_lib import expect
from course_lib.networks.denoisers import GreyImages, convolutions, start_small

UNIT = 4.0  # noise levels: what the layers count in, so that they meet numbers near 1
MID_GREY = 0.5


class DilatedCNN(nn.Module):
    """Convolutions of 3×3 weights that lie d pixels apart, with ReLUs between them (after Zhang et al. 2017, IRCNN).

    Layer i lets a pixel see dᵢ pixels further on each side, and has as many weights whatever dᵢ. Growing and shrinking
    again, as the default does, leaves no gaps in what is seen. `dilations=(1,) * 4` is the plain network with the same
    number of parameters.

    The network is told the noise level, and works in units of it: white noise looks the same to it at every dose.

    Args:
        dilations: d of each convolution, at least two.
        width: channels of the hidden layers.
        residual: whether the layers estimate the noise, f(y) = y − CNN(y), or the image, f(y) = CNN(y).
    """

    def __init__(self, dilations: Sequence[int] = (1, 2, 3, 1), width: int = 40, *, residual: bool = True) -> None:
        super().__init__()
        self.dilations = tuple(expect.count("a dilation", d) for d in dilations)
        if len(self.dilations) < 2:
            raise expect.InputError(f"expected at least two dilations, got {expect.describe(tuple(dilations))}")
        self.residual = residual
        hidden = [expect.count("the width", width)] * (len(self.dilations) - 1)
        self.layers = convolutions([1, *hidden, 1], bias=True, batch_norm=False, dilations=self.dilations)
        if residual:
            start_small(self, self.layers[-1])

    @property
    def receptive_field(self) -> int:
        """How many pixels a side a pixel of the result depends on: 1 + Σ dᵢ·(3 − 1)."""
        return 1 + sum(2 * d for d in self.dilations)

    def forward(self, y: GreyImages, sigma: Float[torch.Tensor, "batch"] | float) -> GreyImages:
        """Denoise y in [0, 1], whose white noise has the level `sigma`: one for all images or one for each."""
        unit = UNIT * torch.as_tensor(sigma, dtype=y.dtype, device=y.device).reshape(-1, 1, 1, 1)
        found = unit * self.layers((y - MID_GREY) / unit)
        return y - found if self.residual else MID_GREY + found
