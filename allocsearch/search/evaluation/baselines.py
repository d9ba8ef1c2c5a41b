"""The allocations that nobody has to search for."""

from __future__ import annotations

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import SearchSpaceSection

UNIFORM = "uniform split"


def baselines(
    allocation: Allocation, section: SearchSpaceSection
) -> tuple[tuple[str, Allocation], ...]:
    """What an allocation is compared with, by name: others of its budget and number of layers.

    The uniform split, and the split that grows linearly to the middle layer and falls again, as
    8-16-8 does, each as near as the search space has it; with a step of 1 where that has no
    such lattice. Of two layers none is in the middle, and there is the first one alone.

    Args:
        allocation: The allocation.
        section: The search space.
    """
    layers = allocation.layers
    known = {} if section.kind == "table" else section.lattices()
    lattice = known.get(layers) or Lattice(allocation.budget, layers)
    uniform = (UNIFORM, Allocation.from_ratio(1.0, lattice))
    if layers < 3:
        return (uniform,)
    weights = [min(i, layers + 1 - i) for i in range(1, layers + 1)]
    name = f"{':'.join(map(str, weights))} split"
    return uniform, (name, Allocation.from_weights(weights, lattice))
