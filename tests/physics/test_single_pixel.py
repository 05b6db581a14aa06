"""The single-pixel camera: Walsh patterns, what a mirror can show, and which patterns to choose."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import classical, data, expect, metrics, physics
from course_lib.physics import HadamardSampling, SplitHadamardSampling

powers = st.sampled_from([2, 4, 8, 16])


@pytest.mark.parametrize("size", [2, 4, 8, 64])
def test_walsh_functions_in_order_of_sequency(size):
    walsh = physics.walsh_matrix(size)
    assert walsh.dtype == torch.float64
    assert (walsh.diff(dim=1) != 0).sum(1).tolist() == list(range(size))
    assert torch.equal(walsh, walsh.T)
    torch.testing.assert_close(walsh @ walsh, torch.eye(size, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(walsh.abs(), torch.full((size, size), size**-0.5, dtype=torch.float64))


@given(seed=st.integers(0, 10_000), size=powers)
def test_patterns_are_orthonormal_products_of_walsh_functions(seed, size):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(size, size, generator=generator) < 0.4
    mask[0, 0] = True
    A = HadamardSampling(mask)
    y = torch.randn(3, *A.range_shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(A(A.adjoint(y)), y, rtol=0, atol=1e-12)  # A Aᵀ = I
    assert A.norm() == 1
    walsh = physics.walsh_matrix(size)
    x = torch.randn(size, size, generator=generator, dtype=torch.float64)
    by_hand = [(torch.outer(walsh[i], walsh[j]) * x).sum() for i, j in mask.nonzero()]
    torch.testing.assert_close(A(x), torch.stack(by_hand))


@given(seed=st.integers(0, 10_000), size=powers)
def test_split_measurements_are_light(seed, size):
    """Never negative for an image that is not, each pair adds up to all light, and half a pattern is zeros and ones."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(size, size, generator=generator) < 0.4
    mask[0, 0] = True
    split = SplitHadamardSampling(mask)
    x = torch.rand(3, 1, size, size, generator=generator, dtype=torch.float64)
    y = split(x)
    assert y.min() >= -1e-12
    torch.testing.assert_close(y.sum(-2), x.sum((-2, -1))[..., None].expand(y[..., 0, :].shape))
    torch.testing.assert_close(split.difference(y), HadamardSampling(mask)(x), rtol=0, atol=1e-12)
    patterns = split(torch.eye(size * size, dtype=torch.float64).unflatten(1, (size, size)))
    assert set(patterns.round(decimals=10).flatten().tolist()) <= {0.0, 1.0}


def test_lowest_sequencies_first():
    assert physics.sequency_mask(8, 3).nonzero().tolist() == [[0, 0], [0, 1], [1, 0]]
    mask = physics.sequency_mask(64, 333)
    rows, columns = mask.nonzero().T
    assert mask.sum() == 333
    assert (rows + columns).max() <= 25  # 25·26/2 = 325 patterns have a smaller sum than 25
    assert physics.sequency_mask(4, 16).all()


def test_random_patterns_prefer_low_sequencies():
    seeded = lambda s: torch.Generator().manual_seed(s)  # noqa: E731
    masks = torch.stack([physics.sequency_mask(32, 100, seeded(s)) for s in range(60)])
    assert (masks.sum((1, 2)) == 100).all()
    share = masks.float().mean(0)
    total = torch.arange(32)[:, None] + torch.arange(32)[None, :]
    bands = [share[(total >= low) & (total < low + 5)].mean().item() for low in (0, 5, 10, 20, 40)]
    assert bands == sorted(bands, reverse=True)
    assert bands[0] > 10 * bands[-1]
    uniform = torch.stack([physics.sequency_mask(32, 100, seeded(s), power=0.0) for s in range(60)]).float().mean(0)
    assert uniform[total < 20].mean() == pytest.approx(100 / 1024, rel=0.1)
    assert torch.equal(physics.sequency_mask(32, 100, seeded(3)), masks[3])


def test_total_variation_beats_the_pseudo_inverse_by_two_decibels():
    """M = 333 patterns of 64² pixels (deck 004): the lowest sequencies, or a draw that prefers them."""
    brain = torch.nn.functional.avg_pool2d(data.brain_anatomy(size=192)["t1"], 3)
    for mask in (physics.sequency_mask(64, 333), physics.sequency_mask(64, 333, torch.Generator().manual_seed(0))):
        A = HadamardSampling(mask)
        y = A(brain)
        pseudo_inverse = A.adjoint(y)
        assert (A(pseudo_inverse) - y).norm() < 1e-5 * y.norm()
        tv = classical.tv_reconstruction(A, y, 0.01, iterations=100, tolerance=0).x
        assert (metrics.psnr(tv, brain) - metrics.psnr(pseudo_inverse, brain)).min() >= 2


def test_arguments_that_cannot_be_used(unchecked):
    for size in (3, 6, 12, 100):
        with pytest.raises(
            expect.InputError, match=f"^expected the side of Hadamard patterns as a power of two, got {size}$"
        ):
            HadamardSampling(torch.ones(size, size, dtype=torch.bool))
    for mask in (torch.ones(4, 8, dtype=torch.bool), torch.ones(4, 4), torch.ones(4, dtype=torch.bool), None):
        for kind in (HadamardSampling, SplitHadamardSampling):
            with pytest.raises(expect.InputError, match=r"^expected a mask \(size, size\) of dtype bool, got .*$"):
                kind(mask)
    with pytest.raises(expect.InputError, match="^expected a mask with at least one pattern, got none in .*$"):
        HadamardSampling(torch.zeros(4, 4, dtype=torch.bool))
    with pytest.raises(expect.InputError, match="^expected at most 16 patterns of 4×4 pixels, got 17$"):
        physics.sequency_mask(4, 17)
    with pytest.raises(expect.InputError, match="number of patterns"):
        physics.sequency_mask(4, 0)
    with pytest.raises(expect.InputError, match="torch.Generator"):
        physics.sequency_mask(4, 3, 7)
    with pytest.raises(expect.InputError, match="density's power"):
        physics.sequency_mask(4, 3, torch.Generator(), power=-1.0)
    split = SplitHadamardSampling(torch.ones(4, 4, dtype=torch.bool))
    with pytest.raises(
        expect.InputError, match=r"^SplitHadamardSampling.difference: expected shape \(\.\.\., 2, 16\), got"
    ):
        split.difference(torch.ones(3, 16))
