"""Lab 02: what its tables of answers cannot say."""

import pytest
import torch
from judging import SEEDS, judge

from course_lib import physics
from course_lib.exercises import load_lab


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
    from course_lib import classical

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
