"""The fixed detector: its scale, its threshold, and what it finds."""

import math

import numpy as np
import pytest
import torch

from course_lib import metrics
from course_lib.expect import InputError


def spot_image(size=40, row=20, column=15, height=0.5, width=2.0, level=0.3):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    squared = (y - row) ** 2 + (x - column) ** 2
    return (level + height * torch.exp(-4 * math.log(2) * squared / width**2))[None, None].float()


def test_white_noise_gives_responses_of_its_own_level(generator):
    noise = 0.1 * torch.randn(1, 1, 300, 300, generator=generator)
    response = metrics.spot_response(noise + 0.7)
    assert response[..., 4:-4, 4:-4].std() == pytest.approx(0.1, rel=0.03)
    assert response.mean().abs() < 1e-3


def test_brightness_does_not_count_and_a_spot_has_the_largest_response():
    response = metrics.spot_response(spot_image())
    torch.testing.assert_close(response, metrics.spot_response(spot_image(level=0.5)), atol=1e-6, rtol=0)
    assert divmod(int(response[0, 0].argmax()), 40) == (20, 15)
    assert metrics.spot_response(torch.full((1, 1, 20, 20), 0.4)).abs().max() < 1e-6


def test_the_response_is_a_correlation_by_hand():
    from scipy.ndimage import correlate

    y = torch.arange(-4, 5).numpy()
    kernel = np.exp(-(y[:, None] ** 2 + y**2) / (2 * 0.8**2))
    kernel -= kernel.mean()
    kernel /= np.linalg.norm(kernel)
    theirs = correlate(spot_image()[0, 0].numpy(), kernel, mode="mirror")
    np.testing.assert_allclose(metrics.spot_response(spot_image())[0, 0], theirs, atol=1e-6)


def test_false_positives_are_the_local_maxima_of_a_region(generator):
    response = torch.randn(1, 1, 50, 60, generator=generator)
    region = torch.zeros(50, 60, dtype=torch.bool)
    region[10:40, 5:55] = True
    found = metrics.false_positives(response, region)
    brute = [
        response[0, 0, i, j].item()
        for i in range(10, 40)
        for j in range(5, 55)
        if response[0, 0, i, j] == response[0, 0, max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3].max()
    ]
    assert found.tolist() == sorted(brute, reverse=True)


def test_the_threshold_lets_the_stated_number_pass(generator):
    false = torch.randn(1000, generator=generator)
    threshold = metrics.threshold_at(false, 50.0, 0.4)
    assert (false > threshold).sum() == 19  # the twentieth is the threshold itself
    assert (false >= threshold).sum() == 20
    with pytest.raises(InputError, match="expected a rate that 1 to 1000 false positives pass on 50 cm², got 0.01"):
        metrics.threshold_at(false, 50.0, 0.01)
    with pytest.raises(InputError, match="expected a rate that 1 to 1000"):
        metrics.threshold_at(false, 50.0, 30.0)


def test_a_spot_is_found_within_two_pixels():
    response = metrics.spot_response(spot_image())
    peak = float(response.max())
    places = torch.tensor(
        [[20.0, 15.0, 1.0], [21.6, 14.0, 0.5], [20.0, 16.9, 1.0], [24.0, 15.0, 1.0], [24.0, 15.0, 4.5], [5.0, 5.0, 1.0]]
    )
    assert metrics.detected(response, places, 0.9 * peak).tolist() == [True, True, True, False, True, False]
    assert not metrics.detected(response, places, peak).any()
    assert metrics.detected(response, torch.zeros(0, 3), peak).shape == (0,)


def test_the_contrast_of_a_spot():
    wide = spot_image(width=200.0, height=0.0)
    wide[0, 0, 18:23, 13:18] += 0.2
    contrast = metrics.spot_contrast(wide, torch.tensor([[20.0, 15.0, 3.0], [30.0, 30.0, 1.0]]))
    torch.testing.assert_close(contrast, torch.tensor([0.2, 0.0]), atol=1e-6, rtol=0)
    assert metrics.spot_contrast(wide, torch.zeros(0, 3)).shape == (0,)
    between = metrics.spot_contrast(spot_image(), torch.tensor([[20.5, 15.5, 0.1]]))
    assert torch.isfinite(between).all()


def test_wilsons_interval():
    z = 1.959964
    for found, count in ((0, 10), (7, 10), (180, 200)):
        p = found / count
        centre = (p + z**2 / (2 * count)) / (1 + z**2 / count)
        half = z / (1 + z**2 / count) * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
        assert metrics.proportion_interval(found, count) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_more_than_one_image_is_refused():
    two = torch.zeros(2, 1, 20, 20)
    with pytest.raises(InputError, match="expected one grey image, got a torch.Tensor of shape \\(2, 1, 20, 20\\)"):
        metrics.spot_contrast(two, torch.zeros(1, 3))
    with pytest.raises(InputError, match="expected images of at least 5×5 pixels"):
        metrics.spot_response(two[..., :4])
