"""Sparse lines against their optimality conditions, a general solver, closed forms, and lines that are known."""

import math

import pytest
import torch

from course_lib import classical, data, expect, metrics, physics
from course_lib.classical import ConvergenceWarning
from course_lib.classical.sparse_lines import FAINTEST
from course_lib.physics import MatrixOperator

N = 50
DOUBLE = {"dtype": torch.float64}
NAN = math.nan
METHODS = [classical.lasso_frequencies, classical.grid_free]


def population(seed: int, count: int, snr: float, **settings) -> tuple[data.LineSpectra, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    drawn = data.line_spectra(count, generator, **settings)
    samples = settings.get("samples", N)
    return drawn, physics.add_noise_at_snr(drawn.signals(samples, torch.complex128), snr, generator)


def one_line(frequency: float, samples: int = N, amplitude: complex = 1.0) -> torch.Tensor:
    f, a = torch.tensor([[frequency]], **DOUBLE), torch.tensor([[amplitude]], dtype=torch.complex128)
    return data.LineSpectra(f, a).signals(samples, torch.complex128)


def dictionary(points: int, samples: int) -> torch.Tensor:
    """A: (samples, points), a column for each frequency of the grid."""
    return data.exponentials(classical.frequency_grid(points)[None], samples)[0].mT


def correlation(residual: torch.Tensor, points: int) -> torch.Tensor:
    """|η| on a grid, by the sum itself."""
    return (residual @ dictionary(points, residual.shape[1]).conj()).abs()


def objective(y: torch.Tensor, fitted: torch.Tensor, amplitudes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return 0.5 * (y - fitted).abs().square().sum(dim=1) + weight * amplitudes.abs().sum(dim=1)


def usual_weight(noisy: torch.Tensor) -> torch.Tensor:
    return classical.universal_weight(classical.noise_level(noisy), noisy.shape[1])


# the lasso on a grid


@pytest.mark.parametrize("snr", [0, 20, 50])
@pytest.mark.parametrize("points", [100, 1000])
def test_duality_gap(snr, points):
    """Against the duality gap of the course's general solvers, signal by signal."""
    _, noisy = population(0, 12, snr)
    weight = usual_weight(noisy)
    x = classical.lasso_spectrum(noisy, weight, points=points, tolerance=1e-6)
    A = MatrixOperator(dictionary(points, N))
    for y, w, found in zip(noisy, weight, x, strict=True):
        penalty = classical.L1(w.item())
        gap = classical.duality_gap(A, y, penalty, found)
        value = 0.5 * (A(found) - y).abs().square().sum().item() + penalty.value(found)
        assert -1e-9 * value <= gap <= 2e-6 * value


def test_equal_to_fista():
    _, noisy = population(1, 4, 10, samples=16, most_lines=2)
    A = MatrixOperator(dictionary(32, 16))
    x = classical.lasso_spectrum(noisy, 2.0, points=32, tolerance=1e-10)
    for y, found in zip(noisy, x, strict=True):
        theirs = classical.fista(A, y, classical.L1(2.0), iterations=20_000, tolerance=1e-10).x
        torch.testing.assert_close(found, theirs, rtol=0, atol=1e-4)


def test_optimality_on_the_grid():
    _, noisy = population(2, 20, 20)
    weight = usual_weight(noisy)
    x = classical.lasso_spectrum(noisy, weight, tolerance=1e-9)
    A = dictionary(1000, N)
    eta = (noisy - x @ A.mT) @ A.conj() / weight[:, None]
    assert eta.abs().max() < 1 + 1e-6
    large = x.abs() > 1e-3 * x.abs().amax(dim=1, keepdim=True)
    torch.testing.assert_close(eta[large], (x / x.abs())[large], rtol=0, atol=1e-3)
    assert (large.sum(dim=1) < 40).all()  # of 1000: it is sparse


def test_a_line_on_the_grid_is_one_entry_shrunk_by_the_weight():
    x = classical.lasso_spectrum(one_line(-0.1, amplitude=2j), 5.0, points=200, tolerance=1e-9)[0]
    assert x[80].item() == pytest.approx((2 - 5 / N) * 1j, abs=1e-6)
    x[80] = 0
    assert x.abs().max() < 1e-6


def test_a_line_between_points_is_split_into_both_and_the_centroid_mends_it():
    step = 1 / 200
    y = one_line(-0.1 + step / 2)
    x = classical.lasso_spectrum(y, 1.0, points=200, tolerance=1e-9)[0].abs()
    assert x[80].item() == pytest.approx(x[81].item(), rel=1e-3)
    assert 0.9 < (x[80] + x[81]) < 1.01
    for share in (0.5, 0.25, 0.1):
        found = classical.lasso_frequencies(one_line(-0.1 + share * step), points=200, weight=1.0)
        assert found.shape == (1, 1)
        assert abs(found.item() - (-0.1 + share * step)) < 0.15 * step


def test_on_a_coarse_grid_there_are_more_lines_than_there_are():
    """The trouble off the grid: a line is no sum of few lines on a grid of 2N points, and at a small λ they show."""
    y = one_line(0.1 + 0.5 / 100)
    coarse, fine = (classical.lasso_frequencies(y, points=points, weight=0.1) for points in (100, 1000))
    assert coarse.shape[1] > 2
    assert fine.shape == (1, 1)
    assert abs(fine.item() - 0.105) < 1e-4
    assert classical.grid_free(y, weight=0.1).item() == pytest.approx(0.105, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("frequency", [-0.5, 0.5 - 1e-12, 0.4999, 0.4996, -0.4998])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_a_line_across_the_end_of_the_interval_is_one(method, frequency, dtype):
    found = method(one_line(frequency).to(dtype), weight=1.0)
    assert found.shape == (1, 1)
    assert -0.5 <= found.item() < 0.5
    assert data.wrap(found - frequency).abs().item() < 2e-4


# without a grid


@pytest.mark.parametrize(("seed", "snr"), [(3, 0), (4, 20), (5, 50)])
def test_dual_certificate(seed, snr):
    """|η| ≤ λ at all frequencies, and η = λ a/|a| at the lines: this is optimality, whatever the method."""
    _, noisy = population(seed, 40, snr)
    weight = usual_weight(noisy)
    lines = classical.beurling_lasso(noisy, weight)
    r = noisy - lines.signals(N, torch.complex128)
    assert (correlation(r, 400 * N) <= (1 + 1.1e-4) * weight[:, None]).all()
    f, a = lines.frequencies, lines.amplitudes
    present = f.isfinite()
    at = (data.exponentials(f, N).conj() @ r[..., None])[..., 0] / weight[:, None]
    strong = present & (a.abs() > 1e-2 * a.abs().amax(dim=1, keepdim=True))
    torch.testing.assert_close(at[strong], (a / a.abs())[strong], rtol=0, atol=1e-4)
    # together they bound the distance from the least objective: the gap is at most Σ|a| (λ − Re⟨η, a/|a|⟩) and a share
    gap = (weight[:, None] * (a.abs() - (at * a.conj()).real)).nan_to_num().sum(dim=1)
    assert (gap.abs() < 1e-4 * objective(noisy, noisy - r, a, weight)).all()


def test_no_grid_does_better_and_a_fine_grid_nearly_as_well():
    _, noisy = population(6, 20, 20)
    weight = usual_weight(noisy)
    lines = classical.beurling_lasso(noisy, weight, tolerance=1e-6)
    free = objective(noisy, lines.signals(N, torch.complex128), lines.amplitudes, weight)
    values = []
    for points in (100, 1000):
        x = classical.lasso_spectrum(noisy, weight, points=points, tolerance=1e-8)
        values.append(objective(noisy, x @ dictionary(points, N).mT, x, weight))
        assert (values[-1] >= free * (1 - 1e-6)).all()
    assert (values[1] <= 1.01 * free).all()
    assert (values[0] > 1.01 * free).float().mean() > 0.5


@pytest.mark.parametrize("samples", [8, 21, 50])
def test_one_line_is_the_top_of_the_periodogram_shrunk(samples):
    y = one_line(0.1234, samples, 3 - 1j)
    lines = classical.beurling_lasso(y, 2.0, tolerance=1e-9)
    assert lines.counts.tolist() == [1]
    assert lines.frequencies.item() == pytest.approx(0.1234, abs=1e-9)
    size = 10**0.5
    assert lines.amplitudes.item() == pytest.approx((3 - 1j) * (1 - 2 / samples / size), abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_weight_above_the_spectrum_leaves_nothing(method):
    _, noisy = population(7, 5, 10)
    weight = 1.05 * correlation(noisy, 5000).amax(dim=1)
    assert method(noisy, weight=weight).shape == (5, 0)
    some = weight.clone()
    some[1] /= 2
    found = method(noisy, weight=some)
    assert data.line_counts(found)[1] >= 1
    assert data.line_counts(found).sum() == data.line_counts(found)[1]


def test_separated_lines_are_found_without_noise():
    """At a separation of 2.5/N the least sum of amplitudes is that of the lines themselves."""
    drawn = data.line_spectra(30, torch.Generator().manual_seed(8), separation=2.5)
    clean = drawn.signals(N, torch.complex128)
    for method, tolerance in zip(METHODS, (2e-4, 2e-5), strict=True):
        found = method(clean)
        assert torch.equal(data.line_counts(found), drawn.counts)
        assert (found - drawn.frequencies[:, : found.shape[1]]).abs().nan_to_num().max() < tolerance


def test_close_lines_are_lost_without_noise_where_others_have_a_smaller_sum():
    """Two lines of opposite phase at .3/N: found are more of them, elsewhere; ESPRIT, told to find two, has them."""
    f, a = torch.tensor([[0.1, 0.1 + 0.3 / N]], **DOUBLE), torch.tensor([[1, -1]], dtype=torch.complex128)
    y = data.LineSpectra(f, a).signals(N, torch.complex128)
    found = classical.beurling_lasso(y, 0.1)
    size = found.amplitudes.abs()[0]
    assert size.sum() < 1.7
    strong = found.frequencies[0][size > 0.03 * size.max()]
    assert len(strong) > 2
    assert data.wrap(strong[:, None] - f).abs().amin(dim=0).max() * N > 0.05
    torch.testing.assert_close(classical.esprit(y, 2), f, rtol=0, atol=1e-8)


# the noise, and λ


@pytest.mark.parametrize("samples", [20, 50, 101])
def test_noise_level_of_noise(samples):
    noise = torch.randn(1000, samples, 2, generator=torch.Generator().manual_seed(9), **DOUBLE)
    level = classical.noise_level(torch.view_as_complex(noise))
    assert level.mean().item() == pytest.approx(1, abs=0.04)
    assert level.std() < 1.5 / samples**0.5
    torch.testing.assert_close(classical.noise_level(torch.view_as_complex(7 * noise)), 7 * level)


@pytest.mark.parametrize("snr", [0, 20, 50])
def test_noise_level_beside_lines(snr):
    for lines, most in ((1, 1.1), (5, 1.25), (10, 1.45)):
        drawn, noisy = population(10, 200, snr, least_lines=lines, most_lines=lines)
        clean = drawn.signals(N, torch.complex128)
        sigma = ((noisy - clean).abs().square().mean(dim=1) / 2).sqrt()
        ratio = classical.noise_level(noisy) / sigma
        assert 0.95 < ratio.median() < most
        assert (ratio > 0.6).all()


def test_the_universal_weight_is_where_noise_reaches():
    noise = torch.view_as_complex(torch.randn(1000, N, 2, generator=torch.Generator().manual_seed(11), **DOUBLE))
    highest = correlation(3 * noise, 500).amax(dim=1) / classical.universal_weight(3.0, N)
    assert 0.95 < highest.median() < 1.15
    assert (highest < 2).all()
    assert classical.universal_weight(3.0, N) == pytest.approx(3 * math.sqrt(100 * math.log(50)))


@pytest.mark.parametrize("method", METHODS)
def test_weight_follows_from_sigma(method):
    _, noisy = population(12, 8, 15)
    sigma = torch.linspace(0.1, 0.3, 8, **DOUBLE)
    same = [method(noisy, sigma=sigma), method(noisy, weight=classical.universal_weight(sigma, N))]
    assert torch.equal(same[0].nan_to_num(9), same[1].nan_to_num(9))
    one = [method(noisy, sigma=0.1), method(noisy, sigma=torch.full((8,), 0.1))]
    torch.testing.assert_close(*one, rtol=0, atol=1e-5, equal_nan=True)


# both methods on the population


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("snr", "least_f1", "most_missed"), [(0, 0.58, 0.55), (10, 0.85, 0.18), (50, 0.96, 0.01)])
def test_lines_of_the_population(method, snr, least_f1, most_missed):
    drawn, noisy = population(13, 100, snr)
    found = method(noisy)
    assert metrics.f1(found, drawn.frequencies, N).mean() > least_f1
    assert metrics.false_negative_rate(found, drawn.frequencies, N).mean() < most_missed
    counted = method(noisy, counts=drawn.counts)
    assert torch.equal(data.line_counts(counted), drawn.counts)
    assert metrics.f1(counted, drawn.frequencies, N).mean() > metrics.f1(found, drawn.frequencies, N).mean()


@pytest.mark.parametrize("method", METHODS)
def test_counts(method):
    _, noisy = population(14, 6, 10)
    found = method(noisy, counts=torch.tensor([0, 1, 2, 3, 4, 5]))
    assert found.shape == (6, 5)
    assert data.line_counts(found).tolist() == [0, 1, 2, 3, 4, 5]
    assert (found.diff(dim=1).nan_to_num(1) > 0).all()
    assert method(noisy, counts=0).shape == (6, 0)
    # the strongest: where it is the one line kept, it is the top of the periodogram, but for the others' leakage
    one = method(noisy, counts=1)
    assert one.shape == (6, 1)
    top = classical.periodogram_frequencies(noisy, 1)
    assert (data.wrap(one - top).abs() < 1 / (2 * N)).float().mean() > 0.6


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_its_signals_one_by_one_and_keeps_its_precision(method):
    _, noisy = population(15, 5, 20)
    together = method(noisy)
    assert together.dtype == torch.float64
    for row in range(5):
        alone = method(noisy[row : row + 1])[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=0, atol=1e-7)
        assert together[row, len(alone) :].isnan().all()
    single = method(noisy.to(torch.complex64))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), together, rtol=0, atol=1e-4, equal_nan=True)
    assert classical.lasso_spectrum(noisy.to(torch.complex64)).dtype == torch.complex64
    assert classical.beurling_lasso(noisy.to(torch.complex64)).amplitudes.dtype == torch.complex64


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_change_nothing(method, scale):
    _, noisy = population(16, 10, 20)
    torch.testing.assert_close(method(scale * noisy), method(noisy), rtol=0, atol=1e-6, equal_nan=True)


def test_what_is_fainter_than_the_threshold_is_not_counted():
    y = one_line(0.1)
    for amplitude, lines in ((1 + 0.9 * FAINTEST, 1), (1 + 1.1 * FAINTEST, 2)):
        weight = torch.tensor([5.0], **DOUBLE)
        found = classical.grid_free(y + one_line(0.1 + 20 / N, amplitude=amplitude * weight.item() / N), weight=weight)
        assert data.line_counts(found).tolist() == [lines]


def test_a_solver_that_is_stopped_says_so():
    _, noisy = population(17, 10, 30)
    with pytest.warns(ConvergenceWarning, match=r"^the lasso of 10 signals of 10 has not reached a .* in 2 steps$"):
        classical.lasso_spectrum(noisy, iterations=2)
    with pytest.warns(ConvergenceWarning, match=r"^the grid-free lasso of \d+ signals of 10 .* in 1 rounds$"):
        lines = classical.beurling_lasso(noisy, rounds=1)
    assert (lines.counts >= 1).all()


@pytest.mark.parametrize(
    "function", [*METHODS, classical.lasso_spectrum, classical.beurling_lasso, classical.noise_level]
)
def test_bad_signals(function, unchecked):
    _, noisy = population(18, 3, 10)
    silent, broken = noisy.clone(), noisy.clone()
    silent[1], broken[0, 0] = 0, NAN
    for signals, message in (
        (noisy.real, r"expected signals as complex samples \(batch, samples\), got .*"),
        (noisy[0], r"expected signals as a floating-point torch.Tensor \(batch, samples\), got .*"),
        (noisy[:, :7], "expected signals of at least 8 samples, got 7"),
        (broken, "expected signals without NaN or infinity, got 1 of them in .*"),
        (silent, "expected signals with some energy, got 1 of 3 with zeros only"),
    ):
        with pytest.raises(expect.InputError, match=f"^{message}$"):
            function(signals)


@pytest.mark.parametrize("function", [*METHODS, classical.lasso_spectrum, classical.beurling_lasso])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": 0}, "expected the weight lambda as a number above 0, got 0"),
        ({"weight": NAN}, "expected the weight lambda as a number above 0, got nan"),
        ({"weight": torch.ones(4)}, "expected the weight lambda as one number above 0 for each of 3 signals, got .*"),
        ({"weight": torch.tensor([1.0, 0, 1])}, "expected the weight lambda as one number above 0 for each of 3 .*"),
        ({"sigma": -1}, "expected sigma as a number from 0, got -1"),
        ({"sigma": -torch.ones(3)}, "expected sigma as one number from 0 for each of 3 signals, got .*"),
        ({"weight": 1, "sigma": 1}, "expected the weight lambda or the noise level sigma, .*, not both"),
    ],
)
def test_bad_levels(function, arguments, message, unchecked):
    _, noisy = population(19, 3, 10)
    with pytest.raises(expect.InputError, match=f"^{message}$"):
        function(noisy, **arguments)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (classical.lasso_frequencies, {"points": 99}, "expected points of at least 2N = 100, got 99"),
        (classical.lasso_spectrum, {"points": 100.0}, "expected points as a whole number from 1, got 100.0"),
        (classical.lasso_spectrum, {"iterations": 0}, "expected the number of iterations as a whole number from 1, .*"),
        (classical.lasso_spectrum, {"tolerance": 0}, "expected the tolerance as a number above 0, got 0"),
        (classical.beurling_lasso, {"rounds": 0}, "expected the number of rounds as a whole number from 1, got 0"),
        (classical.beurling_lasso, {"tolerance": 0}, "expected the tolerance as a number above 0, got 0"),
        (classical.grid_free, {"counts": -1}, "expected counts as a whole number from 0, got -1"),
        (classical.grid_free, {"counts": 26}, "expected at most 25 lines by sparsity in 50 samples, got 26"),
        (classical.lasso_frequencies, {"counts": torch.ones(2).long()}, "expected counts as whole numbers, .*"),
        (classical.lasso_frequencies, {"counts": torch.ones(3)}, "expected counts as whole numbers, .*"),
    ],
)
def test_bad_settings(function, arguments, message, unchecked):
    _, noisy = population(20, 3, 10)
    with pytest.raises(expect.InputError, match=f"^{message}$"):
        function(noisy, **arguments)
