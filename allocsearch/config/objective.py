"""An objective: a metric and the direction in which it is better."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from allocsearch.config.errors import shown
from allocsearch.config.names import is_column
from allocsearch.config.section import Section


class Objective(Section):
    """A metric and the direction in which it is better, written `max:auroc` or `min:rate`."""

    metric: str
    direction: Literal["maximize", "minimize"]

    _directions: ClassVar[dict[str, str]] = {"max": "maximize", "min": "minimize"}

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read `max:METRIC` or `min:METRIC`.

        Raises:
            ValueError: If `text` has another form or a control character in it, or `is_column`.
        """
        match = re.fullmatch(r"(max|min):(\S+)", text)
        if not match or not match[2].isprintable():
            raise ValueError(f"found {shown(text)}; allowed: max:METRIC or min:METRIC")
        if is_column(match[2]):
            raise ValueError(
                f"found {shown(text)}; allowed: a metric of another name, as tables of trials "
                f"have a column {match[2]} that is something else"
            )
        direction: Any = cls._directions[match[1]]
        return cls(metric=match[2], direction=direction)

    def __str__(self) -> str:
        return f"{self.direction[:3]}:{self.metric}"
