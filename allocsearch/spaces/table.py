"""The space of a named list of allocations."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from optuna.trial import BaseTrial

from allocsearch.allocation import Allocation
from allocsearch.spaces.nearest import sorted_outwards


class TableSpace:
    """One categorical parameter, the allocation in its text form.

    Args:
        allocations: The allocations, which may differ in their number of layers.
    """

    def __init__(self, allocations: Sequence[Allocation]) -> None:
        self.allocations = tuple(allocations)

    def suggest(self, trial: BaseTrial) -> Allocation:
        """The allocation that the trial's `allocation` names."""
        return Allocation.parse(trial.suggest_categorical("allocation", self._texts))

    def params(self, allocation: Allocation) -> dict[str, Any]:
        """The name of the allocation.

        Raises:
            ValueError: If `allocation` is not in the table.
        """
        if allocation not in self.allocations:
            raise ValueError(f"{allocation} is not in the table {', '.join(self._texts)}")
        return {"allocation": str(allocation)}

    @property
    def size(self) -> int:
        """The number of allocations of the table."""
        return len(self.allocations)

    def __getitem__(self, rank: int) -> Allocation:
        return self.allocations[rank]

    def outwards(self, center: Allocation, source: random.Random) -> list[Allocation]:
        """The table, sorted by the distance from `center`."""
        return sorted_outwards(self.allocations, center, source)

    @property
    def _texts(self) -> list[str]:
        return [str(allocation) for allocation in self.allocations]
