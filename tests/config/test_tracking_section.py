from __future__ import annotations

from pathlib import Path

import pytest

from allocsearch.config import InputError, load

SECRET = "s3cr3t-{p}"


@pytest.fixture
def load_with(tmp_path, write_study):
    def build(*overrides: str):
        return load(write_study(tmp_path / "tiny.toml"), overrides)

    return build


def test_nothing_is_tracked_unless_it_is_asked_for(load_with):
    tracking = load_with().tracking
    assert (tracking.tensorboard, tracking.mlflow) == (False, None)


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:5000",
        "https://mlflow.example/team",
        "sqlite:////data/mlflow.db",
        "postgresql://ann@host/mlflow",
        "mysql+pymysql://ann@host/mlflow",
    ],
)
def test_uris(uri, load_with, tmp_path):
    config = load_with(f"tracking.mlflow={uri}", "tracking.tensorboard=true")
    assert (config.tracking.mlflow, config.tracking.tensorboard) == (uri, True)
    (tmp_path / "again.toml").write_text(config.to_toml())
    assert load(tmp_path / "again.toml") == config


def test_a_file_is_of_the_working_directory(load_with):
    found = load_with("tracking.mlflow=sqlite:///mlflow.db").tracking.mlflow
    assert found == f"sqlite:///{Path('mlflow.db').absolute()}"


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        (f"https://ann:{SECRET}@host", "found a name, a password or a query in the URI; allowed"),
        (f"https://{SECRET}@host", "found a name, a password or a query in the URI; allowed"),
        (f"http://host?token={SECRET}", "found a name, a password or a query in the URI; allowed"),
        (f"postgresql://ann:{SECRET}@host/db", "found a password in the URI; allowed: none"),
        (f"mysql://ann@host/db?password={SECRET}", "found a password in the URI; allowed: none"),
    ],
)
def test_secrets_are_refused_and_not_repeated(uri, problem, load_with):
    with pytest.raises(InputError) as error:
        load_with(f"tracking.mlflow={uri}")
    assert f"tracking.mlflow: {problem}" in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tracking.mlflow=mlruns", "tracking.mlflow: found no URI; allowed: http://HOST:PORT"),
        ("tracking.mlflow=http://", "tracking.mlflow: found 'http://'; allowed: http://HOST:PORT"),
        ("tracking.mlflow=file:///mlruns", "whose kind is file"),
        ("tracking.mlflow=postgres://host/db", "Did you mean postgresql?"),
        ("tracking.tensorboard=1", "tracking.tensorboard: found 1"),
        ("tracking.wandb=true", "tracking.wandb: unknown key."),
    ],
)
def test_others_are_refused(override, message, load_with):
    with pytest.raises(InputError) as error:
        load_with(override)
    assert message in str(error.value)
