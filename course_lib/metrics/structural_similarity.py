"""SSIM and MS-SSIM as formulas that can be differentiated: to learn with, where `metrics.ssim` is to measure with.

Convention, as in Wang et al. (2004): a Gaussian window of 11×11 pixels with standard deviation 1.5, population
variances and covariance, data range 1, c₁ = 0.01², c₂ = 0.03², c₃ = c₂/2; only pixels whose window lies inside the
image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float

from course_lib import expect
from course_lib.metrics.image_quality import SSIM_WINDOW

WINDOW_STD = 1.5
C1, C2 = 0.01**2, 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik 2003
MS_SSIM_SIDE = 96  # halved four times, mirroring by 5 pixels takes at least 6

Images = Float[torch.Tensor, "batch channel height width"]
Maps = Float[torch.Tensor, "batch channel rows columns"]


def ssim_factors(estimate: Images, target: Images) -> tuple[Maps, Maps, Maps]:
    """Luminance, contrast and structure around each pixel; their product is SSIM (deck 001).

    Args:
        estimate, target: at least 11 pixels a side.

    Returns:
        three maps of (height − 10, width − 10) pixels.
    """
    m = _Moments(estimate, target)
    deviations = (m.estimate_variance * m.target_variance).clamp(min=0).sqrt()
    contrast = (2 * deviations + C2) / (m.estimate_variance + m.target_variance + C2)
    structure = (m.covariance + C2 / 2) / (deviations + C2 / 2)
    return m.luminance(), contrast, structure


def ssim_map(estimate: Images, target: Images) -> Maps:
    """SSIM around each pixel, (height − 10, width − 10), in two factors: with c₃ = c₂/2 the deviations cancel.

    This form has a gradient also where an image is flat; the root of a variance has none.
    """
    m = _Moments(estimate, target)
    return m.luminance() * m.contrast_structure()


def ms_ssim(estimate: Images, target: Images) -> Float[torch.Tensor, " batch"]:
    """SSIM on five scales (Wang, Simoncelli and Bovik 2003): each image's own, mean over its channels first.

    Contrast and structure count on every scale, luminance on the coarsest alone; between scales the images are averaged
    over 2×2 pixels. The coarsest images are mirrored at their borders, where few windows lie inside (torchmetrics does
    so too). Factors below 0 are taken as 0, of which every power has a value.

    Args:
        estimate, target: at least 96 pixels a side.
    """
    if min(estimate.shape[-2:]) < MS_SSIM_SIDE:
        size = f"{estimate.shape[-2]}×{estimate.shape[-1]}"
        raise expect.InputError(
            f"expected images of at least {MS_SSIM_SIDE}×{MS_SSIM_SIDE} pixels for MS-SSIM, got {size}"
        )
    *finer, coarsest = SCALE_WEIGHTS
    product = 1.0
    for weight in finer:
        product = product * _power(_Moments(estimate, target).contrast_structure(), weight)
        estimate, target = F.avg_pool2d(estimate, 2), F.avg_pool2d(target, 2)
    mirrored = [F.pad(x, [SSIM_WINDOW // 2] * 4, mode="reflect") for x in (estimate, target)]
    return product * _power(ssim_map(*mirrored), coarsest)


def _power(factor: Maps, weight: float) -> Float[torch.Tensor, " batch"]:
    """A power of each image's mean; the slope of a power is infinite at 0, which would spoil a network's weights."""
    return factor.mean(dim=(1, 2, 3)).clamp(min=1e-6) ** weight


class _Moments:
    """Means, variances and the covariance of two images within the window around each pixel."""

    def __init__(self, estimate: Images, target: Images) -> None:
        expect.images("estimate", estimate)
        expect.images("target", target)
        expect.same_shape("estimate", estimate, "target", target)
        if min(estimate.shape[-2:]) < SSIM_WINDOW:
            size = f"{estimate.shape[-2]}×{estimate.shape[-1]}"
            raise expect.InputError(
                f"expected images of at least {SSIM_WINDOW}×{SSIM_WINDOW} pixels for SSIM, got {size}"
            )
        self.estimate_mean, self.target_mean = _window_mean(estimate), _window_mean(target)
        self.estimate_variance = _window_mean(estimate.square()) - self.estimate_mean.square()
        self.target_variance = _window_mean(target.square()) - self.target_mean.square()
        self.covariance = _window_mean(estimate * target) - self.estimate_mean * self.target_mean

    def luminance(self) -> Maps:
        a, b = self.estimate_mean, self.target_mean
        return (2 * a * b + C1) / (a.square() + b.square() + C1)

    def contrast_structure(self) -> Maps:
        return (2 * self.covariance + C2) / (self.estimate_variance + self.target_variance + C2)


def _window_mean(images: Images) -> Maps:
    """Mean under the Gaussian window, row by row and column by column, without borders."""
    place = torch.arange(SSIM_WINDOW, dtype=images.dtype, device=images.device) - SSIM_WINDOW // 2
    weights = torch.exp(-place.square() / (2 * WINDOW_STD**2))
    weights = (weights / weights.sum()).expand(images.shape[1], 1, 1, -1)
    rows = F.conv2d(images, weights.transpose(2, 3), groups=images.shape[1])
    return F.conv2d(rows, weights, groups=images.shape[1])
