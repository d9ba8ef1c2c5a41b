"""Reports of a training that code which is not ours makes while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from allocsearch.search.foreign.checked_metrics import MetricsError, checked_metrics
from allocsearch.search.trainer import Hooks

# Shares are sums and quotients of floating-point numbers.
_ROUNDING = 1e-9


@dataclass
class ForeignReports:
    """Takes the reports of one training.

    Attributes:
        index: The index of its task.
        wanted: The metrics of the objectives.
        hooks: Who is told, and at which rungs.
    """

    index: int
    wanted: Sequence[str]
    hooks: Hooks
    _passed: int = field(default=0, init=False)

    def take(self, progress: object, metrics: object, numbers: Mapping[str, object]) -> None:
        """Pass one report on.

        The first report with metrics at or after a rung is judged there. Where it is the first
        one after several rungs, only the last of them counts; at the end none does.

        Args:
            progress: Share of the training that is done.
            metrics: The metrics there; None where they are not known.
            numbers: Whatever else is shown while the training runs.

        Raises:
            MetricsError: If the progress is not in [0, 1], or something is no finite number.
            PrunedError: If a rung stops the training.
        """
        shown = checked_metrics({"progress": progress, **numbers}, ())
        share = shown["progress"]
        if not 0 <= share <= 1:
            raise MetricsError(f"progress is {share}; allowed: from 0 to 1")
        self.hooks.progress(self.index, shown)
        if metrics is None:
            return
        found = checked_metrics(metrics, self.wanted)
        reached = sum(rung <= share + _ROUNDING for rung in self.hooks.rungs)
        if reached > self._passed and share < 1 - _ROUNDING:
            self._passed = reached
            self.hooks.rung(self.index, self.hooks.rungs[reached - 1], found)
