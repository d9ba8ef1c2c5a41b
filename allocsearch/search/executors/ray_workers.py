"""Workers that are tasks of Ray, on any node of its cluster."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, TaskCancelledError

from allocsearch.config import InputError, StudyConfig
from allocsearch.search.executors.executor import LOG_NAME, WorkerError
from allocsearch.search.executors.ray_cluster import Request
from allocsearch.search.executors.ray_task import train_waiting
from allocsearch.search.storage import storage_url
from allocsearch.search.storages.password import storage_password

logger = logging.getLogger(__name__)

# Ray starts a task again whose process or node has died, and then the supervision does.
_MAX_RETRIES = 3
# Seconds for the nodes to end what is killed.
_LAST = 5.0


class RayWorkers:
    """An executor whose workers are tasks of the cluster that this process is connected to.

    Args:
        request: What each worker asks of its node.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        # A process of its own for each task: what it has of a GPU ends with it.
        self._remote = ray.remote(
            num_cpus=request.num_cpus,
            num_gpus=request.num_gpus,
            max_retries=_MAX_RETRIES,
            max_calls=1,
        )(train_waiting)
        self._tasks: list[Any] = []
        self._log: Path | None = None
        self._cancelled = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, config: StudyConfig, folder: Path) -> None:
        """Submit one more; it waits until a node has what it asks for."""
        self._log = folder / LOG_NAME
        # An argument: Ray shows and logs the environment of a task.
        task = self._remote.options(name=f"{config.study.name} worker").remote(
            config.study.name,
            storage_url(config, folder),
            str(folder.parent.resolve()),
            storage_password(),
            self._request.num_gpus,
        )
        self._tasks.append(task)

    def ended(self) -> list[str]:
        """The errors of those that have ended since the last call.

        Raises:
            InputError: If a node refuses the study, as for other data.
            WorkerError: If the files of trials cannot be kept.
        """
        if not self._tasks:
            return []
        ready, self._tasks = ray.wait(self._tasks, num_returns=len(self._tasks), timeout=0)
        failures = []
        for task in ready:
            try:
                refusal = ray.get(task)
            except TaskCancelledError:
                continue
            except RayError as error:
                if self._cancelled:
                    # One that is cancelled before it has begun may fail in Ray's own handler.
                    continue
                failures.append(type(error).__name__)
                self._write(str(error))
            else:
                if refusal is not None:
                    kind = InputError if refusal.is_input else WorkerError
                    raise kind(refusal.message)
        return failures

    def _write(self, text: str) -> None:
        if self._log is not None:
            with self._log.open("a") as file:
                file.write(f"{text.rstrip()}\n")

    def wait(self, seconds: float) -> None:
        """Wait until one ends, for so long at most."""
        if self._tasks:
            ray.wait(self._tasks, timeout=seconds)

    def terminate(self) -> None:
        """Cancel all: Ray gives SIGINT to those that run."""
        self._cancelled = True
        for task in self._tasks:
            ray.cancel(task)

    def kill(self) -> None:
        """Let Ray end the processes of those that still run."""
        for task in self._tasks:
            logger.warning("a worker did not stop in time and is killed")
            ray.cancel(task, force=True)
        if self._tasks:
            ray.wait(self._tasks, num_returns=len(self._tasks), timeout=_LAST)
