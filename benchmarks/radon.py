"""Parallel-beam CT against scikit-image: 256 × 256 pixels, 180 views, single precision.

Both errors stand in each row, ours first: of the projection against the exact sinogram, of the adjoint in
⟨A x, y⟩ = ⟨x, Aᵀ y⟩ (scikit-image has none: its unfiltered back-projection stands in), and of the
reconstruction against the phantom.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from skimage.transform import iradon
from skimage.transform import radon as skimage_radon

from course_lib.data.phantoms import ellipse_phantom, ellipse_sinogram
from course_lib.physics.radon import Radon

SIZE, VIEWS = 256, 180


def radon(pair: Callable[..., object]) -> list[object]:
    """Three rows, each what `pair(name, ours, theirs, peer)` of `run.py` returns."""
    angles = torch.arange(VIEWS) * (torch.pi / VIEWS)
    degrees = np.arange(VIEWS) * (180 / VIEWS)
    A = Radon(SIZE, angles)
    image = ellipse_phantom(SIZE)
    exact = ellipse_sinogram(SIZE, angles)
    x = image[0, 0].numpy()
    y = np.ascontiguousarray(exact[0, 0].T.numpy())

    def project() -> torch.Tensor:
        return torch.from_numpy(skimage_radon(x, degrees)).T

    def back_project() -> torch.Tensor:  # iradon weighs with π/(2·views)
        return torch.from_numpy(iradon(y, degrees, filter_name=None)) * (2 * VIEWS / math.pi)

    def reconstruct() -> torch.Tensor:
        return torch.from_numpy(iradon(y, degrees))

    def relative(value: torch.Tensor, wanted: torch.Tensor) -> float:
        return float((value - wanted).norm() / wanted.norm())

    def asymmetry(sinogram: torch.Tensor, back: torch.Tensor) -> float:
        left, right = (sinogram * exact[0, 0]).sum(), (image[0, 0] * back).sum()
        return float((left - right).abs() / left.abs())

    def rmse(value: torch.Tensor) -> float:
        return float((value - image[0, 0]).square().mean().sqrt())

    errors = {
        "forward": (relative(A(image)[0, 0], exact[0, 0]), relative(project(), exact[0, 0])),
        "adjoint": (asymmetry(A(image)[0, 0], A.adjoint(exact)[0, 0]), asymmetry(project(), back_project())),
        "FBP": (rmse(A.filtered_back_projection(exact)[0, 0]), rmse(reconstruct())),
    }
    name = {row: f"Radon {row}, error {ours:.2g} | {theirs:.2g}" for row, (ours, theirs) in errors.items()}
    return [
        pair(name["forward"], lambda: A(image), project, "skimage radon"),
        pair(name["adjoint"], lambda: A.adjoint(exact), back_project, "skimage iradon, no filter"),
        pair(name["FBP"], lambda: A.filtered_back_projection(exact), reconstruct, "skimage iradon"),
    ]


if __name__ == "__main__":
    from run import pair

    radon(pair)
