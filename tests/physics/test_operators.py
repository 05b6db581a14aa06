"""Every operator: linear, adjoint, of the shapes it says, and of the norm it says."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import expect, physics
from course_lib.physics import CircularConvolution, LinearOperator


def random_operators(seed: int, height: int, width: int) -> list[LinearOperator]:
    """One of each kind, on (height, width). A new operator is added here and gets all tests below."""
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(2 * (height // 4) + 1, 2 * (width // 4) + 1, generator=generator, dtype=torch.float64)
    spectrum_of_real = torch.fft.fft2(torch.randn(height, width, generator=generator, dtype=torch.float64))
    return [
        CircularConvolution(physics.gaussian_gain((height, width), 1.3)),
        CircularConvolution(spectrum_of_real),
        CircularConvolution.from_kernel(kernel, (height, width)),
    ]


sides = st.integers(2, 17)


@given(seed=st.integers(0, 10_000), height=sides, width=sides, batch=st.integers(1, 3))
def test_adjoint(seed, height, width, batch):
    """⟨A x, y⟩ = ⟨x, Aᴴ y⟩, to 1e-5 in single precision."""
    generator = torch.Generator().manual_seed(seed + 1)
    for A in random_operators(seed, height, width):
        x = torch.randn(batch, 1, *A.domain_shape, generator=generator)
        y = torch.randn(batch, 1, *A.range_shape, generator=generator)
        left, right = (A(x) * y).sum(), (x * A.adjoint(y)).sum()
        scale = A(x).norm() * y.norm() + 1e-12
        assert abs(left - right) / scale < 1e-5


@given(seed=st.integers(0, 10_000), height=sides, width=sides, a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_linear(seed, height, width, a, b):
    generator = torch.Generator().manual_seed(seed + 1)
    for A in random_operators(seed, height, width):
        x, z = torch.randn(2, 1, 1, *A.domain_shape, generator=generator, dtype=torch.float64)
        difference = A(a * x + b * z) - (a * A(x) + b * A(z))
        assert difference.abs().max() < 1e-9 * (1 + A.norm() * (x.norm() + z.norm()))


@given(seed=st.integers(0, 10_000), height=sides, width=sides)
def test_shapes_dtypes_and_normal(seed, height, width):
    for A in random_operators(seed, height, width):
        for dtype in (torch.float32, torch.float64):
            x = torch.ones(2, 3, *A.domain_shape, dtype=dtype)
            assert A(x).shape == (2, 3, *A.range_shape)
            assert A(x).dtype == dtype
            assert A.adjoint(A(x)).shape == x.shape
            assert torch.equal(A.normal(x), A.adjoint(A(x)))
        with pytest.raises(expect.InputError, match=rf"{type(A).__name__}.forward: expected shape"):
            A(torch.ones(1, 1, height + 1, width))
        with pytest.raises(expect.InputError, match=rf"{type(A).__name__}.adjoint: expected shape"):
            A.adjoint(torch.ones(1, 1, height, width + 1))


def test_norm_is_the_largest_singular_value():
    for A in random_operators(3, 6, 5):
        columns = torch.eye(30, dtype=torch.float64).reshape(30, 6, 5)
        matrix = A(columns).reshape(30, 30)
        exact = torch.linalg.matrix_norm(matrix, 2).item()
        assert A.norm() == pytest.approx(exact, rel=1e-9)
        assert LinearOperator.norm(A, iterations=3000, tolerance=1e-12) == pytest.approx(exact, rel=1e-3)


def test_circular_convolution_agrees_with_scipy(generator):
    from scipy.ndimage import convolve

    kernel = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    image = torch.randn(16, 20, generator=generator, dtype=torch.float64)
    ours = CircularConvolution.from_kernel(kernel, (16, 20))(image)
    np.testing.assert_allclose(ours, convolve(image.numpy(), kernel.numpy(), mode="wrap"), atol=1e-12)


def test_gaussian_gain_agrees_with_scipy(generator):
    from scipy.ndimage import fourier_gaussian

    ours = physics.gaussian_gain((16, 20), 1.7)
    np.testing.assert_allclose(ours, fourier_gaussian(np.ones((16, 20)), 1.7).real, atol=1e-12)


def test_operators_run_through_autograd(generator):
    A = CircularConvolution(physics.gaussian_gain((6, 5), 1.0))
    x = torch.randn(1, 1, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(A, (x,))


def test_kernels_that_do_not_fit(unchecked):
    with pytest.raises(expect.InputError, match="odd sides"):
        CircularConvolution.from_kernel(torch.ones(2, 3), (8, 8))
    with pytest.raises(expect.InputError, match="odd sides within"):
        CircularConvolution.from_kernel(torch.ones(9, 3), (8, 8))


def test_noise_has_its_level_and_its_generator_decides(unchecked):
    clean = torch.full((4, 1, 64, 64), 0.5)
    one = physics.add_gaussian_noise(clean, 0.1, torch.Generator().manual_seed(1))
    again = physics.add_gaussian_noise(clean, 0.1, torch.Generator().manual_seed(1))
    other = physics.add_gaussian_noise(clean, 0.1, torch.Generator().manual_seed(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert (one - clean).std() == pytest.approx(0.1, rel=0.02)
    assert torch.equal(physics.add_gaussian_noise(clean, 0, torch.Generator()), clean)
    with pytest.raises(expect.InputError, match="noise level sigma"):
        physics.add_gaussian_noise(clean, -0.1, torch.Generator())
    with pytest.raises(expect.InputError, match="expected a torch.Generator, got 7"):
        physics.add_gaussian_noise(clean, 0.1, 7)
