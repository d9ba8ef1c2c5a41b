"""A lock made of trials: for a storage that has no other, as behind Optuna's proxy."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from allocsearch.search.identity import is_dead, own_identity
from allocsearch.search.storages.errors import LockLostError
from allocsearch.search.storages.heartbeat import MISSED, Watch, beating

# Seconds.
LEASE = 30.0
_HOLDER = "holder"
_POLL = 0.05
_LONGEST_POLL = 2.0
# Apart, so that whoever was thought dead can tell that from its own release.
_RELEASED, _TAKEN_AWAY = TrialState.PRUNED, TrialState.FAIL


@contextmanager
def ticket_lock(storage: BaseStorage, name: str, lease: float = LEASE) -> Iterator[None]:
    """Hold the lock `name` of a storage.

    Whoever wants it draws a ticket, a trial of a study kept for that, and has the lock when all
    tickets drawn before have ended. Every storage of Optuna gives trials growing numbers, in the
    order in which they can be seen. A ticket that has shown no life for `lease` seconds, on the
    clock of whoever waits, is ended by that one (Hunt et al., "ZooKeeper", 2010, section 2.4,
    with a lease in place of a session); one of a dead process of the same machine at once.

    Args:
        storage: Where the tickets are drawn.
        name: What the lock is for.
        lease: Seconds.

    Raises:
        LockLostError: If the ticket was ended by another, before or after it was held.
    """
    queue = _queue(storage, name)
    drawn = create_trial(state=TrialState.RUNNING, user_attrs={_HOLDER: own_identity()})
    ticket = storage.create_new_trial(queue, drawn)
    with beating(storage, [ticket], lease / MISSED):
        try:
            _wait(storage, queue, ticket, lease)
            yield
        except BaseException:
            _end(storage, ticket, _TAKEN_AWAY)
            raise
    if not _end(storage, ticket, _RELEASED):
        raise LockLostError(f"the lock of {name} was lost")


def _queue(storage: BaseStorage, name: str) -> int:
    """The study of the tickets; no study of a user has blanks in its name."""
    study = f"{name} (claims)"
    try:
        return storage.get_study_id_from_name(study)
    except KeyError:
        try:
            return storage.create_new_study([StudyDirection.MINIMIZE], study)
        except DuplicatedStudyError:
            return storage.get_study_id_from_name(study)


def _wait(storage: BaseStorage, queue: int, ticket: int, lease: float) -> None:
    """Until no ticket before this one is left."""
    watch = Watch(lease / MISSED)
    while True:
        drawn = storage.get_all_trials(queue, deepcopy=False, states=(TrialState.RUNNING,))
        if all(trial._trial_id != ticket for trial in drawn):
            raise LockLostError("the ticket was taken for one of a dead worker")
        before = [trial for trial in drawn if trial._trial_id < ticket]
        if not before:
            return
        silent = watch.silent(before)
        for trial in before:
            if trial.number in silent or _is_orphan(trial):
                _end(storage, trial._trial_id, _TAKEN_AWAY)
        longest = min(_LONGEST_POLL, _POLL * len(before))
        time.sleep(random.uniform(longest / 2, longest))


def _is_orphan(ticket: FrozenTrial) -> bool:
    holder = ticket.user_attrs.get(_HOLDER)
    return isinstance(holder, str) and is_dead(holder)


def _end(storage: BaseStorage, ticket: int, state: TrialState) -> bool:
    """End a ticket, unless it has ended."""
    try:
        storage.set_trial_state_values(ticket, state)
    except UpdateFinishedTrialError:
        return False
    return True
