from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.checkpoint import Checkpoint, dump, parse
from allocsearch.training.epoch import Epoch
from allocsearch.training.loop import train

SECTION = TrainingSection(epochs=5, batch_size=16, device="cpu")
SHARED = SECTION.model_copy(update={"batch_seed": 3})
COMMON = SHARED.model_copy(update={"common_noise": True})
DENSE = ModelSection(hidden=16, depth=1)
CONV = ModelSection(blocks="conv", channels=4, depth=1)


def values() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (50, 1, 4, 4), generator=generator, dtype=torch.uint8)


def trained(
    section: TrainingSection,
    start: Checkpoint | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    model: ModelSection = DENSE,
) -> tuple[HVAE, tuple[Epoch, ...], list[Checkpoint]]:
    """A training, its epochs and its checkpoint after each."""
    kept: list[Checkpoint] = []
    # Other weights than those that the checkpoint has.
    hvae = build_model(Allocation((3, 2)), (1, 4, 4), model, 1 if start is None else 2)
    epochs = train(
        hvae,
        values(),
        section,
        7,
        on_epoch,
        start=start,
        on_checkpoint=lambda capture: kept.append(capture()),
    )
    return hvae, epochs, kept


def weights(model: HVAE) -> bytes:
    return b"".join(each.numpy().tobytes() for each in model.state_dict().values())


@pytest.mark.parametrize("section", [SECTION, SHARED, COMMON], ids=["own", "shared", "common"])
@pytest.mark.parametrize("model", [DENSE, CONV], ids=["dense", "conv"])
def test_a_training_goes_on_from_any_epoch_to_the_same_bits(
    section: TrainingSection, model: ModelSection
) -> None:
    whole, history, kept = trained(section, model=model)
    assert [len(each.history) for each in kept] == [1, 2, 3, 4, 5]
    for checkpoint in kept:
        read = parse(dump(checkpoint, "this"), "this")
        assert read is not None
        seen: list[Epoch] = []
        again, epochs, later = trained(section, read, seen.append, model)
        assert weights(again) == weights(whole)
        assert not again.training
        assert epochs == history
        assert seen == [*history[len(checkpoint.history) :]]
        # What is kept afterwards is what would have been kept: it can be interrupted again.
        for other, expected in zip(later, kept[len(checkpoint.history) :], strict=True):
            assert other.history == expected.history
            assert other.tensors.keys() == expected.tensors.keys()
            for name, tensor in expected.tensors.items():
                assert torch.equal(other.tensors[name], tensor), name


def test_taking_a_checkpoint_does_not_change_the_training() -> None:
    plain = build_model(Allocation((3, 2)), (1, 4, 4), DENSE, 1)
    train(plain, values(), SECTION, 7)
    assert weights(plain) == weights(trained(SECTION)[0])


def test_a_checkpoint_is_a_copy() -> None:
    _, _, kept = trained(SECTION)
    names = [name for name in kept[0].tensors if name.startswith("model.")]
    first, last = kept[0].tensors, kept[-1].tensors
    assert any(not torch.equal(first[name], last[name]) for name in names)


def test_a_checkpoint_of_something_else_is_none() -> None:
    checkpoint = trained(SECTION)[2][0]
    assert parse(dump(checkpoint, "this"), "that") is None


@given(st.integers(0, 400), st.binary(max_size=20))
def test_a_damaged_file_is_none(cut: int, rest: bytes) -> None:
    epochs = (Epoch(1, 2, -1.5, (0.5, 0.25)), Epoch(2, 2, -1.25, (0.75, 0.125)))
    content = dump(Checkpoint(epochs, {"model.w": torch.arange(6.0)}), "this")
    damaged = content[: min(cut, len(content) - 1)]
    assert parse(damaged, "this") is None
    assert parse(damaged + rest, "this") is None or damaged + rest == content
