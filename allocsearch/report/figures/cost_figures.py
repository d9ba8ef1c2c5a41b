"""Plots of what a search reached against what it cost."""

from __future__ import annotations

from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from allocsearch.report.figures import theme
from allocsearch.report.figures.plot_text import plot_label
from allocsearch.report.labels import format_duration
from allocsearch.search.sampling.front_probability import Volume

# The largest unit of which there is more than one and a half.
_UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


def course_curve(
    frame: pd.DataFrame,
    cost: Literal["seconds", "trials"],
    *,
    metric: str | None = None,
    volume: Volume | None = None,
    recommended: int | None = None,
) -> go.Figure:
    """What had been reached after each trial, as a stepped line over its cost.

    Args:
        frame: That of `course_frame`.
        cost: What the horizontal axis is: durations summed, or the number of trials.
        metric: The objective whose best mean is drawn; without it the hypervolume is.
        volume: The last hypervolume, whose interval is drawn where it is known.
        recommended: The number of the trial that gets a mark: the first complete one of the
            recommended allocation, of which the frame has to have a row.
    """
    column = "hypervolume" if metric is None else "best"
    rows = frame.dropna(subset=[column, cost])
    unit, scale = _unit(float(rows["seconds"].max())) if cost == "seconds" else ("", 1.0)
    x = rows[cost] / scale
    what = "hypervolume" if metric is None else plot_label(metric)
    told = [
        [count, format_duration(seconds), allocation]
        for count, seconds, allocation in rows[["trials", "seconds", "allocation"]].itertuples(
            index=False
        )
    ]
    hover = (
        f"{what} %{{y:.4g}}<br>after %{{customdata[0]}} trials, %{{customdata[1]}}"
        "<br>last ended: %{customdata[2]}<extra></extra>"
    )
    figure = go.Figure(
        go.Scatter(
            x=x,
            y=rows[column],
            customdata=told,
            mode="lines",
            name=what,
            line={"shape": "hv", "color": theme.FRONT, "width": 2},
            hovertemplate=hover,
        )
    )
    known = volume is not None and volume.low is not None
    if volume is not None and known and metric is None:
        figure.add_trace(
            go.Scatter(
                x=[x.iloc[-1]] * 3,
                y=[volume.low, volume.value, volume.high],
                mode="lines+markers",
                name="95 % interval of the last",
                line={"color": theme.FRONT, "width": 1.5},
                marker={"symbol": ["line-ew-open", "circle", "line-ew-open"], "size": 9},
                hovertemplate="%{y:.4g}<extra>95 % interval</extra>",
            )
        )
    for i in rows.index[rows["number"] == recommended]:
        allocation = rows["allocation"][i] or f"trial {recommended}"
        figure.add_trace(
            go.Scatter(
                x=[x[i]],
                y=[rows[column][i]],
                mode="markers",
                name=f"{allocation} first trained",
                marker={"color": theme.KNEE, "size": 11, "symbol": "diamond"},
                hovertemplate=f"<b>{allocation}</b>, recommended<extra></extra>",
            )
        )
    title = f"training time of all trials ({unit})" if cost == "seconds" else "trials ended"
    figure.update_layout(
        template=theme.template("light"),
        showlegend=True,
        xaxis={"title": {"text": title}, "rangemode": "tozero"},
        yaxis={
            "title": {"text": what},
            **({"rangemode": "tozero"} if metric is None else {}),
        },
    )
    return figure


def _unit(seconds: float) -> tuple[str, float]:
    """The unit that tells a time best, and its seconds."""
    return next((entry for entry in _UNITS if seconds > 1.5 * entry[1]), _UNITS[-1])
