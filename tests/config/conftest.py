"""A study that states only what has no default, and the line that a study is refused with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from allocsearch.config import InputError, load


@pytest.fixture
def minimal() -> str:
    """A study file that states what has no default."""
    return """
[search_space]
budget = 24

[data]
id = "digits"
ood_validation = ["inversion"]
"""


@pytest.fixture
def study(tmp_path: Path, minimal: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(minimal)
    return path


@pytest.fixture
def message_of() -> Callable[..., str]:
    """The one line that a study is refused with."""

    def call(path: Path, overrides: Sequence[str] = ()) -> str:
        with pytest.raises(InputError) as caught:
            load(path, overrides)
        text = str(caught.value)
        assert text.isprintable()
        return text

    return call


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all examples of a property."""
    return tmp_path_factory.mktemp("config")
