from __future__ import annotations

import pytest

from allocsearch.config import load

TOKENS = ["model.likelihood=categorical", "model.levels=22", "model.one_hot=true"]
# Shifts would move the pads of ids of unknown meaning.
OTHERS = ["data.ood_validation=['wine']", "model.blocks=conv1d"]


@pytest.mark.parametrize(
    ("likelihood", "key", "value"),
    [
        ("bernoulli", "levels", 16),
        ("gaussian", "one_hot", "true"),
        ("categorical", "mixtures", 5),
        ("logistic_mixture", "levels", 16),
        ("bernoulli", "pad", 0),
        ("gaussian", "embedding", 16),
    ],
)
def test_a_key_that_the_likelihood_does_not_use_is_refused(
    study, message_of, likelihood, key, value
):
    message = message_of(study, [f"model.likelihood={likelihood}", f"model.{key}={value}"])
    assert f": model.{key}: found " in message
    assert f"and it is '{likelihood}'" in message


@pytest.mark.parametrize("levels", [1, 257])
def test_levels_are_those_of_a_byte(study, message_of, levels):
    overrides = ["model.likelihood=categorical", f"model.levels={levels}"]
    assert "model.levels: " in message_of(study, overrides)


def test_a_resolved_study_can_be_loaded_again(study, tmp_path):
    for overrides in (
        [],
        ["model.likelihood=categorical", "model.levels=5", "model.one_hot=true"],
        [*TOKENS, *OTHERS, "model.pad=0", "model.embedding=16", "model.kernels=5"],
        ["model.likelihood=logistic_mixture", "model.mixtures=3"],
    ):
        loaded = load(study, overrides)
        (tmp_path / "again.toml").write_text(loaded.to_toml())
        assert load(tmp_path / "again.toml") == loaded


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["model.likelihood=categorical", "model.pad=0"],
            "model.pad: found 0; allowed only with one_hot true, and it is false",
        ),
        (
            ["model.likelihood=categorical", "model.embedding=16"],
            "model.embedding: found 16; allowed only with one_hot true, and it is false",
        ),
        ([*TOKENS, "model.pad=22"], "model.pad: found 22; allowed: ids below model.levels = 22"),
        ([*TOKENS, "model.pad=-1"], "model.pad: found -1"),
        ([*TOKENS, "model.embedding=0"], "model.embedding: found 0"),
        (
            [*TOKENS, "model.pad=0", "data.ood_validation=['wine', 'segment_deletion']"],
            "data.ood_validation.1: found 'segment_deletion' with model.pad, and 'digits' has ids "
            "of unknown meaning",
        ),
        (
            ["model.blocks=conv1d", "model.hidden=64"],
            "model.hidden: found 64; allowed only with blocks 'dense', and it is 'conv1d'",
        ),
        (
            [*TOKENS, "evaluation.score=complexity_zlib"],
            "evaluation.score: unknown score 'complexity_zlib'",
        ),
    ],
)
def test_a_mistake_about_sequences_is_one_line(study, message_of, overrides, expected):
    message = message_of(study, overrides)
    assert message.startswith(f"{study}: {expected}")
    assert "\n" not in message
