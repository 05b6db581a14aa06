"""What one training step needs to be the same on one process or many, today or after a stop: seeds, shares, signals."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

import torch
from lightning_fabric import Fabric

from course_lib import expect
from course_lib.training.recipe import Batch, Recipe

ACCELERATORS = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def open_fabric(accelerator: str, precision: str) -> Fabric:
    """Fabric on one device, or on all that `torchrun` has started this process beside.

    Raises:
        InputError: an accelerator or a precision that is unknown, or that this machine does not have.
    """
    for name, value, known in (("accelerator", accelerator, ACCELERATORS), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise expect.InputError(f"expected {name} as one of {', '.join(known)}, got {value!r}")
    if accelerator == "auto":  # Apple's GPUs lack some complex operations: they are used when asked for
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    here, everywhere = 1, 1
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun's
        here, everywhere = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    try:
        fabric = Fabric(accelerator=accelerator, devices=here, num_nodes=everywhere // here, precision=precision)
    except (RuntimeError, ValueError) as error:
        told = " ".join(str(error).split())
        raise expect.InputError(f"expected {accelerator} with {precision} on this machine, got: {told}") from None
    fabric.launch()
    if fabric.world_size > 1:  # gloo's threads abort the interpreter's exit now and then, unless they are ended first
        atexit.unregister(leave_processes)
        atexit.register(leave_processes)
    return fabric


def leave_processes() -> None:
    """End what connects this process to the others, if something still does."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def seed_of(*parts: int) -> int:
    """A seed without a pattern: recipes with neighbouring seeds share no samples, and neither do their steps."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def draw_batch(recipe: Recipe, step: int, fabric: Fabric) -> Batch:
    """This process's share of the batch of one step, on its device.

    Every process draws the whole batch and keeps its own part, so the samples do not depend on how many there are.

    Raises:
        InputError: a batch that is no tuple of tensors with `batch_size` samples.
    """
    size = recipe.batch_size
    batch = recipe.batch(torch.Generator().manual_seed(seed_of(recipe.seed, step)), size)
    if not isinstance(batch, tuple) or any(not isinstance(t, torch.Tensor) or t.shape[:1] != (size,) for t in batch):
        raise expect.InputError(
            f"expected a batch of {recipe.name} as a tuple of tensors with {size} samples, got {expect.describe(batch)}"
        )
    share = size // fabric.world_size
    first = fabric.global_rank * share
    return fabric.to_device(tuple(tensor[first : first + share] for tensor in batch))


def mean_over_processes(fabric: Fabric, loss: torch.Tensor, stop: bool) -> tuple[float, bool]:
    """The mean loss, and whether any process wants to stop: all go on with the same two.

    Raises:
        InputError: a loss that is no tensor without dimensions.
    """
    if not isinstance(loss, torch.Tensor) or loss.ndim:
        raise expect.InputError(f"expected a loss as a tensor without dimensions, got {expect.describe(loss)}")
    told = torch.stack([loss.detach().float(), torch.tensor(float(stop), device=loss.device)])
    mean_loss, stops = fabric.all_reduce(told, reduce_op="mean").tolist()
    return mean_loss, stops > 0


def seed_global(seed: int, device: torch.device) -> None:
    """Seed what dropout and initial weights draw from; torch.manual_seed does it for every kind of device, slowly."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@contextlib.contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Leave torch's global random numbers as they were: training seeds them at every step."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed, or a queue has sent SIGTERM; a second Ctrl-C interrupts.

    Signals reach the main thread only; in another one they are left alone.
    """
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if number == signal.SIGINT and signal.SIGINT in received:
            raise KeyboardInterrupt
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
