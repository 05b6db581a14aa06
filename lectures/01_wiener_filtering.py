# ---
# jupyter:
#   course:
#     title: "Wiener filtering: the best linear denoiser"
#     level: introductory
#     minutes: 60
#     needs: "the self-test of the start page: Fourier transform, least squares, torch basics"
# ---

# %% [markdown]
# # Wiener filtering: the best linear denoiser
#
# {{header}}
#
# In this notebook you will
#
# - see in one picture which frequencies of a noisy photograph are worth keeping,
# - derive how much of each to keep, and check the formula by hand, with a library and by simulation,
# - predict the error of a filter before using it, within half a percent,
# - see why nobody learns a matrix of 10,000 × 10,000 numbers for this, although it would be the same thing,
# - find out where the best linear filter fails, and how to tell.
#
# The course grew from five decks of slides, named on the start page; "deck 000" and "deck 004" below are two of them. One
# convention: here, as in deck 000, the Fourier transform is the plain sum (`torch.fft.fft2` without `norm`). Later
# modules use the orthonormal one.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import PowerNorm

from course_lib import classical, data, display, metrics, physics
from course_lib.display import claim, play, show_figure, show_images

# %% [markdown]
# ## 1 · A question (5 minutes)
#
# A clean photograph $x$ meets noise $z$: every pixel gets its own random number, independent of all others,
# with mean 0 and standard deviation $\sigma$. What we are given is $y = x + z$. Grey values run from 0 (black)
# to 1 (white), and $\sigma = 25/255$ is about a tenth of that range.

# %%
sigma = 25 / 255
generator = torch.Generator().manual_seed(1)
clean = data.photographs(["cat"])
noisy = physics.add_gaussian_noise(clean, sigma, generator)

# %%
show_images(
    {"clean x": clean, "noisy y = x + z, σ = 25/255": noisy},
    alt="A photograph of a cat's face, clean on the left; on the right the same with grain all over it.",
    width=3,
)

# %% [markdown]
# Any image is a sum of waves: slow ones that make the large shapes, fast ones that make whiskers and grain.
# We may keep a share of each wave, from 0 (drop it) to 1 (keep all of it).
#
# **Predict.** Which share would you keep of the slowest wave, and which of the fastest? Write two numbers.

# %%
my_slow, my_fast = 0.5, 0.5  # your guess: each from 0 to 1

# %% [markdown]
# ## 2 · Photographs and noise look different in frequency (5 minutes)
#
# Write $\hat x = F x$ for the Fourier transform of $x$. The **power spectrum** is the mean power of each wave
# over many images, $S_k = \mathbb E\,|\hat x_k|^2$. We take the mean over eight photographs, each in its eight
# mirrored and turned positions, since a scene and its mirror image are equally likely.

# %%
training = data.photographs(data.TRAINING_PHOTOGRAPHS)
show_images(
    dict(zip(data.TRAINING_PHOTOGRAPHS, training[:, 0], strict=True)),
    alt="The eight training photographs: " + ", ".join(data.TRAINING_PHOTOGRAPHS) + ".",
    width=1.6,
)

# %%
spectrum = classical.power_spectrum(data.with_symmetries(training))

# %% [markdown]
# The noise is the same at every frequency: with $n$ pixels, each $\hat z_k$ adds up $n$ independent numbers of variance
# $\sigma^2$, so its power is $n\sigma^2$.

# %%
n = spectrum.numel()
frequency, power = classical.radial_profile(spectrum)
crossing = float(frequency[power < n * sigma**2][0])

