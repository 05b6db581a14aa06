# ---
# jupyter:
#   course:
#     title: "Lab: measure less, and find the image that fits"
#     level: intermediate
#     minutes: 118
#     needs: "lecture 02, lab 01"
# ---

# %% [markdown]
# # Lab 02: measure less, and find the image that fits
#
# {{header}}
#
# You will build a scanner that leaves out most of its measurements, and the solvers that find an image all the same:
# seven short functions, and a study of your own about a small lesion. When you are done you can
#
# - simulate undersampled k-space and its zero-filled image, and tell coherent from noise-like aliasing,
# - write ISTA and FISTA, and say which threshold belongs to which step,
# - solve a Tikhonov problem in closed form, and say what it cannot do,
# - measure what an acceleration costs: for PSNR, and for a lesion of twenty-one pixels.
#
# The checks, the hints (for example `lab.fista.hint()`) and the way on for who is stuck work as in lab 01. The symbols are
# those of the lecture: $x$ image, $y$ measurement, $A$ forward operator.

# %%
import math

import matplotlib.pyplot as plt
import torch

from course_lib import classical, data, metrics, physics
from course_lib.display import claim, method_style, show_figure, show_images
from course_lib.exercises import compressed_sensing as lab

# %% [markdown]
# ## The material (3 minutes)
#
# One slice of the average brain, 192 × 192 pixels, and three masks that measure a quarter of k-space: equispaced lines,
# random lines, and single points that are denser in the middle. Both line masks hold the middle 8 % of the lines.

# %%
brain = data.brain_anatomy([25], size=192)["t1"]
shape = tuple(brain.shape[-2:])

generator = torch.Generator().manual_seed(4)
masks = {
    "equispaced lines": physics.line_mask(shape, 4, 0.08, kind="equispaced"),
    "random lines": physics.line_mask(shape, 4, 0.08, generator),
    "variable density": physics.variable_density_mask(shape, 4, generator),
}

# %%
show_images(
    {"the image": brain} | {name: mask.float() for name, mask in masks.items()},
    alt="A brain slice and three masks of k-space: equispaced upright lines, random upright lines, and "
    "points that are dense in the middle and sparse outside.",
)

# %% [markdown]
# ## Exercise 1 · Undersampled k-space (14 minutes, 5 points)
#
# The scanner measures $y = M F x$: the Fourier transform of the image at the frequencies where the mask $M$ is True. In this
# course $F$ is **centred**, with zero frequency at `[height // 2, width // 2]` and the image's centre there too, and
# **orthonormal**, so that $\|F x\| = \|x\|$. What was not measured becomes zero.
#
# `torch.fft.fft2` takes the centre of both to be at `[0, 0]`. `torch.fft.ifftshift` moves the centre there, and
# `torch.fft.fftshift` moves `[0, 0]` to the centre. On odd sides these are two different moves. The sides of a picture are its last two
# dimensions, `dim=(-2, -1)`.

# %% nbgrader={"grade": false, "grade_id": "undersample", "locked": false, "schema_version": 3, "solution": true, "task": false}
def undersample(image, mask):
    """Centred orthonormal k-space of images, zero where nothing is measured.

    image: (batch, 1, height, width), float32 or complex64
    mask: bool (height, width), True where k-space is measured, zero frequency in the middle
    returns: a complex tensor of the shape of image
    """
    ### BEGIN SOLUTION
    moved = torch.fft.ifftshift(image, dim=(-2, -1))
    kspace = torch.fft.fftshift(torch.fft.fft2(moved, norm="ortho"), dim=(-2, -1))
    return kspace * mask
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_undersample", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.undersample.check(undersample)

# %%
undersample = lab.undersample.or_reference(undersample)

# %% [markdown]
# What you should see: a bright middle that falls over four orders of magnitude, and the same with three quarters missing.

# %%
everything = torch.ones(shape, dtype=torch.bool)
complete = undersample(brain, everything)
measured = {name: undersample(brain, mask) for name, mask in masks.items()}

show_images(
    {
        f"log₁₀|k|, {name}": (kspace[0, 0].abs() + 1e-3).log10()
        for name, kspace in ({"complete": complete} | measured).items()
    },
    alt="Logarithm of the magnitude of k-space, complete and under the three masks: bright in the "
    "middle, black where nothing is measured.",
    limits=None,
)

# %%
energy = {
    name: float(kspace.abs().square().sum() / brain.square().sum()) for name, kspace in measured.items()
}
for name, share in energy.items():
    print(f"{name:<17} measures 25 % of the points and ≈ {100 * share:.1f} % of the energy")
