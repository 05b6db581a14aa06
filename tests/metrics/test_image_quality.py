"""NMSE, PSNR and SSIM in the convention of the docstrings, against brute force and a second library."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from course_lib import data, expect, metrics, physics


@pytest.fixture
def pair(generator):
    clean = data.photographs(["cat", "coins"], size=64)
    return physics.add_gaussian_noise(clean, 0.1, generator), clean


def test_mse_and_psnr_are_one_number_an_image(pair):
    estimate, clean = pair
    for i in range(2):
        brute = sum(
            (a - b) ** 2 for a, b in zip(estimate[i].flatten().tolist(), clean[i].flatten().tolist(), strict=True)
        )
        assert metrics.mse(*pair)[i].item() == pytest.approx(brute / 64**2, rel=1e-5)
        assert metrics.psnr(*pair)[i].item() == pytest.approx(-10 * np.log10(brute / 64**2), rel=1e-5)
    assert metrics.psnr(clean, clean).isinf().all()


def test_nmse_is_the_share_of_the_energy_that_is_wrong(pair):
    estimate, clean = pair
    for i in range(2):
        a, b = estimate[i].double().numpy(), clean[i].double().numpy()
        wanted = np.linalg.norm(a - b) ** 2 / np.linalg.norm(b) ** 2
        assert metrics.nmse(*pair)[i].item() == pytest.approx(wanted, rel=1e-5)
    torch.testing.assert_close(metrics.nmse(7 * estimate, 7 * clean), metrics.nmse(*pair))
    assert metrics.nmse(torch.zeros_like(clean), clean).tolist() == pytest.approx([1.0, 1.0])
    assert metrics.nmse(estimate.double(), clean.double()).dtype == torch.float64
    with pytest.raises(expect.InputError, match="other than 0 for NMSE"):
        metrics.nmse(clean, torch.zeros_like(clean))


def test_ssim_equals_its_definition(pair):
    """The formula of Wang et al. with a Gaussian window, written out with another library's filter."""
    estimate, clean = pair
    for i in range(2):
        x, y = (t[i, 0].double().numpy() for t in pair)

        def mean(image):
            return gaussian_filter(image, 1.5, truncate=3.5)

        mx, my = mean(x), mean(y)
        vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        c1, c2 = 0.01**2, 0.03**2
        index = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
        assert metrics.ssim(*pair)[i].item() == pytest.approx(index[5:-5, 5:-5].mean(), abs=1e-6)
    assert metrics.ssim(clean, clean).tolist() == [1.0, 1.0]


def test_shapes_that_do_not_fit(pair, unchecked):
    with pytest.raises(expect.InputError, match="of one shape"):
        metrics.psnr(pair[0], pair[1][:1])
    with pytest.raises(expect.InputError, match=r"at least 11×11 pixels for SSIM, got 1×1"):
        metrics.ssim(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))


# --- deck 001's other metrics -------------------------------------------------------------------------


def test_snr_is_psnr_with_the_images_own_power(pair):
    estimate, clean = pair
    power = clean.square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(metrics.snr(*pair), metrics.psnr(*pair) + 10 * torch.log10(power), atol=1e-4, rtol=0)


def test_correlation_is_numpys(pair):
    estimate, clean = pair
    theirs = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(estimate, clean, strict=True)]
    np.testing.assert_allclose(metrics.correlation(*pair), theirs, atol=1e-6)
    torch.testing.assert_close(metrics.correlation(0.3 * clean + 0.2, clean), torch.ones(2))
    torch.testing.assert_close(metrics.correlation(1 - clean, clean), -torch.ones(2))


def test_edge_preservation_is_the_correlation_of_scipys_laplacians(pair):
    from scipy.ndimage import laplace

    estimate, clean = pair
    edges = [[laplace(x[0].numpy())[1:-1, 1:-1].ravel() for x in images] for images in (estimate, clean)]
    theirs = [np.corrcoef(a, b)[0, 1] for a, b in zip(*edges, strict=True)]
    np.testing.assert_allclose(metrics.edge_preservation(*pair), theirs, atol=1e-5)


def test_edge_preservation_falls_with_blur_and_with_noise(pair):
    noisy, clean = pair
    blurred = torch.from_numpy(gaussian_filter(clean.numpy(), (0, 0, 1.5, 1.5)))
    assert (metrics.edge_preservation(blurred, clean) < 0.8).all()
    assert (metrics.edge_preservation(noisy, clean) < metrics.edge_preservation(clean, clean)).all()


def test_images_without_contrast_have_no_correlation(pair):
    flat = torch.full_like(pair[0], 0.5)
    for metric in (metrics.correlation, metrics.edge_preservation):
        with pytest.raises(expect.InputError, match="expected images with some contrast, got one that is the same"):
            metric(flat, pair[1])
    with pytest.raises(expect.InputError, match="expected images of at least 3×3 pixels"):
        metrics.edge_preservation(pair[0][..., :2], pair[1][..., :2])
