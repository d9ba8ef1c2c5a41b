"""Histograms of scores in bins that several sets of examples share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocsearch.config import HELD_OUT

_FEWEST, _MOST = 20, 50
# Beyond these quantiles a set has outliers.
_TAIL = 0.005
# Widths of the ID part by which the bins may reach beyond it: else a far set would squeeze it
# into one bin.
_REACH = 3.0


@dataclass(frozen=True)
class Histogram:
    """How the scores of several sets of examples are spread.

    Attributes:
        edges: Of the b bins, of equal widths, rising, `(b + 1,)`.
        shares: Share of the examples of each set in each bin by name, `(b,)`; they add up to 1.
        beyond: Share of the examples of each set that lie beyond the edges by name; they are
            counted in the outermost bins.
    """

    edges: NDArray[np.float64]
    shares: Mapping[str, NDArray[np.float64]]
    beyond: Mapping[str, float]


def shared_histogram(
    in_distribution: NDArray[np.floating], out_of_distribution: Mapping[str, NDArray[np.floating]]
) -> Histogram:
    """Histograms of one score, of the ID examples and of several OOD sets.

    The bins reach from the lowest 0.5 % quantile of a set to the highest 99.5 % quantile of one,
    but no further beyond those of the ID examples than three times the distance between these.
    There are twice as many as the cube root of the examples of the smallest set, 20 to 50 (the
    Rice rule).

    Args:
        in_distribution: Scores of ID examples, `(n,)`; their name is `validation`, which no OOD
            set can have.
        out_of_distribution: Scores of the examples of each OOD set by name, `(m,)`.
    """
    sets = {HELD_OUT: in_distribution, **out_of_distribution}
    sets = {name: scores.astype(np.float64) for name, scores in sets.items()}
    tails = np.array([np.quantile(scores, (_TAIL, 1 - _TAIL)) for scores in sets.values()])
    id_low, id_high = tails[0]
    width = (id_high - id_low) or 1.0
    low = max(tails[:, 0].min(), id_low - _REACH * width)
    high = min(tails[:, 1].max(), id_high + _REACH * width)
    if high <= low:
        half = max(0.5, 1e-3 * abs(low))
        low, high = low - half, low + half
    smallest = min(map(len, sets.values()))
    bins = int(np.clip(round(2 * smallest ** (1 / 3)), _FEWEST, _MOST))
    edges = np.linspace(low, high, bins + 1)
    shares, beyond = {}, {}
    for name, scores in sets.items():
        counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)
        shares[name] = counts / len(scores)
        beyond[name] = float(np.mean((scores < edges[0]) | (scores > edges[-1])))
    return Histogram(edges, shares, beyond)
