"""Finding and loading named data sets."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from allocsearch.config import InputError
from allocsearch.data.download import download
from allocsearch.data.named_sets import NAMED_SETS, NamedSet, Part
from allocsearch.data.roots import VARIABLE, data_roots, download_root


def load_named(
    name: str, split: Part | None, *, allow_download: bool
) -> tuple[Tensor, Tensor | None]:
    """Load a named data set from the roots, or by download where that is allowed.

    Args:
        name: A key of `NAMED_SETS`.
        split: The official part; None takes every part that is found.
        allow_download: Whether what is found nowhere may be downloaded.

    Returns:
        Values, uint8 `(n, *shape)`, train part first, and labels `(n,)`, or None where the files
        of a part have none.

    Raises:
        InputError: If nothing is found (with what was looked for, where, and how to get it), or
            if a file is broken.
    """
    named = NAMED_SETS[name]
    parts: tuple[Part, ...] = (split,) if split else ("train", "test")
    found = _find(name, parts)
    if not found and allow_download:
        for part in parts:
            download(name, named, part, download_root())
        found = _find(name, parts)
    if not found:
        raise InputError(_missing(name, parts))
    loaded = [named.read(paths, part) for part, paths in found.items()]
    labels = [label for _, label in loaded if label is not None]
    values = torch.cat([value for value, _ in loaded]) if len(loaded) > 1 else loaded[0][0]
    return values, torch.cat(labels) if len(labels) == len(loaded) else None


def _find(name: str, parts: tuple[Part, ...]) -> dict[Part, tuple[Path, ...]]:
    """The files of each part that lies in a root."""
    found = {part: _find_part(NAMED_SETS[name], part) for part in parts}
    return {part: paths for part, paths in found.items() if paths}


def _find_part(named: NamedSet, part: Part) -> tuple[Path, ...]:
    for root in data_roots():
        for layout in named.layouts(part):
            # os.path, not Path: a folder that may not be entered counts as one without the file.
            paths = tuple(root / file for file in layout if os.path.exists(root / file))
            if paths:
                return paths
    return ()


def _missing(name: str, parts: tuple[Part, ...]) -> str:
    named = NAMED_SETS[name]
    examples = dict.fromkeys(" and ".join(named.layouts(part)[0]) for part in parts)
    ways = [
        *([f"apt-get install {named.package}"] if named.package else []),
        "--set data.download=true",
        f"set {VARIABLE} to the folder that holds it",
    ]
    return (
        f"{name} ({' or '.join(parts)} part) not found: looked for {' or '.join(examples)} and "
        f"its other usual names in {', '.join(map(str, data_roots()))}; to get it: "
        f"{', or '.join(ways)}"
    )
