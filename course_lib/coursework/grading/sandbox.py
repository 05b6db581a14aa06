"""Run a program in a bubblewrap sandbox: no network, no host files, limits on everything, nothing left running.

The program sees a read-only Python environment, its input folder, and an empty home in memory. What it
writes to its standard output is the only thing that comes back, and only up to a limit.
"""

from __future__ import annotations

import os
import random
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from course_lib import expect


@dataclass(frozen=True)
class Limits:
    """What a sandbox may use.

    Attributes:
        silence: seconds without a line before the program is killed.
        wall: seconds in all.
        memory: bytes of address space of one process.
        processes: processes and threads.
        files: bytes on the file system in memory.
        output: bytes that come back.
    """

    silence: float = 30.0
    wall: float = 240.0
    memory: int = 6 * 2**30
    processes: int = 96
    files: int = 64 * 2**20
    output: int = 64 * 2**20


class SandboxMissing(expect.InputError):
    """bubblewrap is not there, or not allowed to work."""


def bubblewrap() -> str:
    """The path of a bubblewrap that works on this machine.

    Raises:
        SandboxMissing: there is none, or the system forbids it; the message says how to mend that.
    """
    path = shutil.which("bwrap")
    if path is None:
        where = (
            "install Debian's or Fedora's package bubblewrap"
            if sys.platform.startswith("linux")
            else "it runs on Linux only: use the container recipe docs/grading.Dockerfile"
        )
        raise SandboxMissing(f"expected bubblewrap (bwrap) for safe grading, found none: {where}")
    test = [path, "--unshare-all", "--ro-bind", "/", "/", "true"]
    run = subprocess.run(test, capture_output=True, text=True)
    if run.returncode:
        said = " ".join(run.stderr.split())[:160]
        raise SandboxMissing(
            f"expected a bubblewrap that may make namespaces, got: {said}; allow unprivileged user namespaces "
            "(on Ubuntu 24.04: an AppArmor profile for bwrap), or use docs/grading.Dockerfile"
        )
    return path


def environment_binds() -> list[Path]:
    """The folders that Python and its packages need, and the system's libraries."""
    places = {Path(sys.prefix), Path(sys.base_prefix), Path("/usr"), Path("/lib"), Path("/lib64"), Path("/bin")}
    found = sorted(p.resolve() for p in places if p.exists())
    return [p for i, p in enumerate(found) if not any(p.is_relative_to(q) for q in found[:i])]


def command(bwrap: str, binds: dict[str, Path], limits: Limits, program: list[str]) -> list[str]:
    """The bubblewrap call: `binds` are shown read-only at the given places."""
    call = [bwrap, "--die-with-parent", "--new-session", "--clearenv", "--unshare-pid", "--unshare-net",
            "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox"]  # fmt: skip
    shown = {str(place): place for place in environment_binds()} | binds
    parents = sorted({str(parent) for place in shown for parent in Path(place).parents if parent != Path("/")})
    for parent in parents:
        if parent not in shown:
            call += ["--perms", "0755", "--dir", parent]
    for place, source in shown.items():
        call += ["--ro-bind", str(source), place]
    for link in ("lib", "lib64", "bin"):
        if Path("/", link).is_symlink():
            call += ["--symlink", os.readlink(Path("/", link)), f"/{link}"]
    # one file system in memory can be written to, so that its size is the limit of all
    call += ["--proc", "/proc", "--dev", "/dev", "--size", str(limits.files), "--perms", "1777", "--tmpfs", "/tmp"]
    call += ["--remount-ro", "/dev", "--remount-ro", "/"]
    variables = {"HOME": "/tmp", "TMPDIR": "/tmp", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUTF8": "1",
                 "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1",
                 "IPYTHONDIR": "/tmp/.ipython", "MPLCONFIGDIR": "/tmp/.mpl"}  # fmt: skip
    for name, value in variables.items():
        call += ["--setenv", name, value]
    call += ["--chdir", "/tmp"]
    if os.geteuid() == 0:
        # real root: no user namespace, so that the process limit counts a user of the sandbox's own
        user = str(random.SystemRandom().randrange(200_000, 2_000_000_000))
        call += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP",
                 "--", "/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                 "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]  # fmt: skip
    else:
        call += ["--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL", "--"]
    return [*call, *program]


@dataclass
class Ending:
    """How a run ended: "finished", "silent", "out of time", "too much output", or "died" with its status."""

    how: str
    status: int | None = None


def run(
    program: list[str], binds: dict[str, Path], limits: Limits, on_line: Callable[[bytes], None], *, bwrap: str | None
) -> Ending:
    """Run `program`, and hand each line of its standard output to `on_line` as it comes.

    `bwrap=None` runs it without a sandbox, which only a flag with a frightening name does.
    """
    import resource  # not on Windows, where there is no bubblewrap either

    call = command(bwrap, binds, limits, program) if bwrap else program

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.files, limits.files))
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
        resource.setrlimit(resource.RLIMIT_CPU, (int(limits.wall) + 5, int(limits.wall) + 10))
        if bwrap:
            resource.setrlimit(resource.RLIMIT_NPROC, (limits.processes, limits.processes))

    process = subprocess.Popen(
        call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=confine,
        start_new_session=True, close_fds=True,
    )  # fmt: skip
    try:
        how = _read(process, limits, on_line)
        if how == "finished":
            status = process.wait(timeout=10)
            return Ending("finished" if status == 0 else "died", status)
        return Ending(how)
    except subprocess.TimeoutExpired:
        return Ending("silent")
    finally:
        _kill(process)


def _read(process: subprocess.Popen, limits: Limits, on_line: Callable[[bytes], None]) -> str:
    start = last = time.monotonic()
    total, rest = 0, bytearray()
    stream = process.stdout
    os.set_blocking(stream.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if now - start > limits.wall:
                return "out of time"
            if now - last > limits.silence:
                return "silent"
            if not selector.select(timeout=min(0.5, limits.silence)):
                continue
            data = stream.read(1 << 20)
            if data is None:
                continue
            if data == b"":
                return "finished"
            total += len(data)
            if total > limits.output:
                return "too much output"
            rest += data
            for line in _lines(rest):
                last = time.monotonic()
                on_line(line)


def _lines(buffer: bytearray) -> Iterator[bytes]:
    """Cut whole lines off the front of the buffer."""
    end = buffer.rfind(b"\n")
    if end >= 0:
        whole = bytes(buffer[:end])
        del buffer[: end + 1]
        yield from whole.split(b"\n")


def _kill(process: subprocess.Popen) -> None:
    """End the sandbox: with its first process, the kernel ends all others of its namespace."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.stdout.close()
    process.wait()
