from __future__ import annotations

import dataclasses

import pandas as pd

from allocsearch.allocation import Allocation
from allocsearch.report.front import pareto_front
from allocsearch.report.pick import pick
from allocsearch.report.tables import front_frame, trials_frame, write_tables
from allocsearch.search.records import TrialRecord


def _read(path):
    return pd.read_csv(path, dtype={"retry_of": "Int64"})


def test_csv_reads_back_exactly(study):
    trials_path, front_path = write_tables(study)
    trials, front = _read(trials_path), _read(front_path)
    assert trials["number"].tolist() == list(range(24))
    assert trials["state"].tolist() == [t.state for t in study.trials]
    for trial, (_, row) in zip(study.trials, trials.iterrows(), strict=True):
        assert row["allocation"] == str(trial.allocation)
        assert tuple(row[["d_1", "d_2", "d_3"]]) == trial.allocation.dims
        assert row["ratio"] == trial.allocation.ratio
        for metric, value in trial.metrics.items():
            assert row[metric] == value
    assert trials.loc[5, "reason"] == "loss is <script>nan</script>"
    assert trials.loc[15, "retry_of"] == 14
    assert trials.loc[5, ["retention", "elbo"]].isna().all()
    assert front["number"].tolist() == [t.number for t in pareto_front(study)]


def test_columns_come_in_the_stated_order(study):
    columns = list(trials_frame(study).columns)
    start = ["number", "state", "allocation", "d_1", "d_2", "d_3", "ratio", "seed"]
    start += ["on_front", "recommended", "retention", "attenuation", "auroc"]
    assert columns[: len(start)] == start
    assert columns[-4:] == ["duration_s", "reason", "retry_of", "warm_start"]
    assert len(columns) == len(set(columns))


def test_marks_are_those_of_front_and_knee(study):
    frame = trials_frame(study)
    on_front = frame.loc[frame["on_front"], "number"].tolist()
    assert on_front == sorted(t.number for t in pareto_front(study))
    assert frame.loc[frame["recommended"], "number"].tolist() == [pick(study, "knee").number]


def test_fewer_layers_leave_dims_empty(study):
    values = (1.0, 1.0, 0.1)
    flat = TrialRecord(24, "complete", Allocation((20, 4)), 1, values=values)
    record = dataclasses.replace(study, trials=(*study.trials, flat))
    row = trials_frame(record).iloc[-1]
    assert row["d_2"] == 4
    assert pd.isna(row["d_3"])
    assert row["retention"] == 1.0


def test_empty_study_has_headers_only(study):
    record = dataclasses.replace(study, trials=())
    assert len(trials_frame(record)) == 0
    assert len(front_frame(record)) == 0
    paths = write_tables(record)
    assert all(_read(path).columns[0] == "number" for path in paths)
