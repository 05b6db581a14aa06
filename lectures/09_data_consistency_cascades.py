# ---
# jupyter:
#   course:
#     title: "Data-consistency cascades: a network that never contradicts the scanner"
#     level: advanced
#     minutes: 75
#     needs: "module 02; torch.nn.Module, a training loop"
# ---

# %% [markdown]
# # Data-consistency cascades: a network that never contradicts the scanner
#
# {{header}}
#
# In this notebook you will
#
# - see how a network that repairs images contradicts what the scanner has measured, and by how much,
# - derive the layer that mends this from an optimisation problem, with its derivatives, and check all three,
# - watch a cascade of networks and layers learn, and look at its image after every block,
# - compare it with the same network without the layer, on brains it has never seen,
# - find out what happens with another mask, with noise, and with a lesion that no training brain had.
#
# The material is in deck 001, "Idea #2: Integrate the physics" (Schlemper et al. 2017). Notation as in module 02: image $x$,
# centred orthonormal Fourier transform $F$, mask $M$, measured k-space $y$ with zeros elsewhere, forward operator $A = MF$.

# %%
import math

import matplotlib.pyplot as plt
import torch

from course_lib import classical, data, display, metrics, networks, physics, training
from course_lib.display import claim, play, show_figure, show_images

# %% [markdown]
# ## 1 · A question (5 minutes)
#
# A brain, a quarter of its k-space lines, and a **convolutional network** (CNN) that was trained to turn zero-filled images into good
# ones. It has seen thousands of pairs. Its result looks better than what it got.

# %%
brains = data.brain_population("test", subjects=4, slices=2)
scan = physics.scan(brains, 4, torch.Generator().manual_seed(1))
x, y, mask = scan
plain = networks.load_weights(networks.PlainCNN(), "cnn").eval()
with torch.no_grad():
    repaired = plain(y, mask)
zero_filled = physics.inverse_fourier(y)

# %%
show_images(
    {
        "truth": x[:1].abs(),
        "zero-filled, R = 4": zero_filled[:1].abs(),
        "after the CNN": repaired[:1].abs(),
    },
    alt="A brain slice; its zero-filled image, smeared sideways; the output of the network, sharper, with remains of the "
    "smear.",
    width=3,
)

# %% [markdown]
# A quarter of k-space is *known*. **Predict:** by how many percent does k-space of the network's image differ from the measured samples, in
# the mean: 0, 1 or more than 3?

# %%
my_percent = 0  # your guess

# %%
def residual(image, y, mask):
    """‖M F x − y‖ / ‖y‖: how far an image contradicts the measurements."""
    return ((mask * physics.fourier(image) - y).norm() / y.norm()).item()

print(f"you said {my_percent} %")
claim("the network contradicts the scanner by", 100 * residual(repaired, y, mask), at_least=1, unit="%")
claim("and the zero-filled image by", 100 * residual(zero_filled, y, mask), at_most=1e-3, unit="%")

# %% [markdown]
# The network changes what needed no change. Deck 001's answer: *integrate the physics*.
#
# ## 2 · The population (5 minutes)
#
# One average of 152 people is no population. So each training subject is a random deformation of it: other proportions, another contrast of
# grey and white matter, a bias field, a smooth phase (MR images are complex). They are split by subject, never by slice; the slab from 20
# to 30 mm is kept out of training altogether. These are *deformations of one average brain*, not people: what is shown here is no
# clinical accuracy.

# %%
show_images(
    {f"subject {i + 1}": data.brain_population("train", 1, 1, first=i) for i in range(4)}
    | {"phase of one scan": x[0, 0].angle() / (2 * math.pi) + 0.5},
    alt="Four training slices of different subjects, at different heights and with different shapes and contrasts, and the "
    "smooth phase of one scan.",
    columns=5,
    width=1.9,
)

# %% [markdown]
# Convolutions in torch work on real numbers. In the whole course a complex image becomes **two channels**, real part first:

# %%
channels = networks.complex_to_channels(x)
print("image", tuple(x.shape), "→ channels", tuple(channels.shape))
back = networks.channels_to_complex(channels)
claim("largest difference after going back", (back - x).abs().max().item(), at_most=0.0)

