# ---
# jupyter:
#   course:
#     title: "Blind denoising: why taking the biases out makes a network generalise"
#     level: intermediate
#     minutes: 75
#     needs: "module 01; what a convolution and a ReLU do"
# ---

# %% [markdown]
# # Blind denoising: why taking the biases out makes a network generalise
#
# {{header}}
#
# In this notebook you will
#
# - see a good denoiser fail on noise a little stronger than any it was trained on, and its twin without biases succeed,
# - take both apart exactly: around one image, a network of convolutions and ReLUs is an affine map,
# - look at its rows, which are filters that adapt to the image, and at its singular vectors, which span a subspace,
# - measure the subspace: how its dimension falls with the noise, and that the smaller ones lie in the larger,
# - compare with what came before networks, and find out where the twin breaks as well.
#
# The material is in deck 000, "Blind denoising of natural images" (Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda 2020). Notation
# as in module 01: clean image $x$, noise level $\sigma$, noisy image $y = x + z$ with white Gaussian noise $z$ of variance
# $\sigma^2$. Images have values from 0 to 1, so noise levels are written as $10/255$, in grey levels. **Blind** means that
# nobody tells the denoiser $\sigma$.

# %%
from functools import cache
from importlib.util import find_spec

import matplotlib.pyplot as plt
import torch
from torch import nn

from course_lib import classical, data, display, metrics, networks, physics, training
from course_lib.display import claim, play, show_figure, show_images

# %% [markdown]
# ## 1 · A question (5 minutes)
#
# **DnCNN** (Zhang et al. 2017) is a stack of convolutions with ReLUs between them; here 17 of them, and without the paper's batch normalisation, which
# hindered learning at this small size. It is given a noisy image, estimates the noise, and takes it away: $f(y) = y - \text{CNN}(y)$. Ours has learned
# from patches of eleven photographs with noise of any level *up to* $30/255$. Here is one that it has never seen, with noise that it knows and with three
# times as much.

# %%
test_names = data.NETWORK_TEST_PHOTOGRAPHS
print("trained on", ", ".join(data.NETWORK_TRAINING_PHOTOGRAPHS))
print("tested on ", ", ".join(test_names))

dncnn = networks.load_weights(networks.DnCNN(bias=True), "dncnn")
photographs = data.photographs(test_names, size=256)
x = photographs[:1, :, 40:168, 60:188]
noisy = {s: physics.add_gaussian_noise(x, s / 255, torch.Generator().manual_seed(s)) for s in (30, 90)}

# %% [markdown]
# **Predict:** the noise of 90/255 leaves a PSNR of some 9 dB. What will DnCNN make of it: 13, 18 or 23 dB?

# %%
my_decibels = 23  # your guess


# %%
def psnr(estimate, truth=x):
    """Mean PSNR in dB."""
    return metrics.psnr(estimate, truth).mean().item()


first_look = {s: networks.denoise(dncnn, y) for s, y in noisy.items()}
show_images(
    {
        "y, σ = 30/255": noisy[30],
        "DnCNN": first_look[30],
        "y, σ = 90/255": noisy[90],
        "DnCNN ": first_look[90],
    },
    alt="The face of a cat with moderate noise, and clean again after DnCNN; the same with three times as much noise, and still "
    "full of it after DnCNN.",
)
print(f"you said {my_decibels} dB")
claim("σ = 30/255: what DnCNN gains", psnr(first_look[30]) - psnr(noisy[30]), at_least=8, unit="dB")
claim("σ = 90/255: PSNR after DnCNN", psnr(first_look[90]), at_most=19, unit="dB")

# %% [markdown]
# It fails, and not a little. Yet more noise is the same task with another number. Something in this network has been fitted to that number.
#
# ## 2 · Train low, test high (7 minutes)
#
# Beside it stands its twin, **BF-DnCNN**: the same definition with `bias=False`, the same patches in the same order, the same steps. **BF** is for
# bias-free: no convolution has a bias. That is the only difference. Both minimise the mean logarithm of each patch's squared error, so that quiet and
# noisy patches count alike (deck 000: the squared error itself).

# %%
bf_dncnn = networks.load_weights(networks.DnCNN(bias=False), "bf_dncnn")
for name in ("dncnn", "bf_dncnn"):
    made = networks.read_manifest(name)
    print(f"{name}: {made['parameter_count']:,} parameters, {made['steps']:,} steps")

# %% [markdown]
# As a third, the Wiener filter of module 01. It *is* told $\sigma$, and the mean spectrum of the networks' training photographs. All three meet the middle
# of four test photographs, at noise levels from 5/255 to 100/255.

# %%
spectrum = classical.power_spectrum(data.with_symmetries(data.photographs(data.NETWORK_TRAINING_PHOTOGRAPHS)))
middle = photographs[..., 64:192, 64:192]
methods = {
    "dncnn": lambda y, sigma: networks.denoise(dncnn, y),
    "bf_dncnn": lambda y, sigma: networks.denoise(bf_dncnn, y),
    "wiener": lambda y, sigma: classical.wiener_denoise(y, spectrum, sigma),
}
levels = (5, 10, 20, 30, 40, 50, 60, 75, 90, 100)


