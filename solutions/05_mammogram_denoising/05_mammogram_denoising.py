# ---
# jupyter:
#   course:
#     title: "Lab: from photons to a decision, and whether denoising helps it"
#     level: intermediate
#     minutes: 114
#     needs: "lecture 05; torch, what a convolution does"
# ---

# %% [markdown]
# # Lab 05: from photons to a decision, and whether denoising helps it
#
# {{header}}
#
# You will follow an X-ray image from the photons to the question for which it was taken: are there calcifications? Seven short functions, and a study
# of your own. When you are done you can
#
# - predict the noise of an X-ray image from its dose, and make it equal everywhere,
# - say how far a network sees, write the convolution that sees further, and tell where it has gaps,
# - compute SSIM by hand, and say what it hardly notices,
# - measure a denoiser's error without the clean image,
# - count how many calcifications a fixed detector finds, and say honestly whether denoising has helped.
#
# The checks, the hints (for example `lab.stabilise.hint()`) and the way on for who is stuck work as in lab 01. The symbols are those of the lecture: $x$
# attenuation image (0 is air), $\lambda$ the mean number of photons of a pixel, $y$ what is measured: counts in exercises 1 and 2, a noisy image from
# exercise 6 on; $\sigma$ noise level, $\sigma_e$ the part of it that the detector's electronics adds, $f$ a denoiser.

# %%
import math
from functools import partial

import matplotlib.pyplot as plt
import torch

from course_lib import classical, data, metrics, networks, physics
from course_lib.display import claim, show_figure, show_images
from course_lib.exercises import mammogram_denoising as lab

# %% [markdown]
# ## The material (3 minutes)
#
# A breast from the generator of the lecture, which no network has learned from, and parts of the usual dose: `dose[64]` is a 64th of it, in photons that reach a
# pixel through air. Calcifications are grains of
# calcium that stand in clusters; `window` is the neighbourhood of one.

# %%
breast = data.mammogram("test", 20)
dose = {part: physics.USUAL_DOSE / part for part in (1, 16, 64, 256)}


def counts_of(image, part, seed=0):
    """What the detector reads at a part of the usual dose; its electronics adds 4 photons of noise."""
    return physics.xray_counts(image, dose[part], torch.Generator().manual_seed(1000 * part + seed))


def around(mammogram, reach=28):
    """The square of pixels around the middle of a mammogram's first calcifications."""
    row, column = mammogram.calcifications[:5, :2].mean(0).round().int().tolist()
    return (..., slice(row - reach, row + reach), slice(column - reach, column + reach))


window = around(breast)
noisy = {part: physics.attenuation_image(counts_of(breast.image, part), dose[part]) for part in dose}

# %%
show_images(
    {"usual dose": noisy[1]}
    | {f"cluster, dose 1/{part}": noisy[part][window] for part in (1, 16, 64)},
    alt="A breast from above with its chest wall on the left; a cluster of small bright dots in it, clear at the usual dose, grainy at a 16th, and at a 64th "
    "with only the larger dots left.",
    limits=(0.3, 0.9),
    columns=4,
    width=2.2,
)

# %% [markdown]
# ## Exercise 1 · The noise of an X-ray image (10 minutes, 5 points)
#
# The number of photons that a pixel counts is a Poisson number of mean $\lambda$, whose variance is $\lambda$ as well. The detector's electronics adds noise of the
# standard deviation $\sigma_e$, and the variances of independent noise add. The image that we look at is
#
# $$ -\tfrac13 \ln\frac{\text{counts}}{\text{dose}} . $$
#
# A curve turns small noise into noise times the size of its slope. Which standard deviation does the image have?


# %% nbgrader={"grade": false, "grade_id": "image_noise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def image_noise(counts_mean, electronic_noise):
    """The standard deviation of the attenuation image, to first order.

    counts_mean: float32 (height, width), above 0, the mean number of photons of each pixel, λ
    electronic_noise: the standard deviation of the detector's own noise in photons, σₑ
    returns: a tensor of the shape of counts_mean
    """
    ### BEGIN SOLUTION
    return (counts_mean + electronic_noise**2).sqrt() / (3 * counts_mean)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_image_noise", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.image_noise.check(image_noise)

# %%
image_noise = lab.image_noise.or_reference(image_noise)

# %% [markdown]
# **Predict:** where in the breast is the noise largest? And by how much does it grow from a 64th of the dose to a 256th: by a factor of 2, or by more?
#
# What you should see: the noise image looks like the breast itself, and 30 images of the same breast scatter as predicted.

