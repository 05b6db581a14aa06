"""Write files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from course_lib import expect


def check_writable(path: Path) -> None:
    """Raise unless `path` can be written; nothing of it is changed."""
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise expect.InputError(f"expected a file to write to, got {path}, which is none")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise expect.InputError(f"expected a file that can be written, got {path}: {error.strerror}") from None


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one step: whoever reads it sees the old content or the new, never half of it."""
    path = Path(path).resolve()  # a link stays a link, and what it points to is replaced
    if path.exists() and not path.is_file():
        raise expect.InputError(f"expected a file, got {path}, which is none")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise expect.InputError(f"expected a file that can be written, got {path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise expect.InputError(f"expected a file that can be written, got {path}: {error.strerror}") from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
