"""Masks: how many samples, where they are denser, and what the generator decides."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import expect, physics

shapes = st.tuples(st.integers(2, 40), st.integers(4, 40))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 10_000), shape=shapes, share=st.floats(0, 1), centre=st.floats(0, 1))
def test_lines_are_whole_exactly_counted_and_the_centre_is_measured(seed, shape, share, centre):
    height, width = shape
    acceleration = width ** (share * 0.999)
    lines = max(1, round(width / acceleration))
    block = math.floor(centre * lines)
    for kind in ("random", "equispaced"):
        for generator in (seeded(seed), *([None] if kind == "equispaced" else [])):
            mask = physics.line_mask(shape, acceleration, block / width, generator, kind=kind)
            assert (mask.shape, mask.dtype) == ((height, width), torch.bool)
            assert torch.equal(mask, mask[:1].expand(height, width))
            assert mask[0].sum() == lines
            first = width // 2 - block // 2
            assert mask[0, first : first + block].all()
            if generator is None and block == 0:
                assert mask[0, width // 2]


@pytest.mark.parametrize(("width", "acceleration"), [(64, 4), (60, 4), (63, 3.5), (100, 8)])
def test_equispaced_lines_have_equal_distances(width, acceleration):
    """Of width / lines, rounded down or up, also around the end."""
    for generator in (None, seeded(0), seeded(1)):
        mask = physics.line_mask((2, width), acceleration, generator=generator, kind="equispaced")
        columns = mask[0].nonzero().flatten()
        distance = torch.cat([columns, columns[:1] + width]).diff()
        step = width / round(width / acceleration)
        assert distance.min() >= math.floor(step)
        assert distance.max() <= math.ceil(step)


@given(seed=st.integers(0, 10_000), shape=shapes, share=st.floats(0, 1), power=st.floats(0, 8))
def test_points_are_exactly_counted_and_the_centre_is_measured(seed, shape, share, power):
    height, width = shape
    acceleration = (height * width) ** (share * 0.999)
    points = max(1, round(height * width / acceleration))
    mask = physics.variable_density_mask(shape, acceleration, seeded(seed), centre_fraction=0, power=power)
    assert (mask.shape, mask.dtype, int(mask.sum())) == (shape, torch.bool, points)


def test_points_are_denser_in_the_centre():
    shape = (65, 80)
    rows = (torch.arange(65) - 32)[:, None] / 32.5
    columns = (torch.arange(80) - 40)[None, :] / 40
    radius = torch.hypot(rows, columns) / 2**0.5
    pixels = torch.hypot(rows * 32.5, columns * 40)
    masks = torch.stack([physics.variable_density_mask(shape, 6, seeded(seed)) for seed in range(40)]).float()
    assert masks[:, pixels < 0.06 * 32.5].min() == 1
    rings = [masks[:, (radius >= a) & (radius < a + 0.2)].mean().item() for a in (0.1, 0.3, 0.5, 0.7)]
    assert rings == sorted(rings, reverse=True)
    assert rings[0] > 4 * rings[2]
    uniform = torch.stack(
        [physics.variable_density_mask(shape, 6, seeded(s), centre_fraction=0, power=0) for s in range(40)]
    ).float()
    assert uniform[:, radius < 0.2].mean() == pytest.approx(1 / 6, rel=0.1)
    assert uniform[:, radius > 0.7].mean() == pytest.approx(1 / 6, rel=0.1)


def test_the_draw_follows_the_density():
    """One point of a few: how often it falls on each is its share of the density (1 − r)^power."""
    draws = torch.stack(
        [physics.variable_density_mask((2, 4), 8, seeded(s), centre_fraction=0, power=2) for s in range(3000)]
    )
    rows, columns = torch.tensor([-1.0, 0])[:, None], torch.tensor([-1, -0.5, 0, 0.5])[None, :]
    density = (1 - torch.hypot(rows, columns) / 2**0.5).clamp(min=0) ** 2
    share = density / density.sum()
    spread = (share * (1 - share) / 3000).sqrt()
    assert ((draws.float().mean(0) - share).abs() <= 4 * spread + 1e-6).all()


@pytest.mark.parametrize("spokes", [1, 2, 7, 12])
@pytest.mark.parametrize("shape", [(32, 32), (33, 20)])
def test_spokes_pass_through_the_centre_at_their_angles(shape, spokes):
    height, width = shape
    mask = physics.radial_mask(shape, spokes)
    assert mask[height // 2, width // 2]
    for spoke in range(spokes):
        angle = math.pi * spoke / spokes
        for reach in (-0.9, -0.4, 0.3, 0.8):
            row = height // 2 + reach * math.sin(angle) * height / 2
            column = width // 2 + reach * math.cos(angle) * width / 2
            nearby = mask[max(0, round(row) - 1) : round(row) + 2, max(0, round(column) - 1) : round(column) + 2]
            assert nearby.any()
    assert mask.sum() <= spokes * 2 * max(shape)
    assert physics.radial_mask((8, 8), 1).nonzero()[:, 0].tolist() == [4] * 8  # the first spoke is a row


def test_golden_runs_go_on_where_the_last_one_ended():
    shape = (48, 48)
    run = physics.radial_mask(shape, 13, golden=True, first=5)
    one_by_one = [physics.radial_mask(shape, 1, golden=True, first=5 + i) for i in range(13)]
    assert torch.equal(run, torch.stack(one_by_one).any(0))
    assert not torch.equal(run, physics.radial_mask(shape, 13, golden=True))
    # the golden angle is 111.25°: the second spoke is seen there, and any run is nearly even
    second = physics.radial_mask(shape, 1, golden=True, first=1).nonzero() - 24
    row, column = second[second[:, 0].argmax()].tolist()
    assert math.degrees(math.atan2(row, column)) == pytest.approx(111.25, abs=2)


def test_the_generator_decides():
    for make in (
        lambda g: physics.line_mask((16, 64), 4, 0.08, g),
        lambda g: physics.line_mask((16, 64), 4, 0.08, g, kind="equispaced"),
        lambda g: physics.variable_density_mask((32, 32), 4, g),
    ):
        assert torch.equal(make(seeded(1)), make(seeded(1)))
        assert any(not torch.equal(make(seeded(1)), make(seeded(s))) for s in (2, 3, 4))


@pytest.mark.parametrize("acceleration", [0.5, 0, -3, 65, float("nan"), float("inf"), "4", None, True])
def test_accelerations_outside_their_range(acceleration, unchecked):
    message = "^expected an acceleration from 1 to {}, the number of {}, got [^\n]+$"
    for kind in ("random", "equispaced"):
        with pytest.raises(expect.InputError, match=message.format(64, "lines")):
            physics.line_mask((65, 64), acceleration, 0, seeded(0), kind=kind)
    with pytest.raises(expect.InputError, match=message.format(64, "points")):
        physics.variable_density_mask((8, 8), acceleration, seeded(0))


def test_other_arguments_outside_their_range(unchecked):
    with pytest.raises(
        expect.InputError, match="^expected a central block within the 16 lines of acceleration 4, got 19"
    ):
        physics.line_mask((64, 64), 4, 0.3, seeded(0))
    with pytest.raises(expect.InputError, match="^expected the centre fraction as a number from 0 to 1, got -0.1$"):
        physics.line_mask((64, 64), 4, -0.1, seeded(0))
    with pytest.raises(expect.InputError, match="^expected the kind of lines as .* got 'spiral'$"):
        physics.line_mask((64, 64), 4, 0.1, seeded(0), kind="spiral")
    with pytest.raises(expect.InputError, match="^expected a torch.Generator, got None$"):
        physics.line_mask((64, 64), 4)
    with pytest.raises(expect.InputError, match="^expected a torch.Generator, got 7$"):
        physics.line_mask((64, 64), 4, generator=7, kind="equispaced")
    with pytest.raises(
        expect.InputError, match="^expected a central disc within the 32 points of acceleration 128, got"
    ):
        physics.variable_density_mask((64, 64), 128, seeded(0), centre_fraction=0.5)
    with pytest.raises(expect.InputError, match="density's power"):
        physics.variable_density_mask((64, 64), 4, seeded(0), power=-1)
    with pytest.raises(expect.InputError, match="^expected a torch.Generator, got 7$"):
        physics.variable_density_mask((64, 64), 4, 7)
    with pytest.raises(expect.InputError, match="^expected a size as a whole number of pixels from 2, got 1$"):
        physics.variable_density_mask((1, 64), 4, seeded(0))
    for spokes in (0, -1, 2.5):
        with pytest.raises(expect.InputError, match="^expected the number of spokes as a whole number from 1, got"):
            physics.radial_mask((8, 8), spokes)
    with pytest.raises(expect.InputError, match="first spoke"):
        physics.radial_mask((8, 8), 3, first=-1)
