"""The fully convolutional network of Long, Shelhamer and Darrell (2015; deck 002), with and without its skips."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import nn

from course_lib.networks.blocks import check_sides, level_widths, two_convolutions


class FCN(nn.Module):
    """Convolutions and pooling as for classification, then a score for every coarse pixel, enlarged bilinearly.

    Without skips one score is enlarged from the coarsest level. With them every level but the finest has a score of
    its own; from the coarsest on, each sum is enlarged twice and the next finer score added to it.

    Args:
        inputs, outputs, width, levels: as in `UNet`; the coarsest pixel is 2^levels pixels wide.
        skips: whether the levels between add their scores.
    """

    def __init__(
        self, inputs: int = 1, outputs: int = 1, width: int = 16, levels: int = 3, *, skips: bool = True
    ) -> None:
        super().__init__()
        widths = level_widths(inputs, outputs, width, levels)
        self.multiple = 2**levels
        self.down = nn.ModuleList(
            two_convolutions(a, b, bias=True, batch_norm=True) for a, b in zip([inputs, *widths], widths, strict=False)
        )
        scored = widths[1:] if skips else widths[-1:]
        self.score = nn.ModuleList(nn.Conv2d(channels, outputs, 1) for channels in scored)
        self.to(memory_format=torch.channels_last)

    def forward(
        self, x: Float[torch.Tensor, "batch inputs height width"]
    ) -> Float[torch.Tensor, "batch outputs height width"]:
        check_sides(x, self.multiple)
        size = x.shape[-2:]
        features = [x := self.down[0](x)]
        for down in self.down[1:]:
            features.append(x := down(F.max_pool2d(x, 2)))
        scores = [score(x) for score, x in zip(reversed(self.score), reversed(features), strict=False)]
        total = scores[0]
        for finer in scores[1:]:
            total = finer + F.interpolate(total, scale_factor=2, mode="bilinear")
        return F.interpolate(total, size=size, mode="bilinear")
