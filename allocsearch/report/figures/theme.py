"""The colours and plotly templates of figures, for light and dark pages."""

from __future__ import annotations

from typing import Literal

import plotly.graph_objects as go

Scheme = Literal["light", "dark"]

# Okabe and Ito (2008), "Color Universal Design": told apart with any colour vision. Black is left
# out, for it would vanish on a dark page, and yellow, which would on a light one.
BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
ORANGE = "#E69F00"
# Half grey: muted on white as on black.
MUTED = "#8A9099"

FRONT = "#2E8BC9"
KNEE = VERMILLION
DOMINATED = MUTED

SERIES = (VERMILLION, SKY, GREEN, PURPLE, ORANGE, BLUE)
DASHES = ("solid", "dash", "dot", "dashdot")

# Layout of bars side by side; a legend names even a single one of them.
GROUPED_BARS = {"barmode": "group", "bargap": 0.25, "bargroupgap": 0.08, "showlegend": True}

# Under figures that stand alone: the ink of the light template needs it.
PAPER = "#ffffff"

_INK = {"light": "#1b1f24", "dark": "#e6e8ea"}
_GRID = {"light": "#e3e7eb", "dark": "#2c3238"}
_LINE = {"light": "#aab2ba", "dark": "#59626b"}
_PAPER = {"light": PAPER, "dark": "#14171a"}


def template(scheme: Scheme) -> go.layout.Template:
    """The plotly template of a colour scheme; the background is that of the page."""
    axis = {
        "gridcolor": _GRID[scheme],
        "linecolor": _LINE[scheme],
        "zerolinecolor": _GRID[scheme],
        "ticks": "outside",
        "tickcolor": _LINE[scheme],
        "showline": True,
        "automargin": True,
        "title": {"standoff": 8},
    }
    scene_axis = {
        "gridcolor": _LINE[scheme],
        "linecolor": _LINE[scheme],
        "zerolinecolor": _LINE[scheme],
        "showbackground": False,
    }
    ternary_axis = {"gridcolor": _GRID[scheme], "linecolor": _LINE[scheme], "ticks": "outside"}
    return go.layout.Template(
        layout={
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": _INK[scheme]},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(SERIES),
            "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "hoverlabel": {
                "bgcolor": _PAPER[scheme],
                "bordercolor": _LINE[scheme],
                "font": {"color": _INK[scheme]},
                "align": "left",
            },
            "xaxis": axis,
            "yaxis": axis,
            "ternary": {
                "bgcolor": "rgba(0,0,0,0)",
                **dict.fromkeys(("aaxis", "baxis", "caxis"), ternary_axis),
            },
            "scene": {"xaxis": scene_axis, "yaxis": scene_axis, "zaxis": scene_axis},
        }
    )
