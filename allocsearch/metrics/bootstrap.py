"""Confidence intervals of every detection metric, by drawing the examples again."""

from __future__ import annotations

from dataclasses import astuple, fields

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from allocsearch.metrics.detection import Detection, detection
from allocsearch.metrics.intervals import auroc_interval
from allocsearch.metrics.proportion import clopper_pearson

# Counts of one block of resamples: what a few tensors of it take stays below 1 GB.
_CELLS = 4_000_000


def detection_intervals(
    in_distribution: Tensor,
    out_of_distribution: Tensor,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Intervals of every detection metric of one score.

    The AUROC has that of `auroc_interval`. The others are bootstrapped: both kinds of examples are
    drawn again with replacement, each as often as it has examples. An average precision has the
    normal interval on the logit scale with the standard deviation of the resamples, a
    false-positive rate their percentiles. Where no resample differs, and for an end at which
    none differs from 0 or 1, it is the Clopper-Pearson interval of the smaller number of
    examples.

    Coverage measured over 400 repetitions of normal scores (AUROC 0.6, 0.9 and 0.99 with 200 and
    200 examples, 0.9 with 64 and 64): 93 to 96 % for average precisions, where percentiles cover
    90 to 95 %, and 93 to 98 % for false-positive rates.

    Args:
        in_distribution: Scores of ID examples, `(n,)`.
        out_of_distribution: Scores of OOD examples, `(m,)`.
        resamples: How often the examples are drawn again.
        seed: Seed of the draws.
        level: Share of repetitions in which an interval is to contain its metric.

    Returns:
        Lower and upper end by the names of `Detection`.

    Raises:
        ValueError: If there are no scores of a kind, or one is NaN or infinite.

    Reference: Efron and Tibshirani (1993), chapters 12 and 13.
    """
    values = torch.tensor(astuple(detection(in_distribution, out_of_distribution))).double()
    drawn = _resampled(in_distribution, out_of_distribution, resamples, seed)
    n, m = len(in_distribution), len(out_of_distribution)
    tail = (1 - level) / 2
    low, high = torch.quantile(drawn, torch.tensor([tail, 1 - tail]).double(), dim=0)
    least, most = map(torch.as_tensor, clopper_pearson(values.numpy(), min(n, m), level))
    fixed = (drawn == drawn[0]).all(0)
    low = torch.where(fixed | (low == 1), least, low)
    high = torch.where(fixed | (high == 0), most, high)
    # A perfect resample is half a pair away from 1, where the logit is infinite.
    width = -float(ndtri(tail)) * torch.logit(drawn, 0.5 / (n * m)).std(0)
    center = torch.logit(values)
    names = [field.name for field in fields(Detection)]
    for i in (names.index("aupr_ood"), names.index("aupr_id")):
        if not fixed[i]:
            low[i], high[i] = torch.sigmoid(torch.stack([center - width, center + width]))[:, i]
    i = names.index("auroc")
    low[i], high[i] = auroc_interval(in_distribution, out_of_distribution, level=level)
    return dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _resampled(
    in_distribution: Tensor, out_of_distribution: Tensor, resamples: int, seed: int
) -> Tensor:
    """The metrics of examples that are drawn again, `(resamples, 5)`."""
    sizes = len(in_distribution), len(out_of_distribution)
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS // sum(sizes))
    parts: list[Tensor] = []
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        weights = [torch.from_numpy(generator.multinomial(k, [1 / k] * k, count)) for k in sizes]
        parts.append(weighted_detection(in_distribution, out_of_distribution, *weights))
    return torch.cat(parts)


def weighted_detection(
    in_distribution: Tensor, out_of_distribution: Tensor, id_weights: Tensor, ood_weights: Tensor
) -> Tensor:
    """Every detection metric for many weightings of the same examples at once.

    Args:
        in_distribution: Scores of ID examples, `(n,)`.
        out_of_distribution: Scores of OOD examples, `(m,)`.
        id_weights: How often each ID example counts, `(b, n)`, integers.
        ood_weights: How often each OOD example counts, `(b, m)`, integers.

    Returns:
        In the order of `Detection`, `(b, 5)`, float64.
    """
    n = len(in_distribution)
    scores = torch.cat([in_distribution.double(), out_of_distribution.double()])
    ordered, order = scores.sort(descending=True)
    last = torch.cat([ordered[1:] != ordered[:-1], torch.ones(1, dtype=torch.bool)])
    is_id = order < n
    # Counts of each kind at or above every distinct threshold.
    positions = order.where(is_id, order - n)
    weight = torch.where(is_id, id_weights[:, positions.clamp(max=n - 1)], 0)
    false = weight.cumsum(1)[:, last].double()
    weight = torch.where(is_id, 0, ood_weights[:, positions.clamp(max=len(scores) - n - 1)])
    true = weight.cumsum(1)[:, last].double()
    negatives, positives = false[:, -1:], true[:, -1:]
    tpr, fpr = true / positives, false / negatives
    gained = torch.diff(tpr, dim=1, prepend=torch.zeros_like(tpr[:, :1]))
    lost = torch.diff(fpr, dim=1, prepend=torch.zeros_like(fpr[:, :1]))
    below, missed = negatives - false, positives - true
    columns = [
        (lost * (tpr - gained / 2)).sum(1),
        _average_precision(gained, true, false),
        _average_precision(lost, below + lost * negatives, missed + gained * positives),
    ]
    columns += [fpr.gather(1, (tpr < level).sum(1, keepdim=True))[:, 0] for level in (0.80, 0.95)]
    return torch.stack(columns, 1)


def _average_precision(recall_gained: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    return (recall_gained * right / (right + wrong).clamp(min=1)).sum(1)
