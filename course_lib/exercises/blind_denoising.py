"""The exercises of module 04: a bias-free denoiser, and what its local linear map says about it."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from torch.nn.functional import conv2d, pad

from course_lib.exercises.calls import Arguments
from course_lib.exercises.drawing import off_by, randn
from course_lib.exercises.exercise import Exercise, Mistake, Property
from course_lib.exercises.lab import Lab, OpenQuestion

PER_CHANNEL = (0, 2, 3)
EPSILON = 1e-5
STEP = 0.02  # a constant to add: small, or it would drown the small variances in rounding


# --- 1. a blind batch ---------------------------------------------------------------------------------

BATCHES = ((3, 6, 5), (4, 5, 4), (2, 7, 6))  # images, height, width; in case 1 the width is the number of images


def _draw_blind(generator: torch.Generator, index: int) -> Arguments:
    count, height, width = BATCHES[index]
    clean = torch.rand(count, 1, height, width, generator=generator)
    draws = 0.1 + 0.85 * torch.rand(count, generator=generator)
    highest = (30.0, 55.0, 20.0)[index] + 5 * float(torch.rand((), generator=generator))
    return clean, draws, randn(generator, *clean.shape), highest


def _levels(draws, highest):
    return (highest / 255 * draws)[:, None, None, None]


def _blind_batch(clean, draws, noise, highest):
    """The lab's reference: each image with white noise of a level of its own."""
    return clean + _levels(draws, highest) * noise


def _grey_levels(clean, draws, noise, highest):
    return clean + _levels(draws, 255 * highest) * noise


def _image_in_grey_levels(clean, draws, noise, highest):
    return clean / 255 + _levels(draws, highest) * noise


def _everything_divided(clean, draws, noise, highest):
    return (clean + _levels(draws, 255 * highest) * noise) / 255


def _one_level(clean, draws, noise, highest, level=lambda draws: draws[0]):
    return clean + highest / 255 * level(draws) * noise


def _highest_always(clean, draws, noise, highest):
    return clean + highest / 255 * noise


def _draws_unscaled(clean, draws, noise, highest):
    return clean + draws[:, None, None, None] * noise


def _along_the_width(clean, draws, noise, highest):
    return clean + highest / 255 * draws * noise


def _along_the_channels(clean, draws, noise, highest):
    return clean + highest / 255 * draws.view(1, -1, 1, 1) * noise


def _two_dimensions_short(clean, draws, noise, highest):
    return clean + highest / 255 * draws[:, None] * noise


def _highest_missing(clean, draws, noise, highest):
    return clean + _levels(draws, 1.0) * noise


def _fixed_level(clean, draws, noise, highest):
    return clean + _levels(draws, 30.0) * noise


def _turned_round(clean, draws, noise, highest):
    return clean + _levels(1 - draws, highest) * noise


def _level_as_variance(clean, draws, noise, highest):
    return clean + _levels(draws, highest).sqrt() * noise


def _variance_for_level(clean, draws, noise, highest):
    return clean + _levels(draws, highest) ** 2 * noise


def _clipped(clean, draws, noise, highest):
    return _blind_batch(clean, draws, noise, highest).clamp(0, 1)


def _noise_alone(clean, draws, noise, highest):
    return _levels(draws, highest) * noise


def _multiplied(clean, draws, noise, highest):
    return clean * (1 + _levels(draws, highest) * noise)


def _mixture(clean, draws, noise, highest):
    share = _levels(draws, highest)
    return (1 - share) * clean + share * noise


def _subtracted(clean, draws, noise, highest):
    return clean - _levels(draws, highest) * noise


def _positive_noise(clean, draws, noise, highest):
    return clean + _levels(draws, highest) * noise.abs()


def _first_noise_alone(clean, draws, noise, highest):
    return clean + _levels(draws, highest) * noise[:1]


def _quiet(clean, draws, noise, highest):
    return [(clean, torch.zeros_like(draws), noise, highest)]


def _is_clean(arguments, values):
    off = float(np.abs(values[0] - arguments[0][0].numpy()).max())
    return None if off < 1e-6 else f"with all draws 0 the result differs from the clean images by up to {off:.2g}"


def _louder(clean, draws, noise, highest):
    return [(clean, draws, noise, highest), (clean, draws, 2 * noise, highest)]


def _twice_the_noise(arguments, values):
    clean = arguments[0][0].numpy()
    off = off_by(values[1] - clean, 2 * (values[0] - clean))
    return None if off < 1e-3 else f"with twice `noise` what was added is not twice as large (off by {100 * off:.0f} %)"


blind_batch = Exercise(
    number=1,
    function="blind_batch",
    title="a blind batch",
    minutes=10,
    value_points=3,
    takes={
        "clean": "float32 (batch, 1, height, width) in [0, 1]",
        "draws": "float32 (batch,): a uniform random number from 0 to 1 for each image",
        "noise": "float32 (batch, 1, height, width): standard normal random numbers",
        "highest": "the highest noise level, in grey levels from 0 to 255",
    },
    returns="float32 (batch, 1, height, width): the noisy images, not clipped",
    draw=_draw_blind,
    reference=_blind_batch,
    answers=("course_lib.physics.noise.add_gaussian_noise", "course_lib.training.recipes.blind_denoising.batch"),
    mistakes=(
        Mistake(
            _grey_levels,
            "your noise level is in grey levels, and the images run from 0 to 1: divide `highest` by 255",
        ),
        Mistake(
            _image_in_grey_levels,
            "you divide the images by 255: they run from 0 to 1 already, only `highest` is in grey levels",
            also=(_everything_divided,),
        ),
        Mistake(
            _one_level,
            "all images have one level: image i has the level `draws[i] * highest / 255`, so give `draws` the shape "
            "(batch, 1, 1, 1)",
            also=(
                partial(_one_level, level=torch.mean), partial(_one_level, level=torch.max),
                partial(_one_level, level=lambda draws: draws[-1]), partial(_one_level, level=torch.sum),
            ),
        ),
        Mistake(
            _highest_always,
            "every image has the highest level: multiply it by the image's own number in `draws`",
        ),
        Mistake(
            _draws_unscaled, "`highest` does not take part: the level is `draws * highest / 255`",
            also=(_highest_missing,),
        ),
        Mistake(_fixed_level, "your highest level is always 30: it comes as an argument, `highest`"),
        Mistake(_turned_round, "you take 1 − `draws`: the level is in proportion to `draws` itself"),
        Mistake(
            _along_the_channels,
            "`draws` lies along the channels, or is a dimension short: one number for each image is "
            "`draws[:, None, None, None]`",
            also=(_two_dimensions_short,),
        ),
        Mistake(
            _along_the_width,
            "torch lines `draws` up with the last dimension, the width: write `draws[:, None, None, None]`, one "
            "number for each image",
        ),
        Mistake(
            _level_as_variance,
            "you take the root of the level: it is the standard deviation σ, which multiplies standard normal numbers",
        ),
        Mistake(
            _variance_for_level,
            "you multiply by the level squared: σ is the standard deviation and multiplies the noise once",
        ),
        Mistake(
            _clipped,
            "you clip to [0, 1]: clipped noise is not Gaussian any more, and its mean is no longer 0 in dark places",
        ),
        Mistake(_noise_alone, "the images are missing: y = x + z"),
        Mistake(_multiplied, "you multiply the images by the noise: it is added, y = x + z, and bright and dark alike"),
        Mistake(
            _mixture,
            "you make the images fainter as the noise grows: y = x + z leaves x as it is",
        ),
        Mistake(_subtracted, "you subtract the noise: as likely, but here y = x + z"),
        Mistake(_positive_noise, "your noise is never negative: leave its sign as it is"),
        Mistake(_first_noise_alone, "all images have the noise of the first one: image i has `noise[i]`"),
    ),
    properties=(
        Property(
            "no noise", "With all draws 0 the images should stay as they are.", _quiet, _is_clean,
        ),
        Property(
            "in proportion", "Twice the `noise` should add twice as much.", _louder, _twice_the_noise,
        ),
    ),
    hints=(
        "Three factors: the highest level in the images' units, the image's own number, the standard normal noise.",
        "The images' units: `highest / 255`. One number for each image: `draws[:, None, None, None]`.",
        "`sigma = highest / 255 * draws[:, None, None, None]`, then `return clean + sigma * noise`.",
    ),
)  # fmt: skip


