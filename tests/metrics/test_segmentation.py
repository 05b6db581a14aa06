"""Overlap, size, distance and parting of masks: against their definitions, MONAI, and masks whose answer is known."""

import itertools
import math

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric, MeanIoU, compute_average_surface_distance, compute_hausdorff_distance

from course_lib import data, metrics
from course_lib.expect import InputError

SPACINGS = {2: (0.5, 1.7), 3: (3.0, 0.5, 1.2)}
SIZES = {2: (23, 31), 3: (9, 14, 12)}


pytestmark = pytest.mark.filterwarnings("ignore:.*get_mask_edges:FutureWarning")  # MONAI about itself


@pytest.fixture(params=[2, 3], ids=["2-D", "3-D"])
def pair(request, generator):
    """Three pairs of ragged masks, and the spacing of their pixels; some touch the image's border."""
    size = SIZES[request.param]
    rough = torch.randn(6, 1, *size, generator=generator)
    pool = torch.nn.functional.avg_pool2d if request.param == 2 else torch.nn.functional.avg_pool3d
    masks = pool(rough, 5, stride=1, padding=2) > 0.05
    return masks[:3], masks[3:], SPACINGS[request.param]


def ball(size, centre, radius):
    grid = torch.meshgrid(*(torch.arange(n) for n in size), indexing="ij")
    squared = sum((x - c) ** 2 for x, c in zip(grid, centre, strict=True))
    return (squared <= radius**2)[None, None]


def surface_of(mask):
    """By the definition, pixel by pixel: a neighbour along an axis is outside the mask, or outside the image."""
    found = []
    for place in map(tuple, mask.nonzero().tolist()):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            next_to = list(place)
            next_to[axis] += step
            if not 0 <= next_to[axis] < mask.shape[axis] or not mask[tuple(next_to)]:
                found.append(place)
                break
    return torch.tensor(found, dtype=torch.float64)


def distances_of(a, b, spacing):
    """From each point of A's surface the least distance to B's, and the other way: all pairs."""
    points = [surface_of(x) * torch.tensor(spacing, dtype=torch.float64) for x in (a, b)]
    every = torch.cdist(*points, compute_mode="donot_use_mm_for_euclid_dist")
    return every.min(dim=1).values, every.min(dim=0).values


def test_overlap_and_size_are_their_formulas(pair):
    a, b, _ = pair
    for i in range(3):
        one, other = a[i].flatten().tolist(), b[i].flatten().tolist()
        both = sum(x and y for x, y in zip(one, other, strict=True))
        fp, fn = sum(one) - both, sum(other) - both
        assert metrics.dice(a, b)[i].item() == pytest.approx(2 * both / (2 * both + fp + fn), abs=1e-6)
        assert metrics.iou(a, b)[i].item() == pytest.approx(both / (both + fp + fn), abs=1e-6)
        similarity = 1 - abs(fn - fp) / (2 * both + fp + fn)
        assert metrics.volume_similarity(a, b)[i].item() == pytest.approx(similarity, abs=1e-6)
        same = sum(x == y for x, y in zip(one, other, strict=True)) / len(one)
        assert metrics.pixel_accuracy(a, b)[i].item() == pytest.approx(same, abs=1e-6)


def test_overlap_is_monais(pair):
    a, b, _ = pair
    theirs = DiceMetric(reduction="none")(a.float(), b.float())[:, 0]
    torch.testing.assert_close(metrics.dice(a, b), theirs, atol=1e-5, rtol=0)
    theirs = MeanIoU(reduction="none")(a.float(), b.float())[:, 0]
    torch.testing.assert_close(metrics.iou(a, b), theirs, atol=1e-5, rtol=0)
    torch.testing.assert_close(metrics.iou(a, b), metrics.dice(a, b) / (2 - metrics.dice(a, b)))


