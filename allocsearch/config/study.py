"""The section `study`: what is searched for, and how long."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from allocsearch.config.artifacts_url import checked_artifacts_url
from allocsearch.config.errors import mistake, shown
from allocsearch.config.objective import Objective
from allocsearch.config.section import Count, Section, one_or_more
from allocsearch.config.storage_url import checked_storage_url

SamplerName = Literal["lattice_gp", "tpe", "nsga2", "nsga3", "gp", "qmc", "random", "grid"]

# Of this machine, or tasks of a cluster.
ExecutorName = Literal["processes", "ray"]


def _objective(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"found {shown(value)}; allowed: max:METRIC or min:METRIC")
    return str(Objective.parse(value))


class StudySection(Section):
    """What is searched for, and how long."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "study"
    """Results go to `runs/NAME`; other machines join the study by it."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the sampler and of all trainings."""
    trials: Count = 50
    """Trainings in all, replicates and failed ones included."""
    repeats: Literal["neighbour", "replicate"] = "neighbour"
    """What becomes of a proposal that was trained before: its nearest untrained neighbour, or a
    training with the next seed."""
    replicates: Count = 3
    """Most trainings of one allocation."""
    replicate_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the trials, the last ones, that train allocations again where it is least certain
    whether they are on the front."""
    objectives: Annotated[
        tuple[Annotated[str, BeforeValidator(_objective)], ...],
        BeforeValidator(one_or_more),
        Field(min_length=1),
    ] = ("max:retention", "min:attenuation", "max:auroc")
    """`max:METRIC` or `min:METRIC`, one or more."""
    sampler: SamplerName = "lattice_gp"
    """What proposes allocations; `lattice_gp` is our own."""
    warm_start: Literal["none", "theory"] = "none"
    """First trials: `theory` trains the knee and the ends of the predicted front."""
    workers: Count = 1
    """Workers that train at once."""
    executor: ExecutorName = "processes"
    """Workers are processes of this machine, or tasks of Ray."""
    retries: Annotated[int, Field(ge=0, lt=2**31)] = 3
    """How often a trial whose worker died is trained again."""
    heartbeat: Annotated[float, Field(gt=0, le=3600)] = 15.0
    """Seconds between two signs of life of a worker; after four without one it is taken for dead.
    """
    storage: Annotated[str, AfterValidator(checked_storage_url)] | None = None
    """URL of the trials; without it `study.db` in the run folder."""
    artifacts: Annotated[str, AfterValidator(checked_artifacts_url)] | None = None
    """Folder or `s3://BUCKET/PREFIX` for the files of trials; without it the run folder alone."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.replicate_share and self.replicates == 1:
            raise mistake(
                "replicate_share",
                f"found {self.replicate_share} with replicates = 1; allowed: 0, or 2 replicates",
            )
        return self

    @property
    def parsed_objectives(self) -> tuple[Objective, ...]:
        """The objectives with metric and direction apart."""
        return tuple(Objective.parse(text) for text in self.objectives)