# %%
mean_counts = {part: dose[part] * physics.transmission(breast.image)[0, 0] for part in dose}
predicted = {part: image_noise(mean_counts[part], 4.0) for part in dose}
draws = torch.cat([physics.attenuation_image(counts_of(breast.image, 64, seed), dose[64]) for seed in range(30)])
measured = draws.std(dim=0)[0]
show_images(
    {"breast": breast.image, "20 × predicted noise, dose 1/64": 20 * predicted[64], "20 × measured noise": 20 * measured},
    alt="A breast; the predicted noise, dark in the air and brightest where the breast is dense; and the measured noise, the same with grain.",
    columns=3,
)
inside, dense = breast.breast, breast.image[0, 0] > 0.65
claim(
    "measured noise over predicted, mean in the breast",
    float((measured / predicted[64])[inside].mean()),
    at_least=0.97,
    at_most=1.06,
)
growth = float((predicted[256] / predicted[64])[dense].mean())
claim("dense tissue: noise at 1/256 over that at 1/64", growth, at_least=2.05)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Photons alone would double the noise when the dose falls to a quarter. It grows by more, because the electronics adds the same 4 photons at any dose, and they weigh more
# where photons are few. The dense parts are the noisy ones.

# %% [markdown]
# ## Exercise 2 · Noise that is equal everywhere (10 minutes, 5 points)
#
# A denoiser that is told one noise level wants the same noise in every pixel. Of the counts $y$ take the generalised Anscombe transform
#
# $$ 2\sqrt{y + \tfrac38 + \sigma_e^2}\,. $$
#
# Its noise has the standard deviation 1, nearly, wherever there are some photons. Electronic noise can make a count negative: such a count goes into the root as it is. Only
# where the sum under the root is below 0, the result is 0.


# %% nbgrader={"grade": false, "grade_id": "stabilise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stabilise(counts, electronic_noise):
    """Counts with Poisson and Gaussian noise become numbers with noise of level 1.

    counts: float32 (height, width), y, in photons
    electronic_noise: σₑ, in photons
    returns: a tensor of the shape of counts
    """
    ### BEGIN SOLUTION
    return 2 * (counts + 3 / 8 + electronic_noise**2).clamp(min=0).sqrt()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_stabilise", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.stabilise.check(stabilise)

# %%
stabilise = lab.stabilise.or_reference(stabilise)

# %% [markdown]
# **Predict:** the standard deviation of the counts in dense tissue, over that in air. And of their roots?

# %%
thirty = torch.stack([counts_of(breast.image, 64, seed)[0, 0] for seed in range(30)])
roots = torch.stack([stabilise(counts, 4.0) for counts in thirty])
spread = {}
for name, region in {"air": ~inside, "dense tissue": dense}.items():
    spread[name] = [float(v.var(dim=0)[region].mean().sqrt()) for v in (thirty, roots)]
    print(f"{name}: counts scatter by ≈ {spread[name][0]:.1f}, their roots by ≈ {spread[name][1]:.3f}")
claim("counts: dense tissue over air", spread["dense tissue"][0] / spread["air"][0], at_most=0.5)
claim("roots: dense tissue over air", spread["dense tissue"][1] / spread["air"][1], at_least=0.98, at_most=1.02)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The root compresses bright places as much as their noise has grown. In the image of exercise 1 dense tissue was noisiest; in the roots all places are alike, and one
# number, $\sigma$, says it all. Divided by $2\sqrt{\text{dose}}$, air is 1 and $\sigma = 1/(2\sqrt{\text{dose}})$: such images the networks of the lecture take.

# %% [markdown]
# ## Exercise 3 · How far a network sees (8 minutes, 5 points)
#
# The **receptive field** is the number of pixels a side that one pixel of the result depends on. Layer $i$ has $k_i$ weights a side that lie $d_i$ pixels apart; its **dilation** $d_i = 1$ is the
# ordinary convolution. A layer widens the field by the distance from its first weight to its last.


