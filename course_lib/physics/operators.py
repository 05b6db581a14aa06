"""Linear operators: each knows its shapes, its adjoint and its norm, and names itself in errors."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float

from course_lib import expect


class LinearOperator(ABC):
    """A linear map A from images (or signals) to measurements.

    `domain_shape` and `range_shape` are the shapes of one element; any number of leading dimensions (batch,
    channel) passes through. A subclass writes `_forward` and `_adjoint`; shapes are checked here. Where
    `complex_domain` is set, images may be complex; where `complex_range` is set, measurements must be. An operator
    that differs from element to element of a batch names the batch's shape in `batch_shape`. `orthonormal` says that
    Aᴴ is the inverse of A.

    `_forward` and `_adjoint` cast their constants to the dtype and device of x (see `Constant`), for `norm` works in
    double precision. A new class is added to `random_operators` in tests/physics/test_operators.py.
    """

    complex_domain = False
    complex_range = False
    orthonormal = False
    batch_shape: tuple[int, ...] = ()

    def __init__(self, domain_shape: tuple[int, ...], range_shape: tuple[int, ...]) -> None:
        self.domain_shape = tuple(domain_shape)
        self.range_shape = tuple(range_shape)

    @abstractmethod
    def _forward(self, x: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def _adjoint(self, y: torch.Tensor) -> torch.Tensor: ...

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A x, for x of shape (..., *domain_shape)."""
        return self._forward(self._checked(x, self.domain_shape, "forward"))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Aᴴ y, for y of shape (..., *range_shape): ⟨A x, y⟩ = ⟨x, Aᴴ y⟩ for all x and y."""
        return self._adjoint(self.checked_measurements(y))

    def checked_measurements(self, y: torch.Tensor, name: str = "adjoint") -> torch.Tensor:
        """Return y if its shape is the operator's, and complex where it must be."""
        y = self._checked(y, self.range_shape, name)
        if self.complex_range and not y.is_complex():
            raise expect.InputError(
                f"{type(self).__name__}.{name}: expected complex measurements, got {expect.describe(y)}"
            )
        return y

    def normal(self, x: torch.Tensor) -> torch.Tensor:
        """AᴴA x."""
        return self.adjoint(self.forward(x))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)

    def norm(self, iterations: int = 100, tolerance: float = 1e-6) -> float:
        """The largest singular value of A, by power iteration on AᴴA from a fixed random start.

        The iteration approaches it from below, and stops when one step changes it by less than `tolerance`.
        """
        generator = torch.Generator().manual_seed(0)
        dtype = torch.complex128 if self.complex_domain else torch.float64
        x = torch.randn((*self.batch_shape, *self.domain_shape), generator=generator, dtype=dtype)
        value = 0.0
        for _ in range(iterations):
            x = x / x.norm()
            x = self.normal(x)
            previous, value = value, float(x.norm())
            if value == 0 or abs(value - previous) <= tolerance * value:
                break
        return value**0.5

    def _checked(self, value: torch.Tensor, shape: tuple[int, ...], where: str) -> torch.Tensor:
        name = f"{type(self).__name__}.{where}"
        if not isinstance(value, torch.Tensor) or tuple(value.shape[-len(shape) :]) != shape:
            wanted = ", ".join(map(str, shape))
            raise expect.InputError(f"{name}: expected shape (..., {wanted}), got {expect.describe(value)}")
        if not (value.is_floating_point() or value.is_complex()):
            raise expect.InputError(f"{name}: expected floating-point numbers, got {expect.describe(value)}")
        if value.numel() == 0:
            raise expect.InputError(f"{name}: expected at least one element, got {expect.describe(value)}")
        batch = tuple(value.shape[: -len(shape)])
        if not _spreads(self.batch_shape, batch):
            wanted = ", ".join(map(str, (*self.batch_shape, *shape)))
            raise expect.InputError(f"{name}: expected shape ({wanted}), got {expect.describe(value)}")
        return value


