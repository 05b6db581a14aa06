"""The published form of a test set of line spectra: what is read, and what is said about each thing that is wrong."""

import io
import os
import struct
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from line_test_set import write_line_test_set

from course_lib import data
from course_lib.expect import InputError

COUNT = 12


@pytest.fixture
def folder(tmp_path):
    """A good test set, with N = 50 and three noise levels."""
    write_line_test_set(tmp_path, count=COUNT)
    return tmp_path


def signals_of(folder, name="0.0dB.npy"):
    return np.load(folder / name)


def saved(array, **options):
    """The bytes of a .npy file."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def header(shape, dtype="<f4", size=0):
    """A .npy file whose header promises any shape, with `size` bytes behind it."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(size)


def problem(folder, settings=("20dB", "infdB")):
    """The one problem, beside good files that are used."""
    found, (line,) = data.line_test_set(folder)
    assert tuple(found.signals) == settings
    assert found.frequencies.shape == (COUNT, 10)
    assert "\n" not in line
    return line


def refused(folder):
    with pytest.raises(InputError) as error:
        data.line_test_set(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- what is read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("samples", "lines"), [(50, {}), (32, {"most_lines": 3}), (7, {"most_lines": 1})])
def test_what_was_written_is_read(tmp_path, seed, samples, lines):
    drawn = write_line_test_set(tmp_path, count=9, samples=samples, seed=seed, **lines)
    found, problems = data.line_test_set(str(tmp_path))
    assert problems == []
    assert found.samples == samples
    assert list(found.signals) == ["0dB", "20dB", "infdB"]
    assert found.frequencies.dtype == torch.float32
    torch.testing.assert_close(found.frequencies, drawn.frequencies.float(), equal_nan=True, atol=0, rtol=0)
    clean = drawn.signals(samples)
    assert all(signals.dtype == torch.complex64 for signals in found.signals.values())
    torch.testing.assert_close(found.signals["infdB"], clean, atol=1e-6, rtol=0)
    for setting, ratio in (("0dB", 0.0), ("20dB", 20.0)):
        noise = (found.signals[setting] - clean).abs().square().sum(dim=1)
        level = 10 * torch.log10(clean.abs().square().sum(dim=1) / noise)
        torch.testing.assert_close(level, torch.full((9,), ratio), atol=1e-3, rtol=0)


def test_real_and_imaginary_parts_are_the_middle_dimension(folder):
    parts = signals_of(folder)
    found = data.line_test_set(folder)[0].signals["0dB"]
    np.testing.assert_array_equal(found.numpy(), parts[:, 0] + 1j * parts[:, 1])


def test_settings_are_named_and_ordered_by_their_ratio(folder):
    content = (folder / "0.0dB.npy").read_bytes()
    for name in ("12.5dB", "-5.0dB", "100dB", "+7.dB", "3DB", "0.5dB", "1.25dB"):
        (folder / f"{name}.npy").write_bytes(content)
    found, problems = data.line_test_set(folder)
    assert problems == []
    assert list(found.signals) == [
        "-5dB", "0dB", "0.5dB", "1.25dB", "3dB", "7dB", "12.5dB", "20dB", "100dB", "infdB",
    ]  # fmt: skip


def test_other_files_are_of_no_concern(folder):
    (folder / "data.args").write_text("anything")
    (folder / "README").write_text("anything")
    (folder / ".5.0dB.npy").write_bytes(b"an editor's")
    (folder / "more").mkdir()
    assert data.line_test_set(folder)[1] == []


def test_data_args_is_never_opened(folder):
    """As torch.save writes it, it would be executed."""
    (folder / "data.args").mkdir()
    assert data.line_test_set(folder)[1] == []


@pytest.mark.parametrize("dtype", ["<f8", ">f4", ">f8", "<f2"])
def test_other_floating_types(folder, dtype):
    parts = signals_of(folder)
    np.save(folder / "0.0dB.npy", parts.astype(dtype))
    found, problems = data.line_test_set(folder)
    assert problems == []
    expected = parts.astype(dtype).astype("<f4")
    np.testing.assert_array_equal(found.signals["0dB"].numpy(), expected[:, 0] + 1j * expected[:, 1])