@cache
def noisy_middle(s):
    return physics.add_gaussian_noise(middle, s / 255, torch.Generator().manual_seed(s))


quality = {
    name: {s: psnr(denoise(noisy_middle(s), s / 255), middle) for s in levels}
    for name, denoise in methods.items()
}

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.6))
ax.axvspan(0, 30, color="0.92")
ax.text(15, 13, "trained", ha="center")
for name, row in quality.items():
    ax.plot(list(row), list(row.values()), **display.method_style(name))
ax.plot(levels, [psnr(noisy_middle(s), middle) for s in levels], **display.method_style("noisy"))
ax.set(
    xlabel="255 σ",
    ylabel="PSNR (dB)",
    title="Beyond the noise it was trained on, DnCNN falls; its twin does not",
)
ax.legend()
show_figure(
    figure,
    "PSNR against noise level: in the trained range DnCNN and its bias-free twin lie on one curve, above the Wiener filter; beyond it "
    "DnCNN falls below the Wiener filter, and the twin goes on as if nothing had happened.",
)
for s in (10, 20, 90):
    row = ", ".join(f"{display.METHODS[name].label} ≈ {quality[name][s]:.1f}" for name in methods)
    print(f"σ = {s}/255: {row} dB")

# %%
for s in (10, 20):
    claim(
        f"σ = {s}/255: BF-DnCNN behind DnCNN",
        quality["dncnn"][s] - quality["bf_dncnn"][s],
        at_most=0.4,
        unit="dB",
    )
claim(
    "σ = 90/255: BF-DnCNN over DnCNN",
    quality["bf_dncnn"][90] - quality["dncnn"][90],
    at_least=5,
    unit="dB",
    source="deck 000",
)
claim(
    "σ = 90/255: the Wiener filter over DnCNN",
    quality["wiener"][90] - quality["dncnn"][90],
    at_least=1,
    unit="dB",
)

# %% [markdown]
# Inside the grey range the twins are equal: the biases bring nothing there. Outside they are all the difference. Why?
#
# ## 3 · Around one image, a network is an affine map (10 minutes)
#
# A ReLU $R$ passes a number or stops it. *Which* it does depends on the input; once that is settled, nothing nonlinear is left. Take two layers by hand,
# $f(y) = W_2 R(W_1 y + b_1) + b_2$. Call a hidden number "on" where $W_1 y + b_1 > 0$. Then
#
# $$ f(y) = \underbrace{W_2 D_y W_1}_{A_y}\, y + \underbrace{W_2 D_y b_1 + b_2}_{b_y}, \qquad D_y = \text{diag(on)} . $$
#
# $A_y$ is the Jacobian of $f$ at $y$. $b_y$ is the **net bias**: what the network adds of its own. Both depend on $y$; deck 000 calls this the first-order
# Taylor expansion, and it is exact.

# %%
g = torch.Generator().manual_seed(0)
W1, b1 = torch.randn(20, 6, generator=g), torch.randn(20, generator=g)
W2, b2 = torch.randn(6, 20, generator=g), torch.randn(6, generator=g)
v = torch.randn(6, generator=g)


def two_layers(v):
    return W2 @ torch.relu(W1 @ v + b1) + b2


on = (W1 @ v + b1 > 0).float()
A = W2 @ torch.diag(on) @ W1
b = W2 @ (on * b1) + b2
claim("A_y y + b_y to f(y), largest difference", (A @ v + b - two_layers(v)).abs().max().item(), at_most=1e-5)
jacobian = torch.func.jacrev(two_layers)(v)
claim("A_y to autograd's Jacobian", (A - jacobian).abs().max().item(), at_most=1e-5)

# %% [markdown]
# In one dimension this can be drawn. Two networks from a number to a number, with the same weights; one has biases.

# %%
line = torch.linspace(-3, 3, 601)
w1, c1, w2 = (torch.randn(12, generator=torch.Generator().manual_seed(s)) for s in (1, 2, 3))
with_biases = (torch.relu(line[:, None] * w1 + c1) * w2).sum(1)
without = (torch.relu(line[:, None] * w1) * w2).sum(1)

figure, ax = plt.subplots(figsize=(6, 3))
ax.plot(line, with_biases, label="with biases")
ax.plot(line, without, label="without")
ax.axhline(0, color="0.8", lw=0.8)
ax.set(xlabel="y", ylabel="f(y)", title="Biases put the kinks anywhere; without them there is one, at 0")
ax.legend()
show_figure(
    figure,
    "Two functions of one number: the network with biases is a line with many kinks; the one without is two straight rays that "
    "meet at zero.",
)

# %% [markdown]
# Without biases, $f$ is straight along every ray from the origin: $f(\alpha y) = \alpha f(y)$ for $\alpha > 0$. Remember it; it comes back in
# section 5.
#
# ## 4 · The net bias explodes (8 minutes)
#
# Now the real network. To find $b_y$ by hand, run two images through the layers side by side: $y$ decides which ReLUs are on, and a second image goes
# through these same gates. Convolutions take both alike, and add their biases to both. If the second image is zero, what comes out is $b_y$.


