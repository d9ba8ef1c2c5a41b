"""A program that runs under a guard, which leaves none of its processes behind."""

from __future__ import annotations

import json
import logging
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from allocsearch.search.foreign import process_guard

logger = logging.getLogger(__name__)


class ProgramError(RuntimeError):
    """A program could not be started, or was lost."""


class GuardedProgram:
    """A running program; leaving its block ends it with all that it has started.

    Args:
        command: Program and arguments; no shell reads them.
        log: File that gets all its output.
        grace: Seconds between SIGTERM and SIGKILL.
    """

    def __init__(self, command: Sequence[str], log: Path, grace: float) -> None:
        self._grace = grace
        with log.open("wb") as output:
            # A file that is called like a library, where the study was started, is none.
            self._guard = subprocess.Popen(
                [sys.executable, "-P", process_guard.__file__, str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                # Ctrl-C is for the process that started this one to answer.
                start_new_session=True,
            )
        assert self._guard.stdin is not None  # noqa: S101
        assert self._guard.stdout is not None  # noqa: S101
        self._lifeline, self._status = self._guard.stdin, self._guard.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def ended(self, timeout: float) -> bool:
        """Wait for the end; whether the program and all that it has left are gone.

        Args:
            timeout: Seconds to wait at most.
        """
        ready, _, _ = select.select([self._status], [], [], max(timeout, 0.0))
        return bool(ready)

    def exit_code(self) -> int:
        """The exit code of a program that has ended; negative for a signal.

        Raises:
            ProgramError: If the program could not be started, or its guard was killed.
        """
        text = self._status.read()
        try:
            told: dict[str, Any] = json.loads(text)
        except ValueError:
            raise ProgramError("its guard was killed") from None
        if "problem" in told:
            raise ProgramError(told["problem"])
        return int(told["exit"])

    def _close(self) -> None:
        self._lifeline.close()
        try:
            self._guard.wait(self._grace + 2 * process_guard.PATIENCE)
        except subprocess.TimeoutExpired:
            logger.error("the guard %d of a program does not end and is killed", self._guard.pid)
            self._guard.kill()
            self._guard.wait()
        self._status.close()
