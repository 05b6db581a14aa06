"""The training loop: it learns, it can be stopped at any moment without loss, and one process or two see the same."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

import pytest
import torch
from tiny_recipe import batch, loss, network, tiny
from torch import nn

from course_lib import expect
from course_lib.coursework.modules import ROOT
from course_lib.training import checkpoints, settling, train


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def at_step(number, action, inner=batch):
    """A batch function that does something else as well when it is called for the `number`th time."""
    calls = []

    def draw(generator, size):
        calls.append(None)
        if len(calls) == number:
            action()
        return inner(generator, size)

    return draw


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def test_it_learns_and_keeps_the_history():
    result = train(tiny(steps=200))
    assert result.finished
    assert not result.interrupted
    assert result.steps == len(result.history.losses) == 200
    first, *_, last = (metrics["mse"] for _, metrics in result.history.validation)
    assert last < 0.1 * first
    assert [step for step, _ in result.history.validation] == list(range(10, 201, 10))
    assert result.metrics == result.history.validation[-1][1]
    assert not result.network.training
    assert "seconds" not in repr(result)


def test_the_learning_rate_rises_and_falls_to_zero():
    recipe = tiny(steps=100, warm_up=9, learning_rate=0.5)
    rates = [recipe.learning_rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == pytest.approx(0.5, rel=0.05)
    assert rates.index(max(rates)) == 9
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert 0 < rates[-1] < 1e-3
    assert recipe.learning_rate_at(100) == pytest.approx(0)


def test_the_optimiser_follows_the_learning_rate():
    """Adam's first step changes each weight by the learning rate, whatever the gradient's size."""
    before = tiny().network
    start = []

    def remember():
        start.append(before())
        return start[-1]

    recipe = tiny(network=remember, steps=1, warm_up=0, learning_rate=0.125)
    torch.manual_seed(0)
    fresh = before()
    moved = train(recipe).network[1].weight - fresh[1].weight
    assert torch.allclose(moved.abs(), torch.full((3, 4), 0.125), rtol=1e-3)


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    first = train(tiny())
    torch.manual_seed(123)  # the global random numbers play no part, and are left as they were
    before = torch.random.get_rng_state()
    assert same_weights(first.network, train(tiny()).network)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not same_weights(first.network, train(tiny(seed=1)).network)


def test_every_step_has_a_batch_of_its_own():
    seen = []

    def note(generator, size):
        seen.append(batch(generator, size))
        return seen[-1]

    train(tiny(steps=20, batch=note))
    train(tiny(steps=20, batch=note, seed=1))
    assert len(seen) == 2 * (20 + settling.BATCHES)
    assert len({x[0, 0].item() for x, _ in seen}) == len(seen)


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm", "minutes", "killed"])
def test_stopped_and_resumed_is_bit_for_bit_the_uninterrupted_run(how, tmp_path, monkeypatch):
    whole = train(tiny())
    if how == "minutes":
        part = train(tiny(), tmp_path, minutes=1e-9)
        assert part.steps == 1
        assert set(part.metrics) == {"mse"}
        assert not part.interrupted
    elif how == "killed":  # in the middle of step 18, after a checkpoint at each step: no chance to write another

        def die():
            raise SystemExit

        with pytest.raises(SystemExit):
            train(tiny(batch=at_step(18, die)), tmp_path, checkpoint_seconds=0)
    else:
        number = signal.SIGINT if how == "ctrl-c" else signal.SIGTERM
        part = train(tiny(batch=at_step(18, lambda: signal.raise_signal(number))), tmp_path)
        assert part.interrupted
        assert part.steps == 18
    resumed = train(tiny(), tmp_path, resume=True)
    assert resumed.finished
    assert same_weights(resumed.network, whole.network)
    assert resumed.history.losses == whole.history.losses
    assert resumed.history.validation == whole.history.validation
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_without_the_optimisers_state_a_resumed_run_would_differ(tmp_path, monkeypatch):
    """What the test above holds can fail."""
    whole = train(tiny())
    train(tiny(batch=at_step(18, press_ctrl_c)), tmp_path)
    monkeypatch.setattr(torch.optim.Adam, "load_state_dict", lambda self, state: None)
    assert not same_weights(train(tiny(), tmp_path, resume=True).network, whole.network)


def test_a_second_ctrl_c_ends_at_once_and_the_checkpoint_stays(tmp_path):
    def twice():
        press_ctrl_c()
        press_ctrl_c()

    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell has put the tests into the background
    with pytest.raises(KeyboardInterrupt):
        train(tiny(batch=at_step(18, twice)), tmp_path, checkpoint_seconds=0)
    assert signal.getsignal(signal.SIGINT) is before
    resumed = train(tiny(), tmp_path, resume=True)
    assert same_weights(resumed.network, train(tiny()).network)


def test_it_trains_in_a_thread_too():
    results = []
    thread = threading.Thread(target=lambda: results.append(train(tiny(steps=5))))
    thread.start()
    thread.join()
    assert results[0].finished


def test_a_finished_run_is_left_as_it_is(tmp_path):
    first = train(tiny(), tmp_path)
    again = train(tiny(), tmp_path, resume=True)
    assert again.finished
    assert same_weights(first.network, again.network)
    assert again.history.losses == first.history.losses


def test_a_checkpoint_is_not_overwritten_by_a_new_run(tmp_path):
    train(tiny(steps=5), tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(expect.InputError, match="expected a folder without a checkpoint, got"):
        train(tiny(steps=5), tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 30}, "with steps 30, got .* with 40"),
        ({"name": "other"}, "of other with name other, got .* with tiny"),
        ({"learning_rate": 0.1}, "with learning_rate 0.1, got .* with 0.05"),
        ({"seed": 3}, "with seed 3, got .* with 0"),
        ({"source": "my scans"}, "with source my scans, got .* with built in"),
        ({"network": lambda: nn.Linear(4, 3)}, "with parameters"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(changes, said, tmp_path):
    train(tiny(batch=at_step(3, press_ctrl_c)), tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(expect.InputError, match=said) as error:
        train(tiny(**changes), tmp_path, resume=True)
    assert "\n" not in str(error.value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_damaged_checkpoint_is_refused(tmp_path):
    train(tiny(steps=5), tmp_path)
    path = tmp_path / "checkpoint.pt"
    good = path.read_bytes()
    middle = len(good) // 2
    flipped = bytes(255 - byte for byte in good[middle - 400 : middle])
    for bad in (b"", b"no checkpoint", good[:100], good[:-30], good[: middle - 400] + flipped + good[middle:]):
        path.write_bytes(bad)
        with pytest.raises(expect.InputError, match="which is damaged") as error:
            train(tiny(steps=5), tmp_path, resume=True)
        assert "\n" not in str(error.value)
        assert path.read_bytes() == bad


def test_a_checkpoint_brings_no_code_with_it(tmp_path):
    """A pickle can run anything when it is read; a checkpoint from elsewhere must not."""

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "evil"),))

    torch.save({"run": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(expect.InputError, match="which is damaged"):
        train(tiny(), tmp_path, resume=True)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run(bad, tmp_path):
    def spoiled(generator, size):
        x, y = batch(generator, size)
        return x, (y * bad if drawn() else y)

    calls = iter(range(100))

    def drawn():
        return next(calls) == 17

    with pytest.raises(expect.InputError) as error:
        train(tiny(batch=spoiled), tmp_path, checkpoint_seconds=0)
    assert f"expected a finite loss, got {bad} at step 18 of tiny; the last checkpoint, " in str(error.value)
    assert "is intact" in str(error.value)
    assert same_weights(train(tiny(), tmp_path, resume=True).network, train(tiny()).network)
    with pytest.raises(expect.InputError, match="at step 1 of tiny; no checkpoint was written"):
        train(tiny(loss=lambda network, batch: bad * loss(network, batch)))


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    """√0 has the value 0 and the derivative ∞: the loss of that step is finite, and the weights after it are not."""
    calls = iter(range(100))

    def spoiled(network, batch):
        root = 0 * (network(batch[0]) * 0).sum().sqrt() if next(calls) == 17 else 0
        return loss(network, batch) + root

    with pytest.raises(expect.InputError, match=r"expected finite weights, .* after step 18; the last checkpoint"):
        train(tiny(loss=spoiled), tmp_path, checkpoint_seconds=0)
    assert same_weights(train(tiny(), tmp_path, resume=True).network, train(tiny()).network)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    fsync, written = os.fsync, []

    def fill_up(handle):
        written.append(None)
        if len(written) == 18:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill_up)
        with pytest.raises(expect.InputError) as error:
            train(tiny(), tmp_path, checkpoint_seconds=0)
    assert str(error.value) == (
        f"expected a file that can be written, got {tmp_path / 'checkpoint.pt'}: No space left on device; "
        f"the last checkpoint, {tmp_path / 'checkpoint.pt'}, is intact"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
    history = checkpoints.load_checkpoint(
        checkpoints.find_checkpoint(tmp_path), tmp_path, tiny(), (fresh := network()),
        torch.optim.Adam(fresh.parameters()),
    )  # fmt: skip
    assert history.steps == 17
    assert same_weights(train(tiny(), tmp_path, resume=True).network, train(tiny()).network)


def test_a_folder_that_becomes_read_only_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    """As root nothing is read-only, so the system's refusal is put in its place."""
    mkstemp, opened = tempfile.mkstemp, []

    def refuse(*arguments, **options):
        opened.append(None)
        if len(opened) == 18:
            raise OSError(errno.EROFS, "Read-only file system")
        return mkstemp(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkstemp", refuse)
        with pytest.raises(expect.InputError, match="checkpoint.pt: Read-only file system; the last checkpoint"):
            train(tiny(), tmp_path, checkpoint_seconds=0)
    assert same_weights(train(tiny(), tmp_path, resume=True).network, train(tiny()).network)


def test_a_folder_that_cannot_be_used_is_told_before_the_work_begins(tmp_path):
    (tmp_path / "file").write_text("x")
    never = tiny(network=lambda: pytest.fail("the work has begun"))
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(expect.InputError, match="expected a folder that can be written to, got"):
            train(never, folder)
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        tmp_path.chmod(0o555)
        with pytest.raises(expect.InputError, match="expected a folder that can be written to, got .*denied"):
            train(never, tmp_path)
        tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 0}, "expected steps of tiny as a whole number from 1, got 0"),
        ({"minutes": 0.0}, "expected minutes as a number above 0, got 0"),
        ({"minutes": float("nan")}, "expected minutes as a number above 0, got nan"),
        ({"checkpoint_seconds": -1.0}, "expected checkpoint_seconds as a number from 0, got -1"),
        ({"precision": "8-bit"}, "expected precision as one of 32-true, bf16-mixed, 16-mixed, got '8-bit'"),
        ({"accelerator": "abacus"}, "expected accelerator as one of auto, cpu, cuda, mps, got 'abacus'"),
    ],
)
def test_bad_options(options, said, tmp_path):
    with pytest.raises(expect.InputError) as error:
        train(tiny(), tmp_path / "run", **options)
    assert str(error.value) == said
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test asks for in vain")
def test_an_accelerator_that_this_machine_does_not_have():
    with pytest.raises(expect.InputError, match="expected cuda with 32-true on this machine, got: ") as error:
        train(tiny(), accelerator="cuda")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"batch": lambda generator, size: (torch.ones(size + 1, 4),)},
            "as a tuple of tensors with 8 samples, got a tu",
        ),
        ({"batch": lambda generator, size: torch.ones(size, 4)}, "as a tuple of tensors with 8 samples, got a torch"),
        ({"batch": lambda generator, size: (torch.tensor(1.0),)}, "as a tuple of tensors with 8 samples, got a tuple"),
        ({"loss": lambda network, batch: network(batch[0])}, "expected a loss as a tensor without dimensions, got a"),
        ({"loss": lambda network, batch: 1.0}, "expected a loss as a tensor without dimensions, got 1.0"),
    ],
)
def test_a_recipe_that_breaks_its_promises(changes, said, unchecked):
    with pytest.raises(expect.InputError, match=said):
        train(tiny(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "a/b"}, "expected a recipe's name as letters, digits and underscores, got 'a/b'"),
        ({"batch_size": 0}, "expected batch_size of tiny as a whole number from 1, got 0"),
        ({"seed": -1}, "expected seed of tiny as a whole number from 0, got -1"),
        ({"learning_rate": 0.0}, "expected learning_rate of tiny as a number above 0, got 0"),
    ],
)
def test_a_recipe_that_makes_no_sense(changes, said):
    with pytest.raises(expect.InputError) as error:
        tiny(**changes)
    assert str(error.value) == said


