# ---
# jupyter:
#   course:
#     title: "Lab: build a network that never contradicts the scanner"
#     level: advanced
#     minutes: 115
#     needs: "lecture 09, lab 02, PyTorch basics"
# ---

# %% [markdown]
# # Lab 09: build a network that never contradicts the scanner
#
# {{header}}
#
# You will write the data-consistency layer of deck 001, both of its derivatives, and the cascade that is made of it: seven
# short functions, and a study of your own about a trained network outside its training. When you are done you can
#
# - say how far an image contradicts its measurement, and what that number does not tell,
# - derive the layer from its optimisation problem, and choose its weight λ from the noise,
# - write the backward pass of a layer by hand, for complex images, and confirm it by autograd,
# - train a small cascade, and say what its layers add to a plain network of the same parameters.
#
# The checks, the hints (for example `lab.cascade.hint()`) and the way on for who is stuck work as in lab 01. The symbols are
# those of the lecture: $x$ image, $y$ measured k-space, $A = MF$ with the mask $M$ and the Fourier transform $F$. **Allowed
# throughout:** `physics.fourier` and `physics.inverse_fourier`, the centred orthonormal transforms that you wrote in lab 02. Write
# your functions with torch operations alone (no NumPy, no `float(...)` of a tensor), so that autograd can go through them later.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import conv2d

from course_lib import classical, data, metrics, networks, physics
from course_lib.display import claim, show_figure, show_images
from course_lib.exercises import data_consistency_cascades as lab

# %% [markdown]
# ## The material (3 minutes)
#
# Four slices of two subjects, 128 × 128 pixels: unseen deformations of one average brain. A scanner's images are complex, and so are these:
# each has a smooth phase of its own. Each also has its own mask, a quarter of all lines, and for the moment no noise. `physics.scan` makes all
# three: the complex images $x$, their k-space $y$ and the masks.

# %%
generator = torch.Generator().manual_seed(1)
brains = data.brain_population("test", subjects=2, slices=2, size=128)
x, y, mask = physics.scan(brains, 4, generator)
zero_filled = physics.inverse_fourier(y)


def psnr(image, truth=x):
    """Mean PSNR of the magnitudes, in dB."""
    return float(metrics.psnr(image.abs(), truth.abs()).mean())

# %%
show_images(
    {
        "magnitude": x[1].abs(),
        "phase, −π to π": x[1].angle() / (2 * torch.pi) + 0.5,
        "mask, R = 4": mask[1].float(),
        "zero-filled": zero_filled[1].abs(),
    },
    alt="A brain slice; its phase, which changes slowly; a mask of upright lines, dense in the middle; and the zero-filled image, "
    "smeared from left to right.",
)

# %% [markdown]
# We need an image that a network might have made: clean to look at, and wrong. A network trained with a squared error blurs
# what it is not sure of, so a blurred copy of the truth stands in for one.

# %%
def blur(image, width=1.2):
    """Gaussian blur of both parts of a complex image."""
    return torch.complex(
        classical.gaussian_blur(image.real, width), classical.gaussian_blur(image.imag, width)
    )


network_output = blur(x)
print(f"zero-filled     PSNR ≈ {psnr(zero_filled):.1f} dB")
print(f"network output  PSNR ≈ {psnr(network_output):.1f} dB")

# %% [markdown]
# ## Exercise 1 · The residual in k-space (12 minutes, 5 points)
#
# How far does an image contradict its measurement? Measure the image as the scanner would have done, and compare:
#
# $$r = \frac{\|M F x - y\|}{\|y\|}\,, \qquad \|v\|^2 = \sum_j |v_j|^2 ,$$
#
# one number for each image of the batch.

# %% nbgrader={"grade": false, "grade_id": "kspace_residual", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kspace_residual(image, kspace, mask):
    """‖M F x − y‖ / ‖y‖ of each image.

    image: complex64 (batch, 1, height, width)
    kspace: complex64 (batch, 1, height, width), y, centred, zero where nothing was measured
    mask: bool (batch, 1, height, width), True where k-space was measured, another one for each image
    returns: a real tensor of shape (batch,)
    """
    ### BEGIN SOLUTION
    difference = mask * physics.fourier(image) - kspace
    norms = [torch.linalg.vector_norm(k, dim=(1, 2, 3)) for k in (difference, kspace)]
    return norms[0] / norms[1]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_kspace_residual", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.kspace_residual.check(kspace_residual)

# %%
kspace_residual = lab.kspace_residual.or_reference(kspace_residual)

# %% [markdown]
# **Predict:** which of these images has a residual of zero: the truth, the zero-filled image, the blurred truth, the magnitude of the
# truth, an image of zeros?

# %%
candidates = {
    "truth": x,
    "zero-filled": zero_filled,
    "blurred truth": network_output,
    "magnitude of the truth": x.abs() + 0j,
    "zeros": torch.zeros_like(x),
}
residual = {name: float(kspace_residual(image, y, mask).mean()) for name, image in candidates.items()}
for name, value in residual.items():
    error = float((candidates[name].abs() - x.abs()).norm() / x.norm())
    print(f"{name:<23} residual ≈ {value:.3f}   relative error of the magnitude ≈ {error:.3f}")
