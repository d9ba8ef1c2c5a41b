"""The geometry of convolution blocks: the map of each layer, and the dims that a step takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from allocsearch.config import InputError, ModelSection

Size = tuple[int, int]
_Value = TypeVar("_Value")


def each_layer(values: Sequence[_Value], layers: int, key: str) -> tuple[_Value, ...]:
    """One value per layer, bottom to top, from such or from one for all.

    Args:
        values: What the model section has.
        layers: L.
        key: Its key in that section.

    Raises:
        InputError: If there are neither one nor `layers` values.
    """
    if len(values) not in (1, layers):
        allowed = f"one for all layers, or {layers}, one for each"
        raise InputError(f"model.{key}: found {len(values)} values; allowed: {allowed}")
    return tuple(values) * layers if len(values) == 1 else tuple(values)


def image_size(grid: Sequence[int]) -> Size:
    """Height and width of a grid of positions.

    Raises:
        InputError: If it has other than two axes.
    """
    if len(grid) != 2:
        raise InputError(
            f"model.blocks: found 'conv' for examples of shape {tuple(grid)}; "
            "allowed: 'conv' for images, (H, W) or (C, H, W), and 'dense' for all"
        )
    return grid[0], grid[1]


def map_sizes(grid: Sequence[int], section: ModelSection, layers: int) -> tuple[Size, ...]:
    """Height and width of each layer's map, bottom to top: ceil(size below / stride).

    Args:
        grid: The positions of x, `(H, W)`.
        section: The model.
        layers: L.

    Raises:
        InputError: If the grid is not that of an image, or the strides are not for `layers`.
    """
    sizes = [image_size(grid)]
    for stride in each_layer(section.strides, layers, "strides"):
        height, width = sizes[-1]
        sizes.append((-(-height // stride), -(-width // stride)))
    return tuple(sizes[1:])
