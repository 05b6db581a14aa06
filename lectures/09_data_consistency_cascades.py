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
from functools import cache

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
brains = data.brain_population("test", subjects=4, slices=1)
scan = physics.scan(brains, 4, torch.Generator().manual_seed(1))
x, y, mask = scan
plain = networks.load_weights(networks.PlainCNN(), "cnn")
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
    | {"a phase, −1 to 1 rad": x[1, 0].angle() / 2 + 0.5},
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
# This is deck 001's layer. For $\lambda \to \infty$, data without noise, it puts the measured samples back. By hand:

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
# divides what the network has filled in by $1 + \lambda$, here by 4. The check against the optimisation problem finds it:

# %%
trap = physics.inverse_fourier((physics.fourier(image64) + 3.0 * y64) / 4.0)
filled_in = ~mask * physics.fourier(solved)
claim(
    "what the trap leaves of the filled-in samples",
    ((~mask * physics.fourier(trap)).norm() / filled_in.norm()).item(),
    at_least=0.2499,
    at_most=0.2501,
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
away = torch.minimum((eigenvalues - 1).abs(), (eigenvalues - 1 / (1 + 3.0)).abs()).max().item()
claim("eigenvalues to 1 and 1/(1+λ), largest difference", away, at_most=1e-10, source="deck 001")

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
    "Loss against training step, on a logarithmic scale, for two small networks: both start alike, and "
    "with data-consistency layers it falls faster and further.",
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
# `course train cascade` and `course train cnn` made the networks that come with the course: 24 blocks, equal numbers of parameters, equal
# steps, each with a learning rate chosen on validation subjects, half of the training scans at R = 4 and half at R = 8. Here they meet
# test subjects, and the slab of the head that no training image shows.

# %%
cascade = networks.load_weights(networks.DeepCascade(), "cascade")
for name, network in {"cascade": cascade, "cnn": plain}.items():
    made = networks.read_manifest(name)
    print(
        f"{name}: {len(network.cnns)} blocks, {made['parameter_count']:,} parameters, {made['steps']:,} steps"
    )

# %% [markdown]
# Beside them stands compressed sensing with undecimated Haar wavelets (module 02), run to its stopping rule. Its $\lambda$ is chosen on a validation
# subject, too.

# %%
def wavelets(scan, weight):
    """Wavelet ℓ1 for each image of a scan."""
    images = []
    for k in range(len(scan.y)):
        A = physics.FourierSampling(scan.mask[k])
        found = classical.wavelet_reconstruction(
            A, scan.y[k], weight, undecimated=True, wavelet="haar", levels=3, iterations=1000
        )
        images.append(found.x)
    return torch.stack(images)

def psnr(estimate, truth):
    """Mean PSNR of the magnitudes, in dB."""
    return metrics.psnr(estimate.abs(), truth.abs()).mean().item()

# %%
tuning = {
    R: physics.scan(
        data.brain_population("validation", 1, 1), R, torch.Generator().manual_seed(20 + R)
    )
    for R in (4, 8)
}
weights = (4e-3, 8e-3, 1.6e-2)
best_weight = {
    R: max(weights, key=lambda weight, s=s: psnr(wavelets(s, weight), s.x)) for R, s in tuning.items()
}
print(", ".join(f"R = {R}: λ ≈ {weight:g}" for R, weight in best_weight.items()))

# %%
unseen = torch.cat([data.brain_population(s, 8, 1) for s in ("test", "held_out_slab")])
scans = {R: physics.scan(unseen, R, torch.Generator().manual_seed(10 + R)) for R in (4, 8)}

def in_parts(network, scan):
    """A network on a scan, eight images at a time."""
    with torch.no_grad():
        parts = zip(scan.y.split(8), scan.mask.split(8), strict=True)
        return torch.cat([network(y, mask) for y, mask in parts])

found = {
    R: {
        "zero_filled": physics.inverse_fourier(s.y),
        "cnn": in_parts(plain, s),
        "cascade": in_parts(cascade, s),
    }
    for R, s in scans.items()
}
# %%
some = [0, 8]  # wavelets take longer: one test subject and one of the slab
few = {R: physics.Scan(*(part[some] for part in s)) for R, s in scans.items()}
by_wavelets = {R: wavelets(s, best_weight[R]) for R, s in few.items()}

# %%
table = {R: {name: psnr(e, scans[R].x) for name, e in found[R].items()} for R in scans}
table_of_few = {
    R: {name: psnr(e[some], few[R].x) for name, e in found[R].items()}
    | {"wavelet": psnr(by_wavelets[R], few[R].x)}
    for R in few
}
for title, rows in {"16 slices": table, "two of them": table_of_few}.items():
    for R, row in rows.items():
        values = (f"{display.METHODS[name].label} ≈ {value:.1f}" for name, value in row.items())
        print(f"{title}, R = {R}: {', '.join(values)} dB")

# %%
for R, least in {4: 36, 8: 30}.items():
    row, small_row = table[R], table_of_few[R]
    claim(f"R = {R}: cascade", row["cascade"], at_least=least, unit="dB")
    claim(
        f"R = {R}: cascade over the CNN",
        row["cascade"] - row["cnn"],
        at_least={4: 5, 8: 3}[R],
        unit="dB",
        source="deck 001",
    )
    claim(
        f"R = {R}: cascade over wavelets",
        small_row["cascade"] - small_row["wavelet"],
        at_least=3,
        unit="dB",
        source="deck 001",
    )
    claim(
        f"R = {R}: the worse of CNN and wavelets over zero-filled",
        min(small_row["cnn"], small_row["wavelet"]) - small_row["zero_filled"],
        at_least=1,
        unit="dB",
    )

# %%
shown_methods = {name: e[8] for name, e in found[8].items()} | {"wavelet": by_wavelets[8][1]}
show_images(
    {"truth": scans[8].x[8].abs()}
    | {
        f"R = 8: {display.METHODS[name].label.removeprefix('data-consistency ')}": shown_methods[
            name
        ].abs()
        for name in ("zero_filled", "wavelet", "cnn", "cascade")
    },
    alt="A slice of the held-out slab at R = 8: the truth; zero-filled, smeared sideways; wavelets, with patches and remains "
    "of the smear; the network without layers, blurred; the cascade, with the folds of the truth.",
    columns=5,
    width=2.2,
)

# %% [markdown]
# Deck 001 reports 31.0 and 25.2 dB for the cascade on films of hearts at R = 4 and 8, and 27.5 and 22.6 dB for dictionary learning. The numbers are
# not comparable: our brains are smoother, alike, and without noise. The order is the same.
#
# ## 7 · Block after block (6 minutes)
#
# `steps` gives the image after each layer. **Predict:** which block improves the image most, and is any block's image worse than the one before?

# %%
with torch.no_grad():
    steps = cascade.steps(few[8].y, few[8].mask)
truth = few[8].x
path = [psnr(s, truth) for s in steps]
shown = (0, 1, len(steps) // 4, len(steps) // 2, len(steps) - 1)
show_images(
    {(f"block {k}" if k else "zero-filled"): steps[k][0].abs() for k in shown}
    | {f"5 × error, {k}": 5 * (steps[k] - truth)[0].abs() for k in shown},
    alt="One slice after 0, 1, a quarter, half and all of the cascade's blocks: smeared, smeared, with the first folds, grainy "
    "all over, and sharp; below five times its error, which is nearly black after the last block alone.",
    columns=5,
    width=2,
)

# %%
with torch.no_grad():
    before = [cnn(s) for cnn, s in zip(cascade.cnns, steps, strict=False)]
contradiction = [100 * residual(b, few[8].y, few[8].mask) for b in before]

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
left.plot(range(len(path)), path, "o-")
left.set(xlabel="block", ylabel="PSNR (dB)", title="after each layer")
right.plot(range(1, len(path)), contradiction, "s--", color="#D55E00")
right.set(xlabel="block", ylabel="contradiction (%)", title="before each layer", ylim=(0, None))
show_figure(
    figure,
    "Left: mean PSNR against the block: it goes up, down below its start, and up again to its highest at the end. Right: how far "
    "each CNN's output contradicts the measurements before the layer puts them back, up and down.",
)
claim(
    "contradiction of the cascade's output",
    100 * residual(steps[-1], few[8].y, few[8].mask),
    at_most=1e-3,
    unit="%",
)
claim("PSNR of the last block over the first", path[-1] - path[1], at_least=3, unit="dB")
falls = [after - before for before, after in zip(path, path[1:], strict=False)]
claim("the largest step back from one block to the next", -min(falls), at_least=0.5, unit="dB")

# %% [markdown]
# The way is not a steady one. Only the last image was asked to be good; what lies between is the blocks' own affair, and some of it is worse than
# what came before. Before the layers the blocks contradict the scanner grossly, for no gradient ever told them what they do at measured
# frequencies: with $\lambda = \infty$ the layer's derivative is zero there. An optimisation method (module 02) lowers an objective at every step. A cascade
# has the form of one, and learns to use its steps in another way.
#
# ## 8 · Play (4 minutes)
#
# Stop the cascade early, or change the acceleration: it was trained at R = 4 and 8 only. **Predict** first: does it work at R = 2, and at R = 6?

# %%
play_figure, axes = plt.subplots(1, 2, figsize=(7, 3.7))
after_blocks = axes[0].imshow(x[0, 0].abs(), vmin=0, vmax=1)
error_image = axes[1].imshow(x[0, 0].abs(), vmin=0, vmax=0.1, cmap="magma")
for ax in axes:
    ax.set_axis_off()

@cache
def stages(acceleration):
    """The truth, and the image after each block; kept, so that a second look only shows them."""
    s = physics.scan(brains[:1], acceleration, torch.Generator().manual_seed(acceleration))
    with torch.no_grad():
        return s.x, cascade.steps(s.y, s.mask)

def draw(blocks, acceleration):
    image, after = stages(acceleration)
    estimate = after[blocks]
    after_blocks.set_data(estimate[0, 0].abs())
    error_image.set_data((estimate - image)[0, 0].abs())
    decibels = psnr(estimate, image)
    axes[0].set_title(f"R = {acceleration}, {blocks} blocks: {decibels:.1f} dB")
    axes[1].set_title("error (white: 0.1)")
    return f"A brain at acceleration {acceleration} after {blocks} blocks of the cascade, ≈ {decibels:.1f} dB, and its error."

show_figure(play_figure, draw(len(cascade.cnns), 4), photographic=True)

# %% tags=["nbval-ignore-output"]
from ipywidgets import IntSlider

for R in range(2, 13):
    stages(R)  # now, so that the sliders only show
player = play(
    play_figure,
    draw,
    blocks=IntSlider(len(cascade.cnns), 0, len(cascade.cnns), description="blocks"),
    acceleration=IntSlider(4, 2, 12, description="acceleration R"),
)

# %% [markdown]
# ## 9 · Noise, and what λ is for (7 minutes)
#
# The shipped cascade trusts the scanner without limit, $\lambda = \infty$. With noisy measurements each layer writes the noise into the image.
#
# What should $\lambda$ be? At a measured point the layer mixes two estimates of one number: the network's, whose error has some mean power $P$, and the
# scanner's, with the noise power $N = 2\sigma^2$ (real and imaginary part). For independent errors the best share of the scanner is
# $\lambda/(1+\lambda) = P/(P+N)$, so $\lambda = P/N$: the Wiener gain of module 01. But a network that has seen the noisy data makes no independent errors,
# and how good it is depends on $\lambda$. So let the cascade **learn $\lambda$ together with its convolutions**, from noisy scans. It is stored as
# $\lambda = e^\theta$, so that it stays positive. **Predict** how the learned $\lambda$ moves with $\sigma$.

# %%
def noisy_recipe(sigma, **layer):
    """The small cascade of section 5, on scans with noise."""
    def batch(generator, size):
        chosen = torch.randint(len(tiny_brains), (size,), generator=generator)
        return physics.scan(tiny_brains[chosen], 4, generator, sigma=sigma)

    noisy_test = physics.scan(tiny_test.x.abs(), 4, torch.Generator().manual_seed(3), sigma=sigma)
    return training.Recipe(
        name="noisy_cascade",
        network=lambda: networks.DeepCascade(blocks=3, width=16, depth=2, **layer),
        batch=batch,
        loss=squared_error,
        validate=lambda network: {"psnr": psnr(network(noisy_test.y, noisy_test.mask), noisy_test.x)},
        steps=150,
        batch_size=4,
        learning_rate=1e-2,
    )

sigmas = (0.02, 0.1, 0.3)
noisy = {s: training.train(noisy_recipe(s, weight=1.0, learned=True)) for s in sigmas}
trusting = training.train(noisy_recipe(0.1, weight=math.inf))

# %%
mean_weight = {}
for s, run in noisy.items():
    weights = [layer.weight().item() for layer in run.network.consistency]
    mean_weight[s] = sum(weights) / len(weights)
    shown_weights = ", ".join(f"≈ {w:.1f}" for w in weights)
    print(f"σ = {s:g}: λ of the three layers {shown_weights}, ≈ {run.metrics['psnr']:.1f} dB")
print(f"σ = 0.1: λ = ∞ in all layers, ≈ {trusting.metrics['psnr']:.1f} dB")
claim("mean λ learned at σ = 0.02 over σ = 0.3", mean_weight[0.02] / mean_weight[0.3], at_least=1.3)
claim(
    "σ = 0.1: what learning λ gains over λ = ∞",
    noisy[0.1].metrics["psnr"] - trusting.metrics["psnr"],
    at_least=1,
    unit="dB",
)

# %% [markdown]
# All began at $\lambda = 1$, and 150 steps are few: the numbers are still on their way. The direction is clear. The noisier the scanner, the
# less the layer believes it.
#
# ## 10 · Where it breaks (8 minutes)
#
# The cascade was trained on noiseless lines at R = 4 and 8. Change one thing at a time, on the same brains. **Predict** the order of
# the five.

# %%
def by_cascade(scan):
    with torch.no_grad():
        return cascade(scan.y, scan.mask)

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
images = {name: by_cascade(s) for name, s in changes.items()}
level = {name: psnr(images[name], s.x) for name, s in changes.items()}
for name, s in changes.items():
    gain = level[name] - psnr(physics.inverse_fourier(s.y), s.x)
    print(f"{name}: ≈ {level[name]:.1f} dB, over zero-filled ≈ {gain:.1f} dB")

# %%
show_images(
    {name: image[0].abs() for name, image in images.items()},
    alt="The cascade's image of one brain in the five settings: good as trained; smeared folds at R = 12; good with random "
    "points; several brains over each other with every fourth line; grainy with noise.",
    columns=5,
    width=2.2,
)
trained = level["as trained, R = 4"]
claim("what R = 12 costs", trained - level["R = 12"], at_least=5, unit="dB")
claim("what noise of σ = 0.02 costs", trained - level["noise, σ = 0.02"], at_least=3, unit="dB")
claim(
    "what every 4th line without the centre costs",
    trained - level["every 4th line, no centre"],
    at_least=8,
    unit="dB",
)
claim(
    "largest contradiction of the five images",
    max(100 * residual(images[name], s.y, s.mask) for name, s in changes.items()),
    at_most=1e-3,
    unit="%",
)
claim("what random points gain", level["random points, R = 4"] - trained, at_least=1, unit="dB")

# %% [markdown]
# Read this with care, for it changes the mask and the difficulty at once. Points are easier than lines for every method (module 02), and the
# layer takes any mask: so the cascade does well with points, which it never saw. Every fourth line folds the brain over itself four times; nothing
# in its training looked like that, and it does no better than the zero-filled image.
#
# And every one of the five agrees with its measurements to rounding error.

# %% [markdown]
# Then a lesion: no training brain had one. As in module 02, its contrast is compared with the truth, at R = 4 and R = 8.

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
    alt="The region of a small dark lesion: truth; network without layers at R = 4 and 8; cascade at R = 4 and 8. The "
    "spot is fainter without layers, and nearly gone at R = 8; with them it is whole at R = 4 and half as dark at R = 8.",
    columns=5,
    width=2.1,
)

# %%
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