@pytest.mark.parametrize("percentile", [100.0, 95.0, 50.0])
def test_hausdorff_is_its_definition_and_monais(pair, percentile):
    a, b, spacing = pair
    found = metrics.hausdorff(a, b, spacing, percentile)
    brute = [
        max(np.percentile(d.numpy(), percentile) for d in distances_of(x[0], y[0], spacing))
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(found, brute, atol=1e-5)
    theirs = compute_hausdorff_distance(
        a.float(), b.float(), include_background=True, percentile=percentile, spacing=spacing
    )
    np.testing.assert_allclose(found, theirs[:, 0], atol=1e-5)


def test_average_surface_distance_is_its_definition_and_monais(pair):
    a, b, spacing = pair
    found = metrics.average_surface_distance(a, b, spacing)
    brute = [sum(float(d.mean()) for d in distances_of(x[0], y[0], spacing)) / 2 for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(found, brute, atol=1e-5)
    directed = [
        compute_average_surface_distance(x.float(), y.float(), include_background=True, spacing=spacing)[:, 0]
        for x, y in ((a, b), (b, a))
    ]
    np.testing.assert_allclose(found, (directed[0] + directed[1]) / 2, atol=1e-5)


def test_without_spacing_a_pixel_is_1(pair):
    a, b, spacing = pair
    for distance in (metrics.hausdorff, metrics.average_surface_distance):
        torch.testing.assert_close(distance(a, b), distance(a, b, (1, 1.0, 1)[: len(spacing)]))
        torch.testing.assert_close(distance(a, b, [3 * s for s in spacing]), 3 * distance(a, b, spacing))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", ["ball", "box"])
def test_a_shift_is_measured_exactly(axis, shape):
    """A convex body moved by k voxels along an axis of spacing s is k·s away; its size has not changed."""
    spacing = (2.5, 0.7, 1.1)
    mask = ball((24, 24, 24), (11, 11, 11), 6)
    if shape == "box":
        mask = torch.zeros(1, 1, 24, 24, 24, dtype=torch.bool)
        mask[..., 6:15, 7:16, 8:18] = True
    for k in (1, 3):
        moved = mask.roll(k, dims=2 + axis)
        assert metrics.hausdorff(mask, moved, spacing).item() == pytest.approx(k * spacing[axis], abs=1e-6)
        assert metrics.volume_similarity(mask, moved).item() == 1
        assert 0 < metrics.average_surface_distance(mask, moved, spacing).item() < k * spacing[axis]
    flat, flat_moved = mask[:, :, 11], mask[:, :, 11].roll(2, dims=-1)
    assert metrics.hausdorff(flat, flat_moved, spacing[1:]).item() == pytest.approx(2.2, abs=1e-6)


def test_the_dice_of_shifted_boxes():
    a = torch.zeros(1, 1, 20, 30, dtype=torch.bool)
    a[..., 5:15, 5:25] = True
    b = a.roll(4, dims=-1)
    assert metrics.dice(a, b).item() == pytest.approx(16 / 20)
    assert metrics.iou(a, b).item() == pytest.approx(16 / 24)
    assert metrics.pixel_accuracy(a, b).item() == pytest.approx(1 - 80 / 600)


def test_one_pixel_far_away_decides_the_largest_distance_and_not_the_95th_percentile():
    a = ball((60, 60), (30, 20), 15)
    b = a.clone()
    b[..., 30, 55] = True
    assert metrics.hausdorff(a, b).item() == pytest.approx(20)
    assert metrics.hausdorff(a, b, percentile=95).item() == 0
    assert metrics.dice(a, b).item() > 0.999


@pytest.mark.parametrize("metric", [metrics.dice, metrics.iou, metrics.pixel_accuracy, metrics.volume_similarity,
                                    metrics.hausdorff, metrics.average_surface_distance])  # fmt: skip
def test_arguments_may_be_exchanged_and_images_do_not_mix(pair, metric):
    a, b, _ = pair
    torch.testing.assert_close(metric(a, b), metric(b, a))
    torch.testing.assert_close(metric(a, b), torch.cat([metric(a[i : i + 1], b[i : i + 1]) for i in range(3)]))
    assert metric(a, b).shape == (3,)
    assert (
        metric(a, a).tolist() == [0.0 if metric in (metrics.hausdorff, metrics.average_surface_distance) else 1.0] * 3
    )


def test_empty_masks():
    empty, full = (torch.full((1, 1, 8, 9), value) for value in (False, True))
    for a, b, overlap, distance in [(empty, empty, 1, 0), (empty, full, 0, math.inf), (full, empty, 0, math.inf)]:
        assert metrics.dice(a, b).item() == metrics.iou(a, b).item() == overlap
        assert metrics.volume_similarity(a, b).item() == overlap
        assert metrics.hausdorff(a, b).item() == metrics.hausdorff(a, b, (2, 3), 95).item() == distance
        assert metrics.average_surface_distance(a, b).item() == distance
    assert metrics.hausdorff(full, full).item() == 0


def cells(gap=0):
    """Two cells with a membrane between them, which has a gap of some pixels."""
    membrane = torch.zeros(1, 1, 20, 41, dtype=torch.bool)
    membrane[..., 20] = True
    membrane[..., 10 : 10 + gap, 20] = False
    return membrane


def test_the_rand_error_by_pairs():
    """1 − F over all pairs of pixels outside the true membrane; the estimated membrane is one more cell."""
    from scipy.ndimage import label

    target, estimate = cells(), cells(gap=2)
    estimate[..., 3, :15] = True
    true, found = (label(~x[0, 0].numpy())[0] for x in (target, estimate))
    kept = true > 0
    same_true = true[kept][:, None] == true[kept]
    same_found = found[kept][:, None] == found[kept]
    both = (same_true & same_found).sum()
    # a pixel is no pair with itself
    pixels = kept.sum()
    precision, recall = ((both - pixels) / (same.sum() - pixels) for same in (same_found, same_true))
    wanted = 1 - 2 * precision * recall / (precision + recall)
    assert metrics.rand_error(estimate, target).item() == pytest.approx(wanted, abs=1e-3)


def test_one_gap_costs_what_a_thick_membrane_does_not():
    target = cells()
    thick = target.clone()
    thick[..., 19:22] = True
    gap = metrics.rand_error(cells(gap=1), target).item()
    assert gap == pytest.approx(1 / 3, abs=0.01)  # half of the pairs in one cell belong to two
    assert metrics.rand_error(thick, target).item() < 0.06
    assert metrics.dice(thick, target).item() < metrics.dice(cells(gap=1), target).item()
    assert metrics.rand_error(target, target).item() == 0


def test_cells_that_touch_at_a_corner_are_two():
    diagonal = torch.eye(30, dtype=torch.bool)[None, None]
    no_gap = metrics.rand_error(diagonal, diagonal)
    assert no_gap.item() == 0
    wide = torch.ones(1, 1, 30, 30, dtype=torch.bool)
    wide[..., :15, :15] = wide[..., 15:, 15:] = False
    joined = torch.zeros(1, 1, 30, 30, dtype=torch.bool)
    assert metrics.rand_error(joined, wide).item() > 0.2


def test_the_rand_error_of_tissue_is_scikit_images():
    from skimage.measure import label
    from skimage.metrics import adapted_rand_error

    target = torch.cat([data.nerve_tissue("train", i, size=(96, 96)).membrane for i in range(2)]) > 0.5
    estimate = target.clone()
    estimate[..., 40:44, :] = False
    theirs = [
        adapted_rand_error(label(~t[0].numpy(), connectivity=1), label(~e[0].numpy(), connectivity=1))[0]
        for e, t in zip(estimate, target, strict=True)
    ]
    np.testing.assert_allclose(metrics.rand_error(estimate, target), theirs, atol=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_bad_input():
    a = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    every = [metrics.dice, metrics.iou, metrics.pixel_accuracy, metrics.volume_similarity, metrics.hausdorff,
             metrics.average_surface_distance, metrics.rand_error]  # fmt: skip
    for metric in every:
        with pytest.raises(InputError, match="expected masks of dtype bool: compare probabilities with a threshold fi"):
            metric(torch.rand(2, 1, 8, 8), a)
        with pytest.raises(InputError, match="expected masks of dtype bool.*got b as a torch.Tensor.*int64"):
            metric(a, a.long())
        with pytest.raises(InputError, match=r"expected a and b of one shape, got \(2, 1, 8, 8\) and \(1, 1, 8, 8\)"):
            metric(a, a[:1])
        for wrong in (a[0], a.expand(2, 3, 8, 8), a[:0], a.numpy(), None):
            with pytest.raises(InputError, match=r"expected masks as a bool torch.Tensor \(batch, 1, height, width\)"):
                metric(wrong, wrong)
    for distance in (metrics.hausdorff, metrics.average_surface_distance):
        for wrong in ((1.0,), (1.0, 1.0, 1.0), 1.0, "ab", torch.ones(2)):
            with pytest.raises(InputError, match="expected a spacing of 2 numbers, one a dimension, got"):
                distance(a, a, wrong)
        for wrong in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(InputError, match="expected each spacing as a number above 0, got"):
                distance(a, a, (1.0, wrong))
    for wrong in (0, -5, 101, math.nan, "all"):
        with pytest.raises(InputError, match="expected the percentile as a number above 0 to 100, got"):
            metrics.hausdorff(a, a, percentile=wrong)
    with pytest.raises(InputError, match="expected targets with a pixel that is not membrane"):
        metrics.rand_error(a, ~a)
