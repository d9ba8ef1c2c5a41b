"""The password of a database is in no file, no output and no error of a study."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest

TRAINER = "def train(allocation, config, seed, report):\n    return {'loss': float(seed)}\n"


def spellings(password: str) -> set[bytes]:
    return {text.encode() for text in (password, quote(password), quote(password, safe=""))}


@pytest.mark.parametrize("through", ["option", "environment"])
def test_the_password_is_nowhere(
    through: str, postgres, tmp_path: Path, write_study, command, main_here, monkeypatch
) -> None:
    password = os.environ["ALLOCSEARCH_STORAGE_PASSWORD"]
    whole = postgres.database()
    url = whole._replace(password=None).render_as_string()
    if through == "option":
        monkeypatch.delenv("ALLOCSEARCH_STORAGE_PASSWORD")
        given = whole.render_as_string(hide_password=False)
    else:
        given = url
    (tmp_path / "own.py").write_text(TRAINER)
    study = write_study(
        tmp_path / "tiny.toml",
        study={"objectives": ["min:loss"], "sampler": "random"},
        trainer={"kind": "callable", "function": "own:train"},
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended = command("run", study.name, "--storage", given, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    folder = tmp_path / "runs" / "tiny"
    assert f'storage = "{url}"' in (folder / "study.toml").read_text()
    assert (folder / "report.html").is_file()

    said = [ended.out]
    monkeypatch.setenv("ALLOCSEARCH_STORAGE_PASSWORD", password)
    for verb in ("status", "report"):
        read = main_here(verb, folder)
        assert (read.code, read.err) == (0, "")
        said.append(read.out)
    assert "3 of 3" in said[1]
    # While the database is away, and with another password.
    postgres.stop()
    away = main_here("status", folder)
    postgres.start()
    monkeypatch.setenv("ALLOCSEARCH_STORAGE_PASSWORD", f"{password}?")
    refused = main_here("status", folder)
    for failed in (away, refused):
        assert failed.code == 2
        assert failed.err.startswith(f"{folder}: the storage cannot be opened: ")
        said.append(failed.err)
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    for spelling in spellings(password):
        assert not [content for content in contents if spelling in content]
        assert not [text for text in said if spelling in text.encode()]
