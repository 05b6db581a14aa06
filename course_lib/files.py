"""Write files whole or not at all."""

from __future__ import annotations

import contextlib
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


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file in one step: whoever reads it sees the old content or the new, never half of it.

    Text is written as UTF-8 with the line ends that it has. Of a link, what it points to is replaced.

    Raises:
        InputError: no file can be written there, or the disk is full.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise expect.InputError(f"expected a file, got {path}, which is none")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)  # mkstemp's files are the owner's alone
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise expect.InputError(f"expected a file that can be written, got {path}: {error.strerror}") from None
