"""Hostile and broken submissions: wrong work never gains a point, right work never loses one, and nothing gets out."""

import ast
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from course_lib import expect
from course_lib.coursework.grading import sandbox
from course_lib.coursework.grading.grade import grade_all, grade_one
from course_lib.coursework.grading.library import SOURCE, without_answers
from course_lib.coursework.grading.submissions import MAX_BYTES, Submission, collect
from course_lib.coursework.modules import find_module, modules
from course_lib.exercises import LABS, load_lab

MODULE = find_module("01")
LAB = load_lab(MODULE.id)
FULL = {e.function: e.points for e in LAB.exercises}
LIMITS = sandbox.Limits(silence=6, wall=60)
SEED = "a secret of this test"

needs_sandbox = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("bwrap") is None,
    reason="no bubblewrap on this machine: grading was not tested",
)
if os.environ.get("COURSE_REQUIRE_SANDBOX"):
    assert shutil.which("bwrap"), "bubblewrap is missing and COURSE_REQUIRE_SANDBOX is set"


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def short(notebook: dict) -> dict:
    """The cells that grading needs, without the pictures between them."""
    first = next(i for i, c in enumerate(notebook["cells"]) if c["cell_type"] == "code")
    keep = [c for i, c in enumerate(notebook["cells"]) if i == first or "nbgrader" in c["metadata"]]
    return {**notebook, "cells": copy.deepcopy(keep)}


SOLVED = short(load(MODULE.solution.with_suffix(".ipynb")))
BLANK = short(load(MODULE.lab))


def cell(source: str, **metadata) -> dict:
    return {"cell_type": "code", "id": f"extra{abs(hash(source)) % 10**9}", "metadata": metadata, "source": source,
            "outputs": [], "execution_count": None}  # fmt: skip


def answer(notebook: dict, name: str) -> dict:
    return next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name)


def solved(first: str = "", last: str = "", **answers: str) -> dict:
    """The solution, with other answers, and with cells of the student's own at its beginning and end."""
    notebook = copy.deepcopy(SOLVED)
    for name, source in answers.items():
        answer(notebook, name)["source"] = source
    if first:
        notebook["cells"].insert(1, cell(first))
    if last:
        notebook["cells"].append(cell(last))
    return notebook


def grade(notebook: dict | str, seed: str = SEED):
    text = notebook if isinstance(notebook, str) else json.dumps(notebook)
    return grade_one(Submission("student", "file", text), MODULE.id, seed, limits=LIMITS)


def points(result) -> dict[str, int]:
    return {e.function: e.points for e in result.exercises}


def status(result) -> dict[str, str]:
    return {e.function: e.status for e in result.exercises}


# --- right work never loses a point -------------------------------------------------------------------


@needs_sandbox
@pytest.mark.parametrize("module", modules(), ids=lambda module: module.id)
def test_every_solved_lab_has_all_points(module):
    """The whole notebook as it lies here, its trainings and figures included, within the limits of `course grade`."""
    text = module.solution.with_suffix(".ipynb").read_text(encoding="utf-8")
    result = grade_one(Submission("student", "file", text), module.id, SEED)
    assert points(result) == {e.function: e.points for e in load_lab(module.id).exercises}


