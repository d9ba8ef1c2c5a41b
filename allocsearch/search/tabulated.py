"""A trainer that looks trainings up instead of doing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from allocsearch.allocation import Allocation
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
            the training), `epochs`, `seconds` and `measuring` (seconds of the training up to the
            rung and of the measurement there), and the metrics.
        seed: Of the draws.

    Raises:
        ValueError: If an allocation has no row for the end of a training.

    Attributes:
        together: One task at a time.
        answers: Every answer so far, in order.
    """

    together = 1

    def __init__(self, rows: pd.DataFrame, *, seed: int) -> None:
        self.answers: list[Answer] = []
        self._rng = np.random.default_rng(seed)
        self._left: dict[str, list[int]] = {}
        metrics = [name for name in rows.columns if name not in _KEYS]
        self._metrics = {
            (str(allocation), int(seed), float(rung)): dict(zip(metrics, values, strict=True))
            for allocation, seed, rung, *values in rows[
                ["allocation", "seed", "rung", *metrics]
            ].itertuples(index=False, name=None)
        }
        self._seeds: dict[str, list[int]] = {}
        for allocation, seed in sorted({key[:2] for key in self._metrics}):
            self._seeds.setdefault(allocation, []).append(seed)
            if (allocation, seed, 1.0) not in self._metrics:
                raise ValueError(f"{allocation}, seed {seed}: no row for the end of the training")
        ends = rows[rows["rung"] == 1.0]
        # Medians: what else ran on the machine is no part of the cost.
        measuring = float(ends["measuring"].median() / ends["seconds"].median())
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
        cost = 0.0
        for rung in (*hooks.rungs, 1.0):
            cost += self._measuring
            metrics = self._metrics[str(task.allocation), seed, rung]
            if rung == 1.0:
                break
            try:
                hooks.rung(index, rung, metrics)
            except PrunedError as pruned:
                self.answers.append(
                    Answer(task.allocation, cost + rung * self._whole, complete=False)
                )
                return pruned
        self.answers.append(Answer(task.allocation, cost + self._whole, complete=True))
        return Result(metrics)

    def _next_seed(self, allocation: str) -> int:
        left = self._left.setdefault(allocation, [])
        if not left:
            left.extend(int(seed) for seed in self._rng.permutation(self._seeds[allocation]))
        return left.pop()
