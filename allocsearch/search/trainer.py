"""What a study asks of whatever trains its allocations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from allocsearch.allocation import Allocation


class PrunedError(Exception):
    """A rung stopped the training."""


@dataclass(frozen=True)
class Task:
    """What a trial trains.

    Attributes:
        allocation: The allocation.
        seed: Seed of the training and the measurement.
        folder: Where the files of the trial go; made by whoever writes the first.
        checkpoint: A file in which the training may be kept, to go on from there in a later
            attempt at the same task; whoever asked for the task removes it.
    """

    allocation: Allocation
    seed: int
    folder: Path
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Result:
    """What a finished training gave.

    Attributes:
        metrics: Every metric by name, finite.
        score: The OOD score behind the metric `auroc`, where there is one.
        broken_invariants: Names of the invariants of the measures that do not hold.
        provenance: Package versions by name, and whatever else the results depend on.
    """

    metrics: Mapping[str, float]
    score: str | None = None
    broken_invariants: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hooks:
    """What a trainer calls while it works; tasks are named by their index.

    Attributes:
        progress: With what is known of the training: `epoch`, `epochs`, `elbo`, `progress`; of a
            pretraining `pretrain_epoch`, `pretrain_epochs`, `contrastive_loss`, and `epochs`.
        rungs: Shares of the training, ascending, at which `rung` is to be called.
        rung: Called with the share of the training that is done and the metrics there. Raises
            PrunedError where the rung stops the training.
        check: Called often. What it raises ends the work of all tasks.
    """

    progress: Callable[[int, Mapping[str, float]], None] = lambda index, progress: None
    rungs: Sequence[float] = ()
    rung: Callable[[int, float, Mapping[str, float]], None] = lambda index, rung, metrics: None
    check: Callable[[], None] = lambda: None


class Trainer(Protocol):
    """Trains and measures allocations."""

    @property
    def together(self) -> int:
        """The most tasks of one call of `run`."""

    @property
    def fingerprint(self) -> str | None:
        """Of the data that it trains on; None where it does not know it."""

    def run(self, tasks: Sequence[Task], hooks: Hooks) -> Iterator[tuple[int, Result | Exception]]:
        """Train and measure.

        Yields:
            The index of each task as soon as it has ended, in no particular order, with its result
            or with what went wrong: PrunedError, or an error that is the task's own.
        """
