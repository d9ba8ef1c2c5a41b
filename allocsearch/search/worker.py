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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig
from allocsearch.search.executors.executor import LOG_FORMAT
from allocsearch.search.identity import own_identity
from allocsearch.search.published import check_data
from allocsearch.search.records import (
    ALLOCATION,
    BROKEN_INVARIANTS,
    METRICS,
    PROGRESS,
    PROVENANCE,
    REPLICATE,
    RUNGS,
    SCORE,
    SEED,
    read_trial,
)
from allocsearch.search.rungs.judging import judge, may_judge, rungs_to_measure
from allocsearch.search.slots import STOPPED, claim, end_trial, requeue, storage_of
from allocsearch.search.storage import (
    PATIENCE,
    StorageError,
    StorageLostError,
    open_study,
    trial_folder,
)
from allocsearch.search.storages.claim_lock import claim_lock
from allocsearch.search.storages.errors import FilesLostError, RunFolderLostError
from allocsearch.search.storages.heartbeat import beating
from allocsearch.search.tracking.curves import TrainingCurves
from allocsearch.search.tracking.event_folder import event_folder
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task, Trainer
from allocsearch.search.trainers import build_trainer
from allocsearch.spaces import build_space

logger = logging.getLogger(__name__)

# Seconds between two reports of the progress of one trial.
_REPORT_EVERY = 1.0
# Folder of the trainings that are going on, by allocation and seed: attempts have other numbers.
CHECKPOINTS = "checkpoints"
# Of a trial whose worker was taken for dead, or that two took where a lock was lost.
_TAKEN = "was put back by another process; whoever has it now trains it"
# Exit code of a worker that can keep no files: another one could not either.
STORE_LOST = 3


class StoppedError(Exception):
    """The worker was asked to stop, or the process that started it is gone."""


