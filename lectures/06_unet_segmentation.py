# ---
# jupyter:
#   course:
#     title: "U-Net segmentation: from a window for each pixel to an outline learned from thirty images"
#     level: intermediate
#     minutes: 91
#     needs: "what a convolution, a ReLU and pooling do; gradient descent"
# ---

# %% [markdown]
# # U-Net segmentation: from a window for each pixel to an outline learned from thirty images
#
# {{header}}
#
# In this notebook you will
#
# - classify pixels one window at a time, see what is computed over and over, and get the same numbers from one pass over the image,
# - see what pooling takes away and what a skip connection brings back, from FCN to U-Net,
# - bend images and labels together, and measure what that is worth with one image, three, ten and thirty,
# - choose a loss for a foreground that is rare, and find a sign error in a published gradient,
# - choose a metric by the error that must not be missed,
# - segment a brain in three dimensions, and change the scanner.
#
# The material is in deck 002 and at the beginning of deck 001. Notation: image $x$; label $r_n$, 1 where pixel $n$ is foreground and 0 elsewhere; probability $p_n$
# that a network gives to foreground.

# %%
import inspect
from functools import cache, partial

import matplotlib.pyplot as plt
import torch

from course_lib import classical, data, display, metrics, networks, training
from course_lib.display import claim, overlay, play, show_figure, show_images
from course_lib.training.augmentation import MEMBRANES, Augmentation
from course_lib.training.recipes import unet_segmentation as recipes
from course_lib.training.segmentation_losses import bce_loss, dice_gradient, dice_loss, generalized_dice_loss
from course_lib.training.studies import mean_of, recorded_study

# %% [markdown]
# ## 1 · A question (5 minutes)
#
# To find out how a brain is wired, one cuts it into slices of 50 nm, looks at each under an electron microscope, and follows every cell from slice to slice. For that the
# **membranes** between the cells have to be found. In 2012 a challenge gave thirty sections with an expert's labels, and asked for the labels of thirty others.
#
# The sections here are made by a generator (`help(data.nerve_tissue)`): cells, membranes cut straight or obliquely, mitochondria and vesicles, uneven light, charging, grain. Its
# labels are exact, and it knows no torn section: take what follows as a lesson about methods, not about microscopy.

# %%
sections = [data.nerve_tissue("test", index, (256, 256)) for index in range(6)]
image = torch.cat([s.image for s in sections])
truth = torch.cat([s.membrane for s in sections]) > 0.5
show_images(
    {
        "nerve tissue": image[0],
        "label: membranes": truth[0].float(),
        "organelles, no membranes": overlay(image[0], sections[0].organelles, sections[0].organelles),
    },
    alt="Grey cells with thin dark membranes between them and dark round bodies inside; the label, white lines that part all cells; and the "
    "same tissue with the round bodies marked white.",
    columns=3,
    width=2.6,
)
print(f"a pixel has 4 nm; membranes: ≈ {100 * truth.float().mean():.0f} % of the pixels")

# %% [markdown]
# Membranes are dark. So is the wall of a mitochondrion, and so are vesicles. **Predict:** if everything darker than some grey value is called membrane, how well can that do?
# The measure is the **Dice overlap** of the found mask $A$ with the true one $B$, $D = 2|A \cap B| / (|A| + |B|)$: 0 for no common pixel, 1 for the same mask.

# %%
my_dice = 0.7  # your guess

# %% [markdown]
# By hand in two lines, with the library, and both agree. The threshold is the best one on four training sections.

# %%
training_sections = [data.nerve_tissue("train", index, (256, 256)) for index in range(4)]
learn_image = torch.cat([s.image for s in training_sections])
learn_label = torch.cat([s.membrane for s in training_sections])
threshold = classical.best_threshold(learn_image, learn_label > 0.5)
found = threshold(image)

inside_both = (found & truth).flatten(1).sum(1)
by_hand = 2 * inside_both / (found.flatten(1).sum(1) + truth.flatten(1).sum(1))
claim("Dice by hand to the library's", (by_hand - metrics.dice(found, truth)).abs().max().item(), at_most=1e-6)
score = {"threshold": metrics.dice(found, truth).mean().item()}
claim("Dice of the best threshold, six test sections", score["threshold"], at_most=0.75)

# %%
show_images(
    {
        "darker than the threshold": overlay(image[0], found[0], truth[0]),
        "a closer look": overlay(image[0], found[0], truth[0])[..., 60:156, 60:156],
    },
    alt="Thin white lines where membranes were found, orange where they were missed, and blue on organelles, grain and dark cells that are no membrane.",
    columns=2,
    width=3.0,
)

# %% [markdown]
# White is found, orange is missed, blue is too much; the colours mean that in all pictures of this notebook. One pixel does not tell a membrane from a mitochondrion: its surroundings do.
#
# ## 2 · A window for each pixel (10 minutes)
#
# Cireşan and others won the challenge with the plainest idea: **classify each pixel** by the window around it. A CNN gets 33 × 33 pixels and says whether the one in the middle
# is membrane. Ours has two convolutions with pooling and one full connection, and is read in ten lines: `networks.WindowClassifier.one_by_one`.
#
# Neighbouring windows share almost all of their pixels, and the network computes the same convolutions on them again. **Predict:** by which factor is that wasteful?

