# ---
# jupyter:
#   course:
#     title: "Line spectra: frequencies closer than the Fourier transform can tell apart"
#     level: advanced
#     minutes: 100
#     needs: "complex numbers, eigenvalues; module 02 for section 5; a training loop for section 7"
# ---

# %% [markdown]
# # Line spectra: frequencies closer than the Fourier transform can tell apart
#
# {{header}}
#
# In this notebook you will
#
# - see two lines of a spectrum merge into one, and find out that neither zero padding nor a window parts them again,
# - go from autocorrelation to a subspace and from there to eigenvalues, and read exact frequencies off them,
# - measure how close each method comes to the Cramér–Rao bound, which no unbiased estimator beats,
# - put lines on a grid, and see what happens to the one that lies between its points,
# - let a network learn a representation of frequency, and look at the Fourier transforms that it has invented,
# - compare all of them from 0 to 50 dB, and find out where learning wins and where it loses.
#
# The material is the last part of deck 000, "Data-driven estimation of sinusoid frequencies" (Izacard, Mohan and Fernandez-Granda 2019).
# Such signals are met in radar, in seismics, in underwater acoustics and in MR spectroscopy.

# %%
import math

import matplotlib.pyplot as plt
import torch

from course_lib import classical, data, display, metrics, networks, physics, training
from course_lib.display import claim, method_style, play, show_figure
from course_lib.display.figures import BLACK, ORANGE

# %% [markdown]
# ## 1 · A question (5 minutes)
#
# A **line spectrum** is a sum of a few complex exponentials. With $K$ lines, frequencies $f_j$ in cycles per sample, complex amplitudes $a_j$ and
# $N$ samples,
#
# $$ s_n = \sum_{j=1}^{K} a_j \, e^{2\pi i f_j n}, \qquad n = 0, \dots, N - 1 . $$
#
# A frequency of a sampled signal is known up to whole cycles per sample, so all of them lie on a **circle**, from −½ to ½. Here are three lines.

# %%
frequencies = torch.tensor([-0.2, 0.1, 0.135], dtype=torch.float64)
amplitudes = torch.polar(torch.tensor([1.0, 1.0, 0.9], dtype=torch.float64), torch.tensor([0.0, 0.0, -2.1], dtype=torch.float64))


def signal_of(frequencies, amplitudes, samples):
    """The sum of exponentials, (1, samples)."""
    n = torch.arange(samples)
    return (amplitudes[:, None] * torch.exp(2j * math.pi * frequencies[:, None] * n)).sum(dim=0, keepdim=True)


signals = {samples: signal_of(frequencies, amplitudes, samples) for samples in (1000, 40, 20)}

# %% [markdown]
# What the Fourier transform shows of them depends on how long one listens. The deck has three pictures: infinitely many samples, 40 and 20.
# **Predict:** the two lines on the right are 0.035 apart. With 20 samples, how many peaks will be there: one or two?

# %%
my_peaks = 2  # your guess

# %%
grid = classical.frequency_grid(4000)
figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.6), sharey=True)
for ax, (samples, s) in zip(axes, signals.items(), strict=True):
    ax.plot(grid, classical.periodogram(s, points=4000)[0].sqrt(), linewidth=1.2)
    ax.vlines(frequencies, 0, amplitudes.abs(), color=ORANGE, linestyle=":", label="true lines")
    ax.set(title=f"N = {samples}", xlabel="frequency in cycles per sample")
axes[0].set_ylabel("|Fourier transform| / N")
axes[2].legend(loc="upper left", fontsize=8)
show_figure(figure, "Magnitude of the Fourier transform of three lines: needles with 1000 samples; two neighbouring peaks with 40 samples; with 20 samples one broad peak for both.")

# %%
def peaks_near(s, low, high):
    """Local maxima of the periodogram between two frequencies."""
    p = classical.periodogram(s, points=4000)[0]
    top = (p > p.roll(1)) & (p > p.roll(-1)) & (p > p.max() / 4)
    return int((top & (grid > low) & (grid < high)).sum())


print(f"you said {my_peaks}; N = 40: {peaks_near(signals[40], 0.05, 0.18)}, N = 20: {peaks_near(signals[20], 0.05, 0.18)}")

# %% [markdown]
# Nothing is missing in the twenty samples, and there is no noise. Nine real numbers made them, three for each line, and forty real numbers are there. The information
# is complete; the *picture* does not show it. This module is about better ways to look.
#
# ## 2 · What the periodogram resolves (10 minutes)
#
# The **periodogram** is the squared Fourier transform of what was heard. By hand, for one frequency at a time:

# %%
def periodogram(s, f):
    """|Σ s_n e^(−2πifn)|² / N² at each frequency of f."""
    n = torch.arange(s.shape[1])
    steering = torch.exp(-2j * math.pi * f[:, None] * n)
    return (s @ steering.mT).abs().square() / s.shape[1] ** 2


s = signals[40]
difference = (periodogram(s, grid) - classical.periodogram(s, points=4000)).abs().max().item()
claim("by hand to the library's periodogram: largest difference", difference, at_most=1e-10)

# %% [markdown]
# Listening for $N$ samples multiplies the endless signal by a rectangle, which replaces each line by a bump, the Fourier transform of the
# rectangle. Its first zero lies at $1/N$, its side lobes go on for ever. **Zero padding** draws the same curve with more points. A **window** which
# falls off smoothly lowers the side lobes, and pays with a wider bump.

# %%
narrow = classical.frequency_grid(2048) * 0.25
one = torch.ones(1, 50, dtype=torch.complex128)
figure, ax = plt.subplots(figsize=(7, 3))
for name in ("rectangular", "hann", "blackman"):
    weights = classical.WINDOWS[name](50)
    bump = periodogram(one * weights / weights.mean(), narrow)[0]
    ax.plot(50 * narrow, 10 * torch.log10(bump.clamp(min=1e-10)), label=name)
ax.set(xlabel="distance from the line, in units of 1/N", ylabel="dB", ylim=(-80, 3), title="One line through three windows, N = 50")
ax.legend(loc="upper right")
show_figure(figure, "The bump of a single line in decibels for three windows: the rectangle's is narrowest with side lobes at −13 dB, Hann's and Blackman's are twice and three times as wide with far lower side lobes.", photographic=True)

# %% [markdown]
# Does a window help to part two lines? Take two of equal strength at random places with random phases, without any noise, and count how often the two
# highest peaks are the two lines. **Predict** the share at a distance of exactly $1/N$.

