"""The `course` command. Bad input gets one line and exit status 2."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from course_lib import expect

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def course(context: typer.Context) -> None:
    """The course "Deep learning for signals and medical images"."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


@app.command()
def start(
    module: Annotated[str, typer.Argument(help="01, wiener_filtering or 01_wiener_filtering")],
    update: Annotated[bool, typer.Option("--update", help="bring a changed lab in, and keep all answers")] = False,
) -> None:
    """Copy a lab into work/, for you to solve; an existing copy is never overwritten."""
    from course_lib.coursework.start import start_lab

    started = start_lab(module, update=update)
    print(f"{started.path} {started.done}")


@app.command()
def evaluate(
    module: Annotated[str, typer.Argument(help="01, wiener_filtering or 01_wiener_filtering")],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="a folder of images; 05 also DICOM; 02, 09 also NIfTI and fastMRI; 06 of images/ and labels/; "
            "12 of f.npy and signals (0.0dB.npy, …)",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="the JSON file to write")],
    sigma: Annotated[
        list[str] | None,
        typer.Option(
            "--sigma", help="01, 04: noise level; 25/255, or in 04 10, 30 and 50/255, if none is given; repeats"
        ),
    ] = None,
    dose: Annotated[
        list[str] | None,
        typer.Option("--dose", help="05: part of the usual dose; 1/16 and 1/64 if none is given; repeats"),
    ] = None,
    acceleration: Annotated[
        list[float] | None, typer.Option("--acceleration", help="02, 09: R, from 1; 4 and 8 if none is given; repeats")
    ] = None,
    mask: Annotated[
        str | None, typer.Option("--mask", help="02, 09: random_lines (the default) or variable_density_2d")
    ] = None,
    slices: Annotated[
        int | None,
        typer.Option("--slices", help="02, 09: the most of a volume; if not given, 10 of a NIfTI, all of a fastMRI"),
    ] = None,
    foreground: Annotated[
        int | None, typer.Option("--foreground", help="06: the label's value in the foreground, if it has several")
    ] = None,
    voxel_mm: Annotated[
        str | None,
        typer.Option("--voxel-mm", help="06: side of a pixel, or slice,row,column, where files do not tell it"),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="06: to learn for, 300 if not given; 0 takes the course's own weights")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="04, 06, 09, 12: a network of your own, as `course train` has written it"),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="12: such as music or music_oracle; all if none is given; repeats"),
    ] = None,
    signals: Annotated[
        int | None, typer.Option("--signals", help="12: the first so many of each file; all if not given")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="seed of noise, masks and training")] = 0,
) -> None:
    """Run a module's methods on a folder of your own data: a table, and a JSON file."""
    from course_lib.coursework.evaluate import evaluate_module

    options = {
        "sigma": sigma, "dose": dose, "acceleration": acceleration, "mask": mask, "slices": slices,
        "foreground": foreground, "voxel_mm": voxel_mm, "steps": steps, "weights": weights, "method": method,
        "signals": signals,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value not in (None, [])}
    evaluate_module(module, data, out, seed=seed, **given)


@app.command()
def train(
    name: Annotated[str | None, typer.Argument(help="the recipe; without it all recipes are listed")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="end after this time, with a checkpoint")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="a folder of your own data to learn from")] = None,
    foreground: Annotated[
        int | None,
        typer.Option("--foreground", help="with --data, in segmentation: the label's value in the foreground"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="the folder for checkpoint and weights; work/training/NAME if not given"),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="how many, in place of the recipe's")] = None,
    accelerator: Annotated[str, typer.Option("--accelerator", help="auto, cpu, cuda or mps")] = "auto",
    precision: Annotated[str, typer.Option("--precision", help="32-true, bf16-mixed or 16-mixed")] = "32-true",
) -> None:
    """Train a network as its recipe says; Ctrl-C stops it, --resume goes on."""
    from course_lib.coursework.train import recipe_table, train_recipe

    if name is None:
        print(recipe_table())
        return
    status = train_recipe(
        name, out=out, data=data, foreground=foreground, resume=resume, steps=steps, minutes=minutes,
        accelerator=accelerator, precision=precision,
    )  # fmt: skip
    raise typer.Exit(status)


@app.command()
def machine() -> None:
    """Say what is fine on this machine and what is missing; exit status 1 if something is."""
    from course_lib.coursework.machine import machine_check

    report = machine_check()
    print(report)
    raise typer.Exit(0 if report.fine else 1)


@app.command()
def notebooks(
    force: Annotated[bool, typer.Option("--force", help="execute again what is up to date")] = False,
) -> None:
    """Make every notebook and lab from its text."""
    from course_lib.coursework.modules import ROOT
    from course_lib.coursework.notebooks import build, problems

    written = build(force=force)
    print("\n".join(f"wrote {path.relative_to(ROOT)}" for path in written) or "every notebook is up to date")
    found = problems()
    if found:
        raise expect.InputError("\n".join(map(str, found)))


@app.command()
def timings() -> None:
    """Measure every notebook's seconds on one thread, and write docs/timings.json."""
    from course_lib.coursework.modules import TIMINGS
    from course_lib.coursework.notebooks import build, measure
    from course_lib.files import write_whole

    seconds = measure()
    text = json.dumps({"threads": 1, "seconds": seconds}, indent=2) + "\n"
    write_whole(TIMINGS, text)
    print("\n".join(f"{value:6.1f} s  {name}" for name, value in seconds.items()))
    build()


@app.command()
def site(
    out: Annotated[Path | None, typer.Option("--out", help="the site's folder; build/site if not given")] = None,
    repository: Annotated[
        str | None, typer.Option("--repository", help="OWNER/NAME on GitHub, for links that open a page on Binder")
    ] = None,
) -> None:
    """Make the course's pages from the stored notebooks; they need no network to be read."""
    from course_lib.coursework.site import build_site
    from course_lib.coursework.site.build import SITE

    print(f"open {build_site(out or SITE, repository=repository)}")


with contextlib.suppress(ModuleNotFoundError):  # students get the library without the instructor's side
    from course_lib.coursework.grading.commands import add_to

    add_to(app)


def main() -> None:
    """Run the command; say what is wrong in one line, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # a Windows console may know no ✓ and no σ
    try:
        status = app(standalone_mode=False)
    except expect.InputError as error:
        status = _say(str(error))
    except (KeyboardInterrupt, typer.Abort):
        status = _say("stopped", 130)
    except (OSError, UnicodeError) as error:
        status = _say(f"expected files that can be read and written, got: {error}")
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        # a wrong call; typer's exceptions have no public base class
        status = _say(f"{error.format_message().rstrip('.')}; see course --help")
    sys.exit(status if isinstance(status, int) else 0)


def _say(message: str, status: int = 2) -> int:
    print("\n".join(expect.one_line(f"course: {line}") for line in message.split("\n")), file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
