"""From a segmentation network's scores to probabilities, for images of any size."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import nn

from course_lib import expect
from course_lib.networks.sliding_window import WindowClassifier


def segment(
    network: nn.Module, images: Float[torch.Tensor, "batch channel *spatial"]
) -> Float[torch.Tensor, "batch classes *spatial"]:
    """The probability of each class in each pixel.

    Args:
        network: `UNet`, `FCN`, `VNet`, `InflatedUNet` or `WindowClassifier`, in evaluation mode; with one output it
            tells foreground from background, with several the classes exclude each other.
        images: in [0, 1], or volumes for a `VNet`. Sides that the network cannot halve often enough have their
            last row, column or slice repeated, and what this adds is cut off again; windows beyond the border see
            the image mirrored.

    Returns:
        one channel with the probability of foreground, or one for each class, adding up to 1; without a gradient.

    Raises:
        InputError: no finite real images, or values far outside [0, 1].
    """
    expect.tensor("images", images)
    if images.is_complex() or images.abs().max() > 16:
        raise expect.InputError(
            f"expected images in units where black is 0 and white is 1, got values up to {images.abs().max():.4g}: "
            "divide images in grey levels by 255"
        )
    if isinstance(network, WindowClassifier):
        margin = WindowClassifier.side // 2
        if min(images.shape[-2:]) <= margin:
            raise expect.InputError(f"expected more than {margin} pixels a side, got {expect.describe(images)}")
        with torch.no_grad():
            return network(F.pad(images, (margin,) * 4, mode="reflect")).sigmoid()
    sides = images.shape[2:]
    beyond = [size for side in reversed(sides) for size in (0, -side % network.multiple)]
    with torch.no_grad():
        scores = network(F.pad(images, beyond, mode="replicate"))[(..., *map(slice, sides))]
        return scores.sigmoid() if scores.shape[1] == 1 else scores.softmax(dim=1)