figure, ax = plt.subplots(figsize=(6, 3.6))
ax.loglog(frequency, power, color=display.METHODS["clean"].color, label="photographs: $S$")
ax.axhline(n * sigma**2, color=display.METHODS["noisy"].color, ls=":", label="noise: $nσ^2$, σ = 25/255")
ax.axvline(crossing, color="0.5", lw=1, ls="--")
ax.text(crossing * 0.93, power.max() / 4, "signal", ha="right")
ax.text(crossing * 1.07, power.max() / 4, "noise")
ax.set(xlabel="frequency (cycles per pixel)", ylabel="power", title="Photographs' power falls; noise is flat")
ax.legend(loc="lower left")
show_figure(
    figure,
    "Log-log plot: the photographs' power falls along a nearly straight line and crosses the "
    "flat noise power near 0.2 cycles per pixel; signal is stronger left of it, noise right of it.",
)

# %% [markdown]
# Left of the crossing the photographs are stronger, right of it the noise. The nearly straight line says that
# the power of photographs falls as a power law, $1/\text{frequency}^{\alpha}$. Field (1987) found $\alpha$ near 2 for
# natural scenes; these eight fall somewhat faster:

# %%
slope, _ = np.polyfit(frequency[4:100].log().numpy(), power[4:100].log().numpy(), 1)
claim("exponent of the photographs' power law", -slope, at_least=2, at_most=3)

# %% [markdown]
# ## 3 · One wave alone (8 minutes)
#
# A filter convolves the image with weights $w$; write $w * y$, with the image continued periodically. In frequency this
# multiplies each $\hat y_k$ by a **gain** $\hat w_k$. By Parseval's relation the squared error of the image is the sum of
# the errors of all waves, divided by $n$:
#
# $$\mathbb E\,\|x - w * y\|^2 = \frac1n \sum_k \mathbb E\,|\hat x_k - \hat w_k \hat y_k|^2 ,$$
#
# so each wave may be treated alone. With $\hat y_k = \hat x_k + \hat z_k$ the difference is
# $(1 - \hat w_k)\,\hat x_k - \hat w_k \hat z_k$. Image and noise are independent and the noise has mean 0, so the mixed
# term vanishes in the mean and the powers add. For one wave, without its index $k$ and with $N = n\sigma^2$ for the noise
# power, the error of the gain $\hat w$ is
#
# $$r(\hat w) = (1 - \hat w)^2 S + \hat w^2 N .$$
#
# The first term is what the filter takes from the signal, the second what it lets through of the noise.
#
# **Predict.** Where is the minimum when signal and noise are equally strong? And when the signal is ten times
# as strong?

# %%
shares = torch.linspace(0, 1, 200)
ratios = {"S/N = 10": 10.0, "S/N = 1": 1.0, "S/N = 0.1": 0.1}

figure, ax = plt.subplots(figsize=(6, 3.4))
for label, S in ratios.items():
    risk = (1 - shares) ** 2 * S + shares**2  # with N = 1
    line = ax.plot(shares, risk / max(S, 1), label=label)[0]
    best = int(risk.argmin())
    ax.plot(shares[best], risk[best] / max(S, 1), "o", color=line.get_color())
ax.set(
    xlabel="gain: the share that is kept",
    ylabel="error (largest term = 1)",
    title="Each dot is the best share of one wave",
)
ax.legend()
show_figure(
    figure,
    "Three parabolas of error against the kept share w; their minima, marked by dots, lie near "
    "0.91 for S/N = 10, at 0.5 for S/N = 1 and near 0.09 for S/N = 0.1.",
)

# %% [markdown]
# By hand: the derivative $r'(\hat w) = -2(1-\hat w)S + 2\hat wN$ is zero at
#
# $$\hat w = \frac{S}{S + N} = \frac{S}{S + n\sigma^2},$$
#
# the signal's share of the power. This is the **Wiener gain** (Wiener 1950). A complex gain cannot do better: its
# imaginary part adds to both terms. Confirm with a numerical minimum:

# %%
from scipy.optimize import minimize_scalar

numerical = [minimize_scalar(lambda w, S=S: (1 - w) ** 2 * S + w**2).x for S in ratios.values()]
by_hand = [S / (S + 1) for S in ratios.values()]
claim(
    "largest difference, numerical minimum to S/(S+N)",
    float(np.abs(np.subtract(numerical, by_hand)).max()),
    at_most=1e-6,
)

