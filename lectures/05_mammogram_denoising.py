# ---
# jupyter:
#   course:
#     title: "Mammogram denoising: dose, dilation, and whether the calcifications are still there"
#     level: intermediate
#     minutes: 80
#     needs: "module 01; what a convolution and a ReLU do"
# ---

# %% [markdown]
# # Mammogram denoising: dose, dilation, and whether the calcifications are still there
#
# {{header}}
#
# In this notebook you will
#
# - count photons, and see why a dense breast is a noisy one,
# - make the noise equal everywhere by a square root, and come back from it without a bias,
# - train a residual CNN, and let it see further by dilation without a single parameter more,
# - compare what four losses make of the same network, and metrics that disagree with the eye,
# - learn without any clean image, by Stein's estimate of the error,
# - and ask a radiologist's question, which no PSNR answers: is the cluster of calcifications still visible?
#
# The material is in deck 001, whose lab is this one. Notation as in modules 01 and 04: image $x$, measurement $y$, noise level $\sigma$, denoiser $f$.

# %%
import math
from functools import cache, partial

import matplotlib.pyplot as plt
import torch

from course_lib import classical, data, display, metrics, networks, physics, training
from course_lib.display import claim, play, show_figure, show_images
from course_lib.training.losses import mc_sure
from course_lib.training.recipes import mammogram_denoising

# %% [markdown]
# ## 1 · A question (5 minutes)
#
# A breast lies between two plates; X-rays pass through it from above. The image shows how much of them the tissue takes: the **attenuation**, 0 for air. The
# breasts here are made by a generator: outline, compressed thickness, texture, masses and microcalcifications as the literature describes them
# (`help(data.mammograms)`). **Microcalcifications** are grains of calcium a quarter of a millimetre wide. In clusters they can be the first sign of a
# cancer. Here is one cluster at the usual dose, and at a 64th of it.

# %%
breast = data.mammogram("test", 3)
dose = {part: physics.USUAL_DOSE / part for part in (1, 16, 64, 256)}


def counts_of(image, part, seed=0):
    """What the detector reads at a part of the usual dose."""
    return physics.xray_counts(image, dose[part], torch.Generator().manual_seed(1000 * part + seed))


noisy = {part: physics.attenuation_image(counts_of(breast.image, part), dose[part]) for part in dose}
cluster = (Ellipsis, slice(280, 376), slice(136, 232))
show_images(
    {
        "a breast, usual dose": noisy[1],
        "a cluster, usual dose": noisy[1][cluster],
        "at 1/64 of it": noisy[64][cluster],
    },
    alt="A breast from above, its chest wall on the left; a cluster of small bright dots in it, sharp; and the same under grain, where only the "
    "larger dots stand out.",
    limits=(0.2, 0.9),
    columns=3,
    width=3,
)

# %% [markdown]
# **Predict:** how many dots do you count in the noisy one? A good denoiser will gain about 10 dB of PSNR. How many will you count *then*?

# %%
my_counts = {"noisy": 6, "denoised": 9}  # your guess

# %% [markdown]
# ## 2 · Photons (8 minutes)
#
# A detector counts photons. How many arrive in one pixel is chance: a **Poisson** number, whose variance equals its mean. The mean falls with the
# attenuation, $\lambda = \text{dose} \cdot e^{-3x}$ (Beer and Lambert's law; our scale is such that $x = 1$ lets 5 % through). Electronics adds Gaussian
# noise of some $\sigma_e = 4$ photons. First the counts themselves: three tissues, ten thousand pixels each.

# %%
tissues = {"fat": 0.4, "gland": 0.65, "calcified": 0.9}
spread = {}
for name, x in tissues.items():
    flat = torch.full((1, 1, 100, 100), x)
    counts = physics.xray_counts(flat, dose[64], torch.Generator().manual_seed(1), electronic_noise=0.0)
    spread[name] = counts.var().item() / counts.mean().item()
    print(f"{name:<10} x = {x}: mean count ≈ {counts.mean():.0f}, variance ≈ {counts.var():.0f}")
claim("variance of the counts over their mean, largest", max(spread.values()), at_most=1.1)
claim("the smallest", min(spread.values()), at_least=0.9)

# %% [markdown]
# We look at $-\ln(\text{counts}/\text{dose})/3$: where there was no noise, that is $x$ again. The logarithm has the slope $1/\lambda$, so the noise of the
# *image* is $\sqrt\lambda/(3\lambda) = 1/(3\sqrt\lambda)$. **Predict:** is it larger in fat or in gland? And what does a quarter of the dose do to it?

# %%
measured, predicted = {}, {}
for part in (16, 64):
    for name, x in tissues.items():
        flat = torch.full((1, 1, 100, 100), x)
        image = physics.attenuation_image(counts_of(flat, part), dose[part])
        measured[part, name] = image.std().item()
        lam = dose[part] * math.exp(-3 * x)
        predicted[part, name] = math.sqrt(lam + 4**2) / (3 * lam)
        print(f"dose 1/{part}, {name:<10} noise ≈ {measured[part, name]:.4f}")
worst = max(abs(measured[key] / predicted[key] - 1) for key in measured)
claim("formula to measured noise, relative", worst, at_most=0.1)
claim("noise in gland over noise in fat", measured[64, "gland"] / measured[64, "fat"], at_least=1.3)
claim("a quarter of the dose: noise in fat", measured[64, "fat"] / measured[16, "fat"], at_least=1.8)

# %% [markdown]
# The denser the tissue, the fewer photons and the more noise: the breasts in which a tumour is hardest to see are also the noisiest.
#
# ## 3 · Equal noise everywhere: Anscombe's root (8 minutes)
#
# Most denoisers want white Gaussian noise of one known level. The root provides it: if $y$ is Poisson, $2\sqrt{y + 3/8}$ has the variance 1, nearly,
# whatever the mean, from some photons on (Anscombe 1948); with electronic noise, $2\sqrt{y + 3/8 + \sigma_e^2}$. Divided by $2\sqrt{\text{dose}}$, air is 1 and the noise has the
# level $\sigma = 1/(2\sqrt{\text{dose}})$ in every pixel.

# %%
y = counts_of(breast.image, 64)
by_hand = 2 * (y + 3 / 8 + 4**2).clamp(min=0).sqrt()
claim("Anscombe by hand to the library's", (by_hand - classical.anscombe(y, 4.0)).abs().max().item(), at_most=1e-4)

mean_counts = torch.logspace(0, 4, 30)
sample = torch.poisson(mean_counts.expand(20000, -1), generator=torch.Generator().manual_seed(2))
figure, ax = plt.subplots(figsize=(6, 3))
ax.loglog(mean_counts, sample.var(0), marker="o", label="counts")
ax.loglog(mean_counts, classical.anscombe(sample).var(0), marker="s", label="2√(counts + 3/8)")
ax.set(xlabel="mean count", ylabel="variance", title="The root makes the variance 1, from some 4 photons on")
ax.legend(loc="upper left")
show_figure(
    figure,
    "Variance against the mean count: of counts a straight rising line; of their roots a flat line at one, lower below four photons.",
)

