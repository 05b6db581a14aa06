"""The cascade against dictionary learning and wavelets, and its layer against the formula written with torch.fft.

Slices of unseen subjects, 128 × 128, random lines at R = 4, one after the other. Wavelets run to their stopping rule
with the weight and the transform of `course evaluate`; dictionary learning as `course evaluate compressed_sensing`
calls it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch

from course_lib import classical, data, networks, physics
from course_lib.coursework.evaluate import WAVELET_WEIGHT

ACCELERATION, SLICES = 4, 3
PLANE = (-2, -1)


def cascade(pair: Callable[..., object]) -> list[object]:
    """Rows of `pair(name, ours, theirs, peer)`."""
    x, y, mask = physics.scan(data.brain_population("test", SLICES, 1), ACCELERATION, torch.Generator().manual_seed(0))
    network = networks.load_weights(networks.DeepCascade(), "cascade")

    slices = [(y[k : k + 1], mask[k : k + 1]) for k in range(SLICES)]

    def reconstruct() -> None:
        with torch.no_grad():
            for kspace, lines in slices:
                network(kspace, lines)

    def dictionary() -> None:
        with warnings.catch_warnings(action="ignore"):  # its iterations are counted, not converged
            for kspace, lines in slices:
                A, generator = physics.FourierSampling(lines), torch.Generator().manual_seed(0)
                classical.dictionary_reconstruction(A, kspace, generator=generator)

    def wavelet() -> list[int]:
        """The iterations of each slice."""
        solve = partial(classical.wavelet_reconstruction, undecimated=True, wavelet="haar", iterations=2000)
        return [solve(physics.FourierSampling(lines), kspace, WAVELET_WEIGHT).iterations for kspace, lines in slices]

    counts = ", ".join(map(str, wavelet()))
    name = f"cascade, {SLICES} slices of 128 × 128"
    rows = [
        pair(name, reconstruct, dictionary, "our dictionary learning", runs=3),
        pair(name, reconstruct, wavelet, f"our wavelet-ℓ1, {counts} iterations to its rule", runs=5),
    ]
    x, y, mask = x[:1], y[:1], mask[:1]
    for weight in (torch.inf, 3.0):
        layer = networks.DataConsistency(weight)
        rows.append(
            pair(
                f"data-consistency layer, λ = {weight:g}, forward and backward",
                lambda layer=layer: _gradient(x, lambda z: layer(z, y, mask)),
                lambda weight=weight: _gradient(x, lambda z: _formula(z, y, mask, weight)),
                "the formula with torch.fft",
                runs=101,
            )
        )
    return rows


def _formula(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor, weight: float) -> torch.Tensor:
    """Deck 001, line by line."""
    s = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(x, dim=PLANE), norm="ortho"), dim=PLANE)
    mixed = y if weight == torch.inf else (s + weight * y) / (1 + weight)
    s = torch.where(mask, mixed, s)
    return torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(s, dim=PLANE), norm="ortho"), dim=PLANE)


def _gradient(x: torch.Tensor, layer: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    z = x.clone().requires_grad_()
    layer(z).abs().square().sum().backward()
    return z.grad
