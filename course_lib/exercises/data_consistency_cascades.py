"""The exercises of module 09: the data-consistency layer, its derivatives, and the cascade that is built from it."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from torch.nn.functional import conv2d, pad

from course_lib.exercises.calls import Arguments
from course_lib.exercises.drawing import complex_randn
from course_lib.exercises.exercise import Exercise, Mistake, Property
from course_lib.exercises.lab import Lab, OpenQuestion
from course_lib.physics import fourier, inverse_fourier

SHAPES = ((12, 20), (9, 14), (11, 7))  # even and odd sides, not square: no two conventions of centring agree on all
COUNTS = (2, 1, 3)
SIDES = (-2, -1)
EACH = (1, 2, 3)  # the dimensions of one image of a batch


# --- what the exercises share: a draw, and transforms that are not the course's -----------------------


def _draw_masks(generator: torch.Generator, index: int) -> torch.Tensor:
    """A mask for each image: whole columns in case 0, single points in the others; each has both kinds of points."""
    count, (height, width) = COUNTS[index], SHAPES[index]
    mask = torch.rand(count, 1, 1 if index == 0 else height, width, generator=generator) < 0.45
    mask = mask.expand(count, 1, height, width).clone()
    mask[..., width // 2 - 1 : width // 2 + 1] = True
    mask[..., :2] = False
    return mask


def _draw_measured(generator: torch.Generator, index: int) -> Arguments:
    """Complex images, the k-space of others, and masks. One sample of each image was measured to be exactly 0."""
    mask = _draw_masks(generator, index)
    image, other = complex_randn(generator, *mask.shape), complex_randn(generator, *mask.shape)
    kspace = mask * fourier(image + 0.6 * other)
    kspace[..., mask.shape[-2] // 2, mask.shape[-1] // 2] = 0
    return image, kspace, mask


def _draw_weight(generator: torch.Generator, index: int) -> float | torch.Tensor:
    """λ away from 1, where λ and 1/λ are the same; a tensor in case 2, as it is while λ is learned."""
    low, high = ((0.3, 0.7), (1.6, 3.0), (0.3, 0.7))[index]
    weight = low + (high - low) * torch.rand((), generator=generator)
    return weight if index == 2 else float(weight)


def _draw_weighted(generator: torch.Generator, index: int) -> Arguments:
    return *_draw_measured(generator, index), _draw_weight(generator, index)


def _same(x):
    return x


def _plain(x):
    return torch.fft.fft2(x)


def _plain_back(k):
    return torch.fft.ifft2(k)


def _uncentred(x):
    return torch.fft.fft2(x, norm="ortho")


def _uncentred_back(k):
    return torch.fft.ifft2(k, norm="ortho")


def _half_centred(x, norm="ortho"):
    return torch.fft.fftshift(torch.fft.fft2(x, norm=norm), dim=SIDES)


def _half_centred_back(k, norm="ortho"):
    return torch.fft.ifft2(torch.fft.ifftshift(k, dim=SIDES), norm=norm)


def _unnormalised(x):
    return torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(x, dim=SIDES)), dim=SIDES)


def _unnormalised_back(k):
    return torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(k, dim=SIDES)), dim=SIDES)


_half_plain = partial(_half_centred, norm="backward")
_half_plain_back = partial(_half_centred_back, norm="backward")
#: pairs (there, back) that do not fit a centred mask
OFF_CENTRE = (
    (_uncentred, _uncentred_back),
    (_plain, _plain_back),
    (_half_centred, _half_centred_back),
    (_half_plain, _half_plain_back),
)


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max())


def _kspace_of(x: np.ndarray) -> np.ndarray:
    """F x in NumPy, whose arithmetic says by a ValueError that shapes do not fit, as a property's check may."""
    return fourier(torch.from_numpy(x)).numpy()


