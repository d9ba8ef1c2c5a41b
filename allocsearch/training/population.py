"""Training of several candidates in one pass over shared batches."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from allocsearch.config import TrainingSection
from allocsearch.models.hvae import HVAE
from allocsearch.models.masking import embed, extract
from allocsearch.training.batches import epoch_batches
from allocsearch.training.device import device_of, product_precision, products_in
from allocsearch.training.divergence import DivergedError, diverged
from allocsearch.training.epoch import Epoch
from allocsearch.training.loss import loss_of
from allocsearch.training.pretraining import PretrainingEpoch, pretrain
from allocsearch.training.randomness import Randomness
from allocsearch.training.schedules import free_nats, kl_weight

# What all candidates of a population share: the batches and the optimiser.
_SHARED = (
    "epochs",
    "batch_size",
    "learning_rate",
    "kl",
    "gradient_clip",
    "batch_seed",
    "common_noise",
    "device",
    "precision",
    "pretrain",
)


def train_population(
    models: Sequence[HVAE],
    values: Tensor,
    sections: Sequence[TrainingSection],
    seeds: Sequence[int],
    on_epoch: Callable[[int, Epoch], None] = lambda index, epoch: None,
    on_step: Callable[[], None] = lambda: None,
    on_pretrain: Callable[[int, PretrainingEpoch], None] = lambda index, epoch: None,
) -> tuple[tuple[Epoch, ...] | DivergedError, ...]:
    """Train models of different allocations in place, as `train` would one by one.

    The weights of all candidates stand side by side in tensors with room for the widest layer of
    each level, masked, so that a step of all is one step of batched products. Every candidate
    gets the batches of `training.batch_seed` and its own noise; its results are those of
    a training alone to within rounding. `training.compile` is for trainings alone, and so is the
    pretraining of a candidate, one after the other.

    Args:
        models: The candidates, alike in all but their dims.
        values: Training examples, `(n, *shape)`.
        sections: One training for each candidate; only their schedules may differ.
        seeds: One seed for each candidate, of the noise of its latents.
        on_epoch: Called after every epoch for every candidate that has not diverged, with its
            index.
        on_step: Called before every step; what it raises ends the training.
        on_pretrain: Called after every epoch of a candidate's pretraining, with its index.

    Returns:
        For each candidate the epochs, or what went wrong; one that diverges leaves the others be.

    Raises:
        ValueError: If there is no candidate, the lengths differ, or the candidates differ in
            number of layers or in what they share.
    """
    _check(models, sections, seeds)
    device = device_of(sections[0])
    failures = _pretrain(models, values, sections, seeds, on_pretrain, on_step)
    values = values.to(device)
    frozen = sections[0].pretrain.frozen_epochs if sections[0].pretrain else 0
    population = _Population(models, sections, device)
    optimizer = torch.optim.Adam(population.weights, lr=sections[0].learning_rate, fused=True)
    sources = [Randomness(*own, device) for own in zip(sections, seeds, strict=True)]
    batches = sources[0].batches
    n, epochs = len(values), sections[0].epochs
    batch_size = min(sections[0].batch_size, n)
    steps = n // batch_size
    histories: list[list[Epoch]] = [[] for _ in models]
    for epoch in range(1, epochs + 1):
        if len(failures) == len(models):
            break
        population.train_path(on=epoch > frozen)
        loss_sum, elbo_sum = torch.zeros(2, len(models), device=device)
        rates_sum = torch.zeros(len(models), models[0].allocation.layers, device=device)
        for step, chosen in enumerate(epoch_batches(n, batch_size, batches)):
            on_step()
            x = models[0].likelihood.prepare(values[chosen], batches)
            noise = [own.noise(model, len(x)) for own, model in zip(sources, models, strict=True)]
            progress = ((epoch - 1) * steps + step) / (epochs * steps)
            loss, elbo, rates = population.loss(x, noise, progress)
            optimizer.zero_grad()
            torch.autograd.backward(loss.sum())
            _clip_gradients(population.weights, sections[0].gradient_clip)
            optimizer.step()
            loss_sum += loss.detach()
            elbo_sum += elbo
            rates_sum += rates
        means = zip((elbo_sum / steps).tolist(), (rates_sum / steps).tolist(), strict=True)
        for index, (total, (elbo_mean, rate_means)) in enumerate(
            zip(loss_sum.tolist(), means, strict=True)
        ):
            if not math.isfinite(total):
                failures.setdefault(index, diverged(total, epoch))
            if index not in failures:
                histories[index].append(Epoch(epoch, epochs, elbo_mean, tuple(rate_means)))
                on_epoch(index, histories[index][-1])
    population.extract()
    return tuple(failures.get(index, tuple(history)) for index, history in enumerate(histories))


def _pretrain(
    models: Sequence[HVAE],
    values: Tensor,
    sections: Sequence[TrainingSection],
    seeds: Sequence[int],
    on_pretrain: Callable[[int, PretrainingEpoch], None],
    on_step: Callable[[], None],
) -> dict[int, DivergedError]:
    """Pretrain each candidate, and tell what went wrong with which."""
    failures: dict[int, DivergedError] = {}
    for index, own in enumerate(zip(models, sections, seeds, strict=True)):
        model, section, seed = own
        if section.pretrain is None:
            continue
        try:
            report = partial(on_pretrain, index)
            pretrain(model, values, section, section.pretrain, seed, report, on_step)
        except DivergedError as error:
            failures[index] = error
        finally:
            model.to("cpu")
    return failures


class _Population:
    """Candidates side by side.

    Attributes:
        weights: Those of all candidates, stacked, `(K, ...)` each.
    """

    def __init__(
        self,
        models: Sequence[HVAE],
        sections: Sequence[TrainingSection],
        device: torch.device,
    ) -> None:
        self._models, self._sections, self._device = models, sections, device
        self._precision = product_precision(sections[0], device)
        sizes = zip(*(model.allocation.dims for model in models), strict=True)
        self._widths = tuple(map(max, sizes))
        self._wide = [type(m)(m.allocation, m.shape, m.section, self._widths) for m in models]
        for model, wide in zip(models, self._wide, strict=True):
            embed(model, wide)
            wide.to(device)
        self._parameters, self._buffers = stack_module_state(list[nn.Module](self._wide))
        self.weights = list(self._parameters.values())
        self._path = [self._parameters[name] for name in models[0].encoder_path()]
        layers = range(len(self._widths))
        self._masks = torch.cat([self._buffers[f"mask_{layer}"] for layer in layers], dim=1)
        # Holds the structure alone; the weights are handed to it.
        self._base = copy.deepcopy(self._wide[0]).to("meta")
        self._losses = vmap(self._loss, in_dims=(0, 0, None, 0, 0, 0, 0))

    def train_path(self, *, on: bool) -> None:
        """Have the weights of the encoder path trained, or leave them as they are."""
        for weight in self._path:
            weight.requires_grad_(on)

    def loss(
        self, x: Tensor, noise: Sequence[Sequence[Tensor]], progress: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss and ELBO of a batch for every candidate, `(K,)`, and rates of its layers, `(K, L)`.

        Args:
            x: Model inputs, `(batch, features)`.
            noise: For each candidate, for each layer, `(batch, d_l)`.
            progress: Share of the training that is done.
        """
        schedules = [
            [schedule(progress, section) for section in self._sections]
            for schedule in (kl_weight, free_nats)
        ]
        weight, free = torch.tensor(schedules).to(self._device, non_blocking=True)
        padded = tuple(
            torch.stack([functional.pad(part, (0, width - part.shape[-1])) for part in parts])
            for width, parts in zip(self._widths, zip(*noise, strict=True), strict=True)
        )
        with products_in(self._precision, self._device):
            loss, elbo, rates = self._losses(
                self._parameters, self._buffers, x, padded, weight, free, self._masks
            )
        return loss, elbo, rates

    def _loss(
        self,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x: Tensor,
        noise: tuple[Tensor, ...],
        weight: Tensor,
        free: Tensor,
        mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of one candidate, for `vmap`."""
        analytic = {"analytic": self._sections[0].kl == "analytic"}
        terms = functional_call(self._base, (parameters, buffers), (x, noise), analytic)
        return loss_of(terms, weight, free, mask)

    def extract(self) -> None:
        """Hand the weights back to the models, in eval mode."""
        for index, (model, wide) in enumerate(zip(self._models, self._wide, strict=True)):
            wide.load_state_dict({n: w[index].detach() for n, w in self._parameters.items()})
            extract(wide.to("cpu"), model)
            model.eval()


def _check(
    models: Sequence[HVAE], sections: Sequence[TrainingSection], seeds: Sequence[int]
) -> None:
    if not models or not len(models) == len(sections) == len(seeds):
        raise ValueError("a population has a model, a training and a seed for each candidate")
    if len({(m.allocation.layers, type(m), m.shape, m.section) for m in models}) > 1:
        raise ValueError("candidates differ in more than the dims of their layers")
    for key in _SHARED:
        if len({getattr(section, key) for section in sections}) > 1:
            raise ValueError(f"candidates differ in training.{key}, which they share")
    if sections[0].batch_seed is None and len(models) > 1:
        raise ValueError("candidates share their batches: training.batch_seed says which")


def _clip_gradients(weights: Sequence[Tensor], limit: float) -> None:
    """Scale the gradient of every candidate to the norm `limit` where it is longer.

    Args:
        weights: With their gradients, `(K, ...)` each.
        limit: Of the norm over all weights of a candidate.
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    squares = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients])
    # As torch.nn.utils.clip_grads_with_norm_ does for one model.
    scale = (limit / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(scale.reshape(-1, *[1] * (gradient.dim() - 1)))
