"""The bound against its closed form, automatic differentiation and Monte Carlo; least squares against SciPy."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from course_lib import classical, data, expect, metrics, physics

N = 50
DOUBLE = {"dtype": torch.float64}
NAN = math.nan


def lines(seed: int, count: int, **settings) -> data.LineSpectra:
    return data.line_spectra(count, torch.Generator().manual_seed(seed), **settings)


def residual(signals: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    """‖y − E a‖² of the best amplitudes, by NumPy-style least squares with singular values, signal by signal."""
    energies = []
    for y, f in zip(signals.to(torch.complex128), frequencies.double(), strict=True):
        E = data.exponentials(f[f.isfinite()][None], len(y))[0].mT
        a = torch.linalg.lstsq(E, y[:, None], driver="gelsd").solution
        energies.append((y - (E @ a)[:, 0]).abs().square().sum())
    return torch.stack(energies)


def information(f: torch.Tensor, a: torch.Tensor, sigma: float, samples: int) -> torch.Tensor:
    """The Fisher information of (f, Re a, Im a): JᵀJ/σ² of the mean's Jacobian, by automatic differentiation."""

    def mean(theta: torch.Tensor) -> torch.Tensor:
        f, real, imaginary = theta.chunk(3)
        n = torch.arange(samples, **DOUBLE)
        signal = (torch.complex(real, imaginary)[:, None] * torch.exp(2j * math.pi * f[:, None] * n)).sum(dim=0)
        return torch.cat([signal.real, signal.imag])

    J = torch.autograd.functional.jacobian(mean, torch.cat([f, a.real, a.imag]))
    return J.mT @ J / sigma**2


@given(
    f=st.floats(-0.5, 0.499),
    size=st.floats(1e-3, 1e3),
    phase=st.floats(0, 6),
    sigma=st.floats(1e-6, 10),
    samples=st.integers(2, 300),
)
def test_one_line_has_the_closed_form(f, size, phase, sigma, samples):
    a = torch.polar(torch.tensor([[size]], **DOUBLE), torch.tensor([[phase]], **DOUBLE))
    bound = classical.cramer_rao_bound(torch.tensor([[f]], **DOUBLE), a, sigma, samples).item()
    variance = 6 * 2 * sigma**2 / ((2 * math.pi) ** 2 * size**2 * samples * (samples**2 - 1))
    assert bound == pytest.approx(math.sqrt(variance), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("samples", [20, 50])
def test_several_lines_have_the_bound_of_the_fisher_information(seed, samples):
    drawn = lines(seed, 30, samples=samples, most_lines=6)
    sigma = 0.01 + torch.rand(30, generator=torch.Generator().manual_seed(seed), **DOUBLE)
    bound = classical.cramer_rao_bound(drawn.frequencies, drawn.amplitudes, sigma, samples)
    assert torch.equal(bound.isfinite(), drawn.frequencies.isfinite())
    for row in range(30):
        K = int(drawn.counts[row])
        I = information(drawn.frequencies[row, :K], drawn.amplitudes[row, :K], sigma[row].item(), samples)  # noqa: E741
        exact = torch.linalg.inv(I).diagonal()[:K].sqrt()
        torch.testing.assert_close(bound[row, :K], exact, rtol=1e-6, atol=0)


def test_padding_order_and_units_change_nothing():
    drawn = lines(3, 20)
    f, a = drawn.frequencies, drawn.amplitudes
    bound = classical.cramer_rao_bound(f, a, 0.1, N)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
    mixed = classical.cramer_rao_bound(f[:, order], a[:, order], 0.1, N)
    torch.testing.assert_close(mixed, bound[:, order], rtol=1e-7, atol=0, equal_nan=True)
    for row in range(20):
        K = int(drawn.counts[row])
        alone = classical.cramer_rao_bound(f[row : row + 1, :K], a[row : row + 1, :K], 0.1, N)
        torch.testing.assert_close(alone[0], bound[row, :K], rtol=1e-7, atol=0)
    torch.testing.assert_close(
        classical.cramer_rao_bound(f, 3 * a, 0.6, N), 2 * bound, rtol=1e-7, atol=0, equal_nan=True
    )
    moved = classical.cramer_rao_bound(data.wrap(f + 0.3), a, 0.1, N)
    torch.testing.assert_close(moved, bound, rtol=1e-6, atol=0, equal_nan=True)
    single = classical.cramer_rao_bound(f.float(), a.to(torch.complex64), 0.1, N)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), bound, rtol=1e-2, atol=0, equal_nan=True)
    assert (classical.cramer_rao_bound(f, a, 0, N)[f.isfinite()] == 0).all()


