# ---
# jupyter:
#   course:
#     title: "Lab: a denoiser without constants, and what it does to one image"
#     level: intermediate
#     minutes: 106
#     needs: "lecture 04; torch, what an SVD is"
# ---

# %% [markdown]
# # Lab 04: a denoiser without constants, and what it does to one image
#
# {{header}}
#
# You will write a blind denoiser without any additive constant, train it, and take it apart: seven short functions, and a study of
# your own. When you are done you can
#
# - make training batches with noise of many levels,
# - take the constants out of a network, batch normalisation included, and say what that changes,
# - compute the affine map that a ReLU network is around one image, and its rows as filters,
# - say which subspace of all images a denoiser keeps, how large it is, and whether one lies in another.
#
# The checks, the hints (for example `lab.denoiser.hint()`) and the way on for who is stuck work as in lab 01. The symbols are
# those of the lecture: $x$ clean image, $y = x + z$ noisy image, $\sigma$ noise level, $f(y)$ denoised image, $A_y$ its Jacobian and $b_y$ its
# net bias. Images run from 0 to 1.

# %%
import matplotlib.pyplot as plt
import torch
from torch.nn.functional import conv2d

from course_lib import data, metrics, networks, physics
from course_lib.display import claim, show_figure, show_images
from course_lib.exercises import blind_denoising as lab

# %% [markdown]
# ## The material (3 minutes)
#
# Patches of 32 × 32 pixels to learn from, cut from photographs at half their size, and the middle of two other photographs to test on.

# %%
generator = torch.Generator().manual_seed(4)
pool = data.photographs(data.NETWORK_TRAINING_PHOTOGRAPHS, size=256)
test_images = data.photographs(["cat", "motorcycle"], size=256)[..., 64:192, 64:192]


def random_patches(count, side=32):
    """Patches of the training photographs, (count, 1, side, side)."""
    chosen = torch.randint(len(pool), (count,), generator=generator).tolist()
    corners = torch.randint(256 - side, (count, 2), generator=generator).tolist()
    return torch.stack(
        [pool[k, :, r : r + side, c : c + side] for k, (r, c) in zip(chosen, corners, strict=True)]
    )


def psnr(estimate, truth):
    """Mean PSNR in dB."""
    return metrics.psnr(estimate, truth).mean().item()


def with_noise(image, level, seed=0):
    """White Gaussian noise of `level` grey levels."""
    return physics.add_gaussian_noise(image, level / 255, torch.Generator().manual_seed(seed))


# %%
show_images(
    {f"patch {k + 1}": patch for k, patch in enumerate(random_patches(4))}
    | {"test: cat": test_images[0], "test: motorcycle": test_images[1]},
    alt="Four small patches of different photographs, and the two test images: a part of a cat's face, a part of a motorcycle.",
    columns=6,
    width=1.5,
)

# %% [markdown]
# ## Exercise 1 · A blind batch (10 minutes, 5 points)
#
# A blind denoiser meets noise of many levels in training, so each image $i$ of a batch gets a level of its own:
#
# $$ y_i = x_i + \sigma_i z_i, \qquad \sigma_i = u_i \cdot \frac{\text{highest}}{255}, $$
#
# with $u_i$ uniform in $[0, 1]$ (the argument `draws`) and standard normal $z_i$ (the argument `noise`). Both are handed in, so draw none of your own. `highest` is in grey levels.


# %% nbgrader={"grade": false, "grade_id": "blind_batch", "locked": false, "schema_version": 3, "solution": true, "task": false}
def blind_batch(clean, draws, noise, highest):
    """Each image with white noise of a level of its own.

    clean: float32 (batch, 1, height, width) in [0, 1], x
    draws: float32 (batch,), a uniform random number from 0 to 1 for each image, u
    noise: float32 (batch, 1, height, width), standard normal random numbers, z
    highest: the highest noise level, in grey levels from 0 to 255
    returns: a tensor of the shape of clean, not clipped
    """
    ### BEGIN SOLUTION
    sigma = highest / 255 * draws[:, None, None, None]
    return clean + sigma * noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_blind_batch", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.blind_batch.check(blind_batch)

# %%
blind_batch = lab.blind_batch.or_reference(blind_batch)

# %% [markdown]
# What you should see: six patches, each noisier than the one before. **Predict:** which of them could a network mistake for clean?