# %% [markdown]
# ## 3 · The layer, from an optimisation problem (10 minutes)
#
# The network says $x$, the scanner says $y$. Take the image nearest to both:
#
# $$ f(x, y; \lambda) = \arg\min_v \; \tfrac12 \|v - x\|^2 + \tfrac\lambda2 \|A v - y\|^2 . $$
#
# $F$ keeps lengths, so both terms may be written in k-space. There they are sums over samples, and each sample can be treated alone. Call
# $s = Fx$. Where nothing was measured, only the first term is left: keep $s$. Where $y$ was measured, minimise
# $\tfrac12|w - s|^2 + \tfrac\lambda2|w - y|^2$: the derivative $(w - s) + \lambda (w - y)$ is zero at
#
# $$ w = \frac{s + \lambda y}{1 + \lambda} . $$
#
# This is deck 001's layer. For $\lambda \to \infty$, data without noise, it puts the measured samples back. By hand, four lines:

# %%
def data_consistency(x, y, mask, weight):
    """The layer for an image x, measured k-space y, its mask and λ = weight."""
    s = physics.fourier(x)
    mixed = (s + weight * y) / (1 + weight)
    return physics.inverse_fourier(torch.where(mask, mixed, s))

# %% [markdown]
# Confirm it three ways: with the library's layer; with conjugate gradients on the optimisation problem itself,
# $(I + \lambda A^H A)\,v = x + \lambda A^H y$; and, without noise, by applying it twice.

# %%
x64, y64, image64 = x.to(torch.complex128), y.to(torch.complex128), repaired.to(torch.complex128)
by_hand = data_consistency(image64, y64, mask, 3.0)
layer = networks.DataConsistency(3.0)
claim(
    "largest difference, by hand to the library's layer",
    (layer(image64, y64, mask) - by_hand).abs().max().item(),
    at_most=1e-10,
)

A = physics.FourierSampling(mask)
solved = classical.conjugate_gradients(
    lambda v: v + 3.0 * A.normal(v), image64 + 3.0 * A.adjoint(y64), tolerance=1e-12
).x
claim(
    "largest difference to the argmin by conjugate gradients",
    (solved - by_hand).abs().max().item(),
    at_most=1e-6,
    source="deck 001",
)

# %%
noiseless = networks.DataConsistency(math.inf)
once = noiseless(image64, y64, mask)
claim(
    "applied twice, largest change",
    (noiseless(once, y64, mask) - once).abs().max().item(),
    at_most=1e-10,
)
claim("contradiction after the layer", 100 * residual(once, y64, mask), at_most=1e-8, unit="%")
gain = (metrics.psnr(once.abs(), x64.abs()) - metrics.psnr(image64.abs(), x64.abs())).mean().item()
claim("what one layer after the CNN gains", gain, at_least=0.1, unit="dB")

# %% [markdown]
# A trap: a published implementation of the noisy layer computes $(s + \lambda y)/(1 + \lambda)$ *everywhere*. Outside the mask $y$ is zero, so this
# shrinks what the network has filled in by $1 + \lambda$. The check against the optimisation problem finds it:

# %%
trap = physics.inverse_fourier((physics.fourier(image64) + 3.0 * y64) / 4.0)
claim(
    "difference of the trap to the argmin, relative",
    ((trap - solved).norm() / solved.norm()).item(),
    at_least=0.05,
)

# %% [markdown]
# ## 4 · Its derivatives (8 minutes)
#
# To train through the layer we need how its output moves with $x$ and with $\lambda$ (deck 001):
#
# $$ \frac{\partial f}{\partial x} = F^H \Lambda F, \quad \Lambda = \begin{cases} 1 & \text{not measured} \\ \frac{1}{1+\lambda} &
# \text{measured} \end{cases} \qquad\qquad \frac{\partial f}{\partial \lambda} = F^H M \frac{y - Fx}{(1 + \lambda)^2} . $$
#
# The first is its own adjoint, with the eigenvalues $1$ and $1/(1+\lambda)$: the layer never amplifies an error. A backward pass
# multiplies a gradient $g$ by it. By hand, and confirmed by autograd:

# %%
g = torch.randn(x.shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(2))
Lambda = torch.where(mask, 1 / (1 + 3.0), 1.0)
for_image = physics.inverse_fourier(Lambda * physics.fourier(g))
moved = physics.inverse_fourier(mask * (y64 - physics.fourier(image64))) / (1 + 3.0) ** 2
for_weight = (g.conj() * moved).sum().real

variable = image64.clone().requires_grad_(True)
weight = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
data_consistency(variable, y64, mask, weight).backward(g)
claim(
    "derivative for the image, by hand to autograd",
    (variable.grad - for_image).abs().max().item(),
    at_most=1e-10,
    source="deck 001",
)
claim(
    "derivative for λ, by hand to autograd, relative",
    abs(weight.grad.item() / for_weight.item() - 1),
    at_most=1e-10,
    source="deck 001",
)