# --- 2. batch normalisation without constants ---------------------------------------------------------

FEATURES = ((2, 3, 4, 5), (3, 2, 6, 4), (2, 4, 5, 3))


def _draw_features(generator: torch.Generator, index: int) -> Arguments:
    """Channels of different means and sizes; no two statistics of them agree. In the first one ε matters."""
    count, channels, height, width = FEATURES[index]
    size = torch.linspace(0.5, 2.5, channels)[:, None, None]
    mean = torch.linspace(-1.5, 2.0, channels)[:, None, None] + 0.3
    each = 0.6 * randn(generator, count, 1, 1, 1)
    features = size * randn(generator, count, channels, height, width) + mean + each
    features[:, 0] = 4e-3 * randn(generator, count, height, width) + 1e-3
    return features, 0.5 + torch.rand(channels, generator=generator)


def _normalised(features, scale, *, centred=False, dims=PER_CHANNEL, unbiased=False):
    variance = features.var(dim=dims, keepdim=True, unbiased=unbiased)
    x = features - features.mean(dim=dims, keepdim=True) if centred else features
    return scale[:, None, None] * x / (variance + EPSILON).sqrt()


def _bias_free_norm(features, scale):
    """The lab's reference: γ·x/√(variance + ε), the variance over all images and pixels of a channel."""
    return _normalised(features, scale)


def _mean_removed(features, scale):
    return _normalised(features, scale, centred=True)


def _each_image_alone(features, scale, dims=(2, 3)):
    return _normalised(features, scale, dims=dims)


def _everything_together(features, scale, dims=(0, 1, 2, 3)):
    return _normalised(features, scale, dims=dims)


def _over_the_batch_only(features, scale):
    return _normalised(features, scale, dims=(0,))


def _divided_by_variance(features, scale):
    variance = features.var(dim=PER_CHANNEL, keepdim=True, unbiased=False)
    return scale[:, None, None] * features / (variance + EPSILON)


def _multiplied_by_deviation(features, scale):
    variance = features.var(dim=PER_CHANNEL, keepdim=True, unbiased=False)
    return scale[:, None, None] * features * (variance + EPSILON).sqrt()


def _sample_variance(features, scale):
    return _normalised(features, scale, unbiased=True)


def _second_moment(features, scale):
    power = features.square().mean(dim=PER_CHANNEL, keepdim=True)
    return scale[:, None, None] * features / (power + EPSILON).sqrt()


def _mean_absolute(features, scale):
    return scale[:, None, None] * features / features.abs().mean(dim=PER_CHANNEL, keepdim=True)


def _scale_forgotten(features, scale):
    return _normalised(features, torch.ones_like(scale))


def _scale_divides(features, scale):
    return _normalised(features, 1 / scale)


def _scale_added(features, scale):
    return _normalised(features, torch.ones_like(scale)) + scale[:, None, None]


def _scale_along_width(features, scale):
    variance = features.var(dim=PER_CHANNEL, keepdim=True, unbiased=False)
    return scale * features / (variance + EPSILON).sqrt()


def _channel_of_batch(features, scale):
    return _normalised(features, scale, dims=(1, 2, 3))


def _keepdim_forgotten(features, scale):
    return scale[:, None, None] * features / (features.var(dim=PER_CHANNEL, unbiased=False) + EPSILON).sqrt()


def _scale_as_column(features, scale):
    return scale[:, None] * features / (features.var(dim=PER_CHANNEL, keepdim=True, unbiased=False) + EPSILON).sqrt()


def _column_after_features(features, scale):
    variance = features.var(dim=PER_CHANNEL, keepdim=True, unbiased=False)
    return features / (variance + EPSILON).sqrt() * scale[:, None]


def _not_normalised(features, scale):
    return scale[:, None, None] * features


def _epsilon_forgotten(features, scale, epsilon=0.0):
    return scale[:, None, None] * features / (features.std(dim=PER_CHANNEL, keepdim=True, unbiased=False) + epsilon)


def _another_epsilon(features, scale, epsilon=1e-3):
    return scale[:, None, None] * features / (features.var(PER_CHANNEL, False, keepdim=True) + epsilon).sqrt()


def _largest_one(features, scale):
    return scale[:, None, None] * features / features.abs().amax(dim=PER_CHANNEL, keepdim=True)


def _statistic(features, scale):
    return [(features, scale)]


def _unit_deviation(arguments, values):
    features, scale = (a.numpy() for a in arguments[0])
    wanted = scale / np.sqrt(1 + EPSILON / features.var(axis=(0, 2, 3)))
    off = off_by(values[0].std(axis=(0, 2, 3)), wanted)
    return None if off < 1e-3 else f"the channels' standard deviations are off by up to {100 * off:.2g} %"


def _moved(features, scale):
    return [(features, scale), (features + STEP, scale)]


def _mean_moves_along(arguments, values):
    features, scale = (a.numpy() for a in arguments[0])
    wanted = STEP * scale / np.sqrt(features.var(axis=(0, 2, 3)) + EPSILON)
    found = (values[1] - values[0]).mean(axis=(0, 2, 3))
    worst = np.argmax(np.abs(found - wanted) / wanted)
    if abs(found[worst] / wanted[worst] - 1) < 1e-2:
        return None
    return f"{STEP} added to all features adds {found[worst]:.3g} to channel {worst}; it should add {wanted[worst]:.3g}"