# %%
def pairs(separation, count, seed, samples=50):
    """Two lines of amplitude 1, `separation`/N apart, at random places and with random phases."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(count, 1, generator=generator, dtype=torch.float64) - 0.5
    both = data.wrap(torch.cat([first, first + separation / samples], dim=1))
    phases = 2 * math.pi * torch.rand(count, 2, generator=generator, dtype=torch.float64)
    return data.LineSpectra(both, torch.polar(torch.ones_like(phases), phases))


def parted(lines, estimates, separation, samples=50):
    """The share of pairs of which each line has an estimate of its own, nearer than half the distance of the two."""
    partner = metrics.match_lines(estimates, lines.frequencies, 0.49 * separation / samples)
    return (partner >= 0).all(dim=1).double().mean().item()

# %%
separations = (0.3, 0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0)
share = {"rectangular": [], "hann": []}
for separation in separations:
    lines = pairs(separation, 300, seed=1)
    for window, found in share.items():
        estimates = classical.periodogram_frequencies(lines.signals(50), 2, points=2048, window=window)
        found.append(parted(lines, estimates, separation))
at = dict(zip(separations, share["rectangular"], strict=True))
claim("periodogram: share of pairs told apart at 0.5/N", at[0.5], at_most=0.2, source="deck 000")
claim("the same at 1.5/N", at[1.5], at_least=0.95, source="deck 000")
print(f"at 1/N: ≈ {at[1.0]:.2f}; with a Hann window at 1.5/N: ≈ {share['hann'][separations.index(1.5)]:.2f}")

# %%
figure, ax = plt.subplots(figsize=(6.5, 2.9))
for (window, found), mark in zip(share.items(), "os", strict=True):
    ax.plot(separations, found, marker=mark, label=f"{window} window")
ax.set(xlabel="distance of the two lines, in units of 1/N", ylabel="share told apart", title="No noise at all, and still they merge")
ax.legend()
show_figure(figure, "Share of pairs that the periodogram tells apart against their distance: near 0 at half of 1/N, rising through 1/N, 1 from one and a half on; the Hann window needs twice the distance.")

# %% [markdown]
# Below $1/N$ the periodogram fails more often than not, whatever the grid; at $1/N$ the phases decide. The smooth window makes it *worse*: it is a tool
# against a strong line that covers a weak one far away, not against a close pair.
#
# ## 3 · From autocorrelation to a subspace (20 minutes)
#
# Take any $L$ neighbouring samples. Of one line they are $a\,e^{2\pi i f m}$ times the **steering vector** $a(f) = (1, e^{2\pi i f}, \dots, e^{2\pi i f (L-1)})$:
# moving on in time changes a factor, never the vector. So of $K$ lines, all stretches lie in one subspace with $K$ dimensions, however many stretches there are.
# Written as the columns of a matrix they form a **Hankel matrix**, whose rank is $K$.

# %%
def hankel(s, rows):
    """Column m holds the samples m, m + 1, …, m + rows − 1 of one signal (samples,)."""
    return torch.stack([s[m : m + rows] for m in range(len(s) - rows + 1)], dim=1)


L = 10
H = hankel(signals[20][0], L)
singular = torch.linalg.svdvals(H)
print("Hankel matrix", tuple(H.shape), "from", signals[20].shape[1], "samples")
claim("fourth singular value over the first", (singular[3] / singular[0]).item(), at_most=1e-12)
claim("third over the first", (singular[2] / singular[0]).item(), at_least=1e-3)

# %% [markdown]
# Noise fills all dimensions. What averages it out is the **autocorrelation**: the covariance matrix of the stretches. With independent phases and white
# noise of standard deviation $\sigma$ in the real and in the imaginary part its expectation is
#
# $$ R = \mathbb{E}\,[h h^H] = \sum_j |a_j|^2 \, a(f_j)\, a(f_j)^H + 2\sigma^2 I . $$
#
# An eigenvector of the sum keeps its place when $2\sigma^2 I$ is added, and its eigenvalue grows by $2\sigma^2$. So $K$ eigenvalues are large; the other
# $L - K$ all equal $2\sigma^2$, and their eigenvectors, the **noise subspace**, are orthogonal to every $a(f_j)$.

# %%
noise = torch.Generator().manual_seed(3)
s = signal_of(frequencies, amplitudes, 50)[0]
sigma = 0.1
y = physics.add_gaussian_noise(s[None], sigma, noise)[0]
H = hankel(y, 25)
R = H @ H.mH / H.shape[1]
values, vectors = torch.linalg.eigh(R)  # ascending
print("the five largest, over 2σ²:", ", ".join(f"≈ {v:.1f}" for v in values.flip(0)[:5] / (2 * sigma**2)))
claim("third eigenvalue over the fourth", (values[-3] / values[-4]).item(), at_least=5)

# %% [markdown]
# **Confirm** with the library, which also reads each stretch backwards: a line read backwards and conjugated is the same line. That doubles the stretches for nothing.

# %%
claim("largest difference from the library", (classical.sample_covariance(y[None], 25, forward_backward=False)[0] - R).abs().max().item(), at_most=1e-12)
J_R_J = R.conj().flip(0, 1)
forward_backward = classical.sample_covariance(y[None], 25)[0]
claim("forward and backward, by hand to the library", (forward_backward - (R + J_R_J) / 2).abs().max().item(), at_most=1e-12)

# %% [markdown]
# **MUSIC** (Schmidt 1986) asks each frequency how far its steering vector is from orthogonal to the noise subspace $E$, and draws the reciprocal. It is no
# spectrum of power: a peak says how well a line *fits*, not how strong it is. By hand in three lines:

# %%
E = torch.linalg.eigh(forward_backward).eigenvectors[:, : 25 - 3]  # all but the three largest
f = classical.frequency_grid(1000)
steering = torch.exp(2j * math.pi * f[:, None] * torch.arange(25))
pseudo = 25 / (steering.conj() @ E).abs().square().sum(dim=1)

library = classical.music_spectrum(y[None], 3, points=1000)[0]
claim("by hand to the library's MUSIC: largest relative difference", ((pseudo - library) / library).abs().max().item(), at_most=1e-6)

# %%
in_step = amplitudes * torch.polar(torch.ones(3), torch.tensor([0.0, 0.0, 0.25])).to(amplitudes.dtype)
close = signal_of(torch.tensor([-0.2, 0.1, 0.112], dtype=torch.float64), in_step, 50)  # 0.6/N apart
y_close = physics.add_gaussian_noise(close, 0.03, noise)
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
for ax, (name, curve) in zip(axes, {"periodogram": classical.periodogram(y_close, points=1000), "MUSIC": classical.music_spectrum(y_close, 3)}.items(), strict=True):
    ax.plot(f, 10 * torch.log10(curve[0]))
    for line in (-0.2, 0.1, 0.112):
        ax.axvline(line, color=ORANGE, linestyle=":")
    ax.set(title=f"{name}, two lines 0.6/N apart", xlabel="frequency", ylabel="dB", xlim=(-0.3, 0.2))
show_figure(figure, "The same fifty noisy samples seen by the periodogram, with one bump where two lines are, and by MUSIC, with two needles there.")

# %% [markdown]
# There is a way without a spectrum at all. Take any basis $U$ of the signal subspace. Without its first row it must be what it is without its last row, each line
# turned by its own $e^{2\pi i f_j}$. So $U_{[1:]} = U_{[:-1]} \Phi$, and the **eigenvalues** of $\Phi$ are these factors: their angles are the frequencies. This is **ESPRIT** (Roy and Kailath 1989).

# %%
U = torch.linalg.eigh(forward_backward).eigenvectors[:, -3:]
Phi = torch.linalg.lstsq(U[:-1], U[1:]).solution
by_hand = torch.linalg.eigvals(Phi).angle() / (2 * math.pi)
print("ESPRIT:", ", ".join(f"≈ {v:.4f}" for v in by_hand.sort().values))
claim("by hand to the library's ESPRIT", (by_hand.sort().values - classical.esprit(y[None], 3)[0]).abs().max().item(), at_most=1e-9)

# %% [markdown]
# **root-MUSIC** finds the zeros of MUSIC's denominator, a polynomial in $e^{2\pi i f}$, instead of looking at a grid. The **matrix pencil** (Hua and Sarkar 1990) works on the Hankel matrix
# itself, without the covariance. Without noise all four are exact, and there is no limit of resolution. **Predict** their error for ten lines, the closest of them $1/N$ apart.

# %%
SUBSPACE = {"music": classical.music, "root_music": classical.root_music, "esprit": classical.esprit, "matrix_pencil": classical.matrix_pencil}
ten = data.line_spectra(100, torch.Generator().manual_seed(4), least_lines=10)
for name, method in SUBSPACE.items():
    error = data.wrap(method(ten.signals(50, torch.complex128), 10) - ten.frequencies).abs().max().item()
    claim(f"{display.METHODS[name].label}: largest error, ten lines without noise", error, at_most=1e-6, source="deck 000")

# %%
half = pairs(0.05, 200, seed=5)  # a twentieth of 1/N
error = data.wrap(classical.esprit(half.signals(50, torch.complex128), 2) - half.frequencies.sort(dim=1).values).abs().max().item()
claim("ESPRIT, two lines 0.05/N apart: largest error", error, at_most=1e-6)

# %% [markdown]
# **Move the sliders.** Two lines of the same strength at 20 dB: how far apart must they be for the periodogram, and how far for MUSIC?

# %%
def pair_at(separation, snr_db):
    """Fifty noisy samples of two lines about frequency 0; the noise is always the same but for its size."""
    both = torch.tensor([-0.5, 0.5], dtype=torch.float64) * separation / 50
    in_step = torch.exp(-2j * math.pi * both * 24.5)  # in the middle of the samples: then a pair is hardest to part
    clean = signal_of(both, in_step, 50)
    return both, physics.add_noise_at_snr(clean, snr_db, torch.Generator().manual_seed(6))


# %%
play_figure, play_ax = plt.subplots(figsize=(7, 3.2))
play_zoom = f.abs() <= 0.1
play_curves = {name: play_ax.plot(f[play_zoom], f[play_zoom], **method_style(name) | {"marker": ""})[0] for name in ("periodogram", "music")}
play_truth = [play_ax.axvline(0, color=ORANGE, linestyle=":") for _ in range(2)]
play_ax.set(xlabel="frequency in cycles per sample", ylabel="dB below the highest", ylim=(-40, 2))
play_ax.legend(loc="upper right")


def draw(separation, snr_db):
    both, y = pair_at(separation, snr_db)
    spectra = {"periodogram": classical.periodogram(y, points=1000)[0], "music": classical.music_spectrum(y, 2)[0]}
    for name, curve in spectra.items():
        play_curves[name].set_ydata(10 * torch.log10(curve / curve[play_zoom].max())[play_zoom])
    for line, place in zip(play_truth, both, strict=True):
        line.set_xdata([place, place])
    error = 50 * (classical.esprit(y, 2)[0] - both).abs().max().item()
    play_ax.set_title(f"{separation:.2f}/N apart, {snr_db:.0f} dB: ESPRIT is off by at most {error:.2f}/N")
    return f"Periodogram and MUSIC of two lines {separation:.2f}/N apart at {snr_db:.0f} dB, the true lines dotted; ESPRIT is off by at most ≈ {error:.2f}/N."


show_figure(play_figure, draw(0.8, 20))

# %% tags=["nbval-ignore-output"]
from ipywidgets import FloatSlider

player = play(
    play_figure,
    draw,
    separation=FloatSlider(0.8, min=0.1, max=2.5, step=0.05, description="separation in 1/N"),
    snr_db=FloatSlider(20, min=-5, max=50, step=1, description="SNR in dB"),
)

# %% [markdown]
# Noise ends what algebra promises. Below $1/N$ MUSIC needs a high signal-to-noise ratio: halve the distance, and see how many more decibels it wants.
#
# ## 4 · How exactly can a frequency be known? (10 minutes)
#
# The **Cramér–Rao bound** answers without naming a method: with noise $\sigma$ in each of the two parts, no unbiased estimator of the frequency of one line has a variance below
#
# $$ \operatorname{var}(\hat f) \ge \frac{6 \cdot 2\sigma^2}{(2\pi)^2 \, |a|^2 \, N (N^2 - 1)} . $$
#
# It falls with the *third* power of $N$: more samples average noise, and they also turn further. **Predict** the bound at 30 dB for $N = 50$, as a fraction of $1/N$: a tenth, a hundredth or less?

# %%
N = 50
sigma_30 = 10 ** (-30 / 20) / math.sqrt(2)  # |a| = 1: a thousandth of the power, in two parts
by_hand = math.sqrt(6 * 2 * sigma_30**2 / ((2 * math.pi) ** 2 * N * (N**2 - 1)))
one_line = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.complex128)
claim("closed form over the library's bound", by_hand / classical.cramer_rao_bound(*one_line, sigma_30, N).item(), at_least=1 - 1e-9, at_most=1 + 1e-9)
print(f"the bound: 1/N divided by {1 / N / by_hand:.0f}")

# %% [markdown]
# For several lines the bound comes from a matrix, because every line makes the others less certain (Stoica and Nehorai 1989). Who reaches it? A hundred signals at each level of noise; the
# **maximum-likelihood** estimator is nonlinear least squares, started at ESPRIT's answer.

# %%
def root_mean_square(method, lines, snr_db, seed=7):
    """RMSE of a method over the bound; `snr_db` is that of one line."""
    sigma = 10 ** (-snr_db / 20) / math.sqrt(2)
    y = physics.add_gaussian_noise(lines.signals(N, torch.complex128), sigma, torch.Generator().manual_seed(seed))
    errors = data.wrap(method(y, lines.frequencies.shape[1]) - lines.frequencies.sort(dim=1).values)
    bound = classical.cramer_rao_bound(lines.frequencies, lines.amplitudes, sigma, N)
    return (errors.square().mean() / bound.square().mean()).sqrt().item()


def maximum_likelihood(y, count):
    return classical.refine_lines(y, classical.esprit(y, count))


estimators = {"periodogram": classical.periodogram_frequencies, **SUBSPACE, "maximum_likelihood": maximum_likelihood}
first = 0.5 * torch.rand(100, 1, generator=torch.Generator().manual_seed(8), dtype=torch.float64) - 0.4
cases = {
    "one line": data.LineSpectra(first, torch.ones(100, 1, dtype=torch.complex128)),
    "two lines, 3/N apart": data.LineSpectra(torch.cat([first, first + 3 / N], dim=1), torch.ones(100, 2, dtype=torch.complex128)),
}

# %%
levels = (-8, -4, 0, 5, 10, 20, 30, 40)
ratios = {case: {name: [root_mean_square(m, lines, db) for db in levels] for name, m in estimators.items()} for case, lines in cases.items()}
for case, found in ratios.items():
    for name in (*SUBSPACE, "maximum_likelihood"):
        claim(f"{case}, 30 dB, {display.METHODS[name].label}: RMSE over the bound", found[name][levels.index(30)], at_least=0.9, at_most=1.3)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True)
for ax, (case, found) in zip(axes, ratios.items(), strict=True):
    for name, ratio in found.items():
        ax.semilogy(levels, ratio, **method_style(name))
    ax.axhline(1, color=BLACK, linewidth=0.8)
    ax.set(title=case, xlabel="SNR of a line in dB")
axes[0].set_ylabel("RMSE over the bound")
axes[0].legend(fontsize=8)
show_figure(figure, "Root mean square error over the Cramér–Rao bound against SNR, for one and for two lines: close to 1 for the subspace methods from 0 dB on, and far above it below; the periodogram leaves the bound for two lines at high SNR.", photographic=True)

# %% [markdown]
# Three things to see. The subspace methods stay within a third of the bound, and maximum likelihood sits on it. Below some SNR all leave it at once: a **threshold**, where an error is no longer a small shift but
# another peak. And with a second line the periodogram leaves it at *high* SNR: its neighbour's side lobe moves the peak, a bias that no decibel removes.
#
# ## 5 · Sparse, on a grid and off it (10 minutes)
#
# Few lines: that is sparsity, as in module 02. Put a dictionary of exponentials on a grid into the columns of $A$ and solve $\min_x \tfrac12 \|y - Ax\|^2 + \lambda \|x\|_1$. By hand with FISTA:

# %%
def lasso(y, A, weight, iterations=4000):
    """FISTA for complex x: a gradient step, then every entry's magnitude shrinks by step · weight."""
    step = 1 / torch.linalg.matrix_norm(A, 2) ** 2
    x = momentum = torch.zeros(A.shape[1], dtype=A.dtype)
    t = 1.0
    for _ in range(iterations):
        z = momentum + step * (A.mH @ (y - A @ momentum))
        new = z * (1 - step * weight / z.abs().clamp(min=1e-30)).clamp(min=0)
        faster = (1 + math.sqrt(1 + 4 * t**2)) / 2
        momentum = new + (t - 1) / faster * (new - x)
        x, t = new, faster
    return x


