"""What pydantic found wrong, in the words of the file."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from allocsearch.config.errors import hint, shown, suggestion
from allocsearch.config.section import Section


def first_mistake(error: ValidationError, model: type[Section]) -> tuple[str, str]:
    """The dotted key and the message, one line each, of the first thing that is wrong.

    Args:
        error: What was raised by the validation of `model`.
        model: What the whole content was read as; the allowed keys are looked up in it.
    """
    # An unknown key is named first: it is often the cause of a missing one.
    details = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = details[0]
    where, section = _place(model, [str(part) for part in first["loc"]])
    context = first.get("ctx", {})
    if first["type"] == "mistake":
        where += [context["key"]]
        message = context["message"]
    elif first["type"] == "extra_forbidden":
        allowed = _keys(section)
        section_path = "".join(f"{part}." for part in where[:-1])
        asked = hint(where[-1], allowed, section_path)
        message = f"unknown key.{asked} Allowed: {', '.join(allowed)}."
    elif first["type"] == "missing":
        message = "missing; it has no default"
    elif first["type"] == "value_error":
        message = str(context["error"])
    elif first["type"] == "literal_error":
        choices = re.split(", | or ", context["expected"].replace("'", ""))
        found = shown(first["input"])
        message = suggestion(found.strip("'"), choices, f"found {found}")
    elif first["type"] == "model_type":
        keys = ", ".join(_keys(section))
        message = f"found {shown(first['input'])}; allowed: a section with {keys}"
    else:
        rule = first["msg"][0].lower() + first["msg"][1:]
        # A list of the file is a tuple here.
        message = f"found {shown(first['input'])}; {rule.replace('tuple', 'list')}"
    more = f" ({len(details) - 1} more)" if len(details) > 1 else ""
    return ".".join(where), " ".join(f"{message}{more}".split())


@dataclass(frozen=True)
class Problem:
    """What is wrong with stored content, as text: `key: found 3; rule`.

    Attributes:
        key: Where it is, dotted; "" for the content as a whole.
        text: What was found there, and the rule.
    """

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text


def first_problem(error: ValueError) -> Problem:
    """The first thing that is wrong with stored content, which no user has written.

    Args:
        error: What was raised when it was read; one that is not of pydantic speaks for itself.
    """
    if not isinstance(error, ValidationError):
        return Problem("", str(error))
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return Problem("", first["msg"])
    rule = first.get("ctx", {}).get("error", first["msg"])
    key = ".".join(map(str, first["loc"]))
    return Problem(key, f"found {shown(first['input'])}; {str(rule)[:200]}")


def _place(model: type[Section], location: Sequence[str]) -> tuple[list[str], type[Section]]:
    """The keys of a location, and the innermost section that it names."""
    where: list[str] = []
    section, members = model, [model]
    for part in location:
        chosen = [member for member in members if member.__name__ == part]
        if len(members) > 1 and chosen:
            # The member of a union that was chosen is no key of the file.
            section, members = chosen[0], chosen
            continue
        where.append(part)
        if part in section.model_fields:
            members = list(_models(section.model_fields[part].annotation))
            section = members[0] if members else section
    return where, section


def _keys(section: type[Section]) -> list[str]:
    return [*section.model_fields, *section.file_keys]


def _models(annotation: Any) -> Iterator[type[Section]]:  # noqa: ANN401
    """The sections that a type annotation mentions."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, Section):
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models(argument)
