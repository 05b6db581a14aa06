"""The linear minimum-mean-square-error estimator as a matrix (deck 004: x̂ = W y + b)."""

from __future__ import annotations

import torch
from jaxtyping import Float

from course_lib import expect


def extract_patches(
    images: Float[torch.Tensor, "batch 1 height width"], size: int, stride: int = 1
) -> Float[torch.Tensor, "count pixels"]:
    """All square patches of grey images, each written row after row as one vector of size² pixels."""
    expect.images("images", images)
    expect.image_size(size)
    expect.count("the stride", stride)
    if images.shape[1] != 1 or min(images.shape[-2:]) < size:
        raise expect.InputError(f"expected grey images of at least {size}×{size} pixels, got {expect.describe(images)}")
    return torch.nn.functional.unfold(images, size, stride=stride).transpose(1, 2).reshape(-1, size * size)


def linear_mmse(
    mean: Float[torch.Tensor, " pixels"], covariance: Float[torch.Tensor, "pixels pixels"], sigma: float
) -> tuple[Float[torch.Tensor, "pixels pixels"], Float[torch.Tensor, " pixels"]]:
    """The affine map y ↦ W y + b with the least mean squared error for y = x + z, z ~ N(0, σ²I).

    W = C (C + σ²I)⁻¹ and b = (I − W) μ, where μ and C are the mean and the covariance of x. It is the
    Wiener filter without the assumption of translation invariance: if C is circulant, W is a circular
    convolution, and its gain is the Wiener gain.

    Args:
        mean: μ, (pixels,).
        covariance: C, (pixels, pixels), symmetric, no eigenvalue below 0.
        sigma: noise level σ > 0.

    Returns:
        W (pixels, pixels) and b (pixels,); apply them to rows of patches as `y @ W.T + b`.
    """
    expect.tensor("mean", mean, dims=1, shape="(pixels,)")
    expect.tensor("covariance", covariance, dims=2, shape="(pixels, pixels)")
    sigma = expect.number("the noise level sigma", sigma, above=0)
    if mean.dtype != covariance.dtype:
        raise expect.InputError(f"expected mean and covariance of one dtype, got {mean.dtype} and {covariance.dtype}")
    if tuple(covariance.shape) != (mean.numel(),) * 2:
        raise expect.InputError(f"expected a covariance of shape {(mean.numel(),) * 2}, got {tuple(covariance.shape)}")
    identity = torch.eye(mean.numel(), dtype=covariance.dtype)
    # C (C + σ²I)⁻¹ by solving with the symmetric matrix, which is more accurate than its inverse
    W = torch.linalg.solve(covariance + sigma**2 * identity, covariance).mT
    return W, mean - W @ mean
