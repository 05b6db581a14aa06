"""Set the course up and run it, with nothing but Python: python make.py lab | test | notebooks | ...

The Makefile calls this file, so both do the same. It needs only the standard library, and even an old
Python reads it, to be told in one line which Python the course wants.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
UNFINISHED = VENV / "course-install-unfinished"  # there while an install runs: an interrupted one leaves it
NOTEBOOK_FOLDERS = ["lectures", "solutions"]
# JupyterLab's own settings: it neither asks about news nor looks for updates
SETTINGS = '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}'


def stop(message):
    """End with one line and exit status 2, as every wrong call of the course does."""
    print("course: " + message, file=sys.stderr)
    raise SystemExit(2)


def check_python():
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        found = "{}.{}".format(*sys.version_info[:2])
        stop(
            f"expected Python 3.11, 3.12 or 3.13, found {found} ({sys.executable}); name another one with "
            "make PYTHON=python3.12 … or python3.12 make.py …"
        )


def fingerprint(extra):
    """What must be the same for an environment to be up to date."""
    digest = hashlib.sha256((sys.version + SETTINGS + str(ROOT)).encode())  # a moved folder is set up anew
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return extra + " " + digest.hexdigest()


def stamps():
    """The set-ups that are complete in .venv: one line each, the extra's name and the fingerprint."""
    try:
        return (VENV / "course-installed").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def is_ready(extra):
    """A `dev` set-up serves a student too, so it counts for both."""
    wanted = [fingerprint("dev")] + ([fingerprint("student")] if extra == "student" else [])
    return PYTHON.exists() and not UNFINISHED.exists() and any(line in stamps() for line in wanted)


def installers(requirement):
    """The install commands to try in turn.

    uv takes the CPU build of PyTorch when asked; pip takes what the registry gives (CPU on macOS and
    Windows, the CUDA build on Linux). UV_TORCH_BACKEND=auto brings the GPU build.
    """
    wanted = ["-c", str(ROOT / "constraints.txt"), "-e", requirement]
    if shutil.which("uv"):
        backend = os.environ.get("UV_TORCH_BACKEND", "cpu")
        yield ["uv", "pip", "install", "--python", str(PYTHON), "--torch-backend", backend, *wanted]
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    yield [*pip, *wanted]


def set_up(extra):
    """Make .venv hold what constraints.txt pins; at once when it already does."""
    check_python()
    if is_ready(extra):
        return
    if UNFINISHED.exists() or not runs(PYTHON):
        ours = UNFINISHED.exists() or (VENV / "pyvenv.cfg").exists() or (VENV.is_dir() and not any(VENV.iterdir()))
        if VENV.is_symlink() or (VENV.exists() and not ours):
            stop(f"expected {VENV} to be the course's own environment, got something else: move it away")
        if VENV.exists():
            print("course: the environment in .venv is incomplete or of another Python: making it anew")
            shutil.rmtree(VENV)
        VENV.mkdir()
        UNFINISHED.touch()
        print("course: first set-up, several minutes; README.md says how much is downloaded", flush=True)
        if subprocess.run([sys.executable, "-m", "venv", str(VENV)]).returncode != 0:
            stop("expected Python's venv with pip, which is missing; on Debian and Ubuntu install python3-venv")
    UNFINISHED.touch()
    requirement = str(ROOT) + ("[dev]" if extra == "dev" else "")
    for command in installers(requirement):
        if subprocess.run(command, cwd=ROOT).returncode == 0:
            break
        print(f"course: {Path(command[0]).name} could not install the course", flush=True)
    else:
        stop("the set-up did not finish (the installer's own message stands above); mend that and call again")
    settings = VENV / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "overrides.json").write_text(SETTINGS, encoding="utf-8")
    new = VENV / "course-installed.new"
    new.write_text(fingerprint(extra) + "\n", encoding="utf-8")
    new.replace(VENV / "course-installed")
    UNFINISHED.unlink()


def runs(python):
    """Whether the environment's Python starts, and is the version that this script runs on."""
    if not python.exists():
        return False
    question = "import sys; print(sys.version)"
    answer = subprocess.run([str(python), "-c", question], capture_output=True, text=True)
    return answer.returncode == 0 and answer.stdout.strip() == sys.version.strip()


def environment():
    """The environment's programs first on PATH, as after `activate`."""
    env = dict(os.environ, PATH=str(BIN) + os.pathsep + os.environ.get("PATH", ""), VIRTUAL_ENV=str(VENV))
    env.pop("PYTHONHOME", None)
    env["PYTHONUTF8"] = "1"  # as everywhere but on Windows
    return env


def run(*command):
    """Run a program of the environment and give its exit status."""
    program, *arguments = command
    full = [str(PYTHON), *arguments] if program == "python" else [str(PYTHON), "-m", program, *arguments]
    try:
        return subprocess.run(full, cwd=ROOT, env=environment()).returncode
    except KeyboardInterrupt:
        return 130


