"""Trials as runs of MLflow."""

from __future__ import annotations

import copy
import logging
import os
import re
import uuid
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import optuna

from allocsearch.config import InputError
from allocsearch.search.history import METRICS_NAME, read_history
from allocsearch.search.records import TrialRecord
from allocsearch.search.storage import trial_folder
from allocsearch.search.tracking.hyperparameters import hyperparameters

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from optuna_integration import MLflowCallback

T = TypeVar("T")

# Of the study, as names are given again; and of each run.
_ID = "tracking_id"
_ID_TAG, _TRIAL_TAG = "allocsearch.study", "allocsearch.trial"
_STATUS = {"complete": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}
# What a study waits for, it waits for in a thread, but at its end it does so in earnest.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# The most metrics, and the most parameters or tags, that MLflow takes at once.
_METRICS_AT_ONCE, _OTHERS_AT_ONCE = 1000, 100
_LONGEST_NAME, _LONGEST_VALUE = 250, 5000


class MLflowRuns:
    """Has one MLflow run for each trial that has ended, in the experiment of the study's name.

    Which trial a run is of, its tags say, so that what was interrupted goes on with it.

    Args:
        uri: Of the tracking server or database.
        study: The study.
        objectives: The names of its objectives.
        folder: Its run folder, for the curves of trainings.
    """

    name = "tracking.mlflow"

    def __init__(
        self, uri: str, study: optuna.Study, objectives: Sequence[str], folder: Path
    ) -> None:
        self._uri = uri
        self._study = study
        self._names = [_entity_name(objective) for objective in objectives]
        self._folder = folder
        self._id = str(study.user_attrs.get(_ID) or uuid.uuid4())
        if _ID not in study.user_attrs:
            study.set_user_attr(_ID, self._id)
        self._connected: tuple[MlflowClient, str] | None = None
        # The runs that are known, with their states.
        self._runs: dict[int, tuple[str, str]] = {}

    def log(self, trial: TrialRecord) -> None:
        """Log a trial, unless it is there.

        Args:
            trial: One that has ended; an interrupted one is left out, as another repeats it.

        Raises:
            Exception: Whatever MLflow raises.
        """
        status = _STATUS.get(trial.state)
        if status is None:
            return
        client, experiment = self._connected or self._connect()
        if trial.number not in self._runs:
            self._runs |= self._known(client, experiment, trial.number)
        storage = self._study._storage
        key = storage.get_trial_id_from_study_id_trial_number(self._study._study_id, trial.number)
        frozen = copy.copy(storage.get_trial(key))
        if trial.number not in self._runs:
            tags = {_ID_TAG: self._id, _TRIAL_TAG: str(trial.number)}
            started = _milliseconds(frozen.datetime_start)
            created = client.create_run(experiment, started, tags)
            self._runs[trial.number] = created.info.run_id, created.info.status
        run, found = self._runs[trial.number]
        if found == status:
            return
        self._log_all(client, run, trial)
        # It is asked for the run by this attribute, which no trial that has ended can be given.
        frozen.system_attrs = {**frozen.system_attrs, "mlflow_run_id": run}
        self._callback(trial)(self._study, frozen)
        client.set_terminated(run, status, _milliseconds(frozen.datetime_complete))
        self._runs[trial.number] = run, status

    def _callback(self, trial: TrialRecord) -> MLflowCallback:
        from optuna_integration import MLflowCallback

        name = str(trial.allocation or f"trial {trial.number}")[:_LONGEST_NAME]
        with warnings.catch_warnings():
            # Of Optuna's integrations, it is to go with their version 6.
            warnings.simplefilter("ignore", FutureWarning)
            return MLflowCallback(
                self._uri,
                self._names,
                mlflow_kwargs={"run_name": name},
                tag_trial_user_attrs=False,
            )

    def _connect(self) -> tuple[MlflowClient, str]:
        for variable, value in _ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        # It tells of every attempt to reach a server that is away.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        from mlflow import MlflowClient

        client = MlflowClient(self._uri)
        name = self._study.study_name
        experiment = client.get_experiment_by_name(name)
        key = client.create_experiment(name) if experiment is None else experiment.experiment_id
        self._runs = self._known(client, key)
        self._connected = client, key
        return self._connected

    def _known(
        self, client: MlflowClient, experiment: str, trial: int | None = None
    ) -> dict[int, tuple[str, str]]:
        """The runs of all trials or of one; one that somebody has deleted counts as ended."""
        from mlflow.entities import ViewType

        wanted = f"tags.`{_ID_TAG}` = '{self._id}'"
        if trial is not None:
            wanted += f" and tags.`{_TRIAL_TAG}` = '{trial}'"
        found: dict[int, tuple[str, str]] = {}
        token: str | None = None
        while True:
            page = client.search_runs([experiment], wanted, ViewType.ALL, page_token=token)
            for run in page:
                found[int(run.data.tags[_TRIAL_TAG])] = run.info.run_id, run.info.status
            token = page.token
            if not token:
                return found

    def _log_all(self, client: MlflowClient, run: str, trial: TrialRecord) -> None:
        from mlflow.entities import Param, RunTag

        metrics = self._metrics(trial)
        params = [
            Param(_entity_name(key), str(value)[:_LONGEST_VALUE])
            for key, value in hyperparameters(trial).items()
        ]
        texts = {"reason": trial.reason, "score": trial.score, **trial.provenance}
        texts["broken_invariants"] = ", ".join(trial.broken_invariants)
        tags = [
            RunTag(_entity_name(key), text[:_LONGEST_VALUE]) for key, text in texts.items() if text
        ]
        for some in _parts(metrics, _METRICS_AT_ONCE):
            client.log_batch(run, metrics=some)
        for some_params in _parts(params, _OTHERS_AT_ONCE):
            client.log_batch(run, params=some_params)
        for some_tags in _parts(tags, _OTHERS_AT_ONCE):
            client.log_batch(run, tags=some_tags)

    def _metrics(self, trial: TrialRecord) -> list[Metric]:
        """The metrics that are no objectives, which the callback logs, and the curve."""
        from mlflow.entities import Metric

        # Always the same: what is logged twice is there once.
        ended = _milliseconds(trial.ended) or 0
        named = {_entity_name(name): value for name, value in trial.metrics.items()}
        others = [
            Metric(name, value, ended, 0)
            for name, value in named.items()
            if name not in self._names
        ]
        try:
            curve = read_history(trial_folder(self._folder, trial.number) / METRICS_NAME)
        except InputError:
            # It is where the trial was trained, or the trainer has kept none.
            curve = ()
        return others + [
            Metric(f"training_{name}", value, ended, epoch.epoch)
            for epoch in curve
            for name, value in epoch.metrics.items()
        ]


def _parts(items: Sequence[T], most: int) -> list[Sequence[T]]:
    return [items[start : start + most] for start in range(0, len(items), most)]


def _entity_name(name: str) -> str:
    """A name as MLflow allows it."""
    return re.sub(r"[^\w .-]", "_", name, flags=re.ASCII)[:_LONGEST_NAME]


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
