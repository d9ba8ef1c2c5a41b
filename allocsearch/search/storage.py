"""Where a study is kept: the run folder and the Optuna storage in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import optuna
from optuna.exceptions import OptunaError
from sqlalchemy.exc import SQLAlchemyError

from allocsearch.config import InputError, StudyConfig, load

CONFIG_NAME = "study.toml"
DATABASE_NAME = "study.db"


class StorageError(RuntimeError):
    """The storage of a study cannot be used."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the block ends, unless it raises.

    A reader, or a killed writer, leaves the old or the new one whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files for the owner alone; results are shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a killed writer, leaves the old or the new one whole."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def load_run_config(folder: Path) -> StudyConfig:
    """The resolved config of a run folder.

    Raises:
        InputError: If `folder` is no run folder, or its study.toml cannot be read.
    """
    if not (folder / CONFIG_NAME).is_file():
        raise InputError(f"{folder}: not a run folder (no {CONFIG_NAME} in it)")
    return load(folder / CONFIG_NAME)


def open_storage(config: StudyConfig, folder: Path) -> optuna.storages.BaseStorage:
    """The storage of a study: `study.storage`, or SQLite in the run folder."""
    url = config.study.storage or f"sqlite:///{(folder / DATABASE_NAME).resolve()}"
    # Several workers write to one SQLite file; each waits for its turn rather than fail.
    arguments = {"connect_args": {"timeout": 120}} if url.startswith("sqlite") else {}
    return optuna.storages.RDBStorage(url, engine_kwargs=arguments)


def open_study(config: StudyConfig, folder: Path, *, create: bool = False) -> optuna.Study:
    """The study of a run folder.

    Args:
        config: Its config.
        folder: The run folder.
        create: Make the study where it is missing. Reading must not: a run may be about to.

    Raises:
        StorageError: If the storage cannot be read or written, or its driver is not installed, or
            if there is no study and none is to be made.
    """
    if not create and config.study.storage is None and not (folder / DATABASE_NAME).is_file():
        raise StorageError(f"{folder}: no trials yet (no {DATABASE_NAME} in it)")
    # What is said of a study is said by this program, in its own words.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = open_storage(config, folder)
        if not create:
            return optuna.load_study(study_name=config.study.name, storage=storage)
        return optuna.create_study(
            study_name=config.study.name,
            storage=storage,
            directions=[objective.direction for objective in config.study.parsed_objectives],
            load_if_exists=True,
        )
    except (OptunaError, SQLAlchemyError, ImportError) as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise StorageError(f"{folder}: the storage cannot be opened: {cause}") from error
