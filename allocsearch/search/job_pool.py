"""Independent jobs in worker processes that end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.synchronize import Event
from typing import TypeVar

from allocsearch.search.processes import process_context
from allocsearch.search.trainers import HVAE_MODULES
from allocsearch.search.worker import StoppedError

Job = TypeVar("Job")
Check = Callable[[], None]

_stop: Event | None = None


def run_jobs(
    function: Callable[[Job, Check], None], jobs: Sequence[Job], workers: int
) -> Iterator[Job]:
    """Run a function once for every job; yield each job as it ends, in no particular order.

    One worker is this process itself.

    Args:
        function: Of a module's top level. Called with a job and with what it is to call often,
            which ends it by raising StoppedError when the work is broken off.
        jobs: What it is called with.
        workers: How many processes.

    Raises:
        BrokenProcessPool: If a worker dies.
        Exception: What the function raised. The jobs that run are broken off.
    """
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            function(job, lambda: None)
            yield job
        return
    context = process_context(function.__module__, *HVAE_MODULES)
    stop = context.Event()
    executor = ProcessPoolExecutor(
        min(workers, len(jobs)), context, initializer=_begin, initargs=(stop,)
    )
    try:
        # A worker starts with SIGINT blocked: a Ctrl-C while it imports is not its to answer.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            futures = {executor.submit(_call, function, job): job for job in jobs}
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)


def _begin(stop: Event) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker that waits for a job would otherwise wait for ever where its parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[[Job, Check], None], job: Job) -> None:
    def check() -> None:
        if _stop is not None and _stop.is_set():
            raise StoppedError

    function(job, check)
