"""The exercises of module 05: X-ray noise, dilation, quality metrics, SURE, and whether small spots are seen."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import numpy as np
import torch
from torch.nn.functional import conv2d, pad

from course_lib.exercises.calls import Arguments
from course_lib.exercises.drawing import off_by, rand, randn
from course_lib.exercises.exercise import Exercise, Mistake, Property
from course_lib.exercises.lab import Lab, OpenQuestion

# --- 1. the noise of the attenuation image ------------------------------------------------------------

SIZES = ((4, 5), (6, 3), (5, 5))


def _draw_counts_mean(generator: torch.Generator, index: int) -> Arguments:
    """From some 5 photons to some 3000, so that the electronic noise counts in dark places and not in bright ones."""
    counts = torch.exp(1.6 + 6.4 * rand(generator, *SIZES[index]))
    return counts, (4.0, 2.5, 7.0)[index] + float(rand(generator, 1))


def _image_noise(counts_mean, electronic_noise):
    """The lab's reference: the noise of the counts times the slope of the logarithm, √(λ + σₑ²)/(3λ)."""
    return (counts_mean + electronic_noise**2).sqrt() / (3 * counts_mean)


def _electronic_unsquared(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise).sqrt() / (3 * counts_mean)


def _photons_alone(counts_mean, electronic_noise):
    return 1 / (3 * counts_mean.sqrt())


def _electronics_alone(counts_mean, electronic_noise):
    return electronic_noise / (3 * counts_mean)


def _noise_root_missing(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2) / (3 * counts_mean)


def _three_missing(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2).sqrt() / counts_mean


def _three_multiplied(counts_mean, electronic_noise):
    return 3 * (counts_mean + electronic_noise**2).sqrt() / counts_mean


def _precedence(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2).sqrt() / 3 * counts_mean


def _noise_of_counts(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2).sqrt()


def _slope_of_a_line(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2).sqrt() / 3


def _deviations_added(counts_mean, electronic_noise):
    return (counts_mean.sqrt() + electronic_noise) / (3 * counts_mean)


def _as_variance(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2) / (3 * counts_mean) ** 2


def _divided_by_root(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2).sqrt() / (3 * counts_mean.sqrt())


def _mean_as_deviation(counts_mean, electronic_noise):
    return (counts_mean**2 + electronic_noise**2).sqrt() / (3 * counts_mean)


def _one_over_root(counts_mean, electronic_noise):
    return 1 / (3 * (counts_mean + electronic_noise**2).sqrt())


def _negative_noise(counts_mean, electronic_noise):
    return -_image_noise(counts_mean, electronic_noise)


def _logarithm_of_noise(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2).sqrt().log() / 3


def _slope_on_photons_alone(counts_mean, electronic_noise, add_squares=True):
    photons = 1 / (3 * counts_mean.sqrt())
    return (photons**2 + electronic_noise**2).sqrt() if add_squares else photons + electronic_noise


def _halved_not_rooted(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2) ** 1 / 2 / (3 * counts_mean)


def _whole_number_division(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise**2).sqrt() // (3 * counts_mean)


def _another_divisor(counts_mean, electronic_noise, divisor=9.0):
    return (counts_mean + electronic_noise**2).sqrt() / (divisor * counts_mean)


def _root_of_the_quotient(counts_mean, electronic_noise):
    return ((counts_mean + electronic_noise**2) / (3 * counts_mean)).sqrt()


def _root_of_one_number(counts_mean, electronic_noise):
    return math.sqrt(counts_mean + electronic_noise**2) / (3 * counts_mean)


def _hat_for_a_power(counts_mean, electronic_noise):
    return (counts_mean + (electronic_noise ^ 2)).sqrt() / (3 * counts_mean)


def _hat_for_the_power_of_a_sum(counts_mean, electronic_noise):
    return (counts_mean + electronic_noise ^ 2).sqrt() / (3 * counts_mean)


def _sigma_fixed(counts_mean, electronic_noise, sigma=4.0):
    return _image_noise(counts_mean, sigma)


def _four_times_the_photons(counts_mean, electronic_noise):
    return [(counts_mean, 0.0), (4 * counts_mean, 0.0)]


def _half_the_noise(arguments, values):
    off = off_by(2 * values[1], values[0])
    if off < 1e-3 and (values[0] > 0).all():
        return None
    ratio = float(values[1].flat[0] / values[0].flat[0])
    return f"with σₑ = 0 and four times the photons the noise is multiplied by {ratio:.3g}, not by 0.5"


def _with_and_without_electronics(counts_mean, electronic_noise):
    return [(counts_mean, 0.0), (counts_mean, electronic_noise), (counts_mean, 2 * electronic_noise)]


def _squares_add(arguments, values):
    none, once, twice = (v.astype(np.float64) ** 2 for v in values)
    off = off_by(twice - none, 4 * (once - none))
    if (once > none).all() and off < 1e-2:
        return None
    return "the square of the noise does not grow by four times as much when σₑ is doubled"


image_noise = Exercise(
    number=1,
    function="image_noise",
    title="the noise of an X-ray image",
    minutes=10,
    value_points=3,
    takes={
        "counts_mean": "float32 (height, width), above 0: λ, the mean number of photons of each pixel",
        "electronic_noise": "σₑ, the standard deviation of the detector's own noise, in photons",
    },
    returns="float32 (height, width): the standard deviation of the attenuation image",
    draw=_draw_counts_mean,
    reference=_image_noise,
    answers=("course_lib.physics.xray.attenuation_noise",),
    mistakes=(
        Mistake(
            _electronic_unsquared,
            "you add σₑ to a variance: variances add, so square it, λ + σₑ²",
        ),
        Mistake(
            _photons_alone,
            "the detector's own noise is missing: the variance of the counts is λ + σₑ²",
        ),
        Mistake(
            _electronics_alone,
            "the noise of the photons is missing: a Poisson number of mean λ has the variance λ",
        ),
        Mistake(
            _noise_root_missing,
            "your counts have a variance where a standard deviation is wanted: take the root of λ + σₑ²",
        ),
        Mistake(
            _three_missing,
            "the 3 is missing: the image is −ln(counts/dose)/3, so its noise is divided by 3 as well",
        ),
        Mistake(_three_multiplied, "you multiply by 3: the image is −ln(counts/dose) divided by 3"),
        Mistake(
            _precedence,
            "Python reads `a / 3 * b` from the left, so you multiply by λ: put the denominator in brackets, "
            "`/ (3 * counts_mean)`",
        ),
        Mistake(
            _noise_of_counts,
            "this is the noise of the counts: the image is a logarithm of them, so divide by 3λ",
        ),
        Mistake(
            _slope_of_a_line,
            "the slope of the logarithm is missing: it is 1/λ, so divide by `counts_mean` too",
        ),
        Mistake(_deviations_added, "you add standard deviations: of independent noise the variances add, √(λ + σₑ²)"),
        Mistake(_as_variance, "this is the variance of the image: its root, the standard deviation, is wanted"),
        Mistake(_divided_by_root, "you divide by √λ: the slope of the logarithm is 1/λ, without a root"),
        Mistake(
            _mean_as_deviation,
            "you take λ as the photons' standard deviation: it is their variance, so leave it unsquared",
        ),
        Mistake(
            _one_over_root,
            "your λ + σₑ² stands below the line: it belongs above, and the slope 1/(3λ) knows nothing of σₑ",
        ),
        Mistake(
            _negative_noise,
            "your result is negative: a falling logarithm has a negative slope, but take its size",
        ),
        Mistake(
            _logarithm_of_noise,
            "you take the logarithm of the noise: small noise is multiplied by the *slope* of the logarithm, 1/λ",
        ),
        Mistake(
            _slope_on_photons_alone,
            "only the photons' noise is multiplied by the slope 1/(3λ): σₑ passes through the logarithm as well, so "
            "add λ + σₑ² first, then divide by 3λ",
            also=(partial(_slope_on_photons_alone, add_squares=False),),
        ),
        Mistake(
            _halved_not_rooted,
            "Python reads `a**1 / 2` as half of a, which is no root: write `** 0.5`, `** (1 / 2)` or `.sqrt()`",
        ),
        Mistake(
            _whole_number_division,
            "your values are all 0: `//` divides and rounds down to whole numbers, so write a single `/`",
        ),
        Mistake(
            _another_divisor,
            "your 3 has become another number: the image is −ln(counts/dose)/3, so its noise is divided by 3λ exactly, "
            "outside the root",
            also=tuple(partial(_another_divisor, divisor=d) for d in (math.sqrt(3), 27.0)),
        ),
        Mistake(
            _root_of_the_quotient,
            "your root covers the denominator too: only λ + σₑ² stands under it, and 3λ divides as it is",
        ),
        Mistake(
            _root_of_one_number,
            "`math.sqrt`, `float` and `int` take a single number, and this is an image: its root is `torch.sqrt(...)` "
            "or `.sqrt()`",
        ),
        Mistake(
            _hat_for_a_power,
            "`^` is no power in Python: σₑ² is `electronic_noise**2`, with two stars",
            also=(_hat_for_the_power_of_a_sum,),
        ),
        Mistake(
            _sigma_fixed,
            "your σₑ is a fixed number: another detector has another noise, so use the argument `electronic_noise`",
            also=tuple(partial(_sigma_fixed, sigma=v) for v in (2.0, 3.0, 5.0)),
        ),
    ),
    properties=(
        Property(
            "four times the photons", "Without electronic noise, four times the photons should halve the noise.",
            _four_times_the_photons, _half_the_noise,
        ),
        Property(
            "variances add", "Photons and electronics should add their variances.",
            _with_and_without_electronics, _squares_add,
        ),
    ),
    hints=(
        "Two steps: the standard deviation of the counts, and what −ln(counts/dose)/3 makes of a small change of them.",
        "The counts have the variance λ + σₑ². The slope of −ln(λ/dose)/3 by λ is −1/(3λ); its size counts.",
        "`(counts_mean + electronic_noise**2).sqrt() / (3 * counts_mean)`.",
    ),
)  # fmt: skip


# --- 2. variance stabilisation ------------------------------------------------------------------------


def _draw_counts(generator: torch.Generator, index: int) -> Arguments:
    """Few photons, where each constant counts; none of them below 0, which one of the properties asks for."""
    counts = 12 * rand(generator, *SIZES[index]) ** 2 + 0.2
    return counts, (1.4, 0.7, 2.2)[index] + 0.3 * float(rand(generator, 1))


def _stabilise(counts, electronic_noise):
    """The lab's reference: 2·√(y + 3/8 + σₑ²), and 0 where there is no root."""
    return 2 * (counts + 3 / 8 + electronic_noise**2).clamp(min=0).sqrt()


def _root_of(counts, electronic_noise, constant=3 / 8, variance=lambda s: s**2, factor=2.0):
    return factor * (counts + constant + variance(electronic_noise)).clamp(min=0).sqrt()


def _two_missing(counts, electronic_noise, factor=1.0):
    return _root_of(counts, electronic_noise, factor=factor)


def _two_under_the_root(counts, electronic_noise):
    return _root_of(counts, electronic_noise, factor=math.sqrt(2))


def _plain_root(counts, electronic_noise):
    return _root_of(counts, electronic_noise, constant=0.0)


def _constant_outside(counts, electronic_noise):
    return _plain_root(counts, electronic_noise) + 3 / 8


def _another_constant(counts, electronic_noise, constant=1 / 8):
    return _root_of(counts, electronic_noise, constant)


def _sigma_unsquared(counts, electronic_noise):
    return _root_of(counts, electronic_noise, variance=lambda s: s)


def _sigma_missing(counts, electronic_noise):
    return _root_of(counts, electronic_noise, variance=lambda s: 0.0)


def _both_missing(counts, electronic_noise):
    return 2 * counts.clamp(min=0).sqrt()


def _sigma_outside(counts, electronic_noise, power=1):
    return _sigma_missing(counts, electronic_noise) + electronic_noise**power


def _sigma_doubled(counts, electronic_noise):
    return _root_of(counts, electronic_noise, variance=lambda s: 2 * s)


