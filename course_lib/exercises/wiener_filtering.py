"""The exercises of module 01: the Wiener filter, from the spectrum of photographs to a mismatch study."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch

from course_lib import classical, physics
from course_lib.exercises.calls import Arguments
from course_lib.exercises.exercise import Exercise, Mistake, Property
from course_lib.exercises.lab import Lab, OpenQuestion

SHAPE = (12, 20)  # not square, so that rows² is not taken for the number of pixels
PIXELS = SHAPE[0] * SHAPE[1]


# --- 1. power spectrum --------------------------------------------------------------------------------


def _smooth_images(generator: torch.Generator, count: int = 4) -> torch.Tensor:
    """Small images with more power at low frequencies, of differing contrast, mean near 0.4."""
    noise = torch.randn(count, 1, *SHAPE, generator=generator)
    smooth = noise + noise.roll(1, -1) + noise.roll(1, -2) + 0.5 * noise.roll((2, 1), (-2, -1))
    contrast = torch.rand(count, 1, 1, 1, generator=generator) * 0.15 + 0.02
    return 0.4 + contrast * smooth


def _amplitude(images):
    return torch.fft.fft2(images).abs().mean(dim=(0, 1))


def _first_image(images):
    return torch.fft.fft2(images[0, 0]).abs().square()


def _orthonormal(images):
    return torch.fft.fft2(images, norm="ortho").abs().square().mean(dim=(0, 1))


def _sum_over_images(images):
    return torch.fft.fft2(images).abs().square().sum(dim=(0, 1))


def _shifted_spectrum(images):
    return torch.fft.fftshift(torch.fft.fft2(images).abs().square().mean(dim=(0, 1)))


def _of_mean_image(images):
    return torch.fft.fft2(images.mean(dim=(0, 1))).abs().square()


def _complex_square(images):
    return (torch.fft.fft2(images) ** 2).mean(dim=(0, 1))


def _real_part_only(images):
    return torch.fft.fft2(images).real.square().mean(dim=(0, 1))


def _square_of_mean(images):
    return torch.fft.fft2(images).abs().mean(dim=(0, 1)).square()


def _no_mean(images):
    return torch.fft.fft2(images).abs().square()


def _along_rows(images):
    return torch.fft.fft(images).abs().square().mean(dim=(0, 1))


def _mean_removed(images):
    return torch.fft.fft2(images - images.mean(dim=(-2, -1), keepdim=True)).abs().square().mean(dim=(0, 1))


def _forward_normalised(images):
    return torch.fft.fft2(images, norm="forward").abs().square().mean(dim=(0, 1))


def _half_spectrum(images):
    return torch.fft.rfft2(images).abs().square().mean(dim=(0, 1))


def _conjugate_product(images):
    transforms = torch.fft.fft2(images)
    return (transforms * transforms.conj()).mean(dim=(0, 1))


def _parseval(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    energy, power = float(calls[0][0].square().mean()), float(np.sum(values[0])) / PIXELS**2
    if math.isclose(energy, power, rel_tol=1e-3):
        return None
    return f"a pixel's mean square is {energy:.4g}, but n⁻²·ΣS is {power:.4g}"


def _twice_as_bright(images, *_):
    return [(images,), (2 * images,)]


def _four_times(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if np.allclose(values[1], 4 * values[0], rtol=1e-3):
        return None
    ratio = float(np.median(np.abs(values[1]) / np.maximum(np.abs(values[0]), 1e-30)))
    return f"images twice as bright gave {ratio:.3g} times the power, not 4 times"


def _moved(images, *_):
    return [(images,), (images.roll((3, 5), dims=(-2, -1)),)]


def _unmoved(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if np.allclose(values[1], values[0], rtol=1e-3, atol=1e-5 * np.abs(values[0]).max()):
        return None
    worst = float(np.abs(values[1] - values[0]).max() / np.abs(values[0]).max())
    return f"moving all images 3 pixels down and 5 to the right changed S by up to {worst:.1%} of its largest value"


power_spectrum = Exercise(
    number=1,
    function="power_spectrum",
    title="power spectrum of images",
    minutes=12,
    value_points=2,
    takes={"images": "float32 (batch, 1, height, width), grey values in [0, 1]"},
    returns="a real tensor S of shape (height, width)",
    draw=lambda generator, index: (_smooth_images(generator, count=(4, 1, 3)[index]),),
    reference=classical.power_spectrum,
    answers=("course_lib.classical.power_spectrum",),
    mistakes=(
        Mistake(_amplitude, "your spectrum is the mean magnitude |x̂|, not the mean power: |x̂| is not squared"),
        Mistake(_first_image, "your spectrum is that of the first image alone: take the mean over all images"),
        Mistake(
            _orthonormal,
            "your spectrum is too small by the number of pixels n: the orthonormal DFT divides each coefficient "
            "by √n, while this lab (as the deck) uses the unnormalised one, `torch.fft.fft2` without `norm`",
        ),
        Mistake(
            _sum_over_images,
            "your spectrum is as many times too large as there are images: E means the mean over them (and "
            "`fftn` would transform over the images too: use `fft2`)",
        ),
        Mistake(
            _shifted_spectrum,
            "your spectrum has zero frequency in the middle: `fftshift` is for looking at it; keep the DFT's own "
            "order, zero frequency at [0, 0]",
        ),
        Mistake(
            _of_mean_image,
            "your spectrum is that of the mean image: take |x̂|² of each image first, then the mean",
        ),
        Mistake(
            _complex_square,
            "your spectrum is complex: x̂² is not |x̂|²; take the magnitude (`.abs()`) before squaring",
        ),
        Mistake(_real_part_only, "your spectrum drops the imaginary part: |x̂|² is real part² + imaginary part²"),
        Mistake(
            _square_of_mean,
            "your spectrum is the square of the mean magnitude: square each |x̂| first, then take the mean",
        ),
        Mistake(_no_mean, "you give one spectrum for each image: take the mean over the dimensions 0 and 1 as well"),
        Mistake(
            _along_rows,
            "you transform along rows alone: `torch.fft.fft` has one dimension, `torch.fft.fft2` has two",
        ),
        Mistake(
            _mean_removed,
            "your images lose their mean before the transform: S keeps it, at frequency [0, 0], and the filter "
            "needs it there",
        ),
        Mistake(
            _forward_normalised,
            'your spectrum is n² times too small: `norm="forward"` divides each coefficient by n; leave `norm` out',
        ),
        Mistake(
            _half_spectrum,
            "you give half of the spectrum: `rfft2` leaves out the columns that mirror others; use `fft2`",
        ),
        Mistake(
            _conjugate_product,
            "your numbers are right, but of complex type: after x̂·conj(x̂) take `.real`",
        ),
    ),
    properties=(
        Property(
            "Parseval's relation",
            "The sum n⁻²·Σₖ Sₖ should equal the mean square of a pixel.",
            lambda images: [(images,)],
            _parseval,
        ),
        Property("scaling", "Images twice as bright should have four times the power.", _twice_as_bright, _four_times),
        Property("shift invariance", "Moving an image should not change its power spectrum.", _moved, _unmoved),
    ),
    hints=(
        "`torch.fft.fft2` transforms the last two dimensions of all images at once.",
        "The power at one frequency is the squared magnitude of a complex number: `.abs() ** 2`.",
        "The expectation E becomes a mean over images and channels, the dimensions 0 and 1, and leaves height and "
        "width: `(torch.fft.fft2(images).abs() ** 2).mean(dim=(0, 1))`.",
    ),
)


# --- 2. the gain --------------------------------------------------------------------------------------


def _spectrum(generator: torch.Generator) -> torch.Tensor:
    """A falling power spectrum without exact symmetries, around the noise power of σ = 0.1 to 0.3."""
    rows = torch.fft.fftfreq(SHAPE[0])[:, None]
    columns = torch.fft.fftfreq(SHAPE[1])[None, :]
    jitter = torch.rand(SHAPE, generator=generator) * 0.8 + 0.6
    return PIXELS * 0.01 * jitter / (0.02 + rows.square() + 0.5 * columns.square())


def _draw_gain(generator: torch.Generator, index: int = 0) -> Arguments:
    return _spectrum(generator), float(torch.rand((), generator=generator) * 0.4 + 0.1)


def _n_forgotten(spectrum, sigma):
    return spectrum / (spectrum + sigma**2)


def _sigma_not_squared(spectrum, sigma):
    return spectrum / (spectrum + spectrum.numel() * sigma)


def _noise_share(spectrum, sigma):
    return spectrum.numel() * sigma**2 / (spectrum + spectrum.numel() * sigma**2)


def _signal_to_noise(spectrum, sigma):
    return spectrum / (spectrum.numel() * sigma**2)


def _amplitude_ratio(spectrum, sigma):
    return spectrum.sqrt() / (spectrum.sqrt() + (spectrum.numel() * sigma**2) ** 0.5)


def _n_squared(spectrum, sigma):
    return spectrum / (spectrum + spectrum.numel() ** 2 * sigma**2)


def _rows_for_n(spectrum, sigma):
    return spectrum / (spectrum + len(spectrum) * sigma**2)


def _spectral_subtraction(spectrum, sigma):
    return ((spectrum - spectrum.numel() * sigma**2) / spectrum).clamp(min=0)


def _shifted_gain(spectrum, sigma):
    return torch.fft.fftshift(spectrum / (spectrum + spectrum.numel() * sigma**2))


def _no_parentheses(spectrum, sigma):
    return spectrum / spectrum + spectrum.numel() * sigma**2


def _all_or_nothing(spectrum, sigma):
    return (spectrum > spectrum.numel() * sigma**2).to(spectrum.dtype)


def _constant(spectrum, sigma):
    return torch.full_like(spectrum, 0.5)


def _between_0_and_1(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    low, high = float(np.min(values[0])), float(np.max(values[0]))
    if np.isrealobj(values[0]) and 0 <= low and high <= 1 + 1e-6:
        return None
    return f"at σ = {calls[0][1]:.2f} your gains reach from {low:.3g} to {high:.3g}"


def _half_at_crossing(spectrum, sigma):
    return [(torch.full(SHAPE, PIXELS * sigma**2), sigma)]


def _is_half(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if np.allclose(values[0], 0.5, atol=1e-3):
        return None
    return f"with S = nσ² at every frequency your gain is {float(np.ravel(values[0])[0]):.4g}, not 0.5"


def _more_noise(spectrum, sigma):
    return [(spectrum, sigma), (spectrum, 2 * sigma)]


def _falls(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if (values[1] < values[0]).all():
        return None
    where = np.unravel_index(np.argmax(values[1] - values[0]), values[0].shape)
    return (
        f"σ doubles from {calls[0][1]:.2f}, and your gain at {list(map(int, where))} goes "
        f"from {values[0][where]:.3g} to {values[1][where]:.3g}"
    )


wiener_gain = Exercise(
    number=2,
    function="wiener_gain",
    title="the Wiener gain",
    minutes=10,
    value_points=2,
    takes={
        "spectrum": "float32 (height, width): S from exercise 1",
        "sigma": "noise level σ > 0 in the image's units, a number",
    },
    returns="a real tensor of gains of shape (height, width)",
    draw=_draw_gain,
    reference=classical.wiener_gain,
    answers=("course_lib.classical.wiener_gain",),
    mistakes=(
        Mistake(
            _n_forgotten,
            "your gain ignores that the unnormalised DFT multiplies the noise power by the number of pixels n: "
            "white noise has power nσ² at every frequency",
        ),
        Mistake(_sigma_not_squared, "your gain has nσ where the noise power nσ² belongs: σ is not squared"),
        Mistake(_noise_share, "your gain is the noise's share, nσ² / (S + nσ²): keep the signal's share"),
        Mistake(
            _signal_to_noise,
            "your gain is the signal-to-noise ratio S / (nσ²), which exceeds 1: divide by signal plus noise",
        ),
        Mistake(
            _amplitude_ratio,
            "your gain is a ratio of amplitudes: the minimum of the mean squared error is a ratio of powers, "
            "without square roots",
        ),
        Mistake(_n_squared, "your gain has n²σ²: n squares of variance σ² add up in each coefficient, so nσ²"),
        Mistake(
            _rows_for_n,
            "your n is the number of rows (`len` of a matrix): the number of pixels is `spectrum.numel()`",
        ),
        Mistake(
            _spectral_subtraction,
            "your gain is (S − nσ²) / S, as if S were the spectrum of the noisy image: S is the clean images' "
            "spectrum, so the noisy power is S + nσ²",
        ),
        Mistake(
            _shifted_gain,
            "your gain has zero frequency in the middle: leave out `fftshift`, and keep the order of `spectrum`",
        ),
        Mistake(
            _no_parentheses,
            "parentheses are missing: `S / S + N` is 1 + N; the sum belongs below the line, `S / (S + N)`",
        ),
        Mistake(
            _all_or_nothing,
            "your gain keeps a wave wholly or not at all: the best share lies in between, S / (S + nσ²)",
        ),
        Mistake(_constant, "your gain is one half everywhere: it should depend on the spectrum and on σ"),
    ),
    properties=(
        Property(
            "between 0 and 1",
            "A gain is a share, so it should lie between 0 and 1.",
            lambda spectrum, sigma: [(spectrum, sigma)],
            _between_0_and_1,
        ),
        Property(
            "one half at the crossing",
            "Where signal and noise are equally strong, half should be kept.",
            _half_at_crossing,
            _is_half,
        ),
        Property("falls with noise", "The more noise, the smaller the gain should be.", _more_noise, _falls),
    ),
    hints=(
        "The gain is the share of the signal in the power of the noisy image, at each frequency for itself.",
        "The noise has variance σ² in each pixel. A coefficient of the unnormalised DFT adds up n of them.",
        "`noise = spectrum.numel() * sigma**2`, and the gain is signal / (signal + noise).",
    ),
)


# --- 3. applying it -----------------------------------------------------------------------------------


def _draw_filter(generator: torch.Generator, index: int) -> Arguments:
    """Noisy images, some darker than 0 and brighter than 1, and a symmetric gain that keeps 90 % of the mean."""
    count = (2, 1, 3)[index]
    noisy = 2 * (_smooth_images(generator, count) - 0.35) + 0.4 * torch.randn(count, 1, *SHAPE, generator=generator)
    width = float(torch.rand((), generator=generator) + 0.6)
    return noisy, 0.9 * physics.gaussian_gain(SHAPE, width).float()


def _by_hand(noisy, gain):
    """The lab's reference: three lines, as the lecture has them."""
    return torch.fft.ifft2(gain * torch.fft.fft2(noisy)).real


