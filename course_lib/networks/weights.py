"""Weights in files: safetensors, with a manifest beside them that says what they are and where they come from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from course_lib import expect

SHIPPED = Path(__file__).parent / "shipped"
SUFFIX = ".safetensors"


def load_weights(network: nn.Module, name_or_path: str | Path) -> nn.Module:
    """Put trained weights into a network of the architecture that they were trained in.

    Args:
        network: its weights and buffers are replaced, in their own dtype and on their device. When anything is
            wrong with the file, it stays as it is.
        name_or_path: the name of shipped weights, for example "cascade", or the path of a .safetensors file
            that `course train` wrote, with its manifest (the same name, .json) beside it.

    Returns:
        the same network, in evaluation mode.

    Raises:
        InputError: no such file or no manifest, a file that is truncated or otherwise not the one that the
            manifest describes, or weights of another network.
    """
    path = weights_path(name_or_path)
    manifest = read_manifest(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise expect.InputError(f"expected weights that can be read, got {path}: {error.strerror}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != manifest["sha256"]:
        raise expect.InputError(
            f"expected {path} as its manifest describes it (SHA-256 {manifest['sha256'][:12]}…), got a damaged or "
            f"another file ({len(data)} bytes, SHA-256 {found[:12]}…)"
        )
    try:
        tensors = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise expect.InputError(f"expected a safetensors file, got {path}: {expect.one_line(str(error))}") from None
    if manifest["parameters"] != parameters_hash(network) or shapes(tensors) != shapes(network.state_dict()):
        difference = first_difference(shapes(network.state_dict()), shapes(tensors))
        raise expect.InputError(f"expected weights of this {type(network).__name__}, got {path}: {difference}")
    network.load_state_dict(tensors)
    return network.eval()


def read_manifest(name_or_path: str | Path) -> dict:
    """What is known about weights: "sha256", "parameters", "recipe", "steps", "seconds", "metrics" and more.

    Raises:
        InputError: no such weights or no manifest, or a manifest that is damaged.
    """
    path = weights_path(name_or_path)
    manifest = path.with_suffix(".json")
    if not manifest.is_file():
        raise expect.InputError(f"expected the weights' manifest {manifest.name} beside {path}, found none")
    try:
        record = json.loads(manifest.read_text(encoding="utf-8"))
        record["sha256"] + record["parameters"]  # both are text
    except (OSError, ValueError, KeyError, TypeError):
        raise expect.InputError(f"expected a manifest of weights, got {manifest}, which is damaged") from None
    return record


def weights_path(name_or_path: str | Path) -> Path:
    """The file of shipped weights, by its name, or the file that a path names.

    Raises:
        InputError: there is no such file.
    """
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and path.name == name_or_path and path.suffix != SUFFIX:
        path = SHIPPED / f"{name_or_path}{SUFFIX}"
    if path.suffix != SUFFIX or not path.is_file():
        known = ", ".join(shipped_weights()) or "(none yet)"
        raise expect.InputError(
            f"expected the name of shipped weights ({known}) or a {SUFFIX} file, got {str(name_or_path)!r}"
        )
    return path


def shipped_weights() -> list[str]:
    """The names of all weights that come with the course."""
    return sorted(path.stem for path in SHIPPED.glob(f"*{SUFFIX}"))


def parameters_hash(network: nn.Module) -> str:
    """SHA-256 of the names and shapes of a network's parameters and buffers: equal where weights fit."""
    return hashlib.sha256(json.dumps(shapes(network.state_dict())).encode()).hexdigest()


def shapes(state: dict[str, torch.Tensor]) -> dict[str, list[int]]:
    """Name → shape, in the order of the names."""
    return {name: list(state[name].shape) for name in sorted(state)}


def first_difference(expected: dict[str, list[int]], got: dict[str, list[int]]) -> str:
    """Where two networks' parameters differ first, in words."""
    for name in sorted(expected.keys() | got.keys()):
        if name not in got:
            return f"it has no {name}"
        if name not in expected:
            return f"it has {name}, which this one has not"
        if expected[name] != got[name]:
            return f"its {name} has shape {tuple(got[name])}, not {tuple(expected[name])}"
    return "its manifest describes another network"
