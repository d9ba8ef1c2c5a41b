"""The memory that training and measuring a model takes, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch
from torch import Tensor

from allocsearch.config import EvaluationSection, InputError, TrainingSection
from allocsearch.models.hvae import HVAE

# Float32 copies of the weights: they, their gradients, and two moments of Adam.
_COPIES = 4
# A unit's value is kept for the backward pass, where the gradient by it comes into being.
_BACKWARD = 2
# Tensors of the largest size that are alive at once in a pass without gradients.
_ALIVE = 4
# Per draw and dim: four float32 tensors of the passes, and three that they are joined in.
_DRAW_BYTES = 28
# The first draws, which a reverse model is fitted to in float64, and its bytes for each dim.
_FITTED_DRAWS, _FITTED_BYTES = 8, 64


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that one training and its measurement take at their peak, estimated.

    Attributes:
        data: Examples of all data sets.
        weights: Weights, gradients and moments.
        activations: Units that a step keeps for its backward pass.
        measurement: Draws of the latents of the validation examples, and a pass that makes them.
    """

    data: int
    weights: int
    activations: int
    measurement: int

    @property
    def total(self) -> int:
        """Bytes at the peak: a model is trained, then measured."""
        return self.data + self.weights + max(self.activations, self.measurement)


def _activations(model: HVAE) -> tuple[int, int]:
    """Bytes that a forward pass keeps for each example: of all tensors, and of the largest."""
    examples = 2
    kept: dict[int, int] = {}
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    noise = model.draw_noise(examples, torch.Generator().manual_seed(0))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        terms = model(torch.zeros(examples, model.likelihood.features), noise)
    # The graph holds the tensors, so that no two of them can have had the same place.
    del terms
    return sum(kept.values()) // examples, max(kept.values()) // examples


def weights_need(model: HVAE) -> int:
    """Bytes of a model's weights with their gradients and moments; a meta model will do."""
    return _COPIES * 4 * sum(weight.numel() for weight in model.parameters())


def memory_need(
    model: HVAE,
    training: TrainingSection,
    evaluation: EvaluationSection,
    *,
    validation: int,
    data: int,
    population: int = 1,
) -> MemoryNeed:
    """The memory that one process takes for training and measuring models like one.

    Args:
        model: A model on the CPU, the largest of those to be trained.
        training: Its training.
        evaluation: Its measurement.
        validation: Number of validation examples.
        data: Bytes of all the data.
        population: Models that are trained together.
    """
    each, largest = _activations(model)
    passes = evaluation.batch_size * max(evaluation.samples, evaluation.score_samples)
    fitted = _FITTED_BYTES * min(_FITTED_DRAWS, evaluation.samples)
    draws = validation * sum(model.widths) * (_DRAW_BYTES * evaluation.samples + fitted)
    return MemoryNeed(
        data=data,
        weights=weights_need(model) * population,
        activations=_BACKWARD * each * training.batch_size * population,
        measurement=draws + _ALIVE * largest * passes,
    )


def available_memory(device: torch.device) -> int:
    """Bytes that are free now: of the machine for a CPU, of its own for a GPU."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def check_memory(need: MemoryNeed, workers: int, available: int) -> None:
    """Check that worker processes fit into memory side by side.

    Args:
        need: Of one worker. Parts that are 0 are not told.
        workers: How many there are.
        available: Bytes that they may take together.

    Raises:
        InputError: If they need more.
    """
    total = workers * need.total
    if total <= available:
        return
    parts = {
        "evaluation.samples, evaluation.batch_size or data.validation_size": need.measurement,
        "training.batch_size or training.population": need.activations,
        "data.train_size": need.data,
        "model.hidden, model.channels or model.depth": need.weights,
    }
    keys = max(parts, key=parts.__getitem__)
    each = f", {_gigabytes(need.total)} for each of {workers} workers" if workers > 1 else ""
    lower = f"{keys}, or study.workers" if workers > 1 else keys
    told = {
        "data": need.data,
        "weights": need.weights,
        "training step": need.activations,
        "measurement": need.measurement,
    }
    shares = ", ".join(f"{name} {_gigabytes(size)}" for name, size in told.items() if size)
    raise InputError(
        f"memory: the study needs about {_gigabytes(total)}{each} ({shares}); "
        f"{_gigabytes(available)} are free; lower {lower}"
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2g} GB" if size < 1e10 else f"{size / 1e9:.0f} GB"
