"""The check that what was measured is a number."""

from __future__ import annotations

import math
from collections.abc import Mapping


class NotFiniteError(RuntimeError):
    """A measurement of a model is NaN or infinite."""


def check_finite(measured: Mapping[str, float], where: str = "validation data") -> None:
    """Refuse what is NaN or infinite.

    Args:
        measured: Values by name.
        where: What they were measured on.

    Raises:
        NotFiniteError: With the first such name.
    """
    for name, value in measured.items():
        if not math.isfinite(value):
            raise NotFiniteError(f"{name} is {value} on {where}")
