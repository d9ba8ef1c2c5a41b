"""The figures of what the search reached against what it cost, with their words."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from allocsearch.config import Objective
from allocsearch.report.figures.cost_figures import course_curve
from allocsearch.report.front import StudyFront, comparable, knee, objective_box
from allocsearch.report.labels import format_duration, heading, metric_name, with_unit
from allocsearch.report.panels.panel import Grid, Panel
from allocsearch.report.search_course import course_frame, in_order_of_end
from allocsearch.search.records import StudyRecord
from allocsearch.search.sampling.losses import signs

# Of the last value: about where the search could have ended.
_ENOUGH = 0.95

_COSTS: tuple[tuple[Literal["seconds", "trials"], str, str], ...] = (
    (
        "seconds",
        "training time",
        "Time is summed over all trials that ended, with their measurements; several workers "
        "spend it side by side.",
    ),
    ("trials", "trials", "Every trial that ended counts, whatever it took."),
)
_TOGETHER = " Those that are trained together each count the whole time of their pass."
_UNKNOWN = " The line ends before the first trial whose duration is unknown."


def cost_panels(record: StudyRecord, front: StudyFront) -> tuple[tuple[Panel, ...], str | None]:
    """Hypervolume over training time and over trials; with one objective its best mean.

    Args:
        record: The study.
        front: Its front.

    Returns:
        The panels, and why there are none.
    """
    objectives = record.config.study.parsed_objectives
    name = metric_name(objectives[0].metric) if len(objectives) == 1 else "hypervolume"
    left_out = f"{heading(name)} over cost"
    if len(comparable(record)) < 2:
        return (), f"{left_out}: it takes two complete trials."
    groups = [candidate.replicates for candidate in front.candidates]
    reference, ideal = objective_box(groups, objectives)
    if (reference == ideal).all():
        return (), f"{left_out}: all trials have the same objectives."
    column, metric = ("hypervolume", None)
    if len(objectives) == 1:
        column, metric = "best", objectives[0].metric
    # Attempts that failed have rows, too, but by those nothing was found.
    first = in_order_of_end(knee(front.members, objectives).replicates.trials)[0].number
    frame = course_frame(record, always=(first,))
    words = " ".join(
        [*_meaning(front, objectives, tuple(reference * signs(objectives))), _soon(frame, column)]
    )
    grid = _grid(frame, column, left_out.removesuffix(" over cost"), metric)
    made: list[Panel] = []
    for cost, what, more in _COSTS:
        if frame[cost].isna().all():
            continue
        together = _TOGETHER if cost == "seconds" and _together(record) else ""
        unknown = _UNKNOWN if frame[cost].isna().any() else ""
        made.append(
            Panel(
                "cost",
                f"{left_out.removesuffix('cost')}{what}",
                f"{'' if made else f'{words} '}{more}{together}{unknown}",
                f"Stepped line: {name} of what had ended against {what}. A table with the numbers "
                f"{'is beside the other figure' if made else 'follows'}.",
                course_curve(frame, cost, metric=metric, volume=front.volume, recommended=first),
                None if made else grid,
                frame=frame,
            )
        )
    return tuple(made), None


def _together(record: StudyRecord) -> bool:
    return not record.config.trainer.foreign and record.config.training.population != 1


def _meaning(
    front: StudyFront, objectives: tuple[Objective, ...], reference: tuple[float, ...]
) -> list[str]:
    if len(objectives) == 1:
        means = " mean over the trainings of an allocation" if front.spread else ""
        return [f"The line is the best{means or ' value'} so far."]
    corner = ", ".join(
        f"{metric_name(objective.metric)} {with_unit(objective.metric, value)}"
        for objective, value in zip(objectives, reference, strict=True)
    )
    told = [
        "Share of the box between the worst and the best value of each objective over the whole "
        f"study; the reference point is {corner}."
    ]
    if front.spread is not None:
        told.append(
            "By the means over the trainings so far, so that another training of an allocation "
            "can lower it."
        )
        if front.volume is not None and front.volume.low is not None:
            told.append(
                "The interval corrects the last one for noise, which makes the best of many look "
                "too good."
            )
    return told


def _soon(frame: pd.DataFrame, column: str) -> str:
    """When the line came near to its end for good."""
    rows = frame.dropna(subset=[column])
    values = rows[column].to_numpy()
    # The best value has no zero; what counts is how it became better.
    origin = 0.0 if column == "hypervolume" else values[0]
    if values[-1] == origin:
        return ""
    below = (values - origin) / (values[-1] - origin) < _ENOUGH
    there = rows.iloc[int(below.nonzero()[0][-1]) + 1 if below.any() else 0]
    time = "" if pd.isna(there["seconds"]) else f" ({format_duration(there['seconds'])})"
    what = "the last value" if column == "hypervolume" else "the gain over the first"
    return f"95 % of {what} was reached for good after {there['trials']:,} trials{time}."


def _grid(frame: pd.DataFrame, column: str, label: str, metric: str | None) -> Grid:
    """The steps of the line, as text."""
    rows = tuple(
        (
            f"{row['trials']:,}",
            "–" if pd.isna(row["seconds"]) else format_duration(row["seconds"]),  # noqa: RUF001
            row["allocation"],
            "–"  # noqa: RUF001
            if pd.isna(row[column])
            else f"{row[column]:.3f}"
            if metric is None
            else with_unit(metric, row[column]),
        )
        for row in frame.to_dict("records")
    )
    return Grid(("trials ended", "training time", "last ended", label), rows)
