"""Progress bars for long work: in a notebook or on a terminal, and silent elsewhere."""

from __future__ import annotations

import os
import sys

from tqdm.auto import tqdm


def progress_bar(total: int | None, name: str, unit: str = "it") -> tqdm:
    """A bar that appears after a second and leaves no trace.

    It is silent where nobody looks: when TQDM_DISABLE is set, as it is while notebooks are built or compared,
    and when stderr is no terminal.
    """
    watched = "ipykernel" in sys.modules or sys.stderr.isatty()
    silent = bool(os.environ.get("TQDM_DISABLE")) or not watched
    return tqdm(total=total, desc=name, unit=unit, delay=1, leave=False, disable=silent)