# %%
small_mask = physics.line_mask((6, 6), 2, 0.2, torch.Generator().manual_seed(0))[None, None]
units = torch.eye(36, dtype=torch.complex128).reshape(36, 1, 6, 6)
matrix = networks.data_consistency_adjoint(units, small_mask, 3.0).reshape(36, 36)
eigenvalues = torch.linalg.eigvalsh(matrix).unique()
print("eigenvalues of the layer, λ = 3:", sorted({round(v, 6) for v in eigenvalues.tolist()}))

# %% [markdown]
# ## 5 · The cascade, and watching one learn (10 minutes)
#
# One layer after the network repairs the measured samples, but the network cannot react. So take turns: a small CNN, the layer, another
# CNN, the layer, … This is the **deep cascade** (Schlemper et al. 2017). It resembles ISTA of module 02: the layer is the step towards the
# data, the CNN takes the place of the proximal operator. `DeepCascade.forward` is this loop:
#
# ```python
# image = inverse_fourier(mask * y)                 # zero-filled
# for cnn, consistency in zip(self.cnns, self.consistency):
#     image = consistency(cnn(image), y, mask)      # cnn: x + convolutions(x)
# ```
#
# Train two small ones from scratch, three blocks on 64 × 64 pixels: one with layers, one without, everything else equal.

# %%
tiny_brains = data.brain_population("train", subjects=40, slices=2, size=64)
tiny_test = physics.scan(
    data.brain_population("validation", 8, 1, size=64), 4, torch.Generator().manual_seed(3)
)

def tiny_batch(generator, size):
    """New scans of random training slices."""
    chosen = torch.randint(len(tiny_brains), (size,), generator=generator)
    return physics.scan(tiny_brains[chosen], 4, generator)

def squared_error(network, batch):
    """Mean squared error of the complex image."""
    truth, kspace, sampled = batch
    return (network(kspace, sampled) - truth).abs().square().mean()

def tiny_quality(network):
    """PSNR on validation subjects."""
    truth, kspace, sampled = tiny_test
    return {"psnr": metrics.psnr(network(kspace, sampled).abs(), truth.abs()).mean().item()}

# %%
def tiny_recipe(name, network):
    return training.Recipe(
        name=name,
        network=lambda: network(blocks=3, width=16, depth=3),
        batch=tiny_batch,
        loss=squared_error,
        validate=tiny_quality,
        steps=150,
        batch_size=4,
        learning_rate=3e-3,
    )

runs = {
    "cascade": training.train(tiny_recipe("tiny_cascade", networks.DeepCascade)),
    "cnn": training.train(tiny_recipe("tiny_cnn", networks.PlainCNN)),
}

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.2))
for name, run in runs.items():
    smooth = torch.tensor(run.history.losses).unfold(0, 10, 1).mean(dim=1)
    ax.semilogy(range(10, 151), smooth.numpy(), **display.method_style(name) | {"marker": ""})
ax.set(
    xlabel="step", ylabel="loss (mean of ten steps)", title="The same CNNs, with and without the layer"
)
ax.legend()
show_figure(
    figure,
    "Loss against training step, on a logarithmic scale, for two small networks: with data-consistency layers it starts "
    "lower and falls further than without.",
)
claim(
    "150 steps from scratch: cascade over the same CNNs without layers",
    runs["cascade"].metrics["psnr"] - runs["cnn"].metrics["psnr"],
    at_least=1,
    unit="dB",
)

# %% [markdown]
# ## 6 · The trained ones, on brains never seen (8 minutes)
#
# `course train cascade` and `course train cnn` made the networks that come with the course: ten blocks, equal numbers of parameters, equal steps,
# each with a learning rate chosen on validation subjects, half of the training scans at R = 4 and half at R = 8. Here they meet test subjects and
# the held-out slab. Beside them stand module 02's methods.

# %%
cascade = networks.load_weights(networks.DeepCascade(), "cascade").eval()
count = {
    name: sum(p.numel() for p in net.parameters())
    for name, net in {"cascade": cascade, "cnn": plain}.items()
}
print("parameters:", count)

def reconstructions(scan):
    """All methods on one scan, complex images."""
    A = physics.FourierSampling(scan.mask)
    with torch.no_grad():
        return {
            "zero_filled": A.adjoint(scan.y),
            "tv": classical.tv_reconstruction(A, scan.y, 8e-3, iterations=150, tolerance=0).x,
            "cnn": plain(scan.y, scan.mask),
            "cascade": cascade(scan.y, scan.mask),
        }

