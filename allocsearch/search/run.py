"""A run: its run folder, the trials of its study, and their way to the end."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig
from allocsearch.search import worker
from allocsearch.search.abandoned import DEAD
from allocsearch.search.executors.executor import Executor, WorkerError
from allocsearch.search.executors.supervisor import Supervisor
from allocsearch.search.folder_lock import held
from allocsearch.search.identity import is_dead
from allocsearch.search.interruptions import interruptions, obeyed
from allocsearch.search.prediction import THEORY_NAME, read_prediction, write_prediction
from allocsearch.search.published import check_published, publish
from allocsearch.search.records import StudyRecord, read_study
from allocsearch.search.same_study import check_same
from allocsearch.search.sampling.warm_start import WarmStart, warm_starts
from allocsearch.search.slots import fill, requeue
from allocsearch.search.storage import (
    CONFIG_NAME,
    PATIENCE,
    check_storage,
    load_run_config,
    open_study,
    write_atomically,
)
from allocsearch.search.tracking.installed import check_trackers
from allocsearch.search.tracking.tracker import tracking
from allocsearch.search.trainers import build_trainer
from allocsearch.spaces import Space, build_space

# A study without data does without torch, too.
if TYPE_CHECKING:
    from allocsearch.data.splits import SearchData

logger = logging.getLogger(__name__)

_LOCK_NAME = ".lock"


def prepare(config: StudyConfig, folder: Path) -> StudyConfig:
    """Make the run folder, or check that an existing one belongs to the same study.

    Everything that can be wrong with the input is found before anything is written. What the
    chain predicts from the data is written to `theory.json`, where it predicts anything.

    Returns:
        The study that the folder is for, with the steps that the layers of the model can take.

    Raises:
        InputError: If data is missing, too small or not for the model, the model's layers cannot
            take the steps or the budget, there is no such function or program to train with, the
            driver of the storage is not installed, the artifact store cannot be written to, or
            the folder belongs to another study.
        StorageError: If the storage cannot be opened.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: not a folder")
    started = (folder / CONFIG_NAME).exists()
    if (
        not started
        and folder.is_dir()
        and any(not path.name.startswith(".") for path in folder.iterdir())
    ):
        # Hidden files are left by a run that was killed while it made the folder.
        raise InputError(f"{folder}: not empty, and not a run folder (no {CONFIG_NAME} in it)")
    data = _load_data(config)
    if data is not None and not config.trainer.foreign:
        config = _for_own_model(config, data)
    if started:
        check_same(
            config,
            load_run_config(folder),
            has=f"{folder}: belongs to a study with",
            choose="choose another study.name or remove the folder",
        )
    if config.trainer.foreign:
        # What is missing for it is found when it is built.
        build_trainer(config)
    elif data is not None:
        from allocsearch.search.resources import check_resources

        _check_validation_size(config, data)
        if config.study.executor == "processes":
            # What a node of a cluster has, its workers see.
            check_resources(config, data)
    check_trackers(config.tracking)
    check_storage(config, folder)
    if config.study.artifacts is not None:
        # It brings the libraries of S3.
        from allocsearch.search.artifacts.opening import check_store

        check_store(config.study.artifacts)
    # What an existing run goes on with is written once that run is known to be possible.
    if not started:
        write_atomically(folder / CONFIG_NAME, config.to_toml())
    if data is not None and not (folder / THEORY_NAME).exists():
        from allocsearch.search.predictor import predict_study

        try:
            write_prediction(predict_study(config, data.train), folder)
        except InputError as error:
            # The trials do not need it.
            logger.warning("no prediction: %s", error)
    return config


def _load_data(config: StudyConfig) -> SearchData | None:
    if config.data is None:
        return None
    from allocsearch.data.splits import load_search_data

    return load_search_data(config.data)


def _for_own_model(config: StudyConfig, data: SearchData) -> StudyConfig:
    """The study with steps that the layers of its model can take."""
    from allocsearch.search.compatibility import check_all
    from allocsearch.search.steps import with_steps

    check_all(data, config.model, config.training, config.evaluation)
    return with_steps(config, data.train.shape)


def _check_validation_size(config: StudyConfig, data: SearchData) -> None:
    widest = _widest(config)
    if len(data.validation) <= widest:
        raise InputError(
            f"data.validation_size: found {len(data.validation)} examples; allowed: more than "
            f"{widest}, the widest layer, to estimate its covariance"
        )


def _widest(config: StudyConfig) -> int:
    """An upper bound on the dims of a layer that the space can propose, mostly the least one."""
    space = config.search_space
    if space.kind == "table":
        return max(max(Allocation.parse(text).dims) for text in space.allocations)
    return max(max(lattice.highest) for lattice in space.lattices().values())


def run_study(
    config: StudyConfig,
    folder: Path,
    executor: Executor,
    on_poll: Callable[[StudyRecord], None] = lambda record: None,
) -> StudyRecord:
    """Run a study to its end, or go on with it, with `study.workers` workers.

    Args:
        config: The study.
        folder: Its run folder, from `prepare`.
        executor: What runs the workers.
        on_poll: Called about once a second with the study as it stands.

    Raises:
        InputError: If another run holds the folder, the study of this name in the storage is
            another one or has another artifact store, or more trials have begun than are wanted.
        WorkerError: If the workers die before they begin a trial, or the artifact store fails.
        StorageError: If the storage cannot be opened.
        StorageLostError: If the storage fails for long.
        KeyboardInterrupt: After SIGINT or SIGTERM, once the workers have put their trials back.
    """
    lock = held(folder / _LOCK_NAME, f"{folder}: another run of this study is going on")
    with lock, interruptions() as interrupts, obeyed(interrupts):
        using = replace(PATIENCE, give_up=lambda: bool(interrupts))
        study = open_study(config, folder, create=True, using=using)
        check_published(study, config)
        # What is not ours in the storage is refused before anything is changed there.
        read_study(study, config, folder)
        _register_store(study, config, folder)
        requeue(study, config, is_dead, DEAD)
        space = build_space(config.search_space)
        fill(study, config, space, _first_trials(config, folder, space))
        publish(study, config)
        write_atomically(folder / CONFIG_NAME, config.to_toml())
        supervisor = Supervisor(config, folder, study, executor, interrupts)
        with tracking(config, study, folder) as tracker:
            try:
                while not interrupts:
                    _check_folder(folder)
                    record = read_study(study, config, folder)
                    on_poll(record)
                    if record.finished >= record.wanted:
                        supervisor.see_off()
                        # Of trials that no attempt will go on with.
                        shutil.rmtree(folder / worker.CHECKPOINTS, ignore_errors=True)
                        tracker.end(record, lambda: bool(interrupts))
                        return record
                    tracker.tell(record)
                    supervisor.tend(record)
            finally:
                supervisor.stop()
        raise KeyboardInterrupt


def _register_store(study: optuna.Study, config: StudyConfig, folder: Path) -> None:
    if config.study.artifacts is not None:
        from allocsearch.search.artifacts.registration import register_store

        register_store(study, config, folder)


def _check_folder(folder: Path) -> None:
    # Whoever has its files open does not notice by itself, and writes to what nobody will find.
    if not (folder / CONFIG_NAME).is_file():
        raise WorkerError(
            f"{folder}: removed while the study ran (no {CONFIG_NAME} in it); the same command "
            "goes on with what is in the storage, if that was elsewhere"
        )


def _first_trials(config: StudyConfig, folder: Path, space: Space) -> tuple[WarmStart, ...]:
    prediction = read_prediction(folder) if config.study.warm_start == "theory" else None
    return warm_starts(prediction, space) if prediction else ()
