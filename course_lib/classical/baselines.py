"""Simple denoisers to compare with: a Gaussian blur, and the bilateral filter through scikit-image."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from course_lib import expect
from course_lib.physics import CircularConvolution, gaussian_gain

Images = Float[torch.Tensor, "batch channel height width"]


def gaussian_blur(images: Images, width: float) -> Images:
    """Blur with a Gaussian of standard deviation `width` pixels, periodic at the borders."""
    expect.images("images", images)
    gain = gaussian_gain(tuple(images.shape[-2:]), width)
    return CircularConvolution(gain.to(images.dtype))(images)


def bilateral(noisy: Images, sigma: float, *, space: float = 2.0, contrast: float = 2.0) -> Images:
    """The bilateral filter (Tomasi and Manduchi 1998): average near pixels whose values are near too.

    The defaults gave the best mean PSNR on the training photographs at σ = 25/255.

    Args:
        noisy: y, (batch, channel, height, width); the three channels of a colour pixel are compared together.
        sigma: noise level σ ≥ 0 in the image's units.
        space: standard deviation in pixels of the weights in space.
        contrast: standard deviation, in multiples of σ, of the weights in value.

    Returns:
        the estimate in the shape and dtype of `noisy`; σ = 0 returns a copy of `noisy`.
    """
    from skimage.restoration import denoise_bilateral

    expect.images("noisy", noisy)
    sigma = expect.sigma(sigma)
    if sigma == 0:
        return noisy.clone()
    if noisy.shape[1] not in (1, 3):
        raise expect.InputError(f"expected 1 or 3 channels, got {expect.describe(noisy)}")
    colour = {"channel_axis": 0} if noisy.shape[1] == 3 else {}
    lowest = noisy.min()  # the library's table of weights is scaled wrongly where values are below 0
    results = [
        denoise_bilateral(
            (image - lowest).squeeze(0).double().numpy(), sigma_color=contrast * sigma, sigma_spatial=space,
            mode="symmetric", **colour,
        ).reshape(image.shape)
        for image in noisy.cpu()
    ]  # fmt: skip
    return torch.from_numpy(np.stack(results)).to(noisy) + lowest
