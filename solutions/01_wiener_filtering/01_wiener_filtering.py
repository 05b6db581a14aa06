# ---
# jupyter:
#   course:
#     title: "Lab: build a Wiener filter, and send it to a hospital"
#     level: introductory
#     minutes: 110
#     needs: "lecture 01"
# ---

# %% [markdown]
# # Lab 01: build a Wiener filter, and send it to a hospital
#
# {{header}}
#
# You will write seven short functions, most of them one to three lines, and end with a small study of your own:
# a filter that was designed on photographs meets brain images. When you are done you can
#
# - estimate a power spectrum and turn it into the best gain,
# - say beforehand which error a filter will make, and confirm it,
# - find the same filter by regression, as a matrix,
# - say what a wrong spectrum or a wrong noise level costs, in decibels.
#
# **How the exercises work.** Each one has a cell with a function to fill in: put your lines in place of
# `raise NotImplementedError()`. The cell after it checks your function and says what is wrong, if anything. For hints, run for
# example `lab.power_spectrum.hint()` in a cell of your own: each call shows one more. If you are stuck, go on: the cells below
# then work with the course's own function. You can come back at any time.

# %%
import math

import matplotlib.pyplot as plt
import torch

from course_lib import classical, data, display, metrics, physics
from course_lib.display import claim, show_figure, show_images
from course_lib.exercises import wiener_filtering as lab

# %% [markdown]
# ## The material (3 minutes)
#
# Eight photographs to design the filter on, each in eight mirrored and turned positions, and two others to try it on, all
# of 192 × 192 pixels. `sigma` is the standard deviation of the noise.

# %%
training = data.with_symmetries(data.photographs(data.TRAINING_PHOTOGRAPHS, size=192))
clean = data.photographs(["cat", "hopper"], size=192)

sigma = 25 / 255
generator = torch.Generator().manual_seed(11)
noisy = physics.add_gaussian_noise(clean, sigma, generator)

# %%
show_images(
    {"cat": clean[0, 0], "cat, noisy": noisy[0, 0], "hopper": clean[1, 0], "hopper, noisy": noisy[1, 0]},
    alt="Two photographs to try the filter on, a cat's face and a portrait, each clean and with grain.",
)

# %% [markdown]
# ## Exercise 1 · Power spectrum of images (12 minutes, 5 points)
#
# The power spectrum is the mean power of each wave over many images, $S_k = \mathbb E\,|\hat x_k|^2$, where
# $\hat x = F x$ is the plain (unnormalised) Fourier transform that `torch.fft.fft2` computes.
#
# Write `power_spectrum`: images in, one spectrum out. Keep zero frequency where the transform puts it, at `[0, 0]`.

# %% nbgrader={"grade": false, "grade_id": "power_spectrum", "locked": false, "schema_version": 3, "solution": true, "task": false}
def power_spectrum(images):
    """Mean of |x̂|² over all images.

    images: float32 (batch, 1, height, width), grey values in [0, 1]
    returns: a real tensor S of shape (height, width), zero frequency at [0, 0]
    """
    ### BEGIN SOLUTION
    transforms = torch.fft.fft2(images)
    return transforms.abs().square().mean(dim=(0, 1))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_power_spectrum", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.power_spectrum.check(power_spectrum)

# %%
power_spectrum = lab.power_spectrum.or_reference(power_spectrum)

# %% [markdown]
# What you should see: a bright centre, a cross along the axes, and a fall towards the corners. The spectrum spans
# many orders of magnitude, so the picture shows its logarithm, with zero frequency moved to the middle.

# %%
spectrum = power_spectrum(training)

