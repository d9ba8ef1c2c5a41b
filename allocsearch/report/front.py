"""The Pareto front of a study, and the member to recommend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocsearch.config import Objective
from allocsearch.search.records import StudyRecord, TrialRecord


def losses(values: ArrayLike, objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """The values with signs such that smaller is better.

    Args:
        values: Objective values, `(n, m)`.
        objectives: The m objectives, in the order of the columns.

    Returns:
        `(n, m)`, in the units of the objectives.
    """
    signs = [-1.0 if objective.direction == "maximize" else 1.0 for objective in objectives]
    # Adding zero turns -0.0 into 0.0, so that equal values stay equal.
    return np.asarray(values, dtype=np.float64).reshape(-1, len(signs)) * signs + 0.0


def non_dominated(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points no other point dominates: as good in every column and better in one.

    Args:
        losses: Finite values of which smaller is better, `(n, m)`.

    Returns:
        `(n,)`. Points with equal values are all in or all out.
    """
    points, index = np.unique(losses, axis=0, return_inverse=True)
    kept = np.ones(len(points), dtype=np.bool_)
    # Points are in lexicographic order, so that only an earlier one can dominate a later one.
    for i, point in enumerate(points):
        if kept[i]:
            kept[i + 1 :] &= (points[i + 1 :] < point).any(axis=1)
    return kept[index.reshape(-1)]


def comparable(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """The complete trials whose objectives are all finite, in order of number."""
    return tuple(trial for trial in record.complete if np.isfinite(trial.values).all())


def pareto_front(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """The complete trials that no other dominates under the study's objectives.

    Returns:
        Best in the first objective first, then by number. Trials with equal objectives are all
        members; those with an objective that is not finite are left out.
    """
    trials = comparable(record)
    if not trials:
        return ()
    objectives = record.config.study.parsed_objectives
    cost = losses([trial.values for trial in trials], objectives)
    members = np.flatnonzero(non_dominated(cost))
    order = sorted(members, key=lambda i: (*cost[i], trials[i].number))
    return tuple(trials[i] for i in order)


def distances_to_ideal(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distance to the ideal point, each objective scaled to [0, 1] over the front.

    Args:
        losses: Finite values of a front's members, smaller is better, `(n, m)`.

    Returns:
        `(n,)`, without unit, in [0, sqrt(m)]. An objective in which all members are equal counts
        for nothing.

    Reference: compromise programming with p = 2, Zeleny (1973), "Compromise programming".
    """
    best, worst = losses.min(axis=0), losses.max(axis=0)
    # Halved first: the range of two finite values can overflow.
    spread = worst / 2 - best / 2
    scaled = (losses / 2 - best / 2) / np.where(spread > 0, spread, 1.0)
    distances: NDArray[np.float64] = np.sqrt((scaled**2).sum(axis=1))
    return distances


def knee(front: Sequence[TrialRecord], objectives: Sequence[Objective]) -> TrialRecord:
    """The member of a front to recommend: the nearest to the ideal point.

    The ideal point has the front's best value of every objective. Ties (to 1e-12 of the range)
    go to the lowest trial number. With one objective it is the best trial.

    Args:
        front: Members with finite objectives.
        objectives: The objectives, in the order of each member's values.

    Raises:
        ValueError: If the front is empty.

    Reference: as `distances_to_ideal`.
    """
    if not front:
        raise ValueError("an empty front has no knee")
    distances = distances_to_ideal(losses([trial.values for trial in front], objectives))
    least = distances.min() + 1e-12
    near = [trial for trial, d in zip(front, distances, strict=True) if d <= least]
    return min(near, key=lambda trial: trial.number)
