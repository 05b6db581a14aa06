"""Images continued beyond their borders by reflection."""

from __future__ import annotations

import torch
from jaxtyping import Float


def mirror_pad(
    images: Float[torch.Tensor, "batch channel height width"], rows: int, columns: int
) -> Float[torch.Tensor, "batch channel taller wider"]:
    """Continue images by reflection about their outer edges (d c b a | a b c d), however small they are.

    Args:
        images: (batch, channel, height, width).
        rows, columns: how far, at each border, in pixels; more than the image's side is allowed.
    """
    return images[..., _reflected(images.shape[-2], rows), :][..., _reflected(images.shape[-1], columns)]


def _reflected(size: int, margin: int) -> torch.Tensor:
    index = torch.arange(-margin, size + margin) % (2 * size)
    return torch.minimum(index, 2 * size - 1 - index)
