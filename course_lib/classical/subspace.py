"""Subspace methods: from a signal's Hankel matrix to its covariance, its eigenvectors, and the lines.

A sum of K lines without noise has a Hankel matrix of rank K: every stretch of L samples is a combination of K steering
vectors a(f) = (1, e^{2πif}, …, e^{2πif(L−1)}). With white noise the covariance of these stretches keeps K large
eigenvalues, whose eigenvectors span the same signal subspace, and the others span the noise subspace, orthogonal to
it. MUSIC and root-MUSIC look for steering vectors orthogonal to the noise subspace; ESPRIT and the matrix pencil use
that the signal subspace, moved by one sample, is itself again.

All compute in double precision for the whole batch at once, and give the signals' precision back. With the usual
windows of half the signal, N = 50, rounding is all that is left without noise: 2e-8 cycles per sample at worst for ten
lines in a row 1/N apart, 1e-15 for two. (Of complex64 signals the rounding of the samples is left, as noise would be.)
At 30 dB, for one line or two far apart, the root mean square error is 1.24 (MUSIC), 1.23 (root-MUSIC), 1.13 (ESPRIT) or
1.15 (matrix pencil) times the Cramér–Rao bound. Longer windows find more of the close lines in noise and short ones
fewer: at 5 dB and with the true count ESPRIT misses 24, 25 and 32 per cent of the lines of `line_spectra` with windows
of 30, 25 and 17. But 30 brings MUSIC to 1.32 times the bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from jaxtyping import Complex, Float, Int

from course_lib import expect
from course_lib.classical.periodogram import (
    Counts,
    Frequencies,
    Signals,
    ascending,
    checked_counts,
    checked_signals,
    frequency_grid,
    local_maxima,
    parabola_top,
)

SHARE = 128  # signals that a thread takes at once
NEWTON_STEPS = 12  # at most; from a grid of 1000 points two or three do
CLOSE = 1e-8  # cycles per sample: a step of Newton's method so small leaves an error of its square
NULL = 1e-15  # of the null spectrum's mean: what rounding leaves of a zero


def hankel_matrix(signals: Signals, rows: int) -> Complex[torch.Tensor, "batch rows columns"]:
    """H[i, j] = x[i + j]: each column is a stretch of the signal, and begins one sample after the column before.

    It is a view: nothing is copied.

    Args:
        signals: complex (batch, samples).
        rows: samples in a stretch, from 1 to N.
    """
    signals = expect.signals("signals", signals, least=1)
    samples = signals.shape[1]
    if expect.count("rows", rows) > samples:
        raise expect.InputError(f"expected at most {samples} rows, one for each sample, got {rows}")
    return signals.unfold(1, samples - rows + 1, 1)


def sample_covariance(
    signals: Signals, window_length: int | None = None, *, forward_backward: bool = True
) -> Complex[torch.Tensor, "batch rows rows"]:
    """R = H Hᴴ / columns: the mean of h hᴴ over all stretches h of a signal.

    A line read backwards and conjugated is the same line, so every stretch can be used twice: forward–backward
    averaging takes (R + J R* J) / 2, where J turns the order round. Neighbouring stretches overlap in all but one
    sample: they are no independent snapshots.

    Args:
        signals: complex (batch, samples).
        window_length: L, samples in a stretch; half the signal unless given.
        forward_backward: use each stretch in both directions.

    Returns:
        (batch, L, L), Hermitian, in the precision of the signals.
    """
    signals = checked_signals(signals)
    H = hankel_matrix(signals, checked_window_length(window_length, signals.shape[1]))
    R = H @ H.mH / H.shape[2]
    return (R + R.conj().flip(1, 2)) / 2 if forward_backward else R


def real_covariance(signals: Signals, window_length: int) -> Float[torch.Tensor, "batch rows rows"]:
    """`sample_covariance` as a real matrix, which has the same eigenvalues and is cheaper to take apart.

    Because J R* J = R, the eigenvectors can be chosen with J u* = u: their second half mirrors the first. In the basis
    of such vectors, whose coordinates are sums and differences of mirrored samples, R is real (Linebarger, DeGroat and
    Dowling 1994).
    """
    x = signals.to(torch.complex128)
    H, turned = hankel_matrix(x, window_length), hankel_matrix(-1j * x, window_length)
    half, odd = divmod(window_length, 2)
    sums = H[:, :half] + H[:, half + odd :].flip(1)
    differences = turned[:, :half] - turned[:, half + odd :].flip(1)
    mirrored = torch.cat([sums, math.sqrt(2) * H[:, half : half + odd], differences], dim=1)
    T = torch.view_as_real(mirrored).flatten(2)  # real and imaginary parts as columns of their own
    return T @ T.mT / (2 * H.shape[2])


def signal_subspace(signals: Signals, K: int, window_length: int) -> Complex[torch.Tensor, "batch rows K"]:
    """U: an orthonormal basis of the signal subspace, the covariance's eigenvectors with the K largest eigenvalues."""
    half, odd = divmod(window_length, 2)
    _, V = torch.linalg.eigh(real_covariance(signals, window_length))  # the smallest eigenvalue's first
    sums, middle, differences = V[:, :, window_length - K :].split([half, odd, half], dim=1)
    first = torch.complex(sums, differences) / math.sqrt(2)
    return torch.cat([first, middle.to(first.dtype), first.conj().flip(1)], dim=1)


