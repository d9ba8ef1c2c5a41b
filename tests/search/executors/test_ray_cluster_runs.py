"""Studies on a Ray cluster of two nodes, whose processes and nodes are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomli_w
from optuna.trial import TrialState

from allocsearch.config import load
from allocsearch.search.identity import is_dead
from allocsearch.search.records import read_run
from allocsearch.search.storage import open_study

cluster_utils = pytest.importorskip("ray.cluster_utils", reason="no Ray here")

COMMAND = Path(sys.executable).with_name("allocsearch")

# Each training waits, in sight of the test, until it may go on.
TRAINER = """
import os, time
from pathlib import Path

def train(allocation, config, seed, report):
    folder = Path(__file__).parent / config.study.name
    (folder / f"began-{os.getpid()}-{seed}").touch()
    while not (folder / "go").exists():
        report(progress=0.5)
        time.sleep(0.02)
    return {"loss": float(seed)}
"""


@pytest.fixture(scope="module")
def home():
    """A folder from which the nodes import the trainer; its path is short, as sockets want it."""
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        # Where a head keeps its address, in a folder that it does not make.
        patch.setenv("RAY_TMPDIR", folder)
        (Path(folder) / "ray").mkdir()
        (Path(folder) / "gated.py").write_text(TRAINER)
        yield Path(folder)


@pytest.fixture(scope="module")
def cluster(home):
    """Two nodes of one CPU each, as if on two machines."""
    started = cluster_utils.Cluster()
    for name in ("head", "other"):
        started.add_node(num_cpus=1, temp_dir=str(home / name), object_store_memory=80 * 2**20)
    yield started
    started.shutdown()


@pytest.fixture
def study_of(home):
    def write(name, function="gated:train"):
        (home / name).mkdir()
        study = home / f"{name}.toml"
        content = {
            "study": {
                "name": name,
                "objectives": ["min:loss"],
                "sampler": "random",
                "workers": 2,
                "trials": 5,
                "storage": f"journal:///{home}/{name}.journal",
            },
            "search_space": {"kind": "simplex", "budget": 12, "layers": 2},
            "trainer": {"kind": "callable", "function": function},
        }
        study.write_text(tomli_w.dumps(content))
        return study

    return write


@contextmanager
def started(study, cluster, **environment):
    """The real command, whose workers are on the cluster."""
    arguments = ["--executor", "ray", "--address", cluster.address]
    with study.with_suffix(".out").open("ab") as output:
        process = subprocess.Popen(
            [COMMAND, "run", study.name, *arguments],
            cwd=study.parent,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def began(study):
    """The process and the seed of each training that has begun."""
    names = [path.name for path in study.with_suffix("").glob("began-*")]
    return {tuple(map(int, name.split("-")[1:])) for name in names}


def said(study):
    return study.with_suffix(".out").read_text()


def logged(study):
    log = study.parent / "runs" / study.stem / "workers.log"
    return log.read_text() if log.exists() else ""


def go(study):
    (study.with_suffix("") / "go").touch()


def trials_of(study):
    config = load(study)
    folder = study.parent / "runs" / config.study.name
    return read_run(folder).trials, open_study(config, folder)


def check_ended(study, trials):
    """Exactly its trials, none of them twice."""
    records, opened = trials_of(study)
    complete = [trial for trial in records if trial.state == "complete"]
    assert len(complete) == trials
    slots = [opened.trials[trial.number].user_attrs["slot"] for trial in complete]
    assert sorted(slots) == list(range(trials))
    assert len({trial.allocation for trial in complete}) == trials
    others = [trial for trial in records if trial.state != "complete"]
    assert {trial.state for trial in others} <= {"interrupted"}
    repeated = [trial.retry_of for trial in records if trial.retry_of is not None]
    assert sorted(repeated) == [trial.number for trial in others]
    return [trial.reason for trial in others]


def test_a_killed_worker_and_an_interrupted_run(cluster, study_of, wait_for):
    study = study_of("killed")
    with started(study, cluster) as run:
        wait_for(lambda: len(began(study)) == 2 or run.poll() is not None)
        os.kill(min(began(study))[0], signal.SIGKILL)
        # Ray starts its task again, which goes on with the next trial.
        wait_for(lambda: len(began(study)) == 3 and "the worker died" in said(study))
        run.send_signal(signal.SIGINT)
        assert run.wait(240) == 130, said(study)
    records, _ = trials_of(study)
    assert "running" not in {trial.state for trial in records}
    lines = said(study).splitlines()
    assert lines == [
        "killed: 0 of 5 trials",
        lines[1],
        "Interrupted; what had finished is kept. The same command goes on.",
    ]
    assert "the worker died" in lines[1]
    go(study)
    with started(study, cluster) as run:
        assert run.wait(240) == 0, said(study)
    assert sorted(check_ended(study, 5)) == ["stopped", "stopped", "the worker died"]
    assert logged(study) == ""


def test_a_node_that_lacks_something_ends_the_run(cluster, study_of, tmp_path):
    study = study_of("lacking", function="elsewhere:train")
    (tmp_path / "elsewhere.py").write_text(TRAINER)
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    with started(study, cluster, PYTHONPATH=path) as run:
        assert run.wait(240) == 2
    _, line = said(study).splitlines()
    assert line.startswith(f"{socket.gethostname()}: trainer.function: ")
    assert "elsewhere" in line
    trials, _ = trials_of(study)
    assert [trial.state for trial in trials] == ["waiting"] * 5


def test_a_node_that_is_killed(cluster, study_of, wait_for):
    study = study_of("bereft")
    with started(study, cluster) as run:
        wait_for(lambda: len(began(study)) == 2 or run.poll() is not None)
        _, opened = trials_of(study)
        running = [trial for trial in opened.trials if trial.state == TrialState.RUNNING]
        [other] = cluster.worker_nodes
        cluster.remove_node(other, allow_graceful=False)
        # Its worker ends with it.
        wait_for(lambda: any(is_dead(trial.user_attrs["worker"]) for trial in running))
        go(study)
        assert run.wait(240) == 0, said(study)
    assert check_ended(study, 5) == ["the worker died"]
