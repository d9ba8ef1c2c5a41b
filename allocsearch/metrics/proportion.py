"""The exact interval of a proportion."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

# The inverse has no value where a parameter is 0, and there the end of the interval is known.
_LEAST = 1e-300


def clopper_pearson(
    share: ArrayLike, n: int, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Clopper-Pearson interval of a share of n, which need not be a multiple of 1/n.

    Args:
        share: Observed shares, `(...)`, in [0, 1].
        n: Of how many.
        level: Least share of repetitions in which the interval contains the true one.

    Returns:
        Lower and upper end, each `(...)`.

    Reference: Clopper and Pearson (1934).
    """
    hits, misses, tail = n * np.asarray(share), n * (1 - np.asarray(share)), (1 - level) / 2
    low = np.where(hits > 0, betaincinv(np.fmax(hits, _LEAST), misses + 1, tail), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.fmax(misses, _LEAST), 1 - tail), 1.0)
    return low, high
