"""An artifact store in a folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import FileSystemArtifactStore

from allocsearch.config import InputError
from allocsearch.search.storage import replacing


class FolderStore(FileSystemArtifactStore):
    """Optuna's store in a folder, but that a file is there whole or not at all.

    Args:
        folder: Made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write a file; a writer that is killed leaves none of this id."""
        with replacing(self._folder / artifact_id) as file:
            shutil.copyfileobj(content_body, file)


def check_folder(folder: Path, *, is_there: bool) -> None:
    """Find out whether files can be written to a folder, without making it.

    Args:
        folder: The folder.
        is_there: Whether it has to be there already.

    Raises:
        InputError: If they cannot, or the folder is missing that has to be there.
    """
    try:
        if folder.exists():
            if not folder.is_dir():
                raise NotADirectoryError(0, "not a folder", str(folder))
            with tempfile.TemporaryFile(dir=folder):
                return
        if is_there:
            raise InputError(
                f"study.artifacts: {folder}: no such folder here; allowed: the path that the "
                "artifact store of the study has on this machine, by --artifacts"
            )
        above = next(parent for parent in folder.parents if parent.exists())
        if not above.is_dir():
            raise NotADirectoryError(0, "not a folder", str(above))
        if not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(0, "cannot be written to", str(above))
    except OSError as error:
        # Not the file of the attempt.
        where = error.filename if error.errno == 0 else folder
        raise InputError(f"study.artifacts: {where}: {error.strerror or error}") from None