class MatrixOperator(LinearOperator):
    """A x with the matrix written out: the deck's y = A x on vectors (..., columns).

    Args:
        matrix: A, (rows, columns), real or complex.
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        expect.tensor("matrix", matrix, dims=2, shape="(rows, columns)")
        super().__init__((matrix.shape[1],), (matrix.shape[0],))
        self.matrix = matrix
        self.complex_domain = self.complex_range = matrix.is_complex()

    def _matching(self, x: torch.Tensor) -> torch.Tensor:
        dtype = torch.promote_types(x.dtype, torch.complex32) if self.matrix.is_complex() else x.dtype
        return self.matrix.to(x.device, dtype)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        matrix = self._matching(x)
        return x.to(matrix.dtype) @ matrix.mT

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return y @ self._matching(y).conj()

    def norm(self, iterations: int = 0, tolerance: float = 0.0) -> float:
        """The largest singular value, exactly."""
        return float(torch.linalg.matrix_norm(self.matrix, 2))


class CircularConvolution(LinearOperator):
    """Convolution with periodic borders, given by its gain at every frequency.

    A x = F⁻¹(ŵ ∘ F x), with F the 2-D DFT. The gain ŵ belongs to the DFT's own order, zero frequency first;
    it has no unit, so the DFT's normalisation cancels. If ŵ is real and symmetric under k → −k, as the gains
    of the Wiener filter and of a blur are, the operator is self-adjoint.

    Args:
        gain: ŵ, (height, width), real or complex, with ŵ(−k) = conj ŵ(k) so that real images stay real.
    """

    def __init__(self, gain: torch.Tensor) -> None:
        expect.tensor("gain", gain, dims=2, shape="(height, width)")
        super().__init__(tuple(gain.shape), tuple(gain.shape))
        self.gain = gain

    @classmethod
    def from_kernel(cls, kernel: Float[torch.Tensor, "rows columns"], shape: tuple[int, int]) -> CircularConvolution:
        """The convolution with `kernel` (odd sides, centre in its middle) on images of `shape`."""
        rows, columns = expect.tensor("kernel", kernel, dims=2, shape="(rows, columns)").shape
        if rows % 2 == 0 or columns % 2 == 0 or rows > shape[0] or columns > shape[1]:
            raise expect.InputError(f"expected a kernel with odd sides within {tuple(shape)}, got {(rows, columns)}")
        padded = kernel.new_zeros(shape)
        padded[:rows, :columns] = kernel
        centred = padded.roll((-(rows // 2), -(columns // 2)), dims=(0, 1))
        return cls(torch.fft.fft2(centred))

    def _apply(self, x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        result = torch.fft.ifft2(gain.to(x.device) * torch.fft.fft2(x))
        return (result if x.is_complex() else result.real).to(x.dtype)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._apply(x, self.gain)

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return self._apply(y, self.gain.conj())

    def norm(self, iterations: int = 0, tolerance: float = 0.0) -> float:
        """max |ŵ|, exactly: complex exponentials are the eigenvectors of every circular convolution."""
        return float(self.gain.abs().max())


class Constant:
    """A tensor that an operator multiplies with, on the device and in the precision of its partner.

    The last copy is kept: an iteration asks for the same one again and again.
    """

    def __init__(self, value: torch.Tensor) -> None:
        self.value = self._copy = value

    def like(self, x: torch.Tensor) -> torch.Tensor:
        """The constant as complex numbers of the precision of x."""
        dtype = torch.promote_types(x.dtype, torch.complex32)
        if (self._copy.dtype, self._copy.device) != (dtype, x.device):
            with torch.inference_mode(False):  # a copy made in inference mode would be of no use in training
                self._copy = self.value.to(x.device, dtype)
        return self._copy


def _spreads(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    """Whether broadcasting makes `large` of the two shapes."""
    return len(small) <= len(large) and all(a in (1, b) for a, b in zip(reversed(small), reversed(large), strict=False))


def gaussian_gain(shape: tuple[int, int], width: float) -> Float[torch.Tensor, "height width"]:
    """Gain of a Gaussian blur, exp(−2π²·width²·|frequency|²), in the DFT's order.

    Args:
        shape: (height, width) of the images.
        width: standard deviation of the blur in pixels, at least 0.

    Returns:
        float64 of `shape`, 1 at zero frequency.
    """
    width = expect.number("the blur's width", width, least=0)
    rows = torch.fft.fftfreq(shape[0], dtype=torch.float64)[:, None]
    columns = torch.fft.fftfreq(shape[1], dtype=torch.float64)[None, :]
    return torch.exp(-2 * (torch.pi * width) ** 2 * (rows**2 + columns**2))
