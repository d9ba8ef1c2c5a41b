from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from allocsearch.config import InputError, StudyConfig, load
from allocsearch.search.storage import (
    CONFIG_NAME,
    DATABASE_NAME,
    StorageError,
    load_run_config,
    open_study,
    write_atomically,
)


def config_of(**study) -> StudyConfig:
    study = {"objectives": ["max:retention"], **study}
    return StudyConfig.model_validate(
        {"study": study, "search_space": {"budget": 8}, "data": {"id": "digits"}}
    )


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def test_text_and_bytes_are_written_in_new_folders(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b" / "text", "r* ≈ 0.3\n")
    write_atomically(tmp_path / "a" / "bytes", b"\x00\xff")
    assert (tmp_path / "a" / "b" / "text").read_text("utf-8") == "r* ≈ 0.3\n"
    assert (tmp_path / "a" / "bytes").read_bytes() == b"\x00\xff"


def test_a_file_is_replaced_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "a long old content")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_writer_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_umask_is_respected_and_kept(tmp_path: Path, umask: int) -> None:
    write_atomically(tmp_path / "file", "content")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask
    assert os.umask(umask) == umask


def test_a_resolved_config_is_read_back_equal(tmp_path: Path) -> None:
    config = config_of(name="mine", trials=7)
    write_atomically(tmp_path / CONFIG_NAME, config.to_toml())
    assert load_run_config(tmp_path) == config


def test_a_folder_without_a_config_is_no_run_folder(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match=r"not a run folder \(no study\.toml in it\)"):
            load_run_config(folder)


def test_a_study_is_made_once_and_found_again(tmp_path: Path) -> None:
    config = config_of(objectives=["max:retention", "min:elbo"])
    study = open_study(config, tmp_path, create=True)
    assert study.directions == [
        optuna.study.StudyDirection.MAXIMIZE,
        optuna.study.StudyDirection.MINIMIZE,
    ]
    study.enqueue_trial({}, user_attrs={"slot": 0})
    assert (tmp_path / DATABASE_NAME).is_file()
    again = open_study(config, tmp_path)
    assert [trial.user_attrs for trial in again.trials] == [{"slot": 0}]


def test_reading_makes_no_study(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no trials yet"):
        open_study(config_of(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_storage_can_be_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    (tmp_path / "run").mkdir()
    open_study(config_of(storage=url), tmp_path / "run", create=True).enqueue_trial({})
    assert (tmp_path / "elsewhere.db").is_file()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_broken_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"no database at all\n" * 100)
    with pytest.raises(StorageError) as raised:
        open_study(config_of(), tmp_path)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path}: the storage cannot be opened: ")
    assert "not a database" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("sqlite:////no/such/folder/study.db", "unable to open database file"),
        ("journal:////no/such/folder/study.log", "No such file or directory"),
        ("postgresql+psycopg://127.0.0.1:1/db", "Connection refused"),
        ("mysql+pymysql://127.0.0.1:1/db", "Can't connect"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_one_line(tmp_path: Path, url: str, part: str) -> None:
    with pytest.raises(StorageError) as raised:
        open_study(config_of(storage=url), tmp_path, create=True)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path}: the storage cannot be opened: ")
    assert part in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_reading_makes_no_file(tmp_path: Path, kind: str) -> None:
    with pytest.raises(StorageError, match=f"no trials yet .no file in {tmp_path}"):
        open_study(config_of(storage=f"{kind}:///{tmp_path}/file"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_reading_makes_no_study_beside_another(tmp_path: Path, kind: str) -> None:
    url = f"{kind}:///{tmp_path}/file"
    open_study(config_of(storage=url, name="one"), tmp_path, create=True)
    with pytest.raises(StorageError, match="no study two there"):
        open_study(config_of(storage=url, name="two"), tmp_path)
    assert open_study(config_of(storage=url, name="one"), tmp_path).study_name == "one"


def test_a_folder_of_any_name_holds_a_database(tmp_path: Path) -> None:
    folder = tmp_path / "100 %41 ü?a=b#{x}{SCHEMA_VERSION}"
    folder.mkdir()
    open_study(config_of(), folder, create=True).enqueue_trial({})
    assert (folder / DATABASE_NAME).is_file()
    assert len(open_study(config_of(), folder).trials) == 1


@pytest.mark.parametrize(
    ("version", "part"),
    [
        ("v2.6.0.a", "Please execute `optuna storage upgrade --storage sqlite:///"),
        ("v99.0.0.a", "Please try updating optuna to the latest version"),
    ],
)
def test_a_database_of_another_optuna_is_one_line(tmp_path: Path, version: str, part: str) -> None:
    open_study(config_of(), tmp_path, create=True)
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (version,))
    with pytest.raises(StorageError) as raised:
        open_study(config_of(), tmp_path)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path}: the storage cannot be opened: The runtime optuna")
    assert part in message
    assert "\n" not in message


def test_objectives_have_their_names_in_optunas_own_tools(tmp_path, write_study, recwarn):
    config = load(write_study(tmp_path / "tiny.toml"))
    for _ in range(2):
        study = open_study(config, tmp_path, create=True)
        assert study.metric_names == ["retention", "attenuation", "auroc"]
    assert not recwarn.list
