"""Text in as many forms as there are widths of terminals."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement

# Columns that nothing is as wide as.
UNLIMITED = 10_000


@dataclass(frozen=True)
class Fitting:
    """Shows the first of several forms that the terminal is wide enough for, or else the last.

    Args:
        forms: From the widest to the narrowest.
    """

    forms: tuple[RenderableType, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What rich asks for when it prints."""
        free = options.update(width=UNLIMITED)
        for form in self.forms[:-1]:
            if Measurement.get(console, free, form).maximum <= options.max_width:
                yield form
                return
        yield self.forms[-1]
