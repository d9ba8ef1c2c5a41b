"""Contrastive pretraining of the encoder: SimCLR on the shifts of the registry."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from allocsearch.config import InputError, PretrainingSection, TrainingSection
from allocsearch.data.augmentation import augmented
from allocsearch.data.dataset import Kind
from allocsearch.data.seeding import generator
from allocsearch.models.gaussian import full_precision
from allocsearch.models.hvae import HVAE
from allocsearch.training.batches import epoch_batches
from allocsearch.training.clipping import clip_gradient
from allocsearch.training.device import device_of, product_precision, products_in
from allocsearch.training.divergence import diverged

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainingEpoch:
    """What one epoch of a pretraining gave.

    Attributes:
        pretrain_epoch: Its number, from 1.
        pretrain_epochs: How many there will be.
        epochs: How many epochs by the ELBO follow.
        contrastive_loss: Mean NT-Xent of the batches during the epoch, nats.
    """

    pretrain_epoch: int
    pretrain_epochs: int
    epochs: int
    contrastive_loss: float


def check_installed() -> None:
    """Refuse a pretraining without the library of its loss.

    Raises:
        InputError: If it is not installed.
    """
    contrastive_loss(1.0)


def contrastive_loss(temperature: float) -> Callable[[Tensor], Tensor]:
    """NT-Xent, from the projections of two views of N examples to its mean over all 2N views.

    The function takes `(2 N, d)`, the first views of all examples and then the second ones in the
    same order, and gives a scalar, nats.

    Args:
        temperature: Of the cosine similarities.

    Raises:
        InputError: If pytorch-metric-learning is not installed.

    Reference: Chen et al. (2020), "A simple framework for contrastive learning of visual
    representations", equation 1.
    """
    try:
        from pytorch_metric_learning.losses import SupConLoss
        from pytorch_metric_learning.reducers import MeanReducer
    except ImportError as error:
        raise InputError(
            f"training.pretrain: needs {error.name}; pip install 'allocsearch[pretrain]'"
        ) from None
    # Of one positive each, the supervised loss of Khosla et al. (2020) is NT-Xent. The library's
    # NTXentLoss compares every pair with every pair, which takes 100 times as long.
    loss = SupConLoss(temperature=temperature, reducer=MeanReducer())

    def of_views(projections: Tensor) -> Tensor:
        examples = torch.arange(len(projections) // 2, device=projections.device).repeat(2)
        found: Tensor = loss(projections, examples)
        return found

    return of_views


def _projection(units: int, dims: int, seed: int) -> nn.Module:
    """A projection head with initial weights that depend on the seed alone.

    Reference: Chen et al. (2020), section 2.1.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(units, units), nn.ReLU(), nn.Linear(units, dims))


def _kind(model: HVAE, values: Tensor) -> Kind:
    """What stored values are: those of a model of token ids are tokens."""
    if model.section.one_hot:
        return "tokens"
    return "continuous" if values.is_floating_point() else "pixels"


def pretrain(
    model: HVAE,
    values: Tensor,
    section: TrainingSection,
    how: PretrainingSection,
    seed: int,
    on_epoch: Callable[[PretrainingEpoch], None] = lambda epoch: None,
    on_step: Callable[[], None] = lambda: None,
) -> None:
    """Train the encoder path of a model in place to know two views of an example as such.

    Batches, optimiser, device and precision are those of the training. Every weight that
    `HVAE.encoding` does not depend on stays. With `training.batch_seed` all trainings have the
    same batches, views and initial projection. On a CPU, equal arguments give equal bits.

    Args:
        model: The model.
        values: Training examples on the CPU, `(n, *shape)`.
        section: The training that it is a part of.
        how: The pretraining.
        seed: Of everything that is drawn, where there is no `training.batch_seed`.
        on_epoch: Called after every epoch.
        on_step: Called before every step; what it raises ends the pretraining.

    Raises:
        DivergedError: If the loss of an epoch was NaN or infinite.
        InputError: If a GPU or a library is not there, or an augmentation is not for such
            examples.
    """
    drawn_from = seed if section.batch_seed is None else section.batch_seed
    source = generator(drawn_from, "pretraining")
    device = device_of(section)
    precision = product_precision(section, device)
    loss_of = contrastive_loss(how.temperature)
    with torch.no_grad():
        units = model.encoding(torch.zeros(1, model.likelihood.features)).shape[1]
    projection_seed = generator(drawn_from, "projection").initial_seed()
    projection = _projection(units, how.projection, projection_seed).to(device)
    path = {*model.encoder_path()}
    model.to(device).train()
    weights = [weight for name, weight in model.named_parameters() if name in path]
    weights += projection.parameters()
    optimizer = torch.optim.Adam(weights, lr=section.learning_rate, fused=True)
    batch_size = min(section.batch_size, len(values))
    kind = _kind(model, values)
    for epoch in range(1, how.epochs + 1):
        total, steps = torch.zeros((), device=device), 0
        for chosen in epoch_batches(len(values), batch_size, source):
            on_step()
            batch = values[chosen]
            views = [augmented(batch, how.augmentations, source, kind) for _ in range(2)]
            x = model.likelihood.prepare(torch.cat(views), source).to(device)
            with products_in(precision, device):
                projected = projection(model.encoding(x))
            loss = loss_of(full_precision(projected))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            clip_gradient(weights, section.gradient_clip)
            optimizer.step()
            total += loss.detach()
            steps += 1
        if not math.isfinite(total.item()):
            raise diverged(total.item(), epoch, "the contrastive loss")
        mean = total.item() / steps
        logger.debug("pretraining %d of %d: NT-Xent %.3f nats", epoch, how.epochs, mean)
        on_epoch(PretrainingEpoch(epoch, how.epochs, section.epochs, mean))
    model.zero_grad()


def frozen_path(model: HVAE, section: TrainingSection) -> tuple[int, list[nn.Parameter]]:
    """How many epochs by the ELBO leave the encoder path as it was, and its weights.

    Without such epochs there are none to be told apart.
    """
    if section.pretrain is None or not section.pretrain.frozen_epochs:
        return 0, []
    path = {*model.encoder_path()}
    weights = [weight for name, weight in model.named_parameters() if name in path]
    return section.pretrain.frozen_epochs, weights
