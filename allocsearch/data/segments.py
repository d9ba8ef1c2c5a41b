"""Segments of an example: the parts that the shifts shuffle and delete."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_PER_SIDE = 4


def segments(shape: Sequence[int]) -> Tensor:
    """The positions of each segment of an example.

    An image is cut into square patches, 4 along its shorter side (7x7 pixels where that is 28);
    a sequence into 16 runs. The grid is centred; what is left over at the edges is in no segment.

    Args:
        shape: Shape of one example: `(H, W)`, `(C, H, W)` or `(T,)`.

    Returns:
        int64 `(segments, positions of one)`, flat positions in the last two dims of an image or
        in the sequence.
    """
    if len(shape) == 1:
        size = max(1, shape[0] // _PER_SIDE**2)
        return _blocks(shape[0], size)
    height, width = shape[-2:]
    side = max(1, min(height, width) // _PER_SIDE)
    rows, columns = _blocks(height, side), _blocks(width, side)
    grid = rows[:, None, :, None] * width + columns[None, :, None, :]
    return grid.reshape(len(rows) * len(columns), side * side)


def _blocks(length: int, size: int) -> Tensor:
    """As many whole blocks as fit, in the middle, `(blocks, size)`."""
    count = length // size
    start = (length - count * size) // 2
    return torch.arange(start, start + count * size).reshape(count, size)
