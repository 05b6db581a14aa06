"""The start page's machine check: what is fine, and what is missing, in plain words."""

from __future__ import annotations

import html
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NEEDED_MEMORY_GB = 4.0
MEND = "delete the folder .venv and run `make lab`"


@dataclass(frozen=True)
class Finding:
    """One line of the machine check."""

    fine: bool
    what: str
    words: str


class MachineReport:
    """All findings, shown as a table in Jupyter and as lines elsewhere."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    @property
    def fine(self) -> bool:
        return all(f.fine for f in self.findings)

    @property
    def summary(self) -> str:
        missing = [f.what for f in self.findings if not f.fine]
        return "Everything that the course needs is here." if not missing else f"Look at: {', '.join(missing)}."

    def __repr__(self) -> str:
        return "\n".join([f"{'✓' if f.fine else '✗'} {f.what}: {f.words}" for f in self.findings] + [self.summary])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><b style='color:{'#00674B' if f.fine else '#B03A00'}'>{'✓' if f.fine else '✗'}</b></td>"
            f"<td style='text-align:left'>{html.escape(f.what)}</td>"
            f"<td style='text-align:left'>{html.escape(f.words)}</td></tr>"
            for f in self.findings
        )
        return (
            f"<table style='background:#F7F7F7;color:#1A1A1A'>{rows}</table><p><b>{html.escape(self.summary)}</b></p>"
        )


def machine_check() -> MachineReport:
    """Look at Python, PyTorch, threads, GPU, memory, the course's data files, and the need for a network."""
    checks = (_python, _torch, _threads, _gpu, _memory, _data_files, _offline)
    return MachineReport([_looked(check) for check in checks])


def _looked(check: Callable[[], Finding]) -> Finding:
    """One finding; a check that fails is itself a finding."""
    try:
        return check()
    except Exception as error:
        what = check.__name__.strip("_").replace("_", " ").capitalize()
        return Finding(False, what, f"could not be looked at ({type(error).__name__}): {MEND}")


def _python() -> Finding:
    fine = (3, 11) <= sys.version_info[:2] <= (3, 13)
    wanted = "" if fine else "; expected 3.11, 3.12 or 3.13"
    return Finding(fine, "Python", f"{platform.python_version()}{wanted}")


def _torch() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding(False, "PyTorch", f"cannot be imported ({error}): {MEND}")
    return Finding(True, "PyTorch", f"{torch.__version__}")


def _threads() -> Finding:
    import torch

    count = torch.get_num_threads()
    return Finding(True, "Threads", f"{count} for computing; the measured seconds on each notebook are for one")


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding(True, "GPU", f"{torch.cuda.get_device_name(0)}; not needed so far")
    if torch.backends.mps.is_available():
        return Finding(True, "GPU", "Apple's, through Metal; not needed so far")
    return Finding(True, "GPU", "none found, and none needed")


def _memory() -> Finding:
    import psutil

    total = psutil.virtual_memory().total / 2**30
    fine = total >= NEEDED_MEMORY_GB
    tail = "enough" if fine else f"expected {NEEDED_MEMORY_GB:g} GB or more: close other programs"
    return Finding(fine, "Memory", f"{total:.1f} GB, {tail}")


def _data_files() -> Finding:
    from importlib import resources

    from course_lib.data import PHOTOGRAPHS

    missing = [name for name, (package, file) in PHOTOGRAPHS.items() if not (resources.files(package) / file).is_file()]
    brain = resources.files("nilearn") / "datasets" / "data"
    count = len(list(Path(str(brain)).glob("mni_icbm152_*")))
    if missing or count < 3:
        what = [f"photographs {', '.join(missing)}"] if missing else []
        what += ["brain anatomy"] if count < 3 else []
        return Finding(False, "Data files", f"missing: {'; '.join(what)}: {MEND}")
    return Finding(True, "Data files", f"{len(PHOTOGRAPHS)} photographs and the brain anatomy are installed")


def _offline() -> Finding:
    return Finding(True, "Network", "not needed: nothing is downloaded while you work")