bias_free_norm = Exercise(
    number=2,
    function="bias_free_norm",
    title="batch normalisation without constants",
    minutes=12,
    value_points=3,
    takes={
        "features": "float32 (batch, channel, height, width)",
        "scale": "float32 (channel,): γ, learned",
    },
    returns="float32 in the shape of `features`",
    draw=_draw_features,
    reference=_bias_free_norm,
    answers=("course_lib.networks.normalisation.BiasFreeBatchNorm2d",),
    closed=("batch_norm",),
    mistakes=(
        Mistake(
            _mean_removed,
            "you subtract the mean, as ordinary batch normalisation does: an additive constant, and these have to go",
        ),
        Mistake(
            _each_image_alone,
            "your variance is each image's own: batch normalisation takes it over all images and pixels of a channel, "
            "`dim=(0, 2, 3)`",
        ),
        Mistake(_everything_together, "your variance is over all channels together: each channel has its own"),
        Mistake(
            _over_the_batch_only,
            "your variance is over the images alone, another one for each pixel: take the pixels in, `dim=(0, 2, 3)`",
        ),
        Mistake(_divided_by_variance, "the root is missing: divide by the standard deviation, √(variance + ε)"),
        Mistake(_multiplied_by_deviation, "you multiply by the standard deviation: divide by it"),
        Mistake(
            _sample_variance,
            "your variance divides by n − 1, as `var` does by default: batch normalisation divides by n, "
            "`unbiased=False`",
        ),
        Mistake(
            _second_moment,
            "you divide by the root mean square: here it is the standard deviation, whose mean is taken away first (in "
            "the statistic, not in the features)",
            also=(_mean_absolute,),
        ),
        Mistake(_scale_forgotten, "γ is missing: channel c is multiplied by `scale[c]`"),
        Mistake(_scale_divides, "you divide by γ: it multiplies the features, channel by channel"),
        Mistake(_scale_added, "you add `scale`: it multiplies, and nothing is added"),
        Mistake(
            _scale_along_width,
            "torch lines `scale` up with the last dimension, the width: write `scale[:, None, None]`",
        ),
        Mistake(
            _channel_of_batch,
            "your variance is over the channels of one image: channels stay apart, and images are taken together, "
            "`dim=(0, 2, 3)`",
        ),
        Mistake(
            _keepdim_forgotten,
            "your variance has the shape (channel,), which torch lines up with the width: take `keepdim=True`",
        ),
        Mistake(
            _scale_as_column,
            "`scale[:, None]` is a dimension short, and torch lines it up with the rows: write `scale[:, None, None]`",
            also=(_column_after_features,),
        ),
        Mistake(_not_normalised, "nothing is divided by the standard deviation: only γ multiplies your features"),
        Mistake(
            _epsilon_forgotten,
            "ε is missing, or not under the root: √(variance + ε) keeps a channel without any variance from 0/0",
            also=(partial(_epsilon_forgotten, epsilon=EPSILON), partial(_another_epsilon, epsilon=1e-10)),
        ),
        Mistake(
            _another_epsilon,
            "your ε is another one, which shows where the variance is small: it is 1e-5 under the root",
            also=(partial(_another_epsilon, epsilon=1e-4), partial(_another_epsilon, epsilon=1e-6)),
        ),
        Mistake(_largest_one, "you divide by the largest value: divide by the standard deviation"),
    ),
    properties=(
        Property(
            "standard deviation", "Each channel should leave with the standard deviation γ, as far as ε allows.",
            _statistic, _unit_deviation,
        ),
        Property(
            "the mean stays", "A constant added to the features should come out, divided by the deviation: no mean is "
            "taken away.", _moved, _mean_moves_along,
        ),
    ),
    hints=(
        "One variance for each channel, over all images and pixels. Nothing is subtracted from the features.",
        "`features.var(dim=(0, 2, 3), keepdim=True, unbiased=False)` has the shape (1, channel, 1, 1).",
        "Divide by `(variance + 1e-5).sqrt()`, multiply by `scale[:, None, None]`.",
    ),
)  # fmt: skip


# --- 3. a bias-free denoiser --------------------------------------------------------------------------

PATCHES = ((2, 8, 7), (1, 6, 9), (3, 7, 6))


def _draw_kernels(generator: torch.Generator, index: int) -> Arguments:
    count, height, width = PATCHES[index]
    channels = (3, 4, 3)[index]
    y = torch.rand(count, 1, height, width, generator=generator) - 0.2
    first = 0.6 * randn(generator, channels, 1, 3, 3)
    middle = 0.35 * randn(generator, channels, channels, 3, 3)
    last = 0.35 * randn(generator, 1, channels, 3, 3)
    return y, first, middle, last


def _same(x, kernels):
    return conv2d(x, kernels, padding=1)


def _noise_of(y, first, middle, last):
    return _same(torch.relu(_same(torch.relu(_same(y, first)), middle)), last)


def _denoiser(y, first, middle, last):
    """The lab's reference: y − C₃ R(C₂ R(C₁ y))."""
    return y - _noise_of(y, first, middle, last)


def _noise_for_image(y, first, middle, last):
    return _noise_of(y, first, middle, last)


def _noise_added(y, first, middle, last):
    return y + _noise_of(y, first, middle, last)


def _noise_minus_image(y, first, middle, last):
    return _noise_of(y, first, middle, last) - y


def _no_relu(y, first, middle, last):
    return y - _same(_same(_same(y, first), middle), last)


def _first_relu_missing(y, first, middle, last):
    return y - _same(torch.relu(_same(_same(y, first), middle)), last)


def _second_relu_missing(y, first, middle, last):
    return y - _same(_same(torch.relu(_same(y, first)), middle), last)


def _relu_at_the_end(y, first, middle, last):
    return y - torch.relu(_noise_of(y, first, middle, last))


def _relu_of_the_image(y, first, middle, last):
    return torch.relu(_denoiser(y, first, middle, last))


def _clamped_image(y, first, middle, last):
    return _denoiser(y, first, middle, last).clamp(0, 1)


def _relu_first(y, first, middle, last):
    return y - _noise_of(torch.relu(y), first, middle, last)


def _relu_before(y, first, middle, last):
    hidden = _same(torch.relu(y), first)
    return y - _same(torch.relu(_same(torch.relu(hidden), middle)), last)


def _leaky(y, first, middle, last, act=torch.nn.functional.leaky_relu):
    return y - _same(act(_same(act(_same(y, first)), middle)), last)


def _unpadded(y, first, middle, last):
    x = conv2d(torch.relu(conv2d(torch.relu(conv2d(y, first)), middle)), last)
    return y - x  # the shapes do not fit


def _padded_otherwise(y, first, middle, last, mode="circular"):
    def layer(x, kernels):
        return conv2d(pad(x, (1, 1, 1, 1), mode=mode), kernels)

    return y - layer(torch.relu(layer(torch.relu(layer(y, first)), middle)), last)


def _padded_once(y, first, middle, last):
    x = pad(y, (3, 3, 3, 3))
    return y - conv2d(torch.relu(conv2d(torch.relu(conv2d(x, first)), middle)), last)


def _flipped(y, first, middle, last):
    return _denoiser(y, *(k.flip(-1, -2) for k in (first, middle, last)))


def _middle_left_out(y, first, middle, last):
    return y - _same(torch.relu(_same(y, first)), last)


def _middle_twice(y, first, middle, last):
    return y - _same(torch.relu(_same(torch.relu(_same(torch.relu(_same(y, first)), middle)), middle)), last)


def _skip_inside(y, first, middle, last):
    hidden = torch.relu(_same(y, first))
    return y - _same(torch.relu(_same(hidden, middle)) + hidden, last)


def _image_overwritten(y, first, middle, last):
    y = torch.relu(_same(y, first))
    y = torch.relu(_same(y, middle))
    return y - _same(y, last)


def _brighter(y, first, middle, last):
    return [(y, first, middle, last), (2.5 * y, first, middle, last)]


