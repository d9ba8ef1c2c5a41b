"""The secrets that MLflow takes from the environment."""

from __future__ import annotations

import os

_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD", "MYSQL_PWD")


def without_secrets(text: str) -> str:
    """A text with `***` in place of each of them."""
    for name in _VARIABLES:
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return text
