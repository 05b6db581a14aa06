"""What a frequency-representation module is to draw: a bump at each line of the spectrum."""

from __future__ import annotations

import torch
from jaxtyping import Float

from course_lib import expect
from course_lib.classical import frequency_grid
from course_lib.data import wrap

WIDTH = 0.3  # of a bump, in units of 1/N


def frequency_labels(
    frequencies: Float[torch.Tensor, "batch lines"], samples: int, points: int = 1000, width: float = WIDTH
) -> Float[torch.Tensor, "batch points"]:
    """Σ_j exp(−(f − f_j)²/w²) on the grid −1/2 + k/points, with w = width/N (DeepFreq 2019).

    Distances are on the circle, so the bump of a line near 1/2 goes on at −1/2. (The published code means to do so,
    but gives `np.minimum` a third array, which is where NumPy puts the result: one of the two sides is lost.)

    Args:
        frequencies: in cycles per sample, NaN where there is no line.
        samples: N.
        points: of the grid.
        width: of a bump, in units of 1/N, above 0.
    """
    expect.count("samples", samples)
    expect.count("points", points, least=2)
    w = expect.number("the width", width, above=0) / samples
    grid = frequency_grid(points, frequencies.dtype).to(frequencies.device)
    distance = wrap(grid - frequencies[..., None])
    return torch.exp(-((distance / w) ** 2)).nan_to_num(0.0).sum(dim=1)