# %% nbgrader={"grade": false, "grade_id": "receptive_field", "locked": false, "schema_version": 3, "solution": true, "task": false}
def receptive_field(kernel_sizes, dilations):
    """How many pixels a side one pixel of the result depends on.

    kernel_sizes: a list of whole numbers, k of each layer
    dilations: a list of whole numbers, d of each layer
    returns: a whole number
    """
    ### BEGIN SOLUTION
    return 1 + sum(d * (k - 1) for k, d in zip(kernel_sizes, dilations, strict=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_receptive_field", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.receptive_field.check(receptive_field)

# %%
receptive_field = lab.receptive_field.or_reference(receptive_field)

# %% [markdown]
# **Predict:** the lecture's network has four layers of 3 × 3 weights with the dilations 1, 2, 3, 1. How many pixels does it see? And how many layers would it take without dilation?
#
# Then measure it: the pixels by which the gradient of one pixel of the result is not 0.

# %%
network = networks.load_weights(networks.DilatedCNN(), "mammogram_dilated")
stabilised = {
    part: stabilise(counts_of(breast.image, part)[0, 0], 4.0)[None, None] / (2 * math.sqrt(dose[part])) for part in dose
}


def seen_by(network, image):
    """How many rows of `image` the pixel in its middle depends on, by autograd."""
    image = image.clone().requires_grad_(True)
    middle = network(image, 1 / (2 * math.sqrt(dose[64])))[0, 0, image.shape[-2] // 2, image.shape[-1] // 2]
    rows = torch.autograd.grad(middle, image)[0][0, 0].abs().sum(dim=1).nonzero()
    return int(rows.max() - rows.min()) + 1


by_formula = int(receptive_field([3] * 4, list(network.dilations)))
by_gradient = seen_by(network, stabilised[64][..., 200:280, 100:180])
print(f"by the formula {by_formula} pixels; four layers without dilation see {int(receptive_field([3] * 4, [1] * 4))}")
claim("rows that the gradient reaches", by_gradient, at_least=by_formula, at_most=by_formula)
layers = (by_formula - 1) // 2
claim("layers without dilation that see as far", layers, at_least=7, at_most=7)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Seven layers instead of four, with two and a half times the weights and the time. Where the dose is very low a pixel says little, and what its texture is must be asked further away.

# %% [markdown]
# ## Exercise 4 · A dilated convolution (15 minutes, 5 points)
#
# Write the layer itself, for one channel: $w_{ij}$ is the weight in row $i$ and column $j$ of the 3 × 3 kernel, counted from 0, and
#
# $$ \text{result}[r, c] = \sum_{i, j} w_{ij}\; \text{image}[\,r + (i - 1)d,\; c + (j - 1)d\,] , $$
#
# with zeros where that lies outside the image. The result has the image's size. Use neither `conv2d` nor `torch.nn.functional.unfold`: two loops over the nine weights are enough.


# %% nbgrader={"grade": false, "grade_id": "dilated_convolution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dilated_convolution(image, kernel, dilation):
    """Each pixel's weighted sum over nine pixels that lie `dilation` apart.

    image: float32 (height, width)
    kernel: float32 (3, 3), the weights w
    dilation: d, a whole number from 1
    returns: a tensor of the shape of image
    """
    ### BEGIN SOLUTION
    d, (height, width) = dilation, image.shape
    padded = torch.nn.functional.pad(image, (d, d, d, d))
    result = torch.zeros_like(image)
    for i in range(3):
        for j in range(3):
            result = result + kernel[i, j] * padded[i * d : i * d + height, j * d : j * d + width]
    return result
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_dilated_convolution", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.dilated_convolution.check(dilated_convolution)

# %%
dilated_convolution = lab.dilated_convolution.or_reference(dilated_convolution)

# %% [markdown]
# Confirm it with a layer of torch that has the same weights. Then three stacks of three layers, all weights 1, on a single bright pixel. **Predict:** (2, 2, 2) and (1, 2, 3) see equally
# far. Do they see the same pixels?

# %%
w = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
layer = torch.nn.Conv2d(1, 1, 3, padding=4, dilation=4, bias=False).requires_grad_(False)
layer.weight[:] = w
difference = (dilated_convolution(stabilised[64][0, 0], w, 4) - layer(stabilised[64])[0, 0]).abs().max()
claim("difference from torch's own layer, largest", difference.item(), at_most=1e-5)

stacks, ways = [(1, 1, 1), (2, 2, 2), (1, 2, 3)], {}
for dilations in stacks:
    ways[dilations] = torch.zeros(17, 17)
    ways[dilations][8, 8] = 1
    for d in dilations:
        ways[dilations] = dilated_convolution(ways[dilations], torch.ones(3, 3), d)
show_images(
    {f"dilations {key}": (value / value.max()).sqrt() for key, value in ways.items()},
    alt="How many ways lead from the middle pixel to each other one: a solid square of 7 pixels; a grid of separate dots 13 pixels wide; a filled square of 13 pixels.",
    columns=3,
)
reached = {key: int((value > 0).sum()) / receptive_field([3] * 3, list(key)) ** 2 for key, value in ways.items()}
claim("(2, 2, 2): share of its field that is reached", float(reached[2, 2, 2]), at_most=0.3)
claim("(1, 2, 3): share of its field", float(reached[1, 2, 3]), at_least=1)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** With (2, 2, 2) three of four pixels are never looked at, and neighbouring results come from separate grids. A receptive field says how far a network can see at most, not what it sees:
# dilations that grow by steps leave no gaps.

# %% [markdown]
# ## Exercise 5 · Structural similarity (14 minutes, 5 points)
#
# PSNR asks how large the error is, SSIM also what it looks like. Of two patches $x$ and $y$ let $\mu_x, \mu_y$ be the means, $\sigma_x^2, \sigma_y^2$ the variances and $\sigma_{xy}$ the covariance, the mean of
# $(x - \mu_x)(y - \mu_y)$; all of them divide by the number of pixels. Then
#
# $$ \text{SSIM} = \frac{2\mu_x\mu_y + c_1}{\mu_x^2 + \mu_y^2 + c_1} \cdot \frac{2\sigma_{xy} + c_2}{\sigma_x^2 + \sigma_y^2 + c_2}\,, \qquad c_1 = 0.01^2, \; c_2 = 0.03^2 . $$
#
# The library takes this in a small window around each pixel; here the patch is the window. (In this exercise alone $x$ and $y$ are any two patches.)


# %% nbgrader={"grade": false, "grade_id": "ssim", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ssim(x, y):
    """Structural similarity of two patches, each as a whole.

    x: float32 (height, width)
    y: float32 (height, width)
    returns: one number, 1 for equal patches
    """
    ### BEGIN SOLUTION
    mx, my = x.mean(), y.mean()
    vx, vy = (x - mx).square().mean(), (y - my).square().mean()
    covariance = ((x - mx) * (y - my)).mean()
    luminance = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
    return luminance * (2 * covariance + 0.03**2) / (vx + vy + 0.03**2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_ssim", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.ssim.check(ssim)

# %%
ssim = lab.ssim.or_reference(ssim)

# %% [markdown]
# Three ways to spoil the neighbourhood of the calcifications, all with the same mean squared error, 0.04²: brighter, more contrast, noise. Their PSNR is the same, 28 dB. **Predict** the order of their SSIM.

# %%
patch = breast.image[window][0, 0]
grain = torch.randn(patch.shape, generator=torch.Generator().manual_seed(3))
centred = patch - patch.mean()
grain = grain - grain.mean()
spoiled = {
    "brighter": patch + 0.04,
    "more contrast": patch + 0.04 * centred / centred.square().mean().sqrt(),
    "noise": patch + 0.04 * grain / grain.square().mean().sqrt(),
}
alike = {name: float(ssim(patch, image)) for name, image in spoiled.items()}
show_images(
    {"as it was": patch} | spoiled,
    alt="The neighbourhood of the calcifications; the same a little brighter; with stronger contrast; and under grain.",
    limits=(0.3, 0.9),
)
for name, image in spoiled.items():
    psnr = metrics.psnr(image[None, None], patch[None, None]).item()
    print(f"{name}: PSNR ≈ {psnr:.1f} dB, SSIM ≈ {alike[name]:.3f}")
claim("SSIM, brighter over noise", alike["brighter"] - alike["noise"], at_least=0.1)

# %% [markdown]
# **Predict:** show the same two patches with four times the contrast, as a screen may do: both patches and the noise are multiplied by 4. Is the SSIM the same?

# %%
stretched = float(ssim(4 * patch, 4 * spoiled["noise"]))
print(f"SSIM of the noisy patch: ≈ {alike['noise']:.3f}; of the same two times 4: ≈ {stretched:.3f}")
claim("how much SSIM falls when both patches are stretched by 4", alike["noise"] - stretched, at_least=0.02)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** SSIM hardly notices brightness, minds lost or gained contrast a little, and noise most. It depends on a range: $c_1$ and $c_2$ are made for images that fill $[0, 1]$. A mammogram's
# texture fills a small part of it, and $c_2$ then hides noise. An SSIM without its convention is no number, and no SSIM knows which dots matter.

# %% [markdown]
# ## Exercise 6 · The error without the clean image (15 minutes, 5 points)
#
# Nobody has a mammogram without noise. Stein's unbiased risk estimate (SURE) tells the mean squared error of a denoiser $f$ all the same. From here on $y$ is a stabilised noisy image with white noise of level $\sigma$, and $N$ is the number of
# pixels of one image:
#
# $$ \frac{\|y - f(y)\|^2}{N} - \sigma^2 + \frac{2\sigma^2}{N}\, \text{div} f(y) , \qquad \text{div} f(y) \approx \frac{n^T \bigl(f(y + \varepsilon n) - f(y)\bigr)}{\varepsilon} . $$
#
# The **divergence** div says how much each pixel of the result moves with its own noise. It is measured by a small step $\varepsilon$ in a random direction $n$ of standard normal numbers: $n^T v$ is the sum of $n$ times $v$
# over the pixels. The two results of the denoiser, $f(y)$ and $f(y + \varepsilon n)$, are handed in. One number for each image of the batch.


# %% nbgrader={"grade": false, "grade_id": "mc_sure", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mc_sure(y, estimate, moved, direction, sigma, epsilon):
    """An estimate of each image's mean squared error, without the clean image.

    y: float32 (batch, 1, height, width), noisy images
    estimate: the same shape, f(y)
    moved: the same shape, f(y + εn)
    direction: the same shape, n
    sigma: the noise level, σ
    epsilon: how far the step goes, ε
    returns: float32 (batch,)
    """
    ### BEGIN SOLUTION
    misfit = (y - estimate).square().mean(dim=(1, 2, 3))
    divergence = (direction * (moved - estimate)).mean(dim=(1, 2, 3)) / epsilon
    return misfit - sigma**2 + 2 * sigma**2 * divergence
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_mc_sure", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.mc_sure.check(mc_sure)

# %%
mc_sure = lab.mc_sure.or_reference(mc_sure)

# %% [markdown]
# Denoise the inside of the breast by a Gaussian blur. How wide should it be? Wider takes away more noise and more breast. **Predict** the best width in pixels at a 64th of the dose; then let SURE choose it, which never sees the clean image, and
# compare with the true error. Both in units of $\sigma^2$: 1 is the error of doing nothing.


# %%
def blur(y, width, border=12):
    """A Gaussian blur whose standard deviation is `width` pixels; the image is mirrored at its border."""
    y = torch.nn.functional.pad(y, (border,) * 4, mode="reflect")
    gain = physics.gaussian_gain(tuple(y.shape[-2:]), width).float()
    return torch.fft.ifft2(torch.fft.fft2(y) * gain).real[..., border:-border, border:-border]


def sure_of(f, y, sigma, epsilon=1e-3):
    """SURE of a denoiser, in units of σ²."""
    n = torch.randn(y.shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return float(mc_sure(y, f(y), f(y + epsilon * n), n, sigma, epsilon)) / sigma**2


interior = (..., slice(160, 352), slice(20, 212))  # no outline: parenchyma and calcifications
y, sigma = stabilised[64][interior], 1 / (2 * math.sqrt(dose[64]))
clean = classical.expected_anscombe(mean_counts[64], 4.0)[None, None][interior] * sigma  # the mean of y
widths = [0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3]
by_sure = [sure_of(partial(blur, width=width), y, sigma) for width in widths]
by_truth = [float((blur(y, width) - clean).square().mean()) / sigma**2 for width in widths]

# %%
best = {name: widths[errors.index(min(errors))] for name, errors in {"SURE": by_sure, "truth": by_truth}.items()}
network_sure = sure_of(partial(network, sigma=sigma), y, sigma)
network_truth = float((networks.denoise(network, y, sigma) - clean).square().mean()) / sigma**2
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(widths, by_truth, marker="o", label="true error of the blur")
ax.plot(widths, by_sure, marker="x", ls="--", label="SURE, without the clean image")
ax.axhline(network_truth, color="0.4", lw=1, label="true error of the network")
ax.set(xlabel="width of the blur in pixels", ylabel="mean squared error / σ²", ylim=(0, 0.6), title="SURE finds the best blur without the clean image")
ax.legend()
show_figure(
    figure,
    "Mean squared error against the width of a blur: a curve with one minimum; SURE lies on it. A horizontal line, the network's error, is about level with the minimum.",
)
print(f"best width by SURE ≈ {best['SURE']}, by the truth ≈ {best['truth']}; network: SURE ≈ {network_sure:.3f}, truth ≈ {network_truth:.3f}")
off = max(abs(a - b) for a, b in zip(by_sure, by_truth, strict=True))
claim("SURE to the truth, largest difference in units of σ²", off, at_most=0.05, source="deck 001")
claim("network, the same", abs(network_sure - network_truth), at_most=0.05)
claim("true error with the width that SURE chose, over the least", by_truth[by_sure.index(min(by_sure))] / min(by_truth), at_most=1.1)
claim("error of the network over that of the best blur", network_truth / min(by_truth), at_most=1.2)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** SURE scatters by about $\sigma^2/\sqrt N$ around the truth, some hundredths of $\sigma^2$ at most here, because an image has many pixels. What can choose a width can train a network: the lecture does. On
# this piece, mostly smooth parenchyma, the best blur is as good as the network, which had to make its choice without having seen this breast at all. SURE knows no more than squared
# error, though, and it needs the right $\sigma$.

# %% [markdown]
# ## Exercise 7 · How many spots are found (14 minutes, 5 points)
#
# Now the question that the image was taken for. A fixed **detector** gives each place a number, its response: how much like a small bright spot the place looks. A threshold decides, and every method gets a threshold of its own, so that all
# raise equally many false alarms: a given `rate` of false positives a cm². So on `area` cm² there may be
#
# $$ k = \lfloor \text{area} \cdot \text{rate} \rfloor $$
#
# of them ($\lfloor\cdot\rfloor$ rounds down). The threshold is the $k$-th largest of the responses `elsewhere`, where no spot is, so that $k$ of
# them reach it ($k$ is at least 1 here). The **detection rate** is the share of the `spots` whose response is above it.


# %% nbgrader={"grade": false, "grade_id": "detection_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def detection_rate(spots, elsewhere, area, rate):
    """The share of the spots that a detector finds at a fixed rate of false positives.

    spots: float32 (count,), the responses at the spots
    elsewhere: float32 (many,), the responses where there is no spot, in no order
    area: of the places without spots, in cm²
    rate: allowed false positives a cm²
    returns: a number from 0 to 1
    """
    ### BEGIN SOLUTION
    k = math.floor(area * rate)
    threshold = elsewhere.sort(descending=True).values[k - 1]
    return (spots > threshold).float().mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_detection_rate", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.detection_rate.check(detection_rate)

# %%
detection_rate = lab.detection_rate.or_reference(detection_rate)

# %% [markdown]
# Six breasts, the detector of the lecture (`help(metrics.spot_response)`), half a false positive a cm². A spot's response is the largest within 2 pixels of it. `classical.denoise_counts` goes from counts to roots, through a denoiser, and back to
# the attenuation image. The blur keeps the width that SURE chose at a 64th of the dose.

# %%
breasts = [data.mammogram("test", index) for index in range(20, 26)]
area = sum(float(m.parenchyma.sum()) for m in breasts) * 0.02**2  # a pixel's side is 0.02 cm
count = sum(len(m.calcifications) for m in breasts)
denoisers = {
    "best blur": lambda y, sigma: blur(y, best["SURE"]),
    "network": partial(networks.denoise, network),
}


def images_of(method, part):
    """The attenuation images of the six breasts: noise-free, noisy, or denoised from their counts."""
    if method == "noise-free":
        return [m.image for m in breasts]
    counts = [counts_of(m.image, part, seed) for seed, m in enumerate(breasts)]
    if method == "noisy":
        return [physics.attenuation_image(c, dose[part]) for c in counts]
    return [classical.denoise_counts(c, dose[part], denoisers[method]) for c in counts]


# %%
def responses(images):
    """The detector's responses at the calcifications, and at all local maxima of the parenchyma without them."""
    spots, elsewhere = [], []
    for image, m in zip(images, breasts, strict=True):
        response = metrics.spot_response(image)
        elsewhere.append(metrics.false_positives(response, m.parenchyma))
        for row, column, _ in m.calcifications.tolist():
            spots.append(response[0, 0][metrics.disc(response, row, column, 2)].max())
    return torch.stack(spots), torch.cat(elsewhere)


def psnr_of(images):
    """Mean PSNR in dB."""
    return sum(metrics.psnr(image, m.image).item() for image, m in zip(images, breasts, strict=True)) / len(breasts)


images = {("noise-free", 1): images_of("noise-free", 1)} | {
    (method, part): images_of(method, part) for part in (16, 64) for method in ("noisy", *denoisers)
}
found = {key: float(detection_rate(*responses(value), area, 0.5)) for key, value in images.items()}

# %% [markdown]
# **Predict** for a 64th of the dose: how many dB does the network gain over the noisy image? And how many more calcifications does the detector find?

# %%
quality = {key: psnr_of(value) for key, value in images.items() if key[0] != "noise-free"}
print(f"calcifications of {len(breasts)} breasts, half a false positive a cm²; 95 % confidence interval of each rate")
for (method, part), rate in found.items():
    low, high = metrics.proportion_interval(round(rate * count), count)
    psnr = f"PSNR ≈ {quality[method, part]:.1f} dB, " if (method, part) in quality else ""
    print(f"dose 1/{part}, {method}: {psnr}detection rate ≈ {rate:.2f} (≈ {low:.2f} to ≈ {high:.2f})")
for method in denoisers:
    gain = quality[method, 64] - quality["noisy", 64]
    claim(f"dose 1/64, {method}: gain in PSNR", gain, at_least=8, unit="dB")
claim("detection rate without noise", found["noise-free", 1], at_least=0.75, at_most=0.95)
claim("noisy images: detection rate at 1/16 over that at 1/64", found["noisy", 16] / found["noisy", 64], at_least=1.1)
claim("dose 1/64: blur's detection rate minus that of the noisy images", found["best blur", 64] - found["noisy", 64], at_most=0)
change = found["network", 64] - found["noisy", 64]
claim("dose 1/64: network's detection rate minus that of the noisy images", change, at_least=-0.15, at_most=0.05)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The blur takes away nine tenths of the squared error, and the detector finds fewer calcifications than before. A PSNR 10 dB higher is no promise. The network loses fewer than the blur, and wins next to none; at 1/64 the confidence intervals of all three overlap. Four times the dose helps. Even without noise some calcifications are missed: the narrowest and faintest ones do not
# stand out of strands and texture, and no denoiser brings them back. The detector averages over the spot by itself, so that a denoiser can hardly
# give it more than there is; what a denoiser takes for noise, it takes from the detector too.

# %% [markdown]
# ## Open question · Did denoising help? (25 minutes, 4 points)
#
# Two experiments. First a table at three doses, with a mixture, $0.7 f(y) + 0.3\, y$, that leaves some of the noise on purpose. All methods see the same calcifications under the same noise, so they can be compared
# spot by spot: how many did the detector find in the noisy images and *not* after denoising (lost), and how many only after it (won)?


# %%
def found_in(images):
    """For each calcification whether the detector finds it, at half a false positive a cm²."""
    spots, elsewhere = responses(images)
    return spots > elsewhere.sort(descending=True).values[math.floor(area * 0.5) - 1]


hits = {}
denoisers["mixture"] = lambda y, sigma: 0.7 * networks.denoise(network, y, sigma) + 0.3 * y
for part in (16, 64, 256):
    for method in ("noisy", *denoisers):
        if (method, part) not in images:
            images[method, part] = images_of(method, part)
        now = hits[method, part] = found_in(images[method, part])
        before = hits["noisy", part]
        rate = float(detection_rate(*responses(images[method, part]), area, 0.5))
        low, high = metrics.proportion_interval(round(rate * count), count)
        line = f"PSNR ≈ {psnr_of(images[method, part]):.1f} dB, detection rate ≈ {rate:.2f} (≈ {low:.2f} to ≈ {high:.2f})"
        print(f"dose 1/{part}, {method}: {line}, lost ≈ {int((before & ~now).sum())}, won ≈ {int((now & ~before).sum())}")

# %% [markdown]
# Second: look. The same cluster at a 64th of the dose; a circle is a calcification that the detector finds, a cross one that it misses, and a square is a false positive.


# %%
def draw(ax, k, method, part):
    """One cluster of breast k by a method at a part of the dose, with what the detector says about it."""
    m, image = breasts[k], images[method, part][k]
    threshold = responses(images[method, part])[1].sort(descending=True).values[math.floor(area * 0.5) - 1]
    response = metrics.spot_response(image)
    rows, columns = around(m)[1:]
    ax.imshow(image[0, 0], vmin=0.3, vmax=0.9)
    largest = torch.nn.functional.max_pool2d(response, 5, stride=1, padding=2) == response
    places = (largest[0, 0] & (response[0, 0] > threshold) & m.parenchyma).nonzero()
    ax.scatter(places[:, 1], places[:, 0], marker="s", s=90, facecolors="none", edgecolors="tab:orange")
    before = sum(len(b.calcifications) for b in breasts[:k])
    for (row, column, _), hit in zip(m.calcifications.tolist(), found_in(images[method, part])[before:], strict=False):
        if hit:
            ax.scatter(column, row, marker="o", s=90, facecolors="none", edgecolors="tab:cyan")
        else:
            ax.scatter(column, row, marker="x", s=50, color="tab:red")
    ax.set(title=method, xlim=(columns.start, columns.stop), ylim=(rows.stop, rows.start))
    ax.set_axis_off()


# %%
figure, axes = plt.subplots(1, 4, figsize=(11, 3))
for ax, (method, part) in zip(axes, [("noise-free", 1), ("noisy", 64), ("best blur", 64), ("network", 64)], strict=True):
    draw(ax, 3, method, part)
show_figure(
    figure,
    "One cluster of calcifications without noise, noisy, blurred and denoised by the network; circles around those that the detector finds, crosses on those that it misses.",
)

# %% [markdown]
# `draw(ax, k, method, part)` shows the cluster of another breast, k from 0 to 5. A third experiment, if you like: your own.
#
# Write half a page:
#
# 1. What does denoising gain in PSNR, and what in the detection rate, at each dose? Is the change larger than chance allows for? Use the intervals, and lost and won.
# 2. Where the PSNR rises and the detection rate does not: why? Which pixels does the mean squared error count, and what has the detector done already? And what is different at 1/256? (Think of the logarithm of few counts.)
# 3. Look at the clusters: which dots has the network removed or made up? Would you rather read the noisy image or the denoised one, and why?
# 4. Name one thing that this study does not show.

# %% [markdown] nbgrader={"grade": true, "grade_id": "did_it_help", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# 1. The network gains 7, 11 and 15 dB at 1/16, 1/64 and 1/256 of the dose, the blur 5, 10 and 13. With the network the detection rate falls from 0.82 to 0.75 at 1/16 and hardly from 0.69 at 1/64, with the blur to
#    0.70 and 0.62; at 1/256, where the noisy images show two calcifications in nine, it rises to 0.28 and 0.32. The intervals are ± 0.08, and nearly all of them overlap. The pairs say more: 9 lost and 1 won by the network at 1/16, 16 and 2 by the
#    blur, 9 and 1 by the blur at 1/64 are no accident; nor are 10 won and 2 lost at 1/256, 16 and 4 by the blur. 3 lost and 1 won by the network at 1/64 may be one.
# 2. The mean squared error counts all pixels alike, and nearly all of them are air and parenchyma; the calcifications are some hundred pixels of two hundred thousand. The detector is a small average of its own: it has taken away
#    much of the noise that hides a spot before the denoiser comes. A spot that is fainter than the noise within its few pixels cannot be told from noise by anyone; the mean of all images that fit has little of it, so a network that learned squared error
#    removes it, while the threshold falls with the noise. At 1/256 the logarithm of few counts makes bright outliers, which raise the threshold of the noisy images; a denoiser that works on the roots takes them
#    away before the logarithm, and that alone wins some spots.
# 3. In the blurred cluster small dots have become faint and wide. Four dots are missed in all three pictures with noise, and one is found after denoising alone; the false positive of the noise-free picture, on a strand, is gone. A smooth picture looks surer than it is: of a dot that is missing nothing shows that it is missing, and a
#    grain of noise that was smoothed looks like a faint calcification. Who reads the noisy image knows at least how noisy it is. Both side by side is a fair answer.
# 4. The breasts are generated, and one fixed detector is no radiologist, who sees clusters and not single dots. Calcifications of one breast are not independent, so the intervals are too short, and the methods are compared on the same images. There is one noise
#    draw, one network and the doses it was trained for.

# %% [markdown]
# ## Your progress

# %%
lab.progress()

# %% [markdown]
# In this lab you followed an X-ray from its photons to a decision. A picture that looks better, a PSNR that is higher and a detector that finds more are three different things: measure the one that you need. Save the notebook before you hand it in.
