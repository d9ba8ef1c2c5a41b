"""Augmentations of examples: shifts of the registry, drawn anew for each example."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from allocsearch.config import Shift
from allocsearch.data.dataset import Kind
from allocsearch.data.shifts import shifted


def augmented(
    values: Tensor, augmentations: Sequence[Shift], generator: Generator, kind: Kind
) -> Tensor:
    """One view of each example, by one of the augmentations, chosen at random.

    Args:
        values: Stored examples, `(n, *shape)`; left as they are.
        augmentations: Shifts with their strengths, one or more.
        generator: Source of all randomness, on the CPU.
        kind: What the values are.

    Returns:
        Of the same type and shape.

    Raises:
        InputError: If the examples are of no shape or type that a shift can take.
    """
    chosen = torch.randint(len(augmentations), (len(values),), generator=generator)
    views = values.clone()
    for index, entry in enumerate(augmentations):
        own = (chosen == index).nonzero().squeeze(1)
        if len(own) > 0:
            views[own] = shifted(entry.shift, values[own], entry.strength, generator, kind)
    return views
