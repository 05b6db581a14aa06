"""A recipe that learns within a second: a linear map with dropout, on random data."""

import torch
from torch import nn

from course_lib.training import Recipe

WANTED = torch.linspace(-1, 1, 12).reshape(3, 4)


def network():
    return nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 3), nn.BatchNorm1d(3))


def batch(generator, size):
    x = torch.randn(size, 4, generator=generator)
    return x, x @ WANTED.mT


def loss(network, batch):
    x, y = batch
    return (network(x) - y).square().mean()


def validate(network):
    x, y = batch(torch.Generator().manual_seed(7), 64)
    return {"mse": (network(x) - y).square().mean()}


def tiny(**changes) -> Recipe:
    values = dict(name="tiny", network=network, batch=batch, loss=loss, validate=validate, steps=40, batch_size=8,
                  learning_rate=0.05, warm_up=4, validate_every=10)  # fmt: skip
    return Recipe(**(values | changes))
