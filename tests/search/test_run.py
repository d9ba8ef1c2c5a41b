from __future__ import annotations

import multiprocessing
import os
import threading
import time

import psutil
import pytest

from allocsearch.config import InputError, load
from allocsearch.search import run, worker
from allocsearch.search.executors import worker_processes
from allocsearch.search.executors.executor import WorkerError
from allocsearch.search.executors.worker_processes import WorkerProcesses
from allocsearch.search.folder_lock import held
from allocsearch.search.identity import own_identity
from allocsearch.search.records import read_run
from allocsearch.search.run import prepare, run_study
from allocsearch.search.slots import claim, end_trial
from allocsearch.search.storage import open_study
from allocsearch.spaces import build_space


@pytest.fixture
def config_of(tmp_path, write_study):
    def build(**sections):
        return load(write_study(tmp_path / "tiny.toml", **sections))

    return build


@pytest.fixture
def no_import(monkeypatch):
    """Workers that are started afresh, from a server that has imported nothing."""
    spawn = multiprocessing.get_context("spawn")
    monkeypatch.setattr(worker_processes, "process_context", lambda *modules: spawn)


def test_prepare_writes_the_resolved_study(config_of, tmp_path):
    config = config_of()
    prepare(config, tmp_path / "run")
    assert load(tmp_path / "run" / "study.toml") == config
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["study.toml", "theory.json"]


def test_prepare_goes_on_after_a_kill_before_the_first_file(config_of, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".study.toml.k2j4").write_text("[stud")
    prepare(config_of(), tmp_path / "run")
    assert (tmp_path / "run" / "study.toml").exists()


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"study": {"seed": 7}}, "study.seed"),
        ({"study": {"objectives": ["max:elbo"]}}, "study.objectives"),
        ({"search_space": {"min_dim": 2}}, "search_space.min_dim"),
        ({"data": {"ood_validation": ["rotation"]}}, "data.ood_validation.0.shift"),
        ({"training": {"epochs": 4}}, "training.epochs"),
        ({"evaluation": {"samples": 8}}, "evaluation.samples"),
    ],
)
def test_prepare_refuses_what_means_something_else(config_of, tmp_path, sections, key):
    prepare(config_of(), tmp_path / "run")
    before = (tmp_path / "run" / "study.toml").read_bytes()
    with pytest.raises(InputError, match=rf"run: belongs to a study with {key} = "):
        prepare(config_of(**sections), tmp_path / "run")
    assert (tmp_path / "run" / "study.toml").read_bytes() == before


def test_prepare_accepts_what_only_says_how_long(config_of, tmp_path):
    prepare(config_of(), tmp_path / "run")
    before = (tmp_path / "run" / "study.toml").read_bytes()
    prepare(config_of(study={"trials": 9, "workers": 2, "retries": 1}), tmp_path / "run")
    # It is written when the run goes on, and not before.
    assert (tmp_path / "run" / "study.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("space", "least"),
    [
        ({"layers": 2}, 12),
        ({"layers": 2, "max_dim": [4, 9]}, 10),
        ({"layers": [2, 3], "min_dim": 2}, 11),
        ({"layers": [2, 3], "kind": "table", "allocations": ["6-6", "4-4-4"]}, 7),
        ({"layers": 2, "max_dim": 1000}, 12),
        ({"layers": 2, "step": [1, 5]}, 11),
    ],
)
def test_prepare_wants_more_examples_than_the_widest_layer_has_dims(
    config_of, tmp_path, space, least
):
    folder = tmp_path / "run"
    sections = {"search_space": space}
    with pytest.raises(InputError, match=rf"data.validation_size: found {least - 1} examples"):
        prepare(config_of(**sections, data={"validation_size": least - 1}), folder)
    assert not folder.exists()
    prepare(config_of(**sections, data={"validation_size": least}), folder)


def test_workers_that_cannot_start_end_the_run(config_of, tmp_path, monkeypatch, no_import, capfd):
    config = config_of(study={"workers": 2})
    prepare(config, tmp_path / "run")
    # Called with three arguments, it raises: each worker ends with exit code 1.
    monkeypatch.setattr(worker, "main", os.getpid)
    with pytest.raises(
        WorkerError, match=r"died at their start \(exit code 1\); see .*workers.log"
    ):
        run_study(config, tmp_path / "run", WorkerProcesses())
    assert "TypeError" in capfd.readouterr().err
    record = read_run(tmp_path / "run")
    assert [trial.state for trial in record.trials] == ["waiting"] * 3


def test_interruption_leaves_no_worker(config_of, tmp_path, monkeypatch, no_import):
    config = config_of(study={"workers": 2})
    prepare(config, tmp_path / "run")
    before = {child.pid for child in psutil.Process().children()}

    def interrupt(record):
        started = [p for p in multiprocessing.active_children() if p.pid not in before]
        if len(started) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(worker, "main", _sleep)
    with pytest.raises(KeyboardInterrupt):
        run_study(config, tmp_path / "run", WorkerProcesses(), interrupt)
    assert not [p for p in multiprocessing.active_children() if p.pid not in before]
    # The folder is free again for the next run.
    with held(tmp_path / "run" / run._LOCK_NAME, "held"):
        pass


def _sleep(config, folder, log):
    threading.Event().wait()


def test_no_checkpoint_outlives_the_study(config_of, tmp_path, monkeypatch, no_import):
    config = config_of()
    folder = tmp_path / "run"
    prepare(config, folder)
    (folder / worker.CHECKPOINTS).mkdir()
    (folder / worker.CHECKPOINTS / "8-4-1.safetensors").write_bytes(b"of a trial that failed")
    monkeypatch.setattr(worker, "main", _fail_all)
    record = run_study(config, folder, WorkerProcesses())
    assert [trial.state for trial in record.trials] == ["failed"] * 3
    assert not (folder / worker.CHECKPOINTS).exists()


def _fail_all(config, folder, log):
    study, space = open_study(config, folder), build_space(config.search_space)
    while (trial := claim(study, config, space, own_identity())) is not None:
        end_trial(study, study.get_trials(deepcopy=False)[trial.number], "it went wrong")


def test_workers_end_by_themselves_at_the_end(config_of, tmp_path, monkeypatch, no_import):
    folder = tmp_path / "run"
    told, polled = [], []

    class Watched(WorkerProcesses):
        def wait(self, seconds):
            if polled[-1].finished == polled[-1].wanted:
                (folder / "leave").touch()
            super().wait(seconds)

        def terminate(self):
            told.append(len(self))
            super().terminate()

    config = config_of()
    prepare(config, folder)
    monkeypatch.setattr(worker, "main", _linger)
    run_study(config, folder, Watched(), polled.append)
    assert told == [0]
    assert (folder / "leave").exists()


def _linger(config, folder, log):
    _fail_all(config, folder, log)
    while not (folder / "leave").exists():
        time.sleep(0.01)


def test_a_locked_folder_is_refused_and_not_touched(config_of, tmp_path):
    folder = tmp_path / "run"
    prepare(config_of(), folder)
    before = (folder / "study.toml").read_bytes()
    with (
        held(folder / run._LOCK_NAME, "held"),
        pytest.raises(InputError, match="another run of this study"),
    ):
        run_study(config_of(study={"trials": 7}), folder, WorkerProcesses())
    assert (folder / "study.toml").read_bytes() == before
    assert not (folder / "study.db").exists()
