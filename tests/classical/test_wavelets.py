"""Wavelet transforms against PyWavelets, coefficient for coefficient, and against all shifts written out."""

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import expect
from course_lib.classical import OrthogonalWavelet, UndecimatedWavelet

WAVELETS = ("haar", "db2", "db4", "sym4", "coif1")


def mallat(coefficients: list) -> np.ndarray:
    """PyWavelets' list in one array: coarse upper left; (horizontal, vertical, diagonal) details around it."""
    corner = coefficients[0]
    for horizontal, vertical, diagonal in coefficients[1:]:
        corner = np.block([[corner, vertical], [horizontal, diagonal]])
    return corner


@pytest.mark.filterwarnings("ignore:Level value")  # longer filters than images are periodic too
@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize(("shape", "levels"), [((16, 16), 1), ((32, 16), 3), ((8, 24), 3), ((64, 64), 4)])
def test_orthogonal_equals_pywavelets(wavelet, shape, levels, generator):
    W = OrthogonalWavelet(shape, wavelet, levels)
    image = torch.randn(shape, generator=generator, dtype=torch.float64)
    theirs = pywt.wavedec2(image.numpy(), wavelet, mode="periodization", level=levels)
    np.testing.assert_allclose(W(image), mallat(theirs), rtol=0, atol=1e-12)


@given(
    seed=st.integers(0, 10_000), wavelet=st.sampled_from(WAVELETS), height=st.integers(1, 6), width=st.integers(1, 6)
)
def test_orthogonal_is_orthonormal(seed, wavelet, height, width):
    """Wᴴ W x = x and W Wᴴ y = y, also where the filter is longer than the image."""
    W = OrthogonalWavelet((4 * height, 4 * width), wavelet, 2)
    x = torch.randn(2, 1, *W.domain_shape, generator=torch.Generator().manual_seed(seed), dtype=torch.complex128)
    torch.testing.assert_close(W.adjoint(W(x)), x, rtol=0, atol=1e-11)
    torch.testing.assert_close(W(W.adjoint(x)), x, rtol=0, atol=1e-11)


def test_levels_when_none_are_given():
    assert [OrthogonalWavelet(shape).levels for shape in ((2, 2), (64, 64), (24, 64), (192, 256))] == [1, 4, 3, 4]


@given(
    seed=st.integers(0, 10_000), wavelet=st.sampled_from(WAVELETS), levels=st.integers(1, 4),
    height=st.integers(2, 21), width=st.integers(2, 21),
)  # fmt: skip
def test_undecimated_keeps_energy_and_comes_back(seed, wavelet, levels, height, width):
    W = UndecimatedWavelet((height, width), wavelet, levels)
    x = torch.randn(2, 1, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.complex128)
    y = W(x)
    assert y.shape == (2, 1, 3 * levels + 1, height, width)
    torch.testing.assert_close(W.adjoint(y), x, rtol=0, atol=1e-11)
    assert y.norm().item() == pytest.approx(x.norm().item(), rel=1e-11)
    assert W(x.real).dtype == torch.float64
    torch.testing.assert_close(W(x).real, W(x.real), rtol=0, atol=1e-11)


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_undecimated_bands_equal_pywavelets_up_to_a_shift(wavelet, generator):
    image = torch.randn(16, 32, generator=generator, dtype=torch.float64)
    bands = UndecimatedWavelet((16, 32), wavelet, 3)(image)
    theirs = pywt.swt2(image.numpy(), wavelet, level=3, norm=True, trim_approx=True)
    finest_first = [band for details in reversed(theirs[1:]) for band in details] + [theirs[0]]
    # ours: (vertical, horizontal, diagonal) in each level
    order = [3 * level + band for level in range(3) for band in (1, 0, 2)] + [9]
    for ours, wanted in zip(bands[order], finest_first, strict=True):
        wanted = torch.from_numpy(wanted)
        correlation = torch.fft.ifft2(torch.fft.fft2(ours).conj() * torch.fft.fft2(wanted)).real
        row, column = divmod(int(correlation.argmax()), 32)
        torch.testing.assert_close(ours.roll((row, column), (0, 1)), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("wavelet", "levels"), [("haar", 1), ("haar", 3), ("db2", 2), ("db4", 2)])
def test_shift_weighted_norm_is_the_mean_over_all_shifts(wavelet, levels, generator):
    """Σ weight·|W x| of the undecimated transform = mean over the 64 shifts of the orthonormal ℓ1 norm."""
    image = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    undecimated, orthonormal = UndecimatedWavelet((8, 8), wavelet, levels), OrthogonalWavelet((8, 8), wavelet, levels)
    shifts = [orthonormal(image.roll((i, j), (0, 1))).abs().sum() for i in range(8) for j in range(8)]
    ours = (undecimated.shift_weights() * undecimated(image).abs()).sum()
    assert ours.item() == pytest.approx(torch.stack(shifts).mean().item(), rel=1e-12)


def test_every_wavelet_that_is_accepted_is_orthonormal():
    """PyWavelets calls some wavelets orthogonal that are so only nearly, such as the discrete Meyer wavelet."""
    accepted = []
    unit = torch.eye(16, dtype=torch.float64).reshape(16, 4, 4)
    for wavelet in pywt.wavelist(kind="discrete"):
        try:
            W = OrthogonalWavelet((4, 4), wavelet, 1)
        except expect.InputError as error:
            assert "expected an orthogonal wavelet" in str(error)  # noqa: PT017
            continue
        accepted.append(wavelet)
        matrix = W(unit).reshape(16, 16)
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-9)
        back = UndecimatedWavelet((4, 4), wavelet, 1)
        torch.testing.assert_close(back.adjoint(back(unit)), unit, rtol=0, atol=1e-9)
    assert {"haar", "db1", "db20", "sym8", "coif3"} <= set(accepted)
    assert not {"dmey", "bior2.2", "rbio4.4"} & set(accepted)


def test_arguments_that_cannot_be_used(unchecked):
    for kind in (OrthogonalWavelet, UndecimatedWavelet):
        for name in ("meyer", "", "mexh", 3, None):
            with pytest.raises(expect.InputError, match="^expected the name of a wavelet, .*, got [^\n]+$"):
                kind((8, 8), name)
        with pytest.raises(expect.InputError, match="^expected an orthogonal wavelet, got 'bior2.2'$"):
            kind((8, 8), "bior2.2")
        for levels in (0, -1, 1.5):
            with pytest.raises(expect.InputError, match="^expected the number of levels as a whole number from 1, got"):
                kind((8, 8), "haar", levels)
        with pytest.raises(expect.InputError, match="expected a size"):
            kind((8, 1))
    with pytest.raises(
        expect.InputError, match="^expected sides divisible by 16 for 4 levels, got 24×64; the undecimated"
    ):
        OrthogonalWavelet((24, 64), levels=4)
    with pytest.raises(
        expect.InputError, match="^expected sides divisible by 2 for 1 levels, got 7×64; the undecimated"
    ):
        OrthogonalWavelet((7, 64))
