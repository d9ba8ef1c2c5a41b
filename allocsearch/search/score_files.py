"""The OOD scores of examples in a file, which is read without torch."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from allocsearch.config import InputError, shown
from allocsearch.search.storage import write_atomically

# The file of a trial that holds those of the ID validation part and the OOD validation sets.
SCORES_NAME = "scores.npz"
# Bytes of the scores of a set, unpacked: a small file can claim to have more than the memory.
_MOST = 1 << 28
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    # An array that says it is larger than the memory.
    MemoryError,
    # An archive that is encrypted, or packed in a way that Python does not know.
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_scores(path: Path, tables: Mapping[str, Mapping[str, NDArray[np.floating]]]) -> None:
    """Write scores as float32, under `<name>.<score>`.

    Args:
        path: An .npz file.
        tables: For each set of examples by name, every score by name, `(n,)`.
    """
    arrays = {
        f"{name}.{score}": values.astype(np.float32)
        for name, table in tables.items()
        for score, values in table.items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def read_scores(path: Path, score: str, names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """One score of sets of examples, `(n,)` by name, in the order of `names`.

    Args:
        path: What `write_scores` wrote.
        score: Its name.
        names: Of the sets.

    Raises:
        InputError: If the file cannot be read, or has not these scores.
    """
    try:
        with path.open("rb") as content:
            return {name: _scores(content, f"{name}.{score}") for name in names}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except _BROKEN as error:
        raise InputError(f"{path}: cannot be read as scores: {error}") from None


def _scores(content: BinaryIO, key: str) -> NDArray[np.float32]:
    with zipfile.ZipFile(content) as archive:
        try:
            member = archive.getinfo(f"{key}.npy")
        except KeyError:
            raise InputError(f"no {shown(key)} in it") from None
        if member.file_size > _MOST:
            raise InputError(f"{shown(key)}: found {member.file_size:,} bytes; allowed: {_MOST:,}")
        with archive.open(member) as packed:
            values = np.lib.format.read_array(packed, allow_pickle=False)
    is_vector = values.dtype == np.float32 and values.ndim == 1 and len(values) > 0
    if not is_vector or not np.isfinite(values).all():
        raise InputError(
            f"{shown(key)}: found {values.dtype} of shape {values.shape}; allowed: finite float32 "
            "of shape (n,)"
        )
    return values