# %%
def through_the_gates_of(y, network, v):
    """Run v through the network, with every ReLU on or off as y has it."""
    hidden, other = y, v
    for layer in network.noise:
        if isinstance(layer, nn.ReLU):
            other = other * (hidden > 0)
            hidden = layer(hidden)
        else:
            hidden, other = layer(hidden), layer(other)
    return v - other


with torch.no_grad():
    net_bias = through_the_gates_of(noisy[90], dncnn, torch.zeros_like(x))
    linear_part = through_the_gates_of(noisy[90], dncnn, noisy[90]) - net_bias

# %% [markdown]
# The library does it with one **Jacobian-vector product**: autograd gives the derivative of $f$ at $y$ in the direction $y$, which is $A_y y$, without ever
# making the matrix. The rest is the net bias. Both ways agree:

# %%
A_y_y, b_y = networks.local_affine_map(dncnn, noisy[90])


def relative(difference, whole):
    return (difference.norm() / whole.norm()).item()


f_y = networks.denoise(dncnn, noisy[90])
claim(
    "f(y) = A_y y + b_y, both by hand, relative error",
    relative(linear_part + net_bias - f_y, f_y),
    at_most=1e-5,
    source="deck 000",
)
claim("A_y y by hand to autograd's, relative", relative(linear_part - A_y_y, A_y_y), at_most=1e-5)
claim("b_y by hand to autograd's, relative", relative(net_bias - b_y, f_y), at_most=1e-5)

# %% [markdown]
# **Predict:** as $\sigma$ rises from 5/255 to 100/255, how does the size of the net bias go: flat, in proportion to the noise, or something worse?

# %%
parts = {s: networks.local_affine_map(dncnn, noisy_middle(s)[:1]) for s in levels}
sizes = {
    "residual ‖y − f(y)‖": [(noisy_middle(s)[:1] - sum(parts[s])).norm() / 128 for s in levels],
    "net bias ‖b_y‖": [parts[s][1].norm() / 128 for s in levels],
    "noise ‖z‖": [s / 255 for s in levels],
}
figure, ax = plt.subplots(figsize=(6.5, 3.3))
ax.axvspan(0, 30, color="0.92")
for name, values in sizes.items():
    ax.plot(levels, values, marker="o", label=name)
ax.set(
    xlabel="255 σ",
    ylabel="root mean square, a pixel",
    title="DnCNN: the net bias is small where it was trained",
)
ax.legend()
show_figure(
    figure,
    "Root mean square of residual, net bias and noise against the noise level: in the trained range the residual equals the noise and the "
    "net bias is small; beyond it the residual stays behind, and the net bias jumps to the size of the noise and remains large.",
)
bias_size = dict(zip(levels, sizes["net bias ‖b_y‖"], strict=True))
claim("net bias at σ = 90/255 over σ = 20/255", (bias_size[90] / bias_size[20]).item(), at_least=4)

# %%
show_images(
    {f"b_y + ½, σ = {s}/255": parts[s][1] + 0.5 for s in (10, 30, 60, 90)},
    alt="The net bias of DnCNN as an image at four noise levels: plain grey at the lowest, with traces of the fur at the second, and "
    "strong grainy patterns at the two levels beyond the training.",
)

# %% [markdown]
# Up to 20/255 the network hardly uses its constants; at the end of its training range it begins to. Outside, they add a large image that has nothing to do
# with the one it was given: the net bias has *overfitted* the noise levels of the training. Deck 000 draws the conclusion: take the constants out.
#
# ## 5 · Without constants (8 minutes)
#
# $f(y) = W_L R(\dots R(W_1 y))$: then $b_y = 0$ for every $y$, and $f$ is the linear map $A_y$. Two consequences to be measured. First the scaling of
# section 3:

# %%
y = noisy[30]
factors = (0.1, 0.5, 2.0, 10.0)
with torch.no_grad():
    worst = {
        name: max(relative(f(a * y) - a * f(y), a * f(y)) for a in factors)
        for name, f in {"BF-DnCNN": bf_dncnn, "DnCNN": dncnn}.items()
    }
claim("BF-DnCNN: f(αy) to αf(y), α from 0.1 to 10", worst["BF-DnCNN"], at_most=1e-5, source="deck 000")
claim("the same for DnCNN", worst["DnCNN"], at_least=0.05)
claim(
    "net bias of BF-DnCNN over its image",
    relative(networks.local_affine_map(bf_dncnn, y)[1], y),
    at_most=1e-5,
)

# %% [markdown]
# This says something about noise levels. Brighten a noisy image by $\alpha$, and its noise level is multiplied by $\alpha$: a bias-free network treats it as the
# same image. An image of low contrast with little noise and one of high contrast with much noise are one case to it. That is not the whole story,
# for at $\sigma = 90/255$ the photograph's contrast has not grown. But it takes away one thing that could be wrong.
#
# Second, *every* additive constant must go, not the biases of convolutions alone. Ordinary **batch normalisation**, which most networks have, subtracts a
# mean and adds a shift; its bias-free form keeps the division by the standard deviation and the factor. By hand, in training, for features of shape
# (batch, channel, height, width):

