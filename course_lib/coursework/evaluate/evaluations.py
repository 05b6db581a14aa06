"""Which modules can be evaluated, and the evaluation itself: everything is checked first, and one file is written."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from course_lib import expect
from course_lib.coursework.evaluate import (
    blind_denoising,
    compressed_sensing,
    data_consistency_cascades,
    line_spectra,
    mammogram_denoising,
    unet_segmentation,
    wiener_filtering,
)
from course_lib.coursework.evaluate.framework import Row, table
from course_lib.coursework.modules import Module
from course_lib.files import check_writable, write_whole

EVALUATIONS = {
    "01_wiener_filtering": wiener_filtering.EVALUATION,
    "02_compressed_sensing": compressed_sensing.EVALUATION,
    "04_blind_denoising": blind_denoising.EVALUATION,
    "05_mammogram_denoising": mammogram_denoising.EVALUATION,
    "06_unet_segmentation": unet_segmentation.EVALUATION,
    "09_data_consistency_cascades": data_consistency_cascades.EVALUATION,
    "12_line_spectra": line_spectra.EVALUATION,
}


def evaluate_module(module: str, data: Path, out: Path, *, seed: int = 0, **options: object) -> list[Row]:
    """Evaluate a module on the files in `data`, print a table, and write `out` as JSON.

    Everything is checked before the work begins, and `out` is written whole at the end or not at all. A file
    that cannot be used is named on stderr and skipped; `count` says how many images were used.

    Raises:
        InputError: a module that is unknown or has no evaluation, an option that is another module's or has a
            bad value, a bad folder, no usable file, or an `out` that cannot be written.
    """
    from course_lib.data.line_files import SUFFIX
    from course_lib.data.mammogram_files import DICOM_SUFFIXES
    from course_lib.data.mri_files import DATA_SUFFIXES

    known = [Module(name) for name in EVALUATIONS]
    name = next((m.id for m in known if module in (m.id, m.number, m.name)), None)
    if name is None:
        raise expect.InputError(f"expected a module among {', '.join(EVALUATIONS)}, got {module!r}")
    evaluation = EVALUATIONS[name]
    for option in options:
        if option not in evaluation.options:
            own = ", ".join(_as_typed(own) for own in evaluation.options)
            raise expect.InputError(f"expected options of {name} ({own}), got {_as_typed(option)}")
    out = Path(out)
    of_data = (*DATA_SUFFIXES, *DICOM_SUFFIXES, SUFFIX)
    if out.is_dir() or not out.parent.is_dir() or out.name.lower().endswith(of_data):
        raise expect.InputError(f"expected --out as a JSON file in an existing folder, got {out}")
    check_writable(out)
    if not 0 <= seed < 2**31:
        raise expect.InputError(f"expected --seed from 0 to {2**31 - 1}, got {seed}")
    chosen = evaluation.options | options
    rows = evaluation.rows(Path(data), seed, **chosen)
    print(table(rows, evaluation.unit))
    beside = {option: value for option, value in chosen.items() if not isinstance(value, list)}
    record = {
        "module": name,
        "data": expect.one_line(str(data)),
        "seed": seed,
        **beside,
        "rows": [_as_json(row) for row in rows],
    }
    write_whole(out, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return rows


def _as_typed(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _as_json(row: Row) -> dict[str, object]:
    """A row for the file; JSON has no infinity, the PSNR of an image without an error: null stands for it."""
    return asdict(row) | {"value": row.value if math.isfinite(row.value) else None}
