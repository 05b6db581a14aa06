# ---
# jupyter:
#   course:
#     title: "Lab: more lines than the Fourier transform can tell apart"
#     level: advanced
#     minutes: 120
#     needs: "lecture 12; complex numbers, the Fourier transform, eigenvectors"
# ---

# %% [markdown]
# # Lab 12: more lines than the Fourier transform can tell apart
#
# {{header}}
#
# You will find the frequencies in short, noisy signals: by the periodogram, by MUSIC, by ESPRIT, and with the picture that a network draws. Eight short functions, and a study of your own. When you are done you can
#
# - make a signal of lines with an exact signal-to-noise ratio,
# - say what a periodogram resolves, and why zeros at the end of a signal resolve no more,
# - split the covariance of a signal's windows into a signal and a noise subspace, and read frequencies off either,
# - write the target that DeepFreq learns, and turn such a picture into frequencies,
# - measure what is missed, and say at which signal-to-noise ratio you would trust which method.
#
# The checks, the hints (for example `lab.esprit.hint()`) and the way on for who is stuck work as in lab 01. After each check a cell such as `esprit = lab.esprit.or_reference(esprit)` goes on with your function if it has passed, and
# with the course's if not, so you are never stuck. The symbols are those of the lecture: $y$ a signal of $N$ complex samples $y_0, \dots, y_{N-1}$; a **line** is one complex exponential, of frequency $f$ and amplitude $a$. Frequencies count cycles per
# sample. They lie on a circle: $-1/2$ and $1/2$ are the same frequency.

# %%
import matplotlib.pyplot as plt
import torch
from scipy.signal import find_peaks

from course_lib import classical, data, metrics, networks
from course_lib.display import claim, method_style, show_figure
from course_lib.exercises import line_spectra as lab
from course_lib.training.frequency_labels import frequency_labels

# %% [markdown]
# ## The material (3 minutes)
#
# Signals as in the paper on DeepFreq: $N = 50$ samples, one to ten lines that are at least $1/N$ apart, amplitudes of random size and phase. `data.line_spectra` draws the lines. Absent ones are NaN, at the end of a row.

# %%
N = 50
generator = torch.Generator().manual_seed(12)
drawn = data.line_spectra(200, generator, samples=N)
truth = drawn.frequencies.float()  # (200, 10)
clean = drawn.signals(N)  # (200, 50), complex
print("lines of the first signals:", drawn.counts[:12].tolist())

# %% [markdown]
# ## Exercise 1 · Lines in noise (11 minutes, 5 points)
#
# A signal is a sum of lines, and noise comes on top:
#
# $$ y_n = \underbrace{\sum_j a_j \, e^{2\pi i f_j n}}_{s_n} + \, c\, z_n , \qquad n = 0, 1, \dots, N-1 . $$
#
# Somebody has drawn the noise $z$ for you, of any strength. Scale it by one $c > 0$ for each signal, so that it has exactly the **signal-to-noise ratio** that is asked for, in decibels:
#
# $$ 10 \log_{10} \frac{\sum_n |s_n|^2}{\sum_n |c z_n|^2} = \text{snr\_db} . $$


# %% nbgrader={"grade": false, "grade_id": "noisy_lines", "locked": false, "schema_version": 3, "solution": true, "task": false}
def noisy_lines(frequencies, amplitudes, noise, snr_db):
    """Sums of lines, with noise scaled to an exact signal-to-noise ratio.

    frequencies: float32 (batch, lines), in cycles per sample
    amplitudes: complex64 (batch, lines)
    noise: complex64 (batch, samples), of any strength
    snr_db: the signal-to-noise ratio of each signal, in dB, one number
    returns: complex64 (batch, samples)
    """
    ### BEGIN SOLUTION
    n = torch.arange(noise.shape[1])
    waves = torch.exp(2j * torch.pi * frequencies[:, :, None] * n)
    s = (amplitudes[:, :, None] * waves).sum(dim=1)
    energies = [x.abs().square().sum(dim=1, keepdim=True) for x in (s, noise)]
    c = (energies[0] / energies[1] / 10 ** (snr_db / 10)).sqrt()
    return s + c * noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_noisy_lines", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.noisy_lines.check(noisy_lines)

# %%
noisy_lines = lab.noisy_lines.or_reference(noisy_lines)

# %% [markdown]
# **Predict:** at how many decibels is the noise as strong as the signal? How much weaker is it at 20 dB, as an amplitude?
#
# What you should see: at 20 dB the dots lie near the curve, and at 0 dB there is hardly a curve left.

# %%
f3, a3 = torch.tensor([[-0.21, 0.06, 0.11]]), torch.tensor([[1.0 + 0j, 0.8j, -0.6]])
z = torch.randn(1, N, generator=generator, dtype=torch.complex64)
figure, axes = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True)
s3 = noisy_lines(f3, a3, z, 300.0)[0]
for ax, snr_db in zip(axes, (20.0, 0.0), strict=True):
    ax.plot(s3.real, color="0.6", label="without noise")
    ax.plot(noisy_lines(f3, a3, z, snr_db)[0].real, "o", ms=4, color="#D55E00", label=f"at {snr_db:g} dB")
    ax.set(xlabel="sample n", title=f"Three lines at {snr_db:g} dB", ylim=(-4.5, 6))
    ax.legend(loc="upper right")
