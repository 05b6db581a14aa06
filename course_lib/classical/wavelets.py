"""Wavelet transforms as linear operators, with the filters of PyWavelets: orthonormal, and undecimated.

Borders are periodic, so that the first is orthonormal exactly and both run on any device, through autograd.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch

from course_lib import expect
from course_lib.physics import LinearOperator
from course_lib.physics.operators import Constant

MOST_LEVELS = 4
SMALL = 32  # pixels a side: up to here one product with a matrix costs less than many passes over few numbers

Filters = tuple[tuple[float, ...], tuple[float, ...]]  # low-pass and high-pass taps, for analysis


class OrthogonalWavelet(LinearOperator):
    """The orthonormal wavelet transform W: Wᴴ W = W Wᴴ = I. Coefficients keep the image's shape.

    The coarse image stands in the upper left corner, details around it, finest outside (Mallat's layout).

    Args:
        shape: (height, width), each divisible by 2^levels.
        wavelet: an orthogonal wavelet of PyWavelets, such as "haar" or "db4".
        levels: number of scales; without it as many as the shape allows, at most 4.

    Raises:
        InputError: an unknown or not orthogonal wavelet, or a shape that cannot be halved `levels` times.
    """

    complex_domain = True
    orthonormal = True

    def __init__(self, shape: tuple[int, int], wavelet: str = "db4", levels: int | None = None) -> None:
        height, width = (expect.image_size(side) for side in shape)
        filters = _filters(wavelet)
        halvings = _halvings(math.gcd(height, width))
        levels = min(MOST_LEVELS, halvings) if levels is None else expect.count("the number of levels", levels)
        if not 1 <= levels <= halvings:
            raise expect.InputError(
                f"expected sides divisible by {2 ** max(levels, 1)} for {max(levels, 1)} levels, got {height}×{width}; "
                "the undecimated transform takes any size"
            )
        super().__init__((height, width), (height, width))
        self.levels = levels
        self._filters = filters

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._analyse(x, self.levels)

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return self._synthesise(y, self.levels)

    def _analyse(self, x: torch.Tensor, levels: int) -> torch.Tensor:
        y = _split(_split(x, self._filters, dim=-1), self._filters, dim=-2)
        if levels > 1:
            y[_coarse(y)] = self._analyse(y[_coarse(y)], levels - 1)
        return y

    def _synthesise(self, y: torch.Tensor, levels: int) -> torch.Tensor:
        if levels > 1:
            y = y.clone()
            y[_coarse(y)] = self._synthesise(y[_coarse(y)], levels - 1)
        return _merge(_merge(y, self._filters, dim=-2), self._filters, dim=-1)

    def norm(self, iterations: int = 0, tolerance: float = 0.0) -> float:
        """1, exactly."""
        return 1.0


class UndecimatedWavelet(LinearOperator):
    """All shifts of a wavelet transform at once (Coifman and Donoho 1995): Wᴴ W = I, 3·levels + 1 bands.

    Each band is a convolution, so any size will do, and no shift of the grid is preferred.

    Args:
        shape: (height, width).
        wavelet: an orthogonal wavelet of PyWavelets.
        levels: number of scales, at least 1.
    """

    complex_domain = True

    def __init__(self, shape: tuple[int, int], wavelet: str = "db4", levels: int = MOST_LEVELS) -> None:
        height, width = (expect.image_size(side) for side in shape)
        low, high = _filters(wavelet)
        expect.count("the number of levels", levels)
        bands, coarse = [], torch.ones(height, width, dtype=torch.complex128)
        for level in range(levels):
            (low_rows, high_rows), (low_columns, high_columns) = (
                [_response(f, side, 2**level) for f in (low, high)] for side in (height, width)
            )
            details = [(low_rows, high_columns), (high_rows, low_columns), (high_rows, high_columns)]
            bands += [coarse * torch.outer(rows, columns) for rows, columns in details]
            coarse = coarse * torch.outer(low_rows, low_columns)
        self._responses = Constant(torch.stack([*bands, coarse]))
        self.levels = levels
        super().__init__((height, width), (3 * levels + 1, height, width))

    def shift_weights(self) -> torch.Tensor:
        """2^−level for each band: with them the ℓ1 norm is the mean of the orthonormal one over all shifts."""
        scale = [2.0**-level for level in range(1, self.levels + 1) for _ in range(3)]
        return torch.tensor([*scale, 2.0**-self.levels], dtype=torch.float64)[:, None, None]

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.fft.ifft2(self._responses.like(x) * torch.fft.fft2(x)[..., None, :, :])
        return y if x.is_complex() else y.real

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        x = torch.fft.ifft2((self._responses.like(y).conj() * torch.fft.fft2(y)).sum(dim=-3))
        return x if y.is_complex() else x.real

    def norm(self, iterations: int = 0, tolerance: float = 0.0) -> float:
        """1, exactly."""
        return 1.0


def _filters(wavelet: str) -> Filters:
    """Low-pass and high-pass analysis filters."""
    import pywt

    try:
        found = pywt.Wavelet(wavelet)
    except (ValueError, TypeError, AttributeError):
        raise expect.InputError(f'expected the name of a wavelet, such as "haar" or "db4", got {wavelet!r}') from None
    # PyWavelets calls "dmey" orthogonal, whose filter is a cut one: its even shifts overlap by 2e-3
    overlaps = np.correlate(found.dec_lo, found.dec_lo, "full")[len(found.dec_lo) - 1 :: 2]
    if not found.orthogonal or abs(overlaps[1:]).max(initial=0) > 1e-9:
        raise expect.InputError(f"expected an orthogonal wavelet, got {wavelet!r}")
    return tuple(found.dec_lo), tuple(found.dec_hi)


def _coarse(y: torch.Tensor) -> tuple:
    """Where the coarse image stands: the upper left quarter."""
    return (..., slice(y.shape[-2] // 2), slice(y.shape[-1] // 2))


def _split(x: torch.Tensor, filters: Filters, dim: int) -> torch.Tensor:
    """One level along one dimension: the low-pass half, then the high-pass half (periodic, as PyWavelets does it).

    Output i is Σₖ tap₋ₖ·x[2i + k − reach], with the taps taken from the last one on, two at a time.
    """
    if x.shape[dim] <= SMALL:
        return _product(_matrix(filters, x.shape[dim], x.dtype, x.device), x, dim)
    reach = len(filters[0]) // 2 - 1
    even, odd = (x.roll(reach, dim) if reach else x).unflatten(dim, (-1, 2)).unbind(dim)
    halves = [(taps[-1] * even).add_(odd, alpha=taps[-2]) for taps in filters]
    for j in range(1, reach + 1):
        a, b = even.roll(-j, dim), odd.roll(-j, dim)
        for half, taps in zip(halves, filters, strict=True):
            half.add_(a, alpha=taps[-1 - 2 * j]).add_(b, alpha=taps[-2 - 2 * j])
    return torch.cat(halves, dim)


def _merge(y: torch.Tensor, filters: Filters, dim: int) -> torch.Tensor:
    """The transpose of `_split`, which is its inverse."""
    if y.shape[dim] <= SMALL:
        return _product(_matrix(filters, y.shape[dim], y.dtype, y.device).mT, y, dim)
    reach = len(filters[0]) // 2 - 1
    low, high = y.chunk(2, dim)
    even, odd = ((filters[0][k] * low).add_(high, alpha=filters[1][k]) for k in (-1, -2))
    for j in range(1, reach + 1):
        for half, taps in zip((low.roll(j, dim), high.roll(j, dim)), filters, strict=True):
            even.add_(half, alpha=taps[-1 - 2 * j])
            odd.add_(half, alpha=taps[-2 - 2 * j])
    x = torch.stack([even, odd], dim).flatten(dim - 1, dim)
    return x.roll(-reach, dim) if reach else x


@cache
def _matrix(filters: Filters, size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """`_split` of a short signal, written out: the library's transform of every unit vector."""
    import pywt

    bank = pywt.Wavelet("bank", filter_bank=(*filters, *filters))  # the last two, for synthesis, are not used
    low, high = pywt.dwt(np.eye(size), bank, mode="periodization", axis=0)
    with torch.inference_mode(False):  # it is kept, and training may use it later
        return torch.from_numpy(np.concatenate([low, high])).to(device, dtype)


def _product(matrix: torch.Tensor, x: torch.Tensor, dim: int) -> torch.Tensor:
    return matrix @ x if dim == -2 else x @ matrix.mT


def _response(taps: tuple[float, ...], side: int, dilation: int) -> torch.Tensor:
    """Frequency response of a filter with zeros put between its taps, scaled so that |low|² + |high|² = 1."""
    omega = 2 * torch.pi * torch.fft.fftfreq(side, dtype=torch.float64)
    place = dilation * torch.arange(len(taps), dtype=torch.float64)
    waves = torch.exp(-1j * omega[:, None] * place)
    return waves @ torch.tensor(taps, dtype=torch.complex128) / math.sqrt(2)


def _halvings(side: int) -> int:
    return (side & -side).bit_length() - 1
