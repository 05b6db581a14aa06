"""Metrics of spectral lines: matching against brute force, the published definitions by loops, and the circle."""

import itertools
import math
import time

import pytest
import torch

from course_lib import data, metrics
from course_lib.expect import InputError

NONE = math.nan
BY_PAIRS = (metrics.frequency_errors, metrics.missed_lines, metrics.spurious_lines, metrics.f1)
RATES = (metrics.false_negative_rate, metrics.false_positive_rate)
WITHOUT_SAMPLES = (metrics.count_accuracy, metrics.chamfer)


def rows(*frequencies, dtype=torch.float64):
    """One row a signal, filled up with NaN."""
    most = max(map(len, frequencies))
    return torch.tensor([[*row, *[NONE] * (most - len(row))] for row in frequencies], dtype=dtype)


def apart(a, b):
    """On the circle, by going round."""
    return min(abs(a - b + turn) for turn in (-1, 0, 1))


def present(row):
    return [value for value in row.tolist() if not math.isnan(value)]


def drawn(generator, batch=60, estimates=5, lines=4):
    """Crowded lines, some at the ends of the band, with NaN anywhere in a row."""
    both = []
    for width in (estimates, lines):
        values = data.wrap(0.5 + 0.06 * torch.randn(batch, width, generator=generator, dtype=torch.float64))
        absent = torch.rand(batch, width, generator=generator) < 0.25
        both.append(values.masked_fill(absent, NONE))
    return both


def best_by_brute_force(estimates, lines, tolerance):
    """The most pairs, and the least sum of distances among those, over all ways to give each line an estimate."""
    places = [*range(len(estimates)), *[None] * len(lines)]
    best = (0, 0.0)
    for chosen in set(itertools.permutations(places, len(lines))):
        found = [apart(estimates[i], line) for i, line in zip(chosen, lines, strict=True) if i is not None]
        if all(distance <= tolerance for distance in found):
            best = min(best, (-len(found), math.fsum(found)))
    return -best[0], best[1]


@pytest.mark.parametrize("seed", range(4))
def test_matching_is_the_best_of_all_permutations(seed):
    estimates, truth = drawn(torch.Generator().manual_seed(seed))
    partner = metrics.match_lines(estimates, truth, 0.02)
    assert partner.shape == truth.shape
    counts = set()
    for row in range(len(truth)):
        pairs = [(line, int(k)) for line, k in enumerate(partner[row]) if k >= 0]
        assert len({k for _, k in pairs}) == len(pairs)
        distances = [apart(float(truth[row, line]), float(estimates[row, k])) for line, k in pairs]
        assert all(distance <= 0.02 for distance in distances)  # NaN is not
        most, least = best_by_brute_force(present(estimates[row]), present(truth[row]), 0.02)
        assert len(pairs) == most
        assert math.fsum(distances) == pytest.approx(least, abs=1e-12)
        counts.add(most)
    assert counts >= {0, 1, 2, 3}


def test_the_most_pairs_come_before_the_nearest_ones():
    """The nearest estimate of 0.10 would leave 0.11 alone."""
    estimates, truth = rows([0.092, 0.1009]), rows([0.10, 0.11])
    assert metrics.match_lines(estimates, truth, 0.01).tolist() == [[0, 1]]
    assert metrics.match_lines(estimates, truth, 0.009).tolist() == [[1, -1]]
    assert metrics.match_lines(estimates, truth, 0.5).tolist() == [[0, 1]]


def test_among_as_many_pairs_the_nearest_are_taken():
    estimates, truth = rows([0.21, 0.20]), rows([0.2001, 0.2101])
    assert metrics.match_lines(estimates, truth, 0.05).tolist() == [[1, 0]]


