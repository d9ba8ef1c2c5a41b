"""The information brackets of all layers of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from allocsearch.metrics.information import InformationBracket, information_bracket
from allocsearch.metrics.mixture import component_log_density
from allocsearch.metrics.reverse import LayerDraws, least_examples, reverse_log_density
from allocsearch.models.hvae import HVAE

# Draws per example that the reverse model is fitted to; more cost more than they bring.
_REVERSE_DRAWS = 8


def information_brackets(
    model: HVAE,
    x: Tensor,
    layers: Sequence[LayerDraws],
    total_rate: Tensor,
    seed: int,
    on_batch: Callable[[], None] = lambda: None,
) -> list[InformationBracket]:
    """The bracket of I(x; z_l) for every layer.

    Args:
        model: The model, in eval mode.
        x: Model inputs, `(n, features)`.
        layers: Draws of the latents for these inputs, bottom to top.
        total_rate: The KL terms of all layers for each example, `(n,)`, nats.
        seed: Of the proposals of the reverse model.
        on_batch: Called before every pass; what it raises ends the work.

    Returns:
        Bottom to top.
    """

    def path_log_density(latents: Sequence[Tensor], examples: Tensor) -> Tensor:
        on_batch()
        z = [latent.transpose(0, 1).to(x.dtype) for latent in latents]
        posteriors = model.posteriors_given(x[examples], z)
        terms = [
            component_log_density(latent, posterior.mean, posterior.log_var)
            for latent, posterior in zip(z, posteriors, strict=True)
        ]
        return torch.stack(terms).sum(0).T

    brackets: dict[int, InformationBracket] = {}
    with torch.inference_mode():
        for number, index in enumerate(model.order, 1):
            on_batch()
            layer = layers[index]
            if number == 1:
                parameters = (layer.mean, layer.log_var, layer.z[:, :1])
                brackets[index] = information_bracket(*parameters, total_rate)
                continue
            path = [layers[drawn] for drawn in model.order[:number]]
            # Where there is too little for it, the bound is valid, but less tight.
            density = None
            draws = min(_REVERSE_DRAWS, layer.z.shape[1])
            widths = [drawn.z.shape[-1] for drawn in path]
            if draws > 2 and len(x) >= least_examples(widths, draws):
                density = reverse_log_density(
                    [drawn.first(draws) for drawn in path],
                    path_log_density,
                    used_draws=2,
                    seed=seed,
                )
            brackets[index] = information_bracket(
                layer.mean, layer.log_var, layer.z, total_rate, density
            )
    return [brackets[index] for index in range(len(layers))]
