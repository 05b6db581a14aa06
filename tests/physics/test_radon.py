"""Parallel-beam CT: against the written-out matrix, scikit-image, and the exact sinogram of ellipses."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import iradon, radon

from course_lib import expect
from course_lib.data.phantoms import ellipse_phantom, ellipse_sinogram
from course_lib.physics.radon import FILTERS, Radon


def uniform(views: int) -> torch.Tensor:
    return torch.arange(views, dtype=torch.float64) * torch.pi / views


def matrix(size: int, angles: torch.Tensor) -> torch.Tensor:
    """Joseph's weights of every pixel in every line, Λ((t − τ)/c)/c: (views, size, size·size)."""
    offset = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(offset, offset, indexing="ij")
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    c = torch.maximum(cos.abs(), sin.abs())
    tau = x.flatten() * cos - y.flatten() * sin
    return (1 - (offset[:, None] - tau).abs() / c).clamp(min=0) / c


def smooth_image(size: int) -> torch.Tensor:
    """Two blobs within the circle, and no symmetry."""
    offset = (torch.arange(size, dtype=torch.float64) - size // 2) / size
    y, x = offset[:, None], offset
    blobs = torch.exp(-((x - 0.1) ** 2 + (y + 0.15) ** 2) / 0.008) + 0.5 * torch.exp(-((x + 0.2) ** 2 + y**2) / 0.005)
    return blobs * (x**2 + y**2 < 0.23)


def relative(value: torch.Tensor, reference: torch.Tensor) -> float:
    return ((value - reference).norm() / reference.norm()).item()


def rmse(value: torch.Tensor, reference: torch.Tensor) -> float:
    return (value - reference).square().mean().sqrt().item()


angle_lists = st.lists(st.floats(-6.28, 6.28), min_size=1, max_size=7)


@given(size=st.integers(2, 13), angles=angle_lists)
def test_equals_the_written_out_matrix(size, angles):
    """For any angles, also repeated, neighbouring, opposite and negative ones."""
    angles = torch.tensor(
        [*angles, angles[0], angles[0] + 1e-4, -angles[0], math.pi / 4, -math.pi / 2], dtype=torch.float64
    )
    A = Radon(size, angles)
    columns = A(torch.eye(size * size, dtype=torch.float64).reshape(-1, size, size))
    wanted = matrix(size, angles)
    assert (columns - wanted.permute(2, 0, 1)).abs().max() < 1e-5  # angles within 1e-6 share their weights
    rows = A.adjoint(torch.eye(len(angles) * size, dtype=torch.float64).reshape(-1, len(angles), size))
    assert (rows.reshape(wanted.shape) - wanted).abs().max() < 1e-5


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@given(seed=st.integers(0, 10_000), size=st.integers(2, 40), views=st.integers(1, 30), spread=st.booleans())
def test_adjoint_in_both_precisions(dtype, tolerance, seed, size, views, spread):
    generator = torch.Generator().manual_seed(seed)
    angles = uniform(views) if spread else 4 * torch.rand(views, generator=generator, dtype=torch.float64)
    A = Radon(size, angles)
    x = torch.randn(2, *A.domain_shape, generator=generator, dtype=dtype)
    y = torch.randn(2, *A.range_shape, generator=generator, dtype=dtype)
    left, right = (A(x) * y).sum(), (x * A.adjoint(y)).sum()
    assert A(x).dtype == A.adjoint(y).dtype == dtype
    assert abs(left - right) <= tolerance * (A(x).norm() * y.norm())


@pytest.mark.parametrize("size", [6, 7])
def test_runs_through_autograd_twice(size, generator):
    A = Radon(size, torch.tensor([0.0, 0.3, math.pi / 4, 1.9, 3.0, -0.3], dtype=torch.float64))
    x = torch.randn(2, *A.domain_shape, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, *A.range_shape, generator=generator, dtype=torch.float64, requires_grad=True)
    for function, at in ((A, x), (A.adjoint, y), (A.filtered_back_projection, y)):
        assert torch.autograd.gradcheck(function, (at,))
        assert torch.autograd.gradgradcheck(function, (at,))
    (gradient,) = torch.autograd.grad((A(x) * y).sum(), x)
    torch.testing.assert_close(gradient, A.adjoint(y), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [64, 65])
def test_projection_agrees_with_scikit_image(size):
    angles = torch.cat([uniform(24), torch.tensor([-0.4, 2.2, 5.0], dtype=torch.float64)])
    theirs = lambda x: torch.from_numpy(radon(x.numpy(), np.rad2deg(angles.numpy()))).T  # noqa: E731
    A = Radon(size, angles)
    smooth, edges = smooth_image(size), ellipse_phantom(size)[0, 0].double()
    assert relative(A(smooth), theirs(smooth)) < 2e-3
    assert relative(A(edges), theirs(edges)) < 1e-2
    # along rows and columns nobody interpolates
    np.testing.assert_allclose(A(edges)[0], theirs(edges)[0], atol=1e-12)
    np.testing.assert_allclose(A(edges)[12], theirs(edges)[12], atol=1e-12)


@pytest.mark.parametrize("size", [128, 257])
def test_projection_agrees_with_the_exact_sinogram(size):
    """At edges the error is of the order of a pixel, and no larger than scikit-image's."""
    angles = uniform(30)
    image, exact = ellipse_phantom(size, supersampling=8)[0, 0].double(), ellipse_sinogram(size, angles)[0, 0]
    ours = Radon(size, angles)(image)
    theirs = torch.from_numpy(radon(image.numpy(), np.rad2deg(angles.numpy()))).T
    assert relative(ours, exact) < 4 / size
    assert relative(ours, exact) <= 1.05 * relative(theirs, exact)


@pytest.mark.parametrize("size", [255, 256])
@pytest.mark.parametrize("filter", FILTERS)
def test_filtered_back_projection_agrees_with_scikit_image(size, filter):
    A = Radon(size, uniform(45))
    sinogram = A(smooth_image(size))
    theirs = iradon(sinogram.T.numpy(), np.rad2deg(A.angles.numpy()), filter_name=filter)
    # scikit-image's Hann and Hamming windows are not quite periodic
    tolerance = 1e-4 if filter in ("hann", "hamming") else 1e-10
    np.testing.assert_allclose(A.filtered_back_projection(sinogram, filter), theirs, rtol=0, atol=tolerance)


def test_more_views_reconstruct_better():
    """The phantom's error falls at least fourfold from 10 to 180 views, from exact line integrals."""
    phantom = ellipse_phantom(128)
    errors = []
    for views in (10, 20, 45, 90, 180):
        A = Radon(128, uniform(views))
        errors.append(rmse(A.filtered_back_projection(ellipse_sinogram(128, A.angles).float()), phantom))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] / errors[-1] > 4
    # the units are right too: a flat region comes back at its value
    assert A.filtered_back_projection(ellipse_sinogram(128, A.angles))[0, 0, 100, 64].item() == pytest.approx(
        0.2, abs=0.02
    )


