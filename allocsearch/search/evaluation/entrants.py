"""The allocations of a final evaluation: the picked ones, and the baselines beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig
from allocsearch.search.evaluation.baselines import baselines
from allocsearch.search.prediction import StudyPrediction
from allocsearch.search.records import TrialRecord

PREDICTED = "theory's optimum"


@dataclass(frozen=True)
class Pick:
    """A trial of a study, and the text that picked it."""

    text: str
    trial: TrialRecord


@dataclass(frozen=True)
class Entrant:
    """An allocation that is evaluated.

    Attributes:
        allocation: The allocation.
        roles: Why it is.
        trial: The trial that was picked; None for one that is a baseline alone.
    """

    allocation: Allocation
    roles: tuple[str, ...]
    trial: TrialRecord | None = field(default=None, hash=False)


def entrants(
    picks: Sequence[Pick], config: StudyConfig, prediction: StudyPrediction | None
) -> tuple[Entrant, ...]:
    """Every picked allocation once, then the baselines with as many layers as one of these.

    These are those of `baselines` and, where there is one, the theory's optimum, whose ratio is
    r*.

    Args:
        picks: What was picked, all of allocations of the study.
        config: The study.
        prediction: What the theory predicts for it.

    Raises:
        InputError: If a picked trial has no allocation.
    """
    found: dict[Allocation, Entrant] = {}

    def enter(allocation: Allocation, role: str, trial: TrialRecord | None = None) -> None:
        known = found.get(allocation, Entrant(allocation, (), trial))
        roles = tuple(dict.fromkeys((*known.roles, role)))
        found[allocation] = Entrant(allocation, roles, known.trial)

    for pick in picks:
        number = f"trial {pick.trial.number}"
        if pick.trial.allocation is None:
            raise InputError(f"--pick {pick.text}: {number} never got as far as an allocation")
        role = number if pick.text.startswith("trial:") else f"{pick.text} ({number})"
        enter(pick.trial.allocation, role, pick.trial)
    of_layers = {allocation.layers: allocation for allocation in found}
    for layers in sorted(of_layers):
        for role, allocation in _baselines(of_layers[layers], config, prediction):
            enter(allocation, role)
    return tuple(found.values())


def _baselines(
    allocation: Allocation, config: StudyConfig, prediction: StudyPrediction | None
) -> Iterator[tuple[str, Allocation]]:
    yield from baselines(allocation, config.search_space)
    for predicted in prediction.layer_counts if prediction else ():
        if predicted.layers == allocation.layers:
            yield PREDICTED, predicted.optimum.parsed
