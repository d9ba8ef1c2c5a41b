"""Draws of all latent layers by inference passes over examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from allocsearch.metrics.reverse import LayerDraws
from allocsearch.models.gaussian import Latent
from allocsearch.models.hvae import HVAE


def draw_layers(
    model: HVAE,
    values: Tensor,
    samples: int,
    batch_size: int,
    seed: int,
    on_batch: Callable[[], None] = lambda: None,
) -> tuple[Tensor, tuple[LayerDraws, ...]]:
    """Run `samples` inference passes over each of n examples.

    Args:
        model: The model, in eval mode.
        values: Stored examples, `(n, *shape)`.
        samples: S, draws of the latents per example.
        batch_size: Examples in one pass.
        seed: Seed of binarisation and latents.
        on_batch: Called before every pass; what it raises ends the work.

    Returns:
        The model inputs, `(n, features)`, and the layers, bottom to top.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs: list[Tensor] = []
    passes: list[tuple[Latent, ...]] = []
    with torch.inference_mode():
        for batch in torch.split(values, batch_size):
            on_batch()
            inputs.append(model.likelihood.prepare(batch, generator))
            noise = model.draw_noise(len(batch), generator, samples)
            passes.append(model.infer(inputs[-1], noise))
        layers = tuple(LayerDraws(*_stacked(latents)) for latents in zip(*passes, strict=True))
        return torch.cat(inputs), layers


def _stacked(latents: Sequence[Latent]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, log variance and draws of one layer of all batches, examples first."""

    def stacked(parts: list[Tensor]) -> Tensor:
        # The posterior of the layer that is drawn first is the same for all draws.
        return torch.cat([p[:, None] if p.dim() == 2 else p.transpose(0, 1) for p in parts])

    means = stacked([latent.posterior.mean for latent in latents])
    log_vars = stacked([latent.posterior.log_var for latent in latents])
    return means, log_vars, stacked([latent.z for latent in latents])
