"""Thresholds of a score at chosen false-positive rates."""

from __future__ import annotations

import math
from fractions import Fraction

from torch import Tensor


def threshold(in_distribution: Tensor, fpr: float) -> float:
    """The threshold that another ID example exceeds with probability `fpr` at most.

    It is an order statistic, the m-th largest of n scores, m = floor(fpr (n + 1)). The probability
    is over the n examples and the other one, all drawn alike; nothing is assumed of the
    distribution of the scores.

    Args:
        in_distribution: Scores of held-out ID examples, `(n,)`.
        fpr: The false-positive rate, above 0 and below 1.

    Raises:
        ValueError: If `fpr` is below 1 / (n + 1): n scores cannot promise it.

    Reference: Bates et al. (2023), "Testing for outliers with conformal p-values", section 2.
    """
    rank = math.floor(_exact(fpr) * (len(in_distribution) + 1))
    if not 1 <= rank <= len(in_distribution):
        least = 1 / (len(in_distribution) + 1)
        raise ValueError(f"{fpr} is not between {least:.2g} and 1")
    return float(in_distribution.sort(descending=True).values[rank - 1])


def _exact(fpr: float) -> Fraction:
    """The number as it is written: 0.05 is 1/20, and not the nearest binary fraction."""
    return Fraction(repr(float(fpr)))
