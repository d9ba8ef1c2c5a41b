"""Final metrics and hyperparameters of trials, as event files of TensorBoard."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from allocsearch.search.records import TrialRecord
from allocsearch.search.tracking.event_folder import event_folder
from allocsearch.search.tracking.event_writer import event_writer
from allocsearch.search.tracking.hyperparameters import hyperparameters

# It comes after the files of curves, which have a time there: TensorBoard reads them in order.
FINAL_NAME = "events.out.tfevents.final"


class FinalEvents:
    """Writes a file for each complete trial, beside the curve of its training.

    Args:
        folder: The run folder.
    """

    name = "tracking.tensorboard"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def log(self, trial: TrialRecord) -> None:
        """Write what a trial has ended with, unless it is there; whole or not at all.

        Args:
            trial: One that has ended. Only a complete one has metrics; others are left out.

        Raises:
            ImportError: If TensorBoard is not installed.
            OSError: If the files cannot be written.
        """
        if trial.state != "complete" or trial.allocation is None:
            return
        place = event_folder(self._folder, trial.allocation, trial.replicate or 0)
        if (place / FINAL_NAME).exists():
            return
        from torch.utils.tensorboard.summary import hparams

        metrics = {f"metrics/{name}": value for name, value in trial.metrics.items()}
        place.mkdir(parents=True, exist_ok=True)
        # Hidden, and not where TensorBoard looks.
        with tempfile.TemporaryDirectory(prefix=".tensorboard.", dir=self._folder) as temporary:
            with event_writer(Path(temporary)) as writer:
                for summary in hparams(hyperparameters(trial), metrics):  # type: ignore[no-untyped-call]
                    writer.file_writer.add_summary(summary)
                for name, value in metrics.items():
                    writer.add_scalar(name, value)
                writer.flush()
            [path] = Path(temporary).iterdir()
            os.replace(path, place / FINAL_NAME)
