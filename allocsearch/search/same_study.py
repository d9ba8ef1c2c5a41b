"""Whether two resolved study files are of one study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from allocsearch.config import InputError, StudyConfig

# What a study can be continued with; all else is part of what the results mean.
CHANGEABLE = frozenset(
    (
        "study.trials",
        "study.replicates",
        "study.workers",
        "study.executor",
        "study.retries",
        "study.heartbeat",
        "ray.address",
        "ray.num_cpus",
        "ray.num_gpus",
        "tracking.tensorboard",
        "tracking.mlflow",
    )
)
# Machines reach one database, or one folder of artifacts, by different names.
LOCATION = frozenset({"study.storage", "study.artifacts"})


def check_same(
    ours: StudyConfig,
    theirs: StudyConfig,
    *,
    has: str,
    choose: str,
    but_for: frozenset[str] = CHANGEABLE,
) -> None:
    """Refuse a study that is not the one that is there already.

    Args:
        ours: The study that is to be gone on with.
        theirs: The one that is there.
        has: Where that is, as the beginning of a sentence on what it has.
        choose: What to do about it.
        but_for: Keys that may differ.

    Raises:
        InputError: With the first key, in order of the alphabet, whose values differ.
    """
    one, two = dict(_leaves(ours.model_dump())), dict(_leaves(theirs.model_dump()))
    for key in sorted({*one, *two} - but_for):
        if one.get(key) != two.get(key):
            raise InputError(f"{has} {key} = {two.get(key)!r}, not {one.get(key)!r}; {choose}")


def _leaves(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    nested = isinstance(content, tuple) and any(isinstance(each, dict) for each in content)
    if isinstance(content, dict) or nested:
        for key, value in enumerate(content) if nested else content.items():
            yield from _leaves(value, f"{prefix}.{key}".removeprefix("."))
    else:
        yield prefix, content
