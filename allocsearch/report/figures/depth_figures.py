"""The picture of what each layer of a trial holds as a figure, for images outside of the page."""

from __future__ import annotations

import plotly.graph_objects as go

from allocsearch.report.figures import theme
from allocsearch.report.panels.depth_pictures import DepthPicture
from allocsearch.report.panels.panel import Panel


def depth_panel(picture: DepthPicture) -> Panel:
    """The picture with its rows named, and its numbers as a table."""
    return Panel(
        "reconstructions",
        picture.title,
        "",
        picture.description,
        depth_figure(picture),
        picture.data,
    )


def depth_figure(picture: DepthPicture) -> go.Figure:
    """The picture, pixel by pixel, with the name of each row beside it."""
    _, height = picture.size
    row = height / len(picture.rows)
    # A pixel's coordinates are those of its middle.
    middles = [(i + 0.5) * row - 0.5 for i in range(len(picture.rows))]
    bare = {
        "ticks": "",
        "showline": False,
        "showgrid": False,
        "zeroline": False,
        "constrain": "domain",
    }
    figure = go.Figure(go.Image(source=picture.source))
    figure.update_layout(
        template=theme.template("light"),
        xaxis={**bare, "showticklabels": False},
        yaxis={**bare, "tickvals": middles, "ticktext": picture.rows},
        margin={"b": 16},
    )
    return figure
