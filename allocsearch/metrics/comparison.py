"""Whether two scores differ in AUROC on the same examples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.special import stdtr, stdtrit
from torch import Tensor

from allocsearch.metrics.delong import variance_of_sum_of_means
from allocsearch.metrics.intervals import mean_placements


@dataclass(frozen=True)
class Comparison:
    """The difference between two AUROCs.

    Attributes:
        difference: The first less the second, `(...)`.
        standard_error: Of the difference, `(...)`.
        low: Lower end of its interval, `(...)`.
        high: Upper end, `(...)`.
        p_value: Two-sided, for no difference, `(...)`.
    """

    difference: Tensor
    standard_error: Tensor
    low: Tensor
    high: Tensor
    p_value: Tensor

    @classmethod
    def within(
        cls, difference: Tensor, error: Tensor, width: Tensor, p_value: Tensor
    ) -> Comparison:
        """With the interval of `width` on either side, inside of what a difference can be."""
        low, high = (difference - width).clamp(min=-1), (difference + width).clamp(max=1)
        return cls(difference, error, low, high, p_value)


def compare_aurocs(
    first: tuple[Tensor, ...], second: tuple[Tensor, ...], level: float = 0.95
) -> Comparison:
    """Compare the mean AUROCs over OOD sets of two scores of the same examples.

    DeLong's test for correlated ROC curves, with Student's t of the degrees of freedom of the
    variance in place of the normal distribution. Where no example's placement differs (the
    standard error is 0), the p value is 1, and the interval that of no discordant pair among as
    many as the smallest set has examples.

    Args:
        first: Scores of ID examples, `(..., n)`, then of the examples of each OOD set,
            `(..., m_k)`, by the first model or score.
        second: The same examples in the same order by the second.
        level: Share of repetitions in which the interval is to contain the difference.

    Raises:
        ValueError: If the two are not of the same examples, there are no or too few scores (two
            of a kind at least), or one is NaN.

    Reference: DeLong et al. (1988); Sun and Xu (2014).
    """
    shapes = [[tuple(part.shape) for part in scores] for scores in (first, second)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"scores of the same examples are needed, found {shapes[0]}, {shapes[1]}")
    sizes = [part.shape[-1] for part in first]
    if min(sizes) < 2:
        raise ValueError("two or more examples of each set are needed")
    both = zip(mean_placements(*first), mean_placements(*second), strict=True)
    changes = [one - other for one, other in both]
    variance, freedom = variance_of_sum_of_means(*changes)
    difference, error = changes[0].mean(-1), variance.sqrt()
    tail = (1 - level) / 2
    quantile = -torch.as_tensor(stdtrit(freedom.nan_to_num(1.0).numpy(), tail))
    width = torch.where(error > 0, quantile * error, 1 - tail ** (1 / min(sizes)))
    ratio = torch.where(error > 0, difference.abs() / error, 0.0)
    p_value = 2 * torch.as_tensor(stdtr(freedom.nan_to_num(1.0).numpy(), -ratio.numpy()))
    return Comparison.within(difference, error, width, p_value)
