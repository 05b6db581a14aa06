"""Lab 06: what its tables of answers cannot say."""

import itertools

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from answers.unet_segmentation import OTHER_WAYS, dense_by_wide_kernels, windows_by_loops
from judging import judge

from course_lib.exercises import load_lab
from course_lib.exercises.calls import run


def test_the_library_gives_what_lab_06_teaches():
    """As for lab 02; the library's own networks have other layers."""
    from course_lib import metrics
    from course_lib.training import segmentation_losses

    lab = load_lab("06_unet_segmentation")
    library = {
        "dice_loss": segmentation_losses.dice_loss,
        "generalized_dice_loss": segmentation_losses.generalized_dice_loss,
        "surface_distance": lambda a, b, spacing: metrics.average_surface_distance(
            a[None, None], b[None, None], spacing
        )[0],
    }
    for name, function in library.items():
        assert judge(lab[name], function).passed, str(judge(lab[name], function))


def test_monai_gives_what_lab_06_teaches():
    from monai.losses import DiceLoss, GeneralizedDiceLoss

    lab = load_lab("06_unet_segmentation")
    exact = {"smooth_nr": 0, "smooth_dr": 0}
    for name, loss in {
        "dice_loss": DiceLoss(squared_pred=True, **exact),
        "generalized_dice_loss": GeneralizedDiceLoss(w_type="square", **exact),
    }.items():
        assert judge(lab[name], lambda p, r, loss=loss: loss(p, r)).passed


def _score(window, first, second, last):
    return F.conv2d(torch.relu(F.conv2d(F.max_pool2d(torch.relu(F.conv2d(window, first)), 2), second)), last)


def _joined_windows(image, *kernels):
    pieces = [_score(w[None], *kernels) for w in windows_by_loops(image, 12)]
    return torch.cat(pieces).reshape(1, 1, *(n - 11 for n in image.shape[-2:]))


def _windows_into_a_result(image, *kernels):
    scores = torch.zeros(1, 1, *(n - 11 for n in image.shape[-2:]))
    for i, j in itertools.product(*map(range, scores.shape[2:])):
        scores[0, 0, i, j] = _score(image[..., i : i + 12, j : j + 12], *kernels).item()
    return scores


def _numbers_of_windows(image, *kernels):
    height, width = (n - 11 for n in image.shape[-2:])
    numbers = [
        [_score(image[..., i : i + 12, j : j + 12], *kernels).item() for j in range(width)] for i in range(height)
    ]
    return torch.tensor([[numbers]])


def _batch_of_windows(image, *kernels):
    batch = image.unfold(2, 12, 1).unfold(3, 12, 1).reshape(-1, 1, 12, 12)
    return _score(batch, *kernels).reshape(1, 1, *(n - 11 for n in image.shape[-2:]))


def _windows_as_products(image, first, second, last):
    """No convolution is called, and every window is still worked on by itself."""
    x = image.unfold(2, 12, 1).unfold(3, 12, 1).reshape(-1, 1, 12, 12)

    def layer(x, kernel):
        side = x.shape[-1] - kernel.shape[-1] + 1
        return (kernel.flatten(1) @ F.unfold(x, kernel.shape[-1])).reshape(len(x), -1, side, side)

    x = layer(torch.relu(layer(F.max_pool2d(torch.relu(layer(x, first)), 2), second)), last)
    return x.reshape(1, 1, *(n - 11 for n in image.shape[-2:]))


def _windows_and_the_exception_caught(image, *kernels):
    try:
        return _batch_of_windows(image, *kernels)
    except Exception:
        return dense_by_wide_kernels(image, *kernels)


@pytest.mark.parametrize(
    "function",
    [
        _joined_windows, _windows_into_a_result, _numbers_of_windows, _batch_of_windows, _windows_as_products,
        _windows_and_the_exception_caught,
    ],
)  # fmt: skip
def test_going_over_the_windows_is_not_dense(function):
    """Its values are right, and it computes everything many times."""
    exercise = load_lab("06_unet_segmentation")["dense_scores"]
    assert judge(exercise, function).passed
    result = exercise.check(function)
    assert result.status == "failed"
    assert result.message.startswith("you cut out every window: the dense network takes the whole image in one pass")
    assert not result.value_right
    exercise.forget()


@pytest.mark.parametrize("function", OTHER_WAYS["dense_scores"])
def test_other_dense_networks_are_not_too_much_work(function):
    exercise = load_lab("06_unet_segmentation")["dense_scores"]
    assert exercise.check(function).passed
    exercise.forget()


def _monai_inside(p, r):
    from monai.losses import DiceLoss

    return DiceLoss(squared_pred=True, smooth_nr=0, smooth_dr=0)(p, r)


def _monai_by_its_room(p, r):
    import monai

    return monai.losses.dice.Dice(squared_pred=True)(p, r)


def _monai_generalized(p, r):
    import monai.losses

    return monai.losses.GeneralizedDiceLoss(w_type="square")(p, r)


def _monai_distance(a, b, spacing):
    from monai.metrics import compute_average_surface_distance as distance

    return distance(a[None, None], b[None, None], True, True, spacing=spacing)[0, 0]


def _made_before(p, r, made=[]):  # noqa: B006
    if not made:
        from monai.losses import DiceLoss

        made.append(DiceLoss(squared_pred=True))
    return made[0](p, r)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("dice_loss", _monai_inside), ("dice_loss", _monai_by_its_room), ("dice_loss", _made_before),
        ("generalized_dice_loss", _monai_generalized), ("surface_distance", _monai_distance),
    ],
)  # fmt: skip
def test_monai_is_no_answer_of_lab_06(name, function):
    """However it is reached, in a lab and, since it is by `run`, in grading; and it is open again afterwards."""
    exercise = load_lab("06_unet_segmentation")[name]
    case = exercise.calls(0)[0].arguments
    assert run(function, case).arrays is not None
    assert run(function, case, closed=exercise.closed).error_type == "AnswerIsAbsent"
    result = exercise.check(function)
    assert (result.status, result.points) == ("failed", 0)
    assert "calls `monai." in result.message
    assert "write out what it does" in result.message
    assert run(function, case).arrays is not None
    exercise.forget()


@pytest.mark.parametrize(
    "function",
    [
        lambda p, r: (1 - 2 * (p * r).sum((1, 2, 3)) / (p.detach() ** 2 + r**2).sum((1, 2, 3))).mean(),
        lambda p, r: (1 - 2 * (p.detach() * r).sum((1, 2, 3)) / (p**2 + r**2).sum((1, 2, 3))).mean(),
    ],
)
def test_a_gradient_that_is_cut_off_in_part_is_told_so(function):
    exercise = load_lab("06_unet_segmentation")["dice_loss"]
    result = exercise.check(function)
    assert result.passed
    assert "to `p` as it should, so the gradient is another: a part is cut off or changed on the way" in result.message
    exercise.forget()


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("up_step", lambda value: value.detach()), ("dense_scores", lambda value: value.detach()),
        ("dice_loss", lambda value: torch.tensor(value.item())), ("dice_loss", float),
        ("generalized_dice_loss", lambda value: value.detach()),
    ],
)  # fmt: skip
def test_an_answer_of_lab_06_that_cuts_autograd_off_is_told_so(name, cut):
    """The networks of the lab learn through these."""
    exercise = load_lab("06_unet_segmentation")[name]
    right = exercise.reference
    result = exercise.check(lambda *arguments: cut(right(*arguments)))
    assert result.passed
    assert "Autograd does not come through your function" in str(result)
    assert exercise.check(lambda *arguments: right(*arguments)).message == ""
    exercise.forget()
