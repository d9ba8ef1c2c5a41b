"""A tiny study with a probe, searched and evaluated in this process."""

from __future__ import annotations

import json
from statistics import fmean

import pandas as pd

from allocsearch.config import load
from allocsearch.data.splits import load_test_data
from allocsearch.metrics.probe import probe_model
from allocsearch.report.evaluation_table import evaluation_frame
from allocsearch.report.evaluation_text import choice_lines
from allocsearch.report.exports.export import export_trial
from allocsearch.report.page import write_page
from allocsearch.report.tables import write_tables
from allocsearch.search.evaluation.entrants import Pick
from allocsearch.search.evaluation.final import evaluate
from allocsearch.search.evaluation.fresh import FreshTraining, fresh_seeds
from allocsearch.search.hvae_trainer import HVAETrainer
from allocsearch.search.records import read_run
from allocsearch.search.run import prepare
from allocsearch.search.slots import fill
from allocsearch.search.storage import open_study
from allocsearch.search.worker import work
from allocsearch.spaces import build_space


def test_a_probe_is_recorded_shown_exported_and_evaluated(tmp_path, write_study):
    data = {
        "id": {"source": "digits", "classes": [0, 1, 2]},
        "ood_validation": ["inversion"],
        "test_size": 64,
        "ood_test": [{"source": "digits", "name": "nine", "classes": [9]}],
    }
    study = {"objectives": ["max:probe_accuracy", "max:retention"], "trials": 2}
    path = write_study(
        tmp_path / "a.toml", study=study, data=data, evaluation={"score": "llr_1", "probe": 1}
    )
    config = prepare(load(path), tmp_path / "run")
    opened = open_study(config, tmp_path / "run", create=True)
    fill(opened, config, build_space(config.search_space))
    work(opened, config, tmp_path / "run", HVAETrainer(config))
    record = read_run(tmp_path / "run")
    trial = record.trials[0]
    kept = json.loads((tmp_path / "run" / "trials" / "0" / "metrics.json").read_text())
    for name in ("probe_accuracy", "probe_accuracy_knn", "probe_chance"):
        assert 0 < trial.metrics[name] == kept["metrics"][name] <= 1
    assert trial.values[0] == trial.metrics["probe_accuracy"]
    assert len(trial.provenance["labels"]) == 64
    assert export_trial(record, trial).metrics["probe_accuracy_knn"] > 0
    write_tables(record)
    table = pd.read_csv(tmp_path / "run" / "trials.csv")
    assert {"probe_accuracy", "probe_accuracy_knn"} <= {*table.columns}
    assert "probe accuracy, k-NN" in write_page(record).read_text()

    evaluation = evaluate(record, [Pick("trial:0", trial)], 2, 1)
    found = evaluation.evaluated[0]
    test = load_test_data(config.own_data).test
    seeds = fresh_seeds(record, 2)
    models = [
        FreshTraining(trial.allocation, seed, config, record.folder).model(test.shape)
        for seed in seeds
    ]
    own = [probe_model(m, test, 1, 500, seed) for m, seed in zip(models, seeds, strict=True)]
    assert found.probe_accuracy == fmean(each.accuracy for each in own)
    assert found.probe_accuracy_knn == fmean(each.accuracy_knn for each in own)
    assert found.probe_chance == own[0].chance
    assert f"probe accuracy of the ID test part {found.probe_accuracy:.3f}" in "".join(
        choice_lines(evaluation)
    )
    assert evaluation_frame(evaluation)["probe_accuracy"].iloc[0] == found.probe_accuracy
