"""Logs of one line each, whatever a library has to say."""

from __future__ import annotations

import logging


class FirstLines(logging.Formatter):
    """Time, level and the first line of a record; a traceback ends with its own last line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        lines = super().format(record).splitlines()
        if record.exc_info:
            return f"{lines[0]}: {lines[-1]}"
        return lines[0]


def log_first_lines() -> None:
    """Log warnings and errors of all libraries to standard error, in one line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(FirstLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
