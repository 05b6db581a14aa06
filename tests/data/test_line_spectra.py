"""Lines drawn by the law of the paper: separation on the circle, counts, amplitudes, power, and their signals."""

import cmath
import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from course_lib import data, expect
from course_lib.data.line_spectra import LEAST_AMPLITUDE, STEP

N = 50
DOUBLE = {"dtype": torch.float64}
frequencies = st.floats(-1e6, 1e6, allow_subnormal=True)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distances(drawn: data.LineSpectra) -> torch.Tensor:
    """(batch, lines, lines), on the circle, infinite to a line itself and to what is absent."""
    f = drawn.frequencies
    apart = (f[:, :, None] - f[:, None, :]).abs()
    apart = torch.minimum(apart, 1 - apart) + torch.diag(torch.full((f.shape[1],), math.inf, **DOUBLE))
    return apart.nan_to_num(nan=math.inf)


@pytest.mark.parametrize("separation", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_lines_keep_their_separation_on_the_circle(separation, seed):
    drawn = data.line_spectra(2000, seeded(seed), separation=separation)
    nearest = distances(drawn).amin(dim=(1, 2))
    assert nearest[drawn.counts > 1].min() >= separation / N - 1e-15
    assert (nearest[drawn.counts > 1] < 1.3 * separation / N).any()  # and no more than that
    present = drawn.frequencies.isfinite()
    assert (drawn.frequencies[present] >= -0.5).all()
    assert (drawn.frequencies[present] < 0.5).all()
    # some pairs are near only around the end of the interval
    across = drawn.frequencies.nan_to_num(-1).amax(dim=1) - drawn.frequencies[:, 0]
    assert (across > 1 - 1.5 * separation / N).any()


def test_rows_ascend_with_nan_last_and_no_amplitude_there():
    drawn = data.line_spectra(500, seeded(2))
    present = drawn.frequencies.isfinite()
    assert drawn.frequencies.shape == drawn.amplitudes.shape == (500, 10)
    assert drawn.frequencies.dtype == torch.float64
    assert drawn.amplitudes.dtype == torch.complex128
    assert torch.equal(present, torch.arange(10) < drawn.counts[:, None])
    assert (drawn.frequencies.diff(dim=1)[present[:, 1:]] > 0).all()
    assert torch.equal(drawn.amplitudes != 0, present)
    assert torch.equal(data.line_counts(drawn.frequencies), drawn.counts)


def test_counts_are_uniform():
    counts = data.line_spectra(5000, seeded(3)).counts
    assert stats.chisquare(torch.bincount(counts, minlength=11)[1:].numpy()).pvalue > 1e-3
    some = data.line_spectra(3000, seeded(4), least_lines=2, most_lines=4)
    assert some.frequencies.shape == (3000, 4)
    observed = torch.bincount(some.counts, minlength=5)
    assert observed[:2].sum() == 0
    assert stats.chisquare(observed[2:].numpy()).pvalue > 1e-3


def test_a_lone_line_is_uniform_and_a_step_is_a_folded_normal():
    drawn = data.line_spectra(4000, seeded(5), least_lines=2, most_lines=2, separation=1.0)
    one = data.line_spectra(4000, seeded(6), most_lines=1)
    assert stats.kstest(one.frequencies[:, 0].numpy(), stats.uniform(-0.5, 1).cdf).pvalue > 1e-3
    phase = one.amplitudes[:, 0].angle().numpy()
    assert stats.kstest(phase, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3
    beyond = distances(drawn)[:, 0, 1] - 1 / N
    assert stats.kstest(beyond.numpy(), stats.halfnorm(scale=STEP).cdf).pvalue > 1e-3
    assert stats.kstest(beyond.numpy(), stats.halfnorm(scale=1.2 * STEP).cdf).pvalue < 1e-3  # the test can tell


def test_amplitudes_have_the_law_of_the_paper():
    """The scaling to power 1 takes one factor from each signal; the ratio of two amplitudes does not see it."""
    drawn = data.line_spectra(4000, seeded(7), least_lines=2, most_lines=2)
    ratio = (drawn.amplitudes[:, 0].abs() / drawn.amplitudes[:, 1].abs()).log().numpy()
    normal = stats.halfnorm.rvs(size=(2, 20_000), random_state=0)
    right, wrong = (((least + normal[0]) / (least + normal[1])) for least in (LEAST_AMPLITUDE, 0.0))
    assert stats.ks_2samp(ratio, [math.log(r) for r in right]).pvalue > 1e-3
    assert stats.ks_2samp(ratio, [math.log(r) for r in wrong]).pvalue < 1e-3


@pytest.mark.parametrize("samples", [20, 40, 50])
def test_each_signal_has_power_1_at_the_length_it_was_scaled_for(samples):
    drawn = data.line_spectra(200, seeded(8), samples=samples, most_lines=4)
    power = drawn.signals(samples, torch.complex128).abs().square().mean(dim=1)
    torch.testing.assert_close(power, torch.ones(200, **DOUBLE), rtol=0, atol=1e-12)
    one = data.line_spectra(20, seeded(9), most_lines=1)
    torch.testing.assert_close(one.amplitudes.abs(), torch.ones(20, 1, **DOUBLE), rtol=0, atol=1e-12)


def test_signals_are_the_sum_by_hand():
    drawn = data.line_spectra(5, seeded(10))
    signals = drawn.signals(13, torch.complex128)
    for row in range(5):
        lines = range(int(drawn.counts[row]))
        f, a = drawn.frequencies[row].tolist(), drawn.amplitudes[row].tolist()
        for n in range(13):
            by_hand = sum(a[j] * cmath.exp(2j * math.pi * f[j] * n) for j in lines)
            assert abs(signals[row, n].item() - by_hand) < 1e-12
    assert drawn.signals(13).dtype == torch.complex64
    torch.testing.assert_close(drawn.signals(13), signals.to(torch.complex64), rtol=0, atol=1e-6)
    assert torch.equal(drawn.signals(7, torch.complex128), signals[:, :7])


def test_a_seed_is_a_population():
    first, again, other = (data.line_spectra(50, seeded(s)) for s in (11, 11, 12))
    assert torch.equal(first.amplitudes, again.amplitudes)
    assert torch.equal(first.frequencies.nan_to_num(9), again.frequencies.nan_to_num(9))
    assert not torch.equal(first.amplitudes, other.amplitudes)


def test_a_tight_circle_is_filled_too():
    """At the most lines that are allowed, a walk often walls itself in and begins anew."""
    drawn = data.line_spectra(300, seeded(13), samples=20, least_lines=10, most_lines=10, separation=1.0)
    assert (drawn.counts == 10).all()
    assert distances(drawn).min() >= 1 / 20 - 1e-15


@given(f=frequencies)
@example(f=-1e-18)
@example(f=0.5)
@example(f=-0.5)
@example(f=math.nextafter(0.5, 0))
@example(f=math.nextafter(-0.5, -1))
@example(f=math.nextafter(1.5, 0))
@example(f=-0.5 - 1e-18)
@example(f=1.0)
def test_wrapped_frequencies_are_the_same_within_the_interval(f):
    for dtype in (torch.float64, torch.float32):
        value = torch.tensor(f, dtype=dtype)
        wrapped = data.wrap(value)
        assert wrapped.dtype == dtype
        assert -0.5 <= wrapped < 0.5
        cycles = value.double() - wrapped.double()
        assert abs(cycles - cycles.round()) <= 2 * torch.finfo(dtype).eps * max(1.0, abs(f))
        assert torch.equal(data.wrap(wrapped), wrapped)


def test_wrap_keeps_nan_and_what_is_within():
    f = torch.tensor([-0.5, -1e-18, 0.0, 1e-300, 0.25, math.nan], **DOUBLE)
    assert torch.equal(data.wrap(f)[:-1], f[:-1])
    assert data.wrap(f)[-1].isnan()


def test_exponentials():
    f = torch.tensor([[0.25, math.nan], [-1e-18, -0.5]], **DOUBLE)
    E = data.exponentials(f, 4)
    assert E.shape == (2, 2, 4)
    assert E.dtype == torch.complex128
    rows = torch.tensor([[1, 1j, -1, -1j], [0, 0, 0, 0], [1, 1, 1, 1], [1, -1, 1, -1]], dtype=torch.complex128)
    torch.testing.assert_close(E.reshape(4, 4), rows, rtol=0, atol=1e-15)
    assert data.exponentials(f.float(), 4).dtype == torch.complex64
    # −1/2 and 1/2 are one frequency, and so is a whole number of cycles more
    f = torch.rand(3, 4, generator=seeded(14), **DOUBLE)
    torch.testing.assert_close(data.exponentials(f, 50), data.exponentials(f - 1, 50), rtol=0, atol=1e-12)
    # a gradient passes by what is absent
    f = torch.tensor([[0.1, math.nan]], **DOUBLE, requires_grad=True)
    data.exponentials(f, 8).real.sum().backward()
    assert f.grad.isfinite().all()
    assert f.grad[0, 1] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, r"expected the count of signals as a whole number from 1, got 0"),
        ({"count": 2.0}, r"expected the count of signals as a whole number from 1, got 2.0"),
        ({"generator": 3}, r"expected a torch.Generator, got 3"),
        ({"samples": 1}, r"expected samples as a whole number from 2, got 1"),
        ({"least_lines": 0}, r"expected least_lines as a whole number from 1, got 0"),
        ({"least_lines": 4, "most_lines": 3}, r"expected most_lines as a whole number from 4, got 3"),
        ({"separation": 0}, r"expected the separation as a number above 0, got 0"),
        ({"separation": math.nan}, r"expected the separation as a number above 0, got nan"),
        ({"most_lines": 26}, r"expected at most 25 lines at separation 1/50, got 26"),
        ({"separation": 3.0}, r"expected at most 8 lines at separation 3/50, got 10"),
    ],
)
def test_bad_input(arguments, message, unchecked):
    usual = {"count": 3, "generator": seeded(0)}
    with pytest.raises(expect.InputError, match=f"^{message}$"):
        data.line_spectra(**usual | arguments)


def test_bad_lengths_and_dtypes_of_signals(unchecked):
    drawn = data.line_spectra(3, seeded(0))
    with pytest.raises(expect.InputError, match="^expected samples as a whole number from 1, got 0$"):
        drawn.signals(0)
    with pytest.raises(expect.InputError, match="^expected a complex dtype, got float32$"):
        drawn.signals(50, torch.float32)
