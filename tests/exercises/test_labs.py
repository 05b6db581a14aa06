"""Every exercise of every lab: the solution passes, each known mistake fails with its own message, a blank is blank."""

import contextlib
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from course_lib import physics
from course_lib.exercises import LABS, load_lab, self_test
from course_lib.exercises.calls import run

EXERCISES = [(lab, e) for lab in map(load_lab, LABS) for e in lab.exercises]
NAMES = [f"{lab.module}:{e.function}" for lab, e in EXERCISES]
MISTAKES = [(e, m, f) for _, e in EXERCISES for m in e.mistakes for f in (m.function, *m.also)]
SEEDS = (0, 1, 77, 2024)


def judge(exercise, function, seed=0):
    calls = exercise.calls(seed)
    return exercise.judge(calls, [run(function, call.arguments, quiet=True) for call in calls])


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_declaration_is_complete(lab, exercise):
    assert len(exercise.mistakes) >= 3
    assert len(exercise.properties) >= 1
    assert len(exercise.hints) >= 3
    assert 5 <= exercise.minutes <= 25
    messages = [m.message for m in exercise.mistakes]
    assert len(set(messages)) == len(messages)
    assert all(len(m.split()) >= 8 for m in messages)
    assert lab[exercise.function] is exercise


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_the_reference_passes_with_all_points(lab, exercise, seed):
    for answer in (exercise.reference, *exercise.also_right):
        result = judge(exercise, answer, seed)
        assert result.passed, str(result)
        assert result.points == exercise.points


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("exercise", "mistake", "function"), MISTAKES, ids=[f"{e.function}:{m.name}" for e, m, _ in MISTAKES]
)
def test_each_known_mistake_fails_with_its_own_message(exercise, mistake, function, seed):
    result = judge(exercise, function, seed)
    assert result.status == "failed"
    assert result.mistake == mistake.name
    assert result.message == mistake.message
    assert result.points < exercise.points
    assert not result.value_right


def _in_double_precision(value):
    if not isinstance(value, torch.Tensor) or value.dtype == torch.bool:
        return value
    return value.to(torch.complex128 if value.is_complex() else torch.float64)


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_blank_shape_nan_numpy_and_double(lab, exercise):
    def blank(*arguments):
        raise NotImplementedError

    def as_numpy(*arguments):
        value = exercise.reference(*arguments)
        return tuple(v.numpy() for v in value) if isinstance(value, tuple) else value[None].numpy()

    def nan(*arguments):
        value = exercise.reference(*arguments)
        return tuple(v * float("nan") for v in value) if isinstance(value, tuple) else value * float("nan")

    def one_more_dimension(*arguments):
        value = exercise.reference(*arguments)
        return tuple(v[None] for v in value) if isinstance(value, tuple) else value[None]

    def double(*arguments):
        return exercise.reference(*map(_in_double_precision, arguments))

    assert judge(exercise, blank).status == "not attempted yet"
    for function, said in [(nan, "NaN"), (as_numpy, "numpy array"), (one_more_dimension, "shape")]:
        result = judge(exercise, function)
        assert result.status == "failed"
        assert said in result.message, result.message
        assert result.points < exercise.points
    assert judge(exercise, double).passed


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_a_right_value_with_a_graph_or_in_a_list_is_diagnosed(lab, exercise):
    """Such a value stops later cells: a plot takes no graph, a formula no list."""

    def with_graph(*arguments):
        value = exercise.reference(*arguments)
        return tuple(v.requires_grad_() for v in value) if isinstance(value, tuple) else value.requires_grad_()

    def in_a_list(*arguments):
        value = exercise.reference(*arguments)
        return [(value,)] if isinstance(value, tuple) else [value]

    graph = "as in `nn.Conv2d`, are never trained" if exercise.differentiable else "end with `.detach()`"
    for function, said in [(with_graph, graph), (in_a_list, "got a list of")]:
        result = judge(exercise, function)
        assert result.status == "failed"
        assert said in result.message, result.message
        assert not result.value_right
        assert result.points < exercise.points


def _truth(value):
    return value > 0.5 if not value.is_complex() else value.abs() > 0.5


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
@pytest.mark.parametrize(
    "changed",
    [
        _truth,
        lambda value: bool(_truth(value).any()),
        lambda value: [v for v in value.flatten()[:50]],
        lambda value: value.flatten()[:50].tolist(),
        lambda value: list(value) if value.dim() else [value, value],
        lambda value: (value, "text"),
    ],
    ids=["truth values", "one truth value", "a list of tensors", "a list of numbers", "rows", "words"],
)
def test_other_kinds_of_values_are_failed_answers_and_no_crash(lab, exercise, changed):
    def answer(*arguments):
        value = exercise.reference(*arguments)
        return tuple(changed(v) for v in value) if isinstance(value, tuple) else changed(value)

    result = judge(exercise, answer)
    assert result.status == "failed"
    assert result.message


@pytest.mark.parametrize(("lab", "exercise"), EXERCISES, ids=NAMES)
def test_answers_name_functions_that_exist(lab, exercise):
    from importlib import import_module

    for name in exercise.answers:
        place, attribute = name.rsplit(".", 1)
        assert callable(getattr(import_module(place), attribute))


@pytest.mark.parametrize("module", LABS)
def test_a_lab_fits_its_time(module):
    lab = load_lab(module)
    assert 5 <= len(lab.exercises) <= 8
    assert len(lab.open_questions) == 1
    assert 90 <= lab.minutes <= 120
    assert [e.number for e in (*lab.exercises, *lab.open_questions)] == list(range(1, len(lab.exercises) + 2))