claim("residual of the truth", residual["truth"], at_most=1e-5)
claim("residual of the zero-filled image", residual["zero-filled"], at_most=1e-5)
claim("residual of the blurred truth", residual["blurred truth"], at_least=0.02)
claim(
    "residual of the magnitude over that of the blurred truth",
    residual["magnitude of the truth"] / residual["blurred truth"],
    at_least=3,
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The zero-filled image agrees with every sample and is poor; the magnitude of the truth looks perfect and contradicts the scanner
# far more than the blurred image does, because the phase was measured too. A residual of zero is necessary and far from enough: it says nothing
# about the three quarters of k-space that nobody measured. There a network must guess.

# %% [markdown]
# ## Exercise 2 · Replace what was measured (12 minutes, 5 points)
#
# Without noise the scanner is right wherever it has measured. So take the network's image $z$ to k-space, put the measured samples in
# place of the network's, and go back:
#
# $$f(z) = F^H\bigl[(1 - M)\,F z + y\bigr] .$$

# %% nbgrader={"grade": false, "grade_id": "replace_measured", "locked": false, "schema_version": 3, "solution": true, "task": false}
def replace_measured(image, kspace, mask):
    """Data consistency without noise: measured samples as the scanner has them, the others as the image has them.

    image: complex64 (batch, 1, height, width), z
    kspace: complex64 (batch, 1, height, width), y, centred, zero where nothing was measured
    mask: bool (batch, 1, height, width), True where k-space was measured
    returns: a complex tensor of the shape of image
    """
    ### BEGIN SOLUTION
    s = physics.fourier(image)
    return physics.inverse_fourier(torch.where(mask, kspace, s))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_replace_measured", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.replace_measured.check(replace_measured)

# %%
replace_measured = lab.replace_measured.or_reference(replace_measured)

# %% [markdown]
# **Predict:** by how many decibels does the blurred image gain? A quarter of k-space is put right.
#
# What you should see: the blurred slice becomes a little sharper, with a faint mottle, and its error thinner.

# %%
consistent = replace_measured(network_output, y, mask)
show_images(
    {
        "blurred": network_output[1].abs(),
        "after the layer": consistent[1].abs(),
        "5 × error before": 5 * (network_output - x)[1].abs(),
        "5 × error after": 5 * (consistent - x)[1].abs(),
    },
    alt="A blurred brain slice; the same after the layer, a little sharper; its error before, broad and bright along all borders; its "
    "error after, thinner, with a faint mottle over rows of the head.",
)
print(f"before  PSNR ≈ {psnr(network_output):.1f} dB, after ≈ {psnr(consistent):.1f} dB")
claim("gain by the layer", psnr(consistent) - psnr(network_output), at_least=1, unit="dB", source="deck 001")
claim("residual after it", float(kspace_residual(consistent, y, mask).max()), at_most=1e-5)

# %% [markdown]
# What exactly has gone? In k-space the error before and after differ in one thing.

# %%
error = {"before": physics.fourier(network_output - x), "after": physics.fourier(consistent - x)}
show_images(
    {f"log₁₀ of the error in k-space, {name}": (e[1].abs() + 1e-3).log10() for name, e in error.items()},
    alt="The error in k-space: before, bright around the middle and fading outwards; after, the same, cut by black upright lines where "
    "k-space was measured, the broadest of them in the middle.",
    limits=(-3, 0),
    width=3.2,
)
removed = (network_output - consistent).abs().square().sum()
energies = {name: e.abs().square().sum() for name, e in error.items()}
claim(
    "error before, over error after and what was removed",
    float(energies["before"] / (energies["after"] + removed)),
    at_least=0.9999,
    at_most=1.0001,
    digits=5,
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The last line is Pythagoras: what the layer removes is at a right angle to what it leaves. The layer is the orthogonal projection
# onto all images that agree with the data, and without noise the truth is one of them. So the layer can never increase the squared error, whatever
# the network gives it. The gain is small here, for a blur keeps the middle of k-space, where most lines were measured: what it has lost lies
# mostly between the lines, and that is left to the network.

# %% [markdown]
# ## Exercise 3 · The data-consistency layer (15 minutes, 5 points)
#
# With noise the scanner is not right either. The layer looks for an image near the network's *and* near the data,
#
# $$\min_x\; \tfrac12\|x - z\|^2 + \tfrac{\lambda}{2}\,\|M F x - y\|^2 .$$
#
# $F$ is orthonormal, so in k-space each point $j$ has a problem of its own. With $s = Fz$ and $s_0 = y$, deck 001's names, its solution is
#
# $$s_\text{rec}(j) = \begin{cases} s(j) & \text{where nothing was measured,} \\[2pt]
# \dfrac{s(j) + \lambda\, s_0(j)}{1 + \lambda} & \text{where } j \text{ was measured.} \end{cases}$$
#
# Differentiate the objective at one point of k-space, for real and imaginary part each, to see where the fraction comes from.

# %% nbgrader={"grade": false, "grade_id": "data_consistency", "locked": false, "schema_version": 3, "solution": true, "task": false}
def data_consistency(image, kspace, mask, weight):
    """The image that minimises ½‖x − z‖² + ½·weight·‖M F x − y‖².

    image: complex64 (batch, 1, height, width), z
    kspace: complex64 (batch, 1, height, width), y, centred, zero where nothing was measured
    mask: bool (batch, 1, height, width), True where k-space was measured
    weight: λ ≥ 0, a number or a tensor that holds one
    returns: a complex tensor of the shape of image
    """
    ### BEGIN SOLUTION
    s = physics.fourier(image)
    mixed = (s + weight * kspace) / (1 + weight)
    return physics.inverse_fourier(torch.where(mask, mixed, s))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_data_consistency", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.data_consistency.check(data_consistency)

# %%
data_consistency = lab.data_consistency.or_reference(data_consistency)

# %% [markdown]
# Which λ is best? The scanner's noise has the standard deviation $\sigma$ in the real and in the imaginary part of each sample, so the power
# $N = 2\sigma^2$; the network's error at a measured point has some mean power $P$. The layer mixes two estimates of one number. **Predict:** as
# $\sigma$ doubles, by which factor should λ change?

# %%
weights = torch.logspace(-2, 2, 41)
levels = (0.01, 0.02, 0.04)
sampled_error = (physics.fourier(network_output - x).abs().square() * mask).sum() / mask.sum()

noisy = {sigma: mask * physics.add_gaussian_noise(y, sigma, generator) for sigma in levels}
errors = {
    sigma: torch.stack(
        [(data_consistency(network_output, noisy[sigma], mask, w) - x).abs().square().mean() for w in weights]
    )
    for sigma in levels
}
best = {sigma: float(weights[errors[sigma].argmin()]) for sigma in levels}
expected = {sigma: float(sampled_error) / (2 * sigma**2) for sigma in levels}

# %% [markdown]
# What you should see: three curves with a minimum each, further to the left the stronger the noise, and each near its vertical line, $\lambda = P/N$ (we try only 41 values of λ).

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.2))
for sigma, color in zip(levels, ("#0072B2", "#D55E00", "#009E73"), strict=True):
    ax.semilogx(weights, 1000 * errors[sigma], color=color, label=f"σ = {sigma:g}")
    ax.axvline(expected[sigma], color=color, ls=":", lw=1)
