"""Losses of segmentation: brute-force definitions, MONAI, finite differences, and the deck's sign error."""

import math

import pytest
import torch
from monai.losses import DiceLoss, GeneralizedDiceLoss

from course_lib.expect import InputError
from course_lib.training.segmentation_losses import (
    LOSSES,
    bce_loss,
    dice_gradient,
    dice_loss,
    generalized_dice_gradient,
    generalized_dice_loss,
)


@pytest.fixture(params=[(2, 1, 5, 6), (3, 3, 4, 5), (2, 2, 3, 4, 5)], ids=str)
def maps(request):
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(request.param, generator=generator, dtype=torch.float64)
    r = (torch.rand(request.param, generator=generator) < 0.3).double()
    r.flatten(2)[..., 0] = 1  # every class is somewhere
    return p, r


def pixels(maps):
    """Image by image and class by class, as lists of numbers."""
    p, r = maps
    return [
        [(p[b, c].flatten().tolist(), r[b, c].flatten().tolist()) for c in range(p.shape[1])] for b in range(len(p))
    ]


def test_bce_equals_its_definition(maps):
    terms = [
        -(y * math.log(o) + (1 - y) * math.log(1 - o))
        for image in pixels(maps)
        for p, r in image
        for o, y in zip(p, r, strict=True)
    ]
    assert bce_loss(*maps).item() == pytest.approx(sum(terms) / len(terms), rel=1e-9)


@pytest.mark.parametrize("squared", [True, False])
def test_dice_equals_its_definition_and_monai(maps, squared):
    overlaps = []
    for image in pixels(maps):
        for p, r in image:
            size = sum(o * o + y * y for o, y in zip(p, r, strict=True)) if squared else sum(p) + sum(r)
            overlaps.append(2 * sum(o * y for o, y in zip(p, r, strict=True)) / size)
    found = dice_loss(*maps, squared=squared).item()
    assert found == pytest.approx(1 - sum(overlaps) / len(overlaps), abs=1e-6)
    assert found == pytest.approx(DiceLoss(squared_pred=squared, smooth_nr=0, smooth_dr=0)(*maps).item(), abs=1e-6)


def test_generalized_dice_equals_its_definition_and_monai(maps):
    losses = []
    for image in pixels(maps):
        w = [1 / sum(r) ** 2 for _, r in image]
        above = sum(wl * sum(o * y for o, y in zip(p, r, strict=True)) for wl, (p, r) in zip(w, image, strict=True))
        below = sum(wl * (sum(p) + sum(r)) for wl, (p, r) in zip(w, image, strict=True))
        losses.append(1 - 2 * above / below)
    found = generalized_dice_loss(*maps).item()
    assert found == pytest.approx(sum(losses) / len(losses), abs=1e-6)
    assert found == pytest.approx(GeneralizedDiceLoss(smooth_nr=0, smooth_dr=0)(*maps).item(), abs=1e-6)


def test_a_class_that_an_image_has_not_weighs_as_much_as_the_rarest_it_has():
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 2, (2, 6, 6), generator=generator)  # of three classes the last is missing
    r = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).double()
    p = torch.rand(2, 3, 6, 6, generator=generator, dtype=torch.float64).softmax(1)
    wanted = GeneralizedDiceLoss(smooth_nr=0, smooth_dr=0)(p, r).item()
    assert generalized_dice_loss(p, r).item() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_by_finite_differences(name, maps):
    p, r = maps
    assert torch.autograd.gradcheck(lambda p: LOSSES[name](p, r), (0.01 + 0.98 * p).requires_grad_())


def test_the_deck_s_gradient_of_dice_is_that_of_the_overlap(maps):
    p, r = maps
    p = p.requires_grad_()
    (slope,) = torch.autograd.grad(dice_loss(p, r), p)
    count = p.shape[0] * p.shape[1]  # the loss is a mean over images and classes
    torch.testing.assert_close(dice_gradient(p.detach(), r), -count * slope, atol=1e-6, rtol=1e-4)


def test_the_deck_s_gradient_of_generalized_dice_has_the_wrong_sign():
    generator = torch.Generator().manual_seed(2)
    p = torch.rand(2, 1, 7, 8, generator=generator, dtype=torch.float64).requires_grad_()
    r = (torch.rand(2, 1, 7, 8, generator=generator) < 0.2).double()
    loss = generalized_dice_loss(torch.cat([p, 1 - p], 1), torch.cat([r, 1 - r], 1))
    (slope,) = torch.autograd.grad(len(p) * loss, p)
    found = generalized_dice_gradient(p.detach(), r)
    torch.testing.assert_close(found, slope, atol=1e-6, rtol=1e-4)

    i, w1, w2, N = (0, 0, 0, 0), 1 / r[0].sum() ** 2, 1 / (1 - r[0]).sum() ** 2, 56
    pr, both = (p[0] * r[0]).sum(), (p[0] + r[0]).sum()
    printed = -2 * ((w1**2 - w2**2) * (pr - r[i] * both) + N * w2 * (w1 + w2) * (1 - 2 * r[i]))
    printed = printed / ((w1 - w2) * both + 2 * N * w2) ** 2
    assert (printed / slope[i]).item() == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_to_find_and_nothing_found_is_no_loss(name):
    nothing = torch.zeros(1, 1, 4, 4)
    loss = LOSSES[name](nothing.requires_grad_(), torch.zeros(1, 1, 4, 4))
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss.backward()
    assert nothing.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_bad_input_is_one_line(name, unchecked):
    p, r = torch.rand(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    for bad, told in [
        ((3 * p + 1, r), "apply a sigmoid or softmax"),
        ((p, r[..., :3]), "one shape"),
        ((p[0, 0], r[0, 0]), "(batch, class, *spatial)"),
        ((p * float("nan"), r), "NaN"),
        ((p, r.int()), "floating-point"),
    ]:
        with pytest.raises(InputError, match=".*") as raised:
            LOSSES[name](*bad)
        assert told in str(raised.value)
        assert "\n" not in str(raised.value)