coarse = classical.frequency_grid(100)
A = torch.exp(2j * math.pi * torch.arange(50)[:, None] * coarse)
on_grid, between = torch.tensor([[0.1]], dtype=torch.float64), torch.tensor([[0.105]], dtype=torch.float64)

# %% [markdown]
# One line, no noise. In the first signal it lies on a grid point, in the second half-way between two. **Predict:** how many entries of $x$ differ from zero?

# %%
supports = {}
for name, place in {"on a grid point": on_grid, "half-way between": between}.items():
    y = signal_of(place[0], torch.ones(1, dtype=torch.complex128), 50)
    supports[name] = x = lasso(y[0], A, weight=1.0)
    library = classical.lasso_spectrum(y, 1.0, points=100, tolerance=1e-9)[0]
    print(f"{name}: {int((x.abs() > 1e-3).sum())} entries")
    claim("largest difference from the library's solver", (x - library).abs().max().item(), at_most=1e-3)
claim("entries for one line on the grid", float((supports["on a grid point"].abs() > 1e-3).sum()), at_most=1)
claim("entries for one line between two points", float((supports["half-way between"].abs() > 1e-3).sum()), at_least=2, source="deck 000")

# %% [markdown]
# The world is **off the grid**. A finer grid makes the error smaller and the columns of $A$ more alike; a line becomes a cluster, and someone has to say what is one line. The way out is to let the lines lie anywhere: minimise the
# same objective over *measures* on the circle instead of vectors (the **Beurling lasso**, or atomic norm). It is still convex, and its solution is still a few lines. Whether an answer is the minimum can be read
# off its **dual certificate** $\eta(f) = \sum_n r_n e^{-2\pi i f n}$, the correlation of the residual $r$ with every line: nowhere above $\lambda$ in magnitude, and equal to it at the lines.

