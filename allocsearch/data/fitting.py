"""Fitting OOD examples to the shape of the ID ones."""

from __future__ import annotations

from torch import Tensor

from allocsearch.config import InputError


def fit(values: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """Convert examples to another shape; those that have it stay bit for bit.

    Images change between grey and colour (ITU-R 601 luma; three equal channels), and are resized
    bilinearly with antialiasing where their size differs. Vectors do not change.

    Args:
        values: uint8 or float32, `(n, *other)`.
        shape: The shape wanted: `(H, W)` or `(3, H, W)` for images.
        name: Name of the set, for errors.

    Returns:
        Of the same type, `(n, *shape)`.

    Raises:
        InputError: If the shapes differ and one of them is not that of an image.
    """
    found = tuple(values.shape[1:])
    if found == shape:
        return values
    if min(len(found), len(shape)) < 2:
        raise InputError(
            f"{name}: found examples of shape {found}; allowed: {shape}, that of the ID data "
            f"(only images are resized)"
        )
    # Its import takes seconds, and where all shapes agree it is not needed.
    from torchvision.transforms.v2 import functional

    images = values if values.ndim == 4 else values[:, None]
    if images.shape[1] == 3 and len(shape) == 2:
        images = functional.rgb_to_grayscale(images)
    if images.shape[-2:] != shape[-2:]:
        images = functional.resize(images, list(shape[-2:]), antialias=True)
    return images.expand(-1, 3, -1, -1).contiguous() if len(shape) == 3 else images[:, 0]