# %%
six = random_patches(6)
noisy_six = blind_batch(six, torch.linspace(0, 1, 6), torch.randn(six.shape, generator=generator), 30)
show_images(
    {f"σ = {6 * k}/255": image for k, image in enumerate(noisy_six)},
    alt="Six patches of photographs with noise that grows from none to clearly visible.",
    columns=6,
    width=1.5,
)
claim(
    "standard deviation of the last patch's noise, times 255",
    255 * float((noisy_six - six)[-1].std()),
    at_least=28,
    at_most=32,
)

# %% [markdown]
# ## Exercise 2 · Batch normalisation without constants (12 minutes, 5 points)
#
# Ordinary batch normalisation computes $\gamma \frac{h - \mu}{\sqrt{v + \varepsilon}} + \beta$ for each channel, where $\mu$ and $v$ are the mean and the
# variance over all images and pixels of the batch. Two of its numbers are additive constants: take $\mu$ and $\beta$ out,
#
# $$ \frac{\gamma\, h}{\sqrt{v + \varepsilon}}\,, \qquad \varepsilon = 10^{-5} . $$
#
# The variance stays what it is: of the channel's values around their mean, divided by their number $n$.


# %% nbgrader={"grade": false, "grade_id": "bias_free_norm", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bias_free_norm(features, scale):
    """Batch normalisation, in training, without its two additive constants.

    features: float32 (batch, channel, height, width), h
    scale: float32 (channel,), γ
    returns: a tensor of the shape of features
    """
    ### BEGIN SOLUTION
    variance = features.var(dim=(0, 2, 3), keepdim=True, unbiased=False)
    return scale[:, None, None] * features / (variance + 1e-5).sqrt()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_bias_free_norm", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.bias_free_norm.check(bias_free_norm)

# %%
bias_free_norm = lab.bias_free_norm.or_reference(bias_free_norm)

# %% [markdown]
# **Predict:** brighten the features by a factor of 10. What happens to the output of this layer *in training*, and what in evaluation, where the variance
# is a stored number?

# %%
features = torch.rand(8, 4, 16, 16, generator=generator) + 1
gamma = torch.ones(4)
in_training = bias_free_norm(10 * features, gamma) / bias_free_norm(features, gamma)
layer = networks.BiasFreeBatchNorm2d(4).eval()
in_evaluation = layer(10 * features) / layer(features)
claim("in training: output for 10 h over that for h", in_training.mean().item(), at_least=0.99, at_most=1.01)
claim("in evaluation", in_evaluation.mean().item(), at_least=9.99, at_most=10.01)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** In training the variance is measured on the batch, so a factor cancels; in evaluation it is a constant, and the layer is linear. $f(\alpha y) = \alpha f(y)$
# is meant for the trained network, in evaluation mode. The small networks of this lab have no batch normalisation at all.

# %% [markdown]
# ## Exercise 3 · A bias-free denoiser (12 minutes, 5 points)
#
# Three layers estimate the noise, and the denoiser takes it away:
#
# $$ f(y) = y - C_3\, R\bigl(C_2\, R(C_1\, y)\bigr) . $$
#
# $C_1, C_2, C_3$ are 3 × 3 convolutions without a bias, whose border is filled with zeros; $R$ is the ReLU. Write it with torch operations alone, for the
# training and exercise 5 send gradients through it.


