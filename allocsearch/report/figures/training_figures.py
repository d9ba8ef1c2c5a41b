"""Plots of the course of trainings."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, product

import pandas as pd
import plotly.graph_objects as go

from allocsearch.report.figures import theme

# Of the epochs: the ELBO of the first ones is so low that all else would look flat.
_START = 0.1
# Marks on a line of more points cannot be told apart.
_MOST_POINTS = 300


def training_curves(frame: pd.DataFrame, phases: Mapping[str, float] | None = None) -> go.Figure:
    """The ELBO of the training batches over the epochs, a line for each training.

    The vertical axis begins where the lines are after a tenth of the epochs.

    Args:
        frame: A row for each epoch of each training: `allocation` (text; its colour), `number` (of
            the trial), `again` (whether it is another training of an allocation that has a line
            already; it is thinner), `epoch`, `elbo` and `validation_elbo` (at the end; missing
            where unknown).
        phases: Words for what changes at an epoch, with the epoch.
    """
    colors: dict[str, str] = {}
    figure = go.Figure()
    for number, rows in frame.groupby("number", sort=False):
        name = str(rows["allocation"].iloc[0])
        color = colors.setdefault(name, theme.SERIES[len(colors) % len(theme.SERIES)])
        _add_training(figure, rows, "elbo", f"{name} (trial {number})", name, color)
    return _finished(figure, frame, phases, "ELBO of training batches (nats)", _range(frame))


def rate_curves(frame: pd.DataFrame, phases: Mapping[str, float] | None = None) -> go.Figure:
    """The rate of each layer on the training batches over the epochs, a line for each training.

    Args:
        frame: A row for each layer, training and epoch: `layer` (its number, from 1; its colour),
            `number` (of the trial), `again` (whether it is another training of the allocation; it
            is thinner), `epoch`, `rate` and `validation_rate` (at the end; missing where unknown).
        phases: Words for what changes at an epoch, with the epoch.
    """
    figure = go.Figure()
    # Beyond the colours, dashes tell the layers apart.
    looks = cycle(product(theme.DASHES, theme.SERIES))
    look_of = dict(zip(frame["layer"].unique(), looks, strict=False))
    for (number, layer), rows in frame.groupby(["number", "layer"], sort=False):
        dash, color = look_of[layer]
        name = f"layer {layer} (trial {number})"
        _add_training(figure, rows, "rate", name, f"layer {layer}", color, dash)
    return _finished(
        figure, frame, phases, "rate of training batches (nats)", {"rangemode": "tozero"}
    )


def _add_training(
    figure: go.Figure,
    rows: pd.DataFrame,
    metric: str,
    name: str,
    group: str,
    color: str,
    dash: str = "solid",
) -> None:
    """A line of a metric over the epochs of a training, and a mark for its validation at the end.

    Args:
        figure: Where they go.
        rows: Of the training.
        metric: Its column; that of the validation is `validation_<metric>`.
        name: In the legend.
        group: What they are shown and hidden with.
        color: Of both.
        dash: Of the line.
    """
    last = rows.iloc[-1]
    shown = rows.iloc[:: -(-len(rows) // _MOST_POINTS)]
    style = {
        "name": name,
        "legendgroup": group,
        "hovertemplate": "epoch %{x}: %{y:.2f} nats<extra>%{fullData.name}</extra>",
    }
    figure.add_trace(
        go.Scatter(
            x=shown["epoch"],
            y=shown[metric],
            mode="lines",
            showlegend=not last["again"],
            opacity=0.6 if last["again"] else 1.0,
            line={"color": color, "width": 1 if last["again"] else 2, "dash": dash},
            **style,
        )
    )
    if not pd.isna(last[f"validation_{metric}"]):
        style["hovertemplate"] = "validation: %{y:.2f} nats<extra>%{fullData.name}</extra>"
        figure.add_trace(
            go.Scatter(
                x=[last["epoch"]],
                y=[last[f"validation_{metric}"]],
                mode="markers",
                showlegend=False,
                marker={"color": color, "symbol": "diamond-open", "size": 9},
                cliponaxis=False,
                **style,
            )
        )


def _finished(
    figure: go.Figure,
    frame: pd.DataFrame,
    phases: Mapping[str, float] | None,
    title: str,
    vertical: Mapping[str, object],
) -> go.Figure:
    """With the phases of the training, and its axes."""
    middle = float(frame["epoch"].max()) / 2
    for text, epoch in (phases or {}).items():
        # Lines rise: there is room above them at first, and below them later.
        early = epoch < middle
        figure.add_vline(
            x=epoch,
            line={"color": theme.MUTED, "width": 1, "dash": "dot"},
            annotation={
                "text": text,
                "textangle": -90,
                "xanchor": "right",
                "yanchor": "top" if early else "bottom",
                "y": 0.98 if early else 0.02,
                "font": {"size": 11, "color": theme.MUTED},
                "showarrow": False,
            },
        )
    return figure.update_layout(
        template=theme.template("light"),
        showlegend=True,
        xaxis={"title": {"text": "epoch"}},
        yaxis={"title": {"text": title}, **vertical},
    )


def _range(frame: pd.DataFrame) -> dict[str, object]:
    late = frame[frame["epoch"] >= 1 + _START * frame["epoch"].max()]
    values = pd.concat([late["elbo"], frame["validation_elbo"].dropna()])
    if values.empty:
        return {}
    low, high = float(values.min()), float(values.max())
    room = 0.06 * ((high - low) or 1.0)
    return {"range": [low - room, high + room]}
