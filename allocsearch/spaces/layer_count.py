"""A searched number of layers on top of another kind of space."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.trial import BaseTrial

from allocsearch.allocation import Allocation
from allocsearch.spaces.space import Space


class LayerCountSpace:
    """One categorical parameter `layers` chooses among spaces, one per number of layers.

    Args:
        spaces: The space for each number of layers. Parameters of the same name are shared.
    """

    def __init__(self, spaces: Mapping[int, Space]) -> None:
        self.spaces = dict(spaces)

    def suggest(self, trial: BaseTrial) -> Allocation:
        """The allocation that the space of the trial's `layers` gives.

        Every space is asked, so that every trial has every parameter.
        """
        layers = trial.suggest_categorical("layers", list(self.spaces))
        return {n: space.suggest(trial) for n, space in self.spaces.items()}[layers]

    def params(self, allocation: Allocation) -> dict[str, Any]:
        """The number of layers and the parameters of its space; others are left to the sampler.

        Raises:
            ValueError: If `allocation` is in none of the spaces.
        """
        if allocation.layers not in self.spaces:
            counts = ", ".join(map(str, self.spaces))
            raise ValueError(f"{allocation} does not have one of {counts} layers")
        return {"layers": allocation.layers, **self.spaces[allocation.layers].params(allocation)}

    @property
    def size(self) -> int:
        """The number of allocations of all the spaces."""
        return sum(space.size for space in self.spaces.values())

    def __getitem__(self, rank: int) -> Allocation:
        for space in self.spaces.values():
            if rank < space.size:
                return space[rank]
            rank -= space.size
        raise IndexError(rank)

    def outwards(self, center: Allocation, source: random.Random) -> Iterator[Allocation]:
        """Allocations with as many layers as `center` first, then the nearest other numbers.

        Each number of layers begins next to the allocation with the ratio of `center`.
        """
        for n in sorted(self.spaces, key=lambda n: (abs(n - center.layers), n)):
            yield from self.spaces[n].outwards(center, source)
