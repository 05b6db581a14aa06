"""Lab 05: answers that say nothing, and right answers written in other ways."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

EVASIVE = {
    "image_noise": [lambda mean, _: mean, lambda mean, _: 0 * mean, lambda mean, _: torch.full_like(mean, 0.1)],
    "stabilise": [lambda counts, _: counts, lambda counts, _: 0 * counts, lambda counts, _: torch.ones_like(counts)],
    "receptive_field": [lambda *_: 33, lambda sizes, _: len(sizes), lambda _, dilations: sum(dilations)],
    "dilated_convolution": [lambda image, *_: image, lambda image, *_: 0 * image, lambda image, *_: 0 * image + 0.5],
    "ssim": [lambda x, y: 1.0, lambda x, y: torch.tensor(0.0), lambda x, y: x.mean()],
    "mc_sure": [lambda y, *_: torch.zeros(len(y)), lambda y, *_: torch.ones(len(y)), lambda y, *_: y.mean((1, 2, 3))],
    "detection_rate": [lambda *_: 0.5, lambda *_: torch.tensor(1.0), lambda spots, *_: spots.mean()],
}  # fmt: skip


def _noise_by_parts(mean, sigma):
    return torch.hypot(1 / (3 * mean.sqrt()), sigma / (3 * mean))


def _noise_by_autograd(mean, sigma):
    leaf = mean.clone().requires_grad_()
    (slope,) = torch.autograd.grad((-leaf.log() / 3).sum(), leaf)
    return slope.abs() * torch.sqrt(mean + sigma * sigma)


def _noise_with_a_number(mean, sigma):
    return 1 / 3 * (mean + float(sigma) ** 2) ** 0.5 / mean


def _root_by_maximum(counts, sigma):
    return 2 * torch.sqrt(torch.maximum(counts + 0.375 + sigma**2, torch.zeros_like(counts)))


def _root_by_relu(counts, sigma):
    return (4 * torch.relu(counts + 3 / 8 + sigma * sigma)) ** 0.5


def _root_by_where(counts, sigma):
    inside = counts + 3 / 8 + sigma**2
    return torch.where(inside > 0, 2 * inside.abs().sqrt(), 0.0)


def _field_by_loop(kernel_sizes, dilations):
    side = 1
    for i in range(len(kernel_sizes)):
        side += dilations[i] * (kernel_sizes[i] - 1)
    return side


def _field_by_tensors(kernel_sizes, dilations):
    return 1 + (torch.tensor(dilations) * (torch.tensor(kernel_sizes) - 1)).sum()


def _field_by_numpy(kernel_sizes, dilations):
    return float(np.dot(dilations, np.array(kernel_sizes) - 1) + 1)


def _dilated_by_windows(image, kernel, d):
    windows = F.pad(image, (d,) * 4).unfold(0, 2 * d + 1, 1).unfold(1, 2 * d + 1, 1)[..., ::d, ::d]
    return torch.einsum("hwij,ij->hw", windows, kernel)


def _dilated_by_pixels(image, kernel, d):
    (height, width), total = image.shape, torch.zeros_like(image)
    for row, column, i, j in itertools.product(range(height), range(width), range(3), range(3)):
        r, c = row + (i - 1) * d, column + (j - 1) * d
        if 0 <= r < height and 0 <= c < width:
            total[row, column] += kernel[i, j] * image[r, c]
    return total


def _dilated_by_fourier(image, kernel, d):
    height, width = image.shape
    spread = torch.zeros(height + 4 * d, width + 4 * d, dtype=torch.float64)
    for i, j in itertools.product(range(3), range(3)):
        spread[(1 - i) * d, (1 - j) * d] = kernel[i, j]
    padded = F.pad(image.double(), (0, 4 * d, 0, 4 * d))
    return torch.fft.ifft2(torch.fft.fft2(padded) * torch.fft.fft2(spread)).real[:height, :width].float()


def _ssim_by_var(x, y):
    covariance = (x * y).mean() - x.mean() * y.mean()
    brightness = (2 * x.mean() * y.mean() + 1e-4) / (x.mean() ** 2 + y.mean() ** 2 + 1e-4)
    return brightness * (2 * covariance + 9e-4) / (x.var(unbiased=False) + y.var(unbiased=False) + 9e-4)


def _ssim_by_cov(x, y):
    (xx, xy), (_, yy) = torch.cov(torch.stack([x.flatten(), y.flatten()]), correction=0).tolist()
    a, b = x.mean().item(), y.mean().item()
    return (2 * a * b + 1e-4) / (a * a + b * b + 1e-4) * (2 * xy + 9e-4) / (xx + yy + 9e-4)


def _ssim_by_three_factors(x, y):
    sx, sy = x.std(correction=0), y.std(correction=0)
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    brightness = (2 * x.mean() * y.mean() + 1e-4) / (x.mean() ** 2 + y.mean() ** 2 + 1e-4)
    contrast = (2 * sx * sy + 9e-4) / (sx**2 + sy**2 + 9e-4)
    return brightness * contrast * (covariance + 4.5e-4) / (sx * sy + 4.5e-4)


def _sure_by_flattening(y, estimate, moved, direction, sigma, epsilon):
    n = y[0].numel()
    slope = (direction * (moved - estimate)).flatten(1).sum(1)
    return ((y - estimate) ** 2).flatten(1).sum(1) / n - sigma**2 + 2 * sigma**2 / (n * epsilon) * slope


def _sure_image_by_image(y, estimate, moved, direction, sigma, epsilon):
    return torch.stack(
        [
            (a - b).pow(2).mean() + sigma * sigma * (2 * ((c - b) / epsilon * v).mean() - 1)
            for a, b, c, v in zip(y, estimate, moved, direction, strict=True)
        ]
    )


def _sure_by_einsum(y, estimate, moved, direction, sigma, epsilon):
    divergence = torch.einsum("bchw,bchw->b", direction, moved - estimate) / epsilon / y[0].numel()
    return (y - estimate).square().mean((1, 2, 3)) + sigma**2 * (2 * divergence - 1)


def _rate_by_topk(spots, elsewhere, area, rate):
    return (spots > elsewhere.topk(int(area * rate)).values.min()).sum().item() / len(spots)


def _rate_by_numpy(spots, elsewhere, area, rate):
    return float(np.mean(spots.numpy() > np.sort(elsewhere.numpy())[-int(area * rate)]))


def _rate_by_loop(spots, elsewhere, area, rate):
    threshold = sorted(elsewhere.tolist(), reverse=True)[math.floor(area * rate) - 1]
    return torch.tensor([float(v > threshold) for v in spots.tolist()]).mean()


OTHER_WAYS = {
    "image_noise": (_noise_by_parts, _noise_by_autograd, _noise_with_a_number),
    "stabilise": (_root_by_maximum, _root_by_relu, _root_by_where),
    "receptive_field": (_field_by_loop, _field_by_tensors, _field_by_numpy),
    "dilated_convolution": (_dilated_by_windows, _dilated_by_pixels, _dilated_by_fourier),
    "ssim": (_ssim_by_var, _ssim_by_cov, _ssim_by_three_factors),
    "mc_sure": (_sure_by_flattening, _sure_image_by_image, _sure_by_einsum),
    "detection_rate": (_rate_by_topk, _rate_by_numpy, _rate_by_loop),
}


def _dilated_by_conv2d(image, kernel, d):
    reach = d * (len(kernel) // 2)
    return F.conv2d(image[None, None], kernel[None, None], padding=reach, dilation=d)[0, 0]


def _dilated_by_unfold(image, kernel, d):
    reach = d * (len(kernel) // 2)
    columns = F.unfold(image[None, None], kernel.shape, padding=reach, dilation=d)[0]
    return (kernel.flatten() @ columns).reshape(image.shape)


DELEGATING = {"dilated_convolution": (_dilated_by_conv2d, _dilated_by_unfold)}
