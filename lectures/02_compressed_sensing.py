# ---
# jupyter:
#   course:
#     title: "Compressed sensing: measure less, solve an inverse problem"
#     level: intermediate
#     minutes: 100
#     needs: "module 01; vectors and matrices, least squares"
# ---

# %% [markdown]
# # Compressed sensing: measure less, solve an inverse problem
#
# {{header}}
#
# In this notebook you will
#
# - see what an MRI scanner measures, and what happens to the image when it measures a quarter of it,
# - solve $y = Ax$ with too few rows in four ways: projections, Tikhonov, ISTA and FISTA, total variation,
# - predict when a sparse signal is recovered exactly, and check the prediction on thousands of random problems,
# - find out why lines in k-space are harder than scattered points, and what the wait for a good image costs,
# - catch two ways to fool oneself: the inverse crime, and a lesion that a beautiful image has lost.
#
# The material is in decks 001 (MRI), 002 (MRI and CT) and 004 (inverse problems). From here on Fourier transforms are
# *centred and orthonormal*: zero frequency is in the middle, and energy is kept.

# %%
import matplotlib.pyplot as plt
import torch

from course_lib import classical, data, display, metrics, physics
from course_lib.display import claim, play, show_figure, show_images

# %% [markdown]
# ## 1 · A question (4 minutes)
#
# An MRI scanner does not photograph. It measures the image's Fourier transform, called **k-space**, one line after the
# other, and each line takes time. A patient who must lie still for ten minutes would rather lie still for two and a half.

# %%
image = data.brain_anatomy([5], size=256)["t1"]
kspace = physics.fourier(image)
show_images(
    {"image $x$": image, "k-space $Fx$ (log of magnitude)": (kspace.abs() + 1e-3).log10() / 3 + 1},
    alt="A slice of a brain, and its k-space: bright in the middle, where slow waves are, and dark outside.",
    width=3,
)

# %% [markdown]
# **Predict.** Keep every fourth line of k-space and put zeros elsewhere. What will the image look like? And when the lines
# are not every fourth one, but a quarter of them drawn at random? Write two words.

# %%
my_every_fourth, my_random_fourth = "blurred", "blurred"  # your guess

# %% [markdown]
# ## 2 · Sampling and aliasing (10 minutes)
#
# Write $F$ for the Fourier transform and $M$ for the **mask**: 1 where k-space is measured, 0 elsewhere. The scanner gives
#
# $$ y = A x, \qquad A = M F . $$
#
# By hand, in two lines; the shifts bring zero frequency to the middle and back:

# %%
mask = physics.line_mask((256, 256), acceleration=4, kind="equispaced")
y = mask * torch.fft.fftshift(
    torch.fft.fft2(torch.fft.ifftshift(image, dim=(-2, -1)), norm="ortho"), dim=(-2, -1)
)

# %% [markdown]
# In the library $A$ is an object with `forward` and `adjoint`. The adjoint $A^H$ is the operator with
# $\langle Ax, y\rangle = \langle x, A^H y\rangle$ for all $x$ and $y$; here it puts $y$ on the grid and transforms back. It gives
# the **zero-filled** image. Confirm both:

# %%
A = physics.FourierSampling(mask)
claim("largest difference, by hand to library", (A(image) - y).abs().max().item(), at_most=1e-5)

generator = torch.Generator().manual_seed(2)
some_image = torch.randn(256, 256, dtype=torch.complex128, generator=generator)
some_data = mask * torch.randn(256, 256, dtype=torch.complex128, generator=generator)
left, right = (
    torch.vdot(A(some_image).flatten(), some_data.flatten()),
    torch.vdot(some_image.flatten(), A.adjoint(some_data).flatten()),
)
claim(
    "adjoint: relative difference of the two inner products",
    ((left - right).abs() / left.abs()).item(),
    at_most=1e-10,
)

# %%
centre = 0.08  # share of lines around zero frequency that are always measured
masks = {
    "every 4th line": mask,
    "random lines": physics.line_mask((256, 256), 4, centre, generator),
    "random points": physics.variable_density_mask((256, 256), 4, generator),
}
operators = {name: physics.FourierSampling(m) for name, m in masks.items()}
show_images(
    {name: m.float() for name, m in masks.items()}
    | {f"zero-filled, {name}": A.adjoint(A(image)).abs() for name, A in operators.items()},
    alt="Three masks with a quarter of k-space each: every fourth column; random columns, dense in the middle; random "
    "points, dense in the middle. Below the zero-filled images: four overlapping copies of the brain; a brain smeared "
    "sideways; a brain under something like noise.",
    columns=3,
)

# %% [markdown]
# Every fourth line gives four overlapping copies: **aliasing**. Nothing in one pixel tells which of the four brains it
# belongs to. Random lines smear, random points look like noise. A single bright pixel shows the mechanism: its image
# $A^H A\,\delta$ is the **point-spread function** of the mask.

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), sharey=True)
for ax, (name, m) in zip(axes, masks.items(), strict=True):
    row = physics.point_spread_function(m)[128].abs()
    ax.plot(torch.arange(-128, 128), row, lw=1)
    ax.set(title=name, xlabel="pixels from the bright one", ylim=(0, 1.05))
axes[0].set_ylabel("brightness")
show_figure(
    figure,
    "The middle row of three point-spread functions: for every fourth line four spikes of equal height; for random lines "
    "one spike on a rough floor of about a tenth; for random points one spike on a lower floor.",
)

# %%
def largest_side_lobe(m):
    """The brightest spot farther than 8 pixels from the centre, where the centre is 1."""
    psf = physics.point_spread_function(m).abs()
    psf[120:137, 120:137] = 0
    return psf.max().item()

lobes = {name: largest_side_lobe(m) for name, m in masks.items()}
claim(
    "largest side lobe, every 4th line", lobes["every 4th line"], at_least=0.99, source="decks 001, 002"
)
claim("largest side lobe, random lines", lobes["random lines"], at_most=0.4, source="decks 001, 002")
claim("largest side lobe, random points", lobes["random points"], at_most=0.15)

# %% [markdown]
# Equispaced aliasing is **coherent**: copies as strong as the truth. Random aliasing is **incoherent**: it is spread thinly.
# Compressed sensing needs the second kind, and the next sections say why. Keep in mind that lines are random in one
# direction only.
#
# ## 3 · Too few equations, in two dimensions (8 minutes)
#
# Deck 004 draws the whole problem in a plane. In this section and the next we use its letters: $f$ for the image, $m$ for
# what is measured. An image has two pixels, $f = (f_1, f_2)$, and each measurement $a_i \cdot f = m_i$ is a line on which the
# image must lie. Two lines cross in one point.
#
# **By hand.** Start anywhere, drop perpendicularly onto the first line, then onto the second, and so on
# (Kaczmarz 1937). Each pair of steps after the first brings the error down by $\cos^2\varphi$, where $\varphi$ is the angle between the lines.

