"""Photographs that come inside the wheels of scikit-image, scikit-learn, matplotlib and PyWavelets: no download."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import numpy as np
import torch
from jaxtyping import Float

from course_lib import expect
from course_lib.data.readers import luminance, read_image

_SKIMAGE, _SKLEARN, _MATPLOTLIB, _PYWT = (
    "skimage.data", "sklearn.datasets.images", "matplotlib", "pywt.data",
)  # fmt: skip

#: name → (package, file). Authors and licences are named in the packages' own documentation.
PHOTOGRAPHS = {
    "aerial": (_PYWT, "aero.npz"),
    "ascent": (_PYWT, "ascent.npz"),
    "astronaut": (_SKIMAGE, "astronaut.png"),
    "brick": (_SKIMAGE, "brick.png"),
    "camera": (_SKIMAGE, "camera.png"),
    "cat": (_SKIMAGE, "chelsea.png"),
    "china": (_SKLEARN, "china.jpg"),
    "clock": (_SKIMAGE, "clock_motion.png"),
    "coffee": (_SKIMAGE, "coffee.png"),
    "coins": (_SKIMAGE, "coins.png"),
    "flower": (_SKLEARN, "flower.jpg"),
    "grass": (_SKIMAGE, "grass.png"),
    "gravel": (_SKIMAGE, "gravel.png"),
    "hopper": (_MATPLOTLIB, "mpl-data/sample_data/grace_hopper.jpg"),
    "moon": (_SKIMAGE, "moon.png"),
    "motorcycle": (_SKIMAGE, "motorcycle_left.png"),
    "rocket": (_SKIMAGE, "rocket.jpg"),
}

#: What a spectrum is estimated from and tested on: every second of fifteen names in alphabetical order, so that nobody
#: chose which photographs make the test easy. Not for networks: they train on some of `TEST_PHOTOGRAPHS`.
TRAINING_PHOTOGRAPHS = tuple(sorted(set(PHOTOGRAPHS) - {"aerial", "ascent"}))[::2]
TEST_PHOTOGRAPHS = tuple(sorted(set(PHOTOGRAPHS) - {"aerial", "ascent"}))[1::2]

#: Networks need more to learn from: they are tested on `NETWORK_TEST_PHOTOGRAPHS` alone (an animal, objects, a person
#: and a machine), validated on two more, and trained on all others.
NETWORK_TEST_PHOTOGRAPHS = ("cat", "coins", "hopper", "motorcycle")
NETWORK_VALIDATION_PHOTOGRAPHS = ("brick", "rocket")
NETWORK_TRAINING_PHOTOGRAPHS = tuple(
    sorted(set(PHOTOGRAPHS) - {*NETWORK_TEST_PHOTOGRAPHS, *NETWORK_VALIDATION_PHOTOGRAPHS})
)


def photographs(
    names: Sequence[str] = TRAINING_PHOTOGRAPHS, size: int = 256
) -> Float[torch.Tensor, "batch 1 size size"]:
    """Grey photographs, cut to their central square and scaled to `size` pixels a side.

    Args:
        names: keys of `PHOTOGRAPHS`.
        size: pixels a side, from 2.

    Returns:
        float32 in [0, 1], (batch, 1, size, size); linear luma weights of ITU-R BT.601.

    Raises:
        InputError: an unknown name, no name at all, a size that is no whole number from 2.
    """
    expect.image_size(size)
    _check_names(names)
    return torch.stack([_photograph(name, size) for name in names]).clone()


def whole_photographs(
    names: Sequence[str], scales: Sequence[float] = (1.0,)
) -> list[Float[torch.Tensor, "1 height width"]]:
    """Grey photographs in their own shapes, each at several scales: what a network cuts its patches from.

    Args:
        names: keys of `PHOTOGRAPHS`.
        scales: factors in (0, 1] of both sides.

    Returns:
        for each name, one image for each scale: float32 in [0, 1].

    Raises:
        InputError: an unknown name, no name at all, a scale outside (0, 1].
    """
    _check_names(names)
    for scale in scales:
        expect.number("a scale", scale, above=0, most=1)
    return [_scaled(_grey(name), scale) for name in names for scale in scales]


def _check_names(names: Sequence[str]) -> None:
    if isinstance(names, str) or not names:
        raise expect.InputError(f"expected a list of photographs' names, got {names!r}")
    unknown = [name for name in names if name not in PHOTOGRAPHS]
    if unknown:
        raise expect.InputError(
            f"expected photographs among {', '.join(sorted(PHOTOGRAPHS))}, got {', '.join(map(str, unknown))}"
        )


@cache
def _photograph(name: str, size: int) -> Float[torch.Tensor, "1 size size"]:
    grey = _grey(name)
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    return _resized(grey[top : top + side, left : left + side], (size, size))


def _grey(name: str) -> Float[torch.Tensor, "height width"]:
    package, file = PHOTOGRAPHS[name]
    with resources.as_file(resources.files(package) / file) as path:
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                return torch.from_numpy(arrays["data"]).float() / 255
        return luminance(read_image(path))[0, 0]


def _scaled(grey: Float[torch.Tensor, "height width"], scale: float) -> Float[torch.Tensor, "1 rows columns"]:
    return _resized(grey, (round(grey.shape[0] * scale), round(grey.shape[1] * scale)))


def _resized(
    grey: Float[torch.Tensor, "height width"], shape: tuple[int, int]
) -> Float[torch.Tensor, "1 rows columns"]:
    from skimage.transform import resize

    small = resize(grey.double().numpy(), shape, anti_aliasing=min(grey.shape) > min(shape))
    return torch.from_numpy(small).clamp(0, 1).float()[None]


def with_symmetries(
    images: Float[torch.Tensor, "batch channel size size"],
) -> Float[torch.Tensor, "batch*8 channel size size"]:
    """Each square image in its eight mirrored and turned positions.

    A photograph and its mirror image are equally likely, so statistics may be averaged over all eight. For power
    spectra, which a half turn does not change, four of them differ.
    """
    expect.images("images", images)
    if images.shape[-1] != images.shape[-2]:
        raise expect.InputError(f"expected square images, got {expect.describe(images)}")
    turned = [torch.rot90(images, quarter, dims=(-2, -1)) for quarter in range(4)]
    return torch.cat(turned + [image.flip(-1) for image in turned])
