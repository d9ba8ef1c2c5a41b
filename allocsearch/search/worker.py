"""A worker process: claims trials, trains and measures them, tells the study."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig
from allocsearch.data.splits import SearchData, load_search_data
from allocsearch.search.identity import own_identity
from allocsearch.search.objective import Candidate, Outcome, save_outcome, train_and_measure
from allocsearch.search.records import (
    BROKEN_INVARIANTS,
    METRICS,
    PROGRESS,
    PROVENANCE,
    SCORE,
    SEED,
)
from allocsearch.search.resources import population_size
from allocsearch.search.slots import STOPPED, claim, fail, requeue
from allocsearch.search.storage import open_study
from allocsearch.spaces import build_space
from allocsearch.training.loop import Epoch

logger = logging.getLogger(__name__)

# Seconds between two reports of the progress of one trial.
_REPORT_EVERY = 1.0


class StoppedError(Exception):
    """The worker was asked to stop, or the process that started it is gone."""


def trial_folder(folder: Path, number: int) -> Path:
    """Where the files of a trial are kept."""
    return folder / "trials" / str(number)


def work(
    study: optuna.Study,
    config: StudyConfig,
    folder: Path,
    data: SearchData,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Run waiting trials until none is left.

    Args:
        study: The study.
        config: Its config.
        folder: Its run folder.
        data: The data of the search.
        check: Called often; when it raises StoppedError, the trial at hand is put back and the
            work ends.
    """
    space = build_space(config.search_space)
    identity = own_identity()
    together = population_size(config, data)

    def proposed() -> Iterator[tuple[optuna.Trial, Allocation]]:
        while (trial := claim(study, config, space, identity, folder)) is not None:
            yield trial, space.suggest(trial)

    while trials := list(islice(proposed(), together)):
        try:
            run_trials(trials, study, config, folder, data, check)
        except StoppedError:
            requeue(study, config, lambda worker: worker == identity, STOPPED)
            return


def run_trials(
    trials: Sequence[tuple[optuna.Trial, Allocation]],
    study: optuna.Study,
    config: StudyConfig,
    folder: Path,
    data: SearchData,
    check: Callable[[], None],
) -> None:
    """Run claimed trials to their ends, in one training, and record each; failures, too."""
    reporters = [_progress_reporter(trial) for trial, _ in trials]
    left = [trial for trial, _ in trials]
    try:
        check()
        for index, outcome in train_and_measure(
            [Candidate(allocation, trial.user_attrs[SEED]) for trial, allocation in trials],
            data,
            config.model,
            config.training,
            config.evaluation,
            lambda index, epoch: reporters[index](epoch),
            check,
        ):
            trial = trials[index][0]
            if isinstance(outcome, Outcome):
                save_outcome(outcome, trial_folder(folder, trial.number), config.evaluation.keep)
                _record_outcome(study, trial, config, outcome)
            else:
                _record_failure(study, trial, str(outcome))
            left.remove(trial)
    except (RuntimeError, ValueError, MemoryError, ArithmeticError) as error:
        for trial in left:
            logger.error("trial %d failed\n%s", trial.number, traceback.format_exc())
            _record_failure(study, trial, f"{type(error).__name__}: {error}")


def _progress_reporter(trial: optuna.Trial) -> Callable[[Epoch], None]:
    reported = 0.0

    def report(epoch: Epoch) -> None:
        nonlocal reported
        if time.monotonic() - reported >= _REPORT_EVERY or epoch.epoch == epoch.epochs:
            trial.set_user_attr(PROGRESS, vars(epoch))
            reported = time.monotonic()

    return report


def _record_failure(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    frozen = study.get_trials(deepcopy=False)[trial.number]
    try:
        fail(study, frozen, " ".join(reason.split()))
    except UpdateFinishedTrialError:
        logger.warning("trial %d was ended by another process", trial.number)


def _record_outcome(
    study: optuna.Study, trial: optuna.Trial, config: StudyConfig, outcome: Outcome
) -> None:
    measurement = outcome.measurement
    values = [measurement.metrics[o.metric] for o in config.study.parsed_objectives]
    try:
        trial.set_user_attr(METRICS, dict(measurement.metrics))
        trial.set_user_attr(SCORE, measurement.score)
        trial.set_user_attr(PROVENANCE, dict(outcome.provenance))
        trial.set_user_attr(BROKEN_INVARIANTS, list(measurement.broken_invariants))
        study.tell(trial, values)
    except UpdateFinishedTrialError:
        # Another process took this worker for dead and put the trial back.
        logger.warning("trial %d was ended by another process", trial.number)


def main(config: StudyConfig, folder: Path, log: Path) -> None:
    """The body of a worker process that `allocsearch run` starts.

    It stops at SIGTERM, or when the process that started it is gone; SIGINT is left to that one.

    Args:
        config: The study.
        folder: Its run folder.
        log: File for warnings and errors.
    """
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    _redirect_output(log)
    # The system's parent process may be another one, or have changed before this line.
    parent = multiprocessing.parent_process()

    def check() -> None:
        if stop.is_set() or (parent is not None and not parent.is_alive()):
            raise StoppedError

    study = open_study(config, folder)
    work(study, config, folder, load_search_data(config.data), check)


def _redirect_output(log: Path) -> None:
    """Send all output to the log: the terminal belongs to the process that started this one."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(descriptor, sys.stdout.fileno())
    os.dup2(descriptor, sys.stderr.fileno())
    os.close(descriptor)
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