RIGHT = {
    "perfect": solved(),
    "a crash elsewhere": solved(first="1 / 0", last="raise ValueError('late')"),
    "a syntax error elsewhere": solved(first="this is not python"),
    "asserts are stripped": solved(
        first="import ast\nclass Strip(ast.NodeTransformer):\n    def visit_Assert(self, node):\n"
        "        return ast.Pass()\nget_ipython().ast_transformers.append(Strip())"
    ),
    "prints and warnings": solved(
        wiener_gain="import warnings, sys\ndef wiener_gain(spectrum, sigma):\n    warnings.warn('hm'); print('x' * 1000)\n"
        "    print('error', file=sys.stderr)\n    return spectrum / (spectrum + spectrum.numel() * sigma**2)"
    ),
    "a slow first call": solved(
        wiener_gain="import time\ntime.sleep(2)\ndef wiener_gain(spectrum, sigma):\n    import torch.nn\n"
        "    return spectrum / (spectrum + spectrum.numel() * sigma**2)"
    ),
    "helpers in extra cells": solved(
        first="def noise_power(S, sigma):\n    return S.numel() * sigma**2",
        wiener_gain="def wiener_gain(spectrum, sigma):\n    return spectrum / (spectrum + noise_power(spectrum, sigma))",
    ),
    "helpers redefined": solved(first="lab = None\ndata = None\nclassical = None\ntorch_ = None"),
    "asks for input": solved(first="name = input('who are you? ')"),
    "a loop without end": solved(first="while True:\n    pass"),
    "a loop that swallows interrupts": solved(
        last="while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    ),
    "ends the process": solved(first="import os\nos._exit(0)"),
    "kills every process": solved(last="import os, signal\nos.kill(-1, signal.SIGKILL)\nos.kill(os.getpid(), 9)"),
    "exits": solved(first="raise SystemExit", last="import sys\nsys.exit(3)"),
    "exits in a thread": solved(first="import sys, threading\nthreading.Thread(target=sys.exit).start()"),
    "a daemon": solved(
        last="import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(300)\n"
        "    os._exit(0)"
    ),
    "a flood of output": solved(last="import os\nwhile True:\n    print('x' * 10000)"),
    "a flood on the channel": solved(
        last="import os\nfor fd in range(3, 20):\n    try:\n        while True:\n            os.write(fd, b'x' * 100000)\n"
        "    except OSError:\n        pass"
    ),
    "a flood of memory": solved(first="x = [bytearray(10**9) for _ in range(100)]"),
    "a flood of files": solved(first="n = 0\nwhile True:\n    open(f'/tmp/{n}', 'wb').write(b'x' * 10**6)\n    n += 1"),
    "a fork bomb": solved(last="import os\nwhile True:\n    os.fork()"),
    "a fork that talks on": solved(
        last="import os\nif os.fork() == 0:\n    while True:\n        for n in range(3, 30):\n            try:\n"
        '                os.write(n, b\'{"exercise": "power_spectrum"}\\n\')\n            except OSError:\n'
        "                pass"
    ),
    "changed points and metadata": solved(),
    "outputs with scripts": solved(),
}
for _c in RIGHT["changed points and metadata"]["cells"]:
    if "points" in _c["metadata"].get("nbgrader", {}):
        _c["metadata"]["nbgrader"]["points"] = 10**6
RIGHT["outputs with scripts"]["cells"][1]["outputs"] = [
    {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<script>alert(1)</script>"}}
]


@needs_sandbox
@pytest.mark.parametrize("name", RIGHT)
def test_right_work_keeps_every_point(name):
    result = grade(RIGHT[name])
    assert result.status == "graded"
    assert points(result) == FULL, [(e.function, e.status, e.message) for e in result.exercises]


@needs_sandbox
def test_checks_and_calls_to_the_library_may_be_deleted_or_doubled():
    deleted = copy.deepcopy(SOLVED)
    deleted["cells"] = [c for c in deleted["cells"] if not str(c["source"]).startswith("lab.")]
    assert points(grade(deleted)) == FULL
    doubled = copy.deepcopy(SOLVED)
    doubled["cells"] += copy.deepcopy([answer(SOLVED, "wiener_gain"), answer(SOLVED, "check_wiener_gain")])
    result = grade(doubled)
    assert points(result) == FULL
    assert "duplicated grade id wiener_gain" in result.notes
    renamed = copy.deepcopy(SOLVED)
    for c in renamed["cells"]:
        c["metadata"].pop("nbgrader", None)
    assert points(grade(renamed)) == FULL  # functions count, wherever they are defined


# --- wrong work never gains one -----------------------------------------------------------------------

SUM = "def power_spectrum(images):\n    return torch.fft.fft2(images).abs().square().sum(dim=(0, 1))"
ABOVE = "def wiener_gain(spectrum, sigma):\n    return "
ATTACKS = {
    "numpy says yes": "import numpy as np\nnp.allclose = lambda *a, **k: True\nnp.isclose = lambda *a, **k: True\n"
    "np.testing.assert_allclose = lambda *a, **k: None",
    "torch says yes": "torch.allclose = torch.equal = lambda *a, **k: True\ntorch.Tensor.__eq__ = lambda a, b: True",
    "builtins say yes": "import builtins\nbuiltins.all = builtins.any = lambda *a: True\nbuiltins.abs = lambda x: 0",
    "the lab says yes": "class Yes:\n    def __getattr__(self, name): return lambda *a, **k: 'passed'\nlab = Yes()",
    "the exercise is patched": "import course_lib.exercises.calls as c\nc.run = lambda *a, **k: None\n"
    "c.close = lambda *a, **k: True",
    "main is patched": "import sys\nsys.modules['__main__'].say = lambda **k: None",
    "the frame is walked": "import sys, gc\nfor o in gc.get_objects():\n    if isinstance(o, dict) and 'TASK' in o and 'say' in o:\n"
    "        o['say'](outcome='power_spectrum', call=0, kind='a tensor', error=None, error_type='', blank=False, changed=[],"
    " arrays=[])",
    "results are forged": "import json, os\nline = json.dumps({'outcome': 'power_spectrum', 'points': 5, 'status': 'passed', 'call': 0})\n"
    "for fd in range(3, 30):\n    try:\n        os.write(fd, (line + '\\n').encode())\n    except OSError:\n        pass",
    "done is forged": 'import json, os\nfor fd in range(3, 30):\n    try:\n        os.write(fd, b\'{"all": "done"}\\n\')\n'
    "    except OSError:\n        pass",
}


@needs_sandbox
@pytest.mark.parametrize("name", ATTACKS)
def test_wrong_work_gains_nothing_by_an_attack(name):
    honest = points(grade(solved(power_spectrum=SUM)))
    attacked = grade(solved(first=ATTACKS[name], power_spectrum=SUM))
    assert points(attacked)["power_spectrum"] <= honest["power_spectrum"] < FULL["power_spectrum"]
    assert sum(points(attacked).values()) <= sum(honest.values())


@needs_sandbox
def test_untouched_and_wrong_work():
    result = grade(BLANK)
    assert set(status(result).values()) == {"not attempted"}
    assert result.points == 0
    wrong = grade(solved(power_spectrum=SUM))
    e = wrong.exercises[0]
    assert (e.status, e.mistake) == ("failed", "_sum_over_images")
    assert 0 < e.points < e.of
    assert e.properties["scaling"]
    assert not e.properties["Parseval's relation"]


VALUES = {
    "NaN": ABOVE + "spectrum * float('nan')",
    "a wrong shape": ABOVE + "spectrum[:2]",
    "text": ABOVE + "'passed'",
    "nothing": ABOVE + "None",
    "an object": ABOVE + "object()",
    "an array of objects": "import numpy as np\n" + ABOVE + "np.array([object()])",
    "something that pickles into a command": "import os, pickle\nclass P:\n    def __reduce__(self):\n"
    "        return os.system, ('touch /tmp/owned',)\n" + ABOVE + "P()",
    "a tensor subclass that agrees with everything": "class T(torch.Tensor):\n    def __eq__(self, other): return True\n"
    + ABOVE + "torch.zeros_like(spectrum).as_subclass(T)",
    "a huge array": ABOVE + "torch.ones(1).expand(10**9, 10**3)",
    "an endless call": "def wiener_gain(spectrum, sigma):\n    while True:\n        pass",
    "a call that ends the process": "import os\n" + ABOVE + "os._exit(0)",
}  # fmt: skip


@needs_sandbox
@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_is_no_answer_costs_its_own_exercise_alone(name):
    result = grade(solved(wiener_gain=VALUES[name]))
    others = {
        k: v for k, v in points(result).items() if k in ("power_spectrum", "apply_gain", "expected_mse", "linear_mmse")
    }
    assert others == {k: FULL[k] for k in others}
    gained = points(result)["wiener_gain"]
    assert gained < FULL["wiener_gain"]
    assert gained <= 1 or name == "a tensor subclass that agrees with everything"
    assert not Path("/tmp/owned").exists()


RIGHT_GAIN = "spectrum / (spectrum + spectrum.numel() * sigma**2)"


@needs_sandbox
@pytest.mark.parametrize("value", [f"({RIGHT_GAIN}).requires_grad_()", f"[{RIGHT_GAIN}]"], ids=["graph", "list"])
def test_a_right_value_in_the_wrong_form_costs_the_same_as_in_the_lab(value):
    scope = {}
    exec(ABOVE + value, scope)
    in_the_lab = LAB["wiener_gain"].check(scope["wiener_gain"])
    graded = grade(solved(wiener_gain=ABOVE + value)).exercises[1]
    assert (graded.status, graded.points, graded.message) == ("failed", in_the_lab.points, in_the_lab.message)
    assert graded.points < FULL["wiener_gain"]


DELEGATES = {
    "the library": ABOVE + "classical.wiener_gain(spectrum, sigma)",
    "the library by another way": "import course_lib.classical.wiener as w\n" + ABOVE + "w.wiener_gain(spectrum, sigma)",
    "the lab's reference": ABOVE + "lab.wiener_gain.reference(spectrum, sigma)",
    "its module, loaded anew": "import importlib, course_lib.classical.wiener as w\n" + ABOVE
    + "importlib.reload(w).wiener_gain(spectrum, sigma)",
}  # fmt: skip


@needs_sandbox
@pytest.mark.parametrize("name", DELEGATES)
def test_delegating_scores_nothing_with_that_status(name):
    e = grade(solved(wiener_gain=DELEGATES[name])).exercises[1]
    assert (e.status, e.points) == ("delegates", 0)


@needs_sandbox
@pytest.mark.parametrize(
    "convolution",
    [
        "torch.nn.functional.conv2d(x, w, padding=dilation, dilation=dilation)",
        "torch.ops.aten.convolution(x, w, None, [1, 1], [dilation] * 2, [dilation] * 2, False, [0, 0], 1)",
    ],
)
def test_an_operator_of_torch_that_is_the_answer_delegates(convolution):
    module = find_module("05")
    notebook = short(load(module.solution.with_suffix(".ipynb")))
    answer(notebook, "dilated_convolution")["source"] = (
        "def dilated_convolution(image, kernel, dilation):\n    x, w = image[None, None], kernel[None, None]\n"
        f"    return {convolution}[0, 0]"
    )
    result = grade_one(Submission("student", "file", json.dumps(notebook)), module.id, SEED, limits=LIMITS)
    assert {e.function: e.status for e in result.exercises if e.status != "passed"} == {
        "dilated_convolution": "delegates"
    }
    assert points(result)["dilated_convolution"] == 0


@needs_sandbox
def test_batch_norm_of_torch_delegates():
    module = find_module("04")
    notebook = short(load(module.solution.with_suffix(".ipynb")))
    answer(notebook, "bias_free_norm")["source"] = (
        "def bias_free_norm(features, scale):\n    variance = features.var(dim=(0, 2, 3), unbiased=False)\n"
        "    return torch.nn.functional.batch_norm(features, 0 * variance, variance, scale)"
    )
    result = grade_one(Submission("student", "file", json.dumps(notebook)), module.id, SEED, limits=LIMITS)
    assert {e.function: e.status for e in result.exercises if e.status != "passed"} == {"bias_free_norm": "delegates"}
    assert points(result)["bias_free_norm"] == 0


def _functions_of(text: str) -> dict[str, str]:
    return {n.name: ast.unparse(n) for n in ast.parse(text).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}


@pytest.mark.parametrize("module", LABS)
def test_the_sandboxs_library_lacks_the_answers_and_nothing_else(module, tmp_path):
    """A function of the same name in another file is no answer: recipes have a `batch` each."""
    lab = load_lab(module)
    answers = {name.rsplit(".", 1)[1] for exercise in lab.exercises for name in exercise.answers}
    found = set()
    copy = without_answers(lab, tmp_path) / "course_lib"
    for file in copy.rglob("*.py"):
        original = SOURCE / file.relative_to(copy)
        if file.parent.name == "exercises" or file.read_bytes() == original.read_bytes():
            continue
        before, after = (_functions_of(path.read_text(encoding="utf-8")) for path in (original, file))
        changed = {name for name in before if before[name] != after[name]}
        assert changed
        assert all("AnswerIsAbsent" in after[name] for name in changed)
        assert not changed & found
        found |= changed
    assert found == answers


@needs_sandbox
def test_a_function_made_by_or_reference_is_blank_work():
    result = grade(solved(wiener_gain=answer(BLANK, "wiener_gain")["source"]))
    assert status(result)["wiener_gain"] == "not attempted"
    assert points(result)["wiener_gain"] == 0


@needs_sandbox
def test_right_for_the_visible_cases_only():
    """A table of the lab's own cases, which anybody can make, is worth nothing on secret ones."""
    import torch

    def key(spectrum, sigma):
        return [*spectrum.flatten()[:4].tolist(), sigma]

    visible = [call.arguments for call in LAB.exercises[1].calls(0)]
    table = [(key(*arguments), LAB.exercises[1].reference(*arguments).tolist()) for arguments in visible]
    by_heart = f"""
TABLE = {table!r}
def wiener_gain(spectrum, sigma):
    for key, value in TABLE:
        if [*spectrum.flatten()[:4].tolist(), sigma] == key:
            return torch.tensor(value)
    return torch.zeros_like(spectrum)
"""
    scope = {"torch": torch}
    exec(by_heart, scope)
    assert LAB.exercises[1].check(scope["wiener_gain"]).passed
    assert grade(solved(wiener_gain=by_heart)).exercises[1].status == "failed"


# --- nothing gets out ---------------------------------------------------------------------------------

SPY = """
import os, json, pathlib, socket
def look():
    found = []
    for place in ("/work", "/home", "/root", "/etc/passwd", "/course/course_lib/exercises/exercise.py",
                  "/course/course_lib/coursework", "/course/../results", "/var", "/run", "SECRET"):
        p = pathlib.Path(place)
        try:
            found += [str(f) for f in ([p] if p.is_file() else p.rglob("*.ipynb")) if "site-packages" not in str(f)]
        except OSError:
            pass
    try:
        socket.create_connection(("127.0.0.1", PORT), 2)
        found.append("network")
    except OSError:
        pass
    for place in ("/x", "/course/x", "/task/x", "/usr/x", "/dev/shm/x", "/proc/1/mem"):
        try:
            open(place, "w").close()
            found.append("wrote " + place)
        except OSError:
            pass
    found += [k for k in os.environ if "SECRET" in k or k.startswith(("AWS", "COURSE"))]
    return found
FOUND = look()
def wiener_gain(spectrum, sigma):
    raise RuntimeError("found " + json.dumps(FOUND))
"""


@needs_sandbox
def test_a_spy_finds_nothing(tmp_path, monkeypatch):
    import socket

    monkeypatch.setenv("MY_SECRET", "x")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        spy = SPY.replace("PORT", str(server.getsockname()[1])).replace('"SECRET"', repr(str(tmp_path)))
        (tmp_path / "other.ipynb").write_text("{}")
        result = grade(solved(wiener_gain=spy))
    assert "found [] " in result.exercises[1].message, result.exercises[1].message


@needs_sandbox
def test_no_process_is_left_and_nothing_on_the_host_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # other tests have theirs in /tmp at the same time
    before = set(os.listdir(Path(sandbox.__file__).parent))
    mark = f"import time  # {time.time_ns()}"
    grade(
        solved(
            last=f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {mark + chr(10)!r} 'time.sleep(99)'])"
        )
    )
    running = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True).stdout
    assert mark not in running
    assert set(os.listdir(Path(sandbox.__file__).parent)) == before
    assert not list(tmp_path.iterdir())


