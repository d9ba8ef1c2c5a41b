"""Convolution blocks: maps of hidden units, joined with latents that are spatial or dense."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from allocsearch.config import InputError, ModelSection
from allocsearch.models.blocks.activations import ACTIVATIONS
from allocsearch.models.blocks.blocks import Blocks
from allocsearch.models.blocks.embedding import token_embedding
from allocsearch.models.blocks.maps import Size, along_axes, each_layer, map_size, map_sizes
from allocsearch.models.blocks.parts import Part
from allocsearch.models.blocks.residual import ResidualBlock
from allocsearch.models.blocks.spatial import (
    DenseEmbedding,
    DenseHead,
    SpatialEmbedding,
    SpatialHead,
    flat_from_maps,
    maps_from_flat,
)
from allocsearch.models.blocks.upsampling import SubpixelConvolution
from allocsearch.models.likelihoods import Likelihood


class FlatToMaps(nn.Module):
    """Flat examples as maps with channels last.

    Args:
        size: Height and width.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """From `(..., batch, inputs * H * W)`, inputs first, to `(..., batch, H, W, inputs)`."""
        return maps_from_flat(x, self.size)


class DecoderStage(nn.Module):
    """Residual blocks over the sum of the embedded z_l and the map of the stage above.

    Args:
        embedding: From z_l to maps of the layer.
        blocks: On such maps.
        upsampling: From them to maps of the layer below.

    Reference: Child (2021), "Very deep VAEs generalize autoregressive models and can outperform
    them on images", section 3 (the embedded z_l is added to the hidden units).
    """

    def __init__(self, embedding: nn.Module, blocks: nn.Module, upsampling: nn.Module) -> None:
        super().__init__()
        self.embedding, self.blocks, self.upsampling = embedding, blocks, upsampling

    def forward(self, z: Tensor, above: Tensor | None = None) -> Tensor:
        """From z_l and maps of layer l to maps of layer l - 1; of layer 1 for the lowest."""
        maps: Tensor = self.embedding(z)
        maps = self.upsampling(self.blocks(maps if above is None else maps + above))
        return maps


class Output(nn.Module):
    """Parameters of the likelihood from maps of layer 1.

    Args:
        upsampling: From maps of layer 1 to maps of the size of x.
    """

    def __init__(self, upsampling: nn.Module) -> None:
        super().__init__()
        self.upsampling = upsampling

    def forward(self, maps: Tensor) -> Tensor:
        """From `(..., batch, H_1, W_1, channels)` to `(..., batch, outputs * H * W)`."""
        return flat_from_maps(self.upsampling(maps))


