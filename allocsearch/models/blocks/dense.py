"""Dense blocks: vectors of hidden units, joined with latents by concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from allocsearch.config import ModelSection
from allocsearch.models.blocks.activations import ACTIVATIONS
from allocsearch.models.blocks.blocks import Blocks
from allocsearch.models.blocks.embedding import token_embedding
from allocsearch.models.blocks.parts import Part
from allocsearch.models.likelihoods import Likelihood


def joined(inputs: Sequence[Tensor]) -> Tensor:
    """Vectors side by side, `(..., batch, n_1 + n_2 + ...)`.

    Args:
        inputs: Each `(..., batch, n_i)`; leading dimensions are broadcast.
    """
    if len(inputs) == 1:
        return inputs[0]
    most = max(inputs, key=lambda given: given.dim()).shape[:-1]
    return torch.cat([given.expand(*most, given.shape[-1]) for given in inputs], dim=-1)


class PartedLinear(nn.Linear):
    """A linear layer of joined inputs that knows what belongs to a latent.

    Attributes:
        inputs: Parts of the second axis of the weight.
        outputs: Parts of the first axis of the weight, and of the bias.
    """

    def __init__(self, inputs: Sequence[Part], outputs: Sequence[Part]) -> None:
        super().__init__(sum(p.size for p in inputs), sum(p.size for p in outputs))
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Of the `joined` inputs, `(..., batch, outputs)`."""
        return super().forward(joined(inputs))


class Stage(nn.Sequential):
    """Layers over joined inputs."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """Of the `joined` inputs, `(..., batch, hidden)`."""
        result: Tensor = super().forward(joined(inputs))  # type: ignore[no-untyped-call]
        return result


class DenseBlocks(Blocks):
    """Stages of `depth` dense layers of `hidden` units.

    Args:
        widths: Dims of the latents that tensors have room for, bottom to top.
        likelihood: What the encoder reads and the decoder gives.
        section: Hidden units, depth and activation.
    """

    def __init__(
        self, widths: Sequence[int], likelihood: Likelihood, section: ModelSection
    ) -> None:
        self._section, self._likelihood = section, likelihood
        self._hidden = Part(section.hidden)
        self._latents = [Part(width, layer) for layer, width in enumerate(widths)]
        self._positions = prod(likelihood.grid)
        self._output = Part(likelihood.outputs * self._positions)

    def encoder(self, layer: int, *, reads_latent: bool) -> nn.Module:
        """From the units `(..., batch, hidden)` below, or z `(..., batch, d)`, to such units."""
        if layer == 0:
            return self._first()
        return self._stage(self._latents[layer - 1] if reads_latent else self._hidden)

    def _first(self) -> nn.Module:
        embedding = token_embedding(self._likelihood, self._section)
        if embedding is None:
            return self._stage(Part(self._likelihood.inputs * self._positions))
        return nn.Sequential(embedding, self._stage(Part(embedding.inputs * self._positions)))

    def posterior(self, layer: int, *, joins_latent: bool) -> nn.Module:
        """From units `(..., batch, hidden)` and z below to `(..., batch, 2 d_l)`."""
        below = [self._latents[layer - 1]] if joins_latent else []
        return self._head(layer, [self._hidden, *below])

    def decoder(self, layer: int, *, joins_hidden: bool) -> nn.Module:
        """From z_l and the units above to `(..., batch, hidden)`."""
        return self._stage(self._latents[layer], *([self._hidden] if joins_hidden else []))

    def prior(self, layer: int) -> nn.Module:
        """From units `(..., batch, hidden)` to `(..., batch, 2 d_l)`."""
        return self._head(layer, [self._hidden])

    def output(self) -> nn.Module:
        """From units `(..., batch, hidden)` to parameters of the likelihood."""
        return PartedLinear([self._hidden], [self._output])

    def _head(self, layer: int, inputs: Sequence[Part]) -> nn.Module:
        return PartedLinear(inputs, [self._latents[layer]] * 2)

    def _stage(self, *inputs: Part) -> nn.Module:
        layers: list[nn.Module] = []
        for before, after in pairwise([inputs, *[(self._hidden,)] * self._section.depth]):
            layers += [PartedLinear(before, after), ACTIVATIONS[self._section.activation]()]
        return Stage(*layers)