# %% [markdown]
# ## 4 · All waves: the filter in frequency and in space (5 minutes)
#
# The same formula at every frequency gives the filter. Its inverse Fourier transform shows the same filter in
# space: the weights with which the pixels around one pixel are averaged. Deck 000 shows both at σ = 0.04, 0.1
# and 0.2.

# %%
gains = {level: classical.wiener_gain(spectrum, level) for level in (0.04, 0.1, 0.2)}

figure, axes = plt.subplots(2, 3, figsize=(8, 5))
for (top, bottom), (level, gain) in zip(axes.T, gains.items(), strict=True):
    shown = top.imshow(torch.fft.fftshift(gain), vmin=0, vmax=1, cmap="viridis", extent=(-0.5, 0.5, -0.5, 0.5))
    top.set(title=f"gain, σ = {level}", xlabel="cycles per pixel", xticks=[-0.5, 0, 0.5], yticks=[-0.5, 0, 0.5])
    weights = bottom.imshow(
        classical.gain_kernel(gain)[122:135, 122:135],
        norm=PowerNorm(0.5, 0, 0.55),
        cmap="magma",
        extent=(-6.5, 6.5, -6.5, 6.5),
    )
    bottom.set(title=f"weights, σ = {level}", xlabel="pixels")
figure.colorbar(shown, ax=axes[0], label="kept share")
figure.colorbar(weights, ax=axes[1], label="weight (square-root scale)")
show_figure(
    figure,
    "Top row: the gain at three noise levels, a bright blob around zero frequency that shrinks as "
    "sigma grows. Bottom row: the weights in space, a spot that widens and fades as sigma grows.",
    photographic=True,
)

# %% [markdown]
# More noise: fewer waves are kept, and more pixels are averaged. As a single number for the width, take the side
# of the square whose plain mean would suppress noise as much.

# %%
widths = [classical.effective_width(gain) for gain in gains.values()]
claim("effective width at σ = 0.04", widths[0], at_least=1, unit="pixels")
claim("effective width at σ = 0.1 over that at 0.04", widths[1] / widths[0], at_least=1.2, source="deck 000")
claim("effective width at σ = 0.2 over that at 0.1", widths[2] / widths[1], at_least=1.2, source="deck 000")

# %% [markdown]
# Now your guess from the beginning. The slowest wave is nearly all signal, the fastest nearly all noise.

# %%
gain = classical.wiener_gain(spectrum, sigma)
print(f"slowest wave: keep ≈ {gain[0, 1]:.3f}, you said {my_slow}")
print(f"fastest wave: keep ≈ {gain[128, 128]:.3f}, you said {my_fast}")

# %% [markdown]
# ## 5 · Filter the photograph (5 minutes)
#
# By hand, in three lines: to frequencies, multiply, back to pixels.

# %%
noisy_hat = torch.fft.fft2(noisy)
denoised_hat = gain * noisy_hat
denoised = torch.fft.ifft2(denoised_hat).real

# %%
show_images(
    {
        f"noisy, {metrics.psnr(noisy, clean).item():.1f} dB": noisy,
        f"Wiener, {metrics.psnr(denoised, clean).item():.1f} dB": denoised,
        "clean": clean,
    },
    alt="The cat three times: noisy; after the Wiener filter, with most grain gone and softer whiskers; clean.",
)

# %% [markdown]
# Above the pictures stands the peak signal-to-noise ratio, −10·log₁₀ of the mean squared error: 3 dB more is
# half the error.
#
# With a library: SciPy convolves the noisy image with the weights in space. To continue the image periodically, half an
# image is added at each side: 127 pixels before, 128 after, since the weights' centre is at index 128. Confirm that the
# difference is small:

# %%
from scipy.signal import fftconvolve

