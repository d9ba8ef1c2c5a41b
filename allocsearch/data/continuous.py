"""From arrays as they stand in files to the continuous values of a data set."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allocsearch.config import InputError
from allocsearch.data.pixels import channels_first


def to_continuous(array: NDArray[np.generic], origin: str) -> Tensor:
    """Continuous values of a data set.

    Args:
        array: Finite floats or integers, `(n, d)`, or images as `to_values` takes them.
        origin: What errors name, the file.

    Returns:
        float32, `(n, d)`, `(n, H, W)` for grey and `(n, 3, H, W)` for colour images.

    Raises:
        InputError: If type or shape are others, or a value is missing (NaN), infinite, or too
            large for float32.
    """
    if array.dtype.kind not in "fiu":
        raise InputError(f"{origin}: found values of type {array.dtype}; allowed: numbers")
    array = channels_first(array, origin)
    with np.errstate(over="ignore"):
        values = torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
    finite = values.flatten(1).isfinite().all(1)
    if not finite.all():
        row = int(finite.int().argmin())
        raise InputError(
            f"{origin}: found NaN or an infinite value (in float32) in example {row}; allowed: "
            f"finite numbers"
        )
    return values
