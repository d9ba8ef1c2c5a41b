"""A file of JSON lines, read while another program writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Bytes that are read at once, and of one line; a longer one is no report.
_CHUNK, _MOST = 1 << 16, 1 << 20


class ReportLines:
    """Gives each line of a growing file once.

    Args:
        path: The file; it may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._number = 0
        self._rest = b""

    def new(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The lines that have been completed since the last call, with their numbers from 1.

        Raises:
            ValueError: If a line is no JSON object.
        """
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            while chunk := file.read(_CHUNK):
                self._read += len(chunk)
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                if len(self._rest) > _MOST:
                    raise ValueError(f"line {self._number + 1}: longer than {_MOST} bytes")
                yield from self._objects(lines)

    def _objects(self, lines: list[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        for line in lines:
            self._number += 1
            if not line.strip():
                continue
            try:
                content = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {self._number}: not JSON: {error}") from None
            if not isinstance(content, dict):
                raise ValueError(f"line {self._number}: found no object")
            yield self._number, content
