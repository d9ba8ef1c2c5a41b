"""IDX files, plain or gzipped (the format of MNIST, http://yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allocsearch.config import InputError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path) -> NDArray[np.generic]:
    """The array in an IDX file, in the file's own shape and type (big-endian).

    Raises:
        InputError: If the file cannot be read, is no IDX file, or is longer or shorter than its
            header says.
    """
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP_MAGIC):
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: broken gzip file: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES or not data[3]:
        raise InputError(
            f"{path}: not an IDX file: found {data[:4].hex(' ') or 'nothing'} at its start; "
            f"allowed: 00 00, a type code, the number of dimensions"
        )
    dtype, dimensions = np.dtype(_DTYPES[data[2]]), data[3]
    offset = 4 + 4 * dimensions
    if len(data) < offset:
        raise InputError(f"{path}: truncated IDX file: its header ends after {len(data)} bytes")
    shape = struct.unpack(f">{dimensions}I", data[4:offset])
    expected = math.prod(shape) * dtype.itemsize
    if len(data) - offset != expected:
        kind = "truncated" if len(data) - offset < expected else "overlong"
        raise InputError(
            f"{path}: {kind} IDX file: found {len(data) - offset} bytes of values; its header "
            f"says {expected}, for shape {shape}"
        )
    return np.frombuffer(data, dtype, offset=offset).reshape(shape)