ax.set(xlabel="λ", ylabel="1000 × mean squared error", title="Best weight: the network's error over the noise")
ax.legend()
show_figure(
    figure,
    "Mean squared error against lambda on a logarithmic scale for three noise levels: each curve has one minimum, at the dotted line of its "
    "level, and the more noise the further left.",
)
for sigma in levels:
    print(f"σ = {sigma:<5g} best λ ≈ {best[sigma]:.2f}, P/N ≈ {expected[sigma]:.2f}")
claim("largest ratio of best λ and P/N", max(max(best[s] / expected[s], expected[s] / best[s]) for s in levels), at_most=1.3)

# %% [markdown]
# A layer that was published with its code forgets the mask: it takes the weighted mean everywhere. Where nothing was measured $s_0$ is 0, so what
# the network has filled in is divided by $1 + \lambda$.

# %%
sigma = levels[1]
weight = expected[sigma]
with_mask = data_consistency(network_output, noisy[sigma], mask, weight)
without_mask = (network_output + weight * physics.inverse_fourier(noisy[sigma])) / (1 + weight)
print(f"λ ≈ {weight:.1f}, with the mask PSNR ≈ {psnr(with_mask):.1f} dB, without ≈ {psnr(without_mask):.1f} dB")
claim("what the forgotten mask costs", psnr(with_mask) - psnr(without_mask), at_least=3, unit="dB")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The best share of the scanner is λ/(1 + λ) = P/(P + N): the Wiener gain of module 01, with the network's error in the place of the
# signal. Twice the noise, a quarter of λ. So λ depends on the noise *and* on how good the network is, which is why a cascade learns it.

# %% [markdown]
# ## Exercise 4 · Backward, to the image (12 minutes, 5 points)
#
# To train through the layer one needs its derivatives. Written with $\Lambda = 1/(1+\lambda)$ on measured points and 1 elsewhere, the layer is
#
# $$f(z) = F^H \Lambda F\, z + \frac{\lambda}{1 + \lambda} F^H y ,$$
#
# a matrix times $z$, and a constant. Its Jacobian is $J = F^H \Lambda F$. Backward, a layer gets the gradient $g$ of the loss for its output, and
# hands on $J^H g$, the gradient for its input. For complex images $g$ holds $\partial L/\partial\,\mathrm{Re} + i\,\partial L/\partial\,\mathrm{Im}$, as in PyTorch. (A
# change $dz$ of the input changes the loss by $\mathrm{Re}\langle g, J\,dz\rangle = \mathrm{Re}\langle J^H g, dz\rangle$: that is where the conjugate transpose comes from.)

