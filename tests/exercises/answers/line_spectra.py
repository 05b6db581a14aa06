"""Lab 12: answers that say nothing, and right answers written in other ways, and nearly right ones."""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

EVASIVE = {
    "noisy_lines": [lambda f, a, noise, _: noise, lambda f, a, noise, _: 0 * noise,
                    lambda f, a, noise, _: torch.ones_like(noise)],
    "periodogram": [lambda signals, points: torch.zeros(len(signals), points),
                    lambda signals, points: torch.ones(len(signals), points), lambda signals, _: signals.abs()],
    "covariance": [lambda _, window: torch.eye(window) + 0j, lambda _, window: torch.zeros(window, window) + 0j,
                   lambda signal, _: signal],
    "music_spectrum": [lambda R, _, points: torch.ones(points), lambda R, _, points: torch.zeros(points),
                       lambda R, *_: R],
    "esprit": [lambda R, lines: torch.zeros(lines), lambda R, lines: torch.full((lines,), 0.2), lambda R, _: R],
    "representation": [lambda f, samples, points: torch.zeros(len(f), points),
                       lambda f, samples, points: torch.ones(len(f), points), lambda f, *_: f],
    "peaks": [lambda spectrum, lines: torch.zeros(lines), lambda spectrum, lines: torch.full((lines,), -0.5),
              lambda spectrum, _: spectrum],
    "false_negative_rate": [lambda *_: 0.5, lambda *_: torch.tensor(0.0), lambda *_: 1.0],
}  # fmt: skip


def _lines_by_loops(frequencies, amplitudes, noise, snr_db):
    rows = []
    for fs, amps, z in zip(frequencies, amplitudes, noise, strict=True):
        s = sum(a * torch.exp(2j * np.pi * f * torch.arange(len(z))) for f, a in zip(fs, amps, strict=True))
        z = z * s.norm() / z.norm() * 10 ** (-snr_db / 20)
        rows.append(s + z)
    return torch.stack(rows)


def _lines_by_matrix_product(frequencies, amplitudes, noise, snr_db):
    waves = torch.polar(torch.ones(()), 2 * math.pi * frequencies[..., None] * torch.arange(noise.shape[-1]))
    s = torch.einsum("bl,bln->bn", amplitudes, waves)
    power = s.abs().pow(2).mean(1) / 10 ** (snr_db / 10)
    return s + noise * torch.sqrt(power / noise.abs().pow(2).mean(1))[:, None]


def _lines_by_numpy(frequencies, amplitudes, noise, snr_db):
    n, f, a, z = np.arange(noise.shape[1]), frequencies.numpy(), amplitudes.numpy(), noise.numpy()
    s = (a[:, :, None] * np.exp(2j * np.pi * f[:, :, None] * n)).sum(1)
    ratio = np.sum(np.abs(s) ** 2, 1, keepdims=True) / np.sum(np.abs(z) ** 2, 1, keepdims=True)
    return torch.from_numpy(s + z * np.sqrt(ratio * 10 ** (-snr_db / 10)))


def _spectrum_by_matrix(signals, points):
    f = torch.linspace(-0.5, 0.5, points + 1)[:-1]
    waves = torch.exp(-2j * torch.pi * torch.arange(signals.shape[1])[:, None] * f)
    return (signals @ waves / signals.shape[1]).abs() ** 2


def _spectrum_by_modulation(signals, points):
    """Multiplied by (−1)^n, frequency −1/2 comes first."""
    t = torch.fft.fft(signals * (-1.0) ** torch.arange(signals.shape[1]), points)
    return (t * t.conj()).real / signals.shape[1] ** 2


def _spectrum_by_numpy(signals, points):
    t = np.fft.fftshift(np.fft.fft(signals.numpy(), points, axis=1), axes=1)
    return torch.tensor(np.abs(t / signals.shape[1]) ** 2)


def _spectrum_by_loops(signals, points):
    n = torch.arange(signals.shape[1])
    rows = [
        [(y * torch.exp(-2j * torch.pi * (k / points - 0.5) * n)).mean().abs().item() ** 2 for k in range(points)]
        for y in signals
    ]
    return torch.tensor(rows)


