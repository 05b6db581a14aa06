"""Lab 02: answers that say nothing, and right answers written in other ways."""

import numpy as np
import torch

EVASIVE = {
    "undersample": [lambda image, mask: image, lambda image, mask: torch.zeros_like(image) + 0j,
                    lambda image, mask: mask + 0 * image],
    "zero_filled": [lambda kspace: kspace, lambda kspace: torch.zeros_like(kspace), torch.ones_like],
    "soft_threshold": [lambda z, threshold: z, lambda z, threshold: torch.zeros_like(z)],
    "ista_step": [lambda x, *_: x, lambda x, *_: torch.zeros_like(x)],
    "fista": [lambda A, *_: torch.zeros(A.shape[1]), lambda A, *_: torch.ones(A.shape[1])],
    "tikhonov": [lambda A, *_: torch.zeros(A.shape[1]), lambda A, *_: torch.ones(A.shape[1])],
    "total_variation": [lambda image: torch.zeros(len(image)), lambda image: torch.ones(len(image))],
}  # fmt: skip


def _by_roll(image, mask):
    rows, columns = image.shape[-2:]
    k = torch.fft.fft2(image.roll((-(rows // 2), -(columns // 2)), (-2, -1)), norm="ortho")
    return torch.where(mask, k.roll((rows // 2, columns // 2), (-2, -1)), 0)


def _shifts_over_all_dimensions(image, mask):
    k = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(image), norm="ortho"))  # the batch moves, and back
    k[..., ~mask] = 0
    return k


def _by_numpy_fft(image, mask):
    k = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image.numpy(), axes=(2, 3))), axes=(2, 3))
    return torch.from_numpy(k / np.sqrt(mask.numel())) * mask


def _mask_first(image, mask):
    moved = torch.fft.fft2(torch.fft.ifftshift(image.to(torch.complex64), dim=(2, 3)), norm="ortho")
    return torch.fft.fftshift(moved * torch.fft.ifftshift(mask), dim=(2, 3))


def _dft_matrix(n):
    grid = torch.arange(n, dtype=torch.float64) - n // 2
    return torch.polar(torch.full((n, n), n**-0.5, dtype=torch.float64), -2 * torch.pi * torch.outer(grid, grid) / n)


def _by_matrices(kspace):
    rows, columns = (_dft_matrix(n).mH.to(kspace.dtype) for n in kspace.shape[-2:])
    return rows @ kspace @ columns.mT


def _by_conjugation(kspace):
    moved = torch.fft.ifftshift(kspace.conj(), dim=(-2, -1))
    return torch.fft.fftshift(torch.fft.fft2(moved, norm="ortho"), dim=(-2, -1)).conj()


def _plane_by_plane(kspace):
    planes = [torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(k[0]), norm="ortho")) for k in kspace]
    return torch.stack(planes)[:, None]


def _by_angle(z, threshold):
    if not z.is_complex():
        return torch.sign(z) * (z.abs() - threshold).clamp(min=0)
    return torch.polar((z.abs() - threshold).clamp(min=0), z.angle())


def _by_factor(z, threshold):
    return z * (1 - threshold / z.abs()).clamp(min=0)


def _by_projection(z, threshold):
    return z - z * (threshold / z.abs().clamp(min=threshold))


def _by_autograd(x, A, y, step, weight):
    x = x.clone().requires_grad_()
    (0.5 * (A @ x - y).square().sum()).backward()
    v = (x - step * x.grad).detach()
    return v.sign() * (v.abs() - step * weight).relu()


def _by_two_relus(x, A, y, step, weight):
    v, t = x + step * A.T @ (y - A @ x), step * weight
    return (v - t).relu() - (-v - t).relu()


def _with_lists(A, y, step, weight, iterations):
    xs, ts = [torch.zeros(A.shape[1])] * 2, [1.0, 1.0]
    for _ in range(iterations):
        z = xs[-1] + (ts[-2] - 1) / ts[-1] * (xs[-1] - xs[-2])
        xs.append(_by_two_relus(z, A, y, step, weight))
        ts.append((1 + (1 + 4 * ts[-1] ** 2) ** 0.5) / 2)
    return xs[-1]


def _in_double(A, y, step, weight, iterations):
    A, y = A.double(), y.double()
    x, z, t = A.T @ (0 * y), A.T @ (0 * y), torch.tensor(1.0)
    for _ in range(iterations):
        old, x = x, _by_two_relus(z, A, y, step, weight)
        old_t, t = t, 0.5 + torch.sqrt(0.25 + t**2)
        z = x + (old_t - 1) / t * (x - old)
    return x.float()


def _primal(A, y, weight):
    return torch.linalg.solve(A.T @ A + weight * torch.eye(A.shape[1]), A.T @ y)


def _dual_by_inverse(A, y, weight):
    return A.T @ torch.linalg.inv(A @ A.T + weight * torch.eye(A.shape[0])) @ y


def _by_svd(A, y, weight):
    U, s, Vh = torch.linalg.svd(A, full_matrices=False)
    return Vh.T @ (s / (s**2 + weight) * (U.T @ y))


def _by_stacking(A, y, weight):
    stacked = torch.cat([A, weight**0.5 * torch.eye(A.shape[1])])
    return torch.linalg.lstsq(stacked, torch.cat([y, torch.zeros(A.shape[1])])[:, None]).solution[:, 0]


def _padded(image):
    x = torch.nn.functional.pad(image, (0, 1, 0, 1), mode="replicate")
    down, right = x[..., 1:, :-1] - x[..., :-1, :-1], x[..., :-1, 1:] - x[..., :-1, :-1]
    return (down**2 + right**2 + 1e-12).sqrt().flatten(1).sum(1)


def _in_parts(image):
    down, right = image.diff(dim=2), image.diff(dim=3)
    inside = torch.hypot(down[..., :-1], right[:, :, :-1]).sum((1, 2, 3))
    return inside + down[..., -1].abs().sum((1, 2)) + right[:, :, -1].abs().sum((1, 2))


def _by_numpy_pad(image):
    x = image.numpy()
    down = np.pad(np.diff(x, axis=2), ((0, 0), (0, 0), (0, 1), (0, 0)))
    right = np.pad(np.diff(x, axis=3), ((0, 0), (0, 0), (0, 0), (0, 1)))
    return torch.from_numpy(np.sqrt(down**2 + right**2).sum((1, 2, 3)))


OTHER_WAYS = {
    "undersample": (_by_roll, _shifts_over_all_dimensions, _by_numpy_fft, _mask_first),
    "zero_filled": (_by_matrices, _by_conjugation, _plane_by_plane),
    "soft_threshold": (_by_angle, _by_factor, _by_projection),
    "ista_step": (_by_autograd, _by_two_relus),
    "fista": (_with_lists, _in_double),
    "tikhonov": (_primal, _dual_by_inverse, _by_svd, _by_stacking),
    "total_variation": (_padded, _in_parts, _by_numpy_pad),
}
