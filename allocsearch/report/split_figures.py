"""Plots of metrics over the allocations themselves: the simplex of three layers, axes of more."""

from __future__ import annotations

import re

import pandas as pd
import plotly.graph_objects as go

from allocsearch.config import Objective
from allocsearch.report import theme
from allocsearch.report.figures import finite_rows, groups, markers
from allocsearch.report.plot_text import plot_label

# Marks of the trials that are not on the front, on it, and recommended.
_OUTLINES = {
    "dominated": (9, "circle", 0),
    "front": (12, "circle", 2),
    "recommended": (15, "diamond", 2),
}


def ternary_map(frame: pd.DataFrame, metric: str) -> go.Figure:
    """A metric of the complete trials, as a colour, over the simplex of three layers.

    The corners are allocations that give everything to one layer.

    Args:
        frame: Trials with `number`, `allocation`, `d_1`, `d_2`, `d_3`, `on_front`, `recommended`
            and the metric.
        metric: Name of the metric.
    """
    rows = finite_rows(frame, ["d_1", "d_2", "d_3", metric])
    figure = go.Figure()
    for rank, (name, part) in enumerate(groups(rows)):
        size, symbol, outline = _OUTLINES[name]
        traced = markers(name, part, rank, [metric])
        traced["marker"] = {
            "color": part[metric],
            "coloraxis": "coloraxis",
            "size": size,
            "symbol": symbol,
            "line": {"width": outline, "color": theme.KNEE},
        }
        figure.add_trace(
            go.Scatterternary(
                a=part["d_3"],
                b=part["d_1"],
                c=part["d_2"],
                hovertemplate="<b>%{customdata[0]}</b> (trial %{customdata[1]})<br>"
                f"{plot_label(metric)}: %{{marker.color:.4g}}%{{customdata[2]}}<extra></extra>",
                **traced,
            )
        )
    budget = int(rows[["d_1", "d_2", "d_3"]].sum(axis=1).max()) if len(rows) else 1
    figure.update_layout(
        template=theme.template("light"),
        # A mark in a legend would have no colour.
        showlegend=False,
        coloraxis=_colors(metric, rows[metric]),
        ternary={
            "sum": budget,
            "aaxis": {"title": {"text": "layer 3"}},
            "baxis": {"title": {"text": "layer 1"}},
            "caxis": {"title": {"text": "layer 2"}},
        },
        margin={"l": 48, "r": 16, "t": 32, "b": 40},
    )
    return figure


def parallel_splits(
    frame: pd.DataFrame, objectives: tuple[Objective, ...], metric: str
) -> go.Figure:
    """The complete trials as lines over the dims of their layers and their objectives.

    A layer that an allocation lacks has 0 dims.

    Args:
        frame: Trials with `d_1`, ..., `d_L` and the metrics.
        objectives: Those that get an axis.
        metric: Name of the metric that gives the colour.
    """
    names = [objective.metric for objective in objectives]
    rows = finite_rows(frame, ["d_1", *dict.fromkeys([*names, metric])])
    layers = [name for name in map(str, frame) if re.fullmatch(r"d_[0-9]+", name)]
    axes = [{"label": f"layer {name[2:]}", "values": rows[name].fillna(0)} for name in layers]
    axes += [{"label": plot_label(name), "values": rows[name]} for name in names]
    figure = go.Figure(
        go.Parcoords(
            dimensions=axes,
            line={"color": rows[metric], "coloraxis": "coloraxis"},
            labelangle=0,
        )
    )
    figure.update_layout(
        template=theme.template("light"),
        coloraxis=_colors(metric, rows[metric]),
        margin={"l": 64, "r": 16, "t": 64, "b": 24},
    )
    return figure


def _colors(metric: str, values: pd.Series) -> dict[str, object]:
    # Left alone, plotly widens the range by 1 for a group of marks that all have one value.
    ends = {"cmin": float(values.min()), "cmax": float(values.max())}
    return {
        **(ends if values.nunique() > 1 else {}),
        "colorscale": "Viridis",
        "colorbar": {"title": {"text": plot_label(metric), "side": "right"}, "thickness": 12},
    }
