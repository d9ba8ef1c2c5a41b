"""The allocations of a final evaluation: the picked ones, and the baselines beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig
from allocsearch.search.prediction import StudyPrediction
from allocsearch.search.records import TrialRecord

UNIFORM = "uniform split"
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

    The baselines are the uniform split; the split that grows linearly to the middle layer and
    falls again, as 8-16-8 does; and, where there is one, the theory's optimum, whose ratio is r*.

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
    for layers in sorted({allocation.layers for allocation in found}):
        for role, allocation in _baselines(layers, config, prediction):
            enter(allocation, role)
    return tuple(found.values())


def _baselines(
    layers: int, config: StudyConfig, prediction: StudyPrediction | None
) -> Iterator[tuple[str, Allocation]]:
    lattice = config.search_space.lattices()[layers]
    yield UNIFORM, Allocation.from_ratio(1.0, lattice)
    weights = [min(i, layers + 1 - i) for i in range(1, layers + 1)]
    yield f"{':'.join(map(str, weights))} split", Allocation.from_weights(weights, lattice)
    for predicted in prediction.layer_counts if prediction else ():
        if predicted.layers == layers:
            yield PREDICTED, predicted.optimum.parsed