def _sampled_and_not(mask: torch.Tensor, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F x on the measured points and on the others, zero elsewhere."""
    return mask.numpy() * _kspace_of(x), ~mask.numpy() * _kspace_of(x)


#: the library's layers: the answer of several exercises, so not to be called from any
_LAYERS = (
    "course_lib.networks.data_consistency.data_consistency",
    "course_lib.networks.data_consistency.DataConsistency",
    "course_lib.networks.data_consistency.CoilDataConsistency",
    "course_lib.networks.data_consistency.solve_consistency",
)


# --- 1. the residual in k-space -----------------------------------------------------------------------


def _norm(x):
    return torch.linalg.vector_norm(x, dim=EACH)


def _kspace_residual(image, kspace, mask):
    """The lab's reference: ‖M F x − y‖ / ‖y‖ of each image."""
    return _norm(mask * fourier(image) - kspace) / _norm(kspace)


def _mask_forgotten(image, kspace, mask):
    return _norm(fourier(image) - kspace) / _norm(kspace)


def _residual_of(image, kspace, mask, there):
    return _norm(mask * there(image) - kspace) / _norm(kspace)


def _off_centre(image, kspace, mask, there=_uncentred):
    return _residual_of(image, kspace, mask, there)


def _unnormalised_residual(image, kspace, mask):
    return _residual_of(image, kspace, mask, _unnormalised)


def _inverse_for_forward(image, kspace, mask):
    return _residual_of(image, kspace, mask, inverse_fourier)


def _never_transformed(image, kspace, mask):
    return _residual_of(image, kspace, mask, _same)


def _masked_pixels(image, kspace, mask):
    return _norm(fourier(mask * image) - kspace) / _norm(kspace)


def _residual_squared(image, kspace, mask):
    return _kspace_residual(image, kspace, mask) ** 2


def _not_relative(image, kspace, mask):
    return _norm(mask * fourier(image) - kspace)


def _relative_to_prediction(image, kspace, mask):
    predicted = mask * fourier(image)
    return _norm(predicted - kspace) / _norm(predicted)


def _relative_to_complete(image, kspace, mask):
    return _norm(mask * fourier(image) - kspace) / _norm(image)


def _upside_down(image, kspace, mask):
    return 1 / _kspace_residual(image, kspace, mask)


def _over_the_batch(image, kspace, mask):
    return (mask * fourier(image) - kspace).norm() / kspace.norm()


def _batch_in_the_denominator(image, kspace, mask):
    return _norm(mask * fourier(image) - kspace) / kspace.norm()


def _mean_over_batch(image, kspace, mask):
    return _kspace_residual(image, kspace, mask).mean()


def _magnitudes_compared(image, kspace, mask):
    return _norm((mask * fourier(image)).abs() - kspace.abs()) / _norm(kspace)


def _phase_of_image_lost(image, kspace, mask):
    return _residual_of(image.abs(), kspace, mask, fourier)


def _real_of_image(image, kspace, mask):
    return _residual_of(image.real, kspace, mask, fourier)


def _real_parts_compared(image, kspace, mask):
    return _norm((mask * fourier(image) - kspace).real) / _norm(kspace)


def _sum_of_magnitudes(image, kspace, mask):
    return (mask * fourier(image) - kspace).abs().sum(dim=EACH) / kspace.abs().sum(dim=EACH)


def _complex_squares(image, kspace, mask):
    difference = mask * fourier(image) - kspace
    return ((difference**2).sum(dim=EACH) / (kspace**2).sum(dim=EACH)).sqrt()


def _complex_squares_over_norm(image, kspace, mask):
    return (((mask * fourier(image) - kspace) ** 2).sum(dim=EACH)).sqrt() / _norm(kspace)


def _channel_kept(image, kspace, mask):
    return (mask * fourier(image) - kspace).norm(dim=SIDES) / kspace.norm(dim=SIDES)


def _dimensions_kept(image, kspace, mask):
    return _kspace_residual(image, kspace, mask)[:, None, None, None]


def _difference_forgotten(image, kspace, mask):
    return _norm(mask * fourier(image)) / _norm(kspace)


def _added(image, kspace, mask):
    return _norm(mask * fourier(image) + kspace) / _norm(kspace)


def _unmeasured_compared(image, kspace, mask):
    return _norm(~mask * fourier(image) - kspace) / _norm(kspace)


def _norms_compared(image, kspace, mask):
    return (_norm(mask * fourier(image)) - _norm(kspace)).abs() / _norm(kspace)


def _first_mask_alone(image, kspace, mask):
    return _kspace_residual(image, kspace, mask[:1])


def _nonzero_for_mask(image, kspace, mask):
    return _kspace_residual(image, kspace, kspace != 0)


def _norm_of_three_dimensions(image, kspace, mask):
    return (mask * fourier(image) - kspace).norm(dim=EACH) / kspace.norm(dim=EACH)  # stops


def _linalg_norm_of_three_dimensions(image, kspace, mask):
    return torch.linalg.norm(mask * fourier(image) - kspace, dim=EACH) / torch.linalg.norm(kspace, dim=EACH)  # stops


def _whole_batch_repeated(image, kspace, mask):
    return _over_the_batch(image, kspace, mask).expand(len(image))


def _zero_filled_compared(image, kspace, mask):
    return _norm(image - inverse_fourier(kspace)) / _norm(image)


def _real_parts_of_both(image, kspace, mask):
    return _norm((mask * fourier(image) - kspace).real) / _norm(kspace.real)


def _list_of_residuals(image, kspace, mask):
    return [float(r) for r in _kspace_residual(image, kspace, mask)]


def _nothing_and_zero_filled(image, kspace, mask):
    return [(inverse_fourier(kspace), kspace, mask), (torch.zeros_like(image), kspace, mask)]


def _zero_and_one(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    for value, name, wanted in zip(values, ("the zero-filled image", "an image of zeros"), (0, 1), strict=True):
        if not np.allclose(value, wanted, atol=1e-3):
            return f"{name} has {float(np.ravel(value)[0]):.4g}, not {wanted}"
    return None


def _changed_outside(image, kspace, mask):
    added = inverse_fourier(~mask * fourier(image.roll((1, 2), dims=SIDES)))
    return [(image, kspace, mask), (image + 2 * added, kspace, mask)]


def _blind_outside(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if np.allclose(values[0], values[1], rtol=1e-3):
        return None
    before, after = (float(np.ravel(v)[0]) for v in values)
    return f"adding unmeasured frequencies to the image took it from {before:.4g} to {after:.4g}"


def _in_another_unit(image, kspace, mask):
    factor = torch.linspace(2, 5, len(image))[:, None, None, None]
    return [(image, kspace, mask), (factor * image, factor * kspace, mask)]


def _free_of_units(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if np.allclose(values[0], values[1], rtol=1e-3):
        return None
    before, after = (float(np.ravel(v)[-1]) for v in values)
    return f"image and k-space grew by the same factor, and the last residual went from {before:.4g} to {after:.4g}"


_FOURIER = "`physics.fourier` is centred and orthonormal, as `kspace` and `mask` are"

kspace_residual = Exercise(
    number=1,
    function="kspace_residual",
    title="the residual in k-space",
    minutes=12,
    value_points=2,
    takes={
        "image": "complex64 (batch, 1, height, width)",
        "kspace": "complex64 (batch, 1, height, width): y, centred, zero where nothing was measured",
        "mask": "bool (batch, 1, height, width): True where k-space was measured, another one for each image",
    },
    returns="a real tensor of shape (batch,): one number for each image",
    draw=_draw_measured,
    reference=_kspace_residual,
    answers=(),
    mistakes=(
        Mistake(
            _mask_forgotten,
            "you compare at every frequency (or with the zero-filled image), and count what was never measured as if "
            "it had been measured as 0: multiply F x by the mask",
        ),
        Mistake(
            _off_centre,
            f"your transform has its zero frequency elsewhere than the mask: {_FOURIER}",
            also=tuple(partial(_off_centre, there=there) for there, _ in OFF_CENTRE[1:]),
        ),
        Mistake(
            _unnormalised_residual,
            f"your F x is √(height·width) times larger than the scanner's: {_FOURIER}",
        ),
        Mistake(
            _inverse_for_forward,
            "you transform with the inverse: from the image to k-space leads `physics.fourier`",
        ),
        Mistake(_never_transformed, "you compare pixels with k-space: transform the image first, `physics.fourier`"),
        Mistake(
            _masked_pixels,
            "your mask cuts pixels out of the image: it belongs to k-space, so transform first",
        ),
        Mistake(
            _residual_squared,
            "you give ‖M F x − y‖²/‖y‖², the square: take the root",
        ),
        Mistake(_not_relative, "the division by ‖y‖ is missing: a residual in the scanner's units says little"),
        Mistake(
            _relative_to_prediction,
            "you divide by ‖M F x‖, which depends on the image: divide by ‖y‖, the same for all images of one scan",
        ),
        Mistake(_relative_to_complete, "you divide by the norm of the image: divide by that of the measurement, ‖y‖"),
        Mistake(_upside_down, "your fraction is upside down: the difference is above the line, ‖y‖ below it"),
        Mistake(
            _over_the_batch,
            "you take the norm of the whole batch (as `.norm()` or an index with the mask does): each image has its "
            "own, `torch.linalg.vector_norm(…, dim=(1, 2, 3))`",
            also=(_whole_batch_repeated,),
        ),
        Mistake(
            _norm_of_three_dimensions,
            "`.norm(dim=…)`, `torch.norm` and `torch.linalg.norm` take one dimension or two: for three there is "
            "`torch.linalg.vector_norm(…, dim=(1, 2, 3))`",
            also=(_linalg_norm_of_three_dimensions,),
        ),
        Mistake(
            _zero_filled_compared,
            "you compare with the zero-filled image: what was never measured counts there as 0; compare in k-space, on "
            "the mask",
        ),
        Mistake(
            _batch_in_the_denominator,
            "you divide by the norm of the whole batch's k-space: each image has its own ‖y‖, "
            "`torch.linalg.vector_norm(kspace, dim=(1, 2, 3))`",
        ),
        Mistake(_mean_over_batch, "you take the mean over the batch: give one number for each image"),
        Mistake(
            _magnitudes_compared,
            "you compare magnitudes: a wrong phase moves things in the image, so subtract the complex numbers, and "
            "take the magnitude of the difference",
        ),
        Mistake(
            _phase_of_image_lost,
            "you transform the magnitude of the image (or its real part): the image is complex, and its phase was "
            "measured too",
            also=(_real_of_image,),
        ),
        Mistake(
            _real_parts_compared,
            "you drop the imaginary part: |·|² is real² + imaginary²",
            also=(_real_parts_of_both,),
        ),
        Mistake(
            _sum_of_magnitudes,
            "you add up magnitudes, which is the ℓ1 norm: ‖·‖ is the root of the sum of squared magnitudes",
        ),
        Mistake(
            _complex_squares,
            "you square complex numbers, and their squares cancel: take the magnitude first, `.abs() ** 2`",
            also=(_complex_squares_over_norm,),
        ),
        Mistake(
            _channel_kept,
            "your numbers are right, but the channel is still there, (batch, 1): take the norm over the dimensions "
            "1, 2 and 3",
        ),
        Mistake(
            _dimensions_kept, "your numbers are right, but in the shape (batch, 1, 1, 1): leave `keepdim=True` out"
        ),
        Mistake(_difference_forgotten, "you give ‖M F x‖/‖y‖: subtract y before you take the norm"),
        Mistake(_added, "you add y: it is the difference M F x − y that counts"),
        Mistake(_unmeasured_compared, "your mask is inverted: True marks what was measured, and that is compared"),
        Mistake(
            _norms_compared,
            "you subtract the norms: two signals of one norm can differ at every point; subtract first, then take "
            "the norm",
        ),
        Mistake(_first_mask_alone, "you use the first mask for all images: each image has its own"),
        Mistake(
            _nonzero_for_mask,
            "you take as measured what is not 0 in `kspace`: a sample may be measured as exactly 0; use `mask`",
        ),
        Mistake(_list_of_residuals, "you give a list of numbers: make one tensor of them, of shape (batch,)"),
    ),
    properties=(
        Property(
            "zero and one",
            "The zero-filled image should have the residual 0, and an image of zeros 1.",
            _nothing_and_zero_filled,
            _zero_and_one,
        ),
        Property(
            "blind outside the mask",
            "Frequencies that were not measured should not count.",
            _changed_outside,
            _blind_outside,
        ),
        Property(
            "free of units",
            "A scan in another unit, image and k-space alike, should have the same residuals.",
            _in_another_unit,
            _free_of_units,
        ),
    ),
    hints=(
        "What would the scanner have measured of this image? `mask * physics.fourier(image)`. Compare that with "
        "`kspace`.",
        "‖·‖ of each image: `torch.linalg.vector_norm(difference, dim=(1, 2, 3))`; it knows complex numbers.",
        "`vector_norm(mask * physics.fourier(image) - kspace, dim=(1, 2, 3)) / vector_norm(kspace, dim=(1, 2, 3))`.",
    ),
)


# --- 2. replace what was measured ---------------------------------------------------------------------


def _replace_measured(image, kspace, mask):
    """The lab's reference: the measured samples where there are any, the image's own elsewhere."""
    return inverse_fourier(torch.where(mask, kspace, fourier(image)))


def _replaced_with(image, kspace, mask, there, back):
    return back(torch.where(mask, kspace, there(image)))


def _replaced_off_centre(image, kspace, mask, there=_uncentred, back=_uncentred_back):
    return _replaced_with(image, kspace, mask, there, back)


def _replaced_unnormalised(image, kspace, mask):
    return _replaced_with(image, kspace, mask, _unnormalised, _unnormalised_back)


def _mixed_transforms(image, kspace, mask, there=_uncentred, back=inverse_fourier):
    return _replaced_with(image, kspace, mask, there, back)


def _transforms_exchanged(image, kspace, mask):
    return _replaced_with(image, kspace, mask, inverse_fourier, fourier)


def _forward_twice(image, kspace, mask):
    return _replaced_with(image, kspace, mask, fourier, fourier)


def _pixels_for_kspace(image, kspace, mask):
    return _replaced_with(image, kspace, mask, _same, _same)


def _pixels_then_back(image, kspace, mask):
    return _replaced_with(image, kspace, mask, _same, inverse_fourier)


def _left_in_kspace(image, kspace, mask):
    return _replaced_with(image, kspace, mask, fourier, _same)


def _mask_inverted(image, kspace, mask):
    return inverse_fourier(torch.where(mask, fourier(image), kspace))


def _measured_twice(image, kspace, mask):
    return inverse_fourier(fourier(image) + kspace)


def _zero_filled_alone(image, kspace, mask):
    return inverse_fourier(kspace)


def _measurement_forgotten(image, kspace, mask):
    return inverse_fourier(~mask * fourier(image))


def _half_and_half(image, kspace, mask):
    s = fourier(image)
    return inverse_fourier(torch.where(mask, (s + kspace) / 2, s))


def _mask_on_pixels(image, kspace, mask):
    return ~mask * image + inverse_fourier(kspace)


def _where_on_pixels(image, kspace, mask):
    return torch.where(mask, inverse_fourier(kspace), image)


def _residual_subtracted(image, kspace, mask):
    return image - inverse_fourier(kspace - mask * fourier(image))


def _bool_subtracted(image, kspace, mask):
    return inverse_fourier((1 - mask) * fourier(image) + kspace)  # stops: torch does not subtract booleans


def _bool_negated(image, kspace, mask):
    return inverse_fourier(-mask * fourier(image) + kspace)  # stops


def _assigned_whole(image, kspace, mask):
    s = fourier(image)
    s[mask] = kspace  # stops: the left side is a list of the measured samples
    return inverse_fourier(s)


def _assigned_measured(image, kspace, mask):
    s = fourier(image)
    s[mask] = kspace[mask[0, 0]]  # stops: an index of two dimensions stands before the batch
    return inverse_fourier(s)


def _replaced_by_first_mask(image, kspace, mask):
    return _replace_measured(image, kspace, mask[:1])


def _replaced_where_nonzero(image, kspace, mask):
    return _replace_measured(image, kspace, kspace != 0)


def _magnitude_of_result(image, kspace, mask):
    return _replace_measured(image, kspace, mask).abs()


def _real_part_of_result(image, kspace, mask):
    return _replace_measured(image, kspace, mask).real


def _magnitude_transformed(image, kspace, mask):
    return _replace_measured(image.abs(), kspace, mask)


def _real_part_transformed(image, kspace, mask):
    return _replace_measured(image.real, kspace, mask)


def _divided_by_share(image, kspace, mask):
    return _replace_measured(image, kspace / mask.float().mean(dim=EACH, keepdim=True), mask)


def _inverted_in_the_formula(image, kspace, mask):
    return inverse_fourier(mask * fourier(image) + kspace)


def _first_mask_in_the_formula(image, kspace, mask):
    return inverse_fourier(~mask[:1] * fourier(image) + kspace)


def _kspace_added_to_the_image(image, kspace, mask):
    return inverse_fourier(~mask * fourier(image)) + kspace


def _measurement_subtracted(image, kspace, mask):
    return inverse_fourier(~mask * fourier(image) - kspace)


def _images_averaged(image, kspace, mask):
    return (image + inverse_fourier(kspace)) / 2


def _result_shared_over_batch(image, kspace, mask):
    return _replace_measured(image, kspace, mask)[:, 0]


def _one_scan(image, kspace, mask):
    return [(image, kspace, mask)]


def _agrees_with_scan(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    _, kspace, mask = calls[0]
    away = np.abs(_sampled_and_not(mask, values[0])[0] - kspace.numpy())
    if away.max() < 1e-4 * _largest(kspace.numpy()):
        return None
    return f"{int((away >= 1e-4 * _largest(kspace.numpy())).sum())} of {int(mask.sum())} measured samples differ"


def _rest_untouched(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    image, mask = calls[0][0], calls[0][2]
    before, after = (_sampled_and_not(mask, x)[1] for x in (image.numpy(), values[0]))
    if _largest(after - before) < 1e-4 * _largest(before):
        return None
    at = np.unravel_index(np.argmax(np.abs(after - before)), before.shape)
    return f"the unmeasured F x at {list(map(int, at))} went from {before[at]:.3g} to {after[at]:.3g}"


def _consistent_image(image, kspace, mask):
    return [(_replace_measured(image, kspace, mask), kspace, mask)]


def _left_alone(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    given = calls[0][0].numpy()
    if _largest(values[0] - given) < 1e-4 * _largest(given):
        return None
    return f"a pixel moved by {_largest(values[0] - given):.3g}, where the largest has {_largest(given):.3g}"


_TRANSFORMS = (
    "the transforms are `physics.fourier` and `physics.inverse_fourier`, centred and orthonormal as the scanner's data"
)

replace_measured = Exercise(
    number=2,
    function="replace_measured",
    title="replace what was measured",
    minutes=12,
    value_points=2,
    takes={
        "image": "complex64 (batch, 1, height, width): z, a network's output",
        "kspace": "complex64 (batch, 1, height, width): y, centred, zero where nothing was measured",
        "mask": "bool (batch, 1, height, width): True where k-space was measured",
    },
    returns="a complex tensor of the shape of `image`",
    draw=_draw_measured,
    reference=_replace_measured,
    answers=_LAYERS,
    mistakes=(
        Mistake(
            _measured_twice,
            "you add the measurement to what the image already has there: set the image's measured frequencies to zero "
            "first, `~mask * physics.fourier(image)`",
        ),
        Mistake(
            _zero_filled_alone,
            "your result is the zero-filled image, and the network's output plays no part: where the mask is False, "
            "its frequencies stay",
        ),
        Mistake(
            _mask_inverted,
            "your mask is inverted: where it is True k-space was measured, so there `kspace` counts, and elsewhere "
            "the image",
            also=(_inverted_in_the_formula,),
        ),
        Mistake(_measurement_forgotten, "you take the measured frequencies out, and put nothing there: add `kspace`"),
        Mistake(
            _replaced_off_centre,
            f"your transforms have their zero frequency elsewhere than the mask: {_TRANSFORMS}",
            also=tuple(partial(_replaced_off_centre, there=there, back=back) for there, back in OFF_CENTRE[1:]),
        ),
        Mistake(
            _replaced_unnormalised,
            f"your F z is √(height·width) times larger than the measured samples beside it: {_TRANSFORMS}",
        ),
        Mistake(
            _mixed_transforms,
            f"the way there and the way back do not belong together: {_TRANSFORMS}",
            also=(
                partial(_mixed_transforms, there=_plain),
                partial(_mixed_transforms, there=_half_centred),
                partial(_mixed_transforms, there=_half_plain),
                partial(_mixed_transforms, there=_unnormalised),
                partial(_mixed_transforms, there=fourier, back=_uncentred_back),
                partial(_mixed_transforms, there=fourier, back=_plain_back),
            ),
        ),
        Mistake(
            _transforms_exchanged,
            "your transforms have changed places: `physics.fourier` leads to k-space, `physics.inverse_fourier` back",
        ),
        Mistake(
            _forward_twice,
            "you go forward twice, which turns the image round: back leads `physics.inverse_fourier`",
        ),
        Mistake(
            _pixels_for_kspace,
            "you put k-space samples in the place of pixels: transform the image first, and the result back",
            also=(_pixels_then_back,),
        ),
        Mistake(_left_in_kspace, "your result is k-space: transform it back, `physics.inverse_fourier`"),
        Mistake(
            _half_and_half,
            "you take the mean of network and scanner: without noise the scanner is right, so its sample replaces the "
            "other (the mean is λ = 1 of the next exercise)",
        ),
        Mistake(
            _mask_on_pixels,
            "your mask cuts pixels out of the image: it belongs to k-space, so transform the image before masking",
            also=(_where_on_pixels,),
        ),
        Mistake(
            _residual_subtracted,
            "your correction has the wrong sign: z − Fᴴ(y − M F z) moves away from the data; add it",
        ),
        Mistake(
            _bool_subtracted,
            "torch does not subtract booleans: the points that were not measured are `~mask`",
            also=(_bool_negated,),
        ),
        Mistake(
            _assigned_whole,
            "`s[mask]` is a list of the measured samples alone, and the right side has another shape: "
            "`s[mask] = kspace[mask]`, or `torch.where(mask, kspace, s)`",
            also=(_assigned_measured,),
        ),
        Mistake(
            _kspace_added_to_the_image,
            "you add k-space to an image: add `kspace` before the inverse transform, inside its parentheses",
        ),
        Mistake(_measurement_subtracted, "you subtract the measurement: the measured samples come in with a plus"),
        Mistake(
            _images_averaged,
            "you average two images: at each frequency take one of the two, the measured sample where there is one",
        ),
        Mistake(
            _replaced_by_first_mask,
            "you use the first mask for all images: each image has its own",
            also=(_first_mask_in_the_formula,),
        ),
        Mistake(
            _replaced_where_nonzero,
            "you take as measured what is not 0 in `kspace`: a sample may be measured as exactly 0; use `mask`",
        ),
        Mistake(
            _magnitude_of_result,
            "you give the magnitude: it is for looking, and its k-space no longer agrees with the scanner; leave "
            "out `.abs()`",
        ),
        Mistake(
            _real_part_of_result,
            "you drop the imaginary part: these images are complex, and the next block needs both parts",
        ),
        Mistake(
            _magnitude_transformed,
            "you transform the magnitude of the image (or its real part): its phase belongs to it",
            also=(_real_part_transformed,),
        ),
        Mistake(
            _divided_by_share,
            "you divide the samples by the share of measured points: a measured sample goes in as it is",
        ),
        Mistake(_result_shared_over_batch, "the channel is lost: keep the shape (batch, 1, height, width)"),
    ),
    properties=(
        Property(
            "agrees with the scan",
            "On the measured points the k-space of your result should be `kspace`.",
            _one_scan,
            _agrees_with_scan,
        ),
        Property(
            "rest untouched",
            "On the other points k-space should stay as the image has it.",
            _one_scan,
            _rest_untouched,
        ),
        Property(
            "idempotent",
            "An image that agrees with the scan already should stay as it is.",
            _consistent_image,
            _left_alone,
        ),
    ),
    hints=(
        "Three steps: to k-space, put the measured samples in, back to the image.",
        "At each point one of two numbers: `torch.where(mask, a, b)` takes a where the mask is True, and b elsewhere.",
        "`physics.inverse_fourier(torch.where(mask, kspace, physics.fourier(image)))`.",
    ),
)


# --- 3. the data-consistency layer --------------------------------------------------------------------


def _data_consistency(image, kspace, mask, weight):
    """The lab's reference: a weighted mean on the measured points, the image's own k-space elsewhere."""
    s = fourier(image)
    return inverse_fourier(torch.where(mask, (s + weight * kspace) / (1 + weight), s))


def _layer(image, kspace, mask, weight, *, inside=None, outside=None, there=fourier, back=inverse_fourier):
    """`_data_consistency` with other parts, for the mistakes: `inside` and `outside` take s, s₀ and λ."""
    s = there(image)
    mixed = (s + weight * kspace) / (1 + weight) if inside is None else inside(s, kspace, weight)
    return back(torch.where(mask, mixed, s if outside is None else outside(s, kspace, weight)))


def _mixed_everywhere(image, kspace, mask, weight):
    s = fourier(image)
    return inverse_fourier((s + weight * kspace) / (1 + weight))


def _only_sampled(*scan):
    return _layer(*scan, outside=lambda s, s0, weight: 0 * s)


def _inverted(*scan):
    return _layer(scan[0], scan[1], ~scan[2], scan[3])


def _weight_not_on_samples(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: (s + s0) / (1 + weight))


def _not_divided(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: s + weight * s0)


def _divided_by_weight(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: (s + weight * s0) / weight)


def _weights_exchanged(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: (weight * s + s0) / (1 + weight))


def _weight_on_both(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: weight * (s + s0) / (1 + weight))


def _samples_undivided(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: s / (1 + weight) + s0)


def _samples_undivided_weighted(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: s / (1 + weight) + weight * s0)


def _parentheses_missing(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: s + weight * s0 / (1 + weight))


def _one_divided(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: (s + weight * s0) / 1 + weight)


def _hard_replacement(image, kspace, mask, weight):
    return _replace_measured(image, kspace, mask)


def _weight_as_share(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: (1 - weight) * s + weight * s0)


def _weight_squared(image, kspace, mask, weight):
    return _data_consistency(image, kspace, mask, weight**2)


def _weight_scaled(image, kspace, mask, weight, factor=2):
    return _data_consistency(image, kspace, mask, factor * weight)


def _weight_inverted_in_sum(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: (s + s0 / weight) / (1 + weight))


def _away_from_data(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: s - weight / (1 + weight) * (s0 - s))


def _sign_in_numerator(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: (s - weight * s0) / (1 + weight))


def _added_on_top(image, kspace, mask, weight):
    s = fourier(image)
    return inverse_fourier(mask * (s + weight * kspace) / (1 + weight) + s)


def _halved(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: (s + weight * s0) / 2)


def _samples_alone(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: weight * s0 / (1 + weight))


def _prediction_alone(*scan):
    return _layer(*scan, inside=lambda s, s0, weight: s / (1 + weight))


def _image_for_kspace(image, kspace, mask, weight):
    return _data_consistency(image, inverse_fourier(kspace), mask, weight)


def _weighted_off_centre(image, kspace, mask, weight, there=_uncentred, back=_uncentred_back):
    return _layer(image, kspace, mask, weight, there=there, back=back)


def _weighted_unnormalised(*scan):
    return _layer(*scan, there=_unnormalised, back=_unnormalised_back)


def _weighted_exchanged(*scan):
    return _layer(*scan, there=inverse_fourier, back=fourier)


def _weighted_forward_twice(*scan):
    return _layer(*scan, back=fourier)


def _weighted_pixels(*scan):
    return _layer(*scan, there=_same, back=_same)


def _weighted_pixels_then_back(*scan):
    return _layer(*scan, there=_same)


def _weighted_in_kspace(*scan):
    return _layer(*scan, back=_same)


def _mixed_image_pixels(image, kspace, mask, weight):
    return torch.where(mask, (image + weight * inverse_fourier(kspace)) / (1 + weight), image)


def _weighted_by_first_mask(image, kspace, mask, weight):
    return _data_consistency(image, kspace, mask[:1], weight)


def _weighted_where_nonzero(image, kspace, mask, weight):
    return _data_consistency(image, kspace, kspace != 0, weight)


def _weighted_magnitude(*scan):
    return _data_consistency(*scan).abs()


def _weighted_real_part(*scan):
    return _data_consistency(*scan).real


def _weighted_bool_subtracted(image, kspace, mask, weight):
    s = fourier(image)
    return inverse_fourier((1 - mask) * s + mask * (s + weight * kspace) / (1 + weight))  # stops


def _one_weighted_scan(image, kspace, mask, weight):
    return [(image, kspace, mask, weight)]


def _at_the_minimum(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    z, y, mask, weight = calls[0]
    s, weight = _kspace_of(values[0]), float(weight)
    slope = _largest(s - fourier(z).numpy() + weight * (mask.numpy() * s - y.numpy()))
    if slope < 1e-3 * _largest(z.numpy()):
        return None
    return f"at λ = {weight:.3g} the gradient's k-space reaches {slope:.3g}"


def _rest_untouched_weighted(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    return _rest_untouched([calls[0][:3]], values)


def _no_weight_and_much(image, kspace, mask, weight):
    return [(image, kspace, mask, 0.0), (image, kspace, mask, 1e6)]


def _both_ends(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    image, kspace, mask, _ = calls[0]
    for value, name, wanted in zip(
        values, ("λ = 0", "λ = 1,000,000"), (image, _replace_measured(image, kspace, mask)), strict=True
    ):
        away = _largest(value - wanted.numpy())
        if away > 1e-3 * _largest(wanted.numpy()):
            return f"with {name} a pixel is off by {away:.3g}"
    return None


data_consistency = Exercise(
    number=3,
    function="data_consistency",
    title="the data-consistency layer",
    minutes=15,
    value_points=2,
    takes={
        "image": "complex64 (batch, 1, height, width): z, a network's output",
        "kspace": "complex64 (batch, 1, height, width): y, centred, zero where nothing was measured",
        "mask": "bool (batch, 1, height, width): True where k-space was measured",
        "weight": "λ ≥ 0, a number or a tensor that holds one",
    },
    returns="a complex tensor of the shape of `image`",
    draw=_draw_weighted,
    reference=_data_consistency,
    answers=_LAYERS,
    mistakes=(
        Mistake(
            _mixed_everywhere,
            "you take the weighted mean everywhere, so unmeasured frequencies are divided by 1 + λ (a published layer "
            "does this): outside the mask s stays as it is",
        ),
        Mistake(_only_sampled, "outside the mask your k-space is 0: there s stays as the image has it"),
        Mistake(_inverted, "your mask is inverted: the mean is taken where it is True, and s stays elsewhere"),
        Mistake(_weight_not_on_samples, "the λ before s₀ is missing: (s + λ·s₀)/(1 + λ)"),
        Mistake(
            _not_divided, "the division by 1 + λ is missing: a mean of s with weight 1 and s₀ with weight λ needs it"
        ),
        Mistake(_divided_by_weight, "you divide by λ: the weights 1 and λ add up to 1 + λ"),
        Mistake(
            _weights_exchanged,
            "your weights have changed places: a larger λ should trust the scanner more, (s + λ·s₀)/(1 + λ)",
        ),
        Mistake(_weight_on_both, "you multiply both by λ: s has the weight 1, and s₀ the weight λ"),
        Mistake(
            _samples_undivided,
            "you divide s alone by 1 + λ: s₀ has the factor λ/(1 + λ), as in FᴴΛF z + λ/(1 + λ)·Fᴴy",
            also=(_samples_undivided_weighted,),
        ),
        Mistake(
            _parentheses_missing,
            "parentheses are missing: `s + weight * kspace / (1 + weight)` divides the second term alone",
            also=(_one_divided,),
        ),
        Mistake(
            _hard_replacement,
            "you replace the samples whatever λ is: with noise the layer takes a weighted mean of both",
        ),
        Mistake(
            _weight_as_share,
            "you take λ as a share, (1 − λ)·s + λ·s₀ (one gradient step of size λ gives the same): the minimiser has "
            "the share λ/(1 + λ)",
        ),
        Mistake(_weight_squared, "your λ is squared: the objective has λ to the first power"),
        Mistake(
            _weight_scaled,
            "your λ is off by a factor of 2: both terms of the objective have the same ½, so it cancels",
            also=(partial(_weight_scaled, factor=0.5),),
        ),
        Mistake(_weight_inverted_in_sum, "you divide s₀ by λ: it is multiplied, (s + λ·s₀)/(1 + λ)"),
        Mistake(
            _away_from_data,
            "a wrong sign (of λ·s₀, or of your correction) moves away from the data: (s + λ·s₀)/(1 + λ)",
            also=(_sign_in_numerator,),
        ),
        Mistake(
            _added_on_top,
            "you add s on the measured points as well: there the mean replaces s, so `~mask * s` on the others",
        ),
        Mistake(_halved, "you divide by 2: the weights are 1 and λ, so divide by their sum, 1 + λ"),
        Mistake(_samples_alone, "on the measured points you keep the scanner's part alone: add s/(1 + λ)"),
        Mistake(_prediction_alone, "on the measured points you keep the image's part alone: add λ·s₀/(1 + λ)"),
        Mistake(
            _image_for_kspace,
            "you mix the image's k-space with the zero-filled image: s₀ is `kspace` itself, in k-space already",
        ),
        Mistake(
            _weighted_off_centre,
            f"your transforms have their zero frequency elsewhere than the mask: {_TRANSFORMS}",
            also=tuple(partial(_weighted_off_centre, there=there, back=back) for there, back in OFF_CENTRE[1:]),
        ),
        Mistake(
            _weighted_unnormalised,
            f"your s is √(height·width) times larger than s₀ beside it: {_TRANSFORMS}",
        ),
        Mistake(
            _weighted_exchanged,
            "your transforms have changed places: `physics.fourier` leads to k-space, `physics.inverse_fourier` back",
        ),
        Mistake(
            _weighted_forward_twice,
            "you go forward twice, which turns the image round: back leads `physics.inverse_fourier`",
        ),
        Mistake(
            _weighted_pixels,
            "you mix pixels with k-space samples: transform the image first, and the result back",
            also=(_weighted_pixels_then_back,),
        ),
        Mistake(_weighted_in_kspace, "your result is k-space: transform it back, `physics.inverse_fourier`"),
        Mistake(
            _mixed_image_pixels,
            "your mask chooses pixels: it belongs to k-space, so mix the transforms, not the images",
        ),
        Mistake(_weighted_by_first_mask, "you use the first mask for all images: each image has its own"),
        Mistake(
            _weighted_where_nonzero,
            "you take as measured what is not 0 in `kspace`: a sample may be measured as exactly 0; use `mask`",
        ),
        Mistake(_weighted_magnitude, "you give the magnitude: the next block needs the phase too; leave out `.abs()`"),
        Mistake(_weighted_real_part, "you drop the imaginary part: the next block needs both parts"),
        Mistake(
            _weighted_bool_subtracted,
            "torch does not subtract booleans: the points that were not measured are `~mask`",
        ),
    ),
    properties=(
        Property(
            "minimiser",
            "The result should minimise ½‖x − z‖² + ½λ‖M F x − y‖², so the gradient should be zero.",
            _one_weighted_scan,
            _at_the_minimum,
        ),
        Property(
            "rest untouched",
            "On points that were not measured k-space should stay as the image has it.",
            _one_weighted_scan,
            _rest_untouched_weighted,
        ),
        Property(
            "both ends",
            "λ = 0 should leave the image as it is, and a huge λ do what `replace_measured` does.",
            _no_weight_and_much,
            _both_ends,
        ),
    ),
    hints=(
        "As in exercise 2, with another number on the measured points: a mean of s with weight 1 and s₀ with weight λ.",
        "`s = physics.fourier(image)`, and on the measured points `(s + weight * kspace) / (1 + weight)`.",
        "`physics.inverse_fourier(torch.where(mask, (s + weight * kspace) / (1 + weight), s))`.",
    ),
    differentiable=("image", "weight"),
)


# --- 4. backward, to the image ------------------------------------------------------------------------


def _draw_gradient(generator: torch.Generator, index: int) -> Arguments:
    mask = _draw_masks(generator, index)
    return complex_randn(generator, *mask.shape), mask, _draw_weight(generator, index)


def _backward_image(gradient, mask, weight):
    """The lab's reference: FᴴΛF g, with Λ = 1/(1 + λ) on the measured points and 1 elsewhere."""
    s = fourier(gradient)
    return inverse_fourier(torch.where(mask, s / (1 + weight), s))


def _scaled_by(gradient, mask, inside, outside=1.0, there=fourier, back=inverse_fourier):
    """FᴴΛF g with other factors and transforms, for the mistakes."""
    factors = torch.where(mask, torch.as_tensor(inside), torch.as_tensor(outside)).float()
    return back(factors * there(gradient))


def _passed_on(gradient, mask, weight):
    return 1 * gradient


def _complementary_share(gradient, mask, weight):
    return _scaled_by(gradient, mask, weight / (1 + weight))


def _inside_for_outside(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1.0, 1 / (1 + weight))


def _shrunk_everywhere(gradient, mask, weight):
    return gradient / (1 + weight)


def _blocked_inside(gradient, mask, weight):
    return _scaled_by(gradient, mask, 0.0)


def _blocked_outside(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 / (1 + weight), 0.0)


def _enlarged(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 + weight)


def _squared_factor(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 / (1 + weight) ** 2)


def _negative_squared_factor(gradient, mask, weight):
    return _scaled_by(gradient, mask, -1 / (1 + weight) ** 2)


def _one_minus_weight(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 - weight)


def _divided_by_weight_alone(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 / weight)


def _root_of_factor(gradient, mask, weight):
    return _scaled_by(gradient, mask, (1 + weight) ** -0.5)


def _minus_share(gradient, mask, weight):
    return _scaled_by(gradient, mask, -weight / (1 + weight))


def _correction_of_gradient(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 + weight / (1 + weight))


def _factors_on_pixels(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 / (1 + weight), there=_same, back=_same)


def _way_there_missing(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 / (1 + weight), there=_same)


def _gradient_in_kspace(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 / (1 + weight), back=_same)


def _gradient_exchanged(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 / (1 + weight), there=inverse_fourier, back=fourier)


def _gradient_forward_twice(gradient, mask, weight):
    return _scaled_by(gradient, mask, 1 / (1 + weight), back=fourier)


def _gradient_off_centre(gradient, mask, weight, there=_uncentred, back=_uncentred_back):
    return _scaled_by(gradient, mask, 1 / (1 + weight), there=there, back=back)


def _gradient_mixed_norms(gradient, mask, weight, there=_unnormalised, back=inverse_fourier):
    return _scaled_by(gradient, mask, 1 / (1 + weight), there=there, back=back)


def _gradient_conjugated(gradient, mask, weight):
    return _backward_image(gradient.conj(), mask, weight)


def _result_conjugated(gradient, mask, weight):
    return _backward_image(gradient, mask, weight).conj()


def _real_gradient(gradient, mask, weight):
    return _backward_image(gradient, mask, weight).real


def _gradient_magnitude(gradient, mask, weight):
    return _backward_image(gradient, mask, weight).abs()


def _first_mask_backward(gradient, mask, weight):
    return _backward_image(gradient, mask[:1], weight)


def _negative_gradient(gradient, mask, weight):
    return -_backward_image(gradient, mask, weight)


def _twice_the_gradient(gradient, mask, weight):
    return 2 * _backward_image(gradient, mask, weight)


def _divided_by_the_batch(gradient, mask, weight):
    return _backward_image(gradient, mask, weight) / len(gradient)


def _parentheses_of_weight_missing(gradient, mask, weight):
    s = fourier(gradient)
    return inverse_fourier(torch.where(mask, s / 1 + weight, s))


def _mask_subtracted(gradient, mask, weight):
    factors = (1 - mask) + mask / (1 + weight)  # stops: torch does not subtract booleans
    return inverse_fourier(factors * fourier(gradient))


def _another(x: torch.Tensor) -> torch.Tensor:
    """Another complex image of that shape, without symmetry."""
    return x.roll((1, 2), dims=SIDES) * (1 + 0.5j) + 0.1


def _chain_rule(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    g, mask, weight = calls[0]
    step = _another(g)
    change = _data_consistency(step, torch.zeros_like(g), mask, weight)  # the layer is linear but for y
    wanted = np.vdot(g.numpy(), change.numpy()).real
    found = np.vdot(values[0], step.numpy()).real
    if abs(wanted - found) < 1e-3 * float(g.norm() * step.norm()):
        return None
    return f"a change of the image alters the loss by {wanted:.4g}, and your gradient says {found:.4g}"


def _two_waves(gradient, mask, weight):
    """For each image one wave at a measured frequency, and one at another."""
    return [(_one_wave(mask), mask, weight), (_one_wave(~mask), mask, weight)]


def _one_wave(where: torch.Tensor) -> torch.Tensor:
    k = torch.zeros(where.shape, dtype=torch.complex64)
    for image, points in zip(k, where, strict=True):
        image[tuple(points.nonzero()[len(points.nonzero()) // 3])] = 4.0
    return inverse_fourier(k)


def _eigenvalues(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    weight = float(calls[0][2])
    names, wanted = ("a measured", "an unmeasured"), (1 / (1 + weight), 1.0)
    for value, call, name, factor in zip(values, calls, names, wanted, strict=True):
        wave = call[0].numpy()
        if _largest(value - factor * wave) > 1e-3 * _largest(wave):
            found = float(np.vdot(wave, value).real / np.vdot(wave, wave).real)
            return f"at λ = {weight:.3g} {name} wave has the factor {found:.4g} along itself, not {factor:.4g}"
    return None


def _ends_backward(gradient, mask, weight):
    return [(gradient, mask, 0.0), (gradient, mask, 1e6)]


def _both_ends_backward(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    g, mask, _ = calls[0]
    wanted = (g, inverse_fourier(~mask * fourier(g)))
    for value, right, name in zip(values, wanted, ("λ = 0", "λ = 1,000,000"), strict=True):
        away = _largest(value - right.numpy())
        if away > 1e-3 * _largest(g.numpy()):
            return f"with {name} a pixel is off by {away:.3g}"
    return None


backward_image = Exercise(
    number=4,
    function="backward_image",
    title="backward, to the image",
    minutes=12,
    value_points=2,
    takes={
        "gradient": "complex64 (batch, 1, height, width): g, the loss's gradient for the layer's output",
        "mask": "bool (batch, 1, height, width): True where k-space was measured",
        "weight": "λ ≥ 0, a number or a tensor that holds one",
    },
    returns="a complex tensor of the shape of `gradient`",
    draw=_draw_gradient,
    reference=_backward_image,
    answers=("course_lib.networks.data_consistency.data_consistency_adjoint",),
    mistakes=(
        Mistake(
            _passed_on,
            "you hand the gradient on unchanged: on measured frequencies the layer lets only 1/(1 + λ) of it through",
        ),
        Mistake(
            _complementary_share,
            "λ/(1 + λ) is the scanner's share: what depends on the image is its own share, 1/(1 + λ) = 1 − λ/(1 + λ)",
        ),
        Mistake(
            _inside_for_outside,
            "inside and outside have changed places: 1/(1 + λ) on the measured points, 1 on the others",
        ),
        Mistake(
            _shrunk_everywhere,
            "you divide the whole gradient by 1 + λ: outside the mask the layer changes nothing, so the factor is 1",
        ),
        Mistake(
            _blocked_inside,
            "you let nothing through on the measured points: that is λ = ∞; with noise 1/(1 + λ) remains",
        ),
        Mistake(_blocked_outside, "you let nothing through outside the mask: there the factor is 1"),
        Mistake(
            _enlarged,
            "you multiply by 1 + λ: the layer divides by it, forward and backward (are parentheses missing? "
            "`1 / 1 + weight` is 1 + λ)",
        ),
        Mistake(
            _squared_factor,
            "your factor is 1/(1 + λ)², which belongs to the derivative for λ: for the image it is 1/(1 + λ)",
            also=(_negative_squared_factor,),
        ),
        Mistake(_one_minus_weight, "your factor is 1 − λ: it is 1 − λ/(1 + λ) = 1/(1 + λ)"),
        Mistake(_divided_by_weight_alone, "you divide by λ: the factor is 1/(1 + λ)"),
        Mistake(_root_of_factor, "you take the root of 1/(1 + λ): the gradient passes the layer once, so no root"),
        Mistake(
            _minus_share,
            "you give the derivative of the correction alone: the layer also hands the image on, so "
            "1 − λ/(1 + λ) = 1/(1 + λ)",
        ),
        Mistake(
            _correction_of_gradient,
            "your correction has the wrong sign: the layer takes the share λ/(1 + λ) off, so subtract it",
        ),
        Mistake(
            _factors_on_pixels,
            "you scale pixels: Λ belongs to k-space, so F before it and Fᴴ after it",
            also=(_way_there_missing,),
        ),
        Mistake(_gradient_in_kspace, "your result is k-space: the gradient for an image is an image; Fᴴ is missing"),
        Mistake(
            _gradient_exchanged,
            "F and Fᴴ have changed places (also if you conjugate before and after, as if the Jacobian were transposed "
            "without conjugation): read FᴴΛF from the right, `physics.fourier` first",
        ),
        Mistake(_negative_gradient, "your sign is wrong: the gradient is handed on, without a minus"),
        Mistake(
            _twice_the_gradient,
            "your gradient is twice too large: the factor 2 of a square belongs to the loss, and is in g already",
        ),
        Mistake(
            _divided_by_the_batch,
            "you divide by the number of images: if the loss is a mean, that is in g already",
        ),
        Mistake(
            _parentheses_of_weight_missing,
            "parentheses are missing: `g / 1 + weight` divides by 1 and adds λ; write `g / (1 + weight)`",
        ),
        Mistake(
            _gradient_forward_twice,
            "you go forward twice, which turns the gradient round: back leads `physics.inverse_fourier`",
        ),
        Mistake(
            _gradient_off_centre,
            f"your transforms have their zero frequency elsewhere than the mask: {_TRANSFORMS}",
        ),
        Mistake(
            _gradient_mixed_norms,
            f"the way there and the way back have different norms: {_TRANSFORMS}",
            also=(
                partial(_gradient_mixed_norms, there=fourier, back=_unnormalised_back),
                partial(_gradient_mixed_norms, there=_plain),
            ),
        ),
        Mistake(
            _gradient_conjugated,
            "you conjugate the gradient: g holds ∂L/∂Re + i·∂L/∂Im already, so it goes in as it comes",
        ),
        Mistake(
            _result_conjugated,
            "you conjugate the result: FᴴΛF g is the gradient already; the conjugation is inside Fᴴ",
        ),
        Mistake(
            _real_gradient,
            "you drop the imaginary part: the image is complex, and so is its gradient",
        ),
        Mistake(
            _gradient_magnitude,
            "you give magnitudes: a gradient has a direction, and here that is its phase",
        ),
        Mistake(_first_mask_backward, "you use the first mask for all images: each image has its own"),
        Mistake(_mask_subtracted, "torch does not subtract booleans: the points that were not measured are `~mask`"),
    ),
    properties=(
        Property(
            "chain rule",
            "For a small change of the image, your gradient should say by how much the loss changes.",
            lambda gradient, mask, weight: [(gradient, mask, weight)],
            _chain_rule,
        ),
        Property(
            "eigenvalues",
            "A wave at a measured frequency should come back 1/(1 + λ) times, at another one unchanged.",
            _two_waves,
            _eigenvalues,
        ),
        Property(
            "both ends",
            "λ = 0 should hand the gradient on, and a huge λ take every measured frequency out of it.",
            _ends_backward,
            _both_ends_backward,
        ),
    ),
    hints=(
        "The layer is linear in the image but for a constant, so its Jacobian is one matrix, J = FᴴΛF, and backward "
        "means Jᴴg. What is Jᴴ?",
        "Λ is real and diagonal, so (FᴴΛF)ᴴ = FᴴΛF: the same three steps as forward, without y.",
        "`s = physics.fourier(gradient)`, then `physics.inverse_fourier(torch.where(mask, s / (1 + weight), s))`.",
    ),
)


# --- 5. backward, to λ --------------------------------------------------------------------------------


def _draw_backward(generator: torch.Generator, index: int) -> Arguments:
    """The gradient points partly along the derivative, so that the sum does not cancel to nearly nothing."""
    image, kspace, mask, weight = _draw_weighted(generator, index)
    along = inverse_fourier(mask * (kspace - fourier(image)))
    return complex_randn(generator, *image.shape) + (1.2 + 0.4j) * along, image, kspace, mask, weight


def _derivative(image, kspace, mask, weight, power=2, there=fourier, back=inverse_fourier):
    """∂f/∂λ: the image of (s₀ − s)/(1 + λ)² on the measured points."""
    return back(mask * (kspace - there(image)) / (1 + weight) ** power)


def _inner(a, b):
    return (a.conj() * b).real.sum()


def _backward_weight(gradient, image, kspace, mask, weight):
    """The lab's reference: Re⟨g, ∂f/∂λ⟩, summed over all pixels of all images."""
    change = mask * (kspace - fourier(image)) / (1 + weight) ** 2
    return (gradient.conj() * inverse_fourier(change)).real.sum()


def _square_forgotten(gradient, *scan):
    return _inner(gradient, _derivative(*scan, power=1))


def _output_for_input(gradient, image, kspace, mask, weight):
    return _backward_weight(gradient, _data_consistency(image, kspace, mask, weight), kspace, mask, weight)


def _factor_forgotten(gradient, *scan):
    return _inner(gradient, _derivative(*scan, power=0))


def _square_in_the_sum(gradient, image, kspace, mask, weight):
    return _inner(gradient, _derivative(image, kspace, mask, weight**2, power=1))


def _weight_above(gradient, *scan):
    return scan[-1] * _backward_weight(gradient, *scan)


def _weight_above_once(gradient, *scan):
    return scan[-1] * _inner(gradient, _derivative(*scan, power=1))


def _signs_exchanged(gradient, *scan):
    return -_backward_weight(gradient, *scan)


def _derivative_off_the_mask(gradient, image, kspace, mask, weight):
    return _backward_weight(gradient, image, kspace, torch.ones_like(mask), weight)


def _derivative_outside(gradient, image, kspace, mask, weight):
    return _backward_weight(gradient, image, kspace, ~mask, weight)


def _samples_only(gradient, image, kspace, mask, weight):
    return _backward_weight(gradient, 0 * image, kspace, mask, weight)


def _prediction_only(gradient, image, kspace, mask, weight):
    return _backward_weight(gradient, image, 0 * kspace, mask, weight)


def _samples_times_weight(gradient, image, kspace, mask, weight):
    return _backward_weight(gradient, image, weight * kspace, mask, weight)


def _quotient_rule_broken(gradient, image, kspace, mask, weight):
    return _inner(gradient, inverse_fourier(mask * kspace / (1 + weight)))


def _bilinear(gradient, *scan):
    return (gradient * _derivative(*scan)).real.sum()


def _bilinear_in_kspace(gradient, *scan):
    return (fourier(gradient) * _derivative(*scan, back=_same)).real.sum()


def _complex_bilinear_in_kspace(gradient, *scan):
    return (fourier(gradient) * _derivative(*scan, back=_same)).sum()


def _complex_result(gradient, *scan):
    return (gradient.conj() * _derivative(*scan)).sum()


def _complex_bilinear(gradient, *scan):
    return (gradient * _derivative(*scan)).sum()


def _length_of_product(gradient, *scan):
    return (gradient.conj() * _derivative(*scan)).sum().abs()


def _magnitudes_summed(gradient, *scan):
    return (gradient.conj() * _derivative(*scan)).abs().sum()


def _imaginary_part(gradient, *scan):
    return (gradient.conj() * _derivative(*scan)).imag.sum()


def _real_parts_only(gradient, *scan):
    return (gradient.real * _derivative(*scan).real).sum()


def _domains_mixed(gradient, *scan):
    return _inner(gradient, _derivative(*scan, back=_same))


def _domains_mixed_bilinear(gradient, *scan):
    return (gradient * _derivative(*scan, back=_same)).real.sum()


def _gradient_forgotten(gradient, *scan):
    return _derivative(*scan).real.sum()


def _image_of_derivative(gradient, *scan):
    return _derivative(*scan)


def _product_not_summed(gradient, *scan):
    return (gradient.conj() * _derivative(*scan)).real


def _one_for_each_image(gradient, *scan):
    return (gradient.conj() * _derivative(*scan)).real.sum(dim=EACH)


def _mean_over_pixels(gradient, *scan):
    return (gradient.conj() * _derivative(*scan)).real.mean()


def _mean_over_images(gradient, *scan):
    return _backward_weight(gradient, *scan) / len(gradient)


def _twice_too_large(gradient, *scan):
    return 2 * _backward_weight(gradient, *scan)


def _vdot_of_images(gradient, *scan):
    return torch.vdot(gradient, _derivative(*scan)).real  # stops: vdot takes vectors


def _dot_of_images(gradient, *scan):
    return torch.dot(gradient, _derivative(*scan))  # stops


def _image_not_transformed(gradient, *scan):
    return _inner(gradient, _derivative(*scan, there=_same))


def _weight_off_centre(gradient, image, kspace, mask, weight, there=_uncentred, back=_uncentred_back):
    return _inner(gradient, _derivative(image, kspace, mask, weight, there=there, back=back))


def _weight_unnormalised(gradient, *scan):
    return _inner(gradient, _derivative(*scan, there=_unnormalised, back=_unnormalised_back))


def _weight_transforms_exchanged(gradient, *scan):
    return _inner(gradient, _derivative(*scan, there=inverse_fourier, back=fourier))


def _weight_forward_twice(gradient, *scan):
    return _inner(gradient, _derivative(*scan, back=fourier))


def _plus_in_the_quotient_rule(gradient, image, kspace, mask, weight):
    return _inner(gradient, inverse_fourier(mask * (kspace + fourier(image)) / (1 + weight) ** 2))


def _first_image_alone(gradient, *scan):
    return _inner(gradient[0], _derivative(*scan)[0])


def _weight_first_mask(gradient, image, kspace, mask, weight):
    return _backward_weight(gradient, image, kspace, mask[:1], weight)


def _weight_where_nonzero(gradient, image, kspace, mask, weight):
    return _backward_weight(gradient, image, kspace, kspace != 0, weight)


def _consistent_input(gradient, image, kspace, mask, weight):
    return [
        (gradient, image, kspace, mask, weight),
        (gradient, _replace_measured(image, kspace, mask), kspace, mask, weight),
    ]


def _vanishes(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    before, after = (float(np.ravel(v)[0]) for v in values)
    if abs(after) < 1e-4 * abs(before) + 1e-6:
        return None
    return f"for an image that agrees with the scan it is {after:.4g} (and {before:.4g} for the one that does not)"


def _gradient_changed(gradient, image, kspace, mask, weight):
    other = gradient + inverse_fourier(~mask * fourier(_another(gradient)))
    return [(g, image, kspace, mask, weight) for g in (gradient, 2 * gradient, other)]


def _linear_and_blind(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    once, twice, other = (float(np.ravel(v)[0]) for v in values)
    if not math.isclose(twice, 2 * once, rel_tol=1e-3):
        return f"a gradient twice as large took it from {once:.4g} to {twice:.4g}"
    if not math.isclose(other, once, rel_tol=2e-3):
        return f"adding unmeasured frequencies to the gradient took it from {once:.4g} to {other:.4g}"
    return None


def _around_weight(gradient, image, kspace, mask, weight):
    return [(gradient, image, kspace, mask, float(weight))]


def _finite_difference(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    gradient, image, kspace, mask, weight = calls[0]
    g, x, y = (t.to(torch.complex128) for t in (gradient, image, kspace))
    losses = [float(_inner(g, _data_consistency(x, y, mask, weight + step))) for step in (-1e-4, 1e-4)]
    wanted, found = (losses[1] - losses[0]) / 2e-4, float(np.ravel(values[0])[0])
    if np.ndim(values[0]) == 0 and math.isclose(wanted, found, rel_tol=1e-3):
        return None
    return f"from λ = {weight:.3g} the loss changes by {wanted:.4g} for each unit of λ, and you say {found:.4g}"


backward_weight = Exercise(
    number=5,
    function="backward_weight",
    title="backward, to λ",
    minutes=15,
    value_points=2,
    takes={
        "gradient": "complex64 (batch, 1, height, width): g, the loss's gradient for the layer's output",
        "image": "complex64 (batch, 1, height, width): z, the layer's input",
        "kspace": "complex64 (batch, 1, height, width): y, centred, zero where nothing was measured",
        "mask": "bool (batch, 1, height, width): True where k-space was measured",
        "weight": "λ ≥ 0, a number or a tensor that holds one",
    },
    returns="one real number, summed over all pixels and images",
    draw=_draw_backward,
    reference=_backward_weight,
    answers=("course_lib.networks.data_consistency.data_consistency_weight_derivative",),
    mistakes=(
        Mistake(
            _square_forgotten,
            "your denominator is 1 + λ, or missing: the derivative of (s + λ·s₀)/(1 + λ) has (1 + λ)² below the line",
            also=(_factor_forgotten,),
        ),
        Mistake(
            _output_for_input,
            "you divide by (1 + λ)³, or take s from the layer's output: s is the k-space of its input",
        ),
        Mistake(_square_in_the_sum, "you have 1 + λ² below the line: it is the whole sum that is squared, (1 + λ)²"),
        Mistake(
            _weight_above,
            "a λ too many above the line: λ/(1 + λ) is the share itself, and its derivative is 1/(1 + λ)²",
            also=(_weight_above_once,),
        ),
        Mistake(
            _signs_exchanged,
            "your sign is wrong: a larger λ moves the output towards the scanner, in the direction s₀ − s",
        ),
        Mistake(
            _derivative_off_the_mask,
            "the mask is missing: outside it the output is s whatever λ is, so the derivative is 0 there",
        ),
        Mistake(_derivative_outside, "your mask is inverted: λ acts where k-space was measured, and there alone"),
        Mistake(
            _samples_only,
            "you differentiate the scanner's share alone: λ also stands below s, and s/(1 + λ) has the derivative "
            "−s/(1 + λ)²",
        ),
        Mistake(
            _prediction_only, "you differentiate the image's share alone: λ·s₀/(1 + λ) has the derivative s₀/(1 + λ)²"
        ),
        Mistake(
            _samples_times_weight,
            "your s₀ has a factor λ: by the quotient rule the numerator is s₀·(1 + λ) − (s + λ·s₀) = s₀ − s",
        ),
        Mistake(
            _quotient_rule_broken,
            "you differentiate the numerator alone: λ stands below the line too, so use the quotient rule",
        ),
        Mistake(
            _bilinear,
            "the conjugation is missing: the real inner product is Re Σ conj(g)·v, which is Re·Re + Im·Im",
            also=(_bilinear_in_kspace,),
        ),
        Mistake(
            _complex_result,
            "your result is complex: the loss is real and so is λ; take the real part",
            also=(_complex_bilinear, _complex_bilinear_in_kspace),
        ),
        Mistake(
            _length_of_product,
            "you take the magnitude of the sum, which is never negative: a derivative has a sign; take the real part",
        ),
        Mistake(
            _magnitudes_summed,
            "you add up magnitudes: contributions of opposite sign should cancel; add up the real parts",
        ),
        Mistake(_imaginary_part, "you take the imaginary part: the inner product of gradients is the real part"),
        Mistake(
            _real_parts_only,
            "you multiply real parts alone: the imaginary parts count too, Re(conj(g)·v) = Re·Re + Im·Im",
        ),
        Mistake(
            _domains_mixed,
            "you multiply an image by k-space: g belongs to the output image, so transform (s₀ − s)/(1 + λ)² back "
            "first (or g forward)",
            also=(_domains_mixed_bilinear,),
        ),
        Mistake(_gradient_forgotten, "g plays no part: multiply by the conjugate of g before you sum"),
        Mistake(
            _image_of_derivative,
            "you give ∂f/∂λ, an image: the chain rule still multiplies it by g and sums, Re Σ conj(g)·∂f/∂λ",
        ),
        Mistake(_product_not_summed, "you give one number for each pixel: λ is one number for all, so sum"),
        Mistake(
            _one_for_each_image,
            "you give one number for each image: one λ serves the whole batch, so sum over the batch too",
        ),
        Mistake(_mean_over_pixels, "you take the mean over pixels: the chain rule sums over everything λ acts on"),
        Mistake(_mean_over_images, "you take the mean over the images: the chain rule sums; a mean is in g already"),
        Mistake(_twice_too_large, "your result is twice too large: Re Σ conj(g)·v has no factor 2"),
        Mistake(
            _vdot_of_images,
            "`torch.vdot` and `torch.dot` take vectors: `(gradient.conj() * v).real.sum()` takes images",
            also=(_dot_of_images,),
        ),
        Mistake(_image_not_transformed, "you subtract pixels from k-space: s is `physics.fourier(image)`"),
        Mistake(
            _weight_off_centre,
            f"your transforms have their zero frequency elsewhere than the mask: {_TRANSFORMS}",
            also=tuple(partial(_weight_off_centre, there=there, back=back) for there, back in OFF_CENTRE[1:]),
        ),
        Mistake(
            _weight_unnormalised,
            f"your s is √(height·width) times larger than s₀ beside it: {_TRANSFORMS}",
        ),
        Mistake(
            _weight_transforms_exchanged,
            "your transforms have changed places: `physics.fourier` leads to k-space, `physics.inverse_fourier` back",
        ),
        Mistake(
            _weight_forward_twice,
            "g and ∂f/∂λ are in different places (an image beside k-space), or you go forward twice: back leads "
            "`physics.inverse_fourier`, and g is an image already",
        ),
        Mistake(
            _plus_in_the_quotient_rule,
            "the quotient rule has a minus: s₀·(1 + λ) − (s + λ·s₀) = s₀ − s above the line",
        ),
        Mistake(_first_image_alone, "you use the first image alone: the sum goes over all images of the batch"),
        Mistake(_weight_first_mask, "you use the first mask for all images: each image has its own"),
        Mistake(
            _weight_where_nonzero,
            "you take as measured what is not 0 in `kspace`: a sample may be measured as exactly 0; use `mask`",
        ),
    ),
    properties=(
        Property(
            "finite difference",
            "For L = Re⟨g, f(λ)⟩ it should be the slope (L(λ + h) − L(λ − h)) / 2h.",
            _around_weight,
            _finite_difference,
        ),
        Property(
            "zero for agreement",
            "Where image and scanner agree, λ changes nothing, and its derivative should be 0.",
            _consistent_input,
            _vanishes,
        ),
        Property(
            "linear in g, blind outside",
            "Twice the gradient should give twice the number, and unmeasured frequencies of g should not count.",
            _gradient_changed,
            _linear_and_blind,
        ),
    ),
    hints=(
        "On a measured point the output is (s + λ·s₀)/(1 + λ). Differentiate it for λ by the quotient rule; elsewhere "
        "the derivative is 0.",
        "That gives (s₀ − s)/(1 + λ)² in k-space. Transform it back to an image v; the chain rule is Re Σ conj(g)·v.",
        "`v = physics.inverse_fourier(mask * (kspace - physics.fourier(image)) / (1 + weight) ** 2)`, and then "
        "`(gradient.conj() * v).real.sum()`.",
    ),
    tolerance=1e-3,
)


# --- 6. a block of the network ------------------------------------------------------------------------


def _draw_block(generator: torch.Generator, index: int) -> Arguments:
    channels = (5, 4, 3)[index]
    image = complex_randn(generator, COUNTS[index], 1, *SHAPES[index])
    first = 0.35 * torch.randn(channels, 2, 3, 3, generator=generator)
    second = 0.35 * torch.randn(2, channels, 3, 3, generator=generator)
    return image, first, second


def _cnn_block(image, first, second):
    """The lab's reference: to channels, convolve, ReLU, convolve, back to complex, and add the image."""
    channels = torch.cat([image.real, image.imag], dim=1)
    hidden = torch.relu(conv2d(channels, first, padding=1))
    change = conv2d(hidden, second, padding=1)
    return image + torch.complex(change[:, :1], change[:, 1:])


def _split(image):
    return torch.cat([image.real, image.imag], dim=1)


def _joined(channels):
    return torch.complex(channels[:, :1], channels[:, 1:])


def _conv(x, kernel):
    return conv2d(x, kernel, padding=1)


def _block(
    image, first, second, *, split=_split, join=_joined, conv=_conv, before=_same, middle=torch.relu, last=_same
):
    """`_cnn_block` with other parts, for the mistakes; without the image added."""
    return join(last(conv(middle(conv(before(split(image)), first)), second)))


def _image_not_added(*block):
    return _block(*block)


def _change_subtracted(image, *kernels):
    return image - _block(image, *kernels)


def _relu_forgotten(image, *kernels):
    return image + _block(image, *kernels, middle=_same)


def _relu_on_change(image, *kernels):
    return image + _block(image, *kernels, last=torch.relu)


def _relu_at_the_end_alone(image, *kernels):
    return image + _block(image, *kernels, middle=_same, last=torch.relu)


def _relu_on_input(image, *kernels):
    return image + _block(image, *kernels, before=torch.relu, middle=_same)


def _relu_on_sum(image, first, second):
    total = _split(image) + _conv(torch.relu(_conv(_split(image), first)), second)
    return _joined(torch.relu(total))


def _other_activation(image, *kernels, middle=torch.abs):
    return image + _block(image, *kernels, middle=middle)


def _imaginary_first(x):
    return torch.cat([x.imag, x.real], dim=1)


def _joined_imaginary_first(channels):
    return torch.complex(channels[:, 1:], channels[:, :1])


def _parts_exchanged(image, *kernels, split=_imaginary_first, join=_joined_imaginary_first):
    return image + _block(image, *kernels, split=split, join=join)


def _polar(x):
    return torch.cat([x.abs(), x.angle()], dim=1)


def _magnitude_and_phase(image, *kernels):
    return image + _block(image, *kernels, split=_polar)


def _joined_from_polar(channels):
    return channels[:, :1] * torch.exp(1j * channels[:, 1:])


def _polar_both_ways(image, *kernels):
    return image + _block(image, *kernels, split=_polar, join=_joined_from_polar)


def _reshaped_parts(x):
    return torch.view_as_real(x).reshape(len(x), 2, *x.shape[-2:])


def _parts_scrambled(image, *kernels):
    return image + _block(image, *kernels, split=_reshaped_parts)


def _parts_scrambled_both_ways(image, *kernels):
    def join(channels):
        return torch.view_as_complex(channels.reshape(len(channels), 1, *channels.shape[-2:], 2))

    return image + _block(image, *kernels, split=_reshaped_parts, join=join)


def _real_part_twice(image, *kernels):
    return image + _block(image, *kernels, split=lambda x: torch.cat([x.real, x.real], dim=1))


def _real_change_twice(image, *kernels):
    return image + _block(image, *kernels, join=lambda c: torch.complex(c[:, :1], c[:, :1]))


def _relu_twice(image, *kernels):
    return image + _block(image, *kernels, before=torch.relu)


def _imaginary_part_lost(image, *kernels):
    return image + _block(image, *kernels, split=lambda x: torch.cat([x.real, 0 * x.real], dim=1))


def _imaginary_change_lost(image, *kernels):
    return image + _block(image, *kernels, join=lambda c: c[:, :1])


def _magnitude_of_change(image, *kernels):
    return image + _block(image, *kernels).abs()


def _joined_conjugated(image, *kernels):
    return image + _block(image, *kernels).conj()


def _not_padded(image, first, second):
    return image + _block(image, first, second, conv=conv2d)  # stops: each convolution takes a pixel off each side


def _padded_once(image, first, second):
    change = conv2d(torch.relu(_conv(_split(image), first)), second)
    return image + _joined(change)  # stops


def _padded_once_later(image, first, second):
    return image + _joined(_conv(torch.relu(conv2d(_split(image), first)), second))  # stops


def _not_padded_not_added(image, first, second):
    return _block(image, first, second, conv=conv2d)


def _padded_twice(image, first, second):
    return image + _block(image, first, second, conv=lambda x, k: conv2d(x, k, padding=2))  # stops


def _padded_with_border(image, *kernels, mode="circular"):
    return image + _block(image, *kernels, conv=lambda x, k: conv2d(pad(x, (1, 1, 1, 1), mode=mode), k))


def _kernels_turned(image, first, second):
    return image + _block(image, first.flip(SIDES), second.flip(SIDES))


def _complex_into_conv(image, first, second):
    hidden = torch.relu(conv2d(image, first, padding=1))  # stops: complex image, real kernels
    return image + conv2d(hidden, second, padding=1)


def _parts_in_batch(image, first, second):
    return image + _block(image, first, second, split=lambda x: torch.cat([x.real, x.imag], dim=0))  # stops


def _parts_in_a_new_dimension(image, first, second):
    return image + _block(image, first, second, split=lambda x: torch.stack([x.real, x.imag], dim=1))  # stops


def _parts_last(image, first, second):
    return image + _block(image, first, second, split=torch.view_as_real)  # stops


def _parts_last_without_channel(image, first, second):
    return image + _block(image, first, second, split=lambda x: torch.view_as_real(x)[:, 0])  # stops


def _kernels_exchanged(image, first, second):
    return image + _block(image, second, first)  # stops: the channels do not fit


def _second_forgotten(image, first, second):
    return image + _joined(torch.relu(_conv(_split(image), first)))  # wrong channels, or a broadcast


def _channel_dropped(image, *kernels):
    return image + _block(image, *kernels, join=lambda c: torch.complex(c[:, 0], c[:, 1]))


def _two_channels(image, first, second):
    return _split(image) + _conv(torch.relu(_conv(_split(image), first)), second)


def _change_in_two_channels(image, first, second):
    return image + _conv(torch.relu(_conv(_split(image), first)), second)


def _joined_by_view(image, first, second):
    return image + _block(image, first, second, join=torch.view_as_complex)  # stops: the parts are no last dimension


def _joined_by_moved_view(image, first, second):
    # stops: moved, the two parts are not side by side in memory
    return image + _block(image, first, second, join=lambda c: torch.view_as_complex(c.movedim(1, -1)))


def _added_before_second(image, first, second):
    hidden = torch.relu(_conv(_split(image), first))
    return _joined(_conv(hidden + _split(image), second))  # stops: the channels differ


def _image_added_twice(image, *kernels):
    return 2 * image + _block(image, *kernels)


def _without_change(image, first, second):
    return [(image, first, 0 * second), (image, 0 * first, second)]


def _image_back(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    given = calls[0][0].numpy()
    for value, name in zip(values, ("second", "first"), strict=True):
        if value.shape != given.shape or _largest(value - given) > 1e-4 * _largest(given):
            return f"with `{name}` = 0 a pixel is off by {_largest(value - given):.3g}"
    return None


def _from_real_to_imaginary(image, first, second):
    """Kernels that read the real part alone and write the imaginary part alone."""
    first, second = first.clone(), second.clone()
    first[:, 1], second[0] = 0, 0
    return [(image, first, second), (image.real + 0.5j * image.imag, first, second)]


def _order_of_channels(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    image = calls[0][0].numpy()
    if _largest(values[0].real - image.real) > 1e-4 * _largest(image):
        return f"they changed the real part, by up to {_largest(values[0].real - image.real):.3g}"
    changes = [v.imag - c[0].numpy().imag for v, c in zip(values, calls, strict=True)]
    if _largest(changes[0] - changes[1]) > 1e-3 * _largest(image):
        return f"halving the imaginary part altered the change by up to {_largest(changes[0] - changes[1]):.3g}"
    return None


def _point_added(image, first, second):
    moved = image.clone()
    moved[..., image.shape[-2] // 2, image.shape[-1] // 2] += 1.5 - 2j
    return [(image, first, second), (moved, first, second)]


def _reaches_two_pixels(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    difference = np.abs(values[1] - values[0]).max(axis=(0, 1))
    rows, columns = np.nonzero(difference > 1e-4 * _largest(values[0]))
    height, width = difference.shape
    reach = max(np.abs(rows - height // 2).max(), np.abs(columns - width // 2).max()) if len(rows) else 0
    if reach == 2:
        return None
    return f"a change of the middle pixel is felt up to {int(reach)} pixels away"


cnn_block = Exercise(
    number=6,
    function="cnn_block",
    title="a block of the network",
    minutes=14,
    value_points=2,
    takes={
        "image": "complex64 (batch, 1, height, width)",
        "first": "float32 (channels, 2, 3, 3): the kernels of the first convolution",
        "second": "float32 (2, channels, 3, 3): the kernels of the second convolution",
    },
    returns="a complex tensor of the shape of `image`",
    draw=_draw_block,
    reference=_cnn_block,
    answers=("course_lib.networks.cascade.ResidualCNN",),
    mistakes=(
        Mistake(
            _image_not_added,
            "you give the change alone: a block returns the image plus its change",
        ),
        Mistake(_change_subtracted, "you subtract the change: this block adds it"),
        Mistake(_image_added_twice, "you add the image twice: the block is image + change"),
        Mistake(
            _relu_forgotten,
            "the ReLU is missing: two convolutions after each other are one larger convolution, and no network",
        ),
        Mistake(
            _relu_on_change,
            "your change is never negative: the ReLU stands between the convolutions, and none after the second",
            also=(_relu_at_the_end_alone,),
        ),
        Mistake(
            _relu_on_input,
            "your ReLU cuts the image's negative parts off: it stands between the convolutions, and there alone",
            also=(_relu_twice,),
        ),
        Mistake(_real_change_twice, "you use channel 0 twice: the imaginary part of the change is `change[:, 1:]`"),
        Mistake(
            _relu_on_sum,
            "your ReLU acts on the result: real and imaginary part may be negative; it stands between the convolutions",
        ),
        Mistake(
            _other_activation,
            "between the convolutions you use another function than ReLU, max(0, ·): `torch.relu`",
            also=(
                partial(_other_activation, middle=torch.nn.functional.leaky_relu),
                partial(_other_activation, middle=torch.nn.functional.gelu),
                partial(_other_activation, middle=torch.tanh),
                partial(_other_activation, middle=torch.sigmoid),
                partial(_other_activation, middle=torch.nn.functional.silu),
            ),
        ),
        Mistake(
            _parts_exchanged,
            "real and imaginary part have changed places: channel 0 is the real part, going in and coming out",
            also=(
                partial(_parts_exchanged, join=_joined),
                partial(_parts_exchanged, split=_split),
            ),
        ),
        Mistake(
            _magnitude_and_phase,
            "your channels are magnitude and phase: phase jumps from π to −π, so this course uses real and imaginary "
            "part",
            also=(_polar_both_ways,),
        ),
        Mistake(
            _parts_scrambled,
            "`reshape` scrambles the pixels: `view_as_real` puts the parts last, so move that dimension (`movedim`), "
            "or use `torch.cat([image.real, image.imag], dim=1)`",
            also=(_parts_scrambled_both_ways,),
        ),
        Mistake(_real_part_twice, "both your channels hold the real part: the second is `image.imag`"),
        Mistake(_imaginary_part_lost, "your second channel is zero: it is `image.imag`"),
        Mistake(
            _imaginary_change_lost,
            "you add the first channel alone: the change is complex, `torch.complex(change[:, :1], change[:, 1:])`",
        ),
        Mistake(_magnitude_of_change, "you add the magnitude of the change: add the complex change itself"),
        Mistake(_joined_conjugated, "your imaginary part has the wrong sign: the change is real + i·imaginary"),
        Mistake(
            _not_padded,
            "each convolution takes a pixel off each side, and the sizes no longer fit: `padding=1` in both",
            also=(_padded_once, _padded_once_later, _padded_twice),
        ),
        Mistake(
            _not_padded_not_added,
            "your result is smaller than the image, and the image is not added: `padding=1` in both convolutions, and "
            "image + change",
        ),
        Mistake(
            _padded_with_border,
            "you pad with other pixels of the image: `padding=1` pads with zeros, as this lab does",
            also=(partial(_padded_with_border, mode="replicate"), partial(_padded_with_border, mode="reflect")),
        ),
        Mistake(_kernels_turned, "you turn the kernels round: a network's `conv2d` takes them as they are"),
        Mistake(
            _complex_into_conv,
            "`conv2d` takes real numbers: give it two channels, the real part and the imaginary part",
        ),
        Mistake(
            _parts_in_batch,
            "the first convolution wants two channels: put real and imaginary part along dim=1",
            also=(_parts_in_a_new_dimension, _parts_last, _parts_last_without_channel),
        ),
        Mistake(_kernels_exchanged, "the kernels have changed places: `first` takes 2 channels, `second` gives 2"),
        Mistake(_second_forgotten, "the second convolution is missing: it leads back to two channels"),
        Mistake(
            _channel_dropped,
            "`change[:, 0]` drops the channel's dimension, and the sum mixes the images of a batch: `change[:, :1]` "
            "and `change[:, 1:]` keep it",
        ),
        Mistake(
            _two_channels,
            "you give two real channels: make complex numbers of them, `torch.complex(change[:, :1], change[:, 1:])`",
            also=(_change_in_two_channels,),
        ),
        Mistake(
            _joined_by_view,
            "`view_as_complex` wants real and imaginary part side by side in the last dimension, and yours are "
            "channels: `torch.complex(change[:, :1], change[:, 1:])`",
            also=(_joined_by_moved_view,),
        ),
        Mistake(
            _added_before_second,
            "you add the image between the convolutions, where there are more channels: add it at the end",
        ),
    ),
    properties=(
        Property(
            "residual",
            "Kernels of zeros should give the image back.",
            _without_change,
            _image_back,
        ),
        Property(
            "real part first",
            "Kernels that read channel 0 alone and write channel 1 alone should read the real part and change the "
            "imaginary part.",
            _from_real_to_imaginary,
            _order_of_channels,
        ),
        Property(
            "reach",
            "Two convolutions of 3 × 3 should reach two pixels far.",
            _point_added,
            _reaches_two_pixels,
        ),
    ),
    hints=(
        "Five steps: two channels, convolution, ReLU, convolution, complex again; then add the image.",
        "`torch.cat([image.real, image.imag], dim=1)` makes the channels, and "
        "`torch.nn.functional.conv2d(channels, first, padding=1)` convolves them.",
        "With `change` from the second convolution: `image + torch.complex(change[:, :1], change[:, 1:])`.",
    ),
    differentiable=("image", "first", "second"),
)


# --- 7. the cascade -----------------------------------------------------------------------------------


def _draw_cascade(generator: torch.Generator, index: int) -> Arguments:
    _, kspace, mask, weight = _draw_weighted(generator, index)
    blocks, channels = (3, 2, 4)[index], (3, 4, 3)[index]
    first = 0.3 * torch.randn(blocks, channels, 2, 3, 3, generator=generator)
    second = 0.3 * torch.randn(blocks, 2, channels, 3, 3, generator=generator)
    return kspace, mask, first, second, weight


def _cascade(kspace, mask, first, second, weight):
    """The lab's reference: from the zero-filled image, block and data consistency in turn."""
    x = inverse_fourier(kspace)
    for k1, k2 in zip(first, second, strict=True):
        x = _data_consistency(_cnn_block(x, k1, k2), kspace, mask, weight)
    return x


def _run_cascade(
    kspace, mask, first, second, weight, *, start=inverse_fourier, block=_cnn_block, layer=_data_consistency
):
    """`_cascade` with other parts, for the mistakes; every image on the way."""
    images = [start(kspace)]
    for k1, k2 in zip(first, second, strict=True):
        images.append(layer(block(images[-1], k1, k2), kspace, mask, weight))
    return images


def _no_layer(x, kspace, mask, weight):
    return x


def _never_consistent(*problem):
    return _run_cascade(*problem, layer=_no_layer)[-1]


def _consistent_at_the_end(kspace, mask, first, second, weight):
    return _data_consistency(_never_consistent(kspace, mask, first, second, weight), kspace, mask, weight)


def _layer_before_block(kspace, mask, first, second, weight):
    x = inverse_fourier(kspace)
    for k1, k2 in zip(first, second, strict=True):
        x = _cnn_block(_data_consistency(x, kspace, mask, weight), k1, k2)
    return x


def _never_a_block(*problem):
    return _run_cascade(*problem, block=lambda x, k1, k2: x)[-1]


def _from_zeros(*problem):
    return _run_cascade(*problem, start=torch.zeros_like)[-1]


def _from_kspace(*problem):
    return _run_cascade(*problem, start=_same)[-1]


def _from_forward(*problem):
    return _run_cascade(*problem, start=fourier)[-1]


def _from_magnitude(*problem):
    return _run_cascade(*problem, start=lambda y: inverse_fourier(y).abs() + 0j)[-1]


def _from_real_part(*problem):
    return _run_cascade(*problem, start=lambda y: inverse_fourier(y).real + 0j)[-1]


def _start_off_centre(*problem, start=_uncentred_back):
    return _run_cascade(*problem, start=start)[-1]


def _start_unnormalised(*problem):
    return _run_cascade(*problem, start=_unnormalised_back)[-1]


def _first_block_repeated(kspace, mask, first, second, weight, which=0):
    return _cascade(kspace, mask, first[which].expand_as(first), second[which].expand_as(second), weight)


def _last_block_first(kspace, mask, first, second, weight):
    return _cascade(kspace, mask, first.flip(0), second.flip(0), weight)


def _always_from_the_start(kspace, mask, first, second, weight):
    x = inverse_fourier(kspace)
    return _data_consistency(_cnn_block(x, first[-1], second[-1]), kspace, mask, weight)


def _one_block_only(kspace, mask, first, second, weight):
    return _cascade(kspace, mask, first[:1], second[:1], weight)


def _one_block_too_few(kspace, mask, first, second, weight):
    return _run_cascade(kspace, mask, first, second, weight)[-2]


def _first_block_left_out(kspace, mask, first, second, weight):
    return _cascade(kspace, mask, first[1:], second[1:], weight)


def _extra_skip(*problem):
    return _run_cascade(*problem, block=lambda x, k1, k2: x + _cnn_block(x, k1, k2))[-1]


def _skip_missing(*problem):
    return _run_cascade(*problem, block=lambda x, k1, k2: _block(x, k1, k2))[-1]


def _layer_added(kspace, mask, first, second, weight):
    x = inverse_fourier(kspace)
    for k1, k2 in zip(first, second, strict=True):
        x = x + _data_consistency(_cnn_block(x, k1, k2), kspace, mask, weight)
    return x


def _always_replaced(*problem):
    return _run_cascade(*problem, layer=lambda x, y, mask, weight: _replace_measured(x, y, mask))[-1]


def _image_as_data(*problem):
    return _run_cascade(*problem, layer=lambda x, y, mask, w: _data_consistency(x, inverse_fourier(y), mask, w))[-1]


def _layer_inverted(*problem):
    return _run_cascade(*problem, layer=lambda x, y, mask, w: _data_consistency(x, y, ~mask, w))[-1]


def _layer_everywhere(*problem):
    return _run_cascade(*problem, layer=_mixed_everywhere)[-1]


def _magnitude_between(*problem):
    return _run_cascade(*problem, layer=lambda *scan: _data_consistency(*scan).abs() + 0j)[-1]


def _magnitude_at_the_end(*problem):
    return _cascade(*problem).abs()


def _cascade_in_kspace(*problem):
    return fourier(_cascade(*problem))


def _all_images(*problem):
    return _run_cascade(*problem)


def _all_images_but_first(*problem):
    return _run_cascade(*problem)[1:]


def _all_images_stacked(*problem):
    return torch.stack(_run_cascade(*problem))


def _all_images_but_first_stacked(*problem):
    return torch.stack(_run_cascade(*problem)[1:])


def _blocks_first(kspace, mask, first, second, weight):
    x = inverse_fourier(kspace)
    for k1, k2 in zip(first, second, strict=True):
        x = _cnn_block(x, k1, k2)
    for _ in first:
        x = _data_consistency(x, kspace, mask, weight)
    return x


def _whole_kernels(kspace, mask, first, second, weight):
    x = inverse_fourier(kspace)
    for _ in first:
        x = _data_consistency(_cnn_block(x, first, second), kspace, mask, weight)  # stops: all blocks' kernels at once
    return x


def _kernels_of_block_exchanged(kspace, mask, first, second, weight):
    return _cascade(kspace, mask, second, first, weight)  # stops: `first` takes 2 channels


def _scan_exchanged(*problem):
    return _run_cascade(*problem, layer=lambda x, y, mask, weight: _data_consistency(x, mask, y, weight))[-1]  # stops


def _five_blocks(kspace, mask, first, second, weight):
    x = inverse_fourier(kspace)
    for k in range(5):
        x = _data_consistency(_cnn_block(x, first[k], second[k]), kspace, mask, weight)  # stops: there are fewer
    return x


def _weight_of_one(*problem):
    return _run_cascade(*problem, layer=lambda x, y, mask, weight: _data_consistency(x, y, mask, 1.0))[-1]


def _layer_twice(*problem):
    def twice(x, y, mask, weight):
        return _data_consistency(_data_consistency(x, y, mask, weight), y, mask, weight)

    return _run_cascade(*problem, layer=twice)[-1]


def _all_pairs_of_kernels(kspace, mask, first, second, weight):
    x = inverse_fourier(kspace)
    for k1 in first:
        for k2 in second:
            x = _data_consistency(_cnn_block(x, k1, k2), kspace, mask, weight)
    return x


def _idle_blocks(kspace, mask, first, second, weight):
    return [(kspace, mask, first, 0 * second, weight)]


def _stays_zero_filled(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    wanted = inverse_fourier(calls[0][0]).numpy()
    away = _largest(values[0] - wanted)
    if away < 1e-4 * _largest(wanted):
        return None
    return f"a pixel is off by {away:.3g}, where the largest has {_largest(wanted):.3g}"


def _trusting_the_scanner(kspace, mask, first, second, weight):
    return [(kspace, mask, first, second, 1e6)]


def _never_contradicts(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    kspace, mask = calls[0][:2]
    away = _largest(_sampled_and_not(mask, values[0])[0] - kspace.numpy()) / _largest(kspace.numpy())
    return None if away < 1e-3 else f"a measured sample is off by {away:.3g} of the largest one"


def _without_layers(kspace, mask, first, second, weight):
    return [(kspace, mask, first, second, 0.0)]


def _plain_network(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    wanted = _never_consistent(*calls[0]).numpy()
    away = _largest(values[0] - wanted)
    if away < 1e-3 * _largest(wanted):
        return None
    return f"a pixel is off by {away:.3g}, where the largest has {_largest(wanted):.3g}"


cascade = Exercise(
    number=7,
    function="cascade",
    title="the cascade",
    minutes=14,
    value_points=2,
    takes={
        "kspace": "complex64 (batch, 1, height, width): y, centred, zero where nothing was measured",
        "mask": "bool (batch, 1, height, width): True where k-space was measured",
        "first": "float32 (blocks, channels, 2, 3, 3): each block's first kernels",
        "second": "float32 (blocks, 2, channels, 3, 3): each block's second kernels",
        "weight": "λ ≥ 0, a number or a tensor that holds one, the same in every layer",
    },
    returns="a complex tensor of the shape of `kspace`: the last image",
    draw=_draw_cascade,
    reference=_cascade,
    answers=(*_LAYERS, "course_lib.networks.cascade.DeepCascade"),
    mistakes=(
        Mistake(
            _never_consistent,
            "your layers do nothing: after each block comes `data_consistency(x, kspace, mask, weight)`, and its "
            "result goes on",
        ),
        Mistake(
            _consistent_at_the_end,
            "you make the image consistent once, at the end: here the layer comes after each block, so that the next "
            "one starts from data again",
            also=(_blocks_first,),
        ),
        Mistake(
            _layer_before_block,
            "no layer follows your last block, so the result may contradict the scanner: block first, then layer, each "
            "time",
        ),
        Mistake(_never_a_block, "no block changes your image: `x = cnn_block(x, first[k], second[k])` comes first"),
        Mistake(_from_zeros, "you start from an image of zeros: start from the zero-filled image, Fᴴy"),
        Mistake(
            _from_kspace,
            "you start from k-space as if it were an image: start from `physics.inverse_fourier(kspace)`",
            also=(_from_forward,),
        ),
        Mistake(
            _from_magnitude,
            "you start from the magnitude (or the real part) of the zero-filled image: the phase belongs to it",
            also=(_from_real_part,),
        ),
        Mistake(
            _start_off_centre,
            "your zero-filled image is transformed by another convention: `physics.inverse_fourier(kspace)`",
            also=(
                partial(_start_off_centre, start=_plain_back),
                partial(_start_off_centre, start=_half_centred_back),
                _start_unnormalised,
            ),
        ),
        Mistake(
            _first_block_repeated,
            "all your blocks have the same kernels: block k has `first[k]` and `second[k]`",
            also=(partial(_first_block_repeated, which=-1),),
        ),
        Mistake(_last_block_first, "your blocks come in the opposite order: begin with `first[0]`"),
        Mistake(
            _always_from_the_start,
            "each of your blocks starts from the zero-filled image again, so the last one alone counts: hand x on",
        ),
        Mistake(_one_block_only, "you stop after the first block: is the `return` inside the loop?"),
        Mistake(
            _one_block_too_few,
            "you use one block too few: all of `first` and `second` take part",
            also=(_first_block_left_out,),
        ),
        Mistake(
            _extra_skip,
            "you add the image to `cnn_block(x, …)`, which has added it already: x = cnn_block(x, …)",
        ),
        Mistake(_skip_missing, "your blocks give their change alone: a block adds its change to the image"),
        Mistake(
            _layer_added,
            "you add the layer's output to the image: the output replaces it, x = data_consistency(…)",
        ),
        Mistake(_always_replaced, "your layer replaces the samples whatever λ is: `data_consistency` takes λ"),
        Mistake(
            _image_as_data,
            "you hand the zero-filled image to the layer: it wants the measured samples, `kspace`",
        ),
        Mistake(_layer_inverted, "you hand the inverted mask to the layer: True marks what was measured"),
        Mistake(
            _layer_everywhere,
            "your layer pulls unmeasured frequencies to 0 as well: outside the mask they stay (exercise 3)",
        ),
        Mistake(
            _magnitude_between,
            "you take the magnitude after each layer: the next block needs the phase too",
        ),
        Mistake(_magnitude_at_the_end, "you give the magnitude: return the complex image, without `.abs()`"),
        Mistake(_cascade_in_kspace, "your result is k-space: the layer gives an image already, so return it"),
        Mistake(
            _all_images,
            "you give the image after every block: return the last one alone",
            also=(_all_images_but_first, _all_images_stacked, _all_images_but_first_stacked),
        ),
        Mistake(
            _kernels_of_block_exchanged,
            "the kernels have changed places: `cnn_block(x, first[k], second[k])`",
        ),
        Mistake(_scan_exchanged, "the arguments have changed places: `data_consistency(x, kspace, mask, weight)`"),
        Mistake(_five_blocks, "you count five blocks whatever comes: there are as many as `len(first)`"),
        Mistake(_weight_of_one, "your layers use λ = 1 whatever comes: hand `weight` on to `data_consistency`"),
        Mistake(_layer_twice, "the layer acts twice after each block: once is enough"),
        Mistake(
            _all_pairs_of_kernels,
            "one loop inside another pairs every `first` with every `second`: go through both at once, "
            "`zip(first, second)`",
        ),
        Mistake(
            _whole_kernels,
            "you hand all blocks' kernels to each block: block k takes `first[k]` and `second[k]`",
        ),
    ),
    properties=(
        Property(
            "idle blocks",
            "Blocks that change nothing should leave the zero-filled image, which agrees with the data already.",
            _idle_blocks,
            _stays_zero_filled,
        ),
        Property(
            "never contradicts",
            "With a huge λ the result should agree with every measured sample, whatever the kernels.",
            _trusting_the_scanner,
            _never_contradicts,
        ),
        Property(
            "λ = 0",
            "With λ = 0 the layers should do nothing, and leave a plain network of the same blocks.",
            _without_layers,
            _plain_network,
        ),
    ),
    hints=(
        "Start from the zero-filled image. A loop over the blocks, and two lines in it.",
        "`for k1, k2 in zip(first, second):` goes through the blocks; start with "
        "`x = physics.inverse_fourier(kspace)`.",
        "In the loop `x = cnn_block(x, k1, k2)` and `x = data_consistency(x, kspace, mask, weight)`; after it "
        "`return x`.",
    ),
    tolerance=1e-3,
    differentiable=("first", "second"),
)


LAB = Lab(
    module="09_data_consistency_cascades",
    title="09 Data-consistency cascades",
    exercises=(
        kspace_residual,
        replace_measured,
        data_consistency,
        backward_image,
        backward_weight,
        cnn_block,
        cascade,
    ),
    open_questions=(
        OpenQuestion(
            number=8,
            name="outside_the_training",
            title="outside the training",
            minutes=18,
            points=4,
            marking=(
                "reads the sampling table: the layer takes any mask and the result agrees with it, the blocks know the "
                "aliasing of upright lines at R = 4 and 8, the plain network little else; fewer samples than in "
                "training cost most; the table does not show one cause alone (1)",
                "says that λ = ∞ writes the noise into the image at every measured point, and that a finite λ put in "
                "afterwards helps little or harms: the blocks were never told what to do at measured frequencies "
                "(exercise 4), so λ and noise belong into the training (1)",
                "says that the residual is 0 with the lesion and, after the layer, with half of it painted away: it "
                "speaks of measured frequencies alone, and the rest of a small lesion was guessed (1)",
                "says what is guaranteed, agreement with what was measured, and what is not, everything else; names a "
                "limit, such as the inverse crime, one coil, deformations of one average brain, one lesion (1)",
            ),
        ),
    ),
)
progress = LAB.progress
