"""Latents on maps: flat latents to maps of channels and back."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from allocsearch.models.blocks.dense import PartedLinear
from allocsearch.models.blocks.maps import Size
from allocsearch.models.blocks.parts import Part


def maps_from_flat(flat: Tensor, size: Size) -> Tensor:
    """Maps `(..., batch, H, W, channels)`.

    Args:
        flat: The same numbers, `(..., batch, channels * H * W)`, channels first.
        size: Height and width.
    """
    height, width = size
    planes = flat.view(*flat.shape[:-1], -1, height * width)
    # Flat in between: with one channel a view of a view would not have these strides.
    last = planes.transpose(-1, -2).flatten(-2)
    return last.view(*flat.shape[:-1], height, width, -1)


def flat_from_maps(maps: Tensor) -> Tensor:
    """The numbers of maps `(..., batch, H, W, channels)` in a row, channels first.

    Returns:
        `(..., batch, channels * H * W)`.
    """
    return maps.movedim(-1, -3).flatten(-3)


class SpatialEmbedding(nn.Module):
    """A pointwise convolution of a spatial latent, that lies flat as `(c, H, W)`.

    Args:
        latent: The channels of the latent.
        channels: Channels out.
        size: Height and width of its map.
    """

    def __init__(self, latent: Part, channels: int, size: Size) -> None:
        super().__init__()
        self.size = size
        self.pointwise = PartedLinear([latent], [Part(channels)])

    def forward(self, z: Tensor) -> Tensor:
        """From z `(..., batch, c * H * W)` to maps `(..., batch, H, W, channels)`."""
        maps: Tensor = self.pointwise(maps_from_flat(z, self.size))
        return maps


class DenseEmbedding(nn.Module):
    """A linear layer from a dense latent to a map.

    Args:
        latent: The dims of the latent.
        channels: Channels out.
        size: Height and width out.
    """

    def __init__(self, latent: Part, channels: int, size: Size) -> None:
        super().__init__()
        self.size = size
        self.linear = PartedLinear([latent], [Part(channels * size[0] * size[1])])

    def forward(self, z: Tensor) -> Tensor:
        """From z `(..., batch, d)` to maps `(..., batch, H, W, channels)`."""
        units: Tensor = self.linear(z)
        return units.view(*z.shape[:-1], *self.size, -1)


class SpatialHead(nn.Module):
    """A pointwise convolution to means, then log variances, of a spatial latent.

    Args:
        channels: Channels in.
        latent: The channels of the latent.
        below: From z of the layer below to maps that are added; None where there is no such z.
    """

    def __init__(self, channels: int, latent: Part, below: nn.Module | None = None) -> None:
        super().__init__()
        self.below = below
        self.pointwise = PartedLinear([Part(channels)], [latent, latent])

    def forward(self, maps: Tensor, z: Tensor | None = None) -> Tensor:
        """From maps `(..., batch, H, W, channels)` to `(..., batch, 2 * c * H * W)`."""
        if self.below is not None:
            # A pointwise convolution of maps side by side, but for what sees one of them alone.
            maps = maps + self.below(z)
        return flat_from_maps(self.pointwise(maps))


class DenseHead(nn.Module):
    """A linear layer to means, then log variances, of a dense latent.

    Args:
        units: Numbers of the hidden map.
        latent: The dims of the latent.
        below: The dims of the latent of the layer below, side by side with the map.
    """

    def __init__(self, units: int, latent: Part, below: Sequence[Part] = ()) -> None:
        super().__init__()
        self.linear = PartedLinear([Part(units), *below], [latent, latent])

    def forward(self, maps: Tensor, *below: Tensor) -> Tensor:
        """From maps `(..., batch, H, W, channels)` and z below to `(..., batch, 2 * d)`."""
        parameters: Tensor = self.linear(maps.flatten(-3), *below)
        return parameters