def quality(estimates, truth):
    """Mean PSNR of magnitudes."""
    return {name: metrics.psnr(e.abs(), truth.abs()).mean().item() for name, e in estimates.items()}

# %%
unseen = torch.cat([brains, data.brain_population("held_out_slab", subjects=4, slices=1)])
scans = {R: physics.scan(unseen, R, torch.Generator().manual_seed(10 + R)) for R in (4, 8)}
found = {R: reconstructions(s) for R, s in scans.items()}
table = {R: quality(found[R], scans[R].x) for R in scans}
for R, row in table.items():
    print(
        f"R = {R}: "
        + ", ".join(f"{display.METHODS[name].label} ≈ {value:.1f} dB" for name, value in row.items())
    )

# %%
claim(
    "R = 4: cascade over the CNN",
    table[4]["cascade"] - table[4]["cnn"],
    at_least=5,
    unit="dB",
    source="deck 001",
)
claim(
    "R = 8: cascade over the CNN",
    table[8]["cascade"] - table[8]["cnn"],
    at_least=3,
    unit="dB",
    source="deck 001",
)
claim("R = 4: cascade", table[4]["cascade"], at_least=36, unit="dB", source="deck 001")
claim("R = 8: cascade", table[8]["cascade"], at_least=30, unit="dB", source="deck 001")
show_images(
    {display.METHODS[name].label + ", R = 8": e[8:9].abs() for name, e in found[8].items()}
    | {"truth": scans[8].x[8:9].abs()},
    alt="A slice of the held-out slab at R = 8: zero-filled is smeared; total variation shows patches; the network without "
    "layers is blurred; the cascade shows the folds of the truth beside it.",
    columns=5,
    width=2.2,
)

# %% [markdown]
# Deck 001 reports 31.0 and 25.2 dB for the cascade on hearts, and 27.5 and 22.6 dB for dictionary learning. The numbers here are larger since our
# brains are smoother and without noise; the order is the same.
#
# ## 7 · Block after block (6 minutes)

# %%
with torch.no_grad():
    steps = cascade.steps(scans[8].y, scans[8].mask)
truth = scans[8].x
path = [metrics.psnr(s.abs(), truth.abs()).mean().item() for s in steps]
shown = (0, 1, 2, 4, len(steps) - 1)
show_images(
    {
        f"block {k}, ≈ {metrics.psnr(steps[k][:1].abs(), truth[:1].abs()).item():.1f} dB"
        if k
        else "zero-filled": steps[k][:1].abs()
        for k in shown
    }
    | {
        f"5 × error, block {k}" if k else "5 × error": 5 * (steps[k][:1] - truth[:1]).abs()
        for k in shown
    },
    alt="One slice after 0, 1, 2, 4 and all blocks of the cascade, becoming sharper, and below five times its error, which "
    "fades from block to block.",
    columns=5,
    width=2,
)

# %%
with torch.no_grad():
    before = [cnn(s) for cnn, s in zip(cascade.cnns, steps, strict=False)]
contradiction = [100 * residual(b, scans[8].y, scans[8].mask) for b in before]

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
left.plot(range(len(path)), path, "o-")
left.set(xlabel="block", ylabel="PSNR (dB)", title="after each layer")
right.plot(range(1, len(path)), contradiction, "s--", color="#D55E00")
right.set(xlabel="block", ylabel="contradiction (%)", title="before each layer", ylim=(0, None))
show_figure(
    figure,
    "Left: mean PSNR rises from block to block. Right: how far each CNN's output contradicts the measurements before the "
    "layer puts them back.",
)
claim(
    "contradiction of the cascade's output",
    100 * residual(steps[-1], scans[8].y, scans[8].mask),
    at_most=1e-3,
    unit="%",
)
claim("PSNR of the last block over the first", path[-1] - path[1], at_least=3, unit="dB")

# %% [markdown]
# ## 8 · Play (4 minutes)
#
# How many blocks are needed at which acceleration? The cascade was trained at R = 4 and 8 only, and as a whole: earlier blocks were never asked for
# a good image.

# %%
play_figure, axes = plt.subplots(1, 2, figsize=(7, 3.7))
after_blocks = axes[0].imshow(x[0, 0].abs(), vmin=0, vmax=1)
error_image = axes[1].imshow(x[0, 0].abs(), vmin=0, vmax=0.1, cmap="magma")
for ax in axes:
    ax.set_axis_off()

