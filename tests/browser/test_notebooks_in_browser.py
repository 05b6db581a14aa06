"""The course as a student meets it: JupyterLab in Chromium."""

import os
import statistics
import time

import pytest
from jupyter_page import errors, keyboard_delays, open_notebook, run_all, show_cell


def test_lecture_01_runs_to_the_end_and_its_slider_draws_again(page, jupyterlab):
    start = time.monotonic()
    open_notebook(page, jupyterlab, "lectures/01_wiener_filtering.ipynb")
    cells = run_all(page)
    seconds = time.monotonic() - start
    assert errors(cells) == []

    show_cell(page, cells, "player = play(")
    picture = page.locator(".course-picture img")
    picture.wait_for(timeout=20_000)
    first, first_alt = picture.get_attribute("src"), picture.get_attribute("alt")
    assert "sigma = 25/255" in first_alt

    # drag the handle to the right, as with a mouse
    handle = page.locator(".widget-slider .noUi-handle").first
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    page.wait_for_function("(src) => document.querySelector('.course-picture img').src !== src", arg=first)
    time.sleep(1.0)  # the last of the drag's pictures
    assert picture.get_attribute("alt") != first_alt

    # and by keyboard, one step at a time, with a clock in the page
    delays = keyboard_delays(page, handle, "ArrowLeft", 15)

    # another spectrum makes another picture
    before = picture.get_attribute("src")
    page.locator(".widget-dropdown select").first.select_option(label="rough: gravel, china")
    page.wait_for_function("(src) => document.querySelector('.course-picture img').src !== src", arg=before)
    assert "rough: gravel, china" in picture.get_attribute("alt")

    assert page.problems == []
    assert page.get_by_text("Jupyter news").count() == 0
    print(
        f"\nlecture 01 in Chromium: {seconds:.1f} s from open to done; "
        f"slider to new picture: median {statistics.median(delays):.0f} ms of {len(delays)} moves"
    )


def test_start_page_runs_and_leads_to_the_lab(page, jupyterlab):
    open_notebook(page, jupyterlab, "lectures/00_start_here.ipynb")
    cells = run_all(page)
    assert errors(cells) == []
    shown = "".join(str(o.get("data", {}).get("text/html", "")) for c in cells for o in c["outputs"])
    assert "Everything that the course needs is here." in shown
    assert page.get_by_text("Jupyter news").count() == 0
    assert page.problems == []


def test_a_student_goes_from_wrong_to_right(page, jupyterlab):
    """Lab 01, exercise 1: blank, wrong answer, diagnosis, hint, right answer, progress."""
    open_notebook(page, jupyterlab, "labs/01_wiener_filtering/01_wiener_filtering.ipynb")
    cells = run_all(page)
    assert errors(cells) == []
    assert "0 of 7 exercises passed" in _text(cells[-2])

    wrong = "def power_spectrum(images):\n    return torch.fft.fft2(images).abs().mean(dim=(0, 1))"
    assert "|x̂| is not squared" in _answer(page, cells, wrong)
    hint = "lab.power_spectrum.hint()"
    assert "hint 1 of 3" in _answer(page, cells, f"{wrong}\n{hint}", run_only=True)
    right = "def power_spectrum(images):\n    return (torch.fft.fft2(images).abs() ** 2).mean(dim=(0, 1))"
    assert "5 of 5 points" in _answer(page, cells, right)
    show_cell(page, cells, "lab.progress()")
    _run_cell(page)
    assert "1 of 7 exercises passed, 5 of 33 points" in _text(_cell(page, "lab.progress()"))
    assert page.problems == []


def _text(cell) -> str:
    return "".join("".join(o.get("data", {}).get("text/plain", "")) for o in cell["outputs"])


def _cell(page, text):
    from jupyter_page import CELLS

    return next(c for c in page.evaluate(CELLS) if c["type"] == "code" and text in c["source"])


def _run_cell(page):
    from jupyter_page import IDLE

    page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-cell'); }")
    page.wait_for_function(IDLE, timeout=60_000)


def _answer(page, cells, source: str, *, run_only: bool = False) -> str:
    """Type an answer into exercise 1, run it and its check, and give what the check says."""
    show_cell(page, cells, "def power_spectrum(images):")
    page.evaluate(
        "(text) => window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.setSource(text)", source
    )
    _run_cell(page)
    if run_only:
        return _text(_cell(page, "def power_spectrum(images):"))
    show_cell(page, cells, "lab.power_spectrum.check(")
    _run_cell(page)
    return _text(_cell(page, "lab.power_spectrum.check("))


LECTURES = {
    "02_compressed_sensing": ("random points at acceleration 4", {"acceleration": "ArrowRight", "λ": "ArrowRight"}),
    "04_blind_denoising": (
        "at noise level 60/255",
        {"255 σ": "ArrowLeft", "row": "ArrowRight", "column": "ArrowRight"},
    ),
    "05_mammogram_denoising": ("at 1/64 of the dose", {"dose": "ArrowRight", "share of SSIM": "ArrowRight"}),
    "06_unet_segmentation": ("bent by up to 9 pixels", {"elastic strength": "ArrowRight", "threshold": "ArrowLeft"}),
    "09_data_consistency_cascades": ("at acceleration 4", {"blocks": "ArrowLeft", "acceleration": "ArrowRight"}),
    "12_line_spectra": ("0.80/N apart at 20 dB", {"separation": "ArrowRight", "SNR": "ArrowLeft"}),
}


ALWAYS = ("06_unet_segmentation", "09_data_consistency_cascades")  # the others in make soak


@pytest.mark.parametrize("name", LECTURES if os.environ.get("COURSE_SOAK") else ALWAYS)
def test_lecture_runs_to_the_end_and_each_of_its_sliders_draws_again(page, jupyterlab, name):
    begins_with, sliders = LECTURES[name]
    open_notebook(page, jupyterlab, f"lectures/{name}.ipynb")
    cells = run_all(page, timeout=300)
    assert errors(cells) == []

    show_cell(page, cells, "player = play(")
    picture = page.locator(".course-picture img")
    picture.wait_for(timeout=20_000)
    assert begins_with in picture.get_attribute("alt")
    for (slider, key), handle in zip(sliders.items(), page.locator(".widget-slider .noUi-handle").all(), strict=True):
        delays = keyboard_delays(page, handle, key, 5)
        median = statistics.median(delays)
        print(f"\nlecture {name[:2]}, slider {slider} to picture: median {median:.0f} ms (budget 100 ms)")
    for menu in page.locator(".widget-dropdown select").all():
        before = picture.get_attribute("alt")
        menu.select_option(index=1)
        page.wait_for_function("(alt) => document.querySelector('.course-picture img').alt !== alt", arg=before)
    assert page.problems == []
