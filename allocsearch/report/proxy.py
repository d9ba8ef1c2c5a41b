"""How well the OOD validation sets of a study agree on the order of its allocations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Literal

from allocsearch.allocation import Allocation
from allocsearch.config import Shift
from allocsearch.report.agreement import LEAST_PAIRS, Agreement, rank_agreement
from allocsearch.search.records import StudyRecord

SATURATED_HIGH = 0.99
SATURATED_LOW = 0.01


@dataclass(frozen=True)
class ValidationSet:
    """One OOD validation set over the allocations of a study.

    Attributes:
        name: Its name in the study file.
        strength: That of the synthetic shift, or None for a real set.
        aurocs: Mean AUROC over the trials of each allocation, `n` values.
        others: Rank agreement with the mean AUROC of the other sets that are not saturated; None
            where the set itself is saturated, where there are no others, or where all values of
            one side are equal.
    """

    name: str
    strength: float | None
    aurocs: tuple[float, ...]
    others: Agreement | None = None

    @property
    def above(self) -> int:
        """For how many allocations the AUROC is above `SATURATED_HIGH`."""
        return sum(value > SATURATED_HIGH for value in self.aurocs)

    @property
    def below(self) -> int:
        """For how many allocations the AUROC is below `SATURATED_LOW`."""
        return sum(value < SATURATED_LOW for value in self.aurocs)

    @property
    def saturated(self) -> Literal["high", "low"] | None:
        """At which end of the scale more than half of the allocations lie, if at one."""
        if 2 * self.above > len(self.aurocs):
            return "high"
        return "low" if 2 * self.below > len(self.aurocs) else None

    @property
    def contradicts(self) -> bool:
        """Whether the whole interval of the agreement with the others is below 0."""
        return self.others is not None and self.others.high < 0


@dataclass(frozen=True)
class ProxyCheck:
    """The OOD validation sets of a study, compared by one score.

    Attributes:
        score: The OOD score behind every AUROC.
        chosen_by: Where each trial chose its own score, how many of how many trials chose this
            one; else None.
        allocations: The n allocations that are ranked.
        sets: In the order of the study file.
        agreements: Rank agreement of each pair of sets, in that order; None where all AUROCs of
            one of them are equal.
    """

    score: str
    chosen_by: tuple[int, int] | None
    allocations: tuple[Allocation, ...]
    sets: tuple[ValidationSet, ...]
    agreements: Mapping[tuple[str, str], Agreement | None]


def proxy_check(record: StudyRecord) -> ProxyCheck | None:
    """Compare the OOD validation sets over the complete trials of a study.

    The score is `evaluation.score`; where that is `auto`, the one that most trials chose, the
    earliest where they tie, so that all trials are compared by the same measure.

    Returns:
        None for a study without OOD validation sets, or with fewer than `LEAST_PAIRS` allocations
        that have the AUROC of every set.

    Reference: Kendall (1945), "The treatment of ties in ranking problems".
    """
    entries = record.config.ood_validation
    score, chosen_by = _score(record)
    if not entries or score is None:
        return None
    names = [entry.title for entry in entries]
    measured: dict[Allocation, list[list[float]]] = {}
    for trial in record.complete:
        values = [trial.metrics.get(f"auroc.{name}.{score}", math.nan) for name in names]
        if trial.allocation is not None and all(map(math.isfinite, values)):
            measured.setdefault(trial.allocation, []).append(values)
    if len(measured) < LEAST_PAIRS:
        return None
    rows = [[fmean(column) for column in zip(*v, strict=True)] for v in measured.values()]
    columns = list(zip(*rows, strict=True))
    sets = tuple(
        ValidationSet(entry.title, entry.strength if isinstance(entry, Shift) else None, column)
        for entry, column in zip(entries, columns, strict=True)
    )
    agreements = {
        (first.name, second.name): rank_agreement(first.aurocs, second.aurocs)
        for first, second in combinations(sets, 2)
    }
    compared = tuple(_with_others(entry, sets, agreements) for entry in sets)
    return ProxyCheck(score, chosen_by, tuple(measured), compared, agreements)


def _score(record: StudyRecord) -> tuple[str | None, tuple[int, int] | None]:
    """The score to compare by, and how many of how many trials chose it where each chose."""
    named = record.config.evaluation.score
    if named != "auto":
        return named, None
    chosen = Counter(trial.score for trial in record.complete if trial.score is not None)
    if not chosen:
        return None, None
    ((score, count),) = chosen.most_common(1)
    return score, (count, chosen.total())


def _with_others(
    entry: ValidationSet,
    sets: tuple[ValidationSet, ...],
    agreements: Mapping[tuple[str, str], Agreement | None],
) -> ValidationSet:
    # The order of a saturated set is that of its noise: it neither contradicts nor is evidence.
    others = [other for other in sets if other is not entry and not other.saturated]
    if entry.saturated or not others:
        return entry
    if len(others) == 1:
        pair = (entry.name, others[0].name)
        found = agreements[pair if pair in agreements else pair[::-1]]
    else:
        means = [fmean(column) for column in zip(*(o.aurocs for o in others), strict=True)]
        found = rank_agreement(entry.aurocs, means)
    return replace(entry, others=found)
