"""Denoisers to compare with. All but the blur are told the noise level.

The bilateral filter is kornia's, non-local means is scikit-image's.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float

from course_lib import expect
from course_lib.classical.borders import mirror_pad
from course_lib.classical.wavelets import UndecimatedWavelet
from course_lib.physics import CircularConvolution, gaussian_gain

Images = Float[torch.Tensor, "batch channel height width"]


def gaussian_blur(images: Images, width: float) -> Images:
    """Blur with a Gaussian of standard deviation `width` pixels, periodic at the borders."""
    expect.images("images", images)
    gain = gaussian_gain(tuple(images.shape[-2:]), width)
    return CircularConvolution(gain.to(images.dtype))(images)


def bilateral(noisy: Images, sigma: float, *, space: float = 1.5, contrast: float = 3.0) -> Images:
    """The bilateral filter (Tomasi and Manduchi 1998): average near pixels whose values are near too.

    Each neighbour's weight is a Gaussian of its distance times a Gaussian of its difference in value. The
    defaults gave the best mean PSNR on the training photographs at σ = 25/255. It is kornia's filter:
    scikit-image 0.26 reads its spatial weights from a table of another width, and smears them.

    Args:
        noisy: y, (batch, channel, height, width); the channels of a pixel are compared together.
        sigma: noise level σ ≥ 0 in the image's units.
        space: standard deviation in pixels of the weights in space.
        contrast: standard deviation of the weights in value, in multiples of σ·√channel.

    Returns:
        the estimate in the shape and dtype of `noisy`; σ = 0 returns a copy of `noisy`. Borders are mirrored.
    """
    from kornia.filters import bilateral_blur

    expect.images("noisy", noisy)
    sigma = expect.sigma(sigma, noisy)
    expect.number("space", space, above=0)
    expect.number("contrast", contrast, above=0)
    if sigma == 0:
        return noisy.clone()
    reach = math.ceil(3 * space)
    width = contrast * sigma * noisy.shape[1] ** 0.5
    blurred = bilateral_blur(
        mirror_pad(noisy, reach, reach), 2 * reach + 1, width, (space, space), color_distance_type="l2"
    )
    return blurred[..., reach:-reach, reach:-reach]


def wavelet_threshold(noisy: Images, sigma: float, *, multiple: float = 3.0) -> Images:
    """Keep the wavelet coefficients that stand out of the noise, and drop the others (Donoho and Johnstone 1994).

    What is kept spans a subspace that the image has chosen: hard thresholding projects onto it. All shifts of the
    transform are averaged (Coifman and Donoho 1995), the coarse image is kept whole.

    Args:
        noisy: y, (batch, channel, height, width), of any size.
        sigma: noise level σ ≥ 0.
        multiple: a coefficient is kept if it exceeds this many standard deviations of its noise.
    """
    expect.images("noisy", noisy)
    sigma = expect.sigma(sigma, noisy)
    expect.number("multiple", multiple, least=0)
    W = UndecimatedWavelet(tuple(noisy.shape[-2:]), "db4")
    coefficients = W(noisy)
    kept = coefficients.abs() > multiple * sigma * W.shift_weights().to(noisy)
    kept[..., -1, :, :] = True
    return W.adjoint(coefficients * kept)


def non_local_means(noisy: Images, sigma: float, *, strength: float = 0.8) -> Images:
    """Non-local means (Buades, Coll and Morel 2005): average pixels whose surroundings look alike.

    Patches of 5 × 5 pixels are compared up to 10 pixels apart.

    Args:
        noisy: y, (batch, channel, height, width); each channel is an image of its own.
        sigma: noise level σ ≥ 0; 0 returns a copy.
        strength: h in multiples of σ; the larger, the more a patch may differ.
    """
    from skimage.restoration import denoise_nl_means

    expect.images("noisy", noisy)
    sigma = expect.sigma(sigma, noisy)
    expect.number("strength", strength, above=0)
    if sigma == 0:
        return noisy.clone()
    grey = [
        denoise_nl_means(image, patch_size=5, patch_distance=10, h=strength * sigma, sigma=sigma)
        for image in noisy.detach().cpu().numpy().reshape(-1, *noisy.shape[-2:])
    ]
    return torch.from_numpy(np.stack(grey)).to(noisy).view(noisy.shape)