def music_spectrum(
    signals: Signals, counts: Counts, *, points: int = 1000, window_length: int | None = None
) -> Float[torch.Tensor, "batch points"]:
    """MUSIC's pseudo-spectrum L / ‖Eₙᴴ a(f)‖²: large where the steering vector is orthogonal to the noise subspace.

    It is no power spectrum: the height of a peak says how well a line fits, not how strong it is. Its least value is
    1, and its largest, where rounding alone is left, 1/`NULL`.

    Args:
        signals: complex (batch, samples).
        counts: how many lines, one number for all signals or one for each.
        points: of the grid, at least 2L.
        window_length: L, more than the largest count; half the signal unless given.

    Returns:
        (batch, points) on `frequency_grid(points)`, in the precision of the signals.
    """
    signals, counts, length = _prepared(signals, counts, window_length)
    _check_points(points, length)

    def spectrum(x: Signals, K: int) -> Float[torch.Tensor, "batch points"]:
        return length / _on_grid(_null_spectrum(x, K, length), points).clamp(min=NULL * length)

    spectra = by_count(spectrum, signals, counts, points).to(signals.real.dtype)
    return torch.where(
        counts[:, None] > 0, spectra, 1.0
    )  # without lines all is noise, and every vector in its subspace


def music(signals: Signals, counts: Counts, *, points: int = 1000, window_length: int | None = None) -> Frequencies:
    """MUSIC: the deepest minima of the null spectrum ‖Eₙᴴ a(f)‖², found on a grid and then followed off it.

    Args:
        signals: complex (batch, samples).
        counts: how many lines, one number for all signals or one for each; fewer than L, and at most N − L + 1.
        points: of the grid on which minima are looked for, at least 2L. A coarse one misses one of two close minima.
        window_length: L; half the signal unless given.

    Returns:
        (batch, largest count) cycles per sample; NaN where the null spectrum has fewer minima than lines are asked for.
    """
    signals, counts, length = _prepared(signals, counts, window_length)
    _check_points(points, length)

    def minima(x: Signals, K: int) -> Frequencies:
        polynomial = _null_spectrum(x, K, length)
        peaks = -_on_grid(polynomial, points)
        # the parabola's top, not the grid's value, says which are the highest: a narrow one may miss the grid's points
        height, place = peaks.masked_fill(~local_maxima(peaks), -math.inf).topk(length - 1, dim=1)
        offset, top = parabola_top(peaks, place)
        top, order = torch.where(height > -math.inf, top, -math.inf).topk(K, dim=1)
        start = frequency_grid(points).to(x.device)[place.gather(1, order)]
        found = _newton(polynomial, start, offset.gather(1, order) / points, 1 / points)
        return torch.where(top > -math.inf, found, math.nan)

    return _lines(minima, signals, counts)


