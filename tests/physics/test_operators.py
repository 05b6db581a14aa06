"""Every operator: linear, adjoint, of the shapes it says, and of the norm it says."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import expect, physics
from course_lib.classical import OrthogonalWavelet, UndecimatedWavelet
from course_lib.classical.low_rank import TemporalFourier
from course_lib.physics import (
    CircularConvolution,
    CoilSampling,
    FiniteDifferences,
    FourierSampling,
    HadamardSampling,
    LinearOperator,
    MatrixOperator,
    SplitHadamardSampling,
)
from course_lib.physics.radon import Radon

BATCH = 2
NORM_IS_A_BOUND = (CoilSampling, FiniteDifferences)
SINGLE, DOUBLE = (torch.float32, torch.complex64), (torch.float64, torch.complex128)


def random_operators(seed: int, height: int, width: int) -> list[LinearOperator]:
    """One of each kind, on (height, width) or near it. A new operator is added here and gets all tests below."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    def mask(*shape: int) -> torch.Tensor:
        chosen = torch.rand(shape, generator=generator) < 0.5
        chosen[..., shape[-2] // 2, shape[-1] // 2] = True
        return chosen

    kernel = normal(2 * (height // 4) + 1, 2 * (width // 4) + 1)
    maps = normal(3, height, width, dtype=torch.complex128)
    even = 2 * height, 2 * width
    patterns = mask(2 ** (1 + height % 4), 2 ** (1 + height % 4))
    return [
        CircularConvolution(physics.gaussian_gain((height, width), 1.3)),
        CircularConvolution(torch.fft.fft2(normal(height, width))),
        CircularConvolution.from_kernel(kernel, (height, width)),
        FourierSampling(mask(height, width)),
        FourierSampling(mask(BATCH, 1, height, width)),
        CoilSampling(mask(height, width), maps),
        CoilSampling(mask(BATCH, 1, 1, height, width), maps),
        HadamardSampling(patterns),
        SplitHadamardSampling(patterns),
        FiniteDifferences((height, width), "reflect"),
        FiniteDifferences((height, width), "periodic"),
        OrthogonalWavelet(even, "haar"),
        OrthogonalWavelet(even, "db3", 1),
        UndecimatedWavelet((height, width), "db2", 2),
        TemporalFourier((3, 1, height, width)),
        MatrixOperator(normal(height, width)),
        MatrixOperator(normal(height, width, dtype=torch.complex128)),
        Radon(max(height, width), torch.linspace(-3, 3, 1 + height % 5, dtype=torch.float64)),
    ]


def drawn(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """A random element of a domain or a range: BATCH of them, with one channel."""
    return torch.randn((BATCH, 1, *shape), generator=generator, dtype=dtype)


def dtypes(A: LinearOperator, precision: tuple[torch.dtype, torch.dtype]) -> tuple[torch.dtype, torch.dtype]:
    """Of the most general image that A takes, and of its measurements."""
    return precision[A.complex_domain], precision[A.complex_domain or A.complex_range]


def inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a.conj() * b).sum()


sides = st.integers(2, 17)


@pytest.mark.parametrize(("precision", "tolerance"), [(SINGLE, 1e-5), (DOUBLE, 1e-10)])
@given(seed=st.integers(0, 10_000), height=sides, width=sides)
def test_adjoint(precision, tolerance, seed, height, width):
    """⟨A x, y⟩ = ⟨x, Aᴴ y⟩, and the precision is kept."""
    generator = torch.Generator().manual_seed(seed + 1)
    for A in random_operators(seed, height, width):
        image, measured = dtypes(A, precision)
        x, y = drawn(A.domain_shape, image, generator), drawn(A.range_shape, measured, generator)
        error = abs(inner(A(x), y) - inner(x, A.adjoint(y)))
        assert error <= tolerance * (A(x).norm() * y.norm() + 1e-12), type(A)
        assert (A(x).dtype, A.adjoint(y).dtype) == (measured, image)


@given(seed=st.integers(0, 10_000), height=sides, width=sides)
def test_adjoint_on_real_images(seed, height, width):
    """Re⟨A x, y⟩ = Re⟨x, Aᴴ y⟩: a real image has a real or a complex range, and its adjoint's real part counts."""
    generator = torch.Generator().manual_seed(seed + 1)
    for A in random_operators(seed, height, width):
        x = drawn(A.domain_shape, torch.float64, generator)
        y = drawn(A.range_shape, DOUBLE[A.complex_range], generator)
        assert A(x).dtype == y.dtype
        error = abs(inner(A(x), y).real - inner(x.to(y.dtype), A.adjoint(y).to(y.dtype)).real)
        assert error <= 1e-10 * (A(x).norm() * y.norm() + 1e-12), type(A)


@given(seed=st.integers(0, 10_000), height=sides, width=sides, a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_linear(seed, height, width, a, b):
    generator = torch.Generator().manual_seed(seed + 1)
    for A in random_operators(seed, height, width):
        image, measured = dtypes(A, DOUBLE)
        factor = complex(a, b) if image.is_complex else a
        for function, shape, dtype in ((A, A.domain_shape, image), (A.adjoint, A.range_shape, measured)):
            x, z = drawn(shape, dtype, generator), drawn(shape, dtype, generator)
            fx, fz = factor * function(x), b * function(z)
            assert (function(factor * x + b * z) - fx - fz).norm() <= 1e-10 * (fx.norm() + fz.norm() + 1), type(A)


@given(seed=st.integers(0, 10_000), height=sides, width=sides)
def test_shapes_dtypes_and_normal(seed, height, width):
    generator = torch.Generator().manual_seed(seed + 1)
    for A in random_operators(seed, height, width):
        for precision, tolerance in ((SINGLE, 1e-5), (DOUBLE, 1e-10)):
            x = drawn(A.domain_shape, precision[A.complex_domain], generator).expand(BATCH, 3, *A.domain_shape)
            y = A(x)
            assert y.shape == (BATCH, 3, *A.range_shape)
            assert A.adjoint(y).shape == A.normal(x).shape == x.shape
            assert A.normal(x).dtype == x.dtype
            back = A.adjoint(y)
            torch.testing.assert_close(A.normal(x), back, rtol=0, atol=tolerance * (1 + float(back.norm())))
            # each image of a batch on its own
            torch.testing.assert_close(A(x[:, 1:]), y[:, 1:], rtol=0, atol=tolerance * (1 + float(y.norm())))


@pytest.mark.parametrize(("height", "width"), [(2, 2), (5, 4), (7, 8)])
def test_wrong_arguments_name_the_operator(height, width, unchecked):
    for A in random_operators(0, height, width):
        name = type(A).__name__
        for function, shape in (("forward", A.domain_shape), ("adjoint", A.range_shape)):
            dtype = torch.complex64 if A.complex_range else torch.float32
            good = torch.ones((BATCH, 1, *shape), dtype=dtype)
            wrong = (
                (torch.ones((BATCH, 1, *shape[:-1], shape[-1] + 1), dtype=dtype), "expected shape"),
                (torch.ones((BATCH, 1, shape[0] + 1, *shape[1:]), dtype=dtype), "expected shape"),
                (good[0, 0, 0], "expected shape"),
                (good.numpy(), "expected shape"),
                (good.real.long(), "expected floating-point numbers"),
            )
            for value, words in wrong:
                with pytest.raises(expect.InputError, match=rf"^{name}\.{function}: {words}.*, got .*$"):
                    getattr(A, function)(value)
        if A.complex_range:
            with pytest.raises(
                expect.InputError, match=rf"^{name}\.adjoint: expected complex measurements, got .*float"
            ):
                A.adjoint(torch.ones((BATCH, 1, *A.range_shape)))
        if A.batch_shape:
            for batch in ((), (1,), (BATCH + 1, 1), (1, BATCH)):
                with pytest.raises(expect.InputError, match=rf"^{name}\.forward: expected shape \({BATCH}, 1, "):
                    A(torch.ones((*batch, *A.domain_shape)))
                with pytest.raises(expect.InputError, match=rf"^{name}\.adjoint: expected shape \({BATCH}, 1, "):
                    A.adjoint(torch.ones((*batch, *A.range_shape), dtype=torch.complex64))


@pytest.mark.parametrize("seed", [3, 4])
def test_an_operator_says_that_it_is_orthonormal_only_if_it_is(seed):
    """Some are for one mask or another; those that say so are for every one."""
    said = []
    for A in random_operators(seed, 6, 5):
        if A.orthonormal:
            x = drawn(A.domain_shape, DOUBLE[A.complex_domain], torch.Generator().manual_seed(seed))
            y = drawn(A.range_shape, DOUBLE[A.complex_range], torch.Generator().manual_seed(seed))
            torch.testing.assert_close(A.adjoint(A(x)), x.to(A(x).dtype))
            torch.testing.assert_close(A(A.adjoint(y)), y)
            said.append(type(A))
    assert set(said) == {OrthogonalWavelet, TemporalFourier}


@pytest.mark.parametrize("seed", [3, 4])
def test_norm_is_the_largest_singular_value(seed):
    """Of the matrix with all columns written out; where norm() is a bound, it is close by and never below."""
    for A in random_operators(seed, 6, 5):
        size = torch.Size((*A.batch_shape, *A.domain_shape)).numel()
        unit = torch.eye(size, dtype=DOUBLE[A.complex_domain]).unflatten(1, (*A.batch_shape, *A.domain_shape))
        exact = torch.linalg.matrix_norm(torch.stack([A(column).flatten() for column in unit]), 2).item()
        if isinstance(A, NORM_IS_A_BOUND):
            assert exact * (1 - 1e-12) <= A.norm() <= 1.6 * exact
        else:
            assert A.norm(iterations=3000, tolerance=1e-14) == pytest.approx(exact, rel=1e-6)
        assert LinearOperator.norm(A, iterations=3000, tolerance=1e-14) == pytest.approx(exact, rel=1e-3)


def test_operators_run_through_autograd(generator):
    for A in random_operators(5, 4, 3):
        image, measured = dtypes(A, DOUBLE)
        x, y = drawn(A.domain_shape, image, generator), drawn(A.range_shape, measured, generator)
        assert torch.autograd.gradcheck(A, (x.requires_grad_(),)), type(A)
        assert torch.autograd.gradcheck(A.adjoint, (y.requires_grad_(),)), type(A)
        if type(A).normal is not LinearOperator.normal:
            assert torch.autograd.gradcheck(A.normal, (x,)), type(A)
        (gradient,) = torch.autograd.grad(inner(A(x), y).real, x)
        torch.testing.assert_close(gradient, A.adjoint(y), rtol=0, atol=1e-10)


def test_matrices_are_applied_to_rows_of_a_batch(generator):
    matrix = torch.randn(3, 4, generator=generator, dtype=torch.complex128)
    x = torch.randn(5, 4, generator=generator, dtype=torch.complex128)
    y = torch.randn(3, generator=generator, dtype=torch.complex128)
    A = MatrixOperator(matrix)
    torch.testing.assert_close(A(x), torch.stack([matrix @ row for row in x]))
    torch.testing.assert_close(A.adjoint(y), matrix.mH @ y)
    with pytest.raises(expect.InputError, match=r"expected matrix as a floating-point torch.Tensor \(rows, columns\)"):
        MatrixOperator(torch.ones(3))


def test_differences_by_hand(unchecked):
    image = torch.tensor([[1.0, 4, 9], [2, 7, 3]])
    rows, columns = FiniteDifferences((2, 3))(image)
    assert rows.tolist() == [[1, 3, -6], [0, 0, 0]]
    assert columns.tolist() == [[3, 5, 0], [5, -4, 0]]
    rows, columns = FiniteDifferences((2, 3), "periodic")(image)
    assert rows.tolist() == [[1, 3, -6], [-1, -3, 6]]
    assert columns.tolist() == [[3, 5, -8], [5, -4, -1]]
    assert FiniteDifferences((8, 8)).norm() == 8**0.5
    with pytest.raises(expect.InputError, match='expected the boundary as "reflect" or "periodic", got \'zero\''):
        FiniteDifferences((8, 8), "zero")


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


def test_complex_noise_has_its_level_in_each_part(generator):
    clean = torch.full((4, 1, 64, 64), 1 - 2j)
    noise = physics.add_gaussian_noise(clean, 0.1, generator) - clean
    assert noise.dtype == torch.complex64
    for part in (noise.real, noise.imag):
        assert part.std() == pytest.approx(0.1, rel=0.02)
        assert part.mean() == pytest.approx(0, abs=0.004)
    assert (noise.real * noise.imag).mean() == pytest.approx(0, abs=4e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_counted_light_has_the_mean_and_the_variance_of_a_poisson_law(generator, dtype):
    clean = torch.tensor([0.0, 0.1, 1.0], dtype=dtype)[:, None].expand(3, 40_000)
    counted = physics.add_poisson_noise(clean, 50, generator)
    assert counted.dtype == dtype
    assert (counted[0] == 0).all()
    torch.testing.assert_close((counted * 50).round(), counted * 50, rtol=0, atol=1e-4)
    for light, noisy in zip((0.1, 1.0), counted[1:], strict=True):
        assert noisy.mean() == pytest.approx(light, rel=0.01)
        assert noisy.var() == pytest.approx(light / 50, rel=0.03)
    again = physics.add_poisson_noise(clean, 50, torch.Generator().manual_seed(20))
    assert torch.equal(again, counted)


def test_light_that_cannot_be_counted(unchecked):
    with pytest.raises(expect.InputError, match="^expected images of at least 0, got .* with other values$"):
        physics.add_poisson_noise(torch.tensor([0.1, -0.1]), 10, torch.Generator())
    with pytest.raises(expect.InputError, match="^expected images of at least 0, got .* complex64 with other values$"):
        physics.add_poisson_noise(torch.ones(2, dtype=torch.complex64), 10, torch.Generator())
    for photons in (0, -1, float("nan")):
        with pytest.raises(expect.InputError, match="^expected the number of photons as a number above 0, got"):
            physics.add_poisson_noise(torch.ones(2), photons, torch.Generator())
    with pytest.raises(expect.InputError, match="expected a torch.Generator, got 7"):
        physics.add_poisson_noise(torch.ones(2), 10, 7)
