"""How worker processes are started."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.context import ForkServerContext, SpawnContext

from allocsearch.search import worker


def process_context() -> ForkServerContext | SpawnContext:
    """A start method that the libraries survive; on Linux, with one import for all workers."""
    # One server imports for all workers; the libraries of other systems may not survive a fork.
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([worker.__name__])
    return context
