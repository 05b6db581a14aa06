"""The made-up nerve tissue: labels that fit the image, organelles inside cells, and a task that is not easy."""

import pytest
import torch
from scipy.ndimage import distance_transform_edt, label

from course_lib.data import nerve_tissue
from course_lib.expect import InputError


@pytest.fixture(scope="module")
def sections():
    return [nerve_tissue("train", index, (256, 256)) for index in range(4)]


def dice(a, b):
    return (2 * (a * b).sum() / (a.sum() + b.sum())).item()


def test_shapes_and_values(sections):
    for s in sections:
        assert s.image.shape == s.membrane.shape == (1, 1, 256, 256)
        assert s.cells.shape == s.organelles.shape == (256, 256)
        assert s.image.dtype == torch.float32
        assert 0 <= s.image.min() < 0.3
        assert 0.7 < s.image.max() <= 1
        assert set(s.membrane.unique().tolist()) == {0, 1}
        assert 0.1 < s.membrane.mean() < 0.35


def test_the_same_arguments_give_the_same_section_and_no_two_are_alike(sections):
    again = nerve_tissue("train", 1, (256, 256))
    assert torch.equal(again.image, sections[1].image)
    assert torch.equal(again.membrane, sections[1].membrane)
    others = [*sections[:1], *sections[2:], *(nerve_tissue(s, 1, (256, 256)) for s in ("validation", "test"))]
    assert all((other.image - again.image).abs().mean() > 0.05 for other in others)


def test_membranes_part_all_cells(sections):
    """What is left without membranes are pieces of one cell each."""
    for s in sections:
        pieces, count = label((s.membrane[0, 0] == 0).numpy())
        assert count > 15
        for piece in range(1, count + 1):
            assert len(s.cells[torch.from_numpy(pieces == piece)].unique()) == 1


def test_membranes_are_of_varying_width(sections):
    """Twice the distance from the middle of a membrane to its rim, in pixels."""
    widths = []
    for s in sections:
        inside = torch.from_numpy(distance_transform_edt(s.membrane[0, 0].numpy()))
        border = torch.zeros_like(s.cells, dtype=torch.bool)
        border[:-1] |= s.cells[:-1] != s.cells[1:]
        widths.append(2 * inside[border] - 1)
    widths = torch.cat(widths)
    assert widths.quantile(0.1) < 4
    assert widths.quantile(0.95) > 6


def test_organelles_lie_inside_cells_and_are_dark(sections):
    for s in sections:
        assert s.organelles.any()
        assert not (s.organelles & (s.membrane[0, 0] > 0)).any()
        free = ~s.organelles & (s.membrane[0, 0] == 0)
        assert s.image[0, 0][s.organelles].mean() < s.image[0, 0][free].mean() - 0.05
        assert s.image[s.membrane > 0].mean() < s.image[0, 0][free].mean() - 0.1


def test_no_threshold_does_it():
    for index in range(3):
        s = nerve_tissue("test", index)
        best = max(dice((s.image < t).float(), s.membrane) for t in torch.linspace(0.1, 0.8, 36))
        assert 0.4 < best < 0.75


def test_it_is_frozen():
    """Weights learn from these very images: a change here asks for new ones."""
    s = nerve_tissue("train", 0)
    assert s.cells.unique().numel() == 184
    torch.testing.assert_close(s.image[0, 0, 60:500:120, 60:500:120], FROZEN, atol=2e-4, rtol=0)
    assert s.membrane.mean().item() == pytest.approx(0.20311, abs=1e-4)


FROZEN = torch.tensor(
    [
        [0.4596, 0.6487, 0.6522, 0.5052],
        [0.6188, 0.5501, 0.4200, 0.5942],
        [0.7336, 0.6562, 0.4813, 0.5395],
        [0.8437, 0.4403, 0.4290, 0.4150],
    ]
)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("all", 0), "expected the split among train, validation, test, got 'all'"),
        (("test", 1000), "expected the index below 1000, got 1000"),
        (("test", -1), "expected the index as a whole number from 0, got -1"),
        (("test", 0, (32, 64)), "got 32"),
    ],
)
def test_bad_input(arguments, said):
    with pytest.raises(InputError, match=said):
        nerve_tissue(*arguments)
