"""Posterior means of the latents, as features of examples."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from allocsearch.models.hvae import HVAE


def posterior_means(
    model: HVAE,
    values: Tensor,
    batch_size: int,
    seed: int,
    on_batch: Callable[[], None] = lambda: None,
) -> tuple[Tensor, ...]:
    """The mean of every layer's posterior, at the means of the layers that it depends on.

    Args:
        model: The model, in eval mode.
        values: Stored examples, `(n, *shape)`.
        batch_size: Examples in one pass.
        seed: Of the binarisation, where the likelihood has one; latents are not drawn.
        on_batch: Called before every pass; what it raises ends the work.

    Returns:
        Bottom to top, `(n, d_l)` each.
    """
    generator = torch.Generator().manual_seed(seed)
    batches: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        for batch in torch.split(values, batch_size):
            on_batch()
            x = model.likelihood.prepare(batch, generator)
            # Without noise every latent is the mean of its posterior.
            zeros = [x.new_zeros((len(batch), width)) for width in model.widths]
            batches.append(tuple(latent.posterior.mean for latent in model.infer(x, zeros)))
    return tuple(torch.cat(layer) for layer in zip(*batches, strict=True))
