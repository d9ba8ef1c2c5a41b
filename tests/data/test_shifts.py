from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from allocsearch.config import SHIFTS, InputError
from allocsearch.data.segments import segments
from allocsearch.data.shifts import SHIFT_FUNCTIONS, inversion, rotation

SHAPES = [(8, 8), (3, 8, 12), (9, 7), (40,)]
IMAGES = SHAPES[:3]
STRENGTHS = [0.0, 0.25, 0.5, 1.0]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int, *shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(256, (n, *shape), generator=seeded(seed), dtype=torch.uint8)


def shifted(name: str, values: torch.Tensor, strength: float, seed: int = 0) -> torch.Tensor:
    return SHIFT_FUNCTIONS[name](values, strength, seeded(seed))


def changed_positions(values: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Whether a position differs in any channel, `(n, P)`."""
    channels = values.shape[1] if values.ndim == 4 else 1
    return (values != other).reshape(len(values), channels, -1).any(1)


def test_registry_has_the_names_of_study_files():
    assert set(SHIFT_FUNCTIONS) == set(SHIFTS)


@pytest.mark.parametrize("shape", IMAGES)
@pytest.mark.parametrize("name", SHIFTS)
@settings(derandomize=True, deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31), strength=st.floats(0, 1))
def test_every_shift_keeps_shape_and_input_and_repeats(name, shape, seed, strength):
    values = batch(3, *shape)
    before = values.clone()
    first = shifted(name, values, strength, seed)
    assert first.shape == values.shape
    assert first.dtype == torch.uint8
    assert torch.equal(values, before)
    assert torch.equal(first, shifted(name, values, strength, seed))
    assert torch.equal(shifted(name, values, 0.0, seed), values)


@pytest.mark.parametrize("name", sorted(set(SHIFTS) - {"rotation"}))
def test_sequences_can_be_shifted_too(name):
    values = batch(3, 40)
    assert torch.equal(shifted(name, values, 0.0), values)
    assert not torch.equal(shifted(name, values, 1.0), values)


@pytest.mark.parametrize("name", SHIFTS)
def test_every_example_is_shifted_by_its_own_choice(name):
    values = batch(1, 8, 8).expand(20, -1, -1)
    found = shifted(name, values, 0.5)
    assert len({tuple(image.flatten().tolist()) for image in found}) > 1


@pytest.mark.parametrize("name", SHIFTS)
def test_a_stronger_shift_departs_further(name):
    image = torch.zeros(8, 8, dtype=torch.uint8)
    image[2:, 3:5] = 200
    image[3, 1:7] = 130
    values = image.expand(200, -1, -1)

    def departure(strength: float) -> float:
        return float((shifted(name, values, strength).float() - values.float()).abs().mean())

    means = [departure(strength) for strength in STRENGTHS]
    assert means[0] == 0
    assert means == sorted(means)
    assert means[-1] > means[1] > 0


@pytest.mark.parametrize("strength", [0.01, 0.1])
def test_noise_is_gaussian_of_the_stated_deviation(strength):
    values = torch.full((50, 20, 20), 128, dtype=torch.uint8)
    noise = shifted("additive_noise", values, strength).double() - 128
    # Rounding adds the variance 1 / 12 of a uniform variable.
    expected = ((255 * strength) ** 2 + 1 / 12) ** 0.5
    assert abs(float(noise.mean())) < 4 * expected / 20_000**0.5
    assert float(noise.std()) == pytest.approx(expected, rel=0.03)


def test_noise_is_clipped_and_never_wraps():
    dark, bright = torch.zeros(9, 8, 8, dtype=torch.uint8), torch.full((9, 8, 8), 255).byte()
    assert float(shifted("additive_noise", dark, 0.05).max()) < 100
    assert float(shifted("additive_noise", bright, 0.05).min()) > 155


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_inversion_inverts_one_run_of_the_stated_share(shape, strength):
    values = batch(5, *shape)
    found = shifted("inversion", values, strength)
    changed = changed_positions(values, found)
    assert (changed.sum(1) == round(strength * changed.shape[1])).all()
    assert torch.equal(found, torch.where(values != found, 255 - values, values))
    # One run on a circle has two ends, and none where it is empty or everything.
    ends = (changed != changed.roll(1, 1)).sum(1)
    assert set(ends.tolist()) == ({2} if 0 < strength < 1 else {0})


def test_full_inversion_is_its_own_inverse():
    values = batch(5, 8, 8)
    assert torch.equal(inversion(values, 1.0, seeded()), 255 - values)


@pytest.mark.parametrize("shape", [(28, 28), (3, 20, 20), (31, 19)])
@pytest.mark.parametrize("strength", [0.2, 1.0])
def test_rotation_agrees_with_torchvision_to_either_side(shape, strength):
    values = batch(20, *shape)
    # A dark margin: torchvision knows no other background than a constant.
    values[..., :5, :] = values[..., -5:, :] = values[..., :5] = values[..., -5:] = 0
    images = values if values.ndim == 4 else values[:, None]
    found = rotation(images, strength, seeded())
    sides = []
    for angle in (45 * strength, -45 * strength):
        turned = functional.rotate(images.float(), angle, InterpolationMode.BILINEAR)
        sides.append(((found.float() - turned).abs().amax((1, 2, 3)) < 1).tolist())
    assert all(left != right for left, right in zip(*sides, strict=True))
    assert any(sides[0])
    assert any(sides[1])
    assert torch.equal(rotation(values, strength, seeded()), found.reshape(values.shape))


def test_rotation_continues_the_background():
    values = torch.full((3, 8, 8), 255, dtype=torch.uint8)
    assert torch.equal(rotation(values, 0.5, seeded()), values)


def test_rotation_refuses_what_is_no_image():
    with pytest.raises(InputError, match=r"'rotation' takes images; found .* \(40,\)"):
        rotation(batch(2, 40), 0.5, seeded())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("name", ["pixel_permutation", "segment_shuffling"])
def test_permutations_keep_the_multiset_of_pixels(name, shape, strength):
    values = batch(6, *shape)
    found = shifted(name, values, strength)
    channels = shape[0] if len(shape) == 3 else 1
    for before, after in zip(values, found, strict=True):
        # Whole pixels: channels stay together.
        pixels = [x.reshape(channels, -1).T.tolist() for x in (before, after)]
        assert sorted(pixels[0]) == sorted(pixels[1])


@pytest.mark.parametrize("strength", STRENGTHS)
def test_permutation_moves_exactly_the_stated_share(strength):
    # No two pixels are equal, so each move shows.
    values = torch.stack([torch.randperm(240, generator=seeded(i)) for i in range(5)]).byte()
    values = values.reshape(5, 12, 20)
    moved = changed_positions(values, shifted("pixel_permutation", values, strength)).sum(1)
    assert (moved == round(strength * 240)).all()


@pytest.mark.parametrize("strength", STRENGTHS)
def test_shuffling_moves_whole_segments_of_the_stated_share(strength):
    values = torch.stack([torch.randperm(256, generator=seeded(i)) for i in range(5)]).byte()
    parts = segments((16, 16))
    found = shifted("segment_shuffling", values.reshape(5, 16, 16), strength).reshape(5, 256)
    for before, after in zip(values, found, strict=True):
        contents = [x[parts].tolist() for x in (before, after)]
        assert sorted(contents[0]) == sorted(contents[1])
        moved = sum(a != b for a, b in zip(*contents, strict=True))
        assert moved == round(strength * 16)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_deletion_blanks_whole_segments_of_the_stated_share(shape, strength):
    values = batch(6, *shape).clamp(min=1)
    found = shifted("segment_deletion", values, strength)
    parts = segments(shape)
    changed = changed_positions(values, found)
    blank = changed[:, parts]
    assert torch.equal(blank.all(2), blank.any(2))
    assert (blank.all(2).sum(1) == round(strength * len(parts))).all()
    assert changed.sum() == blank.sum()
    assert (found[values != found] == 0).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_corruption_replaces_the_stated_share(shape, strength):
    values = batch(200, *shape)
    changed = changed_positions(values, shifted("corruption", values, strength))
    most = round(strength * changed.shape[1])
    assert int(changed.sum(1).max()) <= most
    # A uniform value equals the old one in every channel once in 256^C.
    channels = shape[0] if len(shape) == 3 else 1
    expected = most * (1 - 256.0**-channels)
    assert float(changed.sum(1).double().mean()) == pytest.approx(expected, rel=0.01)


def test_corruption_draws_every_value_alike():
    found = shifted("corruption", torch.zeros(100, 32, 32, dtype=torch.uint8), 1.0)
    counts = torch.bincount(found.flatten().long(), minlength=256).double()
    statistic = float(((counts - counts.mean()) ** 2 / counts.mean()).sum())
    # Chi-square with 255 degrees of freedom: the 0.001 and 0.999 quantiles.
    assert 189 < statistic < 331


def normal(n: int, *shape: int) -> torch.Tensor:
    return torch.randn(n, *shape, generator=seeded(5))


CONTINUOUS = sorted(set(SHIFTS) - {"rotation", "inversion"})


@pytest.mark.parametrize("shape", [(13,), (40,), (6, 8)])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_values_can_be_shifted(name, shape):
    values = normal(5, *shape)
    before = values.clone()
    found = shifted(name, values, 0.5)
    assert found.dtype == torch.float32
    assert found.shape == values.shape
    assert not torch.equal(found, values)
    assert torch.equal(values, before)
    assert torch.equal(found, shifted(name, values, 0.5))
    assert torch.equal(shifted(name, values, 0.0), values)


@pytest.mark.parametrize("name", ["rotation", "inversion"])
def test_shifts_of_pixels_refuse_continuous_values(name):
    with pytest.raises(InputError, match=f"shift '{name}' takes pixels; found continuous values"):
        shifted(name, normal(3, 8, 8), 0.5)


def test_noise_of_continuous_values_has_the_strength_for_standard_deviation():
    noise = shifted("additive_noise", torch.zeros(200, 50), 0.7)
    assert float(noise.std()) == pytest.approx(0.7, rel=0.02)


def test_corruption_of_continuous_values_draws_from_the_same_feature():
    # The whole part of a value tells its feature.
    values = torch.arange(20.0) + torch.rand(500, 20, generator=seeded(4))
    found = shifted("corruption", values, 0.5)
    assert torch.equal(found.floor(), torch.arange(20.0).expand(500, 20))
    for feature in range(20):
        assert torch.isin(found[:, feature], values[:, feature]).all()
    assert float((found != values).float().mean()) == pytest.approx(0.5, abs=0.01)
    # What ties the features of an example together goes.
    tied = torch.randn(2000, 1, generator=seeded(6)).expand(-1, 20).contiguous()
    correlation = torch.corrcoef(shifted("corruption", tied, 1.0).T)
    assert float(correlation[~torch.eye(20, dtype=torch.bool)].abs().max()) < 0.15


def test_deletion_of_continuous_values_leaves_their_mean():
    found = shifted("segment_deletion", normal(4, 16), 0.5)
    assert (found == 0).sum(1).tolist() == [8] * 4