def test_without_bubblewrap_nothing_is_run(monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    with pytest.raises(expect.InputError, match=r"expected bubblewrap \(bwrap\) for safe grading, found none: "):
        sandbox.bubblewrap()


# --- files --------------------------------------------------------------------------------------------


def test_layouts(tmp_path):
    text = json.dumps(BLANK)
    places = [
        "plain.ipynb", "Zoë O'Neil, \"the\" 王.ipynb", "smithjohn_12_345_lab.ipynb", "late_LATE_77_12_lab.ipynb",
        "Ada Lovelace_9_assignsubmission_file/my lab.ipynb", f"hacker/{MODULE.id}/lab.ipynb", "folder/lab.ipynb",
    ]  # fmt: skip
    for place in places:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        archive.writestr("deep/lab.ipynb", text)
        archive.writestr("__MACOSX/deep/._lab.ipynb", "x")
    found = {s.student: s for s in collect(tmp_path, MODULE)}
    assert set(found) == {
        "plain", "Zoë O'Neil, \"the\" 王", "smithjohn (12)", "late (77)", "Ada Lovelace (9)", "hacker", "folder", "zipped",
    }  # fmt: skip
    assert all(s.text and not s.problem for s in found.values())


def test_files_that_are_no_submission_are_named(tmp_path):
    (tmp_path / "empty.ipynb").write_text("")
    (tmp_path / "broken.ipynb").write_text("{ not json")
    (tmp_path / "list.ipynb").write_text("[1, 2]")
    (tmp_path / "deep.ipynb").write_text("[" * 100_000)
    (tmp_path / "old.ipynb").write_text(json.dumps({"nbformat": 3, "worksheets": []}))
    (tmp_path / "binary.ipynb").write_bytes(b"\x80\x04\x95pickle")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a.ipynb").write_text("{}")
    (tmp_path / "two" / "b.ipynb").write_text("{}")
    (tmp_path / "bad.zip").write_bytes(b"PK no zip")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lab.ipynb", b"0" * (MAX_BYTES + 1))
    with (tmp_path / "huge.ipynb").open("wb") as file:
        file.truncate(200_000_000)
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "secret")
    found = {s.student: s.problem for s in collect(tmp_path, MODULE)}
    assert found == {
        "empty": "an empty file", "broken": "not a notebook", "list": "not a notebook", "deep": "not a notebook",
        "old": "notebook format 3, expected 4: save it anew", "binary": "not a notebook",
        "nothing": "nothing handed in", "two": "2 files, expected one", "bad": "a damaged zip file",
        "bomb": "the notebook in the zip file is too large", "huge": "200 MB, expected at most 20",
        "link": "a link or no plain file, expected a notebook",
    }  # fmt: skip


