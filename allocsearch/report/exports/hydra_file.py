"""An exported allocation as an option of a Hydra config group."""

from __future__ import annotations

from collections.abc import Iterator

from allocsearch.config import InputError, shown
from allocsearch.report.exports.export import ExportedAllocation

# Hydra finds an option by its folder, which is in the folder of all configs.
GROUP = "allocation"


def hydra_text(exported: ExportedAllocation) -> str:
    """The YAML of the export, in the package `allocation`; `allocsearch train` reads it, too.

    Raises:
        InputError: If a text in it would be an interpolation for Hydra.
    """
    for key, text in _texts(exported.model_dump(mode="json", exclude_none=True)):
        if "${" in text:
            raise InputError(
                f"--format hydra: {key} is {shown(text)}; allowed: texts without ${{, which "
                "Hydra takes for the beginning of an interpolation"
            )
    return f"# @package {GROUP}\n{exported.to_yaml()}"


def _texts(content: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of nested content with its dotted key."""
    if isinstance(content, str):
        yield key, content
    elif isinstance(content, dict | list):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for name, value in items:
            yield from _texts(value, f"{key}.{name}".removeprefix("."))