def _in_proportion(arguments, values):
    taken = [a[0].numpy() - value for a, value in zip(arguments, values, strict=True)]
    off = off_by(taken[1], 2.5 * taken[0])
    if not np.abs(taken[0]).max() > 1e-6:
        return "f(y) is y: nothing is taken away"
    return None if off < 1e-3 else f"what is taken from 2.5·y differs from 2.5 times that from y by {100 * off:.0f} %"


def _last_twice(y, first, middle, last):
    return [(y, first, middle, last), (y, first, middle, 2 * last)]


def _takes_twice_as_much(arguments, values):
    y = arguments[0][0].numpy()
    if not np.abs(y - values[0]).max() > 1e-6:
        return "f(y) is y: nothing is taken away"
    off = off_by(y - values[1], 2 * (y - values[0]))
    return None if off < 1e-3 else f"with `last` doubled, y − f(y) is off its double by {100 * min(off, 99):.0f} %"


denoiser = Exercise(
    number=3,
    function="denoiser",
    title="a bias-free denoiser",
    minutes=12,
    value_points=3,
    takes={
        "y": "float32 (batch, 1, height, width): noisy images",
        "first": "float32 (channels, 1, 3, 3): the first layer's kernels",
        "middle": "float32 (channels, channels, 3, 3): the second layer's",
        "last": "float32 (1, channels, 3, 3): the last layer's",
    },
    returns="float32 in the shape of `y`: the denoised images",
    draw=_draw_kernels,
    reference=_denoiser,
    answers=("course_lib.networks.denoisers.DnCNN", "course_lib.networks.denoisers.convolutions"),
    mistakes=(
        Mistake(_noise_for_image, "you return the noise that the layers estimate: the image is y minus it"),
        Mistake(_noise_added, "you add what the layers estimate: it is the noise, so subtract it from y"),
        Mistake(_noise_minus_image, "your difference is turned round: y minus the estimated noise"),
        Mistake(_no_relu, "there is no ReLU: without one, three convolutions are one linear filter for every image"),
        Mistake(_first_relu_missing, "the ReLU after the first convolution is missing"),
        Mistake(_second_relu_missing, "the ReLU after the second convolution is missing"),
        Mistake(
            _relu_at_the_end,
            "there is a ReLU after the last convolution: noise is negative as often as positive, so the last layer has "
            "none",
        ),
        Mistake(
            _relu_of_the_image,
            "you cut the denoised image at 0, or at 1 as well: f is y − CNN(y), and nothing after it",
            also=(_clamped_image,),
        ),
        Mistake(
            _relu_first,
            "your ReLUs stand before the convolutions: y goes into the first one as it is, negative values too",
            also=(_relu_before,),
        ),
        Mistake(
            _leaky,
            "your nonlinearity is no ReLU: `torch.relu` makes negative numbers 0 and leaves the others",
            also=(
                partial(_leaky, act=torch.tanh), partial(_leaky, act=torch.sigmoid),
                partial(_leaky, act=torch.nn.functional.elu), partial(_leaky, act=torch.nn.functional.gelu),
                partial(_leaky, act=torch.abs), partial(_leaky, act=torch.nn.functional.softplus),
            ),
        ),
        Mistake(_unpadded, "your images shrink: with `padding=1` a 3 × 3 convolution keeps their size"),
        Mistake(
            _padded_otherwise,
            "your border is filled with copies of the image: here with zeros, as `padding=1` does",
            also=(partial(_padded_otherwise, mode="reflect"), partial(_padded_otherwise, mode="replicate")),
        ),
        Mistake(
            _padded_once,
            "you pad three pixels once: each convolution has `padding=1` of its own, so hidden borders are 0",
        ),
        Mistake(_flipped, "your kernels are flipped: torch's `conv2d` takes them as they are"),
        Mistake(_middle_left_out, "the second convolution is missing: first, middle, last"),
        Mistake(_middle_twice, "`middle` comes twice: first, middle, last, each once"),
        Mistake(
            _image_overwritten,
            "your layers have overwritten y, so their features are subtracted from: keep the noisy image, and use "
            "another name for what lies between",
        ),
        Mistake(_skip_inside, "you add a hidden layer to the next one: the only skip is y − CNN(y)"),
    ),
    properties=(
        Property(
            "in proportion", "f(αy) should be αf(y) for α > 0.", _brighter, _in_proportion,
        ),
        Property(
            "the last layer", "With the last kernels doubled, twice as much should be taken from y.",
            _last_twice, _takes_twice_as_much,
        ),
    ),
    hints=(
        "Convolution, ReLU, convolution, ReLU, convolution: that is the noise. f is y minus it.",
        "`conv2d(x, kernels, padding=1)` is a layer without a bias, `torch.relu(x)` a ReLU.",
        "`x = torch.relu(conv2d(y, first, padding=1))`, the same with `middle`, then "
        "`y - conv2d(x, last, padding=1)`.",
    ),
    tolerance=1e-3,
    differentiable=("first", "middle", "last", "y"),
)  # fmt: skip


# --- 4. the affine map, by hand -----------------------------------------------------------------------

SIZES = ((4, 9, 3), (6, 8, 5), (3, 7, 4))  # inputs, hidden numbers, outputs: no two alike


def _draw_layers(generator: torch.Generator, index: int) -> Arguments:
    """Hidden numbers of both signs, none near 0, and some that the biases alone decide."""
    inputs, hidden, outputs = SIZES[index]
    y = randn(generator, inputs)
    W1 = randn(generator, hidden, inputs)
    W1y = W1 @ y
    wanted = torch.where(torch.arange(hidden) % 2 == 0, 1.0, -1.0) * (0.5 + torch.rand(hidden, generator=generator))
    b1 = wanted - W1y
    return y, W1, b1, randn(generator, outputs, hidden), randn(generator, outputs)


def _gates(y, W1, b1):
    return (W1 @ y + b1 > 0).to(W1.dtype)


def _affine_map(y, W1, b1, W2, b2):
    """The lab's reference: A_y = W₂ D W₁ and b_y = W₂ D b₁ + b₂."""
    on = _gates(y, W1, b1)
    return W2 @ (on[:, None] * W1), W2 @ (on * b1) + b2


def _gates_without_bias(y, W1, b1, W2, b2):
    on = (W1 @ y > 0).to(W1.dtype)
    return W2 @ (on[:, None] * W1), W2 @ (on * b1) + b2


def _all_on(y, W1, b1, W2, b2):
    return W2 @ W1, W2 @ b1 + b2


def _gates_inverted(y, W1, b1, W2, b2):
    on = 1 - _gates(y, W1, b1)
    return W2 @ (on[:, None] * W1), W2 @ (on * b1) + b2


def _bias_ungated(y, W1, b1, W2, b2):
    return _affine_map(y, W1, b1, W2, b2)[0], W2 @ b1 + b2


def _last_bias_alone(y, W1, b1, W2, b2):
    return _affine_map(y, W1, b1, W2, b2)[0], b2


def _last_bias_forgotten(y, W1, b1, W2, b2):
    A, b = _affine_map(y, W1, b1, W2, b2)
    return A, b - b2


