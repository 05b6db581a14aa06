"""What a ReLU network does to one image, exactly: f(y) = A_y y + b_y (Mohan, Kadkhodaie et al. 2020; deck 000).

Around an image no ReLU changes sides, and a network of convolutions and ReLUs is an affine map: A_y is its Jacobian
at y, and the net bias b_y = f(y) − A_y y is what it would return if it were given nothing. Without additive constants
b_y is 0. A_y is a matrix of pixels × pixels: whole, it is only made for a patch.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import nn

from course_lib import expect

Images = Float[torch.Tensor, "batch channel height width"]
Matrix = Float[torch.Tensor, "rows columns"]


def local_affine_map(network: nn.Module, y: Images) -> tuple[Images, Images]:
    """A_y y and b_y: what a network makes of an image, and what it adds of its own.

    One Jacobian-vector product with the image itself: the derivative of f at y in the direction y.

    Args:
        network: in evaluation mode; images of a batch do not mix.
        y: images, (batch, channel, height, width).

    Returns:
        (A_y y, b_y), both in the shape of f(y); their sum is f(y).
    """
    _check(network, y)
    with torch.no_grad():
        estimate, linear_part = torch.func.jvp(network, (y,), (y,))
    return linear_part, estimate - linear_part


def adaptive_filter(
    network: nn.Module, y: Float[torch.Tensor, "1 1 height width"], row: int, column: int
) -> Float[torch.Tensor, "height width"]:
    """The row of A_y that makes one pixel of f(y), as an image: with which weights each pixel of y enters.

    Args:
        network: in evaluation mode.
        y: one grey image.
        row, column: of the pixel of f(y).

    Raises:
        InputError: several images, or a pixel outside the image.
    """
    _check(network, y, one=True)
    for name, value, side in (("row", row, y.shape[-2]), ("column", column, y.shape[-1])):
        if expect.count(name, value, least=0) >= side:
            raise expect.InputError(f"expected {name} from 0 to {side - 1}, got {value}")
    y = y.detach().clone().requires_grad_()
    return torch.autograd.grad(network(y)[0, 0, row, column], y)[0][0, 0]


def jacobian(
    network: nn.Module, y: Float[torch.Tensor, "1 1 height width"], *, chunk: int = 128
) -> Float[torch.Tensor, "pixels pixels"]:
    """The whole of A_y, for a patch: row i makes pixel i of f(y), column j says what pixel j of y does.

    All columns are derivatives in the directions of single pixels, `chunk` of them in one pass through the network.

    Args:
        network: in evaluation mode.
        y: one grey patch of n pixels, numbered row by row.
        chunk: directions a pass; more are faster and take more memory.

    Returns:
        A_y, (n, n); it needs 4·n² bytes, 4 MB for 32 × 32 pixels and 17 GB for 256 × 256.

    Raises:
        InputError: several images, or a patch of more than 64 × 64 pixels.
    """
    _check(network, y, one=True)
    pixels = y.numel()
    if pixels > 64 * 64:
        raise expect.InputError(f"expected a patch of at most {64 * 64} pixels, got {y.shape[-2]}×{y.shape[-1]}")
    directions = torch.eye(pixels, dtype=y.dtype, device=y.device).view(pixels, *y.shape)

    def derivative(direction: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(network, (y,), (direction,))[1].flatten()

    with torch.no_grad():
        return torch.func.vmap(derivative, chunk_size=expect.count("chunk", chunk))(directions).T


def effective_dimension(singular_values: Float[torch.Tensor, " count"]) -> float:
    """Σ s²: how many dimensions a denoiser keeps. A projection onto d dimensions has d; noise of variance σ² in each
    pixel leaves it with a total variance of σ²·Σ s², whatever the singular vectors."""
    expect.tensor("singular_values", singular_values, dims=1, shape="(count,)")
    return float(singular_values.square().sum())


def nestedness(inner: Float[torch.Tensor, "pixels few"], outer: Float[torch.Tensor, "pixels many"]) -> float:
    """How far one subspace lies in another: the root mean square cosine between it and its shadow there.

    √(‖outerᵀ inner‖² / few): 1 when `inner` lies in `outer`, 0 when it is orthogonal to it, and for a random `inner`
    √(many / pixels) on average of the square.

    Args:
        inner: an orthonormal basis in its columns, of the smaller subspace.
        outer: an orthonormal basis in its columns.

    Raises:
        InputError: columns that are not orthonormal, or vectors of different lengths.
    """
    for name, basis in (("inner", inner), ("outer", outer)):
        expect.tensor(name, basis, dims=2, shape="(pixels, dimensions)")
        gram = basis.T @ basis
        if not torch.allclose(gram, torch.eye(len(gram), dtype=gram.dtype, device=gram.device), atol=1e-3):
            raise expect.InputError(f"expected {name} with orthonormal columns, got {expect.describe(basis)} without")
    if len(inner) != len(outer):
        raise expect.InputError(f"expected bases of one space, got {len(inner)} and {len(outer)} pixels")
    return float((outer.T @ inner).square().sum() / inner.shape[1]) ** 0.5


def _check(network: nn.Module, y: Images, *, one: bool = False) -> None:
    expect.images("y", y)
    if one and y.shape[:2] != (1, 1):
        raise expect.InputError(f"expected one grey image (1, 1, height, width), got {expect.describe(y)}")
    if isinstance(network, nn.Module) and network.training:
        raise expect.InputError("expected the network in evaluation mode: call its .eval() first")
