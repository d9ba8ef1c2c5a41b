"""What a study has recorded, read from its storage: all that a report needs."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import TrialState

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig, shown
from allocsearch.search.storage import load_run_config, open_study
from allocsearch.search.trial_attributes import checked_attributes

State = Literal["complete", "pruned", "failed", "interrupted", "running", "waiting"]

ALLOCATION = "allocation"
RATIO = "ratio"
REPLICATE = "replicate"
SLOT = "slot"
SEED = "seed"
METRICS = "metrics"
SCORE = "score"
BROKEN_INVARIANTS = "broken_invariants"
PROVENANCE = "provenance"
REASON = "reason"
RETRY_OF = "retry_of"
WARM_START = "warm_start"
INTERRUPTED = "interrupted"
PROGRESS = "progress"
RUNGS = "rungs"
WORKER = "worker"
# Of the study, not of a trial.
MOST_TRIALS = "most_trials"


@dataclass(frozen=True)
class RungRecord:
    """What a trial was at a rung.

    Attributes:
        rung: Share of the full training, as in `early_stopping.rungs`.
        values: The objectives there, in the order of the study file.
        judged: Whether the rung could have stopped the trial.
    """

    rung: float
    values: tuple[float, ...]
    judged: bool


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: Optuna's trial number.
        state: `failed` is a training that ended with a reason, `pruned` one that a rung stopped;
            `interrupted` one whose worker died or was stopped, and which another trial repeats.
        allocation: The allocation, once proposed.
        seed: Seed of the training.
        replicate: Which training of its allocation it is, from 0.
        values: The objectives in the order of the study file, for a complete trial.
        metrics: Every recorded metric of a complete trial by name.
        score: The OOD score behind the metric `auroc`, where there are OOD validation sets.
        broken_invariants: Names of the invariants of the information measures that do not hold.
        provenance: Package versions by name, the machine, and `data`, the fingerprint of the
            search data.
        duration: Seconds from start to end, for a trial that ended.
        ended: When it ended, by the clock of the machine that it ran on.
        reason: Why it failed or was interrupted.
        retry_of: The number of the interrupted trial that this one repeats.
        progress: Of a running trial, as `Hooks.progress` gets it.
        warm_start: `knee` or `end` of the predicted front, for a trial that comes from there.
        rungs: What it was at the rungs that it reached, in their order.
    """

    number: int
    state: State
    allocation: Allocation | None = None
    seed: int | None = None
    replicate: int | None = None
    values: tuple[float, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    score: str | None = None
    broken_invariants: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    duration: float | None = None
    ended: datetime | None = None
    reason: str | None = None
    retry_of: int | None = None
    progress: Mapping[str, float] = field(default_factory=dict)
    warm_start: str | None = None
    rungs: tuple[RungRecord, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the trial counts towards the number of trials that are wanted."""
        return self.state in ("complete", "pruned", "failed")


@dataclass(frozen=True)
class StudyRecord:
    """A study as it stands: its run folder, resolved config and trials in order of number.

    Attributes:
        folder: The run folder.
        config: The resolved config.
        trials: In order of number.
        most: How many trials the study ends with where its allocations, each with all its
            replicates, are fewer than `study.trials`; None where they are not.
    """

    folder: Path
    config: StudyConfig
    trials: tuple[TrialRecord, ...]
    most: int | None = None

    @property
    def wanted(self) -> int:
        """How many trials the study ends with."""
        return self.config.study.trials if self.most is None else self.most

    @property
    def complete(self) -> tuple[TrialRecord, ...]:
        """The trials that have metrics."""
        return tuple(trial for trial in self.trials if trial.state == "complete")

    @property
    def finished(self) -> int:
        """How many trials count towards `wanted`."""
        return sum(trial.finished for trial in self.trials)


def read_trial(trial: optuna.trial.FrozenTrial) -> TrialRecord:
    """The record of one Optuna trial.

    Raises:
        InputError: If an attribute is not what a trial records.
    """
    found = checked_attributes(trial.number, trial.user_attrs)
    return TrialRecord(
        number=trial.number,
        state=_state(trial.state, interrupted=found.interrupted),
        allocation=found.allocation,
        seed=found.seed,
        replicate=found.replicate,
        values=tuple(trial.values or ()),
        metrics=found.metrics,
        score=found.score,
        broken_invariants=found.broken_invariants,
        provenance=found.provenance,
        # Below zero where the clock was put back meanwhile.
        duration=None if trial.duration is None else max(0.0, trial.duration.total_seconds()),
        ended=trial.datetime_complete,
        reason=found.reason,
        retry_of=found.retry_of,
        progress=found.progress,
        warm_start=found.warm_start,
        rungs=tuple(RungRecord(each.rung, each.values, each.judged) for each in found.rungs),
    )


def _state(state: TrialState, *, interrupted: bool) -> State:
    if state == TrialState.COMPLETE:
        return "complete"
    if state == TrialState.PRUNED:
        return "pruned"
    if state.is_finished():
        return "interrupted" if interrupted else "failed"
    return "running" if state == TrialState.RUNNING else "waiting"


def read_study(study: optuna.Study, config: StudyConfig, folder: Path) -> StudyRecord:
    """The record of an open study.

    Raises:
        InputError: If its storage holds what no study records.
    """
    wanted = len(config.study.objectives)
    try:
        stored, most = _stored(study)
        trials = tuple(map(read_trial, stored))
        for trial in trials:
            # A column of SQLite takes any type.
            numbers = all(isinstance(value, float) for value in trial.values)
            if trial.state == "complete" and (len(trial.values) != wanted or not numbers):
                found = (
                    f"values of trial {trial.number} in the storage: found {shown(trial.values)}"
                )
                raise InputError(f"{found}; allowed: a number for each of {wanted} objectives")
        if most is not None and (type(most) is not int or most < 0):
            raise InputError(
                f"{MOST_TRIALS} in the storage: found {shown(most)}; allowed: a count"
            )
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    return StudyRecord(folder=folder, config=config, trials=trials, most=most)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the garbage collector, which takes as long as the reading, and finds nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _stored(study: optuna.Study) -> tuple[list[optuna.trial.FrozenTrial], Any]:
    """The trials of a study, and the most trials that it ends with."""
    try:
        with _no_collection():
            trials = study.get_trials(deepcopy=False)
        return trials, study.user_attrs.get(MOST_TRIALS)
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Optuna takes for granted that nobody else has written what it reads.
        raise InputError(f"the storage holds what Optuna cannot read: {error}") from None


def read_run(folder: Path) -> StudyRecord:
    """The record of a run folder.

    Raises:
        InputError: If `folder` is no run folder.
    """
    config = load_run_config(folder)
    return read_study(open_study(config, folder), config, folder)
