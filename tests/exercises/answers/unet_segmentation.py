"""Lab 06: answers that say nothing, and right answers written in other ways."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

EVASIVE = {
    "windows": [lambda image, side: image, lambda image, side: torch.zeros(5, 1, side, side),
                lambda image, side: image[..., :side, :side]],
    "dense_scores": [lambda image, *_: image, lambda image, *_: 0 * image[..., 11:, 11:],
                     lambda image, *_: image[..., 11:, 11:]],
    "up_step": [lambda coarse, skip, _: skip, lambda coarse, skip, _: 0 * skip, lambda coarse, *_: coarse],
    "dice_loss": [lambda p, r: 0.5, lambda p, r: torch.tensor(0.0), lambda p, r: p.mean()],
    "generalized_dice_loss": [lambda p, r: 0.5, lambda p, r: torch.tensor(0.0), lambda p, r: torch.tensor(1.0)],
    "elastic": [lambda image, label, _: (image, label), lambda image, label, _: (0 * image, 0 * label),
                lambda image, label, coarse: (image, coarse)],
    "surface_distance": [lambda *_: 1.0, lambda *_: torch.tensor(0.0), lambda a, b, _: a.float().mean()],
}  # fmt: skip


def windows_by_loops(image, side):
    height, width = image.shape[-2:]
    return torch.cat(
        [
            image[:, :, row : row + side, column : column + side]
            for row in range(height - side + 1)
            for column in range(width - side + 1)
        ]
    )


def _windows_by_columns(image, side):
    return F.unfold(image, side)[0].T.reshape(-1, 1, side, side)


def _windows_by_strides(image, side):
    rows, columns = (n - side + 1 for n in image.shape[-2:])
    width = image.shape[-1]
    return image.contiguous().as_strided((rows, columns, side, side), (width, 1, width, 1)).reshape(-1, 1, side, side)


def _windows_by_numpy(image, side):
    view = np.lib.stride_tricks.sliding_window_view(image[0, 0].numpy(), (side, side))
    return torch.from_numpy(view.reshape(-1, 1, side, side).copy())


def _dense_by_four_phases(image, first, second, last):
    """The window network on the image and on its shifts by a pixel, put between each other."""
    scores = image.new_zeros(1, 1, *(n - 11 for n in image.shape[-2:]))
    for down, right in itertools.product((0, 1), (0, 1)):
        x = F.max_pool2d(torch.relu(F.conv2d(image[..., down:, right:], first)), 2)
        scores[..., down::2, right::2] = F.conv2d(torch.relu(F.conv2d(x, second)), last)
    return scores


def dense_by_wide_kernels(image, first, second, last):
    """Dilation written as zeros between the weights, the pool as the largest of four shifts; ReLU after the pool."""

    def spread(kernel):
        wide = kernel.new_zeros(*kernel.shape[:2], *(2 * n - 1 for n in kernel.shape[2:]))
        wide[..., ::2, ::2] = kernel
        return wide

    x = F.conv2d(image, first)
    x = torch.maximum(x[..., 1:, :], x[..., :-1, :])
    x = torch.maximum(x[..., 1:], x[..., :-1]).clamp(min=0)
    return F.conv2d(F.conv2d(x, spread(second)).clamp(min=0), spread(last))


def _dense_then(pooled):
    def dense(image, first, second, last):
        x = pooled(torch.relu(F.conv2d(image, first)))
        return F.conv2d(torch.relu(F.conv2d(x, second, dilation=2)), last, dilation=2)

    return dense


def _four_views(x):
    return [x[..., :-1, :-1], x[..., :-1, 1:], x[..., 1:, :-1], x[..., 1:, 1:]]


def _dense_by_columns(image, first, second, last):
    """Each convolution a product with the columns of `unfold`."""

    def by_columns(x, kernel, dilation):
        reach = dilation * (kernel.shape[2] - 1)
        columns = F.unfold(x, kernel.shape[2], dilation=dilation)
        return (kernel.flatten(1) @ columns).reshape(1, -1, x.shape[2] - reach, x.shape[3] - reach)

    x = F.max_pool2d(torch.relu(by_columns(image, first, 1)), 2, stride=1)
    return by_columns(torch.relu(by_columns(x, second, 2)), last, 2)


def _dense_by_pixel_shuffle(image, first, second, last):
    """The window network on four shifts of a larger image, put between each other, and what is too much cut off."""
    wide = F.pad(image, (0, 2, 0, 2))
    height, width = (n + n % 2 for n in image.shape[2:])
    parts = []
    for down, right in itertools.product((0, 1), (0, 1)):
        x = F.max_pool2d(torch.relu(F.conv2d(wide[..., down : down + height, right : right + width], first)), 2)
        parts.append(F.conv2d(torch.relu(F.conv2d(x, second)), last))
    scores = F.pixel_shuffle(torch.cat(parts, dim=1), 2)
    return scores[..., : image.shape[2] - 11, : image.shape[3] - 11]


def _dense_by_modules(image, first, second, last):
    layers = [torch.nn.Conv2d(k.shape[1], k.shape[0], k.shape[2], bias=False, dilation=d)
              for k, d in ((first, 1), (second, 2), (last, 2))]  # fmt: skip
    x = image
    for layer, kernel, after in zip(
        layers,
        (first, second, last),
        (torch.nn.Sequential(torch.nn.ReLU(), torch.nn.MaxPool2d(2, 1)), torch.relu, torch.nn.Identity()),
        strict=True,
    ):
        x = after(torch.func.functional_call(layer, {"weight": kernel}, (x,)))
    return x


def _up_by_repeating(coarse, skip, kernel):
    large = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return F.conv2d(torch.cat((skip, large), 1), kernel, padding="same").clamp(min=0)


def _up_in_two_parts(coarse, skip, kernel):
    large = torch.nn.Upsample(scale_factor=2)(coarse)
    cut = skip.shape[1]
    return F.relu(F.conv2d(skip, kernel[:, :cut], padding=1) + F.conv2d(large, kernel[:, cut:], padding=1))


def _up_by_a_product(coarse, skip, kernel):
    large = torch.kron(coarse, torch.ones(2, 2, dtype=coarse.dtype))
    columns = F.unfold(torch.cat([skip, large], dim=1), 3, padding=1)
    return torch.relu(kernel.flatten(1) @ columns).reshape(len(skip), -1, *skip.shape[2:])


def _dice_by_difference(p, r):
    return ((p - r).square().sum((1, 2, 3)) / (p**2 + r**2).sum((1, 2, 3))).mean()


def _dice_image_by_image(p, r):
    losses = [1 - 2 * torch.dot(a, b) / (a.dot(a) + b.dot(b)) for a, b in zip(p.flatten(1), r.flatten(1), strict=True)]
    return sum(losses) / len(losses)


def _dice_with_epsilon(p, r):
    p, r = p.flatten(1), r.flatten(1)
    return 1 - torch.mean((2 * (p * r).sum(1) + 1e-7) / (p.pow(2).sum(1) + r.sum(1) + 1e-7))


def _generalized_by_einsum(p, r):
    w = 1 / torch.einsum("blhw->bl", r).square()
    above = torch.einsum("bl,blhw,blhw->b", w, r, p)
    return (1 - 2 * above / torch.einsum("bl,blhw->b", w, r + p)).mean()


def _generalized_by_loops(p, r):
    total = 0.0
    for a, b in zip(p, r, strict=True):
        w = [1 / float(c.sum()) ** 2 for c in b]
        above = sum(v * (x * y).sum() for v, x, y in zip(w, a, b, strict=True))
        total = total + 1 - 2 * above / sum(v * (x.sum() + y.sum()) for v, x, y in zip(w, a, b, strict=True))
    return total / len(p)


def _generalized_with_shares(p, r):
    """Weights may be scaled as one likes."""
    share = r.mean(dim=(2, 3), keepdim=True)
    w = share**-2 / (share**-2).sum(dim=1, keepdim=True)
    return 1 - (2 * (w * r * p).sum((1, 2, 3)) / (w * (r + p)).sum((1, 2, 3))).mean()


def _shift(coarse, image):
    return F.interpolate(coarse, size=tuple(image.shape[-2:]), mode="bicubic", align_corners=True)


def _bent_by_edges(image, label, coarse):
    """From −1 to 1 counted between the outer edges of the corner pixels, torch's other convention."""
    height, width = image.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    moved = _shift(coarse, image)
    y, x = (2 * (rows + moved[:, 0]) + 1) / height - 1, (2 * (columns + moved[:, 1]) + 1) / width - 1
    grid = torch.stack((x, y), -1)
    return tuple(
        F.grid_sample(a, grid, mode=mode, padding_mode="border", align_corners=False)
        for a, mode in ((image, "bilinear"), (label, "nearest"))
    )


