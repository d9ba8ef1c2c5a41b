from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import URL, make_url

from allocsearch.config import InputError, StudyConfig, load, split_password
from allocsearch.config.storage_url import checked_storage_url

fixed = settings(derandomize=True, deadline=None)
SECRET = "s3cr3t-&@:/"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/db",
        "postgresql+psycopg://ann@host:5432/db?sslmode=require",
        "mysql+pymysql://ann@host/db",
        "mariadb+pymysql://ann@host/db",
        "grpc://host:13000",
        "grpc://[::1]:13000",
        "sqlite:////folder/study.db",
        "journal:////folder/study.log",
    ],
)
def test_what_can_be_used_stays_as_it_is(url: str) -> None:
    assert checked_storage_url(url) == url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("nonsense", ["found no URL", "postgresql://user@host/database"]),
        ("", ["found no URL"]),
        ("postgresql://host:port/db", ["found no URL"]),
        ("redis://host/0", ["whose kind is redis", "sqlite, journal, postgresql", "grpc"]),
        ("postgres://host/db", ["Did you mean postgresql?"]),
        ("sqlite://study.db", ["sqlite:///FILE", "sqlite:////FOLDER/FILE"]),
        ("sqlite://", ["sqlite:///FILE"]),
        ("sqlite:///:memory:", ["sqlite:///FILE"]),
        ("journal://host/study.log", ["journal:///FILE"]),
        ("grpc://", ["grpc://HOST:PORT"]),
        ("grpc://ann@host:1", ["grpc://HOST:PORT"]),
        ("grpc://host/db", ["grpc://HOST:PORT"]),
    ],
)
def test_what_cannot_be_used_is_said_with_what_can(url: str, parts: list[str]) -> None:
    with pytest.raises(ValueError) as raised:
        checked_storage_url(url)
    for part in parts:
        assert part in str(raised.value)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_relative_file_is_of_the_working_directory(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "100 % ü?#{x}"
    folder.mkdir()
    monkeypatch.chdir(folder)
    url = checked_storage_url(f"{kind}:///a b.db")
    assert make_url(url).database == str(folder / "a b.db")
    assert checked_storage_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        URL.create("postgresql", "ann", SECRET, "host", None, "db").render_as_string(False),
        f"postgresql://host/db?password={SECRET[:6]}",
        f"mysql+pymysql://host/db?passwd={SECRET[:6]}",
    ],
)
def test_a_password_is_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(f"[study]\nstorage = '{url}'\n[search_space]\nbudget = 8\n[data]\nid='digits'")
    for attempt in (lambda: load(file), lambda: load(file, [f"study.storage={url}"])):
        with pytest.raises(InputError) as raised:
            attempt()
        message = str(raised.value)
        assert message.startswith(f"{file}: study.storage: found a password in the URL")
        assert "ALLOCSEARCH_STORAGE_PASSWORD" in message
        assert SECRET[:6] not in message


def test_a_password_that_spoils_the_url_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text("[study]\nstorage = 'postgresql://ann:s3cr3t@host:what/db'")
    with pytest.raises(InputError) as raised:
        load(file)
    assert "study.storage: found no URL" in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


@settings(fixed, max_examples=100)
@given(st.text(min_size=1), st.text(min_size=1, max_size=20))
def test_a_password_is_taken_out_whole(password: str, user: str) -> None:
    whole = URL.create("postgresql+psycopg", user, password, "host", 1, "db", {"sslmode": "x"})
    url, found = split_password(whole.render_as_string(hide_password=False))
    assert found == password
    assert make_url(url) == whole._replace(password=None)
    assert split_password(url) == (url, None)
    assert checked_storage_url(url) == url


@pytest.mark.parametrize("url", ["nonsense", "sqlite:///a.db", "postgresql://ann@host/db"])
def test_what_has_no_password_is_not_changed(url: str) -> None:
    assert split_password(url) == (url, None)


def test_the_stored_study_has_the_url(tmp_path: Path) -> None:
    content = {
        "search_space": {"budget": 8},
        "data": {"id": "digits", "ood_validation": "inversion"},
    }
    url = "postgresql://ann@host/db?sslmode=require"
    config = StudyConfig.model_validate({"study": {"storage": url}, **content})
    (tmp_path / "study.toml").write_text(config.to_toml())
    assert load(tmp_path / "study.toml").study.storage == url