EVASIVE_01 = {
    "power_spectrum": [lambda images: torch.zeros(images.shape[-2:]), lambda images: images[0, 0],
                       lambda images: torch.full(images.shape[-2:], float("inf"))],
    "wiener_gain": [lambda S, sigma: torch.ones_like(S), lambda S, sigma: torch.full_like(S, 0.5), lambda S, sigma: S],
    "apply_gain": [lambda noisy, gain: noisy, lambda noisy, gain: torch.zeros_like(noisy)],
    "expected_mse": [lambda gain, S, sigma: torch.tensor(0.0)],
    "linear_mmse": [lambda patches, sigma: (torch.eye(6), torch.zeros(6)),
                    lambda patches, sigma: (torch.zeros(6, 6), torch.zeros(6))],
    "spectrum_risks": [lambda candidates, truth, sigma: candidates, lambda candidates, *_: torch.ones(len(candidates))],
    "mismatch_cost": [lambda *arguments: torch.tensor(0.0), lambda *arguments: 1.0],
}  # fmt: skip
EVASIVE_02 = {
    "undersample": [lambda image, mask: image, lambda image, mask: torch.zeros_like(image) + 0j,
                    lambda image, mask: mask + 0 * image],
    "zero_filled": [lambda kspace: kspace, lambda kspace: torch.zeros_like(kspace), torch.ones_like],
    "soft_threshold": [lambda z, threshold: z, lambda z, threshold: torch.zeros_like(z)],
    "ista_step": [lambda x, *_: x, lambda x, *_: torch.zeros_like(x)],
    "fista": [lambda A, *_: torch.zeros(A.shape[1]), lambda A, *_: torch.ones(A.shape[1])],
    "tikhonov": [lambda A, *_: torch.zeros(A.shape[1]), lambda A, *_: torch.ones(A.shape[1])],
    "total_variation": [lambda image: torch.zeros(len(image)), lambda image: torch.ones(len(image))],
}  # fmt: skip
EVASIVE_04 = {
    "blind_batch": [lambda clean, *_: clean + 0.1, lambda clean, *_: 0 * clean, lambda clean, draws, noise, _: noise],
    "bias_free_norm": [lambda features, scale: features, lambda features, scale: 0 * features],
    "denoiser": [lambda y, *_: 0.5 * y + 0.1, lambda y, *_: torch.ones_like(y), lambda y, *_: y],
    "affine_map": [lambda y, W1, b1, W2, b2: (W2 @ W1, b2), lambda y, W1, b1, W2, b2: (0 * (W2 @ W1), 0 * b2)],
    "adaptive_filter": [lambda y, *_: y[0, 0], lambda y, *_: torch.zeros_like(y[0, 0])],
    "kept_subspace": [lambda A: (torch.tensor(1.0), A), lambda A: (torch.tensor(0.0), torch.eye(len(A)))],
    "nestedness": [lambda inner, outer: torch.tensor(0.5), lambda inner, outer: 0.9],
}  # fmt: skip
EVASIVE_05 = {
    "image_noise": [lambda mean, _: mean, lambda mean, _: 0 * mean, lambda mean, _: torch.full_like(mean, 0.1)],
    "stabilise": [lambda counts, _: counts, lambda counts, _: 0 * counts, lambda counts, _: torch.ones_like(counts)],
    "receptive_field": [lambda *_: 33, lambda sizes, _: len(sizes), lambda _, dilations: sum(dilations)],
    "dilated_convolution": [lambda image, *_: image, lambda image, *_: 0 * image, lambda image, *_: 0 * image + 0.5],
    "ssim": [lambda x, y: 1.0, lambda x, y: torch.tensor(0.0), lambda x, y: x.mean()],
    "mc_sure": [lambda y, *_: torch.zeros(len(y)), lambda y, *_: torch.ones(len(y)), lambda y, *_: y.mean((1, 2, 3))],
    "detection_rate": [lambda *_: 0.5, lambda *_: torch.tensor(1.0), lambda spots, *_: spots.mean()],
}  # fmt: skip
EVASIVE_06 = {
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
EVASIVE_09 = {
    "kspace_residual": [lambda image, *_: torch.zeros(len(image)), lambda image, *_: torch.ones(len(image))],
    "replace_measured": [lambda image, *_: image, lambda image, kspace, mask: kspace, lambda image, *_: 0 * image],
    "data_consistency": [lambda image, *_: image, lambda image, kspace, *_: kspace, lambda image, *_: 0 * image],
    "backward_image": [lambda gradient, *_: gradient, lambda gradient, mask, weight: 0 * gradient],
    "backward_weight": [lambda *_: torch.tensor(0.0), lambda *_: 1.0],
    "cnn_block": [lambda image, *_: image, lambda image, *_: torch.zeros_like(image)],
    "cascade": [lambda kspace, *_: kspace, lambda kspace, *_: torch.zeros_like(kspace)],
}  # fmt: skip
EVASIVE_12 = {
    "noisy_lines": [lambda f, a, noise, _: noise, lambda f, a, noise, _: 0 * noise,
                    lambda f, a, noise, _: torch.ones_like(noise)],
    "periodogram": [lambda signals, points: torch.zeros(len(signals), points),
                    lambda signals, points: torch.ones(len(signals), points), lambda signals, _: signals.abs()],
    "covariance": [lambda _, window: torch.eye(window) + 0j, lambda _, window: torch.zeros(window, window) + 0j,
                   lambda signal, _: signal],
    "music_spectrum": [lambda R, _, points: torch.ones(points), lambda R, _, points: torch.zeros(points),
                       lambda R, *_: R],
    "esprit": [lambda R, lines: torch.zeros(lines), lambda R, lines: torch.full((lines,), 0.2), lambda R, _: R],
    "representation": [lambda f, samples, points: torch.zeros(len(f), points),
                       lambda f, samples, points: torch.ones(len(f), points), lambda f, *_: f],
    "peaks": [lambda spectrum, lines: torch.zeros(lines), lambda spectrum, lines: torch.full((lines,), -0.5),
              lambda spectrum, _: spectrum],
    "false_negative_rate": [lambda *_: 0.5, lambda *_: torch.tensor(0.0), lambda *_: 1.0],
}  # fmt: skip
EVASIVE = {
    "01_wiener_filtering": EVASIVE_01,
    "02_compressed_sensing": EVASIVE_02,
    "04_blind_denoising": EVASIVE_04,
    "05_mammogram_denoising": EVASIVE_05,
    "06_unet_segmentation": EVASIVE_06,
    "09_data_consistency_cascades": EVASIVE_09,
    "12_line_spectra": EVASIVE_12,
}


def _each(functions):
    """(module, exercise, function) for each function of the modules' tables."""
    return [(module, name, f) for module, table in functions.items() for name, fs in table.items() for f in fs]


def test_every_exercise_has_evasive_answers_and_other_ways():
    for lab in map(load_lab, LABS):
        names = {e.function for e in lab.exercises}
        assert set(EVASIVE[lab.module]) == set(OTHER_WAYS[lab.module]) == names


@pytest.mark.parametrize(("module", "name", "function"), _each(EVASIVE))
def test_an_answer_that_says_nothing_earns_nothing(module, name, function):
    result = judge(load_lab(module)[name], function, 5)
    assert result.status == "failed"
    assert result.points == 0


# --- right answers written in other ways --------------------------------------------------------------


def _by_numpy(images):
    spectra = [np.abs(np.fft.fft2(image[0].numpy())) ** 2 for image in images]
    return torch.from_numpy(np.mean(spectra, axis=0))


def _by_real_and_imaginary_part(images):
    t = torch.fft.fft2(images.squeeze(1))
    return (t.real**2 + t.imag**2).mean(0)


def _by_product_with_conjugate(images):
    t = torch.fft.fftn(images, dim=(2, 3))
    return (t * t.conj()).real.mean(dim=0)[0]


def _one_over_one_plus(spectrum, sigma):
    return 1 / (1 + spectrum.shape[0] * spectrum.shape[1] * sigma**2 / spectrum)


def _one_minus_noise_share(spectrum, sigma):
    noise = spectrum.numel() * sigma**2
    return 1 - noise / (spectrum + noise)


def _image_by_image(noisy, gain):
    return torch.stack([torch.fft.ifft2(torch.fft.fft2(image) * gain).real for image in noisy])


def _by_circular_padding(noisy, gain):
    rows, columns = gain.shape
    kernel = torch.fft.ifft2(gain).real.roll((rows // 2, columns // 2), (0, 1))
    padded = torch.nn.functional.pad(
        noisy, (columns - 1 - columns // 2, columns // 2, rows - 1 - rows // 2, rows // 2), mode="circular"
    )
    return torch.nn.functional.conv2d(padded, kernel.flip(0, 1)[None, None])


def _as_means(gain, spectrum, sigma):
    return ((1 - gain) ** 2 * spectrum).mean() / spectrum.numel() + sigma**2 * (gain**2).mean()


def _by_loop(gain, spectrum, sigma):
    n = gain.numel()
    pairs = zip(gain.flatten().tolist(), spectrum.flatten().tolist(), strict=True)
    return sum((1 - g) ** 2 * s + g**2 * n * sigma**2 for g, s in pairs) / n**2


def _by_torch_cov(patches, sigma):
    C, mu = torch.cov(patches.T), patches.mean(0)
    W = C @ torch.linalg.inv(C + sigma**2 * torch.eye(C.shape[0]))
    return W, mu - W @ mu


def _by_solve(patches, sigma):
    C, mu = torch.cov(patches.T, correction=0), patches.mean(0)
    W = torch.linalg.solve(C + sigma**2 * torch.eye(len(C)), C)
    return [W, (torch.eye(len(C)) - W) @ mu]


def _by_eigenvectors(patches, sigma):
    C, mu = torch.cov(patches.T, correction=0), patches.mean(0)
    values, vectors = torch.linalg.eigh(C)
    W = vectors @ torch.diag(values / (values + sigma**2)) @ vectors.T
    return W, mu - W @ mu


def _risks_at_once(candidates, truth, sigma):
    n = truth.numel()
    gain = candidates / (candidates + n * sigma**2)
    return ((1 - gain) ** 2 * truth + gain**2 * n * sigma**2).sum(dim=(1, 2)) / n**2


def _difference_of_logs(spectrum, assumed_sigma, truth, sigma):
    def log_error(s, level):
        n = truth.numel()
        gain = s / (s + n * level**2)
        return 10 * np.log10(float(((1 - gain) ** 2 * truth + gain**2 * n * sigma**2).sum()))

    return log_error(spectrum, assumed_sigma) - log_error(truth, sigma)


OTHER_WAYS_01 = {
    "power_spectrum": (_by_numpy, _by_real_and_imaginary_part, _by_product_with_conjugate),
    "wiener_gain": (_one_over_one_plus, _one_minus_noise_share),
    "apply_gain": (_image_by_image, _by_circular_padding),
    "expected_mse": (_as_means, _by_loop),
    "linear_mmse": (_by_torch_cov, _by_solve, _by_eigenvectors),
    "spectrum_risks": (_risks_at_once,),
    "mismatch_cost": (_difference_of_logs,),
}


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


OTHER_WAYS_02 = {
    "undersample": (_by_roll, _shifts_over_all_dimensions, _by_numpy_fft, _mask_first),
    "zero_filled": (_by_matrices, _by_conjugation, _plane_by_plane),
    "soft_threshold": (_by_angle, _by_factor, _by_projection),
    "ista_step": (_by_autograd, _by_two_relus),
    "fista": (_with_lists, _in_double),
    "tikhonov": (_primal, _dual_by_inverse, _by_svd, _by_stacking),
    "total_variation": (_padded, _in_parts, _by_numpy_pad),
}


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


OTHER_WAYS_04 = {
    "blind_batch": (_one_by_one, _by_view, _by_einsum_levels),
    "bias_free_norm": (_by_std, _by_channels, _by_second_moment_less_mean),
    "denoiser": (_by_clamp, _by_three_modules),
    "affine_map": (_by_diagonal, _by_jacrev, _by_columns),
    "adaptive_filter": (_by_backward, _by_vjp, _by_whole_jacobian),
    "kept_subspace": (_by_norm, _by_eigenvectors_of_aat, _with_a_number),
    "nestedness": (_by_elements, _by_bases, _by_norms),
}
# --- module 05 ----------------------------------------------------------------------------------------


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


OTHER_WAYS_05 = {
    "image_noise": (_noise_by_parts, _noise_by_autograd, _noise_with_a_number),
    "stabilise": (_root_by_maximum, _root_by_relu, _root_by_where),
    "receptive_field": (_field_by_loop, _field_by_tensors, _field_by_numpy),
    "dilated_convolution": (_dilated_by_windows, _dilated_by_pixels, _dilated_by_fourier),
    "ssim": (_ssim_by_var, _ssim_by_cov, _ssim_by_three_factors),
    "mc_sure": (_sure_by_flattening, _sure_image_by_image, _sure_by_einsum),
    "detection_rate": (_rate_by_topk, _rate_by_numpy, _rate_by_loop),
}
# --- module 06 ----------------------------------------------------------------------------------------


def _windows_by_loops(image, side):
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


def _dense_by_wide_kernels(image, first, second, last):
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


def _lines_by_loops(frequencies, amplitudes, noise, snr_db):
    rows = []
    for fs, amps, z in zip(frequencies, amplitudes, noise, strict=True):
        s = sum(a * torch.exp(2j * np.pi * f * torch.arange(len(z))) for f, a in zip(fs, amps, strict=True))
        z = z * s.norm() / z.norm() * 10 ** (-snr_db / 20)
        rows.append(s + z)
    return torch.stack(rows)


def _lines_by_matrix_product(frequencies, amplitudes, noise, snr_db):
    waves = torch.polar(torch.ones(()), 2 * math.pi * frequencies[..., None] * torch.arange(noise.shape[-1]))
    s = torch.einsum("bl,bln->bn", amplitudes, waves)
    power = s.abs().pow(2).mean(1) / 10 ** (snr_db / 10)
    return s + noise * torch.sqrt(power / noise.abs().pow(2).mean(1))[:, None]


def _lines_by_numpy(frequencies, amplitudes, noise, snr_db):
    n, f, a, z = np.arange(noise.shape[1]), frequencies.numpy(), amplitudes.numpy(), noise.numpy()
    s = (a[:, :, None] * np.exp(2j * np.pi * f[:, :, None] * n)).sum(1)
    ratio = np.sum(np.abs(s) ** 2, 1, keepdims=True) / np.sum(np.abs(z) ** 2, 1, keepdims=True)
    return torch.from_numpy(s + z * np.sqrt(ratio * 10 ** (-snr_db / 10)))


def _spectrum_by_matrix(signals, points):
    f = torch.linspace(-0.5, 0.5, points + 1)[:-1]
    waves = torch.exp(-2j * torch.pi * torch.arange(signals.shape[1])[:, None] * f)
    return (signals @ waves / signals.shape[1]).abs() ** 2


def _spectrum_by_modulation(signals, points):
    """Multiplied by (−1)^n, frequency −1/2 comes first."""
    t = torch.fft.fft(signals * (-1.0) ** torch.arange(signals.shape[1]), points)
    return (t * t.conj()).real / signals.shape[1] ** 2


def _spectrum_by_numpy(signals, points):
    t = np.fft.fftshift(np.fft.fft(signals.numpy(), points, axis=1), axes=1)
    return torch.tensor(np.abs(t / signals.shape[1]) ** 2)


def _spectrum_by_loops(signals, points):
    n = torch.arange(signals.shape[1])
    rows = [
        [(y * torch.exp(-2j * torch.pi * (k / points - 0.5) * n)).mean().abs().item() ** 2 for k in range(points)]
        for y in signals
    ]
    return torch.tensor(rows)


def _spectrum_by_roll(signals, points):
    padded = F.pad(signals, (0, points - signals.shape[1]))
    t = torch.roll(torch.fft.fft(padded, norm="forward"), points // 2, dims=-1) * points / signals.shape[1]
    return t.real**2 + t.imag**2


def _covariance_by_loops(signal, window):
    R = torch.zeros(window, window, dtype=signal.dtype)
    count = len(signal) - window + 1
    for m in range(count):
        x = signal[m : m + window]
        b = x.flip(0).conj()
        R += (torch.outer(x, x.conj()) + torch.outer(b, b.conj())) / (2 * count)
    return R


def _covariance_by_unfold(signal, window):
    x = signal.unfold(0, window, 1)
    x = torch.cat([x, x.flip(1).conj()])
    return x.T @ x.conj() / len(x)


def _covariance_by_exchange(signal, window):
    J = torch.eye(window).flip(0).to(signal.dtype)
    x = torch.stack([signal[k : k + len(signal) - window + 1] for k in range(window)])
    R = torch.einsum("jm,km->jk", x, x.conj()) / x.shape[1]
    return 0.5 * (R + J @ R.conj() @ J)


def _covariance_by_numpy(signal, window):
    x = np.lib.stride_tricks.sliding_window_view(signal.numpy(), window).T
    R = x @ x.conj().T / x.shape[1]
    return torch.from_numpy((R + R[::-1, ::-1].conj()) / 2)


def _music_by_svd(covariance, lines, points):
    noise = torch.linalg.svd(covariance)[0][:, lines:]
    a = torch.exp(2j * torch.pi * torch.outer(torch.arange(len(noise)), torch.arange(points) / points - 0.5))
    return 1 / torch.linalg.vector_norm(noise.conj().T @ a, dim=0) ** 2


def _music_by_signal_subspace(covariance, lines, points):
    E = torch.linalg.eigh(covariance).eigenvectors[:, -lines:]
    a = torch.exp(2j * torch.pi * torch.outer(torch.arange(len(E)), torch.arange(points) / points - 0.5))
    return 1 / (len(E) - (E.mH @ a).abs().square().sum(0))


def _music_by_loops(covariance, lines, points):
    E = torch.linalg.eigh(covariance)[1][:, : len(covariance) - lines].to(torch.complex128)
    n, Q = torch.arange(len(E)), []
    for k in range(points):
        a = torch.exp(2j * torch.pi * (-0.5 + k / points) * n).to(torch.complex128)
        Q.append(1 / (a.conj() @ E @ E.conj().T @ a).real)
    return torch.stack(Q)


def _music_by_transforms(covariance, lines, points):
    E = torch.linalg.eigh(covariance)[1][:, :-lines]
    t = torch.fft.fft(E.mT * (-1.0) ** torch.arange(len(E)), n=points) if points % 2 == 0 else None
    if t is None:
        return _music_by_svd(covariance, lines, points)
    return 1 / t.abs().square().sum(0)


def _music_by_numpy(covariance, lines, points):
    _, E = np.linalg.eigh(covariance.numpy().astype(complex))
    a = np.exp(2j * np.pi * np.arange(len(E))[:, None] * (np.arange(points) / points - 0.5))
    return torch.from_numpy(1 / np.sum(np.abs(E[:, :-lines].conj().T @ a) ** 2, axis=0))


def _esprit_by_pinv(covariance, lines):
    E = torch.linalg.svd(covariance)[0][:, :lines]
    z = torch.linalg.eig(torch.linalg.pinv(E[:-1]) @ E[1:]).eigenvalues
    return torch.sort(torch.angle(z) / (2 * math.pi))[0]


def _esprit_by_normal_equations(covariance, lines):
    E = torch.linalg.eigh(covariance)[1][:, -lines:]
    psi = torch.linalg.solve(E[:-1].mH @ E[:-1], E[:-1].mH @ E[1:])
    return torch.log(torch.linalg.eigvals(psi)).imag.sort()[0] / 2 / torch.pi


def _esprit_backwards(covariance, lines):
    E = torch.linalg.eigh(covariance)[1][:, -lines:]
    psi = torch.linalg.lstsq(E[1:], E[:-1]).solution
    return (-torch.linalg.eigvals(psi).angle() / (2 * torch.pi)).sort().values


def _esprit_by_numpy(covariance, lines):
    values, E = np.linalg.eigh(covariance.numpy())
    E = E[:, np.argsort(values)[::-1][:lines]]
    psi = np.linalg.lstsq(E[:-1], E[1:], rcond=None)[0]
    return torch.from_numpy(np.sort(np.angle(np.linalg.eigvals(psi)) / (2 * np.pi)))


def _esprit_in_double_precision(covariance, lines):
    return _esprit_by_pinv(covariance.to(torch.complex128), lines)


def _picture_by_loops(frequencies, samples, points):
    r = torch.zeros(len(frequencies), points)
    for row, fs in zip(r, frequencies, strict=True):
        for f in fs[~fs.isnan()]:
            d = (torch.arange(points) / points - 0.5 - f).abs()
            row += torch.exp(-((torch.minimum(d, 1 - d) * samples / 0.3) ** 2))
    return r


def _picture_of_three_circles(frequencies, samples, points):
    """Each bump, and its copies a turn before and after: a wide bump would count twice, these do not."""
    d = torch.arange(points)[None, :, None] / points - 0.5 - frequencies[:, None, :]
    w = 0.3 / samples
    return sum(torch.nan_to_num(torch.exp(-(((d + k) / w) ** 2)), 0).sum(2) for k in (-1, 0, 1))


def _picture_by_remainder(frequencies, samples, points):
    u = torch.linspace(-0.5, 0.5 - 1 / points, points)
    d = torch.remainder(u - frequencies.unsqueeze(-1) + 0.5, 1) - 0.5
    bumps = torch.exp(-(d**2) / (0.3 / samples) ** 2)
    return torch.where(frequencies.isnan()[..., None], 0, bumps).sum(dim=1)


def _picture_by_numpy(frequencies, samples, points):
    d = np.arange(points) / points - 0.5 - frequencies.numpy()[:, :, None].astype(float)
    d = np.minimum(np.abs(d), 1 - np.abs(d))
    return torch.from_numpy(np.nansum(np.exp(-((d / (0.3 / samples)) ** 2)), axis=1))


def _picture_by_angles(frequencies, samples, points):
    u = torch.arange(points) / points - 0.5
    d = torch.angle(torch.exp(2j * torch.pi * (u - frequencies[..., None]))) / (2 * torch.pi)
    return torch.exp(-((d * samples / 0.3) ** 2)).nan_to_num(0).sum(1)


def _peaks_by_loops(spectrum, lines):
    s, n = spectrum.tolist(), len(spectrum)
    maxima = [k for k in range(n) if s[k] > s[k - 1] and s[k] > s[(k + 1) % n]]
    maxima = sorted(maxima, key=lambda k: s[k], reverse=True)[:lines]
    found = []
    for k in maxima:
        a, b, c = s[k - 1], s[k], s[(k + 1) % n]
        f = -0.5 + (k + 0.5 * (a - c) / (a - 2 * b + c)) / n
        found.append(f + 1 if f < -0.5 else f)
    return torch.tensor(sorted(found))


def _peaks_by_scipy(spectrum, lines):
    from scipy.signal import find_peaks

    n = len(spectrum)
    around = np.concatenate([spectrum, spectrum, spectrum])
    k, _ = find_peaks(around)
    k = k[(k >= n) & (k < 2 * n)]
    k = k[np.argsort(around[k])[-lines:]]
    top = k + (around[k + 1] - around[k - 1]) / (2 * (2 * around[k] - around[k - 1] - around[k + 1]))
    return torch.from_numpy(np.sort((top / n) % 1 - 0.5)).float()


def _peaks_by_polyfit(spectrum, lines):
    n, s = len(spectrum), spectrum.double().numpy()
    maxima = np.flatnonzero((s > np.roll(s, 1)) & (s > np.roll(s, -1)))
    found = []
    for k in maxima[np.argsort(-s[maxima])][:lines]:
        p = np.polyfit([-1, 0, 1], s[[(k - 1) % n, k, (k + 1) % n]], 2)
        found.append((k - p[1] / (2 * p[0])) / n % 1 - 0.5)
    return torch.tensor(sorted(found), dtype=torch.float64)


def _peaks_by_padding(spectrum, lines):
    around = torch.cat([spectrum[-1:], spectrum, spectrum[:1]])
    a, b, c = around[:-2], around[1:-1], around[2:]
    height = torch.where((b > a) & (b >= c), b, -1e9)
    k = height.argsort(descending=True)[:lines]
    shift = 0.5 * (c[k] - a[k]) / (2 * b[k] - a[k] - c[k])
    f = (k + shift) / len(spectrum)
    return (f % 1 - 0.5).sort()[0]


def _missed_by_loops(estimates, truth, samples):
    rates = []
    for found, lines in zip(estimates.tolist(), truth.tolist(), strict=True):
        lines = [f for f in lines if not math.isnan(f)]
        found = [f for f in found if not math.isnan(f)]
        missed = 0
        for f in lines:
            distances = [min(abs(f - e), 1 - abs(f - e)) for e in found]
            missed += not distances or min(distances) > 1 / (2 * samples)
        rates.append(missed / len(lines))
    return sum(rates) / len(rates)


def _missed_by_any(estimates, truth, samples):
    d = (truth.unsqueeze(2) - estimates.unsqueeze(1)).abs()
    near = torch.minimum(d, 1 - d) <= 1 / (2 * samples)  # with NaN it is False
    there = torch.isfinite(truth)
    return 1 - ((near.any(-1) & there).sum(-1) / there.sum(-1)).mean()


def _missed_by_numpy(estimates, truth, samples):
    d = np.abs(truth.numpy()[:, :, None] - estimates.numpy()[:, None, :])
    d = np.nan_to_num(np.minimum(d, 1 - d), nan=np.inf).min(axis=2)
    missed = np.where(np.isnan(truth.numpy()), np.nan, d > 0.5 / samples)
    return float(np.nanmean(missed, axis=1).mean())


def _missed_by_nanmean(estimates, truth, samples):
    d = truth[..., None] - estimates[:, None]
    d = (d - torch.round(d)).abs()
    nearest = torch.where(d.isnan(), 1.0, d).min(dim=2).values
    missed = (nearest > 1 / samples / 2).float()
    missed[truth.isnan()] = torch.nan
    return missed.nanmean(dim=1).mean()


def _peaks_of(mask):
    """The answer of exercise 7 of lab 12 with other maxima."""

    def answer(spectrum, lines):
        place = spectrum.masked_fill(~mask(spectrum), -torch.inf).topk(lines).indices
        a, b, c = (spectrum[(place + k) % len(spectrum)] for k in (-1, 0, 1))
        f = -0.5 + (place + (a - c) / (2 * (a - 2 * b + c))) / len(spectrum)
        return (f - (f + 0.5).floor()).sort().values

    return answer


def _maxima(s):
    return (s > s.roll(1)) & (s > s.roll(-1))


def _esprit_of(vectors):
    """ESPRIT with another signal subspace."""

    def answer(R, lines):
        U = vectors(R, lines)
        return (torch.linalg.eigvals(torch.linalg.lstsq(U[:-1], U[1:]).solution).angle() / (2 * math.pi)).sort().values

    return answer


def _rate_within(limit):
    def answer(estimates, truth, samples):
        d = truth[:, :, None] - estimates[:, None, :]
        nearest = (d - d.round()).abs().nan_to_num(torch.inf).amin(dim=2)
        there = ~truth.isnan()
        return (((nearest > limit / samples) & there).sum(dim=1) / there.sum(dim=1)).mean()

    return answer


def _bumps_of_first_rows_columns(f, samples, points):
    f = f[:, ~f[0].isnan()]
    d = -0.5 + torch.arange(points) / points - f[:, :, None]
    return torch.exp(-(((d - d.round()) * samples / 0.3) ** 2)).nansum(dim=1)


NEARLY_RIGHT_12 = {
    "music_spectrum": [
        lambda R, lines, points, t=t: lab12_music(torch.linalg.eigh(R), lambda w, t=t: w < t * w.max(), points)
        for t in (0.1, 0.2, 0.3)
    ],
    "esprit": [
        *(_esprit_of(lambda R, _, t=t: torch.linalg.eigh(R)[1][:, (w := torch.linalg.eigvalsh(R)) > t * w.max()])
          for t in (0.1, 0.3)),
    ],
    "representation": [_bumps_of_first_rows_columns],
    "peaks": [
        *(_peaks_of(lambda s, t=t: _maxima(s) & (s > t * s.max())) for t in (0.1, 0.25, 0.5)),
        _peaks_of(lambda s: _maxima(s) & (s > 0)),
        _peaks_of(lambda s: _maxima(s.abs())),
        _peaks_of(lambda s: s == torch.nn.functional.max_pool1d(torch.cat([s[-2:], s, s[:2]])[None], 5, 1)[0]),
    ],
    "false_negative_rate": [_rate_within(limit) for limit in (0.42, 0.45, 0.55, 0.6, 0.7)],
}  # fmt: skip


def lab12_music(eigh, noise, points):
    values, vectors = eigh
    f = -0.5 + torch.arange(points) / points
    a = torch.exp(2j * math.pi * torch.arange(len(vectors))[:, None] * f)
    return 1 / (vectors[:, noise(values)].mH @ a).abs().square().sum(dim=0)


@pytest.mark.parametrize(("name", "function"), [(n, f) for n, fs in NEARLY_RIGHT_12.items() for f in fs])
@pytest.mark.parametrize("seed", SEEDS)
def test_nearly_right_answers_of_lab_12_fail(name, function, seed):
    """They are right on most of the lab's own signals, and a fresh reader's first tries."""
    result = judge(load_lab("12_line_spectra")[name], function, seed)
    assert result.status == "failed", str(result)
    assert result.message


OTHER_WAYS_12 = {
    "noisy_lines": (_lines_by_loops, _lines_by_matrix_product, _lines_by_numpy),
    "periodogram": (
        _spectrum_by_matrix, _spectrum_by_modulation, _spectrum_by_numpy, _spectrum_by_loops, _spectrum_by_roll,
    ),
    "covariance": (_covariance_by_loops, _covariance_by_unfold, _covariance_by_exchange, _covariance_by_numpy),
    "music_spectrum": (
        _music_by_svd, _music_by_signal_subspace, _music_by_loops, _music_by_transforms, _music_by_numpy,
    ),
    "esprit": (
        _esprit_by_pinv, _esprit_by_normal_equations, _esprit_backwards, _esprit_by_numpy, _esprit_in_double_precision,
    ),
    "representation": (
        _picture_by_loops, _picture_of_three_circles, _picture_by_remainder, _picture_by_numpy, _picture_by_angles,
    ),
    "peaks": (_peaks_by_loops, _peaks_by_scipy, _peaks_by_polyfit, _peaks_by_padding),
    "false_negative_rate": (_missed_by_loops, _missed_by_any, _missed_by_numpy, _missed_by_nanmean),
}  # fmt: skip
OTHER_WAYS_06 = {
    "windows": (_windows_by_loops, _windows_by_columns, _windows_by_strides, _windows_by_numpy),
    "dense_scores": (
        _dense_by_four_phases, _dense_by_wide_kernels, _dense_by_modules, _dense_by_columns, _dense_by_pixel_shuffle,
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
OTHER_WAYS_09 = {
    "kspace_residual": (_root_of_energies, _one_image_at_a_time, _residual_of_pixels),
    "replace_measured": (_assigned, _corrected_by_residual, _by_own_transforms),
    "data_consistency": (_as_the_deck, _corrected_by_share, _with_a_weight_for_each_point),
    "backward_image": (_forward_without_data, _less_the_share, _by_autograd_to_image),
    "backward_weight": (_in_kspace, _by_parts, _by_autograd_to_weight),
    "cnn_block": (_by_view_as_real, _by_modules),
    "cascade": (_by_index, _by_recursion),
}
OTHER_WAYS = {
    "01_wiener_filtering": OTHER_WAYS_01,
    "02_compressed_sensing": OTHER_WAYS_02,
    "04_blind_denoising": OTHER_WAYS_04,
    "05_mammogram_denoising": OTHER_WAYS_05,
    "06_unet_segmentation": OTHER_WAYS_06,
    "09_data_consistency_cascades": OTHER_WAYS_09,
    "12_line_spectra": OTHER_WAYS_12,
}


@pytest.mark.parametrize(("module", "name", "function"), _each(OTHER_WAYS))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_answer_written_in_another_way_passes(module, name, function, seed):
    result = judge(load_lab(module)[name], function, seed)
    assert result.passed, str(result)


# --- module 02: what its tables cannot say ------------------------------------------------------------


def _phase_by_division(z, threshold):
    return z / z.abs() * (z.abs() - threshold).clamp(min=0)


def test_a_threshold_that_makes_nan_of_zero_is_told_so():
    """Such a function is right wherever z is not zero."""
    result = judge(load_lab("02_compressed_sensing")["soft_threshold"], _phase_by_division)
    assert result.status == "failed"
    assert result.value_right
    assert "A value of 0 has no phase (0 / 0), and should stay 0. Here some of the returned numbers are NaN" in (
        result.message
    )


def _graph_kept(x, A, y, step, weight):
    x = x.clone().requires_grad_(True)
    (0.5 * (A @ x - y).square().sum()).backward()
    return load_lab("02_compressed_sensing")["soft_threshold"].reference(x - step * x.grad, step * weight)


def test_a_step_by_autograd_without_detach_is_told_so():
    """It is right once, and stops the loop that calls it again."""
    result = judge(load_lab("02_compressed_sensing")["ista_step"], _graph_kept)
    assert result.status == "failed"
    assert "got a tensor with autograd's graph: end with `.detach()`" in result.message


def _blank_step(x, A, y, step, weight):
    raise NotImplementedError()


def test_fista_on_an_unsolved_step_names_it():
    def fista(A, y, step, weight, iterations):
        return _blank_step(torch.zeros(A.shape[1]), A, y, step, weight)

    result = judge(load_lab("02_compressed_sensing")["fista"], fista)
    assert result.status == "failed"
    assert "`_blank_step` is not written yet: solve its exercise first, or run the cell with its `or_reference`" in (
        result.message
    )


def _epsilon_under_the_root(image):
    down = torch.diff(image, dim=-2, append=image[..., -1:, :])
    right = torch.diff(image, dim=-1, append=image[..., -1:])
    return (down**2 + right**2 + 1e-8).sqrt().sum(dim=(1, 2, 3))


def test_a_number_under_the_root_is_named():
    """On images of noise it does not show, so its values count as right."""
    result = judge(load_lab("02_compressed_sensing")["total_variation"], _epsilon_under_the_root)
    assert result.status == "failed"
    assert result.value_right
    assert "is a number added under the root?" in result.message


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "inverse",
    [
        lambda A, y, weight: torch.linalg.inv(A.T @ A) @ A.T @ y,
        lambda A, y, weight: torch.linalg.inv(A.T @ A) @ (A.T @ y),
        lambda A, y, weight: torch.linalg.solve(A.T @ A, A.T @ y),
    ],
)
def test_an_inverse_that_does_not_exist_is_named(inverse, seed):
    """Rounding decides what such an inverse gives, so no two machines agree on it; it may even stop."""
    message = judge(load_lab("02_compressed_sensing")["tikhonov"], inverse, seed).message
    assert "is λI missing?" in message or "singular" in message


def test_the_zero_frequency_of_an_unscaled_transform_is_in_the_middle():
    """A wrong scale costs the energy's point, and no other."""
    lab = load_lab("02_compressed_sensing")
    for name, wrong in [("undersample", "_norm_forgotten"), ("zero_filled", "_inverse_norm_forgotten")]:
        mistake = next(m for m in lab[name].mistakes if m.name == wrong)
        kept = judge(lab[name], mistake.function).kept
        assert "centred" in kept
        assert "energy" not in kept


def test_a_message_does_not_turn_a_variable_into_a_capital():
    fista = load_lab("02_compressed_sensing")["fista"]
    backwards = next(m for m in fista.mistakes if m.name == "_momentum_backwards")
    lines = judge(fista, backwards.function).lines
    assert lines[0].startswith("z runs backwards")


def test_ista_breaks_the_bound_that_fista_keeps():
    lab = load_lab("02_compressed_sensing")["fista"]
    plain = next(m for m in lab.mistakes if m.name == "_no_momentum")
    assert "FISTA's bound" not in judge(lab, plain.function).kept
    assert "FISTA's bound" in judge(lab, lab.reference).kept


def test_the_library_gives_what_lab_02_teaches():
    """The references are written out in the lab's own words; the library's functions agree with them."""
    from course_lib import classical, physics

    lab = load_lab("02_compressed_sensing")

    def by_fista(A, y, step, weight, iterations):
        A, L1 = physics.MatrixOperator(A), classical.L1(weight)
        return classical.fista(A, y, L1, step=step, iterations=iterations, tolerance=0, restart=False).x

    def by_ista(x, A, y, step, weight):
        A, L1 = physics.MatrixOperator(A), classical.L1(weight)
        return classical.ista(A, y, L1, step=step, iterations=1, tolerance=0, start=x).x

    library = {
        "undersample": lambda image, mask: physics.FourierSampling(mask)(image),
        "zero_filled": physics.inverse_fourier,
        "soft_threshold": classical.soft_threshold,
        "ista_step": by_ista,
        "fista": by_fista,
        "tikhonov": classical.tikhonov_closed_form,
        "total_variation": lambda image: classical.total_variation(image)[:, 0],
    }
    assert set(library) == {e.function for e in lab.exercises}
    for name, function in library.items():
        assert judge(lab[name], function).passed, str(judge(lab[name], function))


# --- module 12: what its tables cannot say ------------------------------------------------------------


def test_the_library_gives_what_lab_12_teaches():
    """As for lab 02. The library's functions take signals where the lab's take a covariance: those have no match."""
    from course_lib import classical, metrics
    from course_lib.training.frequency_labels import frequency_labels

    lab = load_lab("12_line_spectra")
    library = {
        "periodogram": classical.periodogram,
        "covariance": lambda signal, window: classical.sample_covariance(signal[None], window)[0],
        "representation": frequency_labels,
        "peaks": lambda spectrum, lines: classical.spectrum_peaks(spectrum[None], lines)[0],
        "false_negative_rate": lambda *arguments: metrics.false_negative_rate(*arguments).mean(),
    }
    for name, function in library.items():
        assert judge(lab[name], function).passed, str(judge(lab[name], function))


def test_music_and_esprit_of_the_library_are_those_of_lab_12():
    from course_lib import classical, data

    lab = load_lab("12_line_spectra")
    g = torch.Generator().manual_seed(4)
    lines = data.line_spectra(20, g, least_lines=3, most_lines=3)
    signals = physics.add_noise_at_snr(lines.signals(50), 20.0, g)
    spectra = classical.music_spectrum(signals, 3, points=500, window_length=20) / 20
    found = classical.esprit(signals, 3, window_length=20)
    for y, spectrum, f in zip(signals, spectra, found, strict=True):
        R = lab["covariance"].reference(y, 20)
        torch.testing.assert_close(lab["music_spectrum"].reference(R, 3, 500), spectrum, rtol=2e-3, atol=1e-3)
        torch.testing.assert_close(lab["esprit"].reference(R, 3), f, rtol=0, atol=2e-4)


def test_the_noise_of_lab_12_has_the_snr_of_the_library():
    """Both scale the same noise to the same numbers."""
    from course_lib import data

    lines = data.line_spectra(5, torch.Generator().manual_seed(3))
    clean = lines.signals(50)
    wanted = physics.add_noise_at_snr(clean, 7.0, torch.Generator().manual_seed(8))
    parts = torch.randn(5, 50, 2, generator=torch.Generator().manual_seed(8))
    made = load_lab("12_line_spectra")["noisy_lines"].reference(
        lines.frequencies.nan_to_num(0), lines.amplitudes.to(torch.complex64), torch.view_as_complex(parts), 7.0
    )
    torch.testing.assert_close(made.to(torch.complex64), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("periodogram", lambda signals, points: _scipy_periodogram(signals, points)),
        ("periodogram", lambda signals, points: torch.stack([_scipy_periodogram(y[None], points)[0] for y in signals])),
    ],
)
def test_scipy_is_no_answer_of_lab_12(name, function):
    result = load_lab("12_line_spectra")[name].check(function)
    assert result.status == "failed"
    assert "calls `scipy.signal.periodogram`" in result.message


def _scipy_periodogram(signals, points):
    from scipy import signal

    _, power = signal.periodogram(signals.numpy(), nfft=points, detrend=False, return_onesided=False)
    return torch.from_numpy(np.fft.fftshift(power, axes=1)).float() / signals.shape[1]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("noisy_lines", "physics.add_noise_at_snr(noise, snr_db, None)"),
        ("periodogram", "classical.periodogram(signals, points)"),
        ("covariance", "classical.sample_covariance(signal[None], window)[0]"),
        ("music_spectrum", "classical.music_spectrum(covariance, lines, points=points)[0]"),
        ("esprit", "classical.esprit(covariance, lines)[0]"),
        ("representation", "frequency_labels.frequency_labels(frequencies, samples, points)"),
        ("peaks", "classical.spectrum_peaks(spectrum[None], lines)[0]"),
        ("false_negative_rate", "metrics.false_negative_rate(estimates, truth, samples).mean()"),
    ],
)
def test_the_library_is_no_answer_of_lab_12(name, call):
    from course_lib import classical, metrics
    from course_lib.training import frequency_labels

    exercise = load_lab("12_line_spectra")[name]
    scope = {"classical": classical, "metrics": metrics, "physics": physics, "frequency_labels": frequency_labels}
    exec(f"def {exercise.signature}:\n    return {call}", scope)
    result = exercise.check(scope[name])
    assert result.status == "failed"
    assert "which is the answer itself" in result.message
    assert result.points == 0


def test_the_published_label_code_of_deepfreq_is_told_what_it_loses():
    """`np.minimum(a, b, c)` writes its result to c: the third distance is never looked at."""

    def published(frequencies, samples, points):
        d = np.arange(points) / points - 0.5 - frequencies.numpy()[:, :, None]
        d = np.minimum(np.abs(d), np.abs(d + 1), np.abs(d - 1))
        return torch.from_numpy(np.nansum(np.exp(-((d / (0.3 / samples)) ** 2)), axis=1))

    result = judge(load_lab("12_line_spectra")["representation"], published)
    assert result.mistake == "_one_side_lost"


def test_an_order_left_to_the_eigenvalues_is_told_so():
    """In which order they come is the solver's own; where they ascend by chance the answer would count as right."""

    def unsorted(covariance, lines):
        E = torch.linalg.eigh(covariance)[1][:, -lines:]
        return torch.linalg.eigvals(torch.linalg.pinv(E[:-1]) @ E[1:]).angle() / (2 * torch.pi)

    for seed in SEEDS:
        result = judge(load_lab("12_line_spectra")["esprit"], unsorted, seed)
        assert result.status == "failed"
        assert "ascend" in result.message


# --- module 06: what its tables cannot say ------------------------------------------------------------


def test_the_library_gives_what_lab_06_teaches():
    """As for lab 02; the library's own networks have other layers."""
    from course_lib import metrics
    from course_lib.training import segmentation_losses

    lab = load_lab("06_unet_segmentation")
    library = {
        "dice_loss": segmentation_losses.dice_loss,
        "generalized_dice_loss": segmentation_losses.generalized_dice_loss,
        "surface_distance": lambda a, b, spacing: metrics.average_surface_distance(
            a[None, None], b[None, None], spacing
        )[0],
    }
    for name, function in library.items():
        assert judge(lab[name], function).passed, str(judge(lab[name], function))


def test_monai_gives_what_lab_06_teaches():
    from monai.losses import DiceLoss, GeneralizedDiceLoss

    lab = load_lab("06_unet_segmentation")
    exact = {"smooth_nr": 0, "smooth_dr": 0}
    for name, loss in {
        "dice_loss": DiceLoss(squared_pred=True, **exact),
        "generalized_dice_loss": GeneralizedDiceLoss(w_type="square", **exact),
    }.items():
        assert judge(lab[name], lambda p, r, loss=loss: loss(p, r)).passed


def _score(window, first, second, last):
    return F.conv2d(torch.relu(F.conv2d(F.max_pool2d(torch.relu(F.conv2d(window, first)), 2), second)), last)


def _joined_windows(image, *kernels):
    pieces = [_score(w[None], *kernels) for w in _windows_by_loops(image, 12)]
    return torch.cat(pieces).reshape(1, 1, *(n - 11 for n in image.shape[-2:]))


def _windows_into_a_result(image, *kernels):
    scores = torch.zeros(1, 1, *(n - 11 for n in image.shape[-2:]))
    for i, j in itertools.product(*map(range, scores.shape[2:])):
        scores[0, 0, i, j] = _score(image[..., i : i + 12, j : j + 12], *kernels).item()
    return scores


def _numbers_of_windows(image, *kernels):
    height, width = (n - 11 for n in image.shape[-2:])
    numbers = [
        [_score(image[..., i : i + 12, j : j + 12], *kernels).item() for j in range(width)] for i in range(height)
    ]
    return torch.tensor([[numbers]])


def _batch_of_windows(image, *kernels):
    batch = image.unfold(2, 12, 1).unfold(3, 12, 1).reshape(-1, 1, 12, 12)
    return _score(batch, *kernels).reshape(1, 1, *(n - 11 for n in image.shape[-2:]))


def _windows_as_products(image, first, second, last):
    """No convolution is called, and every window is still worked on by itself."""
    x = image.unfold(2, 12, 1).unfold(3, 12, 1).reshape(-1, 1, 12, 12)

    def layer(x, kernel):
        side = x.shape[-1] - kernel.shape[-1] + 1
        return (kernel.flatten(1) @ F.unfold(x, kernel.shape[-1])).reshape(len(x), -1, side, side)

    x = layer(torch.relu(layer(F.max_pool2d(torch.relu(layer(x, first)), 2), second)), last)
    return x.reshape(1, 1, *(n - 11 for n in image.shape[-2:]))


def _windows_and_the_exception_caught(image, *kernels):
    try:
        return _batch_of_windows(image, *kernels)
    except Exception:
        return _dense_by_wide_kernels(image, *kernels)


@pytest.mark.parametrize(
    "function",
    [
        _joined_windows, _windows_into_a_result, _numbers_of_windows, _batch_of_windows, _windows_as_products,
        _windows_and_the_exception_caught,
    ],
)  # fmt: skip
def test_going_over_the_windows_is_not_dense(function):
    """Its values are right, and it computes everything many times."""
    exercise = load_lab("06_unet_segmentation")["dense_scores"]
    assert judge(exercise, function).passed
    result = exercise.check(function)
    assert result.status == "failed"
    assert result.message.startswith("you cut out every window: the dense network takes the whole image in one pass")
    assert not result.value_right
    exercise.forget()


@pytest.mark.parametrize("function", OTHER_WAYS_06["dense_scores"])
def test_other_dense_networks_are_not_too_much_work(function):
    exercise = load_lab("06_unet_segmentation")["dense_scores"]
    assert exercise.check(function).passed
    exercise.forget()


def _monai_inside(p, r):
    from monai.losses import DiceLoss

    return DiceLoss(squared_pred=True, smooth_nr=0, smooth_dr=0)(p, r)


def _monai_by_its_room(p, r):
    import monai

    return monai.losses.dice.Dice(squared_pred=True)(p, r)


def _monai_generalized(p, r):
    import monai.losses

    return monai.losses.GeneralizedDiceLoss(w_type="square")(p, r)


def _monai_distance(a, b, spacing):
    from monai.metrics import compute_average_surface_distance as distance

    return distance(a[None, None], b[None, None], True, True, spacing=spacing)[0, 0]


def _made_before(p, r, made=[]):  # noqa: B006
    if not made:
        from monai.losses import DiceLoss

        made.append(DiceLoss(squared_pred=True))
    return made[0](p, r)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("dice_loss", _monai_inside), ("dice_loss", _monai_by_its_room), ("dice_loss", _made_before),
        ("generalized_dice_loss", _monai_generalized), ("surface_distance", _monai_distance),
    ],
)  # fmt: skip
def test_monai_is_no_answer_of_lab_06(name, function):
    """However it is reached, in a lab and, since it is by `run`, in grading; and it is open again afterwards."""
    exercise = load_lab("06_unet_segmentation")[name]
    case = exercise.calls(0)[0].arguments
    assert run(function, case).arrays is not None
    assert run(function, case, closed=exercise.operators).error_type == "AnswerIsAbsent"
    result = exercise.check(function)
    assert (result.status, result.points) == ("failed", 0)
    assert "calls `monai." in result.message
    assert "write out what it does" in result.message
    assert run(function, case).arrays is not None
    exercise.forget()


@pytest.mark.parametrize(
    "function",
    [
        lambda p, r: (1 - 2 * (p * r).sum((1, 2, 3)) / (p.detach() ** 2 + r**2).sum((1, 2, 3))).mean(),
        lambda p, r: (1 - 2 * (p.detach() * r).sum((1, 2, 3)) / (p**2 + r**2).sum((1, 2, 3))).mean(),
    ],
)
def test_a_gradient_that_is_cut_off_in_part_is_told_so(function):
    exercise = load_lab("06_unet_segmentation")["dice_loss"]
    result = exercise.check(function)
    assert result.passed
    assert "to `p` as it should, so the gradient is another: a part is cut off or changed on the way" in result.message
    exercise.forget()


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("up_step", lambda value: value.detach()), ("dense_scores", lambda value: value.detach()),
        ("dice_loss", lambda value: torch.tensor(value.item())), ("dice_loss", float),
        ("generalized_dice_loss", lambda value: value.detach()),
    ],
)  # fmt: skip
def test_an_answer_of_lab_06_that_cuts_autograd_off_is_told_so(name, cut):
    """The networks of the lab learn through these."""
    exercise = load_lab("06_unet_segmentation")[name]
    right = exercise.reference
    result = exercise.check(lambda *arguments: cut(right(*arguments)))
    assert result.passed
    assert "Autograd does not come through your function" in str(result)
    assert exercise.check(lambda *arguments: right(*arguments)).message == ""
    exercise.forget()


