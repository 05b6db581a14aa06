"""Module 12's recipes: fresh noisy signals, curves to draw, lines to count."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from course_lib.data import line_counts
from course_lib.networks import FrequencyRepresentation
from course_lib.training import all_recipes, find_recipe, train
from course_lib.training.frequency_labels import frequency_labels
from course_lib.training.recipes import line_spectra as recipes

REPRESENTATIONS = ("frequency_representation", "frequency_representation_free", "psnet")
COUNTING = {"frequency_counting": "frequency_representation", "psnet_counting": "psnet"}


def test_all_are_listed():
    assert {*REPRESENTATIONS, *COUNTING} <= set(all_recipes())


def test_all_learn_from_the_same_signals():
    kinds = {(r.steps, r.batch_size, r.seed) for r in map(find_recipe, REPRESENTATIONS)}
    assert len(kinds) == 1


def test_the_ratio_of_signal_to_noise_is_uniform_in_decibels():
    generator = torch.Generator().manual_seed(3)
    y, frequencies = recipes.batch(generator, 4000)
    steering = torch.exp(2j * torch.pi * frequencies.nan_to_num()[:, :, None].double() * torch.arange(50))
    steering = torch.where(frequencies.isfinite()[:, :, None], steering, 0)
    fit = torch.linalg.pinv(steering.mT) @ y[..., None].to(steering.dtype)
    rest = (y - (steering.mT @ fit)[..., 0]).abs().square().sum(dim=1) / (1 - line_counts(frequencies) / 50)
    db = 10 * (50 / rest).log10()  # the clean signals have energy 50
    assert 0.15 < (db < 10).double().mean() < 0.25
    assert 0.15 < ((db > 30) & (db < 40)).double().mean() < 0.25
    assert db.max() < 54


class Drawn(nn.Module):
    """Draws what it was told."""

    def __init__(self, curves):
        super().__init__()
        self.curves = nn.Parameter(curves)

    def forward(self, y):
        return self.curves


def test_the_loss_is_the_squared_distance_from_the_labels():
    sample = recipes.batch(torch.Generator().manual_seed(4), 5)
    labels = frequency_labels(sample[1], 50)
    assert recipes.distance_of_curves(Drawn(labels), sample).item() == 0
    off = labels.clone()
    off[2, 7:9] += 3
    assert recipes.distance_of_curves(Drawn(off), sample).item() == pytest.approx(2 * 9 / 5)


def test_validation_of_a_perfect_representation():
    lines, noisy = recipes.validation()
    assert set(noisy) == set(recipes.VALIDATION_DB)
    measured = recipes.validate_representation(Drawn(frequency_labels(lines.frequencies.float(), 50)))
    assert set(measured) == {f"fnr_{db}db" for db in recipes.VALIDATION_DB}
    assert max(measured.values()) < 1.0  # bumps of lines nearer than two grid steps to 1/N may touch
    nothing = recipes.validate_representation(Drawn(torch.zeros(len(lines.frequencies), 1000)))
    assert min(nothing.values()) == 100


@pytest.mark.parametrize("name", COUNTING)
def test_counting_learns_from_frozen_curves(name):
    recipe = replace(find_recipe(name), steps=2, batch_size=8, validate=lambda network: {})
    frozen = recipes.trained(COUNTING[name], torch.device("cpu"))
    before = {key: value.clone() for key, value in frozen.state_dict().items()}
    result = train(recipe)
    assert result.steps == 2
    assert all(torch.equal(value, before[key]) for key, value in frozen.state_dict().items())


def test_the_error_of_a_count():
    class Five(nn.Module):
        def forward(self, curves):
            return torch.full((len(curves),), 5.0)

    sample = recipes.batch(torch.Generator().manual_seed(6), 40)
    expected = (line_counts(sample[1]) - 5.0).square().mean().item()
    assert recipes.error_of_count("frequency_representation", Five(), sample).item() == pytest.approx(expected)


def test_steps_make_the_curves_better():
    recipe = replace(
        find_recipe("frequency_representation"), network=lambda: FrequencyRepresentation(channels=8, layers=2),
        steps=60, batch_size=16, learning_rate=1e-2, warm_up=5, validate=lambda network: {},
    )  # fmt: skip
    losses = train(recipe).history.losses
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