weights = classical.gain_kernel(gain)
periodic = np.pad(noisy[0, 0], ((127, 128), (127, 128)), mode="wrap")
by_library = fftconvolve(periodic, weights, mode="valid")
claim("largest difference, by hand to library", float(np.abs(by_library - denoised[0, 0].numpy()).max()), at_most=1e-5)

# %% [markdown]
# Two functions of well-known libraries carry the same name and are something else: `scipy.signal.wiener` adapts to
# local variance, `skimage.restoration.wiener` undoes a blur.
#
# ## 6 · Which error to expect (5 minutes)
#
# Put the gain into the error of section 3 and sum over all waves. Parseval gives one $1/n$, the mean over pixels
# the other:
#
# $$\text{MSE} = \frac1{n^2} \sum_k \left[(1 - \hat w_k)^2 S_k + \hat w_k^2\, n\sigma^2\right]
# \quad\text{and at the Wiener gain}\quad \frac1{n^2} \sum_k \frac{S_k\, n\sigma^2}{S_k + n\sigma^2} .$$
#
# Does it hold? Draw a hundred images from a population with exactly this spectrum, add noise to each, filter,
# measure.

# %%
population = data.gaussian_images(spectrum.double(), 100, generator)
noisy_population = physics.add_gaussian_noise(population, sigma, generator)
estimates = classical.wiener_filter(noisy_population, spectrum.double(), sigma)

simulated = metrics.mse(estimates, population).mean().item()
predicted = classical.expected_mse(gain.double(), spectrum.double(), sigma).item()
claim("simulated error over the closed form, difference", 100 * abs(simulated / predicted - 1), at_most=0.5, unit="%")

# %% [markdown]
# The formula also says that nothing beats this gain. Change it at random, ten times, and measure on the same noise:

# %%
def measured_error(some_gain):
    """Mean squared error of any gain on the hundred images above."""
    return metrics.mse(physics.CircularConvolution(some_gain)(noisy_population), population).mean().item()

changed = [gain.double() * (1 + 0.1 * torch.randn(gain.shape, generator=generator)) for _ in range(10)]
claim(
    "least error among ten changed gains, over the Wiener gain's",
    min(map(measured_error, changed)) / simulated,
    at_least=1.0001,
    source="deck 000",
    digits=4,
)

# %% [markdown]
# ## 7 · The other view: learn a matrix (8 minutes)
#
# Nothing in the problem mentions waves. One could as well ask for the matrix $W$ and vector $b$ that bring
# $W y + b$ nearest to $x$: ordinary regression from pixels to pixels, the **linear MMSE estimator** of deck 004. With
# the mean $\mu$ and the covariance $C$ of the pixels,
#
# $$W = C\,(C + \sigma^2 I)^{-1}, \qquad b = \mu - W\mu .$$
#
# On patches of 8 × 8 pixels this is a matrix of 64 × 64. Learn it from the photographs:

# %%
patches = classical.extract_patches(training, 8, stride=4)
mu, C = patches.mean(dim=0), torch.cov(patches.T)
W, b = classical.linear_mmse(mu, C, sigma)
print(f"{len(patches)} patches of {patches.shape[1]} pixels; W is {W.shape[0]} × {W.shape[1]}")

# %% [markdown]
# Is it the best matrix? The error is $W y + b - x = (W - I)(x - \mu) + W z$, so that its expected square is known for any matrix:
#
# $$r(W) = \operatorname{tr}\!\left[(W - I)\,C\,(W - I)^\top\right] + \sigma^2 \|W\|^2 .$$
#
# Change $W$ at random, ten times, each entry by about a tenth, and compute it:

# %%
def risk(W):
    """The exact expected squared error of W y + μ − W μ, summed over a patch."""
    W, exact_C = W.double(), C.double()
    return ((W @ exact_C @ W.T).trace() - 2 * (W @ exact_C).trace() + exact_C.trace() + sigma**2 * W.square().sum()).item()

