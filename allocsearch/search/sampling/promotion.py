"""Which of several points go on where a share of them may: the rule of MO-ASHA."""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray


def promoted(losses: NDArray[np.float64], keep: int) -> NDArray[np.bool_]:
    """The best `keep` points by non-domination rank, and every point that none dominates.

    Ties inside a rank go to points far from those of it that are kept already, an epsilon net,
    each objective scaled to its range. In MO-ASHA the first rank is thinned out, too: with three
    objectives that costs a fifth to a third of the front even where a rung is a perfect guide, for
    among n points about ln(n)^2 / 2 are not dominated.

    Args:
        losses: Values of which smaller is better, `(n, m)`. A row that is not finite is behind all
            that are.
        keep: How many to keep, at least; ties that the net leaves go to earlier rows.

    Returns:
        `(n,)`.

    Reference: Schmucker et al. (2021), "Multi-objective Asynchronous Successive Halving".
    """
    kept = np.zeros(len(losses), dtype=np.bool_)
    finite = np.flatnonzero(np.isfinite(losses).all(axis=1))
    if len(finite):
        kept[finite] = _best(losses[finite], keep)
    others = np.setdiff1d(np.arange(len(losses)), finite)
    kept[others[: max(0, keep - len(finite))]] = True
    return kept


def _best(losses: NDArray[np.float64], keep: int) -> NDArray[np.bool_]:
    ranks = moocore.pareto_rank(losses)
    # The last rank of which all have room, but for the first, which always has.
    counts = np.cumsum(np.bincount(ranks))
    last = max(0, int(np.searchsorted(counts, keep, side="right")) - 1)
    kept: NDArray[np.bool_] = ranks <= last
    room = keep - int(counts[last])
    if room > 0 and last + 1 < len(counts):
        members = np.flatnonzero(ranks == last + 1)
        # Halved first: the range of two finite values can overflow.
        low, high = losses.min(axis=0) / 2, losses.max(axis=0) / 2
        scaled = (losses[members] / 2 - low) / np.where(high > low, high - low, 1.0)
        kept[members[epsilon_net(scaled, room)]] = True
    return kept


def epsilon_net(points: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The first `count` points of an order in which each is the farthest from those before it.

    The first is the one that is smallest in the first column; ties go to the earlier row.

    Args:
        points: Finite values, `(n, m)`.
        count: From 1 to n.

    Returns:
        Indices, `(count,)`.

    Reference: Clarkson (2006), "Nearest-neighbor searching and metric space dimensions", the
    greedy permutation.
    """
    order = [int(points[:, 0].argmin())]
    distances = np.full(len(points), np.inf)
    while len(order) < count:
        distances = np.minimum(distances, ((points - points[order[-1]]) ** 2).sum(axis=1))
        distances[order[-1]] = -1.0
        order.append(int(distances.argmax()))
    return np.array(order)
