from __future__ import annotations

import pytest

from allocsearch.config import load


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model.channels=16"], "model.channels: found 16; allowed only with blocks 'conv'"),
        (["model.latents=spatial"], "model.latents: found ['spatial']; allowed only with"),
        (
            ["model.blocks=conv", "model.hidden=64"],
            "model.hidden: found 64; allowed only with blocks 'dense'",
        ),
        (["model.blocks=conv", "model.kernels=[5, 4, 3]"], "model.kernels: found 4; allowed: odd"),
        (["model.blocks=conv", "model.strides=0"], "model.strides.0: found 0; "),
        (["model.blocks=conv", "model.latents=sparse"], "model.latents.0: found 'sparse'. "),
        (
            ["model.blocks=conv", "model.kernels=[5, 3]"],
            "model.kernels: found 2 values for 3 layers; allowed: one for all layers, or 3, one",
        ),
        (
            ["model.blocks=conv", "search_space.layers=[2, 3]", "model.strides=[2, 2, 1]"],
            "model.strides: found 3 values for 2 layers",
        ),
    ],
)
def test_a_mistake_in_the_convolution_blocks_is_one_line(study, message_of, overrides, expected):
    assert message_of(study, overrides).startswith(f"{study}: {expected}")


def test_convolution_blocks_are_resolved(study, tmp_path):
    loaded = load(
        study,
        ["model.blocks=conv", "model.kernels=5", "model.latents=['spatial','dense','dense']"],
    )
    assert loaded.model.kernels == (5,)
    assert loaded.model.latents == ("spatial", "dense", "dense")
    (tmp_path / "again.toml").write_text(loaded.to_toml())
    assert load(tmp_path / "again.toml") == loaded
