"""Complex images as real ones with two channels: convolutions work on real numbers."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float

from course_lib import expect


def complex_to_channels(
    x: Complex[torch.Tensor, "batch 1 height width"],
) -> Float[torch.Tensor, "batch 2 height width"]:
    """Channel 0 is the real part and channel 1 the imaginary part, in every network of the course."""
    _images("the image", x, 1)
    if not x.is_complex():
        raise expect.InputError(f"expected a complex image, got {expect.describe(x)}")
    return torch.cat([x.real, x.imag], dim=1)


def channels_to_complex(
    channels: Float[torch.Tensor, "batch 2 height width"],
) -> Complex[torch.Tensor, "batch 1 height width"]:
    """The inverse of `complex_to_channels`."""
    _images("the channels", channels, 2)
    if channels.is_complex():
        raise expect.InputError(f"expected real channels, got {expect.describe(channels)}")
    if channels.dtype in (torch.bfloat16, torch.float16):  # of mixed precision; torch has no FFT for these
        channels = channels.float()
    return torch.complex(channels[:, :1], channels[:, 1:])


def _images(name: str, x: object, channels: int) -> None:
    if not isinstance(x, torch.Tensor) or x.ndim != 4 or x.shape[1] != channels:
        raise expect.InputError(
            f"expected {name} of shape (batch, {channels}, height, width), got {expect.describe(x)}"
        )