# %% nbgrader={"grade": false, "grade_id": "denoiser", "locked": false, "schema_version": 3, "solution": true, "task": false}
def denoiser(y, first, middle, last):
    """y minus the noise that three convolutions estimate.

    y: float32 (batch, 1, height, width), noisy images
    first: float32 (channels, 1, 3, 3), the kernels of the first layer
    middle: float32 (channels, channels, 3, 3), of the second
    last: float32 (1, channels, 3, 3), of the third
    returns: a tensor of the shape of y
    """
    ### BEGIN SOLUTION
    x = torch.relu(conv2d(y, first, padding=1))
    x = torch.relu(conv2d(x, middle, padding=1))
    return y - conv2d(x, last, padding=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_denoiser", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.denoiser.check(denoiser)

# %%
denoiser = lab.denoiser.or_reference(denoiser)

# %% [markdown]
# Train it, on noise up to 20/255, and a twin with biases beside it: the same start, the same patches, the same steps. 300 steps for each make a
# poor denoiser, good enough to see the difference. **Predict:** what does each do at 10/255, and at 90/255?


# %%
def random_kernels(channels=16):
    """Kernels to start from, and biases of zero."""
    g = torch.Generator().manual_seed(1)
    shapes = ((channels, 1, 3, 3), (channels, channels, 3, 3), (1, channels, 3, 3))
    kernels = [torch.randn(shape, generator=g) * (2 / (9 * shape[1])) ** 0.5 for shape in shapes]
    kernels[2] *= 0.1
    return kernels, [torch.zeros(channels), torch.zeros(channels), torch.zeros(1)]


def with_biases(y, kernels, biases):
    """The twin: the same three layers, each with a bias."""
    x = torch.relu(conv2d(y, kernels[0], biases[0], padding=1))
    x = torch.relu(conv2d(x, kernels[1], biases[1], padding=1))
    return y - conv2d(x, kernels[2], biases[2], padding=1)


# %%
def trained(f, parameters, steps=300):
    """Make the mean squared error of f(y, *parameters) small, step by step."""
    generator.manual_seed(7)
    parameters = [p.clone().requires_grad_(True) for p in parameters]
    optimizer = torch.optim.Adam(parameters, lr=5e-3)
    for _ in range(steps):
        clean = random_patches(16)
        draws, noise = torch.rand(16, generator=generator), torch.randn(clean.shape, generator=generator)
        loss = (f(blind_batch(clean, draws, noise, 20), *parameters) - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [p.detach() for p in parameters]


kernels, biases = random_kernels()
bias_free = trained(denoiser, kernels)
biased = trained(lambda y, *p: with_biases(y, p[:3], p[3:]), [*kernels, *biases])

# %%
twins = {
    "bias-free": lambda y: denoiser(y, *bias_free),
    "with biases": lambda y: with_biases(y, biased[:3], biased[3:]),
}
quality = {}
for level in (10, 20, 90):
    noisy = with_noise(test_images, level)
    quality[level] = {name: psnr(f(noisy), test_images) for name, f in twins.items()}
    row = ", ".join(f"{name} ≈ {value:.1f} dB" for name, value in quality[level].items())
    print(f"σ = {level}/255: noisy ≈ {psnr(noisy, test_images):.1f} dB, {row}")
claim(
    "σ = 20/255: what the bias-free denoiser gains",
    quality[20]["bias-free"] - psnr(with_noise(test_images, 20), test_images),
    at_least=3,
    unit="dB",
)
claim(
    "σ = 90/255: bias-free over its twin",
    quality[90]["bias-free"] - quality[90]["with biases"],
    at_least=0.3,
    unit="dB",
    source="deck 000",
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Where both were trained they are alike. At 90/255 nothing tells the biases that the noise has grown: they go on subtracting what suited 20/255. The bias-free
# network's thresholds grow with what it sees.

# %% [markdown]
# ## Exercise 4 · The affine map of two layers (15 minutes, 5 points)
#
# Around one $y$, a ReLU network is an affine map. For two layers, $f(y) = W_2 R(W_1 y + b_1) + b_2$, write down its matrix and its net bias:
#
# $$ f(y) = A_y\, y + b_y . $$
#
# Which hidden numbers does the ReLU let through? Write that as a vector of ones and zeros first.


# %% nbgrader={"grade": false, "grade_id": "affine_map", "locked": false, "schema_version": 3, "solution": true, "task": false}
def affine_map(y, W1, b1, W2, b2):
    """A_y and b_y of W2 R(W1 y + b1) + b2.

    y: float32 (inputs,)
    W1: float32 (hidden, inputs)
    b1: float32 (hidden,)
    W2: float32 (outputs, hidden)
    b2: float32 (outputs,)
    returns: A_y, (outputs, inputs), and b_y, (outputs,)
    """
    ### BEGIN SOLUTION
    on = (W1 @ y + b1 > 0).float()
    return W2 @ (on[:, None] * W1), W2 @ (on * b1) + b2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_affine_map", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.affine_map.check(affine_map)

# %%
affine_map = lab.affine_map.or_reference(affine_map)

# %% [markdown]
# For a whole image the library has `networks.local_affine_map`, which gives $A_y y$ and $b_y$ by a Jacobian-vector product. How large is the net bias of the
# trained networks of the lecture, and of yours? **Predict** the last column.

# %%
lecture_dncnn = networks.load_weights(networks.DnCNN(bias=True), "dncnn")
lecture_bf = networks.load_weights(networks.DnCNN(bias=False), "bf_dncnn")
cat = test_images[:1]
sizes = {}
print("root mean squares in grey levels: noise, b_y of DnCNN, of your twin with biases, of your denoiser")
for level in (10, 20, 50, 90):
    noisy = with_noise(cat, level)
    found = [
        networks.local_affine_map(f, noisy)[1]
        for f in (lecture_dncnn, twins["with biases"], twins["bias-free"])
    ]
    sizes[level] = [255 * float(b.square().mean().sqrt()) for b in found]
    print(f"{level:>3}  " + "".join(f"  ≈ {size:.1f}" for size in sizes[level]))
claim(
    "DnCNN's net bias at 90/255 over that at 20/255",
    sizes[90][0] / sizes[20][0],
    at_least=3,
    source="deck 000",
)
claim("your denoiser's net bias, largest", max(row[2] for row in sizes.values()), at_most=0.01)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** DnCNN's net bias is small where it was trained, and ten times as large and more beyond. The small twin's grows too, to about twice its size, and costs it some decibels instead of ten: with three layers and
# 300 steps it has had little to overfit with.

# %% [markdown]
# ## Exercise 5 · A pixel's own filter (12 minutes, 5 points)
#
# Without biases $f(y) = A_y y$, so a pixel of $f(y)$ is a weighted sum of the pixels of $y$. Its weights are a row of $A_y$: the gradient of that one
# pixel by $y$. Compute it for your `denoiser`, with autograd.


# %% nbgrader={"grade": false, "grade_id": "adaptive_filter", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adaptive_filter(y, first, middle, last, row, column):
    """The weights with which the pixels of y make one pixel of f(y).

    y: float32 (1, 1, height, width), a noisy image
    first, middle, last: the kernels, as in denoiser
    row, column: of the pixel of f(y)
    returns: float32 (height, width)
    """
    ### BEGIN SOLUTION
    y = y.clone().requires_grad_(True)
    pixel = denoiser(y, first, middle, last)[0, 0, row, column]
    return torch.autograd.grad(pixel, y)[0][0, 0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_adaptive_filter", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.adaptive_filter.check(adaptive_filter)

# %%
adaptive_filter = lab.adaptive_filter.or_reference(adaptive_filter)

# %% [markdown]
# Your network sees 7 × 7 pixels, the lecture's 35 × 35. **Predict:** as the noise grows, what happens to the weight of the pixel itself?
#
# What you should see: at low noise nearly a dot, at higher noise your network's weights fill the little they can, and the lecture's spread further.

# %%
bike = test_images[1:]
pixel = (70, 60)
near = (slice(pixel[0] - 10, pixel[0] + 11), slice(pixel[1] - 10, pixel[1] + 11))
own, theirs = {}, {}
for level in (5, 20, 60):
    noisy = with_noise(bike, level)
    own[level] = adaptive_filter(noisy, *bias_free, *pixel)
    theirs[level] = networks.adaptive_filter(lecture_bf, noisy, *pixel)

# %%
figure, axes = plt.subplots(2, 3, figsize=(6.6, 4.6))
for line, (who, filters) in zip(axes, {"yours": own, "BF-DnCNN": theirs}.items(), strict=True):
    for ax, (level, weights) in zip(line, filters.items(), strict=True):
        largest = weights.abs().max()
        ax.imshow(weights[near], cmap="RdBu", vmin=-largest, vmax=largest)
        ax.set_title(f"{who}, σ = {level}/255\nits own weight {weights[pixel]:.2f}")
        ax.set_axis_off()
show_figure(
    figure,
    "The weights around one pixel for two networks at three noise levels, positive blue, negative red: a dot at the lowest level, wider at the "
    "others, and widest for the deeper network at the highest.",
)
claim(
    "BF-DnCNN: by how much the pixel's own weight falls from 5/255 to 60/255",
    float(theirs[5][pixel] - theirs[60][pixel]),
    at_least=0.3,
    source="deck 000",
)

# %% [markdown]
# ## Exercise 6 · The subspace that is kept (12 minutes, 5 points)
#
# Take the whole matrix $A_y$ of a patch and its singular value decomposition $A_y = U S V^T$. Deck 000 measures the dimension that a denoiser keeps by
#
# $$ d = \sum_i s_i^2 , $$
#
# and the kept subspace is spanned by the first $\text{round}(d)$ left singular vectors. A basis has free signs, the projector on the subspace has
# not: return $d$ and $P = U_d U_d^T$.


# %% nbgrader={"grade": false, "grade_id": "kept_subspace", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kept_subspace(A):
    """The effective dimension of a denoiser at a patch, and the projector on what it keeps.

    A: float32 (n, n), the Jacobian
    returns: Σ s², a tensor with one number, and P, (n, n)
    """
    ### BEGIN SOLUTION
    U, S, _ = torch.linalg.svd(A)
    dimension = S.square().sum()
    axes = U[:, : int(dimension.round())]
    return dimension, axes @ axes.T
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_kept_subspace", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.kept_subspace.check(kept_subspace)

# %%
kept_subspace = lab.kept_subspace.or_reference(kept_subspace)

# %% [markdown]
# A patch of 24 × 24 pixels has 576 dimensions. **Predict:** how many does BF-DnCNN keep at 10/255, at 30/255, and at 90/255, which is beyond its
# training? And on a patch of plain grey?

# %%
patch = cat[..., 26:50, 10:34]
plain = torch.full_like(patch, 0.5)
spaces = {}
for name, clean in {"cat": patch, "plain grey": plain}.items():
    for level in (10, 20, 30, 90):
        spaces[name, level] = kept_subspace(networks.jacobian(lecture_bf, with_noise(clean, level)))
    row = ", ".join(f"{level}/255: ≈ {float(spaces[name, level][0]):.0f}" for level in (10, 20, 30, 90))
    print(f"{name}: Σ s² of 576 at {row}")
dimension = {key: float(d) for key, (d, _) in spaces.items()}

# %%
for low, high in ((10, 30), (30, 90)):
    claim(
        f"dimension of the cat at {low}/255 over {high}/255",
        dimension["cat", low] / dimension["cat", high],
        at_least=1.2,
        source="deck 000",
    )
claim("at 10/255, cat over plain grey", dimension["cat", 10] / dimension["plain grey", 10], at_least=1.2)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The more noise, the fewer of the cat's directions stand out of it and are kept. Plain grey has few at any level, and their number even rises: in strong noise the network sees a little structure where there is
# none. Noise of variance $\sigma^2$ a pixel leaves the denoiser with $\sigma^2 d$ in total: that is the price of every dimension that is kept.

# %% [markdown]
# ## Exercise 7 · Nestedness (10 minutes, 5 points)
#
# Does the subspace for more noise lie in the one for less? Project each direction of the smaller one onto the larger and see how much is left. The root mean
# square cosine is
#
# $$ \sqrt{\frac{\|P_\text{outer} P_\text{inner}\|^2}{\dim \text{inner}}}\,, \qquad \|M\|^2 = \sum_{ij} M_{ij}^2 = \operatorname{tr}(M^T M), \qquad \dim = \operatorname{tr} P_\text{inner} . $$


# %% nbgrader={"grade": false, "grade_id": "nestedness", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nestedness(inner, outer):
    """The root mean square cosine between the directions of a subspace and another one.

    inner: float32 (n, n), the projector on the smaller subspace
    outer: float32 (n, n), the projector on the larger one
    returns: a number from 0 to 1
    """
    ### BEGIN SOLUTION
    return ((outer @ inner).square().sum() / torch.trace(inner)).sqrt()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_nestedness", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.nestedness.check(nestedness)

# %%
nestedness = lab.nestedness.or_reference(nestedness)

# %% [markdown]
# **Predict:** the same number for two random subspaces of these dimensions. It is not 0: of a random direction's squared length, a subspace of $d$ out of 576 dimensions
# holds the share $d/576$ on average.


# %%
def random_projector(rank, seed):
    g = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(576, rank, generator=g)).Q
    return axes @ axes.T


nested = {}
for low, high in ((10, 20), (20, 30), (10, 30), (30, 90)):
    inner, outer = spaces["cat", high][1], spaces["cat", low][1]
    ranks = [round(float(torch.trace(p))) for p in (inner, outer)]
    by_chance = float(nestedness(random_projector(ranks[0], 1), random_projector(ranks[1], 2)))
    nested[low, high] = float(nestedness(inner, outer))
    expected = (ranks[1] / 576) ** 0.5
    print(
        f"{high}/255 in {low}/255: ≈ {nested[low, high]:.2f}, random ≈ {by_chance:.2f}, √(dim outer / 576) ≈ {expected:.2f}"
    )
in_training = [nested[pair] for pair in ((10, 20), (10, 30))]
claim("nestedness in the space of 10/255, the least", min(in_training), at_least=0.9, source="deck 000")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Raising the noise takes directions away and hardly adds any, as long as the network knows such noise; beyond its training the nesting is looser. A random direction has the share
# dim/n of its square in a subspace of that dimension, which is why chance does not give 0.

# %% [markdown]
# ## Open question · What bias-free means (20 minutes, 4 points)
#
# Two experiments with the lecture's networks. First: at $\sigma = 90/255$ show DnCNN the image $\alpha y$ and divide its answer by $\alpha$. With
# $\alpha = 1/3$ the noise in $\alpha y$ is 30/255, which it knows.

# %%
print("α        90/255: DnCNN   BF-DnCNN       10/255: DnCNN   BF-DnCNN")
for alpha in (1.0, 0.7, 0.5, 1 / 3, 0.1, 0.03, 0.01, 0.003):
    row = []
    for level in (90, 10):
        y = alpha * with_noise(test_images, level)
        row += [psnr(networks.denoise(f, y) / alpha, test_images) for f in (lecture_dncnn, lecture_bf)]
    print(f"{alpha:<7.3f}  " + "      ".join(f"≈ {value:.1f} dB" for value in row))

# %% [markdown]
# Second: brightness. Add a constant $c$ to every pixel of the noisy image, which then leaves $[0, 1]$, and take it away from the answer. The last column tells how far a row of
# BF-DnCNN's $A_{y+c}$ is from a sum of 1, in the mean over all rows.

# %%
print("c        DnCNN: f(y + c) − c      BF-DnCNN      mean |row sum − 1|")
for c in (-1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0):
    y = with_noise(test_images, 30) + c
    row = [psnr(networks.denoise(f, y) - c, test_images) for f in (lecture_dncnn, lecture_bf)]
    with torch.no_grad():
        sums = torch.func.jvp(lecture_bf, (y,), (torch.ones_like(y),))[1]
    off = (sums - 1).abs().mean().item()
    print(f"{c:<6.1f}   ≈ {row[0]:.1f} dB               ≈ {row[1]:.1f} dB     ≈ {off:.3f}")

# %% [markdown]
# A third, if you like: your own. The lecture's networks take any grey image, `networks.denoise(lecture_bf, y)`.
#
# Write half a page:
#
# 1. Does scaling mend DnCNN at 90/255? Why does nothing change for BF-DnCNN?
# 2. Which $\alpha$ would you choose if nobody tells you $\sigma$, and what does it cost at 10/255? What is different between $y/3$ at 90/255 and an image at 30/255?
# 3. Is a bias-free network indifferent to brightness? Write $f(y + c) - c$ with $A_{y+c}$ and its row sums, and explain what you see.
# 4. Name one thing that this study does not show.

# %% [markdown] nbgrader={"grade": true, "grade_id": "scaling_and_shifting", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# 1. Yes. With $\alpha = 1/3$ DnCNN rises from 12 to 22 dB, to BF-DnCNN's result: the noise in $\alpha y$ is then one that it knows. For BF-DnCNN $f(\alpha y)/\alpha = f(y)$ exactly, so every line of its
#    columns is the same.
# 2. There is a window. From 1/3 to about 0.05 DnCNN does well at 90/255; far below, the image becomes so faint that the constants, made for brighter ones, disturb it. At 10/255 every factor costs something, and the smallest some decibels. Without
#    $\sigma$, 0.1 to 0.3 is a compromise that loses some tenths of a decibel; BF-DnCNN needs no choice. In $y/3$ the picture's contrast has fallen to a third with the noise; photographs hold smooth, dark and faint patches too, which may be why DnCNN copes.
# 3. $f(y + c) - c = A_{y+c}\, y + c\,(A_{y+c} 1 - 1)$: the deviation of the row sums from 1 is multiplied by $c$. Upwards the deviation becomes small and the result stays as it was. Nothing in the definition asks for sums of 1; they were learned, and on positive
#    images. Downwards, where pixels become negative, the sums are off and other ReLUs are on than any training image turned on: both networks lose up to several decibels. Bias-free means indifferent to scale, and not to shift.
# 4. Two images, one draw of noise, one pair of trained networks. It shows that biases are what fails here, and not why training makes them fit the noise level. Nor does it say what happens with noise that is not white.

# %% [markdown]
# ## Your progress

# %%
lab.progress()

# %% [markdown]
# In this lab you built a network without a single constant, and looked into it with nothing but gradients. Save the notebook before you hand it in. The next module
# denoises where the noise is not white and not Gaussian: mammograms.
