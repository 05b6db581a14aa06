"""How the arguments of a call travel into a sandbox: as JSON beside plain arrays, and back with the types they had."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from course_lib import expect

SEQUENCES = {"tuple": tuple, "list": list}


def pack(value: object, arrays: dict[str, np.ndarray]) -> object:
    """`value` as JSON can hold it; what tensors hold is put into `arrays`, under names of their own.

    Raises:
        InputError: neither a tensor nor a plain number, text, truth value or None, nor a tuple or list of such.
    """
    kind = type(value).__name__
    if isinstance(value, torch.Tensor):
        name = f"a{len(arrays)}"
        arrays[name] = value.resolve_conj().resolve_neg().numpy()
        return {"tensor": name}
    if type(value) in SEQUENCES.values():
        return {kind: [pack(part, arrays) for part in value]}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise expect.InputError(f"expected a tensor, number, text, tuple or list as an argument, got {kind}")


def unpack(packed: object, arrays: Mapping[str, np.ndarray]) -> object:
    """The value that `pack` was given; each tensor has memory of its own."""
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return torch.from_numpy(np.array(arrays[content]))
    return SEQUENCES[kind]([unpack(part, arrays) for part in content])