axes[0].set_ylabel("real part")
show_figure(figure, "The real part of a signal of three lines as a grey curve, twice; dots near it at 20 decibels, and far off it at 0 decibels.")
for snr_db in (20.0, 0.0):
    noise = noisy_lines(f3, a3, z, snr_db)[0] - s3
    print(f"at {snr_db:g} dB the noise's amplitude over the signal's ≈ {float(noise.norm() / s3.norm()):.3f}")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** 0 dB is as strong. 20 dB are a factor of 100 in energy and of 10 in amplitude. At 0 dB no eye finds three lines in these fifty samples; whether a method does is what this lab is about.

# %% [markdown]
# ## Exercise 2 · The periodogram (10 minutes, 5 points)
#
# How much of the frequency $f$ is in a signal? Compare it with the exponential, and average:
#
# $$ P(f) = \Bigl| \frac1N \sum_{n=0}^{N-1} y_n \, e^{-2\pi i f n} \Bigr|^2 . $$
#
# A lone line of amplitude $a$ has its peak at $|a|^2$. Compute $P$ at the frequencies $-1/2 + k/\text{points}$ for $k = 0, 1, \dots$ `torch.fft.fft(..., n=points)` appends zeros to each signal, which makes the grid finer. `points` is even.


# %% nbgrader={"grade": false, "grade_id": "periodogram", "locked": false, "schema_version": 3, "solution": true, "task": false}
def periodogram(signals, points):
    """The power of each frequency of the grid.

    signals: complex64 (batch, samples)
    points: how many frequencies, an even number, at least as many as samples
    returns: float32 (batch, points), at the frequencies −1/2 + k/points
    """
    ### BEGIN SOLUTION
    transforms = torch.fft.fftshift(torch.fft.fft(signals, n=points), dim=-1)
    return (transforms.abs() / signals.shape[1]) ** 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_periodogram", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.periodogram.check(periodogram)

# %%
periodogram = lab.periodogram.or_reference(periodogram)

# %% [markdown]
# Two lines of amplitude 1, without noise, 0.035 cycles per sample apart. **Predict:** does the periodogram tell them apart with 40 samples? With 20? With 20 samples, and zeros up to 2000?

# %%
grid = -0.5 + torch.arange(2000) / 2000
pair = torch.tensor([[0.10, 0.135]])


def pair_signal(samples, phase=-2.1, frequencies=pair):
    """Two lines of amplitude 1, without noise; the phase between them is in radians."""
    amplitudes = torch.polar(torch.ones(1, 2), torch.tensor([[0.0, phase]]))
    return noisy_lines(frequencies, amplitudes, torch.ones(1, samples) + 0j, 300.0)


figure, axes = plt.subplots(1, 2, figsize=(9, 2.7), sharey=True)
for ax, samples in zip(axes, (40, 20), strict=True):
    ax.plot(grid, periodogram(pair_signal(samples), 2000)[0], label="2000 points")
    coarse = -0.5 + torch.arange(samples) / samples
    ax.plot(coarse, periodogram(pair_signal(samples), samples)[0], "o", ms=4, color="#D55E00", label="as many as samples")
    for f in pair[0]:
        ax.axvline(f, color="0.6", ls=":", lw=1)
    ax.set(xlim=(-0.05, 0.3), xlabel="frequency, cycles per sample", title=f"{samples} samples")
axes[0].set_ylabel("power")
axes[0].legend(loc="upper left")
show_figure(figure, "Periodograms of two lines: with 40 samples two peaks at the dotted lines; with 20 samples one broad peak between them, however fine the grid.")

# %% [markdown]
# How close may they be? It depends on the phase between the lines, so take forty phases, and count how often there are two peaks of more than a quarter of the highest.


# %%
def tops(spectrum, share=0.25):
    """How many local maxima of a spectrum are higher than a share of the highest value."""
    around = torch.cat([spectrum, spectrum[:2]])  # a circle
    return len(find_peaks(around, height=share * float(spectrum.max()))[0])


separations = torch.linspace(0.4, 1.8, 15)  # in units of 1/N
phases = 2 * torch.pi * torch.arange(40) / 40
told_apart = []
for samples in (40, 20):
    pairs = [torch.tensor([[0.1, 0.1 + float(d) / samples]]) for d in separations]
    shares = [[tops(periodogram(pair_signal(samples, float(p), f), 2000)[0]) == 2 for p in phases] for f in pairs]
    told_apart.append(torch.tensor(shares).float().mean(dim=1))

figure, ax = plt.subplots(figsize=(6, 2.8))
for samples, shares, look in zip((40, 20), told_apart, ("o-", "x--"), strict=True):
    ax.plot(separations, shares, look, label=f"N = {samples}")
