"""What a run asks of whatever runs its workers."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from allocsearch.config import StudyConfig

# File of the run folder for what workers have to say.
LOG_NAME = "workers.log"
# Of its lines; the supervision looks for the errors of a process.
LOG_FORMAT = "%(asctime)s %(process)d %(levelname)s %(message)s"


class WorkerError(RuntimeError):
    """The workers cannot do their work."""


class Executor(Protocol):
    """Runs workers, each of which trains trials of a study until none waits."""

    def __len__(self) -> int:
        """How many have not ended."""

    def start(self, config: StudyConfig, folder: Path) -> None:
        """Start one more.

        Args:
            config: The study.
            folder: Its run folder.
        """

    def ended(self) -> list[str]:
        """Bury those that have ended since the last call.

        Returns:
            For each that did not end well, how it ended.

        Raises:
            InputError, WorkerError: If any other worker would end as one of them did.
        """

    def wait(self, seconds: float) -> None:
        """Wait until one ends, for so long at most; not at all where there is none."""

    def terminate(self) -> None:
        """Ask all to put back what they have, and to end."""

    def kill(self) -> None:
        """End those that have not."""
