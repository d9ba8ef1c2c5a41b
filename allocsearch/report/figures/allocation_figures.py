"""Plots of a study's trials: each takes a data frame, returns a figure, and never shows it.

The frames are those of `allocsearch.report.tables`: `trials_frame`, or `allocations_frame`,
of which marks are means, with their intervals as bars.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.report.candidate_text import clipped_ends, probability_text
from allocsearch.report.figures import theme
from allocsearch.report.figures.allocation_bar import allocation_bars
from allocsearch.report.figures.plot_text import plot_label
from allocsearch.report.front import non_dominated
from allocsearch.report.labels import interval_text
from allocsearch.search.sampling.losses import losses

_GROUPS = (
    ("dominated", theme.DOMINATED, 7, "circle", 0.75),
    ("front", theme.FRONT, 10, "circle", 1.0),
    ("recommended", theme.KNEE, 15, "diamond", 1.0),
)

# Bars of more dominated marks than these would hide the marks.
MOST_BARS = 300

_CURVES = (theme.PURPLE, theme.GREEN, theme.ORANGE, theme.SKY)


def pareto_pair(frame: pd.DataFrame, x: Objective, y: Objective) -> go.Figure:
    """The complete trials in two objectives, with the edge of what was reached.

    The edge joins the trials that none dominates in these two objectives alone; a member of the
    front of all objectives can lie behind it.

    Args:
        frame: Trials with `number`, `allocation`, `on_front`, `recommended` and both metrics.
        x: Objective along the horizontal axis.
        y: Objective along the vertical axis.
    """
    rows = finite_rows(frame, [x.metric, y.metric])
    figure = go.Figure()
    _add_edge(figure, rows, x, y)
    for rank, (name, part) in enumerate(groups(rows)):
        figure.add_trace(
            go.Scatter(
                x=part[x.metric],
                y=part[y.metric],
                hovertemplate=_hover([x.metric, y.metric], "xy"),
                **markers(name, part, rank, [x.metric, y.metric], bars=True),
                **_bars(name, part, {"x": x.metric, "y": y.metric}),
            )
        )
    figure.update_layout(
        template=theme.template("light"),
        xaxis={"title": {"text": _better(x)}, **_range(rows, x.metric)},
        yaxis={"title": {"text": _better(y)}, **_range(rows, y.metric)},
    )
    return figure


def pareto_3d(
    frame: pd.DataFrame, objectives: tuple[Objective, Objective, Objective]
) -> go.Figure:
    """The complete trials in three objectives.

    Args:
        frame: Trials with `number`, `allocation`, `on_front`, `recommended` and the metrics.
        objectives: Those along x, y and z.
    """
    metrics = [objective.metric for objective in objectives]
    rows = finite_rows(frame, metrics)
    figure = go.Figure()
    for rank, (name, part) in enumerate(groups(rows)):
        traced = markers(name, part, rank, metrics, bars=True)
        # Points in space look larger than points on paper.
        traced["marker"] = {**traced["marker"], "size": traced["marker"]["size"] * 0.6}
        figure.add_trace(
            go.Scatter3d(
                x=part[metrics[0]],
                y=part[metrics[1]],
                z=part[metrics[2]],
                hovertemplate=_hover(metrics, "xyz"),
                **traced,
                **_bars(name, part, dict(zip("xyz", metrics, strict=True)), space=True),
            )
        )
    titles = [plot_label(metric) for metric in metrics]
    figure.update_layout(
        template=theme.template("light"),
        scene={
            "camera": {"eye": {"x": 1.6, "y": 1.6, "z": 0.95}, "center": {"z": -0.15}},
            **{
                f"{axis}axis": {"title": {"text": title}, "nticks": 5}
                for axis, title in zip("xyz", titles, strict=True)
            },
        },
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
    )
    return figure


def metric_by_ratio(
    frame: pd.DataFrame, metric: str, curves: Mapping[str, pd.DataFrame] | None = None
) -> go.Figure:
    """A metric of the complete trials against the allocation's ratio, on a log scale.

    Args:
        frame: Trials with `number`, `allocation`, `ratio`, `on_front`, `recommended` and the
            metric.
        metric: Name of the metric.
        curves: Predictions to draw as lines: by name, `allocation`, `ratio` in rising order and
            the metric.
    """
    rows = finite_rows(frame, ["ratio", metric])
    figure = go.Figure()
    for color, (name, curve) in zip(cycle(_CURVES), (curves or {}).items(), strict=False):
        figure.add_trace(
            go.Scatter(
                x=curve["ratio"],
                y=curve[metric],
                customdata=curve[["allocation"]].to_numpy(dtype=object).tolist(),
                mode="lines",
                name=name,
                line={"color": color, "width": 1.5, "dash": "dash"},
                hovertemplate=f"<b>%{{customdata[0]}}</b>, {name}<br>"
                f"{plot_label(metric)}: %{{y:.4g}}<extra></extra>",
                legendrank=1002,
            )
        )
    for rank, (name, part) in enumerate(groups(rows)):
        figure.add_trace(
            go.Scatter(
                x=part["ratio"],
                y=part[metric],
                hovertemplate=_hover(["ratio", metric], "xy"),
                **markers(name, part, rank, [metric]),
                **_bars(name, part, {"y": metric}),
            )
        )
    figure.add_vline(x=1.0, line={"color": theme.MUTED, "width": 1, "dash": "dot"})
    figure.update_layout(
        template=theme.template("light"),
        xaxis={
            "type": "log",
            "title": {"text": "ratio r (1 = uniform)"},
            **ratio_ticks(
                [*rows["ratio"], *(r for c in (curves or {}).values() for r in c["ratio"])]
            ),
        },
        yaxis={"title": {"text": plot_label(metric)}, **_range(rows, metric)},
    )
    return figure


def ratio_ticks(ratios: Sequence[float]) -> dict[str, Any]:
    """Ticks of a log axis at 1, 2 and 5 of each decade; plotly would write 0.5 as a small 5."""
    low, high = min(ratios), max(ratios)
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    # A tick just outside still lies on the axis, which plotly pads.
    shown = [tick for tick in ticks if low / 1.05 <= tick <= high * 1.05]
    return {"tickvals": shown, "ticktext": [f"{tick:g}" for tick in shown]}


def layer_bars(frame: pd.DataFrame, kind: str, numbers: Sequence[int]) -> go.Figure:
    """A metric of every layer, bottom to top, side by side for a few trials.

    Args:
        frame: Trials with `number`, `allocation` and `<kind>_1`, ..., `<kind>_L`; where it has
            `<kind>_lower_1` and so on, a whisker leads from each bar down to it.
        kind: `information` (upper bound, nats), `rate` (nats) or `active_units`.
        numbers: The trials to show, in the order of the bars.
    """
    columns = [name for name in map(str, frame) if re.fullmatch(rf"{kind}_[0-9]+", name)]
    figure = go.Figure()
    rows = frame[frame["number"].isin([*numbers])].set_index("number").to_dict("index")
    for number in numbers:
        row = rows[number]
        known = [name for name in columns if not pd.isna(row[name])]
        figure.add_trace(
            go.Bar(
                name=f"{row['allocation']} (trial {number})",
                x=[f"layer {name.removeprefix(f'{kind}_')}" for name in known],
                y=[float(row[name]) for name in known],
                error_y=_down_to(row, known, kind),
                hovertemplate="%{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
            )
        )
    unit = "" if kind == "active_units" else " (nats)"
    figure.update_layout(
        template=theme.template("light"),
        **theme.GROUPED_BARS,
        yaxis_title_text=f"{kind.replace('_', ' ')}{unit}",
    )
    return figure


def _down_to(row: Mapping[Any, Any], names: Sequence[str], kind: str) -> dict[str, Any] | None:
    """Whiskers from the metrics of these names down to their lower bounds, if there are any."""
    lower = [row.get(name.replace(kind, f"{kind}_lower"), math.nan) for name in names]
    lengths = [max(float(row[name]) - low, 0.0) for name, low in zip(names, lower, strict=True)]
    if all(map(math.isnan, lower)):
        return None
    return {"type": "data", "symmetric": False, "array": [0.0] * len(names), "arrayminus": lengths}


def finite_rows(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The rows in which all these columns have a number."""
    finite = np.isfinite(frame[list(columns)].to_numpy(dtype="float64")).all(axis=1)
    rows: pd.DataFrame = frame.loc[finite]
    return rows