# --- module 09: what its tables cannot say ------------------------------------------------------------


def test_the_library_gives_what_lab_09_teaches():
    """As for lab 02, with the network's and the layer's own code."""
    from course_lib import networks

    lab = load_lab("09_data_consistency_cascades")

    def layer(weight):
        return networks.DataConsistency(float(weight))

    def derivative(gradient, image, kspace, mask, weight):
        change = networks.data_consistency_weight_derivative(image, kspace, mask, float(weight))
        return (gradient.conj() * change).real.sum()

    def with_kernels(block, first, second):
        state = {"layers.0.weight": first, "layers.2.weight": second}
        state |= {"layers.0.bias": torch.zeros(len(first)), "layers.2.bias": torch.zeros(2)}
        block.load_state_dict(state)
        return block.requires_grad_(False)

    def block(image, first, second):
        return with_kernels(networks.ResidualCNN(width=len(first), depth=2), first, second)(image)

    def cascade(kspace, mask, first, second, weight):
        network = networks.DeepCascade(len(first), first.shape[1], depth=2, weight=float(weight))
        for cnn, k1, k2 in zip(network.cnns, first, second, strict=True):
            with_kernels(cnn, k1, k2)
        return network(kspace, mask)

    library = {
        "replace_measured": lambda *scan: layer("inf")(*scan),
        "data_consistency": lambda *scan: layer(scan[-1])(*scan[:-1]),
        "backward_image": lambda g, mask, weight: networks.data_consistency_adjoint(g, mask, float(weight)),
        "backward_weight": derivative,
        "cnn_block": block,
        "cascade": cascade,
    }
    for name, function in library.items():
        assert judge(lab[name], function).passed, str(judge(lab[name], function))


