from __future__ import annotations

import threading

import optuna
import pytest

from allocsearch.search.storages.heartbeat import HEARTBEAT, Watch, beating


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study()


def running(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(states=(optuna.trial.TrialState.RUNNING,))


def looks(watch: Watch, clock: Clock, study: optuna.Study, seconds: int) -> list[set[int]]:
    """What is silent at each of so many looks, one each second."""
    found = []
    for _ in range(seconds):
        clock.now += 1
        found.append(set(watch.silent(running(study))))
    return found


def test_what_gives_signs_is_never_silent(study: optuna.Study) -> None:
    clock = Clock()
    watch = Watch(5, clock)
    trial = study.ask()
    # Any values do, in any order: nobody's clock matters.
    for sign in (1e9, -1e9, "x", None, 3, 4):
        trial.set_user_attr(HEARTBEAT, sign)
        assert looks(watch, clock, study, 19) == [set()] * 19


def test_what_has_missed_four_signs_is_found(study: optuna.Study) -> None:
    clock = Clock()
    watch = Watch(5, clock)
    dead, alive = study.ask(), study.ask()
    dead.set_user_attr(HEARTBEAT, 7)
    for sign in range(4):
        alive.set_user_attr(HEARTBEAT, sign)
        assert looks(watch, clock, study, 5) == [set()] * 5
    late = study.ask()
    alive.set_user_attr(HEARTBEAT, 4)
    assert looks(watch, clock, study, 5) == [set(), *[{dead.number}] * 4]
    study.tell(dead, 0.0)
    alive.set_user_attr(HEARTBEAT, 5)
    assert looks(watch, clock, study, 16) == [set()] * 16
    alive.set_user_attr(HEARTBEAT, 6)
    assert looks(watch, clock, study, 1) == [{late.number}]


def test_after_an_outage_there_is_time_to_be_heard_again(study: optuna.Study) -> None:
    clock = Clock()
    watch = Watch(5, clock)
    study.ask()
    assert looks(watch, clock, study, 10) == [set()] * 10
    clock.now += 3600
    assert looks(watch, clock, study, 7) == [set()] * 7
    assert looks(watch, clock, study, 1) == [{0}]


def test_a_worker_gives_signs_until_it_is_done(study: optuna.Study) -> None:
    trials = [study.ask(), study.ask()]
    before = threading.active_count()
    with beating(study._storage, [trial._trial_id for trial in trials], every=0.005):
        for trial in trials:
            seen = set()
            while len(seen) < 3:
                seen.add(study.trials[trial.number].user_attrs.get(HEARTBEAT))
    assert threading.active_count() == before


def test_a_trial_that_another_has_ended_does_not_end_the_signs_of_others(
    study: optuna.Study,
) -> None:
    ended, going = study.ask(), study.ask()
    study.tell(ended, 0.0)
    with beating(study._storage, [ended._trial_id, going._trial_id], every=0.005):
        while HEARTBEAT not in study.trials[going.number].user_attrs:
            pass
    assert HEARTBEAT not in study.trials[ended.number].user_attrs