# %% [markdown]
# The way back has a trap. A denoiser finds the *mean* of the roots; squaring it gives less than the mean of the counts, because a root is bent. The **exact
# unbiased inverse** (Mäkitalo and Foi 2011) looks up which mean count leads to the mean root that was found.

# %%
mean_root = classical.anscombe(sample).mean(0)
algebraic = mean_root.square() / 4 - 3 / 8
unbiased = classical.inverse_anscombe(mean_root)
for k in (5, 15):
    print(
        f"{mean_counts[k]:.1f} photons: algebraic inverse ≈ {algebraic[k]:.2f}, unbiased ≈ {unbiased[k]:.2f}"
    )
many = mean_counts > 10
claim("algebraic inverse: photons too few, on average", (mean_counts - algebraic)[many].mean().item(), at_least=0.1)
claim(
    "unbiased inverse: largest error over its standard error",
    ((unbiased - mean_counts).abs() / (mean_counts / 20000).sqrt()).max().item(),
    at_most=4,
)

# %% [markdown]
# At 3 photons a quarter of one matters; at 3000 it does not. From here on a *denoiser* gets stabilised images and $\sigma$, and `classical.denoise_counts`
# does what lies around it: root, denoiser, unbiased inverse, logarithm.
#
# ## 4 · What there was before (8 minutes)
#
# **Predict** which of module 01's and 04's methods is hard to beat here. The texture of a breast is nearly a Gaussian random field whose power falls as
# $1/\text{frequency}^3$ (Burgess 1999). For a Gaussian field of known spectrum in white Gaussian noise no estimator at all has a smaller squared error than
# the **Wiener filter**. Its spectrum is the mean over twelve training breasts.

# %%
training_breasts = [data.mammogram("train", index) for index in range(12)]
inside = torch.cat([m.image[..., 128:384, 32:288] for m in training_breasts])
spectrum = classical.power_spectrum(data.with_symmetries(physics.transmission(inside).sqrt()))
frequency, power = classical.radial_profile(spectrum)
middle_part = (frequency > 0.03) & (frequency < 0.3)
lx, ly = frequency[middle_part].log(), power[middle_part].log()
slope = (((lx - lx.mean()) * (ly - ly.mean())).sum() / (lx - lx.mean()).square().sum()).item()

figure, ax = plt.subplots(figsize=(6, 3.2))
ax.loglog(frequency / 0.2, power, label="breasts")
for part in (16, 64, 256):
    ax.axhline(256**2 / (4 * dose[part]), color="0.6", lw=0.8)
    ax.text(0.03, 256**2 / (4 * dose[part]) * 1.15, f"noise, dose 1/{part}", fontsize=8)
ax.set(xlabel="cycles a millimetre", ylabel="power", title="Texture falls as 1/frequency³, noise is flat")
show_figure(
    figure,
    "Power against frequency, both axes logarithmic: a straight falling line for the texture, and flat lines for the noise at three doses, "
    "higher for lower doses.",
)
claim("exponent of the power law", -slope, at_least=2.6, at_most=3.4, source="Burgess 1999")

# %% [markdown]
# The line is nearly straight over one and a half decades. Where it crosses a noise level, the Wiener filter keeps half; of finer details, to the right of it, less and less.
#
# Breasts are no perfect Gaussian field, though: there are strands, lesions and an outline. **Non-local means** (NLM) averages what looks alike, once on
# the image with its uneven noise, once on stabilised counts; its strength is the best of five on three training breasts. We look at six test breasts, in a
# window of 51 × 61 mm that holds all of their calcifications and a piece of the outline.


# %%
def window(m):
    """Rows 128 to 383 and columns 32 to 335 of a breast."""
    here = (Ellipsis, slice(128, 384), slice(32, 336))
    corner = torch.tensor([128.0, 32.0, 0.0])
    return data.Mammogram(m.image[here], m.breast[here], m.parenchyma[here], m.masses - corner, m.calcifications - corner)


def near(m, spots, reach):
    """Pixels within reach of a lesion."""
    found = torch.zeros_like(m.breast)
    for row, column, _ in spots.tolist():
        found |= metrics.disc(m.image, row, column, reach)
    return found


breasts = [window(data.mammogram("test", index)) for index in range(6)]
places = {
    "parenchyma": [m.parenchyma for m in breasts],
    "calcifications": [near(m, m.calcifications, 5) for m in breasts],
    "outline": [m.breast & ~m.parenchyma & ~near(m, torch.cat([m.calcifications, m.masses]), 40) for m in breasts],
}
print(sum(len(m.calcifications) for m in breasts), "calcifications in", len(breasts), "breasts")

# %% [markdown]
# The error will be counted in three places: inside the **parenchyma** (full thickness, no lesion), within 5 pixels of the **calcifications**, and along the
# **outline**, where the breast gets thin. Four methods to begin with; each takes counts and a dose, and returns an attenuation image.


# %%
def stabilised(denoise):
    return lambda counts, dose: classical.denoise_counts(counts, dose, denoise)


def nlm_on_the_image(counts, dose):
    image = physics.attenuation_image(counts, dose)
    sigma = physics.attenuation_noise(image.clamp(0, 1), dose).mean().item()
    return classical.non_local_means(image, sigma, strength=0.6)


methods = {
    "noisy": physics.attenuation_image,
    "wiener": stabilised(lambda y, sigma: classical.wiener_denoise(y, spectrum, sigma)),
    "nlm": nlm_on_the_image,
    "anscombe_nlm": stabilised(lambda y, sigma: classical.non_local_means(y, sigma, strength=0.6)),
}


@cache
def estimates(name, part):
    """The images of all breasts by one method at a part of the usual dose."""
    return [methods[name](counts_of(m.image, part, seed), dose[part]) for seed, m in enumerate(breasts)]


# %% [markdown]
# PSNR counts the pixels of one kind of place in each breast, and is then averaged over the breasts. **Predict:** which of the three places will gain least?

# %%
looks = display.METHODS


def decibels(name, part, place):
    """PSNR of the pixels of one kind of place, the mean over the breasts."""
    errors = [(e - m.image)[0, 0][p] for e, m, p in zip(estimates(name, part), breasts, places[place], strict=True)]
    return torch.stack([-10 * torch.log10(error.square().mean()) for error in errors]).mean().item()


def print_table(names):
    for part in (16, 64):
        print(f"dose 1/{part}, PSNR in dB")
        for name in names:
            row = ", ".join(f"{place} ≈ {decibels(name, part, place):.1f}" for place in places)
            print(f"    {looks[name].label:<28}{row}")


print_table(methods)

# %% [markdown]
# The same numbers as a picture, where an order is easier to see.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.2), sharey=True)
for ax, part in zip(axes, (16, 64), strict=True):
    for k, name in enumerate(methods):
        values = [decibels(name, part, place) for place in places]
        ax.plot([j + 0.12 * (k - 1.5) for j in range(3)], values, **display.method_style(name) | {"linestyle": ""}, ms=7)
    ax.set_xticks(range(3), places)
    ax.set_title(f"dose 1/{part}")
