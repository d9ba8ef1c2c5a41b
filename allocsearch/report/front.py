"""The Pareto front of a study, and the member to recommend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.sampling.front_probability import Volume, front_probability, front_volume
from allocsearch.search.sampling.losses import losses, signs
from allocsearch.search.sampling.replicates import Replicates, Spread, by_allocation, pooled_spread

CERTAIN = 0.5


@dataclass(frozen=True, eq=False)
class Candidate:
    """An allocation as it stands among the others.

    Attributes:
        replicates: Its trainings.
        trial: The typical one, which stands for it: the nearest to the mean.
        mean: The mean of each objective over the trainings.
        interval: 95 % interval of each mean, `(low, high)`, over trainings; None if unknown.
        probability: Of being on the front; None if unknown.
    """

    replicates: Replicates
    trial: TrialRecord
    mean: tuple[float, ...]
    interval: tuple[tuple[float, float], ...] | None = None
    probability: float | None = None

    @property
    def allocation(self) -> Allocation | None:
        """The allocation."""
        return self.replicates.allocation


@dataclass(frozen=True)
class StudyFront:
    """The allocations of a study, and which of them are on the front.

    Attributes:
        candidates: All allocations with finite objectives, in order of the first training.
        members: Those whose means no other's dominate, best in the first objective first, then by
            number. Allocations with equal means are all members.
        spread: How far trainings of one allocation differ; None if no allocation has two, and then
            intervals and probabilities are unknown.
        volume: Hypervolume of the front, as a share of the box between the worst and the best
            value that any of the trainings has had in each objective; None if the spread is
            unknown.
    """

    candidates: tuple[Candidate, ...]
    members: tuple[Candidate, ...]
    spread: Spread | None
    volume: Volume | None

    @property
    def repeated(self) -> int:
        """How many allocations have two trainings or more."""
        return sum(candidate.replicates.count > 1 for candidate in self.candidates)


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


def study_front(record: StudyRecord, *, resample: bool = True) -> StudyFront:
    """The front of a study, by the means of each allocation's trainings.

    Trials with an objective that is not finite are left out.

    Args:
        record: The study.
        resample: Whether to find probabilities and the hypervolume, which takes a second and more
            for thousands of allocations.
    """
    groups = by_allocation(comparable(record))
    objectives = record.config.study.parsed_objectives
    return front_of(groups, pooled_spread(groups), objectives, resample=resample)


def front_of(
    groups: Sequence[Replicates],
    spread: Spread | None,
    objectives: Sequence[Objective],
    *,
    resample: bool = True,
) -> StudyFront:
    """The front of some allocations.

    Args:
        groups: The trainings of each, with objectives that are all finite.
        spread: How far trainings of one allocation differ, where it is known.
        objectives: The objectives, in the order of each training's values.
        resample: As for `study_front`.
    """
    if not groups:
        return StudyFront((), (), spread, None)
    means = [group.mean for group in groups]
    cost = losses(means, objectives)
    probabilities: list[float | None] = [None] * len(groups)
    volume = None
    if spread is not None and resample:
        turned = spread.turned(signs(objectives))
        counts = np.array([group.count for group in groups])
        known = [group.allocation for group in groups]
        probabilities = [*map(float, front_probability(cost, counts, turned, known))]
        volume = front_volume(cost, counts, turned, *objective_box(groups, objectives))
    halves = None if spread is None else _half_widths(spread)
    candidates = tuple(
        Candidate(
            group,
            _typical(group, mean, spread),
            mean,
            None if halves is None else _interval(mean, halves / math.sqrt(group.count)),
            probability,
        )
        for group, mean, probability in zip(groups, means, probabilities, strict=True)
    )
    members = np.flatnonzero(non_dominated(cost))
    order = sorted(members, key=lambda i: (*cost[i], candidates[i].trial.number))
    return StudyFront(candidates, tuple(candidates[i] for i in order), spread, volume)


def objective_box(
    groups: Sequence[Replicates], objectives: Sequence[Objective]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The box that a front's hypervolume is a share of.

    Args:
        groups: The trainings of each allocation, at least one.
        objectives: The objectives, in the order of each training's values.

    Returns:
        The worst and the best loss that any training has had in each objective, `(m,)` each: the
        reference point, and the ideal point.
    """
    told = losses(np.concatenate([group.values for group in groups]), objectives)
    return told.max(axis=0), told.min(axis=0)


