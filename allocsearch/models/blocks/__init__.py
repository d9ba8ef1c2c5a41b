"""Blocks that the stages and heads of an HVAE are made of, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from allocsearch.config import ModelSection
from allocsearch.models.blocks.blocks import Blocks
from allocsearch.models.blocks.conv import ConvBlocks
from allocsearch.models.blocks.dense import DenseBlocks
from allocsearch.models.likelihoods import Likelihood


def build_blocks(widths: Sequence[int], likelihood: Likelihood, section: ModelSection) -> Blocks:
    """The blocks that `model.blocks` names.

    Args:
        widths: Dims of the latents that tensors have room for, bottom to top.
        likelihood: What the encoder reads and the decoder gives.
        section: The model.

    Raises:
        InputError: If the blocks cannot be built for such examples or latents.
    """
    return BLOCKS[section.blocks](widths, likelihood, section)


BLOCKS: Mapping[str, Callable[[Sequence[int], Likelihood, ModelSection], Blocks]] = {
    "dense": DenseBlocks,
    "conv": ConvBlocks,
    "conv1d": ConvBlocks,
}

__all__ = ["Blocks", "build_blocks"]
