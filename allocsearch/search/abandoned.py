"""Trials whose workers are gone: found, and put back into the queue."""

from __future__ import annotations

from contextlib import suppress

import optuna
from optuna.trial import TrialState

from allocsearch.config import StudyConfig
from allocsearch.search.identity import is_dead
from allocsearch.search.records import WORKER
from allocsearch.search.slots import requeue
from allocsearch.search.storages.claim_lock import claim_lock
from allocsearch.search.storages.errors import LockLostError
from allocsearch.search.storages.heartbeat import Watch

DEAD = "the worker died"


def requeue_abandoned(study: optuna.Study, config: StudyConfig, watch: Watch) -> None:
    """Put back what dead workers of this machine had, and what has been silent for too long.

    Args:
        study: The study.
        config: Its config.
        watch: Of the study; asked once in each call.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    silent = watch.silent(running)
    gone = [
        worker
        for trial in running
        if is_dead(worker := trial.user_attrs.get(WORKER)) or trial.number in silent
    ]
    if gone:
        # Without the lock to its end another may have done the same: the next call sees it.
        with suppress(LockLostError), claim_lock(study):
            requeue(study, config, gone.__contains__, DEAD)
