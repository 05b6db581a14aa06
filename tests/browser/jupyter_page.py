"""JupyterLab in Chromium, and a person's moves in it: open a notebook, run it, find a cell, look at its outputs."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from course_lib.coursework.modules import ROOT

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

READY = "() => window.jupyterapp?.shell?.currentWidget?.content?.model?.cells?.length > 0"
IDLE = "() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
CELLS = """() => {
  const cells = [...window.jupyterapp.shell.currentWidget.content.model.cells];
  return cells.map(c => ({
    type: c.type,
    count: c.type === 'code' ? c.executionCount : null,
    source: c.sharedModel.getSource(),
    outputs: c.type === 'code' ? c.outputs.toJSON() : [],
  }));
}"""
SCROLL = """async (index) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = index;
  await notebook.scrollToItem(index, 'center');
}"""
WATCH = """() => {
  const box = document.querySelector('.course-picture');
  window.moved = null; window.drawn = null;
  new MutationObserver(() => { window.drawn = performance.now(); })
    .observe(box, {childList: true, subtree: true, attributes: true, characterData: true});
  document.addEventListener('keydown', () => { window.moved = performance.now(); window.drawn = null; }, true);
}"""


def chromium_path() -> str | None:
    return next((found for name in CHROMIUM if (found := shutil.which(name))), None)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def running_lab(root: Path) -> Iterator[str]:
    """JupyterLab in the empty folder `root`, on copies of all notebooks, started as `make lab` starts it."""
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


def open_notebook(page, address: str, path: str) -> None:
    """Open a notebook, as a link would, and wait until its kernel is idle."""
    page.goto(f"{address}/lab/tree/{path}?reset")
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_function(IDLE, timeout=60_000)


def run_all(page, timeout: float = 180) -> list[dict]:
    """Menu Run → Run All Cells; wait to the end, and give the cells with their outputs."""
    before = [cell["count"] for cell in page.evaluate(CELLS)]
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        cells = page.evaluate(CELLS)
        code = [c for c in cells if c["type"] == "code" and c["source"].strip()]
        failed = any(o["output_type"] == "error" for c in code for o in c["outputs"])
        if (all(c["count"] for c in code) and page.evaluate(IDLE)) or failed:
            return cells
        time.sleep(0.2)
    raise AssertionError(f"the notebook did not end in {timeout} s; counts before were {before}")


def errors(cells: list[dict]) -> list[str]:
    return [
        f"cell {i}: {output['ename']}: {output['evalue'][:200]}"
        for i, cell in enumerate(cells, 1)
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


def show_cell(page, cells: list[dict], text: str) -> int:
    """Scroll to the first code cell whose source holds `text`; give its index."""
    index = next(i for i, c in enumerate(cells) if c["type"] == "code" and text in c["source"])
    page.evaluate(SCROLL, index)
    return index


def keyboard_delays(page, handle, key: str, moves: int) -> list[float]:
    """Milliseconds from each of some key presses on a slider to its new picture, by a clock in the page."""
    page.evaluate(WATCH)
    handle.focus()
    delays = []
    opposite = {"ArrowLeft": "ArrowRight", "ArrowRight": "ArrowLeft"}
    for _ in range(moves):
        end = "aria-valuemax" if key == "ArrowRight" else "aria-valuemin"
        if handle.get_attribute("aria-valuenow") == handle.get_attribute(end):
            key = opposite[key]
        before = page.locator(".course-picture img").get_attribute("alt")
        page.keyboard.press(key)
        page.wait_for_function(
            "(alt) => window.drawn && document.querySelector('.course-picture img').alt !== alt", arg=before
        )
        delays.append(page.evaluate("() => window.drawn - window.moved"))
        time.sleep(0.2)
    return delays


def run_code_below(page, cells: list[dict], text: str, code: str) -> str:
    """Run `code` in a new cell below the one whose source holds `text`; give what it prints."""
    index = show_cell(page, cells, text)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:insert-cell-below')")
    page.evaluate(
        "(code) => window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.setSource(code)", code
    )
    page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-cell'); }")
    page.wait_for_function(IDLE, timeout=120_000)
    outputs = page.evaluate(CELLS)[index + 1]["outputs"]
    return "".join("".join(output.get("text", "")) for output in outputs)
