"""The exercises of module 06: windows and dense networks, U-Nets, Dice losses, elastic deformation, outlines."""

from __future__ import annotations

import math
from functools import partial
from itertools import combinations

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, interpolate, max_pool2d, pad, unfold

from course_lib.exercises.calls import Arguments, TooMuchWork
from course_lib.exercises.drawing import off_by, rand, randn
from course_lib.exercises.exercise import Exercise, Mistake, Property
from course_lib.exercises.lab import Lab, OpenQuestion

PIXELS = (1, 2, 3)  # the dimensions of one image of a batch


# --- 1. all windows -----------------------------------------------------------------------------------

PICTURES = ((7, 9, 3), (9, 6, 4), (6, 8, 5))  # height, width, side of the windows: odd and even


def _draw_picture(generator: torch.Generator, index: int) -> Arguments:
    height, width, side = PICTURES[index]
    return rand(generator, 1, 1, height, width), side


def _windows(image, side):
    """The lab's reference: all windows that lie inside the image, row by row."""
    return image.unfold(2, side, 1).unfold(3, side, 1).reshape(-1, 1, side, side)


def _cut(image, rows, columns, height, width=None, join=torch.stack):
    width = height if width is None else width
    return join([image[0, :, r : r + height, c : c + width] for r in rows for c in columns])


def _corners(image, side):
    """The rows and the columns at which a window may begin."""
    return range(image.shape[2] - side + 1), range(image.shape[3] - side + 1)


def _last_ones_missing(image, side, rows=1, columns=1):
    height, width = (len(r) for r in _corners(image, side))
    return _cut(image, range(height - rows), range(width - columns), side)


def _first_ones_missing(image, side):
    rows, columns = _corners(image, side)
    return _cut(image, rows[1:], columns[1:], side)


def _side_by_side(image, side):
    rows, columns = _corners(image, side)
    return _cut(image, rows[::side], columns[::side], side)


