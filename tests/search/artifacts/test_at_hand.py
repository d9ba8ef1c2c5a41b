"""What a report can have of files that are elsewhere, and what it does not wait for."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from writing_trainer import WritingTrainer

from allocsearch.search.artifacts import at_hand
from allocsearch.search.artifacts.at_hand import files_at_hand
from allocsearch.search.records import read_study
from allocsearch.search.storage import trial_folder
from allocsearch.search.worker import work

WANTED = [(0, "metrics.json"), (1, "weights/last.bin"), (1, "metrics.json"), (1, "scores.npz")]


@pytest.fixture
def elsewhere(begin, tmp_path):
    """The record of a study whose trials are in a store alone, and what their files hold."""

    def build(place):
        study, config = begin(place, kept=True, trials=2)
        folder = tmp_path / "runs" / "tiny"
        work(study, config, folder, WritingTrainer())
        held = {
            name: (trial_folder(folder, name[0]) / name[1]).read_bytes() for name in WANTED[:3]
        }
        shutil.rmtree(folder / "trials")
        return read_study(study, config, folder), held

    return build


def test_they_are_fetched_and_then_at_hand(elsewhere, place, monkeypatch):
    record, held = elsewhere(place)
    found = files_at_hand(record, WANTED)
    assert {name: path.read_bytes() for name, path in found.paths.items()} == held
    assert found.problem is None
    assert all(
        path == trial_folder(record.folder, name[0]) / name[1]
        for name, path in found.paths.items()
    )
    # Nothing that is not asked for comes along.
    there = [path for path in (record.folder / "trials").rglob("*") if path.is_file()]
    assert sorted(there) == sorted(found.paths.values())
    monkeypatch.setattr(at_hand, "_fetch", None)
    assert files_at_hand(record, [*held]) == found


def test_what_does_not_come_does_not_keep_back_the_others(elsewhere, tmp_path, monkeypatch):
    store = tmp_path / "store"
    record, held = elsewhere(str(store))
    weights = held[1, "weights/last.bin"]
    both = {(0, "metrics.json"), (1, "metrics.json")}
    with monkeypatch.context() as limited:
        limited.setattr(at_hand, "_MOST", len(weights) - 1)
        assert {*files_at_hand(record, WANTED).paths} == both
    for path in store.iterdir():
        if path.read_bytes() == weights:
            path.write_bytes(b"damaged")
    shutil.rmtree(record.folder / "trials")
    found = files_at_hand(record, WANTED)
    assert {*found.paths} == both
    assert "is not the file of" in found.problem
    # As a folder that is not mounted.
    shutil.rmtree(store)
    assert "the artifact store has no" in files_at_hand(record, WANTED).problem


def test_without_a_store_there_is_what_the_run_folder_has(begin, tmp_path):
    study, config = begin(None, kept=True, trials=2)
    folder = tmp_path / "runs" / "tiny"
    work(study, config, folder, WritingTrainer())
    shutil.rmtree(trial_folder(folder, 0))
    found = files_at_hand(read_study(study, config, folder), WANTED)
    assert {*found.paths} == {(1, "weights/last.bin"), (1, "metrics.json")}
    assert found.problem is None


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("localhost", 0)) as listener:
        held = []

        def accept() -> None:
            try:
                while True:
                    held.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in held:
            connection.close()


def test_a_server_that_does_not_answer_is_not_waited_for(elsewhere, s3, monkeypatch):
    record, _ = elsewhere(s3.place)
    with silent_server() as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://localhost:{port}")
        # It would be waited for 60 s otherwise.
        silent = files_at_hand(record, WANTED, seconds=0.5)
    gone = files_at_hand(record, WANTED)
    assert silent.paths == gone.paths == {}
    assert silent.problem == f"{s3.place}: no answer within 0.5 s"
    assert "Could not connect" in gone.problem
    assert "\n" not in gone.problem
