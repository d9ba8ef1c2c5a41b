"""The exported allocation: all that is needed to train it again, and where it came from."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from allocsearch.allocation import Allocation
from allocsearch.config import (
    Counts,
    DataSection,
    EvaluationSection,
    InputError,
    ModelSection,
    Section,
    TrainerSection,
    TrainingSection,
    first_mistake,
    format_yaml,
    is_hvae_oodd,
    mistake,
)
from allocsearch.config.migration import EXPORT, read_migrated
from allocsearch.config.section import AllocationText, listed
from allocsearch.report.candidate_text import interval_ends
from allocsearch.report.front import study_front
from allocsearch.search.records import StudyRecord, TrialRecord

Format = Literal["toml", "yaml", "json"]


class Provenance(Section):
    """Where an exported allocation came from.

    Attributes:
        study: Name of the study.
        trial: Number of the trial.
        versions: Versions of the packages that trained it, by name, and the machine.
        data_fingerprint: Fingerprint of the data it was trained on, where known.
        pick: How it was picked, as `--pick` takes it, where known.
        where: What it had to satisfy, as `--where` takes it.
    """

    study: str
    trial: Annotated[int, Field(ge=0)]
    versions: Annotated[dict[str, str], Field(default_factory=dict)]
    data_fingerprint: str | None = None
    pick: str | None = None
    where: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()


class Certainty(Section):
    """What all trainings of the exported allocation say.

    Attributes:
        trainings: How many there are.
        means: Mean of each objective over them, by metric.
        low, high: Ends of the 95 % interval of each mean, over trainings.
        front_probability: Probability that the allocation is on the front.
    """

    trainings: Annotated[int, Field(ge=1)]
    means: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    front_probability: Annotated[float, Field(ge=0, le=1)]


class ExportedAllocation(Section):
    """An allocation with all that trains it again bit for bit on the same machine.

    One of a foreign trainer holds all sections that its function or program was given.

    Attributes:
        schema_version: Version of this format.
        allocation: The canonical text form, bottom to top.
        dims: The same as numbers, (d_1, ..., d_L).
        seed: Seed of the training.
        data, model, training, evaluation: The sections of the study file.
        trainer: The section of that name, where it is not our own HVAE that was trained.
        provenance: Where it came from.
        metrics: The trial's metrics by name (nats or without unit), all finite.
        certainty: What all trainings of the allocation say, in a study in which some allocation
            has two.
    """

    schema_version: Literal[2] = 2
    allocation: AllocationText
    dims: Counts
    seed: Annotated[int, Field(ge=0)]
    data: DataSection | None = None
    model: ModelSection
    training: TrainingSection
    evaluation: EvaluationSection
    trainer: TrainerSection | None = None
    provenance: Provenance
    metrics: Annotated[dict[str, float], Field(default_factory=dict)]
    certainty: Certainty | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            parsed = Allocation.parse(self.allocation)
        except ValueError as error:
            raise mistake("allocation", str(error)) from None
        if parsed.dims != self.dims:
            message = f"found {[*self.dims]}; allocation {self.allocation} has other dims"
            raise mistake("dims", message)
        if self.trainer is not None and self.trainer.foreign:
            return self
        if self.data is None:
            raise mistake("data", "missing; it has no default")
        self.model.check_layers(parsed.layers)
        self.evaluation.check_score(parsed.layers, self.model)
        self.evaluation.check_probe(parsed.layers)
        return self

    @property
    def parsed_allocation(self) -> Allocation:
        """The allocation as a value."""
        return Allocation(self.dims)

    @property
    def own_data(self) -> DataSection:
        """The data that our own HVAE was trained on.

        Raises:
            InputError: If there is none, as for a foreign trainer.
        """
        if self.data is None:
            raise InputError("data: missing; an allocation of a foreign trainer may have none")
        return self.data

    def _content(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """As TOML; `load_export` of it gives an equal object."""
        return tomli_w.dumps(self._content())

    def to_yaml(self) -> str:
        """As YAML; `load_export` of it gives an equal object."""
        return format_yaml(self._content())

    def to_json(self) -> str:
        """As JSON; `load_export` of it gives an equal object."""
        return json.dumps(self._content(), indent=2, allow_nan=False) + "\n"

    def to_text(self, format: Format) -> str:  # noqa: A002
        """In the format of that name."""
        writers = {"toml": self.to_toml, "yaml": self.to_yaml, "json": self.to_json}
        return writers[format]()


def export_trial(
    record: StudyRecord,
    trial: TrialRecord,
    pick: str | None = None,
    where: Sequence[str] = (),
) -> ExportedAllocation:
    """The export of one trial of a study.

    Metrics that are not finite are left out.

    Args:
        record: The study.
        trial: One of its trials.
        pick: How it was picked, for its origin.
        where: What it had to satisfy.

    Raises:
        InputError: If the trial never got as far as an allocation and a seed.
    """
    if trial.allocation is None or trial.seed is None:
        message = f"trial {trial.number} ({trial.state}) has no allocation and seed to export"
        raise InputError(f"{record.folder}: {message}")
    config = record.config
    return ExportedAllocation(
        allocation=str(trial.allocation),
        dims=trial.allocation.dims,
        seed=trial.seed,
        data=config.data,
        model=config.model,
        training=config.training,
        evaluation=config.evaluation,
        trainer=config.trainer if config.trainer.foreign else None,
        provenance=Provenance(
            study=config.study.name,
            trial=trial.number,
            versions={k: v for k, v in trial.provenance.items() if k != "data"},
            data_fingerprint=trial.provenance.get("data"),
            pick=pick,
            where=tuple(where),
        ),
        metrics={k: float(v) for k, v in trial.metrics.items() if math.isfinite(v)},
        certainty=_certainty(record, trial),
    )


def _certainty(record: StudyRecord, trial: TrialRecord) -> Certainty | None:
    metrics = [objective.metric for objective in record.config.study.parsed_objectives]
    for candidate in study_front(record).candidates:
        numbers = [replicate.number for replicate in candidate.replicates.trials]
        if trial.number not in numbers or candidate.probability is None:
            continue
        ends = [interval_ends(candidate, i, metric) for i, metric in enumerate(metrics)]
        return Certainty(
            trainings=candidate.replicates.count,
            means=dict(zip(metrics, candidate.mean, strict=True)),
            low={m: end[f"{m}_low"] for m, end in zip(metrics, ends, strict=True)},
            high={m: end[f"{m}_high"] for m, end in zip(metrics, ends, strict=True)},
            front_probability=candidate.probability,
        )
    return None


def load_export(path: Path) -> ExportedAllocation:
    """Read an exported allocation; the ending says whether it is TOML, YAML or JSON.

    Raises:
        InputError: With one line that names the file, the key, what was found and what is allowed.
    """
    content = read_migrated(path, EXPORT)
    if is_hvae_oodd(content):
        raise InputError(
            f"{path}: a config for the program hvae-oodd, without data and training; allowed: "
            "what allocsearch export writes with --format toml, yaml, json or hydra"
        )
    try:
        return ExportedAllocation.model_validate(content)
    except ValidationError as error:
        key, message = first_mistake(error, ExportedAllocation)
        raise InputError(f"{path}: {key}: {message}") from None