def _value_at_zero(y, W1, b1, W2, b2):
    return _affine_map(y, W1, b1, W2, b2)[0], W2 @ torch.relu(b1) + b2


def _whole_value(y, W1, b1, W2, b2):
    return _affine_map(y, W1, b1, W2, b2)[0], W2 @ torch.relu(W1 @ y + b1) + b2


def _matrix_ungated(y, W1, b1, W2, b2):
    return W2 @ W1, _affine_map(y, W1, b1, W2, b2)[1]


def _product_for_matrix(y, W1, b1, W2, b2):
    A, b = _affine_map(y, W1, b1, W2, b2)
    return A @ y, b


def _exchanged(y, W1, b1, W2, b2):
    return _affine_map(y, W1, b1, W2, b2)[::-1]


def _transposed(y, W1, b1, W2, b2):
    A, b = _affine_map(y, W1, b1, W2, b2)
    return A.T, b


def _hidden_for_gates(y, W1, b1, W2, b2):
    hidden = torch.relu(W1 @ y + b1)
    return W2 @ (hidden[:, None] * W1), W2 @ (hidden * b1) + b2


def _relu_of_weights(y, W1, b1, W2, b2):
    return W2 @ torch.relu(W1), W2 @ torch.relu(b1) + b2


def _gates_on_columns(y, W1, b1, W2, b2):
    on = _gates(y, W1, b1)
    return W2 @ (on * W1), W2 @ (on * b1) + b2  # hidden is not the number of inputs


def _gates_of_truth(y, W1, b1, W2, b2):
    D = torch.diag(W1 @ y + b1 > 0)
    return W2 @ D @ W1, W2 @ D @ b1 + b2


def _gates_of_whole_numbers(y, W1, b1, W2, b2):
    D = torch.diag(torch.where(W1 @ y + b1 > 0, 1, 0))
    return W2 @ D @ W1, W2 @ D @ b1 + b2


def _last_layer_missing(y, W1, b1, W2, b2):
    on = _gates(y, W1, b1)
    return on[:, None] * W1, on * b1 + b2


def _as_it_is(y, W1, b1, W2, b2):
    return [(y, W1, b1, W2, b2)]


def _gives_the_value(arguments, values):
    y, W1, b1, W2, b2 = (a.numpy() for a in arguments[0])
    A, b = values[0]
    wanted = W2 @ np.maximum(W1 @ y + b1, 0) + b2
    off = off_by(A @ y + b, wanted)
    return (
        None if off < 1e-3 else f"A_y y + b_y is {(A @ y + b)[0]:.4g} at the first output, and f(y) is {wanted[0]:.4g}"
    )


def _follows_a_step(arguments, values):
    y, W1, b1, W2, b2 = (a.double().numpy() for a in arguments[0])
    step = 0.02 * np.sign(y)
    moved = W2 @ (np.maximum(W1 @ (y + step) + b1, 0) - np.maximum(W1 @ y + b1, 0))
    off = off_by(values[0][0] @ step, moved)
    return (
        None if off < 1e-3 else f"a step changes f(y) by {moved[0]:.4g} at the first output, not by A_y times the step"
    )


affine_map = Exercise(
    number=4,
    function="affine_map",
    title="the affine map of two layers",
    minutes=15,
    value_points=3,
    takes={
        "y": "float32 (inputs,)",
        "W1": "float32 (hidden, inputs)",
        "b1": "float32 (hidden,)",
        "W2": "float32 (outputs, hidden)",
        "b2": "float32 (outputs,)",
    },
    returns="a tuple: A_y, (outputs, inputs), and b_y, (outputs,)",
    draw=_draw_layers,
    reference=_affine_map,
    answers=("course_lib.networks.local_linear.local_affine_map", "course_lib.networks.local_linear.jacobian"),
    mistakes=(
        Mistake(
            _gates_without_bias,
            "your gates look at W₁y alone: a ReLU sees W₁y + b₁",
        ),
        Mistake(_all_on, "all gates are open: where W₁y + b₁ is negative, the ReLU gives 0"),
        Mistake(_gates_inverted, "your gates are inverted: open where W₁y + b₁ > 0"),
        Mistake(_bias_ungated, "b₁ goes through all gates: only those that are open let it through, W₂ D b₁ + b₂"),
        Mistake(_last_bias_alone, "b₁ is missing in b_y: what passes the gates adds W₂ D b₁"),
        Mistake(_last_bias_forgotten, "b₂ is missing in b_y: W₂ D b₁ + b₂"),
        Mistake(
            _value_at_zero,
            "your b_y is f(0): at 0 other ReLUs are on; b_y is what is left of f(y) when A_y y is taken away",
        ),
        Mistake(_whole_value, "your b_y is f(y) itself: take A_y y away"),
        Mistake(_matrix_ungated, "the gates are missing in A_y: W₂ D W₁"),
        Mistake(_product_for_matrix, "you return A_y y, a vector: A_y is the matrix"),
        Mistake(_exchanged, "your results come in the other order: A_y first, then b_y"),
        Mistake(_transposed, "your A_y is transposed: a row for each output, a column for each input"),
        Mistake(
            _hidden_for_gates,
            "you multiply by the hidden numbers: a gate is 1 or 0, `(W1 @ y + b1 > 0).float()`",
        ),
        Mistake(
            _relu_of_weights,
            "you apply the ReLU to the weights: it acts on W₁y + b₁, and decides which rows of W₁ count",
        ),
        Mistake(
            _gates_of_truth,
            "your gates are True and False, or whole numbers: a matrix product wants `(W1 @ y + b1 > 0).float()`",
            also=(_gates_of_whole_numbers,),
        ),
        Mistake(_last_layer_missing, "W₂ is missing: what passes the gates goes through the second layer too"),
        Mistake(
            _gates_on_columns,
            "your gates multiply the columns of W₁: a gate belongs to a hidden number, a row, `on[:, None] * W1`",
        ),
    ),
    properties=(
        Property(
            "exact", "A_y y + b_y should be f(y).", _as_it_is, _gives_the_value,
        ),
        Property(
            "local", "A small step that turns no ReLU should change f(y) by A_y times the step.",
            _as_it_is, _follows_a_step,
        ),
    ),
    hints=(
        "First decide which hidden numbers are on. With that settled the two layers are two matrices.",
        "`on = (W1 @ y + b1 > 0).float()` has a 1 for each ReLU that passes. D is the diagonal matrix of it.",
        "`A = W2 @ (on[:, None] * W1)` and `b = W2 @ (on * b1) + b2`.",
    ),
)  # fmt: skip


# --- 5. a row of the Jacobian -------------------------------------------------------------------------


def _draw_pixel(generator: torch.Generator, index: int) -> Arguments:
    y, first, middle, last = _draw_kernels(generator, index)
    row, column = ((2, 5), (4, 3), (3, 1))[index]  # never on the diagonal
    return y[:1], first, middle, last, row, column


def _gradient(y, value):
    return torch.autograd.grad(value, y)[0][0, 0]


def _leaf(y):
    return y.detach().clone().requires_grad_(True)


def _adaptive_filter(y, first, middle, last, row, column):
    """The lab's reference: the gradient of one pixel of f(y) by y."""
    y = _leaf(y)
    return _gradient(y, _denoiser(y, first, middle, last)[0, 0, row, column])


