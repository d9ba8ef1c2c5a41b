"""What a training step minimises."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from allocsearch.models.hvae import HVAE, BoundTerms


def charged_kl(means: Tensor, free: float | Tensor, mask: Tensor | None = None) -> Tensor:
    """The KL divergence that the loss counts.

    Args:
        means: KL term of each latent dim of all layers, in the mean over the batch, `(D,)`, nats.
        free: Nats that each latent dim has for free, a number or a scalar tensor.
        mask: 1 for the dims in use and 0 for the others, which count nothing, `(D,)`. None: all
            are in use.

    Returns:
        Scalar, nats per example.
    """
    # Without free nats nothing is clamped: a drawn KL term may well be below zero.
    if isinstance(free, Tensor):
        counted = torch.maximum(means, torch.where(free > 0, free, -math.inf))
    else:
        counted = means.clamp(min=free) if free > 0 else means
    return (counted if mask is None else counted * mask).sum()


def dims_in_use(model: HVAE) -> Tensor | None:
    """The `mask` of a model: `(D,)`, its layers bottom to top; None where all dims are in use."""
    if model.widths == model.allocation.dims:
        return None
    pairs = zip(model.widths, model.allocation.dims, strict=True)
    return torch.cat([(torch.arange(width) < d).float() for width, d in pairs])


def loss_of(
    terms: BoundTerms, weight: float | Tensor, free: float | Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a batch, its ELBO, and the rates of its layers.

    Args:
        terms: For one draw of the latents: `(batch,)`, and `(batch, d_l)` for each layer.
        weight: Weight of the KL terms, a number or a scalar tensor.
        free: Nats that each latent dim has for free, a number or a scalar tensor.
        mask: As for `charged_kl`: dims in use, all layers side by side, bottom to top.

    Returns:
        Loss, with its gradient, a scalar; without it the mean ELBO, a scalar, and the mean KL term
        of each layer, bottom to top, `(L,)`. Nats per example.
    """
    log_likelihood = terms.log_likelihood.mean()
    means = [layer.mean(0) for layer in terms.kl]
    loss = weight * charged_kl(torch.cat(means), free, mask) - log_likelihood
    rates = torch.stack([layer.detach().sum() for layer in means])
    return loss, log_likelihood.detach() - rates.sum(), rates