def root_music(signals: Signals, counts: Counts, *, window_length: int | None = None) -> Frequencies:
    """root-MUSIC: the null spectrum is a polynomial in z = e^{2πif}; its roots nearest to the unit circle are lines.

    Roots come in pairs z and 1/z*, which lie on one ray: without noise both on the circle, at a line. A grid and a
    peak that two close lines share are not in the way (Barabell 1983).

    Args:
        signals: complex (batch, samples).
        counts: how many lines, one number for all signals or one for each; fewer than L, and at most N − L + 1.
        window_length: L; half the signal unless given.

    Returns:
        (batch, largest count) cycles per sample, in the precision of the signals.
    """
    signals, counts, length = _prepared(signals, counts, window_length)

    def nearest_roots(x: Signals, K: int) -> Frequencies:
        half = _null_spectrum(x, K, length)
        roots = _roots(torch.cat([half.flip(1), half[:, 1:].conj()], dim=1))
        found = []
        for _ in range(K):
            z, roots = _taken(roots, roots.abs().log().abs())
            twin, roots = _taken(roots, (roots - 1 / z.conj()).abs())
            # rounding drives a double root apart to both sides: the mean of the two has kept its place
            found.append(_angles(z / z.abs() + twin / twin.abs()))
        return torch.cat(found, dim=1)

    return _lines(nearest_roots, signals, counts)


def esprit(signals: Signals, counts: Counts, *, window_length: int | None = None) -> Frequencies:
    """ESPRIT by least squares: the signal subspace without its first row is the one without its last row, turned.

    For steering vectors, moving on by one sample multiplies each by its e^{2πif}. For any basis U of the signal
    subspace that reads U[1:] = U[:−1] Φ, and the eigenvalues of Φ are these e^{2πif} (Roy and Kailath 1989).

    Args:
        signals: complex (batch, samples).
        counts: how many lines, one number for all signals or one for each; fewer than L, and at most N − L + 1.
        window_length: L; half the signal unless given.

    Returns:
        (batch, largest count) cycles per sample, in the precision of the signals.
    """
    signals, counts, length = _prepared(signals, counts, window_length)

    def rotation(x: Signals, K: int) -> Complex[torch.Tensor, "batch K K"]:
        U = signal_subspace(x, K, length)
        # the columns of U are orthonormal, so U[:−1]ᴴ U[:−1] is I − w wᴴ with the conjugate of the last row as w
        w = U[:, -1, :, None].conj()
        product = U[:, :-1].mH @ U[:, 1:]
        return product + w @ (w.mH @ product) / (1 - w.mH @ w).real

    return _lines(lambda x, K: _angles(torch.linalg.eigvals(rotation(x, K))), signals, counts)