tenth = torch.Generator().manual_seed(7)
other_matrix = [W * (1 + 0.1 * torch.randn(W.shape, generator=tenth)) for _ in range(10)]
claim(
    "least risk among ten changed W, over the linear MMSE matrix's",
    min(map(risk, other_matrix)) / risk(W),
    at_least=1.0001,
    source="deck 004",
    digits=4,
)

# %% [markdown]
# Row $i$ of $W$ holds the weights for pixel $i$. Draw four rows as 8 × 8 pictures, and mark the pixel that each row
# estimates:

# %%
figure, axes = plt.subplots(1, 4, figsize=(8, 2.4))
for ax, (row, column) in zip(axes, [(2, 2), (3, 4), (4, 3), (5, 5)], strict=True):
    ax.imshow(W[8 * row + column].reshape(8, 8), vmin=0, vmax=0.27, cmap="magma")
    ax.plot(column, row, "+", color="#56B4E9", ms=12, mew=2)
    ax.set(title=f"row of pixel ({row}, {column})", xticks=[], yticks=[])
show_figure(
    figure,
    "Four rows of the learned matrix as small pictures: each is the same bright spot, centred on the "
    "marked pixel that the row estimates.",
)

# %% [markdown]
# Four times the same filter, shifted. No wonder: how alike two pixels are depends on how far apart they are, not on
# where they lie. The covariance is **translation invariant**: the entries of $C$ that belong to one offset are
# nearly equal.

# %%
place = torch.arange(8)
rows, columns = (p.flatten() for p in torch.meshgrid(place, place, indexing="ij"))
offset = (rows[:, None] - rows) * 100 + (columns[:, None] - columns)
within = max(float(C[offset == d].std(correction=0)) for d in offset.unique())
claim("largest spread of C within one offset, relative to the variance", within / float(C.diag().mean()), at_most=0.05)

# %% [markdown]
# For photographs of 100 × 100 pixels the matrix would be 10,000 × 10,000. In double precision that is

# %%
print(
    f"{10_000**2 * 8 / 1e6:.0f} MB for W, against {2 * 128 * 129 * 8 / 1e6:.1f} MB for all gains of a 256 × 256 image"
)

# %% [markdown]
# and a hundred million numbers to learn from a handful of photographs. Translation invariance saves us: it allows one
# filter for all pixels, and one number for each wave.
#
# If the covariance is *exactly* invariant and wraps around the border (a circulant matrix), both views are the same
# estimator. Build such a covariance on 16 × 16 pixels from a power law, and compare:

# %%
small = data.power_law_spectrum(16, exponent=2.0)
small[0, 0] = 0  # the mean is treated apart, by b
covariance_of_offset = torch.fft.ifft2(small).real / small.numel()
index = torch.arange(16)
row, column = (p.flatten() for p in torch.meshgrid(index, index, indexing="ij"))
circulant = covariance_of_offset[(row[:, None] - row) % 16, (column[:, None] - column) % 16]

# %%
matrix, _ = classical.linear_mmse(torch.zeros(256, dtype=torch.float64), circulant, sigma)
waves = physics.CircularConvolution(classical.wiener_gain(small, sigma))
image = torch.randn(1, 1, 16, 16, generator=generator, dtype=torch.float64)
difference = (matrix @ image.flatten() - waves(image).flatten()).abs().max().item()
claim("largest difference, matrix to circular filter", difference, at_most=1e-5, source="decks 000, 004")

# %% [markdown]
# ## 8 · Two ways to look at one filter (3 minutes)
#
# Deck 000 names two perspectives: in the image, a *weighted average* of nearby pixels; in frequency, a *weighted
# projection* onto waves. Write both out literally on the small image: a sum over shifted images, and a sum over
# all 256 waves.

# %%
weight_of_shift = torch.fft.ifft2(classical.wiener_gain(small, sigma)).real
average = sum(weight_of_shift[i, j] * image.roll((i, j), dims=(-2, -1)) for i in range(16) for j in range(16))

