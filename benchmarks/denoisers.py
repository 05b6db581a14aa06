"""The Jacobian of a patch, all columns in a few passes, against one backward pass for each row; and against BM3D."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course_lib import data, networks, physics

SIGMA = 30 / 255


def denoisers(pair: Callable[..., object]) -> list[object]:
    """Rows of `pair(name, ours, theirs, peer)`."""
    network = networks.load_weights(networks.DnCNN(bias=False), "bf_dncnn")
    clean = data.photographs(["cat"], size=256)
    noisy = physics.add_gaussian_noise(clean, SIGMA, torch.Generator().manual_seed(0))
    patch = noisy[..., 112:136, 112:136]
    rows = [
        pair(
            "Jacobian of BF-DnCNN, patch of 24 × 24",
            lambda: networks.jacobian(network, patch),
            lambda: torch.autograd.functional.jacobian(network, patch),
            "torch.autograd.functional.jacobian, row by row",
            runs=3,
        )
    ]
    try:
        from bm3d import bm3d
    except ImportError:
        return rows
    grey = noisy[0, 0].numpy()
    rows.append(
        pair("BF-DnCNN, 256 × 256", lambda: networks.denoise(network, noisy), lambda: bm3d(grey, SIGMA), "bm3d", runs=3)
    )
    return rows
