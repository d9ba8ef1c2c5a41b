"""Runs that are killed at any moment, as real processes.

Their trainings are a function's, which brings no libraries to import at each start; the killed
worker of a run that trains our own model is in `tests/cli/test_commands.py`.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import psutil
import pytest

from allocsearch.config import load
from allocsearch.search.executors.executor import LOG_NAME
from allocsearch.search.identity import is_dead, own_identity
from allocsearch.search.records import read_run
from allocsearch.search.slots import claim, fill
from allocsearch.spaces import build_space

COMMAND = Path(sys.executable).with_name("allocsearch")
PATIENCE = 240.0
# Each training takes one of the leaves that the test gives, and waits until there is one.
TRAINER = """
import time
from pathlib import Path

def train(allocation, config, seed, report):
    leaves = Path(__file__).with_name("leaves")
    while True:
        report(progress=0.5)
        for leaf in leaves.iterdir():
            try:
                leaf.unlink()
            except FileNotFoundError:
                continue
            return {"loss": float(seed)}
        time.sleep(0.01)
"""


@contextmanager
def started(study, *arguments):
    """The real command in a process group of its own, none of which outlives the test."""
    output = study.with_suffix(".out")
    with output.open("ab") as file:
        process = psutil.Popen(
            [COMMAND, "run", study.name, *arguments],
            cwd=study.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for left in group(process.pid):
            left.kill()
        process.wait()


def group(leader):
    """The living processes of a process group."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return members


def wait_until(condition, process=None):
    """Wait for a condition that must hold before `process` ends."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        # To look through all processes, or to open the study, is work.
        time.sleep(0.1)


def states(folder):
    """The states of the trials, read without a write to the database."""
    path = folder / "study.db"
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return [state for (state,) in connection.execute("SELECT state FROM trials")]
    except sqlite3.OperationalError:
        # The tables are not there yet, or locked.
        return []


def complete(folder):
    return states(folder).count("COMPLETE")


def finished(folder):
    """What must never be lost: all that is known of every complete trial."""
    if not (folder / "study.db").exists():
        return {}
    return {
        trial.number: (trial.allocation, trial.seed, trial.values, dict(trial.metrics))
        for trial in read_run(folder).complete
    }


def slots(folder):
    """Slot by slot, the allocation and the metrics of the complete trial."""
    config = load(folder / "study.toml")
    study = optuna.load_study(
        study_name=config.study.name, storage=f"sqlite:///{folder / 'study.db'}"
    )
    ended = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    found = {t.user_attrs["slot"]: t.user_attrs["allocation"] for t in ended}
    assert len(found) == len(ended)
    return found


def check_ended(folder, trials):
    """A study that ended: exactly its trials, each of them whole, and nothing left over."""
    record = read_run(folder)
    assert {trial.state for trial in record.trials} <= {"complete", "interrupted"}
    assert len(record.complete) == record.finished == trials
    assert sorted(slots(folder)) == list(range(trials))
    for trial in record.complete:
        written = json.loads((folder / "trials" / str(trial.number) / "metrics.json").read_text())
        assert written["allocation"] == str(trial.allocation)
        assert written["metrics"] == trial.metrics
        assert written["seed"] == trial.seed
    repeated = [trial.retry_of for trial in record.trials if trial.retry_of is not None]
    interrupted = [trial.number for trial in record.trials if trial.state == "interrupted"]
    assert sorted(repeated) == interrupted


@pytest.fixture
def study(tmp_path, write_study, monkeypatch):
    """A study whose trainings wait for leaves."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own.py").write_text(TRAINER)
    (tmp_path / "leaves").mkdir()

    def write(**section):
        return write_study(
            tmp_path / "tiny.toml",
            study={"objectives": ["min:loss"], **section},
            # Large, so that no slot has to leave to another what it was to have.
            search_space={"budget": 60, "layers": 4},
            trainer={"kind": "callable", "function": "own:train"},
        )

    return write


