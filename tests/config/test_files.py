from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from allocsearch.config import InputError, load, read_file


def test_a_byte_order_mark_is_no_mistake(tmp_path, minimal):
    path = tmp_path / "study.toml"
    path.write_bytes(minimal.encode("utf-8-sig"))
    assert load(path).search_space.budget == 24


@pytest.mark.parametrize(
    ("name", "content", "fragment"),
    [
        ("missing.toml", None, "no such file"),
        ("missing", None, "no such file"),
        ("study.json", b"{}", "found .json; allowed: a readable .toml, .yaml or .yml file"),
        ("study", b"", "found no ending; allowed: a readable .toml, .yaml or .yml file"),
        ("study.toml", b"\x00\xff\xfe\x80", "not text (UTF-8)"),
        ("study.yaml", b"\x00\x01\x02", "not valid YAML"),
        ("study.toml", b"[search_space", "not valid TOML"),
        ("study.toml", b"a = 1\na = 2", "not valid TOML"),
        ("study.toml", b"a = " + b"9" * 5_000, "not valid TOML"),
        ("study.yaml", b"a: " + b"9" * 5_000, "not valid YAML"),
        ("study.yaml", b"a: [1, 2", "not valid YAML"),
        ("study.yaml", b"? [1]\n: 2", "not valid YAML"),
        ("study.yaml", b"--- a\n--- b", "not valid YAML"),
        ("study.yaml", b"", "found None; allowed: keys with values"),
        ("study.yaml", b"- 1", "found [1]; allowed: keys with values"),
        ("study.yaml", b"1: 2", "found {1: 2}; allowed: keys with values"),
        (
            "study.yaml",
            b"search_space: {budget: 8}\ndata: {id: digits}\ntraining: {1: 2}",
            "training.1: found 1; keys should be strings",
        ),
        ("study.yaml", b"a: &a [*a]", "a: unknown key"),
    ],
)
def test_a_file_that_is_no_study(tmp_path, name, content, fragment, message_of):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    message = message_of(path)
    assert message.startswith(f"{path}: ")
    assert fragment in message


@pytest.mark.parametrize("name", ["study.toml", "studies"])
def test_a_directory_is_no_study(tmp_path, name, message_of):
    path = tmp_path / name
    path.mkdir()
    assert message_of(path).startswith(f"{path}: Is a directory; allowed: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_a_pipe_is_no_study_and_is_not_waited_for(tmp_path, message_of):
    path = tmp_path / "study.toml"
    os.mkfifo(path)
    assert message_of(path).startswith(f"{path}: no file; allowed: a readable .toml")


def test_a_file_without_permission(study, monkeypatch, message_of):
    def refuse(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # The superuser may read every file: its mode would not do.
    monkeypatch.setattr(Path, "open", refuse)
    assert message_of(study).startswith(f"{study}: Permission denied; allowed: a readable")


def test_a_name_with_line_ends_stays_on_one_line(tmp_path, message_of):
    message = message_of(tmp_path / "a\nb\x1b[2J\u2028.toml")
    assert r"a\nb\x1b[2J\u2028.toml: no such file" in message


@pytest.mark.parametrize("name", ["a\0b.toml", "x" * 300 + ".toml"])
def test_a_name_that_no_file_can_have(tmp_path, name, message_of):
    assert "allowed: a readable" in message_of(tmp_path / name)


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("toml", "seed = 3\n[model]\nskip = true\nnames = ['a', 'b']"),
        ("yaml", "seed: 3\nmodel: {skip: true, names: [a, b]}"),
        ("yml", "seed: 3\nmodel:\n  skip: true\n  names:\n  - a\n  - b\n"),
        ("json", '{"seed": 3, "model": {"skip": true, "names": ["a", "b"]}}'),
    ],
)
def test_the_ending_says_how_a_file_is_read(tmp_path, ending, content):
    path = tmp_path / f"file.{ending}"
    path.write_text(content)
    assert read_file(path) == {"seed": 3, "model": {"skip": True, "names": ["a", "b"]}}


def test_only_the_endings_that_are_asked_for_are_read(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("{}")
    assert read_file(path, (".toml", ".json")) == {}
    with pytest.raises(InputError, match=r"found \.json; allowed: .* \.toml or \.yaml file"):
        read_file(path, (".toml", ".yaml"))
