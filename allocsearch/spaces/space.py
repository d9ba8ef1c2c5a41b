"""What every search space can do."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Protocol

from optuna.trial import BaseTrial

from allocsearch.allocation import Allocation


class Space(Protocol):
    """A finite, numbered set of allocations that an Optuna trial can choose from.

    The parameters and their ranges are the same for every trial, so every sampler of Optuna works.
    """

    def suggest(self, trial: BaseTrial) -> Allocation:
        """The allocation that the trial's parameters stand for."""

    def params(self, allocation: Allocation) -> dict[str, Any]:
        """Parameters for which `suggest` gives `allocation`, to enqueue it.

        Raises:
            ValueError: If `allocation` is not in the space.
        """

    @property
    def size(self) -> int:
        """The number of allocations, which may exceed what `len` can give."""

    def __getitem__(self, rank: int) -> Allocation:
        """The allocation at a position from 0 to `size - 1`."""

    def outwards(self, center: Allocation, source: random.Random) -> Iterable[Allocation]:
        """Each allocation of the space once, the nearest to `center` first.

        The distance is sum_l |d_l - d'_l|; `source` breaks ties.
        """