# %%
three = signal_of(frequencies, amplitudes, 50)
weight = 1.0
found = classical.beurling_lasso(three, weight)
residual = three - found.signals(50, torch.complex128)
eta = 50 * periodogram(residual, grid)[0].sqrt()
claim("largest |η| over λ", (eta.max() / weight).item(), at_most=1 + 1e-4)
claim("and the largest error of a line, in 1/N", 50 * data.wrap(found.frequencies[0] - frequencies).abs().max().item(), at_most=0.02)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 2.8))
axes[0].stem(coarse, supports["half-way between"].abs(), markerfmt=".", basefmt=" ", label="ℓ1 on a grid of 100")
axes[0].axvline(0.105, color=ORANGE, linestyle=":", label="the line")
axes[0].set(xlim=(0.06, 0.15), xlabel="frequency", ylabel="|x|", title="A line between two grid points becomes two, and dust")
axes[0].legend(fontsize=8)
axes[1].plot(grid, eta / weight)
axes[1].vlines(found.frequencies[0], 0, 1, color=ORANGE, linestyle=":")
axes[1].set(xlabel="frequency", ylabel="|η(f)| / λ", title="Off the grid: the certificate touches 1 at the lines")
show_figure(figure, "Left, two neighbouring grid points share one line that lies between them. Right, the dual certificate over frequency: at most 1 everywhere, and 1 at the three lines found without a grid.")

