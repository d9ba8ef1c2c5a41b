"""A worker that joins a study by its name in a storage, on any machine, at any time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import optuna

from allocsearch.config import InputError, StudyConfig
from allocsearch.search.abandoned import requeue_abandoned
from allocsearch.search.interruptions import interruptions, obeyed
from allocsearch.search.published import check_artifacts, check_data, published_config
from allocsearch.search.records import StudyRecord, read_study
from allocsearch.search.same_study import CHANGEABLE, LOCATION, check_same
from allocsearch.search.storage import (
    CONFIG_NAME,
    load_run_config,
    open_by_name,
    write_atomically,
)
from allocsearch.search.storages.claim_lock import claim_lock
from allocsearch.search.storages.heartbeat import Watch
from allocsearch.search.storages.patience import Patience
from allocsearch.search.trainer import Trainer
from allocsearch.search.trainers import build_trainer
from allocsearch.search.worker import StoppedError, work

# Seconds between two looks at a study whose trials all are in other hands.
_POLL = 2.0


def join(
    name: str,
    storage: str,
    runs: Path,
    on_poll: Callable[[StudyRecord], None] = lambda record: None,
    artifacts: str | None = None,
) -> StudyRecord:
    """Train trials of a study until all of its trials have ended.

    What it is to train, and by which settings, is read from the storage alone. The files of its
    trials are written to the run folder of the study in `runs`, which is made where it is missing.
    A trial whose worker gives no sign of life is put back by whoever notices, here or elsewhere.

    Args:
        name: The study, as in `study.name`.
        storage: URL of the storage, as it is reached from here, without a password.
        runs: Folder of run folders.
        on_poll: Called with the study as it stands: before the first trial, whenever none waits
            any more, and then every two seconds.
        artifacts: The artifact store of the study, as it is reached from here; None where it is
            reached as the study says.

    Returns:
        The study as it stands at the end.

    Raises:
        InputError: If there is no such study, its config is not what was recorded, the data here
            is not that of the study, the artifact store is not that of the study or cannot be
            written to, or the folder is another study's.
        StorageError: If the storage cannot be opened.
        StorageLostError: If it fails for long, or the artifact store does.
        KeyboardInterrupt: After SIGINT or SIGTERM, once the trial at hand is put back.
    """
    with interruptions() as interrupts, obeyed(interrupts):
        return _join(name, storage, artifacts, runs, lambda: bool(interrupts), on_poll)


def join_once(
    name: str, storage: str, runs: Path, sharing: int, stopped: Callable[[], bool]
) -> None:
    """Train trials of a study until none waits; whoever has started this sees to the others.

    Args:
        name: As for `join`.
        storage: As for `join`; it is waited for where it does not answer.
        runs: As for `join`.
        sharing: How many workers have their parts of the GPU that this one has.
        stopped: Asked often; once it says so, the trial at hand is put back and the work ends.

    Raises:
        InputError: As `join`, or if the study does not fit into the memory that is free here.
        StorageError: If the storage cannot be opened.
        StorageLostError: If it fails for long.
    """
    patience = Patience(give_up=stopped)
    study = open_by_name(name, storage, opening=patience, using=patience)
    config = _located(study, storage)
    part = config.study.model_copy(update={"workers": sharing})
    machine = config.model_copy(update={"study": part})
    _check_memory(config)
    trainer = _prepare(study, config, runs / name, machine)

    def check() -> None:
        if stopped():
            raise StoppedError

    work(study, config, runs / name, trainer, check)


def _check_memory(config: StudyConfig) -> None:
    """Refuse a study of which not one worker more has room here."""
    if config.trainer.foreign:
        return
    from allocsearch.data.splits import load_search_data
    from allocsearch.search.resources import check_resources

    section = config.study.model_copy(update={"workers": 1})
    data = load_search_data(config.own_data)
    check_resources(config.model_copy(update={"study": section}), data)


def _join(
    name: str,
    storage: str,
    artifacts: str | None,
    runs: Path,
    stopped: Callable[[], bool],
    on_poll: Callable[[StudyRecord], None],
) -> StudyRecord:
    study = open_by_name(name, storage, using=Patience(give_up=stopped))
    config = _located(study, storage, artifacts)
    folder = runs / config.study.name
    trainer = _prepare(study, config, folder, config)

    def check() -> None:
        if stopped():
            raise StoppedError

    watch = Watch(config.study.heartbeat)
    on_poll(read_study(study, config, folder))
    while True:
        work(study, config, folder, trainer, check)
        if stopped():
            raise KeyboardInterrupt
        record = read_study(study, config, folder)
        on_poll(record)
        if record.finished >= record.wanted:
            return record
        requeue_abandoned(study, config, watch)
        time.sleep(_POLL)
        # Whoever runs the study may have asked for more trials.
        config = _located(study, storage, artifacts)


def _located(study: optuna.Study, storage: str, artifacts: str | None = None) -> StudyConfig:
    """The config of a study, with storage and artifact store as they are reached from here."""
    config = published_config(study)
    here = {"storage": storage}
    if artifacts is not None:
        check_artifacts(study, artifacts, config)
        here["artifacts"] = artifacts
    section = config.study.model_copy(update=here)
    return config.model_copy(update={"study": section})


def _prepare(
    study: optuna.Study, config: StudyConfig, folder: Path, machine: StudyConfig
) -> Trainer:
    """The trainer and the run folder, once everything is known to be right.

    Args:
        study: The study.
        config: Its config.
        folder: Its run folder, which is made where it is missing.
        machine: The config with as many workers as share this machine.
    """
    if config.study.name != study.study_name:
        raise InputError(
            f"{study.study_name}: the config in the storage is of the study {config.study.name}"
        )
    new = not (folder / CONFIG_NAME).exists()
    if not new:
        check_same(
            config,
            load_run_config(folder),
            has=f"{folder}: belongs to a study with",
            choose="choose another --runs or remove the folder",
            but_for=CHANGEABLE | LOCATION,
        )
    trainer = build_trainer(machine)
    with claim_lock(study):
        check_data(study, trainer.fingerprint)
    if config.study.artifacts is not None:
        # They bring the libraries of S3.
        from allocsearch.search.artifacts.opening import check_store
        from allocsearch.search.artifacts.registration import check_registered

        check_store(config.study.artifacts, is_there=True)
        check_registered(study, config)
    if new:
        write_atomically(folder / CONFIG_NAME, config.to_toml())
    return trainer