def _a_column(y, first, middle, last, row, column):
    unit = torch.zeros_like(y)
    unit[0, 0, row, column] = 1
    return torch.func.jvp(lambda v: _denoiser(v, first, middle, last), (y,), (unit,))[1][0, 0]


def _answer_to_an_impulse(y, first, middle, last, row, column):
    unit = torch.zeros_like(y)
    unit[0, 0, row, column] = 1
    return (_denoiser(y + unit, first, middle, last) - _denoiser(y, first, middle, last))[0, 0]


def _impulse_alone(y, first, middle, last, row, column):
    unit = torch.zeros_like(y)
    unit[0, 0, row, column] = 1
    return _denoiser(unit, first, middle, last)[0, 0]


def _of_the_sum(y, first, middle, last, row, column):
    y = _leaf(y)
    return _gradient(y, _denoiser(y, first, middle, last).sum())


def _of_the_mean(y, first, middle, last, row, column):
    y = _leaf(y)
    return _gradient(y, _denoiser(y, first, middle, last).mean())


def _pixel_exchanged(y, first, middle, last, row, column):
    y = _leaf(y)
    return _gradient(y, _denoiser(y, first, middle, last)[0, 0, column, row])


def _of_the_noise(y, first, middle, last, row, column):
    y = _leaf(y)
    return _gradient(y, _noise_of(y, first, middle, last)[0, 0, row, column])


def _of_minus_the_noise(y, first, middle, last, row, column):
    return -_of_the_noise(y, first, middle, last, row, column)


def _times_the_image(y, first, middle, last, row, column):
    return _adaptive_filter(y, first, middle, last, row, column) * y[0, 0]


def _dimensions_kept(y, first, middle, last, row, column):
    return _adaptive_filter(y, first, middle, last, row, column)[None, None]


def _of_the_square(y, first, middle, last, row, column):
    y = _leaf(y)
    return _gradient(y, _denoiser(y, first, middle, last)[0, 0, row, column] ** 2)


def _one_number(y, first, middle, last, row, column):
    return _adaptive_filter(y, first, middle, last, row, column)[row, column]


def _of_the_row(y, first, middle, last, row, column):
    y = _leaf(y)
    return _gradient(y, _denoiser(y, first, middle, last)[0, 0, row].sum())


def _absolute(y, first, middle, last, row, column):
    return _adaptive_filter(y, first, middle, last, row, column).abs()


def _made_to_sum_to_one(y, first, middle, last, row, column):
    weights = _adaptive_filter(y, first, middle, last, row, column)
    return weights / weights.sum()


def _no_gradient_asked(y, first, middle, last, row, column):
    return _gradient(y, _denoiser(y, first, middle, last)[0, 0, row, column])


def _of_the_whole_image(y, first, middle, last, row, column):
    y = _leaf(y)
    return _gradient(y, _denoiser(y, first, middle, last))


def _pixel_itself(y, first, middle, last, row, column):
    return [(y, first, middle, last, row, column)]


def _weighs_to_the_pixel(arguments, values):
    y, first, middle, last, row, column = arguments[0]
    wanted = float(_denoiser(y, first, middle, last)[0, 0, row, column])
    found = float((values[0] * y[0, 0].numpy()).sum())
    return None if abs(found - wanted) < 1e-3 else f"⟨row, y⟩ is {found:.4g}, and f(y) at the pixel is {wanted:.4g}"


adaptive_filter = Exercise(
    number=5,
    function="adaptive_filter",
    title="a pixel's own filter",
    minutes=12,
    value_points=4,
    takes={
        "y": "float32 (1, 1, height, width): a noisy image",
        "first": "float32 (channels, 1, 3, 3)",
        "middle": "float32 (channels, channels, 3, 3)",
        "last": "float32 (1, channels, 3, 3)",
        "row": "of the pixel of f(y)",
        "column": "of the pixel of f(y)",
    },
    returns="float32 (height, width): the weight of each pixel of y",
    draw=_draw_pixel,
    reference=_adaptive_filter,
    answers=("course_lib.networks.local_linear.adaptive_filter", "course_lib.networks.local_linear.jacobian"),
    mistakes=(
        Mistake(
            _a_column,
            "this is a column of A_y, what pixel (row, column) of y does to all of f(y): a row is the gradient of one "
            "pixel of f(y) by all of y",
            also=(_answer_to_an_impulse,),
        ),
        Mistake(
            _impulse_alone,
            "you denoise an image with one bright pixel: A_y belongs to y, so take the gradient at y",
        ),
        Mistake(
            _of_the_sum,
            "you take the gradient of many pixels' sum, which adds up their rows: take it of pixel (row, column) alone",
            also=(_of_the_mean, _of_the_row),
        ),
        Mistake(
            _no_gradient_asked,
            "autograd does not know that y varies (or your denoiser cuts it off): begin with "
            "`y = y.clone().requires_grad_(True)`",
        ),
        Mistake(
            _of_the_whole_image,
            "autograd takes the gradient of one number: pick the pixel `[0, 0, row, column]` of f(y) first",
        ),
        Mistake(_pixel_exchanged, "row and column have changed places: the pixel is `[0, 0, row, column]`"),
        Mistake(
            _of_the_noise,
            "you differentiate the estimated noise: f(y) is y minus it, so the pixel itself has a weight too",
            also=(_of_minus_the_noise,),
        ),
        Mistake(_times_the_image, "you multiply by y: the weights alone are wanted"),
        Mistake(_dimensions_kept, "your result has the shape (1, 1, height, width): take `[0, 0]`"),
        Mistake(_of_the_square, "you differentiate the squared pixel: take the pixel itself"),
        Mistake(_one_number, "you return one weight: all of them, an image, are wanted"),
        Mistake(_absolute, "your weights have lost their signs: some are negative"),
        Mistake(_made_to_sum_to_one, "you scale the weights to a sum of 1: leave them as they are"),
    ),
    properties=(
        Property(
            "weighs to the pixel", "⟨row, y⟩ should be the pixel of f(y).", _pixel_itself, _weighs_to_the_pixel,
        ),
    ),
    hints=(
        "How does one number, a pixel of f(y), change with every pixel of y? That is a gradient.",
        "Autograd needs to know: `y = y.clone().requires_grad_(True)`. Then run your denoiser and pick the pixel.",
        "`torch.autograd.grad(denoiser(y, first, middle, last)[0, 0, row, column], y)[0][0, 0]`.",
    ),
    tolerance=1e-3,
)  # fmt: skip


# --- 6. the subspace that is kept ---------------------------------------------------------------------


def _draw_matrix(generator: torch.Generator, index: int) -> Arguments:
    """U S Vᵀ with singular values from 1 to 0, Σ s² a little above or below a half, and a gap after those kept."""
    size, kept, rest = ((9, 4, 0.7), (12, 6, 0.2), (10, 3, 0.8))[index]
    U, V = (torch.linalg.qr(randn(generator, size, size)).Q for _ in range(2))
    large = torch.linspace(1.02, 0.8, kept)
    small = torch.linspace(0.42, 0.05, size - kept)
    target = kept + rest  # Σ s²; rounded it is kept or kept + 1
    small = small * ((target - large.square().sum()) / small.square().sum()).sqrt()
    if small[0] > 0.75:
        small = small.clamp(max=0.75)
    S = torch.cat([large, small])
    return ((U * S) @ V.T,)


