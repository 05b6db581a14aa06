"""Inside the sandbox: run a submission's cells once, call its graded functions, send arrays out.

This file is run by its path, beside a `course_lib` without answers. It prints one JSON object a line. All that
it says comes from a program that the student's code may have changed, so whoever reads it believes nothing
but arrays, and compares those outside.
"""

import base64
import io
import json
import os
import sys
from pathlib import Path

import numpy as np

TASK = Path(sys.argv[1])


def open_channel():
    """Keep the real standard output for results; what cells print goes nowhere."""
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return channel


CHANNEL = open_channel()
OWN = os.getpid()
os.register_at_fork(after_in_child=CHANNEL.close)  # what a cell leaves running has no voice


def say(**words):
    CHANNEL.write(json.dumps(words).encode() + b"\n")


def packed(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def read_calls(task):
    """exercise → list of argument tuples, each argument with the type that it was drawn with."""
    from course_lib.exercises.packing import unpack

    with np.load(TASK / "arrays.npz", allow_pickle=False) as arrays:
        return {name: [unpack(call, arrays) for call in calls] for name, calls in task["calls"].items()}


def main():
    task = json.loads((TASK / "task.json").read_text())
    from IPython.core.interactiveshell import InteractiveShell

    from course_lib.exercises.calls import run

    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    for index, source in task["cells"]:
        if index in task["left_out"]:
            continue
        say(cell=index)
        result = shell.run_cell(source, store_history=False, silent=False)
        if os.getpid() != OWN:
            os._exit(0)  # a process that the cell forked came back here too
        error = result.error_before_exec or result.error_in_exec
        say(cell_done=index, error=type(error).__name__ if error is not None else "")
    say(cells="done")
    for name, calls in read_calls(task).items():
        if name in task["left_out"]:
            continue
        say(exercise=name)
        function = shell.user_ns.get(name)
        if not callable(function):
            say(missing=name)
            continue
        for position, arguments in enumerate(calls):
            outcome = run(function, arguments, quiet=True, **task["limits"][name])
            say(
                outcome=name, call=position, kind=outcome.kind, error=outcome.error, error_type=outcome.error_type,
                blank=outcome.blank, changed=list(outcome.changed),
                arrays=None if outcome.arrays is None else [packed(a) for a in outcome.arrays],
            )  # fmt: skip
        say(exercise_done=name)
    say(all="done")
    os._exit(0)  # whatever the cells left running ends here


main()
