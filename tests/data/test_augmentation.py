from __future__ import annotations

import pytest
import torch
from torch import Tensor

from allocsearch.config import InputError, Shift
from allocsearch.data.augmentation import augmented

DELETED = Shift(shift="segment_deletion", strength=1.0)
INVERTED = Shift(shift="inversion", strength=1.0)
NOTHING = Shift(shift="corruption", strength=0.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def values() -> Tensor:
    return torch.randint(1, 255, (400, 8, 8), generator=seeded(1), dtype=torch.uint8)


def test_every_example_gets_one_of_the_augmentations(values: Tensor) -> None:
    before = values.clone()
    views = augmented(values, (DELETED, INVERTED, NOTHING), seeded(), "pixels")
    assert torch.equal(values, before)
    deleted = (views == 0).flatten(1).all(1)
    inverted = (views == 255 - values).flatten(1).all(1)
    same = (views == values).flatten(1).all(1)
    assert (deleted.int() + inverted.int() + same.int()).eq(1).all()
    # A share of a third of 400 has a standard error of 0.024.
    for chosen in (deleted, inverted, same):
        assert chosen.float().mean().item() == pytest.approx(1 / 3, abs=0.1)


def test_views_are_drawn_anew_from_the_generator(values: Tensor) -> None:
    entries = (Shift(shift="corruption", strength=0.5),)
    source = seeded()
    first, second = (augmented(values, entries, source, "pixels") for _ in range(2))
    assert (first != second).flatten(1).any(1).all()
    torch.manual_seed(99)
    assert torch.equal(augmented(values, entries, seeded(), "pixels"), first)


def test_a_shift_that_is_not_for_the_examples_is_refused() -> None:
    with pytest.raises(InputError, match="'rotation' takes images"):
        augmented(
            torch.zeros(3, 9, dtype=torch.uint8), (Shift(shift="rotation"),), seeded(), "pixels"
        )


def test_tokens_are_shifted_as_tokens() -> None:
    values = torch.tensor([[3, 4, 5, 6, 0, 0], [9, 9, 8, 7, 1, 2]], dtype=torch.uint8)
    entries = (Shift(shift="corruption"), Shift(shift="segment_deletion"))
    for seed in range(20):
        views = augmented(values, entries, seeded(seed), "tokens")
        assert views.max() <= 20
        # Pads stand at the end alone.
        assert ((views == 0).int().diff(dim=1) >= 0).all()
