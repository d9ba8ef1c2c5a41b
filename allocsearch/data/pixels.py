"""From arrays as they stand in files to the tensors of a data set."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allocsearch.config import InputError


def to_values(array: NDArray[np.generic], origin: str) -> Tensor:
    """Values of a data set, uint8.

    Args:
        array: uint8, or floats in [0, 1] (scaled to 0..255); `(n, d)`, `(n, H, W)`, or with 1 or
            3 channels `(n, C, H, W)` or `(n, H, W, C)`.
        origin: What errors name, the file.

    Returns:
        uint8, `(n, d)`, `(n, H, W)` for grey and `(n, 3, H, W)` for colour images.

    Raises:
        InputError: If dtype, shape or range are others than these.
    """
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise InputError(
            f"{origin}: found values of type {array.dtype}; allowed: uint8, or floats in [0, 1]"
        )
    array = channels_first(array, origin)
    if array.dtype.kind == "f":
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= 1):
            raise InputError(
                f"{origin}: found floats from {low:g} to {high:g}; allowed: from 0 to 1, or "
                f"uint8; for values that are no pixels, continuous = true"
            )
        array = np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    return torch.from_numpy(np.array(array, dtype=np.uint8, order="C"))


def channels_first(array: NDArray[np.generic], origin: str) -> NDArray[np.generic]:
    """Examples in the shapes that data sets have.

    Args:
        array: `(n, d)`, `(n, H, W)`, or with 1 or 3 channels `(n, C, H, W)` or `(n, H, W, C)`.
        origin: What errors name, the file.

    Returns:
        `(n, d)`, `(n, H, W)` for grey and `(n, 3, H, W)` for colour images.

    Raises:
        InputError: If the shape is another.
    """
    if not 2 <= array.ndim <= 4 or 0 in array.shape:
        raise InputError(
            f"{origin}: found values of shape {array.shape}; allowed: (n, H, W), (n, C, H, W), "
            f"(n, H, W, C) or (n, d), not empty"
        )
    if array.ndim < 4:
        return array
    if array.shape[1] not in (1, 3):
        if array.shape[3] not in (1, 3):
            raise InputError(
                f"{origin}: found images of shape {array.shape}; allowed: 1 or 3 channels, first "
                f"(n, C, H, W) or last (n, H, W, C)"
            )
        array = array.transpose(0, 3, 1, 2)
    return array[:, 0] if array.shape[1] == 1 else array


def to_labels(array: NDArray[np.generic], n: int, origin: str) -> Tensor:
    """Labels of a data set, int64 `(n,)`, from integers `(n,)`.

    Raises:
        InputError: If they are not integers, or not `n`.
    """
    if array.dtype.kind not in "iu" or array.shape != (n,):
        raise InputError(
            f"{origin}: found labels of type {array.dtype} and shape {array.shape}; allowed: "
            f"integers of shape ({n},), one for each example"
        )
    return torch.from_numpy(array.astype(np.int64))