axes[0].set_ylabel("PSNR (dB)")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
show_figure(
    figure,
    "PSNR at three places and two doses: in the parenchyma every method is far above the noisy image, the Wiener filter first; at the "
    "calcifications all gain less.",
)

# %%
for part in (16, 64):
    wiener, nlm, anscombe_nlm = (decibels(name, part, "parenchyma") for name in ("wiener", "nlm", "anscombe_nlm"))
    claim(f"dose 1/{part}, parenchyma: Wiener over noisy", wiener - decibels("noisy", part, "parenchyma"), at_least=3, unit="dB")
    claim(f"dose 1/{part}, parenchyma: Wiener over the better NLM", wiener - max(nlm, anscombe_nlm), at_least=0, unit="dB")
    claim(f"dose 1/{part}, parenchyma: NLM, gain by Anscombe", anscombe_nlm - nlm, at_least=0.2, unit="dB")

# %% [markdown]
# Near the calcifications the order turns round: there NLM is ahead of the Wiener filter, for a calcification is no Gaussian texture, and the filter smears it like
# everything else of its size. Keep that in mind: most pixels are parenchyma, so a PSNR of the whole image would not have shown it.
#
# ## 5 · Estimate the noise, not the image (6 minutes)
#
# Now networks. A **residual** network estimates the noise and takes it away, $f(y) = y - \text{CNN}(y)$; a **direct** one gives the image itself,
# $f(y) = \text{CNN}(y)$. Deck 001 reports residual learning on X-rays (Sori et al. 2017), beside BM3D, DnCNN (residual as well) and an autoencoder; residual
# against direct, all else equal, is our comparison. Both are told $\sigma$, and count in units of it, so that noise looks
# the same to them at every dose. Two tiny networks, the same patches in the same order, 120 steps from scratch. The loss is the squared error over $\sigma$; for
# the noisy image as it is, that is $\sigma$ itself. **Predict** what each gives at its first step, and which is ahead after 120.

# %%
pool = [(m.image[0], m.calcifications[:, :2].round().int()) for m in training_breasts]
check = torch.cat([m.image for m in breasts[:2]])
shipped_recipe = training.find_recipe("mammogram_dilated")  # its patches, doses and loss


def tiny_recipe(residual):
    return training.Recipe(
        name="tiny_residual" if residual else "tiny_direct",
        network=lambda: networks.DilatedCNN((1, 1, 1, 1), width=16, residual=residual),
        batch=partial(mammogram_denoising.batch, lambda: pool),
        loss=shipped_recipe.loss,
        validate=partial(mammogram_denoising.validate, lambda: check),
        steps=120,
        batch_size=4,
        learning_rate=2e-3,
        warm_up=30,
    )


tiny = {"residual": training.train(tiny_recipe(True)), "direct": training.train(tiny_recipe(False))}
unchanged = mammogram_denoising.batch(lambda: pool, torch.Generator().manual_seed(4), 100).sigma.mean().item()

# %%
figure, ax = plt.subplots(figsize=(6, 3))
for name, run in tiny.items():
    ax.semilogy(range(1, 121), run.history.losses, label=name)
ax.axhline(unchanged, color="0.6", lw=0.8, label="the noisy image as it is")
ax.set(xlabel="step", ylabel="squared error / σ", title="The residual network begins near the noisy image")
ax.legend(loc="upper right")
show_figure(
    figure,
    "Loss against step, logarithmic: the direct network falls from far above and stays above the residual one, which begins near the "
    "loss of the noisy image and soon falls below it.",
)
for name, run in tiny.items():
    print(f"{name:<10}" + ", ".join(f"dose 1/{part} ≈ {run.metrics[f'psnr_{part}']:.1f} dB" for part in (16, 64, 256)))
for part in (16, 64):
    difference = tiny["residual"].metrics[f"psnr_{part}"] - tiny["direct"].metrics[f"psnr_{part}"]
    claim(f"120 steps, dose 1/{part}: residual over direct", difference, at_least=3, unit="dB")

# %% [markdown]
# The residual network begins with $\text{CNN} \approx 0$, that is near $f(y) = y$. The direct one must first learn to copy, and a copy with an error of 1 % is
# already as bad as the noise. The advantage is one of *speed at this budget*: it says nothing about who would win after a week.
#
# ## 6 · See further with the same weights (9 minutes)
#
# A 3×3 convolution sees one pixel further on each side. With **dilation** $d$ its nine weights stand $d$ pixels apart: it sees $d$ further and has no weight
# more. After layers with kernel sides $k_i$ the **receptive field**, the square a pixel depends on, has the side $1 + \sum_i d_i (k_i - 1)$. Our two networks
# have four layers: plain, and with $d = 1, 2, 3, 1$. **Predict** both sides.

# %%
plain = networks.load_weights(networks.DilatedCNN((1, 1, 1, 1)), "mammogram_plain")
dilated = networks.load_weights(networks.DilatedCNN((1, 2, 3, 1)), "mammogram_dilated")
gaps = networks.DilatedCNN((3, 3, 3, 3))  # untrained


