"""Workers that join a study by its storage, as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from allocsearch.config import load
from allocsearch.search.published import check_data, publish
from allocsearch.search.records import read_study
from allocsearch.search.slots import claim, fill
from allocsearch.search.storage import open_study
from allocsearch.spaces import build_space

COMMAND = Path(sys.executable).with_name("allocsearch")
# Each training waits, in sight of the study, until it may end.
TRAINER = """
import time
from pathlib import Path

def train(allocation, config, seed, report):
    while not Path(__file__).with_name("go").exists():
        report(progress=0.5)
        time.sleep(0.02)
    return {"loss": float(seed)}
"""


@pytest.fixture
def begun(tmp_path, write_study):
    """A study in a database that nobody works on, its config, its folder and its URL."""

    def begin(trainer=None, **study):
        url = f"sqlite:///{tmp_path}/shared.db"
        sections = {"study": {"storage": url, "heartbeat": 0.4, **study}}
        if trainer is not None:
            sections["trainer"] = {"kind": "callable", "function": trainer}
        config = load(write_study(tmp_path / "tiny.toml", **sections))
        folder = tmp_path / "runs" / "tiny"
        folder.mkdir(parents=True)
        opened = open_study(config, folder, create=True)
        publish(opened, config)
        fill(opened, config, build_space(config.search_space))
        return opened, config, folder, url

    return begin


@pytest.fixture
def gated(tmp_path, monkeypatch):
    """The sections of a study whose trainings take no time, once the file `go` is there."""
    (tmp_path / "own.py").write_text(TRAINER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return {"objectives": ["min:loss"], "sampler": "random"}


def states(record):
    return sorted(trial.state for trial in record.trials)


def test_workers_in_other_folders_end_the_study_together(
    begun, gated, tmp_path, main_here, wait_for
):
    study, config, folder, url = begun("own:train", trials=6, **gated)
    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
    workers = [
        subprocess.Popen(
            [COMMAND, "worker", "tiny", "--storage", url],
            cwd=home,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for home in homes
    ]
    # Each has one in hand.
    wait_for(lambda: states(read_study(study, config, folder)).count("running") == 2)
    (tmp_path / "go").touch()
    ended = [(worker.communicate(timeout=300), worker.returncode) for worker in workers]
    for (out, err), code in ended:
        assert (code, err) == (0, "")
        assert out.splitlines()[-1] == "tiny: 6 of 6 trials"
    record = read_study(study, config, folder)
    assert states(record) == ["complete"] * 6
    assert len({trial.allocation for trial in record.trials}) == 6
    # The files of every trial are with the worker that trained it.
    written = [
        path.parent.name for home in homes for path in home.glob("runs/tiny/trials/*/metrics.json")
    ]
    assert sorted(written) == [*"012345"]
    assert all([*home.glob("runs/tiny/trials/*/metrics.json")] for home in homes)
    shown = main_here("status", homes[0] / "runs" / "tiny")
    assert shown.code == 0
    assert "6 of 6 trials" in shown.out


def test_what_a_silent_worker_of_another_machine_had_is_trained_again(
    begun, tmp_path, main_here, monkeypatch
):
    study, config, folder, url = begun(trials=3)
    lost = claim(study, config, build_space(config.search_space), "elsewhere.example:1:2.00")
    monkeypatch.chdir(tmp_path)
    ended = main_here("worker", "tiny", "--storage", url)
    assert (ended.code, ended.err) == (0, "")
    record = read_study(study, config, folder)
    assert states(record) == ["complete"] * 3 + ["interrupted"]
    [interrupted] = [trial for trial in record.trials if trial.state == "interrupted"]
    assert (interrupted.number, interrupted.reason) == (lost.number, "the worker died")
    [again] = [trial for trial in record.trials if trial.retry_of == lost.number]
    assert (again.allocation, again.seed) == (interrupted.allocation, interrupted.seed)


def test_a_worker_that_is_stopped_puts_its_trial_back(begun, gated, tmp_path, wait_for):
    study, config, folder, url = begun("own:train", trials=3, **gated)
    with subprocess.Popen(
        [COMMAND, "worker", "tiny", "--storage", url],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        wait_for(lambda: any(t.progress for t in read_study(study, config, folder).trials))
        assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=300)
    assert worker.returncode == 130
    assert err == "Interrupted; what had finished is kept. The same command goes on.\n"
    record = read_study(study, config, folder)
    assert "running" not in states(record)
    assert states(record) == ["interrupted", *["waiting"] * 3]


def test_other_data_is_refused_before_anything_is_written(begun, tmp_path, main_here, monkeypatch):
    study, _, _, url = begun()
    check_data(study, "b" * 64)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    ended = main_here("worker", "tiny", "--storage", url)
    assert ended.code == 2
    assert ended.err.startswith("tiny: the data here has the fingerprint ")
    assert ended.err.count("\n") == 1
    assert [*home.iterdir()] == []


def test_a_folder_of_another_study_is_refused(begun, tmp_path, main_here, write_study):
    _, _, _, url = begun()
    other = load(write_study(tmp_path / "other.toml", training={"epochs": 9}))
    folder = tmp_path / "elsewhere" / "tiny"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(other.to_toml())
    ended = main_here("worker", "tiny", "--storage", url, "--runs", folder.parent)
    assert ended.code == 2
    assert "belongs to a study with training.epochs = 9, not 3; choose another --runs" in ended.err


@pytest.mark.parametrize(
    ("name", "storage", "message"),
    [
        ("tinny", None, "found no study 'tinny'. Did you mean tiny? Allowed: tiny."),
        ("tiny", "sqlite:///nowhere.db", "the storage cannot be opened: no file "),
        ("tiny", "redis://db", "--storage: found "),
        ("tiny", "nonsense", "--storage: found no URL; allowed: KIND://..."),
    ],
)
def test_bad_input_is_one_line(begun, tmp_path, main_here, monkeypatch, name, storage, message):
    *_, url = begun()
    monkeypatch.chdir(tmp_path)
    before = {*tmp_path.rglob("*")}
    ended = main_here("worker", name, "--storage", storage or url)
    assert ended.code in (1, 2)
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert {*tmp_path.rglob("*")} == before
