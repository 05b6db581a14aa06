"""Lab 04: answers that say nothing, and right answers written in other ways."""

import torch
import torch.nn.functional as F  # noqa: N812

EVASIVE = {
    "blind_batch": [lambda clean, *_: clean + 0.1, lambda clean, *_: 0 * clean, lambda clean, draws, noise, _: noise],
    "bias_free_norm": [lambda features, scale: features, lambda features, scale: 0 * features],
    "denoiser": [lambda y, *_: 0.5 * y + 0.1, lambda y, *_: torch.ones_like(y), lambda y, *_: y],
    "affine_map": [lambda y, W1, b1, W2, b2: (W2 @ W1, b2), lambda y, W1, b1, W2, b2: (0 * (W2 @ W1), 0 * b2)],
    "adaptive_filter": [lambda y, *_: y[0, 0], lambda y, *_: torch.zeros_like(y[0, 0])],
    "kept_subspace": [lambda A: (torch.tensor(1.0), A), lambda A: (torch.tensor(0.0), torch.eye(len(A)))],
    "nestedness": [lambda inner, outer: torch.tensor(0.5), lambda inner, outer: 0.9],
}  # fmt: skip


def _one_by_one(clean, draws, noise, highest):
    return torch.stack([x + d * highest / 255 * z for x, d, z in zip(clean, draws, noise, strict=True)])


def _by_view(clean, draws, noise, highest):
    return clean + draws.view(-1, 1, 1, 1) * noise * highest / 255


def _by_einsum_levels(clean, draws, noise, highest):
    return clean + torch.einsum("b,bchw->bchw", draws, noise) * (highest / 255)


def _by_std(features, scale):
    deviation = features.std(dim=(0, 2, 3), keepdim=True, unbiased=False)
    return features / (deviation**2 + 1e-5) ** 0.5 * scale.view(1, -1, 1, 1)


def _by_channels(features, scale):
    normed = [g * x / (x.var(unbiased=False) + 1e-5) ** 0.5 for g, x in zip(scale, features.unbind(1), strict=True)]
    return torch.stack(normed, dim=1)


def _by_second_moment_less_mean(features, scale):
    mean, power = features.mean(dim=(0, 2, 3)), features.square().mean(dim=(0, 2, 3))
    return features * (scale / (power - mean**2 + 1e-5).sqrt())[None, :, None, None]


def _by_clamp(y, first, middle, last):
    x = F.conv2d(y, first, padding="same").clamp(min=0)
    x = F.conv2d(x, middle, padding="same").clamp(min=0)
    return y - F.conv2d(x, last, padding="same")


def _by_three_modules(y, first, middle, last):
    x = y
    for kernels in (first, middle, last):
        layer = torch.nn.Conv2d(kernels.shape[1], kernels.shape[0], 3, padding=1, bias=False)
        x = torch.func.functional_call(layer, {"weight": kernels}, (x,))
        x = torch.relu(x) if kernels is not last else x
    return y - x


def _by_diagonal(y, W1, b1, W2, b2):
    D = torch.diag((W1 @ y + b1 > 0).float())
    return W2 @ D @ W1, W2 @ D @ b1 + b2


def _by_jacrev(y, W1, b1, W2, b2):
    def f(v):
        return W2 @ torch.relu(W1 @ v + b1) + b2

    A = torch.func.jacrev(f)(y)
    return A, f(y) - A @ y


def _by_columns(y, W1, b1, W2, b2):
    hidden = W1 @ y + b1
    on = hidden > 0
    return W2[:, on] @ W1[on], W2[:, on] @ b1[on] + b2


def _by_backward(y, first, middle, last, row, column):
    y = y.clone().requires_grad_()
    _by_clamp(y, first, middle, last)[0, 0, row, column].backward()
    return y.grad[0, 0]


def _by_vjp(y, first, middle, last, row, column):
    _, pull = torch.func.vjp(lambda v: _by_clamp(v, first, middle, last), y)
    unit = torch.zeros_like(y)
    unit[0, 0, row, column] = 1
    return pull(unit)[0][0, 0]


def _by_whole_jacobian(y, first, middle, last, row, column):
    J = torch.func.jacrev(lambda v: _by_clamp(v, first, middle, last))(y)
    return J[0, 0, row, column, 0, 0]