# %%
phase = torch.outer(index, index).double() * (2 * torch.pi / 16)
wave = torch.exp(1j * phase) / 4  # columns: the 16 waves of one dimension, of length 1
coefficients = wave.conj().T @ image[0, 0].to(wave.dtype) @ wave.conj()
projection = (wave @ (classical.wiener_gain(small, sigma) * coefficients) @ wave.T).real
claim(
    "largest difference, average to projection",
    (average - projection).abs().max().item(),
    at_most=1e-6,
    source="deck 000",
)

# %% [markdown]
# ## 9 · Play (5 minutes)
#
# The first picture is drawn here; the sliders below draw it again. Turn σ up and watch the weights spread and the
# picture soften. Then let the spectrum come from other photographs: smooth ones promise little at high frequencies,
# and the filter blurs more.

# %%
sources = {
    "the eight photographs": training,
    "smooth: moon, rocket": data.photographs(["moon", "rocket"]),
    "rough: gravel, china": data.photographs(["gravel", "china"]),
}
spectra = {name: classical.power_spectrum(data.with_symmetries(images)) for name, images in sources.items()}
grain = torch.randn(clean.shape, generator=generator)

# %%
play_figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.7))
spot = left.imshow(np.zeros((13, 13)), norm=PowerNorm(0.5, 0, 0.55), cmap="magma", extent=(-6.5, 6.5, -6.5, 6.5))
left.set(title="weights in space", xlabel="pixels")
picture = right.imshow(clean[0, 0], vmin=0, vmax=1)
right.set_axis_off()

def draw(level, photographs):
    y = clean + level / 255 * grain
    gain = classical.wiener_gain(spectra[photographs], level / 255)
    estimate = physics.CircularConvolution(gain)(y)
    spot.set_data(classical.gain_kernel(gain)[122:135, 122:135])
    picture.set_data(estimate[0, 0])
    before, after = metrics.psnr(y, clean).item(), metrics.psnr(estimate, clean).item()
    right.set_title(f"σ = {level}/255: {before:.1f} → {after:.1f} dB")
    return (
        f"The Wiener filter's weights, and the filtered cat at sigma = {level}/255, spectrum from {photographs}: "
        f"PSNR from ≈ {before:.1f} to ≈ {after:.1f} dB."
    )

show_figure(play_figure, draw(25, "the eight photographs"), photographic=True)

# %% tags=["nbval-ignore-output"]
from ipywidgets import Dropdown, IntSlider

player = play(
    play_figure,
    draw,
    level=IntSlider(25, 1, 100, description="noise level σ × 255"),
    photographs=Dropdown(options=list(sources), description="spectrum from"),
)

# %% [markdown]
# ## 10 · On photographs never seen (5 minutes)
#
# The spectrum came from eight photographs. Seven others were kept aside. Every second name of the alphabet went to
# each group, so nobody chose the easy ones. As a rival take a Gaussian blur, its width chosen on the same eight
# training photographs by the same measure, the mean squared error.

# %%
def error(gain, photograph):
    """The exact expected error on one photograph: its own |x̂|² is its spectrum."""
    return classical.expected_mse(gain, classical.power_spectrum(photograph[None]), sigma).item()

blur_widths = np.arange(0.4, 3.0, 0.02)
blurs = [physics.gaussian_gain((256, 256), width).float() for width in blur_widths]
mean_errors = [classical.expected_mse(blur, classical.power_spectrum(training), sigma).item() for blur in blurs]
blur = blurs[int(np.argmin(mean_errors))]

# %%
test = data.photographs(data.TEST_PHOTOGRAPHS)

def improvement(gains):
    """Decibels gained over the noisy image, for one gain on each test photograph."""
    return np.array([10 * np.log10(sigma**2 / error(g, x)) for g, x in zip(gains, test, strict=True)])

