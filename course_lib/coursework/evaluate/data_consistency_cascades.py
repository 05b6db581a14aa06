"""`course evaluate data_consistency_cascades`: the networks that come with the course, and a wavelet reconstruction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.coursework.evaluate.framework import Evaluation, Row
from course_lib.coursework.evaluate.reconstruction import OPTIONS, reconstruction_rows, zero_filled_and_wavelet

if TYPE_CHECKING:
    import torch

    from course_lib.coursework.evaluate.reconstruction import Reconstruction
    from course_lib.physics import FourierSampling


def measured_rows(
    folder: Path, seed: int, acceleration: list[float], mask: str, slices: int | None, weights: str | None
) -> list[Row]:
    """The shipped networks, or a cascade of the user's own."""
    import torch

    from course_lib import networks

    def trained(network: torch.nn.Module, name: str) -> Reconstruction:
        networks.load_weights(network, name)

        def reconstruct(A: FourierSampling, y: torch.Tensor, _: torch.Generator) -> torch.Tensor:
            with torch.no_grad():
                return network(y, A.mask.expand(y.shape))

        return reconstruct

    methods = {
        **zero_filled_and_wavelet(),
        "cnn": trained(networks.PlainCNN(), "cnn"),
        "cascade": trained(networks.DeepCascade(), "cascade" if weights is None else weights),
    }
    return reconstruction_rows(folder, seed, methods, acceleration, mask, slices)


EVALUATION = Evaluation(measured_rows, OPTIONS | {"weights": None})