def test_mixed_precision_on_the_cpu():
    """bfloat16 has 8 bits: the losses are near those of float32, and not the same."""
    exact, mixed = train(tiny()), train(tiny(), precision="bf16-mixed")
    difference = torch.tensor(exact.history.losses) - torch.tensor(mixed.history.losses)
    assert 1e-7 < difference.abs().max() < 0.1
    assert {p.dtype for p in mixed.network.parameters()} == {torch.float32}


SCRIPT = """
import json, os, sys
import torch
torch.set_num_threads(1)
from tiny_recipe import tiny
from torch import nn
from course_lib.training import train

result = train(tiny(steps=20, batch_size=4, network=lambda: nn.Linear(4, 3)), sys.argv[1])
assert result.recipe.batch_size == 8
if os.environ["RANK"] == "0":
    found = [result.history.losses, result.network.weight.tolist(), result.metrics, result.history.validation]
    open(sys.argv[2], "w").write(json.dumps(found))
else:
    assert result.metrics == {}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs libuv, which PyTorch for Windows lacks")
def test_torchrun_with_two_processes_follows_one_with_the_doubled_batch(tmp_path):
    """The recipe is unchanged. Each of 20 losses agrees to 1e-3, and so do the weights in the end."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "OMP_NUM_THREADS": "1",
    }
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run([*torchrun, script, tmp_path / "two", tmp_path / "two.json"], capture_output=True, text=True,
                         env=environment, cwd=tmp_path, timeout=120)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    losses, weights, metrics, validation = json.loads((tmp_path / "two.json").read_text())
    one = train(tiny(steps=20, network=lambda: nn.Linear(4, 3)))
    assert len(losses) == 20
    assert losses == pytest.approx(one.history.losses, rel=1e-3)
    assert torch.allclose(torch.tensor(weights), one.network.weight, rtol=1e-3)
    assert metrics["mse"] == pytest.approx(one.metrics["mse"], rel=1e-2)
    assert [step for step, _ in validation] == [10, 20]
    # and one process goes on from what two have written
    assert train(tiny(steps=20, network=lambda: nn.Linear(4, 3)), tmp_path / "two", resume=True).finished
