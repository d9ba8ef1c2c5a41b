"""A whole study, resolved: every field has its value."""

from __future__ import annotations

from typing import Literal, Self

import tomli_w
from pydantic import model_validator

from allocsearch.config.data import DataSection, OodSets
from allocsearch.config.early_stopping import EarlyStoppingSection, RungSchedule
from allocsearch.config.errors import InputError, mistake, suggestion
from allocsearch.config.evaluation import EvaluationSection
from allocsearch.config.model import ModelSection
from allocsearch.config.names import metric_names
from allocsearch.config.ray import RaySection
from allocsearch.config.search_space import SearchSpaceSection
from allocsearch.config.section import Section
from allocsearch.config.study import StudySection
from allocsearch.config.tracking import TrackingSection
from allocsearch.config.trainer import TrainerSection
from allocsearch.config.training import TrainingSection


class StudyConfig(Section):
    """A whole study file, resolved: every field has its value.

    Only our own HVAE needs `data`; `model`, `training` and `evaluation` are for it alone, but for
    what a function or program of the user reads there.
    """

    schema_version: Literal[1] = 1
    """Version of the format."""
    study: StudySection = StudySection()
    """What is searched for, and how long."""
    search_space: SearchSpaceSection
    """Which allocations can be proposed."""
    data: DataSection | None = None
    """ID and OOD data; only a trainer of your own can do without."""
    model: ModelSection = ModelSection()
    """The HVAE, but for its allocation."""
    training: TrainingSection = TrainingSection()
    """How one model is trained."""
    evaluation: EvaluationSection = EvaluationSection()
    """How a trained model is measured."""
    early_stopping: EarlyStoppingSection = EarlyStoppingSection()
    """The rungs that may stop trials."""
    trainer: TrainerSection = TrainerSection()
    """What trains and measures the allocations."""
    ray: RaySection = RaySection()
    """What a worker asks of Ray."""
    tracking: TrackingSection = TrackingSection()
    """Which experiment trackers are told of the trials."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        without = self.study.executor == "ray" and self.ray.num_gpus == 0
        if without and self.training.device == "cuda":
            message = "found 0 with training.device = 'cuda'; allowed: auto, or more than 0 to 1"
            raise mistake("ray.num_gpus", message)
        if self.trainer.foreign:
            self._check_foreign()
        elif self.data is None:
            raise mistake("data", "missing; it has no default")
        else:
            self._check_own()
        return self

    def _check_foreign(self) -> None:
        if self.evaluation.probe is not None:
            found = f"found {self.evaluation.probe!r} with trainer.kind {self.trainer.kind!r}"
            message = f"{found}; allowed: only 'hvae', whose posterior means are probed"
            raise mistake("evaluation.probe", message)
        if self.training.pretrain is not None:
            found = f"found a section with trainer.kind {self.trainer.kind!r}"
            message = f"{found}; allowed: only with 'hvae', whose encoder is pretrained"
            raise mistake("training.pretrain", message)
        if self.study.warm_start == "theory" and self.data is None:
            message = "found 'theory'; allowed without data: 'none', as it predicts from data"
            raise mistake("study.warm_start", message)
        if "hvae_oodd_config" in self.trainer.placeholders:
            if self.model.blocks == "conv1d":
                message = "found 'conv1d'; allowed with {hvae_oodd_config}: 'conv', 'dense'"
                raise mistake("model.blocks", message)
            if self.model.one_hot:
                message = "found true; allowed with {hvae_oodd_config}: false, as it takes images"
                raise mistake("model.one_hot", message)
            for layers in self.search_space.layer_counts:
                self.model.check_layers(layers)

    def _check_own(self) -> None:
        if self.early_stopping.mode != "off" and self.training.population != 1:
            found = f"found {self.early_stopping.mode!r}"
            message = f"{found} with training.population = {self.training.population!r}"
            raise mistake(
                "early_stopping.mode", f"{message}; allowed: 'off', or a population of 1"
            )
        layers = min(self.search_space.layer_counts)
        self.evaluation.check_score(layers, self.model)
        self.evaluation.check_probe(layers)
        self._check_roles()
        for layers in self.search_space.layer_counts:
            self.model.check_layers(layers)
        allowed = metric_names(self)
        for objective in self.study.parsed_objectives:
            if objective.metric not in allowed:
                found = f"unknown objective {objective.metric!r}"
                message = suggestion(objective.metric, allowed, found)
                detection = objective.metric.startswith(("auroc", "aupr", "fpr"))
                if detection and not self.ood_validation:
                    message = f"{found}: AUROC needs a set in data.ood_validation"
                if objective.metric.startswith("probe_") and self.evaluation.probe is None:
                    message = f"{found}: a probe needs evaluation.probe, a layer or 'all'"
                raise mistake("study.objectives", message)

    def _check_roles(self) -> None:
        """Refuse a set that nothing is measured on, and shifts that would move pads."""
        data = self.own_data
        if data.probe is not None and self.evaluation.probe is None:
            message = f"found {data.probe.title!r}; allowed only with evaluation.probe, a layer or"
            raise mistake("data.probe", f"{message} 'all'")
        if self.model.pad is None or data.id.source == "fasta":
            return
        for key, shift in data.shifts.items():
            message = f"found {shift!r} with model.pad, and {data.id.source!r} has ids of unknown"
            raise mistake(
                f"data.{key}", f"{message} meaning; allowed: sets of one's own, or 'fasta'"
            )

    @property
    def own_data(self) -> DataSection:
        """The data of a study that needs it.

        Raises:
            InputError: If it has none, as a study of a foreign trainer may.
        """
        if self.data is None:
            raise InputError(
                f"data: missing; a study with trainer.kind {self.trainer.kind!r} has none that "
                "allocsearch could use"
            )
        return self.data

    @property
    def ood_validation(self) -> OodSets:
        """The OOD validation sets; none without data."""
        return self.data.ood_validation if self.data else ()

    @property
    def rung_schedule(self) -> RungSchedule:
        """What rungs are; a function or program of the user has them within its training."""
        return "full" if self.trainer.foreign else self.early_stopping.schedule

    def to_toml(self) -> str:
        """The resolved study as TOML; `load` of it gives an equal object."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
