"""The memory that training and measuring a model takes, before it starts."""

from __future__ import annotations

from collections.abc import Callable
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
# Matrices of similarities of all views that a step of a pretraining keeps.
_SIMILARITIES = 2.5
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
        pretraining: Units and similarities that a step of a pretraining keeps.
    """

    data: int
    weights: int
    activations: int
    measurement: int
    pretraining: int = 0

    @property
    def total(self) -> int:
        """Bytes at the peak: a model is pretrained, trained, then measured."""
        peak = max(self.pretraining, self.activations, self.measurement)
        return self.data + self.weights + peak


def _kept(model: HVAE, forward: Callable[[int], object]) -> tuple[int, int]:
    """Bytes that a pass keeps for each example: of all tensors, and of the largest.

    Args:
        model: The model.
        forward: A pass of so many examples; it gives what holds the graph.
    """
    examples = 2
    kept: dict[int, int] = {}
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held = forward(examples)
    # The graph holds the tensors, so that no two of them can have had the same place.
    del held
    return sum(kept.values()) // examples, max(kept.values()) // examples


def _activations(model: HVAE) -> tuple[int, int]:
    """Bytes that a forward pass keeps for each example: of all tensors, and of the largest."""

    def forward(examples: int) -> object:
        noise = model.draw_noise(examples, torch.Generator().manual_seed(0))
        return model(torch.zeros(examples, model.likelihood.features), noise)

    return _kept(model, forward)


def _pretraining(model: HVAE, batch_size: int) -> int:
    """Bytes that a step of a pretraining keeps."""
    features = model.likelihood.features
    each, _ = _kept(model, lambda examples: model.encoding(torch.zeros(examples, features)))
    views = 2 * batch_size
    return each * views + int(_SIMILARITIES * 4 * views**2)


def weights_need(model: HVAE) -> int:
    """Bytes of a model's weights with their gradients and moments; a meta model will do."""
    return _COPIES * 4 * sum(weight.numel() for weight in model.parameters())


def memory_need(
    model: HVAE,
    training: TrainingSection,
    evaluation: EvaluationSection,
    *,
    train: int,
    validation: int,
    data: int,
    population: int = 1,
) -> MemoryNeed:
    """The memory that one process takes for training and measuring models like one.

    Args:
        model: A model on the CPU, the largest of those to be trained.
        training: Its training.
        evaluation: Its measurement.
        train: Number of training examples, of which no batch has more.
        validation: Number of validation examples.
        data: Bytes of all the data.
        population: Models that are trained together, and pretrained and measured one by one.
    """
    each, largest = _activations(model)
    batch_size = min(training.batch_size, train)
    pretraining = 0 if training.pretrain is None else _pretraining(model, batch_size)
    passes = evaluation.batch_size * max(evaluation.samples, evaluation.score_samples)
    fitted = _FITTED_BYTES * min(_FITTED_DRAWS, evaluation.samples)
    draws = validation * sum(model.widths) * (_DRAW_BYTES * evaluation.samples + fitted)
    return MemoryNeed(
        data=data,
        weights=weights_need(model) * population,
        activations=_BACKWARD * each * batch_size * population,
        measurement=draws + _ALIVE * largest * passes,
        pretraining=_BACKWARD * pretraining,
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
        "training.batch_size": need.pretraining,
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
        "pretraining": need.pretraining,
    }
    shares = ", ".join(f"{name} {_gigabytes(size)}" for name, size in told.items() if size)
    raise InputError(
        f"memory: the study needs about {_gigabytes(total)}{each} ({shares}); "
        f"{_gigabytes(available)} are free; lower {lower}"
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2g} GB" if size < 1e10 else f"{size / 1e9:.0f} GB"
