"""The registry of sources: from an entry of a study file to a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from allocsearch.config import InputError, Source, hint
from allocsearch.data.continuous import to_continuous
from allocsearch.data.dataset import Dataset
from allocsearch.data.digits import read_digits
from allocsearch.data.idx import read_idx
from allocsearch.data.image_files import list_images, read_images
from allocsearch.data.named import load_named
from allocsearch.data.named_sets import NAMED_SETS
from allocsearch.data.numpy_files import read_numpy
from allocsearch.data.pixels import to_labels, to_values
from allocsearch.data.roots import find_path
from allocsearch.data.sequences import read_sequences
from allocsearch.data.tabular import TABLES, read_table

# Values and labels, or a whole data set where that says more.
Loader = Callable[[Source, bool], tuple[Tensor, Tensor | None] | Dataset]

_ONLY_FOR = {
    "labels": frozenset(("idx", "numpy", "fasta")),
    "array": frozenset(("numpy",)),
    "split": frozenset(NAMED_SETS),
}


def load_source(source: Source, *, allow_download: bool = False) -> Dataset:
    """Load the data set that an entry of a study file describes.

    Args:
        source: The entry.
        allow_download: Whether a named set that is found nowhere may be downloaded.

    Returns:
        The set, in the order of its files, with `classes` and `invert` applied.

    Raises:
        InputError: If data is missing or broken, a key does not fit the source, or one of
            `classes` is absent.
    """
    for key, sources in _ONLY_FOR.items():
        if getattr(source, key) is not None and source.source not in sources:
            allowed = ", ".join(sorted(sources))
            raise InputError(
                f"{key}: found {getattr(source, key)!r} for source {source.source!r}; allowed "
                f"only for {allowed}"
            )
    loaded = LOADERS[source.source](source, allow_download)
    dataset = loaded if isinstance(loaded, Dataset) else Dataset(source.title, *loaded)
    if source.classes is not None:
        dataset = dataset.take(_members(dataset, source.classes))
    if source.invert:
        if dataset.kind != "pixels":
            raise InputError(f"invert: found true for {dataset.name}; allowed only for pixels")
        dataset = replace(dataset, values=255 - dataset.values)
    return dataset


def _members(dataset: Dataset, classes: tuple[int | str, ...]) -> Tensor:
    """Indices of the examples in `classes`, `(m,)`."""
    if dataset.labels is None:
        raise InputError(f"classes: found {list(classes)}, but {dataset.name} has no labels")
    labels = torch.unique(dataset.labels).tolist()
    names = dataset.class_names
    present = {names[label] if names else label: label for label in labels}
    absent = sorted({found for found in classes if found not in present}, key=str)
    if absent or not classes:
        shown = ", ".join(map(str, [*present][:20])) + (", ..." if len(present) > 20 else "")
        near = hint(str(absent[0]), [*map(str, present)]) if absent and names else ""
        raise InputError(
            f"classes: found {absent or 'none'}; allowed: classes of {dataset.name}: "
            f"{shown}{f'.{near}' if near else ''}"
        )
    chosen = torch.tensor([present[found] for found in classes])
    return torch.isin(dataset.labels, chosen).nonzero().squeeze(1)


def _load_idx(source: Source, allow_download: bool) -> tuple[Tensor, Tensor | None]:
    paths = [find_path(path) for path in source.path]
    values = _joined(paths, [to_values(read_idx(path), str(path)) for path in paths])
    if source.labels is None:
        return values, None
    path = find_path(source.labels)
    return values, to_labels(read_idx(path), len(values), str(path))


def _load_images(source: Source, allow_download: bool) -> tuple[Tensor, Tensor | None]:
    return read_images(list_images([find_path(path) for path in source.path]))


def _load_numpy(source: Source, allow_download: bool) -> tuple[Tensor, Tensor | None]:
    paths = [find_path(path) for path in source.path]
    convert = to_continuous if source.continuous else to_values
    parts = [convert(read_numpy(path, source.array), str(path)) for path in paths]
    values = _joined(paths, parts)
    if source.labels is None:
        return values, None
    if source.labels.endswith((".npy", ".npz")):
        path = find_path(source.labels)
        return values, to_labels(read_numpy(path, None), len(values), str(path))
    # Not a file: the name of an array that lies beside the values.
    labels = [
        to_labels(read_numpy(path, source.labels), len(part), f"{path}: {source.labels}")
        for path, part in zip(paths, parts, strict=True)
    ]
    return values, torch.cat(labels)


def _load_fasta(source: Source, allow_download: bool) -> Dataset:
    if source.length is None:
        raise InputError("length: missing; source 'fasta' needs it, in tokens")
    paths = [find_path(path) for path in source.path]
    stamps = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
    dataset = _read_fasta(stamps, source.length, source.labels, source.classes is not None)
    return replace(dataset, name=source.title)


# The OOD sets of a study are often classes of one file.
@lru_cache(maxsize=1)
def _read_fasta(
    stamps: tuple[tuple[Path, int, int], ...], length: int, field: str | None, labelled: bool
) -> Dataset:
    paths = [path for path, _, _ in stamps]
    return read_sequences(paths, length, "fasta", field, labelled=labelled)


def _joined(paths: list[Path], parts: list[Tensor]) -> Tensor:
    """The examples of several files in one tensor, `(n, *shape)`."""
    for path, part in zip(paths, parts, strict=True):
        if part.shape[1:] != parts[0].shape[1:]:
            raise InputError(
                f"{path}: found examples of shape {tuple(part.shape[1:])}; {paths[0]} has "
                f"{tuple(parts[0].shape[1:])}, and all files of a source have one shape"
            )
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _load_digits(source: Source, allow_download: bool) -> tuple[Tensor, Tensor | None]:
    return read_digits()


def _load_table(source: Source, allow_download: bool) -> tuple[Tensor, Tensor | None]:
    return read_table(source.source)


def _load_named(source: Source, allow_download: bool) -> tuple[Tensor, Tensor | None]:
    return load_named(source.source, source.split, allow_download=allow_download)


LOADERS: Mapping[str, Loader] = {
    "digits": _load_digits,
    "fasta": _load_fasta,
    "idx": _load_idx,
    "images": _load_images,
    "numpy": _load_numpy,
    **dict.fromkeys(TABLES, _load_table),
    **dict.fromkeys(NAMED_SETS, _load_named),
}
