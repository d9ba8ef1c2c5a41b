"""The trainer of our own HVAE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from allocsearch.config import StudyConfig
from allocsearch.data.splits import load_search_data
from allocsearch.search.checkpoint_file import EVERY, CheckpointFile, identity
from allocsearch.search.compatibility import check_pretraining, check_probe
from allocsearch.search.depth_sheet import depth_sheet
from allocsearch.search.depths import DEPTHS_NAME
from allocsearch.search.objective import (
    Candidate,
    Outcome,
    rung_epochs,
    save_outcome,
    train_and_measure,
)
from allocsearch.search.resources import population_size
from allocsearch.search.storage import write_atomically
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task


class HVAETrainer:
    """Trains our own HVAE; tasks of equally many layers are trained together.

    Args:
        config: The study.
        checkpoint_every: Seconds of training between two checkpoints.

    Raises:
        InputError: If data is missing or damaged.
    """

    def __init__(self, config: StudyConfig, checkpoint_every: float = EVERY) -> None:
        self._config = config
        self._every = checkpoint_every
        self._data = load_search_data(config.own_data)
        check_pretraining(self._data, config.model, config.training)
        check_probe(self._data, config.evaluation)
        self.together = population_size(config, self._data)
        self.fingerprint = self._data.fingerprint_for(config.evaluation)

    def run(self, tasks: Sequence[Task], hooks: Hooks) -> Iterator[tuple[int, Result | Exception]]:
        """Train, measure and keep what `evaluation.keep` says; see `Trainer`."""
        config = self._config
        files = [self._checkpoint_of(task) for task in tasks]
        left = dict(enumerate(tasks))
        rungs = hooks.rungs
        if config.rung_schedule == "own":
            for index, task in enumerate(tasks):
                if (file := files[index]) and file.read():
                    # An earlier attempt has passed the rungs.
                    continue
                stopped = self._judged(index, task, hooks)
                if stopped is not None:
                    del left[index]
                    yield index, stopped
            rungs = ()
        indices = [*left]
        for place, outcome in train_and_measure(
            [Candidate(task.allocation, task.seed, files[i]) for i, task in left.items()],
            self._data,
            config.model,
            config.training,
            config.evaluation,
            lambda place, epoch: hooks.progress(indices[place], epoch.progress),
            hooks.check,
            rungs,
            lambda place, rung, metrics: hooks.rung(indices[place], rung, metrics),
            lambda place, epoch: hooks.progress(indices[place], vars(epoch)),
        ):
            index = indices[place]
            if isinstance(outcome, Outcome):
                self._save(outcome, tasks[index].folder)
                found = outcome.measurement
                yield (
                    index,
                    Result(
                        found.metrics, found.score, found.broken_invariants, outcome.provenance
                    ),
                )
            else:
                yield index, outcome

    def _save(self, outcome: Outcome, folder: Path) -> None:
        keep = self._config.evaluation.keep
        if keep != "none":
            sheet = depth_sheet(outcome.model, self._data.validation.values, outcome.seed)
            if sheet is not None:
                write_atomically(folder / DEPTHS_NAME, sheet)
        # The metrics come last: a folder that has them is complete.
        save_outcome(outcome, folder, keep)

    def _checkpoint_of(self, task: Task) -> CheckpointFile | None:
        if task.checkpoint is None:
            return None
        config = self._config
        what = (task.allocation, task.seed, config.model, config.training)
        of = identity(*what, self.fingerprint)
        return CheckpointFile(task.checkpoint, of, self._every)

    def _judged(self, index: int, task: Task, hooks: Hooks) -> Exception | None:
        """What ends a task at a rung of its own schedule: the rung itself, or a training's error.

        Each rung is a training from the same initial weights, whose KL warm-up and free nats
        follow its own length; so does a pretraining.
        """
        config = self._config
        for epochs, rung in rung_epochs(hooks.rungs, config.training.epochs).items():
            [(_, outcome)] = train_and_measure(
                [Candidate(task.allocation, task.seed)],
                self._data,
                config.model,
                config.training.shortened(epochs),
                config.evaluation,
                lambda _, epoch: hooks.progress(index, epoch.progress),
                hooks.check,
                on_pretrain=lambda _, epoch: hooks.progress(index, vars(epoch)),
            )
            if not isinstance(outcome, Outcome):
                return outcome
            try:
                hooks.rung(index, rung, outcome.measurement.metrics)
            except PrunedError as pruned:
                return pruned
        return None
