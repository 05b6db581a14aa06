"""The bilateral filter where it helps and where it does not, and patches."""

import numpy as np
import pytest
import torch

from course_lib import classical, data, expect, physics

SIGMA = 25 / 255


def test_bilateral_equals_its_definition(generator):
    """Σ G_space·G_value·y / Σ G_space·G_value, by explicit sums at some pixels, also with values below 0."""
    noisy = torch.randn(1, 1, 24, 24, generator=generator, dtype=torch.float64) * 0.3 + 0.2
    ours = classical.bilateral(noisy, 0.1, space=1.5, contrast=2.0)[0, 0].numpy()
    y = noisy[0, 0].numpy()
    reach = 5  # three standard deviations
    for i, j in [(8, 8), (12, 10), (11, 15)]:
        window = y[i - reach : i + reach + 1, j - reach : j + reach + 1]
        offsets = np.arange(-reach, reach + 1)
        space = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
        value = np.exp(-((window - y[i, j]) ** 2) / (2 * 0.2**2))
        assert ours[i, j] == pytest.approx((space * value * window).sum() / (space * value).sum(), abs=1e-9)


def test_bilateral_of_colour_equals_its_definition(generator):
    """The three channels of a pixel are compared together, with a width of contrast·σ·√3."""
    noisy = torch.randn(1, 3, 24, 24, generator=generator, dtype=torch.float64) * 0.3
    ours = classical.bilateral(noisy, 0.1, space=1.0, contrast=2.0)[0].numpy()
    y, offsets = noisy[0].numpy(), np.arange(-3, 4)
    window = y[:, 7:14, 8:15]
    space = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / 2)
    value = np.exp(-((window - y[:, 10:11, 11:12]) ** 2).sum(0) / (2 * (0.2 * 3**0.5) ** 2))
    wanted = (space * value * window).sum((1, 2)) / (space * value).sum()
    np.testing.assert_allclose(ours[:, 10, 11], wanted, atol=1e-9)


def test_bilateral_beats_wiener_at_an_edge_and_loses_without_one(generator):
    """At an edge on a disc; on flat ground against a blur of its own reach; on texture against Wiener."""
    spectrum = classical.power_spectrum(data.with_symmetries(data.photographs())).double()
    axis = torch.arange(256.0, dtype=torch.float64) - 128
    radius = torch.hypot(axis[:, None], axis[None, :])[None, None]
    disc = 0.25 + 0.5 * (radius < 70).double()
    noisy = physics.add_gaussian_noise(disc, SIGMA, generator)

    def error(estimate, where):
        return (estimate - disc)[where].square().mean()

    edge, flat = (radius - 70).abs() < 3, (radius - 70).abs() > 20
    wiener, bilateral = classical.wiener_filter(noisy, spectrum, SIGMA), classical.bilateral(noisy, SIGMA)
    assert error(bilateral, edge) < 0.5 * error(wiener, edge)
    assert error(bilateral, flat) > 1.1 * error(classical.gaussian_blur(noisy, 1.5), flat)
    texture = data.gaussian_images(spectrum, 4, generator)
    noisy = physics.add_gaussian_noise(texture, SIGMA, generator)
    estimates = classical.bilateral(noisy, SIGMA), classical.wiener_filter(noisy, spectrum, SIGMA)
    loss = [(estimate - texture).square().mean() for estimate in estimates]
    assert loss[0] > 1.05 * loss[1]


def test_bilateral_of_colour_and_of_no_noise(generator):
    colour = torch.rand(2, 3, 16, 16, generator=generator)
    assert classical.bilateral(colour, 0.1).shape == colour.shape
    assert torch.equal(classical.bilateral(colour, 0.0), colour)
    flat = torch.full((1, 1, 16, 16), 0.5)
    torch.testing.assert_close(classical.bilateral(flat, 0.1), flat)
    assert classical.bilateral(torch.rand(1, 1, 1, 2, generator=generator), 0.1).shape == (1, 1, 1, 2)


def test_blur_agrees_with_scipy(generator):
    from scipy.ndimage import gaussian_filter

    image = torch.rand(1, 1, 64, 64, generator=generator, dtype=torch.float64)
    ours = classical.gaussian_blur(image, 2.0)[0, 0]
    np.testing.assert_allclose(ours, gaussian_filter(image[0, 0].numpy(), 2.0, mode="wrap", truncate=8), atol=1e-4)


def test_patches_are_rows_of_the_image():
    image = torch.arange(20.0).reshape(1, 1, 4, 5)
    patches = classical.extract_patches(image, 2)
    assert patches.shape == (12, 4)
    assert patches[0].tolist() == [0, 1, 5, 6]
    assert patches[-1].tolist() == [13, 14, 18, 19]
    with pytest.raises(expect.InputError, match="at least 9×9 pixels"):
        classical.extract_patches(image, 9)


