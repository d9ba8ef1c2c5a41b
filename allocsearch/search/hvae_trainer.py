"""The trainer of our own HVAE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from allocsearch.config import StudyConfig
from allocsearch.data.splits import load_search_data
from allocsearch.search.objective import Candidate, Outcome, save_outcome, train_and_measure
from allocsearch.search.resources import population_size
from allocsearch.search.trainer import Hooks, Result, Task
from allocsearch.training.loop import Epoch


class HVAETrainer:
    """Trains our own HVAE; tasks of equally many layers are trained together.

    Args:
        config: The study.

    Raises:
        InputError: If data is missing or damaged.
    """

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        self._data = load_search_data(config.own_data)
        self.together = population_size(config, self._data)

    def run(self, tasks: Sequence[Task], hooks: Hooks) -> Iterator[tuple[int, Result | Exception]]:
        """Train, measure and keep what `evaluation.keep` says; see `Trainer`."""
        config = self._config

        def progress(index: int, epoch: Epoch) -> None:
            hooks.progress(index, vars(epoch))

        for index, outcome in train_and_measure(
            [Candidate(task.allocation, task.seed) for task in tasks],
            self._data,
            config.model,
            config.training,
            config.evaluation,
            progress,
            hooks.check,
            hooks.rungs,
            hooks.rung,
        ):
            if isinstance(outcome, Outcome):
                save_outcome(outcome, tasks[index].folder, config.evaluation.keep)
                found = outcome.measurement
                yield (
                    index,
                    Result(
                        found.metrics, found.score, found.broken_invariants, outcome.provenance
                    ),
                )
            else:
                yield index, outcome
