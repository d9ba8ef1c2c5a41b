"""Plots of how the OOD validation sets of a study rank its allocations."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from allocsearch.report.agreement import Agreement
from allocsearch.report.figures import theme
from allocsearch.report.proxy_text import tau_text
from allocsearch.report.thinning import MOST

# Clear in the middle, so that it is that of the page, light or dark.
_DIVERGING = (
    (0.0, "rgba(213, 94, 0, 0.75)"),
    (0.5, "rgba(138, 144, 153, 0)"),
    (1.0, "rgba(0, 114, 178, 0.75)"),
)


def tau_matrix(frame: pd.DataFrame) -> go.Figure:
    """Kendall's tau of every pair of OOD validation sets, as a matrix of coloured cells.

    Args:
        frame: That of `tau_frame`: `set`, `other`, `tau`, `low` and `high`, a row for each pair.
    """
    names = [*dict.fromkeys([*frame["set"], *frame["other"]])]
    pairs = [
        ((one, other), None if math.isnan(tau) else Agreement(tau, low, high, 0))
        for one, other, tau, low, high in frame[["set", "other", "tau", "low", "high"]].itertuples(
            index=False
        )
    ]
    found = {**dict(pairs), **{(other, one): value for (one, other), value in pairs}}
    cells = [[found.get((row, column)) for column in names] for row in names]
    figure = go.Figure(
        go.Heatmap(
            x=names,
            y=names,
            z=[[math.nan if cell is None else cell.tau for cell in row] for row in cells],
            customdata=[[tau_text(cell) for cell in row] for row in cells],
            zmin=-1,
            zmax=1,
            colorscale=[list(stop) for stop in _DIVERGING],
            colorbar={"title": {"text": "tau"}, "thickness": 12, "outlinewidth": 0},
            xgap=2,
            ygap=2,
            hoverongaps=False,
            hovertemplate="%{x}, %{y}<br>tau %{customdata}<extra></extra>",
        )
    )
    # Annotations take the colour of the page's text; a heatmap's own texts guess one.
    for row, values in zip(names, cells, strict=True):
        for column, cell in zip(names, values, strict=True):
            if row != column:
                text = "–" if cell is None else f"{cell.tau:.2f}"  # noqa: RUF001
                figure.add_annotation(x=column, y=row, text=text, showarrow=False)
    axis = {"type": "category", "showgrid": False, "ticks": ""}
    figure.update_layout(
        template=theme.template("light"),
        xaxis=axis,
        yaxis={**axis, "autorange": "reversed"},
    )
    return figure


def auroc_strips(frame: pd.DataFrame) -> go.Figure:
    """The AUROC of every allocation on each OOD validation set, one row of marks for each.

    Of more than 1,000 allocations only those have a mark that lie far from the others.

    Args:
        frame: That of `auroc_frame`: `set`, `allocation` (text) and `auroc`.
    """
    figure = go.Figure()
    for name, rows in frame.groupby("set", sort=False):
        figure.add_trace(
            go.Box(
                x=rows["auroc"].tolist(),
                y=[name] * len(rows),
                orientation="h",
                name=name,
                boxpoints="all" if len(rows) <= MOST else "outliers",
                # The marks are what counts; their box shows the median and the quartiles.
                pointpos=0,
                jitter=0.35,
                marker={"color": theme.FRONT, "size": 6, "opacity": 0.75},
                line={"color": theme.MUTED, "width": 1.5},
                fillcolor="rgba(0, 0, 0, 0)",
                customdata=rows["allocation"].tolist(),
                hoveron="points",
                hovertemplate="<b>%{customdata}</b><br>%{y}: AUROC %{x:.4g}<extra></extra>",
                showlegend=False,
            )
        )
    figure.add_vline(x=0.5, line={"color": theme.MUTED, "width": 1, "dash": "dot"})
    figure.update_layout(
        template=theme.template("light"),
        xaxis_title_text="AUROC (0.5 = chance)",
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False},
    )
    return figure
