"""The data-consistency layer against its optimisation problem, its derivatives, and deck 001's formulas."""

import math

import pytest
import torch

from course_lib import expect, networks, physics
from course_lib.classical import conjugate_gradients
from course_lib.networks import CoilDataConsistency, DataConsistency
from course_lib.networks.data_consistency import in_dft_order
from course_lib.physics import simulate

WEIGHTS = [0.0, 0.3, 2.0, 50.0, math.inf]


def measured(generator, batch=2, height=8, width=6, masks=None, dtype=torch.complex128):
    """An image, measured k-space of another one with noise, and a mask for each."""
    mask = torch.rand(masks or batch, 1, height, width, generator=generator) < 0.5
    mask[..., 0, 0] = True
    x = torch.randn(batch, 1, height, width, generator=generator, dtype=dtype)
    y = mask * torch.randn(batch, 1, height, width, generator=generator, dtype=dtype)
    return x, y, mask


@pytest.mark.parametrize("shape", [(8, 6), (7, 5), (1, 9)])
@pytest.mark.parametrize("weight", WEIGHTS)
def test_k_space_is_the_decks_two_lines(generator, weight, shape):
    x, y, mask = measured(generator, 2, *shape)
    s, s_rec = physics.fourier(x), physics.fourier(DataConsistency(weight)(x, y, mask))
    torch.testing.assert_close(s_rec[~mask], s[~mask])  # the line that is easily lost
    wanted = y if weight == math.inf else (s + weight * y) / (1 + weight)
    torch.testing.assert_close(s_rec[mask], wanted[mask])


@pytest.mark.parametrize("weight", [0.3, 2.0, 50.0])
def test_layer_is_the_argmin_found_by_conjugate_gradients(generator, weight):
    x, y, mask = measured(generator)
    A = physics.FourierSampling(mask)
    # ½‖v − x‖² + ½λ‖A v − y‖² is least where (I + λAᴴA) v = x + λAᴴy
    argmin = conjugate_gradients(lambda v: v + weight * A.normal(v), x + weight * A.adjoint(y), tolerance=1e-12).x
    assert (DataConsistency(weight)(x, y, mask) - argmin).abs().max() < 1e-10


@pytest.mark.parametrize("weight", WEIGHTS)
def test_by_hand_and_in_a_network_are_one_layer(generator, weight):
    x, y, mask = measured(generator)
    torch.testing.assert_close(DataConsistency(weight)(x, y, mask), networks.data_consistency(x, y, mask, weight))
    # what stands in k-space outside the mask has no influence
    garbage = torch.where(mask, y, 7.0)
    torch.testing.assert_close(DataConsistency(weight)(x, garbage, mask), DataConsistency(weight)(x, y, mask))
    torch.testing.assert_close(
        networks.data_consistency(x, garbage, mask, weight), networks.data_consistency(x, y, mask, weight)
    )


def test_without_noise_a_second_application_changes_nothing(generator):
    x, y, mask = measured(generator)
    layer = DataConsistency()
    once = layer(x, y, mask)
    torch.testing.assert_close(layer(once, y, mask), once, rtol=0, atol=1e-12)
    soft = DataConsistency(2.0)
    assert (soft(soft(x, y, mask), y, mask) - soft(x, y, mask)).abs().max() > 1e-2


@pytest.mark.parametrize("weight", [0.3, 4.0, math.inf])
def test_eigenvalues_are_one_and_one_over_one_plus_lambda(generator, weight):
    x, _, mask = measured(generator, batch=1, height=4, width=3)
    basis = torch.eye(12, dtype=torch.complex128).reshape(12, 1, 4, 3)
    matrix = networks.data_consistency_adjoint(basis, mask, weight).reshape(12, 12).T
    torch.testing.assert_close(matrix, matrix.mH)
    eigenvalues = torch.linalg.eigvalsh(matrix)
    samples = int(mask.sum())
    wanted = torch.tensor([1 / (1 + weight)] * samples + [1.0] * (12 - samples), dtype=torch.float64)
    torch.testing.assert_close(eigenvalues, wanted, rtol=0, atol=1e-12)
    # and it is the Jacobian of the layer in its image
    layer = DataConsistency(weight)
    rows = torch.zeros_like(basis)
    columns = layer(basis, rows, mask) - layer(rows, rows, mask)
    torch.testing.assert_close(columns.reshape(12, 12).T, matrix)


