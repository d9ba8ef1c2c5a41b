"""How often each feature has each value."""

from __future__ import annotations

import torch
from torch import Tensor

# Counted at a time, so that the indices do not take many times the room of the data.
_MOST = 1 << 24


def value_counts(values: Tensor, levels: int) -> Tensor:
    """Examples in which a feature has a value.

    Args:
        values: uint8 below `levels`, `(n, *shape)`.
        levels: Values that a feature can have.

    Returns:
        int64, `(levels, features)`.
    """
    flat = values.flatten(1)
    features = flat.shape[1]
    counts = torch.zeros(levels * features, dtype=torch.int64, device=values.device)
    place = torch.arange(features, device=values.device)
    for rows in torch.split(flat, max(1, _MOST // features)):
        counts += torch.bincount(
            (rows.long() * features + place).flatten(), minlength=levels * features
        )
    return counts.reshape(levels, features)
