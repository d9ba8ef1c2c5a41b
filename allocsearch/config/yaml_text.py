"""YAML with the numbers of YAML 1.2 and TOML, read and written alike."""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number; PyYAML alone takes it for text."""


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes that the loader would take for a number."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"),
        list("-+0123456789"),
    )


def parse_yaml(text: str) -> Any:  # noqa: ANN401
    """The one document of a text.

    Raises:
        yaml.YAMLError: If it is no YAML, or has a tag that is no plain value.
        RecursionError: If it is nested too deep.
        ValueError: If a number has too many digits.
    """
    return _Loader(text).get_single_data()


def format_yaml(content: dict[str, Any]) -> str:
    """The content as YAML, keys in their order; `parse_yaml` of it gives equal content."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False)
