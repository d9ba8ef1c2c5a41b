"""Reference pages that are made of the program itself: its commands, and the study file."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import griffe
from jsonschema_markdown import generate
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from allocsearch.config import (
    DataSection,
    PretrainingSection,
    Section,
    Shift,
    Source,
    StudyConfig,
)

ROOT = Path(__file__).parents[2]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the files of the site."""
    files.append(File.generated(config, "commands.md", content=commands_page()))
    files.append(File.generated(config, "study_file.md", content=study_file_page()))
    return files


def commands_page() -> str:
    """Every command with its arguments and options, by typer's own command for that."""
    program = [sys.executable, "-m", "typer", "allocsearch.cli", "utils", "docs"]
    made = subprocess.run(
        [*program, "--name", "allocsearch", "--title", "Commands"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    # The list of commands has the beginnings of sentences.
    found = re.findall(
        r"^## `allocsearch (\w+)`\n\n(.+?)\n\n", made.stdout, re.MULTILINE | re.DOTALL
    )
    whole = {name: " ".join(text.split()) for name, text in found}
    return re.sub(
        r"^\* `(\w+)`: .*$",
        lambda entry: f"* `{entry[1]}`: {whole[entry[1]]}" if entry[1] in whole else entry[0],
        made.stdout,
        flags=re.MULTILINE,
    )


def study_file_page() -> str:
    """Every key of a study file with its type, what is allowed, its default and what it means."""
    parts = [
        "# Study file\n\nTOML, or YAML by the ending. `--set SECTION.KEY=VALUE` changes any key "
        "on the command line. A list of one may be written without brackets. "
        "`search_space.file` names a file whose keys are the defaults of the section. "
        "`schema_version` stands before all sections; [Exports](export.md#versions) has the "
        "JSON Schema.\n"
    ]
    for name, model in sections().items():
        parts.append(section_text(f"[{name}]", model))
        if name == "data":
            parts.append(section_text("A data set { #source }", Source))
            parts.append(section_text("A synthetic shift { #shift }", Shift))
        if name == "training":
            title = "[training.pretrain] { #pretrainingsection }"
            parts.append(section_text(title, PretrainingSection))
    return "\n".join(parts)


def sections() -> dict[str, type[Section]]:
    """The sections of a study file by name."""
    types = {name: field.annotation for name, field in StudyConfig.model_fields.items()}
    types["data"] = DataSection
    del types["schema_version"]
    return types


def section_text(title: str, model: type[Section]) -> str:
    """The keys of one section as a table.

    Raises:
        KeyError: If a key has no docstring.
    """
    schema = model.model_json_schema()
    described = _descriptions(model)
    schema["description"] = schema["description"].splitlines()[0]
    for key, found in schema["properties"].items():
        found["description"] = described[key]
    text = generate(schema, footer=False, hide_empty_columns=True)
    # What it says of Source and Shift comes from their own sections.
    table = re.search(r"^\| Property.*?(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    if table is None:
        raise ValueError(f"no table of {model.__name__}")
    rows = re.sub(r"\[(`[^`]*`)\]\(https?:[^)]*\)", r"\1", table[0])
    # The end of a counter is no limit that anybody meets.
    rows = re.sub(r"`(\d+) (<=?) x (?:< 2147483648)?`", _at_least, rows)
    return f"## {title}\n\n{schema['description']}\n\n{rows}"


def _at_least(limit: re.Match[str]) -> str:
    return f"`x {limit[2].replace('<', '>')} {limit[1]}`"


@cache
def _sources() -> griffe.Object | griffe.Alias:
    """The room of study files as it is written."""
    return griffe.load("allocsearch.config", search_paths=[str(ROOT)])


def _descriptions(model: type[Section]) -> dict[str, str]:
    """The docstring of each field."""
    found: Any = _sources()[model.__name__].final_target
    return {
        name: " ".join(member.docstring.value.split())
        for name, member in found.attributes.items()
        if member.docstring is not None
    }
