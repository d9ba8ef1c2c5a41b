"""How worker processes are started."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.context import ForkServerContext, SpawnContext

from allocsearch.search import worker


def process_context(*modules: str) -> ForkServerContext | SpawnContext:
    """A start method that the libraries survive; on Linux, with one import for all workers.

    Args:
        *modules: What the workers need besides the module of the worker; it is imported once.
            Those of the first call count, as there is one server of workers in a process.
    """
    # One server imports for all workers; the libraries of other systems may not survive a fork.
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([worker.__name__, *modules])
    return context
