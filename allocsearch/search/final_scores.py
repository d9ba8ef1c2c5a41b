"""The scores of test examples, as a final evaluation keeps them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from allocsearch.search.storage import write_atomically

_ID, _OOD = "id.", "ood."


def save_scores(
    of_id: Mapping[str, Tensor], of_ood: Mapping[str, Mapping[str, Tensor]], path: Path
) -> None:
    """Write the scores of one model, as float32.

    Args:
        of_id: Every score of the ID test examples by name, `(n,)`.
        of_ood: The same of each OOD test set by name, `(m,)`.
        path: An .npz file.
    """
    tables = {_ID: of_id, **{f"{_OOD}{name}.": table for name, table in of_ood.items()}}
    arrays = {
        f"{prefix}{score}": values.numpy().astype(np.float32)
        for prefix, table in tables.items()
        for score, values in table.items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def load_scores(
    paths: Sequence[Path], score: str, sets: Sequence[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """One score of several models on the same examples.

    Args:
        paths: A file for each model.
        score: Its name.
        sets: Names of the OOD test sets.

    Returns:
        Of the ID test examples, `(models, n)`, and of each OOD set, `(models, m)`.
    """

    def stacked(prefix: str) -> Tensor:
        rows = []
        for path in paths:
            with np.load(path, allow_pickle=False) as file:
                rows.append(torch.from_numpy(file[f"{prefix}{score}"]))
        return torch.stack(rows)

    return stacked(_ID), {name: stacked(f"{_OOD}{name}.") for name in sets}
