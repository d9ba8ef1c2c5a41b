from __future__ import annotations

import pytest

from allocsearch.config import InputError, ModelSection, hvae_oodd_config


def residual(kernel, stride):
    return {
        "block": "ResBlockConv2d",
        "out_channels": 64,
        "kernel_size": kernel,
        "stride": stride,
        "weightnorm": True,
        "gated": False,
    }


def test_the_default_model_of_the_program():
    """The two files that come with it (scripts/configs/default_model)."""
    model = ModelSection(
        blocks="conv",
        channels=64,
        depth=3,
        kernels=(5, 3, 3),
        strides=(2, 2, 1),
        latents=("spatial", "dense", "dense"),
    )
    assert hvae_oodd_config((8, 16, 8), model) == {
        "config_deterministic": [
            [residual(5, 1), residual(5, 1), residual(5, 2)],
            [residual(3, 1), residual(3, 1), residual(3, 2)],
            [residual(3, 1), residual(3, 1), residual(3, 1)],
        ],
        "config_stochastic": [
            {"block": "GaussianConv2d", "latent_features": 8, "weightnorm": True},
            {"block": "GaussianDense", "latent_features": 16, "weightnorm": True},
            {"block": "GaussianDense", "latent_features": 8, "weightnorm": True},
        ],
    }


def test_one_value_serves_all_layers():
    found = hvae_oodd_config((4, 3, 2, 1), ModelSection(depth=1))
    assert found["config_deterministic"] == [[residual(3, 2)]] * 4
    assert [layer["latent_features"] for layer in found["config_stochastic"]] == [4, 3, 2, 1]


def test_blocks_along_sequences_are_none_of_the_program():
    with pytest.raises(
        InputError, match=r"found 'conv1d'; allowed for hvae-oodd: 'conv', 'dense'"
    ):
        hvae_oodd_config((8, 16, 8), ModelSection(blocks="conv1d"))
    tokens = ModelSection(likelihood="categorical", levels=22, one_hot=True)
    with pytest.raises(InputError, match=r"model.one_hot: found true; allowed for hvae-oodd"):
        hvae_oodd_config((8, 16, 8), tokens)
