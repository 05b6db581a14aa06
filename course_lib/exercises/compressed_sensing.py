"""The exercises of module 02: compressed sensing, from k-space to sparse recovery and a lesion study."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch

from course_lib.exercises.calls import Arguments
from course_lib.exercises.exercise import Exercise, Mistake, Property
from course_lib.exercises.lab import Lab, OpenQuestion

SHAPES = ((12, 20), (9, 14), (11, 7))  # even and odd sides, not square: no two conventions of centring agree on all
COUNTS = (2, 1, 3)
SIDES = (-2, -1)
SHIFT, UNSHIFT = torch.fft.fftshift, torch.fft.ifftshift


# --- 1. undersampled k-space --------------------------------------------------------------------------


def _draw_scan(generator: torch.Generator, index: int) -> Arguments:
    """Images, real but for the second case, and a mask of whole columns or of single points."""
    shape = SHAPES[index]
    image = 0.5 + 0.3 * torch.randn(COUNTS[index], 1, *shape, generator=generator)
    if index == 1:
        image = torch.complex(image, 0.3 * torch.randn(image.shape, generator=generator))
    mask = torch.rand(shape[1] if index == 0 else shape, generator=generator) < 0.45
    centre = (slice(shape[0] // 2 - 1, shape[0] // 2 + 2), slice(shape[1] // 2 - 1, shape[1] // 2 + 2))
    mask = mask.expand(shape).clone()
    mask[centre if index else centre[1:] * 2] |= index > 0
    mask[:, shape[1] // 2] |= index == 0
    return image, mask


def _unmoved(x, dim):
    return x


def _all_dims(x, dim):
    return SHIFT(x)


def _all_dims_back(x, dim):
    return UNSHIFT(x)


def _transformed(x, transform=torch.fft.fft2, before=UNSHIFT, after=SHIFT, norm="ortho"):
    """Shift, transform, shift: centred and orthonormal as it stands, and every mistake with another choice."""
    return after(transform(before(x, dim=SIDES), norm=norm), dim=SIDES)


def _undersample(image, mask):
    """The lab's reference: the centre to [0, 0], the orthonormal DFT, zero frequency to the centre, the mask."""
    moved = torch.fft.ifftshift(image, dim=(-2, -1))
    kspace = torch.fft.fftshift(torch.fft.fft2(moved, norm="ortho"), dim=(-2, -1))
    return kspace * mask


def _not_centred(image, mask):
    return _transformed(image, before=_unmoved, after=_unmoved) * mask


def _image_not_moved(image, mask, after=SHIFT):
    return _transformed(image, before=_unmoved, after=after) * mask


def _kspace_not_moved(image, mask, before=UNSHIFT):
    return _transformed(image, before=before, after=_unmoved) * mask


def _shifts_exchanged(image, mask, before=SHIFT, after=UNSHIFT):
    return _transformed(image, before=before, after=after) * mask


def _batch_moved(image, mask, before=UNSHIFT, after=_all_dims):
    return _transformed(image, before=before, after=after) * mask


def _batch_and_channel(x, dim, shift=UNSHIFT):
    return shift(x, dim=(0, 1))


def _dimensions_0_and_1(image, mask, after=_unmoved, norm="ortho"):
    return _transformed(image, before=_batch_and_channel, after=after, norm=norm) * mask


def _norm_forgotten(image, mask, before=UNSHIFT, norm="backward"):
    return _transformed(image, before=before, norm=norm) * mask


def _divided_by_n(image, mask):
    return _transformed(image, norm="forward") * mask


def _plain_transform(image, mask):
    return torch.fft.fft2(image) * mask


def _plain_transform_shifted(image, mask, after=SHIFT):
    return after(torch.fft.fft2(image), dim=SIDES) * mask


def _own_order(image, mask, before=_unmoved, move=UNSHIFT, norm="ortho"):
    return _transformed(image, before=before, after=_unmoved, norm=norm) * move(mask)


def _mask_moved(image, mask, move=UNSHIFT):
    return _transformed(image) * move(mask)


def _mask_on_image(image, mask):
    return _transformed(image * mask)


def _masked_image(image, mask):
    return image * mask


def _mask_inverted(image, mask):
    return _transformed(image) * ~mask


def _mask_forgotten(image, mask):
    return _transformed(image)


def _inverse_transform(image, mask):
    return _transformed(image, torch.fft.ifft2) * mask


def _kspace_magnitude(image, mask, before=UNSHIFT):
    return _transformed(image, before=before).abs() * mask


def _kspace_real_part(image, mask):
    return _transformed(image).real * mask


def _list_of_samples(image, mask):
    return _transformed(image)[..., mask]


def _mask_as_index(image, mask):
    return _transformed(image)[mask]  # stops: the mask has two dimensions, k-space four


def _assigned_by_index(image, mask):
    kspace = _transformed(image)
    kspace[~mask] = 0  # stops, as above
    return kspace


def _along_one_side(image, mask):
    return _transformed(image, torch.fft.fft) * mask


def _along_one_side_alone(image, mask):
    return SHIFT(torch.fft.fft(UNSHIFT(image, dim=-1), norm="ortho"), dim=-1) * mask


def _over_the_batch(image, mask):
    return _transformed(image, torch.fft.fftn) * mask


def _shifted_along_one_side(image, mask, before=True):
    moved = torch.fft.ifftshift(image, dim=-1) if before else image
    return torch.fft.fftshift(torch.fft.fft2(moved, norm="ortho"), dim=-1) * mask


def _divided_by_density(image, mask):
    return _undersample(image, mask) / mask.float().mean()


def _half_kspace(image, mask):
    return torch.fft.rfft2(image) * mask  # stops: rfft2 leaves out columns


def _back_to_image(image, mask):
    return _transformed(_undersample(image, mask), torch.fft.ifft2)


def _twice_as_bright(image, mask):
    return [(image, mask), (2 * image, mask)]


