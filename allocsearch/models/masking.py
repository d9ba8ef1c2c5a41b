"""Weights of a narrow model inside a wide one with masks, and out of it again.

A model with more room than its latents need (`HVAE`, `widths`) computes exactly what the narrow
model with the same weights does: dims that are not in use are 0 on the way in, standard normal
in posterior and prior, and their noise is masked.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from allocsearch.models.blocks.parts import kept
from allocsearch.models.hvae import HVAE

_Index = tuple[Tensor | slice, ...]


def embed(narrow: HVAE, wide: HVAE) -> None:
    """Copy the weights of a narrow model to their places in a wide one.

    Args:
        narrow: A model without masks.
        wide: A model of the same allocation and section with room for more, changed in place.
            Weights that belong to no dim in use keep their values; they have no effect.

    Raises:
        ValueError: If the allocations differ.
    """
    with torch.no_grad():
        for inner, outer, index in _places(narrow, wide):
            outer[index] = inner


def extract(wide: HVAE, narrow: HVAE) -> None:
    """Copy the weights that are in use in a wide model to a narrow one; undoes `embed`.

    Args:
        wide: A model with masks.
        narrow: A model of the same allocation and section without, changed in place.

    Raises:
        ValueError: If the allocations differ.
    """
    with torch.no_grad():
        for inner, outer, index in _places(narrow, wide):
            inner.copy_(outer[index])


def _places(narrow: HVAE, wide: HVAE) -> Iterator[tuple[Tensor, Tensor, _Index]]:
    """Every weight of the narrow model, that of the wide one, and where in it the first lies."""
    if narrow.allocation != wide.allocation:
        raise ValueError(f"{narrow.allocation} is no narrow form of {wide.allocation}")
    outer = dict(wide.named_parameters())
    modules = dict(wide.named_modules())
    for name, inner in narrow.named_parameters():
        path, _, kind = name.rpartition(".")
        module, everything = modules[path], slice(None)
        rows: Tensor | slice = everything
        columns: Tensor | slice = everything
        if hasattr(module, "outputs"):
            rows = kept(module.outputs, wide.allocation.dims)
            columns = kept(module.inputs, wide.allocation.dims)
        if kind == "weight" and isinstance(rows, Tensor) and isinstance(columns, Tensor):
            yield inner, outer[name], (rows[:, None], columns)
        else:
            yield inner, outer[name], (rows,)
