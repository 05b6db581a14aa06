"""`make studies`: every study, or those that are named; one that was stopped goes on."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from course_lib import expect
from course_lib.training.studies import Study, run_study


def all_studies() -> dict[str, Study]:
    """By name: those of every file beside this one, each of which has a tuple `STUDIES`."""
    files = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != Path(__file__).stem)
    return {study.name: study for file in files for study in import_module(file).STUDIES}


def main() -> int:
    studies = all_studies()
    names = sys.argv[1:] or list(studies)
    unknown = [name for name in names if name not in studies]
    if unknown:
        print(f"course: expected studies among {', '.join(studies)}, got {', '.join(unknown)}", file=sys.stderr)
        return 2
    try:
        for name in names:
            print(run_study(studies[name]))
    except expect.InputError as error:
        print(f"course: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("course: stopped; the same call goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
