"""YAML with the numbers of YAML 1.2 and TOML, read and written alike."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from allocsearch.config.errors import shown


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number, and 12:30 as text; PyYAML alone takes them the other way round.

    A key that stands twice is refused as in TOML, and so are merge keys (<<), which YAML 1.2 has
    given up and with which a short file can grow without bound.
    """

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        found: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise ConstructorError(problem="merge key (<<)", problem_mark=key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in found:
                    problem = f"the key {shown(key.value)} stands twice"
                    raise ConstructorError(problem=problem, problem_mark=key.start_mark)
                found.add((key.tag, key.value))
        super().flatten_mapping(node)


def _construct_number(loader: _Loader, node: yaml.ScalarNode) -> Any:  # noqa: ANN401
    # To the base of 60 a few digits more would take the square of the time.
    return (
        node.value
        if ":" in node.value
        else yaml.SafeLoader.yaml_constructors[node.tag](loader, node)
    )


for _tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
    _Loader.add_constructor(_tag, _construct_number)


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
        ValueError: If a number has too many digits, or a value not the form of its tag.
    """
    try:
        return _Loader(text).get_single_data()
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        # The constructors of PyYAML take for granted that a value has the form of its tag.
        raise ValueError("a value that does not have the form of its tag") from error


def format_yaml(content: dict[str, Any]) -> str:
    """The content as YAML, keys in their order; `parse_yaml` of it gives equal content."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False)
