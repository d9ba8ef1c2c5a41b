"""A folder that one process at a time works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from allocsearch.config import InputError


@contextmanager
def held(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file; the system releases it when this process dies.

    Args:
        path: The file, in a folder that is there.
        refusal: What the user is told where another process holds it.

    Raises:
        InputError: If another process holds it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(refusal) from None
    try:
        yield
    finally:
        lock.release()
