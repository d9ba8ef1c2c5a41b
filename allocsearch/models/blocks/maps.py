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


def map_size(grid: Sequence[int], section: ModelSection) -> Size:
    """Height and width of a grid of positions; a sequence of T is a map of height 1.

    Raises:
        InputError: If the grid is not that of an image for `conv`, or of a sequence for `conv1d`.
    """
    if len(grid) != (1 if section.blocks == "conv1d" else 2):
        raise InputError(
            f"model.blocks: found {section.blocks!r} for examples of shape {tuple(grid)}; "
            "allowed: 'conv' for images, (H, W) or (C, H, W), 'conv1d' for sequences, (T,), and "
            "'dense' for all"
        )
    return (1, grid[0]) if len(grid) == 1 else (grid[0], grid[1])


def along_axes(steps: int, section: ModelSection) -> Size:
    """A kernel size or a stride along height and width: 1 along that of a sequence."""
    return (1 if section.blocks == "conv1d" else steps), steps


def map_sizes(grid: Sequence[int], section: ModelSection, layers: int) -> tuple[Size, ...]:
    """Height and width of each layer's map, bottom to top: ceil(size below / stride).

    Args:
        grid: The positions of x, `(H, W)`, or `(T,)` for `conv1d`.
        section: The model.
        layers: L.

    Raises:
        InputError: If the grid is not one for these blocks, or the strides are not for `layers`.
    """
    sizes = [map_size(grid, section)]
    for stride in each_layer(section.strides, layers, "strides"):
        (height, width), (down, right) = sizes[-1], along_axes(stride, section)
        sizes.append((-(-height // down), -(-width // right)))
    return tuple(sizes[1:])
