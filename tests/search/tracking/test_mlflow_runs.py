"""Runs of MLflow in a database of its own, read back by its client."""

from __future__ import annotations

import json

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from optuna.trial import TrialState, create_trial

from allocsearch.allocation import Allocation
from allocsearch.search.records import ALLOCATION, METRICS, REPLICATE, SEED, read_trial
from allocsearch.search.storage import trial_folder
from allocsearch.search.tracking import mlflow_runs
from allocsearch.search.tracking.mlflow_runs import MLflowRuns


@pytest.fixture
def study(request):
    """A study with a complete, a failed and a pruned trial, and one that was interrupted."""
    name = request.node.name
    found = optuna.create_study(directions=["maximize", "minimize"], study_name=name)
    settled = {ALLOCATION: "9-3", SEED: 5, REPLICATE: 0}
    done = {METRICS: {"auroc": 0.75, "odd name/[x]": 1.5, "rate_1": 2.0}}
    ends = [
        (TrialState.COMPLETE, [0.75, 1.5], {**settled, **done}),
        (TrialState.FAIL, None, {**settled, "reason": "the loss became nan"}),
        (TrialState.PRUNED, None, settled),
        (TrialState.FAIL, None, {**settled, "interrupted": True}),
    ]
    for state, values, attributes in ends:
        found.add_trial(create_trial(state=state, values=values, user_attrs=attributes))
    return found


def log_all(uri, study, folder):
    log = MLflowRuns(uri, study, ["auroc", "odd name/[x]"], folder)
    for trial in map(read_trial, study.get_trials()):
        log.log(trial)


def runs(client, study, view=ViewType.ACTIVE_ONLY):
    experiment = client.get_experiment_by_name(study.study_name)
    found = client.search_runs([experiment.experiment_id], run_view_type=view)
    return {int(run.data.tags["number"]): run for run in found}, len(found)


def test_each_trial_that_ended_has_a_run(uri, client, study, tmp_path):
    kept = trial_folder(tmp_path, 0)
    kept.mkdir(parents=True)
    epochs = [{"epoch": i, "epochs": 2, "elbo": -10.0 * i, "rates": [i, 0.5]} for i in (1, 2)]
    (kept / "metrics.json").write_text(json.dumps({"history": epochs}))
    log_all(uri, study, tmp_path)
    found, total = runs(client, study)
    assert total == 3
    states = {number: run.info.status for number, run in found.items()}
    assert states == {0: "FINISHED", 1: "FAILED", 2: "KILLED"}
    done = found[0].data
    final = {"auroc": 0.75, "odd name__x_": 1.5, "rate_1": 2.0, "training_elbo": -20.0}
    final |= {"training_rate_1": 2.0, "training_rate_2": 0.5}
    assert done.metrics == final
    curve = client.get_metric_history(found[0].info.run_id, "training_elbo")
    assert [(each.step, each.value) for each in curve] == [(1, -10.0), (2, -20.0)]
    curve = client.get_metric_history(found[0].info.run_id, "training_rate_1")
    assert [(each.step, each.value) for each in curve] == [(1, 1.0), (2, 2.0)]
    ratio = str(Allocation((9, 3)).ratio)
    settled = {"allocation": "9-3", "d_1": "9", "d_2": "3", "layers": "2", "ratio": ratio}
    assert done.params == {**settled, "seed": "5", "replicate": "0"}
    assert found[0].info.run_name == "9-3"
    assert found[1].data.tags["reason"] == "the loss became nan"
    # The moments are the trial's, not those of the logging.
    trial = study.trials[0]
    assert found[0].info.start_time == int(trial.datetime_start.timestamp() * 1000)
    assert found[0].info.end_time == int(trial.datetime_complete.timestamp() * 1000)


def test_nothing_is_there_twice(uri, client, study, tmp_path):
    for _ in range(2):
        log_all(uri, study, tmp_path)
    found, total = runs(client, study)
    assert total == len(found) == 3
    assert len(client.get_metric_history(found[0].info.run_id, "auroc")) == 1


@pytest.mark.parametrize("after", ["create_run", "log_batch", "callback"])
def test_what_was_interrupted_goes_on(uri, client, study, tmp_path, monkeypatch, after):
    class KilledError(Exception):
        pass

    def killed(*arguments, **named):
        raise KilledError

    with monkeypatch.context() as patch:
        if after == "callback":
            patch.setattr(mlflow_runs.MLflowRuns, "_callback", killed)
        else:
            # The call that follows.
            following = "log_batch" if after == "create_run" else "set_terminated"
            patch.setattr(MlflowClient, following, killed)
        with pytest.raises(KilledError):
            log_all(uri, study, tmp_path)
    log_all(uri, study, tmp_path)
    found, total = runs(client, study)
    assert total == 3
    assert found[0].info.status == "FINISHED"
    assert found[0].data.metrics["rate_1"] == 2.0
    assert len(client.get_metric_history(found[0].info.run_id, "rate_1")) == 1


def test_one_that_was_deleted_stays_so(uri, client, study, tmp_path):
    log_all(uri, study, tmp_path)
    client.delete_run(runs(client, study)[0][1].info.run_id)
    log_all(uri, study, tmp_path)
    assert runs(client, study, ViewType.ALL)[1] == 3
    assert set(runs(client, study)[0]) == {0, 2}


def test_another_study_of_the_name_has_its_own(uri, client, study, tmp_path):
    log_all(uri, study, tmp_path)
    again = optuna.create_study(directions=study.directions, study_name=study.study_name)
    again.add_trials(study.get_trials())
    log_all(uri, again, tmp_path)
    assert runs(client, study)[1] == 6
