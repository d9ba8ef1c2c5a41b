"""Signals that end a run, kept until they can be obeyed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from allocsearch.search.storages.errors import StorageLostError


@contextmanager
def interruptions() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM; the caller looks at them when nothing is half done.

    Cut off in the middle of a transaction, this process would hold the database against its own
    workers. Only the main thread gets signals; in any other the list stays empty.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def obeyed(received: list[int]) -> Iterator[None]:
    """Raise KeyboardInterrupt for a storage that was given up because of an interruption.

    Args:
        received: From `interruptions`.
    """
    try:
        yield
    except StorageLostError:
        if received:
            raise KeyboardInterrupt from None
        raise
