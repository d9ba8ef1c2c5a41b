"""The kinds of storages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", "journal", "postgresql", "grpc"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty storage, of each kind that is here."""
    kind = request.param
    if kind in ("sqlite", "journal"):
        return f"{kind}:///{tmp_path / 'storage'}"
    database = request.getfixturevalue("postgres").database()
    if kind == "postgresql":
        return database._replace(password=None).render_as_string()
    whole = database.render_as_string(hide_password=False)
    return request.getfixturevalue("proxy")(whole).url


@pytest.fixture(autouse=True)
def one_thread() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
