"""Gradients that are too long."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def clip_gradient(parameters: Sequence[nn.Parameter], limit: float) -> None:
    """Scale the gradient to the norm `limit` where it is longer."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    # Scaling by 1 costs a pass over the gradients; to find out on a GPU would cost a wait for it.
    if norm.is_cuda or norm > limit:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
