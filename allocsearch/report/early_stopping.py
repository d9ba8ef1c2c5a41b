"""How the rungs of a study stand: what they are worth, and what they have stopped."""

from __future__ import annotations

from dataclasses import dataclass

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
