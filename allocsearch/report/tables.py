"""The trials of a study as data frames and CSV files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from allocsearch.config.names import is_column
from allocsearch.report.front import StudyFront, knee, study_front
from allocsearch.search.records import StudyRecord
from allocsearch.search.storage import write_atomically

TRIALS_NAME = "trials.csv"
FRONT_NAME = "front.csv"


def trials_frame(record: StudyRecord, front: StudyFront | None = None) -> pd.DataFrame:
    """Every trial of a study, one row each, in order of number.

    Columns: `number`, `state`, `allocation` (text), `d_1`, ..., `d_L` (bottom to top; missing
    above a trial's own layers), `ratio`, `seed`, `on_front`, `recommended`, the objectives, all
    other metrics (nats or without unit; missing where not recorded; `metrics.ratio` for one that a
    trainer calls as another column), `duration_s` (seconds),
    `reason`, `retry_of`, `warm_start` (`knee` or `end` of the predicted front, for a trial that
    comes from there). Every training of an allocation on the front is marked as on it.

    Args:
        record: The study.
        front: Its front, where that is known already.
    """
    members = (front or study_front(record)).members
    objectives = record.config.study.parsed_objectives
    on_front = {trial.number for member in members for trial in member.replicates.trials}
    chosen = knee(members, objectives).trial.number if members else None
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
    add("on_front", [t.number in on_front for t in trials], "bool")
    add("recommended", [t.number == chosen for t in trials], "bool")
    # What Optuna was told comes first: the front is drawn from it.
    told = [
        {**t.metrics, **dict(zip((o.metric for o in objectives), t.values, strict=False))}
        for t in trials
    ]
    for name in names:
        # A trainer may call a metric what a column is called.
        column = f"metrics.{name}" if is_column(name) else name
        add(column, [values.get(name) for values in told], "float64")
    add("duration_s", [t.duration for t in trials], "float64")
    add("reason", [t.reason for t in trials], "string")
    add("retry_of", [t.retry_of for t in trials], "Int64")
    add("warm_start", [t.warm_start for t in trials], "string")
    return pd.DataFrame(columns)


def allocations_frame(
    record: StudyRecord, front: StudyFront | None = None, trials: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Every allocation with finite objectives, one row each, in order of the first training.

    Columns as those of `trials_frame`, of the typical trial. Where some allocation has two
    trainings the objectives are means over the trainings, without the interval that one trial may
    have recorded, and there follow `trainings`, `front_probability` and, for each objective,
    `<objective>_half_width`: half its 95 % interval.

    Args:
        record: The study.
        front: Its front, where that is known already.
        trials: Its `trials_frame`, where that is known already.
    """
    front = front or study_front(record)
    numbers = [candidate.trial.number for candidate in front.candidates]
    frame = trials_frame(record, front) if trials is None else trials
    frame = frame.set_index("number", drop=False).loc[numbers]
    frame = frame.reset_index(drop=True)
    if front.spread is None:
        return frame
    metrics = [objective.metric for objective in record.config.study.parsed_objectives]
    frame = frame.drop(
        columns=[f"{m}_{end}" for m in metrics for end in ("low", "high")], errors="ignore"
    )
    columns: dict[str, pd.Series] = {
        "trainings": pd.Series([c.replicates.count for c in front.candidates], dtype="int64"),
        "front_probability": pd.Series([c.probability for c in front.candidates], dtype="float64"),
    }
    for i, metric in enumerate(metrics):
        frame[metric] = pd.Series([c.mean[i] for c in front.candidates], dtype="float64")
        halves = [
            (c.interval[i][1] - c.interval[i][0]) / 2 for c in front.candidates if c.interval
        ]
        columns[f"{metric}_half_width"] = pd.Series(halves, dtype="float64")
    return pd.concat([frame, pd.DataFrame(columns)], axis=1)


def front_frame(
    record: StudyRecord, front: StudyFront | None = None, trials: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The members of the front, best in the first objective first.

    Columns as those of `allocations_frame` but for `state`, `on_front`, `reason` and `retry_of`.
    """
    front = front or study_front(record)
    numbers = [member.trial.number for member in front.members]
    frame = allocations_frame(record, front, trials)
    frame = frame.set_index("number", drop=False).loc[numbers]
    return frame.drop(columns=["state", "on_front", "reason", "retry_of"]).reset_index(drop=True)


def write_tables(record: StudyRecord, front: StudyFront | None = None) -> tuple[Path, Path]:
    """Write `trials.csv` and `front.csv` into the run folder, and return their paths.

    A missing value is an empty cell; floats are written so that they read back exactly.

    Args:
        record: The study.
        front: Its front, where that is known already.
    """
    paths = record.folder / TRIALS_NAME, record.folder / FRONT_NAME
    front = front or study_front(record)
    trials = trials_frame(record, front)
    frames = trials, front_frame(record, front, trials)
    for path, frame in zip(paths, frames, strict=True):
        write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))
    return paths
