"""Whether two sets of trainings differ in AUROC on the same examples."""

from __future__ import annotations

import torch
from scipy.special import stdtr, stdtrit
from torch import Tensor

from allocsearch.metrics.comparison import Comparison
from allocsearch.metrics.delong import variance_of_sum_of_means
from allocsearch.metrics.intervals import mean_placements


def compare_seeds(
    first: tuple[Tensor, ...], second: tuple[Tensor, ...], level: float = 0.95
) -> Comparison:
    """Compare the mean AUROCs of two allocations over seeds as well as examples.

    The variance of the difference is the sum of two: that over the examples, which both share, of
    the placements averaged over the seeds (DeLong), and that over the seeds, which they do not
    share even where the numbers are equal (Welch). What both count (that seeds differ on these
    examples more than on all) makes interval and p value slightly too wide. Student's t has the
    degrees of freedom of the sum.

    Args:
        first: For each seed, scores of the ID examples, `(seeds, n)`, then of the examples of
            each OOD set, `(seeds, m_k)`, by the first allocation.
        second: The same examples by the second, whose number of seeds may be another.
        level: Share of repetitions in which the interval is to contain the difference.

    Returns:
        All values scalar. Where nothing differs at all, neither example nor seed, the p value is
        1, and the interval that of no discordant pair among as many as the smallest set has
        examples.

    Raises:
        ValueError: If one has fewer than two seeds, the two are not of the same examples, there
            are fewer than two of a kind, or a score is NaN.

    Reference: DeLong et al. (1988); Welch (1947); Satterthwaite (1946).
    """
    sizes = [[part.shape[-1] for part in scores] for scores in (first, second)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"scores of the same examples are needed, found {sizes[0]}, {sizes[1]}")
    if min(sizes[0]) < 2:
        raise ValueError("two or more examples of each set are needed")
    if min(len(first[0]), len(second[0])) < 2:
        raise ValueError("a comparison over seeds needs two or more of each")
    placed = [mean_placements(*scores) for scores in (first, second)]
    changes = [one.mean(0) - other.mean(0) for one, other in zip(*placed, strict=True)]
    over_examples, freedom = variance_of_sum_of_means(*changes)
    parts = [(over_examples, freedom.nan_to_num(1.0))]
    for of_id, *_ in placed:
        aurocs = of_id.mean(-1)
        parts.append((aurocs.var() / len(aurocs), torch.tensor(len(aurocs) - 1.0)))
    variance = torch.stack([part for part, _ in parts]).sum()
    uncertainty = torch.stack([part.square() / free for part, free in parts]).sum()
    difference, error = changes[0].mean(), variance.sqrt()
    tail = (1 - level) / 2
    if error > 0:
        total = (variance.square() / uncertainty).numpy()
        width = -torch.as_tensor(stdtrit(total, tail)) * error
        p_value = 2 * torch.as_tensor(stdtr(total, -(difference.abs() / error).numpy()))
    else:
        width = torch.tensor(1 - tail ** (1 / min(sizes[0])), dtype=torch.float64)
        p_value = torch.ones((), dtype=torch.float64)
    return Comparison.within(difference, error, width, p_value)
