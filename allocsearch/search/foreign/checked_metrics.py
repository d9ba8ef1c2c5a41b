"""Metrics that code which is not ours has computed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from numbers import Real

from allocsearch.config import shown

# As an objective is written: no space, nothing that does not print.
_NAME = re.compile(r"\S{1,200}")


class MetricsError(RuntimeError):
    """What a trainer gave as metrics is none, or not all that the study needs."""


def checked_metrics(found: object, wanted: Sequence[str]) -> dict[str, float]:
    """The metrics as finite numbers by name.

    Args:
        found: What the trainer gave.
        wanted: The metrics of the objectives, which have to be there.

    Raises:
        MetricsError: With one line that says what is wrong.
    """
    if not isinstance(found, Mapping):
        raise MetricsError(f"found {shown(found)}; allowed: an object of metrics by name")
    metrics: dict[str, float] = {}
    for name, value in found.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not name.isprintable():
            raise MetricsError(f"found the name {shown(name)}; allowed: text without spaces")
        # Truth values are whole numbers to Python.
        if isinstance(value, bool) or not isinstance(value, Real):
            raise MetricsError(f"{name} is {shown(value)}; allowed: a number")
        try:
            metrics[name] = float(value)
        except OverflowError:
            raise MetricsError(f"{name} is {shown(value)}; allowed: a finite number") from None
        if not math.isfinite(metrics[name]):
            raise MetricsError(f"{name} is {metrics[name]}; allowed: a finite number")
    missing = [name for name in wanted if name not in metrics]
    if missing:
        raise MetricsError(
            f"no {missing[0]}, which is an objective; found {', '.join(metrics) or 'nothing'}"
        )
    return metrics
