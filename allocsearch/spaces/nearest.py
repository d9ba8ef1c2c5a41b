"""Allocations in the order of their distance from one, without a list of the whole lattice.

The distance of two allocations is sum_l |d_l - d'_l|; a layer that one of them lacks has no dims.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from allocsearch.allocation import Allocation, Lattice


def distance(one: Allocation, other: Allocation) -> int:
    """sum_l |d_l - d'_l|, twice the number of dims that move from layer to layer."""
    return sum(abs(a - b) for a, b in zip_longest(one.dims, other.dims, fillvalue=0))


def sorted_outwards(
    allocations: Iterable[Allocation], center: Allocation, source: random.Random
) -> list[Allocation]:
    """Allocations, the nearest to `center` first, ties in random order."""
    shuffled = list(allocations)
    source.shuffle(shuffled)
    return sorted(shuffled, key=lambda each: distance(each, center))


def lattice_outwards(
    lattice: Lattice, center: Allocation, source: random.Random
) -> Iterator[Allocation]:
    """Every allocation of a lattice once, the nearest to `center` first, ties in random order.

    Only what is read is made, so that the lattice can be of any size.

    Args:
        lattice: The lattice.
        center: An allocation of it. Of one that is not, the allocation with the same ratio
            stands in.
        source: Breaks ties, which need not be uniform among all that tie.
    """
    start = center_on(lattice, center)
    up = [high - d for high, d in zip(lattice.highest, start.dims, strict=True)]
    down = [d - low for low, d in zip(lattice.lowest, start.dims, strict=True)]
    order = list(range(lattice.layers))
    source.shuffle(order)
    dims = list(start.dims)

    def moved(place: int, gain: int, loss: int) -> Iterator[Allocation]:
        """All ways to give `gain` dims to the layers from a place on, and to take `loss`."""
        if gain == loss == 0:
            yield Allocation(tuple(dims))
            return
        rest = order[place:]
        if gain > sum(up[i] for i in rest) or loss > sum(down[i] for i in rest):
            return
        layer = rest[0]
        step, before = lattice.steps[layer], dims[layer]
        changes = list(range(0, min(up[layer], gain) + 1, step))
        changes += range(-step, -min(down[layer], loss) - 1, -step)
        source.shuffle(changes)
        for change in changes:
            dims[layer] = before + change
            yield from moved(place + 1, gain - max(change, 0), loss + min(change, 0))
        dims[layer] = before

    for shift in range(0, min(sum(up), sum(down)) + 1, lattice.grain):
        yield from moved(0, shift, shift)


def center_on(lattice: Lattice, center: Allocation) -> Allocation:
    """`center`, or the allocation of the lattice with its ratio where it is not on it."""
    return center if center in lattice else Allocation.from_ratio(center.ratio, lattice)