# %%
truth = torch.tensor([2.0, 1.0], dtype=torch.float64)
rows = torch.tensor([[1.0, 0.3], [0.6, 1.0]], dtype=torch.float64)
f, path = torch.zeros(2, dtype=torch.float64), [torch.zeros(2, dtype=torch.float64)]
for _ in range(6):
    for a, m in zip(rows, rows @ truth, strict=True):
        f = f + a * (m - a @ f) / (a @ a)  # project onto the line a·f = m
        path.append(f)

# %%
cosine = (rows[0] @ rows[1] / rows.norm(dim=1).prod()).item()
shrinking = ((path[4] - truth).norm() / (path[2] - truth).norm()).item()
claim(
    "error after a pair of projections over before, against cos²φ",
    abs(shrinking - cosine**2),
    at_most=1e-9,
)

by_library = classical.kaczmarz(rows, rows @ truth, sweeps=6, tolerance=0)
claim("largest difference, by hand to library", (by_library.x - f).abs().max().item(), at_most=1e-12)

# %%
def draw_lines(ax, matrix, values, **style):
    """The lines a·f = m for each row."""
    for a, m in zip(matrix, values, strict=True):
        ax.axline(tuple(a * m / (a @ a)), slope=-(a[0] / a[1]).item(), **style)

flat = torch.tensor([[0.6, 1.0], [0.8, 1.0]], dtype=torch.float64)  # two lines at a small angle
many = torch.randn(12, 2, dtype=torch.float64, generator=generator)

# %%
crossings = {}
figure, axes = plt.subplots(1, 4, figsize=(11, 3), sharex=True, sharey=True)
draw_lines(axes[0], rows, rows @ truth, color="0.6")
axes[0].plot(*torch.stack(path).T, "o-", ms=3, lw=1)
axes[0].set(title="two lines: Kaczmarz", ylabel="$f_2$")
for ax, matrix, name in [(axes[1], flat, "noise: a small angle"), (axes[2], many, "noise: more lines")]:
    noisy = [physics.add_gaussian_noise(matrix @ truth, 0.1, generator) for _ in range(25)]
    crossings[name] = torch.linalg.lstsq(matrix, torch.stack(noisy, dim=1)).solution
    ax.plot(*crossings[name], "o", color="#D55E00", ms=3, zorder=5)
    draw_lines(ax, matrix, matrix @ truth, color="0.6", lw=0.8)
    ax.set(title=name)
draw_lines(axes[3], rows[:1], rows[:1] @ truth, color="0.6", zorder=3)
axes[3].fill_between([0, 4], 0, 4, color="#56B4E9", alpha=0.3)
axes[3].set(title="one line, and $f ≥ 0$")
for ax in axes:
    ax.plot(*truth, "*", color="black", ms=11)
    ax.set(xlim=(-0.5, 4), ylim=(-0.5, 3), xlabel="$f_1$", aspect="equal")
show_figure(
    figure,
    "Four planes with the true image as a star. Two crossing lines and a zigzag path into their crossing; two nearly "
    "parallel lines, where noisy solutions scatter far along them; twelve lines, where they scatter little; a single "
    "line, of which positivity leaves a segment.",
)

# %% [markdown]
# Noise moves the lines. At a small angle the crossing runs far away; more lines than pixels tie it down. How far do the 25
# solutions of each picture lie from their mean?

# %%
spread = {name: found.var(dim=1).sum().sqrt().item() for name, found in crossings.items()}
claim(
    "noise: spread with two lines at a small angle over that with twelve lines",
    spread["noise: a small angle"] / spread["noise: more lines"],
    at_least=5,
    source="deck 004",
)

# %% [markdown]
# Knowing that grey values are not negative cuts off the impossible. With fewer lines than pixels a whole line of images
# fits the data perfectly. *The data cannot choose among them; prior knowledge must.* Which point of the line below would you
# take, the nearest to zero or the one with a zero in it?

# %%
line = torch.tensor([1.0, 2.0], dtype=torch.float64)
least_energy = line * 3 / (line @ line)  # least ‖f‖₂ on f₁ + 2 f₂ = 3
least_sum = torch.tensor([0.0, 1.5], dtype=torch.float64)  # least |f₁| + |f₂|

figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True)
turn = torch.linspace(0, 2 * torch.pi, 200)
axes[0].plot(least_energy.norm() * turn.cos(), least_energy.norm() * turn.sin(), "--")
axes[1].plot([0, 1.5, 0, -1.5, 0], [1.5, 0, -1.5, 0, 1.5], "--")
for ax, point, name in [
    (axes[0], least_energy, "‖f‖₂: both pixels are used"),
    (axes[1], least_sum, "‖f‖₁: one is zero"),
]:
    draw_lines(ax, line[None], [3.0], color="0.6")
    ax.plot(*point, "o", color="black")
    ax.set(title=f"least {name}", xlim=(-2, 3), ylim=(-2, 2.2), aspect="equal", xlabel="$f_1$")
axes[0].set_ylabel("$f_2$")
show_figure(
    figure,
    "One line of possible images twice. A growing circle first touches it where both coordinates differ from zero; a "
    "growing diamond first touches it with a corner, on the axis, where one coordinate is zero.",
)

# %% [markdown]
# A circle, all images of equal energy $\|f\|_2$, touches the line somewhere. A diamond, all images of equal **ℓ1 norm**
# $\|f\|_1 = |f_1| + |f_2|$, touches it with a corner, where coordinates vanish. That is the whole geometry of compressed
# sensing: *the ℓ1 norm prefers sparse images*, those with few entries that are not zero.
#
# ## 4 · Tikhonov: least energy (8 minutes)
#
# The circle first. Least squares with a price on energy,
#
# $$ \min_f \tfrac12\|m - Af\|^2 + \tfrac\lambda2\|f\|^2 , $$
#
# has the solution of deck 004, $f^* = A^\top (A A^\top + \lambda I)^{-1} m$. Setting the gradient to zero gives another form,
# $(A^\top A + \lambda I)^{-1} A^\top m$. They are equal because $A^\top(AA^\top + \lambda I) = (A^\top A + \lambda I)A^\top$: push
# $A^\top$ through the bracket. Choose the smaller system.

# %%
matrix = torch.randn(30, 100, dtype=torch.float64, generator=generator)
m = torch.randn(30, dtype=torch.float64, generator=generator)
dual = matrix.T @ torch.linalg.solve(matrix @ matrix.T + 0.1 * torch.eye(30, dtype=torch.float64), m)
primal = torch.linalg.solve(matrix.T @ matrix + 0.1 * torch.eye(100, dtype=torch.float64), matrix.T @ m)
claim(
    "largest difference of the two forms",
    (dual - primal).abs().max().item(),
    at_most=1e-10,
    source="deck 004",
)

