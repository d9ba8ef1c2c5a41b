"""The scores of test examples, as a final evaluation keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allocsearch.config import InputError
from allocsearch.search.score_files import read_scores, write_scores

_ID, _OOD = "id", "ood."

Array = NDArray[np.float32]


def scores_path(folder: Path, allocation: str, seed: int) -> Path:
    """Where an evaluation's folder keeps the scores of one model.

    Args:
        folder: As `evaluation_folder`.
        allocation: In text form.
        seed: Of the training.
    """
    return folder / "scores" / f"{allocation}-{seed}.npz"


def save_scores(
    of_id: Mapping[str, Array], of_ood: Mapping[str, Mapping[str, Array]], path: Path
) -> None:
    """Write the scores of one model, as float32.

    Args:
        of_id: Every score of the ID test examples by name, `(n,)`.
        of_ood: The same of each OOD test set by name, `(m,)`.
        path: An .npz file.
    """
    write_scores(path, {_ID: of_id, **{f"{_OOD}{name}": own for name, own in of_ood.items()}})


def load_scores(
    paths: Sequence[Path], score: str, sets: Sequence[str]
) -> tuple[Array, dict[str, Array]]:
    """One score of several models on the same examples.

    Args:
        paths: A file for each model, one or more.
        score: Its name.
        sets: Names of the OOD test sets.

    Returns:
        Of the ID test examples, `(models, n)`, and of each OOD set, `(models, m)`.

    Raises:
        InputError: If a file cannot be read, has not these scores, or is of other examples.
    """
    names = (_ID, *(f"{_OOD}{name}" for name in sets))
    found = [read_scores(path, score, names) for path in paths]
    for path, own in zip(paths, found, strict=True):
        if any(len(own[name]) != len(found[0][name]) for name in names):
            raise InputError(f"{path}: scores of other examples than in {paths[0]}")
    of_id, *of_ood = (np.stack([own[name] for own in found]) for name in names)
    return of_id, dict(zip(sets, of_ood, strict=True))


def probe_path(folder: Path, allocation: str, seed: int) -> Path:
    """Where an evaluation's folder keeps the probe of one model, as `scores_path`."""
    return scores_path(folder, allocation, seed).with_suffix(".probe.json")
