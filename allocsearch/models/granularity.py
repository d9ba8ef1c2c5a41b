"""The granularity of a model's layers: the dims that a layer can take are multiples of it."""

from __future__ import annotations

from math import prod

from allocsearch.config import ModelSection
from allocsearch.models.blocks.maps import each_layer, map_sizes
from allocsearch.models.likelihoods.likelihood import channels_and_grid


def granularity(shape: tuple[int, ...], section: ModelSection, layers: int) -> tuple[int, ...]:
    """Dims of a layer's least latent, bottom to top: the positions of a spatial one, else 1.

    Args:
        shape: Of one example: `(d,)`, `(H, W)` or `(C, H, W)`.
        section: The model.
        layers: L.

    Raises:
        InputError: If the blocks are not for such examples, or not for `layers`.
    """
    if section.blocks == "dense":
        return (1,) * layers
    sizes = map_sizes(channels_and_grid(shape)[1], section, layers)
    kinds = each_layer(section.latents, layers, "latents")
    return tuple(
        prod(size) if kind == "spatial" else 1 for size, kind in zip(sizes, kinds, strict=True)
    )
