"""ROC curves of scores, as few points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# As many as a page can show apart.
MOST_POINTS = 200

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Roc:
    """A ROC curve with OOD as the positive class.

    Attributes:
        false_positive_rate: Share of ID examples that are called OOD, rising from 0 to 1, `(p,)`.
        true_positive_rate: Share of OOD examples that are, `(p,)`.
    """

    false_positive_rate: Array
    true_positive_rate: Array

    @property
    def area(self) -> float:
        """The AUROC."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))

    def thinned(self, most: int = MOST_POINTS) -> Roc:
        """The curve through `most` of its points at most, spread evenly along it.

        The area changes by 1 / (most - 1) at most, for a curve that is not mostly straight by far
        less.
        """
        if len(self.false_positive_rate) <= most:
            return self
        # Both rates rise, so that their sum runs along the curve.
        length = self.false_positive_rate + self.true_positive_rate
        kept = np.unique(np.searchsorted(length, np.linspace(0, 2, most)).clip(0, len(length) - 1))
        return Roc(self.false_positive_rate[kept], self.true_positive_rate[kept])


def roc(in_distribution: NDArray[np.floating], out_of_distribution: NDArray[np.floating]) -> Roc:
    """The ROC curve of one score, larger = more OOD; ties are a straight line.

    Args:
        in_distribution: Scores of ID examples, `(n,)`.
        out_of_distribution: Scores of OOD examples, `(m,)`.
    """
    # Scikit-learn has it, too, but takes longer to import than a report to make.
    thresholds = np.unique(np.concatenate((in_distribution, out_of_distribution)))[::-1]

    def share_at_or_above(scores: NDArray[np.floating]) -> Array:
        below = np.searchsorted(np.sort(scores), thresholds)
        return np.concatenate(([0.0], 1 - below / len(scores)))

    return Roc(share_at_or_above(in_distribution), share_at_or_above(out_of_distribution))


def mean_roc(curves: list[Roc]) -> Roc:
    """The mean true-positive rate of several curves at each false-positive rate.

    Its area is the mean of their areas.

    Args:
        curves: Of several trainings, one or more.

    Reference: Fawcett (2006), "An introduction to ROC analysis", section 7.1, vertical averaging.
    """
    if len(curves) == 1:
        return curves[0]
    rates = np.unique(np.concatenate([curve.false_positive_rate for curve in curves]))
    lower = np.mean([_at(curve, rates, side="left") for curve in curves], axis=0)
    upper = np.mean([_at(curve, rates, side="right") for curve in curves], axis=0)
    # Both ends of the jump at each rate.
    return Roc(np.repeat(rates, 2), np.column_stack((lower, upper)).ravel())


def _at(curve: Roc, rates: Array, side: str) -> Array:
    """The true-positive rates at false-positive rates, below or above the jumps there."""
    x, y = curve.false_positive_rate, curve.true_positive_rate
    if side == "right":
        last = np.searchsorted(x, rates, side="right") - 1
        known, after = last, np.minimum(last + 1, len(x) - 1)
    else:
        first = np.searchsorted(x, rates, side="left")
        known, after = first, np.maximum(first - 1, 0)
    width = x[after] - x[known]
    share = np.divide(rates - x[known], width, out=np.zeros_like(width), where=width != 0)
    result: Array = y[known] + share * (y[after] - y[known])
    return result