# %%
features = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(4))
norm = networks.BiasFreeBatchNorm2d(3)
by_hand = features / (features.var(dim=(0, 2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
claim("bias-free batch normalisation, by hand", (norm(features) - by_hand).abs().max().item(), at_most=1e-5)

# %% [markdown]
# Deck 000 tries three more networks: a **U-Net** (module 06), a **recurrent CNN** that applies one small network four times, and a simple **DenseNet**,
# whose blocks all see $y$. These three have batch normalisation, in either form. Each comes with its twin, trained alike on the same photographs, for 800
# steps only. **Predict** whether the twin is better at 90/255 for all three.

# %%
others = {
    "U-Net": (networks.UNetDenoiser, "unet_denoiser"),
    "recurrent CNN": (networks.RecurrentCNN, "recurrent_cnn"),
    "DenseNet": (networks.DenseDenoiser, "dense_denoiser"),
}
architectures = {"DnCNN": {s: (quality["dncnn"][s], quality["bf_dncnn"][s]) for s in (20, 90)}}
for title, (kind, name) in others.items():
    twins = [
        networks.load_weights(kind(bias=bias), weights)
        for bias, weights in ((True, name), (False, f"bf_{name}"))
    ]
    architectures[title] = {
        s: tuple(psnr(networks.denoise(f, noisy_middle(s)), middle) for f in twins) for s in (20, 90)
    }

# %%
looks = {"with biases": {"color": "#D55E00", "hatch": "//"}, "bias-free": {"color": "#0072B2"}}
places = torch.arange(4.0)
figure, axes = plt.subplots(1, 2, figsize=(8.6, 3), sharey=True)
for ax, s in zip(axes, (20, 90), strict=True):
    for k, (label, look) in enumerate(looks.items()):
        heights = [row[s][k] for row in architectures.values()]
        ax.bar(places + 0.4 * k - 0.2, heights, 0.38, edgecolor="white", label=label, **look)
    ax.set_xticks(places, ["recurrent" if "rec" in title else title for title in architectures])
    ax.set_ylim(8, None)
axes[0].set(ylabel="PSNR (dB)", title="σ = 20/255, as trained")
axes[1].set_title("σ = 90/255, three times the highest trained")
axes[1].legend(loc="upper right")
show_figure(
    figure,
    "PSNR of four networks and their bias-free twins: at a noise level of the training all eight are about equal; at three times "
    "the highest of the training every bias-free twin is several decibels better.",
)

# %%
for title in others:
    with_bias, bias_free = architectures[title][90]
    claim(
        f"{title}, σ = 90/255: the bias-free twin's gain",
        bias_free - with_bias,
        at_least=2,
        unit="dB",
        source="deck 000",
    )

# %% [markdown]
# See it happen. Two very small twins, 120 steps from scratch on noise up to 30/255. They are poor denoisers, but the direction shows already.

# %%
recipe_of = training.find_recipe("bf_dncnn")  # its patches, noise and loss


def tiny_recipe(bias):
    return training.Recipe(
        name="tiny_dncnn" if bias else "tiny_bf_dncnn",
        network=lambda: networks.DnCNN(depth=5, width=16, bias=bias),
        batch=recipe_of.batch,
        loss=recipe_of.loss,
        validate=lambda f: {f"psnr_{s}": psnr(f(noisy_middle(s)), middle) for s in (20, 90)},
        steps=120,
        batch_size=8,
        learning_rate=5e-3,
    )


tiny = {bias: training.train(tiny_recipe(bias)) for bias in (True, False)}

# %%
for bias, run in tiny.items():
    row = ", ".join(f"σ = {s}/255: ≈ {run.metrics[f'psnr_{s}']:.1f} dB" for s in (20, 90))
    print("with biases " if bias else "bias-free   ", row)
claim(
    "120 steps: the bias-free twin's gain at σ = 90/255",
    tiny[False].metrics["psnr_90"] - tiny[True].metrics["psnr_90"],
    at_least=0.5,
    unit="dB",
)

# %% [markdown]
# ## 6 · Rows of $A_y$ are filters (8 minutes)
#
# BF-DnCNN's estimate of pixel $i$ is $\langle \text{row } i \text{ of } A_y,\; y\rangle$: a weighted sum of noisy pixels, as in module 01. There every pixel had
# the *same* weights. Here each has its own, and they depend on the image. A row costs one backward pass. By hand:

# %%
y = noisy_middle(30)[:1].clone().requires_grad_(True)
row_40_60 = torch.autograd.grad(bf_dncnn(y)[0, 0, 40, 60], y)[0][0, 0]
same = networks.adaptive_filter(bf_dncnn, y.detach(), 40, 60)
claim("by hand to the library's, largest difference", (row_40_60 - same).abs().max().item(), at_most=1e-7)
claim(
    "⟨row, y⟩ to the network's pixel",
    abs((row_40_60 * y.detach()).sum() - bf_dncnn(y)[0, 0, 40, 60]).item(),
    at_most=1e-5,
)

# %% [markdown]
# Pick an image: a name from `data.PHOTOGRAPHS`, and three pixels of it. Ours is one of the test photographs: a flat place, an edge, and a
# detail. **Predict** how the three filters differ, and what more noise does to each.

# %%
my_photograph = "hopper"
my_pixels = {"flat": (20, 100), "edge": (47, 96), "detail": (114, 70)}  # row, column

picture = data.photographs([my_photograph], size=256)[..., 112:240, 112:240]
noisy_picture = {
    s: physics.add_gaussian_noise(picture, s / 255, torch.Generator().manual_seed(s)) for s in (10, 30, 90)
}
rows = {
    (s, place): networks.adaptive_filter(bf_dncnn, y, *pixel)
    for s, y in noisy_picture.items()
    for place, pixel in my_pixels.items()
}

# %%
figure, axes = plt.subplots(3, 4, figsize=(8, 6.4))
for line_of_axes, (s, y) in zip(axes, noisy_picture.items(), strict=True):
    line_of_axes[0].imshow(networks.denoise(bf_dncnn, y)[0, 0], vmin=0, vmax=1)
    line_of_axes[0].set_title(f"f(y), σ = {s}/255")
    for (place, (r, c)), ax in zip(my_pixels.items(), line_of_axes[1:], strict=True):
        line_of_axes[0].plot(c, r, "+", color="#D55E00", ms=9, mew=2)
        weights = rows[s, place]
        near = weights[r - 12 : r + 13, c - 12 : c + 13]
        ax.imshow(near, cmap="RdBu", vmin=-near.abs().max(), vmax=near.abs().max())
        ax.set_title(f"{place}: sum {weights.sum():.2f}")
for ax in axes.flat:
    ax.set_axis_off()
show_figure(
    figure,
    "Three noise levels by three pixels: the denoised picture with the pixels marked, and the weights around each. In the flat place they are "
    "spread widely at every level; at the edge and the detail a few pixels at low noise, and more of them with more of it.",
)

# %% [markdown]
# Do they follow the edge? Take one whose sides are known: a step from 0.3 to 0.7. For sixteen pixels right beside it, how much of a filter's sum lies *beyond* the step, and
# what share of all $|\text{weights}|$ on the pixel's own side? The same pixels on plain grey, for comparison.

# %%
def over_the_middle(image):
    """Means over 16 pixels beside the middle: the weights' sum on the other side, and the share of |weights| on the own side."""
    y = physics.add_gaussian_noise(image, 30 / 255, torch.Generator().manual_seed(30))
    beyond, own_share = 0.0, 0.0
    for row in range(20, 44, 3):
        for column, own in ((31, slice(0, 32)), (32, slice(32, 64))):
            w = networks.adaptive_filter(bf_dncnn, y, row, column)
            beyond += (w.sum() - w[:, own].sum()).item() / 16
            own_share += (w[:, own].abs().sum() / w.abs().sum()).item() / 16
    return beyond, own_share


grey = torch.full((1, 1, 64, 64), 0.5)
step = torch.where(torch.arange(64) < 32, 0.3, 0.7).expand(1, 1, 64, 64)
at_grey, at_step = over_the_middle(grey), over_the_middle(step)
print(f"share of |weights| on the own side: plain grey ≈ {at_grey[1]:.2f}, beside the step ≈ {at_step[1]:.2f}")
claim("plain grey: sum of the weights beyond the middle", at_grey[0], at_least=0.35)
claim("beside a step: size of that sum", abs(at_step[0]), at_most=0.2, source="deck 000")
claim("share of |weights| on the own side, beside a step less on plain grey", at_step[1] - at_grey[1], at_least=0.04, source="deck 000")

# %% [markdown]
# Beside the step, next to nothing of the other side's grey enters: the weights there cancel. They are not zero, though. More than a third of all $|\text{weights}|$ lies beyond the step, with
# both signs, and brings noise with it.
#
# What do all filters have in common? The sum of every row is $A_y 1$: one Jacobian-vector product with an image of ones.

# %%
def row_sums(y):
    """The sum of each row of A_y, as an image."""
    with torch.no_grad():
        return torch.func.jvp(bf_dncnn, (y,), (torch.ones_like(y),))[1]

for s, y in noisy_picture.items():
    print(f"σ = {s}/255: mean sum of a row ≈ {row_sums(y).mean():.3f}")
claim(
    "σ = 10/255: mean distance of a row's sum from 1",
    (row_sums(noisy_picture[10]) - 1).abs().mean().item(),
    at_most=0.05,
    source="deck 000",
)

# %% [markdown]
# So a filter averages: what is constant stays. Nobody told the network to average widely in flat places and hardly at a detail. The bilateral filter of
# module 01 does so by a rule somebody made; this one has learned it.
#
# ## 7 · Singular vectors span a subspace (10 minutes)
#
# The other view of the Wiener filter was a projection onto low frequencies: the same for every image. So look at the whole of $A_y$, for a patch of
# 24 × 24 pixels, the rim of a coin: $A_y = U S V^T$. Its columns are 576 Jacobian-vector products, taken together in a few passes. We take three noise levels
# of the training, and one beyond it.

# %%
patch = data.photographs(["coins"], size=256)[..., 140:164, 50:74]
noisy_patch = {
    s: physics.add_gaussian_noise(patch, s / 255, torch.Generator().manual_seed(s)) for s in (10, 20, 30, 90)
}
matrices = {s: networks.jacobian(bf_dncnn, y) for s, y in noisy_patch.items()}
svd = {s: torch.linalg.svd(A) for s, A in matrices.items()}
dimension = {s: networks.effective_dimension(found.S) for s, found in svd.items()}

# %% [markdown]
# First the rows once more, all of them. A filter with the weights $w$ averages some $(\sum w)^2 / \sum w^2$ pixels:

# %%
averaged = {s: (A.sum(1) ** 2 / A.square().sum(1)).median().item() for s, A in matrices.items()}
for s, pixels in averaged.items():
    print(f"σ = {s}/255: a filter averages ≈ {pixels:.0f} pixels (median)")
claim("pixels averaged at σ = 30/255 over σ = 10/255", averaged[30] / averaged[10], at_least=1.2, source="deck 000")

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.3))
for s, found in svd.items():
    ax.plot(found.S, label=f"σ = {s}/255")
ax.set(
    xlabel="number",
    ylabel="singular value",
    title="A few directions are kept, the others are nearly dropped",
    ylim=(0, None),
)
ax.legend()
show_figure(
    figure,
    "Singular values of the Jacobian in falling order for three noise levels: each begins near one and falls to nearly zero; the more noise, the "
    "earlier.",
)
likeness = {}
for s, A in matrices.items():
    kept = round(dimension[s])
    U, _, Vh = svd[s]
    likeness[s] = (U[:, :kept] * Vh[:kept].T).sum(0).abs().mean().item()
    print(
        f"σ = {s}/255: Σ s² ≈ {dimension[s]:.0f} of 576, mean |⟨uᵢ, vᵢ⟩| of these ≈ {likeness[s]:.2f}, ‖A − Aᵀ‖/‖A‖ ≈ {relative(A - A.T, A):.2f}"
    )
claim("σ = 10/255, kept axes: mean |⟨uᵢ, vᵢ⟩|", likeness[10], at_least=0.85, source="deck 000")

# %% [markdown]
# $\sum s^2$ is the **effective dimension**: a projection onto $d$ dimensions has $d$, and noise of variance $\sigma^2$ a pixel leaves $A_y$ with
# $\sigma^2 \sum s^2$ in total. On the axes that are kept, $u_i \approx v_i$: there $A_y$ acts like a projection. As a whole it is not symmetric, as the last number
# says; and the first singular values exceed 1: a few directions are made larger, which no projection does. What does it project on?

# %%
U = svd[30].U
denoised_patch = (matrices[30] @ noisy_patch[30].flatten()).view(24, 24)
show_images(
    {"clean patch": patch, "f(y), σ = 30/255": denoised_patch}
    | {f"u, number {k + 1}": 0.5 + 4 * U[:, k].view(24, 24) for k in (0, 1, 2, 5, 10, 20, 200, 400)},
    alt="A clean patch with the rim of a coin, its denoised version, and left singular vectors: the first show shapes that follow the rim and "
    "the relief, the last ones fine patterns like noise.",
    columns=5,
    width=1.8,
)

# %% [markdown]
# Smooth where the patch is smooth, with its edges: not the sinusoids that the Wiener filter projects on, but a basis made for this image. Last, do the
# subspaces for more noise lie *in* those for less? **Nestedness** is the root mean square cosine between the directions of the smaller and their
# shadows in the larger: 1 when it lies inside.


# %%
def kept_axes(s):
    return svd[s].U[:, : round(dimension[s])]


def random_axes(count, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(576, count, generator=g)).Q

# %%
nested, by_chance = {}, {}
for less, more in ((10, 20), (20, 30), (10, 30), (30, 90)):
    inner, outer = kept_axes(more), kept_axes(less)
    nested[less, more] = networks.nestedness(inner, outer)
    by_chance[less, more] = networks.nestedness(
        random_axes(inner.shape[1], more), random_axes(outer.shape[1], less)
    )
    print(
        f"{more}/255 in {less}/255: ≈ {nested[less, more]:.2f}, random subspaces ≈ {by_chance[less, more]:.2f}"
    )

# %%
for less, more in ((10, 30), (30, 90)):
    claim(
        f"effective dimension, σ = {less}/255 over {more}/255",
        dimension[less] / dimension[more],
        at_least=1.1,
        source="deck 000",
    )
in_the_largest = [nested[less, more] for less, more in ((10, 20), (10, 30))]
claim("nestedness in the space of σ = 10/255, the least", min(in_the_largest), at_least=0.9, source="deck 000")
claim("largest of random subspaces", max(by_chance.values()), at_most=0.6)

# %% [markdown]
# The space of $10/255$ nearly holds those for more noise; deck 000's authors measured 0.96 and more for all pairs, on a larger network. The claim is about these two pairs only.
# Between 20/255 and 30/255, still in the training, the nesting is looser, about 0.84, and beyond the training, from 30/255 to 90/255, looser again, about 0.76: the network goes on working
# there, but not quite in this orderly way.
#
# Before networks, the same idea was built by hand: choose a basis (wavelets, module 02), keep the coefficients that stand out of the noise, drop
# the rest. That is a projection onto a subspace the image has chosen, one of a **union of subspaces**. More noise, fewer kept.

# %% [markdown]
# ## 8 · Against what came before (6 minutes)
#
# Five classical methods on the same photographs. All are told $\sigma$; BF-DnCNN is not. **Non-local means** averages pixels whose surroundings look
# alike; **BM3D** (Dabov et al. 2007) thresholds groups of similar patches in a transform, and was the one to beat for ten years. It is an extra package
# (`pip install bm3d`, for non-commercial use): the bars show it where it is installed.

# %%
told = {
    "wiener": methods["wiener"],
    "bilateral": classical.bilateral,
    "wavelet_threshold": classical.wavelet_threshold,
    "nlm": classical.non_local_means,
}
table = {
    name: {s: psnr(f(noisy_middle(s), s / 255), middle) for s in (10, 30, 50)} for name, f in told.items()
}
table["bf_dncnn"] = {s: quality["bf_dncnn"][s] for s in (10, 30, 50)}
for name, row in table.items():
    print(
        f"{display.METHODS[name].label:<24}"
        + "   ".join(f"σ = {s}/255: ≈ {value:.1f} dB" for s, value in row.items())
    )
claim(
    "least lead of BF-DnCNN over all four",
    min(table["bf_dncnn"][s] - table[name][s] for name in told for s in (10, 30, 50)),
    at_least=0.3,
    unit="dB",
)

# %%
drawn = dict(table)
if find_spec("bm3d"):
    from bm3d import bm3d

    drawn["bm3d"] = {
        s: psnr(
            torch.stack(
                [torch.from_numpy(bm3d(y[0].numpy(), s / 255)).float()[None] for y in noisy_middle(s)]
            ),
            middle,
        )
        for s in (10, 30, 50)
    }
figure, ax = plt.subplots(figsize=(7.5, 3.2))
for k, (name, row) in enumerate(drawn.items()):
    places = [j + 0.13 * (k - len(drawn) / 2) for j in range(3)]
    ax.plot(places, list(row.values()), **display.method_style(name) | {"linestyle": ""}, ms=7)
ax.set_xticks(range(3), [f"σ = {s}/255" for s in (10, 30, 50)])
ax.set(ylabel="PSNR (dB)", title="BF-DnCNN is not told σ; the others are")
ax.legend(loc="upper right", ncols=2)
show_figure(
    figure,
    "PSNR of the methods at three noise levels: Wiener filter, bilateral filter, wavelets and non-local means close together, BF-DnCNN "
    "well above them, and BM3D, where it is installed, as high.",
)

# %% [markdown]
# BF-DnCNN is blind, and at $\sigma = 50/255$ beyond its training. It is well ahead of the four, and about level with BM3D, which is told $\sigma$. Where does the
# Wiener filter lose? Where images are least like their mean spectrum: at edges.

# %%
steepness = torch.hypot(*torch.gradient(middle, dim=(-2, -1)))
at_edges = steepness > steepness.quantile(0.9)
edge_error = {
    name: (f(noisy_middle(30), 30 / 255) - middle)[at_edges].square().mean().item()
    for name, f in (told | {"bf_dncnn": methods["bf_dncnn"]}).items()
}
claim(
    "σ = 30/255, at edges: Wiener's squared error over wavelet thresholding's",
    edge_error["wiener"] / edge_error["wavelet_threshold"],
    at_least=1.05,
    source="deck 000",
)
claim("and over BF-DnCNN's", edge_error["wiener"] / edge_error["bf_dncnn"], at_least=1.5)

# %% [markdown]
# ## 9 · Play (4 minutes)
#
# Move the noise level: **predict** where you can first *see* that DnCNN gives up. Then move the pixel, and watch how its filter changes with the place
# and with the noise.

# %%
@cache
def denoised(level):
    y = physics.add_gaussian_noise(picture, level / 255, torch.Generator().manual_seed(level))
    return {"y": y, "DnCNN": networks.denoise(dncnn, y), "BF-DnCNN": networks.denoise(bf_dncnn, y)}

def weights_around(y, row, column):
    """The weights of one pixel; the network sees 17 pixels far, so a window of y is enough."""
    window = y[..., row - 17 : row + 18, column - 17 : column + 18]
    return networks.adaptive_filter(bf_dncnn, window, 17, 17)[5:30, 5:30]

# %%
play_figure, axes = plt.subplots(1, 4, figsize=(9, 2.7))
pictures = [ax.imshow(picture[0, 0], vmin=0, vmax=1) for ax in axes[:3]]
weights_picture = axes[3].imshow(torch.zeros(25, 25), cmap="RdBu", vmin=-1, vmax=1)
(cross,) = axes[2].plot(96, 47, "+", color="#D55E00", ms=12, mew=2.5)
for ax in axes:
    ax.set_axis_off()

def draw(level, row, column):
    results = denoised(level)
    for shown_in, ax, (name, image) in zip(pictures, axes, results.items(), strict=False):
        shown_in.set_data(image[0, 0])
        ax.set_title(f"{name}: {psnr(image, picture):.1f} dB")
    weights = weights_around(results["y"], row, column)
    weights_picture.set_data(weights / weights.abs().max())
    axes[3].set_title(f"weights, sum {weights.sum():.2f}")
    cross.set_data([column], [row])
    return (
        f"A photograph at noise level {level}/255, after DnCNN and after BF-DnCNN "
        f"(≈ {psnr(results['BF-DnCNN'], picture):.1f} dB), and the weights of its pixel ({row}, {column})."
    )

show_figure(play_figure, draw(60, 47, 96), photographic=True)

# %% tags=["nbval-ignore-output"]
from ipywidgets import IntSlider

for level in range(10, 110, 10):
    denoised(level)  # now, so that the slider only shows
player = play(
    play_figure,
    draw,
    level=IntSlider(60, 10, 100, 10, description="255 σ"),
    row=IntSlider(47, 17, 110, description="row"),
    column=IntSlider(96, 17, 110, description="column"),
)

# %% [markdown]
# ## 10 · Where it breaks (6 minutes)
#
# The twin generalises over the *level* of white Gaussian noise. Change the noise in other ways, at the same standard deviation of 30/255. **Predict** the order.


# %%
def correlated(image, sigma, generator):
    """Gaussian noise of the same standard deviation, blurred over some three pixels."""
    z = classical.gaussian_blur(torch.randn(image.shape, generator=generator), 1.0)
    return image + sigma * z / z.std()


def impulses(image, sigma, generator):
    """A few pixels are replaced by black or white, as many as give the same mean squared error."""
    u, value = torch.rand(2, *image.shape, generator=generator)
    value = (value > 0.5).float()
    share = sigma**2 / (value - image).square().mean()
    return torch.where(u < share, value, image)


kinds = {
    "white Gaussian": physics.add_gaussian_noise,
    "correlated": correlated,
    "black and white pixels": impulses,
}

# %%
seen = {name: kind(x, 30 / 255, torch.Generator().manual_seed(5)) for name, kind in kinds.items()}
cleaned = {name: networks.denoise(bf_dncnn, y) for name, y in seen.items()}
gain = {name: psnr(cleaned[name]) - psnr(y) for name, y in seen.items()}
show_images(
    {f"{name}: ≈ {gain[name]:+.1f} dB": image for name, image in cleaned.items()},
    alt="A cat after BF-DnCNN with three kinds of noise of equal strength: clean; mottled as if nothing had been done; and speckled with the "
    "black and white pixels.",
    columns=3,
    width=2.6,
)
claim("gain on white Gaussian noise", gain["white Gaussian"], at_least=8, unit="dB")
claim("gain on correlated noise", gain["correlated"], at_most=3, unit="dB")

# %% [markdown]
# Blotches of noise look like an image to a network that has only met white noise. **How to tell:** look at the residual $y - f(y)$. For white noise of level $\sigma$ it should
# look like it. Its neighbours should not be correlated, and it should show no trace of the image.
#
# What nobody has explained, deck 000's open questions:
#
# - *Why* do biases overfit the noise level? Measured above, not derived. How much they do depends on how they begin: ours as PyTorch draws them. In a run
#   whose biases began at 0, not shown here, DnCNN was behind its twin by only one or two decibels at 90/255.
# - A network without biases need not do well at 90/255; it does.
# - All of sections 6 and 7 is local: one image, one noise. How do filters and subspaces change as the image moves?
# - How does training find them? Nothing in the loss speaks of rows, edges or subspaces.
#
# ## Recap
#
# - Around one image a ReLU network is affine, $f(y) = A_y y + b_y$, and both parts can be computed exactly.
# - DnCNN's net bias is small at the noise levels of its training and explodes beyond; without additive constants it is zero, and the network goes on working.
# - Rows of $A_y$ are filters that adapt to the image and the noise; its singular vectors span nested subspaces whose dimension falls with the noise.
# - It is blind to the level of white noise only. Other noise passes.
#
# **To read.** Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, "Robust and interpretable blind image denoising via bias-free convolutional neural networks"
# (2020). Zhang, Zuo, Chen, Meng and Zhang, "Beyond a Gaussian denoiser" (2017).
#
# **Open question.** DnCNN could be given $y/3$ at $\sigma = 90/255$, and its answer multiplied by 3: then the noise is one it knows. Does that mend it? The lab tries it.