# %% [markdown]
# Sparse methods need no number of lines, only $\lambda$, which the noise level gives. But they shrink, and shrinking costs resolution: two lines of opposite phase closer than about $2/N$ explain so little alone that ℓ1 prefers fewer, even without noise. MUSIC has no such limit.
#
# ## 6 · How many lines? (7 minutes)
#
# MUSIC and ESPRIT must be told $K$. The eigenvalues of section 3 tell it when the lines stand out; **AIC** and **MDL** weigh the likelihood that the smallest eigenvalues are all one noise level against the number of
# parameters, **SORTE** looks for the last uneven gap. From here on, the signals are those of the paper: fifty samples, one to ten lines at least $1/N$ apart and mostly near each other, amplitudes $0.1 + |w|$ with $w$ normal.

# %%
SNRS = (0, 5, 10, 20, 30, 50)
population = data.line_spectra(150, torch.Generator().manual_seed(120))
truth = population.frequencies.float()
noise = torch.Generator().manual_seed(121)
noisy = {db: physics.add_noise_at_snr(population.signals(50), db, noise) for db in SNRS}
ORDERS = {"AIC": classical.aic, "MDL": classical.mdl, "SORTE": classical.sorte}
accuracy = {
    name: {db: (order(y, most=10) == population.counts).double().mean().item() for db, y in noisy.items()} for name, order in ORDERS.items()
}


def print_rows(rows, digits):
    """A line for each method, with a number for each level of noise."""
    print(f"{'':<22}", ", ".join(f"{db} dB" for db in SNRS))
    for name, by_level in rows.items():
        print(f"{name:<22}", "  ".join(f"≈ {value:.{digits}f}" for value in by_level.values()))


print_rows(accuracy, 2)
claim("the best of them at 0 dB counts right in", max(rates[0] for rates in accuracy.values()), at_most=0.3)
claim("MDL at 50 dB", accuracy["MDL"][50], at_least=0.9)

# %% [markdown]
# At high SNR counting is solved; at 0 dB it is little better than guessing one number of ten. How many lines there *are* and how many can be *seen* are two questions: a line of amplitude 0.1 under noise of the strength of all lines together is there all the same.

# %% [markdown]
# ## 7 · Learning a representation of frequency (20 minutes)
#
# Deck 000's idea: let a network *draw* the answer. Its output is a curve over a grid of 1000 frequencies, trained to have a bump at every line, whatever the amplitudes:
#
# $$ \mathrm{label}(f) = \sum_j e^{-|f - f_j|^2 / w^2}, \qquad w = 0.3/N, $$
#
# with the distance on the circle. (The published code means to wrap around, but hands `np.minimum` a third array; NumPy takes that for the place to write to, and one of the two sides is lost.)

# %%
from course_lib.training.frequency_labels import frequency_labels

example = 3
label = frequency_labels(truth[example : example + 1], 50)[0]
f = classical.frequency_grid(1000)
half_a_bump = frequency_labels(torch.tensor([[0.4999]]), 50)[0]
claim("a line at 0.4999 is seen at the other end of the grid, at −0.5", half_a_bump[0].item(), at_least=0.9)

# %%
figure, axes = plt.subplots(2, 1, figsize=(8, 3.6), sharex=True)
axes[0].plot(f, classical.periodogram(noisy[20][example : example + 1], points=1000)[0])
axes[0].set(ylabel="periodogram", title=f"A signal with {int(population.counts[example])} lines at 20 dB, and what the network is to draw")
axes[1].plot(f, label, color=BLACK)
axes[1].set(ylabel="label", xlabel="frequency in cycles per sample")
show_figure(figure, "Above, the periodogram of a signal with several lines of very different strength; below, the label, with bumps of one height at each line.")

# %% [markdown]
# **DeepFreq**'s frequency-representation module has three parts: a linear transform from the samples to 125 positions on the circle with several channels each, twenty circular convolutions with batch normalisation, and a transposed convolution that draws.
# In the paper the first layer is *free*: any linear map, which has to find out by itself that signals have a spectrum. But there is a symmetry to build in. Move all lines by the same step: the signal is multiplied by an exponential, and the right
# answer turns around the circle. A layer that turns with it is a **windowed Fourier transform** with learned windows, and circular convolutions turn too. **Predict:** which of the two learns faster, and do both end at the same loss after 200 steps?

# %%
from functools import partial

from course_lib.training.recipes import line_spectra as recipes


def small(transform):
    """A recipe for a small representation module, with another first layer."""
    network = partial(networks.FrequencyRepresentation, channels=16, layers=4, transform=transform)
    return training.Recipe(
        name=f"small_{transform}",
        network=network,
        batch=recipes.batch,
        loss=recipes.distance_of_curves,
        validate=lambda network: {},
        steps=200,
        batch_size=32,
        learning_rate=1e-2,
    )


runs = {transform: training.train(small(transform)) for transform in ("windowed", "free")}

# %%
figure, ax = plt.subplots(figsize=(6.5, 3))
for (transform, run), style in zip(runs.items(), ("-", "--"), strict=True):
    smooth = torch.tensor(run.history.losses).unfold(0, 10, 1).mean(dim=1)
    ax.semilogy(range(10, 201), smooth, linestyle=style, label=f"{transform}: {sum(p.numel() for p in run.network.parameters()):,} parameters")