def gradient_support(network, side=31):
    """How much the middle pixel's estimate depends on each pixel, summed over a few inputs."""
    inputs = torch.rand(16, 1, side, side, generator=torch.Generator().manual_seed(5)).requires_grad_(True)
    (slopes,) = torch.autograd.grad(network(inputs, 0.1)[..., side // 2, side // 2].sum(), inputs)
    return slopes.abs().sum(dim=(0, 1))


seen_by = {"plain": plain, "dilated": dilated, "only d = 3": gaps}
slopes = {name: gradient_support(network) for name, network in seen_by.items()}

# %% [markdown]
# The support is where the gradient is not zero; its side is compared with the formula.

# %%
for name, network in seen_by.items():
    formula = 1 + sum(d * (3 - 1) for d in network.dilations)
    columns = slopes[name].amax(0).nonzero()
    side = int(columns.max() - columns.min() + 1)
    count = sum(p.numel() for p in network.parameters())
    print(f"{name:<12}{count:>7,} parameters, formula {formula}, support of the gradient {side}")
    claim(f"{name}: support minus formula", side - formula, at_least=0, at_most=0, unit="pixels")
parameters = [sum(p.numel() for p in network.parameters()) for network in (plain, dilated)]
claim("parameters: dilated minus plain", parameters[1] - parameters[0], at_least=0, at_most=0)

# %%
show_images(
    {name: torch.log10(s / s.max() + 1e-6) for name, s in slopes.items()},
    alt="Three squares on black: a small one for the plain network, a wider one for the dilated network without gaps, and for "
    "dilation three alone a still wider grid of single dots.",
    limits=(-6, 0),
    columns=3,
    width=2.6,
)
filled = {name: (s > 0).float().sum().item() for name, s in slopes.items()}
claim("dilated: share of its 15 × 15 square that is seen", filled["dilated"] / 15**2, at_least=0.99)
claim("only d = 3: share of its 25 × 25 square", filled["only d = 3"] / 25**2, at_most=0.15)

# %% [markdown]
# Shown is the logarithm of the gradient, over six decades. The formula says what a network *can* see; how much it *uses* is another matter, for the gradient falls
# towards the rim. And dilation alone leaves gaps: with $d = 3$ in every layer, only each third pixel counts. Mixing $d$ fills them.
#
# Is it of use? Deck 001 names dilated filters for its lab and gives no number. Both had the same patches and the same number of steps, three times from three seeds. **Predict** at which dose seeing further helps most, and
# whether it helps at all where the noise is weak.

# %%
wide = (16, 64, 256, 1024)  # parts of the dose
dose[1024] = physics.USUAL_DOSE / 1024
shapes = {"plain": (1, 1, 1, 1), "dilated": (1, 2, 3, 1)}
gain = {part: [] for part in wide}
for seed in ("", "_1", "_2"):
    pair = {name: networks.load_weights(networks.DilatedCNN(d), f"mammogram_{name}{seed}") for name, d in shapes.items()}
    for part in wide:
        mse = {}
        for name, network in pair.items():
            denoise = stabilised(partial(networks.denoise, network))
            errors = [(denoise(counts_of(m.image, part), dose[part]) - m.image).square().mean() for m in breasts[:2]]
            mse[name] = torch.stack(errors).log10().mean()
        gain[part].append(10 * (mse["plain"] - mse["dilated"]).item())
for part in wide:
    print(f"dose 1/{part:<5} dilated over plain ≈ {sum(gain[part]) / 3:+.2f} dB, seeds ≈ {min(gain[part]):+.2f} to ≈ {max(gain[part]):+.2f}")
claim("dose 1/1024: dilated over plain, mean of three seeds", sum(gain[1024]) / 3, at_least=0.2, unit="dB")

# %% [markdown]
# A wide view is worth what there is to average: where the noise is strong, many pixels must help each other; where it is weak, the nearest ones know enough, and
# plain layers, which look at each of them, are even a little ahead.
#
# And against the filter that is best for a Gaussian field?

# %%
methods["plain"] = stabilised(partial(networks.denoise, plain))
methods["dilated"] = stabilised(partial(networks.denoise, dilated))
print_table(["noisy", "wiener", "anscombe_nlm", "plain", "dilated"])

# %%
for part in (16, 64):
    lead = {place: decibels("dilated", part, place) - decibels("wiener", part, place) for place in places}
    claim(f"dose 1/{part}, parenchyma: dilated over Wiener", lead["parenchyma"], at_least=-0.2, unit="dB")
    claim(f"dose 1/{part}, calcifications: dilated over Wiener", lead["calcifications"], at_least=0, unit="dB")
    claim(f"dose 1/{part}, outline: dilated over Wiener", lead["outline"], at_least=0, unit="dB")

# %% [markdown]
# For a Gaussian field of known spectrum the Wiener filter is the best there can be; yet the network is ahead, even inside the parenchyma. So our breasts are no such
# field: one spectrum stands for all of them and for every place, while fine structure is at the outline, in strands and lesions, and hardly in between; a network can
# tell the one from the other. The counter-check: a field that *is* Gaussian, has exactly this spectrum, and so is equally rough everywhere.

# %%
g = torch.Generator().manual_seed(11)
waves = torch.fft.fft2(torch.randn(8, 1, 256, 256, generator=g))
waves[..., 0, 0] = 256  # the mean is that of the breasts
field = torch.fft.ifft2(waves * spectrum.sqrt() / 256).real
for part in (16, 64):
    sigma = 1 / (2 * math.sqrt(dose[part]))
    y = field + sigma * torch.randn(field.shape, generator=g)
    found_by = {"Wiener": classical.wiener_denoise(y, spectrum, sigma), "dilated": networks.denoise(dilated, y, sigma)}
    quality = {name: metrics.psnr(estimate, field).mean().item() for name, estimate in found_by.items()}
    claim(f"dose 1/{part}, Gaussian field: Wiener over dilated", quality["Wiener"] - quality["dilated"], at_least=3, unit="dB")

# %% [markdown]
# ## 7 · Which loss gives which picture (10 minutes)
#
# The dilated network again, trained with other losses between estimate $\hat x$ and target $x$ (deck 001, after Zhao et al. 2017): the absolute error $\ell_1$,
# the squared error $\ell_2$, and $1 - \text{SSIM}$. **SSIM**, the structural similarity, compares the two images in a small window: with the window's means
# $\mu$, deviations $\tau$ and covariance $\tau_{x\hat x}$,
#
# $$ \text{SSIM} = \underbrace{\frac{2\mu_x\mu_{\hat x} + c_1}{\mu_x^2 + \mu_{\hat x}^2 + c_1}}_{l\text{, brightness}} \cdot
# \underbrace{\frac{2 \tau_x \tau_{\hat x} + c_2}{\tau_x^2 + \tau_{\hat x}^2 + c_2}}_{c\text{, contrast}} \cdot
# \underbrace{\frac{\tau_{x\hat x} + c_3}{\tau_x \tau_{\hat x} + c_3}}_{s\text{, structure}} . $$
#
# With $c_3 = c_2/2$ the last two merge into one fraction. "Mixed" is 0.84 of SSIM on five scales and 0.16 of $\ell_1$.

# %%
x = breasts[3].image[..., 128:256, 88:216].double()  # about a cluster
x_hat = x + 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(6), dtype=x.dtype)
brightness, contrast, structure = metrics.ssim_factors(x_hat, x)
largest = (brightness * contrast * structure - metrics.ssim_map(x_hat, x)).abs().max().item()
claim("l·c·s to the two-factor SSIM, largest difference", largest, at_most=1e-6, source="deck 001")
difference = metrics.ssim_map(x_hat, x).mean() - metrics.ssim(x_hat, x).mean()
claim("its mean to scikit-image's SSIM", abs(difference.item()), at_most=1e-4)

# %% [markdown]
# **Predict:** which of the four losses will win in PSNR? Which in SSIM? EPI is the **edge-preservation index**, the correlation of the two images' Laplacians; **CoC** is the
# coefficient of correlation of the two images themselves; **SNR** is PSNR with the image's own power $\lVert x\rVert^2/N$ in place of the peak 1. All
# are taken over the six windows, at 1/64 of the dose. SSIM's constants $c_1 = 0.01^2$ and $c_2 = 0.03^2$ are made for images that fill the range from 0 to 1; breasts
# do not, so for SSIM, here and in training, they are shown with four times the contrast.

# %%
losses = {"ℓ2": "mammogram_dilated", "ℓ1": "mammogram_l1", "SSIM": "mammogram_ssim", "mixed": "mammogram_mixed"}
by_loss = {name: networks.load_weights(networks.DilatedCNN(), weights) for name, weights in losses.items()}


def with_loss(name):
    denoise = stabilised(partial(networks.denoise, by_loss[name]))
    return [denoise(counts_of(m.image, 64, seed), dose[64]) for seed, m in enumerate(breasts)]


pictures = {name: with_loss(name) for name in losses} | {"noisy": estimates("noisy", 64)}

# %% [markdown]
# And their scores:

# %%
scores = {
    "PSNR": metrics.psnr,
    "SSIM": lambda estimate, target: metrics.ssim(4 * estimate, 4 * target),
    "EPI": metrics.edge_preservation,
    "CoC": metrics.correlation,
    "SNR": metrics.snr,
}
truth = torch.cat([m.image for m in breasts])
table = {name: {k: f(torch.cat(e), truth).mean().item() for k, f in scores.items()} for name, e in pictures.items()}
for name, row in table.items():
    row["drift"] = torch.stack([(e - m.image).mean().abs() for e, m in zip(pictures[name], breasts, strict=True)]).mean().item()
    scored = f"PSNR ≈ {row['PSNR']:.2f} dB, SNR ≈ {row['SNR']:.2f} dB, SSIM ≈ {row['SSIM']:.4f}, EPI ≈ {row['EPI']:.3f}, CoC ≈ {row['CoC']:.4f}"
    print(f"{name:<8}{scored}, mean brightness off by ≈ {row['drift']:.4f}")
between = [row["PSNR"] - row["SNR"] for row in table.values()]
claim("PSNR less SNR: largest difference between two methods", max(between) - min(between), at_most=0.01, unit="dB", source="deck 001")
for name in losses:
    claim(f"loss {name}: PSNR over the noisy image", table[name]["PSNR"] - table["noisy"]["PSNR"], at_least=3, unit="dB")
claim("PSNR: ℓ2 over SSIM", table["ℓ2"]["PSNR"] - table["SSIM"]["PSNR"], at_least=1, unit="dB")
claim("SSIM: mixed over SSIM alone", table["mixed"]["SSIM"] - table["SSIM"]["SSIM"], at_least=0.01)
claim("brightness: what SSIM is off, over what ℓ2 is", table["SSIM"]["drift"] / table["ℓ2"]["drift"], at_least=2)

# %%
around = (Ellipsis, slice(152, 248), slice(104, 200))
show_images(
    {"clean": breasts[3].image[around]} | {f"trained with {name}": pictures[name][3][around] for name in losses},
    alt="The cluster of calcifications clean, and after networks trained with four losses: the larger dots are in all of them, the "
    "smaller ones are fainter, and the texture is smoother than in the clean one.",
    limits=(0.2, 0.9),
    columns=5,
    width=1.9,
)

# %% [markdown]
# All four had the same patches and steps. The squared error of a patch is divided by its $\sigma$, the other losses are not, so they weigh the doses otherwise: the table compares
# *these recipes*. PSNR and SNR differ by one constant for each image, so they order the methods alike. A loss asks for one thing, and the others are left to chance: SSIM hardly sees brightness, so that its network lets the brightness drift; it comes last in PSNR
# and, measured on the attenuation image and not on the roots that it was trained on, even in SSIM. A little $\ell_1$ beside it mends that, as Zhao et al. found.
#
# Do the metrics say what we see? Five changes of one clean image. A blur, noise and more brightness, made such that all three have *exactly the same* squared
# error; still more brightness; and, as the generator allows it, **the same breast without its calcifications and masses**. **Predict** which has the lowest PSNR.


# %%
def mirrored_blur(image, width):
    place = torch.arange(-8, 9, dtype=image.dtype)
    row = torch.exp(-place.square() / (2 * width**2))
    return classical.filter_symmetric(image, torch.outer(row, row) / row.sum() ** 2)


clean = breasts[3].image[around]
blurred = mirrored_blur(breasts[3].image, 3)[around]
error = (blurred - clean).square().mean().sqrt()
z = torch.randn(clean.shape, generator=torch.Generator().manual_seed(7))
changed = {
    "blurred": blurred,
    "noise": clean + error * z / z.square().mean().sqrt(),
    "brighter": clean + error,
    "brighter still": clean + 0.03,
    "lesions erased": window(data.mammogram("test", 3, lesions=False)).image[around],
}

# %% [markdown]
# For each: the metrics, and how much of the calcifications' contrast with their surroundings is left.

# %%
spots = breasts[3].calcifications - torch.tensor([152.0, 104.0, 0.0])
spots = spots[((spots[:, :2] > 8) & (spots[:, :2] < 88)).all(1)]
kept = {}
rating = {name: {k: f(image, clean).item() for k, f in scores.items()} for name, image in changed.items()}
for name, image in changed.items():
    kept[name] = (metrics.spot_contrast(image, spots).mean() / metrics.spot_contrast(clean, spots).mean()).item()
    row = rating[name]
    line = f"PSNR ≈ {row['PSNR']:.1f} dB, SNR ≈ {row['SNR']:.1f} dB, SSIM ≈ {row['SSIM']:.3f}, EPI ≈ {row['EPI']:.2f}, CoC ≈ {row['CoC']:.3f}"
    print(f"{name:<16}{line}, contrast kept ≈ {100 * kept[name]:.0f} %")

# %%
show_images(
    {"clean": clean} | {f"{name}: ≈ {rating[name]['PSNR']:.1f} dB": image for name, image in changed.items()},
    alt="A cluster of calcifications six times: clean; blurred, its dots nearly gone; with grain, its dots clear; twice a little brighter, which is hard to "
    "see; and without any dot.",
    limits=(0.2, 0.9),
    columns=3,
    width=2.4,
)
same = [rating[name]["PSNR"] for name in ("blurred", "noise", "brighter")]
claim("blur, noise and brightness: largest difference in PSNR", max(same) - min(same), at_most=0.01, unit="dB")
claim("SSIM of the brighter image over the blur's", rating["brighter"]["SSIM"] - rating["blurred"]["SSIM"], at_least=0.2)
claim("SSIM of the blur over the noise's", rating["blurred"]["SSIM"] - rating["noise"]["SSIM"], at_least=0.02)
claim("EPI of the noise over the blur's", rating["noise"]["EPI"] - rating["blurred"]["EPI"], at_least=0.1)
claim("contrast kept with noise over the blur's", kept["noise"] - kept["blurred"], at_least=0.6)
claim("brighter still: PSNR", rating["brighter still"]["PSNR"], at_most=32, unit="dB")
claim("brighter still: EPI", rating["brighter still"]["EPI"], at_least=0.999)
claim("brighter still: CoC", rating["brighter still"]["CoC"], at_least=0.999)
behind = rating["lesions erased"]["PSNR"] - rating["brighter still"]["PSNR"]
claim("PSNR without any lesion, over the brighter still one", behind, at_least=9, unit="dB")

# %% [markdown]
# Three images of equal PSNR, and nobody would take them for equal. SSIM prefers the blur, in which the calcifications drown, to the noise, in which they stand; EPI has it the
# other way round. A shift that is hard to see costs ten decibels more than taking every calcification and mass away. No metric is wrong here; none was asked about
# calcifications. Section 9 asks.
#
# ## 8 · Learning without clean images (8 minutes)
#
# A clean mammogram does not exist: somebody would have to be X-rayed at a dose that nobody may give. **Stein's unbiased risk estimate** (SURE, 1981) gives
# the squared error of $f$ without $x$, for white Gaussian noise of a known level in $N$ pixels:
#
# $$ \text{SURE} = \frac{\lVert y - f(y)\rVert^2}{N} - \sigma^2 + \frac{2\sigma^2}{N}\, \text{div} f(y), \qquad \text{div} f = \sum_i \frac{\partial f_i}{\partial y_i} . $$
#
# The first term alone is least for $f(y) = y$. The **divergence** is the price: how much each pixel follows its own noise. It is the trace of the Jacobian of module
# 04, or, for any $f$ that can be called, the mean of $n^T (f(y + \epsilon n) - f(y))/\epsilon$ over random directions $n$ (**MC-SURE**, Ramani et al. 2008).

# %%
sigma = 1 / (2 * math.sqrt(dose[64]))
target = physics.transmission(breasts[3].image).sqrt()[..., 150:198, 110:158]  # what the root of the counts estimates, nearly
patch = target[..., :16, :16] + sigma * torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(8))
denoiser = partial(dilated, sigma=sigma)  # f, told the noise level
trace = networks.jacobian(denoiser, patch).trace().item() / 256
n = torch.randn(400, 1, 16, 16, generator=torch.Generator().manual_seed(9))
epsilon = 1e-3
with torch.no_grad():
    slope = ((denoiser(patch + epsilon * n) - denoiser(patch)) / epsilon * n).mean(dim=(1, 2, 3))
