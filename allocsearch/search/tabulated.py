"""A trainer that looks trainings up instead of doing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from allocsearch.allocation import Allocation
from allocsearch.config import RungSchedule
from allocsearch.search.rungs.rung_cost import trial_cost
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task

# Columns of a table that are no metrics.
_KEYS = ("schedule", "allocation", "seed", "rung", "epochs", "seconds", "measuring")


@dataclass(frozen=True)
class Answer:
    """What one task was answered with.

    Attributes:
        allocation: What was asked for.
        cost: In full trainings, each with one measurement.
        complete: Whether it was trained to the end.
    """

    allocation: Allocation
    cost: float
    complete: bool


class TabulatedObjective:
    """Answers like a trainer, from a table of finished trainings, and counts what they cost.

    The first training of an allocation is one of the table's seeds, drawn at random; the next ones
    are the others, in random order. Once all have been given they come again.

    Args:
        rows: One row for each training and rung: `allocation`, `seed`, `rung` (1 for the end of
            the training), `schedule` (`own` where a rung was a training by itself, else `full`),
            `epochs`, `seconds` and `measuring` (seconds of the training up to the rung and of the
            measurement there), and the metrics.
        seed: Of the draws.
        schedule: The rungs that are answered with. Where those of `own` lack a seed, another one
            of the allocation stands for it: they are other trainings in any case.

    Raises:
        ValueError: If an allocation has no row for the end of a training.

    Attributes:
        together: One task at a time.
        answers: Every answer so far, in order.
    """

    together = 1
    fingerprint = None

    def __init__(self, rows: pd.DataFrame, *, seed: int, schedule: RungSchedule = "full") -> None:
        self.answers: list[Answer] = []
        self._rng = np.random.default_rng(seed)
        self._left: dict[str, list[int]] = {}
        self._schedule = schedule
        metrics = [name for name in rows.columns if name not in _KEYS]
        of_rungs = rows[(rows["schedule"] == schedule) & (rows["rung"] < 1.0)]
        whole = rows[(rows["schedule"] == "full") & (rows["rung"] == 1.0)]
        self._metrics = {
            (str(allocation), int(seed), float(rung)): dict(zip(metrics, values, strict=True))
            for allocation, seed, rung, *values in pd.concat([of_rungs, whole])[
                ["allocation", "seed", "rung", *metrics]
            ].itertuples(index=False, name=None)
        }
        self._seeds: dict[str, list[int]] = {}
        for allocation, seed in sorted({key[:2] for key in self._metrics}):
            self._seeds.setdefault(allocation, []).append(seed)
            if (allocation, seed, 1.0) not in self._metrics:
                raise ValueError(f"{allocation}, seed {seed}: no row for the end of the training")
        # Medians: what else ran on the machine is no part of the cost.
        measuring = float(whole["measuring"].median() / whole["seconds"].median())
        self._whole = 1 / (1 + measuring)
        self._measuring = measuring / (1 + measuring)

    def run(self, tasks: Sequence[Task], hooks: Hooks) -> Iterator[tuple[int, Result | Exception]]:
        """Answer tasks; see `Trainer`.

        Raises:
            KeyError: If the table has no such allocation or rung.
        """
        for index, task in enumerate(tasks):
            hooks.check()
            yield index, self._answer(index, task, hooks)

    def _answer(self, index: int, task: Task, hooks: Hooks) -> Result | PrunedError:
        seed = self._next_seed(str(task.allocation))
        for count, rung in enumerate(hooks.rungs, 1):
            try:
                hooks.rung(index, rung, self._at_rung(str(task.allocation), seed, rung))
            except PrunedError as pruned:
                self._count(task.allocation, hooks.rungs[:count], complete=False)
                return pruned
        self._count(task.allocation, hooks.rungs, complete=True)
        return Result(self._metrics[str(task.allocation), seed, 1.0])

    def _at_rung(self, allocation: str, seed: int, rung: float) -> Mapping[str, float]:
        if self._schedule == "own":
            seeds = (seed, *self._seeds[allocation])
            seed = next((s for s in seeds if (allocation, s, rung) in self._metrics), seed)
        return self._metrics[allocation, seed, rung]

    def _count(self, allocation: Allocation, reached: Sequence[float], *, complete: bool) -> None:
        trained = trial_cost(reached, complete, self._schedule)
        measured = len(reached) + complete
        cost = measured * self._measuring + trained * self._whole
        self.answers.append(Answer(allocation, cost, complete))

    def _next_seed(self, allocation: str) -> int:
        left = self._left.setdefault(allocation, [])
        if not left:
            left.extend(int(seed) for seed in self._rng.permutation(self._seeds[allocation]))
        return left.pop()