iterative = classical.tikhonov(physics.MatrixOperator(matrix), m, 0.1, tolerance=1e-12)
claim(
    "largest difference, closed form to conjugate gradients",
    (iterative.x - dual).abs().max().item(),
    at_most=1e-9,
)

# %% [markdown]
# The last line solved the same system without a matrix, by **conjugate gradients**: it needs only $A$ and $A^H$, which is
# all we have for a scanner.
#
# **Predict.** What will Tikhonov do to the zero-filled image of section 2?

# %%
points = operators["random points"]
y = points(image)
by_tikhonov = classical.tikhonov(points, y, weight=0.25).x
rescaled = classical.zero_filled(points, y) / 1.25
claim(
    "largest difference, Tikhonov to zero-filled / (1 + λ)",
    (by_tikhonov - rescaled).abs().max().item(),
    at_most=1e-5,
)

# %% [markdown]
# Nothing but a rescaling: rows of a Fourier matrix are orthonormal, $AA^H = I$ on the measured samples, and energy has no
# opinion about the missing ones. With several receiver coils, each of which sees its own side of the head brighter, the
# overlapping copies of section 2 come with different weights in each coil, and least squares can tell them apart. This is
# SENSE (Pruessmann et al. 1999). λ is chosen on another slice, the training slice of this notebook.

# %%
coils = physics.coil_sensitivities((256, 256), 8, distance=1.2)
array = physics.CoilSampling(masks["every 4th line"], coils)
training = data.brain_anatomy([30], size=256)["t1"]

def measured(operator, x, sigma=0.003, seed=3):
    """Samples of k-space with noise of level sigma in the real and in the imaginary part, where the mask measures."""
    noisy = physics.add_gaussian_noise(operator(x), sigma, torch.Generator().manual_seed(seed))
    return operator.mask * noisy

def decibels(estimate, x=image):
    """PSNR of the magnitude."""
    return metrics.psnr(estimate.abs(), x).item()

# %%
y_training, y_coils = measured(array, training), measured(array, image)
weights = [1e-6, 1e-5, 1e-4, 1e-3]
trials = [classical.tikhonov(array, y_training, w, iterations=100, tolerance=1e-3).x for w in weights]
best = max(zip(weights, trials, strict=True), key=lambda pair: decibels(pair[1], training))[0]
sense = classical.tikhonov(array, y_coils, best, iterations=100, tolerance=1e-3).x
print(f"λ = {best:g}, chosen on the training slice")
claim(
    "eight coils, every 4th line: Tikhonov over the adjoint",
    decibels(sense) - decibels(array.adjoint(y_coils)),
    at_least=5,
    unit="dB",
)

# %%
show_images(
    {"adjoint": array.adjoint(y_coils).abs(), "Tikhonov (SENSE)": sense.abs(), "truth": image},
    alt="A brain measured with eight coils and every fourth line: the adjoint shows overlapping copies; the Tikhonov "
    "image shows one brain with some grain; the truth.",
)

# %% [markdown]
# ## 5 · Sparsity (8 minutes)
#
# Images are not sparse in pixels. In wavelets they nearly are: few large coefficients at edges, many near zero.

# %%
W = classical.OrthogonalWavelet((256, 256), "db4", levels=4)
coefficients = W(image)
size_order = coefficients.abs().flatten().sort(descending=True).values
share = (size_order.square().cumsum(0) / size_order.square().sum())[int(0.05 * 256**2)].item()
claim("energy in the largest 5 % of wavelet coefficients", 100 * share, at_least=99, unit="%")

aliased = W(points.adjoint(y).abs())
aliased_order = aliased.abs().flatten().sort(descending=True).values
more = ((aliased_order > 0.01).sum() / (size_order > 0.01).sum()).item()
claim("coefficients above 0.01, aliased image over clean image", more, at_least=1.2, source="deck 001")

# %%
figure, (picture, curve) = plt.subplots(1, 2, figsize=(8, 3.4), width_ratios=(1, 1.3))
picture.imshow(coefficients[0, 0].abs().clamp(min=1e-3).log10(), vmin=-3, vmax=1)
picture.set(title="wavelet coefficients $Wx$ (log)", xticks=[], yticks=[])
rank = torch.arange(1, 256**2 + 1) / 256**2 * 100
curve.loglog(rank.numpy(), size_order.numpy(), label="clean image")
curve.loglog(rank.numpy(), aliased_order.numpy(), label="zero-filled, random points")
curve.set(
    xlabel="percent of coefficients, largest first",
    ylabel="magnitude",
    ylim=(1e-4, 20),
    title="Aliasing fills the tail",
)
curve.legend()
show_figure(
    figure,
    "Left: wavelet coefficients of the brain, a small image in the corner and thin edges elsewhere. Right: their sorted "
    "magnitudes fall steeply; those of the aliased image stay higher in the tail.",
)

# %% [markdown]
# Now the promise of 2006 (Candès, Romberg and Tao; Donoho): of all images that fit the data, take the one with the least
# ℓ1 norm, and if the truth is sparse enough and the measurements incoherent enough, this *is* the truth. "Exact
# reconstruction!" says deck 002. A signal of 200 numbers, 10 of them not zero, and 60 random measurements:

# %%
gaussian = torch.randn(60, 200, dtype=torch.float64, generator=generator) / 60**0.5
sparse = torch.zeros(200, dtype=torch.float64)
sparse[torch.randperm(200, generator=generator)[:10]] = torch.randn(
    10, dtype=torch.float64, generator=generator
)
sensor = physics.MatrixOperator(gaussian)
found = classical.fista(sensor, sensor(sparse), classical.L1(1e-6), iterations=20000, tolerance=1e-3)
least = gaussian.mT @ torch.linalg.solve(gaussian @ gaussian.mT, gaussian @ sparse)
claim(
    "ℓ1: relative error",
    ((found.x - sparse).norm() / sparse.norm()).item(),
    at_most=1e-4,
    source="deck 002",
)
claim("least energy: relative error", ((least - sparse).norm() / sparse.norm()).item(), at_least=0.5)

# %% [markdown]
# **When does it work?** Let $m$ be the number of measurements, $n$ of unknowns, $k$ of unknowns that are not zero. Draw random
# problems at every $\delta = m/n$ and $\rho = k/m$, and count how many are solved exactly. Donoho and Tanner
# derived the border for large $n$ and Gaussian measurements (2005; its formula is in `phase_transition.py`).
#
# **Predict.** Half as many measurements as unknowns, $\delta = 0.5$: up to what share $\rho$ can be non-zero, 0.1, 0.4 or 0.8?

