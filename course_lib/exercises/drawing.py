"""What the declarations of several labs share: to draw a case's numbers, and to say how far two results are apart."""

from __future__ import annotations

import numpy as np
import torch


def rand(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Uniform in [0, 1)."""
    return torch.rand(*shape, generator=generator)


def randn(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Standard normal."""
    return torch.randn(*shape, generator=generator)


def complex_randn(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Complex standard normal: real and imaginary part each of variance 1/2."""
    return torch.randn(*shape, generator=generator, dtype=torch.complex64)


def off_by(found: np.ndarray, wanted: np.ndarray) -> float:
    """Relative difference; shapes that do not fit raise NumPy's ValueError, as a property's check may."""
    return float(np.abs(np.asarray(found) - wanted).max() / max(float(np.abs(wanted).max()), 1e-12))
