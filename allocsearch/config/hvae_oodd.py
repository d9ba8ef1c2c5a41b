"""The configuration of the program of Havtorn et al. (hvae-oodd) for an allocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from allocsearch.config.errors import InputError
from allocsearch.config.model import ModelSection

_LAYERS, _LATENTS = "config_deterministic", "config_stochastic"


def is_hvae_oodd(content: Mapping[str, Any]) -> bool:
    """Whether the content of a file has the keys of `hvae_oodd_config`."""
    return content.keys() >= {_LAYERS, _LATENTS}


def hvae_oodd_config(dims: Sequence[int], model: ModelSection) -> dict[str, list[Any]]:
    """The keys `config_deterministic` and `config_stochastic`, each with an entry for each layer.

    A layer has `depth` residual convolution blocks, the last one with the stride, and a dense
    latent of d_l dims or a spatial one, where d_l is the number of its feature maps.

    Args:
        dims: (d_1, ..., d_L), bottom to top.
        model: Channels, kernels, strides, depth and kinds of latents.

    Raises:
        InputError: If the blocks go along sequences; the program has such for images alone.

    Reference: Havtorn et al. (2021), the configuration files of their program.
    """
    if model.blocks == "conv1d":
        raise InputError("model.blocks: found 'conv1d'; allowed for hvae-oodd: 'conv', 'dense'")
    if model.one_hot:
        raise InputError("model.one_hot: found true; allowed for hvae-oodd: false, for images")
    layers = len(dims)
    kernels = model.kernels * layers if len(model.kernels) == 1 else model.kernels
    strides = model.strides * layers if len(model.strides) == 1 else model.strides
    kinds = model.latents * layers if len(model.latents) == 1 else model.latents
    blocks = {"spatial": "GaussianConv2d", "dense": "GaussianDense"}
    return {
        _LAYERS: [
            [
                {
                    "block": "ResBlockConv2d",
                    "out_channels": model.channels,
                    "kernel_size": kernel,
                    "stride": stride if block == model.depth else 1,
                    "weightnorm": True,
                    "gated": False,
                }
                for block in range(1, model.depth + 1)
            ]
            for kernel, stride in zip(kernels, strides, strict=True)
        ],
        _LATENTS: [
            {"block": blocks[kind], "latent_features": d, "weightnorm": True}
            for kind, d in zip(kinds, dims, strict=True)
        ],
    }
