"""The queue of trials: as many slots as `study.trials`, each run to its end exactly once.

All slots are enqueued before the first worker starts, and each waiting trial is handed to one
worker only, so no race between workers can change how many trials a study ends with. What a trial
trains is settled in one place for all workers, so none trains what another one does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, count, islice
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig, shown
from allocsearch.search.records import (
    ALLOCATION,
    INTERRUPTED,
    MOST_TRIALS,
    RATIO,
    REASON,
    REPLICATE,
    RETRY_OF,
    RUNGS,
    SEED,
    SLOT,
    WARM_START,
    WORKER,
    read_trial,
)
from allocsearch.search.sampling.proposal import FIXED_PARAMS, decode, encode, propose
from allocsearch.search.sampling.repeats import Trained, candidates, next_replicate, training_seed
from allocsearch.search.sampling.replication import is_replicating, least_certain
from allocsearch.search.sampling.samplers import build_sampler
from allocsearch.search.sampling.warm_start import WarmStart
from allocsearch.search.storages.claim_lock import claim_lock
from allocsearch.search.storages.errors import LockLostError
from allocsearch.spaces import Space


def slot_seed(study_seed: int, slot: int, purpose: int) -> int:
    """A seed for one purpose of one slot, independent of every other (numpy's SeedSequence)."""
    return int(np.random.SeedSequence((study_seed, slot, purpose)).generate_state(1)[0] >> 1)


# Another purpose, 2, is that of the final evaluation.
_SAMPLING, _TIES, _DRAWS = 1, 3, 4

STOPPED = "stopped"
# What the repetition of an interrupted trial has of it.
_KEPT = (SLOT, WARM_START, ALLOCATION, RATIO, REPLICATE, SEED, RUNGS)
# A lock that is lost that often in a row is not lost by accident.
_LOCKED = Retrying(
    retry=retry_if_exception_type(LockLostError), stop=stop_after_attempt(5), reraise=True
)


def fill(
    study: optuna.Study, config: StudyConfig, space: Space, first: Sequence[WarmStart] = ()
) -> None:
    """Enqueue the slots that are missing, or take back waiting ones that are too many.

    It holds the lock of the study: others may claim or fill meanwhile. A space whose allocations
    have all their replicates before `study.trials` gets fewer slots.

    Args:
        study: The study.
        config: Its config.
        space: Its search space.
        first: The allocations of the first slots; the same for every call of a study.

    Raises:
        InputError: If more trials than `study.trials` have begun, or one is in no slot.
        LockLostError: If the storage takes the lock away again and again.
    """

    def attempt() -> None:
        # What has been enqueued twice is left aside by `claim`.
        with claim_lock(study):
            _fill(study, config, space, first)

    _LOCKED(attempt)


def _fill(
    study: optuna.Study, config: StudyConfig, space: Space, first: Sequence[WarmStart]
) -> None:
    trials = _without_surplus(study)
    repeated = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    counted = [
        trial
        for trial in trials
        if not _is_interrupted(trial)
        # One that has ended by itself stands, whatever was to repeat it.
        and not (trial.state == TrialState.RUNNING and trial.number in repeated)
    ]
    waiting = [trial for trial in counted if trial.state == TrialState.WAITING]
    begun = len(counted) - len(waiting)
    if begun > config.study.trials:
        raise InputError(
            f"study.trials: found {config.study.trials}; this run has begun {begun} already"
        )
    room = max(begun, space.size * config.study.replicates)
    wanted = min(config.study.trials, room)
    study.set_user_attr(MOST_TRIALS, wanted if wanted < config.study.trials else None)
    kept = wanted - begun
    surplus = sorted(waiting, key=_slot)[kept:]
    # A kill in the middle of this leaves waiting trials that are marked, but not ended.
    marked = [t for t in trials if t.state == TrialState.WAITING and t not in waiting]
    for trial in (*marked, *surplus):
        _interrupt(study, trial, "taken back: study.trials was lowered")
    held = {_slot(trial) for trial in counted}
    missing = islice((slot for slot in count() if slot not in held), max(0, wanted - len(counted)))
    ranks = list(islice(_grid(config, space, first), max(0, wanted - len(first))))
    for slot in missing:
        attributes: dict[str, object] = {SLOT: slot}
        params: Mapping[str, object] = {}
        if slot < len(first):
            params = first[slot].params
            attributes[WARM_START] = first[slot].mark
        elif ranks:
            params = space.params(space[ranks[slot - len(first)]])
        study.enqueue_trial(dict(params), user_attrs=attributes)


def _grid(config: StudyConfig, space: Space, first: Sequence[WarmStart]) -> Iterator[int]:
    """The order of a grid, which has `first` behind it already; empty for other samplers."""
    if config.study.sampler != "grid":
        return
    done = {start.allocation for start in first}
    for i, rank in enumerate(_shuffled(space.size, config.study.seed)):
        if i >= space.size or not done or space[rank] not in done:
            yield rank


def _shuffled(size: int, seed: int) -> Iterator[int]:
    """All of 0, ..., size - 1 in a seeded order, then all of them in another one, and so on."""
    source = random.Random(seed)
    while True:
        # Fisher and Yates, as far as it is read: a short grid over a huge space never lists it.
        moved: dict[int, int] = {}
        for i in range(size):
            j = source.randrange(i, size)
            yield moved.get(j, j)
            moved[j] = moved.pop(i, i)


def claim(
    study: optuna.Study,
    config: StudyConfig,
    space: Space,
    worker: str,
    on_taken: Callable[[int], None] = lambda trial: None,
) -> optuna.Trial | None:
    """Take the next waiting trial for `worker`, or None where none waits.

    The trial comes with the seed of its training, and the space suggests for it what it is to
    train: an allocation with a replicate of which no other trial has, see `repeats.candidates`.

    Args:
        study: The study.
        config: Its config.
        space: Its search space.
        worker: Identity of the worker.
        on_taken: Called with the id of a trial as soon as it is the worker's: proposals can wait
            for each other for long.

    Raises:
        InputError: If a trial is in no slot.
        LockLostError: If the storage takes the lock away again and again.
    """
    return _LOCKED(_claim, study, config, space, worker, on_taken)


def _claim(
    study: optuna.Study,
    config: StudyConfig,
    space: Space,
    worker: str,
    on_taken: Callable[[int], None],
) -> optuna.Trial | None:
    taken = None
    try:
        # Proposals wait for each other, too: each knows what others have settled.
        with claim_lock(study):
            trials = _without_surplus(study)
            taken = _take(study, trials, worker)
            if taken is None:
                return None
            on_taken(taken._trial_id)
            # A sampler seeded by the slot proposes the same after an interruption as without.
            seed = _seed(config, taken, _SAMPLING)
            study.sampler = build_sampler(config.study.sampler, seed, space, config.study.seed)
            if ALLOCATION not in taken.user_attrs:
                params = propose(study, study.sampler, taken, space)
                _settle(study, config, space, taken, params, trials)
        return optuna.Trial(study, taken._trial_id)
    except LockLostError:
        # Another may have settled the same: the trial begins again as it was before.
        if taken is not None:
            _repeat(study, taken, STOPPED)
        raise
    except UpdateFinishedTrialError:
        # Another had lost the lock as well, and has put back what both had taken.
        raise LockLostError("the trial was taken by two") from None


def _take(study: optuna.Study, trials: Iterable[FrozenTrial], worker: str) -> FrozenTrial | None:
    """The first of the trials that waits, now running."""
    storage = storage_of(study)
    for waiting in trials:
        if waiting.state != TrialState.WAITING or _is_interrupted(waiting):
            continue
        try:
            # Before it runs: a running trial without a worker would be nobody's.
            storage.set_trial_user_attr(waiting._trial_id, WORKER, worker)
            taken = storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            continue
        found = storage.get_trial(waiting._trial_id)
        # Where the answer was lost, the worker says whose it is: nobody else holds the lock.
        if taken or (found.state, found.user_attrs.get(WORKER)) == (TrialState.RUNNING, worker):
            return found
    return None


def _without_surplus(study: optuna.Study) -> list[FrozenTrial]:
    """All trials, but for those of a slot that another one stands for; these are ended.

    A slot has two where the storage lost its answer after it had created one, or where two
    processes have repeated the same trial of a dead worker.
    """
    trials = study.get_trials(deepcopy=False)
    by_slot: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        if not _is_interrupted(trial):
            by_slot.setdefault(_slot(trial), []).append(trial)
    surplus = [
        trial
        for together in by_slot.values()
        for trial in together
        if any(_stands_for(other, trial) for other in together)
    ]
    for trial in surplus:
        _interrupt(study, trial, "enqueued twice")
    ended = {trial.number for trial in surplus}
    return [trial for trial in trials if trial.number not in ended]


def _stands_for(other: FrozenTrial, trial: FrozenTrial) -> bool:
    """Whether `trial` need not begin, as `other` has begun or comes before it in the queue.

    Both are of one slot, and not interrupted.
    """
    if trial.state != TrialState.WAITING or other.number == trial.number:
        return False
    if other.state == TrialState.WAITING:
        return other.number < trial.number
    # One that is being repeated by `trial` runs until it is marked as interrupted.
    repeated = other.number == trial.user_attrs.get(RETRY_OF)
    return not (repeated and other.state == TrialState.RUNNING)


def _slot(trial: FrozenTrial) -> int:
    """The slot of a trial; others than this program may have enqueued it, or changed it.

    Raises:
        InputError: If it has none.
    """
    slot = trial.user_attrs.get(SLOT)
    if type(slot) is not int or slot < 0:
        raise InputError(
            f"attribute {SLOT} of trial {trial.number} in the storage: found {shown(slot)}; "
            "allowed: a whole number, as `run` gives to the trials that it enqueues"
        )
    return slot


def _seed(config: StudyConfig, trial: FrozenTrial, purpose: int) -> int:
    return slot_seed(config.study.seed, _slot(trial), purpose)


def _settle(
    study: optuna.Study,
    config: StudyConfig,
    space: Space,
    trial: FrozenTrial,
    params: Mapping[str, Any],
    trials: Sequence[FrozenTrial],
) -> None:
    """Record what a trial trains; the parameters that the sampler will see stand for it."""
    storage, key = storage_of(study), trial._trial_id
    proposed = decode(space, params)
    trained = _trained(trials)
    source = random.Random(_seed(config, trial, _TIES))
    choices = candidates(proposed, trained, space, config.study, source)
    wanted = study.user_attrs.get(MOST_TRIALS) or config.study.trials
    if is_replicating(config.study, trained, wanted):
        known = map(read_trial, trials)
        again = least_certain(known, trained, config.study, _seed(config, trial, _DRAWS))
        choices = chain([again] if again else [], choices)
    allocation, settled = next(
        (candidate, found)
        for candidate in choices
        if (found := params if candidate == proposed else encode(space, candidate, params))
    )
    replicate = next_replicate(trained, allocation)
    storage.set_trial_system_attr(key, FIXED_PARAMS, dict(settled))
    storage.set_trial_user_attr(key, RATIO, allocation.ratio)
    storage.set_trial_user_attr(key, REPLICATE, replicate)
    seed = training_seed(config.study.seed, allocation, replicate)
    storage.set_trial_user_attr(key, SEED, seed)
    # The last: a trial that has it is settled, whenever its worker is killed.
    storage.set_trial_user_attr(key, ALLOCATION, str(allocation))


def _trained(trials: Iterable[FrozenTrial]) -> Trained:
    """The replicates that trials have been given; an interrupted one has its repetition."""
    trained: dict[Allocation, set[int]] = {}
    for trial in trials:
        found = trial.user_attrs
        if ALLOCATION in found and not _is_interrupted(trial):
            # Early studies counted no replicates; their trainings count all the same.
            replicate = found.get(REPLICATE, -1 - _slot(trial))
            trained.setdefault(Allocation.parse(found[ALLOCATION]), set()).add(replicate)
    return trained


def requeue(
    study: optuna.Study, config: StudyConfig, is_dead: Callable[[str | None], bool], reason: str
) -> None:
    """End the running trials of dead workers and enqueue each again, with all that was settled.

    A trial whose workers died `study.retries` + 1 times fails for good; one that was stopped on
    purpose can be begun again any number of times.

    Args:
        study: The study.
        config: Its config.
        is_dead: Whether the worker of a running trial is dead; None stands for an unknown one.
        reason: What is recorded with the interrupted trial; STOPPED for a stop on purpose.
    """
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    for trial in trials:
        if trial.state != TrialState.RUNNING or not is_dead(trial.user_attrs.get(WORKER)):
            continue
        if trial.number not in repeated:
            deaths = sum(_died_before(other, trial) for other in trials)
            if deaths >= config.study.retries and reason != STOPPED:
                with suppress(UpdateFinishedTrialError):
                    end_trial(study, trial, f"{reason} ({deaths + 1} attempts)")
                continue
            _repeat(study, trial, reason)
        else:
            _interrupt(study, trial, reason)


def _died_before(other: FrozenTrial, trial: FrozenTrial) -> bool:
    """Whether `other` is an earlier attempt at the slot of `trial`, not stopped on purpose."""
    return (
        other.number != trial.number
        and _slot(other) == _slot(trial)
        # One that was taken back while it waited has never begun.
        and other.datetime_start is not None
        and other.user_attrs.get(REASON) != STOPPED
    )


def _fixed(trial: FrozenTrial) -> dict[str, object]:
    """The parameters of a trial: those proposed, or those it was enqueued with."""
    return {**trial.system_attrs.get(FIXED_PARAMS, {}), **trial.params}


def _repeat(study: optuna.Study, trial: FrozenTrial, reason: str) -> None:
    """Enqueue a trial again, with all that it has settled, and end it."""
    # The repetition comes first: killed between the two, the next call sees it.
    kept = {key: trial.user_attrs[key] for key in _KEPT if key in trial.user_attrs}
    study.enqueue_trial(_fixed(trial), user_attrs={**kept, RETRY_OF: trial.number})
    _interrupt(study, trial, reason)


def _interrupt(study: optuna.Study, trial: FrozenTrial, reason: str) -> None:
    # One that ends by itself meanwhile is not interrupted, and needs no repetition.
    with suppress(UpdateFinishedTrialError):
        storage_of(study).set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
        end_trial(study, trial, reason)


def _is_interrupted(trial: FrozenTrial) -> bool:
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return bool(trial.user_attrs.get(INTERRUPTED)) and trial.state not in ended


def end_trial(
    study: optuna.Study, trial: FrozenTrial, reason: str, state: TrialState = TrialState.FAIL
) -> None:
    """End a trial that has no values, failed or pruned, with the reason."""
    storage = storage_of(study)
    storage.set_trial_user_attr(trial._trial_id, REASON, reason)
    storage.set_trial_state_values(trial._trial_id, state)


def storage_of(study: optuna.Study) -> BaseStorage:
    """The storage of a study, which Optuna keeps in a private attribute."""
    return study._storage
