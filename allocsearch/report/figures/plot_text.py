"""Text in plots, which plotly would read as markup and as templates."""

from __future__ import annotations

import html

from allocsearch.report.labels import metric_label


def plot_label(metric: str) -> str:
    """`metric_label` as plotly shows it: a foreign trainer can give its metrics any name."""
    return plain(metric_label(metric))


def plain(text: str) -> str:
    """What plotly shows as the text itself, whatever tags and `%{...}` are in it."""
    return html.escape(text, quote=False).replace("%{", "%&#123;")