print(f"divergence a pixel: trace of the Jacobian ≈ {trace:.3f}, mean of 400 directions ≈ {slope.mean():.3f}")
claim("difference over its standard error", abs(slope.mean().item() - trace) / (slope.std().item() / 20), at_most=4)
with torch.no_grad():
    residual = (patch - denoiser(patch)).square().mean()
    by_hand = residual - sigma**2 + 2 * sigma**2 * slope[0]
    library = mc_sure(denoiser, patch, sigma, n[:1])[0]
claim("SURE by hand to the library's, in units of σ²", abs(by_hand - library).item() / sigma**2, at_most=1e-3)

# %% [markdown]
# One value scatters, but does it scatter around the right number? 200 draws of the noise on a piece of a breast, 48 × 48 pixels: the true error, which needs
# the clean image, and SURE, which does not.

# %%
g = torch.Generator().manual_seed(10)
draws = target + sigma * torch.randn(200, 1, 48, 48, generator=g)
direction = torch.randn(draws.shape, generator=g)
with torch.no_grad():
    estimated = mc_sure(denoiser, draws, sigma, direction) / sigma**2
    true_error = (denoiser(draws) - target).square().mean(dim=(1, 2, 3)) / sigma**2
difference = estimated - true_error
standard_error = difference.std() / math.sqrt(200)
claim("bias of MC-SURE over its standard error", abs(difference.mean() / standard_error).item(), at_most=3, source="deck 001")

