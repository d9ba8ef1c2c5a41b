"""Where a study is kept: the run folder and the Optuna storage in it."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import optuna
from optuna.exceptions import ExperimentalWarning
from sqlalchemy.engine import URL

from allocsearch.config import PASSWORD_VARIABLE, InputError, StudyConfig, load, suggestion
from allocsearch.search.storages.errors import StorageError, StorageLostError, in_one_line
from allocsearch.search.storages.opening import storage_at, storage_file
from allocsearch.search.storages.password import storage_password
from allocsearch.search.storages.patience import Patience
from allocsearch.search.storages.retries import with_retries

__all__ = [
    "CONFIG_NAME",
    "DATABASE_NAME",
    "NO_PATIENCE",
    "PATIENCE",
    "StorageError",
    "StorageLostError",
    "check_storage",
    "load_run_config",
    "open_by_name",
    "open_study",
    "replacing",
    "storage_url",
    "trial_folder",
    "write_atomically",
]

CONFIG_NAME = "study.toml"
DATABASE_NAME = "study.db"


PATIENCE = Patience()
NO_PATIENCE = Patience(seconds=0)


def trial_folder(folder: Path, number: int) -> Path:
    """Where a run folder keeps the files of a trial."""
    return folder / "trials" / str(number)


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
    except BaseException as error:
        os.unlink(temporary)
        # The system names no file that cannot be written on, as on a full disk.
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)
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


def open_study(
    config: StudyConfig,
    folder: Path,
    *,
    create: bool = False,
    opening: Patience = NO_PATIENCE,
    using: Patience = PATIENCE,
) -> optuna.Study:
    """The study of a run folder, in `study.storage` or in an SQLite file of the folder.

    Args:
        config: Its config.
        folder: The run folder.
        create: Make the study where it is missing. Reading must not: a run may be about to.
        opening: How long to try where the storage does not answer.
        using: The same for the storage once it is open; then its calls raise StorageLostError.

    Raises:
        InputError: If the driver of the storage is not installed, or the password cannot be read.
        StorageError: If the storage cannot be opened, is of another version of Optuna, or if there
            is no study and none is to be made.
    """
    name, file = config.study.name, storage_file(storage_url(config, folder))
    if not create and file is not None and not file.is_file():
        raise StorageError(f"{folder}: no trials yet (no {file.name} in {file.parent})")
    url = storage_url(config, folder)
    with _opening(str(folder), url):
        storage = _storage(url, opening, using)
        if create:
            directions = [objective.direction for objective in config.study.parsed_objectives]
            study = optuna.create_study(
                study_name=name, storage=storage, directions=directions, load_if_exists=True
            )
            _name_objectives(study, config)
            return study
        try:
            return optuna.load_study(study_name=name, storage=storage)
        except KeyError:
            raise StorageError(f"{folder}: no trials yet (no study {name} there)") from None


def _name_objectives(study: optuna.Study, config: StudyConfig) -> None:
    """Let Optuna's own tools show the objectives by their names."""
    names = [objective.metric for objective in config.study.parsed_objectives]
    if study.metric_names != names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(names)


def open_by_name(
    name: str, url: str, *, opening: Patience = NO_PATIENCE, using: Patience = PATIENCE
) -> optuna.Study:
    """A study that is in a storage.

    Args:
        name: Its name.
        url: The storage, without a password.
        opening: How long to try where it does not answer.
        using: How long to try once it is open.

    Raises:
        InputError: If the driver of the storage is not installed, the password cannot be read, or
            there is no such study.
        StorageError: If the storage cannot be opened.
    """
    file = storage_file(url)
    if file is not None and not file.is_file():
        raise StorageError(f"{url}: the storage cannot be opened: no file {file}")
    with _opening(url, url):
        storage = _storage(url, opening, using)
        try:
            return optuna.load_study(study_name=name, storage=storage)
        except KeyError:
            names = sorted(optuna.get_all_study_names(storage))
    if not names:
        raise InputError(f"{url}: found no study; `allocsearch run --storage` begins one")
    raise InputError(suggestion(name, names, f"{url}: found no study {name!r}"))


def check_storage(config: StudyConfig, folder: Path) -> None:
    """Find out whether the storage of a study can be opened, where it is not in the run folder.

    Raises:
        InputError: If its driver is not installed, or the password cannot be read.
        StorageError: If it cannot be opened.
    """
    if config.study.storage is not None:
        with _opening(str(folder), config.study.storage):
            _storage(config.study.storage, NO_PATIENCE, PATIENCE)


def storage_url(config: StudyConfig, folder: Path) -> str:
    """Where the study of a run folder is: `study.storage`, or an SQLite file of the folder."""
    if config.study.storage is not None:
        return config.study.storage
    file = str((folder / DATABASE_NAME).resolve())
    return URL.create("sqlite", database=file).render_as_string()


def _storage(url: str, opening: Patience, using: Patience) -> optuna.storages.BaseStorage:
    # What is said of a study is said by this program, in its own words.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Pages of SQL when a connection is lost; what comes of it is told by `Patience`.
    logging.getLogger("optuna.storages").setLevel(logging.ERROR)
    password = storage_password()
    opening, using = (replace(each, secret=password) for each in (opening, using))
    return with_retries(opening.call(lambda: storage_at(url, password)), using)


@contextmanager
def _opening(subject: str, url: str) -> Iterator[None]:
    """Raise a StorageError about `subject` for whatever a storage says that cannot be opened."""
    try:
        yield
    except StorageError:
        raise
    except StorageLostError as error:
        cause = error.cause
    except (RuntimeError, OSError) as error:
        cause = in_one_line(error, storage_password())
    else:
        return
    if "password" in cause.lower() and storage_password() is None:
        cause += f"; allowed: the password in the environment variable {PASSWORD_VARIABLE}"
    # Optuna names a variable for the URL, and the prompt of a shell.
    cause = cause.replace("$STORAGE_URL", url).replace("`$ ", "`")
    raise StorageError(f"{subject}: the storage cannot be opened: {cause}")
