"""The lattice of all allocations of a budget to a number of layers."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, compress
from operator import sub

from allocsearch.allocation.sums import possible_sums
from allocsearch.allocation.value import Allocation

# Beyond it the counts of a lattice take gigabytes, and floats round its shares wrongly.
_MOST_CELLS = 10**6


@dataclass(frozen=True)
class Lattice:
    """All allocations of `budget` to `layers` layers, in lexicographic order.

    Every d_l is a multiple of its layer's step, at least `min_dim` and at most its layer's cap.

    Args:
        budget: D, the exact sum.
        layers: L.
        step: Every dim is a multiple of it: one for all layers, or one per layer bottom to top.
        min_dim: Floor of every dim (rounded up to a multiple of the layer's step).
        max_dim: Caps, one per layer bottom to top, or None for no cap.

    Raises:
        ValueError: If no allocation satisfies these; the message says why, and where the budget
            is at fault it names the nearest possible ones.
    """

    budget: int
    layers: int
    step: int | Sequence[int] = 1
    min_dim: int = 1
    max_dim: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("budget", "layers", "min_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if not isinstance(self.step, int):
            # One way to write each lattice, so that equal ones compare equal.
            alike = len(set(self.step)) == 1 and len(self.step) == self.layers
            object.__setattr__(self, "step", self.step[0] if alike else tuple(self.step))
        if len(self.steps) != self.layers:
            raise ValueError(
                f"step has {len(self.steps)} values for {self.layers} layers; "
                "allowed: one for all, or one per layer"
            )
        if min(self.steps) < 1:
            raise ValueError(f"step is {min(self.steps)}; it must be 1 or more")
        self._check_caps()
        self._check_budget()

    def _check_caps(self) -> None:
        if self.max_dim is None:
            return
        if len(self.max_dim) != self.layers:
            raise ValueError(f"max_dim has {len(self.max_dim)} caps for {self.layers} layers")
        for layer, (cap, low) in enumerate(zip(self.max_dim, self.lowest, strict=True)):
            if cap < low:
                raise ValueError(
                    f"max_dim {list(self.max_dim)} leaves layer {layer + 1} no multiple of "
                    f"{self.steps[layer]} that is {self.min_dim} or more"
                )

    def _check_budget(self) -> None:
        least = sum(self.lowest)
        if self.budget < least:
            alike = len(set(self.lowest)) == 1
            rule = (
                f"{self.layers} layers * {self.lowest[0]}"
                if alike
                else " + ".join(map(str, self.lowest))
            )
            raise ValueError(
                f"budget {self.budget} is less than {rule} dims = {least}; "
                "raise budget or lower min_dim"
            )
        if self.units * self.layers > _MOST_CELLS:
            raise ValueError(
                f"budget {self.budget} is {self.units} steps of {self.grain} for each of "
                f"{self.layers} layers; allowed: {_MOST_CELLS // self.layers} steps; raise step"
            )
        if self.max_dim is not None:
            most = sum(cap - cap % s for cap, s in zip(self.max_dim, self.steps, strict=True))
            if most < self.budget:
                step = self.step if isinstance(self.step, int) else list(self.step)
                raise ValueError(
                    f"max_dim {list(self.max_dim)} holds at most {most} in steps of {step}, "
                    f"less than the budget {self.budget}"
                )
        near = self._nearest_budgets()
        if self.budget not in near:
            raise ValueError(
                f"budget {self.budget} {self._rule()}; "
                f"nearest possible: {' or '.join(map(str, near))}"
            )

    def _rule(self) -> str:
        """Why no allocation has the budget."""
        if isinstance(self.step, int):
            return f"is not a multiple of step {self.step}"
        caps = "" if self.max_dim is None else f" to max_dim {list(self.max_dim)}"
        start = f" from min_dim {self.min_dim}" if self.min_dim > 1 or caps else ""
        return f"is not a sum of multiples of step {list(self.step)}{start}{caps}"

    def _nearest_budgets(self) -> list[int]:
        """The possible budgets nearest to this one, below and above; itself where possible."""
        # Between the least and the greatest budget gaps are no wider than a step.
        most = self.budget + max(self.steps)
        caps = self.max_dim or (most,) * self.layers
        steps, lowest, highest = (
            [d // self.grain for d in dims]
            for dims in (
                self.steps,
                self.lowest,
                [cap - cap % step for cap, step in zip(caps, self.steps, strict=True)],
            )
        )
        sums = possible_sums(steps, lowest, highest, most // self.grain)
        below = sums & ((1 << (self.units + 1)) - 1)
        above = sums >> (self.units + 1)
        near = [(below.bit_length() - 1) * self.grain]
        if above and near != [self.budget]:
            lowest_bit = (above & -above).bit_length()
            near.append((self.units + lowest_bit) * self.grain)
        return near

    @property
    def steps(self) -> tuple[int, ...]:
        """The step of each layer, bottom to top."""
        return (self.step,) * self.layers if isinstance(self.step, int) else tuple(self.step)

    @property
    def grain(self) -> int:
        """The greatest common divisor of the steps."""
        return math.gcd(*self.steps)

    @property
    def units(self) -> int:
        """How many times the budget holds the greatest common divisor of the steps."""
        return self.budget // self.grain

    @cached_property
    def lowest(self) -> tuple[int, ...]:
        """The floor of each layer: the least multiple of its step from `min_dim` on."""
        return tuple(-(-self.min_dim // step) * step for step in self.steps)

    @cached_property
    def highest(self) -> tuple[int, ...]:
        """The greatest multiple of each layer's step that its cap and the other floors leave."""
        caps = self.max_dim or (self.budget,) * self.layers
        free = self.budget - sum(self.lowest)
        most = [min(cap, low + free) for cap, low in zip(caps, self.lowest, strict=True)]
        return tuple(d - d % step for d, step in zip(most, self.steps, strict=True))

    @cached_property
    def _counts(self) -> list[list[int]]:
        """`_counts[l][u]`: the ways to spend u times the grain on layers l and above."""
        size = self.units + 1
        counts = [[0] * size for _ in range(self.layers + 1)]
        counts[-1][0] = 1
        bounds = zip(self.steps, self.lowest, self.highest, strict=True)
        for layer, dims in reversed(list(enumerate(bounds))):
            step, low, high = (d // self.grain for d in dims)
            summed = [0] * size
            for start in range(min(step, size)):
                summed[start::step] = accumulate(counts[layer + 1][start::step])
            beyond = [0] * (high - low + step) + summed
            counts[layer] = [0] * low + list(map(sub, summed, beyond))[: size - low]
        return counts

    def choices(self, layer: int, left: int) -> list[int]:
        """The dims that a layer can take, ascending.

        Args:
            layer: Its position from 0 (bottom) to L - 1 (top).
            left: What the layers below leave of the budget.
        """
        return list(compress(*self._completions(layer, left)))

    def _completions(self, layer: int, left: int) -> tuple[range, list[int]]:
        """The dims that a layer might take, and how many allocations each leads to."""
        low, step = self.lowest[layer], self.steps[layer]
        dims = range(low, min(self.highest[layer], left) + 1, step)
        if not dims or left % self.grain:
            return dims, [0] * len(dims)
        # One slice, from the rest that most dims leave to the one that fewest leave.
        fewest, most = ((left - d) // self.grain for d in (dims[-1], low))
        ways = self._counts[layer + 1][fewest : most + 1 : step // self.grain]
        return dims, ways[::-1]

    def _choices(self, layer: int, left: int) -> tuple[range, list[int]]:
        """The dims that a layer might take, and the allocations they lead to, summed up."""
        dims, ways = self._completions(layer, left)
        return dims, [0, *accumulate(ways)]

    @property
    def size(self) -> int:
        """The number of allocations; `len` fails above `sys.maxsize`, this does not."""
        return self._counts[0][self.units]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, rank: int) -> Allocation:
        """The allocation at a position from 0 to `size - 1` of the lexicographic order."""
        if not 0 <= rank < self.size:
            raise IndexError(rank)
        left, found = self.budget, []
        for layer in range(self.layers):
            dims, cumulative = self._choices(layer, left)
            i = bisect_right(cumulative, rank) - 1
            rank -= cumulative[i]
            found.append(dims[i])
            left -= dims[i]
        return Allocation(tuple(found))

    def __iter__(self) -> Iterator[Allocation]:
        def extend(prefix: tuple[int, ...], left: int) -> Iterator[Allocation]:
            if len(prefix) == self.layers:
                yield Allocation(prefix)
                return
            for d in self.choices(len(prefix), left):
                yield from extend((*prefix, d), left - d)

        return extend((), self.budget)

    def __contains__(self, allocation: object) -> bool:
        return (
            isinstance(allocation, Allocation)
            and allocation.layers == self.layers
            and allocation.budget == self.budget
            and all(
                d % step == 0 and low <= d <= high
                for d, step, low, high in zip(
                    allocation.dims, self.steps, self.lowest, self.highest, strict=True
                )
            )
        )

    def from_simplex(self, point: Sequence[float]) -> Allocation:
        """The allocation at a point of the unit cube of L - 1 coordinates.

        Coordinate l is the quantile of d_l among the allocations that share d_1, ..., d_{l-1}
        (the inverse Rosenblatt transform of the uniform distribution over the lattice), so
        independent uniform coordinates give every allocation the same probability.

        Args:
            point: L - 1 numbers in [0, 1].

        Raises:
            ValueError: If there is another number of coordinates, or one is outside [0, 1].

        Reference: Rosenblatt (1952), "Remarks on a multivariate transformation".
        """
        if len(point) != self.layers - 1:
            raise ValueError(f"{self.layers} layers take {self.layers - 1} coordinates")
        left, found = self.budget, []
        for layer, coordinate in enumerate(point):
            if not 0 <= coordinate <= 1:
                raise ValueError(f"a simplex coordinate lies in [0, 1], not {coordinate!r}")
            dims, cumulative = self._choices(layer, left)
            # Exact arithmetic: a lattice can hold more allocations than a float counts.
            rank = min(math.floor(Fraction(coordinate) * cumulative[-1]), cumulative[-1] - 1)
            found.append(dims[bisect_right(cumulative, rank) - 1])
            left -= found[-1]
        return Allocation((*found, left))

    def to_simplex(self, allocation: Allocation) -> tuple[float, ...]:
        """The centre of the cell that `from_simplex` maps to `allocation`: L - 1 numbers.

        Exact but for cells narrower than the spacing of floats, which only a lattice of more than
        2^52 allocations has.

        Raises:
            ValueError: If `allocation` is not on the lattice.
        """
        if allocation not in self:
            raise ValueError(f"{allocation} is not on the lattice {self}")
        left, point = self.budget, []
        for layer, d in enumerate(allocation.dims[:-1]):
            dims, cumulative = self._choices(layer, left)
            i = dims.index(d)
            point.append((cumulative[i] + cumulative[i + 1]) / (2 * cumulative[-1]))
            left -= d
        return tuple(point)

    def __str__(self) -> str:
        step = self.step if isinstance(self.step, int) else list(self.step)
        text = f"D = {self.budget}, L = {self.layers}, step {step}, min_dim {self.min_dim}"
        return text if self.max_dim is None else f"{text}, max_dim {list(self.max_dim)}"