def draw(blocks, acceleration):
    s = physics.scan(brains[:1], acceleration, torch.Generator().manual_seed(acceleration))
    with torch.no_grad():
        estimate = cascade.steps(s.y, s.mask)[blocks]
    after_blocks.set_data(estimate[0, 0].abs())
    error_image.set_data((estimate - s.x)[0, 0].abs())
    decibels = metrics.psnr(estimate.abs(), s.x.abs()).item()
    axes[0].set_title(f"R = {acceleration}, {blocks} blocks: {decibels:.1f} dB")
    axes[1].set_title("error (white: 0.1)")
    return f"A brain at acceleration {acceleration} after {blocks} blocks of the cascade, ≈ {decibels:.1f} dB, and its error."

show_figure(play_figure, draw(len(cascade.cnns), 4), photographic=True)

# %% tags=["nbval-ignore-output"]
from ipywidgets import IntSlider

player = play(
    play_figure,
    draw,
    blocks=IntSlider(len(cascade.cnns), 0, len(cascade.cnns), description="blocks"),
    acceleration=IntSlider(4, 2, 12, description="acceleration R"),
)

# %% [markdown]
# ## 9 · Noise, and what λ is for (7 minutes)
#
# The shipped cascade trusts the scanner without limit, $\lambda = \infty$. With noisy measurements that puts the noise back at every block. λ is one number for
# each layer: keep all convolutions as they are, and **learn λ alone** at three noise levels, by gradient descent on a few training scans.

# %%
def learned_lambda(sigma, steps=12):
    """A λ for the last layer, learned from training scans with noise σ; all else as shipped."""
    image = data.brain_population("train", 2, 2)
    s = physics.scan(image, 4, torch.Generator().manual_seed(4), sigma=sigma)
    with torch.no_grad():
        last = cascade.cnns[-1](cascade.steps(s.y, s.mask)[-2])
    layer = networks.DataConsistency(1.0, learned=True)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.5)
    for _ in range(steps * 5):
        optimizer.zero_grad()
        loss = (layer(last, s.y, s.mask) - s.x).abs().square().mean()
        loss.backward()
        optimizer.step()
    return float(layer.weight())

sigmas = (0.005, 0.02, 0.08)
lambdas = [learned_lambda(sigma) for sigma in sigmas]
print({sigma: f"λ ≈ {value:.2f}" for sigma, value in zip(sigmas, lambdas, strict=True)})
claim("λ learned at σ = 0.005 over λ at σ = 0.08", lambdas[0] / lambdas[-1], at_least=2)

# %% [markdown]
# The noisier the scanner, the smaller λ: the layer learns whom to believe. (In the optimisation problem λ is the ratio of two variances: of the
# network's error and of the noise.)
#
# ## 10 · Where it breaks (8 minutes)
#
# The cascade was trained on noiseless lines at R = 4 and 8. Change one thing at a time, on the same brains:

# %%
def only_cascade(scan):
    with torch.no_grad():
        estimate = cascade(scan.y, scan.mask)
    gain = metrics.psnr(estimate.abs(), scan.x.abs()) - metrics.psnr(
        physics.inverse_fourier(scan.y).abs(), scan.x.abs()
    )
    return metrics.psnr(estimate.abs(), scan.x.abs()).mean().item(), gain.mean().item()

def with_mask(new_mask):
    return scan._replace(y=new_mask * physics.fourier(scan.x), mask=new_mask.expand(scan.mask.shape))

points = physics.variable_density_mask((128, 128), 4, torch.Generator().manual_seed(1))
equispaced = physics.line_mask((128, 128), 4, kind="equispaced")
changes = {
    "as trained, R = 4": scan,
    "R = 12": physics.scan(brains, 12, torch.Generator().manual_seed(5)),
    "random points, R = 4": with_mask(points[None, None]),
    "every 4th line, no centre": with_mask(equispaced[None, None]),
    "noise, σ = 0.02": physics.scan(brains, 4, torch.Generator().manual_seed(1), sigma=0.02),
}
broken = {name: only_cascade(s) for name, s in changes.items()}
for name, (value, gain) in broken.items():
    print(f"{name}: ≈ {value:.1f} dB, over zero-filled ≈ {gain:.1f} dB")

# %%
trained_value = broken["as trained, R = 4"][0]
claim(
    "what noise of σ = 0.02 costs", trained_value - broken["noise, σ = 0.02"][0], at_least=3, unit="dB"
)
claim(
    "what an unseen kind of mask (every 4th line) costs",
    trained_value - broken["every 4th line, no centre"][0],
    at_least=8,
    unit="dB",
)