def _real_forgotten(noisy, gain):
    return torch.fft.ifft2(gain * torch.fft.fft2(noisy))


def _absolute_value(noisy, gain):
    return torch.fft.ifft2(gain * torch.fft.fft2(noisy)).abs()


def _gain_shifted(noisy, gain):
    return torch.fft.ifft2(torch.fft.fftshift(gain) * torch.fft.fft2(noisy)).real


def _result_shifted(noisy, gain):
    return torch.fft.fftshift(torch.fft.ifft2(gain * torch.fft.fft2(noisy)).real, dim=(-2, -1))


def _image_times_gain(noisy, gain):
    return gain * noisy


def _not_transformed_back(noisy, gain):
    return (gain * torch.fft.fft2(noisy)).real


def _forward_twice(noisy, gain):
    return torch.fft.fft2(gain * torch.fft.fft2(noisy)).real


def _zero_padded(noisy, gain):
    rows, columns = SHAPE
    kernel = torch.fft.fftshift(torch.fft.ifft2(gain).real)
    top, left = rows // 2, columns // 2
    padded = torch.nn.functional.pad(noisy, (columns - 1 - left, left, rows - 1 - top, top))
    return torch.nn.functional.conv2d(padded, kernel.flip(0, 1)[None, None])


def _gain_as_kernel(noisy, gain):
    return torch.fft.ifft2(torch.fft.fft2(gain) * torch.fft.fft2(noisy)).real