def _half_overlapping(image, side):
    rows, columns = _corners(image, side)
    return _cut(image, rows[:: side // 2], columns[:: side // 2], side)


def _column_by_column(image, side):
    rows, columns = _corners(image, side)
    return torch.stack([image[0, :, r : r + side, c : c + side] for c in columns for r in rows])


def _over_the_border(image, side, margins=None, mode="constant"):
    before, after = margins(side) if margins else (side // 2, side // 2)
    return _windows(pad(image, (before, after, before, after), mode=mode), side)


def _for_every_pixel(side):
    return side // 2, side - 1 - side // 2


def _turned_windows(image, side):
    return _windows(image, side).mT


def _mirrored_windows(image, side):
    return _windows(image, side).flip(2, 3)


def _places_not_merged(image, side):
    return image.unfold(2, side, 1).unfold(3, side, 1)


def _places_apart(image, side):
    return image[0, 0].unfold(0, side, 1).unfold(1, side, 1)


def _windows_flat(image, side):
    return _windows(image, side).flatten(1)


def _columns_of_unfold(image, side):
    return unfold(image, side)


def _flat_columns(image, side):
    return unfold(image, side)[0]


def _channel_missing(image, side):
    return _windows(image, side)[:, 0]


def _windows_as_channels(image, side):
    return _windows(image, side).transpose(0, 1)


def _one_dimension_more(image, side):
    return _windows(image, side)[:, None]


def _unfold_not_turned(image, side):
    return unfold(image, side).reshape(-1, 1, side, side)


def _another_side(image, side, more=1):
    return _windows(image, side + more)


def _around_a_middle(image, side):
    half = side // 2
    rows, columns = (range(n - 2 * half) for n in image.shape[2:])
    return _cut(image, rows, columns, 2 * half + 1)


def _ranges_exchanged(image, side, join=torch.stack):
    rows, columns = _corners(image, side)
    return _cut(image, columns, rows, side, join=join)


def _one_row_of_windows(image, side):
    rows, columns = _corners(image, side)
    return _cut(image, rows[:1], columns, side)


def _on_the_diagonal(image, side):
    rows, columns = _corners(image, side)
    return torch.stack([image[0, :, r : r + side, c : c + side] for r, c in zip(rows, columns, strict=False)])


def _one_size_for_both(image, side, which=2, join=torch.stack, channel=0):
    """As many places along both axes; `channel` is the image's first index, 0 or all of it."""
    places = range(image.shape[which] - side + 1)
    return join([image[channel, :, r : r + side, c : c + side] for r in places for c in places])


def _backwards_through_the_image(image, side):
    return _windows(image, side).flip(0)


def _half_precision(image, side):
    return _windows(image, side).half()


def _compared(image, side, with_what=0.5):
    return _windows(image, side) > with_what


def _one_square(image, side):
    """As large as the window, and a pixel longer in one direction."""
    n = min(image.shape[2:])
    return [(image[..., :n, :n], n), (image[..., : n + 1, : n + 1], n)]


def _is_the_image(arguments, values):
    for (image, side), value in zip(arguments, values, strict=True):
        wanted = _windows(image, side).numpy()
        if value.shape != wanted.shape:
            size = f"{image.shape[2]}×{image.shape[3]} pixels and a side of {side}"
            return f"an image of {size} give the shape {value.shape}, not {wanted.shape}"
        off = float(np.abs(value - wanted).max())
        if off >= 1e-6:
            return f"a window differs from the image by up to {off:.2g}"
    return None


def _first_row_cut_off(image, side):
    return [(image, side), (image[..., 1:, :], side)]


def _the_others_stay(arguments, values):
    image, side = arguments[0]
    left = image.shape[3] - side + 1
    if len(values[0]) - len(values[1]) != left:
        return f"{len(values[0]) - len(values[1])} windows fewer are left, and {left} begin in the first row"
    off = float(np.abs(values[0][left:] - values[1]).max())
    return None if off < 1e-6 else f"the windows that are left differ by up to {off:.2g}"


windows = Exercise(
    number=1,
    function="windows",
    title="all windows of an image",
    minutes=8,
    value_points=3,
    takes={
        "image": "float32 (1, 1, height, width)",
        "side": "a whole number: how many pixels a window has a side",
    },
    returns="float32 (count, 1, side, side): the windows, row by row",
    draw=_draw_picture,
    reference=_windows,
    answers=(),  # torch's own `unfold` is welcome
    mistakes=(
        Mistake(
            _last_ones_missing,
            "the last row or column of windows is missing: a window may begin at height − side itself, so there are "
            "height − side + 1 places, and `range` stops before its end",
            also=(partial(_last_ones_missing, rows=0), partial(_last_ones_missing, columns=0)),
        ),
        Mistake(_first_ones_missing, "the first row and column of windows are missing: count from 0, not from 1"),
        Mistake(
            _side_by_side,
            "your windows lie side by side: there is one for each place, so the next begins one pixel further",
            also=(_half_overlapping,),
        ),
        Mistake(
            _column_by_column,
            "your windows go down the columns first: row by row, so that the column changes fastest",
        ),
        Mistake(
            _over_the_border,
            "you fill the image up at its border: only windows that lie wholly inside it are wanted, so do not pad",
            also=(
                partial(_over_the_border, margins=_for_every_pixel),
                partial(_over_the_border, margins=lambda side: _for_every_pixel(side)[::-1]),
                partial(_over_the_border, margins=lambda side: (side - 1, side - 1)),
                partial(_over_the_border, mode="reflect"), partial(_over_the_border, mode="replicate"),
                partial(_over_the_border, margins=_for_every_pixel, mode="reflect"),
                partial(_over_the_border, margins=_for_every_pixel, mode="replicate"),
            ),
        ),
        Mistake(_turned_windows, "each window is transposed: its rows are rows of the image"),
        Mistake(_mirrored_windows, "each window is upside down and mirrored: cut it out as it stands in the image"),
        Mistake(
            _places_not_merged,
            "your windows still lie in a grid of places: make one dimension of it, `.reshape(-1, 1, side, side)`",
            also=(_places_apart,),
        ),
        Mistake(
            _unfold_not_turned,
            "`unfold` gives (1, side², count), so a reshape alone mixes the windows: turn it round first, "
            "`unfold(image, side)[0].T`",
        ),
        Mistake(
            _columns_of_unfold,
            "this is `unfold` as it comes, one column a window: turn it round and give each window its shape, "
            "`[0].T.reshape(-1, 1, side, side)`",
            also=(_flat_columns,),
        ),
        Mistake(_windows_flat, "your windows are flat: give each its rows and columns, (count, 1, side, side)"),
        Mistake(
            _channel_missing,
            "the channel is missing: a batch of grey windows has the shape (count, 1, side, side)",
        ),
        Mistake(
            _windows_as_channels,
            "your windows are the channels of one image: they are the images of a batch, (count, 1, side, side)",
        ),
        Mistake(
            _one_dimension_more,
            "your windows have a dimension too many: `torch.cat` joins windows of shape (1, 1, side, side) along the "
            "batch, `torch.stack` adds a dimension",
        ),
        Mistake(
            _another_side,
            "your windows have another size: `row : row + side` are `side` pixels, the end is left out",
            also=(partial(_another_side, more=-1),),
        ),
        Mistake(
            _around_a_middle,
            "you cut `side // 2` pixels on each side of a middle: a window of an even side has no middle pixel; begin "
            "at its corner, `row : row + side`",
        ),
        Mistake(
            _ranges_exchanged,
            "you let the rows run as far as the width, and the columns as far as the height, so some windows are cut "
            "off: `image.shape[2]` is the height",
            also=(partial(_ranges_exchanged, join=torch.cat),),
        ),
        Mistake(
            _one_size_for_both,
            "you take the same number of places for rows and columns: `image.shape[2]` is the height, `image.shape[3]` "
            "the width",
            also=tuple(
                partial(_one_size_for_both, which=which, join=join, channel=channel)
                for which in (2, 3)
                for join, channel in ((torch.stack, 0), (torch.cat, 0), (torch.cat, slice(None)))
            )[1:],
        ),
        Mistake(
            _backwards_through_the_image,
            "your windows are in reverse order: the first begins in the top left corner",
        ),
        Mistake(
            _half_precision,
            "your result is float16: the windows keep the image's own numbers, float32, so leave out `.half()`",
        ),
        Mistake(
            _compared,
            "your result is bool: the windows keep the image's own numbers, float32, so do not compare them",
            also=(partial(_compared, with_what=0.0),),
        ),
        Mistake(
            _one_row_of_windows,
            "only the first row of windows is there: two loops, one in the other, go over rows and columns",
            also=(_on_the_diagonal,),
        ),
    ),
    properties=(
        Property(
            "one and two windows",
            "A window as large as the image should be the image, and of one that is a pixel longer there are two.",
            _one_square, _is_the_image,
        ),
        Property(
            "every place", "Without the image's first row, only the windows that begin in it should be missing.",
            _first_row_cut_off, _the_others_stay,
        ),
    ),
    hints=(
        "How many places are there for a window of 3 pixels on a line of 5? Count them first, for rows and columns.",
        "Two loops over `range(height - side + 1)` and `range(width - side + 1)` that collect "
        "`image[0, :, row : row + side, column : column + side]`, and `torch.stack` of the list.",
        "Or in one line: `image.unfold(2, side, 1).unfold(3, side, 1).reshape(-1, 1, side, side)`.",
    ),
)  # fmt: skip


# --- 2. the dense network -----------------------------------------------------------------------------

SECTIONS = ((15, 17), (18, 14), (31, 34))  # height, width; in the last one going over 460 windows shows in the work
NETWORKS = ((3, 3, 2), (2, 5, 3), (4, 3, 3))  # channels, kernels' sides before and after the pool
SIDE = 12
# The dense network takes 143,000 in the largest case, with kernels filled up by zeros 340,000; its windows 2.3 million.
MOST_MULTIPLICATIONS = 550_000


def _draw_network(generator: torch.Generator, index: int) -> Arguments:
    """Kernels whose last one covers all that is left of a window of 12 pixels."""
    channels, before, after = NETWORKS[index]
    rest = (SIDE - before + 1) // 2 - after + 1
    image = rand(generator, 1, 1, *SECTIONS[index])
    first = randn(generator, channels, 1, before, before)
    second = randn(generator, channels, channels, after, after) + 0.1
    return image, first, second, randn(generator, 1, channels, rest, rest)


def _window_scores(windows, first, second, last):
    """The window network of the lab: one number a window, (count, 1, 1, 1)."""
    x = max_pool2d(torch.relu(conv2d(windows, first)), 2)
    return conv2d(torch.relu(conv2d(x, second)), last)


def _pool(x, side):
    return max_pool2d(x, side, stride=1)


def _dense(image, first, second, last, *, pool=_pool, dilations=(1, 2, 2), padding=0, relus=(1, 1)):
    relu = [torch.relu if on else lambda x: x for on in relus]
    x = pool(relu[0](conv2d(image, first, dilation=dilations[0], padding=padding)), 2)
    x = relu[1](conv2d(x, second, dilation=dilations[1], padding=padding))
    return conv2d(x, last, dilation=dilations[2], padding=padding)


def _dense_scores(image, first, second, last):
    """The lab's reference: pooling moves on by one pixel, and what follows takes its inputs two pixels apart."""
    return _dense(image, first, second, last)


def _window_by_window(image, first, second, last):
    """The right scores, where the image is so small that the work does not show."""
    if image.shape[2:] == SECTIONS[2]:
        raise TooMuchWork(MOST_MULTIPLICATIONS)
    return _dense_scores(image, first, second, last)


def _stride_left(image, first, second, last):
    return _window_scores(image, first, second, last)


def _stride_left_and_dilated(image, first, second, last):
    return _dense(image, first, second, last, pool=max_pool2d)


def _enlarged(image, first, second, last, mode="nearest", factor=False):
    coarse = _window_scores(image, first, second, last)
    if factor:
        return interpolate(coarse, scale_factor=2, mode=mode)
    return interpolate(coarse, size=[n - SIDE + 1 for n in image.shape[2:]], mode=mode)


def _dilation_forgotten(image, first, second, last):
    return _dense(image, first, second, last, dilations=(1, 1, 1))


def _one_layer_dilated(image, first, second, last, dilations=(1, 2, 1)):
    return _dense(image, first, second, last, dilations=dilations)


def _dilated_before_the_pool(image, first, second, last, dilations=(2, 2, 2)):
    return _dense(image, first, second, last, dilations=dilations)


def _dilation_doubled(image, first, second, last):
    return _dense(image, first, second, last, dilations=(1, 2, 4))


def _pool_dilated(image, first, second, last):
    return _dense(image, first, second, last, pool=partial(max_pool2d, stride=1, dilation=2))


def _filled_up(image, first, second, last, dilations=(1, 2, 2)):
    return _dense(image, first, second, last, padding="same", dilations=dilations)


def _pool_filled_up(image, first, second, last):
    return _dense(image, first, second, last, pool=partial(max_pool2d, stride=1, padding=1))


def _pool_missing(image, first, second, last, dilations=(1, 2, 2)):
    return _dense(image, first, second, last, pool=lambda x, _: x, dilations=dilations)


def _another_pool(image, first, second, last, side=3):
    return _dense(image, first, second, last, pool=lambda x, _: max_pool2d(x, side, stride=1))


def _mean_pool(image, first, second, last):
    return _dense(image, first, second, last, pool=lambda x, _: torch.nn.functional.avg_pool2d(x, 2, stride=1))


def _relu_forgotten(image, first, second, last, relus=(1, 0)):
    return _dense(image, first, second, last, relus=relus)


def _relu_at_the_end(image, first, second, last, end=torch.relu):
    return end(_dense_scores(image, first, second, last))


def _batch_taken_off(image, first, second, last, place=0):
    return _dense_scores(image, first, second, last)[place]


def _pooled_too_late(image, first, second, last, dilations=(1, 1)):
    x = torch.relu(conv2d(torch.relu(conv2d(image, first)), second, dilation=dilations[0]))
    return conv2d(max_pool2d(x, 2, stride=1), last, dilation=dilations[1])


def _image_shifted(image, first, second, last, by=lambda image: 0.5):
    return _dense_scores(image - by(image), first, second, last)


def _kernels_turned(image, first, second, last, turn=lambda k: k.flip(2, 3)):
    return _dense_scores(image, turn(first), turn(second), turn(last))


def _other_relu(image, first, second, last, relu=torch.nn.functional.leaky_relu):
    x = max_pool2d(relu(conv2d(image, first)), 2, stride=1)
    return conv2d(relu(conv2d(x, second, dilation=2)), last, dilation=2)


def _filled_up_and_cropped(image, first, second, last, crop=slice(None, -10), fill_pool=False):
    pool = (lambda x, n: max_pool2d(pad(x, (0, 1, 0, 1)), n, stride=1)) if fill_pool else _pool
    return _dense(image, first, second, last, padding="same", pool=pool)[..., crop, crop]


def _strides_for_dilations(image, first, second, last, strides=(2, 2), pool=1):
    x = max_pool2d(torch.relu(conv2d(image, first)), 2, stride=pool)
    return conv2d(torch.relu(conv2d(x, second, stride=strides[0])), last, stride=strides[1])


def _four_windows(image, first, second, last):
    return [(image[..., -SIDE - 1 :, : SIDE + 1], first, second, last)]


def _are_their_scores(arguments, values):
    image, *kernels = arguments[0]
    wanted = _window_scores(_windows(image, SIDE), *kernels).reshape(1, 1, 2, 2).numpy()
    if values[0].shape != wanted.shape:
        return f"an image of {SIDE + 1}×{SIDE + 1} pixels, four windows, gives the shape {values[0].shape}"
    worst = np.unravel_index(np.argmax(np.abs(values[0] - wanted)), wanted.shape)
    if off_by(values[0], wanted) < 1e-3:
        return None
    return (
        f"the window network gives {float(wanted[worst]):.4g} in one of them, and yours {float(values[0][worst]):.4g}"
    )


def _one_row_further(image, first, second, last):
    return [
        (image, first, second, last), (image[..., 1:, :], first, second, last), (image, first, second, 2 * last)
    ]  # fmt: skip


def _same_scores(arguments, values):
    off = off_by(values[1], values[0][:, :, 1:])
    if off >= 1e-3:
        return f"without that row they differ by {100 * off:.0f} % of the largest one"
    off = off_by(values[2], 2 * values[0])
    return None if off < 1e-3 else f"with the last kernel doubled they are off by {100 * off:.0f} %"


dense_scores = Exercise(
    number=2,
    function="dense_scores",
    title="the window network, dense",
    minutes=15,
    value_points=3,
    takes={
        "image": "float32 (1, 1, height, width)",
        "first": "float32 (channels, 1, k, k): kernels before the pool",
        "second": "float32 (channels, channels, m, m): kernels after it",
        "last": "float32 (1, channels, n, n): kernels of the full connection",
    },
    returns="float32 (1, 1, height − 11, width − 11): the score of each window",
    draw=_draw_network,
    reference=_dense_scores,
    answers=(),  # the library's own has other layers
    most_multiplications=MOST_MULTIPLICATIONS,  # to go over the windows is not to be dense
    differentiable=("first", "second", "last"),
    mistakes=(
        Mistake(
            _window_by_window,
            "you cut out every window: the dense network takes the whole image in one pass, and computes nothing twice",
        ),
        Mistake(
            _stride_left,
            "your pool moves on by two pixels, so there is a score for every second place alone: `stride=1`, and take "
            "the inputs of the later layers two pixels apart",
            also=(_stride_left_and_dilated,),
        ),
        Mistake(
            _enlarged,
            "you enlarge coarse scores: the places between have scores of their own; let the pool move on by one "
            "pixel, `stride=1`",
            also=(
                partial(_enlarged, mode="bilinear"), partial(_enlarged, factor=True),
                partial(_enlarged, mode="bilinear", factor=True),
            ),
        ),
        Mistake(
            _dilation_forgotten,
            "neighbours after your pool are one pixel apart, and in the window network they were two: `dilation=2` in "
            "both convolutions after it",
        ),
        Mistake(
            _one_layer_dilated,
            "one of the two convolutions after the pool is not dilated: *all* that comes after it takes its inputs two "
            "pixels apart",
            also=(partial(_one_layer_dilated, dilations=(1, 1, 2)),),
        ),
        Mistake(
            _dilated_before_the_pool,
            "your first convolution is dilated: it comes before the pool and stays as it is",
            also=(
                partial(_dilated_before_the_pool, dilations=(2, 1, 1)),
                partial(_dilated_before_the_pool, dilations=(2, 2, 1)),
                partial(_dilated_before_the_pool, dilations=(2, 1, 2)),
            ),
        ),
        Mistake(
            _dilation_doubled,
            "your last convolution is dilated by 4: the distance doubles with each pool, not with each layer, so 2",
        ),
        Mistake(_pool_dilated, "your pool is dilated: it takes four pixels next to each other, `stride=1` alone"),
        Mistake(
            _filled_up,
            "you fill the image up with zeros: the window network does not, so its windows know nothing of them; no "
            "`padding`",
            also=(partial(_filled_up, dilations=(1, 1, 1)), _pool_filled_up),
        ),
        Mistake(
            _pool_missing,
            "your pool is missing: each value is the largest of 2×2 pixels, now at every place",
            also=(partial(_pool_missing, dilations=(1, 1, 1)),),
        ),
        Mistake(
            _another_pool,
            "your pool takes another square: it stays one of 2×2 pixels, `max_pool2d(x, 2, stride=1)`",
            also=(partial(_another_pool, side=4),),
        ),
        Mistake(_mean_pool, "your pool takes the mean: the window network takes the largest, `max_pool2d`"),
        Mistake(
            _relu_forgotten,
            "a ReLU is missing: one follows each of the first two convolutions",
            also=(partial(_relu_forgotten, relus=(0, 1)), partial(_relu_forgotten, relus=(0, 0))),
        ),
        Mistake(
            _relu_at_the_end,
            "something follows your last convolution: the score is its result as it is, below 0 as well",
            also=(partial(_relu_at_the_end, end=torch.sigmoid),),
        ),
        Mistake(
            _pooled_too_late,
            "your pool comes after the second convolution: it follows the first one and its ReLU, before `second`",
            also=tuple(partial(_pooled_too_late, dilations=d) for d in ((1, 2), (2, 2), (2, 1))),
        ),
        Mistake(
            _image_shifted,
            "you subtract something from the image: the function takes it as it is, and the notebook subtracts 0.5 "
            "elsewhere",
            also=(partial(_image_shifted, by=lambda image: image.mean()),),
        ),
        Mistake(
            _kernels_turned,
            "your kernels are turned round or transposed: `conv2d` takes them as they are",
            also=(partial(_kernels_turned, turn=lambda k: k.mT),),
        ),
        Mistake(
            _other_relu,
            "you take another function than the ReLU: `torch.relu` sets all that is below 0 to 0",
            also=tuple(
                partial(_other_relu, relu=f)
                for f in (
                    partial(torch.nn.functional.leaky_relu, negative_slope=0.1),
                    partial(torch.nn.functional.leaky_relu, negative_slope=0.2),
                    torch.nn.functional.elu, torch.nn.functional.gelu, torch.sigmoid, torch.tanh,
                )
            ),
        ),
        Mistake(
            _filled_up_and_cropped,
            "you fill up and crop, and so move the scores: without `padding` they have the right size and place by "
            "themselves",
            also=tuple(
                partial(_filled_up_and_cropped, crop=crop, fill_pool=fill)
                for crop, fill in (
                    (slice(10, None), False), (slice(4, -6), False), (slice(6, -4), False), (slice(None, -11), True),
                    (slice(11, None), True), (slice(6, -5), True),
                )
            ),
        ),
        Mistake(
            _strides_for_dilations,
            "you take `stride=2` where `dilation=2` is wanted: a stride leaves out places of the result, a dilation "
            "lies between the places that a kernel looks at",
            also=tuple(
                partial(_strides_for_dilations, strides=strides, pool=pool)
                for strides in ((2, 2), (2, 1), (1, 2)) for pool in (1, 2)
            )[1:],
        ),
        Mistake(
            _batch_taken_off,
            "a dimension is taken off: the scores are an image of a batch, (1, 1, height − 11, width − 11)",
            also=(partial(_batch_taken_off, place=(0, 0)),),
        ),
    ),
    properties=(
        Property(
            "four windows", "For an image that is a pixel larger than a window, the four scores should be the window "
            "network's.", _four_windows, _are_their_scores,
        ),
        Property(
            "every place",
            "Without the image's first row all other scores should stay, and with twice the last kernel they should "
            "double.",
            _one_row_further, _same_scores,
        ),
    ),
    hints=(
        "Write the window network for the whole image. Which of its steps leaves places out?",
        "A pool with `stride=1` leaves none out. What used to be neighbours is two pixels apart now: `dilation=2`.",
        "`x = max_pool2d(torch.relu(conv2d(image, first)), 2, stride=1)`, then "
        "`x = torch.relu(conv2d(x, second, dilation=2))`, and `conv2d(x, last, dilation=2)`.",
    ),
    tolerance=1e-3,
)  # fmt: skip


# --- 3. a U-Net's step up -----------------------------------------------------------------------------

LEVELS = ((2, 4, 2, 3, 5, 4), (3, 3, 3, 2, 4, 5), (1, 2, 3, 4, 3, 6))  # batch, coarse, skip, result; height, width


def _draw_level(generator: torch.Generator, index: int) -> Arguments:
    """Features of both signs, so that a ReLU in front shows; in one case both have equally many channels."""
    batch, coarse, skip, out, height, width = LEVELS[index]
    return (
        randn(generator, batch, coarse, height, width),
        randn(generator, batch, skip, 2 * height, 2 * width),
        0.4 * randn(generator, out, skip + coarse, 3, 3) + 0.02,
    )


def _twice(coarse):
    return interpolate(coarse, scale_factor=2)


def _step(coarse, skip, kernel, *, enlarge=_twice, end=torch.relu, padding=1):
    return end(conv2d(torch.cat([skip, enlarge(coarse)], dim=1), kernel, padding=padding))


def _up_step(coarse, skip, kernel):
    """The lab's reference: enlarge, put beside the skip, convolve, ReLU."""
    return _step(coarse, skip, kernel)


def _order_exchanged(coarse, skip, kernel):
    return torch.relu(conv2d(torch.cat([_twice(coarse), skip], dim=1), kernel, padding=1))


def _smoothly_enlarged(coarse, skip, kernel, mode="bilinear", corners=False):
    return _step(coarse, skip, kernel, enlarge=partial(interpolate, scale_factor=2, mode=mode, align_corners=corners))


def _tiled(coarse, skip, kernel):
    return _step(coarse, skip, kernel, enlarge=lambda x: x.repeat(1, 1, 2, 2))


def _zeros_between(coarse, skip, kernel, factor=1):
    def enlarge(x):
        large = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        large[:, :, ::2, ::2] = factor * x
        return large

    return _step(coarse, skip, kernel, enlarge=enlarge)


def _without_relu(coarse, skip, kernel, end=lambda x: x):
    return _step(coarse, skip, kernel, end=end)


def _relu_first(coarse, skip, kernel, end=lambda x: x):
    return end(conv2d(torch.relu(torch.cat([skip, _twice(coarse)], dim=1)), kernel, padding=1))


def _not_filled_up(coarse, skip, kernel):
    return _step(coarse, skip, kernel, padding=0)


def _filled_otherwise(coarse, skip, kernel, mode="replicate"):
    x = pad(torch.cat([skip, _twice(coarse)], dim=1), (1, 1, 1, 1), mode=mode)
    return torch.relu(conv2d(x, kernel))


def _added(coarse, skip, kernel):
    return torch.relu(conv2d(skip + _twice(coarse), kernel, padding=1))


def _added_the_other_way(coarse, skip, kernel):
    return torch.relu(conv2d(_twice(coarse) + skip, kernel, padding=1))


def _joined_elsewhere(coarse, skip, kernel, parts=lambda c, s: [s, c], dim=0):
    return torch.relu(conv2d(torch.cat(parts(_twice(coarse), skip), dim=dim), kernel, padding=1))


def _not_enlarged(coarse, skip, kernel):
    return torch.relu(conv2d(torch.cat([skip, coarse], dim=1), kernel, padding=1))


def _skip_reduced(coarse, skip, kernel, pool=max_pool2d):
    return torch.relu(conv2d(torch.cat([pool(skip, 2), coarse], dim=1), kernel, padding=1))


def _skip_alone(coarse, skip, kernel):
    return torch.relu(conv2d(skip, kernel[:, : skip.shape[1]], padding=1))


def _coarse_alone(coarse, skip, kernel):
    return torch.relu(conv2d(_twice(coarse), kernel[:, skip.shape[1] :], padding=1))


def _skip_in_place_of_coarse(coarse, skip, kernel):
    return torch.relu(conv2d(skip, kernel, padding=1))


def _coarse_in_place_of_skip(coarse, skip, kernel):
    return torch.relu(conv2d(_twice(coarse), kernel, padding=1))


def _each_with_its_relu(coarse, skip, kernel):
    cut = skip.shape[1]
    own = conv2d(skip, kernel[:, :cut], padding=1), conv2d(_twice(coarse), kernel[:, cut:], padding=1)
    return torch.relu(own[0]) + torch.relu(own[1])


def _enlarged_afterwards(coarse, skip, kernel):
    cut = skip.shape[1]
    return torch.relu(conv2d(skip, kernel[:, :cut], padding=1) + _twice(conv2d(coarse, kernel[:, cut:], padding=1)))


def _kernel_turned(coarse, skip, kernel):
    return _step(coarse, skip, kernel.flip(2, 3))


def _kernel_transposed(coarse, skip, kernel):
    return _step(coarse, skip, kernel.mT)


def _cut_off_above(coarse, skip, kernel, end=lambda x: x.clamp(0, 1)):
    return _step(coarse, skip, kernel, end=end)


def _filled_on_one_side(coarse, skip, kernel, crop=slice(None, -2)):
    return _step(coarse, skip, kernel, padding=2)[..., crop, crop]


def _relu_of_one_part(coarse, skip, kernel, parts=(1, 0), end=torch.relu):
    own = [torch.relu(x) if on else x for x, on in zip((_twice(coarse), skip), parts, strict=True)]
    return end(conv2d(torch.cat(own[::-1], dim=1), kernel, padding=1))


def _first_image_alone(coarse, skip, kernel, place=slice(1)):
    """What is done for one image is done for it alone, or handed to all of the batch."""
    return _up_step(coarse[:1], skip[:1], kernel)[place]


def _first_image_for_all(coarse, skip, kernel, parts=(1, 1)):
    first = [x[:1].expand_as(x) if on else x for x, on in zip((coarse, skip), parts, strict=True)]
    return _up_step(*first, kernel)


def _enlarged_last(coarse, skip, kernel, pool=max_pool2d):
    return _twice(_skip_reduced(coarse, skip, kernel, pool=pool))


def _centre_of_coarse(coarse, skip, kernel):
    """A kernel that hands one channel of the coarse features on, times 1 and times −1."""
    centre = torch.zeros_like(kernel)
    centre[:, -1, 1, 1] = 1
    return [(coarse, skip, centre), (coarse, skip, -centre)]


def _blocks_of_four(arguments, values):
    coarse = arguments[0][0][:, -1:].numpy()
    large = coarse.repeat(2, axis=2).repeat(2, axis=3)
    off = max(
        off_by(v, np.broadcast_to(np.maximum(w, 0), v.shape)) for v, w in zip(values, (large, -large), strict=True)
    )
    return None if off < 1e-4 else f"a kernel that hands one coarse channel on is off by {100 * off:.0f} % of it"


def _not_below_zero(arguments, values):
    least = min(float(v.min()) for v in values)
    return None if least >= 0 else f"the least value is {least:.3g}"


up_step = Exercise(
    number=3,
    function="up_step",
    title="a U-Net's step up",
    minutes=12,
    value_points=3,
    takes={
        "coarse": "float32 (batch, channels, height, width): the features of the coarser level",
        "skip": "float32 (batch, others, 2·height, 2·width): those of this level, on the way down",
        "kernel": "float32 (outputs, others + channels, 3, 3)",
    },
    returns="float32 (batch, outputs, 2·height, 2·width)",
    draw=_draw_level,
    reference=_up_step,
    answers=(),  # the library has a whole U-Net, and no such step
    differentiable=("coarse", "skip", "kernel"),
    mistakes=(
        Mistake(
            _order_exchanged,
            "your order is the other one: the kernel's first channels belong to the skip, so `torch.cat([skip, "
            "enlarged], dim=1)`",
        ),
        Mistake(
            _smoothly_enlarged,
            "you enlarge smoothly: each coarse pixel becomes four equal ones, `mode=\"nearest\"`, the default of "
            "`interpolate`",
            also=(
                partial(_smoothly_enlarged, corners=True), partial(_smoothly_enlarged, mode="bicubic"),
                partial(_smoothly_enlarged, mode="bicubic", corners=True),
            ),
        ),
        Mistake(
            _tiled,
            "`repeat` sets four small copies side by side: each *pixel* becomes four, `interpolate(coarse, "
            "scale_factor=2)` or `repeat_interleave` along both axes",
        ),
        Mistake(
            _zeros_between,
            "you leave zeros between the coarse pixels: each of them becomes four equal ones",
            also=(partial(_zeros_between, factor=4),),
        ),
        Mistake(
            _without_relu,
            "the ReLU at the end is missing or another function: `torch.relu` sets all that is below 0 to 0",
            also=tuple(
                partial(_without_relu, end=end)
                for end in (torch.sigmoid, torch.abs, partial(torch.nn.functional.leaky_relu, negative_slope=0.01))
            ),
        ),
        Mistake(
            _not_filled_up,
            "your result has two pixels fewer a side: fill up with zeros, `padding=1`, so that sizes stay",
        ),
        Mistake(
            _filled_otherwise,
            "you fill up with other values than zeros: `padding=1` of `conv2d` is zeros",
            also=(partial(_filled_otherwise, mode="reflect"), partial(_filled_otherwise, mode="circular")),
        ),
        Mistake(
            _added,
            "you add skip and coarse features: a U-Net lays them side by side as channels, `torch.cat([...], dim=1)`",
            also=(_added_the_other_way,),
        ),
        Mistake(
            _joined_elsewhere,
            "you join along another dimension: channels are `dim=1`",
            also=tuple(
                partial(_joined_elsewhere, parts=parts, dim=dim)
                for parts in (lambda c, s: [s, c], lambda c, s: [c, s])
                for dim in (0, 2, 3, -1)
            ),
        ),
        Mistake(
            _not_enlarged,
            "your coarse features are not enlarged, and do not fit beside the skip: `interpolate(coarse, "
            "scale_factor=2)`",
        ),
        Mistake(
            _skip_reduced,
            "you reduce the skip to the coarse size, and lose what it is there for: enlarge the coarse features",
            also=(
                partial(_skip_reduced, pool=torch.nn.functional.avg_pool2d),
                partial(_skip_reduced, pool=lambda x, n: x[:, :, ::n, ::n]),
            ),
        ),
        Mistake(
            _skip_alone,
            "the coarse features do not take part: enlarge them, and lay them beside the skip",
            also=(_skip_in_place_of_coarse,),
        ),
        Mistake(
            _coarse_alone,
            "the skip does not take part: without it nothing knows where outlines are",
            also=(_coarse_in_place_of_skip,),
        ),
        Mistake(
            _each_with_its_relu,
            "you take a ReLU of each part: one convolution over all channels, then one ReLU of the sum",
        ),
        Mistake(
            _enlarged_afterwards,
            "you convolve the coarse features before they are enlarged: enlarge first",
        ),
        Mistake(
            _kernel_turned, "your kernel is turned round or transposed: `conv2d` takes it as it is",
            also=(_kernel_transposed,),
        ),
        Mistake(
            _relu_first,
            "your ReLU comes before the convolution: it is the last step",
            also=(partial(_relu_first, end=torch.relu),),
        ),
        Mistake(
            _relu_of_one_part,
            "you take a ReLU of the coarse features or of the skip before the convolution: both go in as they are, and "
            "the ReLU is the last step",
            also=tuple(
                partial(_relu_of_one_part, parts=parts, end=end)
                for parts in ((1, 0), (0, 1)) for end in (torch.relu, lambda x: x)
            )[1:],
        ),
        Mistake(
            _cut_off_above,
            "you cut off above 1 as well: a ReLU sets all that is below 0 to 0, and nothing else",
            also=(partial(_cut_off_above, end=torch.nn.functional.relu6),),
        ),
        Mistake(
            _filled_on_one_side,
            "you fill up on one side alone, so all is moved by a pixel: one row and column of zeros on each side, "
            "`padding=1`, and nothing to cut off",
            also=(partial(_filled_on_one_side, crop=slice(2, None)),),
        ),
        Mistake(
            _first_image_alone,
            "only the first image of the batch takes part: all of them go through at once, so index no image",
            also=(
                partial(_first_image_alone, place=0), _first_image_for_all,
                partial(_first_image_for_all, parts=(1, 0)), partial(_first_image_for_all, parts=(0, 1)),
            ),
        ),
        Mistake(
            _enlarged_last,
            "you reduce the skip and enlarge at the end: enlarge the coarse features before the convolution, and leave "
            "the skip as fine as it is",
            also=(
                partial(_enlarged_last, pool=avg_pool2d), partial(_enlarged_last, pool=lambda x, n: x[:, :, ::n, ::n]),
            ),
        ),
    ),
    properties=(
        Property(
            "four equal pixels", "Each coarse pixel should become four equal ones, in its place.",
            _centre_of_coarse, _blocks_of_four,
        ),
        Property(
            "not below 0", "After a ReLU nothing should be below 0.",
            lambda coarse, skip, kernel: [(coarse, skip, kernel), (coarse, skip, -kernel)], _not_below_zero,
        ),
    ),
    hints=(
        "Three steps, in this order: enlarge with `interpolate`, lay side by side with `torch.cat`, convolve and take "
        "the ReLU.",
        "`interpolate(coarse, scale_factor=2)` enlarges; `torch.cat([skip, ...], dim=1)` lays channels side by side.",
        "`torch.relu(conv2d(torch.cat([skip, enlarged], dim=1), kernel, padding=1))`.",
    ),
    tolerance=1e-3,
)  # fmt: skip


# --- 4. the Dice loss ---------------------------------------------------------------------------------

BATCHES = ((3, 6, 5), (2, 5, 8), (4, 4, 7), (2, 5, 6))  # images, height, width


def _draw_masks(generator: torch.Generator, index: int) -> Arguments:
    """Foreground of very different size from image to image, and probabilities that know something of it.

    In the last case the sums are so small that a small number that is added to them shows.
    """
    count, height, width = BATCHES[index]
    if index == 3:
        r = torch.zeros(count, 1, height, width)
        r[0, 0, 1, 2], r[1, 0, 3, 1] = 1.0, 1.0
        return 0.02 + 0.04 * rand(generator, *r.shape) + r * (0.1 + 0.1 * rand(generator, *r.shape)), r
    share = torch.linspace(0.15, 0.75, count)[:, None, None, None]
    r = (rand(generator, count, 1, height, width) < share).float()
    r[..., 0, 0], r[..., 0, 1] = 1.0, 0.0
    return (0.6 * rand(generator, *r.shape) + 0.35 * r + 0.02).clamp(0, 1), r


def _dice_loss(p, r):
    """The lab's reference: 1 − 2Σpr/(Σp² + Σr²) of each image, then the mean."""
    return (1 - _overlap(p, r)).mean()


def _overlap(p, r, dims=PIXELS, size=lambda p, r: p.square() + r.square(), factor=2):
    return factor * (p * r).sum(dims) / size(p, r).sum(dims)


def _not_squared(p, r):
    return (1 - _overlap(p, r, size=torch.add)).mean()


def _one_squared(p, r, size=lambda p, r: (p + r).square()):
    return (1 - _overlap(p, r, size=size)).mean()


def _sums_squared(p, r):
    return (1 - 2 * (p * r).sum(PIXELS) / (p.sum(PIXELS) ** 2 + r.sum(PIXELS) ** 2)).mean()


def _batch_as_one(p, r, size=lambda p, r: p.square() + r.square()):
    return 1 - _overlap(p, r, dims=(0, 1, 2, 3), size=size)


def _factor_missing(p, r, factor=1):
    return (1 - _overlap(p, r, factor=factor)).mean()


def _the_coefficient(p, r, sign=1):
    return sign * _overlap(p, r).mean()


def _not_averaged(p, r):
    return 1 - _overlap(p, r)


def _summed(p, r):
    return (1 - _overlap(p, r)).sum()


def _other_reduction(p, r, reduction=torch.amax):
    return reduction(1 - _overlap(p, r))


def _intersection_over_union(p, r, size=lambda p, r: p.square() + r.square() - p * r):
    return (1 - _overlap(p, r, size=size, factor=1)).mean()


def _thresholded(p, r):
    return _dice_loss((p > 0.5).to(p.dtype), r)


def _smoothed(p, r, more=1.0, above=True):
    sizes = (p.square() + r.square()).sum(PIXELS)
    return (1 - (2 * (p * r).sum(PIXELS) + more * above) / (sizes + more)).mean()


def _row_by_row(p, r, dims=(-1,)):
    both, size = (p * r).sum(dims), (p.square() + r.square()).sum(dims)
    return (1 - 2 * both / size).mean()


def _pixel_by_pixel(p, r):
    return (1 - 2 * p * r / (p.square() + r.square())).mean()


def _logarithm(p, r):
    return -_overlap(p, r).log().mean()


def _cosine(p, r):
    norms = p.square().sum(PIXELS).sqrt() * r.square().sum(PIXELS).sqrt()
    return (1 - (p * r).sum(PIXELS) / norms).mean()


def _product_squared(p, r):
    return (1 - 2 * (p * r).square().sum(PIXELS) / (p.square() + r.square()).sum(PIXELS)).mean()


def _background_too(p, r):
    return (_dice_loss(p, r) + _dice_loss(1 - p, 1 - r)) / 2


def _background_alone(p, r):
    return _dice_loss(1 - p, 1 - r)


def _one_from_above(p, r):
    return ((1 - 2 * (p * r).sum(PIXELS)) / (p.square() + r.square()).sum(PIXELS)).mean()


def _denominator_split(p, r, sign=1):
    return (1 - (2 * (p * r).sum(PIXELS) / p.square().sum(PIXELS) + sign * r.square().sum(PIXELS))).mean()


def _cross_entropy(p, r):
    return torch.nn.functional.binary_cross_entropy(p, r)


def _squared_error(p, r):
    return (p - r).square().mean()


def _extremes(p, r):
    return [(r, r), (1 - r, r)]


def _zero_and_one(arguments, values):
    found = [float(v) for v in values]
    if abs(found[0]) < 1e-4 and abs(found[1] - 1) < 1e-4:
        return None
    return f"p = r gives {found[0]:.3g}, and p = 1 − r gives {found[1]:.3g}"


def _one_by_one(p, r):
    return [(p, r), (p, 1 - r), *((p[i : i + 1], r[i : i + 1]) for i in range(len(p)))]


def _their_mean(arguments, values):
    whole, other, *each = (float(v) for v in values)
    mean = sum(each) / len(each)
    if abs(whole - other) < 1e-6:
        return f"it is {whole:.4g} for the labels r and for 1 − r: the labels do not take part"
    return None if abs(whole - mean) < 1e-4 * max(1, abs(mean)) else f"it is {whole:.4g}, and their mean {mean:.4g}"


dice_loss = Exercise(
    number=4,
    function="dice_loss",
    title="the Dice loss",
    minutes=10,
    value_points=3,
    takes={
        "p": "float32 (batch, 1, height, width) in [0, 1]: the probability of foreground",
        "r": "float32 (batch, 1, height, width): 1 in the foreground and 0 elsewhere; no image without foreground",
    },
    returns="one number, 0 for p = r: the mean over the images",
    draw=_draw_masks,
    reference=_dice_loss,
    answers=("course_lib.training.segmentation_losses.dice_loss",),
    closed=("monai.losses.DiceLoss",),
    cases=len(BATCHES),
    differentiable=("p",),
    mistakes=(
        Mistake(
            _not_squared,
            "your denominator is not squared: it is Σp² + Σr², and p² differs from p where p is neither 0 nor 1",
        ),
        Mistake(
            _one_squared,
            "your squares are others: each of p and r is squared by itself and both are added, Σp² + Σr²",
            also=(
                partial(_one_squared, size=lambda p, r: p + 2 * r),
                partial(_one_squared, size=lambda p, r: 2 * (p + r)),
                partial(_one_squared, size=lambda p, r: (p - r).square()),
                partial(_one_squared, size=lambda p, r: p.square()), partial(_one_squared, size=lambda p, r: r),
                partial(_one_squared, size=lambda p, r: p.square() * r.square()),
            ),
        ),
        Mistake(_sums_squared, "you square the sums: square each pixel first, then add"),
        Mistake(
            _batch_as_one,
            "you add over the whole batch, so large objects outweigh small ones: one fraction for each image, "
            "`.sum(dim=(1, 2, 3))`, then the mean",
            also=(partial(_batch_as_one, size=torch.add),),
        ),
        Mistake(
            _factor_missing, "the factor 2 before Σpr is missing: without it p = r gives 1/2, not 0",
            also=(partial(_factor_missing, factor=4), partial(_factor_missing, factor=0.5)),
        ),
        Mistake(
            _the_coefficient, "this is the overlap, or minus it: the loss is 1 minus it, so that 0 is best",
            also=(partial(_the_coefficient, sign=-1),),
        ),
        Mistake(_not_averaged, "you return a number for each image: take their mean, `.mean()`"),
        Mistake(_summed, "you add the losses of the images: take their mean, or the step size depends on the batch"),
        Mistake(
            _other_reduction, "you take the largest, the least or the median over the images: take their mean",
            also=(partial(_other_reduction, reduction=torch.amin), partial(_other_reduction, reduction=torch.median)),
        ),
        Mistake(
            _intersection_over_union,
            "this is intersection over union: Dice has twice Σpr above, and Σp² + Σr² below, without taking Σpr away",
            also=(partial(_intersection_over_union, size=lambda p, r: p + r - p * r),),
        ),
        Mistake(
            _thresholded,
            "you compare p with 0.5: the loss takes the probabilities as they are, for a yes or no has no gradient",
        ),
        Mistake(
            _smoothed,
            "you add a number above and below: it pulls small objects towards a loss of 0, and is not asked for here",
            also=tuple(partial(_smoothed, more=m) for m in (0.1, 0.5, 2.0, 1e-2, 1e-3))
            + tuple(partial(_smoothed, more=m, above=False) for m in (1.0, 0.1, 1e-2, 1e-3)),
        ),
        Mistake(
            _row_by_row,
            "you take one fraction for each row or column: add over all pixels of an image, `dim=(1, 2, 3)`",
            also=(partial(_row_by_row, dims=(-2,)), partial(_row_by_row, dims=(1, 2))),
        ),
        Mistake(
            _pixel_by_pixel,
            "you divide pixel by pixel: add above and below first, then divide",
        ),
        Mistake(_logarithm, "you take the logarithm: the loss is 1 minus the overlap itself"),
        Mistake(
            _cosine, "you divide by the product of the lengths, as for an angle: Dice divides by Σp² + Σr² over 2",
        ),
        Mistake(_product_squared, "you square p·r above as well: above stands Σpr, unsquared"),
        Mistake(
            _background_too,
            "the background takes part: p and r are the foreground's, and its overlap alone counts",
            also=(_background_alone,),
        ),
        Mistake(
            _one_from_above, "your brackets are elsewhere: 1 minus the whole fraction, `1 - 2 * ... / (...)`",
        ),
        Mistake(
            _denominator_split,
            "you divide by Σp² alone, and Σr² is added to the fraction: brackets around the denominator, "
            "`/ ((p**2).sum(dim=...) + (r**2).sum(dim=...))`",
            also=(partial(_denominator_split, sign=-1),),
        ),
        Mistake(
            _cross_entropy,
            "this is another loss, cross-entropy or squared error, which counts all pixels alike: 1 − 2Σpr/(Σp² + Σr²)",
            also=(_squared_error,),
        ),
    ),
    properties=(
        Property(
            "from 0 to 1", "It should be 0 for p = r, and 1 where p and r have nothing in common.",
            _extremes, _zero_and_one,
        ),
        Property(
            "images apart", "The loss of a batch should be the mean of the losses of its images.",
            _one_by_one, _their_mean,
        ),
    ),
    hints=(
        "Three sums, each over the pixels of one image: Σpr, Σp², Σr².",
        "`.sum(dim=(1, 2, 3))` leaves one number for each image; the mean over the images comes last.",
        "`(1 - 2 * (p * r).sum(dim=(1, 2, 3)) / (p**2 + r**2).sum(dim=(1, 2, 3))).mean()`.",
    ),
)  # fmt: skip


# --- 5. the generalised Dice loss ---------------------------------------------------------------------

CLASSES = ((3, 2, 6, 5), (2, 3, 7, 6), (3, 3, 5, 8))  # images, classes, height, width


def _draw_classes(generator: torch.Generator, index: int) -> Arguments:
    """Classes of very different size, no two alike, in other proportions from image to image."""
    count, classes, height, width = CLASSES[index]
    levels = 3.0 * torch.arange(classes, 0, -1)[:, None, None] / classes
    scores = randn(generator, count, classes, height, width) + levels * rand(generator, count, 1, 1, 1)
    labels = scores.argmax(dim=1)
    for k in range(classes):
        labels[:, 0, k * (k + 1) // 2 : (k + 1) * (k + 2) // 2] = k  # none is empty
    r = torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).float()
    return (scores + randn(generator, *scores.shape)).softmax(dim=1), r


def _size_weights(p, r, dims=(2, 3)):
    return 1 / r.sum(dims, keepdim=True) ** 2


def _generalized(p, r, *, weights=_size_weights, below=None, dims=(2, 3), size=torch.add, factor=2):
    """1 − 2Σw·Σrp/Σw·Σ(r + p) of each image; the weights below the line may be others."""
    w = weights(p, r)
    v = w if below is None else below(p, r)
    above = (w * (r * p).sum(dims, keepdim=True)).sum(PIXELS)
    return 1 - factor * above / (v * size(r, p).sum(dims, keepdim=True)).sum(PIXELS)


def _generalized_dice_loss(p, r):
    """The lab's reference: both sums over classes are weighted by 1/(Σr)², then one fraction for each image."""
    return _generalized(p, r).mean()


def _ones(p, r):
    return torch.ones_like(r[:, :, :1, :1])


def _weights_not_squared(p, r):
    return _generalized(p, r, weights=lambda p, r: 1 / r.sum((2, 3), keepdim=True)).mean()


def _weights_from_p(p, r, power=2):
    return _generalized(p, r, weights=lambda p, r: 1 / p.sum((2, 3), keepdim=True) ** power).mean()


def _weights_missing(p, r):
    return _generalized(p, r, weights=_ones).mean()


def _weights_turned_over(p, r, power=2):
    return _generalized(p, r, weights=lambda p, r: r.sum((2, 3), keepdim=True) ** power).mean()


def _weights_rooted(p, r):
    return _generalized(p, r, weights=lambda p, r: r.sum((2, 3), keepdim=True) ** -0.5).mean()


def _weights_exchanged(p, r, shift=1):
    return _generalized(p, r, weights=lambda p, r: _size_weights(p, r).roll(shift, 1)).mean()


def _weights_of_the_batch(p, r):
    return _generalized(p, r, weights=lambda p, r: 1 / r.sum((0, 2, 3), keepdim=True) ** 2).mean()


def _weights_above_alone(p, r):
    return _generalized(p, r, below=_ones).mean()


def _weights_below_alone(p, r):
    return _generalized(p, r, weights=_ones, below=_size_weights).mean()


def _each_class_alone(p, r):
    return (1 - _class_overlap(p, r)).mean()


def _class_overlap(p, r):
    return 2 * (p * r).sum((2, 3)) / (p + r).sum((2, 3))


def _class_overlaps_weighted(p, r, normalised=True):
    w = _size_weights(p, r)[:, :, 0, 0]
    w = w / w.sum(dim=1, keepdim=True) if normalised else w
    return (1 - (w * _class_overlap(p, r)).sum(dim=1)).mean()


def _squared_below(p, r):
    return _generalized(p, r, size=lambda r, p: r.square() + p.square()).mean()


def _whole_batch(p, r):
    w = 1 / r.sum((0, 2, 3)) ** 2
    return 1 - 2 * (w * (r * p).sum((0, 2, 3))).sum() / (w * (r + p).sum((0, 2, 3))).sum()


def _fractions_of_the_batch(p, r):
    w = _size_weights(p, r)
    return 1 - 2 * (w * r * p).sum() / (w * (r + p)).sum()


def _generalized_factor(p, r, factor=1):
    return _generalized(p, r, factor=factor).mean()


def _generalized_coefficient(p, r, sign=1):
    return sign * (1 - _generalized(p, r)).mean()


def _one_class(p, r, which=slice(-1, None)):
    return _generalized(p[:, which], r[:, which]).mean()


def _images_not_averaged(p, r):
    return _generalized(p, r)


def _images_summed(p, r):
    return _generalized(p, r).sum()


def _classes_kept(p, r):
    w = _size_weights(p, r)
    return (1 - 2 * (w * r * p).sum((2, 3)) / (w * (r + p)).sum((2, 3))).sum(1).mean()


def _weights_from_means(p, r):
    return _generalized(
        p, r, weights=lambda p, r: _size_weights(p, r).sqrt().mean(1, keepdim=True).expand(r.shape[:2] + (1, 1))
    ).mean()


def _union_below(p, r):
    return _generalized(p, r, size=lambda r, p: r + p - r * p, factor=1).mean()


def _keepdim_forgotten(p, r):
    w = 1 / r.sum((2, 3)) ** 2
    return (1 - 2 * (w * r * p).sum((1, 2, 3)) / (w * (r + p)).sum((1, 2, 3))).mean()


def _weights_cubed(p, r):
    return _generalized(p, r, weights=lambda p, r: 1 / r.sum((2, 3), keepdim=True) ** 3).mean()


def _weights_averaged(p, r):
    return _generalized(p, r, weights=lambda p, r: _size_weights(p, r).mean(0, keepdim=True)).mean()


def _one_weight_for_all(p, r):
    w = 1 / (r.sum((2, 3)) ** 2).sum(1, keepdim=True)
    return (1 - 2 * (w * (r * p).sum((2, 3))).sum(1) / (w * (r + p).sum((2, 3))).sum(1)).mean()


def _hardened(p, r, how=lambda p: torch.nn.functional.one_hot(p.argmax(1), p.shape[1]).movedim(-1, 1).to(p.dtype)):
    return _generalized_dice_loss(how(p), r)


def _plain_dice(p, r):
    return _dice_loss(p, r)


def _plain_dice_of_each_class(p, r):
    return 1 - _overlap(p, r, dims=(2, 3)).mean()


def _added_over_the_batch(p, r):
    """The images are added where the classes should be: a fraction for each class."""
    w = _size_weights(p, r)[:, :, 0, 0]
    return (1 - 2 * (w * (r * p).sum((2, 3))).sum(0) / (w * (r + p).sum((2, 3))).sum(0)).mean()


def _first_of_the_batch(p, r):
    return _generalized_dice_loss(p[:1], r[:1])


def _fraction_per_pixel(p, r, dims=(1,)):
    w = _size_weights(p, r)
    return (1 - 2 * (w * r * p).sum(dims) / (w * (r + p)).sum(dims)).mean()


def _fraction_per_entry(p, r):
    return (1 - 2 * r * p / (r + p)).mean()


def _one_of_both_below(p, r, size=lambda r, p: r):
    return _generalized(p, r, size=size).mean()


def _perfect_and_nothing(p, r):
    return [(r, r), (r.roll(1, 1), r)]


def _classes_renumbered(p, r):
    return [(p, r), (p.flip(1), r.flip(1))]


def _same_number(arguments, values):
    a, b = (float(v) for v in values)
    return (
        None if abs(a - b) < 1e-4 * max(1, abs(a)) else f"with the classes in the other order {a:.4g} becomes {b:.4g}"
    )


generalized_dice_loss = Exercise(
    number=5,
    function="generalized_dice_loss",
    title="the generalised Dice loss",
    minutes=12,
    value_points=3,
    takes={
        "p": "float32 (batch, classes, height, width) in [0, 1]: the probability of each class",
        "r": "float32 (batch, classes, height, width): 1 for the pixel's class and 0 for the others; no class is empty",
    },
    returns="one number, 0 for p = r: the mean over the images",
    draw=_draw_classes,
    reference=_generalized_dice_loss,
    answers=("course_lib.training.segmentation_losses.generalized_dice_loss",),
    closed=("monai.losses.GeneralizedDiceLoss",),
    differentiable=("p",),
    mistakes=(
        Mistake(
            _weights_not_squared,
            "your weights are 1/Σr: the sum is squared, (Σr)²; the square of r itself changes nothing, for r is 0 or 1",
        ),
        Mistake(
            _weights_from_p,
            "your weights come from p: they come from the labels r alone, and do not move in training",
            also=(partial(_weights_from_p, power=1),),
        ),
        Mistake(
            _weights_missing,
            "all classes have the same weight, or none: class l counts 1/(Σr)² times, above and below the line, with "
            "its own Σr, so do not add or average over the classes in w",
            also=(_weights_from_means, _one_weight_for_all),
        ),
        Mistake(_weights_cubed, "your weights are 1/(Σr)³: the sum is squared, (Σr)², no more"),
        Mistake(
            _weights_averaged,
            "you average the weights over the batch: each image has weights of its own, from its own Σr",
        ),
        Mistake(
            _hardened,
            "you make p a yes or no, by argmax or a threshold: the loss takes the probabilities as they are, for a yes "
            "or no has no gradient",
            also=(partial(_hardened, how=lambda p: (p > 0.5).to(p.dtype)),),
        ),
        Mistake(
            _plain_dice,
            "this is the Dice loss of exercise 4: weight each class by 1/(Σr)², and leave out the squares below",
            also=(_plain_dice_of_each_class,),
        ),
        Mistake(
            _added_over_the_batch,
            "you add over the images in place of the classes: after the pixels come the classes, `.sum(dim=1)`, and "
            "the mean over the images comes last",
        ),
        Mistake(
            _first_of_the_batch, "only the first image takes part: a loss for each of the batch, then their mean",
        ),
        Mistake(
            _fraction_per_pixel,
            "you divide pixel by pixel: add over pixels and classes above and below the line first, then divide",
            also=(_fraction_per_entry,),
        ),
        Mistake(
            _one_of_both_below,
            "below the line stands r or p alone: both are added there, Σ(r + p)",
            also=(
                partial(_one_of_both_below, size=lambda r, p: 2 * r),
                partial(_one_of_both_below, size=lambda r, p: p), partial(_one_of_both_below, size=lambda r, p: 2 * p),
            ),
        ),
        Mistake(
            _weights_turned_over,
            "your weights are turned over: they grow with the size of the class, and small ones should count more",
            also=(partial(_weights_turned_over, power=1),),
        ),
        Mistake(_weights_rooted, "your weights take a root: they are 1/(Σr)², the sum squared"),
        Mistake(
            _weights_exchanged,
            "your classes have each other's weights: the weight of class l comes from its own Σr",
            also=(partial(_weights_exchanged, shift=-1),),
        ),
        Mistake(
            _weights_of_the_batch,
            "your weights come from the whole batch: each image has weights of its own, `r.sum(dim=(2, 3))`",
        ),
        Mistake(
            _weights_above_alone, "your weights stand above the line alone: below it each class is weighted as well",
        ),
        Mistake(
            _weights_below_alone, "your weights stand below the line alone: above it each class is weighted as well",
        ),
        Mistake(
            _each_class_alone,
            "you take a fraction for each class and average: the sums over the classes stand above and below *one* "
            "fraction",
            also=(_classes_kept,),
        ),
        Mistake(
            _class_overlaps_weighted,
            "you weight the overlaps of the classes: the weights belong to the sums above and below the line, before "
            "you divide",
            also=(partial(_class_overlaps_weighted, normalised=False),),
        ),
        Mistake(_squared_below, "your denominator is squared, as that of the Dice loss: here it is Σ(r + p)"),
        Mistake(
            _whole_batch,
            "you add over the whole batch: one fraction for each image, then the mean",
            also=(_fractions_of_the_batch,),
        ),
        Mistake(
            _generalized_factor, "the factor 2 above the line is missing: without it p = r gives 1/2, not 0",
            also=(partial(_generalized_factor, factor=4),),
        ),
        Mistake(
            _generalized_coefficient, "this is the overlap, or minus it: the loss is 1 minus it, so that 0 is best",
            also=(partial(_generalized_coefficient, sign=-1),),
        ),
        Mistake(
            _one_class,
            "only one of the classes takes part: sum over all of them, the background too",
            also=(partial(_one_class, which=slice(1)), partial(_one_class, which=slice(1, None))),
        ),
        Mistake(_images_not_averaged, "you return a number for each image: take their mean, `.mean()`"),
        Mistake(_images_summed, "you add the losses of the images: take their mean"),
        Mistake(
            _union_below, "this is intersection over union: Dice has twice Σrp above, and Σ(r + p) below",
        ),
        Mistake(
            _keepdim_forgotten,
            "your weights have the shape (batch, classes), which torch lines up with rows and columns: keep the two "
            "dimensions, `keepdim=True`, or add over the pixels first",
        ),
    ),
    properties=(
        Property(
            "from 0 to 1", "It should be 0 for p = r, and 1 where every pixel has another class.",
            _perfect_and_nothing, _zero_and_one,
        ),
        Property(
            "any order", "The order of the classes should not count.", _classes_renumbered, _same_number,
        ),
    ),
    hints=(
        "For each image and class three sums over pixels, `dim=(2, 3)`: Σr for the weight, Σrp, and Σ(r + p).",
        "`w = 1 / r.sum(dim=(2, 3)) ** 2` has the shape (batch, classes). Weight both sums, add over the classes, "
        "divide.",
        "`above = (w * (r * p).sum(dim=(2, 3))).sum(dim=1)`, `below = (w * (r + p).sum(dim=(2, 3))).sum(dim=1)`, "
        "`(1 - 2 * above / below).mean()`.",
    ),
)  # fmt: skip


# --- 6. elastic deformation ---------------------------------------------------------------------------

GRIDS = ((12, 15, 3, 4), (14, 11, 4, 3), (11, 13, 3, 3))  # height, width; rows and columns of coarse displacements


def _draw_deformation(generator: torch.Generator, index: int) -> Arguments:
    """Displacements of one to two pixels; no place lies halfway between two pixels, where rounding would decide."""
    height, width, rows, columns = GRIDS[index]
    image = rand(generator, 1, 1, height, width)
    label = (rand(generator, 1, 1, height, width) > 0.5).float()
    while True:
        coarse = 1.6 * randn(generator, 1, 2, rows, columns) + torch.tensor([0.5, -0.7])[:, None, None]
        half = (_enlarge(coarse.double(), label) + 0.5) % 1
        if float(torch.minimum(half, 1 - half).min()) > 1e-4:
            return image, label, coarse


def _enlarge(coarse, image, mode="bicubic", corners=True):
    options = {"align_corners": corners} if mode in ("bilinear", "bicubic") else {}
    return interpolate(coarse, size=image.shape[-2:], mode=mode, **options)


def _places(shift, step=1.0, sizes=None):
    """Rows and columns that are looked at, from −1 to 1: each pixel's own, and its displacement, times `step`."""
    height, width = shift.shape[-2:]
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    tall, wide = sizes or (height - 1, width - 1)
    own = 2 * rows / (height - 1) - 1, 2 * columns / (width - 1) - 1
    return own[0] + step * 2 * shift[:, 0] / tall, own[1] + step * 2 * shift[:, 1] / wide


def _looked_up(image, label, grid, modes=("bilinear", "nearest"), padding="border", corners=True):
    return tuple(
        grid_sample(x, grid.to(x.dtype), mode=mode, padding_mode=padding, align_corners=corners)
        for x, mode in zip((image, label), modes, strict=True)
    )


def _elastic(image, label, coarse):
    """The lab's reference: image and label at each pixel's place plus its displacement."""
    rows, columns = _places(_enlarge(coarse, image))
    return _looked_up(image, label, torch.stack([columns, rows], dim=-1))


def _bent(image, label, coarse, shift=_enlarge, places=_places, **how):
    rows, columns = places(shift(coarse, image))
    return _looked_up(image, label, torch.stack([columns, rows], dim=-1), **how)


def _label_smeared(image, label, coarse, mode="bilinear"):
    return _bent(image, label, coarse, modes=("bilinear", mode))


def _label_rounded(image, label, coarse):
    bent, smeared = _label_smeared(image, label, coarse)
    return bent, (smeared > 0.5).to(smeared.dtype)


def _image_by_nearest(image, label, coarse):
    return _bent(image, label, coarse, modes=("nearest", "nearest"))


def _modes_exchanged(image, label, coarse):
    return _bent(image, label, coarse, modes=("nearest", "bilinear"))


def _image_by_cubic(image, label, coarse):
    return _bent(image, label, coarse, modes=("bicubic", "nearest"))


def _label_left(image, label, coarse):
    return _elastic(image, label, coarse)[0], label


def _rows_first(image, label, coarse):
    rows, columns = _places(_enlarge(coarse, image))
    return _looked_up(
        image, label, torch.stack([rows.expand_as(columns + rows), columns.expand_as(columns + rows)], dim=-1)
    )


def _displacements_exchanged(image, label, coarse):
    return _elastic(image, label, coarse.flip(1))


def _one_displacement(image, label, coarse, which=0):
    return _elastic(image, label, coarse[:, which : which + 1].expand(-1, 2, -1, -1))


def _pixels_as_shares(image, label, coarse):
    return _bent(image, label, coarse, places=partial(_places, sizes=(2, 2)))


def _two_forgotten(image, label, coarse, more=0):
    height, width = (n - 1 + more for n in image.shape[-2:])
    return _bent(image, label, coarse, places=partial(_places, sizes=(2 * height, 2 * width)))


def _own_place_in_pixels(image, label, coarse):
    shift = _enlarge(coarse, image)
    height, width = shift.shape[-2:]
    rows, columns = torch.arange(height)[:, None] + shift[:, 0], torch.arange(width) + shift[:, 1]
    return _looked_up(image, label, torch.stack([columns, rows], dim=-1))


def _sizes_exchanged(image, label, coarse, own=False):
    height, width = image.shape[-2:]
    if not own:
        return _bent(image, label, coarse, places=partial(_places, sizes=(width - 1, height - 1)))
    shift = _enlarge(coarse, image)
    rows = 2 * (torch.arange(height)[:, None] + shift[:, 0]) / (width - 1) - 1
    columns = 2 * (torch.arange(width) + shift[:, 1]) / (height - 1) - 1
    return _looked_up(image, label, torch.stack([columns, rows], dim=-1))


def _divided_by_n(image, label, coarse, own=True):
    height, width = image.shape[-2:]
    if not own:
        return _bent(image, label, coarse, places=partial(_places, sizes=(height, width)))
    shift = _enlarge(coarse, image)
    rows = 2 * (torch.arange(height)[:, None] + shift[:, 0]) / height - 1
    columns = 2 * (torch.arange(width) + shift[:, 1]) / width - 1
    return _looked_up(image, label, torch.stack([columns, rows], dim=-1))


def _corners_not_aligned(image, label, coarse, **how):
    return _bent(image, label, coarse, corners=False, **how)


def _coarse_corners_not_aligned(image, label, coarse, **how):
    return _bent(image, label, coarse, shift=partial(_enlarge, corners=False), **how)


def _backwards(image, label, coarse):
    return _elastic(image, label, -coarse)


def _zeros_outside(image, label, coarse, padding="zeros"):
    return _bent(image, label, coarse, padding=padding)


def _enlarged_otherwise(image, label, coarse, mode="bilinear", corners=True):
    return _bent(image, label, coarse, shift=partial(_enlarge, mode=mode, corners=corners))


def _own_place_missing(image, label, coarse):
    def places(shift):
        height, width = shift.shape[-2:]
        return 2 * shift[:, 0] / (height - 1), 2 * shift[:, 1] / (width - 1)

    return _bent(image, label, coarse, places=places)


def _own_place_missing_and_moved(image, label, coarse):
    def places(shift):
        height, width = shift.shape[-2:]
        return 2 * shift[:, 0] / (height - 1) - 1, 2 * shift[:, 1] / (width - 1) - 1

    return _bent(image, label, coarse, places=places)


def _grown_with_the_image(image, label, coarse):
    factors = torch.tensor([n / m for n, m in zip(image.shape[-2:], coarse.shape[-2:], strict=True)])
    return _elastic(image, label, coarse * factors[:, None, None])


def _twice_as_far(image, label, coarse, factor=2):
    return _elastic(image, label, factor * coarse)


def _in_the_other_order(image, label, coarse):
    return _elastic(image, label, coarse)[::-1]


def _image_alone(image, label, coarse):
    return _elastic(image, label, coarse)[0]


def _on_top_of_each_other(image, label, coarse):
    return torch.cat(_elastic(image, label, coarse), dim=1)


def _grid_exchanged(image, label, coarse, first=True):
    shift = _enlarge(coarse, image)
    grid = torch.meshgrid(*(torch.arange(n) for n in image.shape[-2:]), indexing="xy")
    return grid[0] + shift[:, 0] if first else shift[:, 0] + grid[0]


def _grid_as_channels(image, label, coarse):
    rows, columns = _places(_enlarge(coarse, image))
    return _looked_up(image, label, torch.stack(torch.broadcast_tensors(columns, rows), dim=1))


def _grid_without_batch(image, label, coarse):
    rows, columns = _places(_enlarge(coarse, image))
    return _looked_up(image, label, torch.stack(torch.broadcast_tensors(columns[0], rows[0]), dim=-1))


def _label_otherwise(image, label, coarse, change=lambda c: -c):
    return _elastic(image, label, coarse)[0], _elastic(image, label, change(coarse))[1]


def _label_alone_bent(image, label, coarse):
    return image, _elastic(image, label, coarse)[1]


def _nothing_bent(image, label, coarse):
    return image, label


def _whole_pixels(image, label, coarse, whole=torch.trunc, early=False, which=slice(None)):
    """Displacements without their fractions: of the enlarged ones, or of the coarse ones.

    To round both of the enlarged ones is to look the image up at the nearest pixel.
    """

    def cut(x):
        x = x.clone()
        x[:, which] = whole(x[:, which])
        return x

    if early:
        return _elastic(image, label, cut(coarse))
    return _bent(image, label, coarse, lambda c, i: cut(_enlarge(c, i)))


def _one_axis_moved(image, label, coarse, which=0):
    one = torch.zeros_like(coarse)
    one[:, which] = coarse[:, which]
    return _elastic(image, label, one)


def _each_its_own(image, label, coarse, image_how, label_how):
    """Image and label by other options of `grid_sample`."""
    return _bent(image, label, coarse, **image_how)[0], _bent(image, label, coarse, **label_how)[1]


def _scaled(image, label, coarse, factor=1.0, offset=0.0, tall=None, wide=None, first=0):
    """Places as factor · place / (size − 1) + offset; sizes may be fixed, and counting may begin at 1."""
    shift = _enlarge(coarse, image)
    height, width = shift.shape[-2:]
    rows, columns = torch.arange(height)[:, None] + first + shift[:, 0], torch.arange(width) + first + shift[:, 1]
    x, y = factor * columns / (wide or width - 1) + offset, factor * rows / (tall or height - 1) + offset
    return _looked_up(image, label, torch.stack([x, y], dim=-1))


def _fixed_sizes(image, label, coarse, steps=127):
    return _scaled(image, label, coarse, factor=2.0, offset=-1.0, tall=steps, wide=steps)


def _counted_from_one(image, label, coarse):
    return _scaled(image, label, coarse, factor=2.0, offset=-1.0, first=1)


def _corners_of_one(image, label, coarse, which=1, padding="border"):
    how = [{}, {}]
    how[which] = {"corners": False, "padding": padding}
    return _each_its_own(image, label, coarse, *how)


def _border_of_one(image, label, coarse, which=1):
    how = [{}, {}]
    how[which] = {"padding": "zeros"}
    return _each_its_own(image, label, coarse, *how)


def _reshaped(image, label, coarse, turned=True):
    """The two coordinates come first, and a reshape alone does not bring them to the end."""
    rows, columns = torch.broadcast_tensors(*_places(_enlarge(coarse, image)))
    both = torch.stack([rows, columns], dim=1)
    both = both.flip(1) if turned else both
    return _looked_up(image, label, both.reshape(1, *both.shape[2:], 2))


def _both_exchanged(image, label, coarse):
    return _rows_first(image, label, coarse.flip(1))


def _pushed(image, label, coarse, keep=False):
    """Each pixel is put where its displacement leads, and what nothing comes to stays empty or as it was."""
    shift = _enlarge(coarse, image)[0]
    height, width = shift.shape[-2:]
    rows = (torch.arange(height)[:, None] + shift[0]).round().long().clamp(0, height - 1)
    columns = (torch.arange(width) + shift[1]).round().long().clamp(0, width - 1)
    put = [x.clone() if keep else torch.zeros_like(x) for x in (image, label)]
    for new, old in zip(put, (image, label), strict=True):
        new[0, 0, rows, columns] = old[0, 0]
    return tuple(put)


def _moved_as_a_whole(image, label, coarse):
    """By (1, 2) pixels at every place, and by nothing."""
    whole = torch.tensor([1.0, 2.0], dtype=coarse.dtype)[:, None, None].expand_as(coarse)
    return [(image, label, whole.clone()), (image, label, 0 * coarse)]


def _where_it_was(arguments, values):
    for (image, label, coarse), (bent, moved) in zip(arguments, values, strict=True):
        down, right = (int(v) for v in coarse[0, :, 0, 0])
        rows, columns = (
            np.minimum(np.arange(n) + k, n - 1) for n, k in zip(image.shape[-2:], (down, right), strict=True)
        )
        for name, found, given in (("image", bent, image), ("label", moved, label)):
            wanted = given.numpy()[..., rows[:, None], columns]
            if found.shape != wanted.shape:
                return f"the {name} comes back in the shape {found.shape}"
            worst = np.unravel_index(np.argmax(np.abs(found - wanted)), wanted.shape)
            if abs(found[worst] - wanted[worst]) > 1e-3:
                if not (down or right):
                    return f"with displacements of 0, the {name} does not stay as it is"
                place = list(map(int, worst[2:]))
                return f"the {name} has {found[worst]:.3g} at {place}, and {wanted[worst]:.3g} is wanted there"
    return None


def _as_given(image, label, coarse):
    return [(image, label, coarse)]


def _still_labels(arguments, values):
    between = set(np.unique(np.round(values[0][1], 4)).tolist()) - {0.0, 1.0}
    return f"the label has values between, such as {min(between):.3g}" if between else None


elastic = Exercise(
    number=6,
    function="elastic",
    title="elastic deformation",
    minutes=16,
    value_points=3,
    takes={
        "image": "float32 (1, 1, height, width)",
        "label": "float32 (1, 1, height, width), 0 and 1",
        "coarse": "float32 (1, 2, rows, columns): displacements in pixels of the image, down and to the right",
    },
    returns="a tuple of float32 (1, 1, height, width): image and label, bent in the same way",
    draw=_draw_deformation,
    reference=_elastic,
    answers=(),  # the library's augmentation draws its own displacements
    mistakes=(
        Mistake(
            _label_smeared,
            "your label has values between 0 and 1: it is looked up at the nearest pixel, `mode=\"nearest\"`",
            also=(partial(_label_smeared, mode="bicubic"),),
        ),
        Mistake(
            _label_rounded,
            "your label is interpolated and then rounded: that is nearly right, and moves thin lines; look it up at "
            "the nearest pixel, `mode=\"nearest\"`",
        ),
        Mistake(
            _image_by_nearest,
            "your image is looked up at the nearest pixel: it has values between, `mode=\"bilinear\"`, and your "
            "displacements fractions; only the label has none",
            also=(_modes_exchanged, partial(_whole_pixels, whole=torch.round)),
        ),
        Mistake(_image_by_cubic, "your image is interpolated by cubics: bilinear is asked for, the default"),
        Mistake(
            _label_left,
            "your label stays where it was: it moves with the image, by the same displacements",
        ),
        Mistake(
            _label_otherwise,
            "your label is bent another way than the image: the same `grid` for both",
            also=(partial(_label_otherwise, change=lambda c: c.flip(1)),),
        ),
        Mistake(_label_alone_bent, "your image stays where it was: it is bent with the label, by the same `grid`"),
        Mistake(
            _nothing_bent,
            "you return image and label as they came: what `grid_sample` returns is the bent one",
        ),
        Mistake(
            _rows_first,
            "`grid_sample` wants (x, y), the column first: stack columns, then rows",
        ),
        Mistake(
            _both_exchanged,
            "rows and columns are exchanged twice: `coarse[:, 0]` goes down the rows, and `grid_sample` wants the "
            "column first",
        ),
        Mistake(
            _one_axis_moved,
            "only rows or only columns are displaced: add `shift[:, 0]` to the rows and `shift[:, 1]` to the columns",
            also=(partial(_one_axis_moved, which=1),),
        ),
        Mistake(
            _whole_pixels,
            "your displacements are whole pixels: leave them as they are, `grid_sample` looks between the pixels",
            also=tuple(
                partial(_whole_pixels, whole=whole, early=early, which=which)
                for whole in (torch.trunc, torch.floor, torch.round)
                for early in (False, True)
                for which in (slice(None), slice(1), slice(1, None))
                if (whole, early, which) != (torch.round, False, slice(None))
            )[1:],
        ),
        Mistake(
            _displacements_exchanged,
            "your displacements are exchanged: `coarse[:, 0]` goes down the rows, `coarse[:, 1]` along the columns",
        ),
        Mistake(
            _one_displacement,
            "rows and columns move by the same displacement: there are two, `coarse[:, 0]` and `coarse[:, 1]`",
            also=(partial(_one_displacement, which=1),),
        ),
        Mistake(
            _pixels_as_shares,
            "you add pixels to places from −1 to 1: a pixel is 2/(height − 1) or 2/(width − 1) of these",
        ),
        Mistake(
            _own_place_in_pixels,
            "your places are in pixels: `grid_sample` wants them from −1, the first pixel, to 1, the last",
        ),
        Mistake(
            _two_forgotten,
            "your displacements are half as long: from −1 to 1 are two units, so a pixel is 2/(height − 1)",
            also=(partial(_two_forgotten, more=1),),
        ),
        Mistake(
            _scaled,
            "your places do not run from −1 to 1: the first pixel must become −1 and the last one 1, so "
            "`2 * rows / (height - 1) - 1`",
            also=tuple(partial(_scaled, factor=f, offset=o) for f, o in ((1.0, -1.0), (2.0, 0.0), (1.0, -0.5))),
        ),
        Mistake(
            _fixed_sizes,
            "you divide by 127: that is the height − 1 of one image, so take the sizes from `image.shape`",
            also=(partial(_fixed_sizes, steps=128),),
        ),
        Mistake(
            _counted_from_one,
            "you count the places from 1: the first row and the first column are 0, `torch.arange(height)`",
        ),
        Mistake(
            _sizes_exchanged,
            "height and width are exchanged: rows are divided by height − 1, columns by width − 1",
            also=(partial(_sizes_exchanged, own=True),),
        ),
        Mistake(
            _divided_by_n,
            "you divide by the number of pixels: from the first to the last one are height − 1 steps",
            also=(partial(_divided_by_n, own=False),),
        ),
        Mistake(
            _corners_not_aligned,
            "`grid_sample` takes −1 and 1 as the outer edges of the corner pixels unless you say `align_corners=True`",
            also=(
                partial(_corners_not_aligned, padding="zeros"),
                partial(_corners_not_aligned, shift=partial(_enlarge, corners=False)),
                partial(_corners_not_aligned, padding="zeros", shift=partial(_enlarge, corners=False)),
            ),
        ),
        Mistake(
            _corners_of_one,
            "`align_corners=True` is missing in one of the two `grid_sample` calls: image and label take the same",
            also=(
                partial(_corners_of_one, which=0), partial(_corners_of_one, padding="zeros"),
                partial(_corners_of_one, which=0, padding="zeros"),
            ),
        ),
        Mistake(
            _border_of_one,
            "`padding_mode=\"border\"` is missing in one of the two `grid_sample` calls: beyond the edge the pixels of "
            "the border are repeated in image and label",
            also=(partial(_border_of_one, which=0),),
        ),
        Mistake(
            _coarse_corners_not_aligned,
            "your coarse displacements are enlarged without `align_corners=True`: the corner ones belong to the corner "
            "pixels",
            also=(partial(_coarse_corners_not_aligned, padding="zeros"),),
        ),
        Mistake(_backwards, "you look the other way: the new pixel is what lies at its place *plus* the displacement"),
        Mistake(
            _zeros_outside,
            "beyond the edge the pixels of the border are repeated: `padding_mode=\"border\"`",
            also=(partial(_zeros_outside, padding="reflection"),),
        ),
        Mistake(
            _enlarged_otherwise,
            "your displacements are enlarged with kinks or steps: take `mode=\"bicubic\"`, a smooth surface",
            also=(
                partial(_enlarged_otherwise, mode="nearest"), partial(_enlarged_otherwise, corners=False),
                partial(_enlarged_otherwise, mode="area"), partial(_enlarged_otherwise, mode="nearest-exact"),
            ),
        ),
        Mistake(
            _own_place_missing,
            "the pixel's own place is missing: look at its place plus the displacement",
            also=(_own_place_missing_and_moved,),
        ),
        Mistake(
            _grown_with_the_image,
            "you lengthen the displacements: they are in pixels of the image already, so no factor",
            also=(_twice_as_far, partial(_twice_as_far, factor=8)),
        ),
        Mistake(_in_the_other_order, "you return the label first: image, then label"),
        Mistake(_image_alone, "you return the image alone: image and label, `return image, label`"),
        Mistake(_on_top_of_each_other, "you return one tensor: image and label are a tuple, `return image, label`"),
        Mistake(
            _grid_exchanged,
            "your `meshgrid` has the shape (width, height): take `indexing=\"ij\"`, rows first",
            also=(partial(_grid_exchanged, first=False),),
        ),
        Mistake(
            _grid_as_channels,
            "your places are channels: `grid_sample` wants them last, (1, height, width, 2), so stack with `dim=-1`",
        ),
        Mistake(
            _grid_without_batch,
            "your places have no batch: `grid_sample` wants the shape (1, height, width, 2)",
        ),
        Mistake(
            _reshaped,
            "you bring the two coordinates to the end by `reshape`, which mixes the places: `.permute(0, 2, 3, 1)`, or "
            "stack with `dim=-1`",
            also=(partial(_reshaped, turned=False),),
        ),
        Mistake(
            _pushed,
            "you push each pixel to its new place, which leaves holes: for each new pixel look up what lies at its "
            "place plus the displacement",
            also=(partial(_pushed, keep=True),),
        ),
    ),
    properties=(
        Property(
            "moved as a whole",
            "With a displacement of 1 row and 2 columns everywhere, result[i, j] should be image[i + 1, j + 2], and so "
            "for the label.",
            _moved_as_a_whole, _where_it_was,
        ),
        Property(
            "labels stay labels", "A label should stay 0 or 1.", _as_given, _still_labels,
        ),
    ),
    hints=(
        "Three steps: each pixel's displacement, the place that it looks at, and what lies there: `grid_sample`.",
        "`grid_sample` counts from −1 to 1: what you do with the rows must make row 0 into −1, and row height − 1 into "
        "1. Try it on these two.",
        "`shift = interpolate(coarse, size=(height, width), mode=\"bicubic\", align_corners=True)`; the rows are "
        "`torch.arange(height)[:, None] + shift[:, 0]`, and `grid_sample` counts `2 * rows / (height - 1) - 1`.",
        "`grid = torch.stack([x, y], dim=-1)`, then `grid_sample(image, grid, padding_mode=\"border\", "
        "align_corners=True)`, and the same with `mode=\"nearest\"` for the label.",
    ),
    tolerance=1e-3,
)  # fmt: skip


# --- 7. the distance of two outlines ------------------------------------------------------------------

SHAPES = ((13, 14), (15, 12), (12, 16), (12, 13))


def _draw_outlines(generator: torch.Generator, index: int) -> Arguments:
    """Ragged masks, one inside the other or side by side; in two cases one reaches the border.

    In the last case the outlines share points; they have at most 25, so that `torch.cdist` gives exactly 0 for these.
    """
    height, width = SHAPES[index]
    if index == 3:
        top, left = (int(torch.randint(0, 3, (), generator=generator)) for _ in range(2))
        a, b = (torch.zeros(height, width, dtype=torch.bool) for _ in range(2))
        a[top + 1 : top + 7, left + 1 : left + 7], b[top + 1 : top + 8, left + 4 : left + 9] = True, True
        return a, b, (0.8 + 0.1 * float(rand(generator, 1)), 1.2 + 0.1 * float(rand(generator, 1)))
    rough = avg_pool2d(randn(generator, 2, 1, height, width), 3, stride=1, padding=1)[:, 0] > 0.1
    large, small = rough[0].clone(), rough[1].clone()
    spacing = ((0.5, 1.4), (1.3, 0.4), (0.9, 0.6))[index]
    spacing = tuple(s * (1 + 0.1 * float(rand(generator, 1))) for s in spacing)
    if index == 2:  # side by side
        large[:, width // 2 - 1 :], small[:, : width // 2] = False, False
        large[3:8, 0:5], small[4:9, 9:14] = True, True
        return large, small, spacing
    large[2:-1, 1:-2] = True
    large[:2, 2:5], large[-1, 3], large[-1, 5] = True, True, True  # at the border, and opposite
    keep = torch.zeros_like(small)
    keep[4:-3, 3:-4] = True
    small = small & keep
    small[5:8, 4:8] = True
    small[4, 4], small[8, 7] = False, True
    return (large, small, spacing) if index == 0 else (small, large, spacing)


def _inner(mask, corners=False, border=False):
    """Pixels whose neighbours are all in the mask; what lies outside the image counts as `border`."""
    padded = pad(mask.float(), (1, 1, 1, 1), value=float(border)) > 0.5
    near = [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
    if corners:
        near += [padded[:-2, :-2], padded[:-2, 2:], padded[2:, :-2], padded[2:, 2:]]
    return mask & torch.stack(near).all(dim=0)


def _surface(mask):
    return mask & ~_inner(mask)


def _points(mask, spacing=(1.0, 1.0), surface=_surface):
    return surface(mask).nonzero() * torch.tensor(spacing)


def _all_distances(a, b, spacing, surface=_surface):
    one, other = _points(a, spacing, surface), _points(b, spacing, surface)
    return (one[:, None] - other[None]).square().sum(dim=-1).sqrt()


def _there_and_back(every):
    return every.min(dim=1).values, every.min(dim=0).values


def _surface_distance(a, b, spacing):
    """The lab's reference: the mean of d(a, b) and d(b, a), each the mean distance of a surface to the nearest."""
    there, back = _there_and_back(_all_distances(a, b, spacing))
    return (there.mean() + back.mean()) / 2


def _by_surface(a, b, spacing, surface):
    there, back = _there_and_back(_all_distances(a, b, spacing, surface))
    return (there.mean() + back.mean()) / 2


def _whole_masks(a, b, spacing):
    return _by_surface(a, b, spacing, lambda mask: mask)


def _corners_count(a, b, spacing):
    return _by_surface(a, b, spacing, lambda mask: mask & ~_inner(mask, corners=True))


def _border_left_out(a, b, spacing):
    return _by_surface(a, b, spacing, lambda mask: mask & ~_inner(mask, border=True))


def _around_the_mask(a, b, spacing):
    """The pixels next to the mask, outside it."""
    return _by_surface(a, b, spacing, lambda mask: ~mask & ~_inner(~mask, border=True))


def _inside_pixels(a, b, spacing):
    return _by_surface(a, b, spacing, _inner)


def _some_neighbours(a, b, spacing, which=(0, 1)):
    """Above, below, left and right are 0 to 3."""

    def surface(mask):
        padded = pad(mask.float(), (1, 1, 1, 1)) > 0.5
        near = [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
        return mask & ~torch.stack([near[k] for k in which]).all(dim=0)

    return _by_surface(a, b, spacing, surface)


def _diagonals(a, b, spacing):
    def surface(mask):
        padded = pad(mask.float(), (1, 1, 1, 1)) > 0.5
        near = [padded[:-2, :-2], padded[:-2, 2:], padded[2:, :-2], padded[2:, 2:]]
        return mask & ~torch.stack(near).all(dim=0)

    return _by_surface(a, b, spacing, surface)


def _border_never(a, b, spacing):
    """The inner pixels are found inside the image alone, so no pixel of the border is ever on the surface."""

    def surface(mask):
        inner = mask.clone()
        inner[1:-1, 1:-1] &= mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
        return mask & ~inner

    return _by_surface(a, b, spacing, surface)


def _round_the_edge(a, b, spacing):
    def surface(mask):
        near = [mask.roll(k, axis) for axis in (0, 1) for k in (-1, 1)]
        return mask & ~torch.stack(near).all(dim=0)

    return _by_surface(a, b, spacing, surface)


def _too_few_counted(a, b, spacing, kernel="square", least=8):
    """Neighbours are counted by a convolution, and the limit is one off."""
    weights = torch.ones(3, 3)
    if kernel == "cross":
        weights[::2, ::2] = 0

    def surface(mask):
        return mask & (conv2d(mask[None, None].float(), weights[None, None], padding=1)[0, 0] < least)

    return _by_surface(a, b, spacing, surface)


def _any_neighbour(a, b, spacing, dims=(1, 0), how=lambda d, k: d.min(dim=k).values):
    """A pixel is called an inner one as soon as one neighbour is in the mask; then no surface is left."""

    def surface(mask):
        padded = pad(mask.float(), (1, 1, 1, 1)) > 0.5
        near = [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
        return mask & ~torch.stack(near).any(dim=0)

    every = _all_distances(a, b, spacing, surface)
    return sum(how(every, k).mean() for k in dims) / 2


def _in_pixels(a, b, spacing):
    return _surface_distance(a, b, (1.0, 1.0))


def _spacing_exchanged(a, b, spacing):
    return _surface_distance(a, b, spacing[::-1])


def _one_spacing(a, b, spacing, of=lambda s: s[0]):
    return of(spacing) * _in_pixels(a, b, spacing)


def _spacing_divides(a, b, spacing):
    return _surface_distance(a, b, tuple(1 / s for s in spacing))


def _spacing_unsquared(a, b, spacing):
    return _surface_distance(a, b, tuple(math.sqrt(s) for s in spacing))


def _spacing_twice(a, b, spacing):
    return _surface_distance(a, b, tuple(s**2 for s in spacing))


def _from_both(a, b, spacing, number):
    there, back = _there_and_back(_all_distances(a, b, spacing))
    return number(there, back)


def _largest(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: torch.maximum(there.max(), back.max()))


def _mean_of_largest(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: (there.max() + back.max()) / 2)


def _larger_mean(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: torch.maximum(there.mean(), back.mean()))


def _smaller_mean(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: torch.minimum(there.mean(), back.mean()))


def _one_direction(a, b, spacing, which=0):
    return _from_both(a, b, spacing, lambda *both: both[which].mean())


def _both_pooled(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: torch.cat([there, back]).mean())


def _half_missing(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: there.mean() + back.mean())


def _sums_in_place_of_means(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: (there.sum() + back.sum()) / 2)


def _over_the_other_number(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: (there.sum() / len(back) + back.sum() / len(there)) / 2)


def _over_all_pixels(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: (there.sum() / a.sum() + back.sum() / b.sum()) / 2)


def _medians(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: (there.median() + back.median()) / 2)


def _root_forgotten(a, b, spacing):
    return _from_both(a, b, spacing, lambda there, back: (there.square().mean() + back.square().mean()) / 2)


def _root_of_the_mean(a, b, spacing):
    return _from_both(
        a, b, spacing, lambda there, back: (there.square().mean().sqrt() + back.square().mean().sqrt()) / 2
    )


def _root_of_all(a, b, spacing):
    return _root_forgotten(a, b, spacing).sqrt()


def _steps_added(a, b, spacing):
    one, other = _points(a, spacing), _points(b, spacing)
    there, back = _there_and_back((one[:, None] - other[None]).abs().sum(dim=-1))
    return (there.mean() + back.mean()) / 2


def _longest_step(a, b, spacing):
    one, other = _points(a, spacing), _points(b, spacing)
    there, back = _there_and_back((one[:, None] - other[None]).abs().amax(dim=-1))
    return (there.mean() + back.mean()) / 2


def _nearest_forgotten(a, b, spacing):
    return _all_distances(a, b, spacing).mean()


def _farthest(a, b, spacing):
    every = _all_distances(a, b, spacing)
    return (every.max(dim=1).values.mean() + every.max(dim=0).values.mean()) / 2


def _surface_to_mask(a, b, spacing):
    one, other = _points(a, spacing), _points(b, spacing)
    whole = [_points(mask, spacing, lambda m: m) for mask in (a, b)]
    there = (one[:, None] - whole[1][None]).square().sum(-1).sqrt().min(1).values
    back = (other[:, None] - whole[0][None]).square().sum(-1).sqrt().min(1).values
    return (there.mean() + back.mean()) / 2


def _centres(a, b, spacing):
    return (_points(a, spacing).mean(0) - _points(b, spacing).mean(0)).norm()


def _centres_of_masks(a, b, spacing):
    return (a.nonzero() * torch.tensor(spacing)).mean(0).sub((b.nonzero() * torch.tensor(spacing)).mean(0)).norm()


def _least_mean(a, b, spacing):
    every = _all_distances(a, b, spacing)
    return (every.mean(dim=1).min() + every.mean(dim=0).min()) / 2


def _indices_averaged(a, b, spacing, how=lambda d, k: d.argmin(dim=k).float(), by=None):
    """Where two points are equally near, rounding decides, so distances by `torch.cdist` give other indices."""
    points = _points(a, spacing), _points(b, spacing)
    every = torch.cdist(*points, compute_mode=by) if by else _all_distances(a, b, spacing)
    return (how(every, 1).mean() + how(every, 0).mean()) / 2


def _coinciding_left_out(a, b, spacing):
    """Points that lie on the other outline too are not counted."""
    there, back = _there_and_back(_all_distances(a, b, spacing))
    return (there[there > 0].mean() + back[back > 0].mean()) / 2


def _next_but_the_same(a, b, spacing):
    """A distance of 0 is passed over, and the next point is taken."""
    every = _all_distances(a, b, spacing)
    there, back = _there_and_back(every.masked_fill(every == 0, float("inf")))
    return (there.mean() + back.mean()) / 2


def _own_points_to_own_points(a, b, spacing):
    one, other = _surface(a), _surface(b)
    apart = [(s & ~t).nonzero() * torch.tensor(spacing) for s, t in ((one, other), (other, one))]
    there, back = _there_and_back((apart[0][:, None] - apart[1][None]).square().sum(-1).sqrt())
    return (there.mean() + back.mean()) / 2


def _with_itself(a, b, spacing):
    return [(a, a, spacing), (b, b, spacing)]


def _is_zero(arguments, values):
    """`torch.cdist` may be off by some thousandths for more than 25 points."""
    worst = max(abs(float(v)) for v in values)
    return None if worst < 0.02 else f"it is {worst:.3g}"


def _two_pixels(a, b, spacing):
    """One pixel each, in rows and columns that neither their number nor their distance tells apart by chance."""
    one, other = torch.zeros_like(a), torch.zeros_like(a)
    one[2, 1], other[9, 10] = True, True
    return [(one, other, spacing)]


def _as_the_crow_flies(arguments, values):
    _, _, (row, column) = arguments[0]
    wanted, found = math.hypot(7 * row, 9 * column), float(values[0])
    if abs(found - wanted) < 1e-3 * wanted:
        return None
    return (
        f"7 rows and 9 columns apart, spaced {row:.3g} and {column:.3g}, they are {found:.4g} apart, not {wanted:.4g}"
    )


def _either_order(a, b, spacing):
    return [(a, b, spacing), (b, a, spacing)]


def _order_does_not_count(arguments, values):
    one, other = (float(v) for v in values)
    return None if abs(one - other) < 1e-3 * abs(one) else f"(a, b) gives {one:.4g}, and (b, a) {other:.4g}"


surface_distance = Exercise(
    number=7,
    function="surface_distance",
    title="how far two outlines are apart",
    minutes=15,
    value_points=2,
    takes={
        "a": "bool (height, width), not empty",
        "b": "bool (height, width), not empty",
        "spacing": "two numbers: from one row to the next and from one column to the next, in the unit of the result",
    },
    returns="one number, in the unit of `spacing`",
    draw=_draw_outlines,
    reference=_surface_distance,
    answers=("course_lib.metrics.segmentation.average_surface_distance",),
    closed=("monai.metrics.compute_average_surface_distance",),
    cases=len(SHAPES),
    mistakes=(
        Mistake(
            _whole_masks,
            "you measure from all pixels of the masks: only those of the surface count, which have a neighbour outside",
        ),
        Mistake(
            _surface_to_mask,
            "you measure from a surface to the nearest pixel of the other *mask*: from surface to surface",
        ),
        Mistake(
            _corners_count,
            "your surface looks at eight neighbours: a pixel has four, above, below, left and right",
        ),
        Mistake(
            _border_left_out,
            "your surface is open at the image's border: outside the image counts as outside the mask",
        ),
        Mistake(
            _around_the_mask,
            "your surface lies around the mask: its pixels are in the mask, and have a neighbour outside",
        ),
        Mistake(_inside_pixels, "you take the pixels *inside* the surface: the surface is those that are left"),
        Mistake(
            _some_neighbours,
            "your surface does not look at all neighbours: a pixel has four, above, below, left and right",
            also=tuple(
                partial(_some_neighbours, which=which)
                for count in (1, 2, 3) for which in combinations(range(4), count) if which != (0, 1)
            ),
        ),
        Mistake(
            _diagonals, "your surface looks at the diagonal neighbours: it is those above, below, left and right",
        ),
        Mistake(
            _border_never,
            "no pixel at the image's border is on your surface: outside the image counts as outside the mask, so pad "
            "the mask with False first",
        ),
        Mistake(
            _round_the_edge,
            "`roll` wraps round, so a pixel at the border meets the other side of the image: pad the mask with False, "
            "and take slices",
        ),
        Mistake(
            _too_few_counted,
            "you count neighbours, and your limit is another: a pixel is an inner one if all four are in the mask, "
            "above, below, left and right, and on the surface if one of them is not",
            also=(
                partial(_too_few_counted, least=7), partial(_too_few_counted, kernel="cross", least=4),
                partial(_too_few_counted, kernel="cross", least=3),
            ),
        ),
        Mistake(
            _any_neighbour,
            "your surface has no points: a pixel is an inner one if *all* four neighbours are in the mask, so join "
            "them by `&`, not by `|`",
            also=(
                partial(_any_neighbour, dims=(0, 1)), partial(_any_neighbour, how=lambda d, k: d.amin(dim=k)),
                partial(_any_neighbour, how=lambda d, k: d.amin(dim=k), dims=(0, 1)),
            ),
        ),
        Mistake(
            _in_pixels,
            "your distance is in pixels: multiply rows and columns by their spacing before you measure",
        ),
        Mistake(
            _spacing_exchanged,
            "your spacings are exchanged: `spacing[0]` is from row to row, `spacing[1]` from column to column",
        ),
        Mistake(
            _one_spacing,
            "you multiply the distance by one spacing: rows and columns have their own, before you measure",
            also=tuple(
                partial(_one_spacing, of=of)
                for of in (lambda s: s[1], lambda s: (s[0] + s[1]) / 2, lambda s: math.sqrt(s[0] * s[1]))
            ),
        ),
        Mistake(
            _spacing_divides,
            "you divide by the spacing: pixels times the distance between them is a length",
        ),
        Mistake(
            _spacing_unsquared,
            "your spacing is not squared with its rows and columns: (rows · spacing)² under the root, or multiply "
            "before you square",
            also=(_spacing_twice,),
        ),
        Mistake(
            _largest,
            "this is the Hausdorff distance, the largest: take the mean over the surface",
            also=(_mean_of_largest,),
        ),
        Mistake(
            _larger_mean, "you take the larger or the smaller of the two means: take half their sum",
            also=(_smaller_mean,),
        ),
        Mistake(
            _one_direction,
            "you measure one way alone: from a to b and from b to a, then the mean of both",
            also=(partial(_one_direction, which=1),),
        ),
        Mistake(
            _both_pooled,
            "you average over all points of both surfaces, so the longer outline counts more: a mean for each way, "
            "then half their sum",
        ),
        Mistake(_half_missing, "you add the two means: the distance is half their sum"),
        Mistake(
            _sums_in_place_of_means,
            "you add the distances: each way takes the mean over its surface, or long outlines are far apart",
        ),
        Mistake(
            _over_the_other_number,
            "you divide by the number of points of the other surface or of the whole mask: the mean from a to b is "
            "over the surface of a",
            also=(_over_all_pixels,),
        ),
        Mistake(_medians, "you take medians of the distances: the mean over each surface is wanted"),
        Mistake(
            _root_forgotten,
            "the root is missing: the distance of two points is √(rows² + columns²)",
        ),
        Mistake(
            _root_of_the_mean,
            "you average squares and take the root then: first the root for each point, then the mean",
            also=(_root_of_all,),
        ),
        Mistake(
            _steps_added,
            "you add steps down and to the right, or take the longer: √(rows² + columns²)",
            also=(_longest_step,),
        ),
        Mistake(
            _coinciding_left_out,
            "you leave out the points that both outlines share: their distance is 0, and it counts in the mean",
            also=(_own_points_to_own_points,),
        ),
        Mistake(
            _next_but_the_same,
            "you pass over distances of 0: where both outlines have the same point it is the nearest one, at 0",
        ),
        Mistake(
            _least_mean,
            "you average first and take the least then: for each point the nearest of the other surface, then the mean",
        ),
        Mistake(
            _indices_averaged,
            "you average indices: `.min(dim=...)` gives values and indices, and the distances are `.values`",
            also=(
                partial(_indices_averaged, by="use_mm_for_euclid_dist_if_necessary"),
                partial(_indices_averaged, by="donot_use_mm_for_euclid_dist"),
                partial(_indices_averaged, how=lambda d, k: d.min(dim=k)[1]),
                partial(_indices_averaged, how=lambda d, k: d.min(dim=k)),
            ),
        ),
        Mistake(
            _nearest_forgotten,
            "you average over all pairs: each point is measured to the *nearest* of the other surface, `.min(dim=...)`",
            also=(_farthest,),
        ),
        Mistake(
            _centres, "you measure between the centres: each point of a surface to the nearest of the other",
            also=(_centres_of_masks,),
        ),
    ),
    properties=(
        Property(
            "two pixels", "Masks of one pixel each should be as far apart as the pixels.",
            _two_pixels, _as_the_crow_flies,
        ),
        Property(
            "either order", "The order of the masks should not count.", _either_order, _order_does_not_count,
        ),
        Property(
            "from itself", "A mask should be 0 apart from itself, for each point is its own nearest.",
            _with_itself, _is_zero,
        ),
    ),
    hints=(
        "First the surface: pad the mask with a row and column of False on each side, `torch.nn.functional.pad(mask, "
        "(1, 1, 1, 1))`, and compare it with itself moved by one pixel four times.",
        "`inner = p[:-2, 1:-1] & p[2:, 1:-1] & p[1:-1, :-2] & p[1:-1, 2:]`, with p the padded mask; `(mask & "
        "~inner).nonzero() * torch.tensor(spacing, dtype=torch.float32)` are the points of the surface, in the unit of "
        "`spacing`.",
        "`d = torch.cdist(points_a, points_b, compute_mode=\"donot_use_mm_for_euclid_dist\")` are all distances, "
        "exactly; `(d.min(dim=1).values.mean() + d.min(dim=0).values.mean()) / 2`.",
    ),
    tolerance=1e-3,
)  # fmt: skip


LAB = Lab(
    module="06_unet_segmentation",
    title="06 U-Net segmentation",
    exercises=(windows, dense_scores, up_step, dice_loss, generalized_dice_loss, elastic, surface_distance),
    open_questions=(
        OpenQuestion(
            number=8,
            name="which_number",
            title="which number to report?",
            minutes=22,
            points=4,
            marking=(
                "goes through the table fault by fault: the shift costs Dice and the surface distance, the gap the "
                "Rand error alone, the blob the Hausdorff distance alone; explains each by its formula, and why the "
                "95th percentile misses gap and blob (1)",
                "chooses by purpose with a reason: what cells are merged or split for tracing (Rand error), size for "
                "the amount of membrane (volume similarity, which sees no place), surface distances in nm for the "
                "outline (1)",
                "says what makes a gap bad: which cells it joins, about the product of their sizes, or that it opens "
                "nothing; reads it off the histogram while Dice stays the same (1)",
                "names an error that none of them sees, such as a wrong label where a membrane is oblique, a wrong "
                "probability, a wrong link to the next section, or tissue unlike the generated one (1)",
            ),
        ),
    ),
)
progress = LAB.progress