ax.set(xlabel="separation, in units of 1/N", ylabel="share of the phases", title="Two peaks for two lines")
ax.legend()
show_figure(figure, "The share of phases at which two lines have two peaks: small at half of one over N, about a half at one over N, all beyond one and a half; the same for 40 and 20 samples.")
claim("two peaks at 1.6/N or more, least share of phases", float(told_apart[0][12:].min()), at_least=1, source="deck 000")
claim("two peaks at 0.5/N, share of phases", float(told_apart[0][1]), at_most=0.5)
claim("curves of 40 and 20 samples, largest difference", float((told_apart[0] - told_apart[1]).abs().max()), at_most=0.1)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** With 40 samples the lines are $1.4/N$ apart, and have two peaks. With 20 samples they are $0.7/N$ apart, and have one: 2000 points draw the same curve as 20, with more dots on it. Zeros hold no information. The limit is not sharp. At some phases even lines half of $1/N$ apart
# have two peaks, three times in ten, though out of place, for lines of opposite phase push their peaks apart; from $1.4/N$ on it is every time. And the curves for 40 and 20 samples are one curve: what counts is the separation times $N$, and no computing on the periodogram changes that.

# %% [markdown]
# ## Exercise 3 · The covariance of windows (12 minutes, 5 points)
#
# A line looks the same a sample later, apart from a factor. So cut the signal into **windows** of $L$ samples, each one a sample later than the one before, $x_m = (y_m, \dots, y_{m+L-1})^T$ for $m = 0, \dots, N - L$, and average
#
# $$ R_f = \frac{1}{N - L + 1} \sum_m x_m x_m^H . $$
#
# Read backwards and conjugated, a line is a line of the same frequency again, so the same windows can be used twice. With $J$ the matrix that turns a vector upside down,
#
# $$ R = \tfrac12 \bigl( R_f + J \, \overline{R_f} \, J \bigr) . $$


# %% nbgrader={"grade": false, "grade_id": "covariance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def covariance(signal, window):
    """The mean of x xᴴ over all windows of a signal, forward and backward.

    signal: complex64 (samples,)
    window: the length L of the windows
    returns: complex64 (window, window)
    """
    ### BEGIN SOLUTION
    x = torch.stack([signal[m : m + window] for m in range(len(signal) - window + 1)], dim=1)
    forward = x @ x.mH / x.shape[1]
    return (forward + forward.conj().flip(0, 1)) / 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_covariance", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.covariance.check(covariance)

# %%
covariance = lab.covariance.or_reference(covariance)

# %% [markdown]
# Two lines again, now 50 samples, and only half of $1/N$ apart, so the periodogram shows one peak. **Predict:** how many of the 25 eigenvalues of $R$ are not zero, without noise? How many stand out at 20 dB, at 0 dB?

# %%
close = torch.tensor([[0.10, 0.11]])
equal = torch.ones(1, 2) + 0j
z = torch.randn(1, N, generator=generator, dtype=torch.complex64)
figure, ax = plt.subplots(figsize=(6, 2.9))
eigenvalues = {}
for snr_db, look in {300.0: "o", 20.0: "x", 0.0: "^"}.items():
    R = covariance(noisy_lines(close, equal, z, snr_db)[0], 25)
    eigenvalues[snr_db] = torch.linalg.eigvalsh(R).flip(0)
    label = "without noise" if snr_db == 300 else f"{snr_db:g} dB"
    ax.semilogy(range(1, 26), eigenvalues[snr_db].clamp(min=1e-7), look, ms=5, label=label)
