"""NumPy files, .npy and .npz, read without pickle."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allocsearch.config import InputError

_BROKEN = (ValueError, EOFError, OSError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_numpy(path: Path, key: str | None) -> NDArray[np.generic]:
    """The array in a .npy file, or the one named `key` in a .npz file.

    Args:
        path: The file.
        key: Name in a .npz file; None takes the only array that is there.

    Raises:
        InputError: If the file cannot be read, holds Python objects, or has no such array.
    """
    # Anything that NumPy cannot parse it takes for a pickle, so the content is checked first.
    try:
        with path.open("rb") as file:
            start = file.read(6)
        if start[:4] not in (b"PK\x03\x04", b"PK\x05\x06") and start != b"\x93NUMPY":
            raise InputError(f"{path}: not a NumPy file (.npy or .npz)")
        content = np.load(path, allow_pickle=False)
        if not isinstance(content, np.ndarray):
            with content as arrays:
                array: NDArray[np.generic] = arrays[array_name(path, key, arrays.zip.namelist())]
            return array
        if key is not None:
            raise InputError(f"{path}: found one array without a name; {key!r} needs .npz")
        return content
    except InputError:
        raise
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read as a NumPy file: {reason}") from None


def array_name(path: Path, key: str | None, members: list[str]) -> str:
    """The name of the array that is meant by `key` among the members of a .npz file.

    Raises:
        InputError: If there is none of that name, or there are several and `key` is None.
    """
    found = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
    names = (", ".join(found[:20]) or "none") + (", ..." if len(found) > 20 else "")
    if key is None and len(found) != 1:
        raise InputError(f"{path}: set `array` to one of its arrays; found: {names}")
    if key is not None and key not in found:
        raise InputError(f"{path}: no array {key!r}; found: {names}")
    return key or found[0]
