"""What early stopping would have done to trainings that were run to the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import moocore

from allocsearch.config import EarlyStoppingSection, Objective, RungSchedule
from allocsearch.search.records import RungRecord, TrialRecord
from allocsearch.search.rungs.judging import judge, may_judge
from allocsearch.search.rungs.rung_cost import trial_cost
from allocsearch.search.sampling.losses import losses


@dataclass(frozen=True)
class Replay:
    """What rungs would have done.

    Attributes:
        trials: How many trainings were replayed.
        stopped: The rung that would have stopped a trial, by the number of the trial.
        saved: Share of the cost of all of them that this would have saved, negative where rungs of
            their own schedules would have cost more; the measurements at the rungs are taken to
            cost nothing.
        front: How many of them are on their front.
        lost: How many of those would have been stopped.
    """

    trials: int
    stopped: Mapping[int, float]
    saved: float
    front: int
    lost: int


def replay(
    trials: Iterable[TrialRecord],
    objectives: Sequence[Objective],
    rungs: Sequence[float],
    section: EarlyStoppingSection,
    schedule: RungSchedule,
) -> Replay:
    """Judge trainings one after the other, in order of number, as if they had just been run.

    Args:
        trials: Of which those are replayed that are complete, have all the rungs and could not
            have been stopped at any of them.
        objectives: The objectives, in the order of the values.
        rungs: Those that may judge, in ascending order.
        section: Early stopping; with `forced` the rungs judge from the first trial on, otherwise
            as soon as what has ended before proves them.
        schedule: What the rungs are.

    Reference: Ax replays a finished experiment to choose an early stopping strategy.
    """
    full = [
        trial
        for trial in sorted(trials, key=lambda trial: trial.number)
        if trial.state == "complete"
        and {*rungs} <= {record.rung for record in trial.rungs}
        and not any(record.judged for record in trial.rungs if record.rung in rungs)
    ]
    ended: list[TrialRecord] = []
    cost = 0.0
    stopped: dict[int, float] = {}
    for trial in full:
        reached: list[RungRecord] = []
        for record in (record for record in trial.rungs if record.rung in rungs):
            judged = may_judge(ended, objectives, record.rung, section)
            reached.append(replace(record, judged=judged))
            if judged and not judge(ended, record.values, objectives, record.rung, section):
                ended.append(replace(trial, state="pruned", values=(), rungs=tuple(reached)))
                stopped[trial.number] = record.rung
                break
        else:
            ended.append(replace(trial, rungs=tuple(reached)))
        complete = trial.number not in stopped
        cost += trial_cost([record.rung for record in reached], complete, schedule)
    if not full:
        return Replay(0, {}, 0.0, 0, 0)
    best = moocore.is_nondominated(
        losses([trial.values for trial in full], objectives), keep_weakly=True
    )
    front = {trial.number for trial, on in zip(full, best, strict=True) if on}
    saved = 1 - cost / len(full)
    return Replay(len(full), stopped, saved, len(front), len(front.intersection(stopped)))