ax.set(xlabel="step of 32 new signals", ylabel="loss (mean of ten steps)", title="The same network but for its first layer")
ax.legend()
show_figure(figure, "Loss against step for the two first layers: with learned windows and a Fourier transform it falls quickly, with a free map it stays on a plateau.")
ends = {transform: sum(run.history.losses[-50:]) / 50 for transform, run in runs.items()}
claim("loss with the free layer over that with windows", ends["free"] / ends["windowed"], at_least=1.3)

# %% [markdown]
# The free layer has many times the parameters and learns each frequency on its own. **Confirm** the symmetry: multiply a signal by $e^{2\pi i \cdot 3 n/125}$, and the curve must turn by 24 of its 1000 points.

# %%
n = torch.arange(50)
turned = noisy[20] * torch.polar(torch.ones(50), 2 * math.pi * 3 / 125 * n)
with torch.no_grad():
    for transform, run in runs.items():
        here, there = run.network(noisy[20]), run.network(turned)
        print(f"{transform}: the turned curve differs by ≈ {((there - here.roll(24, dims=1)).norm() / here.norm()).item():.1e}")
    net = runs["windowed"].network
    claim("windowed: relative difference", ((net(turned) - net(noisy[20]).roll(24, dims=1)).norm() / net(noisy[20]).norm()).item(), at_most=1e-4)

# %% [markdown]
# Now the shipped networks. All three have learned from the same 1.3 million signals, none of which was seen twice: `frequency_representation` with windows, `frequency_representation_free` as published, and **PSnet**, the earlier network with few filters, whose last layer connects everything with everything.

# %%
representations = {
    "windowed": networks.load_weights(networks.FrequencyRepresentation(), "frequency_representation"),
    "free": networks.load_weights(networks.FrequencyRepresentation(transform="free"), "frequency_representation_free"),
    "psnet": networks.load_weights(networks.PSnet(), "psnet"),
}


def missed(found):
    """The published false-negative rate in percent: true lines with no estimate within 1/(2N)."""
    return 100 * metrics.false_negative_rate(found, truth, 50).mean().item()


with torch.no_grad():
    curves = {name: {db: network(y) for db, y in noisy.items()} for name, network in representations.items()}
for name, network in representations.items():
    print(f"{name:<9} {sum(p.numel() for p in network.parameters()):>8,} parameters")
print("lines missed, in percent, with the true count:")
peaks = {name: {db: classical.spectrum_peaks(c, population.counts) for db, c in by_level.items()} for name, by_level in curves.items()}
print_rows({name: {db: missed(found) for db, found in by_level.items()} for name, by_level in peaks.items()}, 1)
behind = missed(peaks["psnet"][20]) - missed(peaks["windowed"][20])
claim("20 dB, true count: PSnet misses more than the windowed network, by", behind, at_least=2, unit="%")

# %%
figure, axes = plt.subplots(3, 1, figsize=(8, 4.6), sharex=True)
for ax, (name, by_level) in zip(axes, curves.items(), strict=True):
    ax.plot(f, by_level[10][example])
    ax.vlines(truth[example][truth[example].isfinite()], -0.1, 0, color=ORANGE)
    ax.set(ylabel=name, ylim=(-0.15, 1.2))
axes[0].set_title("Curves drawn from the same fifty samples at 10 dB; true lines marked below")
axes[2].set_xlabel("frequency in cycles per sample")
show_figure(figure, "Curves of three networks for one signal at 10 dB: sharp bumps at nearly all true lines with learned windows, similar but lower ones with the free layer, and low blurred ones from PSnet.", photographic=True)

# %% [markdown]
# **What has the free layer learned?** The deck shows the Fourier transforms of its first layer: for each channel a matrix, one row for each position, and in each row the spectrum of the filter that is applied there. Nobody has told this network what a frequency is.

# %%
filters = representations["free"].transform.filters()  # (channels, positions, samples)
spectra = torch.fft.fftshift(torch.fft.fft(filters, n=256), dim=-1).abs()
strongest = spectra.amax(dim=(1, 2)).topk(3).indices
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.4), sharey=True)
for number, (ax, channel) in enumerate(zip(axes, strongest, strict=True), start=1):
    ax.imshow(spectra[channel], aspect="auto", cmap="viridis", extent=(-0.5, 0.5, 125, 0))
    ax.set(title=f"$A_{number}$", xlabel="frequency")
axes[0].set_ylabel("position on the circle")
show_figure(figure, "Magnitude of the Fourier transforms of three channels of the learned first layer: in each a bright diagonal, one frequency for each position.", photographic=True)

# %%
def concentration(filters, width=1.5):
    """The mean share of a filter's energy within width/N of its strongest frequency."""
    power = torch.fft.fft(filters, n=1000).abs().square().flatten(0, 1)
    offset = data.wrap(torch.arange(1000) / 1000 - power.argmax(dim=1, keepdim=True) / 1000).abs()
    return ((power * (offset <= width / 50)).sum(dim=1) / power.sum(dim=1)).mean().item()


torch.manual_seed(0)
untrained = networks.FrequencyRepresentation(transform="free").transform.filters()
claim("energy of a learned filter within 1.5/N of its peak", concentration(filters), at_least=0.5, source="deck 000")
claim("the same before learning", concentration(untrained), at_most=0.3)

# %%
peak = data.wrap(spectra[strongest].argmax(dim=2) / 256 - 0.5)
steps = data.wrap(peak.diff(dim=1))
print(f"from one position to the next the peak moves by ≈ {steps.median().item() * 125:.2f}/125 (median)")


# %% [markdown]
# And the learned windows? Their Fourier transforms say what one line looks like in the channels, at each distance from it.

# %%
def mean_power(network):
    """The mean over windows of |Fourier transform|², as a share of the whole, from −½ to ½."""
    windows = torch.view_as_complex(network.transform.windows.detach())
    power = torch.fft.fftshift(torch.fft.fft(windows, n=1000), dim=1).abs().square().mean(dim=0)
    return power / power.sum()


torch.manual_seed(0)
power = {"before": mean_power(networks.FrequencyRepresentation()), "learned": mean_power(representations["windowed"])}
figure, ax = plt.subplots(figsize=(6.5, 2.8))
for (name, values), style in zip(power.items(), (":", "-"), strict=True):
    ax.semilogy(50 * f, values, linestyle=style, label=name)