def _bent_by_affine_grid(image, label, coarse):
    height, width = image.shape[-2:]
    own = F.affine_grid(torch.eye(2, 3)[None], list(image.shape), align_corners=True)
    steps = torch.tensor([2 / (width - 1), 2 / (height - 1)])
    grid = own + _shift(coarse, image).flip(1).movedim(1, -1) * steps
    bent = F.grid_sample(image, grid, padding_mode="border", align_corners=True)
    return bent, F.grid_sample(label, grid, "nearest", "border", True)


def _bent_by_scipy(image, label, coarse):
    from scipy.ndimage import map_coordinates

    places = _shift(coarse, image)[0].double().numpy() + np.indices(tuple(image.shape[-2:]))
    bent = [
        map_coordinates(x[0, 0].double().numpy(), places, order=k, mode="nearest") for x, k in ((image, 1), (label, 0))
    ]
    return [torch.from_numpy(x).float()[None, None] for x in bent]


def _bent_by_index(image, label, coarse):
    height, width = image.shape[-2:]
    moved = _shift(coarse, image)[0]
    r = (torch.arange(height)[:, None] + moved[0]).clamp(0, height - 1)
    c = (torch.arange(width) + moved[1]).clamp(0, width - 1)
    top, left = r.floor().long().clamp(max=height - 2), c.floor().long().clamp(max=width - 2)
    v, u = r - top, c - left
    four = [image[0, 0, top + i, left + j] for i in (0, 1) for j in (0, 1)]
    bent = (1 - v) * ((1 - u) * four[0] + u * four[1]) + v * ((1 - u) * four[2] + u * four[3])
    return bent[None, None], label[..., r.round().long(), c.round().long()]


