"""Plots of which parameters decide."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from allocsearch.report.figures import theme
from allocsearch.report.figures.plot_text import plot_label


def importance_bars(frame: pd.DataFrame) -> go.Figure:
    """The share of each parameter in the importance for each objective, side by side.

    Args:
        frame: A row for each parameter: `parameter`, its name, and the share of each metric in a
            column of the metric's name. A dotted line is where all shares would be equal.
    """
    figure = go.Figure()
    for metric in [name for name in map(str, frame) if name != "parameter"]:
        figure.add_trace(
            go.Bar(
                name=plot_label(metric),
                x=frame["parameter"],
                y=frame[metric],
                hovertemplate="%{x}: %{y:.2f}<extra>%{fullData.name}</extra>",
            )
        )
    figure.add_hline(y=1 / len(frame), line={"color": theme.MUTED, "width": 1, "dash": "dot"})
    figure.update_layout(
        template=theme.template("light"),
        **theme.GROUPED_BARS,
        yaxis={"title": {"text": "share of the importance"}, "rangemode": "tozero"},
    )
    return figure
