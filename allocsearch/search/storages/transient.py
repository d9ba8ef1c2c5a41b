"""Which errors of a storage pass by themselves."""

from __future__ import annotations

import errno

from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
)

from allocsearch.search.storages.errors import cause_of

_GRPC_CODES = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "UNKNOWN"}
# The others say what is wrong with the file: a corrupt one stays so.
_SQLITE_CODES = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PROTOCOL")
_SYSTEM_CODES = {
    errno.EAGAIN,
    errno.EDQUOT,
    errno.EIO,
    errno.ENOSPC,
    errno.ESTALE,
    errno.ETIMEDOUT,
}


def is_transient(error: BaseException) -> bool:
    """Whether the same call may do better later: a lost connection, a full disk, a deadlock."""
    cause = cause_of(error)
    if isinstance(cause, DBAPIError):
        if code := getattr(cause.orig, "sqlite_errorname", None):
            return str(code).startswith(_SQLITE_CODES)
        return isinstance(cause, OperationalError | InterfaceError) or cause.connection_invalidated
    if isinstance(cause, PendingRollbackError):
        # Optuna asks once more in the session whose connection it has lost; the next is a new one.
        return True
    if isinstance(cause, OSError):
        return isinstance(cause, ConnectionError) or cause.errno in _SYSTEM_CODES
    # grpc is not installed everywhere. A database that its server has lost is UNKNOWN there.
    code = getattr(cause, "code", None)
    return callable(code) and getattr(code(), "name", "") in _GRPC_CODES