def _sigma_divides(counts, electronic_noise):
    return _sigma_missing(counts, electronic_noise) / electronic_noise


def _root_missing(counts, electronic_noise):
    return 2 * (counts + 3 / 8 + electronic_noise**2)


def _logarithm(counts, electronic_noise, factor=2.0):
    return factor * (counts + 3 / 8 + electronic_noise**2).log()


def _divided_by_deviation(counts, electronic_noise):
    return counts / (counts + electronic_noise**2).sqrt()


def _inverse(counts, electronic_noise):
    return counts.square() / 4 - 3 / 8 - electronic_noise**2


def _rooted_by(counts, electronic_noise, root):
    """2√(…) with another way to keep numbers below 0 out of the root, one that does not work."""
    return 2 * root(counts + 3 / 8 + electronic_noise**2)


def _compared_as_one(counts, electronic_noise):
    return _rooted_by(counts, electronic_noise, lambda v: max(v, 0).sqrt())


def _maximum_along_an_axis(counts, electronic_noise, root=lambda v: torch.max(v, 0).sqrt()):
    return _rooted_by(counts, electronic_noise, root)


def _maximum_with_a_number(counts, electronic_noise, root=lambda v: torch.maximum(v, 0).sqrt()):
    return _rooted_by(counts, electronic_noise, root)


def _root_of_a_number(counts, electronic_noise):
    return _rooted_by(counts, electronic_noise, math.sqrt)


def _hat_of_sigma(counts, electronic_noise):
    return 2 * (counts + 3 / 8 + (electronic_noise ^ 2)).clamp(min=0).sqrt()


def _hat_of_a_sum(counts, electronic_noise):
    return 2 * (counts + 3 / 8 + electronic_noise ^ 2).clamp(min=0).sqrt()


def _constant_rounded(counts, electronic_noise, constant=0.38):
    return _root_of(counts, electronic_noise, constant)


def _half_of_the_power(counts, electronic_noise, factor=2):
    return factor * (counts + 3 / 8 + electronic_noise**2) ** 1 / 2


def _one_deviation_for_all(counts, electronic_noise, of=lambda y, v: (y, y)):
    up, down = of(counts, counts + 3 / 8 + electronic_noise**2)
    return up / down.std()


def _counts_made_whole(counts, electronic_noise, whole=torch.trunc):
    return _stabilise(whole(counts), electronic_noise)


def _many_counts(counts, electronic_noise):
    """Noisy counts of two means, always the same ones, so that a check does not depend on luck."""
    sigma = 3.0
    calls = []
    for mean in (30.0, 300.0):
        generator = torch.Generator().manual_seed(int(mean))
        y = torch.poisson(torch.full((100, 100), mean), generator=generator)
        calls.append((y + sigma * torch.randn(y.shape, generator=generator), sigma))
    return calls


def _unit_deviation(arguments, values):
    for mean, value in zip((30, 300), values, strict=True):
        found = float(value.std())
        if value.shape != (100, 100) or abs(found - 1) > 0.05:
            return f"10,000 counts of mean {mean}, with σₑ = 3, are left with the standard deviation {found:.3g}"
    return None


def _below_zero(counts, electronic_noise):
    """Around the place where y + 3/8 + σₑ² is 0: electronics makes such counts."""
    return [(torch.tensor([[-40.0, -9.5, -9.0, -4.0, -1.0, 0.0]]), 3.0)]


def _continues_below_zero(arguments, values):
    counts, sigma = arguments[0]
    wanted = _stabilise(counts, sigma).numpy()
    if values[0].shape != wanted.shape:
        return f"the result has the shape {values[0].shape} for counts of the shape {wanted.shape}"
    worst = int(np.argmax(np.abs(values[0] - wanted)[0]))
    found, right = float(values[0][0, worst]), float(wanted[0, worst])
    if abs(found - right) < 1e-3:
        return None
    return f"a count of {float(counts[0, worst]):g} with σₑ = 3 gives {found:.4g}, and should give {right:.4g}"


stabilise = Exercise(
    number=2,
    function="stabilise",
    title="noise that is equal everywhere",
    minutes=10,
    value_points=3,
    takes={
        "counts": "float32 (height, width): y, what the detector reads, in photons",
        "electronic_noise": "σₑ, the standard deviation of the detector's own noise, in photons",
    },
    returns="float32 (height, width): 2√(y + 3/8 + σₑ²), and 0 where there is no root",
    draw=_draw_counts,
    reference=_stabilise,
    answers=("course_lib.classical.anscombe_transform.anscombe",),
    mistakes=(
        Mistake(
            _two_missing, "the factor 2 before the root is missing or another one: it makes the variance 1, not 1/4",
            also=(partial(_two_missing, factor=0.5), partial(_two_missing, factor=4.0)),
        ),
        Mistake(_two_under_the_root, "your 2 stands under the root: it multiplies the root"),
        Mistake(_plain_root, "3/8 is missing under the root: without it the variance is off where photons are few"),
        Mistake(_constant_outside, "your 3/8 stands outside the root: it is added to the counts"),
        Mistake(
            _another_constant,
            "your constant is another one: Anscombe's is 3/8 (1/8 belongs to the way back)",
            also=tuple(partial(_another_constant, constant=c) for c in (0.5, 1.0, 8 / 3, 3.8, -3 / 8)),
        ),
        Mistake(_sigma_unsquared, "you add σₑ under the root: it takes the variance, σₑ²"),
        Mistake(_sigma_doubled, "you double σₑ: under the root stands its square, `electronic_noise**2`"),
        Mistake(
            _sigma_missing,
            "the electronic noise does not take part: under the root stands y + 3/8 + σₑ²",
        ),
        Mistake(_both_missing, "you take 2√y: under the root 3/8 and σₑ² are added to y"),
        Mistake(
            _sigma_outside,
            "you add the electronic noise outside the root: it belongs under it, as σₑ²",
            also=(partial(_sigma_outside, power=2),),
        ),
        Mistake(_sigma_divides, "you divide by σₑ: the electronic noise is added under the root, as σₑ²"),
        Mistake(
            _root_missing,
            "the root is missing: it is the root that bends the counts so that their noise becomes equal",
        ),
        Mistake(
            _logarithm,
            "you take the logarithm: it suits noise in proportion to the mean; that of photons grows like a root, so "
            "take the root",
            also=(partial(_logarithm, factor=1.0),),
        ),
        Mistake(
            _divided_by_deviation,
            "you divide each count by its noise: that also bends the mean, and a noisy count is no good judge of its "
            "own noise; take 2√(y + 3/8 + σₑ²)",
        ),
        Mistake(_inverse, "this is the way back, from roots to counts: here you go from counts to roots"),
        Mistake(
            _compared_as_one,
            "Python's `max` and `if` want a single yes or no, and an image gives one for each pixel: `.clamp(min=0)` "
            "sets every negative number to 0",
        ),
        Mistake(
            _maximum_along_an_axis,
            "`torch.max(v, 0)` looks for the largest number along axis 0 and returns a pair: `.clamp(min=0)` compares "
            "each pixel with 0",
            also=tuple(
                partial(_maximum_along_an_axis, root=root)
                for root in (
                    lambda v: torch.sqrt(torch.max(v, 0)), lambda v: torch.max(v, 0) ** 0.5,
                    lambda v: torch.max(v, 0).values.sqrt(),
                )
            ),
        ),
        Mistake(
            _maximum_with_a_number,
            "torch's maximum compares two tensors, and 0 is a plain number: `.clamp(min=0)` takes one",
            also=(
                partial(_maximum_with_a_number, root=lambda v: torch.max(v, 0.0).sqrt()),
                partial(_maximum_with_a_number, root=lambda v: torch.maximum(v, 0.0).sqrt()),
            ),
        ),
        Mistake(
            _root_of_a_number,
            "`math.sqrt`, `float` and `int` take a single number, and these are many counts: use `torch.sqrt(...)` or "
            "`.sqrt()`",
        ),
        Mistake(
            _hat_of_sigma, "`^` is no power in Python: the square of σₑ is `electronic_noise**2`, with two stars",
            also=(_hat_of_a_sum,),
        ),
        Mistake(
            _constant_rounded, "your constant is rounded: 3/8 is 0.375 exactly, so write `3 / 8`",
            also=tuple(partial(_constant_rounded, constant=c) for c in (0.37, 0.4)),
        ),
        Mistake(
            _half_of_the_power,
            "no root is taken: Python reads `a**1 / 2` as half of a, so write `** 0.5`, `** (1 / 2)` or `.sqrt()`",
            also=(partial(_half_of_the_power, factor=1),),
        ),
        Mistake(
            _one_deviation_for_all,
            "you divide by one standard deviation for the whole image: bright pixels are noisier than dark ones, and "
            "stay so; take 2√(y + 3/8 + σₑ²)",
            also=(
                partial(_one_deviation_for_all, of=lambda y, v: (v, v)),
                partial(_one_deviation_for_all, of=lambda y, v: (y - y.mean(), y)),
                partial(_one_deviation_for_all, of=lambda y, v: (2 * v.sqrt(), 2 * v.sqrt())),
                partial(_one_deviation_for_all, of=lambda y, v: (v.sqrt(), v.sqrt() / 2)),
            ),
        ),
        Mistake(
            _counts_made_whole,
            "you make whole numbers of the counts: with the electronics' noise y has decimals, so take it as it is",
            also=(partial(_counts_made_whole, whole=torch.round),),
        ),
    ),
    properties=(
        Property(
            "deviation 1", "Noisy counts of any mean should be left with the standard deviation 1, within 5 %.",
            _many_counts, _unit_deviation,
        ),
        Property(
            "below zero", "A negative count goes into the root as it is; where y + 3/8 + σₑ² is below 0, the result "
            "should be 0.", _below_zero, _continues_below_zero,
        ),
    ),
    hints=(
        "One line: add up what stands under the root, let nothing below 0 through, take the root, double it.",
        "`(counts + 3 / 8 + electronic_noise**2)` is under the root; `.clamp(min=0)` replaces negative numbers by 0.",
        "`2 * (counts + 3 / 8 + electronic_noise**2).clamp(min=0).sqrt()`.",
    ),
)  # fmt: skip


# --- 3. the receptive field ---------------------------------------------------------------------------


def _draw_stack(generator: torch.Generator, index: int) -> Arguments:
    """Never two kernels alike in a row, nor a dilation of 1 alone, so that mistakes differ.

    An even kernel has an odd dilation: half of d(k − 1) is not whole then, and whoever rounds it is told.
    """
    kernels = [[5, 4, 7], [3, 4, 2, 7], [4, 3]][index]
    more = torch.randint(0, 2, (len(kernels),), generator=generator).tolist()
    least = [[2, 5, 3], [4, 3, 5, 8], [7, 2]][index]
    return kernels, [d + (e if k % 2 else 2 * e) for k, d, e in zip(kernels, least, more, strict=True)]


def _number(value) -> torch.Tensor:
    return torch.tensor(float(value))


def _receptive_field(kernel_sizes, dilations):
    """The lab's reference: 1 + Σ dᵢ(kᵢ − 1)."""
    return _number(1 + sum(d * (k - 1) for k, d in zip(kernel_sizes, dilations, strict=True)))


def _pairs(kernel_sizes, dilations):
    return list(zip(kernel_sizes, dilations, strict=True))


def _itself_missing(kernel_sizes, dilations):
    return _receptive_field(kernel_sizes, dilations) - 1


def _whole_kernels(kernel_sizes, dilations, start=1):
    return _number(start + sum(d * k for k, d in _pairs(kernel_sizes, dilations)))


def _undilated(kernel_sizes, dilations):
    return _number(1 + sum(k - 1 for k in kernel_sizes))


def _one_sided(kernel_sizes, dilations, start=1):
    return _number(start + sum(d * (k - 1) / 2 for k, d in _pairs(kernel_sizes, dilations)))


def _both_sides_twice(kernel_sizes, dilations):
    return _number(1 + 2 * sum(d * (k - 1) for k, d in _pairs(kernel_sizes, dilations)))


