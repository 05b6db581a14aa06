"""The Wiener filter against theory: its error, its optimality, its shape, and photographs never seen."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import classical, data, expect, metrics, physics

SIGMA = 25 / 255


@pytest.fixture(scope="module")
def spectrum():
    training = data.photographs(data.TRAINING_PHOTOGRAPHS)
    return classical.power_spectrum(data.with_symmetries(training)).double()


def test_power_spectrum_equals_its_definition(generator):
    """Σ over pixels of x·exp(−2πi(kr/h + lc/w)), squared, averaged: by explicit sums."""
    images = torch.rand(3, 1, 4, 6, generator=generator, dtype=torch.float64)
    rows, columns = np.arange(4), np.arange(6)
    for k, m in [(0, 0), (1, 2), (3, 5)]:
        wave = np.exp(-2j * np.pi * (k * rows[:, None] / 4 + m * columns[None, :] / 6))
        wanted = np.mean([abs((image[0].numpy() * wave).sum()) ** 2 for image in images])
        assert classical.power_spectrum(images)[k, m].item() == pytest.approx(wanted)


@pytest.mark.parametrize("sigma", [10 / 255, SIGMA, 0.2])
def test_monte_carlo_error_equals_the_closed_form(spectrum, generator, sigma):
    """Within 0.5 %, at the Wiener gain and at a gain that is none."""
    images = data.gaussian_images(spectrum, 100, generator)
    noisy = physics.add_gaussian_noise(images, sigma, generator)
    wiener = classical.wiener_gain(spectrum, sigma)
    for gain in (wiener, 0.9 * wiener):
        measured = metrics.mse(physics.CircularConvolution(gain)(noisy), images).mean()
        assert measured == pytest.approx(classical.expected_mse(gain, spectrum, sigma).item(), rel=0.005)
    n = spectrum.numel()
    closed_form = (spectrum * n * sigma**2 / (spectrum + n * sigma**2)).sum() / n**2
    assert classical.expected_mse(wiener, spectrum, sigma) == pytest.approx(closed_form.item(), rel=1e-12)


def test_each_of_ten_perturbed_gains_is_worse_in_theory_and_on_data(spectrum, generator):
    images = data.gaussian_images(spectrum, 20, generator)
    noisy = physics.add_gaussian_noise(images, SIGMA, generator)
    best = classical.wiener_gain(spectrum, SIGMA)

    def measured(gain):
        return metrics.mse(physics.CircularConvolution(gain)(noisy), images).mean().item()

    for _ in range(10):
        other = best * (1 + 0.1 * torch.randn(best.shape, generator=generator, dtype=best.dtype))
        assert classical.expected_mse(other, spectrum, SIGMA) > classical.expected_mse(best, spectrum, SIGMA)
        assert measured(other) > measured(best)


@given(seed=st.integers(0, 10_000), sigma=st.floats(0.001, 2), height=st.integers(2, 9), width=st.integers(2, 9))
def test_gain_properties(seed, sigma, height, width):
    spectrum = torch.rand(height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 1e-6
    gain = classical.wiener_gain(spectrum, sigma)
    assert ((gain > 0) & (gain < 1)).all()
    assert (classical.wiener_gain(spectrum, 2 * sigma) < gain).all()
    assert torch.equal(classical.wiener_gain(spectrum, 0.0), torch.ones_like(spectrum))
    for step in (-0.01, 0.01):  # a stationary point: both directions are worse
        assert classical.expected_mse(gain + step, spectrum, sigma) > classical.expected_mse(gain, spectrum, sigma)


def test_gain_where_nothing_is_known():
    spectrum = torch.tensor([[0.0, 4.0]])
    assert classical.wiener_gain(spectrum, 0.0).tolist() == [[0.0, 1.0]]
    assert classical.wiener_gain(spectrum, 0.5).tolist() == [[0.0, pytest.approx(4.0 / 4.5)]]


def test_effective_width_grows_with_the_noise(spectrum):
    widths = [classical.effective_width(classical.wiener_gain(spectrum, s)) for s in (0.01, 0.04, 0.1, 0.2, 0.4)]
    assert all(a < b for a, b in zip(widths, widths[1:], strict=False))


def test_effective_width_of_a_plain_mean():
    box = torch.zeros(32, 32, dtype=torch.float64)
    box[:5, :5] = 1 / 25
    assert classical.effective_width(torch.fft.fft2(box).abs()) == pytest.approx(5)


def test_kernel_is_centred_and_sums_to_the_gain_at_zero(spectrum):
    gain = classical.wiener_gain(spectrum, SIGMA)
    kernel = classical.gain_kernel(gain)
    assert divmod(int(kernel.argmax()), 256) == (128, 128)
    assert kernel.sum() == pytest.approx(gain[0, 0].item())


def test_radial_profile_of_a_power_law():
    frequencies, power = classical.radial_profile(data.power_law_spectrum(128, exponent=2.0))
    slope = np.polyfit(frequencies.log().numpy(), power.log().numpy(), 1)[0]
    assert slope == pytest.approx(-2, abs=0.05)  # rings are a pixel wide
    assert frequencies[0] == 1 / 128
    assert frequencies[-1] == 0.5


def test_radial_profile_of_an_oblong_grid():
    """Rings are of equal frequency, not of equal index."""
    rows, columns = torch.fft.fftfreq(16)[:, None], torch.fft.fftfreq(40)[None, :]
    frequencies, mean = classical.radial_profile(torch.hypot(rows, columns))
    torch.testing.assert_close(mean, frequencies, atol=0.01, rtol=0)


def test_linear_mmse_of_a_circulant_covariance_is_the_circular_filter(generator):
    """To 1e-5 in single precision, and to 1e-12 in double."""
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        spectrum = data.power_law_spectrum(12, exponent=2.0).to(dtype)
        spectrum[0, 0] = 0
        by_offset = torch.fft.ifft2(spectrum).real / spectrum.numel()
        row, column = (p.flatten() for p in torch.meshgrid(torch.arange(12), torch.arange(12), indexing="ij"))
        covariance = by_offset[(row[:, None] - row) % 12, (column[:, None] - column) % 12]
        W, b = classical.linear_mmse(torch.zeros(144, dtype=dtype), covariance, SIGMA)
        noisy = torch.randn(5, 1, 12, 12, generator=generator, dtype=dtype)
        by_matrix = (noisy.flatten(1) @ W.T + b).reshape(noisy.shape)
        by_filter = classical.wiener_filter(noisy, spectrum, SIGMA)
        assert (by_matrix - by_filter).abs().max() < tolerance


def test_linear_mmse_has_the_least_risk_among_affine_maps(generator):
    mixing = torch.randn(5, 5, generator=generator, dtype=torch.float64) * 0.3
    mean, covariance = torch.rand(5, generator=generator, dtype=torch.float64), mixing @ mixing.T
    W, b = classical.linear_mmse(mean, covariance, 0.2)

    def risk(W, b):
        """E‖Wy + b − x‖², exactly."""
        loss = W - torch.eye(5, dtype=torch.float64)
        bias = loss @ mean + b
        return (loss @ covariance @ loss.T).trace() + 0.2**2 * (W @ W.T).trace() + bias @ bias

    least = risk(W, b)
    for _ in range(50):
        dW, db = (torch.randn(*s, generator=generator, dtype=torch.float64) * 0.05 for s in ((5, 5), (5,)))
        assert risk(W + dW, b + db) > least
        assert risk(W + dW, b) > least
        assert risk(W, b + db) > least


def test_linear_mmse_agrees_with_ridge_regression(generator):
    """With scikit-learn: regressing clean on noisy pixels finds W and b from data alone."""
    from sklearn.linear_model import LinearRegression

    mixing = torch.randn(3, 3, generator=generator, dtype=torch.float64) * 0.3
    mean = torch.tensor([0.2, 0.5, 0.7], dtype=torch.float64)
    clean = mean + torch.randn(200_000, 3, generator=generator, dtype=torch.float64) @ mixing.T
    noisy = physics.add_gaussian_noise(clean, 0.2, generator)
    fit = LinearRegression().fit(noisy.numpy(), clean.numpy())
    W, b = classical.linear_mmse(mean, mixing @ mixing.T, 0.2)
    np.testing.assert_allclose(fit.coef_, W, atol=0.01)
    np.testing.assert_allclose(fit.intercept_, b, atol=0.01)


def test_on_photographs_never_seen(spectrum):
    """At least 5 dB, and not worse than a blur whose width the training photographs chose."""
    gain = classical.wiener_gain(spectrum, SIGMA)
    widths = np.arange(0.4, 3.0, 0.02)
    blurs = [physics.gaussian_gain((256, 256), width) for width in widths]

    def errors(g, images):
        return np.array([classical.expected_mse(g, classical.power_spectrum(x[None]), SIGMA).item() for x in images])

    training = data.photographs(data.TRAINING_PHOTOGRAPHS).double()
    test = data.photographs(data.TEST_PHOTOGRAPHS).double()
    wiener = 10 * np.log10(SIGMA**2 / errors(gain, test))
    assert wiener.mean() >= 5
    # by both measures that one could choose the width by
    by_error = min(blurs, key=lambda g: errors(g, training).mean())
    by_psnr = min(blurs, key=lambda g: np.log10(errors(g, training)).mean())
    for blur in (by_error, by_psnr):
        assert wiener.mean() >= (10 * np.log10(SIGMA**2 / errors(blur, test))).mean()
    # the failure case: an oracle that tunes the width on each test image wins
    oracle = np.array([max(10 * np.log10(SIGMA**2 / errors(g, [x])[0]) for g in blurs) for x in test])
    assert oracle.mean() > wiener.mean() + 0.5


def test_any_size_with_mirrored_borders(spectrum, generator):
    clean = data.photographs(["cat"], size=256)
    noisy = physics.add_gaussian_noise(clean, SIGMA, generator)
    periodic = classical.wiener_filter(noisy, spectrum.float(), SIGMA)
    mirrored = classical.wiener_denoise(noisy, spectrum.float(), SIGMA)
    inside = (slice(None), slice(None), slice(40, -40), slice(40, -40))
    assert (periodic - mirrored)[inside].abs().mean() < 0.005  # what is cut off the filter is small
    assert metrics.psnr(mirrored, clean) > metrics.psnr(periodic, clean)
    for shape in [(1, 1, 1, 1), (2, 3, 5, 7), (1, 1, 300, 20)]:
        flat = classical.wiener_denoise(torch.full(shape, 0.5), spectrum.float(), SIGMA)
        assert flat.shape == shape
        torch.testing.assert_close(flat, torch.full(shape, 0.5), atol=1e-3, rtol=0)


def test_mirrored_borders_agree_with_scipy(generator):
    from scipy.ndimage import convolve

    kernel = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    for shape in [(8, 9), (2, 3)]:
        image = torch.randn(1, 1, *shape, generator=generator, dtype=torch.float64)
        ours = classical.filter_symmetric(image, kernel)[0, 0]
        np.testing.assert_allclose(ours, convolve(image[0, 0].numpy(), kernel.numpy(), mode="reflect"), atol=1e-12)


def test_wrong_arguments(unchecked):
    good = torch.ones(4, 4)
    for bad, said in [(torch.ones(4), "(height, width)"), (-good, "at least 0"), (good * float("nan"), "NaN")]:
        for call in (
            lambda bad=bad: classical.wiener_gain(bad, 0.1),
            lambda bad=bad: classical.expected_mse(good, bad, 0.1),
        ):
            with pytest.raises(expect.InputError) as error:
                call()
            assert said in str(error.value)
    with pytest.raises(expect.InputError, match="got -0.1"):
        classical.wiener_gain(good, -0.1)
    with pytest.raises(expect.InputError, match="gain and spectrum of one shape"):
        classical.expected_mse(torch.ones(4, 5), good, 0.1)
    with pytest.raises(expect.InputError, match="expected a spectrum of at least 65 pixels a side"):
        classical.wiener_denoise(torch.ones(1, 1, 8, 8), good, 0.1)
    with pytest.raises(expect.InputError, match=r"covariance of shape \(3, 3\), got \(4, 4\)"):
        classical.linear_mmse(torch.zeros(3), torch.eye(4), 0.1)
    with pytest.raises(expect.InputError, match="above 0, got 0"):
        classical.linear_mmse(torch.zeros(4), torch.eye(4), 0)