@pytest.fixture
def give(tmp_path):
    """Give leaves to so many trainings."""
    names = itertools.count()

    def call(count):
        for name in itertools.islice(names, count):
            (tmp_path / "leaves" / str(name)).touch()

    return call


def running_worker(folder):
    """The process id of a worker of this machine that has a trial in hand."""
    config = load(folder / "study.toml")

    def workers():
        study = optuna.load_study(
            study_name=config.study.name, storage=f"sqlite:///{folder / 'study.db'}"
        )
        names = [
            t.user_attrs.get("worker")
            for t in study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
        ]
        return [int(name.split(":")[1]) for name in names if not is_dead(name)]

    wait_until(workers)
    return workers()[0]


def uninterrupted(config):
    """The allocation of each slot of a random study that nothing interrupts, without training."""
    study = optuna.create_study(directions=[o.direction for o in config.study.parsed_objectives])
    space = build_space(config.search_space)
    fill(study, config, space)
    allocations = {}
    while (trial := claim(study, config, space, own_identity())) is not None:
        allocations[trial.user_attrs["slot"]] = str(space.suggest(trial))
    return allocations


def wait_for_one_more(process, folder, give):
    """Until one more training than before has ended, and a worker has another in hand."""
    target = complete(folder) + 1
    give(1)
    wait_until(lambda: complete(folder) >= target, process)
    running_worker(folder)


def test_stopped_in_every_way(tmp_path, study, give, main_here):
    trials = 9
    file = study(trials=trials, workers=2, sampler="random")
    folder = tmp_path / "runs" / "tiny"
    source = random.Random(20)

    def kill_while_workers_start(process):
        wait_until(lambda: len(states(folder)) >= trials, process)
        second = main_here("run", file, "--runs", tmp_path / "runs")
        assert (second.code, second.out, second.err.count("\n")) == (2, "", 1)
        assert "another run of this study is going on" in second.err
        kill(process)

    def kill_at_work(process):
        wait_for_one_more(process, folder, give)
        give(2)
        kill(process)

    def kill(process):
        time.sleep(source.uniform(0, 0.7))
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        wait_until(lambda: not group(process.pid))

    def interrupt(process):
        wait_for_one_more(process, folder, give)
        # Ctrl-C reaches the whole group.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        wait_until(lambda: not group(process.pid))
        last = file.with_suffix(".out").read_text().splitlines()[-1]
        assert last == "Interrupted; what had finished is kept. The same command goes on."
        assert "RUNNING" not in states(folder)

    def bereave(process):
        wait_for_one_more(process, folder, give)
        # Without the process that started them, workers put their trials back and end.
        process.kill()
        wait_until(lambda: not group(process.pid))
        assert "RUNNING" not in states(folder)

    kept = {}
    for stop in (kill_while_workers_start, kill_at_work, interrupt, bereave):
        with started(file) as process:
            stop(process)
        now = finished(folder)
        assert kept.items() <= now.items()
        kept = now
    assert 3 <= len(kept) < trials
    with started(file) as process:
        # One worker more is killed, alone: the run goes on by itself.
        worker = psutil.Process(running_worker(folder))
        assert worker.pid in {child.pid for child in process.children(recursive=True)}
        worker.kill()
        give(trials)
        assert process.wait(PATIENCE) == 0
    assert kept.items() <= finished(folder).items()
    check_ended(folder, trials)
    assert (folder / LOG_NAME).read_text() == ""
    assert "Traceback" not in file.with_suffix(".out").read_text()
    assert slots(folder) == uninterrupted(load(file))


def test_interrupted_while_it_starts(tmp_path, write_study):
    study = write_study(tmp_path / "tiny.toml")
    with started(study) as process:
        # It has begun to import what it runs with, and has no run folder yet.
        wait_until(lambda: any("torch" in mapped.path for mapped in process.memory_maps()))
        assert not (tmp_path / "runs").exists()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    lines = study.with_suffix(".out").read_text().splitlines()
    assert lines == ["Interrupted; what had finished is kept. The same command goes on."]
