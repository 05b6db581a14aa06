"""Four blind denoisers, each with and without additive constants (Mohan, Kadkhodaie et al. 2020; deck 000).

`bias=False` takes every additive constant out of a network: no convolution has a bias, and batch normalisation
neither subtracts a mean nor adds a shift. What is left are convolutions, ReLUs and multiplications, so that
f(αy) = αf(y) for every α > 0. Everything else is the same line of code for both twins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import nn

from course_lib import expect
from course_lib.networks.normalisation import batch_norm_2d
from course_lib.networks.unet import UNet

Images = Float[torch.Tensor, "batch channel height width"]
GreyImages = Float[torch.Tensor, "batch 1 height width"]


def convolutions(
    channels: list[int], *, bias: bool, batch_norm: bool, dilations: Sequence[int] | None = None
) -> nn.Sequential:
    """3×3 convolutions from each number of channels to the next, with ReLUs between them.

    Args:
        channels: of the input, of every layer in between, of the output.
        bias: whether there are additive constants.
        batch_norm: whether all but the first and the last convolution are followed by batch normalisation.
        dilations: how many pixels apart the weights of each convolution lie; None for 1, side by side.
    """
    layers: list[nn.Module] = []
    last = len(channels) - 2
    steps = zip(channels, channels[1:], dilations or [1] * (last + 1), strict=False)
    for i, (inputs, outputs, d) in enumerate(steps):
        normed = batch_norm and 0 < i < last
        layers.append(initialised(nn.Conv2d(inputs, outputs, 3, padding=d, dilation=d, bias=bias and not normed)))
        if normed:
            layers.append(batch_norm_2d(outputs, bias=bias))
        if i < last:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def initialised(convolution: nn.Conv2d) -> nn.Conv2d:
    """With weights that keep the variance from ReLU to ReLU (He et al. 2015); biases stay as PyTorch draws them."""
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return convolution


def start_small(network: nn.Module, last: nn.Conv2d) -> None:
    """Make the last convolution small, so that a denoiser starts near f(y) = y and learns what to take away."""
    with torch.no_grad():
        last.weight *= 0.1
    network.to(memory_format=torch.channels_last)  # the faster layout for these on a CPU


class DnCNN(nn.Module):
    """DnCNN (Zhang et al. 2017): a stack of convolutions estimates the noise, and f(y) = y − noise.

    Args:
        depth: number of convolutions, at least 2; a pixel sees 2·depth + 1 pixels a side.
        width: channels of the hidden layers.
        bias: whether the network has additive constants; False gives BF-DnCNN.
        batch_norm: whether the hidden convolutions are followed by batch normalisation, as in the paper. With it, in
            small batches of mixed noise levels, this depth learned slowly or not at all.
    """

    def __init__(self, depth: int = 17, width: int = 32, *, bias: bool, batch_norm: bool = False) -> None:
        super().__init__()
        hidden = [expect.count("the width", width)] * (expect.count("the depth", depth, least=2) - 1)
        self.noise = convolutions([1, *hidden, 1], bias=bias, batch_norm=batch_norm)
        start_small(self, self.noise[-1])

    def forward(self, y: GreyImages) -> GreyImages:
        return y - self.noise(y)


class RecurrentCNN(nn.Module):
    """One small CNN, applied again and again: it sees its last estimate and y (after Zhang et al. 2018).

    Args:
        steps: how often it is applied.
        depth, width, bias, batch_norm: of the small CNN, as in `DnCNN`.
    """

    def __init__(self, steps: int = 4, depth: int = 5, width: int = 32, *, bias: bool, batch_norm: bool = True) -> None:
        super().__init__()
        self.steps = expect.count("the steps", steps)
        hidden = [expect.count("the width", width)] * (expect.count("the depth", depth, least=2) - 1)
        self.correction = convolutions([2, *hidden, 1], bias=bias, batch_norm=batch_norm)
        start_small(self, self.correction[-1])

    def forward(self, y: GreyImages) -> GreyImages:
        x = y
        for _ in range(self.steps):
            x = x - self.correction(torch.cat([x, y], dim=1))
        return x


class DenseDenoiser(nn.Module):
    """Blocks of convolutions, each of which sees y besides what the block before it found.

    A simple form of DenseNet (Huang et al. 2017), as Mohan, Kadkhodaie et al. (2020) use it.

    Args:
        blocks: how many.
        depth, width, bias, batch_norm: of each block, as in `DnCNN`.
    """

    def __init__(
        self, blocks: int = 3, depth: int = 4, width: int = 32, *, bias: bool, batch_norm: bool = True
    ) -> None:
        super().__init__()
        expect.count("the number of blocks", blocks)
        hidden = [expect.count("the width", width)] * (expect.count("the depth", depth, least=2) - 1)
        inputs = [1] + [width + 1] * (blocks - 1)
        outputs = [width] * (blocks - 1) + [1]
        self.blocks = nn.ModuleList(
            convolutions([first, *hidden, last], bias=bias, batch_norm=batch_norm)
            for first, last in zip(inputs, outputs, strict=True)
        )
        for block in self.blocks[:-1]:
            block.append(nn.ReLU())
        start_small(self, self.blocks[-1][-1])

    def forward(self, y: GreyImages) -> GreyImages:
        found = self.blocks[0](y)
        for block in self.blocks[1:]:
            found = block(torch.cat([found, y], dim=1))
        return y - found


class UNetDenoiser(nn.Module):
    """A U-Net (`course_lib.networks.UNet`) that estimates the noise.

    An image whose sides cannot be halved often enough has its last row and column repeated until they can.

    Args:
        width, levels: as in `UNet`.
        bias, batch_norm: as in `DnCNN`.
    """

    def __init__(self, width: int = 16, levels: int = 2, *, bias: bool, batch_norm: bool = True) -> None:
        super().__init__()
        self.unet = UNet(1, 1, width, levels, bias=bias, batch_norm=batch_norm)
        for layer in self.unet.modules():
            if isinstance(layer, nn.Conv2d):
                initialised(layer)
        start_small(self, self.unet.last)

    def forward(self, y: GreyImages) -> GreyImages:
        height, width = y.shape[-2:]
        below, right = -height % self.unet.multiple, -width % self.unet.multiple
        noise = self.unet(F.pad(y, (0, right, 0, below), mode="replicate"))
        return y - noise[..., :height, :width]


def denoise(network: nn.Module, noisy: Images, sigma: float | None = None) -> Images:
    """Run a grey-scale denoiser on images with any number of channels: each channel is an image of its own.

    Args:
        network: of grey images, in evaluation mode.
        noisy: y, (batch, channel, height, width), in the units that the network was trained in: [0, 1] for ours.
        sigma: the noise level, for a network that is told it; None for a blind one.

    Returns:
        the estimate in the shape of `noisy`, without a gradient.

    Raises:
        InputError: no finite real images, or images in grey levels from 0 to 255.
    """
    expect.images("noisy", noisy)
    if noisy.abs().max() > 16:  # far beyond any noise on images from 0 to 1
        raise expect.InputError(
            f"expected images in units where black is 0 and white is 1, got values up to {float(noisy.max()):.4g}: "
            "divide images in grey levels by 255"
        )
    with torch.no_grad():
        grey = noisy.flatten(0, 1)[:, None]
        return (network(grey) if sigma is None else network(grey, sigma)).view(noisy.shape)