show_images(
    {"log₁₀ S of the photographs": torch.fft.fftshift(spectrum.log10())},
    alt="Logarithm of the power spectrum: bright in the centre, a cross along both axes, darker towards the corners.",
    limits=None,
    colorbar=True,
    width=3.4,
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Power falls in all directions, so most of a photograph lies in few waves. The cross has two
# causes: buildings and horizons are upright or level, and the transform takes the image as periodic, so the jump
# between opposite borders counts as an edge along the axes.

# %% [markdown]
# ## Exercise 2 · The Wiener gain (10 minutes, 5 points)
#
# At each frequency, keep the signal's share of the power. White noise of standard deviation σ has the same power at
# every frequency of the plain transform. Which one? (Sections 2 and 3 of the lecture.)

# %% nbgrader={"grade": false, "grade_id": "wiener_gain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def wiener_gain(spectrum, sigma):
    """The share of each wave to keep.

    spectrum: float32 (height, width), from exercise 1
    sigma: noise level σ > 0 in the image's units, a number
    returns: a real tensor of gains of shape (height, width)
    """
    ### BEGIN SOLUTION
    noise = spectrum.numel() * sigma**2
    return spectrum / (spectrum + noise)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_wiener_gain", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.wiener_gain.check(wiener_gain)

# %%
wiener_gain = lab.wiener_gain.or_reference(wiener_gain)

# %% [markdown]
# What you should see: a gain near 1 for slow waves that falls towards 0, and falls earlier when there is more noise.

# %%
figure, ax = plt.subplots(figsize=(6, 3.2))
for level in (10, 25, 50):
    ax.semilogx(*classical.radial_profile(wiener_gain(spectrum, level / 255)), label=f"σ = {level}/255")
ax.set(
    xlabel="frequency (cycles per pixel)",
    ylabel="gain",
    title="The share kept, mean over all directions",
    ylim=(0, 1.03),
)
ax.legend()
show_figure(
    figure, "Three falling curves of the gain against frequency; the larger sigma is, the earlier the curve falls."
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** At σ = 25/255 the gain passes one half near 0.2 cycles per pixel, where the photographs' power
# equals the noise power. That frequency is a wave of about five pixels: finer detail is mostly noise.

# %% [markdown]
# ## Exercise 3 · Applying a gain (12 minutes, 5 points)
#
# To frequencies, multiply, back to pixels. The theory is circular: beyond its border an image goes on at its other
# side, which is what the Fourier transform assumes by itself.

# %% nbgrader={"grade": false, "grade_id": "apply_gain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def apply_gain(noisy, gain):
    """Filter images by a gain at each frequency.

    noisy: float32 (batch, 1, height, width)
    gain: float32 (height, width), zero frequency at [0, 0]
    returns: a real tensor of the shape of noisy
    """
    ### BEGIN SOLUTION
    filtered = gain * torch.fft.fft2(noisy)
    return torch.fft.ifft2(filtered).real
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_apply_gain", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.apply_gain.check(apply_gain)

# %%
apply_gain = lab.apply_gain.or_reference(apply_gain)

# %% [markdown]
# What you should see: most of the grain gone, whiskers and the cap's badge softer, and about 6 dB gained.

# %%
gain = wiener_gain(spectrum, sigma)
denoised = apply_gain(noisy, gain)

show_images(
    {
        "cat, noisy": noisy[0, 0],
        "cat, filtered": denoised[0, 0],
        "hopper, noisy": noisy[1, 0],
        "hopper, filtered": denoised[1, 0],
    },
    alt="The cat and the portrait, noisy and filtered: most of the grain is gone and fine detail is softer.",
)
before, after = metrics.psnr(noisy, clean).mean().item(), metrics.psnr(denoised, clean).mean().item()
claim("gain in PSNR, mean of two photographs", after - before, at_least=4, unit="dB")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The cat gains more than the portrait: fur out of focus is smooth, a uniform is full of edges. One
# filter serves both, and suits neither exactly.

# %% [markdown]
# ## Exercise 4 · The error to expect (15 minutes, 5 points)
#
# A good engineer knows the error before building the filter. After filtering, the error at frequency $k$ is
# $(1 - \hat w_k)\,\hat x_k - \hat w_k \hat z_k$. Image and noise are independent, and the noise has mean 0. Which mean
# squared error **per pixel** follows for *any* real gain, not only the best one? Try it on paper before you look it up.
#
# Parseval's relation for the plain transform: $\sum_{\text{pixels}} |x|^2 = \frac1n \sum_k |\hat x_k|^2$.

# %% nbgrader={"grade": false, "grade_id": "expected_mse", "locked": false, "schema_version": 3, "solution": true, "task": false}
def expected_mse(gain, spectrum, sigma):
    """Mean squared error of a pixel after filtering.

    gain: float32 (height, width), any real gain
    spectrum: float32 (height, width), S of the clean images
    sigma: noise level σ > 0, a number
    returns: one number, in squared units of the image
    """
    ### BEGIN SOLUTION
    pixels = spectrum.numel()
    lost_signal = (1 - gain) ** 2 * spectrum
    kept_noise = gain**2 * pixels * sigma**2
    return (lost_signal + kept_noise).sum() / pixels**2
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_expected_mse", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.expected_mse.check(expected_mse)

# %%
expected_mse = lab.expected_mse.or_reference(expected_mse)

# %% [markdown]
# Predict the error on the cat (its own $|\hat x|^2$ takes the part of $S$), then measure it over 50 draws of noise.

# %%
cat = clean[:1]
predicted = float(expected_mse(gain, power_spectrum(cat), sigma))
draws = [
    metrics.mse(apply_gain(physics.add_gaussian_noise(cat, sigma, generator), gain), cat).item() for _ in range(50)
]
measured = sum(draws) / len(draws)

print(f"predicted ≈ {predicted:.6f}, measured ≈ {measured:.6f}")
claim("difference between prediction and measurement", 100 * abs(measured / predicted - 1), at_most=0.5, unit="%")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The two agree within half a percent, although the cat is one image and no population: for a fixed
# image the formula is exact in the mean over noise. Of the error here, about one third is lost signal and two thirds are
# noise that passed: the cat is smoother than the photographs that the filter was made for.

# %% [markdown]
# ## Exercise 5 · Linear MMSE as a matrix (20 minutes, 5 points)
#
# Forget waves. Among all maps $y \mapsto W y + b$, which one brings $y = x + z$ nearest to $x$? With the mean $\mu$ and
# the covariance $C$ of the pixels the answer is
#
# $$W = C\,(C + \sigma^2 I)^{-1}, \qquad b = \mu - W \mu .$$
#
# Estimate both statistics from clean patches, one a row, and return `W` and `b`.

# %% nbgrader={"grade": false, "grade_id": "linear_mmse", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_mmse(patches, sigma):
    """The best affine map from noisy to clean patches.

    patches: float32 (count, pixels), clean patches, one a row
    sigma: noise level σ > 0, a number
    returns: W of shape (pixels, pixels) and b of shape (pixels,)
    """
    ### BEGIN SOLUTION
    mu = patches.mean(dim=0)
    centred = patches - mu
    C = centred.T @ centred / len(patches)
    W = C @ torch.linalg.inv(C + sigma**2 * torch.eye(len(mu)))
    return W, mu - W @ mu
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_linear_mmse", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.linear_mmse.check(linear_mmse)

# %%
linear_mmse = lab.linear_mmse.or_reference(linear_mmse)

# %% [markdown]
# What you should see: rows of $W$, drawn as pictures, that all show one spot around the pixel they estimate (the cross).

# %%
patches = classical.extract_patches(data.photographs(size=192), 9, stride=3)
W, b = (part.float() for part in linear_mmse(patches, sigma))

figure, axes = plt.subplots(1, 4, figsize=(8, 2.4))
for ax, (row, column) in zip(axes, [(1, 1), (4, 4), (3, 6), (7, 2)], strict=True):
    ax.imshow(W[9 * row + column].reshape(9, 9), cmap="magma", vmin=0, vmax=0.27)
    ax.plot(column, row, "+", color="#56B4E9", ms=12, mew=2)
    ax.set(title=f"pixel ({row}, {column})", xticks=[], yticks=[])
show_figure(
    figure, "Four rows of the matrix as 9 by 9 pictures, each a bright spot centred on the pixel that it estimates."
)

# %% [markdown]
# Is it as good as the filter? Take the middle pixel of every patch of the noisy cat, once from the matrix, once from
# your filter.

# %%
noisy_patches = classical.extract_patches(noisy[:1], 9)
middle_by_matrix = (noisy_patches @ W.T + b)[:, 40]
middle_by_filter = classical.extract_patches(denoised[:1], 9)[:, 40]
middle_clean = classical.extract_patches(clean[:1], 9)[:, 40]

error_matrix = (middle_by_matrix - middle_clean).square().mean().item()
error_filter = (middle_by_filter - middle_clean).square().mean().item()
claim("error of the 9 × 9 matrix over that of the filter", error_matrix / error_filter, at_least=0.8, at_most=1.25)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** A patch of 9 × 9 pixels holds nearly all neighbours that matter at this noise level, so the matrix
# comes within a few percent of the filter. It needs 6,561 numbers for what the filter says with 81, and its corner pixels,
# which see only a quarter of their neighbours, are worse.

# %% [markdown]
# ## Exercise 6 · Choosing the training spectrum (12 minutes, 4 points)
#
# A hospital sends brain images, and you have several collections to design a filter on. Which one will make the least
# error *on brain images*? For each candidate spectrum: design the gain on it, then compute the error on the `truth`. Use
# your functions of exercises 2 and 4.

# %% nbgrader={"grade": false, "grade_id": "spectrum_risks", "locked": false, "schema_version": 3, "solution": true, "task": false}
def spectrum_risks(candidates, truth, sigma):
    """Mean squared error that each candidate's filter makes on images with another spectrum.

    candidates: float32 (count, height, width), spectra to choose from
    truth: float32 (height, width), spectrum of the images that the filter will meet
    sigma: noise level σ > 0, a number
    returns: a real tensor of shape (count,)
    """
    ### BEGIN SOLUTION
    risks = [expected_mse(wiener_gain(candidate, sigma), truth, sigma) for candidate in candidates]
    return torch.tensor([float(risk) for risk in risks])
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_spectrum_risks", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
lab.spectrum_risks.check(spectrum_risks)

# %%
spectrum_risks = lab.spectrum_risks.or_reference(spectrum_risks)

# %% [markdown]
# The brain images are five slices of an average anatomy of 152 people; `truth` is computed from just these five.
# **Predict:** which of the five collections below is nearest in its effect, and which is farthest?

# %%
brain = data.brain_anatomy()["t1"]
other_slices = data.brain_anatomy(heights_mm=(-20, 0, 15, 30, 45, 60))["t1"]
collections = {
    "eight photographs": training,
    "textures": data.photographs(["brick", "grass", "gravel"], size=192),
    "smooth scenes": data.photographs(["moon", "rocket", "clock"], size=192),
    "one photograph: moon": data.photographs(["moon"], size=192),
    "other brain slices": other_slices,
}

# %%
show_images(
    {f"slice {i + 1}": brain[i, 0] for i in range(5)},
    alt="Five axial slices of the average brain, front up, from the lower brain to the top.",
    columns=5,
    width=1.8,
)

# %%
candidates = torch.stack([power_spectrum(images) for images in collections.values()])
truth = power_spectrum(brain)
risks = spectrum_risks(candidates, truth, sigma)
loss = 10 * torch.log10(risks / float(expected_mse(wiener_gain(truth, sigma), truth, sigma)))

figure, ax = plt.subplots(figsize=(6.5, 2.8))
ax.barh(list(collections), loss, color=display.METHODS["wiener"].color)
ax.set(
    xlabel="loss against the brain slices' own spectrum (dB)", title="What the wrong training images cost, σ = 25/255"
)
show_figure(
    figure,
    "Bars of the loss in decibels for five training collections: other brain slices lose least, eight "
    "photographs next, the single moon most.",
)

# %%
for name, decibels in zip(collections, loss, strict=True):
    print(f"{name:<22} ≈ {decibels:.2f} dB")
claim("loss with eight photographs", float(loss[0]), at_most=1.5, unit="dB")
claim("loss with the moon alone", float(loss[3]), at_least=2, unit="dB")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Photographs of many things cost less than one decibel: brains, too, are areas with borders, and their
# power falls alike. A narrow collection costs much more, whether it is too rough or too smooth. Best are other slices of
# the same anatomy, and that flatters them: they are slices of the *same* average head.

# %% [markdown]
# ## Exercise 7 · What a mismatch costs (12 minutes, 4 points)
#
# Now put a wrong spectrum and a wrong noise level into one number. The filter *assumes* one pair, `spectrum` and
# `assumed_sigma`; the data *have* another, `truth` and `sigma`. The loss is the ratio of two errors in decibels: what the
# mismatched filter makes over the least possible.

# %% nbgrader={"grade": false, "grade_id": "mismatch_cost", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mismatch_cost(spectrum, assumed_sigma, truth, sigma):
    """Loss in decibels of a filter with wrong assumptions.

    spectrum, assumed_sigma: what the filter assumes, float32 (height, width) and a number
    truth, sigma: what the data have, float32 (height, width) and a number
    returns: one number in dB, at least 0
    """
    ### BEGIN SOLUTION
    mismatched = expected_mse(wiener_gain(spectrum, assumed_sigma), truth, sigma)
    least = expected_mse(wiener_gain(truth, sigma), truth, sigma)
    return 10 * math.log10(mismatched / least)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_mismatch_cost", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
lab.mismatch_cost.check(mismatch_cost)

# %%
mismatch_cost = lab.mismatch_cost.or_reference(mismatch_cost)

# %% [markdown]
# ## Question 8 · Your mismatch study (15 minutes, 4 points, marked by a person)
#
# The brain images come with noise of σ = 25/255. First compare the spectra: where do the photographs promise more signal
# than the brain slices hold?

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.2))
for label, S in {"brain slices": truth, "eight photographs": candidates[0]}.items():
    ax.loglog(*classical.radial_profile(S), label=label)