ax.set(xlabel="distance from the line, in units of 1/N", ylabel="share of the power", title="What a line looks like through the windows")
ax.legend()
show_figure(figure, "Mean power of the windows' Fourier transforms on a logarithmic scale: flat before learning; afterwards a narrow peak at distance 0, little elsewhere, and a lower, broad rise at the opposite side of the circle.")
near = f.abs() <= 1 / 50
claim("power within 1/N of the line, learned", power["learned"][near].sum().item(), at_least=0.4)
claim("the same before learning", power["before"][near].sum().item(), at_most=0.1)

# %% [markdown]
# Each filter of the free layer is a stretch of a wave: a Fourier transform, learned from examples, with one frequency for each position, in order. The other network was given that, and learned only the windows: they look at each frequency as sharply as fifty samples allow, and once more, dimly, at the opposite side of the circle. Lines come in groups
# here, so that side holds mostly noise; that the network measures the noise there is a guess, and not measured.
#
# ## 8 · Counting, and who wins where (10 minutes)
#
# A second network, the **frequency-counting module**, looks at the curve and says how many bumps are lines. Then every method can answer without being told anything. Two measures, because one can be fooled:
#
# - **false negatives**, as published: the share of true lines with no estimate within $1/(2N)$. Whoever guesses more lines misses fewer.
# - **F1**: estimates and lines are paired one to one within $1/(2N)$; too many and too few both cost.
#
# **Predict:** with 0 dB, noise as strong as the signal, which share of the lines does the best method miss?

# %%
learned = {
    "psnet": networks.DeepFreq(representations["psnet"], networks.load_weights(networks.FrequencyCounting(), "psnet_counting")),
    "deepfreq": networks.deepfreq(),
}


def with_order(method):
    """A subspace method or the periodogram, with the number of lines by AIC, the best of the three below 20 dB."""
    return lambda y: method(y, classical.aic(y, most=10))


own = {
    "periodogram": with_order(classical.periodogram_frequencies),
    "music": with_order(classical.music),
    "esprit": with_order(classical.esprit),
    "sparse": classical.lasso_frequencies,
    **{name: network.frequencies for name, network in learned.items()},
}
answers = {name: {db: method(y) for db, y in noisy.items()} for name, method in own.items()}

# %%
told = {
    "periodogram": classical.periodogram_frequencies,
    "music": classical.music,
    "esprit": classical.esprit,
    **{name: network.frequencies for name, network in learned.items()},
}
oracle = {name: {db: missed(method(y, population.counts)) for db, y in noisy.items()} for name, method in told.items()}
fnr = {name: {db: missed(found) for db, found in by_level.items()} for name, by_level in answers.items()}
each_f1 = {name: {db: metrics.f1(found, truth, 50) for db, found in by_level.items()} for name, by_level in answers.items()}
right = {name: {db: metrics.count_accuracy(found, truth).mean().item() for db, found in by_level.items()} for name, by_level in answers.items()}
spurious = {
    name: {db: metrics.spurious_lines(found, truth, 50).double().mean().item() for db, found in by_level.items()} for name, by_level in answers.items()
}
distance = {name: {db: metrics.chamfer(found, truth).mean().item() for db, found in by_level.items()} for name, by_level in answers.items()}

# %%
f1_mean = {name: {db: score.mean().item() for db, score in by_level.items()} for name, by_level in each_f1.items()}
panels = {
    "% missed, own count": fnr,
    "% missed, true count": oracle,
    "F1, own count": f1_mean,
    "spurious lines a signal": spurious,
    "share of right counts": right,
    "Chamfer distance": distance,
}
figure, axes = plt.subplots(2, 3, figsize=(10.5, 5.6), sharex=True)
for ax, (title, values) in zip(axes.flat, panels.items(), strict=True):
    for name, by_level in values.items():
        ax.plot(SNRS, list(by_level.values()), **method_style(name), markersize=5)
    ax.set_title(title)
axes[0, 0].legend(fontsize=7)
axes[1, 2].set_yscale("log")
for ax in axes[1]:
    ax.set_xlabel("SNR in dB")
show_figure(figure, "Six panels against SNR for six methods: DeepFreq misses the fewest lines and has the highest F1 up to 10 dB; at high SNR the subspace methods and ℓ1 come close, and in Chamfer distance ℓ1 passes it; the periodogram stays at fifteen percent missed.", photographic=True)

# %%
print("F1, own count:")
print_rows({display.METHODS[name].label: by_level for name, by_level in f1_mean.items()}, 3)
for db, bound in zip(SNRS, (31, 18, 10, 5, 4, 4), strict=True):
    claim(f"DeepFreq with its own count misses at {db} dB", fnr["deepfreq"][db], at_most=bound, unit="%", source="deck 000")
for db in (0, 5, 10):
    rival = max((name for name in own if name not in learned), key=lambda name: f1_mean[name][db])
    margin = f1_mean["deepfreq"][db] - f1_mean[rival][db]
    claim(f"DeepFreq's F1 over the best classical method's at {db} dB", margin, at_least=0, source="deck 000")
claim("DeepFreq at 50 dB: share of right counts", right["deepfreq"][50], at_least=0.9, source="deck 000")
for name, db, published in (("periodogram", 30, 13.4), ("music", 20, 4.9), ("esprit", 20, 3.9)):
    away = abs(oracle[name][db] - published)
    claim(f"{display.METHODS[name].label}, true count, {db} dB: away from the authors' rate", away, at_most=4, unit="%")

# %% [markdown]
# Up to 10 dB learning wins over every classical method, clearly over the subspace methods and by one to three points of F1 over ℓ1, which, too, uses that there are few lines. At 10 dB one point on these 150 signals would prove little; on 400 others it was one and a half. (The last three lines compare our signals with the authors' test set: with the true count, classical methods miss about as many lines on both.) What the network knows beyond that is how such signals are *distributed*: how strong lines are, how close, how many. Its price stands in the fourth panel: at 0 dB it
# counts lines that cannot be seen, and so names about two a signal that are not there. The periodogram, which no noise level improves beyond 10 dB, is limited by its width alone.
#
# What it loses first as the noise grows are the weak lines. The same example at three levels:

# %%
figure, axes = plt.subplots(3, 1, figsize=(8, 5), sharex=True)
there = truth[example][truth[example].isfinite()]
for ax, db in zip(axes, (30, 10, 0), strict=True):
    y = noisy[db][example : example + 1]
    pseudo = classical.music_spectrum(y, len(there))[0].log10()
    found = answers["deepfreq"][db][example]
    found = found[found.isfinite()]
    ax.plot(f, pseudo / pseudo.max(), **method_style("music") | {"marker": ""})
    ax.plot(f, curves["windowed"][db][example], **method_style("deepfreq") | {"marker": ""})
    ax.vlines(there, -0.15, -0.03, color=ORANGE, label="true lines")
    ax.plot(found, torch.full_like(found, 1.15), "v", color=BLACK, label="DeepFreq's answer")
    ax.set(ylabel=f"{db} dB", ylim=(-0.2, 1.3), title=f"{db} dB: DeepFreq says {len(found)} lines, there are {len(there)}")
