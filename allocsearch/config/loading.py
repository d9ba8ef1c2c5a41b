"""A study file in, a resolved study out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from allocsearch.config.errors import InputError, shown
from allocsearch.config.files import read_file
from allocsearch.config.migration import STUDY, migrated, read_migrated
from allocsearch.config.mistakes import first_mistake
from allocsearch.config.overrides import override
from allocsearch.config.resolved import StudyConfig
from allocsearch.config.toml_text import parse_toml

_ENDINGS = (".toml", ".yaml", ".yml")


def loads(text: str, name: str) -> StudyConfig:
    """Read a resolved config, as `StudyConfig.to_toml` has written it.

    Args:
        text: The TOML.
        name: What it is called in errors.

    Raises:
        InputError: With one line that names the key, what was found and what is allowed.
    """
    try:
        return StudyConfig.model_validate(migrated(parse_toml(text), STUDY))
    except ValidationError as error:
        key, message = first_mistake(error, StudyConfig)
        raise InputError(f"{name}: {key}: {message}") from None
    # An InputError is one of them.
    except (RecursionError, ValueError) as error:
        raise InputError(f"{name}: {error}") from None


def load(path: Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a study file (TOML; YAML by the ending .yaml or .yml) and apply overrides.

    Args:
        path: The study file. Its `search_space.file` is taken relative to its folder.
        overrides: Texts `section.key=value`, value as in TOML (quotes optional for strings).

    Raises:
        InputError: With one line that names the file, the key, what was found and what is allowed.
    """
    # YAML reads a section whose keys are all commented out as null.
    content = {
        key: {} if value is None and key in StudyConfig.model_fields else value
        for key, value in read_migrated(path, STUDY, _ENDINGS).items()
    }
    space_file: Path | None = None
    # Overrides come first so that one of them can name another file.
    for text in overrides:
        override(content, text)
    space = content.get("search_space")
    inherited: dict[str, Any] = {}
    if isinstance(space, dict) and "file" in space:
        name = space.pop("file")
        if not isinstance(name, str):
            found = shown(name)
            raise InputError(f"{path}: search_space.file: found {found}; allowed: a file name")
        space_file = path.parent / name
        inherited = {k: v for k, v in read_file(space_file, _ENDINGS).items() if k not in space}
        if "file" in inherited:
            raise InputError(f"{space_file}: file: only a study file can name a search space")
        content["search_space"] = {**inherited, **space}
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        key, message = first_mistake(error, StudyConfig)
        own = key.removeprefix("search_space.")
        if space_file is not None and key != own and own.split(".")[0] in inherited:
            message = message.replace("Did you mean search_space.", "Did you mean ")
            raise InputError(f"{space_file}: {own}: {message}") from None
        raise InputError(f"{path}: {key}: {message}") from None
