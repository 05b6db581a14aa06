"""Batch normalisation with and without its two additive constants."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import nn

Features = Float[torch.Tensor, "batch features height width"]


def batch_norm_2d(channels: int, *, bias: bool) -> nn.Module:
    """Ordinary batch normalisation, or the bias-free one."""
    return nn.BatchNorm2d(channels) if bias else BiasFreeBatchNorm2d(channels)


class BiasFreeBatchNorm2d(nn.Module):
    """Batch normalisation without its two additive constants: γ·x/√(variance + ε), for each channel.

    Ioffe and Szegedy (2015) also subtract the mean and add β. In training the variance is the batch's, in evaluation
    a running average of it, as in `torch.nn.BatchNorm2d`.

    Args:
        channels: how many.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.epsilon, self.momentum = epsilon, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Features) -> Features:
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.epsilon)
            return x * scale[:, None, None].to(x.dtype)
        y, s = _Normalised.apply(x, self.weight, self.epsilon)
        with torch.no_grad():
            self.running_var.lerp_(s.to(self.running_var) ** -2 - self.epsilon, self.momentum)
        return y


class _Normalised(torch.autograd.Function):
    """γ·x·s with s = 1/√(variance + ε) of the batch: torch's fast batch normalisation, with the mean put back.

    Left to autograd, `x * (weight / (x.var(...) + epsilon).sqrt())` makes a step of training take half as long again.
    """

    @staticmethod
    def forward(ctx, x, weight, epsilon):
        y, mean, s = torch.native_batch_norm(x, weight, None, None, None, True, 0.0, epsilon)
        ctx.save_for_backward(x, weight, mean, s)
        ctx.epsilon = epsilon
        ctx.mark_non_differentiable(s)
        return y.add_((weight * mean * s)[:, None, None].to(y.dtype)), s

    @staticmethod
    def backward(ctx, gradient, *_):
        x, weight, mean, s = ctx.saved_tensors
        for_x, for_weight, total = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, s, True, ctx.epsilon, [True, True, True]
        )
        # the mean put back moves with x too: ∂(γ·mean·s)/∂x, times the sum of the gradient
        samples = x.numel() // x.shape[1]
        slope = -(weight * total * mean * s**3 / samples)[:, None, None]
        offset = (weight * total * s / samples)[:, None, None] - slope * mean[:, None, None]
        for_x.add_(torch.addcmul(offset.to(x.dtype), slope.to(x.dtype), x))
        return for_x, for_weight + total * mean * s, None