def _spectrum_by_roll(signals, points):
    padded = F.pad(signals, (0, points - signals.shape[1]))
    t = torch.roll(torch.fft.fft(padded, norm="forward"), points // 2, dims=-1) * points / signals.shape[1]
    return t.real**2 + t.imag**2


def _covariance_by_loops(signal, window):
    R = torch.zeros(window, window, dtype=signal.dtype)
    count = len(signal) - window + 1
    for m in range(count):
        x = signal[m : m + window]
        b = x.flip(0).conj()
        R += (torch.outer(x, x.conj()) + torch.outer(b, b.conj())) / (2 * count)
    return R


def _covariance_by_unfold(signal, window):
    x = signal.unfold(0, window, 1)
    x = torch.cat([x, x.flip(1).conj()])
    return x.T @ x.conj() / len(x)


def _covariance_by_exchange(signal, window):
    J = torch.eye(window).flip(0).to(signal.dtype)
    x = torch.stack([signal[k : k + len(signal) - window + 1] for k in range(window)])
    R = torch.einsum("jm,km->jk", x, x.conj()) / x.shape[1]
    return 0.5 * (R + J @ R.conj() @ J)


def _covariance_by_numpy(signal, window):
    x = np.lib.stride_tricks.sliding_window_view(signal.numpy(), window).T
    R = x @ x.conj().T / x.shape[1]
    return torch.from_numpy((R + R[::-1, ::-1].conj()) / 2)


def _music_by_svd(covariance, lines, points):
    noise = torch.linalg.svd(covariance)[0][:, lines:]
    a = torch.exp(2j * torch.pi * torch.outer(torch.arange(len(noise)), torch.arange(points) / points - 0.5))
    return 1 / torch.linalg.vector_norm(noise.conj().T @ a, dim=0) ** 2


def _music_by_signal_subspace(covariance, lines, points):
    E = torch.linalg.eigh(covariance).eigenvectors[:, -lines:]
    a = torch.exp(2j * torch.pi * torch.outer(torch.arange(len(E)), torch.arange(points) / points - 0.5))
    return 1 / (len(E) - (E.mH @ a).abs().square().sum(0))


def _music_by_loops(covariance, lines, points):
    E = torch.linalg.eigh(covariance)[1][:, : len(covariance) - lines].to(torch.complex128)
    n, Q = torch.arange(len(E)), []
    for k in range(points):
        a = torch.exp(2j * torch.pi * (-0.5 + k / points) * n).to(torch.complex128)
        Q.append(1 / (a.conj() @ E @ E.conj().T @ a).real)
    return torch.stack(Q)


def _music_by_transforms(covariance, lines, points):
    E = torch.linalg.eigh(covariance)[1][:, :-lines]
    t = torch.fft.fft(E.mT * (-1.0) ** torch.arange(len(E)), n=points) if points % 2 == 0 else None
    if t is None:
        return _music_by_svd(covariance, lines, points)
    return 1 / t.abs().square().sum(0)


def _music_by_numpy(covariance, lines, points):
    _, E = np.linalg.eigh(covariance.numpy().astype(complex))
    a = np.exp(2j * np.pi * np.arange(len(E))[:, None] * (np.arange(points) / points - 0.5))
    return torch.from_numpy(1 / np.sum(np.abs(E[:, :-lines].conj().T @ a) ** 2, axis=0))


def _esprit_by_pinv(covariance, lines):
    E = torch.linalg.svd(covariance)[0][:, :lines]
    z = torch.linalg.eig(torch.linalg.pinv(E[:-1]) @ E[1:]).eigenvalues
    return torch.sort(torch.angle(z) / (2 * math.pi))[0]


def _esprit_by_normal_equations(covariance, lines):
    E = torch.linalg.eigh(covariance)[1][:, -lines:]
    psi = torch.linalg.solve(E[:-1].mH @ E[:-1], E[:-1].mH @ E[1:])
    return torch.log(torch.linalg.eigvals(psi)).imag.sort()[0] / 2 / torch.pi


def _esprit_backwards(covariance, lines):
    E = torch.linalg.eigh(covariance)[1][:, -lines:]
    psi = torch.linalg.lstsq(E[1:], E[:-1]).solution
    return (-torch.linalg.eigvals(psi).angle() / (2 * torch.pi)).sort().values


def _esprit_by_numpy(covariance, lines):
    values, E = np.linalg.eigh(covariance.numpy())
    E = E[:, np.argsort(values)[::-1][:lines]]
    psi = np.linalg.lstsq(E[:-1], E[1:], rcond=None)[0]
    return torch.from_numpy(np.sort(np.angle(np.linalg.eigvals(psi)) / (2 * np.pi)))


def _esprit_in_double_precision(covariance, lines):
    return _esprit_by_pinv(covariance.to(torch.complex128), lines)


def _picture_by_loops(frequencies, samples, points):
    r = torch.zeros(len(frequencies), points)
    for row, fs in zip(r, frequencies, strict=True):
        for f in fs[~fs.isnan()]:
            d = (torch.arange(points) / points - 0.5 - f).abs()
            row += torch.exp(-((torch.minimum(d, 1 - d) * samples / 0.3) ** 2))
    return r


def _picture_of_three_circles(frequencies, samples, points):
    """Each bump, and its copies a turn before and after: a wide bump would count twice, these do not."""
    d = torch.arange(points)[None, :, None] / points - 0.5 - frequencies[:, None, :]
    w = 0.3 / samples
    return sum(torch.nan_to_num(torch.exp(-(((d + k) / w) ** 2)), 0).sum(2) for k in (-1, 0, 1))


def _picture_by_remainder(frequencies, samples, points):
    u = torch.linspace(-0.5, 0.5 - 1 / points, points)
    d = torch.remainder(u - frequencies.unsqueeze(-1) + 0.5, 1) - 0.5
    bumps = torch.exp(-(d**2) / (0.3 / samples) ** 2)
    return torch.where(frequencies.isnan()[..., None], 0, bumps).sum(dim=1)


def _picture_by_numpy(frequencies, samples, points):
    d = np.arange(points) / points - 0.5 - frequencies.numpy()[:, :, None].astype(float)
    d = np.minimum(np.abs(d), 1 - np.abs(d))
    return torch.from_numpy(np.nansum(np.exp(-((d / (0.3 / samples)) ** 2)), axis=1))


def _picture_by_angles(frequencies, samples, points):
    u = torch.arange(points) / points - 0.5
    d = torch.angle(torch.exp(2j * torch.pi * (u - frequencies[..., None]))) / (2 * torch.pi)
    return torch.exp(-((d * samples / 0.3) ** 2)).nan_to_num(0).sum(1)


def _peaks_by_loops(spectrum, lines):
    s, n = spectrum.tolist(), len(spectrum)
    maxima = [k for k in range(n) if s[k] > s[k - 1] and s[k] > s[(k + 1) % n]]
    maxima = sorted(maxima, key=lambda k: s[k], reverse=True)[:lines]
    found = []
    for k in maxima:
        a, b, c = s[k - 1], s[k], s[(k + 1) % n]
        f = -0.5 + (k + 0.5 * (a - c) / (a - 2 * b + c)) / n
        found.append(f + 1 if f < -0.5 else f)
    return torch.tensor(sorted(found))


def _peaks_by_scipy(spectrum, lines):
    from scipy.signal import find_peaks

    n = len(spectrum)
    around = np.concatenate([spectrum, spectrum, spectrum])
    k, _ = find_peaks(around)
    k = k[(k >= n) & (k < 2 * n)]
    k = k[np.argsort(around[k])[-lines:]]
    top = k + (around[k + 1] - around[k - 1]) / (2 * (2 * around[k] - around[k - 1] - around[k + 1]))
    return torch.from_numpy(np.sort((top / n) % 1 - 0.5)).float()


def _peaks_by_polyfit(spectrum, lines):
    n, s = len(spectrum), spectrum.double().numpy()
    maxima = np.flatnonzero((s > np.roll(s, 1)) & (s > np.roll(s, -1)))
    found = []
    for k in maxima[np.argsort(-s[maxima])][:lines]:
        p = np.polyfit([-1, 0, 1], s[[(k - 1) % n, k, (k + 1) % n]], 2)
        found.append((k - p[1] / (2 * p[0])) / n % 1 - 0.5)
    return torch.tensor(sorted(found), dtype=torch.float64)


def _peaks_by_padding(spectrum, lines):
    around = torch.cat([spectrum[-1:], spectrum, spectrum[:1]])
    a, b, c = around[:-2], around[1:-1], around[2:]
    height = torch.where((b > a) & (b >= c), b, -1e9)
    k = height.argsort(descending=True)[:lines]
    shift = 0.5 * (c[k] - a[k]) / (2 * b[k] - a[k] - c[k])
    f = (k + shift) / len(spectrum)
    return (f % 1 - 0.5).sort()[0]


def _missed_by_loops(estimates, truth, samples):
    rates = []
    for found, lines in zip(estimates.tolist(), truth.tolist(), strict=True):
        lines = [f for f in lines if not math.isnan(f)]
        found = [f for f in found if not math.isnan(f)]
        missed = 0
        for f in lines:
            distances = [min(abs(f - e), 1 - abs(f - e)) for e in found]
            missed += not distances or min(distances) > 1 / (2 * samples)
        rates.append(missed / len(lines))
    return sum(rates) / len(rates)


def _missed_by_any(estimates, truth, samples):
    d = (truth.unsqueeze(2) - estimates.unsqueeze(1)).abs()
    near = torch.minimum(d, 1 - d) <= 1 / (2 * samples)  # with NaN it is False
    there = torch.isfinite(truth)
    return 1 - ((near.any(-1) & there).sum(-1) / there.sum(-1)).mean()


def _missed_by_numpy(estimates, truth, samples):
    d = np.abs(truth.numpy()[:, :, None] - estimates.numpy()[:, None, :])
    d = np.nan_to_num(np.minimum(d, 1 - d), nan=np.inf).min(axis=2)
    missed = np.where(np.isnan(truth.numpy()), np.nan, d > 0.5 / samples)
    return float(np.nanmean(missed, axis=1).mean())


def _missed_by_nanmean(estimates, truth, samples):
    d = truth[..., None] - estimates[:, None]
    d = (d - torch.round(d)).abs()
    nearest = torch.where(d.isnan(), 1.0, d).min(dim=2).values
    missed = (nearest > 1 / samples / 2).float()
    missed[truth.isnan()] = torch.nan
    return missed.nanmean(dim=1).mean()


def _peaks_of(mask):
    """The answer of exercise 7 of lab 12 with other maxima."""

    def answer(spectrum, lines):
        place = spectrum.masked_fill(~mask(spectrum), -torch.inf).topk(lines).indices
        a, b, c = (spectrum[(place + k) % len(spectrum)] for k in (-1, 0, 1))
        f = -0.5 + (place + (a - c) / (2 * (a - 2 * b + c))) / len(spectrum)
        return (f - (f + 0.5).floor()).sort().values

    return answer


def _maxima(s):
    return (s > s.roll(1)) & (s > s.roll(-1))


def _esprit_of(vectors):
    """ESPRIT with another signal subspace."""

    def answer(R, lines):
        U = vectors(R, lines)
        return (torch.linalg.eigvals(torch.linalg.lstsq(U[:-1], U[1:]).solution).angle() / (2 * math.pi)).sort().values

    return answer


def _rate_within(limit):
    def answer(estimates, truth, samples):
        d = truth[:, :, None] - estimates[:, None, :]
        nearest = (d - d.round()).abs().nan_to_num(torch.inf).amin(dim=2)
        there = ~truth.isnan()
        return (((nearest > limit / samples) & there).sum(dim=1) / there.sum(dim=1)).mean()

    return answer


def _bumps_of_first_rows_columns(f, samples, points):
    f = f[:, ~f[0].isnan()]
    d = -0.5 + torch.arange(points) / points - f[:, :, None]
    return torch.exp(-(((d - d.round()) * samples / 0.3) ** 2)).nansum(dim=1)


NEARLY_RIGHT = {
    "music_spectrum": [
        lambda R, lines, points, t=t: lab12_music(torch.linalg.eigh(R), lambda w, t=t: w < t * w.max(), points)
        for t in (0.1, 0.2, 0.3)
    ],
    "esprit": [
        *(_esprit_of(lambda R, _, t=t: torch.linalg.eigh(R)[1][:, (w := torch.linalg.eigvalsh(R)) > t * w.max()])
          for t in (0.1, 0.3)),
    ],
    "representation": [_bumps_of_first_rows_columns],
    "peaks": [
        *(_peaks_of(lambda s, t=t: _maxima(s) & (s > t * s.max())) for t in (0.1, 0.25, 0.5)),
        _peaks_of(lambda s: _maxima(s) & (s > 0)),
        _peaks_of(lambda s: _maxima(s.abs())),
        _peaks_of(lambda s: s == torch.nn.functional.max_pool1d(torch.cat([s[-2:], s, s[:2]])[None], 5, 1)[0]),
    ],
    "false_negative_rate": [_rate_within(limit) for limit in (0.42, 0.45, 0.55, 0.6, 0.7)],
}  # fmt: skip


def lab12_music(eigh, noise, points):
    values, vectors = eigh
    f = -0.5 + torch.arange(points) / points
    a = torch.exp(2j * math.pi * torch.arange(len(vectors))[:, None] * f)
    return 1 / (vectors[:, noise(values)].mH @ a).abs().square().sum(dim=0)


OTHER_WAYS = {
    "noisy_lines": (_lines_by_loops, _lines_by_matrix_product, _lines_by_numpy),
    "periodogram": (
        _spectrum_by_matrix, _spectrum_by_modulation, _spectrum_by_numpy, _spectrum_by_loops, _spectrum_by_roll,
    ),
    "covariance": (_covariance_by_loops, _covariance_by_unfold, _covariance_by_exchange, _covariance_by_numpy),
    "music_spectrum": (
        _music_by_svd, _music_by_signal_subspace, _music_by_loops, _music_by_transforms, _music_by_numpy,
    ),
    "esprit": (
        _esprit_by_pinv, _esprit_by_normal_equations, _esprit_backwards, _esprit_by_numpy, _esprit_in_double_precision,
    ),
    "representation": (
        _picture_by_loops, _picture_of_three_circles, _picture_by_remainder, _picture_by_numpy, _picture_by_angles,
    ),
    "peaks": (_peaks_by_loops, _peaks_by_scipy, _peaks_by_polyfit, _peaks_by_padding),
    "false_negative_rate": (_missed_by_loops, _missed_by_any, _missed_by_numpy, _missed_by_nanmean),
}  # fmt: skip