def _typical(group: Replicates, mean: tuple[float, ...], spread: Spread | None) -> TrialRecord:
    """The training nearest to the mean, in units of the spread; ties go to the lowest number."""
    if spread is None or group.count == 1:
        return group.trials[0]
    deviation = np.sqrt(np.diag(spread.covariance))
    away = (group.values - mean) / np.where(deviation > 0, deviation, 1.0)
    distances = np.sqrt((away**2).sum(axis=1))
    return group.trials[int(np.flatnonzero(distances <= distances.min() + 1e-9)[0])]


def _half_widths(spread: Spread) -> NDArray[np.float64]:
    """Half the 95 % interval of each objective of one training, `(m,)`."""
    # Imported where it is used: it takes long, and a study without replicates needs none of it.
    from scipy.special import stdtrit

    halves: NDArray[np.float64] = stdtrit(spread.freedom, 0.975) * spread.errors(1)
    return halves


def difference_interval(
    front: StudyFront, one: Candidate, other: Candidate
) -> tuple[tuple[float, float], ...] | None:
    """95 % interval of each objective's difference of two means, `one` less `other`.

    Returns:
        `(low, high)` for each objective; None where the spread over trainings is unknown.
    """
    if front.spread is None:
        return None
    share = sum(1 / each.replicates.count for each in (one, other))
    difference = tuple(a - b for a, b in zip(one.mean, other.mean, strict=True))
    return _interval(difference, _half_widths(front.spread) * math.sqrt(share))


def _interval(
    mean: tuple[float, ...], halves: NDArray[np.float64]
) -> tuple[tuple[float, float], ...]:
    return tuple((m - h, m + h) for m, h in zip(mean, halves.tolist(), strict=True))


def pareto_front(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """The typical trial of each member of `study_front`, in its order."""
    return tuple(member.trial for member in study_front(record, resample=False).members)


def distances_to_ideal(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distance to the ideal point, each objective scaled to [0, 1] over the front.

    Args:
        losses: Finite values of a front's members, smaller is better, `(n, m)`.

    Returns:
        `(n,)`, without unit, in [0, sqrt(m)]. An objective in which all members are equal counts
        for nothing.

    Reference: compromise programming with p = 2, Zeleny (1973), "Compromise programming".
    """
    distances: NDArray[np.float64] = np.sqrt((scaled_losses(losses) ** 2).sum(axis=1))
    return distances


def scaled_losses(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Losses scaled so that the best of each column is 0 and the worst 1.

    Args:
        losses: Finite values, smaller is better, `(n, m)`.

    Returns:
        `(n, m)`; 0 in a column whose values are all equal.
    """
    best, worst = losses.min(axis=0), losses.max(axis=0)
    # Halved first: the range of two finite values can overflow.
    spread = worst / 2 - best / 2
    scaled: NDArray[np.float64] = (losses / 2 - best / 2) / np.where(spread > 0, spread, 1.0)
    return scaled


def certain_members(members: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The members that a choice prefers.

    Returns:
        Those that are on the front with probability 0.5 or more; if there is none, the most
        probable; all of them where probabilities are unknown.
    """
    known = [member.probability for member in members if member.probability is not None]
    if not known:
        return tuple(members)
    least = min(CERTAIN, max(known))
    return tuple(m for m in members if m.probability is not None and m.probability >= least)


def knee(members: Sequence[Candidate], objectives: Sequence[Objective]) -> Candidate:
    """The member of a front to recommend: of the certain ones, the nearest to the ideal point.

    The ideal point has the certain members' best value of every objective. Ties (to 1e-12 of the
    range) go to the more probable, then to the lowest trial number. With one objective it is the
    best.

    Args:
        members: Members of the front.
        objectives: The objectives, in the order of each member's means.

    Raises:
        ValueError: If there is no member.

    Reference: as `distances_to_ideal`.
    """
    if not members:
        raise ValueError("an empty front has no knee")
    pool = certain_members(members)
    distances = distances_to_ideal(losses([member.mean for member in pool], objectives))
    least = distances.min() + 1e-12
    near = [member for member, d in zip(pool, distances, strict=True) if d <= least]
    return min(near, key=lambda member: (-(member.probability or 0.0), member.trial.number))


def best_members(
    members: Sequence[Candidate], objectives: Sequence[Objective]
) -> tuple[Candidate, ...]:
    """The member of a front that is best in each objective; ties go to the lowest number."""
    cost = losses([member.mean for member in members], objectives)
    return tuple(
        min(
            zip(column, members, strict=True), key=lambda entry: (entry[0], entry[1].trial.number)
        )[1]
        for column in cost.T.tolist()
    )
