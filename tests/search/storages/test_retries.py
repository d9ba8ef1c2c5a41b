from __future__ import annotations

import random
import sqlite3
import time

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from allocsearch.config import StudyConfig
from allocsearch.search.records import INTERRUPTED, SLOT
from allocsearch.search.slots import claim, fill
from allocsearch.search.storages.errors import StorageLostError
from allocsearch.search.storages.patience import Patience
from allocsearch.search.storages.retries import with_retries
from allocsearch.spaces import build_space

TRIALS = 15


def lost() -> OperationalError:
    return OperationalError("COMMIT", {}, Exception("the connection is lost"))


def unreliable(storage: BaseStorage, source: random.Random, rate: float) -> BaseStorage:
    """Each call may fail before it does anything, or after it has done all."""

    def failing(call):
        def attempt(*arguments, **named):
            fate = source.random()
            if fate < rate:
                raise lost()
            answer = call(*arguments, **named)
            if fate > 1 - rate:
                raise lost()
            return answer

        attempt.__name__ = call.__name__
        return attempt

    for name in BaseStorage.__abstractmethods__:
        setattr(storage, name, failing(getattr(storage, name)))
    return storage


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.mark.parametrize("seed", range(5))
def test_a_study_whose_storage_fails_all_the_time_ends_right(seed: int, no_sleep: None) -> None:
    source = random.Random(seed)
    storage = with_retries(unreliable(InMemoryStorage(), source, 0.2), Patience())
    directions = ["maximize", "minimize"]
    study = optuna.create_study(
        study_name="s", storage=storage, directions=directions, load_if_exists=True
    )
    config = StudyConfig.model_validate(
        {
            "study": {
                "trials": TRIALS,
                "sampler": "random",
                "objectives": ["max:retention", "min:attenuation"],
            },
            "search_space": {"budget": 8},
            "data": {"id": "digits"},
        }
    )
    space = build_space(config.search_space)
    fill(study, config, space)
    told: dict[int, list[float]] = {}
    hands: dict[str, optuna.Trial] = {}
    while len(told) < TRIALS:
        worker = source.choice("abc")
        if worker in hands:
            trial = hands.pop(worker)
            values = [float(trial.number), -float(trial.number)]
            study.tell(trial, values)
            told[trial.number] = values
        elif (trial := claim(study, config, space, worker)) is not None:
            space.suggest(trial)
            assert trial.number not in told
            hands[worker] = trial
    assert claim(study, config, space, "a") is None
    live = [trial for trial in study.trials if not trial.user_attrs.get(INTERRUPTED)]
    assert {trial.number: trial.values for trial in live} == told
    assert sorted(trial.user_attrs[SLOT] for trial in live) == list(range(TRIALS))
    assert all(trial.state.is_finished() for trial in study.trials)


def test_a_trial_that_another_has_ended_is_not_ended_again(no_sleep: None) -> None:
    storage = InMemoryStorage()
    study = storage.create_new_study([StudyDirection.MINIMIZE], "s")
    trial = storage.create_new_trial(study)
    kind, attempts = storage.set_trial_state_values, []

    def fail_first(*arguments):
        attempts.append(arguments)
        if len(attempts) == 1:
            kind(trial, TrialState.FAIL)
            raise lost()
        return kind(*arguments)

    storage.set_trial_state_values = fail_first
    with pytest.raises(UpdateFinishedTrialError):
        with_retries(storage, Patience()).set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
    assert storage.get_trial(trial).state == TrialState.FAIL


def test_patience_ends_in_one_line_without_the_password(no_sleep: None) -> None:
    storage = InMemoryStorage()

    def fail():
        raise OperationalError("SELECT", {}, Exception("no s3cr3t at\nhost"))

    storage.get_all_studies = fail
    patience = Patience(seconds=0.01, secret="s3cr3t")
    with pytest.raises(StorageLostError) as raised:
        with_retries(storage, patience).get_all_studies()
    message = str(raised.value)
    assert message.startswith("the storage fails: (builtins.Exception) no *** at;")
    assert "\n" not in message
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_what_does_not_pass_by_itself_is_not_tried_again() -> None:
    storage, calls = InMemoryStorage(), []

    def corrupt():
        calls.append(1)
        sqlite3.connect(":memory:").execute("SELECT nonsense")

    storage.get_all_studies = corrupt
    with pytest.raises(sqlite3.OperationalError):
        with_retries(storage, Patience()).get_all_studies()
    assert len(calls) == 1


def test_giving_up_ends_it_at_once(no_sleep: None) -> None:
    storage, calls = InMemoryStorage(), []

    def fail():
        calls.append(1)
        raise lost()

    storage.get_all_studies = fail
    patience = Patience(give_up=lambda: len(calls) >= 3)
    with pytest.raises(StorageLostError):
        with_retries(storage, patience).get_all_studies()
    assert len(calls) == 3