# --- wavelet thresholding and non-local means ---------------------------------------------------------


def test_wavelet_thresholding_is_the_mean_over_all_shifts_of_a_projection(generator):
    """Each shift of the orthonormal transform: coefficients above three standard deviations, and the coarse image."""
    noisy = torch.rand(1, 1, 32, 32, generator=generator, dtype=torch.float64)
    W, sigma, estimates = classical.OrthogonalWavelet((32, 32), "db4", levels=4), 0.1, []
    for shift in [(i, j) for i in range(16) for j in range(16)]:
        coefficients = W(noisy.roll(shift, dims=(-2, -1)))
        kept = coefficients.abs() > 3 * sigma
        kept[..., :2, :2] = True
        estimates.append(W.adjoint(coefficients * kept).roll((-shift[0], -shift[1]), dims=(-2, -1)))
    assert 0.02 < kept.double().mean() < 0.9
    torch.testing.assert_close(classical.wavelet_threshold(noisy, sigma), torch.stack(estimates).mean(0))


@pytest.mark.parametrize("denoise", [classical.wavelet_threshold, classical.non_local_means])
def test_they_denoise_photographs_of_any_shape_channel_by_channel(denoise, generator):
    clean = data.photographs(["cat", "hopper", "motorcycle"], size=96)[None, :, 0, :90]  # one image, three channels
    noisy = physics.add_gaussian_noise(clean, SIGMA, generator)
    found = denoise(noisy, SIGMA)
    assert found.shape == noisy.shape
    assert found.dtype == torch.float32
    assert (found - clean).square().mean() < 0.4 * (noisy - clean).square().mean()
    alone = denoise(noisy[:, 1:2], SIGMA)
    torch.testing.assert_close(found[:, 1:2], alone)
    torch.testing.assert_close(denoise(noisy, 0.0), noisy, atol=1e-5, rtol=0)


def test_wavelet_thresholding_beats_wiener_at_an_edge(generator):
    """A union of subspaces against one for all: deck 000."""
    spectrum = classical.power_spectrum(data.with_symmetries(data.photographs())).double()
    axis = torch.arange(256.0, dtype=torch.float64) - 128
    radius = torch.hypot(axis[:, None], axis[None, :])[None, None]
    disc = 0.25 + 0.5 * (radius < 70).double()
    noisy = physics.add_gaussian_noise(disc, SIGMA, generator)
    edge = (radius - 70).abs() < 3
    errors = [
        (estimate - disc)[edge].square().mean()
        for estimate in (classical.wavelet_threshold(noisy, SIGMA), classical.wiener_filter(noisy, spectrum, SIGMA))
    ]
    assert errors[0] < 0.8 * errors[1]


def test_non_local_means_is_scikit_images(generator):
    from skimage.restoration import denoise_nl_means

    noisy = torch.rand(1, 1, 30, 26, generator=generator)
    wanted = denoise_nl_means(noisy[0, 0].numpy(), patch_size=5, patch_distance=10, h=0.09, sigma=0.1)
    np.testing.assert_allclose(classical.non_local_means(noisy, 0.1, strength=0.9)[0, 0].numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "denoise",
    [
        classical.wavelet_threshold,
        classical.non_local_means,
        classical.bilateral,
        lambda noisy, sigma: classical.wiener_denoise(noisy, torch.ones(80, 80), sigma),
        lambda noisy, sigma: physics.add_gaussian_noise(noisy, sigma, torch.Generator()),
    ],
)
def test_a_noise_level_in_grey_levels_is_recognised(denoise, unchecked):
    with pytest.raises(
        expect.InputError, match=r"whose values reach 0\.5, got 25: divide a level in grey levels by 255"
    ):
        denoise(torch.full((1, 1, 40, 40), 0.5), 25)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda y: classical.wavelet_threshold(y, -0.1), "the noise level sigma as a number from 0, got -0.1"),
        (lambda y: classical.wavelet_threshold(y, 0.1, multiple=-1), "multiple as a number from 0"),
        (lambda y: classical.non_local_means(y, float("nan")), "the noise level sigma as a number from 0, got nan"),
        (lambda y: classical.non_local_means(y, 0.1, strength=0), "strength as a number above 0"),
        (lambda y: classical.non_local_means(y[0], 0.1), r"expected noisy as .* \(batch, channel, height, width\)"),
        (lambda y: classical.wavelet_threshold(y.long(), 0.1), "dtype int64"),
    ],
)
def test_bad_input_of_the_newer_ones(call, said, unchecked):
    with pytest.raises(expect.InputError, match=said):
        call(torch.rand(1, 1, 20, 20))