def _each_layer_multiplied(kernel_sizes, dilations):
    return _number(math.prod(1 + d * (k - 1) for k, d in _pairs(kernel_sizes, dilations)))


def _largest_layer(kernel_sizes, dilations):
    return _number(max(1 + d * (k - 1) for k, d in _pairs(kernel_sizes, dilations)))


def _last_layer(kernel_sizes, dilations, at=-1):
    return _number(1 + dilations[at] * (kernel_sizes[at] - 1))


def _always_three(kernel_sizes, dilations):
    return _number(1 + sum(2 * d for d in dilations))


def _one_for_each_layer(kernel_sizes, dilations):
    return _number(sum(1 + d * (k - 1) for k, d in _pairs(kernel_sizes, dilations)))


def _an_area(kernel_sizes, dilations):
    return _receptive_field(kernel_sizes, dilations) ** 2


def _like_strides(kernel_sizes, dilations):
    steps = np.cumprod(dilations)
    return _number(1 + sum(int(s) * (k - 1) for k, s in zip(kernel_sizes, steps, strict=True)))


def _sums_multiplied(kernel_sizes, dilations):
    return _number(1 + sum(dilations) * (sum(kernel_sizes) - 1))


def _mean_of_layers(kernel_sizes, dilations):
    return _number(1 + sum(d * (k - 1) for k, d in _pairs(kernel_sizes, dilations)) / len(dilations))


def _one_too_few_dilations(kernel_sizes, dilations):
    return _number(1 + sum((d - 1) * (k - 1) for k, d in _pairs(kernel_sizes, dilations)))


