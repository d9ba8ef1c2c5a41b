"""What is said about input that cannot be used."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Sequence

from pydantic_core import PydanticCustomError

# Of characters, so that what was found cannot bury what is said of it.
_LONGEST = 10_000


class InputError(ValueError):
    """What the user gave cannot be used; the message is one line that says how to mend it."""

    def __init__(self, message: str) -> None:
        # Names of files and keys come from the user, and may hold line ends or worse.
        line = printable(message)
        super().__init__(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}...")


def printable(text: str, kept: str = "") -> str:
    """The text with escapes for characters that a terminal would obey, but for those in `kept`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else repr(c)[1:-1] for c in text)


def mistake(key: str, message: str) -> PydanticCustomError:
    """A validation error about `key` of the section that is being validated."""
    return PydanticCustomError("mistake", "{message}", {"key": key, "message": message})


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 80


def shown(value: object) -> str:
    """What was found, in at most 80 characters."""
    try:
        # Unlike repr, this ends soon for lists in lists in lists.
        text = _SHORT.repr(value)
    except ValueError:
        return "a number of too many digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def hint(found: str, allowed: Sequence[str], section: str = "") -> str:
    """A question after the name of a `section` nearest to `found`; "" where none is near."""
    near = difflib.get_close_matches(found, allowed, 1, 0.6)
    return f" Did you mean {section}{near[0]}?" if near else ""


def suggestion(found: str, allowed: Sequence[str], problem: str) -> str:
    """`problem`, the `hint` for `found`, and all allowed names."""
    return f"{problem}.{hint(found, allowed)} Allowed: {', '.join(allowed)}."
