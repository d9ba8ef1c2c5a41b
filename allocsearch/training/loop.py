"""The training loop."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from allocsearch.config import TrainingSection
from allocsearch.models.hvae import HVAE
from allocsearch.training.batches import epoch_batches
from allocsearch.training.checkpoint import Checkpoint, capture, restore
from allocsearch.training.clipping import clip_gradient
from allocsearch.training.compilation import compiled, compiles
from allocsearch.training.device import device_of, product_precision, products_in
from allocsearch.training.divergence import diverged
from allocsearch.training.epoch import Epoch
from allocsearch.training.loss import dims_in_use, loss_of
from allocsearch.training.pretraining import PretrainingEpoch, frozen_path, pretrain
from allocsearch.training.randomness import Randomness
from allocsearch.training.schedules import free_nats, kl_weight

logger = logging.getLogger(__name__)


def _batch_loss(
    model: HVAE, section: TrainingSection, device: torch.device, *, compiling: bool
) -> Callable[[Tensor, Sequence[Tensor], float], tuple[Tensor, Tensor, Tensor]]:
    """From model inputs, noise and progress of the training to `loss_of` a batch."""
    mask = dims_in_use(model)
    mask = mask if mask is None else mask.to(device)
    precision = product_precision(section, device)
    analytic = section.kl == "analytic"

    def loss(
        x: Tensor, noise: Sequence[Tensor], weight: float | Tensor, free: float | Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        with products_in(precision, device):
            terms = model(x, noise, analytic=analytic)
        return loss_of(terms, weight, free, mask)

    if not compiling:
        return lambda x, noise, progress: loss(
            x, noise, kl_weight(progress, section), free_nats(progress, section)
        )
    fast = compiled(loss)
    # Numbers that change would be compiled in.
    return lambda x, noise, progress: fast(
        x,
        noise,
        torch.tensor(kl_weight(progress, section)),
        torch.tensor(free_nats(progress, section)),
    )


def train(
    model: HVAE,
    values: Tensor,
    section: TrainingSection,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[], None] = lambda: None,
    start: Checkpoint | None = None,
    on_checkpoint: Callable[[Callable[[], Checkpoint]], None] = lambda capture: None,
    on_pretrain: Callable[[PretrainingEpoch], None] = lambda epoch: None,
) -> tuple[Epoch, ...]:
    """Train a model in place. On a CPU with one thread, equal arguments give equal bits.

    On a GPU the examples and the model lie there during the training; the model comes back.

    Args:
        model: The model, on the CPU.
        values: Training examples, `(n, *shape)`.
        section: Length, batches, optimiser, schedules, and where and how it is computed.
        seed: Seed of the order of the examples, their binarisation and the latents' noise.
        on_epoch: Called after every epoch.
        on_step: Called before every step; what it raises ends the training.
        start: Where an equal training was interrupted; what follows is what followed there.
        on_checkpoint: Called after every epoch and its `on_epoch` with what makes a checkpoint,
            and after the pretraining, where there is one.
        on_pretrain: Called after every epoch of the pretraining.

    Returns:
        The epochs, those before `start` included.

    Raises:
        DivergedError: If the loss of an epoch was NaN or infinite.
        InputError: If the section asks for a GPU, a compiler or a library that is not there, or
            for augmentations that are not for such examples.
    """
    device = device_of(section)
    try:
        if section.pretrain is not None and start is None:
            pretrain(model, values, section, section.pretrain, seed, on_pretrain, on_step)
        model, values = model.to(device), values.to(device)
        return _train(model, values, section, seed, on_epoch, on_step, start, on_checkpoint)
    finally:
        model.to("cpu").requires_grad_(True)


def _train(
    model: HVAE,
    values: Tensor,
    section: TrainingSection,
    seed: int,
    on_epoch: Callable[[Epoch], None],
    on_step: Callable[[], None],
    start: Checkpoint | None,
    on_checkpoint: Callable[[Callable[[], Checkpoint]], None],
) -> tuple[Epoch, ...]:
    """Train a model where it lies, on examples that lie there too; see `train`."""
    device = values.device
    source = Randomness(section, seed, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=section.learning_rate, fused=True)
    parameters = list(model.parameters())
    frozen, path = frozen_path(model, section)
    n = len(values)
    batch_size = min(section.batch_size, n)
    steps = n // batch_size
    compiling = compiles(section, device, section.epochs * steps)
    batch_loss = _batch_loss(model, section, device, compiling=compiling)
    history: list[Epoch] = []
    if start is not None:
        restore(start, model, optimizer, source)
        history.extend(start.history)
    elif section.pretrain is not None:
        on_checkpoint(partial(capture, model, optimizer, source, ()))
    model.train()
    for epoch in range(len(history), section.epochs):
        for weight in path:
            # Without a gradient the optimiser passes it over.
            weight.requires_grad_(epoch >= frozen)
        loss_sum, elbo_sum = torch.zeros(2, device=device)
        rates_sum = torch.zeros(len(model.widths), device=device)
        for step, chosen in enumerate(epoch_batches(n, batch_size, source.batches)):
            on_step()
            progress = (epoch * steps + step) / (section.epochs * steps)
            x = model.likelihood.prepare(values[chosen], source.batches)
            noise = source.noise(model, batch_size)
            loss, elbo, rates = batch_loss(x, noise, progress)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            clip_gradient(parameters, section.gradient_clip)
            optimizer.step()
            loss_sum += loss.detach()
            elbo_sum += elbo
            rates_sum += rates
        if not math.isfinite(loss_sum.item()):
            raise diverged(loss_sum.item(), epoch + 1)
        elbo_mean, rate_means = elbo_sum.item() / steps, tuple((rates_sum / steps).tolist())
        history.append(Epoch(epoch + 1, section.epochs, elbo_mean, rate_means))
        logger.debug("epoch %d of %d: ELBO %.2f nats", epoch + 1, section.epochs, elbo_mean)
        on_epoch(history[-1])
        on_checkpoint(partial(capture, model, optimizer, source, tuple(history)))
    model.eval()
    return tuple(history)