ax.set(xlabel="number of the eigenvalue, from the largest", ylabel="eigenvalue", title="Two lines, half of 1/N apart", ylim=(3e-8, 1e5))
ax.legend(ncols=3)
show_figure(figure, "Eigenvalues on a logarithmic scale: without noise two, and the others near zero; at 20 decibels two stand far above a plateau; at 0 decibels the second is hardly above it.")
claim("without noise: third eigenvalue over the first", float(eigenvalues[300.0][2] / eigenvalues[300.0][0]), at_most=1e-5, source="deck 000")
claim("at 20 dB: second over third", float(eigenvalues[20.0][1] / eigenvalues[20.0][2]), at_least=10)
claim("at 0 dB: second over third", float(eigenvalues[0.0][1] / eigenvalues[0.0][2]), at_most=3)
by_library = classical.sample_covariance(noisy_lines(close, equal, z, 0.0), 25)[0]
claim("difference from the library", float((R - by_library).abs().max() / R.abs().max()), at_most=1e-5)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Two lines, two eigenvalues; the others are rounding. The second is a twentieth of the first: half of $1/N$ apart, the two exponentials are nearly the same vector, and all that tells them apart is this small eigenvalue. Noise lifts the others to a plateau (it slopes, because 26 overlapping
# windows are few). At 20 dB the second eigenvalue stands some fifty times above it. At 0 dB it is drowned, and then nothing that starts from $R$ can find two lines.

# %% [markdown]
# ## Exercise 4 · MUSIC (13 minutes, 5 points)
#
# Without noise each window is a sum of the vectors $a(f_j) = (1, e^{2\pi i f_j}, \dots, e^{2\pi i f_j (L-1)})^T$, so the eigenvectors of the large eigenvalues span the same space as they do: the **signal subspace**. The eigenvectors of the small ones, the columns of $E$,
# span the **noise subspace**, and without noise they are at a right angle to every $a(f_j)$ (with noise, nearly). MUSIC looks for the frequencies whose **steering vector** $a(f)$ has next to nothing in the noise subspace. It is no power: $Q$ says how well a line fits:
#
# $$ Q(f) = \frac{1}{\lVert E^H a(f) \rVert^2} . $$


# %% nbgrader={"grade": false, "grade_id": "music_spectrum", "locked": false, "schema_version": 3, "solution": true, "task": false}
def music_spectrum(covariance, lines, points):
    """MUSIC's pseudo-spectrum, which is high at the lines.

    covariance: complex64 (window, window), Hermitian
    lines: how many lines, fewer than window
    points: how many frequencies, even or odd
    returns: float32 (points,), at the frequencies −1/2 + k/points
    """
    ### BEGIN SOLUTION
    _, vectors = torch.linalg.eigh(covariance)  # the smallest eigenvalues first
    noise = vectors[:, :-lines]
    f = -0.5 + torch.arange(points) / points
    n = torch.arange(len(covariance))[:, None]
    a = torch.exp(2j * torch.pi * n * f)
    return 1 / (noise.mH @ a).abs().square().sum(dim=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_music_spectrum", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.music_spectrum.check(music_spectrum)

# %%
music_spectrum = lab.music_spectrum.or_reference(music_spectrum)

# %% [markdown]
# The two lines half of $1/N$ apart, at 20 dB. **Predict:** one peak or two? And what if you say there are three lines?

# %%
y20 = noisy_lines(close, equal, z, 20.0)
R20 = covariance(y20[0], 25)
figure, ax = plt.subplots(figsize=(7, 3))
curves = {
    "periodogram": (periodogram(y20, 2000)[0], "#7F7F7F", ":"),
    "MUSIC, 2 lines": (music_spectrum(R20, 2, 2000), "#0072B2", "-"),
    "MUSIC, 3 lines": (music_spectrum(R20, 3, 2000), "#D55E00", "--"),
}
for name, (curve, color, style) in curves.items():
    ax.semilogy(grid, curve / curve.max(), label=name, color=color, ls=style)
ax.set(xlim=(-0.15, 0.45), ylim=(1e-5, 2), xlabel="frequency, cycles per sample", ylabel="over its largest value", title="Two lines, half of 1/N apart, at 20 dB")
ax.legend(loc="upper left")
show_figure(figure, "The periodogram has one broad peak near 0.1 with side lobes; MUSIC for two lines has two sharp peaks there; for three lines it has a third, lower one elsewhere.")
top = tops(curves["periodogram"][0]), tops(curves["MUSIC, 2 lines"][0])
print(f"peaks: periodogram {top[0]}, MUSIC {top[1]}")
by_library = classical.music_spectrum(y20, 2, points=2000, window_length=25)[0] / 25  # it has L above the line
claim("difference from the library, over the highest peak", float((curves["MUSIC, 2 lines"][0] - by_library).abs().max() / by_library.max()), at_most=0.05)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Two sharp peaks at the right places where the periodogram has one. MUSIC has not computed better, it has assumed more: that there are exactly two lines, and noise that is alike at all frequencies. Its height is no power; it says how well a line fits. Told that there are three lines, it keeps the two and
# makes up low bumps somewhere, wherever the noise happens to be. A line too many costs little here; try one too few.

# %% [markdown]
# ## Exercise 5 · ESPRIT (13 minutes, 5 points)
#
# The signal subspace has the frequencies in it without any search. Its basis is $U$, the eigenvectors of the largest eigenvalues. Take all rows but the last, $U_1$, and all but the first, $U_2$: the same lines, one sample later. Each line has turned by
# $e^{2\pi i f_j}$ meanwhile. With $A_1$ the steering vectors without their last entry and $D$ the diagonal matrix of these factors, $U_1 = A_1 T$ and $U_2 = A_1 D T$ for some invertible $T$. So there is a small matrix $\Phi = T^{-1} D T$, whose **eigenvalues** are the factors, with
#
# $$ U_1 \Phi = U_2 . $$
#
# With noise there is no exact solution: solve it by least squares. Then the angles of the eigenvalues are the frequencies, in radians per sample. Give them in cycles per sample, ascending.


# %% nbgrader={"grade": false, "grade_id": "esprit", "locked": false, "schema_version": 3, "solution": true, "task": false}
def esprit(covariance, lines):
    """Frequencies from how the signal subspace turns from one sample to the next.

    covariance: complex64 (window, window), Hermitian
    lines: how many lines, fewer than window
    returns: float32 (lines,), in cycles per sample, from −1/2 to 1/2, ascending
    """
    ### BEGIN SOLUTION
    _, vectors = torch.linalg.eigh(covariance)
    signal = vectors[:, -lines:]
    phi = torch.linalg.lstsq(signal[:-1], signal[1:]).solution
    return (torch.linalg.eigvals(phi).angle() / (2 * torch.pi)).sort().values
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_esprit", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.esprit.check(esprit)

# %%
esprit = lab.esprit.or_reference(esprit)

# %% [markdown]
# How exact is it? No unbiased estimator can have a smaller standard deviation than the **Cramér–Rao bound** of the lecture. Two lines, $3/N$ apart, 200 draws of noise at each signal-to-noise ratio. **Predict:** 20 dB more make the error how many times smaller?

# %%
apart = torch.tensor([[0.10, 0.16]])
draws = torch.randn(200, N, generator=generator, dtype=torch.complex64)
levels = (-5.0, 0.0, 10.0, 20.0, 30.0, 40.0)
power = float(noisy_lines(apart, equal, draws[:1], 300.0).abs().square().mean())
rmse, bound = [], []
for snr_db in levels:
    signals = noisy_lines(apart.expand(200, 2), equal.expand(200, 2), draws, snr_db)
    found = torch.stack([esprit(covariance(y, 25), 2) for y in signals])
    rmse.append(float((found - apart).square().mean().sqrt()))
    sigma = (power / 2 * 10 ** (-snr_db / 10)) ** 0.5  # in each of the two parts
    bound.append(float(classical.cramer_rao_bound(apart, equal, sigma, N).mean()))

exact = esprit(covariance(noisy_lines(apart, equal, draws[:1], 300.0)[0], 25), 2)
claim("without noise: largest error, cycles per sample", float((exact - apart).abs().max()), at_most=1e-5, source="deck 000")
claim("at 30 dB: error over the bound", rmse[4] / bound[4], at_least=0.9, at_most=1.5, source="deck 000")
claim("error at 20 dB over that at 40 dB", rmse[3] / rmse[5], at_least=8, at_most=12)
claim("at −5 dB: error over the bound", rmse[0] / bound[0], at_least=3)

# %%
figure, ax = plt.subplots(figsize=(6, 3))
ax.semilogy(levels, rmse, **method_style("esprit"))
ax.semilogy(levels, bound, "k:", label="Cramér–Rao bound")
ax.set(xlabel="signal-to-noise ratio, dB", ylabel="root mean square error", title="Two lines, 3/N apart")
ax.legend()
show_figure(figure, "Root mean square error of ESPRIT against the signal-to-noise ratio on a logarithmic scale: a straight line close above the bound from 0 decibels on, and far above it at minus 5.")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Without noise only rounding is left. From 0 dB on, the error keeps at about 1.2 times the bound (at 0 dB a little more), and 20 dB make it ten times smaller, as the noise's amplitude. At −5 dB it leaves the bound for good: in some draws an eigenvector of noise takes the place of one of the signal, and
# an estimate is anywhere on the circle. This **threshold** is what the curves of the last exercise are about. The bound does not know it, for it speaks of small errors.

# %% [markdown]
# ## Exercise 6 · A picture of the lines (10 minutes, 5 points)
#
# DeepFreq goes another way: a network turns the signal into a picture of its spectrum. While it is trained, it is shown how that picture should look: the target has a bump at each line,
#
# $$ r(u) = \sum_j \exp\Bigl( -\frac{d(u, f_j)^2}{w^2} \Bigr), \qquad w = \frac{0.3}{N} , $$
#
# at the frequencies $u = -1/2 + k/\text{points}$. The distance $d$ goes **round the circle**: 0.49 and −0.49 are 0.02 apart. Where bumps overlap they add up; absent lines are NaN, and draw nothing.


# %% nbgrader={"grade": false, "grade_id": "representation", "locked": false, "schema_version": 3, "solution": true, "task": false}
def representation(frequencies, samples, points):
    """What the network learns to draw: a bump at each line.

    frequencies: float32 (batch, lines), in cycles per sample, NaN where a signal has fewer lines
    samples: N, how many samples a signal has
    points: how many frequencies
    returns: float32 (batch, points), at the frequencies −1/2 + k/points
    """
    ### BEGIN SOLUTION
    u = -0.5 + torch.arange(points) / points
    d = u - frequencies[:, :, None]
    d = d - d.round()
    return torch.exp(-((d / (0.3 / samples)) ** 2)).nansum(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_representation", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.representation.check(representation)

# %%
representation = lab.representation.or_reference(representation)

# %% [markdown]
# One of the signals at 10 dB: the target, what the trained network draws, and the periodogram. **Predict:** from the periodogram alone, how many lines are there, and where?

# %%
targets = representation(truth, N, 1000)
difference = (targets - frequency_labels(truth, N)).abs().max()
claim("largest difference from the library", float(difference), at_most=1e-3)
network = networks.deepfreq()
z200 = torch.randn(200, N, generator=generator, dtype=torch.complex64)
at_snr = {
    snr_db: noisy_lines(truth.nan_to_num(0), drawn.amplitudes.to(torch.complex64), z200, snr_db)
    for snr_db in (0.0, 5.0, 10.0, 20.0, 30.0, 50.0)
}
with torch.no_grad():
    pictures = {snr_db: network.representation(signals) for snr_db, signals in at_snr.items()}

# %%
chosen = int((drawn.counts == 7).nonzero()[0])
u = -0.5 + torch.arange(1000) / 1000
figure, axes = plt.subplots(3, 1, figsize=(8, 4.6), sharex=True)
rows = {
    "periodogram": periodogram(at_snr[10.0][chosen : chosen + 1], 1000)[0],
    "what the network draws": pictures[10.0][chosen],
    "target": targets[chosen],
}
for ax, (name, curve) in zip(axes, rows.items(), strict=True):
    ax.plot(u, curve)
    for f in truth[chosen, :7]:
        ax.axvline(f, color="0.6", ls=":", lw=1)
    ax.set_title(name)
axes[2].set_xlabel("frequency, cycles per sample")
show_figure(figure, "Three curves over frequency for a signal of seven lines at 10 decibels, true lines dotted: the periodogram with broad peaks and side lobes; the network's curve with narrow bumps at most of the lines; the target with a bump at each.")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** From the periodogram one would read three or four lines: the weak ones are no higher than side lobes of the strong. In the network's picture weak and strong lines are to have the same height, and most do. Where it is in doubt, its bump is low, or there is a low one where no line is: a
# squared error asks for the mean over all answers that are possible, so height means something like how sure the network is. That is why one takes the highest.

# %% [markdown]
# ## Exercise 7 · From a picture to frequencies (13 minutes, 5 points)
#
# A picture, a periodogram, a pseudo-spectrum: all are values on a grid, and the lines are where they are high. Take the **highest local maxima** by their values on the grid, however low or negative (a local maximum is above both of its neighbours, and the grid is a circle), and move each to the top of the
# parabola through it and its neighbours. With the values $p, q, r$ before, at and after the maximum, the top lies
#
# $$ \delta = \frac{p - r}{2\,(p - 2q + r)} $$
#
# grid steps further. Bring the frequencies back to $[-1/2, 1/2)$, and sort them.


# %% nbgrader={"grade": false, "grade_id": "peaks", "locked": false, "schema_version": 3, "solution": true, "task": false}
def peaks(spectrum, lines):
    """Where the highest local maxima of a spectrum lie.

    spectrum: float32 (points,), at the frequencies −1/2 + k/points
    lines: how many maxima; there are that many
    returns: float32 (lines,), in cycles per sample, in [−1/2, 1/2), ascending
    """
    ### BEGIN SOLUTION
    before, after = spectrum.roll(1), spectrum.roll(-1)
    highest = spectrum.masked_fill((spectrum <= before) | (spectrum <= after), -torch.inf)
    place = highest.topk(lines).indices
    p, q, r = before[place], spectrum[place], after[place]
    f = -0.5 + (place + (p - r) / (2 * (p - 2 * q + r))) / len(spectrum)
    return (f - (f + 0.5).floor()).sort().values
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_peaks", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.peaks.check(peaks)

# %%
peaks = lab.peaks.or_reference(peaks)

# %% [markdown]
# From the targets back to the lines. The grid step is 1/1000. **Predict:** how large is the largest error? And what would it be without the parabola?


# %%
def all_peaks(spectra, counts=drawn.counts):
    """Your peaks of each spectrum, NaN in the rest of a row; all maxima where there are fewer than lines."""
    found = torch.full(truth.shape, torch.nan)
    for row, spectrum, count in zip(found, spectra, counts.tolist(), strict=True):
        maxima = (spectrum > spectrum.roll(1)) & (spectrum > spectrum.roll(-1))
        count = min(count, int(maxima.sum()))
        row[:count] = peaks(spectrum, count)
    return found


error = (all_peaks(targets) - truth).nan_to_num(0)
error = (error - error.round()).abs()
snapped = (truth * 1000).round() / 1000 - truth
print(f"largest error ≈ {error.max():.2g}, to the nearest grid point ≈ {snapped.nan_to_num(0).abs().max():.2g}")
claim("with the parabola, largest error in grid steps", float(1000 * error.max()), at_most=0.05)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Some thousandths of a grid step, where the nearest grid point is off by up to a half. So neither the grid nor this step limits what DeepFreq finds, only how well the network draws. A parabola suits a smooth, wide bump: MUSIC's peaks are sharper than the grid without noise, and there it will do less well, as you
# will see.

# %% [markdown]
# ## Exercise 8 · What is missed (12 minutes, 5 points)
#
# The papers on PSnet and DeepFreq measure the **false-negative rate**. A true line is missed if its nearest estimate, round the circle, is farther than $1/(2N)$. Take the share of missed lines in each signal, then the mean over the signals. Absent lines and absent estimates are NaN; in
# a signal without any estimate all lines are missed.


# %% nbgrader={"grade": false, "grade_id": "false_negative_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def false_negative_rate(estimates, truth, samples):
    """The share of true lines that have no estimate within 1/(2N), mean over signals.

    estimates: float32 (batch, estimates), in cycles per sample, NaN at the end where there are fewer
    truth: float32 (batch, lines), NaN at the end where there are fewer, and at least one a signal
    samples: N, how many samples a signal has
    returns: one number from 0 to 1
    """
    ### BEGIN SOLUTION
    d = truth[:, :, None] - estimates[:, None, :]
    nearest = (d - d.round()).abs().nan_to_num(torch.inf).amin(dim=2)
    there = ~truth.isnan()
    missed = (nearest > 0.5 / samples) & there
    return (missed.sum(dim=1) / there.sum(dim=1)).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_false_negative_rate", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.false_negative_rate.check(false_negative_rate)

# %%
false_negative_rate = lab.false_negative_rate.or_reference(false_negative_rate)

# %% [markdown]
# Now all that you have written, on the 200 signals at six signal-to-noise ratios. All methods are told the true number of lines. **Predict:** which method misses least at 0 dB, which at 50 dB? And which one hardly profits from less noise?


# %%
def by_windows(method, signals, counts=drawn.counts):
    """A method for one covariance and one number of lines, over all signals."""
    found = torch.full(truth.shape, torch.nan)
    for row, y, count in zip(found, signals, counts.tolist(), strict=True):
        row[:count] = method(covariance(y, 25).to(torch.complex64), count)
    return found


def music_spectra(signals, counts=drawn.counts):
    """Pseudo-spectra, one a signal."""
    pairs = zip(signals, counts.tolist(), strict=True)
    return [music_spectrum(covariance(y, 25).to(torch.complex64), count, 1000) for y, count in pairs]


methods = {
    "periodogram": lambda signals: all_peaks(periodogram(signals, 1000)),
    "MUSIC": lambda signals: all_peaks(music_spectra(signals)),
    "ESPRIT": lambda signals: by_windows(esprit, signals),
    "DeepFreq": lambda signals: all_peaks(network.representation(signals)),
}
with torch.no_grad():
    found = {name: {snr_db: method(y) for snr_db, y in at_snr.items()} for name, method in methods.items()}
missed = {name: [100 * float(false_negative_rate(e, truth, N)) for e in each.values()] for name, each in found.items()}

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.2))
for name in methods:
    ax.plot(list(at_snr), missed[name], **method_style(name.lower()))
    print(f"{name:<12} " + "  ".join(f"{snr_db:g} dB ≈ {m:.1f} %" for snr_db, m in zip(at_snr, missed[name], strict=True)))
ax.set(xlabel="signal-to-noise ratio, dB", ylabel="missed lines, %", title="False-negative rate with the true number of lines", ylim=(0, None))
ax.legend()
show_figure(figure, "Missed lines against the signal-to-noise ratio for four methods: DeepFreq is lowest up to 30 decibels; MUSIC and ESPRIT start highest and are as low at 50; the periodogram stays above 10 percent.")

# %%
by_library = metrics.false_negative_rate(found["ESPRIT"][10.0], truth, N).mean()
claim("difference from the library", abs(float(by_library) - missed["ESPRIT"][2] / 100), at_most=1e-4)
subspace = [min(pair) for pair in zip(missed["MUSIC"], missed["ESPRIT"], strict=True)]
claim("0 dB: the better of MUSIC and ESPRIT less DeepFreq", subspace[0] - missed["DeepFreq"][0], at_least=3, unit="%", source="deck 000")
claim("10 dB: the same", subspace[2] - missed["DeepFreq"][2], at_least=1, unit="%", source="deck 000")
claim("50 dB: ESPRIT", missed["ESPRIT"][5], at_most=0.5, unit="%", source="deck 000")
claim("50 dB: DeepFreq", missed["DeepFreq"][5], at_most=4, unit="%", source="deck 000")
claim("50 dB: periodogram", missed["periodogram"][5], at_least=8, unit="%", source="deck 000")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The network misses least up to 30 dB: a quarter of the lines at 0 dB and one in fourteen at 10 dB, where ESPRIT misses two in five and one in seven. MUSIC and ESPRIT are below their threshold there. At 50 dB all three find nearly everything. The periodogram is close to the network at 0 dB and hardly profits from less noise: what it
# misses are weak lines below the side lobes of strong ones, and those are no noise. On the published test set the numbers are much the same: ESPRIT misses 39 % at 0 dB, 14 % at 10 dB and 0.1 % at 50 dB. Mind two things. All were told the true number of lines. And this rate lets one estimate find two lines, counts none that is made up, and asks for no more than half of $1/N$.

# %% [markdown]
# ## Open question · Which method, and when? (23 minutes, 4 points)
#
# Three experiments to start from. First, how *near* are the lines that are found? The median distance of the pairs that match one to one within $1/(2N)$. (MUSIC's spectrum is on a grid here, and its needles are sharper than that; the library's `music` goes on from the grid, and is as exact as ESPRIT.)

# %%
for name, each in found.items():
    medians = [metrics.frequency_errors(e, truth, N).nanmedian() for e in each.values()]
    print(f"{name:<12} " + "  ".join(f"{snr_db:g} dB ≈ {m:.1g}" for snr_db, m in zip(at_snr, medians, strict=True)))

# %% [markdown]
# Second, two lines closer than the network has ever seen, with the true count. A pair counts as told apart if each line has an estimate of its own, nearer than half of their distance.

# %%
g = torch.Generator().manual_seed(3)
for separation in (0.3, 0.6, 1.0):
    near = data.line_spectra(200, g, samples=N, least_lines=2, most_lines=2, separation=separation)
    start = near.frequencies[:, :1].float()
    f = data.wrap(torch.cat([start, start + separation / N], dim=1)).sort(dim=1).values
    two = torch.full((200,), 2)
    for snr_db in (10.0, 40.0):
        noise = torch.randn(200, N, generator=g, dtype=torch.complex64)
        y = noisy_lines(f, near.amplitudes.to(torch.complex64), noise, snr_db)
        with torch.no_grad():
            estimates = {"ESPRIT": by_windows(esprit, y, two), "DeepFreq": all_peaks(network.representation(y), two)}
        partners = {name: metrics.match_lines(e[:, :2], f, 0.49 * separation / N) for name, e in estimates.items()}
        told = {name: 100 * (p >= 0).all(dim=1).float().mean() for name, p in partners.items()}
        print(f"{separation:g}/N at {snr_db:g} dB, told apart: " + ", ".join(f"{name} ≈ {r:.0f} %" for name, r in told.items()))

# %% [markdown]
# Third, without the true count: the network's own, and that of Akaike's criterion (AIC), the best of the classical ones below 20 dB. F1 pairs estimates and lines one to one, so too many cost as well as too few. And what is left of a signal when the found lines are fitted and taken away? With the true lines it is the noise's share,
# $-10 \log_{10}(1 + 10^{\text{snr}/10})$ dB: −3.0 dB at 0 dB.


# %%
def unexplained(signals, frequencies):
    """The share of each signal's energy that is left after a least-squares fit of these lines."""
    a = classical.line_amplitudes(signals, frequencies).to(torch.complex64)
    left = signals - data.LineSpectra(frequencies, a).signals(N)
    return left.abs().square().sum(dim=1) / signals.abs().square().sum(dim=1)


for snr_db, y in at_snr.items():
    own = {"DeepFreq": network.frequencies(y), "ESPRIT": classical.esprit(y, classical.aic(y, most=10))}
    for name, e in own.items():
        right, score = metrics.count_accuracy(e, truth).mean(), metrics.f1(e, truth, N).mean()
        left = 10 * unexplained(y, e).median().log10()
        print(f"{snr_db:g} dB, {name:<8} count right ≈ {100 * right:.0f} %, F1 ≈ {100 * score:.0f} %, left over ≈ {left:.1f} dB")

# %% [markdown]
# Measure more, if you like: other numbers of lines, another window than 25, a signal of 64 samples of which the network sees 50. A few sentences on each:
#
# 1. At which signal-to-noise ratio would you choose which method, and for which purpose: to find all lines, or to know a frequency exactly? Give numbers.
# 2. With less and less noise, why does ESPRIT become exact, and why do the periodogram and the network not?
# 3. What would happen with $N = 64$ samples, and with lines closer than $1/N$? What could you do in each case?
# 4. In practice nobody tells you the truth. How would you notice that lines are missed or made up? What can what is left over tell, and what not?

# %% [markdown] nbgrader={"grade": true, "grade_id": "which_method", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# 1. To find all lines: the network up to 20 or 30 dB (with the true count it misses 26, 7 and 1 % at 0, 10 and 20 dB, ESPRIT 40, 15 and 4 %); from 30 dB on it hardly matters (0.2 % and 1 %, at 50 dB 0.2 % and 0.1 %). With their own counts the order is the same: F1 of 65 against 52 % at 0 dB, 90 against 86 % at 10 dB, 100 against 97 % at 30 dB, where AIC counts a line too many now and then. To know a frequency exactly:
#    ESPRIT from 20 dB on. Its median error falls to 0.00001 at 50 dB, where the network stays at 0.0002; or the network first, and then a least-squares fit that starts from its estimates. Where lines are few, alike in strength and two or three times $1/N$ apart, a periodogram does. That all were told the count flatters each of them: at 0 dB hardly one count in six is right.
# 2. ESPRIT is exact for the model without noise: the signal subspace is then known exactly, so its error is as small as the noise. The periodogram has errors that are no noise: lines nearer than about $1/N$ merge, and side lobes of strong lines cover weak ones. The network is trained on all noise levels together, with a squared error over a picture, so little rewards it for the last
#    digits: its bumps at 50 dB are hardly better than at 30. (MUSIC's median error stays at 0.0002 for another reason: its peaks are sharper than the grid, and a parabola through three points misses their tops.)
# 3. The network refuses 64 samples: it has one weight for each of 50. One can cut to 50 and lose resolution and energy, average over the cuts, or train again; MUSIC and ESPRIT take any $N$, and gain. Lines closer than $1/N$ were not in its training: at 40 dB it tells apart hardly any pair at $0.3/N$ and two of three at $0.6/N$, and ESPRIT nearly all. At 10 dB and $0.3/N$
#    ESPRIT fails as well, four times in five, for the second eigenvalue is in the noise. More samples help most; a network trained on closer lines helps some, for the information has to be there.
# 4. Fit the lines and look at what is left over: it should be the noise, so as strong as known, and without structure. At 50 dB, ESPRIT leaves −50 dB, and the network −34 dB: its lines are a little misplaced. At 0 dB the noise's share is −3.0 dB: ESPRIT leaves a little more, −2.4 dB, for it misses lines; the network leaves −4.2 dB, *less* than the noise, although it misses a quarter of the lines:
#    lines that are made up fit noise, and lower the rest. At 10 dB both are within half a decibel of the right −10.4 dB, and most counts are wrong.
#    So it shows what is missed and strong, and not what is made up. Other signs: eigenvalues without a gap, two methods that disagree, estimates that move when half of the samples or another window is used, a known line that is added and not found again. None of them shows that the model is wrong: a decaying line, or noise that is not alike at all frequencies, needs another look.

# %% [markdown]
# ## Your progress

# %%
lab.progress()

# %% [markdown]
# In this lab you went from a sum of lines to a picture of them, and from the picture back to frequencies, by a transform, by a subspace and by a network. Save the notebook before you hand it in.
