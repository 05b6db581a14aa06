"""k-space: the transform against sigpy, coils, point-spread functions, and what masks and data must be."""

import pytest
import sigpy
import sigpy.mri
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import expect, physics
from course_lib.classical import zero_filled
from course_lib.physics import CoilSampling, FourierSampling, LinearOperator


@given(seed=st.integers(0, 10_000), height=st.integers(2, 17), width=st.integers(2, 17))
def test_fourier_equals_sigpy_and_is_unitary(seed, height, width):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, height, width, generator=generator, dtype=torch.complex128)
    k = physics.fourier(x)
    torch.testing.assert_close(k, torch.from_numpy(sigpy.fft(x.numpy(), axes=(-2, -1))), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        physics.inverse_fourier(x), torch.from_numpy(sigpy.ifft(x.numpy(), axes=(-2, -1))), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(physics.inverse_fourier(k), x, rtol=0, atol=1e-12)
    assert k.norm().item() == pytest.approx(x.norm().item(), rel=1e-12)
    # zero frequency stands in the centre
    assert abs(k[0, height // 2, width // 2] - x[0].sum() / (height * width) ** 0.5) < 1e-12


def test_precision_is_kept():
    for real, complex_ in ((torch.float32, torch.complex64), (torch.float64, torch.complex128)):
        x = torch.ones(2, 1, 4, 6, dtype=real)
        assert physics.fourier(x).dtype == physics.fourier(x.to(complex_)).dtype == complex_
        A = CoilSampling(torch.ones(4, 6, dtype=torch.bool), physics.coil_sensitivities((4, 6), 2))
        assert A(x).dtype == A.normal(x).dtype == A.adjoint(A(x)).dtype == complex_


def test_what_is_measured_is_kept_and_the_rest_is_zero(generator):
    mask = torch.rand(3, 1, 8, 9, generator=generator) < 0.4
    x = torch.randn(3, 2, 8, 9, generator=generator, dtype=torch.complex128)
    A = FourierSampling(mask)
    torch.testing.assert_close(A(x), torch.where(mask, physics.fourier(x), 0), rtol=0, atol=1e-12)
    assert (A(x)[~mask.expand(A(x).shape)] == 0).all()
    # A Aᴴ is the identity on measured samples: zero-filled images predict their own measurements
    y = A(x)
    torch.testing.assert_close(A(A.adjoint(y)), y, rtol=0, atol=1e-12)
    assert A.norm() == 1
    # what stands where nothing was measured has no influence
    garbage = y + torch.where(mask, 0, 7.0)
    assert torch.equal(zero_filled(A, garbage), zero_filled(A, y))


@pytest.mark.parametrize(("shape", "coils"), [((8, 8), 1), ((16, 12), 4), ((6, 10), 8)])
def test_coils_equal_sigpy(shape, coils):
    ours = physics.coil_sensitivities(shape, coils, dtype=torch.complex128)
    theirs = torch.from_numpy(sigpy.mri.birdcage_maps((coils, *shape))).to(torch.complex128)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)  # sigpy's are single precision
    torch.testing.assert_close(ours.abs().square().sum(0), torch.ones(shape, dtype=torch.float64), rtol=0, atol=1e-12)
    assert physics.coil_sensitivities(shape, coils).dtype == torch.complex64


def test_each_coil_is_strongest_on_its_side():
    maps = physics.coil_sensitivities((33, 33), 4).abs()
    brightest = [divmod(int(m.argmax()), 33) for m in maps]
    assert [row for row, _ in brightest][0::2] == [16, 16]
    assert [column for _, column in brightest] == [32, 16, 0, 16]
    assert [row for row, _ in brightest][1::2] == [32, 0]


def test_coil_sampling_is_single_coil_sampling_of_each_view(generator):
    mask = physics.line_mask((12, 10), 2, 0.2, generator)
    maps = physics.coil_sensitivities((12, 10), 3, dtype=torch.complex128)
    x = torch.randn(2, 1, 12, 10, generator=generator, dtype=torch.complex128)
    A, single = CoilSampling(mask, maps), FourierSampling(mask)
    torch.testing.assert_close(A(x), torch.stack([single(s * x) for s in maps], dim=-3))
    # fully sampled, the adjoint is the inverse: the maps' squares add up to one
    full = CoilSampling(torch.ones(12, 10, dtype=torch.bool), maps)
    torch.testing.assert_close(full.adjoint(full(x)), x)


def test_norm_of_coils_is_a_close_bound(generator):
    maps = physics.coil_sensitivities((32, 32), 8, dtype=torch.complex128)
    for mask in (
        physics.line_mask((32, 32), 4, 0.08, generator),
        physics.variable_density_mask((32, 32), 4, generator),
    ):
        A = CoilSampling(mask, maps)
        exact = LinearOperator.norm(A, iterations=1000, tolerance=1e-10)
        assert A.norm() == pytest.approx(1)
        assert exact <= A.norm() <= 1.01 * exact
    assert CoilSampling(mask, 3 * maps).norm() == pytest.approx(3)


def test_equispaced_lines_alias_into_replicas_and_random_lines_into_noise(generator):
    """R = 4: three replicas of full height, a quarter of the width apart; random lines reach less than half."""
    shape = (64, 64)
    centre = (32, 32)
    regular = physics.point_spread_function(physics.line_mask(shape, 4, kind="equispaced")).abs()
    assert regular[centre].item() == pytest.approx(1)
    replicas = regular.clone()
    replicas[:, [0, 16, 32, 48]] = 0
    torch.testing.assert_close(regular[32, [0, 16, 48]], torch.ones(3, dtype=torch.float64))
    assert replicas.max() < 1e-12
    for _ in range(10):
        random = physics.point_spread_function(physics.line_mask(shape, 4, generator=generator)).abs()
        assert random[centre].item() == pytest.approx(1)
        lobes = random[32].clone()
        lobes[32] = 0
        assert 0.2 < lobes.max() < 0.75
    # with points two directions share the aliasing, and it is lower still
    points = physics.point_spread_function(physics.variable_density_mask(shape, 4, generator, power=0)).abs()
    points[31:34, 31:34] = 0
    assert points.max() < 0.2


def test_normal_is_the_convolution_with_the_point_spread_function(generator):
    mask = physics.variable_density_mask((8, 9), 3, generator)
    point = torch.zeros(8, 9, dtype=torch.complex128)
    point[4, 4] = 1
    response = FourierSampling(mask).normal(point)
    torch.testing.assert_close(response / response[4, 4], physics.point_spread_function(mask))


def test_masks_that_cannot_be_used(unchecked):
    maps = physics.coil_sensitivities((8, 8), 2)
    for kind in (FourierSampling, lambda mask: CoilSampling(mask, maps), physics.point_spread_function):
        with pytest.raises(expect.InputError, match="^expected a mask .* of dtype bool, got .* dtype float32$"):
            kind(torch.ones(8, 8))
        with pytest.raises(expect.InputError, match=r"^expected a mask .* got a torch.Tensor of shape \(8,\) .*$"):
            kind(torch.ones(8, dtype=torch.bool))
        with pytest.raises(expect.InputError, match="^expected a mask with at least one sample, got none in .*$"):
            kind(torch.zeros(8, 8, dtype=torch.bool))
        with pytest.raises(expect.InputError, match="^expected a mask as a torch.Tensor .*, got a numpy.ndarray .*$"):
            kind(torch.ones(8, 8, dtype=torch.bool).numpy())
    one_empty = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    one_empty[1] = False
    with pytest.raises(expect.InputError, match="at least one sample"):
        FourierSampling(one_empty)
    with pytest.raises(expect.InputError, match=r"^expected a mask \(height, width\), got .*\(2, 1, 8, 8\).*$"):
        physics.point_spread_function(torch.ones(2, 1, 8, 8, dtype=torch.bool))


def test_coils_that_cannot_be_used(unchecked):
    mask = torch.ones(8, 8, dtype=torch.bool)
    with pytest.raises(expect.InputError, match="^expected complex sensitivities, got .* float32$"):
        CoilSampling(mask, torch.ones(2, 8, 8))
    with pytest.raises(
        expect.InputError, match=r"^expected mask and sensitivities of one size, got \(8, 8\) and \(8, 9\)$"
    ):
        CoilSampling(mask, torch.ones(2, 8, 9, dtype=torch.complex64))
    with pytest.raises(expect.InputError, match=r"^expected sensitivities .*\(coils, height, width\), got .*$"):
        CoilSampling(mask, torch.ones(8, 8, dtype=torch.complex64))
    with pytest.raises(expect.InputError, match="^expected one mask for all coils, .*, got .*$"):
        CoilSampling(mask.expand(2, 8, 8), physics.coil_sensitivities((8, 8), 2))
    with pytest.raises(expect.InputError, match="^expected the coils' distance as a number above 1, got 1$"):
        physics.coil_sensitivities((8, 8), 2, distance=1)
    with pytest.raises(expect.InputError, match="number of coils"):
        physics.coil_sensitivities((8, 8), 0)


@pytest.mark.parametrize("coils", [None, 2])
def test_measurements_that_cannot_be_used(coils, unchecked):
    mask = torch.ones(8, 8, dtype=torch.bool)
    A = FourierSampling(mask) if coils is None else CoilSampling(mask, physics.coil_sensitivities((8, 8), coils))
    name = type(A).__name__
    good = torch.ones((1, 1, *A.range_shape), dtype=torch.complex64)
    with pytest.raises(
        expect.InputError, match=rf"^{name}.measurements: expected shape \(\.\.\., .*8\), got .*8, 9\).*$"
    ):
        zero_filled(A, torch.cat([good, good[..., :1]], dim=-1))
    with pytest.raises(
        expect.InputError, match=f"^{name}.measurements: expected complex measurements, got .* float32$"
    ):
        zero_filled(A, good.real)
    bad = good.clone()
    bad[..., 3, 4] = float("nan")
    with pytest.raises(
        expect.InputError, match="^expected the measurements without NaN or infinity, got . of them in .*$"
    ):
        zero_filled(A, bad)
    with pytest.raises(
        expect.InputError, match=r"^expected the image as a torch.Tensor \(\.\.\., height, width\), got 3$"
    ):
        physics.fourier(3)
