"""The sampling variance of AUROCs, from the placement of every example among the other kind."""

from __future__ import annotations

import torch
from torch import Tensor


def placements(in_distribution: Tensor, out_of_distribution: Tensor) -> tuple[Tensor, Tensor]:
    """How much of the other kind lies on the right side of each example, ties half.

    The mean of either is the AUROC.

    Args:
        in_distribution: Scores of ID examples, `(..., n)`.
        out_of_distribution: Scores of OOD examples, `(..., m)`.

    Returns:
        For each ID example the share of OOD examples above it, `(..., n)`; for each OOD example
        the share of ID examples below it, `(..., m)`; float64.

    Raises:
        ValueError: If there are no scores of a kind, or one is NaN.

    Reference: DeLong et al. (1988), equations 3 and 4; sorted as by Sun and Xu (2014).
    """
    for kind, scores in (("ID", in_distribution), ("OOD", out_of_distribution)):
        if scores.shape[-1] == 0:
            raise ValueError(f"there are no scores of {kind} examples")
        if scores.isnan().any():
            raise ValueError(f"a score of an {kind} example is NaN")
    low, high = in_distribution.double(), out_of_distribution.double()
    return 1 - _share_below(high, low), _share_below(low, high)


def _share_below(others: Tensor, scores: Tensor) -> Tensor:
    """The share of others, `(..., n)`, below each score, `(..., m)`, ties half; `(..., m)`."""
    ordered = others.sort(-1).values.contiguous()
    below = torch.searchsorted(ordered, scores.contiguous())
    not_above = torch.searchsorted(ordered, scores.contiguous(), right=True)
    return (below + not_above).double() / (2 * others.shape[-1])


def variance_of_sum_of_means(*samples: Tensor) -> tuple[Tensor, Tensor]:
    """The estimated variance of a sum of independent means, and its degrees of freedom.

    The degrees of freedom are twice the squared variance over the sampling variance of the
    variance, by the fourth moments: few where a few examples make most of the variance.

    Args:
        samples: What each mean is of, `(..., n_i)` each.

    Returns:
        Variance and degrees of freedom (1 or more; infinite where the fourth moments are those
        of two equally frequent values), each `(...)`; the variance is NaN where a sample has one
        value only.

    Reference: Satterthwaite (1946), with the variance of a sample variance of any distribution.
    """
    variance = uncertainty = torch.zeros(samples[0].shape[:-1], dtype=torch.float64)
    for sample in samples:
        n = sample.shape[-1]
        squares = (sample.double() - sample.double().mean(-1, keepdim=True)).square()
        own = squares.sum(-1) / (n - 1)
        excess = squares.square().mean(-1) - own.square() * (n - 3) / max(n - 1, 1)
        variance = variance + own / n
        uncertainty = uncertainty + excess.clamp(min=0) / n**3
    return variance, (2 * variance.square() / uncertainty).clamp(min=1)
