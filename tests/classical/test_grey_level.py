"""The best grey level: against a search by hand, on both sides, and for images of different sizes."""

import pytest
import torch

from course_lib import classical, expect, metrics
from course_lib.classical import Threshold, best_threshold


def blobs(generator, size=(24, 32), contrast=0.4):
    """Noise, brighter inside a box."""
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    mask[..., 5:15, 8:20] = True
    image = 0.3 + contrast * mask + 0.15 * torch.randn(1, 1, *size, generator=generator)
    return (image.clamp(0, 1) * 255).round() / 255, mask


def mean_dice(threshold, images, masks):
    return float(torch.cat([metrics.dice(threshold(x), m) for x, m in zip(images, masks, strict=True)]).mean())


@pytest.mark.parametrize("dark", [False, True])
def test_no_other_level_has_more_overlap(generator, dark):
    images, masks = zip(*(blobs(generator) for _ in range(3)), strict=True)
    if dark:
        images = [1 - image for image in images]
    found = best_threshold(torch.cat(list(images)), torch.cat(masks))
    assert found.dark == dark
    wanted = max(
        mean_dice(Threshold((k + 0.5) / 255, side), images, masks) for k in range(-1, 256) for side in (False, True)
    )
    assert mean_dice(found, images, masks) == pytest.approx(wanted, abs=1e-6)


def test_each_image_counts_alike_whatever_its_size(generator):
    """The mean is over images, not over pixels; a volume is one image."""
    small, large = blobs(generator, (20, 24)), blobs(generator, (90, 100), contrast=0.7)
    volume = tuple(torch.cat(part) for part in zip(*(blobs(generator, contrast=0.1) for _ in range(3)), strict=True))
    images, masks = map(list, zip(small, large, volume, strict=True))
    found = best_threshold(images, masks)

    def overlap(threshold):
        values = [
            2 * (threshold(x) & m).sum() / (threshold(x).sum() + m.sum()) for x, m in zip(images, masks, strict=True)
        ]
        return float(torch.stack(values).mean())

    wanted = max(overlap(Threshold((k + 0.5) / 255, side)) for k in range(-1, 256) for side in (False, True))
    assert overlap(found) == pytest.approx(wanted, abs=1e-6)


def test_in_a_gap_the_middle_is_taken():
    image = torch.tensor([0.0, 0.2, 0.8, 1.0]).reshape(1, 1, 2, 2)
    found = best_threshold(image, image > 0.5)
    assert found.level == pytest.approx(0.5, abs=0.01)
    assert not found.dark
    assert torch.equal(found(image), image > 0.5)


def test_an_image_of_one_value_and_an_empty_mask():
    image = torch.full((1, 1, 4, 4), 0.5)
    full = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert best_threshold(image, full)(image).all()
    assert not best_threshold(image, ~full)(image).any()


@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments_are_told(generator):
    image, mask = blobs(generator)
    for arguments, said in [
        (([], []), "expected a mask to each image, got 0 to 0 images"),
        (([image], [mask, mask]), "expected a mask to each image, got 2 to 1 images"),
        ((image, mask.float()), "expected masks as bool torch.Tensors, got a torch.Tensor of .* float32"),
        ((image, mask[..., 1:]), "expected each image and its mask of one shape"),
        ((image * torch.nan, mask), "expected images without NaN"),
        (
            ([image[0]], [mask[0]]),
            r"expected images as a floating-point torch.Tensor \(batch, channel, height, width\)",
        ),
    ]:
        with pytest.raises(expect.InputError, match=said):
            classical.best_threshold(*arguments)
    with pytest.raises(expect.InputError, match="expected images as a floating-point"):
        Threshold(0.5, False)(mask)
