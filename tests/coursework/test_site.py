"""The site's pages before Sphinx makes HTML of them, and what stops the build. The pages themselves: tests/browser."""

import json
import subprocess
import sys

import pytest
import yaml

from course_lib.coursework.modules import ROOT, modules
from course_lib.coursework.notebooks import frames_of
from course_lib.coursework.site import build, claims, pages
from course_lib.expect import InputError


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("owner/name", "owner/name"),
        ("https://github.com/owner/name", "owner/name"),
        ("https://github.com/owner/name.git", "owner/name"),
        ("git@github.com:owner/name.git", "owner/name"),
        (None, None),
        ("", None),
    ],
)
def test_a_repository_is_known_by_name_or_address(given, name):
    assert build.repository_name(given) == name


@pytest.mark.parametrize("given", ["owner", "https://example.org/owner/name", "a/b/c", "owner/na me"])
def test_another_repository_is_refused(given):
    with pytest.raises(InputError, match="expected a repository as OWNER/NAME or its GitHub address, got"):
        build.repository_name(given)


def test_a_folder_with_something_else_stays(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="expected an empty folder or an older site at"):
        build.build_site(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_stale_notebooks_stop_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "problems", lambda: ["lectures/01.ipynb: stale"])
    with pytest.raises(InputError, match=r"expected notebooks that are up to date:\nlectures/01.ipynb: stale"):
        build.build_site(tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "NEEDED", ("sphinx", "no-such-package"))
    with pytest.raises(InputError, match="expected no-such-package for the site: pip install"):
        build.build_site(tmp_path / "site")


def test_a_warning_of_sphinx_stops_the_build_and_the_old_site_stays(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text("extensions = ['myst_parser']")
    (source / "index.md").write_text("# A page\n\n[a link](nowhere.md)\n")
    old = tmp_path / "site"
    old.mkdir()
    (old / "objects.inv").write_text("old")
    monkeypatch.setattr(build, "problems", lambda: [])
    monkeypatch.setattr(build, "assemble", lambda folder, repository: source.rename(folder))
    with pytest.raises(InputError, match="expected pages without a warning, Sphinx said:\n.*nowhere"):
        build.build_site(old)
    assert (old / "objects.inv").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["site"]  # nothing half-made is left


def test_the_command_says_what_is_wrong_in_one_line():
    call = [sys.executable, "-m", "course_lib.coursework.cli", "site", "--repository", "nonsense"]
    run = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == "course: expected a repository as OWNER/NAME or its GitHub address, got 'nonsense'\n"


# --- claims -------------------------------------------------------------------------------------------


def test_every_system_has_evidence_that_exists():
    known = claims.systems()
    assert set(known) == {m.id for m in modules()} | {"errors"}
    assert sum(map(len, known.values())) > 60


def test_every_claim_that_a_deck_makes_belongs_to_a_system():
    used = {
        place for module, entries in claims.systems().items() for e in entries for place in claims._named(module, e)
    }
    for module, pool in claims.all_claims().items():
        for kind, found in pool.items():
            left = [c.statement for c in found if "deck" in c.source and (module, kind, c.statement) not in used]
            assert left == [], (module, kind)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"claims": [{"lecture": "no such claim"}]}, "expected the claim of .* found none that says 'no such claim'"),
        ({"tests": ["tests/coursework/test_site.py::test_nothing"]}, "expected the test of .*, found no"),
        ({"weights": ["no_such_network"]}, "expected shipped weights for .*, found none named no_such_network"),
        ({"claims": []}, "expected evidence for .*, found none"),
    ],
)
def test_evidence_that_does_not_exist_is_named(tmp_path, monkeypatch, changed, said):
    path = tmp_path / "systems.yml"
    path.write_text(yaml.safe_dump({"01_wiener_filtering": [{"system": "a system", "decks": ["000"], **changed}]}))
    monkeypatch.setattr(claims, "SYSTEMS", path)
    with pytest.raises(InputError, match=said):
        claims.systems()


def test_the_page_shows_every_claim_with_value_bound_and_place():
    page = claims.claims_page()
    found = [c for pool in claims.all_claims().values() for cs in pool.values() for c in cs]
    assert len(found) > 400
    for claim in found:
        assert claims._cell(claim.statement) in page
        assert f"≈ {claim.measured} | {claim.bound} |" in page
    last = page.split("## Every claim of every notebook")[1]  # the systems' tables above repeat some
    assert last.count("| recorded |") == sum(c.recorded for c in found) > 0
    assert last.count("| re-measured |") == sum(not c.recorded for c in found)


# --- sliders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.id)
def test_each_slider_has_a_picture_for_every_position(module):
    folder = frames_of(module.lecture)
    record = json.loads((folder / "player.json").read_text(encoding="utf-8"))
    count = 1
    for control in record["controls"]:
        assert len(control["positions"]) >= 2
        assert len(set(control["positions"])) == len(control["positions"])
        count *= len(control["positions"])
    assert len(record["frames"]) == count <= 40
    assert len({frame["alt"] for frame in record["frames"]}) == count  # each says where it stands
    assert {p.name for p in folder.iterdir()} == {"player.json"} | {f["file"] for f in record["frames"]}
    shown = pages.slider(module.lecture.with_suffix(".ipynb"))
    assert shown.count("<label") == len(record["controls"])
    assert shown.count("<script") == 1
