"""The site in Chromium: read from its folder without any network, by people who see, hear or only use keys."""

import html
import os
import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from course_lib.coursework.modules import modules
from course_lib.coursework.notebooks import answer_lines, unexecuted
from course_lib.coursework.site import build_site

LECTURES = [f"lectures/{m.id}" for m in modules()]
LABS = [f"labs/{m.id}/{m.id}" for m in modules()]
OTHERS = ["index", "run", "prerequisites", "notation", "claims", "benchmarks", "sliders", "instructors", "contributing",
          "licences", "api/index", "api/physics", "api/exercises", "search"]  # fmt: skip
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    return build_site(tmp_path_factory.mktemp("built") / "site", repository="owner/name").parent


@pytest.fixture
def reader(context):
    """A page read from a folder; its problems are every error, warning, failed or foreign request."""
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(f"page error: {error}"))
    page.on("requestfailed", lambda r: page.problems.append(f"failed: {r.url}"))
    page.on("console", lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None)
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else page.problems.append(r.url))
    yield page
    page.close()


def look_at(page, site, name, theme="light"):
    page.goto((site / f"{name}.html").as_uri())
    page.add_style_tag(content="* { transition: none !important; }")
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
    page.wait_for_load_state("load")
    if page.locator(".math").count():
        page.wait_for_function("() => window.MathJax?.startup?.promise", timeout=30_000)
        page.evaluate("() => MathJax.startup.promise")


def violations(page) -> list[str]:
    found = Axe().run(page, options={"preload": False}).response["violations"]
    return [
        f"{v['id']} ({v['impact']}): {node['target']}: {node['html'][:200]}"
        for v in found
        if v["impact"] in SERIOUS
        for node in v["nodes"]
    ]


@pytest.mark.parametrize("name", LECTURES + LABS + OTHERS)
def test_a_page_asks_no_other_host_and_fits_the_window(site, reader, name):
    look_at(reader, site, name)
    assert reader.problems == []
    assert reader.evaluate("() => document.documentElement.scrollWidth") <= 1280  # nothing hangs over the edge


FEW = [LECTURES[0], LABS[0], "index", "prerequisites", "notation", "benchmarks", "api/exercises", "search"]
SOAK = os.environ.get("COURSE_SOAK")  # axe takes seconds on long pages: there all of them


@pytest.mark.parametrize("name", LECTURES + LABS + OTHERS if SOAK else FEW)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_violation_of_accessibility(site, reader, name, theme):
    look_at(reader, site, name, theme)
    ground = reader.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (max(int(v) for v in ground.strip("rgba()").split(",")[:3]) < 60) == (theme == "dark")
    assert violations(reader) == []


def test_the_button_for_dark_mode_works(site, reader):
    look_at(reader, site, "index")
    reader.locator(".theme-switch-button:visible").click()
    reader.locator(".dropdown-menu.show").get_by_text("Dark", exact=True).click()
    assert reader.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert reader.evaluate("() => localStorage.getItem('mode')") == "dark"
    reader.evaluate("() => localStorage.clear()")


def test_search_finds_a_lecture(site, reader):
    reader.goto((site / "search.html").as_uri() + "?q=cascade")
    reader.locator("#search-results a", has_text="cascades").first.wait_for(timeout=20_000)
    assert reader.problems == []


@pytest.mark.parametrize("name", LECTURES)
def test_each_slider_moves_by_keyboard_and_has_a_label(site, reader, name):
    look_at(reader, site, name)
    picture = reader.locator(".course-slider img")
    for slider in reader.locator(".course-slider input[type=range]").all():
        label = reader.locator(f"label[for={slider.get_attribute('id')}]").inner_text()
        assert len(label) > 2
        before = picture.get_attribute("src"), picture.get_attribute("alt"), slider.get_attribute("aria-valuetext")
        slider.focus()
        at_end = slider.input_value() == slider.get_attribute("max")
        reader.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
        after = picture.get_attribute("src"), picture.get_attribute("alt"), slider.get_attribute("aria-valuetext")
        assert all(a != b for a, b in zip(before, after, strict=True)), label
    for menu in reader.locator(".course-slider select").all():
        before = picture.get_attribute("src")
        menu.select_option(index=1)
        assert picture.get_attribute("src") != before
    reader.wait_for_function("() => document.querySelector('.course-slider img').complete")
    assert reader.evaluate("() => document.querySelector('.course-slider img').naturalWidth") > 100
    assert reader.problems == []


def test_mathematics_is_set_from_the_folder(site, reader):
    look_at(reader, site, "lectures/02_compressed_sensing")
    assert reader.locator("mjx-container").count() > 50
    assert reader.locator("mjx-merror").count() == 0


def test_every_picture_says_what_is_to_be_seen(site, reader):
    for name in LECTURES:
        look_at(reader, site, name)
        alts = reader.evaluate("() => [...document.querySelectorAll('.bd-article img')].map(i => i.alt)")
        assert len(alts) >= 8
        assert all(len(alt.split()) >= 6 for alt in alts), [a for a in alts if len(a.split()) < 6]


def test_links_inside_the_site_lead_somewhere(site):
    found = [p for p in site.rglob("*.html") if "_static" not in p.parts]
    pages = {p.relative_to(site).as_posix(): p.read_text(encoding="utf-8") for p in found}
    for name, text in pages.items():
        for link in re.findall(r'(?:href|src)="([^"#:?]+)(?:#[^"]*)?"', text):
            assert (site / name).parent.joinpath(link).resolve().exists(), (name, link)
    assert not [name for name in pages if name.startswith("solutions")]


def test_no_answer_of_a_lab_is_on_the_site(site):
    for module in modules():
        text = (site / f"labs/{module.id}/{module.id}.html").read_text(encoding="utf-8")
        plain = html.unescape(re.sub(r"<[^>]+>", "", text))
        lines = {line.strip() for line in plain.splitlines()}
        assert not lines & answer_lines(unexecuted(module.solution))
