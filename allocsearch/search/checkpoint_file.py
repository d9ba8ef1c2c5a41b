"""The file that a trial's training is kept in from time to time, until the trial has ended."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.search.storage import write_atomically
from allocsearch.training.checkpoint import Checkpoint, dump, parse

logger = logging.getLogger(__name__)

# Seconds of training that an interruption may cost, beside an epoch.
EVERY = 20.0


class CheckpointFile:
    """Keeps a training, and finds it again for a later attempt at the same one.

    Args:
        path: The file; made when there is something to keep.
        of: What is trained, from `identity`; a file of anything else is taken for none.
        every: Seconds between two checkpoints.
    """

    def __init__(self, path: Path, of: str, every: float) -> None:
        self._path = path
        self._of = of
        self._every = every
        self._last = time.monotonic()

    def read(self) -> Checkpoint | None:
        """Where an earlier attempt stood, or None where there is none that fits."""
        try:
            content = self._path.read_bytes()
        except OSError:
            return None
        return parse(content, self._of)

    def keep(self, capture: Callable[[], Checkpoint]) -> None:
        """Write a checkpoint, if the last one is old enough."""
        if time.monotonic() - self._last < self._every:
            return
        try:
            write_atomically(self._path, dump(capture(), self._of))
        except OSError as error:
            # The training is worth more than the chance to go on with it.
            logger.warning("%s: no checkpoint: %s", self._path, error.strerror or error)
        self._last = time.monotonic()


def identity(
    allocation: Allocation, seed: int, model: ModelSection, training: TrainingSection, data: str
) -> str:
    """What a training is, as a hash: equal ones can go on from each other's checkpoints.

    Args:
        allocation: What is trained.
        seed: Of the training.
        model: The model.
        training: The training.
        data: Fingerprint of the data.
    """
    sections = (model.model_dump(mode="json"), training.model_dump(mode="json"))
    parts = [str(allocation), seed, *sections, data, torch.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
