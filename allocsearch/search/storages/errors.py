"""What can be wrong with a storage, each in one line that holds no password."""

from __future__ import annotations

from optuna.exceptions import StorageInternalError


class StorageError(RuntimeError):
    """The storage of a study cannot be used."""


class StorageLostError(RuntimeError):
    """A storage fails, and did so for as long as was waited for it.

    Attributes:
        what: That which fails.
        cause: What failed, in one line.
    """

    what = "the storage"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"{self.what} fails: {cause}; what has finished is kept, and the same command goes on"
        )
        self.cause = cause


class FilesLostError(StorageLostError):
    """The files of trials cannot be kept."""


class RunFolderLostError(FilesLostError):
    """A run folder cannot be written to, as on a disk that is full."""

    what = "the run folder"


class ArtifactStoreLostError(FilesLostError):
    """An artifact store fails for good, or did so for as long as was waited for it."""

    what = "the artifact store"


class LockLostError(RuntimeError):
    """A lock was not held to the end of what it was to protect."""


def cause_of(error: BaseException) -> BaseException:
    """What a driver raised, where Optuna has put an error of its own around it."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return error.__cause__
    return error


def in_one_line(error: BaseException, secret: str | None = None) -> str:
    """The first line of an error, with `***` for `secret`."""
    cause = cause_of(error)
    # What grpc raises says it in `details`, and in many lines without it.
    details = getattr(cause, "details", None)
    text = str(details() if callable(details) else cause) or type(cause).__name__
    line = next(line for line in (*text.splitlines(), "") if line.strip() or not text.strip())
    return line.replace(secret, "***") if secret else line
