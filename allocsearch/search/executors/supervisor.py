"""The supervision of a run's workers, wherever they are."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import optuna

from allocsearch.config import InputError, StudyConfig
from allocsearch.search.abandoned import requeue_abandoned
from allocsearch.search.executors.executor import LOG_NAME, Executor, WorkerError
from allocsearch.search.identity import is_dead
from allocsearch.search.records import StudyRecord
from allocsearch.search.slots import STOPPED, requeue
from allocsearch.search.storages.heartbeat import Watch

_POLL = 1.0
_GRACE = 30.0
# For workers that end by themselves.
_LEAVE = 10.0
# Workers that may die without having begun a trial before the run gives up.
_FALSE_STARTS = 3


class Supervisor:
    """Keeps as many workers as there is work for.

    Args:
        config: The study.
        folder: Its run folder.
        study: The study in its storage.
        executor: What runs the workers.
        interrupts: The signals that this process has received, as they come.
    """

    def __init__(
        self,
        config: StudyConfig,
        folder: Path,
        study: optuna.Study,
        executor: Executor,
        interrupts: list[int],
    ) -> None:
        self._config = config
        self._folder = folder
        self._study = study
        self._executor = executor
        self._interrupts = interrupts
        self._false_starts = 0
        self._begun = 0
        self._watch = Watch(config.study.heartbeat)

    def tend(self, record: StudyRecord) -> None:
        """Bury the dead, put their trials back, start workers, and wait a moment.

        Args:
            record: The study as it stands.

        Raises:
            WorkerError: If the workers die before they begin a trial.
            InputError: If a worker says that no worker could train this study where it is.
        """
        failures = self._executor.ended()
        begun = sum(trial.state != "waiting" for trial in record.trials)
        if failures:
            self._false_starts = 0 if begun > self._begun else self._false_starts + 1
            if self._false_starts >= _FALSE_STARTS:
                log = self._folder / LOG_NAME
                lines = log.read_text(errors="replace").splitlines() if log.exists() else []
                last = f": {lines[-1]}" if lines else ""
                raise WorkerError(
                    f"the workers died at their start ({failures[0]}); see {log}{last}"
                )
        self._begun = begun
        requeue_abandoned(self._study, self._config, self._watch)
        waiting = sum(trial.state == "waiting" for trial in record.trials)
        wanted = min(self._config.study.workers, waiting + len(self._executor))
        while len(self._executor) < wanted:
            self._executor.start(self._config, self._folder)
        self._executor.wait(_POLL)
        if not len(self._executor):
            time.sleep(_POLL)

    def stop(self) -> None:
        """Let the workers put their trials back; kill those that do not within the grace time.

        A second SIGINT ends the grace time.
        """
        self._executor.terminate()
        self._wait_for_all(_GRACE)
        self._executor.kill()
        requeue(self._study, self._config, is_dead, STOPPED)

    def see_off(self) -> None:
        """Let the workers end by themselves, now that no trial waits; not for long.

        Ray aborts the process that cancels a task in the moment in which it ends (ray#54798).
        """
        self._wait_for_all(_LEAVE)

    def _wait_for_all(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        heard = len(self._interrupts)
        while len(self._executor):
            if time.monotonic() > deadline or len(self._interrupts) > heard:
                break
            self._executor.wait(_POLL)
            with suppress(InputError, WorkerError):
                self._executor.ended()