@pytest.mark.parametrize("masks", [2, 1])
def test_gradcheck_in_image_k_space_and_weight(generator, masks):
    x, y, mask = measured(generator, height=3, width=4, masks=masks)
    layer = DataConsistency(0.7, learned=True).double()

    def f(x, y, theta):
        return torch.func.functional_call(layer, {"weight.theta": theta}, (x, y, mask))

    theta = layer.weight.theta.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(f, (x.requires_grad_(), y.requires_grad_(), theta))
    assert torch.autograd.gradcheck(DataConsistency(), (x, y, mask))


def test_derivatives_by_hand_are_autograds(generator):
    x, y, mask = measured(generator)
    layer = DataConsistency(0.7, learned=True).double()
    gradient = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    x.requires_grad_()
    by_x, by_theta = torch.autograd.grad(layer(x, y, mask), (x, layer.weight.theta), gradient)
    x = x.detach()
    weight = float(layer.weight().detach())
    torch.testing.assert_close(by_x, networks.data_consistency_adjoint(gradient, mask, weight))
    by_weight = (gradient.conj() * networks.data_consistency_weight_derivative(x, y, mask, weight)).sum().real
    torch.testing.assert_close(by_theta, weight * by_weight)  # λ = exp(θ)
    # and the deck's formula: (s₀ − s)/(1 + λ)² where measured, 0 elsewhere
    in_k_space = physics.fourier(networks.data_consistency_weight_derivative(x, y, mask, weight))
    torch.testing.assert_close(in_k_space, torch.where(mask, (y - physics.fourier(x)) / (1 + weight) ** 2, 0))


def test_learned_weight_stays_positive_and_a_fixed_one_is_no_parameter():
    layer = DataConsistency(0.5, learned=True)
    assert float(layer.weight().detach()) == pytest.approx(0.5)
    optimizer = torch.optim.SGD(layer.parameters(), lr=100.0)
    layer.weight().backward()  # a step that would carry λ itself far below zero
    optimizer.step()
    assert 0 <= float(layer.weight().detach()) < 0.5
    assert list(DataConsistency(0.5).parameters()) == []
    assert DataConsistency().state_dict() == {}  # infinity is no weight to be stored
    assert "lambda=0.5" in repr(DataConsistency(0.5))


def test_weight_learns_the_noise_level(generator):
    """Image and data wrong by σ₁ and σ₂: the λ of least error is σ₁²/σ₂²."""
    truth = torch.randn(8, 1, 32, 32, generator=generator, dtype=torch.complex64)
    noisy = [truth + sigma * torch.randn(truth.shape, generator=generator, dtype=truth.dtype) for sigma in (0.3, 0.15)]
    mask = torch.ones(1, 1, 32, 32, dtype=torch.bool)
    layer = DataConsistency(1.0, learned=True)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        (layer(noisy[0], physics.fourier(noisy[1]), mask) - truth).abs().square().mean().backward()
        optimizer.step()
    assert float(layer.weight().detach()) == pytest.approx(4, rel=0.1)


def test_precision_is_kept_and_the_prepared_form_is_the_same(generator):
    for dtype in (torch.complex64, torch.complex128):
        x, y, mask = measured(generator, dtype=dtype)
        layer = DataConsistency(3.0)
        assert layer(x, y, mask).dtype == networks.data_consistency(x, y, mask, 3.0).dtype == dtype
        torch.testing.assert_close(layer.correct(x, *in_dft_order(y, mask)), layer(x, y, mask))
    s0, _ = in_dft_order(y, mask)
    torch.testing.assert_close(torch.fft.ifft2(s0, norm="ortho"), physics.FourierSampling(mask).adjoint(y))


# ── Several coils ──────────────────────────────────────────────────────────────────────────────────────────────────


def coils(generator, batch=2, height=6, width=8, number=3):
    mask = simulate.line_masks(batch, (height, width), 2, generator)[:, :, None]
    A = physics.CoilSampling(mask, physics.coil_sensitivities((height, width), number, dtype=torch.complex128))
    x = torch.randn(batch, 1, height, width, generator=generator, dtype=torch.complex128)
    y = A(torch.randn(x.shape, generator=generator, dtype=torch.complex128))
    return x, y, A


