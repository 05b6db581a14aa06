"""Dilation: the receptive field of the formula is that of the gradient, and parameters do not grow."""

import pytest
import torch

from course_lib import networks
from course_lib.expect import InputError


@pytest.mark.parametrize("dilations", [(1, 1), (1,) * 5, (1, 2, 3, 2, 1), (2, 5, 1), (1, 2, 4)])
@pytest.mark.parametrize("residual", [True, False])
def test_the_receptive_field_is_the_gradients_support(dilations, residual, generator):
    network = networks.DilatedCNN(dilations, width=6, residual=residual)
    field = network.receptive_field
    assert field == 1 + sum(2 * d for d in dilations)
    for p in network.parameters():  # positive weights let every path through
        p.data = 0.1 + torch.rand(p.shape, generator=generator)
    y = torch.rand(1, 1, field + 6, field + 6, generator=generator).requires_grad_()
    centre = (field + 6) // 2
    (gradient,) = torch.autograd.grad(network(y, 0.1)[0, 0, centre, centre], y)
    rows, columns = gradient[0, 0].nonzero().T
    assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (centre - field // 2, centre + field // 2)


def test_the_default_has_no_gaps(generator):
    network = networks.DilatedCNN(width=4)
    for p in network.parameters():
        p.data = 0.1 + torch.rand(p.shape, generator=generator)
    y = torch.rand(1, 1, 41, 41, generator=generator).requires_grad_()
    (gradient,) = torch.autograd.grad(network(y, 0.1)[0, 0, 20, 20], y)
    assert (gradient[0, 0] != 0).sum() == 15**2


def test_dilation_costs_no_parameter():
    counts = {
        sum(p.numel() for p in networks.DilatedCNN(dilations).parameters())
        for dilations in ((1,) * 5, (1, 2, 3, 2, 1), (5,) * 5)
    }
    assert len(counts) == 1


def test_a_residual_network_begins_near_its_input(generator):
    y = torch.rand(1, 1, 20, 20, generator=generator)
    with torch.no_grad():
        assert (networks.DilatedCNN()(y, 0.1) - y).std() < 0.5 * y.std()
        direct = networks.DilatedCNN(residual=False)
        torch.testing.assert_close(direct(y, 0.1), 0.5 + 0.4 * direct.layers((y - 0.5) / 0.4))


def test_noise_looks_the_same_at_every_level(generator):
    """About mid-grey, images and noise of half the contrast give half of what is found."""
    network = networks.DilatedCNN()
    y = torch.rand(2, 1, 20, 20, generator=generator)
    with torch.no_grad():
        whole = network(y, torch.tensor([0.1, 0.2])) - 0.5
        half = network(0.5 + (y - 0.5) / 2, torch.tensor([0.05, 0.1])) - 0.5
    torch.testing.assert_close(half, whole / 2)


@pytest.mark.usefixtures("unchecked")
def test_bad_input():
    with pytest.raises(InputError, match="expected at least two dilations, got a tuple of 1"):
        networks.DilatedCNN((1,))
    with pytest.raises(InputError, match="expected a dilation as a whole number from 1, got 0"):
        networks.DilatedCNN((1, 0, 1))