# %%
deltas, rhos = torch.linspace(0.1, 0.9, 7), torch.linspace(0.06, 0.86, 9)
rates = torch.tensor(
    [
        [
            classical.recovery_rate(float(d), float(r), columns=100, trials=6, generator=generator)
            for d in deltas
        ]
        for r in rhos
    ]
)

# %%
figure, ax = plt.subplots(figsize=(6, 4))
shown = ax.pcolormesh(deltas.numpy(), rhos.numpy(), rates.numpy(), shading="nearest", vmin=0, vmax=1)
border = torch.linspace(0.05, 0.95, 60)
ax.plot(
    border.numpy(),
    [classical.donoho_tanner(float(d)) for d in border],
    color="#D55E00",
    lw=2.5,
    label="Donoho–Tanner",
)
ax.set(
    xlabel="δ = measurements / unknowns",
    ylabel="ρ = non-zeros / measurements",
    title="White: all recovered exactly; black: none",
)
ax.legend(loc="upper left", labelcolor="white")
figure.colorbar(shown, label="share recovered")
show_figure(
    figure,
    "A map of success over undersampling and sparsity: white below, black above, and a narrow grey border that follows the "
    "rising Donoho-Tanner curve.",
)

# %%
below = [
    classical.recovery_rate(d, classical.donoho_tanner(d) - 0.1, 100, 20, generator)
    for d in (0.3, 0.5, 0.7)
]
above = [
    classical.recovery_rate(d, classical.donoho_tanner(d) + 0.1, 100, 20, generator)
    for d in (0.3, 0.5, 0.7)
]
claim("least share recovered, 0.1 below the curve", min(below), at_least=0.8)
claim("largest share recovered, 0.1 above the curve", max(above), at_most=0.3)

# %% [markdown]
# Success is a cliff, not a slope: on one side nearly all problems are solved exactly, on the other nearly none. The curve is
# for exactly sparse signals. Experiments find nearly the same one for many other random measurements (Donoho and Tanner 2009). For images,
# which are only nearly sparse, and for lines it is a guide, no promise.
#
# ## 6 · ISTA and FISTA (10 minutes)
#
# How was the ℓ1 solution found? Minimise the **objective** $J(x) = \tfrac12\|Ax - y\|^2 + \lambda\|x\|_1$ in two steps that take turns. First
# go down the first term, whose gradient is $A^\top(Ax - y)$, with a step size $\eta$. Then correct for the second term: the
# **proximal operator** $\operatorname{prox}_{R}(v) = \arg\min_x \tfrac12\|x - v\|^2 + R(x)$ looks for a point near $v$ with a small $R$. For
# the ℓ1 norm it shrinks every entry towards zero:
#
# $$ v = x - \eta A^\top (A x - y), \qquad x \leftarrow \operatorname{prox}_{\eta\lambda\|\cdot\|_1}(v) =
# \operatorname{sign}(v)\,\max(|v| - \eta\lambda, 0) . $$
#
# The first half alone, repeated, is **gradient descent**, the iterative method that deck 002 names. On a tall system, here 60 equations
# for 20 unknowns, it ends at the least-squares solution:

# %%
tall = torch.randn(60, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
right_side = torch.randn(60, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
small_step, descended = 1 / torch.linalg.matrix_norm(tall, 2) ** 2, torch.zeros(20, dtype=torch.float64)
for _ in range(500):
    descended = descended - small_step * tall.T @ (tall @ descended - right_side)
least_squares = torch.linalg.lstsq(tall, right_side[:, None]).solution[:, 0]
claim(
    "gradient descent: largest difference to torch.linalg.lstsq",
    (descended - least_squares).abs().max().item(),
    at_most=1e-6,
    source="deck 002",
)

# %% [markdown]
# Both halves together are **ISTA** (Daubechies, Defrise and De Mol 2004). The threshold has to be ηλ, step size times weight. Deck 004 prints λ. Deck
# 003 begins with ηλ, $S_{\eta\lambda}(\eta v)$ where $S$ is the shrinking above, and then sets this equal to $S_\lambda(v)$; it is $\eta\,S_\lambda(v)$, so the two
# agree for $\eta = 1$ only.

# %%
lam = 0.05
y_sparse = gaussian @ sparse + 0.01 * torch.randn(60, dtype=torch.float64, generator=generator)
step = 1 / torch.linalg.matrix_norm(gaussian, 2).item() ** 2

def objective(x):
    return (0.5 * (gaussian @ x - y_sparse).square().sum() + lam * x.abs().sum()).item()

x = torch.zeros(200, dtype=torch.float64)
for _ in range(3000):
    v = x - step * gaussian.T @ (gaussian @ x - y_sparse)
    x = v.sign() * (v.abs() - step * lam).clamp(min=0)

# %% [markdown]
# With a library: scikit-learn's Lasso, which goes one coordinate at a time and divides the first term by the number of
# rows. Confirm. Then make deck 004's mistake on purpose: it solves another problem, with the weight $\lambda/\eta$.

# %%
from sklearn.linear_model import Lasso

lasso = Lasso(alpha=lam / 60, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(
    gaussian.numpy(), y_sparse.numpy()
)
claim(
    "largest difference, ISTA by hand to scikit-learn",
    (x - torch.from_numpy(lasso.coef_)).abs().max().item(),
    at_most=1e-4,
)

# %%
wrong = torch.zeros(200, dtype=torch.float64)
for _ in range(3000):
    v = wrong - step * gaussian.T @ (gaussian @ wrong - y_sparse)
    wrong = v.sign() * (v.abs() - lam).clamp(min=0)
stronger = (
    Lasso(alpha=lam / step / 60, fit_intercept=False, tol=1e-12)
    .fit(gaussian.numpy(), y_sparse.numpy())
    .coef_
)
claim(
    "threshold λ: objective over the least",
    objective(wrong) / objective(x),
    at_least=1.1,
    source="deck 004",
)
claim(
    "threshold λ: distance to the solution for λ/η",
    (wrong - torch.from_numpy(stronger)).abs().max().item(),
    at_most=1e-4,
)

# %% [markdown]
# **FISTA** (Beck and Teboulle 2009) takes the same step from a point ahead, $z = x_k + \beta_k (x_k - x_{k-1})$: momentum. With
# $L$ the largest eigenvalue of $A^\top A$, step $\eta = 1/L$ and start $x_0 = 0$, theory bounds the distance to the least objective $J^*$:
#
# $$ J(x_k) - J^* \le \frac{L\|x^*\|^2}{2k} \;\text{(ISTA)}, \qquad J(x_k) - J^* \le \frac{2L\|x^*\|^2}{(k+1)^2} \;\text{(FISTA)} . $$

# %%
operator, penalty = physics.MatrixOperator(gaussian), classical.L1(lam)
runs = {
    "ista": classical.ista(operator, y_sparse, penalty, iterations=400, tolerance=0),
    "fista": classical.fista(operator, y_sparse, penalty, iterations=400, tolerance=0, restart=False),
}
least_objective, energy = objective(x), (x @ x).item() / step / 2
k = torch.arange(1, 401)
bounds = {"ista": energy / k, "fista": 4 * energy / (k + 1) ** 2}

# %%
gaps = {
    name: torch.tensor(run.objective[1:], dtype=torch.float64) - least_objective for name, run in runs.items()
}
figure, ax = plt.subplots(figsize=(6.5, 3.6))
for name, gap in gaps.items():
    style = display.method_style(name) | {"marker": ""}
    ax.loglog(k.numpy(), gap.clamp(min=1e-12).numpy(), **style)
    ax.loglog(k.numpy(), bounds[name].numpy(), color=style["color"], lw=0.8, label=f"bound of {style['label']}")
ax.set(xlabel="iteration k", ylabel="$J(x_k) - J^*$", ylim=(1e-8, 1e3), title="Both stay under their bounds")
ax.legend()
show_figure(
    figure,
    "Log-log plot of the distance to the least objective: FISTA falls faster than ISTA and ripples; each stays "
    "below the straight line of its bound.",
)

# %%
for name, gap in gaps.items():
    claim(
        f"{name.upper()}: largest gap over its bound, all iterations",
        (gap / bounds[name]).max().item(),
        at_most=1,
        source="Beck and Teboulle 2009",
    )
first = {name: int((gap < 1e-3 * least_objective).nonzero()[0]) + 1 for name, gap in gaps.items()}
claim(
    "iterations to 0.1 % of the least objective, ISTA over FISTA",
    first["ista"] / first["fista"],
    at_least=2,
)

# %% [markdown]
# Nobody knows $J^*$ in practice. `ista` and `fista` stop on the **duality gap**, an upper bound of $J(x_k) - J^*$ that
# can be computed from $x_k$ alone, and warn when they ran out of iterations.
#
# ## 7 · Brain images (12 minutes)
#
# Two kinds of prior knowledge for images: **wavelets** are sparse, $R(x) = \lambda\|Wx\|_1$, by FISTA; and images are nearly piecewise
# constant, $R(x) = \lambda\,\mathrm{TV}(x)$ with the **total variation** $\mathrm{TV}(x) = \sum \sqrt{d_{\text{row}}^2 + d_{\text{column}}^2}$ of the differences
# to the next pixel (Rudin, Osher and Fatemi 1992). Its proximal operator has no formula; a **primal–dual** method (Condat 2013)
# needs only the differences and their adjoint.
#
# λ is chosen on the training slice, 25 mm above the test slice, for each mask and method. (Both have a phase of zero, which no scanner's image has;
# module 09 adds one.)

# %%
methods = {
    "wavelet": lambda A, y, w: classical.wavelet_reconstruction(A, y, w, iterations=60, tolerance=0).x,
    "tv": lambda A, y, w: classical.tv_reconstruction(A, y, w, iterations=150, tolerance=0).x,
}
chosen = {}
for name in ("random lines", "random points"):
    for method, reconstruct in methods.items():
        y = measured(operators[name], training)
        scores = {w: decibels(reconstruct(operators[name], y, w), training) for w in (1e-3, 3e-3, 1e-2)}
        chosen[name, method] = max(scores, key=scores.get)
        print(f"{name}, {method}: λ = {chosen[name, method]:g}")

# %%
pictures, score = {}, {}
for name in ("random points", "random lines"):
    A = operators[name]
    y = measured(A, image)
    estimates = {"zero_filled": classical.zero_filled(A, y)}
    estimates |= {
        method: reconstruct(A, y, chosen[name, method]) for method, reconstruct in methods.items()
    }
    for method, estimate in estimates.items():
        score[name, method] = decibels(estimate)
        title = f"{name}: {display.METHODS[method].label}\n≈ {score[name, method]:.1f} dB"
        pictures[title] = estimate.abs()

# %%
show_images(
    pictures,
    alt="Reconstructions of one brain slice at a quarter of k-space. From random points: zero-filled is hazy, wavelets and "
    "total variation look like the truth. From random lines: zero-filled is smeared sideways, wavelets a little less, total "
    "variation is sharp with faint streaks.",
    columns=3,
    width=3,
)

# %%
for name, least in (("random points", 5), ("random lines", 2)):
    best_method = max(methods, key=lambda method, name=name: score[name, method])
    print(f"{name}: {display.METHODS[best_method].label} is best")
    claim(
        f"{name}, R=4: best over zero-filled",
        score[name, best_method] - score[name, "zero_filled"],
        at_least=least,
        unit="dB",
        source="deck 001",
    )
claim(
    "random points, R=4: wavelets over zero-filled",
    score["random points", "wavelet"] - score["random points", "zero_filled"],
    at_least=5,
    unit="dB",
    source="deck 002",
)
harder = max(score["random points", m] for m in methods) - max(
    score["random lines", m] for m in methods
)
claim("points over lines, each at its best", harder, at_least=3, unit="dB")

# %% [markdown]
# Same number of samples, and yet lines are much harder. Along each line k-space is complete; *all* the missing samples are missing
# in one direction. So the aliasing of a pixel stays in its row, with side lobes of almost a third. In effect every row of the image is a
# problem of its own, 256 unknowns from 64 measurements, and has little but its few edges to be sparse in. Scattered points spread
# the aliasing over the whole plane. A Cartesian 2-D scan measures whole lines; a 3-D scan can scatter points over two directions.
#
# ## 8 · Play (5 minutes)
#
# Move the acceleration and λ, at half the resolution. At which $R$ do lines fail? What does too large a λ look like, what too small a one?

# %%
small = torch.nn.functional.avg_pool2d(image, 2)

def small_operator(acceleration, kind):
    """Random lines or points on 128 × 128 samples, always from the same seed."""
    seed = torch.Generator().manual_seed(5)
    if kind == "lines":
        return physics.FourierSampling(
            physics.line_mask((128, 128), acceleration, 0.32 / acceleration, seed)
        )
    return physics.FourierSampling(physics.variable_density_mask((128, 128), acceleration, seed))

# %%
wavelet_small = classical.OrthogonalWavelet((128, 128), "haar", 4)
play_figure, (left_ax, right_ax) = plt.subplots(1, 2, figsize=(7, 3.7))
zero_picture = left_ax.imshow(small[0, 0], vmin=0, vmax=1)
l1_picture = right_ax.imshow(small[0, 0], vmin=0, vmax=1)
left_ax.set_axis_off()
right_ax.set_axis_off()

def draw(acceleration, log_weight, kind):
    A = small_operator(acceleration, kind)
    y = measured(A, small)
    zero, weight = A.adjoint(y), 10**log_weight
    estimate = classical.fista(
        A, y, classical.L1(weight, wavelet_small), iterations=20, tolerance=0, start=zero
    ).x
    before, after = decibels(zero, small), decibels(estimate, small)
    zero_picture.set_data(zero[0, 0].abs())
    l1_picture.set_data(estimate[0, 0].abs())
    left_ax.set_title(f"zero-filled, R = {acceleration}: {before:.1f} dB")
    right_ax.set_title(f"wavelet ℓ1, λ = {weight:.1g}: {after:.1f} dB")
    return (
        f"A brain from random {kind} at acceleration {acceleration}: zero-filled ≈ {before:.1f} dB, wavelets with lambda "
        f"{weight:.1g} ≈ {after:.1f} dB."
    )

show_figure(play_figure, draw(4, -2.0, "points"), photographic=True)

# %% tags=["nbval-ignore-output"]
from ipywidgets import Dropdown, FloatSlider, IntSlider

player = play(
    play_figure,
    draw,
    acceleration=IntSlider(4, 1, 12, description="acceleration R"),
    log_weight=FloatSlider(value=-2.0, min=-4, max=-0.5, step=0.25, description="log₁₀ λ"),
    kind=Dropdown(options=["points", "lines"], description="random"),
)

# %% [markdown]
# ## 9 · Other scanners, the same $A$ (12 minutes)
#
# **Computed tomography** sums the image along parallel lines, one projection for each view angle $\theta$: the **Radon transform**. All
# projections together are the *sinogram*. Filtered back-projection (FBP) multiplies every frequency $\xi$ of each projection by
# $|\xi|$ and smears the result back along its lines. This is exact when all angles are known; with few views it draws streaks. The object is the Shepp–Logan phantom, its line integrals computed from
# the ellipses and not from pixels. Plain back-projection is the adjoint $A^\top$, which the inner products of section 2 confirm.

# %%
def ct(views, size=128):
    """The operator for `views` directions evenly spaced over half a turn, and exact data of the phantom."""
    angles = torch.arange(views) * (torch.pi / views)
    return physics.Radon(size, angles), data.ellipse_sinogram(size, angles)

A = ct(30)[0]
some_image = torch.randn(128, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
some_sinogram = torch.randn(30, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
left, right = (A(some_image) * some_sinogram).sum(), (some_image * A.adjoint(some_sinogram)).sum()
claim(
    "CT, adjoint: relative difference of the two inner products",
    ((left - right).abs() / left.abs()).item(),
    at_most=1e-5,
    source="decks 002, 004",
)

# %%
phantom = data.ellipse_phantom(128)
scans = {views: ct(views) for views in (10, 20, 45, 90, 180)}
fbp = {views: A.filtered_back_projection(sums) for views, (A, sums) in scans.items()}
rmse = {views: metrics.mse(estimate, phantom).sqrt().item() for views, estimate in fbp.items()}
claim(
    "error of filtered back-projection, 10 views over 180 views",
    rmse[10] / rmse[180],
    at_least=4,
    source="deck 002",
)

# %%
scanner, sinogram = ct(30)
sinogram = physics.add_gaussian_noise(sinogram, 0.3, generator)
blurred = scanner.adjoint(sinogram)  # shown at the scale that fits the data best
training_ct = data.moving_phantom(1, 128)
training_sinogram = physics.add_gaussian_noise(scanner(training_ct), 0.3, generator)
estimates = {
    "back-projection": blurred * (scanner(blurred) * sinogram).sum() / scanner(blurred).square().sum(),
    "FBP": scanner.filtered_back_projection(sinogram),
}
solvers = {
    "Tikhonov": lambda y, w: classical.tikhonov(scanner, y, w, iterations=60, tolerance=1e-3).x,
    "total variation": lambda y, w: (
        classical.tv_reconstruction(scanner, y, w, iterations=120, tolerance=0).x
    ),
}
for name, solve in solvers.items():
    trials = {w: metrics.mse(solve(training_sinogram, w), training_ct).item() for w in (1.0, 3.0, 10.0)}
    weight = min(trials, key=trials.get)
    print(f"{name}: λ = {weight:g}, chosen on another phantom")
    estimates[name] = solve(sinogram, weight)

# %%
def db(x, truth=phantom):
    return metrics.psnr(x, truth).item()

show_images(
    {f"{name}, ≈ {db(x):.1f} dB": x for name, x in estimates.items()},
    alt="The Shepp-Logan phantom from 30 views: back-projection is a grey blur, filtered back-projection has streaks, Tikhonov "
    "is grainy with weaker streaks, total variation is clean with sharp ellipses.",
)
claim(
    "30 views: Tikhonov over back-projection",
    db(estimates["Tikhonov"]) - db(estimates["back-projection"]),
    at_least=5,
    unit="dB",
)
claim(
    "30 views: total variation over filtered back-projection",
    db(estimates["total variation"]) - db(estimates["FBP"]),
    at_least=5,
    unit="dB",
)

# %% [markdown]
# **The single-pixel camera** has one detector behind a mirror that shows a pattern; each measurement is the light of image
# times pattern. The patterns are rows of a **Hadamard** matrix. Entries −1 cannot be shown, so each row is split in two. Deck
# 004 shows 333 patterns for 64 × 64 pixels: 8 % as many measurements as pixels. (The slide calls this $N/M$; it is $M/N$.) We take the
# patterns with the fewest sign changes: no random choice, but where images have their energy. The rows are orthonormal, so $A^\top$ is the
# pseudo-inverse. There is no noise here.

# %%
scene = torch.nn.functional.avg_pool2d(data.brain_anatomy([5, 20, 35], size=192)["t1"], 3)
training_scene = torch.nn.functional.avg_pool2d(data.brain_anatomy([-10, 50], size=192)["t1"], 3)
patterns = physics.sequency_mask(64, 333)
camera, split = physics.HadamardSampling(patterns), physics.SplitHadamardSampling(patterns)
claim(
    "largest difference, split patterns to signed ones",
    (split.difference(split(scene)) - camera(scene)).abs().max().item(),
    at_most=1e-4,
)

# %%
def by_tv(x, weight):
    """Total variation from the camera's measurements of x."""
    return classical.tv_reconstruction(camera, camera(x), weight, iterations=300, tolerance=0).x

weights = (3e-3, 1e-2, 3e-2)
weight = max(
    weights, key=lambda w: metrics.psnr(by_tv(training_scene, w), training_scene).mean().item()
)
pseudo_inverse, tv_scene = camera.adjoint(camera(scene)), by_tv(scene, weight)
gain_db = (metrics.psnr(tv_scene, scene) - metrics.psnr(pseudo_inverse, scene)).mean().item()
print(f"λ = {weight:g}, chosen on two other slices")
claim(
    "M = 333 of 64²: total variation over the pseudo-inverse",
    gain_db,
    at_least=2,
    unit="dB",
    source="deck 004",
)

# %%
show_images(
    {"scene": scene[:1], "pseudo-inverse": pseudo_inverse[:1], "total variation": tv_scene[:1]},
    alt="A small brain slice; from 333 patterns the pseudo-inverse shows blocks and ripples, total variation shows smooth "
    "areas with clear borders.",
)

# %% [markdown]
# ## 10 · The right fidelity for the noise (7 minutes)
#
# $\tfrac12\|Ax - y\|^2$ believes that all measurements are equally good. Counted photons are not: with $p = Ax$ expected, the count has variance $p$.
# Deck 004 offers two remedies: weights $1/\text{variance}$, and the Kullback–Leibler divergence
# $\sum p - y + y\log(y/p)$, up to a constant the negative logarithm of the likelihood of Poisson counts. (Counts from elsewhere are part of $p$.) In positron emission tomography a tracer collects in the bladder;
# the rays through it are bright and noisy, and must not spoil the faint tissue beside it. All three have $f \ge 0$.

# %%
body = [
    data.Ellipse(0.2, 0.85, 0.7, 0, 0),
    data.Ellipse(4.0, 0.15, 0.15, 0, -0.35),
    data.Ellipse(0.3, 0.2, 0.2, -0.35, 0.2),
]
tracer = torch.nn.functional.avg_pool2d(data.ellipse_phantom(96, ellipses=body), 4).flatten()
ring = physics.Radon(24, torch.arange(48) * (torch.pi / 48))
pet = physics.MatrixOperator(ring(torch.eye(576).reshape(576, 24, 24)).reshape(576, -1).T.contiguous())

# %%
exposure, background = 10.0, 5.0  # counts for a line integral of 1, and from elsewhere

def faint_errors(seed):
    """Root-mean-square error outside the bladder for three fidelities on one draw of counts."""
    counts = physics.add_poisson_noise(
        exposure * pet(tracer) + background, 1.0, torch.Generator().manual_seed(seed)
    )
    y, b = counts / exposure, background / exposure
    fidelities = {
        "least squares": classical.LeastSquares(y - b),
        "weighted": classical.LeastSquares(y - b, weights=exposure**2 / counts.clamp(min=1)),
        "Kullback–Leibler": classical.KullbackLeibler(y, b),
    }
    positive = classical.NonNegative()
    found = {
        n: classical.fista(pet, d, positive, iterations=800, tolerance=0).x
        for n, d in fidelities.items()
    }
    return {n: (x - tracer)[tracer < 1].square().mean().sqrt().item() for n, x in found.items()}

# %%
draws = [faint_errors(seed) for seed in range(3)]
mean_error = {name: sum(d[name] for d in draws) / len(draws) for name in draws[0]}
for name in ("weighted", "Kullback–Leibler"):
    claim(
        f"error of faint tissue, least squares over {name}",
        mean_error["least squares"] / mean_error[name],
        at_least=1.05,
        source="deck 004",
    )

# %% [markdown]
# ## 11 · Films, dictionaries, and the price (9 minutes)
#
# A film has more to be sparse in than an image. Write each frame as one row of a matrix. What stands still makes all rows alike: a
# background $B$ of **low rank**, which means a small sum of singular values $\|B\|_*$. What beats is a part $S$ that is **sparse** after a Fourier
# transform $T$ in time. Minimise $\tfrac12\|A(B + S) - y\|^2 + \lambda_B\|B\|_* + \lambda_S\|TS\|_1$ (Otazo, Candès and Sodickson 2015). Each frame has
# 12 spokes of k-space (rounded to the grid, without noise), each turned against the one before by the golden angle, 111°, so that no two frames measure the same; deck
# 002 shows such films as GRASP.

# %%
film = data.moving_phantom(24, 96)
spokes = torch.stack(
    [physics.radial_mask((96, 96), 12, golden=True, first=12 * frame) for frame in range(24)]
)[:, None]
camera_film = physics.FourierSampling(spokes)
y_film = camera_film(film)
recovered = classical.low_rank_plus_sparse(camera_film, y_film, 1.0, 0.003, iterations=60, tolerance=0)
zero_film = camera_film.adjoint(y_film).abs()
gain_db = (metrics.psnr(recovered.x.abs(), film) - metrics.psnr(zero_film, film)).mean().item()
claim("film: low rank plus sparse over zero-filled", gain_db, at_least=5, unit="dB", source="deck 002")

# %%
show_images(
    {
        "one frame": film[5:6],
        "zero-filled": zero_film[5:6],
        "B + S": recovered.x[5:6].abs(),
        "low rank B": recovered.background[5:6].abs(),
        "sparse S, × 3": 3 * recovered.movement[5:6].abs(),
    },
    alt="One frame of a moving chest phantom: the truth; zero-filled with streaks all over; low rank plus sparse without "
    "them; the low-rank part with the still chest; the sparse part with the rim of the beating heart.",
    columns=5,
    width=2,
)

# %% [markdown]
# Wavelets are one dictionary for all images. One can also learn a **dictionary** of patches from the smeared image itself (deck
# 001; Ravishankar and Bresler 2011): learn, code each patch with few atoms, put back the measured samples, repeat. Deck 001 quotes six
# hours for it. On a brain of 128 × 128 from random lines:

# %%
small_lines = physics.FourierSampling(physics.line_mask((128, 128), 4, centre, generator))
y_small = measured(small_lines, small)
learned = classical.dictionary_reconstruction(
    small_lines, y_small, generator, iterations=8, stride=2, tolerance=0
)
gain_db = decibels(learned.x, small) - decibels(small_lines.adjoint(y_small), small)
claim(
    "dictionary learning over zero-filled, random lines",
    gain_db,
    at_least=1,
    unit="dB",
    source="deck 001",
)

# %% [markdown]
# The price is time: "∼100× slower than conventional" (deck 002). Count Fourier transforms, which take most of it. Zero-filling needs
# one; each iteration needs a forward and an adjoint. How many until FISTA's duality gap is below 1 % of the objective?

# %%
y = measured(points, image)
solution = classical.wavelet_reconstruction(
    points, y, chosen["random points", "wavelet"], tolerance=1e-2, iterations=1000
)
print("converged:", solution.converged)
claim(
    "Fourier transforms, wavelet ℓ1 over zero-filled",
    2 * solution.iterations,
    at_least=50,
    source="deck 002",
)

# %% [markdown]
# ## 12 · An inverse crime (4 minutes)
#
# So far, except for the CT phantom of section 9, the data came from the same pixels that we reconstructed. (There, too, λ was chosen on such
# data.) A patient has no pixels. To simulate with the operator that
# one inverts is called an **inverse crime** (Colton and Kress): everything that the model cannot say is missing from the data. The Fourier
# transform of an ellipse is known in closed form, so k-space of the true, continuous phantom can be computed. Same mask, same method:

# %%
grid = data.ellipse_phantom(128)
points_128 = physics.FourierSampling(physics.variable_density_mask((128, 128), 4, generator))
crime_data, honest_data = points_128(grid), points_128.mask * data.ellipse_kspace(128)
crime, honest = (
    classical.tv_reconstruction(points_128, y, 1e-3, iterations=500, tolerance=0).x
    for y in (crime_data, honest_data)
)
ringing = decibels(physics.inverse_fourier(data.ellipse_kspace(128)), grid)
print(f"all of the ellipses' k-space, no undersampling at all: ≈ {ringing:.0f} dB")
claim(
    "phantom, random points of its own pixels' k-space, R=4: total variation",
    decibels(crime, grid),
    at_least=40,
    unit="dB",
    source="deck 004",
)
claim("what the crime gains", decibels(crime, grid) - decibels(honest, grid), at_least=5, unit="dB")

# %%
show_images(
    {
        f"crime: data from pixels, ≈ {decibels(crime, grid):.0f} dB": crime.abs(),
        f"honest: data from ellipses, ≈ {decibels(honest, grid):.0f} dB": honest.abs(),
        "honest: 10 × difference": 10 * (honest.abs() - grid).abs(),
    },
    alt="The phantom three times: from pixel data it is flawless; from the true ellipses it looks nearly the same; ten times "
    "the difference shows the outlines of all ellipses.",
    width=3,
)

# %% [markdown]
# The flawless picture measured our simulation, not the method. Even a complete scan of the true object does not give the pixels' mean
# values: its frequencies end at the border of k-space, and edges ring (Gibbs). Much of the difference is that ringing, which the crime
# leaves out; none of it is the reconstruction's fault. Whenever a reconstruction looks too good, ask where its data came from. (The brain of
# section 7 committed the crime, too: its gains are upper ends.)
#
# ## 13 · Where it breaks: a lesion disappears (6 minutes)
#
# A small dark lesion, two pixels wide, in the white matter, such as multiple sclerosis leaves in T1 images. Random points, the better
# kind of mask, and total variation at three accelerations, with λ = 0.01, which suits R = 4 and 8. The yardstick is not PSNR, but how much of the lesion's contrast comes through:
# reconstruct the patient with and without the lesion, and compare the difference with the truth.

# %%
rows_grid, columns_grid = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
distance = torch.hypot(rows_grid - 69, columns_grid - 154)
patient = image - 0.25 * torch.exp(-(distance**2))

def contrast(x):
    """Mean brightness of the lesion's place minus that of the ring around it."""
    inside, around = distance < 1.5, (distance > 4) & (distance < 7)
    return (x[0, 0].abs()[inside].mean() - x[0, 0].abs()[around].mean()).item()

def lesion_study(acceleration, weight=0.01):
    """The patient's reconstruction, and the share of the lesion's contrast that comes through."""
    seed = torch.Generator().manual_seed(7)
    A = physics.FourierSampling(physics.variable_density_mask((256, 256), acceleration, seed))
    found = [methods["tv"](A, measured(A, x), weight) for x in (patient, image)]
    share = (contrast(found[0]) - contrast(found[1])) / (contrast(patient) - contrast(image))
    return found, share

# %%
studies = {R: lesion_study(R) for R in (2, 4, 8)}
region = (..., slice(40, 100), slice(120, 180))
show_images(
    {"truth": patient[region]}
    | {f"R = {R}, ≈ {decibels(f[0], patient):.0f} dB": f[0][region].abs() for R, (f, _) in studies.items()},
    alt="The region of the lesion: in the truth a small dark spot in bright white matter; fainter at R = 2 and 4; at R = 8 "
    "the white matter is smooth and clean, without the spot.",
    width=2.6,
)

# %%
for R, (found, share) in studies.items():
    print(f"R = {R}: PSNR ≈ {decibels(found[0], patient):.1f} dB, contrast that comes through ≈ {100 * share:.0f} %")
low = physics.FourierSampling(physics.variable_density_mask((256, 256), 8, torch.Generator().manual_seed(7)))
passed = [contrast(low.adjoint(measured(low, v))) for v in (patient, image)]
by_zeros = (passed[0] - passed[1]) / (contrast(patient) - contrast(image))
print(f"R = 8, zero-filled: contrast that comes through ≈ {100 * by_zeros:.0f} %")
claim("lesion's contrast that comes through at R = 2", 100 * studies[2][1], at_least=60, unit="%")
claim("lesion's contrast that comes through at R = 8", 100 * studies[8][1], at_most=35, unit="%")
with_lesion, healthy = studies[8][0]
claim(
    "PSNR of patient and of healthy brain, difference at R = 8",
    abs(decibels(healthy) - decibels(with_lesion, patient)),
    at_most=0.1,
    unit="dB",
)

# %% [markdown]
# At R = 8 all the anatomy is there, the picture is clean, PSNR is the same for the patient and for a healthy brain, and the lesion is all
# but gone. Most of it was never measured: the zero-filled image, too, keeps little more than a third of its contrast. Total variation, which charges a small spot
# by its circumference, takes more, and tidies up what would have warned us.
#
# **How to tell, without the truth.** Another random mask unmasks what is *false*, since it does not come back in the same place; it cannot
# bring back what no mask at this acceleration measures. So plant a lesion of the size that you must not miss into your own data, as here,
# before you trust an acceleration. Be wary of anything as small as the shortest wavelengths that are well sampled.
#
# ## Recap
#
# - A scanner gives $y = Ax$ with fewer rows than pixels; the data cannot choose the image, prior knowledge must.
# - Tikhonov prefers little energy and only rescales single-coil MRI; ℓ1 and total variation prefer sparse images, and
#   can recover them. For ℓ1 and Gaussian measurements theory predicts up to which border this is exact.
# - Incoherent sampling makes aliasing look like noise. Points in two directions do; lines only in one.
# - The threshold of a proximal step is ηλ. FISTA needs far fewer iterations than ISTA, and still more than a hundred transforms.
# - Data from one's own pixels flatter; PSNR does not see what a radiologist looks for.
#
# **To read.** Lustig, Donoho and Pauly, "Sparse MRI" (2007). Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm"
# (2009). Donoho and Tanner, "Observed universality of phase transitions in high-dimensional geometry" (2009). Hollingsworth, "Reducing acquisition time in
# clinical MRI" (2015), whom deck 002 quotes on why radiologists wait.
#
# **Open question.** Wavelets and total variation are guesses about images in general. If you had a thousand brains, fully
# measured, what would you learn from them: the mask, the regulariser, or the whole map from $y$ to $x$? Modules 08 to 11 try each.
