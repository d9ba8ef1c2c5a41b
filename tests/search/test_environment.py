from __future__ import annotations

import importlib.metadata
import platform
import subprocess

import pytest

from allocsearch.search.environment import checkout_commit, environment


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(
        ["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "module.py").write_text("x = 1\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "-a", "v1", "-m", "one")
    return tmp_path


def test_the_commit_of_a_checkout_and_whether_it_was_changed(checkout):
    head = git(checkout, "rev-parse", "HEAD")
    assert checkout_commit(checkout) == head
    (checkout / "module.py").write_text("x = 2\n")
    assert checkout_commit(checkout) == f"{head}-dirty"


def test_what_lies_in_another_checkout_has_no_commit(checkout, tmp_path_factory):
    inner = checkout / "site-packages"
    inner.mkdir()
    assert checkout_commit(inner) is None
    assert checkout_commit(tmp_path_factory.mktemp("none")) is None


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert checkout_commit(checkout) is None


def test_versions_and_machine():
    found = environment(["numpy"])
    assert found["numpy"] == importlib.metadata.version("numpy")
    assert found["python"] == platform.python_version()
    assert found["platform"] == platform.platform()
    assert found["processor"]
    assert "torch" not in found