# %% nbgrader={"grade": false, "grade_id": "backward_image", "locked": false, "schema_version": 3, "solution": true, "task": false}
def backward_image(gradient, mask, weight):
    """The gradient for the layer's input, from the one for its output.

    gradient: complex64 (batch, 1, height, width), g
    mask: bool (batch, 1, height, width), True where k-space was measured
    weight: λ ≥ 0, a number or a tensor that holds one
    returns: a complex tensor of the shape of gradient
    """
    ### BEGIN SOLUTION
    g = physics.fourier(gradient)
    return physics.inverse_fourier(torch.where(mask, g / (1 + weight), g))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_backward_image", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.backward_image.check(backward_image)

# %%
backward_image = lab.backward_image.or_reference(backward_image)

# %% [markdown]
# Confirm it by autograd, which goes through your own `data_consistency` step by step.

# %%
z = network_output.clone().requires_grad_()
output = data_consistency(z, y, mask, 2.0)
(output - x).abs().square().sum().backward()

by_hand = backward_image(2 * (output - x).detach(), mask, 2.0)
difference = (by_hand - z.grad).norm() / z.grad.norm()
claim("relative difference of your derivative from autograd's", float(difference), at_most=1e-5, source="deck 001")

# %% [markdown]
# **Predict:** at λ = 100, what does the gradient tell the network about the frequencies that were measured?

# %%
g = 2 * (network_output - x)
for weight in (0.1, 1.0, 10.0, 100.0):
    passed = physics.fourier(backward_image(g, mask, weight)).abs().square()
    share = float((passed * mask).sum() / (physics.fourier(g).abs().square() * mask).sum())
    print(f"λ = {weight:<5g} of the gradient's energy at measured points ≈ {share:.4f} passes")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** J has two eigenvalues, 1/(1 + λ) on the measured frequencies and 1 on the others; none is larger, so gradients do not explode in a cascade
# of such layers. For a large λ the network is told nothing about what was measured: whatever it does there will be overwritten, and
# it may spend all its parameters on the rest.

# %% [markdown]
# ## Exercise 5 · Backward, to λ (15 minutes, 5 points)
#
# λ can be learned like any other parameter. At a measured point the output is $(s + \lambda s_0)/(1+\lambda)$, and elsewhere it does not depend on λ. Differentiate
# that fraction for λ. The chain rule then sums over everything that λ acts on:
#
# $$\frac{\partial L}{\partial \lambda} = \mathrm{Re} \sum_{\text{pixels, images}} \overline{g}\; \frac{\partial f}{\partial \lambda}\,,$$
#
# where $g$ and $\partial f/\partial\lambda$ are both images.

# %% nbgrader={"grade": false, "grade_id": "backward_weight", "locked": false, "schema_version": 3, "solution": true, "task": false}
def backward_weight(gradient, image, kspace, mask, weight):
    """The derivative of the loss for λ, from the gradient for the layer's output.

    gradient: complex64 (batch, 1, height, width), g
    image: complex64 (batch, 1, height, width), z, the layer's input
    kspace: complex64 (batch, 1, height, width), y, centred, zero where nothing was measured
    mask: bool (batch, 1, height, width), True where k-space was measured
    weight: λ ≥ 0, a number or a tensor that holds one
    returns: one real number
    """
    ### BEGIN SOLUTION
    change = mask * (kspace - physics.fourier(image)) / (1 + weight) ** 2
    return (gradient.conj() * physics.inverse_fourier(change)).real.sum()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_backward_weight", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.backward_weight.check(backward_weight)

# %%
backward_weight = lab.backward_weight.or_reference(backward_weight)

# %%
weight = torch.tensor(2.0, requires_grad=True)
output = data_consistency(network_output, y, mask, weight)
(output - x).abs().square().sum().backward()

by_hand = backward_weight(2 * (output - x).detach(), network_output, y, mask, 2.0)
claim("your derivative over autograd's", float(by_hand / weight.grad), at_least=0.9999, at_most=1.0001, digits=5, source="deck 001")

# %% [markdown]
# Now learn λ, with your two functions and no autograd. Gradient descent on $\log\lambda$ keeps λ positive, and its derivative is
# $\lambda\,\partial L/\partial\lambda$. The loss is the logarithm of the squared error $E$, with $d\log E = dE/E$, so that steps do not depend on the image's unit. The `rate`
# 5 was found by trial.
#
# What you should see: from 0.1 and from 20 the same λ is reached, the dotted line of σ = 0.02 from exercise 3.

# %%
def learn_weight(start, sigma, steps=60, rate=5.0):
    """λ after each step of gradient descent on log λ."""
    history = [start]
    for _ in range(steps):
        weight = history[-1]
        error = data_consistency(network_output, noisy[sigma], mask, weight) - x
        gradient = 2 * error / error.abs().square().sum()
        slope = weight * float(backward_weight(gradient, network_output, noisy[sigma], mask, weight))
        history.append(weight * math.exp(-rate * slope))
    return history

# %%
histories = {start: learn_weight(start, 0.02) for start in (0.1, 20.0)}
figure, ax = plt.subplots(figsize=(6.5, 3))
for (start, history), style in zip(histories.items(), ("-", "--"), strict=True):
    ax.semilogy(history, ls=style, label=f"from λ = {start:g}")