def _without_gain(noisy, gain):
    return torch.fft.ifft2(torch.fft.fft2(noisy)).real


def _clipped(noisy, gain):
    return torch.fft.ifft2(gain * torch.fft.fft2(noisy)).real.clamp(0, 1)


def _not_shifted_back(noisy, gain):
    shifted = torch.fft.fftshift(torch.fft.fft2(noisy), dim=(-2, -1))
    return torch.fft.ifft2(torch.fft.fftshift(gain) * shifted).real


def _same_padding(noisy, gain):
    kernel = torch.fft.fftshift(torch.fft.ifft2(gain).real)
    return torch.nn.functional.conv2d(noisy, kernel[None, None], padding="same")


def _complement(noisy, gain):
    return torch.fft.ifft2((1 - gain) * torch.fft.fft2(noisy)).real


def _twice(noisy, gain):
    return torch.fft.ifft2(gain**2 * torch.fft.fft2(noisy)).real


def _gain_one(noisy, gain):
    return [(noisy, torch.ones_like(gain)), (noisy, torch.zeros_like(gain))]


def _unchanged(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    noisy = calls[0][0].numpy()
    if np.allclose(values[0], noisy, atol=1e-4):
        left = float(np.abs(values[1]).max())
        return None if left < 1e-4 else f"a gain of 0 everywhere leaves a pixel of {left:.3g}"
    return f"a gain of 1 everywhere changed a pixel by {float(np.abs(values[0] - noisy).max()):.3g}"


def _two_images(noisy, gain):
    other = noisy.flip(-1).square() - 0.3
    return [(noisy, gain), (other, gain), (2 * noisy - 3 * other, gain)]


def _linear(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    wanted = 2 * values[0] - 3 * values[1]
    if np.allclose(values[2], wanted, atol=1e-3):
        return None
    return (
        f"filtering 2a − 3b differs from 2·filtered(a) − 3·filtered(b) by {float(np.abs(values[2] - wanted).max()):.3g}"
    )


def _rolled(noisy, gain):
    return [(noisy, gain), (noisy.roll((4, 7), dims=(-2, -1)), gain)]


def _commutes(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    wanted = np.roll(values[0], (4, 7), axis=(-2, -1))
    if np.allclose(values[1], wanted, atol=1e-4):
        return None
    return (
        "filtering an image moved 4 pixels down and 7 to the right (round the border) differs from moving the "
        f"filtered one by {float(np.abs(values[1] - wanted).max()):.3g}"
    )


apply_gain = Exercise(
    number=3,
    function="apply_gain",
    title="applying a gain",
    minutes=12,
    value_points=2,
    takes={
        "noisy": "float32 (batch, 1, height, width)",
        "gain": "float32 (height, width), zero frequency at [0, 0]",
    },
    returns="a real tensor of the shape of `noisy`",
    draw=_draw_filter,
    reference=_by_hand,
    answers=("course_lib.physics.CircularConvolution",),
    mistakes=(
        Mistake(
            _real_forgotten,
            "your images are complex: the imaginary part is rounding error of the inverse transform; take `.real`",
        ),
        Mistake(
            _absolute_value,
            "your images are magnitudes: `.abs()` turns values below zero, which noisy images have, into positive "
            "ones; take `.real`",
        ),
        Mistake(
            _gain_shifted,
            "your gain is shifted and the image's transform is not, so high frequencies are kept and low ones "
            "lost: leave out `fftshift`",
        ),
        Mistake(
            _result_shifted,
            "your images are cut in four and swapped: `fftshift` has no place after the inverse transform",
        ),
        Mistake(
            _image_times_gain,
            "you multiply pixels by gains: the gain belongs to frequencies, so transform the image first (`fft2` "
            "without `dim` takes height and width)",
        ),
        Mistake(_not_transformed_back, "you give the filtered transform: the inverse, `torch.fft.ifft2`, is missing"),
        Mistake(
            _forward_twice,
            "you transform forward twice: that turns the image round and multiplies it by n; the way back is "
            "`torch.fft.ifft2`",
        ),
        Mistake(
            _zero_padded,
            "inside the image you are right, but beyond its border you assume zeros (as `conv2d` does): the "
            "theory is circular, and the image goes on at its other side",
        ),
        Mistake(
            _gain_as_kernel,
            "you transform the gain too: it already is the filter at each frequency; multiply by it as it is",
        ),
        Mistake(_without_gain, "your images equal the noisy ones: the gain is not used"),
        Mistake(
            _clipped, "your images are clipped to [0, 1]: then the filter is no longer linear; leave out the clamp"
        ),
        Mistake(
            _not_shifted_back,
            "you shift gain and transform, and do not shift back: `ifft2` wants zero frequency at [0, 0]; leave "
            "out both shifts",
        ),
        Mistake(
            _same_padding,
            '`padding="same"` fills up with zeros beyond the border: the theory is circular, and the image goes on '
            "at its other side",
        ),
        Mistake(_complement, "you keep what should be dropped: multiply by the gain, not by 1 − gain"),
        Mistake(_twice, "you apply the gain twice, once is enough: gain² where the gain belongs"),
    ),
    properties=(
        Property(
            "identity",
            "A gain of 1 everywhere should change nothing, and a gain of 0 should leave nothing.",
            _gain_one,
            _unchanged,
        ),
        Property("linearity", "Filtering a sum should give the sum of the filtered images.", _two_images, _linear),
        Property("translation invariance", "Moving and filtering should be exchangeable.", _rolled, _commutes),
    ),
    hints=(
        "The gain belongs to frequencies and the image to pixels: which function leads from one to the other, and "
        "which one back?",
        "`gain` has two dimensions and the transform of `noisy` four: `*` lines up the last ones by itself.",
        "`torch.fft.ifft2(gain * torch.fft.fft2(noisy))`, and of that the real part.",
    ),
)


# --- 4. the error to expect ---------------------------------------------------------------------------


def _draw_error(generator: torch.Generator, index: int) -> Arguments:
    gain = torch.rand(SHAPE, generator=generator) * 0.8 + 0.1
    return gain, *_draw_gain(generator)


def _one_over_n(gain, spectrum, sigma):
    return spectrum.numel() * classical.expected_mse(gain, spectrum, sigma)


def _plain_sum(gain, spectrum, sigma):
    return spectrum.numel() ** 2 * classical.expected_mse(gain, spectrum, sigma)


def _always_optimal(gain, spectrum, sigma):
    noise = spectrum.numel() * sigma**2
    return (spectrum * noise / (spectrum + noise)).sum() / spectrum.numel() ** 2


def _noise_gain_not_squared(gain, spectrum, sigma):
    n = spectrum.numel()
    return ((1 - gain) ** 2 * spectrum + gain * n * sigma**2).sum() / n**2


def _loss_not_squared(gain, spectrum, sigma):
    n = spectrum.numel()
    return ((1 - gain) * spectrum + gain**2 * n * sigma**2).sum() / n**2


def _signal_only(gain, spectrum, sigma):
    return ((1 - gain) ** 2 * spectrum).sum() / spectrum.numel() ** 2


def _noise_only(gain, spectrum, sigma):
    return (gain**2).mean() * sigma**2


def _noise_n_forgotten(gain, spectrum, sigma):
    return ((1 - gain) ** 2 * spectrum + gain**2 * sigma**2).sum() / spectrum.numel() ** 2


def _terms_swapped(gain, spectrum, sigma):
    n = spectrum.numel()
    return (gain**2 * spectrum + (1 - gain) ** 2 * n * sigma**2).sum() / n**2


def _not_summed(gain, spectrum, sigma):
    n = spectrum.numel()
    return ((1 - gain) ** 2 * spectrum + gain**2 * n * sigma**2) / n**2


def _coherent(gain, spectrum, sigma):
    n = spectrum.numel()
    return ((1 - gain) * spectrum.sqrt() - gain * n**0.5 * sigma).square().sum() / n**2


def _no_squares(gain, spectrum, sigma):
    n = spectrum.numel()
    return ((1 - gain) * spectrum + gain * n * sigma**2).sum() / n**2


def _plain_sigma(gain, spectrum, sigma):
    return classical.expected_mse(gain, spectrum, sigma**0.5)


def _rows_as_n(gain, spectrum, sigma):
    n = len(spectrum)
    return ((1 - gain) ** 2 * spectrum + gain**2 * n * sigma**2).sum() / n**2


def _root_of_it(gain, spectrum, sigma):
    return classical.expected_mse(gain, spectrum, sigma).sqrt()


def _as_psnr(gain, spectrum, sigma):
    return -10 * torch.log10(classical.expected_mse(gain, spectrum, sigma))


def _all_kept(gain, spectrum, sigma):
    return [(torch.ones_like(gain), spectrum, sigma)]


def _is_noise(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    sigma, value = calls[0][2], float(np.real(values[0]).sum())
    if math.isclose(value, sigma**2, rel_tol=1e-3):
        return None
    return f"σ = {sigma:.3f}: expected σ² = {sigma**2:.4g}, got {value:.4g}"


def _all_dropped(gain, spectrum, sigma):
    return [(torch.zeros_like(gain), spectrum, sigma)]


def _is_energy(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    energy, value = float(calls[0][1].sum()) / PIXELS**2, float(np.real(values[0]).sum())
    if math.isclose(value, energy, rel_tol=1e-3):
        return None
    return f"the mean square is {energy:.4g}, and you get {value:.4g}"


def _perturbed(gain, spectrum, sigma):
    best = classical.wiener_gain(spectrum, sigma)
    return [(best, spectrum, sigma), (best + 0.2 * (gain - 0.5), spectrum, sigma)]


def _is_least(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    best, other = (float(np.real(v).sum()) for v in values)
    if best < other:
        return None
    return f"the Wiener gain gets {best:.4g} and a randomly changed gain {other:.4g}"


expected_mse = Exercise(
    number=4,
    function="expected_mse",
    title="the error to expect",
    minutes=15,
    value_points=2,
    takes={
        "gain": "float32 (height, width), any real gain",
        "spectrum": "float32 (height, width): S of the clean images",
        "sigma": "noise level σ > 0, a number",
    },
    returns="one number: the mean squared error of a pixel",
    draw=_draw_error,
    reference=classical.expected_mse,
    answers=("course_lib.classical.expected_mse",),
    mistakes=(
        Mistake(
            _one_over_n,
            "your error is n times too large: one 1/n comes from Parseval's relation, a second one from the mean "
            "over pixels, so n⁻² in all",
        ),
        Mistake(
            _plain_sum,
            "your error is n² times too large: it is the sum over frequencies, still without n⁻²",
        ),
        Mistake(
            _always_optimal,
            "your error does not depend on the gain: this is the least error, that of the Wiener gain; here any "
            "gain may come",
        ),
        Mistake(
            _noise_gain_not_squared,
            "your noise term has the gain, not its square: an amplitude multiplied by ŵ has ŵ² times the power",
        ),
        Mistake(
            _loss_not_squared,
            "your signal term has 1 − ŵ, not its square: the lost amplitude is (1 − ŵ)x̂, its power (1 − ŵ)²S",
        ),
        Mistake(
            _signal_only,
            "your error holds the lost signal, (1 − ŵ)²S, alone: the noise that passes, ŵ²nσ², is missing",
        ),
        Mistake(
            _noise_only,
            "your error holds the noise that passes alone: the lost signal, (1 − ŵ)²S, is missing",
        ),
        Mistake(
            _noise_n_forgotten,
            "your noise term ignores that the unnormalised DFT multiplies the noise power by n: nσ², as in exercise 2",
        ),
        Mistake(
            _terms_swapped,
            "your two terms have each other's factor: the signal loses (1 − ŵ)², the noise passes with ŵ²",
        ),
        Mistake(_not_summed, "you give one error for each frequency: add them up"),
        Mistake(
            _coherent,
            "you add amplitudes before squaring: image and noise are independent, so their mixed term is 0 in the "
            "mean, and powers add, (1 − ŵ)²S + ŵ²nσ²",
        ),
        Mistake(
            _no_squares,
            "neither gain is squared: an amplitude multiplied by ŵ has ŵ² times the power, so (1 − ŵ)²S + ŵ²nσ²",
        ),
        Mistake(_plain_sigma, "your noise power is nσ where nσ² belongs: σ is not squared"),
        Mistake(
            _rows_as_n,
            "your n is the number of rows (`len` of a matrix): the number of pixels is `spectrum.numel()`",
        ),
        Mistake(_root_of_it, "you give the root of the error: the mean *squared* error has no root"),
        Mistake(_as_psnr, "you give decibels: give the mean squared error itself"),
    ),
    properties=(
        Property(
            "gain 1",
            "Who keeps everything keeps all the noise, so with gain 1 the error should be σ².",
            _all_kept,
            _is_noise,
        ),
        Property(
            "gain 0",
            "Who keeps nothing loses the image, so with gain 0 the error should be the image's mean square.",
            _all_dropped,
            _is_energy,
        ),
        Property(
            "least at the Wiener gain",
            "No gain should have a smaller error than the Wiener gain.",
            _perturbed,
            _is_least,
        ),
    ),
    hints=(
        "The mean of |(1 − ŵ)x̂ − ŵẑ|²: multiply out. Which mean does the mixed term x̂·conj(ẑ) have, when x̂ and ẑ are "
        "independent and ẑ has mean 0?",
        "Powers add: (1 − ŵ)² times the power of x̂, which is S, plus ŵ² times the power of ẑ, which is nσ².",
        "Parseval turns the sum over frequencies into one over pixels with 1/n, and the mean over pixels divides by n "
        "once more: `.sum() / n**2`.",
    ),
)


# --- 5. linear MMSE as a matrix -----------------------------------------------------------------------


def _draw_patches(generator: torch.Generator, index: int) -> Arguments:
    """60 vectors of 6 pixels with a mean and a covariance that are not symmetric under any shift."""
    mixing = torch.randn(6, 6, generator=generator) * 0.1 + 0.15 * torch.eye(6)
    mean = torch.rand(6, generator=generator) * 0.6 + 0.2
    patches = mean + torch.randn(60, 6, generator=generator) @ mixing
    return patches, float(torch.rand((), generator=generator) * 0.2 + 0.08)


def _statistics(patches, correction=0):
    centred = patches - patches.mean(dim=0)
    return patches.mean(dim=0), centred.T @ centred / (len(patches) - correction)


def _by_statistics(patches, sigma):
    """The lab's reference: mean and covariance of the patches, then the matrix."""
    return classical.linear_mmse(*_statistics(patches), sigma)


def _unbiased_covariance(patches, sigma):
    """As right: the covariance with the factor 1/(count − 1) of `torch.cov`."""
    return classical.linear_mmse(*_statistics(patches, correction=1), sigma)


def _affine(W, mean):
    return W, mean - W @ mean


def _shrink(C, noise):
    """C (C + noise)⁻¹"""
    return C @ torch.linalg.inv(C + noise)


def _variance(C, sigma):
    return sigma**2 * torch.eye(len(C))


def _mean_not_removed(patches, sigma):
    second = patches.T @ patches / len(patches)
    return _shrink(second, _variance(second, sigma)), torch.zeros(len(second))


def _mean_not_removed_with_b(patches, sigma):
    W, _ = _mean_not_removed(patches, sigma)
    return _affine(W, patches.mean(dim=0))


def _b_is_zero(patches, sigma, correction=0):
    _, C = _statistics(patches, correction)
    return _shrink(C, _variance(C, sigma)), torch.zeros(len(C))


def _b_is_mean(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    return _shrink(C, _variance(C, sigma)), mean


def _b_is_filtered_mean(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    W = _shrink(C, _variance(C, sigma))
    return W, W @ mean


def _sigma_for_variance(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    return _affine(_shrink(C, sigma * torch.eye(len(C))), mean)


def _n_sigma_squared(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    return _affine(_shrink(C, len(C) * _variance(C, sigma)), mean)


def _inverse_only(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    return _affine(torch.linalg.inv(C + _variance(C, sigma)), mean)


def _noise_forgotten(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    return _affine(C @ torch.linalg.pinv(C), mean)


def _noise_matrix(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    return _affine(sigma**2 * torch.linalg.inv(C + _variance(C, sigma)), mean)


def _scatter(patches, sigma):
    mean, C = _statistics(patches)
    return _affine(_shrink(len(patches) * C, _variance(C, sigma)), mean)


def _correlation(patches, sigma):
    C = torch.corrcoef(patches.T)
    return _affine(_shrink(C, _variance(C, sigma)), patches.mean(dim=0))


def _entry_by_entry(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    return _affine(C * torch.linalg.inv(C + _variance(C, sigma)), mean)


def _divided_by_entries(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    return _affine(C / (C + _variance(C, sigma)), mean)


def _sigma_everywhere(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    return _affine(_shrink(C, sigma**2), mean)


def _cov_of_patches(patches, sigma):
    C = torch.cov(patches)  # its rows are the variables: the patches are taken for pixels
    return _affine(_shrink(C, _variance(C, sigma)), patches.mean(dim=1))


def _cov_of_patches_mean_of_pixels(patches, sigma):
    C = torch.cov(patches)
    return _affine(_shrink(C, _variance(C, sigma)), patches.mean(dim=0))  # stops: 60 × 60 times 6


def _mean_of_each_patch(patches, sigma):
    C = torch.cov(patches.T)
    return _affine(_shrink(C, _variance(C, sigma)), patches.mean(dim=1))  # stops: 6 × 6 times 60


def _order_swapped(patches, sigma, correction=0):
    mean, C = _statistics(patches, correction)
    W, b = _affine(_shrink(C, _variance(C, sigma)), mean)
    return b, W


def _keeps_mean(calls: list[Arguments], values: list[tuple[np.ndarray, np.ndarray]]) -> str | None:
    W, b = values[0]
    mean = calls[0][0].mean(dim=0).numpy()
    if np.allclose(W @ mean + b, mean, atol=1e-3):
        return None
    return f"it changes by up to {float(np.abs(W @ mean + b - mean).max()):.3g}"


def _shrinks(calls: list[Arguments], values: list[tuple[np.ndarray, np.ndarray]]) -> str | None:
    eigenvalues = np.linalg.eigvals(values[0][0])
    low, high = float(eigenvalues.real.min()), float(eigenvalues.real.max())
    if -1e-4 <= low and high <= 1 + 1e-4 and np.abs(eigenvalues.imag).max() < 1e-3:
        return None
    return f"they reach from {low:.3g} to {high:.3g}"


def _rescaled(patches, sigma):
    return [(patches, sigma), (255 * patches, 255 * sigma)]


def _same_in_any_unit(calls: list[Arguments], values: list[tuple[np.ndarray, np.ndarray]]) -> str | None:
    (W, b), (W255, b255) = values
    if np.allclose(W255, W, atol=2e-3) and np.allclose(b255, 255 * b, atol=0.3):
        return None
    changes = float(np.abs(W255 - W).max()), float(np.abs(b255 / 255 - b).max())
    return f"W changes by up to {changes[0]:.3g}, b by up to {changes[1]:.3g}"


def _either(function, message):
    """A mistake, recognised with both ways to divide in a covariance."""
    return Mistake(function, message, also=(partial(function, correction=1),))


linear_mmse = Exercise(
    number=5,
    function="linear_mmse",
    title="linear MMSE as a matrix",
    minutes=20,
    value_points=2,
    takes={
        "patches": "float32 (count, pixels): clean patches, one a row",
        "sigma": "noise level σ > 0, a number",
    },
    returns="a tuple of tensors: W of shape (pixels, pixels) and b of shape (pixels,)",
    draw=_draw_patches,
    reference=_by_statistics,
    answers=("course_lib.classical.linear_mmse",),
    mistakes=(
        Mistake(
            _mean_not_removed,
            "your C is the matrix of second moments E[x xᵀ]: the mean is not removed (and b is 0); with a mean in "
            "the data the best map is affine",
        ),
        Mistake(
            _mean_not_removed_with_b,
            "your b is right in form, but your C still holds the mean: C = E[(x − μ)(x − μ)ᵀ]",
        ),
        _either(_b_is_zero, "your W is right, but b is 0: the mean patch must come out as it is, W μ + b = μ"),
        _either(_b_is_mean, "your W is right, but b is μ: W y already holds a part of the mean; b = μ − W μ"),
        _either(_b_is_filtered_mean, "your W is right, but b is W μ: b is what W takes from the mean, b = μ − W μ"),
        _either(_sigma_for_variance, "your W has σ where σ² belongs: the noise's covariance is σ²I"),
        _either(
            _n_sigma_squared,
            "your W has nσ²: that was the noise power of a Fourier coefficient; a pixel's noise has variance σ²",
        ),
        _either(_inverse_only, "your W is the inverse (C + σ²I)⁻¹ alone: the factor C before it is missing"),
        _either(_noise_forgotten, "your W does nothing: the noise's σ²I is missing in the matrix that is inverted"),
        _either(
            _noise_matrix,
            "your W is σ²(C + σ²I)⁻¹, which estimates the noise: the signal's share is C (C + σ²I)⁻¹",
        ),
        Mistake(_scatter, "your C is a sum over the patches, not a mean: divide by the number of patches (rows)"),
        Mistake(
            _correlation,
            "your C holds correlations, each pixel scaled to variance 1: `torch.cov` keeps the variances",
        ),
        _either(_entry_by_entry, "you multiply C and the inverse entry by entry (`*`): matrices are multiplied by `@`"),
        _either(
            _divided_by_entries,
            "you divide C entry by entry: (C + σ²I)⁻¹ is the matrix inverse, `torch.linalg.inv`",
        ),
        _either(
            _sigma_everywhere,
            "you add σ² to every entry of C: independent noise adds it on the diagonal alone, σ² times `torch.eye`",
        ),
        Mistake(
            _cov_of_patches,
            "your W has one row for each patch: `torch.cov` takes rows for variables, so give it `patches.T`; means "
            "go over dimension 0",
        ),
        Mistake(
            _cov_of_patches_mean_of_pixels,
            "your C has one row for each patch, so it does not fit the mean: `torch.cov` takes rows for variables, "
            "give it `patches.T`",
        ),
        Mistake(
            _mean_of_each_patch,
            "your mean is that of each patch, so it does not fit W: the mean over patches goes over dimension 0",
        ),
        _either(_order_swapped, "your numbers are right and in the wrong order: return W first, then b"),
    ),
    properties=(
        Property(
            "keeps the mean",
            "The mean patch should come out unchanged, W μ + b = μ.",
            lambda p, s: [(p, s)],
            _keeps_mean,
        ),
        Property(
            "shrinks",
            "W should shrink and never amplify: all its eigenvalues should lie between 0 and 1.",
            lambda p, s: [(p, s)],
            _shrinks,
        ),
        Property(
            "any unit",
            "The unit of grey values should not matter: W should be the same in 0…1 and in 0…255.",
            _rescaled,
            _same_in_any_unit,
        ),
    ),
    hints=(
        "Two statistics are needed: the mean μ over the patches (dimension 0, so one number for each pixel), and the "
        "covariance C of pixels with pixels (pixels × pixels, not patches × patches).",
        "`mu = patches.mean(dim=0)`, and either `C = torch.cov(patches.T)` or, by hand, `centred.T @ centred / count`.",
        "W = C (C + σ²I)⁻¹ is `C @ torch.linalg.inv(C + sigma**2 * torch.eye(pixels))`; then b = μ − W μ.",
    ),
    also_right=(_unbiased_covariance,),
    tolerance=1e-3,
)


# --- 6. which photographs to train on -----------------------------------------------------------------


def _draw_candidates(generator: torch.Generator, index: int) -> Arguments:
    candidates = torch.stack([_spectrum(generator) * scale for scale in (0.05, 0.3, 1.0, 4.0)])
    truth = _spectrum(generator) * float(torch.rand((), generator=generator) + 0.3)
    return candidates, truth, float(torch.rand((), generator=generator) * 0.4 + 0.2)


def _by_risk(candidates, truth, sigma):
    """The lab's reference: each candidate's gain, judged by the images that it will meet."""
    gains = [classical.wiener_gain(candidate, sigma) for candidate in candidates]
    return torch.stack([classical.expected_mse(gain, truth, sigma) for gain in gains])


def _judges_itself(candidates, truth, sigma):
    gains = [classical.wiener_gain(candidate, sigma) for candidate in candidates]
    return torch.stack([
        classical.expected_mse(gain, own, sigma) for gain, own in zip(gains, candidates, strict=True)
    ])  # fmt: skip


def _roles_swapped(candidates, truth, sigma):
    gain = classical.wiener_gain(truth, sigma)
    return torch.stack([classical.expected_mse(gain, candidate, sigma) for candidate in candidates])


def _same_for_all(candidates, truth, sigma):
    best = classical.expected_mse(classical.wiener_gain(truth, sigma), truth, sigma)
    return best.repeat(len(candidates))


def _spectral_distance(candidates, truth, sigma):
    return (candidates - truth).square().mean(dim=(1, 2))


def _in_decibels(candidates, truth, sigma):
    return -10 * torch.log10(_by_risk(candidates, truth, sigma))


def _index_of_best(candidates, truth, sigma):
    return _by_risk(candidates, truth, sigma).argmin()


def _all_in_one_go(candidates, truth, sigma):
    gains = candidates / (candidates + candidates.numel() * sigma**2)
    return torch.stack([classical.expected_mse(gain, truth, sigma) for gain in gains])


def _least_alone(candidates, truth, sigma):
    return _by_risk(candidates, truth, sigma).min()


def _reversed(candidates, truth, sigma):
    return [(candidates, truth, sigma), (candidates.flip(0), truth, sigma)]


def _order_follows(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if np.allclose(values[1], values[0][::-1], rtol=1e-3):
        return None
    forth, back = (np.array2string(np.asarray(v), precision=4) for v in values)
    return f"four candidates gave {forth}, and in reverse order {back}"


def _truth_among(candidates, truth, sigma):
    return [(torch.cat([candidates, truth[None]]), truth, sigma)]


def _truth_wins(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if int(np.argmin(values[0])) == len(values[0]) - 1 and len(values[0]) == len(calls[0][0]):
        return None
    return (
        f"the true spectrum is the last of {len(calls[0][0])} candidates, and your least risk is at position "
        f"{int(np.argmin(values[0])) + 1}, counted from 1"
    )


spectrum_risks = Exercise(
    number=6,
    function="spectrum_risks",
    title="choosing the training spectrum",
    minutes=12,
    value_points=2,
    takes={
        "candidates": "float32 (count, height, width): spectra to choose from",
        "truth": "float32 (height, width): spectrum of the images that the filter will meet",
        "sigma": "noise level σ > 0, a number",
    },
    returns="a real tensor of shape (count,): each candidate's mean squared error",
    draw=_draw_candidates,
    reference=_by_risk,
    answers=(),  # no library function is the answer, and the parts are the student's own
    mistakes=(
        Mistake(
            _judges_itself,
            "your candidates mark their own work: each gain is judged on the spectrum that it was made from; the "
            "images that it will meet have `truth`",
        ),
        Mistake(
            _roles_swapped,
            "your roles are swapped: the gain comes from the candidate, and the error is over the truth",
        ),
        Mistake(
            _same_for_all,
            "your risks are all the same: the gain must come from each candidate, not from the truth",
        ),
        Mistake(
            _spectral_distance,
            "you measure how far the spectra are apart, which the strongest frequencies decide: measure the "
            "error that the filter will make",
        ),
        Mistake(
            _in_decibels,
            "your risks are in decibels, where more is better: give mean squared errors",
        ),
        Mistake(_index_of_best, "you give the best candidate's index: give the risk of each candidate"),
        Mistake(_least_alone, "you give the least risk alone: give the risk of each candidate, in their order"),
        Mistake(
            _all_in_one_go,
            "your `wiener_gain` gets all candidates at once, so its number of pixels n is too large: call it for each "
            "candidate",
        ),
    ),
    properties=(
        Property("order", "The risks should come in the order of the candidates.", _reversed, _order_follows),
        Property(
            "the truth wins",
            "No candidate should have a smaller risk than the true spectrum itself.",
            _truth_among,
            _truth_wins,
        ),
    ),
    hints=(
        "Two spectra play two roles: one makes the gain, the other says what images come.",
        "For one candidate: `expected_mse(wiener_gain(candidate, sigma), truth, sigma)`, with your own two functions.",
        "`torch.tensor([float(...) for candidate in candidates])` makes a tensor of shape (count,) of the numbers.",
    ),
)


# --- 7. what a mismatch costs -------------------------------------------------------------------------


def _draw_mismatch(generator: torch.Generator, index: int) -> Arguments:
    assumed, sigma = (float(torch.rand((), generator=generator) * 0.3 + low) for low in (0.4, 0.1))
    return _spectrum(generator) * 0.3, assumed, _spectrum(generator), sigma


def _cost(spectrum, assumed_sigma, truth, sigma):
    """The lab's reference: the error with what was assumed, over the least possible, in decibels."""
    mismatched = classical.expected_mse(classical.wiener_gain(spectrum, assumed_sigma), truth, sigma)
    least = classical.expected_mse(classical.wiener_gain(truth, sigma), truth, sigma)
    return 10 * torch.log10(mismatched / least)


def _upside_down(spectrum, assumed_sigma, truth, sigma):
    return -_cost(spectrum, assumed_sigma, truth, sigma)


def _twenty_logs(spectrum, assumed_sigma, truth, sigma):
    return 2 * _cost(spectrum, assumed_sigma, truth, sigma)


def _natural_logarithm(spectrum, assumed_sigma, truth, sigma):
    return 10 * torch.log(10 ** (_cost(spectrum, assumed_sigma, truth, sigma) / 10))


def _ratio_only(spectrum, assumed_sigma, truth, sigma):
    return 10 ** (_cost(spectrum, assumed_sigma, truth, sigma) / 10)


def _difference_of_errors(spectrum, assumed_sigma, truth, sigma):
    mismatched = classical.expected_mse(classical.wiener_gain(spectrum, assumed_sigma), truth, sigma)
    return mismatched - classical.expected_mse(classical.wiener_gain(truth, sigma), truth, sigma)


def _judged_at_assumed(spectrum, assumed_sigma, truth, sigma):
    mismatched = classical.expected_mse(classical.wiener_gain(spectrum, assumed_sigma), truth, assumed_sigma)
    least = classical.expected_mse(classical.wiener_gain(truth, sigma), truth, sigma)
    return 10 * torch.log10(mismatched / least)


def _against_own_best(spectrum, assumed_sigma, truth, sigma):
    mismatched = classical.expected_mse(classical.wiener_gain(spectrum, assumed_sigma), truth, sigma)
    own = classical.expected_mse(classical.wiener_gain(spectrum, assumed_sigma), spectrum, assumed_sigma)
    return 10 * torch.log10(mismatched / own)


def _error(assumed, assumed_sigma, truth, sigma):
    return classical.expected_mse(classical.wiener_gain(assumed, assumed_sigma), truth, sigma)


def _decibels(error, least):
    return 10 * torch.log10(error / least)


def _logarithm_alone(spectrum, assumed_sigma, truth, sigma):
    return _cost(spectrum, assumed_sigma, truth, sigma) / 10


def _assumed_sigma_ignored(spectrum, assumed_sigma, truth, sigma):
    return _cost(spectrum, sigma, truth, sigma)


def _assumed_spectrum_ignored(spectrum, assumed_sigma, truth, sigma):
    return _cost(truth, assumed_sigma, truth, sigma)


def _roles_of_spectra_swapped(spectrum, assumed_sigma, truth, sigma):
    return _cost(truth, sigma, spectrum, assumed_sigma)


def _as_the_filter_believes(spectrum, assumed_sigma, truth, sigma):
    own = _error(spectrum, assumed_sigma, spectrum, assumed_sigma)
    return _decibels(own, _error(truth, sigma, truth, sigma))


def _least_at_assumed_sigma(spectrum, assumed_sigma, truth, sigma):
    least = _error(truth, assumed_sigma, truth, sigma)
    return _decibels(_error(spectrum, assumed_sigma, truth, sigma), least)


def _least_with_assumed_spectrum(spectrum, assumed_sigma, truth, sigma):
    least = _error(spectrum, sigma, truth, sigma)
    return _decibels(_error(spectrum, assumed_sigma, truth, sigma), least)


def _against_the_noise(spectrum, assumed_sigma, truth, sigma):
    return 10 * torch.log10(_error(spectrum, assumed_sigma, truth, sigma) / sigma**2)


def _matched(spectrum, assumed_sigma, truth, sigma):
    return [(truth, sigma, truth, sigma)]


def _costs_nothing(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    value = float(np.real(values[0]).sum())
    if abs(value) < 1e-3:
        return None
    return f"with the true spectrum and the true σ = {calls[0][3]:.2f} you get {value:.3g} dB, not 0"


def _several(spectrum, assumed_sigma, truth, sigma):
    return [(spectrum * f, assumed_sigma * g, truth, sigma) for f, g in ((1.0, 1.0), (0.1, 0.5), (5.0, 2.0))]


def _never_negative(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    costs = [float(np.real(v).sum()) for v in values]
    if min(costs) >= -1e-4:
        return None
    return f"a wrong one seems to be {-min(costs):.3g} dB better"


mismatch_cost = Exercise(
    number=7,
    function="mismatch_cost",
    title="what a mismatch costs",
    minutes=12,
    value_points=2,
    takes={
        "spectrum": "float32 (height, width): the spectrum that the filter assumes",
        "assumed_sigma": "the noise level that the filter assumes, a number",
        "truth": "float32 (height, width): the images' spectrum",
        "sigma": "the noise level of the data, a number",
    },
    returns="one number: the loss in dB, at least 0",
    draw=_draw_mismatch,
    reference=_cost,
    answers=(),  # no library function is the answer, and the parts are the student's own
    mistakes=(
        Mistake(
            _upside_down,
            "your loss has the wrong sign: the mismatched error belongs above the line, the least error below",
        ),
        Mistake(
            _twenty_logs,
            "your loss is twice too large: 20·log₁₀ is for amplitudes; squared errors are powers, 10·log₁₀",
        ),
        Mistake(_natural_logarithm, "you take the natural logarithm: decibels need `torch.log10`"),
        Mistake(_ratio_only, "you give the ratio of the errors: in decibels it is 10·log₁₀ of that"),
        Mistake(_difference_of_errors, "you give the difference of the errors: decibels compare by a ratio"),
        Mistake(
            _judged_at_assumed,
            "you judge at the assumed noise level: the filter believes `assumed_sigma`, but the data have `sigma`",
        ),
        Mistake(
            _against_own_best,
            "you compare with the error that the filter expects of itself: compare with the least error that is "
            "possible for the true spectrum and noise",
        ),
        Mistake(_logarithm_alone, "you give the logarithm alone: a decibel is a tenth of it, so 10·log₁₀"),
        Mistake(
            _assumed_sigma_ignored,
            "your mismatched filter knows the true σ: its gain comes from `spectrum` and `assumed_sigma`",
        ),
        Mistake(
            _assumed_spectrum_ignored,
            "your mismatched filter knows the true spectrum: its gain comes from `spectrum` and `assumed_sigma`",
        ),
        Mistake(
            _roles_of_spectra_swapped,
            "your roles are swapped: `spectrum` and `assumed_sigma` make the gain, `truth` and `sigma` are the data",
        ),
        Mistake(
            _as_the_filter_believes,
            "above the line stands the error that the filter believes in: judge its gain on `truth` and `sigma`",
        ),
        Mistake(
            _least_at_assumed_sigma,
            "below the line stands a gain made with `assumed_sigma`: the least error has the gain of `truth` and "
            "`sigma`",
        ),
        Mistake(
            _least_with_assumed_spectrum,
            "below the line stands a gain made from `spectrum`: the least error has the gain of `truth` and `sigma`",
        ),
        Mistake(
            _against_the_noise,
            "you compare with the noise, σ²: compare with the least error that a filter can reach",
        ),
    ),
    properties=(
        Property("no mismatch", "Right assumptions should cost nothing, 0 dB.", _matched, _costs_nothing),
        Property(
            "never a gain",
            "No assumption should do better than the true spectrum together with the true σ.",
            _several,
            _never_negative,
        ),
    ),
    hints=(
        "Two errors: one with the gain from what is assumed, one with the gain from the truth.",
        "Both errors are taken over `truth` and `sigma`, for that is what the data are.",
        "`10 * math.log10(mismatched / least)`, where both are `expected_mse(wiener_gain(...), truth, sigma)`.",
    ),
)


LAB = Lab(
    module="01_wiener_filtering",
    title="01 Wiener filtering",
    exercises=(
        power_spectrum,
        wiener_gain,
        apply_gain,
        expected_mse,
        linear_mmse,
        spectrum_risks,
        mismatch_cost,
    ),
    open_questions=(
        OpenQuestion(
            number=8,
            name="mismatch_study",
            title="your mismatch study",
            minutes=15,
            points=4,
            marking=(
                "reads the two tables: which spectrum loses how many dB on brain slices, which σ loses how many (1)",
                "explains the asymmetry: too small a σ leaves noise, too large a σ blurs; which costs more here (1)",
                "says why photographs nearly serve for brains (both spectra fall alike), and where they differ (1)",
                "draws a consequence: what to measure or estimate first in a hospital, with a limit of the study (1)",
            ),
        ),
    ),
)
progress = LAB.progress
