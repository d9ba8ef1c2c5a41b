"""The work of a trial: train the model of an allocation and measure it."""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import EvaluationSection, ModelSection, TrainingSection
from allocsearch.data.splits import SearchData
from allocsearch.metrics.evaluation import Measurement, Settings, measure
from allocsearch.metrics.finite import NotFiniteError
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.search.storage import write_atomically
from allocsearch.training.loop import DivergedError, Epoch, train
from allocsearch.training.population import train_population

_PACKAGES = ("allocsearch", "torch", "numpy", "optuna", "scikit-learn")


@dataclass(frozen=True)
class Outcome:
    """A finished trial.

    Attributes:
        allocation: What was trained.
        seed: Seed of the training and the measurement.
        model: The trained model, in eval mode.
        history: The epochs of its training.
        measurement: What was measured.
        provenance: Package versions by name, and `data`, the fingerprint of the search data.
    """

    allocation: Allocation
    seed: int
    model: HVAE
    history: tuple[Epoch, ...]
    measurement: Measurement
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class Candidate:
    """What a trial trains: an allocation, and the seed of its training and measurement."""

    allocation: Allocation
    seed: int


def train_and_measure(
    candidates: Sequence[Candidate],
    data: SearchData,
    model: ModelSection,
    training: TrainingSection,
    evaluation: EvaluationSection,
    on_epoch: Callable[[int, Epoch], None] = lambda index, epoch: None,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Outcome | RuntimeError]]:
    """Train and measure candidates; those of equally many layers are trained together.

    On a CPU, equal arguments give equal bits.

    Args:
        candidates: What to train. The seed is that of the initial weights, too.
        data: The data of the search.
        model: Everything about the models but their allocations.
        training: The training.
        evaluation: The measurement.
        on_epoch: Called after every epoch, with the index of the candidate.
        on_step: Called before every step of the training and every pass of the measurement; what
            it raises ends the work.

    Yields:
        The index of each candidate as soon as it is measured, in no particular order, with its
        outcome, or with what went wrong: a loss or a metric that is NaN or infinite, or a
        covariance that cannot be factorised. The others do not suffer from that.
    """
    torch.set_num_threads(training.threads)
    groups: dict[int, list[int]] = {}
    for index, candidate in enumerate(candidates):
        groups.setdefault(candidate.allocation.layers, []).append(index)
    for group in groups.values():
        chosen = [candidates[index] for index in group]
        models = [build_model(c.allocation, data.train.shape, model, c.seed) for c in chosen]
        seeds = [candidate.seed for candidate in chosen]

        def report(place: int, epoch: Epoch, group: Sequence[int] = group) -> None:
            on_epoch(group[place], epoch)

        trained = _train(models, data, training, seeds, report, on_step)
        for index, candidate, hvae, history in zip(group, chosen, models, trained, strict=True):
            if isinstance(history, DivergedError):
                yield index, history
                continue
            try:
                found = measure(
                    hvae, data, measurement_settings(evaluation, candidate.seed), on_step
                )
            except (NotFiniteError, torch.linalg.LinAlgError) as error:  # type: ignore[attr-defined]
                yield index, error
            else:
                own = (candidate.allocation, candidate.seed, hvae, history)
                yield index, Outcome(*own, found, provenance(data))


def _train(
    models: Sequence[HVAE],
    data: SearchData,
    training: TrainingSection,
    seeds: Sequence[int],
    on_epoch: Callable[[int, Epoch], None],
    on_step: Callable[[], None],
) -> Sequence[tuple[Epoch, ...] | DivergedError]:
    """The epochs of each model, or what went wrong; a model alone needs no masks."""
    values = data.train.values
    if len(models) > 1:
        sections = [training] * len(models)
        return train_population(models, values, sections, seeds, on_epoch, on_step)
    try:
        return [train(models[0], values, training, seeds[0], partial(on_epoch, 0), on_step)]
    except DivergedError as error:
        return [error]


def measurement_settings(evaluation: EvaluationSection, seed: int) -> Settings:
    """How a trial with this seed is measured."""
    return Settings(
        score=evaluation.score,
        samples=evaluation.samples,
        score_samples=evaluation.score_samples,
        batch_size=evaluation.batch_size,
        seed=seed,
        regret_steps=evaluation.regret_steps,
    )


def provenance(data: SearchData) -> dict[str, str]:
    """Versions of Python and of the packages that results depend on, and the data fingerprint."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **versions, "data": data.fingerprint}


def save_outcome(outcome: Outcome, folder: Path, keep: str) -> None:
    """Write an outcome to a folder: metrics.json and, by `keep`, scores.npz, model.safetensors.

    Args:
        outcome: What to write.
        folder: Made where it is missing.
        keep: As `evaluation.keep`.
    """
    measurement = outcome.measurement
    if keep in ("scores", "all"):
        arrays = {
            f"{name}.{score}": values.numpy().astype(np.float32)
            for name, scores in measurement.scores.items()
            for score, values in scores.items()
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomically(folder / "scores.npz", buffer.getvalue())
    if keep in ("models", "all"):
        write_atomically(
            folder / "model.safetensors", safetensors.torch.save(outcome.model.state_dict())
        )
    content = {
        "allocation": str(outcome.allocation),
        "seed": outcome.seed,
        "score": measurement.score,
        "broken_invariants": measurement.broken_invariants,
        "metrics": measurement.metrics,
        "history": [asdict(epoch) for epoch in outcome.history],
        "provenance": outcome.provenance,
    }
    # The metrics come last: a folder that has them is complete.
    write_atomically(folder / "metrics.json", json.dumps(content, indent=1, allow_nan=False))
