"""Files of older schema versions, brought to the present one step by step.

A file states its version as `schema_version`; one without it is of the first. The steps of a kind
of file are pure functions: the first turns the content of version 1 into that of version 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from allocsearch.config.errors import InputError, shown
from allocsearch.config.files import read_file

KEY = "schema_version"

Content = dict[str, Any]
Step = Callable[[Content], Content]


def _export_2(content: Content) -> Content:
    """Version 2 tells by which pick an allocation was chosen; of an older file nobody knows."""
    return content


STUDY: tuple[Step, ...] = ()
EXPORT: tuple[Step, ...] = (_export_2,)
DETECTOR: tuple[Step, ...] = ()
EVALUATION: tuple[Step, ...] = ()
OPENING: tuple[Step, ...] = ()
PREDICTION: tuple[Step, ...] = ()


def migrated(content: Content, steps: Sequence[Step]) -> Content:
    """The content in the present version, which it states.

    Args:
        content: Of a file of any version so far; it is not changed.
        steps: Those of its kind of file.

    Raises:
        InputError: If the version is newer than this program, or none at all.
    """
    newest = len(steps) + 1
    version = content.get(KEY, 1)
    if type(version) is not int or version < 1:
        allowed = "1" if newest == 1 else f"1 to {newest}"
        raise InputError(f"{KEY}: found {shown(version)}; allowed: {allowed}")
    if version > newest:
        raise InputError(
            f"{KEY}: found {shown(version)}, and this allocsearch reads up to {newest}; upgrade: "
            "pip install --upgrade allocsearch"
        )
    for step in steps[version - 1 :]:
        content = step(content)
    return {KEY: newest, **{key: value for key, value in content.items() if key != KEY}}


def read_migrated(
    path: Path, steps: Sequence[Step], endings: Sequence[str] | None = None
) -> Content:
    """The content of a TOML, YAML or JSON file in the present version.

    Args:
        path: The file.
        steps: Those of its kind of file.
        endings: Those that are allowed; None for all that `read_file` knows.

    Raises:
        InputError: As `migrated` and `read_file`; the message begins with the path.
    """
    content = read_file(path) if endings is None else read_file(path, endings)
    try:
        return migrated(content, steps)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def migrated_json(data: bytes, steps: Sequence[Step]) -> Any:  # noqa: ANN401
    """The content of a JSON file in the present version; what holds no keys stays as it is.

    Raises:
        InputError: As `migrated`.
        ValueError: If it is no JSON.
    """
    content = from_json(data)
    return migrated(content, steps) if isinstance(content, dict) else content
