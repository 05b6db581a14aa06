"""The training loop: one for all networks, on one device or many."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from course_lib import expect
from course_lib.display.live_curve import LiveCurve
from course_lib.display.progress import progress_bar
from course_lib.training.checkpoints import (
    History,
    find_checkpoint,
    load_checkpoint,
    open_folder,
    save_checkpoint,
    what_is_kept,
)
from course_lib.training.processes import (
    draw_batch,
    mean_over_processes,
    open_fabric,
    own_randomness,
    seed_global,
    seed_of,
    stop_signals,
)
from course_lib.training.recipe import Recipe
from course_lib.training.settling import settle


@dataclass(frozen=True)
class TrainingResult:
    """The end of a training run.

    Attributes:
        network: trained, on the CPU and in evaluation mode.
        recipe: what it was trained with; `batch_size` counts the samples of all processes.
        history: `losses` at every step, `validation` as (steps done, metrics), `seconds` of the whole run.
        interrupted: whether Ctrl-C, or a queue's SIGTERM, has ended the run.
        finished: whether all steps were made.
    """

    network: nn.Module = field(repr=False)
    recipe: Recipe = field(repr=False)
    history: History = field(repr=False)
    interrupted: bool
    finished: bool

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return self.history.steps

    @property
    def metrics(self) -> dict[str, float]:
        """On the validation data, at the last look; empty in all processes but the first."""
        return dict(self.history.validation[-1][1]) if self.history.validation else {}


def train(
    recipe: Recipe,
    folder: str | Path | None = None,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    resume: bool = False,
    accelerator: str = "auto",
    precision: str = "32-true",
    checkpoint_seconds: float = 60.0,
) -> TrainingResult:
    """Train a recipe's network.

    Ctrl-C ends the run after the step that it is in, with a checkpoint; a second one ends it at once, and the
    checkpoint before it stays. Under `torchrun` each process learns from `batch_size` samples at every step: two do
    what one does with twice the batch.

    Args:
        recipe: what to train, and on what.
        folder: where the checkpoint is kept, seen by all processes; None keeps none.
        steps: how many in place of the recipe's; the learning rate's schedule shrinks with them.
        minutes: end after this time, with a checkpoint.
        resume: go on from the folder's checkpoint, if it has one. On one CPU thread the weights are then bit for bit
            those of a run that was never stopped.
        accelerator: "auto" (a CUDA GPU where there is one, else the CPU), "cpu", "cuda" or "mps".
        precision: "32-true", "bf16-mixed" or "16-mixed".
        checkpoint_seconds: time between two checkpoints.

    Raises:
        InputError: a wrong argument, a checkpoint of another run, a folder or disk that cannot be written to, or a
            loss that is not finite; a checkpoint that was there before is intact.
    """
    recipe = recipe if steps is None else replace(recipe, steps=steps)
    folder = None if folder is None else Path(folder)
    deadline = math.inf if minutes is None else time.monotonic() + 60 * expect.number("minutes", minutes, above=0)
    expect.number("checkpoint_seconds", checkpoint_seconds, least=0)
    fabric = open_fabric(accelerator, precision)
    recipe = replace(recipe, batch_size=recipe.batch_size * fabric.world_size)
    keeps = fabric.is_global_zero and folder is not None  # one process writes
    if keeps:
        open_folder(folder, resume=resume)
    with own_randomness(fabric.device), stop_signals() as stop_asked:
        seed_global(recipe.seed, fabric.device)
        network = recipe.network().train()
        optimizer = torch.optim.Adam(network.parameters())
        model, stepper = fabric.setup(network, optimizer)
        found = fabric.broadcast(find_checkpoint(folder) if keeps else None)
        history = load_checkpoint(found, folder, recipe, network, optimizer) if found is not None else History()
        started, saved = time.monotonic() - history.seconds, time.monotonic()
        with progress(recipe, history, shown=fabric.is_global_zero) as show:
            for step in range(history.steps, recipe.steps):
                optimizer.param_groups[0]["lr"] = recipe.learning_rate_at(step)
                loss = batch_loss(recipe, model, step, fabric)
                stop = stop_asked() or time.monotonic() >= deadline
                mean_loss, stop = mean_over_processes(fabric, loss, stop)
                if not math.isfinite(mean_loss):
                    where = f"at step {step + 1} of {recipe.name}"
                    raise expect.InputError(f"expected a finite loss, got {mean_loss} {where}; {what_is_kept(folder)}")
                fabric.backward(loss)
                stepper.step()
                stepper.zero_grad()
                history.losses.append(mean_loss)
                history.seconds = time.monotonic() - started
                show(mean_loss)
                last = history.steps == recipe.steps
                stop = stop or last
                if fabric.is_global_zero and history.steps % recipe.validate_every == 0 and not last:
                    validate(recipe, network, history)
                if keeps and (stop or time.monotonic() >= saved + checkpoint_seconds):
                    save_checkpoint(folder, recipe, network, optimizer, history)
                    saved = time.monotonic()
                if stop:
                    break
        if history.steps == recipe.steps:
            settle(network, lambda index: batch_loss(recipe, model, recipe.steps + index, fabric))
        interrupted = stop_asked() and history.steps < recipe.steps
        if fabric.is_global_zero and not interrupted:
            validate(recipe, network, history)
    return TrainingResult(network.cpu().eval(), recipe, history, interrupted, history.steps == recipe.steps)


def batch_loss(recipe: Recipe, model: nn.Module, step: int, fabric: Fabric) -> torch.Tensor:
    """The loss on a step's batch; dropout and the like are the step's too."""
    seed_global(seed_of(recipe.seed, step, fabric.global_rank), fabric.device)
    return recipe.loss(model, draw_batch(recipe, step, fabric))


def validate(recipe: Recipe, network: nn.Module, history: History) -> None:
    """Add the metrics after the present step to the history, once."""
    if history.validation and history.validation[-1][0] == history.steps:
        return
    network.eval()
    with torch.no_grad():
        metrics = {name: float(value) for name, value in recipe.validate(network).items()}
    network.train()
    history.validation.append((history.steps, metrics))


@contextlib.contextmanager
def progress(recipe: Recipe, history: History, *, shown: bool) -> Iterator[Callable[[float], None]]:
    """A bar with the loss, and in a notebook a curve of it; one process of many shows them."""
    if not shown:
        yield lambda loss: None
        return
    curve = LiveCurve(recipe.name, recipe.steps, history.losses)
    with progress_bar(recipe.steps, recipe.name, "step") as bar:
        bar.initial = bar.n = bar.last_print_n = history.steps  # the speed is that of this run

        def show(loss: float) -> None:
            curve.add(loss)
            bar.set_postfix(loss=f"{loss:.3g}", refresh=False)
            bar.update()

        try:
            yield show
        finally:
            curve.close()
