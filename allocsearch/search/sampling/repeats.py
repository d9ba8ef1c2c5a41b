"""What is trained instead of an allocation that has been trained before.

An allocation counts as trained once a trial has been given it, whether that one still runs, has
ended, or failed: the same training would fail again.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from allocsearch.allocation import Allocation
from allocsearch.config import StudySection
from allocsearch.spaces import Space

# The replicates of each allocation that trials have been given.
Trained = Mapping[Allocation, Collection[int]]


def training_seed(study_seed: int, allocation: Allocation, replicate: int) -> int:
    """The seed of one training of an allocation (numpy's SeedSequence).

    It depends on nothing else: no order of trials, number of workers or sampler changes it.

    Args:
        study_seed: `study.seed`.
        allocation: What is trained.
        replicate: 0 for its first training, and so on.
    """
    sequence = np.random.SeedSequence(study_seed, spawn_key=(replicate, *allocation.dims))
    return int(sequence.generate_state(1)[0] >> 1)


def next_replicate(trained: Trained, allocation: Allocation) -> int:
    """The least replicate of an allocation that no trial has been given."""
    given = set(trained.get(allocation, ()))
    return next(replicate for replicate in range(len(given) + 1) if replicate not in given)


def candidates(
    proposed: Allocation,
    trained: Trained,
    space: Space,
    study: StudySection,
    source: random.Random,
) -> Iterator[Allocation]:
    """What a trial may train, the best first.

    With `study.repeats = "replicate"` a proposal is trained `study.replicates` times. Past that,
    and with "neighbour" at once, the nearest allocations that have no training take its place;
    where all have one the nearest that have no second, and so on.

    Args:
        proposed: What the sampler proposes. The scan of a ratio space may have missed it: it is
            then replaced, too, so that the allocations of a study are those that the space counts.
        trained: What has been trained.
        space: The search space.
        study: The policy.
        source: Decides between allocations that are equally near.

    Yields:
        Allocations with less than `study.replicates` trainings.
    """
    counts = {allocation: len(replicates) for allocation, replicates in trained.items()}
    if study.repeats == "replicate" and 0 < counts.get(proposed, 0) < study.replicates:
        yield proposed
    for most in range(study.replicates):
        # A space that is used up on this level need not be walked through.
        if sum(count > most for count in counts.values()) < space.size:
            for allocation in space.outwards(proposed, source):
                if counts.get(allocation, 0) <= most:
                    yield allocation
