"""TOML, read in a time that does not run away with what is in it."""

from __future__ import annotations

import tomllib
from typing import Any

_MOST_DOTS = 1_000


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a text.

    Raises:
        RecursionError: If it is nested too deep.
        ValueError: If it is no TOML, a number has too many digits, or a line too many dots.
    """
    # A dotted key takes tomllib the square of its parts.
    if any(line.count(".") > _MOST_DOTS for line in text.split("\n")):
        raise ValueError(f"a line has more than {_MOST_DOTS} dots")
    return tomllib.loads(text)
