"""Attributes that a storage seems to hold, for a reader of this process alone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.study._frozen import FrozenStudy

from allocsearch.config import InputError, StudyConfig
from allocsearch.report.dashboard.attributes import attributes
from allocsearch.search.records import StudyRecord, read_study
from allocsearch.search.storage import StorageError, StorageLostError

logger = logging.getLogger(__name__)

# Seconds between two looks at the study; making the plots takes a tenth of the time at most.
_EVERY = 5.0
_REST = 10.0


class Overlay:
    """Plots and notes of a study that is shown while it may be running.

    They are made anew in a thread whenever a trial has ended. Nobody waits for them, and nothing
    is written: the user's own notes, and all else in the storage, come first.

    Args:
        study: The study, in a storage that this process has for itself.
        config: Its config.
        folder: Its run folder.
    """

    def __init__(self, study: optuna.Study, config: StudyConfig, folder: Path) -> None:
        self._study = study
        self._config = config
        self._folder = folder
        self._made: Mapping[str, Any] = {}
        self._ended: frozenset[int] = frozenset()
        self._over = threading.Event()
        storage = study._storage
        found = storage.get_all_studies

        def get_all_studies() -> list[FrozenStudy]:
            studies = found()
            for each in studies:
                if each._study_id == study._study_id:
                    each.system_attrs = {**self._made, **each.system_attrs}
            return studies

        storage.get_all_studies = get_all_studies  # type: ignore[method-assign]
        # A daemon: a storage that hangs does not keep the program from ending.
        self._thread = threading.Thread(target=self._watch, name="plots", daemon=True)

    def start(self) -> None:
        """Begin to make them."""
        self._thread.start()

    def close(self) -> None:
        """Make no more."""
        self._over.set()

    def refresh(self) -> None:
        """Make them anew if a trial has ended since the last time.

        Raises:
            InputError: If the storage holds what no study records.
            StorageLostError: If it fails.
        """
        record = read_study(self._study, self._config, self._folder)
        ended = frozenset(trial.number for trial in record.trials if trial.finished)
        if ended != self._ended:
            self._made = attributes(record, self._ids(record))
            self._ended = ended

    def _ids(self, record: StudyRecord) -> dict[int, int]:
        trials = self._study.get_trials(deepcopy=False)
        return {trial.number: trial._trial_id for trial in trials[: len(record.trials)]}

    def _watch(self) -> None:
        told = False
        while not self._over.is_set():
            begun = time.monotonic()
            try:
                self.refresh()
            except (InputError, StorageError, StorageLostError) as error:
                if not told:
                    logger.warning("no plots of ours: %s", error)
                told = True
            # Nobody catches what a thread raises, and the dashboard does without.
            except Exception:
                logger.exception("no plots of ours")
                return
            self._over.wait(max(_EVERY, _REST * (time.monotonic() - begun)))
