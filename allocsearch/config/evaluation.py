"""The section `evaluation`: how a trained model is measured."""

from __future__ import annotations

from typing import Literal

from allocsearch.config.errors import mistake, suggestion
from allocsearch.config.names import score_names
from allocsearch.config.section import Count, Section, Size


class EvaluationSection(Section):
    """How a trained model is measured."""

    score: str = "auto"
    samples: Size = 16
    score_samples: Count = 4
    batch_size: Count = 500
    keep: Literal["none", "scores", "models", "all"] = "scores"

    def check_score(self, layers: int) -> None:
        """Check that every model with `layers` layers has the score.

        Raises:
            PydanticCustomError: If not; for the validator of what holds this section.
        """
        allowed = ("auto", *score_names(layers))
        if self.score not in allowed:
            message = suggestion(self.score, allowed, f"unknown score {self.score!r}")
            raise mistake("evaluation.score", message)