def work(
    study: optuna.Study,
    config: StudyConfig,
    folder: Path,
    trainer: Trainer,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Run waiting trials until none is left.

    Args:
        study: The study.
        config: Its config.
        folder: Its run folder.
        trainer: What trains and measures.
        check: Called often; when it raises StoppedError, the trial at hand is put back and the
            work ends.

    Raises:
        FilesLostError: If the run folder cannot be written to, or the artifact store fails; the
            trial at hand is put back.
    """
    space = build_space(config.search_space)
    identity = own_identity()
    held: list[int] = []
    keep = _keeper(study, config, folder, check)
    curves = _curves(config)

    def track(trial: optuna.Trial, progress: Mapping[str, float]) -> None:
        if curves is not None:
            known = trial.user_attrs
            curves.add(event_folder(folder, known[ALLOCATION], known[REPLICATE]), progress)

    def proposed() -> Iterator[tuple[optuna.Trial, Allocation]]:
        while (trial := claim(study, config, space, identity, held.append)) is not None:
            try:
                allocation = space.suggest(trial)
            except UpdateFinishedTrialError:
                logger.warning("trial %d %s", trial.number, _TAKEN)
                continue
            yield trial, allocation

    with beating(storage_of(study), held, config.study.heartbeat):
        while trials := list(islice(proposed(), trainer.together)):
            try:
                run_trials(trials, study, config, folder, trainer, check, keep, track)
            except (StoppedError, FilesLostError) as error:
                requeue(study, config, lambda worker: worker == identity, STOPPED)
                if isinstance(error, StoppedError):
                    return
                raise
            finally:
                if curves is not None:
                    curves.close()
            held.clear()


def _keeper(
    study: optuna.Study, config: StudyConfig, folder: Path, check: Callable[[], None]
) -> Callable[[optuna.Trial], None]:
    """What puts the files of a finished training into the artifact store, where there is one."""
    if config.study.artifacts is None:
        return lambda trial: None
    # They bring the libraries of S3.
    from allocsearch.search.artifacts.opening import open_store
    from allocsearch.search.artifacts.upload import upload_files

    def stopped() -> bool:
        try:
            check()
        except StoppedError:
            return True
        return False

    store = open_store(config.study.artifacts, replace(PATIENCE, give_up=stopped))

    def keep(trial: optuna.Trial) -> None:
        files = trial_folder(folder, trial.number)
        upload_files(files, store, storage_of(study), trial._trial_id)

    return keep


def _curves(config: StudyConfig) -> TrainingCurves | None:
    """What writes the curves of trainings, where the study wants them."""
    if not config.tracking.tensorboard:
        return None
    return TrainingCurves(None if config.trainer.foreign else config.training.epochs)


def run_trials(
    trials: Sequence[tuple[optuna.Trial, Allocation]],
    study: optuna.Study,
    config: StudyConfig,
    folder: Path,
    trainer: Trainer,
    check: Callable[[], None],
    keep: Callable[[optuna.Trial], None] = lambda trial: None,
    track: Callable[[optuna.Trial, Mapping[str, float]], None] = lambda trial, progress: None,
) -> None:
    """Run claimed trials to their ends, in one call of the trainer, and record each.

    The files of one that has finished are handed to `keep` before the study is told; `track` gets
    all that trainings tell while they run.
    """
    tasks = [_task(study, trial, allocation, folder) for trial, allocation in trials]
    reporters = [_progress_reporter(trial) for trial, _ in trials]

    def at_rung(index: int, rung: float, metrics: Mapping[str, float]) -> None:
        try:
            _judge(study, trials[index][0], config, rung, metrics)
        except UpdateFinishedTrialError:
            raise PrunedError(_TAKEN) from None

    def report(index: int, progress: Mapping[str, float]) -> None:
        track(trials[index][0], progress)
        try:
            reporters[index](progress)
        except UpdateFinishedTrialError:
            # The others of a population go on.
            if len(trials) == 1:
                raise

    left = [trial for trial, _ in trials]
    try:
        check()
        hooks = Hooks(report, _rungs(study, config), at_rung, check)
        for index, result in trainer.run(tasks, hooks):
            trial = trials[index][0]
            if isinstance(result, Result):
                _record_result(study, trial, config, result, keep)
            elif isinstance(result, PrunedError):
                _record_end(study, trial, str(result), TrialState.PRUNED)
            else:
                _record_end(study, trial, str(result))
            left.remove(trial)
    except UpdateFinishedTrialError:
        # Whoever trains it now has the same checkpoint.
        logger.warning("trial %d %s", trials[0][0].number, _TAKEN)
        return
    except OSError as error:
        # No fault of the trainings either; what a function of the user raises is another error.
        raise RunFolderLostError(f"{error.filename or folder}: {error.strerror}") from error
    except FilesLostError:
        # A wish to stop is obeyed before the store is back.
        check()
        raise
    except StorageLostError:
        # No fault of the trainings: they are begun again.
        raise
    except (RuntimeError, ValueError, MemoryError, ArithmeticError) as error:
        for trial in left:
            logger.error("trial %d failed\n%s", trial.number, traceback.format_exc())
            _record_end(study, trial, f"{type(error).__name__}: {error}")
    # What is interrupted does not come here: its next attempt goes on from them.
    for task in tasks:
        if task.checkpoint is not None:
            task.checkpoint.unlink(missing_ok=True)


def _rungs(study: optuna.Study, config: StudyConfig) -> tuple[float, ...]:
    # To read a study with all its waiting trials is the dearest call of a storage.
    if not config.early_stopping.measured:
        return ()
    known = map(read_trial, study.get_trials(deepcopy=False))
    return rungs_to_measure(known, config.study.parsed_objectives, config.early_stopping)


def _task(study: optuna.Study, trial: optuna.Trial, allocation: Allocation, folder: Path) -> Task:
    # Checked: it becomes part of a path.
    seed = read_trial(storage_of(study).get_trial(trial._trial_id)).seed
    if seed is None:
        raise InputError(f"trial {trial.number}: no {SEED} in the storage")
    kept = folder / CHECKPOINTS / f"{allocation}-{seed}.safetensors"
    return Task(allocation, seed, trial_folder(folder, trial.number), kept)


def _progress_reporter(trial: optuna.Trial) -> Callable[[Mapping[str, float]], None]:
    reported = 0.0

    def report(progress: Mapping[str, float]) -> None:
        nonlocal reported
        ended = progress.get("progress") == 1 or (
            "epoch" in progress and progress["epoch"] == progress.get("epochs")
        )
        if ended or time.monotonic() - reported >= _REPORT_EVERY:
            trial.set_user_attr(PROGRESS, dict(progress))
            reported = time.monotonic()

    return report


def _judge(
    study: optuna.Study,
    trial: optuna.Trial,
    config: StudyConfig,
    rung: float,
    metrics: Mapping[str, float],
) -> None:
    """Record what a trial is at a rung, and stop it where the rung is trusted to do so."""
    objectives = config.study.parsed_objectives
    values = tuple(metrics[objective.metric] for objective in objectives)
    others = [
        read_trial(other)
        for other in study.get_trials(deepcopy=False)
        if other.number != trial.number
    ]
    section = config.early_stopping
    # Were only the lucky replicates of an allocation trained to the end, its mean would be biased.
    judged = not trial.user_attrs[REPLICATE] and may_judge(others, objectives, rung, section)
    # An earlier attempt may have been here.
    known = [each for each in trial.user_attrs.get(RUNGS, []) if each["rung"] < rung]
    trial.set_user_attr(RUNGS, [*known, {"rung": rung, "values": values, "judged": judged}])
    if judged and not judge(others, values, objectives, rung, section):
        share = f"1/{section.reduction_factor}"
        raise PrunedError(f"not among the best {share} at the rung {rung:g}")


def _record_end(
    study: optuna.Study, trial: optuna.Trial, reason: str, state: TrialState = TrialState.FAIL
) -> None:
    frozen = storage_of(study).get_trial(trial._trial_id)
    try:
        end_trial(study, frozen, " ".join(reason.split()), state)
    except UpdateFinishedTrialError:
        logger.warning("trial %d %s", trial.number, _TAKEN)


def _record_result(
    study: optuna.Study,
    trial: optuna.Trial,
    config: StudyConfig,
    result: Result,
    keep: Callable[[optuna.Trial], None],
) -> None:
    values = [result.metrics[o.metric] for o in config.study.parsed_objectives]
    try:
        keep(trial)
        trial.set_user_attr(METRICS, dict(result.metrics))
        trial.set_user_attr(SCORE, result.score)
        trial.set_user_attr(PROVENANCE, dict(result.provenance))
        trial.set_user_attr(BROKEN_INVARIANTS, list(result.broken_invariants))
        study.tell(trial, values)
    except UpdateFinishedTrialError:
        # Another process took this worker for dead and put the trial back.
        logger.warning("trial %d %s", trial.number, _TAKEN)


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

    try:
        patience = replace(PATIENCE, give_up=stop.is_set)
        study = open_study(config, folder, opening=patience, using=patience)
        trainer = build_trainer(config)
        with claim_lock(study):
            check_data(study, trainer.fingerprint)
        work(study, config, folder, trainer, check)
    except (InputError, StorageError, StorageLostError) as error:
        logger.error("%s", error)
        sys.exit(STORE_LOST if isinstance(error, FilesLostError) else 1)


def _redirect_output(log: Path) -> None:
    """Send all output to the log: the terminal belongs to the process that started this one."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(descriptor, sys.stdout.fileno())
    os.dup2(descriptor, sys.stderr.fileno())
    os.close(descriptor)
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
