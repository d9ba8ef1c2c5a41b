"""One allocation of a latent budget to layers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocsearch.allocation.rounding import bounded_shares, nearest_dims

if TYPE_CHECKING:
    from allocsearch.allocation.lattice import Lattice

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
        """The allocation of `lattice` nearest to d_l proportional to ratio^(l-1).

        Shares below a layer's floor (above its cap) are set to it and the rest is shared anew
        among the other layers. Of the lattice, the allocation with the least sum of squared
        differences to these shares is taken. Where all layers have one step that is the method
        of the largest remainder, lower layers first where remainders tie.

        Args:
            ratio: r > 0. Below 1 bottom-heavy, 1 uniform, above 1 top-heavy.
            lattice: Budget, number of layers, steps, floor and caps.

        Raises:
            ValueError: If `ratio` is not positive and finite.
        """
        if not (ratio > 0 and math.isfinite(ratio)):
            raise ValueError(f"a ratio is positive and finite, not {ratio!r}")
        return cls._nearest([layer * math.log(ratio) for layer in range(lattice.layers)], lattice)

    @classmethod
    def from_weights(cls, weights: Sequence[float], lattice: Lattice) -> Allocation:
        """The allocation of `lattice` nearest to d_l proportional to weights, as `from_ratio`.

        Args:
            weights: One per layer, bottom to top.
            lattice: Budget, number of layers, steps, floor and caps.

        Raises:
            ValueError: If there is not one weight per layer, or one is not positive and finite.
        """
        if len(weights) != lattice.layers:
            raise ValueError(f"{lattice.layers} layers take as many weights, not {len(weights)}")
        if not all(weight > 0 and math.isfinite(weight) for weight in weights):
            raise ValueError(f"weights are positive and finite, not {list(weights)!r}")
        return cls._nearest([math.log(weight) for weight in weights], lattice)

    @classmethod
    def _nearest(cls, logs: Sequence[float], lattice: Lattice) -> Allocation:
        shares = bounded_shares(logs, lattice.lowest, lattice.highest, lattice.budget)
        bounds = lattice.lowest, lattice.highest
        return cls(nearest_dims(shares, lattice.steps, *bounds, lattice.budget))

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
