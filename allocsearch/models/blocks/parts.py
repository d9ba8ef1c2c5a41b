"""Which part of a weight's axis belongs to which latent layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """A run along an axis of a weight.

    Attributes:
        size: Its length.
        layer: The index l - 1 of the latent layer it belongs to; None where it belongs to none.
        unit: Dims of the latent per step along the axis: 1, or the positions of a spatial latent.
    """

    size: int
    layer: int | None = None
    unit: int = 1


class Parted(Protocol):
    """A module whose weight `(outputs, inputs, ...)` and bias `(outputs,)` have parts."""

    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]


def kept(parts: Sequence[Part], dims: Sequence[int]) -> Tensor:
    """The indices along an axis that a model of narrower layers has.

    Args:
        parts: The parts of the axis of the wide model, in order.
        dims: Of the narrow model, bottom to top.

    Returns:
        int64, ascending: of every part of a latent the first ones, of others all.

    Raises:
        ValueError: If dims do not fill whole steps along the axis.
    """
    runs, start = [], 0
    for part in parts:
        size, rest = part.size, 0
        if part.layer is not None:
            size, rest = divmod(dims[part.layer], part.unit)
        if rest:
            raise ValueError(f"{dims[part.layer or 0]} dims are no multiple of {part.unit}")
        runs.append(torch.arange(start, start + size))
        start += part.size
    return torch.cat(runs)
