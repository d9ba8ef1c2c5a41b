"""Moments of independent features, smoothed."""

from __future__ import annotations

from torch import Tensor


def smoothed_moments(n: int, total: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each feature, with half an example at -1 and half at +1 added.

    So a feature that never varies has a finite code length where it varies after all.

    Args:
        n: Examples.
        total: Their sum, `(features,)`, float64, on a scale on which -1 and +1 are not far off.
        squares: The sum of their squares, `(features,)`, float64.

    Returns:
        Mean and variance, each `(features,)`; the variance is above 0.
    """
    mean = total / (n + 1)
    return mean, (squares + 1) / (n + 1) - mean.square()
