from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from allocsearch.search.storages.errors import LockLostError
from allocsearch.search.storages.ticket_lock import ticket_lock

# Seconds.
SHORT = 0.3


@pytest.fixture
def storage() -> InMemoryStorage:
    return InMemoryStorage()


def tickets(storage: InMemoryStorage) -> list:
    return storage.get_all_trials(storage.get_study_id_from_name("s (claims)"))


def test_one_holds_it_at_a_time(storage: InMemoryStorage) -> None:
    inside, most = [], []

    def hold(who: int) -> None:
        for _ in range(5):
            with ticket_lock(storage, "s"):
                inside.append(who)
                most.append(len(inside))
                inside.remove(who)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(hold, range(6)))
    assert most == [1] * 30
    assert [ticket.state for ticket in tickets(storage)] == [TrialState.PRUNED] * 30


def test_locks_of_other_names_are_others(storage: InMemoryStorage) -> None:
    with ticket_lock(storage, "s"), ticket_lock(storage, "t"):
        pass


def test_a_dead_holder_loses_it(storage: InMemoryStorage) -> None:
    with ticket_lock(storage, "s"):
        pass
    # What one leaves that was killed: a ticket that shows no life.
    dead = storage.create_new_trial(storage.get_study_id_from_name("s (claims)"))
    with ticket_lock(storage, "s", SHORT):
        assert storage.get_trial(dead).state == TrialState.FAIL


def test_what_a_dead_process_of_this_machine_held_is_not_waited_for(
    storage: InMemoryStorage,
) -> None:
    name = "from allocsearch.search.identity import own_identity; print(own_identity())"
    ended = subprocess.run(
        [sys.executable, "-c", name], capture_output=True, text=True, check=True
    )
    with ticket_lock(storage, "s"):
        pass
    (own,) = tickets(storage)
    queue = storage.get_study_id_from_name("s (claims)")
    dead, other = (
        create_trial(state=TrialState.RUNNING, user_attrs={**own.user_attrs, "holder": holder})
        for holder in (ended.stdout.strip(), "elsewhere:1:2.00")
    )
    # A day: it is not the lease that ends.
    storage.create_new_trial(queue, dead)
    with ticket_lock(storage, "s", lease=86400):
        pass
    storage.create_new_trial(queue, other)
    with ticket_lock(storage, "s", SHORT):
        pass
    states = [ticket.state for ticket in tickets(storage)]
    ended_by_others = [TrialState.FAIL, TrialState.PRUNED]
    assert states == [TrialState.PRUNED, *ended_by_others, *ended_by_others]


def test_a_slow_holder_keeps_it(storage: InMemoryStorage) -> None:
    got = threading.Event()

    def wait() -> None:
        with ticket_lock(storage, "s", SHORT):
            got.set()

    waiting = threading.Thread(target=wait)
    with ticket_lock(storage, "s", SHORT):
        waiting.start()
        assert not got.wait(4 * SHORT)
    waiting.join()
    assert got.is_set()


def test_whoever_lost_it_is_told(storage: InMemoryStorage) -> None:
    lock = ticket_lock(storage, "s")
    lock.__enter__()
    (held,) = tickets(storage)
    storage.set_trial_state_values(held._trial_id, TrialState.FAIL)
    with pytest.raises(LockLostError):
        lock.__exit__(None, None, None)


def test_an_error_frees_it(storage: InMemoryStorage) -> None:
    with pytest.raises(ZeroDivisionError), ticket_lock(storage, "s"):
        raise ZeroDivisionError
    with ticket_lock(storage, "s"):
        pass
