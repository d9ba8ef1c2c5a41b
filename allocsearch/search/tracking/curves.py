"""The curves of trainings that are going on, as event files of TensorBoard."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from allocsearch.search.tracking.event_writer import event_writer

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

# What says how far a training is.
_POSITION = ("epoch", "epochs", "progress", "pretrain_epoch", "pretrain_epochs")


class TrainingCurves:
    """Writes what trainings tell of themselves while they run.

    What goes wrong is told once, and costs the curve alone.

    Args:
        epochs: Of a full training; a shorter one is of a rung, and has a folder of its own. None
            where the trainer is not ours to know.
    """

    def __init__(self, epochs: int | None) -> None:
        self._epochs = epochs
        self._writers: dict[Path, SummaryWriter | None] = {}
        self._steps: dict[Path, int] = {}
        self._told = False

    def add(self, folder: Path, progress: Mapping[str, float]) -> None:
        """Write one report of a training.

        The step is the epoch, or the count of the reports where they tell of none. An attempt that
        begins at an earlier step than the last one stopped at takes its place from there on. A
        pretraining has a curve of its own.

        Args:
            folder: Its event folder.
            progress: As `Hooks.progress` gets it.
        """
        numbers = {key: value for key, value in progress.items() if key not in _POSITION}
        if not numbers:
            return
        place = self._place(folder, progress)
        self._steps[place] = self._steps.get(place, 0) + 1
        known = progress.get("epoch", progress.get("pretrain_epoch", self._steps[place]))
        step = int(known)
        try:
            if place not in self._writers:
                self._writers[place] = None
                self._writers[place] = event_writer(place, purge_step=step)
            writer = self._writers[place]
            if writer is None:
                return
            for key, value in numbers.items():
                writer.add_scalar(f"training/{key}", value, step)
        # A tracker never costs a trial, whatever it or the disk does.
        except Exception as error:  # noqa: BLE001
            self._writers[place] = None
            self._tell(error)

    def close(self) -> None:
        """End the curves of all trainings so far."""
        for writer in self._writers.values():
            if writer is None:
                continue
            try:
                writer.close()
            except Exception as error:  # noqa: BLE001
                self._tell(error)
        self._writers.clear()
        self._steps.clear()

    def _place(self, folder: Path, progress: Mapping[str, float]) -> Path:
        epochs = progress.get("epochs")
        if self._epochs is not None and epochs not in (None, self._epochs):
            folder = folder / f"rung of {epochs:.0f} epochs"
        return folder / "pretraining" if "pretrain_epoch" in progress else folder

    def _tell(self, error: Exception) -> None:
        if not self._told:
            logger.warning("tracking.tensorboard: %s; trainings go on without curves", error)
        self._told = True
