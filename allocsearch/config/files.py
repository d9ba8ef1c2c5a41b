"""Files that hold keys and values: TOML, YAML and JSON, by their ending."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from allocsearch.config.errors import InputError, shown
from allocsearch.config.toml_text import parse_toml
from allocsearch.config.yaml_text import parse_yaml


def _parse_json(text: str) -> Any:  # noqa: ANN401
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dict; a key that stands twice is a mistake here as in TOML."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {shown(key)} stands twice")
        found[key] = value
    return found


# The parser of each ending, and the most bytes that it is given: what it reads in a few seconds.
_PARSERS: dict[str, tuple[str, Callable[[str], Any], int]] = {
    ".toml": ("TOML", parse_toml, 2**20),
    ".yaml": ("YAML", parse_yaml, 2**18),
    ".yml": ("YAML", parse_yaml, 2**18),
    ".json": ("JSON", _parse_json, 2**26),
}


def read_file(path: Path, endings: Sequence[str] = tuple(_PARSERS)) -> dict[str, Any]:
    """The content of a TOML, YAML or JSON file, by its ending.

    Args:
        path: The file.
        endings: Those that are allowed, out of .toml, .yaml, .yml and .json.

    Raises:
        InputError: If it cannot be read, has another ending, is longer than its kind of file may
            be, or does not hold keys, each of them once.
    """
    allowed = f"allowed: a readable {', '.join(endings[:-1])} or {endings[-1]} file"
    data = _data(path, endings, allowed)
    kind, parse, most = _PARSERS[path.suffix]
    if len(data) > most:
        raise InputError(f"{path}: found more than {most} bytes, the most for {kind}")
    try:
        # Some editors begin a file with a byte order mark.
        content = parse(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text (UTF-8); {allowed}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise InputError(f"{path}: not valid {kind}: {problem}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{path}: found {shown(content)}; allowed: keys with values")
    return content


def _data(path: Path, endings: Sequence[str], allowed: str) -> bytes:
    """What the file holds, up to a byte more than it may."""
    try:
        mode = path.stat().st_mode
        if path.suffix in endings and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            with path.open("rb") as file:
                return file.read(_PARSERS[path.suffix][2] + 1)
        # It is not opened: a device has no end, and a pipe perhaps no beginning.
        other = "no file" if path.suffix in endings else f"found {path.suffix or 'no ending'}"
        problem = "Is a directory" if stat.S_ISDIR(mode) else other
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        problem = str(getattr(error, "strerror", error))
    raise InputError(f"{path}: {problem}; {allowed}")
