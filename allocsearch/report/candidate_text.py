"""Allocations with several trainings, and what is certain of the front, as text."""

from __future__ import annotations

from collections.abc import Sequence

from allocsearch.config import Objective
from allocsearch.report.front import Candidate, StudyFront
from allocsearch.report.labels import format_metric, interval_text, metric_unit, with_interval

# Less probable members are not worth a word.
_PERHAPS = 0.2
_MOST = 5


def value_text(candidate: Candidate, i: int, metric: str, *, unit: bool = True) -> str:
    """An objective of an allocation: its mean, and the 95 % interval over trainings.

    Where the spread over trainings is unknown, the interval is the one that the trial has
    recorded, if any, as `with_interval` gives it.

    Args:
        candidate: The allocation.
        i: Which objective.
        metric: Its metric.
        unit: Whether to name the unit.
    """
    text = format_metric(metric, candidate.mean[i])
    named = f"{text} {metric_unit(metric)}" if unit and metric_unit(metric) else text
    return with_interval(named, metric, interval_ends(candidate, i, metric))


def interval_ends(candidate: Candidate, i: int, metric: str) -> dict[str, float]:
    """The ends of an objective's 95 % interval, as `interval_text` takes them."""
    if candidate.interval is None:
        ends = (f"{metric}_low", f"{metric}_high")
        recorded = candidate.trial.metrics
        return {end: recorded[end] for end in ends if end in recorded}
    return clipped_ends(metric, *candidate.interval[i])


def clipped_ends(metric: str, low: float, high: float) -> dict[str, float]:
    """Both ends by name, within [0, 1] for a metric that cannot leave it."""
    if metric == "attenuation" or metric.startswith("auroc"):
        low, high = max(0.0, low), min(1.0, high)
    return {f"{metric}_low": low, f"{metric}_high": high}


def has_interval(candidates: Sequence[Candidate], i: int, metric: str) -> bool:
    """Whether any of them has an interval of the objective."""
    return any(interval_text(metric, interval_ends(c, i, metric)) for c in candidates)


def probability_text(probability: float | None) -> str:
    """A probability with two decimals; what would read as 0 or 1 is `<0.01` or `>0.99`."""
    if probability is None:
        return "–"  # noqa: RUF001
    if probability < 0.005:
        return "<0.01"
    return ">0.99" if probability > 0.995 else f"{probability:.2f}"


def uncertainty_lines(front: StudyFront, objectives: Sequence[Objective]) -> tuple[str, ...]:
    """What the intervals rest on, the hypervolume, and who may be on the front as well.

    Empty where no allocation has two trainings: then nothing is known of the spread.
    """
    if front.spread is None:
        return ()
    count, freedom = front.repeated, front.spread.freedom
    several = "1 allocation has" if count == 1 else f"{count} allocations have"
    degrees = f"{freedom} degree{'' if freedom == 1 else 's'} of freedom"
    lines = [
        "Values are means over n trainings, with 95 % intervals; "
        f"{several} more than one, and their pooled spread ({degrees}) stands for all."
    ]
    if front.volume is not None and len(objectives) > 1:
        text = f"{front.volume.value:.3f}"
        if front.volume.low is not None and front.volume.high is not None:
            text = f"{text} ({front.volume.low:.3f}-{front.volume.high:.3f})"
        lines.append(
            f"Hypervolume (95 %): {text} of the box between the worst and the best value of each "
            "objective."
        )
    members = {*front.members}
    perhaps = sorted(
        (
            (candidate.probability, candidate)
            for candidate in front.candidates
            if candidate not in members
            and candidate.probability is not None
            and candidate.probability >= _PERHAPS
        ),
        key=lambda entry: (-entry[0], entry[1].trial.number),
    )
    if perhaps:
        named = [f"{c.allocation} ({probability_text(p)})" for p, c in perhaps[:_MOST]]
        more = len(perhaps) - _MOST
        tail = f" and {more} more" if more > 0 else ""
        lines.append(f"Perhaps on the front, too: {', '.join(named)}{tail}.")
    return tuple(lines)
