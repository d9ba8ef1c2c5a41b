"""Continuous values on a common scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Standardiser:
    """A map of each feature to mean 0 and standard deviation 1.

    Attributes:
        mean: Of each feature, float64 `(features,)`.
        scale: The standard deviation of each feature, 1 where it is 0, float64 `(features,)`.
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, values: Tensor) -> Standardiser:
        """The map for these examples, float32 `(n, *shape)`; a constant feature has scale 1."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(values.flatten(1).double().numpy())
        return cls(torch.from_numpy(scaler.mean_), torch.from_numpy(scaler.scale_))

    def __call__(self, values: Tensor) -> Tensor:
        """Map other examples by the same means and scales, float32 `(m, *shape)`."""
        scaled = (values.flatten(1).double() - self.mean) / self.scale
        return scaled.reshape(values.shape).float()
