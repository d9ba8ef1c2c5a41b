"""Whether two resolved study files are of one study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from allocsearch.config import StudyConfig

# What a study can be continued with; all else is part of what the results mean.
CHANGEABLE = frozenset(
    f"study.{key}" for key in ("trials", "replicates", "workers", "retries", "heartbeat")
)
# Machines reach one database by different URLs.
LOCATION = frozenset({"study.storage"})


def first_difference(
    ours: StudyConfig, theirs: StudyConfig, but_for: frozenset[str] = CHANGEABLE
) -> tuple[str, Any, Any] | None:
    """The first key, in order of the alphabet, whose values make two studies different ones.

    Args:
        ours: A study.
        theirs: Another one, or the same.
        but_for: Keys that may differ.

    Returns:
        The key, our value and theirs; None where there is none.
    """
    one, two = dict(_leaves(ours.model_dump())), dict(_leaves(theirs.model_dump()))
    for key in sorted({*one, *two} - but_for):
        if one.get(key) != two.get(key):
            return key, one.get(key), two.get(key)
    return None


def _leaves(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    nested = isinstance(content, tuple) and any(isinstance(each, dict) for each in content)
    if isinstance(content, dict) or nested:
        for key, value in enumerate(content) if nested else content.items():
            yield from _leaves(value, f"{prefix}.{key}".removeprefix("."))
    else:
        yield prefix, content
