"""A small V-Net (Milletari, Navab and Ahmadi 2016; deck 002): a U-Net of volumes, made of residual blocks."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import nn

from course_lib.networks.blocks import check_sides, level_widths


class VNet(nn.Module):
    """A residual block a level; convolutions with stride 2 go down, transposed ones up, and skips join the two sides.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        width: channels of the finest level; they double with every level down.
        levels: how often the volume is halved; its sides must be divisible by 2^levels.
    """

    def __init__(self, inputs: int = 1, outputs: int = 1, width: int = 8, levels: int = 2) -> None:
        super().__init__()
        widths = level_widths(inputs, outputs, width, levels)
        self.multiple = 2**levels
        steps = list(zip(widths, widths[1:], strict=False))
        self.first = ResidualBlock(inputs, width)
        self.down = nn.ModuleList(nn.Conv3d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.inward = nn.ModuleList(ResidualBlock(coarse, coarse) for _, coarse in steps)
        self.up = nn.ModuleList(nn.ConvTranspose3d(coarse, fine, 2, stride=2) for fine, coarse in steps)
        self.outward = nn.ModuleList(ResidualBlock(2 * fine, fine) for fine, _ in steps)
        self.last = nn.Conv3d(width, outputs, 1)

    def forward(
        self, x: Float[torch.Tensor, "batch inputs depth height width"]
    ) -> Float[torch.Tensor, "batch outputs depth height width"]:
        check_sides(x, self.multiple)
        x = self.first(x)
        skips = []
        for down, block in zip(self.down, self.inward, strict=True):
            skips.append(x)
            x = block(down(x))
        for up, block in zip(reversed(self.up), reversed(self.outward), strict=True):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
        return self.last(x)


class ResidualBlock(nn.Module):
    """ReLU(shortcut + two 3×3×3 convolutions); the shortcut is a 1×1×1 convolution where the channels change.

    Each volume is normalised by its own statistics: a batch of volumes is too small to have any, and another scanner's
    contrast goes with them.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv3d(inputs, outputs, 1)
        self.convolutions = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, padding=1, bias=False), nn.InstanceNorm3d(outputs, affine=True), nn.ReLU(),
            nn.Conv3d(outputs, outputs, 3, padding=1, bias=False), nn.InstanceNorm3d(outputs, affine=True),
        )  # fmt: skip

    def forward(
        self, x: Float[torch.Tensor, "batch inputs depth height width"]
    ) -> Float[torch.Tensor, "batch outputs depth height width"]:
        return torch.relu(self.shortcut(x) + self.convolutions(x))
