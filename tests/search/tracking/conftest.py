"""A database of MLflow."""

from __future__ import annotations

import os

import pytest
from mlflow import MlflowClient


@pytest.fixture(scope="session")
def uri(tmp_path_factory) -> str:
    # Its tables are made once: that takes seconds.
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set for MLflow is of one test."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
