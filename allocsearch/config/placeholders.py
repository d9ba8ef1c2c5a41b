"""Placeholders in the arguments of a command: `{name}`, and `{{name}}` for the text itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Braces with anything else in them, as those of JSON, are text.
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")


def placeholders(text: str) -> list[str]:
    """The names of the placeholders in a text, in order."""
    return [match[2] for match in _PLACEHOLDER.finditer(text) if match[2]]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with values in place of its placeholders.

    Raises:
        KeyError: If there is no value for one of them.
    """
    return _PLACEHOLDER.sub(lambda m: values[m[2]] if m[2] else f"{{{m[1]}}}", text)