least = 100 * min(energy.values())
claim("energy in a quarter of the points, poorest mask", least, at_least=95, unit="%")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Nearly all energy lies in the middle, so every mask that holds the middle keeps about 98 % of it. The
# two percent that are missing are the edges, and how they are missing decides about the picture.

# %% [markdown]
# ## Exercise 2 · The zero-filled image (10 minutes, 5 points)
#
# The simplest reconstruction is the adjoint, $A^H y = F^H M y$: take zero for what is missing, and transform back. Since $F$
# is orthonormal, its adjoint is its inverse: undo the steps of exercise 1, the last one first. `fftshift` is undone by `ifftshift`, and
# `ifftshift` by `fftshift`. The result is complex. Keep it so: only pictures need the magnitude.

# %% nbgrader={"grade": false, "grade_id": "zero_filled", "locked": false, "schema_version": 3, "solution": true, "task": false}
def zero_filled(kspace):
    """The adjoint of the centred orthonormal Fourier transform.

    kspace: complex64 (batch, 1, height, width), centred, zero where nothing was measured
    returns: a complex tensor of the shape of kspace
    """
    ### BEGIN SOLUTION
    unmoved = torch.fft.ifftshift(kspace, dim=(-2, -1))
    return torch.fft.fftshift(torch.fft.ifft2(unmoved, norm="ortho"), dim=(-2, -1))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_zero_filled", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.zero_filled.check(zero_filled)

# %%
zero_filled = lab.zero_filled.or_reference(zero_filled)

# %% [markdown]
# **Predict:** all three masks leave out the same number of points. Which picture is worst, and which is nearest to the truth?
#
# What you should see: with equispaced lines shifted copies of the head's border across the brain, with random lines smears from
# left to right, with points sharp borders and a soft mottle.

# %%
aliased = {name: zero_filled(kspace).abs() for name, kspace in measured.items()}

show_images(
    {"the image": brain} | aliased,
    alt="The brain slice, and its zero-filled images: with equispaced lines shifted copies of its "
    "border cross the brain, with random lines it is smeared sideways, with points of variable density "
    "its borders are sharp under a soft mottle.",
)
quality = {name: metrics.psnr(image, brain).item() for name, image in aliased.items()}
for name, value in quality.items():
    print(f"{name:<17} PSNR ≈ {value:.2f} dB")
claim(
    "points over random lines, zero-filled, R = 4",
    quality["variable density"] - quality["random lines"],
    at_least=2,
    unit="dB",
)

# %% [markdown]
# The reason shows in the image of a single bright pixel, the point-spread function of each mask. The equispaced mask is no pure comb,
# which would give clean copies: its middle is complete, and its other lines are five or six columns apart. So its replicas have unequal
# heights.

# %%
point = torch.zeros(1, 1, *shape)
point[..., shape[0] // 2, shape[1] // 2] = 1
spread = {name: zero_filled(undersample(point, mask))[0, 0].abs() for name, mask in masks.items()}

figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), sharey=True)
for ax, (name, psf) in zip(axes, spread.items(), strict=True):
    ax.plot(range(-96, 96), psf[96] / psf.max())
    ax.set(title=name, xlabel="pixels from the point")
axes[0].set_ylabel("magnitude")
show_figure(
    figure,
    "Three point-spread functions along a row: equispaced lines make a few tall replicas of unequal "
    "height at equal distances, random lines many lower ones, points almost none.",
)

