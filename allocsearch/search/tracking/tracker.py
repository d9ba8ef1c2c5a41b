"""Tells experiment trackers of the trials of a run, without the run having to wait."""

from __future__ import annotations

import logging
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import optuna

from allocsearch.config import StudyConfig, printable
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.storages.errors import in_one_line
from allocsearch.search.tracking.secrets import without_secrets

logger = logging.getLogger(__name__)

# Seconds after a failure until the next attempt.
_REST = 60.0
_POLL = 0.2
# Characters of an error: those of requests tell everything twice.
_LONGEST = 300


class Log(Protocol):
    """Where trials are logged."""

    @property
    def name(self) -> str:
        """The key of the study file that it is of."""

    def log(self, trial: TrialRecord) -> None:
        """Log a trial that has ended, unless that is done; raise whatever goes wrong."""


class Tracker:
    """Logs every trial that has ended, each in a thread that trials never wait for.

    A log that fails is told of once, and is tried again later: when it has rested, at the end of
    the study, and by the next run of the study, so that nothing is missing in the end.

    Args:
        logs: Where to.
    """

    def __init__(self, logs: Sequence[Log]) -> None:
        # One thread for all: what is imported for them is best imported by one.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tracking")
        self._logs = [_Progress(log) for log in logs]
        self._going_on: Future[None] | None = None

    def tell(self, record: StudyRecord) -> None:
        """Begin to log what has ended since the last call, unless that is still going on.

        Args:
            record: The study as it stands.
        """
        if self._logs and (self._going_on is None or self._going_on.done()):
            self._going_on = self._pool.submit(self._log, _ended(record))

    def end(self, record: StudyRecord, stopped: Callable[[], bool]) -> None:
        """Log all that is missing, and wait for that.

        Args:
            record: The study at its end.
            stopped: Asked often; once it says so, nothing is waited for any more.
        """
        if not self._logs:
            return
        for log in self._logs:
            log.rests_until = 0.0
        last = self._pool.submit(self._log, _ended(record))
        while not stopped() and wait([last], _POLL).not_done:
            pass

    def close(self) -> None:
        """Begin nothing more; the trial that is being logged is waited for."""
        for log in self._logs:
            log.is_over = True
        self._pool.shutdown(cancel_futures=True)

    def _log(self, ended: Sequence[TrialRecord]) -> None:
        for log in self._logs:
            log.catch_up(ended)


def _ended(record: StudyRecord) -> list[TrialRecord]:
    return [trial for trial in record.trials if trial.finished]


class _Progress:
    """How far a log is."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._done: set[int] = set()
        self._told = False
        self.rests_until = 0.0
        self.is_over = False

    def catch_up(self, ended: Sequence[TrialRecord]) -> None:
        for trial in ended:
            if trial.number in self._done:
                continue
            if self.is_over or time.monotonic() < self.rests_until:
                return
            try:
                self._log.log(trial)
            # A tracker never costs a trial, whatever it or the network does.
            except Exception as error:  # noqa: BLE001
                self.rests_until = time.monotonic() + _REST
                self._tell(error)
            else:
                self._done.add(trial.number)

    def _tell(self, error: Exception) -> None:
        if not self._told:
            said = textwrap.shorten(printable(without_secrets(in_one_line(error))), _LONGEST)
            logger.warning(
                "%s: %s; the study goes on, and what is missing there is logged later, at the "
                "latest by the same command",
                self._log.name,
                said,
            )
        self._told = True


@contextmanager
def tracking(config: StudyConfig, study: optuna.Study, folder: Path) -> Iterator[Tracker]:
    """The tracker of a run, which may have nothing to do.

    Args:
        config: The study.
        study: The same in its storage.
        folder: Its run folder.
    """
    logs: list[Log] = []
    if config.tracking.tensorboard:
        from allocsearch.search.tracking.final_events import FinalEvents

        logs.append(FinalEvents(folder))
    if config.tracking.mlflow is not None:
        from allocsearch.search.tracking.mlflow_runs import MLflowRuns

        objectives = [objective.metric for objective in config.study.parsed_objectives]
        logs.append(MLflowRuns(config.tracking.mlflow, study, objectives, folder))
    tracker = Tracker(logs)
    try:
        yield tracker
    finally:
        tracker.close()
