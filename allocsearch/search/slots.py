"""The queue of trials: as many slots as `study.trials`, each run to its end exactly once.

All slots are enqueued before the first worker starts, and the storage hands each waiting trial to
one worker only, so no race between workers can change how many trials a study ends with.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from allocsearch.config import InputError, StudyConfig
from allocsearch.search.records import INTERRUPTED, REASON, RETRY_OF, SEED, SLOT, WORKER
from allocsearch.search.samplers import build_sampler
from allocsearch.spaces import Space


def slot_seed(study_seed: int, slot: int, purpose: int) -> int:
    """A seed for one purpose of one slot, independent of every other (numpy's SeedSequence)."""
    return int(np.random.SeedSequence((study_seed, slot, purpose)).generate_state(1)[0] >> 1)


_TRAINING, _SAMPLING = 0, 1


def fill(study: optuna.Study, config: StudyConfig, space: Space) -> None:
    """Enqueue the slots that are missing, or take back waiting ones that are too many.

    Raises:
        InputError: If more trials than `study.trials` have begun.
    """
    trials = study.get_trials(deepcopy=False)
    counted = [trial for trial in trials if not trial.user_attrs.get(INTERRUPTED)]
    waiting = [trial for trial in counted if trial.state == TrialState.WAITING]
    begun = len(counted) - len(waiting)
    if begun > config.study.trials:
        raise InputError(
            f"study.trials: found {config.study.trials}; this run has begun {begun} already"
        )
    surplus = len(counted) - config.study.trials
    for trial in reversed(waiting[-surplus:] if surplus > 0 else []):
        _interrupt(study, trial, "taken back: study.trials was lowered")
    used = 1 + max((trial.user_attrs[SLOT] for trial in trials), default=-1)
    ranks = _grid_ranks(config, space.size) if config.study.sampler == "grid" else None
    for slot in range(used, used - surplus):
        params = {} if ranks is None else space.params(space[ranks(slot)])
        seed = slot_seed(config.study.seed, slot, _TRAINING)
        study.enqueue_trial(params, user_attrs={SLOT: slot, SEED: seed})


def _grid_ranks(config: StudyConfig, size: int) -> Callable[[int], int]:
    """The allocation of each slot: all of the space in a seeded order, then all of it again."""
    if size > sys.maxsize:
        raise InputError(f"study.sampler: a grid over {size} allocations; allowed: {sys.maxsize}")

    def rank(slot: int) -> int:
        lap = random.Random(f"{config.study.seed} {slot // size}")
        # A sample is drawn one by one, so a short grid over a huge space never lists it.
        return lap.sample(range(size), slot % size + 1)[-1]

    return rank


def claim(study: optuna.Study, config: StudyConfig, worker: str) -> optuna.Trial | None:
    """Take the next waiting trial for `worker`, or None where none waits."""
    storage = storage_of(study)
    for waiting in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        try:
            taken = storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            continue
        if taken:
            storage.set_trial_user_attr(waiting._trial_id, WORKER, worker)
            # A sampler seeded by the slot proposes the same after an interruption as without.
            seed = slot_seed(config.study.seed, waiting.user_attrs[SLOT], _SAMPLING)
            study.sampler = build_sampler(config.study.sampler, seed)
            return optuna.Trial(study, waiting._trial_id)
    return None


def requeue(
    study: optuna.Study, config: StudyConfig, is_dead: Callable[[str | None], bool], reason: str
) -> None:
    """End the running trials of dead workers and enqueue each again, seed and allocation kept.

    A trial that was begun more than `study.retries` + 1 times fails for good.

    Args:
        study: The study.
        config: Its config.
        is_dead: Whether the worker of a running trial is dead; None stands for an unknown one.
        reason: What is recorded with the interrupted trial.
    """
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    for trial in trials:
        if trial.state != TrialState.RUNNING or not is_dead(trial.user_attrs.get(WORKER)):
            continue
        attempts = sum(t.user_attrs[SLOT] == trial.user_attrs[SLOT] for t in trials)
        if attempts > config.study.retries and trial.number not in repeated:
            fail(study, trial, f"{reason} ({attempts} attempts)")
            continue
        # The repetition comes first: killed between the two, the next call sees it and goes on.
        if trial.number not in repeated:
            kept = {key: trial.user_attrs[key] for key in (SLOT, SEED)}
            study.enqueue_trial(_fixed(trial), user_attrs={**kept, RETRY_OF: trial.number})
        _interrupt(study, trial, reason)


def _fixed(trial: FrozenTrial) -> dict[str, object]:
    """The parameters of a trial: those proposed, or those it was enqueued with."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _interrupt(study: optuna.Study, trial: FrozenTrial, reason: str) -> None:
    storage_of(study).set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
    fail(study, trial, reason)


def fail(study: optuna.Study, trial: FrozenTrial, reason: str) -> None:
    """End a trial as failed, with the reason."""
    storage = storage_of(study)
    storage.set_trial_user_attr(trial._trial_id, REASON, reason)
    storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def storage_of(study: optuna.Study) -> BaseStorage:
    """The storage of a study, which Optuna keeps in a private attribute."""
    return study._storage
