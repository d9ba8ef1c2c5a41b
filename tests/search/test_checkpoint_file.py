from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.search.checkpoint_file import CheckpointFile, identity
from allocsearch.training.checkpoint import Checkpoint
from allocsearch.training.epoch import Epoch

EPOCHS = (Epoch(1, 2, -3.0, (0.5,)), Epoch(2, 2, -2.0, (0.75,)))
ONE = Checkpoint(EPOCHS[:1], {"model.w": torch.arange(3.0)})
TWO = Checkpoint(EPOCHS, {"model.w": torch.arange(3.0) + 1})


def test_the_last_one_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "4-2-0.safetensors"
    file = CheckpointFile(path, "this", every=0)
    assert file.read() is None
    file.keep(lambda: ONE)
    file.keep(lambda: TWO)
    found = CheckpointFile(path, "this", every=0).read()
    assert found is not None
    assert found.history == TWO.history
    assert torch.equal(found.tensors["model.w"], TWO.tensors["model.w"])
    assert CheckpointFile(path, "that", every=0).read() is None
    assert [*tmp_path.rglob("*.safetensors")] == [path]


def test_not_every_epoch_is_written(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "x", "this", every=3600)

    def costly() -> Checkpoint:
        raise AssertionError("captured for nothing")

    file.keep(costly)
    assert file.read() is None


def test_a_disk_that_is_full_costs_the_checkpoint_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    file = CheckpointFile(tmp_path / "file" / "x", "this", every=0)
    with caplog.at_level(logging.WARNING):
        file.keep(lambda: ONE)
    [record] = caplog.records
    assert "no checkpoint" in record.getMessage()
    assert file.read() is None


def test_equal_trainings_alone_go_on_from_each_other() -> None:
    model, training = ModelSection(), TrainingSection()
    first = identity(Allocation((4, 2)), 1, model, training, "data")
    assert first == identity(Allocation((4, 2)), 1, ModelSection(), TrainingSection(), "data")
    others = [
        identity(Allocation((2, 4)), 1, model, training, "data"),
        identity(Allocation((4, 2)), 2, model, training, "data"),
        identity(Allocation((4, 2)), 1, ModelSection(hidden=7), training, "data"),
        identity(Allocation((4, 2)), 1, model, TrainingSection(epochs=7), "data"),
        identity(Allocation((4, 2)), 1, model, training, "other data"),
    ]
    assert len({first, *others}) == 6