ax.axhline(truth.numel() * sigma**2, color=display.METHODS["noisy"].color, ls=":", label="noise")
ax.set(xlabel="frequency (cycles per pixel)", ylabel="power", title="What the filter expects, and what it meets")
ax.legend()
show_figure(
    figure,
    "Log-log plot of two spectra and the flat noise power: the photographs have less power than the brain slices at low "
    "frequencies and more at high ones, also where both fall below the noise.",
)

# %% [markdown]
# Now the cost. The first curve assumes the right spectrum and a wrong σ; the second assumes the photographs' spectrum as
# well.

# %%
factors = torch.logspace(-0.8, 0.8, 33)
right_spectrum = [float(mismatch_cost(truth, float(f) * sigma, truth, sigma)) for f in factors]
photographs = [float(mismatch_cost(candidates[0], float(f) * sigma, truth, sigma)) for f in factors]

figure, ax = plt.subplots(figsize=(6.5, 3.4))
ax.semilogx(factors, right_spectrum, label="spectrum of the brain slices")
ax.semilogx(factors, photographs, label="spectrum of eight photographs")
ax.set(
    xlabel="assumed σ / true σ",
    ylabel="loss (dB)",
    title="Brain slices at σ = 25/255: the cost of a wrong σ",
    ylim=(0, None),
)
ax.set_xticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
ax.minorticks_off()
ax.legend()
show_figure(
    figure,
    "Loss in decibels against assumed over true sigma for two spectra: the curve of the brain's own spectrum "
    "is a valley with its floor of 0 at 1; the photographs' curve lies higher and has its floor at another place.",
)

