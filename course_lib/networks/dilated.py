"""A residual CNN whose convolutions reach further than their nine weights: dilation (deck 001's lab)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from course_lib import expect
from course_lib.networks.denoisers import GreyImages, convolutions, start_small


class DilatedCNN(nn.Module):
    """Convolutions of 3×3 weights that lie d pixels apart, with ReLUs between them (after Zhang et al. 2017, IRCNN).

    Layer i lets a pixel see dᵢ pixels further on each side, and has as many weights whatever dᵢ. Growing and shrinking
    again, as the default does, leaves no gaps in what is seen. `dilations=(1,) * 7` is the plain network with the same
    number of parameters.

    Args:
        dilations: d of each convolution, at least two.
        width: channels of the hidden layers.
        residual: whether the network estimates the noise, f(y) = y − CNN(y), or the image, f(y) = CNN(y).
    """

    def __init__(
        self, dilations: Sequence[int] = (1, 2, 3, 4, 3, 2, 1), width: int = 24, *, residual: bool = True
    ) -> None:
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

    def forward(self, y: GreyImages) -> GreyImages:
        return y - self.layers(y) if self.residual else self.layers(y)
