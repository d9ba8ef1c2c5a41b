from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.report.exports.pick import pick
from allocsearch.report.front import pareto_front
from allocsearch.report.page import render_page
from allocsearch.report.tables import allocations_frame, front_frame, trials_frame, write_tables
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


def test_a_metric_called_as_a_column_has_one_of_its_own(study, tmp_path):
    first = study.complete[0]
    named = {"ratio": -5.0, "number": 0.5, "state": 2.0, "trainings": 3.0, "d_1": 0.25}
    trial = dataclasses.replace(first, metrics={**first.metrics, **named})
    trials = tuple(trial if t is first else t for t in study.trials)
    record = dataclasses.replace(study, trials=trials)
    frame = trials_frame(record)
    row = frame.loc[first.number]
    assert (row["number"], row["state"], row["ratio"]) == (
        first.number,
        "complete",
        first.allocation.ratio,
    )
    assert {name: row[f"metrics.{name}"] for name in named} == named
    assert frame.drop(columns=[f"metrics.{name}" for name in named]).equals(trials_frame(study))
    assert 'id="front"' in render_page(record)


def test_no_column_is_taken_by_an_objective(replicated):
    frame = allocations_frame(replicated)
    metrics = {name for trial in replicated.complete for name in trial.metrics}
    own = [n for n in frame if n not in metrics and not n.endswith("_half_width")]
    assert "ratio" in own
    for name in own:
        with pytest.raises(ValueError, match="allowed: a metric of another name"):
            Objective.parse(f"max:{name}")


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
