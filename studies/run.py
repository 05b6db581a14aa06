"""`make studies`: every study, or those that are named; one that was stopped goes on."""

from __future__ import annotations

import sys

from unet_segmentation import STUDIES

from course_lib import expect
from course_lib.training.studies import run_study


def main() -> int:
    studies = {study.name: study for study in STUDIES}
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
