"""The trials of a study as data frames and CSV files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from allocsearch.report.front import knee, pareto_front
from allocsearch.search.records import StudyRecord
from allocsearch.search.storage import write_atomically

TRIALS_NAME = "trials.csv"
FRONT_NAME = "front.csv"


def trials_frame(record: StudyRecord) -> pd.DataFrame:
    """Every trial of a study, one row each, in order of number.

    Columns: `number`, `state`, `allocation` (text), `d_1`, ..., `d_L` (bottom to top; missing
    above a trial's own layers), `ratio`, `seed`, `on_front`, `recommended`, the objectives, all
    other metrics (nats or without unit; missing where not recorded), `duration_s` (seconds),
    `reason`, `retry_of`, `warm_start` (`knee` or `end` of the predicted front, for a trial that
    comes from there).
    """
    front = pareto_front(record)
    objectives = record.config.study.parsed_objectives
    members = {trial.number for trial in front}
    chosen = knee(front, objectives).number if front else None
    layers = max((t.allocation.layers for t in record.trials if t.allocation), default=0)
    names = dict.fromkeys(objective.metric for objective in objectives)
    for trial in record.complete:
        names.update(dict.fromkeys(trial.metrics))

    columns: dict[str, pd.Series] = {}

    def add(name: str, values: list[object], dtype: str) -> None:
        columns[name] = pd.Series(values, dtype=dtype)

    trials = record.trials
    splits = [t.allocation for t in trials]
    add("number", [t.number for t in trials], "int64")
    add("state", [t.state for t in trials], "string")
    add("allocation", [a and str(a) for a in splits], "string")
    for i in range(layers):
        dims = [a.dims[i] if a and i < a.layers else None for a in splits]
        add(f"d_{i + 1}", [*dims], "Int64")
    add("ratio", [a and a.ratio for a in splits], "float64")
    add("seed", [t.seed for t in trials], "Int64")
    add("on_front", [t.number in members for t in trials], "bool")
    add("recommended", [t.number == chosen for t in trials], "bool")
    # What Optuna was told comes first: the front is drawn from it.
    told = [
        {**t.metrics, **dict(zip((o.metric for o in objectives), t.values, strict=False))}
        for t in trials
    ]
    for name in names:
        add(name, [values.get(name) for values in told], "float64")
    add("duration_s", [t.duration for t in trials], "float64")
    add("reason", [t.reason for t in trials], "string")
    add("retry_of", [t.retry_of for t in trials], "Int64")
    add("warm_start", [t.warm_start for t in trials], "string")
    return pd.DataFrame(columns)


def front_frame(record: StudyRecord) -> pd.DataFrame:
    """The members of the front, best in the first objective first.

    Columns as those of `trials_frame` but for `state`, `on_front`, `reason` and `retry_of`.
    """
    numbers = [trial.number for trial in pareto_front(record)]
    frame = trials_frame(record).set_index("number", drop=False).loc[numbers]
    return frame.drop(columns=["state", "on_front", "reason", "retry_of"]).reset_index(drop=True)


def write_tables(record: StudyRecord) -> tuple[Path, Path]:
    """Write `trials.csv` and `front.csv` into the run folder, and return their paths.

    A missing value is an empty cell; floats are written so that they read back exactly.
    """
    paths = record.folder / TRIALS_NAME, record.folder / FRONT_NAME
    for path, frame in zip(paths, (trials_frame(record), front_frame(record)), strict=True):
        write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))
    return paths
