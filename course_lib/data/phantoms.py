"""Phantoms made of ellipses: their image, their sinogram and their k-space are all known exactly.

A measurement computed from the ellipses themselves knows nothing of pixels. To reconstruct from it is honest; to
reconstruct from what the same discrete operator measured is the "inverse crime".

Lengths are fractions of half the image's side, x to the right and y upwards from the image's centre, which is the
pixel (size//2, size//2). One such unit is size/2 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float

from course_lib import expect


class Ellipse(NamedTuple):
    """An ellipse of constant value, which adds to what lies beneath it."""

    value: float
    """what it adds to the image"""
    semi_x: float
    """semi-axis along x before the rotation, as a fraction of half the side"""
    semi_y: float
    """semi-axis along y before the rotation, likewise"""
    x: float
    """centre, to the right, likewise"""
    y: float
    """centre, upwards, likewise"""
    degrees: float = 0.0
    """rotation about its own centre, counter-clockwise"""


# The modified Shepp–Logan phantom: positions of Shepp & Logan (1974), contrast of Toft (PhD thesis, 1996).
SHEPP_LOGAN = (
    Ellipse(1.0, 0.69, 0.92, 0, 0),
    Ellipse(-0.8, 0.6624, 0.874, 0, -0.0184),
    Ellipse(-0.2, 0.11, 0.31, 0.22, 0, -18),
    Ellipse(-0.2, 0.16, 0.41, -0.22, 0, 18),
    Ellipse(0.1, 0.21, 0.25, 0, 0.35),
    Ellipse(0.1, 0.046, 0.046, 0, 0.1),
    Ellipse(0.1, 0.046, 0.046, 0, -0.1),
    Ellipse(0.1, 0.046, 0.023, -0.08, -0.605),
    Ellipse(0.1, 0.023, 0.023, 0, -0.606),
    Ellipse(0.1, 0.023, 0.046, 0.06, -0.605),
)

# A slice through the chest: body, two lungs, spine, and the muscle around the heart.
CHEST = (
    Ellipse(0.35, 0.9, 0.72, 0, 0),
    Ellipse(-0.25, 0.27, 0.45, -0.5, 0.05, 6),
    Ellipse(-0.25, 0.27, 0.45, 0.5, 0.05, -6),
    Ellipse(0.35, 0.12, 0.12, 0, -0.5),
    Ellipse(0.15, 0.21, 0.3, 0, 0.15),
)
HEART = Ellipse(0.35, 0.13, 0.2, 0, 0.15)
VESSEL = Ellipse(0.5, 0.06, 0.06, 0.1, -0.27)  # where the contrast agent passes


def ellipse_phantom(
    size: int, *, supersampling: int = 4, ellipses: Sequence[Ellipse] = SHEPP_LOGAN
) -> Float[torch.Tensor, "1 1 size size"]:
    """The image of the ellipses: each pixel is the mean over its area.

    Args:
        size: pixels a side, at least 2.
        supersampling: points a side of each pixel at which the mean is taken, at least 1.
        ellipses: what to draw; by default the modified Shepp–Logan phantom.

    Returns:
        float32, (1, 1, size, size); the Shepp–Logan phantom is in [0, 1].
    """
    expect.image_size(size)
    expect.count("supersampling", supersampling)
    image = torch.zeros(size, size, dtype=torch.float64)
    for ellipse in _checked(ellipses):
        image += ellipse.value * _coverage(ellipse, size, supersampling)
    # 1 − 0.8 − 0.2 is −5e-17 in floating point
    return image.round(decimals=12)[None, None].float()


def ellipse_sinogram(
    size: int,
    angles: Float[torch.Tensor, " views"],
    *,
    detectors: int | None = None,
    ellipses: Sequence[Ellipse] = SHEPP_LOGAN,
) -> Float[torch.Tensor, "1 1 views detectors"]:
    """The exact line integrals of the ellipses, in the geometry and the units of `physics.Radon`.

    A line at signed distance t from the centre of an ellipse with semi-axes a and b, seen at an angle θ from its
    own axes, meets it over a length of 2ab·√(α² − t²)/α², where α² = a²cos²θ + b²sin²θ (Kak & Slaney 1988,
    section 3.1).

    Args:
        size: pixels a side of the image that the sinogram belongs to; one detector is one pixel wide.
        angles: θ in radians, (views,).
        detectors: how many, around the one at detectors//2 that looks at the centre; by default `size`.
        ellipses: what to measure.

    Returns:
        (1, 1, views, detectors) in the dtype of `angles`, in units of pixels.
    """
    expect.image_size(size)
    expect.tensor("angles", angles, dims=1, shape="(views,)")
    detectors = size if detectors is None else expect.count("detectors", detectors)
    unit = size / 2
    theta = angles.double()[:, None]
    t = (torch.arange(detectors, dtype=torch.float64, device=angles.device) - detectors // 2) / unit
    sinogram = torch.zeros(len(angles), detectors, dtype=torch.float64, device=angles.device)
    for value, a, b, x, y, degrees in _checked(ellipses):
        own_theta = theta - math.radians(degrees)
        alpha2 = (a * own_theta.cos()) ** 2 + (b * own_theta.sin()) ** 2
        own_t = t - (x * theta.cos() + y * theta.sin())
        sinogram += 2 * value * a * b * (alpha2 - own_t**2).clamp(min=0).sqrt() / alpha2
    return (unit * sinogram)[None, None].to(angles.dtype)


def ellipse_kspace(size: int, *, ellipses: Sequence[Ellipse] = SHEPP_LOGAN) -> Complex[torch.Tensor, "1 1 size size"]:
    """The exact Fourier transform of the ellipses on the centred, orthonormal grid of a `size` × `size` image.

    At (u, v) cycles along x and y it is ab·J₁(2πκ)/κ·exp(−2πi(ux + vy)), with κ² = (au′)² + (bv′)² in the
    ellipse's own axes, and πab·value at zero (Van de Walle et al., IEEE Trans. Med. Imaging 19, 2000).

    Close to `fftshift(fft2(ifftshift(image), norm="ortho"))` of the phantom's image at low frequencies. At high
    ones they differ, because pixels fold what lies beyond the grid: an image from this k-space rings at edges
    (Gibbs), as a scanner's does.

    Args:
        size: samples a side; the zero frequency is at (size//2, size//2).
        ellipses: what to measure.

    Returns:
        complex64, (1, 1, size, size); rows are frequencies downwards, columns to the right.
    """
    expect.image_size(size)
    cycles = (torch.arange(size, dtype=torch.float64) - size // 2) / 2  # a unit of length
    u, v = cycles, -cycles[:, None]
    kspace = torch.zeros(size, size, dtype=torch.complex128)
    for value, a, b, x, y, degrees in _checked(ellipses):
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        kappa = torch.hypot(a * (u * cos + v * sin), b * (v * cos - u * sin))
        radial = torch.where(kappa > 0, torch.special.bessel_j1(2 * math.pi * kappa) / kappa, math.pi)
        kspace += value * a * b * torch.polar(radial, -2 * math.pi * (u * x + v * y))
    pixels_per_area = (size / 2) ** 2
    return (kspace * pixels_per_area / size)[None, None].to(torch.complex64)


def moving_phantom(frames: int, size: int, *, period: int = 8) -> Float[torch.Tensor, "frames 1 size size"]:
    """A chest in time: still background, a beating heart, and a vessel that fills with contrast agent and empties.

    The background with the vessel is of rank 2 over time, however many frames there are; the heart changes few
    pixels. Low-rank plus sparse reconstruction is made for that (Otazo et al., Magn. Reson. Med. 73, 2015).

    Args:
        frames: how many, at least 1. The vessel fills and empties once over all of them.
        size: pixels a side, at least 2.
        period: frames from one heartbeat to the next, at least 1.

    Returns:
        float32 in [0, 1], (frames, 1, size, size).
    """
    expect.count("frames", frames)
    expect.count("period", period)
    background = ellipse_phantom(size, ellipses=CHEST)[0]
    vessel = ellipse_phantom(size, ellipses=[VESSEL])[0]
    return torch.stack([
        background + _uptake((n + 0.5) / frames) * vessel + ellipse_phantom(size, ellipses=[_beat(n / period)])[0]
        for n in range(frames)
    ])  # fmt: skip


def _beat(phase: float) -> Ellipse:
    """The heart at a time in beats: at 1/2 it is smallest and highest."""
    contraction = (1 - math.cos(2 * math.pi * phase)) / 2
    size = 1 - 0.3 * contraction
    return HEART._replace(semi_x=size * HEART.semi_x, semi_y=size * HEART.semi_y, y=HEART.y + 0.04 * contraction)


def _uptake(time: float) -> float:
    """Contrast agent in the vessel, for time from 0 to 1: a fast rise to 1 at 0.3, then a slow fall."""
    return time / 0.3 * math.exp(1 - time / 0.3)


def _coverage(ellipse: Ellipse, size: int, supersampling: int) -> Float[torch.Tensor, "size size"]:
    """The share of every pixel that lies within the ellipse."""
    _, a, b, x, y, degrees = ellipse
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    within_pixel = (torch.arange(supersampling, dtype=torch.float64) + 0.5) / supersampling - 0.5
    positions = torch.arange(size, dtype=torch.float64)[:, None] - size // 2 + within_pixel
    positions = positions.flatten() / (size / 2)
    right, up = positions - x, -positions[:, None] - y
    inside = ((right * cos + up * sin) / a) ** 2 + ((up * cos - right * sin) / b) ** 2 <= 1
    return inside.double().view(size, supersampling, size, supersampling).mean(dim=(1, 3))


def _checked(ellipses: Sequence[Ellipse]) -> Sequence[Ellipse]:
    if not isinstance(ellipses, Sequence) or any(not isinstance(e, Ellipse) for e in ellipses):
        raise expect.InputError(f"expected a list of data.Ellipse, got {expect.describe(ellipses)}")
    for e in ellipses:
        if not all(map(math.isfinite, e)) or e.semi_x <= 0 or e.semi_y <= 0:
            raise expect.InputError(f"expected ellipses with finite numbers and semi-axes above 0, got {tuple(e)}")
    return ellipses
