"""Tables of scores, written row by row: CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from allocsearch.config import InputError
from allocsearch.search.storage import replacing

# From names or places of examples, scores (n,) and decisions (n,), the next rows.
AddRows = Callable[[Sequence[str] | range, NDArray[np.float32], NDArray[np.bool_]], None]

ENDINGS = (".csv", ".parquet")


def check_table(path: Path) -> None:
    """Refuse a table that cannot be written, before any work is done for it.

    Raises:
        InputError: If the ending is another than .csv and .parquet, the path is a folder, or
            pyarrow is missing for Parquet.
    """
    if path.suffix not in ENDINGS:
        found = path.suffix or "no ending"
        raise InputError(f"--out {path}: found {found}; allowed: {', '.join(ENDINGS)}, or -")
    if path.is_dir():
        raise InputError(f"--out {path}: is a folder; allowed: a file")
    if path.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InputError(
                f"--out {path}: Parquet needs pyarrow (pip install pyarrow); allowed without: .csv"
            ) from None


@contextmanager
def table_at(path: Path, key: str) -> Iterator[AddRows]:
    """A table with the columns `key`, `score` and `ood`, which is there when the block ends.

    Args:
        path: The file, .csv or .parquet; an old one stays until then.
        key: `file`, `name` or `index`.
    """
    with replacing(path) as file:
        if path.suffix == ".parquet":
            with _parquet(file, key) as add:
                yield add
        else:
            with csv_table(file, key) as add:
                yield add


@contextmanager
def csv_table(file: BinaryIO, key: str) -> Iterator[AddRows]:
    """The same as CSV in a file that is open; numbers as their shortest exact form."""
    text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((key, "score", "ood"))

    def add(
        keys: Sequence[str] | range, scores: NDArray[np.float32], ood: NDArray[np.bool_]
    ) -> None:
        words = ["true" if each else "false" for each in ood.tolist()]
        writer.writerows(zip(keys, scores.astype(str).tolist(), words, strict=True))

    try:
        yield add
    finally:
        # The file is its owner's to close.
        text.detach()


@contextmanager
def _parquet(file: BinaryIO, key: str) -> Iterator[AddRows]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.int64() if key == "index" else pa.string()
    schema = pa.schema([(key, kind), ("score", pa.float32()), ("ood", pa.bool_())])
    with pq.ParquetWriter(file, schema) as writer:

        def add(
            keys: Sequence[str] | range, scores: NDArray[np.float32], ood: NDArray[np.bool_]
        ) -> None:
            columns = [pa.array(keys, kind), pa.array(scores), pa.array(ood)]
            writer.write_batch(pa.record_batch(columns, schema=schema))

        yield add