figure, ax = plt.subplots(figsize=(6, 3))
ax.hist(estimated.numpy(), 25, alpha=0.6, color="#0072B2", label="SURE")
ax.hist(true_error.numpy(), 25, color="#D55E00", hatch="//", histtype="step", label="true error")
ax.set(xlabel="squared error / σ²", ylabel="draws", title="SURE scatters around the true error")
ax.legend(loc="upper right")
show_figure(figure, "Histograms over 200 draws: the true error is narrow; SURE is several times as broad, and has the same middle.")

# %% [markdown]
# So it can be made small by gradient descent. The third network is the dilated one, trained by SURE alone on noisy patches of the same kind: **no clean image**. Its gradient is noisier, and it
# had twice as many steps.
# Deck 001's number is 31.66 dB by SURE (fine-tuned) against 31.65 dB by squared error, not for denoising but for images recovered from 25 % as many compressive measurements as pixels
# (LDAMP, an iteration with a denoiser inside). **Predict** what it costs here.

# %%
sure = networks.load_weights(networks.DilatedCNN(), "mammogram_sure")
methods["sure"] = stabilised(partial(networks.denoise, sure))
print_table(["noisy", "dilated", "sure"])
for part in (16, 64):
    behind = decibels("dilated", part, "parenchyma") - decibels("sure", part, "parenchyma")
    claim(f"dose 1/{part}, parenchyma: SURE-trained behind supervised", behind, at_most=0.3, unit="dB", source="deck 001")

# %% [markdown]
# What it needs instead: the noise must be white and Gaussian, and $\sigma$ known. Anscombe's root saw to that. A real detector blurs its noise; then SURE is
# biased, and does not say so.
#
# ## 9 · The question a radiologist asks (9 minutes)
#
# Are the calcifications still visible? A **fixed detector**, the same for all methods: how much the surroundings of a pixel look like a spot
# (`metrics.spot_response`). Its threshold is set for each method and dose where there is nothing to find, on the same breasts made *without lesions*,
# such that 0.5 **false positives** a cm² pass it. Then we count how many true calcifications pass. **Predict:** 10 dB of PSNR at 1/64; how many more
# calcifications?

# %%
healthy = [window(data.mammogram("test", index, lesions=False)) for index in range(6)]
AREA = sum(m.parenchyma.sum().item() for m in healthy) * (data.mammograms.PIXEL_MM / 10) ** 2  # cm²
RATE = 0.5  # false positives a cm²


@cache
def threshold(name, part):
    false = []
    for seed, m in enumerate(healthy):
        estimate = methods[name](counts_of(m.image, part, 100 + seed), dose[part])
        false.append(metrics.false_positives(metrics.spot_response(estimate), m.parenchyma))
    return metrics.threshold_at(torch.cat(false), AREA, RATE)


@cache
def found(name, part):
    """For every calcification, whether the detector finds it."""
    responses = [metrics.spot_response(e) for e in estimates(name, part)]
    limit = threshold(name, part)
    return torch.cat([metrics.detected(r, m.calcifications, limit) for r, m in zip(responses, breasts, strict=True)])


# %% [markdown]
# The **contrast kept** is the spots' brightness over their surroundings after denoising, as a share of what it was in the clean image.


# %%
before = torch.cat([metrics.spot_contrast(m.image, m.calcifications) for m in breasts])


def contrast_kept(name, part):
    after = [metrics.spot_contrast(e, m.calcifications) for e, m in zip(estimates(name, part), breasts, strict=True)]
    return (torch.cat(after).sum() / before.sum()).item()


# %%
rate, interval, whole = {}, {}, {}
for part in (16, 64, 256):
    print(f"dose 1/{part}")
    for name in methods:
        hits = found(name, part)
        rate[name, part] = hits.float().mean().item()
        interval[name, part] = metrics.proportion_interval(int(hits.sum()), len(hits))
        whole[name, part] = metrics.psnr(torch.cat(estimates(name, part)), truth).mean().item()
        low, high = (100 * v for v in interval[name, part])
        line = f"PSNR ≈ {whole[name, part]:.1f} dB, contrast ≈ {100 * contrast_kept(name, part):.0f} %"
        print(f"    {looks[name].label:<28}{line}, found ≈ {100 * rate[name, part]:.0f} % (≈ {low:.0f} to ≈ {high:.0f})")

