"""The machine check says what is missing."""

from course_lib.coursework import machine


def test_without_torch_the_check_still_speaks(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    text = str(machine.machine_check())
    assert "✗ PyTorch: cannot be imported" in text
    assert "✗ Threads: could not be looked at" in text
    assert "delete the folder .venv" in text


def test_missing_things_are_named(monkeypatch):
    monkeypatch.setattr(machine, "NEEDED_MEMORY_GB", 1e6)
    monkeypatch.setattr("course_lib.data.PHOTOGRAPHS", {"unicorn": ("skimage.data", "unicorn.png")})
    report = machine.machine_check()
    assert not report.fine
    text = str(report)
    assert "✗ Memory" in text
    assert "✗ Data files: missing: photographs unicorn" in text
    assert text.endswith("Look at: Memory, Data files.")
    assert "✗" in report._repr_html_()