def _by_norm(A):
    dimension = torch.linalg.matrix_norm(A) ** 2
    axes = torch.linalg.svd(A)[0][:, : round(dimension.item())]
    return dimension, axes @ axes.T


def _by_eigenvectors_of_aat(A):
    values, vectors = torch.linalg.eigh(A.double() @ A.double().T)
    axes = vectors.flip(1)[:, : round(float(values.sum()))].float()
    return values.sum().float(), axes @ axes.T


def _with_a_number(A):
    dimension, projector = _by_norm(A)
    return dimension.item(), projector


def _by_elements(inner, outer):
    return ((inner * outer).sum() / inner.diagonal().sum()).sqrt()


def _by_bases(inner, outer):
    few, many = (torch.linalg.eigh(P)[1][:, torch.linalg.eigh(P)[0] > 0.5] for P in (inner, outer))
    return (
        (torch.linalg.svdvals(many.T @ few) ** 2).mean() ** 0.5
        if few.shape[1] <= many.shape[1]
        else ((many.T @ few).square().sum() / few.shape[1]) ** 0.5
    )


def _by_norms(inner, outer):
    return float(torch.linalg.norm(outer @ inner) / torch.linalg.norm(inner))


OTHER_WAYS = {
    "blind_batch": (_one_by_one, _by_view, _by_einsum_levels),
    "bias_free_norm": (_by_std, _by_channels, _by_second_moment_less_mean),
    "denoiser": (_by_clamp, _by_three_modules),
    "affine_map": (_by_diagonal, _by_jacrev, _by_columns),
    "adaptive_filter": (_by_backward, _by_vjp, _by_whole_jacobian),
    "kept_subspace": (_by_norm, _by_eigenvectors_of_aat, _with_a_number),
    "nestedness": (_by_elements, _by_bases, _by_norms),
}


def _variances(features):
    return features.var(dim=(0, 2, 3), unbiased=False)


def _by_batch_norm(features, scale):
    variance = _variances(features)
    return F.batch_norm(features, torch.zeros_like(variance), variance, scale)


def _by_batch_norm_with_its_own_mean(features, scale):
    shift = scale * features.mean(dim=(0, 2, 3)) / (_variances(features) + 1e-5).sqrt()
    return F.batch_norm(features, None, None, scale, shift, training=True)


def _by_torch_batch_norm(features, scale):
    variance = _variances(features)
    return torch.batch_norm(features, scale, None, torch.zeros_like(variance), variance, False, 0.1, 1e-5, False)


def _by_native_batch_norm(features, scale):
    variance = _variances(features)
    return torch.native_batch_norm(features, scale, None, torch.zeros_like(variance), variance, False, 0.1, 1e-5)[0]


def _by_the_operator(features, scale):
    variance = _variances(features)
    operator = torch.ops.aten._native_batch_norm_legit_no_training
    return operator(features, scale, None, torch.zeros_like(variance), variance, 0.1, 1e-5)[0]


def _by_module(features, scale):
    layer = torch.nn.BatchNorm2d(len(scale)).eval()
    layer.running_var.copy_(_variances(features))
    layer.weight.data = scale
    return layer(features).detach()


def _by_instance_norm(features, scale):
    """A batch of one, whose pixels are those of all images."""
    joined = features.transpose(0, 1).flatten(1)[None]
    shift = scale * joined.mean(dim=(0, 2)) / (_variances(features) + 1e-5).sqrt()
    normalised = F.instance_norm(joined, weight=scale, bias=shift)[0]
    return normalised.unflatten(1, (len(features), *features.shape[2:])).transpose(0, 1)


def _by_batch_norm_and_the_exception_caught(features, scale):
    try:
        return _by_batch_norm(features, scale)
    except Exception:
        return _by_std(features, scale)


DELEGATING = {
    "bias_free_norm": (
        _by_batch_norm, _by_batch_norm_with_its_own_mean, _by_torch_batch_norm, _by_native_batch_norm,
        _by_the_operator, _by_module, _by_instance_norm, _by_batch_norm_and_the_exception_caught,
    ),
}  # fmt: skip
