"""MUSIC, root-MUSIC, ESPRIT and the matrix pencil: by brute force, without noise, and against the Cramér–Rao bound."""

import math

import numpy as np
import pytest
import torch

from course_lib import classical, data, expect, physics
from course_lib.classical.subspace import real_covariance, signal_subspace

N = 50
METHODS = [classical.music, classical.root_music, classical.esprit, classical.matrix_pencil]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(batch: int, samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, samples, dtype=torch.complex128, generator=seeded(seed))


def noisy_population(count: int, snr: float, seed: int) -> tuple[torch.Tensor, data.LineSpectra]:
    generator = seeded(seed)
    lines = data.line_spectra(count, generator)
    return physics.add_noise_at_snr(lines.signals(N, torch.complex128), snr, generator), lines


def worst_error(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Of sorted rows on the circle: a line at −1/2 may be found as the last one instead of the first."""
    assert torch.equal(found.isfinite(), truth.isfinite())
    distance = data.wrap(found[:, :, None] - truth[:, None, :]).abs().nan_to_num(9)
    return distance.amin(dim=1)[truth.isfinite()].max().item()


@pytest.mark.parametrize("rows", [1, 2, 4, 7])
def test_hankel_matrix(rows):
    x = noise(2, 7)
    H = classical.hankel_matrix(x, rows)
    assert H.shape == (2, rows, 8 - rows)
    for i in range(rows):
        for j in range(8 - rows):
            assert torch.equal(H[:, i, j], x[:, i + j])


@pytest.mark.parametrize("length", [2, 5, 6, 9])
def test_covariance_is_the_mean_over_stretches_and_over_both_directions(length):
    x = noise(3, 9)
    R = torch.zeros(3, length, length, dtype=torch.complex128)
    both = R.clone()
    stretches = 10 - length
    for start in range(stretches):
        h = x[:, start : start + length, None]
        backwards = h.flip(1).conj()
        R += h @ h.mH / stretches
        both += (h @ h.mH + backwards @ backwards.mH) / (2 * stretches)
    torch.testing.assert_close(classical.sample_covariance(x, length, forward_backward=False), R)
    found = classical.sample_covariance(x, length)
    torch.testing.assert_close(found, both)
    torch.testing.assert_close(found.flip(1, 2).conj(), found)
    assert classical.sample_covariance(x.to(torch.complex64), length).dtype == torch.complex64
    # its real form has the same eigenvalues, and gives the eigenvectors
    eigenvalues = torch.linalg.eigvalsh(found)
    torch.testing.assert_close(torch.linalg.eigvalsh(real_covariance(x, length)), eigenvalues, rtol=1e-9, atol=1e-13)
    for K in (0, 1, length - 1, length):
        U = signal_subspace(x, K, length)
        torch.testing.assert_close(U.mH @ U, torch.eye(K, dtype=U.dtype).expand(3, -1, -1))
        torch.testing.assert_close(found @ U, U * eigenvalues[:, None, length - K :])


@pytest.mark.parametrize(("points", "length"), [(1000, 25), (1001, 20), (64, 31)])
def test_pseudo_spectrum_is_that_of_the_noise_subspace(points, length):
    x, _ = noisy_population(6, 10.0, 3)
    counts = torch.tensor([0, 1, 3, 10, 10, 2])
    found = classical.music_spectrum(x, counts, points=points, window_length=length)
    R = classical.sample_covariance(x, length).numpy()
    a = np.exp(2j * np.pi * np.arange(length)[:, None] * (np.arange(points) / points - 0.5))
    for row, K, one in zip(found, counts.tolist(), R, strict=True):
        noise_subspace = np.linalg.eigh(one)[1][:, : length - K]
        wanted = length / (np.abs(noise_subspace.conj().T @ a) ** 2).sum(axis=0)
        np.testing.assert_allclose(row, wanted, rtol=1e-7)


def numpy_esprit(x: np.ndarray, K: int, length: int) -> np.ndarray:
    H = np.lib.stride_tricks.sliding_window_view(x, len(x) - length + 1)
    U = np.linalg.svd(np.hstack([H, H[::-1].conj()]))[0][:, :K]
    return np.angle(np.linalg.eigvals(np.linalg.pinv(U[:-1]) @ U[1:])) / (2 * np.pi)


def numpy_pencil(x: np.ndarray, K: int, length: int) -> np.ndarray:
    """The K non-zero eigenvalues of the pseudo-inverse of Y₁, cut to rank K, times Y₂."""
    ways = [np.lib.stride_tricks.sliding_window_view(way, length + 1) for way in (x, x[::-1].conj())]
    Y = np.vstack(ways)
    U, S, Vh = np.linalg.svd(Y[:, :-1], full_matrices=False)
    z = np.linalg.eigvals(Vh[:K].conj().T @ np.diag(1 / S[:K]) @ U[:, :K].conj().T @ Y[:, 1:])
    return np.angle(z[np.argsort(-np.abs(z))[:K]]) / (2 * np.pi)


def numpy_root_music(x: np.ndarray, K: int, length: int) -> np.ndarray:
    H = np.lib.stride_tricks.sliding_window_view(x, len(x) - length + 1)
    E = np.linalg.svd(np.hstack([H, H[::-1].conj()]))[0][:, K:]
    z = np.roots([np.trace(E @ E.conj().T, offset=k) for k in range(length - 1, -length, -1)])
    inside = z[np.abs(z) < 1]
    return np.angle(inside[np.argsort(-np.abs(inside))[:K]]) / (2 * np.pi)


def numpy_music(x: np.ndarray, K: int, length: int) -> np.ndarray:
    """The deepest minima of the null spectrum on a very fine grid."""
    H = np.lib.stride_tricks.sliding_window_view(x, len(x) - length + 1)
    E = np.linalg.svd(np.hstack([H, H[::-1].conj()]))[0][:, K:]
    f = np.arange(40000) / 40000 - 0.5
    null = (np.abs(np.exp(-2j * np.pi * f[:, None] * np.arange(length)) @ E) ** 2).sum(axis=1)
    place = np.flatnonzero((null < np.roll(null, 1)) & (null <= np.roll(null, -1)))
    place = place[np.argsort(null[place])[:K]]
    before, here, after = (null[(place + k) % 40000] for k in (-1, 0, 1))
    return f[place] + (before - after) / (2 * (before + after - 2 * here)) / 40000


@pytest.mark.parametrize("length", [25, 20, 31])
@pytest.mark.parametrize("name", ["esprit", "matrix_pencil", "root_music", "music"])
def test_equals_a_loop_over_signals_in_numpy(name, length):
    """In noise, where each method has answers of its own."""
    by_hand = {
        "esprit": numpy_esprit,
        "matrix_pencil": numpy_pencil,
        "root_music": numpy_root_music,
        "music": numpy_music,
    }[name]
    x, lines = noisy_population(40, 15.0, 5)
    option = {"pencil" if name == "matrix_pencil" else "window_length": length}
    found = getattr(classical, name)(x, lines.counts, **option)
    for signal, row, K in zip(x.numpy(), found, lines.counts.tolist(), strict=True):
        wanted = torch.from_numpy(by_hand(signal, K, length))
        assert len(wanted) == int(row.isfinite().sum())
        distance = data.wrap(row[: len(wanted), None] - wanted).abs()
        assert max(distance.amin(dim=0).max(), distance.amin(dim=1).max()) < 1e-7


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_without_noise_only_rounding_is_left(method, seed):
    lines = data.line_spectra(300, seeded(seed))
    x = lines.signals(N, torch.complex128)
    found = method(x, lines.counts)
    assert worst_error(found, lines.frequencies) < 1e-8
    assert torch.equal(found[:, 0] <= found[:, -1], found[:, -1].isfinite())  # ascending, NaN last
    single = method(x.to(torch.complex64), lines.counts)
    assert single.dtype == torch.float32
    # rounded samples are noisy ones: most lines keep six digits, close ones lose some
    assert worst_error(single.double(), lines.frequencies) < 5e-4
    error = data.wrap(single.double() - lines.frequencies).abs()
    assert error[error.isfinite()].median() < 1e-7


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("K", [1, 2, 5, 10])
def test_without_noise_lines_in_a_row_as_close_as_1_over_n(method, K):
    """The hardest of the setting: all at the least separation, amplitudes from 0.1 up, across the end of the circle."""
    generator = seeded(K)
    first = torch.rand(100, 1, generator=generator, dtype=torch.float64) - 0.5
    f = data.wrap(first + torch.arange(K) / N).sort(dim=1).values
    size = 0.1 + torch.randn(100, K, generator=generator, dtype=torch.float64).abs()
    phase = 2 * math.pi * torch.rand(100, K, generator=generator, dtype=torch.float64)
    x = data.LineSpectra(f, torch.polar(size, phase)).signals(N, torch.complex128)
    assert worst_error(method(x, K), f) < 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_as_many_lines_as_the_samples_allow(method):
    most = 25 if method is classical.matrix_pencil else 24
    f = (torch.arange(most, dtype=torch.float64) / most - 0.5)[None]
    x = data.LineSpectra(f, torch.ones(1, most, dtype=torch.complex128)).signals(N, torch.complex128)
    assert worst_error(method(x, most), f) < 1e-9
    with pytest.raises(expect.InputError, match=f"^expected at most {most} lines from 50 samples with"):
        method(x, most + 1)
    # and three samples are enough for one line
    x = data.LineSpectra(f[:, :1] + 0.2, torch.ones(1, 1, dtype=torch.complex128)).signals(3, torch.complex128)
    assert worst_error(method(x, 1), f[:, :1] + 0.2) < 1e-12


def bound(f: torch.Tensor, a: torch.Tensor, sigma: float) -> torch.Tensor:
    """The Cramér–Rao bound on the standard deviation of each frequency, from the Fisher information."""
    n = torch.arange(N, dtype=torch.float64)
    e = torch.exp(2j * math.pi * f[:, None] * n)
    slopes = torch.cat([2j * math.pi * n * e * a[:, None], e, 1j * e])  # by frequency, and both parts of the amplitude
    return torch.linalg.inv((slopes.conj() @ slopes.T).real / sigma**2).diagonal()[: len(f)].sqrt()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("f", "a"), [([0.1234], [1.0]), ([-0.31], [0.3j]), ([-0.2, 0.13], [1.0, 0.8j]), ([-0.45, 0.42], [1.0, -1.0])]
)
def test_at_30_db_the_error_is_near_the_cramer_rao_bound(method, f, a):
    f, a = torch.tensor(f, dtype=torch.float64), torch.tensor(a, dtype=torch.complex128)
    clean = data.LineSpectra(f[None], a[None]).signals(N, torch.complex128)
    sigma = math.sqrt(clean.abs().square().mean().item() / 10**3 / 2)
    least = bound(f, a, sigma)
    if len(f) == 1:
        A = a.abs().item()
        formula = math.sqrt(12 * sigma**2 / ((2 * math.pi * A) ** 2 * N * (N**2 - 1)))
        assert least.item() == pytest.approx(formula, rel=1e-9)
    trials = 2000
    x = physics.add_gaussian_noise(clean.expand(trials, N), sigma, seeded(len(f)))
    error = data.wrap(method(x, len(f)) - f)
    ratio = error.square().mean(dim=0).sqrt() / least
    assert ((ratio > 0.9) & (ratio < 1.3)).all(), ratio
    assert (error.mean(dim=0).abs() < 5 * least / math.sqrt(trials)).all()  # no bias


def test_false_negatives_are_those_that_were_published():
    """With the true count, on other signals of the same setting: in per cent within three of the paper's."""
    published = {"periodogram_frequencies": (29.8, 14.6, 13.4), "music": (37.4, 14.9, 1.5), "esprit": (39.1, 14.2, 1.0)}
    for place, snr in enumerate((0.0, 10.0, 30.0)):
        x, lines = noisy_population(2000, snr, 11)
        for name, wanted in published.items():
            found = getattr(classical, name)(x, lines.counts)
            distance = data.wrap(found[:, None, :] - lines.frequencies[:, :, None]).abs().nan_to_num(9).amin(dim=2)
            missed = ((distance > 0.5 / N) & lines.frequencies.isfinite()).sum(dim=1) / lines.counts
            assert 100 * missed.mean().item() == pytest.approx(wanted[place], abs=3)


@pytest.mark.parametrize("method", METHODS)
def test_each_signal_is_estimated_by_itself(method):
    """Whatever else is in the batch, however it is split over threads, and in every precision of the counts."""
    x, lines = noisy_population(300, 10.0, 2)
    counts = lines.counts.clone()
    counts[::7] = 0
    found = method(x, counts)
    assert found.shape == (300, 10)
    assert torch.equal(found.isfinite().sum(dim=1), counts)
    for row in (0, 1, 150, 299):
        K = int(counts[row])
        alone = method(x[row : row + 1], K)
        assert alone.shape == (1, K)
        torch.testing.assert_close(alone[0], found[row, :K], rtol=0, atol=1e-9)
    assert torch.equal(method(x, counts.to(torch.int32)).nan_to_num(9), found.nan_to_num(9))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        torch.testing.assert_close(method(x, counts), found, rtol=0, atol=1e-9, equal_nan=True)
    finally:
        torch.set_num_threads(threads)
    assert method(x, 0).shape == (300, 0)


def test_music_gives_nan_where_there_are_fewer_minima_than_lines():
    """The null spectrum of a short window often has fewer minima than its degree allows."""
    x = noise(200, 6, seed=4)
    found = classical.music(x, 3, window_length=4)
    minima = classical.music_spectrum(x, 3, window_length=4)
    peaks = ((minima > minima.roll(1, 1)) & (minima >= minima.roll(-1, 1))).sum(dim=1)
    assert (peaks < 3).any()
    assert torch.equal(found.isfinite().sum(dim=1), peaks.clamp(max=3))


@pytest.mark.parametrize("points", [400, 1000, 1001])
def test_musics_grid_does_not_matter_if_it_is_fine(points):
    x, lines = noisy_population(60, 20.0, 9)
    far = lines.counts <= 3
    x, counts = x[far], lines.counts[far]
    torch.testing.assert_close(
        classical.music(x, counts, points=points), classical.music(x, counts, points=4096), rtol=0, atol=1e-9,
        equal_nan=True,
    )  # fmt: skip


def test_root_music_with_a_vanishing_leading_coefficient():
    """Two lines whose noise projector has a corner of 0: the polynomial is of lower degree than its length says."""
    length = 9
    f = torch.tensor([[0.0, 1 / 16]], dtype=torch.float64)  # half a turn apart at the window's last sample
    x = data.LineSpectra(f, torch.ones(1, 2, dtype=torch.complex128)).signals(17, torch.complex128)
    assert worst_error(classical.root_music(x, 2, window_length=length), f) < 1e-8


def test_arguments_that_cannot_be_used(unchecked):
    x = noise(3, N)
    for method in (*METHODS, classical.music_spectrum):
        for signals, message in (
            (x.real, r"expected signals as complex samples \(batch, samples\), got .*"),
            (x[0], r"expected signals as a floating-point torch.Tensor \(batch, samples\), got .*"),
            (
                x.numpy(),
                r"expected signals as a floating-point torch.Tensor \(batch, samples\), got a numpy.ndarray .*",
            ),
            (x * math.inf, "expected signals without NaN or infinity, got 150 of them in .*"),
            (0 * x, "expected signals with some energy, got 3 of 3 with zeros only"),
            (x[:, :1], "expected signals of at least . samples, got 1"),
        ):
            with pytest.raises(expect.InputError, match=f"^{message}$"):
                method(signals, 1)
        for counts, message in (
            (-1, "expected counts as a whole number from 0, got -1"),
            (1.5, "expected counts as a whole number from 0, got 1.5"),
            (torch.tensor([1, 2]), r"expected counts as whole numbers, one or a tensor of shape \(3,\), got .*"),
            (torch.tensor([1.0, 2, 3]), r"expected counts as whole numbers, one or a tensor of shape \(3,\), got .*"),
            (torch.tensor([1, 2, -1]), "expected counts of at least 0, got -1"),
            (torch.tensor([1, 2, 40]), "expected at most 2. lines from 50 samples with .*, got 40"),
        ):
            with pytest.raises(expect.InputError, match=f"^{message}$"):
                method(x, counts)
    for method in (classical.music, classical.root_music, classical.esprit, classical.music_spectrum):
        for length, counts, message in (
            (1, 1, "expected window_length as a whole number from 2, got 1"),
            (51, 1, "expected a window_length of at most the 50 samples, got 51"),
            (4, 4, "expected at most 3 lines from 50 samples with window_length 4, got 4"),
            (48, 4, "expected at most 3 lines from 50 samples with window_length 48, got 4"),
            (25.0, 4, "expected window_length as a whole number from 2, got 25.0"),
        ):
            with pytest.raises(expect.InputError, match=f"^{message}$"):
                method(x, counts, window_length=length)
    for method in (classical.music, classical.music_spectrum):
        with pytest.raises(expect.InputError, match="^expected at least 50 points for window_length 25, got 49$"):
            method(x, 1, points=49)
    for pencil, counts, message in (
        (0, 1, "expected the pencil parameter as a whole number from 1, got 0"),
        (50, 1, "expected a pencil parameter below the 50 samples, got 50"),
        (40, 11, "expected at most 10 lines from 50 samples with pencil parameter 40, got 11"),
    ):
        with pytest.raises(expect.InputError, match=f"^{message}$"):
            classical.matrix_pencil(x, counts, pencil=pencil)
    for rows, message in ((51, "expected at most 50 rows, one for each sample, got 51"), (0, "expected rows as .*")):
        with pytest.raises(expect.InputError, match=f"^{message}$"):
            classical.hankel_matrix(x, rows)
    with pytest.raises(expect.InputError, match="^expected a window_length of at most the 50 samples, got 60$"):
        classical.sample_covariance(x, 60)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("f", [0.5 - 1e-9, -0.5, 0.4999999])
def test_single_precision_does_not_leave_the_circle(method, f):
    """0.5 − 1e-9 is 1/2 in single precision, which is −1/2 on the circle."""
    lines = data.LineSpectra(torch.tensor([[f]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.complex128))
    found = method(lines.signals(N, torch.complex64), 1)
    assert -0.5 <= found.item() < 0.5
    assert data.wrap(found.double() - f).abs().item() < 1e-6
