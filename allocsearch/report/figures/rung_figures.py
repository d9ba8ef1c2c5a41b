"""Plots of what trials were at rungs against what they became."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from allocsearch.report.figures import theme
from allocsearch.report.figures.plot_text import plot_label
from allocsearch.report.rung_frames import at_rung


def rung_scatter(frame: pd.DataFrame, metric: str) -> go.Figure:
    """A metric at the end of the training against its value at each rung.

    Args:
        frame: That of `rung_frame`: `number`, `allocation`, `rung`, `counts`, the metric at the
            end and at the rung. Marks of trials that do not count are hollow.
        metric: An objective.
    """
    figure = go.Figure()
    for i, (rung, part) in enumerate(frame.groupby("rung", sort=True)):
        symbols = ["circle" if counts else "circle-open" for counts in part["counts"]]
        figure.add_trace(
            go.Scatter(
                x=part[at_rung(metric)],
                y=part[metric],
                customdata=part[["allocation", "number"]].to_numpy(dtype=object).tolist(),
                mode="markers",
                name=f"rung {rung:g}",
                marker={
                    "color": theme.SERIES[i % len(theme.SERIES)],
                    "size": 8,
                    "symbol": symbols,
                },
                hovertemplate="<b>%{customdata[0]}</b> (trial %{customdata[1]})<br>"
                f"rung {rung:g}: %{{x:.4g}}<br>end: %{{y:.4g}}<extra></extra>",
            )
        )
    label = plot_label(metric)
    figure.update_layout(
        template=theme.template("light"),
        showlegend=True,
        xaxis_title_text=f"{label} at the rung",
        yaxis_title_text=f"{label} at the end",
    )
    return figure
