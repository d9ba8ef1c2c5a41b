"""The files of trials that a worker puts into an artifact store."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import boto3
import pytest
from optuna.artifacts import Boto3ArtifactStore, FileSystemArtifactStore, get_all_artifact_meta
from optuna.trial import TrialState
from writing_trainer import WritingTrainer

from allocsearch.config import split_s3
from allocsearch.search.artifacts import folder_store
from allocsearch.search.artifacts.fetch import fetch_files
from allocsearch.search.artifacts.links import stored_files
from allocsearch.search.artifacts.opening import open_store
from allocsearch.search.records import read_study
from allocsearch.search.slots import requeue
from allocsearch.search.storage import NO_PATIENCE, open_study, trial_folder
from allocsearch.search.storages.errors import ArtifactStoreLostError
from allocsearch.search.worker import StoppedError, work

WRITTEN = ["metrics.json", "weights/last.bin"]


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in WRITTEN}


def test_every_file_of_a_finished_trial_is_in_the_store(begin, place, tmp_path):
    study, config = begin(place)
    folder = tmp_path / "runs" / "tiny"
    work(study, config, folder, WritingTrainer())
    store = open_store(place, NO_PATIENCE)
    for trial in study.get_trials():
        assert trial.state == TrialState.COMPLETE
        files = stored_files(trial.number, trial.system_attrs)
        assert [file.filename for file in files] == WRITTEN
        elsewhere = tmp_path / "elsewhere" / str(trial.number)
        assert fetch_files(files, elsewhere, store) == tuple(elsewhere / n for n in WRITTEN)
        assert contents(elsewhere) == contents(trial_folder(folder, trial.number))


def test_optuna_itself_finds_and_reads_them(begin, place, tmp_path):
    study, config = begin(place, trials=1)
    work(study, config, tmp_path / "runs" / "tiny", WritingTrainer())
    [trial] = study.get_trials()
    found = get_all_artifact_meta(trial, storage=study._storage)
    metas = sorted(found, key=lambda meta: meta.filename)
    assert [meta.filename for meta in metas] == WRITTEN
    assert [meta.mimetype for meta in metas] == ["application/json", "application/octet-stream"]
    store, prefix = FileSystemArtifactStore(place), ""
    if s3 := split_s3(place):
        store, prefix = Boto3ArtifactStore(s3[0], boto3.Session().client("s3")), f"{s3[1]}/"
    with store.open_reader(prefix + metas[0].artifact_id) as reader:
        assert json.load(reader) == {"seed": trial.user_attrs["seed"]}


def break_and_mend(place, s3):
    """A way to make a store useless, and one to make it as it was."""
    if split_s3(place) is None:
        kept = Path(f"{place}.kept")

        def break_it():
            if Path(place).exists():
                Path(place).rename(kept)
            Path(place).write_text("a file, where a folder was")

        def mend():
            Path(place).unlink()
            if kept.exists():
                kept.rename(place)

    else:

        def break_it():
            s3.clear()

        def mend():
            s3.client.create_bucket(Bucket=s3.bucket)

    return break_it, mend


def test_a_store_that_fails_ends_the_work_and_puts_the_trial_back(begin, place, s3, tmp_path):
    study, config = begin(place)
    folder = tmp_path / "runs" / "tiny"
    break_it, mend = break_and_mend(place, s3)

    class Breaking(WritingTrainer):
        def run(self, tasks, hooks):
            if any(trial.state == TrialState.COMPLETE for trial in study.get_trials()):
                break_it()
            yield from super().run(tasks, hooks)

    with pytest.raises(ArtifactStoreLostError, match="the artifact store fails: ") as raised:
        work(study, config, folder, Breaking())
    assert "\n" not in str(raised.value)
    record = read_study(study, config, folder)
    states = [trial.state for trial in record.trials]
    assert states == ["complete", "interrupted", "waiting", "waiting"]
    mend()
    work(study, config, folder, WritingTrainer())
    record = read_study(study, config, folder)
    assert len(record.complete) == 3
    for trial in record.complete:
        assert stored_files(trial.number, study.trials[trial.number].system_attrs)


def test_a_worker_that_is_stopped_does_not_wait_for_the_store(
    begin, tmp_path, s3, monkeypatch, caplog
):
    study, config = begin(s3.place, trials=1)
    # Nobody listens there: a lost connection, which may come back.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    calls = 0

    def check():
        nonlocal calls
        calls += 1
        if calls > 4:
            raise StoppedError

    work(study, config, tmp_path / "runs" / "tiny", WritingTrainer(), check)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING"]
    assert study.trials[0].user_attrs["reason"] == "stopped"
    assert "the artifact store fails (Could not connect to the endpoint" in caplog.text


def test_a_trial_that_another_process_has_ended_is_left_alone(begin, tmp_path):
    study, config = begin(str(tmp_path / "store"), trials=1, retries=0)
    folder = tmp_path / "runs" / "tiny"

    class Late(WritingTrainer):
        def run(self, tasks, hooks):
            for found in super().run(tasks, hooks):
                requeue(study, config, lambda worker: True, "the worker died")
                yield found

    work(study, config, folder, Late())
    [trial] = read_study(study, config, folder).trials
    assert trial.state == "failed"
    assert not stored_files(0, study.trials[0].system_attrs)


def _killed_in_mid_upload(config, folder):
    """The body of a worker that dies with the second file half written."""
    real, copies = shutil.copyfileobj, []

    def half(source, target):
        copies.append(target)
        if len(copies) == 2:
            target.write(source.read(100))
            target.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        real(source, target)

    folder_store.shutil.copyfileobj = half
    work(open_study(config, folder), config, folder, WritingTrainer())


def test_what_a_worker_killed_in_mid_upload_had_is_trained_again(begin, tmp_path):
    store = tmp_path / "store"
    study, config = begin(str(store), kept=True, trials=1)
    folder = tmp_path / "runs" / "tiny"
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_killed_in_mid_upload, args=(config, folder))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    [left] = [path for path in store.iterdir() if path.name.startswith(".")]
    assert left.stat().st_size == 100
    # The one file that is there whole is all that the trial has.
    [running] = study.get_trials()
    assert running.state == TrialState.RUNNING
    [file] = stored_files(0, running.system_attrs)
    assert {path.name for path in store.iterdir()} == {file.artifact_id, left.name}

    requeue(study, config, lambda worker: True, "the worker died")
    work(study, config, folder, WritingTrainer())
    dead, again = study.get_trials()
    assert (dead.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    files = stored_files(1, again.system_attrs)
    fetch_files(files, tmp_path / "fetched", open_store(str(store), NO_PATIENCE))
    assert contents(tmp_path / "fetched") == contents(trial_folder(folder, 1))


def test_names_that_others_could_not_have_stay_where_they_are(begin, tmp_path, caplog):
    study, config = begin(str(tmp_path / "store"), trials=1)

    class Odd(WritingTrainer):
        def run(self, tasks, hooks):
            for found in super().run(tasks, hooks):
                for name in ("a\\b", "c\nd", os.fsdecode(b"e\xff")):
                    (tasks[0].folder / name).write_text("")
                yield found

    work(study, config, tmp_path / "runs" / "tiny", Odd())
    names = [file.filename for file in stored_files(0, study.trials[0].system_attrs)]
    assert names == WRITTEN
    assert caplog.text.count("not uploaded: its name cannot be that of a file elsewhere") == 3
    assert r"/e\udcff: not" in caplog.text
