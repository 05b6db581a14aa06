"""The U-Net (Ronneberger, Fischer and Brox 2015; decks 001 and 002): coarse context, and skips for what is fine."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Complex, Float
from torch import nn

from course_lib.networks.blocks import check_sides, level_widths, two_convolutions
from course_lib.networks.complex_channels import channels_to_complex, complex_to_channels
from course_lib.networks.data_consistency import check_measurements
from course_lib.physics import inverse_fourier


class UNet(nn.Module):
    """A small 2-D U-Net: two convolutions a level, average pooling down, nearest neighbours and a skip up.

    Sizes of input and output are equal: convolutions pad with zeros.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        width: channels of the finest level; they double with every level down.
        levels: how often the image is halved; its sides must be divisible by 2^levels.
        bias: whether there are additive constants, in convolutions or batch normalisation.
        batch_norm: whether all convolutions but the last are followed by batch normalisation.
    """

    def __init__(
        self,
        inputs: int = 1,
        outputs: int = 1,
        width: int = 16,
        levels: int = 3,
        *,
        bias: bool = True,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        widths = level_widths(inputs, outputs, width, levels)
        inward = zip([inputs, *widths], widths, strict=False)
        outward = zip(widths, widths[1:], strict=False)
        self.multiple = 2**levels
        self.down = nn.ModuleList(two_convolutions(a, b, bias, batch_norm) for a, b in inward)
        self.up = nn.ModuleList(two_convolutions(a + b, a, bias, batch_norm) for a, b in outward)
        self.last = nn.Conv2d(width, outputs, 1, bias=bias)
        self.to(memory_format=torch.channels_last)  # the faster layout for these on a CPU

    def forward(
        self, x: Float[torch.Tensor, "batch inputs height width"]
    ) -> Float[torch.Tensor, "batch outputs height width"]:
        check_sides(x, self.multiple)
        x = self.down[0](x)
        skips = []
        for down in self.down[1:]:
            skips.append(x)
            x = down(F.avg_pool2d(x, 2))
        for up in reversed(self.up):
            x = up(torch.cat([skips.pop(), F.interpolate(x, scale_factor=2)], dim=1))
        return self.last(x)


class UNetReconstruction(nn.Module):
    """A U-Net that is told what the zero-filled image lacks; no data consistency.

    Args:
        width, levels: as in `UNet`.
    """

    def __init__(self, width: int = 16, levels: int = 3) -> None:
        super().__init__()
        self.unet = UNet(2, 2, width, levels)

    def forward(
        self, y: Complex[torch.Tensor, "batch 1 height width"], mask: Bool[torch.Tensor, "#batch 1 height width"]
    ) -> Complex[torch.Tensor, "batch 1 height width"]:
        """The reconstruction; arguments and errors as in `DeepCascade.forward`."""
        check_measurements(y, mask)
        x = inverse_fourier(mask * y)
        return x + channels_to_complex(self.unet(complex_to_channels(x)))
