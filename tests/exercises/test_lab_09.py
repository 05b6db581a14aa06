"""Lab 09: what its tables of answers cannot say."""

import contextlib

import pytest
import torch
from judging import judge

from course_lib import physics
from course_lib.exercises import load_lab


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