def test_one_to_one_counts_what_the_nearest_does_not():
    """One estimate between two lines finds both in the published rate; two estimates at one line are both true."""
    estimates, truth = rows([0.1], [0.1, 0.101]), rows([0.095, 0.105], [0.1])
    assert metrics.false_negative_rate(estimates, truth, 50).tolist() == [0, 0]
    assert metrics.false_positive_rate(estimates, truth, 50).tolist() == [0, 0]
    assert metrics.missed_lines(estimates, truth, 50).tolist() == [1, 0]
    assert metrics.spurious_lines(estimates, truth, 50).tolist() == [0, 1]
    assert metrics.f1(estimates, truth, 50).tolist() == pytest.approx([2 / 3, 2 / 3])


@pytest.mark.parametrize("seed", range(3))
def test_pairs_make_f1_and_both_errors(seed):
    estimates, truth = drawn(torch.Generator().manual_seed(seed))
    pairs = (metrics.match_lines(estimates, truth, 1 / 40) >= 0).sum(dim=1)
    missed = metrics.missed_lines(estimates, truth, 20)
    spurious = metrics.spurious_lines(estimates, truth, 20)
    assert (missed + pairs).tolist() == [len(present(row)) for row in truth]
    assert (spurious + pairs).tolist() == [len(present(row)) for row in estimates]
    whole = 2 * pairs + missed + spurious
    expected = torch.where(whole > 0, 2 * pairs / whole, 1.0)
    torch.testing.assert_close(metrics.f1(estimates, truth, 20), expected, check_dtype=False)
    torch.testing.assert_close(metrics.f1(truth, estimates, 20), expected, check_dtype=False)  # the two may change


@pytest.mark.parametrize("seed", range(3))
def test_the_published_definitions_by_loops(seed):
    estimates, truth = drawn(torch.Generator().manual_seed(seed), estimates=3, lines=3)
    fnr = metrics.false_negative_rate(estimates, truth, 50)
    fpr = metrics.false_positive_rate(estimates, truth, 50)
    distance = metrics.chamfer(estimates, truth)
    without = 0
    for row in range(len(truth)):
        found, lines = present(estimates[row]), present(truth[row])
        there = [min([apart(line, f) for f in found], default=0.5) for line in lines]
        back = [min([apart(line, f) for line in lines], default=0.5) for f in found]
        assert fnr[row] == pytest.approx(sum(d > 0.01 for d in there) / max(1, len(lines)))
        assert fpr[row] == pytest.approx(sum(d > 0.01 for d in back) / max(1, len(found)))
        assert distance[row] == pytest.approx(sum(there) + sum(back), abs=1e-12)
        without += not found
    assert without > 0
    assert len(fnr.unique()) > 3
    assert len(fpr.unique()) > 3


def test_values_by_hand():
    truth = rows([-0.5, 0.1, 0.3], [0.2])
    estimates = rows([0.495, 0.1125], [0.2, -0.3])  # across the ends; too far at N = 50
    assert metrics.false_negative_rate(estimates, truth, 50).tolist() == pytest.approx([2 / 3, 0])
    assert metrics.false_positive_rate(estimates, truth, 50).tolist() == pytest.approx([1 / 2, 1 / 2])
    assert metrics.f1(estimates, truth, 50).tolist() == pytest.approx([2 / 5, 2 / 3])
    assert metrics.missed_lines(estimates, truth, 50).tolist() == [2, 0]
    assert metrics.spurious_lines(estimates, truth, 50).tolist() == [1, 1]
    assert metrics.count_accuracy(estimates, truth).tolist() == [0, 0]
    assert metrics.chamfer(estimates, truth).tolist() == pytest.approx([0.005 + 0.0125 + 0.1875 + 0.0175, 0.5])
    errors = metrics.frequency_errors(estimates, truth, 50)
    torch.testing.assert_close(errors, rows([0.005, NONE, NONE], [0.0]), equal_nan=True)
    assert metrics.false_negative_rate(estimates, truth, 40).tolist() == pytest.approx([1 / 3, 0])  # within 1/80
    assert metrics.frequency_errors(estimates, truth, 40)[0, 1] == pytest.approx(0.0125)


