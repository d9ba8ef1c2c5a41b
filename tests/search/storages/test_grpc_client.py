"""Optuna's proxy as it fails: killed, and suspended with its connections open."""

from __future__ import annotations

import signal
import sys

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from allocsearch.search.storages.errors import StorageLostError
from allocsearch.search.storages.grpc_client import GrpcClient
from allocsearch.search.storages.opening import storage_at
from allocsearch.search.storages.patience import Patience
from allocsearch.search.storages.retries import with_retries


@pytest.fixture
def between(proxy, tmp_path):
    return proxy(f"sqlite:///{tmp_path}/study.db")


@pytest.fixture
def storage(between) -> BaseStorage:
    opened = Patience(60).call(lambda: storage_at(between.url))
    return with_retries(opened, Patience(60))


def test_a_restarted_proxy_sets_the_parameters_of_a_trial_that_runs(between, storage) -> None:
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    assert study.get_trials()
    between.kill()
    between.start()
    storage.set_trial_param(trial._trial_id, "x", 0.5, FloatDistribution(0, 1))
    assert study.trials[0].params == {"x": 0.5}


def test_a_trial_that_is_not_there_is_still_an_error(storage) -> None:
    study = storage.create_new_study([StudyDirection.MINIMIZE])
    storage.get_all_trials(study)
    with pytest.raises(KeyError):
        storage.set_trial_param(7, "x", 0.5, FloatDistribution(0, 1))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP there")
def test_a_proxy_that_says_nothing_more_is_noticed(between, monkeypatch) -> None:
    short = {"grpc.keepalive_time_ms": 500, "grpc.http2.ping_timeout_ms": 500}
    monkeypatch.setattr(GrpcClient, "timing", {**GrpcClient.timing, **short})
    opened = Patience(60).call(lambda: storage_at(between.url))
    storage = with_retries(opened, Patience(seconds=0.5))
    number = storage.create_new_study([StudyDirection.MINIMIZE], "kept")
    between.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(StorageLostError, match="what has finished is kept"):
            storage.get_study_id_from_name("kept")
    finally:
        between.process.send_signal(signal.SIGCONT)
    assert Patience(60).call(lambda: storage.get_study_id_from_name("kept")) == number
