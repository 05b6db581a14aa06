"""Save trained weights as the course ships them: a safetensors file, and a manifest that says what made it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from course_lib.files import write_whole
from course_lib.networks.weights import SUFFIX, parameters_hash
from course_lib.training.recipe import Recipe


def save_weights(
    network: nn.Module,
    folder: Path,
    recipe: Recipe,
    *,
    steps: int,
    seconds: float,
    metrics: dict[str, float],
    precision: str = "32-true",
) -> Path:
    """Write NAME.safetensors and its manifest NAME.json, NAME being the recipe's; `load_weights` reads them.

    Args:
        network: trained by the recipe.
        folder: an existing folder; files of these names in it are replaced.
        recipe: what made the weights.
        steps: how many of the recipe's steps were made.
        seconds: how long they took.
        metrics: of the network on the recipe's validation data.
        precision: of the training.

    Returns:
        the path of the safetensors file.

    Raises:
        InputError: a file that cannot be written.
    """
    path = Path(folder) / f"{recipe.name}{SUFFIX}"
    data = safetensors.torch.save({name: value.cpu().contiguous() for name, value in network.state_dict().items()})
    manifest = {
        "recipe": recipe.name,
        "network": type(network).__name__,
        "parameters": parameters_hash(network),
        "parameter_count": sum(parameter.numel() for parameter in network.parameters()),
        "data": recipe.source,
        "seed": recipe.seed,
        "steps": steps,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "precision": precision,
        "seconds": round(seconds, 1),
        "metrics": metrics,
        "torch": torch.__version__,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    write_whole(path, data)
    write_whole(path.with_suffix(".json"), json.dumps(manifest, indent=2) + "\n")
    return path