def test_frequencies_in_double_precision_keep_it(folder):
    values = np.full((COUNT, 2), -10.0)
    values[:, 1] = np.linspace(-0.5, 0.49, COUNT) + 1e-12
    for written in (values, values.astype(">f8"), np.asfortranarray(values)):
        np.save(folder / "f.npy", written)
        found = data.line_test_set(folder)[0].frequencies
        assert found.dtype == torch.float64
        np.testing.assert_array_equal(found[:, 0], values[:, 1])
        assert found[:, 1].isnan().all()


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("most", [None, 1, 5, 1000])
def test_versions_of_the_format_and_orders_in_memory(folder, version, order, most):
    parts = signals_of(folder)
    (folder / "0.0dB.npy").write_bytes(saved(np.asarray(parts, order=order), version=version))
    found, problems = data.line_test_set(folder, most)
    assert problems == []
    np.testing.assert_array_equal(found.signals["0dB"].numpy(), (parts[:, 0] + 1j * parts[:, 1])[:most])
    assert {len(signals) for signals in (*found.signals.values(), found.frequencies)} == {min(most or COUNT, COUNT)}


def test_lines_in_any_order_at_the_ends_and_as_close_as_they_like(folder):
    """1/2 is −1/2, and 32-bit arithmetic may leave a little more than 1/2."""
    values = np.full((COUNT, 4), 0.125, dtype=np.float32)
    values[0] = [0.25, -10, -0.25, 0.0]
    values[1] = [0.5, -10, -0.25, -10]
    values[2] = [-0.5, 0.1, 0.1 + 1e-7, 0.1]
    values[3] = [np.nextafter(np.float32(0.5), np.float32(1)), -0.25, -10, -10]
    values[4] = [np.nextafter(np.float32(-0.5), np.float32(-1)), -10, -10, -0.25]
    np.save(folder / "f.npy", values)
    found, problems = data.line_test_set(folder)
    assert problems == []
    assert ((found.frequencies >= -0.5) & (found.frequencies < 0.5) | found.frequencies.isnan()).all()
    assert found.frequencies[0, :3].tolist() == [-0.25, 0, 0.25]
    assert found.frequencies[1, :2].tolist() == [-0.5, -0.25]
    assert found.frequencies[2].tolist() == pytest.approx([-0.5, 0.1, 0.1, 0.1], abs=2e-7)
    assert found.frequencies[3, :2].tolist() == pytest.approx([-0.5, -0.25], abs=2e-7)
    assert found.frequencies[4, :2].tolist() == pytest.approx([-0.25, 0.5], abs=2e-7)
    assert data.line_counts(found.frequencies).tolist()[:5] == [3, 2, 4, 2, 2]


def test_as_many_signals_as_are_wanted_are_read(folder):
    """What is wrong in the others is not looked at."""
    parts = signals_of(folder)
    parts[5] = np.nan
    np.save(folder / "0.0dB.npy", parts)
    assert data.line_test_set(folder, 5)[1] == []
    assert "NaN" in problem(folder)


@pytest.mark.parametrize("most", [0, -1, 1.5, True])
def test_how_many_are_wanted(folder, most, unchecked):
    with pytest.raises(InputError, match="expected the number of signals as a whole number from 1, got"):
        data.line_test_set(folder, most)


# --- what is wrong with signals -----------------------------------------------------------------------


def changed(index, value):
    def change(parts):
        parts[index] = value
        return parts

    return change