def test_the_bound_grows_as_lines_close_in_and_separated_ones_do_not_see_each_other():
    gaps = torch.tensor([10.0, 1.0, 0.3, 0.1, 0.01], **DOUBLE) / N
    f = torch.stack([torch.zeros(5, **DOUBLE), gaps], dim=1)
    a = torch.ones(5, 2, dtype=torch.complex128)
    bound = classical.cramer_rao_bound(f, a, 0.1, N)[:, 0]
    alone = classical.cramer_rao_bound(f[:1, :1], a[:1, :1], 0.1, N)[0, 0]
    assert alone < bound[0] < 1.02 * alone
    assert (bound.diff() > 0).all()
    # in phase in the middle of the samples, two lines at δ → 0 differ by their second derivative: the bound is ∝ 1/δ²;
    # by Fisher's information at δ = .01/N, which double precision of the information itself does not reach
    assert bound[4] / bound[3] == pytest.approx(100, rel=0.5)


def test_least_squares_reach_the_bound_at_30_db():
    """Maximum likelihood is asymptotically efficient: one and two lines, 2,000 noises, within 5 %."""
    generator = torch.Generator().manual_seed(5)
    for f, a in (([0.1234], [1.0]), ([0.1, 0.1 + 1.5 / N], [1.0, 0.7j]), ([-0.4, 0.0, 0.031], [1, 0.5, 1j])):
        f = torch.tensor([f], **DOUBLE).expand(2000, -1)
        a = torch.tensor([a], dtype=torch.complex128).expand(2000, -1)
        clean = data.LineSpectra(f, a).signals(N, torch.complex128)
        sigma = (clean[0].abs().square().mean() / 2 / 10**3).sqrt().item()
        noisy = physics.add_gaussian_noise(clean, sigma, generator)
        start = f + 0.2 / N * (torch.rand(f.shape, generator=generator, **DOUBLE) - 0.5)
        error = data.wrap(classical.refine_lines(noisy, start) - f)
        bound = classical.cramer_rao_bound(f[:1], a[:1], sigma, N)[0]
        ratio = error.square().mean(dim=0).sqrt() / bound
        assert ((ratio > 0.95) & (ratio < 1.05)).all(), ratio
        assert (error.mean(dim=0).abs() < 4 * bound / 2000**0.5).all()  # and it is unbiased


def test_below_the_threshold_least_squares_break_off_from_the_bound():
    """At −10 dB the highest peak of the periodogram is often a peak of noise: an error of a tenth, not of the bound."""
    generator = torch.Generator().manual_seed(6)
    f, a = torch.full((1000, 1), 0.2, **DOUBLE), torch.ones(1000, 1, dtype=torch.complex128)
    clean = data.LineSpectra(f, a).signals(N, torch.complex128)
    ratios = []
    for snr in (0, -10):
        sigma = (0.5 / 10 ** (snr / 10)) ** 0.5
        noisy = physics.add_gaussian_noise(clean, sigma, generator)
        found = classical.refine_lines(noisy, classical.periodogram_frequencies(noisy, 1))
        bound = classical.cramer_rao_bound(f[:1], a[:1], sigma, N).item()
        ratios.append((data.wrap(found - f).square().mean().sqrt() / bound).item())
    assert 0.93 < ratios[0] < 1.1
    assert ratios[1] > 10


@pytest.mark.parametrize(("seed", "snr"), [(7, 0), (8, 20), (9, 50)])
def test_no_fit_gets_worse(seed, snr):
    generator = torch.Generator().manual_seed(seed)
    drawn = lines(seed, 30)
    noisy = physics.add_noise_at_snr(drawn.signals(N, torch.complex128), snr, generator)
    for spread in (0.0, 0.3, 3.0, 25.0):  # of 1/N: from the truth to anywhere
        start = drawn.frequencies + spread / N * torch.randn(drawn.frequencies.shape, generator=generator, **DOUBLE)
        for iterations in (1, 50):
            found = classical.refine_lines(noisy, start, iterations=iterations)
            before, after = residual(noisy, start), residual(noisy, found)
            assert (after <= before * (1 + 1e-9)).all()
            assert (data.line_counts(found) == drawn.counts).all()