ax.axhline(expected[0.02], color="#7F7F7F", ls=":", label="P/N")
ax.set(xlabel="step", ylabel="λ", title="Learning the weight, σ = 0.02")
ax.legend()
show_figure(
    figure,
    "Lambda against the step on a logarithmic scale: one curve rises from 0.1, the other falls from 20, and both end at the dotted line.",
)
ends = [history[-1] for history in histories.values()]
claim("learned λ over P/N", ends[0] / expected[0.02], at_least=0.8, at_most=1.25)
claim("learned λ from above over from below", ends[1] / ends[0], at_least=0.9, at_most=1.1)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The sign of s₀ − s times the gradient says whether trusting the scanner more would help. λ is learned from data with a known truth; at another noise
# level, or behind a better network, another λ is best, and the learned one does not know.

# %% [markdown]
# ## Exercise 6 · A block of the network (14 minutes, 5 points)
#
# Between the layers stand small networks. Convolutions work on real numbers, so a complex image becomes two channels, **the real part first**, and two
# channels become a complex image again. With $C$ for that step, a block is
#
# $$b(x) = x + C^{-1}\bigl(K_2 * \mathrm{ReLU}(K_1 * C(x))\bigr) ,$$
#
# two convolutions with 3 × 3 kernels, zeros beyond the border (`padding=1`), and no bias. The block adds to its image, so it
# only has to learn what is missing. `conv2d` and `torch.relu` are yours to use.

# %% nbgrader={"grade": false, "grade_id": "cnn_block", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cnn_block(image, first, second):
    """The image plus a change that two convolutions compute.

    image: complex64 (batch, 1, height, width)
    first: float32 (channels, 2, 3, 3), kernels K₁
    second: float32 (2, channels, 3, 3), kernels K₂
    returns: a complex tensor of the shape of image
    """
    ### BEGIN SOLUTION
    channels = torch.cat([image.real, image.imag], dim=1)
    change = conv2d(torch.relu(conv2d(channels, first, padding=1)), second, padding=1)
    return image + torch.complex(change[:, :1], change[:, 1:])
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_cnn_block", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.cnn_block.check(cnn_block)

# %%
cnn_block = lab.cnn_block.or_reference(cnn_block)

# %% [markdown]
# One block sees two pixels far. The smear of a missing line crosses the whole image. **Predict:** how many blocks does a plain network need until each pixel
# can see all of a row of 64 pixels?

# %%
def random_kernels(generator, blocks=5, channels=12):
    """Kernels for all blocks; the second ones small, so that each block starts near the identity."""
    first = torch.randn(blocks, channels, 2, 3, 3, generator=generator) / 3
    second = torch.randn(blocks, 2, channels, 3, 3, generator=generator) / 70
    return first, second


first, second = random_kernels(generator)
point = torch.zeros(1, 1, 64, 64, dtype=torch.complex64)
point[..., 32, 32] = 1
seen, reach = point, []
for k1, k2 in zip(first, second, strict=True):
    seen = cnn_block(seen, k1, k2)
    reach.append(int((seen[0, 0].abs().sum(dim=0) > 0).nonzero().max()) - 32)
print(f"one point reaches, after each block: {reach} pixels; {first.numel() + second.numel()} parameters")
print(f"to see a whole row of 64 from its end takes {math.ceil(63 / reach[0])} blocks")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Two pixels a block, so 32 blocks to see a row of 64 from its end. A plain network of five blocks sees ten pixels to each side and cannot know
# where a smear comes from. A data-consistency layer sees the whole image at once, for a Fourier transform has no reach.

# %% [markdown]
# ## Exercise 7 · The cascade (14 minutes, 5 points)
#
# Put it together (Schlemper et al. 2017): start from the zero-filled image; then for each block `cnn_block`, and after it `data_consistency`. The network
# repairs, the layer corrects what it got wrong, and the next block goes on from there. Use your own two functions.

# %% nbgrader={"grade": false, "grade_id": "cascade", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cascade(kspace, mask, first, second, weight):
    """Blocks and data consistency in turn, from the zero-filled image.

    kspace: complex64 (batch, 1, height, width), y, centred, zero where nothing was measured
    mask: bool (batch, 1, height, width), True where k-space was measured
    first: float32 (blocks, channels, 2, 3, 3), each block's K₁
    second: float32 (blocks, 2, channels, 3, 3), each block's K₂
    weight: λ ≥ 0, a number or a tensor that holds one, the same in every layer
    returns: a complex tensor of the shape of kspace, the last image
    """
    ### BEGIN SOLUTION
    x = physics.inverse_fourier(kspace)
    for k1, k2 in zip(first, second, strict=True):
        x = cnn_block(x, k1, k2)
        x = data_consistency(x, kspace, mask, weight)
    return x
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_cascade", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.cascade.check(cascade)

# %%
cascade = lab.cascade.or_reference(cascade)

# %% [markdown]
# Train it on small images, 64 × 64, for 160 steps of four images, each with a new mask. λ = 10,000 is as good as infinite: no noise. With λ = 0 the layers do nothing,
# and what remains is **a plain network with the same parameters**, from the same start. Each has the learning rate that did best on validation subjects: of 0.001, 0.003
# and 0.01 for the plain network, of 0.003, 0.01 and 0.03 for the cascade.
#
# **Predict:** which of them wins, and why? (How far does each of them see?) Whose residual is larger?

