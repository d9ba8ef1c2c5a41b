"""Allocations of a latent budget to layers, and the lattice of all of them.

Lists of dims run bottom (layer 1, next to the data) to top (layer L).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate

# Beyond it the counts of a lattice take gigabytes, and floats round its shares wrongly.
_MOST_CELLS = 10**6

_TEXT = re.compile(r"[1-9][0-9]*(-[1-9][0-9]*)*")


@dataclass(frozen=True, order=True)
class Allocation:
    """The latent dims of each layer, bottom to top.

    Args:
        dims: (d_1, ..., d_L), each at least 1.

    Raises:
        ValueError: If there is no layer, or a dim is not a positive integer.
    """

    dims: tuple[int, ...]

    def __post_init__(self) -> None:
        dims = tuple(self.dims)
        if not dims:
            raise ValueError("an allocation needs at least one layer")
        for d in dims:
            if isinstance(d, bool) or not isinstance(d, int) or d < 1:
                raise ValueError(f"the dims of an allocation are integers of 1 or more, not {d!r}")
        object.__setattr__(self, "dims", dims)

    @classmethod
    def parse(cls, text: str) -> Allocation:
        """Read the canonical text form, for example `64-18-6`.

        Raises:
            ValueError: If `text` is anything else than positive integers joined by `-`.
        """
        if not _TEXT.fullmatch(text):
            raise ValueError(f"not an allocation: {text!r}; write dims bottom to top as 64-18-6")
        return cls(tuple(int(part) for part in text.split("-")))

    @classmethod
    def from_ratio(cls, ratio: float, lattice: Lattice) -> Allocation:
        """The allocation of `lattice` with d_l proportional to ratio^(l-1).

        Shares below a layer's floor (above its cap) are set to it and the rest is shared anew
        among the other layers; what is left after rounding down to multiples of the step goes to
        the largest remainders, lower layers first where they tie.

        Args:
            ratio: r > 0. Below 1 bottom-heavy, 1 uniform, above 1 top-heavy.
            lattice: Budget, number of layers, step, floor and caps.

        Raises:
            ValueError: If `ratio` is not positive and finite.
        """
        if not (ratio > 0 and math.isfinite(ratio)):
            raise ValueError(f"a ratio is positive and finite, not {ratio!r}")
        logs = [layer * math.log(ratio) for layer in range(lattice.layers)]
        shares = _bounded_shares(logs, lattice)
        units = [math.floor(share + 1e-9) for share in shares]
        by_remainder = sorted(range(lattice.layers), key=lambda i: units[i] - shares[i])
        left = lattice.units - sum(units)
        # A second round is needed only where the first met a cap.
        while left:
            for i in by_remainder:
                if left and units[i] < lattice.max_units[i]:
                    units[i] += 1
                    left -= 1
        return cls(tuple(u * lattice.step for u in units))

    @property
    def budget(self) -> int:
        """D, the sum of the dims."""
        return sum(self.dims)

    @property
    def layers(self) -> int:
        """L, the number of layers."""
        return len(self.dims)

    @property
    def ratio(self) -> float:
        """Ratio of the least squares fit of log d_l against l; 1.0 for a single layer."""
        n = self.layers
        if n == 1:
            return 1.0
        center = (n - 1) / 2
        slope = sum((i - center) * math.log(d) for i, d in enumerate(self.dims))
        return math.exp(slope / sum((i - center) ** 2 for i in range(n)))

    def __str__(self) -> str:
        return "-".join(map(str, self.dims))


@dataclass(frozen=True)
class Lattice:
    """All allocations of `budget` to `layers` layers, in lexicographic order.

    Every d_l is a multiple of `step`, at least `min_dim` and at most its layer's cap.

    Args:
        budget: D, the exact sum.
        layers: L.
        step: Every dim is a multiple of it.
        min_dim: Floor of every dim (rounded up to a multiple of `step`).
        max_dim: Caps, one per layer bottom to top, or None for no cap.

    Raises:
        ValueError: If no allocation satisfies these; the message says why.
    """

    budget: int
    layers: int
    step: int = 1
    min_dim: int = 1
    max_dim: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("budget", "layers", "step", "min_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.budget % self.step:
            below = self.budget - self.budget % self.step
            least = self.layers * self.min_units * self.step
            near = sorted({max(least, b) for b in (below, below + self.step)})
            raise ValueError(
                f"budget {self.budget} is not a multiple of step {self.step}; "
                f"nearest possible: {' or '.join(map(str, near))}"
            )
        least = self.layers * self.min_units * self.step
        if self.budget < least:
            raise ValueError(
                f"budget {self.budget} is less than {self.layers} layers * "
                f"{self.min_units * self.step} dims = {least}; raise budget or lower min_dim"
            )
        if self.units * self.layers > _MOST_CELLS:
            raise ValueError(
                f"budget {self.budget} is {self.units} steps of {self.step} for each of "
                f"{self.layers} layers; allowed: {_MOST_CELLS // self.layers} steps; raise step"
            )
        if self.max_dim is not None:
            if len(self.max_dim) != self.layers:
                raise ValueError(f"max_dim has {len(self.max_dim)} caps for {self.layers} layers")
            if any(cap < self.min_units for cap in self.max_units):
                raise ValueError(
                    f"max_dim {list(self.max_dim)} leaves no multiple of {self.step} that is "
                    f"{self.min_dim} or more"
                )
            if sum(self.max_units) < self.units:
                most = sum(self.max_units) * self.step
                raise ValueError(
                    f"max_dim {list(self.max_dim)} holds at most {most} in steps of {self.step}, "
                    f"less than the budget {self.budget}"
                )

    @property
    def units(self) -> int:
        """The budget in steps."""
        return self.budget // self.step

    @property
    def min_units(self) -> int:
        """The floor of every layer in steps."""
        return -(-self.min_dim // self.step)

    @cached_property
    def max_units(self) -> tuple[int, ...]:
        """The cap of each layer in steps, bottom to top."""
        free = self.units - (self.layers - 1) * self.min_units
        caps = self.max_dim or (self.budget,) * self.layers
        return tuple(min(cap // self.step, free) for cap in caps)

    @cached_property
    def _counts(self) -> list[list[int]]:
        """`_counts[l][u]`: the ways to spend u steps on layers l and above."""
        counts = [[0] * (self.units + 1) for _ in range(self.layers + 1)]
        counts[-1][0] = 1
        for layer in reversed(range(self.layers)):
            summed = [0, *accumulate(counts[layer + 1])]
            for left in range(self.min_units, self.units + 1):
                most = min(self.max_units[layer], left)
                counts[layer][left] = summed[left - self.min_units + 1] - summed[left - most]
        return counts

    def _choices(self, layer: int, left: int) -> tuple[range, list[int]]:
        """The possible steps of a layer, and how many allocations each leads to, summed up."""
        steps = range(self.min_units, min(self.max_units[layer], left) + 1)
        above = self._counts[layer + 1]
        return steps, [0, *accumulate(above[left - u] for u in steps)]

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
        left, units = self.units, []
        for layer in range(self.layers):
            steps, cumulative = self._choices(layer, left)
            i = bisect_right(cumulative, rank) - 1
            rank -= cumulative[i]
            units.append(steps[i])
            left -= steps[i]
        return Allocation(tuple(u * self.step for u in units))

    def __iter__(self) -> Iterator[Allocation]:
        def extend(prefix: tuple[int, ...], left: int) -> Iterator[Allocation]:
            layer = len(prefix)
            if layer == self.layers:
                yield Allocation(prefix)
                return
            for u in range(self.min_units, min(self.max_units[layer], left) + 1):
                if self._counts[layer + 1][left - u]:
                    yield from extend((*prefix, u * self.step), left - u)

        return extend((), self.units)

    def __contains__(self, allocation: object) -> bool:
        return (
            isinstance(allocation, Allocation)
            and allocation.layers == self.layers
            and allocation.budget == self.budget
            and all(
                d % self.step == 0 and self.min_units <= d // self.step <= cap
                for d, cap in zip(allocation.dims, self.max_units, strict=True)
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
        left, units = self.units, []
        for layer, coordinate in enumerate(point):
            if not 0 <= coordinate <= 1:
                raise ValueError(f"a simplex coordinate lies in [0, 1], not {coordinate!r}")
            steps, cumulative = self._choices(layer, left)
            # Exact arithmetic: a lattice can hold more allocations than a float counts.
            rank = min(math.floor(Fraction(coordinate) * cumulative[-1]), cumulative[-1] - 1)
            units.append(steps[bisect_right(cumulative, rank) - 1])
            left -= units[-1]
        return Allocation(tuple(u * self.step for u in (*units, left)))

    def to_simplex(self, allocation: Allocation) -> tuple[float, ...]:
        """The centre of the cell that `from_simplex` maps to `allocation`: L - 1 numbers.

        Exact but for cells narrower than the spacing of floats, which only a lattice of more than
        2^52 allocations has.

        Raises:
            ValueError: If `allocation` is not on the lattice.
        """
        if allocation not in self:
            raise ValueError(f"{allocation} is not on the lattice {self}")
        left, point = self.units, []
        for layer, d in enumerate(allocation.dims[:-1]):
            steps, cumulative = self._choices(layer, left)
            i = steps.index(d // self.step)
            point.append((cumulative[i] + cumulative[i + 1]) / (2 * cumulative[-1]))
            left -= d // self.step
        return tuple(point)

    def __str__(self) -> str:
        text = f"D = {self.budget}, L = {self.layers}, step {self.step}, min_dim {self.min_dim}"
        return text if self.max_dim is None else f"{text}, max_dim {list(self.max_dim)}"


def _bounded_shares(logs: Sequence[float], lattice: Lattice) -> list[float]:
    """Shares of the lattice's units proportional to exp(logs), held between floor and caps."""
    low, caps = lattice.min_units, lattice.max_units

    def shares(scale: float) -> list[float]:
        # exp is bounded first: an extreme ratio must saturate, not overflow.
        return [
            min(max(math.exp(min(v + scale, 700.0)), low), cap)
            for v, cap in zip(logs, caps, strict=True)
        ]

    # The common factor that makes the bounded shares sum to the budget: bisection in its log.
    span = max(map(abs, logs)) + math.log(lattice.units) + 1
    below, above = -span, span
    while below < (middle := (below + above) / 2) < above:
        if sum(shares(middle)) < lattice.units:
            below = middle
        else:
            above = middle
    return shares(above)
