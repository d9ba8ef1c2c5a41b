"""Which figures the page of a study draws from its trials alone, each with its words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

import pandas as pd

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, Objective
from allocsearch.report.agreement import agreement_text
from allocsearch.report.figures.allocation_figures import (
    MOST_BARS,
    layer_bars,
    metric_by_ratio,
    pareto_3d,
    pareto_pair,
)
from allocsearch.report.figures.split_figures import parallel_splits, parallel_width, ternary_map
from allocsearch.report.front import StudyFront, comparable
from allocsearch.report.labels import format_metric, heading, metric_label, metric_name
from allocsearch.report.panels.cost_panels import cost_panels
from allocsearch.report.panels.importance_panel import importance_panel
from allocsearch.report.panels.panel import Grid, Panel
from allocsearch.report.panels.plotted import plotted
from allocsearch.report.predictions import PREDICTED, prediction_curves, trial_agreement
from allocsearch.report.representatives import representatives
from allocsearch.report.tables import allocations_frame, trials_frame
from allocsearch.report.thinning import drawn, drawn_text
from allocsearch.search.prediction import StudyPrediction, read_prediction
from allocsearch.search.records import StudyRecord, TrialRecord

_CHOSEN = "The recommended allocation and the best one in each objective. Layer 1 is next to x."
_LAYER_KINDS = {
    "information": (
        "Information of each layer",
        "Bars are the upper bound on I(x; z_l); whiskers reach down to the lower bound, which the "
        "number of examples limits where it is saturated.",
    ),
    "rate": ("Rate of each layer", "KL(q to p), which is 0 for a layer that has collapsed."),
    "active_units": ("Active units of each layer", "Dims whose posterior mean varies with x."),
}


def trial_panels(
    record: StudyRecord, front: StudyFront, frame: pd.DataFrame | None = None
) -> tuple[tuple[Panel, ...], tuple[str, ...]]:
    """The figures that need no files of trials, and a sentence for each that is left out.

    Args:
        record: The study.
        front: Its front.
        frame: Its `trials_frame`, where that is known already.
    """
    trials = comparable(record)
    if not trials:
        return (), ("Figures: no trial is complete.",)
    frame = trials_frame(record, front) if frame is None else frame
    # Without replicates every trial is drawn, as it is.
    points = frame if front.spread is None else allocations_frame(record, front, frame)
    objectives = tuple({o.metric: o for o in record.config.study.parsed_objectives}.values())
    made: list[Panel] = []
    omitted: list[str] = []
    if len(objectives) == 1:
        omitted.append("Pareto front plots: the study has one objective.")
    elif len({trial.values for trial in trials}) < 2:
        omitted.append("Pareto front plots: they need two trials with different objectives.")
    else:
        made += _fronts(points, objectives)
    ratios = {round(trial.allocation.ratio, 12) for trial in trials if trial.allocation}
    if len(ratios) < 2:
        omitted.append("Metric against ratio: all trials have the same ratio.")
    else:
        prediction, problem = _prediction(record)
        if problem and any(objective.metric in PREDICTED for objective in objectives):
            omitted.append(problem)
        made += _ratios(record, points, objectives, prediction)
    if no_splits := _no_splits({trial.allocation for trial in trials if trial.allocation}):
        omitted.append(f"Objectives over the splits: {no_splits}.")
    else:
        made += _splits(points, objectives)
    layers = list(_layers(frame, representatives(record, front)))
    if not layers:
        omitted.append("Information per layer: no trial has recorded it.")
    if not record.config.ood_validation:
        omitted.append("OOD detection: the study has no OOD validation set.")
    cost, no_cost = cost_panels(record, front)
    dims, no_dims = importance_panel(record, front)
    omitted += filter(None, [no_cost, no_dims])
    return (*made, *layers, *cost, *filter(None, [dims])), tuple(omitted)


def _fronts(frame: pd.DataFrame, objectives: tuple[Objective, ...]) -> Iterator[Panel]:
    complete = frame[frame["state"] == "complete"]
    shown = drawn(complete)
    what, bars = f"{len(shown)} trials", drawn_text(shown, complete, "trials")
    if "trainings" in frame:
        what = f"the means of {len(shown)} allocations"
        bars = (
            " Marks are means over an allocation's trainings, bars their 95 % intervals"
            f"{_whose_bars(shown)}; the fainter a mark on the front, the less certain it is "
            f"there.{drawn_text(shown, complete, 'allocations')}"
        )
    for x, y in combinations(objectives, 2):
        names = f"{metric_label(x.metric)} against {metric_label(y.metric)}"
        yield Panel(
            "front",
            heading(f"{metric_name(y.metric)} against {metric_name(x.metric)}"),
            f"The line is the edge of what was reached in these two objectives.{bars}",
            f"Scatter plot of {what}: {names}. The table of all trials has the numbers.",
            pareto_pair(shown, x, y),
            frame=plotted(shown, [x.metric, y.metric]),
        )
    if len(objectives) == 3:
        yield Panel(
            "front",
            "All three objectives",
            "Drag to turn, scroll to zoom.",
            f"Scatter plot in space of {what} in all three objectives. The table of "
            "all trials has the numbers.",
            pareto_3d(shown, (objectives[0], objectives[1], objectives[2])),
            wide=True,
            frame=plotted(shown, [objective.metric for objective in objectives]),
        )


def _whose_bars(shown: pd.DataFrame) -> str:
    """Whose bars are left out, as `figures` does."""
    return ", for those on the front" if (~shown["on_front"]).sum() > MOST_BARS else ""


def _prediction(record: StudyRecord) -> tuple[StudyPrediction | None, str | None]:
    """What was predicted for the study, or a sentence that says why it is not drawn."""
    try:
        prediction = read_prediction(record.folder)
    except InputError as error:
        return None, f"Prediction from the data: {error}."
    if prediction is None:
        return None, "Prediction from the data: the run folder has none."
    return prediction, None


def _ratios(
    record: StudyRecord,
    frame: pd.DataFrame,
    objectives: tuple[Objective, ...],
    prediction: StudyPrediction | None,
) -> Iterator[Panel]:
    complete = frame[frame["state"] == "complete"]
    shown = drawn(complete)
    left_out = drawn_text(shown, complete, "allocations" if "trainings" in frame else "trials")
    for objective in objectives:
        label = metric_label(objective.metric)
        caption = f"Below 1 the bottom layers are wide, above 1 the top ones.{left_out}"
        curves: dict[str, pd.DataFrame] = {}
        if prediction is not None and objective.metric in PREDICTED:
            curves = prediction_curves(prediction)
            agreement = trial_agreement(record, prediction, objective.metric)
            caption = (
                f"{caption} The dashed line is predicted from the data alone, without training. "
                f"{agreement_text(agreement)}"
            )
        yield Panel(
            "ratio",
            heading(f"{metric_name(objective.metric)} against ratio"),
            caption,
            f"Scatter plot of {label} against the ratio of each trial's allocation. The table of "
            "all trials has the numbers.",
            metric_by_ratio(shown, objective.metric, curves),
            frame=plotted(shown, [objective.metric]),
        )


def _no_splits(allocations: Collection[Allocation]) -> str | None:
    """Why the splits are not drawn; those of one ratio can differ nevertheless."""
    if max((each.layers for each in allocations), default=0) < 3:
        return "they are drawn for three layers and more, and here the ratio tells all"
    if len(allocations) < 2:
        return "all trials have the same allocation"
    return None


def _splits(frame: pd.DataFrame, objectives: tuple[Objective, ...]) -> Iterator[Panel]:
    """Where among all allocations the trials are, and what they are there."""
    complete = frame[frame["state"] == "complete"]
    shown = drawn(complete)
    left_out = drawn_text(shown, complete, "allocations" if "trainings" in frame else "trials")
    counts = {text.count("-") + 1 for text in complete["allocation"].dropna()}
    if counts == {3}:
        for objective in objectives:
            label = metric_label(objective.metric)
            yield Panel(
                "splits",
                heading(f"{metric_name(objective.metric)} over the splits"),
                "Near a corner almost all dims are in one layer, in the middle they are shared "
                f"equally. Outlined marks are on the front, the diamond is recommended.{left_out}",
                f"Ternary plot of the dims of three layers, coloured by {label}. The table of all "
                "trials has the numbers.",
                ternary_map(shown, objective.metric),
                frame=plotted(shown, [objective.metric]),
            )
    elif max(counts) > 2:
        metric = objectives[0].metric
        yield Panel(
            "splits",
            "Dims of each layer and objectives",
            "A line for each, coloured by "
            f"{metric_label(metric)}; drag along an axis to choose among them.{left_out}",
            "Parallel coordinates of the dims of each layer and the objectives. The table of all "
            "trials has the numbers.",
            parallel_splits(shown, objectives, metric),
            wide=True,
            least_width=parallel_width(shown, objectives),
            frame=plotted(shown, [objective.metric for objective in objectives]),
        )


def _layers(frame: pd.DataFrame, chosen: tuple[TrialRecord, ...]) -> Iterator[Panel]:
    numbers = [trial.number for trial in chosen]
    for kind, (title, meaning) in _LAYER_KINDS.items():
        grid = _grid(kind, chosen)
        if not grid.rows:
            continue
        yield Panel(
            "layers",
            title,
            f"{meaning} {_CHOSEN}",
            f"Bar chart: {title}, for {', '.join(row[0] for row in grid.rows)}. A table with the "
            "numbers follows.",
            layer_bars(frame, kind, numbers),
            grid,
            frame=_layer_frame(frame, kind, numbers),
        )


def _layer_frame(frame: pd.DataFrame, kind: str, numbers: Sequence[int]) -> pd.DataFrame:
    """The rows of a few trials in their order, with the metric of every layer."""
    layers = [name for name in map(str, frame) if re.fullmatch(rf"{kind}_(lower_)?[0-9]+", name)]
    rows = frame.set_index("number", drop=False).loc[[*numbers], ["number", "allocation", *layers]]
    return rows.reset_index(drop=True)


def _grid(kind: str, trials: tuple[TrialRecord, ...]) -> Grid:
    """The layers' values of each trial that has any, as text."""
    layers = max((t.allocation.layers for t in trials if t.allocation), default=0)
    names = [f"{kind}_{layer}" for layer in range(1, layers + 1)]
    rows = tuple(
        (
            f"{trial.allocation} (trial {trial.number})",
            *(_layer_text(trial.metrics, kind, layer) for layer in range(1, layers + 1)),
        )
        for trial in trials
        if any(name in trial.metrics for name in names)
    )
    return Grid(("allocation", *(f"layer {i + 1}" for i in range(layers))), rows)


def _layer_text(metrics: Mapping[str, float], kind: str, layer: int) -> str:
    """A layer's value, with the bracket of the bounds where there is a lower one."""
    name = f"{kind}_{layer}"
    text = format_metric(name, metrics.get(name))
    lower = metrics.get(f"{kind}_lower_{layer}")
    if lower is None:
        return text
    saturated = " (saturated)" if metrics.get(f"{kind}_saturated_{layer}") else ""
    return f"{format_metric(name, lower)}{saturated} to {text}"