# %%
small = data.brain_population("train", subjects=12, slices=4, size=64)


def train(weight, rate, steps=160):
    """Kernels after training, and the loss of every step."""
    generator = torch.Generator().manual_seed(5)
    kernels = [k.requires_grad_() for k in random_kernels(generator)]
    optimizer, losses = torch.optim.Adam(kernels, lr=rate), []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        chosen = torch.randint(len(small), (4,), generator=generator)
        truth, kspace, mask = physics.scan(small[chosen], 4, generator)
        loss = (cascade(kspace, mask, *kernels, weight) - truth).abs().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [k.detach() for k in kernels], losses

# %%
settings = {"plain network, λ = 0": (0.0, 0.003), "cascade, λ = 10,000": (1e4, 0.01)}
trained = {name: train(*setting) for name, setting in settings.items()}

# %% [markdown]
# What you should see: the cascade's loss lies below that of the plain network from the first steps, and stays there.

# %%
figure, ax = plt.subplots(figsize=(6.5, 3))
for (name, (_, losses)), style in zip(trained.items(), (":", "-"), strict=True):
    means = torch.tensor(losses).reshape(-1, 10).mean(dim=1)
    ax.semilogy(range(5, len(losses), 10), means, ls=style, marker="o", ms=3, label=name)
ax.set(xlabel="step", ylabel="mean squared error", title="Training, means of ten steps")
ax.legend()
show_figure(
    figure, "Two curves of the training loss against the step: the cascade's falls below the plain network's early and stays there."
)

# %%
unseen = data.brain_population("test", subjects=4, slices=4, size=64)
truth, kspace, small_mask = physics.scan(unseen, 4, torch.Generator().manual_seed(7))
images = {"zero-filled": physics.inverse_fourier(kspace)} | {
    name: cascade(kspace, small_mask, *trained[name][0], settings[name][0]) for name in settings
}
level = {name: psnr(image, truth) for name, image in images.items()}
for name, image in images.items():
    contradiction = float(kspace_residual(image, kspace, small_mask).mean())
    print(f"{name:<21} PSNR ≈ {level[name]:.1f} dB, residual ≈ {contradiction:.3f}")
claim("cascade over plain network, same parameters", level["cascade, λ = 10,000"] - level["plain network, λ = 0"], at_least=2, unit="dB", source="deck 001")
claim("plain network over zero-filled", level["plain network, λ = 0"] - level["zero-filled"], at_least=0.2, unit="dB")

