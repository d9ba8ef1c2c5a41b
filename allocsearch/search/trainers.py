"""The trainer that a study asks for."""

from __future__ import annotations

from allocsearch.config import StudyConfig
from allocsearch.search.trainer import Trainer


def build_trainer(config: StudyConfig) -> Trainer:
    """The trainer of a study.

    Raises:
        InputError: If what it needs is missing.
    """
    # Each kind brings libraries that the others do without.
    from allocsearch.search.hvae_trainer import HVAETrainer

    return HVAETrainer(config)
