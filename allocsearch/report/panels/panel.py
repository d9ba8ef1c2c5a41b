"""A figure of the page, with its words."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go


@dataclass(frozen=True)
class Grid:
    """A small table of texts under a figure."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Panel:
    """A figure of the page.

    Attributes:
        section: The section of the page that it is in, by its id.
        title: Its heading.
        caption: How to read it.
        description: What it shows, for those who cannot see it.
        figure: The plot.
        data: The numbers as a table, where no other table of the page has them.
        wide: Whether it takes the whole width of the page.
        least_width: What it needs to be legible, in em; on a narrower page it scrolls.
        warnings: What the numbers warn of, one sentence or more each.
        frame: What it is drawn from, where that is a table.
    """

    section: str
    title: str
    caption: str
    description: str
    figure: go.Figure
    data: Grid | None = None
    wide: bool = False
    least_width: int = 0
    warnings: tuple[str, ...] = ()
    frame: pd.DataFrame | None = None

    @property
    def name(self) -> str:
        """A name for files: section and title, in small letters, digits and dashes."""
        name = re.sub(r"[^a-z0-9]+", "-", f"{self.section} {self.title}".lower())
        # Names of metrics come from trainers, and those of files have an end.
        return name[:100].strip("-")
