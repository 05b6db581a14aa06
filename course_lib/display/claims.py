"""A claim of the course, measured again by the notebook that makes it."""

from __future__ import annotations

import html

from course_lib import expect


class ClaimError(AssertionError):
    """A claim that this machine does not confirm."""


def claim(
    statement: str,
    value: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "",
    source: str = "",
    digits: int = 3,
    recorded: bool = False,
) -> None:
    """Print a measured value beside the bound that the course claims for it, and raise when it is false.

    The value stands after `≈`, so that it may differ from machine to machine; the bound may not. The
    output's metadata carries the same as numbers, for the table of all claims.

    Args:
        statement: what is measured, for example "bias-free gain at σ=90/255".
        value: what was measured here.
        at_least, at_most: the bound; at least one of them.
        unit: printed after the value, for example "dB".
        source: the deck that makes the claim, for example "deck 000".
        digits: significant digits of the printed value.
        recorded: the value comes from a file that `make studies` wrote, and is not measured by this run.

    Raises:
        ClaimError: the value is outside the bound.
        InputError: no bound, or a value that is not a finite number.
    """
    if at_least is None and at_most is None:
        raise expect.InputError(f"expected a bound (at_least or at_most) for the claim {statement!r}, got none")
    value = expect.number(f"the value of the claim {statement!r}", value)
    holds = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    words = [f"at least {at_least:g}"] if at_least is not None else []
    words += [f"at most {at_most:g}"] if at_most is not None else []
    measured = f"≈ {value:.{digits}g}{' ' + unit if unit else ''}"
    line = f"{'✓' if holds else '✗'} {statement}: {measured} ({', '.join(words)})"
    if not holds:
        raise ClaimError(line)
    _show(line, {"statement": statement, "value": value, "at_least": at_least, "at_most": at_most,
                 "unit": unit, "source": source,
                 "recorded": recorded})  # fmt: skip


def _show(line: str, record: dict) -> None:
    from IPython.core.getipython import get_ipython

    if get_ipython() is None:
        print(line)
        return
    from IPython.display import display

    rich = f'<span style="color:#0072B2;font-weight:600">{html.escape(line[0])}</span>{html.escape(line[1:])}'
    display({"text/html": rich, "text/plain": line}, raw=True, metadata={"claim": record})