def test_equal_to_scipys_least_squares():
    drawn = lines(9, 12, most_lines=4, separation=2.0)
    noisy = physics.add_noise_at_snr(drawn.signals(N, torch.complex128), 20, torch.Generator().manual_seed(9))
    found = classical.refine_lines(noisy, drawn.frequencies)
    for row in range(12):
        K = int(drawn.counts[row])
        y = noisy[row].numpy()

        def misfit(theta, K=K, y=y):
            f, real, imaginary = torch.from_numpy(theta).chunk(3)
            lines = data.LineSpectra(f[None], torch.complex(real, imaginary)[None])
            r = lines.signals(N, torch.complex128)[0] - torch.from_numpy(y)
            return torch.cat([r.real, r.imag]).numpy()

        start = torch.cat([drawn.frequencies[row, :K], drawn.amplitudes[row, :K].real, drawn.amplitudes[row, :K].imag])
        theirs = least_squares(misfit, start.numpy(), xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale="jac")
        torch.testing.assert_close(found[row, :K], torch.from_numpy(theirs.x[:K]), rtol=0, atol=2e-7)


def test_without_noise_the_lines_are_exact_and_in_order():
    drawn = lines(10, 200)
    clean = drawn.signals(N, torch.complex128)
    start = data.wrap(drawn.frequencies + 1e-3).flip(1) + 1  # in any order, of any number of cycles
    found = classical.refine_lines(clean, start)
    assert data.wrap(found - drawn.frequencies).abs().nan_to_num().max() < 1e-9
    assert torch.equal(found.isfinite(), drawn.frequencies.isfinite())
    assert found.dtype == torch.float64
    single = classical.refine_lines(clean.to(torch.complex64), start)
    assert single.dtype == torch.float32
    assert data.wrap(single - drawn.frequencies).abs().nanmedian() < 1e-7
    # what single precision rounds to 1/2 is −1/2
    edge = torch.tensor([[0.5 - 1e-12, 0.25]], **DOUBLE)
    y = data.LineSpectra(edge, torch.ones(1, 2, dtype=torch.complex128)).signals(N, torch.complex128)
    rounded = classical.refine_lines(y.to(torch.complex64), edge)
    torch.testing.assert_close(rounded, torch.tensor([[-0.5, 0.25]]), rtol=0, atol=1e-7)


def test_lines_that_merge_or_coincide_make_no_nan():
    drawn = lines(11, 50)
    noisy = physics.add_noise_at_snr(drawn.signals(N, torch.complex128), 20, torch.Generator().manual_seed(11))
    for offsets in (torch.zeros(4), torch.tensor([0, 1e-12, 1e-8, 0.1]), torch.tensor([0, 0, 0.2, 0.2])):
        start = drawn.frequencies[:, :1] + offsets.double()
        found = classical.refine_lines(noisy, start)
        assert found.isfinite().all()
        assert (found.diff(dim=1) >= 0).all()
        assert (residual(noisy, found) <= residual(noisy, start) * (1 + 1e-9)).all()
    # one line explained by two at the same place: they stay, or part, and nothing breaks
    one = lines(12, 5, most_lines=1)
    found = classical.refine_lines(one.signals(N, torch.complex128), one.frequencies.expand(-1, 2))
    assert found.isfinite().all()


def test_amplitudes_are_those_of_least_squares():
    drawn = lines(13, 40)
    clean = drawn.signals(N, torch.complex128)
    torch.testing.assert_close(
        classical.line_amplitudes(clean, drawn.frequencies), drawn.amplitudes, rtol=0, atol=1e-10
    )
    noisy = physics.add_noise_at_snr(clean, 10, torch.Generator().manual_seed(13))
    fitted = data.LineSpectra(drawn.frequencies, classical.line_amplitudes(noisy, drawn.frequencies))
    energy = (noisy - fitted.signals(N, torch.complex128)).abs().square().sum(dim=1)
    torch.testing.assert_close(energy, residual(noisy, drawn.frequencies), rtol=1e-10, atol=0)
    # of two equal lines one carries it all, also with a third after them
    f = torch.tensor([[0.1, 0.1, 0.3]], **DOUBLE)
    y = data.LineSpectra(f, torch.tensor([[1, 2j, 3]], dtype=torch.complex128)).signals(N, torch.complex128)
    expected = torch.tensor([[1 + 2j, 0, 3]], dtype=torch.complex128)
    torch.testing.assert_close(classical.line_amplitudes(y, f), expected, rtol=0, atol=1e-10)