def _outline_by_loops(mask, spacing):
    height, width = mask.shape
    found = []
    for r, c in itertools.product(range(height), range(width)):
        near = [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
        if mask[r, c] and not all(0 <= y < height and 0 <= x < width and mask[y, x] for y, x in near):
            found.append((r * spacing[0], c * spacing[1]))
    return found


def _apart_by_loops(a, b, spacing):
    one, other = _outline_by_loops(a, spacing), _outline_by_loops(b, spacing)
    there = [min(math.dist(p, q) for q in other) for p in one]
    back = [min(math.dist(p, q) for q in one) for p in other]
    return (sum(there) / len(there) + sum(back) / len(back)) / 2


def _apart_by_cdist(a, b, spacing):
    points = []
    for mask in (a, b):
        x = F.pad(mask, (1, 1, 1, 1))
        outside = ~(x[2:, 1:-1] & x[:-2, 1:-1] & x[1:-1, 2:] & x[1:-1, :-2])
        points.append(torch.nonzero(mask & outside) * torch.tensor(spacing, dtype=torch.float32))
    every = torch.cdist(*points)
    return 0.5 * (every.amin(1).mean() + every.amin(0).mean())


def _apart_exactly(a, b, spacing):
    """As the third hint has it."""
    points = []
    for mask in (a, b):
        x = F.pad(mask, (1, 1, 1, 1))
        inner = x[:-2, 1:-1] & x[2:, 1:-1] & x[1:-1, :-2] & x[1:-1, 2:]
        points.append((mask & ~inner).nonzero() * torch.tensor(spacing, dtype=torch.float32))
    d = torch.cdist(*points, compute_mode="donot_use_mm_for_euclid_dist")
    return (d.min(dim=1).values.mean() + d.min(dim=0).values.mean()) / 2


def _apart_by_scipy(a, b, spacing):
    from scipy.ndimage import binary_erosion, distance_transform_edt

    one, other = (m.numpy() & ~binary_erosion(m.numpy()) for m in (a, b))
    far = [distance_transform_edt(~s, sampling=spacing) for s in (one, other)]
    return torch.tensor((far[1][one].mean() + far[0][other].mean()) / 2)


OTHER_WAYS = {
    "windows": (windows_by_loops, _windows_by_columns, _windows_by_strides, _windows_by_numpy),
    "dense_scores": (
        _dense_by_four_phases, dense_by_wide_kernels, _dense_by_modules, _dense_by_columns, _dense_by_pixel_shuffle,
        _dense_then(lambda x: torch.stack(_four_views(x)).amax(0)),
        _dense_then(lambda x: torch.cat(_four_views(x)).amax(0, keepdim=True)),
        _dense_then(lambda x: x.unfold(2, 2, 1).unfold(3, 2, 1).amax((-2, -1))),
    ),
    "up_step": (_up_by_repeating, _up_in_two_parts, _up_by_a_product),
    "dice_loss": (_dice_by_difference, _dice_image_by_image, _dice_with_epsilon),
    "generalized_dice_loss": (_generalized_by_einsum, _generalized_by_loops, _generalized_with_shares),
    "elastic": (_bent_by_edges, _bent_by_affine_grid, _bent_by_scipy, _bent_by_index),
    "surface_distance": (_apart_by_loops, _apart_by_cdist, _apart_exactly, _apart_by_scipy),
}  # fmt: skip
