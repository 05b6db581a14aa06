"""Mean squared error, NMSE, PSNR and SSIM, in the one convention of the course."""

from __future__ import annotations

import torch
from jaxtyping import Float

from course_lib import expect

SSIM_WINDOW = 11  # pixels: Gaussian of standard deviation 1.5, cut at 3.5 of them


def mse(
    estimate: Float[torch.Tensor, "batch channel height width"],
    target: Float[torch.Tensor, "batch channel height width"],
) -> Float[torch.Tensor, " batch"]:
    """Mean squared error of each image, over all of its pixels and channels."""
    expect.images("estimate", estimate)
    expect.images("target", target)
    expect.same_shape("estimate", estimate, "target", target)
    return (estimate - target).square().mean(dim=(1, 2, 3))


def nmse(
    estimate: Float[torch.Tensor, "batch channel height width"],
    target: Float[torch.Tensor, "batch channel height width"],
) -> Float[torch.Tensor, " batch"]:
    """Normalised mean squared error of each image, ‖x̂ − x‖²/‖x‖²: the same in any unit of intensity.

    The formula is fastMRI's (Zbontar et al. 2018), which takes a whole volume as one image; here each slice has
    its own value, as it has its own PSNR.

    Raises:
        InputError: a target that is 0 everywhere.
    """
    energy = mse(target, torch.zeros_like(target))
    if (energy == 0).any():
        raise expect.InputError("expected targets with a value other than 0 for NMSE, got one of zeros")
    return mse(estimate, target) / energy


def psnr(
    estimate: Float[torch.Tensor, "batch channel height width"],
    target: Float[torch.Tensor, "batch channel height width"],
) -> Float[torch.Tensor, " batch"]:
    """Peak signal-to-noise ratio of each image in dB: −10·log₁₀(MSE), for peak 1.

    Nothing is clipped, and the background counts. The mean over images of this is the course's PSNR of a set;
    it is not the PSNR of the mean error. Equal images give infinity.
    """
    return -10 * torch.log10(mse(estimate, target))


def ssim(
    estimate: Float[torch.Tensor, "batch channel height width"],
    target: Float[torch.Tensor, "batch channel height width"],
) -> Float[torch.Tensor, " batch"]:
    """Structural similarity (Wang et al. 2004) of each image, in [−1, 1].

    Gaussian window of standard deviation 1.5 (11×11), population covariance, data range 1, mean over
    channels and over pixels whose window lies inside the image: scikit-image's `structural_similarity` with
    the settings of the paper.

    Raises:
        InputError: images smaller than the window of 11×11 pixels.
    """
    from skimage.metrics import structural_similarity

    expect.images("estimate", estimate)
    expect.images("target", target)
    expect.same_shape("estimate", estimate, "target", target)
    if min(estimate.shape[-2:]) < SSIM_WINDOW:
        raise expect.InputError(
            f"expected images of at least {SSIM_WINDOW}×{SSIM_WINDOW} pixels for SSIM, "
            f"got {estimate.shape[-2]}×{estimate.shape[-1]}"
        )
    values = [
        structural_similarity(
            a.detach().cpu().double().numpy(), b.detach().cpu().double().numpy(), channel_axis=0, data_range=1.0,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
        for a, b in zip(estimate, target, strict=True)
    ]  # fmt: skip
    return torch.tensor(values, dtype=estimate.dtype)


def snr(
    estimate: Float[torch.Tensor, "batch channel height width"],
    target: Float[torch.Tensor, "batch channel height width"],
) -> Float[torch.Tensor, " batch"]:
    """Signal-to-noise ratio of each image in dB, 10·log₁₀(‖x‖²/‖x̂ − x‖²): PSNR with the image's own power as its peak.

    Raises:
        InputError: a target that is 0 everywhere.
    """
    return -10 * torch.log10(nmse(estimate, target))


def correlation(
    estimate: Float[torch.Tensor, "batch channel height width"],
    target: Float[torch.Tensor, "batch channel height width"],
) -> Float[torch.Tensor, " batch"]:
    """Coefficient of correlation (CoC) of each image with its target, over pixels and channels, from −1 to 1.

    It does not see a wrong contrast or brightness.

    Raises:
        InputError: an image or a target without any contrast.
    """
    expect.images("estimate", estimate)
    expect.images("target", target)
    expect.same_shape("estimate", estimate, "target", target)
    return _cosine(*(x.double() - x.double().mean(dim=(1, 2, 3), keepdim=True) for x in (estimate, target)))


def edge_preservation(
    estimate: Float[torch.Tensor, "batch channel height width"],
    target: Float[torch.Tensor, "batch channel height width"],
) -> Float[torch.Tensor, " batch"]:
    """Edge-preservation index (EPI) of each image: the correlation of the Laplacians (Sattar et al. 1997).

    The Laplacian is a pixel's four neighbours minus four times itself, inside the image. 1 means that every edge is
    where it was and as strong as the others; blurring and noise both lower it.

    Raises:
        InputError: images under 3 pixels a side, an image or a target without any edge.
    """
    expect.images("estimate", estimate)
    expect.images("target", target)
    expect.same_shape("estimate", estimate, "target", target)
    if min(estimate.shape[-2:]) < 3:
        raise expect.InputError(f"expected images of at least 3×3 pixels, got {tuple(estimate.shape[-2:])}")
    edges = [_laplacian(x.double()) for x in (estimate, target)]
    return _cosine(*(x - x.mean(dim=(1, 2, 3), keepdim=True) for x in edges))


def _laplacian(x: torch.Tensor) -> torch.Tensor:
    inside = x[..., 1:-1, 1:-1]
    return x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:] - 4 * inside


def _cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    sizes = [x.square().sum(dim=(1, 2, 3)).sqrt() for x in (a, b)]
    if any((size == 0).any() for size in sizes):
        raise expect.InputError("expected images with some contrast, got one that is the same everywhere")
    return ((a * b).sum(dim=(1, 2, 3)) / (sizes[0] * sizes[1])).float()
