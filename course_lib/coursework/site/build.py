"""Lay the pages together, let Sphinx make HTML of them, and put the finished site in its place."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import course_lib
from course_lib import expect
from course_lib.coursework import modules as registry
from course_lib.coursework.modules import ROOT
from course_lib.coursework.notebooks import problems
from course_lib.coursework.site.claims import claims_page
from course_lib.coursework.site.pages import binder_link, index_cards, lab_page, lecture_page
from course_lib.files import write_whole

SOURCE = ROOT / "docs" / "site"
SITE = ROOT / "build" / "site"
NEEDED = ("sphinx", "myst-nb", "sphinx-book-theme", "sphinx-mathjax-offline")
REPOSITORY = re.compile(r"(?:(?:https://|git@)github\.com[/:])?(?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?/?")


def build_site(out: Path = SITE, *, repository: str | None = None) -> Path:
    """Make the site from the stored notebooks, and give its first page.

    Nothing is executed. Where a page cannot be made, the site that lies there stays as it is.

    Args:
        out: the site's folder.
        repository: OWNER/NAME on GitHub, to which the pages' Binder links lead; without it there are none.

    Raises:
        InputError: a package is missing, a notebook is out of date, `out` holds something else, or Sphinx warns.
    """
    repository = repository_name(repository)
    missing = [name for name in NEEDED if not _installed(name)]
    if missing:
        raise expect.InputError(f"expected {', '.join(missing)} for the site: pip install -e .[site]")
    if out.exists() and not (out.is_dir() and ((out / "objects.inv").exists() or not any(out.iterdir()))):
        raise expect.InputError(f"expected an empty folder or an older site at {out}, found something else")
    stale = problems()
    if stale:
        raise expect.InputError("\n".join(["expected notebooks that are up to date:", *map(str, stale)]))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="site-", dir=out.parent) as scratch:
        source, made = Path(scratch, "source"), Path(scratch, "made")
        assemble(source, repository)
        _sphinx(source, made)
        if out.exists():
            shutil.rmtree(out)
        made.replace(out)
    return out / "index.html"


def repository_name(repository: str | None) -> str | None:
    """OWNER/NAME of a repository on GitHub, from that form or an address.

    Raises:
        InputError: it is neither.
    """
    if not repository:
        return None
    found = REPOSITORY.fullmatch(repository.strip())
    if found is None:
        raise expect.InputError(f"expected a repository as OWNER/NAME or its GitHub address, got {repository!r}")
    return found["name"]


def assemble(folder: Path, repository: str | None) -> None:
    """Write every page's source: texts of docs/site, notebooks, and what is generated from the course."""
    shutil.copytree(SOURCE, folder)
    for module in registry.modules():
        for path, make in ((module.lecture.with_suffix(".ipynb"), lecture_page), (module.lab, lab_page)):
            name = path.relative_to(ROOT)
            original = folder / "originals" / name
            original.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, original)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(folder / name, make(module, binder_link(repository, name.as_posix())))
    for name, text in _generated_pages(repository).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, text)


def _generated_pages(repository: str | None) -> dict[str, str]:
    """Page → its text, for all pages that are filled in or made from the course."""
    start = binder_link(repository, "lectures/00_start_here.ipynb")
    filled = {
        "index.md": {
            "cards": index_cards(),
            "lectures": _contents("lectures/{id}"),
            "labs": _contents("labs/{id}/{id}"),
        },
        "run.md": {"binder": f"[Open the course on Binder]({start})." if start else BINDER_BY_HAND},
        "prerequisites.md": {"needs": _needs_table()},
        "api/index.md": {"rooms": "\n".join(course_lib.ROOMS)},
    }
    pages = {"claims.md": claims_page(), "CITATION.cff": (ROOT / "CITATION.cff").read_text(encoding="utf-8")}
    for name, parts in filled.items():
        text = (SOURCE / name).read_text(encoding="utf-8")
        for part, words in parts.items():
            text = text.replace("{{" + part + "}}", words)
        pages[name] = text
    for name in ("instructors.md", "benchmarks.md", "contributing.md", "sliders.md"):
        pages[name] = _for_the_site((ROOT / "docs" / name).read_text(encoding="utf-8"))
    for room in course_lib.ROOMS:
        pages[f"api/{room}.rst"] = _room_page(room)
    return pages


BINDER_BY_HAND = (
    "Push a copy of the course to a public repository of your own, and give Binder its address: `.binder/` says what "
    "it installs. With `make site REPOSITORY=owner/name` each page of the site then has a link that opens its notebook "
    "there."
)


def _for_the_site(text: str) -> str:
    """A page of docs/ as a page of the site: without the marks of its generated parts."""
    return re.sub(r"<!-- (generated: \w+|end) -->\n", "", text)


def _room_page(room: str) -> str:
    title = f"course_lib.{room}"
    return f"{title}\n{'=' * len(title)}\n\n.. automodule:: {title}\n   :members:\n   :imported-members:\n"


def _contents(place: str) -> str:
    """Entries of a table of contents, with names short enough for the side bar."""
    titles = {m.id: registry.header(m.lecture)["title"].split(":")[0] for m in registry.modules()}
    return "\n".join(f"{key[:2]} · {title} <{place.format(id=key)}>" for key, title in titles.items())


def _needs_table() -> str:
    rows = ["| module | level | needs |", "|---|---|---|"]
    for module in registry.modules():
        entry = registry.header(module.lecture)
        link = f"[{module.number} · {entry['title']}](lectures/{module.id}.ipynb)"
        rows.append(f"| {link} | {entry['level']} | {entry['needs']} |")
    return "\n".join(rows)


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _sphinx(source: Path, made: Path) -> None:
    call = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "auto", "-b", "html",
            "-d", str(source.parent / "doctrees"), str(source), str(made)]  # fmt: skip
    env = os.environ | {"PYTHONUTF8": "1"}
    run = subprocess.run(call, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8")
    if run.returncode:
        said = [line.replace(str(source), "site") for line in run.stdout.splitlines() if line.strip()]
        raise expect.InputError("\n".join(["expected pages without a warning, Sphinx said:", *said[:40]]))
    (made / ".buildinfo").unlink(missing_ok=True)