wiener_db = improvement([gain] * len(test))
blur_db = improvement([blur] * len(test))
oracle_db = improvement([min(blurs, key=lambda g, x=x: error(g, x)) for x in test])

# %%
figure, ax = plt.subplots(figsize=(7, 3.6))
places = np.arange(len(test))
results = {"wiener": wiener_db, "gaussian": blur_db, "oracle": oracle_db}
for shift, (name, values) in zip((-0.15, 0, 0.15), results.items(), strict=True):
    ax.plot(places + shift, values, **display.method_style(name) | {"linestyle": ""}, ms=7)
ax.set_xticks(places, data.TEST_PHOTOGRAPHS)
ax.set(ylabel="gain over noisy (dB)", title="Seven photographs never used for the spectrum, σ = 25/255", ylim=(0, None))
ax.legend(loc="upper right")
show_figure(
    figure,
    "Gain in decibels for seven test photographs: the Wiener filter and the common blur lie close "
    "together, between 3 dB for grass and 9 dB for the clock; the blur tuned on each image is far above both for "
    "the clock, a little above for cat and grass, and level or just below for the others.",
)

# %%
claim("mean gain of the Wiener filter over noisy", wiener_db.mean(), at_least=5, unit="dB")
claim(
    "Wiener filter over the blur chosen on the training photographs",
    (wiener_db - blur_db).mean(),
    at_least=0,
    unit="dB",
)
claim(
    "blur tuned on each test image (oracle) over the Wiener filter",
    (oracle_db - wiener_db).mean(),
    at_least=0.5,
    unit="dB",
)

# %% [markdown]
# **The last line is a failure, and no contradiction.** The Wiener filter is the best *single* filter for a *population*.
# The oracle has looked at each clean image and picked a width for it: for the smooth clock a far wider one. No
# estimator that sees only $y$ and the population's spectrum is promised to match that. The lead over the common blur
# is small, too: where photographs are concerned, a blur of the right width is nearly Wiener. What the theory adds is the
# right width without a search, and an error that no single filter can go below on the population.
#
# ## 11 · Where it breaks: an edge (5 minutes)
#
# One filter for all pixels means the same average everywhere, also across an edge. Take the plainest edge, a disc, and
# draw the filter's reach on top of it.

# %%
axis = torch.arange(256) - 128.0
radius = torch.hypot(axis[:, None], axis[None, :])
disc = 0.25 + 0.5 * (radius < 70).float()[None, None]
noisy_disc = physics.add_gaussian_noise(disc, sigma, generator)
wiener_disc = classical.wiener_filter(noisy_disc, spectrum, sigma)
bilateral_disc = classical.bilateral(noisy_disc, sigma)

# %%
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3.2), width_ratios=(1, 1, 1.5))
window = slice(112, 144), slice(182, 214)
left.imshow(wiener_disc[0, 0][window], vmin=0, vmax=1)
left.contour(classical.gain_kernel(gain)[window[0], 112:144], levels=[0.01, 0.05, 0.15], colors="#56B4E9")
left.set_title("Wiener, and its reach")
middle.imshow(bilateral_disc[0, 0][window], vmin=0, vmax=1)
middle.set_title("bilateral")
for name, estimate in {"clean": disc, "wiener": wiener_disc, "bilateral": bilateral_disc}.items():
    rings = [estimate[0, 0][radius.round() == r].mean() for r in range(64, 77)]
    right.plot(range(64, 77), rings, **display.method_style(name) | {"marker": ""})
right.set(xlabel="distance from the disc's centre (pixels)", ylabel="mean grey value", title="profile across the edge")
right.legend()
left.set_axis_off()
middle.set_axis_off()
show_figure(
    figure,
    "Close-ups of a disc's edge: the Wiener filter blurs it, and contours show its weights reaching "
    "over the edge; the bilateral filter leaves a ragged but sharper edge. A profile: the Wiener filter's slope is "
    "flatter than the clean one, the bilateral filter's lies between the two.",
)