def matrix_pencil(signals: Signals, counts: Counts, *, pencil: int | None = None) -> Frequencies:
    """The matrix pencil: Y₂ − z Y₁ loses rank where z is the e^{2πif} of a line, Y₂ being Y₁ one sample later.

    Both hold the signal forwards and, conjugated, backwards. The K largest singular values of Y₁ = U S Vᴴ are kept, and
    what is left of the pencil has the eigenvalues of S⁻¹ Uᴴ Y₂ V (Hua and Sarkar 1990). No covariance is formed, so no
    precision is lost by squaring.

    Args:
        signals: complex (batch, samples).
        counts: how many lines, one number for all signals or one for each; at most P, and at most N − P.
        pencil: the pencil parameter P, the columns of Y₁; half the signal unless given. From a third to two thirds of
            the signal there is little between them.

    Returns:
        (batch, largest count) cycles per sample, in the precision of the signals.
    """
    signals = checked_signals(signals)
    samples = signals.shape[1]
    pencil = samples // 2 if pencil is None else expect.count("the pencil parameter", pencil)
    if pencil >= samples:
        raise expect.InputError(f"expected a pencil parameter below the {samples} samples, got {pencil}")
    where = f"from {samples} samples with pencil parameter {pencil}"
    counts = checked_counts(counts, signals, min(pencil, samples - pencil), where)

    def shift(x: Signals, K: int) -> Complex[torch.Tensor, "batch K K"]:
        backwards = x.conj().resolve_conj().flip(1)
        Y = torch.cat([hankel_matrix(way, samples - pencil) for way in (x, backwards)], dim=1)
        U, S, Vh = torch.linalg.svd(Y[:, :, :-1], full_matrices=False)
        return U[:, :, :K].mH @ Y[:, :, 1:] @ Vh[:, :K].mH / S[:, :K, None]

    return _lines(lambda x, K: _angles(torch.linalg.eigvals(shift(x, K))), signals, counts)


def checked_window_length(window_length: object, samples: int) -> int:
    """L as given, or half the signal (rounded up), which resolves the most lines: (N − 1) // 2."""
    if window_length is None:
        return (samples + 1) // 2
    if expect.count("window_length", window_length, least=2) > samples:
        raise expect.InputError(f"expected a window_length of at most the {samples} samples, got {window_length}")
    return window_length


def _prepared(
    signals: object, counts: object, window_length: object
) -> tuple[Signals, Int[torch.Tensor, " batch"], int]:
    """Checked signals, counts and window length."""
    signals = checked_signals(signals, least=3)
    samples = signals.shape[1]
    length = checked_window_length(window_length, samples)
    where = f"from {samples} samples with window_length {length}"
    return signals, checked_counts(counts, signals, min(length - 1, samples - length + 1), where), length


def _lines(
    estimate: Callable[[Signals, int], Frequencies], signals: Signals, counts: Int[torch.Tensor, " batch"]
) -> Frequencies:
    """`estimate(signals, K)` as rows of frequencies: ascending, NaN last, in the precision of the signals."""
    # rounding to single precision may make 1/2 of what is just below, so it comes before the circle is closed
    found = by_count(estimate, signals, counts, int(counts.max())).to(signals.real.dtype)
    return ascending(found, counts)


def by_count(
    estimate: Callable[[Signals, int], torch.Tensor],
    signals: Signals,
    counts: Int[torch.Tensor, " batch"],
    columns: int,
) -> Float[torch.Tensor, "batch columns"]:
    """`estimate(signals, K)` for the signals with K lines, of each K > 0; NaN elsewhere and where it has fewer columns.

    LAPACK takes the matrices of a batch one after the other. So on a CPU each of torch's threads gets shares of the
    signals, small enough to stay in its cache.
    """
    threads = 1 if signals.is_cuda else torch.get_num_threads()
    largest = len(signals) if signals.is_cuda else SHARE
    rows, count = [], []
    for K in counts[counts > 0].unique().tolist():
        shares = (counts == K).nonzero()[:, 0].split(largest)
        rows += shares
        count += [K] * len(shares)
    x = signals.to(torch.complex128)
    found = torch.full((len(signals), columns), math.nan, dtype=torch.float64, device=signals.device)
    with ThreadPoolExecutor(threads) as pool:
        over = pool.map if threads > 1 and len(rows) > 1 else map
        for share, estimated in zip(rows, over(lambda share, K: estimate(x[share], K), rows, count), strict=True):
            found[share, : estimated.shape[1]] = estimated
    return found


def _angles(z: Complex[torch.Tensor, "batch lines"]) -> Frequencies:
    """f of z = r·e^{2πif}."""
    return z.angle() / (2 * math.pi)


