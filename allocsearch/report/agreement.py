"""How well a prediction ranks what was measured: Kendall's tau with a bootstrap interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST_PAIRS = 5
_RESAMPLES = 300


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b of n pairs, and its 95 % percentile bootstrap interval over the pairs."""

    tau: float
    low: float
    high: float
    n: int


def rank_agreement(
    predicted: Sequence[float], measured: Sequence[float], seed: int = 0
) -> Agreement | None:
    """Rank correlation of predictions and measurements, one pair for each allocation.

    Args:
        predicted: n values.
        measured: n values, in the same order.
        seed: Of the bootstrap.

    Returns:
        None for fewer than `LEAST_PAIRS` pairs, or where all of one side are equal.

    Reference: Kendall (1945), "The treatment of ties in ranking problems".
    """
    first, second = np.asarray(predicted, dtype=float), np.asarray(measured, dtype=float)
    n = len(first)
    if n < LEAST_PAIRS or not np.ptp(first) or not np.ptp(second):
        return None
    rng = np.random.default_rng(seed)
    taus = []
    for _ in range(_RESAMPLES):
        chosen = rng.integers(n, size=n)
        # A resample in which one side is constant ranks nothing, and has no tau.
        if np.ptp(first[chosen]) and np.ptp(second[chosen]):
            taus.append(_tau(first[chosen], second[chosen]))
    low, high = np.quantile(taus, (0.025, 0.975)) if taus else (math.nan, math.nan)
    return Agreement(_tau(first, second), float(low), float(high), n)


def _tau(first: Array, second: Array) -> float:
    # Imported where it is used: most commands need none of it, and it takes a second.
    from scipy.stats import kendalltau

    return float(kendalltau(first, second, method="asymptotic").statistic)


def agreement_text(agreement: Agreement | None) -> str:
    """The agreement in a sentence."""
    if agreement is None:
        return (
            f"Kendall's tau of predicted and measured values takes {LEAST_PAIRS} allocations "
            "that differ in both: not enough trials."
        )
    return (
        f"Kendall's tau of predicted and measured values: {agreement.tau:.2f} "
        f"({agreement.low:.2f} to {agreement.high:.2f}, 95 % bootstrap) over {agreement.n} "
        "allocations."
    )
