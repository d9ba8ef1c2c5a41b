"""NumPy files, .npy and .npz, read block by block."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from allocsearch.config import InputError
from allocsearch.data.numpy_files import array_name, read_numpy

_BROKEN = (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class NumpyStream:
    """An array in a file, of which only a block is in memory at a time.

    Attributes:
        shape: Of the whole array.
        open: Opens its bytes, header first.
        origin: What errors name, the file.
    """

    shape: tuple[int, ...]
    open: Callable[[], IO[bytes]]
    origin: str

    def blocks(self, size: int) -> Iterator[NDArray[np.generic]]:
        """The array in blocks along its first axis, each `(size, *shape[1:])`, the last shorter.

        Raises:
            InputError: If the file is broken, or ends early.
        """
        try:
            with self.open() as file:
                shape, _, dtype = _header(file)
                row = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
                for start in range(0, shape[0], size):
                    rows = min(size, shape[0] - start)
                    content = file.read(rows * row)
                    if len(content) < rows * row:
                        raise ValueError(f"it ends in example {start + len(content) // row}")
                    # A copy, as bytes cannot be written to, and tensors can.
                    yield np.frombuffer(content, dtype).reshape(rows, *shape[1:]).copy()
        except InputError:
            raise
        except _BROKEN as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{self.origin}: cannot be read: {reason}") from None


def open_numpy(path: Path, key: str | None) -> NumpyStream | NDArray[np.generic]:
    """The array in a .npy file, or the one named `key` in a .npz file, to be read in blocks.

    Args:
        path: The file.
        key: Name in a .npz file; None takes the only array that is there.

    Returns:
        A stream, or the whole array where its order of bytes (Fortran's) allows no stream.

    Raises:
        InputError: If the file cannot be read, holds Python objects, or has no such array.
    """
    try:
        with path.open("rb") as file:
            start = file.read(6)
        if start[:2] == b"PK":
            with zipfile.ZipFile(path) as archive:
                member = f"{array_name(path, key, archive.namelist())}.npy"
            stream = _stream(lambda: _member(path, member), f"{path}:{member[:-4]}")
        elif start == b"\x93NUMPY" and key is None:
            stream = _stream(lambda: path.open("rb"), str(path))
        else:
            stream = None
    except InputError:
        raise
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read as a NumPy file: {reason}") from None
    return read_numpy(path, key) if stream is None else stream


def _member(path: Path, member: str) -> IO[bytes]:
    # What is opened in an archive stays open when the archive is closed.
    with zipfile.ZipFile(path) as archive:
        return archive.open(member)


def _stream(opened: Callable[[], IO[bytes]], origin: str) -> NumpyStream | None:
    with opened() as file:
        shape, fortran, dtype = _header(file)
    if dtype.hasobject:
        raise InputError(f"{origin}: found Python objects; allowed: numbers")
    if not shape:
        raise InputError(f"{origin}: found a single number; allowed: an array of examples")
    return None if fortran and len(shape) > 1 else NumpyStream(shape, opened, origin)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = npy.read_magic(file)
    if version == (1, 0):
        return npy.read_array_header_1_0(file)
    if version == (2, 0):
        return npy.read_array_header_2_0(file)
    raise ValueError(f"found version {version} of the format; allowed: (1, 0) and (2, 0)")