SHAPE = r"expected real and imaginary parts of 12 signals, floating-point (12, 2, N), got {path} with "
WRONG = {
    "fewer": (lambda x: x[:-1], SHAPE + "float32 of shape (11, 2, 50)"),
    "more": (lambda x: np.concatenate([x, x]), SHAPE + "float32 of shape (24, 2, 50)"),
    "real": (lambda x: x[:, 0], SHAPE + "float32 of shape (12, 50)"),
    "three parts": (lambda x: np.concatenate([x, x[:, :1]], axis=1), SHAPE + "float32 of shape (12, 3, 50)"),
    "parts last": (lambda x: x.swapaxes(1, 2), SHAPE + "float32 of shape (12, 50, 2)"),
    "one sample": (lambda x: x[..., :1], SHAPE + "float32 of shape (12, 2, 1)"),
    "no sample": (lambda x: x[..., :0], SHAPE + "float32 of shape (12, 2, 0)"),
    "a number": (lambda x: np.float32(3), SHAPE + "float32 of shape ()"),
    "complex": (lambda x: x.astype(np.complex64), SHAPE + "complex64 of shape (12, 2, 50)"),
    "integers": (lambda x: x.astype(np.int16), SHAPE + "int16 of shape (12, 2, 50)"),
    "truth values": (lambda x: x > 0, SHAPE + "bool of shape (12, 2, 50)"),
    "text": (lambda x: x.astype("U3"), SHAPE + "<U3 of shape (12, 2, 50)"),
    "objects": (lambda x: x.astype(object), SHAPE + "object of shape (12, 2, 50)"),
    "fields": (lambda x: x.view([("re", "<f4")]), SHAPE + "[('re', '<f4')] of shape (12, 2, 50)"),
    "another N": (lambda x: x[..., :40], "expected signals of 50 samples, as in 20.0dB.npy, got {path} with 40"),
    "NaN": (
        changed((3, 1, 7), np.nan), "expected signals without NaN or infinity, got {path} with some in 1 of them",
    ),
    "infinity": (
        changed((slice(3, 5), 0, 7), -np.inf),
        "expected signals without NaN or infinity, got {path} with some in 2 of them",
    ),
    "too large": (
        lambda x: x.astype(np.float64) * 1e300,
        "expected signals without NaN or infinity, got {path} with some in 12 of them",
    ),
    "zeros": (changed(4, 0), "expected signals that are not 0 throughout, got {path} with 1 that are"),
    "all zeros": (changed(slice(None), 0), "expected signals that are not 0 throughout, got {path} with 12 that are"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_signals_that_cannot_be_used(folder, change, said):
    path = folder / "0.0dB.npy"
    np.save(path, change(signals_of(folder)), allow_pickle=True)
    assert problem(folder) == said.format(path=path)


def test_a_pickle_is_not_opened(folder):
    """Neither as an array of objects, nor as the whole file, which numpy.load would take for one."""
    opened = folder / "opened"

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(opened),)

    trap = np.full((COUNT, 2, 50), Trap())
    np.save(folder / "0.0dB.npy", trap, allow_pickle=True)
    assert "object of shape (12, 2, 50)" in problem(folder)
    trap.dump(folder / "0.0dB.npy")
    assert "truncated, damaged or of another kind" in problem(folder)
    assert not opened.exists()


NO_ARRAY = "expected a NumPy array (.npy), got {path}, which is truncated, damaged or of another kind"
SHORT = "expected a NumPy array as its header tells, got {path}, which is truncated or damaged: "
DAMAGED = {
    "empty": (b"", NO_ARRAY),
    "text": (b"no array", NO_ARRAY),
    "magic alone": (b"\x93NUMPY\x01\x00", NO_ARRAY),
    "another version": (b"\x93NUMPY\x09\x00" + bytes(100), NO_ARRAY),
    "no header": (b"\x93NUMPY\x01\x00\x10\x00" + b"x" * 16, NO_ARRAY),
    "code for a header": (header("__import__('os').abort()"), NO_ARRAY),
    "a long header": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{", NO_ARRAY),
    "no such dtype": (header((12, 2, 50), "<f3"), NO_ARRAY),
    "a negative length": (header((12, 2, -50)), SHAPE + "float32 of shape (12, 2, -50)"),
    "a huge count": (header((10**12, 2, 50)), SHAPE + "float32 of shape (1000000000000, 2, 50)"),
    "a huge length": (header((12, 2, 10**15), size=400), SHORT + "400 bytes for float32 of shape (12, 2, 10"),
    "beyond 64 bits": (header((12, 2, 2**62)), SHORT + "0 bytes for float32 of shape (12, 2, 4611686018427387904)"),
    "cut off": (header((12, 2, 50), size=4799), SHORT + "4799 bytes for float32 of shape (12, 2, 50)"),
    "too long": (header((12, 2, 50), size=4801), SHORT + "4801 bytes for float32 of shape (12, 2, 50)"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_take_no_memory(folder, content, said):
    path = folder / "0.0dB.npy"
    path.write_bytes(content)
    tracemalloc.start()
    line = problem(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert line.startswith(said.format(path=path))
    assert peak < 2_000_000


@pytest.mark.parametrize("length", range(0, 128, 9))
def test_a_truncated_header(folder, length):
    path = folder / "0.0dB.npy"
    path.write_bytes(path.read_bytes()[:length])
    assert problem(folder) == NO_ARRAY.format(path=path)


@pytest.mark.parametrize("name", ["x", "", "5", "nan", "-inf", "1e1", "1_0", "5.0.0", "5,0", "--5", "0x5", "five "])
def test_names_without_a_ratio(folder, name):
    path = folder / f"{name}dB.npy"
    path.write_bytes((folder / "0.0dB.npy").read_bytes())
    if name == "5":
        path = path.rename(folder / "5.npy")
    said = f"expected a file named by its signal-to-noise ratio, such as 5.0dB.npy, got {path}"
    assert problem(folder, ("0dB", "20dB", "infdB")) == said


def test_two_files_at_one_ratio(folder):
    """Nothing tells which is right, unless one of them cannot be used."""
    copies = [folder / name for name in ("5.0dB.npy", "5dB.npy")]
    for path in copies:
        path.write_bytes((folder / "0.0dB.npy").read_bytes())
    assert problem(folder, ("0dB", "20dB", "infdB")) == (
        f"expected one file of signals at 5dB, got {copies[0]} and {copies[1]}: none of them is used"
    )
    copies[0].write_bytes(b"damaged")
    assert str(copies[0]) in problem(folder, ("0dB", "5dB", "20dB", "infdB"))
    copies[0].unlink()
    (folder / "-0dB.npy").write_bytes(copies[1].read_bytes())
    assert "-0dB.npy and " in problem(folder, ("5dB", "20dB", "infdB"))


def test_the_length_that_most_files_have_is_the_right_one(folder):
    """Of two that as many have, that of the lowest ratio."""
    path = folder / "20.0dB.npy"
    short = signals_of(folder)[..., :40]
    np.save(folder / "0.0dB.npy", short)
    np.save(path, short)
    assert problem(folder, ("0dB", "20dB")) == (
        f"expected signals of 40 samples, as in 0.0dB.npy, got {folder / 'infdB.npy'} with 50"
    )
    (folder / "infdB.npy").unlink()
    np.save(folder / "0.0dB.npy", short[..., :30])
    assert problem(folder, ("0dB",)) == f"expected signals of 30 samples, as in 0.0dB.npy, got {path} with 40"


def test_each_problem_has_its_line_and_the_good_file_is_used(folder):
    (folder / "0.0dB.npy").write_bytes(b"damaged")
    np.save(folder / "20.0dB.npy", np.zeros((COUNT, 2, 50), np.float32))
    (folder / "xdB.npy").write_bytes(b"whatever")
    (folder / "7dB.npy").mkdir()
    found, problems = data.line_test_set(folder)
    assert list(found.signals) == ["infdB"]
    assert [line.split(", got ")[0] for line in problems] == [
        "expected a NumPy array (.npy)",
        "expected signals that are not 0 throughout",
        "expected real and imaginary parts of 12 signals, floating-point (12, 2, N)",
        "expected a file named by its signal-to-noise ratio, such as 5.0dB.npy",
    ]
    assert problems[2].endswith("7dB.npy, which is no file")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_is_not_waited_for_and_a_broken_link_is_told(folder):
    (folder / "0.0dB.npy").unlink()
    os.mkfifo(folder / "0.0dB.npy")
    assert problem(folder).endswith("0.0dB.npy, which is no file")
    (folder / "0.0dB.npy").unlink()
    (folder / "0.0dB.npy").symlink_to(folder / "nowhere")
    assert problem(folder) == f"expected a readable NumPy array, got {folder / '0.0dB.npy'}, which does not exist"


# --- what leaves nothing to use -----------------------------------------------------------------------


def truth(change):
    values = np.full((COUNT, 3), -10, np.float32)
    values[:, 1:] = [0.1, 0.2]
    return change(values)


LINES = "expected frequencies, floating-point (signals, lines), got {path} with "
RANGE = "expected frequencies from -1/2 to 1/2 cycles per sample, or -10 for no line, got {path} with "
WRONG_TRUTH = {
    "one dimension": (lambda f: f[:, 0], LINES + "float32 of shape (12,)"),
    "three dimensions": (lambda f: f[None], LINES + "float32 of shape (1, 12, 3)"),
    "no column": (lambda f: f[:, :0], LINES + "float32 of shape (12, 0)"),
    "no row": (lambda f: f[:0], LINES + "float32 of shape (0, 3)"),
    "integers": (lambda f: f.astype(int), LINES + "int64 of shape (12, 3)"),
    "objects": (lambda f: f.astype(object), LINES + "object of shape (12, 3)"),
    "complex": (lambda f: f + 0j, LINES + "complex64 of shape (12, 3)"),
    "above": (changed((2, 2), 0.51), RANGE + "0.51"),
    "below": (changed((2, 2), -0.50001), RANGE + "-0.50001"),
    "turns": (changed((2, 2), 0.999), RANGE + "0.999"),
    "almost absent": (changed((2, 0), -9.99), RANGE + "-9.99"),
    "NaN": (changed((2, 2), np.nan), RANGE + "nan"),
    "infinity": (changed((2, 2), np.inf), RANGE + "inf"),
    "a signal without a line": (
        changed(7, -10), "expected at least one line in each signal, got {path} with none in row 7"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONG_TRUTH.values(), ids=WRONG_TRUTH)
def test_a_truth_that_cannot_be_used(folder, change, said):
    path = folder / "f.npy"
    np.save(path, truth(change), allow_pickle=True)
    assert refused(folder) == said.format(path=path)


def test_a_truth_of_another_count_leaves_no_signals(folder):
    np.save(folder / "f.npy", truth(lambda f: f[:5]))
    assert refused(folder) == (
        f"expected signals such as 5.0dB.npy in {folder}, got 3 of which none can be used: expected real and imaginary "
        f"parts of 5 signals, floating-point (5, 2, N), got {folder / '0.0dB.npy'} with float32 of shape (12, 2, 50)"
    )


def test_a_truth_that_is_not_there_or_damaged(folder):
    path = folder / "f.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert refused(folder) == SHORT.format(path=path) + "479 bytes for float32 of shape (12, 10)"
    path.write_bytes(header((10**12, 10**6)))
    assert refused(folder).startswith(SHORT.format(path=path))
    path.unlink()
    assert refused(folder) == f"expected a readable NumPy array, got {path}, which does not exist"
    path.mkdir()
    assert refused(folder) == (f"expected frequencies, floating-point (signals, lines), got {path}, which is no file")


def test_folders_that_are_none(folder, tmp_path):
    wanted = "expected a folder with f.npy and signals such as 5.0dB.npy, got "
    assert refused(tmp_path / "nowhere") == f"{wanted}{tmp_path / 'nowhere'}: No such file or directory"
    assert refused(folder / "f.npy") == f"{wanted}{folder / 'f.npy'}: Not a directory"
    assert refused("x" * 5000).startswith(wanted)
    for path in folder.glob("*dB.npy"):
        path.unlink()
    assert refused(folder) == f"expected signals such as 5.0dB.npy in {folder}, got none"
