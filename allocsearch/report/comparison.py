"""How the recommended allocation differs from others, as texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.report.front import (
    Candidate,
    StudyFront,
    difference_interval,
    knee,
    non_dominated,
)
from allocsearch.report.labels import format_metric, metric_label
from allocsearch.search.evaluation.baselines import UNIFORM, baselines
from allocsearch.search.records import StudyRecord
from allocsearch.search.sampling.losses import losses, signs


@dataclass(frozen=True)
class Comparison:
    """Another allocation beside the recommended one, as texts.

    Attributes:
        role: What it is.
        allocation: Its dims.
        differences: What the recommended one has more of each objective, with 95 % intervals
            where they are known.
        verdicts: Whether it is `better` or `worse` by that; `unclear` where the interval has both
            signs, and `equal` where nothing differs.
    """

    role: str
    allocation: str
    differences: tuple[str, ...]
    verdicts: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Baseline:
    """An allocation that nobody has to search for.

    Attributes:
        role: What it is.
        allocation: Its dims.
        trained: How it stands in the study; None if it was not trained there.
    """

    role: str
    allocation: Allocation
    trained: Candidate | None


def trained_baselines(
    record: StudyRecord, front: StudyFront, chosen: Candidate
) -> tuple[Baseline, ...]:
    """The baselines of an allocation, and how each was trained, if it was.

    Args:
        record: The study.
        front: Its front.
        chosen: The allocation; none where it is unknown.
    """
    if chosen.allocation is None:
        return ()
    return tuple(
        Baseline(role, allocation, _trained(front, allocation, in_any_order=role == UNIFORM))
        for role, allocation in baselines(chosen.allocation, record.config.search_space)
    )


def comparisons(
    record: StudyRecord, front: StudyFront, chosen: Candidate, beside: Sequence[Baseline]
) -> Iterator[Comparison]:
    """How an allocation differs from the runner-up and the baselines that were trained.

    Args:
        record: The study.
        front: Its front.
        chosen: The allocation.
        beside: Its baselines.
    """
    objectives = record.config.study.parsed_objectives
    others = [member for member in front.members if member is not chosen]
    # Where it is better than all in everything, as with one objective, the next front has it.
    others = others or _next_front(front, chosen, objectives)
    rows = [("runner-up", knee(others, objectives))] if others else []
    rows += [(each.role, each.trained) for each in beside if each.trained is not None]
    roles: dict[Candidate, list[str]] = {}
    for role, other in rows:
        roles.setdefault(other, []).append(role)
    for other, names in roles.items():
        if other is not chosen:
            yield _comparison(", ".join(names), front, chosen, other, objectives)


def _next_front(
    front: StudyFront, chosen: Candidate, objectives: Sequence[Objective]
) -> list[Candidate]:
    """The members that the front would have without one of its candidates."""
    rest = [each for each in front.candidates if each is not chosen]
    kept = non_dominated(losses([each.mean for each in rest], objectives))
    return [each for each, is_kept in zip(rest, kept, strict=True) if is_kept]


def baseline_text(beside: Sequence[Baseline]) -> str | None:
    """What the default is, and which baselines were not trained; None where neither is there."""
    texts = [
        f"The default is the {each.role}, widest in the middle, as the 8-16-8 of Havtorn et al. "
        "(2021) is."
        for each in beside
        if each.role != UNIFORM
    ]
    names = [f"the {each.role} {each.allocation}" for each in beside if each.trained is None]
    if names:
        texts.append(f"Not trained in this study: {', '.join(names)}.")
    return " ".join(texts) or None


def uniform_line(record: StudyRecord, front: StudyFront, chosen: Candidate) -> str | None:
    """What an allocation has more or less of each objective than the uniform split, in a line.

    Args:
        record: The study.
        front: Its front.
        chosen: The allocation.

    Returns:
        With 95 % intervals where they are known; None where the allocation is unknown.
    """
    uniform = next(
        (each for each in trained_baselines(record, front, chosen) if each.role == UNIFORM), None
    )
    if uniform is None:
        return None
    name = f"the {uniform.role} {uniform.allocation}"
    if uniform.trained is None:
        return f"No gain over {name} is known: it was not trained in this study."
    if uniform.trained is chosen:
        return "It is the uniform split itself."
    objectives = record.config.study.parsed_objectives
    found = _comparison(uniform.role, front, chosen, uniform.trained, objectives)
    interval = ", 95 %" if front.spread is not None else ""
    parts = [
        f"{metric_label(objective.metric)} {text}"
        for objective, text in zip(objectives, found.differences, strict=True)
    ]
    return f"Against the {found.role} {found.allocation}{interval}: {', '.join(parts)}."


def _trained(front: StudyFront, allocation: Allocation, *, in_any_order: bool) -> Candidate | None:
    """The first candidate with these dims; as uniform is one that has them in another order."""

    def form(dims: Sequence[int]) -> Sequence[int]:
        return sorted(dims) if in_any_order else dims

    for candidate in front.candidates:
        found = candidate.allocation
        if found is not None and form(found.dims) == form(allocation.dims):
            return candidate
    return None


def _comparison(
    role: str,
    front: StudyFront,
    chosen: Candidate,
    other: Candidate,
    objectives: Sequence[Objective],
) -> Comparison:
    intervals = difference_interval(front, chosen, other)
    texts, verdicts = [], []
    for i, (objective, sign) in enumerate(zip(objectives, signs(objectives), strict=True)):
        difference = chosen.mean[i] - other.mean[i]
        text = _signed(objective.metric, difference)
        # What is shown as 0 is none.
        ends = (difference, difference) if float(text) else (0.0, 0.0)
        if intervals is not None:
            ends = intervals[i]
            low, high = (_signed(objective.metric, end) for end in ends)
            text = f"{text} ({low} to {high})"
        texts.append(text)
        verdicts.append(_verdict(min(sign * end for end in ends), max(sign * end for end in ends)))
    allocation = str(other.allocation or "unknown")
    return Comparison(role, allocation, tuple(texts), tuple(verdicts))


def _verdict(low: float, high: float) -> str:
    """In a word what a difference of losses within these ends is."""
    if low == high == 0:
        return "equal"
    if low <= 0 <= high:
        return "unclear"
    return "better" if high < 0 else "worse"


def _signed(metric: str, value: float) -> str:
    text = format_metric(metric, value)
    return text if text.startswith("-") or not float(text) else f"+{text}"
