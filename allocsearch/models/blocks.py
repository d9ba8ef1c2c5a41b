"""The blocks that a stage of the encoder or the decoder is made of."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from allocsearch.config import ModelSection

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
}


def dense_stage(inputs: int, section: ModelSection) -> nn.Sequential:
    """`depth` dense layers of `hidden` units: `(..., inputs)` to `(..., hidden)`."""
    widths = [inputs] + [section.hidden] * section.depth
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        layers += [nn.Linear(width, following), _ACTIVATIONS[section.activation]()]
    return nn.Sequential(*layers)
