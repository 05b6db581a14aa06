"""The image gradient as a linear operator."""

from __future__ import annotations

from typing import Literal

import torch

from course_lib import expect
from course_lib.physics.operators import LinearOperator


class FiniteDifferences(LinearOperator):
    """Forward differences to the next row and to the next column: (..., height, width) → (..., 2, height, width).

    Args:
        shape: (height, width).
        boundary: "reflect" has no difference behind the last row and column; "periodic" continues with the first.
    """

    complex_domain = True

    def __init__(self, shape: tuple[int, int], boundary: Literal["reflect", "periodic"] = "reflect") -> None:
        height, width = (expect.image_size(side) for side in shape)
        if boundary not in ("reflect", "periodic"):
            raise expect.InputError(f'expected the boundary as "reflect" or "periodic", got {boundary!r}')
        super().__init__((height, width), (2, height, width))
        self.boundary = boundary

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.boundary == "periodic":
            return torch.stack([x.roll(-1, dim) - x for dim in (-2, -1)], dim=-3)
        rows = torch.nn.functional.pad(x.diff(dim=-2), (0, 0, 0, 1))
        columns = torch.nn.functional.pad(x.diff(dim=-1), (0, 1))
        return torch.stack([rows, columns], dim=-3)

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        rows, columns = y[..., 0, :, :], y[..., 1, :, :]
        if self.boundary == "periodic":
            return rows.roll(1, -2) - rows + columns.roll(1, -1) - columns
        rows, columns = rows[..., :-1, :], columns[..., :-1]
        pad = torch.nn.functional.pad
        return -pad(rows, (0, 0, 1, 1)).diff(dim=-2) - pad(columns, (1, 1)).diff(dim=-1)

    def norm(self, iterations: int = 0, tolerance: float = 0.0) -> float:
        """√8, the bound for large images: the highest wave is doubled in each direction."""
        return 8**0.5
