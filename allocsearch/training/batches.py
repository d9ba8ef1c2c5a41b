"""The batches of an epoch."""

from __future__ import annotations

import torch
from torch import Tensor


def epoch_batches(n: int, batch_size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """The batches of one epoch: a new order of all examples, without what fills no batch.

    Args:
        n: Number of examples.
        batch_size: Examples in a batch, at most n.
        generator: Source of the order.

    Returns:
        Indices of the examples of each of the `n // batch_size` batches, int64 `(batch_size,)`.
    """
    order = torch.randperm(n, generator=generator, device=generator.device)
    return torch.split(order[: n // batch_size * batch_size], batch_size)
