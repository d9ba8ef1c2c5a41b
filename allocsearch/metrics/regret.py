"""Likelihood regret: how much better a posterior fitted to one example alone would do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from allocsearch.models.gaussian import Gaussian, Latent
from allocsearch.models.hvae import HVAE

_LEARNING_RATE = 0.05


def likelihood_regret(
    model: HVAE,
    values: Tensor,
    steps: int,
    samples: int,
    batch_size: int,
    seed: int,
    on_batch: Callable[[], None] = lambda: None,
) -> Tensor:
    """The gain in ELBO of each example from a posterior of its own.

    The posterior of each layer is moved by a shift and a scale for each dim, in units of its own
    standard deviation, which are fitted by Adam; it starts as the encoder gives it. The gain is
    measured with the same noise before and after, which takes most of the sampling error out of
    it, and is never below 0: no step need be taken.

    Args:
        model: A trained model, in eval mode; its weights and their gradients are left alone.
        values: Stored examples, `(n, *shape)`.
        steps: Of the optimiser, each with new noise.
        samples: Draws of the latents for each example.
        batch_size: Examples fitted side by side.
        seed: Seed of binarisation and latents.
        on_batch: Called before every step; what it raises ends the work.

    Returns:
        Nats, `(n,)`; larger is more OOD.

    Reference: Xiao et al. (2020), "Likelihood regret", section 3, there for one layer.
    """
    generator = torch.Generator().manual_seed(seed)
    regrets = [
        _regret(model, batch, steps, samples, generator, on_batch)
        for batch in torch.split(values, batch_size)
    ]
    return torch.cat(regrets)


def _regret(
    model: HVAE,
    values: Tensor,
    steps: int,
    samples: int,
    generator: torch.Generator,
    on_batch: Callable[[], None],
) -> Tensor:
    x = model.likelihood.prepare(values, generator)
    shifts, log_scales = (
        [torch.zeros(len(x), d, requires_grad=True) for d in model.allocation.dims]
        for _ in range(2)
    )
    judging = model.draw_noise(len(x), generator, samples)

    def elbo(noise: Sequence[Tensor]) -> Tensor:
        moves = list(zip(shifts, log_scales, noise, strict=True))
        drawn = model.infer(x, [torch.addcmul(a, torch.exp(b), e) for a, b, e in moves])
        latents = [
            Latent(_moved(latent.posterior, a, b), e, latent.z)
            for latent, (a, b, e) in zip(drawn, moves, strict=True)
        ]
        return model.bound_terms(x, latents).bound().mean(0)

    with torch.no_grad():
        before = elbo(judging)
    optimizer = torch.optim.Adam([*shifts, *log_scales], lr=_LEARNING_RATE)
    for _ in range(steps):
        on_batch()
        loss = -elbo(model.draw_noise(len(x), generator, samples)).sum()
        gradients = torch.autograd.grad(loss, [*shifts, *log_scales])
        for parameter, gradient in zip([*shifts, *log_scales], gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
    with torch.no_grad():
        return (elbo(judging) - before).clamp(min=0)


def _moved(posterior: Gaussian, shift: Tensor, log_scale: Tensor) -> Gaussian:
    """The Gaussian of mean + sd * shift and standard deviation sd * exp(log_scale)."""
    mean = torch.addcmul(posterior.mean, torch.exp(0.5 * posterior.log_var), shift)
    return Gaussian(mean, posterior.log_var + 2 * log_scale)
