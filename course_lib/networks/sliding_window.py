"""Pixels classified one by one from the window around them, and the same network run over a whole image at once.

Cireşan, Giusti, Gambardella and Schmidhuber (2012) won the membrane challenge with windows (deck 002); Long, Shelhamer
and Darrell (2015) run the network as convolutions, Giusti and others (2013) keep every pixel in spite of pooling.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import nn
from torch.nn.functional import conv2d, max_pool2d, relu

from course_lib import expect


class WindowClassifier(nn.Module):
    """Is the pixel in the middle of a window foreground? Two convolutions with pooling, then a full connection.

    Args:
        width: channels of the convolutions, and outputs of the full connection.
    """

    side = 33  # pixels of a window: convolutions and pools make 30, 15, 12, 6 and 1 of it

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, expect.count("the width", width), 4)
        self.second = nn.Conv2d(width, width, 4)
        self.full = nn.Conv2d(width, width, 6)  # of 6×6 pixels: one number a channel, connected to all of them
        self.last = nn.Conv2d(width, 1, 1)

    def one_by_one(self, windows: Float[torch.Tensor, "count 1 33 33"]) -> Float[torch.Tensor, " count"]:
        """One logit a window: the network as it is drawn."""
        x = max_pool2d(relu(self.first(windows)), 2)
        x = max_pool2d(relu(self.second(x)), 2)
        return self.last(relu(self.full(x))).flatten()

    def forward(
        self, images: Float[torch.Tensor, "batch 1 height width"]
    ) -> Float[torch.Tensor, "batch 1 rows columns"]:
        """The logits of all windows inside the images, 32 fewer a side than the image has pixels.

        Pooling moves on by one pixel, not by two, so no place is lost; all that comes after it takes its inputs from
        places twice as far apart. What neighbouring windows share is computed once.
        """
        if min(images.shape[-2:]) < self.side:
            raise expect.InputError(
                f"expected images of at least {self.side}×{self.side} pixels, got {expect.describe(images)}"
            )
        x = max_pool2d(relu(self.first(images)), 2, stride=1)
        x = relu(conv2d(x, self.second.weight, self.second.bias, dilation=2))
        x = max_pool2d(x, 2, stride=1, dilation=2)
        x = relu(conv2d(x, self.full.weight, self.full.bias, dilation=4))
        return self.last(x)
