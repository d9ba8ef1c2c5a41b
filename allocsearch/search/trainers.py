"""The trainer that a study asks for."""

from __future__ import annotations

from collections.abc import Sequence

from allocsearch.config import StudyConfig
from allocsearch.search.trainer import Trainer

# The first step of an optimiser would import the latter, for two seconds.
HVAE_MODULES = ("allocsearch.search.hvae_trainer", "torch._dynamo")


def trainer_modules(config: StudyConfig) -> tuple[str, ...]:
    """The modules that take long to import and that the trainer of a study needs."""
    return () if config.trainer.foreign else HVAE_MODULES


def build_trainer(config: StudyConfig, wanted: Sequence[str] | None = None) -> Trainer:
    """The trainer of a study.

    Args:
        config: The study.
        wanted: Metrics that a foreign trainer has to give; None for those of the objectives.

    Raises:
        InputError: If what it needs is missing.
    """
    # Each kind brings libraries that the others do without.
    if config.trainer.kind == "callable":
        from allocsearch.search.foreign.callable_trainer import CallableTrainer

        return CallableTrainer(config, wanted)
    if config.trainer.kind == "command":
        from allocsearch.search.foreign.command_trainer import CommandTrainer

        return CommandTrainer(config, wanted)
    from allocsearch.search.hvae_trainer import HVAETrainer

    return HVAETrainer(config)
