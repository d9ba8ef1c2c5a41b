"""Trials written to a database by the thousand, where Optuna writes them one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial

_CHUNK = 500


def add_trials(study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
    """What `study.add_trials` does, for a study in a database that nobody else writes to."""
    engine = study._storage._backend.engine
    first = len(study.get_trials(deepcopy=False))
    with engine.begin() as connection:
        for start in range(0, len(trials), _CHUNK):
            chunk = trials[start : start + _CHUNK]
            rows = [
                {
                    "study_id": study._study_id,
                    "number": first + start + i,
                    "state": trial.state,
                    "datetime_start": trial.datetime_start,
                    "datetime_complete": trial.datetime_complete,
                }
                for i, trial in enumerate(chunk)
            ]
            table = models.TrialModel.__table__
            query = sqlalchemy.insert(table).returning(
                table.c.trial_id, sort_by_parameter_order=True
            )
            keys = connection.execute(query, rows).scalars().all()
            found: dict[Any, list[dict[str, Any]]] = {}
            for key, trial in zip(keys, chunk, strict=True):
                for model, row in _rows(trial):
                    found.setdefault(model, []).append({"trial_id": key, **row})
            for model, each in found.items():
                connection.execute(sqlalchemy.insert(model.__table__), each)


def _rows(trial: FrozenTrial) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The rows of a trial by the table that they belong to."""
    for objective, value in enumerate(trial.values or ()):
        kind = models.TrialValueModel.TrialValueType.FINITE
        yield (
            models.TrialValueModel,
            {"objective": objective, "value": value, "value_type": kind},
        )
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        yield (
            models.TrialParamModel,
            {
                "param_name": name,
                "param_value": distribution.to_internal_repr(value),
                "distribution_json": distribution_to_json(distribution),
            },
        )
    for model, attributes in (
        (models.TrialUserAttributeModel, trial.user_attrs),
        (models.TrialSystemAttributeModel, trial.system_attrs),
    ):
        for key, value in attributes.items():
            yield model, {"key": key, "value_json": json.dumps(value)}
