"""An artifact store, as the commands use it: from one folder to another, and where it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from allocsearch.config import load
from allocsearch.search.artifacts.registration import register_store
from allocsearch.search.published import publish
from allocsearch.search.slots import fill
from allocsearch.search.storage import open_study, write_atomically
from allocsearch.spaces import build_space

TRAINER = """
def train(allocation, config, seed, report):
    (report.folder / "weights.bin").write_bytes(str(allocation).encode() * 99)
    return {"loss": float(seed)}
"""
BREAKING = """
from pathlib import Path
def train(allocation, config, seed, report):
    store = Path("store")
    if len(list(store.iterdir())) > 2:
        store.rename("kept")
        store.write_text("a file, where a folder was")
    return {"loss": float(seed)}
"""


@pytest.fixture
def study(write_study, tmp_path, monkeypatch):
    """A study file of a function of one's own, in the working directory."""

    def write(code, **section):
        home = tmp_path / "home"
        home.mkdir()
        monkeypatch.chdir(home)
        monkeypatch.setenv("PYTHONPATH", f"{home}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        (home / "own.py").write_text(code)
        section = {"objectives": ["min:loss"], "sampler": "random", **section}
        trainer = {"kind": "callable", "function": "own:train"}
        return write_study(home / "tiny.toml", study=section, trainer=trainer)

    return write


def test_files_are_fetched_elsewhere_and_no_secret_is_anywhere(
    study, s3, tmp_path, main_here, monkeypatch
):
    home, away = study(TRAINER).parent, tmp_path / "away"
    bucket = f"{s3.place}/tiny"
    url = f"sqlite:///{tmp_path}/shared.db"
    away.mkdir()
    ran = main_here("run", "tiny.toml", "--storage", url, "--artifacts", bucket)
    assert (ran.code, ran.err) == (0, "")
    assert f'artifacts = "{bucket}"' in (home / "runs/tiny/study.toml").read_text()

    monkeypatch.chdir(away)
    monkeypatch.syspath_prepend(home)
    joined = main_here("worker", "tiny", "--storage", url)
    assert (joined.code, joined.err, joined.out) == (0, "", "tiny: 3 of 3 trials\n")
    assert not (away / "runs/tiny/trials").exists()
    exported = main_here("export", "runs/tiny", "--pick", "trial:1", "--files")
    assert (exported.code, exported.err) == (0, "")
    names = ["metrics.json", "weights.bin"]
    fetched = [f"runs/tiny/trials/1/{name}" for name in names]
    assert exported.out.splitlines()[1:] == fetched
    for name in fetched:
        assert (away / name).read_bytes() == (home / name).read_bytes()

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    (away / fetched[0]).unlink()
    refused = main_here("export", "runs/tiny", "--pick", "trial:1", "--files", "--out", "-")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert f"study.artifacts: {bucket}: Partial credentials found" in refused.err
    said = [*ran.__dict__.values(), *exported.__dict__.values(), refused.err]
    contents = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (s3.key, s3.secret, "s3cr3t%2Bof"):
        assert not [text for text in said if secret in str(text)]
        assert not [content for content in contents if secret.encode() in content]


def test_a_store_that_is_lost_ends_the_run_with_one_line(study, main_here):
    home = study(BREAKING, trials=4).parent
    lost = main_here("run", "tiny.toml", "--artifacts", "store")
    assert lost.code == 1
    assert lost.err.startswith("the artifact store fails: ")
    assert lost.err.endswith("what has finished is kept, and the same command goes on\n")
    assert lost.err.count("\n") == 1
    assert "2 of 4 trials" in main_here("status", "runs/tiny").out
    assert (home / "kept").is_dir()


def test_a_worker_finds_the_store_by_another_path(study, main_here, tmp_path, monkeypatch):
    """The folder that the study names is not mounted here, but elsewhere."""
    config = load(study(TRAINER, storage=f"sqlite:///{tmp_path}/shared.db", artifacts="store"))
    home, away = Path.cwd(), tmp_path / "away"
    folder = home / "runs" / "tiny"
    write_atomically(folder / "study.toml", config.to_toml())
    opened = open_study(config, folder, create=True)
    register_store(opened, config, folder)
    publish(opened, config)
    fill(opened, config, build_space(config.search_space))
    (home / "store").rename(tmp_path / "mounted")
    away.mkdir()
    monkeypatch.chdir(away)
    monkeypatch.syspath_prepend(home)
    (away / "empty").mkdir()
    before = {*away.rglob("*")}
    for arguments, message in [
        ((), f"study.artifacts: {home}/store: no such folder here; allowed: the path that the"),
        (("--artifacts", "empty"), f"study.artifacts: {away}/empty: not the artifact store of"),
        (("--artifacts", "s3://x"), "--artifacts: found the bucket 'x'"),
    ]:
        ended = main_here("worker", "tiny", "--storage", config.study.storage, *arguments)
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert ended.err.startswith(message)
        assert {*away.rglob("*")} == before
    given = ("--storage", config.study.storage, "--artifacts", "../mounted")
    ended = main_here("worker", "tiny", *given)
    assert (ended.code, ended.err) == (0, "")
    # Two files of each of three trials, and the config.
    assert len([*(tmp_path / "mounted").iterdir()]) == 7
    assert not (home / "store").exists()
    exported = main_here("export", "runs/tiny", "--pick", "trial:2", "--files")
    assert exported.out.splitlines()[2] == "runs/tiny/trials/2/weights.bin"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://no", "tiny.toml: study.artifacts: found the bucket 'no'; allowed: 3 to 63 of"),
        ("gs://bucket", "tiny.toml: study.artifacts: found 'gs' before ://; allowed: a FOLDER"),
        ("tiny.toml", "study.artifacts: {home}/tiny.toml: not a folder"),
        ("s3://missing", "study.artifacts: s3://missing: The specified bucket does not exist"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    request, study, main_here, place, message
):
    home = study(TRAINER).parent
    if place == "s3://missing":
        request.getfixturevalue("s3")
    before = {*home.rglob("*")}
    refused = main_here("run", "tiny.toml", "--artifacts", place)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert refused.err.startswith(message.format(home=home))
    assert {path for path in home.rglob("*") if "__pycache__" not in path.parts} == before
