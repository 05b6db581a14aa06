"""After the last step batch normalisation has the statistics of many batches, and nothing else has changed."""

import pytest
import torch
from tiny_recipe import batch, tiny
from torch import nn

from course_lib import networks
from course_lib.training import settling, train
from course_lib.training.settling import settle


@pytest.mark.parametrize("bias", [True, False])
def test_the_statistics_are_plain_means_over_the_batches(bias, generator):
    layer = (nn.BatchNorm2d(3) if bias else networks.BiasFreeBatchNorm2d(3)).train()
    batches = (
        torch.randn(settling.BATCHES, 4, 3, 5, 5, generator=generator) * torch.tensor([1.0, 2.0, 5.0])[:, None, None]
    )
    layer(100 * batches[0])  # what it was before does not count
    weight, momentum = layer.weight.clone(), layer.momentum
    asked = []
    settle(layer, lambda index: asked.append(index) or layer(batches[index]))
    assert asked == list(range(settling.BATCHES))
    wanted = batches.var(dim=(1, 3, 4), unbiased=bias).mean(0)
    torch.testing.assert_close(layer.running_var, wanted, rtol=1e-4, atol=0)
    if bias:
        torch.testing.assert_close(layer.running_mean, batches.mean(dim=(0, 1, 3, 4)), rtol=1e-3, atol=1e-5)
    assert torch.equal(layer.weight, weight)
    assert layer.momentum == momentum


def test_a_network_without_statistics_runs_no_batch():
    settle(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)), pytest.fail)


def test_training_ends_with_it():
    """The running mean is that of what the linear map gives on other batches, dropout included."""
    result = train(tiny(steps=60, learning_rate=0.02))
    _, linear, norm = result.network
    x, _ = batch(torch.Generator().manual_seed(99), 4000)
    dropped = nn.functional.dropout(x, 0.1)
    outputs = linear(dropped)
    torch.testing.assert_close(norm.running_mean, outputs.mean(0).detach(), atol=0.1, rtol=0)
    torch.testing.assert_close(norm.running_var, outputs.var(0).detach(), rtol=0.15, atol=0)


def test_an_unfinished_run_is_not_settled(monkeypatch):
    monkeypatch.setattr("course_lib.training.loop.settle", pytest.fail)
    result = train(tiny(), minutes=1e-9)
    assert not result.finished