# %%
my_factor = 10  # your guess

# %% [markdown]
# Convolve the whole image once in place of each window. Two things need care. Pooling with stride 2 would keep every second place, so the dense network pools at
# *every* place; and what comes after it takes its inputs from places that are 2, then 4 pixels apart: **dilation**, as in module 05. No weight changes.

# %%
torch.manual_seed(0)
classifier = networks.WindowClassifier(width=8)  # untrained: the numbers must agree whatever the weights
tile = image[:1, :, :96, :96]
windows = tile.unfold(2, 33, 1).unfold(3, 33, 1).reshape(-1, 1, 33, 33)
with torch.no_grad():
    window_by_window = classifier.one_by_one(windows).view(64, 64)
    at_once = classifier(tile)[0, 0]
print(f"{len(windows):,} windows of 33 × 33 pixels; the dense result has {tuple(at_once.shape)}")
claim("dense to sliding window, largest difference", (at_once - window_by_window).abs().max().item(), at_most=1e-5, source="deck 002")


# %% [markdown]
# How much work is that? Count multiplications: a convolution makes (places) × (kernel pixels) × (input channels) × (output channels) of them.


# %%
def multiplications(places, dense):
    """Of the classifier with 8 channels, for `places` × `places` pixels."""
    sides = (places + 29, places + 22, places, places) if dense else (30, 12, 1, 1)
    weights = (16 * 1 * 8, 16 * 8 * 8, 36 * 8 * 8, 8)
    return sum(side**2 * w for side, w in zip(sides, weights, strict=True)) * (1 if dense else places**2)


ratio = {places: multiplications(places, False) / multiplications(places, True) for places in (64, 512)}
for places, value in ratio.items():
    print(f"{places} × {places} pixels: {value:.0f} times as many multiplications window by window")
claim("512 × 512 pixels: work of the windows over that of one pass", ratio[512], at_least=50, source="deck 002")

# %% [markdown]
# Most of what is left is the full connection, which no two windows share; the convolutions before it are saved a hundred times and more. In seconds the gain is of the same size, or larger where
# windows come one by one, for tiny convolutions use a processor badly: `make bench` measures both side by side on your machine.
#
# The dense form also *learns* faster: one pass gives a loss at thousands of pixels. So this classifier was trained, on thirty sections (`course train window_classifier` is the recipe). **Predict:** does a
# window of 33 × 33 pixels do better than a threshold?

# %%
trained = {"window": networks.load_weights(networks.WindowClassifier(), "window_classifier")}
probability = {"window": networks.segment(trained["window"], image)}
score["window"] = metrics.dice(probability["window"] > 0.5, truth).mean().item()
print(f"Dice: threshold ≈ {score['threshold']:.3f}, windows ≈ {score['window']:.3f}")
claim("Dice: windows over the threshold", score["window"] - score["threshold"], at_least=0.05)

# %% [markdown]
# Deck 002 names two drawbacks of windows. The first, wasted work, is gone. The second is not: a pixel sees **33 × 33 pixels and no more**, and a larger window means larger kernels
# or more pooling.
#
# ## 3 · Coarse and far, fine and near: FCN and its skips (10 minutes)
#
# A **fully convolutional network** (FCN; Long and others 2015) lets pooling do its work: after three halvings a pixel of the feature map stands for 8 × 8 pixels, and its convolutions see far. A score
# for each coarse pixel is enlarged to the image's size. **Predict:** what does that do to a membrane three pixels wide?

# %%
trained |= {
    "coarse_fcn": networks.load_weights(networks.FCN(skips=False), "fcn_without_skips"),
    "fcn": networks.load_weights(networks.FCN(), "fcn_segmentation"),
    "unet": networks.load_weights(networks.UNet(1, 1, 16, 3, batch_norm=True), "unet_segmentation"),
}
probability = {name: networks.segment(network, image) for name, network in trained.items()}
for name, p in probability.items():
    score[name] = metrics.dice(p > 0.5, truth).mean().item()
    count = sum(q.numel() for q in trained[name].parameters())
    print(f"{display.METHODS[name].label:<20}{count:>8,} parameters, Dice ≈ {score[name]:.3f}")

# %% [markdown]
# The FCNs and the U-Net learned from the same thirty sections, with the same patches, steps and loss; `course train` lists the recipes. The second FCN has **skips**: every finer level makes scores of its own, which are added to the enlarged coarse ones. The
# third is the **U-Net** (Ronneberger, Fischer and Brox 2015). It does not add scores but hands whole feature maps across, the finest too, and goes on computing with both:

# %%
print(inspect.getsource(networks.UNet.forward).split('"]:')[-1].strip("\n"))

# %%
inset = (Ellipsis, slice(60, 156), slice(60, 156))
show_images(
    {"the tissue": image[0][inset]}
    | {display.METHODS[name].label: overlay(image[0], p[0] > 0.5, truth[0])[inset] for name, p in probability.items()},
    alt="A part of the tissue; for windows and without skips rounded bands with orange and blue along every membrane; with skips less of both; the U-Net's thin lines are nearly all white.",
    columns=5,
    width=2.0,
)
claim("Dice: FCN with skips over the threshold", score["fcn"] - score["threshold"], at_least=0.1, source="deck 002")
claim("Dice: skips over no skips", score["fcn"] - score["coarse_fcn"], at_least=0.05, source="deck 002")
claim("Dice: U-Net over FCN with skips", score["unet"] - score["fcn"], at_least=0.003, source="deck 002")
claim("Dice of the U-Net", score["unet"], at_least=0.9, source="deck 002")

