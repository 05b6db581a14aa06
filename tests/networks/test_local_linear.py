"""The exact local affine map: against the same network with its ReLUs frozen, and against autograd's own Jacobian."""

import pytest
import torch
from torch import nn

from course_lib import expect, networks

KINDS = (networks.DnCNN, networks.UNetDenoiser, networks.RecurrentCNN, networks.DenseDenoiser)


def network(kind, bias, generator, **options):
    f = kind(width=4, bias=bias, **options).double()
    for p in f.parameters():
        p.data += 0.15 * torch.randn(p.shape, generator=generator)
    return f.eval()


@pytest.fixture
def y(generator):
    return torch.rand(1, 1, 8, 12, generator=generator, dtype=torch.float64)


def gates_of(f, y):
    """Which numbers each ReLU lets through, in the order of the calls."""
    gates, handles = [], []
    for module in f.modules():
        if isinstance(module, nn.ReLU):
            handles.append(module.register_forward_hook(lambda _, inputs, __: gates.append(inputs[0] > 0)))
    with torch.no_grad():
        f(y)
    for handle in handles:
        handle.remove()
    return gates


def frozen(f, gates, v):
    """Run v through f with the ReLUs open where another image has opened them: an affine map of v."""
    gates, handles = list(gates), []
    for module in f.modules():
        if isinstance(module, nn.ReLU):
            handles.append(module.register_forward_hook(lambda _, inputs, __: inputs[0] * gates.pop(0)))
    with torch.no_grad():
        found = f(v)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_both_parts_against_the_network_with_frozen_relus(kind, generator, y):
    """f(y) = A_y y + b_y to 1e-5, with b_y from an image of zeros through the gates that y has opened."""
    f = network(kind, True, generator)
    gates = gates_of(f, y)
    torch.testing.assert_close(frozen(f, gates, y), f(y).detach())
    b_y = frozen(f, gates, torch.zeros_like(y))
    linear_part, net_bias = networks.local_affine_map(f, y)
    assert net_bias.norm() > 0.01 * linear_part.norm()
    torch.testing.assert_close(net_bias, b_y, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(linear_part, frozen(f, gates, y) - b_y, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_without_constants_there_is_no_net_bias(kind, generator, y):
    f = network(kind, False, generator)
    linear_part, net_bias = networks.local_affine_map(f, y)
    assert net_bias.norm() <= 1e-10 * linear_part.norm()
    torch.testing.assert_close(linear_part, f(y).detach())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_jacobian_rows_and_products_agree_with_autograd(kind, bias, generator, y):
    f = network(kind, bias, generator)
    A = networks.jacobian(f, y, chunk=40)  # 96 pixels: the last chunk is not full
    wanted = torch.autograd.functional.jacobian(f, y).view(96, 96)
    torch.testing.assert_close(A, wanted, rtol=1e-8, atol=1e-10)
    linear_part, net_bias = networks.local_affine_map(f, y)
    torch.testing.assert_close((A @ y.flatten()).view(y.shape), linear_part, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close((A @ y.flatten()).view(y.shape) + net_bias, f(y).detach(), rtol=1e-5, atol=1e-9)
    for row, column in ((0, 0), (3, 7), (7, 11)):
        torch.testing.assert_close(
            networks.adaptive_filter(f, y, row, column), A[row * 12 + column].view(8, 12), rtol=1e-8, atol=1e-10
        )


def test_the_map_is_exact_for_a_step_that_turns_no_relu(generator, y):
    f = network(networks.DnCNN, True, generator)
    step = 1e-7 * torch.randn(y.shape, generator=generator, dtype=y.dtype)
    with torch.no_grad():
        moved = f(y + step) - f(y)
    wanted = (networks.jacobian(f, y) @ step.flatten()).view(y.shape)
    torch.testing.assert_close(moved, wanted, rtol=1e-4, atol=1e-13)


def test_a_batch_is_taken_image_by_image(generator):
    f = network(networks.DnCNN, True, generator)
    y = torch.rand(3, 1, 8, 8, generator=generator, dtype=torch.float64)
    together = networks.local_affine_map(f, y)
    for k in range(3):
        alone = networks.local_affine_map(f, y[k : k + 1])
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[k : k + 1], part)


def test_gradients_of_the_caller_are_left_alone(generator, y):
    f = network(networks.DnCNN, True, generator)
    y.requires_grad_(True)
    for found in (*networks.local_affine_map(f, y), networks.adaptive_filter(f, y, 1, 2), networks.jacobian(f, y)):
        assert not found.requires_grad
    assert y.grad is None
    assert all(p.grad is None for p in f.parameters())


def test_a_projection_has_its_own_dimension_and_lies_in_itself(generator):
    basis = torch.linalg.qr(torch.randn(20, 7, generator=generator)).Q
    assert networks.effective_dimension(torch.linalg.svdvals(basis @ basis.T)) == pytest.approx(7, abs=1e-4)
    assert networks.nestedness(basis[:, :3], basis) == pytest.approx(1, abs=1e-5)
    assert networks.nestedness(basis[:, :3], basis[:, 3:]) == pytest.approx(0, abs=1e-5)
    turn = torch.linalg.qr(torch.randn(7, 7, generator=generator)).Q
    assert networks.nestedness(basis[:, :3], basis @ turn) == pytest.approx(1, abs=1e-5)  # of spaces, not of bases


def test_nestedness_by_angles_and_for_random_subspaces(generator):
    angle = torch.tensor(0.6)
    plane = torch.eye(4)[:, :2]
    tilted = torch.stack([torch.tensor([angle.cos(), 0, angle.sin(), 0]), torch.tensor([0, 1.0, 0, 0])], dim=1)
    assert networks.nestedness(tilted, plane) == pytest.approx(float((angle.cos() ** 2 + 1) / 2) ** 0.5, abs=1e-6)
    values = []
    for _ in range(50):
        inner, outer = (torch.linalg.qr(torch.randn(60, count, generator=generator)).Q for count in (5, 15))
        values.append(networks.nestedness(inner, outer) ** 2)
    assert sum(values) / 50 == pytest.approx(15 / 60, rel=0.1)


def test_noise_leaves_a_linear_map_with_the_effective_dimension(generator):
    """E‖A z‖² = σ² Σ s²."""
    A = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    z = 0.1 * torch.randn(12, 20_000, generator=generator, dtype=torch.float64)
    found = (A @ z).square().sum(0).mean().item()
    assert found == pytest.approx(0.01 * networks.effective_dimension(torch.linalg.svdvals(A)), rel=0.03)


def test_the_jacobian_of_a_patch_takes_few_passes():
    """1,024 columns in 8 passes: that is what makes it take seconds (`make bench` measures them)."""
    f = networks.DnCNN(depth=4, width=8, bias=False).eval()
    passes = []
    f.register_forward_hook(lambda *_: passes.append(1))
    assert networks.jacobian(f, torch.rand(1, 1, 32, 32)).shape == (1024, 1024)
    assert len(passes) == 1024 // 128


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f: networks.adaptive_filter(f, torch.rand(1, 1, 8, 8), 8, 0), "expected row from 0 to 7, got 8"),
        (
            lambda f: networks.adaptive_filter(f, torch.rand(1, 1, 8, 8), 0, -1),
            "expected column as a whole number from 0",
        ),
        (lambda f: networks.adaptive_filter(f, torch.rand(2, 1, 8, 8), 0, 0), "expected one grey image"),
        (lambda f: networks.jacobian(f, torch.rand(1, 3, 8, 8)), "expected one grey image"),
        (lambda f: networks.jacobian(f, torch.rand(1, 1, 80, 80)), "a patch of at most 4096 pixels, got 80×80"),
        (lambda f: networks.jacobian(f, torch.rand(1, 1, 8, 8), chunk=0), "expected chunk as a whole number from 1"),
        (lambda f: networks.local_affine_map(f, torch.rand(8, 8)), "expected y as a floating-point torch.Tensor"),
        (lambda f: networks.local_affine_map(f.train(), torch.rand(1, 1, 8, 8)), "the network in evaluation mode"),
        (lambda f: networks.nestedness(torch.ones(4, 2), torch.eye(4)), "expected inner with orthonormal columns"),
        (lambda f: networks.nestedness(torch.eye(4), torch.eye(5)), "bases of one space, got 4 and 5 pixels"),
        (lambda f: networks.effective_dimension(torch.eye(3)), "expected singular_values as"),
    ],
)
def test_bad_input(call, said, unchecked):
    with pytest.raises(expect.InputError, match=said):
        call(networks.DnCNN(depth=2, width=2, bias=False).eval())
