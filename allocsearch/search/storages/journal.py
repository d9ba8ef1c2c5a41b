"""Optuna's journal: a file that machines with a shared file system write to."""

from __future__ import annotations

import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from allocsearch.search.storages.lease import shared_lock


class _AppendLock(BaseJournalFileLock):
    """Held while a line is appended; takes away what a writer that failed left of one."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._lock = shared_lock(journal.with_name(f".{journal.name}.lock"))

    def acquire(self) -> bool:
        self._lock.acquire()
        try:
            _cut_off_half_line(self._journal)
        except BaseException:
            self._lock.release()
            raise
        return True

    def release(self) -> None:
        self._lock.release()


def _cut_off_half_line(journal: Path) -> None:
    # What is appended to half a line is lost with it, and no journal can be read beyond.
    with journal.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        start = end
        while start > 0:
            start = max(0, start - 4096)
            file.seek(start)
            newline = file.read(4096).rfind(b"\n")
            if newline >= 0:
                whole = start + newline + 1
                break
        else:
            whole = 0
        if whole < end:
            file.truncate(whole)


def journal_storage(path: Path) -> JournalStorage:
    """The storage in a journal file, which is made where it is missing."""
    return JournalStorage(JournalFileBackend(str(path), _AppendLock(path)))


def journal_file(storage: JournalStorage) -> Path:
    """The file of a storage that is a journal; Optuna keeps it in private attributes."""
    return Path(storage._backend._file_path)  # type: ignore[attr-defined]