# %% [markdown]
# Coarse maps know *what* is there, fine maps *where*. The skips are most of the gain. An FCN's finest scores still come from pixels two wide here, the U-Net's from single ones: in Dice that is less than
# one point. Is it worth a second network? Section 7 has another answer.
#
# How far does each see? The gradient of one output pixel tells, as in module 05. Shown is where it is more than a thousandth of its largest value.

# %%
side = 160


def sight(f):
    """The side of the square that holds all but a thousandth of the gradient of the middle pixel."""
    x = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(2)).requires_grad_(True)
    y = f(x)
    (slope,) = torch.autograd.grad(y[..., y.shape[-2] // 2, y.shape[-1] // 2].sum(), x)
    strong = slope.abs().amax((0, 1)) > 1e-3 * slope.abs().max()
    columns = strong.any(0).nonzero()
    return int(columns.max() - columns.min() + 1)


sees = {"window": sight(trained["window"]), "unet": sight(trained["unet"])}
print(f"window classifier ≈ {sees['window']} pixels a side, U-Net ≈ {sees['unet']}")
claim("the U-Net sees further, pixels a side", sees["unet"] - sees["window"], at_least=10)

# %% [markdown]
# ## 4 · Learning, watched (5 minutes)
#
# The shipped U-Net learned for some minutes. A smaller one from scratch, 50 steps on four sections: **predict** its Dice before you run the cell.

# %%
pool = list(zip(learn_image, learn_label, strict=True))
small = training.Recipe(
    name="small_unet",
    network=lambda: networks.UNet(1, 1, 8, 3, batch_norm=True),
    batch=partial(recipes.batch, lambda: pool, MEMBRANES, 96),
    loss=recipes.overlap_and_entropy,
    validate=lambda network: {"dice": metrics.dice(networks.segment(network, image) > 0.5, truth).mean().item()},
    steps=50,
    batch_size=2,
    learning_rate=1e-2,
)
first_look = training.train(small)
print(f"after 50 steps: Dice ≈ {first_look.metrics['dice']:.2f} (the threshold ≈ {score['threshold']:.2f})")
claim("50 steps of a small U-Net over the threshold", first_look.metrics["dice"] - score["threshold"], at_least=0.05)

# %% [markdown]
# ## 5 · Thirty images are enough, if you bend them (10 minutes)
#
# Labels are expensive: an expert needs hours for one section. **Augmentation** makes new samples from old ones, by changes under which the label is known: tissue may be turned,
# mirrored, brightened, and it may be *bent*. An **elastic deformation** moves the points of a coarse grid at random and everything between them smoothly. Image and label must move
# together; that is the whole difficulty. MONAI does it; `Augmentation` says how much.

# %%
grid = torch.zeros(256, 256)
grid[::16], grid[:, ::16] = 1, 1
seen = 0.75 * image[1, 0] + 0.25 * grid


def bent(picture, label, elastic, seed=4):
    """Only the elastic part, the same one for each seed."""
    return Augmentation(elastic=elastic)(picture[None], label[None], torch.Generator().manual_seed(seed))


bent_image, bent_label = bent(seen, truth[1, 0].float(), 10.0)

# %%
full = [MEMBRANES(image[1], truth[1].float(), torch.Generator().manual_seed(seed), (192, 192)) for seed in (1, 2)]
show_images(
    {
        "image, with a grid drawn on it": seen,
        "bent": bent_image,
        "all changes at once": full[0][0],
        "again": full[1][0],
        "label": truth[1, 0].float(),
        "label, bent alike": bent_label,
        "its label": full[0][1],
        "its label ": full[1][1],
    },
    alt="Above a section with a drawn grid, the same bent so that the grid waves, and two turned, bent and brightened versions; below each its label with the lines at the same places.",
    columns=4,
    width=2.2,
)

# %% [markdown]
# That they did move together can be measured: bend the label as if it were an image, and compare.

# %%
as_image, as_label = bent(truth[1, 0].float(), truth[1, 0].float(), 10.0)
together = ((as_image > 0.5) == (as_label > 0.5)).float().mean().item()
alone = ((as_image > 0.5) == (truth[1, 0] > 0.5)).float().mean().item()
claim("label bent with the image: share of pixels that agree", together, at_least=0.98)
claim("label left as it was: share that agree", alone, at_most=0.9)
claim("values in the bent label other than 0 and 1", len(set(bent_label.unique().tolist()) - {0.0, 1.0}), at_most=0)

# %% [markdown]
# What is it worth? 24 small U-Nets, each trained for 400 steps on 1, 3, 10 or 30 images of 128 × 128 pixels, with and without augmentation, from three seeds. That takes longer than a notebook
# may, so it was measured by `make studies` and is shown as **recorded**. **Predict** where the two lines meet.

# %%
study = recorded_study("unet_augmentation")
print(study["question"])
counts = (1, 3, 10, 30)
figure, ax = plt.subplots(figsize=(6, 3.4))
for augmented, color, style, marker in ((True, "#0072B2", "-", "o"), (False, "#D55E00", "--", "s")):
    rows = [[r["dice"] for r in study["rows"] if (r["images"], r["augmented"]) == (n, augmented)] for n in counts]
    mean = [sum(r) / len(r) for r in rows]
    ax.plot(counts, mean, color=color, linestyle=style, label="with augmentation" if augmented else "without")
    for n, r in zip(counts, rows, strict=True):
        ax.plot([n] * len(r), r, linestyle="", marker=marker, color=color, alpha=0.5, markersize=5)
ax.set_xscale("log")
ax.set_xticks(counts, [str(n) for n in counts])
ax.set(xlabel="training images of 128 × 128 pixels", ylabel="Dice", title="Recorded: three seeds each, eight unseen sections")
ax.legend(loc="lower right")
show_figure(
    figure,
    "Dice against the number of training images: with augmentation high from the first image on and rising a little; without it far lower for one and three images, and level for thirty.",
)

# %%
gain = {n: mean_of(study["rows"], "dice", images=n, augmented=True) - mean_of(study["rows"], "dice", images=n, augmented=False) for n in counts}
for n, value in gain.items():
    print(f"{n:>2} images: augmentation adds ≈ {100 * value:.1f} Dice points")
claim("recorded, 1 image: gain in Dice points", 100 * gain[1], at_least=2, source="deck 002", recorded=True)
claim("recorded, 3 images: gain in Dice points", 100 * gain[3], at_least=2, source="deck 002", recorded=True)
claim("recorded: the gain with 30 images is smaller than with 1", gain[1] - gain[30], at_least=0, recorded=True)

# %% [markdown]
# One image, bent, teaches nearly as much as ten straight ones. With thirty there is nothing left to gain, and after only 400 steps augmentation even costs a little: what is bent is harder to learn.
#
# Three warnings. Bend too much, and tissue folds over itself, which no tissue does: the slider of section 7 shows it. Augment only by what happens: a face is not upside down, and a heart is on the left. And hold out
# whole images, *before* anything is bent: a bent copy of a training image tests nothing.
#
# ## 6 · Which loss? (12 minutes)
#
# **Binary cross-entropy** asks every pixel alike. Deck 002 prints it without its minus sign; with it, and divided by the number of pixels $N$,
#
# $$ L_\text{BCE} = -\frac1N \sum_n r_n \ln p_n + (1 - r_n) \ln(1 - p_n). $$
#
# The **Dice loss** of Milletari and others (2016) makes the overlap itself large, $L_D = 1 - D$ with the soft, squared form of deck 001 (deck 002 has it without the squares):
#
# $$ D = \frac{2 \sum_n p_n r_n}{\sum_n p_n^2 + \sum_n r_n^2}, \qquad
# \frac{\partial D}{\partial p_j} = 2\, \frac{r_j \left(\sum p^2 + \sum r^2\right) - 2 p_j \sum p r}{\left(\sum p^2 + \sum r^2\right)^2}. $$

# %%
generator = torch.Generator().manual_seed(1)
p, r = torch.rand(1, 1, 64, 64, generator=generator, dtype=torch.float64), learn_label[:1, :, :64, :64].double()
bce = -(r * p.log() + (1 - r) * (1 - p).log()).mean()
claim("BCE with its minus sign, by hand to the library's", abs(bce - bce_loss(p, r)).item(), at_most=1e-6, source="deck 002")
claim("Dice loss by hand to the library's", abs(1 - 2 * (p * r).sum() / (p**2 + r**2).sum() - dice_loss(p, r)).item(), at_most=1e-6)


def slope_of(loss, p):
    """∂loss/∂p by automatic differentiation."""
    p = p.clone().requires_grad_(True)
    return torch.autograd.grad(loss(p), p)[0]


difference = (dice_gradient(p, r) + slope_of(lambda p: dice_loss(p, r), p)).abs().max() / dice_gradient(p, r).abs().max()
claim("the deck's ∂D/∂p to autograd's, relative", difference.item(), at_most=1e-5, source="deck 001")

# %% [markdown]
# The **generalized Dice loss** (Sudre and others 2017) counts foreground and background, each with a weight $w_l = 1/(\sum_n r_{ln})^2$, so that a small class is worth as much as a large one. (Deck 001 prints the weight as $1/\sum_n r_{ln}^2$: for a label of zeros and ones that is $1/\sum_n r_{ln}$, without the square that Sudre and others have.) It prints the gradient, too:
#
# $$ \frac{\partial\, \text{GDL}}{\partial p_i} = -2\, \frac{(w_1^2 - w_2^2)\left[\sum p_n r_n - r_i \sum (p_n + r_n)\right] + N w_2 (w_1 + w_2)(1 - 2 r_i)}{\left[(w_1 - w_2) \sum (p_n + r_n) + 2 N w_2\right]^2} . $$
#
# **Predict:** does it agree? Divide it by what automatic differentiation gives.


# %%
def printed_gradient(p, r):
    """∂GDL/∂p as the deck prints it."""
    N, w1, w2 = p.numel(), 1 / r.sum() ** 2, 1 / (1 - r).sum() ** 2
    both = (p + r).sum()
    above = (w1**2 - w2**2) * ((p * r).sum() - r * both) + N * w2 * (w1 + w2) * (1 - 2 * r)
    return -2 * above / ((w1 - w2) * both + 2 * N * w2) ** 2


true_slope = slope_of(lambda p: generalized_dice_loss(torch.cat([p, 1 - p], 1), torch.cat([r, 1 - r], 1)), p)
sign = (printed_gradient(p, r) / true_slope).mean().item()
print(f"printed over true: ≈ {sign:.4f}")
claim("printed over true gradient of GDL", sign, at_least=-1.0001, at_most=-0.9999, source="deck 001")

# %% [markdown]
# It has the **wrong sign**: whoever copies it climbs the loss. Two lines of automatic differentiation find that. The library's `generalized_dice_gradient` has the right one.
#
# Why should Dice help when foreground is rare? At the start a network says about the same everywhere. Look at how hard each loss pulls at foreground and at background then,
# for **vesicles**, which fill 1 to 2 % of a section.

# %%
vesicles = sections[0].vesicles.double()
even = torch.full_like(vesicles, 0.1)
print(f"vesicles ≈ {100 * vesicles.mean():.1f} % of the pixels; p = 0.1 everywhere")
pull = {}
for name, loss in (("BCE", bce_loss), ("Dice", dice_loss)):
    slope = slope_of(lambda p, loss=loss: loss(p, vesicles), even).abs()
    pull[name] = (slope[vesicles == 1].sum() / slope[vesicles == 0].sum()).item()
    print(f"{name:<5} total pull at the foreground over that at the background ≈ {pull[name]:.2f}")
claim("Dice pulls at foreground, relative to background, more than BCE: times", pull["Dice"] / pull["BCE"], at_least=3)

# %% [markdown]
# And what comes of it: six small U-Nets learned vesicles from thirty sections, three by each loss (**recorded**). Dice is taken where $p > 0.5$, and, for fairness, also at the threshold that validation sections prefer.

# %%
rare = recorded_study("unet_rare_foreground")
for loss in ("bce", "dice"):
    at_half, tuned, best = (mean_of(rare["rows"], key, loss=loss) for key in ("dice", "dice_tuned", "threshold"))
    print(f"{loss:<5} Dice at ½ ≈ {at_half:.3f}; at the tuned threshold (mean ≈ {best:.2f}) ≈ {tuned:.3f}")
advantage = {key: mean_of(rare["rows"], key, loss="dice") - mean_of(rare["rows"], key, loss="bce") for key in ("dice", "dice_tuned")}
claim("recorded, foreground below 5 %: Dice loss over BCE at ½", advantage["dice"], at_least=0.02, source="deck 002", recorded=True)
claim("recorded: the same at tuned thresholds", advantage["dice_tuned"], at_least=0.0, recorded=True)

# %% [markdown]
# By cross-entropy the networks *did* learn where vesicles are, but never became sure enough to pass ½: who looks there alone finds nothing. A lower threshold gives back most of it, not all. The Dice loss
# has the opposite fault: it pushes probabilities to 0 and 1 and does not know how sure it should be. In practice the two are often added, as in the shipped networks.
#
# ## 7 · Which metric sees which error? (16 minutes)
#
# Four ways to be wrong about one section, made from the label by hand: everything **shifted** by one pixel; one **gap** in a membrane, through which two cells become one; a **false blob** inside a
# cell; and one **membrane missing** along its whole length. **Predict** which of them the Dice overlap punishes most.

# %%
cells, label = sections[2].cells, truth[2, 0]
rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
border = torch.zeros(256, 256, dtype=torch.bool)
border[1:-1, 1:-1] = (cells[1:-1, 1:-1] != cells[2:, 1:-1]) | (cells[1:-1, 1:-1] != cells[1:-1, 2:])


def neighbours_at(row, column):
    """The cells that meet in the 3 × 3 pixels about a place."""
    return sorted(set(cells[row - 1 : row + 2, column - 1 : column + 2].flatten().tolist()))


area = cells.flatten().bincount()
places = [(row, column) for row, column in border.nonzero().tolist() if len(neighbours_at(row, column)) == 2]
between = {}
for row, column in places:
    between.setdefault(tuple(neighbours_at(row, column)), []).append((row, column))
pair = max((pair for pair in between if len(between[pair]) > 20), key=lambda pair: min(area[list(pair)]).item())
row, column = between[pair][len(between[pair]) // 2]  # halfway along the border of the two largest neighbours

# %%
joined = torch.isin(cells, torch.tensor(pair))
along = torch.zeros_like(label)
for y, x in between[pair]:
    along |= (rows - y) ** 2 + (columns - x) ** 2 <= 6**2
inside = ~label & (cells == pair[0])
centre_row, centre_column = ((index * inside).sum() // inside.sum() for index in (rows, columns))
wrong = {
    "shifted by 1 pixel": torch.cat([label[:1], label[:-1]]),
    "one gap": label & ~((rows - row) ** 2 + (columns - column) ** 2 <= 5**2),
    "a false blob": label | ((rows - centre_row) ** 2 + (columns - centre_column) ** 2 <= 5**2),
    "a membrane missing": label & ~(along & joined),
}
show_images(
    {name: overlay(image[2], mask, label) for name, mask in wrong.items()},
    alt="The same membranes four times: with thin orange and blue rims everywhere; with one small orange gap; with one blue disc inside a cell; with one membrane orange along its whole length.",
    columns=4,
    width=2.2,
)

# %% [markdown]
# Six measures, four of them from deck 001. **Volume similarity** compares sizes only. The **Hausdorff distance** is the largest distance from one outline to the other; its **95 % form** leaves out the worst
# twentieth; the **average surface distance** (ASD) is the mean. The **Rand error** comes from the challenge: it compares *which pixels lie in one cell*, and so what is joined and what is parted.

# %%
measures = {
    "Dice": metrics.dice,
    "volume similarity": metrics.volume_similarity,
    "Hausdorff, pixels": metrics.hausdorff,
    "its 95 % form": lambda a, b: metrics.hausdorff(a, b, percentile=95.0),
    "ASD, pixels": metrics.average_surface_distance,
    "Rand error": metrics.rand_error,
}
table = {
    name: {what: measure(mask[None, None], label[None, None]).item() for what, measure in measures.items()}
    for name, mask in wrong.items()
}
print(f"{'':<20}" + "".join(f"{what:>19}" for what in measures))
for name, row_of in table.items():
    print(f"{name:<20}" + "".join(f"  ≈ {value:>15.3f}" for value in row_of.values()))

# %%
shift, gap, blob, missing = table.values()
claim("Dice sees a shift most: below the gap's by", gap["Dice"] - shift["Dice"], at_least=0.1)
claim("Dice with one gap", gap["Dice"], at_least=0.99)
claim("Rand error: one gap over the shift, times", gap["Rand error"] / shift["Rand error"], at_least=2)
claim("volume similarity of the shift", shift["volume similarity"], at_least=0.99)
claim("Hausdorff: the false blob over the shift, times", blob["Hausdorff, pixels"] / shift["Hausdorff, pixels"], at_least=4)
disc = ((torch.arange(64)[:, None] - 32) ** 2 + (torch.arange(64) - 30) ** 2 <= 100)[None, None]
claim("Hausdorff: a disc moved by 3 pixels", metrics.hausdorff(disc, disc.roll(3, -1)).item(), at_least=3, at_most=3, source="deck 001")
claim("its 95 % form: the false blob, pixels", blob["its 95 % form"], at_most=2)

# %% [markdown]
# There is no best metric. Who counts cells reports the Rand error: a gap of eleven pixels is as bad as a whole membrane missing, and the Dice overlap sees neither. Who plans a radiation reports
# distances. And a number of pixels hides a small object beside a large one.
#
# What do the networks' own errors look like? In Dice, U-Net and FCN with skips were less than a point apart. **Predict** how far they are in the Rand error.

# %%
rand = {name: metrics.rand_error(p > 0.5, truth).mean().item() for name, p in probability.items()}
rand["threshold"] = metrics.rand_error(found, truth).mean().item()
for name in ("threshold", "coarse_fcn", "fcn", "unet"):
    print(f"{display.METHODS[name].label:<20} Dice ≈ {score[name]:.3f}, Rand error ≈ {rand[name]:.3f}")
claim("Rand error: FCN with skips over U-Net, times", rand["fcn"] / rand["unet"], at_least=1.3)

# %% [markdown]
# The U-Net joins and parts half as many pairs of pixels wrongly. Both masks were cut at a probability of ½. Is that the best place?

# %%
steps = [t / 20 for t in range(2, 20)]
by_threshold = {
    "Dice": [metrics.dice(probability["unet"] > t, truth).mean().item() for t in steps],
    "1 − Rand error": [1 - metrics.rand_error(probability["unet"] > t, truth).mean().item() for t in steps],
}
figure, ax = plt.subplots(figsize=(6, 3))
best = {}
for (name, values), marker in zip(by_threshold.items(), "os", strict=True):
    best[name] = steps[values.index(max(values))]
    ax.plot(steps, values, marker=marker, label=f"{name}, best at {best[name]:.2f}")
ax.set(xlabel="threshold on the probability", ylabel="mean over six sections", title="The best overlap is not the best topology")
ax.legend(loc="lower center")
show_figure(figure, "Dice and one minus the Rand error against the threshold: both curves are hills, and the Rand error's top lies at a higher threshold than Dice's.")
claim("best threshold for the Rand error minus best for Dice", best["1 − Rand error"] - best["Dice"], at_least=0.05)

# %% [markdown]
# A low threshold makes membranes thick until they swallow small cells, a high one opens gaps. Two sliders: the **threshold**, and the **elastic strength** of section 5, here applied to a section that the network
# then segments. **Predict:** at which strength does the tissue stop looking like tissue, and does the U-Net mind?

# %%
STRENGTHS = tuple(range(0, 31, 3))
piece = (Ellipsis, slice(32, 224), slice(32, 224))
net_of_lines = torch.zeros(256, 256)
net_of_lines[::24], net_of_lines[:, ::24] = 1, 1


@cache
def bent_section(strength):
    """A bent section, with lines drawn on it for the eye; its label; and what the U-Net finds without the lines."""
    picture, mask = bent(image[0, 0], truth[0, 0].float(), float(strength))
    lines = bent(net_of_lines, truth[0, 0].float(), float(strength))[0]
    p = networks.segment(trained["unet"], picture[None])
    return (0.7 * picture + 0.3 * lines)[piece][0], mask[None][piece] > 0.5, p[piece]


# %%
play_figure, axes = plt.subplots(1, 2, figsize=(7, 3.75))
panels = [ax.imshow(display.as_picture(v), vmin=0, vmax=1) for ax, v in zip(axes, (seen[piece], overlay(seen, seen, seen)[piece]), strict=True)]
for ax in axes:
    ax.set_axis_off()


def draw(strength, threshold):
    picture, mask, p = bent_section(strength)
    found_here = p > threshold
    dice, error = metrics.dice(found_here, mask).item(), metrics.rand_error(found_here, mask).item()
    panels[0].set_data(picture)
    panels[1].set_data(display.as_picture(overlay(picture, found_here[0], mask[0])))
    axes[0].set_title(f"bent by up to {strength} pixels")
    axes[1].set_title(f"p > {threshold:.2f}: Dice {dice:.3f}, Rand error {error:.3f}")
    return f"A section bent by up to {strength} pixels, and what the U-Net finds in it at the threshold {threshold:.2f}: Dice ≈ {dice:.3f}, Rand error ≈ {error:.3f}."


show_figure(play_figure, draw(9, 0.5), photographic=True)

# %% tags=["nbval-ignore-output"]
from ipywidgets import FloatSlider, SelectionSlider

for strength in STRENGTHS:
    bent_section(strength)  # now, so that the slider only shows
player = play(
    play_figure,
    draw,
    strength=SelectionSlider(options=STRENGTHS, value=9, description="elastic strength"),
    threshold=FloatSlider(0.5, min=0.05, max=0.95, step=0.05, description="threshold"),
)

# %% [markdown]
# ## 8 · Where it breaks: another stain (8 minutes)
#
# The network has seen sections of one laboratory. Another one stains more weakly. **Predict** the Dice overlap if the contrast falls to a fifth, and if only the brightness changes.

# %%
changes = {
    "as trained": image,
    "brighter": (image + 0.25).clamp(0, 1),
    "a fifth of the contrast": 0.55 + (image - 0.55) / 5,
    "inverted": 1 - image,
}
shifted = {name: networks.segment(trained["unet"], x) for name, x in changes.items()}
drop = {name: metrics.dice(p > 0.5, truth).mean().item() for name, p in shifted.items()}
sure = {name: ((p < 0.1) | (p > 0.9)).float().mean().item() for name, p in shifted.items()}
for name in changes:
    print(f"{name:<24} Dice ≈ {drop[name]:.3f}, share of pixels it is sure about ≈ {sure[name]:.2f}")
show_images(
    {name: overlay(changes[name][3], p[3] > 0.5, truth[3]) for name, p in shifted.items()},
    alt="Found membranes under four contrasts: thin white lines as trained; with much lower contrast and with inverted grey values large parts orange or blue.",
    columns=4,
    width=2.2,
)
claim("Dice lost with a brighter image", drop["as trained"] - drop["brighter"], at_most=0.1)
claim("Dice lost with a fifth of the contrast", drop["as trained"] - drop["a fifth of the contrast"], at_least=0.2)
claim("Dice lost when inverted", drop["as trained"] - drop["inverted"], at_least=0.3)
claim("inverted: share of pixels that it is sure about all the same", sure["inverted"], at_least=0.3)

# %% [markdown]
# Brightness was augmented, so it does no harm. With little contrast the network is at least unsure, and that can be seen. Inverted, it is sure of most pixels, and wrong: it does not say that it
# is lost. **How to tell:** compare the histogram of new images with the training images', look at a few results before
# the thousandth, label one image of the new laboratory. Cures: augment by the changes that will come (next section), or normalise the images.
#
# ## 9 · Brains, and three dimensions (15 minutes)
#
# Grey and white matter in T1-weighted MRI, the skull removed: three classes, so three outputs and a softmax. The subjects are smooth deformations of one average anatomy, whose tissue maps are deformed with it
# (`help(data.brain_tissue)`): **unseen deformations, no other people**. The test subjects come from *other scanners*: another contrast, and noise. In training, `BRAINS` augmented just that: gamma, contrast, noise.

# %%
heights = recipes.HEIGHTS_MM
subjects = [data.brain_tissue("test", index, heights, other_scanner=True) for index in range(3)]
brain = subjects[0]
close = (Ellipsis, recipes.HEAD, recipes.HEAD)  # without the air around it
show_images(
    {
        "subject 1": brain.image[18][close],
        "its tissue": brain.labels[18][close] / 2,
        "subject 2, another scanner": subjects[1].image[18][close],
        "subject 3, another one": subjects[2].image[18][close],
    },
    alt="An axial slice of a brain without its skull; its tissue, grey matter in grey and white matter in white; and two other brains with more noise and another contrast.",
    columns=4,
    width=2.2,
)

# %% [markdown]
# A 2-D U-Net sees one slice at a time. Two ways lead into the third dimension. A **V-Net** (Milletari and others 2016) is a U-Net of volumes with residual blocks, learned from scratch. Or the 2-D network is
# **inflated** (Carreira and Zisserman 2017): each kernel of its finest level gets a slice above and one below, filled with zeros. So it begins as the 2-D network, exactly, and learns for 240 more steps what the neighbours add.

# %%
brain_networks = {
    "unet": networks.load_weights(networks.UNet(1, 3, 16, 3, batch_norm=True), "unet_brain"),
    "vnet": networks.load_weights(networks.VNet(1, 3, 16, 2), "vnet_brain"),
}
beginning = networks.InflatedUNet(brain_networks["unet"]).eval()
few_slices = brain.image[:8]
as_volume = networks.segment(beginning, few_slices.transpose(0, 1)[None])[0].transpose(0, 1)
by_slice = networks.segment(brain_networks["unet"], few_slices)
claim("inflated, before it learned: largest difference from 2-D", (as_volume - by_slice).abs().max().item(), at_most=1e-4)
brain_networks["inflated"] = networks.load_weights(beginning, "inflated_brain")
for name, network in brain_networks.items():
    print(f"{display.METHODS[name].label:<15}{sum(q.numel() for q in network.parameters()):>8,} parameters")

# %% [markdown]
# **Predict** the order of the three. The images are noisy, and the noise of one slice says nothing about the next.

# %%
maps = {name: [recipes.tissue_labels(network, s.image) for s in subjects] for name, network in brain_networks.items()}
tissue = {}
for name, volumes in maps.items():
    rows_of = [recipes.tissue_dice(volume, s.labels) for volume, s in zip(volumes, subjects, strict=True)]
    tissue[name] = {kind: sum(r[kind] for r in rows_of) / len(rows_of) for kind in ("grey", "white")}
    print(f"{display.METHODS[name].label:<15} Dice: grey matter ≈ {tissue[name]['grey']:.3f}, white matter ≈ {tissue[name]['white']:.3f}")
mean_dice = {name: (found["grey"] + found["white"]) / 2 for name, found in tissue.items()}
claim("2-D U-Net: mean Dice on unseen subjects and scanners", mean_dice["unet"], at_least=0.9)
claim("V-Net, from scratch: the same", mean_dice["vnet"], at_least=0.9, source="deck 002")
claim("inflated U-Net over the 2-D one", mean_dice["inflated"] - mean_dice["unet"], at_least=0)
claim("V-Net behind the 2-D U-Net", mean_dice["unet"] - mean_dice["vnet"], at_most=0.03)

# %% [markdown]
# The third dimension helps whom it costs nothing to begin with. From scratch, the V-Net is about a point *behind* the 2-D network, although its 800 steps showed it four times as many slices: it has the neighbours, and more to learn from
# the same number of steps. That is this budget's answer, not the V-Net's last word; "3-D is better" is no law.

# %%
cut = (slice(None), recipes.HEAD, 56)  # all heights, front to back, one column
cuts = {"image": brain.image[:, 0][cut], "truth": brain.labels[cut] / 2} | {
    f"{display.METHODS[name].label}": volumes[0][cut] / 2 for name, volumes in maps.items()
}
show_images(
    {name: picture.flip(0) for name, picture in cuts.items()},
    alt="A cut from front to back through the brain: image, true tissue, and three results; the 2-D network's borders jump most from slice to slice.",
    columns=2,
    width=3.6,
)

# %% [markdown]
# A cut across the slices shows what a 2-D network cannot know: how its slices fit together. Measured in **millimetres**, which need the size of a voxel, here 2 mm a side:

# %%
white = {name: volumes[0][None, None] == 2 for name, volumes in maps.items()}
true_white = brain.labels[None, None] == 2
for name, mask in white.items():
    far = metrics.hausdorff(mask, true_white, spacing=(2, 2, 2), percentile=95.0).item()
    near = metrics.average_surface_distance(mask, true_white, spacing=(2, 2, 2)).item()
    print(f"{display.METHODS[name].label:<15} white matter, subject 1: Hausdorff 95 % ≈ {far:.2f} mm, average surface distance ≈ {near:.2f} mm")
    claim(f"{display.METHODS[name].label}: average surface distance in mm", near, at_most=1.5)


def jumps(volume):
    """How much of the brain changes its label from one slice to the next."""
    return (volume[1:] != volume[:-1]).float().mean().item()


for name, volumes in maps.items():
    print(f"{display.METHODS[name].label:<15} labels that change between slices, over the truth's: ≈ {jumps(volumes[0]) / jumps(brain.labels):.2f}")

# %% [markdown]
# Three dimensions average the noise of neighbouring slices. They cost memory and time, need volumes to learn from, and lose their edge where slices are thick: then the neighbour shows another place.
#
# And the limits of this section: one average anatomy, labels that fit exactly, no lesion. Synthetic subjects say how methods compare, and nothing about patients.
#
# ## Recap
#
# - Windows and one dense pass give the same numbers; pooling at every place and dilation make them so.
# - Pooling sees far and coarsely; skips bring the place back. A U-Net hands over whole feature maps.
# - Few labels: bend, turn and brighten image and label together, as far as it could really happen. Hold out whole images first.
# - Dice losses for what is rare; check a printed gradient before you use it.
# - Every metric is blind to something: overlap to gaps, distances to sizes, Rand to thickness.
# - A network may be sure and wrong when the stain has changed. It is you who has to notice.
#
# **To read.** Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical image segmentation" (2015). Taha and Hanbury, "Metrics for evaluating 3D medical image segmentation" (2015).
# Maier-Hein and others, "Metrics reloaded: recommendations for image analysis validation" (2024).
#
# **Open question.** Could a network be trained for the Rand error? It is not smooth: a pixel decides. What could stand in for it?