# %% [markdown]
# The **bilateral filter** (Tomasi and Manduchi 1998) gives weight only to pixels that are near *and* of similar value:
# at each pixel another average, which stops at most of the edge. The step stays nearer to the clean one.

# %%
distance = (radius - 70).abs()[None, None]
edge, flat = distance < 3, distance > 20

def rms(estimate, where):
    return (estimate - disc)[where].square().mean().sqrt().item()

claim(
    "error at the edge, Wiener over bilateral",
    rms(wiener_disc, edge) / rms(bilateral_disc, edge),
    at_least=1.1,
    source="deck 000",
)

# %% [markdown]
# It pays for that where there is no edge to protect. On flat ground it takes noise for structure, so it is worse than the
# plain blur of the same reach. And on texture without edges, here Gaussian images drawn from the photographs' own spectrum,
# no estimator at all beats the Wiener filter:

# %%
blurred_disc = classical.gaussian_blur(noisy_disc, 1.5)
claim(
    "error on flat ground, bilateral over a blur of its reach",
    rms(bilateral_disc, flat) / rms(blurred_disc, flat),
    at_least=1.1,
)

texture, noisy_texture = population[:4].float(), noisy_population[:4].float()
bilateral_error = metrics.mse(classical.bilateral(noisy_texture, sigma), texture).mean().item()
wiener_error = metrics.mse(estimates[:4].float(), texture).mean().item()
claim("squared error on texture, bilateral over Wiener", bilateral_error / wiener_error, at_least=1.1)

# %% [markdown]
# Photographs are more edges and flat ground than such texture. On flat ground the bilateral filter averages over a wider
# window than the Wiener filter dares to, so on the photographs it wins on average, edges included:

# %%
noisy_test = physics.add_gaussian_noise(test, sigma, generator)
by_bilateral = metrics.psnr(classical.bilateral(noisy_test, sigma), test).mean().item()
by_wiener = metrics.psnr(classical.wiener_filter(noisy_test, spectrum, sigma), test).mean().item()
claim(
    "bilateral filter over the Wiener filter, mean of seven photographs",
    by_bilateral - by_wiener,
    at_least=0.3,
    unit="dB",
)

# %% [markdown]
# **How to tell, without the clean image.** Look at what the filter removed, $y - \hat x$. If it removed noise only, this
# residual has no shape. Where you recognise the scene, the filter took signal.

# %%
show_images(
    {
        "removed from the cat": noisy - denoised,
        "removed from the disc": noisy_disc - wiener_disc,
        "noise alone": noisy_disc - disc,
    },
    alt="Three residuals: in the first the outlines of the cat's eyes can be made out, in the second the outline of the "
    "disc; the third is noise without shape.",
    limits=(-0.3, 0.3),
)

# %% [markdown]
# Photographs are full of edges, and a linear filter has one answer for all of them. The next step, later in the course, is
# a network that is linear near each image, but with another filter at every pixel.
#
# ## Recap
#
# - A filter multiplies waves; the best share of each is signal over signal plus noise, $S / (S + n\sigma^2)$.
# - Its error is known in advance, and no linear translation-invariant filter has less on the population.
# - Regression on pixels finds the same filter, at the price of a matrix that nobody can store or learn.
# - One filter for all pixels blurs edges; the residual shows it.
#
# **To read.** Wiener, *Extrapolation, Interpolation, and Smoothing of Stationary Time Series* (1950). Field,
# "Relations between the statistics of natural images and the response properties of cortical cells" (1987). Mohan,
# Kadkhodaie, Simoncelli and Fernandez-Granda, "Robust and interpretable blind image denoising via bias-free
# convolutional neural networks" (2020), section 5.
#
# **Open question.** σ was told to the filter. How would you estimate it from a single noisy photograph? Imagine the picture
# of section 2 for its spectrum, signal and noise together: where would you look?
