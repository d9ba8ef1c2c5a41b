"""One trial's work: train the model of an allocation and measure it."""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import EvaluationSection, ModelSection, TrainingSection
from allocsearch.data.splits import SearchData
from allocsearch.metrics.evaluation import Measurement, Settings, measure
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.search.storage import write_atomically
from allocsearch.training.loop import Epoch, train

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


def train_and_measure(
    allocation: Allocation,
    seed: int,
    data: SearchData,
    model: ModelSection,
    training: TrainingSection,
    evaluation: EvaluationSection,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[], None] = lambda: None,
) -> Outcome:
    """Train and measure one allocation. On a CPU, equal arguments give equal bits.

    Args:
        allocation: What to train.
        seed: Seed of the initial weights, the training and the measurement.
        data: The data of the search.
        model: Everything about the model but its allocation.
        training: The training.
        evaluation: The measurement.
        on_epoch: Called after every epoch.
        on_step: Called before every step of the training and every pass of the measurement; what
            it raises ends the trial.

    Raises:
        DivergedError: If the loss became NaN or infinite.
        NotFiniteError: If a metric is NaN or infinite.
    """
    torch.set_num_threads(training.threads)
    hvae = build_model(allocation, data.train.shape, model, seed)
    history = train(hvae, data.train.values, training, seed, on_epoch, on_step)
    settings = Settings(
        score=evaluation.score,
        samples=evaluation.samples,
        score_samples=evaluation.score_samples,
        batch_size=evaluation.batch_size,
        seed=seed,
    )
    measurement = measure(hvae, data, settings, on_step)
    return Outcome(allocation, seed, hvae, history, measurement, provenance(data))


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
