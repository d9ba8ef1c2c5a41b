"""How the picture of what the layers of a trained model hold is laid out."""

from __future__ import annotations

# The file of a trial that holds it.
DEPTHS_NAME = "depths.png"
# Examples, which are the columns.
COLUMNS = 8
# Pixels. Smaller images are repeated to the least, larger ones shrunk to the most.
LEAST_SIDE, MOST_SIDE = 32, 64
MARGIN = 2
_MOST_ROWS = 10


def depth_rows(layers: int) -> tuple[int, ...]:
    """The values of k of the rows, from 0 (all from q) to L (all from the prior).

    Args:
        layers: L. Of more than nine, k is spread evenly.
    """
    if layers < _MOST_ROWS:
        return tuple(range(layers + 1))
    return tuple(round(i * layers / (_MOST_ROWS - 1)) for i in range(_MOST_ROWS))
