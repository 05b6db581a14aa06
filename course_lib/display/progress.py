"""Progress bars for long work, in a notebook or on a terminal, and silent elsewhere; lines of text above them."""

from __future__ import annotations

import os
import sys

from tqdm.auto import tqdm

from course_lib import expect


def progress_bar(total: int | None, name: str, unit: str = "it") -> tqdm:
    """A bar that appears after a second and leaves no trace.

    It is silent where nobody looks: when TQDM_DISABLE is set, as it is while notebooks are built or compared,
    and when stderr is no terminal.
    """
    watched = "ipykernel" in sys.modules or sys.stderr.isatty()
    silent = bool(os.environ.get("TQDM_DISABLE")) or not watched
    return tqdm(total=total, desc=name, unit=unit, delay=1, leave=False, disable=silent)


def say(text: str) -> None:
    """One line on stderr, above the progress bar."""
    tqdm.write(expect.one_line(f"course: {text}"), file=sys.stderr)