def _rounded_half(kernel_sizes, dilations, half=lambda k, d: d * (k // 2), start=1, sides=2):
    return _number(start + sides * sum(half(k, d) for k, d in _pairs(kernel_sizes, dilations)))


def _like_strides_of_the_layers_before(kernel_sizes, dilations, start=None):
    side, step = 1 if start is None else kernel_sizes[0], 1
    for k, d in _pairs(kernel_sizes, dilations):
        side, step = side + (k - 1) * step, step * d
    return _number(side)


def _some_layers_left_out(kernel_sizes, dilations, layers=slice(None, -1)):
    return _receptive_field(kernel_sizes[layers], dilations[layers])


def _begun_with_a_kernel(kernel_sizes, dilations, first=0):
    reaches = [d * (k - 1) for k, d in _pairs(kernel_sizes, dilations)]
    return _number(kernel_sizes[0] + sum(reaches[first:]))


def _brackets_missing(kernel_sizes, dilations, start=1):
    return _number(start + sum(d * k - 1 for k, d in _pairs(kernel_sizes, dilations)))


def _every_pair(kernel_sizes, dilations):
    return _number(1 + sum(d * (k - 1) for k in kernel_sizes for d in dilations))


def _not_zipped(kernel_sizes, dilations, kernel_first=True):
    layers = kernel_sizes, dilations
    return _number(1 + sum(d * (k - 1) for k, d in layers) if kernel_first else 1 + sum(d * (k - 1) for d, k in layers))


def _not_added(kernel_sizes, dilations, start=0, gather=list):
    return gather([start + d * (k - 1) for k, d in _pairs(kernel_sizes, dilations)])


def _list_times_list(kernel_sizes, dilations):
    return _number(1 + sum(dilations * (kernel_sizes - 1)))


def _one_weight_more(kernel_sizes, dilations):
    return [(list(kernel_sizes), list(dilations)), ([*kernel_sizes, 1], [*dilations, 5])]


def _nothing_changes(arguments, values):
    a, b = (float(v) for v in values)
    return None if a == b else f"another layer, of one weight and dilation 5, changes {a:g} to {b:g}"


def _one_layer_more(kernel_sizes, dilations):
    return [(list(kernel_sizes), list(dilations)), ([*kernel_sizes, 3], [*dilations, 4])]


def _eight_more(arguments, values):
    more = float(values[1]) - float(values[0])
    return None if more == 8 else f"another layer, of size 3 and dilation 4, adds {more:g} pixels"


receptive_field = Exercise(
    number=3,
    function="receptive_field",
    title="how far a network sees",
    minutes=8,
    value_points=3,
    takes={
        "kernel_sizes": "a list of whole numbers: k of each layer, odd or even",
        "dilations": "a list of whole numbers: d of each layer, from 1",
    },
    returns="a whole number: how many pixels a side a pixel of the result depends on",
    draw=_draw_stack,
    reference=_receptive_field,
    answers=(),  # the library knows it for layers of 3 × 3 weights alone
    mistakes=(
        Mistake(_itself_missing, "the pixel itself is missing: 1 + Σ d(k − 1)"),
        Mistake(
            _whole_kernels,
            "you add d·k for each layer: k weights have only k − 1 steps between them, so add d·(k − 1)",
            also=(partial(_whole_kernels, start=0),),
        ),
        Mistake(_undilated, "the dilations do not take part: from one weight to the next are d pixels"),
        Mistake(
            _one_sided,
            "you count one side of the pixel: a layer sees d(k − 1)/2 pixels further on *each* side",
            also=(partial(_one_sided, start=0),),
        ),
        Mistake(
            _both_sides_twice,
            "your factor 2 counts both sides twice: k − 1 steps already are those to the left and to the right",
        ),
        Mistake(
            _each_layer_multiplied,
            "you multiply the layers: each one reaches further by its own d(k − 1), so they add",
        ),
        Mistake(
            _largest_layer,
            "you take the widest layer alone: each one starts where the one before has ended; add all",
        ),
        Mistake(
            _last_layer,
            "this is one layer alone: add up what all of them reach",
            also=(partial(_last_layer, at=0),),
        ),
        Mistake(_always_three, "your kernels always have 3 weights: their sizes come as an argument, `kernel_sizes`"),
        Mistake(
            _one_for_each_layer,
            "your 1 stands inside the sum, once for each layer: the pixel itself counts once",
        ),
        Mistake(_an_area, "this is the area: the number of pixels along one side is wanted"),
        Mistake(
            _like_strides,
            "you multiply the dilations of the layers before: that is right for strides; dilation leaves the image its "
            "size, so each layer adds its own d(k − 1)",
            also=(_like_strides_of_the_layers_before, partial(_like_strides_of_the_layers_before, start="kernel")),
        ),
        Mistake(_sums_multiplied, "you multiply sums: multiply d by k − 1 layer by layer, then add"),
        Mistake(_mean_of_layers, "you take the mean over the layers: their reaches add"),
        Mistake(
            _one_too_few_dilations,
            "you take d − 1: d = 1 is the ordinary convolution, whose weights are one pixel apart",
        ),
        Mistake(
            _list_times_list,
            "lists of Python's know no arithmetic: go through both with `for k, d in zip(kernel_sizes, dilations)`",
        ),
        Mistake(
            _rounded_half,
            "you round half a kernel to whole pixels: that fits odd kernels alone; from the first to the last of k "
            "weights are k − 1 steps of d, whether k is odd or even",
            also=(
                *(
                    partial(_rounded_half, half=half)
                    for half in (lambda k, d: d * (k - 1) // 2, lambda k, d: d * ((k - 1) // 2))
                ),
                *(
                    partial(_rounded_half, half=half, start=start, sides=1)
                    for half in (lambda k, d: d * (k - 1) // 2, lambda k, d: d * (k // 2))
                    for start in (0, 1)
                ),
            ),
        ),
        Mistake(
            _some_layers_left_out,
            "a layer is left out at the end or at the beginning: `range(len(kernel_sizes))` and `zip` go through all "
            "of them",
            also=(partial(_some_layers_left_out, layers=slice(1, None)),),
        ),
        Mistake(
            _begun_with_a_kernel,
            "you begin with the first kernel's size: begin with 1, the pixel itself, and let the first layer add its "
            "d(k − 1) like each other one",
            also=(partial(_begun_with_a_kernel, first=1),),
        ),
        Mistake(
            _brackets_missing,
            "Python reads `d * k - 1` as (d·k) − 1: the brackets are missing, `d * (k - 1)`",
            also=(partial(_brackets_missing, start=0),),
        ),
        Mistake(
            _every_pair,
            "two loops, one in the other, join each kernel with each dilation: a layer has one of both, so use "
            "`zip(kernel_sizes, dilations)`",
        ),
        Mistake(
            _not_zipped,
            "you go through one list after the other, not layer by layer: `zip(kernel_sizes, dilations)` gives a k and "
            "its d in each step",
            also=(partial(_not_zipped, kernel_first=False),),
        ),
        Mistake(
            _not_added,
            "you return a number for each layer: add them with `sum`, and one number is left",
            also=(partial(_not_added, start=1), partial(_not_added, gather=torch.tensor)),
        ),
    ),
    properties=(
        Property(
            "one weight", "A layer with a single weight sees no further, whatever its dilation.",
            _one_weight_more, _nothing_changes,
        ),
        Property(
            "one more layer", "Another layer of 3 weights with dilation 4 should add 8 pixels.",
            _one_layer_more, _eight_more,
        ),
    ),
    hints=(
        "Begin with one layer of 3 weights with dilation 1, then 2, and draw which pixels it touches.",
        "From the first to the last of k weights are k − 1 steps of d pixels. Each layer adds that; the pixel "
        "itself is 1.",
        "`1 + sum(d * (k - 1) for k, d in zip(kernel_sizes, dilations))`.",
    ),
)  # fmt: skip


# --- 4. a dilated convolution -------------------------------------------------------------------------

PICTURES = ((9, 7), (8, 11), (11, 9))  # height, width
STEPS = (2, 1, 3)  # the dilation of each case


def _draw_picture(generator: torch.Generator, index: int) -> Arguments:
    """Pictures without a symmetry, and kernels whose weights do not add up to anything simple."""
    return 0.2 + rand(generator, *PICTURES[index]), randn(generator, 3, 3) + 0.3, STEPS[index]


def _correlated(image, kernel, rows, columns, mode="constant"):
    """Each pixel's weighted sum: kernel[i, j] times the pixel at (rows[i], columns[j]) from it."""
    reach = max(max(map(abs, rows)), max(map(abs, columns)))
    height, width = image.shape
    padded = pad(image[None, None], (reach,) * 4, mode=mode)[0, 0]
    total = torch.zeros_like(image)
    for i, down in enumerate(rows):
        for j, right in enumerate(columns):
            top, left = reach + down, reach + right
            total = total + kernel[i, j] * padded[top : top + height, left : left + width]
    return total


def _around(step):
    return (-step, 0, step)


def _dilated_convolution(image, kernel, dilation):
    """The lab's reference: weights `dilation` pixels apart, zeros beyond the border."""
    d = dilation
    height, width = image.shape
    padded = pad(image, (d, d, d, d))
    result = torch.zeros_like(image)
    for i in range(3):
        for j in range(3):
            result = result + kernel[i, j] * padded[i * d : i * d + height, j * d : j * d + width]
    return result


def _kernel_flipped(image, kernel, dilation):
    return _dilated_convolution(image, kernel.flip(0, 1), dilation)


def _kernel_transposed(image, kernel, dilation):
    return _dilated_convolution(image, kernel.T, dilation)


def _kernel_transposed_and_flipped(image, kernel, dilation):
    return _dilated_convolution(image, kernel.T.flip(0, 1), dilation)


def _dilation_ignored(image, kernel, dilation):
    return _dilated_convolution(image, kernel, 1)


def _one_further(image, kernel, dilation, step=lambda d: d + 1):
    return _dilated_convolution(image, kernel, step(dilation))


def _rows_alone(image, kernel, dilation):
    return _correlated(image, kernel, _around(dilation), _around(1))


def _columns_alone(image, kernel, dilation):
    return _correlated(image, kernel, _around(1), _around(dilation))


def _to_one_side(image, kernel, dilation, sign=1):
    steps = [sign * i * dilation for i in range(3)]
    return _correlated(image, kernel, steps, steps)


def _wrapped_border(image, kernel, dilation, sign=-1):
    total = torch.zeros_like(image)
    for i in range(3):
        for j in range(3):
            shift = (sign * (i - 1) * dilation, sign * (j - 1) * dilation)
            total = total + kernel[i, j] * image.roll(shift, (0, 1))
    return total


def _border_copied(image, kernel, dilation, mode="replicate"):
    return _correlated(image, kernel, _around(dilation), _around(dilation), mode=mode)


def _border_left_out(image, kernel, dilation, border=torch.zeros_like):
    d, inside = dilation, _dilated_convolution(image, kernel, dilation)
    result = border(image).clone()
    result[d:-d, d:-d] = inside[d:-d, d:-d]
    return result


def _shrunk(image, kernel, dilation):
    d = dilation
    return _dilated_convolution(image, kernel, d)[d:-d, d:-d]


def _grown(image, kernel, dilation):
    d = 2 * dilation
    return conv2d(pad(image[None, None], (d,) * 4), kernel[None, None], dilation=dilation)[0, 0]


def _padded_by_one(image, kernel, dilation):
    height, width = image.shape
    padded = pad(image, (1, 1, 1, 1))
    total = torch.zeros_like(image)
    for i in range(3):
        for j in range(3):
            top, left = i * dilation, j * dilation
            total += kernel[i, j] * padded[top : top + height, left : left + width]
    return total


def _not_padded(image, kernel, dilation):
    height, width = image.shape
    total = torch.zeros_like(image)
    for i in range(3):
        for j in range(3):
            top, left = i * dilation, j * dilation
            total += kernel[i, j] * image[top : top + height, left : left + width]
    return total


def _not_padded_and_centred(image, kernel, dilation):
    height, width = image.shape
    total = torch.zeros_like(image)
    for i in range(3):
        for j in range(3):
            top, left = (i - 1) * dilation, (j - 1) * dilation
            total += kernel[i, j] * image[top : top + height, left : left + width]
    return total


def _not_padded_columns_first(image, kernel, dilation):
    return _not_padded(image.T, kernel.T, dilation)


def _padded_along_one_axis(image, kernel, dilation):
    return _sliced(image, kernel, dilation, pad(image, (dilation, dilation)), *image.shape)


def _sliced(image, kernel, dilation, padded, height, width, total=None):
    total = torch.zeros_like(image) if total is None else total
    for i in range(3):
        for j in range(3):
            top, left = i * dilation, j * dilation
            total = total + kernel[i, j] * padded[top : top + height, left : left + width]
    return total


def _padded_with_a_number(image, kernel, dilation):
    return _sliced(image, kernel, dilation, pad(image, dilation), *image.shape)


def _padded_with_a_mode(image, kernel, dilation):
    return _sliced(image, kernel, dilation, pad(image, (dilation,) * 4, mode="replicate"), *image.shape)


def _width_first(image, kernel, dilation, like_image=True):
    width, height = image.shape
    total = torch.zeros_like(image) if like_image else torch.zeros(height, width)
    return _sliced(image, kernel, dilation, pad(image, (dilation,) * 4), height, width, total)


def _width_first_by_pixels(image, kernel, dilation):
    width, height = image.shape
    for row, column, i, j in product(range(height), range(width), range(3), range(3)):
        r, c = row + (i - 1) * dilation, column + (j - 1) * dilation
        if 0 <= r < height and 0 <= c < width:
            _ = kernel[i, j] * image[r, c]


def _index_beyond(image, kernel, dilation):
    height, width = image.shape
    for row, column, i, j in product(range(height), range(width), range(3), range(3)):
        _ = kernel[i, j] * image[row + (i - 1) * dilation, column + (j - 1) * dilation]


def _index_beyond_columns_first(image, kernel, dilation):
    height, width = image.shape
    for column, row, i, j in product(range(width), range(height), range(3), range(3)):
        _ = kernel[i, j] * image[row + (i - 1) * dilation, column + (j - 1) * dilation]


def _by_index(image, kernel, dilation, counts):
    """Pixel by pixel; counts(index, size): which indices do. Those below 0 count from the end, as in Python."""
    height, width = image.shape
    total = torch.zeros_like(image)
    for i, j in product(range(3), range(3)):
        rows, columns = torch.arange(height) + (i - 1) * dilation, torch.arange(width) + (j - 1) * dilation
        inside = counts(rows, height)[:, None] & counts(columns, width)
        total = total + kernel[i, j] * image[rows % height][:, columns % width] * inside
    return total


def _negative_index(image, kernel, dilation):
    return _by_index(image, kernel, dilation, lambda index, size: index < size)


def _edge_not_read(image, kernel, dilation, first=1, last=0):
    return _by_index(image, kernel, dilation, lambda index, size: (index >= first) & (index < size - last))


def _edge_not_written(image, kernel, dilation, rows=slice(None, -1)):
    result = torch.zeros_like(image)
    result[rows, rows] = _dilated_convolution(image, kernel, dilation)[rows, rows]
    return result


def _offset_as_index(image, kernel, dilation):
    return _dilated_convolution(image, kernel.roll((1, 1), (0, 1)), dilation)


def _one_axis_flipped(image, kernel, dilation, axis=0):
    return _dilated_convolution(image, kernel.flip(axis), dilation)


def _kernel_rotated(image, kernel, dilation, quarters=1):
    return _dilated_convolution(image, kernel.rot90(quarters), dilation)


def _wrapped_from_the_corner(image, kernel, dilation, sign=1):
    total = torch.zeros_like(image)
    for i, j in product(range(3), range(3)):
        total = total + kernel[i, j] * image.roll((sign * i * dilation, sign * j * dilation), (0, 1))
    return total


def _scaled_to_a_mean(image, kernel, dilation):
    return _dilated_convolution(image, kernel, dilation) / 9


def _weights_made_one(image, kernel, dilation):
    return _dilated_convolution(image, kernel / kernel.sum(), dilation)


def _middle_forgotten(image, kernel, dilation):
    return _dilated_convolution(image, kernel, dilation) - kernel[1, 1] * image


def _last_weights_forgotten(image, kernel, dilation):
    cut = kernel.clone()
    cut[2], cut[:, 2] = 0, 0
    return _dilated_convolution(image, cut, dilation)


def _overwritten(image, kernel, dilation):
    last = torch.zeros_like(kernel)
    last[2, 2] = kernel[2, 2]
    return _dilated_convolution(image, last, dilation)


def _image_thinned(image, kernel, dilation):
    return _dilated_convolution(image[::dilation, ::dilation], kernel, 1)


def _one_bright_pixel(image, kernel, dilation):
    side = 8 * dilation + 1
    impulse = torch.zeros(side, side)
    impulse[4 * dilation, 4 * dilation] = 1
    return [(impulse, torch.ones(3, 3) + kernel.abs(), dilation)]


def _nine_places(arguments, values):
    d = arguments[0][2]
    wanted = np.zeros(arguments[0][0].shape, dtype=bool)
    wanted[3 * d : 5 * d + 1 : d, 3 * d : 5 * d + 1 : d] = True
    if values[0].shape != wanted.shape:
        return f"the shape is {values[0].shape}, for an image of {wanted.shape}"
    found = np.abs(values[0]) > 1e-6
    if (found == wanted).all():
        return None
    rows = sorted({int(r) - 4 * d for r in np.nonzero(found)[0]})
    return f"with dilation {d} the answer lies in {int(found.sum())} places, in the rows {rows} from the bright pixel"


def _middle_weight(image, kernel, dilation):
    middle = torch.zeros_like(kernel)
    middle[1, 1] = -2.5
    return [(image, middle, dilation)]


def _scaled_image(arguments, values):
    wanted = -2.5 * arguments[0][0].numpy()
    if values[0].shape != wanted.shape:
        return f"the shape is {values[0].shape}, for an image of {wanted.shape}"
    off = off_by(values[0], wanted)
    return None if off < 1e-4 else f"the result differs from −2.5 times the image by up to {100 * min(off, 99):.0f} %"


dilated_convolution = Exercise(
    number=4,
    function="dilated_convolution",
    title="a dilated convolution",
    minutes=15,
    value_points=3,
    takes={
        "image": "float32 (height, width)",
        "kernel": "float32 (3, 3): the weights",
        "dilation": "d, a whole number from 1: how many pixels the weights are apart",
    },
    returns="float32 (height, width): each pixel's weighted sum, with zeros beyond the border",
    draw=_draw_picture,
    reference=_dilated_convolution,
    answers=(),
    closed=("conv", "im2col"),
    mistakes=(
        Mistake(
            _kernel_flipped,
            "your kernel is flipped: that is the convolution of mathematics; in networks weight (0, 0) belongs to the "
            "pixel above and to the left, so take i·d and j·d as they are",
        ),
        Mistake(
            _kernel_transposed, "rows and columns have changed places: the first index of the kernel goes down the "
            "image",
            also=(_kernel_transposed_and_flipped,),
        ),
        Mistake(_dilation_ignored, "your weights are one pixel apart: from one to the next are `dilation` pixels"),
        Mistake(
            _one_further,
            "your weights are too far apart or too near: d = 1 is the ordinary convolution, d = 2 leaves one pixel out",
            also=(
                partial(_one_further, step=lambda d: 2 * d), partial(_one_further, step=lambda d: 2**d),
                partial(_one_further, step=lambda d: max(d - 1, 1)),
            ),
        ),
        Mistake(
            _rows_alone, "the dilation acts along one side of the picture only: rows and columns are d pixels apart",
            also=(_columns_alone,),
        ),
        Mistake(
            _to_one_side,
            "your window begins or ends at the pixel: its middle weight lies on it, so pad d pixels on *each* side",
            also=(partial(_to_one_side, sign=-1),),
        ),
        Mistake(
            _wrapped_border,
            "your image wraps around its borders: what leaves it comes back in on the other side, as with `roll`, a "
            "circular `pad` or an FFT; beyond the border there are zeros, so pad first",
            also=(
                partial(_wrapped_border, sign=1), _wrapped_from_the_corner, partial(_wrapped_from_the_corner, sign=-1),
            ),
        ),
        Mistake(
            _border_copied,
            "your border is continued by copies of the image: here by zeros, as `pad` does by default",
            also=(partial(_border_copied, mode="reflect"),),
        ),
        Mistake(
            _border_left_out,
            "you leave the border out: where weights lie outside the image they meet zeros, and the others still count",
            also=(partial(_border_left_out, border=torch.Tensor.clone),),
        ),
        Mistake(_shrunk, "your result is 2d pixels smaller: pad d zeros on each side first, and the size stays"),
        Mistake(_grown, "your result is larger than the image: d zeros on each side are enough, not 2d"),
        Mistake(
            _padded_by_one,
            "one zero on each side is too little: the weights reach d pixels, so pad d",
        ),
        Mistake(
            _not_padded, "the slices do not fit at the border: pad d zeros on each side first",
            also=(_not_padded_and_centred, _not_padded_columns_first),
        ),
        Mistake(
            _padded_along_one_axis,
            "`pad` with two numbers pads the left and the right alone: the rows need zeros too, `(d, d, d, d)`",
        ),
        Mistake(_padded_with_a_number, "`pad` takes four numbers, one for each side of the image: `(d, d, d, d)`"),
        Mistake(
            _padded_with_a_mode,
            "beyond the border there are zeros here: `pad` puts them there by itself, so leave `mode` out",
        ),
        Mistake(
            _width_first,
            "height and width have changed places: `height, width = image.shape`, the rows come first",
            also=(partial(_width_first, like_image=False), _width_first_by_pixels),
        ),
        Mistake(
            _index_beyond,
            "you read a pixel beyond the image: the indices end at height − 1 and width − 1, so pad first, or add "
            "nothing unless `0 <= row < height` and `0 <= column < width`",
            also=(_index_beyond_columns_first,),
        ),
        Mistake(
            _negative_index,
            "above and to the left of the image you read its other end, for a negative index counts from the end: ask "
            "for `0 <= row` and `0 <= column` too, or pad first",
        ),
        Mistake(
            _edge_not_read,
            "the pixels of the first or the last row or column do not take part: the indices run from 0, included, to "
            "height − 1, included",
            also=(partial(_edge_not_read, first=0, last=1), partial(_edge_not_read, last=1)),
        ),
        Mistake(
            _edge_not_written,
            "the first or the last row and column get no result: `range(height)` runs from 0 to height − 1 by itself",
            also=tuple(partial(_edge_not_written, rows=rows) for rows in (slice(1, None), slice(1, -1))),
        ),
        Mistake(
            _offset_as_index,
            "you use the offsets −1, 0, 1 as indices of the kernel, and −1 is its last one: the index is the offset "
            "plus 1, `kernel[i + 1, j + 1]`",
        ),
        Mistake(
            _one_axis_flipped, "one axis of the kernel is flipped: `kernel[i, j]` belongs to (i − 1)·d rows down and "
            "(j − 1)·d columns to the right",
            also=(partial(_one_axis_flipped, axis=1),),
        ),
        Mistake(
            _kernel_rotated, "your kernel is rotated by a quarter turn: take `kernel[i, j]` as it stands",
            also=(partial(_kernel_rotated, quarters=-1),),
        ),
        Mistake(
            _scaled_to_a_mean, "you take a mean: the weighted sum stays as it is, the weights say it all",
            also=(_weights_made_one,),
        ),
        Mistake(_middle_forgotten, "the middle weight is missing: the pixel itself takes part, with `kernel[1, 1]`"),
        Mistake(
            _last_weights_forgotten,
            "the last row and column of the kernel are missing: `range(3)` gives 0, 1 and 2",
        ),
        Mistake(
            _overwritten,
            "your sum is overwritten at each step, so the last weight alone is left: add, `result = result + …`",
        ),
        Mistake(
            _image_thinned,
            "you thin out the image: it keeps its size and all pixels get a result; the *weights* are d pixels apart",
        ),
    ),
    properties=(
        Property(
            "nine places", "A single bright pixel should be answered in nine places, d pixels apart.",
            _one_bright_pixel, _nine_places,
        ),
        Property(
            "the middle weight", "A kernel whose middle weight alone is not 0 should multiply the image by it.",
            _middle_weight, _scaled_image,
        ),
    ),
    hints=(
        "Nine shifted copies of the image, each times one weight, added up. Zeros come in where a copy has moved away.",
        "`torch.nn.functional.pad(image, (d, d, d, d))` puts d zeros on each side. Weight (i, j) belongs to the "
        "part that begins at row i·d and column j·d.",
        "`result = result + kernel[i, j] * padded[i * d : i * d + height, j * d : j * d + width]`, in two loops over "
        "`range(3)`.",
    ),
    tolerance=1e-3,
)  # fmt: skip


# --- 5. SSIM of two patches ---------------------------------------------------------------------------

C1, C2 = 0.01**2, 0.03**2
PATCHES = ((5, 6), (4, 7), (6, 4))


def _draw_patches(generator: torch.Generator, index: int) -> Arguments:
    """Dark patches of little contrast, where both constants count; in the last case y falls where x rises."""
    one, two = (v - v.mean() for v in (randn(generator, *PATCHES[index]) for _ in range(2)))
    x = (0.05, 0.09, 0.03)[index] + (0.035, 0.035, 0.055)[index] * one
    y = (0.08, 0.06, 0.07)[index] + (0.028, 0.028, -0.044)[index] * one + 0.03 * two
    return x, y


def _moments(x, y):
    a, b = x.mean(), y.mean()
    return a, b, (x - a).square().mean(), (y - b).square().mean(), ((x - a) * (y - b)).mean()


def _luminance(a, b, c1=C1):
    return (2 * a * b + c1) / (a**2 + b**2 + c1)


def _structure(vx, vy, cov, c2=C2):
    return (2 * cov + c2) / (vx + vy + c2)


def _ssim(x, y):
    """The lab's reference: luminance times contrast and structure, from population moments."""
    a, b, vx, vy, cov = _moments(x, y)
    return _luminance(a, b) * _structure(vx, vy, cov)


def _sample_moments(x, y, variance=True, covariance=True):
    a, b, vx, vy, cov = _moments(x, y)
    more = x.numel() / (x.numel() - 1)
    v, c = more if variance else 1.0, more if covariance else 1.0
    return _luminance(a, b) * _structure(v * vx, v * vy, c * cov)


def _with_constants(x, y, c1, c2):
    a, b, vx, vy, cov = _moments(x, y)
    return _luminance(a, b, c1) * _structure(vx, vy, cov, c2)


def _constants_unsquared(x, y):
    return _with_constants(x, y, 0.01, 0.03)


def _constants_exchanged(x, y):
    return _with_constants(x, y, C2, C1)


def _constants_missing(x, y, c1=0.0, c2=0.0):
    return _with_constants(x, y, c1, c2)


def _constants_of_bytes(x, y):
    return _with_constants(x, y, C1 * 255**2, C2 * 255**2)


def _deviations_for_variances(x, y, sample=False, covariance=False):
    a, b, vx, vy, cov = _moments(x, y)
    more = x.numel() / (x.numel() - 1)
    v, c = more if sample else 1.0, more if covariance else 1.0
    return _luminance(a, b) * _structure((v * vx).sqrt(), (v * vy).sqrt(), c * cov)


def _deviations_multiplied(x, y):
    a, b, vx, vy, _ = _moments(x, y)
    return _luminance(a, b) * _structure(vx, vy, (vx * vy).sqrt())


def _twos_missing(x, y, first=True, second=True):
    a, b, vx, vy, cov = _moments(x, y)
    one, two = (1 if first else 2), (1 if second else 2)
    return (one * a * b + C1) / (a**2 + b**2 + C1) * (two * cov + C2) / (vx + vy + C2)


def _luminance_missing(x, y):
    return _structure(*_moments(x, y)[2:])


def _structure_missing(x, y):
    return _luminance(*_moments(x, y)[:2])


def _factors_added(x, y, share=1.0):
    return share * (_luminance_missing(x, y) + _structure_missing(x, y))


def _mean_not_removed(x, y, variances=True, covariance=True):
    a, b, vx, vy, cov = _moments(x, y)
    vx, vy = (x.square().mean(), y.square().mean()) if variances else (vx, vy)
    return _luminance(a, b) * _structure(vx, vy, (x * y).mean() if covariance else cov)


def _correlation(x, y):
    a, b, vx, vy, cov = _moments(x, y)
    return _luminance(a, b) * cov / (vx * vy).sqrt()


def _denominator_multiplied(x, y, first=True):
    a, b, vx, vy, cov = _moments(x, y)
    if first:
        return (2 * a * b + C1) / (a**2 * b**2 + C1) * _structure(vx, vy, cov)
    return _luminance(a, b) * (2 * cov + C2) / (vx * vy + C2)


def _square_of_a_sum(x, y):
    a, b, vx, vy, cov = _moments(x, y)
    return (2 * a * b + C1) / ((a + b) ** 2 + C1) * _structure(vx, vy, cov)


def _means_unsquared(x, y):
    a, b, vx, vy, cov = _moments(x, y)
    return (2 * a * b + C1) / (a + b + C1) * _structure(vx, vy, cov)


def _variances_squared(x, y):
    a, b, vx, vy, cov = _moments(x, y)
    return _luminance(a, b) * _structure(vx**2, vy**2, cov)


def _sums_for_means(x, y):
    a, b, vx, vy, cov = _moments(x, y)
    return _luminance(a, b) * _structure(*(x.numel() * v for v in (vx, vy, cov)))


def _as_a_loss(x, y):
    return 1 - _ssim(x, y)


def _row_by_row(x, y):
    a, b = x.mean(0), y.mean(0)
    vx, vy, cov = (x - a).square().mean(0), (y - b).square().mean(0), ((x - a) * (y - b)).mean(0)
    return _luminance(a, b) * _structure(vx, vy, cov)


def _sign_lost(x, y, how=torch.abs):
    return how(_ssim(x, y))


def _sign_of_covariance_lost(x, y, how=torch.abs):
    a, b, vx, vy, cov = _moments(x, y)
    return _luminance(a, b) * _structure(vx, vy, how(cov))


def _quotient_without_brackets(x, y):
    a, b, vx, vy, cov = _moments(x, y)
    return (2 * a * b + C1) * (2 * cov + C2) / (a**2 + b**2 + C1) * (vx + vy + C2)


def _sums_without_brackets(x, y, first=False, second=True, above=False):
    a, b, vx, vy, cov = _moments(x, y)
    one, two = _luminance(a, b), _structure(vx, vy, cov)
    if above:
        return (2 * a * b + C1 / (a**2 + b**2 + C1)) * (2 * cov + C2 / (vx + vy + C2))
    one = (2 * a * b + C1) / a**2 + b**2 + C1 if first else one
    return one * (2 * cov + C2) / vx + vy + C2 if second else one * two


def _covariance_summed(x, y):
    a, b, vx, vy, cov = _moments(x, y)
    return _luminance(a, b) * _structure(vx, vy, cov * x.numel())


def _product_of_means(x, y, centred=False):
    a, b, vx, vy, cov = _moments(x, y)
    return _luminance(a, b) * _structure(vx, vy, 0 * cov if centred else a * b)


def _mean_of_a_map(x, y, luminance=False):
    a, b = x.mean(), y.mean()
    one = _luminance(x, y) if luminance else _luminance(a, b)
    return (one * _structure((x - a).square(), (y - b).square(), (x - a) * (y - b))).mean()


def _one_constant_twice(x, y, constant=C1):
    return _with_constants(x, y, constant, constant)


def _one_patch_twice(x, y, first=True):
    a, b, vx, vy, cov = _moments(x, y)
    v = vx if first else vy
    return _luminance(a, b) * _structure(v, v, cov)


def _one_mean_twice(x, y, first=True):
    a, b, vx, vy, cov = _moments(x, y)
    m = a if first else b
    return (2 * a * b + C1) / (m**2 + m**2 + C1) * _structure(vx, vy, cov)


def _hat_of_a_constant(x, y):
    return _with_constants(x, y, 0.01 ^ 2, 0.03 ^ 2)


def _the_same_twice(x, y):
    return [(x, x.clone()), (y, y.clone())]


def _is_one(arguments, values):
    worst = max((float(v) for v in values), key=lambda v: abs(v - 1))
    return None if abs(worst - 1) < 1e-4 else f"a patch compared with itself gives {worst:.4g}"


def _brighter(x, y):
    return [(x, x + 0.05)]


def _first_factor_alone(arguments, values):
    x, y = arguments[0]
    wanted = float(_luminance(x.mean(), y.mean()))
    found = float(values[0])
    if abs(found - wanted) < 1e-3:
        return None
    means = f"a patch of mean {float(x.mean()):.3f} and the same plus 0.05"
    return f"{means} give {found:.4g}, and should give {wanted:.4g}"


ssim = Exercise(
    number=5,
    function="ssim",
    title="structural similarity",
    minutes=14,
    value_points=3,
    takes={
        "x": "float32 (height, width): a patch",
        "y": "float32 (height, width): the patch that is compared with it",
    },
    returns="one number, 1 for equal patches",
    draw=_draw_patches,
    reference=_ssim,
    answers=(
        "course_lib.metrics.image_quality.ssim", "course_lib.metrics.structural_similarity.ssim_map",
        "course_lib.metrics.structural_similarity.ssim_factors", "course_lib.metrics.structural_similarity.ms_ssim",
    ),
    mistakes=(
        Mistake(
            _sample_moments,
            "your variances or your covariance divide by n − 1, as torch does by default: here by n, "
            "`unbiased=False` or `.square().mean()`",
            also=(partial(_sample_moments, covariance=False), partial(_sample_moments, variance=False)),
        ),
        Mistake(_constants_unsquared, "your constants are not squared: c₁ = 0.01², c₂ = 0.03²"),
        Mistake(
            _constants_exchanged,
            "c₁ and c₂ have changed places: 0.01² stands with the means, 0.03² with the variances",
        ),
        Mistake(
            _constants_missing,
            "c₁ or c₂ is missing: without them a flat patch gives 0/0, and a dark one is judged too hard",
            also=(partial(_constants_missing, c1=C1), partial(_constants_missing, c2=C2)),
        ),
        Mistake(
            _constants_of_bytes,
            "your constants are those of images from 0 to 255: ours run from 0 to 1, c₁ = 0.01² and c₂ = 0.03²",
        ),
        Mistake(
            _deviations_for_variances,
            "your denominator has standard deviations: it takes the variances, σx² + σy²",
            also=(
                partial(_deviations_for_variances, sample=True),
                partial(_deviations_for_variances, sample=True, covariance=True),
            ),
        ),
        Mistake(
            _deviations_multiplied,
            "you take σx·σy where the covariance belongs: that is blind to structure, and patches that have nothing in "
            "common come out alike",
        ),
        Mistake(
            _twos_missing,
            "a factor 2 is missing: 2·μx·μy and 2·σxy, or equal patches do not give 1",
            also=(partial(_twos_missing, first=False), partial(_twos_missing, second=False)),
        ),
        Mistake(_luminance_missing, "the first factor is missing, which compares the means: multiply by it"),
        Mistake(
            _structure_missing,
            "the second factor is missing, which compares variances and covariance: multiply by it",
        ),
        Mistake(
            _factors_added,
            "you add the two factors: SSIM is their product, so multiply them",
            also=(partial(_factors_added, share=0.5),),
        ),
        Mistake(
            _mean_not_removed,
            "the means are not taken away: the covariance is the mean of (x − μx)(y − μy), a variance that of (x − "
            "μx)²",
            also=(partial(_mean_not_removed, variances=False), partial(_mean_not_removed, covariance=False)),
        ),
        Mistake(
            _correlation,
            "you use the coefficient of correlation: it does not see a lost contrast; (2σxy + c₂)/(σx² + σy² + c₂) "
            "does",
        ),
        Mistake(
            _denominator_multiplied, "a denominator is a product: it is a sum, μx² + μy² + c₁, and σx² + σy² + c₂",
            also=(partial(_denominator_multiplied, first=False),),
        ),
        Mistake(_square_of_a_sum, "you square the sum of the means: the denominator is the sum of their squares"),
        Mistake(_means_unsquared, "your means are not squared in the denominator: μx² + μy² + c₁"),
        Mistake(
            _variances_squared,
            "you square the variances once more: σx² *is* the variance, so add it as it is",
        ),
        Mistake(_sums_for_means, "you take sums for variances and covariance: divide by the number of pixels"),
        Mistake(_as_a_loss, "this is the loss, 1 − SSIM: return SSIM itself, 1 for equal patches"),
        Mistake(_row_by_row, "your means run over the rows alone: one mean over all pixels, without `dim`"),
        Mistake(
            _sign_lost,
            "your result cannot be negative: where y falls as x rises, SSIM is below 0, so return it as it is, without "
            "`abs`, `clamp` or `max`",
            also=(partial(_sign_lost, how=partial(torch.clamp, min=0)),),
        ),
        Mistake(
            _sign_of_covariance_lost,
            "your covariance cannot be negative: where y falls as x rises it is below 0, so leave its sign",
            also=(partial(_sign_of_covariance_lost, how=partial(torch.clamp, min=0)),),
        ),
        Mistake(
            _quotient_without_brackets,
            "Python reads `a * b / c * d` from the left, so d multiplies: put the denominator in brackets, "
            "`a * b / (c * d)`",
        ),
        Mistake(
            _sums_without_brackets,
            "a sum has lost its brackets: Python divides before it adds, so write `(…) / (… + … + c2)` in both "
            "fractions",
            also=(
                partial(_sums_without_brackets, first=True, second=False),
                partial(_sums_without_brackets, first=True), partial(_sums_without_brackets, above=True),
            ),
        ),
        Mistake(
            _covariance_summed, "your covariance is a sum and the variances are means: take `.mean()` for it as well"
        ),
        Mistake(
            _product_of_means,
            "your covariance is a product of two means: it is the mean of the product, "
            "`((x - mx) * (y - my)).mean()`",
            also=(partial(_product_of_means, centred=True),),
        ),
        Mistake(
            _mean_of_a_map,
            "you take the fractions pixel by pixel and then their mean: take the means, variances and covariance of "
            "the whole patch first, then the fractions",
            also=(partial(_mean_of_a_map, luminance=True),),
        ),
        Mistake(
            _one_constant_twice,
            "the same constant stands in both fractions: c₁ = 0.01² goes with the means, c₂ = 0.03² with the variances",
            also=(partial(_one_constant_twice, constant=C2),),
        ),
        Mistake(
            _one_patch_twice, "one variance stands in the denominator twice: it takes that of x and that of y",
            also=(partial(_one_patch_twice, first=False),),
        ),
        Mistake(
            _one_mean_twice, "one mean stands in the denominator twice: it takes that of x and that of y, μx² + μy²",
            also=(partial(_one_mean_twice, first=False),),
        ),
        Mistake(_hat_of_a_constant, "`^` is no power in Python: c₁ is `0.01**2` and c₂ is `0.03**2`"),
    ),
    properties=(
        Property("itself", "A patch compared with itself should give 1.", _the_same_twice, _is_one),
        Property(
            "brightness alone", "When a patch is made brighter, the first factor alone should fall below 1.",
            _brighter, _first_factor_alone,
        ),
    ),
    hints=(
        "Five numbers first: two means, two variances, one covariance. Then two fractions, and their product.",
        "`mx = x.mean()`, `vx = (x - mx).square().mean()`, and `cov = ((x - mx) * (y - my)).mean()`.",
        "`(2 * mx * my + c1) / (mx**2 + my**2 + c1) * (2 * cov + c2) / (vx + vy + c2)`.",
    ),
    tolerance=1e-3,
)  # fmt: skip


# --- 6. the error without the clean image -------------------------------------------------------------

BATCHES = ((3, 5, 6), (4, 7, 4), (1, 8, 5))  # images, height, width


def _draw_step(generator: torch.Generator, index: int) -> Arguments:
    """What some denoiser made of noisy images, and of the same a step further; nothing here is near 0 by accident."""
    count, height, width = BATCHES[index]
    y = 0.5 + 0.4 * randn(generator, count, 1, height, width)
    direction = randn(generator, *y.shape)
    epsilon = (0.02, 0.05, 0.01)[index]
    gain, level = (0.5, 0.7, 0.6)[index], 0.1 + 0.4 * rand(generator, count, 1, 1, 1)

    def denoiser(v):
        return gain * v + 0.2 * v.roll(1, -1) + level * torch.tanh(v)

    sigma = (0.4, 0.6, 0.5)[index] + 0.1 * float(rand(generator, 1))
    return y, denoiser(y), denoiser(y + epsilon * direction), direction, sigma, epsilon


def _mean(images):
    return images.mean(dim=(1, 2, 3))


def _mc_sure(y, estimate, moved, direction, sigma, epsilon):
    """The lab's reference: ‖y − f(y)‖²/N − σ² + 2σ²·nᵀ(f(y + εn) − f(y))/(εN)."""
    divergence = _mean(direction * (moved - estimate)) / epsilon
    return _mean((y - estimate).square()) - sigma**2 + 2 * sigma**2 * divergence


def _sure(arguments, *, misfit=None, variance=1.0, factor=2.0, divergence=None):
    """SURE with other parts than the right ones; None is the right one."""
    y, estimate, moved, direction, sigma, epsilon = arguments
    misfit = _mean((y - estimate).square()) if misfit is None else misfit
    divergence = _mean(direction * (moved - estimate)) / epsilon if divergence is None else divergence
    return misfit - variance * sigma**2 + factor * sigma**2 * divergence


def _variance_missing(*arguments):
    return _sure(arguments, variance=0.0)


def _variance_added(*arguments):
    return _sure(arguments, variance=-1.0)


def _factor_missing(*arguments):
    return _sure(arguments, factor=1.0)


def _divergence_subtracted(*arguments):
    return _sure(arguments, factor=-2.0)


def _divergence_missing(*arguments):
    return _sure(arguments, factor=0.0)


def _misfit_alone(*arguments):
    return _mean((arguments[0] - arguments[1]).square())


def _misfit_missing(*arguments):
    return _sure(arguments, misfit=0.0)


def _levels_unsquared(y, estimate, moved, direction, sigma, epsilon, first=True, second=True):
    divergence = _mean(direction * (moved - estimate)) / epsilon
    one, two = sigma if first else sigma**2, sigma if second else sigma**2
    return _mean((y - estimate).square()) - one + 2 * two * divergence


def _step_forgotten(*arguments):
    y, estimate, moved, direction, _, _ = arguments
    return _sure(arguments, divergence=_mean(direction * (moved - estimate)))


def _step_multiplied(*arguments):
    y, estimate, moved, direction, _, epsilon = arguments
    return _sure(arguments, divergence=_mean(direction * (moved - estimate)) * epsilon)


def _divergence_summed(*arguments):
    y, estimate, moved, direction, _, epsilon = arguments
    return _sure(arguments, divergence=(direction * (moved - estimate)).sum(dim=(1, 2, 3)) / epsilon)


def _all_summed(*arguments):
    return _mc_sure(*arguments) * arguments[0][0].numel()


def _sums_but_one_variance(*arguments):
    y, estimate, moved, direction, sigma, epsilon = arguments
    pixels = y[0].numel()
    return (_mc_sure(*arguments) + sigma**2) * pixels - sigma**2


def _direction_forgotten(*arguments):
    y, estimate, moved, _, _, epsilon = arguments
    return _sure(arguments, divergence=_mean(moved - estimate) / epsilon)


def _change_squared(*arguments):
    y, estimate, moved, _, _, epsilon = arguments
    return _sure(arguments, divergence=_mean((moved - estimate).square()) / epsilon**2)


def _change_absolute(*arguments):
    y, estimate, moved, _, _, epsilon = arguments
    return _sure(arguments, divergence=_mean((moved - estimate).abs()) / epsilon)


def _against_the_noisy(*arguments):
    y, estimate, moved, direction, _, epsilon = arguments
    return _sure(arguments, divergence=_mean(direction * (moved - y)) / epsilon)


def _moved_alone(*arguments):
    y, estimate, moved, direction, _, epsilon = arguments
    return _sure(arguments, divergence=_mean(direction * moved) / epsilon)


def _misfit_of_moved(*arguments):
    return _sure(arguments, misfit=_mean((arguments[0] - arguments[2]).square()))


def _misfit_rooted(*arguments):
    return _sure(arguments, misfit=_mean((arguments[0] - arguments[1]).square()).sqrt())


def _misfit_absolute(*arguments):
    return _sure(arguments, misfit=_mean((arguments[0] - arguments[1]).abs()))


def _one_for_the_batch(*arguments):
    return _mc_sure(*arguments).mean()


def _one_for_each_pixel(*arguments):
    y, estimate, moved, direction, sigma, epsilon = arguments
    return (y - estimate).square() - sigma**2 + 2 * sigma**2 * direction * (moved - estimate) / epsilon


def _transposed(*arguments, product=lambda n, change: n.T @ change):
    y, estimate, moved, direction, _, epsilon = arguments
    return _sure(arguments, divergence=product(direction, moved - estimate) / epsilon / y[0].numel())


def _squeezed(*arguments, mean=lambda images: images.squeeze().mean(dim=(1, 2))):
    y, estimate, moved, direction, _, epsilon = arguments
    divergence = mean(direction * (moved - estimate)) / epsilon
    return _sure(arguments, misfit=mean((y - estimate).square()), divergence=divergence)


OVER_THE_BATCH = {
    "image": _mean,
    "mean": torch.mean,
    "sum": lambda images: images.sum() / images[0].numel(),
    "count": lambda images: images.sum(dim=(1, 2, 3)) / images.numel(),
}


def _pixels_of_the_batch(*arguments, misfit="count", divergence="count"):
    y, estimate, moved, direction, _, epsilon = arguments
    div = OVER_THE_BATCH[divergence](direction * (moved - estimate)) / epsilon
    return _sure(arguments, misfit=OVER_THE_BATCH[misfit]((y - estimate).square()), divergence=div)


def _divided_twice(*arguments, misfit=False, divergence=True):
    y, estimate, moved, direction, _, epsilon = arguments
    n = y[0].numel()
    distance, div = _mean((y - estimate).square()), _mean(direction * (moved - estimate)) / epsilon
    return _sure(arguments, misfit=distance / n if misfit else distance, divergence=div / n if divergence else div)


def _step_squared(*arguments):
    y, estimate, moved, direction, _, epsilon = arguments
    return _sure(arguments, divergence=_mean(direction * (moved - estimate)) / epsilon**2)


def _two_squared(*arguments):
    return _sure(arguments, factor=4.0)


def _variance_divided(*arguments):
    return _sure(arguments, variance=1 / arguments[0][0].numel())


def _norm_unsquared(*arguments):
    squares = (arguments[0] - arguments[1]).square()
    return _sure(arguments, misfit=squares.sum(dim=(1, 2, 3)).sqrt() / squares[0].numel())


def _norm_over_three_axes(*arguments):
    return _sure(arguments, misfit=torch.norm(arguments[0] - arguments[1], dim=(1, 2, 3)) ** 2)


def _hat_of_the_level(y, estimate, moved, direction, sigma, epsilon):
    return _mean((y - estimate).square()) - (sigma ^ 2)


def _hat_of_the_terms(y, estimate, moved, direction, sigma, epsilon):
    return _mean((y - estimate).square()) - sigma ^ 2


def _never_moves(y, estimate, moved, direction, sigma, epsilon):
    return [(y, estimate, estimate.clone(), direction, sigma, epsilon)]


def _misfit_less_variance(arguments, values):
    y, estimate, *_, sigma, _ = arguments[0]
    wanted = (_mean((y - estimate).square()) - sigma**2).numpy()
    if values[0].shape != wanted.shape:
        return f"the result has the shape {values[0].shape} for {len(wanted)} images"
    worst = int(np.abs(values[0] - wanted).argmax())
    if abs(values[0][worst] - wanted[worst]) < 1e-4:
        return None
    return (
        f"f does not react to the noise, and the result is {values[0][worst]:.4g}, not ‖y − f(y)‖²/N − σ² = "
        f"{wanted[worst]:.4g}"
    )


def _does_nothing(y, estimate, moved, direction, sigma, epsilon):
    return [(y, y.clone(), y + epsilon * direction, direction, sigma, epsilon)]


def _noise_is_left(arguments, values):
    *_, direction, sigma, _ = arguments[0]
    wanted = (sigma**2 * (2 * _mean(direction.square()) - 1)).numpy()
    if values[0].shape != wanted.shape:
        return f"the result has the shape {values[0].shape} for {len(wanted)} images"
    worst = int(np.abs(values[0] - wanted).argmax())
    if abs(values[0][worst] / wanted[worst] - 1) < 1e-2:
        return None
    return f"with f(y) = y the result is {values[0][worst]:.4g}, not σ²(2·‖n‖²/N − 1) = {wanted[worst]:.4g}"


mc_sure = Exercise(
    number=6,
    function="mc_sure",
    title="the error without the clean image",
    minutes=15,
    value_points=3,
    takes={
        "y": "float32 (batch, 1, height, width): noisy images",
        "estimate": "float32, the same shape: f(y)",
        "moved": "float32, the same shape: f(y + εn)",
        "direction": "float32, the same shape: n, standard normal random numbers",
        "sigma": "σ, the noise level of y",
        "epsilon": "ε, how far the step goes",
    },
    returns="float32 (batch,): an estimate of each image's mean squared error",
    draw=_draw_step,
    reference=_mc_sure,
    answers=("course_lib.training.losses.mc_sure",),
    mistakes=(
        Mistake(_variance_missing, "−σ² is missing: ‖y − f(y)‖²/N holds the noise of y once too often"),
        Mistake(_variance_added, "you add σ²: it is subtracted, for y itself is noisy"),
        Mistake(_factor_missing, "the factor 2 before the divergence is missing: 2σ²·div f(y)/N"),
        Mistake(
            _divergence_subtracted,
            "your divergence has the wrong sign: the change is f(y + εn) minus f(y), and as the price for following "
            "the noise it is added",
        ),
        Mistake(
            _divergence_missing,
            "the divergence does not take part: without it f(y) = y, which does nothing, looks best; add 2σ²·div "
            "f(y)/N",
        ),
        Mistake(
            _misfit_alone,
            "this is the distance to the noisy image alone: subtract σ² and add 2σ²·div f(y)/N",
        ),
        Mistake(_misfit_missing, "the first term is missing: the mean of (y − f(y))² for each image"),
        Mistake(
            _levels_unsquared,
            "you use σ where its square belongs: σ² stands in both places",
            also=(partial(_levels_unsquared, first=False), partial(_levels_unsquared, second=False)),
        ),
        Mistake(_step_forgotten, "the division by ε is missing: f moves by its derivative *times* the step"),
        Mistake(_step_multiplied, "you multiply by ε: divide by it, for f moves by its derivative *times* the step"),
        Mistake(
            _divergence_summed,
            "your divergence is a sum and the rest a mean: divide it by the number N of pixels too",
        ),
        Mistake(
            _all_summed, "you take sums: all terms are divided by the number of pixels of one image",
            also=(_sums_but_one_variance,),
        ),
        Mistake(
            _direction_forgotten,
            "the direction does not weight the change: nᵀ(f(y + εn) − f(y)) multiplies each pixel's change by its "
            "own n",
        ),
        Mistake(
            _change_squared,
            "you take the size of the change: the divergence is its product with n, which has a sign",
            also=(_change_absolute,),
        ),
        Mistake(
            _against_the_noisy,
            "you subtract y, or nothing, from f(y + εn): the change of f is f(y + εn) − f(y)",
            also=(_moved_alone,),
        ),
        Mistake(_misfit_of_moved, "your first term takes f(y + εn): it compares y with f(y)"),
        Mistake(
            _misfit_rooted, "your first term is no mean of squares: no root, no absolute value, (y − f(y))²",
            also=(_misfit_absolute,),
        ),
        Mistake(
            _one_for_the_batch,
            "you take the mean over the whole batch: one number for each image, `mean(dim=(1, 2, 3))`",
        ),
        Mistake(_one_for_each_pixel, "no mean is taken: one number for each image, `mean(dim=(1, 2, 3))`"),
        Mistake(
            _transposed,
            "nᵀv means: multiply pixel by pixel and add up, `(direction * v).sum(dim=(1, 2, 3))`; `.T`, `@` and `dot` "
            "are for matrices and vectors, not for a batch of images",
            also=tuple(
                partial(_transposed, product=product)
                for product in (
                    lambda n, change: n @ change, torch.dot,
                    lambda n, change: n.squeeze().T @ change.squeeze(),
                    lambda n, change: n.flatten(1) @ change.flatten(1),
                )
            ),
        ),
        Mistake(
            _squeezed,
            "`squeeze()` also removes the batch's dimension where there is one image only: take `squeeze(1)`, or "
            "`mean(dim=(1, 2, 3))` without it",
            also=(partial(_squeezed, mean=lambda images: images.squeeze().flatten(1).mean(1)),),
        ),
        Mistake(
            _pixels_of_the_batch,
            "a term runs over the whole batch: add up each image by itself, `dim=(1, 2, 3)`, and N = `y[0].numel()` "
            "counts the pixels of one image",
            also=tuple(
                partial(_pixels_of_the_batch, misfit=a, divergence=b)
                for a, b in (
                    ("count", "image"), ("image", "count"), ("mean", "image"), ("image", "mean"), ("sum", "image"),
                    ("image", "sum"), ("sum", "sum"), ("mean", "sum"), ("mean", "count"),
                )
            ),
        ),
        Mistake(
            _divided_twice,
            "you divide by N twice: `.mean(...)` has done it already, so divide no more, or take `.sum(...)`",
            also=(
                partial(_divided_twice, misfit=True), partial(_divided_twice, misfit=True, divergence=False),
            ),
        ),
        Mistake(_step_squared, "you divide by ε²: f moves by its derivative times ε, so divide by ε once"),
        Mistake(
            _two_squared, "your 2 is squared together with σ, which makes 4σ²: write `2 * sigma**2`, without brackets"
        ),
        Mistake(_variance_divided, "you divide σ² by N: it is the noise of one pixel already, so subtract it whole"),
        Mistake(
            _norm_unsquared,
            "your norm is not squared: the first term is ‖y − f(y)‖²/N, the mean of the squares",
        ),
        Mistake(
            _norm_over_three_axes,
            "torch's norm runs over one or two axes only: ‖y − f(y)‖² is `(y - estimate).square().sum(dim=(1, 2, 3))`",
        ),
        Mistake(
            _hat_of_the_level, "`^` is no power in Python: σ² is `sigma**2`, with two stars", also=(_hat_of_the_terms,)
        ),
    ),
    properties=(
        Property(
            "does not react", "For an f that does not react to the noise, ‖y − f(y)‖²/N − σ² should be left.",
            _never_moves, _misfit_less_variance,
        ),
        Property(
            "does nothing", "For f(y) = y the error is the noise, so the result should be near σ².",
            _does_nothing, _noise_is_left,
        ),
    ),
    hints=(
        "Three terms, each one number an image: a mean of squares, a variance, and 2σ² times the divergence divided "
        "by N.",
        "The divergence divided by N: the mean of n·(f(y + εn) − f(y)) over the pixels, divided by ε.",
        "`(y - estimate).square().mean(dim=(1, 2, 3)) - sigma**2 + 2 * sigma**2 * divergence / N`, with `divergence = "
        "(direction * (moved - estimate)).sum(dim=(1, 2, 3)) / epsilon` and `N = y[0].numel()`.",
    ),
    tolerance=1e-3,
)  # fmt: skip


# --- 7. the detection rate ----------------------------------------------------------------------------

SPOTS, ELSEWHERE = (23, 17, 29), (60, 45, 90)
AREAS, RATES = (17.4, 11.9, 25.8), (0.5, 0.7, 0.3)  # products 8.7, 8.33, 7.74: floor and round differ


def _draw_responses(generator: torch.Generator, index: int) -> Arguments:
    """Responses in no order: spots between any two of those elsewhere, one on the threshold and one below all."""
    elsewhere = randn(generator, ELSEWHERE[index])
    ranks = elsewhere.sort(descending=True).values
    spots = torch.cat([0.9 + 1.2 * randn(generator, SPOTS[index]), (ranks[:-1] + ranks[1:]) / 2])
    spots[3], spots[4] = ranks[math.floor(AREAS[index] * RATES[index]) - 1], ranks[-1] - 0.5
    return spots[torch.randperm(len(spots), generator=generator)], elsewhere, AREAS[index], RATES[index]


def _threshold(elsewhere, k):
    return elsewhere.sort(descending=True).values[k - 1]


def _share_above(spots, threshold):
    return (spots > threshold).to(spots.dtype).mean()


def _detection_rate(spots, elsewhere, area, rate):
    """The lab's reference: the share of the spots above the k-th largest response elsewhere, k = ⌊area·rate⌋."""
    return _share_above(spots, _threshold(elsewhere, math.floor(area * rate)))


def _with_count(spots, elsewhere, count):
    return _share_above(spots, _threshold(elsewhere, count))


def _rounded_up(spots, elsewhere, area, rate):
    return _with_count(spots, elsewhere, math.ceil(area * rate))


def _index_one_off(spots, elsewhere, area, rate):
    return _with_count(spots, elsewhere, math.floor(area * rate) + 1)


def _index_one_less(spots, elsewhere, area, rate):
    return _with_count(spots, elsewhere, math.floor(area * rate) - 1)


def _smallest_ones(spots, elsewhere, area, rate):
    return _share_above(spots, elsewhere.sort().values[math.floor(area * rate) - 1])


def _not_sorted(spots, elsewhere, area, rate):
    return _share_above(spots, elsewhere[math.floor(area * rate) - 1])


def _rate_as_share(spots, elsewhere, area, rate):
    return _share_above(spots, elsewhere.quantile(1 - rate))


def _count_from_rate(spots, elsewhere, area, rate):
    return _with_count(spots, elsewhere, math.floor(rate))


def _count_from_area(spots, elsewhere, area, rate):
    return _with_count(spots, elsewhere, math.floor(area))


def _area_over_rate(spots, elsewhere, area, rate):
    return _with_count(spots, elsewhere, math.floor(area / rate))


def _share_of_all(spots, elsewhere, area, rate):
    return _with_count(spots, elsewhere, math.floor(rate * len(elsewhere)))


def _at_least(spots, elsewhere, area, rate):
    threshold = _threshold(elsewhere, math.floor(area * rate))
    return (spots >= threshold).to(spots.dtype).mean()


def _found_counted(spots, elsewhere, area, rate):
    threshold = _threshold(elsewhere, math.floor(area * rate))
    return (spots > threshold).sum().to(spots.dtype)


def _missed(spots, elsewhere, area, rate):
    return 1 - _at_least(spots, elsewhere, area, rate)


def _missed_with_equal(spots, elsewhere, area, rate):
    return 1 - _detection_rate(spots, elsewhere, area, rate)


def _share_of_elsewhere(spots, elsewhere, area, rate):
    return _share_above(elsewhere, _threshold(elsewhere, math.floor(area * rate)))


def _true_among_found(spots, elsewhere, area, rate):
    k = math.floor(area * rate)
    found = (spots > _threshold(elsewhere, k)).sum()
    return found / (found + k)


def _found_over_allowed(spots, elsewhere, area, rate):
    k = math.floor(area * rate)
    return (spots > _threshold(elsewhere, k)).sum() / k


def _above_all(spots, elsewhere, area, rate):
    return _share_above(spots, elsewhere.max())


def _above_the_mean(spots, elsewhere, area, rate, deviations=0.0):
    return _share_above(spots, elsewhere.mean() + deviations * elsewhere.std())


def _threshold_from_spots(spots, elsewhere, area, rate):
    return _share_above(spots, _threshold(spots, math.floor(area * rate)))


def _threshold_from_both(spots, elsewhere, area, rate):
    return _share_above(spots, _threshold(torch.cat([spots, elsewhere]), math.floor(area * rate)))


def _count_left_a_fraction(spots, elsewhere, area, rate):
    return _share_above(spots, elsewhere.sort(descending=True).values[area * rate])


def _threshold_itself(spots, elsewhere, area, rate):
    return _threshold(elsewhere, math.floor(area * rate))


def _rounded(spots, elsewhere, area, rate):
    return _with_count(spots, elsewhere, round(area * rate))


def _truth_averaged(spots, elsewhere, area, rate):
    return (spots > _threshold(elsewhere, math.floor(area * rate))).mean()


def _pair_indexed(spots, elsewhere, area, rate):
    return _share_above(spots, elsewhere.sort(descending=True)[math.floor(area * rate) - 1])


def _pair_compared(spots, elsewhere, area, rate, pair=lambda v, k: v.kthvalue(len(v) - k + 1)):
    return _share_above(spots, pair(elsewhere, math.floor(area * rate)))


def _several_compared(spots, elsewhere, area, rate, several=lambda v, k: v.topk(k).values):
    return _share_above(spots, several(elsewhere, math.floor(area * rate)))


def _fraction_given(spots, elsewhere, area, rate, method="topk"):
    return getattr(elsewhere, method)(area * rate)


def _always_one(spots, elsewhere, area, rate):
    found = spots > _threshold(elsewhere, math.floor(area * rate))
    return len(found) / len(spots)


def _whole_share(spots, elsewhere, area, rate):
    return (spots > _threshold(elsewhere, math.floor(area * rate))).sum() // len(spots)


def _rate_fixed(spots, elsewhere, area, rate, fixed=0.5):
    return _with_count(spots, elsewhere, math.floor(area * fixed))


def _over_elsewhere(spots, elsewhere, area, rate):
    return _found_counted(spots, elsewhere, area, rate) / len(elsewhere)


def _over_both(spots, elsewhere, area, rate):
    return _found_counted(spots, elsewhere, area, rate) / (len(spots) + len(elsewhere))


def _percent(spots, elsewhere, area, rate):
    return 100 * _detection_rate(spots, elsewhere, area, rate)


def _clear_and_lost(spots, elsewhere, area, rate):
    far = float(elsewhere.max() - elsewhere.min() + spots.max() - spots.min())
    return [(spots + 2 * far, elsewhere, area, rate), (spots - 2 * far, elsewhere, area, rate)]


def _all_and_none(arguments, values):
    clear, lost = (float(v) for v in values)
    if abs(clear - 1) < 1e-6 and abs(lost) < 1e-6:
        return None
    return f"spots above every other response give {clear:.3g}, and spots below every one give {lost:.3g}"


def _another_unit(spots, elsewhere, area, rate):
    return [(spots, elsewhere, area, rate), (8 * spots - 4, 8 * elsewhere - 4, area, rate)]


def _the_same(arguments, values):
    a, b = (float(v) for v in values)
    return None if abs(a - b) < 1e-6 else f"with all responses times 8 and minus 4, {a:.3g} becomes {b:.3g}"


detection_rate = Exercise(
    number=7,
    function="detection_rate",
    title="how many spots are found",
    minutes=14,
    value_points=3,
    takes={
        "spots": "float32 (count,): the detector's response at each spot",
        "elsewhere": "float32 (many,): its response at each local maximum where there is no spot",
        "area": "in cm²: the area that `elsewhere` comes from",
        "rate": "allowed false positives a cm²",
    },
    returns="a number from 0 to 1: the share of the spots above the threshold",
    draw=_draw_responses,
    reference=_detection_rate,
    answers=("course_lib.metrics.spots.threshold_at", "course_lib.metrics.spots.detected"),
    mistakes=(
        Mistake(
            _index_one_off,
            "your threshold is one place too low: counting begins at 0, so the k-th largest is at k − 1 (and k is "
            "rounded down)",
            also=(_rounded_up,),
        ),
        Mistake(
            _index_one_less,
            "your threshold is one place too high: the k-th largest is at the index k − 1, not k − 2",
        ),
        Mistake(
            _smallest_ones,
            "you take the k-th smallest: sort in falling order, `sort(descending=True)`",
        ),
        Mistake(_not_sorted, "the responses are in no order: sort `elsewhere` first, the largest in front"),
        Mistake(
            _share_of_all,
            "you take `rate` as a share of the responses: it is a number of false positives a cm², so k = ⌊area · "
            "rate⌋",
            also=(_rate_as_share,),
        ),
        Mistake(_count_from_rate, "the area does not take part: `rate` is for one cm², so k = ⌊area · rate⌋"),
        Mistake(_count_from_area, "`rate` does not take part: k = ⌊area · rate⌋"),
        Mistake(_area_over_rate, "you divide the area by the rate: cm² times false positives a cm² is their number"),
        Mistake(_at_least, "you count a spot on the threshold: a response counts when it is above it, `>`"),
        Mistake(_found_counted, "you count the spots that are found: their share of all spots is wanted"),
        Mistake(
            _missed, "this is the share of spots that are missed: return the share that is found",
            also=(_missed_with_equal,),
        ),
        Mistake(
            _share_of_elsewhere,
            "this is the share of false positives: compare the responses of `spots` with the threshold",
        ),
        Mistake(
            _true_among_found,
            "this is how many of the alarms are right: the question is how many of the *spots* raise an alarm",
            also=(_found_over_allowed,),
        ),
        Mistake(_above_all, "your threshold lets no false positive pass: k of them are allowed"),
        Mistake(
            _above_the_mean,
            "your threshold comes from mean and deviation: that fixes no number of false positives; take the k-th "
            "largest",
            also=tuple(partial(_above_the_mean, deviations=d) for d in (1.0, 2.0)),
        ),
        Mistake(
            _threshold_from_spots,
            "your threshold comes from the spots: it is chosen where there are none, in `elsewhere`",
            also=(_threshold_from_both,),
        ),
        Mistake(
            _count_left_a_fraction,
            "an index is a whole number: `math.floor(area * rate)`, or `int(area * rate)`",
            also=(_fraction_given, partial(_fraction_given, method="kthvalue")),
        ),
        Mistake(_threshold_itself, "you return the threshold: the share of the spots above it is wanted"),
        Mistake(
            _rounded,
            "you round to the nearest whole number: `round` may let one false positive too many pass, so round down, "
            "k = ⌊area · rate⌋",
        ),
        Mistake(
            _truth_averaged,
            "`spots > threshold` holds true and false, of which torch takes no mean: make numbers of them, "
            "`.float().mean()`",
        ),
        Mistake(
            _pair_indexed,
            "`sort` returns a pair, the sorted values and their places: take `.values` before the index, "
            "`.sort(descending=True).values[k - 1]`",
        ),
        Mistake(
            _pair_compared,
            "`sort`, `topk` and `kthvalue` return a pair, the values and their places: compare with `.values`",
            also=tuple(
                partial(_pair_compared, pair=pair) for pair in (lambda v, k: v.topk(k), lambda v, k: v.sort())
            ),
        ),
        Mistake(
            _several_compared,
            "you compare with the k largest responses at once: the threshold is the last of them, `.values[-1]`",
        ),
        Mistake(
            _always_one,
            "your result is always 1: `len` counts true and false alike, and `.any()` asks for one spot alone; take "
            "`.float().mean()`",
        ),
        Mistake(
            _whole_share,
            "your result is always 0: `//` rounds down to a whole number, so write a single `/`; and a threshold is a "
            "response, from `.values`, not a place, from `.indices`",
        ),
        Mistake(
            _rate_fixed,
            "your rate is a fixed number: use the argument `rate`, k = ⌊area · rate⌋",
            also=(partial(_rate_fixed, fixed=0.7), partial(_rate_fixed, fixed=0.3)),
        ),
        Mistake(
            _over_elsewhere, "you divide by the number of responses elsewhere: the share is that of the spots, "
            "`/ len(spots)`",
            also=(_over_both,),
        ),
        Mistake(_percent, "you return a percentage: the share runs from 0 to 1, so do not multiply by 100"),
    ),
    properties=(
        Property(
            "clear and lost", "Spots that stand out of everything should give 1, and spots below everything 0.",
            _clear_and_lost, _all_and_none,
        ),
        Property(
            "any unit", "Responses in another unit should give the same rate: only their order counts.",
            _another_unit, _the_same,
        ),
    ),
    hints=(
        "First how many false positives are allowed on this area, then the response that so many pass, then the spots.",
        "`k = math.floor(area * rate)`; `elsewhere.sort(descending=True).values[k - 1]` is the k-th largest.",
        "`(spots > threshold).float().mean()`.",
    ),
)  # fmt: skip


LAB = Lab(
    module="05_mammogram_denoising",
    title="05 Mammogram denoising",
    exercises=(image_noise, stabilise, receptive_field, dilated_convolution, ssim, mc_sure, detection_rate),
    open_questions=(
        OpenQuestion(
            number=8,
            name="did_it_help",
            title="did denoising help?",
            minutes=25,
            points=4,
            marking=(
                "reads both columns: PSNR rises by many dB at every dose, while the detection rate falls or stays at "
                "1/16 and 1/64 and rises only where little is seen, at 1/256; says so with intervals, or better with "
                "the pairs lost and won (1)",
                "explains it: mean squared error is a matter of the many pixels of parenchyma, the calcifications are "
                "few; the detector averages by itself already, and a faint spot that noise hides cannot be told from "
                "noise, so a network trained on squared error removes both; at 1/256 the logarithm makes outliers of "
                "few counts, which denoising takes away (1)",
                "judges the pictures: which dots are gone or new in the denoised cluster, and that a smooth picture "
                "looks surer than it is; names an erased or an invented spot, or says how one would look for it (1)",
                "says what the study does not show: generated breasts, one fixed detector and no radiologist, spots "
                "of a breast that are not independent, one noise draw, the doses of the training (1)",
            ),
        ),
    ),
)
progress = LAB.progress