def groups(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The trials that are dominated, on the front, and recommended; empty groups left out."""
    parts = (
        ("dominated", rows[~rows["on_front"]]),
        ("front", rows[rows["on_front"] & ~rows["recommended"]]),
        ("recommended", rows[rows["recommended"]]),
    )
    return [(name, part) for name, part in parts if len(part)]


def markers(
    name: str, part: pd.DataFrame, rank: int, metrics: Sequence[str], *, bars: bool = False
) -> dict[str, Any]:
    """What the marks of one of the groups have in common, as arguments of a trace.

    Args:
        name: The group.
        part: Its rows.
        rank: Its place in the legend.
        metrics: Those whose intervals hovering shows.
        bars: Whether hovering shows the allocation as bars.
    """
    color, size, symbol, opacity = next(rest for label, *rest in _GROUPS if label == name)
    return {
        "name": name,
        "mode": "markers",
        "legendrank": 1000 - rank,
        "customdata": [
            [
                row["allocation"],
                row["number"],
                _intervals(row, metrics) + _certainty(row) + (_split(row) if bars else ""),
            ]
            for row in part[_told(part, metrics)].to_dict("records")
        ],
        "marker": {
            "color": _faded(str(color), part) if name == "front" else color,
            "size": size,
            "symbol": symbol,
            "opacity": opacity,
        },
    }


def _told(part: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """The columns that a mark's text is made of."""
    ends = [f"{metric}_{end}" for metric in metrics for end in ("low", "high", "half_width")]
    names = ["allocation", "number", *metrics, *ends, "trainings", "front_probability"]
    return [name for name in dict.fromkeys(names) if name in part]


def _faded(color: str, members: pd.DataFrame) -> str | list[str]:
    """The colour of members of the front: the more certain, the stronger."""
    if "front_probability" not in members:
        return color
    return [_translucent(color, 0.3 + 0.7 * float(p)) for p in members["front_probability"]]


def _bars(
    name: str, part: pd.DataFrame, axes: Mapping[str, str], *, space: bool = False
) -> dict[str, Any]:
    """The 95 % intervals of each axis's metric, where the frame has them."""
    # In space a translucent bar comes out white, and opaque ones hide the marks.
    if name == "dominated" and (space or len(part) > MOST_BARS):
        return {}
    color = str(next(rest[0] for label, *rest in _GROUPS if label == name))
    shade = 0.25 if name == "dominated" else 0.6
    return {
        f"error_{axis}": {
            **_lengths(part, metric),
            "color": color if space else _translucent(color, shade),
            "thickness": 1,
            "width": 0,
        }
        for axis, metric in axes.items()
        if f"{metric}_half_width" in part
    }


def _lengths(part: pd.DataFrame, metric: str) -> dict[str, Any]:
    """The length of each bar to both sides: none goes where the metric cannot be."""
    low, high = _interval(part, metric)
    return {
        "symmetric": False,
        "array": high - part[metric],
        "arrayminus": part[metric] - low,
    }


def _interval(rows: pd.DataFrame, metric: str) -> tuple[pd.Series, pd.Series]:
    """The ends of the intervals of a metric."""
    values, halves = rows[metric], rows[f"{metric}_half_width"]
    ends = clipped_ends(metric, -math.inf, math.inf)
    least, most = ends[f"{metric}_low"], ends[f"{metric}_high"]
    return (values - halves).clip(lower=least), (values + halves).clip(upper=most)


def _translucent(color: str, opacity: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def _range(rows: pd.DataFrame, metric: str) -> dict[str, Any]:
    """The range of an axis where bars would push the marks together: two of few replicates do."""
    if f"{metric}_half_width" not in rows or rows.empty:
        return {}
    low, high = float(rows[metric].min()), float(rows[metric].max())
    room = (high - low) or float(rows[f"{metric}_half_width"].max()) or 1.0
    least, most = _interval(rows, metric)
    ends = float(least.min()), float(most.max())
    if ends[0] > low - room and ends[1] < high + room:
        return {}
    return {"range": [max(ends[0], low - room), min(ends[1], high + room)]}


def _hover(metrics: Sequence[str], axes: str) -> str:
    lines = [f"{plot_label(m)}: %{{{a}:.4g}}" for m, a in zip(metrics, axes, strict=True)]
    first = "<b>%{customdata[0]}</b> (trial %{customdata[1]})"
    return "<br>".join([first, *lines]) + "%{customdata[2]}<extra></extra>"


def _intervals(row: Mapping[Any, Any], metrics: Sequence[str]) -> str:
    """A line for each of a row's metrics that has a 95 % interval."""
    known = {**row, **{end: x for metric in metrics for end, x in _ends(row, metric).items()}}
    found = [(plot_label(metric), interval_text(metric, known)) for metric in metrics]
    return "".join(f"<br>{label}, 95 %: {text}" for label, text in found if text)


def _ends(row: Mapping[Any, Any], metric: str) -> dict[str, float]:
    """The ends of the interval over trainings, where the row has it."""
    half = row.get(f"{metric}_half_width")
    return {} if half is None else clipped_ends(metric, row[metric] - half, row[metric] + half)


def _certainty(row: Mapping[Any, Any]) -> str:
    """A line with the trainings behind a mark and the probability of its being on the front."""
    if "front_probability" not in row:
        return ""
    return f"<br>n {row['trainings']}, on the front {probability_text(row['front_probability'])}"


def _split(row: Mapping[Any, Any]) -> str:
    """A line for each layer with a bar of its dims, where the allocation is known."""
    if pd.isna(row["allocation"]):
        return ""
    return "".join(f"<br>{line}" for line in allocation_bars(Allocation.parse(row["allocation"])))


def _better(objective: Objective) -> str:
    arrow = "higher" if objective.direction == "maximize" else "lower"
    return f"{plot_label(objective.metric)}, {arrow} is better"


def _add_edge(figure: go.Figure, rows: pd.DataFrame, x: Objective, y: Objective) -> None:
    """The stepped edge of the region that is dominated in two objectives."""
    points = rows[[x.metric, y.metric]].to_numpy(dtype="float64")
    cost = losses(points, (x, y))
    edge = points[non_dominated(cost)]
    edge = edge[np.argsort(losses(edge, (x, y))[:, 0], kind="stable")]
    figure.add_trace(
        go.Scatter(
            x=edge[:, 0],
            y=edge[:, 1],
            mode="lines",
            name="edge",
            # Between two trials the worse y is what was reached.
            line={"shape": "hv", "color": theme.FRONT, "width": 1.5},
            hoverinfo="skip",
            legendrank=1001,
        )
    )
