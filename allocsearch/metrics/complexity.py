"""The complexity of inputs: what a general compressor needs for them."""

from __future__ import annotations

import io
import math
import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

COMPRESSORS = ("png", "zlib")
_known = WeakTensorKeyDictionary()


def known_complexity(values: Tensor) -> Tensor:
    """`complexity`, computed once for a data set, as no model changes it.

    Args:
        values: The same tensor every time, not one of equal values; it is never written to.

    Returns:
        As `complexity`; kept as long as the data set is.
    """
    if values not in _known:
        _known[values] = complexity(values)
    known: Tensor = _known[values]
    return known


def complexity(values: Tensor) -> Tensor:
    """The code length of stored examples under each of `COMPRESSORS`.

    The constant overhead of a file format is part of it; it is the same for all examples of a
    shape.

    Args:
        values: Stored examples, uint8, `(n, d)`, `(n, H, W)` or `(n, 3, H, W)`.

    Returns:
        Nats, `(n, 2)`, float32.

    Reference: Serra et al. (2020), "Input complexity and out-of-distribution detection with
    likelihood-based generative models", section 3.
    """
    images = values.movedim(1, -1) if values.dim() == 4 else values
    images = images[:, None] if images.dim() == 2 else images
    nats_per_byte = 8 * math.log(2)
    lengths = [(_png(image), len(zlib.compress(image.tobytes(), 9))) for image in images.numpy()]
    return torch.tensor(lengths, dtype=torch.float32).reshape(-1, 2) * nats_per_byte


def _png(image: NDArray[np.uint8]) -> int:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.tell()
