"""Examples from files, folders and named sets, in blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from allocsearch.config import FILE_SOURCES, SOURCES, InputError, Source, hint
from allocsearch.data.idx import read_idx
from allocsearch.data.image_files import SUFFIXES, ImageFile, iterate_images, list_images
from allocsearch.data.named_sets import NAMED_SETS
from allocsearch.data.numpy_streams import NumpyStream, open_numpy
from allocsearch.data.roots import find_path
from allocsearch.data.sequences import iterate_sequences
from allocsearch.data.sources import load_source

Block = NDArray[np.generic] | Tensor | Sequence[NDArray[np.uint8]]

# The sources that have a name and need no path.
_NAMES = tuple(name for name in SOURCES if name not in FILE_SOURCES)
_IDX = re.compile(r"idx\d?-?ubyte|\.idx")
_FASTA = re.compile(r"\.(fasta|fa|faa|fas)(\.gz)?$", re.IGNORECASE)
_MEMBER = re.compile(r"(.+\.npz):(.+)")


@dataclass(frozen=True)
class Stream:
    """Examples as they stand in their files.

    Attributes:
        title: What errors name.
        count: How many examples there are.
        files: Where the examples are files, their names, in order; None for a place in an array.
        blocks: From a number of examples to blocks of as many: arrays or tensors, `(n, *shape)`,
            or for image files a list of images, `(H, W)` or `(3, H, W)`, and for FASTA files one
            of sequences of tokens, `(length,)` each.
        names: Of the records of a FASTA file, in order; None for all else.
    """

    title: str
    count: int
    files: Sequence[ImageFile] | None
    blocks: Callable[[int], Iterator[Block]]
    names: Sequence[str] | None = None


def open_stream(text: str, array: str | None = None, split: str | None = None) -> Stream:
    """The examples that a name or a path stands for.

    NumPy, FASTA and image files are read while the blocks are taken, so that no more than one
    block is in memory; IDX files and named sets are held whole.

    Args:
        text: A .npy or .npz file (`FILE.npz:ARRAY` for one of several arrays), a FASTA file, plain
            or gzipped, an IDX file, an image, a folder or .zip file of images, or the name of a
            set.
        array: The array in a .npz file.
        split: `train` or `test`, the part of a named set; None takes all.

    Raises:
        InputError: If there is nothing of that name, it is broken, or an argument does not fit.
    """
    if text in _NAMES:
        return _named(text, array, split)
    if split is not None:
        raise InputError(f"--split: found {split!r} for {text}; allowed only for a named set")
    if found := _MEMBER.fullmatch(text):
        if array is not None:
            raise InputError(f"--array: found {array!r} beside {text}; allowed: one of the two")
        text, array = found[1], found[2]
    try:
        path = find_path(text)
    except InputError as error:
        near = hint(text, _NAMES) if Path(text).name == text else ""
        raise InputError(f"{error}{near}") from None
    if path.suffix in (".npy", ".npz"):
        return _numpy(path, array)
    if array is not None:
        raise InputError(f"--array: found {array!r} for {path}; allowed only for .npz")
    if path.is_file() and _FASTA.search(path.name):
        return _sequences(path)
    if path.is_file() and path.suffix.lower() not in (*SUFFIXES, ".zip"):
        if not _IDX.search(path.name):
            raise InputError(
                f"{path}: found a file of an unknown kind; allowed: .npy, .npz, FASTA (.fasta, "
                f".fa, .faa, .fas, also .gz), an IDX file, an image, a folder or .zip file of "
                f"images, or one of {', '.join(_NAMES)}"
            )
        return _held(str(path), read_idx(path))
    files = list_images([path])

    def blocks(size: int) -> Iterator[Block]:
        images = iterate_images(files)
        return iter(lambda: list(islice(images, size)), [])

    return Stream(str(path), len(files), files, blocks)


def _named(name: str, array: str | None, split: str | None) -> Stream:
    if array is not None:
        raise InputError(f"--array: found {array!r} for {name}; allowed only for .npz")
    if split is not None and name not in NAMED_SETS:
        raise InputError(f"--split: found {split!r} for {name}, which has no official parts")
    if split not in (None, "train", "test"):
        raise InputError(f"--split: found {split!r}; allowed: train, test")
    source = Source.model_validate({"source": name, "split": split})
    return _held(name, load_source(source).values)


def _numpy(path: Path, array: str | None) -> Stream:
    opened = open_numpy(path, array)
    if isinstance(opened, NumpyStream):
        return Stream(opened.origin, opened.shape[0], None, opened.blocks)
    return _held(str(path), opened)


def _sequences(path: Path) -> Stream:
    """Read twice: what is wrong with a file is known before anything of it is scored."""
    names = [name for name, _ in iterate_sequences(path)]

    def blocks(size: int) -> Iterator[Block]:
        tokens = (each for _, each in iterate_sequences(path))
        return iter(lambda: list(islice(tokens, size)), [])

    return Stream(str(path), len(names), None, blocks, names)


def _held(title: str, values: NDArray[np.generic] | Tensor) -> Stream:
    def blocks(size: int) -> Iterator[Block]:
        return (values[start : start + size] for start in range(0, len(values), size))

    return Stream(title, len(values), None, blocks)