def _kept_subspace(A):
    """The lab's reference: Σ s², and the projector on that many of the first left singular vectors."""
    U, S, _ = torch.linalg.svd(A)
    dimension = S.square().sum()
    kept = U[:, : int(dimension.round())]
    return dimension, kept @ kept.T


def _subspace(A, dimension, basis=lambda U, S, Vh: U):
    U, S, Vh = torch.linalg.svd(A)
    d = dimension(S)
    kept = basis(U, S, Vh)[:, : round(float(d))]
    return d, kept @ kept.T


def _sum_of_values(A):
    return _subspace(A, lambda S: S.sum())


def _counted(A):
    return _subspace(A, lambda S: (S > 0.5).sum().to(A.dtype))


def _root_of_the_sum(A):
    return _subspace(A, lambda S: S.square().sum().sqrt())


def _trace(A):
    return _subspace(A, lambda S: torch.trace(A))


def _rank(A):
    return _subspace(A, lambda S: torch.tensor(float(len(S))))


def _mean_of_squares(A):
    return _subspace(A, lambda S: S.square().mean())


def _right_vectors(A):
    return _subspace(A, lambda S: S.square().sum(), lambda U, S, Vh: Vh.T)


def _rows_of_u(A):
    return _subspace(A, lambda S: S.square().sum(), lambda U, S, Vh: U.T)


def _rows_of_vh(A):
    return _subspace(A, lambda S: S.square().sum(), lambda U, S, Vh: Vh)


def _last_vectors(A):
    return _subspace(A, lambda S: S.square().sum(), lambda U, S, Vh: U.flip(1))


def _rounded_down(A, how=math.floor):
    U, S, _ = torch.linalg.svd(A)
    dimension = S.square().sum()
    kept = U[:, : how(float(dimension))]
    return dimension, kept @ kept.T


def _projector(axes):
    return axes @ axes.T


def _sliced_by_a_tensor(A):
    U, S, _ = torch.linalg.svd(A)
    dimension = S.square().sum()
    return dimension, _projector(U[:, :dimension])


def _sliced_by_a_rounded_tensor(A):
    U, S, _ = torch.linalg.svd(A)
    dimension = S.square().sum()
    return dimension, _projector(U[:, : dimension.round()])


def _rounded_by_python(A):
    dimension = torch.linalg.svdvals(A).square().sum()
    return dimension, _projector(A[:, : round(dimension)])


def _axes_themselves(A):
    U, S, _ = torch.linalg.svd(A)
    dimension = S.square().sum()
    return dimension, U[:, : int(dimension.round())]


def _inner_products(A):
    U, S, _ = torch.linalg.svd(A)
    dimension = S.square().sum()
    kept = U[:, : int(dimension.round())]
    return dimension, kept.T @ kept


def _cut_matrix(A):
    U, S, Vh = torch.linalg.svd(A)
    dimension = S.square().sum()
    d = int(dimension.round())
    return dimension, (U[:, :d] * S[:d]) @ Vh[:d]


def _weighted_projector(A, power=1):
    U, S, _ = torch.linalg.svd(A)
    dimension = S.square().sum()
    d = int(dimension.round())
    return dimension, (U[:, :d] * S[:d] ** power) @ U[:, :d].T


def _dimension_rounded(A):
    dimension, projector = _kept_subspace(A)
    return dimension.round(), projector


def _eigenvectors(A):
    values, vectors = torch.linalg.eigh((A + A.T) / 2)
    dimension = A.square().sum()
    kept = vectors.flip(1)[:, : int(dimension.round())]
    return dimension, kept @ kept.T


def _results_exchanged(A):
    return _kept_subspace(A)[::-1]


def _alone(A):
    return [(A,)]


def _a_projector(arguments, values):
    dimension, P = values[0]
    if off_by(P @ P, P) > 1e-3 or off_by(P.T, P) > 1e-3:
        return "the second result is no orthogonal projector: P P = P and Pᵀ = P do not hold"
    found = float(np.trace(P))
    if abs(found - round(float(dimension))) > 1e-2:
        return f"the projector's trace, its dimension, is {found:.3g}, and Σ s² rounds to {round(float(dimension))}"
    return None


kept_subspace = Exercise(
    number=6,
    function="kept_subspace",
    title="the subspace that is kept",
    minutes=12,
    value_points=4,
    takes={"A": "float32 (n, n): the Jacobian of a denoiser at a patch of n pixels"},
    returns="a tuple: Σ s², a number, and P, (n, n), the projector on the first round(Σ s²) left singular vectors",
    draw=_draw_matrix,
    reference=_kept_subspace,
    answers=("course_lib.networks.local_linear.effective_dimension",),
    mistakes=(
        Mistake(_sum_of_values, "you add up s: the effective dimension is the sum of s squared"),
        Mistake(
            _counted,
            "you count the large singular values: the effective dimension is Σ s², which needs no threshold",
        ),
        Mistake(_root_of_the_sum, "you take the root of Σ s²: that is the norm of A, the dimension is its square"),
        Mistake(
            _trace,
            "you take the trace of A: a sum of eigenvalues; singular values are never negative, and A is not symmetric",
        ),
        Mistake(
            _rank,
            "you keep all n directions: the dimension is Σ s² (does your line read `U, S, Vh = torch.linalg.svd(A)`, "
            "in this order?)",
        ),
        Mistake(_mean_of_squares, "you take the mean of s²: the dimension is their sum"),
        Mistake(
            _right_vectors,
            "these are right singular vectors, what A_y looks at: what it can return is spanned by the left ones, U",
            also=(_rows_of_vh,),
        ),
        Mistake(_rows_of_u, "you keep rows of U: singular vectors are its columns, `U[:, :d]`"),
        Mistake(_last_vectors, "you keep the last vectors, of the smallest singular values: the first are the largest"),
        Mistake(
            _rounded_down,
            "you go down, or up, to a whole number: round the dimension, so that 4.7 gives 5 and 6.2 gives 6",
            also=(partial(_rounded_down, how=math.ceil),),
        ),
        Mistake(_axes_themselves, "you return the axes: the projector on them is `axes @ axes.T`"),
        Mistake(
            _inner_products,
            "you return an identity matrix: with columns, `axes = U[:, :d]`, the projector is `axes @ axes.T`, (n, n)",
        ),
        Mistake(
            _sliced_by_a_tensor,
            "a slice wants a whole number of Python's, not a tensor: `int(dimension.round())`",
            also=(_sliced_by_a_rounded_tensor, _rounded_by_python),
        ),
        Mistake(
            _cut_matrix,
            "you return A with its small singular values cut off: the projector has no singular values in it, U Uᵀ",
        ),
        Mistake(
            _weighted_projector,
            "your directions are weighted by s: a projector keeps each of them whole",
            also=(partial(_weighted_projector, power=2),),
        ),
        Mistake(_dimension_rounded, "the first result is rounded: return Σ s² as it is, and round for the projector"),
        Mistake(_eigenvectors, "these are eigenvectors of the symmetric part: take left singular vectors of A"),
        Mistake(_results_exchanged, "your results come in the other order: first Σ s², then the projector"),
    ),
    properties=(
        Property(
            "a projector", "P should be an orthogonal projector of as many dimensions as Σ s² rounds to.",
            _alone, _a_projector,
        ),
    ),
    hints=(
        "`U, S, Vh = torch.linalg.svd(A)`: singular values in falling order, left singular vectors as columns of U.",
        "`dimension = S.square().sum()`; as a whole number, `int(dimension.round())`.",
        "`axes = U[:, :int(dimension.round())]`, and `return dimension, axes @ axes.T`.",
    ),
    tolerance=1e-3,
)  # fmt: skip


