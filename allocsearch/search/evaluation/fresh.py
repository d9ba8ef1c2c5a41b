"""Trainings with seeds that the search has not used, each kept as soon as it has ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice
from pathlib import Path

import safetensors.torch

from allocsearch.allocation import Allocation
from allocsearch.config import DataSection, StudyConfig
from allocsearch.data.splits import SearchData, load_search_data
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.search.evaluation.evaluations import evaluations_folder
from allocsearch.search.objective import Candidate, Outcome, save_outcome, train_and_measure
from allocsearch.search.records import StudyRecord
from allocsearch.search.slots import slot_seed
from allocsearch.search.storage import write_atomically

# The purposes 0 and 1 of a slot's seed are those of the search.
_FRESH = 2


@dataclass(frozen=True)
class FreshTraining:
    """One training of a final evaluation, in a run folder."""

    allocation: Allocation
    seed: int
    config: StudyConfig
    run: Path

    @property
    def name(self) -> str:
        """Tells it from the others of the run."""
        return f"{self.allocation}-{self.seed}"

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return evaluations_folder(self.run) / "trainings" / self.name

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return (self.folder / "metrics.json").exists() or self.failure is not None

    @property
    def failure(self) -> str | None:
        """Why it did not end well, where it did not."""
        path = self.folder / "failure.json"
        return json.loads(path.read_text())["reason"] if path.exists() else None

    @property
    def metrics(self) -> dict[str, float]:
        """Its metrics on validation data, where it ended well."""
        found: dict[str, float] = json.loads((self.folder / "metrics.json").read_text())["metrics"]
        return found

    def model(self, shape: tuple[int, ...]) -> HVAE:
        """The trained model for examples of a shape, in eval mode, where it ended well."""
        model = build_model(self.allocation, shape, self.config.model, self.seed)
        content = (self.folder / "model.safetensors").read_bytes()
        model.load_state_dict(safetensors.torch.load(content))
        return model.eval()

    def fail(self, reason: str) -> None:
        """Record that it did not end well."""
        content = json.dumps({"reason": " ".join(reason.split())})
        write_atomically(self.folder / "failure.json", content)


def fresh_seeds(record: StudyRecord, number: int) -> tuple[int, ...]:
    """The first seeds that follow from the study's and that no trial of it was trained with."""
    used = {trial.seed for trial in record.trials}
    seeds = (slot_seed(record.config.study.seed, i, _FRESH) for i in count())
    return tuple(islice((seed for seed in seeds if seed not in used), number))


def train_fresh(training: FreshTraining, check: Callable[[], None]) -> None:
    """Train, measure on validation data and keep all; what diverges is kept as a failure.

    Args:
        training: What to train.
        check: Called often; what it raises ends the work, of which then nothing is kept.
    """
    config = training.config
    [(_, outcome)] = train_and_measure(
        [Candidate(training.allocation, training.seed)],
        search_data(config.own_data),
        config.model,
        config.training,
        config.evaluation,
        on_step=check,
    )
    if isinstance(outcome, Outcome):
        save_outcome(outcome, training.folder, "models")
    else:
        training.fail(str(outcome))


@lru_cache(maxsize=1)
def search_data(section: DataSection) -> SearchData:
    """The data of the search, loaded once in each process."""
    return load_search_data(section)