axes[0].legend(fontsize=8, ncols=2, loc="upper right")
axes[2].set_xlabel("frequency in cycles per sample")
show_figure(figure, "DeepFreq's curve and MUSIC's pseudo-spectrum, told the true count, at 30, 10 and 0 dB: bumps at all lines at 30 dB; at 0 dB those of weak lines are low or gone, and MUSIC has peaks where no line is.", photographic=True)

# %% [markdown]
# ## 9 · Where learning loses (8 minutes)
#
# **Exactness.** At 50 dB every line is found, and the question is how exactly. A curve on a grid of 1000 points is off by a quarter of a step in the mean, were it perfect; a parabola through three points removes that part of the error, and the network's own is left. From there least squares goes to the bound. **Predict** by how much.

# %%
y = noisy[50]
net = learned["deepfreq"]
with torch.no_grad():
    on_the_grid = classical.spectrum_peaks(net.representation(y), population.counts, interpolate=False)
ways = {
    "DeepFreq, highest grid point": on_the_grid,
    "DeepFreq, parabola": net.frequencies(y, population.counts),
    "DeepFreq, then least squares": net.frequencies(y, population.counts, refine=True),
    "ESPRIT": classical.esprit(y, population.counts),
}
median = {name: metrics.frequency_errors(found, truth, 50).nanmedian().item() for name, found in ways.items()}
for name, value in median.items():
    print(f"{name:<30} median error ≈ {value:.1e}")
claim("DeepFreq with a parabola: median error at 50 dB", median["DeepFreq, parabola"], at_most=4e-4)
claim("refined by least squares", median["DeepFreq, then least squares"], at_most=5e-5)
claim("ESPRIT", median["ESPRIT"], at_most=1e-4)

# %% [markdown]
# **Closer lines.** The network has never seen two lines nearer than $1/N$. Two of equal strength at 40 dB, half of that apart:

# %%
near = pairs(0.5, 300, seed=13)
y_near = physics.add_noise_at_snr(near.signals(50), 40, torch.Generator().manual_seed(14))
apart = {
    "ESPRIT": classical.esprit(y_near, 2),
    "DeepFreq, told that there are two": net.frequencies(y_near, 2),
    "periodogram": classical.periodogram_frequencies(y_near, 2),
}
shares = {name: parted(near, found.double(), 0.5) for name, found in apart.items()}
for name, value in shares.items():
    print(f"{name:<35} told apart: ≈ {value:.2f}")
claim("ESPRIT tells them apart more often than DeepFreq, by", shares["ESPRIT"] - shares["DeepFreq, told that there are two"], at_least=0.2)

# %% [markdown]
# **Another length.** A subspace method takes any $N$. The network was made for fifty samples, and says so; zeros at the end make forty into fifty, and a signal that it has never seen.

# %%
short = physics.add_noise_at_snr(population.signals(40), 30, torch.Generator().manual_seed(15))
try:
    net.frequencies(short)
except ValueError as error:
    print(error)
padded = torch.nn.functional.pad(short, (0, 10))
shorter = {"ESPRIT": classical.esprit(short, population.counts), "DeepFreq, padded": net.frequencies(padded, population.counts)}
for name, found in shorter.items():
    print(f"N = 40, 30 dB, {name:<17} missed: ≈ {missed(found):.1f} %")
claim("N = 40: DeepFreq misses more than ESPRIT, by", missed(shorter["DeepFreq, padded"]) - missed(shorter["ESPRIT"]), at_least=3, unit="%")

# %% [markdown]
# **How to notice.** None of this raises an alarm by itself. But the model can be asked: fit amplitudes to the frequencies that were found, and look at what is left. White noise of the expected strength is a good sign; more than that says that lines are missing or misplaced. Where the noise level is known, this test costs one least-squares
# solution, and it works for every method.

# %%
def left_over(y, found):
    """The share of each signal's energy that the lines found do not explain."""
    steering = data.exponentials(found.double(), y.shape[1]).mT
    fit = torch.linalg.pinv(steering) @ y.to(steering.dtype)[..., None]
    rest = y - (steering @ fit)[..., 0]
    return rest.abs().square().sum(dim=1) / y.abs().square().sum(dim=1)


expected = 10 ** (-30 / 10)
for name, (signals_seen, found) in {"N = 50": (noisy[30], net.frequencies(noisy[30], refine=True)), "N = 40, padded": (short, shorter["DeepFreq, padded"])}.items():
    print(f"{name:<15} energy left over, in units of the noise's: ≈ {(left_over(signals_seen, found).median() / expected).item():.1f} (median)")

# %% [markdown]
# And the limits of this notebook: the noise was white and Gaussian, and the test signals came from the distribution that the network was trained on, which is what it is best at. Signals from a spectrometer decay, and theirs are Lorentzian lines; for them one trains anew, or uses a method that assumes less.
#
# ## Recap
#
# - $N$ samples blur a line to $1/N$. Zero padding draws the blur finely, a window widens it.
# - Stretches of a signal with $K$ lines lie in a subspace with $K$ dimensions. Orthogonality to the rest of the space gives MUSIC, shift invariance gives ESPRIT; both are exact without noise.
# - The Cramér–Rao bound falls with $N^3$. Subspace methods come within a third of it, until at low SNR a threshold throws all of them off.
# - On a grid, one line becomes two; off the grid, a certificate tells whether an answer is the minimum.
# - A network can learn to draw a spectrum with bumps of one height, and its first layer learns to be a Fourier transform. Build the symmetry in, and it learns from far fewer signals.
# - Learning wins where the noise is strong, by knowing the distribution. It loses where algebra is exact: high SNR, closer lines, another length.
#
# **To read.** Stoica and Moses, *Spectral Analysis of Signals* (2005), chapter 4. Izacard, Mohan and Fernandez-Granda, "Data-driven estimation of sinusoid frequencies" (2019). Candès and Fernandez-Granda, "Towards a mathematical theory of super-resolution" (2014).
#
# **Open question.** A network that knows the distribution of the lines could say how sure it is of each. What would you ask of such a number, and how would you measure whether it is right?
