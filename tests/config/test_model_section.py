from __future__ import annotations

import pytest

from allocsearch.config import load


@pytest.mark.parametrize(
    ("likelihood", "key", "value"),
    [
        ("bernoulli", "levels", 16),
        ("gaussian", "one_hot", "true"),
        ("categorical", "mixtures", 5),
        ("logistic_mixture", "levels", 16),
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
        ["model.likelihood=logistic_mixture", "model.mixtures=3"],
    ):
        loaded = load(study, overrides)
        (tmp_path / "again.toml").write_text(loaded.to_toml())
        assert load(tmp_path / "again.toml") == loaded