def port_is_free(port):
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def lab_options(root, port, browser):
    """How JupyterLab is started: it asks nobody for news, updates or extensions."""
    options = [
        "--ServerApp.root_dir=" + str(root),
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    if port is not None:
        options += [f"--port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        options.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container; Jupyter wants to be told so
        options.append("--allow-root")
    return options


def lab(port=None, browser=True):
    """Open JupyterLab on the start page."""
    if port is not None:
        if not 1024 <= port <= 65535:
            stop(f"expected a port from 1024 to 65535, got {port}")
        if not port_is_free(port):
            stop(f"port {port} is occupied: give a free one with --port, or none to have one found")
    set_up("student")
    return run("jupyterlab", *lab_options(ROOT, port, browser), "lectures/00_start_here.ipynb")


def test(arguments):
    """Every check of the course: style, rooms, library, notebooks, and the page in a real browser."""
    set_up("dev")
    unit = ["-n", "2", "--dist", "loadfile", "--nbval", "--nbval-sanitize-with", "tests/nbval.cfg"]
    unit += ["--nbval-cell-timeout", "120", "tests", *NOTEBOOK_FOLDERS, "--ignore=tests/browser"]
    # kernels inherit it: one thread for each of two workers, and no progress bars in what is compared
    quiet = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TQDM_DISABLE": "1"}  # passive: waiting is free
    before = {name: os.environ.get(name) for name in quiet}
    os.environ.update(quiet)
    steps = [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("python", "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
        ("pytest", *unit, *arguments),
    ]
    failed = [" ".join(step[:2]) for step in steps if run(*step) != 0]
    for name, value in before.items():
        del os.environ[name]
        if value is not None:
            os.environ[name] = value
    status = run("pytest", "-s", "tests/browser", *arguments)
    if status != 0 and not (status == 5 and arguments):  # 5: the arguments chose no test of these
        failed.append("pytest tests/browser")
    if failed:
        print("course: failed: " + "; ".join(failed), file=sys.stderr)
    return 1 if failed else 0


def course(*arguments):
    set_up("dev")
    return run("python", "-m", "course_lib.coursework.cli", *arguments)


def bench():
    set_up("dev")
    return run("python", "benchmarks/run.py") or run("python", "benchmarks/grading.py")


def sliders():
    """How long each slider takes to its new picture, in the kernel and in the browser."""
    set_up("dev")
    return run("python", "benchmarks/sliders.py")


def studies(names):
    """What takes longer than a notebook may: many trainings, recorded with seeds and commit."""
    set_up("dev")
    return run("python", "studies/run.py", *names)


def soak():
    """What takes longer than a test should: many more random cases, every notebook in the browser."""
    set_up("dev")
    os.environ["COURSE_SOAK"] = "1"
    folders = ["tests/physics", "tests/classical", "tests/exercises", "tests/notebooks", "tests/browser"]
    return run("pytest", "-s", *folders, "tests/coursework/test_instructor_command.py")


def main():
    parser = argparse.ArgumentParser(prog="make.py", description="Set the course up and run it.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    lab_parser = commands.add_parser("lab", help="open JupyterLab on the start page")
    lab_parser.add_argument("--port", type=int, help="the port to use (default: the first free one from 8888)")
    lab_parser.add_argument("--no-browser", action="store_true", help="print the address only")
    commands.add_parser("setup", help="install what constraints.txt pins, and nothing more")
    test_parser = commands.add_parser("test", help="run every check")
    test_parser.add_argument("arguments", nargs="*", help="handed on to pytest")
    notebooks = commands.add_parser("notebooks", help="text → executed solution and lecture → lab")
    notebooks.add_argument("--force", action="store_true", help="execute again what is up to date")
    commands.add_parser("timings", help="measure every notebook's seconds on one thread")
    commands.add_parser("bench", help="speed side by side with peers")
    commands.add_parser("sliders", help="measure each slider's way to its picture, in kernel and browser")
    site_parser = commands.add_parser("site", help="pages to read without a network, in build/site")
    site_parser.add_argument("--repository", help="OWNER/NAME on GitHub, for the pages' Binder links")
    commands.add_parser("soak", help="what takes longer than a test should")
    studies_parser = commands.add_parser("studies", help="what takes longer than a notebook may, recorded")
    studies_parser.add_argument("names", nargs="*", help="some of them; all if none is named")
    options = parser.parse_args()

    if options.command == "lab":
        return lab(options.port, not options.no_browser)
    if options.command == "setup":
        return set_up("student")
    if options.command == "test":
        return test(options.arguments)
    if options.command == "studies":
        return studies(options.names)
    if options.command in ("bench", "soak"):
        return bench() if options.command == "bench" else soak()
    if options.command == "sliders":
        return sliders()
    if options.command == "site":
        return course("site", *(["--repository", options.repository] if options.repository else []))
    return course(options.command, *(["--force"] if getattr(options, "force", False) else []))


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("course: stopped; the same call goes on", file=sys.stderr)
        sys.exit(130)
