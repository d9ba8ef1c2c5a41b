"""Workers that are processes of this machine."""

from __future__ import annotations

import logging
import signal
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from allocsearch.config import StudyConfig
from allocsearch.search import worker
from allocsearch.search.executors.executor import LOG_NAME, WorkerError
from allocsearch.search.processes import process_context
from allocsearch.search.trainers import trainer_modules

logger = logging.getLogger(__name__)


class WorkerProcesses:
    """An executor whose workers share this machine."""

    def __init__(self) -> None:
        self._processes: list[BaseProcess] = []
        self._log: Path | None = None

    def __len__(self) -> int:
        return len(self._processes)

    def start(self, config: StudyConfig, folder: Path) -> None:
        """Start one more; all that it says goes into the log of the run folder."""
        self._log = folder / LOG_NAME
        tracked = ("torch.utils.tensorboard",) if config.tracking.tensorboard else ()
        context = process_context(*trainer_modules(config), *tracked)
        process = context.Process(target=worker.main, args=(config, folder, self._log))
        # A worker starts with SIGINT blocked: a Ctrl-C while it imports is not its to answer.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
            self._processes.append(process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def ended(self) -> list[str]:
        """The exit codes, other than 0, of those that have ended since the last call.

        Raises:
            WorkerError: If one could keep no files.
        """
        ended = [process for process in self._processes if not process.is_alive()]
        self._processes = [process for process in self._processes if process not in ended]
        for process in ended:
            if process.exitcode == worker.STORE_LOST:
                raise WorkerError(self._last_words(process))
        return [f"exit code {process.exitcode}" for process in ended if process.exitcode]

    def _last_words(self, process: BaseProcess) -> str:
        text = "" if self._log is None else self._log.read_text(errors="replace")
        mark = f" {process.pid} ERROR "
        said = [line.partition(mark)[2] for line in text.splitlines() if mark in line]
        if said:
            return said[-1]
        # A disk that is full takes no last words.
        return (
            f"{self._log and self._log.parent}: no files can be written there; what has finished "
            "is kept, and the same command goes on"
        )

    def wait(self, seconds: float) -> None:
        """Wait until one ends, for so long at most."""
        wait([process.sentinel for process in self._processes], timeout=seconds)

    def terminate(self) -> None:
        """Send SIGTERM to all."""
        for process in self._processes:
            process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to those that are alive."""
        for process in self._processes:
            if process.is_alive():
                logger.warning("worker %s did not stop in time and is killed", process.pid)
                process.kill()
                process.join()
