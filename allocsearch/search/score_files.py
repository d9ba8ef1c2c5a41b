"""The OOD scores of examples in a file, which is read without torch."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allocsearch.config import InputError, shown
from allocsearch.search.storage import write_atomically

# The file of a trial that holds those of the ID validation part and the OOD validation sets.
SCORES_NAME = "scores.npz"


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
        with np.load(path, allow_pickle=False) as file:
            for key in (f"{name}.{score}" for name in names):
                if key not in file:
                    raise InputError(f"{path}: no {shown(key)} in it")
            found = {name: file[f"{name}.{score}"] for name in names}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as scores: {error}") from None
    for name, values in found.items():
        is_vector = values.dtype == np.float32 and values.ndim == 1 and len(values) > 0
        if not is_vector or not np.isfinite(values).all():
            what = f"{values.dtype} of shape {values.shape}"
            raise InputError(
                f"{path}: {shown(f'{name}.{score}')}: found {what}; allowed: finite float32 of "
                "shape (n,)"
            )
    return found
