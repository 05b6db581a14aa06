"""JupyterLab on a copy of the notebooks, and a real browser to open it with.

Without Chromium these tests skip, and say so; COURSE_REQUIRE_BROWSER makes that a failure.
"""

import os

import pytest
from jupyter_page import CHROMIUM, FLAGS, chromium_path, running_lab


@pytest.fixture(scope="session")
def chromium() -> str:
    path = chromium_path()
    if path is None:
        words = f"no Chromium on this machine (looked for {', '.join(CHROMIUM)}): the browser tests did not run"
        if os.environ.get("COURSE_REQUIRE_BROWSER"):
            pytest.fail(words)
        pytest.skip(words)
    return path


@pytest.fixture(scope="session")
def jupyterlab(tmp_path_factory):
    """The address of a running JupyterLab, started as `make lab` starts it."""
    with running_lab(tmp_path_factory.mktemp("course")) as address:
        yield address


@pytest.fixture(scope="session")
def context(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_context(viewport={"width": 1280, "height": 900})
        browser.close()


@pytest.fixture
def page(context):
    """A fresh page; errors, also those of its console, and requests to other hosts are collected on `page.problems`."""
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(f"page error: {error}"))
    page.on("console", lambda m: page.problems.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("request", lambda request: _watch(page, request.url))
    yield page
    page.close()


def _watch(page, url: str) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        page.problems.append(f"a request to another host: {url}")
