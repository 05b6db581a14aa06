"""Checkpoints: the whole state of a training run in one file, which is always complete."""

from __future__ import annotations

import io
import pickle
import tempfile
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from course_lib import expect
from course_lib.files import write_whole
from course_lib.networks.weights import parameters_hash
from course_lib.training.recipe import Recipe

FILE = "checkpoint.pt"


@dataclass
class History:
    """What has happened so far: the loss at every step, the metrics at some, and the seconds it all took."""

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """How many steps are done."""
        return len(self.losses)


def open_folder(folder: Path, *, resume: bool) -> None:
    """Make the folder of a run, and raise before the work begins if nothing can be saved there.

    Raises:
        InputError: the folder cannot be made or written to, or holds a checkpoint although `resume` is not set.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{FILE}."):
            pass
    except OSError as error:
        raise expect.InputError(f"expected a folder that can be written to, got {folder}: {error.strerror}") from None
    if (folder / FILE).exists() and not resume:
        raise expect.InputError(
            f"expected a folder without a checkpoint, got {folder}: go on with --resume, or choose another with --out"
        )


def save_checkpoint(
    folder: Path, recipe: Recipe, network: nn.Module, optimizer: torch.optim.Optimizer, history: History
) -> None:
    """Write the state of a run in one step: until it is on the disk, the checkpoint before it stays.

    Raises:
        InputError: weights that are not finite, a full disk, or a folder that can no longer be written to.
    """
    if not all(value.isfinite().all() for value in network.state_dict().values()):
        raise expect.InputError(
            f"expected finite weights, got NaN or infinity after step {history.steps}; {what_is_kept(folder)}"
        )
    state = {
        "run": _identity(recipe, network),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": asdict(history),
    }
    file = io.BytesIO()
    torch.save(state, file)
    try:
        write_whole(folder / FILE, file.getvalue())
    except expect.InputError as error:
        raise expect.InputError(f"{error}; {what_is_kept(folder)}") from None


def what_is_kept(folder: Path | None) -> str:
    """What is left of a run that has failed, in words."""
    if folder is None or not (folder / FILE).exists():
        return "no checkpoint was written"
    return f"the last checkpoint, {folder / FILE}, is intact"


def find_checkpoint(folder: Path) -> bytes | None:
    """The checkpoint of a folder, or None where there is none.

    Raises:
        InputError: it cannot be read.
    """
    path = folder / FILE
    try:
        return path.read_bytes() if path.exists() else None
    except OSError as error:
        raise expect.InputError(f"expected a checkpoint that can be read, got {path}: {error.strerror}") from None


def load_checkpoint(
    data: bytes, folder: Path, recipe: Recipe, network: nn.Module, optimizer: torch.optim.Optimizer
) -> History:
    """Put the state of a run into its network and its optimiser.

    Args:
        data: what `find_checkpoint` gave.
        folder: where that was, for messages.
        recipe, network, optimizer: of the run that is to go on.

    Returns:
        the history up to the checkpoint.

    Raises:
        InputError: a checkpoint that is damaged, or one of another network, recipe, or number of steps.
    """
    path = folder / FILE
    try:
        if zipfile.ZipFile(io.BytesIO(data)).testzip() is not None:  # torch.load compares no checksums
            raise ValueError
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        found, history = dict(state["run"]), History(**state["history"])
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile):
        raise expect.InputError(f"expected a checkpoint of {recipe.name}, got {path}, which is damaged") from None
    for name, value in _identity(recipe, network).items():
        if found.get(name) != value:
            raise expect.InputError(
                f"expected a checkpoint of {recipe.name} with {name} {value}, got {path} with {found.get(name)}"
            )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return history


def _identity(recipe: Recipe, network: nn.Module) -> dict[str, object]:
    """What must be the same for a run to go on."""
    names = ("name", "source", "steps", "batch_size", "learning_rate", "warm_up", "seed")
    return {name: getattr(recipe, name) for name in names} | {"parameters": parameters_hash(network)}
