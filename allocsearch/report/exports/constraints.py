"""The language of `--where`: what an allocation has to satisfy to be picked."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from allocsearch.config import InputError, suggestion
from allocsearch.report.labels import metric_name, with_unit
from allocsearch.search.records import StudyRecord
from allocsearch.search.sampling.replicates import Replicates, by_allocation

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric.

    Attributes:
        text: As it was written.
        metric: The metric, of which the mean over an allocation's trainings counts.
        sign: `<=`, `>=`, `<` or `>`.
        bound: The bound, in the metric's unit.
        scale: The range of the metric over the allocations of the study, to compare distances by.
    """

    text: str
    metric: str
    sign: str
    bound: float
    scale: float

    def holds(self, group: Replicates) -> bool:
        """Whether the allocation's mean satisfies it; not where there is no number."""
        return _OPERATORS[self.sign](group.mean_of(self.metric), self.bound)

    def excess(self, group: Replicates) -> float:
        """How far the mean is on the wrong side, in ranges; infinite without a number."""
        value = group.mean_of(self.metric)
        if math.isnan(value):
            return math.inf
        return 0.0 if self.holds(group) else abs(value - self.bound) / self.scale


def read_constraints(record: StudyRecord, texts: Sequence[str]) -> tuple[Constraint, ...]:
    """Read `METRIC<=NUMBER` and the like.

    Raises:
        InputError: If a text has another form, or names a metric that no trial has recorded.
    """
    groups = by_allocation(record.complete)
    known = sorted({name for trial in record.complete for name in trial.metrics})
    found = []
    for text in texts:
        match = re.fullmatch(r"\s*([^\s<>=]+)\s*(<=|>=|<|>)\s*(\S+)\s*", text)
        bound = _number(match[3]) if match else math.nan
        if match is None or math.isnan(bound):
            allowed = "METRIC<=NUMBER, METRIC>=NUMBER, METRIC<NUMBER or METRIC>NUMBER"
            raise InputError(f"--where: found {text!r}. Allowed: {allowed}.")
        if known and match[1] not in known:
            raise InputError(
                suggestion(match[1], known, f"--where {text}: unknown metric {match[1]!r}")
            )
        means = [mean for mean in (g.mean_of(match[1]) for g in groups) if math.isfinite(mean)]
        scale = (max(means) - min(means)) if means else 0.0
        found.append(Constraint(text, match[1], match[2], bound, scale or 1.0))
    return tuple(found)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def satisfying(
    groups: Sequence[Replicates], constraints: Sequence[Constraint]
) -> tuple[Replicates, ...]:
    """The allocations that satisfy every constraint.

    Raises:
        InputError: If there are allocations, and none does; the message names the nearest: that
            with the least sum of excesses, each in ranges of its metric over the study.
    """
    kept = tuple(group for group in groups if all(c.holds(group) for c in constraints))
    if kept or not groups:
        return kept
    nearest = min(
        groups,
        key=lambda group: (sum(c.excess(group) for c in constraints), group.trials[0].number),
    )
    texts = " and ".join(dict.fromkeys(c.text for c in constraints))
    values = ", ".join(
        f"{metric_name(metric)} {with_unit(metric, nearest.mean_of(metric))}"
        for metric in dict.fromkeys(c.metric for c in constraints)
    )
    if len(groups) == 1:
        raise InputError(f"--where {texts}: {nearest.allocation} has {values}")
    raise InputError(
        f"--where {texts}: none of {len(groups)} allocations satisfies this; the nearest is "
        f"{nearest.allocation} with {values}"
    )
