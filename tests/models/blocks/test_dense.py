from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from allocsearch.config import ModelSection
from allocsearch.models.blocks.dense import DenseBlocks
from allocsearch.models.likelihoods import build_likelihood

ACTIVATIONS = {
    "silu": lambda x: x * torch.sigmoid(x),
    "relu": lambda x: x.clamp(min=0),
    "elu": lambda x: torch.where(x > 0, x, torch.expm1(x)),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", [1, 3])
def test_a_stage_is_depth_affine_maps_each_followed_by_the_activation(
    activation: str, depth: int
) -> None:
    torch.manual_seed(0)
    section = ModelSection.model_validate({"hidden": 6, "depth": depth, "activation": activation})
    blocks = DenseBlocks((3,), build_likelihood((4,), section), section)
    stage = blocks.encoder(0, reads_latent=False)
    x = 3 * torch.randn(5, 7, 4)
    expected = x
    parameters = list(stage.parameters())
    assert len(parameters) == 2 * depth
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        expected = ACTIVATIONS[activation](functional.linear(expected, weight, bias))
    assert stage(x).shape == (5, 7, 6)
    torch.testing.assert_close(stage(x), expected)
