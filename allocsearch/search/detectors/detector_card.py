"""The card of a detector: what it is, how it decides, and how well on validation data."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from allocsearch.allocation import Allocation
from allocsearch.config import Counts, ModelSection, Section, mistake, score_names
from allocsearch.config.section import Count, listed
from allocsearch.data.dataset import Kind

RATES = (0.01, 0.05, 0.10, 0.20)


class Choice(Section):
    """How the score was chosen.

    Attributes:
        by: `study` where the study names it; `validation` where `auto` chose the one with the
            highest mean AUROC over the OOD validation sets.
        mean_auroc: That mean, None without such sets.
        runner_up: The next best score, where `auto` chose.
        runner_up_auroc: Its mean.
    """

    by: Literal["study", "validation"]
    mean_auroc: float | None = None
    runner_up: str | None = None
    runner_up_auroc: float | None = None


class Threshold(Section):
    """A threshold on the score.

    Attributes:
        fpr: The share of ID examples that may exceed it.
        threshold: An example is OOD if its score is greater.
        validation_fpr: The share of the ID validation examples that exceed it.
    """

    fpr: float
    threshold: float
    validation_fpr: float


class SetResult(Section):
    """How well the detector tells one OOD validation set from the ID validation examples.

    Attributes:
        set: Title of the set.
        n: Examples in it.
        auroc, aupr_ood, aupr_id, fpr80, fpr95: As in `Detection`.
        auroc_low, auroc_high: Ends of the 95 % interval of `auroc`.
    """

    set: str
    n: int
    auroc: float
    auroc_low: float
    auroc_high: float
    aupr_ood: float
    aupr_id: float
    fpr80: float
    fpr95: float


class Standardisation(Section):
    """Statistics of the training part that continuous values are standardised by."""

    mean: Annotated[tuple[float, ...], BeforeValidator(listed)]
    scale: Annotated[tuple[Annotated[float, Field(gt=0)], ...], BeforeValidator(listed)]


class DetectorCard(Section):
    """All of a detector but its tensors.

    Attributes:
        schema_version: Version of this format.
        allocation: The canonical text form, bottom to top.
        shape: Of one example.
        dtype: Of its values: `uint8` or `float32`.
        kind: What the values are; None in cards of versions that knew no sequences.
        model: The model section of the study.
        data: Title of the ID data.
        data_fingerprint: Of all data of the search.
        score: The OOD score; larger is more OOD.
        choice: How it was chosen.
        rule: The decision, in words.
        thresholds: Of the score, from ID validation data, at the rates that they can promise.
        samples, batch_size, seed, regret_steps: As in `Passes`.
        standardisation: For continuous data.
        validation_size: ID validation examples behind the thresholds.
        results: On the OOD validation sets.
        metrics: Of the training (nats or without unit), as in metrics.json.
        versions: Of the packages that trained it, by name, and the machine.
        sha256: Of the files of tensors, by name.
    """

    schema_version: Literal[1] = 1
    allocation: str
    shape: Counts
    dtype: Literal["uint8", "float32"]
    kind: Kind | None = None
    model: ModelSection
    data: str
    data_fingerprint: str
    score: str
    choice: Choice
    rule: Literal["OOD if score > threshold"] = "OOD if score > threshold"
    thresholds: Annotated[tuple[Threshold, ...], BeforeValidator(listed)]
    samples: Count
    batch_size: Count
    seed: Annotated[int, Field(ge=0)]
    regret_steps: Annotated[int, Field(ge=0)]
    standardisation: Standardisation | None = None
    validation_size: Count
    results: Annotated[tuple[SetResult, ...], BeforeValidator(listed)]
    metrics: dict[str, float]
    versions: dict[str, str]
    sha256: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            layers = self.parsed_allocation.layers
        except ValueError as error:
            raise mistake("allocation", str(error)) from None
        self.model.check_layers(layers)
        if (self.standardisation is not None) != (self.dtype == "float32"):
            raise mistake("standardisation", "allowed, and needed, for float32 alone")
        if self.kind is not None and (self.kind == "continuous") != (self.dtype == "float32"):
            raise mistake("kind", f"found {self.kind!r}, which {self.dtype} values are not")
        scores = score_names(
            layers, compressed=self.model.compressible, regret=self.regret_steps > 0
        )
        if self.score not in scores:
            raise mistake("score", f"found {self.score!r}; allowed: {', '.join(scores)}")
        return self

    @property
    def summary(self) -> str:
        """The score and how it was chosen, in a line."""
        choice = self.choice
        if choice.by == "study":
            return f"Detector: score {self.score}, which evaluation.score names."
        return (
            f"Detector: score {self.score}, chosen on OOD validation data: mean AUROC "
            f"{choice.mean_auroc:.3f}; next {choice.runner_up}, {choice.runner_up_auroc:.3f}."
        )

    @property
    def parsed_allocation(self) -> Allocation:
        """The allocation as a value."""
        return Allocation.parse(self.allocation)