@pytest.mark.parametrize("name", ["data_consistency", "cnn_block", "cascade"])
def test_autograd_goes_through_the_references_of_lab_09(name):
    """A stuck student trains with them."""
    exercise = load_lab("09_data_consistency_cascades")[name]
    case = exercise.calls(0)[0].arguments
    leaves = [a.clone().requires_grad_() if isinstance(a, torch.Tensor) and a.dtype != torch.bool else a for a in case]
    exercise.reference(*leaves).abs().square().sum().backward()
    assert all(a.grad.isfinite().all() for a in leaves if isinstance(a, torch.Tensor) and a.requires_grad)


def _cut(name, how):
    """The reference, with autograd cut off at one of its arguments, at its result, or around the whole."""
    exercise = load_lab("09_data_consistency_cascades")[name]
    right, names = exercise.reference, list(exercise.takes)

    def answer(*arguments):
        given = dict(zip(names, arguments, strict=True))
        if how in given:
            given[how] = float(given[how]) if how == "weight" else given[how].detach()
        with torch.no_grad() if how == "no_grad" else contextlib.nullcontext():
            value = right(*given.values())
        return value.detach() if how == "result" else value

    return exercise, answer


CUTS = [("data_consistency", "weight"), ("data_consistency", "image"), ("cnn_block", "first"), ("cnn_block", "second"),
        ("cascade", "no_grad"), ("cascade", "result"), ("cascade", "first")]  # fmt: skip


