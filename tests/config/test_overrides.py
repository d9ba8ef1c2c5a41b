from __future__ import annotations

import pytest

from allocsearch.config import load


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("training.epochs=5", "training", "epochs", 5),
        (" training.epochs = 5 ", "training", "epochs", 5),
        ("training.learning_rate=1e-2", "training", "learning_rate", 0.01),
        ("training.learning_rate=1", "training", "learning_rate", 1.0),
        ("study.name=night", "study", "name", "night"),
        ('study.name="night"', "study", "name", "night"),
        ("study.storage=mysql://db/x?ssl=1", "study", "storage", "mysql://db/x?ssl=1"),
        ("search_space.layers=[2, 4]", "search_space", "layers", (2, 4)),
        ("search_space.layers=4", "search_space", "layers", (4,)),
        ("study.objectives=['max:elbo']", "study", "objectives", ("max:elbo",)),
        ("study.objectives=max:elbo", "study", "objectives", ("max:elbo",)),
        ("model.skip=false", "model", "skip", False),
    ],
)
def test_overrides(study, override, section, key, value):
    assert getattr(getattr(load(study, [override]), section), key) == value


def test_the_last_override_wins_and_the_file_is_left_alone(study):
    before = study.read_bytes()
    assert load(study, ["study.trials=3", "study.trials=4"]).study.trials == 4
    assert study.read_bytes() == before


def test_an_override_reaches_into_a_table(study):
    loaded = load(study, ["data.id={source='MNIST'}", "data.id.split=train"])
    assert (loaded.data.id.source, loaded.data.id.split) == ("MNIST", "train")


@pytest.mark.parametrize(
    ("override", "fragment"),
    [
        ("training.epochs", "allowed: section.key=value"),
        ("training=5", "allowed: section.key=value"),
        ("=5", "allowed: section.key=value"),
        (".epochs=5", "allowed: section.key=value"),
        ("training.=5", "allowed: section.key=value"),
        ("", "allowed: section.key=value"),
        ("data.id.invert=true", "id is not a section"),
        ("data.ood_validation.0=rotation", "ood_validation is not a section"),
    ],
)
def test_an_override_of_another_form(study, override, fragment, message_of):
    message = message_of(study, [override])
    assert message.startswith(f"--set {override}: ")
    assert fragment in message


def test_a_value_that_goes_on_as_another_key_is_no_value(study, message_of):
    assert r"found '1\nstudy = 2'" in message_of(study, ["training.epochs=1\nstudy = 2"])