# --- 7. nestedness ------------------------------------------------------------------------------------


def _draw_subspaces(generator: torch.Generator, index: int) -> Arguments:
    size, many, few = ((10, 6, 3), (12, 5, 4), (9, 6, 2))[index]
    outer = torch.linalg.qr(randn(generator, size, many)).Q
    mixed = outer[:, :few] + (0.25, 0.5, 0.9)[index] * randn(generator, size, few) / 2
    return _projector(torch.linalg.qr(mixed).Q), _projector(outer)


def _overlap(inner, outer):
    return torch.trace(outer @ inner)


def _nestedness(inner, outer):
    """The lab's reference: √(tr(P_outer P_inner) / tr P_inner)."""
    return (_overlap(inner, outer) / torch.trace(inner)).sqrt()


def _root_forgotten(inner, outer):
    return _overlap(inner, outer) / torch.trace(inner)


def _over_the_outer(inner, outer):
    return (_overlap(inner, outer) / torch.trace(outer)).sqrt()


def _over_both(inner, outer):
    return (_overlap(inner, outer) / (torch.trace(inner) * torch.trace(outer)).sqrt()).sqrt()


def _cosine_of_matrices(inner, outer):
    return (inner * outer).sum() / (inner.norm() * outer.norm())


def _not_divided_at_all(inner, outer):
    return _overlap(inner, outer).sqrt()


def _over_the_pixels(inner, outer):
    return (_overlap(inner, outer) / len(inner)).sqrt()


def _best_direction(inner, outer):
    return torch.linalg.matrix_norm(outer @ inner, ord=2)


def _largest_sum(inner, outer):
    return torch.linalg.svdvals(outer @ inner).sum() / torch.trace(inner)


def _norm_over_dimension(inner, outer):
    return (outer @ inner).norm() / torch.trace(inner)


def _difference(inner, outer):
    return 1 - (outer @ inner - inner).norm() / inner.norm()


def _what_is_outside(inner, outer):
    return ((torch.trace(inner) - _overlap(inner, outer)) / torch.trace(inner)).clamp(min=0).sqrt()


def _elementwise_trace(inner, outer):
    return ((torch.diag(inner) * torch.diag(outer)).sum() / torch.trace(inner)).sqrt()


def _inside(inner, outer):
    return [(outer, outer), (inner, torch.eye(len(inner)))]


def _is_one(arguments, values):
    found = [float(value) for value in values]
    worst = max(found, key=lambda value: abs(value - 1))
    return None if abs(worst - 1) < 1e-3 else f"for a subspace that lies in the other the result is {worst:.4g}, not 1"


def _and_the_rest(inner, outer):
    return [(inner, outer), (inner, torch.eye(len(outer)) - outer)]


def _like_pythagoras(arguments, values):
    found = sum(float(value) ** 2 for value in values)
    return None if abs(found - 1) < 2e-3 else f"the two squares add up to {found:.4g}"


nestedness = Exercise(
    number=7,
    function="nestedness",
    title="nestedness",
    minutes=10,
    value_points=3,
    takes={
        "inner": "float32 (n, n): the projector on the smaller subspace",
        "outer": "float32 (n, n): the projector on the larger one",
    },
    returns="a number from 0 to 1",
    draw=_draw_subspaces,
    reference=_nestedness,
    answers=("course_lib.networks.local_linear.nestedness",),
    mistakes=(
        Mistake(_root_forgotten, "the root is missing: this is the mean squared cosine, its root is the measure"),
        Mistake(
            _over_the_outer,
            "you divide by the dimension of the larger subspace: the question is how much of the *smaller* one lies in "
            "it",
            also=(_over_both,),
        ),
        Mistake(
            _cosine_of_matrices,
            "this is the cosine between the two matrices, taken as long vectors: take that between the directions of "
            "the smaller subspace and their shadows",
        ),
        Mistake(_not_divided_at_all, "nothing is divided: the mean is over the dimensions of `inner`, its trace"),
        Mistake(_over_the_pixels, "you divide by the number of pixels: divide by the dimension of `inner`, its trace"),
        Mistake(
            _best_direction,
            "this is the cosine of the best direction alone: take the root mean square over all of `inner`",
        ),
        Mistake(_largest_sum, "this is the mean cosine: square them, take the mean, then the root"),
        Mistake(
            _norm_over_dimension,
            "the dimension stands outside the root: ‖P_outer P_inner‖² / dimension, then the root of both",
        ),
        Mistake(_difference, "one minus the part outside is another measure: √(‖P_outer P_inner‖² / dimension)"),
        Mistake(_what_is_outside, "this is what lies outside: 0 for a subspace that lies inside, and it should be 1"),
        Mistake(
            _elementwise_trace,
            "you multiply the diagonals: the trace of the matrix product `outer @ inner` is wanted",
        ),
    ),
    properties=(
        Property("inside", "A subspace inside the other should give 1.", _inside, _is_one),
        Property(
            "Pythagoras",
            "The squares for a subspace and for all that is at right angles to it should add up to 1.",
            _and_the_rest,
            _like_pythagoras,
        ),
    ),
    hints=(
        "The shadow of `inner` in `outer` is `outer @ inner`. How long is it, in squares, over all directions?",
        "‖P_outer P_inner‖² is the sum of the squared cosines; `inner` has as many directions as its trace says.",
        "`((outer @ inner).square().sum() / torch.trace(inner)).sqrt()`.",
    ),
    tolerance=1e-3,
)


LAB = Lab(
    module="04_blind_denoising",
    title="04 Blind denoising",
    exercises=(blind_batch, bias_free_norm, denoiser, affine_map, adaptive_filter, kept_subspace, nestedness),
    open_questions=(
        OpenQuestion(
            number=8,
            name="scaling_and_shifting",
            title="what bias-free means",
            minutes=20,
            points=4,
            marking=(
                "reads the scaling table: α = 1/3 or less mends DnCNN, nearly up to BF-DnCNN, because the noise is "
                "then one it knows; BF-DnCNN does not change, since f(αy) = αf(y) exactly (1)",
                "sees that α has a window that depends on σ, which a blind denoiser is not told, and that small α cost "
                "something at 10/255; and that contrast falls with the noise, so αy is no image at 30/255 (1)",
                "reads the brightness table by f(y + c) − c = A y + c(A1 − 1): indifferent upwards, where rows sum to "
                "nearly 1, which was learned; worse where pixels turn negative, unknown to training (1)",
                "says what the study does not show, such as two images, one noise, no reason why biases overfit (1)",
            ),
        ),
    ),
)
progress = LAB.progress