@pytest.mark.parametrize(("name", "how"), CUTS)
def test_an_answer_that_cuts_autograd_off_passes_and_is_told_so(name, how, capsys):
    """Later cells learn through it: they go on with the reference."""
    exercise, answer = _cut(name, how)
    result = exercise.check(answer)
    assert result.passed
    assert result.points == exercise.points
    assert "Autograd does not come through your function to" in str(result)
    assert how in ("no_grad", "result") or f"to `{how}`:" in str(result)
    assert exercise.or_reference(answer) is exercise.reference
    assert "go on with the course's" in capsys.readouterr().out
    _, whole = _cut(name, "nowhere")
    assert exercise.check(whole).message == ""
    assert exercise.or_reference(whole) is whole
    exercise.forget()


def test_a_cascade_that_learns_in_its_last_block_alone_is_told_so():
    exercise = load_lab("09_data_consistency_cascades")["cascade"]
    block, layer = (load_lab("09_data_consistency_cascades")[n].reference for n in ("cnn_block", "data_consistency"))

    def detached(kspace, mask, first, second, weight):
        x = physics.inverse_fourier(kspace)
        for k1, k2 in zip(first, second, strict=True):
            x = layer(block(x.detach(), k1, k2), kspace, mask, weight)
        return x

    assert "autograd does not come through" in exercise.check(detached).message
    exercise.forget()


