"""Plots of OOD scores: each takes a data frame, returns a figure, and never shows it."""

from __future__ import annotations

from itertools import cycle, product

import pandas as pd
import plotly.graph_objects as go

from allocsearch.config import HELD_OUT
from allocsearch.report.figures import theme
from allocsearch.report.figures.plot_text import plain


def roc_curves(frame: pd.DataFrame) -> go.Figure:
    """ROC curves, with the diagonal that guessing gives.

    Args:
        frame: The points of all curves, each from (0, 0) to (1, 1), with `curve`, the name in the
            legend, `false_positive_rate` and `true_positive_rate`.
    """
    figure = go.Figure(
        go.Scatter(
            x=[0, 1],
            y=[0, 1],
            mode="lines",
            line={"color": theme.MUTED, "width": 1, "dash": "dot"},
            showlegend=False,
            hoverinfo="skip",
        )
    )
    # Beyond the colours, dashes tell the curves apart.
    looks = cycle(product(theme.DASHES, theme.SERIES))
    for (dash, color), (name, points) in zip(
        looks, frame.groupby("curve", sort=False), strict=False
    ):
        figure.add_trace(
            go.Scatter(
                x=points["false_positive_rate"].round(5).tolist(),
                y=points["true_positive_rate"].round(5).tolist(),
                mode="lines",
                name=plain(str(name)),
                line={"color": color, "width": 2, "dash": dash},
                hovertemplate="FPR %{x:.3f}, TPR %{y:.3f}<extra>%{fullData.name}</extra>",
            )
        )
    rate = {"range": [-0.01, 1.01], "zeroline": False}
    figure.update_layout(
        template=theme.template("light"),
        showlegend=True,
        xaxis={"title": {"text": "false-positive rate"}, **rate},
        yaxis={"title": {"text": "true-positive rate"}, **rate},
    )
    return figure


def score_histograms(frame: pd.DataFrame, score: str, id_name: str) -> go.Figure:
    """Histograms of a score, of the ID examples as an area and of each OOD set as a line.

    Args:
        frame: The bins, with `set` (`validation` is that of the ID examples), `low` and `high`,
            which the sets have in common, and `share`, that of the set's examples in the bin.
        score: Its name; larger is more OOD.
        id_name: What the legend calls the ID examples.
    """
    figure = go.Figure()
    colors = cycle(theme.SERIES)
    for name, bins in frame.groupby("set", sort=False):
        is_id = name == HELD_OUT
        color = theme.MUTED if is_id else next(colors)
        shares = bins["share"].round(6).tolist()
        figure.add_trace(
            go.Scatter(
                # A step for each bin, and the end of the last one.
                x=[*bins["low"], bins["high"].iloc[-1]],
                y=[*shares, shares[-1]],
                mode="lines",
                name=id_name if is_id else plain(str(name)),
                line={"color": color, "width": 1 if is_id else 2, "shape": "hv"},
                fill="tozeroy" if is_id else None,
                hovertemplate="%{y:.1%} at %{x:.4g}<extra>%{fullData.name}</extra>",
            )
        )
    figure.update_layout(
        template=theme.template("light"),
        showlegend=True,
        xaxis={"title": {"text": plain(score)}, "zeroline": False},
        yaxis={"title": {"text": "share of examples"}, "tickformat": ".0%", "rangemode": "tozero"},
    )
    return figure