def test_the_tolerance_itself_is_near_enough():
    """Binary fractions, so that nothing is rounded."""
    estimates, truth = rows([0.25 + 1 / 64]), rows([0.25])
    assert metrics.match_lines(estimates, truth, 1 / 64).tolist() == [[0]]
    assert metrics.match_lines(estimates, truth, 1 / 64 - 1e-12).tolist() == [[-1]]
    assert metrics.false_negative_rate(estimates, truth, 32).tolist() == [0]
    assert metrics.false_negative_rate(estimates, truth, 33).tolist() == [1]
    assert metrics.match_lines(truth, truth, 0.0).tolist() == [[0]]


def test_no_estimate_at_all():
    """Every line is missed, no estimate is false, and each line counts as far away as anything can be."""
    truth = rows([0.1, 0.2, 0.3], [-0.4])
    for nothing in (rows([NONE], [NONE]), torch.zeros(2, 0, dtype=torch.float64)):
        assert metrics.match_lines(nothing, truth, 0.5).tolist() == [[-1, -1, -1], [-1, -1, -1]]
        assert metrics.false_negative_rate(nothing, truth, 50).tolist() == [1, 1]
        assert metrics.false_positive_rate(nothing, truth, 50).tolist() == [0, 0]
        assert metrics.chamfer(nothing, truth).tolist() == [1.5, 0.5]
        assert metrics.f1(nothing, truth, 50).tolist() == [0, 0]
        assert metrics.missed_lines(nothing, truth, 50).tolist() == [3, 1]
        assert metrics.count_accuracy(nothing, truth).tolist() == [0, 0]
        assert metrics.frequency_errors(nothing, truth, 50).isnan().all()


def test_no_line_at_all():
    """Noise alone: nothing can be missed, and every estimate is false."""
    estimates = rows([0.1, 0.2, 0.3], [])
    for nothing in (rows([NONE], [NONE]), torch.zeros(2, 0, dtype=torch.float64)):
        assert metrics.match_lines(estimates, nothing, 0.5).shape == nothing.shape
        assert metrics.frequency_errors(estimates, nothing, 50).shape == nothing.shape
        assert metrics.false_negative_rate(estimates, nothing, 50).tolist() == [0, 0]
        assert metrics.false_positive_rate(estimates, nothing, 50).tolist() == [1, 0]
        assert metrics.chamfer(estimates, nothing).tolist() == [1.5, 0]
        assert metrics.f1(estimates, nothing, 50).tolist() == [0, 1]
        assert metrics.spurious_lines(estimates, nothing, 50).tolist() == [3, 0]
        assert metrics.count_accuracy(estimates, nothing).tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(3))
def test_the_truth_itself_is_perfect_and_order_does_not_count(seed):
    generator = torch.Generator().manual_seed(seed)
    truth = data.line_spectra(200, generator).frequencies
    order = torch.rand(truth.shape, generator=generator).argsort(dim=1)
    shuffled = truth.gather(1, order)
    assert (metrics.f1(shuffled, truth, 50) == 1).all()
    assert (metrics.chamfer(shuffled, truth) == 0).all()
    assert (metrics.count_accuracy(shuffled, truth) == 1).all()
    assert (metrics.false_negative_rate(shuffled, truth, 50) == 0).all()
    assert (metrics.false_positive_rate(shuffled, truth, 50) == 0).all()
    partner = metrics.match_lines(shuffled, truth, 0.01)
    found = torch.where(partner >= 0, shuffled.gather(1, partner.clamp(min=0)), NONE)
    assert torch.equal(found.nan_to_num(9), truth.nan_to_num(9))


@pytest.mark.parametrize("turn", [0.1, 0.25, -0.4])
def test_a_turn_of_the_circle_changes_nothing(turn):
    estimates, truth = drawn(torch.Generator().manual_seed(5))
    turned = [data.wrap(x + turn) for x in (estimates, truth)]
    for metric in (*BY_PAIRS, *RATES):
        torch.testing.assert_close(metric(*turned, 50), metric(estimates, truth, 50), equal_nan=True)
    torch.testing.assert_close(metrics.chamfer(*turned), metrics.chamfer(estimates, truth))


