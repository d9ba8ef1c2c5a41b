"""The body of a Ray task: a worker on some node of a cluster.

Little is imported before the first line of the body: a task that is cancelled earlier ends in the
middle of an import.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from allocsearch.config import PASSWORD_FILE_VARIABLE, PASSWORD_VARIABLE, InputError
from allocsearch.search.executors.executor import LOG_FORMAT, LOG_NAME
from allocsearch.search.interruptions import interruptions


@dataclass(frozen=True)
class Refusal:
    """Why no worker could train a study on a node.

    Attributes:
        message: The node and the reason, in one line.
        is_input: Whether the input is to blame.
    """

    message: str
    is_input: bool


def train_waiting(
    name: str, storage: str, runs: str, password: str | None, num_gpus: float
) -> Refusal | None:
    """Train trials of a study until none waits, or until the task is cancelled.

    A cancelled task puts back what it has. So does one whose node is stopped by SIGTERM.

    Args:
        name: The study, as in `study.name`.
        storage: URL of the storage, without a password.
        runs: Folder of run folders, made on this node where it is missing.
        password: Of the storage; a node that has one in its own environment takes that.
        num_gpus: What Ray has given to this task.

    Returns:
        Why no worker could train this study on this node, or None.

    Raises:
        StorageError: If the storage cannot be opened.
        StorageLostError: If it fails for long.
    """
    with interruptions() as interrupts:
        known = os.environ.get(PASSWORD_VARIABLE) or os.environ.get(PASSWORD_FILE_VARIABLE)
        if password is not None and not known:
            os.environ[PASSWORD_VARIABLE] = password
        from allocsearch.search.joining import join_once
        from allocsearch.search.storages.errors import FilesLostError

        def stopped() -> bool:
            return bool(interrupts)

        # Of each GPU as many workers have a part as fit by their requests.
        sharing = int(1 / num_gpus) if num_gpus else 1
        try:
            with _logging(Path(runs) / name / LOG_NAME):
                join_once(name, storage, Path(runs), sharing, stopped)
        except (InputError, FilesLostError) as error:
            message = f"{socket.gethostname()}: {error}"
            return Refusal(message, isinstance(error, InputError))
        return None


@contextmanager
def _logging(log: Path) -> Iterator[None]:
    """Append warnings and errors to the log of the run folder on this node."""
    handler = logging.FileHandler(log, delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
