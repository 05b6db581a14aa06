"""Magnetic resonance imaging: the scanner measures samples of the image's Fourier transform, its k-space.

Transforms are centred and orthonormal: zero frequency stands at [height//2, width//2], and energy is kept.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Complex, Shaped

from course_lib import expect
from course_lib.physics.operators import Constant, LinearOperator

_PLANE = (-2, -1)


def fourier(x: Shaped[torch.Tensor, "*batch height width"]) -> Complex[torch.Tensor, "*batch height width"]:
    """F x: the centred orthonormal 2-D DFT of the last two dimensions."""
    x = torch.fft.ifftshift(_plane("the image", x), dim=_PLANE)
    return torch.fft.fftshift(torch.fft.fft2(x, norm="ortho"), dim=_PLANE)


def inverse_fourier(k: Shaped[torch.Tensor, "*batch height width"]) -> Complex[torch.Tensor, "*batch height width"]:
    """F⁻¹ k = Fᴴ k: the inverse of `fourier`, which is its adjoint because F is unitary."""
    k = torch.fft.ifftshift(_plane("k-space", k), dim=_PLANE)
    return torch.fft.fftshift(torch.fft.ifft2(k, norm="ortho"), dim=_PLANE)


class FourierSampling(LinearOperator):
    """A x = M F x: the samples of k-space at which the mask M is true, and zero elsewhere.

    Zeros keep the measurements on the grid, (..., height, width), so that Aᴴ y = Fᴴ M y is the zero-filled
    image. On the measured samples A Aᴴ is the identity.

    Args:
        mask: (height, width), True where k-space is measured, zero frequency at [height//2, width//2]; or
            (..., height, width) with a mask for each image of a batch or each frame of a film.

    Raises:
        InputError: a mask of another type, with no dimension to sample, or with an element without a sample.
    """

    complex_domain = complex_range = True

    def __init__(self, mask: Bool[torch.Tensor, "*batch height width"]) -> None:
        self.mask = checked_mask(mask)
        self.batch_shape = tuple(mask.shape[:-2])
        super().__init__(mask.shape[-2:], mask.shape[-2:])
        # F is two phases around a plain DFT, which cost less than four shifts
        before, after = _phases(*self.domain_shape)
        self._before, self._samples = Constant(before), Constant(after * mask.cpu())

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft2(self._before.like(x) * x, norm="ortho").mul_(self._samples.like(x))

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return torch.fft.ifft2(self._samples.like(y).conj() * y, norm="ortho").mul_(self._before.like(y).conj())

    def norm(self, iterations: int = 0, tolerance: float = 0.0) -> float:
        """1, exactly: M is a projection and F is unitary."""
        return 1.0


class CoilSampling(LinearOperator):
    """A x = (M F Sᵢ x)ᵢ: what an array of receiver coils measures (Pruessmann et al. 1999, SENSE).

    Each coil sees the image through its sensitivity Sᵢ, and all share one mask.

    Args:
        mask: (height, width) or (..., 1, height, width), True where k-space is measured.
        sensitivities: Sᵢ, complex, (coils, height, width).
    """

    complex_domain = complex_range = True

    def __init__(
        self,
        mask: Bool[torch.Tensor, "*batch height width"],
        sensitivities: Complex[torch.Tensor, "coils height width"],
    ) -> None:
        self.mask = checked_mask(mask)
        expect.tensor("sensitivities", sensitivities, dims=3, shape="(coils, height, width)")
        if not sensitivities.is_complex():
            raise expect.InputError(f"expected complex sensitivities, got {expect.describe(sensitivities)}")
        if sensitivities.shape[-2:] != mask.shape[-2:]:
            raise expect.InputError(
                f"expected mask and sensitivities of one size, got {tuple(mask.shape[-2:])} and "
                f"{tuple(sensitivities.shape[-2:])}"
            )
        if mask.ndim > 2 and mask.shape[-3] != 1:
            raise expect.InputError(
                f"expected one mask for all coils, (..., 1, height, width), got {expect.describe(mask)}"
            )
        super().__init__(mask.shape[-2:], sensitivities.shape)
        self.batch_shape = tuple(mask.shape[:-3])
        self.sensitivities = sensitivities
        # as in FourierSampling: the first phase goes with the maps
        before, after = _phases(*self.domain_shape)
        self._maps, self._samples = Constant(before * sensitivities.cpu()), Constant(after * mask.cpu())

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self._maps.like(x) * x[..., None, :, :]
        return torch.fft.fft2(seen, norm="ortho").mul_(self._samples.like(x))

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        images = torch.fft.ifft2(self._samples.like(y).conj() * y, norm="ortho")
        return images.mul_(self._maps.like(y).conj()).sum(dim=-3)

    def norm(self, iterations: int = 0, tolerance: float = 0.0) -> float:
        """A bound: the largest √(Σᵢ|Sᵢ|²) of a pixel, 1 for the maps of `coil_sensitivities`.

        It is exact where all of k-space is measured, and close where its centre is.
        """
        return float(self.sensitivities.abs().square().sum(dim=0).max().sqrt())


def coil_sensitivities(
    shape: tuple[int, int], coils: int, *, distance: float = 1.5, dtype: torch.dtype = torch.complex64
) -> Complex[torch.Tensor, "coils height width"]:
    """Simulated sensitivities of small coils on a ring around the image (a birdcage array).

    Magnitude falls and phase turns with the distance from each coil: Sᵢ ∝ exp(i·angle from the coil)/distance.
    They are divided by their root sum of squares, so that Σᵢ|Sᵢ|² = 1 in every pixel.

    Args:
        shape: (height, width) of the image.
        coils: number of coils, at least 1.
        distance: of the coils from the centre, in half widths of the image, above 1: they are outside of it.
        dtype: complex64 or complex128.
    """
    expect.count("the number of coils", coils)
    expect.number("the coils' distance", distance, above=1)
    height, width = (expect.image_size(side) for side in shape)
    angle = 2 * torch.pi * torch.arange(coils, dtype=torch.float64)[:, None, None] / coils
    rows = (torch.arange(height, dtype=torch.float64)[:, None] - height // 2) / (height / 2)
    columns = (torch.arange(width, dtype=torch.float64)[None, :] - width // 2) / (width / 2)
    across, along = columns - distance * angle.cos(), rows - distance * angle.sin()
    maps = torch.polar(1 / torch.hypot(across, along), torch.atan2(across, -along) - angle)
    return (maps / maps.abs().square().sum(dim=0).sqrt()).to(dtype)


def point_spread_function(mask: Bool[torch.Tensor, "height width"]) -> Complex[torch.Tensor, "height width"]:
    """The zero-filled image of a single bright pixel in the centre, scaled to 1 there.

    AᴴA is the convolution with it. Its side lobes are the aliasing: a few strong replicas for equispaced lines,
    something like noise for random ones.
    """
    if checked_mask(mask).ndim != 2:
        raise expect.InputError(f"expected a mask (height, width), got {expect.describe(mask)}")
    response = inverse_fourier(mask.to(torch.complex128))
    return response / response[mask.shape[0] // 2, mask.shape[1] // 2]


def checked_mask(mask: object) -> torch.Tensor:
    """Return the mask if it is a boolean tensor with two dimensions or more and a sample in each element."""
    if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool or mask.ndim < 2 or mask.numel() == 0:
        raise expect.InputError(
            f"expected a mask as a torch.Tensor (..., height, width) of dtype bool, got {expect.describe(mask)}"
        )
    if not mask.flatten(-2).any(dim=-1).all():
        raise expect.InputError(f"expected a mask with at least one sample, got none in {expect.describe(mask)}")
    return mask


def _phases(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What turns the plain DFT into `fourier`: F x = after · DFT(before · x), by the shift theorem."""
    before, after = [], []
    for side in (height, width):
        centre, place = side // 2, torch.arange(side, dtype=torch.float64)
        before.append(torch.exp(2j * torch.pi * centre * place / side))
        after.append(torch.exp(2j * torch.pi * centre * (place - centre) / side))
    return torch.outer(*before), torch.outer(*after)


def _plane(name: str, x: torch.Tensor) -> torch.Tensor:
    if not isinstance(x, torch.Tensor) or x.ndim < 2:
        raise expect.InputError(f"expected {name} as a torch.Tensor (..., height, width), got {expect.describe(x)}")
    return x
