"""How the rungs of a study stand: what they are worth, and what they have stopped."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from allocsearch.report.front import comparable
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.rungs.judging import RungCalibration, calibrate, full_trainings
from allocsearch.search.rungs.rung_replay import Replay, replay


@dataclass(frozen=True)
class RungStanding:
    """How one rung stands.

    Attributes:
        calibration: How well it orders trials, and whether it may stop them.
        pruned: How many trials it has stopped.
        saved: What that has saved, in full trainings: trainings that the rung took for itself are
            taken off.
    """

    calibration: RungCalibration
    pruned: int
    saved: float


def rung_standings(record: StudyRecord) -> tuple[RungStanding, ...]:
    """How each rung of a study stands; empty where early stopping is off."""
    section = record.config.early_stopping
    objectives = record.config.study.parsed_objectives
    standings = []
    for rung in section.measured:
        pruned = sum(stopped_at(trial) == rung for trial in record.trials)
        calibration = calibrate(record.trials, objectives, rung, section)
        seen = sum(reached.rung == rung for trial in record.trials for reached in trial.rungs)
        taken = seen if record.config.rung_schedule == "own" else pruned
        standings.append(RungStanding(calibration, pruned, pruned - taken * rung))
    return tuple(standings)


def rung_replay(record: StudyRecord, rung: float) -> Replay:
    """What a rung alone would have done to the full trainings, had it judged from the first on."""
    section = record.config.early_stopping.model_copy(update={"mode": "forced"})
    objectives = record.config.study.parsed_objectives
    full = full_trainings(record.trials, rung)
    return replay(full, objectives, (rung,), section, record.config.rung_schedule)


def stopped_at(trial: TrialRecord) -> float | None:
    """The rung that stopped a trial, or None where none did."""
    return trial.rungs[-1].rung if trial.state == "pruned" and trial.rungs else None


def rung_frame(record: StudyRecord) -> pd.DataFrame:
    """The trials with finite objectives, one row for each rung that they reached.

    Columns: `number`, `allocation` (text), `rung`, `counts` (whether the trial counts for the
    calibration of the rung), and for each objective, as `retention`, its value at the end and,
    as `retention_at_rung`, at the rung.
    """
    metrics = [objective.metric for objective in record.config.study.parsed_objectives]
    names = ("number", "allocation", "rung", "counts", *metrics, *map(at_rung, metrics))
    rungs = record.config.early_stopping.measured
    counting = {
        rung: {trial.number for trial in full_trainings(record.trials, rung)} for rung in rungs
    }
    rows = [
        (
            trial.number,
            str(trial.allocation or ""),
            reached.rung,
            trial.number in counting[reached.rung],
            *trial.values,
            *reached.values,
        )
        for trial in comparable(record)
        for reached in trial.rungs
        if reached.rung in counting
    ]
    return pd.DataFrame(rows, columns=[*names])


def at_rung(metric: str) -> str:
    """The column of a metric's value at the rung."""
    return f"{metric}_at_rung"
