"""How long each slider takes to draw its new picture, in the kernel and in a browser: python make.py sliders.

Every lecture is run in JupyterLab in Chromium. In the kernel, a control is given other positions and the seconds
to the picture are taken; in the browser, keys are pressed and a clock in the page waits for the picture. The
medians are written to docs/sliders.md.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from jupyter_page import (  # noqa: E402
    FLAGS,
    chromium_path,
    errors,
    keyboard_delays,
    open_notebook,
    run_all,
    run_code_below,
    running_lab,
    show_cell,
)
from playwright.sync_api import sync_playwright  # noqa: E402

from course_lib.coursework.modules import modules  # noqa: E402
from course_lib.files import write_whole  # noqa: E402

TABLE = ROOT / "docs" / "sliders.md"
MOVES = 9
IN_THE_KERNEL = f"""
import json, statistics, time
from course_lib.display.sliders import place, positions
medians = {{}}
for control in player.controls.values():
    start, values = control.value, [value for _, value in positions(control)]
    at, spent = place(control), []
    for step in range(1, {MOVES + 1}):
        before = time.perf_counter()
        control.value = values[(at + step) % len(values)]
        spent.append(1000 * (time.perf_counter() - before))
    medians[control.description] = statistics.median(spent)
    control.value = start
print(json.dumps(medians))
"""
HEAD = """# Sliders: from a move to the new picture

Each control of each lecture, moved in JupyterLab in Chromium, on two cores without a GPU: the median of {moves} moves
in the kernel (computing and drawing), and of {moves} key presses in the browser (from the key to the new picture, by a
clock in the page). The budget is 100 ms in the kernel and 400 ms in the browser. `make sliders` measures anew.

| lecture | control | in the kernel | in the browser |
|---|---|---|---|
"""


def lecture_rows(page, address: str, name: str) -> list[str]:  # noqa: ANN001
    open_notebook(page, address, f"lectures/{name}.ipynb")
    cells = run_all(page, timeout=300)
    assert errors(cells) == []
    show_cell(page, cells, "player = play(")
    page.locator(".course-picture img").wait_for(timeout=20_000)
    browser = {}
    for handle in page.locator(".widget-slider .noUi-handle").all():
        box = handle.locator("xpath=ancestor::*[contains(@class, 'widget-inline-hbox')][1]")
        label = box.locator(".widget-label").first.inner_text()
        browser[label] = statistics.median(keyboard_delays(page, handle, "ArrowRight", MOVES))
    kernel = json.loads(run_code_below(page, cells, "player = play(", IN_THE_KERNEL))
    rows = []
    for label, spent in kernel.items():
        seen = f"{browser[label]:.0f} ms" if label in browser else "–"
        rows.append(f"| {name[:2]} | {label} | {spent:.0f} ms | {seen} |")
        print(rows[-1], flush=True)
    return rows


def main() -> int:
    path = chromium_path()
    if path is None:
        print("sliders: expected Chromium on the path, found none", file=sys.stderr)
        return 2
    rows = []
    with tempfile.TemporaryDirectory() as folder, running_lab(Path(folder)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        for module in modules():
            rows += lecture_rows(page, address, module.id)
        browser.close()
    write_whole(TABLE, HEAD.format(moves=MOVES) + "\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