def _zero_where_unsampled(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    mask = calls[0][1].numpy()
    outside = np.abs(np.where(mask, 0, values[0]))
    if outside.max() >= 1e-6:
        return f"{int((outside >= 1e-6).sum())} numbers outside the mask are not zero"
    if np.allclose(values[1], 2 * values[0], atol=1e-4):
        return None
    return f"an image twice as bright changed a measured point from {values[0].max():.3g} to {values[1].max():.3g}"


def _all_sampled(image, mask):
    return [(image, torch.ones_like(mask))]


def _energy_kept(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    before, after = float(calls[0][0].abs().square().sum()), float(np.sum(np.abs(values[0]) ** 2))
    if math.isclose(before, after, rel_tol=1e-3):
        return None
    return f"the mask is True everywhere, Σ|x|² is {before:.4g} and Σ|k|² is {after:.4g}"


def _point(like: torch.Tensor, right: int) -> torch.Tensor:
    """One image with a point `right` pixels to the right of the middle."""
    point = torch.zeros_like(like[:1])
    point[..., like.shape[-2] // 2, like.shape[-1] // 2 + right] = 1
    return point


def _point_and_constant(image, mask):
    return [(torch.cat([_point(image, right=1), torch.ones_like(image[:1])]), torch.ones_like(mask))]


def _is_wave(value: np.ndarray, periods: int, what: str) -> str | None:
    """None if `value` is a wave along the rows that is 1 in the middle, up to a factor: energy is not asked here."""
    height, width = value.shape
    wave = np.exp(periods * 2j * np.pi * (np.arange(width) - width // 2) / width)
    size = math.sqrt(float(np.mean(np.abs(value) ** 2)))
    if size < 1e-12:
        return f"{what}, and yours is zero everywhere"
    away = np.abs(value / size - wave)
    if away.max() < 1e-3:
        return None
    at = np.unravel_index(np.argmax(away), value.shape)
    yours = value[at] / size
    return f"{what}, up to a factor; at {list(map(int, at))} that is {wave[at[1]]:.3f}, and yours {yours:.3f}"


def _centred(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    height, width = calls[0][1].shape
    where = np.unravel_index(np.argmax(np.abs(values[0][1, 0])), (height, width))
    if where != (height // 2, width // 2):
        return f"a constant image of {height} × {width} has its zero frequency at {list(map(int, where))}"
    return _is_wave(values[0][0, 0], -1, "the point's k-space goes like exp(−2πi·v/width)")


undersample = Exercise(
    number=1,
    function="undersample",
    title="undersampled k-space",
    minutes=14,
    value_points=2,
    takes={
        "image": "(batch, 1, height, width), float32 or complex64",
        "mask": "bool (height, width): True where k-space is measured, zero frequency in the middle",
    },
    returns="a complex tensor of the shape of `image`, zero where the mask is False",
    draw=_draw_scan,
    reference=_undersample,
    answers=("course_lib.physics.fourier", "course_lib.physics.FourierSampling"),
    mistakes=(
        Mistake(
            _not_centred,
            "your k-space is not centred, and the mask is: put `ifftshift` on the image before `fft2`, and `fftshift` "
            "after it, both with dim=(-2, -1), the picture's sides (0 and 1 are batch and channel)",
        ),
        Mistake(
            _image_not_moved,
            "the `ifftshift` before `fft2` is missing: magnitudes are right, but the phase alternates from point to "
            "point, as if the image's centre were its corner",
            also=(partial(_image_not_moved, after=_all_dims),),
        ),
        Mistake(
            _kspace_not_moved,
            "the `fftshift` after `fft2` is missing: zero frequency lies at [0, 0], and your mask has it in the middle",
            also=(partial(_kspace_not_moved, before=_all_dims_back), partial(_kspace_not_moved, before=SHIFT)),
        ),
        Mistake(
            _shifts_exchanged,
            "right for even sides only: where a side is odd, `fftshift` and `ifftshift` differ; `ifftshift` belongs "
            "before `fft2` and `fftshift` after it",
            also=(
                partial(_shifts_exchanged, after=SHIFT),
                partial(_shifts_exchanged, before=UNSHIFT),
                partial(_shifts_exchanged, before=_all_dims, after=_all_dims_back),
            ),
        ),
        Mistake(
            _batch_moved,
            "your images of the batch change places: a shift without `dim` moves every dimension; write dim=(-2, -1)",
            also=(
                partial(_batch_moved, before=_all_dims_back, after=SHIFT),
                partial(_batch_moved, before=_all_dims, after=_all_dims),
            ),
        ),
        Mistake(
            _dimensions_0_and_1,
            "your shift moves the dimensions 0 and 1, which are batch and channel: the picture's sides are the last "
            "two, so write dim=(-2, -1) in both shifts",
            also=(
                partial(_dimensions_0_and_1, after=SHIFT),
                partial(_dimensions_0_and_1, norm="backward"),
                partial(_dimensions_0_and_1, after=SHIFT, norm="backward"),
            ),
        ),
        Mistake(
            _norm_forgotten,
            "your k-space is √(height·width) times too large: the orthonormal transform keeps the energy, "
            '`torch.fft.fft2(..., norm="ortho")`',
            also=(partial(_norm_forgotten, before=_all_dims_back),),
        ),
        Mistake(
            _divided_by_n,
            'your k-space is √(height·width) times too small: `norm="forward"` divides by the number of pixels, '
            '`norm="ortho"` by its root',
        ),
        Mistake(
            _plain_transform,
            "your k-space is neither centred nor orthonormal: `ifftshift` before `fft2`, `fftshift` after it, and "
            '`norm="ortho"` inside',
        ),
        Mistake(
            _plain_transform_shifted,
            "two things are missing: `ifftshift` on the image before `fft2` (both shifts with dim=(-2, -1)), and "
            '`norm="ortho"`',
            also=(partial(_plain_transform_shifted, after=_all_dims),),
        ),
        Mistake(
            _own_order,
            "you move the mask to the DFT's own order and leave k-space there: leave the mask, and move k-space by "
            "`fftshift` instead, so that zero frequency is in the middle",
            also=tuple(
                partial(_own_order, before=before, move=move, norm=norm)
                for before in (_unmoved, UNSHIFT)
                for move in (UNSHIFT, SHIFT)
                for norm in ("ortho", "backward")
            ),
        ),
        Mistake(
            _mask_moved,
            "your k-space is centred, and so is the mask as it comes: leave the mask where it is",
            also=(partial(_mask_moved, move=SHIFT),),
        ),
        Mistake(
            _mask_on_image,
            "your mask cuts pixels out of the image: a scanner leaves out frequencies, so transform first and mask "
            "the result",
        ),
        Mistake(_masked_image, "you mask pixels, and nothing is transformed: the mask belongs to k-space"),
        Mistake(_mask_inverted, "your mask is inverted: True marks what is measured, and that is kept"),
        Mistake(_mask_forgotten, "your k-space is complete: multiply it by the mask, so the rest becomes zero"),
        Mistake(
            _inverse_transform,
            "you use the inverse transform, which turns the sign of every frequency: k-space is `fft2` of the image",
        ),
        Mistake(
            _kspace_magnitude,
            "you give magnitudes: k-space is complex, and its phase says where things are; leave out `.abs()`",
            also=(partial(_kspace_magnitude, before=_unmoved),),
        ),
        Mistake(_kspace_real_part, "you drop the imaginary part: k-space is complex; leave out `.real`"),
        Mistake(
            _list_of_samples,
            "you give a list of the measured samples: keep the shape of the image, with zeros where nothing is "
            "measured, `kspace * mask`",
        ),
        Mistake(
            _mask_as_index,
            "the mask has two dimensions and k-space four, so it cannot be an index in front: `kspace * mask` lines up "
            "the last two by itself",
            also=(_assigned_by_index,),
        ),
        Mistake(
            _along_one_side,
            "you transform along rows alone: `torch.fft.fft` takes one dimension, `torch.fft.fft2` the last two",
            also=(_along_one_side_alone,),
        ),
        Mistake(
            _over_the_batch,
            "`fftn` transforms over the batch too, which mixes the images: `fft2` takes the last two dimensions",
        ),
        Mistake(
            _shifted_along_one_side,
            "your shifts move one dimension: both sides have a centre, so dim=(-2, -1)",
            also=(partial(_shifted_along_one_side, before=False),),
        ),
        Mistake(
            _divided_by_density,
            "you divide by the share of measured points: a scanner does not; keep what is measured as it is",
        ),
        Mistake(
            _half_kspace,
            "`rfft2` gives half of k-space, and takes no complex image: use `fft2`",
        ),
        Mistake(
            _back_to_image,
            "you go all the way back to an image: return k-space itself; the way back is the next exercise",
        ),
    ),
    properties=(
        Property(
            "zero where unsampled",
            "Where the mask is False k-space should be zero, and elsewhere be twice as large for an image twice as "
            "bright.",
            _twice_as_bright,
            _zero_where_unsampled,
        ),
        Property(
            "energy", "With every point measured, the energy of the image should be kept.", _all_sampled, _energy_kept
        ),
        Property(
            "centred",
            "A constant image should lie at zero frequency, in the middle, and a point one pixel to the right of the "
            "image's middle should make one wave in k-space.",
            _point_and_constant,
            _centred,
        ),
    ),
    hints=(
        "Three steps: the image's centre to [0, 0] (`ifftshift`), transform, zero frequency to the middle "
        "(`fftshift`).",
        'The energy is kept by `torch.fft.fft2(..., norm="ortho")`. With dim=(-2, -1) a shift moves the two sides of '
        "the picture, and leaves batch and channel where they are.",
        '`kspace = fftshift(fft2(ifftshift(image, dim=(-2, -1)), norm="ortho"), dim=(-2, -1))`, all from `torch.fft`, '
        "and then `kspace * mask`.",
    ),
)


# --- 2. the zero-filled image -------------------------------------------------------------------------


def _draw_kspace(generator: torch.Generator, index: int) -> Arguments:
    shape = SHAPES[index]
    kspace = torch.randn(COUNTS[index], 1, *shape, generator=generator, dtype=torch.complex64)
    return (kspace * (torch.rand(shape, generator=generator) < 0.5),)


_back = partial(_transformed, transform=torch.fft.ifft2)


def _zero_filled(kspace):
    """The lab's reference: the steps of exercise 1 backwards; zeros stand for what was not measured."""
    moved = torch.fft.ifftshift(kspace, dim=(-2, -1))
    return torch.fft.fftshift(torch.fft.ifft2(moved, norm="ortho"), dim=(-2, -1))


def _inverse_not_centred(kspace):
    return _back(kspace, before=_unmoved, after=_unmoved)


def _inverse_kspace_not_moved(kspace, after=SHIFT):
    return _back(kspace, before=_unmoved, after=after)


def _inverse_image_not_moved(kspace, before=UNSHIFT):
    return _back(kspace, before=before, after=_unmoved)


def _inverse_shifts_exchanged(kspace, before=SHIFT, after=UNSHIFT):
    return _back(kspace, before=before, after=after)


def _inverse_batch_moved(kspace, before=UNSHIFT, after=_all_dims):
    return _back(kspace, before=before, after=after)


def _inverse_norm_forgotten(kspace, before=UNSHIFT, norm="backward"):
    return _back(kspace, before=before, norm=norm)


def _inverse_not_scaled(kspace):
    return _back(kspace, norm="forward")


def _plain_inverse(kspace):
    return torch.fft.ifft2(kspace)


def _plain_inverse_shifted(kspace, after=SHIFT):
    return after(torch.fft.ifft2(kspace), dim=SIDES)


def _forward_again(kspace):
    return _transformed(kspace)


def _image_magnitude(kspace, before=UNSHIFT, after=SHIFT, norm="ortho"):
    return _back(kspace, before=before, after=after, norm=norm).abs()


def _image_real_part(kspace, before=UNSHIFT, after=SHIFT, norm="ortho"):
    return _back(kspace, before=before, after=after, norm=norm).real


def _divided_by_share(kspace):
    return _zero_filled(kspace) / (kspace != 0).float().mean()


def _scaled_to_one(kspace):
    image = _zero_filled(kspace)
    return image / image.abs().max()


def _inverse_along_one_side(kspace):
    return _back(kspace, transform=torch.fft.ifft)


def _inverse_over_the_batch(kspace):
    return _back(kspace, transform=torch.fft.ifftn)


def _kspace_conjugated(kspace):
    return _zero_filled(kspace.conj())


def _any_image(kspace: torch.Tensor) -> torch.Tensor:
    """Another complex image of that shape, without symmetry."""
    return kspace.roll((1, 2), dims=SIDES) * (1 + 0.5j) + 0.1


def _adjoint(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    y = calls[0][0]
    x = _any_image(y)
    left = np.vdot(_transformed(x).numpy(), y.numpy())
    right = np.vdot(x.numpy(), values[0])
    if abs(left - right) < 1e-3 * float(x.norm() * y.norm()):
        return None
    return f"⟨F x, y⟩ is {left:.4g} and ⟨x, zero_filled(y)⟩ is {right:.4g}"


def _energy_kept_back(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    before, after = float(calls[0][0].abs().square().sum()), float(np.sum(np.abs(values[0]) ** 2))
    if math.isclose(before, after, rel_tol=1e-3):
        return None
    return f"Σ|k|² is {before:.4g} and Σ|x|² is {after:.4g}"


def _two_points(kspace):
    return [(torch.cat([_point(kspace, right=0), _point(kspace, right=1)]),)]


def _one_wave(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    constant, wave = values[0][:, 0]
    told = _is_wave(constant, 0, "zero frequency alone gives a constant")
    return told or _is_wave(wave, +1, "the wave goes like exp(2πi·x/width)")


zero_filled = Exercise(
    number=2,
    function="zero_filled",
    title="the zero-filled image",
    minutes=10,
    value_points=2,
    takes={"kspace": "complex64 (batch, 1, height, width), centred, zero where nothing was measured"},
    returns="a complex tensor of the shape of `kspace`",
    draw=_draw_kspace,
    reference=_zero_filled,
    answers=(
        "course_lib.physics.inverse_fourier",
        "course_lib.physics.FourierSampling",
        "course_lib.classical.zero_filled",
    ),
    mistakes=(
        Mistake(
            _inverse_not_centred,
            "neither shift is there: zero frequency comes in the middle of `kspace`, so `ifftshift` before `ifft2`, "
            "and `fftshift` after it",
        ),
        Mistake(
            _inverse_kspace_not_moved,
            "the `ifftshift` before `ifft2` is missing: the magnitude is right, but neighbouring pixels have "
            "opposite phase (and on odd sides any phase)",
            also=(partial(_inverse_kspace_not_moved, after=_all_dims),),
        ),
        Mistake(
            _inverse_image_not_moved,
            "the `fftshift` after `ifft2` is missing: your image is cut in four, and its quarters are swapped",
            also=(
                partial(_inverse_image_not_moved, before=_all_dims_back),
                partial(_inverse_image_not_moved, before=SHIFT),
            ),
        ),
        Mistake(
            _inverse_shifts_exchanged,
            "right for even sides only: where a side is odd, `fftshift` and `ifftshift` differ; `ifftshift` belongs "
            "before `ifft2` and `fftshift` after it, also on the way back",
            also=(
                partial(_inverse_shifts_exchanged, after=SHIFT),
                partial(_inverse_shifts_exchanged, before=UNSHIFT),
                partial(_inverse_shifts_exchanged, before=_all_dims, after=_all_dims_back),
            ),
        ),
        Mistake(
            _inverse_batch_moved,
            "your images of the batch change places: a shift without `dim` moves every dimension; write dim=(-2, -1)",
            also=(
                partial(_inverse_batch_moved, before=_all_dims_back, after=SHIFT),
                partial(_inverse_batch_moved, before=_all_dims, after=_all_dims),
            ),
        ),
        Mistake(
            _inverse_norm_forgotten,
            "your image is √(height·width) times too dark: `ifft2` alone divides by the number of pixels; the "
            'orthonormal one is `norm="ortho"`, as in exercise 1',
            also=(partial(_inverse_norm_forgotten, before=_all_dims_back),),
        ),
        Mistake(
            _inverse_not_scaled,
            'your image is √(height·width) times too bright: `norm="forward"` leaves the inverse unscaled; use '
            '`norm="ortho"`',
        ),
        Mistake(
            _plain_inverse,
            "your inverse is neither centred nor orthonormal: `ifftshift` before `ifft2`, `fftshift` after it, and "
            '`norm="ortho"` inside',
        ),
        Mistake(
            _plain_inverse_shifted,
            'two things are missing: `ifftshift` before `ifft2` (both shifts with dim=(-2, -1)), and `norm="ortho"`',
            also=(partial(_plain_inverse_shifted, after=_all_dims),),
        ),
        Mistake(
            _forward_again,
            "you transform forward a second time, which turns the image round: the way back is `torch.fft.ifft2`",
        ),
        Mistake(
            _image_magnitude,
            "you give the magnitude: that is for looking; the adjoint is linear and its image complex, so leave "
            "out `.abs()`",
            also=(
                partial(_image_magnitude, before=_unmoved, after=_unmoved),
                partial(_image_magnitude, after=_unmoved),
                partial(_image_magnitude, norm="backward"),
                partial(_image_magnitude, before=_unmoved, after=_unmoved, norm="backward"),
            ),
        ),
        Mistake(
            _image_real_part,
            "you drop the imaginary part: undersampled k-space has no symmetry, so the image is complex; leave out "
            "`.real`",
            also=(
                partial(_image_real_part, before=_unmoved),
                partial(_image_real_part, before=_unmoved, after=_unmoved),
                partial(_image_real_part, norm="backward"),
                partial(_image_real_part, before=_unmoved, after=_unmoved, norm="backward"),
            ),
        ),
        Mistake(
            _divided_by_share,
            "you divide by the share of samples: that would make up for the missing ones on average, but it is not "
            "the adjoint, and it amplifies what was measured",
        ),
        Mistake(
            _scaled_to_one,
            "you scale the image to a largest value of 1: then it no longer follows from k-space by a linear map; "
            "leave it as it is",
        ),
        Mistake(
            _inverse_along_one_side,
            "you transform along rows alone: `torch.fft.ifft` takes one dimension, `torch.fft.ifft2` the last two",
        ),
        Mistake(
            _inverse_over_the_batch,
            "`ifftn` transforms over the batch too, which mixes the images: `ifft2` takes the last two dimensions",
        ),
        Mistake(
            _kspace_conjugated,
            "you conjugate once: the adjoint's conjugated entries are in `ifft2` already, which needs no `.conj()`; "
            "with `fft2` it takes two, one before it and one after",
        ),
    ),
    properties=(
        Property(
            "adjoint",
            "⟨F x, y⟩ should equal ⟨x, zero_filled(y)⟩ for all images x and k-spaces y, where F is the centred "
            "orthonormal transform.",
            lambda kspace: [(kspace,)],
            _adjoint,
        ),
        Property(
            "energy", "The image should have the energy of its k-space.", lambda kspace: [(kspace,)], _energy_kept_back
        ),
        Property(
            "centred",
            "K-space with its middle point alone should give a constant image, and with the point to the right of it "
            "one wave from left to right.",
            _two_points,
            _one_wave,
        ),
    ),
    hints=(
        "Three steps again, and no mask: unmeasured points are zeros already. Undo the last step of exercise 1 first.",
        'It ended with `fftshift`, so begin with `ifftshift`. Then `torch.fft.ifft2(..., norm="ortho")`, and last '
        "`fftshift`.",
        '`fftshift(ifft2(ifftshift(kspace, dim=(-2, -1)), norm="ortho"), dim=(-2, -1))`, all from `torch.fft`.',
    ),
)


# --- 3. the soft threshold ----------------------------------------------------------------------------


def _draw_coefficients(generator: torch.Generator, index: int) -> Arguments:
    """Coefficients on both sides of the threshold: complex, real, complex. None is zero: that is a property."""
    shape = ((4, 9), (30,), (2, 3, 5))[index]
    z = torch.randn(shape, generator=generator, dtype=torch.float32 if index == 1 else torch.complex64)
    return z, float(torch.rand((), generator=generator) * 0.35 + 0.35)


def _soft(z, threshold):
    """The lab's reference: the magnitude less the threshold, at least 0, with the phase of z."""
    return torch.sgn(z) * (z.abs() - threshold).clamp(min=0)


def _hard(z, threshold):
    return torch.where(z.abs() > threshold, z, torch.zeros_like(z))


def _parts_apart(z, threshold):
    if not z.is_complex():
        return _soft(z, threshold)
    return torch.complex(_soft(z.real, threshold), _soft(z.imag, threshold))


def _real_sign(z, threshold):
    return torch.sign(z) * (z.abs() - threshold).clamp(min=0)  # stops on complex numbers


def _complex_phase(z, threshold):
    return (z.abs() - threshold).clamp(min=0) * torch.exp(1j * z.angle())


def _two_relus(z, threshold):
    return torch.relu(z - threshold) - torch.relu(-z - threshold)


def _two_clamps(z, threshold):
    return (z - threshold).clamp(min=0) - (-z - threshold).clamp(min=0)


def _three_cases(z, threshold):
    middle = torch.where(z < -threshold, z + threshold, torch.zeros_like(z))
    return torch.where(z > threshold, z - threshold, middle)


def _compared(z, threshold, compare=torch.gt):
    compare(z, threshold)  # stops: complex numbers have no order; whatever follows is right for real ones
    return _soft(z, threshold)


def _real_part_compared(z, threshold):
    middle = torch.where(z.real < -threshold, z + threshold, torch.zeros_like(z))
    return torch.where(z.real > threshold, z - threshold, middle)


def _softshrink(z, threshold):
    return torch.nn.functional.softshrink(z, threshold)


def _maximum_of_tensor(z, threshold):
    return torch.sgn(z) * max(z.abs() - threshold, 0)  # stops: Python compares whole tensors


def _if_on_tensor(z, threshold):
    if z.abs() <= threshold:  # stops: one answer is asked of a whole tensor
        return torch.zeros_like(z)
    return z - threshold * torch.sgn(z)


def _maximum_over_rows(z, threshold):
    return torch.sgn(z) * torch.max(z.abs() - threshold, 0)  # stops: the 0 is taken for a dimension


def _maximum_with_number(z, threshold):
    return torch.sgn(z) * torch.maximum(z.abs() - threshold, 0)  # stops: 0 is no tensor


def _one_sided(z, threshold):
    return torch.relu(z - threshold)


def _one_sided_clamp(z, threshold):
    return (z - threshold).clamp(min=0)


def _not_clamped(z, threshold):
    return torch.sgn(z) * (z.abs() - threshold)


def _threshold_squared(z, threshold):
    return _soft(z, threshold**2)


def _threshold_halved(z, threshold):
    return _soft(z, threshold / 2)


def _threshold_doubled(z, threshold):
    return _soft(z, 2 * threshold)


def _lifted_to_threshold(z, threshold):
    return torch.sgn(z) * z.abs().clamp(min=threshold)


def _clamped_at_threshold(z, threshold):
    return torch.sgn(z) * (z.abs() - threshold).clamp(min=threshold)


def _share_kept(z, threshold):
    return (1 - threshold) * z


def _ridge(z, threshold):
    return z / (1 + threshold)


def _phase_lost(z, threshold):
    return (z.abs() - threshold).clamp(min=0)


def _cut_off(z, threshold):
    return torch.sgn(z) * z.abs().clamp(max=threshold)


def _small_ones_kept(z, threshold):
    return torch.where(z.abs() > threshold, torch.zeros_like(z), z)


def _threshold_added(z, threshold):
    return torch.sgn(z) * (z.abs() + threshold)


def _threshold_subtracted(z, threshold):
    return z - threshold


def _real_part_shrunk(z, threshold):
    return _soft(z.real, threshold)


def _real_part_of_shrunk(z, threshold):
    return _soft(z, threshold).real


def _large_ones_shrunk_only(z, threshold):
    return torch.where(z.abs() > threshold, torch.sgn(z) * (z.abs() - threshold), z)


def _with_zeros(z, threshold):
    z = z.clone()
    z.view(-1)[::3] = 0
    return [(z, threshold)]


def _zero_stays(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    there = np.abs(np.where(calls[0][0].numpy() == 0, values[0], 0)).max()
    return None if there == 0 else f"a zero became {there:.3g}"


def _turn(z: torch.Tensor) -> complex:
    return complex(math.cos(0.7), math.sin(0.7)) if z.is_complex() else -1.0


def _turned(z, threshold):
    return [(z, threshold), (_turn(z) * z, threshold)]


def _turns_alike(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    z, threshold = calls[0]
    if np.allclose(values[1], _turn(z) * values[0], atol=1e-5):
        return None
    how = "multiplied by exp(0.7i)" if z.is_complex() else "multiplied by −1"
    return (
        f"z was {how}, and the result differs from yours {how} by {np.abs(values[1] - _turn(z) * values[0]).max():.3g}"
    )


def _moved_by_threshold(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    z, threshold = calls[0][0].numpy(), calls[0][1]
    lost = np.abs(z) - np.abs(values[0])
    wanted = np.minimum(np.abs(z), threshold)
    if np.allclose(lost, wanted, atol=1e-5):
        return None
    worst = np.unravel_index(np.argmax(np.abs(lost - wanted)), z.shape)
    return f"with threshold {threshold:.2f}, |z| = {np.abs(z[worst]):.3f} became {np.abs(values[0][worst]):.3f}"


soft_threshold = Exercise(
    number=3,
    function="soft_threshold",
    title="the soft threshold",
    minutes=14,
    value_points=2,
    takes={
        "z": "real or complex tensor of any shape",
        "threshold": "a number greater than 0",
    },
    returns="a tensor of the shape and type of `z`",
    draw=_draw_coefficients,
    reference=_soft,
    answers=("course_lib.classical.soft_threshold",),
    mistakes=(
        Mistake(
            _hard,
            "that is the hard threshold: it keeps large values as they are; the soft one also takes the threshold off "
            "their magnitude",
        ),
        Mistake(
            _parts_apart,
            "you shrink real and imaginary part apart, which turns the phase: shrink the magnitude |z|",
        ),
        Mistake(
            _real_sign,
            "`torch.sign` knows no complex numbers: `torch.sgn` gives z / |z|, the phase, and ±1 for real numbers",
        ),
        Mistake(
            _two_relus,
            "right for real numbers, but complex ones cannot be compared with a threshold: work on the magnitude, "
            "`z.abs()`, and give it back its phase, `torch.sgn(z)`",
            also=(
                _two_clamps,
                _three_cases,
                *(partial(_compared, compare=compare) for compare in (torch.gt, torch.ge, torch.lt, torch.le)),
                _real_part_compared,
                _softshrink,
            ),
        ),
        Mistake(
            _complex_phase,
            "right for complex z, but real z come back complex: `torch.sgn(z)` is the phase of complex numbers and the "
            "sign of real ones",
        ),
        Mistake(
            _if_on_tensor,
            "Python's `if` and `max` ask for one yes or no, and z has many entries: `.clamp(min=0)` takes the larger "
            "one of each entry and 0, and `torch.where` chooses for each entry",
            also=(_maximum_of_tensor,),
        ),
        Mistake(
            _maximum_over_rows,
            "the larger one of each entry and 0 is `.clamp(min=0)`: `torch.max(x, 0)` looks along dimension 0, and "
            "`torch.maximum` wants two tensors",
            also=(_maximum_with_number,),
        ),
        Mistake(
            _one_sided,
            "your threshold works on one side: negative (and complex) numbers shrink too; work on the magnitude, "
            "`z.abs()`",
            also=(_one_sided_clamp,),
        ),
        Mistake(
            _not_clamped,
            "small values change their sign: |z| − threshold is negative there; `.clamp(min=0)` makes it zero",
        ),
        Mistake(_threshold_squared, "your threshold is squared: take off the threshold itself"),
        Mistake(
            _threshold_halved,
            "you take off half the threshold: that minimises (z − x)² + threshold·|x| without the ½; here it is "
            "½(z − x)² + threshold·|x|",
        ),
        Mistake(_threshold_doubled, "you take off the threshold twice: once is enough"),
        Mistake(
            _lifted_to_threshold,
            "you lift small values up to the threshold: they should become zero, and large ones lose the threshold",
            also=(_clamped_at_threshold,),
        ),
        Mistake(
            _share_kept,
            "you take off a share of every value, so nothing becomes zero: take off an amount, the threshold",
        ),
        Mistake(
            _ridge,
            "z / (1 + threshold) belongs to the squared norm (Tikhonov), which makes nothing zero: here it is |x|, "
            "which takes off an amount",
        ),
        Mistake(
            _phase_lost,
            "your result is the magnitude alone: give it back its phase, `torch.sgn(z)` times the magnitude",
        ),
        Mistake(
            _cut_off,
            "you keep what should be taken off, min(|z|, threshold): the soft threshold is the rest",
        ),
        Mistake(_small_ones_kept, "you keep the small values and drop the large ones: it is the other way round"),
        Mistake(_threshold_added, "you add the threshold to the magnitude, so values grow: subtract it"),
        Mistake(
            _threshold_subtracted,
            "you subtract the threshold from the value itself: subtract it from the magnitude, and stop at zero",
        ),
        Mistake(
            _real_part_shrunk,
            "you drop the imaginary part of a complex z: shrink |z|, and keep the phase",
            also=(_real_part_of_shrunk,),
        ),
        Mistake(
            _large_ones_shrunk_only,
            "large values shrink, but small ones stay as they are: below the threshold they become zero",
        ),
    ),
    properties=(
        Property(
            "zero stays zero",
            "A value of 0 has no phase (0 / 0), and should stay 0.",
            _with_zeros,
            _zero_stays,
        ),
        Property(
            "phase",
            "The threshold looks at the magnitude alone: z multiplied by a phase should give the result multiplied by "
            "it.",
            _turned,
            _turns_alike,
        ),
        Property(
            "amount",
            "Each magnitude should lose the threshold, or all of itself where it is smaller.",
            lambda z, threshold: [(z, threshold)],
            _moved_by_threshold,
        ),
    ),
    hints=(
        "Split z into its magnitude and its phase: z = |z| · (z / |z|). The threshold acts on the magnitude.",
        "The new magnitude is |z| − threshold, but not below zero: `.clamp(min=0)` takes care of that.",
        "`torch.sgn(z)` is z / |z| for real and complex numbers, and 0 at 0: `torch.sgn(z) * (z.abs() - threshold)"
        ".clamp(min=0)`.",
    ),
)


# --- 4. one step of ISTA ------------------------------------------------------------------------------


def _draw_problem(generator: torch.Generator, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A, a sparse x that made y, and y; rows and columns differ."""
    rows, columns = ((8, 14), (12, 7), (6, 10))[index]
    A = torch.randn(rows, columns, generator=generator) / rows**0.5
    x = torch.randn(columns, generator=generator) * (torch.rand(columns, generator=generator) < 0.6)
    return A, x, A @ x + 0.1 * torch.randn(rows, generator=generator)


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return float(torch.rand((), generator=generator)) * (high - low) + low


def _draw_step(generator: torch.Generator, index: int) -> Arguments:
    A, x, y = _draw_problem(generator, index)
    x = x + 0.4 * torch.randn(x.shape, generator=generator)
    return x, A, y, _uniform(generator, 0.2, 0.4), _uniform(generator, 0.4, 0.8)


def _gradient(x, A, y):
    return A.T @ (A @ x - y)


def _ista_step(x, A, y, step, weight):
    """The lab's reference: a step down the gradient, then the proximal operator of step·weight·‖x‖₁."""
    return _soft(x - step * _gradient(x, A, y), step * weight)


def _threshold_is_weight(x, A, y, step, weight):
    return _soft(x - step * _gradient(x, A, y), weight)


def _threshold_is_step(x, A, y, step, weight):
    return _soft(x - step * _gradient(x, A, y), step)


def _threshold_divided(x, A, y, step, weight):
    return _soft(x - step * _gradient(x, A, y), weight / step)


def _threshold_half(x, A, y, step, weight):
    return _soft(x - step * _gradient(x, A, y), step * weight / 2)


def _roles_exchanged(x, A, y, step, weight):
    return _soft(x - weight * _gradient(x, A, y), step)


def _weight_for_step(x, A, y, step, weight, threshold_too=False):
    return _soft(x - weight * _gradient(x, A, y), weight if threshold_too else step * weight)


def _product_in_both(x, A, y, step, weight):
    return _soft(x - step * weight * _gradient(x, A, y), step * weight)


def _step_squared(x, A, y, step, weight):
    return _soft(x - step * _gradient(x, A, y), step**2 * weight)


def _threshold_is_step_squared(x, A, y, step, weight):
    return _soft(x - step * _gradient(x, A, y), step**2)


def _gradient_step_squared(x, A, y, step, weight):
    return _soft(x - step**2 * _gradient(x, A, y), step * weight)


def _brackets_forgotten(x, A, y, step, weight):
    return _soft(x - step * A.T @ A @ x - y, step * weight)  # stops: y has an entry for each row


def _entries_for_product(x, A, y, step, weight):
    return _soft(x - step * (A.T * (A @ x - y)), step * weight)  # stops: a matrix is taken off x


def _uphill(x, A, y, step, weight):
    return _soft(x + step * _gradient(x, A, y), step * weight)


def _step_not_in_gradient(x, A, y, step, weight):
    return _soft(x - _gradient(x, A, y), step * weight)


def _step_nowhere(x, A, y, step, weight):
    return _soft(x - _gradient(x, A, y), weight)


def _threshold_first(x, A, y, step, weight):
    shrunk = _soft(x, step * weight)
    return shrunk - step * _gradient(shrunk, A, y)


def _threshold_first_gradient_at_x(x, A, y, step, weight):
    return _soft(x, step * weight) - step * _gradient(x, A, y)


def _threshold_on_the_step(x, A, y, step, weight):
    return x - _soft(step * _gradient(x, A, y), step * weight)


def _gradient_doubled(x, A, y, step, weight):
    return _soft(x - 2 * step * _gradient(x, A, y), step * weight)


def _gradient_of_mean(x, A, y, step, weight, factor=1):
    return _soft(x - factor * step * _gradient(x, A, y) / len(y), step * weight)


def _transpose_forgotten(x, A, y, step, weight):
    return _soft(x - step * (A @ (A @ x - y)), step * weight)  # stops unless A is square


def _transpose_on_the_right(x, A, y, step, weight):
    return _soft(x - step * ((A @ x - y) @ A.T), step * weight)


def _transpose_first(x, A, y, step, weight):
    return _soft(x - step * (A @ (A.T @ x - y)), step * weight)


def _no_threshold(x, A, y, step, weight):
    return x - step * _gradient(x, A, y)


def _no_gradient_step(x, A, y, step, weight):
    return _soft(x, step * weight)


def _hard_instead(x, A, y, step, weight):
    return _hard(x - step * _gradient(x, A, y), step * weight)


def _measurement_forgotten(x, A, y, step, weight):
    return _soft(x - step * (A.T @ (A @ x)), step * weight)


def _prediction_forgotten(x, A, y, step, weight):
    return _soft(x + step * (A.T @ y), step * weight)


def _start_forgotten(x, A, y, step, weight):
    return _soft(-step * _gradient(x, A, y), step * weight)


def _positive_only(x, A, y, step, weight):
    return torch.relu(x - step * _gradient(x, A, y) - step * weight)


def _ridge_step(x, A, y, step, weight):
    return (x - step * _gradient(x, A, y)) / (1 + step * weight)


def _subgradient_step(x, A, y, step, weight):
    return x - step * (_gradient(x, A, y) + weight * torch.sign(x))


def _step_not_clamped(x, A, y, step, weight):
    return _not_clamped(x - step * _gradient(x, A, y), step * weight)


def _gradient_alone(x, A, y, step, weight):
    return _gradient(x, A, y)


def _objective(x: np.ndarray, A: torch.Tensor, y: torch.Tensor, weight: float) -> float:
    """½‖A x − y‖² + weight·‖x‖₁"""
    x, A, y = np.asarray(x, np.float64), A.double().numpy(), y.double().numpy()
    return float(0.5 * np.sum((A @ x - y) ** 2) + weight * np.sum(np.abs(x)))


def _safe_step(A: torch.Tensor) -> float:
    return 0.95 / float(torch.linalg.matrix_norm(A, 2)) ** 2


def _steps_down(x, A, y, step, weight):
    return [(x, A, y, _safe_step(A), weight), (torch.zeros_like(x), A, y, _safe_step(A), weight / 10)]


def _descends(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    for (x, A, y, step, weight), value in zip(calls, values, strict=True):
        before, after = _objective(x.numpy(), A, y, weight), _objective(value, A, y, weight)
        if not after <= before * (1 + 1e-5):
            return f"with step = {step:.3g} ≤ 1/‖A‖² it rose from {before:.4g} to {after:.4g}"
    return None


def _at_the_minimum(x, A, y, step, weight):
    """With orthonormal columns Q the minimiser is known: the soft threshold of Qᵀy at the weight."""
    Q = torch.linalg.qr(A if len(A) > len(x) else A.T).Q
    y = torch.linspace(-1.5, 2.0, len(Q)) + A.sum() * 0.01
    return [(_soft(Q.T @ y, weight), Q, y, step, weight)]


def _stays_there(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    x, moved = calls[0][0].numpy(), values[0]
    if np.allclose(moved, x, atol=1e-4):
        return None
    return f"a step from the minimiser moved an entry by {np.abs(moved - x).max():.3g}"


def _around_largest_weight(x, A, y, step, weight):
    largest = float((A.T @ y).abs().max())
    zero = torch.zeros_like(x)
    return [(zero, A, y, step, 1.02 * largest), (zero, A, y, step, 0.9 * largest)]


def _leaves_zero(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    above, below = (float(np.abs(v).max()) for v in values)
    if above > 1e-6:
        return f"at a weight 2 % above it an entry is {above:.3g}"
    return None if below > 1e-6 else "at a weight 10 % below it all entries are still zero"


ista_step = Exercise(
    number=4,
    function="ista_step",
    title="one step of ISTA",
    minutes=10,
    value_points=2,
    takes={
        "x": "float32 (columns,): where the step starts",
        "A": "float32 (rows, columns): the forward matrix",
        "y": "float32 (rows,): the measurement",
        "step": "step size η > 0, a number",
        "weight": "λ > 0, a number",
    },
    returns="a real tensor of the shape of `x`",
    draw=_draw_step,
    reference=_ista_step,
    answers=("course_lib.classical.ista", "course_lib.classical.fista"),
    mistakes=(
        Mistake(
            _threshold_is_weight,
            "your threshold is λ: a step of size η asks for the threshold η·λ (decks 003 and 004 print prox_λR, which "
            "is right for η = 1 alone)",
        ),
        Mistake(_threshold_is_step, "your threshold is the step size alone: it should be `step * weight`"),
        Mistake(
            _roles_exchanged,
            "η and λ have changed places: the gradient is multiplied by `step`, and the threshold is `step * weight`",
            also=(_weight_for_step, partial(_weight_for_step, threshold_too=True)),
        ),
        Mistake(
            _product_in_both,
            "λ stands in the gradient step too: it belongs to ‖x‖₁, so `step` alone multiplies the gradient, and "
            "`step * weight` is the threshold",
        ),
        Mistake(
            _step_squared,
            "your step size is squared: it stands once before the gradient, and once in the threshold, `step * weight`",
            also=(_threshold_is_step_squared, _gradient_step_squared),
        ),
        Mistake(_threshold_divided, "your threshold is λ/η: a smaller step shrinks less, so it is η·λ"),
        Mistake(
            _threshold_half,
            "your threshold is ηλ/2: that belongs to ‖A x − y‖² without the ½; here the objective has the ½",
        ),
        Mistake(
            _uphill,
            "you step up the gradient: with the residual A x − y subtract step·Aᵀ(A x − y), with y − A x add it",
        ),
        Mistake(
            _step_not_in_gradient,
            "the gradient lacks the step size: x − step·Aᵀ(A x − y); only the threshold has it so far",
        ),
        Mistake(
            _step_nowhere,
            "the step size is not used: it multiplies the gradient, and the weight in the threshold",
        ),
        Mistake(
            _threshold_first,
            "you shrink before the gradient step: step first, and shrink what comes out",
            also=(_threshold_first_gradient_at_x,),
        ),
        Mistake(
            _threshold_on_the_step,
            "you shrink the gradient's step: it is the new point x − step·gradient that is shrunk",
        ),
        Mistake(
            _gradient_doubled,
            "your gradient is twice too large: the ½ before ‖A x − y‖² cancels the 2 of the square",
        ),
        Mistake(
            _gradient_of_mean,
            "your gradient is that of a mean over the measurements (as `mse_loss` has it): the objective has the sum, "
            "½‖A x − y‖²",
            also=(partial(_gradient_of_mean, factor=2),),
        ),
        Mistake(
            _transpose_forgotten,
            "the shapes do not fit: A takes a vector with an entry for each column, the residual has one for each row; "
            "back leads the transpose, `A.T @ residual`",
            also=(_transpose_on_the_right,),
        ),
        Mistake(
            _brackets_forgotten,
            "brackets are missing: y has an entry for each row of A, x one for each column, so first the residual "
            "`(A @ x - y)`, then `A.T @` all of it",
        ),
        Mistake(
            _entries_for_product,
            "`*` multiplies entry by entry and leaves a matrix: a matrix times a vector is `@`",
        ),
        Mistake(
            _transpose_first,
            "A and its transpose have changed places: forward is `A @ x`, back is `A.T @ residual`",
        ),
        Mistake(_no_threshold, "your step is right, but nothing is shrunk: that is gradient descent without λ"),
        Mistake(
            _no_gradient_step,
            "you shrink x where it is: the step down the gradient is missing, so the measurement plays no part",
        ),
        Mistake(
            _hard_instead,
            "you use the hard threshold: the one of ‖x‖₁ is soft, and takes the threshold off large values too",
        ),
        Mistake(_measurement_forgotten, "your gradient has Aᵀ A x alone: the measurement y is missing"),
        Mistake(_prediction_forgotten, "your gradient has −Aᵀ y alone: the prediction A x is missing"),
        Mistake(_start_forgotten, "you shrink the gradient's step alone: add it to x, where the step starts"),
        Mistake(
            _positive_only,
            "your x is never negative: that is the rule for x ≥ 0 (a ReLU); without it negative entries shrink towards "
            "zero as well",
        ),
        Mistake(
            _ridge_step,
            "you divide by 1 + ηλ: that belongs to the squared norm (Tikhonov); ‖x‖₁ takes an amount off",
        ),
        Mistake(
            _subgradient_step,
            "you step along the subgradient λ·sign(x): it never arrives at exact zeros; shrink by the soft threshold "
            "instead",
        ),
        Mistake(
            _step_not_clamped,
            "small entries change their sign: the soft threshold stops at zero",
        ),
        Mistake(_gradient_alone, "you return the gradient: return the new x, after the step and the threshold"),
    ),
    properties=(
        Property(
            "descends",
            "With a step of at most 1/‖A‖² the objective ½‖A x − y‖² + λ‖x‖₁ should not rise.",
            _steps_down,
            _descends,
        ),
        Property(
            "stays at the minimum",
            "At the minimiser a step should change nothing, whatever its size.",
            _at_the_minimum,
            _stays_there,
        ),
        Property(
            "largest weight",
            "From zero, a step should stay at zero if and only if λ is at least the largest entry of |Aᵀy|.",
            _around_largest_weight,
            _leaves_zero,
        ),
    ),
    hints=(
        "Two moves: first down the gradient of ½‖A x − y‖², then shrink with your `soft_threshold`.",
        "The gradient is Aᵀ(A x − y), in code `A.T @ (A @ x - y)`.",
        "`soft_threshold(x - step * gradient, step * weight)`: the step size stands in both places.",
    ),
    tolerance=1e-3,
)


# --- 5. FISTA -----------------------------------------------------------------------------------------


def _draw_iteration(generator: torch.Generator, index: int) -> Arguments:
    A, _, y = _draw_problem(generator, index)
    weight = _uniform(generator, 0.05, 0.15) * float((A.T @ y).abs().max())
    return A, y, _safe_step(A) * _uniform(generator, 0.3, 0.5), weight, (6, 9, 7)[index]


def _next_t(t):
    return (1 + math.sqrt(1 + 4 * t**2)) / 2


def _fista(A, y, step, weight, iterations):
    """The lab's reference (Beck and Teboulle 2009): ISTA from a point that runs ahead."""
    x = z = torch.zeros_like(A[0])
    t = 1.0
    for _ in range(iterations):
        x_new = _ista_step(z, A, y, step, weight)
        t_new = (1 + math.sqrt(1 + 4 * t**2)) / 2
        z = x_new + (t - 1) / t_new * (x_new - x)
        x, t = x_new, t_new
    return x


def _run_fista(A, y, step, weight, iterations, *, move=_ista_step, momentum=None, following=_next_t, t=1.0, start=None):
    """`_fista` with other parts, for the mistakes. Gives x and the extrapolated z.

    move: what makes the new x from z; momentum: the factor from t, the next t and the iteration's number from 1;
    following: the next t; t: the first one; start: the first x.
    """
    x = z = torch.zeros_like(A[0]) if start is None else start
    for k in range(1, iterations + 1):
        x_new = move(z, A, y, step, weight)
        t_new = following(t)
        factor = (t - 1) / t_new if momentum is None else momentum(t, t_new, k)
        z = x_new + factor * (x_new - x)
        x, t = x_new, t_new
    return x, z


def _gives_extrapolated(*problem):
    return _run_fista(*problem)[1]


def _no_momentum(*problem):
    return _run_fista(*problem, momentum=lambda t, t_new, k: 0.0)[0]


def _momentum_by_old_t(*problem):
    return _run_fista(*problem, momentum=lambda t, t_new, k: (t - 1) / t)[0]


def _momentum_by_new_t(*problem):
    return _run_fista(*problem, momentum=lambda t, t_new, k: (t_new - 1) / t_new)[0]


def _momentum_without_minus_one(*problem):
    return _run_fista(*problem, momentum=lambda t, t_new, k: t / t_new)[0]


def _momentum_backwards(*problem):
    return _run_fista(*problem, momentum=lambda t, t_new, k: -(t - 1) / t_new)[0]


def _momentum_by_count(*problem, a=3):
    return _run_fista(*problem, momentum=lambda t, t_new, k: (k - 1) / (k - 1 + a))[0]


def _four_forgotten(*problem):
    return _run_fista(*problem, following=lambda t: (1 + math.sqrt(1 + t**2)) / 2)[0]


def _t_not_squared(*problem):
    return _run_fista(*problem, following=lambda t: (1 + math.sqrt(1 + 4 * t)) / 2)[0]


def _t_not_halved(*problem):
    return _run_fista(*problem, following=lambda t: 1 + math.sqrt(1 + 4 * t**2))[0]


def _half_of_the_root_alone(*problem):
    return _run_fista(*problem, following=lambda t: 1 + math.sqrt(1 + 4 * t**2) / 2)[0]


def _four_squared(*problem):
    return _run_fista(*problem, following=lambda t: (1 + math.sqrt(1 + (4 * t) ** 2)) / 2)[0]


def _momentum_over_sum(*problem, momentum=lambda t, t_new, k: (t_new - 1) / (t_new + 1)):
    return _run_fista(*problem, momentum=momentum)[0]


def _momentum_by_count_from_zero(*problem):
    return _run_fista(*problem, momentum=lambda t, t_new, k: (k - 2) / (k + 1))[0]


def _brackets_of_momentum(A, y, step, weight, iterations, ahead=lambda x, old, t, t_new: x + t - 1 / t_new * (x - old)):
    x = z = torch.zeros_like(A[0])
    t = 1.0
    for _ in range(iterations):
        x_new, t_new = _ista_step(z, A, y, step, weight), _next_t(t)
        z = ahead(x_new, x, t, t_new)
        x, t = x_new, t_new
    return x


def _x_never_moves(A, y, step, weight, iterations):
    return torch.zeros_like(A[0])


def _old_x_stays(A, y, step, weight, iterations):
    z = x_new = torch.zeros_like(A[0])
    t = 1.0
    for _ in range(iterations):
        x_new, t_new = _ista_step(z, A, y, step, weight), _next_t(t)
        z = x_new + (t - 1) / t_new * (x_new - torch.zeros_like(A[0]))
        t = t_new
    return x_new


def _one_iteration(A, y, step, weight, iterations):
    return _fista(A, y, step, weight, 1)


def _step_and_weight_exchanged(*problem):
    return _run_fista(*problem, move=lambda z, A, y, step, weight: _ista_step(z, A, y, weight, step))[0]


def _root_of_number(A, y, step, weight, iterations, t=1.0):
    return (1 + torch.sqrt(1 + 4 * t**2)) / 2  # stops: t is no tensor


def _t_from_zero(*problem):
    return _run_fista(*problem, t=0.0)[0]


def _one_too_few(A, y, step, weight, iterations):
    return _fista(A, y, step, weight, iterations - 1)


def _one_too_many(A, y, step, weight, iterations):
    return _fista(A, y, step, weight, iterations + 1)


def _gradient_at_x(A, y, step, weight, iterations, from_x=False):
    x = z = torch.zeros_like(A[0])
    t = 1.0
    for _ in range(iterations):
        place, base = (z, x) if from_x else (x, z)
        x_new = _soft(base - step * _gradient(place, A, y), step * weight)
        t_new = _next_t(t)
        z = x_new + (t - 1) / t_new * (x_new - x)
        x, t = x_new, t_new
    return x


def _differences_of_z(A, y, step, weight, iterations):
    x = z = torch.zeros_like(A[0])
    t = 1.0
    for _ in range(iterations):
        x = _ista_step(z, A, y, step, weight)
        t_new = _next_t(t)
        z = x + (t - 1) / t_new * (x - z)
        t = t_new
    return x


def _extrapolated_from_old_x(A, y, step, weight, iterations):
    x = z = torch.zeros_like(A[0])
    t = 1.0
    for _ in range(iterations):
        x_new = _ista_step(z, A, y, step, weight)
        t_new = _next_t(t)
        z = x + (t - 1) / t_new * (x_new - x)
        x, t = x_new, t_new
    return x


def _extrapolated_before_step(A, y, step, weight, iterations):
    x = before = torch.zeros_like(A[0])
    t = 1.0
    for _ in range(iterations):
        t_new = _next_t(t)
        z = x + (t - 1) / t_new * (x - before)
        before, x, t = x, _ista_step(z, A, y, step, weight), t_new
    return x


def _from_adjoint(A, y, step, weight, iterations, factor=1.0):
    return _run_fista(A, y, step, weight, iterations, start=factor * (A.T @ y))[0]


def _starts_at_adjoint_step(A, y, step, weight, iterations):
    return _from_adjoint(A, y, step, weight, iterations, factor=step)


def _always_lambda(*problem):
    return _run_fista(*problem, move=_threshold_is_weight)[0]


def _never_shrunk(*problem):
    return _run_fista(*problem, move=_no_threshold)[0]


def _always_doubled(*problem):
    return _run_fista(*problem, move=_gradient_doubled)[0]


def _always_uphill(*problem):
    return _run_fista(*problem, move=_uphill)[0]


def _shrunk_at_the_end(A, y, step, weight, iterations):
    return _soft(_run_fista(A, y, step, weight, iterations, move=_no_threshold)[0], step * weight)


def _starts_with_rows(A, y, step, weight, iterations):
    x = torch.zeros_like(y)
    return _soft(x - step * _gradient(x, A, y), step * weight)  # stops: x has an entry for each row


def _list_of_iterates(A, y, step, weight, iterations):
    return list(_every_iterate(A, y, step, weight, iterations))


def _every_iterate(A, y, step, weight, iterations):
    return torch.stack([_fista(A, y, step, weight, k) for k in range(1, min(iterations, 20) + 1)])


def _first_iteration(A, y, step, weight, iterations):
    return [(A, y, step, weight, 1)]


def _is_ista_step(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    A, y, step, weight, _ = calls[0]
    wanted = _ista_step(torch.zeros_like(A[0]), A, y, step, weight).numpy()
    if np.allclose(values[0], wanted, atol=1e-4 * np.abs(wanted).max() + 1e-6):
        return None
    return f"after one iteration an entry differs by {np.abs(values[0] - wanted).max():.3g}"


SLOW = 0.11  # a singular value at which plain ISTA breaks FISTA's bound


def _slow_problem(A, y, step, weight, iterations, enough=50):
    """Orthogonal columns, one long and the others short: the minimiser is known, and ISTA is slow."""
    Q = torch.linalg.qr(A if A.shape[0] >= A.shape[1] else A.T).Q
    lengths = torch.full((Q.shape[1],), SLOW)
    lengths[0] = 1.0
    z = torch.linspace(-0.3, 0.35, len(lengths)) + 0.01 * torch.tanh(y.mean())
    return [(Q * lengths, Q @ z, 0.99, 0.002, enough)]


def _slow_minimiser(A: torch.Tensor, y: torch.Tensor, weight: float) -> np.ndarray:
    lengths = A.square().sum(dim=0)
    return (_soft(A.T @ y, weight) / lengths).double().numpy()


def _under_the_bound(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    A, y, step, weight, iterations = calls[0]
    best = _slow_minimiser(A, y, weight)
    gap = _objective(values[0], A, y, weight) - _objective(best, A, y, weight)
    bound = 2 * float(np.sum(best**2)) / (step * (iterations + 1) ** 2)
    if gap <= bound * 1.001:
        return None
    return f"after {iterations} iterations the gap is {gap:.3g}, and the bound {bound:.3g}"


def _at_the_end(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    A, y, _, weight, iterations = calls[0]
    best = _slow_minimiser(A, y, weight)
    if np.allclose(values[0], best, atol=0.05 * np.abs(best).max()):
        return None
    return f"after {iterations} iterations an entry is {np.abs(values[0] - best).max():.3g} away from it"


fista = Exercise(
    number=5,
    function="fista",
    title="FISTA",
    minutes=16,
    value_points=2,
    takes={
        "A": "float32 (rows, columns): the forward matrix",
        "y": "float32 (rows,): the measurement",
        "step": "step size η > 0, at most 1/‖A‖², a number",
        "weight": "λ > 0, a number",
        "iterations": "K ≥ 1, a whole number",
    },
    returns="a real tensor of shape (columns,): the last iterate x_K",
    draw=_draw_iteration,
    reference=_fista,
    answers=("course_lib.classical.fista", "course_lib.classical.ista"),
    mistakes=(
        Mistake(
            _gives_extrapolated,
            "you return the extrapolated point z: it is where the next step starts; return the last x",
        ),
        Mistake(
            _no_momentum,
            "that is ISTA, without momentum: z must run ahead of x. Is t still 1, or x already overwritten when x_new "
            "− x is taken?",
        ),
        Mistake(_momentum_by_old_t, "your momentum is (t − 1)/t: below the line belongs the next t, (t_k − 1)/t_{k+1}"),
        Mistake(
            _momentum_by_new_t,
            "your momentum is (t_{k+1} − 1)/t_{k+1}: t is updated too early; above the line belongs the old t, t_k − 1",
        ),
        Mistake(
            _momentum_without_minus_one,
            "your momentum is t_k/t_{k+1}, which equals (t_{k+1} − 1)/t_k: above the line belongs the old t less one, "
            "t_k − 1, below it the new t",
        ),
        Mistake(
            _momentum_backwards,
            "z runs backwards: from x_new on in the direction from the old x to the new one, + β·(x_new − x)",
        ),
        Mistake(
            _momentum_by_count,
            "your momentum counts iterations, as (k − 1)/(k + 2) does: that works as well, but here it is "
            "(t_k − 1)/t_{k+1}",
            also=(partial(_momentum_by_count, a=2), partial(_momentum_by_count, a=4)),
        ),
        Mistake(
            _momentum_by_count_from_zero,
            "your momentum counts iterations from 0, so the first one is (0 − 1)/(0 + 2) and runs backwards: here it "
            "is (t_k − 1)/t_{k+1}, and the first one is 0",
        ),
        Mistake(
            _momentum_over_sum,
            "your momentum has (t + 1) below the line: there belongs the next t itself, (t_k − 1)/t_{k+1}",
            also=(
                partial(_momentum_over_sum, momentum=lambda t, t_new, k: (t - 1) / (t + 1)),
                partial(_momentum_over_sum, momentum=lambda t, t_new, k: (t - 1) / (t_new + 1)),
            ),
        ),
        Mistake(
            _brackets_of_momentum,
            "brackets are missing in the momentum: / and * come before + and −, so write "
            "`x_new + (t - 1) / t_new * (x_new - x)`",
            also=(
                partial(_brackets_of_momentum, ahead=lambda x, old, t, t_new: x + (t - 1 / t_new) * (x - old)),
                partial(_brackets_of_momentum, ahead=lambda x, old, t, t_new: x + (t - 1) / t_new * x - old),
            ),
        ),
        Mistake(
            _x_never_moves,
            "you return the starting point, zeros: is `x = x_new` missing at the end of each iteration?",
        ),
        Mistake(
            _old_x_stays,
            "your old x stays at zero, so x_new − x is not the last move: end an iteration with `x, t = x_new, t_new`",
        ),
        Mistake(
            _one_iteration,
            "you give the result of one iteration, whatever `iterations` says: is the `return` inside the loop, or the "
            "loop missing?",
        ),
        Mistake(
            _step_and_weight_exchanged,
            "step and weight have changed places in your call: `ista_step(z, A, y, step, weight)`",
        ),
        Mistake(
            _root_of_number,
            "t is a plain number, and `torch.sqrt` takes tensors: use `math.sqrt`",
            also=(partial(_root_of_number, t=1),),
        ),
        Mistake(_four_forgotten, "the 4 is missing in the update: t_{k+1} = (1 + √(1 + 4t_k²)) / 2"),
        Mistake(_t_not_squared, "t is not squared under the root: t_{k+1} = (1 + √(1 + 4t_k²)) / 2"),
        Mistake(_four_squared, "the 4 is squared with t: under the root it is 1 + 4·t², in code `1 + 4 * t**2`"),
        Mistake(_t_not_halved, "the division by 2 is missing in the update: t_{k+1} = (1 + √(1 + 4t_k²)) / 2"),
        Mistake(
            _half_of_the_root_alone,
            "brackets are missing in the update, where you halve the root alone: t_{k+1} = (1 + √(1 + 4t_k²)) / 2",
        ),
        Mistake(
            _one_too_few,
            "one iteration is missing: `range(iterations)` counts them all, and t starts at 1 (a t that starts at 0 "
            "wastes the first one)",
            also=(_t_from_zero,),
        ),
        Mistake(_one_too_many, "you run one iteration too many: x_1 is the result of the first one"),
        Mistake(
            _gradient_at_x,
            "step and gradient start from different points: both start from the extrapolated z, as one ISTA step from "
            "z",
            also=(partial(_gradient_at_x, from_x=True),),
        ),
        Mistake(
            _differences_of_z,
            "your momentum comes from x_new − z: it is the last change of x, x_new − x",
        ),
        Mistake(
            _extrapolated_from_old_x,
            "z starts from the old x: it runs ahead of the new one, x_new + β·(x_new − x)",
        ),
        Mistake(
            _extrapolated_before_step,
            "your t runs one iteration ahead of x: the first momentum (t_1 − 1)/t_2 = 0 belongs to the end of the "
            "first iteration, the next one to the end of the second",
        ),
        Mistake(_from_adjoint, "you start from Aᵀy: start from zero, as the bound assumes"),
        Mistake(_starts_at_adjoint_step, "you start from step·Aᵀy: start from zero, the first step comes by itself"),
        Mistake(_always_lambda, "your threshold is λ: a step of size η asks for the threshold η·λ, as in exercise 4"),
        Mistake(_never_shrunk, "nothing is shrunk: each iteration ends with the soft threshold at `step * weight`"),
        Mistake(_shrunk_at_the_end, "you shrink once, at the end: the soft threshold belongs to each iteration"),
        Mistake(_always_doubled, "your gradient is twice too large: that of ½‖A x − y‖² is Aᵀ(A x − y), without a 2"),
        Mistake(_always_uphill, "you step up the gradient: subtract step·Aᵀ(A z − y)"),
        Mistake(
            _starts_with_rows,
            "the shapes do not fit: x has one entry for each column of A, `torch.zeros(A.shape[1])`, and the residual "
            "goes back by `A.T`",
        ),
        Mistake(_every_iterate, "you give all iterates: give the last one alone", also=(_list_of_iterates,)),
    ),
    properties=(
        Property(
            "first iteration",
            "The first iteration should be one ISTA step from zero, for there is no momentum yet.",
            _first_iteration,
            _is_ista_step,
        ),
        Property(
            "FISTA's bound",
            "The objective should exceed its minimum by at most 2‖x*‖² / (η(K + 1)²).",
            _slow_problem,
            _under_the_bound,
        ),
        Property(
            "minimum",
            "In the long run x should settle at the minimiser.",
            partial(_slow_problem, enough=300),
            _at_the_end,
        ),
    ),
    hints=(
        "Keep three things from one iteration to the next: x, the point z that runs ahead, and t. Both points start at "
        "zero, t at 1.",
        "An iteration: `x_new = ista_step(z, A, y, step, weight)`, then t_new, then "
        "`z = x_new + (t - 1) / t_new * (x_new - x)`.",
        "End each iteration with `x, t = x_new, t_new`, after z has used the old ones, and return x after the loop.",
    ),
    tolerance=1e-3,
)


# --- 6. Tikhonov --------------------------------------------------------------------------------------


def _draw_wide(generator: torch.Generator, index: int) -> Arguments:
    rows, columns = ((6, 10), (8, 13), (5, 12))[index]
    A = torch.randn(rows, columns, generator=generator) / rows**0.5
    return A, torch.randn(rows, generator=generator), _uniform(generator, 0.2, 0.6)


def _eye(A, side):
    return torch.eye(A.shape[side], dtype=A.dtype)


def _gram(A):
    return A @ A.T


def _tikhonov(A, y, weight):
    """The lab's reference: Aᵀ(AAᵀ + λI)⁻¹ y, with the small matrix of rows × rows (deck 004)."""
    return A.T @ torch.linalg.solve(A @ A.T + weight * torch.eye(len(A), dtype=A.dtype), y)


def _weight_squared(A, y, weight):
    return _tikhonov(A, y, weight**2)


def _weight_root(A, y, weight):
    return _tikhonov(A, y, weight**0.5)


def _weight_doubled(A, y, weight):
    return _tikhonov(A, y, 2 * weight)


def _weight_halved(A, y, weight):
    return _tikhonov(A, y, weight / 2)


def _weight_times_rows(A, y, weight):
    return _tikhonov(A, y, len(A) * weight)


def _weight_times_columns(A, y, weight):
    return _tikhonov(A, y, A.shape[1] * weight)


def _weight_forgotten(A, y, weight):
    return torch.linalg.pinv(A) @ y


def _weight_subtracted(A, y, weight):
    return _tikhonov(A, y, -weight)


def _weight_everywhere(A, y, weight):
    return A.T @ torch.linalg.solve(_gram(A) + weight, y)


def _way_back_forgotten(A, y, weight):
    return torch.linalg.solve(_gram(A) + weight * _eye(A, 0), y)


def _identity_of_columns(A, y, weight):
    return A.T @ torch.linalg.solve(_gram(A) + weight * _eye(A, 1), y)  # stops: the sizes differ


def _dual_with_primal_gram(A, y, weight):
    return A.T @ torch.linalg.solve(A.T @ A + weight * _eye(A, 1), y)  # stops: y has an entry for each row


def _dual_with_primal_gram_inverted(A, y, weight):
    return A.T @ torch.linalg.inv(A.T @ A + weight * _eye(A, 1)) @ y


def _dual_gram_with_primal_side(A, y, weight):
    return torch.linalg.solve(_gram(A) + weight * _eye(A, 0), A.T @ y)


def _primal_without_way_back(A, y, weight):
    return torch.linalg.inv(A.T @ A + weight * _eye(A, 1)) @ y


def _primal_with_rows(A, y, weight):
    return torch.linalg.solve(A.T @ A + weight * _eye(A, 0), A.T @ y)


def _not_transposed(A, y, weight):
    return A @ torch.linalg.solve(_gram(A) + weight * _eye(A, 0), y)


def _inverse_by_entries(A, y, weight):
    return A.T @ ((1 / (_gram(A) + weight * _eye(A, 0))) @ y)


def _product_by_entries(A, y, weight):
    return A.T * torch.linalg.solve(_gram(A) + weight * _eye(A, 0), y)


def _inverse_gram(A, weight):
    return torch.linalg.inv(_gram(A) + weight * _eye(A, 0))


def _measurement_by_entries(A, y, weight):
    return A.T @ _inverse_gram(A, weight) * y


def _inverse_times_y_by_entries(A, y, weight):
    return A.T @ (_inverse_gram(A, weight) * y)


def _primal_measurement_by_entries(A, y, weight):
    return torch.linalg.inv(A.T @ A + weight * _eye(A, 1)) @ A.T * y


def _inverse_by_entries_of_product(A, y, weight):
    return A.T * _inverse_gram(A, weight) * y  # stops: columns × rows meets rows × rows


def _gram_by_entries(A, y, weight):
    return A.T * torch.linalg.inv(A * A.T + weight * _eye(A, 0)) * y  # stops at A * A.T


def _not_inverted(A, y, weight):
    return A.T @ ((_gram(A) + weight * _eye(A, 0)) @ y)


def _adjoint_only(A, y, weight):
    return A.T @ y


def _rescaled_adjoint(A, y, weight):
    return A.T @ y / (1 + weight)


def _diagonal_only(A, y, weight):
    return A.T @ (y / (torch.diagonal(_gram(A)) + weight))


def _weight_after_inverse(A, y, weight):
    return A.T @ ((torch.linalg.inv(_gram(A)) + weight * _eye(A, 0)) @ y)


def _fitted_measurement(A, y, weight):
    return A @ _tikhonov(A, y, weight)


def _soft_of_pseudo_inverse(A, y, weight):
    return _soft(torch.linalg.pinv(A) @ y, weight)


def _normal_equations(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    (A, y, weight), x = calls[0], np.asarray(values[0], np.float64)
    A, y = A.double().numpy(), y.double().numpy()
    left, right = A.T @ (y - A @ x), weight * x
    if np.allclose(left, right, atol=2e-3 * np.abs(A.T @ y).max()):
        return None
    worst = int(np.argmax(np.abs(left - right)))
    return f"at entry {worst} Aᵀ(y − A x) is {left[worst]:.4g} and λx is {right[worst]:.4g}"


def _more_weight(A, y, weight):
    return [(A, y, weight), (A, y, 4 * weight)]


def _trades(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    A, y, weight = (part.double().numpy() if isinstance(part, torch.Tensor) else part for part in calls[0])
    size = [float(np.linalg.norm(x)) for x in values]
    misfit = [float(np.linalg.norm(A @ x - y)) for x in values]
    if size[1] < size[0] * 0.999 and misfit[1] > misfit[0] * 1.001:
        return None
    return (
        f"from λ = {weight:.2f} to {4 * weight:.2f} the size ‖x‖ went from {size[0]:.3g} to {size[1]:.3g}, the misfit "
        f"‖A x − y‖ from {misfit[0]:.3g} to {misfit[1]:.3g}"
    )


def _nothing_unseen(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    A, x = calls[0][0].double().numpy(), np.asarray(values[0], np.float64)
    unseen = x - np.linalg.pinv(A) @ (A @ x)
    share = float(np.linalg.norm(unseen) / max(np.linalg.norm(x), 1e-30))
    if share < 1e-3:
        return None
    asked = ": AᵀA alone has no inverse here, so is λI missing?" if share > 0.5 else ""
    return f"{share:.0%} of ‖x‖ lies where A x is zero{asked}"


tikhonov = Exercise(
    number=6,
    function="tikhonov",
    title="Tikhonov in closed form",
    minutes=10,
    value_points=2,
    takes={
        "A": "float32 (rows, columns), fewer rows than columns",
        "y": "float32 (rows,): the measurement",
        "weight": "λ > 0, a number",
    },
    returns="a real tensor of shape (columns,)",
    draw=_draw_wide,
    reference=_tikhonov,
    answers=("course_lib.classical.tikhonov_closed_form", "course_lib.classical.tikhonov"),
    mistakes=(
        Mistake(_weight_squared, "your λ is squared: in this objective the weight is λ itself"),
        Mistake(_weight_root, "you take the root of λ: in this objective the weight is λ itself"),
        Mistake(
            _weight_doubled,
            "your λ is twice too large: both squares of the objective, ½‖A x − y‖² + ½λ‖x‖², have their ½, so no 2 "
            "remains",
        ),
        Mistake(
            _weight_halved,
            "your λ is half of what it should be: both squares of the objective, ½‖A x − y‖² + ½λ‖x‖², have the same "
            "factor",
        ),
        Mistake(
            _weight_times_rows,
            "your λ is multiplied by the number of rows (or AAᵀ divided by it): the objective has sums, not means",
        ),
        Mistake(
            _weight_times_columns,
            "your λ is multiplied by the number of columns (or AAᵀ divided by it): the objective has sums, not means",
        ),
        Mistake(
            _weight_forgotten,
            "that is the pseudo-inverse, without λ: it fits y exactly, noise and all; add λI to AAᵀ",
        ),
        Mistake(_weight_subtracted, "you subtract λI: added, it lifts the small eigenvalues of AAᵀ away from zero"),
        Mistake(
            _weight_everywhere,
            "you add λ to every entry of AAᵀ: λI is λ on the diagonal alone, `weight * torch.eye(len(A))`",
        ),
        Mistake(
            _way_back_forgotten,
            "your result has one number for each measurement: the factor Aᵀ in front leads back to the unknowns",
        ),
        Mistake(
            _identity_of_columns,
            "the identity has another size than AAᵀ, which is rows × rows: `torch.eye(len(A))` (AᵀA would be columns × "
            "columns)",
        ),
        Mistake(
            _gram_by_entries,
            "the sizes do not fit: either a `*` stands where `@` belongs (`A * A.T` goes entry by entry), or AᵀA, "
            "columns × columns, meets an identity of rows × rows",
            also=(_primal_with_rows,),
        ),
        Mistake(
            _dual_with_primal_gram,
            "the shapes do not fit: either Aᵀ(AAᵀ + λI)⁻¹ y or (AᵀA + λI)⁻¹ Aᵀy; you mix the two",
            also=(_dual_with_primal_gram_inverted, _dual_gram_with_primal_side, _primal_without_way_back),
        ),
        Mistake(
            _not_transposed,
            "the shapes do not fit: the factor in front is Aᵀ, `A.T`, and you have A",
        ),
        Mistake(
            _inverse_by_entries,
            "you invert entry by entry (`1 /` or `** -1`): the matrix inverse is `torch.linalg.inv`, or better "
            "`torch.linalg.solve(matrix, y)`",
        ),
        Mistake(
            _product_by_entries,
            "`*` multiplies entry by entry: a matrix times a matrix or a vector is `@`",
            also=(
                _measurement_by_entries,
                _inverse_times_y_by_entries,
                _primal_measurement_by_entries,
                _inverse_by_entries_of_product,
            ),
        ),
        Mistake(_not_inverted, "you multiply by AAᵀ + λI: it is its inverse that belongs there, `torch.linalg.solve`"),
        Mistake(_adjoint_only, "that is the adjoint, Aᵀy: the factor (AAᵀ + λI)⁻¹ in between is missing"),
        Mistake(
            _rescaled_adjoint,
            "Aᵀy / (1 + λ) is right where AAᵀ = I, as in single-coil MRI: for another A solve with AAᵀ + λI",
        ),
        Mistake(
            _diagonal_only,
            "you divide by the diagonal of AAᵀ + λI: its rows overlap, so solve with the whole matrix",
        ),
        Mistake(_weight_after_inverse, "you add λI after inverting: first the sum AAᵀ + λI, then its inverse"),
        Mistake(_fitted_measurement, "you give A x, what x would measure: give x itself"),
        Mistake(
            _soft_of_pseudo_inverse,
            "you shrink by the soft threshold, which belongs to ‖x‖₁: the square ‖x‖² leads to a linear formula",
        ),
    ),
    properties=(
        Property(
            "nothing unseen",
            "x should have no part that A maps to zero: that part costs, and explains nothing.",
            lambda A, y, weight: [(A, y, weight)],
            _nothing_unseen,
        ),
        Property(
            "normal equations",
            "Where the objective is least its gradient is zero, so Aᵀ(y − A x) should equal λx.",
            lambda A, y, weight: [(A, y, weight)],
            _normal_equations,
        ),
        Property(
            "trade",
            "A larger λ should make x smaller and the misfit ‖A x − y‖ larger.",
            _more_weight,
            _trades,
        ),
    ),
    hints=(
        "Put x = Aᵀv into the system. With the identity both sides begin with Aᵀ, and what is left is a system for v.",
        "(AAᵀ + λI)v = y. `torch.linalg.solve(M, y)` is M⁻¹y without an inverse, and M is "
        "`A @ A.T + weight * torch.eye(len(A))`.",
        "`A.T @ torch.linalg.solve(A @ A.T + weight * torch.eye(len(A)), y)`.",
    ),
    tolerance=1e-3,
)


# --- 7. total variation -------------------------------------------------------------------------------


def _draw_images(generator: torch.Generator, index: int) -> Arguments:
    return (torch.rand(COUNTS[index], 1, *SHAPES[index], generator=generator),)


def _differences(image):
    """Down and to the right; zero at the last row and column."""
    down, right = torch.zeros_like(image), torch.zeros_like(image)
    down[..., :-1, :] = image[..., 1:, :] - image[..., :-1, :]
    right[..., :, :-1] = image[..., :, 1:] - image[..., :, :-1]
    return down, right


def _total(values):
    return values.sum(dim=(-3, -2, -1))


def _total_variation(image):
    """The lab's reference: Σ √(down² + right²), one number for each image."""
    return _total(torch.hypot(*_differences(image)))


def _anisotropic(image):
    down, right = _differences(image)
    return _total(down.abs() + right.abs())


def _round_the_border(image):
    return _total(torch.hypot(image.roll(-1, -2) - image, image.roll(-1, -1) - image))


def _round_the_border_anisotropic(image):
    return _total((image.roll(-1, -2) - image).abs() + (image.roll(-1, -1) - image).abs())


def _backward_round_the_border(image):
    return _total(torch.hypot(image - image.roll(1, -2), image - image.roll(1, -1)))


def _root_forgotten(image):
    down, right = _differences(image)
    return _total(down**2 + right**2)


def _root_of_sum(image):
    return _root_forgotten(image).sqrt()


def _mean_for_sum(image):
    return torch.hypot(*_differences(image)).mean(dim=(-3, -2, -1))


def _cut(image):
    return torch.hypot(image.diff(dim=-2)[..., :, :-1], image.diff(dim=-1)[..., :-1, :])


def _cut_other_corner(image):
    return torch.hypot(image.diff(dim=-2)[..., :, 1:], image.diff(dim=-1)[..., 1:, :])


def _border_cut(image, lengths=_cut):
    return _total(lengths(image))


def _border_cut_and_shape(image, lengths=_cut, dims=(0, 1, 2, 3)):
    return lengths(image).sum(dim=dims)


def _different_sizes(image):
    return _total((image.diff(dim=-2) ** 2 + image.diff(dim=-1) ** 2).sqrt())  # stops: the sizes differ


def _different_sizes_other_order(image):
    return _total((image.diff(dim=-1) ** 2 + image.diff(dim=-2) ** 2).sqrt())


def _one_direction(image, dim=-1):
    return _total(image.diff(dim=dim).abs())


def _down_twice(image):
    down, _ = _differences(image)
    return _total(torch.hypot(down, down))


def _right_twice(image):
    _, right = _differences(image)
    return _total(torch.hypot(right, right))


def _batch_and_channel_differences(image, join=torch.hypot):
    """The lines of the right answer with dim 0 and 1; the channel has one entry, and no difference."""
    between = torch.diff(image, dim=0, append=image[-1:])
    return _total(join(between, torch.zeros_like(image)))


def _batch_and_channel_rolled(image, way=-1):
    return _total((image.roll(way, 0) - image).abs())


def _zeros_at_unlike_ends(image, first=-1):
    """One difference with its zero in the first row or column, the other with it in the last."""
    down, right = _differences(image)
    return _total(torch.hypot(down, right.roll(1, -1)) if first == -1 else torch.hypot(down.roll(1, -2), right))


def _sum_over_batch(image):
    return _total_variation(image).sum()


def _anisotropic_over_batch(image):
    return _anisotropic(image).sum()


def _mean_over_batch(image):
    return _total_variation(image).mean()


def _channel_kept(image):
    return torch.hypot(*_differences(image)).sum(dim=(-2, -1))


def _not_summed(image):
    return torch.hypot(*_differences(image))


def _sum_over_rows_only(image):
    return torch.hypot(*_differences(image)).sum(dim=-1)


def _central(image):
    return _total(torch.hypot(*torch.gradient(image, dim=SIDES)))


def _backward(image):
    down, right = torch.zeros_like(image), torch.zeros_like(image)
    down[..., 1:, :] = image.diff(dim=-2)
    right[..., :, 1:] = image.diff(dim=-1)
    return _total(torch.hypot(down, right))


def _zero_beyond(image):
    padded = torch.nn.functional.pad(image, (0, 1, 0, 1))
    return _total(torch.hypot(padded.diff(dim=-2)[..., :, :-1], padded.diff(dim=-1)[..., :-1, :]))


def _signed(image):
    down, right = _differences(image)
    return _total(down + right)


def _sum_under_root(image):
    down, right = _differences(image)
    return _total((down + right).abs())


def _larger_of_both(image):
    down, right = _differences(image)
    return _total(torch.maximum(down.abs(), right.abs()))


def _shift_and_scale(image):
    return [(image,), (0.5 - 3 * image,)]


def _scales(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if np.allclose(values[1], 3 * values[0], rtol=1e-3):
        return None
    ratio = float(np.ravel(values[1])[0] / np.ravel(values[0])[0])
    return f"0.5 − 3·image has {ratio:.3g} times the total variation of the image"


def _edge_and_ramp(image):
    height, width = image.shape[-2:]
    edge, ramp = torch.zeros(1, 1, height, width), torch.zeros(1, 1, height, width)
    edge[..., width // 2 :] = 0.8
    ramp[..., 2:] = torch.linspace(0.8 / (width - 2), 0.8, width - 2)
    return [(edge,), (ramp,), (torch.full_like(edge, 0.5),)]


def _costs_its_length(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    wanted = 0.8 * calls[0][0].shape[-2]
    *values, of_constant = values
    cost = float(np.ravel(of_constant)[0])
    if not abs(cost) < 1e-3 * wanted:
        return f"a constant image costs {cost:.4g}, not 0: is a number added under the root? 1e-12 is small enough"
    for value, name in zip(values, ("a sharp edge", "a ramp"), strict=True):
        if not np.allclose(np.asarray(value), wanted, rtol=1e-3):
            cost = float(np.ravel(value)[0])
            return f"{name} from 0 to 0.8 over {calls[0][0].shape[-2]} rows costs {cost:.4g}, not {wanted:.4g}"
    return None


def _turned_over(image):
    return [(image,), (image.mT.contiguous(),)]


def _the_same(calls: list[Arguments], values: list[np.ndarray]) -> str | None:
    if np.allclose(values[0], values[1], rtol=1e-3):
        return None
    before, after = (float(np.ravel(v)[0]) for v in values)
    return f"it goes from {before:.4g} to {after:.4g}"


total_variation = Exercise(
    number=7,
    function="total_variation",
    title="total variation",
    minutes=16,
    value_points=2,
    takes={"image": "float32 (batch, 1, height, width)"},
    returns="a real tensor of shape (batch,): one number for each image",
    draw=_draw_images,
    reference=_total_variation,
    answers=("course_lib.classical.total_variation",),
    mistakes=(
        Mistake(
            _anisotropic,
            "yours is the anisotropic form, |down| + |right|, which favours level and upright edges: the isotropic one "
            "is √(down² + right²)",
        ),
        Mistake(
            _round_the_border,
            "your differences go round the border (as `roll` does): at the last row and column there is no neighbour, "
            "and the difference is zero",
            also=(_round_the_border_anisotropic, _backward_round_the_border),
        ),
        Mistake(
            _root_forgotten,
            "the root is missing: the sum of squares punishes a sharp edge more than a ramp; it is √(down² + right²) "
            "at each pixel",
        ),
        Mistake(
            _root_of_sum,
            "you take one root of the whole sum: the root belongs to each pixel, then comes the sum",
        ),
        Mistake(_mean_for_sum, "you take the mean over pixels: total variation is the sum"),
        Mistake(
            _border_cut,
            "you leave out the last row and column: there one difference is zero, and the other still counts; pad with "
            "a zero instead of cutting",
            also=(partial(_border_cut, lengths=_cut_other_corner),),
        ),
        Mistake(
            _border_cut_and_shape,
            "two things: you cut off the last row and column, where one difference still counts, so pad with a zero "
            "instead; and give one number for each image, `.sum(dim=(1, 2, 3))`",
            also=tuple(
                partial(_border_cut_and_shape, lengths=lengths, dims=dims)
                for lengths in (_cut, _cut_other_corner)
                for dims in ((0, 1, 2, 3), SIDES)
            ),
        ),
        Mistake(
            _different_sizes,
            "the two differences have different sizes, for each loses a row or a column: fill up with zeros, so that "
            "both have the image's shape",
            also=(_different_sizes_other_order,),
        ),
        Mistake(
            _one_direction,
            "you use one direction alone: edges along it cost nothing; take both, √(down² + right²)",
            also=(partial(_one_direction, dim=-2),),
        ),
        Mistake(
            _down_twice,
            "both of your differences go down, along dim=-2: the other one goes to the right, along dim=-1",
        ),
        Mistake(
            _right_twice,
            "both of your differences go to the right, along dim=-1: the other one goes down, along dim=-2",
        ),
        Mistake(
            _batch_and_channel_differences,
            "your differences run over the dimensions 0 and 1, batch and channel: the picture's are the last two, "
            "dim=-2 and dim=-1",
            also=(_batch_and_channel_rolled, partial(_batch_and_channel_rolled, way=1)),
        ),
        Mistake(
            _zeros_at_unlike_ends,
            "one of your differences has its zero at the beginning, the other at the end, so they do not belong to the "
            "same pixel: fill up both with a zero at the end",
            also=(partial(_zeros_at_unlike_ends, first=-2),),
        ),
        Mistake(
            _sum_over_batch,
            "you sum over the batch too: give one number for each image, `.sum(dim=(1, 2, 3))`",
            also=(_anisotropic_over_batch,),
        ),
        Mistake(_mean_over_batch, "you take the mean over the batch: give one number for each image"),
        Mistake(
            _channel_kept,
            "your numbers are right, but the channel is still there, (batch, 1): sum over the dimensions 1, 2 and 3",
        ),
        Mistake(_not_summed, "you give one value for each pixel: add them up over each image"),
        Mistake(
            _sum_over_rows_only,
            "you sum over one dimension: sum over channel, height and width, `.sum(dim=(1, 2, 3))`",
        ),
        Mistake(
            _central,
            "your differences are central (as `torch.gradient` takes them), and do not see a checkerboard: take the "
            "next pixel minus this one",
        ),
        Mistake(
            _backward,
            "your differences look back, with the zero in the first row and column: take the next pixel minus this "
            "one, with the zero in the last",
        ),
        Mistake(
            _zero_beyond,
            "you take zeros beyond the border, so a bright border counts as an edge: fill up the differences with "
            "zeros, not the image",
        ),
        Mistake(
            _signed,
            "you add signed differences, which cancel: square them, and take the root of the sum, at each pixel",
        ),
        Mistake(
            _sum_under_root,
            "you add the two differences before taking the magnitude: √(down² + right²), not |down + right|",
        ),
        Mistake(
            _larger_of_both,
            "you take the larger of both differences: the length of the gradient is √(down² + right²)",
        ),
    ),
    properties=(
        Property(
            "shift and scale",
            "Brightness should not matter, and contrast as a factor.",
            _shift_and_scale,
            _scales,
        ),
        Property(
            "an edge",
            "An edge should cost its length times its height, sharp or as a ramp; the image's border, and an image "
            "without edges, nothing.",
            _edge_and_ramp,
            _costs_its_length,
        ),
        Property(
            "both directions",
            "Exchanging rows and columns should change nothing.",
            _turned_over,
            _the_same,
        ),
    ),
    hints=(
        "For each pixel: the one below minus it, and the one to the right minus it. At the last row and column there "
        "is none, and the difference is zero.",
        "`torch.diff(image, dim=-2, append=image[..., -1:, :])` repeats the last row, so the last difference is zero "
        "and the shape stays.",
        "`(down**2 + right**2).sqrt().sum(dim=(1, 2, 3))`, with `right` like `down`, along dim=-1.",
    ),
)


LAB = Lab(
    module="02_compressed_sensing",
    title="02 Compressed sensing",
    exercises=(undersample, zero_filled, soft_threshold, ista_step, fista, tikhonov, total_variation),
    open_questions=(
        OpenQuestion(
            number=8,
            name="lesion_study",
            title="your lesion study",
            minutes=25,
            points=4,
            marking=(
                "reads both studies: with these lines the lesion is lost at R = 8, with points most of it stays; PSNR "
                "falls with R too, but not with λ, where a clean picture of 27 dB lacks the lesion, for that is 21 of "
                "36,864 pixels (1)",
                "says what λ does: a larger one removes aliasing and noise, and takes contrast off small things; the λ "
                "of the best PSNR is not that of the best contrast, and is chosen on other images (1)",
                "says what helps without the truth: other masks and a test lesion do, the misfit does not, since with "
                "and without the lesion it stays below the truth's own; a denser scan decides (1)",
                "names a limit, such as the inverse crime (same transform and grid), one coil, the smooth average "
                "anatomy, one lesion, few masks (1)",
            ),
        ),
    ),
)
progress = LAB.progress