def test_half_and_minus_half_are_one_frequency():
    truth, estimates = rows([0.5, 0.0]), rows([-0.5, 0.0])
    assert metrics.chamfer(estimates, truth).tolist() == [0]
    assert metrics.match_lines(estimates, truth, 0.0).tolist() == [[0, 1]]


def test_single_and_double_precision():
    """Estimates keep the precision of the signals; the truth may have another."""
    truth = data.line_spectra(20, torch.Generator().manual_seed(1)).frequencies
    for estimates, dtype in ((truth.float(), torch.float64), (truth, torch.float64)):
        for metric in (metrics.frequency_errors, metrics.f1, *RATES):
            assert metric(estimates, truth, 50).dtype == dtype
        assert metrics.chamfer(estimates, truth).dtype == dtype
        assert metrics.chamfer(estimates, truth).max() < 1e-6
    assert metrics.f1(truth.float(), truth.float(), 50).dtype == torch.float32
    assert metrics.chamfer(truth.float(), truth.float()).dtype == torch.float32


def test_thousands_of_signals_in_a_second():
    generator = torch.Generator().manual_seed(0)
    truth = data.line_spectra(4000, generator).frequencies
    estimates = data.wrap(truth + 0.005 * torch.randn(truth.shape, generator=generator, dtype=torch.float64))
    started = time.perf_counter()
    score = metrics.f1(estimates, truth, 50)
    assert time.perf_counter() - started < 1
    assert 0.9 < score.mean() < 0.99


GOOD = rows([0.1, 0.2])
BAD = {
    "integers": (torch.zeros(1, 2, dtype=torch.int64), GOOD, "the estimates as real frequencies .*dtype int64"),
    "complex": (GOOD, GOOD.to(torch.complex128), "the truth as real frequencies .*dtype complex128"),
    "one dimension": (GOOD[0], GOOD, r"the estimates as real frequencies \(batch, lines\).*shape \(2,\)"),
    "a list": ([[0.1]], GOOD, "the estimates as real frequencies .*got a list"),
    "no signal": (GOOD[:0], GOOD[:0], r"the estimates as real frequencies .*shape \(0, 2\)"),
    "infinity": (GOOD, rows([math.inf, 0.0]), "the truth in cycles per sample from -1/2 to 1/2, got inf"),
    "degrees": (rows([0.2, 90.0]), GOOD, "the estimates in cycles per sample from -1/2 to 1/2, got 90: data.wrap"),
    "minus ten": (GOOD, rows([-10.0, 0.0]), "the truth in cycles per sample from -1/2 to 1/2, got -10"),
    "two sizes": (GOOD.expand(3, 2), GOOD, "estimates and truth of as many signals, got 3 and 1"),
}  # fmt: skip


@pytest.mark.parametrize(("estimates", "truth", "said"), BAD.values(), ids=BAD)
def test_bad_frequencies(estimates, truth, said, unchecked):
    calls = [lambda metric=metric: metric(estimates, truth, 50) for metric in (*BY_PAIRS, *RATES)]
    calls += [lambda metric=metric: metric(estimates, truth) for metric in WITHOUT_SAMPLES]
    calls.append(lambda: metrics.match_lines(estimates, truth, 0.01))
    for call in calls:
        with pytest.raises(InputError, match=said) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("samples", [0, -50, 50.0, True, None])
def test_bad_samples(samples, unchecked):
    for metric in (*BY_PAIRS, *RATES):
        with pytest.raises(InputError, match="expected samples as a whole number from 1, got"):
            metric(GOOD, GOOD, samples)


@pytest.mark.parametrize("tolerance", [-0.1, math.nan, math.inf, "wide"])
def test_bad_tolerance(tolerance, unchecked):
    with pytest.raises(InputError, match="expected the tolerance as a number from 0, got"):
        metrics.match_lines(GOOD, GOOD, tolerance)
