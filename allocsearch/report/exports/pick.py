"""The language of `--pick`: which trial of a study to take."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allocsearch.config import InputError, Objective, hint, suggestion
from allocsearch.report.exports.constraints import read_constraints, satisfying
from allocsearch.report.front import (
    StudyFront,
    best_members,
    certain_members,
    comparable,
    front_of,
    knee,
    scaled_losses,
)
from allocsearch.report.labels import trials_text
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.sampling.losses import losses, signs
from allocsearch.search.sampling.replicates import Replicates, by_allocation, pooled_spread

FORMS = {
    "knee": "the recommended member of the front",
    "best:OBJECTIVE": "the member of the front that is best in an objective of the study",
    "weights:OBJECTIVE=NUMBER,...": "the member of the front with the least weighted distance to "
    "the best of each objective",
    "max:METRIC, min:METRIC": "the best allocation in any metric that was recorded",
    "allocation:D-D-D": "an allocation by its dims",
    "trial:NUMBER": "a training by its number",
}
# Every member of the front at once.
FRONT = "front"
_FORMS = ", ".join(FORMS).replace(", trial", " or trial")
_KINDS = ("knee", "best", "max", "min", "weights", "allocation", "trial")


@dataclass(frozen=True)
class Picked:
    """A trial, the text that named it, and the constraints that it had to satisfy."""

    text: str
    trial: TrialRecord
    where: tuple[str, ...] = ()


def picks(
    record: StudyRecord, texts: Sequence[str], where: Sequence[str] = ()
) -> tuple[Picked, ...]:
    """The complete trials that several texts name, in their order, each text once.

    Args:
        record: The study.
        texts: As for `pick`, or `front` for every member of the front.
        where: As for `pick`.

    Raises:
        InputError: As `pick`, for the first text that names none.
    """
    found: list[Picked] = []
    for text in dict.fromkeys(texts):
        _check_form(text, several=True)
        if text == FRONT:
            chosen = [member.trial for member in picked_front(record, text, where).members]
        else:
            chosen = [pick(record, text, where)]
        found += [Picked(text, trial, tuple(where)) for trial in chosen]
    return tuple(found)


def picked_front(record: StudyRecord, text: str, where: Sequence[str] = ()) -> StudyFront:
    """The front of the allocations that satisfy all constraints.

    Args:
        record: The study.
        text: What is picked from it, for errors.
        where: As for `pick`.

    Raises:
        InputError: If a constraint is wrong, or the front has no member.
    """
    constraints = read_constraints(record, where)
    if not record.complete:
        raise _nothing(record, text)
    groups = by_allocation(comparable(record))
    spread = pooled_spread(groups)
    objectives = record.config.study.parsed_objectives
    front = front_of(satisfying(groups, constraints), spread, objectives)
    if not front.members:
        raise _nothing(record, text)
    return front


def pick(record: StudyRecord, text: str, where: Sequence[str] = ()) -> TrialRecord:
    """The complete trial that `text` names.

    Where an allocation has several trainings, its means decide, and the trial is the training
    nearest to them.

    Args:
        record: The study.
        text: `knee` (the recommended member of the front), `best:OBJECTIVE` (the member with the
            best mean of an objective), `max:METRIC` or `min:METRIC` (the allocation that is best
            in any recorded metric; ties go to the lowest number),
            `weights:retention=1,auroc=3` (the member of the front with the least weighted sum of
            distances to the best of each objective, scaled to its range over the front),
            `allocation:D-D-D` or `trial:N`.
        where: Constraints that what is picked has to satisfy, as `attenuation<=0.6`; the front is
            that of the allocations that do.

    Raises:
        InputError: If `text` or a constraint has another form, the metric, allocation or trial
            does not exist, or there is nothing to pick from.
    """
    constraints = read_constraints(record, where)
    _check_form(text)
    if not record.complete:
        raise _nothing(record, text)
    kind, _, argument = text.partition(":")
    if kind == "trial":
        trial = _numbered(record, text, int(argument))
        satisfying([Replicates(trial.allocation, (trial,))], constraints)
        return trial
    if kind == "allocation":
        group = _named(record, text, argument)
        satisfying([group], constraints)
        return _typical(record, group)
    if kind in ("max", "min"):
        # Trials with an objective that is not finite may be the best in another metric.
        groups = satisfying(by_allocation(record.complete), constraints)
        return _typical(record, _best(record, groups, text, Objective.parse(text)))
    return _of_front(record, text, where)


def _check_form(text: str, *, several: bool = False) -> None:
    """Refuse a text that has no form of a pick, or of several at once."""
    names = ("knee", FRONT) if several else ("knee",)
    form = r"(best|max|min|weights|allocation):\S+|trial:[0-9]{1,18}"
    if text in names or re.fullmatch(form, text):
        return
    kind = text.partition(":")[0]
    # Of a kind that is right its argument is missing.
    near = "" if kind in _KINDS else hint(kind, (*_KINDS, *names[1:]))
    forms = f"{_FORMS}, or {FRONT} for all its members" if several else _FORMS
    raise InputError(f"--pick: found {text!r}.{near} Allowed: {forms}.")


def _of_front(record: StudyRecord, text: str, where: Sequence[str]) -> TrialRecord:
    objectives = record.config.study.parsed_objectives
    kind, _, argument = text.partition(":")
    place = _objective(text, argument, objectives) if kind == "best" else None
    weights = _weights(text, objectives) if kind == "weights" else None
    members = picked_front(record, text, where).members
    if place is not None:
        return best_members(members, objectives)[place].trial
    if weights is None:
        return knee(members, objectives).trial
    scaled = scaled_losses(losses([member.mean for member in members], objectives))
    costs = dict(zip(members, scaled @ weights, strict=True))
    return min(
        certain_members(members), key=lambda member: (costs[member], member.trial.number)
    ).trial


def _objective(text: str, name: str, objectives: Sequence[Objective]) -> int:
    """The place of an objective of the study."""
    known = [objective.metric for objective in objectives]
    if name not in known:
        raise InputError(
            suggestion(name, known, f"--pick {text}: {name!r} is no objective of the study")
        )
    return known.index(name)


def _weights(text: str, objectives: Sequence[Objective]) -> np.ndarray:
    """The weight of each objective, `(m,)`; 0 for one that is not named."""
    known = [objective.metric for objective in objectives]
    found: dict[str, float] = {}
    for part in text.partition(":")[2].split(","):
        name, _, number = part.partition("=")
        if name not in known:
            problem = f"--pick {text}: {name!r} is no objective of the study"
            raise InputError(suggestion(name, known, problem))
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if name in found or not 0 <= weight < math.inf:
            problem = "is named twice" if name in found else f"has the weight {number!r}"
            allowed = "each objective once, with a number from 0 on"
            raise InputError(f"--pick {text}: {name} {problem}. Allowed: {allowed}.")
        found[name] = weight
    if not any(found.values()):
        raise InputError(f"--pick {text}: all weights are 0. Allowed: one above 0.")
    return np.array([found.get(name, 0.0) for name in known])


def _named(record: StudyRecord, text: str, allocation: str) -> Replicates:
    groups = {str(group.allocation): group for group in by_allocation(record.complete)}
    if allocation in groups:
        return groups[allocation]
    near = hint(allocation, [*groups])
    raise InputError(
        f"--pick {text}: no complete trial has this allocation.{near} "
        f"trials.csv lists the {len(groups)} that have been trained."
    )


def _typical(record: StudyRecord, group: Replicates) -> TrialRecord:
    """The trial that stands for an allocation on the front, too."""
    finite = tuple(trial for trial in group.trials if all(map(math.isfinite, trial.values)))
    if not finite:
        return group.trials[0]
    objectives = record.config.study.parsed_objectives
    spread = pooled_spread(by_allocation(comparable(record)))
    only = front_of([Replicates(group.allocation, finite)], spread, objectives, resample=False)
    return only.candidates[0].trial


def _best(
    record: StudyRecord, groups: Sequence[Replicates], text: str, objective: Objective
) -> Replicates:
    metric = objective.metric
    known = sorted({name for trial in record.complete for name in trial.metrics})
    if metric not in known:
        raise InputError(suggestion(metric, known, f"--pick {text}: unknown metric {metric!r}"))
    # Trials of other layer counts lack some metrics, and a NaN is no best.
    means = {group: group.mean_of(metric) for group in groups}
    measured = {group: mean for group, mean in means.items() if not math.isnan(mean)}
    if not measured:
        raise InputError(f"--pick {text}: no trial has a number for {metric}")
    (sign,) = signs((objective,))
    return min(measured, key=lambda group: (sign * measured[group], group.trials[0].number))


def _numbered(record: StudyRecord, text: str, number: int) -> TrialRecord:
    for trial in record.trials:
        if trial.number == number and trial.state == "complete":
            return trial
        if trial.number == number:
            reason = f" ({' '.join(trial.reason.split())})" if trial.reason else ""
            found = f"trial {number} is {trial.state}{reason}"
            break
    else:
        found = f"there is no trial {number}"
    allowed = trials_text(tuple(trial.number for trial in record.complete))
    raise InputError(f"--pick {text}: {found}. Allowed: the complete {allowed}.")


def _nothing(record: StudyRecord, text: str) -> InputError:
    count, complete = len(record.trials), len(record.complete)
    problem = f"none of the {count} trials is complete" if count else "the study has no trial yet"
    if complete:
        problem = f"none of the {complete} complete trials has finite objectives"
    return InputError(f"{record.folder}: --pick {text}: {problem}")
