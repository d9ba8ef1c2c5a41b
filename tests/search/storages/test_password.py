from __future__ import annotations

from pathlib import Path

import pytest

from allocsearch.config import InputError
from allocsearch.search.storages.password import storage_password

VARIABLE, FILE = "ALLOCSEARCH_STORAGE_PASSWORD", "ALLOCSEARCH_STORAGE_PASSWORD_FILE"


@pytest.fixture(autouse=True)
def neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE, raising=False)


def test_there_may_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage_password() is None
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv(FILE, "")
    assert storage_password() is None


def test_the_variable_goes_before_the_file(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "secret").write_text(" of a file \n", "utf-8")
    monkeypatch.setenv(FILE, str(tmp_path / "secret"))
    assert storage_password() == " of a file "
    monkeypatch.setenv(VARIABLE, "of the environment")
    assert storage_password() == "of the environment"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"\xff\xfe", "not a text in UTF-8")],
)
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(FILE, str(path))
    with pytest.raises(InputError) as raised:
        storage_password()
    assert str(raised.value) == f"{FILE}: {path}: {reason}"
