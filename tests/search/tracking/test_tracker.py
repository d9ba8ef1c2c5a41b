from __future__ import annotations

import threading
from pathlib import Path

import pytest

from allocsearch.config import load
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.tracking import tracker as tracker_module
from allocsearch.search.tracking.tracker import Tracker


class Recording:
    """Logs to memory, where it can."""

    def __init__(self, name):
        self.name = name
        self.is_away = False
        self.attempts = 0
        self.logged = []

    def log(self, trial):
        self.attempts += 1
        if self.is_away:
            raise ConnectionError("no route to\nhost, with s3cr3t")
        self.logged.append(trial.number)


@pytest.fixture
def record(tmp_path, write_study):
    config = load(write_study(tmp_path / "tiny.toml"))
    states = ("complete", "failed", "interrupted", "pruned", "running")
    trials = tuple(TrialRecord(i, state) for i, state in enumerate(states))
    return StudyRecord(Path(tmp_path), config, trials)


def test_each_trial_that_ended_is_logged_once(record):
    log = Recording("one")
    tracker = Tracker([log])
    tracker.tell(record)
    tracker.tell(record)
    tracker.end(record, lambda: False)
    tracker.close()
    assert log.logged == [0, 1, 3]


def test_one_that_fails_is_told_of_once_and_does_not_hold_the_others(record, caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cr3t")
    away, other = Recording("away"), Recording("other")
    away.is_away = True
    tracker = Tracker([away, other])
    tracker.end(record, lambda: False)
    # It rests meanwhile.
    for _ in range(3):
        tracker.tell(record)
        tracker._going_on.result()
    assert (away.attempts, other.logged) == (1, [0, 1, 3])
    away.is_away = False
    tracker.end(record, lambda: False)
    tracker.close()
    assert away.logged == [0, 1, 3]
    [said] = caplog.records
    assert said.getMessage().startswith("away: no route to; the study goes on")
    assert "s3cr3t" not in caplog.text


def test_a_wish_to_stop_ends_the_wait(record, monkeypatch):
    monkeypatch.setattr(tracker_module, "_POLL", 0.0)
    held, reached = threading.Event(), threading.Event()

    class Slow(Recording):
        def log(self, trial):
            reached.set()
            held.wait()
            super().log(trial)

    log = Slow("slow")
    tracker = Tracker([log])
    tracker.end(record, reached.is_set)
    assert log.logged == []
    threading.Timer(0.05, held.set).start()
    tracker.close()
    # The one at hand is finished, and no other begun.
    assert log.logged == [0]
