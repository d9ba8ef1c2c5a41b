"""What the test scores of several trainings of an allocation say, with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from statistics import fmean, stdev

from torch import Tensor

from allocsearch.metrics.auroc import auroc
from allocsearch.metrics.comparison import compare_aurocs
from allocsearch.metrics.detection import Detection, detection
from allocsearch.metrics.intervals import auroc_interval, seeds_interval
from allocsearch.metrics.seed_comparison import compare_seeds
from allocsearch.search.evaluation.evaluations import Detected


@dataclass(frozen=True)
class Scored:
    """One score of the test examples by each training of an allocation.

    Attributes:
        of_id: Of the ID test examples, `(seeds, n)`.
        of_ood: Of each OOD test set by name, `(seeds, m)`.
    """

    of_id: Tensor
    of_ood: Mapping[str, Tensor]


def detected(
    name: str, scored: Scored, negative_elbo: Scored | None, uniform: Scored | None
) -> Detected:
    """How well an allocation detects one OOD test set.

    Intervals and p values are over seeds and examples where there are two seeds or more of all
    that is compared, and over examples alone for one seed. Of one seed against several there is
    no difference.

    Args:
        name: Of the set.
        scored: The allocation's score.
        negative_elbo: The negative ELBO of the same trainings; None where there is no model.
        uniform: The score of the uniform split; None for that one itself, and where it has none.
    """
    of_id, of_ood = scored.of_id, scored.of_ood[name]
    rows = [detection(*pair) for pair in zip(of_id, of_ood, strict=True)]
    means = dict(zip(_names(), map(fmean, zip(*map(astuple, rows), strict=True)), strict=True))
    several = len(rows) > 1
    if several:
        low, high = seeds_interval(of_id, of_ood)
    else:
        low, high = auroc_interval(of_id[0], of_ood[0])
    baseline = None
    if negative_elbo is not None:
        pairs = zip(negative_elbo.of_id, negative_elbo.of_ood[name], strict=True)
        baseline = fmean(auroc(*pair) for pair in pairs)
    return Detected(
        name=name,
        **means,
        sd=stdev(row.auroc for row in rows) if several else None,
        low=float(low),
        high=float(high),
        negative_elbo=baseline,
        **_difference(name, scored, uniform),
    )


def _names() -> Sequence[str]:
    return [field.name for field in fields(Detection)]


def _difference(name: str, scored: Scored, uniform: Scored | None) -> dict[str, float]:
    """The difference to the uniform split, where there is one."""
    if uniform is None:
        return {}
    first, second = ((each.of_id, each.of_ood[name]) for each in (scored, uniform))
    numbers = len(first[0]), len(second[0])
    if min(numbers) > 1:
        result = compare_seeds(first, second)
    elif max(numbers) == 1:
        one, other = ((of_id[0], of_ood[0]) for of_id, of_ood in (first, second))
        result = compare_aurocs(one, other)
    else:
        return {}
    return {
        "difference": float(result.difference),
        "difference_low": float(result.low),
        "difference_high": float(result.high),
        "p_value": float(result.p_value),
    }
