"""The space of all allocations of a lattice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from optuna.trial import BaseTrial

from allocsearch.allocation import Allocation, Lattice
from allocsearch.spaces.nearest import lattice_outwards


class SimplexSpace:
    """L - 1 parameters in [0, 1]; uniform parameters give allocations uniform over the lattice.

    Args:
        lattice: Budget, layers, step, floor and caps.
    """

    def __init__(self, lattice: Lattice) -> None:
        self.lattice = lattice

    def suggest(self, trial: BaseTrial) -> Allocation:
        """The allocation at the trial's `simplex_1`, ..., `simplex_{L-1}`."""
        names = [f"simplex_{layer}" for layer in range(1, self.lattice.layers)]
        return self.lattice.from_simplex([trial.suggest_float(name, 0, 1) for name in names])

    def params(self, allocation: Allocation) -> dict[str, Any]:
        """The centre of the allocation's cell.

        Raises:
            ValueError: If `allocation` is not on the lattice.
        """
        point = self.lattice.to_simplex(allocation)
        return {f"simplex_{layer}": value for layer, value in enumerate(point, 1)}

    @property
    def size(self) -> int:
        """The number of allocations of the lattice."""
        return self.lattice.size

    def __getitem__(self, rank: int) -> Allocation:
        return self.lattice[rank]

    def outwards(self, center: Allocation, source: random.Random) -> Iterator[Allocation]:
        """The lattice, the nearest to `center` first."""
        return lattice_outwards(self.lattice, center, source)
