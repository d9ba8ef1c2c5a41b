"""What to take of a study, why, and how it compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.report.candidate_text import has_interval, probability_text, value_text
from allocsearch.report.comparison import (
    Comparison,
    baseline_text,
    comparisons,
    trained_baselines,
)
from allocsearch.report.front import (
    Candidate,
    StudyFront,
    certain_members,
    comparable,
    knee,
    study_front,
)
from allocsearch.report.labels import column_label, format_metric, metric_label, metric_name
from allocsearch.report.score_choice import score_choice
from allocsearch.report.terminal.summary import export_command
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.sampling.losses import losses

_BETTER = {"maximize": "higher", "minimize": "lower"}


@dataclass(frozen=True)
class Standing:
    """One objective of the recommended trial, as texts: its value, and the front's range."""

    label: str
    value: str
    best: str
    worst: str


@dataclass(frozen=True)
class Recommendation:
    """What the first screen of the page says.

    Attributes:
        trial: The trial that is recommended.
        allocation: Its allocation.
        reason: Why.
        standings: Its objectives.
        labels: The objectives.
        comparisons: The runner-up and the baselines that were trained.
        baselines: What the default is, and which baselines were not trained.
        members: How many trials are on the front.
        command: What exports it.
        score: What its OOD score is, where that was chosen.
    """

    trial: TrialRecord
    allocation: Allocation | None
    reason: str
    standings: tuple[Standing, ...]
    labels: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    baselines: str | None
    members: int
    command: str
    score: str | None


def recommendation(record: StudyRecord, front: StudyFront | None = None) -> Recommendation | None:
    """The recommended trial and why, or None where no trial is complete.

    Args:
        record: The study.
        front: Its front, where that is known already.
    """
    front = front or study_front(record)
    members = front.members
    if not members:
        return None
    objectives = record.config.study.parsed_objectives
    chosen = knee(members, objectives)
    cost = losses([member.mean for member in members], objectives)
    standings = tuple(
        Standing(
            column_label(metric_label(metric), has_interval([chosen], i, metric))
            + f", {_BETTER[objectives[i].direction]} is better",
            value_text(chosen, i, metric, unit=False),
            format_metric(metric, members[int(cost[:, i].argmin())].mean[i]),
            format_metric(metric, members[int(cost[:, i].argmax())].mean[i]),
        )
        for i, metric in enumerate(objective.metric for objective in objectives)
    )
    beside = trained_baselines(record, front, chosen)
    return Recommendation(
        trial=chosen.trial,
        allocation=chosen.allocation,
        reason=_reason(record, len(members))
        if front.spread is None
        else _replicated_reason(front, objectives, chosen),
        standings=standings,
        labels=tuple(metric_label(objective.metric) for objective in objectives),
        comparisons=tuple(comparisons(record, front, chosen, beside)),
        baselines=baseline_text(beside),
        members=len(members),
        command=export_command(record),
        score=score_choice(record, chosen.trial),
    )


def _replicated_reason(
    front: StudyFront, objectives: Sequence[Objective], chosen: Candidate
) -> str:
    certain, count = len(certain_members(front.members)), chosen.replicates.count
    trainings = f"the mean of its {count} trainings" if count > 1 else "its one training"
    standing = (
        f"By {trainings} it is on the front with probability "
        f"{probability_text(chosen.probability)}."
    )
    if certain == 1:
        return f"{standing} No other member is as certain."
    if len(objectives) == 1:
        return f"{standing} It has the best mean."
    return (
        f"{standing} Of the {certain} members of which that is 0.5 or more, it lies nearest to "
        "the ideal point, which has their best mean of every objective; each objective is scaled "
        "to its range over them."
    )


def _reason(record: StudyRecord, members: int) -> str:
    trials = len(comparable(record))
    objectives = record.config.study.parsed_objectives
    if trials == 1:
        return "It is the only complete trial so far."
    if len(objectives) == 1:
        verb = "highest" if objectives[0].direction == "maximize" else "lowest"
        name = metric_name(objectives[0].metric)
        return f"It has the {verb} {name} of {trials} complete trials."
    if members == 1:
        return f"No other of the {trials} complete trials is better in any objective."
    return (
        f"Of the {members} trials on the front of {trials} complete ones, it lies nearest to the "
        "ideal point, which has the front's best value of every objective; each objective is "
        "scaled to its range over the front."
    )
