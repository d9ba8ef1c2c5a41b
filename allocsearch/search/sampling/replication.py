"""Which allocation to train again, so that the front becomes certain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import moocore
import numpy as np

from allocsearch.allocation import Allocation
from allocsearch.config import StudySection
from allocsearch.search.records import TrialRecord
from allocsearch.search.sampling.front_probability import front_probability
from allocsearch.search.sampling.losses import losses, signs
from allocsearch.search.sampling.repeats import Trained
from allocsearch.search.sampling.replicates import by_allocation, pooled_spread

# Membership is certain enough where its probability is this near to 0 or 1.
_CERTAIN = 0.05


def is_replicating(study: StudySection, trained: Trained, wanted: int) -> bool:
    """Whether the next training is of the last part of the study, `study.replicate_share`.

    Args:
        study: The policy.
        trained: What has been trained.
        wanted: How many trials the study ends with.
    """
    given = sum(len(replicates) for replicates in trained.values())
    return given >= wanted - int(study.replicate_share * wanted)


def least_certain(
    trials: Iterable[TrialRecord], trained: Trained, study: StudySection, seed: int
) -> Allocation | None:
    """The allocation of which it is least certain whether it is on the front.

    That is where the probability p of being on the front has the largest min(p, 1 - p); where that
    is at most 0.05 it is certain enough, and another allocation tells more. As long
    as no allocation has two values the spread is unknown, and those on the front of the values
    are as uncertain as each other. An allocation with a replicate that has no value, as it still
    runs, comes after all that have none such: what it will tell is not known yet.

    Args:
        trials: The trials of the study.
        trained: What has been trained.
        study: The objectives and `replicates`.
        seed: Seed of the draws behind the probabilities.

    Returns:
        An allocation with less than `study.replicates` trainings, or None if all that are
        uncertain have theirs.
    """
    groups = by_allocation(t for t in trials if t.allocation and np.isfinite(t.values).all())
    if not groups:
        return None
    objectives = study.parsed_objectives
    cost = losses([group.mean for group in groups], objectives)
    spread = pooled_spread(groups)
    if spread is None:
        uncertain = moocore.is_nondominated(cost, keep_weakly=True).astype(float)
    else:
        counts = np.array([group.count for group in groups])
        known = [group.allocation for group in groups]
        turned = spread.turned(signs(objectives))
        probability = front_probability(cost, counts, turned, known, seed=seed)
        uncertain = np.minimum(probability, 1 - probability)
    ranked: Sequence[tuple[int, float, Allocation]] = [
        (len(trained.get(group.allocation, ())) - group.count, -float(doubt), group.allocation)
        for group, doubt in zip(groups, uncertain, strict=True)
        if group.allocation
        and doubt > _CERTAIN
        and len(trained.get(group.allocation, ())) < study.replicates
    ]
    return min(ranked)[-1] if ranked else None
