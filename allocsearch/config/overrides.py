"""Overrides: single fields that the command line changes."""

from __future__ import annotations

from typing import Any

from allocsearch.config.errors import InputError
from allocsearch.config.toml_text import parse_toml


def override(content: dict[str, Any], text: str) -> None:
    """Set one `section.key=value` in place."""
    name, equals, value = text.partition("=")
    *sections, key = name.strip().split(".")
    if not equals or not sections or not all((*sections, key)):
        raise InputError(f"--set {text}: allowed: section.key=value")
    try:
        table = parse_toml(f"value = {value}")
    except (RecursionError, ValueError):
        table = {}
    # More than one key: the text went on after the value.
    parsed = table["value"] if len(table) == 1 else value.strip()
    target = content
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise InputError(f"--set {text}: {section} is not a section")
    target[key] = parsed
