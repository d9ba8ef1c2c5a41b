"""Torch's writer of event files, without the traceback that it leaves when a disk is full."""

from __future__ import annotations

import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# Seconds.
_FLUSH = 1
# The module of the threads that write.
_THREADS = "tensorboard.summary.writer.event_file_writer"


def event_writer(folder: Path, purge_step: int | None = None) -> SummaryWriter:
    """A writer of a new event file.

    Args:
        folder: Made where it is missing.
        purge_step: What earlier files have from this step on counts no more.

    Raises:
        ImportError: If TensorBoard is not installed.
        OSError: If the file cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    _hush()
    _wait_for_another_second(folder)
    return SummaryWriter(str(folder), purge_step=purge_step, flush_secs=_FLUSH)


def _wait_for_another_second(folder: Path) -> None:
    """Let a file be read after those that are there: names are sorted by second, then process."""
    now = time.time()
    if any(folder.glob(f"*tfevents.{int(now):010d}.*")):
        time.sleep(int(now) + 1 - now)


@cache
def _hush() -> None:
    """Let the threads that write be silent: the next call of a writer raises what they met."""
    previous = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs, /) -> None:
        if type(arguments.thread).__module__ != _THREADS:
            previous(arguments)

    threading.excepthook = hook
