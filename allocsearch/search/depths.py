"""Which depths the picture of a trained model has rows for."""

from __future__ import annotations

# The file of a trial that holds it.
DEPTHS_NAME = "depths.png"
# Examples, which are the columns.
COLUMNS = 8
_MOST_ROWS = 10


def depth_rows(layers: int) -> tuple[int, ...]:
    """The values of k of the rows, from 0 (all from q) to L (all from the prior).

    Args:
        layers: L. Of more than nine, k is spread evenly.
    """
    if layers < _MOST_ROWS:
        return tuple(range(layers + 1))
    return tuple(round(i * layers / (_MOST_ROWS - 1)) for i in range(_MOST_ROWS))
