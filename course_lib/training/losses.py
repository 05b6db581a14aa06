"""What a denoiser learns to make small: losses against a clean image (deck 001), and one that needs none.

Zhao, Gallo, Frosio and Kautz (2017) compare the first four; Soltanayev and Chun (2018) train by the last.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float

from course_lib import expect
from course_lib.metrics import ms_ssim, ssim_map

Images = Float[torch.Tensor, "batch channel height width"]
Scalar = Float[torch.Tensor, ""]

MIX = 0.84  # Zhao et al.'s share of MS-SSIM


def l1_loss(estimate: Images, target: Images) -> Scalar:
    """The mean absolute error; its gradient is the error's sign."""
    return F.l1_loss(estimate, target)


def l2_loss(estimate: Images, target: Images) -> Scalar:
    """The mean squared error; its minimum is the mean of all images that fit the measurement."""
    return F.mse_loss(estimate, target)


def ssim_loss(estimate: Images, target: Images) -> Scalar:
    """One minus the mean SSIM, in the convention of `metrics.ssim_map`: data range 1."""
    return 1 - ssim_map(estimate, target).mean()


def ms_ssim_loss(estimate: Images, target: Images) -> Scalar:
    """One minus the mean MS-SSIM."""
    return 1 - ms_ssim(estimate, target).mean()


def mixed_loss(estimate: Images, target: Images) -> Scalar:
    """MS-SSIM for the structure and ℓ1 for the brightness that it hardly sees: 0.84 and 0.16 of them.

    Zhao et al. weight ℓ1 with the window of the coarsest scale; here all pixels count alike.
    """
    return MIX * ms_ssim_loss(estimate, target) + (1 - MIX) * l1_loss(estimate, target)


LOSSES: dict[str, Callable[[Images, Images], Scalar]] = {
    "l1": l1_loss, "l2": l2_loss, "ssim": ssim_loss, "ms_ssim": ms_ssim_loss, "mixed": mixed_loss,
}  # fmt: skip


def mc_sure(
    denoise: Callable[[Images], Images],
    noisy: Images,
    sigma: Float[torch.Tensor, "batch"] | float,
    direction: Images,
    epsilon: float = 1e-3,
) -> Float[torch.Tensor, " batch"]:
    """Stein's unbiased estimate of each image's mean squared error, without the clean image.

        ‖y − f(y)‖²/N − σ² + 2σ²·div f(y)/N,   div f(y) ≈ nᵀ(f(y + εn) − f(y))/ε

    Its mean over white Gaussian noise of level σ is the mean squared error of f (Stein 1981), for any f that is smooth
    enough. The divergence, how much each pixel of the result moves with its own noise, is estimated in one random
    direction n (Ramani, Blu and Unser 2008).

    Args:
        denoise: f; it is called twice.
        noisy: y, (batch, channel, height, width).
        sigma: the noise level, one for all images or one for each.
        direction: n, standard normal numbers in the shape of `noisy`.
        epsilon: how far the step goes, above 0; small beside σ.

    Returns:
        one number an image, with a gradient if f has one. Single numbers scatter, and may be negative.
    """
    expect.images("noisy", noisy)
    expect.same_shape("direction", expect.images("direction", direction), "noisy", noisy)
    epsilon = expect.number("epsilon", epsilon, above=0)
    estimate = denoise(noisy)
    divergence = (direction * (denoise(noisy + epsilon * direction) - estimate)).mean(dim=(1, 2, 3)) / epsilon
    variance = torch.as_tensor(sigma, dtype=noisy.dtype, device=noisy.device).square()
    return (noisy - estimate).square().mean(dim=(1, 2, 3)) - variance + 2 * variance * divergence
