"""A U-Net of volumes that begins as a trained U-Net of slices: inflation (Carreira and Zisserman 2017)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import nn

from course_lib.networks.blocks import check_sides
from course_lib.networks.unet import UNet

IN_PLANE = (1, 2, 2)  # slices are neither pooled nor enlarged


class InflatedUNet(nn.Module):
    """`UNet` with kernels of 3×3×3 at its finest level; coarser ones, which hold most weights, stay 1×3×3.

    The middle slice of each kernel is the 2-D network's, the other two are 0. So at first it gives each slice just
    what the 2-D network gives, and training has only to find what the neighbours add.

    Args:
        unet: with batch normalisation; its weights and statistics are copied.
    """

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        self.multiple = unet.multiple
        self.down = nn.ModuleList(_inflated(block, deep=level == 0) for level, block in enumerate(unet.down))
        self.up = nn.ModuleList(_inflated(block, deep=level == 0) for level, block in enumerate(unet.up))
        self.last = _convolution(unet.last, deep=False)

    def forward(
        self, x: Float[torch.Tensor, "batch inputs depth height width"]
    ) -> Float[torch.Tensor, "batch outputs depth height width"]:
        check_sides(x[:, :, 0], self.multiple)
        x = self.down[0](x)
        skips = []
        for down in self.down[1:]:
            skips.append(x)
            x = down(F.avg_pool3d(x, IN_PLANE))
        for up in reversed(self.up):
            x = up(torch.cat([skips.pop(), F.interpolate(x, scale_factor=IN_PLANE)], dim=1))
        return self.last(x)


def _inflated(block: nn.Sequential, *, deep: bool) -> nn.Sequential:
    """The same block for volumes."""
    layers: list[nn.Module] = []
    for layer in block:
        if isinstance(layer, nn.Conv2d):
            layers.append(_convolution(layer, deep=deep))
        elif isinstance(layer, nn.BatchNorm2d):
            layers.append(nn.BatchNorm3d(layer.num_features))
            layers[-1].load_state_dict(layer.state_dict())
        else:
            layers.append(type(layer)())
    return nn.Sequential(*layers)


def _convolution(layer: nn.Conv2d, *, deep: bool) -> nn.Conv3d:
    depth = 3 if deep else 1
    kernel, padding = (depth, *layer.kernel_size), (depth // 2, *layer.padding)
    bias = layer.bias is not None
    inflated = nn.Conv3d(layer.in_channels, layer.out_channels, kernel, padding=padding, bias=bias)
    with torch.no_grad():
        inflated.weight.zero_()
        inflated.weight[:, :, depth // 2] = layer.weight
        if bias:
            inflated.bias.copy_(layer.bias)
    return inflated
