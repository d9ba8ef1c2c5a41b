"""The lock that workers hold, one after the other, while they claim a trial of a study."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import optuna
from optuna.storages import InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage

from allocsearch.search.storages.advisory_lock import advisory_lock
from allocsearch.search.storages.errors import LockLostError
from allocsearch.search.storages.journal import journal_file
from allocsearch.search.storages.lease import shared_lock
from allocsearch.search.storages.patience import Patience
from allocsearch.search.storages.retries import patience_of
from allocsearch.search.storages.ticket_lock import ticket_lock

_IN_THIS_PROCESS = threading.Lock()


def claim_lock(study: optuna.Study) -> AbstractContextManager[object]:
    """Hold the lock of a study, which belongs to its storage: all workers there know it.

    A holder that dies loses it, and so does one that is suspended for long, but for the lock of a
    database server. What was done under a lock that was lost may collide with what another has
    done, so the end of the block raises LockLostError then.
    """
    storage = study._storage
    if isinstance(storage, _CachedStorage):
        return _database_lock(storage._backend, study.study_name, patience_of(storage))
    if isinstance(storage, JournalStorage):
        return _file_lock(journal_file(storage))
    if isinstance(storage, InMemoryStorage):
        return _IN_THIS_PROCESS
    return ticket_lock(storage, study.study_name)


def _database_lock(
    storage: RDBStorage, name: str, patience: Patience
) -> AbstractContextManager[object]:
    if storage.engine.dialect.name != "sqlite":
        return advisory_lock(storage.engine, name, patience)
    # SQLite cannot lock the row that Optuna reads before it writes: two would get one trial.
    # A lock of the file system would stay with a holder that is suspended.
    return _file_lock(Path(storage.engine.url.database or ""))


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    lock = shared_lock(path.with_name(f".{path.name}.claim.lock"))
    with lock:
        yield
        held = lock.is_lock_held_by_us and lock.compromise is None
    if not held:
        raise LockLostError(f"the lock of {path} was lost")