# %% [markdown]
# The same in numbers, with the error taken apart: the signal that is lost, and the noise that passes.

# %%
for factor in (0.25, 0.5, 1.0, 2.0, 4.0):
    cost = mismatch_cost(truth, factor * sigma, truth, sigma)
    assumed_gain = wiener_gain(truth, factor * sigma)
    lost = float(((1 - assumed_gain) ** 2 * truth).sum()) / truth.numel() ** 2
    passed = float((assumed_gain**2).mean()) * sigma**2
    print(
        f"assumed σ = {factor:4.2f} × true σ: loss ≈ {cost:.2f} dB, signal lost ≈ {lost:.5f}, noise passed ≈ {passed:.5f}"
    )

lowest = min(range(len(factors)), key=lambda i: photographs[i])
print(
    f"with the photographs' spectrum the least loss, ≈ {photographs[lowest]:.2f} dB, is at ≈ {factors[lowest]:.2f} × the true σ"
)

# %%
pair = {
    f: apply_gain(
        physics.add_gaussian_noise(brain[2:3], sigma, torch.Generator().manual_seed(5)), wiener_gain(truth, f * sigma)
    )
    for f in (0.25, 1.0, 4.0)
}
show_images(
    {"clean": brain[2:3]} | {f"σ assumed {f:g} ×": image for f, image in pair.items()},
    alt="A brain slice: clean; filtered with sigma assumed four times too small, still grainy; with the right sigma; "
    "with sigma four times too large, blurred.",
)