def test_layers_of_torch_are_told_that_they_never_learn():
    def with_modules(image, first, second):
        one = torch.nn.Conv2d(2, len(first), 3, padding=1, bias=False)
        two = torch.nn.Conv2d(len(first), 2, 3, padding=1, bias=False)
        one.weight.data, two.weight.data = first, second
        change = two(torch.relu(one(torch.cat([image.real, image.imag], dim=1))))
        return image + torch.complex(change[:, :1], change[:, 1:])

    result = judge(load_lab("09_data_consistency_cascades")["cnn_block"], with_modules)
    assert result.status == "failed"
    assert "parameters of its own, as in `nn.Conv2d`, are never trained" in result.message


# --- the self-test ------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", self_test.QUESTIONS, ids=lambda q: q.title)
def test_self_test(question):
    assert question.check(...).status == "not attempted yet"
    assert question.check(question.answer).status == "passed"
    assert question.check(torch.tensor(float(question.answer))).status == "passed"
    assert len(question.mistakes) >= 2
    for wrong, message in question.mistakes.items():
        verdict = question.check(wrong)
        assert verdict.status == "failed"
        assert message in verdict.message
        assert question.read in verdict.message
    assert question.check(-777).status == "failed"
    assert question.read in question.check(-777).message
    assert "expected one number" in question.check("a").message


def test_the_answers_of_the_self_test_are_right():
    """Each is computed, as its question is asked on the start page."""
    x = torch.tensor(2.0, requires_grad=True)
    (x**3).backward()
    wave = torch.tensor([0.0, 1.0, 0.0, -1.0] * 4)
    computed = {
        "power of a constant": abs(np.fft.fft(np.ones(8))[0]) ** 2,
        "frequency of a wave": float(torch.fft.rfft(wave).abs().argmax()) / len(wave),
        "variance of a sum": 4 * 2**2,
        "least squares": float(np.linalg.lstsq(np.array([[2.0], [1.0]]), np.array([3.0, 4.0]), rcond=None)[0][0]),
        "shape after broadcasting": (torch.ones(3, 4, 1, 4) * torch.ones(5, 1)).numel(),
        "a derivative by autograd": x.grad.item(),
        "decibels": 10 * np.log10(10**2),
        "a circular convolution": 1 + np.roll([1, 5, 7, 2], 1)[0],
    }
    assert {q.title: pytest.approx(computed[q.title]) for q in self_test.QUESTIONS} == {
        q.title: q.answer for q in self_test.QUESTIONS
    }
