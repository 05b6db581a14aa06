# ---
# jupyter:
#   course:
#     title: "Lab: from a window to an outline"
#     level: intermediate
#     minutes: 113
#     needs: "lecture 06; torch, what a convolution and a gradient do"
# ---

# %% [markdown]
# # Lab 06: from a window to an outline
#
# {{header}}
#
# You will find the membranes of nerve tissue with a network that sees a window, then with a U-Net, and learn from a single labelled image. Seven short functions, and a study
# of your own. When you are done you can
#
# - turn a network that classifies windows into one that answers for all pixels at once, exactly,
# - write a U-Net's step up, and say what its skips are for,
# - write the two Dice losses, and say which pixels they listen to,
# - bend image and label together, and measure what that is worth,
# - measure how far two outlines are apart, and say which number fits which question.
#
# The checks, the hints (for example `lab.elastic.hint()`) and the way on for who is stuck work as in lab 01. After each check a cell such as `elastic = lab.elastic.or_reference(elastic)` goes on with your function if it has passed, and
# with the course's if not, so you are never stuck. The symbols are those of the lecture: $r$ label,
# 1 on a membrane and 0 elsewhere; $p$ the probability of a membrane that a network gives a pixel; $a$ and $b$ masks.

# %%
import matplotlib.pyplot as plt
import torch
from scipy.ndimage import distance_transform_edt
from torch.nn.functional import binary_cross_entropy, conv2d, grid_sample, interpolate, max_pool2d

from course_lib import data, metrics
from course_lib.display import claim, show_figure, show_images
from course_lib.exercises import unet_segmentation as lab

# %% [markdown]
# ## The material (3 minutes)
#
# Nerve tissue under the electron microscope, from the generator of the lecture; a pixel is 4 nm wide. There is **one** labelled image to learn from, of 128 × 128 pixels. Labelling takes hours, so that is not far
# from real: the challenge of 2012 had thirty. Eight other sections are there to test on.

# %%
section = data.nerve_tissue("train", 4, size=(128, 128))
image, label = section.image, section.membrane
unseen = [data.nerve_tissue("test", k, size=(128, 128)) for k in range(8)]
test_images = torch.cat([s.image for s in unseen])
test_labels = torch.cat([s.membrane for s in unseen])

# %%
show_images(
    {"to learn from": image, "its label r": label, "unseen": test_images[0], "unseen label": test_labels[0]},
    alt="Grey cells parted by dark lines, with dark round organelles inside; beside it a label, white lines on black; and the same for another piece of tissue.",
)

# %% [markdown]
# ## Exercise 1 · All windows of an image (8 minutes, 5 points)
#
# The first networks that segmented such images classified one pixel at a time: is there a membrane in the middle of the **window** around it? Cut out all windows of
# `side` × `side` pixels that lie wholly inside the image. The first begins in the top left corner, the next one pixel further to the right, and so on, row by row.
# (A window of even size has no middle pixel; of 12 × 12 pixels we take row 6, column 6, counted from 0.)


# %% nbgrader={"grade": false, "grade_id": "windows", "locked": false, "schema_version": 3, "solution": true, "task": false}
def windows(image, side):
    """All square windows inside an image.

    image: float32 (1, 1, height, width)
    side: how many pixels a window has a side
    returns: float32 (count, 1, side, side), row by row
    """
    ### BEGIN SOLUTION
    return image.unfold(2, side, 1).unfold(3, side, 1).reshape(-1, 1, side, side)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_windows", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.windows.check(windows)

# %%
windows = lab.windows.or_reference(windows)

# %% [markdown]
# **Predict:** how many windows of 12 × 12 pixels has this image? Then look at six of them. In which does a membrane run through the middle?



