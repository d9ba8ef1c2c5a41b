"""The frames of rungs: what each trial had at each one.

Apart from how the rungs stand, which the terminal shows without pandas.
"""

from __future__ import annotations

import pandas as pd

from allocsearch.report.front import comparable
from allocsearch.search.records import StudyRecord
from allocsearch.search.rungs.judging import full_trainings


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
