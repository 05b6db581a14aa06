"""The deep cascade for MRI (Schlemper et al. 2017; deck 001), and the same network without its data-consistency layers.

Both take measured k-space and its mask and return a complex image. They differ in one line, so what they differ in
on data is the layer's doing.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Complex
from torch import nn

from course_lib import expect
from course_lib.networks.complex_channels import channels_to_complex, complex_to_channels
from course_lib.networks.data_consistency import DataConsistency, check_measurements, in_dft_order
from course_lib.physics import inverse_fourier

Image = Complex[torch.Tensor, "batch 1 height width"]
Kspace = Complex[torch.Tensor, "batch 1 height width"]
Mask = Bool[torch.Tensor, "#batch 1 height width"]


class ResidualCNN(nn.Module):
    """x + CNN(x): 3×3 convolutions with ReLUs between them, on the two channels of a complex image.

    Args:
        width: channels of the hidden layers.
        depth: number of convolutions, at least 2.
    """

    def __init__(self, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        expect.count("the width", width)
        channels = [2] + [width] * (expect.count("the depth", depth, least=2) - 1) + [2]
        layers = []
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        # the last layer starts small, so that a cascade starts as the zero-filled image and learns what to add
        nn.init.zeros_(self.layers[-1].bias)
        with torch.no_grad():
            self.layers[-1].weight *= 0.1
        self.to(memory_format=torch.channels_last)  # the faster layout for these on a CPU

    def forward(self, x: Image) -> Image:
        channels = complex_to_channels(x).contiguous(memory_format=torch.channels_last)
        return x + channels_to_complex(self.layers(channels))


class DeepCascade(nn.Module):
    """Blocks of a CNN, which repairs the image, and a data-consistency layer, which puts the measurements back.

    Args:
        blocks: how many.
        width: channels of each CNN.
        depth: convolutions of each CNN.
        weight: λ of the layers: infinity for data without noise.
        learned: whether each layer's λ is learned, from `weight`.
    """

    def __init__(
        self, blocks: int = 24, width: int = 64, depth: int = 2, *, weight: float = math.inf, learned: bool = False
    ) -> None:
        super().__init__()
        expect.count("the number of blocks", blocks)
        self.cnns = nn.ModuleList(ResidualCNN(width, depth) for _ in range(blocks))
        self.consistency = nn.ModuleList(DataConsistency(weight, learned=learned) for _ in range(blocks))

    def forward(self, y: Kspace, mask: Mask) -> Image:
        """The reconstruction.

        Args:
            y: measured k-space, centred.
            mask: True where it is measured, one for each image or one for all.

        Raises:
            InputError: k-space without its mask, a mask without a sample, shapes that differ.
        """
        return self.steps(y, mask)[-1]

    def steps(self, y: Kspace, mask: Mask) -> list[Image]:
        """The zero-filled image, and the image after each block."""
        check_measurements(y, mask)
        measured = in_dft_order(y, mask)
        images = [inverse_fourier(mask * y)]
        for cnn, consistency in zip(self.cnns, self.consistency, strict=True):
            images.append(consistency.correct(cnn(images[-1]), *measured))
        return images


class PlainCNN(nn.Module):
    """The cascade's CNNs one after the other, from the zero-filled image, without data consistency between them.

    Args:
        blocks, width, depth: as in `DeepCascade`; the same values have the same number of parameters.
    """

    def __init__(self, blocks: int = 24, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        expect.count("the number of blocks", blocks)
        self.cnns = nn.ModuleList(ResidualCNN(width, depth) for _ in range(blocks))

    def forward(self, y: Kspace, mask: Mask) -> Image:
        """The reconstruction; arguments and errors as in `DeepCascade.forward`."""
        return self.steps(y, mask)[-1]

    def steps(self, y: Kspace, mask: Mask) -> list[Image]:
        """The zero-filled image, and the image after each block."""
        check_measurements(y, mask)
        images = [inverse_fourier(mask * y)]
        for cnn in self.cnns:
            images.append(cnn(images[-1]))
        return images
