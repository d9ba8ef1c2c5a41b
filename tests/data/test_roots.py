from __future__ import annotations

import os
from pathlib import Path

import pytest

from allocsearch.config import InputError
from allocsearch.data import roots


def test_order_is_variable_then_system_then_downloads(tmp_path, monkeypatch):
    monkeypatch.setenv("ALLOCSEARCH_DATA", os.pathsep.join(["/a", "", "~/b", "/a"]))
    cache = tmp_path / "cache" / "allocsearch"
    expected = (Path("/a"), Path.home() / "b", roots.SYSTEM_ROOT, cache)
    assert roots.data_roots() == expected


def test_downloads_go_to_the_cache_of_the_user(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert roots.download_root() == Path.home() / ".cache" / "allocsearch"


def test_relative_paths_are_found_in_the_current_folder_before_the_roots(tmp_path, monkeypatch):
    for folder in ("here", "root"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both").write_text(folder)
    (tmp_path / "root" / "only").write_text("root")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("ALLOCSEARCH_DATA", str(tmp_path / "root"))
    assert roots.find_path("both").read_text() == "here"
    assert roots.find_path("only").read_text() == "root"
    assert roots.find_path(str(tmp_path / "root" / "only")).read_text() == "root"


def test_missing_paths_are_one_line_with_every_place(tmp_path, monkeypatch):
    monkeypatch.setenv("ALLOCSEARCH_DATA", os.pathsep.join(["/first", "/second"]))
    with pytest.raises(InputError) as error:
        roots.find_path("no/such.npy")
    for part in ("no/such.npy", "the current folder", "/first", "/second", "ALLOCSEARCH_DATA"):
        assert part in str(error.value)
    with pytest.raises(InputError, match=r"^/no/such: no such file or folder$"):
        roots.find_path("/no/such")
