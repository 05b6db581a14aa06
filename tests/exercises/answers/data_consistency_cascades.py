"""Lab 09: answers that say nothing, and right answers written in other ways."""

import torch
import torch.nn.functional as F  # noqa: N812

from course_lib import physics

EVASIVE = {
    "kspace_residual": [lambda image, *_: torch.zeros(len(image)), lambda image, *_: torch.ones(len(image))],
    "replace_measured": [lambda image, *_: image, lambda image, kspace, mask: kspace, lambda image, *_: 0 * image],
    "data_consistency": [lambda image, *_: image, lambda image, kspace, *_: kspace, lambda image, *_: 0 * image],
    "backward_image": [lambda gradient, *_: gradient, lambda gradient, mask, weight: 0 * gradient],
    "backward_weight": [lambda *_: torch.tensor(0.0), lambda *_: 1.0],
    "cnn_block": [lambda image, *_: image, lambda image, *_: torch.zeros_like(image)],
    "cascade": [lambda kspace, *_: kspace, lambda kspace, *_: torch.zeros_like(kspace)],
}  # fmt: skip


def _root_of_energies(image, kspace, mask):
    misfit = physics.fourier(image) * mask - kspace
    return (misfit.abs().square().sum((1, 2, 3)) / kspace.abs().square().sum((1, 2, 3))).sqrt()


def _one_image_at_a_time(image, kspace, mask):
    misfits = [(physics.fourier(x)[m] - k[m]).norm() / k.norm() for x, k, m in zip(image, kspace, mask, strict=True)]
    return torch.stack(misfits)


def _residual_of_pixels(image, kspace, mask):
    A = physics.FourierSampling(mask)
    return A.adjoint(A(image) - kspace).flatten(1).norm(dim=1) / kspace.flatten(1).norm(dim=1)


def _assigned(image, kspace, mask):
    s = physics.fourier(image)
    s[mask] = kspace[mask]
    return physics.inverse_fourier(s)


def _corrected_by_residual(image, kspace, mask):
    A = physics.FourierSampling(mask)
    return image + A.adjoint(kspace - A(image))


def _by_own_transforms(image, kspace, mask):
    s = torch.fft.fft2(torch.fft.ifftshift(image, dim=(2, 3)), norm="ortho")
    y, m = (torch.fft.ifftshift(t, dim=(2, 3)) for t in (kspace, mask))
    return torch.fft.fftshift(torch.fft.ifft2(s * ~m + y, norm="ortho"), dim=(2, 3))


def _as_the_deck(image, kspace, mask, weight):
    Λ = torch.where(mask, 1 / (1 + torch.as_tensor(weight)), torch.tensor(1.0))
    mixed = Λ * physics.fourier(image) + weight / (1 + weight) * kspace
    return physics.inverse_fourier(mixed)


def _corrected_by_share(image, kspace, mask, weight):
    A = physics.FourierSampling(mask)
    return image + weight / (1 + weight) * A.adjoint(kspace - A(image))


def _with_a_weight_for_each_point(image, kspace, mask, weight):
    W = weight * mask
    return physics.inverse_fourier((physics.fourier(image) + W * kspace) / (1 + W))


def _forward_without_data(gradient, mask, weight):
    return _as_the_deck(gradient, 0 * gradient, mask, weight)


def _less_the_share(gradient, mask, weight):
    return gradient - weight / (1 + weight) * physics.FourierSampling(mask).normal(gradient)


def _by_autograd_to_image(gradient, mask, weight):
    x = torch.zeros_like(gradient, requires_grad=True)
    return torch.autograd.grad(_as_the_deck(x, 0 * gradient, mask, weight), x, gradient)[0]


def _in_kspace(gradient, image, kspace, mask, weight):
    g, s = physics.fourier(gradient), physics.fourier(image)
    return ((kspace - s)[mask] * g[mask].conj()).sum().real / (1 + weight) ** 2


def _by_parts(gradient, image, kspace, mask, weight):
    v = physics.inverse_fourier(mask * (kspace - physics.fourier(image)))
    return float((gradient.real * v.real + gradient.imag * v.imag).sum() / (1 + weight) ** 2)


def _by_autograd_to_weight(gradient, image, kspace, mask, weight):
    weight = torch.as_tensor(weight).clone().requires_grad_()
    return torch.autograd.grad(_as_the_deck(image, kspace, mask, weight), weight, gradient)[0]


def _by_view_as_real(image, first, second):
    channels = torch.view_as_real(image)[:, 0].permute(0, 3, 1, 2)
    out = channels + F.conv2d(F.conv2d(channels, first, padding="same").clamp(min=0), second, padding="same")
    return torch.view_as_complex(out.permute(0, 2, 3, 1).contiguous())[:, None]


def _by_modules(image, first, second):
    one, two = (torch.nn.Conv2d(k.shape[1], k.shape[0], 3, padding=1, bias=False) for k in (first, second))
    one.weight.data, two.weight.data = first, second
    net = torch.nn.Sequential(one, torch.nn.ReLU(), two).requires_grad_(False)
    change = net(torch.stack([image.real, image.imag], dim=2)[:, 0])
    return image + (change[:, 0] + 1j * change[:, 1]).unsqueeze(1)


def _by_index(kspace, mask, first, second, weight):
    x = physics.FourierSampling(mask).adjoint(kspace)
    for k in range(first.shape[0]):
        x = _by_view_as_real(x, first[k], second[k])
        x = _corrected_by_share(x, kspace, mask, weight)
    return x


def _by_recursion(kspace, mask, first, second, weight):
    if len(first) == 0:
        return physics.inverse_fourier(kspace)
    x = _by_recursion(kspace, mask, first[:-1], second[:-1], weight)
    return _as_the_deck(_by_view_as_real(x, first[-1], second[-1]), kspace, mask, weight)


OTHER_WAYS = {
    "kspace_residual": (_root_of_energies, _one_image_at_a_time, _residual_of_pixels),
    "replace_measured": (_assigned, _corrected_by_residual, _by_own_transforms),
    "data_consistency": (_as_the_deck, _corrected_by_share, _with_a_weight_for_each_point),
    "backward_image": (_forward_without_data, _less_the_share, _by_autograd_to_image),
    "backward_weight": (_in_kspace, _by_parts, _by_autograd_to_weight),
    "cnn_block": (_by_view_as_real, _by_modules),
    "cascade": (_by_index, _by_recursion),
}