def _null_spectrum(signals: Signals, K: int, length: int) -> Complex[torch.Tensor, "batch rows"]:
    """‖Eₙᴴ a(f)‖² = c₀ + 2 Re Σ_k c_k e^{2πifk}, whose coefficients c₀ … c_{L−1} are given.

    It is L − ‖Uᴴ a(f)‖², and Uᴴ a(f) the Fourier transform of the basis vectors, conjugated. From its values at 2L
    frequencies another Fourier transform makes the coefficients.
    """
    spectra = torch.fft.fft(signal_subspace(signals, K, length), n=2 * length, dim=1)
    null = length - spectra.abs().square().sum(dim=2)
    return torch.fft.rfft(null, norm="forward")[:, :length]


def _check_points(points: object, length: int) -> None:
    if expect.count("points", points) < 2 * length:
        raise expect.InputError(f"expected at least {2 * length} points for window_length {length}, got {points}")


def _on_grid(polynomial: Complex[torch.Tensor, "batch rows"], points: int) -> Float[torch.Tensor, "batch points"]:
    """c₀ + 2 Re Σ_k c_k e^{2πifk} on the frequency grid, by one Fourier transform."""
    shift = 1.0 - 2.0 * (torch.arange(polynomial.shape[1], device=polynomial.device) % 2)  # the grid begins at −1/2
    return torch.fft.hfft(polynomial.conj() * shift, n=points)


def _newton(
    polynomial: Complex[torch.Tensor, "batch rows"],
    grid: Float[torch.Tensor, "batch lines"],
    offset: Float[torch.Tensor, "batch lines"],
    step: float,
) -> Float[torch.Tensor, "batch lines"]:
    """Minima of the null spectrum near grid points that are below their neighbours a step away, from an offset on."""
    k = torch.arange(polynomial.shape[1], dtype=torch.float64, device=grid.device)
    derivatives = torch.stack([2j * k * polynomial, -2 * k.square() * polynomial], dim=2)  # with respect to 2πf
    f, least, most = grid + offset, grid - step, grid + step
    for _ in range(NEWTON_STEPS):
        phases = torch.polar(torch.ones_like(k).expand(*f.shape, -1), 2 * math.pi * k * f[..., None])
        slope, bend = (phases @ derivatives).real.unbind(dim=2)
        least, most = torch.where(slope < 0, f, least), torch.where(slope < 0, most, f)
        newton = f - slope / (2 * math.pi * bend)
        # where it leaves the interval that holds the minimum, that interval is halved instead
        moved = torch.where((newton >= least) & (newton <= most), newton, (least + most) / 2)
        done = bool(((moved - f).abs() < CLOSE).all())
        f = moved
        if done:
            break
    return f


def _roots(coefficients: Complex[torch.Tensor, "batch terms"]) -> Complex[torch.Tensor, "batch roots"]:
    """All roots of polynomials, the highest power's coefficient first: eigenvalues of their companion matrices."""
    least = torch.finfo(torch.float64).eps * coefficients.abs().amax(dim=1, keepdim=True)
    leading = coefficients[:, :1]
    leading = torch.where(leading.abs() < least, least.to(leading.dtype), leading)  # far away instead of at infinity
    companion = torch.diag_embed(torch.ones_like(coefficients[:, 2:]), offset=-1)
    companion[:, 0] = -coefficients[:, 1:] / leading
    return torch.linalg.eigvals(companion)


def _taken(
    roots: Complex[torch.Tensor, "batch roots"], distance: Float[torch.Tensor, "batch roots"]
) -> tuple[Complex[torch.Tensor, "batch 1"], Complex[torch.Tensor, "batch rest"]]:
    """The root at the least distance, and the other roots."""
    place = distance.argmin(dim=1, keepdim=True)
    rest = torch.ones_like(distance, dtype=torch.bool).scatter(1, place, False)
    return roots.gather(1, place), roots[rest].reshape(len(roots), -1)