# %%
show_images(
    {"truth": truth[0, 0].abs()} | {name: image[0, 0].abs() for name, image in images.items()},
    alt="A small brain slice: the truth; the zero-filled image with wide smears; the plain network's, little better; the cascade's, with fainter smears "
    "and clearer borders.",
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The same kernels' number, the same steps, the same data: the layers alone make the difference. They hold no parameter. They give each block an image that
# agrees with the scanner, and they carry information across the image. The plain network beats the zero-filled image and contradicts the scanner, which the zero-filled image does not. A hundred and sixty steps are few; the network that is shipped with the course learned for thousands.

# %% [markdown]
# The course ships a cascade that has learned for thousands of steps. It has 24 blocks of the form of yours, with 64 channels and biases, and λ = ∞; it was trained at 128 × 128 pixels on random lines at R = 4 and R = 8 without noise. It
# has not seen these subjects, nor the slab of the head they are cut from. A plain network of the same size was trained alike.

# %%
shipped = networks.load_weights(networks.DeepCascade(), "cascade")
plain = networks.load_weights(networks.PlainCNN(), "cnn")
slab = data.brain_population("held_out_slab", subjects=4, slices=1, size=128)
heads, slab_y, slab_mask = physics.scan(slab, 4, torch.Generator().manual_seed(9))
with torch.no_grad():
    stages = shipped.steps(slab_y, slab_mask)  # the zero-filled image, and the image after each block
print(f"{len(stages) - 1} blocks, {sum(p.numel() for p in shipped.parameters()):,} parameters")

# %%
some = [0, 1, 2, len(stages) // 2, len(stages) - 1]
show_images(
    {("zero-filled" if k == 0 else f"block {k}"): stages[k][1].abs() for k in some}
    | {f"10 × error, {k}": 10 * (stages[k] - heads)[1].abs() for k in some},
    alt="Upper row: the zero-filled slice; the image after the first two blocks, little better; after half of them, grainy all over; and after all, like "
    "the truth. Lower row: ten times the error of each, white except for the last, which is nearly black.",
    columns=len(some),
    width=1.9,
)

# %%
network_before = [None] + [cnn(image).detach() for cnn, image in zip(shipped.cnns, stages, strict=False)]
print("block   PSNR         residual before the layer   after it")
for k, image in list(enumerate(stages))[::3]:
    before = "" if k == 0 else f"≈ {float(kspace_residual(network_before[k], slab_y, slab_mask).mean()):.4f}"
    after = float(kspace_residual(image, slab_y, slab_mask).mean())
    print(f"{k:>5}   ≈ {psnr(image, heads):.1f} dB    {before:<25}   ≈ {after:.1e}")
claim("shipped cascade on unseen subjects and slab, R = 4", psnr(stages[-1], heads), at_least=36, unit="dB")
claim("its gain over the zero-filled image", psnr(stages[-1], heads) - psnr(stages[0], heads), at_least=8, unit="dB", source="deck 001")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** After each layer the residual is rounding error, whatever the image looks like: some in the middle are worse than the zero-filled one. Only the last image was
# asked to be good. Before the layers the blocks contradict the scanner freely, and grossly. With λ = ∞ no gradient ever told them what they do at measured
# frequencies (exercise 4), so they do there what they like.

# %% [markdown]
# ## Question 8 · Outside the training (18 minutes, 4 points, marked by a person)
#
# The shipped cascade was trained on random lines at two accelerations, without noise, on healthy brains. What does it do elsewhere? Four studies; read their tables, then answer below.
#
# First the sampling.

# %%
def sample(mask, sigma=0.0):
    """Noisy k-space of the four slices, at the points of their masks (4, 1, height, width)."""
    generator = torch.Generator().manual_seed(8)
    return mask * physics.add_gaussian_noise(physics.fourier(heads), sigma, generator)


def reconstruct(y, mask):
    """Zero-filled image, plain network, cascade."""
    with torch.no_grad():
        return {"zero-filled": physics.inverse_fourier(y), "plain": plain(y, mask), "cascade": shipped(y, mask)}


shape = tuple(heads.shape[-2:])
mask_generator = torch.Generator().manual_seed(3)
masks = {f"random lines, R = {R}": physics.simulate.line_masks(len(heads), shape, R, mask_generator) for R in (2, 4, 8, 12)}
masks["equispaced lines, R = 4"] = physics.line_mask(shape, 4, 0.08, kind="equispaced").expand(len(heads), 1, -1, -1)
masks["random lines turned, R = 4"] = masks["random lines, R = 4"].mT
masks["single points, R = 4"] = physics.variable_density_mask(shape, 4, mask_generator).expand(len(heads), 1, -1, -1)

# %%
print("sampling                      zero-filled   plain      cascade (dB)")
sampled = {}
for name, other in masks.items():
    results = reconstruct(sample(other), other)
    sampled[name] = {method: psnr(image, heads) for method, image in results.items()}
    print(f"{name:<27} " + "".join(f"   ≈ {value:.1f}  " for value in sampled[name].values()))
claim(
    "what the cascade loses from R = 4 to R = 8",
    sampled["random lines, R = 4"]["cascade"] - sampled["random lines, R = 8"]["cascade"],
    at_least=3,
    unit="dB",
)

# %% [markdown]
# Then noise. The shipped layers have λ = ∞. Your own `data_consistency` takes their place, with another λ, between the same trained blocks. **Predict:** does a finite λ
# help at σ = 0.05? Think of the residuals of the blocks before their layers, in the table above.

# %%
def with_weight(y, mask, weight):
    """The shipped cascade's blocks, with your layer in between."""
    image = physics.inverse_fourier(y)
    with torch.no_grad():
        for cnn in shipped.cnns:
            image = data_consistency(cnn(image), y, mask, weight)
    return image


lines = masks["random lines, R = 4"]
noise_levels, tried = (0.0, 0.02, 0.05, 0.1), (1e4, 30.0, 10.0, 3.0)
print("σ       zero-filled   λ = ∞ " + "".join(f"    λ = {w:<4g}" for w in tried[1:]))
by_noise = {}
for sigma in noise_levels:
    noisy_scan = sample(lines, sigma)
    by_noise[sigma] = [psnr(with_weight(noisy_scan, lines, w), heads) for w in tried]
    values = [psnr(physics.inverse_fourier(noisy_scan), heads), *by_noise[sigma]]
    print(f"{sigma:<6g}" + "".join(f"  ≈ {value:.1f}   " for value in values))
claim("loss at σ = 0.1 with λ = ∞", by_noise[0.0][0] - by_noise[0.1][0], at_least=8, unit="dB")

# %% [markdown]
# Then a lesion: a dark disc of 21 pixels in the white matter of the second slice. No training image has one.

# %%
rows, columns = torch.arange(128.0)[:, None], torch.arange(128.0)[None, :]
distance = torch.hypot(rows - 58, columns - 46)
disc, ring = distance < 2.5, (distance > 4) & (distance < 6.5)
healthy = heads[1:2]
phase = torch.exp(1j * healthy.angle())
patient = healthy - 0.3 * disc * phase


def darkness(image):
    """How much darker the disc is than the ring around it."""
    image = image[0, 0].abs()
    return float(image[ring].mean() - image[disc].mean())


def contrast(image, without):
    """The lesion's contrast, as a share of the truth: what it adds to the same slice without it."""
    return (darkness(image) - darkness(without)) / (darkness(patient) - darkness(healthy))

# %%
around = (..., slice(36, 80), slice(24, 68))
found, found_healthy = {}, {}
print("sampling                lesion's contrast: zero-filled   plain   cascade   PSNR of the cascade")
for name in ("random lines, R = 2", "random lines, R = 4", "random lines, R = 8", "single points, R = 4"):
    m = masks[name][1:2]
    found[name] = reconstruct(m * physics.fourier(patient), m)
    found_healthy[name] = reconstruct(m * physics.fourier(healthy), m)
    shares = [f"≈ {contrast(image, found_healthy[name][method]):.2f}" for method, image in found[name].items()]
    level = psnr(found[name]["cascade"], patient)
    print(f"{name:<27}              {'    '.join(shares)}    ≈ {level:.1f} dB")
show_images(
    {"the patient": patient[around].abs(), "healthy": healthy[around].abs()}
    | {name: results["cascade"][around].abs() for name, results in found.items()},
    alt="The part around a small dark spot: the patient; the same place without it; and four reconstructions by the cascade, in which the spot is more or "
    "less faded.",
    columns=6,
    width=1.6,
)

# %% [markdown]
# Last, without the truth. What does the residual say of the reconstruction, of the same with the lesion painted over, and of that after one more layer? And
# how much of the image was measured at all?

# %%
m = masks["random lines, R = 4"][1:2]
scan_of_patient = m * physics.fourier(patient)
image, without = (results["random lines, R = 4"]["cascade"] for results in (found, found_healthy))
painted = torch.where(disc, image[0, 0].abs()[ring].mean() * phase, image)
for name, candidate in {
    "the cascade's image": image,
    "lesion painted over": painted,
    "painted over, then the layer": replace_measured(painted, scan_of_patient, m),
}.items():
    residual_of_it = float(kspace_residual(candidate, scan_of_patient, m))
    print(f"{name:<29} residual ≈ {residual_of_it:.4f}, contrast ≈ {contrast(candidate, without):.2f}")
guessed = physics.fourier(image - physics.inverse_fourier(scan_of_patient)).abs().square().sum() / image.abs().square().sum()
lesion = physics.fourier(patient - healthy).abs().square()
print(f"of the image's energy ≈ {100 * float(guessed):.1f} % were not measured,")
print(f"of the lesion's energy ≈ {100 * float((lesion * ~m).sum() / lesion.sum()):.0f} %")

# %% [markdown]
# Write half a page:
#
# 1. On which samplings does the cascade keep its quality, and on which does it lose it? What do turned lines tell about what it has learned?
# 2. What does noise do to a layer with λ = ∞? Which λ would you choose at σ = 0.05, and what can λ not repair?
# 3. Does the lesion survive? What does the residual say about it, and what does it not say?
# 4. "A network that never contradicts the scanner": what does that guarantee to a radiologist, and what not? Name one limit of this study.

# %% [markdown] nbgrader={"grade": true, "grade_id": "outside_the_training", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# 1. It keeps its quality wherever enough is measured, also on samplings that it never saw: R = 2 and single points come out best, by far. Equispaced and turned lines cost about three
#    decibels against random ones. R = 12, where less is measured than in training, is worst. Turned lines leave a better zero-filled image than upright ones, and a worse result, with both
#    networks: a part of what the blocks know is the direction of smears. The plain network knows little else: at R = 2 it is worse than the zero-filled image, for it takes away
#    smears that are not there, and no layer forbids it. But the table changes mask and difficulty at once, so only a network trained on
#    the other sampling would show what ours has lost by not knowing it.
# 2. λ = ∞ writes the noise into the image at every measured point; at σ = 0.1 the cascade is worse than the zero-filled image. At σ = 0.05 no finite λ helps: 30 changes nothing, and smaller
#    ones harm, most of all without noise. The blocks were trained behind λ = ∞, so nobody told them what to do at measured frequencies (exercise 4),
#    and a finite λ lets exactly that through. λ belongs into the training, with the noise. And no λ repairs what the blocks have guessed from
#    noisy data in the rest of k-space.
# 3. Through the cascade it comes with nearly all of its contrast, even at R = 8, where the zero-filled image has a quarter of it; at R = 4 a tenth too much. The plain network halves it, or at
#    R = 2 doubles it. The residual does not tell: it is zero for the cascade's image, and zero again for the one in which the lesion was painted over before
#    the layer, though that has half of the contrast. Painted over without the layer it is two percent: what was measured of the lesion. More
#    than half of the lesion's energy was not measured, and there both images are guesses.
# 4. It guarantees that no measured sample is contradicted. Three quarters of k-space were not measured, and there the network writes what brains usually
#    look like, so a rare thing can vanish (the lecture's smaller lesion loses half of its contrast at R = 8), or appear, at a residual of zero. A limit: k-space was simulated by the
#    transform that the layer inverts (an inverse crime), one coil, and all subjects are deformations of one average brain. One lesion of one shape was tried.

# %% [markdown]
# ## Your progress

# %%
lab.progress()

# %% [markdown]
# In this lab you built a layer that has no parameter worth speaking of and makes a network several decibels better, because it knows the physics. Save the notebook before you hand it in. The
# layer solves one small optimisation problem exactly. The next module unrolls whole algorithms into networks, step by step.
