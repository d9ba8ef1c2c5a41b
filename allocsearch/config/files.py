"""Files that hold keys and values: TOML, YAML and JSON, by their ending."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from allocsearch.config.errors import InputError, shown
from allocsearch.config.yaml_text import parse_yaml

_PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    ".toml": ("TOML", tomllib.loads),
    ".yaml": ("YAML", parse_yaml),
    ".yml": ("YAML", parse_yaml),
    ".json": ("JSON", json.loads),
}


def read_file(path: Path, endings: Sequence[str] = tuple(_PARSERS)) -> dict[str, Any]:
    """The content of a TOML, YAML or JSON file, by its ending.

    Args:
        path: The file.
        endings: Those that are allowed, out of .toml, .yaml, .yml and .json.

    Raises:
        InputError: If it cannot be read, has another ending, or does not hold keys.
    """
    allowed = f"allowed: a readable {', '.join(endings[:-1])} or {endings[-1]} file"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", error)
        raise InputError(f"{path}: {problem}; {allowed}") from None
    if path.suffix not in endings:
        raise InputError(f"{path}: found {path.suffix or 'no ending'}; {allowed}")
    kind, parse = _PARSERS[path.suffix]
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
