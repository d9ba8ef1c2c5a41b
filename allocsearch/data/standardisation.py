"""Continuous values on a common scale."""

from __future__ import annotations

import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor


class Standardiser:
    """The map of each feature to mean 0 and standard deviation 1 over the examples it is made of.

    A feature that is constant in them has scale 1.

    Args:
        values: float32, `(n, *shape)`.
    """

    def __init__(self, values: Tensor) -> None:
        self._scaler = StandardScaler().fit(values.flatten(1).double().numpy())

    def __call__(self, values: Tensor) -> Tensor:
        """Map other examples by the same means and scales, float32 `(m, *shape)`."""
        scaled = self._scaler.transform(values.flatten(1).double().numpy())
        return torch.from_numpy(scaled).reshape(values.shape).float()
