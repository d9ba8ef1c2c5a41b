"""A whole study, resolved: every field has its value."""

from __future__ import annotations

from typing import Self

import tomli_w
from pydantic import model_validator

from allocsearch.config.data import DataSection
from allocsearch.config.early_stopping import EarlyStoppingSection
from allocsearch.config.errors import mistake, suggestion
from allocsearch.config.evaluation import EvaluationSection
from allocsearch.config.model import ModelSection
from allocsearch.config.names import metric_names
from allocsearch.config.search_space import SearchSpaceSection
from allocsearch.config.section import Section
from allocsearch.config.study import StudySection
from allocsearch.config.training import TrainingSection


class StudyConfig(Section):
    """A whole study file, resolved: every field has its value."""

    study: StudySection = StudySection()
    search_space: SearchSpaceSection
    data: DataSection
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()
    early_stopping: EarlyStoppingSection = EarlyStoppingSection()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.early_stopping.mode != "off" and self.training.population != 1:
            found = f"found {self.early_stopping.mode!r}"
            message = f"{found} with training.population = {self.training.population!r}"
            raise mistake(
                "early_stopping.mode", f"{message}; allowed: 'off', or a population of 1"
            )
        layers = min(self.search_space.layer_counts)
        self.evaluation.check_score(layers, self.model.likelihood)
        for layers in self.search_space.layer_counts:
            self.model.check_layers(layers)
        allowed = metric_names(self)
        for objective in self.study.parsed_objectives:
            if objective.metric not in allowed:
                found = f"unknown objective {objective.metric!r}"
                message = suggestion(objective.metric, allowed, found)
                if objective.metric.startswith(("auroc", "aupr", "fpr")) and not (
                    self.data.ood_validation
                ):
                    message = f"{found}: AUROC needs a set in data.ood_validation"
                raise mistake("study.objectives", message)
        return self

    def to_toml(self) -> str:
        """The resolved study as TOML; `load` of it gives an equal object."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
