"""Networks that draw a spectrum with bumps at its lines, and count them."""

import math

import pytest
import torch
from torch import nn

from course_lib.data import line_counts, line_spectra, wrap
from course_lib.expect import InputError
from course_lib.networks import DeepFreq, FrequencyCounting, FrequencyRepresentation, PSnet
from course_lib.physics import add_noise_at_snr
from course_lib.training.frequency_labels import frequency_labels

SMALL = {"channels": 8, "layers": 3}


def signals(count=6, seed=0, dtype=torch.complex64):
    return line_spectra(count, torch.Generator().manual_seed(seed)).signals(50, dtype)


def awake(network):
    """A network whose normalisation has seen signals, in evaluation mode."""
    torch.manual_seed(0)
    network = network().train()
    for seed in range(30):
        network(signals(64, seed))
    return network.eval()


NETWORKS = {
    "windowed": lambda: FrequencyRepresentation(**SMALL),
    "free": lambda: FrequencyRepresentation(**SMALL, transform="free"),
    "psnet": PSnet,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_curve_on_a_thousand_points_whatever_the_scale(name):
    network = awake(NETWORKS[name])
    y = signals()
    with torch.no_grad():
        curve = network(y)
        assert curve.shape == (6, 1000)
        torch.testing.assert_close(network(1e-3 * y), curve, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(network(y.to(torch.complex128)), curve, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(network(y[2:3]), curve[2:3], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("positions", [1, 7, 62, 124])
def test_windowed_curves_turn_with_the_lines(positions):
    network = awake(NETWORKS["windowed"])
    y = signals()
    turned = y * torch.polar(torch.ones(50), 2 * math.pi * positions / 125 * torch.arange(50))
    with torch.no_grad():
        here, there = network(y), network(turned)
    torch.testing.assert_close(there, here.roll(8 * positions, dims=1), atol=1e-4, rtol=1e-3)


def test_a_free_layer_does_not_turn():
    network = awake(NETWORKS["free"])
    y = signals()
    turned = y * torch.polar(torch.ones(50), 2 * math.pi * 7 / 125 * torch.arange(50))
    with torch.no_grad():
        assert (network(turned) - network(y).roll(56, dims=1)).norm() > 0.1 * network(y).norm()


def test_the_transforms_are_what_their_docstrings_say():
    torch.manual_seed(1)
    windowed = FrequencyRepresentation(**SMALL).transform
    y = signals(2, dtype=torch.complex64)
    frequency = torch.arange(125) / 125 - 0.5
    steering = torch.exp(-2j * math.pi * frequency[:, None] * torch.arange(50))
    windows = torch.view_as_complex(windowed.windows.detach())
    expected = torch.einsum("bn,wn,pn->bwp", y, windows, steering)
    torch.testing.assert_close(windowed(y), torch.cat([expected.real, expected.imag], dim=1), atol=1e-4, rtol=1e-4)
    free = FrequencyRepresentation(**SMALL, transform="free").transform
    expected = torch.einsum("cpn,bn->bcp", free.filters().conj(), y).real
    torch.testing.assert_close(free(y), expected, atol=1e-5, rtol=1e-4)


class One(nn.Module):
    """In signal p of 125, position p is 1 and all others are 0."""

    def forward(self, y):
        return torch.eye(125)[:, None]


def test_every_point_of_the_grid_is_drawn_by_positions_on_both_sides():
    network = FrequencyRepresentation(**SMALL)
    network.body = nn.Identity()
    network.draw = nn.ConvTranspose1d(1, 1, 24, stride=8, bias=False)
    nn.init.constant_(network.draw.weight, 1.0)
    network.transform = One()
    with torch.no_grad():
        drawn = network(torch.ones(125, 50, dtype=torch.complex64))
    points = torch.arange(1000)
    for position in (0, 1, 60, 124):  # twelve points to the left of 8·position, and twelve from there on
        expected = ((points - 8 * position + 12) % 1000 < 24).float()
        torch.testing.assert_close(drawn[position], expected)


class Perfect(nn.Module):
    """Draws the label of the lines that it was told."""

    def __init__(self, frequencies):
        super().__init__()
        self.frequencies = frequencies

    def forward(self, y):
        return frequency_labels(self.frequencies, 50)


class Sum(nn.Module):
    """Counts by area: a bump has √π·w·1000 points."""

    def forward(self, curves):
        return curves.sum(dim=1) / (math.sqrt(math.pi) * 0.006 * 1000)


def test_a_perfect_curve_gives_its_lines_below_the_grid():
    lines = line_spectra(100, torch.Generator().manual_seed(3), separation=1.5, most_lines=8)
    network = DeepFreq(Perfect(lines.frequencies), Sum())
    for counts in (None, lines.counts):
        found = network.frequencies(lines.signals(50), counts)
        assert (line_counts(found) == lines.counts).all()
        assert wrap(found.double() - lines.frequencies).abs().nan_to_num().max() < 2e-4  # the grid's step is 1e-3
    clean = lines.signals(50, torch.complex128)
    refined = network.frequencies(clean, refine=True)
    assert wrap(refined - lines.frequencies).abs().nan_to_num().max() < 1e-9


def test_at_least_one_line_is_counted():
    counting = nn.Module()
    counting.forward = lambda curves: torch.tensor([-3.0, 0.2, 2.4, 2.6])
    assert DeepFreq(nn.Identity(), counting).counts(torch.zeros(4, 10)).tolist() == [1, 1, 2, 3]


def test_counting_takes_a_curve_and_gives_a_number():
    torch.manual_seed(0)
    assert FrequencyCounting(channels=4, layers=2)(torch.rand(3, 1000)).shape == (3,)


@pytest.mark.parametrize("name", NETWORKS)
def test_wrong_signals_are_refused_in_one_line(name, unchecked):
    network = DeepFreq(NETWORKS[name](), FrequencyCounting(channels=4, layers=2))
    good = signals()
    wrong = {
        "of 50 samples": good[:, :40],
        "complex samples": good.real,
        "without NaN": good * torch.nan,
        "some energy, got 1 of zeros": good * (torch.arange(6) > 0)[:, None],
        "floating-point torch.Tensor": good.numpy(),
    }
    for text, value in wrong.items():
        with pytest.raises(InputError, match=text) as error:
            network.frequencies(value)
        assert "\n" not in str(error.value)


def test_an_unknown_transform_is_refused():
    with pytest.raises(InputError, match="windowed, free, got 'wavelet'"):
        FrequencyRepresentation(transform="wavelet")


def test_a_small_network_learns_to_find_lines():
    """From nothing to most strong lines in some hundred steps; the windows are what makes it fast."""
    from course_lib.training.recipes import line_spectra as recipes

    torch.manual_seed(0)
    network = FrequencyRepresentation(channels=16, layers=4).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(150):
        loss = recipes.distance_of_curves(network, recipes.batch(generator, 32))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    nothing = frequency_labels(recipes.batch(generator, 500)[1], 50).square().sum(dim=1).mean()
    assert sum(losses[-20:]) / 20 < 0.7 * nothing


def test_batches_are_noisy_signals_of_known_lines():
    from course_lib.training.recipes import line_spectra as recipes

    y, frequencies = recipes.batch(torch.Generator().manual_seed(5), 300)
    again, _ = recipes.batch(torch.Generator().manual_seed(5), 300)
    assert torch.equal(y, again)
    assert y.shape == (300, 50)
    assert y.dtype == torch.complex64
    assert set(line_counts(frequencies).tolist()) == set(range(1, 11))
    power = y.abs().square().mean(dim=1)
    assert 0.9 < power.median() < 1.1  # the signals have power 1, and most have little noise
    assert power.max() < 3.5
    noisy = add_noise_at_snr(signals(), 0, torch.Generator().manual_seed(0))
    assert noisy.shape == (6, 50)