# %%
figure, axes = plt.subplots(1, 2, figsize=(8.8, 3.6))
for k, name in enumerate(methods):
    where = [j + 0.11 * (k - 3) for j in range(3)]
    style = display.method_style(name) | {"linestyle": ""}
    axes[0].plot(where, [whole[name, part] for part in (16, 64, 256)], **style, ms=7)
    middle_rate = [100 * rate[name, part] for part in (16, 64, 256)]
    ends = torch.tensor([interval[name, part] for part in (16, 64, 256)]).T * 100
    error = [torch.tensor(middle_rate) - ends[0], ends[1] - torch.tensor(middle_rate)]
    axes[1].errorbar(where, middle_rate, [e.clamp(min=0).numpy() for e in error], **style, ms=6, elinewidth=1)
for ax in axes:
    ax.set_xticks(range(3), [f"dose 1/{part}" for part in (16, 64, 256)])
axes[0].set(ylabel="PSNR (dB)", title="Denoising gains many decibels …")
axes[1].set(ylabel="calcifications found (%)", title="… and what becomes of the calcifications", ylim=(0, 105))
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
show_figure(
    figure,
    "Left, PSNR by dose: the noisy image far below all others. Right, the share of calcifications found, with 95 % intervals: it falls with the dose, and "
    "the methods' intervals overlap widely.",
)

# %% [markdown]
# All methods saw the same calcifications under the same noise. So compare them spot by spot: which did the detector find in the noisy image and not after denoising
# (**lost**), and which only after it (**won**)?

# %%
lost, won = {}, {}
for part in (16, 64, 256):
    for name in ("wiener", "anscombe_nlm", "dilated"):
        before_it, after_it = found("noisy", part), found(name, part)
        lost[name, part], won[name, part] = int((before_it & ~after_it).sum()), int((after_it & ~before_it).sum())
        print(f"dose 1/{part:<4}{looks[name].label:<28}lost ≈ {lost[name, part]}, won ≈ {won[name, part]}")
for part in (16, 64):
    claim(f"dose 1/{part}: Wiener over noisy, whole window", whole["wiener", part] - whole["noisy", part], at_least=3, unit="dB")
    claim(f"dose 1/{part}, dilated: lost minus won", lost["dilated", part] - won["dilated", part], at_least=0)
claim("dose 1/64, Wiener: lost minus won", lost["wiener", 64] - won["wiener", 64], at_least=10)
claim("dose 1/256, dilated: won minus lost", won["dilated", 256] - lost["dilated", 256], at_least=8)
claim("dose 1/64, Wiener: the calcifications' contrast kept", 100 * contrast_kept("wiener", 64), at_most=60, unit="%")
claim("found in the noisy image: dose 1/16 minus 1/256", 100 * (rate["noisy", 16] - rate["noisy", 256]), at_least=20, unit="%")

# %% [markdown]
# Why does denoising win at 1/256, and lose above? One suspect is the logarithm: of few photons it makes bright outliers, and they raise the noisy image's threshold. So
# the same detector once more, on the roots of the counts: no logarithm, and *no denoising* either.


# %%
def found_in_roots(part):
    def response(m, seed):
        roots = classical.anscombe(counts_of(m.image, part, seed), 4.0)
        return metrics.spot_response(1 - roots / (2 * math.sqrt(dose[part])))

    false = [metrics.false_positives(response(m, 100 + seed), m.parenchyma) for seed, m in enumerate(healthy)]
    limit = metrics.threshold_at(torch.cat(false), AREA, RATE)
    return torch.cat([metrics.detected(response(m, seed), m.calcifications, limit) for seed, m in enumerate(breasts)])


roots_rate = {part: found_in_roots(part).float().mean().item() for part in (16, 64, 256)}
for part, share in roots_rate.items():
    others = f"in the noisy image ≈ {100 * rate['noisy', part]:.0f} %, after the dilated CNN ≈ {100 * rate['dilated', part]:.0f} %"
    print(f"dose 1/{part}: found in the roots ≈ {100 * share:.0f} %, {others}")
claim("dose 1/256: found in the roots minus in the noisy image", 100 * (roots_rate[256] - rate["noisy", 256]), at_least=5, unit="%")
for part in (16, 64, 256):
    claim(f"dose 1/{part}: after the dilated CNN minus in the roots", 100 * (rate["dilated", part] - roots_rate[part]), at_most=8, unit="%")

# %% [markdown]
# Back to the cluster of section 1, with what the detector finds in it.

# %%
start = sum(len(m.calcifications) for m in breasts[:3])
there = breasts[3].calcifications[:, :2] - torch.tensor([152.0, 104.0])
in_view = ((there > 0) & (there < 96)).all(1)
short = {"noisy": "noisy", "wiener": "Wiener", "anscombe_nlm": "Anscombe + NLM", "dilated": "dilated"}
count = {name: int(found(name, 64)[start : start + len(there)][in_view].sum()) for name in short}
show_images(
    {f"clean: {int(in_view.sum())} there": clean}
    | {f"{short[name]}: ≈ {hits}": estimates(name, 64)[3][around] for name, hits in count.items()},
    alt="The cluster clean, noisy, and after three methods: smooth after each, with the larger dots still there and the smaller ones lost or pale.",
    limits=(0.2, 0.9),
    columns=5,
    width=1.9,
)
print(f"you said {my_counts['noisy']} before and {my_counts['denoised']} after; the detector: ≈ {count['noisy']} and ≈ {count['dilated']} of {int(in_view.sum())}")

# %% [markdown]
# **Did denoising help?** By PSNR much; for this detector not. At 1/16 and 1/64 the Wiener filter and the network lose more calcifications than they win, the Wiener filter at 1/64
# the most, with nine decibels more. At 1/256 they win, the network from one in five to one in three; but the roots show about as many without any denoising: what helped was
# to leave out the logarithm. The detector averages over a spot already; for white noise on smooth ground that is nearly the best that can be done. A denoiser that averages before
# it takes noise and spot alike, and what is left of the noise looks like spots. Denoising adds no photon; the dose decides.
#
# What this does *not* show: a human reader is no matched filter, and may find a smooth image easier. The intervals (Wilson 1927) count calcifications as
# independent; those of one breast are not, so they are too short. On the other hand all methods saw the same
# calcifications under the same noise: a difference between two methods is surer than the overlap of their intervals suggests. And these are made breasts: no number here is a clinical one.
#
# ## 10 · Where it breaks (6 minutes)
#
# A network trained with the squared error gives a mean of all images that fit, and it is wrong in two ways that look right. At 1/256 of the dose we look for the worst: the strongest response after
# denoising where there is **nothing**; and, of the calcifications that were found in the noisy image and are no longer, the one of most contrast: it was **erased**.

# %%
inventions = []
for seed, m in enumerate(healthy):
    estimate = methods["dilated"](counts_of(m.image, 256, 100 + seed), dose[256])
    something = metrics.spot_response(m.image)[0, 0] > 0.2 * threshold("dilated", 256)
    response = metrics.spot_response(estimate)[0, 0].masked_fill(something | ~m.parenchyma, -1)
    place = divmod(int(response.argmax()), response.shape[1])
    inventions.append((response.max().item(), seed, place, estimate))
