"""The Wiener filter: the best linear, translation-invariant denoiser (Wiener 1950; deck 000).

Everything here uses the unnormalised DFT, as the deck does, with zero frequency first. White noise of variance
σ² then has power nσ² at every frequency, where n is the number of pixels, and Parseval's relation carries 1/n.
This is not `scipy.signal.wiener` (local) nor `skimage.restoration.wiener` (deconvolution).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float

from course_lib import expect
from course_lib.classical.borders import mirror_pad
from course_lib.physics import CircularConvolution

Spectrum = Float[torch.Tensor, "height width"]


def power_spectrum(images: Float[torch.Tensor, "batch channel height width"]) -> Spectrum:
    """S = E|x̂|²: the mean over all images and channels of the squared magnitude of the DFT.

    Args:
        images: real, (batch, channel, height, width).

    Returns:
        (height, width) in the dtype of `images`, at least 0, zero frequency first.
    """
    expect.images("images", images)
    return torch.fft.fft2(images).abs().square().mean(dim=(0, 1))


def wiener_gain(spectrum: Spectrum, sigma: float) -> Spectrum:
    """ŵ = S / (S + nσ²): the share of signal in the power at each frequency.

    Args:
        spectrum: S from `power_spectrum`, at least 0.
        sigma: noise level σ ≥ 0 in the image's units.

    Returns:
        (height, width) in [0, 1]; where S and σ are both 0 nothing is known, and the gain is 0.
    """
    sigma = _checked(spectrum, sigma)
    noise = spectrum.numel() * sigma**2
    return torch.where(spectrum > 0, spectrum / (spectrum + noise), torch.zeros_like(spectrum))


def expected_mse(gain: Spectrum, spectrum: Spectrum, sigma: float) -> Float[torch.Tensor, ""]:
    """Mean squared error a pixel of a filter with any real gain, exactly.

    n⁻²·Σₖ [(1 − ŵₖ)² Sₖ + ŵₖ² nσ²]: what the filter takes from the signal plus what it lets through of the
    noise. At the Wiener gain this is n⁻²·Σₖ Sₖ·nσ²/(Sₖ + nσ²), and no other gain has less.

    Args:
        gain: ŵ, real, (height, width).
        spectrum: S of the images that the filter meets, (height, width).
        sigma: noise level σ ≥ 0.

    Returns:
        a 0-dimensional tensor, in squared units of the image.
    """
    sigma = _checked(spectrum, sigma)
    expect.tensor("gain", gain, dims=2, shape="(height, width)")
    expect.same_shape("gain", gain, "spectrum", spectrum)
    pixels = spectrum.numel()
    lost_signal = (1 - gain).square() * spectrum
    kept_noise = gain.square() * pixels * sigma**2
    return (lost_signal + kept_noise).sum() / pixels**2


def wiener_filter(
    noisy: Float[torch.Tensor, "batch channel height width"], spectrum: Spectrum, sigma: float
) -> Float[torch.Tensor, "batch channel height width"]:
    """The Wiener estimate with periodic borders, as the theory has it.

    Args:
        noisy: y, (batch, channel, height, width).
        spectrum: S on the same (height, width).
        sigma: noise level σ ≥ 0.
    """
    expect.images("noisy", noisy)
    return CircularConvolution(wiener_gain(spectrum, sigma))(noisy)


def radial_profile(
    spectrum: Spectrum,
) -> tuple[Float[torch.Tensor, " radii"], Float[torch.Tensor, " radii"]]:
    """Mean of a spectrum (or a gain) over rings of equal frequency, without zero frequency.

    Args:
        spectrum: (height, width), zero frequency first.

    Returns:
        frequencies in cycles a pixel, up to 0.5, and the mean over each ring; both (radii,).
    """
    expect.tensor("spectrum", spectrum, dims=2, shape="(height, width)")
    height, width = spectrum.shape
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None, :])
    ring = (radius * min(height, width)).round().long().flatten()
    total = torch.bincount(ring, weights=spectrum.flatten().double()) / torch.bincount(ring).clamp(min=1)
    last = min(height, width) // 2
    frequencies = torch.arange(1, last + 1, dtype=spectrum.dtype) / min(height, width)
    return frequencies, total[1 : last + 1].to(spectrum.dtype)


def gain_kernel(gain: Spectrum) -> Spectrum:
    """The filter in space: weights of the surrounding pixels, the pixel itself at [height//2, width//2]."""
    expect.tensor("gain", gain, dims=2, shape="(height, width)")
    return torch.fft.fftshift(torch.fft.ifft2(gain).real)


def effective_width(gain: Spectrum) -> float:
    """Side in pixels of the square whose plain mean suppresses noise as much: |Σ w| / √(Σ w²)."""
    expect.tensor("gain", gain, dims=2, shape="(height, width)")
    return float(gain[0, 0].abs() / gain.abs().square().mean().sqrt())


def wiener_denoise(
    noisy: Float[torch.Tensor, "batch channel height width"],
    spectrum: Float[torch.Tensor, "rows columns"],
    sigma: float,
    radius: int = 32,
) -> Float[torch.Tensor, "batch channel height width"]:
    """The Wiener estimate for images of any size, mirrored at their borders.

    The filter is designed on the grid of `spectrum`, cut to `radius` pixels around its centre and scaled to
    keep its gain at zero frequency. Mirroring avoids the seam that periodic borders leave in photographs.

    Args:
        noisy: y, (batch, channel, height, width), of any size.
        spectrum: S on a grid of its own, of at least 2·radius + 1 pixels a side.
        sigma: noise level σ ≥ 0.
        radius: how far the filter reaches, in pixels.
    """
    expect.images("noisy", noisy)
    gain = wiener_gain(spectrum, expect.sigma(sigma, noisy))
    kernel = gain_kernel(gain)
    row, column = kernel.shape[0] // 2, kernel.shape[1] // 2
    if min(kernel.shape) <= 2 * radius:
        raise expect.InputError(
            f"expected a spectrum of at least {2 * radius + 1} pixels a side, got {tuple(kernel.shape)}"
        )
    kernel = kernel[row - radius : row + radius + 1, column - radius : column + radius + 1]
    return filter_symmetric(noisy, kernel * (gain[0, 0] / kernel.sum()))


def filter_symmetric(
    images: Float[torch.Tensor, "batch channel height width"], kernel: Float[torch.Tensor, "rows columns"]
) -> Float[torch.Tensor, "batch channel height width"]:
    """Convolve with a kernel of odd sides, the image mirrored at its borders."""
    expect.images("images", images)
    expect.tensor("kernel", kernel, dims=2, shape="(rows, columns)")
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    mirrored = mirror_pad(images, rows, columns)
    blur = CircularConvolution.from_kernel(kernel.to(images.dtype), tuple(mirrored.shape[-2:]))
    return F.pad(blur(mirrored), (-columns, -columns, -rows, -rows))


def _checked(spectrum: torch.Tensor, sigma: float) -> float:
    expect.tensor("spectrum", spectrum, dims=2, shape="(height, width)")
    if spectrum.is_complex() or (spectrum < 0).any():
        raise expect.InputError(
            f"expected a power spectrum of at least 0, got {expect.describe(spectrum)} with other values"
        )
    return expect.sigma(sigma)
