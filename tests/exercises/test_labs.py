"""Every exercise of every lab: the solution passes, each known mistake fails with its own message, a blank is blank."""

import numpy as np
import pytest
import torch

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
        return exercise.reference(*(a.double() if isinstance(a, torch.Tensor) else a for a in arguments))

    assert judge(exercise, blank).status == "not attempted yet"
    for function, said in [(nan, "NaN"), (as_numpy, "numpy array"), (one_more_dimension, "shape")]:
        result = judge(exercise, function)
        assert result.status == "failed"
        assert said in result.message, result.message
        assert result.points < exercise.points
    assert judge(exercise, double).passed


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


EVASIVE = {
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


@pytest.mark.parametrize(("name", "function"), [(n, f) for n, fs in EVASIVE.items() for f in fs])
def test_an_answer_that_says_nothing_earns_nothing(name, function):
    result = judge(load_lab("01_wiener_filtering")[name], function, 5)
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


OTHER_WAYS = {
    "power_spectrum": (_by_numpy, _by_real_and_imaginary_part, _by_product_with_conjugate),
    "wiener_gain": (_one_over_one_plus, _one_minus_noise_share),
    "apply_gain": (_image_by_image, _by_circular_padding),
    "expected_mse": (_as_means, _by_loop),
    "linear_mmse": (_by_torch_cov, _by_solve, _by_eigenvectors),
    "spectrum_risks": (_risks_at_once,),
    "mismatch_cost": (_difference_of_logs,),
}


@pytest.mark.parametrize(("name", "function"), [(n, f) for n, fs in OTHER_WAYS.items() for f in fs])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_answer_written_in_another_way_passes(name, function, seed):
    result = judge(load_lab("01_wiener_filtering")[name], function, seed)
    assert result.passed, str(result)


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