# %%
def three(where):
    """Three of the windows in whose middle `where` holds: that is row 6 and column 6 of a window."""
    spots = where[6:-5, 6:-5].flatten().nonzero()[:, 0]
    return spots[len(spots) // 6 :: len(spots) // 3][:3]


every, membrane = windows(image, 12), label[0, 0] > 0.5
wall = section.organelles & (image[0, 0] < 0.35)
order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
six = torch.cat([three(membrane), three(wall)])[order]
print(f"{len(every)} windows")
show_images(
    dict(zip("ABCDEF", every[six], strict=True)),
    alt="Six small windows with something dark in each middle: lines and edges that look much alike.",
    columns=6,
    width=1.5,
)

# %%
print("a membrane in the middle:", ", ".join(name for name, k in zip("ABCDEF", order, strict=True) if k < 3))

# %% [markdown] tags=["solution-only"]
# **Interpretation.** 117 · 117 = 13,689 windows. The others show the wall of an organelle, which is as dark and as thin as a membrane; F looks more like one than A does. Twelve pixels are not enough to tell: one would have to see whether the
# line closes around a mitochondrion or around a whole cell.

# %% [markdown]
# ## Exercise 2 · The window network, dense (15 minutes, 5 points)
#
# A small network gives each window one number, its **score**: above 0 means a membrane in the middle. No convolution pads, so the window shrinks from 12 pixels to 10, the pool halves them to 5, then 4, and the last kernel covers all that is left.

# %%
def window_scores(windows, first, second, last):
    """One number a window: (count, 1, 12, 12) becomes (count, 1, 1, 1)."""
    x = torch.relu(conv2d(windows, first))  # 10 × 10
    x = max_pool2d(x, 2)  # 5 × 5
    x = torch.relu(conv2d(x, second))  # 4 × 4
    return conv2d(x, last)


# %% [markdown]
# Neighbouring windows share nearly all of their pixels, and the network computes all of that anew. Write the **dense** network: it takes the whole image and gives the same scores, those of all windows at once, without a loop over places and without
# cutting out every window: the check counts multiplications. There are two changes:
#
# - the pool with stride 2 would leave every second place out, so it moves on by one pixel;
# - what were neighbours after the old pool now lie two pixels apart, so all that comes after it takes its inputs from there: `conv2d(..., dilation=2)`.
#
# Old pool: values at 0, 2, 4, … New pool: values at 0, 1, 2, 3, … The old neighbours 0 and 2 are still there, with 1 between them.
#
# The kernel sizes may differ in the check; a window always has 12 pixels.


# %% nbgrader={"grade": false, "grade_id": "dense_scores", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dense_scores(image, first, second, last):
    """The scores of all windows of 12 × 12 pixels at once.

    image: float32 (1, 1, height, width)
    first: float32 (channels, 1, k, k), kernels before the pool
    second: float32 (channels, channels, m, m), kernels after it
    last: float32 (1, channels, n, n), kernels of the full connection
    returns: float32 (1, 1, height − 11, width − 11)
    """
    ### BEGIN SOLUTION
    x = torch.relu(conv2d(image, first))
    x = max_pool2d(x, 2, stride=1)
    x = torch.relu(conv2d(x, second, dilation=2))
    return conv2d(x, last, dilation=2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_dense_scores", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.dense_scores.check(dense_scores)

# %%
dense_scores = lab.dense_scores.or_reference(dense_scores)

# %% [markdown]
# Confirm that both give the same. Then count: how many multiplications does a section of 512 × 512 pixels take, window by window and at once? **Predict** the ratio.

# %%
def random_kernels(*shapes, seed=0):
    """Kernels to start from, so large that signals neither grow nor fade from layer to layer."""
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(s, generator=g) * (2 / (s[1] * s[2] * s[3])) ** 0.5 for s in shapes]


window_kernels = random_kernels((8, 1, 3, 3), (8, 8, 2, 2), (1, 8, 4, 4))
one_by_one = window_scores(every, *window_kernels).reshape(1, 1, 117, 117)
difference = (dense_scores(image, *window_kernels) - one_by_one).abs().max() / one_by_one.abs().max()
claim("dense scores and those of the windows: largest difference over the largest score", float(difference), at_most=1e-5, source="deck 002")

each = [8 * 9, 8 * 8 * 4, 8 * 16]  # multiplications for one pixel of each layer's result
by_windows = 501**2 * (10**2 * each[0] + 4**2 * each[1] + each[2])
at_once = 510**2 * each[0] + 507**2 * each[1] + 501**2 * each[2]
print(f"window by window {by_windows:,}, at once {at_once:,}")
claim("multiplications, window by window over at once", by_windows / at_once, at_least=24, at_most=25, source="deck 002")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The same numbers for a 25th of the work, and the larger the window, the more is saved. Nothing was lost: a convolution does not care how large the image is. A network for whole images is a network for windows that
# does not repeat itself.

# %% [markdown]
# Now let it learn. `trained` is all the training of this lab: it makes a loss small, step by step, and `change` may give another image and label at each step.


# %%
def trained(network, kernels, loss, change=lambda image, label, g: (image, label), steps=150, lr=1e-2):
    """Kernels that make loss(network(image, kernels), label) small."""
    g = torch.Generator().manual_seed(0)
    kernels = [k.clone().requires_grad_(True) for k in kernels]
    optimizer = torch.optim.Adam(kernels, lr=lr)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x, r = change(image, label, g)
        value = loss(network(x, kernels), r)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        slower.step()
    return [k.detach() for k in kernels]


def window_network(x, kernels):
    """Probabilities; around a small margin that no window reaches, they are 0."""
    score = torch.cat([dense_scores(one[None] - 0.5, *kernels[:3]) for one in x]) + kernels[3]
    return torch.nn.functional.pad(torch.sigmoid(score), (6, 5, 6, 5))


# %%
inner = (..., slice(6, -5), slice(6, -5))  # without the margin: all networks of this lab are measured there
start = [*window_kernels, torch.zeros(1)]
networks = {"windows": window_network}
found = {
    "windows": trained(window_network, start, lambda p, r: binary_cross_entropy(p[inner], r[inner]), steps=300, lr=2e-2)
}


def overlap(name, images=test_images, labels=test_labels):
    """The mean Dice coefficient of a network's masks."""
    with torch.no_grad():
        return metrics.dice(networks[name](images, found[name])[inner] > 0.5, labels[inner] > 0.5).mean().item()


print(f"Dice on the training image ≈ {overlap('windows', image, label):.2f}, on unseen ones ≈ {overlap('windows'):.2f}")
claim("window network, Dice on unseen images", overlap("windows"), at_least=0.48)

# %%
with torch.no_grad():
    p = window_network(test_images[:1], found["windows"])
show_images(
    {"unseen": test_images[0], "p of the window network": p, "p > 0.5": p > 0.5, "label r": test_labels[0]},
    alt="An unseen image; the window network's probabilities, bright on membranes and on the dark parts of organelles, with a fine lattice of dots over both; the mask, which has the lattice too; and the label with lines alone.",
)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** It finds what is dark and thin: most membranes, and the walls and folds of the mitochondria as well. That is the drawback of the windows, apart from their price: they know nothing of what lies around them. (The fine lattice of dots, two pixels wide, belongs to the
# dilation: a kernel that takes its inputs two pixels apart cannot tell a pattern that repeats every two pixels from a constant, so what the noise has of such a pattern comes through.)

# %% [markdown]
# ## Exercise 3 · A U-Net's step up (12 minutes, 5 points)
#
# A U-Net goes down to coarse levels, where a pixel has seen much, and comes up again. On the way down each level keeps its features, the **skip**: what is fine is still in there. A step up
#
# 1. makes four equal pixels of each coarse one (nearest neighbours, the default of `interpolate`),
# 2. lays the skip and the enlarged features side by side as channels, the skip first,
# 3. convolves with a 3 × 3 kernel, whose border is filled with zeros, and takes the ReLU.
#
# The training sends gradients through it, so write it with torch's functions alone, without parameters of its own.


# %% nbgrader={"grade": false, "grade_id": "up_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def up_step(coarse, skip, kernel):
    """From a coarser level of a U-Net to this one.

    coarse: float32 (batch, channels, height, width), the features of the coarser level
    skip: float32 (batch, others, 2·height, 2·width), those of this level, on the way down
    kernel: float32 (outputs, others + channels, 3, 3)
    returns: float32 (batch, outputs, 2·height, 2·width)
    """
    ### BEGIN SOLUTION
    enlarged = interpolate(coarse, scale_factor=2)
    return torch.relu(conv2d(torch.cat([skip, enlarged], dim=1), kernel, padding=1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_up_step", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.up_step.check(up_step)

# %%
up_step = lab.up_step.or_reference(up_step)

# %% [markdown]
# What you should see: up again without its skips the image is made of blocks, and with them its lines are back. (The kernels here take a share of the skip and the rest of the coarse image.)


# %%
def blend(share):
    """A kernel that adds up a share of the skip and the rest of the coarse features, pixel by pixel."""
    kernel = torch.zeros(1, 2, 3, 3)
    kernel[0, :, 1, 1] = torch.tensor([share, 1 - share])
    return kernel


half = max_pool2d(image, 2)
quarter = max_pool2d(half, 2)
up_again = {
    name: up_step(up_step(quarter, half, blend(share)), image, blend(share))
    for name, share in {"up without skips": 0.0, "up with skips": 0.6}.items()
}
show_images(
    {"image": image, "two levels down": quarter} | up_again,
    alt="The training image; a quarter of its size and brighter, its thin lines gone; up again in square blocks without a line; and, with skips, its lines and organelles again.",
)

# %% [markdown]
# Here is a whole U-Net of three levels: two convolutions a level, a pool on each step down, your `up_step` on each step up. Its kernels are a list, and the last of it is the one constant.


# %%
def level(x, first, second):
    """Two convolutions, each with its ReLU; sizes stay."""
    return torch.relu(conv2d(torch.relu(conv2d(x, first, padding=1)), second, padding=1))


def unet(x, k):
    """The probability of a membrane in each pixel."""
    fine = level(x - 0.5, k[0], k[1])
    middle = level(max_pool2d(fine, 2), k[2], k[3])
    coarse = level(max_pool2d(middle, 2), k[4], k[5])
    x = up_step(up_step(coarse, middle, k[6]), fine, k[7])
    return torch.sigmoid(conv2d(x, k[8]) + k[9])


def unet_kernels(a=8, b=16, c=32):
    """a, b and c channels on the three levels."""
    shapes = [(a, 1), (a, a), (b, a), (b, b), (c, b), (c, c), (b, b + c), (a, a + b)]
    return [*random_kernels(*((*s, 3, 3) for s in shapes), (1, a, 1, 1)), torch.zeros(1)]


# %% [markdown]
# **Predict:** a score of the window network depends on 12 pixels a side. On how many does a pixel of the U-Net? Measure it. Count the input rows for which the gradient of one
# output pixel is not 0 in at least one of forty noise images.

# %%
noise = torch.rand(40, 1, 96, 96, generator=torch.Generator().manual_seed(3)).requires_grad_(True)
means = [k.abs() / k.abs().sum(dim=(1, 2, 3), keepdim=True) for k in unet_kernels()[:-1]]  # so that no ReLU is off
(gradient,) = torch.autograd.grad(unet(noise + 0.5, [*means, torch.zeros(1)])[..., 48, 48].sum(), noise)
rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero()
claim("rows that a pixel of the U-Net depends on", int(rows.max() - rows.min()) + 1, at_least=34, at_most=36)
counts = [sum(k.numel() for k in kernels) for kernels in (found["windows"], unet_kernels())]
print(f"numbers to learn: {counts[0]} of the window network, {counts[1]} of the U-Net")

# %% [markdown] tags=["solution-only"]
# **Interpretation.** 36 pixels, as wide as a whole mitochondrion, with 3 × 3 kernels alone: on the coarsest level a step of one pixel is four pixels of the image. It has many more numbers to learn too, 58 times as many, and one image to learn them from.

# %% [markdown]
# ## Exercise 4 · The Dice loss (10 minutes, 5 points)
#
# The Dice coefficient measures how much two masks overlap. Deck 001 extends it to probabilities $p$, with squares in the denominator; one minus it is a loss:
#
# $$ 1 - \frac{2 \sum p\,r}{\sum p^2 + \sum r^2} . $$
#
# The sums are over the pixels of one image. Return the mean over the images of the batch; each of them has some foreground, so no denominator is 0, and nothing has to be added to it.
# (The checks of this exercise and the next know MONAI's losses, and do not count a call of them. The first of them takes some seconds to load MONAI.)


# %% nbgrader={"grade": false, "grade_id": "dice_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dice_loss(p, r):
    """One minus the overlap of each image, the mean over the batch.

    p: float32 (batch, 1, height, width) in [0, 1], the probability of foreground
    r: float32 (batch, 1, height, width), 1 in the foreground and 0 elsewhere
    returns: one number, 0 for p = r
    """
    ### BEGIN SOLUTION
    overlap = 2 * (p * r).sum(dim=(1, 2, 3)) / (p**2 + r**2).sum(dim=(1, 2, 3))
    return (1 - overlap).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_dice_loss", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.dice_loss.check(dice_loss)

# %%
dice_loss = lab.dice_loss.or_reference(dice_loss)

# %% [markdown]
# Confirm it with MONAI, the library that practitioners of medical imaging use. Then train the U-Net with your loss, on the one image. **Predict** the Dice
# coefficient on the training image, and on unseen ones.

# %%
from monai.losses import DiceLoss, GeneralizedDiceLoss

exact = {"smooth_nr": 0, "smooth_dr": 0}
theirs = DiceLoss(squared_pred=True, **exact)(test_images, test_labels)
claim("difference from MONAI's Dice loss", abs(float(dice_loss(test_images, test_labels) - theirs)), at_most=1e-5)

networks["U-Net"], found["U-Net"] = unet, trained(unet, unet_kernels(), dice_loss)
print(f"Dice on the training image ≈ {overlap('U-Net', image, label):.2f}, on unseen ones ≈ {overlap('U-Net'):.2f}")

# %%
with torch.no_grad():
    known, other = (unet(x, found["U-Net"]) for x in (image, test_images[:1]))
show_images(
    {"p, training image": known, "its label": label, "p, unseen image": other, "its label r": test_labels[0]},
    alt="The U-Net's probabilities on its training image, the same lines as in the label; on an unseen image, lines with gaps, and bits of organelles among them; and that image's label.",
)
gap = overlap("U-Net", image, label) - overlap("U-Net")
claim("U-Net: Dice on the training image minus that on unseen ones", gap, at_least=0.2)
claim("unseen images: U-Net minus window network", overlap("U-Net") - overlap("windows"), at_most=0.06)

# %% [markdown]
# On unseen images this U-Net is even a little worse than the window network: a mean Dice coefficient of about 0.53, and about 0.56 for the windows. It sees three times as far, and has 26,577 numbers to learn where the windows have 457. Why is it not better?

# %% [markdown] tags=["solution-only"]
# **Interpretation.** 26,577 numbers fit one image of 16,384 pixels, noise included, so the U-Net knows it by heart: 0.97 there. What it learned by heart does not help it elsewhere. The 457 numbers of the window network cannot hold that much: it reaches 0.67 on its own image, and loses
# less on unseen ones. The difference between the two is small: with four starts each the U-Net was 0.00 to 0.06 worse. Architecture is not enough.

# %% [markdown]
# ## Exercise 5 · The generalised Dice loss (12 minutes, 5 points)
#
# With several classes, background included, each class $l$ gets a weight, so that a small one is heard:
#
# $$ 1 - 2\, \frac{\sum_l w_l \sum_n r_{ln}\, p_{ln}}{\sum_l w_l \sum_n (r_{ln} + p_{ln})} , \qquad w_l = \frac{1}{\bigl(\sum_n r_{ln}\bigr)^2} . $$
#
# $n$ runs over the pixels of one image; return the mean over the images. Each class has some pixels in every image. At pixel $n$ of an image, $r_{ln}$ is the entry of `r[image, l]`.
# The deck's line can be read in two ways, as the square of the sum, $(\sum_n r_{ln})^2$, or as the sum of squares, $\sum_n r_{ln}^2$. Take the square of the sum; the other one would be $\sum_n r_{ln}$ again, for $r$ is 0 or 1.


# %% nbgrader={"grade": false, "grade_id": "generalized_dice_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def generalized_dice_loss(p, r):
    """One minus the overlap of all classes, each weighted by its size, the mean over the batch.

    p: float32 (batch, classes, height, width) in [0, 1], the probability of each class
    r: float32 (batch, classes, height, width), 1 for the pixel's class and 0 for the others
    returns: one number, 0 for p = r
    """
    ### BEGIN SOLUTION
    w = 1 / r.sum(dim=(2, 3)) ** 2
    above = (w * (r * p).sum(dim=(2, 3))).sum(dim=1)
    below = (w * (r + p).sum(dim=(2, 3))).sum(dim=1)
    return (1 - 2 * above / below).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_generalized_dice_loss", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.generalized_dice_loss.check(generalized_dice_loss)

# %%
generalized_dice_loss = lab.generalized_dice_loss.or_reference(generalized_dice_loss)

# %% [markdown]
# A network that knows nothing yet says $p = 0.5$ everywhere. Which pixels does a loss pull at then? Take the size of its gradient at each pixel, and add up what the foreground has of it. **Predict** that share for cross-entropy when one pixel in a
# thousand is foreground. And for the Dice losses?


# %%
def two_classes(p, r):
    """The generalised loss of foreground and background."""
    return generalized_dice_loss(torch.cat([p, 1 - p], dim=1), torch.cat([r, 1 - r], dim=1))


losses = {"cross-entropy": binary_cross_entropy, "Dice": dice_loss, "generalised Dice": two_classes}
exactly = GeneralizedDiceLoss(w_type="square", **exact)(torch.cat([other, 1 - other], 1), torch.cat([test_labels[:1], 1 - test_labels[:1]], 1))
claim("difference from MONAI's generalised Dice loss", abs(float(two_classes(other, test_labels[:1]) - exactly)), at_most=1e-5)


def heard(loss, pixels, side=100):
    """The share of the gradient at p = 0.5 that belongs to the foreground."""
    r = (torch.arange(side**2) < pixels).float().reshape(1, 1, side, side)
    p = torch.full_like(r, 0.5).requires_grad_(True)
    pull = torch.autograd.grad(loss(p, r), p)[0].abs()
    return float(pull[r > 0.5].sum() / pull.sum())


# %%
pixels = [10, 30, 100, 300, 1000, 2000, 3000, 5000]
figure, ax = plt.subplots(figsize=(6, 3.2))
for (name, loss), marker in zip(losses.items(), "osx", strict=True):
    ax.plot([n / 100**2 for n in pixels], [heard(loss, n) for n in pixels], marker=marker, label=name)
ax.set(xscale="log", xlabel="share of the pixels that is foreground", ylabel="share of the gradient", ylim=(0, 0.7), title="The Dice losses hear a small foreground")
ax.legend()
show_figure(
    figure,
    "The foreground's share of the gradient against its share of the pixels: for cross-entropy both are equal and go to 0; for Dice it starts at a third and rises; for generalised Dice it stays at one half.",
)
claim("one pixel in a thousand: share of cross-entropy's gradient", heard(losses["cross-entropy"], 10), at_most=0.002)
claim("share of the Dice loss's gradient", heard(losses["Dice"], 10), at_least=0.3, source="deck 001")
claim("share of the generalised one's, farthest from one half", max(abs(heard(two_classes, n) - 0.5) for n in pixels), at_most=0.05)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Cross-entropy counts pixels, so a small foreground is outvoted: "background everywhere" is nearly right. The Dice loss measures against the size of the foreground, which takes part with a third however small it is. The generalised
# loss gives both sides one half. Membranes are a fifth of these images, where all three can work.

# %% [markdown]
# Deck 001 prints the gradient of the generalised Dice loss of two classes as well. Trust autograd more than a slide: are the two alike? Fit one to the other, and look at the factor.


# %%
def printed_gradient(p, r):
    """∂GDL/∂p as deck 001 prints it, for one image; w₁ is the foreground's weight and w₂ the background's."""
    N, w1, w2 = p.numel(), 1 / r.sum() ** 2, 1 / (1 - r).sum() ** 2
    both = (p + r).sum()
    above = (w1**2 - w2**2) * ((p * r).sum() - r * both) + N * w2 * (w1 + w2) * (1 - 2 * r)
    return -2 * above / ((w1 - w2) * both + 2 * N * w2) ** 2


p, r = other.double().requires_grad_(True), test_labels[:1].double()
(by_autograd,) = torch.autograd.grad(two_classes(p, r), p)
printed = printed_gradient(p.detach(), r)
factor = float((printed * by_autograd).sum() / by_autograd.square().sum())
claim("factor of the printed gradient", factor, at_least=-1.0001, at_most=-0.9999, source="deck 001", digits=5)
left = float((printed - factor * by_autograd).abs().max() / by_autograd.abs().max())
claim("what the factor does not explain, over the largest gradient", left, at_most=1e-6)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** −1.0000: every term is right and the sign in front is not. Whoever went down along the printed gradient would learn to mark all but the membranes. Gradients that are written by hand are compared with
# autograd or with finite differences, always.

# %% [markdown]
# ## Exercise 6 · Elastic deformation (16 minutes, 5 points)
#
# Tissue that is bent a little is still tissue, and its label is bent in the same way. So one labelled image becomes many. `coarse` holds random displacements, in pixels, for a few places: `coarse[:, 0]` down the rows, `coarse[:, 1]` to the right.
#
# 1. Enlarge them smoothly to the size of the image: `interpolate(..., mode="bicubic", align_corners=True)`.
# 2. The new pixel in row $i$ and column $j$ is what lies at the place $(i, j)$ *plus* its displacement.
# 3. Look that up with `grid_sample`, which wants the places as (x, y), column first, in the shape (1, height, width, 2), from −1 for the first pixel to 1 for the last: with `align_corners=True` in `interpolate` and in both
#    `grid_sample` calls. The image is interpolated bilinearly, the label takes the nearest pixel, and beyond the edge, the pixels of the border are repeated (`padding_mode="border"`).


# %% nbgrader={"grade": false, "grade_id": "elastic", "locked": false, "schema_version": 3, "solution": true, "task": false}
def elastic(image, label, coarse):
    """Image and label, bent in the same way.

    image: float32 (1, 1, height, width)
    label: float32 (1, 1, height, width), 0 and 1
    coarse: float32 (1, 2, rows, columns), displacements in pixels of the image, down and to the right
    returns: a tuple of both, bent
    """
    ### BEGIN SOLUTION
    height, width = image.shape[-2:]
    shift = interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    rows = torch.arange(height)[:, None] + shift[:, 0]
    columns = torch.arange(width) + shift[:, 1]
    grid = torch.stack([2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1], dim=-1)
    bent = grid_sample(image, grid, padding_mode="border", align_corners=True)
    return bent, grid_sample(label, grid, mode="nearest", padding_mode="border", align_corners=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_elastic", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.elastic.check(elastic)

# %%
elastic = lab.elastic.or_reference(elastic)


# %% [markdown]
# What you should see: lines that were straight are bent, and the label still lies on the membranes. Streaks at the edge of the bent images are pixels of the border, repeated.

# %%
def bend(image, label, g):
    """Bent by some 8 pixels, by other displacements at each step."""
    return elastic(image, label, 8 * torch.randn(1, 2, 4, 4, generator=g))


ruled = image.clone()
ruled[..., 8::16, :], ruled[..., 8::16] = 1, 1
bent, bent_label = bend(ruled, label, torch.Generator().manual_seed(5))
show_images(
    {"image, ruled": ruled, "label": label, "bent": bent, "label, bent": bent_label},
    alt="The training image with a grid of white lines, and its label; the same bent, with curved lines and streaks at parts of the edge, and the label bent in the same way.",
)
claim("values of the bent label between 0 and 1", int(((bent_label > 0) & (bent_label < 1)).sum()), at_most=0)


# %% [markdown]
# Now the same U-Net, the same image, the same number of steps: bent anew at each step, and once more with quarter turns and mirror images besides. **Predict** for both whether the Dice coefficient rises or falls, on the training image and on unseen ones.

# %%
def bend_and_turn(image, label, g):
    """Bent, turned by some quarters, and mirrored half of the time."""
    turns, mirror = (int(torch.randint(n, (), generator=g)) for n in (4, 2))
    both = (x.rot90(turns, (2, 3)) for x in bend(image, label, g))
    return tuple(x.flip(3) if mirror else x for x in both)


for name, change in {"U-Net, bent": bend, "U-Net, bent and turned": bend_and_turn}.items():
    networks[name] = unet
    found[name] = trained(unet, unet_kernels(), dice_loss, change)
quality = {name: (overlap(name, image, label), overlap(name)) for name in networks}
for name, (seen, new) in quality.items():
    print(f"{name}: Dice on the training image ≈ {seen:.2f}, on unseen ones ≈ {new:.2f}")

# %%
with torch.no_grad():
    pictures = {name: networks[name](test_images[:1], found[name]) for name in quality}
show_images(
    pictures | {"unseen": test_images[0], "label": test_labels[0]},
    alt="Probabilities for one unseen image: the window network marks organelles too; the U-Net has gaps; bent, it has fewer; bent and turned, its lines are the most complete. Beside it image and label.",
    columns=3,
)
alone, bent_one, turned = (quality[name][1] for name in ("U-Net", "U-Net, bent", "U-Net, bent and turned"))
claim("unseen images: what bending gains in Dice", bent_one - alone, at_least=0.03, source="deck 002")
claim("unseen images: what bending and turning gain", turned - alone, at_least=0.08, source="deck 002")
claim("training image: what bending and turning cost", quality["U-Net"][0] - quality["U-Net, bent and turned"][0], at_least=0.05)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** Learning by heart is no longer possible, so the Dice coefficient falls on the training image and rises on unseen ones. Bending brings more than half of the gain, and turning the rest, for neither tissue nor microscope knows
# up from down. Only now is the U-Net better than the window network. How much is gained depends on the image: with three different ones to learn from and four starts each, bending gained 0.03 to 0.17 and both together 0.07 to 0.23. One image has one
# illumination, too, which no bending changes. The lecture's networks have seen thirty.

# %% [markdown]
# ## Exercise 7 · How far two outlines are apart (15 minutes, 5 points)
#
# Overlap says little about an outline. The **surface** of a mask, `a` or `b`, is made of its pixels that have a neighbour outside it, above, below, left or right; outside the image counts as outside. The **average surface distance** of deck 001 is
#
# $$ \frac{d(a, b) + d(b, a)}{2} , \qquad d(a, b) = \text{mean over the surface of } a \text{ of the distance to the nearest point of the surface of } b . $$
#
# A point that lies on both surfaces is its own nearest point, at a distance of 0, and counts in the mean.
#
# Rows may be spaced otherwise than columns: `spacing` holds both, in a unit of length, and the result is in that unit. Take all pairs of points; the images are small.


# %% nbgrader={"grade": false, "grade_id": "surface_distance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def surface_distance(a, b, spacing):
    """The average symmetric surface distance of two masks.

    a: bool (height, width), not empty
    b: bool (height, width), not empty
    spacing: from one row to the next and from one column to the next, two numbers
    returns: one number, in the unit of spacing
    """
    ### BEGIN SOLUTION
    points = []
    for mask in (a, b):
        p = torch.nn.functional.pad(mask, (1, 1, 1, 1))
        inner = p[:-2, 1:-1] & p[2:, 1:-1] & p[1:-1, :-2] & p[1:-1, 2:]
        points.append((mask & ~inner).nonzero() * torch.tensor(spacing, dtype=torch.float32))
    d = torch.cdist(*points, compute_mode="donot_use_mm_for_euclid_dist")
    return (d.min(dim=1).values.mean() + d.min(dim=0).values.mean()) / 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_surface_distance", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
lab.surface_distance.check(surface_distance)

# %%
surface_distance = lab.surface_distance.or_reference(surface_distance)

# %% [markdown]
# A stack of sections, seen from the side: its rows are whole sections, 50 nm apart, and its columns pixels of 4 nm. A round mask, and its copy moved by three pixels, once down and once to the right. **Predict** the
# ratio of the two distances in pixels, and in nanometres.

# %%
y, x = torch.meshgrid(torch.arange(40), torch.arange(40), indexing="ij")
disc = (y - 20) ** 2 + (x - 20) ** 2 < 12**2
for unit, spacing in {"pixels": (1.0, 1.0), "nm": (50.0, 4.0)}.items():
    apart = [float(surface_distance(disc, disc.roll(3, axis), spacing)) for axis in (0, 1)]
    print(f"3 down ≈ {apart[0]:.2f} {unit}, 3 to the right ≈ {apart[1]:.2f} {unit}")
by_library = metrics.average_surface_distance(disc[None, None], disc.roll(3, 1)[None, None], (50.0, 4.0)).item()
claim("difference from the library, in nm", abs(apart[1] - by_library), at_most=0.05)
claim("nm: down over to the right", apart[0] / apart[1], at_least=3, at_most=5)

# %% [markdown]
# A row is 50 nm and a column 4 nm. Why is the ratio not 50/4 = 12.5, and why is a shift by 3 pixels a distance of less than 3 pixels?

# %% [markdown] tags=["solution-only"]
# **Interpretation.** In pixels the two shifts are the same, in nanometres one is four times the other: a distance without its spacing is no distance. Not 12.5 times, for a pixel of the outline is not measured to its own copy, but to the nearest pixel of the other outline: after a shift
# down, that one mostly lies to the side, where a step costs 4 nm and not 50. For the same reason 3 pixels become 1.80: where the outline runs along the shift, the other one is hardly away at all.

# %% [markdown]
# Back to the membranes. For each network the Dice coefficient, your distance in nm, and the **Rand error** of the challenge of 2012, which asks what the membranes part. It counts the pairs of pixels that are judged differently, in one cell
# by one of the two masks and in two cells by the other, relative to all pairs that the one and the other put into one cell. 0 is the same cells. **Predict:** does the order of the networks stay the same?

# %%
with torch.no_grad():
    masks = {name: networks[name](test_images, found[name])[inner] > 0.5 for name in quality}
true = test_labels[inner] > 0.5
table = {}
for name, mask in masks.items():
    apart = [float(surface_distance(a[0], b[0], (4.0, 4.0))) for a, b in zip(mask, true, strict=True)]
    apart, rand = sum(apart) / len(apart), metrics.rand_error(mask, true).mean().item()
    print(f"{name}: Dice ≈ {quality[name][1]:.2f}, distance ≈ {apart:.1f} nm, Rand error ≈ {rand:.2f}")
    table[name] = apart, rand
better, plain = table["U-Net, bent and turned"], table["U-Net"]
claim("distance, bent and turned over plain", better[0] / plain[0], at_most=0.85)
claim("Rand error, the same", better[1] / plain[1], at_most=0.92)

# %% [markdown] tags=["solution-only"]
# **Interpretation.** The best network is the best by all three, and the order of the others changes. By distance the windows come second: they find most of the membranes, so their outlines are never far. By the Rand error windows and plain U-Net change places, with 0.75 and 0.74, which is less than means anything
# for eight images: both have so many gaps that they part few cells. A Dice coefficient of 0.73 sounds as if
# three quarters were done. With a Rand error above one half more pairs are wrong than right: a membrane with one gap parts nothing.

# %% [markdown]
# ## Open question · Which number to report? (22 minutes, 4 points)
#
# Three masks that someone might hand in for a larger section, each with one fault, made up so that you know what is wrong: the membranes are *shifted* by one pixel; one membrane has a *gap* of some pixels; there is a false *blob* inside a cell. The gap is the worst of two hundred that are tried.


# %%
larger = data.nerve_tissue("test", 20, size=(256, 256))
truth = larger.membrane > 0.5
rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")


def disc_at(row, column, radius):
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)[None, None]


places = truth[0, 0].nonzero()
places = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(2))[:200]].tolist()
gaps = torch.cat([truth & ~disc_at(row, column, 5) for row, column in places])
gap_errors = metrics.rand_error(gaps, truth.expand_as(gaps))

framed = torch.nn.functional.pad(truth[0, 0], (1, 1, 1, 1), value=True)
depth = distance_transform_edt(~framed.numpy())[1:-1, 1:-1]
deepest = divmod(int(depth.argmax()), 256)  # the pixel that is farthest from all membranes, and from the border
faults = {
    "shifted": torch.cat([truth[..., :1], truth[..., :-1]], dim=-1),
    "gap": gaps[gap_errors.argmax()][None],
    "blob": truth | disc_at(*deepest, 9),
}

# %%
show_images(
    {"truth": truth, **faults},
    alt="Membranes as white lines; the same moved by a pixel, which is hardly seen; with a small gap in one line; and with a white disc in the middle of the largest cell.",
)
for name, mask in faults.items():
    dice, rand = metrics.dice(mask, truth).item(), metrics.rand_error(mask, truth).item()
    largest, robust = (metrics.hausdorff(mask, truth, (4.0, 4.0), share).item() for share in (100, 95))
    mean = metrics.average_surface_distance(mask, truth, (4.0, 4.0)).item()
    distances = f"Hausdorff ≈ {largest:.0f} nm, its 95th percentile ≈ {robust:.0f} nm, surface distance ≈ {mean:.1f} nm"
    print(f"{name}: Dice ≈ {dice:.3f}, {distances}, Rand error ≈ {rand:.3f}")


# %% [markdown]
# And all two hundred gaps, each measured by itself.

# %%
figure, ax = plt.subplots(figsize=(6, 3))
ax.hist(gap_errors, bins=30, color="0.5")
ax.set(xlabel="Rand error", ylabel="number of gaps", title="Two hundred gaps of the same size")
show_figure(
    figure,
    "A histogram of the Rand errors of two hundred gaps: most near 0, a few reach much further to the right.",
)
gap_dice = metrics.dice(gaps, truth.expand_as(gaps))
print(f"Dice of the two hundred: from ≈ {gap_dice.min():.3f} to ≈ {gap_dice.max():.3f}")
claim("Dice of the two hundred, least", gap_dice.min().item(), at_least=0.99)
claim("Rand error of the worst gap over the median", float(gap_errors.max() / gap_errors.median()), at_least=3)

# %% [markdown]
# Measure more, if you like: other shifts, other blobs, several gaps at once, the largest distance (`percentile=100`), `metrics.volume_similarity`. Write half a page:
#
# 1. Which number is bad for which fault, and which hardly moves? Explain each from its formula.
# 2. Which number would you report to someone who traces nerve cells through the stack, to someone who measures how much membrane there is, and to someone who trusts the outline to a few nanometres? Why?
# 3. Two hundred gaps have nearly the same Dice coefficient. What decides how bad each one is?
# 4. Name an error that would leave all of these numbers as they are. Why does none of them see it?

# %% [markdown] nbgrader={"grade": true, "grade_id": "which_number", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# 1. *Shifted:* Dice 0.86 and a surface distance of 2.8 nm are the worst of the three. Membranes are thin, so a pixel on each side of each line is a good part of them, and every point of the outline is wrong by a little. No point is wrong by more than one pixel, 4 nm, and cells stay parted: Rand error 0.05.
#    *Gap:* Dice is 0.998, and the mean and the 95th percentile of the distances are 0, for only some tens of pixels are wrong; even the largest distance is only 14 nm. The Rand error is 0.14, nearly three times that of the shift: two large cells have become one, and all pairs of a pixel here and a pixel there
#    are wrong. *Blob:* the Hausdorff distance is 104 nm, because one point far from any membrane decides it. Its outline is less than 5 % of the surface, so the 95th percentile is 0; Dice and the mean distance hardly move, and the cell around it stays one cell.
# 2. For tracing, the Rand error, or how many cells are merged and split: a merged cell is followed wrongly through all sections after it, whatever its Dice coefficient. For how much membrane there is, the volume similarity, with Dice beside it, because volume similarity gives the shifted mask nearly a 1. For the outline, the surface
#    distance in nm and the 95th percentile of the Hausdorff distance, which one blob does not decide; and the largest one beside it if a blob would matter. With each number the spacing, and over which images it is a mean.
# 3. Which cells it joins. What is wrong are the pairs between the two cells, about the product of their sizes: between two large cells a gap is worst, between small ones it costs next to nothing. A gap that leads to no other cell, or does not go through a wide membrane, joins nothing at all.
# 4. None sees whether the *label* is right; where a membrane is cut obliquely it is wide and pale, and two people would draw it differently. All take masks, so none sees whether a probability of 0.9 is right nine times in ten. None sees the neighbouring sections, where the same cell may be numbered otherwise. And the tissue is generated:
#    no number here says how a network does on a real one.

# %% [markdown]
# ## Your progress

# %%
lab.progress()

# %% [markdown]
# In this lab you went from a window to a whole image, from one label to as many as you like, and from a loss to a number to report. Each of these numbers answers its own question. Save the notebook before you hand it in.