class ConvBlocks(Blocks):
    """Stages of `depth` residual blocks over maps of `channels` channels.

    The map of layer l is that of layer l - 1 over its stride. Hidden units of the encoder are
    maps of their layer, those of the decoder of the layer below (of layer 1 for the lowest),
    `(..., batch, H, W, channels)`. A spatial latent has channels on the map of its layer and lies
    flat as `(c, H, W)`; a dense one has no place on it. A sequence of T is a map of height 1, on
    which kernels and strides go along the width alone.

    Args:
        widths: Dims of the latents that tensors have room for, bottom to top.
        likelihood: What the encoder reads and the decoder gives.
        section: Channels, kernels, strides, kinds of latents, depth and activation.

    Raises:
        InputError: If x is no image (for `conv1d` no sequence), the section is for another number
            of layers, or a spatial latent does not fill whole channels.

    Reference: Havtorn et al. (2021), appendix on architectures (the kinds of latents).
    """

    def __init__(
        self, widths: Sequence[int], likelihood: Likelihood, section: ModelSection
    ) -> None:
        layers = len(widths)
        self._channels, self._depth = section.channels, section.depth
        self._activation = ACTIVATIONS[section.activation]
        self._likelihood = likelihood
        self._section = section
        self._whole = map_size(likelihood.grid, section)
        self._sizes = map_sizes(likelihood.grid, section, layers)
        self._kernels = each_layer(section.kernels, layers, "kernels")
        self._strides = each_layer(section.strides, layers, "strides")
        kinds = each_layer(section.latents, layers, "latents")
        self._spatial = [kind == "spatial" for kind in kinds]
        self._flat = [Part(width, layer) for layer, width in enumerate(widths)]
        for layer, width in enumerate(widths):
            positions = prod(self._sizes[layer])
            if self._spatial[layer] and width % positions:
                raise InputError(
                    f"layer {layer + 1}: found {width} dims of a spatial latent; allowed: "
                    f"multiples of {positions}, the positions of its map"
                )

    def encoder(self, layer: int, *, reads_latent: bool) -> nn.Module:
        """From maps below, z below or flat x to maps `(..., batch, H_l, W_l, channels)`."""
        if layer == 0:
            return self._first()
        stage = self._stage(layer, self._channels, self._strides[layer])
        if not reads_latent:
            return stage
        return nn.Sequential(self._embedding(layer - 1, layer - 1), stage)

    def _first(self) -> nn.Module:
        embedding = token_embedding(self._likelihood, self._section)
        inputs = self._likelihood.inputs if embedding is None else embedding.inputs
        stage = self._stage(0, inputs, self._strides[0])
        before = [] if embedding is None else [embedding]
        return nn.Sequential(*before, FlatToMaps(self._whole), stage)

    def posterior(self, layer: int, *, joins_latent: bool) -> nn.Module:
        """From maps of the layer and z below to `(..., batch, 2 d_l)`."""
        if not self._spatial[layer]:
            return self._dense_head(layer, [self._flat[layer - 1]] if joins_latent else [])
        below = self._below(layer) if joins_latent else None
        return SpatialHead(self._channels, self._latent(layer), below)

    def decoder(self, layer: int, *, joins_hidden: bool) -> nn.Module:
        """From z_l and maps of the layer to maps of the layer below, of layer 1 for the lowest."""
        upsampling: nn.Module = nn.Identity()
        if layer > 0 and self._strides[layer] > 1:
            upsampling = self._upsampling(layer, self._channels, self._sizes[layer - 1])
        stage = self._stage(layer, self._channels, stride=1)
        return DecoderStage(self._embedding(layer, layer), stage, upsampling)

    def prior(self, layer: int) -> nn.Module:
        """From maps of the layer to `(..., batch, 2 d_l)`."""
        if not self._spatial[layer]:
            return self._dense_head(layer)
        return SpatialHead(self._channels, self._latent(layer))

    def output(self) -> nn.Module:
        """From maps of layer 1 to parameters of the likelihood."""
        return Output(self._upsampling(0, self._likelihood.outputs, self._whole))

    def _latent(self, layer: int) -> Part:
        """The channels of a spatial latent, the dims of a dense one."""
        if not self._spatial[layer]:
            return self._flat[layer]
        positions = prod(self._sizes[layer])
        return Part(self._flat[layer].size // positions, layer, positions)

    def _stage(self, layer: int, inputs: int, stride: int) -> nn.Module:
        first = self._block(layer, inputs, stride)
        more = (self._block(layer, self._channels, 1) for _ in range(self._depth - 1))
        return nn.Sequential(first, *more)

    def _block(self, layer: int, inputs: int, stride: int) -> nn.Module:
        sizes = along_axes(self._kernels[layer], self._section), along_axes(stride, self._section)
        return ResidualBlock(inputs, self._channels, *sizes, self._activation)

    def _embedding(self, layer: int, on: int) -> nn.Module:
        """From z of a layer to maps of the layer `on`, its own where it is spatial."""
        kind = SpatialEmbedding if self._spatial[layer] else DenseEmbedding
        return kind(self._latent(layer), self._channels, self._sizes[on])

    def _below(self, layer: int) -> nn.Module:
        """From z of the layer below to maps of this layer."""
        if not self._spatial[layer - 1]:
            return self._embedding(layer - 1, layer)
        block = self._block(layer, self._channels, self._strides[layer])
        return nn.Sequential(self._embedding(layer - 1, layer - 1), block)

    def _dense_head(self, layer: int, below: Sequence[Part] = ()) -> nn.Module:
        units = self._channels * prod(self._sizes[layer])
        return DenseHead(units, self._latent(layer), below)

    def _upsampling(self, layer: int, channels: int, size: Size) -> nn.Module:
        factor = along_axes(self._strides[layer], self._section)
        return SubpixelConvolution(self._channels, channels, factor, size)
