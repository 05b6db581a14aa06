"""`course train`: run a recipe, and say where its weights are and how good they are."""

from __future__ import annotations

import inspect
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import course_lib
from course_lib import expect
from course_lib.coursework.modules import ROOT
from course_lib.display.progress import say

INTERRUPTED = 130  # the exit status that shells give to Ctrl-C


def train_recipe(
    name: str,
    *,
    out: Path | None = None,
    data: Path | None = None,
    foreground: int | None = None,
    resume: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    accelerator: str = "auto",
    precision: str = "32-true",
) -> int:
    """Train a recipe's network in a folder of its own, and write its weights there.

    Args:
        name: of the recipe.
        out: the folder for checkpoint and weights; work/training/NAME when not given.
        data: a folder of the user's data, for recipes that take one.
        foreground: the label's value in the foreground, for recipes that learn segmentation from `data`.
        resume, steps, minutes, accelerator, precision: as in `course_lib.training.train`.

    Returns:
        the exit status: 0 after all steps or the given minutes, 130 after Ctrl-C.

    Raises:
        InputError: an unknown recipe, one that takes no data or no foreground, a folder of the library, or what `train`
            refuses.
    """
    from course_lib.training import find_recipe, save_weights, train
    from course_lib.training.checkpoints import what_is_kept

    recipe = find_recipe(name)
    if foreground is not None and not _takes_foreground(recipe.data):
        raise expect.InputError(f"expected a recipe that takes --foreground, got {name}")
    if foreground is not None and data is None:
        raise expect.InputError("expected --foreground beside --data, whose labels it chooses from, got it alone")
    if data is not None:
        if recipe.data is None:
            raise expect.InputError(f"expected a recipe that learns from --data, got {name}, which makes its own data")
        if not data.is_dir():
            raise expect.InputError(f"expected --data as a folder, got {data}, which is none")
        chosen = {} if foreground is None else {"foreground": foreground}
        recipe = replace(recipe.data(data, **chosen), source=data.resolve().name)
    folder = ROOT / "work" / "training" / name if out is None else out
    if Path(course_lib.__file__).resolve().parent in folder.resolve().parents:
        raise expect.InputError(f"expected --out outside the library, got {folder}: shipped weights are copied by hand")
    other = {"--accelerator": (accelerator, "auto"), "--precision": (precision, "32-true")}
    changed = {option: value for option, (value, default) in other.items() if value != default}
    options = {"--out": out, "--data": data, "--foreground": foreground, "--steps": steps, **changed}
    again = f"go on with: {_again(name, options)}"
    try:
        result = train(
            recipe, folder, steps=steps, minutes=minutes, resume=resume, accelerator=accelerator, precision=precision
        )
    except KeyboardInterrupt:  # the second one
        say(f"stopped within a step; {what_is_kept(folder)}; {again}")
        return INTERRUPTED
    if os.environ.get("RANK", "0") != "0":  # of torchrun's processes the first one speaks
        return INTERRUPTED if result.interrupted else 0
    total = result.recipe.steps
    if not result.finished:
        say(f"stopped after {result.steps} of {total} steps; {again}")
    if result.interrupted:
        return INTERRUPTED
    weights = save_weights(
        result.network, folder, result.recipe, steps=result.steps, seconds=result.history.seconds,
        metrics=result.metrics, precision=precision,
    )  # fmt: skip
    print(f"validation after {result.steps} of {total} steps: {_in_words(result.metrics)}")
    print(f"weights: {weights}")
    return 0


def recipe_table() -> str:
    """The recipes, a line each: how long they are, and what their shipped weights reach."""
    from course_lib.networks.weights import read_manifest, shipped_weights
    from course_lib.training.recipes import all_recipes

    lines = []
    recipes = all_recipes()
    width = max(map(len, recipes), default=0) + 1
    for name, recipe in recipes.items():
        line = f"{name:<{width}}{recipe.steps:>6} steps of {recipe.batch_size:>3} samples"
        if name in shipped_weights():
            manifest = read_manifest(name)
            line += f"   shipped: {_in_words(manifest['metrics'])} after {manifest['seconds'] / 60:.0f} min"
        lines.append(line)
    return "\n".join(lines) or "no recipe yet"


def _takes_foreground(data: Callable[..., object] | None) -> bool:
    return data is not None and "foreground" in inspect.signature(data).parameters


def _in_words(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()) or "no metrics"


def _again(name: str, options: dict[str, object]) -> str:
    """The command that resumes this run; options that are None were not given."""
    given = [text for option, value in options.items() if value is not None for text in (option, str(value))]
    return shlex.join(["course", "train", name, "--resume", *given])
