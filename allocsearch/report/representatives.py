"""The trials that a page shows where it cannot show all."""

from __future__ import annotations

from collections.abc import Iterator

from allocsearch.report.front import StudyFront, best_members, knee, study_front
from allocsearch.search.records import StudyRecord, TrialRecord


def representatives(
    record: StudyRecord, front: StudyFront | None = None
) -> tuple[TrialRecord, ...]:
    """The knee, then the member of the front that is best in each objective, each trial once."""
    members = (front or study_front(record)).members
    objectives = record.config.study.parsed_objectives
    if not members:
        return ()
    best = best_members(members, objectives)
    chosen = {m.trial.number: m.trial for m in (knee(members, objectives), *best)}
    return tuple(chosen.values())


def chosen_trainings(record: StudyRecord, front: StudyFront) -> Iterator[tuple[TrialRecord, bool]]:
    """The representatives, each followed by the other trainings of its allocation.

    Args:
        record: The study.
        front: Its front.

    Yields:
        A trial, and whether its allocation came before.
    """
    groups = {member.trial.number: member.replicates.trials for member in front.members}
    for typical in representatives(record, front):
        yield typical, False
        for trial in groups[typical.number]:
            if trial.number != typical.number:
                yield trial, True
