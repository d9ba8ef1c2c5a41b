"""The trainings of each allocation, and how far those of one allocation differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocsearch.allocation import Allocation
from allocsearch.search.records import TrialRecord


@dataclass(frozen=True, eq=False)
class Replicates:
    """The complete trainings of one allocation.

    Attributes:
        allocation: The allocation.
        trials: Its trials in order of number, at least one.
    """

    allocation: Allocation | None
    trials: tuple[TrialRecord, ...]

    @property
    def count(self) -> int:
        """How many trainings there are."""
        return len(self.trials)

    @property
    def values(self) -> NDArray[np.float64]:
        """The objectives of each training, `(count, m)`."""
        return np.array([trial.values for trial in self.trials], dtype=np.float64)

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each objective, that of one training exactly as it was told."""
        # Halved first: the sum of two finite values can overflow.
        values = self.values
        return tuple(
            map(float, (values / self.count).sum(axis=0) if self.count > 1 else values[0])
        )

    def mean_of(self, metric: str) -> float:
        """The mean of a recorded metric over the trainings that have a number for it, else NaN."""
        found = [trial.metrics.get(metric, math.nan) for trial in self.trials]
        known = [value for value in found if not math.isnan(value)]
        return sum(value / len(known) for value in known) if known else math.nan


@dataclass(frozen=True)
class Spread:
    """How far trainings of one allocation differ.

    Attributes:
        covariance: Of the objectives of one training about its allocation's mean, `(m, m)`.
        freedom: Degrees of freedom behind it: the trainings beyond each allocation's first.
    """

    covariance: NDArray[np.float64]
    freedom: int

    def turned(self, signs: NDArray[np.float64]) -> Spread:
        """That of the objectives times `signs`, `(m,)`, each -1 or 1."""
        return Spread(self.covariance * np.outer(signs, signs), self.freedom)

    def errors(self, count: int) -> NDArray[np.float64]:
        """Standard error of each objective's mean over `count` trainings, `(m,)`."""
        errors: NDArray[np.float64] = np.sqrt(np.diag(self.covariance) / count)
        return errors


def by_allocation(trials: Iterable[TrialRecord]) -> tuple[Replicates, ...]:
    """The complete trials by allocation, in order of the first training.

    Two trials of one allocation and one seed are one training that was repeated: the first counts.
    """
    groups: dict[object, dict[object, TrialRecord]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state == "complete":
            # What is not known to be equal is taken as another.
            allocation = trial.number if trial.allocation is None else trial.allocation
            seed = ("trial", trial.number) if trial.seed is None else trial.seed
            groups.setdefault(allocation, {}).setdefault(seed, trial)
    found = (tuple(group.values()) for group in groups.values())
    return tuple(Replicates(trials[0].allocation, trials) for trials in found)


def pooled_spread(groups: Sequence[Replicates]) -> Spread | None:
    """The covariance within allocations, pooled over all with two or more trainings.

    Every allocation is taken to have the same one. Two or three trainings say next to nothing of
    the spread of one allocation (a standard deviation from two is off by a factor of 2 or more in
    more than 40 % of all cases), and one training says nothing; pooled, all of them count. The
    correlations are shrunk to 0 by `freedom / (freedom + m + 1)`, so that few replicates claim
    none, and the matrix is regular wherever no objective is constant.

    Args:
        groups: The allocations, with objectives that are all finite.

    Returns:
        None if no allocation has two trainings: then nothing is known of the spread.

    Reference: the analysis of variance within groups; the shrinkage is the mean of an inverse
    Wishart posterior (Gelman et al. 2013, section 3.6) but for the diagonal, which is unbiased.
    """
    repeated = [group.values for group in groups if group.count > 1]
    freedom = sum(len(values) - 1 for values in repeated)
    if not freedom:
        return None
    residuals = np.concatenate([values - values.mean(axis=0) for values in repeated])
    covariance = residuals.T @ residuals / freedom
    variances = np.diag(np.diag(covariance))
    weight = freedom / (freedom + len(covariance) + 1)
    return Spread(variances + weight * (covariance - variances), freedom)
