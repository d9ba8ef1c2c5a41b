from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from allocsearch.config import InputError, load, loads
from allocsearch.config.migration import migrated, migrated_json

# Written before study files had a version.
OLD = Path(__file__).with_name("versions") / "study_1.toml"


def _renamed(content):
    return {**content, "b": content["a"] + 1}


def _doubled(content):
    return {**content, "b": content["b"] * 2}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ({}, {"a": 1, "b": 4}),
        ({"schema_version": 1}, {"a": 1, "b": 4}),
        ({"schema_version": 2, "b": 5}, {"a": 1, "b": 10}),
        ({"schema_version": 3, "b": 5}, {"a": 1, "b": 5}),
    ],
)
def test_the_steps_from_a_version_on_are_taken_in_their_order(version, expected):
    content = {"a": 1, **version}
    before = dict(content)
    found = migrated(content, (_renamed, _doubled))
    assert found == {"schema_version": 3, **expected}
    assert content == before


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (4, "schema_version: found 4, and this allocsearch reads up to 3; upgrade: pip install "),
        (0, "schema_version: found 0; allowed: 1 to 3"),
        ("1", "schema_version: found '1'; allowed: 1 to 3"),
        (True, "schema_version: found True; allowed: 1 to 3"),
        (None, "schema_version: found None; allowed: 1 to 3"),
    ],
)
def test_versions_that_are_newer_or_none_are_refused(version, words):
    with pytest.raises(InputError) as caught:
        migrated({"schema_version": version}, (_renamed, _doubled))
    assert str(caught.value).startswith(words)


def test_json_without_keys_is_for_the_reader_to_judge():
    assert migrated_json(b"[1, 2]", ()) == [1, 2]
    assert migrated_json(b'{"a": 1}', ()) == {"schema_version": 1, "a": 1}
    with pytest.raises(ValueError):
        migrated_json(b"{", ())


def test_a_study_of_before_there_were_versions_loads():
    assert "schema_version" not in tomllib.loads(OLD.read_text())
    config = load(OLD)
    assert config.study.trials == 6
    assert loads(OLD.read_text(), "stored") == config
    assert tomllib.loads(config.to_toml())["schema_version"] == 1


def test_a_study_of_a_newer_allocsearch_is_one_line(tmp_path, main_here):
    path = tmp_path / "study.toml"
    path.write_text(f"schema_version = 2\n[new]\nkey = 1\n{OLD.read_text()}")
    ended = main_here("run", path)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(f"{path}: schema_version: found 2, and this allocsearch reads up")
