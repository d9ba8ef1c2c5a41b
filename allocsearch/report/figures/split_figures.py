"""Plots of metrics over the allocations themselves: the simplex of three layers, axes of more."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from allocsearch.config import Objective
from allocsearch.report.figures import theme
from allocsearch.report.figures.allocation_figures import finite_rows, groups, markers
from allocsearch.report.figures.plot_text import plot_label

# Marks of the trials that are not on the front, on it, and recommended. Without an outline the
# dark end of the colours would vanish on a dark page.
_OUTLINES = {
    "dominated": (9, "circle", 1, theme.MUTED),
    "front": (12, "circle", 2, theme.KNEE),
    "recommended": (15, "diamond", 2, theme.KNEE),
}
# Below the triangle, where no label of a corner is.
_BELOW = {
    "orientation": "h",
    "yref": "container",
    "y": 0,
    "yanchor": "bottom",
    "len": 0.9,
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
        size, symbol, outline, color = _OUTLINES[name]
        traced = markers(name, part, rank, [metric])
        traced["marker"] = {
            "color": part[metric],
            "coloraxis": "coloraxis",
            "size": size,
            "symbol": symbol,
            "line": {"width": outline, "color": color},
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
    ticks = {"tickvals": _inner_ticks(budget)}
    figure.update_layout(
        template=theme.template("light"),
        # A mark in a legend would have no colour.
        showlegend=False,
        coloraxis=_colors(metric, rows[metric], _BELOW),
        ternary={
            "sum": budget,
            "aaxis": {"title": {"text": "layer 3"}, **ticks},
            "baxis": {"title": {"text": "layer 1"}, **ticks},
            "caxis": {"title": {"text": "layer 2"}, **ticks},
        },
        margin={"l": 40, "r": 40, "t": 32, "b": 104},
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
    columns = [*_layers(frame), *names]
    axes = [
        # The ends of an axis are told with all digits otherwise.
        {"label": label, "values": rows[name].fillna(0), "tickformat": ".4~g"}
        for label, name in zip(_axis_labels(frame, objectives), columns, strict=True)
    ]
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


def _inner_ticks(budget: int) -> list[int]:
    """Multiples of 1, 2 or 5 times a power of 10; not 0, which would be in a corner's label."""
    scale = 10 ** math.floor(math.log10(budget))
    steps = (scale // 5, scale // 2, scale, 2 * scale)
    step = next((step for step in steps if step and budget / step <= 6), 1)
    return [*range(step, budget, step)]


def parallel_width(frame: pd.DataFrame, objectives: tuple[Objective, ...]) -> int:
    """The width in em at which the labels of `parallel_splits` stay apart.

    Args:
        frame: As there.
        objectives: As there.
    """
    labels = _axis_labels(frame, objectives)
    # Half an em for a letter, and one between two labels.
    return (len(labels) + 1) * (max(map(len, labels)) // 2 + 1)


def _axis_labels(frame: pd.DataFrame, objectives: tuple[Objective, ...]) -> list[str]:
    layers = [f"layer {name[2:]}" for name in _layers(frame)]
    return [*layers, *(plot_label(objective.metric) for objective in objectives)]


def _layers(frame: pd.DataFrame) -> list[str]:
    return [name for name in map(str, frame) if re.fullmatch(r"d_[0-9]+", name)]


def _colors(
    metric: str, values: pd.Series, place: Mapping[str, object] | None = None
) -> dict[str, object]:
    # Left alone, plotly widens the range by 1 for a group of marks that all have one value.
    ends = {"cmin": float(values.min()), "cmax": float(values.max())}
    return {
        **(ends if values.nunique() > 1 else {}),
        "colorscale": "Viridis",
        "colorbar": {
            "title": {"text": plot_label(metric), "side": "bottom" if place else "right"},
            "thickness": 12,
            "outlinewidth": 0,
            **(place or {}),
        },
    }
