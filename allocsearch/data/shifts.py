"""The registry of synthetic shifts: OOD sets made from held-out ID data.

Each is a `ShiftFunction`, which says what they take and return.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.nn import functional

from allocsearch.config import InputError
from allocsearch.data import token_shifts
from allocsearch.data.dataset import Kind
from allocsearch.data.segments import segments


class ShiftFunction(Protocol):
    """A synthetic shift of a batch."""

    def __call__(self, values: Tensor, strength: float, generator: Generator, /) -> Tensor:
        """Shift every example by its own random choice.

        Args:
            values: uint8, or continuous float32, `(n, *shape)`; left as they are.
            strength: In [0, 1]; 0 returns the batch bit for bit.
            generator: Source of all randomness; equal generators give equal bytes.

        Returns:
            Of the same type and shape.

        Raises:
            InputError: If the examples are of no shape or type that the shift can take.
        """


def additive_noise(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """Gaussian noise of standard deviation 255 `strength`, rounded and clipped to 0..255.

    Of continuous values, which are standardised, its standard deviation is `strength`.
    """
    noise = torch.randn(values.shape, generator=generator)
    if values.is_floating_point():
        return values + noise * strength
    noise *= 255 * strength
    return (values + noise).round_().clamp_(0, 255).to(torch.uint8)


def inversion(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """255 - x at the share `strength` of the positions: a run in raster order (a band of rows).

    The run starts at random and goes on at the first position after the last one. At strength 1
    the whole is inverted. A blend of x and 255 - x would be uniform grey at half strength; a run
    departs further from x the longer it is.

    Raises:
        InputError: If the values are continuous, which have no largest one.
    """
    _check_pixels("inversion", values)
    flat = _flat(values)
    n, _, positions = flat.shape
    start = torch.randint(positions, (n, 1), generator=generator)
    inside = (torch.arange(positions) - start) % positions < round(strength * positions)
    return torch.where(inside[:, None], 255 - flat, flat).reshape(values.shape)


def rotation(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """Images turned by 45 `strength` degrees, each to the left or to the right at random.

    Not further: beyond 45 degrees what has upright edges nears upright edges again. Bilinear
    interpolation; beyond the edge stands the nearest pixel of the image.

    The examples are `(n, H, W)` or `(n, C, H, W)`.

    Raises:
        InputError: If the examples are not images.
    """
    _check_pixels("rotation", values)
    if values.ndim < 3:
        found = tuple(values.shape[1:])
        raise InputError(f"shift 'rotation' takes images; found examples of shape {found}")
    if strength == 0:
        return values.clone()
    height, width = values.shape[-2:]
    angle = math.radians(45 * strength)
    sign = torch.randint(2, (len(values),), generator=generator) * 2.0 - 1
    cos, sin = torch.full_like(sign, math.cos(angle)), math.sin(angle) * sign
    zero = torch.zeros_like(sign)
    # affine_grid measures both sides from -1 to 1, which would shear an image that is not square.
    first = torch.stack((cos, -sin * height / width, zero), 1)
    second = torch.stack((sin * width / height, cos, zero), 1)
    images = values.reshape(len(values), -1, height, width).float()
    grid = functional.affine_grid(
        torch.stack((first, second), 1), list(images.shape), align_corners=False
    )
    turned = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return turned.round_().clamp_(0, 255).to(torch.uint8).reshape(values.shape)


def pixel_permutation(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """The share `strength` of the positions, chosen at random, permuted in one random cycle.

    So each chosen position gets the value (all channels) of another one, and the multiset of
    pixels stays.
    """
    flat = _flat(values)
    return _cycle(flat, _single(flat), strength, generator).reshape(values.shape)


def corruption(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """Uniform random values, 0..255, at the share `strength` of the positions (all channels).

    Of continuous values: those of the same features in other examples of the batch, so that each
    feature keeps its distribution and what ties the features together goes.
    """
    flat = _flat(values)
    if values.is_floating_point():
        noise = flat.gather(0, torch.randint(len(flat), flat.shape, generator=generator))
    else:
        noise = torch.randint(256, flat.shape, generator=generator, dtype=torch.uint8)
    where = _positions(_single(flat), _choose(flat, _single(flat), strength, generator), flat)
    return flat.scatter(2, where, noise.gather(2, where)).reshape(values.shape)


def segment_shuffling(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """The share `strength` of the segments, chosen at random, permuted in one random cycle.

    So each chosen segment gets the content of another one, and the multiset of pixels stays.
    Segments are those of `segments`; a single chosen one stays where it is.
    """
    parts = segments(values.shape[1:])
    return _cycle(_flat(values), parts, strength, generator).reshape(values.shape)


def segment_deletion(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """The share `strength` of the segments, chosen at random, set to 0 (the mean, if continuous).

    Segments are those of `segments`.
    """
    flat, parts = _flat(values), segments(values.shape[1:])
    where = _positions(parts, _choose(flat, parts, strength, generator), flat)
    return flat.scatter(2, where, 0).reshape(values.shape)


SHIFT_FUNCTIONS: Mapping[str, ShiftFunction] = {
    "additive_noise": additive_noise,
    "inversion": inversion,
    "rotation": rotation,
    "pixel_permutation": pixel_permutation,
    "corruption": corruption,
    "segment_shuffling": segment_shuffling,
    "segment_deletion": segment_deletion,
}


# What is done to tokens, under the same names.
_TOKEN_SHIFTS: Mapping[str, ShiftFunction] = {
    "corruption": token_shifts.corruption,
    "segment_shuffling": token_shifts.segment_shuffling,
    "segment_deletion": token_shifts.segment_deletion,
}


def shifted(
    shift: str, values: Tensor, strength: float, generator: Generator, kind: Kind
) -> Tensor:
    """Shift a batch of any kind by the function that is for it.

    Args:
        shift: A name of the registry.
        values: `(n, *shape)`.
        strength: As in `ShiftFunction`.
        generator: As in `ShiftFunction`.
        kind: What the values are.

    Raises:
        InputError: If the shift is not for such values.
    """
    if kind != "tokens":
        return SHIFT_FUNCTIONS[shift](values, strength, generator)
    if shift not in _TOKEN_SHIFTS:
        allowed = ", ".join(_TOKEN_SHIFTS)
        raise InputError(f"shift {shift!r} takes no tokens; allowed for them: {allowed}")
    return _TOKEN_SHIFTS[shift](values, strength, generator)


def _check_pixels(shift: str, values: Tensor) -> None:
    if values.is_floating_point():
        raise InputError(f"shift {shift!r} takes pixels; found continuous values")


def _flat(values: Tensor) -> Tensor:
    """`(n, C, P)`: channels (1 where there are none) and positions."""
    n, channels = len(values), values.shape[1] if values.ndim == 4 else 1
    return values.reshape(n, channels, -1)


def _single(flat: Tensor) -> Tensor:
    """Every position as a segment of its own, `(P, 1)`."""
    return torch.arange(flat.shape[2])[:, None]


def _choose(flat: Tensor, parts: Tensor, strength: float, generator: Generator) -> Tensor:
    """For each example the share `strength` of the segments in random order, `(n, k)`."""
    order = torch.rand(len(flat), len(parts), generator=generator).argsort(dim=1, stable=True)
    return order[:, : round(strength * len(parts))]


def _positions(parts: Tensor, chosen: Tensor, flat: Tensor) -> Tensor:
    """The positions of the chosen segments in every channel, `(n, C, k * size)`."""
    positions: Tensor = parts[chosen].flatten(1)
    return positions[:, None].expand(-1, flat.shape[1], -1)


def _cycle(flat: Tensor, parts: Tensor, strength: float, generator: Generator) -> Tensor:
    """Move the content of each chosen segment to the next chosen one, the last to the first."""
    chosen = _choose(flat, parts, strength, generator)
    source = _positions(parts, chosen, flat)
    target = _positions(parts, chosen.roll(1, 1), flat)
    return flat.scatter(2, target, flat.gather(2, source))
