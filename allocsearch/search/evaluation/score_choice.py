"""Which OOD score an allocation is tested by: chosen on validation data, before any test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from allocsearch.config import StudyConfig
from allocsearch.metrics.auroc import best_score
from allocsearch.search.evaluation.entrants import Entrant
from allocsearch.search.evaluation.fresh import FreshTraining


@dataclass(frozen=True)
class ScoreChoice:
    """A score, None where there is nothing to test, and how it was chosen."""

    score: str | None
    how: str


def choose_score(
    entrant: Entrant, trainings: Sequence[FreshTraining], config: StudyConfig
) -> ScoreChoice:
    """The score that the study names, or else that of the picked trial, or of own trainings.

    Args:
        entrant: What is tested.
        trainings: Its trainings, all of which have ended; their validation metrics are read.
        config: The study, with an OOD validation set where it names no score.
    """
    ended = [training.metrics for training in trainings if training.failure is None]
    if not ended:
        return ScoreChoice(None, "no training ended well")
    if config.evaluation.score != "auto":
        return ScoreChoice(config.evaluation.score, "named by the study")
    names = [entry.title for entry in config.ood_validation]
    where = f"chosen on validation set{'' if len(names) == 1 else 's'} {', '.join(names)}"
    if entrant.trial is not None and entrant.trial.score is not None:
        return ScoreChoice(entrant.trial.score, f"{where} (trial {entrant.trial.number})")
    scores = config.evaluation.score_names(entrant.allocation.layers, config.model)
    aurocs = {
        name: {
            score: fmean(metrics[f"auroc.{name}.{score}"] for metrics in ended) for score in scores
        }
        for name in names
    }
    of = "its training" if len(ended) == 1 else f"its {len(ended)} trainings"
    return ScoreChoice(best_score(aurocs), f"{where} ({of} here)")