def test_refining_helps_what_it_starts_from():
    drawn = lines(14, 100, separation=2.0, most_lines=5)
    noisy = physics.add_noise_at_snr(drawn.signals(N, torch.complex128), 30, torch.Generator().manual_seed(14))
    peaks = classical.periodogram_frequencies(noisy, drawn.counts)
    refined = classical.refine_lines(noisy, peaks)
    before, after = (metrics.chamfer(f, drawn.frequencies).median() for f in (peaks, refined))
    assert after < 0.5 * before


def test_bad_input_of_the_bound(unchecked):
    f, a = torch.tensor([[0.1, 0.2]], **DOUBLE), torch.ones(1, 2, dtype=torch.complex128)

    def refused(message, *arguments):
        with pytest.raises(expect.InputError, match=f"^{message}$"):
            classical.cramer_rao_bound(*arguments)

    refused(r"expected frequencies as a real torch.Tensor \(batch, lines\), got .*", f[0], a, 1, N)
    refused(r"expected frequencies as a real torch.Tensor \(batch, lines\), got .*", [[0.1]], a, 1, N)
    refused(r"expected frequencies without infinity \(NaN where there is no line\)", f / 0, a, 1, N)
    refused(r"expected frequencies and amplitudes of one shape, got \(1, 2\) and \(1, 1\)", f, a[:, :1], 1, N)
    refused("expected amplitudes without NaN or infinity, got 2 of them in .*", f, a * NAN, 1, N)
    refused("expected amplitudes other than 0 where there is a line, got 2 of 0", f, 0 * a, 1, N)
    refused("expected frequencies that differ from each other, got two equal ones in a signal", 0 * f, a, 1, N)
    refused("expected frequencies that differ from each other, got .*", torch.tensor([[0.5, -0.5]]).double(), a, 1, N)
    refused("expected the noise level sigma as a number from 0, got -1", f, a, -1, N)
    refused("expected sigma of at least 0, one for each of 1 signals", f, a, torch.ones(2), N)
    refused("expected sigma of at least 0, one for each of 1 signals", f, a, -torch.ones(1), N)
    refused("expected samples as a whole number from 2, got 1", f, a, 1, 1)
    refused("expected samples as a whole number from 2, got 50.0", f, a, 1, 50.0)
    refused(r"expected at most 1 lines in 2 samples \(three real unknowns a line\), got 2", f, a, 1, 2)


def test_bad_input_of_least_squares(unchecked):
    drawn = lines(15, 3)
    y, f = drawn.signals(N), drawn.frequencies
    silent, broken = y.clone(), y.clone()
    silent[1], broken[0, 0] = 0, NAN
    for function in (classical.refine_lines, classical.line_amplitudes):

        def refused(message, *arguments, function=function, **more):
            with pytest.raises(expect.InputError, match=f"^{message}$"):
                function(*arguments, **more)

        refused(r"expected signals as complex samples \(batch, samples\), got .*", y.real, f)
        refused(r"expected signals as a floating-point torch.Tensor \(batch, samples\), got .*", y[0], f)
        refused("expected signals without NaN or infinity, got 1 of them in .*", broken, f)
        refused("expected signals with some energy, got 1 of zeros", silent, f)
        refused(r"expected frequencies as a real torch.Tensor \(batch, lines\), got .*", y, y)
        refused("expected frequencies without infinity .*", y, f / 0)
        refused(r"expected frequencies \(batch, lines\) of 3 signals, got .*", y, f[:2])
        refused("expected at most 4 lines, one a sample, got 5", y[:, :4], torch.linspace(0, 0.4, 5).expand(3, -1))
    with pytest.raises(expect.InputError, match="^expected iterations as a whole number from 1, got 0$"):
        classical.refine_lines(y, f, iterations=0)