# %% [markdown]
# And a lesion: no training brain had one. As in module 02, its contrast is compared with the truth, at R = 4 and R = 8.

# %%
rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
distance = torch.hypot(rows - 48, columns - 78)
healthy = brains[:1]
patient = (healthy - 0.3 * torch.exp(-((distance / 1.2) ** 2))).clamp(min=0)

def contrast(image):
    inside, around = distance < 1.5, (distance > 4) & (distance < 7)
    return (image[0, 0].abs()[inside].mean() - image[0, 0].abs()[around].mean()).item()

def lesion_share(R, network):
    """The patient's image, and the share of the lesion's contrast that comes through."""
    pair = [physics.scan(v, R, torch.Generator().manual_seed(6)) for v in (patient, healthy)]
    with torch.no_grad():
        images = [network(s.y, s.mask) for s in pair]
    share = (contrast(images[0]) - contrast(images[1])) / (contrast(patient) - contrast(healthy))
    return images[0].abs(), share

# %%
region = (..., slice(24, 72), slice(54, 102))
lesions = {
    (n, R): lesion_share(R, net)
    for n, net in {"CNN": plain, "cascade": cascade}.items()
    for R in (4, 8)
}
show_images(
    {"truth": patient[region]}
    | {
        f"{n}, R = {R}: ≈ {100 * share:.0f} %": image[region]
        for (n, R), (image, share) in lesions.items()
    },
    alt="The region of a small dark lesion: truth; network without layers at R = 4 and 8; cascade at R = 4 and 8. At R = 8 the "
    "spot is weak or missing in both.",
    columns=5,
    width=2.1,
)
claim(
    "lesion's contrast through the cascade, R = 4",
    100 * lesions["cascade", 4][1],
    at_least=40,
    unit="%",
)
claim(
    "what the cascade keeps of it less at R = 8",
    100 * (lesions["cascade", 4][1] - lesions["cascade", 8][1]),
    at_least=10,
    unit="%",
)

# %% [markdown]
# The layer guarantees agreement with what was measured. It guarantees nothing about what was not: there the network writes what brains
# usually have. A lesion whose frequencies fall between the lines is not usual.
#
# **How to tell, without the truth.** The contradiction is zero for a right and for a wrong image, so it cannot tell. Reconstruct from two disjoint halves
# of the lines and compare; look at the image under several masks; and never use a network outside the masks and noise it was trained on without
# measuring, as above, what that costs.
#
# ## 11 · Several coils (4 minutes)
#
# With several receiver coils, $A = (MFS_i)_i$ (module 02) has no closed form in k-space. The layer is still
# $(I + \lambda A^HA)\,v = x + \lambda A^Hy$, solved by conjugate gradients; `networks.CoilDataConsistency` does so, and its backward pass solves the same
# system once more.

# %%
coils = physics.coil_sensitivities((128, 128), 6)
array = physics.CoilSampling(mask[0, 0], coils)
y_coils = array(x[:1])
coil_layer = networks.CoilDataConsistency(5.0)
consistent = coil_layer(repaired[:1], y_coils, array)

def coil_residual(image):
    return ((array(image) - y_coils).norm() / y_coils.norm()).item()

claim(
    "contradiction of the coils' data, after the layer over before",
    coil_residual(consistent) / coil_residual(repaired[:1]),
    at_most=0.7,
)

# %% [markdown]
# ## Recap
#
# - A network that repairs images contradicts the scanner; the data-consistency layer mends this in closed form.
# - The layer is the solution of a small optimisation problem, its derivative has eigenvalues 1 and 1/(1+λ), and its λ says whom to believe.
# - Taking turns, CNN and layer, gains many decibels at equal parameters.
# - Consistency is no proof of truth: what was not measured is invented from experience.
#
# **To read.** Schlemper, Caballero, Hajnal, Price and Rueckert, "A deep cascade of convolutional neural networks for dynamic MR image
# reconstruction" (2017). Aggarwal, Mani and Jacob, "MoDL: model-based deep learning architecture for inverse problems" (2019), for
# several coils. Antun, Renna, Poon, Adcock and Hansen, "On instabilities of deep learning in image reconstruction" (2020).
#
# **Open question.** Each block has its own weights here. If all blocks shared one CNN, what would the cascade be an algorithm for, and when would it converge?
# Module 10 takes this up.
