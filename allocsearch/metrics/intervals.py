"""Confidence intervals of AUROCs."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import expit, logit, ndtri, stdtrit
from torch import Tensor

from allocsearch.metrics.delong import placements, variance_of_sum_of_means
from allocsearch.metrics.proportion import clopper_pearson


def auroc_interval(
    in_distribution: Tensor, *out_of_distribution: Tensor, level: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Interval of the mean AUROC of one score over OOD sets, over the choice of the examples.

    The logit of the AUROC, plus and minus DeLong's standard error times a quantile: the normal one
    away from 1/2 and, towards 1/2, that of Student's t with the degrees of freedom of the
    variance, as an AUROC near 1 rests on the few examples on the wrong side. It is cut to the
    Clopper-Pearson interval of as many independent pairs as the smallest set has examples, which
    stands alone where the variance is 0: for scores that are separated or constant.

    Coverage measured over 3,000 repetitions for 17 pairs of distributions (normal of equal and
    unequal spread, exponential, two-valued, Poisson; AUROC 0.5 to 0.999): with 1,000 ID and 500
    OOD examples 94.1 to 95.7 %, with 200 and 200 92.7 to 97.1 %, with 64 and 64 94.4 to 97.8 %,
    with 20 and 20 95.7 to 97.7 %. DeLong's interval without the logit covers 19 to 96 % there, on
    the logit scale with the normal quantile 82 to 98 %. For scores of two values and few examples
    of one kind it falls lower: to 91 % with 64 ID and 512 OOD examples, to 86 % with 20 and 200.

    Args:
        in_distribution: Scores of ID examples, `(..., n)`, which all sets share.
        out_of_distribution: Scores of the examples of each OOD set, `(..., m_k)`.
        level: Share of repetitions in which the interval is to contain the AUROC.

    Returns:
        Lower and upper end, each `(...)`.

    Raises:
        ValueError: If there are no scores of a kind, or one is NaN.

    Reference: DeLong et al. (1988); the logit scale, Pepe (2003), section 5.2; the largest
    variance that an AUROC can have, Birnbaum and Klose (1957).
    """
    return _interval(*mean_placements(in_distribution, *out_of_distribution), level=level)


def seeds_interval(
    in_distribution: Tensor, *out_of_distribution: Tensor, level: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Interval of the mean AUROC of one score over trainings, over seeds as well as examples.

    It is for the AUROC that another seed has on other examples of the same sets on average. The
    distances of the ends are the root of the sum of the squares of two: that of `auroc_interval`
    for the scores of all seeds, and of a t interval over the AUROCs of the seeds. What both count
    (that seeds differ on these examples more than on all) makes it slightly too wide.

    Coverage measured over 4,000 repetitions of normal scores (mean AUROC 0.9, 100 or 500 examples
    of each kind): with 3 seeds 92 to 99 %, with 5 seeds 92 to 98 %, with 10 seeds 92 to 97 %; the
    high values where seeds differ by 0.01 in AUROC or less, the low ones where by 0.08.

    Args:
        in_distribution: For each seed, scores of the same ID examples, `(..., seeds, n)`.
        out_of_distribution: For each seed, scores of the same examples of each OOD set,
            `(..., seeds, m_k)`.
        level: Share of repetitions in which the interval is to contain the mean.

    Returns:
        Lower and upper end, each `(...)`.

    Raises:
        ValueError: If there is one seed, no scores of a kind, or one is NaN.

    Reference: Zou and Donner (2008), the method of variance estimates recovery.
    """
    seeds = in_distribution.shape[-2]
    if seeds < 2:
        raise ValueError("an interval over seeds needs two or more")
    of_each = mean_placements(in_distribution, *out_of_distribution)
    aurocs = of_each[0].mean(-1)
    quantile = float(-stdtrit(seeds - 1, (1 - level) / 2))
    spread = quantile * aurocs.std(-1) / seeds**0.5
    low, high = _interval(*(part.mean(-2) for part in of_each), level=level)
    mean = aurocs.mean(-1)
    return (
        (mean - torch.hypot(mean - low, spread)).clamp(min=0),
        (mean + torch.hypot(high - mean, spread)).clamp(max=1),
    )


def mean_placements(in_distribution: Tensor, *out_of_distribution: Tensor) -> tuple[Tensor, ...]:
    """Independent samples whose means add up to twice the mean AUROC over OOD sets.

    Args:
        in_distribution: Scores of ID examples, `(..., n)`.
        out_of_distribution: Scores of the examples of each OOD set, `(..., m_k)`.

    Returns:
        Placements of ID examples, averaged over the sets, `(..., n)`, then those of the examples
        of each of K sets divided by K, `(..., m_k)`.
    """
    pairs = [placements(in_distribution, scores) for scores in out_of_distribution]
    of_id = torch.stack([first for first, _ in pairs]).mean(0)
    return of_id, *(second / len(pairs) for _, second in pairs)


def _interval(of_id: Tensor, *of_ood: Tensor, level: float) -> tuple[Tensor, Tensor]:
    sizes = [part.shape[-1] for part in (of_id, *of_ood)]
    estimated, freedom = variance_of_sum_of_means(of_id, *of_ood)
    # Rounded sums may end just outside.
    auroc = of_id.mean(-1).clamp(0, 1).numpy()
    variance, tail = estimated.numpy(), (1 - level) / 2
    low, high = clopper_pearson(auroc, min(sizes), level)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(variance) / (auroc * (1 - auroc))
        normal, student = -ndtri(tail) * error, -stdtrit(freedom.numpy(), tail) * error
        upper_half = auroc >= 0.5
        below = expit(logit(auroc) - np.where(upper_half, student, normal))
        above = expit(logit(auroc) + np.where(upper_half, normal, student))
    known = (variance > 0) & (auroc > 0) & (auroc < 1)
    return (
        torch.as_tensor(np.where(known, np.fmax(below, low), low)),
        torch.as_tensor(np.where(known, np.fmin(above, high), high)),
    )
