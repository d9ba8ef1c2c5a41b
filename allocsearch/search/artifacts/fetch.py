"""The files of a trial, fetched from an artifact store where the run folder has them not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from optuna.artifacts.exceptions import ArtifactNotFound

from allocsearch.config import InputError
from allocsearch.search.artifacts.links import StoredFile, stored_files
from allocsearch.search.artifacts.opening import PatientStore, open_store
from allocsearch.search.records import StudyRecord
from allocsearch.search.storage import NO_PATIENCE, open_study, replacing, trial_folder

_BLOCK = 1 << 20


def trial_files(record: StudyRecord, number: int) -> tuple[Path, ...]:
    """The files of a trial in the run folder; those that are not there are fetched.

    Args:
        record: The study.
        number: Of the trial.

    Raises:
        InputError: If they are neither there nor in an artifact store, or the store has others.
        ArtifactStoreLostError: If the store fails.
    """
    trial = open_study(record.config, record.folder).get_trials(deepcopy=False)[number]
    files = stored_files(number, trial.system_attrs)
    folder = trial_folder(record.folder, number)
    if files:
        if all(_is_there(folder / file.filename, file) for file in files):
            return tuple(folder / file.filename for file in files)
        url = record.config.study.artifacts
        if url is None:
            raise InputError(
                f"{record.folder}: the files of trial {number} are in an artifact store, and its "
                "study.toml has no study.artifacts"
            )
        return fetch_files(files, folder, open_store(url, NO_PATIENCE))
    found = tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
    if not found:
        raise InputError(
            f"{folder}: the files of trial {number} are not here, but in the run folder of the "
            "worker that trained it; with study.artifacts they are where all find them"
        )
    return found


def fetch_files(
    files: Sequence[StoredFile], folder: Path, store: PatientStore
) -> tuple[Path, ...]:
    """Make sure that a folder has files of a store, each as it was when it was put there.

    Args:
        files: What to have.
        folder: Where; made where it is missing.
        store: Where they are.

    Returns:
        Their paths.

    Raises:
        InputError: If the store has lost one or has another one, or a symbolic link would lead it
            out of the folder.
        ArtifactStoreLostError: If the store fails.
    """
    return tuple(_fetched(file, folder, store) for file in files)


def _fetched(file: StoredFile, folder: Path, store: PatientStore) -> Path:
    path = folder / file.filename
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path}: leads out of {folder}")
    if _is_there(path, file):
        return path
    try:
        reader = store.open_reader(file.artifact_id)
    except ArtifactNotFound:
        raise InputError(
            f"{path}: the artifact store has no {file.artifact_id}; removed, or the store of "
            "another study"
        ) from None
    with reader, replacing(path) as written:
        digest, size = hashlib.sha256(), 0
        while size <= file.size and (block := reader.read(_BLOCK)):
            digest.update(block)
            size += len(block)
            written.write(block)
        if (size, digest.hexdigest()) != (file.size, file.sha256):
            raise InputError(
                f"{path}: {file.artifact_id} in the artifact store is not the file of "
                f"{file.size} bytes that was put there"
            )
    return path


def _is_there(path: Path, file: StoredFile) -> bool:
    try:
        with path.open("rb") as content:
            same = hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
    except OSError:
        return False
    return same
