"""The section `evaluation`: how a trained model is measured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from allocsearch.config.errors import mistake, suggestion
from allocsearch.config.names import score_names
from allocsearch.config.section import Count, Section, Size


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
    keep: Literal["none", "scores", "models", "all"] = "scores"
    """Files of a trial beside its metrics."""

    def score_names(self, layers: int, likelihood: str) -> tuple[str, ...]:
        """The OOD scores that a model with `layers` layers and this likelihood is measured by."""
        # Continuous data has no code length.
        compressed = likelihood != "gaussian"
        return score_names(layers, compressed=compressed, regret=self.regret_steps > 0)

    def check_score(self, layers: int, likelihood: str) -> None:
        """Check that every such model has the score.

        Raises:
            PydanticCustomError: If not; for the validator of what holds this section.
        """
        allowed = ("auto", *self.score_names(layers, likelihood))
        if self.score not in allowed:
            message = suggestion(self.score, allowed, f"unknown score {self.score!r}")
            if self.score == "likelihood_regret":
                message = "'likelihood_regret' takes evaluation.regret_steps, as 50"
            raise mistake("evaluation.score", message)
