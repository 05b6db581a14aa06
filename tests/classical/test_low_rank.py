"""A film as background plus movement: better together than either alone, and than zero-filling."""

import pytest
import torch

from course_lib import classical, data, expect, physics
from course_lib.classical import NuclearNorm, low_rank_plus_sparse
from course_lib.classical.low_rank import TemporalFourier
from course_lib.physics import FourierSampling

FRAMES, SIZE = 16, 24


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def film() -> tuple[torch.Tensor, torch.Tensor]:
    """A background of rank one that grows paler, and a few pixels that beat, each at a rate of its own."""
    time = torch.arange(FRAMES, dtype=torch.float64)[:, None, None, None]
    background = (1 + 0.5 * torch.exp(-time / 5)) * torch.rand(SIZE, SIZE, generator=seeded(0), dtype=torch.float64)
    rate = torch.randint(1, 8, (SIZE, SIZE), generator=seeded(1))
    phase = 2 * torch.pi * torch.rand(SIZE, SIZE, generator=seeded(2), dtype=torch.float64)
    movement = torch.zeros_like(background)
    beat = 0.8 * torch.cos(2 * torch.pi * rate * time / FRAMES + phase)
    movement[..., 8:14, 10:16] = beat[..., 8:14, 10:16]
    return background.to(torch.complex128), movement.to(torch.complex128)


@pytest.fixture(scope="module")
def sampled(film) -> tuple[FourierSampling, torch.Tensor]:
    masks = [physics.variable_density_mask((SIZE, SIZE), 2.5, seeded(s), power=1.0) for s in range(FRAMES)]
    A = FourierSampling(torch.stack(masks)[:, None])
    return A, A(film[0] + film[1])


def relative(value: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((value - wanted).norm() / wanted.norm()).item()


def test_better_than_zero_filled_and_than_low_rank_alone(film, sampled):
    A, y = sampled
    truth = film[0] + film[1]
    found = low_rank_plus_sparse(A, y, 0.1, 0.01, iterations=300, tolerance=0)
    alone = classical.fista(A, y, NuclearNorm(0.1), iterations=300, tolerance=0, start=A.adjoint(y))
    assert relative(found.x, truth) < 0.25 * relative(A.adjoint(y), truth)
    assert relative(found.x, truth) < 0.5 * relative(alone.x, truth)
    # the parts are what they are called
    torch.testing.assert_close(found.background + found.movement, found.x)
    values = torch.linalg.svdvals(found.background.flatten(1))
    assert values[1] < 1e-3 * values[0]
    assert relative(found.background, film[0]) < 0.1
    assert relative(found.movement, film[1]) < 0.5


def test_objective_falls_to_its_least(sampled):
    """½‖A(L + S) − y‖² + λ_L‖L‖_* + λ_S‖T S‖₁: the history's end is the value at L and S, and others are worse."""
    A, y = sampled
    found = low_rank_plus_sparse(A, y, 0.5, 0.05, iterations=500, tolerance=0)

    def objective(L, S):
        in_time = torch.fft.fft(S, dim=0, norm="ortho").abs().sum()
        nuclear = torch.linalg.svdvals(L.flatten(1)).sum()
        return (0.5 * (A(L + S) - y).abs().square().sum() + 0.5 * nuclear + 0.05 * in_time).item()

    L, S = found.background, found.movement
    assert found.objective[-1] == pytest.approx(objective(L, S), rel=1e-9)
    assert found.objective[-1] < found.objective[0]
    for seed in range(5):
        step = 0.05 * torch.randn(L.shape, generator=seeded(seed), dtype=L.dtype)
        assert objective(L + step, S) > objective(L, S)
        assert objective(L, S + step) > objective(L, S)
        assert objective(L + step, S - step) > objective(L, S)


def test_temporal_transform_is_unitary(generator):
    T = TemporalFourier((5, 1, 3, 4))
    x, y = torch.randn(2, 5, 1, 3, 4, generator=generator, dtype=torch.complex128)
    torch.testing.assert_close(T.adjoint(T(x)), x)
    torch.testing.assert_close((T(x).conj() * y).sum(), (x.conj() * T.adjoint(y)).sum())
    assert torch.linalg.vector_norm(T(torch.ones(5, 1, 3, 4) + 0j)[1:]) < 1e-5  # what stands still has frequency 0


def test_a_moving_phantom_with_golden_spokes():
    """Each frame sees other spokes (deck 002's GRASP): better than zero-filling each frame."""
    film = data.moving_phantom(12, 48).to(torch.complex64)
    masks = torch.stack([physics.radial_mask((48, 48), 8, golden=True, first=8 * n) for n in range(12)])[:, None]
    A = FourierSampling(masks)
    found = low_rank_plus_sparse(A, A(film), 0.5, 0.01, iterations=150, tolerance=0)
    assert relative(found.x, film) < 0.6 * relative(A.adjoint(A(film)), film)


def test_arguments_that_cannot_be_used(sampled, unchecked):
    A, y = sampled
    one = FourierSampling(A.mask[:1])
    with pytest.raises(
        expect.InputError, match="^expected a film of at least 2 frames, got a torch.Tensor of shape .1, 1, .*$"
    ):
        low_rank_plus_sparse(one, y[:1], 0.1, 0.1)
    for weights in ((-1, 0.1), (0.1, -1)):
        with pytest.raises(expect.InputError, match="^expected the weight lambda as a number from 0, got -1$"):
            low_rank_plus_sparse(A, y, *weights)
    with pytest.raises(
        expect.InputError, match=r"^FourierSampling.measurements: expected shape \(16, 1, 24, 24\), got"
    ):
        low_rank_plus_sparse(A, y[:-1], 0.1, 0.1)
    with pytest.raises(expect.InputError, match="^FourierSampling.measurements: expected complex measurements, got"):
        low_rank_plus_sparse(A, y.real, 0.1, 0.1)
    with pytest.raises(expect.InputError, match="^expected the measurements without NaN"):
        low_rank_plus_sparse(A, y * float("nan"), 0.1, 0.1)
    with pytest.warns(classical.ConvergenceWarning, match="has not converged in 2 iterations: relative change"):
        assert not low_rank_plus_sparse(A, y, 0.1, 0.1, iterations=2).converged
