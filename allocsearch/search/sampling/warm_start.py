"""The allocations that a prediction puts first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from allocsearch.allocation import Allocation
from allocsearch.search.prediction import StudyPrediction
from allocsearch.spaces import Space


@dataclass(frozen=True)
class WarmStart:
    """An allocation to begin a study with.

    Attributes:
        allocation: What to train.
        params: Optuna parameters for which the space proposes it.
        mark: Where it lies on the predicted front.
    """

    allocation: Allocation
    params: Mapping[str, Any]
    mark: Literal["knee", "end"]


def warm_starts(prediction: StudyPrediction, space: Space) -> tuple[WarmStart, ...]:
    """The knee of the predicted front for each number of layers, then the ends of each front.

    Each allocation once, and only those that the space can propose.
    """
    counts = prediction.layer_counts
    wanted: list[tuple[Allocation, Literal["knee", "end"]]] = [
        (count.knee.parsed, "knee") for count in counts
    ]
    for count in counts:
        wanted += [(count.front[0].parsed, "end"), (count.front[-1].parsed, "end")]
    starts: dict[Allocation, WarmStart] = {}
    for allocation, mark in wanted:
        if allocation in starts:
            continue
        try:
            starts[allocation] = WarmStart(allocation, space.params(allocation), mark)
        except ValueError:
            # A ratio space reaches what its own scan meets.
            continue
    return tuple(starts.values())
