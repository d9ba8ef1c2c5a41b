"""The space of one parameter: the ratio between the dims of neighbouring layers."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import numpy as np
from optuna.trial import BaseTrial

from allocsearch.allocation import Allocation, Lattice
from allocsearch.spaces.nearest import center_on, sorted_outwards

# Ratios at which the range is scanned for the allocations that it reaches.
_SCAN = 4097


class RatioSpace:
    """Allocations with d_l proportional to r^(l-1), r on a log scale.

    Args:
        lattice: Budget, layers, step, floor and caps.
        low: Smallest ratio, above 0.
        high: Largest ratio.
    """

    def __init__(self, lattice: Lattice, low: float, high: float) -> None:
        self.lattice = lattice
        self.low = low
        self.high = high

    def suggest(self, trial: BaseTrial) -> Allocation:
        """The allocation at the trial's `ratio`."""
        ratio = trial.suggest_float("ratio", self.low, self.high, log=True)
        return Allocation.from_ratio(ratio, self.lattice)

    def params(self, allocation: Allocation) -> dict[str, Any]:
        """The middle (in its logarithm) of the ratios that give `allocation`.

        Raises:
            ValueError: If no ratio of the range gives it.
        """
        ratios = self._reached.get(allocation)
        if ratios is None:
            raise ValueError(f"no ratio from {self.low} to {self.high} gives {allocation}")
        return {"ratio": ratios[len(ratios) // 2]}

    @property
    def size(self) -> int:
        """The number of allocations that the range reaches."""
        return len(self._reached)

    def __getitem__(self, rank: int) -> Allocation:
        return list(self._reached)[rank]

    def outwards(self, center: Allocation, source: random.Random) -> list[Allocation]:
        """What the range reaches, sorted by the distance from `center`."""
        return sorted_outwards(self._reached, center_on(self.lattice, center), source)

    @property
    def _reached(self) -> dict[Allocation, list[float]]:
        return _scanned(self.lattice, self.low, self.high)


@cache
def _scanned(lattice: Lattice, low: float, high: float) -> dict[Allocation, list[float]]:
    """The ratios of a scan of the range, by the allocation that each gives; it takes a second."""
    reached: dict[Allocation, list[float]] = {}
    for ratio in np.geomspace(low, high, _SCAN).clip(low, high).tolist():
        reached.setdefault(Allocation.from_ratio(ratio, lattice), []).append(ratio)
    return reached