@pytest.mark.parametrize("weight", [0.0, 0.5, 20.0])
def test_coil_layer_solves_its_problem(generator, weight):
    x, y, A = coils(generator)
    v = CoilDataConsistency(weight, tolerance=1e-9)(x, y, A)
    argmin = conjugate_gradients(lambda v: v + weight * A.normal(v), x + weight * A.adjoint(y), tolerance=1e-12).x
    assert (v - argmin).abs().max() < 1e-6
    # the gradient of ½‖v − x‖² + ½λ‖A v − y‖²
    assert (v - x + weight * A.adjoint(A(v) - y)).abs().max() < 1e-6


def test_coil_gradients_without_the_iterations(generator):
    x, y, A = coils(generator, batch=1, height=4, width=4, number=2)
    layer = CoilDataConsistency(1.5, learned=True, iterations=60, tolerance=1e-13).double()

    def f(x, y, theta):
        return torch.func.functional_call(layer, {"weight.theta": theta}, (x, y, A))

    theta = layer.weight.theta.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(f, (x.requires_grad_(), y.requires_grad_(), theta))


def test_one_coil_that_sees_everything_is_the_single_coil_layer(generator):
    x, y, mask = measured(generator)
    A = physics.CoilSampling(mask[:, :, None], torch.ones(1, 8, 6, dtype=torch.complex128))
    torch.testing.assert_close(CoilDataConsistency(2.0)(x, y[:, :, None], A), DataConsistency(2.0)(x, y, mask))


def test_an_image_is_solved_alike_alone_and_beside_others(generator):
    x, y, A = coils(generator)
    x[0], y[0] = 0, 0  # nothing to solve: no division by zero either
    v = CoilDataConsistency(1.0)(x, y, A)
    assert torch.equal(v[0], torch.zeros_like(v[0]))
    alone = physics.CoilSampling(A.mask[1:], A.sensitivities)
    torch.testing.assert_close(v[1:], CoilDataConsistency(1.0)(x[1:], y[1:], alone))


# ── Wrong arguments ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("layer", [DataConsistency, CoilDataConsistency])
@pytest.mark.parametrize("weight", [-1.0, math.nan, -math.inf, "much"])
def test_a_weight_below_zero_is_refused(layer, weight, unchecked):
    with pytest.raises(expect.InputError, match="expected the weight lambda as a number from 0, got"):
        layer(weight)


def test_a_weight_that_cannot_be_learned_is_refused():
    for weight in (math.inf, 0.0):
        with pytest.raises(expect.InputError, match="expected a finite weight lambda above 0 to learn from"):
            DataConsistency(weight, learned=True)
    with pytest.raises(expect.InputError, match="expected the weight lambda"):
        CoilDataConsistency(math.inf)


def test_a_learned_weight_that_has_grown_beyond_all_numbers_is_noiseless(generator):
    x, y, mask = measured(generator)
    layer = DataConsistency(1.0, learned=True)
    torch.nn.init.constant_(layer.weight.theta, 1e4)
    torch.testing.assert_close(layer(x, y, mask), DataConsistency()(x, y, mask))


def test_coil_measurements_that_do_not_fit_are_refused(generator, unchecked):
    x, y, A = coils(generator)
    with pytest.raises(expect.InputError, match="expected the image and the adjoint of k-space of one shape"):
        CoilDataConsistency()(x[..., :5], y, A)
    with pytest.raises(expect.InputError, match="CoilSampling.adjoint: expected shape"):
        CoilDataConsistency()(x, y[:, :, :2], A)


def test_measurements_that_do_not_fit_are_refused_in_one_line(generator, unchecked):
    x, y, mask = measured(generator)
    layer = DataConsistency()
    wrong = {
        "expected k-space together with its mask": (x, y, None),
        "expected a mask with at least one sample": (x, y, torch.zeros_like(mask)),
        r"expected a mask of k-space's shape \(2, 1, 8, 6\), got .* \(2, 1, 8, 5\)": (x, y, mask[..., :5]),
        r"expected a mask of k-space's shape .* \(8, 6\)": (x, y, mask[0, 0]),
        "expected a mask as a torch.Tensor": (x, y, mask.float()),
        "expected the image and k-space of one shape": (x[..., :5], y, mask),
        "expected k-space as complex .* float64": (x, y.real, mask),
        "expected k-space as complex .* None": (x, None, mask),
    }
    for message, arguments in wrong.items():
        with pytest.raises(expect.InputError, match=message) as error:
            layer(*arguments)
        assert "\n" not in str(error.value)