def test_another_lab_is_told():
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell("x = 1")]}
    result = grade(notebook)
    assert "is it another lab?" in result.status
    assert {e.status for e in result.exercises} == {"no usable submission"}


@needs_sandbox
def test_an_older_release_is_graded_and_said_to_be_one():
    old = copy.deepcopy(SOLVED)
    old["metadata"]["course"] = {"source_sha256": "0" * 64}
    result = grade(old)
    assert points(result) == FULL
    assert "it was made from another release of the lab" in result.notes


def test_no_folder_and_no_submissions(tmp_path):
    with pytest.raises(expect.InputError, match="expected a folder of submissions"):
        collect(tmp_path / "nowhere", MODULE)
    with pytest.raises(expect.InputError, match="found none"):
        collect(tmp_path, MODULE)


# --- batches ------------------------------------------------------------------------------------------


def _batch() -> list[Submission]:
    wrong = solved(power_spectrum=SUM)
    notebooks = {"perfect": SOLVED, "wrong": wrong, "blank": BLANK, "loop": RIGHT["a loop without end"]}
    made = [Submission(f"{name} {i}", "file", json.dumps(nb)) for i in range(2) for name, nb in notebooks.items()]
    return [*made[:7], Submission("gone", "", problem="nothing handed in")]


@needs_sandbox
def test_an_interrupted_batch_goes_on_and_gives_the_same(tmp_path):
    batch = _batch()
    whole = grade_all(batch, MODULE.id, SEED, tmp_path / "whole", jobs=2)
    # killed in the middle: some results are there, one is half written
    part = tmp_path / "part"
    grade_all(batch[:3], MODULE.id, SEED, part, jobs=2)
    torn = sorted((part / "results").iterdir())[0]
    torn.write_text(torn.read_text()[:100])
    untouched = sorted((part / "results").iterdir())[1]
    stamp = untouched.stat().st_mtime_ns
    resumed = grade_all(batch, MODULE.id, SEED, part, jobs=1)
    assert resumed == whole
    assert untouched.stat().st_mtime_ns == stamp
    assert [g.student for g in whole] == [s.student for s in batch]
    assert whole[0].points == sum(FULL.values())
    assert whole[-1].status == "nothing handed in"
    assert all(e.status for g in whole for e in g.exercises)


def test_a_worker_that_dies_takes_no_other_submission_with_it(tmp_path, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    from course_lib.coursework.grading import grade as module

    def fail(submission, *_):
        if submission.student == "bad":
            raise MemoryError
        return module._without_work(submission, LAB, "key", "fine")

    monkeypatch.setattr(module, "grade_one", fail)
    monkeypatch.setattr(module, "_executor", lambda *_: ThreadPoolExecutor(1))
    batch = [Submission("bad", "f"), Submission("good", "f")]
    grades = grade_all(batch, MODULE.id, SEED, tmp_path, unsafe=True)
    assert [g.status for g in grades] == ["could not be graded (MemoryError): run the command again", "fine"]
    assert grades[0].key == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix limits")
def test_without_a_sandbox_when_told_so():
    result = grade_one(Submission("me", "file", json.dumps(SOLVED)), MODULE.id, SEED, unsafe=True, limits=LIMITS)
    assert points(result) == FULL
