"""Real shares of a budget, and the whole dims that are nearest to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from heapq import heapify, heappop, heappush

from allocsearch.allocation.sums import possible_sums


def bounded_shares(
    logs: Sequence[float], lowest: Sequence[int], highest: Sequence[int], budget: int
) -> list[float]:
    """Shares of the budget proportional to exp(logs), each held between its bounds.

    Args:
        logs: Logarithms of the weights, `(L,)`.
        lowest: Lower bounds, `(L,)`, with a sum of at most `budget`.
        highest: Upper bounds, `(L,)`, with a sum of at least `budget`.
        budget: The sum of the shares.

    Returns:
        The shares, `(L,)`.
    """

    def shares(scale: float) -> list[float]:
        # exp is bounded first: an extreme ratio must saturate, not overflow.
        return [
            min(max(math.exp(min(v + scale, 700.0)), low), high)
            for v, low, high in zip(logs, lowest, highest, strict=True)
        ]

    # The common factor that makes the bounded shares sum to the budget: bisection in its log.
    span = max(map(abs, logs)) + math.log(budget) + 1
    below, above = -span, span
    while below < (middle := (below + above) / 2) < above:
        if sum(shares(middle)) < budget:
            below = middle
        else:
            above = middle
    return shares(above)


def nearest_dims(
    ideal: Sequence[float],
    steps: Sequence[int],
    lowest: Sequence[int],
    highest: Sequence[int],
    budget: int,
) -> tuple[int, ...]:
    """The dims of least sum_l (d_l - ideal_l)^2 among those that sum to the budget.

    Layers of one step are filled greedily, which is exact as the squares are convex. What they
    get together is searched outwards from its real optimum, until a bound on the cost shows that
    nothing nearer follows.

    Args:
        ideal: Real shares that sum to the budget, `(L,)`.
        steps: What each d_l is a multiple of, `(L,)`.
        lowest: The least d_l, multiples of the steps, `(L,)`.
        highest: The greatest d_l, multiples of the steps, `(L,)`.
        budget: The sum of the dims.

    Returns:
        The dims, `(L,)`. Among layers of one step, lower ones get more where they tie.

    Raises:
        ValueError: If no dims sum to the budget.
    """
    grain = math.gcd(*steps)
    # The finest step comes last: it fills up what the coarse ones leave.
    groups = [
        _Group(
            step,
            {i: (ideal[i], lowest[i], highest[i]) for i, own in enumerate(steps) if own == step},
        )
        for step in sorted(set(steps), reverse=True)
    ]
    rests = [_Rest.of(groups[n:], grain, budget) for n in range(len(groups) + 1)]
    if budget % grain or not rests[0].holds(budget):
        raise ValueError(f"no multiples of {list(steps)} in these bounds sum to {budget}")

    @cache
    def nearest(n: int, left: int) -> tuple[float, dict[int, int]]:
        """The cost and the dims of the groups from n on."""
        group, rest = groups[n], rests[n + 1]
        if not rest.size:
            return group.split(left)
        best: tuple[float, dict[int, int]] = (math.inf, {})
        surplus = left - group.ideal - rest.ideal
        center = group.ideal + surplus * group.size / (group.size + rest.size)
        for total in _outwards(center, group.lowest, min(group.highest, left), group.step):
            # By the inequality of Cauchy and Schwarz neither side can cost less.
            least = (total - group.ideal) ** 2 / group.size
            least += (left - total - rest.ideal) ** 2 / rest.size
            if least >= best[0]:
                break
            if rest.holds(left - total):
                cost, dims = group.split(total)
                more, others = nearest(n + 1, left - total)
                best = min(best, (cost + more, dims | others), key=lambda found: found[0])
        return best

    dims = nearest(0, budget)[1]
    return tuple(dims[i] for i in range(len(steps)))


@dataclass(frozen=True)
class _Group:
    """The layers of one step: by position their ideal, least and greatest dims."""

    step: int
    layers: Mapping[int, tuple[float, int, int]]

    @property
    def size(self) -> int:
        return len(self.layers)

    @cached_property
    def ideal(self) -> float:
        return sum(ideal for ideal, _, _ in self.layers.values())

    @cached_property
    def lowest(self) -> int:
        return sum(low for _, low, _ in self.layers.values())

    @cached_property
    def highest(self) -> int:
        return sum(high for _, _, high in self.layers.values())

    def split(self, total: int) -> tuple[float, dict[int, int]]:
        """The least sum of squared differences among dims that sum to `total`, and these dims."""
        step, layers = self.step, self.layers
        dims = {
            i: min(max(math.floor(ideal / step + 1e-9) * step, low), high)
            for i, (ideal, low, high) in layers.items()
        }
        missing = (total - sum(dims.values())) // step
        sign = 1 if missing > 0 else -1

        def entry(i: int) -> tuple[float, int]:
            return sign * (dims[i] - layers[i][0]), sign * i

        def has_room(i: int) -> bool:
            _, low, high = layers[i]
            return low <= dims[i] + sign * step <= high

        heap = [entry(i) for i in layers if has_room(i)]
        heapify(heap)
        for _ in range(abs(missing)):
            i = sign * heappop(heap)[1]
            dims[i] += sign * step
            if has_room(i):
                heappush(heap, entry(i))
        return sum((dims[i] - ideal) ** 2 for i, (ideal, _, _) in layers.items()), dims


@dataclass(frozen=True)
class _Rest:
    """Several groups together: their number of layers, ideal sum, and possible sums as bits."""

    size: int
    ideal: float
    grain: int
    sums: int

    @classmethod
    def of(cls, groups: Sequence[_Group], grain: int, most: int) -> _Rest:
        rows = [
            (group.step // grain, low // grain, high // grain)
            for group in groups
            for _, low, high in group.layers.values()
        ]
        steps, lowest, highest = zip(*rows, strict=True) if rows else ((), (), ())
        sums = possible_sums(steps, lowest, highest, most // grain)
        return cls(len(rows), sum(group.ideal for group in groups), grain, sums)

    def holds(self, total: int) -> bool:
        return bool(self.sums >> (total // self.grain) & 1)


def _outwards(center: float, low: int, high: int, step: int) -> Iterator[int]:
    """low, low + step, ... up to high, those nearest to the center first."""
    most = (high - low) // step
    above = min(max(math.ceil((center - low) / step), 0), most + 1)
    below = above - 1
    while below >= 0 or above <= most:
        up, down = low + above * step, low + below * step
        if below < 0 or (above <= most and up - center < center - down):
            above += 1
            yield up
        else:
            below -= 1
            yield down
