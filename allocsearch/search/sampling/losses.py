"""Values of objectives, turned so that smaller is better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocsearch.config import Objective


def signs(objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """What makes losses of values: -1 where larger is better and 1 elsewhere, `(m,)`."""
    return np.array([-1.0 if o.direction == "maximize" else 1.0 for o in objectives])


def losses(values: ArrayLike, objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """The values with signs such that smaller is better.

    Args:
        values: Objective values, `(n, m)`.
        objectives: The m objectives, in the order of the columns.

    Returns:
        `(n, m)`, in the units of the objectives.
    """
    # Adding zero turns -0.0 into 0.0, so that equal values stay equal.
    turned: NDArray[np.float64] = np.asarray(values, dtype=np.float64).reshape(-1, len(objectives))
    return turned * signs(objectives) + 0.0
