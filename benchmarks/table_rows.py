"""Rows of a CSV table that several processes write."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock


def append_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Append rows with the same columns, at least one; a new table begins with their names."""
    with FileLock(path.with_suffix(".lock")):
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            if new:
                writer.writeheader()
            writer.writerows(rows)
