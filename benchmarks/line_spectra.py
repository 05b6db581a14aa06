"""Module 12 side by side: MUSIC and ESPRIT for a batch of signals against a NumPy loop over the signals.

The loop is written as such code is published: the signal subspace by singular values of the forward–backward data
matrix, steering vectors on the whole grid computed once. Another one takes the eigenvectors of the covariance instead,
which is the quicker way in NumPy. How far their frequencies are from ours stands in the rows' names.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from course_lib import classical, data, physics

SIGNALS, SAMPLES, POINTS, SNR = 1000, 50, 1000, 20.0
ROWS = SAMPLES // 2
GRID = -0.5 + np.arange(POINTS) / POINTS
DELAYS = np.arange(ROWS)
STEERING = np.exp(2j * np.pi * GRID[:, None] * DELAYS)


def line_spectra(pair: Callable) -> list:
    generator = torch.Generator().manual_seed(0)
    lines = data.line_spectra(SIGNALS, generator, samples=SAMPLES)
    noisy = physics.add_noise_at_snr(lines.signals(SAMPLES, torch.complex128), SNR, generator)
    x, counts = noisy.numpy(), lines.counts
    rows = []
    for name, ours, one, basis in (
        ("MUSIC", classical.music, music, by_singular_values),
        ("MUSIC", classical.music, music, by_eigenvectors),
        ("ESPRIT", classical.esprit, esprit, by_singular_values),
        ("ESPRIT", classical.esprit, esprit, by_eigenvectors),
    ):

        def loop(one: Callable = one, basis: Callable = basis) -> list[np.ndarray]:
            return [one(signal, K, basis) for signal, K in zip(x, counts.tolist(), strict=True)]

        found = ours(noisy, counts)
        apart = max(
            np.abs((row[:K].numpy() - theirs + 0.5) % 1 - 0.5).max(initial=0)
            for row, K, theirs in zip(found, counts.tolist(), loop(), strict=True)
        )
        rows.append(
            pair(
                f"{name}, {SIGNALS} signals of {SAMPLES} samples, at most {apart:.0e} cycles/sample apart",
                lambda ours=ours: ours(noisy, counts),
                loop,
                f"numpy loop, {basis.__name__.replace('_', ' ')}",
                runs=5,
            )
        )
    return rows


def by_singular_values(x: np.ndarray) -> np.ndarray:
    H = np.lib.stride_tricks.sliding_window_view(x, SAMPLES - ROWS + 1)
    return np.linalg.svd(np.hstack([H, H[::-1].conj()]), full_matrices=False)[0]


def by_eigenvectors(x: np.ndarray) -> np.ndarray:
    H = np.lib.stride_tricks.sliding_window_view(x, SAMPLES - ROWS + 1)
    R = H @ H.conj().T
    return np.linalg.eigh(R + R[::-1, ::-1].conj())[1][:, ::-1]


def esprit(x: np.ndarray, K: int, basis: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    U = basis(x)[:, :K]
    turn = np.linalg.lstsq(U[:-1], U[1:], rcond=None)[0]
    return np.sort(np.angle(np.linalg.eigvals(turn)) / (2 * np.pi))


def music(x: np.ndarray, K: int, basis: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    noise = basis(x)[:, K:]
    null = (np.abs(STEERING.conj() @ noise) ** 2).sum(axis=1)
    before, after = np.roll(null, 1), np.roll(null, -1)
    place = np.flatnonzero((null < before) & (null <= after))
    change, bend = (after - before)[place], (after + before - 2 * null)[place]
    deepest = np.argsort(null[place] - change**2 / (8 * bend))[:K]
    f = GRID[place[deepest]] - change[deepest] / (2 * bend[deepest]) / POINTS
    P = noise @ noise.conj().T
    for _ in range(3):  # Newton's method for the least of aᴴ P a
        a = np.exp(2j * np.pi * f[:, None] * DELAYS)
        slope, Pa = 1j * DELAYS * a, a @ P.T
        first = 2 * (slope.conj() * Pa).sum(axis=1).real
        second = 2 * ((slope.conj() * (slope @ P.T)).sum(axis=1) - (DELAYS**2 * a.conj() * Pa).sum(axis=1)).real
        f = f - first / second / (2 * np.pi)
    return np.sort((f + 0.5) % 1 - 0.5)


if __name__ == "__main__":
    from run import pair

    line_spectra(pair)