# %% [markdown]
# Write half a page:
#
# 1. What do the wrong spectra of exercise 6 cost on brain images, and what do the wrong noise levels cost?
# 2. Too small a σ and too large a σ harm in different ways. How does each look, and which costs more here? Why?
# 3. With the photographs' spectrum, the best assumed σ is not the true one. What is it making up for?
# 4. Before such a filter is used in a hospital, what would you measure first? Name one limit of this study.

# %% [markdown] nbgrader={"grade": true, "grade_id": "mismatch_study", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# 1. On brain slices the eight photographs cost about 0.7 dB, textures and smooth scenes between 2.5 and 3 dB, the moon
#    alone nearly 5 dB, other slices of the same anatomy 0.2 dB. A noise level wrong by a factor of two costs about 1 dB
#    either way, by a factor of four 3 to 4 dB.
# 2. Too small: grain remains, since the gain at high frequencies tends to 1; at a quarter of σ nearly all of the error is noise
#    that passed. Too large: fine structure is blurred; at four times σ nearly all of the error is signal that was lost. Too small
#    costs slightly more here, because at high frequencies these smooth slices hold more noise than signal.
# 3. Photographs have more power at high frequencies than the smooth average anatomy, so their filter keeps too much there.
#    A larger assumed σ, about 1.4 times the true one, lowers the gain at high frequencies and halves the loss.
# 4. The noise level, from the air around the head, since it costs most when it is wrong, and a spectrum from the scanner's own images.
#    A limit: the anatomy is one average of 152 people, smoother than any person, and a scanner's magnitude images have no
#    Gaussian noise.

# %% [markdown]
# ## Your progress

# %%
lab.progress()

# %% [markdown]
# In this lab you built the best linear filter in four steps, found it again by regression, and measured what wrong
# assumptions cost. Save the notebook before you hand it in. The filter's weakness, one answer for all pixels, is where the
# module on blind denoising starts.
