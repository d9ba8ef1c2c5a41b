"""The work of a trial: train the model of an allocation and measure it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import safetensors.torch
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import EvaluationSection, ModelSection, TrainingSection
from allocsearch.data.splits import SearchData
from allocsearch.metrics.evaluation import Measurement, Settings, measure
from allocsearch.metrics.finite import NotFiniteError
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.search.checkpoint_file import CheckpointFile
from allocsearch.search.environment import environment
from allocsearch.search.history import METRICS_NAME
from allocsearch.search.score_files import SCORES_NAME, write_scores
from allocsearch.search.storage import write_atomically
from allocsearch.search.trainer import PrunedError
from allocsearch.training.device import device_of
from allocsearch.training.divergence import DivergedError
from allocsearch.training.epoch import Epoch
from allocsearch.training.loop import train
from allocsearch.training.population import train_population
from allocsearch.training.pretraining import PretrainingEpoch

_PACKAGES = ("allocsearch", "torch", "numpy", "optuna", "scikit-learn")
# Its loss decides about the weights.
_PRETRAINING = "pytorch-metric-learning"
# Errors of a measurement that are the candidate's own.
_OWN_ERRORS: tuple[type[RuntimeError], ...] = (
    NotFiniteError,
    torch.linalg.LinAlgError,  # type: ignore[attr-defined]
)


@dataclass(frozen=True)
class Outcome:
    """A finished trial.

    Attributes:
        allocation: What was trained.
        seed: Seed of the training and the measurement.
        model: The trained model, in eval mode.
        history: The epochs of its training.
        measurement: What was measured.
        provenance: As `provenance` gives it.
    """

    allocation: Allocation
    seed: int
    model: HVAE
    history: tuple[Epoch, ...]
    measurement: Measurement
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class Candidate:
    """What a trial trains.

    Attributes:
        allocation: The allocation.
        seed: Of its training and measurement.
        checkpoint: Where its training is kept, and goes on from; only that of a candidate that is
            trained alone is.
    """

    allocation: Allocation
    seed: int
    checkpoint: CheckpointFile | None = None


def train_and_measure(
    candidates: Sequence[Candidate],
    data: SearchData,
    model: ModelSection,
    training: TrainingSection,
    evaluation: EvaluationSection,
    on_epoch: Callable[[int, Epoch], None] = lambda index, epoch: None,
    on_step: Callable[[], None] = lambda: None,
    rungs: Sequence[float] = (),
    at_rung: Callable[[int, float, Mapping[str, float]], None] = lambda index, rung, metrics: None,
    on_pretrain: Callable[[int, PretrainingEpoch], None] = lambda index, epoch: None,
) -> Iterator[tuple[int, Outcome | RuntimeError | PrunedError]]:
    """Train and measure candidates; those of equally many layers are trained together.

    On a CPU, equal arguments give equal bits.

    Args:
        candidates: What to train. The seed is that of the initial weights, too.
        data: The data of the search.
        model: Everything about the models but their allocations.
        training: The training.
        evaluation: The measurement.
        on_epoch: Called after every epoch, with the index of the candidate; not again for those
            before its checkpoint.
        on_step: Called before every step of the training and every pass of the measurement; what
            it raises ends the work.
        rungs: Shares of the training, ascending, at the ends of whose epochs a candidate that is
            trained alone is measured, too; the training does not change by it.
        at_rung: Called with the index of the candidate, the rung and the metrics there; it may
            raise PrunedError.
        on_pretrain: Called after every epoch of a pretraining, with the index of the candidate.

    Yields:
        The index of each candidate as soon as it is measured, in no particular order, with its
        outcome, or with what went wrong: a loss or a metric that is NaN or infinite, a
        covariance that cannot be factorised, or that a rung stopped it. The others do not suffer
        from that.

    Raises:
        ValueError: If there are rungs, and candidates that are trained together.
    """
    torch.set_num_threads(training.threads)
    groups: dict[int, list[int]] = {}
    for index, candidate in enumerate(candidates):
        groups.setdefault(candidate.allocation.layers, []).append(index)
    if rungs and any(len(group) > 1 for group in groups.values()):
        raise ValueError("a candidate that is trained with others is not measured at rungs")
    ends = rung_epochs(rungs, training.epochs)
    for group in groups.values():
        chosen = [candidates[index] for index in group]
        models = [build_model(c.allocation, data.train.shape, model, c.seed) for c in chosen]
        measured = [
            partial(measure, hvae, data, measurement_settings(evaluation, c.seed), on_step)
            for hvae, c in zip(models, chosen, strict=True)
        ]
        report = partial(_report, group, models, measured, ends, on_epoch, at_rung)
        told = partial(_of_group, group, on_pretrain)
        trained = _train(models, data, training, chosen, report, on_step, told)
        for place, (index, candidate) in enumerate(zip(group, chosen, strict=True)):
            history = trained[place]
            if isinstance(history, Exception):
                yield index, history
                continue
            try:
                found = measured[place]()
            except _OWN_ERRORS as error:
                yield index, error
            else:
                own = (candidate.allocation, candidate.seed, models[place], history)
                yield index, Outcome(*own, found, provenance(data, training, evaluation))


def _of_group(
    group: Sequence[int],
    on_pretrain: Callable[[int, PretrainingEpoch], None],
    place: int,
    epoch: PretrainingEpoch,
) -> None:
    """Report an epoch of the pretraining of the model at a place of its group."""
    on_pretrain(group[place], epoch)


def rung_epochs(rungs: Sequence[float], epochs: int) -> dict[int, float]:
    """The epochs at whose ends rungs are, by number: the first that completes the share.

    Of rungs with the same epoch the last counts, and none that takes the whole training.

    Args:
        rungs: Shares of the training, ascending.
        epochs: Of the whole training.
    """
    # 0.07 of 100 epochs are 7, and 7.000000000000001 in floating point.
    ends = {max(1, math.ceil(rung * epochs - 1e-9)): rung for rung in rungs}
    return {epoch: rung for epoch, rung in ends.items() if epoch < epochs}


def _report(
    group: Sequence[int],
    models: Sequence[HVAE],
    measured: Sequence[Callable[[], Measurement]],
    ends: Mapping[int, float],
    on_epoch: Callable[[int, Epoch], None],
    at_rung: Callable[[int, float, Mapping[str, float]], None],
    place: int,
    epoch: Epoch,
) -> None:
    """Report an epoch of the model at a place of its group, and measure it at a rung."""
    on_epoch(group[place], epoch)
    if epoch.epoch not in ends:
        return
    model = models[place]
    device = next(model.parameters()).device
    model.to("cpu").eval()
    try:
        metrics = measured[place]().metrics
    finally:
        model.to(device).train()
    at_rung(group[place], ends[epoch.epoch], metrics)


def _train(
    models: Sequence[HVAE],
    data: SearchData,
    training: TrainingSection,
    candidates: Sequence[Candidate],
    on_epoch: Callable[[int, Epoch], None],
    on_step: Callable[[], None],
    on_pretrain: Callable[[int, PretrainingEpoch], None],
) -> Sequence[tuple[Epoch, ...] | RuntimeError | PrunedError]:
    """The epochs of each model, or what went wrong; a model alone needs no masks."""
    values = data.train.values
    if len(models) > 1:
        sections = [training] * len(models)
        seeds = [candidate.seed for candidate in candidates]
        return train_population(models, values, sections, seeds, on_epoch, on_step, on_pretrain)
    [candidate] = candidates
    kept = candidate.checkpoint
    resumed = () if kept is None else (kept.read(), kept.keep)
    own = partial(train, on_pretrain=partial(on_pretrain, 0))
    report = partial(on_epoch, 0)
    try:
        return [own(models[0], values, training, candidate.seed, report, on_step, *resumed)]
    except (DivergedError, PrunedError) as error:
        return [error]
    except _OWN_ERRORS as error:
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
        probe=evaluation.probe,
    )


def provenance(
    data: SearchData, training: TrainingSection, evaluation: EvaluationSection
) -> dict[str, str]:
    """What results depend on: `environment`, `device`, `threads` and `data`, its fingerprint.

    With a pretraining also the version of the library of its loss, and with a probe `labels`, the
    fingerprint of its classes.
    """
    device = device_of(training)
    name = "cpu"
    if device.type == "cuda":
        name = f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    packages = _PACKAGES if training.pretrain is None else (*_PACKAGES, _PRETRAINING)
    found = {
        **environment(packages),
        "device": name,
        "threads": str(training.threads),
        "data": data.fingerprint,
    }
    if evaluation.probe is not None and (labels := data.probed.labels_fingerprint) is not None:
        found["labels"] = labels
    return found


def save_outcome(outcome: Outcome, folder: Path, keep: str) -> None:
    """Write an outcome to a folder: metrics.json and, by `keep`, scores.npz, model.safetensors.

    Args:
        outcome: What to write.
        folder: Made where it is missing.
        keep: As `evaluation.keep`.
    """
    measurement = outcome.measurement
    if keep in ("scores", "all"):
        tables = {
            name: {score: values.numpy() for score, values in table.items()}
            for name, table in measurement.scores.items()
        }
        write_scores(folder / SCORES_NAME, tables)
    if keep in ("models", "all"):
        write_atomically(
            folder / "model.safetensors", safetensors.torch.save(outcome.model.state_dict())
        )
    content = {
        "schema_version": 1,
        "allocation": str(outcome.allocation),
        "seed": outcome.seed,
        "score": measurement.score,
        "broken_invariants": measurement.broken_invariants,
        "metrics": measurement.metrics,
        "history": [asdict(epoch) for epoch in outcome.history],
        "provenance": outcome.provenance,
    }
    # The metrics come last: a folder that has them is complete.
    write_atomically(folder / METRICS_NAME, json.dumps(content, indent=1, allow_nan=False))
