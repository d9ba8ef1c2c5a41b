"""How metrics, values, durations and numbers of trials read, wherever they are shown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

_LAYERED = re.compile(r"(rate|information|active_units)_([0-9]+)")
_SKIPPING = re.compile(r"(distortion|explained)_skip_([0-9]+)")
# More would be longer than they are read.
_MOST_RANGES = 6
_NATS = ("retention", "elbo", "distortion", "rate", "information")
_NAMES = {
    "elbo": "ELBO",
    "auroc": "AUROC",
    "auroc_worst": "AUROC, worst set",
    "auroc_low": "AUROC, lower end (95 %)",
    "auroc_high": "AUROC, upper end (95 %)",
    "aupr_ood": "AUPR, OOD positive",
    "aupr_id": "AUPR, ID positive",
    "fpr80": "FPR at 80 % TPR",
    "fpr95": "FPR at 95 % TPR",
    "probe_accuracy": "probe accuracy",
    "probe_accuracy_knn": "probe accuracy, k-NN",
    "probe_chance": "probe, chance level",
}


def metric_unit(metric: str) -> str | None:
    """The unit of a metric, `nats`, or None where it has none."""
    match = _LAYERED.fullmatch(metric) or _SKIPPING.fullmatch(metric)
    return "nats" if (match[1] if match else metric) in _NATS else None


def metric_name(metric: str) -> str:
    """A metric as it reads in a sentence: `information, layer 3`."""
    layered = _LAYERED.fullmatch(metric)
    if layered:
        return f"{layered[1].replace('_', ' ')}, layer {layered[2]}"
    skipping = _SKIPPING.fullmatch(metric)
    if skipping:
        what = "explained share" if skipping[1] == "explained" else skipping[1]
        return f"{what}, z_{skipping[2]} and below from the prior" if skipping[2] != "0" else what
    if metric.startswith("auroc."):
        return ", ".join(["AUROC", *metric.split(".")[1:]])
    kind, dot, dataset = metric.partition(".")
    if dot and kind in _NAMES:
        return f"{_NAMES[kind]}, {dataset}"
    return _NAMES.get(metric, metric.replace("_", " "))


def heading(text: str) -> str:
    """The text with a capital letter at its beginning; the others stay, as those of AUROC."""
    return text[:1].upper() + text[1:]


def metric_label(metric: str) -> str:
    """A metric as it reads at an axis or column, with its unit: `retention (nats)`."""
    unit = metric_unit(metric)
    return metric_name(metric) if unit is None else f"{metric_name(metric)} ({unit})"


def column_label(label: str, interval: bool) -> str:
    """A label above values, `retention (nats) (95 %)` where they have intervals."""
    return f"{label} (95 %)" if interval else label


def with_unit(metric: str, value: float) -> str:
    """A value with its unit, `9.81 nats`, where it has one."""
    unit = metric_unit(metric)
    return " ".join([format_metric(metric, value), *([unit] if unit else [])])


def interval_text(metric: str, metrics: Mapping[str, float]) -> str | None:
    """The 95 % interval of a metric, `0.928-0.955`, or None where it has not been recorded.

    Negative ends are told apart by a word: `-31.20 to -30.10`.

    Args:
        metric: Name of the metric.
        metrics: Values by name, among them the ends, `auroc_low` and `auroc_high` of `auroc`.
    """
    ends = [metrics.get(f"{metric}_{end}") for end in ("low", "high")]
    if any(end is None or math.isnan(end) for end in ends):
        return None
    low, high = (format_metric(metric, end) for end in ends)
    return f"{low} to {high}" if "-" in (low[0], high[0]) else f"{low}-{high}"


def with_interval(text: str, metric: str, metrics: Mapping[str, float]) -> str:
    """The text of a metric's value and its 95 % interval, `0.942 (0.928-0.955)`, if it has one."""
    interval = interval_text(metric, metrics)
    return text if interval is None else f"{text} ({interval})"


def format_metric(metric: str, value: float | None) -> str:
    """A value with the digits that its metric deserves, without its unit.

    Nats have 2 decimals, counts none, all else 3; an unknown value is a dash.
    """
    if value is None or math.isnan(value):
        return "–"  # noqa: RUF001
    if metric.startswith("active_units"):
        return f"{value:.0f}"
    text = f"{value:.2f}" if metric_unit(metric) == "nats" else f"{value:.3f}"
    return text if float(text) else text.removeprefix("-")


def format_duration(seconds: float | None) -> str:
    """Seconds as `48 s`, `1 m 52 s` or `2 h 03 m`; an unknown duration is a dash."""
    if seconds is None or math.isnan(seconds):
        return "–"  # noqa: RUF001
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} m"
    return f"{minutes} m {rest:02d} s" if minutes else f"{rest} s"


def trials_text(numbers: tuple[int, ...]) -> str:
    """Numbers of trials in ascending order as ranges: `trials 0-11, 14`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:_MOST_RANGES]]
    more = f" and others, {len(numbers):,} in all" if len(ranges) > _MOST_RANGES else ""
    return f"trial{'' if len(numbers) == 1 else 's'} {', '.join(texts)}{more}"


def names_text(names: Sequence[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
