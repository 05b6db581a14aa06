"""Patches, matching pursuit against scikit-learn, and dictionary learning on undersampled k-space."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import orthogonal_mp

from course_lib import classical, data, expect, metrics, physics
from course_lib.classical import dictionary
from course_lib.physics import FourierSampling

DOUBLE = {"dtype": torch.float64}


def unit_atoms(count: int, length: int, generator: torch.Generator) -> torch.Tensor:
    atoms = torch.randn(count, length, generator=generator, **DOUBLE)
    return atoms / atoms.norm(dim=1, keepdim=True)


@given(
    seed=st.integers(0, 10_000), height=st.integers(4, 13), width=st.integers(4, 13), side=st.integers(2, 4),
    stride=st.integers(1, 4),
)  # fmt: skip
def test_an_image_is_the_mean_of_its_patches(seed, height, width, side, stride):
    stride = min(stride, side)
    x = torch.randn(2, 1, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.complex128)
    patches = dictionary._cut(x, side, stride)
    assert patches.shape == (4 * -(-height // stride) * -(-width // stride), side**2)
    torch.testing.assert_close(dictionary._assemble(patches, x, side, stride), x, rtol=0, atol=1e-12)
    # the first patch is the upper left corner of the first real part; the last one goes around the border
    torch.testing.assert_close(patches[0].reshape(side, side), x[0, 0, :side, :side].real)


@pytest.mark.parametrize("sparsity", [1, 3, 6])
def test_matching_pursuit_equals_scikit_learn(sparsity, generator):
    atoms = unit_atoms(40, 16, generator)
    signals = torch.randn(30, 16, generator=generator, **DOUBLE)
    ours = classical.matching_pursuit(signals, atoms, sparsity)
    codes = orthogonal_mp(atoms.T.numpy(), signals.T.numpy(), n_nonzero_coefs=sparsity)
    theirs = torch.from_numpy(codes).T @ atoms
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_matching_pursuit_finds_what_is_sparse_and_stops(generator):
    atoms = unit_atoms(40, 64, generator)
    codes = torch.zeros(20, 40, **DOUBLE)
    for code in codes:
        code[torch.randperm(40, generator=generator)[:3]] = 1 + torch.rand(3, generator=generator, **DOUBLE)
    signals = codes @ atoms
    found = classical.matching_pursuit(signals, atoms, 3)
    assert (found - signals).norm() < 1e-4 * signals.norm()
    # a signal within the error is left alone, and every other one ends within it
    small = classical.matching_pursuit(torch.cat([signals, 1e-3 * signals]), atoms, 64, error=0.01)
    assert (small[20:] == 0).all()
    assert (small[:20] - signals).square().mean(dim=1).sqrt().max() <= 0.01
    assert classical.matching_pursuit(signals.float(), atoms.float(), 2).dtype == torch.float32


def test_beats_zero_filled(generator):
    """Lines, R = 4, on a 128 × 128 slice; k-space that was measured is kept."""
    brain = data.brain_anatomy([5], size=128)["t1"]
    A = FourierSampling(physics.line_mask((128, 128), 4, 0.08, generator))
    y = A(brain)
    found = classical.dictionary_reconstruction(A, y, generator, iterations=6, stride=4, tolerance=0)
    before, after = (metrics.psnr(x.abs(), brain).item() for x in (classical.zero_filled(A, y), found.x))
    assert after > before + 0.5
    assert found.iterations == 6
    assert found.x.dtype == torch.complex64
    assert (A(found.x) - y).norm() < 0.02 * y.norm()


def test_the_generator_decides_and_convergence_is_told(generator):
    A = FourierSampling(physics.variable_density_mask((24, 24), 2, generator))
    y = A(torch.rand(1, 1, 24, 24, generator=generator))
    run = lambda seed: classical.dictionary_reconstruction(  # noqa: E731
        A, y, torch.Generator().manual_seed(seed), patch=4, atoms=20, iterations=2, tolerance=0
    )
    assert torch.equal(run(0).x, run(0).x)
    assert not torch.equal(run(0).x, run(1).x)
    with pytest.warns(classical.ConvergenceWarning, match="^dictionary learning has not converged in 1 iterations"):
        classical.dictionary_reconstruction(A, y, generator, patch=4, atoms=20, iterations=1, tolerance=1e-9)


def test_the_history_is_the_objective(generator, monkeypatch):
    """Σ‖R x − Dγ‖² + ν‖A x − y‖² at the image of the iteration."""
    A = FourierSampling(physics.variable_density_mask((16, 16), 2, generator))
    y = A(torch.rand(1, 1, 16, 16, generator=generator, **DOUBLE))
    coded = []
    assemble = dictionary._assemble
    monkeypatch.setattr(dictionary, "_assemble", lambda c, *rest: coded.append(c.clone()) or assemble(c, *rest))
    found = classical.dictionary_reconstruction(
        A, y, generator, patch=4, atoms=20, stride=2, iterations=3, tolerance=0, noise_weight=7.0
    )
    distance = (dictionary._cut(found.x, 4, 2) - coded[-1]).square().sum()
    wanted = distance + 7.0 * (4 / 2) ** 2 * (A(found.x) - y).abs().square().sum()
    assert found.objective[-1] == pytest.approx(wanted.item())


def test_arguments_that_cannot_be_used(generator, unchecked):
    A = FourierSampling(torch.ones(16, 16, dtype=torch.bool))
    y = A(torch.rand(1, 1, 16, 16))
    wrong = {
        "the patch's side as a whole number from 2, got 1": {"patch": 1},
        "patches within the image of .*, got 17 pixels": {"patch": 17},
        "the stride as a whole number from 1, got 0": {"stride": 0},
        "patches that leave no gap, a stride up to 8, got 9": {"stride": 9},
        "the number of atoms as a whole number from 1, got 0": {"atoms": 0},
        "the sparsity as a whole number from 1, got 0": {"sparsity": 0},
        "an error of coding as a number above 0, got 0": {"errors": (0.1, 0)},
        "an error of coding as a number above 0, got -0.1": {"errors": (-0.1, 0.1)},
        "the noise weight as a number above 0, got -1": {"noise_weight": -1},
        "the number of iterations as a whole number from 1, got 0": {"iterations": 0},
    }
    for message, options in wrong.items():
        with pytest.raises(expect.InputError, match=f"^expected {message}$"):
            classical.dictionary_reconstruction(A, y, generator, **options)
    with pytest.raises(expect.InputError, match="^FourierSampling.measurements: expected complex measurements, got"):
        classical.dictionary_reconstruction(A, y.real, generator)
    with pytest.raises(expect.InputError, match="^expected the measurements without NaN"):
        classical.dictionary_reconstruction(A, y * float("nan"), generator)
    with pytest.raises(expect.InputError, match="^expected a torch.Generator, got 3$"):
        classical.dictionary_reconstruction(A, y, 3)