strength, invented_in, invented_at, invented_estimate = max(inventions, key=lambda item: item[0])

gone = found("noisy", 256) & ~found("dilated", 256)
worst = int(before.masked_fill(~gone, -1).argmax())
owner = [i for i, m in enumerate(breasts) for _ in m.calcifications][worst]
erased_at = torch.cat([m.calcifications for m in breasts])[worst, :2].round().int().tolist()
claim("response of the invention over the threshold", strength / threshold("dilated", 256), at_least=1)


# %%
def draw_piece(ax, image, place, title):
    """48 × 48 pixels about a place, which is ringed."""
    top, left = (min(max(p - 24, 0), side - 48) for p, side in zip(place, image.shape[-2:], strict=True))
    shown = image[0, 0, top : top + 48, left : left + 48]
    ax.imshow(shown, vmin=shown.mean() - 0.2, vmax=shown.mean() + 0.2)
    ax.plot(place[1] - left, place[0] - top, "o", mfc="none", mec="#E69F00", mew=2, ms=20)
    ax.set_title(title)
    ax.set_axis_off()


y = physics.attenuation_image(counts_of(healthy[invented_in].image, 256, 100 + invented_in), dose[256])
invented = {"clean": healthy[invented_in].image, "noisy": y, "denoised": invented_estimate}
erased = {"clean": breasts[owner].image, "noisy": estimates("noisy", 256)[owner], "denoised": estimates("dilated", 256)[owner]}

# %% [markdown]
# Above, the place where nothing is; below, the one where a calcification is.

# %%
figure, axes = plt.subplots(2, 3, figsize=(7.2, 5.2))
for row, (kind, images, place) in zip(axes, (("invented", invented, invented_at), ("erased", erased, erased_at)), strict=True):
    for ax, (name, image) in zip(row, images.items(), strict=True):
        draw_piece(ax, image, place, f"{kind}: {name}")
show_figure(
    figure,
    "Two rows of clean, noisy and denoised with a ringed place. Above, the ring is empty in the clean piece, and the denoised one has a bright spot in it; "
    "below, the clean piece has a calcification in the ring, and the denoised one has none.",
    photographic=True,
)

# %% [markdown]
# **How to tell?** Not from the denoised image: both look clean. Three ways that help:
#
# - Look at the noisy image beside it, and at the residual $y - f(y)$: an erased spot is *in the residual*.
# - Repeat. Noise invents something else each time; what is there comes back. Here with a second exposure, which a patient would not get; dividing the photons of
#   one into two halves does the same at half the dose.
# - Ask how often it happens: false positives a cm², as in section 9, and never a single picture.

# %%
def response_at(estimate, place):
    """The detector's largest response within 2 pixels."""
    row, column = place
    return metrics.spot_response(estimate)[0, 0, row - 2 : row + 3, column - 2 : column + 3].max().item()


again = [
    methods["dilated"](counts_of(healthy[invented_in].image, 256, 200 + k), dose[256]) for k in range(10)
]
repeated = sum(response_at(e, invented_at) > threshold("dilated", 256) for e in again)
claim("10 new exposures: the invention is there again in", repeated, at_most=3)
anew = [methods["dilated"](counts_of(breasts[owner].image, 256, 300 + k), dose[256]) for k in range(10)]
seen = sum(response_at(e, erased_at) > threshold("dilated", 256) for e in anew)
claim("10 new exposures: the erased calcification is found in", seen, at_least=4)

# %% [markdown]
# Both were chance. What repetition does not bring back are spots that are too faint for every single exposure.
#
# ## 11 · Play (4 minutes)
#
# Move the dose, and then the weight: 0 is the output of the network trained with $\ell_2$, 1 that of the one trained with SSIM. In between we **blend the two
# outputs**; a network trained with a blended loss would be another one. **Predict:** at which dose do you lose the fifth dot?

# %%
PLAY_PARTS = (4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 512)
shown_clean = breasts[3].image[around]


@cache
def played(part):
    """Noisy, and the outputs of two networks, from a piece with a margin wider than what they see."""
    photons, middle = physics.USUAL_DOSE / part, (Ellipsis, slice(16, 112), slice(16, 112))
    piece = breasts[3].image[..., 136:264, 88:216]
    counts = physics.xray_counts(piece, photons, torch.Generator().manual_seed(part))
    outputs = [stabilised(partial(networks.denoise, by_loss[name]))(counts, photons) for name in ("ℓ2", "SSIM")]
    return [image[middle] for image in (physics.attenuation_image(counts, photons), *outputs)]


# %% [markdown]
# Two panels, drawn once and then updated in place.

# %%
play_figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.4))
panels = [ax.imshow(shown_clean[0, 0], vmin=0.2, vmax=0.9) for ax in axes]
for ax in axes:
    ax.set_axis_off()


def draw(part, weight):
    noisy_one, of_l2, of_ssim = played(part)
    blend = (1 - weight) * of_l2 + weight * of_ssim
    decibel = metrics.psnr(blend, shown_clean).item()
    for panel, ax, image, title in zip(panels, axes, (noisy_one, blend), (f"dose 1/{part}", f"blend: {decibel:.1f} dB"), strict=True):
        panel.set_data(image[0, 0])
        ax.set_title(title)
    return f"A cluster at 1/{part} of the dose, noisy and denoised: {weight:.0%} of the SSIM network's output, PSNR ≈ {decibel:.1f} dB."


show_figure(play_figure, draw(64, 0.0), photographic=True)

# %% tags=["nbval-ignore-output"]
from ipywidgets import FloatSlider, SelectionSlider

for part in PLAY_PARTS:
    played(part)  # now, so that the slider only shows
player = play(
    play_figure,
    draw,
    part=SelectionSlider(options=[(f"1/{p}", p) for p in PLAY_PARTS], value=64, description="dose"),
    weight=FloatSlider(0.0, min=0.0, max=1.0, step=0.1, description="share of SSIM"),
)

# %% [markdown]
# ## Recap
#
# - X-ray noise is Poisson: it depends on the tissue and the dose. Anscombe's root makes it equal everywhere, and the unbiased inverse brings the counts back.
# - A residual CNN starts at the noisy image; dilation widens its view, $1 + \sum d_i (k_i - 1)$, for no parameter more. In Gaussian texture nothing beats Wiener.
# - A loss and a metric each ask for one thing. SURE asks for the squared error, and needs no clean image.
# - PSNR rose by many decibels, and no more calcifications were found than in the roots of the counts. Denoising adds no photon, and a network may invent or erase.
#
# **To read.** Zhao, Gallo, Frosio and Kautz, "Loss functions for image restoration with neural networks" (2017). Soltanayev and Chun, "Training deep learning based
# denoisers without ground truth data" (2018). Burgess, Jacobson and Judy, "Human observer detection experiments with mammograms and power-law noise" (2001).
#
# **Open question.** Could a network be trained for the detection rate itself, and what would its images look like? The fixed detector is a convolution, and has a gradient.
