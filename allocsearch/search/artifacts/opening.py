"""An artifact store by its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from optuna.artifacts.exceptions import ArtifactNotFound

from allocsearch.config import InputError, split_s3
from allocsearch.search.artifacts.folder_store import FolderStore, check_folder
from allocsearch.search.artifacts.s3_store import S3Store
from allocsearch.search.storages.errors import ArtifactStoreLostError
from allocsearch.search.storages.patience import Patience

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

T = TypeVar("T")

# Of Optuna's ids. Nothing else becomes a part of a path or a key.
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class PatientStore:
    """An artifact store whose calls are tried again while their errors may pass.

    Args:
        store: The store.
        patience: How long to try. After that, and where nothing is to be hoped for, calls raise
            ArtifactStoreLostError.
    """

    def __init__(self, store: ArtifactStore, patience: Patience) -> None:
        self._store = store
        self._patience = replace(patience, lost=ArtifactStoreLostError)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """A file of the store.

        Raises:
            ArtifactNotFound: If there is none of this id, or it is no id.
        """
        return self._call(lambda: self._store.open_reader(_checked(artifact_id)))

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write a file, which is there whole or not at all.

        Raises:
            ArtifactNotFound: If it is no id.
        """

        def attempt() -> None:
            content_body.seek(0)
            self._store.write(_checked(artifact_id), content_body)

        self._call(attempt)

    def remove(self, artifact_id: str) -> None:
        """Remove a file.

        Raises:
            ArtifactNotFound: If there is none of this id, or it is no id.
        """
        self._call(lambda: self._store.remove(_checked(artifact_id)))

    def _call(self, attempt: Callable[[], T]) -> T:
        try:
            return self._patience.call(attempt)
        except OSError as error:
            named = error.filename is not None and error.strerror is not None
            cause = f"{error.filename}: {error.strerror}" if named else str(error)
        raise ArtifactStoreLostError(cause)


def _checked(artifact_id: str) -> str:
    if not _ID.fullmatch(artifact_id):
        raise ArtifactNotFound(f"no id of an artifact: {artifact_id!r}")
    return artifact_id


def open_store(url: str, patience: Patience) -> PatientStore:
    """The artifact store at a place.

    Args:
        url: As `study.artifacts`.
        patience: How long to try what fails.

    Raises:
        InputError: If it needs what is not installed, or cannot be opened.
    """
    place = split_s3(url)
    return PatientStore(FolderStore(Path(url)) if place is None else _s3(url, *place), patience)


def check_store(url: str, *, is_there: bool = False) -> None:
    """Find out whether files can be written to an artifact store.

    Args:
        url: As `study.artifacts`.
        is_there: Whether a folder has to be there already.

    Raises:
        InputError: If they cannot.
    """
    place = split_s3(url)
    if place is None:
        check_folder(Path(url), is_there=is_there)
        return
    store = _s3(url, *place)
    try:
        store.check()
    except OSError as error:
        raise InputError(f"study.artifacts: {url}: {error}") from None


def _s3(url: str, bucket: str, prefix: str) -> S3Store:
    try:
        return S3Store(bucket, prefix)
    except OSError as error:
        raise InputError(f"study.artifacts: {url}: {error}") from None
