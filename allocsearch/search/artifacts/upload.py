"""The files of a finished training, put into an artifact store."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from optuna.storages import BaseStorage

from allocsearch.config import printable
from allocsearch.search.artifacts.links import StoredFile, is_file_name
from allocsearch.search.artifacts.opening import PatientStore

logger = logging.getLogger(__name__)


def upload_files(folder: Path, store: PatientStore, storage: BaseStorage, trial: int) -> None:
    """Put all files of a trial's folder into a store, and link each to the trial once it is there.

    Symbolic links, and files whose names other systems could not have, stay where they are; a
    line in the log says so of the latter.

    Args:
        folder: Of the trial.
        store: Where they go.
        storage: Of the study.
        trial: Id of the trial, as in `FrozenTrial._trial_id`.

    Raises:
        ArtifactStoreLostError: If the store fails.
        UpdateFinishedTrialError: If the trial has ended.
        RuntimeError: If a file cannot be read.
    """
    for path, name in _files(folder):
        try:
            content = path.open("rb")
        except OSError as error:
            raise RuntimeError(f"{path}: {error.strerror}") from None
        with content:
            file = put(content, name, store)
        storage.set_trial_system_attr(trial, *file.attribute)


def put(content: BufferedReader, name: str, store: PatientStore) -> StoredFile:
    """Put a file into a store, under a new id.

    Args:
        content: The file, from its beginning.
        name: As `StoredFile.filename`.
        store: Where it goes.

    Raises:
        ArtifactStoreLostError: If the store fails.
    """
    digest = hashlib.file_digest(content, "sha256").hexdigest()
    new = str(uuid.uuid4())
    file = StoredFile(artifact_id=new, filename=name, size=content.tell(), sha256=digest)
    store.write(new, content)
    return file


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files below a folder, with their names there."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        if is_file_name(name):
            yield path, name
        else:
            # Not every log can be written with the bytes of such a name.
            where = printable(str(path))
            logger.warning("%s: not uploaded: its name cannot be that of a file elsewhere", where)
