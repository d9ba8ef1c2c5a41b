"""Protein sequences of one length, from FASTA files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allocsearch.config import InputError
from allocsearch.data.alphabet import PAD, encode
from allocsearch.data.dataset import Dataset
from allocsearch.data.fasta_files import FastaRecord, read_fasta

FAMILY = "family"
"""The field of headers that labels are read from where a source states none."""


def read_sequences(
    paths: Sequence[Path], length: int, name: str, field: str | None, *, labelled: bool
) -> Dataset:
    """The sequences of FASTA files as tokens, in the order of the files.

    Args:
        paths: FASTA files, one or more; no record has the name of another.
        length: Tokens of a sequence. Longer ones keep their first residues, shorter ones are
            padded at the end.
        name: Of the data set.
        field: The field of the headers that tells the class; None for `FAMILY`.
        labelled: Whether there are to be labels; without them and without `field`, there are
            labels if every header has the field.

    Returns:
        Tokens, uint8 `(n, length)`, as of `allocsearch.data.alphabet`; the labels are places in
        `class_names`, which is sorted.

    Raises:
        InputError: As `read_fasta`, or if a field that is needed is missing in a header.
    """
    rows: list[NDArray[np.generic]] = []
    found: list[str | None] = []
    needed = labelled or field is not None
    key = field or FAMILY
    for record in _apart(chain.from_iterable(map(read_fasta, paths)), len(paths)):
        rows.append(filled_up(encode(record.residues[:length]), length, PAD))
        found.append(record.field(key))
        if needed and not found[-1]:
            raise InputError(
                f"{record.place()}: found no field {key!r} in the header; allowed: '{key}=NAME', "
                f"from which the classes are read"
            )
    labels, names = _labels([label for label in found if label], len(rows))
    return Dataset(name, torch.from_numpy(np.stack(rows)), labels, "tokens", names)


def iterate_sequences(path: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The name and the tokens, `(length,)` each, of every record; one is in memory at a time.

    Raises:
        InputError: As `read_fasta`.
    """
    for record in read_fasta(path):
        yield record.name, encode(record.residues)


def filled_up(tokens: NDArray[np.generic], length: int, pad: int) -> NDArray[np.generic]:
    """The first `length` tokens, and pads where there are fewer, `(length,)`."""
    row = np.full(length, pad, dtype=tokens.dtype)
    row[: len(tokens)] = tokens[:length]
    return row


def _apart(records: Iterable[FastaRecord], files: int) -> Iterator[FastaRecord]:
    """The records, whose names are to differ from file to file too."""
    places: dict[str, tuple[Path, int]] = {}
    for record in records:
        if files > 1:
            here = record.path, record.line
            path, line = places.setdefault(record.name, here)
            if (path, line) != here:
                raise InputError(
                    f"{record.place()}: the name stands in {path}, line {line}, too; "
                    f"allowed: a name of its own for each record"
                )
        yield record


def _labels(found: Sequence[str], n: int) -> tuple[Tensor | None, tuple[str, ...]]:
    if len(found) < n:
        return None, ()
    names = tuple(sorted(set(found)))
    place = {name: i for i, name in enumerate(names)}
    return torch.tensor([place[label] for label in found]), names
