"""The cascade against dictionary learning and wavelets, and its layer against the formula written with torch.fft.

A slice of an unseen subject, 128 × 128, random lines at R = 4. Wavelets run to their stopping rule with the weight
and the transform of `course evaluate`; dictionary learning as `course evaluate compressed_sensing` calls it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from course_lib import classical, data, networks, physics
from course_lib.coursework.evaluate import WAVELET_WEIGHT

ACCELERATION = 4
PLANE = (-2, -1)


def cascade(pair: Callable[..., object]) -> list[object]:
    """Rows of `pair(name, ours, theirs, peer)`."""
    image = data.brain_population("test", 1, 1)
    x, y, mask = physics.scan(image, ACCELERATION, torch.Generator().manual_seed(0))
    A = physics.FourierSampling(mask)
    network = networks.load_weights(networks.DeepCascade(), "cascade")

    def reconstruct() -> torch.Tensor:
        with torch.no_grad():
            return network(y, mask)

    def wavelet() -> classical.Solution:
        return classical.wavelet_reconstruction(A, y, WAVELET_WEIGHT, undecimated=True, wavelet="haar", iterations=2000)

    rows = [
        pair(
            "cascade, a slice of 128 × 128",
            reconstruct,
            lambda: classical.dictionary_reconstruction(A, y, generator=torch.Generator().manual_seed(0)),
            "our dictionary learning",
            runs=3,
        ),
        pair(
            "cascade, a slice of 128 × 128",
            reconstruct,
            wavelet,
            f"our wavelet-ℓ1, {wavelet().iterations} iterations to its rule",
            runs=5,
        ),
    ]
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