def test_every_projection_holds_the_whole_mass():
    smooth, edges = smooth_image(64), ellipse_phantom(64)[0, 0].double()
    A = Radon(64, 6 * torch.rand(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    torch.testing.assert_close(A(smooth).sum(1), smooth.sum().expand(20), rtol=1e-4, atol=0)
    torch.testing.assert_close(A(edges).sum(1), edges.sum().expand(20), rtol=5e-3, atol=0)


def test_a_quarter_turn_of_the_image_shifts_the_sinogram(generator):
    image = torch.randn(17, 17, generator=generator, dtype=torch.float64)
    A = Radon(17, uniform(8))
    turned = A(image.rot90())  # counter-clockwise
    torch.testing.assert_close(turned[4:], A(image)[:4], rtol=0, atol=1e-12)
    torch.testing.assert_close(turned[:4], A(image)[4:].flip(1), rtol=0, atol=1e-12)


def test_a_point_goes_where_the_formula_says():
    image = torch.zeros(33, 33)
    image[16 - 8, 16 + 3] = 1  # x = 3, y = −8
    sinogram = Radon(33, torch.tensor([0.0, math.pi / 2]))(image)
    assert sinogram.argmax(1).tolist() == [16 + 3, 16 + 8]


def test_batches_channels_complex_numbers_and_precisions(generator):
    A = Radon(12, uniform(5))
    x = torch.randn(11, 2, 12, 12, generator=generator, dtype=torch.complex128)  # more than are taken at a time
    y = torch.randn(11, 2, 5, 12, generator=generator, dtype=torch.complex128)
    for function, value in ((A, x), (A.adjoint, y), (A.filtered_back_projection, y)):
        one_by_one = torch.stack([torch.complex(function(v.real), function(v.imag)) for v in value.flatten(0, 1)])
        torch.testing.assert_close(function(value).flatten(0, 1), one_by_one, rtol=0, atol=1e-12)
        assert function(value[0, 0].real.half()).dtype == torch.float16
    assert A(x[0, 0]).shape == (5, 12)
    assert torch.equal(A.normal(x), A.adjoint(A(x)))


def test_norm_is_the_largest_singular_value():
    angles = uniform(6)
    exact = torch.linalg.matrix_norm(matrix(10, angles).reshape(60, 100), 2).item()
    assert Radon(10, angles).norm(iterations=1000, tolerance=1e-12) == pytest.approx(exact, rel=1e-6)


def test_angles_that_cannot_be_used(unchecked):
    with pytest.raises(expect.InputError, match=r"angles in radians .* values up to 179: that looks like degrees"):
        Radon(8, torch.arange(180.0))
    with pytest.raises(expect.InputError, match="torch.deg2rad converts them"):
        Radon(8, -torch.arange(180.0))
    with pytest.raises(expect.InputError, match="expected angles as a floating-point torch.Tensor"):
        Radon(8, torch.arange(3))
    with pytest.raises(expect.InputError, match=r"expected angles as a floating-point torch.Tensor \(views,\)"):
        Radon(8, torch.zeros(0))
    with pytest.raises(expect.InputError, match=r"shape \(1, 3\)"):
        Radon(8, torch.zeros(1, 3))
    with pytest.raises(expect.InputError, match="expected angles without NaN or infinity, got 1"):
        Radon(8, torch.tensor([0.0, math.nan]))
    with pytest.raises(expect.InputError, match="expected angles as real numbers"):
        Radon(8, torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(expect.InputError, match="expected angles as a floating-point torch.Tensor .* got a list of 2"):
        Radon(8, [0.0, 1.0])
    Radon(8, torch.tensor([2 * math.pi, -2 * math.pi]))  # a full turn in single precision is no degrees


def test_arguments_that_cannot_be_used(unchecked):
    A = Radon(8, torch.zeros(3))
    with pytest.raises(expect.InputError, match="expected a size as a whole number of pixels from 2, got 1"):
        Radon(1, torch.zeros(3))
    with pytest.raises(expect.InputError, match=r"Radon.forward: expected shape \(..., 8, 8\), got .* \(3, 8\)"):
        A(torch.zeros(3, 8))
    with pytest.raises(expect.InputError, match=r"Radon.adjoint: expected shape \(..., 3, 8\)"):
        A.adjoint(torch.zeros(8, 8))
    with pytest.raises(expect.InputError, match=r"filtered_back_projection: expected shape \(..., 3, 8\)"):
        A.filtered_back_projection(torch.zeros(8, 3))
    with pytest.raises(expect.InputError, match="expected a filter among ramp, shepp-logan, .* got 'ram-lak'"):
        A.filtered_back_projection(torch.zeros(3, 8), "ram-lak")
