"""Checks of arguments: each says what was expected and what came, in one line.

Every room uses these, so a wrong shape reads the same everywhere. `InputError` is a `ValueError`; the
`course` command prints it without a traceback and ends with status 2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class InputError(ValueError):
    """An argument or a file that cannot be used; the message says what was expected and what came."""


def one_line(text: str) -> str:
    """Text for one line of a terminal: control characters, which a file's name may hold, are written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def count(name: str, value: object, *, least: int = 1) -> int:
    """Return `value` if it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"expected {name} as a whole number from {least}, got {describe(value)}")
    return value


def generator(value: object) -> None:
    """Raise unless `value` is a torch.Generator: randomness always comes in as one."""
    import torch

    if not isinstance(value, torch.Generator):
        raise InputError(f"expected a torch.Generator, got {describe(value)}")


def describe(value: object) -> str:
    """Say in a few words what `value` is: type, dtype and shape for an array, the value for a number."""
    kind = f"{type(value).__module__.split('.')[0]}.{type(value).__name__}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        name = "torch.Tensor" if kind.startswith("torch") else kind
        return f"a {name} of shape {tuple(value.shape)} and dtype {str(value.dtype).replace('torch.', '')}"
    if value is None or isinstance(value, (int, float, complex, bool, str)):
        return repr(value)
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)} ({', '.join(describe(v) for v in value[:3])})"
    return f"a {type(value).__name__}"


def tensor(name: str, value: object, *, dims: int | None = None, shape: str = "") -> torch.Tensor:
    """Return `value` if it is a finite real or complex floating-point tensor with `dims` dimensions.

    `shape` names the dimensions for the message, for example "(batch, channel, height, width)".

    Raises:
        InputError: another type, an integer dtype, another number of dimensions, no element, NaN or infinity.
    """
    import torch

    wanted = f"expected {name} as a floating-point torch.Tensor{' ' + shape if shape else ''}"
    if not isinstance(value, torch.Tensor):
        raise InputError(f"{wanted}, got {describe(value)}")
    if not (value.is_floating_point() or value.is_complex()):
        raise InputError(f"{wanted}, got {describe(value)}")
    if (dims is not None and value.ndim != dims) or value.numel() == 0:
        raise InputError(f"{wanted}, got {describe(value)}")
    if not torch.isfinite(value).all():
        bad = int((~torch.isfinite(value)).sum())
        raise InputError(f"expected {name} without NaN or infinity, got {bad} of them in {describe(value)}")
    return value


def images(name: str, value: object) -> torch.Tensor:
    """Return `value` if it is a finite real tensor (batch, channel, height, width)."""
    value = tensor(name, value, dims=4, shape="(batch, channel, height, width)")
    if value.is_complex():
        raise InputError(f"expected {name} as a real tensor, got {describe(value)}")
    return value


def signals(name: str, value: object, *, least: int = 2) -> torch.Tensor:
    """Return `value` if it is a finite complex tensor (batch, samples) with at least `least` samples."""
    value = tensor(name, value, dims=2, shape="(batch, samples)")
    if not value.is_complex():
        raise InputError(f"expected {name} as complex samples (batch, samples), got {describe(value)}")
    if value.shape[1] < least:
        raise InputError(f"expected {name} of at least {least} samples, got {value.shape[1]}")
    return value


def same_shape(name: str, value: torch.Tensor, other_name: str, other: torch.Tensor) -> None:
    """Raise unless both tensors have one shape."""
    if value.shape != other.shape:
        raise InputError(
            f"expected {name} and {other_name} of one shape, got {tuple(value.shape)} and {tuple(other.shape)}"
        )


def number(
    name: str, value: object, *, least: float = -math.inf, most: float = math.inf, above: float = -math.inf
) -> float:
    """Return `value` as a float if it is a finite number in [least, most] and greater than `above`."""
    wanted = f"expected {name} as a number"
    if above > -math.inf:
        wanted += f" above {above:g}"
    elif least > -math.inf:
        wanted += f" from {least:g}"
    if most < math.inf:
        wanted += f" to {most:g}"
    try:
        if isinstance(value, (str, bool)):
            raise TypeError
        result = float(value)  # a 0-dimensional tensor is a number too
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise InputError(f"{wanted}, got {describe(value)}") from None
    if not (math.isfinite(result) and least <= result <= most and result > above):
        raise InputError(f"{wanted}, got {result:g}")
    return result


def sigma(value: object, images: torch.Tensor | None = None) -> float:
    """Return the noise level if it is a finite number of at least 0, in the image's units.

    With the images, a level in grey levels from 0 to 255 is told apart: it is far above every value in them.
    """
    level = number("the noise level sigma", value, least=0)
    if images is not None and level > 1 and level > 4 * (largest := float(images.abs().max())) > 0:
        raise InputError(
            f"expected the noise level sigma in the units of the images, whose values reach {largest:.3g}, got "
            f"{level:g}: divide a level in grey levels by 255, for example 25/255"
        )
    return level


def image_size(value: object, *, least: int = 2) -> int:
    """Return a side length in pixels if it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"expected a size as a whole number of pixels from {least}, got {describe(value)}")
    return value
