"""The section `evaluation`: how a trained model is measured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from allocsearch.config.errors import mistake, shown, suggestion
from allocsearch.config.model import ModelSection
from allocsearch.config.names import score_names
from allocsearch.config.section import Count, Section, Size


def _probe(value: object) -> object:
    # A union would name its members beside the key.
    if value is None or value == "all" or (type(value) is int and 1 <= value < 2**31):
        return value
    raise ValueError(f"found {shown(value)}; allowed: the number of a layer from 1, or 'all'")


_Probe = Annotated[
    Count | Literal["all"] | None,
    BeforeValidator(_probe, json_schema_input_type=Count | Literal["all"] | None),
]


class EvaluationSection(Section):
    """How a trained model is measured."""

    score: str = "auto"
    """The OOD score behind the metric `auroc`; `auto` takes the best on the OOD validation sets,
    for each trial by itself."""
    samples: Size = 16
    """Draws of the latents for each example, for information."""
    score_samples: Count = 4
    """Draws of the latents for each example, for OOD scores."""
    batch_size: Count = 500
    """Examples in one pass."""
    regret_steps: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Steps behind `likelihood_regret`, as 50; 0 leaves that score out."""
    probe: _Probe = None
    """Layer whose posterior means classes are told apart by (`probe_accuracy`), or `all`; without
    it there is no probe."""
    keep: Literal["none", "scores", "models", "all"] = "scores"
    """Files of a trial beside its metrics."""

    def score_names(self, layers: int, model: ModelSection) -> tuple[str, ...]:
        """The OOD scores that such a model with `layers` layers is measured by."""
        compressed, regret = model.compressible, self.regret_steps > 0
        return score_names(layers, compressed=compressed, regret=regret)

    def check_score(self, layers: int, model: ModelSection) -> None:
        """Check that every such model has the score.

        Raises:
            PydanticCustomError: If not; for the validator of what holds this section.
        """
        allowed = ("auto", *self.score_names(layers, model))
        if self.score not in allowed:
            message = suggestion(self.score, allowed, f"unknown score {self.score!r}")
            if self.score == "likelihood_regret":
                message = "'likelihood_regret' takes evaluation.regret_steps, as 50"
            raise mistake("evaluation.score", message)

    def check_probe(self, layers: int) -> None:
        """Check that every such model has the layer that is probed.

        Raises:
            PydanticCustomError: If not; for the validator of what holds this section.
        """
        if isinstance(self.probe, int) and self.probe > layers:
            message = f"found {self.probe}; allowed: 1 to {layers}, or 'all'"
            raise mistake("evaluation.probe", message)
