"""The trials that a page shows where it cannot show all."""

from __future__ import annotations

from allocsearch.report.front import StudyFront, knee, study_front
from allocsearch.search.losses import losses
from allocsearch.search.records import StudyRecord, TrialRecord


def representatives(
    record: StudyRecord, front: StudyFront | None = None
) -> tuple[TrialRecord, ...]:
    """The knee, then the member of the front that is best in each objective, each trial once."""
    members = (front or study_front(record)).members
    objectives = record.config.study.parsed_objectives
    if not members:
        return ()
    cost = losses([member.mean for member in members], objectives)
    best = [members[int(column.argmin())] for column in cost.T]
    chosen = {m.trial.number: m.trial for m in (knee(members, objectives), *best)}
    return tuple(chosen.values())
