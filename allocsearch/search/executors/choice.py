"""The executor that a study asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from allocsearch.config import StudyConfig
from allocsearch.search.executors.executor import Executor


@contextmanager
def executor_of(config: StudyConfig) -> Iterator[Executor]:
    """The executor of a study, ready to start workers; what it needs is given back at the end.

    Raises:
        InputError: If it cannot be had here, or not for this study.
        WorkerError: If it does not start.
    """
    if config.study.executor == "processes":
        from allocsearch.search.executors.worker_processes import WorkerProcesses

        yield WorkerProcesses()
        return
    from allocsearch.search.executors.ray_cluster import cluster

    with cluster(config) as request:
        from allocsearch.search.executors.ray_workers import RayWorkers

        yield RayWorkers(request)