# %%
away = torch.hypot(torch.arange(192.0)[:, None] - 96, torch.arange(192.0)[None, :] - 96) > 8
largest = {name: float(psf[away].max() / psf.max()) for name, psf in spread.items()}
claim(
    "largest replica of equispaced lines",
    largest["equispaced lines"],
    at_least=0.4,
    source="decks 001, 002",
)
claim(
    "largest one of variable density",
    largest["variable density"],
    at_most=0.15,
    source="decks 001, 002",
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Equispaced lines send each pixel's energy to a few other places, as strong as copies, and no prior knowledge of
# edges can tell a copy from an original. Random lines spread it over a row, points over the whole image, where it looks like noise. That is
# what incoherence means: undersampling becomes a denoising problem, and denoising is what sparsity can do.

# %% [markdown]
# ## Exercise 3 · The soft threshold (14 minutes, 5 points)
#
# Which $x$ minimises $\tfrac12|z - x|^2 + t\,|x|$? Away from zero the derivative says: $z$ with its magnitude less $t$. Where $|z| \le t$,
# zero is better than anything else. This is the **proximal operator** of $t\,|x|$. It holds for complex $z$ as well: the magnitude
# shrinks, and the phase stays.

# %% nbgrader={"grade": false, "grade_id": "soft_threshold", "locked": false, "schema_version": 3, "solution": true, "task": false}
def soft_threshold(z, threshold):
    """Shrink each magnitude by the threshold, at most to zero, and keep the phase.

    z: real or complex tensor of any shape
    threshold: a number greater than 0
    returns: a tensor of the shape and type of z
    """
    ### BEGIN SOLUTION
    shrunk = (z.abs() - threshold).clamp(min=0)
    return torch.sgn(z) * shrunk
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_soft_threshold", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.soft_threshold.check(soft_threshold)

# %%
soft_threshold = lab.soft_threshold.or_reference(soft_threshold)

# %% [markdown]
# What you should see: zero between −1 and 1, and outside a line at a distance of 1 from the dotted one.

# %%
z = torch.linspace(-3, 3, 121)
figure, ax = plt.subplots(figsize=(4, 2.8))
ax.plot(z, soft_threshold(z, 1.0), label="soft threshold, t = 1")
ax.plot(z, z, color="#7F7F7F", ls=":", label="unchanged")
ax.set(xlabel="z", ylabel="x", title="Small values become zero, large ones lose t")
ax.legend()
show_figure(
    figure,
    "The soft threshold against its input: flat at zero between minus one and one, beyond that "
    "parallel to the diagonal.",
)

# %% [markdown]
# Use it where images are sparse: in an orthonormal wavelet basis $W$. Noise spreads over all coefficients, the image lies in few.

# %%
W = classical.OrthogonalWavelet(shape, "db4")
sizes = W(brain).abs().flatten().sort(descending=True).values
share = float(sizes[: len(sizes) // 20].square().sum() / sizes.square().sum())
claim(
    "energy in the largest 5 % of the wavelet coefficients",
    100 * share,
    at_least=99.5,
    unit="%",
    digits=4,
    source="deck 002",
)

# %%
noisy = physics.add_gaussian_noise(brain, 20 / 255, generator)
coefficients = soft_threshold(W(noisy), 1.2 * 20 / 255)
denoised = W.adjoint(coefficients)

show_images(
    {
        "log₁₀ of |W x|": (W(brain)[0, 0].abs() + 1e-3).log10() / 4 + 0.75,
        "the image": brain,
        "noisy, σ = 20/255": noisy,
        "coefficients shrunk": denoised,
    },
    alt="Wavelet coefficients of the brain slice, mostly black; the slice; the slice with grain; and "
    "after shrinking, with little grain and softer detail.",
)
kept = float((coefficients != 0).float().mean())
gain = (metrics.psnr(denoised, brain) - metrics.psnr(noisy, brain)).item()
claim("coefficients that are not zero", 100 * kept, at_most=40, unit="%")
claim("gain in PSNR by shrinking", gain, at_least=4, unit="dB")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** One coefficient in twenty carries the picture. Shrinking removes most of the noise, and takes the threshold off the large
# coefficients too: a bias that softens edges, and that the hard threshold would not have. In return the soft one is continuous, and it
# is the exact minimiser of a convex problem.

# %% [markdown]
# ## Exercise 4 · One step of ISTA (10 minutes, 5 points)
#
# Fewer measurements than unknowns: infinitely many $x$ fit $y = A x$. Among them we want a sparse one, and minimise
#
# $$F(x) = \tfrac12\|A x - y\|^2 + \lambda\,\|x\|_1 .$$
#
# One step of ISTA goes down the gradient of the first part, $A^T(A x - y)$, with a step size $\eta$, and then applies the proximal
# operator of $\eta$ times the second part. **Careful:** decks 003 and 004 print $\mathrm{prox}_{\lambda R}$ for every step size. The threshold that
# belongs to a step of size $\eta$ is $\eta\lambda$.

# %% nbgrader={"grade": false, "grade_id": "ista_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ista_step(x, A, y, step, weight):
    """One proximal gradient step on ½‖A x − y‖² + weight·‖x‖₁.

    x: float32 (columns,), where the step starts
    A: float32 (rows, columns), the forward matrix
    y: float32 (rows,), the measurement
    step: step size η > 0, a number
    weight: λ > 0, a number
    returns: a real tensor of the shape of x
    """
    ### BEGIN SOLUTION
    gradient = A.T @ (A @ x - y)
    return soft_threshold(x - step * gradient, step * weight)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_ista_step", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.ista_step.check(ista_step)

# %%
ista_step = lab.ista_step.or_reference(ista_step)

# %% [markdown]
# The problem: 10 spikes among 200 unknowns, 80 random measurements of them, a little noise. The largest useful step is
# $1/\|A\|^2$, and the spectral norm $\|A\|$ is the largest singular value.

# %%
generator = torch.Generator().manual_seed(2)
A = torch.randn(80, 200, generator=generator) / math.sqrt(80)
spikes = torch.zeros(200)
places = torch.randperm(200, generator=generator)[:10]
spikes[places] = torch.randn(10, generator=generator)
y = physics.add_gaussian_noise(A @ spikes, 0.01, generator)

step = 0.99 / float(torch.linalg.matrix_norm(A, 2)) ** 2
weight = 0.02


def objective(x):
    """F(x), in double precision, so that small gaps show."""
    misfit = A.double() @ x.double() - y.double()
    return float(0.5 * misfit.square().sum() + weight * x.double().abs().sum())

# %%
x = torch.zeros(200)
ista_values = []
for _ in range(200):
    x = ista_step(x, A, y, step, weight)
    ista_values.append(objective(x))

falls = [before - after for before, after in zip(ista_values, ista_values[1:], strict=False)]
claim("smallest fall of the objective in one of 200 steps", min(falls), at_least=0)

# %% [markdown]
# What you should see: after 200 steps a mark near every circle, a little too small, and a few small false ones.

# %%
figure, ax = plt.subplots(figsize=(7, 2.6))
ax.plot(places, spikes[places], "o", mfc="none", color="#000000", label="truth")
ax.plot(x, **method_style("ista") | {"linestyle": "", "markersize": 3, "label": "ISTA, 200 steps"})
ax.set(xlabel="entry", ylabel="value", title="80 measurements of 200 unknowns")
ax.legend()
show_figure(
    figure,
    "Ten spikes marked by circles, and the estimate by smaller marks: these lie in nearly all circles, "
    "slightly nearer to zero, and the others at or close to zero.",
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The objective falls in every step, as the theory says for a step of at most 1/‖A‖². The spikes come out a little too small: the
# price of the ℓ1 norm. With λ as threshold in place of ηλ the steps would still settle, at the minimiser for a weight λ/η, nearly seven times
# too large here. Nothing would look wrong but the answer.

# %% [markdown]
# ## Exercise 5 · FISTA (16 minutes, 5 points)
#
# ISTA forgets where it came from. FISTA (Beck and Teboulle 2009) steps from a point $z$ that runs ahead in the direction of the last move. From
# $x_0 = z_1 = 0$ and $t_1 = 1$, for $k = 1, \dots, K$:
#
# $$x_k = \text{ISTA step from } z_k, \qquad t_{k+1} = \frac{1 + \sqrt{1 + 4 t_k^2}}{2}, \qquad
# z_{k+1} = x_k + \frac{t_k - 1}{t_{k+1}}\,(x_k - x_{k-1}).$$
#
# Use your `ista_step`, and return $x_K$. The $t_k$ are plain numbers: their root is `math.sqrt`.

# %% nbgrader={"grade": false, "grade_id": "fista", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fista(A, y, step, weight, iterations):
    """Minimise ½‖A x − y‖² + weight·‖x‖₁ with momentum, from zero.

    A: float32 (rows, columns), the forward matrix
    y: float32 (rows,), the measurement
    step: step size η > 0, at most 1/‖A‖², a number
    weight: λ > 0, a number
    iterations: K ≥ 1, a whole number
    returns: a real tensor of shape (columns,), the last iterate x_K
    """
    ### BEGIN SOLUTION
    x = z = torch.zeros_like(A[0])
    t = 1.0
    for _ in range(iterations):
        x_new = ista_step(z, A, y, step, weight)
        t_new = (1 + math.sqrt(1 + 4 * t**2)) / 2
        z = x_new + (t - 1) / t_new * (x_new - x)
        x, t = x_new, t_new
    return x
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_fista", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.fista.check(fista)

# %%
fista = lab.fista.or_reference(fista)

# %% [markdown]
# **Predict:** ISTA's gap to the minimum falls at worst like $1/k$, FISTA's like $1/k^2$. After 100 iterations, how many times smaller is
# FISTA's gap here?
#
# The minimum comes from the library's solver, run until its duality gap certifies it.

# %%
solver = classical.fista(
    physics.MatrixOperator(A.double()),
    y.double(),
    classical.L1(weight),
    iterations=3000,
    tolerance=1e-9,
)
least = objective(solver.x)

counts = [1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80, 100, 113, 140]
fista_gap = [objective(fista(A, y, step, weight, k)) - least for k in counts]
ista_gap = [ista_values[k - 1] - least for k in counts]
bound = [2 * float(solver.x.square().sum()) / (step * (k + 1) ** 2) for k in counts]

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.2))
ax.loglog(counts, ista_gap, **method_style("ista"))
ax.loglog(counts, fista_gap, **method_style("fista"))
ax.loglog(counts, bound, color="#000000", ls=":", label="FISTA's bound")
ax.set(xlabel="iteration k", ylabel="F(x_k) − min F", title="Momentum pays", ylim=(1e-7, 100))
ax.legend()
show_figure(
    figure,
    "The gap of the objective against iterations on logarithmic scales: FISTA's curve falls much "
    "faster than ISTA's, and both start below FISTA's bound.",
)
at_100 = counts.index(100)
claim("ISTA's gap over FISTA's after 100 iterations", ista_gap[at_100] / fista_gap[at_100], at_least=50)
claim(
    "largest share of FISTA's bound",
    max(g / b for g, b in zip(fista_gap, bound, strict=True)),
    at_most=1,
    source="decks 002, 003, 004",
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** After 100 iterations FISTA is thousands of times nearer, far more than the bounds promise: once the right entries are found, the
# problem is a well-conditioned one in few unknowns. The bounds speak of the worst case.

# %% [markdown]
# ## Exercise 6 · Tikhonov in closed form (10 minutes, 5 points)
#
# With the squared norm in place of $\|x\|_1$ the gradient of $\tfrac12\|A x - y\|^2 + \tfrac12\lambda\|x\|^2$ is zero where
#
# $$(A^T A + \lambda I)\,x = A^T y ,$$
#
# a system of columns × columns, as large as the image. There is a cheaper one. Multiply out both sides of
# $(A^T A + \lambda I)\,A^T = A^T (A A^T + \lambda I)$: they agree. So put $x = A^T v$ into the system, and find what is left to solve for $v$: a
# system of rows × rows (the push-through identity). For the tomograph below these are 384 instead of 1,024, and a nineteenth of the work. Either form passes; write the
# cheaper one (deck 004 has it).

# %% nbgrader={"grade": false, "grade_id": "tikhonov", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tikhonov(A, y, weight):
    """The minimiser of ½‖A x − y‖² + ½·weight·‖x‖².

    A: float32 (rows, columns), fewer rows than columns
    y: float32 (rows,), the measurement
    weight: λ > 0, a number
    returns: a real tensor of shape (columns,)
    """
    ### BEGIN SOLUTION
    gram = A @ A.T + weight * torch.eye(len(A), dtype=A.dtype)
    return A.T @ torch.linalg.solve(gram, y)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_tikhonov", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.tikhonov.check(tikhonov)

# %%
tikhonov = lab.tikhonov.or_reference(tikhonov)

# %% [markdown]
# First on the spikes: the same measurements as in exercise 5. **Predict:** what does the solution of least norm look like?

# %%
estimates = {"fista": fista(A, y, step, weight, 200), "tikhonov": tikhonov(A, y, weight)}
titles = {"fista": "ℓ1 (FISTA)", "tikhonov": "ℓ2 (Tikhonov)"}
figure, axes = plt.subplots(1, 2, figsize=(9, 2.4), sharey=True)
for ax, (name, estimate) in zip(axes, estimates.items(), strict=True):
    ax.plot(places, spikes[places], "o", mfc="none", color="#000000", label="truth")
    ax.plot(estimate, **method_style(name) | {"linestyle": "", "markersize": 3})
    ax.set(title=titles[name], xlabel="entry")
    ax.legend()
show_figure(
    figure,
    "Ten spikes and two estimates: with the l1 norm the marks lie in the circles, with the l2 norm "
    "they are spread over all entries and the spikes are far too small.",
)
error = {name: float((x - spikes).norm() / spikes.norm()) for name, x in estimates.items()}
claim("relative error with ℓ1", error["fista"], at_most=0.15)
claim("relative error with ℓ2", error["tikhonov"], at_least=0.7)

# %% [markdown]
# Then on a tomograph: the slice at 32 × 32 pixels, seen from 12 angles, with noise. Its matrix has 384 rows and 1,024 columns.
#
# What you should see: grain for a small λ, a usable picture in the middle, and a pale one for a large λ.

# %%
small = torch.nn.functional.avg_pool2d(brain, 6)
radon = physics.Radon(32, torch.arange(12) * math.pi / 12)
ct = radon(torch.eye(1024).reshape(1024, 32, 32)).flatten(1).T
sinogram = physics.add_gaussian_noise(ct @ small.flatten(), 0.3, generator)

weights = (0.01, 0.1, 1.0, 10.0, 100.0)
slices = {f"λ = {w:g}": tikhonov(ct, sinogram, w).float().reshape(1, 1, 32, 32) for w in weights}
back_projected = (ct.T @ sinogram).reshape(1, 1, 32, 32)
back_projected = back_projected * (small.mean() / back_projected.mean())  # the adjoint has another unit

# %%
show_images(
    {"truth": small, "adjoint, scaled": back_projected} | slices,
    alt="The slice at 32 by 32 pixels: truth; the blurred adjoint; and five Tikhonov estimates, grainy "
    "for small lambda, best near 1, pale and blurred for 100.",
    columns=7,
    width=1.5,
)
levels = {
    name: metrics.psnr(image, small).item()
    for name, image in ({"adjoint": back_projected} | slices).items()
}
for name, value in levels.items():
    print(f"{name:<9} PSNR ≈ {value:.1f} dB")
claim("Tikhonov at λ = 1 over the adjoint", levels["λ = 1"] - levels["adjoint"], at_least=3, unit="dB")

# %% [markdown]
# And on single-coil MRI? There the rows of $A$ are orthonormal, $A A^T = I$. Rows of any orthogonal matrix show what follows.

# %%
rows = torch.linalg.qr(torch.randn(200, 200, generator=generator)).Q[:80]
values = rows @ spikes
difference = (tikhonov(rows, values, 0.25) - rows.T @ values / 1.25).abs().max()
claim("difference between Tikhonov and the adjoint over 1 + λ", float(difference), at_most=1e-5)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The squared norm prefers many small entries to few large ones, so Tikhonov never finds spikes, whatever λ. On the tomograph it
# undoes the blur of the adjoint, as far as the noise lets it. On single-coil MRI it does nothing but rescale the zero-filled image by 1/(1 + λ): it fills in no
# frequency that was not measured, for every estimate Aᵀ(…) is a combination of the measured ones.

# %% [markdown]
# ## Exercise 7 · Total variation (16 minutes, 5 points)
#
# An image can also be sparse in its differences: organs are areas with borders. The isotropic total variation adds up the length of the gradient,
#
# $$\mathrm{TV}(x) = \sum_{i,j} \sqrt{(x_{i+1,j} - x_{i,j})^2 + (x_{i,j+1} - x_{i,j})^2}\,,$$
#
# where a difference that would need a pixel beyond the last row or column is zero.

# %% nbgrader={"grade": false, "grade_id": "total_variation", "locked": false, "schema_version": 3, "solution": true, "task": false}
def total_variation(image):
    """Isotropic total variation of each image.

    image: float32 (batch, 1, height, width)
    returns: a real tensor of shape (batch,)
    """
    ### BEGIN SOLUTION
    down = torch.diff(image, dim=-2, append=image[..., -1:, :])
    right = torch.diff(image, dim=-1, append=image[..., -1:])
    return (down**2 + right**2).sqrt().sum(dim=(1, 2, 3))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_total_variation", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.total_variation.check(total_variation)

# %%
total_variation = lab.total_variation.or_reference(total_variation)

# %% [markdown]
# **Predict:** order by total variation: the clean slice, the noisy one, the zero-filled one from random lines and from points, a blurred one.

# %%
blurred = classical.gaussian_blur(brain, 2.0)
versions = {
    "clean": brain,
    "blurred": blurred,
    "zero-filled, random lines": aliased["random lines"],
    "zero-filled, points": aliased["variable density"],
    "noisy, σ = 20/255": noisy,
}
variation = {name: float(total_variation(image).sum()) for name, image in versions.items()}
for name, value in variation.items():
    print(f"{name:<26} TV ≈ {value:.0f}")
claim(
    "TV of the noisy slice over the clean one",
    variation["noisy, σ = 20/255"] / variation["clean"],
    at_least=3,
)
claim(
    "TV of the blurred slice over the clean one", variation["blurred"] / variation["clean"], at_most=0.9
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Noise multiplies total variation, and the grain of points raises it, so asking for little of it removes both. Smears from random lines
# hardly change it: they are long and soft, which is one reason why lines are harder. And a blurred image has less than the truth: total variation alone says
# nothing. It is a prior, and the data must speak against it, ½‖A x − y‖² + λ·TV(x).

# %% [markdown]
# ## Question 8 · Your lesion study (25 minutes, 4 points, marked by a person)
#
# A dark lesion of 21 pixels in the white matter, k-space with noise, and a TV reconstruction from the library (it minimises
# $\tfrac12\|A x - y\|^2 + \lambda\,\mathrm{TV}(x)$). Does it survive acceleration? The cells are written: run them, read the numbers, and
# spend your time on the answers below.

# %%
distance = torch.hypot(torch.arange(192.0)[:, None] - 52, torch.arange(192.0)[None, :] - 118)
disc, ring = distance < 2.5, (distance > 4) & (distance < 6.5)
patient = brain - 0.3 * disc


def depth(image):
    """How much darker the lesion is than the ring around it."""
    return float(image[0, 0].abs()[ring].mean() - image[0, 0].abs()[disc].mean())


def contrast(image):
    """The depth of the lesion, as a share of the truth."""
    return depth(image) / depth(patient)


def around(image):
    return image[..., 28:76, 94:142].abs()

# %%
show_images(
    {
        "the patient": patient,
        "around the lesion": around(patient),
        "the same place, healthy": around(brain),
    },
    alt="The brain slice with a small dark spot in the white matter at the upper right; a magnified "
    "part around the spot; the same part without it.",
)
healthy = metrics.psnr(brain, patient).item()
claim("PSNR of the healthy slice, as an estimate of the patient", healthy, at_least=40, unit="dB")

# %%
def scan(image, kind, R, seed=8):
    """Noisy undersampled k-space, and its mask."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "lines":
        mask = physics.line_mask(shape, R, {2: 0.08, 4: 0.08, 8: 0.04}[R], generator)
    else:
        mask = physics.variable_density_mask(shape, R, generator)
    return mask * physics.add_gaussian_noise(undersample(image, mask), 0.015, generator), mask


def reconstruct(kspace, mask, weight):
    """A complex image near the minimiser of ½‖A x − y‖² + λ·TV(x)."""
    A = physics.FourierSampling(mask)
    return classical.tv_reconstruction(A, kspace, weight, iterations=2000, tolerance=3e-4).x

# %% [markdown]
# First the acceleration. λ = 0.01 was chosen on another slice, at 40 mm and without a lesion: of 0.003, 0.005, 0.01, 0.02 and 0.03 it had the
# best PSNR there, or was within 0.2 dB of the best, for both masks at R = 2, 4 and 8. The iteration stops when a step changes less than 0.03 % of
# the image. Run to 0.01 %, the image from lines at R = 8 gains another 0.25 dB, and no contrast in this table changes by 0.01.
#
# The last column is the share of the lesion's own energy that falls on measured points: what the data can know of it.

# %%
results, scans = {}, {}
print("mask    R   PSNR (dB)   contrast kept   lesion's energy measured")
for kind in ("lines", "points"):
    for R in (2, 4, 8):
        kspace, mask = scans[kind, R] = scan(patient, kind, R)
        image = results[kind, R] = reconstruct(kspace, mask, 0.01)
        lesion = undersample(patient - brain, mask)
        share = float(lesion.abs().square().sum() / (patient - brain).square().sum())
        psnr = metrics.psnr(image.abs(), patient).item()
        print(f"{kind:<6}  {R}   ≈ {psnr:.1f}      ≈ {contrast(image):.2f}          ≈ {share:.2f}")
claim("contrast kept with these lines at R = 8", contrast(results["lines", 8]), at_most=0.4)
claim("contrast kept with these points at R = 8", contrast(results["points", 8]), at_least=0.6)

# %%
show_images(
    {f"{kind}, R = {R}": around(image) for (kind, R), image in results.items()},
    alt="The part around the lesion, from lines in the upper row and points in the lower one, at R = 2, 4 "
    "and 8: from lines all detail is smeared at R = 8 and the dark spot gone, from points it stays.",
    columns=3,
    width=1.9,
)

# %% [markdown]
# Then λ, with lines at R = 4.

# %%
kspace, mask = scans["lines", 4]
by_weight = {w: reconstruct(kspace, mask, w) for w in (0.003, 0.01, 0.03, 0.05, 0.1)}
psnrs = {w: metrics.psnr(image.abs(), patient).item() for w, image in by_weight.items()}
contrasts = {w: contrast(image) for w, image in by_weight.items()}

figure, axes = plt.subplots(1, 2, figsize=(8, 2.8))
for ax, values in zip(axes, (psnrs, contrasts), strict=True):
    ax.semilogx(values.keys(), values.values(), **method_style("tv"))
axes[0].set(xlabel="λ", ylabel="PSNR (dB)", title="Whole image")
axes[1].set(xlabel="λ", ylabel="contrast kept", title="Lesion", ylim=(0, 1))
show_figure(
    figure,
    "Two curves against lambda: PSNR has its maximum near 0.01; the lesion's contrast is largest at "
    "the smallest lambda and falls to nearly nothing at 0.1.",
)
for w in by_weight:
    print(f"λ = {w:<5g}  PSNR ≈ {psnrs[w]:.1f} dB, contrast ≈ {contrasts[w]:.2f}")

# %%
shown = {w: by_weight[w] for w in (0.003, 0.01, 0.05, 0.1)}
show_images(
    {f"λ = {w:g}": image.abs() for w, image in shown.items()}
    | {f"λ = {w:g}, around the lesion": around(image) for w, image in shown.items()},
    alt="The slice from lines at R = 4 for four lambdas, and the part around the lesion below: with the "
    "smallest fine streaks and the dark spot, with the largest a clean picture without the spot.",
    width=2.2,
)
claim("gain in PSNR from λ = 0.003 to 0.03", psnrs[0.03] - psnrs[0.003], at_least=0.2, unit="dB")
claim("contrast lost from λ = 0.003 to 0.03", contrasts[0.003] - contrasts[0.03], at_least=0.1)

# %% [markdown]
# Last, without the truth. How well does each image explain the data? Compare the reconstruction with the same image after its lesion was put back
# at full depth. The truth's own misfit is the noise: an image below it contradicts nothing that was measured.

# %%
for R in (2, 4, 8):
    kspace, mask = scans["lines", R]
    image = results["lines", R]
    restored = image - (depth(patient) - depth(image)) * disc
    candidates = {"reconstruction": image, "lesion restored": restored, "truth": patient}
    misfits = [
        f"{name} ≈ {float((undersample(x, mask) - kspace).norm() / kspace.norm()):.4f}"
        for name, x in candidates.items()
    ]
    print(f"lines, R = {R}, ‖A x − y‖/‖y‖: {', '.join(misfits)}")

# %% [markdown]
# And what does another mask say, or a test lesion of known contrast, put into the data at a place that is known to be healthy?

# %%
for seed in (9, 10):
    again = reconstruct(*scan(patient, "lines", 8, seed=seed), 0.01)
    print(f"lines, R = 8, another mask: contrast ≈ {contrast(again):.2f}")
# the head is nearly symmetric, so the ring is white matter on the other side too
mirrored = brain - 0.3 * disc.flip(-1)
tested = reconstruct(*scan(mirrored, "lines", 8), 0.01)
print(f"test lesion on the other side: contrast ≈ {contrast(tested.flip(-1)):.2f}")

# %% [markdown]
# Write half a page:
#
# 1. At which acceleration is the lesion lost in this scan, with lines and with points? Where does PSNR warn of it, and where does it not? Look at
#    both studies, and at the PSNR of the healthy slice.
# 2. What does λ do to the image, and what to the lesion? Which λ would you choose, and on which images?
# 3. How would you tell, without the truth, whether a scan can show such a lesion? Which of the three tests above helps, and which does not?
# 4. Name one limit of this study.

# %% [markdown] nbgrader={"grade": true, "grade_id": "lesion_study", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# 1. With lines the lesion is lost at R = 8, where a seventh of its contrast is left; with points three quarters are left even there. At R = 8 with
#    lines PSNR warns: it falls by 8 dB, and the whole picture is ruined. It does not warn when λ grows: at R = 4 and λ = 0.1 a clean picture of 27
#    dB has a tenth of the lesion, and λ = 0.03 has a better PSNR than 0.003 with a quarter less of the lesion. PSNR is a mean over 36,864 pixels,
#    and the lesion is 21 of them: the healthy slice, without any lesion, has 43 dB, more than every reconstruction.
# 2. PSNR is best at λ = 0.01. A smaller λ keeps a little more of the lesion and leaves streaks and noise. A larger one flattens: at 0.05 PSNR is 2
#    dB lower and the contrast 0.43, at 0.1 the lesion is erased. I would choose λ on other slices with test lesions of this size, by their
#    contrast as well as by PSNR, and never on the patient.
# 3. The misfit does not help. At R = 8 the image with the restored lesion fits a little worse than the reconstruction, 0.0133 against 0.0122, but
#    both fit better than the truth, 0.0143, so the data contradict neither. These lines measure a quarter of the lesion's small energy. Other
#    masks help: contrasts of 0.14, 0.20 and 0.47 for the same patient say that the data do not determine it. The test lesion helps most: it keeps
#    0.17, and so announces what happens to the real one.
# 4. A limit: k-space was simulated by the same transform, on the same grid, as the reconstruction assumes (an inverse crime), with one coil and a
#    smooth average anatomy. One lesion of one shape was tried, and three masks: others may keep more of it or less.

# %% [markdown]
# ## Your progress

# %%
lab.progress()

# %% [markdown]
# In this lab you built the measurement and the solvers of compressed sensing, and saw a reconstruction, at λ = 0.1, that looks clean and lacks what a
# radiologist looks for. Save the notebook before you hand it in. All of these methods know images only through one number, ‖x‖₁ or TV. The next module asks what a network learns instead, and
# finds that one ISTA step is one of its layers.
