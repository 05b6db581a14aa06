"""JupyterLab on a copy of the notebooks, and a real browser to open it with.

Without Chromium these tests skip, and say so; COURSE_REQUIRE_BROWSER makes that a failure.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from course_lib.coursework.modules import ROOT

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="session")
def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        words = f"no Chromium on this machine (looked for {', '.join(names)}): the browser tests did not run"
        if os.environ.get("COURSE_REQUIRE_BROWSER"):
            pytest.fail(words)
        pytest.skip(words)
    return path


@pytest.fixture(scope="session")
def jupyterlab(tmp_path_factory):
    """The address of a running JupyterLab, started as `make lab` starts it."""
    root = tmp_path_factory.mktemp("course")
    for folder in ("lectures", "labs", "solutions"):
        shutil.copytree(ROOT / folder, root / folder)
    sys.path.insert(0, str(ROOT))
    import make

    port = free_port()
    log = (root / "jupyter.log").open("w")
    env = {**os.environ, "JUPYTER_CONFIG_DIR": str(root / "config"), "JUPYTER_DATA_DIR": str(root / "data")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *make.lab_options(root, port, browser=False),
         "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"],
        cwd=root, env=env, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=2)
                break
            except OSError:
                assert server.poll() is None, (root / "jupyter.log").read_text()[-2000:]
                time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)
        log.close()


@pytest.fixture(scope="session")
def context(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_context(viewport={"width": 1280, "height": 900})
        browser.close()


@pytest.fixture
def page(context):
    """A fresh page; errors of its console and requests to other hosts are collected on `page.problems`."""
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(f"page error: {error}"))
    page.on("request", lambda request: _watch(page, request.url))
    yield page
    page.close()


def _watch(page, url: str) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        page.problems.append(f"a request to another host: {url}")
