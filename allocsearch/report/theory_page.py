"""The prediction of a study as one figure: an HTML page that needs nothing else, and a PNG."""

from __future__ import annotations

import math
from itertools import cycle
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from allocsearch.report.figures import theme
from allocsearch.report.figures.allocation_figures import ratio_ticks
from allocsearch.report.labels import metric_label
from allocsearch.search.prediction import LayerCountPrediction, StudyPrediction
from allocsearch.search.storage import write_atomically

PAGE_NAME = "theory.html"
IMAGE_NAME = "theory.png"

_COLORS = (theme.BLUE, theme.GREEN, theme.PURPLE, theme.ORANGE)


def prediction_figure(prediction: StudyPrediction, name: str) -> go.Figure:
    """Spectrum, retention and attenuation along the ratio, and the predicted front.

    Args:
        prediction: What was predicted.
        name: Name of the study.
    """
    figure = make_subplots(
        rows=2,
        cols=2,
        horizontal_spacing=0.11,
        vertical_spacing=0.16,
        subplot_titles=(
            "Spectrum of the data",
            "Predicted front",
            "Retention against ratio",
            "Attenuation against ratio",
        ),
    )
    values = prediction.eigenvalues
    figure.add_scatter(
        x=list(range(1, len(values) + 1)),
        y=list(values),
        mode="lines",
        name="eigenvalues",
        line={"color": theme.MUTED},
        hovertemplate="direction %{x}: %{y:.4g}<extra></extra>",
        showlegend=False,
        row=1,
        col=1,
    )
    figure.add_hline(
        y=prediction.noise,
        line={"color": theme.MUTED, "dash": "dot"},
        annotation={"text": "noise of layer 1", "yref": "y", "y": math.log10(prediction.noise)},
        annotation_position="bottom left",
        row=1,
        col=1,
    )
    for color, count in zip(cycle(_COLORS), prediction.layer_counts, strict=False):
        _add_layer_count(figure, count, color)
    label = {metric: metric_label(metric) for metric in ("retention", "attenuation")}
    figure.update_xaxes(type="log", title_text="direction", dtick="D2", row=1, col=1)
    figure.update_yaxes(type="log", title_text="variance", dtick=1, row=1, col=1)
    figure.update_yaxes(exponentformat="power", row=1, col=1)
    figure.update_xaxes(title_text=label["retention"], row=1, col=2)
    figure.update_yaxes(title_text=label["attenuation"], row=1, col=2)
    ratios = [point.ratio for count in prediction.layer_counts for point in count.curve]
    for column, metric in enumerate(label, 1):
        figure.update_xaxes(
            type="log",
            title_text="ratio r (1 = uniform)",
            **ratio_ticks(ratios),
            row=2,
            col=column,
        )
        figure.update_yaxes(title_text=label[metric], row=2, col=column)
    figure.update_layout(
        template=theme.template("light"),
        title={
            "text": f"{name}: predicted from the data alone, without training",
            "x": 0,
            "xref": "paper",
            "y": 0.98,
            "yanchor": "top",
        },
        paper_bgcolor="#ffffff",
        height=820,
        margin={"l": 70, "r": 24, "t": 130, "b": 60},
        legend={"y": 1.05},
    )
    return figure


def _add_layer_count(figure: go.Figure, count: LayerCountPrediction, color: str) -> None:
    name = f"{count.layers} layers" if count.layers > 1 else "1 layer"
    places = (
        (count.front, "retention", "attenuation", 1, 2, "lines+markers"),
        (count.curve, "ratio", "retention", 2, 1, "lines"),
        (count.curve, "ratio", "attenuation", 2, 2, "lines"),
    )
    best = count.optimum
    for points, x, y, row, column, mode in places:
        shared = {"legendgroup": name, "row": row, "col": column}
        figure.add_scatter(
            x=[getattr(point, x) for point in points],
            y=[getattr(point, y) for point in points],
            customdata=[[point.allocation] for point in points],
            mode=mode,
            name=name,
            marker={"size": 5},
            line={"color": color},
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>{x} %{{x:.3g}}, {y} %{{y:.3g}}"
            "<extra></extra>",
            showlegend=row == 1,
            **shared,
        )
        figure.add_scatter(
            x=[getattr(best, x)],
            y=[getattr(best, y)],
            mode="markers",
            name=f"r* = {best.ratio:.2f} ({best.allocation})",
            marker={"color": theme.KNEE, "size": 12, "symbol": "diamond"},
            hovertemplate=f"<b>{best.allocation}</b>, r* = {best.ratio:.2f}<br>"
            f"{x} %{{x:.3g}}, {y} %{{y:.3g}}<extra></extra>",
            showlegend=row == 1,
            **shared,
        )


def write_prediction_page(prediction: StudyPrediction, name: str, folder: Path) -> Path:
    """Write `theory.html` into a folder, and return its path. It makes no request."""
    path = folder / PAGE_NAME
    figure = prediction_figure(prediction, name)
    write_atomically(path, figure.to_html(include_plotlyjs=True, config={"displaylogo": False}))
    return path


def write_prediction_image(prediction: StudyPrediction, name: str, folder: Path) -> Path:
    """Write `theory.png` into a folder, and return its path.

    Raises:
        RuntimeError: If kaleido, or a browser for it, is missing.
    """
    figure = prediction_figure(prediction, name)
    try:
        image = figure.to_image(format="png", width=1200, height=820)
    # Kaleido and its browser fail in many ways, and not all of their errors have a common base.
    except Exception as error:
        raise RuntimeError(str(error).strip().splitlines()[0]) from error
    path = folder / IMAGE_NAME
    write_atomically(path, image)
    return path
